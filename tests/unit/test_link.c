/* SPDX-License-Identifier: BSD-2-Clause */
/* Links between scripted ports: what is refused, what is lost, and who is called when. */
#include "rig.h"

#include "packet/headers.h"
#include "slow.h"

#define ALL_CAN (SL_CAN_CSUM | SL_CAN_TSO4 | SL_CAN_TSO6 | SL_CAN_USO | SL_CAN_ECN)

/*
 * What is refused.
 */

static void refused(struct rig *r, const char *said, const char *also)
{
	struct sl_link *link = (struct sl_link *)r;

	assert_int_equal(sl_link_create(&r->config, &link), -EINVAL);
	if (!strstr(sl_reason(), said) || !strstr(sl_reason(), also))
		fail_msg("\"%s\" does not say \"%s\" and \"%s\"", sl_reason(), said, also);
	assert_int_equal(r->closed, 0);
	assert_int_equal(r->f[0]->added, r->f[0]->deleted);
	assert_int_equal(r->f[1]->added, r->f[1]->deleted);
	rig_discard(r);
}

static void test_refused_layer(void **state)
{
	struct rig r;

	(void)state;
	rig_make(&r, &modes[0], 1, 1);
	r.f[0]->info.layer = 3;
	refused(&r, "left", "right");
	rig_make(&r, &modes[0], 1, 1);
	r.f[1]->info.layer = 3;
	refused(&r, "layer 2", "layer 3");
}

static void test_refused_mtu(void **state)
{
	struct rig r;

	(void)state;
	rig_make(&r, &modes[0], 1, 1);
	r.f[0]->info.mtu = 1400;
	refused(&r, "1400", "mtu=");
	rig_make(&r, &modes[0], 1, 1);
	r.f[1]->info.mtu = 9000;
	refused(&r, "9000", "1500");
}

static void test_refused_silence(void **state)
{
	struct rig r;

	(void)state;
	rig_make(&r, &modes[0], 1, 1);
	r.f[0]->info.dirs = r.f[1]->info.dirs = SL_PORT_TX;
	refused(&r, "left", "right");
	rig_make(&r, &modes[0], 1, 1);
	r.f[0]->info.dirs = r.f[1]->info.dirs = SL_PORT_RX;
	refused(&r, "neither left: nor right:", "takes what the other has to give");
}

static void test_refused_numbers(void **state)
{
	struct rig r;

	(void)state;
	rig_make(&r, &modes[0], 1, 1);
	r.f[0]->info.queues = 0;
	refused(&r, "left", "queues");
	rig_make(&r, &modes[0], 1, 1);
	r.f[1]->info.queues = 17;
	refused(&r, "right", "16");
	rig_make(&r, &modes[0], 1, 1);
	r.config.n_workers = 0;
	refused(&r, "worker", "1");
	rig_make(&r, &modes[0], 1, 1);
	r.config.ring_size = 33;
	refused(&r, "33", "power of two");
	rig_make(&r, &modes[0], 1, 1);
	r.config.ring_size = 512;
	refused(&r, "512", "256");
}

/* What fails late has told a port of regions already: it is told that they go. */
static void test_refused_regions_go(void **state)
{
	struct rig r;

	(void)state;
	rig_make(&r, &modes[0], 1, 1);
	r.f[0]->ops.region_add = r.f[1]->ops.region_add = fake_region_add;
	r.f[0]->ops.region_del = r.f[1]->ops.region_del = fake_region_del;
	r.config.ring_size = 33;
	refused(&r, "33", "power of two");
}

static int join_refuses(struct sl_port *port, const struct sl_port_info *other)
{
	(void)port;
	(void)other;
	return sl_fail(EINVAL, "right: not with this left");
}

static void test_refused_by_join(void **state)
{
	struct rig r;

	(void)state;
	rig_make(&r, &modes[0], 1, 1);
	r.f[1]->ops.join = join_refuses;
	refused(&r, "not with this", "left");
}

/*
 * Traffic.
 */

static void count_capture(void *ctx, unsigned from, const struct sl_ring *ring, uint32_t at)
{
	struct rig *r = ctx;
	struct fake_head head;
	uint8_t bytes[FAKE_STRIDE];

	fake_flatten(ring, at, bytes, sizeof(bytes));
	memcpy(&head, bytes, sizeof(head));
	if (head.queue >= FAKE_QUEUES || r->captured[from][head.queue] != head.seq)
		set(&r->miscaptured, 1);
	else
		r->captured[from][head.queue]++;
}

/* Each packet is captured once, in order, before the sink has it. */
static bool look_captured(struct fake *f, unsigned q, struct sl_ring *ring, uint32_t entry,
			  bool first)
{
	struct rig *r = sl_container_of(f->closed_out, struct rig, closed);
	struct fake_head head;
	uint8_t bytes[FAKE_STRIDE];

	fake_flatten(ring, entry, bytes, sizeof(bytes));
	memcpy(&head, bytes, sizeof(head));
	return fake_look(f, q, ring, entry, first) &&
	       r->captured[f == r->f[0]][head.queue] > head.seq;
}

static void both_ways(const struct mode *m, unsigned qa, unsigned qb, uint64_t packets,
		      enum sink_mode sink)
{
	struct rig r;

	rig_make(&r, m, qa, qb);
	r.config.capture = count_capture;
	for (unsigned i = 0; i < 2; i++) {
		r.f[i]->mode = sink;
		r.f[i]->look = look_captured;
	}
	rig_join(&r);
	fake_offer(r.f[0], packets);
	fake_offer(r.f[1], packets);
	until(&r, fake_taken(r.f[1]) == packets * qa && fake_taken(r.f[0]) == packets * qb);
	rest(&r);
	rig_halt(&r);
	assert_int_equal(r.miscaptured, 0);
	for (unsigned q = 0; q < qa; q++)
		assert_int_equal(r.captured[0][q], packets);
	for (unsigned q = 0; q < qb; q++)
		assert_int_equal(r.captured[1][q], packets);
	rig_close_lossless(&r);
}

static void test_both_ways(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		both_ways(m, 1, 1, 5000, SINK_SYNC);
		both_ways(m, 1, 1, 5000, SINK_ASYNC);
	}
}

