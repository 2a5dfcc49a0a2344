/* SPDX-License-Identifier: BSD-2-Clause */
/* Port gen: what its packets are like, how many there are and when; a ring by hand. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <sluice/port.h>
#include <sluice/reason.h>

#include "base/clock.h"
#include "slow.h"

struct bench {
	struct sl_port *port;
	struct sl_ring *ring;
	unsigned layer;
};

static const uint8_t far_mac[6] = {0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee};

static int join(const struct bench *b, unsigned mtu)
{
	struct sl_port_info other = {.layer = b->layer, .mtu = mtu};

	memcpy(other.mac, far_mac, 6);
	return b->port->ops->join(b->port, &other);
}

static void bench_open_only(struct bench *b, const char *spec, unsigned layer)
{
	const struct sl_ring_config config = {64, 64, -1, -1};

	if (sl_port_open(spec, NULL, &b->port))
		fail_msg("\"%s\": %s", spec, sl_reason());
	assert_int_equal(sl_ring_create(&config, &b->ring), 0);
	b->layer = layer;
}

static void bench_open(struct bench *b, const char *spec, unsigned layer)
{
	bench_open_only(b, spec, layer);
	if (join(b, 0))
		fail_msg("\"%s\": %s", spec, sl_reason());
}

static void bench_close(struct bench *b)
{
	assert_false(sl_ring_broken(b->ring));
	b->port->ops->close(b->port);
	sl_ring_release(b->ring);
}

static int rx(const struct bench *b)
{
	return b->port->ops->rx(b->port, 0, b->ring);
}

static struct sl_counters stats(const struct bench *b)
{
	struct sl_counters c = {0};

	b->port->ops->stats(b->port, 0, &c);
	return c;
}

/* Every byte of a packet is what it should be. Returns its source port. */
static unsigned check_packet(const struct bench *b, struct sl_packet *packet, unsigned size)
{
	const uint8_t *p = packet->frag.addr;
	uint16_t l3 = b->layer == 3 ? 0 : 14;
	const struct sl_headers h = {
		.ip = 4, .proto = 17, .l3 = l3, .l4 = l3 + 20, .payload = l3 + 28, .end = size};

	assert_int_equal(packet->frag.len, size);
	assert_int_equal(packet->more, 0);
	assert_int_equal(packet->flags, 0); /* read-only: it is sent again and again */
	if (l3) {
		assert_memory_equal(p, far_mac, 6);
		assert_int_equal(p[6] & 3, 2); /* local, unicast */
		assert_int_equal(get16(p + 12), 0x0800);
	}
	assert_int_equal(p[l3], 0x45);
	assert_int_equal(get16(p + l3 + 2), size - l3);
	assert_int_equal(p[l3 + 9], 17);
	assert_true(p[l3 + 8] > 0);
	assert_int_equal(get16(p + l3 + 24), size - l3 - 20);
	assert_int_equal(get16(p + l3 + 22), 9);
	assert_int_not_equal(get16(p + l3 + 26), 0);
	assert_true(slow_valid(p, &h));
	return get16(p + l3 + 20);
}

/* Take all that is there; counts packets by source port from 1024 on. */
static unsigned take(const struct bench *b, unsigned size, unsigned *by_flow)
{
	uint32_t at, n = sl_ring_ready(b->ring, &at);

	for (uint32_t i = 0; i < n; i++) {
		unsigned port = check_packet(b, sl_ring_packet(b->ring, at + i), size);

		assert_true(port >= 1024 && port < 2048);
		by_flow[port - 1024]++;
	}
	sl_ring_consume(b->ring, n);
	return n;
}

static void run(unsigned layer, unsigned size, unsigned flows, unsigned count)
{
	unsigned by_flow[1024] = {0}, got = 0, rest = 0;
	struct bench b;
	char spec[80];
	int n;

	snprintf(spec, sizeof(spec), "gen:size=%u,flows=%u,count=%u", size, flows, count);
	bench_open(&b, spec, layer);
	while ((n = rx(&b)) > 0)
		got += take(&b, size, by_flow);
	assert_int_equal(n, -ENODATA);
	assert_int_equal(rx(&b), -ENODATA);
	assert_int_equal(got, count);
	assert_int_equal(stats(&b).rx.packets, count);
	assert_int_equal(stats(&b).rx.bytes, (uint64_t)count * size);
	for (unsigned f = 0; f < flows; f++) {
		assert_in_range(by_flow[f], count / flows, (count + flows - 1) / flows);
		rest += by_flow[f];
	}
	assert_int_equal(rest, count);
	bench_close(&b);
}

