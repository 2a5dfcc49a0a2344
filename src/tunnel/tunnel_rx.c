/* SPDX-License-Identifier: BSD-2-Clause */
/* From the socket: open what is sealed, hand control packets on, post the rest. */
#include <errno.h>

#include <sluice/producer.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/count.h"
#include "tunnel/tunnel_private.h"
#include "tunnel/wire.h"

#define STRIDE ((HEADROOM + FRAME_MAX + TAILROOM + 63) & ~63ul)

static uint8_t *buffer_at(const struct receiver *rx, uint16_t buffer)
{
	return rx->base + buffer * STRIDE + HEADROOM;
}

static void drop(struct receiver *rx, enum sl_drop reason)
{
	sl_count_add(&rx->count.drops[reason], 1);
}

static void reclaim(struct receiver *rx, struct sl_ring *ring)
{
	uint32_t at, n = sl_ring_returned(ring, &at);

	for (uint32_t i = 0; i < n; i++)
		rx->free[rx->n_free++] = (uint16_t)sl_ring_packet(ring, at + i)->cookie;
	sl_ring_reclaim(ring, n);
}

static void fill(struct receiver *rx, struct sl_ring *ring, uint32_t at, uint16_t buffer,
		 uint8_t *start, uint32_t len)
{
	*sl_ring_packet(ring, at) = (struct sl_packet){
		.frag = {start, len, 0, TAILROOM},
		.cookie = buffer,
		.flags = SL_PACKET_WRITABLE,
		.headroom = (uint16_t)(start - buffer_at(rx, buffer) + HEADROOM),
	};
	sl_count_add(&rx->count.packets, 1);
	sl_count_add(&rx->count.bytes, len);
}

/* The ICMP packets that the sending thread asked for. What finds no room is forgotten. */
static uint32_t post_answers(struct tunnel *t, struct sl_ring *ring, uint32_t at, uint32_t room)
{
	struct receiver *rx = &t->rx;
	uint32_t n = 0;

	if (!sl_load_acquire(&t->n_answers))
		return 0;
	pthread_mutex_lock(&t->lock);
	for (; n < sl_min(t->n_answers, room); n++) {
		uint16_t buffer = rx->free[--rx->n_free];

		memcpy(buffer_at(rx, buffer), t->answers[n].bytes, t->answers[n].len);
		fill(rx, ring, at + n, buffer, buffer_at(rx, buffer), t->answers[n].len);
	}
	sl_store_relaxed(&t->n_answers, 0);
	pthread_mutex_unlock(&t->lock);
	return n;
}

/*
 * One sealed packet.
 */

static enum sl_drop reason_of(int err)
{
	switch (err) {
	case -EINVAL:
		return SL_DROP_TOO_SHORT;
	case -ENOKEY:
		return SL_DROP_UNKNOWN_KEY;
	case -EALREADY:
		return SL_DROP_REPLAYED;
	case -EBADMSG:
		return SL_DROP_AUTH_FAILED;
	default:
		return SL_DROP_REFUSED;
	}
}

/* Pings and OpenVPN's own messages end here. */
static bool is_own(struct tunnel *t, const struct sl_data_opened *opened, uint64_t now_ns)
{
	if (opened->len == CONTROL_STRING_LEN &&
	    !memcmp(opened->payload, sl_tunnel_ping, CONTROL_STRING_LEN))
		return true;
	if (opened->len <= CONTROL_STRING_LEN ||
	    memcmp(opened->payload, sl_tunnel_occ, CONTROL_STRING_LEN))
		return false;
	if (opened->payload[CONTROL_STRING_LEN] == OCC_EXIT)
		sl_control_lost(t->control, "it says that it goes away", now_ns);
	return true;
}

static bool is_packet(const struct tunnel *t, const struct sl_data_opened *opened)
{
	if (t->layer == 2)
		return opened->len >= ETH_LEN;
	return opened->len && (opened->payload[0] >> 4 == 4 || opened->payload[0] >> 4 == 6);
}

