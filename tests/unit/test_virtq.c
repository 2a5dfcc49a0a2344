/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's side of a split virtqueue, against a device that is honest, and one that is not. */
#include "base/bytes.h"
#include "fake_virtq.h"
#include "virtq_driver.h"

static struct fake_virtq device;

static void open_at(uint16_t size, bool event_idx, uint16_t index)
{
	open_driver(&(struct virtq_options){.size = size, .event_idx = event_idx});
	device = fake_virtq_at(memory, size, event_idx);
	vq.added = vq.published = vq.seen = vq.taken = index;
	vq.avail->idx = vq.used->idx = index;
	device.avail_idx = device.used_idx = index;
	fake_virtq_listen(&device, true);
}

/* The parts are where 2.7 wants them: aligned to 16, 2 and 4, none over another. */
static void test_layout(void **state)
{
	(void)state;
	for (unsigned size = 1; size <= VIRTQ_SIZE_MAX; size *= 2) {
		struct virtq_layout layout = sl_virtq_layout((uint16_t)size, false);

		assert_int_equal(layout.desc, 0);
		assert_int_equal(layout.avail, 16 * size);
		assert_int_equal(layout.used % SL_LINE, 0);
		assert_true(layout.used >= layout.avail + 6 + 2 * size);
		assert_int_equal(layout.len, layout.used + 6 + 8 * size);
	}
}

static void test_bad_sizes(void **state)
{
	static const uint16_t sizes[] = {0, 3, 6, 255, 32769, 65535};

	(void)state;
	for (unsigned i = 0; i < sl_array_len(sizes); i++) {
		struct virtq_options options = {.size = sizes[i]};

		assert_int_equal(sl_virtq_open(&vq, &options, NULL), -EINVAL);
	}
}

static void test_chain(void **state)
{
	struct fake_chain chain;
	uint32_t len;
	int head;

	(void)state;
	open_at(8, false, 0);
	head = add(0x1000, 2, 5);
	assert_true(head >= 0);
	assert_false(fake_virtq_pop(&device, &chain)); /* not published */
	assert_true(sl_virtq_publish(&vq));
	assert_true(fake_virtq_pop(&device, &chain));
	assert_int_equal(chain.head, head);
	assert_int_equal(chain.n_read, 2);
	assert_int_equal(chain.n, 5);
	for (unsigned i = 0; i < chain.n; i++) {
		assert_ptr_equal(chain.elems[i].at, 0x1000 + i);
		assert_int_equal(chain.elems[i].len, 100 + i);
	}
	assert_int_equal(vq.n_free, 3);
	assert_int_equal(add(0, 0, 4), -ENOSPC);
	assert_int_equal(add(0, 0, 0), -ENOSPC);
	assert_none();
	fake_virtq_push(&device, chain.head, 102 + 103 + 104);
	assert_int_equal(get(&len), head);
	assert_int_equal(len, 102 + 103 + 104);
	assert_int_equal(vq.n_free, 8);
	assert_none();
	close_driver();
}

/* Full and empty again, by every size, across the wrap of the indices at 2^16. */
static void fill_and_drain(uint16_t size, bool event_idx)
{
	struct fake_chain chain;
	uint32_t len;
	static int heads[VIRTQ_SIZE_MAX];

	open_at(size, event_idx, (uint16_t)(65536 - size - size / 2));
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < size; i++)
			assert_true((heads[i] = add(i, 0, 1)) >= 0);
		assert_int_equal(add(0, 0, 1), -ENOSPC);
		assert_true(sl_virtq_publish(&vq));
		assert_false(sl_virtq_publish(&vq)); /* nothing new */
		for (unsigned i = 0; i < size; i++) {
			assert_true(fake_virtq_pop(&device, &chain));
			assert_int_equal(chain.head, heads[i]);
			assert_ptr_equal(chain.elems[0].at, i);
			fake_virtq_push(&device, chain.head, i % 101);
		}
		fake_virtq_listen(&device, true);
		for (unsigned i = 0; i < size; i++) {
			assert_int_equal(get(&len), heads[i]);
			assert_int_equal(len, i % 101);
		}
		assert_none();
	}
	close_driver();
}

