/* SPDX-License-Identifier: BSD-2-Clause */
/* The coalescer: what is merged is cut into the same packets again; what cannot be, is not. */
#include "packets.h"

#include "packet/coalesce.h"
#include "packet/csum.h"
#include "packet/cut.h"

#define FIN	  0x01u
#define PSH	  0x08u
#define ACK	  0x10u
#define PACKETS	  200u
#define UNTOUCHED 0x77u
#define TAKES	  (SL_CAN_CSUM | SL_CAN_TSO4 | SL_CAN_TSO6 | SL_CAN_USO)

/* Where packets of one flow come from. */
struct flow {
	uint8_t headers[SL_HEADERS_MAX];
	struct sl_headers h;
	unsigned layer;
	uint32_t seq;
	uint16_t id;
};

static bool has_df(const struct flow *f)
{
	return f->h.ip == 4 && f->headers[f->h.l3 + 6] & 0x40;
}

/* Headers that may be merged: neither IPv4 options nor extension headers, only ACK. */
static struct flow flow_make(uint64_t *r)
{
	struct sample s = sample_make(r, 0);
	struct flow f;

	while (s.h.l4 - s.h.l3 != (s.h.ip == 4 ? 20 : 40)) {
		sample_free(&s);
		s = sample_make(r, 0);
	}
	f = (struct flow){.h = s.h, .layer = s.layer, .seq = (uint32_t)random_next(r)};
	f.id = (uint16_t)random_next(r);
	if (!random_in(r, 0, 3)) { /* wraps soon */
		f.seq = 0u - random_in(r, 0, 3000);
		f.id = (uint16_t)(0u - random_in(r, 0, 9));
	}
	memcpy(f.headers, s.bytes, s.h.payload);
	if (s.h.proto == 6) {
		put16(f.headers + s.h.l4 + 18, 0);
		f.headers[s.h.l4 + 12] &= 0xf0;
	}
	sample_free(&s);
	return f;
}

static struct flow flow_of(uint64_t *r, uint8_t ip, uint8_t proto)
{
	struct flow f = flow_make(r);

	while (f.h.ip != ip || f.h.proto != proto)
		f = flow_make(r);
	return f;
}

/* The flow's next packet; @flags are TCP's. */
static struct sample next_packet(uint64_t *r, struct flow *f, uint32_t payload, uint8_t flags)
{
	static uint8_t p[70000];
	struct sample s = {.layer = f->layer, .h = f->h};
	struct sl_headers *h = &s.h;

	h->end = s.len = h->payload + payload;
	memcpy(p, f->headers, h->payload);
	random_fill(r, p + h->payload, payload);
	if (h->ip == 4) {
		put16(p + h->l3 + 2, s.len - h->l3);
		put16(p + h->l3 + 4, f->id++);
	} else {
		put16(p + h->l3 + 4, s.len - h->l3 - 40);
	}
	if (h->proto == 17) {
		put16(p + h->l4 + 4, 8 + payload);
	} else {
		put16(p + h->l4 + 4, f->seq >> 16);
		put16(p + h->l4 + 6, f->seq);
		p[h->l4 + 13] = flags;
		f->seq += payload;
	}
	slow_complete(p, h);
	s.bytes = exact(p, s.len);
	return s;
}

/* Complete the checksums of a packet whose lengths may lie. */
static void complete(uint8_t *packet, uint32_t len, const struct sl_headers *h)
{
	static uint8_t p[70000];

	memcpy(p, packet, len);
	slow_complete(p, h);
	memcpy(packet, p, len);
}

/* Less memory than the headers say. */
static void shorten(struct sample *s, uint32_t len)
{
	uint8_t *copy = exact(s->bytes, len);

	sample_free(s);
	s->bytes = copy;
	s->len = len;
}

/* A super-packet, which packets went in, and how they were. */
struct super {
	struct sl_coalesce c;
	unsigned layer;
	bool plain; /* no merging */
	unsigned indices[SL_PACKET_FRAGS_MAX];
};

struct traffic {
	unsigned n;
	unsigned flow[PACKETS]; /* 0: none that we know */
	struct sample in[PACKETS];
	struct sample was[PACKETS];
	unsigned supers;
	struct super super[PACKETS];
	unsigned out[PACKETS]; /* where each packet left */
};

