/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control channel among those who mean harm: floods from addresses that are not their own,
 * replays, forgeries, and strangers with a key of their own. The rig holds every server to its
 * word that nobody is sent more bytes than he has sent before he has shown where he is.
 */
#include "control_rig.h"

#define SERVER	(&r.ends[0])
#define CLIENT	(&r.ends[1])

#define SPOOFED 0x30000000u /* hosts whose packets are forged */

static size_t forge(uint8_t *to, uint8_t opcode, const uint8_t sid[SID_LEN],
		    const uint8_t *peer_sid)
{
	struct control_packet packet = {.opcode = opcode, .n_acks = peer_sid ? 1 : 0};
	int len;

	memcpy(packet.sid, sid, SID_LEN);
	if (peer_sid)
		memcpy(packet.peer_sid, peer_sid, SID_LEN);
	len = sl_control_packet_build(&packet, to, RIG_PACKET);
	assert_true(len > 0);
	return (size_t)len;
}

/* A server that listens to all the world, in session, data and new keys flowing. */
static void busy(struct rig *r, uint64_t seed, bool anywhere)
{
	rig_pair(r, seed);
	if (anywhere)
		r->ends[0].config.anywhere = true;
	else
		memset(&r->ends[0].config.remote, 0, sizeof(r->ends[0].config.remote));
	r->ends[0].config.reneg_ns = 10 * RIG_S;
	rig_up(&r->ends[0]);
	rig_up(&r->ends[1]);
	rig_want(r, rig_wait(r, RIG_S, rig_joined));
	r->stream_ns = 20 * RIG_MS;
	rig_run(r, RIG_S);
	rig_check_joined(r);
}

/* The session came through undisturbed, @renegs new keys and all. */
static void check_busy(struct rig *r, unsigned renegs)
{
	rig_stream_good(r);
	rig_check_joined(r);
	rig_want(r, r->ends[0].n_peers == 1 && r->ends[1].n_peers == 1);
	rig_want(r, r->ends[0].n_keys > renegs && r->ends[1].n_keys > renegs);
	rig_free(r);
}

/* Nothing is sent to forged addresses later on: nothing of them is remembered. */
static void check_silence(struct rig *r)
{
	struct rig_end *server = &r->ends[0];
	uint64_t before = 0, after = 0;

	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned n = 0; n < RIG_SOURCES; n++)
			if (server->sources[n].address.len &&
			    ntohl(server->sources[n].address.in.sin_addr.s_addr) >= SPOOFED)
				*(pass ? &after : &before) += server->sources[n].sent;
		if (!pass)
			rig_run(r, 130 * RIG_S);
	}
	rig_want(r, before == after);
}

/*
 * Floods at a server.
 */

static void flood_resets(struct rig *r, bool with_payload)
{
	uint8_t packet[RIG_PACKET] = {0}, sid[SID_LEN];

	for (unsigned n = 0; n < 10000; n++) {
		struct sl_address from = rig_address(SPOOFED + n, (uint16_t)(n + 1));
		size_t len;

		rig_random_bytes(r, sid, sizeof(sid));
		len = forge(packet, P_CONTROL_HARD_RESET_CLIENT_V2, sid, NULL);
		if (with_payload)
			len += rig_random(r) % 1000;
		for (unsigned again = 0; again < 1 + n % 3; again++)
			rig_inject(&r->ends[0], &from, packet, len);
		if (n % 50 == 0)
			rig_run(r, 200 * RIG_MS);
	}
}

static void test_reset_flood(void **state)
{
	struct rig r;

	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		busy(&r, 10 + n, n);
		flood_resets(&r, n);
		check_silence(&r);
		check_busy(&r, 15);
	}
}

/* The client comes while the flood goes on. */
static void test_reset_flood_before_client(void **state)
{
	struct rig r;

	(void)state;
	rig_pair(&r, 12);
	memset(&SERVER->config.remote, 0, sizeof(SERVER->config.remote));
	rig_up(SERVER);
	flood_resets(&r, false);
	rig_want(&r, !SERVER->n_peers);
	rig_up(CLIENT);
	flood_resets(&r, true);
	rig_want(&r, CLIENT->connected_at && SERVER->n_peers == 1);
	rig_check_joined(&r);
	/* Lines that strangers can cause are few. */
	rig_want(&r, SERVER->n_lines < 60);
	rig_free(&r);
}