static void test_every_size(void **state)
{
	(void)state;
	for (unsigned size = 1; size <= VIRTQ_SIZE_MAX; size *= 2) {
		fill_and_drain((uint16_t)size, false);
		fill_and_drain((uint16_t)size, true);
	}
}

/* Chains of many lengths, given back in another order: no descriptor is lost, none is in two. */
static void test_any_order(void **state)
{
	struct fake_chain held[64];
	unsigned n_held = 0, random = 1;
	uint32_t len;

	(void)state;
	open_at(64, true, 65500);
	for (unsigned round = 0; round < 2000; round++) {
		uint8_t owned[64] = {0};

		random = random * 1103515245 + 12345;
		while (add(round, (random >> 16) % 3, 1 + (random >> 20) % 5) >= 0)
			random = random * 1103515245 + 12345;
		sl_virtq_publish(&vq);
		while (fake_virtq_pop(&device, &held[n_held]))
			n_held++;
		for (unsigned i = 0; i < n_held; i++) {
			unsigned at = held[i].head;

			for (unsigned n = 0; n < held[i].n; n++, at = device.desc[at].next)
				assert_int_equal(owned[at]++, 0);
		}
		for (unsigned n = (random >> 8) % (n_held + 1); n; n--) {
			unsigned pick = (random >> 4) % n_held;

			fake_virtq_push(&device, held[pick].head, 0);
			assert_int_equal(get(&len), held[pick].head);
			held[pick] = held[--n_held];
		}
	}
	while (n_held)
		fake_virtq_push(&device, held[--n_held].head, 0);
	while (get(&len) >= 0)
		;
	assert_int_equal(vq.n_free, 64);
	assert_int_equal(sl_virtq_in_flight(&vq), 0);
	close_driver();
}

/* 2.7.10.1: one notification when avail idx passes avail_event, none before, none after. */
static void test_notify_event_idx(void **state)
{
	(void)state;
	open_at(64, true, 65534);
	*sl_virtq_avail_event(device.used, 64) = 1; /* index 65534 + 3 */
	for (unsigned i = 0; i < 8; i++) {
		add(0, 1, 1);
		assert_int_equal(sl_virtq_publish(&vq), i == 3);
	}
	*sl_virtq_avail_event(device.used, 64) = (uint16_t)(65534 + 10);
	for (unsigned i = 0; i < 5; i++)
		add(0, 1, 1);
	assert_true(sl_virtq_publish(&vq)); /* in one step over it */
	close_driver();
}

static void test_notify_flags(void **state)
{
	(void)state;
	open_at(8, false, 0);
	add(0, 1, 1);
	assert_true(sl_virtq_publish(&vq));
	fake_virtq_listen(&device, false);
	add(0, 1, 1);
	assert_false(sl_virtq_publish(&vq));
	close_driver();
}

static bool use_one(void)
{
	struct fake_chain chain = {0};

	assert_true(fake_virtq_pop(&device, &chain));
	return fake_virtq_push(&device, chain.head, 0);
}

static void test_interrupt_event_idx(void **state)
{
	uint32_t len;

	(void)state;
	open_at(64, true, 65533);
	for (unsigned i = 0; i < 16; i++)
		add(0, 1, 1);
	sl_virtq_publish(&vq);
	assert_false(sl_virtq_arm(&vq, 0));
	assert_true(use_one());
	assert_false(use_one()); /* one is enough */
	assert_true(sl_virtq_arm(&vq, 0));
	assert_true(sl_virtq_arm(&vq, 1));
	assert_false(sl_virtq_arm(&vq, 2)); /* after more than two: with the third */
	assert_true(use_one());
	for (unsigned i = 0; i < 3; i++)
		assert_true(get(&len) >= 0);
	assert_false(sl_virtq_arm(&vq, 3));
	assert_false(use_one());
	assert_false(use_one());
	assert_false(use_one());
	assert_true(use_one());
	for (unsigned i = 0; i < 4; i++)
		assert_true(get(&len) >= 0);
	sl_virtq_disarm(&vq);
	assert_false(use_one());
	assert_int_equal(vq.avail->flags, 0);
	close_driver();
}

