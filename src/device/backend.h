/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a back end does for a device. device.c has checked every argument: a region's number and
 * range, a vector's kind and range. Negative errnos leave a reason.
 */
#ifndef SL_DEVICE_BACKEND_H
#define SL_DEVICE_BACKEND_H

#include <stdbool.h>

#include <sluice/device.h>
#include <sluice/device_irq.h>
#include <sluice/device_region.h>

/**
 * struct sl_device - the head of every back end's own
 * @name:      its address, which sentences begin with
 * @space:     what it reaches
 * @own_space: the same when it is the device's own, else NULL
 * @own_limits: what that may hold; NULL without one
 * @mmio:      BARs that are mapped
 * @reset_method: the kernel's word for the last reset
 * @irq:       the kind that is wired, while there is @wired
 * @wired:     the event of each of its vectors, -1 for none; NULL when none has one
 * @n_wired:   how many vectors it has
 */
struct sl_device {
	const struct sl_backend *backend;
	char name[SL_PCI_ADDR_SIZE];
	struct sl_device_info info;
	struct sl_space *space, *own_space;
	struct sl_own_limits *own_limits;
	struct sl_mmio mmio[SL_PCI_BARS];
	char reset_method[32];
	enum sl_irq irq;
	int *wired;
	unsigned n_wired;
};

/**
 * struct sl_backend - a way to drive a device
 * @open:       make one: options->via has been decided, info of @dev is filled in but for backend
 * @close:      free it; its DMA is off, nothing of it is mapped
 * @get_region: of a number that exists
 * @map:        one part of a BAR at this place (MAP_FIXED)
 * @read:       @width bytes as they are in the device; @offset is in the region, and aligned. Any
 *              number of bytes of configuration space
 * @write:      ...
 * @irq_count:  of vectors
 * @irq_set:    of the kind dev->irq; all or nothing; dev->wired is what was before
 * @irq_off:    none is wired any more
 * @irq_mask:   INTx, on or off
 * @bus_master: on or off; NULL when the command register does it
 * @dma_page:   the bytes of DMA memory that are side by side for the device, a power of two; 0 for
 *              all
 * @dma_alloc:  zeroed memory of the kernel's, mapped at this place (MAP_FIXED), a page as above or
 *              less, and where it is for the device; -ENOMEM when there is none; NULL: there never
 * is
 * @dma_pin:    where a huge page is for the device; NULL when the space is to choose
 * @dma_free:   what one of the two gave; it is unmapped. NULL when nothing is to be done
 * @event:      see sl_device_event(); NULL for none
 * @check:      0 or -ENODEV; NULL when reading configuration space is enough
 */
struct sl_backend {
	int (*open)(const struct sl_device *head, const struct sl_device_options *options,
		    struct sl_device **out);
	void (*close)(struct sl_device *dev);
	int (*get_region)(struct sl_device *dev, unsigned index, struct sl_device_region *region);
	int (*map)(struct sl_device *dev, unsigned bar, const struct sl_device_part *part,
		   void *at);
	int (*read)(struct sl_device *dev, unsigned index, uint64_t offset, unsigned width,
		    void *bytes);
	int (*write)(struct sl_device *dev, unsigned index, uint64_t offset, unsigned width,
		     const void *bytes);
	unsigned (*irq_count)(const struct sl_device *dev, enum sl_irq kind);
	int (*irq_set)(struct sl_device *dev, unsigned first, unsigned count, const int *fds);
	void (*irq_off)(struct sl_device *dev);
	int (*irq_mask)(struct sl_device *dev, bool masked);
	int (*reset)(struct sl_device *dev);
	int (*bus_master)(struct sl_device *dev, bool on);
	uint64_t dma_page;
	int (*dma_alloc)(struct sl_device *dev, void *at, size_t len, sl_iova *out);
	int (*dma_pin)(struct sl_device *dev, const void *page, sl_iova *out);
	void (*dma_free)(struct sl_device *dev, sl_iova iova);
	int (*event)(const struct sl_device *dev);
	int (*check)(struct sl_device *dev);
};

extern const struct sl_backend sl_backend_vfio, sl_backend_uio_msix, sl_backend_uio;

#endif
