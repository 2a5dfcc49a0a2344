/* SPDX-License-Identifier: BSD-2-Clause */
/* The cutter against a naive one, over random traffic and hostile facts. */
#include "packets.h"

#include <errno.h>

#include "packet/csum.h"
#include "packet/cut.h"

/* True facts for a sample, which becomes partial as NEEDS_CSUM wants it. */
static struct sl_offload facts(struct sample *s, uint32_t gso_size)
{
	unsigned offset = csum_offset(&s->h);

	put16(s->bytes + s->h.l4 + offset, slow_pseudo(s->bytes, &s->h, s->h.end - s->h.l4));
	return (struct sl_offload){
		.flags = SL_OFFLOAD_NEEDS_CSUM,
		.gso_type = s->h.proto == 17 ? SL_GSO_UDP_L4
			    : s->h.ip == 4   ? SL_GSO_TCPV4
					     : SL_GSO_TCPV6,
		.hdr_len = s->h.payload,
		.gso_size = (uint16_t)gso_size,
		.csum_start = s->h.l4,
		.csum_offset = (uint16_t)offset,
	};
}

/* Start on a copy of just the bytes that may be read. */
static int start(struct sl_cut *cut, const struct sample *s, uint32_t copied,
		 const struct sl_offload *offload)
{
	uint32_t have = copied < s->len ? copied : s->len;
	uint8_t *copy = exact(s->bytes, have);
	int err = sl_cut_start(cut, copy, have, s->len, s->layer, offload);

	exact_free(copy, have);
	return err;
}

/* Segment @index of a super-packet, made the slow way. Returns its length. */
static uint32_t naive(const struct sample *s, uint32_t gso_size, uint32_t index, uint8_t *out)
{
	uint32_t at = s->h.payload + index * gso_size, left = s->h.end - at;
	uint32_t len = left < gso_size ? left : gso_size;
	struct sl_headers h = s->h;

	h.end = h.payload + len;
	memcpy(out, s->bytes, h.payload);
	memcpy(out + h.payload, s->bytes + at, len);
	if (h.ip == 4) {
		put16(out + h.l3 + 2, h.end - h.l3);
		put16(out + h.l3 + 4, get16(out + h.l3 + 4) + index);
	} else {
		put16(out + h.l3 + 4, h.end - h.l3 - 40);
	}
	if (h.proto == 17) {
		put16(out + h.l4 + 4, 8 + len);
	} else {
		uint32_t seq = get16(out + h.l4 + 4) << 16 | get16(out + h.l4 + 6);

		seq += index * gso_size;
		put16(out + h.l4 + 4, seq >> 16);
		put16(out + h.l4 + 6, seq);
		if (index)
			out[h.l4 + 13] &= 0x7f;
		if (len != left)
			out[h.l4 + 13] &= 0xf6;
	}
	slow_complete(out, &h);
	return h.end;
}

static void check_partial(const struct sl_cut *cut, const uint8_t *segment, uint32_t len)
{
	unsigned stored = get16(segment + cut->csum_start + cut->csum_offset);

	want(stored % 65535 == slow_pseudo(segment, &cut->h, len - cut->csum_start) % 65535);
}

/* Cut all of it and compare. Returns the number of segments. */
static uint32_t check_cut(struct sample *s, const struct sl_offload *offload)
{
	static uint8_t expected[66000];
	struct sl_cut cut;
	struct sl_segment segment;
	uint32_t count = 0, at = s->h.payload, len = s->h.payload;
	uint8_t *out = malloc(len); /* exactly the room that was promised */

	want(out && start(&cut, s, SL_HEADERS_MAX, offload) == 0);
	want(cut.headers_len == len && cut.csum_start == s->h.l4);
	want(cut.csum_offset == csum_offset(&s->h));
	for (; sl_cut_next(&cut, out, &segment); count++) {
		uint32_t whole = naive(s, offload->gso_size, count, expected);
		struct sl_headers h = s->h;

		want(segment.at == at && segment.len == whole - len);
		want(segment.len <= offload->gso_size && segment.len);
		check_partial(&cut, out, whole);
		sl_cut_csum(&cut, out, sl_csum_add(0, s->bytes + segment.at, segment.len));
		want(!memcmp(out, expected, len));
		h.end = whole;
		want(slow_valid(expected, &h));
		at += segment.len;
	}
	want(at == s->h.end);
	want(!sl_cut_next(&cut, out, &segment));
	free(out);
	return count;
}

