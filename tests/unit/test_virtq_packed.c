/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's side of a virtqueue that is packed, or has tables, or is used in order, against a
 * device that is not honest. What honest ones do is in test_virtq_pair.c. */
#include "base/bytes.h"
#include "virtq_driver.h"
#include "virtq_oracle.h"

#define SIZE   5u
#define TABLES 0x70000u

static struct oracle device;
static struct virtq_desc tables[SIZE * 3];

static void open_queue(struct virtq_options o)
{
	o.tables = tables;
	o.iova.value = TABLES;
	open_driver(&o);
	device = oracle_at(&o, memory, 0);
}

static void use(uint64_t place, uint16_t id, uint32_t len, uint16_t flags)
{
	device.ring[place] = (struct virtq_packed_desc){0, len, id, flags};
}

#define USED  (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED) /* in the first lap */
#define WRITE VIRTQ_DESC_F_WRITE

static void open_packed(void)
{
	open_queue((struct virtq_options){.size = SIZE, .packed = true});
}

/* With a buffer of 201 bytes to write in two entries, and one of one entry that is read. */
static void open_with_two(void)
{
	open_packed();
	assert_int_equal(add(0, 0, 2), 0);
	assert_int_equal(add(9, 1, 1), 1);
	assert_true(sl_virtq_publish(&vq));
}

static void test_options(void **state)
{
	static const uint16_t good[] = {1, 3, 7, 255, 32767, 32768}, bad[] = {0, 32769, 65535};

	(void)state;
	for (unsigned i = 0; i < sl_array_len(good); i++) {
		struct virtq_layout layout = sl_virtq_layout(good[i], true);

		assert_int_equal(layout.desc, 0);
		assert_int_equal(layout.avail, 16 * good[i]);
		assert_int_equal(layout.used % SL_LINE, 0);
		assert_true(layout.used >= layout.avail + 4);
		assert_int_equal(layout.len, layout.used + 4);
		open_queue((struct virtq_options){.size = good[i], .packed = true});
		close_driver();
	}
	for (unsigned i = 0; i < sl_array_len(bad); i++) {
		struct virtq_options o = {.size = bad[i], .packed = true};

		assert_int_equal(sl_virtq_open(&vq, &o, NULL), -EINVAL);
	}
	assert_int_equal(
		sl_virtq_open(&vq, &(struct virtq_options){.size = 4, .table_len = 5}, NULL),
		-EINVAL);
}

/* 2.8.6: nothing is available before the first descriptor is, of all that are published together.
 */
static void test_first_is_last(void **state)
{
	struct oracle_chain chain;

	(void)state;
	open_packed();
	assert_int_equal(add(0x1000, 2, 3), 0);
	assert_int_equal(add(0x2000, 0, 1), 1);
	assert_int_equal(add(0, 0, 2), -ENOSPC);
	assert_int_equal(add(0, 0, 0), -ENOSPC);
	assert_int_equal(device.ring[0].flags, 0);
	assert_int_equal(device.ring[1].flags, VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_NEXT);
	assert_int_equal(device.ring[2].flags, VIRTQ_DESC_F_AVAIL | WRITE);
	assert_int_equal(device.ring[2].id, 0);
	assert_false(oracle_take(&device, &chain));
	assert_true(sl_virtq_publish(&vq));
	assert_true(oracle_take(&device, &chain));
	assert_int_equal(chain.n, 3);
	assert_true(oracle_take(&device, &chain));
	assert_int_equal(chain.elems[0].addr, 0x2000);
	assert_false(oracle_take(&device, &chain));
	assert_none();
	close_driver();
}

