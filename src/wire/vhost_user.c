/* SPDX-License-Identifier: BSD-2-Clause */
#include <stddef.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/reason.h"
#include "wire/unix_socket.h"
#include "wire/vhost_user.h"

#define SEND_MS 1000

_Static_assert(offsetof(struct vhost_user_msg, size) + 4 == VHOST_USER_HEADER_LEN,
	       "a message begins with its header");
_Static_assert(VHOST_USER_MAX_FDS <= SL_UNIX_FDS_MAX, "all descriptors come along");

/* What a message must look like: bytes of payload and descriptors, at least and at most. */
struct shape {
	const char *name;
	uint16_t least, most;
	uint8_t fds_least, fds_most;
};

#define SHAPE(request, ...) [request] = {#request, __VA_ARGS__}
#define STATE_LEN	    sizeof(struct vhost_user_vring_state)
#define LOG_LEN		    sizeof(struct vhost_user_log)
#define MEMORY_LEN(n)	    (8 + (n) * sizeof(struct vhost_user_memory_region))
#define CONFIG_LEN(n)	    (VHOST_USER_CONFIG_LEN + (n))

static const struct shape requests[] = {
	SHAPE(VHOST_USER_GET_FEATURES, 0, 0, 0, 0),
	SHAPE(VHOST_USER_SET_FEATURES, 8, 8, 0, 0),
	SHAPE(VHOST_USER_SET_OWNER, 0, 0, 0, 0),
	SHAPE(VHOST_USER_RESET_OWNER, 0, 0, 0, 0),
	SHAPE(VHOST_USER_SET_MEM_TABLE, MEMORY_LEN(0), MEMORY_LEN(VHOST_USER_MAX_FDS), 0,
	      VHOST_USER_MAX_FDS),
	SHAPE(VHOST_USER_SET_LOG_BASE, LOG_LEN, LOG_LEN, 1, 1),
	SHAPE(VHOST_USER_SET_LOG_FD, 0, 0, 1, 1),
	SHAPE(VHOST_USER_SET_VRING_NUM, STATE_LEN, STATE_LEN, 0, 0),
	SHAPE(VHOST_USER_SET_VRING_ADDR, sizeof(struct vhost_user_vring_addr),
	      sizeof(struct vhost_user_vring_addr), 0, 0),
	SHAPE(VHOST_USER_SET_VRING_BASE, STATE_LEN, STATE_LEN, 0, 0),
	SHAPE(VHOST_USER_GET_VRING_BASE, STATE_LEN, STATE_LEN, 0, 0),
	SHAPE(VHOST_USER_SET_VRING_KICK, 8, 8, 0, 1),
	SHAPE(VHOST_USER_SET_VRING_CALL, 8, 8, 0, 1),
	SHAPE(VHOST_USER_SET_VRING_ERR, 8, 8, 0, 1),
	SHAPE(VHOST_USER_GET_PROTOCOL_FEATURES, 0, 0, 0, 0),
	SHAPE(VHOST_USER_SET_PROTOCOL_FEATURES, 8, 8, 0, 0),
	SHAPE(VHOST_USER_GET_QUEUE_NUM, 0, 0, 0, 0),
	SHAPE(VHOST_USER_SET_VRING_ENABLE, STATE_LEN, STATE_LEN, 0, 0),
	SHAPE(VHOST_USER_SEND_RARP, 8, 8, 0, 0),
	SHAPE(VHOST_USER_NET_SET_MTU, 8, 8, 0, 0),
	SHAPE(VHOST_USER_SET_BACKEND_REQ_FD, 0, 0, 1, 1),
	SHAPE(VHOST_USER_GET_CONFIG, CONFIG_LEN(0), CONFIG_LEN(VHOST_USER_CONFIG_MAX), 0, 0),
	SHAPE(VHOST_USER_SET_CONFIG, CONFIG_LEN(0), CONFIG_LEN(VHOST_USER_CONFIG_MAX), 0, 0),
	SHAPE(VHOST_USER_GET_INFLIGHT_FD, 20, sizeof(struct vhost_user_inflight), 0, 0),
	SHAPE(VHOST_USER_SET_INFLIGHT_FD, 20, sizeof(struct vhost_user_inflight), 1, 1),
	SHAPE(VHOST_USER_RESET_DEVICE, 0, 0, 0, 0),
	SHAPE(VHOST_USER_GET_MAX_MEM_SLOTS, 0, 0, 0, 0),
	SHAPE(VHOST_USER_ADD_MEM_REG, sizeof(struct vhost_user_mem_reg),
	      sizeof(struct vhost_user_mem_reg), 1, 1),
	/* "For compatibility with existing incorrect implementations" one descriptor is taken. */
	SHAPE(VHOST_USER_REM_MEM_REG, sizeof(struct vhost_user_mem_reg),
	      sizeof(struct vhost_user_mem_reg), 0, 1),
	SHAPE(VHOST_USER_SET_STATUS, 8, 8, 0, 0),
	SHAPE(VHOST_USER_GET_STATUS, 0, 0, 0, 0),
};

