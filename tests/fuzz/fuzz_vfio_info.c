/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as VFIO's answer, behind eight that say where an MSI-X table is and what is asked. */
#include <string.h>

#include <sluice/reason.h>

#include "device/vfio_info.h"
#include "fuzz.h"
#include "space/limits.h"

#define PAGE ((uint64_t)4096)

static void cap(const uint8_t *info, size_t len, const uint8_t *ask)
{
	struct vfio_info_cap_header header;
	size_t at = SIZE_MAX, need = sizeof(header) + ask[2] % 32, left;

	left = sl_vfio_cap(info, len, ask[0], ask[1] % 8, need, &at);
	must(left || at == SIZE_MAX);
	if (!left)
		return;
	must(at <= len && left == len - at && left >= need);
	memcpy(&header, info + at, sizeof(header));
	must(header.id == ask[1] % 8);
}

static void limits(const uint8_t *info, size_t len)
{
	struct sl_vfio_limits l;

	if (sl_vfio_limits_parse(info, len, &l)) {
		must(*sl_reason());
		return;
	}
	must(l.limits.ranges == l.ranges);
	must(l.limits.n_ranges <= SL_VFIO_RANGES_MAX);
	must(sl_power_of_two(l.limits.page));
	must(sl_limits_check(&l.limits) == 0);
}

static bool listed(const uint8_t *info, size_t len, uint16_t id, size_t need)
{
	struct vfio_region_info head = {.argsz = 0};
	size_t at;

	memcpy(&head, info, len < sizeof(head) ? len : sizeof(head));
	return head.flags & VFIO_REGION_INFO_FLAG_CAPS &&
	       sl_vfio_cap(info, len, head.cap_offset, id, need, &at);
}

/* Who may choose the parts itself, or has said that the table may be mapped, knows why. */
static void table(const uint8_t *info, size_t len, const struct sl_device_part *msix,
		  const struct sl_device_region *region)
{
	uint64_t first = msix->offset & ~(PAGE - 1), end = msix->offset + msix->len;

	if (!msix->len || listed(info, len, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 8) ||
	    listed(info, len, VFIO_REGION_INFO_CAP_SPARSE_MMAP, 16))
		return;
	for (unsigned i = 0; i < region->n_parts; i++)
		must(region->parts[i].offset >= end ||
		     region->parts[i].offset + region->parts[i].len <= first);
}

static void region(const uint8_t *info, size_t len, const struct sl_device_part *msix)
{
	struct sl_device_region r;
	uint64_t end = 0;

	if (sl_vfio_region_parse(info, len, msix, &r)) {
		must(*sl_reason());
		return;
	}
	must(r.len <= INT64_MAX && r.n_parts <= SL_DEVICE_PARTS_MAX);
	must(!(r.flags & SL_DEVICE_MAP) == !r.n_parts);
	for (unsigned i = 0; i < r.n_parts; i++) {
		const struct sl_device_part *p = &r.parts[i];

		must(p->len && p->offset % PAGE == 0 && p->offset >= end);
		must(p->offset <= r.len && p->len <= r.len - p->offset);
		end = p->offset + p->len;
	}
	table(info, len, msix, &r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_device_part msix = {0};
	uint8_t ask[8] = {0}, *info;
	size_t head = size < sizeof(ask) ? size : sizeof(ask);

	memcpy(ask, data, head);
	/* PCI 3.0, 6.8.2.3 and .4: a multiple of 8 in 4 GiB, 2048 entries of 16 bytes at most. */
	msix.offset = (uint64_t)ask[3] << 20 | (uint64_t)ask[4] << 12 | (ask[5] & 0xf8u);
	msix.len = (ask[6] | (ask[7] & 7u) << 8) * (uint64_t)16;
	size -= head;
	info = malloc(size ? size : 1);
	if (!info)
		abort();
	memcpy(info, data + head, size);
	cap(info, size, ask);
	limits(info, size);
	region(info, size, &msix);
	free(info);
	return 0;
}
