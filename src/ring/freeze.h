/* SPDX-License-Identifier: BSD-2-Clause */
/* For a consumer that looks at packets before another piece of it takes them. */
#ifndef SL_RING_FREEZE_H
#define SL_RING_FREEZE_H

#include <sluice/ring.h>

/** sl_ring_freeze() - while @frozen, sl_ring_ready() finds no entries it has not told of */
void sl_ring_freeze(struct sl_ring *ring, bool frozen);

#endif
