/* SPDX-License-Identifier: BSD-2-Clause */
/* vhost-user messages with their descriptors, over real sockets, from ends that are honest or not.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cmocka.h>
#include <sluice/reason.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "descriptors.h"
#include "wire/vhost_user.h"

static int ends[2]; /* 0 is ours */
static struct vhost_user_reader reader;
static unsigned open_before;

static int set_up(void **state)
{
	(void)state;
	open_before = descriptors();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	reader = (struct vhost_user_reader){0};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sl_vhost_user_reader_reset(&reader);
	sl_fd_close(&ends[0]);
	sl_fd_close(&ends[1]);
	assert_int_equal(descriptors(), open_before);
	return 0;
}

static struct vhost_user_msg message(uint32_t request, uint32_t flags, uint32_t size)
{
	return (struct vhost_user_msg){
		.request = request, .flags = flags | VHOST_USER_VERSION, .size = size};
}

/* @n descriptors, closed by drop(). */
static void add_fds(struct vhost_user_msg *msg, unsigned n)
{
	while (msg->n_fds < n)
		msg->fds[msg->n_fds++] = eventfd(0, EFD_CLOEXEC);
}

static void send_and_drop(struct vhost_user_msg *msg)
{
	assert_int_equal(sl_vhost_user_send(ends[1], msg), 0);
	sl_vhost_user_drop(msg);
}

/* From the other end, however wrong. */
static void send_raw(const void *bytes, size_t len, const int *fds, unsigned n)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(64 * sizeof(int))];
	} control = {{0}};
	struct iovec from = {(void *)(uintptr_t)bytes, len};
	struct msghdr m = {.msg_iov = &from, .msg_iovlen = 1};

	if (n) {
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, n * sizeof(int));
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	assert_int_equal(sendmsg(ends[1], &m, 0), len);
}

static int receive(enum vhost_user_kind kind, struct vhost_user_msg *msg)
{
	return sl_vhost_user_recv(ends[0], &reader, kind, msg);
}

static void assert_refused(const char *why)
{
	struct vhost_user_msg msg;

	assert_int_equal(receive(VHOST_USER_KIND_REQUEST, &msg), -EPROTO);
	assert_non_null(strstr(sl_reason(), why));
}

static void test_there_and_back(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_MEM_TABLE, 0, 8 + 8 * 32), got;

	(void)state;
	msg.payload.memory.nregions = 8;
	msg.payload.memory.regions[7].mmap_offset = 0x123456789abcdef0;
	add_fds(&msg, 8);
	assert_int_equal(receive(VHOST_USER_KIND_REQUEST, &got), -EAGAIN);
	send_and_drop(&msg);
	assert_int_equal(receive(VHOST_USER_KIND_REQUEST, &got), 0);
	assert_int_equal(got.request, VHOST_USER_SET_MEM_TABLE);
	assert_int_equal(got.n_fds, 8);
	assert_int_equal(got.payload.memory.regions[7].mmap_offset, 0x123456789abcdef0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(fcntl(got.fds[i], F_GETFD), FD_CLOEXEC);
	sl_vhost_user_drop(&got);

	msg = message(VHOST_USER_GET_INFLIGHT_FD, VHOST_USER_REPLY_MASK, 24);
	add_fds(&msg, 1);
	send_and_drop(&msg);
	assert_int_equal(receive(VHOST_USER_KIND_REPLY, &got), 0);
	assert_int_equal(got.n_fds, 1);
	sl_vhost_user_drop(&got);

	msg = message(VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 0, 0);
	send_and_drop(&msg);
	assert_int_equal(receive(VHOST_USER_KIND_BACKEND_REQUEST, &got), 0);
	msg = message(VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, VHOST_USER_REPLY_MASK, 8);
	send_and_drop(&msg);
	assert_int_equal(receive(VHOST_USER_KIND_BACKEND_REPLY, &got), 0);
}

