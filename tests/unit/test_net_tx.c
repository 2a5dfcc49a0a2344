/* SPDX-License-Identifier: BSD-2-Clause */
/* Into the driver: one copy of each packet, into one buffer or into several. */
#include "net_traffic.h"

static uint8_t bytes[8][PACKET_MAX], packet[PACKET_MAX];
static struct virtio_net_hdr_v1 hdr;

static uint64_t too_large(void)
{
	return counters(0).tx.drops[SL_DROP_TOO_LARGE];
}

/* The next to arrive, in buffers of @lens. */
static void check_arrived(const uint32_t *lens, unsigned n_lens, uint32_t len, unsigned seed,
			  unsigned n_buffers)
{
	assert_int_equal(arrived(0, lens, n_lens, &hdr, packet), len);
	assert_true(is_pattern(packet, len, seed));
	assert_int_equal(hdr.num_buffers, n_buffers);
}

static bool none_arrived(const uint32_t *lens, unsigned n_lens)
{
	return arrived(0, lens, n_lens, &hdr, packet) == -1;
}

/* A buffer for each; nothing of the ring is held. */
static void test_single(void **state)
{
	const struct virtio_net_hdr_v1 zero = {.num_buffers = 1};
	const uint32_t room[] = {1526};
	const uint32_t lens[] = {60, 1514, 14};
	struct sl_counters c;

	(void)state;
	start_driver(0, 2);
	make_room(0, 3, room, 1);
	assert_int_equal(tx(0), 0);
	for (unsigned n = 0; n < 3; n++)
		post(0, bytes[n], lens[n], n, NULL, 1);
	assert_int_equal(tx(0), 3);
	assert_int_equal(left(0), 0);
	assert_int_equal(sl_ring_in_flight(rig.tx[0]), 0);
	for (unsigned n = 0; n < 3; n++) {
		check_arrived(room, 1, lens[n], n, 1);
		assert_memory_equal(&hdr, &zero, sizeof(hdr));
	}
	assert_true(none_arrived(room, 1));
	c = counters(0);
	assert_int_equal(c.tx.packets, 3);
	assert_int_equal(c.tx.copied, 3);
	assert_int_equal(c.tx.bytes, 60 + 1514 + 14);
	assert_int_equal(sl_count_drops(&c.tx), 0);
}

/* 5.1.6.3.1: buffers of every length, and a packet that needs as many as it needs. */
static void test_merged(void **state)
{
	(void)state;
	start_driver(MERGE, 2);
	for (uint32_t len = 14; len < 2000; len += 97)
		for (uint32_t each = sl_max(1u, (HDR + len + 99) / 100); each < 300; each += 41) {
			unsigned needs = (HDR + len + each - 1) / each;

			make_room(0, needs + 1, &each, 1);
			post(0, bytes[0], len, len, NULL, 1 + each % 3);
			assert_int_equal(tx(0), 1);
			check_arrived(&each, 1, len, len, needs);
			post(0, bytes[0], 14, 9, NULL, 1);
			make_room(0, 26, &each, 1);
			assert_int_equal(tx(0), 1);
			check_arrived(&each, 1, 14, 9, (HDR + 14 + each - 1) / each);
			/* the rest is wanted back */
			disconnect();
			connect_front();
			start_driver(MERGE, 2);
		}
}

/* Fill the queue again and again, with a packet that is in the middle of nothing. */
static void test_tiny(void **state)
{
	const uint32_t one[] = {1};

	(void)state;
	start_driver(MERGE, 2);
	for (unsigned n = 0; n < 50; n++) {
		make_room(0, 26, one, 1);
		post(0, bytes[0], 14, n, NULL, 1);
		assert_int_equal(tx(0), 1);
		check_arrived(one, 1, 14, n, 26);
	}
	/* All that there can be are one too few. */
	make_room(0, SIZE, one, 1);
	post(0, bytes[0], SIZE - HDR + 1, 1, NULL, 1);
	post(0, bytes[1], SIZE - HDR, 2, NULL, 1);
	assert_int_equal(tx(0), 2);
	assert_int_equal(too_large(), 1);
	check_arrived(one, 1, SIZE - HDR, 2, SIZE);
}

