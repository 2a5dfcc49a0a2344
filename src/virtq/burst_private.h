/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of bursts share. */
#ifndef SL_VIRTQ_BURST_PRIVATE_H
#define SL_VIRTQ_BURST_PRIVATE_H

#include "virtq/burst.h"
#include "virtq/device_private.h"
#include "virtq/packed.h"

/** struct burst_window - a mapping that a burst may access as it is about to, and in which its next
 * address nearly always lies; @len 0: there is none */
struct burst_window {
	uint64_t first, len;
	uint8_t *base;
};

/**
 * struct burst - one call of sl_virtq_burst_take()
 * @n, @room:  of @pieces
 * @direction: of all descriptors: VIRTQ_DESC_F_WRITE, or 0
 * @windows:   FOR_TABLES, FOR_BUFFERS
 */
struct burst {
	struct virtq_device *vq;
	struct virtq_buffer *bufs;
	struct iovec *pieces;
	unsigned max, n, room;
	uint16_t direction;
	struct burst_window windows[2];
};

/** burst_nearby() - do @len bytes, not none, lie in that mapping, @offset from its start? */
static inline bool burst_nearby(const struct burst_window *w, uint64_t offset, uint32_t len)
{
	uint64_t last = offset + len - 1;

	return last < w->len && offset <= last;
}

#define BURST_FLAGS (VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_INDIRECT)

/* burst_desc() where it is not simple. */
int sl_virtq_burst_desc(struct burst *b, struct virtq_buffer *buf, uint64_t addr, uint32_t len,
			uint16_t flags);

/** burst_desc() - add what a descriptor says to a buffer. Return: 0; -EMSGSIZE, -EAGAIN: no room,
 * or no memory, for this time; -EPROTO */
static inline int burst_desc(struct burst *b, struct virtq_buffer *buf, uint64_t addr, uint32_t len,
			     uint16_t flags)
{
	const struct burst_window *w = &b->windows[FOR_BUFFERS];
	uint64_t offset = addr - w->first;
	uint32_t total;

	if ((flags & (VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_INDIRECT)) != b->direction ||
	    !burst_nearby(w, offset, len) || b->n == b->room ||
	    __builtin_add_overflow(buf->len, len, &total))
		return sl_virtq_burst_desc(b, buf, addr, len, flags);
	b->pieces[b->n++] = (struct iovec){w->base + offset, len};
	buf->len = total;
	return 0;
}

/** ..._take() - Return: how many buffers, now the device's; -EPROTO */
int sl_virtq_burst_split_take(struct burst *b);
int sl_virtq_burst_packed_take(struct burst *b);
void sl_virtq_burst_split_use(struct virtq_device *vq, const struct virtq_buffer *bufs,
			      const uint32_t *lens, unsigned n);
void sl_virtq_burst_packed_use(struct virtq_device *vq, const struct virtq_buffer *bufs,
			       const uint32_t *lens, unsigned n);

#endif
