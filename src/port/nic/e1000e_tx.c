/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending: extended data descriptors (datasheet 7.2) that point at lent memory where the device
 * reaches it, at a copy where not; the last of each burst says when all is sent (RS, DD).
 */
#include "base/bytes.h"
#include "base/count.h"
#include "base/reason.h"
#include "packet/frags.h"
#include "port/nic/e1000e.h"

#define MASK	  (E1000E_RING - 1)
#define FRAGS_MAX 8u		  /* longer chains are copied */
#define NEEDS	  (FRAGS_MAX + 1) /* the most descriptors of a packet: a context before it */
#define NO_REASON SL_DROP_COUNT
#define TCP_FIELD 16 /* where the checksum is in a TCP header (RFC 9293, 3.1) */

/* What one call does. */
struct work {
	struct e1000e *e;
	struct e1000e_tx *tx;
	struct sl_ring *ring;
	uint32_t next; /* descriptor */
	uint32_t lent, packets;
	uint64_t bytes, copied;
};

static inline void put(struct work *w, uint64_t low, uint64_t high)
{
	volatile struct e1000e_desc *desc = &w->tx->ring[w->next++ & MASK];

	desc->low = low;
	desc->high = high;
}

/*
 * What is done already.
 */

bool sl_e1000e_tx_ready(const struct e1000e_tx *tx)
{
	const struct e1000e_burst *burst = &tx->bursts[tx->first & MASK];

	return tx->first != tx->last && tx->ring[(burst->end - 1) & MASK].high & TXD_DD;
}

/* Give back to @ring what was sent of it. Behind packets of another ring it waits for that one's
 * turn, which is in the same round. */
static uint32_t clean(struct e1000e_tx *tx, struct sl_ring *ring)
{
	uint32_t done = 0;

	for (; sl_e1000e_tx_ready(tx); tx->first++) {
		const struct e1000e_burst *burst = &tx->bursts[tx->first & MASK];

		if (burst->packets && burst->ring != ring)
			break;
		/* From the last to the first: the ring then gives back once, not packet by packet.
		 */
		for (uint32_t i = burst->packets; i > 0; i--)
			sl_ring_done(ring, burst->at + i - 1);
		done += burst->packets;
		tx->done = burst->end;
	}
	return done;
}

void sl_e1000e_tx_forget(struct e1000e_tx *tx)
{
	tx->next = tx->done = tx->first = tx->last = 0;
	tx->armed = false;
	tx->context = UINT64_MAX; /* nothing is what it is */
}

/*
 * A packet.
 */

/* Checksums by context descriptor (7.2); the same as the last one needs none. */
static bool put_context(struct work *w, const struct sl_offload *offload)
{
	uint32_t field = (uint32_t)offload->csum_start + offload->csum_offset;
	uint64_t tcp = offload->csum_offset == TCP_FIELD ? TXC_TCP : 0;
	uint64_t context = TXC_START(offload->csum_start) | TXC_FIELD(field);

	if (field > UINT8_MAX)
		return false;
	if (context == w->tx->context)
		return true;
	w->tx->context = context;
	put(w, context, TXC_CONTEXT | tcp);
	return true;
}

static void put_copy(struct work *w, struct sl_packet *packet, uint32_t len, uint64_t flags)
{
	const struct e1000e_tx *tx = w->tx;
	size_t at = (size_t)(w->next & MASK) * NIC_STRIDE;
	uint32_t padded = sl_max(len, E1000E_LEAST);

	memset(tx->copies + at, 0, E1000E_LEAST);
	sl_frags_copy(w->ring, packet, 0, tx->copies + at, len);
	put(w, tx->copies_iova.value + at, flags | TXD_EOP | padded);
	w->copied++;
}

/* Each fragment where it lies. Nothing is put when one cannot be reached. */
static bool put_frags(struct work *w, struct sl_packet *packet, uint64_t flags)
{
	sl_iova at[FRAGS_MAX];

	if (packet->more >= FRAGS_MAX)
		return false;
	for (uint32_t i = 0; i <= packet->more; i++) {
		const struct sl_frag *frag = sl_ring_frag(w->ring, packet, i);

		if (!frag->len || !sl_nic_reach(&w->e->nic, frag, &at[i]))
			return false;
	}
	for (uint32_t i = 0; i <= packet->more; i++)
		put(w, at[i].value,
		    flags | (i == packet->more ? TXD_EOP : 0) |
			    sl_ring_frag(w->ring, packet, i)->len);
	w->lent++;
	return true;
}

/* Fragments add up to no more than 2^32: each is looked at. */
static uint32_t length_of(const struct sl_ring *ring, struct sl_packet *packet)
{
	uint32_t len = 0;

	for (uint32_t i = 0; i <= packet->more && len <= E1000E_FRAME; i++) {
		uint32_t more = sl_ring_frag(ring, packet, i)->len;

		len += sl_min(more, E1000E_FRAME + 1);
	}
	return len;
}