static uint8_t whole[66000];

/* What is written to an interface. */
static uint32_t gather(const struct sl_coalesce *c)
{
	uint32_t at = 0;

	for (unsigned n = 0; n < c->n; at += c->frags[n++].len) {
		want(at + c->frags[n].len <= sizeof(whole));
		memcpy(whole + at, c->frags[n].addr, c->frags[n].len);
	}
	want(at == c->len);
	return at;
}

/* What Linux asks of a struct virtio_net_hdr (virtio_net_hdr_to_skb(), tun_get_user()). */
static void check_offload(const struct sl_coalesce *c, const struct sl_offload *o)
{
	const struct sl_headers *h = &c->h;
	uint32_t payload = c->len - h->payload;

	want(o->flags == SL_OFFLOAD_NEEDS_CSUM && o->csum_start == h->l4);
	want(o->csum_offset == csum_offset(h));
	want(o->gso_type == (h->proto == 17 ? 5 : h->ip == 4 ? 1 : 4));
	want(o->gso_size && o->gso_size != 0xffff && o->gso_size < payload);
	want(payload <= o->gso_size * 64u && o->hdr_len == h->payload);
	want(o->hdr_len < c->frags[0].len);
	want(!o->reserved[0] && !o->reserved[1] && !o->reserved[2]);
	want(get16(whole + h->l4 + o->csum_offset) % 65535 ==
	     slow_pseudo(whole, h, c->len - h->l4) % 65535);
}

/* A packet that was cut against the one that went in. */
static void check_same(const struct sample *was, const uint8_t *is, uint32_t len, unsigned index)
{
	uint8_t *copy = exact(is, len);
	uint8_t *ip = copy + was->h.l3;

	want(len == was->len);
	if (index && was->h.ip == 4 && ip[6] & 0x40) { /* DF: any id, and so any checksum */
		want(slow_valid(copy, &was->h));
		memcpy(ip + 4, was->bytes + was->h.l3 + 4, 2);
		memcpy(ip + 10, was->bytes + was->h.l3 + 10, 2);
	}
	want(!memcmp(copy, was->bytes, len));
	exact_free(copy, len);
}

/* Finish it, cut it, and find the packets again. */
static void check_super(struct super *super, const struct sample *was)
{
	struct sl_offload offload;
	struct sl_segment segment;
	struct sl_cut cut;
	uint8_t out[2048 + 65536];
	uint32_t len, count = 0;

	memset(&offload, UNTOUCHED, sizeof(offload));
	if (!sl_coalesce_finish(&super->c, &offload)) {
		want(super->c.n == 1 && offload.flags == UNTOUCHED);
		want(gather(&super->c) == was[super->indices[0]].len);
		want(!memcmp(whole, was[super->indices[0]].bytes, super->c.len));
		return;
	}
	want(super->c.n > 1);
	len = gather(&super->c);
	check_offload(&super->c, &offload);
	want(!sl_cut_start(&cut, whole, len < SL_HEADERS_MAX ? len : SL_HEADERS_MAX, len,
			   super->layer, &offload));
	want(cut.h.end == len && cut.headers_len == super->c.h.payload);
	if (cut.h.ip == 4)
		want(slow_sum(0, whole + cut.h.l3, 20) == 0xffff);
	for (; sl_cut_next(&cut, out, &segment); count++) {
		want(count < super->c.n);
		sl_cut_csum(&cut, out, sl_csum_add(0, whole + segment.at, segment.len));
		memcpy(out + cut.headers_len, whole + segment.at, segment.len);
		check_same(&was[super->indices[count]], out, cut.headers_len + segment.len, count);
	}
	want(count == super->c.n);
}

/* As a port does it: @open super-packets at most, sent in the order in which they began. */
static void carry(struct traffic *t, unsigned n, unsigned open)
{
	struct sample *s = &t->in[n];
	struct super *super;

	for (unsigned at = t->supers > open ? t->supers - open : 0; at < t->supers; at++) {
		super = &t->super[at];
		if (super->plain || super->layer != s->layer ||
		    !sl_coalesce_add(&super->c, s->bytes, s->len))
			continue;
		super->indices[super->c.n - 1] = n;
		t->out[n] = at;
		return;
	}
	super = &t->super[t->supers];
	super->layer = s->layer;
	super->indices[0] = n;
	super->plain = !sl_coalesce_start(&super->c, s->bytes, s->len, s->layer, TAKES);
	t->out[n] = t->supers++;
}

