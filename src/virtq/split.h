/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The split virtqueue in memory (virtio 1.2, 2.7), as both sides see it. Little-endian, like every
 * machine that sluice is for.
 */
#ifndef SL_VIRTQ_SPLIT_H
#define SL_VIRTQ_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/barrier.h"

#define VIRTQ_SIZE_MAX 32768 /* 2.7 */

enum {
	VIRTQ_DESC_F_NEXT = 1,
	VIRTQ_DESC_F_WRITE = 2, /* by the device */
	VIRTQ_DESC_F_INDIRECT = 4,
	VIRTQ_AVAIL_F_NO_INTERRUPT = 1,
	VIRTQ_USED_F_NO_NOTIFY = 1,
};

/** struct virtq_desc - 2.7.5 */
struct virtq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/** struct virtq_avail - 2.7.6; le16 used_event lies behind the ring */
struct virtq_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[];
};

/** struct virtq_used_elem - 2.7.8; @id: head of the chain; @len: bytes written into it */
struct virtq_used_elem {
	uint32_t id;
	uint32_t len;
};

/** struct virtq_used - 2.7.8; le16 avail_event lies behind the ring */
struct virtq_used {
	uint16_t flags;
	uint16_t idx;
	struct virtq_used_elem ring[];
};

/** sl_virtq_used_event() - 2.7.10: written by the driver */
static inline uint16_t *sl_virtq_used_event(struct virtq_avail *avail, uint16_t size)
{
	return &avail->ring[size];
}

/** sl_virtq_avail_event() - 2.7.10: written by the device */
static inline uint16_t *sl_virtq_avail_event(struct virtq_used *used, uint16_t size)
{
	return (uint16_t *)(void *)&used->ring[size];
}

/** sl_virtq_need_event() - has an index, going from @old to @now, passed @event? (2.7.10) */
static inline bool sl_virtq_need_event(uint16_t event, uint16_t now, uint16_t old)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

#endif
