/* SPDX-License-Identifier: BSD-2-Clause */
/* The control channel among those who mean well: sessions, keys, bad networks, restarts. */
#include "control_rig.h"

#define SERVER	   (&r.ends[0])
#define CLIENT	   (&r.ends[1])

#define OLD_KEY_NS (120 * RIG_S) /* how long a replaced key opens */

/*
 * Connecting.
 */

static void connect_in_order(bool server_first, bool server_has_remote)
{
	struct rig r;

	rig_pair(&r, 1 + server_first * 2u + server_has_remote);
	if (!server_has_remote)
		memset(&SERVER->config.remote, 0, sizeof(SERVER->config.remote));
	rig_up(server_first ? SERVER : CLIENT);
	rig_run(&r, 27 * RIG_S);
	rig_want(&r, !SERVER->peer.len && !CLIENT->peer.len);
	rig_want(&r, rig_said(server_first ? SERVER : CLIENT, "still") == 1);
	rig_up(server_first ? CLIENT : SERVER);
	rig_want(&r, rig_wait(&r, 3 * RIG_S, rig_joined));
	rig_run(&r, RIG_S);
	rig_check_joined(&r);
	rig_want(&r, SERVER->n_peers == 1 && CLIENT->n_peers == 1);
	rig_want(&r, SERVER->n_connected == 1 && CLIENT->n_connected == 1);
	rig_want(&r, rig_said(SERVER, "AES-256-GCM") == 1);
	/* Nothing is left to be said. */
	rig_forget_counts(&r);
	rig_run(&r, 300 * RIG_S);
	rig_want(&r, !SERVER->sent && !CLIENT->sent);
	rig_check_joined(&r);
	rig_free(&r);
}

static void test_start_orders(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++)
		connect_in_order(n & 1, n & 2);
}

static void test_starts_together(void **state)
{
	struct rig r;

	(void)state;
	rig_pair(&r, 5);
	rig_up(SERVER);
	rig_up(CLIENT);
	rig_want(&r, rig_wait(&r, RIG_S, rig_joined));
	rig_run(&r, 60 * RIG_S);
	rig_check_joined(&r);
	rig_want(&r, SERVER->n_connected == 1 && CLIENT->n_connected == 1);
	rig_free(&r);
}

static void connect_with_ciphers(unsigned server, unsigned client)
{
	unsigned common = server & client;
	struct rig r;

	rig_pair(&r, 10 + server * 4 + client);
	SERVER->config.ciphers = server;
	CLIENT->config.ciphers = client;
	rig_up(SERVER);
	rig_up(CLIENT);
	rig_run(&r, 10 * RIG_S);
	if (common) {
		const char *name =
			common & 1u << SL_CIPHER_AES_256_GCM ? "AES-256-GCM" : "CHACHA20-POLY1305";

		rig_check_joined(&r);
		rig_want(&r, rig_said(SERVER, name) == 1 && rig_said(CLIENT, name) == 1);
	} else {
		rig_want(&r, !SERVER->n_peers && !CLIENT->n_peers);
		rig_want(&r, !SERVER->n_connected && !CLIENT->n_connected);
		rig_want(&r, rig_said(SERVER, "cipher"));
	}
	rig_free(&r);
}

static void test_ciphers(void **state)
{
	(void)state;
	for (unsigned server = 1; server <= RIG_BOTH; server++)
		for (unsigned client = 1; client <= RIG_BOTH; client++)
			connect_with_ciphers(server, client);
}

/* On a bad network a session comes up, and is then left alone. */
static void connect_over(uint64_t seed, unsigned loss, unsigned twice, uint64_t jitter,
			 uint64_t limit)
{
	struct rig r;

	rig_pair(&r, seed);
	r.loss = loss;
	r.twice = twice;
	r.jitter = jitter;
	r.stream_ns = RIG_S; /* as pings: the server takes them for acks */
	rig_up(SERVER);
	rig_up(CLIENT);
	rig_want(&r, rig_wait(&r, limit, rig_joined));
	rig_run(&r, 10 * RIG_S);
	rig_want(&r, rig_joined(&r));
	SERVER->n_connected = CLIENT->n_connected = 0;
	rig_run(&r, 180 * RIG_S);
	rig_check_joined(&r);
	rig_want(&r, !SERVER->n_connected && !CLIENT->n_connected);
	rig_free(&r);
}

