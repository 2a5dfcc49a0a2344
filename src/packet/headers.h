/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parsing headers, with bounds. Packet memory may change while it is read, so
 * headers are copied once (sl_frags_copy()) and only the copy is parsed.
 */
#ifndef SL_PACKET_HEADERS_H
#define SL_PACKET_HEADERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Headers longer than this are not looked at: Ethernet + 2 VLAN tags + IPv6 with
 * extension headers + TCP with all its options fit. */
#define SL_HEADERS_MAX 256

/**
 * struct sl_headers - where the headers of a packet lie, in bytes from its start
 * @l3:       IP header; only when @ip is not 0
 * @l4:       TCP or UDP header; only when @proto is not 0
 * @payload:  what follows the TCP or UDP header
 * @end:      end of the packet by its IP length field, beyond it is padding; its
 *            length when it is not IP
 * @ip:       4, 6, or 0 when it is not IP
 * @proto:    IPPROTO_TCP, IPPROTO_UDP, or 0 for anything else: fragments, ESP and AH,
 *            source routes not used up, headers beyond what was copied, more than 2
 *            VLAN tags or 8 extension headers
 * @fragment: part of a fragmented datagram
 */
struct sl_headers {
	uint16_t l3;
	uint16_t l4;
	uint16_t payload;
	uint32_t end;
	uint8_t ip;
	uint8_t proto;
	bool fragment;
};

/**
 * sl_headers_parse() - find the headers of a packet
 * @copy:   a private copy of its first bytes
 * @copied: how many, at most SL_HEADERS_MAX are looked at
 * @len:    length of the whole packet in bytes
 * @layer:  2: it starts with Ethernet (VLAN tags allowed); 3: with IP
 * @out:    filled in
 *
 * Return: 0, also for what is not IP (@out->ip 0) and for other protocols
 * (@out->proto 0); -EINVAL when lengths do not hold. Leaves no reason: it is
 * called for every packet.
 */
int sl_headers_parse(const uint8_t *copy, size_t copied, size_t len, unsigned layer,
		     struct sl_headers *out);

#endif
