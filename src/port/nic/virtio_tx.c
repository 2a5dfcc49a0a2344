/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/count.h"
#include "base/reason.h"
#include "packet/frags.h"
#include "port/nic/virtio_queue.h"

#define BURST	  64 /* packets a call, so that the other direction gets its turn */
#define ELEMS_MAX (SL_PACKET_FRAGS_MAX + 1)

int sl_virtio_tx_open(struct virtio_tx *tx)
{
	tx->flying = calloc(tx->vq.size, sizeof(*tx->flying));
	return tx->flying ? 0 : sl_fail(ENOMEM, "no memory for a queue");
}

void sl_virtio_tx_close(struct virtio_tx *tx)
{
	sl_virtq_close(&tx->vq);
	free(tx->flying);
	free(tx->slot_iova);
	tx->flying = NULL;
	tx->slot_iova = NULL;
}

/* Finish what the device has sent. Several rings may end at one queue. */
static uint32_t reap(struct virtio_tx *tx, struct sl_ring *ring)
{
	uint32_t len, n = 0;
	int head;

	while ((head = sl_virtq_get(&tx->vq, &len)) >= 0) {
		struct virtio_flying *flying = &tx->flying[head];

		n++;
		if (!flying->ring)
			continue;
		sl_ring_done(flying->ring, flying->at);
		if (flying->ring != ring)
			sl_ring_wake_producer(flying->ring);
	}
	return n;
}

static uint8_t *slot_of(const struct virtio_tx *tx, uint16_t desc)
{
	return tx->slots + (size_t)desc * NIC_STRIDE;
}

/*
 * A packet becomes elements. These return how many; 0 when there are not enough descriptors now.
 */

/* Header and packet side by side in slots of the descriptors that they will have. */
static unsigned copy(struct virtio_tx *tx, struct sl_ring *ring, struct sl_packet *packet,
		     const struct virtio_net_hdr_v1 *hdr, struct virtq_elem *elems)
{
	uint16_t desc = tx->vq.free;
	uint32_t at = 0, room = NIC_STRIDE - VIRTIO_NET_HDR_LEN, before = VIRTIO_NET_HDR_LEN;
	uint32_t total = sl_ring_packet_len(ring, packet);
	unsigned n = 0;

	if ((total + VIRTIO_NET_HDR_LEN + NIC_STRIDE - 1) / NIC_STRIDE >
	    sl_min(tx->vq.n_free, ELEMS_MAX))
		return 0;
	memcpy(slot_of(tx, desc), hdr, sizeof(*hdr));
	do {
		uint32_t len =
			(uint32_t)sl_frags_copy(ring, packet, at, slot_of(tx, desc) + before, room);

		elems[n++] = (struct virtq_elem){tx->slot_iova[desc], before + len};
		at += len;
		before = 0;
		room = NIC_STRIDE;
		desc = tx->vq.slots[desc].next;
	} while (at < total);
	return n;
}

/* From fragment @from on. */
static bool reach(const struct virtio_tx *tx, struct sl_ring *ring, struct sl_packet *packet,
		  unsigned from, struct virtq_elem *elems)
{
	for (unsigned i = from; i <= packet->more; i++) {
		const struct sl_frag *frag = sl_ring_frag(ring, packet, i);

		/* QEMU: "zero sized buffers are not allowed", and the device is broken. */
		if (!frag->len || !sl_nic_reach(tx->nic, frag, &elems[i].addr))
			return false;
		elems[i].len = frag->len;
	}
	return true;
}

/* The header before the first fragment, in room of the producer's, costs no descriptor. */
static bool prepend(const struct virtio_tx *tx, struct sl_packet *packet,
		    const struct virtio_net_hdr_v1 *hdr, struct virtq_elem *elem)
{
	struct sl_frag frag = packet->frag;
	sl_iova iova;

	if (!(packet->flags & SL_PACKET_WRITABLE) || packet->headroom < VIRTIO_NET_HDR_LEN)
		return false;
	frag.addr -= VIRTIO_NET_HDR_LEN;
	frag.len += VIRTIO_NET_HDR_LEN;
	if (!sl_nic_reach(tx->nic, &frag, &iova))
		return false;
	memcpy(frag.addr, hdr, sizeof(*hdr));
	*elem = (struct virtq_elem){iova, frag.len};
	return true;
}

