/* SPDX-License-Identifier: BSD-2-Clause */
/* From the socket: open what is sealed, hand control packets on, post the rest. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>

#include <sluice/producer.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/count.h"
#include "tunnel/tunnel_private.h"
#include "tunnel/wire.h"

static uint8_t *buffer_at(const struct receiver *rx, uint16_t buffer)
{
	return rx->base + buffer * (size_t)STRIDE;
}

static void drop(struct receiver *rx, enum sl_drop reason)
{
	sl_count_add(&rx->count.drops[reason], 1);
}

/* The buffers of one entry's cookie are a list: 0 ends it, b + 1 is buffer b. */
static void free_list(struct receiver *rx, uint32_t list)
{
	for (; list; list = rx->following[list - 1])
		rx->free[rx->n_free++] = (uint16_t)(list - 1);
}

static void reclaim(struct receiver *rx, struct sl_ring *ring)
{
	uint32_t at, n = sl_ring_returned(ring, &at);

	for (uint32_t i = 0; i < n; i++)
		free_list(rx, (uint32_t)sl_ring_packet(ring, at + i)->cookie);
	sl_ring_reclaim(ring, n);
}

/*
 * Posting. Entries are given out in the order in which they are filled; buffers, which may hold
 * packets of several entries, come back with the last entry of the burst.
 */

static struct sl_packet *next_entry(struct receiver *rx, struct sl_ring *ring)
{
	return sl_ring_packet(ring, rx->at + rx->posted++);
}

static void finish_entry(struct receiver *rx, struct sl_packet *packet, uint32_t len)
{
	packet->cookie = 0;
	packet->flags = SL_PACKET_WRITABLE;
	packet->headroom = SL_DATA_OVERHEAD; /* its own seal, which nobody needs any more */
	sl_count_add(&rx->count.packets, 1);
	sl_count_add(&rx->count.bytes, len);
}

static void post_plain(struct receiver *rx, struct sl_ring *ring, uint8_t *bytes, uint32_t len)
{
	struct sl_packet *packet = next_entry(rx, ring);

	packet->frag = (struct sl_frag){bytes, len, 0, 0};
	packet->more = 0;
	finish_entry(rx, packet, len);
}

static void post_merge(struct receiver *rx, struct sl_ring *ring, unsigned i)
{
	struct sl_coalesce *c = &rx->merges[i];
	uint32_t at = rx->at + rx->posted;
	struct sl_packet *packet = next_entry(rx, ring);
	bool merged = sl_coalesce_finish(c, sl_ring_offload(ring, at));

	/* It cannot fail: entries and fragments were counted before anything was merged. */
	sl_ring_chain(ring, at, c->frags, c->n);
	finish_entry(rx, packet, c->len);
	if (merged)
		packet->flags |= SL_PACKET_OFFLOAD;
	rx->n_merges--;
	memmove(c, c + 1, (rx->n_merges - i) * sizeof(*c));
}

static void post_merges(struct receiver *rx, struct sl_ring *ring)
{
	while (rx->n_merges)
		post_merge(rx, ring, 0);
}

/* The ICMP packets that the sending thread asked for. What finds no room is forgotten. */
static void post_answers(struct tunnel *t, struct sl_ring *ring)
{
	struct receiver *rx = &t->rx;

	if (!sl_load_acquire(&t->n_answers))
		return;
	pthread_mutex_lock(&t->lock);
	for (uint32_t n = 0; n < t->n_answers && rx->entries && rx->n_free; n++) {
		uint16_t buffer = rx->free[--rx->n_free];
		uint8_t *bytes = buffer_at(rx, buffer) + SL_DATA_OVERHEAD;

		memcpy(bytes, t->answers[n].bytes, t->answers[n].len);
		post_plain(rx, ring, bytes, t->answers[n].len);
		rx->following[buffer] = rx->spent;
		rx->spent = buffer + 1u;
		rx->entries--;
	}
	sl_store_relaxed(&t->n_answers, 0);
	pthread_mutex_unlock(&t->lock);
}

