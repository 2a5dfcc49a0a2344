/* SPDX-License-Identifier: BSD-2-Clause */
/* What is lent is wanted back: the driver's side gets its answer, and its memory, once the ring's
 * consumer has given everything back, and not before. */
#include "net_traffic.h"

/* Where a queue stands after @n entries, and has nothing in flight. */
static uint32_t base_after(unsigned n)
{
	uint32_t place = n % SIZE | (n / SIZE % 2 ? 0 : 0x8000);

	return rig.features & PACKED ? place | place << 16 : (uint16_t)n;
}

/* Five packets are lent; the consumer has taken three of them, and finished the second. */
static uint32_t lend_five(void)
{
	uint32_t at;

	for (unsigned n = 0; n < 5; n++)
		give(0, 60, n);
	assert_int_equal(rx(0), 5);
	assert_int_equal(sl_ring_ready(rig.rx[0], &at), 5);
	sl_ring_take(rig.rx[0], 3);
	sl_ring_done(rig.rx[0], at + 1);
	return at;
}

static bool is_answered(int (*hears)(void))
{
	for (unsigned n = 0; n < 3; n++) {
		control();
		rx(0);
		if (hears() != -1)
			return true;
	}
	return false;
}

/* The consumer gives back what it has, step by step; no answer comes before the last. */
static void give_back(uint32_t at, int (*hears)(void))
{
	assert_false(is_answered(hears));
	assert_true(sl_ring_recalled(rig.rx[0]));
	for (unsigned n = 0; n < 3; n++) /* it is all still there */
		check_lent(0, at + n, 60, n);
	assert_int_equal(rx(0), -EINPROGRESS);
	sl_ring_done(rig.rx[0], at);
	assert_false(is_answered(hears));
	assert_int_equal(come_back(TX_OF(0)), 2);
	sl_ring_done(rig.rx[0], at + 2);
	assert_false(is_answered(hears));
	give(0, 60, 5); /* which has to wait */
	assert_false(is_answered(hears));
	assert_int_equal(sl_ring_yield(rig.rx[0]), 2);
	assert_int_equal(rx(0), 0);
	assert_false(sl_ring_recalled(rig.rx[0]));
	assert_int_equal(come_back(TX_OF(0)), 3);
}

static int heard_base(void)
{
	return hear_base() == -1 ? -1 : 1;
}

static void goes_on(void)
{
	assert_int_equal(rx(0), 1);
	consume(0, 60, 5);
	give(0, 70, 6);
	assert_int_equal(rx(0), 1);
	consume(0, 70, 6);
	assert_int_equal(rx(0), 0);
	assert_int_equal(come_back(TX_OF(0)), 2);
	assert_int_equal(counters(0).rx.packets, 7);
}

static void test_get_base(void **state)
{
	uint32_t at;

	(void)state;
	start_driver(0, 2);
	at = lend_five();
	say_get_base(TX_OF(0));
	give_back(at, heard_base);
	control();
	assert_int_equal(hear_base(), base_after(5));
	assert_true(info().attached); /* the receiveq is */
	describe_queue(TX_OF(0), base_after(5));
	kick_queue(TX_OF(0));
	goes_on();
}

static void test_one_lent(void **state)
{
	uint32_t at;

	(void)state;
	start_driver(0, 2);
	give(0, 60, 0);
	assert_int_equal(rx(0), 1);
	assert_int_equal(sl_ring_ready(rig.rx[0], &at), 1);
	sl_ring_take(rig.rx[0], 1);
	say_get_base(TX_OF(0));
	assert_false(is_answered(heard_base));
	assert_true(sl_ring_recalled(rig.rx[0]));
	sl_ring_done(rig.rx[0], at);
	sl_ring_yield(rig.rx[0]);
	assert_true(is_answered(heard_base));
	assert_int_equal(come_back(TX_OF(0)), 1);
}

/* The queue stands where all was used, also across the end of the ring. */
static void test_base_wraps(void **state)
{
	unsigned n = 0;

	(void)state;
	start_driver(0, 2);
	for (unsigned round = 0; round < 40; round++) {
		for (unsigned i = 0; i < round; i++, n++)
			give(0, i % 3 ? 60 : 13, n);
		while (rx(0) > 0)
			while (ready(0))
				sl_ring_consume(rig.rx[0], 1);
		say_get_base(TX_OF(0));
		control();
		assert_int_equal(hear_base(), base_after(n));
		assert_int_equal(come_back(TX_OF(0)), round);
		describe_queue(TX_OF(0), base_after(n));
		kick_queue(TX_OF(0));
	}
}

