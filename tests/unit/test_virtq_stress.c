/* SPDX-License-Identifier: BSD-2-Clause */
/* A driver and a device in two threads. Each sleeps when it has nothing to do, and only the other
 * wakes it: nothing is lost, torn, or waited for in vain. */
#include "virtq_stress.h"

#define TOTAL 30000u

/* Of each buffer: the device reads a number, and answers twice, in two pieces. */
struct request {
	uint64_t number, twice[2];
};

/* What lies in the memory that the device reaches. */
struct shared {
	struct virtq_desc tables[SIZE * 3];
	struct request requests[SIZE];
};

static _Alignas(SL_LINE) struct shared shared;
static bool few; /* one or two buffers at a time, so that both are about to sleep all the time */

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
	shared.requests[at].number = number;
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
	r = &shared.requests[owner[id]];
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

static void run(struct virtq_options o)
{
	few = false;
	run_both(o, &shared, sizeof(shared), run_device, run_driver);
	few = true;
	run_both(o, &shared, sizeof(shared), run_device, run_driver);
}

static void test_split(void **state)
{
	(void)state;
	run_ways(false, 3, run);
}

static void test_packed(void **state)
{
	(void)state;
	run_ways(true, 3, run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_packed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
