/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as what VDUSE's kernel side says: a request, an entry of the IOTLB, a queue. The first
 * says how many queues. */
#include <string.h>

#include <sluice/reason.h>

#include "fuzz.h"
#include "wire/vduse.h"

static void request(const uint8_t *data, size_t size, uint32_t queues)
{
	struct vduse_dev_request r;
	struct vduse_dev_response answer;

	if (sl_vduse_request(data, size, queues, &r)) {
		must(*sl_reason());
		return;
	}
	must(size == sizeof(r) && !memcmp(data, &r, sizeof(r)));
	must(r.type != VDUSE_GET_VQ_STATE || r.vq_state.index < queues);
	must(r.type != VDUSE_UPDATE_IOTLB || r.iova.start <= r.iova.last);
	sl_vduse_response(&r, VDUSE_REQ_RESULT_FAILED, &answer);
	must(answer.request_id == r.request_id && answer.result == VDUSE_REQ_RESULT_FAILED);
	for (unsigned i = 0; i < 4; i++)
		must(!answer.reserved[i]);
}

static void entry(const uint8_t *data, size_t size)
{
	struct vduse_iotlb_entry e;
	uint64_t from;

	if (size < sizeof(e) + sizeof(from))
		return;
	memcpy(&e, data, sizeof(e));
	memcpy(&from, data + sizeof(e), sizeof(from));
	if (sl_vduse_entry(&e, from)) {
		must(*sl_reason());
		return;
	}
	must(e.start >= from && e.last >= e.start);
	must(e.last - e.start + 1 <= PTRDIFF_MAX);
	must(e.offset + (e.last - e.start + 1) <= INT64_MAX);
	must(e.perm >= VDUSE_ACCESS_RO && e.perm <= VDUSE_ACCESS_RW);
}

static void queue(const uint8_t *data, size_t size, bool packed)
{
	struct vduse_vq_info info;

	if (size < sizeof(info))
		return;
	memcpy(&info, data, sizeof(info));
	if (sl_vduse_vq_info(&info, packed, 1024)) {
		must(*sl_reason());
		return;
	}
	must(info.num >= 1 && info.num <= 1024);
	if (!packed)
		must(!(info.num & (info.num - 1)));
	else
		must(info.packed.last_avail_idx < info.num && info.packed.last_used_idx < info.num);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	request(data + 1, size - 1, data[0] & 0x7f);
	entry(data + 1, size - 1);
	queue(data + 1, size - 1, data[0] & 0x80);
	return 0;
}
