/* SPDX-License-Identifier: BSD-2-Clause */
/* The tunnel's socket. */
#ifndef SL_TUNNEL_UDP_H
#define SL_TUNNEL_UDP_H

#include <sluice/log.h>

#include "tunnel/address.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/** struct udp - @probe is never sent on: connecting it tells a path's MTU */
struct udp {
	int fd;
	int probe;
};

/** sl_udp_open() - bind @local in the namespace this thread is in; 0 or a negative errno with a
 * reason. @log is told what the kernel lacks. */
int sl_udp_open(const struct sl_address *local, const struct sl_log *log, struct udp *out);
void sl_udp_close(struct udp *udp);

/** sl_udp_path_mtu() - largest IP packet to @to, in bytes; 1500 when nobody knows */
unsigned sl_udp_path_mtu(const struct udp *udp, const struct sl_address *to);

#endif
