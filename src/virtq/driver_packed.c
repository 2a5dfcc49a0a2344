/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's side of a packed virtqueue: virtio 1.2, 2.8.19 to 2.8.22. */
#include "virtq/driver_packed.h"
#include "base/barrier.h"
#include "base/bytes.h"

/* 2.8.21: "it defers updating the descriptor flags for the first descriptor" until all are there.
 */
static inline void put(struct virtq_driver *vq, uint64_t addr, uint32_t len, uint16_t id,
		       unsigned flags)
{
	struct virtq_packed_desc *desc = &vq->ring[vq->avail_at];

	flags |= sl_virtq_packed_flags(false, vq->avail_wrap);
	desc->addr = addr;
	desc->len = len;
	desc->id = id; /* it is the last one's that counts (2.8.6) */
	if (vq->unshown++) {
		desc->flags = (uint16_t)flags;
	} else {
		vq->first_at = vq->avail_at;
		vq->first_flags = (uint16_t)flags;
	}
	sl_virtq_packed_advance(&vq->avail_at, &vq->avail_wrap, 1, vq->size);
}

/* 2.8.7: in a table, "the VIRTQ_DESC_F_WRITE flags bit is the only valid flag". */
static void put_table(struct virtq_driver *vq, const struct virtq_elem *elems, unsigned n_read,
		      unsigned n, uint16_t id)
{
	size_t at = (size_t)id * vq->table_len;
	struct virtq_packed_desc *table = (struct virtq_packed_desc *)vq->tables + at;

	for (unsigned i = 0; i < n; i++)
		table[i] = (struct virtq_packed_desc){
			.addr = elems[i].addr.value,
			.len = elems[i].len,
			.flags = i >= n_read ? VIRTQ_DESC_F_WRITE : 0,
		};
	put(vq, vq->iova.value + at * sizeof(*table), (uint32_t)(n * sizeof(*table)), id,
	    VIRTQ_DESC_F_INDIRECT);
}

int sl_virtq_add_packed(struct virtq_driver *vq, const struct virtq_elem *elems, unsigned n_read,
			unsigned n)
{
	bool indirect = n > 1 && n <= vq->table_len;
	unsigned descs = indirect ? 1 : n;
	uint16_t id = vq->free;
	struct virtq_slot *slot = &vq->slots[id];
	uint32_t writable = 0;

	if (!n || descs > vq->n_free)
		return -ENOSPC;
	if (indirect)
		put_table(vq, elems, n_read, n, id);
	for (unsigned i = 0; i < n; i++) {
		if (!indirect)
			put(vq, elems[i].addr.value, elems[i].len, id,
			    (i + 1 < n ? VIRTQ_DESC_F_NEXT : 0u) |
				    (i >= n_read ? VIRTQ_DESC_F_WRITE : 0u));
		writable += i >= n_read ? elems[i].len : 0;
	}
	slot->descs = (uint16_t)descs;
	slot->writable = writable;
	vq->free = slot->next;
	vq->n_free = (uint16_t)(vq->n_free - descs);
	vq->added++;
	return id;
}

bool sl_virtq_publish_packed(struct virtq_driver *vq)
{
	uint16_t shown = vq->unshown;
	struct virtq_packed_event event;

	vq->unshown = 0;
	/* 2.8.21.1.1: "The driver MUST perform a suitable memory barrier before the flags update,
	 * to ensure the device sees the most up-to-date copy." */
	sl_store_release(&vq->ring[vq->first_at].flags, vq->first_flags);
	/* 2.8.21.3.1: "... before reading the Event Suppression structure occupying the Device
	 * Area." */
	sl_fence_seq_cst();
	event.flags = sl_load_acquire(&vq->device_event->flags);
	event.off_wrap = sl_load_relaxed(&vq->device_event->off_wrap);
	return sl_virtq_packed_need_event(event, vq->avail_at, vq->avail_wrap, shown, vq->size);
}

/* The flags of what is used next; -EAGAIN when nothing is. */
static inline int used_flags(const struct virtq_driver *vq)
{
	uint16_t flags;

	if (vq->taken == vq->published)
		return -EAGAIN;
	flags = sl_load_acquire(&vq->ring[vq->used_at].flags);
	return sl_virtq_packed_is(flags, true, vq->used_wrap) ? flags : -EAGAIN;
}

int sl_virtq_look_packed(struct virtq_driver *vq)
{
	return vq->in_batch || used_flags(vq) >= 0 ? 0 : -EAGAIN;
}

int sl_virtq_read_packed(struct virtq_driver *vq, uint32_t *len)
{
	const struct virtq_packed_desc *desc = &vq->ring[vq->used_at];
	int flags = vq->broken ? -EPROTO : used_flags(vq);
	uint16_t id;

	if (flags < 0)
		return flags;
	id = sl_load_relaxed(&desc->id);
	*len = sl_load_relaxed(&desc->len);
	/* 2.8.4: without VIRTQ_DESC_F_WRITE the length "is ignored by drivers". But QEMU (7.2)
	 * never sets it: a length that can be is believed, as Linux does. */
	if (!(flags & VIRTQ_DESC_F_WRITE) && id<vq->size && * len> vq->slots[id].writable)
		*len = 0;
	return sl_virtq_check_used(vq, id, len);
}

int sl_virtq_get_packed(struct virtq_driver *vq, uint32_t *len)
{
	int id = sl_virtq_read_packed(vq, len);
	struct virtq_slot *slot;

	if (id < 0)
		return id;
	slot = &vq->slots[id];
	sl_virtq_packed_advance(&vq->used_at, &vq->used_wrap, slot->descs, vq->size);
	vq->n_free = (uint16_t)(vq->n_free + slot->descs);
	slot->descs = 0;
	slot->next = vq->free;
	vq->free = (uint16_t)id;
	vq->taken++;
	return id;
}

bool sl_virtq_arm_packed(struct virtq_driver *vq, uint16_t after)
{
	uint16_t at = vq->used_at, flags = VIRTQ_EVENT_F_ENABLE;
	bool wrap = vq->used_wrap;

	if (vq->event_idx) {
		sl_virtq_packed_advance(&at, &wrap, sl_min(after, vq->size - 1u), vq->size);
		sl_store_relaxed(&vq->driver_event->off_wrap,
				 (uint16_t)(at | (wrap ? VIRTQ_EVENT_WRAP : 0)));
		flags = VIRTQ_EVENT_F_DESC;
	}
	sl_store_release(&vq->driver_event->flags, flags);
	/* The device writes a used descriptor, then reads this; here it is the other way round: one
	 * of the two sees what the other stored. */
	sl_fence_seq_cst();
	return !sl_virtq_look_packed(vq);
}
