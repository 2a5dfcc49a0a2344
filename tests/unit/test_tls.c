/* SPDX-License-Identifier: BSD-2-Clause */
/* TLS in memory: our two ends with each other, and each with a peer that is OpenSSL bare. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <sluice/reason.h>

#include "tunnel/tls.h"

#define LABEL "EXPORTER-OpenVPN-datakeys"

enum {
	CLIENT,
	SERVER,
	OTHER,
	IDENTITIES
};

static struct identity identities[IDENTITIES];
static uint64_t seed;

/* splitmix64 */
static uint32_t random_below(uint64_t *state, uint32_t end)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (uint32_t)((z ^ (z >> 31)) % end);
}

#define want(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail_msg("seed %llu, line %d: %s; reason: %s", (unsigned long long)seed,   \
				 __LINE__, #condition, sl_reason());                               \
	} while (0)

static void says(const char *word)
{
	if (!strstr(sl_reason(), word))
		fail_msg("no \"%s\" in \"%s\"", word, sl_reason());
}

static void says_fingerprint(const struct identity *identity)
{
	char text[SL_FINGERPRINT_SIZE];

	sl_fingerprint_format(identity->fingerprint, text);
	says(text);
}

/* One of our ends. */
struct end {
	struct sl_tls_context *context;
	struct sl_tls *tls;
};

static struct end end_new(bool server, unsigned who, unsigned peer)
{
	struct end end;

	assert_int_equal(sl_tls_context_create(&identities[who], identities[peer].fingerprint,
					       server, &end.context),
			 0);
	assert_int_equal(sl_tls_create(end.context, &end.tls), 0);
	return end;
}

static void end_free(struct end *end)
{
	sl_tls_release(end->tls);
	sl_tls_context_release(end->context);
}

/* A stranger: options are set on @ctx before raw_start(). */
struct raw {
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out;
};

static int take_any(int good, X509_STORE_CTX *store)
{
	(void)good, (void)store;
	return 1;
}

static struct raw raw_new(const struct identity *identity)
{
	struct raw raw = {.ctx = SSL_CTX_new(TLS_method())};

	assert_non_null(raw.ctx);
	SSL_CTX_set_verify(raw.ctx, SSL_VERIFY_PEER, take_any);
	if (identity) {
		assert_int_equal(SSL_CTX_use_certificate(raw.ctx, identity->cert), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(raw.ctx, identity->key), 1);
	}
	return raw;
}

static void raw_start(struct raw *raw, bool server)
{
	raw->ssl = SSL_new(raw->ctx);
	raw->in = BIO_new(BIO_s_mem());
	raw->out = BIO_new(BIO_s_mem());
	SSL_set_bio(raw->ssl, raw->in, raw->out);
	if (server)
		SSL_set_accept_state(raw->ssl);
	else
		SSL_set_connect_state(raw->ssl);
}

static void raw_free(struct raw *raw)
{
	SSL_free(raw->ssl);
	SSL_CTX_free(raw->ctx);
}

/* What waits in @from, in chunks of any size; how many bytes it was. */
static size_t carry(uint64_t *r, struct sl_tls *from, struct sl_tls *to)
{
	uint8_t chunk[1500];
	size_t len, all = 0;

	while ((len = sl_tls_output(from, chunk, 1 + random_below(r, sizeof(chunk)))) > 0) {
		want(sl_tls_input(to, chunk, len) == 0);
		all += len;
	}
	return all;
}

static size_t carry_raw(struct end *end, struct raw *raw)
{
	uint8_t bytes[4096];
	size_t len, all = 0;
	int got;

	while ((len = sl_tls_output(end->tls, bytes, sizeof(bytes))) > 0) {
		BIO_write(raw->in, bytes, (int)len);
		all += len;
	}
	while ((got = BIO_read(raw->out, bytes, sizeof(bytes))) > 0) {
		assert_int_equal(sl_tls_input(end->tls, bytes, (size_t)got), 0);
		all += (size_t)got;
	}
	return all;
}

/* Until nothing moves; what our end's handshake says then. */
static int shake(struct end *end, struct raw *raw)
{
	int ret;

	do {
		ERR_clear_error();
		SSL_do_handshake(raw->ssl);
		ret = sl_tls_handshake(end->tls);
	} while (carry_raw(end, raw) && ret >= 0);
	return ret;
}

