/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/reason.h"
#include "packet/mss.h"
#include "tunnel/data.h"
#include "tunnel/tunnel_private.h"

const uint8_t sl_tunnel_ping[CONTROL_STRING_LEN] = {
	0x2a, 0x18, 0x7b, 0xf3, 0x64, 0x1e, 0xb4, 0xcb,
	0x07, 0xed, 0x2d, 0x0a, 0x98, 0x1f, 0xc7, 0x48,
};
const uint8_t sl_tunnel_occ[CONTROL_STRING_LEN] = {
	0x28, 0x7f, 0x34, 0x6b, 0xd4, 0xef, 0x7a, 0x81,
	0x2d, 0x56, 0xb8, 0xd3, 0xaf, 0xc5, 0x45, 0x9c,
};

const struct sl_param sl_tunnel_params[] = {
	{"local", SL_PARAM_STRING, SL_PARAM_REQUIRED | SL_PARAM_IDENTITY, 1, 79, "ADDR:PORT",
	 "UDP address to receive at"},
	{"remote", SL_PARAM_STRING, 0, 1, 79, "ADDR:PORT",
	 "where the peer is; a server may do without"},
	{"identity", SL_PARAM_FILE, SL_PARAM_REQUIRED, 1, 255, "DIR",
	 "what sluice keygen --out DIR made"},
	{"peer", SL_PARAM_STRING, SL_PARAM_REQUIRED, 1, 255, "FINGERPRINT",
	 "SHA-256 of the peer's certificate, as keygen prints it"},
	{"role", SL_PARAM_WORD, SL_PARAM_REQUIRED, 0, 0, "server|client",
	 "who opens the session: one end of each"},
	{"cipher", SL_PARAM_WORD, 0, 0, 0, "aes-256-gcm|chacha20-poly1305",
	 "only this one (either, the server's first choice)"},
	{"aead", SL_PARAM_WORD, 0, 0, 0, "openssl|ipsec-mb", "whose cipher (the faster one here)"},
	{"ping", SL_PARAM_UINT, 0, 0, 3600, "S", "send a ping after S idle seconds, 0 never (10)"},
	{"ping-restart", SL_PARAM_UINT, 0, 0, 86400, "S",
	 "start over when nothing is heard for S seconds, 0 never (60)"},
	{"reneg", SL_PARAM_UINT, 0, 0, 86400, "S", "new key every S seconds, 0 when worn (3600)"},
	{"mss", SL_PARAM_UINT, 0, 0, 65495, "N",
	 "largest TCP segment let through, 0 no clamp (what fits)"},
	{"float", SL_PARAM_BOOL, 0, 0, 0, "on|off", "follow a peer to another address (off)"},
	{"layer", SL_PARAM_UINT, 0, 2, 3, "2|3", "carry Ethernet frames or IP packets (3)"},
	{"netns", SL_PARAM_STRING, SL_PARAM_IDENTITY, 1, 255, "NAME",
	 "network namespace of the UDP socket (this one)"},
	{NULL},
};

/*
 * Opening.
 */

static int parse_addresses(const struct sl_args *args, bool server, struct sl_address *local,
			   struct sl_address *remote)
{
	const char *text = sl_args_text(args, "remote", 0);
	int ret = sl_address_parse("local", sl_args_text(args, "local", 0), local);

	if (!ret && text)
		ret = sl_address_parse("remote", text, remote);
	if (ret)
		return ret;
	if (!text && !server)
		return sl_fail(EINVAL, "tunnel: role=client needs remote=ADDR:PORT: a client opens "
				       "the session");
	if (!text && !sl_address_port(local))
		return sl_fail(EINVAL,
			       "tunnel: local=%s has no port: nobody could find this server",
			       sl_args_text(args, "local", 0));
	if (text && !sl_address_port(remote))
		return sl_fail(EINVAL, "tunnel: remote=%s has no port", text);
	if (text && local->sa.sa_family != remote->sa.sa_family)
		return sl_fail(EINVAL, "tunnel: local= and remote= are of different families: give "
				       "both as IPv4 or both as IPv6");
	return 0;
}

static int open_receiver(struct receiver *rx)
{
	for (unsigned i = 0; i < BUFFERS; i++)
		rx->free[rx->n_free++] = (uint16_t)(BUFFERS - 1 - i);
	return sl_arena_create(BUFFERS * (size_t)STRIDE, 0, &rx->arena);
}

