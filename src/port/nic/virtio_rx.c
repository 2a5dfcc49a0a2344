/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>

#include "base/barrier.h"
#include "base/bytes.h"
#include "base/count.h"
#include "base/reason.h"
#include "port/nic/virtio_queue.h"

#define BURST	   64 /* packets a call, so that the other direction gets its turn */
#define FRAGS_MORE (SL_PACKET_FRAGS_MAX - 1)
#define BUFFER_LEN (VIRTIO_NET_HDR_LEN + NIC_ROOM)

int sl_virtio_rx_open(struct virtio_rx *rx, uint16_t size, unsigned buffers)
{
	rx->buffer = calloc(size, sizeof(*rx->buffer));
	rx->next = calloc(buffers, sizeof(*rx->next));
	return rx->buffer && rx->next ? 0 : sl_fail(ENOMEM, "no memory for a queue");
}

void sl_virtio_rx_close(struct virtio_rx *rx)
{
	sl_virtq_close(&rx->vq);
	free(rx->buffer);
	free(rx->next);
	rx->buffer = rx->next = NULL;
}

/*
 * Buffers. A packet's cookie names the first.
 */

static void free_buffer(struct virtio_rx *rx, uint16_t buffer)
{
	rx->pool->free[rx->pool->n_free++] = buffer;
}

static void reclaim(struct virtio_rx *rx, struct sl_ring *ring)
{
	uint32_t at, n = sl_ring_returned(ring, &at);

	sl_ring_for_each (packet, ring, at, n) {
		uint16_t buffer = (uint16_t)packet->cookie;

		for (unsigned left = packet->more; left; left--) {
			free_buffer(rx, buffer);
			buffer = rx->next[buffer];
		}
		free_buffer(rx, buffer);
	}
	sl_ring_reclaim(ring, n);
}

static sl_iova header_iova(const struct nic_buffer *buffer)
{
	return (sl_iova){buffer->iova.value - VIRTIO_NET_HDR_LEN};
}

static bool map(const struct virtio_rx *rx, struct nic_buffer *buffer)
{
	sl_iova iova;

	if (!rx->v->ops->map)
		return true;
	if (rx->v->ops->map(rx->v, buffer->data - VIRTIO_NET_HDR_LEN, BUFFER_LEN, true, &iova))
		return false;
	buffer->iova.value = iova.value + VIRTIO_NET_HDR_LEN;
	return true;
}

static void unmap(const struct virtio_rx *rx, uint16_t head, uint32_t written)
{
	if (rx->v->ops->map)
		rx->v->ops->unmap(rx->v, header_iova(&rx->pool->buffers[rx->buffer[head]]),
				  written);
}

static void fill(struct virtio_rx *rx)
{
	struct nic_pool *pool = rx->pool;

	while (pool->n_free && rx->vq.n_free) {
		uint16_t buffer = pool->free[pool->n_free - 1];
		struct virtq_elem elem = {.len = BUFFER_LEN};

		if (!map(rx, &pool->buffers[buffer]))
			break;
		pool->n_free--;
		elem.addr = header_iova(&pool->buffers[buffer]);
		rx->buffer[sl_virtq_add(&rx->vq, &elem, 0, 1)] = buffer;
	}
	if (sl_virtq_publish(&rx->vq))
		rx->v->ops->notify(rx->v, rx->queue);
}

void sl_virtio_rx_start(struct virtio_rx *rx)
{
	rx->mergeable = sl_virtio_has(rx->v, VIRTIO_NET_F_MRG_RXBUF);
	rx->emits = sl_virtio_net_emits(rx->v);
	fill(rx);
}

void sl_virtio_rx_forget(struct virtio_rx *rx)
{
	for (uint16_t id = 0; rx->vq.slots && id < rx->vq.size; id++) {
		if (!rx->vq.slots[id].descs)
			continue;
		unmap(rx, id, 0);
		free_buffer(rx, rx->buffer[id]);
	}
	sl_virtq_close(&rx->vq);
}

/* The next buffer that the device has used. */
static int take(struct virtio_rx *rx, uint32_t *len)
{
	int head = sl_virtq_get(&rx->vq, len);

	if (head >= 0)
		unmap(rx, (uint16_t)head, *len);
	return head;
}

/*
 * Packets.
 */

static void free_buffers(struct virtio_rx *rx, uint16_t buffer, unsigned n)
{
	for (; n; n--, buffer = rx->next[buffer])
		free_buffer(rx, buffer);
}

static int drop(struct virtio_rx *rx, uint16_t buffer, unsigned n)
{
	free_buffers(rx, buffer, n);
	sl_count_add(&rx->count.drops[SL_DROP_MALFORMED], 1);
	return 0;
}