static void test_mem_table(void **state)
{
	struct vhost_user_msg msg = mem_table(2);
	uint32_t at;

	(void)state;
	start_driver(0, 2);
	at = lend_five();
	say_ask(&msg);
	give_back(at, answered);
	control();
	assert_int_equal(answered(), 1);
	goes_on();
}

static void test_remove_region(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_REM_MEM_REG, 40), table = mem_table(2);
	uint32_t at;

	(void)state;
	rig.protocol |= PROTOCOL(CONFIGURE_MEM_SLOTS);
	start_driver(0, 0);
	assert_true(ask(&table));
	start_queue(0);
	start_queue(1);
	at = lend_five();
	msg.payload.mem_reg.region = table.payload.memory.regions[1];
	say_ask(&msg);
	give_back(at, answered);
	control();
	assert_int_equal(answered(), 1);
	/* Its buffers are nowhere now. */
	assert_int_equal(rx(0), 0);
	assert_non_null(strstr(front.log, "queue 1 is broken"));
}

static void test_reset(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_RESET_DEVICE, 0);
	uint32_t at;

	(void)state;
	start_driver(0, 2);
	at = lend_five();
	say_ask(&msg);
	give_back(at, answered);
	control();
	assert_int_equal(answered(), 1);
	assert_false(info().attached);
	start_driver(0, 2);
	give(0, 60, 5);
	goes_on();
}

/* The front end is killed: its memory stays until nobody reads it any more. */
static void test_disconnect(void **state)
{
	uint32_t at;

	(void)state;
	start_driver(0, 2);
	at = lend_five();
	disconnect();
	for (unsigned n = 0; n < 3; n++) {
		control();
		assert_int_equal(rx(0), -EINPROGRESS);
	}
	assert_true(info().attached);
	check_lent(0, at, 60, 0);
	sl_ring_done(rig.rx[0], at);
	control();
	rx(0);
	check_lent(0, at + 2, 60, 2);
	sl_ring_done(rig.rx[0], at + 2);
	assert_int_equal(sl_ring_yield(rig.rx[0]), 2);
	assert_int_equal(rx(0), 0);
	control();
	assert_false(info().attached);
	connect_front();
	start_driver(0, 2);
	assert_true(info().attached);
	give(0, 60, 5);
	goes_on();
}

/* A recall wakes who sleeps, once; and control() wants to be called again meanwhile. */
static void test_wakes(void **state)
{
	struct pollfd fd = {.events = POLLIN};

	(void)state;
	start_driver(0, 2);
	fd.fd = rig.port->ops->fd(rig.port, 0, SL_PORT_RX);
	lend_five();
	while (rig.port->ops->arm(rig.port, 0, SL_PORT_RX) == SL_PORT_READY)
		rx(0);
	assert_int_equal(rig.port->ops->deadline(rig.port), SL_NEVER);
	assert_int_equal(poll(&fd, 1, 0), 0);
	say_get_base(TX_OF(0));
	assert_int_equal(poll(&fd, 1, 0), 1); /* rx() is to be called */
	assert_true(rig.port->ops->deadline(rig.port) <= sl_now_ns() + SL_NS_PER_MS);
	rx(0);
	sl_ring_abandon(rig.rx[0]);
	assert_int_equal(sl_ring_yield(rig.rx[0]), 2);
	rx(0);
	control();
	assert_int_equal(hear_base(), base_after(5));
	assert_int_equal(rig.port->ops->deadline(rig.port), SL_NEVER);
}

/* Nothing is lent: there is nothing to wait for, also with a ring that nobody looks at. */
static void test_nothing_lent(void **state)
{
	(void)state;
	start_driver(0, 2);
	say_get_base(TX_OF(0));
	assert_int_equal(hear_base(), base_after(0));
	assert_int_equal(rx(0), 0);
	assert_false(sl_ring_recalled(rig.rx[0]));
}

