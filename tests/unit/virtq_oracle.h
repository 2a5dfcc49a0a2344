/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtqueue as naive as can be: both sides, split and packed, for comparing. Places are counted
 * in 64 bits and never wrap; where a place is in the ring, and its wrap counter, is computed from
 * that each time. Believes all that it reads: not for hostile sides.
 */
#ifndef SL_TESTS_VIRTQ_ORACLE_H
#define SL_TESTS_VIRTQ_ORACLE_H

#include <string.h>

#include "virtq/driver.h"

#define ORACLE_ELEMS 16

struct oracle_elem {
	uint64_t addr;
	uint32_t len;
	bool write;
};

/* @descs: ring entries that it takes */
struct oracle_chain {
	uint16_t id;
	unsigned descs, n;
	struct oracle_elem elems[ORACLE_ELEMS];
};

/*
 * @base:  tables lie at @base + (address - @iova)
 * @avail: buffers (split) or entries (packed) that this side has made, or found, available
 * @used:  ... used
 */
struct oracle {
	uint16_t size;
	bool packed, event_idx;
	struct virtq_desc *desc;
	struct virtq_packed_desc *ring;
	struct virtq_avail *avail_ring;
	struct virtq_used *used_ring;
	struct virtq_packed_event *driver_event, *device_event;
	uint8_t *base;
	uint64_t iova;
	uint64_t avail, used;
};

static inline struct oracle oracle_at(const struct virtq_options *o, void *ring, uint64_t start)
{
	struct virtq_layout layout = sl_virtq_layout(o->size, o->packed);
	void *driver = (uint8_t *)ring + layout.avail, *device = (uint8_t *)ring + layout.used;

	return (struct oracle){.size = o->size,
			       .packed = o->packed,
			       .event_idx = o->event_idx,
			       .desc = ring,
			       .ring = ring,
			       .avail_ring = driver,
			       .used_ring = device,
			       .driver_event = driver,
			       .device_event = device,
			       .base = o->tables,
			       .iova = o->iova.value,
			       .avail = start,
			       .used = start};
}

/* 2.8.1: the wrap counter at a place is 1 in the first lap, 0 in the second ... */
static inline bool oracle_wrap(const struct oracle *o, uint64_t place)
{
	return place / o->size % 2 == 0;
}

static inline bool oracle_flags_are(const struct oracle *o, uint64_t place, bool used)
{
	uint16_t flags = sl_load_acquire(&o->ring[place % o->size].flags);
	bool wrap = oracle_wrap(o, place), avail_bit = flags >> 7 & 1, used_bit = flags >> 15;

	return avail_bit == wrap && used_bit == (used ? wrap : !wrap);
}

/* Does a side that asks by @event_index (split) or @event (packed) want to hear of [@from, @to)? */
static inline bool oracle_tell(const struct oracle *o, uint64_t from, uint64_t to, bool off,
			       uint16_t event_index, const struct virtq_packed_event *event)
{
	if (event) {
		uint16_t flags = sl_load_acquire(&event->flags);
		uint16_t off_wrap = sl_load_relaxed(&event->off_wrap);

		if (flags != 2)
			return flags == 0;
		for (uint64_t place = from; place < to; place++)
			if (place % o->size == (off_wrap & 0x7fff) &&
			    oracle_wrap(o, place) == off_wrap >> 15)
				return true;
		return false;
	}
	if (!o->event_idx)
		return !off;
	for (uint64_t place = from; place < to; place++)
		if ((uint16_t)place == event_index)
			return true;
	return false;
}

static inline void oracle_ask(const struct oracle *o, struct virtq_packed_event *event,
			      uint64_t place, bool on)
{
	uint16_t wrap = oracle_wrap(o, place) ? 0x8000 : 0;

	if (o->event_idx)
		sl_store_relaxed(&event->off_wrap, (uint16_t)(place % o->size | wrap));
	sl_store_release(&event->flags, on ? (o->event_idx ? 2 : 0) : 1);
}

/*
 * The device's side.
 */

