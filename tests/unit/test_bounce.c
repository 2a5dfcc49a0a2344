/* SPDX-License-Identifier: BSD-2-Clause */
/* A bounce pool: pieces do not overlap, all of them come back, and none that was not given. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "space/bounce.h"

#define LEN    (256 * BOUNCE_UNIT)
#define ROUNDS 200000
#define MOST   256

static uint8_t memory[LEN];
static struct bounce pool;

static int set_up(void **state)
{
	(void)state;
	return sl_bounce_open(&pool, memory, LEN);
}

static int tear_down(void **state)
{
	(void)state;
	sl_bounce_close(&pool);
	return 0;
}

static void test_len(void **state)
{
	(void)state;
	assert_int_equal(sl_bounce_len(1), BOUNCE_UNIT);
	assert_int_equal(sl_bounce_len(BOUNCE_UNIT), BOUNCE_UNIT);
	assert_int_equal(sl_bounce_len(BOUNCE_UNIT + 1), 2 * BOUNCE_UNIT);
	assert_int_equal(sl_bounce_len(1u << 30), 1u << 30);
	assert_int_equal(sl_bounce_len((1u << 30) + 1), 0);
}

static void test_whole_pool(void **state)
{
	uint32_t len;
	size_t at;
	void *buffer;

	(void)state;
	assert_int_equal(sl_bounce_take(&pool, NULL, LEN + 1, &at), -EMSGSIZE);
	assert_int_equal(sl_bounce_take(&pool, NULL, UINT32_MAX, &at), -EMSGSIZE);
	assert_int_equal(sl_bounce_take(&pool, memory, LEN - 3, &at), 0);
	assert_int_equal(sl_bounce_take(&pool, NULL, 0, &at), -ENOSPC);
	assert_int_equal(sl_bounce_give(&pool, 0, &buffer, &len), 0);
	assert_ptr_equal(buffer, memory);
	assert_int_equal(len, LEN - 3);
	assert_int_equal(sl_bounce_give(&pool, 0, &buffer, &len), -EINVAL);
}

static void test_smallest_pool(void **state)
{
	struct bounce small;
	uint32_t len;
	size_t at;
	void *buffer;

	(void)state;
	assert_int_equal(sl_bounce_open(&small, memory, BOUNCE_UNIT), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(sl_bounce_take(&small, NULL, 1, &at), 0);
		assert_int_equal(sl_bounce_take(&small, NULL, 1, &at), -ENOSPC);
		assert_int_equal(sl_bounce_give(&small, 0, &buffer, &len), 0);
	}
	sl_bounce_close(&small);
}

static void test_bad_give(void **state)
{
	uint32_t len;
	size_t at;
	void *buffer;

	(void)state;
	assert_int_equal(sl_bounce_take(&pool, NULL, 4 * BOUNCE_UNIT, &at), 0);
	assert_int_equal(sl_bounce_give(&pool, at + BOUNCE_UNIT, &buffer, &len), -EINVAL);
	assert_int_equal(sl_bounce_give(&pool, at + 1, &buffer, &len), -EINVAL);
	assert_int_equal(sl_bounce_give(&pool, LEN, &buffer, &len), -EINVAL);
	assert_int_equal(sl_bounce_give(&pool, SIZE_MAX - BOUNCE_UNIT + 1, &buffer, &len), -EINVAL);
	assert_int_equal(sl_bounce_give(&pool, at, &buffer, &len), 0);
}

struct piece {
	size_t at;
	uint32_t len;
	unsigned tag;
};

static size_t power(size_t len)
{
	size_t p = BOUNCE_UNIT;

	while (p < len)
		p *= 2;
	return p;
}

/* A byte for each unit says whose it is. */
static void paint(uint8_t *map, const struct piece *p, uint8_t from, uint8_t to)
{
	for (size_t u = p->at / BOUNCE_UNIT; u < (p->at + power(p->len)) / BOUNCE_UNIT; u++) {
		assert_int_equal(map[u], from);
		map[u] = to;
	}
}

/* Is there an aligned free piece? Then it must be given: buddies always merge. */
static bool has_room(const uint8_t *map, size_t len)
{
	size_t units = power(len) / BOUNCE_UNIT;

	for (size_t at = 0; at < LEN / BOUNCE_UNIT; at += units) {
		size_t n = 0;

		while (n < units && !map[at + n])
			n++;
		if (n == units)
			return true;
	}
	return false;
}

static void test_against_model(void **state)
{
	static uint8_t map[LEN / BOUNCE_UNIT];
	struct piece pieces[MOST];
	unsigned n = 0, full = 0;
	size_t at;

	(void)state;
	srandom(1);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t len = 1u + (uint32_t)random() % (BOUNCE_UNIT << random() % 7);
		struct piece p;
		uint32_t was;
		void *buffer;

		if (n && random() % 2) {
			unsigned k = (unsigned)random() % n;

			p = pieces[k];
			pieces[k] = pieces[--n];
			paint(map, &p, 1, 0);
			assert_int_equal(sl_bounce_give(&pool, p.at, &buffer, &was), 0);
			assert_int_equal(was, p.len);
			assert_ptr_equal(buffer, memory + p.tag);
			continue;
		}
		if (n == MOST)
			continue;
		p = (struct piece){.len = len, .tag = i % LEN};
		if (!has_room(map, len)) {
			assert_int_equal(sl_bounce_take(&pool, NULL, len, &at), -ENOSPC);
			full++;
			continue;
		}
		assert_int_equal(sl_bounce_take(&pool, memory + p.tag, len, &p.at), 0);
		paint(map, &p, 0, 1);
		pieces[n++] = p;
	}
	assert_true(full > 100);
	sl_bounce_clear(&pool);
	assert_int_equal(sl_bounce_take(&pool, NULL, LEN, &at), 0);
}

#define POOL_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_len),	      POOL_TEST(test_whole_pool),
		cmocka_unit_test(test_smallest_pool), POOL_TEST(test_bad_give),
		POOL_TEST(test_against_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
