/* SPDX-License-Identifier: BSD-2-Clause */
/* A TLS session with one peer process: two session ids, a key and its predecessor. */
#ifndef SL_TUNNEL_SESSION_H
#define SL_TUNNEL_SESSION_H

#include "tunnel/key_state.h"

/**
 * struct session - one session
 * @bound:  the peer has shown that it receives what we send: @peer_sid is its session id
 * @key:    the newest
 * @old:    the one before: its last packets may still have to be acknowledged
 * @fresh:  the key that NEWS_KEYED speaks of
 * @spent:  a renegotiation has failed: a new session is needed, this one's keys live on
 */
struct session {
	const struct control_config *config;
	struct sl_tls_context *tls;
	struct sl_address address;
	uint8_t sid[SID_LEN];
	uint8_t peer_sid[SID_LEN];
	bool bound;
	bool spent;
	uint64_t made_at;
	uint64_t hurry_at;
	uint64_t heard_at; /* a packet of this session came */
	struct key_state *key, *old;
	struct negotiated negotiated;
	struct sl_data_key fresh;
};

/** sl_session_create() - @sid: ours; 0 or a negative errno with a reason */
int sl_session_create(const struct control_config *config, struct sl_tls_context *tls,
		      const struct sl_address *address, const uint8_t sid[SID_LEN], uint64_t now_ns,
		      struct session **out);
void sl_session_release(struct session *s);

/** sl_session_owns() - is this a packet of this session, from where its peer is? */
bool sl_session_owns(const struct session *s, const struct control_packet *packet,
		     const struct sl_address *from);

/** sl_session_bind() - the peer, and its session id, are known */
void sl_session_bind(struct session *s, const uint8_t peer_sid[SID_LEN], uint64_t now_ns);

/**
 * sl_session_input() - a packet of this session
 *
 * Return: NEWS_*; -ENOTCONN when it is not of this session after all (no reason); other negative
 * errnos with a reason: the newest negotiation has failed.
 */
int sl_session_input(struct session *s, const struct control_packet *packet, uint64_t now_ns);

/** sl_session_step() - send what is due; as sl_session_input(), -ETIMEDOUT among it */
int sl_session_step(struct session *s, uint64_t now_ns);

uint64_t sl_session_deadline(const struct session *s);

/** sl_session_renegotiate() - start the next key; 0 or a negative errno with a reason */
int sl_session_renegotiate(struct session *s, uint64_t now_ns);

/** sl_session_say() - a control message to the peer; 0 or a negative errno */
int sl_session_say(struct session *s, const char *text, uint64_t now_ns);

#endif
