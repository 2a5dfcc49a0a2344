/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio device over uduse: what the kernel is to a VDUSE daemon, in this process
 * (docs/uduse.md). A daemon connects, creates the device, serves it, dies; the device stays, and
 * the next daemon goes on with it.
 *
 * The daemon is hostile. It sees memory that was made for it and nothing else: bounce pools, into
 * and out of which each buffer is copied, and rings. What it only reads it cannot write.
 *
 * One thread at a time; but map() and unmap() of what is read, and of what is written, are apart.
 */
#ifndef SL_VIRTIO_UDUSE_H
#define SL_VIRTIO_UDUSE_H

#include "virtio/virtio.h"

#define UDUSE_QUEUES_MAX 64
#define UDUSE_BOUNCE_MAX (1u << 30)

/**
 * struct uduse_config - what the driver's side is made of
 * @path:      of the socket where daemons connect
 * @device_id: of the device that is wanted: VIRTIO_ID_BLOCK, VIRTIO_ID_NET
 * @queues:    that will be used, 1 to UDUSE_QUEUES_MAX
 * @bounce:    bytes of the pool for what the device reads, and of the one for what it writes, up to
 *             UDUSE_BOUNCE_MAX
 * @wait_ns:   how long a daemon may take to answer; then the device is broken, for good
 */
struct uduse_config {
	const char *path;
	uint32_t device_id;
	uint16_t queues;
	size_t bounce;
	uint64_t wait_ns;
};

struct uduse;

/**
 * sl_uduse_open() - listen
 * @config: copied, and so is the path
 * @out:    owned by the caller
 *
 * Return: 0; -EINVAL; -ENOMEM; what listening says.
 */
int sl_uduse_open(const struct uduse_config *config, struct uduse **out);

/** sl_uduse_close() - free it, also its memory. NULL is allowed */
void sl_uduse_close(struct uduse *u);

/** sl_uduse_virtio() - the device */
struct virtio *sl_uduse_virtio(struct uduse *u);

/** sl_uduse_fd() - readable when sl_uduse_step() has something to do */
int sl_uduse_fd(const struct uduse *u);

/**
 * sl_uduse_step() - look what daemons want, without blocking
 *
 * Return: 0 while one serves the device; -EAGAIN while none does: what was set up stays as it is,
 * and the next one goes on with it; -EOPNOTSUPP after one came whose device cannot be used;
 * -EIO when the device is broken. All but 0 with a reason.
 */
int sl_uduse_step(struct uduse *u);

/** sl_uduse_call() - the event that the device interrupts by when @queue has used buffers;
 * non-blocking, and not the caller's. It is sl_uduse_step() that signals it */
int sl_uduse_call(const struct uduse *u, uint16_t queue);

/**
 * sl_uduse_alloc() - zeroed memory that the device sees, for rings
 * @write: the device writes to it; else it cannot
 * @iova:  where it sees it
 *
 * The daemon of a device that is driven is told, and so it is by sl_uduse_free()
 * (VDUSE_UPDATE_IOTLB).
 *
 * Return: 0; -ENOSPC when there is too much of it already; -ENOMEM, -EMFILE and the like; -EIO when
 * the daemon refuses, or the device is broken: it is there all the same.
 */
int sl_uduse_alloc(struct uduse *u, size_t len, bool write, void **at, sl_iova *iova);

/**
 * sl_uduse_free() - memory at @iova goes
 *
 * Return: 0; -EINVAL when none begins there; -EIO when the daemon refuses, or the device is broken:
 * it is gone all the same.
 */
int sl_uduse_free(struct uduse *u, sl_iova iova);

/**
 * sl_uduse_vq_state() - ask the daemon where a queue stands (VDUSE_GET_VQ_STATE)
 *
 * Return: 0; -EINVAL for a queue that is not enabled; -EPROTO when it says what cannot be; -EIO
 * when it refuses, or the device is broken.
 */
int sl_uduse_vq_state(struct uduse *u, uint16_t queue, struct virtq_ring_state *state);

#endif
