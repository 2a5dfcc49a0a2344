/* SPDX-License-Identifier: BSD-2-Clause */
/* The MSS clamp: TCP handshakes through a narrow link are told so. */
#ifndef SL_PACKET_MSS_H
#define SL_PACKET_MSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * sl_mss_clamp() - lower the MSS option of a TCP SYN
 * @bytes: the packet's first bytes, writable; changed in place, checksum updated
 *
 * @have:  how many of them there are
 * @len:   length of the whole packet
 * @layer: 2 or 3
 * @mss:   largest value to let through
 * @partial: the packet's checksum is still to be done (NEEDS_CSUM): leave it alone
 *
 * Return: true when it changed something. Anything that is not a whole, well-formed
 * TCP SYN is left as it is.
 */
bool sl_mss_clamp(uint8_t *bytes, size_t have, size_t len, unsigned layer, uint16_t mss,
		  bool partial);

#endif
