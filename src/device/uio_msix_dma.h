/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that a device of uio_msix reaches: the kernel's, allocated for it, or huge pages of ours,
 * pinned. The kernel says where each is for the device.
 */
#ifndef SL_DEVICE_UIO_MSIX_DMA_H
#define SL_DEVICE_UIO_MSIX_DMA_H

#include <sluice/space_user.h>

#define SL_UIO_MSIX_PAGE ((uint64_t)2 << 20) /* sl_arena_create()'s huge pages */

struct uio_msix_piece;

/* As the user of a space it sees to it that each mapping is one of @pieces. */
struct uio_msix_dma {
	struct sl_space_user user;
	int fd; /* the device's */
	struct uio_msix_piece *pieces;
	size_t n_pieces;
};

void sl_uio_msix_dma_open(struct uio_msix_dma *dma, int fd);

/* Memory is freed before. */
void sl_uio_msix_dma_close(struct uio_msix_dma *dma);

/* Memory of the kernel's at @at (MAP_FIXED). 0; -ENOMEM when there is none; -ENODEV; ... */
int sl_uio_msix_dma_alloc(struct uio_msix_dma *dma, void *at, size_t len, sl_iova *out);

/* A huge page. 0; -ENOMEM when the device does not reach it, or too much is locked; -ENODEV; ... */
int sl_uio_msix_dma_pin(struct uio_msix_dma *dma, const void *page, sl_iova *out);

/* The device uses it no more, and it is unmapped. */
void sl_uio_msix_dma_free(struct uio_msix_dma *dma, sl_iova iova);

#endif
