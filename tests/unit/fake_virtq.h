/* SPDX-License-Identifier: BSD-2-Clause */
/* The device's side of a split virtqueue for tests: honest unless the test makes it lie. An IOVA is
 * a pointer. */
#ifndef SL_TESTS_FAKE_VIRTQ_H
#define SL_TESTS_FAKE_VIRTQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtq/driver.h"

#define FAKE_CHAIN_MAX 64

/** struct fake_virtq - @avail_idx: buffers it took; @used_idx: buffers it gave back */
struct fake_virtq {
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
	uint16_t size;
	bool event_idx;
	uint16_t avail_idx, used_idx;
};

/** struct fake_chain - a buffer: @n_read elements to read, then the rest to write */
struct fake_chain {
	uint16_t head;
	unsigned n_read, n;
	struct {
		uint8_t *at;
		uint32_t len;
	} elems[FAKE_CHAIN_MAX];
};

static inline struct fake_virtq fake_virtq_at(void *memory, uint16_t size, bool event_idx)
{
	struct virtq_layout layout = sl_virtq_layout(size, false);

	return (struct fake_virtq){
		.desc = memory,
		.avail = (void *)((uint8_t *)memory + layout.avail),
		.used = (void *)((uint8_t *)memory + layout.used),
		.size = size,
		.event_idx = event_idx,
	};
}

/* Take the next buffer; false when there is none. */
static inline bool fake_virtq_pop(struct fake_virtq *vq, struct fake_chain *chain)
{
	uint16_t at;

	if (sl_load_acquire(&vq->avail->idx) == vq->avail_idx)
		return false;
	*chain = (struct fake_chain){.head = vq->avail->ring[vq->avail_idx++ % vq->size]};
	at = chain->head;
	for (;;) {
		const struct virtq_desc *desc = &vq->desc[at];

		chain->elems[chain->n].at = (uint8_t *)(uintptr_t)desc->addr;
		chain->elems[chain->n].len = desc->len;
		chain->n++;
		if (!(desc->flags & VIRTQ_DESC_F_WRITE))
			chain->n_read++;
		if (!(desc->flags & VIRTQ_DESC_F_NEXT) || chain->n == FAKE_CHAIN_MAX)
			return true;
		at = desc->next;
	}
}

/* Give a buffer back. Returns true when the driver wants an interrupt. */
static inline bool fake_virtq_push(struct fake_virtq *vq, uint32_t id, uint32_t len)
{
	uint16_t old = vq->used_idx++;

	vq->used->ring[old % vq->size] = (struct virtq_used_elem){id, len};
	sl_store_release(&vq->used->idx, vq->used_idx);
	sl_fence_seq_cst();
	if (vq->event_idx)
		return sl_virtq_need_event(*sl_virtq_used_event(vq->avail, vq->size), vq->used_idx,
					   old);
	return !(vq->avail->flags & VIRTQ_AVAIL_F_NO_INTERRUPT);
}

static inline bool fake_virtq_has_avail(const struct fake_virtq *vq)
{
	return sl_load_acquire(&vq->avail->idx) != vq->avail_idx;
}

/* Be told of the next buffer, or not at all. */
static inline void fake_virtq_listen(struct fake_virtq *vq, bool on)
{
	if (vq->event_idx)
		*sl_virtq_avail_event(vq->used, vq->size) =
			(uint16_t)(on ? vq->avail->idx : vq->avail->idx - 1);
	else
		vq->used->flags = on ? 0 : VIRTQ_USED_F_NO_NOTIFY;
}

#endif
