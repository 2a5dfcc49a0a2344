/* SPDX-License-Identifier: BSD-2-Clause */
/* Network device, virtio 1.2, 5.1. */
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/reason.h"
#include "virtio/net.h"

#define MTU_DEFAULT   1500
#define CTRL_NS	      SL_NS_PER_S
#define CTRL_STEP     (100 * SL_NS_PER_US)
#define CTRL_DATA_MAX 32
#define CTRL_ACK      (VIRTIO_NET_CTRL_LEN - 1)

#define HOST_GSO                                                                                   \
	(VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) | VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6) |                 \
	 VIRTIO_BIT(VIRTIO_NET_F_HOST_ECN) | VIRTIO_BIT(VIRTIO_NET_F_HOST_USO))
#define GUEST_GSO                                                                                  \
	(VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6) |               \
	 VIRTIO_BIT(VIRTIO_NET_F_GUEST_ECN) | GUEST_USO)
#define GUEST_USO (VIRTIO_BIT(VIRTIO_NET_F_GUEST_USO4) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_USO6))
#define CTRL_USES (VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX) | VIRTIO_BIT(VIRTIO_NET_F_MQ))

static bool has_any(uint64_t f, unsigned a, unsigned b)
{
	return f & (VIRTIO_BIT(a) | VIRTIO_BIT(b));
}

/* A feature, and those without which it must not be (5.1.3.1), all of them or any. */
static uint64_t narrow(uint64_t f)
{
	if (!(f & VIRTIO_BIT(VIRTIO_NET_F_CSUM)))
		f &= ~HOST_GSO;
	if (!(f & VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM)))
		f &= ~GUEST_GSO;
	/* Of this driver: its buffers hold large packets only together. */
	if (!(f & VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF)))
		f &= ~(GUEST_GSO | VIRTIO_BIT(VIRTIO_NET_F_MTU));
	if (!has_any(f, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6))
		f &= ~VIRTIO_BIT(VIRTIO_NET_F_HOST_ECN);
	if (!has_any(f, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6))
		f &= ~VIRTIO_BIT(VIRTIO_NET_F_GUEST_ECN);
	/* Of rings: SL_CAN_USO is both families. */
	if ((f & GUEST_USO) != GUEST_USO)
		f &= ~GUEST_USO;
	return f;
}

static uint64_t narrow_ctrl(uint64_t f)
{
	return narrow(f & VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) ? f : f & ~CTRL_USES);
}

int sl_virtio_net_start(struct virtio *v, uint64_t more)
{
	uint64_t wanted = VIRTIO_BIT(VIRTIO_F_EVENT_IDX) | VIRTIO_BIT(VIRTIO_NET_F_MAC) |
			  VIRTIO_BIT(VIRTIO_NET_F_STATUS) | VIRTIO_BIT(VIRTIO_NET_F_MTU) |
			  VIRTIO_BIT(VIRTIO_NET_F_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) |
			  VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) | GUEST_GSO | HOST_GSO;

	return sl_virtio_start(v, wanted | more,
			       more & VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) ? narrow_ctrl : narrow);
}

#define READ(v, field, to)                                                                         \
	sl_virtio_get_config((v), offsetof(struct virtio_net_config, field), (to), sizeof(*(to)))

int sl_virtio_net_state(struct virtio *v, struct virtio_net_state *state)
{
	uint16_t status = VIRTIO_NET_S_LINK_UP;
	int ret = 0;

	*state = (struct virtio_net_state){.max_virtqueue_pairs = 1, .mtu = MTU_DEFAULT};
	if (sl_virtio_has(v, VIRTIO_NET_F_MAC))
		ret = READ(v, mac, &state->mac);
	if (!ret && sl_virtio_has(v, VIRTIO_NET_F_STATUS))
		ret = READ(v, status, &status);
	if (!ret && sl_virtio_has(v, VIRTIO_NET_F_MQ))
		ret = READ(v, max_virtqueue_pairs, &state->max_virtqueue_pairs);
	if (!ret && sl_virtio_has(v, VIRTIO_NET_F_MTU))
		ret = READ(v, mtu, &state->mtu);
	state->link_up = status & VIRTIO_NET_S_LINK_UP;
	if (ret && ret != -EOPNOTSUPP)
		return ret;
	if (state->mtu < VIRTIO_NET_MTU_MIN)
		return sl_fail(EINVAL, "the device says that its MTU is %u: %d is the least",
			       state->mtu, VIRTIO_NET_MTU_MIN);
	if (!state->max_virtqueue_pairs ||
	    state->max_virtqueue_pairs > VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MAX)
		return sl_fail(EINVAL, "the device says that it has %u pairs of queues",
			       state->max_virtqueue_pairs);
	return 0;
}

