/* SPDX-License-Identifier: BSD-2-Clause */
/* The device's side of a virtqueue against drivers that break the rules, one rule at a time: the
 * queue is broken for good and says why, and nothing else has happened. */
#include <setjmp.h>
#include <stdio.h>

#include "base/bytes.h"
#include "virtq_hostile.h"

static struct rig_taken taken;

static void assert_broken(const char *why)
{
	assert_int_equal(rig_get(&rig, &taken), -EPROTO);
	assert_non_null(sl_virtq_device_broken(rig.vq));
	if (!strstr(sl_virtq_device_broken(rig.vq), why))
		fail_msg("\"%s\" and not \"%s\"", sl_virtq_device_broken(rig.vq), why);
	/* What the driver does now does not help it. */
	memset(rig.memory, 0, RIG_PAGE);
	assert_int_equal(rig_get(&rig, &taken), -EPROTO);
	assert_int_equal(sl_virtq_device_publish(rig.vq), -EPROTO);
	assert_int_equal(sl_virtq_device_arm(rig.vq), -EPROTO);
	sl_virtq_device_disarm(rig.vq);
	rig_close(&rig);
}

/* One descriptor, as the test has it; the rest of the test is the reason. */
static void one_breaks(uint64_t addr, uint32_t len, unsigned flags, const char *why)
{
	for (int packed = 0; packed < 2; packed++) {
		open_queue(packed);
		put_desc(0, addr, len, flags, 0);
		offer_head(0);
		assert_broken(why);
	}
}

static void test_not_mapped(void **state)
{
	size_t data = rig_round((size_t)SIZE * RIG_BUFFER);

	(void)state;
	one_breaks(0, 8, 0, "not mapped");
	one_breaks(RIG_IOVA - 1, 8, 0, "not mapped");
	one_breaks(RIG_IOVA + data - 8, 9, 0, "not mapped");
	one_breaks(RIG_IOVA + data - 8, 9, VIRTQ_DESC_F_WRITE, "not mapped");
	one_breaks(RIG_IOVA, UINT32_MAX, 0, "not mapped");
	one_breaks(UINT64_MAX - 3, 8, 0, "past the end of all addresses");
	one_breaks(UINT64_MAX, 8, VIRTQ_DESC_F_INDIRECT, "whole descriptors");
	one_breaks(UINT64_MAX - 3, 16, VIRTQ_DESC_F_INDIRECT, "past the end of all addresses");
	one_breaks(0, 16, VIRTQ_DESC_F_INDIRECT, "not mapped");
	one_breaks(RIG_IOVA + data - 8, 16, VIRTQ_DESC_F_INDIRECT, "not mapped");
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

static void test_order(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		open_queue(packed);
		put_desc(0, RIG_IOVA, 8, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 1);
		put_desc(1, RIG_IOVA, 8, 0, 0);
		offer_head(0);
		assert_broken("a descriptor to read is behind one to write");
	}
}

