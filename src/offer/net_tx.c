/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Into the driver (virtio 1.2, 5.1.6.3): one copy of each packet, into one buffer of a receiveq or
 * into several (VIRTIO_NET_F_MRG_RXBUF). Nothing of the ring is held when a call returns.
 */
#include <sluice/consumer.h>

#include "base/bytes.h"
#include "base/count.h"
#include "offer/net_private.h"
#include "virtio/net.h"

static uint32_t held(const struct net_queue *nq)
{
	return nq->last - nq->first - nq->filled;
}

/* Those that were filled are the driver's. */
static int flush(struct net_queue *nq)
{
	int ret = 0;

	if (nq->filled)
		ret = sl_net_use(nq, nq->bufs + nq->first, nq->lens, nq->filled);
	sl_count_add(&nq->q->counted.requests, nq->filled);
	nq->first += nq->filled;
	nq->filled = 0;
	return ret;
}

void sl_net_unhold(struct net_queue *nq)
{
	if (nq->q->vq && held(nq))
		sl_virtq_burst_untake(nq->q->vq, nq->bufs + nq->first, held(nq));
	nq->first = nq->last = nq->filled = 0;
}

/* Take buffers, so that @n are held, if there are so many: those that wait are taken anew, and all
 * lie side by side. Returns how many there are; -EPROTO. */
static int hold(struct net_queue *nq, uint32_t n)
{
	int got;

	if (held(nq) >= n)
		return (int)held(nq);
	if (flush(nq))
		return -EPROTO;
	sl_net_unhold(nq);
	got = sl_virtq_burst_take(nq->q->vq, true, nq->bufs, sl_min(n, nq->room), nq->pieces,
				  nq->n_pieces);
	if (got > 0)
		nq->last = (uint32_t)got;
	return got;
}

/** struct net_to - where the next byte for the driver goes */
struct net_to {
	const struct virtq_buffer *buf; /* piece @piece of it, @at bytes into that */
	unsigned piece;
	size_t at;
};

static void copy_slow(struct net_queue *nq, struct net_to *to, const uint8_t *from, size_t len)
{
	while (len) {
		const struct iovec *piece = &nq->pieces[to->buf->first + to->piece];
		size_t here = to->piece < to->buf->n ? sl_min(len, piece->iov_len - to->at) : 0;

		memcpy((uint8_t *)piece->iov_base + to->at, from, here);
		sl_net_dirty(nq->q->offer, (uint8_t *)piece->iov_base + to->at, here);
		from += here;
		len -= here;
		to->at += here;
		if (!len)
			return;
		to->at = 0;
		if (++to->piece >= to->buf->n) {
			to->buf++;
			to->piece = 0;
		}
	}
}

static void copy_packet(struct net_queue *nq, const struct sl_ring *ring, struct sl_packet *packet,
			const struct virtio_net_hdr_v1 *hdr)
{
	const struct virtq_buffer *buf = &nq->bufs[nq->first + nq->filled];
	const struct iovec *piece = &nq->pieces[buf->first];
	struct net_to to;

	if (__builtin_expect(!packet->more && buf->n &&
				     piece->iov_len >= sizeof(*hdr) + (size_t)packet->frag.len,
			     1)) {
		/* Mostly it is that of the packet before, which the driver has only read: as it is
		 * not written, its line stays in both processors. */
		if (memcmp(piece->iov_base, hdr, sizeof(*hdr)))
			memcpy(piece->iov_base, hdr, sizeof(*hdr));
		memcpy((uint8_t *)piece->iov_base + sizeof(*hdr), packet->frag.addr,
		       packet->frag.len);
		sl_net_dirty(nq->q->offer, piece->iov_base, sizeof(*hdr) + packet->frag.len);
		return;
	}
	to = (struct net_to){.buf = buf};
	copy_slow(nq, &to, (const uint8_t *)hdr, sizeof(*hdr));
	for (uint32_t i = 0; i <= packet->more; i++) {
		const struct sl_frag *frag = sl_ring_frag(ring, packet, i);

		copy_slow(nq, &to, frag->addr, frag->len);
	}
}

/* Returns how many of the buffers that are held @total bytes fill; 0 when they are not enough. */
static uint32_t fill(struct net_queue *nq, uint32_t total)
{
	const struct virtq_buffer *bufs = nq->bufs + nq->first + nq->filled;
	uint32_t *lens = nq->lens + nq->filled, n = 0, most = held(nq);

	while (total && n < most) {
		lens[n] = sl_min(total, bufs[n].len);
		total -= lens[n++];
	}
	return total ? 0 : n;
}

