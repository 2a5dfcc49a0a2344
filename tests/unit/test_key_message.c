/* SPDX-License-Identifier: BSD-2-Clause */
/* Key messages: what is built is parsed back, wherever it is cut, and every refusal. */
#include "packets.h"

#include <errno.h>

#include "base/reason.h"
#include "tunnel/key_message.h"

#define CLIENT_TEXTS (5 + 48 + 64) /* where the texts begin */
#define SERVER_TEXTS (5 + 64)

static void random_text(uint64_t *r, char *to)
{
	uint32_t len = random_in(r, 0, random_next(r) & 1 ? 10 : KEY_TEXT_MAX - 1);

	for (uint32_t n = 0; n < len; n++)
		to[n] = (char)random_in(r, 1, 127);
	to[len] = 0;
}

static void random_message(uint64_t *r, struct key_message *m)
{
	memset(m, 0, sizeof(*m));
	random_text(r, m->options);
	random_text(r, m->peer_info);
}

static int parse_exact(const uint8_t *bytes, size_t len, bool from_client, struct key_message *out)
{
	uint8_t *b = exact(bytes, len);
	int used;

	sl_fail(EIO, "nothing new");
	memset(out, 0xff, sizeof(*out));
	used = sl_key_message_parse(b, len, from_client, out);
	exact_free(b, len);
	want(memchr(out->options, 0, KEY_TEXT_MAX) && memchr(out->peer_info, 0, KEY_TEXT_MAX));
	want(used > 0 || used == -EAGAIN ||
	     (used == -EINVAL && strcmp(sl_reason(), "nothing new")));
	return used;
}

static void test_round_trip(void **state)
{
	static uint8_t b[KEY_MESSAGE_MAX];

	(void)state;
	for (seed = 1; seed <= 3000; seed++) {
		uint64_t r = seed;
		bool client = random_next(&r) & 1;
		struct key_message m, back;
		int len;

		random_message(&r, &m);
		random_fill(&r, b, sizeof(b));
		len = sl_key_message_build(&m, client, b, sizeof(b));
		want(len > 0);
		want(sl_key_message_build(&m, client, b, (size_t)len) == len);
		want(parse_exact(b, (size_t)len, client, &back) == len);
		want(!strcmp(m.options, back.options) && !strcmp(m.peer_info, back.peer_info));
		want(parse_exact(b, sizeof(b), client, &back) == len); /* more behind it */
		want(!strcmp(m.options, back.options) && !strcmp(m.peer_info, back.peer_info));
		want(sl_key_message_build(&m, client, b, (size_t)len - 1) == -EMSGSIZE);
	}
}

/* Cut anywhere it is not whole yet, but for the end right behind the password. */
static void test_cut(void **state)
{
	static uint8_t b[KEY_MESSAGE_MAX];

	(void)state;
	for (seed = 1; seed <= 100; seed++) {
		uint64_t r = seed;
		bool client = random_next(&r) & 1;
		struct key_message m, back;
		int len, early;

		random_message(&r, &m);
		len = sl_key_message_build(&m, client, b, sizeof(b));
		early = len - 2 - (int)strlen(m.peer_info) - (*m.peer_info ? 1 : 0);
		want(len > 0);
		for (int n = 0; n < len; n++)
			want(parse_exact(b, (size_t)n, client, &back) ==
			     (n == early ? early : -EAGAIN));
		want(parse_exact(b, (size_t)early, client, &back) == early);
		want(!strcmp(m.options, back.options) && !*back.peer_info);
	}
}

/* Byte for byte, so that both directions cannot be wrong in the same way. */
static void test_layout(void **state)
{
	static const struct key_message m = {"V4", "IV_PROTO=2\n"};
	static const uint8_t texts[] = "\0\3V4\0\0\0\0\0\0\14IV_PROTO=2\n";
	uint8_t b[KEY_MESSAGE_MAX];

	(void)state;
	assert_int_equal(sl_key_message_build(&m, true, b, sizeof(b)),
			 CLIENT_TEXTS + sizeof(texts));
	assert_memory_equal(b, "\0\0\0\0\2", 5);
	assert_memory_equal(b + CLIENT_TEXTS, texts, sizeof(texts));
	assert_int_equal(sl_key_message_build(&m, false, b, sizeof(b)),
			 SERVER_TEXTS + sizeof(texts));
	assert_memory_equal(b, "\0\0\0\0\2", 5);
	assert_memory_equal(b + SERVER_TEXTS, texts, sizeof(texts));
}

