/* SPDX-License-Identifier: BSD-2-Clause */
/* Parameters: what each type takes, and that every refusal says what would be taken. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <sluice/param.h>
#include <sluice/port.h>
#include <sluice/reason.h>

static const struct sl_param table[] = {
	{"name", SL_PARAM_STRING, SL_PARAM_IDENTITY, 2, 15, "IF", "a name"},
	{"size", SL_PARAM_UINT, 0, 10, 20, "N", "a size"},
	{"big", SL_PARAM_UINT, 0, 0, UINT64_MAX, "N", "any number"},
	{"offload", SL_PARAM_BOOL, 0, 0, 1, "on|off", "a switch"},
	{"rate", SL_PARAM_RATE, 0, 5, 2000000000, "PPS|max", "a rate"},
	{"mac", SL_PARAM_MAC, SL_PARAM_IDENTITY, 0, 0, "MAC", "an address"},
	{"addr", SL_PARAM_CIDR, SL_PARAM_MANY, 0, 0, "CIDR", "addresses"},
	{"file", SL_PARAM_FILE, SL_PARAM_IDENTITY, 1, 4000, "FILE", "a path"},
	{"fd", SL_PARAM_UINT, SL_PARAM_IDENTITY, 0, 1024, "N", "a descriptor"},
	{"kind", SL_PARAM_WORD, 0, 0, 0, "red|green|re", "one of three"},
	{NULL},
};

static const struct sl_param sizes[] = {
	{"mem", SL_PARAM_SIZE, SL_PARAM_IDENTITY, 512, UINT64_C(1) << 50, "SIZE", "how much"},
	{"null", SL_PARAM_FLAG, SL_PARAM_IDENTITY, 0, 0, "", "nothing at all"},
	{"nul", SL_PARAM_UINT, 0, 0, 9, "N", "a number"},
	{NULL},
};

static const struct sl_param required[] = {
	{"must", SL_PARAM_STRING, SL_PARAM_REQUIRED, 1, 9, "TEXT", "has to be there"},
	{"may", SL_PARAM_STRING, 0, 1, 9, "TEXT", "may be there"},
	{NULL},
};

static const struct sl_param first[] = {
	{"may", SL_PARAM_STRING, 0, 1, 9, "TEXT", "may be there"},
	{"where", SL_PARAM_DEVICE, SL_PARAM_REQUIRED | SL_PARAM_IDENTITY | SL_PARAM_FIRST, 1, 9,
	 "PLACE", "stands without its key"},
	{NULL},
};

static const struct sl_param empty[] = {{NULL}};

static struct sl_args *good(const char *text)
{
	struct sl_args *args = NULL;

	if (sl_args_parse("kind", text, table, &args))
		fail_msg("\"%s\": %s", text, sl_reason());
	return args;
}

static void says(const char *text, const char *said)
{
	if (!strstr(sl_reason(), said))
		fail_msg("%.80s: \"%s\" does not say \"%s\"", text, sl_reason(), said);
}

static void bad_for(const struct sl_param *params, const char *text, const char *said,
		    const char *also)
{
	struct sl_args *args = NULL;

	if (sl_args_parse("kind", text, params, &args) != -EINVAL)
		fail_msg("\"%.80s\" is taken", text);
	assert_ptr_equal(strstr(sl_reason(), "kind: "), sl_reason());
	says(text, said);
	says(text, also);
}

static void bad(const char *text, const char *said, const char *also)
{
	bad_for(table, text, said, also);
}

static uint64_t uint_of(const char *key, const char *text)
{
	struct sl_args *args = good(text);
	uint64_t value = sl_args_uint(args, key, 77);

	sl_args_release(args);
	return value;
}

static void test_nothing(void **state)
{
	struct sl_args *args = good("");
	uint8_t mac[6] = {1, 2, 3, 4, 5, 6};

	(void)state;
	assert_int_equal(sl_args_count(args, "size"), 0);
	assert_null(sl_args_text(args, "size", 0));
	assert_int_equal(sl_args_uint(args, "size", 15), 15);
	assert_true(sl_args_bool(args, "offload", true));
	assert_false(sl_args_bool(args, "offload", false));
	assert_false(sl_args_mac(args, "mac", mac));
	assert_int_equal(mac[5], 6);
	sl_args_release(args);
	sl_args_release(NULL);
}

static void test_uint(void **state)
{
	static const char *const nonsense[] = {"size=ten",
					       "size=+12",
					       "size=-12",
					       "size= 12",
					       "size=12 ",
					       "size=0xc",
					       "size=12k",
					       "size=1.5",
					       "size=18446744073709551616",
					       "size=99999999999999999999999"};

	(void)state;
	assert_int_equal(uint_of("size", "size=10"), 10);
	assert_int_equal(uint_of("size", "size=20"), 20);
	assert_int_equal(uint_of("size", "size=0012"), 12);
	assert_int_equal(uint_of("size", "big=3"), 77);
	assert_true(uint_of("big", "big=0") == 0);
	assert_true(uint_of("big", "big=18446744073709551615") == UINT64_MAX);
	bad("size=9", "size=9", "10 to 20");
	bad("size=21", "size=21", "10 to 20");
	bad("big=18446744073709551616", "big=", "0 to 18446744073709551615");
	for (size_t n = 0; n < sizeof(nonsense) / sizeof(*nonsense); n++)
		bad(nonsense[n], nonsense[n], "10 to 20");
}

static void test_bool(void **state)
{
	static const char *const nonsense[] = {"offload=ON", "offload=yes", "offload=1",
					       "offload=o", "offload=onn"};
	struct sl_args *args;

	(void)state;
	args = good("offload=on");
	assert_true(sl_args_bool(args, "offload", false));
	sl_args_release(args);
	args = good("offload=off");
	assert_false(sl_args_bool(args, "offload", true));
	sl_args_release(args);
	for (size_t n = 0; n < sizeof(nonsense) / sizeof(*nonsense); n++)
		bad(nonsense[n], nonsense[n], "neither on nor off");
}

static void test_word(void **state)
{
	static const char *const words[] = {"kind=red", "kind=green", "kind=re"};
	static const char *const nonsense[] = {"kind=gree",	 "kind=greens", "kind=Red",
					       "kind=red|green", "kind=|",	"kind=e"};

	(void)state;
	for (size_t n = 0; n < sizeof(words) / sizeof(*words); n++) {
		struct sl_args *args = good(words[n]);

		assert_int_equal(sl_args_uint(args, "kind", 9), n);
		assert_string_equal(sl_args_text(args, "kind", 0), words[n] + 5);
		sl_args_release(args);
	}
	for (size_t n = 0; n < sizeof(nonsense) / sizeof(*nonsense); n++)
		bad(nonsense[n], nonsense[n], "red|green|re");
}

static void test_rate(void **state)
{
	static const char *const nonsense[] = {
		"rate=k",    "rate=10K",     "rate=10kk",
		"rate=1.5M", "rate=-5",	     "rate=10 k",
		"rate=Max",  "rate=maximum", "rate=18446744073709551615k"};

	(void)state;
	assert_int_equal(uint_of("rate", "rate=5000"), 5000);
	assert_int_equal(uint_of("rate", "rate=10k"), 10000);
	assert_int_equal(uint_of("rate", "rate=3M"), 3000000);
	assert_int_equal(uint_of("rate", "rate=2G"), 2000000000);
	assert_int_equal(uint_of("rate", "rate=max"), 0);
	assert_int_equal(uint_of("rate", "rate=5"), 5);
	bad("rate=4", "rate=4", "5 to 2000000000, or max");
	bad("rate=0", "rate=0", "5 to 2000000000, or max");
	bad("rate=3G", "rate=3G", "5 to 2000000000, or max");
	for (size_t n = 0; n < sizeof(nonsense) / sizeof(*nonsense); n++)
		bad(nonsense[n], nonsense[n], "5000, 10k, 1M or max");
}

static uint64_t size_of(const char *text)
{
	struct sl_args *args = NULL;
	uint64_t value;

	if (sl_args_parse("kind", text, sizes, &args))
		fail_msg("\"%s\": %s", text, sl_reason());
	value = sl_args_uint(args, "mem", 77);
	sl_args_release(args);
	return value;
}

static void test_size(void **state)
{
	static const char *const nonsense[] = {"mem=K",		"mem=1k",
					       "mem=1KB",	"mem=1KK",
					       "mem=1.5M",	"mem=-5",
					       "mem=1 M",	"mem=max",
					       "mem=0x10",	"mem=1P",
					       "mem=64MiB",	"mem=18014398509481984K",
					       "mem=16777216T", "mem=18446744073709551616"};

	(void)state;
	assert_true(size_of("mem=512") == 512);
	assert_true(size_of("mem=1K") == 1024);
	assert_true(size_of("mem=64M") == 64 << 20);
	assert_true(size_of("mem=3G") == UINT64_C(3) << 30);
	assert_true(size_of("mem=1024T") == UINT64_C(1) << 50);
	assert_true(size_of("null") == 77);
	bad_for(sizes, "mem=511", "mem=511", "512 to 1125899906842624 bytes");
	bad_for(sizes, "mem=0K", "mem=0K", "512 to 1125899906842624 bytes");
	bad_for(sizes, "mem=1025T", "mem=1025T", "512 to 1125899906842624 bytes");
	bad_for(sizes, "mem=", "needs a value", "mem=SIZE");
	for (size_t n = 0; n < sizeof(nonsense) / sizeof(*nonsense); n++)
		bad_for(sizes, nonsense[n], nonsense[n], "4096, 512K, 64M, 1G or 1T");
}

static void test_flag(void **state)
{
	struct sl_args *args = NULL, *other = NULL;

	(void)state;
	assert_int_equal(sl_args_parse("kind", "nul=3,null,mem=1K", sizes, &args), 0);
	assert_true(sl_args_bool(args, "null", false));
	assert_int_equal(sl_args_count(args, "null"), 1);
	assert_string_equal(sl_args_text(args, "null", 0), "null");
	assert_int_equal(sl_args_parse("kind", "mem=1024,null", sizes, &other), 0);
	assert_true(sl_args_same(args, other));
	sl_args_release(other);
	assert_int_equal(sl_args_parse("kind", "mem=1K", sizes, &other), 0);
	assert_false(sl_args_bool(other, "null", false));
	assert_false(sl_args_same(args, other));
	sl_args_release(other);
	sl_args_release(args);
	bad_for(sizes, "null=on", "null takes no value", "on");
	bad_for(sizes, "null=", "null takes no value", "null");
	bad_for(sizes, "null,null", "null", "twice");
	bad_for(sizes, "nulll", "\"nulll\"", "did you mean");
}

static void test_mac(void **state)
{
	static const char *const nonsense[] = {"mac=02:00:00:00:00",	  "mac=02:00:00:00:00:1",
					       "mac=02:00:00:00:00:001",  "mac=020000000001",
					       "mac=02-00-00-00-00-01",	  "mac=0g:00:00:00:00:01",
					       "mac=g0:00:00:00:00",	  "mac=zz:zz:zz:zz:zz:zz",
					       "mac=02:00:00:00:00:01:",  "mac=:2:00:00:00:00",
					       "mac=02:00:00:00:00:01:02"};
	static const uint8_t expected[6] = {0x02, 0xab, 0xCD, 0xef, 0x00, 0xff};
	uint8_t mac[6] = {0};
	struct sl_args *args = good("mac=02:aB:Cd:EF:00:ff");

	(void)state;
	assert_true(sl_args_mac(args, "mac", mac));
	assert_memory_equal(mac, expected, 6);
	sl_args_release(args);
	for (size_t n = 0; n < sizeof(nonsense) / sizeof(*nonsense); n++)
		bad(nonsense[n], nonsense[n], "02:00:00:00:00:01");
	bad("mac=01:00:5e:00:00:01", "mac=01:00:5e:00:00:01", "unicast");
	bad("mac=ff:ff:ff:ff:ff:ff", "mac=ff:ff:ff:ff:ff:ff", "unicast");
	bad("mac=00:00:00:00:00:00", "mac=00:00:00:00:00:00", "unicast");
}

static void test_cidr(void **state)
{
	static const char *const taken[] = {"10.0.0.1/24",
					    "0.0.0.0/0",
					    "10.0.0.1/32",
					    "fd00::1/64",
					    "::/0",
					    "::1/128",
					    "::ffff:10.0.0.1/96",
					    "1111:2222:3333:4444:5555:6666:255.255.255.255/128"};
	static const char *const nonsense[] = {
		"addr=10.0.0.1",
		"addr=10.0.0.1/",
		"addr=/24",
		"addr=10.0.0.1/33",
		"addr=10.0.0/24",
		"addr=fd00::1/129",
		"addr=fd00::1",
		"addr=10.0.0.256/8",
		"addr=10.0.0.1/-1",
		"addr=10.0.0.1/2 4",
		"addr=fd00:::1/64",
		"addr=10.0.0.1/24/8",
		"addr=10.0.0.1 /24",
		"addr=localhost/8",
		"addr=1:2:3:4/64",
		"addr=1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb/64"};

	(void)state;
	for (size_t n = 0; n < sizeof(taken) / sizeof(*taken); n++) {
		char text[80];
		struct sl_args *args;

		snprintf(text, sizeof(text), "addr=%s", taken[n]);
		args = good(text);
		assert_string_equal(sl_args_text(args, "addr", 0), taken[n]);
		sl_args_release(args);
	}
	for (size_t n = 0; n < sizeof(nonsense) / sizeof(*nonsense); n++)
		bad(nonsense[n], nonsense[n], "10.0.0.1/24 or fd00::1/64");
}

static void test_string(void **state)
{
	struct sl_args *args = good("name=ab,file=/a=b c");

	(void)state;
	assert_string_equal(sl_args_text(args, "name", 0), "ab");
	assert_string_equal(sl_args_text(args, "file", 0), "/a=b c");
	sl_args_release(args);
	args = good("name=123456789012345");
	assert_int_equal(strlen(sl_args_text(args, "name", 0)), 15);
	sl_args_release(args);
	bad("name=1234567890123456", "name=1234567890123456", "at most 15");
	bad("name=a", "name", "IF"); /* shorter than the table allows */
}

