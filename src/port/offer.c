/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports that are a NIC for somebody: a virtual machine (vhost-user), this machine's kernel (vduse).
 */
#include "base/reason.h"
#include "offer/kinds.h"
#include "offer/net.h"
#include "port/kinds.h"
#include "virtio/net.h"

#define PARAMS_NET                                                                                 \
	{"mac", SL_PARAM_MAC, 0, 0, 0, "MAC", "its hardware address, for who asks (random)"},      \
	{                                                                                          \
		"mtu", SL_PARAM_UINT, 0, VIRTIO_NET_MTU_MIN, 65535, "BYTES",                       \
			"largest IP packet (the other port's, or 1500)"                            \
	}

#define OPS_NET                                                                                    \
	.size = sizeof(struct sl_port_ops), .info = sl_net_info, .join = sl_net_join,              \
	.rx = sl_net_rx, .tx = sl_net_tx, .fd = sl_net_fd, .arm = sl_net_arm,                      \
	.control_fd = sl_net_control_fd, .control = sl_net_control, .deadline = sl_net_deadline,   \
	.carrier = sl_net_carrier, .stats = sl_net_stats, .close = sl_net_close

static int open_vhost_user(const struct sl_args *args, const struct sl_log *log,
			   struct sl_port **out)
{
	return sl_net_open(&sl_transport_vhost_user, args, &sl_port_vhost_user, log, out);
}

static const struct sl_param vhost_user_params[] = {
	SL_VHOST_USER_PARAMS,
	{"queues", SL_PARAM_UINT, 0, 1, SL_NET_PAIRS_MAX, "N", "pairs of virtqueues (1)"},
	PARAMS_NET,
	{NULL},
};

const struct sl_port_ops sl_port_vhost_user = {
	.kind = "vhost-user",
	.help = "a NIC for a virtual machine, or a DPDK program",
	.params = vhost_user_params,
	.open = open_vhost_user,
	OPS_NET,
};

static int open_vduse(const struct sl_args *args, const struct sl_log *log, struct sl_port **out)
{
	return sl_net_open(&sl_transport_vduse, args, &sl_port_vduse, log, out);
}

static const struct sl_param vduse_params[] = {SL_VDUSE_PARAMS, PARAMS_NET, {NULL}};

const struct sl_port_ops sl_port_vduse = {
	.kind = "vduse",
	.help = "a network interface of this machine's kernel, by VDUSE",
	.params = vduse_params,
	.open = open_vduse,
	OPS_NET,
};

static int open_uduse(const struct sl_args *args, const struct sl_log *log, struct sl_port **out)
{
	return sl_net_open(&sl_transport_uduse, args, &sl_port_uduse, log, out);
}

static const struct sl_param uduse_params[] = {SL_UDUSE_PARAMS, PARAMS_NET, {NULL}};

const struct sl_port_ops sl_port_uduse = {
	.kind = "uduse",
	.help = "a NIC for a driver in another process, which listens",
	.params = uduse_params,
	.open = open_uduse,
	OPS_NET,
};
