/* SPDX-License-Identifier: BSD-2-Clause */
/* The fitting: what it makes of packets, what it says of them, and when it gives them back. */
#include "packets.h"

#include <errno.h>

#include <sluice/consumer.h>
#include <sluice/producer.h>
#include <sluice/region.h>

#include "packet/csum.h"
#include "packet/fit.h"

#define IN_SIZE	   64u
#define FLAT_MAX   140000u
#define OWN_REGION 0xff00
#define ALL_CAN	   (SL_CAN_CSUM | SL_CAN_TSO4 | SL_CAN_TSO6 | SL_CAN_USO | SL_CAN_ECN)

/* An incoming packet: its pieces in memory of just their size, the first with headroom. */
struct chain {
	uint8_t *memory[SL_PACKET_FRAGS_MAX];
	uint32_t len[SL_PACKET_FRAGS_MAX];
	uint32_t count;
	uint16_t headroom;
};

struct bench {
	struct sl_ring *in, *out;
	struct sl_fit *fit;
	struct sl_fit_config config;
	struct sl_count count;
	struct chain chains[IN_SIZE];
	uint32_t n_back;
};

static uint8_t flat[FLAT_MAX];

static void bench_open(struct bench *b, uint32_t accepts, bool copy, unsigned layer)
{
	const struct sl_ring_config ring = {IN_SIZE, 8192, -1, -1};

	memset(b, 0, sizeof(*b));
	b->config = (struct sl_fit_config){ALL_CAN, accepts, layer, copy, OWN_REGION};
	assert_int_equal(sl_ring_create(&ring, &b->in), 0);
	assert_int_equal(sl_fit_create(&b->config, b->in, &b->fit), 0);
	b->out = sl_fit_ring(b->fit);
}

/* Put @len bytes into the incoming ring as @pieces fragments, the first of @first bytes. */
static void put(struct bench *b, const uint8_t *bytes, uint32_t len, uint32_t pieces,
		uint32_t first, uint8_t flags, const struct sl_offload *offload)
{
	struct sl_frag frags[SL_PACKET_FRAGS_MAX];
	struct chain *chain;
	uint32_t at, done = 0;

	want(sl_ring_room(b->in, &at) > 0);
	chain = &b->chains[at % IN_SIZE];
	*chain = (struct chain){.count = pieces, .headroom = 16};
	for (uint32_t n = 0; n < pieces; n++) {
		uint32_t room = n ? 0 : chain->headroom;
		uint32_t piece = pieces == 1 ? len : n ? (len - first) / (pieces - 1) : first;

		piece = n == pieces - 1 ? len - done : piece;
		chain->len[n] = piece + room;
		chain->memory[n] = malloc(piece + room ? piece + room : 1);
		memset(chain->memory[n], 0xee, room);
		memcpy(chain->memory[n] + room, bytes + done, piece);
		frags[n] = (struct sl_frag){chain->memory[n] + room, piece, 3, 0};
		done += piece;
	}
	want(!sl_ring_chain(b->in, at, frags, pieces));
	sl_ring_packet(b->in, at)->cookie = at;
	sl_ring_packet(b->in, at)->headroom = chain->headroom;
	sl_ring_packet(b->in, at)->flags = flags | (offload ? SL_PACKET_OFFLOAD : 0);
	if (offload)
		*sl_ring_offload(b->in, at) = *offload;
	sl_ring_post(b->in, 1);
}

/* Take what came back; from now on nobody may read it. */
static uint32_t back(struct bench *b)
{
	uint32_t at, n = sl_ring_returned(b->in, &at);

	for (uint32_t i = 0; i < n; i++, at++) {
		struct chain *chain = &b->chains[at % IN_SIZE];

		want(sl_ring_packet(b->in, at)->cookie == at);
		for (uint32_t p = 0; p < chain->count; p++)
			free(chain->memory[p]);
		chain->count = 0;
	}
	sl_ring_reclaim(b->in, n);
	b->n_back += n;
	return n;
}

static void bench_close(struct bench *b)
{
	sl_fit_flush(b->fit, &b->count);
	back(b);
	for (uint32_t n = 0; n < IN_SIZE; n++)
		want(!b->chains[n].count);
	want(!sl_ring_broken(b->in) && !sl_ring_broken(b->out));
	sl_fit_release(b->fit);
	sl_ring_release(b->in);
}

static bool inside(const struct bench *b, const struct sl_frag *frag, uint32_t before,
		   uint32_t after)
{
	const struct sl_region *r = sl_fit_region(b->fit);
	const uint8_t *base = r->base;

	return frag->addr >= base + before && frag->addr + frag->len + after <= base + r->len;
}