static void test_queues_and_workers(void **state)
{
	static const unsigned queues[][2] = {{1, 3}, {4, 2}, {3, 3}, {16, 16}};
	static const unsigned workers[] = {1, 2, 3, 7, 12, 23};

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		for (unsigned n = 0; n < 6; n++)
			for (unsigned threaded = 0; threaded < 2; threaded++)
				both_ways(&(struct mode){workers[n], threaded}, queues[i][0],
					  queues[i][1], 300, n & 1 ? SINK_ASYNC : SINK_SYNC);
}

/* With workers enough a queue's directions are two threads', which each wait for their own. */
static void test_fd_directions(void **state)
{
	const unsigned rx = 1u << SL_PORT_RX, tx = 1u << SL_PORT_TX;
	const unsigned both = 1u << (SL_PORT_RX | SL_PORT_TX);
	struct rig r;

	(void)state;
	for (unsigned n = 0; n < 3; n++) { /* the modes without threads */
		unsigned expected = modes[n].workers == 1 ? both : rx | tx;

		rig_open(&r, &modes[n]);
		assert_int_equal(r.f[0]->queues[0].asked, expected);
		assert_int_equal(r.f[1]->queues[0].asked, expected);
		rig_close(&r);
	}
}

static void test_one_way(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		struct sl_link_stats s;
		struct rig r;

		rig_make(&r, m, 1, 1);
		r.f[0]->info.dirs = SL_PORT_RX;
		r.f[1]->info.dirs = SL_PORT_TX;
		rig_join(&r);
		fake_offer(r.f[0], 1000);
		until(&r, fake_taken(r.f[1]) == 1000);
		rig_halt(&r);
		sl_link_get_stats(r.link, 1, &s);
		assert_false(s.exists);
		assert_int_equal(s.in.packets + s.out.packets + sl_count_drops(&s.between), 0);
		sl_link_stop(r.link);
		assert_int_equal(get(&r.f[0]->queues[0].tx_calls), 0);
		assert_int_equal(get(&r.f[1]->queues[0].rx_calls), 0);
		sl_link_release(r.link);
		assert_int_equal(r.closed, 2);
		for (unsigned i = 0; i < m->workers; i++)
			sl_worker_release(r.workers[i]);
	}
}

/* A refused packet stays, its source is left alone, and nothing spins meanwhile. */
static void back_pressure(const struct mode *m, enum sink_mode sink, uint32_t accepts)
{
	uint64_t given, calls;
	struct rig r;

	rig_make(&r, m, 1, 1);
	r.f[0]->info.emits = ALL_CAN;
	r.f[1]->info.accepts = accepts;
	r.f[1]->mode = sink;
	rig_join(&r);
	fake_block(r.f[1], true);
	fake_offer(r.f[0], FAKE_MANY);
	until(&r, fake_given(r.f[0]) >= 32);
	rest(&r);
	given = fake_given(r.f[0]);
	calls = get(&r.f[0]->queues[0].rx_calls);
	fake_offer(r.f[0], FAKE_MANY);
	rest(&r);
	assert_int_equal(fake_given(r.f[0]), given);
	assert_int_equal(get(&r.f[0]->queues[0].rx_calls), calls);
	fake_block(r.f[1], false);
	until(&r, fake_taken(r.f[1]) > 10 * given);
	fake_offer(r.f[0], 0);
	until(&r, fake_taken(r.f[1]) == fake_given(r.f[0]));
	rest(&r);
	rig_close_lossless(&r);
}

static void test_back_pressure(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		back_pressure(m, SINK_SYNC, ALL_CAN);
		back_pressure(m, SINK_ASYNC, ALL_CAN);
		back_pressure(m, SINK_SYNC, 0);
		back_pressure(m, SINK_ASYNC, 0);
	}
}

/* One direction never rests, so that its worker is never about to sleep: the other one, whose
 * ring was full for a while, goes on all the same. */
static void test_busy_is_fair(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		struct rig r;

		rig_open(&r, m);
		fake_block(r.f[1], true);
		fake_offer(r.f[1], FAKE_MANY);
		until(&r, fake_taken(r.f[0]) > 100);
		fake_offer(r.f[0], FAKE_MANY);
		until(&r, fake_given(r.f[0]) == 32);
		until(&r, fake_taken(r.f[0]) > 3000);
		fake_block(r.f[1], false);
		until(&r, fake_taken(r.f[1]) > 1000);
		fake_offer(r.f[0], 0);
		fake_offer(r.f[1], 0);
		until(&r, fake_taken(r.f[1]) == fake_given(r.f[0]));
		until(&r, fake_taken(r.f[0]) == fake_given(r.f[1]));
		rest(&r);
		rig_close_lossless(&r);
	}
}

/* An asynchronous sink that holds all it can is waited for, not asked again and again. */
static void test_full_sink_sleeps(void **state)
{
	(void)state;
	for (unsigned accepts = 0; accepts < 2; accepts++)
		for (const struct mode *m = modes; m != MODES_END; m++) {
			struct rig r;

			rig_make(&r, m, 1, 1);
			r.config.ring_size = 256;
			r.f[0]->info.emits = ALL_CAN;
			r.f[1]->info.accepts = accepts ? ALL_CAN : 0;
			r.f[1]->mode = SINK_ASYNC;
			fake_hold(r.f[1], true);
			rig_join(&r);
			fake_offer(r.f[0], 250);
			until(&r, fake_given(r.f[0]) == 250);
			rest(&r);
			fake_offer(r.f[0], 251);
			rest(&r);
			fake_hold(r.f[1], false);
			until(&r, fake_taken(r.f[1]) == 251);
			rig_close_lossless(&r);
		}
}

/* A source that has few buffers. */
static int rx_few(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct fake *f = fake_of(port);
	struct fake_queue *queue = &f->queues[q];

	fake_reclaim(f, queue, ring);
	if (FAKE_BUFFERS - queue->n_free < 20)
		return fake_rx(port, q, ring);
	set(&queue->rx_calls, queue->rx_calls + 1);
	return -ENOBUFS;
}

/* The ring has room, the source has something, and nothing to put it into: it is asked again when a
 * buffer has come back, and not before. */
static void test_source_out_of_buffers(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		struct rig r;

		rig_make(&r, m, 1, 1);
		r.config.ring_size = 256;
		r.f[0]->ops.rx = rx_few;
		r.f[1]->mode = SINK_ASYNC;
		fake_hold(r.f[1], true);
		rig_join(&r);
		fake_offer(r.f[0], 2000);
		until(&r, fake_given(r.f[0]) >= 20);
		rest(&r);
		assert_true(fake_given(r.f[0]) < 60);
		fake_hold(r.f[1], false);
		until(&r, fake_taken(r.f[1]) == 2000);
		rig_close_lossless(&r);
	}
}