/* Any opcode with anything behind it, from anybody, the peer's own address among them. */
static void test_rubbish_flood(void **state)
{
	uint8_t packet[RIG_PACKET];
	struct rig r;

	(void)state;
	busy(&r, 13, true);
	for (unsigned n = 0; n < 60000; n++) {
		struct rig_end *to = &r.ends[n & 1];
		struct sl_address from =
			n % 7 ? rig_address(SPOOFED + n % 5000, 99) : r.ends[!(n & 1)].address;
		size_t len = 1 + rig_random(&r) % (n % 3 ? 40 : 400);

		rig_random_bytes(&r, packet, len);
		packet[0] = P_BYTE(n / 2 % 32, n / 64 % 8);
		if (P_OPCODE(packet[0]) == P_DATA_V2 ||
		    (n % 7 == 0 && P_OPCODE(packet[0]) >= P_CONTROL_HARD_RESET_CLIENT_V2 &&
		     P_OPCODE(packet[0]) <= P_CONTROL_HARD_RESET_SERVER_V2))
			continue; /* not the control channel's; tests of their own */
		if (len > 9)
			packet[9] %= 9;
		rig_inject(to, &from, packet, len);
		if (n % 100 == 0)
			rig_run(&r, 50 * RIG_MS);
	}
	/* Lines that strangers can cause are few. */
	rig_want(&r, SERVER->n_lines <= 40 && CLIENT->n_lines <= 40);
	check_silence(&r);
	check_busy(&r, 10);
}

/* What the server told each of them. */
static void collect_cookies(struct rig *r, unsigned n_hosts, uint8_t (*sids)[SID_LEN],
			    uint8_t (*cookies)[SID_LEN])
{
	uint8_t packet[RIG_PACKET];

	for (unsigned n = 0; n < n_hosts; n++) {
		struct sl_address from = rig_address(SPOOFED + n, 99);
		size_t len;

		rig_random_bytes(r, sids[n], SID_LEN);
		len = forge(packet, P_CONTROL_HARD_RESET_CLIENT_V2, sids[n], NULL);
		rig_inject(&r->ends[0], &from, packet, len);
		memcpy(cookies[n], rig_source(&r->ends[0], &from)->sids[0], SID_LEN);
	}
}

static void return_cookie(struct rig *r, struct sl_address from, const uint8_t *sid,
			  const uint8_t *cookie)
{
	uint8_t packet[RIG_PACKET];

	rig_inject(&r->ends[0], &from, packet, forge(packet, P_ACK_V1, sid, cookie));
	rig_inject(&r->ends[0], &from, packet,
		   forge(packet, P_CONTROL_HARD_RESET_CLIENT_V2, sid, cookie));
	rig_inject(&r->ends[0], &from, packet, forge(packet, P_CONTROL_V1, sid, cookie));
	rig_inject(&r->ends[0], &from, packet, forge(packet, P_CONTROL_SOFT_RESET_V1, sid, cookie));
}

#define THIEVES 200

/* A cookie is good for a minute, for whom it was made. The others get nothing for it. */
static void test_stolen_cookies(void **state)
{
	static uint8_t sids[THIEVES][SID_LEN], cookies[THIEVES][SID_LEN];
	uint64_t sent;
	struct rig r;

	(void)state;
	busy(&r, 14, true);
	collect_cookies(&r, THIEVES, sids, cookies);
	sent = SERVER->sent;
	for (unsigned n = 0; n < THIEVES; n++) {
		uint8_t other[SID_LEN];

		return_cookie(&r, rig_address(SPOOFED + n + 10000, 99), sids[n], cookies[n]);
		return_cookie(&r, rig_address(SPOOFED + n, 98), sids[n], cookies[n]);
		return_cookie(&r, rig_address(SPOOFED + n, 99), sids[(n + 1) % THIEVES],
			      cookies[n]);
		return_cookie(&r, CLIENT->address, sids[n], cookies[n]);
		memcpy(other, cookies[n], SID_LEN);
		other[n % SID_LEN] ^= (uint8_t)(1u << n / SID_LEN % 8);
		return_cookie(&r, rig_address(SPOOFED + n, 99), sids[n], other);
	}
	rig_want(&r, SERVER->sent == sent);
	rig_run(&r, 61 * RIG_S);
	sent = SERVER->sent;
	for (unsigned n = 0; n < THIEVES; n++)
		return_cookie(&r, rig_address(SPOOFED + n, 99), sids[n], cookies[n]);
	rig_want(&r, SERVER->sent == sent);
	check_silence(&r);
	check_busy(&r, 10);
}

