/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that a driver's side hands over as a descriptor. */
#ifndef SL_OFFER_FILE_MAP_H
#define SL_OFFER_FILE_MAP_H

#include <stddef.h>
#include <stdint.h>

/** struct file_map - a piece of a descriptor; @base: its first byte, somewhere in the mapping */
struct file_map {
	void *map, *base;
	size_t map_len;
};

enum {
	FILE_MAP_WRITE = 1u << 0,
	FILE_MAP_KEEP = 1u << 1, /* sl_guard_keep(): plain loads and stores will touch it */
};

/**
 * sl_file_map() - map any piece of a descriptor, which stays the caller's
 * @fd:     of a file, a memfd, /dev/vduse/NAME; not one in FUSE: a fault would wait for a process
 * @offset: a multiple of nothing
 * @how:    FILE_MAP_*
 * @out:    filled in when 0 is returned
 *
 * It may be shorter than it is said to be, and be cut off at any time.
 *
 * Return: 0; -EINVAL; -ENOSPC as sl_guard_keep(); or what mmap(2) says.
 */
int sl_file_map(int fd, uint64_t offset, uint64_t len, unsigned how, struct file_map *out);

/** sl_file_unmap() - and forget; zeroed is allowed */
void sl_file_unmap(struct file_map *map);

#endif
