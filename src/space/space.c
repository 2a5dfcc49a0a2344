/* SPDX-License-Identifier: BSD-2-Clause */
/* The space: an IOVA map, limits, and users that are told. docs/space.md is the contract. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <sluice/space_user.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "space/iova_map.h"
#include "space/limits.h"
#include "space/users.h"

#define ACCESS (SL_REGION_READ | SL_REGION_WRITE)

struct sl_space {
	struct sl_iova_map map;
	const struct sl_iova_limits *limits;
	struct sl_space_user **users; /* in the order in which they came */
	size_t n_users;
};

int sl_space_create(const struct sl_iova_limits *limits, struct sl_space **out)
{
	struct sl_space *space;
	int err = sl_limits_check(limits);

	if (err)
		return err;
	space = calloc(1, sizeof(*space));
	if (!space)
		return sl_fail(ENOMEM, "no memory for a space");
	space->limits = limits;
	*out = space;
	return 0;
}

void sl_space_release(struct sl_space *space)
{
	if (!space)
		return;
	while (space->n_users)
		sl_space_detach(space, space->users[space->n_users - 1]);
	free(space->users);
	free(space->map.sorted);
	free(space);
}

const struct sl_mapping *sl_space_mappings(const struct sl_space *space, size_t *count)
{
	*count = space->map.count;
	return space->map.sorted;
}

int sl_space_lookup(const struct sl_space *space, sl_iova iova, uint64_t len, uint32_t access,
		    struct iovec *pieces, unsigned max)
{
	return sl_iova_map_lookup(&space->map, iova, len, access, pieces, max);
}

/*
 * Telling users: in order to map, in the opposite order to unmap.
 */

static int user_map(struct sl_space_user *user, const struct sl_mapping *mapping)
{
	int err = user->ops->map(user, mapping);

	if (err < 0)
		return sl_fail(-err, "%s does not map " SL_IOVA_FMT ": %s", user->name,
			       SL_IOVA_ARGS(mapping->at), sl_reason());
	return 0;
}

static void users_unmap(struct sl_space *space, size_t n_users, const struct sl_mapping *mapping)
{
	while (n_users--)
		space->users[n_users]->ops->unmap(space->users[n_users], mapping);
}

/* The reason is that of the user who refused, whatever the others say while they unmap. */
static int users_map(struct sl_space *space, const struct sl_mapping *mapping)
{
	char why[512];
	int err;

	for (size_t n = 0; n < space->n_users; n++) {
		err = user_map(space->users[n], mapping);
		if (!err)
			continue;
		snprintf(why, sizeof(why), "%s", sl_reason());
		users_unmap(space, n, mapping);
		return sl_fail(-err, "%s", why);
	}
	return 0;
}

static void unmap_first(struct sl_space *space, struct sl_space_user *user, size_t count)
{
	while (count--)
		user->ops->unmap(user, &space->map.sorted[count]);
}

static int map_all(struct sl_space *space, struct sl_space_user *user)
{
	char why[512];
	int err;

	for (size_t n = 0; n < space->map.count; n++) {
		err = user_map(user, &space->map.sorted[n]);
		if (!err)
			continue;
		snprintf(why, sizeof(why), "%s", sl_reason());
		unmap_first(space, user, n);
		return sl_fail(-err, "%s", why);
	}
	return 0;
}

/*
 * Mapping.
 */

static int check_region(const struct sl_region *region)
{
	if (!region->len)
		return sl_fail(EINVAL, "a mapping of no bytes");
	if (!region->base || (uintptr_t)region->base > UINTPTR_MAX - (region->len - 1))
		return sl_fail(EINVAL, "a mapping of 0x%zx bytes at %p cannot be", region->len,
			       region->base);
	if (!region->access || region->access & ~ACCESS)
		return sl_fail(EINVAL, "a mapping for access 0x%x: read, write or both are needed",
			       region->access);
	return 0;
}

static int check_limits(const struct sl_space *space, const struct sl_mapping *m)
{
	int err = sl_limits_allow(space->limits, "the space", m->at, &m->region);

	for (size_t n = 0; n < space->n_users && !err; n++)
		err = sl_limits_allow(space->users[n]->limits, space->users[n]->name, m->at,
				      &m->region);
	return err;
}

int sl_space_map_at(struct sl_space *space, sl_iova iova, const struct sl_region *region)
{
	struct sl_mapping mapping = {.region = *region};
	size_t first;
	int err = check_region(region);

	if (err)
		return err;
	if (sl_iova_span(iova, region->len, &mapping.at))
		return sl_fail(ERANGE,
			       "IOVA 0x%" PRIx64 ", 0x%zx bytes: past the end of all "
			       "addresses",
			       iova.value, region->len);
	err = check_limits(space, &mapping);
	if (err)
		return err;
	/* Before the users, so that nothing can fail after them. */
	err = sl_iova_map_add(&space->map, &mapping);
	if (err)
		return err;
	err = users_map(space, &mapping);
	if (!err)
		return 0;
	sl_iova_map_cover(&space->map, mapping.at, &first);
	sl_iova_map_remove(&space->map, first, 1);
	return err;
}

