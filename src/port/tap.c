/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports tun: and tap: an interface of the kernel's own network stack. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/barrier.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/reason.h"
#include "port/kinds.h"
#include "port/netif.h"
#include "port/tap_queue.h"
#include "port/tun.h"

#define ADDRS_MAX      16
#define IPV6_MTU_LEAST 1280u	   /* an interface with less has no IPv6 (RFC 8200, 5) */
#define RETRY_NS       SL_NS_PER_S /* how often to look for an interface that went away */

struct tap {
	struct sl_port port;
	const struct sl_log *log;
	struct tun tun;
	bool offload;
	bool adopted; /* from fd=N: cannot be attached again */
	char *netns;
	uint32_t attached;
	uint32_t generation;
	uint64_t retry_at;
	unsigned mtu;
	uint8_t mac[6];
	bool mtu_given;
	struct { /* what was asked for, to be asked for again */
		unsigned mtu;
		bool has_mac;
		uint8_t mac[6];
		unsigned n_addrs;
		char *addrs[ADDRS_MAX];
	} wanted;
	pthread_mutex_t lock; /* nif, source_*: statistics are asked for by any thread */
	struct netif nif;
	uint64_t source_base; /* the kernel's count when the port attached, less what came before */
	uint64_t source_drops;
	struct sl_region regions[TUN_QUEUES_MAX];
	struct tap_queue queues[TUN_QUEUES_MAX];
};

static struct tap *tap_of(const struct sl_port *port)
{
	return sl_container_of((uintptr_t)port, struct tap, port);
}

/*
 * Opening.
 */

static int configure(struct tap *tap)
{
	struct netif_state state;
	int ret = sl_netif_set(&tap->nif, tap->wanted.mtu,
			       tap->wanted.has_mac ? tap->wanted.mac : NULL);

	for (unsigned n = 0; !ret && n < tap->wanted.n_addrs; n++)
		ret = sl_netif_add_addr(&tap->nif, tap->wanted.addrs[n]);
	if (ret)
		return ret;
	ret = sl_netif_get(&tap->nif, &state);
	if (ret)
		return sl_fail(-ret, "interface %s went away while it was set up", tap->tun.name);
	tap->mtu = tap->wanted.mtu = state.mtu; /* the link was made for this one */
	tap->source_base = state.tx_dropped - tap->source_drops;
	memcpy(tap->mac, state.mac, sizeof(tap->mac));
	return 0;
}

static int attach(struct tap *tap, const struct sl_args *args)
{
	const char *name = sl_args_text(args, "name", 0);
	int ret;

	if (sl_args_count(args, "fd")) {
		tap->adopted = true;
		return sl_tun_adopt(&tap->tun, (int)sl_args_uint(args, "fd", 0), tap->offload,
				    tap->log);
	}
	snprintf(tap->tun.name, sizeof(tap->tun.name), "%s", name);
	tap->tun.queues = (unsigned)sl_args_uint(args, "queues", 1);
	ret = sl_tun_create(&tap->tun, tap->offload, tap->log);
	if (ret)
		tap->tun.queues = 0;
	return ret;
}

static int open_queues(struct tap *tap)
{
	/* VLAN tags come on top of the MTU; 64 KiB is the largest super-packet. */
	size_t frame = tap->tun.can ? 65536 : tap->mtu;
	int ret = 0;

	for (unsigned q = 0; q < tap->tun.queues && !ret; q++) {
		ret = sl_tap_queue_open(&tap->queues[q], (uint16_t)q, frame + TAP_L2_MAX);
		if (!ret)
			tap->regions[q] = *sl_arena_region(tap->queues[q].arena);
	}
	for (unsigned q = 0; q < tap->tun.queues && !ret; q++)
		sl_tap_queue_attach(&tap->queues[q], tap->tun.fds[q], tap->tun.layer,
				    tap->tun.vnet);
	return ret;
}

