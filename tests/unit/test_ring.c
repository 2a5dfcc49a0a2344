/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract of the link ring, rule by rule: docs/ring.md names the test of each.
 * The ring's source is included, not linked: some tests start near the wrap of
 * 2^32, or play a peer that breaks the rules.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/eventfd.h>

#include "ring/ring.c"

#define SIZE  8u
#define FRAGS 64u

static uint8_t memory[4096];

static struct sl_ring *ring_at(uint32_t size, uint32_t frags, uint32_t index)
{
	struct sl_ring_config config = {size, frags, -1, -1};
	struct sl_ring *ring;
	struct ring *r;

	assert_int_equal(sl_ring_create(&config, &ring), 0);
	r = ring_of(ring);
	r->producer.index = r->consumer.index = index;
	r->p.end = r->p.begin = r->p.reclaimed = index;
	r->c.begin = r->c.next = r->c.end = index;
	return ring;
}

static struct sl_ring *ring_new(void)
{
	return ring_at(SIZE, FRAGS, 0);
}

/* Post packets whose cookies count up from @cookie. */
static void post(struct sl_ring *ring, uint32_t count, uint64_t cookie)
{
	uint32_t at;

	assert_true(sl_ring_room(ring, &at) >= count);
	for (uint32_t n = 0; n < count; n++)
		*sl_ring_packet(ring, at + n) = (struct sl_packet){
			.frag = {.addr = memory, .len = 64}, .cookie = cookie + n};
	sl_ring_post(ring, count);
}

static uint32_t ready(struct sl_ring *ring)
{
	uint32_t at;

	return sl_ring_ready(ring, &at);
}

static uint32_t room(struct sl_ring *ring)
{
	uint32_t at;

	return sl_ring_room(ring, &at);
}

static uint32_t returned(struct sl_ring *ring)
{
	uint32_t at;

	return sl_ring_returned(ring, &at);
}

static void assert_ok(struct sl_ring *ring)
{
	assert_false(sl_ring_broken(ring));
	sl_ring_release(ring);
}

static void assert_broken(struct sl_ring *ring, enum sl_ring_side who)
{
	assert_int_equal(sl_ring_broken(ring), who);
	sl_ring_release(ring);
}

/* Indices. */

static void packets_come_in_order(struct sl_ring *ring, uint32_t rounds)
{
	uint32_t sent = 0, seen = 0, home = 0, at, n;

	for (uint32_t round = 0; round < rounds; round++) {
		n = sl_min(room(ring), round % SIZE + 1);
		post(ring, n, sent);
		sent += n;
		n = sl_ring_ready(ring, &at);
		assert_int_equal(n, sent - seen);
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(sl_ring_packet(ring, at + i)->cookie, seen++);
		sl_ring_consume(ring, n);
		n = sl_ring_returned(ring, &at);
		assert_int_equal(n, seen - home);
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(sl_ring_packet(ring, at + i)->cookie, home++);
		sl_ring_reclaim(ring, n);
	}
	assert_true(sent > 2 * SIZE);
	assert_ok(ring);
}

static void test_order(void **state)
{
	(void)state;
	packets_come_in_order(ring_new(), 50);
}

static void test_order_across_wrap(void **state)
{
	(void)state;
	for (uint32_t before = 0; before <= 2 * SIZE; before++)
		packets_come_in_order(ring_at(SIZE, FRAGS, UINT32_MAX - before), 50);
}

static void test_ring_of_one(void **state)
{
	struct sl_ring *ring = ring_at(1, FRAGS, UINT32_MAX - 3);

	(void)state;
	for (uint64_t n = 0; n < 9; n++) {
		uint32_t at;

		post(ring, 1, n);
		assert_int_equal(room(ring), 0);
		assert_int_equal(sl_ring_ready(ring, &at), 1);
		assert_int_equal(sl_ring_packet(ring, at)->cookie, n);
		sl_ring_consume(ring, 1);
		assert_int_equal(returned(ring), 1);
		sl_ring_reclaim(ring, 1);
	}
	assert_ok(ring);
}

/* "No delta above size is believed." */

static void test_end_too_far(void **state)
{
	static const uint32_t lies[] = {SIZE + 1, SIZE + 100, 1u << 31, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < sl_array_len(lies); i++) {
		struct sl_ring *ring = ring_at(SIZE, FRAGS, UINT32_MAX - 2);

		ring_of(ring)->producer.index += lies[i];
		assert_int_equal(ready(ring), 0);
		assert_broken(ring, SL_RING_PRODUCER);
	}
}

