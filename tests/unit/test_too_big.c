/* SPDX-License-Identifier: BSD-2-Clause */
/* "Your packet is too big": the right words to the right host, and silence where it is due. */
#include "packets.h"

#include "packet/too_big.h"

static uint8_t *source_of(const struct sample *s)
{
	return s->bytes + s->h.l3 + (s->h.ip == 4 ? 12 : 8);
}

static uint8_t *dest_of(const struct sample *s)
{
	return s->bytes + s->h.l3 + (s->h.ip == 4 ? 16 : 24);
}

static unsigned ip_len(const struct sample *s)
{
	return s->h.end - s->h.l3;
}

/* The checksum of an IPv4 header alone; slow_complete() wants TCP or UDP behind it. */
static void complete_ipv4(uint8_t *ip)
{
	put16(ip + 10, 0);
	put16(ip + 10, ~slow_sum(0, ip, (ip[0] & 15u) * 4));
}

/* A packet that may have an answer: DF, addresses of hosts, one VLAN tag at most. */
static struct sample askable(uint64_t *r, uint32_t payload)
{
	struct sample s;

	for (;;) {
		s = sample_make(r, payload);
		if (s.h.l3 <= 18)
			break;
		sample_free(&s);
	}
	if (s.layer == 2) {
		s.bytes[0] &= 0xfe;
		s.bytes[6] &= 0xfe;
	}
	if (s.h.ip == 4)
		put16(s.bytes + s.h.l3 + 6, 0x4000);
	source_of(&s)[0] = (uint8_t)random_in(r, 1, 126);
	dest_of(&s)[0] = (uint8_t)random_in(r, 128, 223);
	slow_complete(s.bytes, &s.h);
	return s;
}

/* Ask with memory of exactly the sizes that are owed. */
static size_t ask(const struct sample *s, size_t have, unsigned mtu, uint8_t *answer)
{
	static const uint8_t nothing[TOO_BIG_MAX];
	uint8_t *in = exact(s->bytes, have), *out = exact(nothing, TOO_BIG_MAX);
	size_t n = sl_too_big(in, have, s->len, s->layer, mtu, out);

	want(!memcmp(in, s->bytes, have));
	memcpy(answer, out, TOO_BIG_MAX);
	exact_free(in, have);
	exact_free(out, TOO_BIG_MAX);
	return n;
}

static bool answered(const struct sample *s)
{
	uint8_t answer[TOO_BIG_MAX];

	return ask(s, s->len, ip_len(s) - 1, answer) != 0;
}

static void check_ethernet(const struct sample *s, const uint8_t *answer)
{
	if (s->layer != 2)
		return;
	want(!memcmp(answer, s->bytes + 6, 6));
	want(!memcmp(answer + 6, s->bytes, 6));
	want(!memcmp(answer + 12, s->bytes + 12, s->h.l3 - 12u));
}

static void check_icmp4(const struct sample *s, const uint8_t *ip, size_t quote, unsigned mtu)
{
	const uint8_t *icmp = ip + 20;

	quote = quote > 548 ? 548 : quote;
	want(ip[0] == 0x45 && ip[1] == 0xc0 && get16(ip + 2) == 28 + quote);
	want(!memcmp(ip + 4, s->bytes + s->h.l3 + 4, 2));
	want(get16(ip + 6) == 0 && ip[8] == 64 && ip[9] == 1);
	want(slow_sum(0, ip, 20) == 0xffff);
	want(!memcmp(ip + 12, dest_of(s), 4) && !memcmp(ip + 16, source_of(s), 4));
	want(icmp[0] == 3 && icmp[1] == 4 && get16(icmp + 4) == 0 && get16(icmp + 6) == mtu);
	want(slow_sum(0, icmp, 8 + quote) == 0xffff);
	want(!memcmp(icmp + 8, s->bytes + s->h.l3, quote));
}

