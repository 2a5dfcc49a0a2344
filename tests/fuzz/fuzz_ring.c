/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes are calls of a link ring's two sides with arbitrary counts and indices. An
 * oracle of plain counters says what each must return; misuse, and a peer that lies
 * about its index, only ever ends in sl_ring_broken().
 */
#include "fuzz.h"

/* Included for its internals: lying peers, and indices that start near the wrap. */
#include "ring/ring.c"

#define FRAGS 64u

/* 64-bit, from 0: no wrap to get wrong. */
struct oracle {
	uint64_t end, reclaimed, begin, next;
	uint64_t end_seen, begin_seen;
	uint32_t size, start, frags;
	bool recall, broken;
	uint8_t chained[16]; /* fragments by entry, 0: not chained since it was reclaimed */
	bool done[16];
};

struct input {
	const uint8_t *data;
	size_t len;
};

static struct sl_ring *ring;
static struct oracle o;
static volatile uint64_t sink;

/* What holds as long as nobody broke the rules. */
#define CHECK(what) must(o.broken || (what))

static uint8_t take_byte(struct input *in)
{
	if (!in->len)
		return 0;
	in->len--;
	return *in->data++;
}

/* Mostly small counts, sometimes absurd ones. */
static uint32_t take_count(struct input *in)
{
	uint8_t byte = take_byte(in);

	return byte < 240 ? byte % (2 * o.size + 1) : UINT32_MAX >> (byte & 15);
}

/* The ring's index for one of the oracle's. */
static uint32_t ring_index(uint64_t index)
{
	return (uint32_t)index + o.start;
}

static void broken_when(bool is)
{
	o.broken |= is;
}

/* Everything that a count of ready entries lets one read is there to be read. */
static void read_entries(uint32_t at, uint32_t count)
{
	uint64_t sum = 0;

	for (uint32_t n = at; n != at + count; n++) {
		struct sl_packet *packet = sl_ring_packet(ring, n);

		for (uint32_t i = 0; i <= packet->more; i++)
			sum += sl_ring_frag(ring, packet, i)->len;
		sum += sl_ring_packet_len(ring, packet) + sl_ring_offload(ring, n)->flags;
	}
	sink = sum;
}

/*
 * The producer's calls.
 */

static void do_post(struct input *in)
{
	uint32_t at, room = sl_ring_room(ring, &at), count = take_count(in);
	uint64_t free = o.recall ? 0 : o.size - (o.end - o.reclaimed);

	CHECK(room == free && at == ring_index(o.end));
	for (uint32_t n = 0; n < sl_min(room, count) && room <= o.size; n++) {
		sl_ring_packet(ring, at + n)->cookie = at + n;
		if (!o.chained[(o.end + n) % o.size])
			sl_ring_packet(ring, at + n)->more = 0;
	}
	sl_ring_post(ring, count);
	broken_when(count > free);
	if (!o.broken)
		o.end += count;
}

static void do_chain(struct input *in)
{
	struct sl_frag frags[SL_PACKET_FRAGS_MAX] = {{.len = 1}};
	uint32_t ahead = take_byte(in) % (o.size + 1), count = take_byte(in) % 80;
	uint64_t entry = o.end + ahead;
	bool free = ahead < o.size - (o.end - o.reclaimed);
	int got;

	if (free && o.chained[entry % o.size])
		return; /* "once an entry" */
	got = sl_ring_chain(ring, ring_index(entry), frags, count);
	if (!count)
		CHECK(got == -EINVAL);
	else if (count > SL_PACKET_FRAGS_MAX)
		CHECK(got == -EMSGSIZE);
	else if (!free)
		broken_when(true);
	else if (count - 1 > FRAGS - o.frags)
		CHECK(got == -ENOSPC);
	else
		CHECK(got == 0);
	if (got || o.broken)
		return;
	o.frags += count - 1;
	o.chained[entry % o.size] = (uint8_t)count;
}

static void do_returned(struct input *in)
{
	uint32_t at, count = sl_ring_returned(ring, &at);

	(void)in;
	if (o.begin_seen == o.reclaimed)
		o.begin_seen = o.begin;
	CHECK(at == ring_index(o.reclaimed) && count == o.begin_seen - o.reclaimed);
	for (uint32_t n = 0; n < count && !o.broken; n++)
		CHECK(sl_ring_packet(ring, at + n)->cookie == (uint32_t)(at + n));
}

static void do_reclaim(struct input *in)
{
	uint32_t count = take_count(in);

	sl_ring_reclaim(ring, count);
	broken_when(count > o.begin_seen - o.reclaimed);
	for (; count && !o.broken; count--) {
		uint8_t *chained = &o.chained[o.reclaimed++ % o.size];

		o.frags -= *chained ? *chained - 1u : 0;
		*chained = 0;
	}
}