static void test_end_too_far_with_packets_in_flight(void **state)
{
	struct sl_ring *ring = ring_new();

	(void)state;
	post(ring, 4, 0);
	assert_int_equal(ready(ring), 4);
	sl_ring_take(ring, 4);
	ring_of(ring)->producer.index = SIZE + 1; /* at most SIZE - 4 from next */
	assert_int_equal(ready(ring), 0);
	assert_broken(ring, SL_RING_PRODUCER);
}

static void test_end_goes_back(void **state)
{
	struct sl_ring *ring = ring_new();

	(void)state;
	post(ring, 6, 0);
	assert_int_equal(ready(ring), 6);
	sl_ring_take(ring, 2);
	sl_ring_recall(ring);
	ring_of(ring)->producer.index = 4; /* between next and what was seen */
	assert_int_equal(sl_ring_yield(ring), 0);
	assert_int_equal(sl_ring_in_flight(ring), 2);
	assert_broken(ring, SL_RING_PRODUCER);
}

static void test_begin_too_far(void **state)
{
	static const uint32_t lies[] = {4, SIZE, SIZE + 1, 1u << 31, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < sl_array_len(lies); i++) {
		struct sl_ring *ring = ring_at(SIZE, FRAGS, UINT32_MAX - 1);

		post(ring, 3, 0);
		ring_of(ring)->consumer.index += lies[i];
		assert_int_equal(returned(ring), 0);
		assert_int_equal(room(ring), SIZE - 3);
		assert_false(sl_ring_recall_done(ring));
		assert_broken(ring, SL_RING_CONSUMER);
	}
}

/* Counts that the caller makes up. */

static void test_post_more_than_free(void **state)
{
	struct sl_ring *ring = ring_new();

	(void)state;
	post(ring, 5, 0);
	sl_ring_post(ring, 4);
	assert_int_equal(ready(ring), 5);
	assert_broken(ring, SL_RING_PRODUCER);
}

static void test_take_more_than_ready(void **state)
{
	struct sl_ring *a = ring_new(), *b = ring_new();

	(void)state;
	post(a, 2, 0);
	post(b, 2, 0);
	assert_int_equal(ready(a) + ready(b), 4);
	sl_ring_take(a, 3);
	assert_int_equal(sl_ring_in_flight(a), 0);
	sl_ring_consume(b, 3);
	assert_int_equal(returned(b), 0);
	assert_broken(a, SL_RING_CONSUMER);
	assert_broken(b, SL_RING_CONSUMER);
}

static void test_reclaim_more_than_returned(void **state)
{
	struct sl_ring *ring = ring_new();

	(void)state;
	post(ring, 3, 0);
	assert_int_equal(ready(ring), 3);
	sl_ring_consume(ring, 2);
	assert_int_equal(returned(ring), 2);
	sl_ring_reclaim(ring, 3);
	assert_int_equal(room(ring), SIZE - 3);
	assert_broken(ring, SL_RING_PRODUCER);
}

static void test_done_outside_flight(void **state)
{
	static const uint32_t wrong[] = {2, 3, SIZE, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < sl_array_len(wrong); i++) {
		struct sl_ring *ring = ring_new();

		post(ring, 3, 0);
		assert_int_equal(ready(ring), 3);
		sl_ring_take(ring, 2);
		sl_ring_done(ring, wrong[i]);
		assert_int_equal(sl_ring_in_flight(ring), 2);
		assert_broken(ring, SL_RING_CONSUMER);
	}
}

static void test_done_twice(void **state)
{
	struct sl_ring *ring = ring_new();

	(void)state;
	post(ring, 3, 0);
	assert_int_equal(ready(ring), 3);
	sl_ring_take(ring, 3);
	sl_ring_done(ring, 1);
	sl_ring_done(ring, 1);
	assert_broken(ring, SL_RING_CONSUMER);
}

/* "Each side caches the other's index and refreshes it only when it looks full or empty." */

static void test_consumer_caches_end(void **state)
{
	struct sl_ring *ring = ring_new();

	(void)state;
	post(ring, 2, 0);
	assert_int_equal(ready(ring), 2);
	post(ring, 2, 2);
	assert_int_equal(ready(ring), 2);
	sl_ring_consume(ring, 2);
	assert_int_equal(ready(ring), 2);
	assert_ok(ring);
}

static void test_producer_caches_begin(void **state)
{
	struct sl_ring *ring = ring_new();

	(void)state;
	post(ring, 4, 0);
	assert_int_equal(ready(ring), 4);
	sl_ring_consume(ring, 1);
	assert_int_equal(returned(ring), 1);
	sl_ring_consume(ring, 2);
	assert_int_equal(returned(ring), 1);
	sl_ring_reclaim(ring, 1);
	assert_int_equal(returned(ring), 2);
	assert_ok(ring);
}

/* Fragments. */

