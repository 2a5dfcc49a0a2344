/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One side stores, then looks whether the other sleeps; the other says that it sleeps, then looks
 * for what was stored. Without a fence between, a processor may look first, and both sleep for
 * good: too rarely for a test with threads. So here the driver's stores wait in a buffer until its
 * fence, and the naive device takes its step after each of the driver's loads in turn.
 */
#define SL_BARRIER_MODEL "virtq_order_barrier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "virtq/driver.c"
#include "virtq/driver_packed.c"

#include "virtq_oracle.h"

static struct {
	void *at;
	uint64_t value;
	size_t len;
} held[8];
static unsigned n_held;
static bool holding; /* the driver is at work, not the device */
static int loads;    /* until the device takes its step; below 0: it has */
static void (*step)(void);
static struct virtq_driver vq;
static struct oracle device;
static struct oracle_chain chain;
static bool found, interrupted;
static uint8_t memory[1024] __attribute__((aligned(SL_LINE)));

void order_store(void *p, uint64_t value, size_t len)
{
	if (holding) {
		assert_true(n_held < sl_array_len(held));
		held[n_held].at = p;
		held[n_held].value = value;
		held[n_held++].len = len;
	} else {
		memcpy(p, &value, len);
	}
}

void order_fence(void)
{
	if (!holding)
		return;
	for (unsigned i = 0; i < n_held; i++)
		memcpy(held[i].at, &held[i].value, held[i].len);
	n_held = 0;
}

void order_loaded(void)
{
	if (!holding || loads-- != 0)
		return;
	holding = false;
	step();
	holding = true;
}

static void begin(int when, void (*what)(void))
{
	loads = when;
	step = what;
	found = interrupted = false;
	holding = true;
}

/* True when the device took its step. */
static bool end(void)
{
	order_fence();
	holding = false;
	return loads < 0;
}

static void open_queue(unsigned bits)
{
	struct virtq_options o = {.size = 8, .packed = bits & 1, .event_idx = bits & 2};
	struct virtq_elem elem = {{0x1000}, 16};

	memset(memory, 0, sizeof(memory));
	assert_int_equal(sl_virtq_open(&vq, &o, memory), 0);
	device = oracle_at(&o, memory, 0);
	oracle_device_ask(&device, false);
	sl_virtq_disarm(&vq);
	assert_int_equal(sl_virtq_add(&vq, &elem, 0, 1), 0);
}

static void device_sleeps(void)
{
	found = oracle_device_ask(&device, true);
}

static void test_publish(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 4; bits++) {
		int when = 0;

		for (bool stepped = true; stepped; when++) {
			bool notify;

			open_queue(bits);
			begin(when, device_sleeps);
			notify = sl_virtq_publish(&vq);
			stepped = end();
			assert_true(notify || found || !stepped);
			sl_virtq_close(&vq);
		}
		assert_true(when > 1);
	}
}

static void device_uses(void)
{
	interrupted = oracle_put(&device, chain.id, 1, 1);
}

static void test_arm(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 4; bits++) {
		int when = 0;

		for (bool stepped = true; stepped; when++) {
			bool some;

			open_queue(bits);
			sl_virtq_publish(&vq);
			assert_true(oracle_take(&device, &chain));
			begin(when, device_uses);
			some = sl_virtq_arm(&vq, 0);
			stepped = end();
			assert_true(some || interrupted || !stepped);
			sl_virtq_close(&vq);
		}
		assert_true(when > 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_publish),
		cmocka_unit_test(test_arm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