static bool open_data(struct tunnel *t, const struct sl_address *from, uint8_t *packet, size_t len,
		      uint64_t now_ns, struct sl_data_opened *opened)
{
	struct receiver *rx = &t->rx;
	bool moved, newest;
	int ret;

	moved = !sl_address_equal(from, &rx->peer);
	if (!rx->peer.len || (moved && !t->floats)) {
		drop(rx, SL_DROP_NO_SESSION);
		return false;
	}
	ret = sl_data_open(t->data, packet, len, opened);
	if (ret == -EKEYREJECTED)
		sl_control_lost(t->control, "it seals with the same half of the key as this end",
				now_ns);
	if (ret) {
		drop(rx, reason_of(ret));
		return false;
	}
	rx->heard_at = now_ns;
	newest = sl_control_heard(t->control, opened->key_id, now_ns) && opened->newest;
	if (moved && newest) {
		sl_control_moved(t->control, from, now_ns);
		sl_tunnel_set_peer(t, from);
	}
	if (is_own(t, opened, now_ns))
		return false;
	if (is_packet(t, opened))
		return true;
	drop(rx, SL_DROP_NOT_IP);
	return false;
}

static void take_control(struct tunnel *t, const struct sl_address *from, const uint8_t *bytes,
			 size_t len, uint64_t now_ns)
{
	int ret = sl_control_input(t->control, from, bytes, len, now_ns);

	if (ret)
		drop(&t->rx, ret == -ENOTCONN ? SL_DROP_NO_SESSION : SL_DROP_MALFORMED);
}

/* Returns true when @opened is a packet to post. */
static bool take(struct tunnel *t, unsigned i, uint8_t *bytes, uint64_t now_ns,
		 struct sl_data_opened *opened)
{
	struct receiver *rx = &t->rx;
	const struct msghdr *hdr = &rx->msgs[i].msg_hdr;
	size_t len = rx->msgs[i].msg_len;

	rx->from[i].len = hdr->msg_namelen;
	if (hdr->msg_flags & MSG_TRUNC) {
		drop(rx, SL_DROP_TRUNCATED);
		return false;
	}
	if (!len) {
		drop(rx, SL_DROP_TOO_SHORT);
		return false;
	}
	if (P_OPCODE(bytes[0]) == P_DATA_V2)
		return open_data(t, &rx->from[i], bytes, len, now_ns, opened);
	take_control(t, &rx->from[i], bytes, len, now_ns);
	return false;
}

/*
 * A burst.
 */

static void count_overflows(struct receiver *rx, const struct msghdr *hdr)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(hdr);
	uint32_t now;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_RXQ_OVFL)
		return;
	memcpy(&now, CMSG_DATA(c), sizeof(now));
	sl_count_add(&rx->count.drops[SL_DROP_SOURCE], now - rx->overflows);
	rx->overflows = now;
}

static int receive(struct tunnel *t, unsigned room)
{
	struct receiver *rx = &t->rx;

	for (unsigned i = 0; i < room; i++) {
		rx->iov[i].iov_base = buffer_at(rx, rx->free[rx->n_free - 1 - i]);
		rx->iov[i].iov_len = FRAME_MAX;
		rx->msgs[i].msg_hdr = (struct msghdr){
			.msg_name = &rx->from[i].sa,
			.msg_namelen = sizeof(rx->from[i].in6),
			.msg_iov = &rx->iov[i],
			.msg_iovlen = 1,
			.msg_control = rx->control[i],
			.msg_controllen = sizeof(rx->control[i]),
		};
	}
	return recvmmsg(t->udp.fd, rx->msgs, room, MSG_DONTWAIT, NULL);
}

int sl_tunnel_rx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct tunnel *t = tunnel_of(port);
	struct receiver *rx = &t->rx;
	uint32_t at, room, posted;
	uint16_t taken[BURST];
	uint64_t now_ns;
	int n;

	(void)q;
	reclaim(rx, ring);
	room = sl_min(sl_ring_room(ring, &at), rx->n_free);
	rx->starved = !room;
	posted = post_answers(t, ring, at, room);
	room = sl_min(room - posted, (uint32_t)BURST);
	n = room ? receive(t, room) : 0;
	now_ns = n > 0 ? sl_now_ns() : 0;
	for (int i = 0; i < n; i++)
		taken[i] = rx->free[--rx->n_free];
	for (int i = 0; i < n; i++) {
		struct sl_data_opened opened;

		count_overflows(rx, &rx->msgs[i].msg_hdr);
		if (!take(t, (unsigned)i, rx->iov[i].iov_base, now_ns, &opened)) {
			rx->free[rx->n_free++] = taken[i];
			continue;
		}
		if (sl_tunnel_is_syn(t, opened.payload, opened.len))
			sl_tunnel_clamp(t, opened.payload, opened.len, opened.len);
		fill(rx, ring, at + posted++, taken[i], opened.payload, opened.len);
	}
	if (posted)
		sl_ring_post(ring, posted);
	return n > 0 ? sl_max(n, (int)posted) : (int)posted;
}
