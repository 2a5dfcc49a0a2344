/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file's bytes that the kernel's page cache holds already are copied from a mapping of it, by
 * ourselves: two thirds of the time of a read by io_uring. What is written over them is written by
 * a call, for io_uring would give it to a thread of the kernel's.
 *
 * Which those are the kernel is asked, once for each stretch of 64 pages (mincore(2)), and what it
 * reads or writes for us is there as well. That may have changed: a page that is gone is a fault
 * that waits for the disk, and the whole worker with it. The first one that is noticed ends all
 * that was known so far, and the asking: of some files the kernel says that all is there.
 */
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/bytes.h"
#include "base/count.h"
#include "offer/blk.h"

#define PAGE	 4096u
#define PER_WORD 64

static size_t seen_len(uint64_t size)
{
	return (size / PAGE / PER_WORD + 1) * sizeof(struct blk_stretch);
}

static void unmap(struct blk *b)
{
	if (b->memory)
		munmap(b->memory, b->size);
	if (b->cache.seen)
		munmap(b->cache.seen, seen_len(b->size));
	b->memory = NULL;
	b->cache.seen = NULL;
}

/* NULL when it cannot be had: not every file system maps. io_uring does it all then. */
static void *map(size_t len, int prot, int flags, int fd)
{
	void *memory = mmap(NULL, len, prot, flags, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void sl_blk_cache_resize(struct blk *b, uint64_t size)
{
	unmap(b);
	b->size = size;
	if (!b->cache.wanted || !size)
		return;
	b->memory = map(size, PROT_READ, MAP_SHARED, b->file.fd);
	if (b->memory)
		b->cache.seen = map(seen_len(size), PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	if (b->cache.seen)
		madvise(b->memory, size, MADV_RANDOM);
	else
		unmap(b);
}

void sl_blk_cache_close(struct blk *b)
{
	unmap(b);
}

static void ask(struct blk *b, uint64_t stretch)
{
	uint64_t at = stretch * PER_WORD * PAGE,
		 len = sl_min(b->size - at, (uint64_t)PER_WORD * PAGE);
	unsigned char there[PER_WORD] = {0};

	b->cache.seen[stretch].asked = true;
	if (mincore((uint8_t *)b->memory + at, (size_t)len, there))
		return;
	for (unsigned i = 0; i < PER_WORD; i++)
		b->cache.seen[stretch].pages |= (uint64_t)(there[i] & 1) << i;
}

static bool is_seen(struct blk *b, uint64_t at, uint64_t len)
{
	for (uint64_t page = at / PAGE; page <= (at + len - 1) / PAGE; page++) {
		const struct blk_stretch *s = &b->cache.seen[page / PER_WORD];

		if (!s->asked && !b->cache.was_wrong)
			ask(b, page / PER_WORD);
		if (!(s->pages >> page % PER_WORD & 1))
			return false;
	}
	return true;
}

void sl_blk_cache_saw(struct blk *b, uint64_t at, uint64_t len)
{
	if (!b->cache.seen || !len || at > b->size || len > b->size - at)
		return;
	for (uint64_t page = at / PAGE; page <= (at + len - 1) / PAGE; page++)
		b->cache.seen[page / PER_WORD].pages |= UINT64_C(1) << page % PER_WORD;
}

/* Not by the mapping: the first write to each page would be a fault, which is dearer than the call.
 */
static bool write_now(struct blk *b, struct blk_io *io)
{
	ssize_t done = pwritev(b->file.fd, io->pieces, (int)io->n, (off_t)io->at);

	sl_count_add(&b->stats.syscalls, 1);
	if (done > 0 && (uint64_t)done <= io->left) {
		sl_blk_cache_saw(b, io->at, (uint64_t)done);
		sl_blk_advance(io, (uint64_t)done);
	}
	return !io->left;
}

bool sl_blk_cache_copy(struct blk *b, struct blk_io *io)
{
	if (!b->cache.seen || (io->op == BLK_WRITE && b->dsync) || !is_seen(b, io->at, io->left))
		return false;
	/* What is wrong with whose memory, io_uring finds out with what is left. */
	if (io->op == BLK_WRITE ? !write_now(b, io) : sl_blk_memory_copy(b, io))
		return false;
	b->cache.used = true;
	sl_count_add(&b->stats.mapped, 1);
	return true;
}

void sl_blk_cache_check(struct blk *b)
{
	struct rusage now;

	if (!b->cache.used || getrusage(RUSAGE_THREAD, &now))
		return;
	b->cache.used = false;
	if (b->cache.counts && now.ru_majflt != b->cache.faults) {
		madvise(b->cache.seen, seen_len(b->size), MADV_DONTNEED); /* zeroes */
		b->cache.was_wrong = true;
	}
	b->cache.counts = true;
	b->cache.faults = now.ru_majflt;
}
