/* SPDX-License-Identifier: BSD-2-Clause */
/* Out of the driver: its packets are lent to the ring, and its buffers go back in their order. */
#include "net_traffic.h"

#define FRAME_MAX (65535u + 14 + 4)

static uint64_t drops(enum sl_drop why)
{
	return counters(0).rx.drops[why];
}

/* Where they lie: what the driver changes afterwards is what the ring has. */
static void test_lent(void **state)
{
	struct sl_counters c;
	uint32_t at;

	(void)state;
	start_driver(0, 2);
	assert_int_equal(rx(0), 0);
	for (unsigned n = 0; n < 3; n++)
		give(0, 60 + n, n);
	assert_int_equal(rx(0), 3);
	assert_int_equal(sl_ring_ready(rig.rx[0], &at), 3);
	for (unsigned n = 0; n < 3; n++)
		check_lent(0, at + n, 60 + n, n);
	assert_int_equal(sl_ring_packet(rig.rx[0], at)->flags, 0);
	front.guest[SLOT_AT(TX_OF(0), 1) + HDR + 5] ^= 0x55;
	assert_int_equal(sl_ring_packet(rig.rx[0], at + 1)->frag.addr[5],
			 front.guest[SLOT_AT(TX_OF(0), 1) + HDR + 5]);
	assert_int_equal(come_back(TX_OF(0)), 0);
	assert_int_equal(rx(0), -EINPROGRESS);
	sl_ring_consume(rig.rx[0], 3);
	assert_int_equal(come_back(TX_OF(0)), 0);
	assert_int_equal(rx(0), 0);
	assert_int_equal(come_back(TX_OF(0)), 3);
	c = counters(0);
	assert_int_equal(c.rx.packets, 3);
	assert_int_equal(c.rx.bytes, 60 + 61 + 62);
	assert_int_equal(c.rx.copied, 0);
}

/* A kick is not needed to see what is there, and -EINPROGRESS is not said while there is more. */
static void test_no_more(void **state)
{
	(void)state;
	start_driver(0, 2);
	give(0, 60, 1);
	assert_int_equal(rx(0), 1);
	assert_int_equal(rx(0), -EINPROGRESS);
	give(0, 70, 2);
	assert_int_equal(rx(0), 1);
	consume(0, 60, 1);
	assert_int_equal(rx(0), -EINPROGRESS);
	assert_int_equal(come_back(TX_OF(0)), 1);
	consume(0, 70, 2);
	assert_int_equal(rx(0), 0);
	assert_int_equal(come_back(TX_OF(0)), 1);
}

/* The driver is interrupted for what comes back. */
static void test_interrupt(void **state)
{
	uint64_t n;

	(void)state;
	start_driver(0, 2);
	sl_event_clear(rig.queues[TX_OF(0)].call);
	sl_virtq_arm(&rig.queues[TX_OF(0)].vq, 0);
	give(0, 60, 1);
	assert_int_equal(rx(0), 1);
	assert_int_equal(read(rig.queues[TX_OF(0)].call, &n, sizeof(n)), -1);
	consume(0, 60, 1);
	rx(0);
	assert_int_equal(read(rig.queues[TX_OF(0)].call, &n, sizeof(n)), sizeof(n));
}

struct facts {
	struct virtio_net_hdr_v1 hdr;
	struct sl_offload offload;
	bool refused;
};

