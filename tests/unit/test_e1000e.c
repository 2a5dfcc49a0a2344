/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver of the 82574: setting up, receiving, sending. */
#include "nic_rig.h"

/*
 * Opening.
 */

/* The index of the write to @reg with @value, from @from on. */
static unsigned written(const struct rig *r, unsigned from, uint32_t reg, uint32_t mask,
			uint32_t value)
{
	for (unsigned i = from; i < r->f.n_writes; i++)
		if (r->f.writes[i].reg == reg && (r->f.writes[i].value & mask) == value)
			return i;
	fail_msg("0x%x is not written to 0x%x", value, reg);
	return 0;
}

static void test_order(void **state)
{
	struct rig *r = rig();
	unsigned at = written(r, 0, IMC, UINT32_MAX, UINT32_MAX);

	(void)state;
	at = written(r, at, RCTL, UINT32_MAX, 0);
	at = written(r, at, CTRL, CTRL_GIO_MASTER_DISABLE, CTRL_GIO_MASTER_DISABLE);
	at = written(r, at, CTRL, CTRL_RST, CTRL_RST);
	at = written(r, at, IMC, UINT32_MAX, UINT32_MAX); /* again: reset may have turned some on */
	at = written(r, at, CTRL, CTRL_SLU | CTRL_RST, CTRL_SLU);
	at = written(r, at, TDLEN, UINT32_MAX, 4096);
	at = written(r, at, TCTL, TCTL_EN, TCTL_EN);
	at = written(r, at, RFCTL, RFCTL_EXSTEN, RFCTL_EXSTEN);
	at = written(r, at, RDLEN, UINT32_MAX, 4096);
	at = written(r, at, RCTL, RCTL_EN, RCTL_EN);
	at = written(r, at, RDT, UINT32_MAX, E1000E_RING - 1); /* buffers last: enabled before */
	written(r, at, IMS, CAUSE_LSC, CAUSE_LSC);
	assert_int_equal(*fake_reg(&r->f, IVAR), 0xa0908);
	assert_int_equal(*fake_reg(&r->f, EIAC), CAUSE_RXQ0 | CAUSE_TXQ0);
	assert_int_equal(*fake_reg(&r->f, IAM), CAUSE_RXQ0 | CAUSE_TXQ0);
	assert_int_equal(*fake_reg(&r->f, RCTL) & (RCTL_UPE | RCTL_MPE), RCTL_MPE);
	for (uint32_t reg = RDBAL; reg <= RDT; reg += 4) { /* the queue that is not used is empty */
		assert_int_equal(*fake_reg(&r->f, reg + QUEUE_REGS), 0);
		assert_int_equal(*fake_reg(&r->f, reg + (TDBAL - RDBAL) + QUEUE_REGS), 0);
		reg += 4 * (reg == RDLEN || reg == RDH); /* reserved ones between */
	}
	assert_int_equal(*fake_reg(&r->f, MRQC), 0);
	assert_int_equal(*fake_reg(&r->f, RAH0 + 8), 0);
	assert_int_equal(*fake_reg(&r->f, RDTR) | *fake_reg(&r->f, RADV), 0);
	assert_int_equal(r->f.config[4] & 6, 6);
	assert_int_equal(r->f.resets, 1);
	rig_free(r);
}

static void test_info(void **state)
{
	static const uint8_t mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
	struct rig *r = rig_new();
	struct sl_port_info info;

	(void)state;
	rig_open(r, 2);
	r->port->ops->info(r->port, &info);
	assert_memory_equal(info.mac, mac, 6);
	assert_int_equal(info.layer, 2);
	assert_int_equal(info.queues, 2);
	assert_int_equal(info.n_regions, 2);
	assert_int_equal(info.accepts, SL_CAN_CSUM);
	assert_true(info.attached);
	assert_int_equal(*fake_reg(&r->f, IVAR), 0xcba98);
	assert_int_equal(*fake_reg(&r->f, MRQC) & 3, 1);
	assert_int_equal(*fake_reg(&r->f, RDT + QUEUE_REGS), E1000E_RING - 1);
	rig_free(r);
}

static void refused(struct rig *r, unsigned queues, int err, const char *said)
{
	assert_int_equal(rig_try(r, queues), err);
	if (!strstr(sl_reason(), said))
		fail_msg("\"%s\" does not say \"%s\"", sl_reason(), said);
	assert_null(r->port);
	rig_free(r);
}

