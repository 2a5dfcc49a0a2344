/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ends of tunnels (a control channel and a data channel each), joined by a network in
 * memory that loses, doubles, delays and reorders, under a clock that only the test moves. It is
 * watched all the time: whoever has not shown that it receives at its address is never sent more
 * bytes than it has sent.
 */
#ifndef SL_TESTS_CONTROL_RIG_H
#define SL_TESTS_CONTROL_RIG_H

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <sluice/reason.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "tunnel/control.h"
#include "tunnel/control_packet.h"
#include "tunnel/data.h"
#include "tunnel/wire.h"

#define RIG_MS	    SL_NS_PER_MS
#define RIG_S	    SL_NS_PER_S
#define RIG_ENDS    24
#define RIG_LINES   96
#define RIG_PACKET  1600
#define RIG_COOKIES 4
#define RIG_SOURCES (1u << 15) /* addresses the ledger knows; a power of two */
#define RIG_BOTH    (1u << SL_CIPHER_AES_256_GCM | 1u << SL_CIPHER_CHACHA20_POLY1305)

enum who {
	WHO_SERVER,
	WHO_CLIENT,
	WHO_EVIL,
	WHO_COUNT
};

struct rig_packet {
	uint64_t at, order;
	struct sl_address from, to;
	size_t len;
	uint8_t bytes[RIG_PACKET];
};

/* What has gone to and fro between a server and an address. */
struct rig_source {
	struct sl_address address;
	uint64_t received, sent;
	bool proven;
	unsigned n_sids;
	uint8_t sids[RIG_COOKIES][SID_LEN]; /* told it last */
};

struct rig;

struct rig_end {
	struct rig *rig;
	struct sl_address address;
	struct control *control; /* NULL: it is down */
	struct sl_data *data;
	struct control_config config;
	struct sl_log log;
	struct sl_address peer; /* none: no peer */
	unsigned n_peers, n_losses, n_connected;
	uint64_t connected_at;
	unsigned n_lines;
	char lines[RIG_LINES][400];
	bool muted; /* what it sends is lost */
	int budget; /* control packets that it can send until it is muted; -1: any number */
	uint64_t sent, sent_bytes;
	/* the stream of data packets */
	uint32_t sealed, unsealed, opened, failed, strangers;
	int last_error;
	unsigned n_keys;
	uint8_t keys[64]; /* ids it sealed with, each change */
	uint64_t heard_at, restart_ns;
	struct rig_source *sources; /* the ledger, of a server */
};

struct rig {
	uint64_t now, random, seed, order;
	unsigned loss, twice; /* percent of control packets */
	uint64_t delay, jitter;
	unsigned data_loss;
	uint64_t data_delay;
	uint64_t stream_ns, stream_at; /* each end seals a packet so often; 0: never */
	bool cut;		       /* no control packet arrives */
	bool (*tamper)(struct rig *r, struct rig_packet *packet); /* false: it is lost */
	uint32_t count;						  /* for tamper() */
	uint32_t target, offset;
	struct rig_packet *queue, *record;
	size_t n_queue, room_queue, n_record, room_record;
	bool recording;
	unsigned n_ends;
	struct rig_end ends[RIG_ENDS];
};

static struct identity rig_identities[WHO_COUNT];

