/* SPDX-License-Identifier: BSD-2-Clause */
/* The bytes of a packet, across its fragments. Ranges must lie inside the packet. */
#ifndef SL_PACKET_FRAGS_H
#define SL_PACKET_FRAGS_H

#include <stddef.h>
#include <stdint.h>

#include <sluice/ring.h>

/** sl_frags_copy() - copy up to @len bytes from offset @at; returns how many there were */
size_t sl_frags_copy(const struct sl_ring *ring, struct sl_packet *packet, size_t at, void *to,
		     size_t len);

/** sl_frags_csum() - add @len bytes from offset @at to a checksum, as data that starts even */
uint64_t sl_frags_csum(const struct sl_ring *ring, struct sl_packet *packet, size_t at, size_t len,
		       uint64_t sum);

/** sl_frags_copy_csum() - sl_frags_copy() and sl_frags_csum() in one go; all @len bytes are there
 */
uint64_t sl_frags_copy_csum(const struct sl_ring *ring, struct sl_packet *packet, size_t at,
			    void *to, size_t len, uint64_t sum);

/**
 * sl_frags_slice() - name @len bytes from offset @at by fragments, without a copy
 *
 * The slices' tailroom is 0.
 *
 * Return: fragments filled in; -EMSGSIZE when @max are not enough; -EINVAL when
 * the range is not inside the packet.
 */
int sl_frags_slice(const struct sl_ring *ring, struct sl_packet *packet, size_t at, size_t len,
		   struct sl_frag *out, unsigned max);

#endif
