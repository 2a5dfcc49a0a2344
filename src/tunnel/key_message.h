/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Key method 2: what the two ends tell each other inside TLS, once for each key. Its
 * randoms are not used here: keys come from the TLS exporter (IV_PROTO_TLS_KEY_EXPORT).
 *
 *   0 (4 bytes), key method 2 (1), [client: pre-master (48)], random1 (32), random2 (32),
 *   options, user name, password, peer info: each with its length (2 bytes, the NUL
 *   included; 0 for none)
 */
#ifndef SL_TUNNEL_KEY_MESSAGE_H
#define SL_TUNNEL_KEY_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sluice/data_channel.h>

#include "tunnel/wire.h"

#define KEY_MESSAGE_MAX 4096 /* a longer one is refused */
#define KEY_TEXT_MAX	1024 /* each of its texts, NUL included */

/** struct key_message - options and peer info; always terminated */
struct key_message {
	char options[KEY_TEXT_MAX];
	char peer_info[KEY_TEXT_MAX];
};

/**
 * sl_key_message_parse() - parse what has come so far
 * @from_client: it has a pre-master secret
 *
 * User name and password are skipped. A text without a NUL at its end or with one inside is
 * refused. A message that ends (with @len) right behind the password has no peer info.
 *
 * Return: bytes used, more may follow; -EAGAIN when the message is not whole yet; -EINVAL for one
 * that cannot be, with a reason.
 */
int sl_key_message_parse(const uint8_t *bytes, size_t len, bool from_client,
			 struct key_message *out);

/**
 * sl_key_message_build() - write a message with fresh randoms
 *
 * Return: its length; -EMSGSIZE; -EIO when there is no randomness, with a reason.
 */
int sl_key_message_build(const struct key_message *message, bool as_client, uint8_t *to,
			 size_t room);

/**
 * struct peer_info - what matters of the peer info's lines
 * @iv_proto: IV_PROTO_*
 * @ciphers:  bit 1u << SL_CIPHER_* for each of IV_CIPHERS that we have
 * @in_order: the same, the peer's first choice first; @n_ciphers of them
 * @version:  IV_VER, printable characters only; empty for none
 */
struct peer_info {
	uint32_t iv_proto;
	unsigned ciphers;
	unsigned n_ciphers;
	enum sl_cipher in_order[SL_CIPHER_COUNT];
	char version[32];
};

/** sl_peer_info_parse() - pick what matters; lines that nobody knows are skipped */
void sl_peer_info_parse(const char *text, struct peer_info *out);

/** sl_cipher_name() - as IV_CIPHERS writes it: "AES-256-GCM"; NULL for none */
const char *sl_cipher_name(enum sl_cipher cipher);

#endif
