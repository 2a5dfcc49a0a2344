/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The model blk, inside: requests (sl_blk_request.c) become work for a store. There are three: a
 * file or block device by io_uring (blk_uring.c), memory that is mapped (blk_memory.c), and
 * nothing.
 */
#ifndef SL_OFFER_BLK_H
#define SL_OFFER_BLK_H

#include <liburing.h>
#include <sys/uio.h>

#include <sluice/model.h>

/** Pieces that a request's data may lie in: seg_max and what crosses mappings. */
#define BLK_PIECES 136

enum blk_op {
	BLK_READ,
	BLK_WRITE,
	BLK_FLUSH,
	BLK_DISCARD,
	BLK_ZERO,
	BLK_OPS
};

/**
 * struct blk_io - what a request asks of the store; lies in the request's data
 * @next:    of those that wait for room in the ring
 * @op:      what to do
 * @unmap:   zeroes may be a hole
 * @by_hand: zeroes are written, since the store cannot make them
 * @sync:    they were made, and are being made durable
 * @retried: so often in a row
 * @at:      bytes from the beginning of the store; moves on with what is done
 * @left:    bytes that are not done
 * @len:     bytes that were asked for
 * @bounce:  memory that the device can reach, for pieces that it cannot; NULL: none is needed
 * @pieces, @n: the driver's memory; what is done is cut off
 */
struct blk_io {
	struct sl_request *req;
	struct blk_io *next;
	enum blk_op op;
	bool unmap, by_hand, sync;
	unsigned retried;
	uint64_t at, left, len;
	void *bounce;
	struct iovec *pieces;
	unsigned n;
	struct iovec room[BLK_PIECES];
};

struct blk;

/**
 * struct blk_store_ops - a store
 * @start:  do it; ends with sl_blk_done(), now or later
 * @submit: a burst of start() has ended
 * @reap:   finish what has come to an end; how many
 * @arm:    true when reap() or submit() has something to do already
 * @resize: blk->size has changed. 0 or a negative errno: it stays as it was
 * @close:  nothing touches requests any more afterwards
 */
struct blk_store_ops {
	void (*start)(struct blk *b, struct blk_io *io);
	void (*submit)(struct blk *b);
	int (*reap)(struct blk *b);
	bool (*arm)(struct blk *b);
	int (*resize)(struct blk *b, uint64_t size);
	void (*close)(struct blk *b);
};

extern const struct blk_store_ops sl_blk_store_null, sl_blk_store_memory, sl_blk_store_uring;

/** struct blk_stats - written by the worker's thread, read by any */
struct blk_stats {
	uint64_t done[BLK_OPS], ids, read_bytes, write_bytes;
	uint64_t no_status, malformed, unsupported, out_of_range, read_only;
	uint64_t io_error, no_space, no_memory; /* EIO and others; ENOSPC; EFAULT */
	uint64_t shorted, retried, bounced, fixed, mapped, syscalls, resized;
};

/** struct blk_file - what the bytes are kept in; @fd: -1: there is none */
struct blk_file {
	int fd;
	char *name;
	bool device, direct;
	uint32_t block;	   /* its logical block, bytes */
	uint32_t physical; /* what it writes at once, bytes */
	uint32_t align;	   /* of offsets and lengths, a multiple of 512 */
	uint32_t align_memory;
};

#define BLK_BUFFERS 64

struct blk_uring {
	struct io_uring ring;
	bool usable; /* else requests are served one at a time, by plain calls */
	unsigned in_flight;
	struct blk_io *first, **last; /* no room in the ring */
	bool buffers;
	struct iovec registered[BLK_BUFFERS];
};

/** struct blk_stretch - 64 pages: a bit for each that should be there; @asked: the kernel was */
struct blk_stretch {
	uint64_t pages;
	bool asked;
};

/**
 * struct blk_pages - what is known of the page cache, see blk_cache.c
 * @seen:      NULL: nothing is mapped
 * @used:      something was copied since the last check
 * @was_wrong: a page was not there
 * @counts:    @faults is what it says
 * @faults:    of this thread, that had to wait for a disk
 */
struct blk_pages {
	bool wanted, used, was_wrong, counts;
	struct blk_stretch *seen;
	long faults;
};

