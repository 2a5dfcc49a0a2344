/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for a device: allocated, mapped, and where the device sees it.
 */
#ifndef SLUICE_DMA_H
#define SLUICE_DMA_H

#include <sluice/device.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sl_dma;

/**
 * sl_dma_create() - allocate zeroed memory that a device reaches
 * @dev: its space gets the memory: all devices of that space reach it, but over uio_msix only this
 *       one can. The memory is freed before the device is closed
 * @len: bytes, rounded up to whole pages
 * @id:  the id its region carries
 * @out: the new memory, owned by the caller
 *
 * Over uio_msix it is the kernel's, of which children get nothing, or, when that has no more,
 * reserved huge pages (vm.nr_hugepages).
 *
 * Return: 0; -EINVAL when @len is 0 or overflows; -ENOMEM, also for UIO without reserved huge
 * pages, which alone stay where they are; -ENODEV when the device is gone; or what sl_space_map()
 * returns.
 */
int sl_dma_create(struct sl_device *dev, size_t len, uint16_t id, struct sl_dma **out);

/**
 * sl_dma_release() - unmap it from the device, free it
 * @dma: NULL is allowed; the device uses it no more
 */
void sl_dma_release(struct sl_dma *dma);

/** sl_dma_region() - where this process sees it. Return: the memory's own, until its release. */
const struct sl_region *sl_dma_region(const struct sl_dma *dma);

/**
 * sl_dma_iova() - where the device sees a byte of it
 * @dma:    the memory
 * @offset: of the byte, less than the region's length
 *
 * Bytes of one aligned 2 MiB are side by side for the device too; over VFIO all are.
 */
sl_iova sl_dma_iova(const struct sl_dma *dma, size_t offset);

#ifdef __cplusplus
}
#endif
#endif
