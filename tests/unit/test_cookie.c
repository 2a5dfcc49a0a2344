/* SPDX-License-Identifier: BSD-2-Clause */
/* Cookies: good for whom they were made, for a while, and for nobody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tunnel/cookie.h"

#define GOOD_NS (30 * SL_NS_PER_S) /* at least */
#define LAST_NS (60 * SL_NS_PER_S) /* at most */

static const uint8_t nobody[SID_LEN];
static const uint8_t someone[SID_LEN] = {1, 2, 3, 4, 5, 6, 7, 8};

static struct sl_address address(const char *text)
{
	struct sl_address a;

	assert_int_equal(sl_address_parse("peer", text, &a), 0);
	return a;
}

static struct cookie_jar jar(void)
{
	struct cookie_jar jar;

	assert_int_equal(sl_cookie_jar_open(&jar), 0);
	return jar;
}

static void test_time(void **state)
{
	static const uint64_t starts[] = {0, 1, GOOD_NS - 1, GOOD_NS, 1000 * SL_NS_PER_S + 7};
	const struct sl_address a = address("192.0.2.1:1194");
	const struct cookie_jar j = jar();
	uint8_t cookie[SID_LEN];

	(void)state;
	for (size_t n = 0; n < sizeof(starts) / sizeof(*starts); n++) {
		const uint64_t at = starts[n];
		bool was = true;

		sl_cookie_make(&j, &a, someone, at, cookie);
		for (uint64_t ns = at; ns < at + 2 * LAST_NS; ns += SL_NS_PER_S / 4) {
			bool good = sl_cookie_check(&j, &a, someone, ns, cookie);

			if (ns - at <= GOOD_NS)
				assert_true(good);
			if (ns - at >= LAST_NS)
				assert_false(good);
			assert_true(was || !good); /* once gone it does not come back */
			was = good;
		}
		/* Nor is it good before it was made, but for the time that counts as the same. */
		if (at >= LAST_NS)
			assert_false(sl_cookie_check(&j, &a, someone, at - GOOD_NS, cookie));
	}
}

static void test_whose(void **state)
{
	static const char *const others[] = {
		"192.0.2.1:1195",	   "192.0.2.2:1194",	"193.0.2.1:1194",
		"[::ffff:192.0.2.1]:1194", "[c000:201::]:1194",
	};
	const struct sl_address a = address("192.0.2.1:1194");
	const struct cookie_jar j = jar(), k = jar();
	uint8_t cookie[SID_LEN], sid[SID_LEN];

	(void)state;
	sl_cookie_make(&j, &a, someone, 0, cookie);
	assert_true(sl_cookie_check(&j, &a, someone, 0, cookie));
	assert_false(sl_cookie_check(&k, &a, someone, 0, cookie));
	assert_false(sl_cookie_check(&j, &a, nobody, 0, cookie));
	assert_false(sl_cookie_check(&j, &a, someone, 0, nobody));
	for (size_t n = 0; n < sizeof(others) / sizeof(*others); n++) {
		const struct sl_address b = address(others[n]);

		assert_false(sl_cookie_check(&j, &b, someone, 0, cookie));
	}
	for (unsigned bit = 0; bit < 8 * SID_LEN; bit++) {
		memcpy(sid, someone, SID_LEN);
		sid[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(sl_cookie_check(&j, &a, sid, 0, cookie));
		memcpy(sid, cookie, SID_LEN);
		sid[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(sl_cookie_check(&j, &a, someone, 0, sid));
	}
}

/* IPv6: every part of the address counts, the scope too; what is no part of it does not. */
static void test_ipv6(void **state)
{
	struct sl_address a = address("[fe80::1]:1194"), b;
	const struct cookie_jar j = jar();
	uint8_t cookie[SID_LEN];

	(void)state;
	a.in6.sin6_scope_id = 3;
	sl_cookie_make(&j, &a, someone, 0, cookie);
	for (unsigned n = 0; n < 16; n++) {
		b = a;
		b.in6.sin6_addr.s6_addr[n] ^= 1;
		assert_false(sl_cookie_check(&j, &b, someone, 0, cookie));
	}
	b = a;
	b.in6.sin6_scope_id = 4;
	assert_false(sl_cookie_check(&j, &b, someone, 0, cookie));
	b = a;
	b.in6.sin6_flowinfo = 77;
	assert_true(sl_cookie_check(&j, &b, someone, 0, cookie));
	a = b = address("192.0.2.1:1194");
	memset(b.in.sin_zero, 0xff, sizeof(b.in.sin_zero));
	sl_cookie_make(&j, &a, someone, 0, cookie);
	assert_true(sl_cookie_check(&j, &b, someone, 0, cookie));
}

/* When we call first we know no session id: any may come back, from that address. */
static void test_call(void **state)
{
	const struct sl_address a = address("192.0.2.1:1194"), b = address("192.0.2.1:1195");
	const struct cookie_jar j = jar();
	uint8_t cookie[SID_LEN];

	(void)state;
	sl_cookie_make(&j, &a, nobody, 0, cookie);
	assert_true(sl_cookie_check(&j, &a, someone, 0, cookie));
	assert_true(sl_cookie_check(&j, &a, someone, GOOD_NS, cookie));
	assert_false(sl_cookie_check(&j, &a, someone, LAST_NS, cookie));
	assert_false(sl_cookie_check(&j, &b, someone, 0, cookie));
}

static void test_jars_differ(void **state)
{
	const struct sl_address a = address("192.0.2.1:1194");
	const struct cookie_jar j = jar(), k = jar();
	uint8_t cookies[2][SID_LEN], again[SID_LEN];

	(void)state;
	assert_memory_not_equal(j.secret, k.secret, sizeof(j.secret));
	sl_cookie_make(&j, &a, someone, 0, cookies[0]);
	sl_cookie_make(&k, &a, someone, 0, cookies[1]);
	sl_cookie_make(&j, &a, someone, 0, again);
	assert_memory_not_equal(cookies[0], cookies[1], SID_LEN);
	assert_memory_equal(cookies[0], again, SID_LEN); /* it is not remembered */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time),	    cmocka_unit_test(test_whose),
		cmocka_unit_test(test_ipv6),	    cmocka_unit_test(test_call),
		cmocka_unit_test(test_jars_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
