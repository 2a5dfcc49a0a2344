/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A side stops while an endpoint looks, between any two steps: src/link/side.c is compiled in
 * here, with a hook behind each of its stores and loads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/barrier.h"

static void stored(void);
static void loaded(void);

#undef sl_store_release
#define sl_store_release(p, v)                                                                     \
	do {                                                                                       \
		__atomic_store_n((p), (v), __ATOMIC_RELEASE);                                      \
		stored();                                                                          \
	} while (0)
#undef sl_load_acquire
#define sl_load_acquire(p)                                                                         \
	({                                                                                         \
		typeof(*(p)) v_ = __atomic_load_n((p), __ATOMIC_ACQUIRE);                          \
		loaded();                                                                          \
		v_;                                                                                \
	})

/* Not those of the library. */
#define sl_link_wake	   hooked_link_wake
#define sl_side_gone	   hooked_side_gone
#define sl_side_step	   hooked_side_step
#define sl_side_deadline   hooked_side_deadline
#define sl_endpoint_notice hooked_endpoint_notice

#include "base/memory.h"
#include "link/side.c"

static struct sl_link *the_link;
static struct side *side;
static struct endpoint looker, other;
static bool looks; /* behind each store */
static int stops;  /* behind that many loads, if positive */
static unsigned looked, stopped;

static void stored(void)
{
	if (!looks)
		return;
	looked++;
	sl_endpoint_notice(&looker, the_link, NULL);
}

static void loaded(void)
{
	if (stops > 0 && !--stops)
		sl_side_step(side, the_link, 0);
}

static void count_stop(struct sl_port *port)
{
	(void)port;
	stopped++;
}

static int make(void **state)
{
	static const struct sl_port_ops ops = {
		.size = sizeof(ops), .kind = "fake", .stop = count_stop};
	static struct sl_port port = {.ops = &ops};

	(void)state;
	the_link = sl_alloc_lines(sizeof(*the_link));
	if (!the_link)
		return -1;
	side = &the_link->sides[0];
	side->port = &port;
	side->epoch = 1;
	side->endpoints = 2;
	/* They know already that it is away: no worker has to be told. */
	looker = other = (struct endpoint){.side = side, .dead = true, .watch.fd = -1};
	looks = false;
	stops = 0;
	looked = stopped = 0;
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	free(the_link);
	return 0;
}

static void both_notice(void)
{
	sl_side_gone(side, the_link, "pulled");
	sl_endpoint_notice(&looker, the_link, NULL);
	assert_int_equal(side->noticed, 1);
	assert_int_equal(sl_side_step(side, the_link, 0), 0);
	sl_endpoint_notice(&other, the_link, NULL);
	assert_int_equal(side->noticed, 2);
}

/* It is up again, and goes again: it is not stopped before both have seen that. */
static void next_time(void)
{
	unsigned before = stopped;

	looks = false;
	stops = 0;
	assert_int_equal(side->noticed, 0);
	side->state = SIDE_UP;
	both_notice();
	assert_int_equal(stopped, before);
	assert_int_equal(sl_side_step(side, the_link, 0), 1);
	assert_int_equal(stopped, before + 1);
}

static void test_look_while_stopping(void **state)
{
	(void)state;
	both_notice();
	looks = true;
	assert_int_equal(sl_side_step(side, the_link, 0), 1);
	assert_int_equal(looked, 2);
	assert_int_equal(stopped, 1);
	next_time();
}

static void test_stop_while_looking(void **state)
{
	(void)state;
	both_notice();
	stops = 1; /* behind the first load of the next look */
	sl_endpoint_notice(&looker, the_link, NULL);
	assert_int_equal(stopped, 1);
	next_time();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_look_while_stopping, make, unmake),
		cmocka_unit_test_setup_teardown(test_stop_while_looking, make, unmake),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
