/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traffic for tunnels, and a judge: a cutter of its own, byte by byte, and the comparison of what
 * came out with what went in. Nothing here uses src/packet/ but for its structs.
 */
#ifndef SL_TESTS_TUNNEL_TRAFFIC_H
#define SL_TESTS_TUNNEL_TRAFFIC_H

#include <stdbool.h>
#include <stdio.h>

#include "packets.h"

#define ITEM_MAX 70000
#define LIST_MAX 20000
#define UNIQUE	 8u /* random bytes that tell one packet from all others */

/* Packets as they are on a wire. @later: cut off a super-packet, and not its first. */
struct list {
	unsigned n;
	struct {
		uint8_t *bytes;
		uint32_t len;
		bool later, seen;
	} of[LIST_MAX];
};

static inline void list_add(struct list *list, const uint8_t *bytes, uint32_t len, bool later)
{
	want(list->n < LIST_MAX);
	list->of[list->n].bytes = exact(bytes, len);
	list->of[list->n].len = len;
	list->of[list->n].later = later;
	list->of[list->n++].seen = false;
}

static inline void list_clear(struct list *list)
{
	while (list->n) {
		list->n--;
		exact_free(list->of[list->n].bytes, list->of[list->n].len);
	}
}

/* Where the IP header would be. */
static inline uint32_t slow_l3(const uint8_t *p, uint32_t len, unsigned layer)
{
	uint32_t at = layer == 2 ? 14 : 0;

	for (int tags = 0; layer == 2 && tags < 2 && at + 4 <= len; tags++)
		at += get16(p + at - 2) == 0x8100 || get16(p + at - 2) == 0x88a8 ? 4 : 0;
	return at;
}

static inline struct sl_headers slow_headers(const uint8_t *p, uint32_t len, unsigned layer,
					     const struct sl_offload *o)
{
	struct sl_headers h = {.l4 = o->csum_start};

	h.l3 = (uint16_t)slow_l3(p, len, layer);
	h.ip = p[h.l3] >> 4;
	h.proto = (o->gso_type & 0x7f) == SL_GSO_UDP_L4 ? 17 : 6;
	h.payload = (uint16_t)(h.l4 + (h.proto == 17 ? 8 : (p[h.l4 + 12] >> 4) * 4));
	h.end = h.l3 + (h.ip == 4 ? get16(p + h.l3 + 2) : 40 + get16(p + h.l3 + 4));
	want(h.ip == 4 || h.ip == 6);
	want(h.payload < h.end && h.end <= len && o->gso_size);
	return h;
}

static inline uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static inline void slow_segment(const uint8_t *p, const struct sl_headers *whole, uint32_t at,
				uint32_t size, unsigned n, struct list *to)
{
	static uint8_t out[ITEM_MAX];
	struct sl_headers h = *whole;
	uint8_t *ip = out + h.l3, *l4 = out + h.l4;
	uint32_t seq;

	memcpy(out, p, h.payload);
	memcpy(out + h.payload, p + at, size);
	h.end = h.payload + size;
	put16(ip + (h.ip == 4 ? 2 : 4), h.end - h.l3 - (h.ip == 4 ? 0 : 40));
	if (h.ip == 4)
		put16(ip + 4, get16(ip + 4) + n);
	if (h.proto == 17) {
		put16(l4 + 4, h.end - h.l4);
	} else {
		seq = get32(l4 + 4) + at - h.payload;
		put16(l4 + 4, seq >> 16);
		put16(l4 + 6, seq);
		l4[13] &= n ? 0x7f : 0xff;
		l4[13] &= at + size < whole->end ? 0xf6 : 0xff;
	}
	slow_complete(out, &h);
	list_add(to, out, h.end, n);
}

