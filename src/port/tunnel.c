/* SPDX-License-Identifier: BSD-2-Clause */
/* Port tunnel: packets go to a peer over UDP, encrypted, in OpenVPN's protocol. */
#include "tunnel/tunnel.h"
#include "base/reason.h"
#include "port/kinds.h"
#include "port/netif.h"

static int tunnel_open(const struct sl_args *args, const struct sl_log *log, struct sl_port **out)
{
	int back, ret = sl_netns_enter(sl_args_text(args, "netns", 0), &back);

	if (ret)
		return ret;
	ret = sl_tunnel_open(args, log, &sl_port_tunnel, out);
	if (!sl_netns_leave(back) || ret)
		return ret;
	sl_tunnel_close(*out);
	return -EIO;
}

const struct sl_port_ops sl_port_tunnel = {
	.size = sizeof(struct sl_port_ops),
	.kind = "tunnel",
	.help = "a peer across a network, encrypted; OpenVPN's protocol",
	.params = sl_tunnel_params,
	.open = tunnel_open,
	.info = sl_tunnel_info,
	.join = sl_tunnel_join,
	.rx = sl_tunnel_rx,
	.tx = sl_tunnel_tx,
	.fd = sl_tunnel_fd,
	.arm = sl_tunnel_arm,
	.control_fd = sl_tunnel_control_fd,
	.control = sl_tunnel_control,
	.deadline = sl_tunnel_deadline,
	.stop = sl_tunnel_stop,
	.stats = sl_tunnel_stats,
	.close = sl_tunnel_close,
};
