/* SPDX-License-Identifier: BSD-2-Clause */
/* OpenSSL over two memory BIOs. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "tunnel/openssl.h"
#include "tunnel/tls.h"

#define UNREAD_MAX (64u << 10)

/* TLS 1.2's; all that TLS 1.3 has are as good. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

struct sl_tls_context {
	SSL_CTX *ctx;
	const struct identity *identity;
	uint8_t peer[FINGERPRINT_LEN];
	bool server;
};

enum peer {
	PEER_UNKNOWN, /* has not shown a certificate yet */
	PEER_WRONG,
	PEER_RIGHT,
};

struct sl_tls {
	const struct sl_tls_context *context;
	SSL *ssl;
	BIO *in, *out; /* @ssl's */
	enum peer peer;
	uint8_t seen[FINGERPRINT_LEN]; /* the certificate's, unless PEER_UNKNOWN */
	bool ready;		       /* the handshake is done and the peer is the right one */
};

/*
 * Failing.
 */

static int fail_wrong_peer(const struct sl_tls *tls)
{
	char seen[SL_FINGERPRINT_SIZE], wanted[SL_FINGERPRINT_SIZE];

	sl_fingerprint_format(tls->seen, seen);
	sl_fingerprint_format(tls->context->peer, wanted);
	return sl_fail(EKEYREJECTED,
		       "the peer showed a certificate with fingerprint %s, not the expected %s",
		       seen, wanted);
}

static bool about_certificate(int alert)
{
	switch (alert) {
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_ACCESS_DENIED:
		return true;
	default:
		return false;
	}
}

/* The peer has told why it gives up (RFC 8446 6.2). */
static int fail_alert(const struct sl_tls *tls, int alert)
{
	const char *name = SSL_alert_desc_string_long(alert);
	char ours[SL_FINGERPRINT_SIZE];

	if (!about_certificate(alert))
		return sl_fail(EPROTO, "the peer ended TLS (TLS alert: %s)", name);
	sl_fingerprint_format(tls->context->identity->fingerprint, ours);
	return sl_fail(EPROTO,
		       "the peer refused our certificate (TLS alert: %s): it expects another peer "
		       "fingerprint; ours is %s",
		       name, ours);
}

/* Say what OpenSSL's queue holds, or what is known to be behind it. */
static int fail(const struct sl_tls *tls, const char *what)
{
	unsigned long err = ERR_peek_error();
	int alert =
		ERR_GET_LIB(err) == ERR_LIB_SSL ? ERR_GET_REASON(err) - SSL_AD_REASON_OFFSET : -1;

	if (tls->peer == PEER_WRONG)
		return fail_wrong_peer(tls);
	if (alert >= 0 && alert <= UINT8_MAX)
		return fail_alert(tls, alert);
	if (SSL_get_shutdown(tls->ssl) & SSL_RECEIVED_SHUTDOWN)
		return sl_fail(EPROTO, "%s: the peer closed TLS", what);
	return sl_fail(EPROTO, "%s: %s", what, sl_openssl_reason());
}

static int fail_early(void)
{
	return sl_fail(EPROTO, "the TLS handshake is not done");
}

/*
 * What connections share.
 */

/* In the place of a check of the chain: the leaf's fingerprint and nothing else. */
static int verify(X509_STORE_CTX *store, void *unused)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct sl_tls *tls = SSL_get_app_data(ssl);
	X509 *leaf = X509_STORE_CTX_get0_cert(store);

	(void)unused;
	/* With this error OpenSSL tells the peer "bad certificate". */
	X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
	if (!leaf || !X509_digest(leaf, EVP_sha256(), tls->seen, NULL))
		return 0;
	tls->peer = PEER_WRONG;
	if (CRYPTO_memcmp(tls->seen, tls->context->peer, FINGERPRINT_LEN))
		return 0;
	tls->peer = PEER_RIGHT;
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

static bool configure(SSL_CTX *ctx, const struct identity *identity)
{
	SSL_CTX_set_options(ctx,
			    SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, verify, NULL);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) &&
	       SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
	       SSL_CTX_set_num_tickets(ctx, 0) && SSL_CTX_set_cipher_list(ctx, CIPHERS) &&
	       SSL_CTX_use_certificate(ctx, identity->cert) == 1 &&
	       SSL_CTX_use_PrivateKey(ctx, identity->key) == 1 && SSL_CTX_check_private_key(ctx);
}

int sl_tls_context_create(const struct identity *identity, const uint8_t peer[FINGERPRINT_LEN],
			  bool server, struct sl_tls_context **out)
{
	struct sl_tls_context *context = calloc(1, sizeof(*context));

	if (!context)
		return sl_fail(ENOMEM, "no memory for TLS");
	context->identity = identity;
	memcpy(context->peer, peer, FINGERPRINT_LEN);
	context->server = server;
	ERR_clear_error();
	context->ctx = SSL_CTX_new(TLS_method());
	if (!context->ctx || !configure(context->ctx, identity)) {
		sl_tls_context_release(context);
		return sl_fail(EINVAL, "TLS does not take this identity: %s", sl_openssl_reason());
	}
	*out = context;
	return 0;
}

