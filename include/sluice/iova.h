/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An IOVA: an address as the device sees it. Neither a pointer nor a length, and the
 * compiler knows.
 */
#ifndef SLUICE_IOVA_H
#define SLUICE_IOVA_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
	uint64_t value;
} sl_iova;

/**
 * struct sl_iova_range - addresses from the first to the last, which belongs to it
 * @first: ...
 * @last:  never before @first; so the range may end at 2^64 - 1, and none is empty
 */
struct sl_iova_range {
	sl_iova first;
	sl_iova last;
};

/**
 * struct sl_iova_limits - what hardware can take
 * @ranges:   ascending, with gaps between them; a mapping lies in one of them whole
 * @n_ranges: how many
 * @page:     every mapping's IOVA, length and pointer is a multiple of it: a power of two,
 *            0 for none
 */
struct sl_iova_limits {
	const struct sl_iova_range *ranges;
	unsigned n_ranges;
	uint64_t page;
};

/**
 * sl_iova_cmp() - which comes first?
 * @a: an address
 * @b: another
 *
 * Return: negative, 0 or positive: @a is before, at or behind @b.
 */
static inline int sl_iova_cmp(sl_iova a, sl_iova b)
{
	return (a.value > b.value) - (a.value < b.value);
}

/**
 * sl_iova_advance() - the address so many bytes further
 * @iova: an address
 * @by:   bytes
 * @out:  that address; as it was when there is none
 *
 * Return: false when it would be past 2^64 - 1.
 */
static inline bool sl_iova_advance(sl_iova iova, uint64_t by, sl_iova *out)
{
	if (by > UINT64_MAX - iova.value)
		return false;
	out->value = iova.value + by;
	return true;
}

/**
 * sl_iova_span() - the range of so many bytes; the one place where a length that came
 * from outside becomes an end
 * @first: its first address
 * @len:   bytes
 * @out:   the range; as it was on failure
 *
 * Return: 0; -EINVAL when @len is 0; -ERANGE when it would pass 2^64 - 1.
 */
static inline int sl_iova_span(sl_iova first, uint64_t len, struct sl_iova_range *out)
{
	sl_iova last;

	if (!len)
		return -EINVAL;
	if (!sl_iova_advance(first, len - 1, &last))
		return -ERANGE;
	out->first = first;
	out->last = last;
	return 0;
}

/**
 * sl_iova_within() - does a range lie in another whole?
 * @inner: the one
 * @outer: the other
 */
static inline bool sl_iova_within(struct sl_iova_range inner, struct sl_iova_range outer)
{
	return sl_iova_cmp(inner.first, outer.first) >= 0 &&
	       sl_iova_cmp(inner.last, outer.last) <= 0;
}

#ifdef __cplusplus
}
#endif
#endif
