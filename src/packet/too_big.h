/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "Your packet is too big": ICMP's answer to a packet that must not be fragmented (RFC 1191,
 * RFC 1812 4.3; RFC 4443 3.2, RFC 8201).
 */
#ifndef SL_PACKET_TOO_BIG_H
#define SL_PACKET_TOO_BIG_H

#include <stddef.h>
#include <stdint.h>

#define TOO_BIG_MAX 1298 /* 18 bytes of Ethernet with a VLAN tag, 1280 of IPv6 */

/**
 * sl_too_big() - make the answer to a packet larger than a path
 * @bytes: the packet's first bytes, a private copy
 * @have:  how many of them there are
 * @len:   length of the whole packet
 * @layer: 2: it and its answer start with Ethernet, at most one VLAN tag is kept; 3: with IP
 * @mtu:   largest IP packet that would pass
 * @out:   TOO_BIG_MAX bytes
 *
 * The answer comes from the address the packet was for (nobody else on this path has one).
 * There is none to: IPv4 packets without DF, ICMP errors, fragments but the first, broadcast
 * and multicast, unspecified or loopback sources, what is malformed, what would pass.
 *
 * Return: its length, 0 when there is to be none. Leaves no reason.
 */
size_t sl_too_big(const uint8_t *bytes, size_t have, size_t len, unsigned layer, unsigned mtu,
		  uint8_t *out);

#endif