static void test_needs_a_value(void **state)
{
	(void)state;
	for (const struct sl_param *p = table; p->name; p++) {
		char text[64], shape[64];

		snprintf(shape, sizeof(shape), "%s=%s", p->name, p->value);
		snprintf(text, sizeof(text), "%s=", p->name);
		bad(text, "needs a value", shape);
		bad(p->name, "needs a value", shape); /* without the equals sign */
		snprintf(text, sizeof(text), "%s,big=1", p->name);
		bad(text, "needs a value", shape);
	}
}

static void test_escapes(void **state)
{
	static const struct {
		const char *text;
		const char *value;
	} cases[] = {
		{"file=a\\,b", "a,b"},	   {"file=a\\\\b", "a\\b"},   {"file=a\\\\,size=10", "a\\"},
		{"file=\\,\\,\\,", ",,,"}, {"file=\\\\\\,x", "\\,x"}, {"file=a\\b", "ab"},
		{"file=a\\=b", "a=b"},	   {"file=end\\", "end\\"},
	};

	(void)state;
	for (size_t n = 0; n < sizeof(cases) / sizeof(*cases); n++) {
		struct sl_args *args = good(cases[n].text);

		assert_string_equal(sl_args_text(args, "file", 0), cases[n].value);
		assert_int_equal(sl_args_count(args, "size"), n == 2);
		sl_args_release(args);
	}
	bad("file=a,b=c", "\"b\"", "did you mean");
}

