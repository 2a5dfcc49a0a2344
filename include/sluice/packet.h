/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A packet as a link ring carries it: a first fragment inline, more of them in
 * the ring's fragment array, offload facts beside it.
 */
#ifndef SLUICE_PACKET_H
#define SLUICE_PACKET_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A packet has at most this many fragments, the inline one included. */
#define SL_PACKET_FRAGS_MAX 64

enum {
	/* The consumer may overwrite the fragments, headroom and tailroom. Without
	 * this flag the memory is read-only and may change while it is read. */
	SL_PACKET_WRITABLE = 1u << 0,
	/* The entry of the ring's offload array for this packet is filled in. */
	SL_PACKET_OFFLOAD = 1u << 1,
};

/**
 * struct sl_frag - a piece of a packet
 * @addr:     its first byte, mapped in this process
 * @len:      its length in bytes
 * @region:   id of the producer's region that holds it
 * @tailroom: bytes behind it that belong to the packet as well
 */
struct sl_frag {
	uint8_t *addr;
	uint32_t len;
	uint16_t region;
	uint16_t tailroom;
};

/**
 * struct sl_packet - one entry of a link ring
 * @frag:     the first fragment
 * @cookie:   the producer's own; comes back with the packet, unread by others
 * @more_at:  index of its second fragment in the ring's fragment array
 * @more:     how many further fragments there are, 0 to SL_PACKET_FRAGS_MAX - 1
 * @flags:    SL_PACKET_*
 * @headroom: bytes before the first fragment that belong to the packet as well
 */
struct sl_packet {
	struct sl_frag frag;
	uint64_t cookie;
	uint32_t more_at;
	uint8_t more;
	uint8_t flags;
	uint16_t headroom;
};

/* The values of struct virtio_net_hdr (virtio 1.2, 5.1.6), in host byte order. */
enum {
	SL_OFFLOAD_NEEDS_CSUM = 1, /* VIRTIO_NET_HDR_F_NEEDS_CSUM */
	SL_OFFLOAD_DATA_VALID = 2, /* VIRTIO_NET_HDR_F_DATA_VALID */
};

enum {
	SL_GSO_NONE = 0,
	SL_GSO_TCPV4 = 1,
	SL_GSO_TCPV6 = 4,
	SL_GSO_UDP_L4 = 5,
	SL_GSO_ECN = 0x80, /* or-ed: the TCP packet has ECN set */
};

/**
 * struct sl_offload - what was left undone on a packet, in virtio-net's terms
 * @flags:       SL_OFFLOAD_*
 * @gso_type:    SL_GSO_*
 * @hdr_len:     length of all headers, a hint only
 * @gso_size:    payload bytes of each segment, headers not counted
 * @csum_start:  where the checksummed bytes start, from the packet's start
 * @csum_offset: where the checksum lies, from @csum_start
 */
struct sl_offload {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t reserved[3];
};

/* What a port emits or accepts: one bit an offload. */
enum {
	SL_CAN_CSUM = 1u << 0, /* SL_OFFLOAD_NEEDS_CSUM */
	SL_CAN_TSO4 = 1u << 1, /* SL_GSO_TCPV4 */
	SL_CAN_TSO6 = 1u << 2, /* SL_GSO_TCPV6 */
	SL_CAN_USO = 1u << 3,  /* SL_GSO_UDP_L4, both families */
	SL_CAN_ECN = 1u << 4,  /* SL_GSO_ECN */
};

#ifdef __cplusplus
}
#endif
#endif