/* The lowest place that suits all: each moves it up as little as it must, until nobody does. */
static bool find_place(const struct sl_space *space, uint64_t len, uint64_t align, sl_iova *out)
{
	sl_iova at = {0}, before;
	bool found;

	do {
		before = at;
		found = sl_limits_raise(space->limits, len, align, &at);
		for (size_t n = 0; n < space->n_users && found; n++)
			found = sl_limits_raise(space->users[n]->limits, len, align, &at);
		found = found && sl_iova_map_raise(&space->map, len, &at);
	} while (found && sl_iova_cmp(at, before));
	*out = at;
	return found;
}

int sl_space_map(struct sl_space *space, const struct sl_region *region, uint64_t align,
		 sl_iova *out)
{
	uint64_t page = sl_limits_page(space->limits);
	sl_iova at;
	int err = check_region(region);

	if (err)
		return err;
	if (align && !sl_power_of_two(align))
		return sl_fail(EINVAL, "an alignment of 0x%" PRIx64 ": a power of two is needed",
			       align);
	for (size_t n = 0; n < space->n_users; n++)
		page = sl_max(page, sl_limits_page(space->users[n]->limits));
	if (!find_place(space, region->len, sl_max(page, align), &at))
		return sl_fail(ENOSPC, "no 0x%zx bytes of IOVA are free where all users reach",
			       region->len);
	err = sl_space_map_at(space, at, region);
	if (!err)
		*out = at;
	return err;
}

int sl_space_unmap(struct sl_space *space, struct sl_iova_range range)
{
	size_t first;
	int count = sl_iova_map_cover(&space->map, range, &first);

	if (count < 0)
		return count;
	for (size_t n = first + (size_t)count; n-- > first;)
		users_unmap(space, space->n_users, &space->map.sorted[n]);
	sl_iova_map_remove(&space->map, first, (size_t)count);
	return count;
}

/*
 * Users.
 */

static size_t find_user(const struct sl_space *space, const struct sl_space_user *user)
{
	size_t n = 0;

	while (n < space->n_users && space->users[n] != user)
		n++;
	return n;
}

static int check_user(const struct sl_space *space, const struct sl_space_user *user)
{
	int err = sl_limits_check(user->limits);

	if (find_user(space, user) < space->n_users)
		return sl_fail(EEXIST, "%s is attached already", user->name);
	for (size_t n = 0; n < space->map.count && !err; n++)
		err = sl_limits_allow(user->limits, user->name, space->map.sorted[n].at,
				      &space->map.sorted[n].region);
	return err;
}

int sl_space_attach(struct sl_space *space, struct sl_space_user *user)
{
	struct sl_space_user **users;
	int err = check_user(space, user);

	if (err)
		return err;
	users = realloc(space->users, (space->n_users + 1) * sizeof(*users));
	if (!users)
		return sl_fail(ENOMEM, "no memory for a user of a space");
	space->users = users;
	err = map_all(space, user);
	if (err)
		return err;
	users[space->n_users++] = user;
	return 0;
}

void sl_space_detach(struct sl_space *space, struct sl_space_user *user)
{
	size_t n = find_user(space, user);

	if (n == space->n_users)
		return;
	unmap_first(space, user, space->map.count);
	space->n_users--;
	memmove(space->users + n, space->users + n + 1,
		(space->n_users - n) * sizeof(*space->users));
}

struct sl_space_user *sl_space_next_user(const struct sl_space *space,
					 const struct sl_space_user_ops *ops,
					 const struct sl_space_user *last)
{
	size_t n = last ? find_user(space, last) + 1 : 0;

	while (n < space->n_users && space->users[n]->ops != ops)
		n++;
	return n < space->n_users ? space->users[n] : NULL;
}

static uint64_t mapped(const struct sl_space *space)
{
	uint64_t sum = 0;

	for (size_t n = 0; n < space->map.count; n++)
		if (__builtin_add_overflow(sum, space->map.sorted[n].region.len, &sum))
			return UINT64_MAX;
	return sum;
}

int sl_space_memlock(const struct sl_space *space)
{
	uint64_t need = mapped(space);
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) || need <= limit.rlim_cur)
		return 0;
	return sl_fail(ENOMEM,
		       "%" PRIu64 " bytes are to be locked in memory and RLIMIT_MEMLOCK is %" PRIu64
		       ": %" PRIu64 " too few; raise it with ulimit -l or LimitMEMLOCK=",
		       need, (uint64_t)limit.rlim_cur, need - (uint64_t)limit.rlim_cur);
}
