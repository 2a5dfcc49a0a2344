/* SPDX-License-Identifier: BSD-2-Clause */
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/reason.h"
#include "tunnel/control_private.h"

#define RETRY_MAX_NS (16 * SL_NS_PER_S)
#define WORN_NS	     (5 * SL_NS_PER_S)	/* how often to look for wear */
#define QUIET_NS     (10 * SL_NS_PER_S) /* an unanswered peer is worth a line after this */
#define COMPLAIN_NS  SL_NS_PER_S	/* lines that others can cause: one in this time */

/* How long a replaced key still opens: stock servers seal with it for up to a minute. */
#define RETIRE_NS (120 * SL_NS_PER_S)

int sl_control_create(const struct control_config *config, struct control **out)
{
	struct control *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return sl_fail(ENOMEM, "no memory for a control channel");
	c->config = *config;
	c->retire_at = UINT64_MAX;
	ret = sl_cookie_jar_open(&c->jar);
	if (!ret)
		ret = sl_tls_context_create(config->identity, config->peer, config->server,
					    &c->tls);
	if (ret) {
		free(c);
		return ret;
	}
	*out = c;
	return 0;
}

void sl_control_release(struct control *c)
{
	if (!c)
		return;
	sl_session_release(c->live);
	sl_pending_clear(&c->pending);
	sl_tls_context_release(c->tls);
	OPENSSL_cleanse(c, sizeof(*c));
	free(c);
}

/* What an outsider can bring about is not said more often than this. */
void sl_control_complain(struct control *c, const struct sl_address *who, const char *what,
			 uint64_t now_ns)
{
	char text[ADDRESS_TEXT];

	if (now_ns < c->complain_at)
		return;
	c->complain_at = now_ns + COMPLAIN_NS;
	sl_log(c->config.log, SL_LOG_WARN, "tunnel: %s: %s", sl_address_format(who, text), what);
}

/*
 * The sessions: one live, some that are not proven yet.
 */

struct session *sl_control_add(struct control *c, const struct sl_address *from,
			       const uint8_t sid[SID_LEN], uint64_t now_ns)
{
	struct session *s;

	if (sl_session_create(&c->config, c->tls, from, sid, now_ns, &s)) {
		sl_control_complain(c, from, sl_reason(), now_ns);
		return NULL;
	}
	sl_pending_add(&c->pending, s);
	return s;
}

/* Look for the peer again, later each time. */
static void retry(struct control *c, uint64_t now_ns)
{
	c->try_at = now_ns + sl_min(SL_NS_PER_S << sl_min(c->tries, 5u), RETRY_MAX_NS);
	c->tries++;
}

static void drop_live(struct control *c)
{
	sl_session_release(c->live);
	c->live = NULL;
	c->retire_at = UINT64_MAX;
	sl_data_key_delete(c->config.data, SL_KEY_PRIMARY);
	sl_data_key_delete(c->config.data, SL_KEY_SECONDARY);
}

/* It has proven itself: it is the live one from now on. */
static void promote(struct control *c, struct session *s)
{
	char text[ADDRESS_TEXT], tls[96];

	sl_pending_remove(&c->pending, s);
	drop_live(c);
	c->live = s;
	c->tries = 0;
	c->said_quiet = false;
	sl_data_set_peer_id(c->config.data, s->negotiated.peer_id);
	sl_log(c->config.log, SL_LOG_WARN, "tunnel: connected to %s (%s%s%s)",
	       sl_address_format(&s->address, text), sl_tls_describe(s->key->tls, tls, sizeof(tls)),
	       ", data channel ", sl_cipher_name(s->negotiated.cipher));
}

void sl_control_lost(struct control *c, const char *why, uint64_t now_ns)
{
	char text[ADDRESS_TEXT];

	if (!c->live)
		return;
	sl_log(c->config.log, SL_LOG_WARN, "tunnel: lost %s: %s",
	       sl_address_format(&c->live->address, text), why);
	drop_live(c);
	/* The lost session's id may be a cookie, and would be made again for our next call. */
	sl_cookie_jar_open(&c->jar);
	c->config.ops->peer(c->config.ctx, NULL);
	c->quiet_at = now_ns + QUIET_NS;
	retry(c, now_ns);
}

