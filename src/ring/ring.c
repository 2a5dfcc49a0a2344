/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The link ring: docs/ring.md is the contract. Indices are free-running; a count
 * is a difference of two, right across the wrap of 2^32.
 */
#include <stdlib.h>

#include <sluice/consumer.h>
#include <sluice/producer.h>

#include "base/barrier.h"
#include "base/bytes.h"
#include "base/fd.h"
#include "base/memory.h"
#include "base/reason.h"
#include "ring/freeze.h"

#define SIZE_LIMIT  32768u
#define FRAGS_LIMIT (SIZE_LIMIT * SL_PACKET_FRAGS_MAX)

#define LINE	    __attribute__((aligned(SL_LINE)))

/* The line that one side writes and the other side reads. */
struct shared {
	LINE uint32_t index;  /* the producer's is end, the consumer's is begin */
	uint32_t need_wakeup; /* this side sleeps or is about to */
	uint32_t recall;      /* the producer's only: give everything back */
};

struct ring {
	struct sl_ring arrays;
	uint8_t *done; /* the consumer's marks, one an entry */
	uint32_t size;
	int consumer_event;
	int producer_event;
	uint32_t broken; /* enum sl_ring_side, of who broke it; nobody clears it */

	struct shared producer;
	struct shared consumer;

	struct {
		LINE uint32_t end;
		uint32_t begin;	    /* the consumer's index as last read */
		uint32_t reclaimed; /* what lies before it is free to fill */
		uint32_t frag_end;
		uint32_t frag_reclaimed;
		bool recalling;
	} p; /* private to the producer */
	struct {
		LINE uint32_t begin;
		uint32_t next;
		uint32_t end; /* the producer's index as last read */
		bool frozen;
	} c; /* private to the consumer */
};

static inline struct ring *ring_of(const struct sl_ring *ring)
{
	return (struct ring *)(uintptr_t)ring;
}

static bool power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

int sl_ring_create(const struct sl_ring_config *config, struct sl_ring **out)
{
	struct ring *r;

	if (!power_of_two(config->size) || config->size > SIZE_LIMIT)
		return sl_fail(EINVAL, "a ring of %u entries: a power of two up to %u is needed",
			       config->size, SIZE_LIMIT);
	if (!power_of_two(config->frags) || config->frags < SL_PACKET_FRAGS_MAX ||
	    config->frags > FRAGS_LIMIT)
		return sl_fail(EINVAL,
			       "a ring of %u fragments: a power of two from %d to %u is needed",
			       config->frags, SL_PACKET_FRAGS_MAX, FRAGS_LIMIT);
	r = sl_alloc_lines(sizeof(*r));
	if (!r)
		return sl_fail(ENOMEM, "no memory for a ring");
	r->size = config->size;
	r->consumer_event = config->consumer_event;
	r->producer_event = config->producer_event;
	r->arrays.mask = config->size - 1;
	r->arrays.frag_mask = config->frags - 1;
	r->arrays.packets = sl_alloc_lines(config->size * sizeof(struct sl_packet));
	r->arrays.offloads = sl_alloc_lines(config->size * sizeof(struct sl_offload));
	r->arrays.frags = sl_alloc_lines(config->frags * sizeof(struct sl_frag));
	r->done = sl_alloc_lines(config->size);
	if (!r->arrays.packets || !r->arrays.offloads || !r->arrays.frags || !r->done) {
		sl_ring_release(&r->arrays);
		return sl_fail(ENOMEM, "no memory for a ring of %u entries", config->size);
	}
	*out = &r->arrays;
	return 0;
}

void sl_ring_release(struct sl_ring *ring)
{
	if (!ring)
		return;
	free(ring->packets);
	free(ring->offloads);
	free(ring->frags);
	free(ring_of(ring)->done);
	free(ring_of(ring));
}

enum sl_ring_side sl_ring_broken(const struct sl_ring *ring)
{
	return sl_load_relaxed(&ring_of(ring)->broken);
}

/* @who called with what cannot be, or its index as the other side read it cannot be. */
__attribute__((cold)) static bool break_ring(struct ring *r, enum sl_ring_side who)
{
	sl_store_relaxed(&r->broken, who);
	return false;
}

/*
 * The producer's side.
 */

uint32_t sl_ring_room(struct sl_ring *ring, uint32_t *at)
{
	const struct ring *r = ring_of(ring);

	*at = r->p.end;
	return r->p.recalling ? 0 : r->size - (r->p.end - r->p.reclaimed);
}

uint32_t sl_ring_frag_room(const struct sl_ring *ring)
{
	const struct ring *r = ring_of(ring);

	return ring->frag_mask + 1 - (r->p.frag_end - r->p.frag_reclaimed);
}

