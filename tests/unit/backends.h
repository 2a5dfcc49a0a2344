/* SPDX-License-Identifier: BSD-2-Clause */
/* Every test once for each AEAD back end that this build has and this CPU can run. */
#ifndef SL_TESTS_BACKENDS_H
#define SL_TESTS_BACKENDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tunnel/aead.h"

#define BACKENDS_MAX	  4u
#define BACKEND_TESTS_MAX 32u

static const struct sl_aead_ops *backend; /* of the test that runs */

static inline int backend_setup(void **state)
{
	backend = *state;
	return 0;
}

static inline int backends_run(const struct CMUnitTest *tests, size_t n)
{
	static char names[BACKENDS_MAX][BACKEND_TESTS_MAX][80];
	static struct CMUnitTest all[BACKENDS_MAX * BACKEND_TESTS_MAX];
	const struct sl_aead_ops *ops;
	size_t count = 0;

	if (n > BACKEND_TESTS_MAX || sl_aead_at(BACKENDS_MAX))
		abort();
	for (unsigned b = 0; (ops = sl_aead_at(b)); b++) {
		if (!ops->usable(SL_CIPHER_AES_256_GCM)) {
			printf("# not run: %s, for want of another CPU\n", ops->name);
			continue;
		}
		for (size_t t = 0; t < n; t++) {
			snprintf(names[b][t], sizeof(names[b][t]), "%s, %s", tests[t].name,
				 ops->name);
			all[count++] = (struct CMUnitTest){.name = names[b][t],
							   .test_func = tests[t].test_func,
							   .setup_func = backend_setup,
							   .initial_state = (void *)(uintptr_t)ops};
		}
	}
	/* What cmocka_run_group_tests() is, for an array whose length is not in its type. */
	return _cmocka_run_group_tests("tests", all, count, NULL, NULL);
}

#endif