/* Is the memory that a packet offers its own: fragments, headroom, tailroom, rights? */
static void check_truthful(struct bench *b, uint32_t at, uint32_t in_at)
{
	struct sl_packet *packet = sl_ring_packet(b->out, at);
	const struct sl_packet *from = sl_ring_packet(b->in, in_at);
	const struct chain *chain = &b->chains[in_at % IN_SIZE];
	bool all_ours = true;

	for (uint32_t n = 0; n <= packet->more; n++) {
		const struct sl_frag *frag = sl_ring_frag(b->out, packet, n);
		bool ours = inside(b, frag, n ? 0 : packet->headroom, frag->tailroom);

		all_ours &= ours;
		want(ours == (frag->region == OWN_REGION));
		want(ours || (frag->region == 3 && !frag->tailroom));
		if (!n && !ours && packet->headroom)
			want(frag->addr == chain->memory[0] + packet->headroom);
	}
	want(!(packet->flags & SL_PACKET_WRITABLE) || all_ours || from->flags & SL_PACKET_WRITABLE);
	want(!b->config.copy || all_ours);
}

/* Take the next outgoing packet in one piece. Returns its length, UINT32_MAX for none. */
static uint32_t next(struct bench *b, uint32_t *at)
{
	struct sl_packet *packet;
	uint32_t len = 0;

	if (!sl_ring_ready(b->out, at))
		return UINT32_MAX;
	packet = sl_ring_packet(b->out, *at);
	check_truthful(b, *at, (uint32_t)(packet->cookie >> 1));
	sl_ring_take(b->out, 1);
	for (uint32_t n = 0; n <= packet->more; n++) {
		const struct sl_frag *frag = sl_ring_frag(b->out, packet, n);

		want(frag->len <= sizeof(flat) - len);
		memcpy(flat + len, frag->addr, frag->len);
		len += frag->len;
	}
	return len;
}

static uint64_t drops(const struct bench *b, enum sl_drop reason)
{
	want(sl_count_drops(&b->count) == b->count.drops[reason]);
	return b->count.drops[reason];
}

/* One packet in, one out: its length, UINT32_MAX when it was dropped. Left in @flat. */
static uint32_t through(struct bench *b, const struct sl_offload **offload)
{
	uint32_t at, len;

	want(sl_fit_step(b->fit, &b->count) == 1);
	len = next(b, &at);
	want(len == UINT32_MAX || back(b) == 0);
	*offload = NULL;
	if (len != UINT32_MAX) {
		if (sl_ring_packet(b->out, at)->flags & SL_PACKET_OFFLOAD)
			*offload = sl_ring_offload(b->out, at);
		sl_ring_done(b->out, at);
		sl_fit_flush(b->fit, &b->count);
	}
	want(back(b) == 1);
	want(next(b, &at) == UINT32_MAX);
	return len;
}

/*
 * The tests.
 */

static void test_needed(void **state)
{
	struct sl_fit_config c = {0, 0, 2, false, OWN_REGION};

	(void)state;
	assert_false(sl_fit_needed(&c));
	c.accepts = ALL_CAN;
	assert_false(sl_fit_needed(&c));
	c.emits = SL_CAN_CSUM;
	assert_false(sl_fit_needed(&c));
	c.accepts = SL_CAN_TSO4;
	assert_true(sl_fit_needed(&c));
	c = (struct sl_fit_config){0, 0, 2, true, OWN_REGION};
	assert_true(sl_fit_needed(&c));
}

static void test_pass(void **state)
{
	(void)state;
	for (seed = 1; seed <= 400; seed++) {
		uint64_t r = seed;
		uint32_t len = random_in(&r, 1, 5000), pieces = random_in(&r, 1, 64);
		uint32_t first = random_in(&r, 0, 3) ? random_in(&r, 0, len) : 0;
		uint8_t *bytes = malloc(len);
		const struct sl_offload *offload;
		struct bench b;

		bench_open(&b, seed & 1 ? ALL_CAN : 0, seed & 2, 2);
		random_fill(&r, bytes, len);
		put(&b, bytes, len, pieces, first, seed & 4 ? SL_PACKET_WRITABLE : 0, NULL);
		want(through(&b, &offload) == len && !memcmp(flat, bytes, len) && !offload);
		want(b.count.copied == (seed & 2 ? 1 : 0) && !b.count.cut);
		want(!drops(&b, SL_DROP_MALFORMED));
		free(bytes);
		bench_close(&b);
	}
}

