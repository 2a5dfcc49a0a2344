/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's side and its daemons: they come, are asked, and go. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/reason.h"
#include "virtio/uduse_private.h"
#include "wire/unix_socket.h"

#define MESSAGES_STEP 64

/*
 * Making one.
 */

static int make_events(struct uduse *u)
{
	u->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (u->epoll < 0)
		return sl_fail(errno, "no events: %s", strerror(errno));
	for (unsigned q = 0; q < u->config.queues; q++) {
		u->queues[q].call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (u->queues[q].call < 0)
			return sl_fail(errno, "no events: %s", strerror(errno));
	}
	return 0;
}

static int watch(struct uduse *u, int fd, int op, uint32_t events)
{
	if (epoll_ctl(u->epoll, op, fd, &(struct epoll_event){.events = events}))
		return sl_fail(errno, "cannot wait for a daemon: %s", strerror(errno));
	return 0;
}

static int make(struct uduse *u, const struct uduse_config *config)
{
	int ret;

	u->config.path = strdup(config->path);
	if (!u->config.path)
		return sl_fail(ENOMEM, "no memory for a device");
	ret = sl_uduse_memory_open(u);
	if (!ret)
		ret = make_events(u);
	if (!ret)
		ret = sl_unix_listen(config->path, SOCK_SEQPACKET, &u->listener);
	return ret ? ret : watch(u, u->listener, EPOLL_CTL_ADD, EPOLLIN);
}

int sl_uduse_open(const struct uduse_config *config, struct uduse **out)
{
	struct uduse *u;
	int ret;

	if (!config->queues || config->queues > UDUSE_QUEUES_MAX || !config->bounce ||
	    config->bounce > UDUSE_BOUNCE_MAX)
		return sl_fail(EINVAL,
			       "a device has 1 to %d queues, and bounce pools of 1 to %u bytes",
			       UDUSE_QUEUES_MAX, UDUSE_BOUNCE_MAX);
	u = calloc(1, sizeof(*u));
	if (!u)
		return sl_fail(ENOMEM, "no memory for a device");
	u->virtio.ops = &sl_uduse_ops;
	u->config = *config;
	u->sock = u->listener = u->epoll = u->in.fd = u->unsent.fd = -1;
	for (unsigned q = 0; q < UDUSE_QUEUES_MAX; q++)
		u->queues[q].kick = u->queues[q].call = -1;
	snprintf(u->why, sizeof(u->why), "%s: no daemon has connected yet", config->path);
	ret = make(u, config);
	if (ret) {
		sl_uduse_close(u);
		return ret;
	}
	*out = u;
	return 0;
}

/* Who listens no more has no path either. */
static void stop_listening(struct uduse *u)
{
	if (u->listener >= 0)
		unlink(u->config.path);
	sl_fd_close(&u->listener);
}

void sl_uduse_close(struct uduse *u)
{
	if (!u)
		return;
	stop_listening(u);
	sl_fd_close(&u->sock);
	sl_fd_close(&u->unsent.fd);
	sl_fd_close(&u->epoll);
	for (unsigned q = 0; q < UDUSE_QUEUES_MAX; q++) {
		sl_fd_close(&u->queues[q].kick);
		sl_fd_close(&u->queues[q].call);
	}
	sl_notify_close(&u->notify);
	sl_uduse_memory_close(u);
	free((char *)(uintptr_t)u->config.path);
	free(u);
}

/*
 * A daemon comes, and goes.
 */

/* What it has not answered the next one is asked; its events are gone with it. */
static void lose(struct uduse *u)
{
	snprintf(u->why, sizeof(u->why), "%s", sl_reason());
	sl_fd_close(&u->sock);
	sl_fd_close(&u->unsent.fd);
	u->opened = u->sent = u->waits = false;
	for (unsigned q = 0; q < UDUSE_QUEUES_MAX; q++)
		sl_fd_close(&u->queues[q].kick);
	if (u->listener >= 0)
		watch(u, u->listener, EPOLL_CTL_MOD, EPOLLIN);
}

/* For good, as the kernel's is. */
static int give_up(struct uduse *u)
{
	sl_fail(EIO, "the daemon has not answered for %.1f s: the device is broken",
		(double)u->config.wait_ns / SL_NS_PER_S);
	stop_listening(u);
	lose(u);
	u->asked = false;
	u->broken = true;
	return -EIO;
}

/* One at a time: the next waits in the listener's queue. */
static int accept_daemon(struct uduse *u)
{
	int ret = sl_unix_accept(u->listener, &u->sock);

	if (!ret)
		ret = watch(u, u->listener, EPOLL_CTL_MOD, 0);
	return ret ? ret : watch(u, u->sock, EPOLL_CTL_ADD, EPOLLIN);
}

/*
 * Messages.
 */

/* Without waiting: what does not fit is kept, and nothing read until it does. */
static int send_msg(struct uduse *u, const struct uduse_msg *msg)
{
	int ret = sl_uduse_send(u->sock, msg, 0);

	if (ret != -EAGAIN)
		return ret;
	u->unsent = *msg;
	/* Of its own: an entry may go meanwhile. */
	if (msg->fd >= 0) {
		u->unsent.fd = fcntl(msg->fd, F_DUPFD_CLOEXEC, 0);
		if (u->unsent.fd < 0)
			return sl_fail(errno, "no descriptor for the daemon: %s", strerror(errno));
	}
	u->waits = true;
	return watch(u, u->sock, EPOLL_CTL_MOD, EPOLLOUT);
}