static void chain(struct sl_ring *ring, uint32_t at, uint32_t count, uint16_t mark)
{
	struct sl_frag frags[SL_PACKET_FRAGS_MAX];

	for (uint32_t n = 0; n < count; n++)
		frags[n] = (struct sl_frag){memory + n, 10 + n, mark, (uint16_t)n};
	*sl_ring_packet(ring, at) = (struct sl_packet){.cookie = mark};
	assert_int_equal(sl_ring_chain(ring, at, frags, count), 0);
}

static void assert_chain(struct sl_ring *ring, uint32_t at, uint32_t count, uint16_t mark)
{
	struct sl_packet *packet = sl_ring_packet(ring, at);
	uint32_t len = 0;

	assert_int_equal(packet->more, count - 1);
	for (uint32_t n = 0; n < count; n++) {
		const struct sl_frag *frag = sl_ring_frag(ring, packet, n);

		assert_ptr_equal(frag->addr, memory + n);
		assert_int_equal(frag->len, 10 + n);
		assert_int_equal(frag->region, mark);
		assert_int_equal(frag->tailroom, n);
		len += frag->len;
	}
	assert_int_equal(sl_ring_packet_len(ring, packet), len);
}

static void test_chain(void **state)
{
	struct sl_ring *ring = ring_new();
	uint32_t at;

	(void)state;
	assert_int_equal(room(ring), SIZE);
	chain(ring, 0, 1, 7);
	chain(ring, 1, 3, 8);
	chain(ring, 2, 20, 9);
	assert_int_equal(sl_ring_frag_room(ring), FRAGS - 2 - 19);
	sl_ring_post(ring, 3);
	assert_int_equal(sl_ring_ready(ring, &at), 3);
	assert_chain(ring, at, 1, 7);
	assert_chain(ring, at + 1, 3, 8);
	assert_chain(ring, at + 2, 20, 9);
	assert_ok(ring);
}

/* Every position in the array, its wrap and the wrap of 2^32 included. */
static void test_chain_wraps(void **state)
{
	(void)state;
	for (uint32_t start = 0; start < FRAGS; start++) {
		struct sl_ring *ring = ring_at(SIZE, FRAGS, UINT32_MAX - 2);
		struct ring *r = ring_of(ring);
		uint32_t at;

		r->p.frag_end = r->p.frag_reclaimed = UINT32_MAX - start;
		for (uint16_t n = 0; n < 20; n++) {
			sl_ring_room(ring, &at);
			chain(ring, at, n % 17 + 1, n);
			sl_ring_post(ring, 1);
			assert_int_equal(sl_ring_ready(ring, &at), 1);
			assert_chain(ring, at, n % 17 + 1, n);
			sl_ring_consume(ring, 1);
			assert_int_equal(returned(ring), 1);
			sl_ring_reclaim(ring, 1);
			assert_int_equal(sl_ring_frag_room(ring), FRAGS);
		}
		assert_ok(ring);
	}
}

static void test_chain_limits(void **state)
{
	static struct sl_frag frags[SL_PACKET_FRAGS_MAX + 1];
	struct sl_ring *ring = ring_at(SIZE, 128, 0);

	(void)state;
	assert_int_equal(sl_ring_chain(ring, 0, frags, 0), -EINVAL);
	assert_int_equal(sl_ring_chain(ring, 0, frags, SL_PACKET_FRAGS_MAX + 1), -EMSGSIZE);
	assert_int_equal(sl_ring_chain(ring, 0, frags, UINT32_MAX), -EMSGSIZE);
	assert_int_equal(sl_ring_frag_room(ring), 128);
	assert_int_equal(sl_ring_chain(ring, 0, frags, SL_PACKET_FRAGS_MAX), 0);
	assert_int_equal(sl_ring_frag_room(ring), 128 - (SL_PACKET_FRAGS_MAX - 1));
	assert_ok(ring);
}

static void test_chain_no_space(void **state)
{
	struct sl_ring *ring = ring_new();
	struct sl_frag frags[4] = {{0}};

	(void)state;
	chain(ring, 0, 63, 1); /* 62 further ones: 2 are left */
	assert_int_equal(sl_ring_chain(ring, 1, frags, 4), -ENOSPC);
	assert_int_equal(sl_ring_frag_room(ring), 2);
	assert_int_equal(sl_ring_chain(ring, 1, frags, 3), 0);
	assert_int_equal(sl_ring_chain(ring, 2, frags, 2), -ENOSPC);
	assert_int_equal(sl_ring_chain(ring, 2, frags, 1), 0); /* none but the inline one */
	assert_int_equal(sl_ring_frag_room(ring), 0);
	assert_ok(ring);
}

