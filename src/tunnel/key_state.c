/* SPDX-License-Identifier: BSD-2-Clause */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/reason.h"
#include "tunnel/key_state.h"

int sl_key_state_create(struct sl_tls_context *tls, uint8_t key_id, uint8_t reset, uint64_t now_ns,
			struct key_state **out)
{
	struct key_state *ks = calloc(1, sizeof(*ks));
	int ret;

	if (!ks)
		return sl_fail(ENOMEM, "no memory for a key negotiation");
	ret = sl_tls_create(tls, &ks->tls);
	if (ret) {
		free(ks);
		return ret;
	}
	ks->key_id = key_id;
	ks->made_at = now_ns;
	ks->must_by = now_ns + HAND_WINDOW_NS;
	sl_reliable_send(&ks->reliable, reset, NULL, 0, now_ns);
	*out = ks;
	return 0;
}

void sl_key_state_release(struct key_state *ks)
{
	if (!ks)
		return;
	sl_tls_release(ks->tls);
	OPENSSL_cleanse(ks, sizeof(*ks));
	free(ks);
}

/*
 * Between TLS and the reliability layer.
 */

static int feed(struct key_state *ks)
{
	const struct reliable_packet *packet;
	int ret = 0;

	while (!ret && (packet = sl_reliable_next(&ks->reliable))) {
		/* A reset's payload is early negotiation, which we never ask for. */
		if (packet->opcode == P_CONTROL_V1 && !ks->mute)
			ret = sl_tls_input(ks->tls, packet->payload, packet->len);
		sl_reliable_consume(&ks->reliable);
	}
	return ret ? sl_fail(-ret, "the peer sends more than it may before it is asked") : 0;
}

static void drain(struct key_state *ks, uint64_t now_ns)
{
	uint8_t chunk[RELIABLE_PAYLOAD_MAX];
	size_t len;

	while (sl_reliable_may_send(&ks->reliable) &&
	       (len = sl_tls_output(ks->tls, chunk, sizeof(chunk))) > 0)
		sl_reliable_send(&ks->reliable, P_CONTROL_V1, chunk, len, now_ns);
}

static int read_text(struct key_state *ks)
{
	int n = 1;

	while (n > 0 && ks->text_len < sizeof(ks->text)) {
		n = sl_tls_read(ks->tls, ks->text + ks->text_len, sizeof(ks->text) - ks->text_len);
		if (n > 0)
			ks->text_len += (size_t)n;
	}
	if (n == -EPIPE)
		return sl_fail(EPIPE, "the peer closed its TLS connection");
	return n < 0 ? n : 0;
}

static void use_text(struct key_state *ks, size_t used)
{
	ks->text_len -= used;
	memmove(ks->text, ks->text + used, ks->text_len);
}

/*
 * Key method 2.
 */

/* What OpenVPN compares with its own and warns about when they differ; it decides nothing. */
static void make_options(const struct control_config *config, const struct negotiated *negotiated,
			 char *to, size_t room)
{
	snprintf(to, room,
		 "V4,dev-type %s,link-mtu %d,tun-mtu %d,proto UDPv4,cipher %s,auth [null-digest],"
		 "keysize 256,key-method 2,tls-%s",
		 config->layer == 2 ? "tap" : "tun", config->layer == 2 ? 1581 : 1549,
		 config->layer == 2 ? 1532 : 1500, sl_cipher_name(negotiated->cipher),
		 config->server ? "server" : "client");
}

static void make_peer_info(const struct control_config *config, char *to, size_t room)
{
	int at = snprintf(to, room, "IV_VER=sluice-%s\nIV_CIPHERS=", SL_VERSION);
	const char *between = "";

	for (int c = 0; sl_cipher_name((enum sl_cipher)c); c++) {
		if (!(config->ciphers & 1u << c))
			continue;
		at += snprintf(to + at, room - (size_t)at, "%s%s", between,
			       sl_cipher_name((enum sl_cipher)c));
		between = ":";
	}
	snprintf(to + at, room - (size_t)at, "\nIV_PROTO=%d\n",
		 IV_PROTO_DATA_V2 | IV_PROTO_TLS_KEY_EXPORT | IV_PROTO_NCP_P2P |
			 IV_PROTO_CC_EXIT_NOTIFY);
}

static int write_message(struct key_state *ks, const struct control_config *config,
			 const struct negotiated *negotiated)
{
	struct key_message message = {0};
	uint8_t bytes[KEY_MESSAGE_MAX];
	int len, ret;

	make_options(config, negotiated, message.options, sizeof(message.options));
	make_peer_info(config, message.peer_info, sizeof(message.peer_info));
	len = sl_key_message_build(&message, !config->server, bytes, sizeof(bytes));
	ret = len < 0 ? len : sl_tls_write(ks->tls, bytes, (size_t)len);
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return ret;
}

/* The server's order decides (OpenVPN: get_p2p_ncp_cipher()). */
static int choose_cipher(const struct control_config *config, const struct peer_info *info)
{
	for (unsigned n = 0; config->server && sl_cipher_name((enum sl_cipher)n); n++)
		if (config->ciphers & info->ciphers & 1u << n)
			return (int)n;
	for (unsigned n = 0; !config->server && n < info->n_ciphers; n++)
		if (config->ciphers & 1u << info->in_order[n])
			return (int)info->in_order[n];
	return -1;
}

