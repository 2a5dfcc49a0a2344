/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Out of the driver (virtio 1.2, 5.1.6.2): buffers of a transmitq are lent to the link's ring where
 * they lie. They go back in the order in which they came, whatever the ring's consumer does.
 */
#include <sluice/guard.h>
#include <sluice/producer.h>

#include "base/bytes.h"
#include "base/count.h"
#include "offer/net_private.h"
#include "virtio/net.h"

#define FRAME_MIN 14 /* an Ethernet header */
#define FRAME_MAX (65535 + 14 + 4)

static void use(struct net_queue *nq, uint32_t n)
{
	while (n) {
		uint32_t at = nq->first & (nq->room - 1), run = sl_min(n, nq->room - at);

		/* A broken queue forgets them. */
		sl_net_use(nq, nq->bufs + at, NULL, run);
		nq->first += run;
		n -= run;
	}
	sl_store_relaxed(&nq->q->in_flight, nq->last - nq->first);
	if (!nq->q->counted.broken)
		sl_net_publish(nq);
}

/* How many buffers may go back: those whose packets have come back, and all that were dropped. */
static uint32_t finished(const struct net_queue *nq, uint32_t back)
{
	uint32_t n = 0;

	for (; n < nq->last - nq->first; n++) {
		bool lent = nq->lent[(nq->first + n) & (nq->room - 1)];

		if (lent && !back)
			break;
		back -= lent;
	}
	return n;
}

void sl_net_reclaim(struct net_queue *nq)
{
	uint32_t at, n = nq->ring ? sl_ring_returned(nq->ring, &at) : 0, back = n, used;

	if (!n && nq->out)
		return;
	for (uint32_t i = 0; i < n; i++)
		back -= sl_ring_packet(nq->ring, at + i)->cookie == NET_OWN_COOKIE;
	if (n)
		sl_ring_reclaim(nq->ring, n);
	nq->out -= n;
	used = finished(nq, back);
	if (used)
		use(nq, used);
}

/* The header is copied, and never read again. It may lie in several pieces. Returns how many of
 * them are behind, *@skip bytes into the first that is left; -EINVAL for a packet without a byte.
 */
static int take_header(const struct virtq_buffer *buf, const struct iovec *pieces,
		       struct virtio_net_hdr_v1 *hdr, size_t *skip)
{
	size_t left = sizeof(*hdr);
	int n = 0;

	if (buf->len < sizeof(*hdr) + FRAME_MIN || buf->len > sizeof(*hdr) + FRAME_MAX)
		return -EINVAL;
	if (__builtin_expect(pieces->iov_len >= sizeof(*hdr), 1)) {
		memcpy(hdr, pieces->iov_base, sizeof(*hdr));
		*skip = sizeof(*hdr);
	} else {
		for (; left >= pieces[n].iov_len; left -= pieces[n++].iov_len)
			memcpy((uint8_t *)hdr + sizeof(*hdr) - left, pieces[n].iov_base,
			       pieces[n].iov_len);
		memcpy((uint8_t *)hdr + sizeof(*hdr) - left, pieces[n].iov_base, left);
		*skip = left;
	}
	if (*skip == pieces[n].iov_len) {
		*skip = 0;
		n++;
	}
	return n;
}

static int chain(struct sl_ring *ring, uint32_t at, const struct iovec *pieces, unsigned n,
		 size_t skip)
{
	struct sl_frag frags[SL_PACKET_FRAGS_MAX];

	if (n > SL_PACKET_FRAGS_MAX)
		return -EMSGSIZE;
	for (unsigned i = 0; i < n; i++)
		frags[i] = (struct sl_frag){.addr = pieces[i].iov_base,
					    .len = (uint32_t)pieces[i].iov_len,
					    .region = NET_REGION};
	frags[0].addr += skip;
	frags[0].len -= (uint32_t)skip;
	return sl_ring_chain(ring, at, frags, n);
}

/* Into the entry at @at. Returns 1; 0 for one that is dropped; -ENOSPC when the ring has no
 * fragments left. */
