/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A producer and a consumer on two threads that really sleep: random bursts and
 * fragments, packets finished out of order, recalls now and then, across the wrap of
 * 2^32. The consumer checks every byte it is lent and scribbles on what it may; the
 * producer checks every byte that comes back. A sleep of ten seconds is a lost wakeup.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>

/* Included for its internals: the indices start near the wrap. */
#include "ring/ring.c"

#define PACKET_MAX  96u
#define SCRIBBLE    0x5a
#define UNMAPPED    0xdd
#define PATIENCE_MS 10000

struct stress {
	struct sl_ring *ring;
	uint32_t size, packets;
	int consumer_event, producer_event;
	uint8_t *memory;    /* PACKET_MAX bytes an entry, the cookie is the offset */
	uint32_t *sequence; /* of the packet in a buffer; the producer's own */
	uint32_t failed;
	uint64_t recalls, dropped, sleeps[2];
};

static uint32_t random_below(uint64_t *seed, uint32_t limit)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (uint32_t)(*seed >> 33) % limit;
}

/* What a packet is, is a matter of its sequence number. */
static uint32_t frags_of(uint32_t sequence)
{
	return sequence % 5 ? 1 : 1 + sequence / 5 % 7;
}

static uint32_t len_of(uint32_t sequence)
{
	return 8 + sequence % (PACKET_MAX - 8);
}

static bool writable(uint32_t sequence)
{
	return sequence % 3 == 0;
}

static uint8_t byte_of(uint32_t sequence, uint32_t n)
{
	return (uint8_t)((sequence * 2654435761u >> 24) + n);
}

static bool wrong(struct stress *s, const char *what, uint32_t sequence)
{
	if (!sl_load_relaxed(&s->failed))
		print_message("# %s, packet %u\n", what, sequence);
	sl_store_relaxed(&s->failed, 1);
	return false;
}

static bool doze(struct stress *s, int event, uint64_t *sleeps)
{
	struct pollfd fd = {.fd = event, .events = POLLIN};
	int n = poll(&fd, 1, PATIENCE_MS);

	(*sleeps)++;
	if (n != 1)
		return wrong(s, "a lost wakeup", 0);
	sl_event_clear(event);
	return true;
}

/*
 * The producer.
 */

static void fill(struct stress *s, uint32_t at, uint32_t sequence)
{
	uint32_t count = frags_of(sequence), len = len_of(sequence), done = 0;
	uint32_t buffer = at & s->ring->mask;
	uint8_t *bytes = s->memory + (size_t)buffer * PACKET_MAX;
	struct sl_packet *packet = sl_ring_packet(s->ring, at);
	struct sl_frag frags[8];

	for (uint32_t n = 0; n < len; n++)
		bytes[n] = byte_of(sequence, n);
	s->sequence[buffer] = sequence;
	for (uint32_t n = 0; n < count; n++) {
		uint32_t each = n + 1 == count ? len - done : len / count;

		frags[n] = (struct sl_frag){bytes + done, each, (uint16_t)n, 0};
		done += each;
	}
	packet->cookie = buffer;
	packet->flags = writable(sequence) ? SL_PACKET_WRITABLE : 0;
	packet->headroom = 0;
	if (sl_ring_chain(s->ring, at, frags, count))
		wrong(s, "no room for fragments", sequence);
}

/* A buffer that came back: scribbled on when allowed, else untouched. */
static bool check_home(struct stress *s, uint32_t at, bool recalled)
{
	uint32_t buffer = (uint32_t)sl_ring_packet(s->ring, at)->cookie;
	uint32_t sequence = s->sequence[buffer];
	const uint8_t *bytes = s->memory + (size_t)buffer * PACKET_MAX;
	bool used = writable(sequence);

	if (buffer != (at & s->ring->mask))
		return wrong(s, "a cookie changed", sequence);
	if (recalled && (bytes[0] != SCRIBBLE || bytes[1] != SCRIBBLE))
		used = false; /* dropped, unread */
	for (uint32_t n = 0; n < len_of(sequence); n++)
		if (bytes[n] != (used ? SCRIBBLE : byte_of(sequence, n)))
			return wrong(s, "a buffer came back with wrong bytes", sequence);
	return true;
}

