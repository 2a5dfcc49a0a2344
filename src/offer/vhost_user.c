/* SPDX-License-Identifier: BSD-2-Clause */
/* The connection of a vhost-user back end: it comes, is served, and goes; then the next. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/reason.h"
#include "offer/kinds.h"
#include "offer/vhost_user.h"
#include "wire/unix_socket.h"

#define RETRY_MIN_NS  (100 * SL_NS_PER_MS)
#define RETRY_MAX_NS  SL_NS_PER_S
#define MESSAGES_STEP 64

enum {
	MODE_LISTEN,
	MODE_CONNECT
};

static struct vhost_user *of(struct transport *transport)
{
	return sl_container_of(transport, struct vhost_user, transport);
}

static void say(const struct vhost_user *t, enum sl_log_level level, const char *what)
{
	sl_log(sl_offer_log(t->transport.offer), level, "vhost-user: %s", what);
}

/* What cannot be waited for is looked at all the time. Returns true then. */
static bool watch(struct vhost_user *t, struct sl_watch *w, bool on)
{
	if (!sl_worker_watch(sl_offer_worker(t->transport.offer), w, on ? EPOLLIN : 0))
		return false;
	w->ready = EPOLLIN;
	return true;
}

/* Both are level-triggered: what is not wanted now must not wake the worker. */
static bool watch_both(struct vhost_user *t)
{
	bool wanted = !t->busy && !t->leaving && !t->ending;
	bool look = watch(t, &t->socket, wanted);

	return watch(t, &t->listener, wanted && !t->retry_ns) || look;
}

static void retry(struct vhost_user *t, uint64_t now)
{
	t->wait_ns = sl_min(sl_max(t->wait_ns * 2, RETRY_MIN_NS), RETRY_MAX_NS);
	t->retry_ns = now + t->wait_ns;
}

/*
 * Coming.
 */

static void attach(struct vhost_user *t, int fd)
{
	t->socket = (struct sl_watch){.fd = fd, .ready = EPOLLIN};
	t->retry_ns = t->wait_ns = 0;
	say(t, SL_LOG_INFO, "a front end is there");
	sl_offer_set_state(t->transport.offer, SL_OFFER_SET_UP);
}

static int connect_to(struct vhost_user *t, uint64_t now)
{
	int fd;

	if (!sl_unix_connect(t->path, SOCK_STREAM, &fd)) {
		attach(t, fd);
		return 1;
	}
	if (!t->waited)
		sl_log(sl_offer_log(t->transport.offer), SL_LOG_WARN,
		       "vhost-user: %s; trying again", sl_reason());
	t->waited = true;
	retry(t, now);
	return 0;
}

static bool is_gone(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) > 0 && p.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

/* One at a time. One that comes while the end of another is not known yet is kept. */
static void welcome(struct vhost_user *t, int fd)
{
	if (t->socket.fd < 0) {
		attach(t, fd);
	} else if (t->next < 0 && is_gone(t->socket.fd)) {
		t->next = fd;
	} else {
		if (t->turned_away++ < VHOST_USER_COMPLAINTS)
			say(t, SL_LOG_WARN,
			    "another front end is turned away: there can be one at a time");
		sl_fd_close(&fd);
	}
}

static int accept_one(struct vhost_user *t, uint64_t now)
{
	int fd, ret;

	if (!t->listener.ready)
		return 0;
	ret = sl_unix_accept(t->listener.fd, &fd);
	if (!ret) {
		welcome(t, fd);
		return 1;
	}
	t->listener.ready = 0;
	if (ret != -EAGAIN) {
		say(t, SL_LOG_WARN, sl_reason());
		retry(t, now);
	}
	return 0;
}

