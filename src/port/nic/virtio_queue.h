/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets between virtqueues of a network device (virtio 1.2, 5.1.6) and rings. A queue is one
 * thread's. A device may go, be reset or be followed by another: sl_virtio_rx_forget() and
 * sl_virtio_tx_forget() take back what it had; then @vq is opened anew.
 */
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
 * @shared:    whoever is the device may write to packets that it has given: they are not
 *             SL_PACKET_WRITABLE, which says that nobody else does
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
	bool mergeable, shared;
	uint32_t emits;
	struct nic_pool *pool;
	uint16_t *buffer, *next;
	struct sl_count count;
} __attribute__((aligned(SL_LINE)));

/**
 * struct virtio_flying - a packet that the device has
 * @ring: it is the entry @at of it; NULL when it was copied
 * @slot: the first of its @n slots
 */
struct virtio_flying {
	struct sl_ring *ring;
	uint32_t at;
	uint16_t slot, n;
};

/**
 * struct virtio_tx - a transmitq
 * @nic:       knows what the device reaches of lent packets; NULL: nothing, they are copied
 * @slots:     NIC_STRIDE bytes, as many as descriptors: a header, or a copied packet behind it
 * @slot_iova: where the device sees each
 * @slot_next: of the free ones, from @slot on, or of a packet's
 */
struct virtio_tx {
	struct virtio *v;
	const struct nic *nic;
	struct virtq_driver vq;
	uint16_t queue, slot;
	uint8_t *slots;
	sl_iova *slot_iova;
	uint16_t *slot_next;
	struct virtio_flying *flying;
	struct sl_count count;
} __attribute__((aligned(SL_LINE)));

/** sl_virtio_rx_open() - @rx has v, queue and pool; @vq will have @size descriptors.
 * sl_virtio_rx_close() even when it fails */
int sl_virtio_rx_open(struct virtio_rx *rx, uint16_t size, unsigned buffers);
void sl_virtio_rx_close(struct virtio_rx *rx);

/** sl_virtio_rx() - as rx() of a port; also gives the device new buffers */
int sl_virtio_rx(struct virtio_rx *rx, struct sl_ring *ring);

/** sl_virtio_rx_start() - the device is live: give it all buffers that are free */
void sl_virtio_rx_start(struct virtio_rx *rx);

/** sl_virtio_rx_forget() - the device has no buffers any more: they are free; @vq is closed */
void sl_virtio_rx_forget(struct virtio_rx *rx);

/** sl_virtio_tx_open() - @tx has v, nic, queue and slots, and slot_iova is to be filled in;
 * sl_virtio_tx_close() even when it fails */
int sl_virtio_tx_open(struct virtio_tx *tx, uint16_t size);
void sl_virtio_tx_close(struct virtio_tx *tx);

/** sl_virtio_tx_forget() - the device has no packets any more; @vq is closed. Entries of rings that
 * it had are not finished by this */
void sl_virtio_tx_forget(struct virtio_tx *tx);

/** sl_virtio_tx() - as tx() of a port; when the link is not @up packets are dropped */
int sl_virtio_tx(struct virtio_tx *tx, struct sl_ring *ring, bool up);

#endif