static void test_loss(void **state)
{
	(void)state;
	for (uint64_t seed = 100; seed < 112; seed++)
		connect_over(seed, 30, 0, 0, 90 * RIG_S);
	for (uint64_t seed = 200; seed < 210; seed++)
		connect_over(seed, 50, 0, 0, 300 * RIG_S);
}

static void test_reordering(void **state)
{
	(void)state;
	for (uint64_t seed = 300; seed < 308; seed++)
		connect_over(seed, 0, 50, 900 * RIG_MS, 60 * RIG_S);
	for (uint64_t seed = 400; seed < 406; seed++)
		connect_over(seed, 30, 40, 1500 * RIG_MS, 150 * RIG_S);
}

/*
 * New keys.
 */

/* 0, then 1 to 7 and 1 again, none left out. */
static void check_key_ids(struct rig *r, const struct rig_end *end, unsigned at_least)
{
	rig_want(r, end->n_keys >= at_least && end->n_keys <= sizeof(end->keys));
	for (unsigned n = 0; n < end->n_keys; n++)
		rig_want(r, end->keys[n] == (n ? (n - 1) % 7 + 1 : 0));
}

static void wear_ids(struct data_key *key)
{
	key->seal.last = DATA_WORN(DATA_IDS_END);
}

static void wear_blocks(struct data_key *key)
{
	key->seal.blocks = DATA_WORN(DATA_BLOCKS_MAX);
}

static void wear_failures(struct data_key *key)
{
	key->open.failures = DATA_WORN(DATA_FAILURES_MAX);
}

static void renegotiate(uint64_t seed, uint64_t server_ns, uint64_t client_ns, unsigned loss,
			uint64_t run_ns, unsigned rounds)
{
	struct rig r;

	rig_pair(&r, seed);
	SERVER->config.reneg_ns = server_ns;
	CLIENT->config.reneg_ns = client_ns;
	rig_up(SERVER);
	rig_up(CLIENT);
	rig_want(&r, rig_wait(&r, RIG_S, rig_joined));
	r.loss = loss;
	r.stream_ns = 10 * RIG_MS;
	rig_run(&r, run_ns);
	r.loss = 0;
	rig_run(&r, 100 * RIG_MS);
	rig_stream_good(&r);
	rig_check_joined(&r);
	check_key_ids(&r, SERVER, rounds);
	check_key_ids(&r, CLIENT, rounds);
	rig_want(&r, SERVER->n_connected == 1 && CLIENT->n_connected == 1);
	rig_free(&r);
}

static void test_reneg_server(void **state)
{
	(void)state;
	renegotiate(500, 7 * RIG_S, 0, 0, 60 * RIG_S, 8);
}

static void test_reneg_client(void **state)
{
	(void)state;
	renegotiate(501, 0, 7 * RIG_S, 0, 60 * RIG_S, 8);
}

static void test_reneg_both_often(void **state)
{
	(void)state;
	renegotiate(502, 2 * RIG_S, 2 * RIG_S, 0, 90 * RIG_S, 40);
}

static void test_reneg_loss(void **state)
{
	(void)state;
	renegotiate(503, 2 * RIG_S, 2 * RIG_S, 30, 150 * RIG_S, 8);
	renegotiate(504, 2 * RIG_S, 0, 30, 100 * RIG_S, 5);
	renegotiate(505, 0, 2 * RIG_S, 30, 100 * RIG_S, 5);
}

static uint64_t made_at(struct rig_end *end, bool (*so)(const struct rig *))
{
	rig_want(end->rig, rig_wait(end->rig, 70 * RIG_S, so));
	return end->rig->now;
}

