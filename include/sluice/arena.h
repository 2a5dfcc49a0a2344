/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An arena: memory for packets, in the largest pages the machine gives.
 */
#ifndef SLUICE_ARENA_H
#define SLUICE_ARENA_H

#include <stdint.h>

#include <sluice/region.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sl_pages {
	SL_PAGES_HUGE, /* reserved huge pages (vm.nr_hugepages) */
	SL_PAGES_THP,  /* anonymous memory, advised to become transparent huge pages */
};

struct sl_arena;

/**
 * sl_arena_create() - allocate zeroed memory
 * @len: bytes wanted; rounded up to whole pages of the kind that is found
 * @id:  the id its region carries
 * @out: the new arena, owned by the caller
 *
 * Reserved huge pages are used when enough are free, else anonymous memory with
 * MADV_HUGEPAGE, whose pages are touched by their first user, not here.
 *
 * Return: 0; -EINVAL when @len is 0 or overflows; -ENOMEM.
 */
int sl_arena_create(size_t len, uint16_t id, struct sl_arena **out);

/**
 * sl_arena_release() - unmap an arena
 * @arena: NULL is allowed; nothing points into it any more
 */
void sl_arena_release(struct sl_arena *arena);

/**
 * sl_arena_region() - the memory of an arena
 * @arena: whose
 *
 * Return: its region, the arena's own, valid until its release.
 */
const struct sl_region *sl_arena_region(const struct sl_arena *arena);

/**
 * sl_arena_pages() - which pages an arena got
 * @arena: whose
 *
 * Return: one of enum sl_pages.
 */
enum sl_pages sl_arena_pages(const struct sl_arena *arena);

#ifdef __cplusplus
}
#endif
#endif
