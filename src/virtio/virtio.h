/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver's side of a virtio device, whatever it is reached by: a table of operations for each
 * transport, and the sequence of virtio 1.2, 3.1.1 over it.
 */
#ifndef SL_VIRTIO_VIRTIO_H
#define SL_VIRTIO_VIRTIO_H

#include <linux/virtio_config.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sluice/iova.h>

#include "virtq/ring_state.h"

#define VIRTIO_BIT(feature)    (UINT64_C(1) << (feature))
#define VIRTIO_NO_VECTOR       UINT16_MAX /* 4.1.5.1.2 */
#define VIRTIO_F_INDIRECT_DESC 28	  /* 6: what the kernel calls VIRTIO_RING_F_... */
#define VIRTIO_F_EVENT_IDX     29

/** struct virtio - the head of every transport's own; @features: negotiated */
struct virtio {
	const struct virtio_ops *ops;
	uint64_t features;
};

/**
 * struct virtio_queue - what a queue is set up with
 * @size:   descriptors
 * @desc:   the descriptor area, driver area (avail) and device area (used)
 * @vector: its interrupts, VIRTIO_NO_VECTOR for none of its own; of transports that have vectors
 * @state:  where the device begins, of transports that can say so: vhost-user
 */
struct virtio_queue {
	uint16_t size;
	sl_iova desc, avail, used;
	uint16_t vector;
	struct virtq_ring_state state;
};

/**
 * struct virtio_ops - a transport; negative errnos leave a reason
 * @get_status:   device status (2.1), or -ENODEV when the device is gone
 * @get_features: device_feature, 64 bits
 * @set_features: driver_feature, 64 bits
 * @generation:   of the device's configuration (2.5); constant where there is none
 * @get_config:   @len bytes of it; -EINVAL when it does not have them; -EOPNOTSUPP when there is
 * none, which may be right: a network device over vhost-user
 * @queue_size:   the most descriptors that a queue may have, 0 when there is no such queue
 * @queue_enable: ...
 * @notify:       there are new buffers in a queue
 * @map:          the device will read (or @write) @len bytes at @at: where it sees them. A
 * transport with bounce buffers copies what it will read; -ENOSPC when there is no room now. NULL:
 * memory that the device sees is the transport's, and used in place
 * @unmap:        it is done with them: up to @written bytes of what it was to write come back
 */
struct virtio_ops {
	int (*get_status)(struct virtio *v);
	void (*set_status)(struct virtio *v, uint8_t status);
	uint64_t (*get_features)(struct virtio *v);
	void (*set_features)(struct virtio *v, uint64_t features);
	uint32_t (*generation)(struct virtio *v);
	int (*get_config)(struct virtio *v, size_t offset, void *to, size_t len);
	uint16_t (*queue_size)(struct virtio *v, uint16_t queue);
	int (*queue_enable)(struct virtio *v, uint16_t queue, const struct virtio_queue *setup);
	void (*notify)(struct virtio *v, uint16_t queue);
	int (*map)(struct virtio *v, void *at, uint32_t len, bool write, sl_iova *iova);
	void (*unmap)(struct virtio *v, sl_iova iova, uint32_t written);
};

/**
 * sl_virtio_reset() - all of its memory is the driver's again when it is done (2.4)
 *
 * Return: 0; -ETIMEDOUT after a second; -ENODEV when it is gone.
 */
int sl_virtio_reset(struct virtio *v);

/**
 * sl_virtio_start() - reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK (3.1.1, steps 1 to 6)
 * @v:      v->features is set to those that are in use
 * @wanted: what the driver can do; the device gets those of them that it offers
 * @narrow: drop from @features what does not go together, of a device offer that is odd; NULL to
 *          take all
 *
 * VIRTIO_F_VERSION_1 is required, and VIRTIO_F_ACCESS_PLATFORM is taken wherever it is offered
 * (6.1), so neither has to be in @wanted. What follows is setting up queues, and
 * sl_virtio_driver_ok().
 *
 * Return: 0; -EOPNOTSUPP for a device of before virtio 1.0, or when it wants other features;
 * or as sl_virtio_reset(). The device has been told FAILED then.
 */
int sl_virtio_start(struct virtio *v, uint64_t wanted, uint64_t (*narrow)(uint64_t features));

/** sl_virtio_driver_ok() - the device is live; or what sl_virtio_check() returns */
int sl_virtio_driver_ok(struct virtio *v);

/** sl_virtio_check() - 0; -ENODEV when it is gone, has failed, or has set DEVICE_NEEDS_RESET */
int sl_virtio_check(struct virtio *v);

/** sl_virtio_has() - was a feature negotiated? */
static inline bool sl_virtio_has(const struct virtio *v, unsigned feature)
{
	return v->features & VIRTIO_BIT(feature);
}

/**
 * sl_virtio_get_config() - several fields of the device's configuration, none torn (2.5.1)
 *
 * Return: 0; -EINVAL when it is not as long; -EAGAIN when it does not come to rest.
 */
int sl_virtio_get_config(struct virtio *v, size_t offset, void *to, size_t len);

#endif
