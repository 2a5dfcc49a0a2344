/* SPDX-License-Identifier: BSD-2-Clause */
/* The names of base/barrier.h for test_virtq_order.c: what the driver stores waits in a buffer
 * until there is a fence, and after each of its loads the test may let the device run. */
#ifndef SL_TESTS_VIRTQ_ORDER_BARRIER_H
#define SL_TESTS_VIRTQ_ORDER_BARRIER_H

#include <stddef.h>
#include <stdint.h>

void order_store(void *p, uint64_t value, size_t len);
void order_loaded(void);
void order_fence(void);

#define sl_load_relaxed(p)                                                                         \
	__extension__({                                                                            \
		__typeof__(*(p)) value_ = __atomic_load_n((p), __ATOMIC_RELAXED);                  \
		order_loaded();                                                                    \
		value_;                                                                            \
	})
#define sl_load_acquire(p)     sl_load_relaxed(p)
#define sl_store_relaxed(p, v) order_store((p), (v), sizeof(*(p)))
#define sl_store_release(p, v) order_store((p), (v), sizeof(*(p)))
#define sl_fence_seq_cst()     order_fence()

#endif
