/* SPDX-License-Identifier: BSD-2-Clause */
/* A network device (virtio 1.2, 5.1), driver's side: what is negotiated, said and asked, and the
 * header of its packets. How packets move is the port's. */
#ifndef SL_VIRTIO_NET_H
#define SL_VIRTIO_NET_H

#include <stddef.h>
#include <string.h>

#include <linux/virtio_net.h>

#include <sluice/packet.h>

#include "virtio/virtio.h"
#include "virtq/driver.h"

/* Before each packet lies struct virtio_net_hdr_v1, the one with num_buffers (5.1.6). */
#define VIRTIO_NET_HDR_LEN ((uint32_t)sizeof(struct virtio_net_hdr_v1))

#define VIRTIO_NET_MTU_MIN 68 /* 5.1.4.1 */

/* 5.1.2: receiveq1, transmitq1, receiveq2 ..., controlq. */
#define VIRTIO_NET_RX(pair) ((uint16_t)(2 * (pair)))
#define VIRTIO_NET_TX(pair) ((uint16_t)(2 * (pair) + 1))

/* Of virtio 1.3, 5.1.3 and 5.1.6, newer than the headers. */
#ifndef VIRTIO_NET_F_HOST_USO
#define VIRTIO_NET_F_GUEST_USO4 54
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO	56
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/** struct virtio_net_state - its configuration (5.1.4); what the device does not say is a default
 */
struct virtio_net_state {
	uint8_t mac[6];
	bool link_up;
	uint16_t max_virtqueue_pairs;
	uint16_t mtu;
};

/**
 * sl_virtio_net_start() - sl_virtio_start() with the features that this driver has
 * @v:    the device
 * @more: of the ring: VIRTIO_F_RING_PACKED, VIRTIO_F_IN_ORDER, as the caller wants them.
 *        VIRTIO_NET_F_CTRL_VQ, with VIRTIO_NET_F_CTRL_RX and _MQ as far as they are wanted;
 *        VIRTIO_NET_F_MQ alone where several queues need no command: vhost-user
 *
 * Return: as sl_virtio_start().
 */
int sl_virtio_net_start(struct virtio *v, uint64_t more);

/** sl_virtio_net_state() - read its configuration; -EINVAL for one that cannot be */
int sl_virtio_net_state(struct virtio *v, struct virtio_net_state *state);

/** sl_virtio_net_emits() - SL_CAN_*: what received packets may need done */
uint32_t sl_virtio_net_emits(const struct virtio *v);

/** sl_virtio_net_accepts() - SL_CAN_*: what the device does for packets it sends */
uint32_t sl_virtio_net_accepts(const struct virtio *v);

/* The facts of a packet are what a header begins with. */
_Static_assert(offsetof(struct virtio_net_hdr_v1, num_buffers) == 10 &&
		       offsetof(struct sl_offload, csum_start) ==
			       offsetof(struct virtio_net_hdr_v1, csum_start) &&
		       offsetof(struct sl_offload, csum_offset) ==
			       offsetof(struct virtio_net_hdr_v1, csum_offset),
	       "struct sl_offload is in virtio-net's terms");

/**
 * sl_virtio_net_hdr_make() - of a packet that is handed over (5.1.6.2, 5.1.6.4)
 * @hdr:         filled in
 * @offload:     NULL: nothing to be done
 * @flags:       those of the facts that may be said: VIRTIO_NET_HDR_F_*
 * @num_buffers: 0 to a device
 *
 * It is made of two words, as it is copied on: what is stored in parts and loaded whole waits until
 * all stores before it have left the processor, also those into memory of another one.
 */
static inline void sl_virtio_net_hdr_make(struct virtio_net_hdr_v1 *hdr,
					  const struct sl_offload *offload, uint8_t flags,
					  uint16_t num_buffers)
{
	uint32_t last = (uint32_t)num_buffers << 16;
	uint64_t first = 0;

	if (offload) {
		memcpy(&first, offload, sizeof(first));
		first &= ~(uint64_t)0xff | flags;
		last |= offload->csum_offset;
	}
	memcpy(hdr, &first, sizeof(first));
	memcpy((uint8_t *)hdr + sizeof(first), &last, sizeof(last));
}

/**
 * sl_virtio_net_hdr_parse() - of a received packet (5.1.6.4)
 * @hdr:     a private copy
 * @len:     of the packet behind it, in bytes
 * @emits:   SL_CAN_*: what was negotiated
 * @offload: filled in when 1 is returned
 *
 * Return: 1 with offload facts, 0 without any; -EINVAL when they do not hold, or were not
 * negotiated. No reason.
 */
int sl_virtio_net_hdr_parse(const struct virtio_net_hdr_v1 *hdr, uint32_t len, uint32_t emits,
			    struct sl_offload *offload);

/**
 * struct virtio_net_ctrl - the control queue (5.1.6.5)
 * @vq:     open, and enabled as @queue
 * @memory: for commands, VIRTIO_NET_CTRL_LEN bytes, and where the device sees it
 */
struct virtio_net_ctrl {
	struct virtio *v;
	struct virtq_driver vq;
	uint16_t queue;
	uint8_t *memory;
	sl_iova iova;
};

#define VIRTIO_NET_CTRL_LEN 64

/**
 * sl_virtio_net_ctrl() - ask, and wait for the answer
 * @class: VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_MQ
 * @cmd:   ...
 * @data:  what belongs to it
 * @len:   up to 32 bytes
 *
 * Return: 0; -EOPNOTSUPP when the device says no; -ETIMEDOUT after a second, -EPROTO for a broken
 * queue: there must be no other command then.
 */
int sl_virtio_net_ctrl(struct virtio_net_ctrl *ctrl, uint8_t class, uint8_t cmd, const void *data,
		       uint32_t len);

#endif