static uint32_t take_home(struct stress *s, bool recalled)
{
	uint32_t at, count = sl_ring_returned(s->ring, &at);

	for (uint32_t n = 0; n < count; n++)
		if (!check_home(s, at + n, recalled))
			return 0;
	sl_ring_reclaim(s->ring, count);
	return count;
}

/* Ask for everything back, then make the memory unusable for a moment. */
static uint32_t recall(struct stress *s)
{
	uint32_t home = 0;

	s->recalls++;
	sl_ring_recall(s->ring);
	sl_ring_wake_consumer(s->ring);
	while (!sl_ring_recall_done(s->ring) && !sl_load_relaxed(&s->failed)) {
		home += take_home(s, true);
		if (!sl_ring_producer_sleep(s->ring))
			doze(s, s->producer_event, &s->sleeps[0]);
	}
	home += take_home(s, true);
	if (!sl_load_relaxed(&s->failed))
		memset(s->memory, UNMAPPED, (size_t)s->size * PACKET_MAX);
	return home;
}

static uint32_t post_some(struct stress *s, uint32_t sent, uint64_t *seed)
{
	uint32_t at, room = sl_ring_room(s->ring, &at);
	uint32_t burst = 1 + random_below(seed, 40);
	uint32_t count = sl_min(sl_min(room, s->packets - sent), burst);

	for (uint32_t n = 0; n < count; n++)
		fill(s, at + n, sent + n);
	if (count) {
		sl_ring_post(s->ring, count);
		sl_ring_wake_consumer(s->ring);
	}
	return count;
}

static void *producer(void *arg)
{
	struct stress *s = arg;
	uint64_t seed = 88172645463325252ull;
	uint32_t sent = 0, home = 0;

	while (home < s->packets && !sl_load_relaxed(&s->failed)) {
		uint32_t posted = random_below(&seed, 8) ? post_some(s, sent, &seed) : 0;
		uint32_t back = take_home(s, false);

		sent += posted;
		home += back;
		if (!random_below(&seed, 500))
			home += recall(s);
		else if (!posted && !back && !sl_ring_producer_sleep(s->ring) && sent > home)
			doze(s, s->producer_event, &s->sleeps[0]);
	}
	return NULL;
}

/*
 * The consumer.
 */

struct held {
	uint32_t at[64], sequence[64], count;
};

static bool use(struct stress *s, uint32_t at, uint32_t sequence)
{
	struct sl_packet *packet = sl_ring_packet(s->ring, at);
	uint32_t done = 0;

	if (packet->more + 1u != frags_of(sequence) ||
	    sl_ring_packet_len(s->ring, packet) != len_of(sequence) ||
	    packet->flags != (writable(sequence) ? SL_PACKET_WRITABLE : 0))
		return wrong(s, "a wrong entry", sequence);
	for (uint32_t n = 0; n <= packet->more; n++) {
		const struct sl_frag *frag = sl_ring_frag(s->ring, packet, n);

		if (frag->region != n)
			return wrong(s, "a wrong fragment", sequence);
		for (uint32_t i = 0; i < frag->len; i++)
			if (frag->addr[i] != byte_of(sequence, done++))
				return wrong(s, "wrong bytes", sequence);
		if (packet->flags & SL_PACKET_WRITABLE)
			memset(frag->addr, SCRIBBLE, frag->len);
	}
	return true;
}

static bool finish_some(struct stress *s, struct held *held, uint32_t count, uint64_t *seed)
{
	for (; count; count--) {
		uint32_t n = random_below(seed, held->count);

		if (!use(s, held->at[n], held->sequence[n]))
			return false;
		sl_ring_done(s->ring, held->at[n]);
		held->count--;
		held->at[n] = held->at[held->count];
		held->sequence[n] = held->sequence[held->count];
	}
	sl_ring_wake_producer(s->ring);
	return true;
}

