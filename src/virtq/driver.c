/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's side of a virtqueue: virtio 1.2, 2.7.13 and 2.7.14, and what split and packed queues
 * share. */
#include <stdlib.h>

#include "base/barrier.h"
#include "base/reason.h"
#include "virtq/driver_packed.h"

struct virtq_layout sl_virtq_layout(uint16_t size, bool packed)
{
	struct virtq_layout layout = {.avail = sizeof(struct virtq_desc) * size};
	size_t avail_len = sizeof(struct virtq_avail) + 2 * (size_t)(size + 1);
	size_t used_len = sizeof(struct virtq_used) + sizeof(struct virtq_used_elem) * size + 2;

	if (packed)
		avail_len = used_len = sizeof(struct virtq_packed_event);
	layout.used = (layout.avail + avail_len + SL_LINE - 1) & ~(size_t)(SL_LINE - 1);
	layout.len = layout.used + used_len;
	return layout;
}

static int check_options(const struct virtq_options *o)
{
	if (!o->size || o->size > VIRTQ_SIZE_MAX)
		return sl_fail(EINVAL, "a virtqueue of %u: 1 to %d entries are possible", o->size,
			       VIRTQ_SIZE_MAX);
	if (!o->packed && o->size & (o->size - 1))
		return sl_fail(EINVAL, "a split virtqueue of %u: it has to be a power of two",
			       o->size);
	if (o->table_len > o->size)
		return sl_fail(EINVAL,
			       "indirect tables of %u in a virtqueue of %u: a buffer "
			       "cannot have more elements than the queue has entries",
			       o->table_len, o->size);
	return 0;
}

int sl_virtq_open(struct virtq_driver *vq, const struct virtq_options *o, void *memory)
{
	struct virtq_layout layout = sl_virtq_layout(o->size, o->packed);
	void *driver = (uint8_t *)memory + layout.avail, *device = (uint8_t *)memory + layout.used;
	int ret = check_options(o);

	if (o->device_area)
		device = o->device_area;
	*vq = (struct virtq_driver){
		.size = o->size,
		.plain = !o->packed && !o->in_order && !o->table_len,
		.packed = o->packed,
		.in_order = o->in_order,
		.event_idx = o->event_idx,
		.table_len = o->table_len,
		.tables = o->tables,
		.iova = o->iova,
		.n_free = o->size,
		.avail_wrap = true,
		.used_wrap = true,
	};
	if (ret)
		return ret;
	if (o->packed) {
		vq->ring = memory;
		vq->driver_event = driver;
		vq->device_event = device;
	} else {
		vq->desc = memory;
		vq->avail = driver;
		vq->used = device;
	}
	vq->slots = calloc(o->size, sizeof(*vq->slots));
	if (!vq->slots)
		return sl_fail(ENOMEM, "no memory for a virtqueue");
	for (unsigned i = 0; i < o->size; i++)
		vq->slots[i].next = (uint16_t)((i + 1) % o->size);
	return 0;
}

void sl_virtq_close(struct virtq_driver *vq)
{
	free(vq->slots);
	vq->slots = NULL;
}

static int add_indirect(struct virtq_driver *vq, const struct virtq_elem *elems, unsigned n_read,
			unsigned n)
{
	uint16_t head = vq->free;
	size_t at = (size_t)head * vq->table_len;
	struct virtq_desc *table = (struct virtq_desc *)vq->tables + at;
	uint32_t writable = 0;

	if (!vq->n_free)
		return -ENOSPC;
	for (unsigned i = 0; i < n; i++) {
		table[i] = (struct virtq_desc){
			.addr = elems[i].addr.value,
			.len = elems[i].len,
			.flags = (uint16_t)((i + 1 < n ? VIRTQ_DESC_F_NEXT : 0) |
					    (i >= n_read ? VIRTQ_DESC_F_WRITE : 0)),
			.next = (uint16_t)(i + 1),
		};
		writable += i >= n_read ? elems[i].len : 0;
	}
	vq->desc[head] = (struct virtq_desc){
		.addr = vq->iova.value + at * sizeof(*table),
		.len = (uint32_t)(n * sizeof(*table)),
		.flags = VIRTQ_DESC_F_INDIRECT,
	};
	vq->free = vq->slots[head].next;
	vq->n_free--;
	vq->slots[head].descs = 1;
	vq->slots[head].writable = writable;
	vq->avail->ring[vq->added++ & (vq->size - 1)] = head;
	return head;
}

