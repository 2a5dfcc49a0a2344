/* SPDX-License-Identifier: BSD-2-Clause */
/* Authenticated encryption over chains of pieces: the only place that knows a crypto library. */
#ifndef SL_TUNNEL_AEAD_H
#define SL_TUNNEL_AEAD_H

#include <stddef.h>
#include <stdint.h>

#include <sluice/data_channel.h>

#define AEAD_KEY_LEN   32
#define AEAD_NONCE_LEN 12
#define AEAD_TAG_LEN   16

struct sl_aead;

/**
 * sl_aead_create() - one key in one direction; contexts are set up here, once
 * @seals: true to seal, false to open
 *
 * Return: 0; -EINVAL for an unknown cipher; -ENOMEM.
 */
int sl_aead_create(enum sl_cipher cipher, const uint8_t key[AEAD_KEY_LEN], bool seals,
		   struct sl_aead **out);

/** sl_aead_release() - wipe and free; NULL is allowed */
void sl_aead_release(struct sl_aead *aead);

/** sl_aead_seal() - encrypt from in to out and make the tag; 0 or -EIO */
int sl_aead_seal(struct sl_aead *aead, const uint8_t nonce[AEAD_NONCE_LEN], const uint8_t *aad,
		 size_t aad_len, const struct sl_piece *pieces, unsigned n,
		 uint8_t tag[AEAD_TAG_LEN]);

/** sl_aead_open() - decrypt from in to out and compare the tag; 0, or -EBADMSG and what is in
 * out is not to be used */
int sl_aead_open(struct sl_aead *aead, const uint8_t nonce[AEAD_NONCE_LEN], const uint8_t *aad,
		 size_t aad_len, const struct sl_piece *pieces, unsigned n,
		 const uint8_t tag[AEAD_TAG_LEN]);

#endif
