/* SPDX-License-Identifier: BSD-2-Clause */
/* A file or block device that a disk's bytes are kept in: what it is like, and who else has it. */
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/reason.h"
#include "offer/blk.h"

#define SECTOR 512u
#define PAGE   4096u

/* A request's length is 32 bits, and sectors count to 2^64 / 512. */
#define SIZE_MOST INT64_MAX

int64_t sl_blk_file_size(const struct blk_file *f)
{
	struct stat st;
	uint64_t size;

	if (f->device ? ioctl(f->fd, BLKGETSIZE64, &size) : fstat(f->fd, &st))
		return sl_fail(errno, "%s: cannot tell its size: %m", f->name);
	if (!f->device)
		size = (uint64_t)st.st_size;
	return (int64_t)(sl_min(size, (uint64_t)SIZE_MOST) & ~(uint64_t)(SECTOR - 1));
}

/* Kernels before 6.1 do not say what direct I/O needs; a page suits all. */
static void look_direct(struct blk_file *f)
{
	struct statx sx = {0};
	uint32_t otherwise = f->device ? f->block : PAGE;

	if (statx(f->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) ||
	    !(sx.stx_mask & STATX_DIOALIGN) || !sx.stx_dio_offset_align) {
		sx.stx_dio_offset_align = sx.stx_dio_mem_align = otherwise;
	}
	f->align = sl_max(sx.stx_dio_offset_align, SECTOR);
	f->align_memory = sx.stx_dio_mem_align;
	f->block = sl_max(f->block, f->align);
}

static int look(struct blk_file *f, enum blk_cache cache)
{
	struct stat st;
	int block = SECTOR, flags;
	unsigned physical = PAGE;

	if (fstat(f->fd, &st))
		return sl_fail(errno, "%s: %m", f->name);
	f->device = S_ISBLK(st.st_mode);
	if (!f->device && !S_ISREG(st.st_mode))
		return sl_fail(EINVAL, "%s is neither a file nor a block device", f->name);
	if (f->device && (ioctl(f->fd, BLKSSZGET, &block) || ioctl(f->fd, BLKPBSZGET, &physical)))
		return sl_fail(errno, "%s: cannot tell its block size: %m", f->name);
	f->block = (uint32_t)block;
	f->physical = physical;
	f->align = SECTOR;
	f->align_memory = 1;
	f->direct = cache == BLK_DIRECT || (cache == BLK_CACHE_AUTO && f->device);
	if (sl_blk_file_in_memory(f))
		f->direct = false;
	/* Of a file that does not block, io_uring would not wait either; one that appends writes
	 * nowhere else. */
	flags = fcntl(f->fd, F_GETFL) & ~(O_DIRECT | O_NONBLOCK | O_APPEND);
	flags |= f->direct ? O_DIRECT : 0;
	if (fcntl(f->fd, F_SETFL, flags))
		return sl_fail(errno, "%s: cache=direct is not to be had there: %m", f->name);
	if (f->direct)
		look_direct(f);
	return 0;
}

int sl_blk_file_open(struct blk_file *f, const char *path, int fd, enum blk_cache cache, bool ro)
{
	int mode;

	if (path ? asprintf(&f->name, "%s", path) < 0 : asprintf(&f->name, "fd %d", fd) < 0) {
		f->name = NULL;
		return sl_fail(ENOMEM, "no memory for a name");
	}
	f->fd = path ? open(path, (ro ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK) : fd;
	if (f->fd < 0)
		return sl_fail(errno, "%s: %m", f->name);
	mode = fcntl(f->fd, F_GETFL);
	if (mode < 0)
		return sl_fail(errno, "%s: %m", f->name);
	if ((mode & O_ACCMODE) == O_WRONLY || (!ro && (mode & O_ACCMODE) != O_RDWR))
		return sl_fail(EBADF, "%s is not open for %s", f->name,
			       ro ? "reading" : "reading and writing; ro=on?");
	return look(f, cache);
}

/* A ring lets go of its files some time later; nothing is in flight, so nobody has to wait for
 * that. */
void sl_blk_file_close(struct blk_file *f)
{
	if (f->fd >= 0)
		flock(f->fd, LOCK_UN);
	sl_fd_close(&f->fd);
	free(f->name);
}

bool sl_blk_file_in_memory(const struct blk_file *f)
{
	struct statfs fs;

	return !f->device && !fstatfs(f->fd, &fs) && fs.f_type == TMPFS_MAGIC;
}

/*
 * The lock is the open description's, not the process's: what a killed process has in flight holds
 * the description, and with it the lock, until the last of it has landed. A read lands too: in the
 * driver's memory, which may be used for something else by then. So read-only disks lock like
 * others.
 */
int sl_blk_file_lock(const struct blk_file *f)
{
	if (!flock(f->fd, LOCK_EX | LOCK_NB))
		return 0;
	if (errno == EWOULDBLOCK || errno == EINTR)
		return -EAGAIN;
	return sl_fail(errno, "%s: cannot lock it: %m", f->name);
}

/* "1: FLOCK  ADVISORY  WRITE 4711 fe:00:13370 0 EOF" */
long sl_blk_file_holder(const struct blk_file *f)
{
	unsigned dev_major, dev_minor;
	unsigned long inode;
	char line[256];
	struct stat st;
	long pid, found = 0;
	FILE *locks;

	if (fstat(f->fd, &st))
		return 0;
	locks = fopen("/proc/locks", "re");
	while (locks && !found && fgets(line, sizeof(line), locks))
		if (sscanf(line, "%*d: FLOCK %*s %*s %ld %x:%x:%lu", &pid, &dev_major, &dev_minor,
			   &inode) == 4 &&
		    inode == st.st_ino && makedev(dev_major, dev_minor) == st.st_dev)
			found = pid;
	if (locks)
		fclose(locks);
	return found;
}