static void tap_close(struct sl_port *port)
{
	struct tap *tap = tap_of(port);

	for (unsigned q = 0; q < TUN_QUEUES_MAX; q++)
		sl_tap_queue_close(&tap->queues[q]);
	sl_tun_detach(&tap->tun);
	sl_netif_close(&tap->nif);
	pthread_mutex_destroy(&tap->lock);
	for (unsigned n = 0; n < tap->wanted.n_addrs; n++)
		free(tap->wanted.addrs[n]);
	free(tap->netns);
	free(tap);
}

static int open_in_netns(struct tap *tap, const struct sl_args *args)
{
	int ret = attach(tap, args);

	if (!ret)
		ret = sl_netif_open(&tap->nif, tap->tun.name);
	if (!ret)
		ret = configure(tap);
	return ret ? ret : open_queues(tap);
}

static int check_args(const struct sl_args *args, const char *kind)
{
	bool fd = sl_args_count(args, "fd");

	if (fd == !!sl_args_count(args, "name"))
		return sl_fail(EINVAL, "%s: one of name=IF and fd=N is needed", kind);
	if (fd && (sl_args_count(args, "queues") || sl_args_count(args, "netns")))
		return sl_fail(EINVAL, "%s: queues= and netns= do not go with fd=", kind);
	return 0;
}

static int remember(struct tap *tap, const struct sl_args *args)
{
	const char *netns = sl_args_text(args, "netns", 0);
	unsigned addrs = sl_args_count(args, "addr");

	tap->wanted.mtu = (unsigned)sl_args_uint(args, "mtu", 0);
	tap->mtu_given = tap->wanted.mtu;
	tap->wanted.has_mac = sl_args_mac(args, "mac", tap->wanted.mac);
	if (addrs > ADDRS_MAX)
		return sl_fail(EINVAL, "%s: %u addresses: %d at most", tap->port.ops->kind, addrs,
			       ADDRS_MAX);
	if (netns && !(tap->netns = strdup(netns)))
		return sl_fail(ENOMEM, "no memory for a port");
	for (unsigned n = 0; n < addrs; n++) {
		tap->wanted.addrs[n] = strdup(sl_args_text(args, "addr", n));
		if (!tap->wanted.addrs[n])
			return sl_fail(ENOMEM, "no memory for a port");
		tap->wanted.n_addrs++;
	}
	return 0;
}

static int open_layer(const struct sl_port_ops *ops, unsigned layer, const struct sl_args *args,
		      const struct sl_log *log, struct sl_port **out)
{
	const char *netns = sl_args_text(args, "netns", 0);
	struct tap *tap;
	int back, ret = check_args(args, ops->kind);

	if (ret)
		return ret;
	tap = sl_alloc_lines(sizeof(*tap));
	if (!tap)
		return sl_fail(ENOMEM, "no memory for a port");
	tap->port.ops = ops;
	tap->log = log;
	tap->tun.layer = layer;
	tap->offload = sl_args_bool(args, "offload", true);
	tap->attached = 1;
	pthread_mutex_init(&tap->lock, NULL);
	ret = remember(tap, args);
	if (!ret)
		ret = sl_netns_enter(netns, &back);
	if (!ret) {
		ret = open_in_netns(tap, args);
		if (sl_netns_leave(back) && !ret)
			ret = -EIO;
	}
	if (!ret) {
		*out = &tap->port;
		return 0;
	}
	if (tap->adopted)
		tap->tun.queues = 0; /* the descriptor is still the caller's */
	tap_close(&tap->port);
	return ret;
}

/* Better that senders know than that what they send is cut up or refused. */
static int tap_join(struct sl_port *port, const struct sl_port_info *other)
{
	struct tap *tap = tap_of(port);
	unsigned mtu = sl_max(other->mtu_best, IPV6_MTU_LEAST);

	if (tap->mtu_given || !other->mtu_best || mtu >= tap->mtu)
		return 0;
	if (sl_netif_set(&tap->nif, mtu, NULL)) /* one of fd= may not be ours to change */
		sl_log(tap->log, SL_LOG_INFO, "%s keeps its MTU of %u; %u would be better: %s",
		       tap->tun.name, tap->mtu, mtu, sl_reason());
	else
		tap->mtu = tap->wanted.mtu = mtu;
	return 0;
}

