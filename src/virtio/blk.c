/* SPDX-License-Identifier: BSD-2-Clause */
/* Block device, virtio 1.2, 5.2. */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "virtio/blk.h"

#define CAPACITY_MAX (UINT64_C(1) << 54) /* sectors: 2^63 bytes */
#define BLOCK_MAX    (1u << 20)
#define UNSAID	     UINT8_MAX

int sl_virtio_blk_start(struct virtio *v, uint64_t more)
{
	uint64_t wanted = VIRTIO_BIT(VIRTIO_F_EVENT_IDX) | VIRTIO_BIT(VIRTIO_BLK_F_SIZE_MAX) |
			  VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) | VIRTIO_BIT(VIRTIO_BLK_F_RO) |
			  VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) |
			  VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY) | VIRTIO_BIT(VIRTIO_BLK_F_MQ) |
			  VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) | VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES);

	return sl_virtio_start(v, wanted | more, NULL);
}

/*
 * Configuration.
 */

#define END_OF(field)                                                                              \
	(offsetof(struct virtio_blk_config, field) +                                               \
	 sizeof(((struct virtio_blk_config *)NULL)->field))

/* As much as the features say that there is; in one piece, so that it goes together. */
static size_t config_len(const struct virtio *v)
{
	static const struct {
		uint8_t feature, len;
	} parts[] = {
		{VIRTIO_BLK_F_WRITE_ZEROES, END_OF(write_zeroes_may_unmap)},
		{VIRTIO_BLK_F_DISCARD, END_OF(discard_sector_alignment)},
		{VIRTIO_BLK_F_MQ, END_OF(num_queues)},
		{VIRTIO_BLK_F_TOPOLOGY, END_OF(opt_io_size)},
		{VIRTIO_BLK_F_BLK_SIZE, END_OF(blk_size)},
		{VIRTIO_BLK_F_SEG_MAX, END_OF(seg_max)},
		{VIRTIO_BLK_F_SIZE_MAX, END_OF(size_max)},
	};

	for (unsigned i = 0; i < sl_array_len(parts); i++)
		if (sl_virtio_has(v, parts[i].feature))
			return parts[i].len;
	return END_OF(capacity);
}

static void take_config(const struct virtio *v, const struct virtio_blk_config *config,
			struct virtio_blk_state *state)
{
	*state = (struct virtio_blk_state){
		.capacity = config->capacity,
		.block_size = VIRTIO_BLK_SECTOR,
		.piece_max = UINT32_MAX,
		.pieces_max = 1,
		.discard_align = 1,
		.queues = 1,
		.read_only = sl_virtio_has(v, VIRTIO_BLK_F_RO),
		.flush = sl_virtio_has(v, VIRTIO_BLK_F_FLUSH),
	};
	/* qemu-storage-daemon offers it, and says 0. */
	if (sl_virtio_has(v, VIRTIO_BLK_F_SIZE_MAX) && config->size_max)
		state->piece_max = config->size_max;
	if (sl_virtio_has(v, VIRTIO_BLK_F_SEG_MAX))
		state->pieces_max = sl_min(config->seg_max, VIRTIO_BLK_PIECES_MAX);
	if (sl_virtio_has(v, VIRTIO_BLK_F_BLK_SIZE))
		state->block_size = config->blk_size;
	state->physical = state->block_size;
	if (sl_virtio_has(v, VIRTIO_BLK_F_TOPOLOGY) && config->physical_block_exp < 16)
		state->physical <<= config->physical_block_exp;
	if (sl_virtio_has(v, VIRTIO_BLK_F_MQ))
		state->queues = config->num_queues;
	if (sl_virtio_has(v, VIRTIO_BLK_F_DISCARD) && config->max_discard_seg) {
		state->discard = config->max_discard_sectors;
		state->discard_align = sl_max(config->discard_sector_alignment, 1u);
	}
	if (sl_virtio_has(v, VIRTIO_BLK_F_WRITE_ZEROES) && config->max_write_zeroes_seg)
		state->write_zeroes = config->max_write_zeroes_sectors;
}

int sl_virtio_blk_state(struct virtio *v, struct virtio_blk_state *state)
{
	struct virtio_blk_config config = {0};
	int ret = sl_virtio_get_config(v, 0, &config, config_len(v));

	if (ret)
		return ret;
	take_config(v, &config, state);
	if (state->capacity > CAPACITY_MAX)
		return sl_fail(EINVAL, "the device says that it has %llu sectors",
			       (unsigned long long)state->capacity);
	if (state->block_size < VIRTIO_BLK_SECTOR || state->block_size > BLOCK_MAX ||
	    state->block_size & (state->block_size - 1))
		return sl_fail(EINVAL, "the device says that its blocks have %u bytes",
			       state->block_size);
	if (!state->pieces_max)
		return sl_fail(EINVAL, "the device says that a request has no data");
	if (!state->queues)
		return sl_fail(EINVAL, "the device says that it has no queues");
	return 0;
}

