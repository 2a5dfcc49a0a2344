/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of a block device (virtio 1.2, 5.2.6): a header of 16 bytes, data, and a status byte,
 * the last that the device may write. Where one descriptor ends and the next begins means nothing
 * (2.7.4).
 */
#include <linux/virtio_blk.h>

#include <sluice/guard.h>

#include "base/bytes.h"
#include "base/count.h"
#include "offer/blk.h"

#define SECTOR 512u

static struct blk *blk_of(struct sl_model *model)
{
	return sl_container_of((uintptr_t)model, struct blk, model);
}

/* @data: bytes of the request's data that were written, from its beginning on */
static void finish(struct sl_request *req, uint8_t status, uint32_t data)
{
	const struct iovec *last = &req->write[req->n_write - 1];

	if (sl_guard_copy((uint8_t *)last->iov_base + last->iov_len - 1, &status, 1))
		data = 0;
	else if (data == req->write_len - 1)
		data++;
	sl_request_done(req, data);
}

static void refuse(struct sl_request *req, uint64_t *reason, uint8_t status)
{
	sl_count_add(reason, 1);
	finish(req, status, 0);
}

static uint64_t *reason_of(struct blk_stats *s, int err)
{
	switch (err) {
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG:
		return &s->no_space;
	case -EFAULT:
		return &s->no_memory;
	default:
		return &s->io_error;
	}
}

void sl_blk_done(struct blk *b, struct blk_io *io, int err)
{
	struct blk_stats *s = &b->stats;
	uint64_t written = io->op == BLK_READ ? io->len - io->left : 0;

	if (err) {
		refuse(io->req, reason_of(s, err), VIRTIO_BLK_S_IOERR);
		return;
	}
	sl_count_add(&s->done[io->op], 1);
	if (io->op == BLK_READ)
		sl_count_add(&s->read_bytes, io->len);
	else if (io->op == BLK_WRITE)
		sl_count_add(&s->write_bytes, io->len);
	finish(io->req, VIRTIO_BLK_S_OK, (uint32_t)written);
}

void sl_blk_advance(struct blk_io *io, uint64_t len)
{
	io->at += len;
	io->left -= len;
	while (len && io->n) {
		struct iovec *p = io->pieces;
		size_t here = sl_min(len, p->iov_len);

		p->iov_base = (uint8_t *)p->iov_base + here;
		p->iov_len -= here;
		len -= here;
		if (!p->iov_len) {
			io->pieces++;
			io->n--;
		}
	}
}

int sl_blk_copy(const struct blk_io *io, void *mine, uint64_t len, bool to_driver)
{
	uint8_t *at = mine;
	int ret = 0;

	for (unsigned i = 0; i < io->n && len && !ret; i++) {
		size_t here = sl_min(len, io->pieces[i].iov_len);

		ret = to_driver ? sl_guard_copy(io->pieces[i].iov_base, at, here)
				: sl_guard_copy(at, io->pieces[i].iov_base, here);
		at += here;
		len -= here;
	}
	return ret;
}

/* The pieces of [offset, offset + len) of a request's. False when they are too many. */
static bool take_pieces(struct blk_io *io, const struct iovec *from, unsigned n, uint32_t offset,
			uint64_t len)
{
	io->pieces = io->room;
	io->n = 0;
	for (unsigned i = 0; i < n && len; i++) {
		size_t here;

		if (offset >= from[i].iov_len) {
			offset -= (uint32_t)from[i].iov_len;
			continue;
		}
		if (io->n == BLK_PIECES)
			return false;
		here = sl_min(len, from[i].iov_len - offset);
		io->room[io->n++] = (struct iovec){(uint8_t *)from[i].iov_base + offset, here};
		len -= here;
		offset = 0;
	}
	return true;
}

static bool in_range(const struct blk *b, uint64_t sector, uint64_t len)
{
	uint64_t sectors = b->size / SECTOR;

	return len / SECTOR <= sectors && sector <= sectors - len / SECTOR;
}

static struct blk_io *io_of(struct sl_request *req, enum blk_op op, uint64_t sector, uint64_t len)
{
	struct blk_io *io = req->data;

	io->req = req;
	io->op = op;
	io->unmap = io->by_hand = io->sync = false;
	io->retried = 0;
	io->at = sector * SECTOR;
	io->left = io->len = len;
	io->bounce = NULL;
	io->n = 0;
	return io;
}