/* What a packet with these facts (NULL: none) is on a wire. Returns how many packets. */
static inline unsigned slow_cut(const uint8_t *p, uint32_t len, unsigned layer,
				const struct sl_offload *o, struct list *to)
{
	struct sl_headers h;
	unsigned n = 0, sum;

	if (o && o->gso_type) {
		h = slow_headers(p, len, layer, o);
		for (uint32_t at = h.payload; at < h.end; at += o->gso_size, n++)
			slow_segment(p, &h, at, o->gso_size < h.end - at ? o->gso_size : h.end - at,
				     n, to);
		return n;
	}
	list_add(to, p, len, false);
	if (o && o->flags & SL_OFFLOAD_NEEDS_CSUM) {
		want(o->csum_start + o->csum_offset + 2u <= len);
		sum = ~slow_sum(0, p + o->csum_start, len - o->csum_start) & 0xffff;
		put16(to->of[to->n - 1].bytes + o->csum_start + o->csum_offset, sum ? sum : 0xffff);
	}
	return 1;
}

/*
 * The judge.
 */

static inline bool has_ports(const uint8_t *ip, uint32_t len, uint32_t at)
{
	uint8_t proto = *ip >> 4 == 4 ? ip[9] : ip[6];

	if ((proto != 6 && proto != 17) || len < at + 4)
		return false;
	return *ip >> 4 == 6 || !(get16(ip + 6) & 0x1fff);
}

/* Are two packets of two flows? In doubt, no. */
static inline bool flows_differ(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len,
				unsigned layer)
{
	uint32_t l3 = slow_l3(a, a_len, layer), least, at;
	bool v4;

	if (l3 != slow_l3(b, b_len, layer) || memcmp(a, b, l3) != 0)
		return true;
	if (a_len <= l3 || b_len <= l3)
		return false;
	a += l3, a_len -= l3, b += l3, b_len -= l3;
	if ((*a ^ *b) >> 4)
		return true;
	v4 = *a >> 4 == 4;
	least = v4 ? 20 : 40;
	if ((!v4 && *a >> 4 != 6) || a_len < least || b_len < least)
		return false;
	at = v4 ? 12 : 8;
	if (memcmp(a + at, b + at, least - at) != 0)
		return true;
	at = v4 ? (*a & 15u) * 4 : 40;
	if ((v4 && *a != *b) || a[v4 ? 9 : 6] != b[v4 ? 9 : 6])
		return false;
	return has_ports(a, a_len, at) && has_ports(b, b_len, at) && memcmp(a + at, b + at, 4) != 0;
}

/* Byte for byte; but a packet with DF that was merged has an id of its own (see coalesce.h). */
static inline bool same_packet(struct list *in, unsigned i, struct list *out, unsigned o,
			       unsigned layer)
{
	uint32_t len = in->of[i].len, l3;
	const uint8_t *was = in->of[i].bytes;
	uint8_t *is = out->of[o].bytes;
	uint8_t ids[4];

	if (len != out->of[o].len)
		return false;
	if (!memcmp(was, is, len))
		return true;
	l3 = slow_l3(was, len, layer);
	if (!out->of[o].later || len < l3 + 20 || was[l3] >> 4 != 4 || !(was[l3 + 6] & 0x40) ||
	    slow_sum(0, is + l3, 20) != 0xffff)
		return false;
	memcpy(ids, is + l3 + 4, 2);
	memcpy(ids + 2, is + l3 + 10, 2);
	memcpy(is + l3 + 4, was + l3 + 4, 2);
	memcpy(is + l3 + 10, was + l3 + 10, 2);
	if (!memcmp(was, is, len))
		return true;
	memcpy(is + l3 + 4, ids, 2);
	memcpy(is + l3 + 10, ids + 2, 2);
	return false;
}

