/* SPDX-License-Identifier: BSD-2-Clause */
/* A driver and a device of one virtqueue, ours or the naive ones, in random steps; what each does
 * is compared with what has to be. */
#ifndef SL_TESTS_VIRTQ_PAIR_H
#define SL_TESTS_VIRTQ_PAIR_H

#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sluice/space.h>

#include "base/bytes.h"
#include "virtq/device.h"
#include "virtq_oracle_driver.h"

#define DATA_LEN  (UINT64_C(1) << 20)
#define TABLE_MAX 8u
#define ELEMS_MAX 8u
#define IOVA	  UINT64_C(0x123456000)
#define TABLES	  (VIRTQ_SIZE_MAX * TABLE_MAX * sizeof(struct virtq_desc))

/* What a buffer is made of, and what came of it. */
struct buffer {
	struct virtq_elem elems[ELEMS_MAX];
	unsigned n_read, n, descs;
	uint32_t writable, len;
	uint16_t driver_id, device_id;
	bool done;
};

enum direction {
	BOTH,
	READ,
	WRITE
};

/* @device_step: instead of the step of a device that takes and puts single buffers; @direction: of
 * what a buffer is made of */
struct pair {
	struct virtq_options options;
	bool naive_driver, naive_device;
	void (*device_step)(struct pair *p);
	enum direction direction;
	struct virtq_driver driver;
	struct virtq_device *device;
	struct oracle_driver *oracle_driver;
	struct oracle oracle;
	/* Buffers by number: added up to @added, those before @got taken by the device; @put: in
	 * which order it used them, up to @n_put, behind that those that it has; shown up to
	 * @n_shown; taken back up to @back. */
	struct buffer *buffers;
	uint32_t *put;
	unsigned total, added, published, got, n_put, n_shown, back, entries;
	bool driver_sleeps, device_sleeps;
	unsigned after; /* what the driver sleeps for */
	unsigned notified, interrupted, device_armed, driver_armed;
};

static struct sl_space *space;
static uint8_t *memory;
static uint64_t seed;
static char label[128];

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail_msg("%s: %s", label, #condition);                                     \
	} while (0)

static unsigned below(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)((seed >> 33) % n);
}

/*
 * The driver.
 */

static struct buffer make_buffer(const struct pair *p)
{
	unsigned most = sl_min(p->options.size, ELEMS_MAX);
	struct buffer b = {.n = 1 + below(below(2) ? most : 1)};

	b.n_read = p->direction == BOTH ? below(b.n + 1) : p->direction == READ ? b.n : 0;
	for (unsigned i = 0; i < b.n; i++) {
		uint32_t len = 1 + below(below(8) ? 100 : 4096);

		b.elems[i].len = len;
		b.elems[i].addr.value = IOVA + TABLES + below((unsigned)DATA_LEN - len);
		b.writable += i >= b.n_read ? len : 0;
	}
	b.descs = b.n > 1 && b.n <= p->options.table_len ? 1 : b.n;
	return b;
}

static void told_device(struct pair *p, bool notify)
{
	if (p->device_sleeps)
		CHECK(notify);
	if (!notify)
		return;
	p->notified++;
	p->device_sleeps = false;
}

static bool add(struct pair *p)
{
	struct buffer *b = &p->buffers[p->added];
	bool notify = false;
	int id;

	*b = make_buffer(p);
	if (p->naive_driver)
		id = oracle_add(p->oracle_driver, b->elems, b->n_read, b->n, &notify);
	else
		id = sl_virtq_add(&p->driver, b->elems, b->n_read, b->n);
	CHECK((id < 0) == (p->entries + b->descs > p->options.size));
	if (id < 0)
		return false;
	CHECK(id < p->options.size);
	b->driver_id = (uint16_t)id;
	p->entries += b->descs;
	p->added++;
	if (p->naive_driver) {
		p->published = p->added;
		told_device(p, notify);
	}
	return true;
}

static void publish(struct pair *p)
{
	if (p->naive_driver || p->published == p->added)
		return;
	p->published = p->added;
	told_device(p, sl_virtq_publish(&p->driver));
	CHECK(!sl_virtq_publish(&p->driver));
}

