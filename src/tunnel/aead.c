/* SPDX-License-Identifier: BSD-2-Clause */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/reason.h"
#include "tunnel/aead.h"

/* The context is made once: looking up a cipher and expanding a key cost more than a packet. */
struct sl_aead {
	EVP_CIPHER_CTX *ctx;
};

static const EVP_CIPHER *cipher_of(enum sl_cipher cipher)
{
	switch (cipher) {
	case SL_CIPHER_AES_256_GCM:
		return EVP_aes_256_gcm();
	case SL_CIPHER_CHACHA20_POLY1305:
		return EVP_chacha20_poly1305();
	default:
		return NULL;
	}
}

int sl_aead_create(enum sl_cipher cipher, const uint8_t key[AEAD_KEY_LEN], bool seals,
		   struct sl_aead **out)
{
	const EVP_CIPHER *evp = cipher_of(cipher);
	struct sl_aead *aead;

	if (!evp)
		return sl_fail(EINVAL, "there is no cipher number %d", (int)cipher);
	aead = calloc(1, sizeof(*aead));
	if (aead)
		aead->ctx = EVP_CIPHER_CTX_new();
	if (!aead || !aead->ctx) {
		sl_aead_release(aead);
		return sl_fail(ENOMEM, "no memory for a cipher");
	}
	/* Both ciphers' nonces are AEAD_NONCE_LEN bytes unless told otherwise. */
	if (!EVP_CipherInit_ex(aead->ctx, evp, NULL, key, NULL, seals)) {
		sl_aead_release(aead);
		return sl_fail(EINVAL, "the crypto library does not offer cipher number %d here",
			       (int)cipher);
	}
	*out = aead;
	return 0;
}

void sl_aead_release(struct sl_aead *aead)
{
	if (!aead)
		return;
	EVP_CIPHER_CTX_free(aead->ctx); /* wipes the key */
	free(aead);
}

/* Everything but the tag. */
static bool run(EVP_CIPHER_CTX *ctx, const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
		const struct sl_piece *pieces, unsigned n)
{
	int done;

	if (!EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, -1))
		return false;
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

int sl_aead_seal(struct sl_aead *aead, const uint8_t nonce[AEAD_NONCE_LEN], const uint8_t *aad,
		 size_t aad_len, const struct sl_piece *pieces, unsigned n,
		 uint8_t tag[AEAD_TAG_LEN])
{
	uint8_t rest[EVP_MAX_BLOCK_LENGTH];
	int done;

	if (!run(aead->ctx, nonce, aad, aad_len, pieces, n) ||
	    !EVP_CipherFinal_ex(aead->ctx, rest, &done) ||
	    !EVP_CIPHER_CTX_ctrl(aead->ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_LEN, tag))
		return -EIO;
	return 0;
}

int sl_aead_open(struct sl_aead *aead, const uint8_t nonce[AEAD_NONCE_LEN], const uint8_t *aad,
		 size_t aad_len, const struct sl_piece *pieces, unsigned n,
		 const uint8_t tag[AEAD_TAG_LEN])
{
	uint8_t rest[EVP_MAX_BLOCK_LENGTH], expected[AEAD_TAG_LEN];
	int done;

	memcpy(expected, tag, AEAD_TAG_LEN);
	if (!run(aead->ctx, nonce, aad, aad_len, pieces, n) ||
	    !EVP_CIPHER_CTX_ctrl(aead->ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_LEN, expected) ||
	    !EVP_CipherFinal_ex(aead->ctx, rest, &done))
		return -EBADMSG;
	return 0;
}