static int come(struct vhost_user *t, uint64_t now)
{
	if (now < t->retry_ns || t->busy || t->leaving || t->ending)
		return 0;
	if (t->retry_ns)
		t->listener.ready = EPOLLIN;
	t->retry_ns = 0;
	if (t->socket.fd < 0 && t->next >= 0) {
		attach(t, t->next);
		t->next = -1;
		return 1;
	}
	if (t->listener.fd >= 0)
		return accept_one(t, now);
	if (t->socket.fd >= 0)
		return 0;
	if (t->adopted)
		return sl_fail(ENODEV, "vhost-user: the front end of fd= is gone");
	return connect_to(t, now);
}

/*
 * Going.
 */

static void count_complaints(struct vhost_user *t)
{
	if (t->turned_away > VHOST_USER_COMPLAINTS || t->refused > VHOST_USER_COMPLAINTS)
		sl_log(sl_offer_log(t->transport.offer), SL_LOG_WARN,
		       "vhost-user: %u messages were refused, %u front ends turned away",
		       t->refused, t->turned_away);
	t->turned_away = t->refused = 0;
}

static void forget(struct vhost_user *t)
{
	for (unsigned n = 0; n < t->n_rings; n++) {
		struct vhost_user_ring *ring = &t->rings[n];

		sl_vhost_user_ring_reset(t, n);
		sl_fd_close(&ring->call);
		sl_fd_close(&ring->err);
	}
	sl_vhost_user_memory_clear(t);
	sl_file_unmap(&t->inflight);
	sl_vhost_user_log_clear(t);
	sl_fd_close(&t->backend);
	sl_vhost_user_reader_reset(&t->reader);
	sl_vhost_user_drop(&t->msg);
	watch(t, &t->socket, false);
	sl_fd_close(&t->socket.fd);
	t->started = false;
	t->features = t->protocol_features = 0;
	t->status = 0;
}

/* Its memory is needed until the last request has come to an end. */
static int leave(struct vhost_user *t, uint64_t now)
{
	if (sl_vhost_user_rings_stop(t))
		return 0;
	forget(t);
	count_complaints(t);
	t->busy = t->leaving = false;
	if (t->listener.fd < 0 && !t->adopted)
		retry(t, now);
	sl_offer_set_state(t->transport.offer, SL_OFFER_WAITING);
	return 1;
}

static void begin_to_leave(struct vhost_user *t, int why)
{
	if (why == -ECONNRESET)
		say(t, SL_LOG_INFO, "the front end is gone");
	else
		sl_log(sl_offer_log(t->transport.offer), SL_LOG_WARN,
		       "vhost-user: the connection is closed: %s", sl_reason());
	t->leaving = true;
}

/*
 * The worker's task.
 */

/* Returns 1 when there was a message, 0 when there is none or it has to wait. */
static int one_message(struct vhost_user *t)
{
	int ret = t->busy ? 0
			  : sl_vhost_user_recv(t->socket.fd, &t->reader, VHOST_USER_KIND_REQUEST,
					       &t->msg);

	if (ret == -EAGAIN) {
		t->socket.ready = 0;
		return 0;
	}
	if (!ret) {
		ret = sl_vhost_user_handle(t);
		t->busy = ret == -EAGAIN;
	}
	if (ret && !t->busy)
		begin_to_leave(t, ret);
	return !t->busy;
}

static int step(struct transport *transport, uint64_t now)
{
	struct vhost_user *t = of(transport);
	int did = 0, ret = 1;

	while (t->socket.fd >= 0 && !t->leaving && (t->socket.ready || t->busy) && ret &&
	       did < MESSAGES_STEP)
		did += ret = one_message(t);
	if (t->leaving)
		did += leave(t, now);
	ret = come(t, now);
	watch_both(t);
	return ret < 0 ? ret : did + ret;
}

static bool arm(struct transport *transport, uint64_t *deadline)
{
	struct vhost_user *t = of(transport);

	if (t->retry_ns && !t->ending)
		*deadline = sl_min(*deadline, t->retry_ns);
	return watch_both(t);
}

/*
 * What the offer has to say.
 */

static bool interrupt(struct transport *transport, uint16_t queue)
{
	return sl_vhost_user_signal(of(transport), of(transport)->rings[queue].call);
}