static int open_buffers(struct tunnel *t)
{
	int ret = open_receiver(&t->rx);

	if (ret)
		return ret;
	t->rx.base = sl_arena_region(t->rx.arena)->base;
	t->tx.scratch = malloc(SCRATCH_BYTES);
	t->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (!t->tx.scratch)
		return sl_fail(ENOMEM, "no memory for a tunnel");
	return t->event < 0 ? sl_fail(errno, "cannot make an eventfd: %m") : 0;
}

static void keep_parameters(struct tunnel *t, const struct sl_args *args)
{
	t->layer = (unsigned)sl_args_uint(args, "layer", 3);
	t->floats = sl_args_bool(args, "float", false);
	t->ping_ns = sl_args_uint(args, "ping", 10) * SL_NS_PER_S;
	t->ping_restart_ns = sl_args_uint(args, "ping-restart", 60) * SL_NS_PER_S;
	t->mss_given = sl_args_count(args, "mss");
	t->mss = (uint16_t)sl_args_uint(args, "mss", 0);
}

/* Outer headers, sealing, and what layer 2 carries besides the IP packet. */
static unsigned inner_mtu(const struct tunnel *t, unsigned outer)
{
	unsigned around =
		SL_DATA_OVERHEAD + 8 + (t->layer == 2 ? ETH_LEN : 0) + (t->ipv6 ? 40 : 20);

	return outer - around;
}

static void measure_path(struct tunnel *t, const struct sl_address *to)
{
	unsigned mtu = inner_mtu(t, to->len ? sl_udp_path_mtu(&t->udp, to) : 1500);

	sl_store_relaxed(&t->mtu, mtu);
}

static void send_control(void *ctx, const struct sl_address *to, const uint8_t *bytes, size_t len)
{
	const struct tunnel *t = ctx;

	/* What is lost is sent again: that is what the reliability layer is for. */
	if (sendto(t->udp.fd, bytes, len, MSG_DONTWAIT, &to->sa, to->len) < 0)
		sl_log(t->log, SL_LOG_DEBUG, "tunnel: cannot send to the peer: %m");
}

static void peer_changed(void *ctx, const struct sl_address *to)
{
	static const struct sl_address nobody;
	struct tunnel *t = ctx;

	t->rx.heard_at = sl_now_ns();
	memset(t->rx.last_ids, 0, sizeof(t->rx.last_ids));
	if (to)
		measure_path(t, to);
	sl_tunnel_set_peer(t, to ? to : &nobody);
}

static const struct control_ops control_ops = {.send = send_control, .peer = peer_changed};

static int choose_aead(struct tunnel *t, const char *name)
{
	const struct sl_aead_ops *ops = NULL;
	struct sl_aead *trial;
	uint8_t key[AEAD_KEY_LEN] = {0};
	int ret;

	if (name)
		for (unsigned i = 0; (ops = sl_aead_at(i)) && strcmp(ops->name, name) != 0; i++)
			;
	if (name && !ops)
		return sl_fail(ENOTSUP,
			       "tunnel: aead=%s: this sluice was built without it (on x86-64: apt "
			       "install libipsec-mb-dev, and build again)",
			       name);
	ret = sl_aead_create(ops, SL_CIPHER_AES_256_GCM, key, true, &trial);
	if (ret)
		return ret;
	sl_log(t->log, SL_LOG_INFO, "tunnel: %s encrypts", sl_aead_name(trial));
	sl_aead_release(trial);
	sl_data_set_aead(t->data, ops);
	return 0;
}

static int open_control(struct tunnel *t, const struct sl_args *args, struct control_config *config)
{
	int ret = sl_fingerprint_parse(sl_args_text(args, "peer", 0), config->peer);

	if (!ret)
		ret = sl_identity_load(sl_args_text(args, "identity", 0), &t->identity);
	if (!ret)
		ret = sl_data_create(&t->data);
	if (!ret)
		ret = choose_aead(t, sl_args_text(args, "aead", 0));
	if (ret)
		return ret;
	if (!CRYPTO_memcmp(config->peer, t->identity.fingerprint, FINGERPRINT_LEN))
		return sl_fail(EINVAL, "tunnel: peer= is this end's own fingerprint: it has to be "
				       "the other end's");
	config->layer = t->layer;
	config->identity = &t->identity;
	config->remote = t->remote;
	config->anywhere = t->floats && config->server;
	config->reneg_ns = sl_args_uint(args, "reneg", 3600) * SL_NS_PER_S;
	config->data = t->data;
	config->ops = &control_ops;
	config->ctx = t;
	config->log = t->log;
	return sl_control_create(config, &t->control);
}