/*
 * Queues: in memory the virtqueue first, then slots, then tables of indirect descriptors.
 */

struct places {
	struct virtq_layout layout;
	size_t slots, tables, len;
	uint16_t table_len;
};

static struct places places_of(uint64_t features, uint16_t size, uint16_t depth)
{
	struct places p = {
		.layout = sl_virtq_layout(size, features & VIRTIO_BIT(VIRTIO_F_RING_PACKED)),
	};

	if (features & VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC))
		p.table_len = sl_min(VIRTIO_BLK_PIECES_MAX + 2, size); /* 2.7.5.3.1 */
	p.slots = (p.layout.len + sizeof(struct virtio_blk_slot) - 1) &
		  ~(sizeof(struct virtio_blk_slot) - 1);
	p.tables = p.slots + depth * sizeof(struct virtio_blk_slot);
	p.len = p.tables + (size_t)size * p.table_len * sizeof(struct virtq_desc);
	return p;
}

size_t sl_virtio_blk_memory(uint64_t features, uint16_t size, uint16_t depth)
{
	return places_of(features, size, depth).len;
}

/* The device area, and a byte of status for each request. */
size_t sl_virtio_blk_writable(uint16_t size, uint16_t depth)
{
	struct virtq_layout layout = sl_virtq_layout(size, false);

	return layout.len - layout.used + depth;
}

/* Where a request's status lies: in its slot, or with the other memory that the device writes. */
static void place_status(struct virtio_blk_queue *q)
{
	const struct virtio_blk_setup *s = &q->setup;
	size_t at = q->layout.len - q->layout.used;

	q->status = &q->slots->status;
	q->status_iova.value = q->slots_iova.value + offsetof(struct virtio_blk_slot, status);
	q->status_step = sizeof(struct virtio_blk_slot);
	if (!s->writable)
		return;
	q->status = (uint8_t *)s->writable + at;
	q->status_iova.value = s->writable_iova.value + at;
	q->status_step = 1;
}

int sl_virtio_blk_open(struct virtio_blk_queue *q, const struct virtio_blk_setup *setup)
{
	struct places p = places_of(setup->v->features, setup->size, setup->depth);
	struct virtq_options options = {
		.size = setup->size,
		.packed = sl_virtio_has(setup->v, VIRTIO_F_RING_PACKED),
		.event_idx = sl_virtio_has(setup->v, VIRTIO_F_EVENT_IDX),
		.in_order = sl_virtio_has(setup->v, VIRTIO_F_IN_ORDER),
		.table_len = p.table_len,
		.tables = (uint8_t *)setup->memory + p.tables,
		.iova = {setup->iova.value + p.tables},
		.device_area = setup->writable,
	};
	bool maps = setup->v->ops->map;
	int ret;

	*q = (struct virtio_blk_queue){
		.setup = *setup,
		.layout = p.layout,
		.slots = (void *)((uint8_t *)setup->memory + p.slots),
		.slots_iova = {setup->iova.value + p.slots},
	};
	place_status(q);
	if (!setup->depth)
		return sl_fail(EINVAL, "a queue of no requests");
	if (options.packed && setup->writable)
		return sl_fail(EINVAL, "a packed queue in two pieces");
	ret = sl_virtq_open(&q->vq, &options, setup->memory);
	if (ret)
		return ret;
	q->owner = calloc(setup->size, sizeof(*q->owner));
	q->mapped = maps ? calloc(setup->depth, sizeof(*q->mapped)) : NULL;
	if (q->owner && (q->mapped || !maps))
		return 0;
	sl_virtio_blk_close(q);
	return sl_fail(ENOMEM, "no memory for a queue");
}

void sl_virtio_blk_close(struct virtio_blk_queue *q)
{
	sl_virtq_close(&q->vq);
	free(q->owner);
	free(q->mapped);
	q->owner = NULL;
	q->mapped = NULL;
}

/* Behind the last buffer that the device gave back; what comes after it is the in-flight log's. */
static struct virtq_ring_state state_of(const struct virtq_driver *vq)
{
	bool wrap = vq->packed && vq->used_wrap;

	if (vq->packed)
		return (struct virtq_ring_state){vq->used_at, vq->used_at, wrap, wrap};
	return (struct virtq_ring_state){.avail = sl_load_acquire(&vq->used->idx)};
}

