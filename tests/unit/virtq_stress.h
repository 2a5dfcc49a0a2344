/* SPDX-License-Identifier: BSD-2-Clause */
/* A driver and a device in two threads. Each sleeps when it has nothing to do, and only the other
 * wakes it. */
#ifndef SL_TESTS_VIRTQ_STRESS_H
#define SL_TESTS_VIRTQ_STRESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <sluice/space.h>

#include "base/bytes.h"
#include "virtq/device.h"
#include "virtq/driver.h"

#define SIZE	64u
#define HANG_MS 20000
#define IOVA	0x10000u

static struct virtq_driver driver;
static struct virtq_device *device;
static int kick, call; /* to the device, to the driver */
static uint32_t gone;  /* the driver has all back */
static const char *wrong;
static unsigned slept[2]; /* the device, the driver */

static inline bool wait_for(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t count;

	slept[fd == call]++;
	return poll(&p, 1, HANG_MS) == 1 && read(fd, &count, sizeof(count)) == sizeof(count);
}

static inline void wake(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		wrong = "write to an eventfd";
}

static inline unsigned below(uint64_t *seed, unsigned n)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)((*seed >> 33) % n);
}

/* In @shared, which begins with the driver's indirect tables. */
static inline void run_both(struct virtq_options o, void *shared, size_t shared_len,
			    void *(*run_device)(void *), void (*run_driver)(void))
{
	struct virtq_layout layout = sl_virtq_layout(SIZE, o.packed);
	size_t len = (layout.len + SL_LINE - 1) & ~(size_t)(SL_LINE - 1);
	uint8_t *ring = aligned_alloc(SL_LINE, len);
	struct virtq_setup setup = {.size = SIZE,
				    .packed = o.packed,
				    .event_idx = o.event_idx,
				    .in_order = o.in_order,
				    .indirect = o.table_len,
				    .desc = ring,
				    .driver = ring + layout.avail,
				    .device = ring + layout.used,
				    .state = {.avail_wrap = true, .used_wrap = true}};
	struct sl_region region = {.base = shared, .len = shared_len, .fd = -1, .access = 3};
	struct sl_space *space = NULL;
	pthread_t thread;

	assert_true(ring && !sl_space_create(NULL, &space));
	memset(ring, 0, len);
	memset(shared, 0, shared_len);
	assert_int_equal(sl_space_map_at(space, (sl_iova){IOVA}, &region), 0);
	setup.space = space;
	o.size = SIZE;
	o.tables = shared;
	o.iova.value = IOVA;
	gone = 0;
	slept[0] = slept[1] = 0;
	kick = eventfd(0, 0);
	call = eventfd(0, 0);
	assert_int_equal(sl_virtq_open(&driver, &o, ring), 0);
	assert_int_equal(sl_virtq_device_open(&setup, &device), 0);
	assert_int_equal(pthread_create(&thread, NULL, run_device, NULL), 0);
	run_driver();
	pthread_join(thread, NULL);
	if (wrong || sl_virtq_device_broken(device))
		fail_msg("%s; %s", wrong, sl_virtq_device_broken(device));
	assert_true(slept[0] > 10 && slept[1] > 10); /* or nothing was shown of waking */
	sl_virtq_device_close(device);
	sl_virtq_close(&driver);
	sl_space_release(space);
	close(kick);
	close(call);
	free(ring);
}

/* With tables of @table_len where there are any. */
static inline void run_ways(bool packed, uint16_t table_len, void (*run)(struct virtq_options o))
{
	run((struct virtq_options){.packed = packed});
	run((struct virtq_options){.packed = packed, .event_idx = true});
	run((struct virtq_options){.packed = packed, .event_idx = true, .in_order = true});
	run((struct virtq_options){.packed = packed, .event_idx = true, .table_len = table_len});
}

#endif