#define CSUM 1
static const struct facts facts[] = {
	{{0}, {0}, false},
	{{.flags = CSUM, .csum_start = 34, .csum_offset = 16},
	 {.flags = CSUM, .csum_start = 34, .csum_offset = 16},
	 false},
	{{.flags = CSUM, .csum_start = 34, .csum_offset = 16, .gso_type = 1, .gso_size = 40},
	 {.flags = CSUM, .csum_start = 34, .csum_offset = 16, .gso_type = 1, .gso_size = 40},
	 false},
	{{.flags = CSUM,
	  .csum_start = 54,
	  .csum_offset = 16,
	  .gso_type = 0x84,
	  .gso_size = 9,
	  .hdr_len = 74},
	 {.flags = CSUM,
	  .csum_start = 54,
	  .csum_offset = 16,
	  .gso_type = 0x84,
	  .gso_size = 9,
	  .hdr_len = 74},
	 false},
	{{.flags = CSUM, .csum_start = 34, .csum_offset = 6, .gso_type = 5, .gso_size = 20},
	 {.flags = CSUM, .csum_start = 34, .csum_offset = 6, .gso_type = 5, .gso_size = 20},
	 false},
	/* num_buffers means nothing here */
	{{.num_buffers = 7}, {0}, false},
	{{.flags = CSUM, .csum_start = 90, .csum_offset = 9}, {0}, true}, /* behind its end */
	{{.flags = CSUM, .csum_start = 65535, .csum_offset = 65535}, {0}, true},
	{{.gso_type = 1, .gso_size = 40}, {0}, true},		       /* without a checksum */
	{{.flags = CSUM, .csum_start = 34, .gso_type = 1}, {0}, true}, /* without a size */
	{{.flags = CSUM, .csum_start = 34, .gso_type = 3, .gso_size = 9}, {0}, true}, /* UFO */
	{{.flags = CSUM, .csum_start = 34, .gso_type = 0x85, .gso_size = 9}, {0}, true},
	{{.gso_type = 77}, {0}, true},
};

/* 5.1.6.2: what is left undone goes along; what cannot be is dropped. */
static void test_facts(void **state)
{
	unsigned refused = 0;
	uint32_t at;

	(void)state;
	start_driver(HOST_ALL, 2);
	assert_int_equal(info().emits, CAN_ALL);
	for (unsigned n = 0; n < sl_array_len(facts); n++) {
		give_shaped(0, &facts[n].hdr, 100, n, NULL, 0);
		assert_int_equal(rx(0), 1);
		refused += facts[n].refused;
		assert_int_equal(sl_ring_ready(rig.rx[0], &at), !facts[n].refused);
		assert_int_equal(drops(SL_DROP_MALFORMED), refused);
		if (facts[n].refused)
			continue;
		assert_int_equal(!!(sl_ring_packet(rig.rx[0], at)->flags & SL_PACKET_OFFLOAD),
				 facts[n].offload.flags);
		if (facts[n].offload.flags)
			assert_memory_equal(sl_ring_offload(rig.rx[0], at), &facts[n].offload,
					    sizeof(struct sl_offload));
		consume(0, 100, n);
	}
	assert_int_equal(rx(0), 0);
	assert_int_equal(come_back(TX_OF(0)), sl_array_len(facts));
	assert_int_equal(counters(0).rx.packets, sl_array_len(facts) - refused);
}

/* A driver that has not accepted them does not ask for them. */
static void test_facts_not_negotiated(void **state)
{
	(void)state;
	start_driver(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4), 2);
	assert_int_equal(info().emits, SL_CAN_CSUM | SL_CAN_TSO4);
	for (unsigned n = 0; n < 5; n++)
		give_shaped(0, &facts[n].hdr, 100, n, NULL, 0);
	assert_int_equal(rx(0), 5);
	assert_int_equal(drops(SL_DROP_MALFORMED), 2); /* TCPv6, UDP */
	for (unsigned n = 0; n < 3; n++)
		consume(0, 100, n);
	assert_int_equal(ready(0), 0);
}

/* A header and a packet in elements of every length. */
static void test_cuts(void **state)
{
	const struct virtio_net_hdr_v1 hdr = {.flags = CSUM, .csum_start = 3, .csum_offset = 1};
	uint32_t lens[ELEMS_MAX], total = HDR + 40, at;

	(void)state;
	start_driver(HOST_ALL, 2);
	for (uint32_t each = 1; each <= total; each++) {
		unsigned n = 0;

		for (uint32_t left = total; left; left -= lens[n++])
			lens[n] = sl_min(each, left);
		assert_true(give_shaped(0, &hdr, 40, each, lens, n) >= 0);
		assert_int_equal(rx(0), 1);
		assert_int_equal(sl_ring_ready(rig.rx[0], &at), 1);
		assert_int_equal(sl_ring_offload(rig.rx[0], at)->csum_start, 3);
		consume(0, 40, each);
		rx(0);
		assert_int_equal(come_back(TX_OF(0)), 1);
	}
	for (uint32_t first = 1; first < total; first++) {
		const uint32_t two[] = {first, total - first};

		assert_true(give_shaped(0, &hdr, 40, first, two, 2) >= 0);
		assert_int_equal(rx(0), 1);
		consume(0, 40, first);
		rx(0);
		assert_int_equal(come_back(TX_OF(0)), 1);
	}
}

