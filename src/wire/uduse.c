/* SPDX-License-Identifier: BSD-2-Clause */
#include <sys/ioctl.h>

#include "base/fd.h"
#include "base/reason.h"
#include "wire/uduse.h"
#include "wire/unix_socket.h"

#define HEADER_LEN sizeof(struct uduse_header)
#define ERRNO_MAX  4095 /* as the kernel has it */

_Static_assert(offsetof(struct uduse_msg, payload) == HEADER_LEN, "no gap in a message");

/*
 * What a message must look like. The number of an ioctl says which way its argument goes and how
 * long it is; two end with bytes that the argument itself counts.
 */

/* @got: bytes of @msg's payload that are there to be looked at */
static size_t argument_len(const struct uduse_msg *msg, size_t got)
{
	size_t len = _IOC_SIZE(msg->header.command);

	if (got < len)
		return len;
	if (msg->header.command == VDUSE_CREATE_DEV)
		len += msg->payload.create.config_size;
	if (msg->header.command == VDUSE_DEV_SET_CONFIG)
		len += msg->payload.config.length;
	return len;
}

static size_t payload_len(const struct uduse_msg *msg, size_t got)
{
	uint32_t command = msg->header.command;

	switch (msg->header.type) {
	case UDUSE_CALL:
		return _IOC_DIR(command) & _IOC_WRITE ? argument_len(msg, got) : 0;
	case UDUSE_RETURN:
		return _IOC_DIR(command) & _IOC_READ && !msg->header.result ? _IOC_SIZE(command)
									    : 0;
	case UDUSE_REQUEST:
		return sizeof(struct vduse_dev_request);
	default:
		return sizeof(struct vduse_dev_response);
	}
}

static bool wants_fd(const struct uduse_msg *msg)
{
	if (msg->header.type == UDUSE_CALL && msg->header.command == VDUSE_VQ_SETUP_KICKFD)
		return msg->payload.eventfd.fd != VDUSE_EVENTFD_DEASSIGN;
	return msg->header.type == UDUSE_RETURN && msg->header.command == VDUSE_IOTLB_GET_FD &&
	       !msg->header.result;
}

static int check_header(const struct uduse_header *h, bool daemon)
{
	bool call = h->type == UDUSE_CALL || h->type == UDUSE_RETURN;
	int32_t least = h->type == UDUSE_RETURN ? -ERRNO_MAX : 0;

	if (daemon ? h->type != UDUSE_CALL && h->type != UDUSE_RESPONSE
		   : h->type != UDUSE_RETURN && h->type != UDUSE_REQUEST)
		return sl_fail(EPROTO, "a message of type %u from a %s", h->type,
			       daemon ? "daemon" : "driver's side");
	if (call ? _IOC_TYPE(h->command) != VDUSE_BASE : h->command != 0)
		return sl_fail(EPROTO, "a message of type %u with command 0x%x", h->type,
			       h->command);
	if (h->result > 0 || h->result < least)
		return sl_fail(EPROTO, "a message of type %u with result %d", h->type, h->result);
	return 0;
}

/* @len: bytes of the whole message */
static int check(const struct uduse_msg *msg, size_t len, bool daemon)
{
	const struct uduse_header *h = &msg->header;
	int ret;

	if (len < HEADER_LEN)
		return sl_fail(EPROTO, "a message of %zu bytes", len);
	ret = check_header(h, daemon);
	if (ret)
		return ret;
	if (h->len != len - HEADER_LEN || h->len != payload_len(msg, len - HEADER_LEN))
		return sl_fail(EPROTO,
			       "message %u, 0x%x: %zu bytes of payload, it says %u and should have "
			       "%zu",
			       h->type, h->command, len - HEADER_LEN, h->len,
			       payload_len(msg, len - HEADER_LEN));
	if (wants_fd(msg) != (msg->fd >= 0))
		return sl_fail(EPROTO, "message %u, 0x%x, %s a descriptor", h->type, h->command,
			       msg->fd >= 0 ? "with" : "without");
	return 0;
}

/*
 * Sockets.
 */

static int receive(int sock, bool daemon, struct uduse_msg *msg)
{
	unsigned n = 0;
	ssize_t got =
		sl_unix_recv(sock, "uduse", msg, HEADER_LEN + UDUSE_PAYLOAD_MAX, &msg->fd, &n, 1);

	return got < 0 ? (int)got : check(msg, (size_t)got, daemon);
}

int sl_uduse_recv(int sock, bool daemon, struct uduse_msg *msg)
{
	int ret;

	msg->fd = -1;
	ret = receive(sock, daemon, msg);
	if (ret)
		sl_fd_close(&msg->fd);
	return ret;
}

int sl_uduse_send(int sock, const struct uduse_msg *msg, int wait_ms)
{
	struct iovec from = {(void *)(uintptr_t)msg, HEADER_LEN + msg->header.len};

	return sl_unix_send(sock, "uduse", &from, 1, &msg->fd, msg->fd >= 0, wait_ms);
}
