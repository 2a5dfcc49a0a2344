/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A packet of the control channel, without tls-auth and tls-crypt:
 *   opcode and key id (1), session id (8), count of acks (1), acks (4 each), the peer's
 *   session id (8, only with acks), packet id (4, not in P_ACK_V1), payload
 */
#ifndef SL_TUNNEL_CONTROL_PACKET_H
#define SL_TUNNEL_CONTROL_PACKET_H

#include <stddef.h>
#include <stdint.h>

#include "tunnel/wire.h"

#define CONTROL_ACKS_MAX    8	 /* RELIABLE_ACK_SIZE of OpenVPN */
#define CONTROL_PAYLOAD_MAX 2048 /* received; stock sends up to 1250 with headers (--tls-mtu) */

/**
 * struct control_packet - parsed, or to be built
 * @peer_sid: the session id the acks are for; only with acks
 * @id:       packet id; not in P_ACK_V1
 * @payload:  points into what was parsed; empty in P_ACK_V1
 */
struct control_packet {
	uint8_t opcode;
	uint8_t key_id;
	uint8_t sid[SID_LEN];
	uint8_t n_acks;
	uint32_t acks[CONTROL_ACKS_MAX];
	uint8_t peer_sid[SID_LEN];
	uint32_t id;
	const uint8_t *payload;
	size_t payload_len;
};

/**
 * sl_control_packet_parse() - parse a datagram
 *
 * Return: 0; -EPROTO for an opcode that is none of SOFT_RESET_V1, CONTROL_V1, ACK_V1,
 * HARD_RESET_CLIENT_V2 and HARD_RESET_SERVER_V2; -EINVAL when it is too short, has more acks than
 * CONTROL_ACKS_MAX, an all-zero session id, a P_ACK_V1 without acks or with bytes behind them, a
 * hard reset with a key id other than 0, or more than CONTROL_PAYLOAD_MAX bytes. Leaves no reason.
 */
int sl_control_packet_parse(const uint8_t *bytes, size_t len, struct control_packet *out);

/**
 * sl_control_packet_build() - write a packet
 *
 * Return: its length; -EMSGSIZE when @room is too small; -EINVAL for what parse() would refuse.
 */
int sl_control_packet_build(const struct control_packet *packet, uint8_t *to, size_t room);

#endif
