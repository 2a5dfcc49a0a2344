/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * To the socket. A packet that may be written is sealed where it lies; a super-packet is cut,
 * checksummed and sealed in one go into the scratch, where its segments are a train.
 */
#include <errno.h>

#include <sluice/consumer.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/count.h"
#include "base/fd.h"
#include "base/log.h"
#include "packet/csum.h"
#include "packet/frags.h"
#include "packet/headers.h"
#include "tunnel/tunnel_private.h"

#define ANSWERS_A_SECOND 100

static void drop(struct sender *tx, enum sl_drop reason, uint64_t n)
{
	sl_count_add(&tx->count.drops[reason], n);
}

/* The address to send to; false when there is no session. */
static bool learn_peer(struct tunnel *t)
{
	struct sender *tx = &t->tx;

	sl_yard_path(&tx->yard,
		     sl_load_relaxed(&t->mtu) + (t->layer == 2 ? ETH_LEN : 0) + SL_DATA_OVERHEAD);
	if (sl_load_acquire(&t->peer_changes) != tx->peer_changes) {
		tx->yard.whole = true; /* another path: see sl_yard_path() */
		pthread_mutex_lock(&t->lock);
		tx->yard.to = t->peer;
		tx->peer_changes = sl_load_relaxed(&t->peer_changes);
		pthread_mutex_unlock(&t->lock);
	}
	return tx->yard.to.len;
}

/*
 * Packets larger than the path. What may be fragmented goes on, in fragments of the outer
 * packet; what may not is answered.
 */

static bool may_answer(struct sender *tx, uint64_t now_ns)
{
	if (tx->answers_second != now_ns / SL_NS_PER_S)
		tx->answers = 0;
	tx->answers_second = now_ns / SL_NS_PER_S;
	return tx->answers < ANSWERS_A_SECOND;
}

static void queue_answer(struct tunnel *t, const uint8_t *answer, size_t len)
{
	uint32_t n;

	pthread_mutex_lock(&t->lock);
	n = t->n_answers;
	if (n < ANSWERS_MAX) {
		memcpy(t->answers[n].bytes, answer, len);
		t->answers[n].len = (uint16_t)len;
		sl_store_release(&t->n_answers, n + 1);
	}
	pthread_mutex_unlock(&t->lock);
	sl_event_signal(t->event);
}

/* Is it, or each of its segments, larger than what passes, and must not be fragmented? */
static bool too_big(struct tunnel *t, const struct sl_ring *ring, struct sl_packet *packet,
		    uint32_t len, uint32_t largest)
{
	unsigned mtu = sl_load_relaxed(&t->mtu), l3;
	uint8_t copy[TOO_BIG_MAX], answer[TOO_BIG_MAX];
	size_t have, answer_len;

	if (largest <= mtu + (t->layer == 2 ? ETH_LEN : 0))
		return false;
	have = sl_frags_copy(ring, packet, 0, copy, sizeof(copy));
	/* An IPv6 packet of 1280 bytes has to pass, whatever is below (RFC 8200, 5). */
	l3 = t->layer == 2 ? sl_tunnel_l3(copy) : 0;
	if (copy[l3] >> 4 == 6)
		mtu = sl_max(mtu, 1280u);
	if (largest <= mtu + l3)
		return false;
	answer_len = sl_too_big(copy, have, len, t->layer, mtu, answer);
	if (!answer_len)
		return false;
	if (may_answer(&t->tx, sl_now_ns())) {
		t->tx.answers++;
		queue_answer(t, answer, answer_len);
	}
	return true;
}

/*
 * Sealing. What cannot be sealed is counted, and nothing is added to the yard.
 */

static void sealed(struct sender *tx, int len, unsigned iovs)
{
	if (len >= 0)
		sl_yard_add(&tx->yard, iovs, (uint32_t)len);
	else
		drop(tx, len == -EMSGSIZE ? SL_DROP_TOO_LARGE : SL_DROP_NO_SESSION, 1);
}

static uint8_t *scratch_at(const struct sender *tx)
{
	return tx->scratch + tx->used;
}

