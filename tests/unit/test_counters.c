/* SPDX-License-Identifier: BSD-2-Clause */
/* Counters: names, sums, and a reader beside the writer. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sluice/counters.h>

#include "base/count.h"

static void test_names(void **state)
{
	(void)state;
	for (unsigned a = 0; a < SL_DROP_COUNT; a++) {
		const char *name = sl_drop_name(a);

		assert_non_null(name);
		assert_true(strlen(name) > 1);
		/* JSON keys and words of a command line. */
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
		assert_true(name[0] != '-' && name[strlen(name) - 1] != '-');
		for (unsigned b = 0; b < a; b++)
			assert_string_not_equal(name, sl_drop_name(b));
	}
	assert_string_equal(sl_drop_name(SL_DROP_SOURCE), "source");
	assert_string_equal(sl_drop_name(SL_DROP_PEER_GONE), "peer-gone");
}

static void test_no_name(void **state)
{
	(void)state;
	assert_null(sl_drop_name(SL_DROP_COUNT));
	assert_null(sl_drop_name((enum sl_drop)1000));
	assert_null(sl_drop_name((enum sl_drop) - 1));
}

/* Every field is its own number: a struct of nothing but counters. */
#define FIELDS (sizeof(struct sl_count) / sizeof(uint64_t))

static void fill(struct sl_count *count, uint64_t times)
{
	uint64_t fields[FIELDS];

	for (unsigned n = 0; n < FIELDS; n++)
		fields[n] = times * (n + 1);
	memcpy(count, fields, sizeof(fields));
}

static void test_sum(void **state)
{
	struct sl_count sum = {0}, one, expected;

	(void)state;
	fill(&one, 1);
	for (uint64_t times = 1; times <= 5; times++) {
		sl_count_sum(&sum, &one);
		fill(&expected, times);
		assert_memory_equal(&sum, &expected, sizeof(sum));
	}
	fill(&expected, 1);
	assert_memory_equal(&one, &expected, sizeof(one));
	sl_count_sum(&sum, &(struct sl_count){0});
	fill(&expected, 5);
	assert_memory_equal(&sum, &expected, sizeof(sum));
}

static void test_sum_with_itself(void **state)
{
	struct sl_count sum, expected;

	(void)state;
	fill(&sum, 3);
	fill(&expected, 6);
	sl_count_sum(&sum, &sum);
	assert_memory_equal(&sum, &expected, sizeof(sum));
}

static void test_drops(void **state)
{
	struct sl_count count = {.packets = 100, .bytes = 200, .copied = 300, .cut = 400};

	(void)state;
	assert_int_equal(sl_count_drops(&count), 0);
	for (unsigned n = 0; n < SL_DROP_COUNT; n++)
		count.drops[n] = UINT64_C(1) << (3 * n);
	/* Each reason once: an octal digit. */
	assert_true(sl_count_drops(&count) == ((UINT64_C(1) << (3 * SL_DROP_COUNT)) - 1) / 7);
}

/*
 * One writes, one reads: what is read never goes back and is never torn. Each step adds to
 * both halves of a 64-bit value.
 */

#define STEP  0x100000001u
#define STEPS 200000u

static void *write_all(void *arg)
{
	struct sl_count *count = arg;

	for (unsigned n = 0; n < STEPS; n++) {
		sl_count_add(&count->packets, STEP);
		sl_count_add(&count->drops[SL_DROP_COUNT - 1], STEP);
	}
	return NULL;
}

static void test_reader(void **state)
{
	static struct sl_count count;
	uint64_t last = 0, drops = 0;
	pthread_t writer;

	(void)state;
	assert_int_equal(pthread_create(&writer, NULL, write_all, &count), 0);
	while (drops < (uint64_t)STEPS * STEP) {
		struct sl_count sum = {0};
		uint64_t now;

		sl_count_sum(&sum, &count);
		now = sl_count_drops(&count);
		assert_true(sum.packets >= last && now >= drops);
		assert_true(sum.packets >> 32 == (uint32_t)sum.packets);
		assert_true(now >> 32 == (uint32_t)now);
		last = sum.packets;
		drops = now;
	}
	pthread_join(writer, NULL);
	assert_true(drops == (uint64_t)STEPS * STEP);
	assert_true(sl_count_read(&count.packets) == drops);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), cmocka_unit_test(test_no_name),
		cmocka_unit_test(test_sum),   cmocka_unit_test(test_sum_with_itself),
		cmocka_unit_test(test_drops), cmocka_unit_test(test_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
