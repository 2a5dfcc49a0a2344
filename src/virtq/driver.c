/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's side of a split virtqueue: virtio 1.2, 2.7.13 and 2.7.14. */
#include <stdlib.h>

#include "base/barrier.h"
#include "base/reason.h"
#include "virtq/driver.h"

int sl_virtq_open(struct virtq_driver *vq, uint16_t size, void *memory, bool event_idx)
{
	struct virtq_layout layout = sl_virtq_layout(size);

	*vq = (struct virtq_driver){
		.desc = memory,
		.avail = (void *)((uint8_t *)memory + layout.avail),
		.used = (void *)((uint8_t *)memory + layout.used),
		.size = size,
		.event_idx = event_idx,
		.n_free = size,
	};
	if (!size || size & (size - 1) || size > VIRTQ_SIZE_MAX)
		return sl_fail(EINVAL, "a virtqueue of %u: it has to be a power of two up to %d",
			       size, VIRTQ_SIZE_MAX);
	vq->slots = calloc(size, sizeof(*vq->slots));
	if (!vq->slots)
		return sl_fail(ENOMEM, "no memory for a virtqueue");
	for (unsigned i = 0; i < size; i++)
		vq->slots[i].next = (uint16_t)(i + 1);
	return 0;
}

void sl_virtq_close(struct virtq_driver *vq)
{
	free(vq->slots);
	vq->slots = NULL;
}

bool sl_virtq_publish(struct virtq_driver *vq)
{
	uint16_t old = vq->published;

	if (old == vq->added)
		return false;
	vq->published = vq->added;
	/* 2.7.13.3.1: "The driver MUST perform a suitable memory barrier before the idx update to
	 * ensure the device sees the most up-to-date copy." */
	sl_store_release(&vq->avail->idx, vq->added);
	/* 2.7.13.4.1: "The driver MUST perform a suitable memory barrier before reading flags or
	 * avail_event, to avoid missing a notification." */
	sl_fence_seq_cst();
	if (vq->event_idx)
		return sl_virtq_need_event(
			sl_load_relaxed(sl_virtq_avail_event(vq->used, vq->size)), vq->added, old);
	return !(sl_load_relaxed(&vq->used->flags) & VIRTQ_USED_F_NO_NOTIFY);
}

int sl_virtq_break(struct virtq_driver *vq, const char *what)
{
	vq->broken = what;
	vq->seen = vq->taken;
	return -EPROTO;
}

int sl_virtq_look(struct virtq_driver *vq)
{
	uint16_t idx;

	if (vq->broken)
		return -EPROTO;
	idx = sl_load_acquire(&vq->used->idx);
	if ((uint16_t)(idx - vq->taken) > (uint16_t)(vq->published - vq->taken))
		return sl_virtq_break(vq, "used idx is ahead of what the device was given");
	vq->seen = idx;
	return vq->seen == vq->taken ? -EAGAIN : 0;
}

bool sl_virtq_arm(struct virtq_driver *vq, uint16_t after)
{
	uint16_t used;

	if (vq->event_idx) {
		sl_store_relaxed(sl_virtq_used_event(vq->avail, vq->size),
				 (uint16_t)(vq->taken + after));
	} else {
		after = 0;
		sl_store_relaxed(&vq->avail->flags, 0);
	}
	/* The device stores used idx, then reads used_event; here it is the other way round: one of
	 * the two sees what the other stored. */
	sl_fence_seq_cst();
	used = sl_load_relaxed(&vq->used->idx);
	return (uint16_t)(used - vq->taken) > after;
}

void sl_virtq_disarm(struct virtq_driver *vq)
{
	/* 2.7.7.1: with VIRTIO_F_EVENT_IDX "the driver MUST set flags to 0"; used_event lies behind
	 * used idx then, which is as good. */
	if (!vq->event_idx)
		sl_store_relaxed(&vq->avail->flags, VIRTQ_AVAIL_F_NO_INTERRUPT);
}