/*
 * Offloads. TCP over IPv4 over Ethernet with 120 bytes of payload, in segments of 50.
 */

#define TCP_AT	    34
#define TCP_DATA    54
#define TCP_PAYLOAD 120

static void make_tcp(struct fake *f, unsigned q, uint64_t seq, uint8_t *at, struct sl_ring *ring,
		     uint32_t entry)
{
	static const struct sl_headers h = {.l3 = 14, .l4 = TCP_AT, .ip = 4, .proto = 6};
	struct sl_frag frag = {at + FAKE_ROOM, TCP_DATA + TCP_PAYLOAD, 0, 0};
	uint8_t *p = frag.addr;

	(void)q;
	memset(p, 0, TCP_DATA);
	p[12] = 0x08;
	p[14] = 0x45;
	put16(p + 16, frag.len - 14);
	p[22] = 64;
	p[23] = 6;
	put16(p + 24, ~slow_sum(0, p + 14, 20) & 0xffff);
	put16(p + TCP_AT + 4, (unsigned)(seq >> 8) & 0xffff);
	put16(p + TCP_AT + 6, (unsigned)(seq << 8) & 0xffff);
	p[TCP_AT + 12] = 0x50;
	p[TCP_AT + 13] = 0x10;
	put16(p + TCP_AT + 16, slow_pseudo(p, &h, frag.len - TCP_AT));
	for (unsigned n = 0; n < TCP_PAYLOAD; n++)
		p[TCP_DATA + n] = (uint8_t)(seq + n);
	if (sl_ring_chain(ring, entry, &frag, 1))
		breach(f, "sl_ring_chain() failed");
	if (!(f->info.emits & SL_CAN_TSO4))
		return;
	sl_ring_packet(ring, entry)->flags |= SL_PACKET_OFFLOAD;
	*sl_ring_offload(ring, entry) = (struct sl_offload){
		.flags = SL_OFFLOAD_NEEDS_CSUM,
		.gso_type = SL_GSO_TCPV4,
		.gso_size = 50,
		.csum_start = TCP_AT,
		.csum_offset = 16,
	};
}

/* No more is left to do than the port accepts; what is done was done right. */
static bool look_tcp(struct fake *f, unsigned q, struct sl_ring *ring, uint32_t entry, bool first)
{
	const struct sl_packet *packet = sl_ring_packet(ring, entry);
	const struct sl_offload *offload = sl_ring_offload(ring, entry);
	bool left = packet->flags & SL_PACKET_OFFLOAD;
	uint8_t bytes[FAKE_STRIDE], *tcp = bytes + TCP_AT;
	uint32_t len = fake_flatten(ring, entry, bytes, sizeof(bytes));
	struct sl_headers h;
	unsigned at;

	(void)q;
	if (len > sizeof(bytes) || sl_headers_parse(bytes, len, len, 2, &h) || h.proto != 6)
		return false;
	if (left && offload->gso_type && !(get(&f->new_accepts) & SL_CAN_TSO4))
		return false;
	if (left && offload->flags & SL_OFFLOAD_NEEDS_CSUM && !(get(&f->new_accepts) & SL_CAN_CSUM))
		return false;
	if (!left && (len > TCP_DATA + 50 || !slow_valid(bytes, &h)))
		return false;
	at = tcp[7]; /* the payload's offset in its super-packet: sequence numbers are seq << 8 */
	for (unsigned n = 0; n < len - TCP_DATA; n++)
		if (tcp[20 + n] != (uint8_t)((get16(tcp + 4) << 8 | tcp[6]) + at + n))
			return false;
	if (first) /* payload bytes, in place of sequence numbers */
		f->queues[0].seen[0] += len - TCP_DATA;
	return true;
}

static void offload_open(struct rig *r, const struct mode *m, uint32_t emits, uint32_t accepts)
{
	rig_make(r, m, 1, 1);
	r->f[0]->make = make_tcp;
	r->f[1]->look = look_tcp;
	r->f[0]->info.emits = r->f[0]->new_emits = emits;
	r->f[1]->info.accepts = r->f[1]->new_accepts = accepts;
	rig_join(r);
}

static void offload_close(struct rig *r, uint64_t packets)
{
	rest(r);
	rig_halt(r);
	assert_int_equal(r->f[1]->queues[0].seen[0], packets * TCP_PAYLOAD);
	rig_close_lossless(r);
}

static void test_offloads(void **state)
{
	static const uint32_t accepts[] = {0, SL_CAN_CSUM, SL_CAN_CSUM | SL_CAN_TSO6, ALL_CAN};

	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++)
		for (unsigned i = 0; i < 8; i++) {
			uint64_t each = i / 2 == 3 ? 1 : 3;
			struct sl_link_stats s;
			struct rig r;

			offload_open(&r, m, ALL_CAN, accepts[i / 2]);
			set(&r.f[1]->mode, i & 1 ? SINK_ASYNC : SINK_SYNC);
			fake_offer(r.f[0], 700);
			until(&r, fake_taken(r.f[1]) == 700 * each);
			rig_halt(&r);
			sl_link_get_stats(r.link, 0, &s);
			assert_int_equal(s.between.cut, each == 3 ? 700 : 0);
			assert_int_equal(s.between.copied, 0);
			assert_int_equal(s.out.packets, 700 * each);
			offload_close(&r, 700);
		}
}

/*
 * A port's features change while packets flow.
 */

static void change(struct rig *r, unsigned side, uint32_t emits, uint32_t accepts)
{
	set(&r->f[side]->new_emits, emits);
	set(&r->f[side]->new_accepts, accepts);
	set(&r->f[side]->change, 1);
	fake_poke(r->f[side]);
	until(r, !get(&r->f[side]->change));
}

static void test_accepts_change(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		uint64_t offered = 0;
		struct rig r;

		offload_open(&r, m, ALL_CAN, ALL_CAN);
		set(&r.f[1]->mode, SINK_ASYNC);
		for (unsigned i = 0; i < 20; i++) {
			fake_offer(r.f[0], offered += 100);
			until(&r, fake_given(r.f[0]) == offered);
			rest(&r); /* all is delivered: from now on the new features hold */
			change(&r, 1, 0, i & 1 ? ALL_CAN : 0);
			rest(&r);
		}
		offload_close(&r, offered);
	}
}