static void test_reclaim_frees_fragments(void **state)
{
	struct sl_ring *ring = ring_new();

	(void)state;
	chain(ring, 0, 5, 1);
	chain(ring, 1, 1, 2);
	chain(ring, 2, 3, 3);
	sl_ring_post(ring, 3);
	assert_int_equal(ready(ring), 3);
	sl_ring_consume(ring, 3);
	assert_int_equal(returned(ring), 3);
	assert_int_equal(sl_ring_frag_room(ring), FRAGS - 6); /* returned is not reclaimed */
	sl_ring_reclaim(ring, 1);
	assert_int_equal(sl_ring_frag_room(ring), FRAGS - 2);
	sl_ring_reclaim(ring, 2);
	assert_int_equal(sl_ring_frag_room(ring), FRAGS);
	assert_ok(ring);
}

/* Chained but not yet posted: reclaiming others leaves those fragments alone. */
static void test_reclaim_keeps_unposted_chains(void **state)
{
	struct sl_ring *ring = ring_new();
	uint32_t at;

	(void)state;
	chain(ring, 0, 4, 1);
	sl_ring_post(ring, 1);
	chain(ring, 1, 6, 2);
	assert_int_equal(ready(ring), 1);
	sl_ring_consume(ring, 1);
	assert_int_equal(returned(ring), 1);
	sl_ring_reclaim(ring, 1);
	assert_int_equal(sl_ring_frag_room(ring), FRAGS - 5);
	sl_ring_post(ring, 1);
	assert_int_equal(sl_ring_ready(ring, &at), 1);
	assert_chain(ring, at, 6, 2);
	assert_ok(ring);
}

static void test_chain_entry_not_free(void **state)
{
	static const uint32_t wrong[] = {0, 2, SIZE, UINT32_MAX};
	struct sl_frag frag = {memory, 1, 0, 0};

	(void)state;
	for (size_t i = 0; i < sl_array_len(wrong); i++) {
		struct sl_ring *ring = ring_new();

		post(ring, 3, 5);
		assert_int_equal(sl_ring_chain(ring, wrong[i], &frag, 1), -EINVAL);
		assert_int_equal(sl_ring_packet(ring, 0)->frag.len, 64);
		assert_broken(ring, SL_RING_PRODUCER);
	}
}

static void test_more_fragments_than_chained(void **state)
{
	struct sl_ring *ring = ring_new();

	(void)state;
	chain(ring, 0, 3, 1);
	sl_ring_packet(ring, 0)->more = 60;
	sl_ring_post(ring, 1);
	assert_int_equal(ready(ring), 1);
	sl_ring_consume(ring, 1);
	assert_int_equal(returned(ring), 1);
	sl_ring_reclaim(ring, 1);
	assert_int_equal(sl_ring_frag_room(ring), FRAGS - 2);
	assert_broken(ring, SL_RING_PRODUCER);
}

/* Lending: "What lies behind begin is the producer's again", and nothing else is. */

static void test_only_begin_gives_back(void **state)
{
	struct sl_ring *ring = ring_new();

	(void)state;
	post(ring, 3, 0);
	assert_int_equal(returned(ring), 0);
	assert_int_equal(ready(ring), 3);
	assert_int_equal(returned(ring), 0);
	sl_ring_take(ring, 3);
	assert_int_equal(returned(ring), 0);
	sl_ring_done(ring, 0);
	assert_int_equal(returned(ring), 1);
	assert_ok(ring);
}

/* "may finish packets out of order", but "begin moves in order" */
static void test_done_in_every_order(void **state)
{
	(void)state;
	for (uint32_t order = 0; order < 5 * 5 * 5 * 5 * 5; order++) {
		struct sl_ring *ring = ring_at(SIZE, FRAGS, UINT32_MAX - 1);
		uint32_t at, back, digits = order, marked = 0, prefix = 0;

		post(ring, 5, 70);
		assert_int_equal(sl_ring_ready(ring, &at), 5);
		sl_ring_take(ring, 5);
		for (; digits && !(marked & 1u << digits % 5); digits /= 5) {
			sl_ring_done(ring, at + digits % 5);
			marked |= 1u << digits % 5;
			while (marked & 1u << prefix)
				prefix++;
			assert_int_equal(sl_ring_in_flight(ring), 5 - prefix);
		}
		assert_int_equal(sl_ring_returned(ring, &back), prefix);
		for (uint32_t n = 0; n < prefix; n++)
			assert_int_equal(sl_ring_packet(ring, back + n)->cookie, 70 + n);
		assert_ok(ring);
	}
}