static void test_too_many_pieces(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		open_queue(packed);
		for (uint16_t n = 0; n < 4; n++)
			put_desc(n, RIG_IOVA, 8, n < 3 ? VIRTQ_DESC_F_NEXT : 0,
				 (uint16_t)(packed ? 0 : n + 1));
		offer_head(0);
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

static void test_split_chains(void **state)
{
	(void)state;
	open_queue(false);
	put_desc(0, RIG_IOVA, 8, VIRTQ_DESC_F_NEXT, SIZE);
	offer_head(0);
	assert_broken("leaves the descriptor table");
	open_queue(false);
	put_desc(0, RIG_IOVA, 0, VIRTQ_DESC_F_NEXT, 1);
	put_desc(1, RIG_IOVA, 0, VIRTQ_DESC_F_NEXT, 0);
	offer_head(0);
	assert_broken("longer than the queue");
	open_queue(false);
	offer_head(SIZE);
	assert_broken("names no descriptor");
	open_queue(false);
	put_desc(3, RIG_IOVA, 8, 0, 0);
	offer_head(3);
	offer_head(3);
	assert_int_equal(rig_get(&rig, &taken), 0);
	assert_broken("names a buffer twice");
}

static void test_avail_idx(void **state)
{
	static const uint16_t by[] = {SIZE + 1, 32768, 65535};

	(void)state;
	for (unsigned n = 0; n < sl_array_len(by); n++) {
		open_queue(false);
		((struct virtq_avail *)rig.driver)->idx = by[n];
		assert_broken("avail idx is ahead");
	}
	open_queue(false);
	((struct virtq_avail *)rig.driver)->idx = SIZE + 1;
	assert_int_equal(sl_virtq_device_arm(rig.vq), -EPROTO); /* nobody sleeps over it */
	assert_broken("avail idx is ahead");
}

static void test_packed_chains(void **state)
{
	struct virtq_packed_desc *ring;

	(void)state;
	open_queue(true);
	for (unsigned n = 0; n < SIZE; n++)
		put_desc(n, RIG_IOVA, 0, VIRTQ_DESC_F_NEXT, 0);
	assert_broken("longer than what is free");
	/* It would go on in a buffer that the device has. */
	open_queue(true);
	put_desc(0, RIG_IOVA, 8, VIRTQ_DESC_F_NEXT, 0);
	put_desc(1, RIG_IOVA, 8, 0, 0);
	for (unsigned n = 2; n < SIZE; n++)
		put_desc(n, RIG_IOVA, 0, VIRTQ_DESC_F_NEXT, 1);
	assert_int_equal(rig_get(&rig, &taken), 0);
	assert_broken("longer than what is free");
	open_queue(true);
	put_desc(0, RIG_IOVA, 8, 0, SIZE);
	assert_broken("not below the size");
	open_queue(true);
	put_desc(0, RIG_IOVA, 8, 0, 5);
	put_desc(1, RIG_IOVA, 8, 0, 5);
	assert_int_equal(rig_get(&rig, &taken), 0);
	assert_broken("that of another");
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

/*
 * Indirect tables, at RIG_IOVA.
 */

static void test_table_len(void **state)
{
	(void)state;
	one_breaks(RIG_IOVA, 0, VIRTQ_DESC_F_INDIRECT, "not of whole descriptors");
	one_breaks(RIG_IOVA, 24, VIRTQ_DESC_F_INDIRECT, "not of whole descriptors");
	one_breaks(RIG_IOVA, 16 * (SIZE + 1), VIRTQ_DESC_F_INDIRECT, "longer than the queue");
	one_breaks(RIG_IOVA, UINT32_MAX - 15, VIRTQ_DESC_F_INDIRECT, "longer than the queue");
	one_breaks(RIG_IOVA, 16, VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_NEXT,
		   "not the last of its chain");
}

static void test_table_not_negotiated(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		const struct rig_options options = {.size = SIZE, .packed = packed, .pieces = 1};

		rig_open(&rig, &options);
		put_entry(packed, 0, 8, 0, 0);
		put_desc(0, RIG_IOVA, 16, VIRTQ_DESC_F_INDIRECT, 0);
		offer_head(0);
		assert_broken("was not negotiated");
	}
}

static void table_breaks(const char *why)
{
	put_desc(0, RIG_IOVA, 32, VIRTQ_DESC_F_INDIRECT, 0);
	offer_head(0);
	assert_broken(why);
}

static void test_table_chains(void **state)
{
	(void)state;
	open_queue(false);
	put_entry(false, 0, 32, VIRTQ_DESC_F_INDIRECT, 0);
	table_breaks("in an indirect table");
	open_queue(false);
	put_entry(false, 0, 8, VIRTQ_DESC_F_NEXT, 2);
	table_breaks("leaves its indirect table");
	open_queue(false);
	put_entry(false, 0, 0, VIRTQ_DESC_F_NEXT, 1);
	put_entry(false, 1, 0, VIRTQ_DESC_F_NEXT, 0);
	table_breaks("has no end");
	for (int packed = 0; packed < 2; packed++) {
		open_queue(packed);
		put_entry(packed, 0, 8, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 1);
		put_entry(packed, 1, 8, 0, 0);
		table_breaks("behind one to write");
	}
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
		cmocka_unit_test(test_not_mapped),
		cmocka_unit_test(test_access),
		cmocka_unit_test(test_unmapped_since),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_too_many_pieces),
		cmocka_unit_test(test_too_many_bytes),
		cmocka_unit_test(test_split_chains),
		cmocka_unit_test(test_avail_idx),
		cmocka_unit_test(test_packed_chains),
		cmocka_unit_test(test_table_len),
		cmocka_unit_test(test_table_not_negotiated),
		cmocka_unit_test(test_table_chains),
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_two_mappings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