/* One that is too large is dropped, and takes no buffer from the next. */
static void test_too_large(void **state)
{
	const uint32_t room[] = {HDR + 100};

	(void)state;
	start_driver(0, 2);
	make_room(0, 3, room, 1);
	post(0, bytes[0], 100, 0, NULL, 1);
	post(0, bytes[1], 101, 1, NULL, 2);
	post(0, bytes[2], 99, 2, NULL, 1);
	assert_int_equal(tx(0), 3);
	assert_int_equal(too_large(), 1);
	check_arrived(room, 1, 100, 0, 1);
	check_arrived(room, 1, 99, 2, 1);
	assert_true(none_arrived(room, 1));
	assert_int_equal(counters(0).tx.packets, 2);
}

/* Too few buffers: the packet stays on the ring, and is whole when there are more. */
static void test_waits(void **state)
{
	const uint32_t room[] = {100};

	(void)state;
	start_driver(MERGE, 2);
	post(0, bytes[0], 60, 0, NULL, 1);
	assert_int_equal(tx(0), 0);
	make_room(0, 3, room, 1);
	post(0, bytes[1], 300, 1, NULL, 1); /* needs 4 */
	post(0, bytes[2], 14, 2, NULL, 1);
	assert_int_equal(tx(0), 1);
	assert_int_equal(left(0), 2);
	check_arrived(room, 1, 60, 0, 1);
	assert_true(none_arrived(room, 1));
	make_room(0, 1, room, 1);
	assert_int_equal(tx(0), 0);
	make_room(0, 1, room, 1);
	assert_int_equal(tx(0), 1);
	check_arrived(room, 1, 300, 1, 4);
	assert_int_equal(tx(0), 0);
	make_room(0, 1, room, 1);
	assert_int_equal(tx(0), 1);
	check_arrived(room, 1, 14, 2, 1);
	assert_int_equal(too_large(), 0);
}

/* Without buffers it cannot be known that a packet is too large. */
static void test_waits_single(void **state)
{
	const uint32_t room[] = {HDR + 50};

	(void)state;
	start_driver(0, 2);
	post(0, bytes[0], 60, 0, NULL, 1);
	post(0, bytes[1], 50, 1, NULL, 1);
	assert_int_equal(tx(0), 0);
	assert_int_equal(too_large(), 0);
	make_room(0, 1, room, 1);
	assert_int_equal(tx(0), 2);
	assert_int_equal(too_large(), 1);
	check_arrived(room, 1, 50, 1, 1);
}

/* Buffers of several elements, some empty, that are filled in their order; and packets of several
 * fragments. */
static void test_pieces(void **state)
{
	const uint32_t room[] = {1, 5, 0, 100, 30, 1};

	(void)state;
	start_driver(MERGE, 2);
	for (uint32_t len = 14; len < 500; len += 7) {
		unsigned needs = (HDR + len + 136) / 137;

		make_room(0, needs, room, sl_array_len(room));
		post(0, bytes[0], len, len, NULL, 1 + len % 14);
		assert_int_equal(tx(0), 1);
		check_arrived(room, sl_array_len(room), len, len, needs);
	}
	make_room(0, 8, room, sl_array_len(room));
	post(0, bytes[0], 640, 7, NULL, SL_PACKET_FRAGS_MAX);
	assert_int_equal(tx(0), 1);
	check_arrived(room, sl_array_len(room), 640, 7, 5);
}

/* A buffer without a byte holds nothing, and is used all the same. */
static void test_empty_buffers(void **state)
{
	const uint32_t none[] = {0}, room[] = {100};
	uint32_t len;

	(void)state;
	start_driver(MERGE, 2);
	make_room(0, 1, none, 1);
	make_room(0, 1, room, 1);
	post(0, bytes[0], 60, 1, NULL, 1);
	assert_int_equal(tx(0), 1);
	assert_int_equal(take_back(RX_OF(0), &len), 0);
	assert_int_equal(len, 0);
	assert_int_equal(take_back(RX_OF(0), &len), 1);
	assert_int_equal(len, HDR + 60);
	memcpy(&hdr, element(RX_OF(0), 1, room, 0), HDR);
	assert_int_equal(hdr.num_buffers, 2);
	assert_true(is_pattern(element(RX_OF(0), 1, room, 0) + HDR, 60, 1));
}

