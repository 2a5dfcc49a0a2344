/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names of src/base/barrier.h, for the model: src/ring/ring.c is compiled with
 *
 *   -DSL_BARRIER_MODEL="\"model_barrier.h\""
 *
 * and every ordered access becomes a step that is recorded. sl_event_signal() is
 * one too, so the guard of base/fd.h is taken.
 */
#ifndef SL_MODEL_BARRIER_H
#define SL_MODEL_BARRIER_H

#include <stdbool.h>
#include <stdint.h>

uint32_t model_load(const uint32_t *p, bool acquire, const char *function);
void model_store(const uint32_t *p, uint32_t value, bool release, const char *function);
void model_fence(const char *function);
void model_signal(int event);

#define sl_load_relaxed(p)     model_load((p), false, __func__)
#define sl_load_acquire(p)     model_load((p), true, __func__)
#define sl_store_relaxed(p, v) model_store((p), (v), false, __func__)
#define sl_store_release(p, v) model_store((p), (v), true, __func__)
#define sl_fence_seq_cst()     model_fence(__func__)
/* sl_exchange_acq_rel() is missing on purpose: the ring has no use for it. */

#define SL_BASE_FD_H
#define sl_event_signal(event) model_signal(event)

#endif
