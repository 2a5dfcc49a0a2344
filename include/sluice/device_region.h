/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a device answers to: BARs and configuration space, by checked reads and writes or mapped.
 */
#ifndef SLUICE_DEVICE_REGION_H
#define SLUICE_DEVICE_REGION_H

#include <sluice/device.h>
#include <sluice/mmio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers of regions, VFIO's: BARs are 0 to 5. */
enum {
	SL_DEVICE_ROM = 6,
	SL_DEVICE_CONFIG = 7,
	SL_DEVICE_REGIONS = 8,
};

enum {
	SL_DEVICE_READ = 1u << 0,
	SL_DEVICE_WRITE = 1u << 1,
	SL_DEVICE_MAP = 1u << 2, /* some of it can be mapped */
	SL_DEVICE_IO = 1u << 3,	 /* I/O ports, not memory */
};

#define SL_DEVICE_PARTS_MAX 8

/** struct sl_device_part - a part of a region: bytes from its start, and how many */
struct sl_device_part {
	uint64_t offset, len;
};

/**
 * struct sl_device_region - what a region is like
 * @len:     bytes; 0 when there is none
 * @flags:   SL_DEVICE_*
 * @n_parts: how many parts can be mapped: where the kernel keeps the MSI-X table to itself, it lies
 *           between them
 * @parts:   them, ascending, in whole pages; the last may be cut short by the end
 */
struct sl_device_region {
	uint64_t len;
	uint32_t flags;
	unsigned n_parts;
	struct sl_device_part parts[SL_DEVICE_PARTS_MAX];
};

/**
 * sl_device_get_region() - what a region is like
 * @dev:    the device
 * @index:  0 to 5, SL_DEVICE_ROM or SL_DEVICE_CONFIG
 * @region: filled in
 *
 * Return: 0; -EINVAL for another number.
 */
int sl_device_get_region(struct sl_device *dev, unsigned index, struct sl_device_region *region);

/**
 * sl_device_map() - map a BAR; the same again when it is mapped already
 * @dev:  the device
 * @bar:  0 to 5
 * @mmio: its registers; valid until the device is closed. What lies between its parts
 *        (struct sl_device_region) is not mapped: it reads as ones
 *
 * Return: 0; -EINVAL for a BAR that is none, or I/O ports, or not to be mapped; or what the
 * kernel says.
 */
int sl_device_map(struct sl_device *dev, unsigned bar, struct sl_mmio *mmio);

/**
 * sl_device_read() - read a register, mapped or not
 * @dev:    the device
 * @index:  as for sl_device_get_region()
 * @offset: bytes from its start, a multiple of @width
 * @width:  1, 2, 4 or 8 bytes; 8 may be two accesses of 4, the lower first: VFIO's are
 * @value:  in the byte order of this machine; PCI's is little-endian
 *
 * Return: 0; -EINVAL for another width or alignment, or a place that is not in the region;
 * -ENODEV when the device is gone; -EOPNOTSUPP for what this back end cannot reach.
 */
int sl_device_read(struct sl_device *dev, unsigned index, uint64_t offset, unsigned width,
		   uint64_t *value);

/**
 * sl_device_write() - write one
 * @dev:    the device
 * @index:  as above
 * @offset: as above
 * @width:  as above
 * @value:  what does not fit in @width is -EINVAL
 *
 * Return: as sl_device_read(); -EPERM when the kernel refuses (UIO, lockdown). What VFIO keeps to
 * itself, such as the MSI-X table, is dropped, and 0 returned.
 */
int sl_device_write(struct sl_device *dev, unsigned index, uint64_t offset, unsigned width,
		    uint64_t value);

#ifdef __cplusplus
}
#endif
#endif
