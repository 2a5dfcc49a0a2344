/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fitting: between a ring and a port that cannot take everything the ring may
 * hold. It cuts super-packets, does checksums, and copies what the port's hardware
 * cannot reach. It is the consumer of the one ring and the producer of another;
 * payload is lent on, not copied, unless it has to be.
 */
#ifndef SL_PACKET_FIT_H
#define SL_PACKET_FIT_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/counters.h>
#include <sluice/ring.h>

struct sl_fit;

/**
 * struct sl_fit_config - what is on either side
 * @emits:   SL_CAN_*: what packets may need done
 * @accepts: SL_CAN_*: what the port does itself
 * @layer:   2 or 3
 * @copy:    the port's hardware cannot reach the packets' regions
 * @region:  what fragments call the fitting's own memory
 */
struct sl_fit_config {
	uint32_t emits;
	uint32_t accepts;
	unsigned layer;
	bool copy;
	uint16_t region;
};

/** sl_fit_needed() - do the two sides differ? */
bool sl_fit_needed(const struct sl_fit_config *config);

/**
 * sl_fit_create() - put a fitting behind a ring
 * @in:  the ring it consumes; not owned
 * Return: 0 or -ENOMEM
 */
int sl_fit_create(const struct sl_fit_config *config, struct sl_ring *in, struct sl_fit **out);
void sl_fit_release(struct sl_fit *fit);

/** sl_fit_ring() - the ring it produces; it lives as long as the fitting */
struct sl_ring *sl_fit_ring(const struct sl_fit *fit);

/** sl_fit_region() - the fitting's own memory, which its packets may point into */
const struct sl_region *sl_fit_region(const struct sl_fit *fit);

/** sl_fit_step() - move what can be moved; returns how much that was */
int sl_fit_step(struct sl_fit *fit, struct sl_count *count);

/** sl_fit_flush() - go on with what was begun, take nothing new */
void sl_fit_flush(struct sl_fit *fit, struct sl_count *count);

/**
 * sl_fit_recall() - take back what it handed on
 *
 * The consumer of its ring holds nothing (sl_ring_in_flight() is 0 or it has stopped).
 * Packets on their way are dropped; all that was taken from the incoming ring is
 * given back.
 *
 * Return: incoming packets that were lost whole or in part
 */
uint32_t sl_fit_recall(struct sl_fit *fit);

#endif
