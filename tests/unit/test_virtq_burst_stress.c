/* SPDX-License-Identifier: BSD-2-Clause */
/* A driver, and a device that takes and uses buffers in bursts, in two threads. Each sleeps when it
 * has nothing to do, and only the other wakes it. Numbers go one way: all of them, in order. */
#include "virtq/burst.h"
#include "virtq_stress.h"

#define BURST 32u
#define TOTAL 40000u

/* What lies in the memory that the device reaches: each other number is in two pieces. */
struct shared {
	struct virtq_desc tables[SIZE * 2];
	uint32_t halves[SIZE][2];
};

static _Alignas(SL_LINE) struct shared shared;
static bool to_device;

/*
 * The device.
 */

struct device_side {
	struct virtq_buffer bufs[SIZE]; /* those that it has, from @first on */
	struct iovec pieces[SIZE * 2];
	unsigned n;
	uint32_t next; /* number */
	uint64_t seed;
};

static void exchange(struct device_side *d, const struct virtq_buffer *buf)
{
	const struct iovec *piece = &d->pieces[buf->first];
	uint32_t halves[2] = {d->next, d->next * 7};

	if (buf->n != 1 + d->next % 2 || buf->len != 8) {
		wrong = "a buffer is not as it was added";
		return;
	}
	for (unsigned i = 0; i < buf->n; i++)
		if (!to_device)
			memcpy(piece[i].iov_base, &halves[i], piece[i].iov_len);
		else if (memcmp(piece[i].iov_base, &halves[i], piece[i].iov_len))
			wrong = "a number is not the one that was sent";
	d->next++;
}

/* Returns what sl_virtq_burst_take() does. */
static int take(struct device_side *d)
{
	unsigned max = sl_min(SIZE - d->n, 1 + below(&d->seed, BURST)), back;
	int n = sl_virtq_burst_take(device, !to_device, d->bufs + d->n, max, d->pieces, SIZE * 2);

	if (n <= 0)
		return n;
	back = below(&d->seed, 4) ? 0 : below(&d->seed, (unsigned)n + 1);
	sl_virtq_burst_untake(device, d->bufs + d->n + n - back, back);
	for (unsigned i = 0; i < (unsigned)n - back; i++)
		exchange(d, &d->bufs[d->n + i]);
	d->n += (unsigned)n - back;
	return n;
}

static void use(struct device_side *d)
{
	unsigned n = below(&d->seed, d->n + 1);
	uint32_t lens[SIZE];

	for (unsigned i = 0; i < n; i++)
		lens[i] = 8;
	sl_virtq_burst_use(device, d->bufs, to_device ? NULL : lens, n);
	memmove(d->bufs, d->bufs + n, (d->n - n) * sizeof(d->bufs[0]));
	d->n -= n;
}

static void *run_device(void *arg)
{
	static struct device_side d;

	(void)arg;
	d = (struct device_side){.seed = 3};
	sl_virtq_device_disarm(device);
	for (;;) {
		int n = take(&d);

		use(&d);
		if (sl_virtq_device_publish(device) > 0)
			wake(call);
		if (n < 0 || sl_load_acquire(&gone))
			return NULL;
		if (n || d.n || sl_virtq_device_arm(device))
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

/* @free: places in @halves */
struct driver_side {
	uint16_t free[SIZE], owner[SIZE];
	unsigned n_free;
	uint32_t added, back;
};

static bool add(struct driver_side *d)
{
	unsigned n = 1 + d->added % 2;
	struct virtq_elem elems[2];
	uint16_t at;
	int id;

	if (!d->n_free || d->added == TOTAL)
		return false;
	at = d->free[d->n_free - 1];
	for (unsigned i = 0; i < 2; i++) {
		elems[i] = (struct virtq_elem){{IOVA + offsetof(struct shared, halves[at]) + 4 * i},
					       8 / n};
		if (to_device)
			shared.halves[at][i] = i ? d->added * 7 : d->added;
	}
	id = sl_virtq_add(&driver, elems, to_device ? n : 0, n);
	if (id < 0)
		return false;
	d->owner[id] = at;
	d->n_free--;
	d->added++;
	return true;
}

static bool take_back(struct driver_side *d)
{
	uint32_t len = 0;
	int id = sl_virtq_get(&driver, &len);
	const uint32_t *halves;

	if (id < 0) {
		if (id != -EAGAIN)
			wrong = driver.broken;
		return false;
	}
	halves = shared.halves[d->owner[id]];
	if (len != (to_device ? 0 : 8) || halves[0] != d->back || halves[1] != d->back * 7)
		wrong = "a number is not the one that was due";
	d->free[d->n_free++] = d->owner[id];
	d->back++;
	return true;
}

static void run_driver(void)
{
	struct driver_side d = {.n_free = SIZE};
	uint64_t seed = 5;

	for (unsigned i = 0; i < SIZE; i++)
		d.free[i] = (uint16_t)i;
	while (d.back < TOTAL && !wrong) {
		sl_virtq_disarm(&driver);
		for (unsigned n = below(&seed, d.back & 4096 ? 3 : 40); n && add(&d); n--)
			;
		if (sl_virtq_publish(&driver))
			wake(kick);
		while (take_back(&d))
			;
		if (d.added == d.back || below(&seed, 2))
			continue;
		if (sl_virtq_arm(&driver, (uint16_t)below(&seed, d.added - d.back)))
			continue;
		if (!wait_for(call))
			wrong = "the driver was not woken";
	}
	sl_store_release(&gone, 1);
	wake(kick);
}

static void run(struct virtq_options o)
{
	to_device = true;
	run_both(o, &shared, sizeof(shared), run_device, run_driver);
	to_device = false;
	run_both(o, &shared, sizeof(shared), run_device, run_driver);
}

static void test_split(void **state)
{
	(void)state;
	run_ways(false, 2, run);
}

static void test_packed(void **state)
{
	(void)state;
	run_ways(true, 2, run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_packed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