static void test_order_and_many(void **state)
{
	struct sl_args *args = good("addr=1.2.3.4/5,size=11,addr=::1/6,name=eth0,addr=7.7.7.7/7");

	(void)state;
	assert_int_equal(sl_args_count(args, "addr"), 3);
	assert_string_equal(sl_args_text(args, "addr", 0), "1.2.3.4/5");
	assert_string_equal(sl_args_text(args, "addr", 1), "::1/6");
	assert_string_equal(sl_args_text(args, "addr", 2), "7.7.7.7/7");
	assert_null(sl_args_text(args, "addr", 3));
	assert_int_equal(sl_args_count(args, "size"), 1);
	assert_null(sl_args_text(args, "size", 1));
	assert_int_equal(sl_args_count(args, "nothing"), 0);
	sl_args_release(args);
}

static void test_twice(void **state)
{
	(void)state;
	bad("size=10,size=10", "size", "twice");
	bad("name=ab,size=10,name=cd", "name", "twice");
}

static void test_required(void **state)
{
	struct sl_args *args = NULL;

	(void)state;
	bad_for(required, "", "must", "kind:must=TEXT");
	bad_for(required, "may=1", "must is missing", "kind:must=TEXT");
	assert_int_equal(sl_args_parse("kind", "may=1,must=2", required, &args), 0);
	assert_string_equal(sl_args_text(args, "must", 0), "2");
	sl_args_release(args);
}