static void test_refused(void **state)
{
	struct rig *r = rig_new();

	(void)state;
	refused(r, 3, -EINVAL, "has 2 queues, not 3");
	r = rig_new();
	r->f.stuck = true;
	refused(r, 1, -EIO, "out of its reset");
	r = rig_new();
	r->f.no_mac = true;
	refused(r, 1, -EIO, "MAC");
	r = rig_new();
	r->f.bar_len = 0x10000;
	refused(r, 1, -EINVAL, "too short");
	r = rig_new();
	r->f.gone = true;
	refused(r, 1, -ENODEV, "answer");
}

/*
 * Receiving.
 */

static void test_receive(void **state)
{
	struct rig *r = rig();
	uint8_t frame[FAKE_FRAME];
	struct sl_counters c;
	uint32_t at, n = 0;

	(void)state;
	assert_int_equal(rx(r), 0);
	while (n < 3000) { /* around the ring more than ten times, in bursts of all sizes */
		uint32_t first = n, burst = 1 + n % E1000E_BURST;

		for (; n < first + burst; n++)
			receive(r, 60 + n % 1459, n, n % 3 ? 0 : RXD_TCPCS);
		assert_int_equal(rx(r), burst);
		assert_int_equal(sl_ring_ready(r->rx, &at), burst);
		for (uint32_t i = 0; i < burst; i++) {
			struct sl_packet *packet = sl_ring_packet(r->rx, at + i);
			bool valid = packet->flags & SL_PACKET_OFFLOAD;

			make_frame(frame, 60 + (first + i) % 1459, first + i);
			assert_int_equal(packet->frag.len, 60 + (first + i) % 1459);
			assert_memory_equal(packet->frag.addr, frame, packet->frag.len);
			assert_int_equal(packet->headroom, NIC_HEADROOM);
			assert_int_equal(packet->more, 0);
			assert_int_equal(valid, (first + i) % 3 == 0);
			if (valid)
				assert_int_equal(sl_ring_offload(r->rx, at + i)->flags,
						 SL_OFFLOAD_DATA_VALID);
		}
		assert_int_equal(consume(r), burst);
	}
	c = stats(r);
	assert_int_equal(c.rx.packets, n);
	assert_int_equal(sl_count_drops(&c.rx), 0);
	assert_int_equal(r->f.missed, 0);
	rig_free(r);
}

/* Checksums that were not looked at, or are wrong, are for others to judge. */
static void test_sums(void **state)
{
	static const uint32_t said[] = {0, RXD_TCPCS | RXD_TCPE, RXD_UDPCS | RXD_IPE,
					RXD_TCPCS | RXD_IXSM};
	struct rig *r = rig();
	uint32_t at;

	(void)state;
	for (unsigned i = 0; i < sl_array_len(said); i++)
		receive(r, 60, i, said[i]);
	assert_int_equal(rx(r), sl_array_len(said));
	sl_ring_ready(r->rx, &at);
	for (unsigned i = 0; i < sl_array_len(said); i++)
		assert_int_equal(sl_ring_packet(r->rx, at + i)->flags, SL_PACKET_WRITABLE);
	rig_free(r);
}

/* A link's ring full of lent buffers leaves the device all of its own. */
static void test_lent(void **state)
{
	struct rig *r = rig();
	uint32_t free, at;

	(void)state;
	for (uint32_t n = 0; n < RING; n++) {
		receive(r, 60, n, 0);
		rx(r);
	}
	assert_int_equal(sl_ring_ready(r->rx, &at), RING);
	assert_int_equal(rx(r), 0);
	free = (*fake_reg(&r->f, RDT) - *fake_reg(&r->f, RDH)) % E1000E_RING;
	assert_true(free >= E1000E_RING - 32);
	for (uint32_t i = 0; i < RING; i++) /* none was given to two */
		for (uint32_t j = 0; j < i; j++)
			assert_ptr_not_equal(sl_ring_packet(r->rx, i)->frag.addr,
					     sl_ring_packet(r->rx, j)->frag.addr);
	for (uint32_t n = 0; n < free; n++)
		receive(r, 60, RING + n, 0);
	assert_false(fake_receive(&r->f, 0, r->memory, 60, 0));
	assert_int_equal(consume(r), RING);
	assert_int_equal(rx(r), E1000E_BURST);
	rig_free(r);
}

