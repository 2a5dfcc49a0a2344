/* SPDX-License-Identifier: BSD-2-Clause */
/* The IOVA map: mappings in order, none over another. It knows no users and no limits. */
#ifndef SL_SPACE_IOVA_MAP_H
#define SL_SPACE_IOVA_MAP_H

#include <sluice/space.h>

/**
 * struct sl_iova_map - an array: found by bisection, changed by moving
 * @sorted: by IOVA
 * @count:  of them
 * @room:   for so many is memory there
 */
struct sl_iova_map {
	struct sl_mapping *sorted;
	size_t count;
	size_t room;
};

/* -EEXIST when one is there already; -ENOSPC, -ENOMEM. */
int sl_iova_map_add(struct sl_iova_map *map, const struct sl_mapping *mapping);

/* Forget @count mappings from the @first-th on. */
void sl_iova_map_remove(struct sl_iova_map *map, size_t first, size_t count);

/* How many mappings lie in a range, from the @first-th on; -EINVAL when it cuts one. */
int sl_iova_map_cover(const struct sl_iova_map *map, struct sl_iova_range range, size_t *first);

/* sl_space_lookup() */
int sl_iova_map_lookup(const struct sl_iova_map *map, sl_iova iova, uint64_t len, uint32_t access,
		       struct iovec *pieces, unsigned max);

/* As sl_limits_raise(), until @len bytes from there meet no mapping. It does not align. */
bool sl_iova_map_raise(const struct sl_iova_map *map, uint64_t len, sl_iova *at);

#endif
