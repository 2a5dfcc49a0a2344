/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets between rings and the queues of a network device: a fake one, in plain memory, where an
 * IOVA is a pointer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sluice/reason.h>

#include "fake_virtio_net.h"
#include "port/nic/virtio_queue.h"

#define QUEUE	8u  /* descriptors */
#define BUFFERS 20u /* fewer than a NIC has, so that they run out */
#define RING	16u
#define REGION	7u

static struct fake_virtio_net fake;
static struct nic nic;
static struct virtio_rx rx;
static struct virtio_tx tx;
static struct fake_virtq *device; /* of the queue that is looked at */
static struct sl_ring *ring;
static void *queue_memory;
static uint8_t *pool_memory, *slots, *lent;

#define LENT_LEN 65536u

/* As big as the layout says, for ASan to see what is touched behind it. */
static void open_queue(struct virtq_driver *vq, uint16_t queue, bool event_idx)
{
	size_t len = sl_virtq_layout(QUEUE, false).len;
	struct virtq_options options = {.size = QUEUE, .event_idx = event_idx};
	struct virtio_queue setup = {.size = QUEUE};

	queue_memory = calloc(1, len);
	assert_non_null(queue_memory);
	setup.desc.value = (uintptr_t)queue_memory;
	assert_int_equal(sl_virtq_open(vq, &options, queue_memory), 0);
	fake.virtio.ops->queue_enable(&fake.virtio, queue, &setup);
	device = &fake.queues[queue];
}

static void open_ring(uint32_t size, uint32_t frags)
{
	assert_int_equal(sl_ring_create(&(struct sl_ring_config){size, frags, -1, -1}, &ring), 0);
}

static void open_rx(uint64_t offers, uint32_t frags)
{
	struct nic_pool *pool = &nic.pools[0];

	fake = fake_net();
	fake.offers = offers;
	assert_int_equal(sl_virtio_net_start(&fake.virtio, 0), 0);
	rx = (struct virtio_rx){.v = &fake.virtio, .queue = 0, .pool = pool};
	open_queue(&rx.vq, 0, offers & VIRTIO_BIT(VIRTIO_F_EVENT_IDX));
	pool_memory = calloc(BUFFERS, NIC_STRIDE);
	*pool = (struct nic_pool){.region = REGION};
	pool->free = calloc(BUFFERS, sizeof(*pool->free));
	pool->buffers = calloc(BUFFERS, sizeof(*pool->buffers));
	for (unsigned i = 0; i < BUFFERS; i++) {
		pool->buffers[i].data = pool_memory + i * NIC_STRIDE + NIC_HEADROOM;
		pool->buffers[i].iova.value = (uintptr_t)pool->buffers[i].data;
		pool->free[pool->n_free++] = (uint16_t)i;
	}
	assert_int_equal(sl_virtio_rx_open(&rx, QUEUE, BUFFERS), 0);
	open_ring(RING, frags);
	sl_virtio_rx_start(&rx);
}

static void close_rx(void)
{
	sl_virtio_rx_close(&rx);
	sl_ring_release(ring);
	free(nic.pools[0].free);
	free(nic.pools[0].buffers);
	free(pool_memory);
	free(queue_memory);
}

#define ALL UINT64_MAX

/* A packet as the device gives it: header and bytes that follow from @seed. */
static uint8_t wire[70000];

static const uint8_t *make(struct virtio_net_hdr_v1 hdr, uint32_t len, uint8_t seed)
{
	memcpy(wire, &hdr, sizeof(hdr));
	for (uint32_t i = 0; i < len; i++)
		wire[sizeof(hdr) + i] = (uint8_t)(seed + i * 7);
	return wire;
}

static void give(uint32_t len, uint8_t seed)
{
	struct virtio_net_hdr_v1 hdr = {.num_buffers = 1};

	assert_true(fake_receive(device, make(hdr, len, seed), VIRTIO_NET_HDR_LEN + len));
}

/* Over as many buffers as it takes. Returns how many. */
static unsigned give_large(uint32_t len, uint8_t seed, struct virtio_net_hdr_v1 hdr)
{
	const uint32_t room = NIC_ROOM + VIRTIO_NET_HDR_LEN;
	uint32_t total = len + VIRTIO_NET_HDR_LEN;

	hdr.num_buffers = (uint16_t)((total + room - 1) / room);
	make(hdr, len, seed);
	for (uint32_t at = 0; at < total; at += room)
		assert_true(fake_receive(device, wire + at, sl_min(room, total - at)));
	return hdr.num_buffers;
}