/* Into the scratch, wherever the pieces come from; they have their out filled in. */
static void seal_scratch(struct tunnel *t, const struct sl_piece *pieces, unsigned n)
{
	struct sender *tx = &t->tx;
	uint8_t *head = scratch_at(tx);
	int len = sl_data_seal(t->data, head, pieces, n);

	if (len >= 0) {
		*sl_yard_iov(&tx->yard) = (struct iovec){head, (size_t)len};
		tx->used += (size_t)len;
	}
	sealed(tx, len, 1);
}

static void seal_in_place(struct tunnel *t, const struct sl_ring *ring, struct sl_packet *packet)
{
	struct sender *tx = &t->tx;
	struct iovec *iov = sl_yard_iov(&tx->yard);
	struct sl_piece pieces[SEGMENT_IOVS_MAX];
	uint8_t *head = tx->heads[tx->yard.n_segments];
	unsigned count = packet->more + 1u, first = 1;

	if (packet->headroom >= SL_DATA_OVERHEAD) {
		head = packet->frag.addr - SL_DATA_OVERHEAD;
		first = 0;
	}
	for (unsigned i = 0; i < count; i++) {
		const struct sl_frag *frag = sl_ring_frag(ring, packet, i);

		pieces[i] = (struct sl_piece){frag->addr, frag->addr, frag->len};
		iov[first + i] = (struct iovec){frag->addr, frag->len};
	}
	iov[0] = (struct iovec){head, SL_DATA_OVERHEAD + (first ? 0 : packet->frag.len)};
	sealed(tx, sl_data_seal(t->data, head, pieces, count), first + count);
}

static void seal_elsewhere(struct tunnel *t, const struct sl_ring *ring, struct sl_packet *packet)
{
	uint8_t *out = scratch_at(&t->tx) + SL_DATA_OVERHEAD;
	struct sl_piece pieces[SL_PACKET_FRAGS_MAX];

	for (unsigned i = 0; i <= packet->more; i++) {
		const struct sl_frag *frag = sl_ring_frag(ring, packet, i);

		pieces[i] = (struct sl_piece){frag->addr, out, frag->len};
		out += frag->len;
	}
	sl_count_add(&t->tx.count.copied, 1);
	seal_scratch(t, pieces, packet->more + 1u);
}

/* virtio 1.2, 5.1.6.2: the field holds the sum of the pseudo header. False when it lies. */
static bool complete_csum(uint8_t *bytes, uint32_t len, const struct sl_offload *offload)
{
	uint32_t start = offload->csum_start, field = start + offload->csum_offset;
	uint16_t sum;

	if (field + 2 > len)
		return false;
	sum = (uint16_t)~sl_csum_fold(sl_csum_add(0, bytes + start, len - start));
	sum = sum ? sum : 0xffff; /* 0 would say "no checksum" (RFC 768); the same number */
	memcpy(bytes + field, &sum, sizeof(sum));
	return true;
}

/* What has to be changed before it is sealed: where it lies when it may be, else in a copy. */
static void seal_changed(struct tunnel *t, const struct sl_ring *ring, struct sl_packet *packet,
			 uint32_t len, const struct sl_offload *csum, bool syn)
{
	uint8_t *bytes = scratch_at(&t->tx) + SL_DATA_OVERHEAD;
	bool here = packet->flags & SL_PACKET_WRITABLE && !packet->more;
	struct sl_piece piece = {bytes, bytes, len};

	if (here) {
		bytes = packet->frag.addr;
	} else {
		sl_frags_copy(ring, packet, 0, bytes, len);
		sl_count_add(&t->tx.count.copied, 1);
	}
	if (csum && !complete_csum(bytes, len, csum)) {
		drop(&t->tx, SL_DROP_MALFORMED, 1);
		return;
	}
	if (syn)
		sl_tunnel_clamp(t, bytes, len, len);
	if (here)
		seal_in_place(t, ring, packet);
	else
		seal_scratch(t, &piece, 1);
}

