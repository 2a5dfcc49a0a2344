/* SPDX-License-Identifier: BSD-2-Clause */
/* The replay window against a model that remembers every id it was ever shown. */
#include "packets.h"

#include <errno.h>

#include "tunnel/replay.h"

#define STEPS 600u

struct model {
	uint32_t top;
	uint32_t ids[STEPS];
	unsigned n;
};

static int model_commit(struct model *m, uint32_t id)
{
	bool newest = id > m->top;

	if (!id || (uint64_t)id + REPLAY_WINDOW < m->top)
		return -EALREADY;
	for (unsigned i = 0; i < m->n; i++)
		if (m->ids[i] == id)
			return -EALREADY;
	m->ids[m->n++] = id;
	if (newest)
		m->top = id;
	return newest;
}

/* Ids where words and windows begin and end, around what came before; never beyond 32 bits. */
static uint32_t next_id(uint64_t *r, const struct model *m, uint32_t jump_max)
{
	static const uint32_t steps[] = {1,
					 2,
					 63,
					 64,
					 65,
					 128,
					 REPLAY_WINDOW - 64,
					 REPLAY_WINDOW - 1,
					 REPLAY_WINDOW,
					 REPLAY_WINDOW + 1,
					 REPLAY_WINDOW + 63,
					 REPLAY_WINDOW + 64,
					 REPLAY_WINDOW + 65,
					 2 * REPLAY_WINDOW};
	uint32_t step = steps[random_in(r, 0, sizeof(steps) / sizeof(steps[0]) - 1)];

	switch (random_in(r, 0, 7)) {
	case 0:
		return step > UINT32_MAX - m->top ? UINT32_MAX : m->top + step;
	case 1:
	case 2:
		return step > m->top ? 0 : m->top - step;
	case 3:
		return m->n ? m->ids[random_in(r, 0, m->n - 1)] : 0;
	case 4:
		step = random_in(r, 0, jump_max);
		return step > UINT32_MAX - m->top ? UINT32_MAX : m->top + step;
	case 5:
		return (uint32_t)random_next(r) % (m->top + (m->top < UINT32_MAX));
	default:
		step = random_in(r, 0, 200);
		return step > m->top ? step : m->top - step;
	}
}

static void test_against_model(void **state)
{
	(void)state;
	for (seed = 1; seed <= 3000; seed++) {
		uint64_t r = seed;
		struct replay replay = {0};
		struct model m = {0};
		uint32_t jump_max = 1u << random_in(&r, 1, 30);

		if (seed % 3 == 0) { /* near the end of 32 bits */
			uint32_t id = UINT32_MAX - random_in(&r, 0, 3 * REPLAY_WINDOW);

			want(sl_replay_commit(&replay, id) == model_commit(&m, id));
		}
		while (m.n < STEPS - 1 && random_in(&r, 0, 999)) {
			uint32_t id = next_id(&r, &m, jump_max);

			want(sl_replay_commit(&replay, id) == model_commit(&m, id));
			want(replay.top == m.top);
		}
	}
}

/* After a jump of each length, every id of the old window and of the new one. */
static void test_jumps(void **state)
{
	const uint32_t jumps[] = {1,
				  63,
				  64,
				  65,
				  REPLAY_WINDOW - 1,
				  REPLAY_WINDOW,
				  REPLAY_WINDOW + 1,
				  REPLAY_WINDOW + 64,
				  3 * REPLAY_WINDOW,
				  0x80000000};

	(void)state;
	for (uint32_t start = 3 * REPLAY_WINDOW - 70; start < 3 * REPLAY_WINDOW + 70; start += 7) {
		for (size_t n = 0; n < sizeof(jumps) / sizeof(jumps[0]); n++) {
			struct replay replay = {0};
			uint32_t top = start + jumps[n], oldest = top - REPLAY_WINDOW;

			seed = start;
			for (uint32_t id = 1; id <= start; id += 3)
				want(sl_replay_commit(&replay, id) == 1);
			want(sl_replay_commit(&replay, top) == 1);
			want(sl_replay_commit(&replay, oldest - 1) == -EALREADY);
			for (uint32_t id = oldest; id < top; id++)
				want(sl_replay_commit(&replay, id) ==
				     (id <= start && id % 3 == 1 ? -EALREADY : 0));
			want(sl_replay_commit(&replay, top) == -EALREADY);
		}
	}
}

static void test_ends_of_32_bits(void **state)
{
	struct replay replay = {0};

	(void)state;
	assert_int_equal(sl_replay_commit(&replay, 0), -EALREADY);
	assert_int_equal(sl_replay_commit(&replay, 1), 1);
	assert_int_equal(sl_replay_commit(&replay, 0), -EALREADY);
	assert_int_equal(sl_replay_commit(&replay, UINT32_MAX), 1);
	assert_int_equal(sl_replay_commit(&replay, UINT32_MAX), -EALREADY);
	assert_int_equal(sl_replay_commit(&replay, 0), -EALREADY);
	assert_int_equal(sl_replay_commit(&replay, 1), -EALREADY);
	assert_int_equal(sl_replay_commit(&replay, 2), -EALREADY);
	assert_int_equal(sl_replay_commit(&replay, UINT32_MAX - REPLAY_WINDOW), 0);
	assert_int_equal(sl_replay_commit(&replay, UINT32_MAX - REPLAY_WINDOW - 1), -EALREADY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_jumps),
		cmocka_unit_test(test_ends_of_32_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