static void test_all_lent(void **state)
{
	const struct sl_ring_config config = {2048, 64, -1, -1};
	struct rig *r = rig();
	uint32_t n = 0;
	int ret = 0;

	(void)state;
	sl_ring_release(r->rx);
	assert_int_equal(sl_ring_create(&config, &r->rx), 0);
	while (ret != -ENOBUFS && n < 2048) {
		n += fake_receive(&r->f, 0, r->memory, 60, 0);
		ret = rx(r);
	}
	assert_int_equal(ret, -ENOBUFS);
	assert_in_range(n, 512, 1000);
	assert_int_equal(consume(r), n);
	assert_int_equal(rx(r), 0);
	assert_true(fake_receive(&r->f, 0, r->memory, 60, 0));
	assert_int_equal(rx(r), 1);
	rig_free(r);
}

#define LEN(n) ((uint64_t)(n) << 32)

static void test_hostile(void **state)
{
	static const struct {
		uint64_t high;
		enum sl_drop reason;
	} cases[] = {
		{LEN(0) | RXD_DD | RXD_EOP, SL_DROP_MALFORMED},
		{LEN(13) | RXD_DD | RXD_EOP, SL_DROP_MALFORMED},
		{LEN(NIC_ROOM + 1) | RXD_DD | RXD_EOP, SL_DROP_MALFORMED},
		{LEN(65535) | RXD_DD | RXD_EOP, SL_DROP_MALFORMED},
		{LEN(60) | RXD_DD | RXD_EOP | RXD_CE, SL_DROP_MALFORMED},
		{LEN(60) | RXD_DD | RXD_EOP | RXD_SE, SL_DROP_MALFORMED},
		{LEN(60) | RXD_DD | RXD_EOP | RXD_RXE, SL_DROP_MALFORMED},
		{UINT64_MAX, SL_DROP_MALFORMED},
		{LEN(1856) | RXD_DD, SL_DROP_TRUNCATED},
		{LEN(1856) | RXD_DD, SL_DROP_COUNT}, /* of the same packet */
		{LEN(60) | RXD_DD | RXD_EOP, SL_DROP_COUNT},
	};
	uint64_t expected[SL_DROP_COUNT] = {0};
	struct rig *r = rig();
	uint32_t at;

	(void)state;
	for (unsigned i = 0; i < sl_array_len(cases); i++) {
		assert_true(fake_receive_raw(&r->f, 0, r->memory, 0, cases[i].high));
		assert_int_equal(rx(r), 1);
		assert_int_equal(sl_ring_ready(r->rx, &at), 0);
		if (cases[i].reason != SL_DROP_COUNT)
			expected[cases[i].reason]++;
		assert_memory_equal(stats(r).rx.drops, expected, sizeof(expected));
	}
	for (unsigned lap = 0; lap < 10; lap++) { /* no buffer was lost */
		for (unsigned i = 0; i < 64; i++) {
			receive(r, 60, i, 0);
			assert_true(fake_receive_raw(&r->f, 0, r->memory, 0, UINT64_MAX));
		}
		assert_int_equal(rx(r) + rx(r) + rx(r), 128);
		assert_int_equal(consume(r), 64);
	}
	/* Said of a descriptor that has no buffer: the next one is not looked at. */
	receive(r, NIC_ROOM, 0, 0);
	fake_desc(&r->f, RDBAL, 0, (*fake_reg(&r->f, RDT)) % E1000E_RING)->high = UINT64_MAX;
	assert_int_equal(rx(r), 1);
	rig_free(r);
}

static void test_missed(void **state)
{
	struct rig *r = rig();

	(void)state;
	r->f.missed = 17;
	assert_int_equal(r->port->ops->control(r->port, 1), 0);
	assert_int_equal(stats(r).rx.drops[SL_DROP_SOURCE], 17);
	r->f.missed = 3;
	r->port->ops->stop(r->port);
	assert_int_equal(stats(r).rx.drops[SL_DROP_SOURCE], 20);
	rig_free(r);
}

/*
 * Sending.
 */

static uint32_t next_seq;

static void check_seq(struct fake_e1000e *f)
{
	uint8_t frame[FAKE_FRAME];

	make_frame(frame, f->sent_len, next_seq);
	assert_int_equal(f->sent_len, 17 + next_seq % 1500);
	assert_memory_equal(f->sent, frame, f->sent_len);
	assert_int_equal(f->descriptors, 1);
	next_seq++;
}