static void check_icmp6(const struct sample *s, const uint8_t *ip, size_t quote, unsigned mtu)
{
	const struct sl_headers h = {.ip = 6, .proto = 58};
	const uint8_t *icmp = ip + 40;

	quote = quote > 1232 ? 1232 : quote;
	want(get16(ip) == 0x6000 && get16(ip + 2) == 0 && get16(ip + 4) == 8 + quote);
	want(ip[6] == 58 && ip[7] == 64);
	want(!memcmp(ip + 8, dest_of(s), 16) && !memcmp(ip + 24, source_of(s), 16));
	want(icmp[0] == 2 && icmp[1] == 0 && get16(icmp + 4) == mtu >> 16);
	want(get16(icmp + 6) == (mtu & 0xffff));
	want(slow_sum(slow_pseudo(ip, &h, 8 + quote), icmp, 8 + quote) == 0xffff);
	want(!memcmp(icmp + 8, s->bytes + s->h.l3, quote));
}

static void check_answer(const struct sample *s, size_t have, unsigned mtu, const uint8_t *answer,
			 size_t n)
{
	size_t quote = (have < s->h.end ? have : s->h.end) - s->h.l3;
	size_t most = s->h.ip == 4 ? 548 : 1232;

	want(n == s->h.l3 + (s->h.ip == 4 ? 28u : 48u) + (quote < most ? quote : most));
	check_ethernet(s, answer);
	if (s->h.ip == 4)
		check_icmp4(s, answer + s->h.l3, quote, mtu);
	else
		check_icmp6(s, answer + s->h.l3, quote, mtu);
}

static void test_answers(void **state)
{
	(void)state;
	for (seed = 1; seed <= 20000; seed++) {
		uint64_t r = seed;
		struct sample s = askable(&r, random_in(&r, 0, seed % 8 ? 2000 : 65535));
		unsigned mtu = random_in(&r, 0, ip_len(&s) - 1);
		size_t have = random_in(&r, s.h.payload, s.len);
		uint8_t answer[TOO_BIG_MAX];
		size_t n = ask(&s, have, mtu, answer);

		check_answer(&s, have, mtu, answer, n);
		sample_free(&s);
	}
}

static void test_fits(void **state)
{
	uint8_t answer[TOO_BIG_MAX];

	(void)state;
	for (seed = 1; seed <= 2000; seed++) {
		uint64_t r = seed;
		struct sample s = askable(&r, random_in(&r, 0, 2000));

		want(!ask(&s, s.len, ip_len(&s), answer));
		want(!ask(&s, s.len, UINT32_MAX, answer));
		want(ask(&s, s.len, ip_len(&s) - 1, answer));
		sample_free(&s);
	}
}

static void test_have_too_little(void **state)
{
	uint8_t answer[TOO_BIG_MAX];

	(void)state;
	for (seed = 1; seed <= 100; seed++) {
		uint64_t r = seed;
		struct sample s = askable(&r, random_in(&r, 0, 100));

		for (uint32_t have = 0; have <= s.len; have++)
			want((ask(&s, have, 20, answer) != 0) == (have >= s.h.l4 + 8u));
		for (uint32_t len = 0; len < s.h.end; len++) {
			struct sample cut = s;

			cut.len = len;
			want(!ask(&cut, len, 20, answer));
		}
		sample_free(&s);
	}
}

/* What one address is worth as a source and as a destination. */
static void check_address(const struct sample *s, const uint8_t *address, bool host)
{
	uint8_t *both[] = {source_of(s), dest_of(s)};

	for (int n = 0; n < 2; n++) {
		size_t len = s->h.ip == 4 ? 4 : 16;
		uint8_t was[16];

		memcpy(was, both[n], len);
		memcpy(both[n], address, len);
		slow_complete(s->bytes, &s->h);
		want(answered(s) == host);
		memcpy(both[n], was, len);
	}
}

