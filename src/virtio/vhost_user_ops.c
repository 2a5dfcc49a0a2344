/* SPDX-License-Identifier: BSD-2-Clause */
/* The device that a back end is. */
#include <string.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/reason.h"
#include "virtio/vhost_user_private.h"

#define STATUS_MAX 0xff
#define WRAP	   (1u << 15)

static struct vhost_front *front_of(struct virtio *v)
{
	return sl_container_of(v, struct vhost_front, virtio);
}

/*
 * Status and features.
 */

static int get_status(struct virtio *v)
{
	struct vhost_front *f = front_of(v);
	uint64_t status = 0;
	int ret;

	if (f->sock < 0)
		return sl_fail(ENODEV, "%s", f->why);
	if (!sl_vhost_front_has(f, VHOST_USER_PROTOCOL_F_STATUS))
		return f->status;
	ret = sl_vhost_front_get(f, VHOST_USER_GET_STATUS, &status);
	if (!ret && status > STATUS_MAX)
		ret = sl_vhost_front_lose(f, sl_fail(EPROTO,
						     "the back end says that its status is 0x%llx",
						     (unsigned long long)status));
	return ret ? -ENODEV : (int)status;
}

/* VHOST_USER_GET_VRING_BASE stops a ring, and is answered when it has stopped. */
static int stop_queue(struct vhost_front *f, uint16_t queue)
{
	struct vhost_user_msg answer, msg = {
					      .request = VHOST_USER_GET_VRING_BASE,
					      .size = sizeof(msg.payload.state),
					      .payload.state.index = queue,
				      };
	int ret = sl_vhost_front_ask(f, &msg, &answer);

	if (ret)
		return ret;
	sl_vhost_user_drop(&answer);
	f->queues[queue].runs = false;
	if (answer.payload.state.index == queue)
		return 0;
	return sl_fail(EPROTO, "the back end stops queue %u, not queue %u",
		       answer.payload.state.index, queue);
}

/* Of a connection on which nothing was started yet the log stays: it may be another's. */
static int stop_queues(struct vhost_front *f)
{
	bool ran = false;
	int ret = 0;

	for (uint16_t q = 0; q < f->config.queues && !ret; q++) {
		if (!f->queues[q].runs)
			continue;
		ran = true;
		ret = stop_queue(f, q);
	}
	if (ret || !ran)
		return ret;
	sl_fd_close(&f->log);
	f->has_log = f->log_full = false;
	return 0;
}

static int reset(struct vhost_front *f)
{
	int ret = stop_queues(f);

	if (!ret && sl_vhost_front_has(f, VHOST_USER_PROTOCOL_F_STATUS))
		return sl_vhost_front_set(f, VHOST_USER_SET_STATUS, 0, -1);
	if (!ret && sl_vhost_front_has(f, VHOST_USER_PROTOCOL_F_RESET_DEVICE))
		return sl_vhost_front_tell(f, VHOST_USER_RESET_DEVICE, -1);
	return ret;
}

/* Who only speaks and cannot fail leaves it to the next look at the status. */
static void must(struct vhost_front *f, int ret)
{
	if (ret && f->sock >= 0)
		sl_vhost_front_lose(f, ret);
}

static void set_status(struct virtio *v, uint8_t status)
{
	struct vhost_front *f = front_of(v);
	int ret = 0;

	if (!status)
		ret = reset(f);
	else if (sl_vhost_front_has(f, VHOST_USER_PROTOCOL_F_STATUS))
		ret = sl_vhost_front_set(f, VHOST_USER_SET_STATUS, status, -1);
	f->status = status;
	must(f, ret);
}

static uint64_t get_features(struct virtio *v)
{
	return front_of(v)->offered & ~VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES);
}

static void set_features(struct virtio *v, uint64_t features)
{
	struct vhost_front *f = front_of(v);

	must(f, sl_vhost_front_set(f, VHOST_USER_SET_FEATURES,
				   features | VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES), -1));
}

/*
 * Configuration: always from its beginning, since there are back ends that do not look at the
 * offset.
 */

