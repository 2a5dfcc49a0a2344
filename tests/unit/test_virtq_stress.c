/* SPDX-License-Identifier: BSD-2-Clause */
/* A driver and a device in two threads. Each sleeps when it has nothing to do, and only the other
 * wakes it: nothing is lost, torn, or waited for in vain. */
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
#define TOTAL	30000u
#define HANG_MS 20000
#define IOVA	0x10000u

/* Of each buffer: the device reads a number, and answers twice, in two pieces. */
struct request {
	uint64_t number, twice[2];
};

/* What lies in the memory that the device reaches. */
struct shared {
	struct virtq_desc tables[SIZE * 3];
	struct request requests[SIZE];
};

static struct virtq_driver driver;
static struct virtq_device *device;
static struct shared *shared;
static int kick, call; /* to the device, to the driver */
static uint32_t gone;  /* the driver has all back */
static const char *wrong;
static unsigned slept[2]; /* the device, the driver */
static bool few; /* one or two buffers at a time, so that both are about to sleep all the time */

static bool wait_for(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t count;

	slept[fd == call]++;
	if (poll(&p, 1, HANG_MS) != 1)
		return false;
	return read(fd, &count, sizeof(count)) == sizeof(count);
}

static void wake(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		wrong = "write to an eventfd";
}

static unsigned below(uint64_t *seed, unsigned n)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)((*seed >> 33) % n);
}

/*
 * The device: takes what it finds, gives some of it back, in any order.
 */

struct held {
	uint16_t id;
	uint64_t number;
	void *answers[2];
};

static void hold(struct held *h, const struct virtq_chain *chain)
{
	h->id = chain->id;
	memcpy(&h->number, chain->pieces[0].iov_base, sizeof(h->number));
	for (unsigned i = 0; i < 2; i++)
		h->answers[i] = chain->pieces[chain->n_read + i].iov_base;
}

static void answer(const struct held *h)
{
	for (unsigned i = 0; i < 2; i++)
		memcpy(h->answers[i], &(uint64_t){h->number * 7 + i}, sizeof(h->number));
	sl_virtq_device_put(device, h->id, 16);
}

static void *run_device(void *arg)
{
	struct held held[SIZE];
	unsigned n = 0;
	uint64_t seed = 3;

	(void)arg;
	sl_virtq_device_disarm(device);
	for (;;) {
		struct iovec pieces[3];
		struct virtq_chain chain = {.pieces = pieces, .max = 3};
		int ret;

		while (!(ret = sl_virtq_device_get(device, &chain)))
			hold(&held[n++], &chain);
		for (unsigned left = few ? n : n ? 1 + below(&seed, n) : 0; left; left--) {
			unsigned pick = below(&seed, n);

			answer(&held[pick]);
			held[pick] = held[--n];
		}
		if (sl_virtq_device_publish(device) > 0)
			wake(call);
		if (ret != -EAGAIN || sl_load_acquire(&gone))
			return NULL;
		if (n || sl_virtq_device_arm(device))
			continue;
		if (!wait_for(kick)) {
			wrong = "the device was not woken";
			return NULL;
		}
		sl_virtq_device_disarm(device);
	}
}

/*
 * The driver.
 */

static bool add(uint64_t number, uint16_t *free, unsigned *n_free, uint16_t *owner)
{
	struct virtq_elem elems[3];
	uint16_t at;
	int id;

	if (!*n_free)
		return false;
	at = free[*n_free - 1];
	for (unsigned i = 0; i < 3; i++)
		elems[i] = (struct virtq_elem){
			{IOVA + offsetof(struct shared, requests[at]) + 8 * i}, 8};
	shared->requests[at].number = number;
	id = sl_virtq_add(&driver, elems, 1, 3);
	if (id < 0)
		return false;
	owner[id] = at;
	--*n_free;
	return true;
}

/* Returns false when there is none, or nothing good. */
static bool take_back(uint16_t *free, unsigned *n_free, const uint16_t *owner, uint8_t *seen)
{
	uint32_t len = 0;
	int id = sl_virtq_get(&driver, &len);
	struct request *r;

	if (id < 0) {
		if (id != -EAGAIN)
			wrong = driver.broken;
		return false;
	}
	r = &shared->requests[owner[id]];
	if (len != 16 || r->number >= TOTAL || seen[r->number] || r->twice[0] != r->number * 7 ||
	    r->twice[1] != r->number * 7 + 1)
		wrong = "an answer is not the request's";
	else
		seen[r->number] = 1;
	free[(*n_free)++] = owner[id];
	return true;
}

static void run_driver(void)
{
	static uint8_t seen[TOTAL];
	uint16_t free[SIZE], owner[SIZE];
	unsigned n_free = SIZE, added = 0, back = 0, total = few ? TOTAL / 2 : TOTAL;
	uint64_t seed = 5;

	memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i < SIZE; i++)
		free[i] = (uint16_t)i;
	while (back < total && !wrong) {
		sl_virtq_disarm(&driver);
		for (unsigned n = few ? 1 : below(&seed, 20); n && added < total; n--)
			added += add(added, free, &n_free, owner);
		if (sl_virtq_publish(&driver))
			wake(kick);
		while (take_back(free, &n_free, owner, seen))
			back++;
		if (added == back || below(&seed, few ? 8 : 2) == 1)
			continue;
		if (sl_virtq_arm(&driver, (uint16_t)below(&seed, added - back)))
			continue;
		if (!wait_for(call))
			wrong = "the driver was not woken";
	}
	sl_store_release(&gone, 1);
	wake(kick);
}

static void run_once(const struct virtq_options *wanted)
{
	struct virtq_options o = *wanted;
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
	struct sl_region region = {.len = sizeof(*shared), .fd = -1, .access = 3};
	struct sl_space *space = NULL;
	pthread_t thread;

	region.base = shared = aligned_alloc(16, sizeof(*shared));
	assert_true(ring && shared && !sl_space_create(NULL, &space));
	memset(ring, 0, len);
	assert_int_equal(sl_space_map_at(space, (sl_iova){IOVA}, &region), 0);
	setup.space = space;
	o.size = SIZE;
	o.tables = shared->tables;
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
	free(shared);
	free(ring);
}

static void run(const struct virtq_options *wanted)
{
	few = false;
	run_once(wanted);
	few = true;
	run_once(wanted);
}

static void test_split(void **state)
{
	(void)state;
	run(&(struct virtq_options){.packed = false});
	run(&(struct virtq_options){.event_idx = true});
	run(&(struct virtq_options){.event_idx = true, .in_order = true});
	run(&(struct virtq_options){.event_idx = true, .table_len = 3});
}

static void test_packed(void **state)
{
	(void)state;
	run(&(struct virtq_options){.packed = true});
	run(&(struct virtq_options){.packed = true, .event_idx = true});
	run(&(struct virtq_options){.packed = true, .event_idx = true, .in_order = true});
	run(&(struct virtq_options){.packed = true, .event_idx = true, .table_len = 3});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_packed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
