/* SPDX-License-Identifier: BSD-2-Clause */
/* The packed virtqueue in memory (virtio 1.2, 2.8), as both sides see it. Little-endian, like every
 * machine that sluice is for. */
#ifndef SL_VIRTQ_PACKED_H
#define SL_VIRTQ_PACKED_H

#include <stdbool.h>
#include <stdint.h>

#include "virtq/split.h"

enum {
	VIRTQ_DESC_F_AVAIL = 1 << 7, /* 2.8.1 */
	VIRTQ_DESC_F_USED = 1 << 15,
	VIRTQ_EVENT_F_ENABLE = 0, /* 2.8.10 */
	VIRTQ_EVENT_F_DISABLE = 1,
	VIRTQ_EVENT_F_DESC = 2, /* with VIRTIO_F_EVENT_IDX only */
	VIRTQ_EVENT_F_MASK = 3, /* the rest is reserved */
};

#define VIRTQ_EVENT_WRAP 0x8000u /* in off_wrap: the wrap counter; the offset lies below it */

/** struct virtq_packed_desc - 2.8.13; available or used: then @addr means nothing, @len is what was
 * written if VIRTQ_DESC_F_WRITE is set */
struct virtq_packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

/** struct virtq_packed_event - event suppression, 2.8.14; read and written as one word of 4 bytes
 */
struct virtq_packed_event {
	uint16_t off_wrap;
	uint16_t flags;
};

/** sl_virtq_packed_flags() - VIRTQ_DESC_F_AVAIL and _USED of an available or used descriptor */
static inline uint16_t sl_virtq_packed_flags(bool used, bool wrap)
{
	return (uint16_t)((wrap ? VIRTQ_DESC_F_AVAIL : 0) | (used == wrap ? VIRTQ_DESC_F_USED : 0));
}

/** sl_virtq_packed_is() - is a descriptor available, or used, in the lap of @wrap? (2.8.1) */
static inline bool sl_virtq_packed_is(uint16_t flags, bool used, bool wrap)
{
	return (flags & (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)) ==
	       sl_virtq_packed_flags(used, wrap);
}

/** sl_virtq_packed_advance() - go on by @n places, @n up to the size */
static inline void sl_virtq_packed_advance(uint16_t *at, bool *wrap, uint16_t n, uint16_t size)
{
	uint32_t next = (uint32_t)*at + n;

	if (next >= size) {
		next -= size;
		*wrap = !*wrap;
	}
	*at = (uint16_t)next;
}

/**
 * sl_virtq_packed_need_event() - must the other side be told? (2.8.10)
 * @event: what the other side asks for
 * @at:    where this side stands now, in the lap of @wrap
 * @n:     places that it has come since it last asked this
 */
static inline bool sl_virtq_packed_need_event(struct virtq_packed_event event, uint16_t at,
					      bool wrap, uint16_t n, uint16_t size)
{
	uint16_t off = event.off_wrap & (VIRTQ_EVENT_WRAP - 1);

	if ((event.flags & VIRTQ_EVENT_F_MASK) != VIRTQ_EVENT_F_DESC)
		return (event.flags & VIRTQ_EVENT_F_MASK) != VIRTQ_EVENT_F_DISABLE;
	if (!(event.off_wrap & VIRTQ_EVENT_WRAP) == wrap)
		off = (uint16_t)(off - size);
	return sl_virtq_need_event(off, at, (uint16_t)(at - n));
}

#endif