static void join(uint64_t *r, struct end *a, struct end *b)
{
	int ready = 0;

	for (int turns = 0; turns < 20 && ready < 2; turns++) {
		int at_a = sl_tls_handshake(a->tls), at_b;

		want(at_a >= 0);
		carry(r, a->tls, b->tls);
		at_b = sl_tls_handshake(b->tls);
		want(at_b >= 0);
		carry(r, b->tls, a->tls);
		ready = at_a + at_b;
	}
	want(ready == 2);
}

static void send_some(uint64_t *r, struct end *from, struct end *to, size_t len)
{
	uint8_t *sent = calloc(1, len + 1), *got = malloc(len + 1);
	size_t at = 0;
	int n;

	for (size_t i = 0; i < len; i++)
		sent[i] = (uint8_t)random_below(r, 256);
	want(sl_tls_write(from->tls, sent, len) == 0);
	want(carry(r, from->tls, to->tls) >= len);
	while ((n = sl_tls_read(to->tls, got + at, 1 + random_below(r, (uint32_t)(len + 1 - at)))) >
	       0) {
		at += (size_t)n;
		want(at <= len);
	}
	want(n == 0 && at == len && !memcmp(sent, got, len));
	free(sent);
	free(got);
}

static void same_keys(struct end *a, struct end *b)
{
	uint8_t keys[3][256];

	want(sl_tls_export(a->tls, LABEL, keys[0], sizeof(keys[0])) == 0);
	want(sl_tls_export(b->tls, LABEL, keys[1], sizeof(keys[1])) == 0);
	want(!memcmp(keys[0], keys[1], sizeof(keys[0])));
	want(sl_tls_export(a->tls, "EXPORTER-OpenVPN-p2p-peerid", keys[2], sizeof(keys[2])) == 0);
	want(memcmp(keys[0], keys[2], sizeof(keys[0])));
}

static void test_ours(void **state)
{
	char text[64];

	(void)state;
	for (seed = 1; seed <= 60; seed++) {
		uint64_t r = seed;
		struct end a = end_new(false, CLIENT, SERVER), b = end_new(true, SERVER, CLIENT);

		join(&r, &a, &b);
		want(sl_tls_handshake(a.tls) == 1 && sl_tls_handshake(b.tls) == 1);
		want(!strcmp(sl_tls_describe(a.tls, text, sizeof(text)),
			     "TLSv1.3, TLS_AES_256_GCM_SHA384"));
		same_keys(&a, &b);
		for (int n = 0; n < 6; n++) {
			send_some(&r, n & 1 ? &a : &b, n & 1 ? &b : &a, random_below(&r, 40000));
			send_some(&r, &a, &b, random_below(&r, 3));
		}
		end_free(&a);
		end_free(&b);
	}
}

/* Two connections of the same two ends have nothing in common. */
static void test_fresh_keys(void **state)
{
	struct end a = end_new(false, CLIENT, SERVER), b = end_new(true, SERVER, CLIENT);
	struct end a2 = {.context = a.context}, b2 = {.context = b.context};
	uint8_t first[256], second[256];
	uint64_t r = 1;

	(void)state;
	assert_int_equal(sl_tls_create(a.context, &a2.tls), 0);
	assert_int_equal(sl_tls_create(b.context, &b2.tls), 0);
	join(&r, &a, &b);
	join(&r, &a2, &b2);
	assert_int_equal(sl_tls_export(a.tls, LABEL, first, sizeof(first)), 0);
	assert_int_equal(sl_tls_export(a2.tls, LABEL, second, sizeof(second)), 0);
	assert_memory_not_equal(first, second, sizeof(first));
	sl_tls_release(a2.tls);
	sl_tls_release(b2.tls);
	end_free(&a);
	end_free(&b);
}

