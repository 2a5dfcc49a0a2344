/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file or block device by io_uring. The kernel copies from and to the driver's memory itself:
 * where that is gone, it is EFAULT of one request. A killed process's requests land nevertheless:
 * see sl_blk_file_lock().
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/count.h"
#include "base/log.h"
#include "offer/blk.h"

#define ENTRIES	    256
#define REAP	    64
#define RETRIES_MAX 100
#define BOUNCE_MAX  (256u << 10)
#define BUFFER_MAX  (UINT64_C(1) << 30) /* of one registered buffer: the kernel's limit */
#define ALIGN_MAX   4096

/*
 * What is asked of the kernel.
 */

static int zero_mode(const struct blk_io *io)
{
	return FALLOC_FL_KEEP_SIZE |
	       (io->op == BLK_DISCARD || io->unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
}

static bool is_unaligned(const struct blk *b, const struct blk_io *io)
{
	uintptr_t bits = 0;

	for (unsigned i = 0; i < io->n; i++)
		bits |= (uintptr_t)io->pieces[i].iov_base | io->pieces[i].iov_len;
	return bits & (b->file.align_memory - 1);
}

/* Zeroes by hand lie in pieces like data. */
static void zero_pieces(const struct blk *b, struct blk_io *io)
{
	uint64_t left = io->left;

	io->pieces = io->room;
	for (io->n = 0; left && io->n < BLK_PIECES; io->n++) {
		io->room[io->n] =
			(struct iovec){(void *)(uintptr_t)b->zeroes, sl_min(left, BLK_ZEROES)};
		left -= io->room[io->n].iov_len;
	}
}

/* Pieces that the device cannot reach go through memory of ours. Returns 0, -ENOMEM or -EFAULT. */
static int bounce(struct blk *b, struct blk_io *io)
{
	size_t len = sl_min(io->left, BOUNCE_MAX);

	if (!io->bounce) {
		io->bounce =
			aligned_alloc(ALIGN_MAX, (len + ALIGN_MAX - 1) & ~(size_t)(ALIGN_MAX - 1));
		sl_count_add(&b->stats.bounced, 1);
	}
	if (!io->bounce)
		return -ENOMEM;
	return io->op == BLK_WRITE ? sl_blk_copy(io, io->bounce, len, false) : 0;
}

static int prepare(struct blk *b, struct blk_io *io)
{
	if (io->by_hand)
		zero_pieces(b, io);
	else if ((io->op == BLK_READ || io->op == BLK_WRITE) && (io->bounce || is_unaligned(b, io)))
		return bounce(b, io);
	return 0;
}

/*
 * What came of it.
 */

static bool unsupported(int err)
{
	return err == -EOPNOTSUPP || err == -ENOSYS;
}

static void end(struct blk *b, struct blk_io *io, int err)
{
	free(io->bounce);
	sl_blk_done(b, io, err);
}

static bool failed(struct blk *b, struct blk_io *io, int err)
{
	if ((err == -EAGAIN || err == -EINTR) && io->retried++ < RETRIES_MAX) {
		sl_count_add(&b->stats.retried, 1);
		return true;
	}
	if (unsupported(err) && io->op == BLK_ZERO && !io->by_hand) {
		io->by_hand = true;
		return true;
	}
	/* Discarding is a hint. */
	end(b, io, unsupported(err) && io->op == BLK_DISCARD ? 0 : err);
	return false;
}

/* True when there is more of it to do. */
static bool complete(struct blk *b, struct blk_io *io, int res)
{
	if (res < 0)
		return failed(b, io, res);
	if (io->op != BLK_READ && io->op != BLK_WRITE && !io->by_hand) {
		/* There is no fallocate() that is durable when it returns. */
		if (b->dsync && io->op == BLK_ZERO && !io->sync)
			return io->sync = true;
		end(b, io, 0);
		return false;
	}
	if (!res || (uint64_t)res > io->left) { /* the file has become shorter */
		end(b, io, -EIO);
		return false;
	}
	if (io->bounce && io->op == BLK_READ && sl_blk_copy(io, io->bounce, (uint64_t)res, true)) {
		end(b, io, -EFAULT);
		return false;
	}
	io->retried = 0;
	sl_blk_cache_saw(b, io->at, (uint64_t)res);
	sl_blk_advance(io, (uint64_t)res);
	if (io->left) {
		sl_count_add(&b->stats.shorted, 1);
		return true;
	}
	end(b, io, 0);
	return false;
}

/*
 * Without io_uring: one at a time.
 */

static int call_data(struct blk *b, struct blk_io *io)
{
	struct iovec bounced = {io->bounce, sl_min(io->left, BOUNCE_MAX)};
	const struct iovec *pieces = io->bounce ? &bounced : io->pieces;
	int n = io->bounce ? 1 : (int)io->n;
	ssize_t done = io->op == BLK_READ ? preadv(b->file.fd, pieces, n, (off_t)io->at)
					  : pwritev2(b->file.fd, pieces, n, (off_t)io->at,
						     b->dsync ? RWF_DSYNC : 0);

	return done < 0 ? -errno : (int)done;
}

static int call(struct blk *b, struct blk_io *io)
{
	int ret = prepare(b, io);

	if (ret)
		return ret;
	sl_count_add(&b->stats.syscalls, 1);
	if (io->op == BLK_READ || io->op == BLK_WRITE || io->by_hand)
		return call_data(b, io);
	ret = io->op == BLK_FLUSH || io->sync
		      ? fdatasync(b->file.fd)
		      : fallocate(b->file.fd, zero_mode(io), (off_t)io->at, (off_t)io->left);
	return ret ? -errno : 0;
}

/*
 * With it.
 */

static int buffer_of(const struct blk_uring *u, const struct iovec *piece)
{
	for (unsigned i = 0; i < BLK_BUFFERS; i++) {
		uintptr_t at = (uintptr_t)piece->iov_base - (uintptr_t)u->registered[i].iov_base;

		if (at < u->registered[i].iov_len &&
		    piece->iov_len <= u->registered[i].iov_len - at)
			return (int)i;
	}
	return -1;
}

static void prepare_piece(struct blk *b, struct io_uring_sqe *sqe, const struct blk_io *io,
			  const struct iovec *piece)
{
	int index = b->uring.buffers && !io->bounce ? buffer_of(&b->uring, piece) : -1;
	unsigned len =
		(unsigned)sl_min(piece->iov_len, (size_t)INT32_MAX & ~(size_t)(ALIGN_MAX - 1));

	if (index < 0)
		io_uring_prep_rw(io->op == BLK_READ ? IORING_OP_READ : IORING_OP_WRITE, sqe, 0,
				 piece->iov_base, len, io->at);
	else
		io_uring_prep_rw(io->op == BLK_READ ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED,
				 sqe, 0, piece->iov_base, len, io->at);
	if (index >= 0) {
		sqe->buf_index = (uint16_t)index;
		sl_count_add(&b->stats.fixed, 1);
	}
}

static void prepare_sqe(struct blk *b, struct io_uring_sqe *sqe, struct blk_io *io)
{
	struct iovec bounced = {io->bounce, sl_min(io->left, BOUNCE_MAX)};

	if (io->op == BLK_FLUSH || io->sync)
		io_uring_prep_fsync(sqe, 0, IORING_FSYNC_DATASYNC);
	else if (io->op != BLK_READ && io->op != BLK_WRITE && !io->by_hand)
		io_uring_prep_fallocate(sqe, 0, zero_mode(io), (off_t)io->at, (off_t)io->left);
	else if (io->bounce || io->n == 1)
		prepare_piece(b, sqe, io, io->bounce ? &bounced : io->pieces);
	else
		io_uring_prep_rw(io->op == BLK_READ ? IORING_OP_READV : IORING_OP_WRITEV, sqe, 0,
				 io->pieces, io->n, io->at);
	if (b->dsync && (io->op == BLK_WRITE || io->by_hand))
		sqe->rw_flags = RWF_DSYNC;
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data(sqe, io);
}

static void submit(struct blk *b)
{
	if (!b->uring.usable || !io_uring_sq_ready(&b->uring.ring))
		return;
	/* What it does not take now stays in the ring: see uring_arm(). */
	io_uring_submit(&b->uring.ring);
	sl_count_add(&b->stats.syscalls, 1);
}

/* False when there is no room in the ring. */
static bool issue(struct blk *b, struct blk_io *io)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&b->uring.ring);

	if (!sqe) {
		submit(b);
		sqe = io_uring_get_sqe(&b->uring.ring);
	}
	if (!sqe)
		return false;
	prepare_sqe(b, sqe, io);
	return true;
}