/* What came out went in, once, and in the order of its flow. @lost packets did not come. */
static inline void judge(struct list *in, struct list *out, unsigned layer, uint64_t lost)
{
	static unsigned at[LIST_MAX];
	unsigned first = 0, last = 0;

	for (unsigned o = 0; o < out->n; o++) {
		unsigned i = first;

		while (i < in->n && (in->of[i].seen || !same_packet(in, i, out, o, layer)))
			i++;
		if (i == in->n)
			fail_msg("seed %llu: packet %u of %u bytes never went in",
				 (unsigned long long)seed, o, out->of[o].len);
		in->of[i].seen = true;
		at[o] = i;
		for (unsigned e = 0; i < last && e < o; e++)
			if (at[e] > i &&
			    !flows_differ(in->of[i].bytes, in->of[i].len, in->of[at[e]].bytes,
					  in->of[at[e]].len, layer))
				fail_msg("seed %llu: packet %u overtook packet %u of its flow",
					 (unsigned long long)seed, at[e], i);
		last = i > last ? i : last;
		while (first < in->n && in->of[first].seen)
			first++;
	}
	if (in->n - out->n != lost)
		fail_msg("seed %llu: %u packets went in, %u came out, %llu were counted as lost",
			 (unsigned long long)seed, in->n, out->n, (unsigned long long)lost);
	list_clear(in);
	list_clear(out);
}

/*
 * What is sent.
 */

/* One packet as a device gives it. */
struct item {
	uint32_t len;
	bool facts;
	struct sl_offload offload;
	uint8_t bytes[ITEM_MAX];
};

struct flow {
	uint8_t headers[SL_HEADERS_MAX];
	struct sl_headers h;
	uint32_t seq, size;
	uint16_t id;
};

/* @plain: with headers that may be merged. */
static inline struct flow flow_make(uint64_t *r, unsigned layer, bool plain)
{
	struct sample s = sample_make(r, 0);
	struct flow f;

	while (s.layer != layer || (plain && s.h.l4 - s.h.l3 != (s.h.ip == 4 ? 20 : 40))) {
		sample_free(&s);
		s = sample_make(r, 0);
	}
	f = (struct flow){.h = s.h, .seq = (uint32_t)random_next(r)};
	f.size = random_in(r, UNIQUE, 1400);
	f.id = (uint16_t)(random_next(r) & 1 ? random_next(r) : 0u - random_in(r, 0, 9));
	memcpy(f.headers, s.bytes, s.h.payload);
	if (s.h.proto == 6 && plain) {
		put16(f.headers + s.h.l4 + 18, 0);
		f.headers[s.h.l4 + 12] &= 0xf0;
	}
	sample_free(&s);
	return f;
}

/* The flow's next packet, its checksums complete. */
static inline void item_next(uint64_t *r, struct flow *f, uint32_t payload, uint8_t flags,
			     struct item *it)
{
	struct sl_headers h = f->h;
	uint8_t *p = it->bytes;

	it->facts = false;
	it->len = h.end = h.payload + payload;
	memcpy(p, f->headers, h.payload);
	random_fill(r, p + h.payload, payload);
	put16(p + h.l3 + (h.ip == 4 ? 2 : 4), it->len - h.l3 - (h.ip == 4 ? 0 : 40));
	if (h.ip == 4)
		put16(p + h.l3 + 4, f->id++);
	if (h.proto == 17) {
		put16(p + h.l4 + 4, 8 + payload);
	} else {
		put16(p + h.l4 + 4, f->seq >> 16);
		put16(p + h.l4 + 6, f->seq);
		p[h.l4 + 13] = flags;
		f->seq += payload;
	}
	slow_complete(p, &h);
}

static inline void item_partial(struct item *it, const struct flow *f)
{
	struct sl_headers h = f->h;

	put16(it->bytes + h.l4 + csum_offset(&h), slow_pseudo(it->bytes, &h, it->len - h.l4));
	it->facts = true;
	it->offload = (struct sl_offload){
		.flags = SL_OFFLOAD_NEEDS_CSUM,
		.csum_start = h.l4,
		.csum_offset = (uint16_t)csum_offset(&h),
	};
}

static inline void item_super(uint64_t *r, struct flow *f, uint32_t payload, uint32_t size,
			      struct item *it)
{
	item_next(r, f, payload, (uint8_t)random_next(r), it);
	item_partial(it, f);
	it->offload.gso_size = (uint16_t)size;
	it->offload.hdr_len = (uint16_t)random_next(r);
	it->offload.gso_type = f->h.proto == 17 ? SL_GSO_UDP_L4
			       : f->h.ip == 4	? SL_GSO_TCPV4
						: SL_GSO_TCPV6;
	if (f->h.proto == 6 && random_next(r) & 1)
		it->offload.gso_type |= SL_GSO_ECN;
	if (f->h.ip == 4)
		f->id += (uint16_t)((payload - 1) / size);
}

