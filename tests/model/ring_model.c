/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The link ring under weak memory. The two programs below call the real functions of
 * src/ring/ring.c, which is compiled into this file with model_barrier.h in the place
 * of base/barrier.h. Each thread is run alone, once for every sequence of values that
 * its loads might read, and leaves its paths; explore.c then puts every path of the
 * one together with every path of the other.
 *
 * What a polling loop reads to no effect is left out: taking such a load out of an
 * execution leaves an execution that is allowed and has the same outcome.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model.h"

#include "ring/ring.c"

struct scenario {
	const char *name;
	uint32_t size, packets, burst;
	bool reverse; /* the consumer finishes what it took last first */
	bool producer_sleeps, consumer_sleeps;
	uint32_t recall_after; /* packets posted before a recall, 0: no recall */
	uint32_t wakeups;      /* of a thread at most */
};

static const struct scenario scenarios[] = {
	{"ring of 2, 3 packets", 2, 3, 1, false, false, false, 0},
	{"consumer sleeps, ring of 2, 2 packets", 2, 2, 1, false, false, true, 0, 2},
	{"producer sleeps, ring of 2, 3 packets", 2, 3, 1, false, true, false, 0, 2},
	{"ring of 2, 5 packets, in order", 2, 5, 2, false, false, false, 0},
	{"ring of 2, 5 packets, out of order", 2, 5, 2, true, false, false, 0},
	{"ring of 4, 9 packets in bursts of 3", 4, 9, 3, false, false, false, 0},
	{"ring of 4, 9 packets in bursts of 3, out of order", 4, 9, 3, true, false, false, 0},
	{"consumer sleeps, ring of 2, 3 packets", 2, 3, 1, false, false, true, 0, 4},
	{"producer sleeps, ring of 2, 4 packets", 2, 4, 2, false, true, false, 0, 4},
	{"both sleep, ring of 2, 3 packets", 2, 3, 2, false, true, true, 0, 3},
	{"recall after 2 of 3 packets", 2, 3, 2, false, false, false, 2},
	{"recall after 2 of 4 packets, out of order", 2, 4, 2, true, false, false, 2},
	{"recall after 1 of 2 packets, consumer sleeps", 2, 2, 1, false, false, true, 1, 3},
	{"recall after 1 of 2 packets, producer sleeps", 2, 2, 1, false, true, false, 1, 3},
	{"recall after 1 packet, both sleep", 2, 1, 1, false, true, true, 1, 2},
};

/* One order taken away, by the place and the kind of the access, or a fence by its function. */
struct mutation {
	const char *name;
	enum kind kind;
	int place, thread;
	const char *function;
};

static const struct mutation mutations[] = {
	{"the store of end is not release", STORE, END, PRODUCER, NULL},
	{"the store of begin is not release", STORE, BEGIN, CONSUMER, NULL},
	{"the load of end is not acquire", LOAD, END, CONSUMER, NULL},
	{"the load of begin is not acquire", LOAD, BEGIN, PRODUCER, NULL},
	{"the sleeping consumer has no fence", FENCE, 0, CONSUMER, "stay_awake"},
	{"the sleeping producer has no fence", FENCE, 0, PRODUCER, "stay_awake"},
	{"who wakes the consumer has no fence", FENCE, 0, PRODUCER, "wake"},
	{"who wakes the producer has no fence", FENCE, 0, CONSUMER, "wake"},
};

/*
 * The recorder.
 */

enum {
	RECORDED = 1,
	PRUNED
};

static struct {
	const struct scenario *scenario;
	const struct mutation *mutation;
	int thread;
	struct ring *ring;
	struct path path;
	jmp_buf out;
	uint32_t floor[ATOMICS]; /* see model_value() */
	uint8_t choice[OPS_MAX], options[OPS_MAX];
	int chosen, depth;
	bool hit; /* the mutation took effect */
} rec;

const char *model_place(int place)
{
	static const char *const names[] = {
		"end",	    "begin",	"recall",  "producer.need", "consumer.need",
		"slot 0",   "slot 1",	"slot 2",  "slot 3",	    "buffer 0",
		"buffer 1", "buffer 2", "buffer 3"};

	return names[place];
}

static void too_small(void)
{
	fprintf(stderr, "model: OPS_MAX or LIST_MAX is too small\n");
	abort();
}

/* Take the next untried one of @options ways. */
static uint8_t choose(uint32_t options)
{
	if (rec.chosen == OPS_MAX)
		too_small();
	if (rec.chosen == rec.depth) {
		rec.choice[rec.depth] = 0;
		rec.options[rec.depth++] = (uint8_t)options;
	}
	return rec.choice[rec.chosen++];
}

