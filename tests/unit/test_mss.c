/* SPDX-License-Identifier: BSD-2-Clause */
/* The MSS clamp: the right value, a right checksum, and nothing else touched. */
#include "packets.h"

#include "packet/mss.h"

/* Write TCP options of @len bytes with the MSS somewhere among them; returns where its
 * value lies, at an even or odd offset. */
static unsigned build_options(uint64_t *r, uint8_t *to, unsigned len, unsigned mss)
{
	unsigned room = len - 4, at = random_in(r, 0, room), n = 0;

	memset(to, 1, len);
	if (at >= 4 && random_next(r) & 1) { /* something before: an option nobody knows */
		to[0] = 254;
		to[1] = (uint8_t)random_in(r, 2, at);
		n = to[1];
		random_fill(r, to + 2, n - 2);
	}
	to[at] = 2;
	to[at + 1] = 4;
	put16(to + at + 2, mss);
	if (room - at >= 2 && random_next(r) & 1) {
		to[at + 4] = 8;
		to[at + 5] = (uint8_t)(room - at);
	} else if (room > at && random_next(r) & 1) {
		to[at + 4] = 0; /* what lies behind the end is no option */
		random_fill(r, to + at + 5, room - at - 1);
	}
	return at + 2;
}

/* A TCP packet with room for an MSS option: SYN set, options written, checksum complete. */
static struct sample syn_make(uint64_t *r, unsigned mss, unsigned *value)
{
	struct sample s;

	for (;;) {
		s = sample_make(r, random_in(r, 0, 20));
		if (s.h.proto == 6 && s.h.payload - s.h.l4 > 20)
			break;
		sample_free(&s);
	}
	s.bytes[s.h.l4 + 13] |= 2;
	*value = s.h.l4 + 20u;
	*value += build_options(r, s.bytes + *value, s.h.payload - *value, mss);
	slow_complete(s.bytes, &s.h);
	return s;
}

static void test_lowers(void **state)
{
	(void)state;
	for (seed = 1; seed <= 30000; seed++) {
		uint64_t r = seed;
		unsigned was = random_in(&r, 0, 0xffff), at;
		uint16_t mss = (uint16_t)(seed % 8 ? random_in(&r, 0, 0xffff) : was);
		struct sample s = syn_make(&r, was, &at);
		uint8_t *before = exact(s.bytes, s.len);

		want(slow_valid(s.bytes, &s.h));
		want(sl_mss_clamp(s.bytes, s.len, s.len, s.layer, mss, false) == (was > mss));
		want(get16(s.bytes + at) == (was > mss ? mss : was));
		want(slow_valid(s.bytes, &s.h));
		put16(s.bytes + at, was);
		memcpy(s.bytes + s.h.l4 + 16, before + s.h.l4 + 16, 2);
		want(!memcmp(s.bytes, before, s.len));
		exact_free(before, s.len);
		sample_free(&s);
	}
}

static void test_partial_leaves_checksum(void **state)
{
	(void)state;
	for (seed = 1; seed <= 2000; seed++) {
		uint64_t r = seed;
		unsigned at;
		struct sample s = syn_make(&r, 1460, &at);
		uint8_t *before = exact(s.bytes, s.len);

		want(sl_mss_clamp(s.bytes, s.len, s.len, s.layer, 1200, true));
		want(get16(s.bytes + at) == 1200);
		put16(s.bytes + at, 1460);
		want(!memcmp(s.bytes, before, s.len));
		exact_free(before, s.len);
		sample_free(&s);
	}
}

static void test_have_too_little(void **state)
{
	(void)state;
	for (seed = 1; seed <= 200; seed++) {
		uint64_t r = seed;
		unsigned at;
		struct sample s = syn_make(&r, 1460, &at);

		for (uint32_t have = 0; have <= s.len; have++) {
			uint8_t *b = exact(s.bytes, have);

			want(sl_mss_clamp(b, have, s.len, s.layer, 1200, false) ==
			     (have >= s.h.payload));
			exact_free(b, have);
		}
		for (uint32_t len = 0; len < s.h.end; len++) {
			uint8_t *b = exact(s.bytes, len);

			want(!sl_mss_clamp(b, len, len, s.layer, 1200, false));
			exact_free(b, len);
		}
		sample_free(&s);
	}
}

