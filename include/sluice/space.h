/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A space: which memory lies at which IOVA. The contract is docs/space.md.
 *
 * A space is one thread's; only sl_space_lookup() and sl_space_mappings() may be called by
 * several threads at once, while nobody changes it.
 */
#ifndef SLUICE_SPACE_H
#define SLUICE_SPACE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <sluice/iova.h>
#include <sluice/region.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The most mappings that a space holds: as many as VFIO gives a container. */
#define SL_SPACE_MAPPINGS_MAX 65535

struct sl_space;

/**
 * struct sl_mapping - a region at an IOVA
 * @at:     where; as long as the region
 * @region: a copy of what was mapped; its access is what the device may do
 */
struct sl_mapping {
	struct sl_iova_range at;
	struct sl_region region;
};

/**
 * sl_space_create() - make an empty space
 * @limits: where mappings may lie, NULL for anywhere; constant until the release
 * @out:    the new space, owned by the caller
 *
 * Return: 0; -EINVAL when @limits are not what sl_iova_limits says; -ENOMEM.
 */
int sl_space_create(const struct sl_iova_limits *limits, struct sl_space **out);

/**
 * sl_space_release() - unmap all from all users, free the space
 * @space: NULL is allowed
 */
void sl_space_release(struct sl_space *space);

/**
 * sl_space_map() - map a region at the lowest IOVA that is free and suits all users
 * @space:  where
 * @region: what; copied. Memory and fd stay the caller's, and stay until it is unmapped
 * @align:  the IOVA is a multiple of it: a power of two, 0 for the users' page
 * @out:    its IOVA
 *
 * Return: 0; -ENOSPC when there is no room; or what sl_space_map_at() returns.
 */
int sl_space_map(struct sl_space *space, const struct sl_region *region, uint64_t align,
		 sl_iova *out);

/**
 * sl_space_map_at() - map a region at an IOVA of the caller's
 * @space:  where
 * @iova:   where in it
 * @region: as for sl_space_map()
 *
 * When one user refuses, the others are told to unmap, and nothing has changed.
 *
 * Return: 0; -EEXIST when it overlaps a mapping; -ERANGE when it is outside the ranges of
 * the space or a user, or passes 2^64 - 1; -EINVAL for a bad alignment, length, pointer or
 * access; -ENOSPC when there are too many mappings; -ENOMEM; or what a user's map() says.
 */
int sl_space_map_at(struct sl_space *space, sl_iova iova, const struct sl_region *region);

/**
 * sl_space_unmap() - unmap every mapping in a range, the last first
 * @space: where
 * @range: 0 to 2^64 - 1 is everything
 *
 * Return: how many there were, also 0; -EINVAL when the range cuts a mapping: nothing has
 * changed then.
 */
int sl_space_unmap(struct sl_space *space, struct sl_iova_range range);

/**
 * sl_space_lookup() - the memory behind a range, all of it or nothing
 * @space:  where
 * @iova:   its first address
 * @len:    bytes
 * @access: SL_REGION_READ, SL_REGION_WRITE: what the device is about to do, all that is needed
 * @pieces: one for each mapping that the range lies in; garbage on failure
 * @max:    room in @pieces; 1 for "in one mapping"
 *
 * Return: how many pieces, at least 1; -EFAULT when some byte is not mapped; -EACCES when
 * some mapping does not allow it; -EMSGSIZE when @max is too small; -EINVAL when @len is 0;
 * -ERANGE when it passes 2^64 - 1.
 */
int sl_space_lookup(const struct sl_space *space, sl_iova iova, uint64_t len, uint32_t access,
		    struct iovec *pieces, unsigned max);

/**
 * sl_space_mappings() - all of them, ordered by IOVA
 * @space: whose
 * @count: how many
 *
 * Return: an array, valid until the space changes.
 */
const struct sl_mapping *sl_space_mappings(const struct sl_space *space, size_t *count);

#ifdef __cplusplus
}
#endif
#endif