static void assert_packet(uint32_t at, uint32_t len, uint8_t seed)
{
	struct sl_packet *packet = sl_ring_packet(ring, at);
	uint32_t n = 0;

	assert_int_equal(sl_ring_packet_len(ring, packet), len);
	for (unsigned i = 0; i <= packet->more; i++) {
		struct sl_frag *frag = sl_ring_frag(ring, packet, i);

		assert_int_equal(frag->region, REGION);
		for (uint32_t b = 0; b < frag->len; b++, n++)
			assert_int_equal(frag->addr[b], (uint8_t)(seed + n * 7));
	}
}

static int receive(void)
{
	return sl_virtio_rx(&rx, ring);
}

static uint32_t ready(uint32_t *at)
{
	return sl_ring_ready(ring, at);
}

static void test_rx(void **state)
{
	uint32_t at;

	(void)state;
	open_rx(ALL, 1024);
	assert_int_equal(fake.notified[0], 1);
	assert_int_equal(receive(), 0);
	for (unsigned round = 0; round < 50; round++) {
		fake_virtq_listen(device, true);
		fake.notified[0] = 0;
		for (unsigned i = 0; i < 5; i++)
			give(60 + 300 * i, (uint8_t)(round + i));
		assert_int_equal(receive(), 5);
		assert_int_equal(fake.notified[0], 1); /* for five new buffers */
		assert_int_equal(sl_virtq_in_flight(&rx.vq), QUEUE);
		assert_int_equal(ready(&at), 5);
		for (unsigned i = 0; i < 5; i++) {
			assert_packet(at + i, 60 + 300 * i, (uint8_t)(round + i));
			assert_int_equal(sl_ring_packet(ring, at + i)->flags, SL_PACKET_WRITABLE);
			assert_int_equal(sl_ring_packet(ring, at + i)->headroom, NIC_HEADROOM);
		}
		sl_ring_consume(ring, 5);
	}
	assert_int_equal(rx.count.packets, 250);
	assert_int_equal(rx.count.bytes, 50 * (5 * 60 + 300 * 10));
	close_rx();
}

/* What is lent is not given to the device: it writes to all it has, and no packet changes. */
static void test_rx_lends(void **state)
{
	struct fake_chain chain;
	uint32_t at;

	(void)state;
	open_rx(ALL, 1024);
	for (unsigned i = 0; i < 6; i++)
		give(1500, (uint8_t)i);
	assert_int_equal(receive(), 6);
	while (fake_virtq_pop(device, &chain))
		memset(chain.elems[0].at, 0xee, chain.elems[0].len);
	assert_int_equal(ready(&at), 6);
	for (unsigned i = 0; i < 6; i++)
		assert_packet(at + i, 1500, (uint8_t)i);
	close_rx();
}

/* All buffers that are posted, to the last byte, and the rooms around them, are one buffer's. */
static void test_rx_bounds(void **state)
{
	struct fake_chain chain;

	(void)state;
	open_rx(ALL, 1024);
	while (fake_virtq_pop(device, &chain)) {
		size_t at = (size_t)(chain.elems[0].at - pool_memory) % NIC_STRIDE;

		assert_int_equal(at, NIC_HEADROOM - VIRTIO_NET_HDR_LEN);
		assert_true(at + chain.elems[0].len + NIC_TAILROOM <= NIC_STRIDE);
	}
	close_rx();
}

static void test_rx_offload(void **state)
{
	struct virtio_net_hdr_v1 hdr = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					.gso_type = SL_GSO_TCPV4,
					.gso_size = 1448,
					.csum_start = 34,
					.csum_offset = 16};
	uint32_t at;

	(void)state;
	open_rx(ALL ^ VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6), 1024);
	give_large(1000, 1, hdr);
	hdr.gso_type = SL_GSO_TCPV6; /* not negotiated */
	give_large(1000, 2, hdr);
	give(1000, 3);
	assert_int_equal(receive(), 3);
	assert_int_equal(ready(&at), 2);
	assert_true(sl_ring_packet(ring, at)->flags & SL_PACKET_OFFLOAD);
	assert_int_equal(sl_ring_offload(ring, at)->gso_size, 1448);
	assert_packet(at + 1, 1000, 3);
	assert_false(sl_ring_packet(ring, at + 1)->flags & SL_PACKET_OFFLOAD);
	assert_int_equal(rx.count.drops[SL_DROP_MALFORMED], 1);
	close_rx();
}

