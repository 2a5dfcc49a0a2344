/* SPDX-License-Identifier: BSD-2-Clause */
/* Logs: levels, silence, whole lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"

#define LEN_MAX 511

struct lines {
	unsigned count;
	enum sl_log_level level;
	char last[1024];
};

static void remember(void *ctx, enum sl_log_level level, const char *line)
{
	struct lines *lines = ctx;

	lines->count++;
	lines->level = level;
	snprintf(lines->last, sizeof(lines->last), "%s", line);
}

static void test_levels(void **state)
{
	(void)state;
	for (enum sl_log_level wanted = SL_LOG_ERROR; wanted <= SL_LOG_DEBUG; wanted++)
		for (enum sl_log_level said = SL_LOG_ERROR; said <= SL_LOG_DEBUG; said++) {
			struct lines lines = {0};
			const struct sl_log log = {remember, &lines, wanted};

			sl_log(&log, said, "%s %d", "line", 7);
			assert_int_equal(lines.count, said <= wanted);
			if (lines.count) {
				assert_int_equal(lines.level, said);
				assert_string_equal(lines.last, "line 7");
			}
		}
	assert_true(SL_LOG_ERROR < SL_LOG_WARN && SL_LOG_WARN < SL_LOG_INFO);
	assert_true(SL_LOG_INFO < SL_LOG_DEBUG);
}

static void test_silence(void **state)
{
	const struct sl_log nobody = {NULL, NULL, SL_LOG_DEBUG};

	(void)state;
	for (enum sl_log_level level = SL_LOG_ERROR; level <= SL_LOG_DEBUG; level++) {
		sl_log(NULL, level, "%s", "nobody hears");
		sl_log(&nobody, level, "%s", "nobody hears");
	}
}

static void test_long_lines(void **state)
{
	static char text[5000];
	struct lines lines = {0};
	const struct sl_log log = {remember, &lines, SL_LOG_INFO};

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	for (size_t len = LEN_MAX - 2; len <= LEN_MAX + 2; len++) {
		size_t expected = len < LEN_MAX ? len : LEN_MAX;

		sl_log(&log, SL_LOG_INFO, "%.*s", (int)len, text);
		assert_int_equal(strlen(lines.last), expected);
		assert_memory_equal(lines.last, text, expected);
	}
	sl_log(&log, SL_LOG_INFO, "%s", text);
	assert_int_equal(strlen(lines.last), LEN_MAX);
	sl_log(&log, SL_LOG_INFO, "short");
	assert_string_equal(lines.last, "short");
}

/* The text is data: what looks like a format in it is not one. */
static void test_percent(void **state)
{
	struct lines lines = {0};
	const struct sl_log log = {remember, &lines, SL_LOG_INFO};

	(void)state;
	sl_log(&log, SL_LOG_WARN, "%s", "%s%n%d");
	assert_string_equal(lines.last, "%s%n%d");
	sl_log(&log, SL_LOG_WARN, "%s", "");
	assert_string_equal(lines.last, "");
	assert_int_equal(lines.count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_percent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