static void test_first(void **state)
{
	static const char *const same[] = {"00:03.0", "00:03.0,may=x", "where=00:03.0",
					   "00:03\\.0"};
	struct sl_args *a, *b;

	(void)state;
	assert_int_equal(sl_args_parse("kind", "00:03.0,may=x", first, &a), 0);
	assert_string_equal(sl_args_text(a, "where", 0), "00:03.0");
	assert_string_equal(sl_args_text(a, "may", 0), "x");
	for (size_t n = 0; n < sizeof(same) / sizeof(*same); n++) {
		assert_int_equal(sl_args_parse("kind", same[n], first, &b), 0);
		assert_true(sl_args_same(a, b));
		sl_args_release(b);
	}
	assert_int_equal(sl_args_parse("kind", "00:04.0,may=x", first, &b), 0);
	assert_false(sl_args_same(a, b));
	sl_args_release(b);
	sl_args_release(a);
	bad_for(first, "", "where is missing", "kind:PLACE");
	bad_for(first, ",may=x", "where is missing", "kind:PLACE");
	bad_for(first, "may=x", "where is missing", "kind:PLACE");
	bad_for(first, "may", "may needs a value", "may=TEXT");
	bad_for(first, "1234567890", "too long", "at most 9");
	bad_for(first, "a,b", "\"b\"", "it takes may, where");
	bad_for(first, "a,where=b", "where", "twice");
	bad_for(first, "may=x,a", "\"a\"", "it takes may, where");
}