static int open_all(struct tunnel *t, const struct sl_args *args)
{
	const unsigned all = (1u << SL_CIPHER_COUNT) - 1;
	struct control_config config = {
		.server = sl_args_uint(args, "role", 0) == 0,
		.ciphers = sl_args_count(args, "cipher")
				   ? 1u << sl_args_uint(args, "cipher", 0) /* as enum sl_cipher */
				   : all,
	};
	struct sl_address local;
	int ret;

	ret = parse_addresses(args, config.server, &local, &t->remote);
	t->ipv6 = !ret && local.sa.sa_family == AF_INET6;
	if (!ret)
		ret = open_control(t, args, &config);
	if (!ret)
		ret = sl_udp_open(&local, t->log, &t->udp);
	if (!ret)
		ret = open_buffers(t);
	if (ret)
		return ret;
	sl_yard_open(&t->tx.yard, t->udp.fd);
	measure_path(t, &t->remote);
	return 0;
}

int sl_tunnel_open(const struct sl_args *args, const struct sl_log *log,
		   const struct sl_port_ops *ops, struct sl_port **out)
{
	struct tunnel *t = sl_alloc_lines(sizeof(*t));
	int ret;

	if (!t)
		return sl_fail(ENOMEM, "no memory for a tunnel");
	t->port.ops = ops;
	t->log = log;
	t->udp = (struct udp){-1, -1};
	t->event = -1;
	pthread_mutex_init(&t->lock, NULL);
	keep_parameters(t, args);
	ret = open_all(t, args);
	if (ret) {
		sl_tunnel_close(&t->port);
		return ret;
	}
	*out = &t->port;
	return 0;
}

