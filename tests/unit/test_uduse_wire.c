/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages of uduse, over real sockets, from ends that are honest or not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cmocka.h>

#include <sluice/reason.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "descriptors.h"
#include "wire/uduse.h"

#define HEADER sizeof(struct uduse_header)

static int ends[2]; /* 0 is ours */
static unsigned open_before;
static struct uduse_msg in, out;

static int set_up(void **state)
{
	(void)state;
	open_before = descriptors();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	memset(&out, 0, sizeof(out));
	out.fd = -1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sl_fd_close(&ends[0]);
	sl_fd_close(&ends[1]);
	assert_int_equal(descriptors(), open_before);
	return 0;
}

/* @len bytes of @out in all, with @n descriptors. */
static void send_raw(size_t len, unsigned n)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(4 * sizeof(int))];
	} control = {{0}};
	struct iovec from = {&out, len};
	struct msghdr m = {.msg_iov = &from, .msg_iovlen = 1};
	int fds[4];

	for (unsigned i = 0; i < n; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	if (n) {
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, n * sizeof(int));
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	assert_int_equal(sendmsg(ends[1], &m, 0), len);
	while (n)
		sl_fd_close(&fds[--n]);
}

static int exchange(uint32_t type, uint32_t command, int32_t result, uint32_t len, unsigned n)
{
	out.header = (struct uduse_header){type, command, result, len};
	send_raw(HEADER + len, n);
	return sl_uduse_recv(ends[0], type == UDUSE_CALL || type == UDUSE_RESPONSE, &in);
}

/* Of @len bytes it is taken, of one more or less it is not. */
static void check_len(uint32_t type, uint32_t command, uint32_t len, unsigned fds)
{
	assert_int_equal(exchange(type, command, 0, len, fds), 0);
	assert_int_equal(in.fd >= 0, fds);
	assert_int_equal(in.header.len, len);
	sl_fd_close(&in.fd);
	assert_int_equal(exchange(type, command, 0, len + 1, fds), -EPROTO);
	if (len)
		assert_int_equal(exchange(type, command, 0, len - 1, fds), -EPROTO);
	assert_int_equal(exchange(type, command, 0, len, fds + 1), -EPROTO);
	if (fds)
		assert_int_equal(exchange(type, command, 0, len, 0), -EPROTO);
}

static void test_lengths(void **state)
{
	(void)state;
	check_len(UDUSE_CALL, VDUSE_GET_API_VERSION, 0, 0);
	check_len(UDUSE_RETURN, VDUSE_GET_API_VERSION, 8, 0);
	check_len(UDUSE_CALL, VDUSE_SET_API_VERSION, 8, 0);
	check_len(UDUSE_RETURN, VDUSE_SET_API_VERSION, 0, 0);
	check_len(UDUSE_CALL, UDUSE_OPEN, VDUSE_NAME_MAX, 0);
	check_len(UDUSE_CALL, VDUSE_DEV_INJECT_CONFIG_IRQ, 0, 0);
	check_len(UDUSE_CALL, VDUSE_VQ_INJECT_IRQ, 4, 0);
	check_len(UDUSE_CALL, VDUSE_VQ_GET_INFO, sizeof(struct vduse_vq_info), 0);
	check_len(UDUSE_RETURN, VDUSE_VQ_GET_INFO, sizeof(struct vduse_vq_info), 0);
	check_len(UDUSE_CALL, VDUSE_IOTLB_GET_FD, sizeof(struct vduse_iotlb_entry), 0);
	check_len(UDUSE_RETURN, VDUSE_IOTLB_GET_FD, sizeof(struct vduse_iotlb_entry), 1);
	check_len(UDUSE_CALL, VDUSE_VQ_SETUP_KICKFD, sizeof(struct vduse_vq_eventfd), 1);
	out.payload.eventfd.fd = VDUSE_EVENTFD_DEASSIGN;
	check_len(UDUSE_CALL, VDUSE_VQ_SETUP_KICKFD, sizeof(struct vduse_vq_eventfd), 0);
	check_len(UDUSE_REQUEST, 0, 152, 0);
	check_len(UDUSE_RESPONSE, 0, 152, 0);
}