int sl_virtio_blk_enable(struct virtio_blk_queue *q)
{
	const struct virtio_blk_setup *s = &q->setup;
	uint64_t used = s->writable ? s->writable_iova.value : s->iova.value + q->layout.used;

	return s->v->ops->queue_enable(s->v, s->queue,
				       &(struct virtio_queue){
					       .size = s->size,
					       .desc = {s->iova.value + q->layout.desc},
					       .avail = {s->iova.value + q->layout.avail},
					       .used = {used},
					       .vector = s->queue,
					       .state = state_of(&q->vq),
				       });
}

/*
 * Requests.
 */

static bool device_writes(uint32_t type)
{
	return type == VIRTIO_BLK_T_IN;
}

static bool has_range(uint32_t type)
{
	return type == VIRTIO_BLK_T_DISCARD || type == VIRTIO_BLK_T_WRITE_ZEROES;
}

/*
 * Data of a transport that maps.
 */

/* @len: bytes that the device has written */
static void unmap(struct virtio_blk_queue *q, struct virtio_blk_mapped *m, uint32_t len)
{
	struct virtio *v = q->setup.v;

	for (unsigned i = 0; i < m->n; i++) {
		uint32_t here = sl_min(len, m->data[i].len);

		v->ops->unmap(v, m->data[i].addr, m->written ? here : 0);
		len -= here;
	}
	m->n = 0;
}

static int map(struct virtio_blk_queue *q, struct virtio_blk_mapped *m,
	       const struct virtio_blk_request *req)
{
	struct virtio *v = q->setup.v;
	uint8_t *at = req->buffer;
	int ret = 0;

	*m = (struct virtio_blk_mapped){.written = device_writes(req->type)};
	for (unsigned i = 0; i < req->n && i < VIRTIO_BLK_PIECES_MAX && !ret; i++) {
		m->data[i].len = req->data[i].len;
		ret = v->ops->map(v, at, m->data[i].len, m->written, &m->data[i].addr);
		at += m->data[i].len;
		m->n += !ret;
	}
	if (ret)
		unmap(q, m, 0);
	return ret;
}

static int add(struct virtio_blk_queue *q, uint16_t slot, const struct virtio_blk_request *req)
{
	struct virtio_blk_slot *s = &q->slots[slot];
	uint64_t at = q->slots_iova.value + slot * sizeof(*s);
	struct virtq_elem elems[VIRTIO_BLK_PIECES_MAX + 2];
	unsigned n = 0;
	int id;

	s->header = (struct virtio_blk_outhdr){
		.type = req->type,
		.sector = has_range(req->type) || req->type == VIRTIO_BLK_T_FLUSH ? 0 : req->sector,
	};
	q->status[slot * q->status_step] = UNSAID;
	elems[n++] = (struct virtq_elem){{at}, sizeof(s->header)};
	if (has_range(req->type)) {
		s->range = (struct virtio_blk_discard_write_zeroes){.sector = req->sector,
								    .num_sectors = req->count};
		elems[n++] = (struct virtq_elem){{at + offsetof(struct virtio_blk_slot, range)},
						 sizeof(s->range)};
	}
	for (unsigned i = 0; i < req->n && i < VIRTIO_BLK_PIECES_MAX; i++)
		elems[n++] = req->data[i];
	elems[n++] = (struct virtq_elem){{q->status_iova.value + slot * q->status_step}, 1};
	id = sl_virtq_add(&q->vq, elems, device_writes(req->type) ? 1 : n - 1, n);
	if (id < 0)
		return id;
	q->owner[id] = slot;
	return 0;
}

int sl_virtio_blk_add(struct virtio_blk_queue *q, uint16_t slot,
		      const struct virtio_blk_request *req)
{
	struct virtio_blk_request mapped = *req;
	struct virtio_blk_mapped *m;
	int ret;

	if (!q->mapped)
		return add(q, slot, req);
	m = &q->mapped[slot];
	ret = map(q, m, req);
	if (ret)
		return ret;
	mapped.data = m->data;
	ret = add(q, slot, &mapped);
	if (ret)
		unmap(q, m, 0);
	return ret;
}

bool sl_virtio_blk_publish(struct virtio_blk_queue *q)
{
	bool wanted = sl_virtq_publish(&q->vq);

	if (wanted)
		q->setup.v->ops->notify(q->setup.v, q->setup.queue);
	return wanted;
}

int sl_virtio_blk_get(struct virtio_blk_queue *q, uint8_t *status)
{
	uint32_t len;
	int id = sl_virtq_get(&q->vq, &len);

	if (id < 0)
		return id;
	*status = sl_load_relaxed(&q->status[q->owner[id] * q->status_step]);
	if (q->mapped)
		unmap(q, &q->mapped[q->owner[id]], len);
	return q->owner[id];
}