/* The further buffers of a packet. 5.1.6.4: "there will be at least num_buffers used buffers". */
static int gather(struct virtio_rx *rx, unsigned n, struct sl_frag *frags, uint16_t first,
		  uint32_t *total)
{
	uint16_t last = first;

	for (unsigned i = 1; i < n; i++) {
		uint32_t len = 0;
		int head = take(rx, &len);

		if (head == -EAGAIN)
			sl_virtq_break(&rx->vq, "a packet's num_buffers are not all there");
		if (head < 0) {
			free_buffers(rx, first, i);
			return -EPROTO;
		}
		rx->next[last] = rx->buffer[head];
		last = rx->buffer[head];
		/* There is no header before these: the packet begins where it would have been. */
		frags[i] = (struct sl_frag){rx->pool->buffers[last].data - VIRTIO_NET_HDR_LEN, len,
					    rx->pool->region, NIC_TAILROOM};
		*total += len;
	}
	return 0;
}

/* One packet into the entry at @at. Returns its length, 0 for one that was counted as a drop,
 * -EAGAIN when there is none, -EPROTO. */
static int receive(struct virtio_rx *rx, struct sl_ring *ring, uint32_t at)
{
	struct sl_packet *packet = sl_ring_packet(ring, at);
	struct sl_frag frags[SL_PACKET_FRAGS_MAX];
	struct virtio_net_hdr_v1 hdr;
	uint32_t len = 0, n = 1;
	int head = take(rx, &len), offload = 0;
	uint16_t buffer;
	uint8_t *data;

	if (head < 0)
		return head;
	buffer = rx->buffer[head];
	data = rx->pool->buffers[buffer].data;
	memcpy(&hdr, data - VIRTIO_NET_HDR_LEN, sizeof(hdr));
	sl_fence_compiler(); /* it is read once */
	if (len <= VIRTIO_NET_HDR_LEN)
		return drop(rx, buffer, 1);
	len -= VIRTIO_NET_HDR_LEN;
	*packet = (struct sl_packet){
		.frag = {data, len, rx->pool->region, NIC_TAILROOM},
		.cookie = buffer,
		.flags = rx->shared ? 0 : SL_PACKET_WRITABLE,
		.headroom = NIC_HEADROOM,
	};
	if (rx->mergeable && hdr.num_buffers != 1) {
		n = hdr.num_buffers;
		if (!n || n > SL_PACKET_FRAGS_MAX) {
			free_buffer(rx, buffer);
			return sl_virtq_break(&rx->vq, "a packet's num_buffers cannot be");
		}
		frags[0] = packet->frag;
		if (gather(rx, n, frags, buffer, &len))
			return -EPROTO;
	}
	if (hdr.flags || hdr.gso_type)
		offload = sl_virtio_net_hdr_parse(&hdr, len, rx->emits, sl_ring_offload(ring, at));
	if (offload < 0)
		return drop(rx, buffer, n);
	packet->flags |= offload ? SL_PACKET_OFFLOAD : 0;
	if (n > 1)
		sl_ring_chain(ring, at, frags, n);
	return (int)len;
}

/* The device has fewer buffers than its next packet may need, and there are no others: it is the
 * ring that has to be waited for. */
static bool starves(const struct virtio_rx *rx)
{
	uint16_t least = sl_min(rx->vq.size, SL_PACKET_FRAGS_MAX);

	return !rx->pool->n_free && sl_virtq_in_flight(&rx->vq) < least;
}

int sl_virtio_rx(struct virtio_rx *rx, struct sl_ring *ring)
{
	uint32_t at, room, frags, posted = 0, dealt = 0;
	uint64_t bytes = 0;
	int len;

	sl_virtq_disarm(&rx->vq);
	reclaim(rx, ring);
	room = sl_ring_room(ring, &at);
	frags = rx->mergeable ? sl_ring_frag_room(ring) : UINT32_MAX;
	/* How many fragments a packet needs is known when it cannot be put back. */
	for (room = sl_min(room, BURST); dealt < room && frags >= FRAGS_MORE; dealt++) {
		len = receive(rx, ring, at + posted);
		if (len < 0)
			break;
		if (len > 0)
			frags -= sl_ring_packet(ring, at + posted++)->more;
		bytes += (uint64_t)len;
	}
	sl_ring_post(ring, posted);
	sl_count_add(&rx->count.packets, posted);
	sl_count_add(&rx->count.bytes, bytes);
	if (rx->vq.broken)
		return posted ? (int)posted
			      : sl_fail(ENODEV, "the device broke its receive queue: %s",
					rx->vq.broken);
	fill(rx);
	if (dealt)
		return (int)dealt;
	return frags < FRAGS_MORE || starves(rx) ? -ENOBUFS : 0;
}
