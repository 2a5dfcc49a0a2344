/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lock for what one thread uses all the time and others seldom. The one walks in and out with
 * plain stores; who wants it out shuts the gate, which costs a system call.
 *
 * Each side stores, then looks at what the other has stored: without a barrier on both sides each
 * may miss the other. The one who seldom comes pays for both: membarrier(2) makes every running
 * thread of the process pass one.
 */
#ifndef SL_BASE_GATE_H
#define SL_BASE_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/barrier.h"

/**
 * struct sl_gate - on lines of its own
 * @inside: the one is in
 * @fenced: no membarrier(2) here: the one passes a barrier of its own each time; constant
 * @shut:   somebody wants it out
 * @lock:   of those who shut it
 */
struct sl_gate {
	_Alignas(SL_LINE) uint32_t inside;
	bool fenced;
	uint32_t shut;
	pthread_mutex_t lock;
};

/** sl_gate_init() - open */
void sl_gate_init(struct sl_gate *gate);

/** sl_gate_destroy() - nobody is in */
void sl_gate_destroy(struct sl_gate *gate);

/** sl_gate_wait() - the slow part of sl_gate_enter() */
void sl_gate_wait(struct sl_gate *gate);

/** sl_gate_enter() - by the one, who is outside; waits while it is shut */
static inline void sl_gate_enter(struct sl_gate *gate)
{
	sl_store_relaxed(&gate->inside, 1);
	if (gate->fenced)
		sl_fence_seq_cst();
	else
		sl_fence_compiler();
	if (__builtin_expect(sl_load_acquire(&gate->shut), 0))
		sl_gate_wait(gate);
}

/** sl_gate_leave() - whoever shuts it next sees what was done inside */
static inline void sl_gate_leave(struct sl_gate *gate)
{
	sl_store_release(&gate->inside, 0);
}

/** sl_gate_shut() - wait until the one is out, and keep it out; not from inside */
void sl_gate_shut(struct sl_gate *gate);

/** sl_gate_open() - after sl_gate_shut(), by the same thread */
void sl_gate_open(struct sl_gate *gate);

#endif
