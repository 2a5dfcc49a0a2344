/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The transport uduse: a device for a process that has VDUSE's kernel side in it, over a socket
 * where that process listens (docs/uduse.md). Drivers' processes come and go; each has a device of
 * its own, so that nothing of one is left for the next.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/reason.h"
#include "offer/uduse.h"
#include "wire/unix_socket.h"

#define WAIT_MIN_NS (100 * SL_NS_PER_MS)
#define WAIT_MAX_NS SL_NS_PER_S

static const struct sl_param params[] = {SL_UDUSE_PARAMS, {NULL}};

static struct uduse *uduse_of(struct transport *t)
{
	return sl_container_of(t, struct uduse, v.transport);
}

/*
 * A connection.
 */

/* What is in flight comes to an end first. The log stays: the driver may be there still. */
static int leave(struct uduse *u)
{
	struct vduse *v = &u->v;

	if (sl_vduse_queues_stop(v))
		return -EAGAIN;
	sl_vduse_memory_clear(v);
	sl_vduse_log_close(v, false);
	for (unsigned i = 0; i < v->info.queues; i++)
		sl_fd_close(&v->queues[i].kick); /* whoever had it has it still */
	v->status = 0;
	u->leaving = false;
	u->next_ns = sl_now_ns() + u->wait_ns;
	sl_offer_set_state(v->transport.offer, SL_OFFER_WAITING);
	return 0;
}

static void disconnect(struct uduse *u)
{
	struct vduse *v = &u->v;

	sl_worker_watch(sl_offer_worker(v->transport.offer), &v->watch, 0);
	sl_fd_close(&v->fd);
	v->watch = (struct sl_watch){.fd = -1};
	v->asked = u->kept = false;
	u->leaving = true;
	sl_offer_quiesce(v->transport.offer, false); /* where a request was waiting for that */
	leave(u);
}

/* Once for a reason, as long as there is no other. */
static void say(struct uduse *u, enum sl_log_level level)
{
	if (!strncmp(u->said, sl_reason(), sizeof(u->said) - 1))
		return;
	snprintf(u->said, sizeof(u->said), "%s", sl_reason());
	sl_log(sl_offer_log(u->v.transport.offer), level, "uduse: %s; trying again", sl_reason());
}

static int attach(struct uduse *u)
{
	uint64_t version = VDUSE_API_VERSION;
	struct vduse *v = &u->v;
	int ret;

	u->broken = false;
	v->watch = (struct sl_watch){.fd = v->fd, .ready = EPOLLIN};
	ret = v->kernel->call(v, VDUSE_SET_API_VERSION, &version);
	if (ret)
		return sl_fail(-ret, "%s does not speak version %d: %s", u->path, VDUSE_API_VERSION,
			       strerror(-ret));
	ret = sl_vduse_create(v);
	if (!ret)
		ret = sl_vduse_log_open(v, v->created);
	if (!ret && !v->created)
		ret = sl_vduse_take_over(v);
	return ret ? ret : u->broken ? -EPROTO : 0;
}

/* Return: 1 when there is somebody, 0 when not. */
static int try_connect(struct uduse *u, uint64_t now)
{
	int ret;

	if (now < u->next_ns)
		return 0;
	u->next_ns = now + u->wait_ns;
	u->wait_ns = sl_min(u->wait_ns * 2, WAIT_MAX_NS);
	ret = sl_unix_connect(u->path, SOCK_SEQPACKET, &u->v.fd);
	u->alone = ret == -ENOENT || ret == -ECONNREFUSED;
	if (ret) {
		say(u, u->said[0] ? SL_LOG_INFO : SL_LOG_WARN);
		return 0;
	}
	if (!attach(u))
		return 1;
	say(u, SL_LOG_WARN);
	disconnect(u);
	return 0;
}

/*
 * What the offer calls.
 */

