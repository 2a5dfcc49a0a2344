/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver's side of a virtqueue, split (virtio 1.2, 2.7) or packed (2.8). One thread at a time.
 *
 * All of its memory may be overwritten by the device at any time. So what the driver has to know
 * again it keeps to itself, and what the device tells is read once and checked. A device that
 * breaks the rules makes the queue broken, for good.
 */
#ifndef SL_VIRTQ_DRIVER_H
#define SL_VIRTQ_DRIVER_H

#include <errno.h>

#include <sluice/iova.h>

#include "virtq/packed.h"
#include "virtq/split.h"

/** struct virtq_elem - a piece of a buffer: as the device sees it */
struct virtq_elem {
	sl_iova addr;
	uint32_t len;
};

/** struct virtq_layout - where the parts lie in a piece of memory, and its length in bytes: the
 * descriptor area; driver area (avail ring, or driver event suppression); device area (used ring,
 * or device event suppression) */
struct virtq_layout {
	size_t desc, avail, used, len;
};

/** sl_virtq_layout() - lay out a queue; what the device writes shares no line with the rest */
struct virtq_layout sl_virtq_layout(uint16_t size, bool packed);

/**
 * struct virtq_options - what a queue is made of
 * @size:      entries, 1 to VIRTQ_SIZE_MAX; of a split queue a power of two
 * @packed:    VIRTIO_F_RING_PACKED was negotiated; and so on
 * @table_len: VIRTIO_F_INDIRECT_DESC was negotiated: a buffer of 2 to @table_len elements takes one
 *             entry. At most @size (2.7.5.3.1); 0: none does
 * @tables:    memory of @size * @table_len descriptors, aligned to 16; the caller's
 * @iova:      where the device sees @tables
 * @device_area: where the device area lies, when not behind the rest: in memory that the device may
 *             write. Of a split queue, whose rest it only reads
 */
struct virtq_options {
	uint16_t size;
	bool packed, event_idx, in_order;
	uint16_t table_len;
	void *tables;
	sl_iova iova;
	void *device_area;
};

/**
 * struct virtq_slot - of an id, which in a split queue is a descriptor
 * @next:     of its chain, or of the free ones
 * @descs:    of a buffer that the device has: ring entries that it takes; else 0
 * @writable: bytes of it that the device may write
 */
struct virtq_slot {
	uint16_t next;
	uint16_t descs;
	uint32_t writable;
};

/**
 * struct virtq_driver - a queue
 * @plain:     split, direct, in any order
 * @desc:      split: the three areas
 * @ring:      packed: the three areas
 * @broken:    what the device did, a static string; NULL while it keeps to the rules
 * @in_batch:  in order: buffers up to @batch_id are used, and @batch_len bytes of that one
 * @n_free:    entries
 * @free:      the first of the free ids: what sl_virtq_add() will return
 * @added:     buffers, free-running; split: as avail idx, once it is published
 * @published: ...; split: avail idx
 * @seen:      split: used idx as last read
 * @taken:     buffers that were taken back; split: how far used elements were taken
 * @oldest:    in order: the id that is used next
 * @avail_at:  packed: the entry that is written next
 * @used_at:   packed: the entry that is read next
 * @first_at:  packed: the first entry that is not published; @first_flags are kept back until then
 * @unshown:   packed: entries that are not published
 * @avail_wrap: packed: the wrap counters that belong to @avail_at and @used_at (2.8.1)
 */
struct virtq_driver {
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
	struct virtq_slot *slots;
	const char *broken;
	uint16_t size;
	bool plain, packed, in_order, event_idx, in_batch;
	uint16_t table_len;
	uint16_t n_free, free;
	uint16_t added, published;
	uint16_t seen, taken;
	uint16_t oldest, batch_id;
	uint32_t batch_len;
	struct virtq_packed_desc *ring;
	struct virtq_packed_event *driver_event, *device_event;
	uint16_t avail_at, used_at, first_at, first_flags, unshown;
	bool avail_wrap, used_wrap;
	void *tables;
	sl_iova iova;
};

/**
 * sl_virtq_open() - make an empty queue
 * @vq:      filled in
 * @options: copied
 * @memory:  of sl_virtq_layout(), zeroed, aligned to 16; the caller's
 *
 * Return: 0; -EINVAL for a size that cannot be, or tables that are too long; -ENOMEM.
 */
int sl_virtq_open(struct virtq_driver *vq, const struct virtq_options *options, void *memory);

/** sl_virtq_close() - free what is the driver's own; the device has been reset */
void sl_virtq_close(struct virtq_driver *vq);

/** sl_virtq_break() - the device did @what, a static string. Return: -EPROTO */
__attribute__((cold)) int sl_virtq_break(struct virtq_driver *vq, const char *what);

/* sl_virtq_add() and sl_virtq_get() where a queue is not @plain. */
int sl_virtq_add_other(struct virtq_driver *vq, const struct virtq_elem *elems, unsigned n_read,
		       unsigned n);
int sl_virtq_get_other(struct virtq_driver *vq, uint32_t *len);

