/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The consumer's side of a link ring: what a port does that sends. One thread at a
 * time. The contract is docs/ring.md.
 */
#ifndef SLUICE_CONSUMER_H
#define SLUICE_CONSUMER_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/ring.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * sl_ring_ready() - entries handed over and not yet taken
 * @at: index of the first of them
 *
 * Zero while a recall is under way: see sl_ring_recalled().
 */
uint32_t sl_ring_ready(struct sl_ring *ring, uint32_t *at);

/** sl_ring_consume() - take @count ready entries and give them back at once, in order */
void sl_ring_consume(struct sl_ring *ring, uint32_t count);

/** sl_ring_take() - put @count ready entries in flight; each needs sl_ring_done() */
void sl_ring_take(struct sl_ring *ring, uint32_t count);

/** sl_ring_done() - finish the entry in flight at @at; any order; once each */
void sl_ring_done(struct sl_ring *ring, uint32_t at);

/**
 * sl_ring_abandon() - give back all that is in flight, finished or not
 *
 * For a consumer that has stopped: nothing it held is touched any more.
 */
void sl_ring_abandon(struct sl_ring *ring);

/** sl_ring_in_flight() - entries taken and not yet given back */
uint32_t sl_ring_in_flight(const struct sl_ring *ring);

/** sl_ring_recalled() - is the producer asking for its memory? */
bool sl_ring_recalled(struct sl_ring *ring);

/**
 * sl_ring_yield() - answer a recall: begin = next = end. Nothing happens without one.
 *
 * The consumer holds no lent memory any more when it calls this.
 *
 * Return: entries that were handed over and never taken, to be counted as drops.
 */
uint32_t sl_ring_yield(struct sl_ring *ring);

/** sl_ring_consumer_sleep() - about to sleep until packets come. Return: true when there is work,
 * do not. */
bool sl_ring_consumer_sleep(struct sl_ring *ring);

/** sl_ring_wake_producer() - after giving back: wake it if it sleeps */
void sl_ring_wake_producer(struct sl_ring *ring);

#ifdef __cplusplus
}
#endif
#endif