static void test_others_untouched(void **state)
{
	(void)state;
	for (seed = 1; seed <= 20000; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, random_in(&r, 0, 20));
		uint8_t *before;

		if (s.h.proto == 6)
			s.bytes[s.h.l4 + 13] &= 0xfd;
		before = exact(s.bytes, s.len);
		want(!sl_mss_clamp(s.bytes, s.len, s.len, s.layer, 0, false));
		want(!memcmp(s.bytes, before, s.len));
		exact_free(before, s.len);
		sample_free(&s);
	}
}

static bool clamp_options(const uint8_t *options, uint8_t len, uint8_t *out)
{
	uint8_t p[60] = {0x45, 0, 0, (uint8_t)(40 + len), 0, 0, 0, 0, 64, 6};
	const struct sl_headers h = {
		.l4 = 20, .payload = (uint16_t)(40 + len), .end = 40u + len, .ip = 4, .proto = 6};
	uint8_t *b;
	bool changed;

	p[32] = (uint8_t)((20 + len) / 4 << 4);
	p[33] = 2;
	memcpy(p + 40, options, len);
	slow_complete(p, &h);
	b = exact(p, h.end);
	changed = sl_mss_clamp(b, h.end, h.end, 3, 1000, false);
	assert_true(slow_valid(b, &h));
	assert_int_equal(changed, memcmp(b, p, h.end) != 0);
	memcpy(out, b + 40, len);
	exact_free(b, h.end);
	return changed;
}

/* A well-formed MSS option where it has no business. */
static void test_not_a_syn(void **state)
{
	(void)state;
	for (seed = 1; seed <= 500; seed++) {
		uint64_t r = seed;
		unsigned at;
		struct sample s = syn_make(&r, 1460, &at);

		s.bytes[s.h.l4 + 13] &= 0xfd;
		want(!sl_mss_clamp(s.bytes, s.len, s.len, s.layer, 1200, false));
		want(get16(s.bytes + at) == 1460);
		sample_free(&s);
	}
}

static void test_malformed_options(void **state)
{
	static const uint8_t bad[][8] = {
		{2, 3, 0xff, 1, 1, 1, 1, 1},	  /* the wrong length */
		{2, 4, 0xff, 0xff, 8, 0, 1, 1},	  /* behind it: length 0 */
		{2, 4, 0xff, 0xff, 8, 1, 1, 1},	  /* length 1 */
		{2, 4, 0xff, 0xff, 8, 5, 1, 1},	  /* past the header's end */
		{2, 4, 0xff, 0xff, 1, 1, 1, 8},	  /* kind without length */
		{1, 1, 1, 1, 1, 1, 2, 4},	  /* no value */
		{1, 1, 1, 1, 1, 2, 4, 0xff},	  /* half a value */
		{0, 2, 4, 0xff, 0xff, 1, 1, 1},	  /* behind the end of options */
		{2, 0, 0xff, 0xff, 1, 1, 1, 1},	  /* a loop, for the careless */
		{1, 1, 1, 1, 2, 255, 0xff, 0xff}, /* overflow, for the careless */
	};
	static const uint8_t twice[8] = {2, 4, 0xff, 0xff, 2, 4, 0x12, 0x34};
	uint8_t out[8];

	(void)state;
	for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++)
		assert_false(clamp_options(bad[n], 8, out));
	assert_true(clamp_options(twice, 8, out));
	assert_int_equal(get16(out + 2), 1000);
	assert_int_equal(get16(out + 6), 1000);
}

static void test_hostile_bytes(void **state)
{
	(void)state;
	for (seed = 1; seed <= 50000; seed++) {
		uint64_t r = seed;
		unsigned at;
		struct sample s = syn_make(&r, 0xffff, &at);
		uint32_t have = random_in(&r, 0, s.len);
		uint8_t *b;

		for (uint32_t n = random_in(&r, 1, 6); n; n--)
			s.bytes[random_in(&r, s.h.l3, s.h.payload - 1u)] = (uint8_t)random_next(&r);
		b = exact(s.bytes, have);
		if (!sl_mss_clamp(b, have, s.len, s.layer, 536, seed & 1))
			want(!memcmp(b, s.bytes, have));
		exact_free(b, have);
		sample_free(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lowers),
		cmocka_unit_test(test_partial_leaves_checksum),
		cmocka_unit_test(test_have_too_little),
		cmocka_unit_test(test_others_untouched),
		cmocka_unit_test(test_not_a_syn),
		cmocka_unit_test(test_malformed_options),
		cmocka_unit_test(test_hostile_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