/* The same in the middle of traffic: what counts here is that it goes on. */
static void test_accepts_change_in_flight(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++)
		for (unsigned sink = SINK_SYNC; sink <= SINK_ASYNC; sink++) {
			struct rig r;

			rig_make(&r, m, 1, 1);
			r.f[0]->info.emits = ALL_CAN;
			set(&r.f[1]->mode, sink);
			rig_join(&r);
			fake_offer(r.f[0], FAKE_MANY);
			for (unsigned i = 0; i < 40; i++) {
				uint64_t taken = fake_taken(r.f[1]);

				change(&r, 1, 0, i & 1 ? 0 : ALL_CAN);
				until(&r, fake_taken(r.f[1]) > taken + 200);
			}
			fake_offer(r.f[0], 0);
			until(&r, fake_taken(r.f[1]) == fake_given(r.f[0]));
			rest(&r);
			rig_close_lossless(&r);
		}
}

/* A change finds the sink blocked, or holding, with packets on both sides of the fitting. */
static void test_accepts_change_while_blocked(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++)
		for (unsigned i = 0; i < 8; i++) {
			struct rig r;

			rig_make(&r, m, 1, 1);
			r.f[0]->info.emits = ALL_CAN;
			r.f[1]->info.accepts = i & 1 ? ALL_CAN : 0;
			r.f[1]->mode = i & 2 ? SINK_ASYNC : SINK_SYNC;
			set(&r.f[1]->blocked, !(i & 4));
			fake_hold(r.f[1], true);
			rig_join(&r);
			fake_offer(r.f[0], 32);
			until(&r, fake_given(r.f[0]) == 32);
			fake_offer(r.f[0], 400);
			rest(&r);
			if (i & 2) /* what it has it still has to finish */
				fake_block(r.f[1], true);
			change(&r, 1, 0, i & 1 ? 0 : ALL_CAN);
			rest(&r);
			fake_hold(r.f[1], false);
			rest(&r);
			fake_block(r.f[1], false);
			until(&r, fake_taken(r.f[1]) == 400);
			rig_close_lossless(&r);
		}
}

/* A full ring whose entries all come back while the change is being waited for. */
static void test_accepts_change_while_full(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		struct rig r;

		rig_make(&r, m, 1, 1);
		r.f[1]->mode = SINK_ASYNC;
		fake_hold(r.f[1], true);
		rig_join(&r);
		fake_offer(r.f[0], 400);
		until(&r, fake_given(r.f[0]) == 32);
		rest(&r);
		change(&r, 1, 0, ALL_CAN);
		rest(&r);
		fake_hold(r.f[1], false);
		until(&r, fake_taken(r.f[1]) == 400);
		rig_close_lossless(&r);
	}
}

/* Packets that were received before the source stopped emitting super-packets. */
static void test_emits_shrink(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		struct rig r;

		offload_open(&r, m, ALL_CAN, 0);
		fake_block(r.f[1], true);
		fake_offer(r.f[0], 20);
		until(&r, fake_given(r.f[0]) == 20);
		rest(&r);
		change(&r, 0, 0, 0);
		rest(&r);
		fake_block(r.f[1], false);
		until(&r, get(&r.f[1]->queues[0].taken) == 60);
		offload_close(&r, 20);
	}
}

/*
 * Regions.
 */

static void test_regions(void **state)
{
	(void)state;
	for (unsigned declined = 0; declined < 2; declined++)
		for (const struct mode *m = modes; m != MODES_END; m++) {
			struct sl_link_stats s;
			uint32_t added;
			struct rig r;

			rig_make(&r, m, 1, 1);
			r.f[1]->ops.region_add = fake_region_add;
			r.f[1]->ops.region_del = fake_region_del;
			r.f[1]->declines = declined ? -EOPNOTSUPP : 0;
			r.f[1]->mode = SINK_ASYNC;
			rig_join(&r);
			fake_offer(r.f[0], 600);
			until(&r, fake_taken(r.f[1]) == 600);
			rig_halt(&r);
			sl_link_get_stats(r.link, 0, &s);
			assert_int_equal(s.between.copied, declined ? 600 : 0);
			added = r.f[1]->added;
			assert_int_equal(added, 1); /* the source's, or the fitting's */
			sl_link_stop(r.link);
			assert_int_equal(r.f[1]->deleted, 0);
			rig_close_lossless(&r);
		}
}

static uint32_t add_calls, del_calls;

static int count_add(struct sl_port *port, const struct sl_region *r)
{
	int ret = fake_region_add(port, r);

	add_calls += !ret;
	return ret;
}

static void count_del(struct sl_port *port, const struct sl_region *r)
{
	(void)port;
	(void)r;
	del_calls++;
}

/* region_del() for what region_add() took, and for nothing else. */
static void test_regions_balance(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct rig r;

		add_calls = del_calls = 0;
		rig_make(&r, &modes[0], 1, 1);
		r.f[1]->ops.region_add = count_add;
		r.f[1]->ops.region_del = count_del;
		r.f[1]->declines = i & 1 ? -EOPNOTSUPP : 0;
		if (i & 2)
			r.f[1]->info.dirs = SL_PORT_RX; /* it is never given anything */
		rig_join(&r);
		sl_link_release(r.link);
		assert_int_equal(add_calls, i & 2 ? 0 : 1);
		assert_int_equal(add_calls, del_calls);
		sl_worker_release(r.workers[0]);
	}
}

static bool fit_is_there;

static int add_once(struct sl_port *port, const struct sl_region *r)
{
	(void)port;
	if (r->id < 0xff00)
		return 0;
	assert_false(fit_is_there);
	fit_is_there = true;
	return 0;
}

static void del_once(struct sl_port *port, const struct sl_region *r)
{
	(void)port;
	fit_is_there = fit_is_there && r->id < 0xff00;
}

/* The memory of a new fitting has the id of the one before, which must be gone by then. */
static void test_regions_of_fittings(void **state)
{
	struct rig r;

	(void)state;
	fit_is_there = false;
	rig_make(&r, &modes[0], 1, 1);
	r.f[1]->ops.region_add = add_once;
	r.f[1]->ops.region_del = del_once;
	r.f[0]->info.emits = ALL_CAN;
	rig_join(&r);
	fake_offer(r.f[0], 100);
	until(&r, fake_taken(r.f[1]) == 100);
	assert_true(fit_is_there);
	change(&r, 1, 0, SL_CAN_CSUM);
	fake_offer(r.f[0], 200);
	until(&r, fake_taken(r.f[1]) == 200);
	assert_true(fit_is_there);
	rig_close_lossless(&r);
	assert_false(fit_is_there);
}