static void test_interrupt_flags(void **state)
{
	uint32_t len;

	(void)state;
	open_at(8, false, 0);
	for (unsigned i = 0; i < 8; i++)
		add(0, 1, 1);
	sl_virtq_publish(&vq);
	sl_virtq_disarm(&vq);
	assert_false(use_one());
	assert_true(sl_virtq_arm(&vq, 5)); /* there is one; @after needs event_idx */
	assert_true(get(&len) >= 0);
	assert_false(sl_virtq_arm(&vq, 0));
	assert_true(use_one());
	close_driver();
}

/*
 * A device that lies.
 */

static void open_with_two(struct fake_chain *chain)
{
	open_at(8, false, 65535);
	add(0, 0, 2);
	add(0, 1, 1);
	sl_virtq_publish(&vq);
	assert_true(fake_virtq_pop(&device, chain));
}

static void test_id_too_large(void **state)
{
	struct fake_chain chain;

	(void)state;
	open_with_two(&chain);
	fake_virtq_push(&device, 8, 0);
	assert_broken("names no descriptor");
	open_with_two(&chain);
	fake_virtq_push(&device, 0x10000u + chain.head, 0);
	assert_broken("names no descriptor");
}

static void test_id_not_in_flight(void **state)
{
	struct fake_chain chain;
	uint32_t len;

	(void)state;
	open_with_two(&chain);
	fake_virtq_push(&device, chain.head + 1u, 0); /* not a head */
	assert_broken("that it does not have");
	open_with_two(&chain);
	fake_virtq_push(&device, 7, 0);
	assert_broken("that it does not have");
	open_with_two(&chain);
	fake_virtq_push(&device, chain.head, 0);
	fake_virtq_push(&device, chain.head, 0); /* twice */
	assert_int_equal(get(&len), chain.head);
	assert_broken("that it does not have");
}

static void test_len_too_large(void **state)
{
	struct fake_chain chain;
	uint32_t len;

	(void)state;
	open_with_two(&chain);
	fake_virtq_push(&device, chain.head, 202);
	assert_broken("longer than its buffer");
	open_with_two(&chain);
	fake_virtq_push(&device, chain.head, UINT32_MAX);
	assert_broken("longer than its buffer");
	open_with_two(&chain);
	assert_true(fake_virtq_pop(&device, &chain));
	fake_virtq_push(&device, chain.head, UINT32_MAX); /* one that it only reads */
	assert_int_equal(get(&len), chain.head);
	assert_int_equal(len, 0);
	close_driver();
}

static void test_idx_too_far(void **state)
{
	static const uint16_t by[] = {3, 8, 9, 32768, 65535};
	struct fake_chain chain;

	(void)state;
	for (unsigned i = 0; i < sl_array_len(by); i++) {
		open_with_two(&chain);
		device.used->idx = (uint16_t)(device.used->idx + by[i]);
		assert_true(sl_virtq_arm(&vq, 0)); /* nobody sleeps over it */
		assert_broken("ahead of what the device was given");
	}
}

/* It was added, but not shown: the device cannot have used it. */
static void test_idx_not_published(void **state)
{
	(void)state;
	open_at(8, false, 0);
	add(0, 0, 1);
	fake_virtq_push(&device, 0, 0);
	assert_broken("ahead of what the device was given");
}

/* What the driver knows is not in memory that the device writes. */
static void test_scribble(void **state)
{
	struct fake_chain chain;
	uint32_t len;

	(void)state;
	open_with_two(&chain);
	memset(memory, 0xff, sl_virtq_layout(8, false).used);
	fake_virtq_push(&device, chain.head, 201);
	assert_int_equal(get(&len), chain.head);
	assert_int_equal(vq.n_free, 7);
	assert_true(add(0x77, 0, 7) >= 0);
	assert_true(device.desc[vq.avail->ring[(uint16_t)(vq.added - 1) % 8]].addr == 0x77);
	close_driver();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_bad_sizes),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_every_size),
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_notify_event_idx),
		cmocka_unit_test(test_notify_flags),
		cmocka_unit_test(test_interrupt_event_idx),
		cmocka_unit_test(test_interrupt_flags),
		cmocka_unit_test(test_id_too_large),
		cmocka_unit_test(test_id_not_in_flight),
		cmocka_unit_test(test_len_too_large),
		cmocka_unit_test(test_idx_too_far),
		cmocka_unit_test(test_idx_not_published),
		cmocka_unit_test(test_scribble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
