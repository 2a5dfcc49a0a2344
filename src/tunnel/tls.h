/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TLS 1.2 or 1.3 over memory: bytes in, bytes out. Both ends show a certificate; the peer's
 * is known by its fingerprint alone (no chain, no names, no dates), as with OpenVPN's
 * --peer-fingerprint.
 */
#ifndef SL_TUNNEL_TLS_H
#define SL_TUNNEL_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tunnel/identity.h"

struct sl_tls_context; /* what all connections of a tunnel share */
struct sl_tls;	       /* one connection */

/** sl_tls_context_create() - @identity is referred to until the release; 0 or -EINVAL, -ENOMEM */
int sl_tls_context_create(const struct identity *identity, const uint8_t peer[FINGERPRINT_LEN],
			  bool server, struct sl_tls_context **out);
void sl_tls_context_release(struct sl_tls_context *context);

/** sl_tls_create() - a fresh connection: no session is ever resumed */
int sl_tls_create(struct sl_tls_context *context, struct sl_tls **out);
void sl_tls_release(struct sl_tls *tls);

/** sl_tls_input() - bytes from the peer; 0, or -ENOBUFS when more than 64 KiB wait unread */
int sl_tls_input(struct sl_tls *tls, const void *bytes, size_t len);

/** sl_tls_output() - bytes for the peer: how many were written to @to, 0 for none */
size_t sl_tls_output(struct sl_tls *tls, void *to, size_t room);

/**
 * sl_tls_handshake() - go on with it
 *
 * Return: 1 when it is done; 0 when it needs more; with a reason: -EKEYREJECTED when the peer
 * showed a certificate with another fingerprint (the reason names both), -EPROTO for anything
 * else, TLS 1.2 without extended master secret among it. An alert for the peer may be in the
 * output.
 */
int sl_tls_handshake(struct sl_tls *tls);

/** sl_tls_read() - plaintext: bytes, 0 for none now, -EPIPE when the peer closed, -EPROTO */
int sl_tls_read(struct sl_tls *tls, void *to, size_t room);

/** sl_tls_write() - all of it, after the handshake; 0 or -EPROTO with a reason */
int sl_tls_write(struct sl_tls *tls, const void *bytes, size_t len);

/** sl_tls_export() - keying material (RFC 5705, RFC 8446 7.5), no context; 0 or -EPROTO */
int sl_tls_export(struct sl_tls *tls, const char *label, void *to, size_t len);

/** sl_tls_describe() - "TLSv1.3, TLS_AES_256_GCM_SHA384", for the log */
const char *sl_tls_describe(struct sl_tls *tls, char *to, size_t room);

#endif