static void start_or_wait(struct blk *b, struct blk_io *io)
{
	struct blk_uring *u = &b->uring;
	int ret = prepare(b, io);

	if (ret) {
		u->in_flight--;
		end(b, io, ret);
	} else if (u->first || !issue(b, io)) {
		io->next = NULL;
		*u->last = io;
		u->last = &io->next;
	}
}

static void uring_start(struct blk *b, struct blk_io *io)
{
	if ((io->op == BLK_READ || io->op == BLK_WRITE) && sl_blk_cache_copy(b, io)) {
		sl_blk_done(b, io, 0);
		return;
	}
	if (b->uring.usable) {
		b->uring.in_flight++;
		start_or_wait(b, io);
		return;
	}
	while (complete(b, io, call(b, io)))
		;
}

static void start_waiting(struct blk *b)
{
	struct blk_uring *u = &b->uring;

	while (u->first && issue(b, u->first)) {
		u->first = u->first->next;
		if (!u->first)
			u->last = &u->first;
	}
}

static void uring_submit(struct blk *b)
{
	submit(b);
	sl_blk_cache_check(b);
}

static int uring_reap(struct blk *b)
{
	struct io_uring_cqe *cqes[REAP];
	struct blk_uring *u = &b->uring;
	unsigned n = u->in_flight ? io_uring_peek_batch_cqe(&u->ring, cqes, REAP) : 0;

	for (unsigned i = 0; i < n; i++) {
		struct blk_io *io = io_uring_cqe_get_data(cqes[i]);

		if (complete(b, io, cqes[i]->res))
			start_or_wait(b, io);
		else
			u->in_flight--;
	}
	if (n)
		io_uring_cq_advance(&u->ring, n);
	start_waiting(b);
	submit(b);
	return (int)n;
}