/* A packet that is one. */
static void seal_plain(struct tunnel *t, struct sl_ring *ring, uint32_t at)
{
	struct sl_packet *packet = sl_ring_packet(ring, at);
	uint32_t len = sl_ring_packet_len(ring, packet);
	const struct sl_offload *csum = NULL;
	uint8_t first[128];
	bool syn;

	if (len > FRAME_MAX - SL_DATA_OVERHEAD || too_big(t, ring, packet, len, len)) {
		drop(&t->tx, SL_DROP_TOO_LARGE, 1);
		return;
	}
	if (packet->flags & SL_PACKET_OFFLOAD &&
	    sl_ring_offload(ring, at)->flags & SL_OFFLOAD_NEEDS_CSUM)
		csum = sl_ring_offload(ring, at);
	syn = sl_tunnel_is_syn(t, first, sl_frags_copy(ring, packet, 0, first, sizeof(first)));
	if (csum || syn)
		seal_changed(t, ring, packet, len, csum, syn);
	else if (packet->flags & SL_PACKET_WRITABLE && packet->more + 2 <= SEGMENT_IOVS_MAX)
		seal_in_place(t, ring, packet);
	else
		seal_elsewhere(t, ring, packet);
}

/*
 * Super-packets.
 */

static bool start_cutting(struct tunnel *t, struct sl_ring *ring, uint32_t at)
{
	struct sl_packet *packet = sl_ring_packet(ring, at);
	uint32_t len = sl_ring_packet_len(ring, packet);
	struct sender *tx = &t->tx;
	uint8_t copy[SL_HEADERS_MAX];
	size_t copied = sl_frags_copy(ring, packet, 0, copy, sizeof(copy));
	uint32_t largest;
	int ret = sl_cut_start(&tx->cut, copy, copied, len, t->layer, sl_ring_offload(ring, at));

	if (ret) {
		drop(tx, ret == -EOPNOTSUPP ? SL_DROP_UNSUPPORTED : SL_DROP_MALFORMED, 1);
		return false;
	}
	largest = (uint32_t)tx->cut.headers_len + tx->cut.gso_size;
	if (largest > FRAME_MAX - SL_DATA_OVERHEAD || too_big(t, ring, packet, len, largest)) {
		drop(tx, SL_DROP_TOO_LARGE, 1);
		return false;
	}
	sl_count_add(&tx->count.cut, 1);
	sl_count_add(&tx->count.copied, 1);
	return true;
}

/* The next segment: copied to the scratch, summed and sealed there while it is in the nearest
 * cache. (Sealing it on its way saves a copy and costs the cipher a second piece, which is more.)
 * Returns false when it was the last. */
static bool seal_segment(struct tunnel *t, const struct sl_ring *ring, struct sl_packet *packet)
{
	struct sl_cut *cut = &t->tx.cut;
	uint8_t *out = scratch_at(&t->tx) + SL_DATA_OVERHEAD, *payload = out + cut->headers_len;
	struct sl_segment segment;
	struct sl_piece piece;

	if (!sl_cut_next(cut, out, &segment))
		return false;
	sl_cut_csum(cut, out,
		    sl_frags_copy_csum(ring, packet, segment.at, payload, segment.len, 0));
	piece = (struct sl_piece){out, out, cut->headers_len + segment.len};
	seal_scratch(t, &piece, 1);
	return cut->at < cut->end;
}

/*
 * A burst. Entries are taken when they are begun and given back when all that came of them
 * is sent or counted.
 */

static bool room(const struct sender *tx)
{
	return sl_yard_room(&tx->yard) && tx->used + FRAME_MAX <= SCRATCH_BYTES;
}

static void end_entry(struct sender *tx)
{
	tx->cutting = false;
	tx->sealed_at++;
	sl_yard_mark(&tx->yard, tx->sealed_at);
}

static void begin_entry(struct tunnel *t, struct sl_ring *ring, uint32_t at)
{
	const struct sl_packet *packet = sl_ring_packet(ring, at);
	struct sender *tx = &t->tx;

	sl_ring_take(ring, 1);
	if (packet->flags & SL_PACKET_OFFLOAD && sl_ring_offload(ring, at)->gso_type)
		tx->cutting = start_cutting(t, ring, at);
	else
		seal_plain(t, ring, at);
	if (!tx->cutting)
		end_entry(tx);
}