static void start_data(struct blk *b, struct sl_request *req, enum blk_op op, uint64_t sector)
{
	uint32_t head = sizeof(struct virtio_blk_outhdr);
	uint32_t len = op == BLK_READ ? req->write_len - 1 : req->read_len - head;
	struct blk_io *io;

	if (len & (b->file.align - 1)) {
		refuse(req, &b->stats.malformed, VIRTIO_BLK_S_IOERR);
		return;
	}
	if (!in_range(b, sector, len) || (sector * SECTOR) & (b->file.align - 1)) {
		refuse(req, &b->stats.out_of_range, VIRTIO_BLK_S_IOERR);
		return;
	}
	io = io_of(req, op, sector, len);
	if (!(op == BLK_READ ? take_pieces(io, req->write, req->n_write, 0, len)
			     : take_pieces(io, req->read, req->n_read, head, len)))
		refuse(req, &b->stats.malformed, VIRTIO_BLK_S_IOERR);
	else if (!len)
		sl_blk_done(b, io, 0);
	else
		b->store->start(b, io);
}

/* One segment, since max_discard_seg and max_write_zeroes_seg are 1. */
static void start_range(struct blk *b, struct sl_request *req, enum blk_op op)
{
	struct virtio_blk_discard_write_zeroes seg;
	uint32_t head = sizeof(struct virtio_blk_outhdr), flags;
	struct blk_io *io;
	uint64_t len;

	if (req->read_len != head + sizeof(seg)) {
		refuse(req, &b->stats.malformed, VIRTIO_BLK_S_IOERR);
		return;
	}
	if (sl_request_read(req, head, &seg, sizeof(seg))) {
		refuse(req, &b->stats.no_memory, VIRTIO_BLK_S_IOERR);
		return;
	}
	/* 5.2.6.2: unknown flags are not supported; discard has none. */
	flags = seg.flags;
	if (flags & ~(op == BLK_ZERO ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0u)) {
		refuse(req, &b->stats.unsupported, VIRTIO_BLK_S_UNSUPP);
		return;
	}
	len = (uint64_t)seg.num_sectors * SECTOR;
	if (seg.num_sectors > BLK_RANGE_MAX || !in_range(b, seg.sector, len) ||
	    (seg.sector * SECTOR | len) & (b->file.align - 1)) {
		refuse(req, &b->stats.out_of_range, VIRTIO_BLK_S_IOERR);
		return;
	}
	io = io_of(req, op, seg.sector, len);
	io->unmap = flags;
	if (!len)
		sl_blk_done(b, io, 0);
	else
		b->store->start(b, io);
}

static void get_id(struct blk *b, struct sl_request *req)
{
	uint32_t len = sl_min(req->write_len - 1, (uint32_t)sizeof(b->serial));

	if (sl_request_write(req, 0, b->serial, len)) {
		refuse(req, &b->stats.no_memory, VIRTIO_BLK_S_IOERR);
		return;
	}
	sl_count_add(&b->stats.ids, 1);
	finish(req, VIRTIO_BLK_S_OK, len);
}

static bool writes(uint32_t type)
{
	return type == VIRTIO_BLK_T_OUT || type == VIRTIO_BLK_T_DISCARD ||
	       type == VIRTIO_BLK_T_WRITE_ZEROES;
}

static void dispatch(struct blk *b, struct sl_request *req, const struct virtio_blk_outhdr *head)
{
	switch (head->type) {
	case VIRTIO_BLK_T_IN:
		start_data(b, req, BLK_READ, head->sector);
		break;
	case VIRTIO_BLK_T_OUT:
		start_data(b, req, BLK_WRITE, head->sector);
		break;
	case VIRTIO_BLK_T_FLUSH:
		b->store->start(b, io_of(req, BLK_FLUSH, 0, 0));
		break;
	case VIRTIO_BLK_T_DISCARD:
		start_range(b, req, BLK_DISCARD);
		break;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		start_range(b, req, BLK_ZERO);
		break;
	case VIRTIO_BLK_T_GET_ID:
		get_id(b, req);
		break;
	default:
		refuse(req, &b->stats.unsupported, VIRTIO_BLK_S_UNSUPP);
	}
}

void sl_blk_request(struct sl_model *model, struct sl_request *req)
{
	struct blk *b = blk_of(model);
	struct virtio_blk_outhdr head;

	if (!req->write_len) {
		sl_count_add(&b->stats.no_status, 1);
		sl_request_done(req, 0);
	} else if (req->read_len < sizeof(head)) {
		refuse(req, &b->stats.malformed, VIRTIO_BLK_S_IOERR);
	} else if (sl_request_read(req, 0, &head, sizeof(head))) {
		refuse(req, &b->stats.no_memory, VIRTIO_BLK_S_IOERR);
	} else if (b->ro && writes(head.type)) {
		refuse(req, &b->stats.read_only, VIRTIO_BLK_S_IOERR);
	} else {
		dispatch(b, req, &head);
	}
}