/* Both roles, both versions, against bare OpenSSL. */
static void test_with_raw(void **state)
{
	(void)state;
	for (int n = 0; n < 4; n++) {
		bool server = n & 1;
		int version = n & 2 ? TLS1_3_VERSION : TLS1_2_VERSION;
		struct end end = end_new(server, CLIENT, OTHER);
		struct raw raw = raw_new(&identities[OTHER]);
		uint8_t ours[256], theirs[256];
		char text[64];

		SSL_CTX_set_max_proto_version(raw.ctx, version);
		raw_start(&raw, !server);
		assert_int_equal(shake(&end, &raw), 1);
		assert_int_equal(SSL_version(raw.ssl), version);
		sl_tls_describe(end.tls, text, sizeof(text));
		assert_memory_equal(text, version == TLS1_3_VERSION ? "TLSv1.3, " : "TLSv1.2, ", 9);
		assert_int_equal(sl_tls_export(end.tls, LABEL, ours, sizeof(ours)), 0);
		assert_int_equal(SSL_export_keying_material(raw.ssl, theirs, sizeof(theirs), LABEL,
							    strlen(LABEL), NULL, 0, 0),
				 1);
		assert_memory_equal(ours, theirs, sizeof(ours));

		assert_int_equal(sl_tls_write(end.tls, "hello", 5), 0);
		carry_raw(&end, &raw);
		assert_int_equal(SSL_read(raw.ssl, text, sizeof(text)), 5);
		assert_memory_equal(text, "hello", 5);
		assert_int_equal(sl_tls_read(end.tls, text, sizeof(text)), 0);
		assert_int_equal(SSL_write(raw.ssl, "goodbye", 7), 7);
		SSL_shutdown(raw.ssl);
		carry_raw(&end, &raw);
		assert_int_equal(sl_tls_read(end.tls, text, sizeof(text)), 7);
		assert_memory_equal(text, "goodbye", 7);
		assert_int_equal(sl_tls_read(end.tls, text, sizeof(text)), -EPIPE);
		says("closed");
		raw_free(&raw);
		end_free(&end);
	}
}

/* Nothing is kept of a session, nothing of it is given out. */
static void test_no_resumption(void **state)
{
	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct end end = end_new(true, SERVER, CLIENT);
		struct raw raw = raw_new(&identities[CLIENT]);
		SSL_SESSION *session;
		unsigned id_len;
		uint8_t byte;

		SSL_CTX_set_max_proto_version(raw.ctx, version);
		raw_start(&raw, false);
		assert_int_equal(shake(&end, &raw), 1);
		assert_true(SSL_read(raw.ssl, &byte, 1) <= 0);
		session = SSL_get1_session(raw.ssl);
		assert_false(SSL_SESSION_has_ticket(session));
		SSL_SESSION_get_id(session, &id_len);
		assert_true(id_len == 0 || version == TLS1_3_VERSION);
		sl_tls_release(end.tls);
		assert_int_equal(sl_tls_create(end.context, &end.tls), 0);
		SSL_free(raw.ssl);
		raw_start(&raw, false);
		SSL_set_session(raw.ssl, session);
		assert_int_equal(shake(&end, &raw), 1);
		assert_false(SSL_session_reused(raw.ssl));
		SSL_SESSION_free(session);
		raw_free(&raw);
		end_free(&end);
	}
}

/* TLS 1.2's: the peer who asks for it is told no. */
static void test_no_renegotiation(void **state)
{
	(void)state;
	for (int server = 0; server < 2; server++) {
		struct end end = end_new(server, CLIENT, OTHER);
		struct raw raw = raw_new(&identities[OTHER]);
		char byte;

		SSL_CTX_set_max_proto_version(raw.ctx, TLS1_2_VERSION);
		raw_start(&raw, !server);
		assert_int_equal(shake(&end, &raw), 1);
		assert_int_equal(SSL_renegotiate(raw.ssl), 1);
		SSL_do_handshake(raw.ssl);
		carry_raw(&end, &raw);
		assert_int_equal(sl_tls_read(end.tls, &byte, 1), 0);
		assert_true(carry_raw(&end, &raw) > 0);
		ERR_clear_error();
		assert_true(SSL_read(raw.ssl, &byte, 1) <= 0);
		assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
		ERR_clear_error();
		raw_free(&raw);
		end_free(&end);
	}
}

