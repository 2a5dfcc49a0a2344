/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks whose bytes lie in memory: a memfd, or a file in tmpfs, mapped; and one that has no bytes.
 * A request is a copy, and there is nothing to wait for. The file may be truncated by others at any
 * time, so the copy is guarded on both sides.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>

#include <sluice/guard.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "offer/blk.h"

static void null_start(struct blk *b, struct blk_io *io)
{
	io->left = 0;
	sl_blk_done(b, io, 0);
}

const struct blk_store_ops sl_blk_store_null = {.start = null_start};

int sl_blk_memory_copy(struct blk *b, struct blk_io *io)
{
	int ret = 0;

	while (io->left && !ret) {
		uint64_t len = sl_min(io->left, io->pieces->iov_len);
		uint8_t *theirs = io->pieces->iov_base, *ours = b->memory + io->at;

		ret = io->op == BLK_READ ? sl_guard_copy(theirs, ours, len)
					 : sl_guard_copy(ours, theirs, len);
		if (!ret)
			sl_blk_advance(io, len);
	}
	return ret;
}

static int zero(struct blk *b, struct blk_io *io)
{
	int ret = 0;

	if ((io->unmap || io->op == BLK_DISCARD) &&
	    !fallocate(b->file.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)io->at,
		       (off_t)io->len))
		return 0;
	while (io->op == BLK_ZERO && io->left && !ret) {
		uint64_t len = sl_min(io->left, BLK_ZEROES);

		ret = sl_guard_copy(b->memory + io->at, b->zeroes, len);
		sl_blk_advance(io, len);
	}
	return ret;
}

static void memory_start(struct blk *b, struct blk_io *io)
{
	int ret = 0;

	if (io->op == BLK_READ || io->op == BLK_WRITE)
		ret = sl_blk_memory_copy(b, io);
	else if (io->op != BLK_FLUSH)
		ret = zero(b, io);
	sl_blk_done(b, io, ret);
}

static int memory_resize(struct blk *b, uint64_t size)
{
	int prot = b->ro ? PROT_READ : PROT_READ | PROT_WRITE;
	void *memory = NULL;

	if (size) {
		memory = mmap(NULL, size, prot, MAP_SHARED, b->file.fd, 0);
		if (memory == MAP_FAILED)
			return sl_fail(errno, "%s: cannot map %llu bytes: %m", b->file.name,
				       (unsigned long long)size);
	}
	if (b->memory)
		munmap(b->memory, b->size);
	b->memory = memory;
	b->size = size;
	return 0;
}

static void memory_close(struct blk *b)
{
	if (b->memory)
		munmap(b->memory, b->size);
}

const struct blk_store_ops sl_blk_store_memory = {
	.start = memory_start,
	.resize = memory_resize,
	.close = memory_close,
};
