/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The in-flight log of a queue: which buffers a device has taken and not given back, in memory that
 * outlives its process. The layouts are vhost-user's ("Inflight I/O tracking"), for every
 * transport; docs/offer.md tells the order of writes that a kill between any two of them does not
 * harm.
 */
#ifndef SL_VIRTQ_INFLIGHT_H
#define SL_VIRTQ_INFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtq/ring_state.h"

/** sl_virtq_inflight_len() - bytes of one queue's log, a multiple of 64 as vhost-user's
 * implementations have it */
size_t sl_virtq_inflight_len(uint16_t size, bool packed);

/*
 * What follows is between inflight*.c and the device's side.
 *
 * What the device has to know again is in memory of its own: a log is written, and read once, when
 * it is resumed.
 */

struct virtq_setup;
struct virtq_chain;
struct virtq_packed_desc;

/** struct virtq_inflight_own - packed: of an entry: the next of its list; of a chain's first: the
 * last, how many, the buffer's id */
struct virtq_inflight_own {
	uint16_t next, last, num, id;
};

/**
 * struct virtq_inflight
 * @at:      the log, NULL: there is none
 * @size:    of the queue
 * @resumed: it is of a process before
 * @gone:    its memory was taken away
 * @counter: of buffers taken
 * @head:    split: last_batch_head; packed: free_head
 * @old:     packed: old_free_head
 * @fill:    packed: the entry that sl_virtq_inflight_packed_add() writes next
 * @stood:   packed: old_used_idx and old_used_wrap_counter
 */
struct virtq_inflight {
	uint8_t *at;
	uint16_t size;
	bool resumed, gone;
	uint64_t counter;
	uint16_t head, old, fill;
	struct virtq_ring_state stood;
	struct virtq_inflight_own *own;
};

/** sl_virtq_inflight_put() - write to the log; a failure is remembered */
void sl_virtq_inflight_put(struct virtq_inflight *log, size_t to, const void *from, size_t len);

/** struct virtq_inflight_turn - a buffer in flight, and when it was taken */
struct virtq_inflight_turn {
	uint64_t counter;
	uint16_t entry;
};

/** sl_virtq_inflight_sort() - by their turn, into @again; the log's counter goes on behind them */
void sl_virtq_inflight_sort(struct virtq_inflight *log, struct virtq_inflight_turn *turns, int n,
			    uint16_t *again);

/**
 * sl_virtq_inflight_split_open() - resume a log, or make it anew
 * @used:  used idx
 * @again: filled in with heads, room for the size
 *
 * Return: how many buffers are in flight; -EINVAL when the log cannot be; -EFAULT; -ENOMEM.
 */
int sl_virtq_inflight_split_open(struct virtq_inflight *log, const struct virtq_setup *setup,
				 uint16_t used, uint16_t *again);

/** sl_virtq_inflight_split_take() - a buffer was taken. 0 or -EFAULT */
int sl_virtq_inflight_split_take(struct virtq_inflight *log, uint16_t head);

/** before used idx is stored, for each buffer, then once; then, for each, then once: 0 or -EFAULT
 */
void sl_virtq_inflight_split_link(struct virtq_inflight *log, uint16_t head);
int sl_virtq_inflight_split_ready(struct virtq_inflight *log);
void sl_virtq_inflight_split_clear(struct virtq_inflight *log, uint16_t head);
int sl_virtq_inflight_split_done(struct virtq_inflight *log, uint16_t used);

/**
 * sl_virtq_inflight_packed_open() - resume a log, or make it anew
 * @state: where to begin; of a log that is resumed, where the process before stood: @used
 * @again: filled in with entries, room for the size
 *
 * Return: as sl_virtq_inflight_split_open().
 */
int sl_virtq_inflight_packed_open(struct virtq_inflight *log, const struct virtq_setup *setup,
				  struct virtq_ring_state *state, uint16_t *again);

/** sl_virtq_inflight_packed_add() - the descriptor number @n, from 0, of a chain that is being
 * taken */
void sl_virtq_inflight_packed_add(struct virtq_inflight *log, uint16_t n,
				  const struct virtq_packed_desc *desc);

/** sl_virtq_inflight_packed_take() - and now it was taken. @entry: of it. 0 or -EFAULT */
int sl_virtq_inflight_packed_take(struct virtq_inflight *log, const struct virtq_chain *chain,
				  uint16_t *entry);

/** sl_virtq_inflight_packed_desc() - what was added; hostile. 0 or -EFAULT */
int sl_virtq_inflight_packed_desc(struct virtq_inflight *log, uint16_t entry,
				  struct virtq_packed_desc *desc);

/** before the first used descriptor is stored, for each buffer, then once; then, for each, then
 * once */
void sl_virtq_inflight_packed_link(struct virtq_inflight *log, uint16_t entry);
void sl_virtq_inflight_packed_ready(struct virtq_inflight *log, const struct virtq_ring_state *at);
void sl_virtq_inflight_packed_clear(struct virtq_inflight *log, uint16_t entry);
void sl_virtq_inflight_packed_done(struct virtq_inflight *log);

/** sl_virtq_inflight_close() - free what is its own; the log stays as it is */
void sl_virtq_inflight_close(struct virtq_inflight *log);

#endif