/*
 * What a session had to say.
 */

/* The peer may have asked for the next key already: then it is the one before. */
static void switch_key(struct control *c, uint64_t now_ns)
{
	const struct session *s = c->live;

	sl_data_key_swap(c->config.data);
	c->retire_at = now_ns + RETIRE_NS;
	sl_log(c->config.log, SL_LOG_DEBUG, "tunnel: sealing with key %u",
	       (s->key->stage < KEY_DONE ? s->old : s->key)->key_id);
}

/* Returns false when there is no session any more: one without its newest key is none. */
static bool install(struct control *c, struct session *s, uint64_t now_ns)
{
	int ret = sl_data_key_install(c->config.data, SL_KEY_SECONDARY, &s->fresh);

	OPENSSL_cleanse(&s->fresh, sizeof(s->fresh));
	c->retire_at = UINT64_MAX; /* the key that was to go has made room */
	if (ret)
		sl_control_lost(c, sl_reason(), now_ns);
	return !ret;
}

static void handle_failure(struct control *c, struct session *s, uint64_t now_ns)
{
	sl_control_complain(c, &s->address, sl_reason(), now_ns);
	if (s == c->live) {
		/* Its keys are good until they are worn; only the next one failed, or messages. */
		s->key->mute = true;
		if (s->key->stage < KEY_ACTIVE) {
			s->spent = true;
			retry(c, now_ns);
		}
		return;
	}
	sl_pending_remove(&c->pending, s);
	sl_session_release(s);
	if (!c->config.server) /* a server's are strangers', for all it knows */
		retry(c, now_ns);
}

void sl_control_handle(struct control *c, struct session *s, int news, uint64_t now_ns)
{
	if (news < 0) {
		handle_failure(c, s, now_ns);
		return;
	}
	if (news & NEWS_KEYED) {
		bool first = s != c->live;

		if (first)
			promote(c, s);
		if (!install(c, s, now_ns))
			return;
		if (first)
			c->config.ops->peer(c->config.ctx, &s->address);
	}
	if (news & NEWS_SWITCH)
		switch_key(c, now_ns);
	if (news & NEWS_EXIT && s == c->live)
		sl_control_lost(c, "it says that it goes away", now_ns);
}

/*
 * Datagrams.
 */

static struct session *find(struct control *c, const struct control_packet *packet,
			    const struct sl_address *from)
{
	if (c->live && sl_session_owns(c->live, packet, from))
		return c->live;
	for (unsigned i = 0; i < PENDING_MAX; i++)
		if (c->pending.of[i] && sl_session_owns(c->pending.of[i], packet, from))
			return c->pending.of[i];
	return NULL;
}

int sl_control_give(struct control *c, struct session *s, const struct control_packet *packet,
		    uint64_t now_ns)
{
	int news = sl_session_input(s, packet, now_ns);

	if (news == -ENOTCONN)
		return news;
	sl_control_handle(c, s, news, now_ns);
	return 0;
}

int sl_control_input(struct control *c, const struct sl_address *from, const uint8_t *bytes,
		     size_t len, uint64_t now_ns)
{
	struct control_packet packet;
	struct session *s;
	int ret = sl_control_packet_parse(bytes, len, &packet);

	if (ret)
		return ret;
	s = find(c, &packet, from);
	if (s)
		return sl_control_give(c, s, &packet, now_ns);
	return sl_control_stranger(c, from, &packet, now_ns);
}

/*
 * Time.
 */

/* Where to look for the peer: what was configured, or where it was last. */
static const struct sl_address *where(const struct control *c)
{
	if (c->live && c->config.server)
		return &c->live->address;
	return c->config.remote.len ? &c->config.remote : NULL;
}

static bool needs_session(const struct control *c)
{
	return (!c->live || c->live->spent) && !sl_pending_any(&c->pending) && where(c);
}

static void look_for_peer(struct control *c, uint64_t now_ns)
{
	static const uint8_t nobody[SID_LEN];
	uint8_t sid[SID_LEN];

	if (!needs_session(c) || now_ns < c->try_at)
		return;
	if (c->config.server) {
		sl_cookie_make(&c->jar, where(c), nobody, now_ns, sid);
		sl_control_send_reset(c, where(c), P_CONTROL_HARD_RESET_SERVER_V2, sid, NULL);
		retry(c, now_ns);
		return;
	}
	if (!sl_control_call_server(c, now_ns))
		retry(c, now_ns);
}