/* Whoever can receive gets a session, of which there are few; and for a minute only. */
static void test_places_are_few(void **state)
{
	static uint8_t sids[THIEVES][SID_LEN], cookies[THIEVES][SID_LEN];
	unsigned talked_to = 0;
	uint64_t before;
	struct rig r;

	(void)state;
	busy(&r, 15, true);
	collect_cookies(&r, THIEVES, sids, cookies);
	for (unsigned n = 0; n < THIEVES; n++) {
		struct sl_address from = rig_address(SPOOFED + n, 99);
		uint8_t packet[RIG_PACKET];

		rig_inject(SERVER, &from, packet, forge(packet, P_ACK_V1, sids[n], cookies[n]));
	}
	for (unsigned n = 0; n < RIG_SOURCES; n++)
		SERVER->sources[n].sent = 0;
	rig_run(&r, 30 * RIG_S);
	for (unsigned n = 0; n < RIG_SOURCES; n++)
		talked_to += SERVER->sources[n].sent && SERVER->sources[n].address.len &&
			     ntohl(SERVER->sources[n].address.in.sin_addr.s_addr) >= SPOOFED;
	rig_want(&r, talked_to > 0 && talked_to <= 16);
	rig_run(&r, 40 * RIG_S);
	before = SERVER->sent;
	check_silence(&r);
	rig_want(&r, SERVER->sent > before); /* to its client */
	check_busy(&r, 10);
}

/*
 * Forgeries in the server's name, at a client.
 */

/* As fast as @per_second for @ns, not in step with anything. */
static void flood_client(struct rig *r, unsigned per_second, uint64_t ns)
{
	uint64_t until = r->now + ns;
	uint8_t packet[RIG_PACKET], sid[SID_LEN], peer_sid[SID_LEN];

	while (r->now < until) {
		size_t len;

		rig_random_bytes(r, sid, sizeof(sid));
		len = forge(packet, P_CONTROL_HARD_RESET_SERVER_V2, sid, NULL);
		rig_inject(&r->ends[1], &r->ends[0].address, packet, len);
		/* Acks as well, of a session id that nobody has. */
		rig_random_bytes(r, peer_sid, sizeof(peer_sid));
		len = forge(packet, P_CONTROL_HARD_RESET_SERVER_V2, sid, peer_sid);
		rig_inject(&r->ends[1], &r->ends[0].address, packet, len);
		len = forge(packet, P_ACK_V1, sid, peer_sid);
		rig_inject(&r->ends[1], &r->ends[0].address, packet, len);
		rig_run(r, 1 + rig_random(r) % (2 * RIG_S / per_second));
	}
}

static void test_calls_before_bound(void **state)
{
	struct rig r;

	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		rig_pair(&r, 20 + n);
		rig_up(SERVER);
		rig_up(CLIENT);
		flood_client(&r, 50, 20 * RIG_S);
		rig_want(&r, CLIENT->n_peers && SERVER->n_peers);
		rig_run(&r, 5 * RIG_S);
		rig_check_joined(&r);
		rig_free(&r);
	}
}

/* More than it answers: it may have to wait for the end of that; what it sends is bounded. */
static void test_call_flood_before_bound(void **state)
{
	struct rig r;

	(void)state;
	rig_pair(&r, 23);
	rig_up(CLIENT);
	flood_client(&r, 3000, 10 * RIG_S);
	rig_want(&r, CLIENT->sent <= 10 * 1400);
	rig_up(SERVER);
	flood_client(&r, 3000, 5 * RIG_S);
	rig_run(&r, 5 * RIG_S);
	rig_check_joined(&r);
	rig_free(&r);
}

