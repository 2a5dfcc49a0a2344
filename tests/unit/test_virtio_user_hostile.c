/* SPDX-License-Identifier: BSD-2-Clause */
/* The port virtio-user with back ends that cannot be used, or do what they must not: the next one
 * is served. */
#include "virtio_user_back.h"

static void refused(const char *more, const char *why)
{
	connect_back();
	open_port(more);
	for (unsigned i = 0; i < 50 && !strstr(sl_reason(), why); i++)
		assert_false(control());
	assert_reason(why);
	back_join(&back);
}

static void test_too_few_pairs(void **state)
{
	(void)state;
	back.queues = 2;
	refused(",queues=3", "has 2 pairs of queues: 3 are wanted");
}

static void test_one_pair_without_mq(void **state)
{
	(void)state;
	back.protocol &= ~BACK_BIT(VHOST_USER_PROTOCOL_F_MQ);
	refused(",queues=2", "has 1 pairs of queues: 2 are wanted");
}

static void test_bad_config(void **state)
{
	(void)state;
	((struct virtio_net_config *)&back.config)->mtu = 12;
	refused("", "MTU is 12");
}

/* Whatever answer is wrong, and how: there is an end to it, and the next back end is served. */
static void test_lies(void **state)
{
	static const enum back_evil evils[] = {EVIL_DIES,  EVIL_HALF,	EVIL_OTHER, EVIL_NO_FLAG,
					       EVIL_SHORT, EVIL_LONG,	EVIL_FDS,   EVIL_VERSION,
					       EVIL_ONES,  EVIL_ZEROES, EVIL_TWICE};
	int answers = 1;

	(void)state;
	for (int at = 0; at < answers; at++) {
		for (unsigned e = 0; e < sl_array_len(evils); e++) {
			if (evils[e] == EVIL_HALF && at % 16) /* each of these takes its time */
				continue;
			new_back(ALL);
			back.evil = evils[e];
			back.evil_at = at;
			connect_back();
			open_port("");
			if (control())
				port->ops->stop(port);
			assert_false(attached());
			port->ops->close(port);
			port = NULL;
			back_join(&back);
		}
		new_back(ALL);
		bring_up("");
		answers = back.answers;
		port->ops->close(port);
		port = NULL;
		back_join(&back);
	}
	assert_true(answers > 15);
}

static void test_mute(void **state)
{
	uint64_t before;

	(void)state;
	back.evil = EVIL_MUTE;
	back.evil_at = 5;
	connect_back();
	open_port("");
	before = sl_now_ns();
	assert_false(control());
	assert_reason("has not answered");
	assert_true(sl_now_ns() - before < 2 * SL_NS_PER_S);
	assert_true(port->ops->deadline(port) > sl_now_ns());
	back_join(&back);
	/* Whoever listens and does not answer at all is not waited for. */
	new_back(ALL);
	back.evil = EVIL_MUTE;
	back.evil_at = 0;
	connect_back();
	before = sl_now_ns();
	assert_false(control());
	assert_true(sl_now_ns() - before < 500 * SL_NS_PER_MS);
	while (!strstr(sl_reason(), "VHOST_USER_GET_FEATURES")) {
		uint64_t call = sl_now_ns();

		assert_true(call - before < 5 * SL_NS_PER_S);
		port->ops->control(port, call);
		assert_true(sl_now_ns() - call < 500 * SL_NS_PER_MS);
		usleep(1000);
	}
	assert_false(attached());
	back_join(&back);
	new_back(ALL);
	bring_up("");
	carry();
	back_join(&back);
}

/* Each breaks the queue, and is forgiven with the next connection. */
static void broken(const char *why, int ret)
{
	assert_int_equal(ret, -ENODEV);
	assert_reason(why);
	port->ops->stop(port);
	assert_false(attached());
	back_join(&back);
	new_back(ALL);
	back.many = true;
}

static void test_hostile_rings(void **state)
{
	struct oracle_chain c;

	(void)state;
	bring_up("");
	oracle_put(&rx, 9999, 1, 60);
	broken("names no descriptor", receive(0));

	new_back(ALL & ~BACK_BIT(VIRTIO_F_IN_ORDER));
	bring_up("");
	give(60, 1);
	assert_int_equal(receive(0), 1);
	assert_received(60, 1, false);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(oracle_take(&rx, &c));
		oracle_put(&rx, 7, 1, 0); /* twice */
	}
	broken("does not have", receive(0));

	bring_up("");
	assert_true(oracle_take(&rx, &c));
	oracle_put(&rx, c.id, 1, c.elems[0].len + 1);
	broken("longer than its buffer", receive(0));

	bring_up("");
	sl_store_release(&rx.used_ring->idx, 300);
	broken("ahead", receive(0));

	bring_up("");
	give_to(&rx, 60, 1, (struct virtio_net_hdr_v1){.num_buffers = 0});
	broken("cannot be", receive(0));

	bring_up("");
	give_to(&rx, 60, 1, (struct virtio_net_hdr_v1){.num_buffers = 9});
	give(60, 1);
	broken("not all there", receive(0));

	bring_up("");
	oracle_put(&tx, 3, 1, 0);
	broken("ahead", transmit(0));

	bring_up("");
	carry();
	back_join(&back);
}

static void test_bad_headers(void **state)
{
	struct virtio_net_hdr_v1 hdr = {.num_buffers = 1};
	struct sl_counters c = {0};

	(void)state;
	bring_up("");
	for (unsigned type = 2; type < 256; type++) {
		if (type == SL_GSO_TCPV6 || type == SL_GSO_UDP_L4)
			continue;
		hdr.gso_type = (uint8_t)type; /* and no checksum to be done, no size */
		give_to(&rx, 200, 1, hdr);
		assert_int_equal(receive(0), 1);
	}
	port->ops->stats(port, 0, &c);
	assert_int_equal(c.rx.packets, 0);
	assert_int_equal(c.rx.drops[SL_DROP_MALFORMED], 252);
	give(60, 1);
	assert_int_equal(receive(0), 1);
	assert_received(60, 1, false);
	back_join(&back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_fresh(test_too_few_pairs), test_fresh(test_one_pair_without_mq),
		test_fresh(test_bad_config),	test_fresh(test_lies),
		test_fresh(test_mute),		test_fresh(test_hostile_rings),
		test_fresh(test_bad_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