static bool server_seals_with_1(const struct rig *r)
{
	return r->ends[0].data->keys[SL_KEY_PRIMARY] &&
	       r->ends[0].data->keys[SL_KEY_PRIMARY]->key_id == 1;
}

/* Both ask for a key in the same instant; both have the same one then. */
static void test_reneg_same_instant(void **state)
{
	struct rig r;

	(void)state;
	rig_live(&r, 506);
	wear_blocks(SERVER->data->keys[SL_KEY_PRIMARY]);
	wear_blocks(CLIENT->data->keys[SL_KEY_PRIMARY]);
	made_at(SERVER, server_seals_with_1);
	rig_run(&r, 20 * RIG_S);
	check_key_ids(&r, SERVER, 2);
	check_key_ids(&r, CLIENT, 2);
	rig_want(&r, SERVER->n_keys == 2 && CLIENT->n_keys == 2);
	rig_stream_good(&r);
	rig_check_joined(&r);
	rig_free(&r);
}

/* Packets of the old key that are on their way for long: they are welcome for a while. */
static void test_old_key_expires(void **state)
{
	uint8_t held[2][3][SL_DATA_OVERHEAD + 64];
	uint64_t since;
	struct rig r;
	int len = 0;

	(void)state;
	rig_live(&r, 507);
	for (unsigned e = 0; e < 2; e++)
		for (unsigned n = 0; n < 3; n++)
			len = rig_seal(&r.ends[e], held[e][n]);
	wear_blocks(SERVER->data->keys[SL_KEY_PRIMARY]);
	since = made_at(SERVER, server_seals_with_1);
	rig_run(&r, RIG_S);
	rig_stream_good(&r);
	for (unsigned n = 0; n < 3; n++) {
		static const uint64_t when[] = {RIG_S * 2, OLD_KEY_NS - RIG_S, OLD_KEY_NS + RIG_S};

		rig_run(&r, since + when[n] - r.now);
		for (unsigned e = 0; e < 2; e++) {
			struct rig_end *to = &r.ends[!e];

			rig_take(to, &r.ends[e].address, held[e][n], (size_t)len);
			rig_want(&r, to->last_error == (when[n] < OLD_KEY_NS ? 0 : -ENOKEY));
		}
	}
	rig_run(&r, RIG_S);
	rig_check_joined(&r);
	rig_free(&r);
}

/* A key that comes just when the one before it is due to go is not the one that goes. */
static void test_reneg_at_retirement(void **state)
{
	struct rig r;

	(void)state;
	for (unsigned extra = 0; extra < 8; extra++) {
		rig_pair(&r, 508 + extra);
		/* The replaced key goes some time after a switch; without data from the client the
		 * server has the new key for a round trip before it may switch to it. */
		SERVER->config.reneg_ns = OLD_KEY_NS + 8 * RIG_MS * extra;
		rig_up(SERVER);
		rig_up(CLIENT);
		rig_want(&r, rig_wait(&r, RIG_S, rig_joined));
		rig_run(&r, OLD_KEY_NS + 4 * RIG_S);
		rig_want(&r, rig_joined(&r));
		rig_check_joined(&r);
		rig_want(&r, SERVER->data->keys[SL_KEY_PRIMARY]->key_id == 1);
		rig_free(&r);
	}
}

static void test_worn(void **state)
{
	static void (*const wear[])(struct data_key *) = {wear_ids, wear_blocks, wear_failures};
	struct rig r;

	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		rig_live(&r, 520 + n);
		for (unsigned round = 0; round < 2; round++) {
			wear[n](r.ends[round].data->keys[SL_KEY_PRIMARY]);
			rig_run(&r, 8 * RIG_S);
			rig_want(&r, SERVER->n_keys == round + 2);
			rig_run(&r, 30 * RIG_S);
			rig_want(&r, SERVER->n_keys == round + 2 && CLIENT->n_keys == round + 2);
		}
		rig_stream_good(&r);
		rig_check_joined(&r);
		rig_want(&r, SERVER->n_connected == 1);
		rig_free(&r);
	}
}

