/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lock for what one thread uses all the time and others seldom. The one walks in and out with
 * plain stores; who wants it out shuts the latch, which costs a system call.
 *
 * Each side stores, then looks at what the other has stored: without a barrier on both sides each
 * may miss the other. The one who seldom comes pays for both: membarrier(2) makes every running
 * thread of the process pass one.
 */
#ifndef SL_BASE_LATCH_H
#define SL_BASE_LATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/barrier.h"

/**
 * struct sl_latch - on lines of its own
 * @inside: the one is in
 * @fenced: no membarrier(2) here: the one passes a barrier of its own each time; constant
 * @shut:   somebody wants it out
 * @lock:   of those who shut it
 */
struct sl_latch {
	_Alignas(SL_LINE) uint32_t inside;
	bool fenced;
	uint32_t shut;
	pthread_mutex_t lock;
};

/** sl_latch_init() - open */
void sl_latch_init(struct sl_latch *latch);

/** sl_latch_destroy() - nobody is in */
void sl_latch_destroy(struct sl_latch *latch);

/** sl_latch_wait() - the slow part of sl_latch_enter() */
void sl_latch_wait(struct sl_latch *latch);

/** sl_latch_enter() - by the one, who is outside; waits while it is shut */
static inline void sl_latch_enter(struct sl_latch *latch)
{
	sl_store_relaxed(&latch->inside, 1);
	if (latch->fenced)
		sl_fence_seq_cst();
	else
		sl_fence_compiler();
	if (__builtin_expect(sl_load_acquire(&latch->shut), 0))
		sl_latch_wait(latch);
}

/** sl_latch_leave() - whoever shuts it next sees what was done inside */
static inline void sl_latch_leave(struct sl_latch *latch)
{
	sl_store_release(&latch->inside, 0);
}

/** sl_latch_shut() - wait until the one is out, and keep it out; not from inside */
void sl_latch_shut(struct sl_latch *latch);

/** sl_latch_open() - after sl_latch_shut(), by the same thread */
void sl_latch_open(struct sl_latch *latch);

#endif