static void test_take_clears_marks(void **state)
{
	struct sl_ring *ring = ring_new();

	(void)state;
	for (uint32_t lap = 0; lap < 5 * SIZE; lap += SIZE) {
		post(ring, SIZE, lap);
		assert_int_equal(ready(ring), SIZE);
		sl_ring_take(ring, SIZE);
		for (uint32_t n = SIZE; n-- > 1;)
			sl_ring_done(ring, lap + n);
		assert_int_equal(sl_ring_in_flight(ring), SIZE);
		sl_ring_done(ring, lap);
		assert_int_equal(returned(ring), SIZE);
		sl_ring_reclaim(ring, SIZE);
	}
	assert_ok(ring);
}

static void test_consume_behind_packets_in_flight(void **state)
{
	struct sl_ring *ring = ring_new();

	(void)state;
	post(ring, 4, 0);
	assert_int_equal(ready(ring), 4);
	sl_ring_take(ring, 2);
	sl_ring_consume(ring, 2);
	assert_int_equal(sl_ring_in_flight(ring), 4);
	sl_ring_done(ring, 1);
	assert_int_equal(returned(ring), 0);
	sl_ring_done(ring, 0);
	assert_int_equal(returned(ring), 4);
	assert_ok(ring);
}

/* A GRO buffer: three packets name it, it is back with the last of them. */
static void test_shared_buffer_returns_with_last(void **state)
{
	struct sl_ring *ring = ring_new();
	uint32_t at, n, named = 3;

	(void)state;
	post(ring, 3, 0);
	assert_int_equal(sl_ring_ready(ring, &at), 3);
	sl_ring_take(ring, 3);
	sl_ring_done(ring, 2);
	sl_ring_done(ring, 0);
	n = sl_ring_returned(ring, &at);
	sl_ring_reclaim(ring, n);
	named -= n;
	assert_int_equal(named, 2);
	sl_ring_done(ring, 1);
	named -= sl_ring_returned(ring, &at);
	assert_int_equal(named, 0);
	assert_ok(ring);
}

/* Rights and facts. */

static void test_flags_and_facts_travel(void **state)
{
	const struct sl_offload offload = {
		SL_OFFLOAD_NEEDS_CSUM, SL_GSO_TCPV4, 54, 1448, 34, 16, {0}};
	const struct sl_packet packet = {.frag = {memory + 64, 100, 3, 7},
					 .flags = SL_PACKET_WRITABLE | SL_PACKET_OFFLOAD,
					 .headroom = 64,
					 .cookie = UINT64_MAX};
	struct sl_ring *ring = ring_at(SIZE, FRAGS, UINT32_MAX);
	uint32_t at;

	(void)state;
	sl_ring_room(ring, &at);
	*sl_ring_packet(ring, at) = packet;
	*sl_ring_offload(ring, at) = offload;
	*sl_ring_packet(ring, at + 1) = (struct sl_packet){.frag = packet.frag};
	sl_ring_post(ring, 2);
	assert_int_equal(sl_ring_ready(ring, &at), 2);
	assert_memory_equal(sl_ring_packet(ring, at), &packet, sizeof(packet));
	assert_memory_equal(sl_ring_offload(ring, at), &offload, sizeof(offload));
	assert_int_equal(sl_ring_packet(ring, at + 1)->flags, 0); /* read-only unless marked */
	assert_ok(ring);
}

/* Back-pressure: "The link never drops because a ring is full". */

static void test_full_ring_has_no_room(void **state)
{
	struct sl_ring *ring = ring_new();
	uint32_t at;

	(void)state;
	post(ring, SIZE, 0);
	assert_int_equal(room(ring), 0);
	assert_int_equal(sl_ring_ready(ring, &at), SIZE);
	sl_ring_consume(ring, 3);
	assert_int_equal(room(ring), 0); /* not before it was reclaimed */
	assert_int_equal(returned(ring), 3);
	assert_int_equal(room(ring), 0);
	sl_ring_reclaim(ring, 3);
	assert_int_equal(room(ring), 3);
	post(ring, 3, SIZE);
	for (uint32_t n = 3; n < SIZE + 3; n += sl_ring_ready(ring, &at)) {
		uint32_t count = sl_ring_ready(ring, &at);

		for (uint32_t i = 0; i < count; i++)
			assert_int_equal(sl_ring_packet(ring, at + i)->cookie, at + i);
		sl_ring_consume(ring, count);
		if (at + count == SIZE + 3)
			break;
	}
	assert_int_equal(returned(ring), SIZE);
	assert_ok(ring);
}

static void test_nothing_moves_without_counts(void **state)
{
	struct sl_ring *ring = ring_new();

	(void)state;
	sl_ring_post(ring, 0);
	sl_ring_consume(ring, 0);
	sl_ring_take(ring, 0);
	sl_ring_reclaim(ring, 0);
	assert_int_equal(ready(ring) + returned(ring) + sl_ring_in_flight(ring), 0);
	assert_int_equal(room(ring), SIZE);
	assert_ok(ring);
}