/*
 * Going away and coming back. An interface that somebody deletes is gone; when one
 * of its name is made again, the port attaches to it.
 */

static int attach_again(struct tap *tap)
{
	int ret = sl_netif_find(&tap->nif);

	if (ret)
		return ret;
	sl_tun_detach(&tap->tun);
	ret = sl_tun_create(&tap->tun, tap->offload, tap->log);
	if (!ret)
		ret = configure(tap);
	for (unsigned q = 0; q < tap->tun.queues && !ret; q++)
		sl_tap_queue_attach(&tap->queues[q], tap->tun.fds[q], tap->tun.layer,
				    tap->tun.vnet);
	return ret;
}

static int tap_control(struct sl_port *port, uint64_t now_ns)
{
	struct tap *tap = tap_of(port);
	int back, ret;

	if (sl_load_relaxed(&tap->attached) || tap->adopted || now_ns < tap->retry_at)
		return 0;
	tap->retry_at = now_ns + RETRY_NS;
	ret = sl_netns_enter(tap->netns, &back);
	if (ret)
		return 0;
	pthread_mutex_lock(&tap->lock);
	ret = attach_again(tap);
	pthread_mutex_unlock(&tap->lock);
	if (sl_netns_leave(back))
		sl_log(tap->log, SL_LOG_ERROR, "%s", sl_reason());
	if (ret)
		return 0; /* not there, or not ours yet: look again later */
	sl_store_relaxed(&tap->attached, 1);
	tap->generation++;
	return 1;
}

static uint64_t tap_deadline(const struct sl_port *port)
{
	const struct tap *tap = tap_of(port);

	return sl_load_relaxed(&tap->attached) || tap->adopted ? SL_NEVER : tap->retry_at;
}

/*
 * The data path, and what the port says of itself.
 */

static int tap_rx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct tap *tap = tap_of(port);

	return sl_tap_queue_rx(&tap->queues[q], ring);
}

static int tap_tx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct tap *tap = tap_of(port);
	struct tap_queue *queue = &tap->queues[q];
	bool cut = queue->cuts;
	int ret = sl_tap_queue_tx(queue, ring);

	if (queue->cuts && !cut)
		sl_log(tap->log, SL_LOG_INFO,
		       "%s: the kernel refuses super-packets written to it: they are cut",
		       tap->tun.name);
	return ret;
}

/* Only from now on may control() take the descriptors away: nobody is inside rx() or tx(). */
static void tap_stop(struct sl_port *port)
{
	sl_store_relaxed(&tap_of(port)->attached, 0);
}

static int tap_fd(struct sl_port *port, unsigned q, unsigned dirs)
{
	(void)dirs;
	return tap_of(port)->tun.fds[q];
}

static int tap_arm(struct sl_port *port, unsigned q, unsigned want)
{
	(void)port;
	(void)q;
	return (want & SL_PORT_RX ? POLLIN : 0) | (want & SL_PORT_TX ? POLLOUT : 0);
}

static void tap_info(const struct sl_port *port, struct sl_port_info *info)
{
	const struct tap *tap = tap_of(port);

	*info = (struct sl_port_info){
		.layer = tap->tun.layer,
		.queues = tap->tun.queues,
		.mtu = tap->mtu,
		.dirs = SL_PORT_RX | SL_PORT_TX,
		.attached = (uint8_t)sl_load_relaxed(&tap->attached),
		.emits = tap->tun.can,
		.accepts = tap->tun.can,
		.regions = tap->regions,
		.n_regions = tap->tun.queues,
		.generation = tap->generation,
	};
	if (tap->tun.layer == 2)
		memcpy(info->mac, tap->mac, sizeof(info->mac));
}

