/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control channel of a tunnel: finds the peer, proves who it is (TLS), gives the
 * data channel its keys and renews them. It knows no socket and no clock: datagrams and time
 * come from the caller, one thread's.
 *
 * What others can do to it without the peer's key:
 * - A hard reset gets an answer that is no longer than it, and nothing is remembered of it: the
 *   session id in the answer is a cookie, made of the asker's address and session id. Only who
 *   returns the cookie, and so receives at that address, gets a session.
 * - Sessions that are not proven stand beside the live one, a few of them. The live one
 *   gives way only when another has proven itself, its key message included.
 */
#ifndef SL_TUNNEL_CONTROL_H
#define SL_TUNNEL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sluice/data_channel.h>
#include <sluice/log.h>

#include "tunnel/address.h"
#include "tunnel/identity.h"

/**
 * struct control_ops - what the control channel asks of its tunnel
 * @send: a datagram to @to; it may get lost
 * @peer: the peer is at @to from now on, and the data channel opens what it seals; a server seals
 *        once the client has the key as well. NULL: there is no peer any more
 */
struct control_ops {
	void (*send)(void *ctx, const struct sl_address *to, const uint8_t *bytes, size_t len);
	void (*peer)(void *ctx, const struct sl_address *to);
};

/**
 * struct control_config - what a control channel is made of
 * @server:   the TLS server; the other end is the client
 * @layer:    2 or 3, for the options string
 * @ciphers:  bit 1u << SL_CIPHER_* for each that may be used; the server's lowest that the
 *            client has as well is taken
 * @identity: referred to until the release
 * @peer:     fingerprint of the peer's certificate
 * @remote:   where the peer is; none only for a server
 * @anywhere: accept a session from other addresses than @remote
 * @reneg_ns: age at which a key is renewed, 0: only when it is worn
 * @data:     gets the keys; not owned
 */
struct control_config {
	bool server;
	unsigned layer;
	unsigned ciphers;
	const struct identity *identity;
	uint8_t peer[FINGERPRINT_LEN];
	struct sl_address remote;
	bool anywhere;
	uint64_t reneg_ns;
	struct sl_data *data;
	const struct control_ops *ops;
	void *ctx;
	const struct sl_log *log;
};

struct control;

/** sl_control_create() - 0 or a negative errno with a reason; starts at the first step */
int sl_control_create(const struct control_config *config, struct control **out);
void sl_control_release(struct control *control);

/**
 * sl_control_input() - a datagram that is no P_DATA_V2
 *
 * Return: 0; -EPROTO, -EINVAL as sl_control_packet_parse(); -ENOTCONN when it belongs to no
 * session. Leaves no reason.
 */
int sl_control_input(struct control *control, const struct sl_address *from, const uint8_t *bytes,
		     size_t len, uint64_t now_ns);

/** sl_control_step() - do what is due */
void sl_control_step(struct control *control, uint64_t now_ns);

/** sl_control_deadline() - when sl_control_step() is due, UINT64_MAX for never */
uint64_t sl_control_deadline(const struct control *control);

/**
 * sl_control_heard() - an authentic data packet of this key has come: the peer has the key
 *
 * Return: true when it is the newest key that the peer can have: an older one's packets may
 * have been kept back by somebody.
 */
bool sl_control_heard(struct control *control, uint8_t key_id, uint64_t now_ns);

/** sl_control_moved() - the live session's peer was heard from another address */
void sl_control_moved(struct control *control, const struct sl_address *to, uint64_t now_ns);

/** sl_control_lost() - end the live session, if there is one, and look for the peer again */
void sl_control_lost(struct control *control, const char *why, uint64_t now_ns);

/**
 * sl_control_exit() - tell the peer that this end goes away
 *
 * Return: true when that was sent; false when the peer wants to hear it over the data channel.
 */
bool sl_control_exit(struct control *control, uint64_t now_ns);

#endif
