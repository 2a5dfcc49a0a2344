/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What each message of a front end's does ("Front-end message types"). One that cannot be obeyed is
 * answered with 1 if the front end waits for an answer; else the connection is closed, since it
 * would never know.
 */
#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/reason.h"
#include "offer/vhost_user.h"

#define PROTOCOL_FEATURES                                                                          \
	(VIRTIO_BIT(VHOST_USER_PROTOCOL_F_MQ) | VIRTIO_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |      \
	 VIRTIO_BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) |                                           \
	 VIRTIO_BIT(VHOST_USER_PROTOCOL_F_CONFIG) |                                                \
	 VIRTIO_BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE) |                                          \
	 VIRTIO_BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) |                                   \
	 VIRTIO_BIT(VHOST_USER_PROTOCOL_F_STATUS))
/* What packets need, and what requests need. */
#define NET_FEATURES                                                                               \
	(VIRTIO_BIT(VHOST_USER_PROTOCOL_F_LOG_SHMFD) | VIRTIO_BIT(VHOST_USER_PROTOCOL_F_RARP) |    \
	 VIRTIO_BIT(VHOST_USER_PROTOCOL_F_NET_MTU))
#define REQUEST_FEATURES VIRTIO_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD)

/* The flags of VHOST_USER_SET_CONFIG: for live migration, which needs a log of what was written. */
#define CONFIG_WRITABLE 0

/* Replies are small, and a front end waits for each: one that lets them pile up does not read. */
int sl_vhost_user_reply(struct vhost_user *t, struct vhost_user_msg *msg)
{
	struct pollfd room = {.fd = t->socket.fd, .events = POLLOUT};

	msg->flags = VHOST_USER_VERSION | VHOST_USER_REPLY_MASK;
	poll(&room, 1, 0);
	if (!(room.revents & POLLOUT))
		return sl_fail(ETIMEDOUT, "the front end does not read its answers");
	return sl_vhost_user_send(t->socket.fd, msg);
}

static int reply_number(struct vhost_user *t, struct vhost_user_msg *msg, uint64_t number)
{
	sl_vhost_user_drop(msg);
	msg->payload.u64 = number;
	msg->size = sizeof(msg->payload.u64);
	return sl_vhost_user_reply(t, msg);
}

static uint64_t features_offered(const struct vhost_user *t)
{
	uint64_t features = sl_offer_features(t->transport.offer);

	if (!t->packed)
		features &= ~VIRTIO_BIT(VIRTIO_F_RING_PACKED);
	if (sl_offer_is_net(t->transport.offer))
		features |= VIRTIO_BIT(VHOST_F_LOG_ALL);
	return features | VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES);
}

static int get_features(struct vhost_user *t, struct vhost_user_msg *msg)
{
	return reply_number(t, msg, features_offered(t));
}

/* "If VHOST_USER_F_PROTOCOL_FEATURES has not been negotiated, the ring starts directly in the
 * enabled state." One that has been enabled is not disabled by features. */
static int set_features(struct vhost_user *t, struct vhost_user_msg *msg)
{
	uint64_t features = msg->payload.u64, own = VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES),
		 driver = ~(own | VIRTIO_BIT(VHOST_F_LOG_ALL)); /* whom those concern */
	struct sl_offer *o = t->transport.offer;
	bool same = t->started && !((features ^ t->features) & driver);
	int ret = 0;

	if (features & ~features_offered(t))
		return sl_fail(EINVAL, "features 0x%llx were not offered",
			       (unsigned long long)(features & ~features_offered(t)));
	if (!same || sl_offer_get_state(o) != SL_OFFER_RUNNING)
		ret = sl_offer_start(o, features & driver);
	if (ret)
		return ret;
	t->features = features;
	t->started = true;
	sl_vhost_user_log_update(t);
	for (unsigned n = 0; n < t->n_rings && !(features & own); n++)
		sl_vhost_user_ring_enable(t, n, true);
	sl_vhost_user_rings_start(t);
	return 0;
}

/* QEMU 7.2 adds each memory region as often as a NIC has pairs of queues, which is an overlap,
 * but says the whole table once. */