static uint32_t generation(struct virtio *v)
{
	return front_of(v)->generation;
}

static int get_config(struct virtio *v, size_t offset, void *to, size_t len)
{
	struct vhost_front *f = front_of(v);
	struct vhost_user_msg answer, msg = {.request = VHOST_USER_GET_CONFIG};
	uint32_t size = (uint32_t)(offset + len);
	int ret;

	if (!sl_vhost_front_has(f, VHOST_USER_PROTOCOL_F_CONFIG))
		return sl_fail(EOPNOTSUPP,
			       "the back end does not offer VHOST_USER_PROTOCOL_F_CONFIG");
	if (offset > VHOST_USER_CONFIG_MAX || len > VHOST_USER_CONFIG_MAX - offset)
		return sl_fail(EINVAL, "%zu bytes at %zu of a configuration", len, offset);
	msg.payload.config.size = size;
	msg.size = VHOST_USER_CONFIG_LEN + size;
	ret = sl_vhost_front_ask(f, &msg, &answer);
	if (ret)
		return ret;
	sl_vhost_user_drop(&answer);
	if (answer.size != msg.size || answer.payload.config.size != size ||
	    answer.payload.config.offset)
		return sl_fail(EINVAL, "the back end does not tell %u bytes of its configuration",
			       size);
	memcpy(to, answer.payload.config.region + offset, len);
	return 0;
}

/*
 * Queues.
 */

static int give_memory(struct vhost_front *f)
{
	struct vhost_user_memory_region region = {
		.guest_phys_addr = VHOST_FRONT_IOVA,
		.memory_size = f->memory.len,
		.userspace_addr = (uintptr_t)f->memory.base,
	};
	struct vhost_user_msg msg = {.n_fds = 1, .fds = {f->memory.fd}};

	if (sl_vhost_front_has(f, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS)) {
		msg.request = VHOST_USER_ADD_MEM_REG;
		msg.size = sizeof(msg.payload.mem_reg);
		msg.payload.mem_reg.region = region;
	} else {
		msg.request = VHOST_USER_SET_MEM_TABLE;
		msg.size = offsetof(struct vhost_user_memory, regions) + sizeof(region);
		msg.payload.memory.nregions = 1;
		msg.payload.memory.regions[0] = region;
	}
	return sl_vhost_front_ask(f, &msg, NULL);
}

static struct vhost_user_msg log_message(const struct vhost_front *f, uint32_t request)
{
	struct vhost_user_msg msg = {
		.request = request,
		.size = sizeof(msg.payload.inflight),
		.payload.inflight = f->log_place,
	};

	msg.payload.inflight.num_queues = f->config.queues;
	msg.payload.inflight.queue_size = f->config.size;
	return msg;
}

/* We never look into it: it is the back end's own note to the next. */
static int take_log(struct vhost_front *f)
{
	struct vhost_user_msg answer, msg;
	int ret;

	f->log_place = (struct vhost_user_inflight){0};
	msg = log_message(f, VHOST_USER_GET_INFLIGHT_FD);
	ret = sl_vhost_front_ask(f, &msg, &answer);
	if (ret)
		return ret;
	f->log_place = answer.payload.inflight;
	f->log = sl_vhost_user_take_fd(&answer, 0);
	sl_vhost_user_drop(&answer);
	if (f->log >= 0 && f->log_place.mmap_size)
		return 0;
	sl_fd_close(&f->log);
	return sl_fail(EPROTO, "the back end answers VHOST_USER_GET_INFLIGHT_FD without a log");
}

static int give_log(struct vhost_front *f)
{
	struct vhost_user_msg msg;
	int ret = 0;

	if (!sl_vhost_front_has(f, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD))
		return 0;
	if (f->log < 0)
		ret = take_log(f);
	if (ret)
		return ret;
	msg = log_message(f, VHOST_USER_SET_INFLIGHT_FD);
	msg.n_fds = 1;
	msg.fds[0] = f->log;
	return sl_vhost_front_ask(f, &msg, NULL);
}