static inline int sl_virtq_add_split(struct virtq_driver *vq, const struct virtq_elem *elems,
				     unsigned n_read, unsigned n)
{
	uint16_t head = vq->free, at = head;
	uint32_t writable = 0;

	if (!n || n > vq->n_free)
		return -ENOSPC;
	for (unsigned i = 0; i < n; i++) {
		uint16_t next = vq->slots[at].next;

		vq->desc[at] = (struct virtq_desc){
			.addr = elems[i].addr.value,
			.len = elems[i].len,
			.flags = (uint16_t)((i + 1 < n ? VIRTQ_DESC_F_NEXT : 0) |
					    (i >= n_read ? VIRTQ_DESC_F_WRITE : 0)),
			.next = next,
		};
		writable += i >= n_read ? elems[i].len : 0;
		at = next;
	}
	vq->free = at;
	vq->n_free = (uint16_t)(vq->n_free - n);
	vq->slots[head].descs = (uint16_t)n;
	vq->slots[head].writable = writable;
	vq->avail->ring[vq->added++ & (vq->size - 1)] = head;
	return head;
}

/**
 * sl_virtq_add() - add a buffer, a chain of elements; the device sees it once it is published
 * @elems:  those that the device reads, then those that it writes
 * @n_read: how many it reads
 * @n:      how many there are, at least 1
 *
 * It takes an entry for each element, or a single one: see struct virtq_options.
 *
 * Return: the id, which is what sl_virtq_get() will return; -ENOSPC when entries are short.
 */
static inline int sl_virtq_add(struct virtq_driver *vq, const struct virtq_elem *elems,
			       unsigned n_read, unsigned n)
{
	if (vq->plain)
		return sl_virtq_add_split(vq, elems, n_read, n);
	return sl_virtq_add_other(vq, elems, n_read, n);
}

/* What the device says of a used buffer. Returns @id if that can be; @len comes out as not more
 * than the device may write. */
static inline int sl_virtq_check_used(struct virtq_driver *vq, uint32_t id, uint32_t *len)
{
	const struct virtq_slot *slot;

	if (id >= vq->size)
		return sl_virtq_break(vq, "a used element names no descriptor");
	slot = &vq->slots[id];
	if (!slot->descs)
		return sl_virtq_break(vq, "a used element names a buffer that it does not have");
	if (!slot->writable)
		*len = 0; /* nothing depends on what is said of a buffer that is read */
	if (*len > slot->writable)
		return sl_virtq_break(vq, "a used element is longer than its buffer");
	return (int)id;
}

/** sl_virtq_publish() - show what was added. Return: true when the device must be notified. */
bool sl_virtq_publish(struct virtq_driver *vq);

/** sl_virtq_look() - read how far the device is. Return: 0 when there is something to take; else as
 * sl_virtq_get() */
int sl_virtq_look(struct virtq_driver *vq);

/* The next used element of a split queue. Returns an id; it and @len are checked. */
static inline int sl_virtq_read_used(struct virtq_driver *vq, uint32_t *len)
{
	const struct virtq_used_elem *elem = &vq->used->ring[vq->taken & (vq->size - 1)];
	int ret = vq->seen != vq->taken ? 0 : sl_virtq_look(vq);
	uint32_t id;

	if (ret)
		return ret;
	id = sl_load_relaxed(&elem->id);
	*len = sl_load_relaxed(&elem->len);
	return sl_virtq_check_used(vq, id, len);
}

static inline int sl_virtq_get_split(struct virtq_driver *vq, uint32_t *len)
{
	int id = sl_virtq_read_used(vq, len);
	struct virtq_slot *slot, *tail;

	if (id < 0)
		return id;
	slot = tail = &vq->slots[id];
	vq->n_free = (uint16_t)(vq->n_free + slot->descs);
	for (uint16_t left = slot->descs; left > 1; left--)
		tail = &vq->slots[tail->next];
	tail->next = vq->free;
	vq->free = (uint16_t)id;
	slot->descs = 0;
	vq->taken++;
	return id;
}

/**
 * sl_virtq_get() - take back a buffer that the device has used
 * @len: bytes that it says it has written; not more than it may
 *
 * Return: its id; -EAGAIN when there is none; -EPROTO when the queue is broken. No reason.
 */
static inline int sl_virtq_get(struct virtq_driver *vq, uint32_t *len)
{
	return vq->plain ? sl_virtq_get_split(vq, len) : sl_virtq_get_other(vq, len);
}

/** sl_virtq_in_flight() - buffers that were added and not taken back */
static inline uint16_t sl_virtq_in_flight(const struct virtq_driver *vq)
{
	return (uint16_t)(vq->added - vq->taken);
}

/**
 * sl_virtq_arm() - ask for an interrupt when more than @after of the buffers in flight are used
 *
 * Without VIRTIO_F_EVENT_IDX it comes with the first. A packed queue counts entries, so it comes
 * earlier when buffers have several.
 *
 * Return: true when so many are used already, in a packed queue when any is: no interrupt may come
 * for them.
 */
bool sl_virtq_arm(struct virtq_driver *vq, uint16_t after);

/** sl_virtq_disarm() - no interrupts, please; some may come all the same (2.7.7) */
void sl_virtq_disarm(struct virtq_driver *vq);

#endif