/* A negotiation that cannot end costs no data, and a new session follows the network back. */
static void fail_renegotiation(uint64_t seed, bool by_server, uint64_t cut_ns)
{
	struct rig r;

	rig_live(&r, seed);
	r.cut = true;
	wear_ids(r.ends[!by_server].data->keys[SL_KEY_PRIMARY]);
	rig_run(&r, cut_ns);
	rig_stream_good(&r);
	rig_want(&r, SERVER->n_losses == 0 && CLIENT->n_losses == 0);
	rig_want(&r, rig_said(&r.ends[!by_server], "did not end in 60 s"));
	rig_forget_counts(&r);
	r.cut = false;
	rig_run(&r, 20 * RIG_S);
	rig_want(&r, SERVER->n_connected == 2 && CLIENT->n_connected == 2);
	/* What is on its way while the sessions change hands is lost: a round trip or two. */
	rig_want(&r, SERVER->failed + CLIENT->failed + SERVER->unsealed + CLIENT->unsealed < 20);
	rig_forget_counts(&r);
	rig_run(&r, 300 * RIG_S);
	rig_stream_good(&r);
	rig_want(&r, SERVER->n_connected == 2 && CLIENT->n_connected == 2);
	rig_check_joined(&r);
	rig_free(&r);
}

static void test_reneg_fails(void **state)
{
	(void)state;
	fail_renegotiation(530, true, 75 * RIG_S);
	fail_renegotiation(531, false, 75 * RIG_S);
	fail_renegotiation(532, true, 400 * RIG_S);
	fail_renegotiation(533, false, 400 * RIG_S);
}

/*
 * Ends that go and come.
 */

static bool server_lost(const struct rig *r)
{
	return r->ends[0].n_losses;
}

static bool client_lost(const struct rig *r)
{
	return r->ends[1].n_losses;
}

static void test_exit(void **state)
{
	struct rig r;

	(void)state;
	for (unsigned who = 0; who < 2; who++) {
		struct rig_end *leaver = &r.ends[who], *other = &r.ends[!who];

		rig_live(&r, 540 + who);
		r.stream_ns = 0;
		rig_want(&r, sl_control_exit(leaver->control, r.now));
		rig_down(leaver);
		rig_want(&r, rig_wait(&r, RIG_S, who ? server_lost : client_lost));
		rig_want(&r, rig_said(other, "goes away"));
		rig_want(&r, !other->data->keys[SL_KEY_PRIMARY] &&
				     !other->data->keys[SL_KEY_SECONDARY]);
		rig_run(&r, 100 * RIG_S);
		rig_want(&r, other->n_losses == 1);
		/* And back. */
		rig_up(leaver);
		rig_want(&r, rig_wait(&r, 20 * RIG_S, rig_joined));
		rig_run(&r, 30 * RIG_S);
		rig_check_joined(&r);
		rig_want(&r, other->n_connected == 2);
		rig_free(&r);
	}
}

static void test_exit_without_session(void **state)
{
	struct rig r;

	(void)state;
	rig_pair(&r, 545);
	rig_up(CLIENT);
	rig_want(&r, !sl_control_exit(CLIENT->control, r.now));
	sl_control_lost(CLIENT->control, "nothing", r.now);
	rig_run(&r, 10 * RIG_S);
	rig_want(&r, !sl_control_exit(CLIENT->control, r.now));
	rig_want(&r, !CLIENT->n_losses && !CLIENT->n_peers);
	rig_free(&r);
}

/* An end that has given its peer up finds it again; the other takes the new session. */
static void test_lost(void **state)
{
	struct rig r;

	(void)state;
	for (unsigned who = 0; who < 2; who++) {
		rig_live(&r, 550 + who);
		sl_control_lost(r.ends[who].control, "for the test", r.now);
		rig_want(&r, r.ends[who].n_losses == 1 && rig_said(&r.ends[who], "for the test"));
		rig_want(&r, !r.ends[who].peer.len && !rig_joined(&r));
		rig_want(&r, rig_wait(&r, 5 * RIG_S, rig_joined));
		rig_run(&r, 60 * RIG_S);
		rig_check_joined(&r);
		rig_want(&r, SERVER->n_connected == 2 && CLIENT->n_connected == 2);
		rig_free(&r);
	}
}