/* A fragment but the first, in which no ports are; @ip: of at least 8 bytes. */
static bool later_fragment(const uint8_t *ip)
{
	return *ip >> 4 == 4 && sl_get_be16(ip + 6) & IP_OFFMASK;
}

/* Could the two be of one flow? In doubt, yes: what is not merged must not overtake. */
static bool may_be_of(const struct sl_coalesce *c, const uint8_t *bytes, uint32_t len)
{
	const uint8_t *first = c->frags[0].addr;
	unsigned ip = c->h.l3, at = c->h.ip == 4 ? 12 : 8, n = c->h.ip == 4 ? 8 : 32;

	if (len < ip + at + n || memcmp(first, bytes, ip) != 0 || (first[ip] ^ bytes[ip]) >> 4)
		return len < ip + at + n;
	if (memcmp(first + ip + at, bytes + ip + at, n) != 0)
		return false;
	/* The same header length and protocol: then ports lie where ports lie. */
	if (len < c->h.l4 + 4u || first[ip] != bytes[ip] || later_fragment(bytes + ip) ||
	    first[ip + (c->h.ip == 4 ? 9 : 6)] != bytes[ip + (c->h.ip == 4 ? 9 : 6)])
		return true;
	return !memcmp(first + c->h.l4, bytes + c->h.l4, 4);
}

/* An opened packet: append it to one that it follows, or give it an entry of its own. */
static void post(struct tunnel *t, struct sl_ring *ring, uint8_t *bytes, uint32_t len)
{
	struct receiver *rx = &t->rx;

	if (!t->merges) {
		rx->entries--;
		post_plain(rx, ring, bytes, len);
		return;
	}
	for (unsigned i = 0; i < rx->n_merges && rx->frags; i++) {
		if (!sl_coalesce_add(&rx->merges[i], bytes, len))
			continue;
		rx->frags--;
		return;
	}
	rx->entries--;
	for (unsigned i = rx->n_merges; i-- > 0;)
		if (may_be_of(&rx->merges[i], bytes, len))
			post_merge(rx, ring, i);
	if (rx->n_merges == MERGES_MAX)
		post_merge(rx, ring, 0);
	if (sl_coalesce_start(&rx->merges[rx->n_merges], bytes, len, t->layer, t->merges))
		rx->n_merges++;
	else
		post_plain(rx, ring, bytes, len);
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

/*
 * The kernel counts the messages that its queue had no room for, and one may be a train of many
 * packets. They came just before the message that told of them: so many ids are missing. A new
 * key's start at 1; what was lost of the end of the key before it, nobody knows.
 */
static void count_rest(struct receiver *rx, const uint8_t *packet, bool newest)
{
	uint32_t *last = &rx->last_ids[P_KEY_ID(packet[0])], id = sl_get_be32(packet + 4);
	uint64_t most = (uint64_t)rx->missed * TRAIN_MAX, lost;

	if (!newest)
		return;
	if (id <= *last) /* another key of this key id */
		*last = 0;
	lost = sl_min((uint64_t)id - *last - 1, most);
	if (lost > rx->missed)
		sl_count_add(&rx->count.drops[SL_DROP_SOURCE], lost - rx->missed);
	rx->missed = 0;
	*last = id;
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
	count_rest(rx, packet, opened->newest);
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
static bool take(struct tunnel *t, const struct sl_address *from, uint8_t *bytes, size_t len,
		 uint64_t now_ns, struct sl_data_opened *opened)
{
	if (P_OPCODE(bytes[0]) == P_DATA_V2)
		return open_data(t, from, bytes, len, now_ns, opened);
	take_control(t, from, bytes, len, now_ns);
	return false;
}

/*
 * A burst. What was received and finds no room in the ring waits, still sealed.
 */

static void count_overflows(struct receiver *rx, const struct cmsghdr *c)
{
	uint32_t now;

	memcpy(&now, CMSG_DATA(c), sizeof(now));
	sl_count_add(&rx->count.drops[SL_DROP_SOURCE], now - rx->overflows);
	rx->missed += now - rx->overflows;
	rx->overflows = now;
}

/* Bytes of each datagram but the last in what the kernel has put together (UDP_GRO). */
static uint32_t read_control(struct receiver *rx, struct msghdr *hdr, uint32_t len)
{
	int size = (int)len;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL)
			count_overflows(rx, c);
		else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
			memcpy(&size, CMSG_DATA(c), sizeof(size));
	}
	return size > 0 ? (uint32_t)size : len;
}