/* No two of them alike, and none left as it was. */
static void test_fresh_randoms(void **state)
{
	static const struct key_message m;
	uint8_t a[256] = {0}, b[256] = {0};
	unsigned same = 0;

	(void)state;
	assert_int_equal(sl_key_message_build(&m, true, a, sizeof(a)), CLIENT_TEXTS + 8);
	assert_int_equal(sl_key_message_build(&m, true, b, sizeof(b)), CLIENT_TEXTS + 8);
	for (unsigned n = 5; n + 8 <= CLIENT_TEXTS; n += 8)
		same += !memcmp(a + n, b + n, 8);
	assert_int_equal(same, 0);
	assert_memory_not_equal(a + 53, a + 85, 32);
}

/* A text that nothing ends would be read past its end. */
static void test_build_refuses(void **state)
{
	static struct key_message m;
	uint8_t b[KEY_MESSAGE_MAX];

	(void)state;
	memset(m.options, 'x', KEY_TEXT_MAX);
	assert_int_equal(sl_key_message_build(&m, true, b, sizeof(b)), -EMSGSIZE);
	memset(&m, 0, sizeof(m));
	memset(m.peer_info, 'x', KEY_TEXT_MAX);
	assert_int_equal(sl_key_message_build(&m, true, b, sizeof(b)), -EMSGSIZE);
	m.peer_info[KEY_TEXT_MAX - 1] = 0;
	assert_int_equal(sl_key_message_build(&m, true, b, sizeof(b)),
			 CLIENT_TEXTS + 8 + KEY_TEXT_MAX);
}

/* Refused as soon as it cannot be, not only when it is whole. */
static void test_head(void **state)
{
	struct key_message m;
	uint8_t b[5];

	(void)state;
	for (unsigned at = 0; at < 4; at++) {
		memcpy(b, "\0\0\0\0\2", 5);
		b[at] = 1;
		for (unsigned len = 0; len <= 5; len++)
			assert_int_equal(parse_exact(b, len, true, &m),
					 len > at ? -EINVAL : -EAGAIN);
	}
	for (unsigned method = 0; method < 256; method++) {
		memcpy(b, "\0\0\0\0", 4);
		b[4] = (uint8_t)method;
		assert_int_equal(parse_exact(b, 5, false, &m),
				 (method & 15) == 2 ? -EAGAIN : -EINVAL);
	}
}

/* A server's message with the text @which of options, user name, password, peer info given
 * as its length field and bytes. */
static int parse_with(unsigned which, unsigned len, const void *text, size_t text_len,
		      struct key_message *m)
{
	static uint8_t b[2 * KEY_MESSAGE_MAX];
	size_t at = SERVER_TEXTS;

	memset(b, 0, sizeof(b));
	b[4] = 2;
	for (unsigned n = 0; n < 4; n++, at += 2) {
		if (n != which)
			continue;
		put16(b + at, len);
		memcpy(b + at + 2, text, text_len);
		at += text_len;
	}
	return parse_exact(b, at, false, m);
}

static void test_texts(void **state)
{
	static char big[KEY_TEXT_MAX + 1];
	struct key_message m;

	(void)state;
	memset(big, 'x', KEY_TEXT_MAX);
	for (unsigned which = 0; which < 4; which++) {
		assert_int_equal(parse_with(which, 0, "", 0, &m), SERVER_TEXTS + 8);
		assert_int_equal(parse_with(which, 1, "", 1, &m), SERVER_TEXTS + 9);
		assert_int_equal(parse_with(which, 3, "ab", 3, &m), SERVER_TEXTS + 11);
		assert_string_equal(m.options, which == 0 ? "ab" : "");
		assert_string_equal(m.peer_info, which == 3 ? "ab" : "");
		assert_int_equal(parse_with(which, KEY_TEXT_MAX, big + 1, KEY_TEXT_MAX, &m),
				 SERVER_TEXTS + 8 + KEY_TEXT_MAX);
		/* without NUL, with one inside, with two, too long */
		assert_int_equal(parse_with(which, 2, "ab", 2, &m), -EINVAL);
		assert_int_equal(parse_with(which, 4, "a\0b", 4, &m), -EINVAL);
		assert_int_equal(parse_with(which, 3, "\0b", 3, &m), -EINVAL);
		assert_int_equal(parse_with(which, 3, "a\0", 3, &m), -EINVAL);
		assert_int_equal(parse_with(which, KEY_TEXT_MAX + 1, big, KEY_TEXT_MAX + 1, &m),
				 -EINVAL);
		assert_int_equal(parse_with(which, 0xffff, "", 0, &m), -EINVAL);
	}
}