static void test_sizes(void **state)
{
	static const unsigned sizes[] = {42, 43, 60, 64, 127, 128, 129, 1514, 9014, 65534, 65535};

	(void)state;
	for (size_t n = 0; n < sizeof(sizes) / sizeof(*sizes); n++) {
		run(2, sizes[n], 3, 10);
		run(3, sizes[n], 3, 10);
		run(0, sizes[n], 1, 1);
	}
	run(3, 28, 1, 5);
	run(2, 65549, 2, 5);
}

static void test_flows(void **state)
{
	(void)state;
	run(2, 64, 1, 100);
	run(2, 64, 2, 101);
	run(2, 64, 7, 1000);
	run(3, 64, 1024, 10000);
}

static void test_counts(void **state)
{
	(void)state;
	run(2, 64, 1, 1);
	run(2, 64, 1, 63);
	run(2, 64, 1, 64);
	run(2, 64, 1, 65);
	run(2, 64, 3, 100000);
}

static void test_no_end(void **state)
{
	unsigned by_flow[1024] = {0}, got = 0;
	struct bench b;

	(void)state;
	bench_open(&b, "gen:", 2);
	while (got < 100000) {
		assert_true(rx(&b) > 0);
		got += take(&b, 64, by_flow);
	}
	assert_int_equal(by_flow[0], got);
	bench_close(&b);
}

/* A full ring: nothing is lost, nothing is counted that was not posted. */
static void test_back_pressure(void **state)
{
	unsigned by_flow[1024] = {0}, got = 0;
	struct bench b;

	(void)state;
	bench_open(&b, "gen:count=100", 2);
	assert_int_equal(rx(&b), 64);
	assert_int_equal(rx(&b), 0);
	assert_int_equal(stats(&b).rx.packets, 64);
	got += take(&b, 64, by_flow);
	assert_int_equal(rx(&b), 36);
	assert_int_equal(rx(&b), -ENODATA); /* lent ones may be under way still */
	got += take(&b, 64, by_flow);
	assert_int_equal(got, 100);
	bench_close(&b);
}

static void join_bad(struct bench *b, unsigned mtu, const char *said, const char *also)
{
	assert_int_equal(join(b, mtu), -EINVAL);
	if (!strstr(sl_reason(), said) || !strstr(sl_reason(), also))
		fail_msg("\"%s\" does not say \"%s\" and \"%s\"", sl_reason(), said, also);
}

static void test_mtu(void **state)
{
	struct bench b;

	(void)state;
	bench_open_only(&b, "gen:size=1514", 2);
	assert_int_equal(join(&b, 1500), 0);
	join_bad(&b, 1499, "MTU of 1499", "at most 1513");
	b.layer = 3;
	assert_int_equal(join(&b, 1514), 0);
	join_bad(&b, 1500, "size=1514", "at most 1500");
	bench_close(&b);
	bench_open_only(&b, "gen:size=65549", 3);
	join_bad(&b, 0, "size=65549", "at most 65535");
	bench_close(&b);
}

static void test_too_small(void **state)
{
	struct bench b;

	(void)state;
	bench_open_only(&b, "gen:size=41", 2);
	join_bad(&b, 1500, "size=41", "at least 42");
	b.layer = 3;
	assert_int_equal(join(&b, 1500), 0);
	bench_close(&b);
}

static void test_parameters(void **state)
{
	static const char *const wrong[][2] = {
		{"gen:size=27", "28 to 65549"},	    {"gen:size=65550", "28 to 65549"},
		{"gen:flows=0", "1 to 1024"},	    {"gen:flows=1025", "1 to 1024"},
		{"gen:count=0", "count=0"},	    {"gen:rate=0", "or max"},
		{"gen:rate=2G", "1 to 1000000000"}, {"gen:rat=5", "\"rate\""},
	};
	struct sl_port *port;

	(void)state;
	for (size_t n = 0; n < sizeof(wrong) / sizeof(*wrong); n++) {
		assert_int_equal(sl_port_open(wrong[n][0], NULL, &port), -EINVAL);
		if (!strstr(sl_reason(), wrong[n][1]))
			fail_msg("\"%s\" does not say %s", sl_reason(), wrong[n][1]);
	}
}