#define rig_want(r, condition)                                                                     \
	do {                                                                                       \
		if (!(condition))                                                                  \
			rig_fail(r, __LINE__, #condition);                                         \
	} while (0)

static inline void rig_fail(const struct rig *r, int line, const char *what)
{
	for (unsigned e = 0; e < r->n_ends; e++) {
		const struct rig_end *end = &r->ends[e];

		print_message("# end %u: sealed %u unsealed %u opened %u failed %u (%d)\n", e,
			      end->sealed, end->unsealed, end->opened, end->failed,
			      end->last_error);
		for (unsigned n = end->n_lines > 12 ? end->n_lines - 12 : 0; n < end->n_lines; n++)
			print_message("# end %u: %s\n", e, end->lines[n % RIG_LINES]);
	}
	fail_msg("seed %llu, at %llu ms, line %d: %s", (unsigned long long)r->seed,
		 (unsigned long long)(r->now / RIG_MS), line, what);
}

/* splitmix64 */
static inline uint64_t rig_random(struct rig *r)
{
	uint64_t z = (r->random += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static inline void rig_random_bytes(struct rig *r, uint8_t *to, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)rig_random(r);
}

static inline struct sl_address rig_address(uint32_t host, uint16_t port)
{
	struct sl_address a = {.len = sizeof(a.in)};

	a.in.sin_family = AF_INET;
	a.in.sin_addr.s_addr = htonl(host);
	a.in.sin_port = htons(port);
	return a;
}

/*
 * The ledger.
 */

static inline struct rig_source *rig_source(struct rig_end *end, const struct sl_address *a)
{
	uint32_t at = (ntohl(a->in.sin_addr.s_addr) * 2654435761u ^ a->in.sin_port * 40503u);

	for (unsigned tries = 0; tries < RIG_SOURCES; tries++, at++) {
		struct rig_source *s = &end->sources[at % RIG_SOURCES];

		if (!s->address.len)
			s->address = *a;
		if (sl_address_equal(&s->address, a))
			return s;
	}
	fail_msg("the ledger is full");
	return NULL;
}

static inline void rig_note_received(struct rig_end *end, const struct sl_address *from,
				     const uint8_t *bytes, size_t len)
{
	struct rig_source *s = rig_source(end, from);
	struct control_packet packet;

	s->received += len;
	if (sl_control_packet_parse(bytes, len, &packet) || !packet.n_acks)
		return;
	for (unsigned n = 0; n < sl_min(s->n_sids, (unsigned)RIG_COOKIES); n++)
		s->proven |= !memcmp(packet.peer_sid, s->sids[n], SID_LEN);
}

static inline void rig_note_sent(struct rig_end *end, const struct sl_address *to,
				 const uint8_t *bytes, size_t len)
{
	struct rig_source *s = rig_source(end, to);

	s->sent += len;
	memcpy(s->sids[s->n_sids++ % RIG_COOKIES], bytes + 1, SID_LEN);
	if (!s->proven && !sl_address_equal(to, &end->config.remote))
		rig_want(end->rig, s->sent <= s->received);
}

/*
 * Ends.
 */

static inline void rig_push(struct rig_packet **list, size_t *n, size_t *room,
			    const struct rig_packet *packet)
{
	if (*n == *room) {
		*room = 2 * *room + 64;
		*list = realloc(*list, *room * sizeof(**list));
		assert_non_null(*list);
	}
	(*list)[(*n)++] = *packet;
}

static inline bool rig_percent(struct rig *r, unsigned percent)
{
	return rig_random(r) % 100 < percent;
}

/* The network, for control packets and sealed ones. */
static inline void rig_transmit(struct rig *r, const struct sl_address *from,
				const struct sl_address *to, const uint8_t *bytes, size_t len)
{
	bool data = P_OPCODE(bytes[0]) == P_DATA_V2;
	struct rig_packet packet = {.from = *from, .to = *to, .len = len};

	rig_want(r, len && len <= RIG_PACKET);
	memcpy(packet.bytes, bytes, len);
	if (data) {
		packet.at = r->now + r->data_delay;
		packet.order = r->order++;
		if (!rig_percent(r, r->data_loss))
			rig_push(&r->queue, &r->n_queue, &r->room_queue, &packet);
		return;
	}
	if (r->recording)
		rig_push(&r->record, &r->n_record, &r->room_record, &packet);
	if (r->cut || (r->tamper && !r->tamper(r, &packet)))
		return;
	for (unsigned copy = 0; copy < 1u + rig_percent(r, r->twice); copy++) {
		packet.at = r->now + r->delay + (r->jitter ? rig_random(r) % r->jitter : 0);
		packet.order = r->order++;
		if (!rig_percent(r, r->loss))
			rig_push(&r->queue, &r->n_queue, &r->room_queue, &packet);
	}
}

static inline void rig_on_send(void *ctx, const struct sl_address *to, const uint8_t *bytes,
			       size_t len)
{
	struct rig_end *end = ctx;

	end->sent++;
	end->sent_bytes += len;
	if (end->sources)
		rig_note_sent(end, to, bytes, len);
	if (end->budget > 0 && --end->budget == 0)
		end->muted = true;
	if (!end->muted)
		rig_transmit(end->rig, &end->address, to, bytes, len);
}

static inline void rig_on_peer(void *ctx, const struct sl_address *to)
{
	struct rig_end *end = ctx;

	if (to) {
		end->n_peers++;
		end->peer = *to;
		end->heard_at = end->rig->now;
		end->connected_at = end->rig->now;
	} else {
		end->n_losses++;
		memset(&end->peer, 0, sizeof(end->peer));
	}
}

static const struct control_ops rig_ops = {.send = rig_on_send, .peer = rig_on_peer};

static inline void rig_on_log(void *ctx, enum sl_log_level level, const char *line)
{
	struct rig_end *end = ctx;

	(void)level;
	if (strstr(line, "connected to"))
		end->n_connected++;
	snprintf(end->lines[end->n_lines++ % RIG_LINES], sizeof(end->lines[0]), "%llu ms: %s",
		 (unsigned long long)(end->rig->now / RIG_MS), line);
}

static inline unsigned rig_said(const struct rig_end *end, const char *text)
{
	unsigned count = 0;

	for (unsigned n = 0; n < sl_min(end->n_lines, (unsigned)RIG_LINES); n++)
		count += !!strstr(end->lines[n], text);
	return count;
}

/* A new end; it is down, and its config may be changed until rig_up(). */
static inline struct rig_end *rig_end(struct rig *r, bool server, enum who who, enum who peer)
{
	struct rig_end *end = &r->ends[r->n_ends];

	assert_true(r->n_ends < RIG_ENDS);
	end->rig = r;
	end->budget = -1;
	end->address = rig_address(0x0a000001 + r->n_ends++, 1194);
	end->log = (struct sl_log){rig_on_log, end, SL_LOG_INFO};
	assert_int_equal(sl_data_create(&end->data), 0);
	end->config = (struct control_config){
		.server = server,
		.layer = 3,
		.ciphers = RIG_BOTH,
		.identity = &rig_identities[who],
		.data = end->data,
		.ops = &rig_ops,
		.ctx = end,
		.log = &end->log,
	};
	memcpy(end->config.peer, rig_identities[peer].fingerprint, FINGERPRINT_LEN);
	if (server)
		end->sources = calloc(RIG_SOURCES, sizeof(*end->sources));
	return end;
}

static inline void rig_up(struct rig_end *end)
{
	assert_null(end->control);
	end->muted = false;
	assert_int_equal(sl_control_create(&end->config, &end->control), 0);
}

/* As when the process dies: nobody is told. */
static inline void rig_down(struct rig_end *end)
{
	sl_control_release(end->control);
	end->control = NULL;
	sl_data_key_delete(end->data, SL_KEY_PRIMARY);
	sl_data_key_delete(end->data, SL_KEY_SECONDARY);
	memset(&end->peer, 0, sizeof(end->peer));
}

static inline void rig_make(struct rig *r, uint64_t seed)
{
	memset(r, 0, sizeof(*r));
	r->seed = r->random = seed;
	r->now = 1000 * RIG_S + rig_random(r) % (60 * RIG_S);
	r->delay = r->data_delay = 20 * RIG_MS;
}

static inline void rig_free(struct rig *r)
{
	for (unsigned e = 0; e < r->n_ends; e++) {
		sl_control_release(r->ends[e].control);
		sl_data_release(r->ends[e].data);
		free(r->ends[e].sources);
	}
	free(r->queue);
	free(r->record);
}

/*
 * Time.
 */

/* What comes from the network, as tunnel_rx.c does it. */
static inline void rig_take(struct rig_end *end, const struct sl_address *from, uint8_t *bytes,
			    size_t len)
{
	struct rig *r = end->rig;
	struct sl_data_opened opened;
	uint8_t *copy = malloc(len); /* so that a read beyond it is seen */

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	if (P_OPCODE(bytes[0]) != P_DATA_V2) {
		if (end->sources)
			rig_note_received(end, from, bytes, len);
		sl_control_input(end->control, from, copy, len, r->now);
		free(copy);
		return;
	}
	if (!end->peer.len || !sl_address_equal(from, &end->peer)) {
		end->strangers++;
		free(copy);
		return;
	}
	end->last_error = sl_data_open(end->data, copy, len, &opened);
	if (end->last_error) {
		end->failed++;
	} else {
		end->opened++;
		end->heard_at = r->now;
		sl_control_heard(end->control, opened.key_id, r->now);
	}
	free(copy);
}

static inline void rig_inject(struct rig_end *end, const struct sl_address *from,
			      const uint8_t *bytes, size_t len)
{
	uint8_t copy[RIG_PACKET];

	assert_true(len <= sizeof(copy));
	memcpy(copy, bytes, len);
	rig_take(end, from, copy, len);
}

static inline int rig_seal(struct rig_end *end, uint8_t *to)
{
	static const uint8_t text[] = "\x45 forty-two bytes that look like an IP packet.";
	struct sl_piece piece = {text, to + SL_DATA_OVERHEAD, sizeof(text)};
	int len = sl_data_seal(end->data, to, &piece, 1);

	if (len < 0) {
		end->unsealed++;
		return len;
	}
	end->sealed++;
	if (!end->n_keys || end->keys[(end->n_keys - 1) % sizeof(end->keys)] != P_KEY_ID(to[0]))
		end->keys[end->n_keys++ % sizeof(end->keys)] = P_KEY_ID(to[0]);
	return len;
}

static inline void rig_stream(struct rig *r)
{
	uint8_t packet[SL_DATA_OVERHEAD + 64];

	r->stream_at = r->now + r->stream_ns;
	for (unsigned e = 0; e < r->n_ends; e++) {
		struct rig_end *end = &r->ends[e];
		int len;

		if (!end->control || !end->peer.len)
			continue;
		len = rig_seal(end, packet);
		if (len > 0)
			rig_transmit(r, &end->address, &end->peer, packet, (size_t)len);
	}
}

static inline uint64_t rig_end_deadline(const struct rig_end *end)
{
	uint64_t deadline = end->control ? sl_control_deadline(end->control) : UINT64_MAX;

	if (end->control && end->restart_ns && end->peer.len)
		deadline = sl_min(deadline, end->heard_at + end->restart_ns);
	return deadline;
}

static inline void rig_deliver(struct rig *r, struct rig_packet *packet)
{
	for (unsigned e = 0; e < r->n_ends; e++)
		if (r->ends[e].control && sl_address_equal(&r->ends[e].address, &packet->to))
			rig_take(&r->ends[e], &packet->from, packet->bytes, packet->len);
}

/* The packet that is due first, and moves the deadline down to it. */
static inline size_t rig_first(const struct rig *r, uint64_t *deadline)
{
	size_t first = SIZE_MAX;

	for (size_t i = 0; i < r->n_queue; i++) {
		const struct rig_packet *p = &r->queue[i];

		if (p->at > *deadline || (first != SIZE_MAX && p->at == r->queue[first].at &&
					  p->order > r->queue[first].order))
			continue;
		first = i;
		*deadline = p->at;
	}
	return first;
}

static inline void rig_step_ends(struct rig *r)
{
	for (unsigned e = 0; e < r->n_ends; e++) {
		struct rig_end *end = &r->ends[e];

		if (rig_end_deadline(end) > r->now)
			continue;
		if (end->restart_ns && end->peer.len && r->now >= end->heard_at + end->restart_ns)
			sl_control_lost(end->control, "ping-restart", r->now);
		sl_control_step(end->control, r->now);
		/* Whoever is due again at once burns a processor. */
		sl_control_step(end->control, r->now);
		rig_want(r, sl_control_deadline(end->control) > r->now);
	}
}

/* One event, or @until is reached. */
static inline void rig_event(struct rig *r, uint64_t until)
{
	uint64_t deadline = until;
	struct rig_packet packet;
	size_t first;

	for (unsigned e = 0; e < r->n_ends; e++)
		deadline = sl_min(deadline, rig_end_deadline(&r->ends[e]));
	if (r->stream_ns)
		deadline = sl_min(deadline, r->stream_at);
	first = rig_first(r, &deadline);
	r->now = sl_max(r->now, deadline);
	if (first != SIZE_MAX) {
		packet = r->queue[first];
		r->queue[first] = r->queue[--r->n_queue];
		rig_deliver(r, &packet);
	}
	rig_step_ends(r);
	if (r->stream_ns && r->now >= r->stream_at)
		rig_stream(r);
}

static inline void rig_run(struct rig *r, uint64_t ns)
{
	uint64_t until = r->now + ns;

	while (r->now < until)
		rig_event(r, until);
}

/* Run until it is so; false when it is not within @limit. */
static inline bool rig_wait(struct rig *r, uint64_t limit, bool (*so)(const struct rig *))
{
	uint64_t until = r->now + limit;

	while (!so(r) && r->now < until)
		rig_event(r, until);
	return so(r);
}

/*
 * What most tests ask.
 */

/* Does a packet sealed now by one open at the other? */
static inline bool rig_passes(struct rig_end *from, struct rig_end *to)
{
	uint8_t packet[SL_DATA_OVERHEAD + 64];
	int len = from->control && to->control ? rig_seal(from, packet) : -1;
	uint32_t opened = to->opened;

	if (len > 0)
		rig_take(to, &from->address, packet, (size_t)len);
	return to->opened == opened + 1;
}

static inline bool rig_joined(const struct rig *r)
{
	return r->ends[0].data->keys[SL_KEY_PRIMARY] && r->ends[1].data->keys[SL_KEY_PRIMARY] &&
	       r->ends[0].peer.len && r->ends[1].peer.len;
}

static inline void rig_check_joined(struct rig *r)
{
	struct rig_end *a = &r->ends[0], *b = &r->ends[1];

	rig_want(r, rig_joined(r));
	rig_want(r, rig_passes(a, b) && rig_passes(b, a));
	rig_want(r, sl_address_equal(&a->peer, &b->address));
	rig_want(r, sl_address_equal(&b->peer, &a->address));
	rig_want(r, a->data->peer_id == b->data->peer_id);
}

/* A server (end 0) and a client (end 1), both with a remote, not up yet. */
static inline void rig_pair(struct rig *r, uint64_t seed)
{
	struct rig_end *server, *client;

	rig_make(r, seed);
	server = rig_end(r, true, WHO_SERVER, WHO_CLIENT);
	client = rig_end(r, false, WHO_CLIENT, WHO_SERVER);
	server->config.remote = client->address;
	client->config.remote = server->address;
}

/* ... and both up, in session, a stream between them. */
static inline void rig_live(struct rig *r, uint64_t seed)
{
	rig_pair(r, seed);
	rig_up(&r->ends[0]);
	rig_up(&r->ends[1]);
	rig_want(r, rig_wait(r, 10 * RIG_S, rig_joined));
	r->stream_ns = 20 * RIG_MS;
	rig_run(r, RIG_S);
	rig_check_joined(r);
}

static inline void rig_stream_good(struct rig *r)
{
	for (unsigned e = 0; e < 2; e++)
		rig_want(r, !r->ends[e].failed && !r->ends[e].unsealed && !r->ends[e].strangers);
}

static inline void rig_forget_counts(struct rig *r)
{
	for (unsigned e = 0; e < r->n_ends; e++) {
		struct rig_end *end = &r->ends[e];

		end->sealed = end->unsealed = end->opened = end->failed = end->strangers = 0;
		end->sent = end->sent_bytes = 0;
	}
}

/* Group setup and teardown: the identities. */
static inline int rig_setup(void **state)
{
	char top[] = "/tmp/control_rig-XXXXXX", dir[64], path[96], text[SL_FINGERPRINT_SIZE];

	(void)state;
	if (!mkdtemp(top))
		return -1;
	for (unsigned who = 0; who < WHO_COUNT; who++) {
		snprintf(dir, sizeof(dir), "%s/%u", top, who);
		if (sl_identity_generate(dir, text) || sl_identity_load(dir, &rig_identities[who]))
			return -1;
		snprintf(path, sizeof(path), "%s/key.pem", dir);
		unlink(path);
		snprintf(path, sizeof(path), "%s/cert.pem", dir);
		unlink(path);
		rmdir(dir);
	}
	return rmdir(top);
}

static inline int rig_teardown(void **state)
{
	(void)state;
	for (unsigned who = 0; who < WHO_COUNT; who++)
		sl_identity_unload(&rig_identities[who]);
	return 0;
}

#endif