static void broken(struct transport *transport, uint16_t queue)
{
	sl_vhost_user_signal(of(transport), of(transport)->rings[queue].err);
}

/* A socket that is full is full of messages like this one: another would say nothing new. */
static void changed(struct transport *transport)
{
	struct vhost_user *t = of(transport);
	const struct vhost_user_msg msg = {.request = VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
					   .flags = VHOST_USER_VERSION};
	struct pollfd room = {.fd = t->backend, .events = POLLOUT};

	if (t->backend < 0 || !(t->protocol_features >> VHOST_USER_PROTOCOL_F_CONFIG & 1))
		return;
	poll(&room, 1, 0);
	if (room.revents && sl_vhost_user_send(t->backend, &msg))
		say(t, SL_LOG_WARN, sl_reason());
}

static int stop(struct transport *transport)
{
	struct vhost_user *t = of(transport);

	t->ending = true;
	if (t->socket.fd < 0)
		return 0;
	t->leaving = true;
	return -EAGAIN;
}

/*
 * Beginning and end.
 */

static void close_transport(struct transport *transport)
{
	struct vhost_user *t = of(transport);

	forget(t);
	watch(t, &t->listener, false);
	if (t->listener.fd >= 0)
		sl_vhost_user_unlink(t);
	sl_vhost_user_state_close(t);
	sl_fd_close(&t->listener.fd);
	sl_fd_close(&t->next);
	sl_notify_close(&t->notify);
	free(t->config);
	free(t);
}

static const struct sl_param params[] = {SL_VHOST_USER_PARAMS, {NULL}};

static int open_socket(struct vhost_user *t, const struct sl_args *args)
{
	const char *path = sl_args_text(args, "path", 0);

	if (!path == !sl_args_count(args, "fd"))
		return sl_fail(EINVAL, "vhost-user: one of path=SOCK and fd=N is needed");
	if (!path && sl_args_count(args, "mode"))
		return sl_fail(EINVAL, "vhost-user: mode= does not go with fd=");
	if (!path)
		return sl_vhost_user_adopt(t, (int)sl_args_uint(args, "fd", 0));
	memcpy(t->path, path, strlen(path));
	return sl_args_uint(args, "mode", MODE_LISTEN) == MODE_LISTEN ? sl_vhost_user_listen(t) : 0;
}

static int open_transport(struct sl_offer *o, const struct sl_args *args, struct transport **out)
{
	struct sl_model *model = sl_offer_model(o);
	struct sl_model_info info = {0};
	struct vhost_user *t;
	unsigned rings;
	int ret;

	model->ops->info(model, &info);
	rings = sl_min((unsigned)info.queues, VHOST_USER_RINGS_MAX);
	t = calloc(1, sizeof(*t) + rings * sizeof(*t->rings));
	if (!t)
		return sl_fail(ENOMEM, "no memory for a vhost-user back end");
	t->config_room = sl_max(info.config_len, (uint32_t)VHOST_USER_CONFIG_MAX);
	t->config = calloc(1, t->config_room);
	t->transport = (struct transport){&sl_transport_vhost_user, o};
	t->packed = sl_args_bool(args, "packed", true);
	t->listener.fd = t->socket.fd = t->next = t->backend = t->log_call = -1;
	for (unsigned n = t->n_rings = rings; n--;)
		t->rings[n].kick = t->rings[n].call = t->rings[n].err = -1;
	ret = t->config ? open_socket(t, args) : sl_fail(ENOMEM, "no memory for a back end");
	if (ret) {
		free(t->config);
		free(t);
		return ret;
	}
	sl_vhost_user_state_open(t);
	*out = &t->transport;
	return 0;
}

const struct transport_ops sl_transport_vhost_user = {
	.kind = {"vhost-user", "a back end of QEMU's vhost-user protocol: for virtual machines",
		 params},
	.open = open_transport,
	.step = step,
	.arm = arm,
	.interrupt = interrupt,
	.broken = broken,
	.changed = changed,
	.dirty = sl_vhost_user_dirty,
	.stop = stop,
	.close = close_transport,
};