static bool take_back(struct pair *p)
{
	unsigned number = p->options.in_order ? p->back : p->put[p->back];
	struct buffer *b = &p->buffers[number];
	uint32_t len = 0;
	int id = p->naive_driver ? oracle_get(p->oracle_driver, &len)
				 : sl_virtq_get(&p->driver, &len);

	if (id < 0) {
		CHECK(p->naive_driver || id == -EAGAIN);
		CHECK(p->back == p->n_shown);
		return false;
	}
	CHECK(p->back < p->n_shown && b->done);
	CHECK(id == b->driver_id);
	CHECK(len == b->len || (p->options.in_order && len == b->writable));
	p->entries -= b->descs;
	p->back++;
	return true;
}

static void driver_sleep(struct pair *p)
{
	unsigned flying = p->published - p->back, after = below(sl_max(flying, 1u));
	bool some = p->naive_driver ? oracle_driver_ask(p->oracle_driver, after, true)
				    : sl_virtq_arm(&p->driver, (uint16_t)after);

	p->driver_armed++;
	p->after = p->options.event_idx ? after : 0;
	p->driver_sleeps = !some && flying;
	if (p->n_shown - p->back > p->after)
		CHECK(some);
	if (p->n_shown == p->back)
		CHECK(!some);
}

static void driver_disarm(struct pair *p)
{
	if (p->naive_driver)
		oracle_driver_ask(p->oracle_driver, 0, false);
	else
		sl_virtq_disarm(&p->driver);
}

static void driver_step(struct pair *p)
{
	if (!below(4))
		driver_disarm(p);
	for (unsigned n = below(40); n && p->added < p->total && add(p); n--)
		if (!below(8))
			publish(p);
	publish(p);
	for (unsigned n = below(40); n && take_back(p); n--)
		;
	if (!below(3) || p->added == p->total)
		driver_sleep(p);
}

/*
 * The device.
 */

/* Pieces that lie side by side count as one. */
static unsigned merge(struct iovec *pieces, unsigned n)
{
	unsigned to = 0;

	for (unsigned i = 1; i < n; i++) {
		uint8_t *end = (uint8_t *)pieces[to].iov_base + pieces[to].iov_len;

		if (end == pieces[i].iov_base)
			pieces[to].iov_len += pieces[i].iov_len;
		else
			pieces[++to] = pieces[i];
	}
	return n ? to + 1 : 0;
}

static void same_pieces(const struct iovec *got, unsigned n_got, const struct virtq_elem *elems,
			unsigned n)
{
	struct iovec a[2 * ELEMS_MAX], b[ELEMS_MAX];

	for (unsigned i = 0; i < n_got; i++)
		a[i] = got[i];
	for (unsigned i = 0; i < n; i++)
		b[i] = (struct iovec){memory + (elems[i].addr.value - IOVA), elems[i].len};
	n_got = merge(a, n_got);
	n = merge(b, n);
	CHECK(n_got == n);
	CHECK(!n || !memcmp(a, b, n * sizeof(*a)));
}

static int get_naive(struct pair *p, struct virtq_chain *chain)
{
	struct oracle_chain c;

	if (!oracle_take(&p->oracle, &c))
		return -EAGAIN;
	CHECK(c.n <= ELEMS_MAX);
	chain->id = c.id;
	chain->descs = (uint16_t)c.descs;
	for (unsigned i = 0; i < c.n; i++) {
		chain->pieces[i] =
			(struct iovec){memory + (c.elems[i].addr - IOVA), c.elems[i].len};
		CHECK(c.elems[i].write || !chain->n_write);
		*(c.elems[i].write ? &chain->n_write : &chain->n_read) += 1;
	}
	return 0;
}

