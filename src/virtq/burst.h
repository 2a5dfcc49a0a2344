/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device's side of a virtqueue of packets: many buffers at a time, used in the order in which
 * they were made available (so after a kill used idx says where to begin), and nothing logged. A
 * queue opened by sl_virtq_device_open() without a log is used through this, or through get and
 * put, not both; publish, arm, disarm, state and broken are the same.
 *
 * Rings and buffers are the driver's, who is hostile and writes them under our feet; they are
 * touched by plain loads and stores: the memory is kept (sl_guard_keep()), so that it cannot be
 * taken away. What is read is read once and checked.
 */
#ifndef SL_VIRTQ_BURST_H
#define SL_VIRTQ_BURST_H

#include "virtq/device.h"

/**
 * struct virtq_buffer - a buffer that the driver has made available, and the device has taken
 * @id:    what the driver calls it
 * @descs: ring entries that it takes (packed); 1 (split)
 * @first: of its pieces, in the array that sl_virtq_burst_take() was given
 * @n:     how many pieces, none of length 0; 0 for a buffer without a byte
 * @len:   their bytes together
 */
struct virtq_buffer {
	uint16_t id, descs;
	uint16_t first, n;
	uint32_t len;
};

/**
 * sl_virtq_burst_take() - take buffers that are available
 * @vq:     the queue
 * @write:  the device writes these (a receiveq's) and reads none of them; or the other way round
 * @bufs:   filled in, room for @max
 * @pieces: filled in, room for @room: at least the queue's size and 64
 *
 * A buffer whose pieces have no room left, or whose memory may be there later (@miss of struct
 * virtq_setup), is not taken this time, nor are those behind it.
 *
 * Return: how many, 0 when there are none; -EPROTO when the queue is broken: also when a buffer has
 * a piece of the other direction, or more pieces than @room. No reason.
 */
int sl_virtq_burst_take(struct virtq_device *vq, bool write, struct virtq_buffer *bufs,
			unsigned max, struct iovec *pieces, unsigned room);

/** sl_virtq_burst_untake() - as if the last @n buffers had not been taken; @bufs: those */
void sl_virtq_burst_untake(struct virtq_device *vq, const struct virtq_buffer *bufs, unsigned n);

/**
 * sl_virtq_burst_use() - give back the @n buffers that were taken first of those the device has
 * @bufs: those, in that order
 * @lens: bytes written into each, NULL for none
 *
 * The driver sees them after sl_virtq_device_publish().
 *
 * Return: 0; -EPROTO when the queue is broken.
 */
int sl_virtq_burst_use(struct virtq_device *vq, const struct virtq_buffer *bufs,
		       const uint32_t *lens, unsigned n);

#endif