static void test_addresses(void **state)
{
	static const struct {
		uint8_t ip;
		bool host;
		uint8_t address[16];
	} cases[] = {
		{4, false, {0, 0, 0, 0}},
		{4, false, {0, 1, 2, 3}},
		{4, true, {1, 0, 0, 0}},
		{4, true, {126, 255, 255, 255}},
		{4, false, {127, 0, 0, 1}},
		{4, true, {128, 0, 0, 1}},
		{4, true, {192, 168, 0, 1}},
		{4, true, {223, 255, 255, 254}},
		{4, false, {224, 0, 0, 1}},
		{4, false, {239, 255, 255, 255}},
		{4, false, {240, 0, 0, 1}},
		{4, false, {255, 255, 255, 255}},
		{6, false, {0}},
		{6, false, {[15] = 1}},
		{6, true, {[15] = 2}},
		{6, true, {[0] = 0xfe, 0x80, [15] = 1}},
		{6, true, {[0] = 0x20, 0x01, 0x0d, 0xb8}},
		{6, false, {[0] = 0xff, 0x02, [15] = 1}},
	};

	(void)state;
	for (seed = 1; seed <= 200; seed++) {
		uint64_t r = seed;
		struct sample s = askable(&r, 100);

		for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++)
			if (cases[n].ip == s.h.ip)
				check_address(&s, cases[n].address, cases[n].host);
		sample_free(&s);
	}
}

static void test_ethernet(void **state)
{
	(void)state;
	for (seed = 1; seed <= 2000; seed++) {
		uint64_t r = seed;
		struct sample s = sample_make(&r, 100);
		bool single = s.h.l3 <= 18;

		if (s.h.ip == 4)
			put16(s.bytes + s.h.l3 + 6, 0x4000);
		source_of(&s)[0] = dest_of(&s)[0] = 32;
		slow_complete(s.bytes, &s.h);
		if (s.layer == 2) {
			s.bytes[0] |= 1;
			s.bytes[6] &= 0xfe;
			want(!answered(&s));
			s.bytes[0] &= 0xfe;
			s.bytes[6] |= 1;
			want(!answered(&s));
			s.bytes[6] &= 0xfe;
		}
		want(answered(&s) == single);
		if (s.layer == 2) {
			s.bytes[s.h.l3 - 1] ^= 0x80; /* neither of IP's types */
			want(!answered(&s));
		}
		sample_free(&s);
	}
}

static struct sample askable_ip(uint64_t *r, uint8_t ip)
{
	for (;;) {
		struct sample s = askable(r, 100);

		if (s.h.ip == ip)
			return s;
		sample_free(&s);
	}
}

/* IPv4 must forbid fragments, have its checksum right, and start the datagram. */
static void test_ipv4_rules(void **state)
{
	static const struct {
		unsigned fragment;
		bool answer;
	} cases[] = {
		{0x4000, true},	 {0xc000, true},  {0x6000, true},  {0x0000, false},
		{0x2000, false}, {0x4001, false}, {0x6001, false}, {0x5000, false},
	};

	(void)state;
	for (seed = 1; seed <= 200; seed++) {
		uint64_t r = seed;
		struct sample s = askable_ip(&r, 4);
		uint8_t *ip = s.bytes + s.h.l3;

		for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
			put16(ip + 6, cases[n].fragment);
			complete_ipv4(ip);
			want(answered(&s) == cases[n].answer);
		}
		put16(ip + 6, 0x4000);
		complete_ipv4(ip);
		want(answered(&s));
		ip[8] ^= 1;
		want(!answered(&s));
		sample_free(&s);
	}
}

static void test_icmp4(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		uint64_t r = seed = type + 1;
		struct sample s = askable_ip(&r, 4);
		bool error = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;

		s.bytes[s.h.l3 + 9] = 1;
		s.bytes[s.h.l4] = (uint8_t)type;
		for (unsigned more = 0; more < 2; more++) {
			put16(s.bytes + s.h.l3 + 6, more ? 0x6000 : 0x4000);
			complete_ipv4(s.bytes + s.h.l3);
			want(answered(&s) != error);
		}
		sample_free(&s);
	}
}

/* ICMPv6 of a type behind some extension headers, each of 8 or 24 bytes. */
static bool icmp6_answered(const uint8_t *kinds, unsigned n, uint8_t type)
{
	uint8_t p[400] = {0x60};
	struct sample s = {.bytes = p, .layer = 3, .h.ip = 6};
	uint8_t *next = p + 6;
	unsigned at = 40;

	p[8] = p[24] = 0x20;
	for (unsigned i = 0; i < n; i++) {
		unsigned len = kinds[i] == 44 || i & 1 ? 8 : 24;

		*next = kinds[i];
		next = p + at;
		p[at + 1] = (uint8_t)(kinds[i] == 51 ? len / 4 - 2 : len / 8 - 1);
		if (kinds[i] == 44)
			p[at + 1] = 0xff; /* reserved, and no length */
		at += len;
	}
	*next = 58;
	p[at] = type;
	s.len = s.h.end = at + 60;
	put16(p + 4, s.len - 40);
	return answered(&s);
}