static int negotiate(struct key_state *ks, const struct control_config *config,
		     const struct key_message *message, struct negotiated *out)
{
	const uint32_t needed = IV_PROTO_DATA_V2 | IV_PROTO_TLS_KEY_EXPORT | IV_PROTO_NCP_P2P;
	struct peer_info info;
	uint8_t id[3];
	int cipher, ret;

	sl_peer_info_parse(message->peer_info, &info);
	if ((info.iv_proto & needed) != needed)
		return sl_fail(EPROTONOSUPPORT,
			       "the peer (%s) does not do P_DATA_V2 with keys from TLS, as "
			       "peer-to-peer OpenVPN does from 2.6 on",
			       info.version[0] ? info.version : "of unknown version");
	cipher = choose_cipher(config, &info);
	if (cipher < 0)
		return sl_fail(
			EPROTONOSUPPORT,
			"the peer has none of our ciphers: it needs --data-ciphers with "
			"AES-256-GCM or CHACHA20-POLY1305, or another cipher= is needed here");
	ret = sl_tls_export(ks->tls, EXPORTER_PEER_ID, id, sizeof(id));
	if (ret)
		return ret;
	out->done = true;
	out->cipher = (enum sl_cipher)cipher;
	out->peer_id = (uint32_t)id[0] << 16 | (uint32_t)id[1] << 8 | id[2];
	out->cc_exit = info.iv_proto & IV_PROTO_CC_EXIT_NOTIFY;
	snprintf(out->version, sizeof(out->version), "%s", info.version);
	return 0;
}

/* Returns 1 when the peer's message is there and all is settled, 0 when it is not there yet. */
static int read_message(struct key_state *ks, const struct control_config *config,
			struct negotiated *negotiated)
{
	struct key_message message;
	int ret = sl_key_message_parse(ks->text, ks->text_len, config->server, &message);

	if (ret == -EAGAIN && ks->text_len < sizeof(ks->text))
		return 0;
	if (ret == -EAGAIN)
		return sl_fail(EINVAL, "the peer's key message is longer than %d bytes",
			       KEY_MESSAGE_MAX);
	if (ret < 0)
		return ret;
	use_text(ks, (size_t)ret);
	ret = negotiated->done ? 0 : negotiate(ks, config, &message, negotiated);
	OPENSSL_cleanse(&message, sizeof(message));
	return ret ? ret : 1;
}

static int derive(struct key_state *ks, const struct control_config *config,
		  const struct negotiated *negotiated, struct sl_data_key *fresh)
{
	fresh->cipher = negotiated->cipher;
	fresh->key_id = ks->key_id;
	fresh->direction = config->server;
	return sl_tls_export(ks->tls, EXPORTER_DATA_KEYS, fresh->material, sizeof(fresh->material));
}

/* The client speaks first; each derives its key when it has the other's message. */
static int exchange(struct key_state *ks, const struct control_config *config,
		    struct negotiated *negotiated, struct sl_data_key *fresh)
{
	int ret = 0;

	if (ks->stage == KEY_TLS && !config->server) {
		ret = write_message(ks, config, negotiated);
		ks->stage = KEY_SENT;
	}
	if (!ret)
		ret = read_message(ks, config, negotiated);
	if (ret <= 0)
		return ret;
	ret = config->server ? write_message(ks, config, negotiated) : 0;
	if (!ret)
		ret = derive(ks, config, negotiated, fresh);
	if (ret)
		return ret;
	/* The server has its key before it sends its message: the client may seal at once. */
	ks->stage = config->server ? KEY_DONE : KEY_ACTIVE;
	return NEWS_KEYED | (config->server ? 0 : NEWS_SWITCH);
}

/*
 * Afterwards: messages, each ended by a NUL.
 */

static int read_messages(struct key_state *ks, const struct sl_log *log)
{
	uint8_t *end;
	int news = 0;

	while ((end = memchr(ks->text, '\0', ks->text_len))) {
		if (!strcmp((char *)ks->text, "EXIT"))
			news = NEWS_EXIT;
		else
			sl_log(log, SL_LOG_DEBUG, "tunnel: a control message that is not for us");
		use_text(ks, (size_t)(end + 1 - ks->text));
	}
	if (ks->text_len == sizeof(ks->text))
		ks->text_len = 0; /* longer than any message: not for us */
	return news;
}

static int step_tls(struct key_state *ks, const struct control_config *config,
		    struct negotiated *negotiated, struct sl_data_key *fresh)
{
	int news = 0, ret = sl_tls_handshake(ks->tls);

	if (ret <= 0)
		return ret;
	ret = read_text(ks);
	if (!ret && ks->stage < KEY_DONE)
		ret = news = exchange(ks, config, negotiated, fresh);
	if (ks->stage >= KEY_DONE)
		news = sl_max(news, 0) | read_messages(ks, config->log);
	/* What was said before TLS was closed counts. */
	return ret < 0 && !(news & NEWS_EXIT) ? ret : news;
}

int sl_key_state_step(struct key_state *ks, const struct control_config *config,
		      struct negotiated *negotiated, struct sl_data_key *fresh, uint64_t now_ns)
{
	int news = feed(ks);

	if (news < 0)
		return news;
	if (ks->stage == KEY_RESET && sl_reliable_idle(&ks->reliable))
		ks->stage = KEY_TLS;
	if (ks->stage == KEY_RESET || ks->mute)
		return 0;
	news = step_tls(ks, config, negotiated, fresh);
	drain(ks, now_ns);
	if (news >= 0 && ks->stage == KEY_DONE && sl_reliable_idle(&ks->reliable)) {
		ks->stage = KEY_ACTIVE;
		news |= NEWS_SWITCH;
	}
	return news;
}

int sl_key_state_say(struct key_state *ks, const char *text, uint64_t now_ns)
{
	int ret = ks->mute || ks->stage < KEY_DONE || !sl_reliable_may_send(&ks->reliable)
			  ? -EAGAIN
			  : sl_tls_write(ks->tls, text, strlen(text) + 1);

	if (!ret)
		drain(ks, now_ns);
	return ret;
}