static void restart(uint64_t seed, bool server, bool server_has_remote, unsigned loss)
{
	struct rig r;

	rig_live(&r, seed);
	r.loss = loss;
	if (!server_has_remote)
		memset(&SERVER->config.remote, 0, sizeof(SERVER->config.remote));
	SERVER->restart_ns = CLIENT->restart_ns = 60 * RIG_S;
	for (unsigned round = 0; round < 3; round++) {
		struct rig_end *end = &r.ends[!server];

		rig_down(end);
		rig_run(&r, rig_random(&r) % (3 * RIG_S));
		rig_up(end);
		/* A server that knows no address is found by a client that misses it. */
		rig_want(&r, rig_wait(&r,
				      (loss			      ? 200
				       : server && !server_has_remote ? 65
								      : 5) *
					      RIG_S,
				      rig_joined));
		/* The stale packets of the session before may come now. */
		rig_run(&r, (loss ? 120 : 1) * RIG_S);
		rig_check_joined(&r);
		rig_forget_counts(&r);
		rig_run(&r, 30 * RIG_S);
		rig_stream_good(&r);
	}
	rig_free(&r);
}

static void test_restart(void **state)
{
	(void)state;
	restart(560, true, true, 0);
	restart(561, false, true, 0);
	restart(562, true, false, 0);
	restart(563, false, false, 0);
	restart(564, true, true, 30);
	restart(565, false, false, 30);
}

/* A client dies in the midst of a handshake, at any stage, and comes again: what the server
 * still sends to the first does not bother the second. */
static void test_restart_in_handshake(void **state)
{
	struct rig r;

	(void)state;
	for (int stage = 1; stage <= 5; stage++) {
		rig_pair(&r, 585 + (uint64_t)stage);
		memset(&SERVER->config.remote, 0, sizeof(SERVER->config.remote));
		rig_up(SERVER);
		CLIENT->budget = stage;
		rig_up(CLIENT);
		rig_run(&r, 300 * RIG_MS);
		rig_down(CLIENT);
		CLIENT->budget = -1;
		rig_up(CLIENT);
		rig_want(&r, rig_wait(&r, 3 * RIG_S, rig_joined));
		SERVER->n_connected = CLIENT->n_connected = 0;
		r.stream_ns = 50 * RIG_MS;
		rig_run(&r, 130 * RIG_S);
		rig_want(&r, !SERVER->n_connected && !CLIENT->n_connected);
		rig_stream_good(&r);
		rig_check_joined(&r);
		rig_free(&r);
	}
}

/* The client's key comes again from elsewhere: the first keeps its session until the second has
 * proven who it is, at whatever stage that one stands still. */
static void test_live_until_proven(void **state)
{
	struct rig r;

	(void)state;
	for (int stage = 1; stage <= 4; stage++) {
		struct rig_end *second;

		rig_pair(&r, 570 + (uint64_t)stage);
		SERVER->config.anywhere = true;
		rig_up(SERVER);
		rig_up(CLIENT);
		rig_want(&r, rig_wait(&r, RIG_S, rig_joined));
		r.stream_ns = 50 * RIG_MS;
		second = rig_end(&r, false, WHO_CLIENT, WHO_SERVER);
		second->config.remote = SERVER->address;
		second->budget = stage;
		rig_up(second);
		rig_run(&r, 150 * RIG_S);
		rig_want(&r, !second->n_connected && SERVER->n_connected == 1);
		rig_stream_good(&r);
		rig_check_joined(&r);
		second->muted = false;
		second->budget = -1;
		rig_run(&r, 65 * RIG_S);
		rig_want(&r, second->n_connected == 1 && SERVER->n_connected == 2);
		rig_want(&r, rig_passes(SERVER, second) && rig_passes(second, SERVER));
		rig_free(&r);
	}
}

