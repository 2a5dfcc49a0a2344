/* SPDX-License-Identifier: BSD-2-Clause */
/* Bursts of buffers: what split and packed have in common. */
#include "base/barrier.h"
#include "base/bytes.h"
#include "base/reason.h"
#include "virtq/burst_private.h"

static uint32_t access_for(const struct burst *b, unsigned what)
{
	return what == FOR_BUFFERS && b->direction ? SL_REGION_WRITE : SL_REGION_READ;
}

static void open_window(struct burst *b, unsigned what)
{
	size_t count, hint = b->vq->hint[what];
	const struct sl_mapping *m = sl_space_mappings(b->vq->setup.space, &count);

	b->windows[what].len = 0;
	if (hint >= count || access_for(b, what) & ~m[hint].region.access)
		return;
	b->windows[what] = (struct burst_window){m[hint].at.first.value, m[hint].region.len,
						 m[hint].region.base};
}

/* Returns how many pieces, or what sl_space_lookup() says. */
static int look_up(struct burst *b, unsigned what, uint64_t addr, uint32_t len,
		   struct iovec *pieces, unsigned max)
{
	int n = sl_virtq_device_look_up(b->vq, what, (sl_iova){addr}, len, access_for(b, what),
					pieces, max);

	open_window(b, what);
	return n;
}

/* A lookup failed: was it for now, or is it for good? */
static int refuse(struct burst *b, const struct virtq_buffer *buf, int err)
{
	if (err == -EAGAIN || (err == -EMSGSIZE && buf->first)) /* it did not have all the room */
		return err;
	return sl_virtq_device_refuse(b->vq, err);
}

static int add_piece(struct burst *b, struct virtq_buffer *buf, uint64_t addr, uint32_t len,
		     uint16_t flags)
{
	int n;

	if ((flags & VIRTQ_DESC_F_WRITE) != b->direction)
		return sl_virtq_device_break(
			b->vq, b->direction ? "a buffer to write has a piece to read"
					    : "a buffer to read has a piece to write");
	if (!len)
		return 0;
	if (len > UINT32_MAX - buf->len)
		return sl_virtq_device_break(b->vq, "a buffer of 2^32 bytes and more");
	n = look_up(b, FOR_BUFFERS, addr, len, b->pieces + b->n, b->room - b->n);
	if (n < 0)
		return refuse(b, buf, n);
	b->n += (unsigned)n;
	buf->len += len;
	return 0;
}

/* Copied, since it is not always aligned, and so that it is read once. Returns 0; -EAGAIN; -EPROTO.
 */
static inline int read_entry(struct burst *b, const struct virtq_buffer *buf, uint64_t addr,
			     void *to)
{
	const struct burst_window *w = &b->windows[FOR_TABLES];
	uint64_t offset = addr - w->first;
	struct iovec piece;
	int n = 1;

	if (burst_nearby(w, offset, sizeof(struct virtq_desc)))
		piece.iov_base = w->base + offset;
	else
		n = look_up(b, FOR_TABLES, addr, sizeof(struct virtq_desc), &piece, 1);
	if (n < 0)
		return refuse(b, buf, n);
	memcpy(to, piece.iov_base, sizeof(struct virtq_desc));
	sl_fence_compiler();
	return 0;
}

/* 2.7.5.3: a chain */
static int add_split_table(struct burst *b, struct virtq_buffer *buf, uint64_t table,
			   uint32_t count)
{
	struct virtq_desc desc;
	uint32_t at = 0;
	int err;

	for (uint32_t n = 0; n < count; n++) {
		err = read_entry(b, buf, table + at * sizeof(desc), &desc);
		if (err)
			return err;
		if (desc.flags & VIRTQ_DESC_F_INDIRECT)
			return sl_virtq_device_break(b->vq,
						     "an indirect table is in an indirect table");
		err = burst_desc(b, buf, desc.addr, desc.len, desc.flags);
		if (err || !(desc.flags & VIRTQ_DESC_F_NEXT))
			return err;
		at = desc.next;
		if (at >= count)
			return sl_virtq_device_break(b->vq, "a chain leaves its indirect table");
	}
	return sl_virtq_device_break(b->vq, "a chain in an indirect table has no end");
}

/* 2.8.8: one after the other */
static int add_packed_table(struct burst *b, struct virtq_buffer *buf, uint64_t table,
			    uint32_t count)
{
	struct virtq_packed_desc desc;
	int err = 0;

	for (uint32_t n = 0; n < count && !err; n++) {
		err = read_entry(b, buf, table + n * sizeof(desc), &desc);
		if (!err)
			err = burst_desc(b, buf, desc.addr, desc.len,
					 desc.flags & VIRTQ_DESC_F_WRITE);
	}
	return err;
}

int sl_virtq_burst_desc(struct burst *b, struct virtq_buffer *buf, uint64_t addr, uint32_t len,
			uint16_t flags)
{
	int count;

	if (!(flags & VIRTQ_DESC_F_INDIRECT))
		return add_piece(b, buf, addr, len, flags);
	count = sl_virtq_device_table(b->vq, (sl_iova){addr}, len, flags);
	if (count < 0)
		return count;
	return b->vq->setup.packed ? add_packed_table(b, buf, addr, (uint32_t)count)
				   : add_split_table(b, buf, addr, (uint32_t)count);
}

int sl_virtq_burst_take(struct virtq_device *vq, bool write, struct virtq_buffer *bufs,
			unsigned max, struct iovec *pieces, unsigned room)
{
	struct burst b = {
		.vq = vq,
		.bufs = bufs,
		.pieces = pieces,
		.max = max,
		.room = sl_min(room, (unsigned)UINT16_MAX),
		.direction = write ? VIRTQ_DESC_F_WRITE : 0,
	};

	if (vq->broken)
		return -EPROTO;
	open_window(&b, FOR_TABLES);
	open_window(&b, FOR_BUFFERS);
	return vq->setup.packed ? sl_virtq_burst_packed_take(&b) : sl_virtq_burst_split_take(&b);
}

void sl_virtq_burst_untake(struct virtq_device *vq, const struct virtq_buffer *bufs, unsigned n)
{
	struct virtq_ring_state *at = &vq->at;
	unsigned descs = 0;

	vq->in_flight = (uint16_t)(vq->in_flight - n);
	if (!vq->setup.packed) {
		at->avail = (uint16_t)(at->avail - n);
		return;
	}
	for (unsigned i = 0; i < n; i++)
		descs += bufs[i].descs;
	vq->held = (uint16_t)(vq->held - descs);
	if (at->avail < descs) {
		descs -= vq->setup.size;
		at->avail_wrap = !at->avail_wrap;
	}
	at->avail = (uint16_t)(at->avail - descs);
}

int sl_virtq_burst_use(struct virtq_device *vq, const struct virtq_buffer *bufs,
		       const uint32_t *lens, unsigned n)
{
	if (n > vq->in_flight)
		return sl_virtq_device_break(vq, "a buffer is given back that was not taken");
	vq->in_flight = (uint16_t)(vq->in_flight - n);
	if (vq->broken)
		return -EPROTO;
	vq->in_burst = true;
	if (!n)
		return 0;
	if (vq->setup.packed)
		sl_virtq_burst_packed_use(vq, bufs, lens, n);
	else
		sl_virtq_burst_split_use(vq, bufs, lens, n);
	vq->n_batch = (uint16_t)(vq->n_batch + n);
	return 0;
}
