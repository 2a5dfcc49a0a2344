/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device that takes and uses buffers in bursts, against our driver and the naive one, in random
 * steps: sizes, features, shapes of buffers, also such as lie in several mappings. Of what it takes
 * it gives some back as if it had not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "virtq/burst.h"
#include "virtq_pair.h"

#define BURST_MAX 40u
#define TOTAL_MAX (2000u + 3u * VIRTQ_SIZE_MAX)
#define MAPPING	  (1u << 16)

static struct virtq_buffer taken[TOTAL_MAX]; /* by number */
static struct iovec pieces[VIRTQ_SIZE_MAX + 64];
static unsigned n_untaken, n_short, n_joined;

static void check_taken(struct pair *p, const struct virtq_buffer *buf, unsigned *first)
{
	const struct buffer *b = &p->buffers[p->got];
	uint32_t len = 0;

	CHECK(buf->first == *first);
	CHECK(buf->descs == (p->options.packed ? b->descs : 1));
	same_pieces(pieces + buf->first, buf->n, b->elems, b->n);
	for (unsigned i = 0; i < b->n; i++)
		len += b->elems[i].len;
	CHECK(buf->len == len);
	*first += buf->n;
	taken[p->got] = *buf;
	p->put[p->got] = p->got;
	p->got++;
}

static void untake(struct pair *p, unsigned n)
{
	sl_virtq_burst_untake(p->device, &taken[p->got - n], n);
	p->got -= n;
	n_untaken += n;
}

static void take(struct pair *p)
{
	struct virtq_buffer bufs[BURST_MAX];
	unsigned max = below(BURST_MAX + 1), room = sl_max(p->options.size, 64u), first = 0;
	unsigned most = sl_min(max, p->published - p->got);
	int n = sl_virtq_burst_take(p->device, p->direction == WRITE, bufs, max, pieces, room);

	CHECK(n >= 0 && (unsigned)n <= most);
	for (int i = 0; i < n; i++)
		check_taken(p, &bufs[i], &first);
	CHECK(first <= room);
	if ((unsigned)n < most) { /* else there was room for another one */
		CHECK(room - first < 2 * ELEMS_MAX);
		n_short++;
	}
	CHECK(sl_virtq_device_in_flight(p->device) == p->got - p->n_put);
	if (n && !below(3))
		untake(p, 1 + below((unsigned)n));
	if (p->got > p->n_put && !below(20))
		untake(p, p->got - p->n_put);
}

static void use(struct pair *p)
{
	unsigned n = below(sl_min(p->got - p->n_put, BURST_MAX) + 1);
	uint32_t lens[BURST_MAX];
	bool none = p->direction == READ && below(2);

	for (unsigned i = 0; i < n; i++) {
		struct buffer *b = &p->buffers[p->n_put + i];

		lens[i] = b->len = below(b->writable + 1);
		b->done = true;
	}
	CHECK(!sl_virtq_burst_use(p->device, &taken[p->n_put], none ? NULL : lens, n));
	n_joined += none && p->options.in_order && n > 1;
	p->n_put += n;
	CHECK(sl_virtq_device_in_flight(p->device) == p->got - p->n_put);
}

static void burst_step(struct pair *p)
{
	if (!p->device_sleeps && !below(4))
		device_disarm(p);
	for (unsigned n = below(3); !p->device_sleeps && n; n--)
		take(p);
	for (unsigned n = below(3); n; n--)
		use(p);
	device_publish(p);
	device_sleep(p);
}

static void run_one(bool naive_driver, uint16_t size, unsigned bits, enum direction direction)
{
	struct pair p = {.naive_driver = naive_driver,
			 .device_step = burst_step,
			 .direction = direction,
			 .options = {.size = size,
				     .packed = bits & 1,
				     .event_idx = bits & 2,
				     .in_order = bits & 4}};

	if (bits & 8)
		p.options.table_len = 1 + (uint16_t)below(sl_min(size, 8u));
	if (p.options.packed || !(size & (size - 1)))
		run_pair(&p);
}

static void run_all(bool naive_driver)
{
	static const uint16_t sizes[] = {1, 2, 3, 4, 7, 64, 256, 1000, 1024, 32768};

	seed = 11;
	n_untaken = n_short = n_joined = 0;
	for (unsigned i = 0; i < sl_array_len(sizes); i++)
		for (unsigned bits = 0; bits < 16; bits++) {
			run_one(naive_driver, sizes[i], bits, READ);
			run_one(naive_driver, sizes[i], bits, WRITE);
		}
	assert_true(n_untaken && n_short && n_joined); /* or they were not tried */
}

static void test_driver(void **state)
{
	(void)state;
	run_all(false);
}

static void test_naive_driver(void **state)
{
	(void)state;
	run_all(true);
}

static int setup(void **state)
{
	struct sl_region region = {
		.len = MAPPING, .fd = -1, .access = SL_REGION_READ | SL_REGION_WRITE};

	(void)state;
	memory = aligned_alloc(4096, TABLES + DATA_LEN);
	if (!memory || sl_space_create(NULL, &space))
		return -1;
	for (uint64_t at = 0; at < TABLES + DATA_LEN; at += MAPPING) {
		region.base = memory + at;
		if (sl_space_map_at(space, (sl_iova){IOVA + at}, &region))
			return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sl_space_release(space);
	free(memory);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_driver),
		cmocka_unit_test(test_naive_driver),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
