/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets move in both directions of two pairs, each by a thread of its own, while the driver's
 * side stops queues, changes memory and goes away. Nothing is lost but what was recalled.
 */
#include <pthread.h>
#include <sched.h>

#include "net_traffic.h"

#define ROUNDS 300u
#define HELD   5u
#define LEN    60u

static const uint32_t room[] = {100};

/** struct worker - of a direction of a pair; @packets that it has had, also such as were recalled
 */
static struct worker {
	pthread_t thread;
	unsigned pair;
	uint64_t packets, bad;
} workers[2 * PAIRS];

static bool stops;

static void nap(unsigned pair, unsigned n, unsigned want)
{
	if (n % 16 == 0)
		rig.port->ops->arm(rig.port, pair, want);
	if (n % 4 == 0)
		sched_yield();
}

/* Keeps some for a while, and gives them back in any order. */
static void *receive(void *arg)
{
	struct worker *w = arg;
	struct sl_ring *ring = rig.rx[w->pair];
	uint32_t at;

	for (unsigned n = 0; !__atomic_load_n(&stops, __ATOMIC_ACQUIRE); n++) {
		uint32_t got;

		rig.port->ops->rx(rig.port, w->pair, ring);
		got = sl_ring_ready(ring, &at);
		for (uint32_t i = 0; i < got; i++) {
			uint8_t byte = *(volatile uint8_t *)sl_ring_packet(ring, at + i)->frag.addr;

			w->bad += byte != (uint8_t)(w->pair * 31 + 1);
		}
		sl_ring_take(ring, got);
		w->packets += got;
		if (n % 3 == 0 || sl_ring_in_flight(ring) > HELD || sl_ring_recalled(ring))
			sl_ring_abandon(ring);
		if (sl_ring_recalled(ring))
			w->packets += sl_ring_yield(ring);
		nap(w->pair, n, SL_PORT_RX);
	}
	return NULL;
}

static void *transmit(void *arg)
{
	static uint8_t bytes[PAIRS][LEN];
	struct worker *w = arg;
	struct sl_ring *ring = rig.tx[w->pair];
	uint32_t at;

	pattern(bytes[w->pair], LEN, w->pair);
	for (unsigned n = 0; !__atomic_load_n(&stops, __ATOMIC_ACQUIRE); n++) {
		uint32_t back = sl_ring_returned(ring, &at);

		sl_ring_reclaim(ring, back);
		w->packets += back;
		if (sl_ring_room(ring, &at)) {
			*sl_ring_packet(ring, at) =
				(struct sl_packet){.frag = {bytes[w->pair], LEN, 0, 0}};
			sl_ring_post(ring, 1);
		}
		rig.port->ops->tx(rig.port, w->pair, ring);
		nap(w->pair, n, SL_PORT_TX);
	}
	return NULL;
}

static void start_threads(void)
{
	stops = false;
	for (unsigned n = 0; n < 2 * PAIRS; n++) {
		workers[n] = (struct worker){.pair = n / 2};
		assert_int_equal(pthread_create(&workers[n].thread, NULL,
						n % 2 ? transmit : receive, &workers[n]),
				 0);
	}
}

static void stop_threads(void)
{
	__atomic_store_n(&stops, true, __ATOMIC_RELEASE);
	for (unsigned n = 0; n < 2 * PAIRS; n++)
		pthread_join(workers[n].thread, NULL);
}

static uint64_t given[PAIRS], back[PAIRS], sent[PAIRS];

static void drive(void)
{
	static uint8_t packet[PACKET_MAX];
	struct virtio_net_hdr_v1 hdr;

	for (unsigned k = 0; k < PAIRS; k++) {
		unsigned n = rig_random(8);

		back[k] += come_back(TX_OF(k));
		while (arrived(k, room, 1, &hdr, packet) >= 0) {
			assert_int_equal(hdr.num_buffers, 1);
			sent[k]++;
		}
		for (; n-- && rig.queues[TX_OF(k)].vq.n_free; given[k]++)
			assert_true(give(k, LEN, k) >= 0);
		if (rig.queues[RX_OF(k)].vq.n_free > 8)
			make_room(k, rig_random(8), room, 1);
	}
}