/* A reset in the client's name: the server answers the client. */
static void flood_server(struct rig *r, unsigned per_second, uint64_t ns)
{
	uint64_t until = r->now + ns;
	uint8_t packet[RIG_PACKET], sid[SID_LEN];

	while (r->now < until) {
		size_t len;

		rig_random_bytes(r, sid, sizeof(sid));
		len = forge(packet, P_CONTROL_HARD_RESET_CLIENT_V2, sid, NULL);
		rig_inject(&r->ends[0], &r->ends[1].address, packet, len);
		rig_run(r, 1 + rig_random(r) % (2 * RIG_S / per_second));
	}
}

/* A call makes a live client look whether its server has been started again. The session may
 * give way to another one with the same server; not all the time. */
static void live_through(uint64_t seed, void (*flood)(struct rig *, unsigned, uint64_t))
{
	struct rig r;

	busy(&r, seed, true);
	rig_forget_counts(&r);
	flood(&r, 20, 60 * RIG_S);
	rig_want(&r, CLIENT->n_losses == 0 && SERVER->n_losses == 0);
	rig_want(&r, CLIENT->n_connected <= 1 + 60 / 5);
	rig_want(&r, (CLIENT->failed + CLIENT->unsealed) * 50 < CLIENT->sealed);
	rig_want(&r, (SERVER->failed + SERVER->unsealed) * 50 < SERVER->sealed);
	rig_run(&r, 5 * RIG_S);
	rig_check_joined(&r);
	rig_free(&r);
}

static void test_calls_while_live(void **state)
{
	(void)state;
	live_through(24, flood_client);
}

static void test_resets_while_live(void **state)
{
	(void)state;
	live_through(29, flood_server);
}

/* All is right in it but one of the session ids: key id, packet id and acks are what may be
 * due, and what is behind them would end TLS. */
static void forge_member(struct rig *r, const struct rig_packet *seen, bool know_theirs)
{
	static const uint8_t opcodes[] = {P_ACK_V1, P_CONTROL_V1, P_CONTROL_SOFT_RESET_V1};
	bool to_server = sl_address_equal(&seen->to, &r->ends[0].address);
	struct rig_end *to = &r->ends[!to_server];
	uint8_t bytes[RIG_PACKET], payload[50], key_id = to->keys[(to->n_keys - 1) % 64];

	rig_random_bytes(r, payload, sizeof(payload));
	for (unsigned n = 0; n < 3; n++) {
		struct control_packet packet = {
			.opcode = opcodes[n],
			.key_id = opcodes[n] == P_CONTROL_SOFT_RESET_V1 ? key_id % 7 + 1 : key_id,
			.n_acks = 1 + (uint8_t)(rig_random(r) % 8),
			.id = (uint32_t)(rig_random(r) % 16),
			.payload = payload,
			.payload_len = opcodes[n] == P_CONTROL_V1 ? sizeof(payload) : 0,
		};
		int len;

		for (unsigned ack = 0; ack < packet.n_acks; ack++)
			packet.acks[ack] = (uint32_t)(rig_random(r) % 16);
		rig_random_bytes(r, packet.sid, SID_LEN);
		rig_random_bytes(r, packet.peer_sid, SID_LEN);
		if (know_theirs)
			memcpy(packet.sid, seen->bytes + 1, SID_LEN);
		len = sl_control_packet_build(&packet, bytes, sizeof(bytes));
		assert_true(len > 0);
		rig_inject(to, &seen->from, bytes, (size_t)len);
	}
}

static void test_forged_acks(void **state)
{
	struct rig r;

	(void)state;
	busy(&r, 25, true);
	r.recording = true;
	rig_run(&r, 11 * RIG_S);
	r.recording = false;
	rig_want(&r, r.n_record > 4);
	for (unsigned n = 0; n < 5000; n++) {
		forge_member(&r, &r.record[n % r.n_record], n / 7 & 1);
		if (n % 5 == 0)
			rig_run(&r, 20 * RIG_MS);
	}
	/* No key is made but when it is due, and nobody has anything to complain about. */
	rig_want(&r, SERVER->n_keys <= 5 && SERVER->n_lines == 1 && CLIENT->n_lines == 1);
	check_busy(&r, 2);
}