/**
 * struct blk - a disk
 * @size:  bytes, a multiple of 512
 * @dsync: every write is durable before it is done
 * @wait:  an epoll instance: the ring and the clock; -1: there is nothing to wait for
 */
struct blk {
	struct sl_model model;
	const struct sl_log *log;
	const struct blk_store_ops *store;
	uint64_t size;
	bool ro, writethrough, dsync;
	uint16_t queues, queue_size;
	uint32_t block;
	char serial[20];
	struct blk_file file;
	struct blk_uring uring;
	uint8_t *memory; /* the disk's, mapped; or NULL */
	struct blk_pages cache;
	const uint8_t *zeroes;
	uint64_t fence_ns, fence_end_ns, fence_say_ns; /* how long; 0: it has not begun */
	int wait, clock;
	uint64_t look_ns;
	struct blk_stats stats;
};

/** Sectors that one discard or write of zeroes may name: 1 GiB. */
#define BLK_RANGE_MAX (1u << 21)

/** What is written when zeroes are written, at once. */
#define BLK_ZEROES (64u << 10)

/** sl_blk_request() - see struct sl_model_ops */
void sl_blk_request(struct sl_model *model, struct sl_request *req);

/** sl_blk_done() - an io has come to its end. @err: 0 or a negative errno */
void sl_blk_done(struct blk *b, struct blk_io *io, int err);

/** sl_blk_advance() - so many bytes are done: cut them off */
void sl_blk_advance(struct blk_io *io, uint64_t len);

/** sl_blk_copy() - between the next @len bytes of an io's pieces and @mine; or -EFAULT */
int sl_blk_copy(const struct blk_io *io, void *mine, uint64_t len, bool to_driver);

/** In the order of the parameter's words. */
enum blk_cache {
	BLK_WRITEBACK,
	BLK_WRITETHROUGH,
	BLK_DIRECT,
	BLK_CACHE_AUTO
};

/** sl_blk_file_open() - by path, or NULL and a descriptor, which is the file's from now on */
int sl_blk_file_open(struct blk_file *f, const char *path, int fd, enum blk_cache cache, bool ro);

/** sl_blk_file_close() - nothing is in flight */
void sl_blk_file_close(struct blk_file *f);

/** sl_blk_file_in_memory() - does it lie in tmpfs? */
bool sl_blk_file_in_memory(const struct blk_file *f);

/** sl_blk_file_size() - bytes, or a negative errno */
int64_t sl_blk_file_size(const struct blk_file *f);

/** sl_blk_file_lock() - 0; -EAGAIN while others hold it; or what flock(2) says */
int sl_blk_file_lock(const struct blk_file *f);

/** sl_blk_file_holder() - the process that locked it, 0 when it is not known */
long sl_blk_file_holder(const struct blk_file *f);

/** blk_memory_open() - map @b->size bytes of its file */
int blk_memory_open(struct blk *b);

/** sl_blk_memory_copy() - a read or write of memory that is mapped; or -EFAULT */
int sl_blk_memory_copy(struct blk *b, struct blk_io *io);

/** sl_blk_cache_resize() - map the file anew, if that is wanted and possible; sets @b->size */
void sl_blk_cache_resize(struct blk *b, uint64_t size);

/** sl_blk_cache_close() - unmap it */
void sl_blk_cache_close(struct blk *b);

/** sl_blk_cache_copy() - do it by copying, if what it touches was seen. True when it is done, but
 * for sl_blk_done() */
bool sl_blk_cache_copy(struct blk *b, struct blk_io *io);

/** sl_blk_cache_saw() - these bytes were read or written by the kernel */
void sl_blk_cache_saw(struct blk *b, uint64_t at, uint64_t len);

/** sl_blk_cache_check() - a burst has ended: were the guesses right? */
void sl_blk_cache_check(struct blk *b);

/** sl_blk_uring_open() - a ring, for the file. Never fails: there are plain calls */
void sl_blk_uring_open(struct blk *b, bool buffers, bool sqpoll);

/** sl_blk_uring_add(), sl_blk_uring_del() - register memory that requests lie in, and forget it */
void sl_blk_uring_add(struct blk *b, const struct sl_region *region);
void sl_blk_uring_del(struct blk *b, const struct sl_region *region);

#endif
