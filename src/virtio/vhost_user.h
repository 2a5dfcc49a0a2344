/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio device over vhost-user: the front end ("Vhost-user Protocol" of QEMU's documentation).
 * It owns the memory that the device sees, and survives the back end: another one takes over what
 * the first was given, from the in-flight log. For a network device there is none: with a new back
 * end its queues begin anew, empty.
 *
 * The back end is hostile. What it answers is checked; it cannot cut our memory short, which is
 * sealed; every wait ends, and says what was waited for.
 */
#ifndef SL_VIRTIO_VHOST_USER_H
#define SL_VIRTIO_VHOST_USER_H

#include <sluice/region.h>

#include "virtio/virtio.h"
#include "wire/vhost_user.h"

#define VHOST_FRONT_QUEUES_MAX 64

/**
 * struct vhost_front_config - what a front end is made of
 * @path:    of a UNIX socket; NULL: @fd is connected already, and there is no reconnecting
 * @fd:      becomes the front end's when it opens
 * @listen:  the back end connects to us, at @path
 * @memory:  bytes that the device will see
 * @queues:  that will be used, 1 to VHOST_FRONT_QUEUES_MAX
 * @net:     it is a network device: of queues in pairs, and without a log
 * @size:    of each of them
 * @wait_ns: how long an answer may take
 */
struct vhost_front_config {
	const char *path;
	int fd;
	bool listen, net;
	size_t memory;
	uint16_t queues, size;
	uint64_t wait_ns;
};

struct vhost_front;

/**
 * sl_vhost_front_open() - make one; nothing is connected yet, unless a descriptor was given
 * @config: copied, and so is the path
 * @out:    owned by the caller
 *
 * Return: 0; -EINVAL; -ENOMEM; what listening says.
 */
int sl_vhost_front_open(const struct vhost_front_config *config, struct vhost_front **out);

/** sl_vhost_front_close() - free it, also its memory. NULL is allowed */
void sl_vhost_front_close(struct vhost_front *f);

/**
 * sl_vhost_front_connect() - reach a back end; also again, when one is gone
 * @f: a front end
 *
 * Then sl_virtio_start() and so on, as with any device. After a back end is gone: the same, with
 * the same features and queues, whose memory was left as it is. What it had been given is done by
 * the new one, once.
 *
 * Return: 0; -EAGAIN when nobody is there yet; -EINPROGRESS, of a network device: somebody is, who
 * has not answered yet: call again when sl_vhost_front_fd() is readable, or later; -EOPNOTSUPP for
 * one that cannot be used, or cannot take over; -ETIMEDOUT, -EPROTO, -ECONNRESET for one that does
 * not keep to the protocol.
 */
int sl_vhost_front_connect(struct vhost_front *f);

/** sl_vhost_front_disconnect() - part with the back end, if there is one; the thread's reason is
 * kept as the reason */
void sl_vhost_front_disconnect(struct vhost_front *f);

/** sl_vhost_front_virtio() - the device */
struct virtio *sl_vhost_front_virtio(struct vhost_front *f);

/** sl_vhost_front_memory() - what it sees, zeroed at first */
const struct sl_region *sl_vhost_front_memory(const struct vhost_front *f);

/** sl_vhost_front_iova() - where it sees a byte of that memory */
sl_iova sl_vhost_front_iova(const struct vhost_front *f, size_t at);

/** sl_vhost_front_call() - the event that the device interrupts by when @queue has used buffers;
 * the front end's, non-blocking */
int sl_vhost_front_call(const struct vhost_front *f, uint16_t queue);

/** sl_vhost_front_fd() - readable when sl_vhost_front_step() has something to do */
int sl_vhost_front_fd(const struct vhost_front *f);

/**
 * sl_vhost_front_step() - look what the back end says unasked, without blocking
 *
 * When it has changed the configuration, the device's generation is another.
 *
 * Return: 0; -ENODEV when it is gone, or has not kept to the protocol: with a reason.
 */
int sl_vhost_front_step(struct vhost_front *f);

/** sl_vhost_front_has() - was VHOST_USER_PROTOCOL_F_... negotiated with this back end? */
bool sl_vhost_front_has(const struct vhost_front *f, enum vhost_user_protocol_feature feature);

#endif
