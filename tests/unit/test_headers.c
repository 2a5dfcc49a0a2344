/* SPDX-License-Identifier: BSD-2-Clause */
/* Parsing headers: what is found, and that nothing outside is read. */
#include "packets.h"

#include <errno.h>

/* Parse a copy that is exactly as long as what may be read. */
static int parse(const uint8_t *bytes, size_t copied, size_t len, unsigned layer,
		 struct sl_headers *h)
{
	size_t have = copied < len ? copied : len;
	uint8_t *copy = exact(bytes, have);
	int err = sl_headers_parse(copy, have, len, layer, h);

	exact_free(copy, have);
	return err;
}

static bool same(const struct sl_headers *a, const struct sl_headers *b)
{
	return a->l3 == b->l3 && a->l4 == b->l4 && a->payload == b->payload && a->end == b->end &&
	       a->ip == b->ip && a->proto == b->proto && a->fragment == b->fragment;
}

/* What must hold for any bytes when the parser is content. */
static void check_invariants(const struct sl_headers *h, size_t copied, size_t len)
{
	want(h->end <= len);
	want(h->ip == 0 || h->ip == 4 || h->ip == 6);
	if (h->ip)
		want(h->l3 + (h->ip == 4 ? 20u : 40u) <= h->end);
	want(!h->fragment || (h->ip && !h->proto));
	if (!h->proto)
		return;
	want(h->proto == 6 || h->proto == 17);
	want(h->ip && h->l4 >= h->l3 + (h->ip == 4 ? 20 : 40));
	want(h->payload >= h->l4 + (h->proto == 6 ? 20 : 8));
	want(h->payload <= h->end && h->payload <= copied && h->payload <= SL_HEADERS_MAX);
}

static void test_finds_random_traffic(void **state)
{
	(void)state;
	for (seed = 1; seed <= 20000; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, random_in(&r, 0, 300));
		struct sl_headers h;

		want(parse(s.bytes, SL_HEADERS_MAX, s.len, s.layer, &h) == 0);
		want(same(&h, &s.h));
		sample_free(&s);
	}
}

static void test_every_truncation(void **state)
{
	(void)state;
	for (seed = 1; seed <= 300; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, random_in(&r, 0, 40));
		struct sl_headers h;

		for (uint32_t len = 0; len < s.h.end; len++)
			want(parse(s.bytes, len, len, s.layer, &h) == -EINVAL);
		for (uint32_t copied = 0; copied <= s.len && copied <= SL_HEADERS_MAX; copied++) {
			int err = parse(s.bytes, copied, s.len, s.layer, &h);

			want(err == 0 || (err == -EINVAL && copied < s.h.l4));
			if (!err)
				check_invariants(&h, copied, s.len);
			want(err || (h.proto != 0) == (copied >= s.h.payload));
		}
		sample_free(&s);
	}
}

static void test_mutations(void **state)
{
	(void)state;
	for (seed = 1; seed <= 100000; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, random_in(&r, 0, 60));
		uint32_t len = random_in(&r, 0, s.len), copied = random_in(&r, 0, len);
		struct sl_headers h;

		for (uint32_t n = random_in(&r, 1, 6); n; n--)
			s.bytes[random_in(&r, 0, s.h.payload - 1)] = (uint8_t)random_next(&r);
		if (parse(s.bytes, copied, len, random_in(&r, 2, 3), &h) == 0)
			check_invariants(&h, copied, len);
		sample_free(&s);
	}
}