static void test_rx_mergeable(void **state)
{
	const struct virtio_net_hdr_v1 hdr = {0};
	uint32_t at;

	(void)state;
	open_rx(ALL, 1024);
	for (unsigned round = 0; round < 40; round++) {
		assert_int_equal(give_large(9000, (uint8_t)round, hdr), 5);
		give(60, 9);
		assert_int_equal(receive(), 2);
		assert_int_equal(ready(&at), 2);
		assert_int_equal(sl_ring_packet(ring, at)->more, 4);
		assert_packet(at, 9000, (uint8_t)round);
		assert_packet(at + 1, 60, 9);
		sl_ring_consume(ring, 2);
	}
	receive();
	assert_int_equal(nic.pools[0].n_free, BUFFERS - QUEUE); /* none was lost */
	close_rx();
}

static void broken(uint16_t num_buffers, unsigned given, const char *why)
{
	struct virtio_net_hdr_v1 hdr = {.num_buffers = num_buffers};

	open_rx(ALL, 1024);
	for (unsigned i = 0; i < given; i++)
		assert_true(fake_receive(device, make(hdr, 60, 0), 72));
	assert_int_equal(receive(), -ENODEV);
	assert_non_null(strstr(sl_reason(), why));
	assert_int_equal(receive(), -ENODEV);
	sl_virtio_rx_forget(&rx); /* none is lost */
	assert_int_equal(nic.pools[0].n_free, BUFFERS);
	close_rx();
}

static void test_rx_num_buffers_lies(void **state)
{
	(void)state;
	broken(0, 1, "cannot be");
	broken(SL_PACKET_FRAGS_MAX + 1, QUEUE, "cannot be");
	broken(UINT16_MAX, QUEUE, "cannot be");
	broken(3, 2, "not all there");
	broken(SL_PACKET_FRAGS_MAX, QUEUE, "not all there");
}

/* Without VIRTIO_NET_F_MRG_RXBUF nobody looks at num_buffers. */
static void test_rx_not_mergeable(void **state)
{
	struct virtio_net_hdr_v1 hdr = {.num_buffers = 9};
	uint32_t at;

	(void)state;
	open_rx(~VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF), 1024);
	assert_true(fake_receive(device, make(hdr, 60, 5), 72));
	assert_int_equal(receive(), 1);
	assert_int_equal(ready(&at), 1);
	assert_packet(at, 60, 5);
	close_rx();
}

static void test_rx_short(void **state)
{
	uint32_t at;

	(void)state;
	open_rx(ALL, 1024);
	for (uint32_t len = 0; len <= VIRTIO_NET_HDR_LEN; len += 4)
		assert_true(fake_receive(device, make((struct virtio_net_hdr_v1){0}, 0, 0), len));
	assert_int_equal(receive(), 4);
	assert_int_equal(ready(&at), 0);
	assert_int_equal(rx.count.drops[SL_DROP_MALFORMED], 4);
	assert_int_equal(rx.count.packets, 0);
	assert_int_equal(rx.vq.n_free + nic.pools[0].n_free, BUFFERS - QUEUE); /* all are back */
	close_rx();
}

/* A malformed packet in several buffers gives all of them back. */
static void test_rx_malformed_large(void **state)
{
	const struct virtio_net_hdr_v1 hdr = {.gso_type = 99};

	(void)state;
	open_rx(ALL, 1024);
	give_large(9000, 0, hdr);
	assert_int_equal(receive(), 1);
	assert_int_equal(rx.count.drops[SL_DROP_MALFORMED], 1);
	assert_int_equal(sl_virtq_in_flight(&rx.vq), QUEUE);
	assert_int_equal(nic.pools[0].n_free, BUFFERS - QUEUE);
	close_rx();
}