/* Bytes may come in any portions: here, one by one, two messages in a row. */
static void test_byte_by_byte(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_VRING_KICK, 0, 8), got;
	uint8_t bytes[20];
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	memcpy(bytes, &msg, 12);
	for (uint64_t round = 0; round < 2; round++) {
		memcpy(bytes + 12, &round, 8);
		for (size_t i = 0; i < 19; i++) {
			send_raw(bytes + i, 1, &fd, !i);
			assert_int_equal(receive(VHOST_USER_KIND_REQUEST, &got), -EAGAIN);
		}
		send_raw(bytes + 19, 1, NULL, 0);
		assert_int_equal(receive(VHOST_USER_KIND_REQUEST, &got), 0);
		assert_int_equal(got.payload.u64, round);
		assert_int_equal(got.n_fds, 1);
		sl_vhost_user_drop(&got);
	}
	sl_fd_close(&fd);
}

/* Messages that lie in the socket one behind the other stay apart, with their descriptors. */
static void test_one_by_one(void **state)
{
	struct vhost_user_msg kick = message(VHOST_USER_SET_VRING_KICK, 0, 8),
			      owner = message(VHOST_USER_SET_OWNER, 0, 0), got;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		send_and_drop(&owner);
		add_fds(&kick, 1);
		send_and_drop(&kick);
	}
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(receive(VHOST_USER_KIND_REQUEST, &got), 0);
		assert_int_equal(got.n_fds, i & 1);
		sl_vhost_user_drop(&got);
	}
}

static void test_take(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_VRING_CALL, 0, 8), got;
	int fd, zero = dup(0);

	(void)state;
	add_fds(&msg, 1);
	send_and_drop(&msg);
	close(0); /* 0 is a descriptor like any other */
	assert_int_equal(receive(VHOST_USER_KIND_REQUEST, &got), 0);
	fd = sl_vhost_user_take_fd(&got, 0);
	assert_int_equal(fd, 0);
	assert_int_equal(sl_vhost_user_take_fd(&got, 0), -1);
	assert_int_equal(sl_vhost_user_take_fd(&got, 1), -1);
	sl_vhost_user_drop(&got);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	sl_fd_close(&fd);

	add_fds(&msg, 1);
	send_and_drop(&msg);
	assert_int_equal(receive(VHOST_USER_KIND_REQUEST, &got), 0);
	assert_int_equal(got.fds[0], 0);
	sl_vhost_user_drop(&got); /* what nobody took is closed, 0 too */
	assert_int_equal(fcntl(0, F_GETFD), -1);
	assert_int_equal(dup2(zero, 0), 0);
	sl_fd_close(&zero);
}

