/* SPDX-License-Identifier: BSD-2-Clause */
/* How the other process is reached: vhost-user, where it sees the memory for packets; uduse, where
 * it sees copies. */
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <sluice/arena.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/reason.h"
#include "port/virtio_user.h"
#include "virtio/uduse.h"
#include "virtio/vhost_user.h"

#define PAGE	  4096
#define REGION	  0
#define ANSWER_NS SL_NS_PER_S /* how long somebody who has begun to answer is waited for */

/* Of either kind. */
static size_t ring_len(void)
{
	size_t split = sl_virtq_layout(USER_SIZE, false).len;
	size_t packed = sl_virtq_layout(USER_SIZE, true).len;

	return (sl_max(split, packed) + PAGE - 1) & ~(size_t)(PAGE - 1);
}

/*
 * vhost-user: one piece of memory, rings first.
 */

struct vhost {
	struct vhost_front *front;
	size_t rings;
};

static int vhost_open(struct via *via, const struct via_config *config)
{
	struct vhost *own = calloc(1, sizeof(*own));
	struct vhost_front_config front = {
		.path = config->path,
		.listen = config->listen,
		.net = true,
		.queues = (uint16_t)config->queues,
		.size = USER_SIZE,
		.wait_ns = ANSWER_NS,
	};
	int ret;

	via->own = own;
	if (!own)
		return sl_fail(ENOMEM, "no memory for a port");
	own->rings = config->queues * ring_len();
	front.memory = own->rings + config->memory;
	ret = sl_vhost_front_open(&front, &own->front);
	if (ret)
		return ret;
	via->v = sl_vhost_front_virtio(own->front);
	via->memory = *sl_vhost_front_memory(own->front);
	via->memory.base = (uint8_t *)via->memory.base + own->rings;
	via->memory.len -= own->rings;
	via->memory.offset = own->rings;
	via->memory.id = REGION;
	return 0;
}

static void vhost_ring(struct via *via, unsigned queue, bool packed, struct via_ring *ring)
{
	struct vhost *own = via->own;
	size_t at = queue * ring_len();

	(void)packed;
	*ring = (struct via_ring){
		.memory = (uint8_t *)sl_vhost_front_memory(own->front)->base + at,
		.iova = sl_vhost_front_iova(own->front, at),
	};
	memset(ring->memory, 0, ring_len());
}

static sl_iova vhost_iova(struct via *via, size_t at)
{
	struct vhost *own = via->own;

	return sl_vhost_front_iova(own->front, own->rings + at);
}

static int vhost_event(struct via *via, unsigned queue)
{
	return sl_vhost_front_call(((struct vhost *)via->own)->front, (uint16_t)queue);
}

static int vhost_fd(struct via *via)
{
	return sl_vhost_front_fd(((struct vhost *)via->own)->front);
}

static int vhost_connect(struct via *via)
{
	return sl_vhost_front_connect(((struct vhost *)via->own)->front);
}

static int vhost_step(struct via *via)
{
	return sl_vhost_front_step(((struct vhost *)via->own)->front);
}

static void vhost_leave(struct via *via)
{
	sl_vhost_front_disconnect(((struct vhost *)via->own)->front);
}

static void vhost_close(struct via *via)
{
	struct vhost *own = via->own;

	if (own)
		sl_vhost_front_close(own->front);
	free(own);
}

const struct via_ops sl_via_vhost_user = {
	.open = vhost_open,
	.ring = vhost_ring,
	.iova = vhost_iova,
	.event = vhost_event,
	.fd = vhost_fd,
	.connect = vhost_connect,
	.step = vhost_step,
	.leave = vhost_leave,
	.close = vhost_close,
};

/*
 * uduse: packets lie in memory of our own, and each queue has memory that the device reads and
 * memory that it writes.
 */

enum {
	READ,
	WRITE,
};

/** struct udused - @fd: over sl_uduse_fd(), which is another when the device was broken and is made
 * anew */
struct udused {
	struct uduse_config config;
	char *path;
	struct uduse *uduse;
	struct sl_arena *arena;
	int fd;
	void *rings[2 * NIC_QUEUES][2];
	sl_iova iovas[2 * NIC_QUEUES][2];
};