static void finish(struct traffic *t)
{
	for (unsigned n = 0; n < t->supers; n++) {
		const struct sample *was = &t->was[t->super[n].indices[0]];

		if (t->super[n].plain)
			want(!memcmp(t->in[t->super[n].indices[0]].bytes, was->bytes, was->len));
		else
			check_super(&t->super[n], t->was);
	}
	for (unsigned a = 0; a < t->n; a++)
		for (unsigned b = a + 1; b < t->n; b++)
			want(!t->flow[a] || t->flow[a] != t->flow[b] || t->out[a] <= t->out[b]);
	for (unsigned n = 0; n < t->n; n++) {
		sample_free(&t->in[n]);
		sample_free(&t->was[n]);
	}
}

static void put(struct traffic *t, struct sample s, unsigned flow, unsigned open)
{
	t->flow[t->n] = flow;
	t->in[t->n] = s;
	t->was[t->n] = s;
	t->was[t->n].bytes = exact(s.bytes, s.len);
	carry(t, t->n++, open);
}

static struct traffic traffic;

/* Change a packet where it hurts: then it may belong to no flow. */
static void damage(uint64_t *r, struct sample *s)
{
	uint32_t at = random_in(r, s->h.l3, s->h.payload - 1u);

	s->bytes[at] ^= (uint8_t)(1u << random_in(r, 0, 7));
	if (random_next(r) & 1)
		complete(s->bytes, s->len, &s->h);
}

static unsigned random_traffic(uint64_t *r, unsigned packets)
{
	unsigned flows = random_in(r, 1, 4), open = random_in(r, 1, 4), merged = 0;
	unsigned burst = random_in(r, 1, 20), of = 0;
	uint32_t size[4];
	struct flow f[4];

	traffic.n = traffic.supers = 0;
	for (unsigned n = 0; n < flows; n++) {
		f[n] = flow_make(r);
		size[n] = random_in(r, 1, random_next(r) & 1 ? 40 : 1500);
	}
	while (traffic.n < packets) {
		uint32_t len, odd = random_in(r, 0, 40);
		struct sample s;

		of = random_in(r, 0, burst) ? of : random_in(r, 0, flows - 1);
		if (odd == 0) {
			put(&traffic, sample_make(r, random_in(r, 0, 100)), 0, open);
			continue;
		}
		len = odd == 1 ? random_in(r, 0, size[of]) : odd == 2 ? size[of] + 1 : size[of];
		if (odd == 3) /* lost */
			f[of].seq += len, f[of].id++;
		s = next_packet(r, &f[of], len, odd < 6 ? ACK | PSH : odd == 6 ? ACK | FIN : ACK);
		if (odd == 7)
			damage(r, &s);
		put(&traffic, s, odd == 7 ? 0 : of + 1, open);
	}
	for (unsigned n = 0; n < traffic.supers; n++)
		merged += !traffic.super[n].plain && traffic.super[n].c.n > 1;
	finish(&traffic);
	return merged;
}

static void test_random_traffic(void **state)
{
	unsigned merged = 0;

	(void)state;
	for (seed = 1; seed <= 1500; seed++) {
		uint64_t r = seed;

		merged += random_traffic(&r, random_in(&r, 1, PACKETS));
	}
	assert_true(merged > 5000);
}

/* Whatever headers there are: a packet, the next one, and the first again. */
static void test_random_headers(void **state)
{
	unsigned merged = 0;

	(void)state;
	for (seed = 1; seed <= 20000; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, random_in(&r, 0, 60)), next = s, again = s;
		uint8_t *id, *seq;

		traffic.n = traffic.supers = 0;
		if (s.h.proto == 6 && random_in(&r, 0, 3)) {
			put16(s.bytes + s.h.l4 + 12, (s.bytes[s.h.l4 + 12] & 0xf0u) << 8 | ACK);
			put16(s.bytes + s.h.l4 + 18, 0);
		}
		slow_complete(s.bytes, &s.h);
		again.bytes = exact(s.bytes, s.len);
		next.bytes = exact(s.bytes, s.len);
		id = next.bytes + s.h.l3 + 4;
		seq = next.bytes + s.h.l4 + 6;
		if (s.h.ip == 4)
			put16(id, get16(id) + 1);
		if (s.h.proto == 6)
			put16(seq, get16(seq) + s.h.end - s.h.payload);
		slow_complete(next.bytes, &s.h);
		put(&traffic, s, 1, 1);
		put(&traffic, next, 1, 1);
		put(&traffic, again, 1, 1);
		merged += traffic.supers < 3;
		finish(&traffic);
	}
	assert_true(merged > 1000);
}