/* Any other error refuses the link. */
static void test_region_error(void **state)
{
	struct rig r;

	(void)state;
	rig_make(&r, &modes[0], 1, 1);
	r.f[1]->ops.region_add = fake_region_add;
	r.f[1]->declines = -ENOMEM;
	assert_int_equal(sl_link_create(&r.config, &r.link), -ENOMEM);
	rig_discard(&r);
}

/*
 * Recall.
 */

static void recall(struct rig *r)
{
	set(&r->f[0]->want_recall, 1);
	fake_poke(r->f[0]);
}

/* At any moment of the traffic, again and again. */
static void recall_in_traffic(const struct mode *m, enum sink_mode sink, uint32_t accepts)
{
	struct rig r;

	rig_make(&r, m, 1, 1);
	r.f[0]->info.emits = ALL_CAN;
	r.f[1]->info.accepts = accepts;
	r.f[1]->mode = sink;
	rig_join(&r);
	fake_offer(r.f[0], FAKE_MANY);
	for (unsigned i = 1; i <= 30; i++) {
		uint64_t taken = fake_taken(r.f[1]);

		recall(&r);
		until(&r, get(&r.f[0]->recalls) == i);
		until(&r, fake_taken(r.f[1]) > taken + 100);
	}
	assert_int_equal(get(&r.f[1]->stops), 0);
	fake_offer(r.f[0], 0);
	until(&r, fake_taken(r.f[1]) + rig_drops(&r, 0, SL_DROP_RECALLED) == fake_given(r.f[0]));
	rest(&r);
	rig_close(&r);
}

static void test_recall(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		recall_in_traffic(m, SINK_SYNC, ALL_CAN);
		recall_in_traffic(m, SINK_ASYNC, ALL_CAN);
		recall_in_traffic(m, SINK_SYNC, 0);
		recall_in_traffic(m, SINK_ASYNC, 0);
	}
}

/* The sink is blocked: what it never took is dropped, and the link is at rest afterwards. */
static void test_recall_while_blocked(void **state)
{
	(void)state;
	for (unsigned fit = 0; fit < 2; fit++)
		for (const struct mode *m = modes; m != MODES_END; m++) {
			struct rig r;

			rig_make(&r, m, 1, 1);
			r.f[0]->info.emits = fit ? ALL_CAN : 0;
			rig_join(&r);
			fake_block(r.f[1], true);
			fake_offer(r.f[0], 20);
			until(&r, fake_given(r.f[0]) == 20);
			rest(&r);
			recall(&r);
			until(&r, get(&r.f[0]->recalls) == 1);
			assert_int_equal(rig_drops(&r, 0, SL_DROP_RECALLED), 20);
			fake_block(r.f[1], false);
			rest(&r);
			fake_offer(r.f[0], 50);
			until(&r, fake_taken(r.f[1]) == 30);
			rest(&r);
			rig_close(&r);
		}
}

/* Not in a thread: it leaves the test from within the callback, which would be called 2^32 times.
 */
static void capture_bounded(void *ctx, unsigned from, const struct sl_ring *ring, uint32_t at)
{
	struct rig *r = ctx;

	(void)ring;
	(void)at;
	if (++r->captured[from][0] > get(&r->f[0]->budget))
		fail_msg("captured more than there ever was");
}

/* What the sink never took was captured once, and is not captured again as it is recalled. */
static void test_recall_captures_nothing(void **state)
{
	(void)state;
	for (unsigned fit = 0; fit < 2; fit++)
		for (const struct mode *m = modes; !m->threaded; m++) {
			struct rig r;

			rig_make(&r, m, 1, 1);
			r.config.capture = capture_bounded;
			r.f[0]->info.emits = fit ? ALL_CAN : 0;
			rig_join(&r);
			fake_block(r.f[1], true);
			fake_offer(r.f[0], 20);
			until(&r, r.captured[0][0] == 20);
			rest(&r);
			recall(&r);
			until(&r, get(&r.f[0]->recalls) == 1);
			rest(&r);
			assert_int_equal(r.captured[0][0], 20);
			fake_block(r.f[1], false);
			fake_offer(r.f[0], 50);
			until(&r, fake_taken(r.f[1]) == 30);
			rest(&r);
			assert_int_equal(r.captured[0][0], 50);
			rig_close(&r);
		}
}

/* Of what the sink has finished nothing is counted as lost. */
static void test_recall_counts_the_lost(void **state)
{
	(void)state;
	for (unsigned fit = 0; fit < 2; fit++)
		for (const struct mode *m = modes; !m->threaded; m++) { /* 100 ms may pass */
			struct rig r;

			rig_make(&r, m, 1, 1);
			r.f[0]->info.emits = fit ? ALL_CAN : 0;
			r.f[1]->mode = SINK_ASYNC;
			fake_hold(r.f[1], true);
			rig_join(&r);
			fake_offer(r.f[0], 20);
			until(&r, fake_got(r.f[1]) == 20);
			rest(&r);
			recall(&r);
			until(&r, !get(&r.f[0]->want_recall));
			fake_hold(r.f[1], false);
			until(&r, get(&r.f[0]->recalls) == 1);
			assert_int_equal(fake_taken(r.f[1]), 20);
			assert_int_equal(rig_drops(&r, 0, SL_DROP_RECALLED), 0);
			rig_close(&r);
		}
}

/* A consumer that does not answer is stopped, and only then is its memory given back. */
static void recall_stuck(struct rig *r, uint32_t nth)
{
	uint64_t offered = fake_given(r->f[0]) + 20;

	set(&r->f[1]->mode, SINK_ASYNC);
	fake_hold(r->f[1], true);
	fake_offer(r->f[0], offered);
	until(r, fake_given(r->f[0]) == offered);
	rest(r);
	recall(r);
	until(r, get(&r->f[0]->recalls) == nth);
	assert_int_equal(get(&r->f[1]->stops), nth);
	assert_true(rig_gone(r, 0));
	rest(r); /* its deadline is over: no timer fires on and on */
	fake_hold(r->f[1], false);
	set(&r->f[1]->back, 1);
	fake_poke(r->f[1]);
	until(r, !rig_gone(r, 0));
}

