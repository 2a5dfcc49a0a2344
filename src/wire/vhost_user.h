/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost-user messages with their descriptors over a UNIX socket, both ways ("Vhost-user Protocol"
 * of QEMU's documentation). The other end is hostile: what comes out of here has the payload and
 * the number of descriptors that belong to its request; the values in it are the reader's to check.
 */
#ifndef SL_WIRE_VHOST_USER_H
#define SL_WIRE_VHOST_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VHOST_USER_VERSION	       1u
#define VHOST_USER_VERSION_MASK	       3u
#define VHOST_USER_REPLY_MASK	       (1u << 2)
#define VHOST_USER_NEED_REPLY_MASK     (1u << 3)
#define VHOST_USER_F_PROTOCOL_FEATURES 30
#define VHOST_USER_MAX_FDS	       8   /* memory regions of VHOST_USER_SET_MEM_TABLE */
#define VHOST_USER_CONFIG_LEN	       12u /* before the bytes themselves */
#define VHOST_USER_CONFIG_MAX	       256
#define VHOST_USER_VRING_IDX_MASK      0xffu
#define VHOST_USER_VRING_NOFD_MASK     (1u << 8)
#define VHOST_USER_MEM_SLOTS	       32 /* that we have, VHOST_USER_GET_MAX_MEM_SLOTS */

/** enum vhost_user_request - of a front end */
enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_RESET_OWNER = 4,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_LOG_BASE = 6,
	VHOST_USER_SET_LOG_FD = 7,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SEND_RARP = 19,
	VHOST_USER_NET_SET_MTU = 20,
	VHOST_USER_SET_BACKEND_REQ_FD = 21,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
	VHOST_USER_GET_INFLIGHT_FD = 31,
	VHOST_USER_SET_INFLIGHT_FD = 32,
	VHOST_USER_RESET_DEVICE = 34,
	VHOST_USER_GET_MAX_MEM_SLOTS = 36,
	VHOST_USER_ADD_MEM_REG = 37,
	VHOST_USER_REM_MEM_REG = 38,
	VHOST_USER_SET_STATUS = 39,
	VHOST_USER_GET_STATUS = 40,
};

/** enum vhost_user_backend_request - of a back end */
enum vhost_user_backend_request {
	VHOST_USER_BACKEND_CONFIG_CHANGE_MSG = 2,
};

/** enum vhost_user_protocol_feature - bit numbers */
enum vhost_user_protocol_feature {
	VHOST_USER_PROTOCOL_F_MQ = 0,
	VHOST_USER_PROTOCOL_F_LOG_SHMFD = 1,
	VHOST_USER_PROTOCOL_F_RARP = 2,
	VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,
	VHOST_USER_PROTOCOL_F_NET_MTU = 4,
	VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5,
	VHOST_USER_PROTOCOL_F_CONFIG = 9,
	VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 12,
	VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13,
	VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
	VHOST_USER_PROTOCOL_F_STATUS = 16,
};

struct vhost_user_vring_state {
	uint32_t index, num;
};

struct vhost_user_vring_addr {
	uint32_t index, flags;
	uint64_t desc_user_addr, used_user_addr, avail_user_addr, log_guest_addr;
};

struct vhost_user_memory_region {
	uint64_t guest_phys_addr, memory_size, userspace_addr, mmap_offset;
};

struct vhost_user_memory {
	uint32_t nregions, padding;
	struct vhost_user_memory_region regions[VHOST_USER_MAX_FDS];
};

struct vhost_user_mem_reg {
	uint64_t padding;
	struct vhost_user_memory_region region;
};

struct vhost_user_config {
	uint32_t offset, size, flags;
	uint8_t region[VHOST_USER_CONFIG_MAX];
};

struct vhost_user_log {
	uint64_t mmap_size, mmap_offset;
};

/* 20 bytes by the specification; QEMU and DPDK pad it to 24, and QEMU takes nothing else. Both are
 * taken here; an answer is as long as its request. */
