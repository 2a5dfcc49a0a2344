/* SPDX-License-Identifier: BSD-2-Clause */
/* Datagrams that belong to no session: who may start one, and what it costs us. */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/clock.h"
#include "tunnel/control_private.h"

#define ECHOES_MAX 1000 /* answers a second to calls; of more, one in 8 */

/* How often a client with a session follows a call: when it has not heard its server for a
 * while, and when it has. */
#define SILENT_NS     (2 * SL_NS_PER_S)
#define CALL_NS	      (15 * SL_NS_PER_S)
#define CALL_HEARD_NS (120 * SL_NS_PER_S)

/* A handshake that is silent for this long may be with a server that is gone. */
#define STALL_NS (5 * SL_NS_PER_S)

static bool may_come_from(const struct control *c, const struct sl_address *from)
{
	return c->config.anywhere || !c->config.remote.len ||
	       sl_address_equal(from, &c->config.remote);
}

void sl_control_send_reset(struct control *c, const struct sl_address *to, uint8_t opcode,
			   const uint8_t sid[SID_LEN], const uint8_t *peer_sid)
{
	struct control_packet packet = {.opcode = opcode, .n_acks = peer_sid ? 1 : 0};
	uint8_t bytes[64];
	int len;

	memcpy(packet.sid, sid, SID_LEN);
	if (peer_sid)
		memcpy(packet.peer_sid, peer_sid, SID_LEN);
	len = sl_control_packet_build(&packet, bytes, sizeof(bytes));
	if (len > 0)
		c->config.ops->send(c->config.ctx, to, bytes, (size_t)len);
}

static void random_sid(uint8_t sid[SID_LEN])
{
	if (RAND_bytes(sid, SID_LEN) != 1)
		memset(sid, 0, SID_LEN); /* which no packet may have: the session never starts */
}

/*
 * To a server. A bare reset is answered with a cookie of the same 14 bytes, and forgotten. With
 * the cookie come back, there is a session; its own reset is sent again, with an ack
 * now, so the ack that came with the cookie counts for nothing.
 */
static int server_stranger(struct control *c, struct control_packet *packet,
			   const struct sl_address *from, uint64_t now_ns)
{
	bool reset = packet->opcode == P_CONTROL_HARD_RESET_CLIENT_V2;
	uint8_t sid[SID_LEN];
	struct session *s;

	if (packet->n_acks == 1 && !packet->acks[0] && (reset || packet->opcode == P_ACK_V1) &&
	    sl_cookie_check(&c->jar, from, packet->sid, now_ns, packet->peer_sid)) {
		s = sl_control_add(c, from, packet->peer_sid, now_ns);
		if (!s)
			return 0;
		sl_session_bind(s, packet->sid, now_ns);
		packet->n_acks = 0;
		/* The cookie was the answer to its reset, which says nothing else. */
		sl_reliable_receive(&s->key->reliable, 0, P_CONTROL_HARD_RESET_CLIENT_V2, NULL, 0);
		if (reset)
			return sl_control_give(c, s, packet, now_ns);
		sl_control_handle(c, s, sl_session_step(s, now_ns), now_ns);
		return 0;
	}
	if (!reset || packet->n_acks)
		return -ENOTCONN;
	sl_cookie_make(&c->jar, from, packet->sid, now_ns, sid);
	sl_control_send_reset(c, from, P_CONTROL_HARD_RESET_SERVER_V2, sid, NULL);
	return 0;
}

struct session *sl_control_call_server(struct control *c, uint64_t now_ns)
{
	uint8_t sid[SID_LEN];

	if (sl_pending_any(&c->pending))
		return sl_pending_any(&c->pending);
	random_sid(sid);
	return sl_control_add(c, &c->config.remote, sid, now_ns);
}

/* A flood of forged calls must neither make us one nor keep the true one out: some get through. */
static bool too_many_calls(struct control *c, uint64_t now_ns)
{
	uint8_t dice = 0;

	if (c->echo_second != now_ns / SL_NS_PER_S)
		c->echoes = 0;
	c->echo_second = now_ns / SL_NS_PER_S;
	return c->echoes++ >= ECHOES_MAX && (RAND_bytes(&dice, 1) != 1 || dice % 8);
}

/*
 * To a client. A reset without an ack may be anybody's: the answer echoes its session id and
 * commits us to nothing.
 */
static int answer_call(struct control *c, const struct control_packet *packet, uint64_t now_ns)
{
	struct session *s;

	if (too_many_calls(c, now_ns))
		return -ENOTCONN;
	if (c->live && !sl_pending_any(&c->pending)) {
		/* Our server has been started again, or has failed to get a new key; or somebody
		 * says so in its name. */
		bool silent = now_ns >= c->heard_at + SILENT_NS;

		if (c->called_at && now_ns < c->called_at + (silent ? CALL_NS : CALL_HEARD_NS))
			return -ENOTCONN;
		c->called_at = now_ns;
	}
	s = sl_control_call_server(c, now_ns);
	if (s && s->bound && now_ns >= s->heard_at + STALL_NS) {
		/* It began a session with the server that was there before. */
		sl_pending_remove(&c->pending, s);
		sl_session_release(s);
		s = sl_control_call_server(c, now_ns);
	}
	if (!s || s->bound)
		return -ENOTCONN;
	sl_control_send_reset(c, &s->address, P_CONTROL_HARD_RESET_CLIENT_V2, s->sid, packet->sid);
	return 0;
}

/* Who acknowledges our session id has seen it: that is our server. */
static int client_stranger(struct control *c, const struct control_packet *packet, uint64_t now_ns)
{
	struct session *s = sl_pending_any(&c->pending);

	if (packet->opcode == P_CONTROL_HARD_RESET_SERVER_V2 && !packet->n_acks)
		return answer_call(c, packet, now_ns);
	if (!packet->n_acks || !s || s->bound || CRYPTO_memcmp(packet->peer_sid, s->sid, SID_LEN))
		return -ENOTCONN;
	sl_session_bind(s, packet->sid, now_ns);
	/* Its reset has number 0 and says nothing else. It may have come before, and an echo has
	 * acknowledged it then: it will not come again. */
	sl_reliable_receive(&s->key->reliable, 0, P_CONTROL_HARD_RESET_SERVER_V2, NULL, 0);
	return sl_control_give(c, s, packet, now_ns);
}

int sl_control_stranger(struct control *c, const struct sl_address *from,
			struct control_packet *packet, uint64_t now_ns)
{
	uint8_t same_role =
		c->config.server ? P_CONTROL_HARD_RESET_SERVER_V2 : P_CONTROL_HARD_RESET_CLIENT_V2;

	if (!may_come_from(c, from))
		return -ENOTCONN;
	if (packet->opcode == same_role) {
		sl_control_complain(c, from,
				    c->config.server
					    ? "both ends are servers: one needs role=client"
					    : "both ends are clients: one needs role=server",
				    now_ns);
		return -ENOTCONN;
	}
	return c->config.server ? server_stranger(c, packet, from, now_ns)
				: client_stranger(c, packet, now_ns);
}