/* Each packet comes first from an address that is not the peer's, its last byte another. */
static bool forestall(struct rig *r, struct rig_packet *packet)
{
	struct rig_end *to = &r->ends[!sl_address_equal(&packet->to, &r->ends[0].address)];
	struct sl_address from = rig_address(SPOOFED, 1194);
	struct rig_packet bad = *packet;

	if (!to->control || !sl_address_equal(&packet->to, &to->address))
		return true;
	bad.bytes[bad.len - 1] ^= 1;
	rig_inject(to, &from, bad.bytes, bad.len);
	return true;
}

static void test_from_elsewhere(void **state)
{
	struct rig r;

	(void)state;
	rig_pair(&r, 31);
	SERVER->config.anywhere = true;
	SERVER->config.reneg_ns = 10 * RIG_S;
	r.tamper = forestall;
	rig_up(SERVER);
	rig_up(CLIENT);
	rig_want(&r, rig_wait(&r, RIG_S, rig_joined));
	r.stream_ns = 20 * RIG_MS;
	rig_run(&r, 45 * RIG_S);
	check_busy(&r, 3);
}

static bool is_bare_reset(const struct rig_packet *packet)
{
	uint8_t opcode = P_OPCODE(packet->bytes[0]);

	return !packet->bytes[9] && (opcode == P_CONTROL_HARD_RESET_CLIENT_V2 ||
				     opcode == P_CONTROL_HARD_RESET_SERVER_V2);
}

/* All that a session has said is said again in the next one, which began @later. Bare resets,
 * which anybody can forge, are what live_through() is about: they may bring another session. */
static void replay_session(uint64_t seed, uint64_t later, bool resets)
{
	struct rig r;
	size_t recorded;

	rig_pair(&r, seed);
	CLIENT->config.reneg_ns = 5 * RIG_S;
	r.recording = true;
	rig_up(SERVER);
	rig_up(CLIENT);
	r.stream_ns = 50 * RIG_MS;
	rig_run(&r, 18 * RIG_S);
	rig_want(&r, CLIENT->n_keys >= 3);
	r.recording = false;
	recorded = r.n_record;
	rig_down(CLIENT);
	rig_up(CLIENT);
	rig_want(&r, rig_wait(&r, 5 * RIG_S, rig_joined));
	rig_run(&r, later);
	rig_check_joined(&r);
	SERVER->n_peers = CLIENT->n_peers = 1;
	CLIENT->n_keys = SERVER->n_keys = 0;
	rig_forget_counts(&r);
	for (size_t n = 0; n < recorded; n++) {
		struct rig_packet p = r.record[n];

		if (resets || !is_bare_reset(&p))
			rig_inject(sl_address_equal(&p.to, &SERVER->address) ? SERVER : CLIENT,
				   &p.from, p.bytes, p.len);
		rig_run(&r, 30 * RIG_MS);
	}
	rig_run(&r, 100 * RIG_S);
	if (!resets) {
		check_busy(&r, 3);
		return;
	}
	rig_want(&r, CLIENT->n_peers <= 4 && SERVER->n_peers <= 4);
	rig_check_joined(&r);
	rig_free(&r);
}

static void test_replayed_session(void **state)
{
	(void)state;
	replay_session(26, 0, false);
	replay_session(27, 100 * RIG_S, false);
	replay_session(28, 0, true);
	replay_session(29, 100 * RIG_S, true);
}

/*
 * One byte of one datagram is another: the handshake ends well all the same, at the worst after
 * it was given up.
 */

static bool flip(struct rig *r, struct rig_packet *packet)
{
	if (r->count++ == r->target)
		packet->bytes[r->offset % packet->len] ^= (uint8_t)(1u << rig_random(r) % 8);
	return true;
}

static void test_flipped_bytes(void **state)
{
	struct rig r;
	size_t datagrams;

	(void)state;
	rig_pair(&r, 30);
	r.recording = true;
	rig_up(SERVER);
	rig_up(CLIENT);
	rig_want(&r, rig_wait(&r, RIG_S, rig_joined));
	datagrams = r.n_record;
	rig_free(&r);
	for (uint32_t n = 0; n < datagrams * 6; n++) {
		static const uint32_t offsets[] = {0, 1, 9, 12, 15, 24};

		rig_pair(&r, 1000 + n);
		r.tamper = flip;
		r.target = n / 6;
		r.offset = n % 6 < 5 ? offsets[n % 6] : (uint32_t)rig_random(&r) % 1200;
		r.stream_ns = RIG_S;
		rig_up(SERVER);
		rig_up(CLIENT);
		rig_want(&r, rig_wait(&r, 70 * RIG_S, rig_joined));
		rig_run(&r, 70 * RIG_S);
		rig_check_joined(&r);
		rig_want(&r, SERVER->n_connected <= 2 && CLIENT->n_connected <= 2);
		rig_free(&r);
	}
}