static uint32_t can(const struct virtio *v, unsigned csum, unsigned tso4, unsigned tso6,
		    unsigned ecn, unsigned uso)
{
	return (sl_virtio_has(v, csum) ? SL_CAN_CSUM : 0u) |
	       (sl_virtio_has(v, tso4) ? SL_CAN_TSO4 : 0u) |
	       (sl_virtio_has(v, tso6) ? SL_CAN_TSO6 : 0u) |
	       (sl_virtio_has(v, ecn) ? SL_CAN_ECN : 0u) |
	       (sl_virtio_has(v, uso) ? SL_CAN_USO : 0u);
}

uint32_t sl_virtio_net_emits(const struct virtio *v)
{
	return can(v, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6,
		   VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_GUEST_USO4);
}

uint32_t sl_virtio_net_accepts(const struct virtio *v)
{
	return can(v, VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6,
		   VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_USO);
}

static uint32_t gso_needs(uint8_t gso_type)
{
	uint32_t ecn = gso_type & SL_GSO_ECN ? SL_CAN_ECN : 0;

	switch (gso_type & ~SL_GSO_ECN) {
	case SL_GSO_TCPV4:
		return SL_CAN_CSUM | SL_CAN_TSO4 | ecn;
	case SL_GSO_TCPV6:
		return SL_CAN_CSUM | SL_CAN_TSO6 | ecn;
	case SL_GSO_UDP_L4:
		return ecn ? UINT32_MAX : SL_CAN_CSUM | SL_CAN_USO;
	default:
		return UINT32_MAX;
	}
}

int sl_virtio_net_hdr_parse(const struct virtio_net_hdr_v1 *hdr, uint32_t len, uint32_t emits,
			    struct sl_offload *offload)
{
	uint8_t flags = hdr->flags & (SL_OFFLOAD_NEEDS_CSUM | SL_OFFLOAD_DATA_VALID);
	bool csum = flags & SL_OFFLOAD_NEEDS_CSUM;
	uint32_t needs = csum ? SL_CAN_CSUM : 0;

	if (!flags && hdr->gso_type == SL_GSO_NONE)
		return 0;
	if (hdr->gso_type != SL_GSO_NONE) {
		needs |= gso_needs(hdr->gso_type);
		/* 5.1.6.4.1: a device that sets gso_type "MUST also set" NEEDS_CSUM and gso_size.
		 */
		if (!csum || !hdr->gso_size)
			return -EINVAL;
	}
	if (needs & ~emits)
		return -EINVAL;
	if (csum && (uint32_t)hdr->csum_start + hdr->csum_offset + 2 > len)
		return -EINVAL;
	*offload = (struct sl_offload){
		.flags = emits & SL_CAN_CSUM ? flags : 0, /* 5.1.6.4.2: else they are ignored */
		.gso_type = hdr->gso_type,
		.hdr_len = hdr->hdr_len,
		.gso_size = hdr->gso_size,
		.csum_start = csum ? hdr->csum_start : 0,
		.csum_offset = csum ? hdr->csum_offset : 0,
	};
	return 1;
}

static int wait_used(struct virtio_net_ctrl *ctrl)
{
	const struct timespec step = {0, CTRL_STEP};
	uint64_t until = sl_now_ns() + CTRL_NS;
	uint32_t len;
	int ret;

	while ((ret = sl_virtq_get(&ctrl->vq, &len)) == -EAGAIN) {
		if (sl_now_ns() > until)
			return sl_fail(ETIMEDOUT, "the device does not answer on its control "
						  "queue");
		nanosleep(&step, NULL);
	}
	return ret < 0 ? sl_fail(EPROTO, "the control queue is broken: %s", ctrl->vq.broken) : 0;
}

int sl_virtio_net_ctrl(struct virtio_net_ctrl *ctrl, uint8_t class, uint8_t cmd, const void *data,
		       uint32_t len)
{
	struct virtq_elem elems[2] = {{ctrl->iova, 2 + len}, {ctrl->iova, 1}};
	int ret;

	if (len > CTRL_DATA_MAX || !sl_iova_advance(ctrl->iova, CTRL_ACK, &elems[1].addr))
		return sl_fail(EINVAL, "a control command of %u bytes", len);
	ctrl->memory[0] = class;
	ctrl->memory[1] = cmd;
	memcpy(ctrl->memory + 2, data, len);
	ctrl->memory[CTRL_ACK] = VIRTIO_NET_ERR;
	ret = sl_virtq_add(&ctrl->vq, elems, 1, 2);
	if (ret < 0)
		return sl_fail(EPROTO, "the control queue is full");
	if (sl_virtq_publish(&ctrl->vq))
		ctrl->v->ops->notify(ctrl->v, ctrl->queue);
	ret = wait_used(ctrl);
	if (ret)
		return ret;
	if (sl_load_relaxed(&ctrl->memory[CTRL_ACK]) != VIRTIO_NET_OK)
		return sl_fail(EOPNOTSUPP, "the device refuses command %u of class %u", cmd, class);
	return 0;
}
