/* SPDX-License-Identifier: BSD-2-Clause */
/* To the socket: seal where the packet lies when that is allowed, else on the way elsewhere. */
#include <errno.h>

#include <sluice/consumer.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/count.h"
#include "base/fd.h"
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

	if (sl_load_acquire(&t->peer_changes) != tx->peer_changes) {
		pthread_mutex_lock(&t->lock);
		tx->peer = t->peer;
		tx->peer_changes = sl_load_relaxed(&t->peer_changes);
		pthread_mutex_unlock(&t->lock);
	}
	return tx->peer.len;
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

/* Returns true when the packet must not go. */
static bool too_big(struct tunnel *t, const struct sl_ring *ring, struct sl_packet *packet,
		    uint32_t len)
{
	unsigned mtu = sl_load_relaxed(&t->mtu);
	uint8_t copy[TOO_BIG_MAX], answer[TOO_BIG_MAX];
	size_t have, answer_len;

	if (len <= mtu + (t->layer == 2 ? ETH_LEN : 0))
		return false;
	have = sl_frags_copy(ring, packet, 0, copy, sizeof(copy));
	/* An IPv6 packet of 1280 bytes has to pass, whatever is below (RFC 8200, 5). */
	if (copy[t->layer == 2 ? sl_tunnel_l3(copy) : 0] >> 4 == 6)
		mtu = sl_max(mtu, 1280u);
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
 * Sealing one packet into message n of the burst. Returns 0, or the negative errno of
 * sl_data_seal().
 */

static int seal_in_place(struct tunnel *t, const struct sl_ring *ring, struct sl_packet *packet,
			 unsigned n)
{
	struct iovec *iov = t->tx.iov[n];
	struct sl_piece pieces[IOV_MAX_TX];
	uint8_t *head = t->tx.heads[n];
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
	if (first)
		iov[0] = (struct iovec){head, SL_DATA_OVERHEAD};
	else
		iov[0] = (struct iovec){head, packet->frag.len + SL_DATA_OVERHEAD};
	t->tx.msgs[n].msg_hdr.msg_iovlen = first + count;
	return sl_data_seal(t->data, head, pieces, count);
}

static void use_scratch(struct sender *tx, unsigned n, uint32_t len)
{
	tx->iov[n][0] = (struct iovec){tx->scratch + n * (size_t)FRAME_MAX, len + SL_DATA_OVERHEAD};
	tx->msgs[n].msg_hdr.msg_iovlen = 1;
}

static int seal_elsewhere(struct tunnel *t, const struct sl_ring *ring, struct sl_packet *packet,
			  uint32_t len, unsigned n)
{
	uint8_t *head = t->tx.scratch + n * (size_t)FRAME_MAX, *out = head + SL_DATA_OVERHEAD;
	struct sl_piece pieces[SL_PACKET_FRAGS_MAX];

	for (unsigned i = 0; i <= packet->more; i++) {
		const struct sl_frag *frag = sl_ring_frag(ring, packet, i);

		pieces[i] = (struct sl_piece){frag->addr, out, frag->len};
		out += frag->len;
	}
	use_scratch(&t->tx, n, len);
	sl_count_add(&t->tx.count.copied, 1);
	return sl_data_seal(t->data, head, pieces, packet->more + 1u);
}

/* A SYN may have to be changed: in a copy, unless it lies in one piece that may be written. */
static int seal_syn(struct tunnel *t, const struct sl_ring *ring, struct sl_packet *packet,
		    uint32_t len, unsigned n)
{
	uint8_t *head = t->tx.scratch + n * (size_t)FRAME_MAX, *bytes = head + SL_DATA_OVERHEAD;
	struct sl_piece piece = {bytes, bytes, len};

	sl_frags_copy(ring, packet, 0, bytes, len);
	sl_tunnel_clamp(t, bytes, len, len);
	use_scratch(&t->tx, n, len);
	sl_count_add(&t->tx.count.copied, 1);
	return sl_data_seal(t->data, head, &piece, 1);
}

static int seal(struct tunnel *t, const struct sl_ring *ring, struct sl_packet *packet,
		uint32_t len, unsigned n)
{
	uint8_t first[128];
	size_t have = sl_frags_copy(ring, packet, 0, first, sizeof(first));

	if (sl_tunnel_is_syn(t, first, have))
		return seal_syn(t, ring, packet, len, n);
	if (packet->flags & SL_PACKET_WRITABLE && packet->more + 2 <= IOV_MAX_TX)
		return seal_in_place(t, ring, packet, n);
	return seal_elsewhere(t, ring, packet, len, n);
}

/* Seal an entry into the next message, or count it as a drop. */
static void prepare(struct tunnel *t, const struct sl_ring *ring, uint32_t at)
{
	struct sl_packet *packet = sl_ring_packet(ring, at);
	uint32_t len = sl_ring_packet_len(ring, packet);
	struct sender *tx = &t->tx;
	unsigned n = tx->n;
	int ret;

	tx->entries++;
	if (len > FRAME_MAX - SL_DATA_OVERHEAD || too_big(t, ring, packet, len)) {
		drop(tx, SL_DROP_TOO_LARGE, 1);
		return;
	}
	tx->msgs[n].msg_hdr.msg_name = &tx->peer.sa;
	tx->msgs[n].msg_hdr.msg_namelen = tx->peer.len;
	tx->msgs[n].msg_hdr.msg_iov = tx->iov[n];
	ret = seal(t, ring, packet, len, n);
	if (ret < 0) {
		drop(tx, ret == -EMSGSIZE ? SL_DROP_TOO_LARGE : SL_DROP_NO_SESSION, 1);
		return;
	}
	tx->upto[n] = tx->entries;
	tx->n++;
}

/*
 * Sending.
 */

static enum sl_drop reason_of(int err)
{
	switch (err) {
	case EMSGSIZE:
		return SL_DROP_TOO_LARGE;
	case ENOBUFS:
	case ENOMEM:
		return SL_DROP_NO_BUFFER;
	default:
		return SL_DROP_SEND_FAILED;
	}
}

static void count_sent(struct tunnel *t, unsigned n)
{
	struct sender *tx = &t->tx;
	uint64_t bytes = 0;

	for (unsigned i = tx->next; i < tx->next + n; i++)
		bytes += tx->msgs[i].msg_len - SL_DATA_OVERHEAD;
	sl_count_add(&tx->count.packets, n);
	sl_count_add(&tx->count.bytes, bytes);
	sl_store_relaxed(&t->sent_at, sl_now_ns());
}

/* Send what is sealed; false when the socket is full and some is left. */
static bool flush(struct tunnel *t)
{
	struct sender *tx = &t->tx;

	while (tx->next < tx->n) {
		int sent = sendmmsg(t->udp.fd, tx->msgs + tx->next, tx->n - tx->next, MSG_DONTWAIT);

		if (sent > 0) {
			count_sent(t, (unsigned)sent);
			tx->next += (unsigned)sent;
		} else if (errno == EAGAIN) {
			return false;
		} else if (errno != EINTR) {
			drop(tx, reason_of(errno), 1);
			tx->next++;
		}
	}
	return true;
}

/* Entries of the burst that are over: sent, or counted as drops. */
static unsigned over(const struct sender *tx)
{
	return tx->next == tx->n ? tx->entries : tx->next ? tx->upto[tx->next - 1] : 0;
}

static void release_held(struct sender *tx, struct sl_ring *ring)
{
	for (; tx->given < over(tx); tx->given++, tx->held--)
		sl_ring_done(ring, tx->held_at++);
}

/* What was sealed and not sent. Returns false while the socket is still full. */
static bool go_on(struct tunnel *t, struct sl_ring *ring)
{
	struct sender *tx = &t->tx;

	if (!tx->held)
		return true;
	if (!flush(t) && sl_ring_recalled(ring)) {
		drop(tx, SL_DROP_RECALLED, tx->n - tx->next);
		tx->next = tx->n;
	}
	release_held(tx, ring);
	return !tx->held;
}

int sl_tunnel_tx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct tunnel *t = tunnel_of(port);
	struct sender *tx = &t->tx;
	uint32_t at, ready, done, had = tx->held;

	(void)q;
	if (!go_on(t, ring))
		return (int)(had - tx->held);
	ready = sl_ring_ready(ring, &at);
	if (!learn_peer(t)) {
		drop(tx, SL_DROP_NO_SESSION, ready);
		sl_ring_consume(ring, ready);
		return (int)(ready + had);
	}
	ready = sl_min(ready, (uint32_t)BURST);
	tx->n = tx->next = tx->entries = 0;
	for (uint32_t i = 0; i < ready; i++)
		prepare(t, ring, at + i);
	flush(t);
	done = tx->given = over(tx);
	sl_ring_consume(ring, done);
	if (done < ready) {
		tx->held_at = at + done;
		tx->held = ready - done;
		sl_ring_take(ring, tx->held);
	}
	return (int)(done + had);
}