/* Four texts that are each short enough make a message that is not. */
static void test_too_long(void **state)
{
	static uint8_t b[2 * KEY_MESSAGE_MAX];
	struct key_message m;
	size_t at = CLIENT_TEXTS;

	(void)state;
	b[4] = 2;
	for (unsigned n = 0; n < 4; n++, at += 2 + KEY_TEXT_MAX) {
		put16(b + at, KEY_TEXT_MAX);
		memset(b + at + 2, 'x', KEY_TEXT_MAX - 1);
	}
	assert_true(at > KEY_MESSAGE_MAX);
	at -= 2 + KEY_TEXT_MAX; /* the peer info */
	assert_int_equal(parse_exact(b, at + 1, true, &m), -EAGAIN);
	assert_int_equal(parse_exact(b, at + 2, true, &m), -EINVAL);
	assert_int_equal(parse_exact(b, sizeof(b), true, &m), -EINVAL);
	put16(b + at, (unsigned)(KEY_MESSAGE_MAX - at - 2));
	b[KEY_MESSAGE_MAX - 1] = 0;
	assert_int_equal(parse_exact(b, sizeof(b), true, &m), KEY_MESSAGE_MAX);
	put16(b + at, (unsigned)(KEY_MESSAGE_MAX - at - 1));
	b[KEY_MESSAGE_MAX - 1] = 'x';
	b[KEY_MESSAGE_MAX] = 0;
	assert_int_equal(parse_exact(b, sizeof(b), true, &m), -EINVAL);
}

static void test_hostile_bytes(void **state)
{
	static uint8_t b[KEY_MESSAGE_MAX];
	struct key_message m;

	(void)state;
	for (seed = 1; seed <= 20000; seed++) {
		uint64_t r = seed;
		bool client = random_next(&r) & 1;
		int len;

		random_message(&r, &m);
		len = sl_key_message_build(&m, client, b, sizeof(b));
		want(len > 0);
		for (uint32_t n = random_in(&r, 1, 4); n; n--)
			b[random_in(&r, 0, (uint32_t)len - 1)] = (uint8_t)random_next(&r);
		parse_exact(b, random_in(&r, 0, (uint32_t)len), random_next(&r) & 1, &m);
	}
}

static struct peer_info info(const char *text)
{
	uint8_t *b = exact(text, strlen(text) + 1);
	struct peer_info out;

	memset(&out, 0xff, sizeof(out));
	sl_peer_info_parse((char *)b, &out);
	exact_free(b, strlen(text) + 1);
	return out;
}

static void test_peer_info(void **state)
{
	const unsigned gcm = 1u << SL_CIPHER_AES_256_GCM, cha = 1u << SL_CIPHER_CHACHA20_POLY1305;
	struct peer_info i = info("IV_VER=2.6.14\nIV_PLAT=linux\nIV_TCPNL=1\nIV_MTU=1600\n"
				  "IV_CIPHERS=AES-256-GCM:CHACHA20-POLY1305\nIV_PROTO=170\n");

	(void)state;
	assert_string_equal(i.version, "2.6.14");
	assert_int_equal(i.ciphers, gcm | cha);
	assert_int_equal(i.iv_proto, IV_PROTO_DATA_V2 | IV_PROTO_TLS_KEY_EXPORT | IV_PROTO_NCP_P2P |
					     IV_PROTO_CC_EXIT_NOTIFY);
	i = info("");
	assert_true(!*i.version && !i.ciphers && !i.iv_proto);
	i = info("\n\nIV_PROTO=2"); /* without a newline at its end */
	assert_int_equal(i.iv_proto, 2);
	assert_int_equal(info("IV_CIPHERS=aes-256-gcm").ciphers, gcm);
	assert_int_equal(info("IV_CIPHERS=AES-128-GCM:ChaCha20-Poly1305:BF-CBC\n").ciphers, cha);
	assert_int_equal(info("IV_CIPHERS=::AES-256-GCM::\n").ciphers, gcm);
	assert_int_equal(info("IV_CIPHERS=AES-256-GCM\n:CHACHA20-POLY1305").ciphers, gcm);
	assert_int_equal(info("IV_CIPHERS=AES-256-GC:CHACHA20-POLY13055:AES\n").ciphers, 0);
	assert_int_equal(info("IV_CIPHERS=\n").ciphers, 0);
	assert_int_equal(info("IV_CIPHERS\n").ciphers, 0);
	assert_int_equal(info("XIV_CIPHERS=AES-256-GCM\niv_ciphers=AES-256-GCM").ciphers, 0);
}