/* 2.8.7, 2.7.5.3: a table has what fits in; one element needs none. */
static void test_tables(void **state)
{
	struct oracle_chain chain;

	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		open_queue((struct virtq_options){
			.size = packed ? SIZE : 4, .packed = packed, .table_len = 3});
		memset(tables, 0xff, sizeof(tables));
		assert_int_equal(add(0x1000, 1, 3), 0);
		assert_int_equal(add(0x2000, 1, 1), 1);
		assert_int_equal(add(0x3000, 0, 2), 2);
		assert_int_equal(vq.n_free, vq.size - 3);
		assert_int_equal(add(0x4000, 0, 4), -ENOSPC);
		sl_virtq_publish(&vq);
		assert_int_equal(device.desc[0].addr, TABLES);
		assert_int_equal(device.desc[0].len, 48);
		assert_int_equal(device.desc[1].addr, 0x2000);
		assert_int_equal(device.desc[2].addr, TABLES + 2 * 48);
		for (unsigned i = 0; i < 3; i++) {
			unsigned next = i < 2 && !packed ? VIRTQ_DESC_F_NEXT : 0;

			assert_int_equal(tables[i].addr, 0x1000 + i);
			assert_int_equal(tables[i].flags, packed ? 0 : next | (i ? WRITE : 0u));
			/* The packed one's flags are where the split one's next is. */
			if (packed)
				assert_int_equal(tables[i].next, i ? WRITE : 0);
		}
		assert_int_equal(device.desc[2].len, 32);
		assert_true(oracle_take(&device, &chain));
		assert_int_equal(chain.n, 3);
		oracle_put(&device, 0, 1, 203);
		assert_int_equal(sl_virtq_get(&vq, &(uint32_t){0}), 0);
		close_driver();
	}
}

static void test_bad_id(void **state)
{
	(void)state;
	open_with_two();
	use(0, SIZE, 0, USED);
	assert_broken("names no descriptor");
	open_with_two();
	use(0, 65535, 0, USED);
	assert_broken("names no descriptor");
	open_with_two();
	use(0, 2, 0, USED);
	assert_broken("that it does not have");
}

static void test_id_twice(void **state)
{
	uint32_t len;

	(void)state;
	open_with_two();
	use(0, 0, 5, USED | WRITE);
	use(2, 0, 5, USED | WRITE);
	assert_int_equal(get(&len), 0);
	assert_int_equal(len, 5);
	assert_broken("that it does not have");
}

static void test_length(void **state)
{
	uint32_t len;

	(void)state;
	open_with_two();
	use(0, 0, 202, USED | WRITE);
	assert_broken("longer than its buffer");
	open_with_two();
	use(0, 0, UINT32_MAX, USED | WRITE);
	assert_broken("longer than its buffer");
	open_with_two();
	use(0, 0, 201, USED); /* QEMU does not say WRITE */
	assert_int_equal(get(&len), 0);
	assert_int_equal(len, 201);
	close_driver();
	open_with_two();
	use(0, 1, UINT32_MAX, USED | WRITE); /* one that it only reads */
	use(1, 0, UINT32_MAX, USED);	     /* 2.8.4: ignored */
	assert_int_equal(get(&len), 1);
	assert_int_equal(len, 0);
	assert_int_equal(get(&len), 0);
	assert_int_equal(len, 0);
	assert_int_equal(vq.n_free, SIZE);
	assert_none();
	close_driver();
}

/* Flags that come and go: only those of this lap count, and each buffer once. */
static void test_flags_flap(void **state)
{
	static const uint16_t not_used[] = {0, VIRTQ_DESC_F_AVAIL, VIRTQ_DESC_F_USED, 0x7f7f};
	uint32_t len;

	(void)state;
	open_with_two();
	for (unsigned i = 0; i < sl_array_len(not_used); i++) {
		use(0, 0, 1, not_used[i]);
		assert_none();
		assert_false(sl_virtq_arm(&vq, 0));
	}
	use(0, 0, 1, 0xffff);
	assert_int_equal(sl_virtq_look(&vq), 0);
	use(0, 0, 1, 0);
	assert_none();
	use(0, 0, 1, 0xffff);
	assert_true(sl_virtq_arm(&vq, 0));
	assert_int_equal(get(&len), 0);
	assert_none();
	close_driver();
}

