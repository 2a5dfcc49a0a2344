/* SPDX-License-Identifier: BSD-2-Clause */
/* Counters with one writer and any number of readers: no lock, no torn value. */
#ifndef SL_BASE_COUNT_H
#define SL_BASE_COUNT_H

#include <stdint.h>

static inline uint64_t sl_count_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline void sl_count_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

#endif