enum sent {
	SENT_LENT,
	SENT_COPY,
	SENT_NEVER, /* not even an empty queue has room for it */
	SENT_LATER,
};

static enum sent send_one(struct virtio_tx *tx, struct sl_ring *ring, uint32_t at)
{
	struct sl_packet *packet = sl_ring_packet(ring, at);
	bool offload = packet->flags & SL_PACKET_OFFLOAD, copied = false, before;
	struct virtq_elem elems[ELEMS_MAX], *first = elems;
	struct virtio_net_hdr_v1 hdr;
	unsigned n = packet->more + 2u;

	if (!tx->vq.n_free)
		return SENT_LATER;
	sl_virtio_net_hdr_make(&hdr, offload ? sl_ring_offload(ring, at) : NULL);
	before = prepend(tx, packet, &hdr, &elems[1]);
	if (!reach(tx, ring, packet, before, elems + 1)) {
		n = copy(tx, ring, packet, &hdr, elems);
		copied = true;
	} else if (before) {
		first++;
		n--;
	} else {
		memcpy(slot_of(tx, tx->vq.free), &hdr, sizeof(hdr));
		elems[0] = (struct virtq_elem){tx->slot_iova[tx->vq.free], VIRTIO_NET_HDR_LEN};
	}
	if (!n || n > tx->vq.n_free)
		return tx->vq.n_free == tx->vq.size ? SENT_NEVER : SENT_LATER;
	tx->flying[sl_virtq_add(&tx->vq, first, n, n)] =
		copied ? (struct virtio_flying){0} : (struct virtio_flying){ring, at};
	return copied ? SENT_COPY : SENT_LENT;
}

/* Returns how many were taken. */
static uint32_t send_all(struct virtio_tx *tx, struct sl_ring *ring)
{
	uint32_t at, ready = sl_ring_ready(ring, &at), taken = 0, sent = 0, copied = 0, lent = 0;
	uint64_t bytes = 0;

	for (ready = sl_min(ready, BURST); taken < ready; taken++, at++) {
		uint32_t len = sl_ring_packet_len(ring, sl_ring_packet(ring, at));
		enum sent how = send_one(tx, ring, at);

		if (how == SENT_LATER)
			break;
		lent++;
		if (how != SENT_LENT) { /* and those before it, in order */
			sl_ring_take(ring, lent);
			sl_ring_done(ring, at);
			lent = 0;
		}
		if (how == SENT_NEVER) {
			sl_count_add(&tx->count.drops[SL_DROP_NO_BUFFER], 1);
			continue;
		}
		sent++;
		bytes += len;
		copied += how == SENT_COPY;
	}
	sl_ring_take(ring, lent);
	if (sl_virtq_publish(&tx->vq))
		tx->v->ops->notify(tx->v, tx->queue);
	sl_count_add(&tx->count.packets, sent);
	sl_count_add(&tx->count.bytes, bytes);
	sl_count_add(&tx->count.copied, copied);
	return taken;
}

int sl_virtio_tx(struct virtio_tx *tx, struct sl_ring *ring, bool up)
{
	uint32_t at, ready, done;

	sl_virtq_disarm(&tx->vq);
	done = reap(tx, ring);
	if (tx->vq.broken)
		return sl_fail(ENODEV, "the device broke its transmit queue: %s", tx->vq.broken);
	if (up)
		return (int)(done + send_all(tx, ring));
	ready = sl_ring_ready(ring, &at);
	sl_ring_consume(ring, ready);
	sl_count_add(&tx->count.drops[SL_DROP_DOWN], ready);
	return (int)(done + ready);
}