static void test_send(void **state)
{
	struct rig *r = rig();
	uint32_t at, n = 0;

	(void)state;
	next_seq = 0;
	r->f.on_sent = check_seq;
	while (n < 3000) {
		uint32_t burst = 1 + n % 100, doorbells = r->f.doorbells;

		for (uint32_t end = n + burst; n < end; n++) {
			uint8_t *addr = r->memory + n % 512 * 2048;

			make_frame(addr, 17 + n % 1500, n);
			give(r, addr, 17 + n % 1500);
		}
		tx(r);
		assert_int_equal(r->f.doorbells, doorbells + 1);
		assert_true(sl_ring_in_flight(r->tx));
		tx(r);
		assert_true(sl_ring_in_flight(r->tx) ==
			    burst); /* nothing is back before it was sent */
		assert_int_equal(fake_send(&r->f, 0, UINT32_MAX), burst);
		tx(r);
		assert_int_equal(sl_ring_in_flight(r->tx), 0);
		assert_int_equal(sl_ring_ready(r->tx, &at), 0);
	}
	assert_int_equal(next_seq, n);
	assert_int_equal(stats(r).tx.packets, n);
	assert_int_equal(stats(r).tx.copied, 0);
	assert_int_equal(r->f.unknown, 0);
	rig_free(r);
}

/* The ring of descriptors fills; nothing is overwritten, all of it goes out. */
static void test_full(void **state)
{
	struct rig *r = rig();
	unsigned took = 0;

	(void)state;
	for (unsigned n = 0; n < RING; n++)
		give(r, r->memory + n * 64, FRAME);
	for (int did = 1; did; took += (unsigned)did)
		did = tx(r);
	assert_in_range(took, 240, 255);
	assert_int_equal(r->port->ops->arm(r->port, 0, SL_PORT_TX), POLLIN);
	while (fake_send(&r->f, 0, 10))
		tx(r);
	fake_send(&r->f, 0, UINT32_MAX);
	tx(r);
	assert_int_equal(stats(r).tx.packets, RING);
	assert_int_equal(sl_ring_in_flight(r->tx), 0);
	rig_free(r);
}

static void sends(struct rig *r, const void *bytes, uint32_t len, unsigned descriptors, bool copied)
{
	uint64_t before = stats(r).tx.copied, unknown = r->f.unknown;

	sl_ring_post(r->tx, 1);
	assert_int_equal(tx(r), 1);
	assert_int_equal(sl_ring_in_flight(r->tx), !copied);
	assert_int_equal(fake_send(&r->f, 0, UINT32_MAX), 1);
	tx(r);
	assert_int_equal(sl_ring_in_flight(r->tx), 0);
	assert_int_equal(r->f.sent_len, len);
	assert_memory_equal(r->f.sent, bytes, len);
	assert_int_equal(r->f.descriptors, descriptors);
	assert_int_equal(stats(r).tx.copied, before + copied);
	assert_int_equal(r->f.unknown, unknown);
}

static void test_reach(void **state)
{
	struct rig *r = rig();
	const struct sl_region *region = sl_arena_region(r->arena);
	uint8_t *end = r->memory + region->len, other[FRAME] = {1, 2, 3};
	struct sl_region wrong = *region;

	(void)state;
	entry(r, end - FRAME, FRAME);
	sends(r, end - FRAME, FRAME, 1, false);
	entry(r, r->memory, FRAME);
	sends(r, r->memory, FRAME, 1, false);
	entry(r, other, FRAME); /* not where its region says */
	sends(r, other, FRAME, 1, true);
	entry(r, r->memory, FRAME)->frag.region = 8;
	sends(r, r->memory, FRAME, 1, true);
	/* One that ends behind its region, as far as was told of that. */
	r->port->ops->region_del(r->port, region);
	wrong.len = 4096;
	r->port->ops->region_add(r->port, &wrong);
	entry(r, r->memory + 4096 - FRAME, FRAME);
	sends(r, r->memory + 4096 - FRAME, FRAME, 1, false);
	entry(r, r->memory + 4097 - FRAME, FRAME);
	sends(r, r->memory + 4097 - FRAME, FRAME, 1, true);
	r->port->ops->region_del(r->port, &wrong);
	entry(r, r->memory, FRAME);
	sends(r, r->memory, FRAME, 1, true);
	rig_free(r);
}