void sl_tunnel_close(struct sl_port *port)
{
	struct tunnel *t = tunnel_of(port);

	sl_control_release(t->control);
	sl_data_release(t->data);
	sl_identity_unload(&t->identity);
	sl_udp_close(&t->udp);
	sl_fd_close(&t->event);
	sl_arena_release(t->rx.arena);
	free(t->tx.scratch);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

void sl_tunnel_stop(struct sl_port *port)
{
	struct tunnel *t = tunnel_of(port);
	uint8_t bye[CONTROL_STRING_LEN + 1];
	uint64_t now_ns = sl_now_ns();

	sl_tunnel_forget(t);
	memcpy(bye, sl_tunnel_occ, CONTROL_STRING_LEN);
	bye[CONTROL_STRING_LEN] = OCC_EXIT;
	if (!sl_control_exit(t->control, now_ns))
		sl_tunnel_send_own(t, bye, sizeof(bye), now_ns);
}

/*
 * The peer, and staying in touch with it.
 */

void sl_tunnel_set_peer(struct tunnel *t, const struct sl_address *peer)
{
	t->rx.peer = *peer;
	pthread_mutex_lock(&t->lock);
	t->peer = *peer;
	sl_store_release(&t->peer_changes, t->peer_changes + 1);
	pthread_mutex_unlock(&t->lock);
}

void sl_tunnel_send_own(struct tunnel *t, const uint8_t *bytes, size_t len, uint64_t now_ns)
{
	uint8_t packet[SL_DATA_OVERHEAD + 64];
	struct sl_piece piece = {bytes, packet + SL_DATA_OVERHEAD, (uint32_t)len};
	int sealed = 0;

	if (t->rx.peer.len)
		sealed = sl_data_seal_aside(t->data, &t->unsent, packet, &piece, 1);
	/* -EBUSY: what the sender has is on its way, and no idle path needs a sign of life. */
	if (sealed > 0)
		sendto(t->udp.fd, packet, (size_t)sealed, MSG_DONTWAIT, &t->rx.peer.sa,
		       t->rx.peer.len);
	sl_store_relaxed(&t->sent_at, now_ns);
}

static uint64_t ping_at(const struct tunnel *t)
{
	return t->ping_ns && t->rx.peer.len ? sl_load_relaxed(&t->sent_at) + t->ping_ns
					    : UINT64_MAX;
}

static uint64_t lost_at(const struct tunnel *t)
{
	return t->ping_restart_ns && t->rx.peer.len ? t->rx.heard_at + t->ping_restart_ns
						    : UINT64_MAX;
}

int sl_tunnel_control(struct sl_port *port, uint64_t now_ns)
{
	struct tunnel *t = tunnel_of(port);

	sl_event_clear(t->event);
	if (t->rx.starved) /* it may have been heard, and nobody looked */
		t->rx.heard_at = now_ns;
	if (now_ns >= lost_at(t))
		sl_control_lost(t->control, "nothing was heard of it for ping-restart= seconds",
				now_ns);
	sl_control_step(t->control, now_ns);
	if (t->rx.peer.len && now_ns >= t->measure_at) {
		measure_path(t, &t->rx.peer);
		t->measure_at = now_ns + MEASURE_NS;
	}
	if (now_ns >= ping_at(t))
		sl_tunnel_send_own(t, sl_tunnel_ping, sizeof(sl_tunnel_ping), now_ns);
	return 0;
}

uint64_t sl_tunnel_deadline(const struct sl_port *port)
{
	const struct tunnel *t = tunnel_of(port);
	uint64_t deadline = sl_control_deadline(t->control);

	if (sl_load_relaxed(&t->n_answers))
		return 0; /* rx() posts them, or drops them when it has no room */
	return sl_min(deadline, sl_min(ping_at(t), lost_at(t)));
}

/*
 * The MSS clamp.
 */

static bool is_extension(uint8_t kind)
{
	return kind == IPPROTO_HOPOPTS || kind == IPPROTO_ROUTING || kind == IPPROTO_DSTOPTS;
}

bool sl_tunnel_is_syn(const struct tunnel *t, const uint8_t *bytes, size_t len)
{
	size_t ip = 0, tcp;

	if ((t->mss_given && !t->mss) || len < ETH_LEN + 2 * VLAN_LEN)
		return false;
	if (t->layer == 2)
		ip = sl_tunnel_l3(bytes);
	if (len < ip + 40)
		return false;
	if (bytes[ip] >> 4 == 4 && bytes[ip + 9] == IPPROTO_TCP)
		tcp = ip + (bytes[ip] & 15u) * 4;
	else if (bytes[ip] >> 4 == 6 && bytes[ip + 6] == IPPROTO_TCP)
		tcp = ip + 40;
	else
		return bytes[ip] >> 4 == 6 && is_extension(bytes[ip + 6]);
	return tcp + 13 < len && bytes[tcp + 13] & 2;
}

void sl_tunnel_clamp(const struct tunnel *t, uint8_t *bytes, size_t have, size_t len)
{
	unsigned ip = t->layer == 2 ? sl_tunnel_l3(bytes) : 0, mss = t->mss;

	/* Tags take room from the packet behind them. */
	if (!t->mss_given)
		mss = sl_load_relaxed(&t->mtu) - (ip ? ip - ETH_LEN : 0) -
		      (bytes[ip] >> 4 == 4 ? 40 : 60);
	sl_mss_clamp(bytes, have, len, t->layer, (uint16_t)mss, false);
}

/*
 * What the port is asked.
 */

#define SUPER_PACKETS (SL_CAN_CSUM | SL_CAN_TSO4 | SL_CAN_TSO6 | SL_CAN_USO)

/* Always attached: packets without a session are its own to count. */
void sl_tunnel_info(const struct sl_port *port, struct sl_port_info *info)
{
	const struct tunnel *t = tunnel_of(port);

	*info = (struct sl_port_info){
		.layer = t->layer,
		.queues = 1,
		.mtu_best = sl_load_relaxed(&t->mtu),
		.dirs = SL_PORT_RX | SL_PORT_TX,
		.attached = 1,
		.emits = t->merges,
		.accepts = SUPER_PACKETS | SL_CAN_ECN,
		.regions = sl_arena_region(t->rx.arena),
		.n_regions = 1,
	};
}

/* Received packets are put together only as the other side takes them: a TUN of Linux before 6.2,
 * of Debian 12, takes TCP and not UDP. */
int sl_tunnel_join(struct sl_port *port, const struct sl_port_info *other)
{
	tunnel_of(port)->merges = other->accepts & SUPER_PACKETS;
	return 0;
}

void sl_tunnel_stats(const struct sl_port *port, unsigned q, struct sl_counters *c)
{
	(void)q;
	sl_count_sum(&c->rx, &tunnel_of(port)->rx.count);
	sl_count_sum(&c->tx, &tunnel_of(port)->tx.count);
}

int sl_tunnel_fd(struct sl_port *port, unsigned q, unsigned dirs)
{
	(void)dirs;
	(void)q;
	return tunnel_of(port)->udp.fd;
}

int sl_tunnel_arm(struct sl_port *port, unsigned q, unsigned want)
{
	(void)port;
	(void)q;
	return (want & SL_PORT_RX ? POLLIN : 0) | (want & SL_PORT_TX ? POLLOUT : 0);
}

int sl_tunnel_control_fd(struct sl_port *port)
{
	return tunnel_of(port)->event;
}
