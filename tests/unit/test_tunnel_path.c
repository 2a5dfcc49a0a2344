/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Through two tunnels: whatever is given to one comes out of the other, cut, merged or as it is,
 * with the bytes that a wire would have carried and in the order of each flow. And no packet,
 * whatever it says about itself, is read or written past its end.
 */
#include "tunnel_rig.h"

#ifdef __OPTIMIZE__
#define BATCHES 60
#else
#define BATCHES 30
#endif
#define FLOWS 6

static void send_batch(struct rig *r, struct flow *flows, unsigned lies)
{
	static struct item it;
	unsigned n = random_in(&r->random, 1, 30), run = 0;
	struct end *e = &r->ends[0];
	struct flow *f = flows;

	for (; n; n--) {
		if (!run--) {
			f = &flows[random_in(&r->random, 0, FLOWS - 1)];
			run = random_in(&r->random, 0, 8);
			e = &r->ends[random_in(&r->random, 0, 3) == 0];
		}
		item_any(&r->random, f, r->layer, lies, &it);
		if (!give(r, e, &it))
			rig_round(r);
	}
}

/* Packets that did not come out at the other end, each of them counted. */
static uint64_t lost(const struct rig *r, unsigned from)
{
	struct sl_counters a = stats_of(&r->ends[from]), b = stats_of(&r->ends[!from]);

	return sl_count_drops(&a.tx) + sl_count_drops(&b.rx);
}

static void traffic(struct rig *r, unsigned lies)
{
	struct flow flows[FLOWS];

	for (unsigned batch = 0; batch < BATCHES; batch++) {
		uint64_t before[2] = {lost(r, 0), lost(r, 1)};

		for (unsigned n = 0; n < FLOWS && batch % 10 == 0; n++)
			flows[n] = flow_make(&r->random, r->layer, n < FLOWS - 2);
		/* Two connections of two hosts: only the ports differ. */
		if (batch % 10 == 0) {
			flows[1] = flows[0];
			flows[1].headers[flows[1].h.l4] ^= 1;
		}
		r->budget =
			random_next(&r->random) & 1 ? RIG_BUDGET : random_in(&r->random, 1, 5000);
		send_batch(r, flows, lies);
		rig_settle(r);
		for (unsigned n = 0; n < 2; n++) {
			want(lies || lost(r, n) == before[n]);
			judge(&r->ends[n].sent, &r->ends[!n].got, r->layer, lost(r, n) - before[n]);
		}
	}
}

static void run(const struct rig_config *config, unsigned lies)
{
	struct rig *r = rig_open(config);

	if (!r)
		return;
	traffic(r, lies);
	want(!config->merges == !(r->ends[0].supers + r->ends[1].supers));
	rig_close(r);
}

static void test_as_it_was(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		struct rig_config config = {.layer = n & 1 ? 2 : 3, .ipv6 = n & 2};

		config.cipher = n & 1 ? "chacha20-poly1305" : "aes-256-gcm";
		rig_seed(100 + n);
		run(&config, 0);
	}
}

static void test_merged(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		struct rig_config config = {.layer = n & 1 ? 2 : 3, .ipv6 = n & 2, .merges = true};

		rig_seed(200 + n);
		run(&config, 0);
	}
}

/* The peer has the key, and its packets lie: nothing is merged that was not meant to be. */
static void test_lies_inside(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		struct rig_config config = {.layer = n & 1 ? 2 : 3, .merges = n < 3};

		rig_seed(300 + n);
		run(&config, 40);
	}
}

/*
 * A device that lies.
 */

static uint16_t near(uint64_t *r, uint32_t value)
{
	switch (random_in(r, 0, 5)) {
	case 0:
		return 0;
	case 1:
		return 0xffff;
	case 2:
		return (uint16_t)random_next(r);
	default:
		return (uint16_t)(value + random_in(r, 0, 6) - 3);
	}
}

static void spoil_facts(uint64_t *r, const struct flow *f, struct item *it)
{
	struct sl_offload *o = &it->offload;

	switch (random_in(r, 0, 7)) {
	case 0:
		o->gso_size = near(r, it->len - f->h.payload);
		break;
	case 1:
		o->gso_type = (uint8_t)(random_next(r) & 1 ? random_in(r, 0, 6) : random_next(r));
		break;
	case 2:
		o->flags = (uint8_t)random_in(r, 0, 3);
		break;
	case 3:
		o->csum_start = near(r, random_next(r) & 1 ? it->len : o->csum_start);
		break;
	case 4:
		o->csum_offset =
			near(r, random_next(r) & 1 ? it->len - o->csum_start : o->csum_offset);
		break;
	case 5:
		put16(it->bytes + f->h.l3 + (f->h.ip == 4 ? 2 : 4), near(r, it->len - f->h.l3));
		break;
	case 6:
		it->len = random_in(r, 0, random_next(r) & 1 ? f->h.payload + 3u : 50);
		break;
	default:
		item_spoil(r, f, it);
	}
}

