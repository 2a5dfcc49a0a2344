/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two tunnels at their limits: segments as large as the path, more segments than one call sends,
 * every buffer lent, a ping while packets wait, ids that are missing. Each once was a fault.
 */
#include <poll.h>

#include "tunnel_rig.h"

static struct item it;

static int tx(struct end *e)
{
	wire.budget = 1 << 30;
	return e->port->ops->tx(e->port, 0, e->in);
}

/* Lend @it and let the port do with it what it does. */
static struct sl_counters pass(struct rig *r, struct end *e)
{
	want(lend(r, e, &it));
	while (e->at != e->posted)
		rig_round(r);
	return stats_of(e);
}

/* Packets that pass, and a super-packet of ten such: they pass as well. */
static void pass_both(struct rig *r, struct flow *f, uint32_t payload)
{
	struct end *a = &r->ends[0];

	item_next(&r->random, f, payload, 0, &it);
	want(pass(r, a).tx.packets == 1);
	item_super(&r->random, f, 10 * payload, payload, &it);
	want(pass(r, a).tx.packets == 11);
	want(!stats_of(a).tx.drops[SL_DROP_TOO_LARGE]);
	rig_settle(r);
	want(!a->got.n); /* nobody complains */
}

/* RFC 8200, 5: IPv6 packets of 1280 bytes pass, whatever the path is. */
static void test_1280(void **state)
{
	static const uint8_t addresses[32] = {0xfd, [15] = 1, [16] = 0xfd, [31] = 2};
	struct rig_config config = {.layer = 3};
	struct rig *r;
	struct flow f;

	(void)state;
	rig_seed(1);
	r = rig_open(&config);
	f = flow_of(r, 6, 17);
	memcpy(f.headers + 8, addresses, sizeof(addresses));
	r->ends[0].t->mtu = 1228;
	pass_both(r, &f, 1280 - 48);
	rig_close(r);
}

/* A tag is not part of what the path carries as an IP packet. */
static void test_tagged(void **state)
{
	static const uint8_t addresses[8] = {10, 0, 0, 1, 10, 0, 0, 2};
	struct rig_config config = {.layer = 2};
	struct rig *r;
	struct flow f;

	(void)state;
	rig_seed(2);
	r = rig_open(&config);
	do
		f = flow_of(r, 4, 17);
	while (f.h.l3 != 18 || f.h.l4 != 38);
	f.headers[0] &= 0xfe;
	f.headers[6] &= 0xfe;
	put16(f.headers + 18 + 6, 0x4000);
	memcpy(f.headers + 18 + 12, addresses, sizeof(addresses));
	r->ends[0].t->mtu = 1434;
	pass_both(r, &f, 1434 - 28);
	rig_close(r);
}

/* More segments than the yard holds: while there are more, tx() says that it did something. */
static void test_many_segments(void **state)
{
	struct rig_config config = {.layer = 3};
	struct rig *r;
	struct flow f;
	struct end *a;

	(void)state;
	rig_seed(3);
	r = rig_open(&config);
	a = &r->ends[0];
	f = flow_of(r, 4, 17);
	item_super(&r->random, &f, 60000, 40, &it);
	want(lend(r, a, &it));
	while (tx(a) > 0)
		;
	want(!sl_ring_in_flight(a->in) && stats_of(a).tx.packets == 1500);
	rig_settle(r);
	rig_close(r);
}

/* Merged entries hold many buffers: when all are lent, the ring has room and rx() says why not. */
static void test_every_buffer_lent(void **state)
{
	struct rig_config config = {.layer = 3, .merges = true};
	unsigned rounds = 0;
	struct end *a, *b;
	struct rig *r;
	struct flow f;
	uint32_t at;
	int n;

	(void)state;
	rig_seed(4);
	r = rig_open(&config);
	a = &r->ends[0];
	b = &r->ends[1];
	f = flow_of(r, 6, 6);
	wire.no_trains = true;
	do {
		for (unsigned i = 0; i < 32; i++) {
			item_next(&r->random, &f, 500, 0x10, &it);
			want(give(r, a, &it));
		}
		tx(a);
		rig_wait(r);
		n = b->port->ops->rx(b->port, 0, b->out);
	} while (n > 0 && rounds++ < 20);
	want(n == -ENOBUFS && b->t->rx.starved && sl_ring_room(b->out, &at));
	want(b->port->ops->rx(b->port, 0, b->out) == -ENOBUFS);
	rig_settle(r);
	want(!b->t->rx.starved);
	judge(&a->sent, &b->got, 3, 0);
	rig_close(r);
}