/* Every train that may be merged is, and the super-packet is what one packet would be. */
static void test_trains(void **state)
{
	(void)state;
	for (seed = 1; seed <= 1500; seed++) {
		uint64_t r = seed;
		struct flow f = flow_make(&r);
		const struct sl_coalesce *c = &traffic.super[0].c;
		unsigned n = random_in(&r, 2, 64);
		uint32_t size = random_in(&r, 1, 900), last = random_in(&r, 1, size);
		uint32_t len = f.h.payload + (n - 1) * size + last;
		uint8_t flags = random_next(&r) & 1 ? ACK : ACK | PSH;

		traffic.n = traffic.supers = 0;
		for (unsigned i = 1; i <= n; i++) {
			want(i == 1 || !c->closed);
			if (has_df(&f) && random_next(&r) & 1)
				f.id = (uint16_t)random_next(&r);
			put(&traffic, next_packet(&r, &f, i < n ? size : last, i < n ? ACK : flags),
			    1, 1);
		}
		want(traffic.supers == 1 && c->n == n && c->size == size && c->len == len);
		want(c->closed == (last < size || n == 64 || (f.h.proto == 6 && flags & PSH)));
		finish(&traffic);
		if (f.h.proto == 17)
			want(get16(whole + f.h.l4 + 4) == len - f.h.l4);
		else
			want(whole[f.h.l4 + 13] == flags);
		if (f.h.ip == 4)
			want(get16(whole + f.h.l3 + 2) == len - f.h.l3);
		else
			want(get16(whole + f.h.l3 + 4) == len - f.h.l3 - 40);
	}
}

/* The other way round: the packets that were cut from a super-packet become it again. */
static void test_cut_first(void **state)
{
	static uint8_t segments[64][SL_HEADERS_MAX + 65536];

	(void)state;
	for (seed = 1; seed <= 600; seed++) {
		uint64_t r = seed;
		struct flow f = flow_make(&r);
		uint32_t most = 65535u - (f.h.payload - f.h.l3);
		uint32_t payload = random_in(&r, 2, seed % 20 ? 9000 : most);
		uint32_t gso_size = random_in(&r, (payload + 63) / 64, payload - 1);
		struct sample s = next_packet(&r, &f, payload, seed & 1 ? ACK : ACK | PSH);
		struct sl_offload got, o = {.flags = SL_OFFLOAD_NEEDS_CSUM,
					    .hdr_len = s.h.payload,
					    .gso_size = (uint16_t)gso_size,
					    .csum_start = s.h.l4};
		struct sl_segment segment;
		struct sl_coalesce c;
		struct sl_cut cut;
		unsigned n = 0;

		o.csum_offset = (uint16_t)csum_offset(&s.h);
		o.gso_type = s.h.proto == 17 ? 5 : s.h.ip == 4 ? 1 : 4;
		put16(s.bytes + s.h.l4 + o.csum_offset, slow_pseudo(s.bytes, &s.h, s.len - s.h.l4));
		want(!sl_cut_start(&cut, s.bytes, s.len, s.len, s.layer, &o));
		for (; sl_cut_next(&cut, segments[n], &segment); n++) {
			uint8_t *to = segments[n];

			sl_cut_csum(&cut, to, sl_csum_add(0, s.bytes + segment.at, segment.len));
			memcpy(to + cut.headers_len, s.bytes + segment.at, segment.len);
			segment.len += cut.headers_len;
			want(n ? sl_coalesce_add(&c, to, segment.len)
			       : sl_coalesce_start(&c, to, segment.len, s.layer, TAKES));
		}
		want(c.n == n && sl_coalesce_finish(&c, &got) && !memcmp(&got, &o, sizeof(o)));
		want(gather(&c) == s.len && !memcmp(whole, s.bytes, s.len));
		sample_free(&s);
	}
}

