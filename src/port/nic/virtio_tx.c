/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/count.h"
#include "base/reason.h"
#include "packet/frags.h"
#include "port/nic/virtio_queue.h"

#define BURST	  64 /* packets a call, so that the other direction gets its turn */
#define ELEMS_MAX (SL_PACKET_FRAGS_MAX + 1)

int sl_virtio_tx_open(struct virtio_tx *tx, uint16_t size)
{
	tx->flying = calloc(size, sizeof(*tx->flying));
	tx->slot_iova = calloc(size, sizeof(*tx->slot_iova));
	tx->slot_next = calloc(size, sizeof(*tx->slot_next));
	for (uint16_t i = 0; tx->slot_next && i < size; i++)
		tx->slot_next[i] = i + 1;
	return tx->flying && tx->slot_iova && tx->slot_next
		       ? 0
		       : sl_fail(ENOMEM, "no memory for a queue");
}

void sl_virtio_tx_close(struct virtio_tx *tx)
{
	sl_virtq_close(&tx->vq);
	free(tx->flying);
	free(tx->slot_iova);
	free(tx->slot_next);
	tx->flying = NULL;
	tx->slot_iova = NULL;
	tx->slot_next = NULL;
}

/*
 * Slots. Each that a packet has goes with a descriptor, so there is one for each that is free.
 */

static uint8_t *slot_of(const struct virtio_tx *tx, uint16_t slot)
{
	return tx->slots + (size_t)slot * NIC_STRIDE;
}

static void take_slots(struct virtio_tx *tx, struct virtio_flying *flying, unsigned n)
{
	flying->slot = tx->slot;
	flying->n = (uint16_t)n;
	while (n--)
		tx->slot = tx->slot_next[tx->slot];
}

static void unmap(const struct virtio_tx *tx, uint16_t slot, unsigned n)
{
	if (!tx->v->ops->map)
		return;
	for (; n; n--, slot = tx->slot_next[slot])
		tx->v->ops->unmap(tx->v, tx->slot_iova[slot], 0);
}

static void free_slots(struct virtio_tx *tx, const struct virtio_flying *flying)
{
	uint16_t last = flying->slot;

	if (!flying->n)
		return;
	unmap(tx, flying->slot, flying->n);
	for (unsigned left = flying->n; left > 1; left--)
		last = tx->slot_next[last];
	tx->slot_next[last] = tx->slot;
	tx->slot = flying->slot;
}

/* The device will read @n elements of free slots. False when it has no room to see them. */
static bool map(struct virtio_tx *tx, struct virtq_elem *elems, unsigned n)
{
	uint16_t slot = tx->slot;

	for (unsigned i = 0; i < n && tx->v->ops->map; i++, slot = tx->slot_next[slot]) {
		if (tx->v->ops->map(tx->v, slot_of(tx, slot), elems[i].len, false,
				    &tx->slot_iova[slot])) {
			unmap(tx, tx->slot, i);
			return false;
		}
		elems[i].addr = tx->slot_iova[slot];
	}
	return true;
}

void sl_virtio_tx_forget(struct virtio_tx *tx)
{
	for (uint16_t id = 0; tx->vq.slots && id < tx->vq.size; id++)
		if (tx->vq.slots[id].descs)
			free_slots(tx, &tx->flying[id]);
	sl_virtq_close(&tx->vq);
}

/* Finish what the device has sent. Several rings may end at one queue. */
static uint32_t reap(struct virtio_tx *tx, struct sl_ring *ring)
{
	uint32_t len, n = 0;
	int head;

	while ((head = sl_virtq_get(&tx->vq, &len)) >= 0) {
		struct virtio_flying *flying = &tx->flying[head];

		n++;
		free_slots(tx, flying);
		if (!flying->ring)
			continue;
		sl_ring_done(flying->ring, flying->at);
		if (flying->ring != ring)
			sl_ring_wake_producer(flying->ring);
	}
	return n;
}

/*
 * A packet becomes elements. What they take of slots are the first free ones.
 */

/* Header and packet side by side in slots. Returns how many; 0 when there are not enough now. */
static unsigned copy(struct virtio_tx *tx, struct sl_ring *ring, struct sl_packet *packet,
		     const struct virtio_net_hdr_v1 *hdr, struct virtq_elem *elems)
{
	uint16_t slot = tx->slot;
	uint32_t at = 0, room = NIC_STRIDE - VIRTIO_NET_HDR_LEN, before = VIRTIO_NET_HDR_LEN;
	uint32_t total = sl_ring_packet_len(ring, packet);
	unsigned n = 0;

	if ((total + VIRTIO_NET_HDR_LEN + NIC_STRIDE - 1) / NIC_STRIDE >
	    sl_min(tx->vq.n_free, ELEMS_MAX))
		return 0;
	memcpy(slot_of(tx, slot), hdr, sizeof(*hdr));
	do {
		uint32_t len =
			(uint32_t)sl_frags_copy(ring, packet, at, slot_of(tx, slot) + before, room);

		elems[n++] = (struct virtq_elem){tx->slot_iova[slot], before + len};
		at += len;
		before = 0;
		room = NIC_STRIDE;
		slot = tx->slot_next[slot];
	} while (at < total);
	return map(tx, elems, n) ? n : 0;
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

/* The packet where it is. Returns how many elements, @slots of them in slots; 0 when the device
 * does not reach it. */
static unsigned lend(struct virtio_tx *tx, struct sl_ring *ring, struct sl_packet *packet,
		     const struct virtio_net_hdr_v1 *hdr, struct virtq_elem *elems, unsigned *slots)
{
	bool before;

	if (!tx->nic)
		return 0;
	before = prepend(tx, packet, hdr, &elems[0]);
	*slots = !before;
	if (before)
		return reach(tx, ring, packet, 1, elems) ? packet->more + 1u : 0;
	if (!reach(tx, ring, packet, 0, elems + 1))
		return 0;
	memcpy(slot_of(tx, tx->slot), hdr, sizeof(*hdr));
	elems[0] = (struct virtq_elem){tx->slot_iova[tx->slot], VIRTIO_NET_HDR_LEN};
	return packet->more + 2u;
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
	bool offload = packet->flags & SL_PACKET_OFFLOAD;
	struct virtq_elem elems[ELEMS_MAX];
	struct virtio_flying *flying;
	struct virtio_net_hdr_v1 hdr;
	unsigned slots, n;
	bool lent;

	if (!tx->vq.n_free)
		return SENT_LATER;
	/* 5.1.6.2.1: "The driver MUST NOT set the VIRTIO_NET_HDR_F_DATA_VALID bit in flags." */
	sl_virtio_net_hdr_make(&hdr, offload ? sl_ring_offload(ring, at) : NULL,
			       VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
	n = lend(tx, ring, packet, &hdr, elems, &slots);
	lent = n;
	if (!lent)
		n = slots = copy(tx, ring, packet, &hdr, elems);
	if (!n || n > tx->vq.n_free)
		return tx->vq.n_free == tx->vq.size ? SENT_NEVER : SENT_LATER;
	flying = &tx->flying[sl_virtq_add(&tx->vq, elems, n, n)];
	flying->ring = lent ? ring : NULL;
	flying->at = at;
	take_slots(tx, flying, slots);
	return lent ? SENT_LENT : SENT_COPY;
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