/* What another user of OpenSSL has left in this thread's queue is not ours. */
static void test_stale_errors(void **state)
{
	struct end a = end_new(false, CLIENT, SERVER), b = end_new(true, SERVER, CLIENT);
	uint64_t r = 1;
	char byte;

	(void)state;
	for (int turns = 0; turns < 3; turns++) {
		ERR_raise(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER);
		assert_int_equal(sl_tls_handshake(a.tls), turns > 0);
		carry(&r, a.tls, b.tls);
		ERR_raise(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER);
		assert_int_equal(sl_tls_handshake(b.tls), turns > 0);
		carry(&r, b.tls, a.tls);
	}
	ERR_raise(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER);
	assert_int_equal(sl_tls_read(a.tls, &byte, 1), 0);
	ERR_clear_error();
	end_free(&a);
	end_free(&b);
}

/*
 * Refusing.
 */

static void gives_nothing(struct end *end)
{
	uint8_t bytes[256];

	assert_int_equal(sl_tls_export(end->tls, LABEL, bytes, sizeof(bytes)), -EPROTO);
	assert_int_equal(sl_tls_read(end->tls, bytes, sizeof(bytes)), -EPROTO);
	assert_int_equal(sl_tls_write(end->tls, "x", 1), -EPROTO);
}

static void test_wrong_peer(void **state)
{
	(void)state;
	for (int n = 0; n < 4; n++) {
		bool server = n & 1;
		struct end end = end_new(server, CLIENT, SERVER);
		struct raw raw = raw_new(&identities[OTHER]);

		SSL_CTX_set_max_proto_version(raw.ctx, n & 2 ? TLS1_3_VERSION : TLS1_2_VERSION);
		raw_start(&raw, !server);
		gives_nothing(&end);
		assert_int_equal(shake(&end, &raw), -EKEYREJECTED);
		says_fingerprint(&identities[SERVER]);
		says_fingerprint(&identities[OTHER]);
		gives_nothing(&end);
		assert_int_equal(sl_tls_handshake(end.tls), -EKEYREJECTED);
		gives_nothing(&end);
		/* The peer is told. */
		ERR_clear_error();
		assert_true(SSL_do_handshake(raw.ssl) != 1 ||
			    SSL_read(raw.ssl, &(char){0}, 1) <= 0);
		assert_int_equal(ERR_GET_REASON(ERR_peek_error()),
				 SSL_R_SSLV3_ALERT_BAD_CERTIFICATE);
		raw_free(&raw);
		end_free(&end);
	}
}

/* One bit of the fingerprint is as wrong as all of them. */
static void test_every_bit(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < FINGERPRINT_LEN * 8; bit += 5) {
		uint8_t wanted[FINGERPRINT_LEN];
		struct raw raw = raw_new(&identities[OTHER]);
		struct end end;

		memcpy(wanted, identities[OTHER].fingerprint, sizeof(wanted));
		wanted[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(
			sl_tls_context_create(&identities[CLIENT], wanted, false, &end.context), 0);
		assert_int_equal(sl_tls_create(end.context, &end.tls), 0);
		raw_start(&raw, true);
		assert_int_equal(shake(&end, &raw), -EKEYREJECTED);
		raw_free(&raw);
		end_free(&end);
	}
}

/* The expected certificate behind the leaf does not help. */
static void test_chain(void **state)
{
	struct end end = end_new(false, CLIENT, SERVER);
	struct raw raw = raw_new(&identities[OTHER]);

	(void)state;
	assert_int_equal(SSL_CTX_add1_chain_cert(raw.ctx, identities[SERVER].cert), 1);
	raw_start(&raw, true);
	assert_int_equal(shake(&end, &raw), -EKEYREJECTED);
	says_fingerprint(&identities[OTHER]);
	raw_free(&raw);
	end_free(&end);
}

static void test_no_certificate(void **state)
{
	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct end end = end_new(true, SERVER, CLIENT);
		struct raw raw = raw_new(NULL);

		SSL_CTX_set_max_proto_version(raw.ctx, version);
		raw_start(&raw, false);
		assert_int_equal(shake(&end, &raw), -EPROTO);
		says("did not return a certificate");
		gives_nothing(&end);
		raw_free(&raw);
		end_free(&end);
	}
}

static int take_none(X509_STORE_CTX *store, void *error)
{
	X509_STORE_CTX_set_error(store, *(int *)error);
	return 0;
}

/*
 * It is the peer that does not like us. In TLS 1.3 a client hears of it after its handshake.
 * The second is what OpenVPN says of a certificate whose fingerprint it does not know.
 */
