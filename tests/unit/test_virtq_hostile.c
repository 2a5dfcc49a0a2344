/* SPDX-License-Identifier: BSD-2-Clause */
/* The device's side of a virtqueue against drivers that break the rules, one rule at a time: the
 * queue is broken for good and says why, and nothing else has happened. */
#include "virtq_hostile.h"

static struct rig_taken taken;

static int take_bad(unsigned good)
{
	while (good--)
		assert_int_equal(rig_get(&rig, &taken), 0);
	return rig_get(&rig, &taken);
}

/* Also when the mapping was the right one the last time. */
static void test_access(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		open_queue(packed);
		rig_map(&rig, 0x1000, rig.data, RIG_PAGE, SL_REGION_READ);
		put_desc(0, 0x1000, 8, 0, 0);
		put_desc(1, 0x1000, 8, VIRTQ_DESC_F_WRITE, 1);
		offer_head(0);
		offer_head(1);
		assert_int_equal(rig_get(&rig, &taken), 0);
		assert_ptr_equal(taken.pieces[0].iov_base, rig.data);
		assert_broken("may not be accessed so");
	}
}

/* What was right the last time is looked up anew: the space may have changed. */
static void test_unmapped_since(void **state)
{
	struct sl_iova_range all = {{0}, {UINT64_MAX}};

	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		open_queue(packed);
		assert_true(rig_add(&rig, 1) >= 0);
		assert_true(rig_add(&rig, 2) >= 0);
		rig.options.indirect = false;
		assert_int_equal(rig_get(&rig, &taken), 0);
		assert_int_equal(sl_space_unmap(rig.space, all), 1);
		assert_broken("not mapped");
	}
}

/* What only buffers with something to write can do. */
static void test_write(void **state)
{
	size_t data = rig_round((size_t)SIZE * RIG_BUFFER);

	(void)state;
	one_breaks(RIG_IOVA + data - 8, 9, VIRTQ_DESC_F_WRITE, "not mapped");
	for (int packed = 0; packed < 2; packed++) {
		open_queue(packed);
		put_desc(0, RIG_IOVA, 8, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 1);
		put_desc(1, RIG_IOVA, 8, 0, 0);
		offer_head(0);
		assert_broken("a descriptor to read is behind one to write");
		open_queue(packed);
		put_entry(packed, 0, 8, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 1);
		put_entry(packed, 1, 8, 0, 0);
		table_breaks("behind one to write");
	}
}

static void test_too_many_pieces(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		open_queue(packed);
		put_chain(0, 4, 8);
		taken.chain.pieces = taken.pieces;
		taken.chain.max = 3;
		assert_int_equal(sl_virtq_device_get(rig.vq, &taken.chain), -EPROTO);
		assert_broken("too many pieces");
	}
}

static void test_too_many_bytes(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		void *huge = mmap(NULL, (size_t)3 << 30, PROT_NONE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		assert_true(huge != MAP_FAILED);
		open_queue(packed);
		rig_map(&rig, 0, huge, (size_t)3 << 30, SL_REGION_READ | SL_REGION_WRITE);
		put_desc(0, 0, 0x80000000u, VIRTQ_DESC_F_NEXT, 1);
		put_desc(1, 0, 0x7fffffffu, VIRTQ_DESC_F_WRITE, 1);
		put_desc(2, 0, 0x80000000u, VIRTQ_DESC_F_NEXT, 3);
		put_desc(3, 0, 0x80000000u, VIRTQ_DESC_F_WRITE, 3);
		offer_head(0);
		offer_head(2);
		assert_int_equal(rig_get(&rig, &taken), 0);
		assert_int_equal(taken.chain.read_len, 0x80000000u);
		assert_int_equal(taken.chain.write_len, 0x7fffffffu);
		assert_broken("2^32 bytes");
		munmap(huge, (size_t)3 << 30);
	}
}

static void test_twice(void **state)
{
	(void)state;
	open_queue(false);
	put_desc(3, RIG_IOVA, 8, 0, 0);
	offer_head(3);
	offer_head(3);
	assert_broken_behind(1, "names a buffer twice");
	open_queue(true);
	put_desc(0, RIG_IOVA, 8, 0, 5);
	put_desc(1, RIG_IOVA, 8, 0, 5);
	assert_broken_behind(1, "that of another");
}