struct vhost_user_inflight {
	uint64_t mmap_size, mmap_offset;
	uint16_t num_queues, queue_size;
	uint32_t padding;
};

#define VHOST_USER_HEADER_LEN  12u
#define VHOST_USER_PAYLOAD_MAX (sizeof(struct vhost_user_config)) /* the longest */

/**
 * struct vhost_user_msg - a message, and the descriptors that came along
 * @fds: whoever holds the message owns them: sl_vhost_user_drop() closes what nobody took (-1)
 */
struct vhost_user_msg {
	uint32_t request, flags, size;
	union {
		uint64_t u64;
		struct vhost_user_vring_state state;
		struct vhost_user_vring_addr addr;
		struct vhost_user_memory memory;
		struct vhost_user_mem_reg mem_reg;
		struct vhost_user_config config;
		struct vhost_user_log log;
		struct vhost_user_inflight inflight;
		uint8_t bytes[VHOST_USER_PAYLOAD_MAX];
	} payload;
	unsigned n_fds;
	int fds[VHOST_USER_MAX_FDS];
};

/** enum vhost_user_kind - what a message is, which says what it must look like */
enum vhost_user_kind {
	VHOST_USER_KIND_REQUEST,	 /* of a front end */
	VHOST_USER_KIND_REPLY,		 /* to one: of a back end */
	VHOST_USER_KIND_BACKEND_REQUEST, /* of a back end, on the socket of SET_BACKEND_REQ_FD */
	VHOST_USER_KIND_BACKEND_REPLY,
};

/**
 * struct vhost_user_reader - a message that is on its way; bytes may come in any portions
 * @got: bytes of @msg that are there, header first
 */
struct vhost_user_reader {
	struct vhost_user_msg msg;
	size_t got;
};

/**
 * sl_vhost_user_recv() - read on, without blocking
 * @sock:   a UNIX stream socket
 * @reader: zeroed at first; keeps what is not whole yet
 * @kind:   what may come here
 * @msg:    filled in when 0 is returned; its descriptors are the caller's then (O_CLOEXEC)
 *
 * Return: 0; -EAGAIN; -ECONNRESET at the end of the stream, also in the middle of a message;
 * -EPROTO for a message that cannot be, with a reason: nothing more can be read then; or what
 * recvmsg(2) says. An unknown request is not an error here: it comes out with its payload (as far
 * as it fits in
 * @bytes; larger is -EPROTO), so that the reader can answer it.
 */
int sl_vhost_user_recv(int sock, struct vhost_user_reader *reader, enum vhost_user_kind kind,
		       struct vhost_user_msg *msg);

/** sl_vhost_user_reader_reset() - close what a reader still holds, and begin anew */
void sl_vhost_user_reader_reset(struct vhost_user_reader *reader);

/**
 * sl_vhost_user_send() - send a whole message
 * @sock: the socket
 * @msg:  @size bytes of payload, @n_fds descriptors, which stay the caller's
 *
 * Waits up to a second for room in the socket: messages are smaller than any socket's buffer, so
 * only an end that does not read at all makes it wait.
 *
 * Return: 0; -ETIMEDOUT; what sendmsg(2) says (no SIGPIPE).
 */
int sl_vhost_user_send(int sock, const struct vhost_user_msg *msg);

/** sl_vhost_user_drop() - close the descriptors that nobody took */
void sl_vhost_user_drop(struct vhost_user_msg *msg);

/** sl_vhost_user_take_fd() - the @n-th descriptor, now the caller's; -1 when there is none */
int sl_vhost_user_take_fd(struct vhost_user_msg *msg, unsigned n);

/** sl_vhost_user_name() - of a request, for sentences: "VHOST_USER_SET_VRING_NUM"; "request 99" is
 * the caller's when it is NULL */
const char *sl_vhost_user_name(uint32_t request);

#endif