/* 5.1.6.3: the facts go along; that a checksum is right only to who has asked for checksums. */
static void facts(uint8_t flags_arrive)
{
	const struct sl_offload
		gso = {SL_OFFLOAD_NEEDS_CSUM, SL_GSO_TCPV6 | SL_GSO_ECN, 74, 1400, 54, 16, {0}},
		valid = {.flags = SL_OFFLOAD_DATA_VALID};
	const uint32_t room[] = {2000};

	make_room(0, 3, room, 1);
	post(0, bytes[0], 100, 0, &gso, 1);
	post(0, bytes[1], 100, 1, &valid, 1);
	post(0, bytes[2], 100, 2, NULL, 1);
	assert_int_equal(tx(0), 3);
	check_arrived(room, 1, 100, 0, 1);
	assert_int_equal(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(hdr.gso_type, SL_GSO_TCPV6 | SL_GSO_ECN);
	assert_int_equal(hdr.hdr_len, 74);
	assert_int_equal(hdr.gso_size, 1400);
	assert_int_equal(hdr.csum_start, 54);
	assert_int_equal(hdr.csum_offset, 16);
	check_arrived(room, 1, 100, 1, 1);
	assert_int_equal(hdr.flags, flags_arrive);
	assert_int_equal(hdr.gso_type, 0);
	check_arrived(room, 1, 100, 2, 1);
	assert_int_equal(hdr.flags, 0);
	assert_int_equal(hdr.gso_type, 0);
}

static void test_facts(void **state)
{
	(void)state;
	start_driver(GUEST_ALL, 2);
	assert_int_equal(info().accepts, CAN_ALL);
	facts(VIRTIO_NET_HDR_F_DATA_VALID);
	disconnect();
	connect_front();
	start_driver(0, 2);
	facts(0);
}

/* A burst is a call; interrupts are one each. */
static void test_bursts(void **state)
{
	const uint32_t room[] = {100};
	unsigned n = 0;

	(void)state;
	start_driver(MERGE, 2);
	make_room(0, 100, room, 1);
	for (unsigned i = 0; i < 100; i++)
		post(0, bytes[i % 8], 60, i % 8, NULL, 1);
	for (int did; (did = tx(0)) > 0; n += (unsigned)did)
		assert_true(did <= 64);
	assert_int_equal(n, 100);
	for (unsigned i = 0; i < 100; i++)
		check_arrived(room, 1, 60, i % 8, 1);
}

/* Everything at random, for long; nothing is lost, doubled or changed. */
static void test_random(void **state)
{
	const uint32_t room[] = {200, 30};
	unsigned sent = 0, got = 0, given = 0;
	uint32_t lens[256];

	(void)state;
	start_driver(MERGE, 2);
	while (got < 5000) {
		unsigned n = rig_random(20);

		if (n < 4 && rig.queues[RX_OF(0)].vq.n_free >= 8) {
			make_room(0, n, room, 2);
			given += n;
		}
		for (; n > 10 && sent - got < 8; n--, sent++) {
			lens[sent % 256] = 14 + rig_random(rig_random(4) ? 100 : 1500);
			post(0, bytes[sent % 8], lens[sent % 256], sent, NULL, 1 + n % 5);
		}
		tx(0);
		while (arrived(0, room, 2, &hdr, packet) >= 0) {
			uint32_t len = lens[got % 256];

			assert_true(is_pattern(packet, len, got++));
			assert_int_equal(hdr.num_buffers, (HDR + len + 229) / 230);
		}
	}
	assert_true(given > got);
	assert_int_equal(too_large(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_ALL(test_single),	     WITH(test_merged, split), WITH(test_merged, packed),
		WITH_ALL(test_tiny),	     WITH_ALL(test_too_large), WITH_ALL(test_waits),
		WITH_ALL(test_waits_single), WITH_ALL(test_pieces),    WITH_ALL(test_empty_buffers),
		WITH_ALL(test_facts),	     WITH_ALL(test_bursts),    WITH_ALL(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
