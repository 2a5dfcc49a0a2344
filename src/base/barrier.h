/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every ordered access to memory that another thread shares, under the names of
 * the C11 memory model. Quoting it once, for all users (C17, 5.1.2.4 and 7.17.3):
 *
 *   A release store synchronizes with an acquire load that reads its value: all
 *   that came before the store is seen by all that comes after the load.
 *   It does NOT keep the store before a later load of another place: for that both
 *   sides need a sequentially consistent fence between their store and their load.
 *
 * tests/model/ replaces this header to explore what weak memory does to the ring.
 */
#ifndef SL_BASE_BARRIER_H
#define SL_BASE_BARRIER_H

#ifdef SL_BARRIER_MODEL
#include SL_BARRIER_MODEL
#else

#define sl_load_relaxed(p)     __atomic_load_n((p), __ATOMIC_RELAXED)
#define sl_load_acquire(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define sl_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define sl_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define sl_cas_acq_rel(p, old, v)                                                                  \
	__atomic_compare_exchange_n((p), (old), (v), false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)
#define sl_add_acq_rel(p, v) __atomic_add_fetch((p), (v), __ATOMIC_ACQ_REL)
#define sl_fence_acquire()   __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define sl_fence_release()   __atomic_thread_fence(__ATOMIC_RELEASE)
#define sl_fence_seq_cst()   __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define sl_fence_compiler()  __atomic_signal_fence(__ATOMIC_SEQ_CST)

#endif

/* Two cache lines: the adjacent-line prefetcher of x86 makes neighbours share. */
#define SL_LINE 128

#endif