static void test_recall_unanswered(void **state)
{
	(void)state;
	for (unsigned fit = 0; fit < 2; fit++)
		for (const struct mode *m = modes; m != MODES_END; m++) {
			uint64_t taken;
			struct rig r;

			rig_make(&r, m, 1, 1);
			r.f[0]->info.emits = fit ? ALL_CAN : 0;
			rig_join(&r);
			recall_stuck(&r, 1);
			assert_int_equal(rig_drops(&r, 0, SL_DROP_RECALLED) +
						 rig_drops(&r, 0, SL_DROP_PEER_GONE),
					 20);
			taken = fake_taken(r.f[1]);
			fake_offer(r.f[0], 100);
			until(&r, fake_taken(r.f[1]) == taken + 80);
			recall_stuck(&r, 2);
			rig_close(&r);
		}
}

/* Each recall has its own 100 ms, also after one that was never answered. */
static void test_recall_has_its_time(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 3; n++) { /* the modes without threads */
		struct rig r;

		rig_open(&r, &modes[n]);
		recall_stuck(&r, 1);
		fake_hold(r.f[1], true);
		fake_offer(r.f[0], 40);
		until(&r, fake_given(r.f[0]) == 40);
		rest(&r);
		recall(&r);
		for (unsigned i = 0; i < 6; i++)
			rig_step(&r);
		assert_int_equal(get(&r.f[1]->stops), 1);
		fake_hold(r.f[1], false);
		until(&r, get(&r.f[0]->recalls) == 2);
		assert_int_equal(get(&r.f[1]->stops), 1);
		rig_close(&r);
	}
}

/*
 * A port goes away and comes back.
 */

enum how {
	BY_RX,
	BY_TX,
	BY_CONTROL,
	BY_INFO
};

static void go_away(struct rig *r, unsigned side, enum how how)
{
	struct fake *f = r->f[side];
	uint32_t *flags[] = {&f->gone_rx, &f->gone_tx, &f->gone_control, &f->away};

	set(flags[how], 1);
	/* So that it is asked: something to receive, something to send, a message. */
	fake_offer(f, get(&f->budget) + 10);
	fake_offer(r->f[!side], get(&r->f[!side]->budget) + 10);
	fake_poke(f);
	until(r, get(&f->stopped));
	assert_true(rig_gone(r, !side));
}

static void come_back(struct rig *r, unsigned side)
{
	set(&r->f[side]->back, 1);
	fake_poke(r->f[side]);
	until(r, !get(&r->f[side]->stopped) && !rig_gone(r, !side));
}

static void gone_and_back(const struct mode *m, enum how how, enum sink_mode sink, uint32_t emits)
{
	struct rig r;

	rig_make(&r, m, 1, 1);
	r.f[0]->info.emits = emits;
	r.f[0]->mode = r.f[1]->mode = sink;
	rig_join(&r);
	for (unsigned i = 1; i <= 8; i++) {
		uint64_t offered = get(&r.f[0]->budget) + 300, taken;

		fake_offer(r.f[0], offered);
		fake_offer(r.f[1], get(&r.f[1]->budget) + 300);
		until(&r, fake_given(r.f[0]) > offered - 200);
		go_away(&r, 1, how);
		assert_int_equal(get(&r.f[1]->stops), i);
		/* What is given now is drained. */
		fake_offer(r.f[0], get(&r.f[0]->budget) + 500);
		until(&r, fake_given(r.f[0]) == get(&r.f[0]->budget));
		until(&r, fake_taken(r.f[1]) + rig_lost(&r, 0) == fake_given(r.f[0]));
		rest(&r);
		taken = fake_taken(r.f[1]);
		come_back(&r, 1);
		fake_offer(r.f[0], get(&r.f[0]->budget) + 400);
		until(&r, fake_taken(r.f[1]) >= taken + 400);
		until(&r, fake_taken(r.f[0]) == get(&r.f[1]->budget));
	}
	rest(&r);
	assert_int_equal(rig_drops(&r, 1, SL_DROP_PEER_GONE), 0);
	rig_close(&r);
}

static void test_gone_by_rx(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		gone_and_back(m, BY_RX, SINK_SYNC, 0);
		gone_and_back(m, BY_RX, SINK_ASYNC, ALL_CAN);
	}
}

static void test_gone_by_tx(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		gone_and_back(m, BY_TX, SINK_SYNC, ALL_CAN);
		gone_and_back(m, BY_TX, SINK_ASYNC, 0);
	}
}

static void test_gone_by_control(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		gone_and_back(m, BY_CONTROL, SINK_SYNC, 0);
		gone_and_back(m, BY_CONTROL, SINK_ASYNC, ALL_CAN);
	}
}

/* "attached: 0 while it waits for its peer: rx() and tx() are not called" */
static void test_gone_by_info(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		gone_and_back(m, BY_INFO, SINK_SYNC, 0);
		gone_and_back(m, BY_INFO, SINK_ASYNC, ALL_CAN);
	}
}

/* It was blocked when it went: it is not waited for any more when it is back. */
static void test_gone_while_blocked(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		struct rig r;

		rig_open(&r, m);
		fake_block(r.f[1], true);
		fake_offer(r.f[0], 20);
		until(&r, fake_given(r.f[0]) == 20);
		rest(&r);
		go_away(&r, 1, BY_CONTROL);
		rest(&r);
		fake_block(r.f[1], false);
		come_back(&r, 1);
		rest(&r);
		fake_offer(r.f[0], 100);
		until(&r, fake_given(r.f[0]) == 100);
		until(&r, fake_taken(r.f[1]) + rig_drops(&r, 0, SL_DROP_PEER_GONE) == 100);
		rest(&r);
		rig_close(&r);
	}
}

static void test_waiting_at_open(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		struct rig r;

		rig_make(&r, m, 1, 1);
		r.f[1]->info.attached = 0;
		r.f[1]->stopped = 1;
		rig_join(&r);
		fake_offer(r.f[0], 100);
		fake_offer(r.f[1], 100);
		until(&r, rig_drops(&r, 0, SL_DROP_PEER_GONE) == 100);
		rest(&r);
		assert_true(rig_gone(&r, 0));
		assert_int_equal(fake_given(r.f[1]), 0);
		come_back(&r, 1);
		fake_offer(r.f[0], 300);
		until(&r, fake_taken(r.f[1]) == 200 && fake_taken(r.f[0]) == 100);
		assert_int_equal(get(&r.f[1]->stops), 0);
		rig_close(&r);
	}
}