/* Facts that the port knows what to do with go through unchanged. */
static void test_pass_facts(void **state)
{
	const struct sl_offload facts = {SL_OFFLOAD_NEEDS_CSUM, SL_GSO_TCPV4, 54, 50, 34, 16, {0}};
	const struct sl_offload valid = {.flags = SL_OFFLOAD_DATA_VALID};
	const struct sl_offload *offload;
	uint8_t bytes[200] = {0};
	struct bench b;

	(void)state;
	bench_open(&b, ALL_CAN, false, 2);
	put(&b, bytes, sizeof(bytes), 3, 60, 0, &facts);
	want(through(&b, &offload) == sizeof(bytes));
	want(offload && !memcmp(offload, &facts, sizeof(facts)));
	put(&b, bytes, sizeof(bytes), 1, 60, 0, &valid);
	want(through(&b, &offload) == sizeof(bytes) && offload);
	bench_close(&b);
	bench_open(&b, 0, false, 2);
	put(&b, bytes, sizeof(bytes), 1, 60, 0, &valid);
	want(through(&b, &offload) == sizeof(bytes) && !offload);
	bench_close(&b);
}

/* Any bytes, any place: RFC 1071 over what lies from csum_start on. */
static void test_checksum(void **state)
{
	(void)state;
	for (seed = 1; seed <= 2000; seed++) {
		uint64_t r = seed;
		uint32_t len = random_in(&r, 2, seed & 1 ? 300 : 3000);
		uint32_t start = random_in(&r, 0, 270), offset = random_in(&r, 0, 30);
		uint32_t field = start + offset;
		struct sl_offload facts = {.flags = SL_OFFLOAD_NEEDS_CSUM,
					   .csum_start = (uint16_t)start,
					   .csum_offset = (uint16_t)offset};
		uint8_t *bytes = malloc(len + 2);
		const struct sl_offload *offload;
		struct bench b;
		unsigned sum;

		bench_open(&b, 0, seed & 2, 2);
		random_fill(&r, bytes, len);
		put(&b, bytes, len, random_in(&r, 1, 64), random_in(&r, 0, len), 0, &facts);
		if (field + 2 > len || field > 253) {
			want(through(&b, &offload) == UINT32_MAX);
			want(drops(&b, SL_DROP_MALFORMED) == 1);
		} else {
			sum = ~slow_sum(0, bytes + start, len - start) & 0xffff;
			put16(bytes + field, sum ? sum : 0xffff);
			want(through(&b, &offload) == len && !offload);
			want(!memcmp(flat, bytes, len));
			want(b.count.copied == 1 || !b.config.copy);
		}
		free(bytes);
		bench_close(&b);
	}
}

/* A sum that comes out as 0 is said as 0xffff. */
static void test_checksum_zero(void **state)
{
	const struct sl_offload facts = {.flags = SL_OFFLOAD_NEEDS_CSUM, .csum_offset = 2};
	const struct sl_offload *offload;
	uint8_t bytes[8] = {0xff, 0xff};
	struct bench b;

	(void)state;
	bench_open(&b, 0, false, 3);
	put(&b, bytes, sizeof(bytes), 1, 0, 0, &facts);
	want(through(&b, &offload) == sizeof(bytes));
	want(flat[2] == 0xff && flat[3] == 0xff);
	bench_close(&b);
}

static struct sl_offload facts_of(const struct sample *s, uint16_t gso_size)
{
	uint8_t tcp = s->h.ip == 4 ? SL_GSO_TCPV4 : SL_GSO_TCPV6;

	return (struct sl_offload){
		.flags = SL_OFFLOAD_NEEDS_CSUM,
		.gso_type = s->h.proto == 6 ? tcp : SL_GSO_UDP_L4,
		.gso_size = gso_size,
		.csum_start = s->h.l4,
		.csum_offset = (uint16_t)csum_offset(&s->h),
	};
}

