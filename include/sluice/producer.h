/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The producer's side of a link ring: what a port does that receives. One thread
 * at a time. The contract is docs/ring.md.
 */
#ifndef SLUICE_PRODUCER_H
#define SLUICE_PRODUCER_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/ring.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * sl_ring_room() - entries that may be filled now
 * @at: index of the first of them
 *
 * Only reclaimed entries are free: see sl_ring_returned(). Zero while a recall
 * is under way.
 */
uint32_t sl_ring_room(struct sl_ring *ring, uint32_t *at);

/** sl_ring_frag_room() - further fragments that are free now */
uint32_t sl_ring_frag_room(const struct sl_ring *ring);

/**
 * sl_ring_chain() - give the entry at @at, not yet posted, its fragments
 * @frags: 1 to SL_PACKET_FRAGS_MAX of them, copied
 *
 * To be called once an entry, in the order in which entries are posted.
 *
 * Return: 0; -EMSGSIZE for too many (linearise them first); -EINVAL for none, or for an
 * entry that is not free, which breaks the ring;
 * -ENOSPC when the fragment array has no room now.
 */
int sl_ring_chain(struct sl_ring *ring, uint32_t at, const struct sl_frag *frags, uint32_t count);

/** sl_ring_post() - hand over the next @count entries; at most what was free */
void sl_ring_post(struct sl_ring *ring, uint32_t count);

/**
 * sl_ring_returned() - entries that have come back and wait to be reclaimed
 * @at: index of the first of them
 *
 * Their buffers are the producer's again; their cookies say which.
 */
uint32_t sl_ring_returned(struct sl_ring *ring, uint32_t *at);

/** sl_ring_reclaim() - make @count returned entries, the oldest, free to fill */
void sl_ring_reclaim(struct sl_ring *ring, uint32_t count);

/** sl_ring_recall() - ask for everything back; sl_ring_room() is 0 until it is */
void sl_ring_recall(struct sl_ring *ring);

/**
 * sl_ring_recall_done() - has everything come back? Ends the recall when so.
 *
 * Only after it returned true may lent memory be unmapped.
 */
bool sl_ring_recall_done(struct sl_ring *ring);

/** sl_ring_producer_sleep() - about to sleep until entries return. Return: true when some have, do
 * not. */
bool sl_ring_producer_sleep(struct sl_ring *ring);

/** sl_ring_wake_consumer() - after posting or recalling: wake it if it sleeps */
void sl_ring_wake_consumer(struct sl_ring *ring);

#ifdef __cplusplus
}
#endif
#endif