static unsigned fill(struct tunnel *t, struct sl_ring *ring)
{
	struct sender *tx = &t->tx;
	uint32_t at, ready = sl_ring_ready(ring, &at);
	unsigned n = 0;

	tx->used = 0;
	if (!sl_ring_in_flight(ring)) {
		tx->at = tx->sealed_at = at;
		sl_yard_mark(&tx->yard, at);
	}
	sl_store_relaxed(&t->unsent, ready || tx->cutting);
	while (room(tx)) {
		if (tx->cutting) {
			if (!seal_segment(t, ring, sl_ring_packet(ring, tx->sealed_at)))
				end_entry(tx);
		} else if (n < ready && n < BURST) {
			begin_entry(t, ring, at + n++);
		} else {
			break;
		}
	}
	return n;
}

static unsigned give_back(struct sender *tx, struct sl_ring *ring, uint32_t upto)
{
	unsigned n = 0;

	for (; tx->at != upto; tx->at++, n++)
		sl_ring_done(ring, tx->at);
	return n;
}

/* False when the socket is full. */
static bool flush(struct tunnel *t, struct sl_ring *ring, unsigned *done)
{
	struct sender *tx = &t->tx;
	uint64_t sent = tx->count.packets;
	bool was_whole = tx->yard.whole, all;
	uint32_t upto = tx->at;

	all = sl_yard_send(&tx->yard, &tx->count, &upto);
	*done += give_back(tx, ring, all ? tx->sealed_at : upto);
	if (tx->count.packets != sent)
		sl_store_relaxed(&t->sent_at, sl_now_ns());
	if (all)
		sl_store_relaxed(&t->unsent, 0);
	if (was_whole && !tx->yard.whole && !tx->said) {
		tx->said = true;
		sl_log(t->log, SL_LOG_INFO,
		       "tunnel: the kernel takes no trains here (UDP_SEGMENT): each packet is a "
		       "message of its own");
	}
	return all;
}

/* What is sealed and not sent, or begun, is lost. */
static void cancel(struct tunnel *t, struct sl_ring *ring, enum sl_drop reason)
{
	struct sender *tx = &t->tx;

	drop(tx, reason, sl_yard_clear(&tx->yard) + tx->cutting);
	give_back(tx, ring, tx->sealed_at + tx->cutting);
	tx->cutting = false;
	tx->sealed_at = tx->at;
	sl_store_relaxed(&t->unsent, 0);
}

void sl_tunnel_forget(struct tunnel *t)
{
	struct sender *tx = &t->tx;
	unsigned packets = sl_yard_clear(&tx->yard) + tx->cutting;
	unsigned entries = tx->sealed_at - tx->at + tx->cutting;

	if (packets > entries)
		drop(tx, SL_DROP_RECALLED, packets - entries);
	tx->cutting = false;
	tx->at = tx->sealed_at;
	sl_store_relaxed(&t->unsent, 0);
}

int sl_tunnel_tx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct tunnel *t = tunnel_of(port);
	struct sender *tx = &t->tx;
	uint32_t peer = tx->peer_changes, at;
	uint64_t sent = tx->count.packets;
	unsigned n, done = 0;
	bool session = learn_peer(t);

	(void)q;
	if (peer != tx->peer_changes) /* what waits is sealed for another, or sent elsewhere */
		cancel(t, ring, SL_DROP_NO_SESSION);
	if (sl_ring_in_flight(ring) && !flush(t, ring, &done) && !sl_ring_recalled(ring))
		return (int)done;
	if (sl_ring_recalled(ring)) {
		cancel(t, ring, SL_DROP_RECALLED);
		return (int)done;
	}
	if (!session) {
		n = sl_ring_ready(ring, &at);
		drop(tx, SL_DROP_NO_SESSION, n);
		sl_ring_consume(ring, n);
		return (int)(done + n);
	}
	n = fill(t, ring);
	flush(t, ring, &done);
	return (int)(n + done + (tx->count.packets != sent)); /* of a long super-packet */
}
