/* SPDX-License-Identifier: BSD-2-Clause */
/* Arenas: size, content, alignment, and which pages they are made of. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <sluice/arena.h>
#include <sluice/reason.h>

#define MIB ((size_t)1 << 20)

static struct sl_arena *create(size_t len, uint16_t id)
{
	struct sl_arena *arena = NULL;

	if (sl_arena_create(len, id, &arena))
		fail_msg("%zu bytes: %s", len, sl_reason());
	return arena;
}

/* The first and last byte of every page are zero and can be written. */
static void check_memory(const struct sl_region *region)
{
	uint8_t *p = region->base;

	for (size_t at = 0; at < region->len; at += 4096) {
		assert_int_equal(p[at] | p[at + 4095], 0);
		p[at] = p[at + 4095] = 0xa5;
	}
}

static void check(size_t len)
{
	struct sl_arena *arena = create(len, 7);
	const struct sl_region *region = sl_arena_region(arena);
	size_t page = sl_arena_pages(arena) == SL_PAGES_HUGE ? 2 * MIB : 4096;

	assert_true(region->len >= len && region->len - len < page);
	assert_int_equal(region->len % page, 0);
	assert_int_equal((uintptr_t)region->base % (len >= 2 * MIB ? 2 * MIB : 4096), 0);
	check_memory(region);
	sl_arena_release(arena);
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = {1,	4095,	     4096,	  4097,
				       65536,	2 * MIB - 1, 2 * MIB,	  2 * MIB + 1,
				       3 * MIB, 4 * MIB,     16 * MIB + 1};

	(void)state;
	for (size_t n = 0; n < sizeof(sizes) / sizeof(*sizes); n++)
		check(sizes[n]);
}

/* Memory that was used and given back comes zeroed again. */
static void test_zeroed_again(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 50; n++)
		check(n % 2 ? 2 * MIB : 65536);
}

static void test_region(void **state)
{
	struct sl_arena *a = create(5000, 0), *b = create(2 * MIB, 65535);
	const struct sl_region *region = sl_arena_region(a);

	(void)state;
	assert_int_equal(region->id, 0);
	assert_int_equal(sl_arena_region(b)->id, 65535);
	assert_int_equal(region->fd, -1);
	assert_int_equal(region->offset, 0);
	assert_int_equal(region->access, SL_REGION_READ | SL_REGION_WRITE);
	assert_ptr_equal(sl_arena_region(a), region);
	check_memory(region);
	check_memory(sl_arena_region(b));
	sl_arena_release(a);
	sl_arena_release(b);
	sl_arena_release(NULL);
}

static void test_absurd_sizes(void **state)
{
	static const size_t invalid[] = {0, SIZE_MAX, SIZE_MAX - 4095, SIZE_MAX - 2 * MIB,
					 SIZE_MAX / 2 + 1};
	static const size_t too_much[] = {SIZE_MAX / 2, SIZE_MAX / 4, (size_t)1 << 50};
	struct sl_arena *none = NULL, *arena = none;

	(void)state;
	for (size_t n = 0; n < sizeof(invalid) / sizeof(*invalid); n++) {
		char number[32];

		snprintf(number, sizeof(number), "%zu bytes", invalid[n]);
		assert_int_equal(sl_arena_create(invalid[n], 0, &arena), -EINVAL);
		assert_non_null(strstr(sl_reason(), number));
	}
	for (size_t n = 0; n < sizeof(too_much) / sizeof(*too_much); n++) {
		assert_int_equal(sl_arena_create(too_much[n], 0, &arena), -ENOMEM);
		assert_non_null(strstr(sl_reason(), "no memory"));
	}
	assert_ptr_equal(arena, none);
}

static unsigned free_huge_pages(void)
{
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
	unsigned n = 0;

	if (file && fscanf(file, "%u", &n) != 1)
		n = 0;
	if (file)
		fclose(file);
	return n;
}

static void test_huge_pages(void **state)
{
	struct sl_arena *arena;

	(void)state;
	arena = create(2 * MIB + 1, 0);
	assert_int_equal(sl_arena_pages(arena), SL_PAGES_HUGE);
	assert_int_equal(sl_arena_region(arena)->len, 4 * MIB);
	check_memory(sl_arena_region(arena));
	sl_arena_release(arena);
}

/* More than are reserved: anonymous memory, never a SIGBUS when it is touched. */
static void test_fallback(void **state)
{
	struct sl_arena *arena = create((free_huge_pages() + 1) * 2 * MIB, 0);

	(void)state;
	assert_int_equal(sl_arena_pages(arena), SL_PAGES_THP);
	assert_int_equal((uintptr_t)sl_arena_region(arena)->base % (2 * MIB), 0);
	sl_arena_release(arena);
	arena = create(4096, 0);
	assert_int_equal(sl_arena_pages(arena), SL_PAGES_THP);
	sl_arena_release(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),	   cmocka_unit_test(test_zeroed_again),
		cmocka_unit_test(test_region),	   cmocka_unit_test(test_absurd_sizes),
		cmocka_unit_test(test_huge_pages), cmocka_unit_test(test_fallback),
	};

	/* Not skip(): cmocka 1.1 writes "not ok # SKIP", which meson takes for a failure. */
	if (free_huge_pages() < 2) {
		printf("# skipped: test_huge_pages: fewer than 2 are free (vm.nr_hugepages)\n");
		cmocka_set_skip_filter("test_huge_pages");
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
