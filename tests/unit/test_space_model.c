/* SPDX-License-Identifier: BSD-2-Clause */
/* Random operations on spaces, compared with a model after each: space_model.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "space_model.h"

#define LIVES 12000u
#define BYTES 2048u /* some 500 operations */

static uint64_t seed = 0x9e3779b97f4a7c15;

/* xorshift64* */
static uint8_t random_byte(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint8_t)((seed * UINT64_C(0x2545f4914f6cdd1d)) >> 56);
}

static void test_lives(void **state)
{
	uint8_t bytes[BYTES];

	(void)state;
	for (unsigned n = 0; n < LIVES; n++) {
		for (unsigned i = 0; i < BYTES; i++)
			bytes[i] = random_byte();
		model_run(bytes, BYTES >> n % 4);
	}
	printf("# %llu calls: %llu mapped, %llu of them placed, %llu looked up, %llu refused by users\n",
	       (unsigned long long)model.calls, (unsigned long long)model.mapped,
	       (unsigned long long)model.placed, (unsigned long long)model.looked_up,
	       (unsigned long long)model.refused);
	assert_true(model.calls > 2000000);
	assert_true(model.mapped > LIVES * 10 && model.placed > LIVES);
	assert_true(model.looked_up > LIVES * 5 && model.refused > LIVES / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lives)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
