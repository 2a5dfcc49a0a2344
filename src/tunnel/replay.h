/* SPDX-License-Identifier: BSD-2-Clause */
/* The replay window: which packet ids of a key have been seen (after RFC 6479). */
#ifndef SL_TUNNEL_REPLAY_H
#define SL_TUNNEL_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#define REPLAY_WINDOW 8192 /* ids below the newest that are still told apart */

/** struct replay - all zero: nothing seen */
struct replay {
	uint32_t top; /* the highest id seen */
	/* One word more than the window, so that the word being entered can be cleared whole. */
	uint64_t seen[REPLAY_WINDOW / 64 + 1];
};

/**
 * sl_replay_commit() - is this id new? Then it has been seen from now on.
 * @id: of a packet that is authentic
 *
 * Return: 1 when it is the highest so far, 0 when it is new all the same, -EALREADY when it
 * was seen before, is 0, or is older than the window. Leaves no reason.
 */
int sl_replay_commit(struct replay *replay, uint32_t id);

#endif