/* Lent memory is for the device to read; over UIO it is not there at all. */
static void test_rights(void **state)
{
	struct rig *r = rig();
	size_t count;
	const struct sl_mapping *m = sl_space_mappings(r->f.dev.space, &count);
	bool seen = false;

	(void)state;
	for (size_t i = 0; i < count; i++) {
		if (m[i].region.base != r->memory)
			continue;
		assert_int_equal(m[i].region.access, SL_REGION_READ);
		seen = true;
	}
	assert_true(seen);
	rig_free(r);
	for (int way = SL_PCI_UIO_MSIX; way <= SL_PCI_UIO; way++) {
		r = rig_new();
		r->f.dev.info.via = (enum sl_pci_way)way;
		rig_open(r, 1);
		entry(r, r->memory, FRAME);
		sends(r, r->memory, FRAME, 1, true);
		rig_free(r);
	}
}

static void test_chains(void **state)
{
	struct rig *r = rig();
	struct sl_frag frags[9];
	uint32_t at;

	(void)state;
	make_frame(r->memory, 1024, 5);
	for (unsigned n = 2; n <= 9; n++) {
		for (unsigned i = 0; i < n; i++)
			frags[i] = (struct sl_frag){r->memory + i * 20, 20, 7, 0};
		entry(r, r->memory, 20);
		sl_ring_room(r->tx, &at);
		assert_int_equal(sl_ring_chain(r->tx, at, frags, n), 0);
		sends(r, r->memory, n * 20, n == 9 ? 1 : n, n == 9);
	}
	frags[1].len = 0; /* an empty one has no descriptor */
	frags[2].addr = r->memory + 20;
	entry(r, r->memory, 20);
	sl_ring_room(r->tx, &at);
	assert_int_equal(sl_ring_chain(r->tx, at, frags, 3), 0);
	sends(r, r->memory, 40, 1, true);
	rig_free(r);
}

static void dropped(struct rig *r, enum sl_drop reason)
{
	uint64_t before = stats(r).tx.drops[reason];

	sl_ring_post(r->tx, 1);
	assert_int_equal(tx(r), 1);
	assert_int_equal(sl_ring_in_flight(r->tx), 0);
	assert_int_equal(fake_send(&r->f, 0, UINT32_MAX), 0);
	assert_int_equal(stats(r).tx.drops[reason], before + 1);
}

static void test_lengths(void **state)
{
	static const uint8_t padded[17] = {9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9};
	struct rig *r = rig();
	struct sl_frag frags[2] = {{r->memory, 100, 7, 0}, {r->memory, UINT32_MAX - 50, 7, 0}};
	uint32_t at;

	(void)state;
	memset(r->memory, 9, 4096);
	for (unsigned n = 0; n < E1000E_RING;
	     n++) { /* what a copy leaves behind is not sent again */
		entry(r, r->memory, 64)->frag.region = 8;
		sends(r, r->memory, 64, 1, true);
	}
	entry(r, r->memory, 14);
	sends(r, padded, 17, 1, true);
	entry(r, r->memory, 1518);
	sends(r, r->memory, 1518, 1, false);
	entry(r, r->memory, 13);
	dropped(r, SL_DROP_MALFORMED);
	entry(r, r->memory, 0);
	dropped(r, SL_DROP_MALFORMED);
	entry(r, r->memory, 1519);
	dropped(r, SL_DROP_TOO_LARGE);
	entry(r, r->memory, UINT32_MAX);
	dropped(r, SL_DROP_TOO_LARGE);
	entry(r, r->memory, 100);
	sl_ring_room(r->tx, &at);
	assert_int_equal(sl_ring_chain(r->tx, at, frags, 2), 0);
	dropped(r, SL_DROP_TOO_LARGE);
	rig_free(r);
}

static struct sl_packet *entry_csum(struct rig *r, uint16_t start, uint16_t offset, uint8_t gso)
{
	struct sl_packet *packet = entry(r, r->memory, 400);
	uint32_t at;

	sl_ring_room(r->tx, &at);
	packet->flags = SL_PACKET_OFFLOAD;
	*sl_ring_offload(r->tx, at) = (struct sl_offload){
		.flags = SL_OFFLOAD_NEEDS_CSUM,
		.gso_type = gso,
		.csum_start = start,
		.csum_offset = offset,
	};
	return packet;
}