/*
 * Strangers with a key of their own.
 */

#define STRANGERS 20

static void add_strangers(struct rig *r, bool same_host)
{
	for (unsigned n = 0; n < STRANGERS; n++) {
		struct rig_end *evil = rig_end(r, false, WHO_EVIL, WHO_SERVER);

		if (same_host)
			evil->address = rig_address(0x0a0000fa, (uint16_t)(2000 + n));
		evil->config.remote = r->ends[0].address;
		evil->budget = (int)(n % 6) + 1; /* stands still after so many datagrams */
		if (n % 6 == 5)
			evil->budget = -1;
		rig_up(evil);
	}
}

static void restart_strangers(struct rig *r)
{
	for (unsigned n = 2; n < r->n_ends; n++) {
		struct rig_end *evil = &r->ends[n];

		rig_down(evil);
		evil->budget = n % 6 == 5 ? -1 : (int)(n % 6) + 1;
		rig_up(evil);
	}
}

static bool client_connected(const struct rig *r)
{
	return r->ends[1].peer.len && r->ends[1].data->keys[SL_KEY_PRIMARY];
}

static void test_strangers(void **state)
{
	struct rig r;

	(void)state;
	for (unsigned same_host = 0; same_host < 2; same_host++) {
		rig_pair(&r, 40 + same_host);
		SERVER->config.anywhere = true;
		rig_up(SERVER);
		add_strangers(&r, same_host);
		rig_run(&r, 3 * RIG_S);
		rig_up(CLIENT);
		rig_want(&r, rig_wait(&r, 5 * RIG_S, client_connected));
		rig_run(&r, RIG_S);
		rig_check_joined(&r);
		r.stream_ns = 20 * RIG_MS;
		for (unsigned round = 0; round < 3; round++) {
			restart_strangers(&r);
			rig_run(&r, 20 * RIG_S);
		}
		rig_stream_good(&r);
		rig_check_joined(&r);
		rig_want(&r, SERVER->n_peers == 1 && CLIENT->n_peers == 1);
		for (unsigned n = 2; n < r.n_ends; n++)
			rig_want(&r, !r.ends[n].n_peers);
		/* And again in the midst of them. */
		restart_strangers(&r);
		rig_down(CLIENT);
		rig_up(CLIENT);
		rig_want(&r, rig_wait(&r, 70 * RIG_S, client_connected));
		rig_run(&r, RIG_S);
		rig_check_joined(&r);
		rig_free(&r);
	}
}

/* A client whose server is another: it sees no key, and the right one is found later on. */
static void test_wrong_server(void **state)
{
	struct rig r;

	(void)state;
	rig_pair(&r, 42);
	SERVER->config.identity = &rig_identities[WHO_EVIL];
	rig_up(SERVER);
	rig_up(CLIENT);
	rig_run(&r, 30 * RIG_S);
	rig_want(&r, !CLIENT->n_peers && !SERVER->n_peers);
	rig_down(SERVER);
	SERVER->config.identity = &rig_identities[WHO_SERVER];
	rig_up(SERVER);
	rig_want(&r, rig_wait(&r, 90 * RIG_S, rig_joined));
	rig_run(&r, 10 * RIG_S);
	rig_check_joined(&r);
	rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reset_flood),
		cmocka_unit_test(test_reset_flood_before_client),
		cmocka_unit_test(test_rubbish_flood),
		cmocka_unit_test(test_stolen_cookies),
		cmocka_unit_test(test_places_are_few),
		cmocka_unit_test(test_calls_before_bound),
		cmocka_unit_test(test_call_flood_before_bound),
		cmocka_unit_test(test_calls_while_live),
		cmocka_unit_test(test_resets_while_live),
		cmocka_unit_test(test_forged_acks),
		cmocka_unit_test(test_from_elsewhere),
		cmocka_unit_test(test_replayed_session),
		cmocka_unit_test(test_flipped_bytes),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_wrong_server),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