static void test_icmp6(void **state)
{
	static const uint8_t chains[][4] = {
		{0}, {60}, {43}, {51}, {44}, {0, 60, 43, 51}, {0, 44, 60, 51}, {60, 51, 44, 60},
	};
	static const uint8_t types[] = {0, 1, 2, 3, 4, 100, 127, 128, 129, 133, 136, 137, 138, 255};

	(void)state;
	for (size_t t = 0; t < sizeof(types); t++) {
		bool query = types[t] >= 128 && types[t] != 137;

		assert_int_equal(icmp6_answered(NULL, 0, types[t]), query);
		for (size_t n = 0; n < sizeof(chains) / sizeof(chains[0]); n++)
			assert_int_equal(icmp6_answered(chains[n], n < 5 ? 1 : 4, types[t]), query);
	}
}

static void test_ipv6_chain_too_long(void **state)
{
	uint8_t kinds[16];

	(void)state;
	memset(kinds, 60, sizeof(kinds));
	assert_true(icmp6_answered(kinds, 8, 128));
	assert_false(icmp6_answered(kinds, 12, 128));
}

static void test_ipv6_fragments(void **state)
{
	static const struct {
		unsigned field;
		bool answer;
	} cases[] = {
		{0x0000, true},	 {0x0001, true},  {0x0006, true},
		{0x0008, false}, {0x0009, false}, {0x8001, false},
	};
	uint8_t p[200] = {0x60, 0, 0, 0, 0, 160, 44, 64, 0x20};
	struct sample s = {.bytes = p, .len = 200, .layer = 3, .h = {.ip = 6, .end = 200}};

	(void)state;
	p[24] = 0x20;
	p[40] = 17;
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		put16(p + 42, cases[n].field);
		assert_int_equal(answered(&s), cases[n].answer);
	}
}

static void test_answer_has_none(void **state)
{
	uint8_t answer[TOO_BIG_MAX], again[TOO_BIG_MAX];

	(void)state;
	for (seed = 1; seed <= 1000; seed++) {
		uint64_t r = seed;
		struct sample s = askable(&r, random_in(&r, 0, 2000)), back = s;

		back.bytes = answer;
		back.len = (uint32_t)ask(&s, s.len, 20, answer);
		want(back.len && !ask(&back, back.len, 20, again));
		if (s.h.ip == 4) { /* not for the lack of DF alone */
			put16(answer + s.h.l3 + 6, 0x4000);
			complete_ipv4(answer + s.h.l3);
			want(!ask(&back, back.len, 20, again));
		}
		sample_free(&s);
	}
}

static void test_hostile_bytes(void **state)
{
	uint8_t answer[TOO_BIG_MAX];

	(void)state;
	for (seed = 1; seed <= 50000; seed++) {
		uint64_t r = seed;
		struct sample s = askable(&r, random_in(&r, 0, 200));
		uint32_t have = random_in(&r, 0, s.len);

		for (uint32_t n = random_in(&r, 1, 6); n; n--)
			s.bytes[random_in(&r, 0, s.h.payload - 1u)] = (uint8_t)random_next(&r);
		want(ask(&s, have, random_in(&r, 0, 300), answer) <= TOO_BIG_MAX);
		sample_free(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_fits),
		cmocka_unit_test(test_have_too_little),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_ethernet),
		cmocka_unit_test(test_ipv4_rules),
		cmocka_unit_test(test_icmp4),
		cmocka_unit_test(test_icmp6),
		cmocka_unit_test(test_ipv6_chain_too_long),
		cmocka_unit_test(test_ipv6_fragments),
		cmocka_unit_test(test_answer_has_none),
		cmocka_unit_test(test_hostile_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