static bool next_choices(void)
{
	while (rec.depth && rec.choice[rec.depth - 1] + 1 == rec.options[rec.depth - 1])
		rec.depth--;
	if (rec.depth)
		rec.choice[rec.depth - 1]++;
	return rec.depth;
}

static void list_add(struct list *list, int at)
{
	if (list->count == LIST_MAX)
		too_small();
	list->at[list->count++] = (uint8_t)at;
}

static void record(struct op op)
{
	struct path *path = &rec.path;
	int at = path->count++;

	if (at == OPS_MAX - 1)
		too_small();
	path->ops[at] = op;
	if (op.kind == SIGNAL)
		list_add(&path->signals, at);
	else if (op.kind == WAIT)
		list_add(&path->waits, at);
	else if (op.kind != FENCE && op.kind != BLOCK)
		list_add(&path->on[op.place], at);
	if (op.kind == LOAD)
		path->loads[op.place] |= 1ull << op.value;
	if (op.kind == STORE)
		path->stores[op.place] |= 1ull << op.value;
}

static void end_path(enum ending ending)
{
	rec.path.ending = ending;
	longjmp(rec.out, RECORDED);
}

static bool mutated(enum kind kind, int place, const char *function)
{
	const struct mutation *m = rec.mutation;

	if (!m || m->kind != kind || m->place != place || m->thread != rec.thread ||
	    (m->function && strcmp(m->function, function) != 0))
		return false;
	rec.hit = true;
	return true;
}

static int place_of(const uint32_t *p)
{
	const struct ring *r = rec.ring;

	return p == &r->producer.index	       ? END
	       : p == &r->consumer.index       ? BEGIN
	       : p == &r->producer.recall      ? RECALL
	       : p == &r->producer.need_wakeup ? PRODUCER_SLEEP
	       : p == &r->consumer.need_wakeup ? CONSUMER_SLEEP
					       : ATOMICS;
}

/* What a load might read. Coherence: of stores in order, never one older than it did. */
static uint32_t model_value(int place)
{
	uint32_t *floor = &rec.floor[place], value;

	if (place == END || place == BEGIN)
		return *floor += choose(rec.scenario->packets + 1 - *floor);
	if (place != RECALL)
		return choose(2);
	/* It goes 0, 1, 0: the floor is 1 at the 1, 2 behind it. */
	value = rec.scenario->recall_after && *floor < 2 ? choose(2) : 0;
	if (value || *floor)
		*floor = value ? 1 : 2;
	return value;
}

uint32_t model_load(const uint32_t *p, bool acquire, const char *function)
{
	int place = place_of(p);
	uint32_t value;

	if (place == ATOMICS) /* broken: not part of the protocol */
		return *p;
	value = model_value(place);
	record((struct op){LOAD, (uint8_t)place, (uint8_t)value,
			   acquire && !mutated(LOAD, place, function), function});
	return value;
}

void model_store(const uint32_t *p, uint32_t value, bool release, const char *function)
{
	int place = place_of(p);

	if (place == ATOMICS)
		end_path(BROKEN);
	record((struct op){STORE, (uint8_t)place, (uint8_t)value,
			   release && !mutated(STORE, place, function), function});
}

void model_fence(const char *function)
{
	if (!mutated(FENCE, 0, function))
		record((struct op){.kind = FENCE, .function = function});
}

void model_signal(int event)
{
	(void)event;
	record((struct op){.kind = SIGNAL});
}

/* On the own eventfd: somebody signals, or nobody ever does. */
static void model_wait(void)
{
	bool for_ever = choose(2);

	record((struct op){.kind = for_ever ? BLOCK : WAIT});
	if (for_ever)
		end_path(ASLEEP);
	if (rec.path.waits.count > rec.scenario->wakeups)
		longjmp(rec.out, PRUNED);
}

static void model_plain(enum kind kind, int place, uint32_t value)
{
	record((struct op){.kind = kind, .place = (uint8_t)place, .value = (uint8_t)value});
}

/*
 * The programs. Packet number n lies in slot n % size and names buffer n % size. A slot
 * holds n + 1, a buffer 2n + 1 as filled and 2n + 2 as the consumer leaves it.
 */

static int slot_of(uint32_t n)
{
	return SLOT + (int)(n & (rec.scenario->size - 1));
}

static int buffer_of(uint32_t n)
{
	return BUFFER + (int)(n & (rec.scenario->size - 1));
}

