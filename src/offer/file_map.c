/* SPDX-License-Identifier: BSD-2-Clause */
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <sluice/guard.h>

#include "base/reason.h"
#include "offer/file_map.h"

#define FUSE_SUPER_MAGIC 0x65735546 /* <linux/magic.h> of Linux 6.1 has it not yet */

/* What offsets of mmap(2) are multiples of: of huge pages when it is a file of those. */
static int page_of(int fd, uint64_t *page)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) || fs.f_type == FUSE_SUPER_MAGIC)
		return sl_fail(EINVAL, "memory in a file system that is a process (FUSE)");
	*page = fs.f_type == HUGETLBFS_MAGIC ? (uint64_t)fs.f_bsize
					     : (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

int sl_file_map(int fd, uint64_t offset, uint64_t len, unsigned how, struct file_map *out)
{
	int prot = PROT_READ | (how & FILE_MAP_WRITE ? PROT_WRITE : 0), ret;
	uint64_t page = 0, before, end;
	struct file_map m = {0};

	ret = page_of(fd, &page);
	if (ret)
		return ret;
	before = offset & (page - 1);
	if (!len || __builtin_add_overflow(offset, len, &end) || end > INT64_MAX - page)
		return sl_fail(EINVAL, "%llu bytes at %llu of a descriptor: no such range",
			       (unsigned long long)len, (unsigned long long)offset);
	m.map_len = (size_t)((len + before + page - 1) & ~(page - 1));
	m.map = mmap(NULL, m.map_len, prot, MAP_SHARED | MAP_NORESERVE, fd,
		     (off_t)(offset - before));
	if (m.map == MAP_FAILED)
		return sl_fail(errno, "cannot map %llu bytes of the driver's memory: %m",
			       (unsigned long long)len);
	m.base = (uint8_t *)m.map + before;
	ret = how & FILE_MAP_KEEP ? sl_guard_keep(m.map, m.map_len, page) : 0;
	if (ret)
		sl_file_unmap(&m);
	else
		*out = m;
	return ret;
}

void sl_file_unmap(struct file_map *m)
{
	sl_guard_forget(m->map);
	if (m->map)
		munmap(m->map, m->map_len);
	*m = (struct file_map){0};
}