static unsigned told;
static bool told_up;

static void count_carrier(struct sl_port *port, bool up)
{
	(void)port;
	told_up = up;
	set(&told, told + 1);
}

/* A port is told of the other, by the thread of its control(), once for each change. */
static void test_carrier(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		struct rig r;

		told = 0;
		rig_make(&r, m, 1, 1);
		r.f[0]->ops.carrier = count_carrier;
		r.f[1]->info.attached = 0;
		r.f[1]->stopped = 1;
		rig_join(&r);
		until(&r, get(&told) == 1);
		assert_false(told_up);
		come_back(&r, 1);
		until(&r, get(&told) == 2);
		assert_true(told_up);
		go_away(&r, 1, BY_TX);
		until(&r, get(&told) == 3);
		assert_false(told_up);
		come_back(&r, 1);
		until(&r, get(&told) == 4);
		assert_true(told_up);
		rest(&r);
		assert_int_equal(get(&told), 4);
		rig_close(&r);
	}
}

/* The recall of a source whose consumer is away is answered as well. */
static void test_recall_while_gone(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		struct rig r;

		rig_open(&r, m);
		go_away(&r, 1, BY_TX);
		recall(&r);
		until(&r, get(&r.f[0]->recalls) == 1);
		come_back(&r, 1);
		rest(&r);
		rig_close(&r);
	}
}

/*
 * A port that breaks its ring.
 */

#define BREAKS 77 /* the budget of a source, the mode of a sink */

static int rx_breaks(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct fake *f = fake_of(port);
	uint32_t at;

	if (get(&f->budget) != BREAKS)
		return fake_rx(port, q, ring);
	if (sl_ring_broken(ring))
		breach(f, "rx() with a broken ring");
	sl_ring_post(ring, sl_ring_room(ring, &at) + 1);
	return 1;
}

static int tx_breaks(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct fake *f = fake_of(port);
	uint32_t at;

	if (get(&f->mode) != BREAKS)
		return fake_tx(port, q, ring);
	sl_ring_consume(ring, sl_ring_ready(ring, &at) + 1);
	return 1;
}

static void count_broken(void *ctx, enum sl_log_level level, const char *line)
{
	struct rig *r = ctx;

	if (level == SL_LOG_WARN && strstr(line, "gone: it broke its ring"))
		__atomic_add_fetch(&r->ended, 1, __ATOMIC_ACQ_REL);
}

/* @side has broken its ring: it is stopped, once and with a line in the log, what is given
 * to it is dropped, and it is not taken back. */
static void broken(struct rig *r, unsigned side)
{
	uint64_t offered = get(&r->f[!side]->budget) + 100;

	until(r, get(&r->f[side]->stopped));
	assert_true(rig_gone(r, !side));
	assert_int_equal(get(&r->f[side]->stops), 1);
	assert_int_equal(get(&r->f[!side]->stops), 0);
	assert_int_equal(get(&r->ended), 1);
	rest(r);
	if (side)
		return;
	fake_offer(r->f[1], offered);
	until(r, rig_drops(r, 1, SL_DROP_PEER_GONE) == 100);
	rest(r);
	assert_true(rig_gone(r, 1));
}

static void test_source_breaks_ring(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		struct rig r;
		struct sl_log log = {count_broken, &r, SL_LOG_WARN};

		rig_make(&r, m, 1, 1);
		r.config.log = &log;
		r.f[0]->ops.rx = rx_breaks;
		rig_join(&r);
		fake_offer(r.f[0], 20);
		fake_offer(r.f[1], 20);
		until(&r, fake_taken(r.f[1]) == 20 && fake_taken(r.f[0]) == 20);
		rest(&r);
		fake_offer(r.f[0], BREAKS);
		broken(&r, 0);
		assert_int_equal(fake_given(r.f[0]), 20);
		rig_close(&r);
	}
}

static void test_sink_breaks_ring(void **state)
{
	(void)state;
	for (unsigned fit = 0; fit < 2; fit++)
		for (const struct mode *m = modes; m != MODES_END; m++) {
			struct rig r;
			struct sl_log log = {count_broken, &r, SL_LOG_WARN};

			rig_make(&r, m, 1, 1);
			r.config.log = &log;
			r.f[0]->info.emits = fit ? ALL_CAN : 0;
			r.f[1]->ops.tx = tx_breaks;
			rig_join(&r);
			fake_offer(r.f[0], 20);
			until(&r, fake_taken(r.f[1]) == 20);
			rest(&r);
			set(&r.f[1]->mode, BREAKS);
			fake_offer(r.f[0], 30);
			broken(&r, 1);
			until(&r, rig_drops(&r, 0, SL_DROP_PEER_GONE) == 10);
			rest(&r);
			rig_close(&r);
		}
}

/*
 * The end.
 */

static void count_ended(void *ctx)
{
	struct rig *r = ctx;

	__atomic_add_fetch(&r->ended, 1, __ATOMIC_ACQ_REL);
	if (fake_taken(r->f[1]) != fake_given(r->f[0]))
		breach(r->f[1], "ended before all was delivered");
}

static void test_ended(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++)
		for (const struct mode *m = modes; m != MODES_END; m++) {
			unsigned queues = i & 1 ? 3 : 1;
			struct rig r;

			rig_make(&r, m, queues, 1);
			r.config.ended = count_ended;
			r.f[0]->ends = 1;
			r.f[0]->budget = 500;
			r.f[0]->info.emits = i & 4 ? ALL_CAN : 0;
			r.f[1]->mode = i & 2 ? SINK_ASYNC : SINK_SYNC;
			rig_join(&r);
			until(&r, get(&r.ended));
			assert_int_equal(fake_taken(r.f[1]), 500 * queues);
			fake_offer(r.f[1], 100); /* the other direction goes on */
			until(&r, fake_taken(r.f[0]) == 100);
			rest(&r);
			assert_int_equal(get(&r.ended), 1);
			rig_close_lossless(&r);
			assert_int_equal(r.ended, 1);
		}
}

static void count_only(void *ctx)
{
	__atomic_add_fetch(&((struct rig *)ctx)->ended, 1, __ATOMIC_ACQ_REL);
}