static void say_quiet(struct control *c, uint64_t now_ns)
{
	char text[ADDRESS_TEXT];

	if (c->live || c->said_quiet || now_ns < c->quiet_at)
		return;
	c->said_quiet = true;
	if (where(c))
		sl_log(c->config.log, SL_LOG_WARN,
		       "tunnel: no session with %s yet; still trying, packets are dropped meanwhile",
		       sl_address_format(where(c), text));
	else
		sl_log(c->config.log, SL_LOG_WARN,
		       "tunnel: no peer has come yet; still waiting, packets are dropped meanwhile");
}

static void step_live(struct control *c, uint64_t now_ns)
{
	struct session *s = c->live;
	bool due = c->config.reneg_ns && now_ns >= s->key->made_at + c->config.reneg_ns;

	if (now_ns >= c->worn_at) {
		c->worn_at = now_ns + WORN_NS;
		due |= sl_data_key_worn(c->config.data);
	}
	if (now_ns >= c->retire_at) {
		sl_data_key_delete(c->config.data, SL_KEY_SECONDARY);
		c->retire_at = UINT64_MAX;
	}
	if (due && s->key->stage == KEY_ACTIVE && !s->spent && now_ns >= c->reneg_at &&
	    sl_session_renegotiate(s, now_ns)) {
		sl_control_complain(c, &s->address, sl_reason(), now_ns);
		c->reneg_at = now_ns + SL_NS_PER_S;
	}
	sl_control_handle(c, s, sl_session_step(s, now_ns), now_ns);
}

void sl_control_step(struct control *c, uint64_t now_ns)
{
	if (!c->started) {
		c->started = true;
		c->quiet_at = now_ns + QUIET_NS;
	}
	for (unsigned i = 0; i < PENDING_MAX; i++)
		if (c->pending.of[i])
			sl_control_handle(c, c->pending.of[i],
					  sl_session_step(c->pending.of[i], now_ns), now_ns);
	if (c->live)
		step_live(c, now_ns);
	look_for_peer(c, now_ns);
	say_quiet(c, now_ns);
}

uint64_t sl_control_deadline(const struct control *c)
{
	uint64_t deadline = UINT64_MAX;

	if (!c->started)
		return 0;
	for (unsigned i = 0; i < PENDING_MAX; i++)
		if (c->pending.of[i])
			deadline = sl_min(deadline, sl_session_deadline(c->pending.of[i]));
	if (needs_session(c))
		deadline = sl_min(deadline, c->try_at);
	if (!c->live)
		return c->said_quiet ? deadline : sl_min(deadline, c->quiet_at);
	deadline = sl_min(deadline, sl_session_deadline(c->live));
	deadline = sl_min(deadline, sl_min(c->retire_at, c->worn_at));
	if (c->config.reneg_ns && c->live->key->stage == KEY_ACTIVE && !c->live->spent)
		deadline = sl_min(deadline,
				  sl_max(c->reneg_at, c->live->key->made_at + c->config.reneg_ns));
	return deadline;
}

/*
 * What the data channel has seen.
 */

bool sl_control_heard(struct control *c, uint8_t key_id, uint64_t now_ns)
{
	struct key_state *ks = c->live ? c->live->key : NULL;

	if (!ks)
		return false;
	c->heard_at = now_ns;
	if (ks->stage == KEY_DONE && ks->key_id == key_id) {
		ks->stage = KEY_ACTIVE;
		switch_key(c, now_ns);
	}
	if (ks->stage < KEY_DONE)
		ks = c->live->old;
	return ks->key_id == key_id;
}

void sl_control_moved(struct control *c, const struct sl_address *to, uint64_t now_ns)
{
	if (!c->live)
		return;
	c->live->address = *to;
	sl_control_complain(c, to, "the peer is here now", now_ns);
}

bool sl_control_exit(struct control *c, uint64_t now_ns)
{
	return c->live && c->live->negotiated.cc_exit && !sl_session_say(c->live, "EXIT", now_ns);
}
