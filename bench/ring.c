/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The link ring against DPDK's rte_ring (single producer, single consumer), used
 * there and back: packets out, buffers home. Bursts of 32, 1024 entries, on one core
 * (both ends in one thread) and on two (two pinned threads).
 *
 *   ring [--json] [--rounds N] [--packets N]
 *   ring --count NAME PACKETS     one variant on one core, for bench/ring.sh
 */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include <sluice/consumer.h>
#include <sluice/producer.h>

#include "base/barrier.h"

#ifdef HAVE_DPDK
#include <rte_ring.h>
#endif

#define SIZE	   1024u
#define BURST	   32u
#define ROUNDS_MAX 99

/* Big as a DPDK packet buffer's head, its facts in the first line as there. */
struct facts {
	__attribute__((aligned(128))) uint8_t *addr;
	uint32_t len;
};

struct bench {
	struct sl_ring *ring;
	bool wakes;
	struct rte_ring *out, *home;
	struct facts facts[SIZE];
	uint8_t *memory;
};

/* One step of one end; returns how many packets it moved. */
struct variant {
	const char *name, *title;
	bool (*open)(struct bench *b);
	uint32_t (*produce)(struct bench *b, uint64_t *sum);
	uint32_t (*consume)(struct bench *b, uint64_t *sum);
	void (*close)(struct bench *b);
};

/*
 * Ours.
 */

static bool ours_open(struct bench *b)
{
	int event = b->wakes ? eventfd(0, EFD_NONBLOCK) : -1;
	struct sl_ring_config config = {SIZE, SL_PACKET_FRAGS_MAX, event, event};

	return sl_ring_create(&config, &b->ring) == 0;
}

static bool ours_open_wakes(struct bench *b)
{
	b->wakes = true;
	return ours_open(b);
}

static void ours_close(struct bench *b)
{
	sl_ring_release(b->ring);
}

/* Take home what came back, then fill a burst. */
static inline uint32_t ours_produce(struct bench *b, uint64_t *sum)
{
	struct sl_ring *ring = b->ring;
	const struct sl_ring arrays = *ring; /* a copy: stores to entries do not reload it */
	uint8_t *memory = b->memory;
	uint64_t cookies = 0;
	uint32_t at, count = sl_ring_returned(ring, &at);

	sl_ring_for_each (packet, &arrays, at, count)
		cookies += packet->cookie;
	*sum += cookies;
	if (count)
		sl_ring_reclaim(ring, count);
	count = sl_ring_room(ring, &at);
	if (count > BURST)
		count = BURST;
	cookies = at;
	sl_ring_for_each (packet, &arrays, at, count) {
		*packet = (struct sl_packet){
			.frag = {memory + (cookies & arrays.mask) * 64, 64, 0, 0},
			.cookie = cookies,
		};
		cookies++;
	}
	if (count)
		sl_ring_post(ring, count);
	return count;
}

static inline uint32_t ours_consume(struct bench *b, uint64_t *sum)
{
	struct sl_ring *ring = b->ring;
	const struct sl_ring arrays = *ring;
	uint64_t facts = 0;
	uint32_t at, count = sl_ring_ready(ring, &at);

	if (count > BURST)
		count = BURST;
	sl_ring_for_each (packet, &arrays, at, count)
		facts += (uintptr_t)packet->frag.addr + packet->frag.len;
	*sum += facts;
	if (count)
		sl_ring_consume(ring, count);
	return count;
}

/* The least that can change hands, as with rte_ring's bare pointers: one address there,
 * the same one home. All else in the entries stays as it was. */
