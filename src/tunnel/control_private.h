/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of a control channel: sessions and time (control.c), and strangers (stranger.c). */
#ifndef SL_TUNNEL_CONTROL_PRIVATE_H
#define SL_TUNNEL_CONTROL_PRIVATE_H

#include "tunnel/cookie.h"
#include "tunnel/pending.h"

struct control {
	struct control_config config;
	struct sl_tls_context *tls;
	struct cookie_jar jar;
	struct session *live;
	struct pending pending;
	bool started;
	bool said_quiet;
	unsigned tries;
	uint64_t try_at;    /* a client starts a session, a server calls its client */
	uint64_t quiet_at;  /* nobody has answered until then */
	uint64_t retire_at; /* the replaced key goes */
	uint64_t worn_at;
	uint64_t reneg_at;  /* a renegotiation that could not start is tried again */
	uint64_t called_at; /* a call was followed */
	uint64_t heard_at;  /* the live session was, over the data channel */
	uint64_t complain_at;
	uint64_t echo_second; /* what echoes counts */
	unsigned echoes;
};

/* control.c */

/** sl_control_add() - a session that is not proven yet; NULL when there is no memory */
struct session *sl_control_add(struct control *c, const struct sl_address *from,
			       const uint8_t sid[SID_LEN], uint64_t now_ns);

/** sl_control_give() - give a session its packet, and do what comes of it; 0 or -ENOTCONN */
int sl_control_give(struct control *c, struct session *s, const struct control_packet *packet,
		    uint64_t now_ns);

/** sl_control_handle() - do what a step of a session came to; the session may be gone then */
void sl_control_handle(struct control *c, struct session *s, int news, uint64_t now_ns);

/** sl_control_complain() - a line that outsiders can cause: one a second */
void sl_control_complain(struct control *c, const struct sl_address *who, const char *what,
			 uint64_t now_ns);

/* stranger.c */

/** sl_control_stranger() - a packet of no session; 0 or -ENOTCONN */
int sl_control_stranger(struct control *c, const struct sl_address *from,
			struct control_packet *packet, uint64_t now_ns);

/** sl_control_call_server() - a client's pending session, a new one when there is none */
struct session *sl_control_call_server(struct control *c, uint64_t now_ns);

/** sl_control_send_reset() - a hard reset from nothing; with @peer_sid it acknowledges number 0 */
void sl_control_send_reset(struct control *c, const struct sl_address *to, uint8_t opcode,
			   const uint8_t sid[SID_LEN], const uint8_t *peer_sid);

#endif
