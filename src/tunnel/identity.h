/* SPDX-License-Identifier: BSD-2-Clause */
/* A key and a certificate in memory. See <sluice/identity.h>. */
#ifndef SL_TUNNEL_IDENTITY_H
#define SL_TUNNEL_IDENTITY_H

#include <stdint.h>

#include <openssl/types.h>

#include <sluice/identity.h>

#define FINGERPRINT_LEN 32

struct identity {
	EVP_PKEY *key;
	X509 *cert;
	uint8_t fingerprint[FINGERPRINT_LEN];
};

/** sl_identity_load() - read key.pem and cert.pem of a folder; errors as sl_identity_show() */
int sl_identity_load(const char *dir, struct identity *out);

/** sl_identity_unload() - wipe and free; all zero is allowed */
void sl_identity_unload(struct identity *identity);

/**
 * sl_fingerprint_parse() - 64 hex digits, any case, with colons between the bytes or without
 *
 * Return: 0; -EINVAL with a reason that says what is wrong and how one is written.
 */
int sl_fingerprint_parse(const char *text, uint8_t out[FINGERPRINT_LEN]);

/** sl_fingerprint_format() - the way OpenVPN and openssl x509 -fingerprint print it */
void sl_fingerprint_format(const uint8_t fingerprint[FINGERPRINT_LEN],
			   char out[SL_FINGERPRINT_SIZE]);

#endif
