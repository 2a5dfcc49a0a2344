/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes are what a network device writes to its queues and into buffers, right or wrong, while
 * packets are received and sent. Every buffer is at one place at any time, every packet in its
 * buffers, and the ring is kept.
 */
#include <sluice/consumer.h>

#include "../unit/fake_virtio_net.h"
#include "fuzz.h"
#include "port/nic/virtio_queue.h"

#define QUEUE	8u
#define BUFFERS 20u
#define RING	8u
#define LENT	4096u

struct input {
	const uint8_t *data;
	size_t len;
};

static struct fake_virtio_net fake;
static struct nic nic;
static struct virtio_rx rx;
static struct virtio_tx tx;
static struct sl_ring *rx_ring, *tx_ring;
static uint8_t *pool_memory, *slots, *lent_memory, *queues[2];
static size_t queue_len;

static uint8_t take_byte(struct input *in)
{
	if (!in->len)
		return 0;
	in->len--;
	return *in->data++;
}

static void check_frag(const struct sl_frag *frag)
{
	size_t at = (size_t)(frag->addr - pool_memory);

	must(at < BUFFERS * NIC_STRIDE && frag->len <= NIC_STRIDE - at % NIC_STRIDE);
	must(frag->tailroom <= NIC_STRIDE - at % NIC_STRIDE - frag->len);
}

/* All that the consumer has not given back; rx() has just reclaimed the rest. */
static uint32_t count_lent(void)
{
	uint32_t at, n = 0, room = sl_ring_room(rx_ring, &at);

	for (uint32_t left = RING - room; left; left--) {
		struct sl_packet *packet = sl_ring_packet(rx_ring, --at);

		n += packet->more + 1u;
	}
	return n;
}

static void do_rx(struct input *in)
{
	int ret = sl_virtio_rx(&rx, rx_ring);

	(void)in;
	must(ret >= 0 || ret == -ENODEV || ret == -ENOBUFS);
	must(ret != -ENODEV || rx.vq.broken);
	must(sl_ring_broken(rx_ring) == SL_RING_NEITHER);
	must(rx.vq.broken ||
	     count_lent() + nic.pools[0].n_free + sl_virtq_in_flight(&rx.vq) == BUFFERS);
}

static void do_consume(struct input *in)
{
	uint32_t at, ready = sl_ring_ready(rx_ring, &at), n = take_byte(in) % (ready + 1);

	for (uint32_t i = 0; i < n; i++) {
		struct sl_packet *packet = sl_ring_packet(rx_ring, at + i);

		for (uint32_t f = 0; f <= packet->more; f++)
			check_frag(sl_ring_frag(rx_ring, packet, f));
	}
	sl_ring_consume(rx_ring, n);
}

/* One to three fragments, some of them nowhere that the device reaches, or with offload facts. */
static void do_tx(struct input *in)
{
	uint8_t how = take_byte(in);
	struct sl_frag frags[3];
	uint32_t at, n = sl_ring_returned(tx_ring, &at);
	int ret;

	sl_ring_reclaim(tx_ring, n);
	if (sl_ring_room(tx_ring, &at)) {
		for (unsigned i = 0; i < 3; i++)
			frags[i] = (struct sl_frag){lent_memory + 64 + how, take_byte(in) * 8u,
						    how & 4, 0};
		*sl_ring_packet(tx_ring, at) = (struct sl_packet){
			.frag = frags[0], .flags = how & 3, .headroom = how & 16};
		*sl_ring_offload(tx_ring, at) = (struct sl_offload){.flags = 1, .gso_type = how};
		if (how & 8)
			sl_ring_chain(tx_ring, at, frags, 1 + how % 3);
		sl_ring_post(tx_ring, 1);
	}
	ret = sl_virtio_tx(&tx, tx_ring, true);
	must(ret >= 0 || (ret == -ENODEV && tx.vq.broken));
	must(sl_ring_broken(tx_ring) == SL_RING_NEITHER);
	must(sl_ring_in_flight(tx_ring) <= RING);
}

/* The device, anywhere in a queue. */
static void do_scribble(struct input *in)
{
	uint8_t *queue = queues[take_byte(in) & 1];
	size_t at = (size_t)take_byte(in) * 256 + take_byte(in);

	for (uint8_t n = take_byte(in) % 16; n; n--, at++)
		queue[at % queue_len] = take_byte(in);
}