/* Most packets: one fragment that can be reached, nothing to be done for it. */
static inline bool put_plain(struct work *w, const struct sl_packet *packet)
{
	uint32_t len = packet->frag.len;
	sl_iova at;

	if (packet->more || packet->flags & SL_PACKET_OFFLOAD ||
	    len - E1000E_LEAST > E1000E_FRAME - E1000E_LEAST ||
	    !sl_nic_reach(&w->e->nic, &packet->frag, &at))
		return false;
	put(w, at.value, TXD_DATA | TXD_IFCS | TXD_EOP | len);
	w->lent++;
	w->packets++;
	w->bytes += len;
	return true;
}

/* Any other. Returns why it is dropped, NO_REASON when it is not. */
static enum sl_drop put_packet(struct work *w, uint32_t at)
{
	struct sl_packet *packet = sl_ring_packet(w->ring, at);
	const struct sl_offload *offload = sl_ring_offload(w->ring, at);
	uint32_t len = length_of(w->ring, packet);
	uint64_t flags = TXD_DATA | TXD_IFCS;

	if (len < E1000E_ETHER)
		return SL_DROP_MALFORMED;
	if (packet->flags & SL_PACKET_OFFLOAD && offload->gso_type)
		return SL_DROP_UNSUPPORTED;
	if (len > E1000E_FRAME)
		return SL_DROP_TOO_LARGE;
	if (packet->flags & SL_PACKET_OFFLOAD && offload->flags & SL_OFFLOAD_NEEDS_CSUM) {
		if ((uint32_t)offload->csum_start + offload->csum_offset + 2 > len)
			return SL_DROP_MALFORMED;
		if (!put_context(w, offload))
			return SL_DROP_UNSUPPORTED;
		flags |= TXD_TXSM;
	}
	if (len < E1000E_LEAST || !put_frags(w, packet, flags))
		put_copy(w, packet, len, flags);
	w->packets++;
	w->bytes += len;
	return NO_REASON;
}

/*
 * A burst.
 */

/* Without carrier nothing comes back, and what is lent must not wait for it: what is there is
 * dropped. What the device has already only a reset takes from it; that is stop()'s. */
static int drop_all(struct e1000e *e, struct e1000e_tx *tx, struct sl_ring *ring, uint32_t ready)
{
	sl_ring_consume(ring, ready);
	sl_count_add(&tx->count.drops[SL_DROP_DOWN], ready);
	if (tx->first == tx->last)
		return (int)ready;
	sl_store_relaxed(&e->stuck, 1);
	return sl_fail(ENODEV, "%s: its link went down with packets in it", e->nic.name);
}

/* Tell the device of the new descriptors, made of @n entries of the ring from @at on. */
static void send(struct work *w, unsigned q, uint32_t at, uint32_t n)
{
	struct e1000e_tx *tx = w->tx;
	uint32_t from = tx->next;

	if (w->lent)
		sl_ring_take(w->ring, n);
	else
		sl_ring_consume(w->ring, n);
	tx->next = w->next;
	if (tx->next == from)
		return;
	tx->ring[(tx->next - 1) & MASK].high |= TXD_RS;
	tx->bursts[tx->last++ & MASK] =
		(struct e1000e_burst){w->ring, at, w->lent ? n : 0, tx->next};
	sl_mmio_before_doorbell();
	sl_mmio_write32(&w->e->mmio, TDT + q * QUEUE_REGS, tx->next & MASK);
	sl_count_add(&tx->count.packets, w->packets);
	sl_count_add(&tx->count.bytes, w->bytes);
	sl_count_add(&tx->count.copied, w->copied);
}

int sl_e1000e_tx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct e1000e *e = sl_e1000e_of(port);
	struct e1000e_tx *tx = &e->queues[q].tx;
	struct work w = {.e = e, .tx = tx, .ring = ring, .next = tx->next};
	uint32_t done = clean(tx, ring), n = 0;
	uint32_t at, ready = sl_ring_ready(ring, &at);
	const uint32_t limit = tx->done + E1000E_RING - 1 - NEEDS;

	if (!sl_load_relaxed(&e->carrier)) {
		int ret = drop_all(e, tx, ring, ready);

		return ret < 0 ? ret : ret + (int)done;
	}
	ready = sl_min(ready, E1000E_BURST);
	for (; n < ready && (int32_t)(limit - w.next) >= 0; n++) {
		enum sl_drop reason = NO_REASON;

		if (!put_plain(&w, sl_ring_packet(ring, at + n)))
			reason = put_packet(&w, at + n);
		if (reason != NO_REASON)
			sl_count_add(&tx->count.drops[reason], 1);
	}
	if (n)
		send(&w, q, at, n);
	return (int)(done + n);
}