static void test_ipv4_lengths(void **state)
{
	uint8_t p[60] = {0x45, 0, 0, 60, 0, 0, 0, 0, 64, 6};
	struct sl_headers h;

	(void)state;
	p[32] = 0x50;
	assert_int_equal(parse(p, 60, 60, 3, &h), 0);
	assert_int_equal(h.proto, 6);
	p[0] = 0x44;
	assert_int_equal(parse(p, 60, 60, 3, &h), -EINVAL);
	p[0] = 0x4f;
	assert_int_equal(parse(p, 60, 60, 3, &h), -EINVAL); /* no room for TCP */
	p[0] = 0x45;
	for (unsigned total = 0; total < 40; total++) {
		p[3] = (uint8_t)total;
		assert_int_equal(parse(p, 60, 60, 3, &h), -EINVAL);
	}
	p[3] = 61;
	assert_int_equal(parse(p, 60, 60, 3, &h), -EINVAL);
	p[3] = 60;
	for (unsigned doff = 0; doff < 16; doff++) {
		p[32] = (uint8_t)(doff << 4);
		assert_int_equal(parse(p, 60, 60, 3, &h), doff < 5 || doff > 10 ? -EINVAL : 0);
	}
}

static void test_udp_lengths(void **state)
{
	uint8_t p[40] = {0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17};
	struct sl_headers h;

	(void)state;
	for (unsigned len = 0; len < 30; len++) {
		p[25] = (uint8_t)len;
		assert_int_equal(parse(p, 40, 40, 3, &h), len < 8 || len > 16 ? -EINVAL : 0);
	}
}

static void test_fragments(void **state)
{
	uint8_t p4[60] = {0x45, 0, 0, 60, 0, 0, 0, 0, 64, 17};
	uint8_t p6[60] = {0x60, 0, 0, 0, 0, 20, 44};
	const uint16_t flags[] = {0x2000, 0x0001, 0x1fff, 0x6000};
	struct sl_headers h;

	(void)state;
	for (size_t n = 0; n < 4; n++) {
		put16(p4 + 6, flags[n]);
		assert_int_equal(parse(p4, 60, 60, 3, &h), 0);
		assert_true(h.fragment && h.ip == 4 && !h.proto);
	}
	assert_int_equal(parse(p6, 60, 60, 3, &h), 0);
	assert_true(h.fragment && h.ip == 6 && !h.proto);
	put16(p4 + 6, 0x4000); /* DF is no fragment */
	p4[25] = 40;
	assert_int_equal(parse(p4, 60, 60, 3, &h), 0);
	assert_true(!h.fragment && h.proto == 17);
}

/* An IPv6 packet with @count extension headers of @kind, then UDP; returns its length. */
static uint32_t chain(uint8_t *p, unsigned count, uint8_t kind, uint8_t words)
{
	uint32_t at = 40, each = 8 + 8 * words;

	memset(p, 0, 4096);
	p[0] = 0x60;
	p[6] = count ? kind : 17;
	for (unsigned n = 0; n < count; n++, at += each) {
		p[at] = n + 1 < count ? kind : 17;
		p[at + 1] = words;
	}
	p[at + 5] = 8;
	put16(p + 4, at + 8 - 40);
	return at + 8;
}

static void test_ipv6_chain_is_bounded(void **state)
{
	static uint8_t p[4096];
	struct sl_headers h;

	(void)state;
	for (unsigned count = 0; count <= 12; count++) {
		uint32_t len = chain(p, count, 60, 0);

		assert_int_equal(parse(p, SL_HEADERS_MAX, len, 3, &h), 0);
		assert_int_equal(h.proto, count <= 8 ? 17 : 0);
	}
	for (uint8_t words = 0; words < 40; words++) { /* past SL_HEADERS_MAX: not looked at */
		uint32_t len = chain(p, 1, 0, words);

		assert_int_equal(parse(p, len, len, 3, &h), 0);
		assert_int_equal(h.proto, len <= SL_HEADERS_MAX ? 17 : 0);
		for (unsigned more = 1; more < 4; more++) { /* into UDP, past it, into padding */
			p[41] = (uint8_t)(words + more);
			assert_int_equal(parse(p, len, len, 3, &h), -EINVAL);
			assert_int_equal(parse(p, len + 64, len + 64, 3, &h), -EINVAL);
		}
	}
}

