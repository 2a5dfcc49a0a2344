/* SPDX-License-Identifier: BSD-2-Clause */
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/reason.h"
#include "tunnel/udp.h"

#define BUFFER_BYTES (4 << 20) /* what bursts need; the kernel's default is 208 KiB */

/* The second is what may be had without CAP_NET_ADMIN, up to net.core.[rw]mem_max. */
static void set_buffers(int fd)
{
	const int bytes = BUFFER_BYTES;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static int fail_bind(const struct sl_address *local, int err)
{
	char text[ADDRESS_TEXT];

	sl_address_format(local, text);
	if (err == EADDRINUSE)
		return sl_fail(err,
			       "local=%s is in use: another program has this port (ss -lunp shows "
			       "which)",
			       text);
	if (err == EADDRNOTAVAIL)
		return sl_fail(err, "local=%s is no address of this machine%s", text,
			       " (ip addr shows them), or not of this network namespace");
	return sl_fail(err, "cannot bind local=%s: %s", text, strerror(err));
}

/* Linux 5.0 */
static void set_gro(int fd, const struct sl_log *log)
{
	const int on = 1;

	if (setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)))
		sl_log(log, SL_LOG_INFO,
		       "tunnel: the kernel puts no received packets together here (UDP_GRO): each "
		       "comes by itself: %s",
		       strerror(errno));
}

int sl_udp_open(const struct sl_address *local, const struct sl_log *log, struct udp *out)
{
	const int on = 1, kind = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
	int ret;

	out->fd = socket(local->sa.sa_family, kind, 0);
	out->probe = socket(local->sa.sa_family, kind, 0);
	if (out->fd < 0 || out->probe < 0) {
		ret = sl_fail(errno, "cannot make a UDP socket: %m");
		sl_udp_close(out);
		return ret;
	}
	set_buffers(out->fd);
	setsockopt(out->fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
	set_gro(out->fd, log);
	if (!bind(out->fd, &local->sa, local->len))
		return 0;
	ret = fail_bind(local, errno);
	sl_udp_close(out);
	return ret;
}

void sl_udp_close(struct udp *udp)
{
	sl_fd_close(&udp->fd);
	sl_fd_close(&udp->probe);
}

unsigned sl_udp_path_mtu(const struct udp *udp, const struct sl_address *to)
{
	bool v4 = to->sa.sa_family == AF_INET;
	socklen_t len = sizeof(int);
	int mtu;

	if (connect(udp->probe, &to->sa, to->len) ||
	    getsockopt(udp->probe, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_MTU : IPV6_MTU, &mtu,
		       &len) ||
	    mtu < 576)
		return 1500;
	return mtu < 65535 ? (unsigned)mtu : 65535; /* the loopback interface has 65536 */
}