/* The peer was heard from elsewhere: control packets go there, too. */
static void test_moved(void **state)
{
	struct rig r;

	(void)state;
	rig_live(&r, 580);
	SERVER->config.anywhere = true;
	CLIENT->address = rig_address(0x0a0000c8, 4000);
	sl_control_moved(SERVER->control, &CLIENT->address, r.now);
	SERVER->peer = CLIENT->address;
	rig_source(SERVER, &CLIENT->address)->proven = true; /* by data */
	rig_want(&r, rig_said(SERVER, "10.0.0.200:4000"));
	rig_run(&r, RIG_S);
	rig_forget_counts(&r);
	wear_ids(SERVER->data->keys[SL_KEY_PRIMARY]);
	rig_run(&r, 10 * RIG_S);
	rig_want(&r, SERVER->n_keys == 2);
	rig_stream_good(&r);
	rig_check_joined(&r);
	rig_free(&r);
}

/*
 * Ends that do not fit.
 */

/* They try for ever, at a pace that bothers nobody. */
static void misfit(uint64_t seed, struct rig *r, const char *server_says, const char *client_says)
{
	rig_up(&r->ends[0]);
	rig_up(&r->ends[1]);
	r->seed = seed;
	rig_run(r, 60 * RIG_S);
	rig_want(r, !server_says || rig_said(&r->ends[0], server_says));
	rig_want(r, !client_says || rig_said(&r->ends[1], client_says));
	rig_forget_counts(r);
	r->ends[0].n_lines = r->ends[1].n_lines = 0;
	rig_run(r, 600 * RIG_S);
	for (unsigned e = 0; e < 2; e++) {
		rig_want(r, !r->ends[e].n_peers && !r->ends[e].n_connected);
		rig_want(r, r->ends[e].sent <= 10 * 120);
		rig_want(r, r->ends[e].n_lines <= 10 * 40);
	}
	rig_want(r, r->ends[0].sent + r->ends[1].sent > 10);
	rig_free(r);
}

static void test_wrong_fingerprint(void **state)
{
	struct rig r;

	(void)state;
	/* The server expects another client. */
	rig_pair(&r, 590);
	memcpy(SERVER->config.peer, rig_identities[WHO_EVIL].fingerprint, FINGERPRINT_LEN);
	misfit(590, &r, "not the expected", "refused our certificate");
	/* The client expects another server. */
	rig_pair(&r, 591);
	memcpy(CLIENT->config.peer, rig_identities[WHO_EVIL].fingerprint, FINGERPRINT_LEN);
	misfit(591, &r, "refused our certificate", "not the expected");
}

static void test_same_roles(void **state)
{
	struct rig r;

	(void)state;
	rig_pair(&r, 592);
	SERVER->config.server = false;
	misfit(592, &r, "both ends are clients", "both ends are clients");
	rig_pair(&r, 593);
	CLIENT->config.server = true;
	misfit(593, &r, "both ends are servers", "both ends are servers");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_orders),
		cmocka_unit_test(test_starts_together),
		cmocka_unit_test(test_ciphers),
		cmocka_unit_test(test_loss),
		cmocka_unit_test(test_reordering),
		cmocka_unit_test(test_reneg_server),
		cmocka_unit_test(test_reneg_client),
		cmocka_unit_test(test_reneg_both_often),
		cmocka_unit_test(test_reneg_loss),
		cmocka_unit_test(test_reneg_same_instant),
		cmocka_unit_test(test_old_key_expires),
		cmocka_unit_test(test_reneg_at_retirement),
		cmocka_unit_test(test_worn),
		cmocka_unit_test(test_reneg_fails),
		cmocka_unit_test(test_exit),
		cmocka_unit_test(test_exit_without_session),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_restart_in_handshake),
		cmocka_unit_test(test_live_until_proven),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_wrong_fingerprint),
		cmocka_unit_test(test_same_roles),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
