/* SPDX-License-Identifier: BSD-2-Clause */
/* The naive virtqueue's other side. It scatters what it chooses, ids and descriptors, unless the
 * device uses buffers in order. */
#ifndef SL_TESTS_VIRTQ_ORACLE_DRIVER_H
#define SL_TESTS_VIRTQ_ORACLE_DRIVER_H

#include "virtq_oracle.h"

/*
 * @busy:  ids (split: descriptors) that the device has; @descs, @owned: of each such buffer
 * @order: ids in the order in which they were made available
 * @batch: in order: buffers that are used up to here
 */
struct oracle_driver {
	struct oracle o;
	bool in_order;
	unsigned table_len;
	bool busy[VIRTQ_SIZE_MAX];
	unsigned descs[VIRTQ_SIZE_MAX];
	uint16_t owned[VIRTQ_SIZE_MAX][ORACLE_ELEMS];
	uint32_t writable[VIRTQ_SIZE_MAX];
	uint16_t order[VIRTQ_SIZE_MAX];
	uint64_t added, taken, batch;
	uint32_t batch_len;
	unsigned n_free, next;
};

static inline void oracle_driver_open(struct oracle_driver *d, const struct virtq_options *o,
				      void *memory, uint64_t start)
{
	memset(d, 0, sizeof(*d));
	d->o = oracle_at(o, memory, start);
	d->in_order = o->in_order;
	d->table_len = o->table_len;
	d->n_free = o->size;
}

/* A free id; some way from the last one, unless they have to be in ring order (2.7.5.1). */
static inline uint16_t oracle_pick(struct oracle_driver *d)
{
	if (!d->in_order)
		d->next = (d->next + d->added % 3) % d->o.size;
	while (d->busy[d->next])
		d->next = (d->next + 1) % d->o.size;
	d->busy[d->next] = true;
	return (uint16_t)d->next;
}

static inline uint16_t oracle_desc_flags(unsigned i, unsigned n_read, unsigned n)
{
	return (uint16_t)((i + 1 < n ? VIRTQ_DESC_F_NEXT : 0) |
			  (i >= n_read ? VIRTQ_DESC_F_WRITE : 0));
}

static inline uint16_t oracle_split_add(struct oracle_driver *d, const struct virtq_elem *elems,
					unsigned n_read, unsigned n, bool indirect)
{
	struct oracle *o = &d->o;
	uint16_t head = oracle_pick(d), at = head;
	size_t table_at = (size_t)head * d->table_len * sizeof(struct virtq_desc);
	struct virtq_desc *table = (void *)(o->base + table_at);

	d->owned[head][0] = head;
	for (unsigned i = 0; i < n; i++) {
		uint16_t next = (uint16_t)(i + 1);

		if (!indirect && i + 1 < n)
			next = d->owned[head][i + 1] = oracle_pick(d);
		(indirect ? &table[i] : &o->desc[at])[0] = (struct virtq_desc){
			elems[i].addr.value, elems[i].len, oracle_desc_flags(i, n_read, n), next};
		at = next;
	}
	if (indirect)
		o->desc[head] = (struct virtq_desc){o->iova + table_at, n * 16,
						    VIRTQ_DESC_F_INDIRECT, 0x5555};
	o->avail_ring->ring[o->avail++ % o->size] = head;
	sl_store_release(&o->avail_ring->idx, (uint16_t)o->avail);
	return head;
}

static inline uint16_t oracle_packed_add(struct oracle_driver *d, const struct virtq_elem *elems,
					 unsigned n_read, unsigned n, bool indirect)
{
	struct oracle *o = &d->o;
	uint16_t id = oracle_pick(d);
	size_t table_at = (size_t)id * d->table_len * sizeof(struct virtq_desc);
	struct virtq_packed_desc *table = (void *)(o->base + table_at);
	struct virtq_packed_desc list[ORACLE_ELEMS] = {0};
	unsigned descs = indirect ? 1 : n;

	d->owned[id][0] = id;
	for (unsigned i = 0; i < n; i++)
		(indirect ? table : list)[i] = (struct virtq_packed_desc){
			elems[i].addr.value, elems[i].len,
			i + 1 < n ? 0xaaaa : id, /* the last one's counts */
			oracle_desc_flags(i, n_read, n) & (indirect ? VIRTQ_DESC_F_WRITE : 0xffff)};
	if (indirect)
		list[0] = (struct virtq_packed_desc){o->iova + table_at, n * 16, id,
						     VIRTQ_DESC_F_INDIRECT};
	for (unsigned i = descs; i--;) { /* the first one last */
		uint64_t place = o->avail + i;
		struct virtq_packed_desc *to = &o->ring[place % o->size];

		to->addr = list[i].addr;
		to->len = list[i].len;
		to->id = list[i].id;
		sl_store_release(&to->flags, (uint16_t)(list[i].flags |
							(oracle_wrap(o, place) ? 0x80 : 0x8000)));
	}
	o->avail += descs;
	return id;
}