static uint32_t address_produce(struct bench *b, uint64_t *sum)
{
	struct sl_ring *ring = b->ring;
	const struct sl_ring arrays = *ring;
	uint8_t *memory = b->memory;
	uint64_t home = 0;
	uint32_t at, count = sl_ring_returned(ring, &at);

	sl_ring_for_each (packet, &arrays, at, count)
		home += (uintptr_t)packet->frag.addr;
	*sum += home;
	if (count)
		sl_ring_reclaim(ring, count);
	count = sl_ring_room(ring, &at);
	if (count > BURST)
		count = BURST;
	memory += (at & arrays.mask) * 64;
	sl_ring_for_each (packet, &arrays, at, count) {
		packet->frag.addr = memory;
		memory += 64; /* the rest of a lap runs into the room behind the first */
	}
	if (count)
		sl_ring_post(ring, count);
	return count;
}

static uint32_t address_consume(struct bench *b, uint64_t *sum)
{
	struct sl_ring *ring = b->ring;
	const struct sl_ring arrays = *ring;
	uint64_t there = 0;
	uint32_t at, count = sl_ring_ready(ring, &at);

	if (count > BURST)
		count = BURST;
	sl_ring_for_each (packet, &arrays, at, count)
		there += (uintptr_t)packet->frag.addr;
	*sum += there;
	if (count)
		sl_ring_consume(ring, count);
	return count;
}

static uint32_t ours_produce_wake(struct bench *b, uint64_t *sum)
{
	uint32_t count = ours_produce(b, sum);

	if (count)
		sl_ring_wake_consumer(b->ring);
	return count;
}

static uint32_t ours_consume_wake(struct bench *b, uint64_t *sum)
{
	uint32_t count = ours_consume(b, sum);

	if (count)
		sl_ring_wake_producer(b->ring);
	return count;
}

/*
 * DPDK's. The EAL is not needed for a ring in one's own memory.
 */

#ifdef HAVE_DPDK
static struct rte_ring *rte_new(void)
{
	ssize_t len = rte_ring_get_memsize(SIZE);
	struct rte_ring *ring = aligned_alloc(4096, ((size_t)len + 4095) & ~(size_t)4095);

	if (!ring || rte_ring_init(ring, "bench", SIZE, RING_F_SP_ENQ | RING_F_SC_DEQ))
		return NULL;
	return ring;
}

/* 31 bursts lie in the ring home: it holds 1023. */
static bool rte_open(struct bench *b)
{
	b->out = rte_new();
	b->home = rte_new();
	if (!b->out || !b->home)
		return false;
	for (uint32_t n = 0; n < SIZE - BURST; n++)
		rte_ring_sp_enqueue(b->home, &b->facts[n]);
	return true;
}

static void rte_close(struct bench *b)
{
	free(b->out);
	free(b->home);
}

static inline uint32_t rte_move(struct rte_ring *from, struct rte_ring *to, bool write, bool read,
				struct bench *b, uint64_t *sum)
{
	void *bufs[BURST];
	uint8_t *memory = b->memory;
	uint64_t seen = 0;
	uint32_t count = rte_ring_sc_dequeue_burst(from, bufs, BURST, NULL);

#pragma GCC unroll 4 /* as rte_ring's own copy loops are */
	for (uint32_t n = 0; write && n < count; n++) {
		struct facts *facts = bufs[n];

		facts->addr = memory + n * 64;
		facts->len = 64;
	}
#pragma GCC unroll 4
	for (uint32_t n = 0; read && n < count; n++) {
		const struct facts *facts = bufs[n];

		seen += (uintptr_t)facts->addr + facts->len;
	}
	*sum += seen;
	if (count && rte_ring_sp_enqueue_burst(to, bufs, count, NULL) != count)
		abort(); /* each ring has room for all buffers there are */
	return count;
}

static uint32_t pointers_produce(struct bench *b, uint64_t *sum)
{
	return rte_move(b->home, b->out, false, false, b, sum);
}

static uint32_t pointers_consume(struct bench *b, uint64_t *sum)
{
	return rte_move(b->out, b->home, false, false, b, sum);
}

static uint32_t facts_produce(struct bench *b, uint64_t *sum)
{
	return rte_move(b->home, b->out, true, false, b, sum);
}