bool sl_virtq_publish(struct virtq_driver *vq)
{
	uint16_t old = vq->published;

	if (old == vq->added)
		return false;
	vq->published = vq->added;
	if (vq->packed)
		return sl_virtq_publish_packed(vq);
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
	vq->in_batch = false;
	return -EPROTO;
}

int sl_virtq_look(struct virtq_driver *vq)
{
	uint16_t idx;

	if (vq->broken)
		return -EPROTO;
	if (vq->packed)
		return sl_virtq_look_packed(vq);
	idx = sl_load_acquire(&vq->used->idx);
	if ((uint16_t)(idx - vq->taken) > (uint16_t)(vq->published - vq->taken))
		return sl_virtq_break(vq, "used idx is ahead of what the device was given");
	vq->seen = idx;
	return vq->seen == vq->taken ? -EAGAIN : 0;
}

/*
 * 2.7.9, 2.8.8: the device may say of a batch only which its last buffer is; "the skipped buffers
 * are assumed to have been used (read or written) by the device completely".
 */
static int get_in_order(struct virtq_driver *vq, uint32_t *len)
{
	struct virtq_slot *slot = &vq->slots[vq->oldest];
	uint16_t id = vq->oldest;

	if (!vq->in_batch) {
		int last = vq->packed ? sl_virtq_read_packed(vq, &vq->batch_len)
				      : sl_virtq_read_used(vq, &vq->batch_len);

		if (last < 0)
			return last;
		vq->batch_id = (uint16_t)last;
		vq->in_batch = true;
	}
	if (vq->taken == (vq->packed ? vq->published : vq->seen))
		return sl_virtq_break(vq, "a used element ends a batch that is not all used");
	*len = slot->writable;
	if (id == vq->batch_id) {
		*len = vq->batch_len;
		vq->in_batch = false;
	}
	vq->n_free = (uint16_t)(vq->n_free + slot->descs);
	vq->taken++;
	if (vq->packed) {
		vq->oldest = slot->next;
		sl_virtq_packed_advance(&vq->used_at, &vq->used_wrap, slot->descs, vq->size);
	} else {
		vq->oldest = (vq->oldest + slot->descs) & (vq->size - 1);
	}
	slot->descs = 0;
	return id;
}

int sl_virtq_add_other(struct virtq_driver *vq, const struct virtq_elem *elems, unsigned n_read,
		       unsigned n)
{
	if (vq->packed)
		return sl_virtq_add_packed(vq, elems, n_read, n);
	if (n > 1 && n <= vq->table_len)
		return add_indirect(vq, elems, n_read, n);
	return sl_virtq_add_split(vq, elems, n_read, n);
}

int sl_virtq_get_other(struct virtq_driver *vq, uint32_t *len)
{
	if (vq->in_order)
		return get_in_order(vq, len);
	return vq->packed ? sl_virtq_get_packed(vq, len) : sl_virtq_get_split(vq, len);
}

bool sl_virtq_arm(struct virtq_driver *vq, uint16_t after)
{
	uint16_t used;

	if (vq->packed)
		return sl_virtq_arm_packed(vq, after);
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
	if (vq->packed) {
		sl_store_relaxed(&vq->driver_event->flags, VIRTQ_EVENT_F_DISABLE);
		return;
	}
	/* 2.7.7.1: with VIRTIO_F_EVENT_IDX "the driver MUST set flags to 0"; used_event lies behind
	 * used idx then, which is as good. */
	if (!vq->event_idx)
		sl_store_relaxed(&vq->avail->flags, VIRTQ_AVAIL_F_NO_INTERRUPT);
}