static void do_recall(struct input *in)
{
	(void)in;
	sl_ring_recall(ring);
	o.recall = true;
}

static void do_recall_done(struct input *in)
{
	bool done = sl_ring_recall_done(ring);

	(void)in;
	o.begin_seen = o.begin;
	CHECK(done == (o.begin == o.end));
	if (done)
		o.recall = false;
}

/*
 * The consumer's calls.
 */

static void do_ready(struct input *in)
{
	uint32_t at, count = sl_ring_ready(ring, &at);

	(void)in;
	if (o.end_seen == o.next)
		o.end_seen = o.end;
	CHECK(at == ring_index(o.next) && count == (o.recall ? 0 : o.end_seen - o.next));
	must(count <= o.size); /* broken or not */
	read_entries(at, count);
}

static void give_back_in_order(void)
{
	while (o.begin < o.next && o.done[o.begin % o.size])
		o.begin++;
}

static void do_take(struct input *in)
{
	uint32_t count = take_count(in);

	sl_ring_take(ring, count);
	broken_when(count > o.end_seen - o.next);
	for (; count && !o.broken; count--)
		o.done[o.next++ % o.size] = false;
}

static void do_consume(struct input *in)
{
	uint32_t count = take_count(in);

	sl_ring_consume(ring, count);
	broken_when(count > o.end_seen - o.next);
	for (; count && !o.broken; count--)
		o.done[o.next++ % o.size] = true;
	give_back_in_order();
}

static void do_done(struct input *in)
{
	uint32_t ahead = take_count(in);
	uint64_t entry = o.begin + ahead;

	sl_ring_done(ring, ring_index(entry));
	broken_when(ahead >= o.next - o.begin || o.done[entry % o.size]);
	if (o.broken)
		return;
	o.done[entry % o.size] = true;
	give_back_in_order();
}

static void do_yield(struct input *in)
{
	uint32_t dropped = sl_ring_yield(ring);

	(void)in;
	o.end_seen = o.end; /* read first, recalled or not */
	CHECK(dropped == (o.recall ? o.end - o.next : 0));
	if (o.recall)
		o.begin = o.next = o.end;
}

static void do_sleep(struct input *in)
{
	bool awake = sl_ring_consumer_sleep(ring);

	(void)in;
	CHECK(awake == (o.next != o.end || (o.recall && o.begin != o.end)));
	awake = sl_ring_producer_sleep(ring);
	CHECK(awake == (o.reclaimed != o.begin || (o.recall && o.begin == o.end)));
	sl_ring_wake_consumer(ring);
	sl_ring_wake_producer(ring);
}

/* From here on a peer lies: only that it does no harm is looked at, test_ring.c has the rest. */
static void do_lie(struct input *in)
{
	uint32_t by = take_count(in) + 1;

	if (by & 1)
		ring_of(ring)->producer.index += by;
	else
		ring_of(ring)->consumer.index += by;
	o.broken = true;
	break_ring(ring_of(ring), by & 1 ? SL_RING_PRODUCER : SL_RING_CONSUMER);
}

static void check_all(void)
{
	uint32_t at;

	must((sl_ring_broken(ring) != SL_RING_NEITHER) == o.broken);
	CHECK(sl_ring_in_flight(ring) == o.next - o.begin);
	CHECK(sl_ring_frag_room(ring) == FRAGS - o.frags);
	CHECK(sl_ring_recalled(ring) == o.recall);
	CHECK(sl_ring_room(ring, &at) == (o.recall ? 0 : o.size - (o.end - o.reclaimed)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const calls[])(struct input *) = {
		do_post, do_chain,   do_returned, do_reclaim, do_recall, do_recall_done, do_ready,
		do_take, do_consume, do_done,	  do_yield,   do_sleep,	 do_lie};
	struct input in = {data, size};
	struct ring *r;

	o = (struct oracle){.size = 1u << take_byte(&in) % 5};
	o.start = UINT32_MAX - take_byte(&in);
	if (sl_ring_create(&(struct sl_ring_config){o.size, FRAGS, -1, -1}, &ring))
		return 0;
	r = ring_of(ring);
	r->producer.index = r->consumer.index = o.start;
	r->p.end = r->p.begin = r->p.reclaimed = o.start;
	r->c.begin = r->c.next = r->c.end = o.start;
	r->p.frag_end = r->p.frag_reclaimed = o.start;
	while (in.len) {
		calls[take_byte(&in) % sl_array_len(calls)](&in);
		check_all();
	}
	sl_ring_release(ring);
	return 0;
}
