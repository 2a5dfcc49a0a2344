/* SPDX-License-Identifier: BSD-2-Clause */
/* The Internet checksum against RFC 1071 by the book. */
#include "packets.h"

#include "packet/csum.h"

static unsigned swap16(unsigned v)
{
	return (v & 0xff) << 8 | (v >> 8 & 0xff);
}

/* 0 and 0xffff are one number of one's complement; fold to one form. */
static unsigned norm(unsigned sum)
{
	return sum == 0xffff ? 0 : sum;
}

static void test_every_length_and_alignment(void **state)
{
	uint8_t bytes[800];

	(void)state;
	seed = 1;
	random_fill(&(uint64_t){seed}, bytes, sizeof(bytes));
	for (size_t len = 0; len <= 700; len++) {
		for (size_t skew = 0; skew < 8; skew++) {
			uint8_t *b = exact(bytes, len + skew);
			unsigned slow = slow_sum(0, b + skew, len);

			want(sl_csum_fold(sl_csum_add(0, b + skew, len)) == swap16(slow));
			want(norm(sl_csum_fold(sl_csum_add_odd(0, b + skew, len))) == norm(slow));
			exact_free(b, len + skew);
		}
	}
}

/* The same bytes and the same sum, and nothing beside them is read or written. */
static void test_copy(void **state)
{
	uint8_t bytes[300];

	(void)state;
	random_fill(&(uint64_t){1}, bytes, sizeof(bytes));
	for (size_t len = 0; len <= 200; len++) {
		for (size_t skew = 0; skew < 64; skew++) {
			size_t from = skew % 8, to = skew / 8;
			uint64_t sum = skew % 3 ? UINT64_MAX - skew : len;
			uint8_t *b = exact(bytes, len + from), *c = exact(bytes, len + to);
			uint64_t got = sl_csum_copy(c + to, b + from, len, sum);

			want(sl_csum_fold(got) == sl_csum_fold(sl_csum_add(sum, b + from, len)));
			want(!memcmp(c + to, bytes + from, len) && !memcmp(c, bytes, to));
			exact_free(b, len + from);
			exact_free(c, len + to);
		}
	}
}

static void test_large_and_extreme(void **state)
{
	const size_t len = 1 << 20;
	uint8_t *b = malloc(len);

	(void)state;
	assert_non_null(b);
	memset(b, 0xff, len);
	assert_int_equal(sl_csum_fold(sl_csum_add(0, b, len)), 0xffff);
	assert_int_equal(sl_csum_fold(sl_csum_add(0, b, len - 1)), swap16(0xff00));
	memset(b, 0, len);
	assert_int_equal(sl_csum_fold(sl_csum_add(0, b, len)), 0);
	for (seed = 1; seed <= 20; seed++) {
		random_fill(&(uint64_t){seed}, b, len);
		want(sl_csum_fold(sl_csum_add(0, b, len)) == swap16(slow_sum(0, b, len)));
	}
	free(b);
}

static void test_fold(void **state)
{
	(void)state;
	assert_int_equal(sl_csum_fold(0), 0);
	assert_int_equal(sl_csum_fold(UINT64_MAX), 0xffff);
	assert_int_equal(sl_csum_fold(0x10000), 1);
	assert_int_equal(sl_csum_fold(0xffff0001ffffffff), 1);
	for (seed = 1; seed <= 100000; seed++) {
		uint64_t r = seed, v = random_next(&r) >> random_in(&r, 0, 63);

		want(norm(sl_csum_fold(v)) == v % 65535);
		want(v == 0 || sl_csum_fold(v) != 0);
	}
}

/* Any sum may be handed in, also one that is nearly full; pieces add up. */
static void test_pieces(void **state)
{
	uint8_t b[2000];

	(void)state;
	for (seed = 1; seed <= 5000; seed++) {
		uint64_t r = seed, from = random_next(&r) | (seed & 1 ? ~0ull << 16 : 0),
			 sum = from;
		size_t len = random_in(&r, 0, sizeof(b)), at = 0;

		random_fill(&r, b, len);
		while (at < len) {
			size_t n = random_in(&r, 0, (uint32_t)(len - at));

			sum = at & 1 ? sl_csum_add_odd(sum, b + at, n)
				     : sl_csum_add(sum, b + at, n);
			at += n;
		}
		want(norm(sl_csum_fold(sum)) ==
		     (from % 65535 + swap16(slow_sum(0, b, len)) % 65535) % 65535);
	}
}

static void test_pseudo(void **state)
{
	(void)state;
	for (seed = 1; seed <= 5000; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, random_in(&r, 0, 10));
		uint32_t len = random_in(&r, 0, 0x1ffff);

		want(norm(sl_csum_fold(sl_csum_pseudo(s.bytes, &s.h, len))) ==
		     norm(swap16(slow_pseudo(s.bytes, &s.h, len))));
		sample_free(&s);
	}
}

static void test_ipv4(void **state)
{
	(void)state;
	for (seed = 1; seed <= 5000; seed++) {
		uint8_t ip[60];
		uint64_t r = seed;
		size_t len = 4 * random_in(&r, 5, 15);
		uint8_t *b;

		random_fill(&r, ip, len);
		ip[0] = (uint8_t)(0x40 | len / 4);
		b = exact(ip, len);
		sl_csum_ipv4(b);
		want(slow_sum(0, b, len) == 0xffff);
		want(!memcmp(b, ip, 10) && !memcmp(b + 12, ip + 12, len - 12));
		exact_free(b, len);
	}
}

/* RFC 1624, 4: the two examples, in network byte order. */
static void test_update_rfc1624(void **state)
{
	uint8_t field[2];

	(void)state;
	put16(field, 0xdd2f);
	sl_csum_update(field, (uint16_t)swap16(0x5555), (uint16_t)swap16(0x3285));
	assert_int_equal(get16(field), 0x0000);
}

static void test_update(void **state)
{
	uint8_t b[64];

	(void)state;
	for (seed = 1; seed <= 100000; seed++) {
		uint64_t r = seed;
		size_t at = 2 * random_in(&r, 1, 31);
		uint16_t was, is = (uint16_t)random_next(&r);

		random_fill(&r, b, sizeof(b));
		if (seed % 8 == 0)
			is = seed % 16 ? 0 : 0xffff;
		put16(b, 0);
		put16(b, ~slow_sum(0, b, sizeof(b)));
		memcpy(&was, b + at, 2);
		memcpy(b + at, &is, 2);
		sl_csum_update(b, was, is);
		want(slow_sum(0, b, sizeof(b)) == 0xffff);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_length_and_alignment),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_large_and_extreme),
		cmocka_unit_test(test_fold),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_pseudo),
		cmocka_unit_test(test_ipv4),
		cmocka_unit_test(test_update_rfc1624),
		cmocka_unit_test(test_update),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
