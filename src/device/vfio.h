/* SPDX-License-Identifier: BSD-2-Clause */
/* Driving by VFIO: what the files of this back end share. */
#ifndef SL_DEVICE_VFIO_H
#define SL_DEVICE_VFIO_H

#include <sluice/space_user.h>

#include "device/backend.h"
#include "device/vfio_info.h"

struct vfio_device;

/**
 * struct vfio_way - how a device's descriptor is got, and its DMA memory mapped
 * @open:  fd of the device; what it reaches is attached to its space when this returns
 * @close: the opposite: the device's fd is closed, then what it needed
 */
struct vfio_way {
	const char *name;
	int (*open)(struct vfio_device *v, const struct sl_device_options *options);
	void (*close)(struct vfio_device *v);
};

/**
 * struct vfio_device - a device of VFIO
 * @fd:      the device's
 * @event:   the kernel wants it back, or it has failed
 * @enabled: vectors of the wired kind that the kernel has enabled
 * @holder:  the way's own: a group, an address space
 * @known:   a bit for each of @regions that was asked for
 */
struct vfio_device {
	struct sl_device dev;
	const struct vfio_way *way;
	int fd, event;
	bool resets;
	uint32_t n_irqs[VFIO_PCI_NUM_IRQS];
	unsigned enabled;
	void *holder;
	unsigned known;
	struct vfio_region {
		struct sl_device_region is;
		uint64_t offset; /* in the file */
	} regions[SL_DEVICE_REGIONS];
};

extern const struct vfio_way sl_vfio_group, sl_vfio_cdev;

/* Does the running kernel, or do the caller's descriptors, have the device for iommufd? */
bool sl_vfio_has_cdev(const struct sl_device *head, const struct sl_device_options *options);

/* A descriptor of the caller's, duplicated, or the file @path opened for reading and writing; what
 * EBUSY means is @busy. A negative errno with a sentence. */
int sl_vfio_open(int fd, const char *path, const char *busy);

/* What is mapped failed with errno @err: say why. */
int sl_vfio_map_failed(const struct sl_space *space, int err);

#endif