/* The peer's preference, each once. */
static void test_peer_info_order(void **state)
{
	struct peer_info i = info("IV_CIPHERS=AES-256-GCM:BF-CBC:CHACHA20-POLY1305\n");

	(void)state;
	assert_int_equal(i.n_ciphers, 2);
	assert_int_equal(i.in_order[0], SL_CIPHER_AES_256_GCM);
	assert_int_equal(i.in_order[1], SL_CIPHER_CHACHA20_POLY1305);
	i = info("IV_CIPHERS=chacha20-poly1305:CHACHA20-POLY1305:AES-256-GCM:AES-256-GCM\n"
		 "IV_CIPHERS=AES-256-GCM:CHACHA20-POLY1305\n");
	assert_int_equal(i.n_ciphers, 2);
	assert_int_equal(i.in_order[0], SL_CIPHER_CHACHA20_POLY1305);
	assert_int_equal(i.in_order[1], SL_CIPHER_AES_256_GCM);
	assert_int_equal(info("IV_CIPHERS=AES-128-GCM\n").n_ciphers, 0);
}

static void test_peer_info_numbers(void **state)
{
	static const char *const ignored[] = {
		"IV_PROTO=4294967296",
		"IV_PROTO=4294967298",
		"IV_PROTO=42949672960",
		"IV_PROTO=99999999999999999999999999999999999999999",
		"IV_PROTO=",
		"IV_PROTO=-2",
		"IV_PROTO=+2",
		"IV_PROTO= 2",
		"IV_PROTO=2 ",
		"IV_PROTO=0x2",
		"IV_PROTO=2\r\n",
		"IV_PROTO 2",
		"IV_PROTO",
		" IV_PROTO=2",
	};

	(void)state;
	for (size_t n = 0; n < sizeof(ignored) / sizeof(ignored[0]); n++)
		assert_int_equal(info(ignored[n]).iv_proto, 0);
	assert_int_equal(info("IV_PROTO=4294967295").iv_proto, UINT32_MAX);
	assert_int_equal(info("IV_PROTO=0000000000000002\n").iv_proto, 2);
	assert_int_equal(info("IV_PROTO=2\nIV_PROTO=4294967296\n").iv_proto, 2);
	assert_int_equal(info("IV_PROTO=2\nIV_PROTO=\n").iv_proto, 2);
}

static void test_peer_info_version(void **state)
{
	char text[] = "IV_VER=?\n";

	(void)state;
	for (int c = 1; c < 256; c++) {
		struct peer_info i;

		text[7] = (char)c;
		i = info(text);
		if (c == '\n')
			assert_string_equal(i.version, "");
		else
			assert_int_equal(i.version[0], c >= 32 && c < 127 ? c : '?');
		assert_int_equal(i.version[c != '\n'], 0);
	}
	assert_string_equal(info("IV_VER=0123456789012345678901234567890").version,
			    "0123456789012345678901234567890");
	assert_string_equal(info("IV_VER=01234567890123456789012345678901").version,
			    "0123456789012345678901234567890");
}

static void test_cipher_names(void **state)
{
	(void)state;
	assert_string_equal(sl_cipher_name(SL_CIPHER_AES_256_GCM), "AES-256-GCM");
	assert_string_equal(sl_cipher_name(SL_CIPHER_CHACHA20_POLY1305), "CHACHA20-POLY1305");
	assert_null(sl_cipher_name((enum sl_cipher)2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_fresh_randoms),
		cmocka_unit_test(test_build_refuses),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_hostile_bytes),
		cmocka_unit_test(test_peer_info),
		cmocka_unit_test(test_peer_info_order),
		cmocka_unit_test(test_peer_info_numbers),
		cmocka_unit_test(test_peer_info_version),
		cmocka_unit_test(test_cipher_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
