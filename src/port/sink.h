/* SPDX-License-Identifier: BSD-2-Clause */
/* What ports share that take packets only to forget them, and have no descriptor. */
#ifndef SL_PORT_SINK_H
#define SL_PORT_SINK_H

#include <sluice/consumer.h>
#include <sluice/counters.h>
#include <sluice/port.h>

#include "base/count.h"

#define SINK_ACCEPTS (SL_CAN_CSUM | SL_CAN_TSO4 | SL_CAN_TSO6 | SL_CAN_USO | SL_CAN_ECN)

/* Take, count and give back all that is ready. */
static inline int sink_tx(struct sl_ring *ring, struct sl_count *count)
{
	uint32_t at, ready = sl_ring_ready(ring, &at);
	uint64_t bytes = 0;

	sl_ring_for_each (packet, ring, at, ready)
		bytes += sl_ring_packet_len(ring, packet);
	sl_ring_consume(ring, ready);
	sl_count_add(&count->packets, ready);
	sl_count_add(&count->bytes, bytes);
	return (int)ready;
}

static inline int sink_fd(struct sl_port *port, unsigned q, unsigned dirs)
{
	(void)dirs;
	(void)port;
	(void)q;
	return -1;
}

/* Nothing here ever waits to be written. */
static inline int sink_arm(struct sl_port *port, unsigned q, unsigned want)
{
	(void)port;
	(void)q;
	return want & SL_PORT_TX ? SL_PORT_READY : 0;
}

#endif
