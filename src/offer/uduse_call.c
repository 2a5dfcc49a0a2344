/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls over the socket. The driver's side is not to be trusted: one that does not answer in time,
 * or with something else, loses its connection.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/reason.h"
#include "offer/uduse.h"

static struct uduse *uduse_of(struct vduse *v)
{
	return sl_container_of(v, struct uduse, v);
}

static int left_ms(const struct uduse *u)
{
	uint64_t now = sl_now_ns();

	return now < u->until_ns ? (int)((u->until_ns - now) / SL_NS_PER_MS) + 1 : 0;
}

/*
 * Return of a call, and what comes before it.
 */

static int keep(struct uduse *u, const struct uduse_msg *msg)
{
	if (u->kept || u->v.asked)
		return sl_fail(EPROTO, "a request before the last was answered");
	u->request = msg->payload.request;
	u->kept = true;
	u->v.watch.ready |= POLLIN;
	return 0;
}

static int wait_for_more(struct uduse *u)
{
	struct pollfd p = {.fd = u->v.fd, .events = POLLIN};
	int ms = left_ms(u);

	if (!ms)
		return sl_fail(ETIMEDOUT, "%s does not answer", u->path);
	poll(&p, 1, ms);
	return 0;
}

static int await(struct uduse *u, uint32_t command, struct uduse_msg *msg)
{
	for (;;) {
		int ret = sl_uduse_recv(u->v.fd, false, msg);

		if (!ret && msg->header.type == UDUSE_RETURN) {
			if (msg->header.command == command)
				return 0;
			sl_fd_close(&msg->fd);
			return sl_fail(EPROTO, "the return of another call, 0x%x, not 0x%x",
				       msg->header.command, command);
		}
		if (!ret)
			ret = keep(u, msg);
		else if (ret == -EAGAIN)
			ret = wait_for_more(u);
		if (ret)
			return ret;
	}
}

/*
 * What vduse*.c calls.
 */

/* The argument, and what follows it. */
static size_t argument_len(uint32_t command, const void *argument)
{
	size_t len = _IOC_SIZE(command);

	if (command == VDUSE_CREATE_DEV)
		return len + ((const struct vduse_dev_config *)argument)->config_size;
	if (command == VDUSE_DEV_SET_CONFIG)
		return len + ((const struct vduse_config_data *)argument)->length;
	return len;
}

static void fill(struct uduse_msg *msg, uint32_t command, const void *argument)
{
	msg->header = (struct uduse_header){UDUSE_CALL, command, 0, 0};
	if (_IOC_DIR(command) & _IOC_WRITE) {
		msg->header.len = (uint32_t)argument_len(command, argument);
		memcpy(&msg->payload, argument, msg->header.len);
	}
	msg->fd = command == VDUSE_VQ_SETUP_KICKFD ? msg->payload.eventfd.fd : -1;
}

static int take(const struct uduse_msg *msg, void *argument)
{
	if (msg->header.result)
		return msg->header.result;
	if (_IOC_DIR(msg->header.command) & _IOC_READ)
		memcpy(argument, &msg->payload, _IOC_SIZE(msg->header.command));
	return msg->fd >= 0 ? msg->fd : 0;
}

static int call(struct vduse *v, uint32_t command, void *argument)
{
	struct uduse *u = uduse_of(v);
	struct uduse_msg msg;
	int ret;

	fill(&msg, command, argument);
	/* By any thread, and without a return: the driver looks at its rings at DRIVER_OK. */
	if (command == VDUSE_VQ_INJECT_IRQ)
		return sl_uduse_send(v->fd, &msg, 0);
	ret = u->broken ? -ENOTCONN : sl_uduse_send(v->fd, &msg, left_ms(u));
	if (!ret)
		ret = await(u, command, &msg);
	if (!ret)
		return take(&msg, argument);
	u->broken = true;
	return ret;
}

static int read_request(struct vduse *v, void *bytes)
{
	struct uduse *u = uduse_of(v);
	struct uduse_msg msg;
	int ret;

	if (u->kept) {
		u->kept = false;
		memcpy(bytes, &u->request, VDUSE_REQUEST_LEN);
		return VDUSE_REQUEST_LEN;
	}
	ret = sl_uduse_recv(v->fd, false, &msg);
	if (ret)
		return ret;
	sl_fd_close(&msg.fd);
	if (msg.header.type != UDUSE_REQUEST)
		return -EPROTO;
	memcpy(bytes, &msg.payload, VDUSE_REQUEST_LEN);
	return VDUSE_REQUEST_LEN;
}

static int respond(struct vduse *v, const struct vduse_dev_response *response)
{
	struct uduse_msg msg = {
		.header = {.type = UDUSE_RESPONSE, .len = sizeof(*response)},
		.payload.response = *response,
		.fd = -1,
	};

	return sl_uduse_send(v->fd, &msg, left_ms(uduse_of(v)));
}

const struct vduse_kernel sl_uduse_kernel = {
	.call = call,
	.read = read_request,
	.respond = respond,
};