static void test_bad_headers(void **state)
{
	static const struct {
		uint32_t request, flags, size;
		unsigned fds;
		const char *why;
	} cases[] = {
		{VHOST_USER_SET_OWNER, 0, 0, 0, "version 0"},
		{VHOST_USER_SET_OWNER, 2, 0, 0, "version 2"},
		{VHOST_USER_SET_OWNER, 1 | VHOST_USER_REPLY_MASK, 0, 0, "with the reply flag"},
		{VHOST_USER_SET_FEATURES, 1, 7, 0, "7 bytes"},
		{VHOST_USER_SET_FEATURES, 1, 9, 0, "9 bytes"},
		{VHOST_USER_GET_FEATURES, 1, 8, 0, "8 bytes"},
		{VHOST_USER_SET_VRING_ADDR, 1, 39, 0, "39 bytes"},
		{VHOST_USER_SET_MEM_TABLE, 1, 8 + 9 * 32, 0, "296 bytes"},
		{VHOST_USER_SET_MEM_TABLE, 1, UINT32_MAX, 0, "4294967295 bytes"},
		{VHOST_USER_SET_CONFIG, 1, 12 + 257, 0, "269 bytes"},
		{VHOST_USER_GET_INFLIGHT_FD, 1, 19, 0, "19 bytes"},
		{VHOST_USER_GET_INFLIGHT_FD, 1, 25, 0, "25 bytes"},
		{VHOST_USER_SET_VRING_KICK, 1, 8, 2, "2 descriptors"},
		{VHOST_USER_SET_INFLIGHT_FD, 1, 24, 0, "0 descriptors"},
		{VHOST_USER_SET_INFLIGHT_FD, 1, 24, 2, "2 descriptors"},
		{VHOST_USER_SET_BACKEND_REQ_FD, 1, 0, 0, "0 descriptors"},
		{VHOST_USER_ADD_MEM_REG, 1, 40, 0, "0 descriptors"},
		{VHOST_USER_REM_MEM_REG, 1, 40, 2, "2 descriptors"},
		{VHOST_USER_GET_FEATURES, 1, 0, 1, "1 descriptors"},
		{VHOST_USER_SET_LOG_BASE, 1, 8, 1, "8 bytes"},
		{VHOST_USER_SET_LOG_BASE, 1, 16, 0, "0 descriptors"},
		{VHOST_USER_SET_LOG_FD, 1, 0, 0, "0 descriptors"},
		{VHOST_USER_SEND_RARP, 1, 6, 0, "6 bytes"},
		{VHOST_USER_NET_SET_MTU, 1, 8, 1, "1 descriptors"},
		{99, 1, 269, 0, "269 bytes"},
		{UINT32_MAX, 1, UINT32_MAX, 0, "4294967295 bytes"},
	};

	(void)state;
	for (size_t i = 0; i < sl_array_len(cases); i++) {
		struct vhost_user_msg msg =
			message(cases[i].request, 0, cases[i].size); /* the header goes alone */

		msg.flags = cases[i].flags;
		add_fds(&msg, cases[i].fds);
		send_raw(&msg, VHOST_USER_HEADER_LEN, msg.fds, msg.n_fds);
		sl_vhost_user_drop(&msg);
		assert_refused(cases[i].why);
	}
}

static void test_bad_payloads(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_MEM_TABLE, 0, 8 + 2 * 32);

	(void)state;
	msg.payload.memory.nregions = 2; /* of which one has no descriptor */
	add_fds(&msg, 1);
	send_and_drop(&msg);
	assert_refused("2 regions with 72 bytes and 1 descriptors");
	msg.payload.memory.nregions = 3; /* than there are bytes */
	add_fds(&msg, 3);
	send_and_drop(&msg);
	assert_refused("3 regions with 72 bytes");
	msg.payload.memory.nregions = 0x8000000; /* whose length passes 2^32 */
	send_and_drop(&msg);
	assert_refused("regions");

	msg = message(VHOST_USER_SET_VRING_CALL, 0, 8);
	send_and_drop(&msg);
	assert_refused("a descriptor, and has 0");
	msg.payload.u64 = VHOST_USER_VRING_NOFD_MASK;
	add_fds(&msg, 1);
	send_and_drop(&msg);
	assert_refused("no descriptor, and has 1");

	msg = message(VHOST_USER_SET_CONFIG, 0, 12 + 4);
	msg.payload.config.size = 5;
	send_and_drop(&msg);
	assert_refused("5 bytes in a payload of 16");
	msg.payload.config.size = 4 - 12u;
	send_and_drop(&msg);
	assert_refused("bytes in a payload of 16");
}

/* Requests that nobody knows come out, so that somebody can answer them. */
static void test_unknown(void **state)
{
	struct vhost_user_msg msg = message(99, 0, VHOST_USER_PAYLOAD_MAX), got;

	(void)state;
	add_fds(&msg, 3);
	msg.payload.bytes[VHOST_USER_PAYLOAD_MAX - 1] = 77;
	send_and_drop(&msg);
	assert_int_equal(receive(VHOST_USER_KIND_REQUEST, &got), 0);
	assert_int_equal(got.request, 99);
	assert_int_equal(got.payload.bytes[VHOST_USER_PAYLOAD_MAX - 1], 77);
	assert_int_equal(got.n_fds, 3);
	sl_vhost_user_drop(&got);
	assert_null(sl_vhost_user_name(99));
	assert_null(sl_vhost_user_name(0));
	assert_null(sl_vhost_user_name(UINT32_MAX));
	assert_string_equal(sl_vhost_user_name(VHOST_USER_GET_STATUS), "VHOST_USER_GET_STATUS");
}

