/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both sides of a virtqueue against each other, and each against the naive one, in random steps:
 * sizes, features, shapes of buffers, orders of completion. What one adds the other gets, all of
 * it, in order, and back; a side that sleeps is woken when there is something for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "virtq_pair.h"

static void run_all(bool naive_driver, bool naive_device)
{
	static const uint16_t sizes[] = {1, 2, 3, 4, 7, 128, 256, 1000, 1024, 32768};

	seed = 7;
	for (unsigned i = 0; i < sl_array_len(sizes); i++)
		for (unsigned bits = 0; bits < 16; bits++) {
			struct pair p = {.naive_driver = naive_driver,
					 .naive_device = naive_device,
					 .options = {.size = sizes[i],
						     .packed = bits & 1,
						     .event_idx = bits & 2,
						     .in_order = bits & 4}};

			if (bits & 8)
				p.options.table_len = 1 + (uint16_t)below(sl_min(sizes[i], 8u));
			if (p.options.packed || !(sizes[i] & (sizes[i] - 1)))
				run_pair(&p);
		}
}

static void test_driver_naive(void **state)
{
	(void)state;
	run_all(false, true);
}

static void test_naive_device(void **state)
{
	(void)state;
	run_all(true, false);
}

static void test_driver_device(void **state)
{
	(void)state;
	run_all(false, false);
}

static void test_naive_naive(void **state)
{
	(void)state;
	run_all(true, true);
}

static int setup(void **state)
{
	struct sl_region region = {
		.len = TABLES + DATA_LEN, .fd = -1, .access = SL_REGION_READ | SL_REGION_WRITE};

	(void)state;
	region.base = memory = aligned_alloc(4096, TABLES + DATA_LEN);
	return !memory || sl_space_create(NULL, &space) ||
	       sl_space_map_at(space, (sl_iova){IOVA}, &region);
}

static int teardown(void **state)
{
	(void)state;
	sl_space_release(space);
	free(memory);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_naive_naive),
		cmocka_unit_test(test_driver_naive),
		cmocka_unit_test(test_naive_device),
		cmocka_unit_test(test_driver_device),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