static void test_unknown(void **state)
{
	(void)state;
	bad("szie=10", "\"szie\"", "did you mean \"size\"");
	bad("Size=10", "\"Size\"", "did you mean \"size\"");
	bad("off=on", "\"off\"", "did you mean \"offload\"");
	bad("offlod=on", "\"offlod\"", "did you mean \"offload\"");
	bad("siez", "\"siez\"", "did you mean \"size\"");
	bad("zzzzzzzz=1", "\"zzzzzzzz\"",
	    "it takes name, size, big, offload, rate, mac, addr, file, fd, kind");
	bad_for(empty, "x=1", "takes no parameters", "\"x\"");
	bad_for(NULL, "x=1", "takes no parameters", "\"x\"");
}

static void test_empty_pairs(void **state)
{
	(void)state;
	bad(",", "\"\"", "it takes");
	bad("size=10,,big=1", "\"\"", "it takes");
	bad(",size=10", "\"\"", "it takes");
	bad("=", "\"\"", "it takes");
	bad("=10", "\"\"", "it takes");
}

/* What is allowed stands behind the value: a long one must not push it out. */
static void test_long_values(void **state)
{
	static const struct {
		const char *key;
		const char *allowed;
	} cases[] = {
		{"name", "at most 15"},	  {"size", "10 to 20"},	  {"offload", "on nor off"},
		{"rate", "1M or max"},	  {"mac", "MAC address"}, {"addr", "fd00::1/64"},
		{"kind", "red|green|re"},
	};
	char text[4096];

	(void)state;
	for (size_t n = 0; n < sizeof(cases) / sizeof(*cases); n++) {
		int len = snprintf(text, sizeof(text), "%s=", cases[n].key);

		memset(text + len, '1', 4000 - (size_t)len);
		text[4000] = '\0';
		bad(text, cases[n].key, cases[n].allowed);
	}
	memset(text, 'z', 4000); /* the same with a key */
	bad(text, "zzz", "it takes name");
}

