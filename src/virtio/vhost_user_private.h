/* SPDX-License-Identifier: BSD-2-Clause */
/* A front end from inside: vhost_user.c is about connections, vhost_user_ask.c about messages,
 * vhost_user_ops.c about the device. */
#ifndef SL_VIRTIO_VHOST_USER_PRIVATE_H
#define SL_VIRTIO_VHOST_USER_PRIVATE_H

#include "base/notify.h"
#include "virtio/vhost_user.h"

/* An address of the device's is not one of ours: a back end that mixes them up is found out. */
#define VHOST_FRONT_IOVA (UINT64_C(1) << 32)

/** struct vhost_front_queue - @runs: this back end was told to run it; events as the messages name
 * them */
struct vhost_front_queue {
	bool runs;
	int kick, call;
};

/**
 * struct vhost_front - a front end
 * @sock:       to the back end, -1 when it is gone: @why
 * @channel:    where it asks us (VHOST_USER_SET_BACKEND_REQ_FD), -1 for none
 * @err:        VHOST_USER_SET_VRING_ERR of all queues, this back end's alone
 * @notify:     how to kick: a back end may have filled an event, and made it one that blocks
 * @epoll:      of @sock, @channel, @err
 * @offered:    VHOST_USER_GET_FEATURES
 * @protocol:   as negotiated
 * @status:     the device's (2.1), where VHOST_USER_PROTOCOL_F_STATUS was not negotiated
 * @greeted:    it was asked for its features, and has not answered yet; @until: when it should have
 * @has_memory: this back end knows the memory; @has_log: and the log
 * @log:        the in-flight log, -1 for none; @log_place: where in it
 * @log_full:   a back end is gone: its log says what the next has to do
 */
struct vhost_front {
	struct virtio virtio;
	struct vhost_front_config config;
	struct sl_region memory;
	int sock, listener, channel, err, epoll;
	struct sl_notify notify;
	struct vhost_user_reader reader, channel_reader;
	char why[256];
	uint64_t offered, protocol;
	uint8_t status;
	uint32_t generation;
	bool has_memory, has_log, log_full, greeted;
	uint64_t until;
	int log;
	struct vhost_user_inflight log_place;
	struct vhost_front_queue queues[VHOST_FRONT_QUEUES_MAX];
};

extern const struct virtio_ops sl_vhost_front_ops;

/** sl_vhost_front_lose() - the back end is gone, or is not to be spoken to any more; the thread's
 * reason says why. Return: @ret */
int sl_vhost_front_lose(struct vhost_front *f, int ret);

/**
 * sl_vhost_front_ask() - send a message, and wait for what belongs to it
 * @f:      ...
 * @msg:    request, size, payload, and descriptors, which stay the caller's
 * @answer: of a request that has a reply; its descriptors are the caller's. NULL: with
 *          VHOST_USER_PROTOCOL_F_REPLY_ACK it is acknowledged, else it is not
 *
 * Return: 0; -EOPNOTSUPP when the back end refuses; -ENODEV when it is gone already; else it is
 * lost: -ETIMEDOUT, -EPROTO, -ECONNRESET.
 */
int sl_vhost_front_ask(struct vhost_front *f, const struct vhost_user_msg *msg,
		       struct vhost_user_msg *answer);

/** sl_vhost_front_get() - ask for a number; in two steps when something else is to be done between
 * them */
int sl_vhost_front_get(struct vhost_front *f, enum vhost_user_request request, uint64_t *value);
int sl_vhost_front_get_begin(struct vhost_front *f, enum vhost_user_request request);
int sl_vhost_front_get_end(struct vhost_front *f, enum vhost_user_request request, uint64_t *value);

/** sl_vhost_front_late() - Return: -ETIMEDOUT, with a reason that names the request */
int sl_vhost_front_late(const struct vhost_front *f, enum vhost_user_request request);

/** sl_vhost_front_set() - tell a number, with a descriptor unless that is -1 */
int sl_vhost_front_set(struct vhost_front *f, enum vhost_user_request request, uint64_t value,
		       int fd);

/** sl_vhost_front_tell() - a request without payload; the same */
int sl_vhost_front_tell(struct vhost_front *f, enum vhost_user_request request, int fd);

#endif