/* Nothing to do: sleep, or poll again (which is left out). */
static void rest(struct sl_ring *ring, bool sleeps)
{
	const struct ring *r = ring_of(ring);

	if (!sleeps && (rec.thread == PRODUCER || r->c.end == r->c.next) && choose(2))
		end_path(POLLS);
	if (!sleeps)
		longjmp(rec.out, PRUNED);
	if (rec.thread == PRODUCER ? !sl_ring_producer_sleep(ring) : !sl_ring_consumer_sleep(ring))
		model_wait();
}

static bool fill(struct sl_ring *ring, uint32_t limit)
{
	uint32_t at, room = sl_ring_room(ring, &at);
	uint32_t count = sl_min(sl_min(room, rec.scenario->burst), limit - at);

	for (uint32_t n = at; n < at + count; n++) {
		model_plain(WRITE, buffer_of(n), 2 * n + 1);
		model_plain(WRITE, slot_of(n), n + 1);
	}
	if (!count)
		return false;
	sl_ring_post(ring, count);
	sl_ring_wake_consumer(ring);
	return true;
}

static uint32_t take_home(struct sl_ring *ring, bool recalled)
{
	uint32_t at, count = sl_ring_returned(ring, &at);

	for (uint32_t n = at; n < at + count && !recalled; n++)
		model_plain(READ, buffer_of(n), 2 * n + 2);
	if (count)
		sl_ring_reclaim(ring, count);
	return count;
}

/* "Memory is never unmapped while begin != end": unmapping is a write to all of it. */
static void recall(struct sl_ring *ring)
{
	const struct scenario *s = rec.scenario;

	sl_ring_recall(ring);
	sl_ring_wake_consumer(ring);
	while (!sl_ring_recall_done(ring))
		rest(ring, s->producer_sleeps);
	for (uint32_t n = 0; n < s->recall_after; n++)
		model_plain(WRITE, buffer_of(n), ANY_VALUE - 1);
	take_home(ring, true);
}

static void producer(struct sl_ring *ring)
{
	const struct scenario *s = rec.scenario;
	uint32_t home = 0;

	while (home < s->recall_after) {
		fill(ring, s->recall_after);
		if (ring_of(ring)->p.end != s->recall_after)
			continue;
		recall(ring);
		home = s->recall_after;
	}
	while (home < s->packets) {
		bool posted = fill(ring, s->packets);
		uint32_t count = take_home(ring, false);

		home += count;
		if (!posted && !count)
			rest(ring, s->producer_sleeps);
	}
}

static void use(uint32_t n)
{
	model_plain(READ, slot_of(n), n + 1);
	model_plain(READ, buffer_of(n), 2 * n + 1);
	model_plain(WRITE, buffer_of(n), 2 * n + 2);
}

static void send(struct sl_ring *ring, uint32_t at, uint32_t count)
{
	if (!rec.scenario->reverse) {
		for (uint32_t n = at; n < at + count; n++)
			use(n);
		sl_ring_consume(ring, count);
	} else {
		sl_ring_take(ring, count);
		for (uint32_t n = at + count; n-- > at;) {
			use(n);
			sl_ring_done(ring, n);
		}
	}
	sl_ring_wake_producer(ring);
}

/* A recall, perhaps one that is over already: only what it meant may be dropped. */
static uint32_t answer(struct sl_ring *ring)
{
	uint32_t next = ring_of(ring)->c.next, dropped = sl_ring_yield(ring);

	if (dropped && next + dropped > rec.scenario->recall_after)
		end_path(WRONG);
	sl_ring_wake_producer(ring);
	return dropped;
}

static void consumer(struct sl_ring *ring)
{
	const struct scenario *s = rec.scenario;
	uint32_t gone = 0, idle = 0;

	while (gone < s->packets) {
		uint32_t at, count = sl_ring_ready(ring, &at), dropped = 0;

		if (count)
			send(ring, at, count);
		else if (s->recall_after && sl_ring_recalled(ring))
			dropped = answer(ring);
		gone += count + dropped;
		/* One answer in vain is looked at: the recall may be over. */
		if (!count && !dropped && (s->consumer_sleeps || !s->recall_after || idle++))
			rest(ring, s->consumer_sleeps);
	}
}

/*
 * Paths.
 */

static void fences_around(struct path *path)
{
	int16_t last = -1;

	for (int i = 0; i < path->count; i++) {
		path->fence_before[i] = last;
		if (path->ops[i].kind == FENCE)
			last = (int16_t)i;
	}
	last = -1;
	for (int i = path->count; i-- > 0;) {
		path->fence_after[i] = last;
		if (path->ops[i].kind == FENCE)
			last = (int16_t)i;
	}
}

