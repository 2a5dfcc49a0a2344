/* SPDX-License-Identifier: BSD-2-Clause */
/* One queue of a TUN/TAP interface: its buffers, reading and writing. */
#ifndef SL_PORT_TAP_QUEUE_H
#define SL_PORT_TAP_QUEUE_H

#include <stdbool.h>

#include <sluice/arena.h>
#include <sluice/consumer.h>
#include <sluice/counters.h>
#include <sluice/producer.h>

#include "base/barrier.h"

/* Ethernet and two VLAN tags. */
#define TAP_L2_MAX 22

/**
 * struct tap_queue - a descriptor and the buffers that are read into
 * @stride: bytes from one buffer to the next
 * @free:   buffers that are not lent, the last given back on top: it is still in
 *          the cache
 * @cuts:   the kernel has refused a super-packet that was right, and took its segments
 */
struct tap_queue {
	int fd;
	bool vnet, cuts;
	unsigned layer;
	uint16_t region;
	struct sl_arena *arena;
	uint8_t *base;
	size_t stride;
	size_t room;
	uint32_t n_free;
	uint16_t *free;
	struct sl_count rx;
	struct sl_count tx __attribute__((aligned(SL_LINE))); /* another thread's */
};

/** sl_tap_queue_open() - make buffers for packets of @frame bytes */
int sl_tap_queue_open(struct tap_queue *queue, uint16_t region, size_t frame);

/** sl_tap_queue_attach() - read and write @fd, of @layer, from now on; not owned */
void sl_tap_queue_attach(struct tap_queue *queue, int fd, unsigned layer, bool vnet);

void sl_tap_queue_close(struct tap_queue *queue);

int sl_tap_queue_rx(struct tap_queue *queue, struct sl_ring *ring);
int sl_tap_queue_tx(struct tap_queue *queue, struct sl_ring *ring);

#endif