/* Returns an id, or -1 when there is no room; the device sees it at once. */
static inline int oracle_add(struct oracle_driver *d, const struct virtq_elem *elems,
			     unsigned n_read, unsigned n, bool *notify)
{
	struct oracle *o = &d->o;
	uint64_t old = o->avail;
	bool indirect = n > 1 && n <= d->table_len;
	unsigned descs = indirect ? 1 : n;
	uint16_t id;

	if (descs > d->n_free)
		return -1;
	id = (o->packed ? oracle_packed_add : oracle_split_add)(d, elems, n_read, n, indirect);
	d->n_free -= descs;
	d->descs[id] = descs;
	d->writable[id] = 0;
	for (unsigned i = n_read; i < n; i++)
		d->writable[id] += elems[i].len;
	d->order[d->added++ % o->size] = id;
	sl_fence_seq_cst();
	if (o->packed)
		*notify = oracle_tell(o, old, o->avail, false, 0, o->device_event);
	else
		*notify = oracle_tell(o, old, o->avail, sl_load_relaxed(&o->used_ring->flags),
				      sl_load_relaxed(sl_virtq_avail_event(o->used_ring, o->size)),
				      NULL);
	return id;
}

static inline bool oracle_has_used(const struct oracle_driver *d)
{
	if (d->taken < d->batch)
		return true;
	if (d->o.packed)
		return oracle_flags_are(&d->o, d->o.used, true);
	return sl_load_acquire(&d->o.used_ring->idx) != (uint16_t)d->o.used;
}

/* What the device says next. Returns an id. */
static inline uint16_t oracle_used(const struct oracle *o, uint32_t *len)
{
	if (o->packed) {
		const struct virtq_packed_desc *desc = &o->ring[o->used % o->size];

		*len = desc->flags & VIRTQ_DESC_F_WRITE ? desc->len : 0;
		return desc->id;
	}
	*len = o->used_ring->ring[o->used % o->size].len;
	return (uint16_t)o->used_ring->ring[o->used % o->size].id;
}

/* Returns an id; -1 when there is none. */
static inline int oracle_get(struct oracle_driver *d, uint32_t *len)
{
	uint16_t id = d->order[d->taken % d->o.size];

	if (!oracle_has_used(d))
		return -1;
	if (!d->in_order) {
		id = oracle_used(&d->o, &d->batch_len);
		d->batch = d->taken + 1;
	} else if (d->taken == d->batch) {
		uint16_t last = oracle_used(&d->o, &d->batch_len);

		while (d->order[d->batch++ % d->o.size] != last)
			;
	}
	*len = ++d->taken == d->batch ? d->batch_len : d->writable[id];
	d->o.used += d->o.packed ? d->descs[id] : 1;
	d->n_free += d->descs[id];
	for (unsigned i = 0; i < (d->o.packed ? 1 : d->descs[id]); i++)
		d->busy[d->owned[id][i]] = false;
	return id;
}

/* Ask to hear when more than @after are used, or of nothing. True: some are. */
static inline bool oracle_driver_ask(const struct oracle_driver *d, unsigned after, bool on)
{
	const struct oracle *o = &d->o;

	if (o->packed)
		oracle_ask(o, o->driver_event, o->used + after % o->size, on);
	else if (o->event_idx)
		sl_store_relaxed(&o->avail_ring->ring[o->size],
				 (uint16_t)(on ? o->used + after : o->used - 1));
	else
		sl_store_relaxed(&o->avail_ring->flags, on ? 0 : VIRTQ_AVAIL_F_NO_INTERRUPT);
	sl_fence_seq_cst();
	return oracle_has_used(d);
}

#endif