/* Is what lies in @flat a whole segment of @s whose payload begins at @at? */
static void check_segment(const struct bench *b, const struct sample *s, uint32_t len, uint32_t at,
			  const struct sl_offload *offload)
{
	struct sl_headers h;

	want(len > s->h.payload && len - s->h.payload <= s->h.end - at);
	want(!sl_headers_parse(flat, len, len, s->layer, &h));
	want(h.proto == s->h.proto && h.payload == s->h.payload && h.end == len);
	want(!memcmp(flat + h.payload, s->bytes + at, len - h.payload));
	if (b->config.accepts & SL_CAN_CSUM) {
		want(offload && offload->flags == SL_OFFLOAD_NEEDS_CSUM && !offload->gso_type);
		want(offload->csum_start == h.l4 && offload->csum_offset == csum_offset(&h));
		/* The field holds the pseudo header's sum, folded. */
		want(get16(flat + h.l4 + csum_offset(&h)) % 65535 ==
		     slow_pseudo(flat, &h, len - h.l4) % 65535);
		slow_complete(flat, &h);
	}
	want(!offload == !(b->config.accepts & SL_CAN_CSUM));
	want(slow_valid(flat, &h));
}

/* Take everything that comes out of one super-packet, @burst at a time, the done order mixed. */
static void drain_cut(struct bench *b, const struct sample *s, uint16_t gso_size, uint32_t burst)
{
	uint32_t payload = s->h.payload, held[64], n = 0, len = 0, at, segments = 0;

	while (payload < s->h.end) {
		for (n = 0; n < burst && payload < s->h.end; n++, segments++) {
			len = next(b, &at);
			if (len == UINT32_MAX)
				break;
			want(len - s->h.payload <= gso_size);
			check_segment(b, s, len, payload,
				      sl_ring_packet(b->out, at)->flags & SL_PACKET_OFFLOAD
					      ? sl_ring_offload(b->out, at)
					      : NULL);
			payload += len - s->h.payload;
			held[n] = at;
		}
		want(n);
		want(back(b) == 0); /* the last is not done */
		while (n)
			sl_ring_done(b->out, held[--n]);
		sl_fit_flush(b->fit, &b->count);
	}
	want(back(b) == 1);
	want(segments == (s->h.end - s->h.payload + gso_size - 1u) / gso_size);
	want(b->count.cut == 1);
}

static void test_cut(void **state)
{
	(void)state;
	for (seed = 1; seed <= 600; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, random_in(&r, 1, seed % 10 ? 4000 : 65000));
		uint32_t payload = s.h.end - s.h.payload;
		uint16_t gso = (uint16_t)random_in(&r, payload / 300 + 1, payload);
		struct sl_offload facts = facts_of(&s, gso);
		struct bench b;

		bench_open(&b, seed & 1 ? SL_CAN_CSUM : 0, seed & 2, s.layer);
		put(&b, s.bytes, s.len, random_in(&r, 1, 64), random_in(&r, 0, s.len),
		    seed & 4 ? SL_PACKET_WRITABLE : 0, &facts);
		want(sl_fit_step(b.fit, &b.count) == 1);
		drain_cut(&b, &s, gso, random_in(&r, 1, 64));
		want(!sl_count_drops(&b.count));
		want(!b.config.copy || b.count.copied);
		bench_close(&b);
		sample_free(&s);
	}
}

/* A segment of more slices than an entry can name, its headers beside them. */
static void test_too_many_slices(void **state)
{
	(void)state;
	for (seed = 1; seed <= 40; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, 6400);
		uint32_t payload = s.h.end - s.h.payload;
		uint16_t gso = (uint16_t)(payload - 1);
		struct sl_offload facts = facts_of(&s, gso);
		struct bench b;

		bench_open(&b, seed & 1 ? SL_CAN_CSUM : 0, false, s.layer);
		/* 64 pieces, and the first holds some of the payload as well. */
		put(&b, s.bytes, s.len, 64, s.h.payload + 10u, 0, &facts);
		want(sl_fit_step(b.fit, &b.count) == 1);
		want(b.count.copied == 1);
		drain_cut(&b, &s, gso, 64);
		want(b.count.copied == 1);
		bench_close(&b);
		sample_free(&s);
	}
}

/* More segments than the outgoing ring has entries: it goes on where it stopped. */
static void test_full_in_the_middle(void **state)
{
	(void)state;
	for (seed = 1; seed <= 20; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, 30000);
		struct sl_offload facts = facts_of(&s, 100);
		const struct sl_offload *offload;
		uint8_t small[60] = {0};
		struct bench b;
		uint32_t at;

		bench_open(&b, 0, seed & 1, s.layer);
		put(&b, s.bytes, s.len, 5, 500, 0, &facts);
		put(&b, small, sizeof(small), 1, 0, 0, NULL);
		want(sl_fit_step(b.fit, &b.count) == 1);
		want(sl_ring_ready(b.out, &at) && sl_fit_step(b.fit, &b.count) == 0);
		drain_cut(&b, &s, 100, random_in(&r, 1, 64));
		want(sl_ring_ready(b.out, &at) == 0); /* flushing took nothing new */
		want(through(&b, &offload) == sizeof(small));
		bench_close(&b);
		sample_free(&s);
	}
}

