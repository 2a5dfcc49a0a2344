/* SPDX-License-Identifier: BSD-2-Clause */
/* Driving by uio_msix: what the files of this back end share. */
#ifndef SL_DEVICE_UIO_MSIX_H
#define SL_DEVICE_UIO_MSIX_H

#include <uio_msix/uio_msix.h>

#include "device/backend.h"
#include "device/uio_msix_dma.h"

/**
 * struct uio_msix_device - a device of uio_msix
 * @event: it is gone
 */
struct uio_msix_device {
	struct sl_device dev;
	struct uio_msix_dma dma;
	int fd, event;
	bool force, attached;
	unsigned n_irqs[SL_IRQ_KINDS];
	struct {
		struct sl_device_region is;
		uint64_t offset; /* for mmap(2) */
	} regions[UIO_MSIX_REGIONS];
};

static inline struct uio_msix_device *sl_um_of(const struct sl_device *dev)
{
	return (struct uio_msix_device *)(uintptr_t)dev; /* its head */
}

/*
 * uio_msix.c: ioctl(2), again while somebody else resets the device, but not for ever. What it
 * returns, or a negative errno without a sentence.
 */
int sl_um_call(int fd, unsigned long request, void *arg);

/* uio_msix_region.c: ask for all; then the back end's operations. */
int sl_um_read_regions(struct uio_msix_device *u);
int sl_um_get_region(struct sl_device *dev, unsigned index, struct sl_device_region *region);
int sl_um_map(struct sl_device *dev, unsigned bar, const struct sl_device_part *part, void *at);
int sl_um_read(struct sl_device *dev, unsigned index, uint64_t offset, unsigned width, void *bytes);
int sl_um_write(struct sl_device *dev, unsigned index, uint64_t offset, unsigned width,
		const void *bytes);

#endif
