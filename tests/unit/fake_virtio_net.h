/* SPDX-License-Identifier: BSD-2-Clause */
/* A fake network device: a transport of its own, and the device's side of its queues in plain
 * memory. An IOVA is a pointer. It does what virtio 1.2 says unless the test makes it lie. */
#ifndef SL_TESTS_FAKE_VIRTIO_NET_H
#define SL_TESTS_FAKE_VIRTIO_NET_H

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "fake_virtq.h"
#include "virtio/net.h"

#define FAKE_NET_QUEUES 7 /* three pairs, and the control queue */

/**
 * struct fake_virtio_net - a device
 * @offers:     features; @refuses: those that it does not work with, though it offers them
 * @status:     device status
 * @stuck:      that many reads until a reset is done
 * @gone:       all reads are ones
 * @no_config:  it has no configuration space
 * @restless:   its configuration changes at each look
 * @sequence:   each value that status was set to
 * @ack:        what it answers on the control queue
 * @mute:       it does not answer there
 */
struct fake_virtio_net {
	struct virtio virtio;
	uint64_t offers, refuses, accepted;
	uint8_t status;
	unsigned stuck;
	bool gone, no_config, restless, mute;
	uint32_t generation;
	struct virtio_net_config config;
	size_t config_len;
	unsigned n_sequence;
	uint8_t sequence[16];
	uint16_t queue_size;
	struct virtio_queue setup[FAKE_NET_QUEUES];
	struct fake_virtq queues[FAKE_NET_QUEUES];
	unsigned notified[FAKE_NET_QUEUES];
	uint8_t ack, asked[64];
	uint32_t asked_len;
};

static inline struct fake_virtio_net *fake_net_of(struct virtio *v)
{
	return sl_container_of(v, struct fake_virtio_net, virtio);
}

static inline int fake_get_status(struct virtio *v)
{
	struct fake_virtio_net *f = fake_net_of(v);

	if (f->gone)
		return sl_fail(ENODEV, "the fake is gone");
	if (f->stuck && !--f->stuck)
		f->status = 0;
	return f->status;
}

static inline void fake_set_status(struct virtio *v, uint8_t status)
{
	struct fake_virtio_net *f = fake_net_of(v);

	if (f->n_sequence < sizeof(f->sequence))
		f->sequence[f->n_sequence++] = status;
	if (!status && f->stuck)
		return;
	if (status & VIRTIO_CONFIG_S_FEATURES_OK && f->accepted & f->refuses)
		status &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	f->status = status;
}

static inline uint64_t fake_get_features(struct virtio *v)
{
	return fake_net_of(v)->offers;
}

static inline void fake_set_features(struct virtio *v, uint64_t features)
{
	fake_net_of(v)->accepted = features;
}

static inline uint32_t fake_generation(struct virtio *v)
{
	struct fake_virtio_net *f = fake_net_of(v);

	return f->restless ? ++f->generation : f->generation;
}

static inline int fake_get_config(struct virtio *v, size_t offset, void *to, size_t len)
{
	struct fake_virtio_net *f = fake_net_of(v);

	if (f->no_config)
		return sl_fail(EOPNOTSUPP, "the fake has no configuration");
	if (offset + len > f->config_len)
		return sl_fail(EINVAL, "the fake's configuration is shorter");
	memcpy(to, (uint8_t *)&f->config + offset, len);
	return 0;
}

static inline uint16_t fake_queue_size(struct virtio *v, uint16_t queue)
{
	return queue < FAKE_NET_QUEUES ? fake_net_of(v)->queue_size : 0;
}

static inline int fake_queue_enable(struct virtio *v, uint16_t queue,
				    const struct virtio_queue *setup)
{
	struct fake_virtio_net *f = fake_net_of(v);
	bool event_idx = f->accepted & VIRTIO_BIT(VIRTIO_F_EVENT_IDX);

	f->setup[queue] = *setup;
	f->queues[queue] =
		fake_virtq_at((void *)(uintptr_t)setup->desc.value, setup->size, event_idx);
	fake_virtq_listen(&f->queues[queue], true);
	return 0;
}

/* The control queue: @class, @cmd and data are kept, @ack is the answer (5.1.6.5). */
static inline void fake_answer(struct fake_virtio_net *f, struct fake_virtq *vq)
{
	struct fake_chain chain;

	if (f->mute || !fake_virtq_pop(vq, &chain))
		return;
	f->asked_len = 0;
	for (unsigned i = 0; i < chain.n_read; i++) {
		memcpy(f->asked + f->asked_len, chain.elems[i].at, chain.elems[i].len);
		f->asked_len += chain.elems[i].len;
	}
	*chain.elems[chain.n - 1].at = f->ack;
	fake_virtq_push(vq, chain.head, 1);
}

static inline void fake_notify(struct virtio *v, uint16_t queue)
{
	struct fake_virtio_net *f = fake_net_of(v);

	f->notified[queue]++;
	if (queue == FAKE_NET_QUEUES - 1)
		fake_answer(f, &f->queues[queue]);
}

static const struct virtio_ops fake_virtio_ops = {
	.get_status = fake_get_status,
	.set_status = fake_set_status,
	.get_features = fake_get_features,
	.set_features = fake_set_features,
	.generation = fake_generation,
	.get_config = fake_get_config,
	.queue_size = fake_queue_size,
	.queue_enable = fake_queue_enable,
	.notify = fake_notify,
};

/* All that QEMU offers, and more. */
static inline struct fake_virtio_net fake_net(void)
{
	return (struct fake_virtio_net){
		.virtio.ops = &fake_virtio_ops,
		.offers = UINT64_MAX,
		.config = {{0x52, 0x54, 0, 1, 2, 3}, VIRTIO_NET_S_LINK_UP, 3, 1400},
		.config_len = sizeof(struct virtio_net_config),
		.queue_size = 1024,
		.status = VIRTIO_CONFIG_S_DRIVER_OK, /* somebody used it before */
	};
}

/* Give the driver's next buffer back with these bytes. Returns false when it has given none. */
static inline bool fake_receive(struct fake_virtq *vq, const void *bytes, uint32_t len)
{
	struct fake_chain chain;

	if (!fake_virtq_pop(vq, &chain))
		return false;
	if (chain.n == 1 && !chain.n_read && len <= chain.elems[0].len)
		memcpy(chain.elems[0].at, bytes, len);
	fake_virtq_push(vq, chain.head, len);
	return true;
}

#endif
