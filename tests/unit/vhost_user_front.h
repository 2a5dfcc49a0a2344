/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The front end's end of a vhost-user connection, with memory of its own: what it says and hears.
 * Whoever includes this has the back end in the same thread.
 */
#ifndef SL_TESTS_VHOST_USER_FRONT_H
#define SL_TESTS_VHOST_USER_FRONT_H

#include <linux/virtio_config.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <sluice/guard.h>
#include <sluice/reason.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "descriptors.h"
#include "wire/vhost_user.h"

#define GUEST_AT     0x40000000ull     /* where the driver sees its memory */
#define GUEST_USER   0x7f1200000000ull /* where the front end has it */

#define BIT(feature) (UINT64_C(1) << (feature))
#define PROTOCOL(f)  BIT(VHOST_USER_PROTOCOL_F_##f)

/**
 * struct front - the front end, and what is around both ends
 * @path:  where the back end listens, in @folder
 * @guest: its memory, @memory the descriptor
 * @log:   what the back end has logged
 */
struct front {
	char folder[32], path[64];
	int sock, memory;
	struct vhost_user_reader reader;
	uint8_t *guest;
	size_t guest_len;
	char log[4096];
	struct sl_log to_log;
	unsigned descriptors;
};

static struct front front;

/* The back end goes on, until it has nothing to do. */
static inline void steps(void);

/*
 * The process around it.
 */

static inline void front_fault(int sig, siginfo_t *info, void *ctx)
{
	if (!sl_guard_handler(sig, info, ctx))
		signal(sig, SIG_DFL);
}

/* In the test itself: cmocka installs its own for each function. */
static inline void rig_guard(void)
{
	struct sigaction fault = {.sa_sigaction = front_fault, .sa_flags = SA_SIGINFO};

	sigaction(SIGBUS, &fault, NULL);
}

static inline void front_write_log(void *ctx, enum sl_log_level level, const char *line)
{
	size_t used = strlen(front.log);

	(void)ctx;
	(void)level;
	snprintf(front.log + used, sizeof(front.log) - used, "%s\n", line);
}

static inline bool logged(const char *what)
{
	return strstr(front.log, what);
}

static inline void front_open(size_t guest_len)
{
	front = (struct front){.folder = "/tmp/sluice-front-XXXXXX",
			       .sock = -1,
			       .guest_len = guest_len,
			       .to_log = {front_write_log, NULL, SL_LOG_DEBUG},
			       .descriptors = descriptors()};
	assert_non_null(mkdtemp(front.folder));
	snprintf(front.path, sizeof(front.path), "%s/sock", front.folder);
	front.memory = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(front.memory, (off_t)guest_len), 0);
	front.guest = mmap(NULL, guest_len, PROT_READ | PROT_WRITE, MAP_SHARED, front.memory, 0);
	assert_ptr_not_equal(front.guest, MAP_FAILED);
}

/* All else has been closed. */
static inline void front_close(void)
{
	sl_vhost_user_reader_reset(&front.reader);
	sl_fd_close(&front.sock);
	sl_fd_close(&front.memory);
	munmap(front.guest, front.guest_len);
	assert_int_equal(descriptors(), front.descriptors);
	assert_int_equal(access(front.path, F_OK), -1);
	assert_int_equal(rmdir(front.folder), 0);
}

/* -1: nobody listens. */
static inline int rig_connect(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, front.path, sizeof(front.path));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		sl_fd_close(&fd);
	return fd;
}

/*
 * Messages.
 */

static inline struct vhost_user_msg message(uint32_t request, uint32_t size)
{
	return (struct vhost_user_msg){
		.request = request, .flags = VHOST_USER_VERSION, .size = size};
}

static inline void say(const struct vhost_user_msg *msg)
{
	assert_int_equal(sl_vhost_user_send(front.sock, msg), 0);
	steps();
}

/* What comes back is in @msg. Returns as sl_vhost_user_recv(). */
static inline int hear(struct vhost_user_msg *msg)
{
	return sl_vhost_user_recv(front.sock, &front.reader, VHOST_USER_KIND_REPLY, msg);
}

/* Is the connection there, and nothing to be read from it? */
static inline bool silent(void)
{
	struct vhost_user_msg msg;

	return hear(&msg) == -EAGAIN;
}

static inline bool closed(void)
{
	struct vhost_user_msg msg;

	return hear(&msg) == -ECONNRESET;
}

/* For VHOST_USER_PROTOCOL_F_REPLY_ACK. Returns true for success. */
static inline bool ask(struct vhost_user_msg *msg)
{
	struct vhost_user_msg answer;

	msg->flags |= VHOST_USER_NEED_REPLY_MASK;
	say(msg);
	assert_int_equal(hear(&answer), 0);
	assert_int_equal(answer.request, msg->request);
	assert_int_equal(answer.flags, VHOST_USER_VERSION | VHOST_USER_REPLY_MASK);
	assert_int_equal(answer.size, 8);
	return !answer.payload.u64;
}

static inline bool ask_u64(uint32_t request, uint64_t value)
{
	struct vhost_user_msg msg = message(request, 8);

	msg.payload.u64 = value;
	return ask(&msg);
}

static inline bool ask_state(uint32_t request, uint32_t index, uint32_t num)
{
	struct vhost_user_msg msg = message(request, 8);

	msg.payload.state = (struct vhost_user_vring_state){index, num};
	return ask(&msg);
}

static inline bool ask_fd(uint32_t request, uint64_t value, int fd)
{
	struct vhost_user_msg msg = message(request, 8);

	msg.payload.u64 = value;
	msg.n_fds = fd >= 0;
	msg.fds[0] = fd;
	return ask(&msg);
}

static inline bool ask_bare(uint32_t request)
{
	struct vhost_user_msg msg = message(request, 0);

	return ask(&msg);
}

static inline uint64_t get_u64(uint32_t request)
{
	struct vhost_user_msg msg = message(request, 0);

	say(&msg);
	assert_int_equal(hear(&msg), 0);
	assert_int_equal(msg.request, request);
	assert_int_equal(msg.size, 8);
	return msg.payload.u64;
}

#endif
