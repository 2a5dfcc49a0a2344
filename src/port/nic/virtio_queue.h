/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets between virtqueues of a network device (virtio 1.2, 5.1.6) and rings. A queue is one
 * thread's. */
#ifndef SL_PORT_NIC_VIRTIO_QUEUE_H
#define SL_PORT_NIC_VIRTIO_QUEUE_H

#include <sluice/counters.h>

#include "port/nic/nic.h"
#include "virtio/net.h"
#include "virtq/driver.h"

/* Descriptors: no more pay, as a link's ring has as many entries. */
#define VIRTIO_NET_QUEUE_MAX 256

/**
 * struct virtio_rx - a receiveq
 * @pool:      buffers; each is one descriptor, the header lies in its headroom
 * @buffer:    which buffer a descriptor has
 * @next:      of each buffer of a packet in several, the next one
 * @mergeable: VIRTIO_NET_F_MRG_RXBUF was negotiated
 * @emits:     SL_CAN_*
 */
struct virtio_rx {
	struct virtio *v;
	struct virtq_driver vq;
	uint16_t queue;
	bool mergeable;
	uint32_t emits;
	struct nic_pool *pool;
	uint16_t *buffer, *next;
	struct sl_count count;
} __attribute__((aligned(SL_LINE)));

/** struct virtio_flying - a packet that the device has: an entry of a ring; NULL when it was copied
 */
struct virtio_flying {
	struct sl_ring *ring;
	uint32_t at;
};

/**
 * struct virtio_tx - a transmitq
 * @slots:     NIC_STRIDE bytes for each descriptor: a header, or a copied packet behind it
 * @slot_iova: where the device sees each
 */
struct virtio_tx {
	struct virtio *v;
	const struct nic *nic;
	struct virtq_driver vq;
	uint16_t queue;
	uint8_t *slots;
	sl_iova *slot_iova;
	struct virtio_flying *flying;
	struct sl_count count;
} __attribute__((aligned(SL_LINE)));

/** sl_virtio_rx_open() - @rx has v, vq, queue and pool; sl_virtio_rx_close() even when it fails */
int sl_virtio_rx_open(struct virtio_rx *rx, unsigned buffers);
void sl_virtio_rx_close(struct virtio_rx *rx);

/** sl_virtio_rx() - as rx() of a port; also gives the device new buffers */
int sl_virtio_rx(struct virtio_rx *rx, struct sl_ring *ring);

/** sl_virtio_rx_fill() - give the device all buffers that are free */
void sl_virtio_rx_fill(struct virtio_rx *rx);

/** sl_virtio_tx_open() - @tx has v, nic, vq, queue, slots and where they are for the device */
int sl_virtio_tx_open(struct virtio_tx *tx);
void sl_virtio_tx_close(struct virtio_tx *tx);

/** sl_virtio_tx() - as tx() of a port; when the link is not @up packets are dropped */
int sl_virtio_tx(struct virtio_tx *tx, struct sl_ring *ring, bool up);

#endif