/* Recall. */

static void test_recall_stops_both_sides(void **state)
{
	struct sl_ring *ring = ring_new();

	(void)state;
	post(ring, 4, 0);
	assert_false(sl_ring_recalled(ring));
	sl_ring_recall(ring);
	assert_true(sl_ring_recalled(ring));
	assert_int_equal(room(ring), 0);
	assert_int_equal(ready(ring), 0); /* "takes nothing new" */
	assert_false(sl_ring_recall_done(ring));
	assert_int_equal(sl_ring_yield(ring), 4);
	assert_int_equal(room(ring), 0); /* until the producer has seen it */
	assert_true(sl_ring_recall_done(ring));
	assert_false(sl_ring_recalled(ring));
	assert_int_equal(returned(ring), 4); /* the buffers come back as ever */
	sl_ring_reclaim(ring, 4);
	assert_int_equal(room(ring), SIZE);
	post(ring, SIZE, 10);
	assert_int_equal(ready(ring), SIZE);
	assert_ok(ring);
}

/* Finishing is done packet by packet, or all at once by the yield. */
static void test_recall_waits_for_flight(void **state)
{
	struct sl_ring *ring = ring_new();

	(void)state;
	post(ring, 4, 0);
	assert_int_equal(ready(ring), 4);
	sl_ring_take(ring, 3);
	sl_ring_recall(ring);
	sl_ring_done(ring, 1);
	assert_false(sl_ring_recall_done(ring));
	sl_ring_done(ring, 0);
	sl_ring_done(ring, 2);
	assert_int_equal(sl_ring_in_flight(ring), 0);
	assert_false(sl_ring_recall_done(ring)); /* one is handed over, not taken */
	assert_int_equal(sl_ring_yield(ring), 1);
	assert_true(sl_ring_recall_done(ring));
	assert_ok(ring);
}

/* The last entries of a recall are seen by sl_ring_returned(): nobody will signal any more. */
static void test_recall_over_is_no_time_to_sleep(void **state)
{
	struct sl_ring *ring = ring_new();

	(void)state;
	post(ring, 2, 0);
	sl_ring_recall(ring);
	assert_false(sl_ring_recall_done(ring));
	sl_ring_yield(ring);
	assert_int_equal(returned(ring), 2);
	sl_ring_reclaim(ring, 2);
	assert_true(sl_ring_producer_sleep(ring));
	assert_true(sl_ring_recall_done(ring));
	assert_false(sl_ring_producer_sleep(ring));
	assert_ok(ring);
}

static void test_yield_drops_only_untaken(void **state)
{
	struct sl_ring *ring = ring_at(SIZE, FRAGS, UINT32_MAX - 1);

	(void)state;
	post(ring, 5, 0);
	assert_int_equal(ready(ring), 5);
	sl_ring_take(ring, 2);
	sl_ring_recall(ring);
	assert_int_equal(sl_ring_yield(ring), 3);
	assert_int_equal(sl_ring_in_flight(ring), 0);
	assert_true(sl_ring_recall_done(ring));
	assert_int_equal(returned(ring), 5);
	assert_ok(ring);
}

static void test_ready_before_recall_may_be_taken(void **state)
{
	struct sl_ring *ring = ring_new();

	(void)state;
	post(ring, 2, 0);
	assert_int_equal(ready(ring), 2);
	sl_ring_recall(ring);
	sl_ring_consume(ring, 2);
	assert_true(sl_ring_recall_done(ring));
	assert_ok(ring);
}

/* A recall that is over is not answered again, and fresh packets are not dropped. */
static void test_recall_answered_once(void **state)
{
	struct sl_ring *ring = ring_new();

	(void)state;
	assert_int_equal(sl_ring_yield(ring), 0);
	post(ring, 2, 0);
	assert_int_equal(sl_ring_yield(ring), 0); /* nobody asked */
	sl_ring_recall(ring);
	assert_int_equal(sl_ring_yield(ring), 2);
	assert_int_equal(sl_ring_yield(ring), 0);
	assert_true(sl_ring_recall_done(ring));
	sl_ring_reclaim(ring, returned(ring));
	post(ring, 3, 0);
	assert_int_equal(sl_ring_yield(ring), 0);
	assert_int_equal(ready(ring), 3);
	assert_ok(ring);
}

static void test_recall_of_nothing(void **state)
{
	struct sl_ring *ring = ring_new();

	(void)state;
	sl_ring_recall(ring);
	assert_int_equal(room(ring), 0);
	assert_true(sl_ring_recall_done(ring));
	assert_int_equal(room(ring), SIZE);
	assert_ok(ring);
}