static void uduse_close(struct transport *t)
{
	struct uduse *u = uduse_of(t);
	struct vduse *v = &u->v;
	char name[VDUSE_NAME_MAX] = {0};
	bool gone = u->alone;

	memcpy(name, v->name, sizeof(v->name));
	u->until_ns = sl_now_ns() + UDUSE_CALLS_NS;
	/* Whoever drives it waits for the next process, which needs the log. */
	if (v->fd >= 0)
		gone = !v->kernel->call(v, VDUSE_DESTROY_DEV, name);
	sl_vduse_let_go(v);
	sl_vduse_log_close(v, gone);
	sl_vduse_free(v);
}

static int open_log_dir(struct uduse *u, const char *dir)
{
	const char *slash = strrchr(u->path, '/');
	char of_path[sizeof(u->path) + 1];

	if (dir)
		return sl_vduse_log_dir(&u->v, dir);
	snprintf(of_path, sizeof(of_path), "%.*s", slash ? (int)(slash - u->path) + 1 : 1,
		 slash ? u->path : ".");
	return sl_vduse_log_dir(&u->v, of_path);
}

static int uduse_open(struct sl_offer *o, const struct sl_args *args, struct transport **out)
{
	const char *path = sl_args_text(args, "path", 0), *slash = strrchr(path, '/');
	struct uduse *u = calloc(1, sizeof(*u));
	int ret;

	if (!u)
		return sl_fail(ENOMEM, "no memory for a device");
	u->v.transport.ops = &sl_transport_uduse;
	u->v.kernel = &sl_uduse_kernel;
	u->wait_ns = WAIT_MIN_NS;
	snprintf(u->path, sizeof(u->path), "%s", path);
	snprintf(u->v.anew, sizeof(u->v.anew), "start its driver's process anew");
	ret = sl_vduse_init(&u->v, o, slash ? slash + 1 : path,
			    sl_args_bool(args, "packed", !sl_offer_is_net(o)));
	if (!ret)
		ret = open_log_dir(u, sl_args_text(args, "state", 0));
	if (ret) {
		uduse_close(&u->v.transport);
		return ret;
	}
	*out = &u->v.transport;
	return 0;
}

static int uduse_step(struct transport *t, uint64_t now_ns)
{
	struct uduse *u = uduse_of(t);
	int ret;

	u->until_ns = now_ns + UDUSE_CALLS_NS;
	if (u->leaving && leave(u))
		return 0;
	if (u->v.fd < 0)
		return try_connect(u, now_ns);
	ret = sl_vduse_serve(&u->v);
	if (sl_offer_get_state(t->offer) == SL_OFFER_RUNNING)
		u->wait_ns = WAIT_MIN_NS;
	if (ret >= 0 && !u->broken)
		return ret;
	say(u, ret == -ECONNRESET ? SL_LOG_INFO : SL_LOG_WARN);
	disconnect(u);
	return 1;
}

static bool uduse_arm(struct transport *t, uint64_t *deadline_ns)
{
	struct uduse *u = uduse_of(t);

	if (u->v.fd < 0) {
		if (!u->leaving)
			*deadline_ns = sl_min(*deadline_ns, u->next_ns);
		return false;
	}
	sl_vduse_arm(&u->v, deadline_ns);
	return u->kept || u->broken;
}

static void uduse_changed(struct transport *t)
{
	struct uduse *u = uduse_of(t);

	u->until_ns = sl_now_ns() + UDUSE_CALLS_NS;
	if (u->v.fd >= 0)
		sl_vduse_changed(t);
}

const struct transport_ops sl_transport_uduse = {
	.kind = {"uduse",
		 "for a process that has VDUSE's kernel side in it: sluice io uduse:SOCKET",
		 params},
	.open = uduse_open,
	.step = uduse_step,
	.arm = uduse_arm,
	.interrupt = sl_vduse_queue_interrupt,
	.broken = sl_vduse_broken,
	.changed = uduse_changed,
	.close = uduse_close,
};
