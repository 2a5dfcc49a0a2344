/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes are what a network device writes to its queues and into buffers, right or wrong, while
 * packets are received and sent, over split and packed queues, in memory that it sees or through
 * bounce buffers; it goes, and another one comes. Every buffer is at one place at any time, every
 * packet in its buffers, and the ring is kept.
 */
#include <sluice/consumer.h>

#include "../unit/fake_virtio_net.h"
#include "fuzz.h"
#include "port/nic/virtio_queue.h"

#define QUEUE	8u
#define BUFFERS 20u
#define RING	8u
#define LENT	4096u
#define BOUNCES 11u /* fewer than both queues could use */

struct input {
	const uint8_t *data;
	size_t len;
};

static struct fake_virtio_net fake;
static struct virtio_ops ops;
static struct nic nic;
static struct virtio_rx rx;
static struct virtio_tx tx;
static struct sl_ring *rx_ring, *tx_ring;
static uint8_t *pool_memory, *slots, *lent_memory, *queues[2];
static size_t queue_len;
static bool packed, in_order, bounced;
static uint16_t place[2]; /* of the device in a packed queue: the next entry that it uses */
static bool wrap[2];
static uint32_t mapped;

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

static void check_buffers(void)
{
	must(count_lent() + nic.pools[0].n_free + sl_virtq_in_flight(&rx.vq) == BUFFERS);
}

static void do_rx(struct input *in)
{
	int ret = sl_virtio_rx(&rx, rx_ring);

	(void)in;
	must(ret >= 0 || ret == -ENODEV || ret == -ENOBUFS);
	must(ret != -ENODEV || rx.vq.broken);
	must(sl_ring_broken(rx_ring) == SL_RING_NEITHER);
	check_buffers();
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

static bool has_packed(unsigned queue)
{
	const struct virtq_packed_desc *ring = (void *)queues[queue];

	return sl_virtq_packed_is(ring[place[queue]].flags, false, wrap[queue]);
}

static void use(unsigned queue, uint16_t id, uint32_t len)
{
	struct virtq_packed_desc *desc = (struct virtq_packed_desc *)queues[queue] + place[queue];
	const struct virtq_driver *vq = queue ? &tx.vq : &rx.vq;
	uint16_t n = id < QUEUE && vq->slots[id].descs ? vq->slots[id].descs : 1;

	if (!packed) {
		fake.queues[queue].avail_idx++;
		fake_virtq_push(&fake.queues[queue], id, len);
		return;
	}
	*desc = (struct virtq_packed_desc){
		.len = len,
		.id = id,
		.flags =
			sl_virtq_packed_flags(true, wrap[queue]) | (queue ? 0 : VIRTQ_DESC_F_WRITE),
	};
	sl_virtq_packed_advance(&place[queue], &wrap[queue], n, QUEUE);
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

		if (packed ? !has_packed(0) : avail->idx == fake.queues[0].avail_idx)
			return;
		head = packed ? ((struct virtq_packed_desc *)queues[0])[place[0]].id : head;
		if (!n && head < QUEUE && rx.vq.slots[head].descs)
			memcpy(nic.pools[0].buffers[rx.buffer[head]].data - VIRTIO_NET_HDR_LEN,
			       &hdr, sizeof(hdr));
		use(0, head, len);
	}
}

static void do_sent(struct input *in)
{
	struct virtq_avail *avail = fake.queues[1].avail;

	(void)in;
	if (packed && has_packed(1))
		use(1, ((struct virtq_packed_desc *)queues[1])[place[1]].id, 0);
	else if (!packed && avail->idx != fake.queues[1].avail_idx)
		use(1, avail->ring[fake.queues[1].avail_idx % QUEUE], 0);
}

/* Bounce buffers: only how many there are is kept. */
static int fake_map(struct virtio *v, void *at, uint32_t len, bool write, sl_iova *iova)
{
	(void)v;
	(void)len;
	(void)write;
	if (mapped == BOUNCES)
		return -ENOSPC;
	mapped++;
	iova->value = (uintptr_t)at;
	return 0;
}