static void test_rx_longer_than_buffer(void **state)
{
	(void)state;
	open_rx(ALL, 1024);
	assert_true(fake_receive(device, wire, NIC_ROOM + VIRTIO_NET_HDR_LEN + 1));
	assert_int_equal(receive(), -ENODEV);
	assert_non_null(strstr(sl_reason(), "longer than its buffer"));
	close_rx();
}

/* All buffers are lent: who waits must wait for the ring, as the device has nothing to fill. */
static void test_rx_starves(void **state)
{
	const struct virtio_net_hdr_v1 hdr = {0};
	uint32_t at;

	(void)state;
	open_rx(ALL, 1024);
	for (unsigned i = 0; i < 3; i++) {
		give_large(9000, (uint8_t)i, hdr);
		assert_int_equal(receive(), 1);
	}
	assert_int_equal(sl_virtq_in_flight(&rx.vq), BUFFERS - 15);
	assert_int_equal(receive(), -ENOBUFS);
	assert_int_equal(ready(&at), 3);
	assert_packet(at, 9000, 0);
	sl_ring_consume(ring, 1);
	assert_int_equal(receive(), 0);
	assert_int_equal(sl_virtq_in_flight(&rx.vq), QUEUE);
	give_large(9000, 3, hdr);
	assert_int_equal(receive(), 1);
	sl_ring_consume(ring, ready(&at));
	assert_int_equal(ready(&at), 1);
	assert_packet(at, 9000, 3);
	close_rx();
}

/* The ring has no room for fragments: nothing is taken from the device that could not be posted. */
static void test_rx_no_frag_room(void **state)
{
	const struct virtio_net_hdr_v1 hdr = {0};
	uint32_t at;

	(void)state;
	open_rx(ALL, 64);
	give_large(5000, 1, hdr);
	give(60, 3);
	assert_int_equal(receive(), 1);
	assert_int_equal(receive(), -ENOBUFS);
	assert_int_equal(ready(&at), 1);
	sl_ring_consume(ring, 1);
	assert_int_equal(receive(), 1);
	assert_int_equal(ready(&at), 1);
	assert_packet(at, 60, 3);
	close_rx();
}

static void test_rx_ring_full(void **state)
{
	uint32_t at;

	(void)state;
	open_rx(ALL, 1024);
	sl_ring_release(ring);
	open_ring(4, 64);
	for (unsigned i = 0; i < 7; i++)
		give(60, (uint8_t)i);
	assert_int_equal(receive(), 4);
	assert_int_equal(receive(), 0);
	assert_int_equal(ready(&at), 4);
	sl_ring_consume(ring, 4);
	assert_int_equal(receive(), 3);
	assert_int_equal(ready(&at), 3);
	assert_packet(at, 60, 4);
	close_rx();
}

/*
 * Sending.
 */

static struct sl_packet *post_at; /* what post() made last */

static void open_tx(uint64_t offers)
{
	fake = fake_net();
	fake.offers = offers;
	assert_int_equal(sl_virtio_net_start(&fake.virtio, 0), 0);
	nic = (struct nic){.n_reached = 1};
	lent = calloc(1, LENT_LEN);
	slots = calloc(QUEUE, NIC_STRIDE);
	nic.reached[0] = (struct nic_reached){REGION, (uintptr_t)lent, LENT_LEN, {(uintptr_t)lent}};
	tx = (struct virtio_tx){.v = &fake.virtio, .nic = &nic, .queue = 1, .slots = slots};
	open_queue(&tx.vq, 1, offers & VIRTIO_BIT(VIRTIO_F_EVENT_IDX));
	assert_int_equal(sl_virtio_tx_open(&tx, QUEUE), 0);
	for (unsigned i = 0; i < QUEUE; i++)
		tx.slot_iova[i].value = (uintptr_t)slots + i * NIC_STRIDE;
	open_ring(RING, 64);
}

static void close_tx(void)
{
	sl_virtio_tx_close(&tx);
	sl_ring_release(ring);
	free(slots);
	free(lent);
	free(queue_memory);
}