static void test_replies(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_VRING_NUM, 0, 8), got;

	(void)state;
	send_raw(&msg, VHOST_USER_HEADER_LEN, NULL, 0);
	assert_int_equal(receive(VHOST_USER_KIND_REPLY, &got), -EPROTO);
	assert_non_null(strstr(sl_reason(), "without the reply flag"));
	msg = message(VHOST_USER_SET_VRING_NUM, VHOST_USER_REPLY_MASK, 4);
	send_raw(&msg, VHOST_USER_HEADER_LEN, NULL, 0);
	assert_int_equal(receive(VHOST_USER_KIND_REPLY, &got), -EPROTO);
	msg = message(VHOST_USER_GET_CONFIG, VHOST_USER_REPLY_MASK, 0); /* "an error" */
	send_and_drop(&msg);
	assert_int_equal(receive(VHOST_USER_KIND_REPLY, &got), 0);
}

/* More descriptors than any message has, and more than this process may have. */
static void test_too_many_descriptors(void **state)
{
	struct vhost_user_msg msg = message(99, 0, 0);
	struct rlimit limit, less;
	int fds[64];

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		fds[i] = ends[1];
	for (unsigned n = 9; n <= 64; n += 11) {
		send_raw(&msg, VHOST_USER_HEADER_LEN, fds, n);
		assert_refused("more than 8 descriptors");
	}
	send_raw(&msg, VHOST_USER_HEADER_LEN, fds, 8);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	less = (struct rlimit){(rlim_t)(ends[1] + 3), limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
	assert_refused("ulimit -n");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void test_descriptors_in_the_middle(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_MEM_TABLE, 0, 8 + 32), got;

	(void)state;
	msg.payload.memory.nregions = 1;
	send_raw(&msg, VHOST_USER_HEADER_LEN, NULL, 0);
	send_raw(msg.payload.bytes, 40, &ends[1], 1);
	assert_refused("in the middle");

	send_raw(&msg, 3, &ends[1], 1);
	assert_int_equal(receive(VHOST_USER_KIND_REQUEST, &got), -EAGAIN);
	send_raw((uint8_t *)&msg + 3, 2, &ends[1], 1);
	assert_refused("in the middle");
}

static void test_end(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_ADD_MEM_REG, 0, 40), got;
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	send_raw(&msg, 11, &fd, 1);
	assert_int_equal(receive(VHOST_USER_KIND_REQUEST, &got), -EAGAIN);
	sl_fd_close(&fd);
	sl_fd_close(&ends[1]);
	assert_int_equal(receive(VHOST_USER_KIND_REQUEST, &got), -ECONNRESET);
	assert_int_equal(receive(VHOST_USER_KIND_REQUEST, &got), -ECONNRESET);
	assert_int_equal(sl_vhost_user_send(ends[0], &msg), -EPIPE);
}

/* Somebody who never reads costs a second, and no more. */
static void test_full(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_GET_CONFIG, 0, VHOST_USER_PAYLOAD_MAX), got;
	unsigned sent = 0;
	int ret;

	(void)state;
	while (!(ret = sl_vhost_user_send(ends[1], &msg)))
		sent++;
	assert_int_equal(ret, -ETIMEDOUT);
	assert_true(sent > 10);
	msg.payload.config.size = VHOST_USER_CONFIG_MAX;
	for (; sent; sent--) /* none was cut off */
		assert_int_equal(receive(VHOST_USER_KIND_BACKEND_REQUEST, &got), 0);
	assert_int_equal(receive(VHOST_USER_KIND_BACKEND_REQUEST, &got), -EAGAIN);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_there_and_back),
		TEST(test_byte_by_byte),
		TEST(test_one_by_one),
		TEST(test_take),
		TEST(test_bad_headers),
		TEST(test_bad_payloads),
		TEST(test_unknown),
		TEST(test_replies),
		TEST(test_too_many_descriptors),
		TEST(test_descriptors_in_the_middle),
		TEST(test_end),
		TEST(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
