/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver's side of a split virtqueue (virtio 1.2, 2.7). One thread at a time.
 *
 * All of its memory may be overwritten by the device at any time. So what the driver has to know
 * again it keeps to itself, and the two things that the device tells, used idx and used elements,
 * are read once and checked. A device that breaks the rules makes the queue broken, for good.
 */
#ifndef SL_VIRTQ_DRIVER_H
#define SL_VIRTQ_DRIVER_H

#include <sluice/iova.h>

#include "virtq/split.h"

/** struct virtq_elem - a piece of a buffer: as the device sees it */
struct virtq_elem {
	sl_iova addr;
	uint32_t len;
};

/** struct virtq_slot - of a descriptor: the next of its chain or of the free ones; for the head of
 * a chain that the device has: how many @descs there are, bytes that it may write */
struct virtq_slot {
	uint16_t next;
	uint16_t descs;
	uint32_t writable;
};

/**
 * struct virtq_driver - a queue
 * @broken:    what the device did, a static string; NULL while it keeps to the rules
 * @event_idx: VIRTIO_F_EVENT_IDX was negotiated
 * @free:      the first of the free descriptors
 * @added:     as avail idx, once it is published
 * @published: avail idx
 * @seen:      used idx as last read
 * @taken:     how far used elements were taken
 */
struct virtq_driver {
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
	struct virtq_slot *slots;
	const char *broken;
	uint16_t size;
	bool event_idx;
	uint16_t n_free, free;
	uint16_t added, published;
	uint16_t seen, taken;
};

/**
 * sl_virtq_open() - make an empty queue
 * @vq:        filled in
 * @size:      descriptors: a power of two up to VIRTQ_SIZE_MAX
 * @memory:    of sl_virtq_layout(), zeroed, aligned to 16; the caller's
 * @event_idx: VIRTIO_F_EVENT_IDX was negotiated
 *
 * Return: 0; -EINVAL for another size; -ENOMEM.
 */
int sl_virtq_open(struct virtq_driver *vq, uint16_t size, void *memory, bool event_idx);

/** sl_virtq_close() - free what is the driver's own; the device has been reset */
void sl_virtq_close(struct virtq_driver *vq);

/**
 * sl_virtq_add() - add a buffer, a chain of elements; the device sees it once it is published
 * @elems:  those that the device reads, then those that it writes
 * @n_read: how many it reads
 * @n:      how many there are, at least 1
 *
 * Return: the head, which is what sl_virtq_get() will return; -ENOSPC when descriptors are short.
 */
static inline int sl_virtq_add(struct virtq_driver *vq, const struct virtq_elem *elems,
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

/** sl_virtq_publish() - show what was added. Return: true when the device must be notified. */
bool sl_virtq_publish(struct virtq_driver *vq);

/** sl_virtq_look() - read used idx. Return: 0 when there is something to take; else as
 * sl_virtq_get() */
int sl_virtq_look(struct virtq_driver *vq);

/** sl_virtq_break() - the device did @what, a static string. Return: -EPROTO */
__attribute__((cold)) int sl_virtq_break(struct virtq_driver *vq, const char *what);

/**
 * sl_virtq_get() - take back a buffer that the device has used
 * @len: bytes that it says it has written; not more than it may
 *
 * Return: its head; -EAGAIN when there is none; -EPROTO when the queue is broken. No reason.
 */
static inline int sl_virtq_get(struct virtq_driver *vq, uint32_t *len)
{
	const struct virtq_used_elem *elem = &vq->used->ring[vq->taken & (vq->size - 1)];
	int ret = vq->seen != vq->taken ? 0 : sl_virtq_look(vq);
	struct virtq_slot *slot, *tail;
	uint32_t id;

	if (ret)
		return ret;
	id = sl_load_relaxed(&elem->id);
	*len = sl_load_relaxed(&elem->len);
	if (id >= vq->size)
		return sl_virtq_break(vq, "a used element names no descriptor");
	slot = tail = &vq->slots[id];
	if (!slot->descs)
		return sl_virtq_break(vq, "a used element names a buffer that it does not have");
	if (!slot->writable)
		*len = 0; /* nothing depends on what is said of a buffer that is read */
	if (*len > slot->writable)
		return sl_virtq_break(vq, "a used element is longer than its buffer");
	vq->n_free = (uint16_t)(vq->n_free + slot->descs);
	for (uint16_t left = slot->descs; left > 1; left--)
		tail = &vq->slots[tail->next];
	tail->next = vq->free;
	vq->free = (uint16_t)id;
	slot->descs = 0;
	vq->taken++;
	return (int)id;
}

/** sl_virtq_in_flight() - buffers that were added and not taken back */
static inline uint16_t sl_virtq_in_flight(const struct virtq_driver *vq)
{
	return (uint16_t)(vq->added - vq->taken);
}

/**
 * sl_virtq_arm() - ask for an interrupt when more than @after of the buffers in flight are used
 *
 * Without VIRTIO_F_EVENT_IDX it comes with the first.
 *
 * Return: true when so many are used already: no interrupt may come for them.
 */
bool sl_virtq_arm(struct virtq_driver *vq, uint16_t after);

/** sl_virtq_disarm() - no interrupts, please; some may come all the same (2.7.7) */
void sl_virtq_disarm(struct virtq_driver *vq);

#endif