static int64_t wait_base(void)
{
	uint64_t until = sl_now_ns() + 20 * SL_NS_PER_S;
	int64_t base;

	while ((base = hear_base()) == -1) {
		assert_true(sl_now_ns() < until);
		control();
		sched_yield();
	}
	return base;
}

static void wait_answer(void)
{
	uint64_t until = sl_now_ns() + 20 * SL_NS_PER_S;
	int ret;

	while ((ret = answered()) == -1) {
		assert_true(sl_now_ns() < until);
		control();
		sched_yield();
	}
	assert_int_equal(ret, 1);
}

static void restart(unsigned q)
{
	int64_t base;

	say_get_base(q);
	base = wait_base();
	describe_queue(q, (uint32_t)base);
	kick_queue(q);
}

static void change(unsigned round)
{
	struct vhost_user_msg msg = mem_table(1 + round % 2);
	unsigned q = rig_random(4);

	switch (rig_random(6)) {
	case 0:
		return restart(q);
	case 1:
		say_ask(&msg);
		return wait_answer();
	case 2:
		assert_true(ask_state(VHOST_USER_SET_VRING_ENABLE, q, 0));
		drive();
		assert_true(ask_state(VHOST_USER_SET_VRING_ENABLE, q, 1));
		return;
	case 3:
		rig.port->ops->carrier(rig.port, round & 1);
		return;
	case 4:
		assert_true(counters(q / 2).rx.packets <= given[q / 2]);
		return;
	default:
		control();
	}
}

/* Until all that can come has come. */
static void settle(void)
{
	uint64_t until = sl_now_ns() + 20 * SL_NS_PER_S;

	while (back[0] != given[0] || back[1] != given[1]) {
		assert_true(sl_now_ns() < until);
		control();
		for (unsigned k = 0; k < PAIRS; k++)
			back[k] += come_back(TX_OF(k));
		sched_yield();
	}
}

static void test_changes(void **state)
{
	(void)state;
	memset(given, 0, sizeof(given));
	memset(back, 0, sizeof(back));
	memset(sent, 0, sizeof(sent));
	start_driver(0, 4);
	start_threads();
	for (unsigned round = 0; round < ROUNDS; round++) {
		drive();
		change(round);
	}
	settle();
	stop_threads();
	drive();
	for (unsigned k = 0; k < PAIRS; k++) {
		struct sl_counters c = counters(k);

		assert_int_equal(workers[2 * k].bad, 0);
		assert_true(given[k] > 100);
		assert_int_equal(c.rx.packets, workers[2 * k].packets);
		assert_int_equal(sl_count_drops(&c.rx) + sl_count_drops(&c.tx), 0);
	}
	assert_int_equal(counters(0).tx.packets + counters(1).tx.packets, sent[0] + sent[1]);
	assert_true(sent[0] > 10);
	assert_true(sent[1] > 10);
}

/* Drivers come and are killed in the middle of it. */
static void test_drivers(void **state)
{
	uint64_t until = sl_now_ns() + 60 * SL_NS_PER_S;

	(void)state;
	start_threads();
	for (unsigned n = 0; n < 20; n++) {
		start_driver(n & 1 ? HOST_ALL | GUEST_ALL : 0, 4);
		for (unsigned i = 0; i < 5; i++)
			drive();
		disconnect();
		while (info().attached) {
			assert_true(sl_now_ns() < until);
			control();
			sched_yield();
		}
		connect_front();
	}
	stop_threads();
	assert_int_equal(workers[0].bad + workers[2].bad, 0);
}

static const struct variant two_split = {"", 0, ",queues=2", 0, 0},
			    two_packed = {"", PACKED, ",queues=2", 0, 0},
			    two_events = {"", EVENTS, ",queues=2", 0, 0};

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(test_changes, two_split),	WITH(test_changes, two_packed),
		WITH(test_changes, two_events), WITH(test_drivers, two_split),
		WITH(test_drivers, two_packed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
