/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two tunnels under pressure: a socket that is full or refuses, a ring without room, memory that is
 * called back. Nothing is lost but what is counted, each flow keeps its order, and all that was
 * lent comes home.
 */
#include "tunnel_rig.h"

#ifdef __OPTIMIZE__
#define BATCHES 60
#else
#define BATCHES 30
#endif

static struct item it;

static uint64_t lost(const struct rig *r, unsigned from)
{
	struct sl_counters a = stats_of(&r->ends[from]), b = stats_of(&r->ends[!from]);

	return sl_count_drops(&a.tx) + sl_count_drops(&b.rx);
}

/* Batches of all kinds in both directions. */
static void carry(struct rig *r, unsigned batches)
{
	struct flow flows[3];

	while (batches--) {
		uint64_t before[2] = {lost(r, 0), lost(r, 1)};

		for (unsigned n = 0; n < 3; n++)
			flows[n] = flow_make(&r->random, r->layer, true);
		for (unsigned n = random_in(&r->random, 1, 40); n; n--) {
			item_any(&r->random, &flows[random_in(&r->random, 0, 2)], r->layer, 0, &it);
			while (!give(r, &r->ends[random_next(&r->random) & 1], &it))
				rig_round(r);
		}
		rig_settle(r);
		for (unsigned n = 0; n < 2; n++)
			judge(&r->ends[n].sent, &r->ends[!n].got, r->layer, lost(r, n) - before[n]);
	}
}

/* A kernel that is busy, knows no trains, refuses some of them, or fails. */
static void test_any_kernel(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 8; n++) {
		struct rig_config config = {.layer = n & 1 ? 2 : 3, .merges = n & 2};
		struct rig *r;

		rig_seed(600 + n);
		r = rig_open(&config);
		wire.busy = random_in(&r->random, 0, 60);
		wire.refuse = random_in(&r->random, 0, 60);
		wire.broken = n & 4 ? random_in(&r->random, 0, 20) : 0;
		wire.no_trains = n == 3 || n == 4;
		carry(r, BATCHES / 4);
		want(n & 4 || !(lost(r, 0) + lost(r, 1)));
		rig_close(r);
	}
}

/* A reader with little room, who gives back late and in any order. */
static void test_little_room(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 8; n++) {
		struct rig_config config = {.layer = 3, .merges = n & 1, .out = 1u << n / 2 * 2};
		struct rig *r;

		rig_seed(700 + n);
		r = rig_open(&config);
		r->lazy = true;
		r->budget = random_in(&r->random, 1, 5000); /* many small bursts */
		carry(r, BATCHES / 6);
		want(!(lost(r, 0) + lost(r, 1)));
		r->lazy = false;
		rig_close(r);
	}
}

/* Nobody reads: what was received stays as it is, also when the fragments are used up. */
static void test_nobody_reads(void **state)
{
	struct rig_config config = {.layer = 3, .merges = true, .out = RIG_ENTRIES};
	struct flow f;
	struct rig *r;

	(void)state;
	rig_seed(750);
	r = rig_open(&config);
	f = flow_of(r, 6, 6);
	for (unsigned n = 0; n < 200; n++) {
		struct end *a = &r->ends[0], *b = &r->ends[1];

		item_next(&r->random, &f, f.size, 0x10, &it);
		want(give(r, a, &it));
		if (n % 20 != 19)
			continue;
		wire.budget = RIG_BUDGET;
		a->port->ops->tx(a->port, 0, a->in);
		while (b->port->ops->rx(b->port, 0, b->out) > 0)
			;
	}
	want(!sl_ring_frag_room(r->ends[1].out));
	rig_settle(r);
	judge(&r->ends[0].sent, &r->ends[1].got, 3, 0);
	rig_close(r);
}