/* Elements of no bytes are no fragments, wherever they are. */
static void test_empty_elements(void **state)
{
	const uint32_t lens[] = {0, 5, 0, HDR - 5, 0, 0, 20, 0, 20, 0};
	uint32_t at;

	(void)state;
	start_driver(0, 2);
	give_shaped(0, NULL, 40, 3, lens, sl_array_len(lens));
	assert_int_equal(rx(0), 1);
	assert_int_equal(sl_ring_ready(rig.rx[0], &at), 1);
	assert_int_equal(sl_ring_packet(rig.rx[0], at)->more, 1);
	consume(0, 40, 3);
}

static void give_pieces(unsigned n, unsigned seed, bool header_apart)
{
	uint32_t lens[ELEMS_MAX];

	for (unsigned i = 0; i < n; i++)
		lens[i + header_apart] = 10;
	if (header_apart)
		lens[0] = HDR;
	else
		lens[0] += HDR;
	assert_true(give_shaped(0, NULL, n * 10, seed, lens, n + header_apart) >= 0);
}

/* 64 fragments are the most; a header that lies alone is none. */
static void test_fragments(void **state)
{
	uint32_t at;

	(void)state;
	start_driver(0, 2);
	for (unsigned apart = 0; apart < 2; apart++) {
		give_pieces(SL_PACKET_FRAGS_MAX, 1, apart);
		assert_int_equal(rx(0), 1);
		assert_int_equal(sl_ring_ready(rig.rx[0], &at), 1);
		assert_int_equal(sl_ring_packet(rig.rx[0], at)->more, SL_PACKET_FRAGS_MAX - 1);
		consume(0, 10 * SL_PACKET_FRAGS_MAX, 1);
		rx(0);
		assert_int_equal(come_back(TX_OF(0)), 1);
		give_pieces(SL_PACKET_FRAGS_MAX + 1, 1, apart);
		assert_int_equal(rx(0), 1);
		assert_int_equal(ready(0), 0);
		assert_int_equal(drops(SL_DROP_TOO_LARGE), apart + 1);
		rx(0);
		assert_int_equal(come_back(TX_OF(0)), 1);
	}
}

/* The ring has 64 further fragments: two packets of 40 are not there at a time. What does not fit
 * waits, and what is behind it. */
static void test_fragments_short(void **state)
{
	(void)state;
	start_driver(0, 2);
	if (!(rig.features & INDIRECT)) { /* 40 and 40 and 1 entries of 128 */
		give_pieces(40, 1, false);
		give_pieces(40, 2, false);
	} else {
		give_pieces(40, 1, true);
		give_pieces(40, 2, true);
	}
	give(0, 60, 3);
	assert_int_equal(rx(0), 1);
	assert_int_equal(rx(0), -EINPROGRESS);
	assert_int_equal(rx(0), -EINPROGRESS);
	consume(0, 400, 1);
	assert_int_equal(rx(0), 2);
	assert_int_equal(come_back(TX_OF(0)), 1);
	consume(0, 400, 2);
	consume(0, 60, 3);
	assert_int_equal(rx(0), 0);
	assert_int_equal(come_back(TX_OF(0)), 2);
	assert_int_equal(counters(0).rx.packets, 3);
}