static void test_long_input(void **state)
{
	static char text[70000];
	struct sl_args *args;

	(void)state;
	memcpy(text, "file=", 5);
	memset(text + 5, 'x', 4000);
	args = good(text);
	assert_int_equal(strlen(sl_args_text(args, "file", 0)), 4000);
	sl_args_release(args);
	text[4005] = 'x';
	bad(text, "file", "at most 4000");
	memset(text + 5, 'x', sizeof(text) - 6);
	bad(text, "69999", "at most 4096");
	memset(text, ',', 4096);
	text[4096] = '\0';
	bad(text, "\"\"", "it takes");
}

static void test_too_many(void **state)
{
	char text[1024] = "addr=1.1.1.1/1";
	struct sl_args *args;

	(void)state;
	for (unsigned n = 1; n < 32; n++)
		strcat(text, ",addr=1.1.1.1/1");
	args = good(text);
	assert_int_equal(sl_args_count(args, "addr"), 32);
	sl_args_release(args);
	strcat(text, ",addr=1.1.1.1/1");
	bad(text, "more than 32", "parameters");
}

static bool same(const char *a, const char *b)
{
	struct sl_args *args_a = good(a), *args_b = good(b);
	bool is = sl_args_same(args_a, args_b);

	assert_int_equal(sl_args_same(args_b, args_a), is);
	sl_args_release(args_a);
	sl_args_release(args_b);
	return is;
}

static void test_same(void **state)
{
	(void)state;
	assert_true(same("name=ab", "name=ab"));
	assert_true(same("name=ab,size=10", "size=20,name=ab"));
	assert_true(same("name=ab,file=x", "file=x,name=ab"));
	assert_true(same("file=a\\b", "file=ab"));
	assert_false(same("name=ab", "name=ac"));
	assert_false(same("name=ab", "name=ab,file=x"));
	assert_false(same("name=ab", "file=ab"));
	assert_false(same("size=10", "size=10")); /* no identity */
	assert_false(same("", ""));
}

/* The same number however it is written. */
static void test_same_numbers(void **state)
{
	(void)state;
	assert_true(same("fd=7", "fd=007"));
	assert_false(same("fd=7", "fd=70"));
	assert_false(same("fd=0", ""));
	assert_true(same("mac=02:aa:00:00:00:01", "mac=02:AA:00:00:00:01"));
}

static void test_same_of_other_tables(void **state)
{
	struct sl_args *a = good("name=ab"), *b = NULL;
	struct sl_param copy[sizeof(table) / sizeof(*table)];

	(void)state;
	memcpy(copy, table, sizeof(table));
	assert_int_equal(sl_args_parse("kind", "name=ab", copy, &b), 0);
	assert_false(sl_args_same(a, b));
	sl_args_release(a);
	sl_args_release(b);
}

static void nearest(const char *word, const char *expected)
{
	static const char *const words[] = {"tap",  "tun",	  "pcap", "gen",
					    "null", "vhost-user", NULL};
	const char *found = sl_param_nearest(word, words);

	if (found != expected && (!found || !expected || strcmp(found, expected)))
		fail_msg("\"%s\" is nearest to \"%s\", not to \"%s\"", word,
			 found ? found : "nothing", expected ? expected : "nothing");
}

