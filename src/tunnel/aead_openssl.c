/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OpenSSL as an AEAD back end.
 *
 * What a packet costs beside its bytes is mostly strcmp() over names of parameters: tags go in
 * and out as ready-made parameters, without the controls that make them first, and nothing is set
 * that was set before.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/reason.h"
#include "tunnel/aead.h"

/* The context is made once: looking up a cipher and expanding a key cost more than a packet. */
struct evp {
	struct sl_aead aead;
	EVP_CIPHER_CTX *ctx;
};

static EVP_CIPHER_CTX *ctx_of(struct sl_aead *aead)
{
	return ((struct evp *)(void *)aead)->ctx;
}

static bool evp_usable(enum sl_cipher cipher)
{
	(void)cipher;
	return true;
}

static void evp_release(struct sl_aead *aead)
{
	EVP_CIPHER_CTX_free(ctx_of(aead)); /* wipes the key */
	free(aead);
}

static int evp_create(enum sl_cipher cipher, const uint8_t *key, bool seals, struct sl_aead **out)
{
	struct evp *evp = calloc(1, sizeof(*evp));

	if (evp)
		evp->ctx = EVP_CIPHER_CTX_new();
	if (!evp || !evp->ctx) {
		free(evp);
		return sl_fail(ENOMEM, "no memory for a cipher");
	}
	/* Both ciphers' nonces are AEAD_NONCE_LEN bytes unless told otherwise. */
	if (!EVP_CipherInit_ex(evp->ctx,
			       cipher == SL_CIPHER_AES_256_GCM ? EVP_aes_256_gcm()
							       : EVP_chacha20_poly1305(),
			       NULL, key, NULL, seals)) {
		evp_release(&evp->aead);
		return sl_fail(EINVAL, "the crypto library does not offer cipher number %d here",
			       (int)cipher);
	}
	*out = &evp->aead;
	return 0;
}

/* Everything between nonce and tag. */
static bool run(EVP_CIPHER_CTX *ctx, const uint8_t *aad, size_t aad_len,
		const struct sl_piece *pieces, unsigned n)
{
	int done;

	if (aad_len > INT_MAX ||
	    (aad_len && !EVP_CipherUpdate(ctx, NULL, &done, aad, (int)aad_len)))
		return false;
	for (unsigned i = 0; i < n; i++) {
		const struct sl_piece *p = &pieces[i];

		if (!p->len) /* its pointers may be NULL, which means something else to OpenSSL */
			continue;
		if (p->len > INT_MAX || !EVP_CipherUpdate(ctx, p->out, &done, p->in, (int)p->len))
			return false;
	}
	return true;
}

static int evp_seal(struct sl_aead *aead, const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
		    const struct sl_piece *pieces, unsigned n, uint8_t *tag)
{
	OSSL_PARAM out[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, AEAD_TAG_LEN),
		OSSL_PARAM_END,
	};
	EVP_CIPHER_CTX *ctx = ctx_of(aead);
	uint8_t rest[EVP_MAX_BLOCK_LENGTH];
	int done;

	if (!EVP_EncryptInit_ex2(ctx, NULL, NULL, nonce, NULL) ||
	    !run(ctx, aad, aad_len, pieces, n) || !EVP_EncryptFinal_ex(ctx, rest, &done) ||
	    !EVP_CIPHER_CTX_get_params(ctx, out))
		return -EIO;
	return 0;
}

static int evp_open(struct sl_aead *aead, const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
		    const struct sl_piece *pieces, unsigned n, const uint8_t *tag)
{
	uint8_t rest[EVP_MAX_BLOCK_LENGTH], expected[AEAD_TAG_LEN];
	const OSSL_PARAM in[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, expected, AEAD_TAG_LEN),
		OSSL_PARAM_END,
	};
	EVP_CIPHER_CTX *ctx = ctx_of(aead);
	int done;

	memcpy(expected, tag, AEAD_TAG_LEN);
	if (!EVP_DecryptInit_ex2(ctx, NULL, NULL, nonce, NULL) ||
	    !run(ctx, aad, aad_len, pieces, n) || !EVP_CIPHER_CTX_set_params(ctx, in) ||
	    !EVP_DecryptFinal_ex(ctx, rest, &done))
		return -EBADMSG;
	return 0;
}

const struct sl_aead_ops sl_aead_openssl = {
	.name = "openssl",
	.usable = evp_usable,
	.create = evp_create,
	.release = evp_release,
	.seal = evp_seal,
	.open = evp_open,
};