/* Two count their bytes themselves. */
static void test_counted(void **state)
{
	uint32_t create = sizeof(struct vduse_dev_config), set = sizeof(struct vduse_config_data);

	(void)state;
	check_len(UDUSE_CALL, VDUSE_CREATE_DEV, create, 0);
	out.payload.create.config_size = 60;
	check_len(UDUSE_CALL, VDUSE_CREATE_DEV, create + 60, 0);
	out.payload.create.config_size = UINT32_MAX;
	assert_int_equal(exchange(UDUSE_CALL, VDUSE_CREATE_DEV, 0, create, 0), -EPROTO);
	out.payload.create.config_size = UDUSE_CONFIG_MAX;
	assert_int_equal(exchange(UDUSE_CALL, VDUSE_CREATE_DEV, 0, create + UDUSE_CONFIG_MAX, 0),
			 0);
	memset(&out.payload, 0, sizeof(out.payload));
	check_len(UDUSE_CALL, VDUSE_DEV_SET_CONFIG, set, 0);
	out.payload.config.length = 7;
	check_len(UDUSE_CALL, VDUSE_DEV_SET_CONFIG, set + 7, 0);
	out.payload.config.length = UINT32_MAX - 7;
	assert_int_equal(exchange(UDUSE_CALL, VDUSE_DEV_SET_CONFIG, 0, set, 0), -EPROTO);
	/* What a message does not have is not looked at: this was said by the one before. */
	assert_int_equal(exchange(UDUSE_CALL, VDUSE_DEV_SET_CONFIG, 0, 3, 0), -EPROTO);
}

static void test_results(void **state)
{
	(void)state;
	assert_int_equal(exchange(UDUSE_RETURN, VDUSE_IOTLB_GET_FD, -EINVAL, 0, 0), 0);
	assert_int_equal(in.header.result, -EINVAL);
	assert_int_equal(exchange(UDUSE_RETURN, VDUSE_IOTLB_GET_FD, -EINVAL, 0, 1), -EPROTO);
	assert_int_equal(exchange(UDUSE_RETURN, VDUSE_IOTLB_GET_FD, -EINVAL, 32, 0), -EPROTO);
	assert_int_equal(exchange(UDUSE_RETURN, VDUSE_VQ_SETUP, 1, 0, 0), -EPROTO);
	assert_int_equal(exchange(UDUSE_RETURN, VDUSE_VQ_SETUP, INT32_MIN, 0, 0), -EPROTO);
	assert_int_equal(exchange(UDUSE_RETURN, VDUSE_VQ_SETUP, -4096, 0, 0), -EPROTO);
	assert_int_equal(exchange(UDUSE_RETURN, VDUSE_VQ_SETUP, -4095, 0, 0), 0);
	assert_int_equal(exchange(UDUSE_CALL, VDUSE_GET_API_VERSION, -1, 0, 0), -EPROTO);
	assert_int_equal(exchange(UDUSE_REQUEST, 0, -1, 152, 0), -EPROTO);
	assert_int_equal(exchange(UDUSE_RESPONSE, VDUSE_VQ_SETUP, 0, 152, 0), -EPROTO);
	assert_int_equal(exchange(UDUSE_CALL, 0, 0, 0, 0), -EPROTO);
	/* One that nobody knows has the shape that its number says. */
	assert_int_equal(exchange(UDUSE_CALL, _IOW(VDUSE_BASE, 0x55, uint64_t), 0, 8, 0), 0);
}

static void test_sides(void **state)
{
	static const uint32_t types[] = {0, UDUSE_CALL, UDUSE_RETURN, UDUSE_REQUEST, UDUSE_RESPONSE,
					 5};

	(void)state;
	for (unsigned i = 0; i < sl_array_len(types); i++) {
		uint32_t type = types[i];
		bool call = type == UDUSE_CALL || type == UDUSE_RETURN;

		for (unsigned daemon = 0; daemon < 2; daemon++) {
			bool ok = daemon ? type == UDUSE_CALL || type == UDUSE_RESPONSE
					 : type == UDUSE_RETURN || type == UDUSE_REQUEST;

			out.header = (struct uduse_header){
				type, call ? VDUSE_DEV_INJECT_CONFIG_IRQ : 0, 0, call ? 0 : 152};
			send_raw(HEADER + out.header.len, 0);
			assert_int_equal(sl_uduse_recv(ends[0], daemon, &in), ok ? 0 : -EPROTO);
		}
	}
}

