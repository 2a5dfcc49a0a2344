/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets of the control channel: one check for what is read and what is written. */
#include <errno.h>
#include <stdbool.h>

#include "base/bytes.h"
#include "tunnel/control_packet.h"

#define HEAD_LEN (1 + SID_LEN + 1) /* the count of acks is its last byte */
#define ID_LEN	 4

static bool known(uint8_t opcode)
{
	switch (opcode) {
	case P_CONTROL_SOFT_RESET_V1:
	case P_CONTROL_V1:
	case P_ACK_V1:
	case P_CONTROL_HARD_RESET_CLIENT_V2:
	case P_CONTROL_HARD_RESET_SERVER_V2:
		return true;
	default:
		return false;
	}
}

static bool zero(const uint8_t sid[SID_LEN])
{
	static const uint8_t none[SID_LEN];

	return !memcmp(sid, none, SID_LEN);
}

/* Bytes before the payload. */
static size_t header_len(uint8_t opcode, unsigned n_acks)
{
	return HEAD_LEN + (n_acks ? 4 * n_acks + SID_LEN : 0) + (opcode == P_ACK_V1 ? 0 : ID_LEN);
}

/* What holds for a packet whose opcode is known. */
static bool valid(const struct control_packet *p)
{
	if (p->n_acks > CONTROL_ACKS_MAX || p->key_id > 7 || p->payload_len > CONTROL_PAYLOAD_MAX)
		return false;
	if (zero(p->sid) || (p->n_acks && zero(p->peer_sid)))
		return false;
	if (p->opcode == P_ACK_V1)
		return p->n_acks && !p->payload_len;
	if (p->opcode == P_CONTROL_HARD_RESET_CLIENT_V2 ||
	    p->opcode == P_CONTROL_HARD_RESET_SERVER_V2)
		return !p->key_id;
	return true;
}

int sl_control_packet_parse(const uint8_t *bytes, size_t len, struct control_packet *out)
{
	const uint8_t *at = bytes;

	memset(out, 0, sizeof(*out));
	if (len && !known(P_OPCODE(bytes[0])))
		return -EPROTO;
	if (len < HEAD_LEN || bytes[HEAD_LEN - 1] > CONTROL_ACKS_MAX ||
	    len < header_len(P_OPCODE(bytes[0]), bytes[HEAD_LEN - 1]))
		return -EINVAL;
	out->opcode = P_OPCODE(bytes[0]);
	out->key_id = P_KEY_ID(bytes[0]);
	memcpy(out->sid, bytes + 1, SID_LEN);
	out->n_acks = bytes[HEAD_LEN - 1];
	at += HEAD_LEN;
	for (unsigned n = 0; n < out->n_acks; n++, at += 4)
		out->acks[n] = sl_get_be32(at);
	if (out->n_acks) {
		memcpy(out->peer_sid, at, SID_LEN);
		at += SID_LEN;
	}
	if (out->opcode != P_ACK_V1) {
		out->id = sl_get_be32(at);
		at += ID_LEN;
	}
	out->payload = at;
	out->payload_len = len - (size_t)(at - bytes);
	return valid(out) ? 0 : -EINVAL;
}

int sl_control_packet_build(const struct control_packet *packet, uint8_t *to, size_t room)
{
	size_t len;

	if (!known(packet->opcode) || !valid(packet))
		return -EINVAL;
	len = header_len(packet->opcode, packet->n_acks) + packet->payload_len;
	if (len > room)
		return -EMSGSIZE;
	to[0] = P_BYTE(packet->opcode, packet->key_id);
	memcpy(to + 1, packet->sid, SID_LEN);
	to[HEAD_LEN - 1] = packet->n_acks;
	to += HEAD_LEN;
	for (unsigned n = 0; n < packet->n_acks; n++, to += 4)
		sl_put_be32(to, packet->acks[n]);
	if (packet->n_acks) {
		memcpy(to, packet->peer_sid, SID_LEN);
		to += SID_LEN;
	}
	if (packet->opcode != P_ACK_V1) {
		sl_put_be32(to, packet->id);
		to += ID_LEN;
	}
	if (packet->payload_len)
		memcpy(to, packet->payload, packet->payload_len);
	return (int)len;
}