static bool device_get(struct pair *p)
{
	struct buffer *b = &p->buffers[p->got];
	struct iovec pieces[ELEMS_MAX];
	struct virtq_chain chain = {.pieces = pieces, .max = ELEMS_MAX};
	int ret = p->naive_device ? get_naive(p, &chain) : sl_virtq_device_get(p->device, &chain);

	CHECK(ret == (p->got < p->published ? 0 : -EAGAIN));
	if (ret)
		return false;
	CHECK(chain.n_read + chain.n_write <= ELEMS_MAX);
	same_pieces(pieces, chain.n_read, b->elems, b->n_read);
	same_pieces(pieces + chain.n_read, chain.n_write, b->elems + b->n_read, b->n - b->n_read);
	CHECK(p->naive_device || chain.write_len == b->writable);
	b->device_id = chain.id;
	p->put[p->got] = p->got;
	p->got++;
	return true;
}

static void told_driver(struct pair *p, bool interrupt)
{
	if (p->driver_sleeps && p->n_shown - p->back > p->after)
		CHECK(interrupt);
	if (!interrupt)
		return;
	p->interrupted++;
	p->driver_sleeps = false;
}

/* The next @n in order, and only the last one is told. */
static void put_batch(struct pair *p, unsigned n)
{
	unsigned descs = 0, last = p->n_put + n - 1;
	bool interrupt;

	for (unsigned i = 0; i < n; i++) {
		struct buffer *b = &p->buffers[p->n_put];

		descs += p->options.packed ? b->descs : 1;
		b->len = i + 1 < n ? b->writable : below(b->writable + 1);
		b->done = true;
		p->n_put++;
	}
	interrupt = oracle_put(&p->oracle, p->buffers[last].device_id, descs, p->buffers[last].len);
	p->n_shown = p->n_put;
	told_driver(p, interrupt);
}

/* Some buffer that the device has; in order the naive device takes the oldest. */
static void put_one(struct pair *p, unsigned number)
{
	struct buffer *b = &p->buffers[number];

	b->len = below(b->writable + 1);
	b->done = true;
	if (p->naive_device) {
		unsigned descs = p->options.packed ? b->descs : 1;
		bool interrupt = oracle_put(&p->oracle, b->device_id, descs, b->len);

		p->n_shown = p->n_put;
		told_driver(p, interrupt);
	} else {
		CHECK(!sl_virtq_device_put(p->device, b->device_id, b->len));
	}
}

static void device_put(struct pair *p, unsigned n)
{
	for (; n && p->n_put < p->got; n--) {
		unsigned pick = p->n_put + below(p->got - p->n_put), number = p->put[pick];

		if (p->options.in_order && p->naive_device) {
			put_batch(p, 1 + below(sl_min(p->got - p->n_put, 5u)));
			continue;
		}
		p->put[pick] = p->put[p->n_put];
		p->put[p->n_put++] = number;
		put_one(p, number);
	}
}

static void device_publish(struct pair *p)
{
	int ret;

	if (p->naive_device)
		return;
	ret = sl_virtq_device_publish(p->device);
	CHECK(ret >= 0);
	if (p->options.in_order)
		while (p->n_shown < p->got && p->buffers[p->n_shown].done)
			p->n_shown++;
	else
		p->n_shown = p->n_put;
	told_driver(p, ret);
}

static void device_disarm(struct pair *p)
{
	if (p->naive_device)
		oracle_device_ask(&p->oracle, false);
	else
		sl_virtq_device_disarm(p->device);
}

/* Sometimes */
static void device_sleep(struct pair *p)
{
	int ret;

	if (below(3) || p->device_sleeps)
		return;
	ret = p->naive_device ? oracle_device_ask(&p->oracle, true)
			      : sl_virtq_device_arm(p->device);
	CHECK(ret == (p->got < p->published));
	p->device_armed++;
	p->device_sleeps = !ret;
}

static void device_step(struct pair *p)
{
	if (!p->device_sleeps && !below(4))
		device_disarm(p);
	for (unsigned n = below(40); !p->device_sleeps && n && device_get(p); n--)
		;
	device_put(p, below(40));
	device_publish(p);
	device_sleep(p);
}

/*
 * Both.
 */