static void keep(struct paths *paths)
{
	if (paths->count == paths->room) {
		paths->room = paths->room ? 2 * paths->room : 64;
		paths->path = realloc(paths->path, (size_t)paths->room * sizeof(*paths->path));
		if (!paths->path)
			abort();
	}
	fences_around(&rec.path);
	paths->path[paths->count++] = rec.path;
}

static void run_once(void)
{
	const struct scenario *s = rec.scenario;
	struct sl_ring_config config = {s->size, SL_PACKET_FRAGS_MAX, s->consumer_sleeps ? 1 : -1,
					s->producer_sleeps ? 1 : -1};
	struct sl_ring *ring;

	if (sl_ring_create(&config, &ring))
		abort();
	rec.ring = ring_of(ring);
	memset(rec.floor, 0, sizeof(rec.floor));
	memset(&rec.path, 0, sizeof(rec.path));
	rec.chosen = 0;
	if (rec.thread == PRODUCER)
		producer(ring);
	else
		consumer(ring);
	end_path(DONE);
}

static void record_paths(const struct scenario *scenario, const struct mutation *mutation,
			 int thread, struct paths *paths)
{
	rec.scenario = scenario;
	rec.mutation = mutation;
	rec.thread = thread;
	rec.depth = 0;
	do {
		int how = setjmp(rec.out);

		if (!how)
			run_once();
		if (how == RECORDED)
			keep(paths);
		sl_ring_release(&rec.ring->arrays);
	} while (next_choices());
}

/*
 * The test: TAP, one line for each scenario and each mutation.
 */

static struct result run(const struct scenario *scenario, const struct mutation *mutation,
			 int counts[THREADS])
{
	struct paths paths[THREADS] = {{0}};
	struct result result = {0};

	for (int t = 0; t < THREADS; t++) {
		record_paths(scenario, mutation, t, &paths[t]);
		counts[t] = paths[t].count;
	}
	explore(paths, mutation != NULL, &result);
	for (int t = 0; t < THREADS; t++)
		free(paths[t].path);
	return result;
}

static void print_result(const struct scenario *s, const int counts[THREADS],
			 const struct result *result)
{
	printf("#   %s: %d x %d paths, %llu pairs, %llu candidates, %llu executions, %llu bad\n",
	       s->name, counts[PRODUCER], counts[CONSUMER], (unsigned long long)result->pairs,
	       (unsigned long long)result->candidates, (unsigned long long)result->executions,
	       (unsigned long long)result->bad);
}

static void print_example(const char *example)
{
	for (const char *line = example; *line;) {
		size_t len = strcspn(line, "\n");

		printf("#   %.*s\n", (int)len, line);
		line += len + (line[len] == '\n');
	}
}

/* As it is written: every scenario has executions, and none is bad. */
static bool holds(const struct scenario *scenario)
{
	int counts[THREADS];
	struct result result = run(scenario, NULL, counts);

	print_result(scenario, counts, &result);
	if (result.example)
		print_example(result.example);
	free(result.example);
	return result.executions && !result.bad;
}

/* Weakened: some scenario has an execution that breaks a property. */
static bool breaks(const struct mutation *mutation)
{
	rec.hit = false;
	for (size_t i = 0; i < sl_array_len(scenarios); i++) {
		int counts[THREADS];
		struct result result = run(&scenarios[i], mutation, counts);
		bool found = result.bad && result.in_order;

		if (found) {
			print_result(&scenarios[i], counts, &result);
			print_example(result.example);
		}
		free(result.example);
		if (found)
			return rec.hit;
	}
	return false;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool report(int number, bool ok, const char *what, const char *name, double start)
{
	printf("%s %d - %s: %s (%.2f s)\n", ok ? "ok" : "not ok", number, what, name,
	       seconds() - start);
	fflush(stdout);
	return ok;
}

int main(void)
{
	int number = 0;
	bool ok = true;

	printf("1..%zu\n", sl_array_len(scenarios) + sl_array_len(mutations));
	for (size_t i = 0; i < sl_array_len(scenarios); i++) {
		double start = seconds();

		ok &= report(++number, holds(&scenarios[i]), "no bad execution", scenarios[i].name,
			     start);
	}
	for (size_t i = 0; i < sl_array_len(mutations); i++) {
		double start = seconds();

		ok &= report(++number, breaks(&mutations[i]), "a bad execution when",
			     mutations[i].name, start);
	}
	return !ok;
}