static uint32_t facts_consume(struct bench *b, uint64_t *sum)
{
	return rte_move(b->out, b->home, false, true, b, sum);
}
#endif

enum {
	OURS,
	OURS_WAKES,
	OURS_ADDRESS,
	RTE_POINTERS,
	RTE_FACTS
};

static const struct variant variants[] = {
	{"sluice", "sluice", ours_open, ours_produce, ours_consume, ours_close},
	{"sluice-wake", "sluice, wakeup checks too", ours_open_wakes, ours_produce_wake,
	 ours_consume_wake, ours_close},
	{"sluice-address", "sluice, address only", ours_open, address_produce, address_consume,
	 ours_close},
#ifdef HAVE_DPDK
	{"rte-pointers", "rte_ring, pointers only", rte_open, pointers_produce, pointers_consume,
	 rte_close},
	{"rte-facts", "rte_ring, packet facts", rte_open, facts_produce, facts_consume, rte_close},
#endif
};

#define VARIANTS (sizeof(variants) / sizeof(variants[0]))

/*
 * Running.
 */

static volatile uint64_t sink;

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct bench *bench_open(const struct variant *v)
{
	struct bench *b = aligned_alloc(4096, (sizeof(*b) + 4095) & ~(size_t)4095);

	if (!b)
		abort();
	memset(b, 0, sizeof(*b));
	b->memory = calloc(SIZE + BURST, 64);
	if (!b->memory || !v->open(b))
		abort();
	return b;
}

static void bench_close(const struct variant *v, struct bench *b)
{
	v->close(b);
	free(b->memory);
	free(b);
}

/* Both ends in this thread. */
static double one_core(const struct variant *v, uint64_t packets)
{
	struct bench *b = bench_open(v);
	uint64_t sum = 0, done = 0;
	double start = seconds();

	while (done < packets) {
		v->produce(b, &sum);
		done += v->consume(b, &sum);
	}
	start = seconds() - start;
	sink = sum;
	bench_close(v, b);
	return start * 1e9 / (double)packets;
}

struct end {
	const struct variant *variant;
	struct bench *bench;
	uint64_t packets;
	uint32_t *ready; /* both ends are here */
	int core;
	bool producer;
};

static void pin(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *run_end(void *arg)
{
	struct end *e = arg;
	uint32_t (*step)(struct bench *, uint64_t *) =
		e->producer ? e->variant->produce : e->variant->consume;
	uint64_t sum = 0, done = 0;

	pin(e->core);
	__atomic_add_fetch(e->ready, 1, __ATOMIC_ACQ_REL);
	while (sl_load_acquire(e->ready) < 2)
		;
	while (done < e->packets) {
		uint32_t count = step(e->bench, &sum);

		done += count;
		if (!count)
			__builtin_ia32_pause();
	}
	sink = sum;
	return NULL;
}

static double two_cores(const struct variant *v, uint64_t packets)
{
	struct bench *b = bench_open(v);
	uint32_t ready = 0;
	struct end ends[] = {{v, b, packets, &ready, 0, true}, {v, b, packets, &ready, 1, false}};
	pthread_t threads[2];
	double start = seconds();

	for (int n = 0; n < 2; n++)
		if (pthread_create(&threads[n], NULL, run_end, &ends[n]))
			abort();
	for (int n = 0; n < 2; n++)
		pthread_join(threads[n], NULL);
	start = seconds() - start;
	bench_close(v, b);
	return start * 1e9 / (double)packets;
}

/*
 * Telling.
 */

struct results {
	double ns[2][VARIANTS][ROUNDS_MAX]; /* cores, variant, round */
	int rounds;
};

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *values, int count)
{
	double sorted[ROUNDS_MAX];

	memcpy(sorted, values, (size_t)count * sizeof(*values));
	qsort(sorted, (size_t)count, sizeof(*sorted), compare);
	return sorted[count / 2];
}