/* Nearly always: one buffer is enough, and there. */
static inline bool fits(struct net_queue *nq, uint32_t total)
{
	if (!held(nq) || nq->bufs[nq->first + nq->filled].len < total)
		return false;
	nq->lens[nq->filled] = total;
	return true;
}

/* How many buffers it takes. 0: there are not enough now; -EMSGSIZE: there never will be; -EPROTO
 */
static __attribute__((noinline)) int plan(struct net_queue *nq, uint32_t total, bool mergeable)
{
	uint32_t n = 0;

	for (uint32_t wanted = 1; !n; wanted *= 2) {
		int have = hold(nq, wanted);

		if (have < 0)
			return have;
		n = fill(nq, total);
		if (n > 1 && !mergeable)
			return -EMSGSIZE;
		if (n || (uint32_t)have < wanted)
			break;
		if (!mergeable || (uint32_t)have >= nq->q->counted.size)
			return -EMSGSIZE;
	}
	return (int)n;
}

/* Returns 1 when it was sent; 0: not now; -EMSGSIZE: it is dropped; -EPROTO */
static int send_one(struct net_queue *nq, const struct sl_ring *ring, uint32_t at, uint32_t len,
		    uint64_t features)
{
	struct sl_packet *packet = sl_ring_packet(ring, at);
	bool offload = packet->flags & SL_PACKET_OFFLOAD;
	uint8_t flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	struct virtio_net_hdr_v1 hdr;
	uint32_t total = len + (uint32_t)sizeof(hdr);
	int n = fits(nq, total) ? 1
				: plan(nq, total, features & VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF));

	if (n <= 0)
		return n;
	/* 5.1.6.4: a device may say that a checksum was checked; a driver may not. */
	if (features & VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM))
		flags |= VIRTIO_NET_HDR_F_DATA_VALID;
	sl_virtio_net_hdr_make(&hdr, offload ? sl_ring_offload(ring, at) : NULL, flags,
			       (uint16_t)n);
	copy_packet(nq, ring, packet, &hdr);
	nq->filled += (uint32_t)n;
	return 1;
}

/* Returns how many entries were dealt with. */
static uint32_t send(struct net_queue *nq, const struct sl_ring *ring, uint32_t at, uint32_t ready,
		     uint64_t features)
{
	uint32_t done = 0, sent = 0, lost = 0;
	uint64_t bytes = 0;
	/* As many as there are packets: most take one each. */
	int ret = hold(nq, ready);

	for (; done < ready && ret >= 0; done++, at++) {
		uint32_t len = sl_ring_packet_len(ring, sl_ring_packet(ring, at));

		ret = send_one(nq, ring, at, len, features);
		if (ret == -EMSGSIZE) {
			lost++;
			ret = 0;
			continue;
		}
		if (ret <= 0)
			break;
		sent++;
		bytes += len;
	}
	if (ret < 0 || flush(nq))
		sl_offer_queue_broke(nq->q);
	else if (sent)
		sl_net_publish(nq);
	sl_count_add(&nq->count.packets, sent);
	sl_count_add(&nq->count.bytes, bytes);
	sl_count_add(&nq->count.copied, sent);
	sl_count_add(&nq->count.drops[SL_DROP_TOO_LARGE], lost);
	return done;
}

static int tx(struct sl_net *net, struct net_queue *nq, struct sl_ring *ring)
{
	uint32_t at, ready = sl_ring_ready(ring, &at), done;

	if (!ready || sl_net_lost(nq) || !sl_offer_queue_takes(nq->q))
		return 0;
	sl_virtq_device_disarm(nq->q->vq);
	done = send(nq, ring, at, sl_min(ready, NET_BURST), net->features);
	sl_ring_consume(ring, done);
	return (int)done;
}

/* Two queues of the port may go to one receiveq, so the counters are those of its lock. */
int sl_net_tx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct sl_net *net = net_of(port);
	struct net_queue *nq = net_receiveq(net, sl_load_relaxed(&net->use[q]));
	int ret;

	pthread_mutex_lock(&nq->lock);
	ret = tx(net, nq, ring);
	pthread_mutex_unlock(&nq->lock);
	return ret;
}