/*
 * Refusals
 */

static bool starts(const uint8_t *bytes, uint32_t len, unsigned layer)
{
	struct sl_coalesce c;
	uint8_t *copy = exact(bytes, len);
	bool started = sl_coalesce_start(&c, copy, len, layer, TAKES);

	want(!memcmp(copy, bytes, len));
	exact_free(copy, len);
	return started;
}

/* Is it merged with @first? Else: did it close? */
static bool merges(const struct sample *first, const uint8_t *bytes, uint32_t len, bool *closed)
{
	struct sl_coalesce c;
	uint8_t *copy = exact(bytes, len);
	bool merged;

	want(sl_coalesce_start(&c, first->bytes, first->len, first->layer, TAKES) && !c.closed);
	merged = sl_coalesce_add(&c, copy, len);
	want(c.n == 1u + merged && !memcmp(copy, bytes, len));
	*closed = c.closed;
	exact_free(copy, len);
	return merged;
}

/* May a packet be the first of a super-packet with this bit changed? */
static bool bit_starts(const struct flow *f, uint32_t at, uint8_t bit)
{
	uint32_t ip = at - f->h.l3, l4 = at - f->h.l4;

	if (at < f->h.l3) /* addresses and VLAN ids, but no types */
		return at < 12 || (at - 12) % 4 >= 2;
	if (at < f->h.l4 && f->h.ip == 4)
		return ip != 0 && ip != 2 && ip != 3 && ip != 7 && ip != 9 &&
		       (ip != 6 || bit >= 0x40);
	if (at < f->h.l4)
		return !(ip == 0 && bit >= 0x10) && ip != 4 && ip != 5 && ip != 6;
	if (f->h.proto == 17)
		return l4 != 4 && l4 != 5;
	return l4 != 12 && (l4 != 13 || bit == PSH) && l4 != 18 && l4 != 19;
}

/* May it follow another? Checksums are completed after the change. */
static bool bit_merges(const struct flow *f, uint32_t at, uint8_t bit)
{
	uint32_t ip = at - f->h.l3, l4 = at - f->h.l4;

	if (at >= f->h.payload)
		return true;
	if (at >= f->h.l4)
		return l4 - csum_offset(&f->h) < 2 || (f->h.proto == 6 && l4 == 13 && bit == PSH);
	return at >= f->h.l3 && f->h.ip == 4 &&
	       (ip == 10 || ip == 11 || (has_df(f) && (ip == 4 || ip == 5)));
}

/* Is it another flow's then? */
static bool bit_leaves(const struct flow *f, uint32_t at, uint8_t bit)
{
	uint32_t ip = at - f->h.l3;

	if (at < f->h.l3 || (at >= f->h.l4 && at < f->h.l4 + 4u))
		return true;
	if (at >= f->h.l4)
		return false;
	if (ip == 0)
		return bit >= 0x10;
	return f->h.ip == 4 ? ip == 9 || ip >= 12 : ip == 6 || ip >= 8;
}

static void test_every_bit(void **state)
{
	(void)state;
	for (seed = 1; seed <= 200; seed++) {
		uint64_t r = seed;
		struct flow f = flow_make(&r);
		uint32_t size = random_in(&r, 1, 30);
		struct sample first = next_packet(&r, &f, size, ACK);
		struct sample s = next_packet(&r, &f, size, ACK);
		uint8_t *p = exact(s.bytes, s.len);
		/* What no checksum covers: IPv6 has none of its own. */
		uint32_t bare = s.h.l3 + (s.h.ip == 6 ? 8u : 0);
		bool closed;

		want(starts(s.bytes, s.len, s.layer));
		want(merges(&first, s.bytes, s.len, &closed) && !closed);
		for (uint32_t n = 0; n < s.len * 8; n++) {
			uint32_t at = n / 8;
			uint8_t bit = (uint8_t)(1u << n % 8);
			bool doff = s.h.proto == 6 && at == s.h.l4 + 12u && bit >= 0x10;

			p[at] ^= bit;
			want(starts(p, s.len, s.layer) == (at < bare && bit_starts(&f, at, bit)));
			want(!merges(&first, p, s.len, &closed));
			want(closed == !bit_leaves(&f, at, bit));
			complete(p, s.len, &s.h);
			want(doff || starts(p, s.len, s.layer) == bit_starts(&f, at, bit));
			want(merges(&first, p, s.len, &closed) == bit_merges(&f, at, bit));
			memcpy(p, s.bytes, s.len);
		}
		exact_free(p, s.len);
		sample_free(&first);
		sample_free(&s);
	}
}

