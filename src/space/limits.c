/* SPDX-License-Identifier: BSD-2-Clause */
#include "space/limits.h"
#include "base/reason.h"

static const struct sl_iova_range everywhere = {{0}, {UINT64_MAX}};
static const struct sl_iova_limits none = {&everywhere, 1, 1};

static const struct sl_iova_limits *or_none(const struct sl_iova_limits *limits)
{
	return limits ? limits : &none;
}

int sl_limits_check(const struct sl_iova_limits *limits)
{
	limits = or_none(limits);
	if (limits->page && !sl_power_of_two(limits->page))
		return sl_fail(EINVAL, "a page of 0x%" PRIx64 " bytes: a power of two is needed",
			       limits->page);
	for (unsigned n = 0; n < limits->n_ranges; n++) {
		struct sl_iova_range at = limits->ranges[n];

		if (sl_iova_cmp(at.first, at.last) > 0)
			return sl_fail(EINVAL, SL_IOVA_FMT ": ends before it begins",
				       SL_IOVA_ARGS(at));
		/* With no gap in between a mapping across both would be refused. */
		if (n &&
		    (!at.first.value || limits->ranges[n - 1].last.value >= at.first.value - 1))
			return sl_fail(EINVAL,
				       SL_IOVA_FMT " follows " SL_IOVA_FMT ": ascending ranges "
						   "with gaps between them are needed",
				       SL_IOVA_ARGS(at), SL_IOVA_ARGS(limits->ranges[n - 1]));
	}
	return 0;
}

uint64_t sl_limits_page(const struct sl_iova_limits *limits)
{
	limits = or_none(limits);
	return limits->page ? limits->page : 1;
}

/* The range to name to who wants @at: the first that ends at or after it, else the last. */
static const struct sl_iova_range *nearest(const struct sl_iova_limits *limits, sl_iova at)
{
	unsigned n = 0;

	while (n + 1 < limits->n_ranges && sl_iova_cmp(limits->ranges[n].last, at) < 0)
		n++;
	return &limits->ranges[n];
}

/* VFIO (vfio_iommu_type1, MAP_DMA) wants all three aligned: (iova | size | vaddr) & mask. */
static int check_page(uint64_t page, const char *whose, struct sl_iova_range at,
		      const struct sl_region *region)
{
	if ((at.first.value | region->len | (uintptr_t)region->base) & (page - 1))
		return sl_fail(EINVAL,
			       SL_IOVA_FMT " at %p: IOVA, length and pointer are to be multiples "
					   "of 0x%" PRIx64 " for %s",
			       SL_IOVA_ARGS(at), region->base, page, whose);
	return 0;
}

int sl_limits_allow(const struct sl_iova_limits *limits, const char *whose, struct sl_iova_range at,
		    const struct sl_region *region)
{
	const struct sl_iova_range *range;

	limits = or_none(limits);
	if (!limits->n_ranges)
		return sl_fail(ERANGE, SL_IOVA_FMT ": %s allows none at all", SL_IOVA_ARGS(at),
			       whose);
	range = nearest(limits, at.first);
	if (!sl_iova_within(at, *range))
		return sl_fail(ERANGE, SL_IOVA_FMT " is outside " SL_IOVA_FMT ", which %s allows",
			       SL_IOVA_ARGS(at), SL_IOVA_ARGS(*range), whose);
	return check_page(sl_limits_page(limits), whose, at, region);
}

/* The next multiple of a power of two; false when it would be 2^64. */
static bool align_up(sl_iova *at, uint64_t align)
{
	return sl_iova_advance(*at, -at->value & (align - 1), at);
}

bool sl_limits_raise(const struct sl_iova_limits *limits, uint64_t len, uint64_t align, sl_iova *at)
{
	limits = or_none(limits);
	for (unsigned n = 0; n < limits->n_ranges; n++) {
		struct sl_iova_range fit;
		sl_iova from = *at;

		if (sl_iova_cmp(from, limits->ranges[n].first) < 0)
			from = limits->ranges[n].first;
		if (!align_up(&from, align) || sl_iova_span(from, len, &fit))
			return false;
		if (sl_iova_within(fit, limits->ranges[n])) {
			*at = from;
			return true;
		}
	}
	return false;
}
