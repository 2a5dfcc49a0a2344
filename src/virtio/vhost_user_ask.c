/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages to the back end, and from it. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/reason.h"
#include "virtio/vhost_user_private.h"

int sl_vhost_front_lose(struct vhost_front *f, int ret)
{
	snprintf(f->why, sizeof(f->why), "%s", sl_reason());
	sl_fd_close(&f->sock);
	sl_fd_close(&f->channel);
	sl_vhost_user_reader_reset(&f->reader);
	sl_vhost_user_reader_reset(&f->channel_reader);
	for (unsigned q = 0; q < f->config.queues; q++) {
		f->log_full |= f->queues[q].runs;
		f->queues[q].runs = false;
	}
	f->has_memory = f->has_log = f->greeted = false;
	return ret;
}

static const char *name_of(uint32_t request)
{
	const char *name = sl_vhost_user_name(request);

	return name ? name : "an unknown request";
}

/*
 * What the back end asks.
 */

static int serve(struct vhost_front *f, struct vhost_user_msg *msg)
{
	bool known = msg->request == VHOST_USER_BACKEND_CONFIG_CHANGE_MSG;
	struct vhost_user_msg reply = {
		.request = msg->request,
		.flags = VHOST_USER_VERSION | VHOST_USER_REPLY_MASK,
		.size = sizeof(reply.payload.u64),
		.payload.u64 = !known,
	};

	f->generation += known;
	sl_vhost_user_drop(msg);
	if (!(msg->flags & VHOST_USER_NEED_REPLY_MASK))
		return 0;
	return sl_vhost_user_send(f->channel, &reply);
}

/* One message: a back end that asks all the time does not keep us here. */
static int serve_channel(struct vhost_front *f)
{
	struct vhost_user_msg msg;
	int ret;

	if (f->channel < 0)
		return 0;
	ret = sl_vhost_user_recv(f->channel, &f->channel_reader, VHOST_USER_KIND_BACKEND_REQUEST,
				 &msg);
	if (ret == -EAGAIN)
		return 0;
	if (!ret)
		ret = serve(f, &msg);
	if (ret == -ECONNRESET || ret == -EPIPE) {
		sl_vhost_user_reader_reset(&f->channel_reader);
		sl_fd_close(
			&f->channel); /* it will not ask again; if it is gone its socket says so */
		return 0;
	}
	return ret;
}

static int check_errors(struct vhost_front *f)
{
	struct pollfd err = {.fd = f->err, .events = POLLIN};

	/* Reading it may block: see sl_notify(). */
	if (poll(&err, 1, 0) <= 0)
		return 0;
	return sl_fail(EPROTO, "the back end says that a queue is broken");
}

int sl_vhost_front_step(struct vhost_front *f)
{
	struct vhost_user_msg msg;
	int ret;

	if (f->sock < 0)
		return sl_fail(ENODEV, "%s", f->why);
	ret = sl_vhost_user_recv(f->sock, &f->reader, VHOST_USER_KIND_REPLY, &msg);
	if (!ret) {
		sl_vhost_user_drop(&msg);
		sl_fail(EPROTO, "the back end answers %s, which nobody asked",
			name_of(msg.request));
	} else if (ret == -ECONNRESET) {
		sl_fail(ENODEV, "the back end is gone");
	}
	if (ret == -EAGAIN) {
		ret = serve_channel(f);
		if (!ret)
			ret = check_errors(f);
		if (!ret)
			return 0;
	}
	sl_vhost_front_lose(f, ret);
	return -ENODEV;
}

/*
 * What we ask.
 */

int sl_vhost_front_late(const struct vhost_front *f, enum vhost_user_request request)
{
	return sl_fail(ETIMEDOUT, "the back end has not answered %s for %.1f s", name_of(request),
		       (double)f->config.wait_ns / SL_NS_PER_S);
}

/* Until there is something to read; what is asked meanwhile is answered, or two would wait for each
 * other. */
