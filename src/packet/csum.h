/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Internet checksum (RFC 1071). Sums are kept unfolded in 64 bits, in the byte
 * order of memory; sl_csum_fold() gives the 16 bits to store with memcpy().
 */
#ifndef SL_PACKET_CSUM_H
#define SL_PACKET_CSUM_H

#include <stddef.h>
#include <stdint.h>

#include "packet/headers.h"

/** sl_csum_add() - add bytes that start at an even offset of the summed data */
uint64_t sl_csum_add(uint64_t sum, const void *bytes, size_t len);

/** sl_csum_copy() - copy @len bytes to memory that does not overlap them, and add them as
 * sl_csum_add() does */
uint64_t sl_csum_copy(void *to, const void *bytes, size_t len, uint64_t sum);

/** sl_csum_add_odd() - add bytes that start at an odd offset of the summed data */
uint64_t sl_csum_add_odd(uint64_t sum, const void *bytes, size_t len);

/** sl_csum_fold() - 16 bits, not complemented */
uint16_t sl_csum_fold(uint64_t sum);

/** sl_csum_pseudo() - sum of the pseudo header for @l4_len bytes of TCP or UDP
 * (RFC 9293 3.1, RFC 768, RFC 8200 8.1); @copy as parsed into @h, @h->proto not 0 */
uint64_t sl_csum_pseudo(const uint8_t *copy, const struct sl_headers *h, uint32_t l4_len);

/** sl_csum_ipv4() - compute and store the header checksum of the IPv4 header at @ip */
void sl_csum_ipv4(uint8_t *ip);

/** sl_csum_update() - RFC 1624: the stored checksum at @field after a 16-bit word of the
 * data (in memory order) changed from @was to @is; a UDP 0 ("no checksum") is the caller's */
void sl_csum_update(uint8_t *field, uint16_t was, uint16_t is);

#endif