/* A super-packet of several trains, of which the socket takes the first: it is still in use. */
static void test_first_train_alone(void **state)
{
	struct rig_config config = {.layer = 3};
	struct end *a;
	struct flow f;
	struct rig *r;

	(void)state;
	rig_seed(800);
	r = rig_open(&config);
	a = &r->ends[0];
	f = flow_of(r, 4, 6);
	for (unsigned n = 0; n < 5; n++) {
		item_data(&r->random, &f, &it);
		want(give(r, a, &it));
	}
	rig_settle(r);
	item_super(&r->random, &f, 60000, 400, &it);
	want(give(r, a, &it));
	wire.left = 1;
	a->port->ops->tx(a->port, 0, a->in);
	want(wire.left == 0);
	want(sl_ring_in_flight(a->in) == 1 && !sl_ring_broken(a->in));
	take_back(a);
	want(a->at == 5);
	wire.left = -1;
	rig_settle(r);
	judge(&a->sent, &r->ends[1].got, 3, 0);
	rig_close(r);
}

/* Sealed packets go up to a page that must not be touched. */
static uint8_t *guard_scratch(struct tunnel *t)
{
	uint8_t *was = t->tx.scratch, *pages;

	pages = mmap(NULL, SCRATCH_BYTES + 4096, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	want(pages != MAP_FAILED && !mprotect(pages + SCRATCH_BYTES, 4096, PROT_NONE));
	t->tx.scratch = pages;
	return was;
}

/* More than a sealed packet can be, where the memory for sealed packets ends. */
static void test_largest_segment(void **state)
{
	struct rig_config config = {.layer = 3};
	struct flow small, large;
	struct sl_counters c;
	uint8_t *scratch;
	uint32_t payload;
	struct rig *r;
	struct end *a;

	(void)state;
	rig_seed(900);
	r = rig_open(&config);
	r->plain = true;
	a = &r->ends[0];
	scratch = guard_scratch(a->t);
	small = flow_of(r, 4, 17);
	put16(small.headers + 6, 0); /* no DF, and the other to many: neither is answered */
	large = flow_of(r, 6, 6);
	large.headers[24] = 0xff;
	for (unsigned n = 0; n < SCRATCH_BYTES / FRAME_MAX - 1; n++) {
		item_next(&r->random, &small, DATA_PACKET_MAX - SL_DATA_OVERHEAD - 28, 0, &it);
		want(lend(r, a, &it));
	}
	payload = 65535u - (large.h.payload - 40u);
	item_super(&r->random, &large, payload, payload, &it);
	want(it.len == 65575);
	want(lend(r, a, &it));
	while (a->at != a->posted)
		rig_round(r);
	c = stats_of(a);
	want(c.tx.drops[SL_DROP_TOO_LARGE] == a->posted && !c.tx.packets && !c.tx.cut);
	munmap(a->t->tx.scratch, SCRATCH_BYTES + 4096);
	a->t->tx.scratch = scratch;
	rig_close(r);
}

/* What is to be sent is called back at any moment. Returns how many packets that has cost. */
static uint64_t recall_one(struct rig *r, bool supers)
{
	struct end *a = &r->ends[0], *b = &r->ends[1];
	uint64_t was = stats_of(a).tx.drops[SL_DROP_RECALLED], gone;
	struct flow f = flow_make(&r->random, 3, true);
	uint32_t untaken, in_flight;

	for (unsigned i = random_in(&r->random, 1, 60); i; i--) {
		item_data(&r->random, &f, &it);
		if (supers && !random_in(&r->random, 0, 3))
			item_super(&r->random, &f, 50000, random_in(&r->random, 300, 1400), &it);
		want(give(r, a, &it));
	}
	wire.left = random_in(&r->random, 0, 12);
	wire.budget = RIG_BUDGET;
	for (unsigned i = random_in(&r->random, 0, 4); i; i--)
		a->port->ops->tx(a->port, 0, a->in);
	in_flight = sl_ring_in_flight(a->in);
	sl_ring_recall(a->in);
	a->port->ops->tx(a->port, 0, a->in);
	want(!sl_ring_in_flight(a->in) && !sl_ring_broken(a->in));
	untaken = sl_ring_yield(a->in);
	want(sl_ring_recall_done(a->in));
	take_back(a);
	want(a->at == a->posted);
	gone = stats_of(a).tx.drops[SL_DROP_RECALLED] - was;
	want(in_flight || !gone);
	wire.left = -1;
	rig_settle(r);
	want(a->sent.n - b->got.n >= gone + untaken);
	judge(&a->sent, &b->got, 3, supers ? a->sent.n - b->got.n : gone + untaken);
	return gone;
}

/* Called back in the middle of a super-packet: what was never cut off it counts as one. */
static void test_recall_while_cutting(void **state)
{
	struct rig_config config = {.layer = 3};
	struct sl_counters c;
	struct flow f;
	struct rig *r;
	struct end *a;

	(void)state;
	rig_seed(950);
	r = rig_open(&config);
	a = &r->ends[0];
	f = flow_of(r, 4, 17);
	item_super(&r->random, &f, (SEGMENTS_MAX + 100) * 100, 100, &it);
	want(give(r, a, &it));
	wire.left = 1;
	a->port->ops->tx(a->port, 0, a->in);
	want(sl_ring_in_flight(a->in) == 1);
	sl_ring_recall(a->in);
	a->port->ops->tx(a->port, 0, a->in);
	want(!sl_ring_yield(a->in) && sl_ring_recall_done(a->in));
	c = stats_of(a);
	want(c.tx.packets == TRAIN_MAX && sl_count_drops(&c.tx) == SEGMENTS_MAX - TRAIN_MAX + 1);
	wire.left = -1;
	rig_settle(r);
	judge(&a->sent, &r->ends[1].got, 3, SEGMENTS_MAX + 100 - TRAIN_MAX);
	rig_close(r);
}

static void test_recall(void **state)
{
	struct rig_config config = {.layer = 3};
	uint64_t gone = 0;
	struct rig *r;

	(void)state;
	rig_seed(1000);
	r = rig_open(&config);
	for (unsigned n = 0; n < BATCHES; n++)
		gone += recall_one(r, n & 1);
	want(gone);
	carry(r, 3);
	rig_close(r);
}

/* What was received is called back: nothing more is posted until it is home. */
static void recall_received(struct rig *r)
{
	struct end *a = &r->ends[0], *b = &r->ends[1];
	struct flow f = flow_make(&r->random, 3, true);
	uint32_t at, n;

	for (unsigned i = random_in(&r->random, 1, 30); i; i--) {
		item_data(&r->random, &f, &it);
		want(give(r, a, &it));
	}
	wire.budget = RIG_BUDGET;
	a->port->ops->tx(a->port, 0, a->in);
	b->port->ops->rx(b->port, 0, b->out);
	n = sl_ring_ready(b->out, &at);
	for (uint32_t i = 0; i < n; i++)
		look(r, b, at + i);
	sl_ring_recall(b->out);
	b->port->ops->rx(b->port, 0, b->out);
	want(sl_ring_yield(b->out) == n);
	b->port->ops->rx(b->port, 0, b->out);
	want(sl_ring_recall_done(b->out));
	rig_settle(r);
	judge(&a->sent, &b->got, 3, 0);
}

static void test_recall_of_received(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		struct rig_config config = {.layer = 3, .merges = true, .out = n ? 4 : 0};
		struct rig *r;

		rig_seed(1100 + n);
		r = rig_open(&config);
		for (unsigned i = 0; i < BATCHES; i++)
			recall_received(r);
		rig_close(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_kernel),
		cmocka_unit_test(test_little_room),
		cmocka_unit_test(test_nobody_reads),
		cmocka_unit_test(test_largest_segment),
		cmocka_unit_test(test_recall),
		cmocka_unit_test(test_recall_while_cutting),
		cmocka_unit_test(test_recall_of_received),
		cmocka_unit_test(test_first_train_alone),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
