/* SPDX-License-Identifier: BSD-2-Clause */
#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/reason.h"
#include "tunnel/session.h"

#define PIGGYBACK_MAX 4 /* acks in a packet that carries something (CONTROL_SEND_ACK_MAX) */
#define HURRY_NS      (2 * SL_NS_PER_S)
#define SILENCE_NS    (20 * SL_NS_PER_S) /* longer than a peer waits to send again, four times */

int sl_session_create(const struct control_config *config, struct sl_tls_context *tls,
		      const struct sl_address *address, const uint8_t sid[SID_LEN], uint64_t now_ns,
		      struct session **out)
{
	uint8_t reset =
		config->server ? P_CONTROL_HARD_RESET_SERVER_V2 : P_CONTROL_HARD_RESET_CLIENT_V2;
	struct session *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return sl_fail(ENOMEM, "no memory for a session");
	ret = sl_key_state_create(tls, 0, reset, now_ns, &s->key);
	if (ret) {
		free(s);
		return ret;
	}
	s->config = config;
	s->tls = tls;
	s->address = *address;
	memcpy(s->sid, sid, SID_LEN);
	s->made_at = now_ns;
	s->hurry_at = now_ns + HURRY_NS;
	*out = s;
	return 0;
}

void sl_session_release(struct session *s)
{
	if (!s)
		return;
	sl_key_state_release(s->key);
	sl_key_state_release(s->old);
	OPENSSL_cleanse(s, sizeof(*s));
	free(s);
}

void sl_session_bind(struct session *s, const uint8_t peer_sid[SID_LEN], uint64_t now_ns)
{
	memcpy(s->peer_sid, peer_sid, SID_LEN);
	s->bound = true;
	s->heard_at = now_ns;
	s->key->must_by = now_ns + HAND_WINDOW_NS;
}

bool sl_session_owns(const struct session *s, const struct control_packet *packet,
		     const struct sl_address *from)
{
	return s->bound && !memcmp(s->peer_sid, packet->sid, SID_LEN) &&
	       sl_address_equal(&s->address, from);
}

/*
 * Sending.
 */

static void send_packet(struct session *s, struct key_state *ks, struct control_packet *packet,
			unsigned max_acks)
{
	uint8_t bytes[CONTROL_PAYLOAD_MAX + 64];
	int len;

	packet->key_id = ks->key_id;
	memcpy(packet->sid, s->sid, SID_LEN);
	if (s->bound) {
		packet->n_acks =
			(uint8_t)sl_reliable_take_acks(&ks->reliable, packet->acks, max_acks);
		memcpy(packet->peer_sid, s->peer_sid, SID_LEN);
		/* Sent again, it must not look like a call: without an ack it would be one. */
		if (packet->opcode == P_CONTROL_HARD_RESET_SERVER_V2 && !packet->n_acks)
			packet->n_acks = 1; /* of the client's reset, number 0 */
	}
	len = sl_control_packet_build(packet, bytes, sizeof(bytes));
	if (len > 0)
		s->config->ops->send(s->config->ctx, &s->address, bytes, (size_t)len);
}

static void acknowledge(struct session *s, struct key_state *ks)
{
	while (s->bound && ks->reliable.n_acks)
		send_packet(s, ks, &(struct control_packet){.opcode = P_ACK_V1}, CONTROL_ACKS_MAX);
}

static void transmit(struct session *s, struct key_state *ks, uint64_t now_ns)
{
	const struct reliable_packet *due;

	while ((due = sl_reliable_due(&ks->reliable, now_ns))) {
		struct control_packet packet = {
			.opcode = due->opcode,
			.id = due->id,
			.payload = due->payload,
			.payload_len = due->len,
		};

		send_packet(s, ks, &packet, PIGGYBACK_MAX);
	}
	acknowledge(s, ks);
}

/*
 * Going on.
 */

/* A reset that nobody answers is sent every 2 s: whoever starts second shall not wait long. */
static void hurry_reset(struct session *s, uint64_t now_ns)
{
	if (s->key->stage != KEY_RESET || now_ns < s->hurry_at)
		return;
	s->hurry_at = now_ns + HURRY_NS;
	sl_reliable_hurry(&s->key->reliable, now_ns);
}