/* Buffers of a receiveq that were held for a packet too large for them were never taken. */
static void test_receiveq(void **state)
{
	static uint8_t bytes[300], packet[PACKET_MAX];
	const uint32_t room[] = {100};
	struct virtio_net_hdr_v1 hdr;

	(void)state;
	start_driver(MERGE, 2);
	make_room(0, 3, room, 1);
	post(0, bytes, 20, 1, NULL, 1);
	post(0, bytes, 300, 2, NULL, 1);
	assert_int_equal(tx(0), 1);
	assert_int_equal(arrived(0, room, 1, &hdr, packet), 20);
	say_get_base(RX_OF(0));
	assert_int_equal(hear_base(), base_after(1));
	assert_int_equal(tx(0), 0);
	make_room(0, 2, room, 1);
	describe_queue(RX_OF(0), base_after(1));
	kick_queue(RX_OF(0));
	control();
	assert_int_equal(tx(0), 1);
	assert_int_equal(arrived(0, room, 1, &hdr, packet), 300);
	assert_int_equal(hdr.num_buffers, 4);
	assert_true(is_pattern(packet, 300, 2));
}

/* ... and memory is changed under them. */
static void test_receiveq_mem_table(void **state)
{
	static uint8_t bytes[300], packet[PACKET_MAX];
	struct vhost_user_msg msg = mem_table(2);
	const uint32_t room[] = {100};
	struct virtio_net_hdr_v1 hdr;

	(void)state;
	start_driver(MERGE, 2);
	make_room(0, 3, room, 1);
	post(0, bytes, 300, 2, NULL, 1);
	assert_int_equal(tx(0), 0);
	assert_true(ask(&msg));
	make_room(0, 1, room, 1);
	assert_int_equal(tx(0), 1);
	assert_int_equal(arrived(0, room, 1, &hdr, packet), 300);
	assert_true(is_pattern(packet, 300, 2));
}

/* A queue that is disabled takes nothing, gives back what it has, and goes on when it is enabled.
 */
static void test_disabled(void **state)
{
	uint32_t at;

	(void)state;
	start_driver(0, 2);
	at = lend_five();
	assert_true(ask_state(VHOST_USER_SET_VRING_ENABLE, TX_OF(0), 0));
	give(0, 60, 5);
	assert_int_equal(rx(0), -EINPROGRESS);
	sl_ring_done(rig.rx[0], at);
	sl_ring_done(rig.rx[0], at + 2);
	sl_ring_ready(rig.rx[0], &at);
	sl_ring_consume(rig.rx[0], 2);
	assert_int_equal(rx(0), 0);
	assert_int_equal(come_back(TX_OF(0)), 5);
	assert_true(ask_state(VHOST_USER_SET_VRING_ENABLE, TX_OF(0), 1));
	goes_on();
}

/* As DPDK's driver ends: first it disables all queues. rx() is called only while the port is
 * attached. */
static void test_disabled_and_stopped(void **state)
{
	uint32_t at;

	(void)state;
	start_driver(0, 2);
	at = lend_five();
	assert_true(ask_state(VHOST_USER_SET_VRING_ENABLE, RX_OF(0), 0));
	assert_true(ask_state(VHOST_USER_SET_VRING_ENABLE, TX_OF(0), 0));
	sl_ring_done(rig.rx[0], at);
	sl_ring_done(rig.rx[0], at + 2);
	sl_ring_ready(rig.rx[0], &at);
	sl_ring_consume(rig.rx[0], 2);
	say_get_base(TX_OF(0));
	for (unsigned n = 0; n < 3; n++) {
		if (info().attached)
			rx(0);
		control();
	}
	assert_int_equal(hear_base(), base_after(5));
	assert_int_equal(come_back(TX_OF(0)), 5);
	assert_false(info().attached);
}

/* The port is closed in order while a driver runs: buffers that came back go back to it. */
static void test_close(void **state)
{
	(void)state;
	start_driver(0, 2);
	lend_five();
	sl_ring_abandon(rig.rx[0]);
	close_port();
	assert_int_equal(come_back(TX_OF(0)), 5);
	open_port();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_ALL(test_get_base),
		WITH_ALL(test_one_lent),
		WITH_ALL(test_base_wraps),
		WITH_ALL(test_mem_table),
		WITH(test_remove_region, split),
		WITH(test_remove_region, packed),
		WITH_ALL(test_reset),
		WITH_ALL(test_disconnect),
		WITH_ALL(test_wakes),
		WITH_ALL(test_nothing_lent),
		WITH_ALL(test_receiveq),
		WITH_ALL(test_receiveq_mem_table),
		WITH_ALL(test_disabled),
		WITH_ALL(test_disabled_and_stopped),
		WITH_ALL(test_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
