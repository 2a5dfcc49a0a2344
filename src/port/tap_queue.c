/* SPDX-License-Identifier: BSD-2-Clause */
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "base/bytes.h"
#include "base/count.h"
#include "base/fd.h"
#include "base/reason.h"
#include "packet/cut.h"
#include "packet/frags.h"
#include "port/tap_queue.h"

#define BUFFERS	 256
#define BURST	 32  /* packets a call, so that the other direction gets its turn */
#define HEADROOM 128 /* for those who push headers: a tunnel's, a virtio-net header */
#define TAILROOM 64  /* for those who append: a tag */
#define VNET_LEN sizeof(struct virtio_net_hdr)

int sl_tap_queue_open(struct tap_queue *queue, uint16_t region, size_t frame)
{
	int ret;

	queue->fd = -1;
	queue->region = region;
	queue->room = frame + 1; /* a packet that fills it was cut short */
	queue->stride = (HEADROOM + queue->room + TAILROOM + 63) & ~(size_t)63;
	queue->free = calloc(BUFFERS, sizeof(*queue->free));
	if (!queue->free)
		return sl_fail(ENOMEM, "no memory for a queue");
	for (unsigned i = 0; i < BUFFERS; i++)
		queue->free[queue->n_free++] = (uint16_t)(BUFFERS - 1 - i);
	ret = sl_arena_create(BUFFERS * queue->stride, region, &queue->arena);
	if (!ret)
		queue->base = sl_arena_region(queue->arena)->base;
	return ret;
}

void sl_tap_queue_attach(struct tap_queue *queue, int fd, unsigned layer, bool vnet)
{
	queue->fd = fd;
	queue->layer = layer;
	queue->vnet = vnet;
}

void sl_tap_queue_close(struct tap_queue *queue)
{
	sl_arena_release(queue->arena);
	free(queue->free);
	queue->arena = NULL;
	queue->free = NULL;
}

/*
 * From the interface.
 */

static void reclaim(struct tap_queue *queue, struct sl_ring *ring)
{
	uint32_t at, n = sl_ring_returned(ring, &at);

	for (uint32_t i = 0; i < n; i++)
		queue->free[queue->n_free++] = (uint16_t)sl_ring_packet(ring, at + i)->cookie;
	sl_ring_reclaim(ring, n);
}

static void set_offload(struct sl_packet *packet, struct sl_offload *offload,
			const struct virtio_net_hdr *hdr)
{
	if (!(hdr->flags & ~VIRTIO_NET_HDR_F_DATA_VALID) && hdr->gso_type == SL_GSO_NONE)
		return;
	packet->flags |= SL_PACKET_OFFLOAD;
	*offload = (struct sl_offload){
		.flags = hdr->flags & (SL_OFFLOAD_NEEDS_CSUM | SL_OFFLOAD_DATA_VALID),
		.gso_type = hdr->gso_type,
		.hdr_len = hdr->hdr_len,
		.gso_size = hdr->gso_size,
		.csum_start = hdr->csum_start,
		.csum_offset = hdr->csum_offset,
	};
}

/* Read one packet into the entry at @at. Returns its length, 0 for one that was counted
 * as a drop, or a negative errno. */
static ssize_t read_one(struct tap_queue *queue, struct sl_ring *ring, uint32_t at)
{
	uint16_t buffer = queue->free[queue->n_free - 1];
	uint8_t *start = queue->base + buffer * queue->stride + HEADROOM;
	size_t before = queue->vnet ? VNET_LEN : 0;
	ssize_t len = read(queue->fd, start - before, queue->room + before);
	struct sl_packet *packet = sl_ring_packet(ring, at);
	struct virtio_net_hdr hdr;

	if (len < 0)
		return -errno;
	len -= (ssize_t)before;
	if (len <= 0 || (size_t)len >= queue->room) {
		sl_count_add(&queue->rx.drops[len > 0 ? SL_DROP_TRUNCATED : SL_DROP_MALFORMED], 1);
		return 0;
	}
	*packet = (struct sl_packet){
		.frag = {start, (uint32_t)len, queue->region, TAILROOM},
		.cookie = buffer,
		.flags = SL_PACKET_WRITABLE,
		.headroom = HEADROOM,
	};
	if (queue->vnet) {
		memcpy(&hdr, start - before, sizeof(hdr));
		set_offload(packet, sl_ring_offload(ring, at), &hdr);
	}
	queue->n_free--;
	return len;
}

int sl_tap_queue_rx(struct tap_queue *queue, struct sl_ring *ring)
{
	uint32_t at, room, posted = 0;
	uint64_t bytes = 0;
	ssize_t len = 0;

	reclaim(queue, ring);
	room = sl_ring_room(ring, &at);
	room = sl_min(room, sl_min(queue->n_free, BURST));
	for (uint32_t tries = 0; tries < room; tries++) {
		len = read_one(queue, ring, at + posted);
		if (len < 0)
			break;
		posted += len > 0;
		bytes += (uint64_t)len;
	}
	if (posted) {
		sl_ring_post(ring, posted);
		sl_count_add(&queue->rx.packets, posted);
		sl_count_add(&queue->rx.bytes, bytes);
		return (int)posted;
	}
	/* A deleted interface: EBADFD once it is detached, EIO while it is going. */
	return len == -EBADFD || len == -EIO ? sl_fail(ENODEV, "the interface was deleted") : 0;
}

/*
 * To the interface.
 */

static enum sl_drop reason_of(int err)
{
	switch (err) {
	case EIO: /* tun_get_user(): the interface is not up */
		return SL_DROP_DOWN;
	case ENOBUFS:
	case ENOMEM:
		return SL_DROP_NO_BUFFER;
	case EMSGSIZE:
		return SL_DROP_TOO_LARGE;
	default:
		return SL_DROP_REFUSED;
	}
}

