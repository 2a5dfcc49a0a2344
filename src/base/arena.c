/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <sys/mman.h>

#include <sluice/arena.h>

#include "base/reason.h"

#define HUGE_PAGE  ((size_t)2 << 20)
#define SMALL_PAGE ((size_t)4096)

#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26) /* <linux/mman.h>: log2 of the size, shifted by MAP_HUGE_SHIFT */
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

struct sl_arena {
	struct sl_region region;
	enum sl_pages pages;
};

static void *map(void *at, size_t len, int flags)
{
	return mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

/* Touched here: a control group may forbid what mmap(2) has promised, and SIGBUS would be
 * the answer to its first user. */
static void *map_huge(size_t len)
{
	void *base = map(NULL, len, MAP_HUGETLB | MAP_HUGE_2MB);

	if (base == MAP_FAILED || !madvise(base, len, MADV_POPULATE_WRITE))
		return base;
	munmap(base, len);
	return MAP_FAILED;
}

/* Anonymous memory that starts on a huge page, so that khugepaged need not move it. */
static void *map_thp(size_t len)
{
	size_t slack = len >= HUGE_PAGE ? HUGE_PAGE : 0;
	uint8_t *base = map(NULL, len + slack, 0);
	size_t lead;

	if (base == MAP_FAILED)
		return MAP_FAILED;
	lead = slack ? -(uintptr_t)base & (HUGE_PAGE - 1) : 0;
	if (lead)
		munmap(base, lead);
	if (slack - lead)
		munmap(base + lead + len, slack - lead);
	madvise(base + lead, len, MADV_HUGEPAGE); /* advice: may be refused */
	return base + lead;
}

int sl_arena_create(size_t len, uint16_t id, struct sl_arena **out)
{
	struct sl_arena *arena;
	size_t small = (len + SMALL_PAGE - 1) & ~(SMALL_PAGE - 1);
	size_t huge = (len + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
	void *base = MAP_FAILED;

	if (!len || len > SIZE_MAX / 2)
		return sl_fail(EINVAL, "an arena of %zu bytes cannot be", len);
	arena = calloc(1, sizeof(*arena));
	if (!arena)
		return sl_fail(ENOMEM, "no memory for an arena");
	if (len >= HUGE_PAGE)
		base = map_huge(huge);
	arena->pages = base == MAP_FAILED ? SL_PAGES_THP : SL_PAGES_HUGE;
	arena->region.len = base == MAP_FAILED ? small : huge;
	if (base == MAP_FAILED)
		base = map_thp(small);
	if (base == MAP_FAILED) {
		free(arena);
		return sl_fail(ENOMEM, "no memory for an arena of %zu bytes", len);
	}
	arena->region.base = base;
	arena->region.fd = -1;
	arena->region.access = SL_REGION_READ | SL_REGION_WRITE;
	arena->region.id = id;
	*out = arena;
	return 0;
}

void sl_arena_release(struct sl_arena *arena)
{
	if (!arena)
		return;
	munmap(arena->region.base, arena->region.len);
	free(arena);
}

const struct sl_region *sl_arena_region(const struct sl_arena *arena)
{
	return &arena->region;
}

enum sl_pages sl_arena_pages(const struct sl_arena *arena)
{
	return arena->pages;
}
