/* SPDX-License-Identifier: BSD-2-Clause */
/* What one piece of hardware allows, asked in turn with the others': nothing is intersected. */
#ifndef SL_SPACE_LIMITS_H
#define SL_SPACE_LIMITS_H

#include <inttypes.h>

#include <sluice/iova.h>
#include <sluice/region.h>

/* Ranges in sentences. */
#define SL_IOVA_FMT	 "IOVA 0x%" PRIx64 "-0x%" PRIx64
#define SL_IOVA_ARGS(at) (at).first.value, (at).last.value

static inline bool sl_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

/* 0, or -EINVAL: not what struct sl_iova_limits says. NULL is fine, here and below. */
int sl_limits_check(const struct sl_iova_limits *limits);

/* What a mapping's IOVA has to be a multiple of: 1 for nothing. */
uint64_t sl_limits_page(const struct sl_iova_limits *limits);

/* May a region lie there? 0, -ERANGE, -EINVAL; @whose limits they are is for the sentence. */
int sl_limits_allow(const struct sl_iova_limits *limits, const char *whose, struct sl_iova_range at,
		    const struct sl_region *region);

/*
 * Move @at up, by nothing or by as little as does, until @len bytes from there lie in one of the
 * ranges and it is a multiple of @align. False when there is no such place.
 */
bool sl_limits_raise(const struct sl_iova_limits *limits, uint64_t len, uint64_t align,
		     sl_iova *at);

#endif