/* What is not here is answered with a number: 0 or not 0 ("VHOST_USER_PROTOCOL_F_REPLY_ACK"). */
static const struct shape replies[] = {
	SHAPE(VHOST_USER_SET_LOG_BASE, 0, 0, 0, 0),
	SHAPE(VHOST_USER_GET_VRING_BASE, STATE_LEN, STATE_LEN, 0, 0),
	SHAPE(VHOST_USER_GET_CONFIG, 0, CONFIG_LEN(VHOST_USER_CONFIG_MAX), 0, 0),
	SHAPE(VHOST_USER_GET_INFLIGHT_FD, 20, sizeof(struct vhost_user_inflight), 0, 1),
};

static const struct shape backend_requests[] = {
	SHAPE(VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 0, 0, 0, 0),
};

static const struct shape number = {"an answer", 8, 8, 0, 0},
			  unknown = {"an unknown request", 0, VHOST_USER_PAYLOAD_MAX, 0,
				     VHOST_USER_MAX_FDS};

static const struct shape *find(const struct shape *shapes, size_t n, uint32_t request,
				const struct shape *otherwise)
{
	return request < n && shapes[request].name ? &shapes[request] : otherwise;
}

static const struct shape *shape_of(uint32_t request, enum vhost_user_kind kind)
{
	switch (kind) {
	case VHOST_USER_KIND_REQUEST:
		return find(requests, sl_array_len(requests), request, &unknown);
	case VHOST_USER_KIND_REPLY:
		return find(replies, sl_array_len(replies), request, &number);
	case VHOST_USER_KIND_BACKEND_REQUEST:
		return find(backend_requests, sl_array_len(backend_requests), request, &unknown);
	case VHOST_USER_KIND_BACKEND_REPLY:
		break;
	}
	return &number;
}

const char *sl_vhost_user_name(uint32_t request)
{
	return find(requests, sl_array_len(requests), request, &(struct shape){0})->name;
}

