/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A block device (virtio 1.2, 5.2), driver's side: what is negotiated and said, and its requests.
 * Who owns a transport and memory that the device sees makes a queue of it; see
 * virtio_blk_queue.
 */
#ifndef SL_VIRTIO_BLK_H
#define SL_VIRTIO_BLK_H

#include <linux/virtio_blk.h>

#include "virtio/virtio.h"
#include "virtq/driver.h"

#define VIRTIO_BLK_SECTOR     512u /* bytes: the unit of capacity and addresses (5.2.4) */
#define VIRTIO_BLK_PIECES_MAX 32   /* of a request's data, in this driver */

/**
 * struct virtio_blk_state - its configuration (5.2.4); what the device does not say is a default
 * @capacity:       in sectors
 * @block_size:     logical, in bytes; @physical: what it is best at
 * @piece_max:      bytes of a piece of data
 * @pieces_max:     pieces of a request, at most VIRTIO_BLK_PIECES_MAX
 * @discard, @write_zeroes: sectors of one such request, 0: the device has none
 * @discard_align:  in sectors, of a discard that is not in vain
 */
struct virtio_blk_state {
	uint64_t capacity;
	uint32_t block_size, physical;
	uint32_t piece_max, pieces_max;
	uint32_t discard, discard_align, write_zeroes;
	uint16_t queues;
	bool read_only, flush;
};

/**
 * sl_virtio_blk_start() - sl_virtio_start() with the features that this driver has
 * @v:    the device
 * @more: of the ring: VIRTIO_F_RING_PACKED, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_IN_ORDER, as the
 *        caller wants them
 *
 * Return: as sl_virtio_start().
 */
int sl_virtio_blk_start(struct virtio *v, uint64_t more);

/** sl_virtio_blk_state() - read its configuration; -EINVAL for one that cannot be */
int sl_virtio_blk_state(struct virtio *v, struct virtio_blk_state *state);

/**
 * struct virtio_blk_slot - what the device sees of a request beside its data (5.2.6): a cache line
 * @status: written by the device
 */
struct virtio_blk_slot {
	struct virtio_blk_outhdr header;
	struct virtio_blk_discard_write_zeroes range;
	uint8_t status;
	uint8_t rest[31];
};

/**
 * struct virtio_blk_setup - what a queue is made of
 * @v:      the device
 * @queue:  which
 * @size:   entries of the virtqueue
 * @depth:  requests at once
 * @memory: sl_virtio_blk_memory() bytes, zeroed, aligned to 64; the caller's
 * @iova:   where the device sees them
 * @writable: sl_virtio_blk_writable() bytes, likewise, and nothing of @memory is written by the
 *          device then; NULL, and always of a packed queue: all lies in @memory
 */
struct virtio_blk_setup {
	struct virtio *v;
	uint16_t queue, size, depth;
	void *memory;
	sl_iova iova;
	void *writable;
	sl_iova writable_iova;
};

/** struct virtio_blk_mapped - a request's data, as the device sees them; @written: it writes them
 */
struct virtio_blk_mapped {
	struct virtq_elem data[VIRTIO_BLK_PIECES_MAX];
	unsigned n;
	bool written;
};

/**
 * struct virtio_blk_queue - requests and the virtqueue that they go through
 * @slots: of @depth requests
 * @status: where the first one's status is, as the device sees it too, and from it to the next one
 * @owner: by the virtqueue's id: which request that is
 * @mapped: of a transport that maps: each request's data
 */
struct virtio_blk_queue {
	struct virtio_blk_setup setup;
	struct virtq_driver vq;
	struct virtq_layout layout;
	struct virtio_blk_slot *slots;
	sl_iova slots_iova;
	uint8_t *status;
	sl_iova status_iova;
	size_t status_step;
	uint16_t *owner;
	struct virtio_blk_mapped *mapped;
};

/** sl_virtio_blk_memory() - bytes that a queue needs with those @features; with less of them not
 * more */
size_t sl_virtio_blk_memory(uint64_t features, uint16_t size, uint16_t depth);

/** sl_virtio_blk_writable() - bytes of it that the device writes */
size_t sl_virtio_blk_writable(uint16_t size, uint16_t depth);

/**
 * sl_virtio_blk_open() - make a queue; the device does not know it yet
 * @q:     filled in
 * @setup: copied
 *
 * Return: 0; -EINVAL for sizes that cannot be; -ENOMEM.
 */
int sl_virtio_blk_open(struct virtio_blk_queue *q, const struct virtio_blk_setup *setup);

/** sl_virtio_blk_close() - free what is the driver's own; the device has been reset */
void sl_virtio_blk_close(struct virtio_blk_queue *q);

/**
 * sl_virtio_blk_enable() - show it the device; also a device that takes over from one that is gone,
 * with all that is in flight
 *
 * Return: as queue_enable() of the device.
 */
int sl_virtio_blk_enable(struct virtio_blk_queue *q);

/**
 * struct virtio_blk_request - what the device shall do (5.2.6)
 * @type:   VIRTIO_BLK_T_IN, _OUT, _FLUSH, _DISCARD, _WRITE_ZEROES
 * @sector: where
 * @count:  sectors, of a discard and of zeroes
 * @data:   pieces of data, of reads and writes; @n of them, up to VIRTIO_BLK_PIECES_MAX
 * @buffer: of a transport that maps (struct virtio_ops): where the pieces lie, one behind the
 * other, and their addresses mean nothing. What is read is there when the request is done
 */
struct virtio_blk_request {
	uint32_t type, count;
	uint64_t sector;
	const struct virtq_elem *data;
	unsigned n;
	void *buffer;
};

/**
 * sl_virtio_blk_add() - the device sees it once it is published
 * @slot: below the depth, of none that is in flight
 *
 * Return: 0; -ENOSPC when the virtqueue has no room, or the transport no memory, now; what map()
 * says.
 */
int sl_virtio_blk_add(struct virtio_blk_queue *q, uint16_t slot,
		      const struct virtio_blk_request *req);

/** sl_virtio_blk_publish() - show what was added, and notify the device if it wants that. Returns
 * whether it did */
bool sl_virtio_blk_publish(struct virtio_blk_queue *q);

/**
 * sl_virtio_blk_get() - a request that is done
 * @status: VIRTIO_BLK_S_OK, _IOERR, _UNSUPP; UINT8_MAX when the device has not said
 *
 * Return: its slot; -EAGAIN when there is none; -EPROTO when the queue is broken: @q->vq.broken.
 * No reason.
 */
int sl_virtio_blk_get(struct virtio_blk_queue *q, uint8_t *status);

#endif