static void receive(struct tunnel *t)
{
	struct receiver *rx = &t->rx;
	unsigned room = sl_min(rx->n_free, (uint32_t)BURST);
	int n;

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
	n = room ? recvmmsg(t->udp.fd, rx->msgs, room, MSG_DONTWAIT, NULL) : 0;
	rx->n_msgs = n > 0 ? (unsigned)n : 0;
	rx->msg = 0;
	rx->offset = 0;
	for (unsigned i = 0; i < rx->n_msgs; i++)
		rx->buffers[i] = rx->free[--rx->n_free];
}

/* A received buffer is done with. Without a packet in it it is free again; else it comes back
 * with the last entry of this burst, or of the next that posts something. */
static void end_buffer(struct receiver *rx)
{
	uint16_t buffer = rx->buffers[rx->msg++];

	rx->offset = 0;
	if (rx->lent) {
		rx->following[buffer] = rx->spent;
		rx->spent = buffer + 1u;
	} else {
		rx->free[rx->n_free++] = buffer;
	}
	rx->lent = false;
}

/* The next datagram of the message that is looked at. */
static void step(struct tunnel *t, struct sl_ring *ring, uint64_t now_ns)
{
	struct receiver *rx = &t->rx;
	struct msghdr *hdr = &rx->msgs[rx->msg].msg_hdr;
	uint32_t all = rx->msgs[rx->msg].msg_len, len;
	uint8_t *bytes = buffer_at(rx, rx->buffers[rx->msg]) + rx->offset;
	struct sl_data_opened opened;

	if (!rx->offset) {
		rx->from[rx->msg].len = hdr->msg_namelen;
		rx->size = read_control(rx, hdr, all);
		if (!all || hdr->msg_flags & MSG_TRUNC) {
			drop(rx, all ? SL_DROP_TRUNCATED : SL_DROP_TOO_SHORT);
			end_buffer(rx);
			return;
		}
	}
	len = sl_min(rx->size, all - rx->offset);
	rx->offset += len;
	if (take(t, &rx->from[rx->msg], bytes, len, now_ns, &opened)) {
		rx->lent = true;
		if (sl_tunnel_is_syn(t, opened.payload, opened.len))
			sl_tunnel_clamp(t, opened.payload, opened.len, opened.len);
		post(t, ring, opened.payload, opened.len);
	}
	if (rx->offset == all)
		end_buffer(rx);
}

int sl_tunnel_rx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct tunnel *t = tunnel_of(port);
	struct receiver *rx = &t->rx;
	unsigned steps = 0;
	uint64_t now_ns;

	(void)q;
	reclaim(rx, ring);
	rx->entries = sl_ring_room(ring, &rx->at);
	rx->frags = sl_ring_frag_room(ring);
	rx->starved = !rx->entries || (!rx->n_free && rx->msg == rx->n_msgs);
	rx->posted = 0;
	post_answers(t, ring);
	if (rx->msg == rx->n_msgs && rx->entries)
		receive(t);
	now_ns = rx->msg < rx->n_msgs ? sl_now_ns() : 0;
	for (; rx->entries && rx->msg < rx->n_msgs; steps++)
		step(t, ring, now_ns);
	post_merges(rx, ring);
	if (rx->posted) {
		sl_ring_packet(ring, rx->at + rx->posted - 1)->cookie = rx->spent;
		rx->spent = 0;
		sl_ring_post(ring, rx->posted);
	}
	if (!steps && !rx->posted && rx->entries && rx->starved)
		return -ENOBUFS;
	return (int)(steps + rx->posted);
}