/* The memory once a connection, the log before the first ring starts. */
static int prepare(struct vhost_front *f)
{
	int ret = f->has_memory ? 0 : give_memory(f);

	f->has_memory |= !ret;
	if (ret || f->has_log)
		return ret;
	ret = give_log(f);
	f->has_log = !ret;
	return ret;
}

static int tell_state(struct vhost_front *f, enum vhost_user_request request, uint32_t queue,
		      uint32_t num)
{
	struct vhost_user_msg msg = {
		.request = request,
		.size = sizeof(msg.payload.state),
		.payload.state = {queue, num},
	};

	return sl_vhost_front_ask(f, &msg, NULL);
}

/* "Vring base": of a packed ring both places, each with its wrap counter. */
static uint32_t base_of(const struct vhost_front *f, const struct virtq_ring_state *at)
{
	if (!sl_virtio_has(&f->virtio, VIRTIO_F_RING_PACKED))
		return at->avail;
	return (at->avail | (at->avail_wrap ? WRAP : 0)) | (at->used | (at->used_wrap ? WRAP : 0))
								   << 16;
}

static uint64_t user_address(const struct vhost_front *f, sl_iova iova)
{
	return (uintptr_t)f->memory.base + (iova.value - VHOST_FRONT_IOVA);
}

static int tell_addresses(struct vhost_front *f, uint32_t queue, const struct virtio_queue *setup)
{
	struct vhost_user_msg msg = {
		.request = VHOST_USER_SET_VRING_ADDR,
		.size = sizeof(msg.payload.addr),
		.payload.addr =
			{
				.index = queue,
				.desc_user_addr = user_address(f, setup->desc),
				.used_user_addr = user_address(f, setup->used),
				.avail_user_addr = user_address(f, setup->avail),
			},
	};

	return sl_vhost_front_ask(f, &msg, NULL);
}

static int tell_events(struct vhost_front *f, uint16_t queue)
{
	int ret = sl_vhost_front_set(f, VHOST_USER_SET_VRING_CALL, queue, f->queues[queue].call);

	if (!ret)
		ret = sl_vhost_front_set(f, VHOST_USER_SET_VRING_ERR, queue, f->err);
	if (!ret)
		ret = sl_vhost_front_set(f, VHOST_USER_SET_VRING_KICK, queue,
					 f->queues[queue].kick);
	return ret;
}

static uint16_t queue_size(struct virtio *v, uint16_t queue)
{
	struct vhost_front *f = front_of(v);

	return queue < f->config.queues ? f->config.size : 0;
}

static void notify(struct virtio *v, uint16_t queue)
{
	struct vhost_front *f = front_of(v);

	sl_notify(&f->notify, f->queues[queue].kick);
}

static int queue_enable(struct virtio *v, uint16_t queue, const struct virtio_queue *setup)
{
	struct vhost_front *f = front_of(v);
	int ret;

	if (queue >= f->config.queues)
		return sl_fail(EINVAL, "queue %u: the front end has %u", queue, f->config.queues);
	ret = prepare(f);
	if (!ret)
		ret = tell_state(f, VHOST_USER_SET_VRING_NUM, queue, setup->size);
	if (!ret)
		ret = tell_state(f, VHOST_USER_SET_VRING_BASE, queue, base_of(f, &setup->state));
	if (!ret)
		ret = tell_addresses(f, queue, setup);
	if (ret)
		return ret;
	f->queues[queue].runs = true;
	ret = tell_events(f, queue);
	if (!ret)
		ret = tell_state(f, VHOST_USER_SET_VRING_ENABLE, queue, 1);
	/* "Back-ends must start ring upon receiving a kick": and what a back end before has read of
	 * the event comes again. */
	if (!ret)
		notify(v, queue);
	return ret;
}

const struct virtio_ops sl_vhost_front_ops = {
	.get_status = get_status,
	.set_status = set_status,
	.get_features = get_features,
	.set_features = set_features,
	.generation = generation,
	.get_config = get_config,
	.queue_size = queue_size,
	.queue_enable = queue_enable,
	.notify = notify,
};