static void test_nearest(void **state)
{
	static const char *const none[] = {NULL};

	(void)state;
	nearest("tap", "tap");
	nearest("TUN", "tun");
	nearest("tpa", "tap");
	nearest("tnu", "tun");
	nearest("utn", "tun");
	nearest("pcpa", "pcap");
	nearest("gne", "gen");
	nearest("nul", "null");
	nearest("nulll", "null");
	nearest("vhost", "vhost-user");
	nearest("vhots-user", "vhost-user");
	nearest("vhost_user", "vhost-user");
	nearest("", NULL);
	nearest("completely-different", NULL);
	assert_null(sl_param_nearest("tap", none));
}

static void test_nearest_long(void **state)
{
	static char word[10000];
	const char *const words[] = {word, NULL};

	(void)state;
	memset(word, 'a', sizeof(word) - 1);
	assert_ptr_equal(sl_param_nearest(word, words), word);
	nearest(word, NULL);
}

/*
 * Specs of ports.
 */

static void bad_spec(const char *spec, const char *said, const char *also)
{
	struct sl_port *port = NULL;

	assert_int_equal(sl_port_open(spec, NULL, &port), -EINVAL);
	says(spec, said);
	says(spec, also);
	assert_int_equal(sl_port_same(spec, "null:"), -EINVAL);
	assert_int_equal(sl_port_same("null:", spec), -EINVAL);
}

static void test_specs(void **state)
{
	static char spec[6000];

	(void)state;
	bad_spec("", "\"\"", "kind:key=value");
	bad_spec(":", "\":\"", "kind:key=value");
	bad_spec("tpa:name=x", "\"tpa\"", "\"tap:\"");
	bad_spec("tnu:name=x", "\"tnu\"", "\"tun:\"");
	bad_spec("something", "\"something\"", "gen:");
	bad_spec("null:x=1", "null", "no parameters");
	bad_spec("gen:size", "gen: size", "size=N");
	bad_spec("gen:size=1", "size=1", "28 to 65549");
	memset(spec, 'x', sizeof(spec) - 1);
	bad_spec(spec, "xxx", "kind:key=value");
	memcpy(spec, "gen:", 4);
	bad_spec(spec, "gen: ", "at most");
}

static void test_same_ports(void **state)
{
	(void)state;
	assert_int_equal(sl_port_same("tap:name=t0", "tap:name=t0,mtu=9000"), 1);
	assert_int_equal(sl_port_same("tap:name=t0", "tap:name=t1"), 0);
	assert_int_equal(sl_port_same("tap:name=t0", "tun:name=t0"), 0);
	assert_int_equal(sl_port_same("tap:name=t0,netns=a", "tap:name=t0,netns=b"), 0);
	assert_int_equal(sl_port_same("tap:fd=3", "tap:fd=03"), 1);
	assert_int_equal(sl_port_same("gen:", "gen:"), 0);
	assert_int_equal(sl_port_same("null", "null:"), 0);
	assert_int_equal(sl_port_same("pcap:write=a", "pcap:write=a"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),	       cmocka_unit_test(test_uint),
		cmocka_unit_test(test_bool),	       cmocka_unit_test(test_word),
		cmocka_unit_test(test_rate),	       cmocka_unit_test(test_mac),
		cmocka_unit_test(test_cidr),	       cmocka_unit_test(test_string),
		cmocka_unit_test(test_needs_a_value),  cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_order_and_many), cmocka_unit_test(test_twice),
		cmocka_unit_test(test_required),       cmocka_unit_test(test_first),
		cmocka_unit_test(test_unknown),	       cmocka_unit_test(test_empty_pairs),
		cmocka_unit_test(test_long_values),    cmocka_unit_test(test_long_input),
		cmocka_unit_test(test_too_many),       cmocka_unit_test(test_same),
		cmocka_unit_test(test_same_numbers),   cmocka_unit_test(test_same_of_other_tables),
		cmocka_unit_test(test_nearest),	       cmocka_unit_test(test_nearest_long),
		cmocka_unit_test(test_size),	       cmocka_unit_test(test_flag),
		cmocka_unit_test(test_specs),	       cmocka_unit_test(test_same_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