/* Headers of every kind, each legal. */
static void test_kinds_of_headers(void **state)
{
	(void)state;
	for (seed = 1; seed <= 20000; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, random_in(&r, 0, 3));
		bool simple = s.h.l4 - s.h.l3 == (s.h.ip == 4 ? 20 : 40);

		if (s.h.proto == 6) {
			put16(s.bytes + s.h.l4 + 12, (s.bytes[s.h.l4 + 12] & 0xf0u) << 8 | ACK);
			put16(s.bytes + s.h.l4 + 18, 0);
			slow_complete(s.bytes, &s.h);
		}
		want(starts(s.bytes, s.len, s.layer) ==
		     (simple && s.len == s.h.end && s.h.end > s.h.payload));
		if (s.h.ip == 6)
			s.bytes[s.h.l3 + 6] = 44;
		else
			put16(s.bytes + s.h.l3 + 6, random_in(&r, 1, 0x3fff));
		slow_complete(s.bytes, &s.h);
		want(!starts(s.bytes, s.len, s.layer));
		sample_free(&s);
	}
}

/* Only what is taken where it goes: a TUN of Linux 6.1 takes no super-packets of UDP. */
static void test_takes(void **state)
{
	static const struct {
		uint8_t ip, proto;
		uint32_t needs;
	} kinds[] = {
		{4, 6, SL_CAN_CSUM | SL_CAN_TSO4},
		{6, 6, SL_CAN_CSUM | SL_CAN_TSO6},
		{4, 17, SL_CAN_CSUM | SL_CAN_USO},
		{6, 17, SL_CAN_CSUM | SL_CAN_USO},
	};

	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		uint64_t r = seed = kind + 1;
		struct flow f = flow_of(&r, kinds[kind].ip, kinds[kind].proto);
		struct sample s = next_packet(&r, &f, 20, ACK);

		for (uint32_t takes = 0; takes <= (TAKES | SL_CAN_ECN); takes++) {
			uint32_t missing = kinds[kind].needs & ~takes;
			struct sl_coalesce c;

			want(sl_coalesce_start(&c, s.bytes, s.len, s.layer, takes) == !missing);
		}
		sample_free(&s);
	}
}

/* What would be UDP if somebody did not look, and added no protocol to its checksum. */
static void test_other_protocols(void **state)
{
	(void)state;
	for (seed = 1; seed <= 50; seed++) {
		uint64_t r = seed;
		struct flow f = flow_of(&r, seed & 1 ? 4 : 6, 17);
		struct sample s = next_packet(&r, &f, random_in(&r, 1, 20), 0);

		want(starts(s.bytes, s.len, s.layer));
		s.h.proto = 0;
		for (unsigned proto = 0; proto < 256; proto++) {
			s.bytes[s.h.l3 + (s.h.ip == 4 ? 9 : 6)] = (uint8_t)proto;
			slow_complete(s.bytes, &s.h);
			want(!starts(s.bytes, s.len, s.layer));
		}
		if (s.h.ip == 4) {
			s.bytes[s.h.l3 + 9] = 17;
			put16(s.bytes + s.h.l3 + 6, 0x2000);
			slow_complete(s.bytes, &s.h);
			want(!starts(s.bytes, s.len, s.layer));
		}
		sample_free(&s);
	}
}

/* A UDP length that covers a part of the IP payload, its checksum right. */
static void test_udp_length(void **state)
{
	(void)state;
	for (seed = 1; seed <= 100; seed++) {
		uint64_t r = seed;
		struct flow f = flow_of(&r, seed & 1 ? 4 : 6, 17);
		struct sample first = next_packet(&r, &f, 20, 0), s = next_packet(&r, &f, 20, 0);
		struct sl_headers shorter = s.h;
		bool closed;

		shorter.end -= random_in(&r, 1, 19);
		put16(s.bytes + s.h.l4 + 4, shorter.end - s.h.l4);
		slow_complete(s.bytes, seed & 2 ? &shorter : &s.h);
		want(!starts(s.bytes, s.len, s.layer));
		want(!merges(&first, s.bytes, s.len, &closed) && closed);
		sample_free(&first);
		sample_free(&s);
	}
}

