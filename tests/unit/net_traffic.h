/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets for net_rig.h: buffers of the driver's, in any shape, each in a slot of its own; and what
 * a link's other port does with rings. */
#ifndef SL_TESTS_NET_TRAFFIC_H
#define SL_TESTS_NET_TRAFFIC_H

#include "net_rig.h"

#define GAP	   8u /* between the elements of a buffer, so that they are apart */
#define ELEMS_MAX  SIZE
#define PACKET_MAX 66000u

static inline void pattern(uint8_t *to, uint32_t len, unsigned seed)
{
	for (uint32_t i = 0; i < len; i++)
		to[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8) + 1);
}

static inline bool is_pattern(const uint8_t *from, uint32_t len, unsigned seed)
{
	for (uint32_t i = 0; i < len; i++)
		if (from[i] != (uint8_t)(seed * 31 + i * 7 + (i >> 8) + 1))
			return false;
	return true;
}

/*
 * The driver's buffers.
 */

/* The @i-th of buffer @n. */
static inline uint8_t *element(unsigned q, unsigned n, const uint32_t *lens, unsigned i)
{
	uint8_t *at = front.guest + SLOT_AT(q, n);

	while (i--)
		at += lens[i] + GAP;
	return at;
}

static inline void scatter(unsigned q, unsigned n, const uint32_t *lens, unsigned n_lens,
			   const uint8_t *bytes)
{
	for (unsigned i = 0; i < n_lens; bytes += lens[i++])
		memcpy(element(q, n, lens, i), bytes, lens[i]);
}

static inline void collect(unsigned q, unsigned n, const uint32_t *lens, unsigned n_lens,
			   uint8_t *bytes)
{
	for (unsigned i = 0; i < n_lens; bytes += lens[i++])
		memcpy(bytes, element(q, n, lens, i), lens[i]);
}

/* Not published yet. Returns its number, or -ENOSPC. */
static inline int add(unsigned q, const uint32_t *lens, unsigned n_lens)
{
	struct driver *d = &rig.queues[q];
	struct virtq_elem elems[ELEMS_MAX];
	int id;

	for (unsigned i = 0; i < n_lens; i++)
		elems[i] = (struct virtq_elem){
			{GUEST_AT + (uint64_t)(element(q, d->given, lens, i) - front.guest)},
			lens[i]};
	id = sl_virtq_add(&d->vq, elems, q & 1 ? n_lens : 0, n_lens);
	if (id < 0)
		return id;
	d->ids[d->given % SIZE] = (uint16_t)id;
	return (int)d->given++;
}

static inline void publish(unsigned q)
{
	if (sl_virtq_publish(&rig.queues[q].vq))
		sl_event_signal(rig.queues[q].kick);
}

/* The next that comes back, by its number: there is only one that may be the next. -1: none has. */
static inline int64_t take_back(unsigned q, uint32_t *len)
{
	struct driver *d = &rig.queues[q];
	int id = sl_virtq_get(&d->vq, len);

	if (id == -EAGAIN)
		return -1;
	assert_true(id >= 0);
	assert_true(d->back != d->given);
	assert_int_equal(id, d->ids[d->back % SIZE]);
	return d->back++;
}

/* How many have come back since the last time; nothing was written into them. */
static inline unsigned come_back(unsigned q)
{
	unsigned n = 0;

	for (uint32_t len; take_back(q, &len) >= 0; n++)
		assert_int_equal(len, 0);
	return n;
}

/* A packet of the driver's, header and @len bytes of a pattern, in elements of @lens, or in one. */
static inline int give_shaped(unsigned pair, const struct virtio_net_hdr_v1 *hdr, uint32_t len,
			      unsigned seed, const uint32_t *lens, unsigned n_lens)
{
	static uint8_t bytes[HDR + PACKET_MAX];
	const uint32_t one[] = {HDR + len};
	const struct virtio_net_hdr_v1 none = {0};
	int n;

	memcpy(bytes, hdr ? hdr : &none, HDR);
	pattern(bytes + HDR, len, seed);
	lens = lens ? lens : one;
	n_lens = n_lens ? n_lens : 1;
	n = add(TX_OF(pair), lens, n_lens);
	if (n < 0)
		return n;
	scatter(TX_OF(pair), (unsigned)n, lens, n_lens, bytes);
	publish(TX_OF(pair));
	return n;
}

static inline int give(unsigned pair, uint32_t len, unsigned seed)
{
	return give_shaped(pair, NULL, len, seed, NULL, 0);
}

/*
 * The other port.
 */

static inline uint32_t gather(const struct sl_ring *ring, struct sl_packet *packet, uint8_t *to)
{
	uint32_t len = 0;

	for (uint32_t i = 0; i <= packet->more; i++) {
		const struct sl_frag *frag = sl_ring_frag(ring, packet, i);

		assert_true(len + frag->len <= PACKET_MAX);
		memcpy(to + len, frag->addr, frag->len);
		len += frag->len;
	}
	return len;
}