static void open_device(struct pair *p, uint8_t *ring, uint16_t start)
{
	const struct virtq_options *o = &p->options;
	struct virtq_layout layout = sl_virtq_layout(o->size, o->packed);
	struct virtq_setup setup = {
		.size = o->size,
		.packed = o->packed,
		.event_idx = o->event_idx,
		.indirect = o->table_len,
		.in_order = o->in_order,
		.space = space,
		.desc = ring,
		.driver = ring + layout.avail,
		.device = ring + layout.used,
		.state = {.avail = start, .used = start, .avail_wrap = true, .used_wrap = true},
	};

	CHECK(!sl_virtq_device_open(&setup, &p->device));
}

static uint8_t *open_pair(struct pair *p)
{
	struct virtq_options *o = &p->options;
	size_t len = sl_virtq_layout(o->size, o->packed).len;
	uint16_t start = o->packed ? 0 : (uint16_t)(65536 - below(2u * o->size));
	uint8_t *ring = aligned_alloc(SL_LINE, (len + SL_LINE - 1) & ~(size_t)(SL_LINE - 1));

	assert_non_null(ring);
	memset(ring, 0, len);
	o->tables = memory;
	o->iova.value = IOVA;
	if (!o->packed) {
		((struct virtq_avail *)(void *)(ring + sl_virtq_layout(o->size, false).avail))
			->idx = start;
		((struct virtq_used *)(void *)(ring + sl_virtq_layout(o->size, false).used))->idx =
			start;
	}
	if (p->naive_driver)
		oracle_driver_open(p->oracle_driver, o, ring, start);
	else
		CHECK(!sl_virtq_open(&p->driver, o, ring));
	p->driver.added = p->driver.published = p->driver.seen = p->driver.taken = start;
	if (p->naive_device)
		p->oracle = oracle_at(o, ring, start);
	else
		open_device(p, ring, start);
	return ring;
}

/* One for each time that a side went to sleep, and the one that a queue begins with; an event that
 * nobody takes back comes again after two laps. */
static void check_events(const struct pair *p)
{
	unsigned again = 2 * p->total / p->options.size;

	CHECK(p->notified <= p->device_armed + 1 + again);
	CHECK(p->interrupted <= p->driver_armed + 1 + again);
}

static void run_pair(struct pair *p)
{
	uint8_t *ring;

	snprintf(label, sizeof(label), "%s-%s%.1d %s size %u%s%s%s seed %#llx",
		 p->naive_driver ? "naive" : "driver", p->naive_device ? "naive" : "device",
		 p->direction, p->options.packed ? "packed" : "split", p->options.size,
		 p->options.event_idx ? " event_idx" : "", p->options.in_order ? " in_order" : "",
		 p->options.table_len ? " indirect" : "", (unsigned long long)seed);
	p->total = 2000 + 3u * p->options.size;
	p->buffers = calloc(p->total + 1, sizeof(*p->buffers));
	p->put = calloc(p->total + 1, sizeof(*p->put));
	p->oracle_driver = p->naive_driver ? malloc(sizeof(*p->oracle_driver)) : NULL;
	assert_true(p->buffers && p->put);
	ring = open_pair(p);
	driver_disarm(p);
	device_disarm(p);
	while (p->back < p->total) {
		/* A device that sleeps still finishes what it has; one side at least has to go on.
		 */
		CHECK(!p->driver_sleeps || !p->device_sleeps || p->n_put < p->got);
		if (!p->driver_sleeps && below(2))
			driver_step(p);
		else if (p->device_step)
			p->device_step(p);
		else
			device_step(p);
	}
	CHECK(!p->entries);
	if (p->options.event_idx)
		check_events(p);
	if (!p->naive_driver) {
		CHECK(p->driver.n_free == p->options.size && !sl_virtq_in_flight(&p->driver));
		sl_virtq_close(&p->driver);
	}
	if (!p->naive_device) {
		CHECK(!sl_virtq_device_in_flight(p->device) && !sl_virtq_device_broken(p->device));
		sl_virtq_device_close(p->device);
	}
	free(ring);
	free(p->buffers);
	free(p->put);
	free(p->oracle_driver);
}

#endif
