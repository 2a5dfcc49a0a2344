/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reliability layer under TLS (OpenVPN's reliable.c): packets of one key, numbered from
 * 0, sent until they are acknowledged, received in order and once. It knows no socket and no
 * clock: time is what the caller says.
 */
#ifndef SL_TUNNEL_RELIABLE_H
#define SL_TUNNEL_RELIABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tunnel/control_packet.h"

#define RELIABLE_SEND	     6	  /* packets on their way at most (TLS_RELIABLE_N_SEND_BUFFERS) */
#define RELIABLE_RECEIVE     12	  /* ids ahead of the next expected (TLS_RELIABLE_N_REC_BUFFERS) */
#define RELIABLE_PAYLOAD_MAX 1100 /* that we send: with headers below IPv6's least MTU */

/**
 * struct reliable_packet - a packet that waits
 * @due:        when to send it (again), ns; sent ones only
 * @wait:       what to add to @due the next time: 2 s at first, doubled each time, 60 s at most
 * @later_acks: packets sent after it that have been acknowledged: at 3 it is due at once
 */
struct reliable_packet {
	bool used;
	uint8_t opcode;
	uint32_t id;
	uint64_t due;
	uint64_t wait;
	unsigned later_acks;
	size_t len;
	uint8_t payload[CONTROL_PAYLOAD_MAX];
};

/** struct reliable - all zero: nothing sent, nothing received */
struct reliable {
	uint32_t next_id; /* to send */
	struct reliable_packet out[RELIABLE_SEND];
	uint32_t expected; /* next in order */
	struct reliable_packet in[RELIABLE_RECEIVE];
	unsigned n_acks; /* owed to the peer, the oldest first; none twice */
	uint32_t acks[CONTROL_ACKS_MAX];
};

/** sl_reliable_may_send() - is there room in the window? */
bool sl_reliable_may_send(const struct reliable *r);

/**
 * sl_reliable_send() - take a packet, due at once
 * @len: up to RELIABLE_PAYLOAD_MAX
 * Return: 0; -EAGAIN when the window is full; -EMSGSIZE. Leaves no reason.
 */
int sl_reliable_send(struct reliable *r, uint8_t opcode, const void *payload, size_t len,
		     uint64_t now_ns);

/** sl_reliable_acked() - the peer has these; ids that were never sent are ignored */
void sl_reliable_acked(struct reliable *r, const uint32_t *ids, unsigned n, uint64_t now_ns);

/** sl_reliable_due() - the packet with the lowest id that is due, its next time set; or NULL */
const struct reliable_packet *sl_reliable_due(struct reliable *r, uint64_t now_ns);

/** sl_reliable_hurry() - all that is not acknowledged is due now: the peer has come to life */
void sl_reliable_hurry(struct reliable *r, uint64_t now_ns);

/** sl_reliable_deadline() - when something is due next, UINT64_MAX for never */
uint64_t sl_reliable_deadline(const struct reliable *r);

/** sl_reliable_idle() - has everything that was sent been acknowledged? */
bool sl_reliable_idle(const struct reliable *r);

/**
 * sl_reliable_receive() - a packet has come; its ack is owed when it was taken or is a duplicate
 *
 * Return: 0 taken; -EALREADY a duplicate; -ERANGE beyond the window, or its ack could not be
 * noted down: not taken, not acknowledged; -EMSGSIZE. Leaves no reason.
 */
int sl_reliable_receive(struct reliable *r, uint32_t id, uint8_t opcode, const void *payload,
			size_t len);

/** sl_reliable_next() - the next packet in order, or NULL; sl_reliable_consume() takes it out */
const struct reliable_packet *sl_reliable_next(const struct reliable *r);
void sl_reliable_consume(struct reliable *r);

/** sl_reliable_take_acks() - the oldest acks owed, up to @max; they are not owed any more */
unsigned sl_reliable_take_acks(struct reliable *r, uint32_t *acks, unsigned max);

#endif
