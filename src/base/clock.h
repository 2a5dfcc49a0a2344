/* SPDX-License-Identifier: BSD-2-Clause */
/* Time: CLOCK_MONOTONIC in nanoseconds, as every deadline is. */
#ifndef SL_BASE_CLOCK_H
#define SL_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define SL_NS_PER_US 1000ull
#define SL_NS_PER_MS 1000000ull
#define SL_NS_PER_S  1000000000ull

static inline uint64_t sl_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SL_NS_PER_S + (uint64_t)t.tv_nsec;
}

#endif