/* Both zeros of a checksum verify; only the one that the cutter would write is merged. */
static void test_two_zeros(void **state)
{
	(void)state;
	for (seed = 1; seed <= 400; seed++) {
		uint64_t r = seed;
		struct flow f = flow_of(&r, seed & 1 ? 4 : 6, seed & 2 ? 6 : 17);
		struct sample first = next_packet(&r, &f, 20, ACK), s;
		bool v4 = seed & 4 && f.h.ip == 4, closed;
		uint8_t *field, *word;
		unsigned right;

		if (v4) {
			f.headers[f.h.l3 + 6] = 0x40;
			first.bytes[f.h.l3 + 6] = 0x40;
			slow_complete(first.bytes, &first.h);
		}
		s = next_packet(&r, &f, 20, ACK);
		field = v4 ? s.bytes + s.h.l3 + 10 : s.bytes + s.h.l4 + csum_offset(&s.h);
		word = v4 ? s.bytes + s.h.l3 + 4 : s.bytes + s.h.payload;
		put16(word, 0);
		slow_complete(s.bytes, &s.h);
		put16(word, get16(field));
		slow_complete(s.bytes, &s.h);
		right = !v4 && s.h.proto == 17 ? 0xffff : 0;
		want(get16(field) == right);
		want(starts(s.bytes, s.len, s.layer));
		want(merges(&first, s.bytes, s.len, &closed));
		put16(field, right ^ 0xffff);
		want(slow_valid(s.bytes, &s.h));
		want(!starts(s.bytes, s.len, s.layer));
		want(!merges(&first, s.bytes, s.len, &closed));
		sample_free(&first);
		sample_free(&s);
	}
}

/* 0 says that there is none: whatever the payload, it might be broken. */
static void test_no_udp_checksum(void **state)
{
	(void)state;
	for (seed = 1; seed <= 100; seed++) {
		uint64_t r = seed;
		struct flow f = flow_of(&r, seed & 1 ? 4 : 6, 17);
		struct sample first = next_packet(&r, &f, 20, 0), s = next_packet(&r, &f, 20, 0);
		bool closed;

		put16(s.bytes + s.h.l4 + 6, 0);
		want(!starts(s.bytes, s.len, s.layer));
		want(!merges(&first, s.bytes, s.len, &closed) && closed);
		sample_free(&first);
		sample_free(&s);
	}
}

/* Lengths that lie: less and more memory than the headers say, and what comes next closes. */
static void test_lengths(void **state)
{
	(void)state;
	for (seed = 1; seed <= 300; seed++) {
		uint64_t r = seed;
		struct flow f = flow_make(&r);
		uint32_t size = random_in(&r, 1, 40);
		struct sample first = next_packet(&r, &f, size, ACK), longer;
		struct sample s = next_packet(&r, &f, size, ACK), empty;
		uint8_t p[400] = {0};
		bool closed;

		memcpy(p, s.bytes, s.len);
		for (uint32_t len = 0; len < sizeof(p); len++) {
			want(starts(p, len, s.layer) == (len == s.len));
			want(merges(&first, p, len, &closed) == (len == s.len));
			want(len == s.len || closed == (len >= s.h.l4 + 4u));
		}
		sample_free(&s);
		f.seq -= size;
		f.id--;
		longer = next_packet(&r, &f, size + 1, ACK);
		want(starts(longer.bytes, longer.len, longer.layer));
		want(!merges(&first, longer.bytes, longer.len, &closed) && closed);
		f.seq -= size + 1;
		f.id--;
		empty = next_packet(&r, &f, 0, ACK);
		want(!starts(empty.bytes, empty.len, empty.layer));
		want(!merges(&first, empty.bytes, empty.len, &closed) && closed);
		sample_free(&first);
		sample_free(&longer);
		sample_free(&empty);
	}
}

