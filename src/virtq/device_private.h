/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the device's side share. */
#ifndef SL_VIRTQ_DEVICE_PRIVATE_H
#define SL_VIRTQ_DEVICE_PRIVATE_H

#include "virtq/device.h"
#include "virtq/inflight.h"

enum device_slot_state {
	SLOT_FREE,
	SLOT_TAKEN,
	SLOT_PUT /* and not yet published */
};

/**
 * struct device_slot - of a buffer's id
 * @len:   of its put
 * @descs: packed: ring entries that it takes
 * @entry: packed: where it is in the log
 * @batch: the next of those that will be published together
 * @order: the one that was taken after it (VIRTIO_F_IN_ORDER)
 */
struct device_slot {
	uint32_t len;
	uint16_t descs, entry;
	uint16_t batch, order;
	uint8_t state;
};

/* Which mapping was last the right one: for tables, for buffers. */
enum {
	FOR_TABLES,
	FOR_BUFFERS
};

/** struct device_used - the half of a packed descriptor that a device writes, 8 bytes at once */
struct device_used {
	uint32_t len;
	uint16_t id, flags;
};

/**
 * struct virtq_device
 * @at:     where it stands; @used with what was put and not yet published
 * @seen:   split: avail idx as last read
 * @held:   packed: ring entries that are not the driver's
 * @hint:   FOR_TABLES, FOR_BUFFERS
 * @batch_first, @batch_last, @n_batch: buffers to be published
 * @in_burst: these were used by sl_virtq_burst_use(): they have no slots
 * @batch_descs: packed: the ring entries that they take
 * @first:  packed: the used descriptor that is kept back, for it shows those behind it
 * @first_at: where it goes
 * @order_first, @order_last: buffers taken (VIRTIO_F_IN_ORDER)
 * @again:  buffers of the process before, to be given first: heads (split), log entries (packed)
 */
struct virtq_device {
	struct virtq_setup setup;
	const char *broken;
	struct virtq_ring_state at;
	uint16_t seen, held;
	size_t hint[2];
	uint16_t in_flight;
	uint16_t batch_first, batch_last, n_batch, batch_descs;
	bool in_burst;
	struct device_used first;
	uint16_t first_at;
	uint16_t order_first, order_last, n_order;
	bool quiet;
	uint16_t *again;
	uint16_t n_again, next_again;
	struct virtq_inflight log;
	struct device_slot slots[];
};

/** sl_virtq_device_gone() - memory was taken away. Return: -EPROTO */
int sl_virtq_device_gone(struct virtq_device *vq);

/**
 * sl_virtq_device_add() - add what a descriptor says to a chain
 *
 * Return: 1 when another one follows; 0 when it was the last; -EPROTO.
 */
int sl_virtq_device_add(struct virtq_device *vq, struct virtq_chain *chain, uint64_t addr,
			uint32_t len, uint16_t flags);

/**
 * sl_virtq_device_look_up() - sl_space_lookup(), after a miss once more
 * @what: whose hint it sets: the mapping that @iova lies in
 *
 * Return: as sl_space_lookup().
 */
int sl_virtq_device_look_up(struct virtq_device *vq, unsigned what, sl_iova iova, uint32_t len,
			    uint32_t access, struct iovec *pieces, unsigned max);

/** sl_virtq_device_refuse() - a lookup failed with @err. Return: -EPROTO */
int sl_virtq_device_refuse(struct virtq_device *vq, int err);

/** sl_virtq_device_table() - what a descriptor says of an indirect table. Return: its entries, at
 * most the queue's size, none of which passes 2^64 - 1; -EPROTO */
int sl_virtq_device_table(struct virtq_device *vq, sl_iova table, uint32_t len, uint16_t flags);

/** sl_virtq_device_take() - a buffer is the device's from now on */
void sl_virtq_device_take(struct virtq_device *vq, uint16_t id, uint16_t descs, uint16_t entry);

int sl_virtq_split_begin(struct virtq_device *vq);
/** sl_virtq_split_look() - how far is the driver? Return: 0 when there is a buffer, -EAGAIN,
 * -EPROTO
 */
int sl_virtq_split_look(struct virtq_device *vq);
int sl_virtq_split_get(struct virtq_device *vq, struct virtq_chain *chain);
int sl_virtq_split_again(struct virtq_device *vq, struct virtq_chain *chain, uint16_t head);
int sl_virtq_split_use(struct virtq_device *vq, uint16_t id, uint32_t len);
int sl_virtq_split_publish(struct virtq_device *vq);
int sl_virtq_split_arm(struct virtq_device *vq);
void sl_virtq_split_disarm(struct virtq_device *vq);

int sl_virtq_packed_begin(struct virtq_device *vq);
int sl_virtq_packed_get(struct virtq_device *vq, struct virtq_chain *chain);
int sl_virtq_packed_again(struct virtq_device *vq, struct virtq_chain *chain, uint16_t entry);
int sl_virtq_packed_use(struct virtq_device *vq, uint16_t id, uint32_t len);
int sl_virtq_packed_publish(struct virtq_device *vq);
int sl_virtq_packed_arm(struct virtq_device *vq);
void sl_virtq_packed_disarm(struct virtq_device *vq);

#endif