static void test_refused(void **state)
{
	static const char *const says_alert[] = {"(TLS alert: bad certificate)",
						 "(TLS alert: unknown CA)"};
	int errors[] = {X509_V_ERR_CERT_REJECTED, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT};

	(void)state;
	for (int n = 0; n < 8; n++) {
		bool server = n & 1;
		struct end end = end_new(server, CLIENT, OTHER);
		struct raw raw = raw_new(&identities[OTHER]);
		int ret;

		SSL_CTX_set_max_proto_version(raw.ctx, n & 2 ? TLS1_3_VERSION : TLS1_2_VERSION);
		SSL_CTX_set_verify(raw.ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
				   NULL);
		SSL_CTX_set_cert_verify_callback(raw.ctx, take_none, &errors[n / 4]);
		raw_start(&raw, !server);
		ret = shake(&end, &raw);
		assert_int_equal(ret, !server && n & 2 ? 1 : -EPROTO);
		if (ret == 1)
			assert_int_equal(sl_tls_read(end.tls, &(char){0}, 1), -EPROTO);
		says("the peer refused our certificate");
		says(says_alert[n / 4]);
		says("expects another peer fingerprint");
		says_fingerprint(&identities[CLIENT]);
		raw_free(&raw);
		end_free(&end);
	}
}

static void test_old_version(void **state)
{
	(void)state;
	for (int server = 0; server < 2; server++) {
		struct end end = end_new(server, CLIENT, OTHER);
		struct raw raw = raw_new(&identities[OTHER]);

		SSL_CTX_set_security_level(raw.ctx, 0);
		assert_true(SSL_CTX_set_min_proto_version(raw.ctx, TLS1_VERSION));
		assert_true(SSL_CTX_set_max_proto_version(raw.ctx, TLS1_1_VERSION));
		raw_start(&raw, !server);
		assert_int_equal(shake(&end, &raw), -EPROTO);
		says(server ? "unsupported protocol" : "TLS alert: protocol version");
		gives_nothing(&end);
		raw_free(&raw);
		end_free(&end);
	}
}

