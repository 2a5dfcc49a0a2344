/* SPDX-License-Identifier: BSD-2-Clause */
/* Reasons: one a thread, and nothing that is said of a failure harms it. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/reason.h"

#define LEN_MAX 511

static void *first_words(void *arg)
{
	const char *reason = sl_reason();

	return reason && !*reason ? arg : NULL;
}

static void test_nothing_yet(void **state)
{
	void *empty = NULL;
	int fine = 0;
	pthread_t thread;

	(void)state;
	sl_fail(EINVAL, "another thread's");
	assert_int_equal(pthread_create(&thread, NULL, first_words, &fine), 0);
	pthread_join(thread, &empty);
	assert_ptr_equal(empty, &fine);
	assert_string_equal(sl_reason(), "another thread's");
}

static void test_fail(void **state)
{
	(void)state;
	assert_int_equal(sl_fail(ENOENT, "%s is %d", "this", 42), -ENOENT);
	assert_string_equal(sl_reason(), "this is 42");
	assert_int_equal(sl_fail(EIO, "%%"), -EIO);
	assert_string_equal(sl_reason(), "%");
	errno = EACCES;
	assert_int_equal(sl_fail(errno, "%m"), -EACCES);
	assert_string_equal(sl_reason(), strerror(EACCES));
}

/* Errors are told in layers: the last reason is a part of the next. */
static void test_its_own_text(void **state)
{
	(void)state;
	sl_fail(EIO, "the disk is full");
	assert_int_equal(sl_fail(EINVAL, "port left: %s", sl_reason()), -EINVAL);
	assert_string_equal(sl_reason(), "port left: the disk is full");
	sl_fail(EINVAL, "%s, %s", sl_reason(), sl_reason() + 11);
	assert_string_equal(sl_reason(), "port left: the disk is full, the disk is full");
	for (unsigned n = 0; n < 20; n++)
		sl_fail(EINVAL, "%s %s", sl_reason(), sl_reason());
	assert_int_equal(strlen(sl_reason()), LEN_MAX);
}

static void test_long_texts(void **state)
{
	static char text[5000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	for (size_t len = LEN_MAX - 2; len <= LEN_MAX + 2; len++) {
		size_t expected = len < LEN_MAX ? len : LEN_MAX;

		assert_int_equal(sl_fail(EINVAL, "%.*s", (int)len, text), -EINVAL);
		assert_int_equal(strlen(sl_reason()), expected);
		assert_memory_equal(sl_reason(), text, expected);
	}
	sl_fail(EINVAL, "%s", text);
	assert_int_equal(strlen(sl_reason()), LEN_MAX);
	sl_fail(EINVAL, "short"); /* and nothing of the long one is left */
	assert_string_equal(sl_reason(), "short");
}

static void *fail_often(void *arg)
{
	uintptr_t bad = 0;

	for (unsigned n = 0; n < 20000; n++) {
		char expected[32] = "thread ";

		strcat(expected, arg);
		bad += sl_fail(EINVAL, "thread %s", (const char *)arg) != -EINVAL;
		bad += strcmp(sl_reason(), expected) != 0;
	}
	return (void *)bad;
}

static void test_per_thread(void **state)
{
	char names[4][2] = {"1", "2", "3", "4"};
	pthread_t threads[4];

	(void)state;
	sl_fail(EINVAL, "mine");
	for (unsigned n = 0; n < 4; n++)
		assert_int_equal(pthread_create(&threads[n], NULL, fail_often, names[n]), 0);
	for (unsigned n = 0; n < 4; n++) {
		void *bad;

		pthread_join(threads[n], &bad);
		assert_null(bad);
	}
	assert_string_equal(sl_reason(), "mine");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_yet),  cmocka_unit_test(test_fail),
		cmocka_unit_test(test_its_own_text), cmocka_unit_test(test_long_texts),
		cmocka_unit_test(test_per_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