static uint32_t ceil_div(uint32_t a, uint32_t b)
{
	return (a + b - 1) / b;
}

static void test_random_traffic(void **state)
{
	(void)state;
	for (seed = 1; seed <= 6000; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, random_in(&r, 1, seed % 50 ? 3000 : 65535));
		uint32_t payload = s.h.end - s.h.payload;
		uint32_t gso_size = random_in(&r, payload < 1500 ? 1 : 400, payload);
		struct sl_offload offload = facts(&s, gso_size);

		if (s.h.proto == 6 && random_next(&r) & 1)
			offload.gso_type |= SL_GSO_ECN;
		offload.hdr_len = (uint16_t)random_next(&r); /* a hint, and a lie */
		want(check_cut(&s, &offload) == ceil_div(payload, gso_size));
		sample_free(&s);
	}
}

static void test_every_gso_size(void **state)
{
	(void)state;
	for (seed = 1; seed <= 16; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, random_in(&r, 60, 120));
		uint32_t payload = s.h.end - s.h.payload;

		for (uint32_t gso_size = 1; gso_size <= payload; gso_size++) {
			struct sl_offload offload = facts(&s, gso_size);

			want(check_cut(&s, &offload) == ceil_div(payload, gso_size));
		}
		sample_free(&s);
	}
}

/* The longest IP packet there is, in the most segments there can be. */
static void test_largest(void **state)
{
	(void)state;
	for (seed = 1; seed <= 8; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, 65535);
		struct sl_offload offload = facts(&s, 60000);

		want(check_cut(&s, &offload) == 2);
		offload.gso_size = 1;
		want(seed > 2 || check_cut(&s, &offload) == s.h.end - s.h.payload);
		sample_free(&s);
	}
}

/* A UDP checksum that comes out as 0 is sent as 0xffff (RFC 768). */
static void test_udp_zero(void **state)
{
	uint32_t zeros = 0;

	(void)state;
	for (seed = 1; seed <= 2000; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, 40);
		uint32_t l4_len = 8 + 20;
		struct sl_headers h = s.h;
		struct sl_offload offload = facts(&s, 20);
		unsigned sum;

		h.end = h.payload + 20;
		if (h.proto == 17) { /* make the first segment's words add up to 0xffff */
			put16(s.bytes + h.payload, 0);
			put16(s.bytes + h.l4 + 4, l4_len);
			put16(s.bytes + h.l4 + 6, 0);
			sum = slow_sum(slow_pseudo(s.bytes, &h, l4_len), s.bytes + h.l4, l4_len);
			put16(s.bytes + h.payload, ~sum);
			put16(s.bytes + h.l4 + 4, s.h.end - h.l4);
			facts(&s, 20);
			want(check_cut(&s, &offload) == 2);
			zeros++;
		}
		sample_free(&s);
	}
	assert_true(zeros > 100);
}

static void test_gso_size_lies(void **state)
{
	(void)state;
	for (seed = 1; seed <= 2000; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, random_in(&r, 0, 2000));
		uint32_t payload = s.h.end - s.h.payload;
		struct sl_offload offload = facts(&s, 0);
		struct sl_cut cut;

		want(start(&cut, &s, SL_HEADERS_MAX, &offload) == -EINVAL);
		offload.gso_size = (uint16_t)random_in(&r, payload + 1, 65535);
		want(start(&cut, &s, SL_HEADERS_MAX, &offload) == -EINVAL);
		offload.gso_size = (uint16_t)(payload + 1);
		want(start(&cut, &s, SL_HEADERS_MAX, &offload) == -EINVAL);
		sample_free(&s);
	}
}