/* One packet of @n fragments of @len bytes, from @at of the lent memory on. */
static void post_frags(uint32_t at, unsigned n, uint32_t len, uint8_t flags, uint16_t region)
{
	struct sl_frag frags[SL_PACKET_FRAGS_MAX];
	uint32_t entry;

	assert_true(sl_ring_room(ring, &entry) > 0);
	for (unsigned i = 0; i < n; i++) {
		frags[i] = (struct sl_frag){lent + at + i * len, len, region, 0};
		for (uint32_t b = 0; b < len; b++)
			frags[i].addr[b] = (uint8_t)((i * len + b) * 3 + n);
	}
	post_at = sl_ring_packet(ring, entry);
	*post_at = (struct sl_packet){
		.frag = frags[0], .flags = flags, .headroom = VIRTIO_NET_HDR_LEN};
	if (n > 1)
		assert_int_equal(sl_ring_chain(ring, entry, frags, n), 0);
	sl_ring_post(ring, 1);
}

static int transmit(void)
{
	return sl_virtio_tx(&tx, ring, true);
}

static uint32_t returned(void)
{
	uint32_t at, n = sl_ring_returned(ring, &at);

	sl_ring_reclaim(ring, n);
	return n;
}

/* The device's next packet: as it was posted, with an empty header. */
static uint16_t assert_sent(unsigned descs, unsigned n, uint32_t len, bool empty)
{
	static const uint8_t none[VIRTIO_NET_HDR_LEN];
	struct fake_chain chain = {0};
	uint32_t total = 0;

	assert_true(fake_virtq_pop(device, &chain));
	assert_int_equal(chain.n, descs);
	assert_int_equal(chain.n_read, descs);
	for (unsigned i = 0; i < descs; i++) {
		memcpy(wire + total, chain.elems[i].at, chain.elems[i].len);
		total += chain.elems[i].len;
	}
	assert_int_equal(total, VIRTIO_NET_HDR_LEN + n * len);
	if (empty)
		assert_memory_equal(wire, none, sizeof(none));
	for (uint32_t b = 0; b < n * len; b++)
		assert_int_equal(wire[VIRTIO_NET_HDR_LEN + b], (uint8_t)(b * 3 + n));
	return chain.head;
}

/* The header lies before the packet where that may be written, else in memory of the queue's. */
static void test_tx(void **state)
{
	(void)state;
	open_tx(ALL);
	post_frags(1000, 1, 60, SL_PACKET_WRITABLE, REGION);
	post_frags(2000, 1, 1500, 0, REGION);
	post_frags(4000, 2, 100, 0, REGION);
	assert_int_equal(transmit(), 3);
	assert_int_equal(fake.notified[1], 1); /* for three */
	fake_virtq_push(device, assert_sent(1, 1, 60, true), 0);
	fake_virtq_push(device, assert_sent(2, 1, 1500, true), 0);
	assert_int_equal(returned(), 0);
	assert_int_equal(transmit(), 2);
	assert_int_equal(returned(), 2);
	fake_virtq_push(device, assert_sent(3, 2, 100, true), 0);
	assert_int_equal(transmit(), 1);
	assert_int_equal(returned(), 1);
	assert_int_equal(transmit(), 0);
	assert_int_equal(fake.notified[1], 1);
	assert_int_equal(tx.count.packets, 3);
	assert_int_equal(tx.count.bytes, 60 + 1500 + 200);
	assert_int_equal(tx.count.copied, 0);
	close_tx();
}

/* Not before the region begins, though the packet says that there is room. */
static void test_tx_header_outside(void **state)
{
	(void)state;
	open_tx(ALL);
	post_frags(VIRTIO_NET_HDR_LEN - 1, 1, 60, SL_PACKET_WRITABLE, REGION);
	post_frags(1000, 1, 60, SL_PACKET_WRITABLE, REGION);
	post_at->headroom--;
	assert_int_equal(transmit(), 2);
	assert_sent(2, 1, 60, false);
	assert_sent(2, 1, 60, false);
	close_tx();
}

