/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VDUSE over a UNIX socket, in place of /dev/vduse: docs/uduse.md. The socket is SOCK_SEQPACKET; a
 * message is a header, a payload, and at most one descriptor. The driver's side listens, and takes
 * one daemon at a time. Either end is hostile to the other: what comes out of here has a payload of
 * the length that belongs to it, and a descriptor only where one belongs; values are the reader's
 * to check.
 */
#ifndef SL_WIRE_UDUSE_H
#define SL_WIRE_UDUSE_H

#include "wire/vduse.h"

#define UDUSE_CONFIG_MAX 4096u /* bytes of configuration space, as VDUSE has it */
/* The longest: VDUSE_CREATE_DEV with a configuration space. */
#define UDUSE_PAYLOAD_MAX (sizeof(struct vduse_dev_config) + UDUSE_CONFIG_MAX)

/**
 * enum uduse_type - of a message
 * @UDUSE_CALL:     of the daemon: an ioctl of VDUSE, @command its number, the payload its argument;
 *                  a descriptor with VDUSE_VQ_SETUP_KICKFD alone. UDUSE_OPEN for open(2) of a
 * device that was created before
 * @UDUSE_RETURN:   to it: what the ioctl returned, the argument as it was filled in; a descriptor
 *                  with VDUSE_IOTLB_GET_FD alone. None for VDUSE_VQ_INJECT_IRQ, which threads call
 *                  that cannot wait
 * @UDUSE_REQUEST:  to the daemon: struct vduse_dev_request
 * @UDUSE_RESPONSE: of it: struct vduse_dev_response
 */
enum uduse_type {
	UDUSE_CALL = 1,
	UDUSE_RETURN = 2,
	UDUSE_REQUEST = 3,
	UDUSE_RESPONSE = 4,
};

/* The one call that is no ioctl: payload a name of VDUSE_NAME_MAX bytes. */
#define UDUSE_OPEN _IOW(VDUSE_BASE, 0x7f, char[VDUSE_NAME_MAX])

/**
 * struct uduse_header
 * @type:    enum uduse_type
 * @command: of a call and its return; else 0
 * @result:  of a return: 0, or a negative errno; else 0
 * @len:     of the payload
 */
struct uduse_header {
	uint32_t type, command;
	int32_t result;
	uint32_t len;
};

/** struct uduse_msg - a message; @fd: whoever holds the message owns it, -1: none */
struct uduse_msg {
	struct uduse_header header;
	union {
		uint64_t u64; /* API version, features */
		uint32_t u32; /* the queue of VDUSE_VQ_INJECT_IRQ */
		char name[VDUSE_NAME_MAX];
		struct vduse_dev_config create;
		struct vduse_config_data config;
		struct vduse_vq_config vq_config;
		struct vduse_vq_info vq_info;
		struct vduse_vq_eventfd eventfd;
		struct vduse_iotlb_entry entry;
		struct vduse_iova_info iova;
		struct vduse_dev_request request;
		struct vduse_dev_response response;
		uint8_t bytes[UDUSE_PAYLOAD_MAX];
	} payload;
	int fd;
};

/**
 * sl_uduse_recv() - one message, without blocking
 * @sock:   the socket
 * @daemon: it comes from a daemon (a call, a response); else from a driver's side
 * @msg:    filled in when 0 is returned; a descriptor is O_CLOEXEC and the caller's
 *
 * Return: 0; -EAGAIN; -ECONNRESET at the end of the stream; -EPROTO for a message that cannot be,
 * with a reason, all descriptors closed; or what recvmsg(2) says.
 */
int sl_uduse_recv(int sock, bool daemon, struct uduse_msg *msg);

/**
 * sl_uduse_send() - one message; its descriptor stays the caller's
 *
 * Waits up to @wait_ms for room.
 *
 * Return: 0; -EAGAIN when there was no room; what sendmsg(2) says (no SIGPIPE).
 */
int sl_uduse_send(int sock, const struct uduse_msg *msg, int wait_ms);

#endif