/* A peer that has died in the middle of the first negotiation is not waited for that long. */
static uint64_t give_up_at(const struct session *s)
{
	const struct key_state *ks = s->key;

	if (!s->bound || ks->mute || ks->stage >= KEY_ACTIVE)
		return UINT64_MAX;
	if (ks->stage < KEY_DONE && !ks->key_id)
		return sl_min(ks->must_by, s->heard_at + SILENCE_NS);
	return ks->must_by;
}

int sl_session_step(struct session *s, uint64_t now_ns)
{
	struct key_state *ks = s->key;
	int news;

	hurry_reset(s, now_ns);
	news = sl_key_state_step(ks, s->config, &s->negotiated, &s->fresh, now_ns);
	if (s->old) /* it has nothing to say that the newest does not prove */
		acknowledge(s, s->old);
	transmit(s, ks, now_ns);
	if (news || now_ns < give_up_at(s))
		return news;
	if (now_ns >= ks->must_by)
		return sl_fail(ETIMEDOUT, "the key negotiation did not end in %llu s",
			       HAND_WINDOW_NS / SL_NS_PER_S);
	return sl_fail(ETIMEDOUT, "nothing was heard for %llu s while a session was opened",
		       SILENCE_NS / SL_NS_PER_S);
}

uint64_t sl_session_deadline(const struct session *s)
{
	uint64_t deadline = sl_reliable_deadline(&s->key->reliable);

	if (s->key->stage == KEY_RESET)
		deadline = sl_min(deadline, s->hurry_at);
	return sl_min(deadline, give_up_at(s));
}

/*
 * Renegotiation.
 */

static uint8_t next_key_id(const struct session *s)
{
	return s->key->key_id == 7 ? 1 : (uint8_t)(s->key->key_id + 1); /* 0 is the first key's */
}

int sl_session_renegotiate(struct session *s, uint64_t now_ns)
{
	struct key_state *next;
	int ret =
		sl_key_state_create(s->tls, next_key_id(s), P_CONTROL_SOFT_RESET_V1, now_ns, &next);

	if (ret)
		return ret;
	sl_key_state_release(s->old);
	s->old = s->key;
	s->key = next;
	return 0;
}

/* Which of our keys is a packet about? A peer that wants a new key names the next. */
static struct key_state *find_key(struct session *s, const struct control_packet *packet,
				  uint64_t now_ns, int *news)
{
	if (packet->key_id == s->key->key_id)
		return s->key;
	if (packet->opcode == P_CONTROL_SOFT_RESET_V1 && s->key->stage >= KEY_DONE &&
	    packet->key_id == next_key_id(s)) {
		/* It has the key before, or it would not ask for another. */
		if (s->key->stage == KEY_DONE)
			*news |= NEWS_SWITCH;
		return sl_session_renegotiate(s, now_ns) ? NULL : s->key;
	}
	return s->old && packet->key_id == s->old->key_id ? s->old : NULL;
}

int sl_session_input(struct session *s, const struct control_packet *packet, uint64_t now_ns)
{
	struct key_state *ks;
	int news = 0, more;

	if (packet->n_acks && CRYPTO_memcmp(packet->peer_sid, s->sid, SID_LEN))
		return -ENOTCONN;
	ks = find_key(s, packet, now_ns, &news);
	if (!ks)
		return -ENOTCONN;
	s->heard_at = now_ns;
	sl_reliable_acked(&ks->reliable, packet->acks, packet->n_acks, now_ns);
	if (packet->opcode != P_ACK_V1)
		sl_reliable_receive(&ks->reliable, packet->id, packet->opcode, packet->payload,
				    packet->payload_len);
	while (ks == s->old && sl_reliable_next(&ks->reliable)) /* too late for what it says */
		sl_reliable_consume(&ks->reliable);
	more = sl_session_step(s, now_ns);
	return more < 0 ? more : news | more;
}

int sl_session_say(struct session *s, const char *text, uint64_t now_ns)
{
	int ret = sl_key_state_say(s->key, text, now_ns);

	transmit(s, s->key, now_ns);
	return ret;
}