static inline bool oracle_has_avail(const struct oracle *o)
{
	if (o->packed)
		return oracle_flags_are(o, o->avail, false);
	return sl_load_acquire(&o->avail_ring->idx) != (uint16_t)o->avail;
}

static inline void oracle_elem(struct oracle_chain *c, uint64_t addr, uint32_t len, unsigned flags)
{
	if (c->n < ORACLE_ELEMS)
		c->elems[c->n] = (struct oracle_elem){addr, len, flags & VIRTQ_DESC_F_WRITE};
	c->n++;
}

static inline void oracle_split_chain(const struct oracle *o, const struct virtq_desc *table,
				      unsigned at, struct oracle_chain *c)
{
	for (;; at = table[at].next) {
		const struct virtq_desc *d = &table[at];

		c->descs++;
		if (d->flags & VIRTQ_DESC_F_INDIRECT)
			oracle_split_chain(o, (void *)(o->base + (d->addr - o->iova)), 0, c);
		else
			oracle_elem(c, d->addr, d->len, d->flags);
		if (!(d->flags & VIRTQ_DESC_F_NEXT))
			return;
	}
}

static inline void oracle_packed_chain(const struct oracle *o, struct oracle_chain *c)
{
	const struct virtq_packed_desc *d;

	do {
		d = &o->ring[(o->avail + c->descs++) % o->size];
		c->id = d->id;
		if (!(d->flags & VIRTQ_DESC_F_INDIRECT)) {
			oracle_elem(c, d->addr, d->len, d->flags);
			continue;
		}
		const struct virtq_packed_desc *t = (void *)(o->base + (d->addr - o->iova));

		for (unsigned i = 0; i < d->len / 16; i++)
			oracle_elem(c, t[i].addr, t[i].len, t[i].flags);
	} while (d->flags & VIRTQ_DESC_F_NEXT);
}

static inline bool oracle_take(struct oracle *o, struct oracle_chain *c)
{
	if (!oracle_has_avail(o))
		return false;
	*c = (struct oracle_chain){0};
	if (o->packed) {
		oracle_packed_chain(o, c);
		o->avail += c->descs;
	} else {
		c->id = o->avail_ring->ring[o->avail++ % o->size];
		oracle_split_chain(o, o->desc, c->id, c);
		c->descs = 1;
	}
	return true;
}

/* Use the buffer @id; it stands for a batch that takes @descs. True: the driver wants to know. */
static inline bool oracle_put(struct oracle *o, uint16_t id, unsigned descs, uint32_t len)
{
	uint64_t old = o->used;

	o->used += descs;
	if (o->packed) {
		struct virtq_packed_desc *d = &o->ring[old % o->size];
		unsigned flags = (oracle_wrap(o, old) ? 0x8080 : 0) | (len ? 2 : 0);

		sl_store_relaxed(&d->id, id);
		sl_store_relaxed(&d->len, len ? len : UINT32_MAX); /* without WRITE: ignored */
		sl_store_release(&d->flags, (uint16_t)flags);
		sl_fence_seq_cst();
		return oracle_tell(o, old, o->used, false, 0, o->driver_event);
	}
	sl_store_relaxed(&o->used_ring->ring[old % o->size].id, id);
	sl_store_relaxed(&o->used_ring->ring[old % o->size].len, len);
	sl_store_release(&o->used_ring->idx, (uint16_t)o->used);
	sl_fence_seq_cst();
	return oracle_tell(o, old, o->used, sl_load_relaxed(&o->avail_ring->flags),
			   sl_load_relaxed(&o->avail_ring->ring[o->size]), NULL);
}

/* Ask to hear of the next buffer, or of none. True: there is one already. */
static inline bool oracle_device_ask(const struct oracle *o, bool on)
{
	if (o->packed)
		oracle_ask(o, o->device_event, o->avail, on);
	else if (o->event_idx)
		sl_store_relaxed(sl_virtq_avail_event(o->used_ring, o->size),
				 (uint16_t)(on ? o->avail : o->avail - 1));
	else
		sl_store_relaxed(&o->used_ring->flags, on ? 0 : VIRTQ_USED_F_NO_NOTIFY);
	sl_fence_seq_cst();
	return oracle_has_avail(o);
}

#endif