static bool uring_arm(struct blk *b)
{
	struct blk_uring *u = &b->uring;
	/* A kernel's thread takes them by itself. */
	bool sqpoll = u->ring.flags & IORING_SETUP_SQPOLL;

	return u->usable && (io_uring_cq_ready(&u->ring) || u->first ||
			     (!sqpoll && io_uring_sq_ready(&u->ring)));
}

static int uring_resize(struct blk *b, uint64_t size)
{
	sl_blk_cache_resize(b, size);
	return 0;
}

/* Returns how many there were. */
static unsigned forget_waiting(struct blk_uring *u)
{
	unsigned n = 0;

	for (; u->first; n++) {
		free(u->first->bounce);
		u->first = u->first->next;
	}
	return n;
}

/* Nothing may write to requests' memory once this returns: it waits for a slow disk as long as it
 * takes. */
static void uring_close(struct blk *b)
{
	struct blk_uring *u = &b->uring;
	struct io_uring_cqe *cqe;
	unsigned left;

	sl_blk_cache_close(b);
	if (!u->usable)
		return;
	for (left = u->in_flight - forget_waiting(u); left;) {
		io_uring_submit_and_wait(&u->ring, 1);
		for (; left && !io_uring_peek_cqe(&u->ring, &cqe); left--) {
			free(((struct blk_io *)io_uring_cqe_get_data(cqe))->bounce);
			io_uring_cqe_seen(&u->ring, cqe);
		}
	}
	io_uring_queue_exit(&u->ring);
}

void sl_blk_uring_open(struct blk *b, bool buffers, bool sqpoll)
{
	struct io_uring_params params = {
		/* One that is refused does not hold back those behind it. */
		.flags = IORING_SETUP_SUBMIT_ALL |
			 (sqpoll ? IORING_SETUP_SQPOLL
				 : IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG),
	};
	struct blk_uring *u = &b->uring;
	int ret = io_uring_queue_init_params(ENTRIES, &u->ring, &params);

	u->last = &u->first;
	if (!ret) {
		ret = io_uring_register_files(&u->ring, &b->file.fd, 1);
		if (ret)
			io_uring_queue_exit(&u->ring);
	}
	if (ret) {
		sl_log(b->log, SL_LOG_WARN,
		       "blk: io_uring is not to be had (%s): one request at a time",
		       strerror(-ret));
		return;
	}
	u->usable = true;
	u->buffers = buffers && !io_uring_register_buffers_sparse(&u->ring, BLK_BUFFERS);
	if (buffers && !u->buffers)
		sl_log(b->log, SL_LOG_WARN, "blk: the kernel registers no buffers");
}

void sl_blk_uring_add(struct blk *b, const struct sl_region *region)
{
	struct blk_uring *u = &b->uring;
	size_t done = 0;

	for (unsigned i = 0; i < BLK_BUFFERS && u->buffers && done < region->len; i++) {
		struct iovec v = {(uint8_t *)region->base + done,
				  sl_min(region->len - done, BUFFER_MAX)};

		if (u->registered[i].iov_len)
			continue;
		if (io_uring_register_buffers_update_tag(&u->ring, i, &v, NULL, 1) != 1)
			break;
		u->registered[i] = v;
		done += v.iov_len;
	}
	if (u->buffers && done < region->len)
		sl_log(b->log, SL_LOG_INFO,
		       "blk: memory of the driver's is not registered: %zu bytes",
		       region->len - done);
}

void sl_blk_uring_del(struct blk *b, const struct sl_region *region)
{
	static const struct iovec none;
	struct blk_uring *u = &b->uring;

	for (unsigned i = 0; i < BLK_BUFFERS && u->buffers; i++) {
		uintptr_t at = (uintptr_t)u->registered[i].iov_base - (uintptr_t)region->base;

		if (!u->registered[i].iov_len || at >= region->len)
			continue;
		io_uring_register_buffers_update_tag(&u->ring, i, &none, NULL, 1);
		u->registered[i] = none;
	}
}

const struct blk_store_ops sl_blk_store_uring = {
	.start = uring_start,
	.submit = uring_submit,
	.reap = uring_reap,
	.arm = uring_arm,
	.resize = uring_resize,
	.close = uring_close,
};