static void say(bool json, const char *cores, size_t ours, size_t theirs, const double *a,
		const double *b, int rounds)
{
	double ratio[ROUNDS_MAX] = {0}, low, high;

	for (int n = 0; n < rounds; n++)
		ratio[n] = a[n] / b[n];
	low = high = ratio[0];
	for (int n = 1; n < rounds; n++) {
		low = ratio[n] < low ? ratio[n] : low;
		high = ratio[n] > high ? ratio[n] : high;
	}
	printf(json ? "{\"cores\":\"%s\",\"ours\":\"%s\",\"theirs\":\"%s\",\"ours_ns\":%.3f,"
		      "\"theirs_ns\":%.3f,\"ratio_min\":%.3f,\"ratio_median\":%.3f,"
		      "\"ratio_max\":%.3f}\n"
		    : "| %s | %s | %s | %.2f | %.2f | %.2f | **%.2f** | %.2f |\n",
	       cores, json ? variants[ours].name : variants[ours].title,
	       json ? variants[theirs].name : variants[theirs].title, median(a, rounds),
	       median(b, rounds), low, median(ratio, rounds), high);
}

static void tell(const struct results *r, bool json)
{
	static const char *const cores[] = {"one", "two"};

	if (!json)
		printf("| cores | ours | theirs | ours, ns a packet | theirs | ratio: min | median "
		       "| max |\n|---|---|---|---|---|---|---|---|\n");
	for (int c = 0; c < 2; c++)
		for (size_t ours = OURS; ours <= OURS_ADDRESS; ours++)
			for (size_t theirs = RTE_POINTERS; theirs < VARIANTS; theirs++)
				say(json, cores[c], ours, theirs, r->ns[c][ours], r->ns[c][theirs],
				    r->rounds);
	if (VARIANTS > RTE_POINTERS)
		return;
	for (int c = 0; c < 2; c++)
		fprintf(stderr, "%s core(s): %.2f ns a packet\n", cores[c],
			median(r->ns[c][OURS], r->rounds));
	fprintf(stderr, "skipped: libdpdk-dev is not installed\n");
}

static int count(const char *name, uint64_t packets)
{
	for (size_t v = 0; v < VARIANTS; v++)
		if (!strcmp(variants[v].name, name)) {
			one_core(&variants[v], packets);
			return 0;
		}
	fprintf(stderr, "skipped: %s is not built in\n", name);
	return 77;
}

static void measure(struct results *r, int rounds, uint64_t packets)
{
	pin(0);
	for (size_t v = 0; v < VARIANTS; v++) /* warm up */
		one_core(&variants[v], packets / 4);
	r->rounds = rounds;
	for (int n = 0; n < rounds; n++)
		for (size_t v = 0; v < VARIANTS; v++) {
			r->ns[0][v][n] = one_core(&variants[v], packets);
			r->ns[1][v][n] = two_cores(&variants[v], packets);
		}
}

int main(int argc, char **argv)
{
	static struct results results;
	uint64_t packets = 8000000;
	int rounds = 11;
	bool json = false;

	for (int n = 1; n < argc; n++) {
		if (!strcmp(argv[n], "--count") && n + 2 < argc)
			return count(argv[n + 1], strtoull(argv[n + 2], NULL, 0));
		if (!strcmp(argv[n], "--json"))
			json = true;
		else if (!strcmp(argv[n], "--rounds") && n + 1 < argc)
			rounds = atoi(argv[++n]);
		else if (!strcmp(argv[n], "--packets") && n + 1 < argc)
			packets = strtoull(argv[++n], NULL, 0);
	}
	if (rounds < 1 || rounds > ROUNDS_MAX || !packets) {
		fprintf(stderr, "--rounds is 1 to %d, --packets at least 1\n", ROUNDS_MAX);
		return 2;
	}
	measure(&results, rounds, packets);
	tell(&results, json);
	return 0;
}
