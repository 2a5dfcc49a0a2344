/* SPDX-License-Identifier: BSD-2-Clause */
/* Receiving: extended descriptors (datasheet 7.1), a buffer each. */
#include "base/bytes.h"
#include "base/count.h"
#include "base/reason.h"
#include "port/nic/e1000e.h"

#define MASK   (E1000E_RING - 1)
#define REFILL 32u /* descriptors a doorbell, at least */

static void count_drop(struct e1000e_rx *rx, enum sl_drop reason)
{
	sl_count_add(&rx->count.drops[reason], 1);
}

/* Buffers for all descriptors that have none, as soon as they are worth a doorbell. */
static void refill(struct e1000e *e, unsigned q)
{
	struct e1000e_rx *rx = &e->queues[q].rx;
	struct nic_pool *pool = &e->nic.pools[q];
	volatile struct e1000e_desc *ring = rx->ring;
	const struct nic_buffer *buffers = pool->buffers;
	const uint16_t *free = pool->free;
	uint32_t at = rx->filled, n = E1000E_RING - 1 - (at - rx->next), left = pool->n_free;

	n = sl_min(n, left);
	if (n < REFILL)
		return;
	for (uint32_t end = at + n; at != end; at++) {
		uint16_t buffer = free[--left];

		rx->slots[at & MASK] = buffer;
		ring[at & MASK].low = buffers[buffer].iova.value;
		ring[at & MASK].high = 0; /* no DD */
	}
	pool->n_free = left;
	rx->filled = at;
	sl_mmio_before_doorbell();
	sl_mmio_write32(&e->mmio, RDT + q * QUEUE_REGS, at & MASK);
}

void sl_e1000e_rx_fill(struct e1000e *e, unsigned q)
{
	refill(e, q);
}

void sl_e1000e_rx_forget(struct e1000e *e, unsigned q)
{
	struct e1000e_rx *rx = &e->queues[q].rx;
	struct nic_pool *pool = &e->nic.pools[q];

	for (; rx->next != rx->filled; rx->next++)
		pool->free[pool->n_free++] = rx->slots[rx->next & MASK];
	rx->next = rx->filled = 0;
	rx->skipping = rx->armed = false;
}

/* What is not one whole good packet in one buffer: counted, once a packet. */
static void drop(struct e1000e_rx *rx, uint32_t status)
{
	bool skipping = rx->skipping;

	rx->skipping = !(status & RXD_EOP);
	if (!skipping)
		count_drop(rx, rx->skipping ? SL_DROP_TRUNCATED : SL_DROP_MALFORMED);
}

/* 7.1: was a TCP or UDP checksum looked at, and found right? */
static bool csum_is_good(uint32_t status)
{
	return status & (RXD_TCPCS | RXD_UDPCS) && !(status & (RXD_IXSM | RXD_TCPE | RXD_IPE));
}

/* Fill entries from @at on. Returns how many, at most @room. */
static uint32_t receive(struct e1000e_rx *rx, struct nic_pool *pool, struct sl_ring *ring,
			uint32_t at, uint32_t room, uint64_t *bytes)
{
	const uint32_t good = RXD_DD | RXD_EOP, first = at;
	const uint32_t limit = rx->next + sl_min(room, rx->filled - rx->next);
	volatile const struct e1000e_desc *descs = rx->ring;
	const struct nic_buffer *buffers = pool->buffers;
	const struct sl_ring arrays = *ring;
	const struct sl_packet blank = {
		.frag = {NULL, 0, pool->region, NIC_TAILROOM},
		.flags = SL_PACKET_WRITABLE,
		.headroom = NIC_HEADROOM,
	};
	uint32_t next = rx->next;
	uint64_t sum = 0;

	for (; next != limit; next++) {
		uint64_t high = descs[next & MASK].high; /* all that counts, at once */
		uint32_t status = (uint32_t)high, len = RXD_LEN(high);
		struct sl_packet *packet = sl_ring_packet(&arrays, at);
		uint16_t buffer = rx->slots[next & MASK];

		if ((status & (good | RXD_ERRORS)) != good || rx->skipping ||
		    len - E1000E_ETHER > NIC_ROOM - E1000E_ETHER) {
			if (!(status & RXD_DD))
				break;
			drop(rx, status);
			pool->free[pool->n_free++] = buffer;
			continue;
		}
		*packet = blank;
		packet->frag.addr = buffers[buffer].data;
		packet->frag.len = len;
		packet->cookie = buffer;
		if (csum_is_good(status)) {
			packet->flags |= SL_PACKET_OFFLOAD;
			*sl_ring_offload(&arrays, at) =
				(struct sl_offload){.flags = SL_OFFLOAD_DATA_VALID};
		}
		sum += len;
		at++;
	}
	rx->next = next;
	*bytes = sum;
	sl_mmio_after_flag();
	return at - first;
}

int sl_e1000e_rx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct e1000e *e = sl_e1000e_of(port);
	struct e1000e_rx *rx = &e->queues[q].rx;
	struct nic_pool *pool = &e->nic.pools[q];
	uint32_t at, room, posted, before = rx->next;
	uint64_t bytes = 0;

	e->nic.rings[q] = ring;
	sl_nic_pool_reclaim(pool, ring);
	room = sl_ring_room(ring, &at);
	posted = receive(rx, pool, ring, at, sl_min(room, E1000E_BURST), &bytes);
	refill(e, q);
	if (posted) {
		sl_ring_post(ring, posted);
		sl_count_add(&rx->count.packets, posted);
		sl_count_add(&rx->count.bytes, bytes);
	}
	if (rx->next == before && before == rx->filled && room)
		return -ENOBUFS; /* all are lent */
	return (int)(rx->next - before);
}

bool sl_e1000e_rx_ready(const struct e1000e_rx *rx)
{
	return rx->next != rx->filled && rx->ring[rx->next & MASK].high & RXD_DD;
}
