/* SPDX-License-Identifier: BSD-2-Clause */
#include "device/vfio_info.h"

#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "space/limits.h"

#define PAGE	 ((uint64_t)4096)
#define INFO_MAX ((size_t)1 << 16)
#define CAPS_MAX 64

int sl_vfio_info(int fd, unsigned long request, size_t size, const void *in, void **info,
		 size_t *len)
{
	uint32_t argsz = (uint32_t)size;
	void *memory = NULL, *more;
	int ret = 0;

	for (unsigned tries = 0; tries < 4; tries++) {
		more = realloc(memory, argsz);
		if (!more) {
			ret = -ENOMEM;
			break;
		}
		memory = memset(more, 0, argsz);
		memcpy(memory, in, size);
		memcpy(memory, &argsz, sizeof(argsz));
		*len = argsz;
		ret = ioctl(fd, request, memory) < 0 ? -errno : 0;
		memcpy(&argsz, memory, sizeof(argsz));
		if (ret || argsz <= *len) {
			*info = memory;
			break;
		}
		ret = -E2BIG;
		if (argsz > INFO_MAX)
			break;
	}
	if (ret)
		free(memory);
	return ret;
}

size_t sl_vfio_cap(const void *info, size_t len, uint32_t first, uint16_t id, size_t need,
		   size_t *at)
{
	struct vfio_info_cap_header header;
	uint32_t next = first;

	for (unsigned n = 0; n < CAPS_MAX && next; n++) {
		if (next > len || len - next < sizeof(header))
			return 0;
		memcpy(&header, (const uint8_t *)info + next, sizeof(header));
		if (header.id == id && len - next >= need) {
			*at = next;
			return len - next;
		}
		next = header.next;
	}
	return 0;
}

/*
 * What can be mapped for DMA.
 */

/* VFIO's vfio_iova_range and iommufd's iommu_iova_range are one: the first and the last address. */
int sl_vfio_limits_set(struct sl_vfio_limits *limits, const void *ranges, size_t n, uint64_t page)
{
	struct sl_vfio_limits set = {.limits = {.ranges = set.ranges, .page = page}};
	struct vfio_iova_range range;
	int ret;

	set.limits.n_ranges = (unsigned)sl_min(n, SL_VFIO_RANGES_MAX);
	for (unsigned i = 0; i < set.limits.n_ranges; i++) {
		memcpy(&range, (const uint8_t *)ranges + i * sizeof(range), sizeof(range));
		set.ranges[i] = (struct sl_iova_range){{range.start}, {range.end}};
	}
	ret = sl_limits_check(&set.limits);
	if (ret)
		return ret;
	*limits = set;
	limits->limits.ranges = limits->ranges;
	return 0;
}

int sl_vfio_limits_parse(const void *info, size_t len, struct sl_vfio_limits *limits)
{
	static const struct vfio_iova_range everywhere = {0, UINT64_MAX};
	struct vfio_iommu_type1_info_cap_iova_range ranges;
	struct vfio_iommu_type1_info head = {.argsz = 0};
	uint64_t page = PAGE;
	size_t at = 0, left;

	memcpy(&head, info, sl_min(len, sizeof(head)));
	if (head.flags & VFIO_IOMMU_INFO_PGSIZES && head.iova_pgsizes)
		page = head.iova_pgsizes & -head.iova_pgsizes;
	if (!(head.flags & VFIO_IOMMU_INFO_CAPS))
		head.cap_offset = 0;
	left = sl_vfio_cap(info, len, head.cap_offset, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
			   sizeof(ranges), &at);
	if (!left) /* a kernel before 5.4 */
		return sl_vfio_limits_set(limits, &everywhere, 1, page);
	memcpy(&ranges, (const uint8_t *)info + at, sizeof(ranges));
	if (ranges.nr_iovas > (left - sizeof(ranges)) / sizeof(struct vfio_iova_range))
		return sl_fail(EINVAL, "VFIO says %u ranges of IOVAs and gives fewer",
			       ranges.nr_iovas);
	return sl_vfio_limits_set(limits, (const uint8_t *)info + at + sizeof(ranges),
				  ranges.nr_iovas, page);
}

/*
 * What can be mapped of a region.
 */

static uint64_t page_up(uint64_t n)
{
	return (n + PAGE - 1) & ~(PAGE - 1);
}

static void add_part(struct sl_device_region *region, uint64_t offset, uint64_t end)
{
	if (offset >= end || region->n_parts == SL_DEVICE_PARTS_MAX)
		return;
	region->parts[region->n_parts++] = (struct sl_device_part){offset, end - offset};
}

static int add_sparse(struct sl_device_region *region, const uint8_t *cap, size_t len)
{
	struct vfio_region_info_cap_sparse_mmap head;
	struct vfio_region_sparse_mmap_area area;
	uint64_t end = 0;

	memcpy(&head, cap, sizeof(head));
	if (head.nr_areas > (len - sizeof(head)) / sizeof(area))
		return sl_fail(EINVAL, "VFIO says %u areas to map and gives fewer", head.nr_areas);
	for (uint32_t i = 0; i < head.nr_areas; i++) {
		memcpy(&area, cap + sizeof(head) + i * sizeof(area), sizeof(area));
		if (area.offset > region->len || area.size > region->len - area.offset ||
		    area.offset < end || area.offset % PAGE)
			return sl_fail(EINVAL, "VFIO gives an area that is not in its region");
		end = area.offset + area.size;
		add_part(region, area.offset, end);
	}
	return 0;
}

/* All but the pages of the MSI-X table: the kernel has that, and would refuse. */
static void add_around(struct sl_device_region *region, const struct sl_device_part *msix)
{
	uint64_t from = sl_min(msix->offset & ~(PAGE - 1), region->len);
	uint64_t to = sl_min(page_up(msix->offset + msix->len), region->len);

	if (!msix->len)
		from = to = region->len;
	add_part(region, 0, from);
	add_part(region, to, region->len);
}

int sl_vfio_region_parse(const void *info, size_t len, const struct sl_device_part *msix,
			 struct sl_device_region *region)
{
	static const struct sl_device_part nothing;
	struct vfio_region_info head = {.argsz = 0};
	size_t at, left;
	int ret = 0;

	memcpy(&head, info, sl_min(len, sizeof(head)));
	*region = (struct sl_device_region){.len = head.size};
	if (head.flags & VFIO_REGION_INFO_FLAG_READ)
		region->flags |= SL_DEVICE_READ;
	if (head.flags & VFIO_REGION_INFO_FLAG_WRITE)
		region->flags |= SL_DEVICE_WRITE;
	if (head.offset > INT64_MAX || head.size > INT64_MAX - head.offset)
		return sl_fail(EINVAL, "VFIO says that a region has 0x%llx bytes",
			       (unsigned long long)head.size);
	if (!(head.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return 0;
	if (!(head.flags & VFIO_REGION_INFO_FLAG_CAPS))
		head.cap_offset = 0;
	left = sl_vfio_cap(info, len, head.cap_offset, VFIO_REGION_INFO_CAP_SPARSE_MMAP,
			   sizeof(struct vfio_region_info_cap_sparse_mmap), &at);
	if (left)
		ret = add_sparse(region, (const uint8_t *)info + at, left);
	else
		/* Mappable: interrupt remapping keeps what is written to the table harmless. */
		add_around(region, sl_vfio_cap(info, len, head.cap_offset,
					       VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
					       sizeof(struct vfio_info_cap_header), &at)
					   ? &nothing
					   : msix);
	if (!ret && region->n_parts)
		region->flags |= SL_DEVICE_MAP;
	return ret;
}