/* All is marked as used that was never given. */
static void test_used_before(void **state)
{
	(void)state;
	open_packed();
	for (unsigned i = 0; i < SIZE; i++)
		use(i, (uint16_t)i, 0, USED);
	assert_none();
	assert_int_equal(add(0, 1, 2), 0);
	assert_none();
	assert_false(sl_virtq_arm(&vq, 0));
	sl_virtq_publish(&vq);
	assert_none();
	close_driver();
}

static void test_scribble(void **state)
{
	uint32_t len;

	(void)state;
	open_with_two();
	memset(memory, 0xff, sl_virtq_layout(SIZE, true).len);
	use(0, 0, 201, USED | WRITE);
	assert_int_equal(get(&len), 0);
	assert_int_equal(len, 201);
	assert_int_equal(vq.n_free, 4);
	assert_int_equal(add(0x77, 0, 4), 0);
	sl_virtq_publish(&vq);
	assert_int_equal(device.ring[3].addr, 0x77);
	assert_int_equal(device.ring[1].addr, 0x77 + 3);
	assert_int_equal(device.ring[1].flags, VIRTQ_DESC_F_USED | WRITE); /* the second lap's */
	close_driver();
}

/*
 * In order.
 */

static void open_in_order(bool packed)
{
	open_queue((struct virtq_options){
		.size = packed ? SIZE : 8, .packed = packed, .in_order = true});
	assert_int_equal(add(0, 0, 2), 0);
	assert_int_equal(add(9, 0, 1), packed ? 1 : 2);
	assert_int_equal(add(9, 0, 1), packed ? 2 : 3);
	sl_virtq_publish(&vq);
}

static void test_batch(void **state)
{
	uint32_t len;

	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		open_in_order(packed);
		oracle_put(&device, packed ? 1 : 2, packed ? 3 : 2, 7);
		assert_int_equal(get(&len), 0);
		assert_int_equal(len, 201); /* "used completely" */
		assert_int_equal(sl_virtq_look(&vq), 0);
		assert_true(sl_virtq_arm(&vq, 0));
		assert_int_equal(get(&len), packed ? 1 : 2);
		assert_int_equal(len, 7);
		assert_none();
		assert_false(sl_virtq_arm(&vq, 0));
		close_driver();
	}
}

static void test_batch_bad_id(void **state)
{
	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		open_in_order(packed);
		oracle_put(&device, 8, 3, 0);
		assert_broken("names no descriptor");
		open_in_order(packed);
		oracle_put(&device, packed ? 3 : 1, 3, 0);
		assert_broken("that it does not have");
		open_in_order(packed);
		oracle_put(&device, 0, 1, 202);
		assert_broken("longer than its buffer");
	}
}

/* A batch ends with a buffer that used idx does not reach, or that was not published. */
static void test_batch_too_long(void **state)
{
	uint32_t len;

	(void)state;
	open_in_order(false);
	oracle_put(&device, 3, 2, 0);
	assert_int_equal(get(&len), 0);
	assert_int_equal(get(&len), 2);
	assert_broken("a batch that is not all used");
	open_in_order(true);
	assert_int_equal(add(9, 0, 1), 3);
	oracle_put(&device, 3, 5, 0);
	for (int id = 0; id < 3; id++)
		assert_int_equal(get(&len), id);
	assert_broken("a batch that is not all used");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),	     cmocka_unit_test(test_first_is_last),
		cmocka_unit_test(test_tables),	     cmocka_unit_test(test_bad_id),
		cmocka_unit_test(test_id_twice),     cmocka_unit_test(test_length),
		cmocka_unit_test(test_flags_flap),   cmocka_unit_test(test_used_before),
		cmocka_unit_test(test_scribble),     cmocka_unit_test(test_batch),
		cmocka_unit_test(test_batch_bad_id), cmocka_unit_test(test_batch_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