/* Few of the facts of which a device may say anything are ever believed. */
static void make_hostile(struct rig *r, struct item *it)
{
	uint64_t *random = &r->random;
	struct flow f = flow_make(random, r->layer, random_next(random) & 1);
	uint32_t payload = random_in(random, 1, random_in(random, 0, 30) ? 4000 : 60000);

	item_super(random, &f, payload, random_in(random, payload / 100 + 1, payload), it);
	if (!random_in(random, 0, 2))
		it->offload.gso_type = SL_GSO_NONE;
	if (!random_in(random, 0, 9))
		random_fill(random, (uint8_t *)&it->offload, sizeof(it->offload));
	for (unsigned n = random_in(random, 0, 3); n; n--)
		spoil_facts(random, &f, it);
}

/* Alone in the tunnel: what became of it is plain to see. */
static void one_hostile(struct rig *r, struct item *it)
{
	struct end *a = &r->ends[0], *b = &r->ends[1];
	struct sl_counters was = stats_of(a), came = stats_of(b), is;
	uint64_t cut, sent, drops, whole = 1;

	want(lend(r, a, it));
	rig_settle(r);
	is = stats_of(a);
	cut = is.tx.cut - was.tx.cut;
	sent = is.tx.packets - was.tx.packets;
	drops = sl_count_drops(&is.tx) - sl_count_drops(&was.tx);
	want(cut <= 1 && cut <= (it->facts && it->offload.gso_type));
	if (sent)
		whole = slow_cut(it->bytes, it->len, r->layer, it->facts ? &it->offload : NULL,
				 &a->sent);
	want(sent + drops == whole && (!sent || !drops));
	is = stats_of(b);
	judge(&a->sent, &b->got, r->layer, sl_count_drops(&is.rx) - sl_count_drops(&came.rx));
	want(sl_count_drops(&is.rx) - sl_count_drops(&came.rx) <= sent);
}

static void test_facts_that_lie(void **state)
{
	static struct item it;

	(void)state;
	for (unsigned layer = 2; layer <= 3; layer++) {
		struct rig_config config = {.layer = layer, .merges = true};
		struct rig *r;
		uint64_t carried;

		rig_seed(400 + layer);
		r = rig_open(&config);
		r->guarded = true;
		for (unsigned n = 0; n < BATCHES * 40; n++) {
			make_hostile(r, &it);
			one_hostile(r, &it);
		}
		/* Neither all nor nothing. */
		carried = r->ends[1].arrived;
		want(carried > BATCHES && lost(r, 0) > BATCHES);
		rig_close(r);
	}
}

/* Too large for the path: answered when nobody may break it, else broken below, or refused. */
static void test_too_large(void **state)
{
	struct rig_config config = {.layer = 3};
	static struct item it;
	struct sl_counters c;
	struct flow f;
	struct rig *r;

	(void)state;
	rig_seed(500);
	r = rig_open(&config);
	do
		f = flow_make(&r->random, 3, true);
	while (f.h.ip != 4 || f.h.proto != 17);
	put16(f.headers + 6, 0x4000);
	memcpy(f.headers + 12, (uint8_t[]){10, 0, 0, 1, 10, 0, 0, 2}, 8);
	item_next(&r->random, &f, r->ends[0].t->mtu - 28, 0, &it);
	want(give(r, &r->ends[0], &it));
	rig_settle(r);
	judge(&r->ends[0].sent, &r->ends[1].got, 3, 0);
	item_next(&r->random, &f, r->ends[0].t->mtu - 27, 0, &it);
	want(lend(r, &r->ends[0], &it));
	while (!r->ends[0].got.n)
		rig_round(r);
	c = stats_of(&r->ends[0]);
	want(c.tx.drops[SL_DROP_TOO_LARGE] == 1 && sl_count_drops(&c.tx) == 1);
	want(c.tx.packets == 1 && r->ends[0].got.n == 1);
	want(r->ends[0].got.of[0].bytes[9] == 1 && r->ends[0].got.of[0].bytes[20] == 3);
	put16(f.headers + 6, 0); /* more than UDP can carry */
	item_next(&r->random, &f, r->ends[0].t->mtu - 27, 0, &it);
	want(lend(r, &r->ends[0], &it));
	while (r->ends[0].at != r->ends[0].posted)
		rig_round(r);
	c = stats_of(&r->ends[0]);
	want(c.tx.drops[SL_DROP_TOO_LARGE] == 2 && sl_count_drops(&c.tx) == 2);
	rig_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_it_was),   cmocka_unit_test(test_merged),
		cmocka_unit_test(test_lies_inside), cmocka_unit_test(test_facts_that_lie),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