static void test_post_during_recall(void **state)
{
	struct sl_ring *ring = ring_new();

	(void)state;
	sl_ring_recall(ring);
	sl_ring_post(ring, 1);
	assert_int_equal(ring_of(ring)->producer.index, 0);
	assert_broken(ring, SL_RING_PRODUCER);
}

/* Sleep and wakeup. */

static struct sl_ring *ring_with_events(int *consumer, int *producer)
{
	struct sl_ring_config config = {SIZE, FRAGS, eventfd(0, EFD_NONBLOCK),
					eventfd(0, EFD_NONBLOCK)};
	struct sl_ring *ring;

	assert_true(config.consumer_event >= 0 && config.producer_event >= 0);
	assert_int_equal(sl_ring_create(&config, &ring), 0);
	*consumer = config.consumer_event;
	*producer = config.producer_event;
	return ring;
}

/* How often it was signalled since the last time. */
static uint64_t signals(int event)
{
	uint64_t count;

	return read(event, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void test_consumer_sleeps_and_is_woken(void **state)
{
	int consumer, producer;
	struct sl_ring *ring = ring_with_events(&consumer, &producer);

	(void)state;
	post(ring, 1, 0);
	sl_ring_wake_consumer(ring);
	assert_int_equal(signals(consumer), 0); /* it did not sleep */
	assert_true(sl_ring_consumer_sleep(ring));
	assert_int_equal(ready(ring), 1);
	sl_ring_consume(ring, 1);
	assert_false(sl_ring_consumer_sleep(ring));
	post(ring, 1, 1);
	sl_ring_wake_consumer(ring);
	post(ring, 1, 2);
	sl_ring_wake_consumer(ring);
	assert_int_equal(signals(consumer), 1); /* once a sleep */
	assert_int_equal(signals(producer), 0);
	close(consumer);
	close(producer);
	assert_ok(ring);
}

static void test_producer_sleeps_and_is_woken(void **state)
{
	int consumer, producer;
	struct sl_ring *ring = ring_with_events(&consumer, &producer);

	(void)state;
	post(ring, SIZE, 0);
	assert_false(sl_ring_producer_sleep(ring));
	assert_int_equal(ready(ring), SIZE);
	sl_ring_consume(ring, 2);
	sl_ring_wake_producer(ring);
	sl_ring_consume(ring, 1);
	sl_ring_wake_producer(ring);
	assert_int_equal(signals(producer), 1);
	assert_true(sl_ring_producer_sleep(ring)); /* not seen yet */
	assert_int_equal(returned(ring), 3);
	assert_true(sl_ring_producer_sleep(ring)); /* seen, not reclaimed */
	sl_ring_reclaim(ring, 3);
	assert_false(sl_ring_producer_sleep(ring));
	assert_int_equal(signals(consumer), 0);
	close(consumer);
	close(producer);
	assert_ok(ring);
}

/* Staying awake takes the flag back: the other side pays no signal. */
static void test_no_signal_for_the_awake(void **state)
{
	int consumer, producer;
	struct sl_ring *ring = ring_with_events(&consumer, &producer);

	(void)state;
	post(ring, 2, 0);
	assert_true(sl_ring_consumer_sleep(ring));
	assert_int_equal(ready(ring), 2);
	assert_true(sl_ring_consumer_sleep(ring));
	sl_ring_wake_consumer(ring);
	assert_int_equal(signals(consumer), 0);
	sl_ring_consume(ring, 1);
	assert_true(sl_ring_producer_sleep(ring));
	sl_ring_wake_producer(ring);
	assert_int_equal(signals(producer), 0);
	close(consumer);
	close(producer);
	assert_ok(ring);
}

static void test_recall_wakes_consumer(void **state)
{
	int consumer, producer;
	struct sl_ring *ring = ring_with_events(&consumer, &producer);

	(void)state;
	post(ring, 2, 0);
	assert_int_equal(ready(ring), 2);
	sl_ring_take(ring, 2);
	assert_false(sl_ring_consumer_sleep(ring)); /* waits for its hardware */
	sl_ring_recall(ring);
	sl_ring_wake_consumer(ring);
	assert_int_equal(signals(consumer), 1);
	assert_true(sl_ring_consumer_sleep(ring)); /* lent memory is asked for */
	assert_int_equal(sl_ring_yield(ring), 0);
	assert_false(sl_ring_consumer_sleep(ring)); /* answered */
	close(consumer);
	close(producer);
	assert_ok(ring);
}

static void test_shared_worker_is_not_signalled(void **state)
{
	struct sl_ring *ring = ring_new(); /* events -1 */

	(void)state;
	assert_false(sl_ring_consumer_sleep(ring));
	post(ring, 1, 0);
	sl_ring_wake_consumer(ring);
	assert_false(sl_ring_producer_sleep(ring));
	assert_int_equal(ready(ring), 1);
	sl_ring_consume(ring, 1);
	sl_ring_wake_producer(ring);
	assert_ok(ring);
}

/* Making one. */

static void test_invalid_configs(void **state)
{
	static const struct sl_ring_config wrong[] = {
		{0, 64, -1, -1},	  {3, 64, -1, -1},	 {65536, 64, -1, -1},
		{UINT32_MAX, 64, -1, -1}, {8, 0, -1, -1},	 {8, 32, -1, -1},
		{8, 65, -1, -1},	  {8, 1u << 22, -1, -1}, {8, UINT32_MAX, -1, -1},
	};
	struct sl_ring *ring = NULL;

	(void)state;
	for (size_t i = 0; i < sl_array_len(wrong); i++) {
		assert_int_equal(sl_ring_create(&wrong[i], &ring), -EINVAL);
		assert_non_null(strstr(sl_reason(), "a power of two"));
	}
	assert_null(ring);
}

static void test_limits_of_configs(void **state)
{
	static const struct sl_ring_config right[] = {{1, 64, -1, -1}, {32768, 2097152, -1, -1}};

	(void)state;
	for (size_t i = 0; i < sl_array_len(right); i++) {
		struct sl_ring *ring;

		assert_int_equal(sl_ring_create(&right[i], &ring), 0);
		assert_int_equal(room(ring), right[i].size);
		assert_int_equal(sl_ring_frag_room(ring), right[i].frags);
		assert_int_equal((uintptr_t)ring->packets % SL_LINE, 0);
		assert_ok(ring);
	}
	sl_ring_release(NULL);
}

/* What one side writes shares no line with what the other side writes. */
static void test_lines_are_not_shared(void **state)
{
	const size_t at[] = {offsetof(struct ring, producer), offsetof(struct ring, consumer),
			     offsetof(struct ring, p), offsetof(struct ring, c)};

	(void)state;
	for (size_t i = 0; i < sl_array_len(at); i++) {
		assert_int_equal(at[i] % SL_LINE, 0);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(at[i], at[k]);
	}
	assert_int_equal(sizeof(struct sl_packet), 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_order_across_wrap),
		cmocka_unit_test(test_ring_of_one),
		cmocka_unit_test(test_end_too_far),
		cmocka_unit_test(test_end_too_far_with_packets_in_flight),
		cmocka_unit_test(test_end_goes_back),
		cmocka_unit_test(test_begin_too_far),
		cmocka_unit_test(test_post_more_than_free),
		cmocka_unit_test(test_take_more_than_ready),
		cmocka_unit_test(test_reclaim_more_than_returned),
		cmocka_unit_test(test_done_outside_flight),
		cmocka_unit_test(test_done_twice),
		cmocka_unit_test(test_consumer_caches_end),
		cmocka_unit_test(test_producer_caches_begin),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_chain_wraps),
		cmocka_unit_test(test_chain_limits),
		cmocka_unit_test(test_chain_no_space),
		cmocka_unit_test(test_reclaim_frees_fragments),
		cmocka_unit_test(test_reclaim_keeps_unposted_chains),
		cmocka_unit_test(test_chain_entry_not_free),
		cmocka_unit_test(test_more_fragments_than_chained),
		cmocka_unit_test(test_only_begin_gives_back),
		cmocka_unit_test(test_done_in_every_order),
		cmocka_unit_test(test_take_clears_marks),
		cmocka_unit_test(test_consume_behind_packets_in_flight),
		cmocka_unit_test(test_shared_buffer_returns_with_last),
		cmocka_unit_test(test_flags_and_facts_travel),
		cmocka_unit_test(test_full_ring_has_no_room),
		cmocka_unit_test(test_nothing_moves_without_counts),
		cmocka_unit_test(test_recall_stops_both_sides),
		cmocka_unit_test(test_recall_waits_for_flight),
		cmocka_unit_test(test_recall_over_is_no_time_to_sleep),
		cmocka_unit_test(test_yield_drops_only_untaken),
		cmocka_unit_test(test_ready_before_recall_may_be_taken),
		cmocka_unit_test(test_recall_answered_once),
		cmocka_unit_test(test_recall_of_nothing),
		cmocka_unit_test(test_post_during_recall),
		cmocka_unit_test(test_consumer_sleeps_and_is_woken),
		cmocka_unit_test(test_producer_sleeps_and_is_woken),
		cmocka_unit_test(test_no_signal_for_the_awake),
		cmocka_unit_test(test_recall_wakes_consumer),
		cmocka_unit_test(test_shared_worker_is_not_signalled),
		cmocka_unit_test(test_invalid_configs),
		cmocka_unit_test(test_limits_of_configs),
		cmocka_unit_test(test_lines_are_not_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
