/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cutter (GSO): one super-packet in, segments of gso_size payload bytes out.
 * It makes headers only; payload is named by offset, so that the caller decides
 * whether to lend or to copy it. Works on TCP and UDP over IPv4 and IPv6.
 */
#ifndef SL_PACKET_CUT_H
#define SL_PACKET_CUT_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/packet.h>

#include "packet/headers.h"

/**
 * struct sl_cut - a super-packet being cut; private to cut.c but for these
 * @headers_len: bytes of headers before each segment's payload
 * @csum_start:  where the L4 header starts, from the segment's start
 * @csum_offset: where the checksum lies, from @csum_start
 */
struct sl_cut {
	uint16_t headers_len;
	uint16_t csum_start;
	uint16_t csum_offset;
	struct sl_headers h;
	uint16_t gso_size;
	uint16_t index;	     /* segments made so far */
	uint32_t at;	     /* payload offset, from the packet's start */
	uint32_t end;	     /* end of the payload */
	uint64_t pseudo_sum; /* of the pseudo header but for its length */
	uint64_t ipv4_sum;   /* of an IPv4 header but for length, id and checksum */
	uint8_t headers[SL_HEADERS_MAX];
};

/**
 * struct sl_segment - one packet cut from a super-packet
 * @at:   its payload's offset in the super-packet
 * @len:  its payload's length
 */
struct sl_segment {
	uint32_t at;
	uint32_t len;
};

/**
 * sl_cut_start() - check a super-packet and prepare to cut it
 * @cut:     filled in
 * @copy:    a private copy of the packet's first bytes
 * @copied:  how many, up to SL_HEADERS_MAX
 * @len:     length of the whole packet
 * @layer:   2 or 3, as for sl_headers_parse()
 * @offload: its offload facts; untrusted
 *
 * hdr_len is ignored: it is a hint (virtio 1.2, 5.1.6.2). Padding behind the IP
 * length is cut off.
 *
 * Return: 0; -EINVAL for facts that do not hold (gso_type against headers, gso_size 0
 * or larger than the payload, a fragment, no payload, a UDP length that is not the IP
 * payload's, headers longer than what was copied, no NEEDS_CSUM, a csum_start or
 * csum_offset that is not the L4 checksum's); -EOPNOTSUPP for a gso_type this cutter
 * does not know. Leaves no reason.
 */
int sl_cut_start(struct sl_cut *cut, const uint8_t *copy, size_t copied, uint32_t len,
		 unsigned layer, const struct sl_offload *offload);

/**
 * sl_cut_next() - make the next segment
 * @headers: room for cut->headers_len bytes; complete but for the L4 checksum, whose
 *           field holds the folded sum of the pseudo header as NEEDS_CSUM wants it
 * @segment: its payload
 *
 * IPv4 id increments; TCP: seq advances, CWR only on the first, FIN and PSH only on
 * the last; UDP length set.
 *
 * Return: false when there are no more.
 */
bool sl_cut_next(struct sl_cut *cut, uint8_t *headers, struct sl_segment *segment);

/**
 * sl_cut_csum() - complete a segment's L4 checksum
 * @headers:     as sl_cut_next() made them
 * @payload_sum: sum of the payload, from sl_frags_csum() or sl_csum_add()
 *
 * A UDP checksum that comes out as 0 is stored as 0xffff (RFC 768).
 */
void sl_cut_csum(const struct sl_cut *cut, uint8_t *headers, uint64_t payload_sum);

#endif