static void test_no_extended_master_secret(void **state)
{
	(void)state;
	for (int server = 0; server < 2; server++) {
		struct end end = end_new(server, CLIENT, OTHER);
		struct raw raw = raw_new(&identities[OTHER]);

		SSL_CTX_set_max_proto_version(raw.ctx, TLS1_2_VERSION);
		SSL_CTX_set_options(raw.ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
		raw_start(&raw, !server);
		assert_int_equal(shake(&end, &raw), -EPROTO);
		says("extended master secret");
		gives_nothing(&end);
		assert_int_equal(sl_tls_handshake(end.tls), -EPROTO);
		says("extended master secret");
		/* The peer's handshake was good: it is told that this is the end all the same. */
		assert_true(SSL_read(raw.ssl, &(char){0}, 1) <= 0);
		assert_true(SSL_get_shutdown(raw.ssl) & SSL_RECEIVED_SHUTDOWN);
		raw_free(&raw);
		end_free(&end);
	}
}

/* TLS 1.2 without forward secrecy or without AEAD; @ciphers may be all that the peer has. */
static void test_weak_ciphers(void **state)
{
	static const char *const ciphers[] = {"ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA",
					      "ECDHE-ECDSA-AES256-CCM", "AES256-GCM-SHA384",
					      "ADH-AES256-GCM-SHA384:AECDH-AES256-SHA"};
	struct end end;
	struct raw raw;

	(void)state;
	for (size_t n = 0; n < sizeof(ciphers) / sizeof(*ciphers); n++) {
		end = end_new(true, SERVER, OTHER);
		raw = raw_new(&identities[OTHER]);
		SSL_CTX_set_max_proto_version(raw.ctx, TLS1_2_VERSION);
		SSL_CTX_set_security_level(raw.ctx, 0);
		assert_int_equal(SSL_CTX_set_cipher_list(raw.ctx, ciphers[n]), 1);
		raw_start(&raw, false);
		assert_int_equal(shake(&end, &raw), -EPROTO);
		says("no shared cipher");
		raw_free(&raw);
		end_free(&end);
	}
}

/*
 * Bytes that are not what they should be.
 */

static void test_garbage(void **state)
{
	(void)state;
	for (seed = 1; seed <= 400; seed++) {
		uint64_t r = seed;
		struct end end = end_new(seed & 1, CLIENT, SERVER);
		uint8_t bytes[300];
		int ret = 0;

		for (int n = 0; n < 400 && ret == 0; n++) {
			for (size_t i = 0; i < sizeof(bytes); i++)
				bytes[i] = (uint8_t)random_below(&r, 256);
			if (seed & 2) /* as a record: handshake, TLS 1.2 */
				memcpy(bytes, (const uint8_t[]){22, 3, 3, 1, 0x27}, 5);
			want(sl_tls_input(end.tls, bytes, sizeof(bytes)) == 0);
			ret = sl_tls_handshake(end.tls);
		}
		want(ret == -EPROTO && strlen(sl_reason()) > 10);
		want(sl_tls_handshake(end.tls) == -EPROTO);
		gives_nothing(&end);
		end_free(&end);
	}
}

/* What a whole handshake and one message between two of us is, by turns. */
struct flight {
	uint8_t bytes[8192];
	size_t len;
};

static size_t take(struct flight *flight, struct sl_tls *from)
{
	flight->len = sl_tls_output(from, flight->bytes, sizeof(flight->bytes));
	return flight->len;
}

/* It stops anywhere: that is waiting, never success and no failure. */
static void test_truncated(void **state)
{
	(void)state;
	for (seed = 1; seed <= 40; seed++) {
		struct end a = end_new(false, CLIENT, SERVER), b = end_new(true, SERVER, CLIENT);
		struct flight flight;
		size_t cut;

		want(sl_tls_handshake(a.tls) == 0);
		want(take(&flight, a.tls));
		cut = seed & 1 ? flight.len : flight.len * seed / 41;
		want(sl_tls_input(b.tls, flight.bytes, cut) == 0);
		want(sl_tls_handshake(b.tls) == 0);
		if (seed & 1) {
			want(take(&flight, b.tls));
			cut = flight.len * seed / 41;
			want(sl_tls_input(a.tls, flight.bytes, cut) == 0);
			want(sl_tls_handshake(a.tls) == 0);
		}
		for (int n = 0; n < 3; n++)
			want(sl_tls_handshake(a.tls) == 0 && sl_tls_handshake(b.tls) == 0);
		gives_nothing(&a);
		gives_nothing(&b);
		end_free(&a);
		end_free(&b);
	}
}

/* A bit flipped on the way: no two ends with different keys, no crash. */
static void test_flipped(void **state)
{
	unsigned failures = 0;

	(void)state;
	for (seed = 1; seed <= 300; seed++) {
		uint64_t r = seed;
		struct end ends[2] = {end_new(false, CLIENT, SERVER),
				      end_new(true, SERVER, CLIENT)};
		unsigned bad = random_below(&r, 3);
		int ret[2] = {0};

		for (unsigned turn = 0; turn < 8 && ret[0] >= 0 && ret[1] >= 0; turn++) {
			struct flight flight;

			ret[turn & 1] = sl_tls_handshake(ends[turn & 1].tls);
			if (!take(&flight, ends[turn & 1].tls))
				continue;
			if (turn == bad)
				flight.bytes[random_below(&r, (uint32_t)flight.len)] ^=
					(uint8_t)(1u << random_below(&r, 8));
			want(sl_tls_input(ends[!(turn & 1)].tls, flight.bytes, flight.len) == 0);
		}
		failures += ret[0] < 0 || ret[1] < 0;
		if (ret[0] == 1 && ret[1] == 1)
			same_keys(&ends[0], &ends[1]);
		end_free(&ends[0]);
		end_free(&ends[1]);
	}
	assert_true(failures > 250);
}

static void test_broken_data(void **state)
{
	struct end a = end_new(false, CLIENT, SERVER), b = end_new(true, SERVER, CLIENT);
	struct flight flight;
	uint64_t r = 1;
	char byte;

	(void)state;
	join(&r, &a, &b);
	assert_int_equal(sl_tls_write(a.tls, "message", 7), 0);
	assert_true(take(&flight, a.tls));
	flight.bytes[flight.len - 1] ^= 1;
	assert_int_equal(sl_tls_input(b.tls, flight.bytes, flight.len), 0);
	assert_int_equal(sl_tls_read(b.tls, &byte, 1), -EPROTO);
	says("decryption failed");
	assert_true(carry(&r, b.tls, a.tls) > 0);
	assert_int_equal(sl_tls_read(a.tls, &byte, 1), -EPROTO);
	says("TLS alert: bad record mac");
	end_free(&a);
	end_free(&b);
}

static void test_bound(void **state)
{
	static uint8_t bytes[65537];
	struct end end = end_new(true, SERVER, CLIENT);

	(void)state;
	assert_int_equal(sl_tls_input(end.tls, bytes, 65537), -ENOBUFS);
	assert_int_equal(sl_tls_input(end.tls, bytes, SIZE_MAX), -ENOBUFS);
	assert_int_equal(sl_tls_input(end.tls, bytes, 0), 0);
	assert_int_equal(sl_tls_input(end.tls, bytes, 65535), 0);
	assert_int_equal(sl_tls_input(end.tls, bytes, 2), -ENOBUFS);
	assert_int_equal(sl_tls_input(end.tls, bytes, SIZE_MAX), -ENOBUFS);
	assert_int_equal(sl_tls_input(end.tls, bytes, 1), 0);
	assert_int_equal(sl_tls_input(end.tls, bytes, 1), -ENOBUFS);
	says("65536");
	assert_int_equal(sl_tls_handshake(end.tls), -EPROTO);
	end_free(&end);
}

static void test_nothing(void **state)
{
	struct end a = end_new(false, CLIENT, SERVER), b = end_new(true, SERVER, CLIENT);
	uint64_t r = 1;
	char text[32];

	(void)state;
	assert_int_equal(sl_tls_output(a.tls, text, sizeof(text)), 0);
	sl_tls_describe(a.tls, text, sizeof(text));
	join(&r, &a, &b);
	assert_int_equal(sl_tls_write(a.tls, "", 0), 0);
	assert_int_equal(sl_tls_output(a.tls, text, sizeof(text)), 0);
	assert_int_equal(sl_tls_write(a.tls, "x", 1), 0);
	assert_int_equal(sl_tls_output(a.tls, text, 0), 0);
	carry(&r, a.tls, b.tls);
	assert_int_equal(sl_tls_read(b.tls, text, 0), 0);
	assert_int_equal(sl_tls_read(b.tls, text, sizeof(text)), 1);
	end_free(&a);
	end_free(&b);
	sl_tls_release(NULL);
	sl_tls_context_release(NULL);
}

/* A key that is not the certificate's gets no further than this. */
static void test_bad_identity(void **state)
{
	const struct identity mixed = {identities[CLIENT].key, identities[SERVER].cert, {0}};
	struct sl_tls_context *context;

	(void)state;
	assert_int_equal(
		sl_tls_context_create(&mixed, identities[OTHER].fingerprint, true, &context),
		-EINVAL);
	says("key values mismatch");
}

static int make_identities(void **state)
{
	char top[] = "/tmp/test_tls-XXXXXX", dir[64], path[80], text[SL_FINGERPRINT_SIZE];
	int bad = !mkdtemp(top);

	(void)state;
	for (int n = 0; n < IDENTITIES && !bad; n++) {
		snprintf(dir, sizeof(dir), "%s/%d", top, n);
		bad = sl_identity_generate(dir, text) || sl_identity_load(dir, &identities[n]);
		snprintf(path, sizeof(path), "%s/key.pem", dir);
		unlink(path);
		snprintf(path, sizeof(path), "%s/cert.pem", dir);
		unlink(path);
		rmdir(dir);
	}
	rmdir(top);
	return bad;
}

static int drop_identities(void **state)
{
	(void)state;
	for (int n = 0; n < IDENTITIES; n++)
		sl_identity_unload(&identities[n]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ours),
		cmocka_unit_test(test_fresh_keys),
		cmocka_unit_test(test_with_raw),
		cmocka_unit_test(test_no_resumption),
		cmocka_unit_test(test_no_renegotiation),
		cmocka_unit_test(test_stale_errors),
		cmocka_unit_test(test_wrong_peer),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_no_certificate),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_old_version),
		cmocka_unit_test(test_no_extended_master_secret),
		cmocka_unit_test(test_weak_ciphers),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_broken_data),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_bad_identity),
	};

	return cmocka_run_group_tests(tests, make_identities, drop_identities);
}