/* A ping that overtook what waits for the socket would push it out of a stock peer's window. */
static void test_no_ping_overtakes(void **state)
{
	struct rig_config config = {.layer = 3};
	struct data_sealer *sealer;
	struct end *a, *b;
	uint32_t last;
	struct rig *r;
	struct flow f;

	(void)state;
	rig_seed(5);
	r = rig_open(&config);
	a = &r->ends[0];
	b = &r->ends[1];
	sealer = &a->t->data->keys[SL_KEY_PRIMARY]->seal;
	f = flow_of(r, 4, 17);
	for (unsigned n = 0; n < 4; n++) {
		item_super(&r->random, &f, 5000, 100, &it);
		want(give(r, a, &it));
	}
	wire.budget = 0;
	a->port->ops->tx(a->port, 0, a->in);
	want(sl_ring_in_flight(a->in) == 4 && a->t->unsent);
	last = sealer->last;
	sl_tunnel_send_own(a->t, sl_tunnel_ping, CONTROL_STRING_LEN, 12345);
	want(sealer->last == last && a->t->sent_at == 12345);
	rig_settle(r);
	judge(&a->sent, &b->got, 3, 0);
	want(!a->t->unsent);
	sl_tunnel_send_own(a->t, sl_tunnel_ping, CONTROL_STRING_LEN, 12346);
	want(sealer->last == last + 1);
	rig_close(r);
}

/* What is in flight at the end: the link counts entries, the tunnel what they are more of packets.
 */
static void test_stopped_in_flight(void **state)
{
	struct rig_config config = {.layer = 3};
	struct sl_counters before, after;
	struct end *a;
	struct rig *r;
	struct flow f;

	(void)state;
	rig_seed(6);
	r = rig_open(&config);
	a = &r->ends[0];
	f = flow_of(r, 4, 17);
	for (unsigned n = 0; n < 4; n++) {
		item_super(&r->random, &f, 5000, 100, &it);
		want(lend(r, a, &it));
	}
	wire.budget = 0;
	a->port->ops->tx(a->port, 0, a->in);
	before = stats_of(a);
	sl_tunnel_forget(a->t);
	after = stats_of(a);
	want(after.tx.drops[SL_DROP_RECALLED] - before.tx.drops[SL_DROP_RECALLED] == 4 * 50 - 4);
	sl_ring_abandon(a->in);
	rig_settle(r);
	rig_close(r);
}

/* Packets of junk that overflowed, and a packet from @at on: how many count as lost? */
static uint64_t counted(struct rig *r, struct flow *f, uint32_t missed)
{
	struct end *a = &r->ends[0], *b = &r->ends[1];
	uint64_t before = stats_of(b).rx.drops[SL_DROP_SOURCE], had = stats_of(b).rx.packets;

	b->t->rx.missed = missed;
	item_next(&r->random, f, 100, 0, &it);
	want(lend(r, a, &it));
	while (stats_of(b).rx.packets == had)
		rig_round(r);
	return stats_of(b).rx.drops[SL_DROP_SOURCE] - before;
}

static void test_missing_ids(void **state)
{
	struct rig_config config = {.layer = 3};
	struct data_sealer *sealer;
	struct rig *r;
	struct flow f;
	uint32_t *last;

	(void)state;
	rig_seed(7);
	r = rig_open(&config);
	sealer = &r->ends[0].t->data->keys[SL_KEY_PRIMARY]->seal;
	last = r->ends[1].t->rx.last_ids;
	f = flow_of(r, 4, 17);
	want(!counted(r, &f, 0) && last[0] == sealer->last);
	want(!counted(r, &f, 100)); /* junk: no id is missing */
	sealer->last += 70;
	want(counted(r, &f, 2) == 68); /* two messages, which the kernel has counted */
	sealer->last += 1000;
	want(counted(r, &f, 2) == 2 * TRAIN_MAX - 2); /* no more than they can have been */
	sealer->last += 1000;
	want(!counted(r, &f, 0)); /* lost on the way */
	last[1] = 5;		  /* the other key has been seen: it is not asked */
	sealer->last += 10;
	want(counted(r, &f, 1) == 9);
	last[0] = sealer->last + 100; /* of an older key of the same key id */
	want(counted(r, &f, 1) <= TRAIN_MAX);
	want(last[0] == sealer->last);
	rig_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_1280),
		cmocka_unit_test(test_tagged),
		cmocka_unit_test(test_many_segments),
		cmocka_unit_test(test_every_buffer_lent),
		cmocka_unit_test(test_no_ping_overtakes),
		cmocka_unit_test(test_stopped_in_flight),
		cmocka_unit_test(test_missing_ids),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