static void make_header(const struct sl_ring *ring, uint32_t at, struct virtio_net_hdr *hdr)
{
	const struct sl_offload *offload = sl_ring_offload(ring, at);

	memset(hdr, 0, sizeof(*hdr));
	if (!(sl_ring_packet(ring, at)->flags & SL_PACKET_OFFLOAD))
		return;
	hdr->flags = offload->flags;
	hdr->gso_type = offload->gso_type;
	hdr->hdr_len = offload->hdr_len;
	hdr->gso_size = offload->gso_size;
	hdr->csum_start = offload->csum_start;
	hdr->csum_offset = offload->csum_offset;
}

static ssize_t write_chain(const struct tap_queue *queue, struct sl_ring *ring, uint32_t at)
{
	struct sl_packet *packet = sl_ring_packet(ring, at);
	struct iovec iov[SL_PACKET_FRAGS_MAX + 1];
	struct virtio_net_hdr hdr;
	int n = 0;

	if (queue->vnet) {
		make_header(ring, at, &hdr);
		iov[n++] = (struct iovec){&hdr, sizeof(hdr)};
	}
	for (uint32_t i = 0; i <= packet->more; i++) {
		struct sl_frag *frag = sl_ring_frag(ring, packet, i);

		iov[n++] = (struct iovec){frag->addr, frag->len};
	}
	return writev(queue->fd, iov, n);
}

static ssize_t write_one(const struct tap_queue *queue, struct sl_ring *ring, uint32_t at)
{
	struct sl_packet *packet = sl_ring_packet(ring, at);
	size_t before = queue->vnet ? VNET_LEN : 0;
	uint8_t *start = packet->frag.addr - before;
	struct virtio_net_hdr hdr;

	if (packet->more ||
	    (before && (packet->headroom < before || !(packet->flags & SL_PACKET_WRITABLE))))
		return write_chain(queue, ring, at);
	if (before) {
		make_header(ring, at, &hdr);
		memcpy(start, &hdr, sizeof(hdr));
	}
	return write(queue->fd, start, packet->frag.len + before);
}

static ssize_t write_segment(const struct tap_queue *queue, struct sl_ring *ring, uint32_t at,
			     const struct sl_cut *cut, uint8_t *headers,
			     const struct sl_segment *segment)
{
	struct virtio_net_hdr hdr = {
		.flags = SL_OFFLOAD_NEEDS_CSUM,
		.csum_start = cut->csum_start,
		.csum_offset = cut->csum_offset,
	};
	struct iovec iov[SL_PACKET_FRAGS_MAX + 2] = {{&hdr, sizeof(hdr)},
						     {headers, cut->headers_len}};
	struct sl_frag frags[SL_PACKET_FRAGS_MAX];
	int n = sl_frags_slice(ring, sl_ring_packet(ring, at), segment->at, segment->len, frags,
			       SL_PACKET_FRAGS_MAX);

	for (int i = 0; i < n; i++)
		iov[2 + i] = (struct iovec){frags[i].addr, frags[i].len};
	return writev(queue->fd, iov, 2 + n);
}

/* Some kernels (6.6.44) refuse super-packets that are right, those with a shorter last segment: a
 * TCP connection would come to a stop. They take the segments. */
static ssize_t write_cut(struct tap_queue *queue, struct sl_ring *ring, uint32_t at)
{
	struct sl_packet *packet = sl_ring_packet(ring, at);
	struct sl_offload offload = *sl_ring_offload(ring, at);
	uint8_t headers[SL_HEADERS_MAX];
	size_t copied = sl_frags_copy(ring, packet, 0, headers, sizeof(headers));
	struct sl_segment segment;
	struct sl_cut cut;

	if (sl_cut_start(&cut, headers, copied, sl_ring_packet_len(ring, packet), queue->layer,
			 &offload)) {
		errno = EINVAL;
		return -1;
	}
	for (bool first = true; sl_cut_next(&cut, headers, &segment); first = false) {
		if (write_segment(queue, ring, at, &cut, headers, &segment) >= 0)
			continue;
		if (errno == EAGAIN && !first)
			errno = ENOBUFS; /* not all of it again */
		return -1;
	}
	queue->cuts = true;
	sl_count_add(&queue->tx.cut, 1);
	return 0;
}

static ssize_t write_packet(struct tap_queue *queue, struct sl_ring *ring, uint32_t at)
{
	ssize_t ret = write_one(queue, ring, at);

	if (ret < 0 && errno == EINVAL && queue->vnet &&
	    sl_ring_packet(ring, at)->flags & SL_PACKET_OFFLOAD &&
	    sl_ring_offload(ring, at)->gso_type)
		ret = write_cut(queue, ring, at);
	return ret;
}

int sl_tap_queue_tx(struct tap_queue *queue, struct sl_ring *ring)
{
	uint32_t at, ready = sl_ring_ready(ring, &at), done = 0, sent = 0;
	uint64_t bytes = 0;
	int err = 0;

	for (ready = sl_min(ready, BURST); done < ready; done++, at++) {
		uint32_t len = sl_ring_packet_len(ring, sl_ring_packet(ring, at));

		if (write_packet(queue, ring, at) >= 0) {
			sent++;
			bytes += len;
			continue;
		}
		err = errno;
		if (err == EAGAIN || err == EBADFD)
			break;
		sl_count_add(&queue->tx.drops[reason_of(err)], 1);
	}
	sl_ring_consume(ring, done);
	sl_count_add(&queue->tx.packets, sent);
	sl_count_add(&queue->tx.bytes, bytes);
	if (!done && err == EBADFD)
		return sl_fail(ENODEV, "the interface was deleted");
	return (int)done;
}
