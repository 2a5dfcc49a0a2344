/* SPDX-License-Identifier: BSD-2-Clause */
/* Bursts of a packed virtqueue: virtio 1.2, 2.8. */
#include "base/bytes.h"
#include "base/reason.h"
#include "virtq/burst_private.h"

/* A buffer, whatever it is, from @at on, which goes behind it; @left entries are not this side's.
 * Returns 0; -EMSGSIZE, -EAGAIN: not this time; -EPROTO. */
static __attribute__((noinline)) int take_any(struct burst *b, struct virtq_buffer *buf,
					      struct virtq_ring_state *at, unsigned left)
{
	const struct virtq_packed_desc *ring = b->vq->setup.desc;
	unsigned size = b->vq->setup.size;
	uint16_t flags;
	int err;

	*buf = (struct virtq_buffer){.first = (uint16_t)b->n};
	do {
		const struct virtq_packed_desc *desc = &ring[at->avail];

		if (buf->descs == left)
			return sl_virtq_device_break(b->vq, "a chain is longer than what is free");
		flags = sl_load_relaxed(&desc->flags);
		err = burst_desc(b, buf, sl_load_relaxed(&desc->addr), sl_load_relaxed(&desc->len),
				 flags);
		if (err)
			return err;
		buf->id = sl_load_relaxed(&desc->id); /* that of the last counts (2.8.6) */
		buf->descs++;
		sl_virtq_packed_advance(&at->avail, &at->avail_wrap, 1, (uint16_t)size);
	} while (flags & VIRTQ_DESC_F_NEXT);
	if (buf->id >= size)
		return sl_virtq_device_break(b->vq,
					     "a buffer's id is not below the size of the queue");
	buf->n = (uint16_t)(b->n - buf->first);
	return 0;
}

/* As in burst_split.c. */
static __attribute__((noinline)) unsigned take_single(struct burst *b,
						      const struct virtq_packed_desc *desc,
						      bool wrap, unsigned n,
						      struct virtq_buffer *bufs)
{
	const struct burst_window w = b->windows[FOR_BUFFERS];
	const unsigned size = b->vq->setup.size, first = b->n;
	const uint16_t wanted = b->direction | sl_virtq_packed_flags(false, wrap);
	struct iovec *pieces = b->pieces + first;
	unsigned i;

	for (i = 0; i < n; i++, desc++) {
		/* 2.8.21.1: written behind all else of the buffer */
		uint16_t flags = sl_load_acquire(&desc->flags), id;
		uint64_t offset;
		uint32_t len;

		if ((flags & (BURST_FLAGS | VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)) != wanted)
			break;
		id = sl_load_relaxed(&desc->id);
		len = sl_load_relaxed(&desc->len);
		offset = sl_load_relaxed(&desc->addr) - w.first;
		if (id >= size || !burst_nearby(&w, offset, len))
			break;
		pieces[i] = (struct iovec){w.base + offset, len};
		bufs[i] = (struct virtq_buffer){id, 1, (uint16_t)(first + i), 1, len};
	}
	b->n += i;
	return i;
}

static bool has_avail(const struct virtq_device *vq, const struct virtq_ring_state *at)
{
	const struct virtq_packed_desc *ring = vq->setup.desc;

	return sl_virtq_packed_is(sl_load_acquire(&ring[at->avail].flags), false, at->avail_wrap);
}

int sl_virtq_burst_packed_take(struct burst *b)
{
	struct virtq_device *vq = b->vq;
	const struct virtq_packed_desc *ring = vq->setup.desc;
	unsigned size = vq->setup.size, left = size - vq->held, n = 0;
	struct virtq_ring_state at = vq->at;
	bool single = true; /* what the next one is taken for: it is like the last one */
	int err = 0;

	while (n < b->max && left && !err) {
		unsigned most =
			sl_min(sl_min(b->max - n, left), sl_min(size - at.avail, b->room - b->n));
		struct virtq_ring_state next = at;

		if (single) {
			unsigned run =
				take_single(b, &ring[at.avail], at.avail_wrap, most, b->bufs + n);

			sl_virtq_packed_advance(&at.avail, &at.avail_wrap, (uint16_t)run,
						(uint16_t)size);
			left -= run;
			n += run;
			single = run && run == most;
		} else if (!has_avail(vq, &at)) {
			break;
		} else if (!(err = take_any(b, &b->bufs[n], &next, left))) {
			at = next;
			left -= b->bufs[n].descs;
			single = b->bufs[n++].n == 1;
		}
	}
	if (err == -EPROTO)
		return err;
	vq->at = at;
	vq->held = (uint16_t)(size - left);
	vq->in_flight = (uint16_t)(vq->in_flight + n);
	return (int)n;
}

void sl_virtq_burst_packed_use(struct virtq_device *vq, const struct virtq_buffer *bufs,
			       const uint32_t *lens, unsigned n)
{
	struct virtq_packed_desc *ring = vq->setup.desc;
	unsigned size = vq->setup.size, at = vq->at.used, descs = 0;
	/* 2.8.9: as in a split queue, one for all of them */
	bool one = vq->setup.in_order && !lens, wrap = vq->at.used_wrap;
	/* The first of a batch shows the others: sl_virtq_packed_publish() writes it. */
	struct device_used *to = vq->n_batch ? (struct device_used *)&ring[at].len : &vq->first;
	uint16_t flags = sl_virtq_packed_flags(true, wrap);

	if (!vq->n_batch)
		vq->first_at = vq->at.used;
	if (one)
		*to = (struct device_used){0, bufs[n - 1].id, flags};
	for (unsigned i = 0; i < n; i++) {
		uint32_t len = lens ? lens[i] : 0;

		if (!one)
			*to = (struct device_used){
				len, bufs[i].id,
				(uint16_t)(flags | (len ? VIRTQ_DESC_F_WRITE : 0))};
		descs += bufs[i].descs;
		at += bufs[i].descs;
		if (at >= size) {
			at -= size;
			wrap = !wrap;
			flags = sl_virtq_packed_flags(true, wrap);
		}
		to = (struct device_used *)&ring[at].len;
	}
	vq->at.used = (uint16_t)at;
	vq->at.used_wrap = wrap;
	vq->batch_descs = (uint16_t)(vq->batch_descs + descs);
}