static void fake_unmap(struct virtio *v, sl_iova iova, uint32_t written)
{
	(void)v;
	must(iova.value && written <= NIC_STRIDE);
	must(mapped--);
}

static void open_queue(struct virtq_driver *vq, uint16_t queue)
{
	struct virtq_options options = {
		.size = QUEUE, .event_idx = true, .packed = packed, .in_order = in_order};
	struct virtio_queue setup = {.size = QUEUE};

	queues[queue] = calloc(1, queue_len);
	setup.desc.value = (uintptr_t)queues[queue];
	if (!queues[queue] || sl_virtq_open(vq, &options, queues[queue]))
		abort();
	place[queue] = 0;
	wrap[queue] = true;
	fake.virtio.ops->queue_enable(&fake.virtio, queue, &setup);
}

/* The device is gone: all that it had is back. Another one comes. */
static void do_again(struct input *in)
{
	uint8_t how = take_byte(in);

	sl_virtio_rx_forget(&rx);
	sl_virtio_tx_forget(&tx);
	must(!mapped);
	must(count_lent() + nic.pools[0].n_free == BUFFERS);
	free(queues[0]);
	free(queues[1]);
	packed = how & 1;
	in_order = how & 2;
	/* Packets that it was lent stay where they are until the link drops them. */
	sl_ring_abandon(tx_ring);
	open_queue(&rx.vq, 0);
	open_queue(&tx.vq, 1);
	sl_virtio_rx_start(&rx);
}

static void open_all(uint64_t offers)
{
	struct sl_ring_config config = {RING, 64, -1, -1};
	struct nic_pool *pool = &nic.pools[0];

	fake = fake_net();
	fake.offers = offers;
	ops = fake_virtio_ops;
	ops.map = bounced ? fake_map : NULL;
	ops.unmap = bounced ? fake_unmap : NULL;
	fake.virtio.ops = &ops;
	sl_virtio_net_start(&fake.virtio, 0);
	queue_len = sl_max(sl_virtq_layout(QUEUE, false).len, sl_virtq_layout(QUEUE, true).len);
	mapped = 0;
	rx = (struct virtio_rx){.v = &fake.virtio, .pool = pool};
	rx.shared = bounced;
	/* Whoever bounces reaches nothing. */
	tx = (struct virtio_tx){.v = &fake.virtio, .nic = bounced ? NULL : &nic, .queue = 1};
	open_queue(&rx.vq, 0);
	open_queue(&tx.vq, 1);
	pool_memory = calloc(BUFFERS, NIC_STRIDE);
	lent_memory = calloc(1, LENT);
	slots = calloc(QUEUE, NIC_STRIDE);
	*pool = (struct nic_pool){0};
	pool->free = calloc(BUFFERS, sizeof(*pool->free));
	pool->buffers = calloc(BUFFERS, sizeof(*pool->buffers));
	tx.slots = slots;
	for (unsigned i = 0; i < BUFFERS; i++) {
		pool->buffers[i].data = pool_memory + i * NIC_STRIDE + NIC_HEADROOM;
		pool->free[pool->n_free++] = (uint16_t)i;
	}
	nic.n_reached = 1;
	nic.reached[0] = (struct nic_reached){0, (uintptr_t)lent_memory, LENT, {0}};
	if (sl_virtio_rx_open(&rx, QUEUE, BUFFERS) || sl_virtio_tx_open(&tx, QUEUE) ||
	    sl_ring_create(&config, &rx_ring) || sl_ring_create(&config, &tx_ring))
		abort();
	sl_virtio_rx_start(&rx);
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
	static void (*const calls[])(struct input *) = {do_rx,	     do_consume, do_tx,
							do_scribble, do_receive, do_sent,
							do_receive,  do_rx,	 do_again};
	struct input in = {data, size};

	uint8_t how = take_byte(&in);

	packed = how & 1;
	in_order = how & 2;
	bounced = how & 4;
	open_all(UINT64_MAX ^ take_byte(&in) ^ (uint64_t)take_byte(&in) << 8);
	while (in.len)
		calls[take_byte(&in) % sl_array_len(calls)](&in);
	close_all();
	return 0;
}