static uint64_t protocol_features_offered(const struct vhost_user *t)
{
	if (!sl_offer_is_net(t->transport.offer))
		return PROTOCOL_FEATURES | REQUEST_FEATURES;
	return (PROTOCOL_FEATURES | NET_FEATURES) &
	       ~(t->n_rings / 2 > 1 ? VIRTIO_BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) : 0);
}

static int get_protocol_features(struct vhost_user *t, struct vhost_user_msg *msg)
{
	return reply_number(t, msg, protocol_features_offered(t));
}

static int set_protocol_features(struct vhost_user *t, struct vhost_user_msg *msg)
{
	uint64_t strange = msg->payload.u64 & ~protocol_features_offered(t);

	if (strange)
		return sl_fail(EINVAL, "protocol features 0x%llx were not offered",
			       (unsigned long long)strange);
	t->protocol_features = msg->payload.u64;
	return 0;
}

/* VHOST_USER_RESET_OWNER: "recommended that back-ends either ignore this message, or use it to
 * disable all rings". */
static int nothing(struct vhost_user *t, struct vhost_user_msg *msg)
{
	(void)t;
	(void)msg;
	return 0;
}

/* Of a NIC in pairs of queues, as QEMU and DPDK count. */
static int get_queue_num(struct vhost_user *t, struct vhost_user_msg *msg)
{
	return reply_number(t, msg, t->n_rings / (sl_offer_is_net(t->transport.offer) ? 2 : 1));
}

/*
 * Memory.
 */

static int set_mem_table(struct vhost_user *t, struct vhost_user_msg *msg)
{
	const struct vhost_user_memory *memory = &msg->payload.memory;
	int ret = sl_vhost_user_rings_stop(t);

	if (ret)
		return ret;
	sl_vhost_user_memory_clear(t);
	for (unsigned i = 0; i < memory->nregions && !ret; i++)
		ret = sl_vhost_user_memory_add(t, &memory->regions[i], msg->fds[i]);
	if (ret)
		sl_vhost_user_memory_clear(t);
	else
		sl_vhost_user_rings_start(t);
	return ret;
}

static int get_max_mem_slots(struct vhost_user *t, struct vhost_user_msg *msg)
{
	return reply_number(t, msg, VHOST_USER_MEM_SLOTS);
}

static int add_mem_reg(struct vhost_user *t, struct vhost_user_msg *msg)
{
	int ret = sl_vhost_user_memory_add(t, &msg->payload.mem_reg.region, msg->fds[0]);

	if (!ret)
		sl_vhost_user_rings_start(t);
	return ret;
}

static int rem_mem_reg(struct vhost_user *t, struct vhost_user_msg *msg)
{
	int ret = sl_vhost_user_rings_stop(t);

	if (ret)
		return ret;
	ret = sl_vhost_user_memory_remove(t, &msg->payload.mem_reg.region);
	sl_vhost_user_rings_start(t);
	return ret;
}

/*
 * The device.
 */

static int set_backend_req_fd(struct vhost_user *t, struct vhost_user_msg *msg)
{
	int domain = 0, type = 0;
	socklen_t len = sizeof(int);

	if (getsockopt(msg->fds[0], SOL_SOCKET, SO_DOMAIN, &domain, &len) ||
	    getsockopt(msg->fds[0], SOL_SOCKET, SO_TYPE, &type, &len) || domain != AF_UNIX ||
	    type != SOCK_STREAM)
		return sl_fail(EINVAL, "%s of what is no UNIX stream socket",
			       sl_vhost_user_name(msg->request));
	sl_fd_close(&t->backend);
	t->backend = sl_vhost_user_take_fd(msg, 0);
	return 0;
}

/* "The back-end's payload size must match the front-end's request [...] uses zero length of payload
 * to indicate an error." A front end asks for all that the kind of device may have: what this one
 * does not have reads as 0. */
static int get_config(struct vhost_user *t, struct vhost_user_msg *msg)
{
	struct vhost_user_config *config = &msg->payload.config;
	struct sl_model *model = sl_offer_model(t->transport.offer);

	if (config->offset > t->config_room || config->size > t->config_room - config->offset) {
		msg->size = 0;
		return sl_vhost_user_reply(t, msg);
	}
	model->ops->get_config(model, t->config);
	memcpy(config->region, t->config + config->offset, config->size);
	return sl_vhost_user_reply(t, msg);
}

