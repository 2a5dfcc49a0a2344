/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests in which the driver breaks rules: it writes descriptors as the test has them. */
#ifndef SL_TESTS_VIRTQ_HOSTILE_H
#define SL_TESTS_VIRTQ_HOSTILE_H

#include "virtq_rig.h"

#define SIZE 8

static struct rig rig;

/* With @n descriptors in the ring, from 0 on, as the test writes them. */
static inline void open_queue(bool packed)
{
	const struct rig_options options = {
		.size = SIZE, .packed = packed, .indirect = true, .pieces = 2};

	rig_open(&rig, &options);
}

static inline struct virtq_desc *table(void)
{
	return rig.desc;
}

static inline void put_desc(unsigned at, uint64_t addr, uint32_t len, unsigned flags, uint16_t next)
{
	struct virtq_packed_desc *ring = rig.desc;

	if (!rig.options.packed) {
		table()[at] = (struct virtq_desc){addr, len, (uint16_t)flags, next};
		return;
	}
	ring[at] = (struct virtq_packed_desc){addr, len, next, (uint16_t)flags};
	ring[at].flags |= sl_virtq_packed_flags(false, true);
}

/* Of a split queue: this head is available. */
static inline void offer_head(uint16_t head)
{
	struct virtq_avail *avail = rig.driver;

	if (!rig.options.packed)
		avail->ring[avail->idx++ % SIZE] = head;
}

/* Of an indirect table, at RIG_IOVA. */
static inline void put_entry(bool packed, unsigned at, uint32_t len, unsigned flags, uint16_t next)
{
	struct virtq_desc *split = (void *)rig.data;
	struct virtq_packed_desc *entry = (void *)rig.data;

	if (packed)
		entry[at] = (struct virtq_packed_desc){RIG_IOVA, len, 0, (uint16_t)flags};
	else
		split[at] = (struct virtq_desc){RIG_IOVA, len, (uint16_t)flags, next};
}

#endif