/* QEMU breaks a queue in which an element has no bytes; other ports' packets may have such. */
static void test_tx_empty_frags(void **state)
{
	struct sl_frag frags[3] = {{0}};
	uint32_t entry;

	(void)state;
	open_tx(ALL);
	for (unsigned empty = 0; empty < 3; empty++) {
		for (unsigned i = 0; i < 3; i++)
			frags[i] = (struct sl_frag){lent + 64 * i, i == empty ? 0 : 60, REGION, 0};
		for (unsigned b = 0; b < 60; b++) {
			frags[empty == 0 ? 1 : 0].addr[b] = (uint8_t)(b * 3 + 1);
			frags[empty == 2 ? 1 : 2].addr[b] = (uint8_t)((60 + b) * 3 + 1);
		}
		assert_true(sl_ring_room(ring, &entry) > 0);
		*sl_ring_packet(ring, entry) = (struct sl_packet){.frag = frags[0]};
		assert_int_equal(sl_ring_chain(ring, entry, frags, 3), 0);
		sl_ring_post(ring, 1);
		assert_int_equal(transmit(), 1);
		fake_virtq_push(device, assert_sent(1, 1, 120, true), 0);
		assert_int_equal(transmit(), 1);
		assert_int_equal(returned(), 1);
	}
	close_tx();
}