static void test_no_message(void **state)
{
	static char large[sizeof(struct uduse_msg) + 4096];
	unsigned before = descriptors();

	(void)state;
	assert_int_equal(sl_uduse_recv(ends[0], true, &in), -EAGAIN);
	for (size_t len = 1; len < HEADER; len++) {
		send_raw(len, len % 2);
		assert_int_equal(sl_uduse_recv(ends[0], true, &in), -EPROTO);
	}
	assert_int_equal(send(ends[1], large, sizeof(large), 0), sizeof(large));
	assert_int_equal(sl_uduse_recv(ends[0], true, &in), -EPROTO);
	/* It says another length than it has. */
	out.header = (struct uduse_header){UDUSE_CALL, VDUSE_SET_API_VERSION, 0, 0};
	send_raw(HEADER + 8, 0);
	assert_int_equal(sl_uduse_recv(ends[0], true, &in), -EPROTO);
	out.header.len = 8;
	send_raw(HEADER, 0);
	assert_int_equal(sl_uduse_recv(ends[0], true, &in), -EPROTO);
	assert_int_equal(descriptors(), before);
	sl_fd_close(&ends[1]);
	assert_int_equal(sl_uduse_recv(ends[0], true, &in), -ECONNRESET);
}

static void test_many_descriptors(void **state)
{
	unsigned before = descriptors();

	(void)state;
	for (unsigned n = 2; n <= 4; n++)
		assert_int_equal(exchange(UDUSE_CALL, VDUSE_VQ_SETUP_KICKFD, 0,
					  sizeof(struct vduse_vq_eventfd), n),
				 -EPROTO);
	assert_int_equal(descriptors(), before);
}

/* A descriptor that this process has no room for is not "none". */
static void test_no_room_for_descriptor(void **state)
{
	struct rlimit was, none;
	int ret;

	(void)state;
	out.payload.eventfd.fd = 0;
	out.header = (struct uduse_header){UDUSE_CALL, VDUSE_VQ_SETUP_KICKFD, 0,
					   sizeof(struct vduse_vq_eventfd)};
	send_raw(HEADER + sizeof(struct vduse_vq_eventfd), 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){3, was.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	ret = sl_uduse_recv(ends[0], true, &in);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(ret, -EPROTO);
	assert_non_null(strstr(sl_reason(), "ulimit"));
}

static void test_send(void **state)
{
	int fd = eventfd(3, EFD_CLOEXEC), ret;
	uint64_t value = 0, before;

	(void)state;
	out.header = (struct uduse_header){UDUSE_CALL, VDUSE_VQ_SETUP_KICKFD, 0,
					   sizeof(struct vduse_vq_eventfd)};
	out.payload.eventfd.index = 9;
	out.fd = fd;
	assert_int_equal(sl_uduse_send(ends[1], &out, 0), 0);
	assert_int_equal(sl_uduse_recv(ends[0], true, &in), 0);
	assert_int_equal(in.payload.eventfd.index, 9);
	assert_int_equal(read(in.fd, &value, 8), 8);
	assert_int_equal(value, 3);
	sl_fd_close(&in.fd);
	sl_fd_close(&fd);
	/* It waits as long as it was told, and no message is there in part. */
	out = (struct uduse_msg){.header = {UDUSE_REQUEST, 0, 0, 152}, .fd = -1};
	while (!(ret = sl_uduse_send(ends[1], &out, 0)))
		;
	assert_int_equal(ret, -EAGAIN);
	before = sl_now_ns();
	assert_int_equal(sl_uduse_send(ends[1], &out, 30), -EAGAIN);
	assert_true(sl_now_ns() - before >= 30 * SL_NS_PER_MS);
	while (!(ret = sl_uduse_recv(ends[0], false, &in)))
		;
	assert_int_equal(ret, -EAGAIN);
	sl_fd_close(&ends[0]);
	assert_int_equal(sl_uduse_send(ends[1], &out, 0), -EPIPE);
}

#define WIRE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WIRE_TEST(test_lengths),
		WIRE_TEST(test_counted),
		WIRE_TEST(test_results),
		WIRE_TEST(test_sides),
		WIRE_TEST(test_no_message),
		WIRE_TEST(test_many_descriptors),
		WIRE_TEST(test_no_room_for_descriptor),
		WIRE_TEST(test_send),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