/* Take some; now and then give a whole burst back at once. */
static uint32_t take_some(struct stress *s, struct held *held, uint32_t sequence, uint64_t *seed)
{
	uint32_t at, ready = sl_ring_ready(s->ring, &at);
	uint32_t count = ready ? 1 + random_below(seed, ready) : 0;

	if (!random_below(seed, 4)) {
		for (uint32_t n = 0; n < count; n++)
			if (!use(s, at + n, sequence + n))
				return 0;
		sl_ring_consume(s->ring, count);
		sl_ring_wake_producer(s->ring);
		return count;
	}
	count = sl_min(count, (uint32_t)sl_array_len(held->at) - held->count);
	sl_ring_take(s->ring, count);
	for (uint32_t n = 0; n < count; n++) {
		held->at[held->count] = at + n;
		held->sequence[held->count++] = sequence + n;
	}
	return count;
}

static uint32_t answer_recall(struct stress *s, struct held *held, uint64_t *seed)
{
	uint32_t dropped;

	if (!finish_some(s, held, held->count, seed))
		return 0;
	dropped = sl_ring_yield(s->ring);
	s->dropped += dropped;
	sl_ring_wake_producer(s->ring);
	return dropped;
}

static void *consumer(void *arg)
{
	struct stress *s = arg;
	uint64_t seed = 7046029254386353131ull;
	struct held held = {.count = 0};
	uint32_t gone = 0;

	while ((gone < s->packets || held.count) && !sl_load_relaxed(&s->failed)) {
		uint32_t count;

		if (sl_ring_recalled(s->ring))
			gone += answer_recall(s, &held, &seed);
		count = take_some(s, &held, gone, &seed);
		gone += count;
		if (held.count)
			finish_some(s, &held, 1 + random_below(&seed, held.count), &seed);
		else if (!count && gone < s->packets && !sl_ring_consumer_sleep(s->ring))
			doze(s, s->consumer_event, &s->sleeps[1]);
	}
	return NULL;
}

/*
 * The test.
 */

static void start_near_wrap(struct sl_ring *ring, uint32_t index)
{
	struct ring *r = ring_of(ring);

	r->producer.index = r->consumer.index = index;
	r->p.end = r->p.begin = r->p.reclaimed = index;
	r->c.begin = r->c.next = r->c.end = index;
	r->p.frag_end = r->p.frag_reclaimed = index;
}

static void run(uint32_t size, uint32_t packets)
{
	struct stress s = {.size = size, .packets = packets};
	struct sl_ring_config config = {size, sl_max(64u, size * 8), eventfd(0, EFD_NONBLOCK),
					eventfd(0, EFD_NONBLOCK)};
	pthread_t threads[2];

	assert_int_equal(sl_ring_create(&config, &s.ring), 0);
	start_near_wrap(s.ring, UINT32_MAX - packets / 2);
	s.consumer_event = config.consumer_event;
	s.producer_event = config.producer_event;
	s.memory = calloc(size, PACKET_MAX);
	s.sequence = calloc(size, sizeof(*s.sequence));
	assert_true(s.memory && s.sequence);
	assert_int_equal(pthread_create(&threads[0], NULL, producer, &s), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, consumer, &s), 0);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	print_message("# %u packets, ring of %u: sleeps %llu and %llu, recalls %llu dropped %llu\n",
		      packets, size, (unsigned long long)s.sleeps[0],
		      (unsigned long long)s.sleeps[1], (unsigned long long)s.recalls,
		      (unsigned long long)s.dropped);
	assert_false(s.failed || sl_ring_broken(s.ring));
	assert_true(s.sleeps[0] && s.sleeps[1] && s.recalls);
	free(s.memory);
	free(s.sequence);
	sl_ring_release(s.ring);
	close(config.consumer_event);
	close(config.producer_event);
}

static void test_stress_ring_of_2(void **state)
{
	(void)state;
	run(2, 80000);
}

static void test_stress_ring_of_16(void **state)
{
	(void)state;
	run(16, 600000);
}

static void test_stress_ring_of_256(void **state)
{
	(void)state;
	run(256, 2500000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stress_ring_of_2),
		cmocka_unit_test(test_stress_ring_of_16),
		cmocka_unit_test(test_stress_ring_of_256),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