static void test_info(void **state)
{
	const uint8_t *base, *addr;
	struct sl_port_info info;
	struct bench b;
	uint32_t at;

	(void)state;
	bench_open(&b, "gen:size=9000,flows=100,count=100", 2);
	b.port->ops->info(b.port, &info);
	assert_int_equal(info.queues, 1);
	assert_int_equal(info.dirs, SL_PORT_RX | SL_PORT_TX);
	assert_int_equal(info.attached, 1);
	assert_int_equal(info.emits, 0);
	assert_int_equal(info.n_regions, 1);
	base = info.regions[0].base;
	for (int n = rx(&b); n > 0; n--) {
		assert_true(sl_ring_ready(b.ring, &at) > 0);
		addr = sl_ring_packet(b.ring, at)->frag.addr;
		assert_true(addr >= base && addr + 9000 <= base + info.regions[0].len);
		sl_ring_consume(b.ring, 1);
	}
	bench_close(&b);
}

/* What it is given is counted and forgotten. */
static void test_sink(void **state)
{
	struct bench b;
	uint32_t at;

	(void)state;
	bench_open(&b, "gen:rate=1", 2);
	for (unsigned n = 0; n < 3; n++) {
		assert_true(sl_ring_room(b.ring, &at) > 0);
		*sl_ring_packet(b.ring, at) = (struct sl_packet){.frag.len = 100};
		sl_ring_post(b.ring, 1);
	}
	assert_int_equal(b.port->ops->tx(b.port, 0, b.ring), 3);
	assert_int_equal(b.port->ops->tx(b.port, 0, b.ring), 0);
	assert_int_equal(stats(&b).tx.packets, 3);
	assert_int_equal(stats(&b).tx.bytes, 300);
	assert_int_equal(stats(&b).rx.packets, 0);
	bench_close(&b);
}

static void test_arm(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, "gen:rate=max", 2);
	assert_int_equal(b.port->ops->fd(b.port, 0, SL_PORT_RX), -1);
	assert_int_equal(b.port->ops->arm(b.port, 0, SL_PORT_RX), SL_PORT_READY);
	assert_int_equal(b.port->ops->arm(b.port, 0, SL_PORT_TX), SL_PORT_READY);
	assert_true(b.port->ops->deadline(b.port) == SL_NEVER);
	bench_close(&b);
}

/* With a rate it sleeps until its deadline, and then one is due. */
static void test_rate(void **state)
{
	uint64_t before = sl_now_ns(), deadline;
	unsigned by_flow[1024] = {0}, got = 0;
	struct bench b;
	int n;

	(void)state;
	bench_open(&b, "gen:rate=1k,count=20", 2);
	assert_int_equal(b.port->ops->arm(b.port, 0, SL_PORT_RX), 0);
	assert_int_equal(b.port->ops->arm(b.port, 0, SL_PORT_RX | SL_PORT_TX), SL_PORT_READY);
	while ((n = rx(&b)) >= 0) {
		got += take(&b, 64, by_flow);
		deadline = b.port->ops->deadline(b.port);
		/* Never more than was due since the start. */
		assert_true((sl_now_ns() - before) / SL_NS_PER_MS >= got);
		assert_true(got == 20 || (deadline > before && deadline < SL_NEVER));
		while (sl_now_ns() < deadline && got < 20)
			;
	}
	assert_int_equal(n, -ENODATA);
	assert_int_equal(got, 20);
	assert_true(b.port->ops->deadline(b.port) == SL_NEVER);
	assert_int_equal(b.port->ops->arm(b.port, 0, SL_PORT_RX), 0);
	bench_close(&b);
}

/* However slow the rate, one look in between makes no packet. */
static void test_slow_rate(void **state)
{
	uint64_t before = sl_now_ns(), got = 0;
	struct bench b;

	(void)state;
	bench_open(&b, "gen:rate=1", 2);
	for (unsigned n = 0; n < 1000; n++) {
		int ret = rx(&b);

		assert_true(ret >= 0);
		got += (unsigned)ret;
	}
	assert_true(got <= (sl_now_ns() - before) / SL_NS_PER_S);
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),	      cmocka_unit_test(test_flows),
		cmocka_unit_test(test_counts),	      cmocka_unit_test(test_no_end),
		cmocka_unit_test(test_back_pressure), cmocka_unit_test(test_mtu),
		cmocka_unit_test(test_too_small),     cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_info),	      cmocka_unit_test(test_sink),
		cmocka_unit_test(test_arm),	      cmocka_unit_test(test_rate),
		cmocka_unit_test(test_slow_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