/* The device, so that it may be right: a buffer with a header of any kind. */
static void do_receive(struct input *in)
{
	struct virtio_net_hdr_v1 hdr = {.flags = take_byte(in) & 3, .num_buffers = 1};
	uint32_t len = take_byte(in) * 8u;

	hdr.gso_type = hdr.flags & 2 ? take_byte(in) : 0;
	hdr.gso_size = hdr.csum_offset = take_byte(in);
	hdr.num_buffers = take_byte(in) % 4;
	for (unsigned n = 0; n < hdr.num_buffers; n++) {
		struct virtq_avail *avail = fake.queues[0].avail;
		uint16_t head = avail->ring[fake.queues[0].avail_idx % QUEUE];

		if (avail->idx == fake.queues[0].avail_idx)
			return;
		if (!n && head < QUEUE && rx.vq.slots[head].descs)
			memcpy(nic.pools[0].buffers[rx.buffer[head]].data - VIRTIO_NET_HDR_LEN,
			       &hdr, sizeof(hdr));
		fake.queues[0].avail_idx++;
		fake_virtq_push(&fake.queues[0], head, len);
	}
}

static void do_sent(struct input *in)
{
	struct virtq_avail *avail = fake.queues[1].avail;

	(void)in;
	if (avail->idx != fake.queues[1].avail_idx)
		fake_virtq_push(&fake.queues[1], avail->ring[fake.queues[1].avail_idx++ % QUEUE],
				0);
}

static void open_queue(struct virtq_driver *vq, uint16_t queue)
{
	struct virtq_options options = {.size = QUEUE, .event_idx = true};
	struct virtio_queue setup = {.size = QUEUE};

	queues[queue] = calloc(1, queue_len);
	setup.desc.value = (uintptr_t)queues[queue];
	if (!queues[queue] || sl_virtq_open(vq, &options, queues[queue]))
		abort();
	fake.virtio.ops->queue_enable(&fake.virtio, queue, &setup);
}

static void open_all(uint64_t offers)
{
	struct sl_ring_config config = {RING, 64, -1, -1};
	struct nic_pool *pool = &nic.pools[0];

	fake = fake_net();
	fake.offers = offers;
	sl_virtio_net_start(&fake.virtio, false);
	queue_len = sl_virtq_layout(QUEUE, false).len;
	rx = (struct virtio_rx){.v = &fake.virtio, .pool = pool};
	tx = (struct virtio_tx){.v = &fake.virtio, .nic = &nic, .queue = 1};
	open_queue(&rx.vq, 0);
	open_queue(&tx.vq, 1);
	pool_memory = calloc(BUFFERS, NIC_STRIDE);
	lent_memory = calloc(1, LENT);
	slots = calloc(QUEUE, NIC_STRIDE);
	*pool = (struct nic_pool){0};
	pool->free = calloc(BUFFERS, sizeof(*pool->free));
	pool->buffers = calloc(BUFFERS, sizeof(*pool->buffers));
	tx.slots = slots;
	tx.slot_iova = calloc(QUEUE, sizeof(*tx.slot_iova));
	for (unsigned i = 0; i < BUFFERS; i++) {
		pool->buffers[i].data = pool_memory + i * NIC_STRIDE + NIC_HEADROOM;
		pool->free[pool->n_free++] = (uint16_t)i;
	}
	nic.n_reached = 1;
	nic.reached[0] = (struct nic_reached){0, (uintptr_t)lent_memory, LENT, {0}};
	if (sl_virtio_rx_open(&rx, BUFFERS) || sl_virtio_tx_open(&tx) ||
	    sl_ring_create(&config, &rx_ring) || sl_ring_create(&config, &tx_ring))
		abort();
	sl_virtio_rx_fill(&rx);
}

static void close_all(void)
{
	sl_virtio_rx_close(&rx);
	sl_virtio_tx_close(&tx);
	sl_ring_release(rx_ring);
	sl_ring_release(tx_ring);
	free(nic.pools[0].free);
	free(nic.pools[0].buffers);
	free(pool_memory);
	free(lent_memory);
	free(slots);
	free(queues[0]);
	free(queues[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const calls[])(struct input *) = {
		do_rx, do_consume, do_tx, do_scribble, do_receive, do_sent, do_receive, do_rx};
	struct input in = {data, size};

	open_all(UINT64_MAX ^ take_byte(&in) ^ (uint64_t)take_byte(&in) << 8);
	while (in.len)
		calls[take_byte(&in) % sl_array_len(calls)](&in);
	close_all();
	return 0;
}