static int set_config(struct vhost_user *t, struct vhost_user_msg *msg)
{
	const struct vhost_user_config *config = &msg->payload.config;
	struct sl_model *model = sl_offer_model(t->transport.offer);
	struct sl_model_info info = {0};

	model->ops->info(model, &info);
	if (config->flags != CONFIG_WRITABLE || !model->ops->set_config ||
	    config->offset > info.config_len || config->size > info.config_len - config->offset)
		return sl_fail(EINVAL,
			       "%u bytes of configuration at %u, flags %u, for a device of "
			       "%u%s",
			       config->size, config->offset, config->flags, info.config_len,
			       model->ops->set_config ? "" : " that cannot be written");
	return model->ops->set_config(model, config->offset, config->region, config->size);
}

static int get_inflight_fd(struct vhost_user *t, struct vhost_user_msg *msg)
{
	int fd = sl_vhost_user_inflight_make(t, &msg->payload.inflight);

	if (fd < 0)
		return fd;
	msg->fds[msg->n_fds++] = fd; /* which goes when the message is done with */
	return sl_vhost_user_reply(t, msg);
}

static int set_inflight_fd(struct vhost_user *t, struct vhost_user_msg *msg)
{
	int ret = sl_vhost_user_rings_stop(t);

	if (ret)
		return ret;
	ret = sl_vhost_user_inflight_set(t, &msg->payload.inflight, msg->fds[0]);
	sl_vhost_user_rings_start(t);
	return ret;
}

static int reset(struct vhost_user *t, bool bases)
{
	int ret = sl_vhost_user_rings_stop(t);

	if (ret)
		return ret;
	for (unsigned n = 0; n < t->n_rings; n++) {
		uint32_t base = t->rings[n].base;

		sl_vhost_user_ring_reset(t, n);
		t->rings[n].base = bases ? 0 : base;
	}
	sl_file_unmap(&t->inflight);
	t->status = 0;
	return 0;
}

/* "Disable all rings and reset all internal device state to the initial state, ready to be
 * reinitialized." The memory stays, and whom to tell of what. */
static int reset_device(struct vhost_user *t, struct vhost_user_msg *msg)
{
	(void)msg;
	return reset(t, true);
}

/* QEMU 7.2 stops a device, also one that it will go on with, by status 0, and asks only then where
 * its rings stood. Who begins anew says where. */
static int set_status(struct vhost_user *t, struct vhost_user_msg *msg)
{
	if (msg->payload.u64 > UINT8_MAX)
		return sl_fail(EINVAL, "device status 0x%llx",
			       (unsigned long long)msg->payload.u64);
	if (!msg->payload.u64)
		return reset(t, false);
	t->status = (uint8_t)msg->payload.u64;
	return 0;
}

static int get_status(struct vhost_user *t, struct vhost_user_msg *msg)
{
	return reply_number(t, msg, t->status);
}

/*
 * A NIC.
 */

static int net_set_mtu(struct vhost_user *t, struct vhost_user_msg *msg)
{
	if (msg->payload.u64 > UINT16_MAX)
		return sl_fail(EINVAL, "an MTU of %llu", (unsigned long long)msg->payload.u64);
	return sl_offer_set_mtu(t->transport.offer, (uint16_t)msg->payload.u64);
}

static int send_rarp(struct vhost_user *t, struct vhost_user_msg *msg)
{
	sl_offer_announce(t->transport.offer, msg->payload.bytes);
	return 0;
}

#define ALWAYS	      0
#define WITH(feature) VIRTIO_BIT(VHOST_USER_PROTOCOL_F_##feature)

/**
 * struct message - what to do with a request
 * @needs:   the protocol feature that it belongs to
 * @answers: by itself: no acknowledgement
 */
