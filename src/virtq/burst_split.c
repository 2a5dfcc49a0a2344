/* SPDX-License-Identifier: BSD-2-Clause */
/* Bursts of a split virtqueue: virtio 1.2, 2.7. */
#include "base/bytes.h"
#include "base/reason.h"
#include "virtq/burst_private.h"

/* A buffer, whatever it is. Returns 0; -EMSGSIZE, -EAGAIN: not this time; -EPROTO. */
static __attribute__((noinline)) int take_any(struct burst *b, struct virtq_buffer *buf,
					      uint16_t head)
{
	const struct virtq_desc *table = b->vq->setup.desc;
	unsigned size = b->vq->setup.size, left = size, at = head;

	if (head >= size)
		return sl_virtq_device_break(b->vq, "the avail ring names no descriptor");
	*buf = (struct virtq_buffer){.id = head, .descs = 1, .first = (uint16_t)b->n};
	for (; left && at < size; left--) {
		const struct virtq_desc *desc = &table[at];
		uint16_t flags = sl_load_relaxed(&desc->flags);
		int err = burst_desc(b, buf, sl_load_relaxed(&desc->addr),
				     sl_load_relaxed(&desc->len), flags);

		if (err || flags & VIRTQ_DESC_F_INDIRECT || !(flags & VIRTQ_DESC_F_NEXT)) {
			buf->n = (uint16_t)(b->n - buf->first);
			return err;
		}
		at = sl_load_relaxed(&desc->next);
	}
	return sl_virtq_device_break(b->vq, left ? "a chain leaves the descriptor table"
						 : "a chain is longer than the queue");
}

/* Buffers that are a descriptor each, in the mapping where the last one was, while they are: nearly
 * all. What the loop needs it has in registers. Returns how many. */
static __attribute__((noinline)) unsigned take_single(struct burst *b, const uint16_t *heads,
						      unsigned n, struct virtq_buffer *bufs)
{
	const struct virtq_desc *table = b->vq->setup.desc;
	const struct burst_window w = b->windows[FOR_BUFFERS];
	const unsigned size = b->vq->setup.size, first = b->n;
	const uint16_t direction = b->direction;
	struct iovec *pieces = b->pieces + first;
	unsigned i;

	for (i = 0; i < n; i++) {
		unsigned head = sl_load_relaxed(&heads[i]);
		const struct virtq_desc *desc = &table[head];
		uint64_t offset;
		uint32_t len;

		if (head >= size || (sl_load_relaxed(&desc->flags) & BURST_FLAGS) != direction)
			break;
		len = sl_load_relaxed(&desc->len);
		offset = sl_load_relaxed(&desc->addr) - w.first;
		if (!burst_nearby(&w, offset, len))
			break;
		pieces[i] = (struct iovec){w.base + offset, len};
		bufs[i] = (struct virtq_buffer){(uint16_t)head, 1, (uint16_t)(first + i), 1, len};
	}
	b->n += i;
	return i;
}

int sl_virtq_burst_split_take(struct burst *b)
{
	struct virtq_device *vq = b->vq;
	const uint16_t *ring = ((const struct virtq_avail *)vq->setup.driver)->ring;
	unsigned max, size = vq->setup.size, n = 0;
	bool single = true; /* what the next one is taken for: it is like the last one */
	int err = 0;

	if ((uint16_t)(vq->seen - vq->at.avail) < b->max && sl_virtq_split_look(vq) == -EPROTO)
		return -EPROTO;
	max = sl_min(b->max, (unsigned)(uint16_t)(vq->seen - vq->at.avail));
	while (n < max && !err) {
		unsigned at = (vq->at.avail + n) & (size - 1);

		if (single) {
			unsigned most = sl_min(max - n, sl_min(size - at, b->room - b->n));

			unsigned run = take_single(b, ring + at, most, b->bufs + n);

			n += run;
			single = run && run == most;
		} else {
			err = take_any(b, &b->bufs[n], sl_load_relaxed(&ring[at]));
			single = b->bufs[n].n == 1;
			n += !err;
		}
	}
	if (err == -EPROTO)
		return err;
	vq->at.avail = (uint16_t)(vq->at.avail + n);
	vq->in_flight = (uint16_t)(vq->in_flight + n);
	return (int)n;
}

void sl_virtq_burst_split_use(struct virtq_device *vq, const struct virtq_buffer *bufs,
			      const uint32_t *lens, unsigned n)
{
	struct virtq_used *used = vq->setup.device;
	uint16_t at = vq->at.used, mask = (uint16_t)(vq->setup.size - 1);

	vq->at.used = (uint16_t)(at + n);
	/* 2.7.9: "a single used ring entry with the id corresponding to the head entry of the
	 * descriptor chain describing the last buffer in the batch", where the first one's would
	 * be. Buffers count as used completely: which is true of those that are read. */
	if (vq->setup.in_order && !lens) {
		used->ring[at & mask] = (struct virtq_used_elem){bufs[n - 1].id, 0};
		return;
	}
	for (unsigned i = 0; i < n; i++)
		used->ring[at++ & mask] = (struct virtq_used_elem){bufs[i].id, lens ? lens[i] : 0};
}