static int make_device(struct via *via)
{
	struct udused *own = via->own;
	struct epoll_event event = {.events = EPOLLIN};
	int ret = sl_uduse_open(&own->config, &own->uduse);

	for (unsigned q = 0; q < own->config.queues && !ret; q++)
		for (int dir = READ; dir <= WRITE && !ret; dir++)
			ret = sl_uduse_alloc(own->uduse, ring_len(), dir == WRITE,
					     &own->rings[q][dir], &own->iovas[q][dir]);
	if (ret)
		return ret;
	via->v = sl_uduse_virtio(own->uduse);
	if (epoll_ctl(own->fd, EPOLL_CTL_ADD, sl_uduse_fd(own->uduse), &event))
		return sl_fail(errno, "cannot wait for a daemon: %m");
	return 0;
}

static int uduse_open(struct via *via, const struct via_config *config)
{
	struct udused *own = calloc(1, sizeof(*own));
	int ret;

	via->own = own;
	if (!own)
		return sl_fail(ENOMEM, "no memory for a port");
	own->fd = epoll_create1(EPOLL_CLOEXEC);
	if (own->fd < 0)
		return sl_fail(errno, "no epoll descriptor: %m");
	own->path = strdup(config->path);
	own->config = (struct uduse_config){
		.path = own->path,
		.device_id = VIRTIO_ID_NET,
		.queues = (uint16_t)config->queues,
		.bounce = (size_t)config->queues / 2 * USER_SIZE * NIC_STRIDE,
		.wait_ns = ANSWER_NS,
	};
	if (!own->path)
		return sl_fail(ENOMEM, "no memory for a port");
	ret = sl_arena_create(config->memory, REGION, &own->arena);
	if (ret)
		return ret;
	via->memory = *sl_arena_region(own->arena);
	return make_device(via);
}

static void uduse_ring(struct via *via, unsigned queue, bool packed, struct via_ring *ring)
{
	struct udused *own = via->own;

	for (int dir = READ; dir <= WRITE; dir++)
		memset(own->rings[queue][dir], 0, ring_len());
	*ring = (struct via_ring){
		.memory = own->rings[queue][packed ? WRITE : READ],
		.iova = own->iovas[queue][packed ? WRITE : READ],
		.device_area = packed ? NULL : own->rings[queue][WRITE],
		.device_iova = own->iovas[queue][WRITE],
	};
}

static int uduse_event(struct via *via, unsigned queue)
{
	return sl_uduse_call(((struct udused *)via->own)->uduse, (uint16_t)queue);
}

static int uduse_fd(struct via *via)
{
	return ((struct udused *)via->own)->fd;
}

/* As the kernel's does, a device that was broken stays so: it gives way to a new one. */
static int uduse_connect(struct via *via)
{
	struct udused *own = via->own;
	int ret = own->uduse ? sl_uduse_step(own->uduse) : -EIO;

	if (ret == -EAGAIN)
		return -EINPROGRESS;
	if (ret != -EIO)
		return ret;
	sl_uduse_close(own->uduse);
	own->uduse = NULL;
	ret = make_device(via);
	return ret ? ret : -EAGAIN;
}

static int uduse_step(struct via *via)
{
	struct udused *own = via->own;
	int ret = own->uduse ? sl_uduse_step(own->uduse) : -ENODEV;

	return ret && ret != -EAGAIN ? -ENODEV : ret;
}

/* The reset with which the next start begins ends what the device has. */
static void uduse_leave(struct via *via)
{
	(void)via;
}

static void uduse_close(struct via *via)
{
	struct udused *own = via->own;

	if (!own)
		return;
	sl_uduse_close(own->uduse);
	sl_arena_release(own->arena);
	sl_fd_close(&own->fd);
	free(own->path);
	free(own);
}

const struct via_ops sl_via_uduse = {
	.bounces = true,
	.open = uduse_open,
	.ring = uduse_ring,
	.event = uduse_event,
	.fd = uduse_fd,
	.connect = uduse_connect,
	.step = uduse_step,
	.leave = uduse_leave,
	.close = uduse_close,
};