static const struct message {
	int (*handle)(struct vhost_user *t, struct vhost_user_msg *msg);
	uint64_t needs;
	bool answers;
} messages[] = {
	[VHOST_USER_GET_FEATURES] = {get_features, ALWAYS, true},
	[VHOST_USER_SET_FEATURES] = {set_features},
	[VHOST_USER_SET_OWNER] = {nothing},
	[VHOST_USER_RESET_OWNER] = {nothing},
	[VHOST_USER_SET_MEM_TABLE] = {set_mem_table},
	[VHOST_USER_SET_LOG_BASE] = {sl_vhost_user_set_log_base, WITH(LOG_SHMFD), true},
	[VHOST_USER_SET_LOG_FD] = {sl_vhost_user_set_log_fd, WITH(LOG_SHMFD)},
	[VHOST_USER_SET_VRING_NUM] = {sl_vhost_user_set_vring_num},
	[VHOST_USER_SET_VRING_ADDR] = {sl_vhost_user_set_vring_addr},
	[VHOST_USER_SET_VRING_BASE] = {sl_vhost_user_set_vring_base},
	[VHOST_USER_GET_VRING_BASE] = {sl_vhost_user_get_vring_base, ALWAYS, true},
	[VHOST_USER_SET_VRING_KICK] = {sl_vhost_user_set_vring_kick},
	[VHOST_USER_SET_VRING_CALL] = {sl_vhost_user_set_vring_call},
	[VHOST_USER_SET_VRING_ERR] = {sl_vhost_user_set_vring_err},
	[VHOST_USER_GET_PROTOCOL_FEATURES] = {get_protocol_features, ALWAYS, true},
	[VHOST_USER_SET_PROTOCOL_FEATURES] = {set_protocol_features},
	[VHOST_USER_GET_QUEUE_NUM] = {get_queue_num, ALWAYS, true},
	[VHOST_USER_SET_VRING_ENABLE] = {sl_vhost_user_set_vring_enable},
	[VHOST_USER_SEND_RARP] = {send_rarp, WITH(RARP)},
	[VHOST_USER_NET_SET_MTU] = {net_set_mtu, WITH(NET_MTU)},
	[VHOST_USER_SET_BACKEND_REQ_FD] = {set_backend_req_fd, WITH(BACKEND_REQ)},
	[VHOST_USER_GET_CONFIG] = {get_config, WITH(CONFIG), true},
	[VHOST_USER_SET_CONFIG] = {set_config, WITH(CONFIG)},
	[VHOST_USER_GET_INFLIGHT_FD] = {get_inflight_fd, WITH(INFLIGHT_SHMFD), true},
	[VHOST_USER_SET_INFLIGHT_FD] = {set_inflight_fd, WITH(INFLIGHT_SHMFD)},
	[VHOST_USER_RESET_DEVICE] = {reset_device, WITH(RESET_DEVICE)},
	[VHOST_USER_GET_MAX_MEM_SLOTS] = {get_max_mem_slots, WITH(CONFIGURE_MEM_SLOTS), true},
	[VHOST_USER_ADD_MEM_REG] = {add_mem_reg, WITH(CONFIGURE_MEM_SLOTS)},
	[VHOST_USER_REM_MEM_REG] = {rem_mem_reg, WITH(CONFIGURE_MEM_SLOTS)},
	[VHOST_USER_SET_STATUS] = {set_status, WITH(STATUS)},
	[VHOST_USER_GET_STATUS] = {get_status, WITH(STATUS), true},
};

static int handle(struct vhost_user *t, const struct message *m)
{
	if (!m || !m->handle)
		return sl_fail(EOPNOTSUPP, "request %u is none that this back end knows",
			       t->msg.request);
	if (m->needs & ~t->protocol_features)
		return sl_fail(EPROTO, "%s, whose protocol feature was not negotiated",
			       sl_vhost_user_name(t->msg.request));
	return m->handle(t, &t->msg);
}

int sl_vhost_user_handle(struct vhost_user *t)
{
	struct vhost_user_msg *msg = &t->msg;
	const struct message *m =
		msg->request < sl_array_len(messages) ? &messages[msg->request] : NULL;
	bool wants = msg->flags & VHOST_USER_NEED_REPLY_MASK;
	int ret = handle(t, m);

	if (ret == -EAGAIN)
		return ret;
	wants &= t->protocol_features >> VHOST_USER_PROTOCOL_F_REPLY_ACK & 1 && !(m && m->answers);
	if (ret && wants && t->refused++ < VHOST_USER_COMPLAINTS)
		sl_log(sl_offer_log(t->transport.offer), SL_LOG_WARN, "vhost-user: refused: %s",
		       sl_reason());
	if (wants)
		ret = reply_number(t, msg, !!ret);
	sl_vhost_user_drop(msg);
	return ret;
}
