/* SPDX-License-Identifier: BSD-2-Clause */
/* A vhost-user back end: where it listens or connects, and front ends that come and go. */
#include <sys/resource.h>

#include "vhost_user_driver.h"

#define FEATURES (OWN | BIT(VIRTIO_F_VERSION_1))

static char via[256];

static int offer(const char *more)
{
	snprintf(via, sizeof(via), "vhost-user:path=%s%s", front.path, more);
	return rig_offer(via);
}

/* A socket at the path, of somebody else's. */
static int listen_there(mode_t mode)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", front.path);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void assert_there(void)
{
	assert_int_equal(get_u64(VHOST_USER_GET_QUEUE_NUM), RIG_QUEUES);
}

static void test_mode(void **state)
{
	struct stat st;
	mode_t mask = umask(0);

	(void)state;
	assert_int_equal(offer(""), 0);
	umask(mask);
	assert_int_equal(stat(front.path, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0600);
	assert_int_equal(sl_offer_get_state(rig.offer), SL_OFFER_FENCED);
	steps();
	assert_int_equal(sl_offer_get_state(rig.offer), SL_OFFER_WAITING);
	front.sock = rig_connect();
	steps();
	assert_int_equal(sl_offer_get_state(rig.offer), SL_OFFER_SET_UP);
	assert_there();
}

/* What a killed process has left behind is removed; nothing else is. */
static void test_stale(void **state)
{
	int fd = listen_there(0600), more[8];
	unsigned n = 0;

	(void)state;
	assert_int_equal(offer(""), -EADDRINUSE);
	assert_non_null(strstr(sl_reason(), "another process listens at"));
	/* Also when it is so busy that nobody gets through. */
	while (n < 8 &&
	       (more[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) >= 0) {
		struct sockaddr_un address = {.sun_family = AF_UNIX};

		snprintf(address.sun_path, sizeof(address.sun_path), "%s", front.path);
		if (connect(more[n++], (struct sockaddr *)&address, sizeof(address)))
			break;
	}
	assert_true(n < 8);
	assert_int_equal(offer(""), -EADDRINUSE);
	while (n--)
		sl_fd_close(&more[n]);
	sl_fd_close(&fd);
	assert_int_equal(access(front.path, F_OK), 0);
	assert_int_equal(offer(""), 0);
	front.sock = rig_connect();
	steps();
	assert_there();
}

static void test_no_socket(void **state)
{
	int fd = open(front.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	assert_int_equal(write(fd, "mine", 4), 4);
	sl_fd_close(&fd);
	assert_int_equal(offer(""), -EADDRINUSE);
	assert_non_null(strstr(sl_reason(), "is no socket"));
	assert_int_equal(access(front.path, F_OK), 0);
	unlink(front.path);
	assert_int_equal(mkdir(front.path, 0700), 0);
	assert_int_equal(offer(""), -EADDRINUSE);
	rmdir(front.path);
	assert_int_equal(symlink("/dev/null", front.path), 0);
	assert_int_equal(offer(""), -EADDRINUSE);
	unlink(front.path);
}

/* Somebody took our place at the path: what is there then is not ours to remove. */
static void test_replaced(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(offer(""), 0);
	unlink(front.path);
	fd = listen_there(0600);
	sl_offer_release(rig.offer);
	rig.offer = NULL;
	assert_int_equal(access(front.path, F_OK), 0);
	sl_fd_close(&fd);
	unlink(front.path);
}

static void test_bad_arguments(void **state)
{
	static const struct {
		const char *via, *why;
	} cases[] = {
		{"vhost-user:", "one of path=SOCK and fd=N"},
		{"vhost-user:path=/tmp/a,fd=3", "one of path=SOCK and fd=N"},
		{"vhost-user:fd=3,mode=connect", "mode= does not go with fd="},
		{"vhost-user:path=/tmp/a,mode=both", "mode"},
		{"vhost-user:path=/nowhere/sock", "/nowhere/sock"},
		{"vhost-user:fd=1000000", "descriptor 1000000 is not open"},
		{"vhost-user:path=", "path"},
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sl_array_len(cases); i++) {
		assert_true(rig_offer(cases[i].via) < 0);
		assert_non_null(strstr(sl_reason(), cases[i].why));
	}
	snprintf(via, sizeof(via), "vhost-user:path=/tmp/%0120d", 0);
	assert_int_equal(rig_offer(via), -EINVAL);
	snprintf(text, sizeof(text), "vhost-user:fd=%d", front.memory);
	assert_int_equal(rig_offer(text), -EINVAL);
	assert_non_null(strstr(sl_reason(), "no UNIX stream socket"));
}

/* One at a time; the others hear that at once. */
static void test_one_at_a_time(void **state)
{
	int other;

	(void)state;
	assert_int_equal(offer(""), 0);
	steps();
	front.sock = rig_connect();
	steps();
	for (unsigned i = 0; i < 30; i++) {
		char byte;

		other = rig_connect();
		steps();
		assert_int_equal(read(other, &byte, 1), 0);
		sl_fd_close(&other);
	}
	assert_true(logged("another front end is turned away"));
	assert_there();
	/* One that comes in the moment in which the first goes is not turned away. */
	other = rig_connect();
	sl_fd_close(&front.sock);
	front.sock = other;
	steps();
	assert_there();
	assert_true(logged("30 front ends turned away"));
	/* Nor when the first had much to say, and is not known to be gone. */
	for (unsigned i = 0; i < 20; i++) {
		struct vhost_user_msg msg = message(VHOST_USER_SET_OWNER, 0);

		for (unsigned n = 0; n < i * 10; n++)
			assert_int_equal(sl_vhost_user_send(front.sock, &msg), 0);
		sl_fd_close(&front.sock);
		front.sock = rig_connect();
		steps();
		assert_there();
	}
}

/* Requests come to an end before the memory goes, and the next front end begins from nothing. */
static void test_disconnect(void **state)
{
	uint64_t before;

	(void)state;
	assert_int_equal(offer(""), 0);
	steps();
	front.sock = rig_connect();
	steps();
	start_device(FEATURES);
	rig.model.hold = true;
	make_available(0, 2);
	sl_fd_close(&front.sock);
	steps();
	assert_int_equal(rig.model.regions, 1);
	assert_true(runs(0));
	front.sock = rig_connect(); /* waits until that is over */
	steps();
	assert_int_equal(sl_offer_get_state(rig.offer), SL_OFFER_RUNNING);
	rig.model.hold = false;
	rig_give_back();
	steps();
	assert_int_equal(used(0), 2);
	assert_int_equal(rig.model.regions, 0);
	assert_int_equal(sl_offer_get_state(rig.offer), SL_OFFER_SET_UP);
	before = descriptors();
	for (unsigned i = 0; i < 5; i++) {
		assert_false(runs(0));
		start_device(FEATURES);
		make_available(0, 1);
		assert_int_equal(used(0), 3 + i);
		assert_int_equal(rig.model.started, 2 + i);
		sl_fd_close(&front.sock);
		steps();
		front.sock = rig_connect();
		steps();
	}
	assert_int_equal(descriptors(), before);
}

/* The first @len bytes of a message, and a descriptor. */
static void send_part(const struct vhost_user_msg *msg, size_t len)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.head = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	uint8_t bytes[VHOST_USER_HEADER_LEN + 8] = {0};
	struct iovec from = {bytes, len};
	struct msghdr m = {NULL, 0, &from, 1, &control, sizeof(control.room), 0};

	memcpy(bytes, msg, VHOST_USER_HEADER_LEN);
	memcpy(CMSG_DATA(&control.head), &rig.call[0], sizeof(int));
	assert_int_equal(sendmsg(front.sock, &m, 0), len);
}

/* Before a message is whole, in the middle of an answer that waits, with descriptors that nobody
 * took. */
static void test_disconnect_midway(void **state)
{
	struct vhost_user_msg msg;
	uint64_t before;

	(void)state;
	assert_int_equal(offer(""), 0);
	steps();
	before = descriptors();
	for (size_t len = 1; len < VHOST_USER_HEADER_LEN + 8; len++) {
		msg = message(VHOST_USER_SET_VRING_CALL, 8);
		front.sock = rig_connect();
		steps();
		send_part(&msg, len);
		steps();
		sl_fd_close(&front.sock);
		steps();
		assert_int_equal(descriptors(), before);
	}
	front.sock = rig_connect();
	start_device(FEATURES);
	rig.model.hold = true;
	make_available(0, 1);
	assert_int_equal(get_base(0), -1);
	sl_fd_close(&front.sock);
	steps();
	rig_give_back();
	steps();
	assert_int_equal(sl_offer_get_state(rig.offer), SL_OFFER_WAITING);
	assert_int_equal(descriptors(), before);
}

static void wait_ms(unsigned ms)
{
	struct pollfd p = {.fd = sl_worker_fd(rig.worker), .events = POLLIN};

	steps();
	assert_int_equal(poll(&p, 1, (int)ms), 1);
	steps();
}

/* It tries again and again, and does not burn the processor in between. */
static void test_connect(void **state)
{
	struct sl_worker_stats stats;
	int fd;

	(void)state;
	assert_int_equal(offer(",mode=connect"), 0);
	steps();
	assert_true(logged("cannot connect"));
	for (unsigned i = 0; i < 2; i++)
		wait_ms(2000);
	sl_worker_get_stats(rig.worker, &stats);
	assert_true(stats.rounds < 30);
	fd = listen_there(0600);
	wait_ms(2000);
	front.sock = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	steps();
	start_device(FEATURES);
	make_available(0, 1);
	assert_int_equal(used(0), 1);
	sl_fd_close(&front.sock);
	steps();
	assert_int_equal(sl_offer_get_state(rig.offer), SL_OFFER_WAITING);
	wait_ms(2000);
	front.sock = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	steps();
	assert_there();
	sl_fd_close(&fd);
	unlink(front.path);
}

/* A descriptor in place of a path: one that listens. */
static void test_adopt_listener(void **state)
{
	int fd = listen_there(0600);

	(void)state;
	snprintf(via, sizeof(via), "vhost-user:fd=%d", fd);
	assert_int_equal(rig_offer(via), 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	steps();
	for (unsigned i = 0; i < 2; i++) {
		front.sock = rig_connect();
		steps();
		assert_there();
		sl_fd_close(&front.sock);
		steps();
	}
	sl_offer_release(rig.offer);
	rig.offer = NULL;
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(unlink(front.path), 0); /* not ours, and still there */
}

/* One that is connected: when it ends, so does the offer. */
static void test_adopt_connection(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	snprintf(via, sizeof(via), "vhost-user:fd=%d", ends[1]);
	assert_int_equal(rig_offer(via), 0);
	front.sock = ends[0];
	steps();
	start_device(FEATURES);
	make_available(0, 1);
	assert_int_equal(used(0), 1);
	assert_false(rig.ended);
	sl_fd_close(&front.sock);
	steps();
	assert_true(rig.ended);
	assert_int_equal(sl_offer_get_state(rig.offer), SL_OFFER_ENDED);
	assert_true(logged("the front end of fd= is gone"));
}

/* A stop waits for what is in flight, and leaves nothing behind. */
static void test_stop(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_VRING_CALL, 8);

	(void)state;
	assert_int_equal(offer(""), 0);
	steps();
	front.sock = rig_connect();
	start_device(FEATURES);
	make_available(0, 1);
	send_part(&msg, 15); /* with a descriptor */
	steps();
	assert_int_equal(sl_offer_stop(rig.offer), 0);
	assert_int_equal(hear(&msg), -ECONNRESET);
	assert_int_equal(rig.model.regions, 0);
	assert_int_equal(sl_offer_stop(rig.offer), 0);
	sl_fd_close(&front.sock);
	sl_offer_release(rig.offer);
	rig.offer = NULL;
	assert_int_equal(access(front.path, F_OK), -1);
}

/* When this process may open no more, it does not spin; it goes on once it may. */
static void test_no_descriptors(void **state)
{
	struct sl_worker_stats before, after;
	struct rlimit limit, less;

	(void)state;
	assert_int_equal(offer(""), 0);
	steps();
	front.sock = rig_connect();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	less = (struct rlimit){(rlim_t)front.sock, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
	steps();
	sl_worker_get_stats(rig.worker, &before);
	wait_ms(2000);
	sl_worker_get_stats(rig.worker, &after);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(logged("accept()"));
	assert_true(after.rounds - before.rounds < 10);
	wait_ms(2000);
	assert_there();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_bare, rig_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_mode),
		TEST(test_stale),
		TEST(test_no_socket),
		TEST(test_replaced),
		TEST(test_bad_arguments),
		TEST(test_one_at_a_time),
		TEST(test_disconnect),
		TEST(test_disconnect_midway),
		TEST(test_connect),
		TEST(test_adopt_listener),
		TEST(test_adopt_connection),
		TEST(test_stop),
		TEST(test_no_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