static int wait_for(struct vhost_front *f, uint64_t until_ns, uint32_t request)
{
	struct pollfd fds[2] = {{.fd = f->sock, .events = POLLIN},
				{.fd = f->channel, .events = POLLIN}};
	uint64_t now = sl_now_ns();

	if (now >= until_ns)
		return sl_vhost_front_late(f, request);
	poll(fds, 2,
	     (int)((sl_min(until_ns - now, SL_NS_PER_S) + SL_NS_PER_MS - 1) / SL_NS_PER_MS));
	return fds[1].revents ? serve_channel(f) : 0;
}

static int receive(struct vhost_front *f, uint32_t request, struct vhost_user_msg *answer)
{
	uint64_t until = sl_now_ns() + f->config.wait_ns;
	int ret;

	while ((ret = sl_vhost_user_recv(f->sock, &f->reader, VHOST_USER_KIND_REPLY, answer)) ==
	       -EAGAIN) {
		ret = wait_for(f, until, request);
		if (ret)
			return ret;
	}
	if (ret == -ECONNRESET)
		return sl_fail(ECONNRESET, "the back end was gone when it should answer %s",
			       name_of(request));
	if (ret || answer->request == request)
		return ret;
	sl_vhost_user_drop(answer);
	return sl_fail(EPROTO, "the back end answers %s, not %s", name_of(answer->request),
		       name_of(request));
}

static int acknowledged(struct vhost_front *f, uint32_t request)
{
	struct vhost_user_msg answer;
	int ret = receive(f, request, &answer);

	if (ret)
		return sl_vhost_front_lose(f, ret);
	sl_vhost_user_drop(&answer);
	if (answer.size == sizeof(answer.payload.u64) && !answer.payload.u64)
		return 0;
	return sl_fail(EOPNOTSUPP, "the back end refuses %s", name_of(request));
}

static int send_to(struct vhost_front *f, const struct vhost_user_msg *msg, bool ack)
{
	struct vhost_user_msg sent = *msg;
	int ret;

	if (f->sock < 0)
		return sl_fail(ENODEV, "%s", f->why);
	sent.flags = VHOST_USER_VERSION | (ack ? VHOST_USER_NEED_REPLY_MASK : 0);
	ret = sl_vhost_user_send(f->sock, &sent);
	if (ret) {
		sl_fail(-ret, "the back end does not take %s: %s", name_of(msg->request),
			strerror(-ret));
		return sl_vhost_front_lose(f, ret);
	}
	return 0;
}

int sl_vhost_front_ask(struct vhost_front *f, const struct vhost_user_msg *msg,
		       struct vhost_user_msg *answer)
{
	bool ack = !answer && sl_vhost_front_has(f, VHOST_USER_PROTOCOL_F_REPLY_ACK);
	int ret = send_to(f, msg, ack);

	if (ret)
		return ret;
	if (!answer)
		return ack ? acknowledged(f, msg->request) : 0;
	ret = receive(f, msg->request, answer);
	return ret ? sl_vhost_front_lose(f, ret) : 0;
}

int sl_vhost_front_get_begin(struct vhost_front *f, enum vhost_user_request request)
{
	return send_to(f, &(struct vhost_user_msg){.request = request}, false);
}

int sl_vhost_front_get_end(struct vhost_front *f, enum vhost_user_request request, uint64_t *value)
{
	struct vhost_user_msg answer;
	int ret = receive(f, request, &answer);

	if (ret)
		return sl_vhost_front_lose(f, ret);
	*value = answer.payload.u64;
	sl_vhost_user_drop(&answer);
	return 0;
}

int sl_vhost_front_get(struct vhost_front *f, enum vhost_user_request request, uint64_t *value)
{
	int ret = sl_vhost_front_get_begin(f, request);

	return ret ? ret : sl_vhost_front_get_end(f, request, value);
}

int sl_vhost_front_set(struct vhost_front *f, enum vhost_user_request request, uint64_t value,
		       int fd)
{
	struct vhost_user_msg msg = {
		.request = request,
		.size = sizeof(msg.payload.u64),
		.payload.u64 = value,
		.n_fds = fd >= 0,
		.fds = {fd},
	};

	return sl_vhost_front_ask(f, &msg, NULL);
}

int sl_vhost_front_tell(struct vhost_front *f, enum vhost_user_request request, int fd)
{
	struct vhost_user_msg msg = {.request = request, .n_fds = fd >= 0, .fds = {fd}};

	return sl_vhost_front_ask(f, &msg, NULL);
}