static void test_checksums(void **state)
{
	struct rig *r = rig();

	(void)state;
	entry_csum(r, 0, 0, 0); /* even this is told the first time */
	sends(r, r->memory, 400, 1, false);
	assert_int_equal(r->f.contexts, 1);
	r->f.contexts = 0;
	entry_csum(r, 34, 16, 0);
	sends(r, r->memory, 400, 1, false);
	assert_true(r->f.sums);
	assert_int_equal(r->f.contexts, 1);
	assert_true(r->f.context_low == (34ull << 32 | 50ull << 40));
	assert_true(r->f.context_high == (1ull << 29 | 1ull << 24));
	entry_csum(r, 34, 16, 0); /* the device remembers */
	sends(r, r->memory, 400, 1, false);
	assert_int_equal(r->f.contexts, 1);
	entry_csum(r, 34, 6, 0);
	sends(r, r->memory, 400, 1, false);
	assert_int_equal(r->f.contexts, 2);
	assert_true(r->f.context_high == 1ull << 29);
	entry(r, r->memory, 400);
	sends(r, r->memory, 400, 1, false);
	assert_false(r->f.sums);
	entry_csum(r, 239, 16, 0);
	sends(r, r->memory, 400, 1, false);
	entry_csum(r, 240, 16, 0); /* 8 bits */
	dropped(r, SL_DROP_UNSUPPORTED);
	entry_csum(r, 65535, 65535, 0);
	dropped(r, SL_DROP_MALFORMED);
	entry_csum(r, 34, 16, 0)->frag.len = 52;
	sends(r, r->memory, 52, 1, false);
	entry_csum(r, 34, 16, 0)->frag.len = 51; /* it would lie behind the packet */
	dropped(r, SL_DROP_MALFORMED);
	entry_csum(r, 34, 16, SL_GSO_TCPV4);
	dropped(r, SL_DROP_UNSUPPORTED);
	rig_free(r);
}

/* Two receive queues of the other port may end at one of ours. */
static void test_two_rings(void **state)
{
	const struct sl_ring_config config = {RING, 64, -1, -1};
	struct rig *r = rig();
	struct sl_ring *other, *first = r->tx;

	(void)state;
	assert_int_equal(sl_ring_create(&config, &other), 0);
	give(r, r->memory, FRAME);
	assert_int_equal(tx(r), 1);
	r->tx = other;
	give(r, r->memory, FRAME);
	assert_int_equal(tx(r), 1);
	assert_int_equal(fake_send(&r->f, 0, UINT32_MAX), 2);
	assert_int_equal(tx(r), 0); /* the other one's turn */
	assert_int_equal(r->port->ops->arm(r->port, 0, SL_PORT_TX), SL_PORT_READY);
	r->tx = first;
	assert_int_equal(tx(r), 1);
	assert_int_equal(sl_ring_in_flight(first), 0);
	r->tx = other;
	assert_int_equal(tx(r), 1);
	assert_int_equal(sl_ring_in_flight(other), 0);
	r->tx = first;
	sl_ring_release(other);
	rig_free(r);
}

static void test_carrier(void **state)
{
	struct rig *r = rig_new();

	(void)state;
	r->f.no_link = true;
	rig_open(r, 1);
	entry(r, r->memory, FRAME);
	dropped(r, SL_DROP_DOWN);
	assert_int_equal(r->port->ops->control(r->port, 1), 0);
	*fake_reg(&r->f, STATUS) = STATUS_LU;
	fake_cause(&r->f, CAUSE_LSC | CAUSE_OTHER, CAUSE_LSC);
	assert_true(readable(r->port->ops->control_fd(r->port)));
	assert_int_equal(r->port->ops->control(r->port, 2), 0);
	assert_false(readable(r->port->ops->control_fd(r->port)));
	assert_int_equal(*fake_reg(&r->f, ICR) & (CAUSE_LSC | CAUSE_OTHER), 0);
	entry(r, r->memory, FRAME);
	sends(r, r->memory, FRAME, 1, false);
	rig_free(r);
}

static void set_link(struct rig *r, bool up)
{
	r->f.no_link = !up;
	*fake_reg(&r->f, STATUS) = up ? STATUS_LU : 0;
	fake_cause(&r->f, CAUSE_LSC | CAUSE_OTHER, CAUSE_LSC);
	assert_int_equal(r->port->ops->control(r->port, 2), 0);
}

