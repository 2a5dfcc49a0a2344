/* SPDX-License-Identifier: BSD-2-Clause */
/* A front end and its connections. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/reason.h"
#include "virtio/vhost_user_private.h"
#include "wire/unix_socket.h"

#define PROTOCOL                                                                                   \
	(VIRTIO_BIT(VHOST_USER_PROTOCOL_F_MQ) | VIRTIO_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |      \
	 VIRTIO_BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) |                                           \
	 VIRTIO_BIT(VHOST_USER_PROTOCOL_F_CONFIG) |                                                \
	 VIRTIO_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) |                                        \
	 VIRTIO_BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE) |                                          \
	 VIRTIO_BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) |                                   \
	 VIRTIO_BIT(VHOST_USER_PROTOCOL_F_STATUS))

/*
 * Making one.
 */

/* Sealed: a back end that has the descriptor cannot take the memory away. */
static int make_memory(struct vhost_front *f, size_t len)
{
	long page = sysconf(_SC_PAGESIZE);

	len = (len + (size_t)page - 1) & ~((size_t)page - 1);
	f->memory = (struct sl_region){
		.base = MAP_FAILED,
		.len = len,
		.fd = memfd_create("sluice", MFD_CLOEXEC | MFD_ALLOW_SEALING),
		.access = SL_REGION_READ | SL_REGION_WRITE,
	};
	if (f->memory.fd < 0 || ftruncate(f->memory.fd, (off_t)len) ||
	    fcntl(f->memory.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return sl_fail(errno, "no memory to share: %s", strerror(errno));
	f->memory.base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, f->memory.fd, 0);
	if (f->memory.base == MAP_FAILED)
		return sl_fail(errno, "cannot map %zu bytes: %s", len, strerror(errno));
	return 0;
}

static int make_events(struct vhost_front *f)
{
	bool ok;

	f->epoll = epoll_create1(EPOLL_CLOEXEC);
	ok = f->epoll >= 0;
	for (unsigned q = 0; q < f->config.queues && ok; q++) {
		f->queues[q].kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		f->queues[q].call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ok = f->queues[q].kick >= 0 && f->queues[q].call >= 0;
	}
	return ok ? 0 : sl_fail(errno, "no events: %s", strerror(errno));
}

static int make(struct vhost_front *f, const struct vhost_front_config *config)
{
	int ret;

	if (config->path) {
		f->config.path = strdup(config->path);
		if (!f->config.path)
			return sl_fail(ENOMEM, "no memory for a front end");
	}
	ret = make_memory(f, config->memory);
	if (!ret)
		ret = make_events(f);
	if (!ret && config->path && config->listen)
		ret = sl_unix_listen(config->path, SOCK_STREAM, &f->listener);
	if (!ret)
		f->config.fd = config->path ? -1 : config->fd;
	return ret;
}

int sl_vhost_front_open(const struct vhost_front_config *config, struct vhost_front **out)
{
	struct vhost_front *f;
	int ret;

	if (!config->queues || config->queues > VHOST_FRONT_QUEUES_MAX || !config->memory)
		return sl_fail(EINVAL, "a front end has 1 to %d queues, and memory",
			       VHOST_FRONT_QUEUES_MAX);
	f = calloc(1, sizeof(*f));
	if (!f)
		return sl_fail(ENOMEM, "no memory for a front end");
	f->virtio.ops = &sl_vhost_front_ops;
	f->config = *config;
	f->config.path = NULL;
	f->config.fd = -1;
	f->memory.fd = f->sock = f->listener = f->channel = f->err = f->epoll = f->log = -1;
	f->memory.base = MAP_FAILED;
	for (unsigned q = 0; q < VHOST_FRONT_QUEUES_MAX; q++)
		f->queues[q].kick = f->queues[q].call = -1;
	snprintf(f->why, sizeof(f->why), "there is no back end yet");
	ret = make(f, config);
	if (ret) {
		sl_vhost_front_close(f);
		return ret;
	}
	*out = f;
	return 0;
}

void sl_vhost_front_close(struct vhost_front *f)
{
	if (!f)
		return;
	sl_vhost_front_lose(f, 0);
	if (f->listener >= 0)
		unlink(f->config.path);
	sl_fd_close(&f->listener);
	sl_fd_close(&f->config.fd);
	sl_fd_close(&f->err);
	sl_notify_close(&f->notify);
	sl_fd_close(&f->epoll);
	sl_fd_close(&f->log);
	for (unsigned q = 0; q < VHOST_FRONT_QUEUES_MAX; q++) {
		sl_fd_close(&f->queues[q].kick);
		sl_fd_close(&f->queues[q].call);
	}
	if (f->memory.base != MAP_FAILED)
		munmap(f->memory.base, f->memory.len);
	sl_fd_close(&f->memory.fd);
	free((char *)(uintptr_t)f->config.path);
	free(f);
}

/*
 * Connecting.
 */

static int reach(struct vhost_front *f)
{
	int ret;

	if (!f->config.path) {
		f->sock = f->config.fd;
		f->config.fd = -1;
		return f->sock >= 0 ? 0
				    : sl_fail(EOPNOTSUPP, "who was given a descriptor cannot "
							  "connect again");
	}
	if (f->listener >= 0)
		return sl_unix_accept(f->listener, &f->sock);
	ret = sl_unix_connect(f->config.path, SOCK_STREAM, &f->sock);
	return ret == -ENOENT || ret == -ECONNREFUSED ? -EAGAIN : ret;
}

static int watch(struct vhost_front *f, int fd)
{
	if (epoll_ctl(f->epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN}))
		return sl_fail(errno, "cannot wait for the back end: %s", strerror(errno));
	return 0;
}

