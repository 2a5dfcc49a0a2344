/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The negotiation of one key (OpenVPN: key_state): resets, then TLS over the reliability
 * layer, key method 2 inside TLS, a data channel key from TLS's exporter. Afterwards the TLS
 * connection stays, for messages such as EXIT.
 */
#ifndef SL_TUNNEL_KEY_STATE_H
#define SL_TUNNEL_KEY_STATE_H

#include "tunnel/control.h"
#include "tunnel/key_message.h"
#include "tunnel/reliable.h"
#include "tunnel/tls.h"

/* An unfinished negotiation ends after this long (--hand-window). */
#define HAND_WINDOW_NS (60 * SL_NS_PER_S)

enum key_stage {
	KEY_RESET,  /* our reset is not acknowledged yet (S_PRE_START) */
	KEY_TLS,    /* TLS handshake; a server then waits for the client's message (S_START) */
	KEY_SENT,   /* a client's message is on its way (S_SENT_KEY) */
	KEY_DONE,   /* a server has a key, and does not know yet whether the client has it */
	KEY_ACTIVE, /* both have it (S_ACTIVE) */
};

/* News from a step, to be or-ed. */
enum {
	NEWS_KEYED = 1 << 0,  /* there is a key to install; it opens */
	NEWS_SWITCH = 1 << 1, /* the peer has the key as well: seal with it */
	NEWS_EXIT = 1 << 2,   /* the peer goes away */
};

/** struct negotiated - what the first key of a session settled for all of them */
struct negotiated {
	bool done;
	enum sl_cipher cipher;
	uint32_t peer_id;
	bool cc_exit; /* EXIT goes over the control channel */
	char version[32];
};

/**
 * struct key_state - one key
 * @mute:     its TLS connection is of no use any more; acks still are
 * @must_by:  when it has to be KEY_ACTIVE, ns
 * @text:     plaintext from the peer that has not been understood yet
 */
struct key_state {
	uint8_t key_id;
	enum key_stage stage;
	bool mute;
	uint64_t made_at;
	uint64_t must_by;
	struct sl_tls *tls;
	struct reliable reliable;
	size_t text_len;
	uint8_t text[KEY_MESSAGE_MAX];
};

/** sl_key_state_create() - with @reset as the first packet that it has to send */
int sl_key_state_create(struct sl_tls_context *tls, uint8_t key_id, uint8_t reset, uint64_t now_ns,
			struct key_state **out);
void sl_key_state_release(struct key_state *ks);

/**
 * sl_key_state_step() - go on as far as what has been received allows
 * @fresh: filled in with NEWS_KEYED; the caller wipes it
 *
 * Return: NEWS_*, or a negative errno with a reason; what is then in the reliability layer (an
 * alert) is still worth sending.
 */
int sl_key_state_step(struct key_state *ks, const struct control_config *config,
		      struct negotiated *negotiated, struct sl_data_key *fresh, uint64_t now_ns);

/** sl_key_state_say() - a control message to the peer, NUL included; 0 or a negative errno */
int sl_key_state_say(struct key_state *ks, const char *text, uint64_t now_ns);

#endif