int sl_ring_chain(struct sl_ring *ring, uint32_t at, const struct sl_frag *frags, uint32_t count)
{
	struct ring *r = ring_of(ring);
	struct sl_packet *packet = sl_ring_packet(ring, at);

	if (!count)
		return sl_fail(EINVAL, "a packet needs a fragment");
	if (count > SL_PACKET_FRAGS_MAX)
		return sl_fail(EMSGSIZE, "%u fragments: a packet has %d at most", count,
			       SL_PACKET_FRAGS_MAX);
	if (at - r->p.end >= r->size - (r->p.end - r->p.reclaimed)) {
		break_ring(r, SL_RING_PRODUCER); /* it is the consumer's, or was not reclaimed */
		return sl_fail(EINVAL, "entry %u of the ring is not free", at);
	}
	if (count - 1 > sl_ring_frag_room(ring))
		return sl_fail(ENOSPC, "the ring's fragments are all in use");
	packet->frag = frags[0];
	packet->more = (uint8_t)(count - 1);
	packet->more_at = r->p.frag_end;
	for (uint32_t n = 1; n < count; n++)
		*sl_ring_frag(ring, packet, n) = frags[n];
	r->p.frag_end += count - 1;
	return 0;
}

void sl_ring_post(struct sl_ring *ring, uint32_t count)
{
	struct ring *r = ring_of(ring);
	uint32_t at;

	if (count > sl_ring_room(ring, &at)) {
		break_ring(r, SL_RING_PRODUCER);
		return;
	}
	r->p.end = at + count;
	/* Release: whoever sees this end sees the entries and fragments before it. */
	sl_store_release(&r->producer.index, r->p.end);
}

/* Read begin again. It never goes back, nor past what was handed over. */
static bool refresh_begin(struct ring *r)
{
	/* Acquire: the consumer's last access to a buffer came before this begin. */
	uint32_t begin = sl_load_acquire(&r->consumer.index);

	if (begin - r->p.begin > r->p.end - r->p.begin)
		return break_ring(r, SL_RING_CONSUMER);
	r->p.begin = begin;
	return true;
}

uint32_t sl_ring_returned(struct sl_ring *ring, uint32_t *at)
{
	struct ring *r = ring_of(ring);

	*at = r->p.reclaimed;
	if (r->p.begin == r->p.reclaimed && !refresh_begin(r))
		return 0;
	return r->p.begin - r->p.reclaimed;
}

void sl_ring_reclaim(struct sl_ring *ring, uint32_t count)
{
	struct ring *r = ring_of(ring);
	uint32_t at = r->p.reclaimed;

	if (count > r->p.begin - r->p.reclaimed) {
		break_ring(r, SL_RING_PRODUCER);
		return;
	}
	r->p.reclaimed += count;
	for (; count && r->p.frag_end != r->p.frag_reclaimed; count--) {
		uint32_t more = sl_ring_packet(ring, at++)->more;

		if (more > r->p.frag_end - r->p.frag_reclaimed) {
			/* an entry posted with more fragments than chained */
			break_ring(r, SL_RING_PRODUCER);
			return;
		}
		r->p.frag_reclaimed += more;
	}
}

void sl_ring_recall(struct sl_ring *ring)
{
	struct ring *r = ring_of(ring);

	r->p.recalling = true;
	sl_store_release(&r->producer.recall, 1);
}

bool sl_ring_recall_done(struct sl_ring *ring)
{
	struct ring *r = ring_of(ring);

	if (!refresh_begin(r) || r->p.begin != r->p.end)
		return false;
	r->p.recalling = false;
	/* Ordered before the next end by that one's release: see sl_ring_yield(). */
	sl_store_relaxed(&r->producer.recall, 0);
	return true;
}

/*
 * The consumer's side.
 */

/* Read end again. It never goes back, and no delta above the size is believed. */
static bool refresh_end(struct ring *r)
{
	/* Acquire: pairs with the release in sl_ring_post(). */
	uint32_t end = sl_load_acquire(&r->producer.index);

	if (end - r->c.end > r->size - (r->c.end - r->c.begin))
		return break_ring(r, SL_RING_PRODUCER);
	r->c.end = end;
	return true;
}

bool sl_ring_recalled(struct sl_ring *ring)
{
	return sl_load_acquire(&ring_of(ring)->producer.recall);
}

uint32_t sl_ring_ready(struct sl_ring *ring, uint32_t *at)
{
	struct ring *r = ring_of(ring);

	*at = r->c.next;
	if (r->c.end == r->c.next && (r->c.frozen || !refresh_end(r)))
		return 0;
	if (r->c.end == r->c.next || sl_ring_recalled(ring))
		return 0;
	return r->c.end - r->c.next;
}

