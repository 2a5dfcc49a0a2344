/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The link ring: one producer, one consumer, packets lent and given back.
 * The contract is docs/ring.md. Indices are free-running.
 *
 *          begin            next             end
 *            |  in flight    |  handed over   |  free ...
 */
#ifndef SLUICE_RING_H
#define SLUICE_RING_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct sl_ring - the arrays of a ring; indices are the library's
 * @packets:   the entries
 * @offloads:  beside each entry, valid when it has SL_PACKET_OFFLOAD
 * @frags:     further fragments of all entries
 * @mask:      entries minus 1
 * @frag_mask: further fragments minus 1
 */
struct sl_ring {
	struct sl_packet *packets;
	struct sl_offload *offloads;
	struct sl_frag *frags;
	uint32_t mask;
	uint32_t frag_mask;
};

/**
 * struct sl_ring_config - what a ring is made of
 * @size:           entries, a power of two up to 32768
 * @frags:          further fragments, a power of two up to 2097152, at least SL_PACKET_FRAGS_MAX
 * @consumer_event: eventfd that wakes the consumer's worker, -1 when it shares
 *                  the producer's; not owned
 * @producer_event: the same for the producer
 */
struct sl_ring_config {
	uint32_t size;
	uint32_t frags;
	int consumer_event;
	int producer_event;
};

/**
 * sl_ring_create() - make an empty ring
 * @config: sizes and events
 * @out:    the new ring, owned by the caller
 *
 * Return: 0; -EINVAL for sizes that are not allowed; -ENOMEM.
 */
int sl_ring_create(const struct sl_ring_config *config, struct sl_ring **out);

/** sl_ring_release() - free a ring; NULL is allowed. Both sides have stopped. */
void sl_ring_release(struct sl_ring *ring);

/** sl_ring_packet() - the entry at a free-running index */
static inline struct sl_packet *sl_ring_packet(const struct sl_ring *ring, uint32_t index)
{
	return &ring->packets[index & ring->mask];
}

/** sl_ring_run() - how many of @count entries from @at on lie side by side in memory */
static inline uint32_t sl_ring_run(const struct sl_ring *ring, uint32_t at, uint32_t count)
{
	uint32_t before_wrap = ring->mask + 1 - (at & ring->mask);

	return count < before_wrap ? count : before_wrap;
}

#if defined(__GNUC__) && !defined(__clang__)
#define SL_RING_UNROLL_ _Pragma("GCC unroll 4")
#else
#define SL_RING_UNROLL_ /* clang unrolls by itself */
#endif

/*
 * sl_ring_for_each - declare @packet and go through @count entries from @at on
 *
 * Half the instructions of looking each one up. Two loops in one: no break. Where
 * entries are written, @ring had better be a local copy of the arrays, or the
 * compiler has to load them again for each.
 */
#define sl_ring_for_each(packet, ring, at, count)                                                  \
	for (uint32_t at_ = (at), left_ = (count), run_ = 0;                                       \
	     left_ && (run_ = sl_ring_run((ring), at_, left_)); at_ += run_, left_ -= run_)        \
		SL_RING_UNROLL_                                                                    \
	for (struct sl_packet *packet = sl_ring_packet((ring), at_), *end_ = packet + run_;        \
	     packet != end_; packet++)

/** sl_ring_offload() - the offload facts at a free-running index */
static inline struct sl_offload *sl_ring_offload(const struct sl_ring *ring, uint32_t index)
{
	return &ring->offloads[index & ring->mask];
}

/** sl_ring_frag() - fragment @n of a packet, 0 being the inline one */
static inline struct sl_frag *sl_ring_frag(const struct sl_ring *ring, struct sl_packet *packet,
					   uint32_t n)
{
	return n ? &ring->frags[(packet->more_at + n - 1) & ring->frag_mask] : &packet->frag;
}

/** sl_ring_packet_len() - the bytes of all fragments of a packet */
static inline uint32_t sl_ring_packet_len(const struct sl_ring *ring, struct sl_packet *packet)
{
	uint32_t len = packet->frag.len;

	for (uint32_t n = 1; n <= packet->more; n++)
		len += sl_ring_frag(ring, packet, n)->len;
	return len;
}

/** enum sl_ring_side - the two that share a ring */
enum sl_ring_side {
	SL_RING_NEITHER,
	SL_RING_PRODUCER,
	SL_RING_CONSUMER,
};

/** sl_ring_broken() - who has used an index that cannot be? SL_RING_NEITHER: nobody so far */
enum sl_ring_side sl_ring_broken(const struct sl_ring *ring);

#ifdef __cplusplus
}
#endif
#endif