/* What it has when the link goes down is not kept from its owner until it comes back. */
static void test_carrier_lost(void **state)
{
	struct rig *r = rig();
	struct sl_port_info info;
	int fd = r->port->ops->fd(r->port, 0, SL_PORT_TX);
	uint32_t at;

	(void)state;
	for (unsigned n = 0; n < 3; n++)
		receive(r, 60, n, 0);
	assert_int_equal(rx(r), 3);
	for (unsigned n = 0; n < 40; n++)
		receive(r, 60, n, 0); /* in the device's ring, and lost with it */
	for (unsigned n = 0; n < 5; n++)
		give(r, r->memory + n * 64, FRAME);
	assert_int_equal(tx(r), 5);
	assert_int_equal(r->port->ops->arm(r->port, 0, SL_PORT_TX), POLLIN);
	assert_false(readable(fd));
	set_link(r, false);
	assert_true(readable(fd));
	give(r, r->memory, FRAME);
	assert_int_equal(tx(r), -ENODEV);
	assert_non_null(strstr(sl_reason(), "link went down"));
	assert_int_equal(stats(r).tx.drops[SL_DROP_DOWN], 1);
	r->port->ops->stop(r->port);
	sl_ring_abandon(r->tx); /* as the link does */
	assert_int_equal(r->port->ops->deadline(r->port), 0);
	assert_int_equal(r->port->ops->control(r->port, 3), 1);
	assert_int_equal(r->port->ops->control(r->port, 4), 0);
	r->port->ops->info(r->port, &info);
	assert_true(info.attached);
	assert_int_equal(r->f.closed, 0);
	assert_int_equal(sl_ring_ready(r->rx, &at), 3); /* lent still */
	entry(r, r->memory, FRAME);
	dropped(r, SL_DROP_DOWN);
	set_link(r, true);
	assert_int_equal(consume(r), 3);
	for (unsigned n = 0; n < 1000; n++) { /* no buffer was lost, none is there twice */
		receive(r, 60, n, 0);
		assert_int_equal(rx(r), 1);
		assert_int_equal(consume(r), 1);
	}
	assert_int_equal(rx(r), 0);
	assert_int_equal(r->f.missed, 0);
	assert_int_equal(r->f.unknown, 0);
	assert_int_equal(((struct nic *)(void *)r->port)->pools[0].n_free +
				 (*fake_reg(&r->f, RDT) - *fake_reg(&r->f, RDH)) % E1000E_RING,
			 E1000E_RING + SL_LINK_RING_MAX + 32);
	entry_csum(r, 34, 16, 0);
	sends(r, r->memory, 400, 1, false);
	assert_int_equal(r->f.contexts, 1);
	r->port->ops->stop(r->port); /* another time it is for good */
	assert_int_equal(*fake_reg(&r->f, RCTL) & RCTL_EN, 0);
	rig_free(r);
}

/* It is asked back while the link takes it for stopped. */
static void test_carrier_lost_and_gone(void **state)
{
	struct rig *r = rig();

	(void)state;
	give(r, r->memory, FRAME);
	assert_int_equal(tx(r), 1);
	set_link(r, false);
	assert_int_equal(tx(r), -ENODEV);
	r->port->ops->stop(r->port);
	sl_ring_abandon(r->tx);
	sl_event_signal(r->f.event);
	assert_int_equal(r->port->ops->control(r->port, 3), -ENODEV);
	assert_int_equal(r->f.config[4] & 4, 0);
	assert_int_equal(r->port->ops->control(r->port, 4), 0);
	assert_int_equal(r->f.closed, 1);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),	     cmocka_unit_test(test_info),
		cmocka_unit_test(test_refused),	     cmocka_unit_test(test_receive),
		cmocka_unit_test(test_sums),	     cmocka_unit_test(test_lent),
		cmocka_unit_test(test_all_lent),     cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_missed),	     cmocka_unit_test(test_send),
		cmocka_unit_test(test_full),	     cmocka_unit_test(test_reach),
		cmocka_unit_test(test_rights),	     cmocka_unit_test(test_chains),
		cmocka_unit_test(test_lengths),	     cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_two_rings),    cmocka_unit_test(test_carrier),
		cmocka_unit_test(test_carrier_lost), cmocka_unit_test(test_carrier_lost_and_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