static int lend(struct net_queue *nq, struct sl_ring *ring, uint32_t at,
		const struct virtq_buffer *buf, uint32_t emits)
{
	const struct iovec *pieces = nq->pieces + buf->first;
	struct sl_packet *packet = sl_ring_packet(ring, at);
	struct virtio_net_hdr_v1 hdr;
	size_t skip = 0;
	int n = take_header(buf, pieces, &hdr, &skip), facts = 0, ret = 0;

	if (n >= 0 && (hdr.flags || hdr.gso_type))
		facts = sl_virtio_net_hdr_parse(&hdr, buf->len - (uint32_t)sizeof(hdr), emits,
						sl_ring_offload(ring, at));
	if (n < 0 || facts < 0) {
		sl_count_add(&nq->count.drops[SL_DROP_MALFORMED], 1);
		return 0;
	}
	pieces += n;
	*packet = (struct sl_packet){
		.frag = {(uint8_t *)pieces->iov_base + skip, (uint32_t)(pieces->iov_len - skip),
			 NET_REGION, 0},
		.flags = facts ? SL_PACKET_OFFLOAD : 0,
	};
	if (buf->n - (unsigned)n > 1)
		ret = chain(ring, at, pieces, buf->n - (unsigned)n, skip);
	if (ret == -EMSGSIZE) {
		sl_count_add(&nq->count.drops[SL_DROP_TOO_LARGE], 1);
		return 0;
	}
	return ret ? ret : 1;
}

/* RARP: "here is this MAC now", for the switches on the way (VHOST_USER_SEND_RARP). */
static int announce(struct sl_net *net, struct net_queue *nq, struct sl_ring *ring)
{
	uint32_t at, room = sl_ring_room(ring, &at);

	if (!room)
		return 0;
	*sl_ring_packet(ring, at) = (struct sl_packet){
		.frag = {net->announcement, sizeof(net->announcement), NET_REGION, 0},
		.cookie = NET_OWN_COOKIE,
	};
	sl_ring_post(ring, 1);
	nq->out++;
	sl_store_relaxed(&net->announce, net->announce - 1);
	return 1;
}

/* Returns how many packets were posted, and dropped. */
static int lend_burst(struct net_queue *nq, struct sl_ring *ring, uint32_t emits)
{
	uint32_t at, room = sl_ring_room(ring, &at), first = nq->last & (nq->room - 1), posted = 0;
	uint64_t bytes = 0;
	int n, i, ret;

	room = sl_min(sl_min(room, NET_BURST), nq->room - first);
	room = sl_min(room, nq->room - (nq->last - nq->first));
	n = sl_virtq_burst_take(nq->q->vq, false, nq->bufs + first, room, nq->pieces, nq->n_pieces);
	if (n < 0) {
		sl_offer_queue_broke(nq->q);
		return 0;
	}
	if (n)
		sl_virtq_device_disarm(nq->q->vq);
	for (i = 0; i < n; i++) {
		ret = lend(nq, ring, at + posted, &nq->bufs[first + (unsigned)i], emits);
		if (ret < 0)
			break;
		nq->lent[first + (unsigned)i] = (uint8_t)ret;
		posted += (unsigned)ret;
		bytes += ret ? nq->bufs[first + (unsigned)i].len - VIRTIO_NET_HDR_LEN : 0;
	}
	if (i < n)
		sl_virtq_burst_untake(nq->q->vq, nq->bufs + first + i, (unsigned)(n - i));
	nq->last += (unsigned)i;
	nq->out += posted;
	if (posted)
		sl_ring_post(ring, posted);
	sl_count_add(&nq->count.packets, posted);
	sl_count_add(&nq->count.bytes, bytes);
	sl_count_add(&nq->q->counted.requests, (uint64_t)i);
	sl_store_relaxed(&nq->q->in_flight, nq->last - nq->first);
	return i;
}

/* What is lent is wanted back. Returns as rx(). */
static int recall(struct net_queue *nq)
{
	if (!nq->out) {
		nq->recalling = nq->recalling && !sl_ring_recall_done(nq->ring);
		nq->recall = nq->recalling;
		return 0;
	}
	if (!nq->recalling) {
		nq->recalling = true;
		sl_ring_recall(nq->ring);
		sl_ring_wake_consumer(nq->ring);
	}
	return -EINPROGRESS;
}

static int rx(struct sl_net *net, unsigned pair, struct net_queue *nq, struct sl_ring *ring)
{
	int did;

	nq->ring = ring;
	sl_net_reclaim(nq);
	if (nq->recall)
		return recall(nq);
	if (sl_net_lost(nq) || !sl_offer_queue_takes(nq->q))
		return nq->out ? -EINPROGRESS : 0;
	if (!pair && sl_load_relaxed(&net->announce) && announce(net, nq, ring))
		return 1;
	did = lend_burst(nq, ring, sl_load_relaxed(&net->emits));
	/* The driver may wait for what is lent: it comes back without a kick. */
	return did || !nq->out ? did : -EINPROGRESS;
}

int sl_net_rx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct sl_net *net = net_of(port);
	struct net_queue *nq = net_transmitq(net, q);
	int ret;

	pthread_mutex_lock(&nq->lock);
	ret = rx(net, q, nq, ring);
	pthread_mutex_unlock(&nq->lock);
	return ret;
}