/* Is the entry at @at such a packet of the driver's, lent? */
static inline void check_lent(unsigned pair, uint32_t at, uint32_t len, unsigned seed)
{
	static uint8_t bytes[PACKET_MAX];
	struct sl_packet *packet = sl_ring_packet(rig.rx[pair], at);

	assert_false(packet->flags & SL_PACKET_WRITABLE);
	assert_int_equal(packet->headroom, 0);
	assert_int_equal(gather(rig.rx[pair], packet, bytes), len);
	assert_true(is_pattern(bytes, len, seed));
	for (uint32_t i = 0; i <= packet->more; i++) {
		assert_int_equal(sl_ring_frag(rig.rx[pair], packet, i)->tailroom, 0);
		assert_int_not_equal(sl_ring_frag(rig.rx[pair], packet, i)->len, 0);
	}
}

/* One that was posted, and is finished at once. */
static inline void consume(unsigned pair, uint32_t len, unsigned seed)
{
	uint32_t at;

	assert_true(sl_ring_ready(rig.rx[pair], &at) > 0);
	check_lent(pair, at, len, seed);
	sl_ring_consume(rig.rx[pair], 1);
}

static inline uint32_t ready(unsigned pair)
{
	uint32_t at;

	return sl_ring_ready(rig.rx[pair], &at);
}

/* A packet for the driver, of @len bytes of a pattern at @bytes, in @n fragments. */
static inline void post(unsigned pair, uint8_t *bytes, uint32_t len, unsigned seed,
			const struct sl_offload *facts, unsigned n)
{
	struct sl_frag frags[SL_PACKET_FRAGS_MAX];
	struct sl_ring *ring = rig.tx[pair];
	uint32_t at, back = sl_ring_returned(ring, &at);

	sl_ring_reclaim(ring, back);
	assert_true(sl_ring_room(ring, &at) > 0);
	pattern(bytes, len, seed);
	for (unsigned i = 0; i < n; i++)
		frags[i] = (struct sl_frag){.addr = bytes + len / n * i,
					    .len = i + 1 < n ? len / n : len - len / n * i};
	*sl_ring_packet(ring, at) = (struct sl_packet){.flags = facts ? SL_PACKET_OFFLOAD : 0};
	if (facts)
		*sl_ring_offload(ring, at) = *facts;
	assert_int_equal(sl_ring_chain(ring, at, frags, n), 0);
	sl_ring_post(ring, 1);
}

/* Packets that the port has not dealt with. */
static inline uint32_t left(unsigned pair)
{
	uint32_t at;

	return sl_ring_ready(rig.tx[pair], &at);
}

/* @n buffers for packets, of @lens. */
static inline void make_room(unsigned pair, unsigned n, const uint32_t *lens, unsigned n_lens)
{
	for (unsigned i = 0; i < n; i++) {
		int got = add(RX_OF(pair), lens, n_lens);

		assert_true(got >= 0);
		for (unsigned k = 0; k < n_lens; k++)
			memset(element(RX_OF(pair), (unsigned)got, lens, k), 0xee, lens[k] + GAP);
	}
	publish(RX_OF(pair));
}

/* A packet that has come to the driver in buffers of @lens each. Returns its length without its
 * header, which is in @hdr; -1 when there is none. */
static inline int64_t arrived(unsigned pair, const uint32_t *lens, unsigned n_lens,
			      struct virtio_net_hdr_v1 *hdr, uint8_t *packet)
{
	static uint8_t bytes[HDR + PACKET_MAX + SLOT], one[SLOT];
	uint32_t total = 0, len, n = 0, room = 0;

	for (unsigned k = 0; k < n_lens; k++)
		room += lens[k];
	do {
		int64_t got = take_back(RX_OF(pair), &len);

		if (got < 0)
			return n ? -2 : -1;
		assert_true(len <= room);
		collect(RX_OF(pair), (unsigned)got, lens, n_lens, one);
		for (unsigned k = 0; k < n_lens; k++) /* nothing behind an element */
			for (unsigned b = 0; b < GAP; b++)
				assert_int_equal(
					element(RX_OF(pair), (unsigned)got, lens, k)[lens[k] + b],
					0xee);
		for (uint32_t b = len; b < room; b++) /* nor what is not said to be written */
			assert_int_equal(one[b], 0xee);
		memcpy(bytes + total, one, len);
		total += len;
		n++;
		if (total >= HDR)
			memcpy(hdr, bytes, HDR);
		if (total >= HDR && n < hdr->num_buffers)
			assert_int_equal(len, room);
	} while (total < HDR || n < hdr->num_buffers);
	memcpy(packet, bytes + HDR, total - HDR);
	return total - HDR;
}

#endif
