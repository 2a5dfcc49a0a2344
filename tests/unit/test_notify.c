/* SPDX-License-Identifier: BSD-2-Clause */
/* Eventfds of somebody else. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/notify.h"
#include "rig.h"

static struct sl_notify notify;

static int down(void **state)
{
	(void)state;
	sl_notify_close(&notify);
	sl_notify_close(&notify);
	return 0;
}

static uint64_t count_of(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void test_signals(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK);

	(void)state;
	/* More than there is room for completions that nobody takes. */
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(sl_notify(&notify, fd), 0);
	assert_int_equal(count_of(fd), 5000);
	sl_fd_close(&fd);
}

/* Writing to it would wait for ever. */
static void test_full_and_blocking(void **state)
{
	const uint64_t most = UINT64_MAX - 1;
	int fd = eventfd(0, 0);

	(void)state;
	assert_int_equal(write(fd, &most, sizeof(most)), sizeof(most));
	for (unsigned i = 0; i < 100; i++)
		sl_notify(&notify, fd);
	assert_true(count_of(fd) >= most);
	assert_int_equal(sl_notify(&notify, fd), 0);
	assert_int_equal(count_of(fd), 1);
	sl_fd_close(&fd);
}

static void test_no_eventfd(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(sl_notify(&notify, pair[0]), -EINVAL);
	assert_int_equal(sl_notify(&notify, 12345), -EBADF);
	sl_fd_close(&pair[0]);
	sl_fd_close(&pair[1]);
}

#define SIGNALS 2000

static void *signaller(void *fd)
{
	for (unsigned i = 0; i < SIGNALS; i++)
		sl_notify(&notify, *(int *)fd);
	return NULL;
}

static void test_threads(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	pthread_t threads[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, signaller, &fd), 0);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	/* One that finds no room for its completion, twice, is not counted. */
	assert_in_range(count_of(fd), SIGNALS, 3 * SIGNALS);
	sl_fd_close(&fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_signals, down),
		cmocka_unit_test_teardown(test_full_and_blocking, down),
		cmocka_unit_test_teardown(test_no_eventfd, down),
		cmocka_unit_test_teardown(test_threads, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
