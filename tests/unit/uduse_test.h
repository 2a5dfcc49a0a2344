/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of uduse_rig.h, which fuzz targets have too. */
#ifndef SL_TESTS_UDUSE_TEST_H
#define SL_TESTS_UDUSE_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "uduse_rig.h"

static inline void until_connected(struct rig *r)
{
	assert_true(connects(r));
}

static inline int rig_set_up(void **state)
{
	static struct rig rig;

	assert_int_equal(rig_open(&rig), 0);
	*state = &rig;
	return 0;
}

static inline int rig_tear_down(void **state)
{
	struct rig *r = *state;

	assert_false(r->ended);
	rig_close_all(r);
	assert_int_equal(r->closed, 1);
	return 0;
}

#define RIG_TEST(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

#endif
