/* SPDX-License-Identifier: BSD-2-Clause */
/* One end of a tunnel, between a UDP socket and two rings: what the port tunnel: adapts. */
#ifndef SL_TUNNEL_TUNNEL_H
#define SL_TUNNEL_TUNNEL_H

#include <sluice/port.h>

/** what sl_tunnel_open() understands; netns is the caller's affair */
extern const struct sl_param sl_tunnel_params[];

/**
 * sl_tunnel_open() - bind, load the identity; the peer is looked for once control() is called
 * @args: parsed with sl_tunnel_params
 * @ops:  of the port that it is
 *
 * Return: 0 or a negative errno with a reason.
 */
int sl_tunnel_open(const struct sl_args *args, const struct sl_log *log,
		   const struct sl_port_ops *ops, struct sl_port **out);

/* The port's operations: see <sluice/port.h>. stop() also says goodbye to the peer. */
void sl_tunnel_info(const struct sl_port *port, struct sl_port_info *info);
int sl_tunnel_join(struct sl_port *port, const struct sl_port_info *other);
int sl_tunnel_rx(struct sl_port *port, unsigned q, struct sl_ring *ring);
int sl_tunnel_tx(struct sl_port *port, unsigned q, struct sl_ring *ring);
int sl_tunnel_fd(struct sl_port *port, unsigned q, unsigned dirs);
int sl_tunnel_arm(struct sl_port *port, unsigned q, unsigned want);
int sl_tunnel_control_fd(struct sl_port *port);
int sl_tunnel_control(struct sl_port *port, uint64_t now_ns);
uint64_t sl_tunnel_deadline(const struct sl_port *port);
void sl_tunnel_stop(struct sl_port *port);
void sl_tunnel_stats(const struct sl_port *port, unsigned q, struct sl_counters *c);
void sl_tunnel_close(struct sl_port *port);

#endif
