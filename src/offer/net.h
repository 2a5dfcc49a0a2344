/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * To be a NIC (virtio 1.2, 5.1) for a guest or a kernel: an offer whose queues carry packets to and
 * from the rings of a link. These are the operations of a port; src/port/offer.c has the tables.
 *
 * net.c         what the device is, its control: everything that is not packets, behind all locks
 * net_rx.c      out of the guest: its buffers are lent to the ring, and given back in order
 * net_tx.c      into the guest: one copy, into as many buffers as it takes
 * net_queue.c   starting, stopping, recall; kicks
 */
#ifndef SL_OFFER_NET_H
#define SL_OFFER_NET_H

#include <sluice/port.h>

#include "offer/offer.h"

#define SL_NET_PAIRS_MAX 16u

/**
 * sl_net_open() - be a NIC
 * @via:  how it is reached
 * @args: of the transport's and of net's parameters: mac=, mtu=, queues=
 * @ops:  of the port, whose kind it is
 * @log:  NULL for silence
 * @out:  the port
 */
int sl_net_open(const struct transport_ops *via, const struct sl_args *args,
		const struct sl_port_ops *ops, const struct sl_log *log, struct sl_port **out);

void sl_net_info(const struct sl_port *p, struct sl_port_info *i);
int sl_net_join(struct sl_port *p, const struct sl_port_info *other);
int sl_net_rx(struct sl_port *p, unsigned q, struct sl_ring *ring);
int sl_net_tx(struct sl_port *p, unsigned q, struct sl_ring *ring);
int sl_net_fd(struct sl_port *p, unsigned q, unsigned dirs);
int sl_net_arm(struct sl_port *p, unsigned q, unsigned want);
int sl_net_control_fd(struct sl_port *p);
int sl_net_control(struct sl_port *p, uint64_t now_ns);
uint64_t sl_net_deadline(const struct sl_port *p);
void sl_net_carrier(struct sl_port *p, bool up);
void sl_net_stats(const struct sl_port *p, unsigned q, struct sl_counters *c);
void sl_net_close(struct sl_port *p);

#endif
