/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "base/reason.h"
#include "wire/vduse.h"

int sl_vduse_request(const void *bytes, size_t len, uint32_t queues, struct vduse_dev_request *out)
{
	if (len != sizeof(*out))
		return sl_fail(EPROTO, "a request of %zu bytes, not %zu", len, sizeof(*out));
	memcpy(out, bytes, sizeof(*out));
	switch (out->type) {
	case VDUSE_GET_VQ_STATE:
		if (out->vq_state.index >= queues)
			return sl_fail(EPROTO, "a request for queue %u of a device with %u",
				       out->vq_state.index, queues);
		return 0;
	case VDUSE_SET_STATUS:
		return 0;
	case VDUSE_UPDATE_IOTLB:
		if (out->iova.start > out->iova.last)
			return sl_fail(EPROTO, "a range of addresses that ends before it begins");
		return 0;
	default:
		return sl_fail(EPROTO, "an unknown request, %u", out->type);
	}
}

void sl_vduse_response(const struct vduse_dev_request *request, uint32_t result,
		       struct vduse_dev_response *out)
{
	memset(out, 0, sizeof(*out));
	out->request_id = request->request_id;
	out->result = result;
	if (request->type == VDUSE_GET_VQ_STATE)
		out->vq_state.index = request->vq_state.index;
}

int sl_vduse_entry(const struct vduse_iotlb_entry *entry, uint64_t from)
{
	uint64_t len_1 = entry->last - entry->start;

	if (entry->start < from || entry->last < entry->start)
		return sl_fail(EPROTO, "addresses are mapped out of order");
	if (len_1 >= PTRDIFF_MAX || entry->offset > INT64_MAX - len_1 - 1)
		return sl_fail(EPROTO, "0x%llx bytes at 0x%llx of a file are mapped",
			       (unsigned long long)len_1 + 1, (unsigned long long)entry->offset);
	if (!entry->perm || entry->perm & ~VDUSE_ACCESS_RW)
		return sl_fail(EPROTO, "addresses are mapped for access %u", entry->perm);
	return 0;
}

int sl_vduse_vq_info(const struct vduse_vq_info *info, bool packed, uint32_t size_max)
{
	const struct vduse_vq_state_packed *p = &info->packed;

	if (!info->num || info->num > size_max || (!packed && info->num & (info->num - 1)))
		return sl_fail(EPROTO, "queue %u has %u entries, of %u", info->index, info->num,
			       size_max);
	if (packed && (p->last_avail_idx >= info->num || p->last_used_idx >= info->num ||
		       p->last_avail_counter > 1 || p->last_used_counter > 1))
		return sl_fail(EPROTO, "queue %u stands where it cannot: %u and %u of %u entries",
			       info->index, p->last_avail_idx, p->last_used_idx, info->num);
	return 0;
}