/* What a hostile source says. It is never let through to a port that accepts nothing. */
static void test_hostile(void **state)
{
	static const struct {
		struct sl_offload facts;
		enum sl_drop reason;
	} cases[] = {
		{{.flags = 1, .gso_type = 2, .gso_size = 50}, SL_DROP_UNSUPPORTED},
		{{.flags = 1, .gso_type = 3, .gso_size = 50}, SL_DROP_UNSUPPORTED},
		{{.flags = 1, .gso_type = 0x7f, .gso_size = 50}, SL_DROP_UNSUPPORTED},
		{{.flags = 1, .gso_type = 0xff, .gso_size = 50}, SL_DROP_UNSUPPORTED},
		{{.flags = 1, .gso_type = SL_GSO_UDP_L4, .gso_size = 50}, SL_DROP_MALFORMED},
		{{.flags = 0, .gso_type = SL_GSO_TCPV4, .gso_size = 50}, SL_DROP_MALFORMED},
		{{.flags = 1, .gso_type = SL_GSO_TCPV4, .gso_size = 0}, SL_DROP_MALFORMED},
		{{.flags = 1, .gso_type = SL_GSO_TCPV6, .gso_size = 50}, SL_DROP_MALFORMED},
		{{.flags = 1, .gso_type = SL_GSO_TCPV4, .gso_size = 65535}, SL_DROP_MALFORMED},
		{{.flags = 1, .csum_start = 65535, .csum_offset = 65535}, SL_DROP_MALFORMED},
		{{.flags = 1, .csum_start = 299, .csum_offset = 0}, SL_DROP_MALFORMED},
	};

	(void)state;
	for (seed = 0; seed < sizeof(cases) / sizeof(*cases); seed++) {
		const struct sl_offload *offload;
		uint8_t bytes[300];
		uint64_t r = 1;
		struct bench b;

		random_fill(&r, bytes, sizeof(bytes));
		bench_open(&b, 0, seed & 1, 2);
		put(&b, bytes, sizeof(bytes), 4, 20, 0, &cases[seed].facts);
		want(through(&b, &offload) == UINT32_MAX);
		want(drops(&b, cases[seed].reason) == 1 && !b.count.cut);
		bench_close(&b);
	}
}

static void test_empty(void **state)
{
	const struct sl_offload *offload;
	struct bench b;

	(void)state;
	for (seed = 0; seed < 2; seed++) {
		bench_open(&b, 0, seed, 2);
		put(&b, flat, 0, 3, 0, 0, NULL);
		if (through(&b, &offload) != 0)
			want(drops(&b, SL_DROP_MALFORMED) == 1);
		bench_close(&b);
	}
}

/* 65600 bytes is what can be copied; more than that goes only without a copy. */
static void test_large(void **state)
{
	static uint8_t bytes[130000];
	const struct sl_offload *offload;
	struct bench b;

	(void)state;
	for (uint32_t len = 65599; len <= 65601; len++) {
		bench_open(&b, 0, true, 2);
		put(&b, bytes, len, 2, 40000, 0, NULL);
		if (len <= 65600) {
			want(through(&b, &offload) == len);
		} else {
			want(through(&b, &offload) == UINT32_MAX);
			want(drops(&b, SL_DROP_TOO_LARGE) == 1);
		}
		bench_close(&b);
	}
	bench_open(&b, 0, false, 2);
	put(&b, bytes, sizeof(bytes), 64, 40000, 0, NULL);
	want(through(&b, &offload) == sizeof(bytes));
	bench_close(&b);
}

/* TSO without checksums, which nobody should offer: the segment sizes are not forgotten. */
static void test_tso_without_csum(void **state)
{
	(void)state;
	for (seed = 1; seed <= 50; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, 3000);
		uint16_t gso = (uint16_t)random_in(&r, 100, 1000);
		struct sl_offload facts = facts_of(&s, gso);
		struct bench b;

		bench_open(&b, ALL_CAN & ~(uint32_t)SL_CAN_CSUM, false, s.layer);
		put(&b, s.bytes, s.len, 2, 300, 0, &facts);
		want(sl_fit_step(b.fit, &b.count) == 1);
		drain_cut(&b, &s, gso, 64);
		bench_close(&b);
		sample_free(&s);
	}
}

