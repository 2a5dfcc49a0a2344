/* SPDX-License-Identifier: BSD-2-Clause */
/* What the link needs beside <sluice/consumer.h>: it is a consumer of several pieces. */
#ifndef SL_RING_FREEZE_H
#define SL_RING_FREEZE_H

#include <sluice/ring.h>

/** sl_ring_freeze() - while @frozen, sl_ring_ready() finds no entries it has not told of */
void sl_ring_freeze(struct sl_ring *ring, bool frozen);

/** sl_ring_blocked_sleep() - about to sleep in spite of packets, as the port takes none.
 * Return: true when there is a recall. */
bool sl_ring_blocked_sleep(struct sl_ring *ring);

#endif
