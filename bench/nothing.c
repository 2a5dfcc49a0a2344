/* SPDX-License-Identifier: BSD-2-Clause */
/* An AEAD back end that does nothing. Its tag is the key's first byte: the two directions differ.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "pair.h"

struct nothing {
	struct sl_aead aead;
	uint8_t mark;
};

static bool nothing_usable(enum sl_cipher cipher)
{
	(void)cipher;
	return true;
}

static int nothing_create(enum sl_cipher cipher, const uint8_t *key, bool seals,
			  struct sl_aead **made)
{
	struct nothing *n = calloc(1, sizeof(*n));

	(void)cipher, (void)seals;
	if (!n)
		return -ENOMEM;
	n->mark = key[0];
	*made = &n->aead;
	return 0;
}

static void nothing_release(struct sl_aead *aead)
{
	free(aead);
}

static int nothing_seal(struct sl_aead *aead, const uint8_t *nonce, const uint8_t *aad,
			size_t aad_len, const struct sl_piece *pieces, unsigned n, uint8_t *tag)
{
	(void)nonce, (void)aad, (void)aad_len, (void)pieces, (void)n;
	memset(tag, sl_container_of((uintptr_t)aead, struct nothing, aead)->mark, AEAD_TAG_LEN);
	return 0;
}

static int nothing_open(struct sl_aead *aead, const uint8_t *nonce, const uint8_t *aad,
			size_t aad_len, const struct sl_piece *pieces, unsigned n,
			const uint8_t *tag)
{
	(void)nonce, (void)aad, (void)aad_len, (void)pieces, (void)n;
	return tag[0] - sl_container_of((uintptr_t)aead, struct nothing, aead)->mark ? -EBADMSG : 0;
}

const struct sl_aead_ops pair_nothing = {
	"-", nothing_usable, nothing_create, nothing_release, nothing_seal, nothing_open};
