/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The port virtio-user from inside: virtio_user.c is the port, virtio_user_attach.c about back ends
 * that come and go, virtio_user_via.c about how they are reached.
 */
#ifndef SL_PORT_VIRTIO_USER_H
#define SL_PORT_VIRTIO_USER_H

#include <sluice/link.h>

#include "port/nic/virtio_queue.h"

#define USER_SIZE    VIRTIO_NET_QUEUE_MAX
#define USER_BUFFERS (USER_SIZE + SL_LINK_RING_MAX + 32) /* lent ones never starve the device */

struct via;

/** struct via_config - @memory: bytes for packets */
struct via_config {
	const char *path;
	bool listen;
	unsigned queues;
	size_t memory;
};

/** struct via_ring - memory for a virtqueue that the device sees; @device_area: apart from the
 * rest, NULL: not */
struct via_ring {
	void *memory, *device_area;
	sl_iova iova, device_iova;
};

/**
 * struct via_ops - a way to reach the other process
 * @bounces: the device does not see packets, they are copied into buffers that it sees and out of
 *           them; and one thread at a time
 * @open:    the memory for packets is in via->memory then; close() even when it fails
 * @ring:    where a queue is, with the device reset; zeroed
 * @iova:    where the device sees a byte of the memory for packets; NULL when it @bounces
 * @event:   that it interrupts by when a queue has used buffers
 * @fd:      readable when connect() or step() has something to do; the same for good
 * @connect: 0: there is somebody, who can be started; -EAGAIN: nobody is there, call again later;
 *           -EINPROGRESS: ... or when @fd is readable; else it has failed
 * @step:    0; -EAGAIN: nobody serves the device now, but it goes on; -ENODEV
 * @leave:   part with whoever is there, if that is how to end it
 */
struct via_ops {
	bool bounces;
	int (*open)(struct via *via, const struct via_config *config);
	void (*ring)(struct via *via, unsigned queue, bool packed, struct via_ring *ring);
	sl_iova (*iova)(struct via *via, size_t at);
	int (*event)(struct via *via, unsigned queue);
	int (*fd)(struct via *via);
	int (*connect)(struct via *via);
	int (*step)(struct via *via);
	void (*leave)(struct via *via);
	void (*close)(struct via *via);
};

extern const struct via_ops sl_via_vhost_user, sl_via_uduse;

/**
 * struct via - the head of each one's own
 * @v:      the device; another one after connect(), perhaps
 * @memory: for packets
 */
struct via {
	const struct via_ops *ops;
	struct virtio *v;
	struct sl_region memory;
	void *own;
};

/**
 * struct user_pair - a receiveq and a transmitq
 * @waits:  epoll descriptors over the events, by SL_PORT_RX | SL_PORT_TX; events are never read:
 *          a back end may have made them such that this blocks
 * @joined: one thread waits for both
 */
struct user_pair {
	struct virtio_rx rx;
	struct virtio_tx tx;
	struct nic_pool pool;
	int waits[4];
	bool joined;
};

/**
 * struct virtio_user - a port
 * @lock:     of everything, where the way to the device is for one thread at a time
 * @wanted:   features of rings
 * @retry_at: when to look for a back end, CLOCK_MONOTONIC ns; @retry: ... and how much later again
 * @since:    when it was attached
 * @seen:     the device's generation
 * @greeted:  a back end has been asked for the first time
 * @waited:   it was logged that nobody is there; or we are, and it is for others to come
 * @why:      the last failure that was logged
 */
struct virtio_user {
	struct sl_port port;
	const struct sl_log *log;
	struct via via;
	pthread_mutex_t lock;
	unsigned pairs;
	uint64_t wanted;
	uint64_t retry_at, retry, since;
	uint32_t generation, seen, link_up;
	bool attached, greeted, waited;
	struct virtio_net_state state;
	char why[160];
	struct user_pair pair[NIC_QUEUES];
};

/** sl_virtio_user_step() - control() of the port. sl_virtio_user_forget() - without a device: all
 * buffers are ours */
int sl_virtio_user_step(struct virtio_user *user, uint64_t now_ns);
void sl_virtio_user_forget(struct virtio_user *user, uint64_t now_ns);

#endif