static int send_unsent(struct uduse *u)
{
	int ret = sl_uduse_send(u->sock, &u->unsent, 0);

	if (ret)
		return ret;
	sl_fd_close(&u->unsent.fd);
	u->waits = false;
	return watch(u, u->sock, EPOLL_CTL_MOD, EPOLLIN);
}

static int send_request(struct uduse *u)
{
	struct uduse_msg msg = {
		.header = {.type = UDUSE_REQUEST, .len = sizeof(msg.payload.request)},
		.payload.request = u->request,
		.fd = -1,
	};

	u->sent = true;
	return send_msg(u, &msg);
}

/* One that belongs to no request is late, or was never asked for. */
static void take_response(struct uduse *u)
{
	const struct vduse_dev_response *r = &u->in.payload.response;

	if (!u->asked || !u->sent || u->answered || r->request_id != u->request.request_id)
		return;
	u->response = *r;
	u->answered = true;
}

static int serve(struct uduse *u)
{
	int ret = sl_uduse_recv(u->sock, true, &u->in);

	if (ret == -ECONNRESET)
		return sl_fail(ECONNRESET, "the daemon is gone");
	if (ret)
		return ret;
	if (u->in.header.type == UDUSE_RESPONSE) {
		take_response(u);
		return 0;
	}
	sl_uduse_answer(u);
	if (u->in.header.command != VDUSE_VQ_INJECT_IRQ)
		ret = send_msg(u, &u->in);
	u->in.fd = -1; /* an entry's */
	return ret;
}

/* So many messages: a daemon that calls all the time does not keep us here. */
static int serve_some(struct uduse *u)
{
	int ret = u->waits ? send_unsent(u) : 0;

	for (unsigned n = 0; n < MESSAGES_STEP && !ret && !u->waits; n++) {
		if (u->asked && !u->sent && u->opened)
			ret = send_request(u);
		if (!ret && !u->waits)
			ret = serve(u);
	}
	return ret == -EAGAIN ? 0 : ret;
}

/* Is there all that the driver wants? */
static int check_device(struct uduse *u)
{
	if (u->device_id && u->device_id != u->config.device_id)
		return sl_fail(EOPNOTSUPP, "the daemon's device is of kind %u, not %u",
			       u->device_id, u->config.device_id);
	if (u->sock < 0)
		return sl_fail(EAGAIN, "%s", u->why);
	if (!u->opened)
		return sl_fail(EAGAIN, "the daemon that has connected has no device yet");
	if (u->n_queues < u->config.queues)
		return sl_fail(EOPNOTSUPP, "the device has %u queues: %u are wanted", u->n_queues,
			       u->config.queues);
	for (unsigned q = 0; q < u->n_queues; q++)
		if (!u->queues[q].most)
			return sl_fail(EAGAIN, "the daemon has not set up queue %u", q);
	return 0;
}

int sl_uduse_step(struct uduse *u)
{
	int ret = 0;

	if (u->broken)
		return sl_fail(EIO, "%s", u->why);
	if (u->sock < 0)
		ret = accept_daemon(u);
	if (!ret)
		ret = serve_some(u);
	if (u->sock >= 0 && ret)
		lose(u);
	return check_device(u);
}

/*
 * Asking.
 */

static int wait_for(struct uduse *u, uint64_t until_ns)
{
	struct pollfd fd = {.fd = u->epoll, .events = POLLIN};
	uint64_t now = sl_now_ns();

	if (now >= until_ns)
		return give_up(u);
	poll(&fd, 1,
	     (int)((sl_min(until_ns - now, SL_NS_PER_S) + SL_NS_PER_MS - 1) / SL_NS_PER_MS));
	return 0;
}

int sl_uduse_ask(struct uduse *u, const struct vduse_dev_request *request)
{
	uint64_t until = sl_now_ns() + u->config.wait_ns;
	uint32_t id = u->request.request_id + 1;
	int ret;

	if (u->broken)
		return sl_fail(EIO, "%s", u->why);
	u->request = *request;
	u->request.request_id = id;
	u->asked = true;
	u->sent = u->answered = false;
	for (sl_uduse_step(u); !u->answered; sl_uduse_step(u)) {
		ret = wait_for(u, until);
		if (ret)
			return ret;
	}
	u->asked = false;
	if (u->response.result == VDUSE_REQ_RESULT_OK)
		return 0;
	return sl_fail(EIO, "the daemon refuses request %u of type %u", id, request->type);
}

/*
 * Looking.
 */

struct virtio *sl_uduse_virtio(struct uduse *u)
{
	return &u->virtio;
}

int sl_uduse_fd(const struct uduse *u)
{
	return u->epoll;
}

int sl_uduse_call(const struct uduse *u, uint16_t queue)
{
	return queue < u->config.queues ? u->queues[queue].call : -1;
}
