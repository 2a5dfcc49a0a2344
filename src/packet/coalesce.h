/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The coalescer (GRO): packets of one flow that follow each other become one super-packet,
 * from which the cutter makes the same packets again. Nothing is copied: the first packet lends
 * its headers, the others their payload.
 *
 * Cut again, the packets are the same byte for byte but for the IPv4 id of those with DF: the
 * cutter, like the kernel's, counts it up from the first one's. No virtio offload says "all the
 * same", and RFC 6864 4.1 lets nobody look at it: "Originating sources MAY set the IPv4 ID field
 * of atomic datagrams to any value. All devices that examine IPv4 headers MUST ignore the IPv4 ID
 * field of atomic datagrams." So with DF any id fits; without it only the next.
 */
#ifndef SL_PACKET_COALESCE_H
#define SL_PACKET_COALESCE_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/packet.h>

#include "packet/headers.h"

/**
 * struct sl_coalesce - a super-packet being put together; private to coalesce.c but for these
 * @frags:  the first packet whole, then the payloads of the others; region and tailroom are 0
 * @n:      how many; 1: nothing was merged, the first packet is untouched
 * @closed: nothing more fits: the last packet was shorter, had PSH or was the 64th, or one of
 *          this flow came that could not be merged and must not be overtaken
 */
struct sl_coalesce {
	struct sl_frag frags[SL_PACKET_FRAGS_MAX];
	unsigned n;
	bool closed;
	bool push; /* the last packet had PSH */
	struct sl_headers h;
	uint16_t size; /* payload bytes of each packet but the last */
	uint32_t len;  /* of the super-packet */
};

/**
 * sl_coalesce_start() - begin with a packet
 * @c:      filled in
 * @packet: writable memory that stays until the super-packet is over
 * @len:    its length
 * @layer:  2 or 3
 * @takes:  SL_CAN_*: what is done for a super-packet where it goes
 *
 * Return: false when nothing can ever be merged with it: a kind that @takes has not, neither TCP
 * nor UDP over IPv4 or IPv6, a fragment, IPv4 options, IPv6 extension headers, no payload, padding
 * behind the IP length, a UDP length that is not the IP payload's, a TCP flag other than ACK (and
 * PSH, which closes at once) or an urgent pointer, a checksum that is wrong, not written as the
 * cutter writes it or, for UDP, 0. @c is then not to be used.
 */
bool sl_coalesce_start(struct sl_coalesce *c, uint8_t *packet, uint32_t len, unsigned layer,
		       uint32_t takes);

/**
 * sl_coalesce_add() - append a packet, if that changes nothing but how it travels
 *
 * It must be of the same flow with the same headers but for length, checksum, IPv4 id, TCP
 * sequence number (the next one expected) and PSH; its payload at most as long as the others',
 * shorter only as the last one; 64 packets and 65535 bytes of IP at most.
 *
 * A packet of the same addresses and ports that is refused closes @c. So a caller with several
 * super-packets open keeps the order of each flow when it offers every packet to all of them and
 * sends everything, merged or not, in the order in which it began.
 *
 * Return: true when it was merged: its payload is lent from now on.
 */
bool sl_coalesce_add(struct sl_coalesce *c, uint8_t *packet, uint32_t len);

/**
 * sl_coalesce_finish() - write the headers of the super-packet into the first packet
 * @offload: filled in when something was merged
 *
 * Lengths, IPv4 checksum, PSH of the last packet; the L4 checksum field holds the pseudo header's
 * sum, as NEEDS_CSUM wants it.
 *
 * Return: true when something was merged and @offload counts.
 */
bool sl_coalesce_finish(struct sl_coalesce *c, struct sl_offload *offload);

#endif