/* Change the payload so that the checksum comes out as 0: UDP has a rule for that. */
static inline void item_zero_sum(struct item *it, const struct flow *f)
{
	struct sl_headers h = f->h;
	uint8_t *word = it->bytes + h.payload;
	unsigned sum;

	if (it->len < h.payload + 2u)
		return;
	h.end = it->len;
	slow_complete(it->bytes, &h);
	sum = get16(word) + get16(it->bytes + h.l4 + csum_offset(&h));
	put16(word, (sum & 0xffff) + (sum >> 16));
}

/* Neither TCP nor UDP, or a fragment of either: as its header says, whatever follows. */
static inline void item_other(uint64_t *r, const struct flow *f, struct item *it)
{
	uint8_t *ip = it->bytes + f->h.l3;
	bool fragment = random_next(r) & 1;

	if (f->h.ip == 6) {
		ip[6] = fragment ? 44 : 58;
		return;
	}
	if (fragment) { /* there are no ports in a later one */
		put16(ip + 6, random_in(r, 1, 0x3fff));
		random_fill(r, it->bytes + f->h.l4, get16(ip + 6) & 0x1fff ? 4 : 0);
	} else {
		ip[9] = 1;
	}
	put16(ip + 10, 0);
	put16(ip + 10, ~slow_sum(0, ip, (ip[0] & 15u) * 4));
}

/* Headers that lie: some of their bytes are others. */
static inline void item_spoil(uint64_t *r, const struct flow *f, struct item *it)
{
	uint32_t end = f->h.payload + 4u < it->len ? f->h.payload + 4u : it->len;

	for (unsigned n = end ? random_in(r, 1, 3) : 0; n; n--)
		it->bytes[random_in(r, 0, end - 1)] =
			(uint8_t)(random_next(r) & 1 ? random_next(r) : random_in(r, 0, 5));
	if (it->len && !random_in(r, 0, 9))
		it->len = random_in(r, 1, it->len);
}

static inline void item_data(uint64_t *r, struct flow *f, struct item *it)
{
	uint32_t size =
		random_in(r, 0, 5) ? f->size : random_in(r, f->h.proto == 17 ? UNIQUE : 0, 1460);
	uint8_t flags = random_in(r, 0, 7) ? 0x10 : random_in(r, 0, 2) ? 0x18 : 0xff;

	if (size < UNIQUE)
		f->seq += random_in(r, 1, 1u << 30);

	item_next(r, f, size, flags == 0xff ? (uint8_t)random_next(r) : flags, it);
}

/* Anything that may come. @lies: per cent of packets whose headers lie. */
static inline void item_any(uint64_t *r, struct flow *f, unsigned layer, unsigned lies,
			    struct item *it)
{
	uint32_t payload = random_in(r, 1, 1u << random_in(r, 4, 15));
	uint32_t size = random_in(r, payload / 150 + UNIQUE, payload + UNIQUE);
	unsigned kind = random_in(r, 0, 15);

	if (kind < 3) {
		for (payload += UNIQUE; payload % size && payload % size < UNIQUE;)
			payload++;
		item_super(r, f, payload, size, it);
		return;
	}
	item_data(r, f, it);
	if (kind == 3)
		item_zero_sum(it, f);
	if (kind == 3 || kind == 4)
		item_partial(it, f);
	else if (kind == 5)
		item_other(r, f, it);
	else if (kind == 6 && f->h.proto == 17)
		put16(it->bytes + f->h.l4 + 6, 0);
	else if (kind == 7 && layer == 2)
		put16(it->bytes + f->h.l3 - 2, 0x0806);
	else if (kind == 8 && layer == 2)
		it->len += random_in(r, 1, 20);
	if (!it->facts && random_in(r, 0, 99) < lies)
		item_spoil(r, f, it);
}

#endif