void sl_tls_context_release(struct sl_tls_context *context)
{
	if (!context)
		return;
	SSL_CTX_free(context->ctx);
	free(context);
}

/*
 * One connection.
 */

static bool attach(struct sl_tls *tls)
{
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	if (!in || !out) {
		BIO_free(in);
		BIO_free(out);
		return false;
	}
	BIO_set_mem_eof_return(in, -1); /* empty is "not yet", not the end */
	BIO_set_mem_eof_return(out, -1);
	SSL_set_bio(tls->ssl, in, out);
	tls->in = in;
	tls->out = out;
	return SSL_set_app_data(tls->ssl, tls);
}

int sl_tls_create(struct sl_tls_context *context, struct sl_tls **out)
{
	struct sl_tls *tls = calloc(1, sizeof(*tls));

	ERR_clear_error();
	if (tls)
		tls->ssl = SSL_new(context->ctx);
	if (!tls || !tls->ssl || !attach(tls)) {
		sl_tls_release(tls);
		return sl_fail(ENOMEM, "no memory for a TLS connection");
	}
	tls->context = context;
	if (context->server)
		SSL_set_accept_state(tls->ssl);
	else
		SSL_set_connect_state(tls->ssl);
	*out = tls;
	return 0;
}

void sl_tls_release(struct sl_tls *tls)
{
	if (!tls)
		return;
	SSL_free(tls->ssl);
	free(tls);
}

int sl_tls_input(struct sl_tls *tls, const void *bytes, size_t len)
{
	size_t unread = BIO_ctrl_pending(tls->in);

	if (len > UNREAD_MAX || unread > UNREAD_MAX - len)
		return sl_fail(ENOBUFS, "the peer sent more TLS than is read: over %u bytes",
			       UNREAD_MAX);
	ERR_clear_error();
	if (len && BIO_write(tls->in, bytes, (int)len) != (int)len)
		return sl_fail(ENOBUFS, "no memory for TLS from the peer");
	return 0;
}

size_t sl_tls_output(struct sl_tls *tls, void *to, size_t room)
{
	int got;

	ERR_clear_error();
	got = BIO_read(tls->out, to, (int)sl_min(room, (size_t)INT_MAX));
	return got > 0 ? (size_t)got : 0;
}

/*
 * RFC 7627: without the extended master secret a man in the middle can give two TLS 1.2 sessions
 * the same master secret, and with it the same exported keys. TLS 1.3 "always hashes in the
 * transcript up to the server Finished" (RFC 8446 appendix D).
 */
static int check_peer(struct sl_tls *tls)
{
	if (tls->peer != PEER_RIGHT)
		return sl_fail(EPROTO, "the peer showed no certificate");
	if (SSL_version(tls->ssl) == TLS1_2_VERSION && SSL_get_extms_support(tls->ssl) != 1)
		return sl_fail(EPROTO,
			       "the peer's TLS 1.2 has no extended master secret (RFC 7627): "
			       "it needs a newer TLS library");
	return 0;
}

int sl_tls_handshake(struct sl_tls *tls)
{
	int ret, err;

	if (tls->ready)
		return 1;
	ERR_clear_error();
	ret = SSL_do_handshake(tls->ssl);
	if (ret != 1) {
		err = SSL_get_error(tls->ssl, ret);
		if (err == SSL_ERROR_WANT_READ || err == SSL_ERROR_WANT_WRITE)
			return 0;
		return fail(tls, "the TLS handshake failed");
	}
	ret = check_peer(tls);
	if (ret) {
		SSL_shutdown(tls->ssl); /* the peer thinks that all is well */
		return ret;
	}
	tls->ready = true;
	return 1;
}

int sl_tls_read(struct sl_tls *tls, void *to, size_t room)
{
	int got;

	if (!tls->ready)
		return fail_early();
	if (!room)
		return 0;
	ERR_clear_error();
	got = SSL_read(tls->ssl, to, (int)sl_min(room, (size_t)INT_MAX));
	if (got > 0)
		return got;
	switch (SSL_get_error(tls->ssl, got)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		return sl_fail(EPIPE, "the peer closed TLS");
	default:
		return fail(tls, "what the peer sent is not its TLS");
	}
}

int sl_tls_write(struct sl_tls *tls, const void *bytes, size_t len)
{
	size_t done;

	if (!tls->ready)
		return fail_early();
	if (!len)
		return 0;
	ERR_clear_error();
	/* All or nothing: without SSL_MODE_ENABLE_PARTIAL_WRITE, and memory takes all. */
	if (SSL_write_ex(tls->ssl, bytes, len, &done) != 1)
		return fail(tls, "cannot send to the peer");
	return 0;
}

int sl_tls_export(struct sl_tls *tls, const char *label, void *to, size_t len)
{
	if (!tls->ready)
		return fail_early();
	ERR_clear_error();
	if (SSL_export_keying_material(tls->ssl, to, len, label, strlen(label), NULL, 0, 0) == 1)
		return 0;
	OPENSSL_cleanse(to, len);
	return fail(tls, "cannot export keying material");
}

const char *sl_tls_describe(struct sl_tls *tls, char *to, size_t room)
{
	snprintf(to, room, "%s, %s", SSL_get_version(tls->ssl), SSL_get_cipher_name(tls->ssl));
	return to;
}