/* Two ports may use one number for a region: what is lent does not become ours by it. */
static void test_region_number(void **state)
{
	struct sl_packet *packet;
	uint8_t bytes[60] = {0};
	struct bench b;
	uint32_t at;

	(void)state;
	bench_open(&b, 0, false, 2);
	put(&b, bytes, sizeof(bytes), 1, 0, 0, NULL);
	sl_ring_packet(b.in, 0)->frag.region = OWN_REGION;
	want(sl_fit_step(b.fit, &b.count) == 1);
	want(sl_ring_ready(b.out, &at) == 1);
	packet = sl_ring_packet(b.out, at);
	want(!(packet->flags & SL_PACKET_WRITABLE) && packet->headroom <= 16);
	sl_ring_consume(b.out, 1);
	bench_close(&b);
}

/* In the middle of a cut, some of it in flight, some ready, some not made yet. */
static void test_recall(void **state)
{
	(void)state;
	for (seed = 1; seed <= 60; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, 30000);
		struct sl_offload facts = facts_of(&s, 100);
		const struct sl_offload *offload;
		uint8_t small[60] = {1};
		struct bench b;
		uint32_t at;

		bench_open(&b, 0, seed & 1, s.layer);
		put(&b, small, sizeof(small), 1, 0, 0, NULL);
		put(&b, small, sizeof(small), 1, 0, 0, NULL);
		put(&b, s.bytes, s.len, 5, 500, 0, &facts);
		put(&b, small, sizeof(small), 1, 0, 0, NULL);
		want(sl_fit_step(b.fit, &b.count) == 3);
		want(next(&b, &at) == sizeof(small));
		sl_ring_done(b.out, at); /* delivered, though the fitting has not seen it */
		for (uint32_t n = random_in(&r, 0, 30); n; n--)
			want(next(&b, &at) != UINT32_MAX);
		want(sl_fit_recall(b.fit) == 2);
		want(back(&b) == 3 && sl_ring_in_flight(b.in) == 0);
		want(next(&b, &at) == UINT32_MAX);
		/* It works on. */
		want(through(&b, &offload) == sizeof(small));
		want(sl_fit_recall(b.fit) == 0);
		bench_close(&b);
		sample_free(&s);
	}
}

/* Many packets of all kinds, the consumer slow and out of order. */
static void test_mixed(void **state)
{
	(void)state;
	for (seed = 1; seed <= 40; seed++) {
		uint64_t r = seed, cut = 0;
		uint32_t held[64], n_held = 0, given = 0, at;
		struct bench b;

		bench_open(&b, seed & 1 ? SL_CAN_CSUM : 0, seed & 2, 2);
		while (b.n_back < 300) {
			struct sample s = sample_make(&r, random_in(&r, 1, 9000));
			uint32_t payload = s.h.end - s.h.payload;
			struct sl_offload facts =
				facts_of(&s, (uint16_t)random_in(&r, payload / 80 + 1, payload));

			if (given < 300 && sl_ring_room(b.in, &at) &&
			    sl_ring_frag_room(b.in) >= 64 && s.layer == 2) {
				bool super = random_next(&r) & 1;

				put(&b, s.bytes, s.len, random_in(&r, 1, 64), 0, 0,
				    super ? &facts : NULL);
				cut += super;
				given++;
			}
			sample_free(&s);
			sl_fit_step(b.fit, &b.count);
			while (n_held < 64 && random_in(&r, 0, 3) && next(&b, &at) != UINT32_MAX)
				held[n_held++] = at;
			while (n_held && random_in(&r, 0, 3)) {
				uint32_t pick = random_in(&r, 0, n_held - 1);

				sl_ring_done(b.out, held[pick]);
				held[pick] = held[--n_held];
			}
			back(&b);
		}
		want(!sl_count_drops(&b.count) && b.count.cut == cut);
		bench_close(&b);
	}
}

static void test_release(void **state)
{
	(void)state;
	sl_fit_release(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_needed),		cmocka_unit_test(test_pass),
		cmocka_unit_test(test_pass_facts),	cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_checksum_zero),	cmocka_unit_test(test_cut),
		cmocka_unit_test(test_too_many_slices), cmocka_unit_test(test_full_in_the_middle),
		cmocka_unit_test(test_hostile),		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_large),		cmocka_unit_test(test_tso_without_csum),
		cmocka_unit_test(test_region_number),	cmocka_unit_test(test_recall),
		cmocka_unit_test(test_mixed),		cmocka_unit_test(test_release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