static void test_sizes(void **state)
{
	const uint32_t good[] = {14, 15, 1514, FRAME_MAX}, bad[] = {0, 13, FRAME_MAX + 1};
	uint32_t short_header[] = {HDR - 1}, nothing[] = {0};

	(void)state;
	start_driver(0, 2);
	for (unsigned n = 0; n < sl_array_len(good); n++) {
		give(0, good[n], n);
		assert_int_equal(rx(0), 1);
		consume(0, good[n], n);
	}
	for (unsigned n = 0; n < sl_array_len(bad); n++) {
		give(0, bad[n], n);
		assert_int_equal(rx(0), 1);
		assert_int_equal(ready(0), 0);
	}
	assert_true(add(TX_OF(0), short_header, 1) >= 0);
	assert_true(add(TX_OF(0), nothing, 1) >= 0);
	publish(TX_OF(0));
	assert_int_equal(rx(0), 2);
	assert_int_equal(drops(SL_DROP_MALFORMED), sl_array_len(bad) + 2);
	assert_int_equal(rx(0), 0);
	assert_int_equal(come_back(TX_OF(0)), sl_array_len(good) + sl_array_len(bad) + 2);
	assert_int_equal(ready(0), 0);
}

/* A ring of 4. */
static void test_ring_full(void **state)
{
	(void)state;
	start_driver(0, 2);
	for (unsigned n = 0; n < 10; n++)
		give(0, 60, n);
	assert_int_equal(rx(0), 4);
	assert_int_equal(rx(0), -EINPROGRESS);
	consume(0, 60, 0);
	consume(0, 60, 1);
	assert_int_equal(rx(0), 2);
	for (unsigned n = 2; n < 6; n++)
		consume(0, 60, n);
	assert_int_equal(rx(0), 4);
	for (unsigned n = 6; n < 10; n++)
		consume(0, 60, n);
	assert_int_equal(rx(0), 0);
	assert_int_equal(come_back(TX_OF(0)), 10);
}

/* Of eight, @bad are dropped. The others are finished in an order of their own; after each, those
 * at the front have gone back that are finished or dropped, and no other. (Dropped ones before the
 * first that is lent may wait for that.) */
static void in_some_order(unsigned bad)
{
	bool finished[8];
	uint32_t entry[8], at, n = 0;
	unsigned back = 0, left;

	for (unsigned i = 0; i < 8; i++) {
		finished[i] = bad >> i & 1;
		give(0, finished[i] ? 13 : 60, i);
	}
	assert_int_equal(rx(0), 8);
	left = sl_ring_ready(rig.rx[0], &at);
	for (unsigned i = 0; i < 8; i++)
		entry[i] = finished[i] ? 0 : at + n++;
	assert_int_equal(left, n);
	sl_ring_take(rig.rx[0], left);
	for (;;) {
		unsigned which = rig_random(8);

		rx(0);
		back += come_back(TX_OF(0));
		for (n = 0; n < 8 && finished[n];)
			n++;
		if (back || n == 8 || !(bad & 1))
			assert_int_equal(back, n);
		if (n == 8)
			return;
		while (finished[which])
			which = (which + 1) % 8;
		check_lent(0, entry[which], 60, which);
		sl_ring_done(rig.rx[0], entry[which]);
		finished[which] = true;
	}
}

static void test_order(void **state)
{
	unsigned rounds = 0, dropped = 0;

	(void)state;
	start_driver(0, 2);
	for (unsigned bad = 0; bad < 256; bad++, rounds++) {
		in_some_order(bad);
		dropped += (unsigned)__builtin_popcount(bad);
	}
	assert_int_equal(drops(SL_DROP_MALFORMED), dropped);
	assert_int_equal(counters(0).rx.packets, 8 * rounds - dropped);
}

static const struct variant few_split = {"", 0, "", 256, 64},
			    few_packed = {"", PACKED, "", 256, 64},
			    few_tables = {"", INDIRECT, "", 256, 64},
			    small_split = {"", 0, "", 4, 64},
			    small_packed = {"", PACKED, "", 4, 64};

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_ALL(test_lent),
		WITH_ALL(test_no_more),
		WITH_ALL(test_interrupt),
		WITH_ALL(test_facts),
		WITH(test_facts_not_negotiated, split),
		WITH_ALL(test_cuts),
		WITH_ALL(test_empty_elements),
		WITH_ALL(test_fragments),
		WITH(test_fragments_short, few_split),
		WITH(test_fragments_short, few_packed),
		WITH(test_fragments_short, few_tables),
		WITH_ALL(test_sizes),
		WITH(test_ring_full, small_split),
		WITH(test_ring_full, small_packed),
		WITH_ALL(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