/* What the kernel dropped because nobody read the interface fast enough. */
static uint64_t source_drops(struct tap *tap)
{
	struct netif_state state;
	uint64_t drops;

	pthread_mutex_lock(&tap->lock);
	if (!sl_netif_get(&tap->nif, &state) &&
	    state.tx_dropped - tap->source_base < UINT64_MAX / 2)
		tap->source_drops = state.tx_dropped - tap->source_base;
	drops = tap->source_drops;
	pthread_mutex_unlock(&tap->lock);
	return drops;
}

static void tap_stats(const struct sl_port *port, unsigned q, struct sl_counters *c)
{
	struct tap *tap = tap_of(port);

	sl_count_sum(&c->rx, &tap->queues[q].rx);
	sl_count_sum(&c->tx, &tap->queues[q].tx);
	if (q == 0)
		c->rx.drops[SL_DROP_SOURCE] += source_drops(tap);
}

/*
 * The two kinds.
 */

#define PARAMS_BOTH                                                                                 \
	{                                                                                           \
		"name",                                                                             \
		SL_PARAM_STRING,                                                                    \
		SL_PARAM_IDENTITY,                                                                  \
		1,                                                                                  \
		15,                                                                                 \
		"IF",                                                                               \
		"interface to make or attach to"},                                                  \
		{"mtu", SL_PARAM_UINT, 0, 68, 65521, "N", "its MTU in bytes (the kernel's: 1500)"}, \
		{"queues", SL_PARAM_UINT, 0, 1, TUN_QUEUES_MAX, "N", "queues, 1 to 16 (1)"},        \
		{"addr",                                                                            \
		 SL_PARAM_CIDR,                                                                     \
		 SL_PARAM_MANY,                                                                     \
		 0,                                                                                 \
		 0,                                                                                 \
		 "CIDR",                                                                            \
		 "address to give it; may be repeated"},                                            \
		{"netns",                                                                           \
		 SL_PARAM_STRING,                                                                   \
		 SL_PARAM_IDENTITY,                                                                 \
		 1,                                                                                 \
		 255,                                                                               \
		 "NAME",                                                                            \
		 "network namespace to make it in (this one)"},                                     \
		{"offload",                                                                         \
		 SL_PARAM_BOOL,                                                                     \
		 0,                                                                                 \
		 0,                                                                                 \
		 1,                                                                                 \
		 "on|off",                                                                          \
		 "take and give checksum, TSO and USO work (on)"},                                  \
	{                                                                                           \
		"fd", SL_PARAM_UINT, SL_PARAM_IDENTITY, 0, 1048576, "N",                            \
			"use this open TUN/TAP descriptor instead of name="                         \
	}

static const struct sl_param tun_params[] = {PARAMS_BOTH, {NULL}};

static const struct sl_param tap_params[] = {
	PARAMS_BOTH,
	{"mac", SL_PARAM_MAC, 0, 0, 0, "MAC", "its hardware address (random)"},
	{NULL},
};

static int open_tun(const struct sl_args *args, const struct sl_log *log, struct sl_port **out)
{
	return open_layer(&sl_port_tun, 3, args, log, out);
}

static int open_tap(const struct sl_args *args, const struct sl_log *log, struct sl_port **out)
{
	return open_layer(&sl_port_tap, 2, args, log, out);
}

#define OPS_BOTH                                                                                   \
	.size = sizeof(struct sl_port_ops), .info = tap_info, .join = tap_join, .rx = tap_rx,      \
	.tx = tap_tx, .fd = tap_fd, .arm = tap_arm, .control = tap_control,                        \
	.deadline = tap_deadline, .stop = tap_stop, .stats = tap_stats, .close = tap_close

const struct sl_port_ops sl_port_tun = {
	.kind = "tun",
	.help = "an interface of the kernel's stack that carries IP packets",
	.params = tun_params,
	.open = open_tun,
	OPS_BOTH,
};

const struct sl_port_ops sl_port_tap = {
	.kind = "tap",
	.help = "an interface of the kernel's stack that carries Ethernet frames",
	.params = tap_params,
	.open = open_tap,
	OPS_BOTH,
};