static void test_packed_held(void **state)
{
	struct virtq_packed_desc *ring;

	(void)state;
	/* It would go on in a buffer that the device has. */
	open_queue(true);
	put_desc(0, RIG_IOVA, 8, VIRTQ_DESC_F_NEXT, 0);
	put_desc(1, RIG_IOVA, 8, 0, 0);
	for (unsigned n = 2; n < SIZE; n++)
		put_desc(n, RIG_IOVA, 0, VIRTQ_DESC_F_NEXT, 1);
	assert_broken_behind(1, "longer than what is free");
	/* All of the ring is the device's: nothing can be available, whatever the flags say. */
	open_queue(true);
	ring = rig.desc;
	for (uint16_t n = 0; n < SIZE; n++) {
		put_desc(n, RIG_IOVA, 8, 0, n);
		assert_int_equal(rig_get(&rig, &taken), 0);
	}
	ring[0].flags = sl_virtq_packed_flags(false, false);
	assert_int_equal(rig_get(&rig, &taken), -EAGAIN);
	assert_int_equal(sl_virtq_device_arm(rig.vq), 0);
	rig_close(&rig);
}

/* Rules that are no reason to refuse. */
static void test_allowed(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		open_queue(packed);
		/* 2.7.5.3.2: "zero or more normal chained descriptors followed by a single
		 * descriptor with flags&VIRTQ_DESC_F_INDIRECT", whose write flag is ignored */
		put_entry(packed, 0, 8, VIRTQ_DESC_F_NEXT, 1);
		put_entry(packed, 1, 4, VIRTQ_DESC_F_WRITE, 0);
		put_desc(0, RIG_IOVA, 16, VIRTQ_DESC_F_NEXT, 1);
		put_desc(1, RIG_IOVA, 32, VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_WRITE, 1);
		/* no bytes at an address that is none */
		put_desc(2, 0, 0, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 3);
		put_desc(3, RIG_IOVA, 8, 0, 3);
		offer_head(0);
		offer_head(2);
		assert_int_equal(rig_get(&rig, &taken), 0);
		assert_int_equal(taken.chain.n_read, 2);
		assert_int_equal(taken.chain.read_len, 24);
		assert_int_equal(taken.chain.n_write, 1);
		assert_int_equal(taken.chain.write_len, 4);
		assert_int_equal(rig_get(&rig, &taken), 0);
		assert_int_equal(taken.chain.n_read, 1);
		assert_int_equal(taken.chain.n_write, 0);
		rig_close(&rig);
	}
}

/* A buffer in two mappings that touch. */
static void test_two_mappings(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		open_queue(packed);
		rig_map(&rig, 0x10000, rig.data, RIG_PAGE, SL_REGION_READ);
		rig_map(&rig, 0x11000, rig.memory, RIG_PAGE, SL_REGION_READ);
		put_desc(0, 0x11000 - 8, 24, 0, 0);
		offer_head(0);
		assert_int_equal(rig_get(&rig, &taken), 0);
		assert_int_equal(taken.chain.n_read, 2);
		assert_int_equal(taken.chain.read_len, 24);
		assert_ptr_equal(taken.pieces[0].iov_base, rig.data + RIG_PAGE - 8);
		assert_int_equal(taken.pieces[0].iov_len, 8);
		assert_ptr_equal(taken.pieces[1].iov_base, rig.memory);
		assert_int_equal(taken.pieces[1].iov_len, 16);
		rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_mapped),	cmocka_unit_test(test_access),
		cmocka_unit_test(test_unmapped_since),	cmocka_unit_test(test_write),
		cmocka_unit_test(test_too_many_pieces), cmocka_unit_test(test_too_many_bytes),
		cmocka_unit_test(test_split_chains),	cmocka_unit_test(test_avail_idx),
		cmocka_unit_test(test_packed_chains),	cmocka_unit_test(test_twice),
		cmocka_unit_test(test_packed_held),	cmocka_unit_test(test_table_len),
		cmocka_unit_test(test_table_chains),	cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_two_mappings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