static void test_tx_offload(void **state)
{
	struct virtio_net_hdr_v1 hdr;
	uint32_t entry;

	(void)state;
	open_tx(ALL);
	sl_ring_room(ring, &entry);
	post_frags(1000, 1, 4000, SL_PACKET_WRITABLE | SL_PACKET_OFFLOAD, REGION);
	*sl_ring_offload(ring, entry) = (struct sl_offload){
		.flags = SL_OFFLOAD_NEEDS_CSUM | SL_OFFLOAD_DATA_VALID,
		.gso_type = SL_GSO_TCPV4,
		.hdr_len = 66,
		.gso_size = 1000,
		.csum_start = 34,
		.csum_offset = 16,
	};
	assert_int_equal(transmit(), 1);
	assert_sent(1, 1, 4000, false);
	memcpy(&hdr, wire, sizeof(hdr));
	assert_int_equal(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(hdr.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(hdr.gso_size, 1000);
	assert_int_equal(hdr.csum_start, 34);
	close_tx();
}

static void test_tx_any_order(void **state)
{
	uint16_t heads[4];

	(void)state;
	open_tx(ALL);
	for (unsigned i = 0; i < 4; i++)
		post_frags(1000 + 100 * i, 1, 60, SL_PACKET_WRITABLE, REGION);
	assert_int_equal(transmit(), 4);
	for (unsigned i = 0; i < 4; i++)
		heads[i] = assert_sent(1, 1, 60, true);
	fake_virtq_push(device, heads[2], 0);
	fake_virtq_push(device, heads[1], 0);
	assert_int_equal(transmit(), 2);
	assert_int_equal(returned(), 0);
	fake_virtq_push(device, heads[0], 0);
	assert_int_equal(transmit(), 1);
	assert_int_equal(returned(), 3);
	close_tx();
}

/* More than the queue holds waits, and goes on where it was. */
static void test_tx_queue_full(void **state)
{
	uint16_t head;

	(void)state;
	open_tx(ALL);
	for (unsigned i = 0; i < 5; i++)
		post_frags(1000 * i, 1, 60, 0, REGION); /* two descriptors each */
	assert_int_equal(transmit(), 4);
	assert_int_equal(transmit(), 0);
	head = assert_sent(2, 1, 60, true);
	fake_virtq_push(device, head, 0);
	assert_int_equal(transmit(), 2); /* one finished, one taken */
	for (unsigned i = 0; i < 4; i++)
		assert_sent(2, 1, 60, true);
	assert_int_equal(tx.count.packets, 5);
	close_tx();
}

/* What the device does not reach is copied, and given back at once. */
static void test_tx_copies(void **state)
{
	(void)state;
	open_tx(ALL);
	post_frags(1000, 1, 60, 0, REGION + 1);				/* nobody's region */
	post_frags(LENT_LEN - 200, 2, 100, SL_PACKET_WRITABLE, REGION); /* the end of one */
	nic.reached[0].len--;						/* but for a byte */
	assert_int_equal(transmit(), 2);
	assert_int_equal(returned(), 2);
	memset(lent, 0xee, LENT_LEN);
	fake_virtq_push(device, assert_sent(1, 1, 60, true), 0);
	fake_virtq_push(device, assert_sent(1, 2, 100, true), 0);
	assert_int_equal(transmit(), 2);
	assert_int_equal(tx.count.copied, 2);
	/* A large one, into the slots of several descriptors; and the edges of one. */
	for (unsigned n = 1; n <= 4; n++) {
		post_frags(0, n, NIC_STRIDE - VIRTIO_NET_HDR_LEN, 0, REGION + 1);
		assert_int_equal(transmit(), 1);
		fake_virtq_push(device, assert_sent(n, n, NIC_STRIDE - VIRTIO_NET_HDR_LEN, true),
				0);
		assert_int_equal(transmit(), 1);
		post_frags(0, 1, n * NIC_STRIDE - VIRTIO_NET_HDR_LEN + 1, 0, REGION + 1);
		assert_int_equal(transmit(), 1);
		fake_virtq_push(
			device,
			assert_sent(n + 1, 1, n * NIC_STRIDE - VIRTIO_NET_HDR_LEN + 1, true), 0);
		assert_int_equal(transmit(), 1);
		assert_int_equal(returned(), 2);
	}
	close_tx();
}

/* Copies lie in the slots of their own descriptors, also when those are not in a row. */
static void test_tx_copies_apart(void **state)
{
	uint16_t heads[3], large, small;

	(void)state;
	open_tx(ALL);
	for (unsigned i = 0; i < 3; i++)
		post_frags(100 * i, 1, 60, 0, REGION + 1);
	assert_int_equal(transmit(), 3);
	for (unsigned i = 0; i < 3; i++)
		heads[i] = assert_sent(1, 1, 60, true);
	fake_virtq_push(device, heads[0], 0);
	fake_virtq_push(device, heads[2], 0);
	assert_int_equal(transmit(), 2);
	post_frags(0, 1, 5000, 0, REGION + 1);
	assert_int_equal(transmit(), 1);
	post_frags(0, 2, 900, 0, REGION + 1);
	assert_int_equal(transmit(), 1);
	large = assert_sent(3, 1, 5000, true);
	small = assert_sent(1, 2, 900, true);
	assert_true(large != small && large != heads[1] && small != heads[1]);
	close_tx();
}

/* Lent and copied ones in one burst: the ring gets all of them back, in order. */
static void test_tx_mixed(void **state)
{
	uint16_t heads[5];

	(void)state;
	open_tx(ALL);
	for (unsigned i = 0; i < 5; i++)
		post_frags(1000 + 100 * i, 1, 60, SL_PACKET_WRITABLE, (uint16_t)(REGION + i % 2));
	assert_int_equal(transmit(), 5);
	assert_int_equal(sl_ring_broken(ring), SL_RING_NEITHER);
	for (unsigned i = 0; i < 5; i++)
		heads[i] = assert_sent(1, 1, 60, true);
	assert_int_equal(returned(), 0);
	fake_virtq_push(device, heads[0], 0);
	assert_int_equal(transmit(), 1);
	assert_int_equal(returned(), 2); /* and the copied one behind it */
	for (unsigned i = 1; i < 5; i++)
		fake_virtq_push(device, heads[i], 0);
	assert_int_equal(transmit(), 4);
	assert_int_equal(returned(), 3);
	assert_int_equal(tx.count.copied, 2);
	close_tx();
}

static void test_tx_never_fits(void **state)
{
	(void)state;
	open_tx(ALL);
	post_frags(0, QUEUE, 64, 0, REGION);		     /* and the header: one too many */
	post_frags(0, 1, QUEUE * NIC_STRIDE, 0, REGION + 1); /* the same by copying */
	post_frags(0, QUEUE - 1, 64, 0, REGION);
	assert_int_equal(transmit(), 3);
	assert_sent(QUEUE, QUEUE - 1, 64, true);
	assert_int_equal(tx.count.drops[SL_DROP_NO_BUFFER], 2);
	assert_int_equal(tx.count.packets, 1);
	assert_int_equal(returned(), 2);
	close_tx();
}

static void test_tx_link_down(void **state)
{
	(void)state;
	open_tx(ALL);
	post_frags(0, 1, 60, 0, REGION);
	assert_int_equal(transmit(), 1);
	post_frags(100, 1, 60, 0, REGION);
	post_frags(200, 1, 60, 0, REGION);
	assert_int_equal(sl_virtio_tx(&tx, ring, false), 2);
	assert_int_equal(tx.count.drops[SL_DROP_DOWN], 2);
	assert_int_equal(returned(), 0); /* the first one is the device's still */
	fake_virtq_push(device, assert_sent(2, 1, 60, true), 0);
	assert_int_equal(sl_virtio_tx(&tx, ring, false), 1);
	assert_int_equal(returned(), 3);
	close_tx();
}

/* Two rings end at one queue: each gets back its own. */
static void test_tx_two_rings(void **state)
{
	struct sl_ring *first;
	uint16_t heads[2];

	(void)state;
	open_tx(ALL);
	first = ring;
	post_frags(0, 1, 60, 0, REGION);
	assert_int_equal(transmit(), 1);
	open_ring(RING, 64);
	post_frags(100, 1, 60, 0, REGION);
	assert_int_equal(transmit(), 1);
	heads[0] = assert_sent(2, 1, 60, true);
	heads[1] = assert_sent(2, 1, 60, true);
	fake_virtq_push(device, heads[0], 0);
	assert_int_equal(transmit(), 1);
	assert_int_equal(returned(), 0);
	fake_virtq_push(device, heads[1], 0);
	assert_int_equal(transmit(), 1);
	assert_int_equal(returned(), 1);
	sl_ring_release(ring);
	ring = first;
	assert_int_equal(returned(), 1);
	close_tx();
}

static void test_tx_broken(void **state)
{
	(void)state;
	open_tx(ALL);
	post_frags(0, 1, 60, 0, REGION);
	assert_int_equal(transmit(), 1);
	fake_virtq_push(device, 0xffffffff, 0);
	assert_int_equal(transmit(), -ENODEV);
	assert_non_null(strstr(sl_reason(), "transmit queue"));
	assert_int_equal(sl_ring_in_flight(ring),
			 1); /* the link gives it back: sl_ring_abandon() */
	close_tx();
}

/* Without VIRTIO_F_EVENT_IDX it goes by flags. */
static void test_flags(void **state)
{
	(void)state;
	open_tx(~VIRTIO_BIT(VIRTIO_F_EVENT_IDX));
	fake_virtq_listen(device, false);
	post_frags(0, 1, 60, 0, REGION);
	assert_int_equal(transmit(), 1);
	assert_int_equal(fake.notified[1], 0);
	assert_false(fake_virtq_push(device, assert_sent(2, 1, 60, true), 0)); /* not armed */
	assert_true(sl_virtq_arm(&tx.vq, 0));
	assert_int_equal(transmit(), 1);
	fake_virtq_listen(device, true);
	post_frags(0, 1, 60, 0, REGION);
	assert_int_equal(transmit(), 1);
	assert_int_equal(fake.notified[1], 1);
	assert_false(sl_virtq_arm(&tx.vq, 0));
	assert_true(fake_virtq_push(device, assert_sent(2, 1, 60, true), 0));
	close_tx();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rx),
		cmocka_unit_test(test_rx_lends),
		cmocka_unit_test(test_rx_bounds),
		cmocka_unit_test(test_rx_offload),
		cmocka_unit_test(test_rx_mergeable),
		cmocka_unit_test(test_rx_num_buffers_lies),
		cmocka_unit_test(test_rx_not_mergeable),
		cmocka_unit_test(test_rx_short),
		cmocka_unit_test(test_rx_malformed_large),
		cmocka_unit_test(test_rx_longer_than_buffer),
		cmocka_unit_test(test_rx_starves),
		cmocka_unit_test(test_rx_no_frag_room),
		cmocka_unit_test(test_rx_ring_full),
		cmocka_unit_test(test_tx),
		cmocka_unit_test(test_tx_header_outside),
		cmocka_unit_test(test_tx_empty_frags),
		cmocka_unit_test(test_tx_offload),
		cmocka_unit_test(test_tx_any_order),
		cmocka_unit_test(test_tx_queue_full),
		cmocka_unit_test(test_tx_copies),
		cmocka_unit_test(test_tx_copies_apart),
		cmocka_unit_test(test_tx_mixed),
		cmocka_unit_test(test_tx_never_fits),
		cmocka_unit_test(test_tx_link_down),
		cmocka_unit_test(test_tx_two_rings),
		cmocka_unit_test(test_tx_broken),
		cmocka_unit_test(test_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