static void test_every_gso_type(void **state)
{
	(void)state;
	for (seed = 1; seed <= 100; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, random_in(&r, 1, 100));
		struct sl_offload offload = facts(&s, 1);
		uint8_t right = offload.gso_type;
		struct sl_cut cut;

		for (unsigned type = 0; type < 256; type++) {
			unsigned base = type & 0x7f;
			int expected = base == 0 || base == 1 || base == 4 || base == 5
					       ? -EINVAL
					       : -EOPNOTSUPP;

			if (type == right || (type == (right | 0x80u) && s.h.proto == 6))
				expected = 0;
			offload.gso_type = (uint8_t)type;
			want(start(&cut, &s, SL_HEADERS_MAX, &offload) == expected);
		}
		sample_free(&s);
	}
}

static void test_checksum_facts(void **state)
{
	(void)state;
	for (seed = 1; seed <= 20; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, 10);
		const struct sl_offload right = facts(&s, 5);
		struct sl_offload o = right;
		struct sl_cut cut;

		for (unsigned n = 0; n < 65536; n++) {
			o.csum_start = (uint16_t)n;
			want(start(&cut, &s, SL_HEADERS_MAX, &o) ==
			     (n == right.csum_start ? 0 : -EINVAL));
		}
		o = right;
		for (unsigned n = 0; n < 65536; n++) {
			o.csum_offset = (uint16_t)n;
			want(start(&cut, &s, SL_HEADERS_MAX, &o) ==
			     (n == right.csum_offset ? 0 : -EINVAL));
		}
		o = right;
		for (unsigned n = 0; n < 256; n++) {
			o.flags = (uint8_t)n;
			want(start(&cut, &s, SL_HEADERS_MAX, &o) == (n & 1 ? 0 : -EINVAL));
		}
		sample_free(&s);
	}
}

static void test_truncated(void **state)
{
	(void)state;
	for (seed = 1; seed <= 200; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, 30);
		struct sl_offload offload = facts(&s, 7);
		struct sl_cut cut;
		uint32_t whole = s.len;

		for (uint32_t copied = 0; copied < s.h.payload; copied++)
			want(start(&cut, &s, copied, &offload) == -EINVAL);
		for (s.len = 0; s.len < s.h.end; s.len++)
			want(start(&cut, &s, s.len, &offload) == -EINVAL);
		s.len = whole;
		sample_free(&s);
	}
}

static void test_fragments_and_udp_length(void **state)
{
	(void)state;
	for (seed = 1; seed <= 2000; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, 30);
		struct sl_offload offload = facts(&s, 7);
		struct sl_cut cut;

		if (s.h.proto == 17)
			put16(s.bytes + s.h.l4 + 4, 8 + random_in(&r, 0, 29));
		else if (s.h.ip == 4)
			put16(s.bytes + s.h.l3 + 6, random_in(&r, 1, 0x3fff));
		else
			s.bytes[s.h.l3 + 6] = 44;
		want(start(&cut, &s, SL_HEADERS_MAX, &offload) == -EINVAL);
		sample_free(&s);
	}
}

/* Whatever is accepted must be cut inside the packet and come to an end. */
static void test_hostile(void **state)
{
	uint32_t accepted = 0;

	(void)state;
	for (seed = 1; seed <= 100000; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, random_in(&r, 0, 200));
		struct sl_offload offload = facts(&s, random_in(&r, 1, 100));
		struct sl_segment segment;
		struct sl_cut cut;

		for (uint32_t n = random_in(&r, 0, 3); n; n--)
			s.bytes[random_in(&r, 0, s.h.payload - 1u)] = (uint8_t)random_next(&r);
		for (uint32_t n = random_in(&r, 0, 1); n; n--)
			((uint8_t *)&offload)[random_in(&r, 0, 9)] = (uint8_t)random_next(&r);
		if (start(&cut, &s, random_in(&r, 0, 300), &offload) == 0) {
			uint8_t *out = malloc(cut.headers_len);
			uint32_t at = cut.headers_len;

			accepted++;
			for (; sl_cut_next(&cut, out, &segment); at += segment.len) {
				want(segment.at == at && segment.len);
				want(segment.len <= s.len - at);
				sl_cut_csum(&cut, out, seed);
			}
			free(out);
		}
		sample_free(&s);
	}
	assert_true(accepted > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_traffic),
		cmocka_unit_test(test_every_gso_size),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_udp_zero),
		cmocka_unit_test(test_gso_size_lies),
		cmocka_unit_test(test_every_gso_type),
		cmocka_unit_test(test_checksum_facts),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_fragments_and_udp_length),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