/* IPv4 ids without DF: only the next one. */
static void test_ids(void **state)
{
	(void)state;
	for (seed = 1; seed <= 40; seed++) {
		uint64_t r = seed;
		struct flow f = flow_of(&r, 4, seed & 1 ? 6 : 17);
		struct sample first, s;
		bool closed;

		f.headers[f.h.l3 + 6] = seed & 2 ? 0x40 : 0;
		f.id = seed & 4 ? 0xffff : f.id;
		first = next_packet(&r, &f, 9, ACK);
		s = next_packet(&r, &f, 9, ACK);
		for (unsigned id = 0; id < 65536; id += id % 64 == f.id % 64u ? 1 : 3) {
			put16(s.bytes + s.h.l3 + 4, id);
			slow_complete(s.bytes, &s.h);
			want(merges(&first, s.bytes, s.len, &closed) ==
			     (seed & 2 || id == (uint16_t)(f.id - 1)));
		}
		put16(s.bytes + s.h.l3 + 4, f.id - 1u);
		slow_complete(s.bytes, &s.h);
		want(merges(&first, s.bytes, s.len, &closed));
		sample_free(&first);
		sample_free(&s);
	}
}

static void test_most_packets(void **state)
{
	(void)state;
	for (seed = 1; seed <= 50; seed++) {
		uint64_t r = seed;
		struct flow f = flow_make(&r);
		uint32_t size = random_in(&r, 1, 900);

		traffic.n = traffic.supers = 0;
		for (unsigned n = 0; n < 130; n++)
			put(&traffic, next_packet(&r, &f, size, ACK), 1, 4);
		want(traffic.supers == 3);
		want(traffic.super[0].c.n == 64 && traffic.super[1].c.n == 64);
		want(traffic.super[2].c.n == 2);
		finish(&traffic);
	}
}

static void test_most_bytes(void **state)
{
	(void)state;
	for (seed = 1; seed <= 200; seed++) {
		uint64_t r = seed;
		struct flow f = flow_make(&r);
		const struct sl_coalesce *c = &traffic.super[0].c;
		uint32_t most = 65535u - (f.h.payload - f.h.l3), over = seed & 1;
		uint32_t size = random_in(&r, 1100, seed & 2 ? 1500 : most / 2);
		uint32_t fit = most / size, left = most % size;

		traffic.n = traffic.supers = 0;
		for (unsigned n = 0; n < fit; n++)
			put(&traffic, next_packet(&r, &f, size, ACK), 1, 1);
		want(traffic.supers == 1 && c->n == fit && !c->closed);
		if (left + over)
			put(&traffic, next_packet(&r, &f, left + over, ACK), 1, 1);
		want(traffic.supers == 1u + over);
		want(over || c->len - f.h.l3 == 65535);
		finish(&traffic);
	}
}

/* Nothing hostile is read or written outside, and what is merged can be cut. */
static void test_hostile(void **state)
{
	unsigned merged = 0;

	(void)state;
	for (seed = 1; seed <= 30000; seed++) {
		uint64_t r = seed;
		struct flow f = flow_make(&r);

		traffic.n = traffic.supers = 0;
		for (unsigned n = 0; n < 5; n++) {
			struct sample s = next_packet(&r, &f, random_in(&r, 10, 11), ACK);
			uint32_t len = random_in(&r, 0, 9) ? s.len : random_in(&r, 0, s.len);
			struct sl_headers h;

			for (uint32_t times = random_in(&r, 0, 2); times; times--)
				s.bytes[random_in(&r, 0, s.len - 1)] = (uint8_t)random_next(&r);
			complete(s.bytes, s.len, &s.h);
			shorten(&s, len);
			if (!sl_headers_parse(s.bytes, len, len, s.layer, &h))
				s.h = h;
			put(&traffic, s, 0, 2);
		}
		merged += traffic.supers < 5;
		finish(&traffic);
	}
	assert_true(merged > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_traffic),
		cmocka_unit_test(test_random_headers),
		cmocka_unit_test(test_trains),
		cmocka_unit_test(test_cut_first),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_kinds_of_headers),
		cmocka_unit_test(test_takes),
		cmocka_unit_test(test_other_protocols),
		cmocka_unit_test(test_udp_length),
		cmocka_unit_test(test_two_zeros),
		cmocka_unit_test(test_no_udp_checksum),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_most_packets),
		cmocka_unit_test(test_most_bytes),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