static void test_ipv6_headers_not_looked_into(void **state)
{
	static uint8_t p[4096];
	const uint8_t others[] = {50, 51, 58, 59, 135, 139, 140, 253};
	struct sl_headers h;

	(void)state;
	for (size_t n = 0; n < sizeof(others); n++) {
		uint32_t len = chain(p, 1, others[n], 0);

		assert_int_equal(parse(p, len, len, 3, &h), 0);
		assert_true(h.ip == 6 && !h.proto && !h.fragment);
	}
	for (unsigned left = 0; left < 256; left++) {
		uint32_t len = chain(p, 1, 43, 0);

		p[43] = (uint8_t)left;
		assert_int_equal(parse(p, len, len, 3, &h), 0);
		assert_int_equal(h.proto, left ? 0 : 17);
	}
}

static void test_ipv6_jumbogram(void **state)
{
	static uint8_t p[4096];
	struct sl_headers h;
	uint32_t len = chain(p, 1, 0, 0);

	(void)state;
	put16(p + 4, 0);
	assert_int_equal(parse(p, len, len, 3, &h), -EINVAL);
	p[6] = 59; /* no next header: empty, and allowed */
	assert_int_equal(parse(p, len, len, 3, &h), 0);
	assert_true(h.ip == 6 && !h.proto && h.end == 40);
}

static void test_ipv4_source_route(void **state)
{
	uint8_t p[40] = {0x48, 0, 0, 40, 0, 0, 0, 0, 64, 17};
	struct sl_headers h;

	(void)state;
	p[37] = 8;
	for (unsigned kind = 130; kind < 139; kind++) {
		p[20] = 1;
		p[21] = (uint8_t)kind;
		p[22] = 7;
		p[23] = 4;
		assert_int_equal(parse(p, 40, 40, 3, &h), 0);
		assert_int_equal(h.proto, kind == 131 || kind == 137 ? 0 : 17);
		p[23] = 8; /* used up */
		assert_int_equal(parse(p, 40, 40, 3, &h), 0);
		assert_int_equal(h.proto, 17);
	}
	p[21] = 137;
	p[22] = 11; /* room for two hops, one used */
	p[23] = 8;
	assert_int_equal(parse(p, 40, 40, 3, &h), 0);
	assert_int_equal(h.proto, 0);
	for (unsigned len = 12; len < 256; len++) { /* an option that does not hold */
		p[22] = (uint8_t)len;
		assert_int_equal(parse(p, 40, 40, 3, &h), 0);
		assert_int_equal(h.proto, 17);
	}
}

static void test_ethernet(void **state)
{
	uint8_t p[80] = {0};
	struct sl_headers h;

	(void)state;
	put16(p + 12, 0x0806); /* ARP */
	assert_int_equal(parse(p, 60, 60, 2, &h), 0);
	assert_true(!h.ip && !h.proto && h.end == 60);
	put16(p + 12, 46); /* an 802.3 length */
	assert_int_equal(parse(p, 60, 60, 2, &h), 0);
	assert_int_equal(h.ip, 0);
	put16(p + 12, 0x0800); /* says IPv4, is version 6 */
	p[14] = 0x60;
	assert_int_equal(parse(p, 60, 60, 2, &h), 0);
	assert_int_equal(h.ip, 0);
	for (unsigned tags = 0; tags <= 3; tags++) {
		memset(p, 0, sizeof(p));
		for (unsigned n = 0; n < tags; n++)
			put16(p + 12 + 4 * n, n & 1 ? 0x8100 : 0x88a8);
		put16(p + 12 + 4 * tags, 0x0800);
		p[14 + 4 * tags] = 0x45;
		p[17 + 4 * tags] = 20;
		assert_int_equal(parse(p, 80, 80, 2, &h), 0);
		assert_int_equal(h.ip, tags <= 2 ? 4 : 0);
	}
	p[0] = 0x50; /* layer 3, neither version */
	assert_int_equal(parse(p, 80, 80, 3, &h), 0);
	assert_int_equal(h.ip, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_random_traffic),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_ipv4_lengths),
		cmocka_unit_test(test_udp_lengths),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_ipv6_chain_is_bounded),
		cmocka_unit_test(test_ipv6_headers_not_looked_into),
		cmocka_unit_test(test_ipv6_jumbogram),
		cmocka_unit_test(test_ipv4_source_route),
		cmocka_unit_test(test_ethernet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