static int give_channel(struct vhost_front *f)
{
	int pair[2], ret;

	if (!sl_vhost_front_has(f, VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return sl_fail(errno, "no socket: %s", strerror(errno));
	f->channel = pair[0];
	ret = watch(f, f->channel);
	if (!ret)
		ret = sl_vhost_front_tell(f, VHOST_USER_SET_BACKEND_REQ_FD, pair[1]);
	sl_fd_close(&pair[1]);
	return ret;
}

static int greet(struct vhost_front *f)
{
	int ret = reach(f);

	if (ret)
		return ret;
	f->protocol = f->status = 0;
	/* The one before may still signal its own. */
	sl_fd_close(&f->err);
	f->err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = f->err < 0 ? sl_fail(errno, "no event: %m") : watch(f, f->err);
	if (!ret)
		ret = watch(f, f->sock);
	if (!ret)
		ret = sl_vhost_front_tell(f, VHOST_USER_SET_OWNER, -1);
	if (!ret)
		ret = sl_vhost_front_get_begin(f, VHOST_USER_GET_FEATURES);
	f->greeted = !ret;
	f->until = sl_now_ns() + f->config.wait_ns;
	return ret ? sl_vhost_front_lose(f, ret) : 0;
}

/* Some listen long before they serve: packets of others are not to wait for them. */
static int await_answer(const struct vhost_front *f)
{
	if (!f->config.net || poll(&(struct pollfd){f->sock, POLLIN, 0}, 1, 0))
		return 0;
	return sl_now_ns() < f->until ? -EINPROGRESS
				      : sl_vhost_front_late(f, VHOST_USER_GET_FEATURES);
}

static int negotiate(struct vhost_front *f)
{
	uint64_t offered = 0, ours = PROTOCOL;
	int ret = sl_vhost_front_get_end(f, VHOST_USER_GET_FEATURES, &f->offered);

	f->greeted = false;
	if (f->config.net)
		ours &= ~VIRTIO_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
	if (ret)
		return ret;
	if (!(f->offered & VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES)))
		return sl_fail(EOPNOTSUPP, "the back end does not offer "
					   "VHOST_USER_F_PROTOCOL_FEATURES");
	ret = sl_vhost_front_get(f, VHOST_USER_GET_PROTOCOL_FEATURES, &offered);
	if (!ret)
		ret = sl_vhost_front_set(f, VHOST_USER_SET_PROTOCOL_FEATURES, offered & ours, -1);
	if (!ret)
		f->protocol = offered & ours;
	return ret;
}

/* Of a network device the number is one of pairs: so QEMU and DPDK take it. */
static int check_limits(struct vhost_front *f)
{
	unsigned unit = f->config.net ? 2 : 1;
	uint64_t wanted = f->config.queues / unit, queues = f->config.net ? 1 : wanted, slots = 1;
	int ret = 0;

	if (sl_vhost_front_has(f, VHOST_USER_PROTOCOL_F_MQ))
		ret = sl_vhost_front_get(f, VHOST_USER_GET_QUEUE_NUM, &queues);
	if (!ret && sl_vhost_front_has(f, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
		ret = sl_vhost_front_get(f, VHOST_USER_GET_MAX_MEM_SLOTS, &slots);
	if (ret)
		return ret;
	if (queues < wanted)
		return sl_fail(EOPNOTSUPP, "the back end has %llu %s: %llu are wanted",
			       (unsigned long long)queues,
			       f->config.net ? "pairs of queues" : "queues",
			       (unsigned long long)wanted);
	return slots ? 0 : sl_fail(EOPNOTSUPP, "the back end has no room for memory");
}

static int check_log(struct vhost_front *f)
{
	if (f->config.net || !f->log_full)
		return 0;
	if (f->log < 0 || !sl_vhost_front_has(f, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD))
		return sl_fail(EOPNOTSUPP, "the back end keeps no log of what is in flight "
					   "(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD): nobody "
					   "can take over");
	return 0;
}

int sl_vhost_front_connect(struct vhost_front *f)
{
	int ret = 0;

	if (f->sock >= 0 && !f->greeted)
		sl_vhost_front_lose(f, 0);
	if (!f->greeted)
		ret = greet(f);
	if (ret)
		return ret;
	ret = await_answer(f);
	if (ret == -EINPROGRESS)
		return ret;
	if (!ret)
		ret = negotiate(f);
	if (!ret)
		ret = check_limits(f);
	if (!ret)
		ret = check_log(f);
	if (!ret)
		ret = give_channel(f);
	return ret ? sl_vhost_front_lose(f, ret) : 0;
}

void sl_vhost_front_disconnect(struct vhost_front *f)
{
	sl_vhost_front_lose(f, 0);
}

/*
 * Looking.
 */

struct virtio *sl_vhost_front_virtio(struct vhost_front *f)
{
	return &f->virtio;
}

const struct sl_region *sl_vhost_front_memory(const struct vhost_front *f)
{
	return &f->memory;
}

sl_iova sl_vhost_front_iova(const struct vhost_front *f, size_t at)
{
	(void)f;
	return (sl_iova){VHOST_FRONT_IOVA + at};
}

int sl_vhost_front_call(const struct vhost_front *f, uint16_t queue)
{
	return queue < f->config.queues ? f->queues[queue].call : -1;
}

int sl_vhost_front_fd(const struct vhost_front *f)
{
	return f->epoll;
}

bool sl_vhost_front_has(const struct vhost_front *f, enum vhost_user_protocol_feature feature)
{
	return f->protocol & VIRTIO_BIT(feature);
}