void sl_ring_freeze(struct sl_ring *ring, bool frozen)
{
	ring_of(ring)->c.frozen = frozen;
}

static void give_back(struct ring *r, uint32_t begin)
{
	r->c.begin = begin;
	/* Release: the last access to the buffers before it comes before it. */
	sl_store_release(&r->consumer.index, begin);
}

void sl_ring_take(struct sl_ring *ring, uint32_t count)
{
	struct ring *r = ring_of(ring);

	if (count > r->c.end - r->c.next) {
		break_ring(r, SL_RING_CONSUMER);
		return;
	}
	for (; count; count--)
		r->done[r->c.next++ & ring->mask] = 0;
}

void sl_ring_done(struct sl_ring *ring, uint32_t at)
{
	struct ring *r = ring_of(ring);
	uint32_t begin = r->c.begin;

	if (at - begin >= r->c.next - begin || r->done[at & ring->mask]) {
		break_ring(r, SL_RING_CONSUMER);
		return;
	}
	r->done[at & ring->mask] = 1;
	while (begin != r->c.next && r->done[begin & ring->mask])
		begin++;
	if (begin != r->c.begin)
		give_back(r, begin);
}

void sl_ring_consume(struct sl_ring *ring, uint32_t count)
{
	struct ring *r = ring_of(ring);
	uint32_t at = r->c.next;

	if (count > r->c.end - at) {
		break_ring(r, SL_RING_CONSUMER);
		return;
	}
	if (r->c.begin == at) { /* nothing in flight: no marks needed */
		r->c.next = at + count;
		give_back(r, at + count);
		return;
	}
	sl_ring_take(ring, count);
	for (; count; count--)
		sl_ring_done(ring, at++);
}

void sl_ring_abandon(struct sl_ring *ring)
{
	struct ring *r = ring_of(ring);

	give_back(r, r->c.next);
}

uint32_t sl_ring_in_flight(const struct sl_ring *ring)
{
	return ring_of(ring)->c.next - ring_of(ring)->c.begin;
}

uint32_t sl_ring_yield(struct sl_ring *ring)
{
	struct ring *r = ring_of(ring);
	uint32_t dropped;

	/* end first, recall second: a recall that is over was cleared before the next end was
	 * stored, so fresh packets are never taken for recalled ones. */
	if (!refresh_end(r) || !sl_ring_recalled(ring))
		return 0;
	dropped = r->c.end - r->c.next;
	r->c.next = r->c.end;
	give_back(r, r->c.end);
	return dropped;
}

/*
 * Sleep and wakeup. Each side stores, fences, then loads what the other stores:
 * at least one of them sees the other's store (C17, 7.17.3p10 ff.), so either the
 * sleeper stays awake or it is woken.
 */

static bool stay_awake(struct shared *own, const uint32_t *theirs, uint32_t seen)
{
	sl_store_relaxed(&own->need_wakeup, 1);
	sl_fence_seq_cst();
	if (sl_load_relaxed(theirs) == seen)
		return false;
	sl_store_relaxed(&own->need_wakeup, 0);
	return true;
}

static void wake(struct shared *other, int event)
{
	if (event < 0)
		return; /* both sides on one worker: it does not sleep on this */
	sl_fence_seq_cst();
	if (!sl_load_relaxed(&other->need_wakeup))
		return;
	/* Before the signal: a sleeper that sets it again in between is woken by it. */
	sl_store_relaxed(&other->need_wakeup, 0);
	sl_event_signal(event);
}

bool sl_ring_consumer_sleep(struct sl_ring *ring)
{
	struct ring *r = ring_of(ring);

	if (r->c.end != r->c.next || stay_awake(&r->consumer, &r->producer.index, r->c.end))
		return true;
	return sl_ring_recalled(ring) && r->c.begin != r->c.end;
}

bool sl_ring_blocked_sleep(struct sl_ring *ring)
{
	sl_store_relaxed(&ring_of(ring)->consumer.need_wakeup, 1);
	sl_fence_seq_cst();
	return sl_ring_recalled(ring);
}

bool sl_ring_producer_sleep(struct sl_ring *ring)
{
	struct ring *r = ring_of(ring);

	/* sl_ring_returned() may have seen the last of a recall come back. */
	if (r->p.recalling && r->p.begin == r->p.end)
		return true;
	return r->p.begin != r->p.reclaimed ||
	       stay_awake(&r->producer, &r->consumer.index, r->p.begin);
}

void sl_ring_wake_consumer(struct sl_ring *ring)
{
	struct ring *r = ring_of(ring);

	wake(&r->consumer, r->consumer_event);
}

void sl_ring_wake_producer(struct sl_ring *ring)
{
	struct ring *r = ring_of(ring);

	wake(&r->producer, r->producer_event);
}
