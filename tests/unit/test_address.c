/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses of peers: read, written, compared. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sluice/reason.h>

#include "tunnel/address.h"

static struct sl_address parsed(const char *text)
{
	struct sl_address a;

	if (sl_address_parse("local", text, &a))
		fail_msg("%s: %s", text, sl_reason());
	return a;
}

static void test_round_trip(void **state)
{
	static const char *const pairs[][2] = {
		{"192.0.2.1:1194", "192.0.2.1:1194"},
		{"0.0.0.0:0", "0.0.0.0:0"},
		{"255.255.255.255:65535", "255.255.255.255:65535"},
		{"127.0.0.1:00080", "127.0.0.1:80"},
		{"[::]:1", "[::]:1"},
		{"[::1]:1194", "[::1]:1194"},
		{"[2001:db8::1]:1194", "[2001:db8::1]:1194"},
		{"[2001:0DB8:0:0:0:0:0:1]:53", "[2001:db8::1]:53"},
		{"[::ffff:192.0.2.1]:7", "[::ffff:192.0.2.1]:7"},
		{"[fe80::1%lo]:9", "[fe80::1%lo]:9"},
		{"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
		 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
	};

	(void)state;
	for (size_t n = 0; n < sizeof(pairs) / sizeof(*pairs); n++) {
		struct sl_address a = parsed(pairs[n][0]);
		char text[ADDRESS_TEXT];

		assert_string_equal(sl_address_format(&a, text), pairs[n][1]);
		assert_ptr_equal(sl_address_format(&a, text), text);
	}
}

static void test_fields(void **state)
{
	struct sl_address a = parsed("192.0.2.1:1194");

	(void)state;
	assert_int_equal(a.len, sizeof(a.in));
	assert_int_equal(a.in.sin_family, AF_INET);
	assert_int_equal(ntohl(a.in.sin_addr.s_addr), 0xc0000201);
	assert_int_equal(sl_address_port(&a), 1194);
	a = parsed("[fe80::1%lo]:65535");
	assert_true(a.in6.sin6_scope_id > 0);
	assert_int_equal(a.len, sizeof(a.in6));
	assert_int_equal(a.in6.sin6_family, AF_INET6);
	assert_int_equal(a.in6.sin6_addr.s6_addr[15], 1);
	assert_int_equal(sl_address_port(&a), 65535);
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"",
		":",
		"::",
		"::1",
		"1194",
		":1194",
		"192.0.2.1",
		"192.0.2.1:",
		"192.0.2.1:x",
		"192.0.2.1:1194x",
		"192.0.2.1: 1194",
		"192.0.2.1:-1",
		"192.0.2.1:+1",
		"192.0.2.1:0x10",
		"192.0.2.1:65536",
		"192.0.2.1:99999",
		"192.0.2.1:100000",
		"192.0.2.1:4294967297",
		"192.0.2.1:18446744073709551617",
		" 192.0.2.1:1194",
		"192.0.2.1 :1194",
		"192.0.2:1194",
		"192.0.2.256:1194",
		"192.0.2.1.1:1194",
		"1:1194",
		"0x7f.1:1194",
		"0x7f000001:1194",
		"localhost:1194",
		"example.com:1194",
		"*:1194",
		"192.0.2.1:domain",
		"2001:db8::1:1194",
		"::1:1194",
		"[]:1194",
		"[:1194",
		"]:1194",
		"[::1:1194",
		"::1]:1194",
		"[::1]1194",
		"[::1]",
		"[::1]:",
		"[::1]x:1194",
		"[[::1]]:1194",
		"[192.0.2.1]:1194",
		"[localhost]:1194",
		"[::g]:1194",
		"[1:2:3:4:5:6:7:8:9]:1194",
		"[::1%no-such-interface]:1194",
		"[%lo]:1",
		"192.0.2.1%lo:1194",
		"192.0.2.1:1194,192.0.2.2:1194",
		"192.0.2.1:1194\n",
		"192.0.2.1/24:1194",
	};

	(void)state;
	for (size_t n = 0; n < sizeof(texts) / sizeof(*texts); n++) {
		struct sl_address a;

		if (sl_address_parse("remote", texts[n], &a) != -EINVAL)
			fail_msg("\"%s\" is an address?", texts[n]);
		if (!strstr(sl_reason(), "remote") || !strstr(sl_reason(), "192.0.2.1:1194"))
			fail_msg("\"%s\": %s", texts[n], sl_reason());
	}
}

/* As long as one pleases: every byte is at the end of its memory. */
static void test_long(void **state)
{
	(void)state;
	for (size_t len = 1; len < 400; len++)
		for (unsigned kind = 0; kind < 4; kind++) {
			char *text = malloc(len + 1);
			struct sl_address a;

			assert_non_null(text);
			memset(text, kind == 1 ? '1' : kind == 2 ? ':' : '0', len);
			if (kind == 3)
				text[0] = '[';
			if (kind == 3 && len > 4)
				memcpy(text + len - 3, "]:1", 3);
			if (kind == 0 && len > 9)
				memcpy(text, "1.2.3.4:", 8);
			text[len] = '\0';
			/* One is: a port with leading zeros. */
			if (sl_address_parse("local", text, &a))
				assert_true(strlen(sl_reason()) > 0);
			else
				assert_true(kind == 0 && len <= 13);
			free(text);
		}
}

static void test_none(void **state)
{
	static const struct sl_address none;
	struct sl_address some = parsed("0.0.0.0:0");
	char text[ADDRESS_TEXT];

	(void)state;
	assert_string_equal(sl_address_format(&none, text), "nowhere");
	assert_false(sl_address_equal(&none, &none));
	assert_false(sl_address_equal(&none, &some));
	assert_false(sl_address_equal(&some, &none));
	assert_false(sl_address_same_site(&none, &none));
}

static void test_compare(void **state)
{
	/* No two are equal; the second number says which host. */
	static const struct {
		const char *text;
		int host;
	} all[] = {
		{"192.0.2.1:1", 1},	    {"192.0.2.1:2", 1},		 {"192.0.2.2:1", 2},
		{"[2001:db8::1]:1", 3},	    {"[2001:db8::1]:2", 3},	 {"[2001:db8::2]:1", 3},
		{"[2001:db8:0:1::1]:1", 4}, {"[fe80::1]:1", 5},		 {"[fe80::1%lo]:1", 6},
		{"[fe80::1%lo]:2", 6},	    {"[::ffff:192.0.2.1]:1", 7},
	};
	const size_t n = sizeof(all) / sizeof(*all);

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++) {
			struct sl_address a = parsed(all[i].text), b = parsed(all[k].text);

			assert_int_equal(sl_address_equal(&a, &b), i == k);
			assert_int_equal(sl_address_same_site(&a, &b), all[i].host == all[k].host);
		}
}

/* What the kernel leaves in the parts that say nothing does not matter. */
static void test_padding(void **state)
{
	struct sl_address a = parsed("192.0.2.1:1194"), b = a;

	(void)state;
	memset(b.in.sin_zero, 0xff, sizeof(b.in.sin_zero));
	assert_true(sl_address_equal(&a, &b));
	a = b = parsed("[2001:db8::1]:1194");
	b.in6.sin6_flowinfo = 0x12345678;
	assert_true(sl_address_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_fields),
		cmocka_unit_test(test_refused),	   cmocka_unit_test(test_long),
		cmocka_unit_test(test_none),	   cmocka_unit_test(test_compare),
		cmocka_unit_test(test_padding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