static int check_header(const struct vhost_user_msg *msg, enum vhost_user_kind kind)
{
	const struct shape *shape = shape_of(msg->request, kind);
	bool reply = kind == VHOST_USER_KIND_REPLY || kind == VHOST_USER_KIND_BACKEND_REPLY;

	if ((msg->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION)
		return sl_fail(EPROTO, "a message of vhost-user version %u, not %u",
			       msg->flags & VHOST_USER_VERSION_MASK, VHOST_USER_VERSION);
	if (!!(msg->flags & VHOST_USER_REPLY_MASK) != reply)
		return sl_fail(EPROTO, "%s (%u) %s the reply flag", shape->name, msg->request,
			       reply ? "without" : "with");
	if (msg->size < shape->least || msg->size > shape->most)
		return sl_fail(EPROTO, "%s (%u) with %u bytes of payload, not %u to %u",
			       shape->name, msg->request, msg->size, shape->least, shape->most);
	if (msg->n_fds < shape->fds_least || msg->n_fds > shape->fds_most)
		return sl_fail(EPROTO, "%s (%u) with %u descriptors, not %u to %u", shape->name,
			       msg->request, msg->n_fds, shape->fds_least, shape->fds_most);
	return 0;
}

/* Where the payload says how long it is, or how many descriptors came along. */
static int check_payload(const struct vhost_user_msg *msg)
{
	const char *name = sl_vhost_user_name(msg->request);
	uint32_t n;

	switch (msg->request) {
	case VHOST_USER_SET_MEM_TABLE:
		n = msg->payload.memory.nregions;
		if (n > VHOST_USER_MAX_FDS || n != msg->n_fds || msg->size != MEMORY_LEN(n))
			return sl_fail(EPROTO, "%s of %u regions with %u bytes and %u descriptors",
				       name, n, msg->size, msg->n_fds);
		break;
	case VHOST_USER_SET_VRING_KICK:
	case VHOST_USER_SET_VRING_CALL:
	case VHOST_USER_SET_VRING_ERR:
		n = !(msg->payload.u64 & VHOST_USER_VRING_NOFD_MASK);
		if (n != msg->n_fds)
			return sl_fail(EPROTO, "%s says that it has %s, and has %u", name,
				       n ? "a descriptor" : "no descriptor", msg->n_fds);
		break;
	case VHOST_USER_GET_CONFIG:
	case VHOST_USER_SET_CONFIG:
		n = msg->payload.config.size;
		if (n > VHOST_USER_CONFIG_MAX || msg->size != CONFIG_LEN(n))
			return sl_fail(EPROTO, "%s of %u bytes in a payload of %u", name, n,
				       msg->size);
		break;
	}
	return 0;
}

/* Read on, up to @end bytes of the message. Descriptors come with its first byte. */
static int read_to(int sock, struct vhost_user_reader *r, size_t end)
{
	unsigned had = r->msg.n_fds;
	uint8_t *to = r->got < VHOST_USER_HEADER_LEN
			      ? (uint8_t *)&r->msg + r->got
			      : r->msg.payload.bytes + (r->got - VHOST_USER_HEADER_LEN);
	ssize_t n = sl_unix_recv(sock, "vhost-user", to, end - r->got, r->msg.fds, &r->msg.n_fds,
				 VHOST_USER_MAX_FDS);

	if (n < 0)
		return (int)n;
	if (r->got && r->msg.n_fds > had)
		return sl_fail(EPROTO, "descriptors in the middle of a message");
	r->got += (size_t)n;
	return 0;
}

static int read_on(int sock, struct vhost_user_reader *r, enum vhost_user_kind kind)
{
	int ret = 0;

	while (!ret && r->got < VHOST_USER_HEADER_LEN)
		ret = read_to(sock, r, VHOST_USER_HEADER_LEN);
	if (!ret)
		ret = check_header(&r->msg, kind);
	while (!ret && r->got < VHOST_USER_HEADER_LEN + r->msg.size)
		ret = read_to(sock, r, VHOST_USER_HEADER_LEN + r->msg.size);
	if (!ret && kind == VHOST_USER_KIND_REQUEST)
		ret = check_payload(&r->msg);
	return ret;
}

int sl_vhost_user_recv(int sock, struct vhost_user_reader *reader, enum vhost_user_kind kind,
		       struct vhost_user_msg *msg)
{
	int ret = read_on(sock, reader, kind);

	if (ret == -EAGAIN)
		return ret;
	if (ret) {
		sl_vhost_user_reader_reset(reader);
		return ret;
	}
	*msg = reader->msg;
	*reader = (struct vhost_user_reader){0};
	return 0;
}

void sl_vhost_user_reader_reset(struct vhost_user_reader *reader)
{
	sl_vhost_user_drop(&reader->msg);
	*reader = (struct vhost_user_reader){0};
}

void sl_vhost_user_drop(struct vhost_user_msg *msg)
{
	for (unsigned i = 0; i < msg->n_fds; i++)
		sl_fd_close(&msg->fds[i]);
	msg->n_fds = 0;
}

int sl_vhost_user_take_fd(struct vhost_user_msg *msg, unsigned n)
{
	int fd = n < msg->n_fds ? msg->fds[n] : -1;

	if (fd >= 0)
		msg->fds[n] = -1;
	return fd;
}

/* So little is sent as a whole or not at all: it is one piece of a socket's buffer. */
int sl_vhost_user_send(int sock, const struct vhost_user_msg *msg)
{
	struct iovec from[] = {{(void *)(uintptr_t)msg, VHOST_USER_HEADER_LEN},
			       {(void *)(uintptr_t)msg->payload.bytes, msg->size}};
	int ret = sl_unix_send(sock, "vhost-user", from, sl_array_len(from), msg->fds, msg->n_fds,
			       SEND_MS);

	return ret == -EAGAIN ? -ETIMEDOUT : ret;
}
