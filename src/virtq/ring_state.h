/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a device stands in a virtqueue: what goes from one process to the next. */
#ifndef SL_VIRTQ_RING_STATE_H
#define SL_VIRTQ_RING_STATE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct virtq_ring_state - as VHOST_USER_GET_VRING_BASE and VDUSE_GET_VQ_STATE tell it
 * @avail:      split: avail idx up to which buffers were taken, free-running. packed: the place in
 * the ring of the next descriptor to take, below the size
 * @used:       packed: the place of the next used descriptor to write. split: used idx
 * @avail_wrap: packed: the wrap counters that belong to them (2.8.1); true at the start
 * @used_wrap:  ...
 */
struct virtq_ring_state {
	uint16_t avail, used;
	bool avail_wrap, used_wrap;
};

#endif