static void test_both_end_once(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		struct rig r;

		rig_make(&r, m, 2, 2);
		r.config.ended = count_only;
		r.f[0]->ends = r.f[1]->ends = 1;
		r.f[0]->budget = r.f[1]->budget = 200;
		rig_join(&r);
		until(&r, fake_taken(r.f[0]) == 400 && fake_taken(r.f[1]) == 400);
		rest(&r);
		assert_int_equal(get(&r.ended), 1);
		rig_close_lossless(&r);
	}
}

/* An end behind a blocked sink has to wait. */
static void test_ended_waits(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		struct rig r;

		rig_make(&r, m, 1, 1);
		r.config.ended = count_ended;
		r.f[0]->ends = 1;
		r.f[0]->budget = 10;
		fake_block(r.f[1], true);
		rig_join(&r);
		until(&r, fake_given(r.f[0]) == 10);
		rest(&r);
		assert_int_equal(get(&r.ended), 0);
		fake_block(r.f[1], false);
		until(&r, get(&r.ended) == 1);
		rig_close_lossless(&r);
	}
}

/* Stopped in every state there is: rig_close() holds the books to account. */
static void test_stop_with_packets(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++)
		for (const struct mode *m = modes; m != MODES_END; m++) {
			struct rig r;

			rig_make(&r, m, 1, 1);
			r.f[0]->info.emits = i & 1 ? ALL_CAN : 0;
			r.f[1]->mode = i / 2 % 3;
			rig_join(&r);
			if (i >= 6)
				fake_block(r.f[1], true);
			fake_offer(r.f[0], FAKE_MANY);
			fake_offer(r.f[1], FAKE_MANY);
			until(&r, fake_given(r.f[0]) >= 32 && fake_taken(r.f[0]) > 200);
			if (i == 8)
				set(&r.f[1]->gone_tx, 1);
			rig_close(&r);
		}
}

/* As it is delivered while stopping: what a port does take at once is not lost. */
static void test_stop_delivers(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, &modes[0]);
	fake_block(r.f[1], true);
	fake_offer(r.f[0], 32);
	until(&r, fake_given(r.f[0]) == 32);
	fake_block(r.f[1], false);
	sl_link_stop(r.link);
	assert_int_equal(fake_taken(r.f[1]), 32);
	assert_int_equal(get(&r.f[0]->stops), 1);
	assert_int_equal(get(&r.f[1]->stops), 1);
	sl_link_stop(r.link); /* once is enough */
	rig_close_lossless(&r);
}

static void test_release_alone(void **state)
{
	(void)state;
	for (const struct mode *m = modes; m != MODES_END; m++) {
		struct rig r;

		rig_open(&r, m);
		fake_offer(r.f[0], FAKE_MANY);
		until(&r, fake_given(r.f[0]) > 100);
		rig_halt(&r);
		sl_link_release(r.link);
		assert_int_equal(r.closed, 2);
		for (unsigned i = 0; i < m->workers; i++)
			sl_worker_release(r.workers[i]);
	}
	sl_link_release(NULL);
}

static void test_stats(void **state)
{
	uint64_t bytes = 0;
	struct sl_link_stats s;
	struct rig r;

	(void)state;
	rig_make(&r, &modes[2], 2, 3);
	rig_join(&r);
	fake_offer(r.f[0], 100);
	until(&r, fake_taken(r.f[1]) == 200);
	for (uint64_t seq = 0; seq < 100; seq++)
		bytes += 2 * fake_len(seq);
	sl_link_get_stats(r.link, 0, &s);
	assert_true(s.exists && !s.gone);
	assert_int_equal(s.in.packets, 200);
	assert_int_equal(s.out.packets, 200);
	assert_int_equal(s.in.bytes, bytes);
	assert_int_equal(s.out.bytes, bytes);
	assert_int_equal(s.between.packets + s.between.cut + s.between.copied, 0);
	sl_link_get_stats(r.link, 1, &s);
	assert_int_equal(s.in.packets + s.out.packets, 0);
	rig_close_lossless(&r);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_layer),
		cmocka_unit_test(test_refused_mtu),
		cmocka_unit_test(test_refused_silence),
		cmocka_unit_test(test_refused_numbers),
		cmocka_unit_test(test_refused_regions_go),
		cmocka_unit_test(test_refused_by_join),
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_queues_and_workers),
		cmocka_unit_test(test_fd_directions),
		cmocka_unit_test(test_one_way),
		cmocka_unit_test(test_back_pressure),
		cmocka_unit_test(test_busy_is_fair),
		cmocka_unit_test(test_full_sink_sleeps),
		cmocka_unit_test(test_source_out_of_buffers),
		cmocka_unit_test(test_offloads),
		cmocka_unit_test(test_accepts_change),
		cmocka_unit_test(test_accepts_change_in_flight),
		cmocka_unit_test(test_accepts_change_while_blocked),
		cmocka_unit_test(test_accepts_change_while_full),
		cmocka_unit_test(test_emits_shrink),
		cmocka_unit_test(test_regions),
		cmocka_unit_test(test_regions_balance),
		cmocka_unit_test(test_regions_of_fittings),
		cmocka_unit_test(test_region_error),
		cmocka_unit_test(test_recall),
		cmocka_unit_test(test_recall_while_blocked),
		cmocka_unit_test(test_recall_captures_nothing),
		cmocka_unit_test(test_recall_counts_the_lost),
		cmocka_unit_test(test_recall_unanswered),
		cmocka_unit_test(test_recall_has_its_time),
		cmocka_unit_test(test_gone_by_rx),
		cmocka_unit_test(test_gone_by_tx),
		cmocka_unit_test(test_gone_by_control),
		cmocka_unit_test(test_gone_by_info),
		cmocka_unit_test(test_gone_while_blocked),
		cmocka_unit_test(test_waiting_at_open),
		cmocka_unit_test(test_carrier),
		cmocka_unit_test(test_recall_while_gone),
		cmocka_unit_test(test_source_breaks_ring),
		cmocka_unit_test(test_sink_breaks_ring),
		cmocka_unit_test(test_ended),
		cmocka_unit_test(test_both_end_once),
		cmocka_unit_test(test_ended_waits),
		cmocka_unit_test(test_stop_with_packets),
		cmocka_unit_test(test_stop_delivers),
		cmocka_unit_test(test_release_alone),
		cmocka_unit_test(test_stats),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
