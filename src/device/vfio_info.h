/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What VFIO's INFO calls answer: a struct, and behind it a list of capabilities. Offsets in it are
 * the kernel's; they are checked like anybody's.
 */
#ifndef SL_DEVICE_VFIO_INFO_H
#define SL_DEVICE_VFIO_INFO_H

#include <linux/vfio.h>

#include <sluice/device_region.h>

#define SL_VFIO_RANGES_MAX 32

/* What a container or an address space of iommufd can map. */
struct sl_vfio_limits {
	struct sl_iova_range ranges[SL_VFIO_RANGES_MAX];
	struct sl_iova_limits limits; /* its ranges are those above */
};

/*
 * Find a capability of at least @need bytes in @info, @len bytes that begin with VFIO's struct;
 * @first is its cap_offset. How many bytes there are from *@at on; 0 when there is none.
 */
size_t sl_vfio_cap(const void *info, size_t len, uint32_t first, uint16_t id, size_t need,
		   size_t *at);

/* @n ranges {first, last}, as iommufd gives them. 0, or -EINVAL: then @limits is as it was. */
int sl_vfio_limits_set(struct sl_vfio_limits *limits, const void *ranges, size_t n, uint64_t page);

/* VFIO_IOMMU_GET_INFO's answer. 0, or -EINVAL when it makes no sense: then @limits is as it was. */
int sl_vfio_limits_parse(const void *info, size_t len, struct sl_vfio_limits *limits);

/* VFIO_DEVICE_GET_REGION_INFO's answer; @msix: where the device has its MSI-X table when that is in
 * this region, else of length 0. 0 or -EINVAL. */
int sl_vfio_region_parse(const void *info, size_t len, const struct sl_device_part *msix,
			 struct sl_device_region *region);

/*
 * An INFO call into memory of the size that the kernel says is needed; @argsz is at the begin of
 * every such struct. For free(). 0 or a negative errno without a sentence.
 */
int sl_vfio_info(int fd, unsigned long request, size_t size, const void *in, void **info,
		 size_t *len);

#endif
