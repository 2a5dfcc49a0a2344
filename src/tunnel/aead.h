/* SPDX-License-Identifier: BSD-2-Clause */
/* Authenticated encryption over chains of pieces. Its back ends are the only code of the data
 * channel that knows a crypto library. */
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
 * struct sl_aead_ops - a back end
 * @name:    as users see it
 * @usable:  does this CPU have what it takes?
 * @create:  as sl_aead_create(); what it makes begins with a struct sl_aead, filled in by aead.c
 * @release: wipe and free
 * @seal:    as sl_aead_seal()
 * @open:    as sl_aead_open()
 */
struct sl_aead_ops {
	const char *name;
	bool (*usable)(enum sl_cipher cipher);
	int (*create)(enum sl_cipher cipher, const uint8_t *key, bool seals, struct sl_aead **out);
	void (*release)(struct sl_aead *aead);
	int (*seal)(struct sl_aead *aead, const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
		    const struct sl_piece *pieces, unsigned n, uint8_t *tag);
	int (*open)(struct sl_aead *aead, const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
		    const struct sl_piece *pieces, unsigned n, const uint8_t *tag);
};

/** struct sl_aead - one key in one direction; used by one thread at a time */
struct sl_aead {
	const struct sl_aead_ops *ops;
	bool seals;
};

extern const struct sl_aead_ops sl_aead_openssl;
#ifdef HAVE_IPSEC_MB
extern const struct sl_aead_ops sl_aead_ipsec_mb;
#endif

/** sl_aead_at() - the back ends of this build, the fastest first; NULL after the last */
const struct sl_aead_ops *sl_aead_at(unsigned n);

/**
 * sl_aead_create() - one key in one direction; contexts are set up here, once
 * @ops:   the back end; NULL for the first that can
 * @seals: true to seal, false to open
 *
 * Return: 0; -EINVAL for an unknown cipher; -ENOTSUP when @ops cannot be used here; -ENOMEM.
 */
int sl_aead_create(const struct sl_aead_ops *ops, enum sl_cipher cipher,
		   const uint8_t key[AEAD_KEY_LEN], bool seals, struct sl_aead **out);

/** sl_aead_name() - the back end's */
static inline const char *sl_aead_name(const struct sl_aead *aead)
{
	return aead->ops->name;
}

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
