/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "space/iova_map.h"
#include "space/limits.h"

#define ROOM_FIRST 8

/* The index of the first mapping that ends at @iova or behind it; their count when none does. */
static size_t first_ending_at(const struct sl_iova_map *map, sl_iova iova)
{
	size_t low = 0, high = map->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (sl_iova_cmp(map->sorted[middle].at.last, iova) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int make_room(struct sl_iova_map *map)
{
	size_t room = map->room ? 2 * map->room : ROOM_FIRST;
	struct sl_mapping *sorted;

	if (map->count < map->room)
		return 0;
	if (map->count >= SL_SPACE_MAPPINGS_MAX)
		return sl_fail(ENOSPC, "a space of more than %d mappings", SL_SPACE_MAPPINGS_MAX);
	room = sl_min(room, (size_t)SL_SPACE_MAPPINGS_MAX);
	sorted = realloc(map->sorted, room * sizeof(*sorted));
	if (!sorted)
		return sl_fail(ENOMEM, "no memory for a space of %zu mappings", room);
	map->sorted = sorted;
	map->room = room;
	return 0;
}

int sl_iova_map_add(struct sl_iova_map *map, const struct sl_mapping *mapping)
{
	size_t n = first_ending_at(map, mapping->at.first);
	struct sl_mapping *place;
	int err;

	if (n < map->count && sl_iova_cmp(map->sorted[n].at.first, mapping->at.last) <= 0)
		return sl_fail(EEXIST, SL_IOVA_FMT " overlaps the mapping at " SL_IOVA_FMT,
			       SL_IOVA_ARGS(mapping->at), SL_IOVA_ARGS(map->sorted[n].at));
	err = make_room(map);
	if (err)
		return err;
	place = map->sorted + n;
	memmove(place + 1, place, (map->count - n) * sizeof(*place));
	*place = *mapping;
	map->count++;
	return 0;
}

void sl_iova_map_remove(struct sl_iova_map *map, size_t first, size_t count)
{
	struct sl_mapping *place;

	if (!count)
		return;
	place = map->sorted + first;
	memmove(place, place + count, (map->count - first - count) * sizeof(*place));
	map->count -= count;
}

int sl_iova_map_cover(const struct sl_iova_map *map, struct sl_iova_range range, size_t *first)
{
	size_t n = first_ending_at(map, range.first);

	*first = n;
	for (; n < map->count && sl_iova_cmp(map->sorted[n].at.first, range.last) <= 0; n++)
		if (!sl_iova_within(map->sorted[n].at, range))
			return sl_fail(EINVAL, SL_IOVA_FMT " cuts the mapping at " SL_IOVA_FMT,
				       SL_IOVA_ARGS(range), SL_IOVA_ARGS(map->sorted[n].at));
	return (int)(n - *first);
}

/* The sentence for a lookup that fails with @err, because of what is at @at or is not. */
__attribute__((cold)) static int refuse(int err, sl_iova iova, uint64_t len, sl_iova at)
{
	const char *why = err == EFAULT	  ? "is not mapped"
			  : err == EACCES ? "may not be accessed so"
					  : "is in one mapping too many";

	return sl_fail(err, "IOVA 0x%" PRIx64 ", 0x%" PRIx64 " bytes: 0x%" PRIx64 " %s", iova.value,
		       len, at.value, why);
}

__attribute__((cold)) static int refuse_span(int err, sl_iova iova, uint64_t len)
{
	return sl_fail(-err, "IOVA 0x%" PRIx64 ", 0x%" PRIx64 " bytes: %s", iova.value, len,
		       err == -EINVAL ? "nothing is asked for" : "past the end of all addresses");
}

int sl_iova_map_lookup(const struct sl_iova_map *map, sl_iova iova, uint64_t len, uint32_t access,
		       struct iovec *pieces, unsigned max)
{
	struct sl_iova_range rest;
	unsigned count = 0;
	int err = sl_iova_span(iova, len, &rest);

	if (err)
		return refuse_span(err, iova, len);
	for (size_t n = first_ending_at(map, iova);; n++) {
		const struct sl_mapping *m;
		uint64_t last, skip;

		if (n == map->count || sl_iova_cmp(map->sorted[n].at.first, rest.first) > 0)
			return refuse(EFAULT, iova, len, rest.first);
		m = &map->sorted[n];
		if (access & ~m->region.access)
			return refuse(EACCES, iova, len, rest.first);
		if (count == max)
			return refuse(EMSGSIZE, iova, len, rest.first);
		last = sl_min(m->at.last.value, rest.last.value);
		skip = rest.first.value - m->at.first.value;
		pieces[count].iov_base = (uint8_t *)m->region.base + skip;
		pieces[count++].iov_len = last - rest.first.value + 1;
		if (last == rest.last.value)
			return (int)count;
		rest.first.value = last + 1; /* no wrap: more is to come */
	}
}

bool sl_iova_map_raise(const struct sl_iova_map *map, uint64_t len, sl_iova *at)
{
	struct sl_iova_range fit;

	for (size_t n = first_ending_at(map, *at);; n++) {
		if (sl_iova_span(*at, len, &fit))
			return false;
		if (n == map->count || sl_iova_cmp(fit.last, map->sorted[n].at.first) < 0)
			return true;
		if (!sl_iova_advance(map->sorted[n].at.last, 1, at))
			return false;
	}
}
