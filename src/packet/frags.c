/* SPDX-License-Identifier: BSD-2-Clause */
/* The bytes of a packet, across its fragments: one walk, four uses. */
#include <errno.h>

#include "base/bytes.h"
#include "packet/csum.h"
#include "packet/frags.h"

struct walk {
	const struct sl_ring *ring;
	struct sl_packet *packet;
	uint32_t next; /* fragment to look at next */
	size_t skip;   /* bytes before the range */
	size_t left;   /* bytes of the range still to come */
};

/* The next piece of the range that lies in one fragment, never empty; false at its end or
 * at the packet's: then @left tells. */
static inline bool walk_next(struct walk *w, struct sl_frag *piece)
{
	while (w->left && w->next <= w->packet->more) {
		const struct sl_frag *frag = sl_ring_frag(w->ring, w->packet, w->next++);

		if (w->skip >= frag->len) {
			w->skip -= frag->len;
			continue;
		}
		piece->addr = frag->addr + w->skip;
		piece->len = (uint32_t)sl_min(frag->len - w->skip, w->left);
		piece->region = frag->region;
		piece->tailroom = 0;
		w->skip = 0;
		w->left -= piece->len;
		return true;
	}
	return false;
}

size_t sl_frags_copy(const struct sl_ring *ring, struct sl_packet *packet, size_t at, void *to,
		     size_t len)
{
	struct walk w = {ring, packet, 0, at, len};
	uint8_t *out = to;
	struct sl_frag piece;

	while (walk_next(&w, &piece)) {
		memcpy(out, piece.addr, piece.len);
		out += piece.len;
	}
	return len - w.left;
}

uint64_t sl_frags_csum(const struct sl_ring *ring, struct sl_packet *packet, size_t at, size_t len,
		       uint64_t sum)
{
	struct walk w = {ring, packet, 0, at, len};
	struct sl_frag piece;
	uint32_t done = 0;

	while (walk_next(&w, &piece)) {
		sum = done & 1 ? sl_csum_add_odd(sum, piece.addr, piece.len)
			       : sl_csum_add(sum, piece.addr, piece.len);
		done += piece.len;
	}
	return sum;
}

uint64_t sl_frags_copy_csum(const struct sl_ring *ring, struct sl_packet *packet, size_t at,
			    void *to, size_t len, uint64_t sum)
{
	struct walk w = {ring, packet, 0, at, len};
	uint8_t *out = to;
	struct sl_frag piece;

	while (walk_next(&w, &piece)) {
		if ((out - (uint8_t *)to) & 1) {
			memcpy(out, piece.addr, piece.len);
			sum = sl_csum_add_odd(sum, out, piece.len);
		} else {
			sum = sl_csum_copy(out, piece.addr, piece.len, sum);
		}
		out += piece.len;
	}
	return sum;
}

int sl_frags_slice(const struct sl_ring *ring, struct sl_packet *packet, size_t at, size_t len,
		   struct sl_frag *out, unsigned max)
{
	struct walk w = {ring, packet, 0, at, len};
	struct sl_frag piece;
	size_t whole = sl_ring_packet_len(ring, packet);
	unsigned count = 0;

	if (at > whole || len > whole - at)
		return -EINVAL;
	while (walk_next(&w, &piece)) {
		if (count == max)
			return -EMSGSIZE;
		out[count++] = piece;
	}
	return (int)count;
}
