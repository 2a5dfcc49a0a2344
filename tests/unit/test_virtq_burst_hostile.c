/* SPDX-License-Identifier: BSD-2-Clause */
/* Bursts of buffers, taken from drivers that break the rules, one rule at a time: the queue is
 * broken for good and says why; what does no harm is allowed. */
#include "virtq_hostile.h"

#define ROOM 64

static struct virtq_buffer bufs[ROOM];
static struct iovec pieces[ROOM];

static int take(unsigned max)
{
	return sl_virtq_burst_take(rig.vq, false, bufs, max, pieces, ROOM);
}

/* Those that are good are not taken, then. */
static int take_bad(unsigned good)
{
	(void)good;
	return take(4);
}

static void test_write(void **state)
{
	(void)state;
	one_breaks(RIG_IOVA, 8, VIRTQ_DESC_F_WRITE, "has a piece to write");
	one_breaks(0, 0, VIRTQ_DESC_F_WRITE, "has a piece to write");
	for (int packed = 0; packed < 2; packed++) {
		open_queue(packed);
		put_entry(packed, 0, 8, VIRTQ_DESC_F_NEXT, 1);
		put_entry(packed, 1, 8, VIRTQ_DESC_F_WRITE, 0);
		table_breaks("has a piece to write");
	}
}

static void test_access(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		open_queue(packed);
		rig_map(&rig, 0x1000, rig.data, RIG_PAGE, SL_REGION_READ);
		put_desc(0, 0x1000, 8, 0, 0);
		offer_head(0);
		assert_int_equal(take(4), 1);
		assert_ptr_equal(pieces[0].iov_base, rig.data);
		assert_int_equal(sl_virtq_burst_use(rig.vq, bufs, NULL, 1), 0);
		put_desc(1, 0x1000, 8, VIRTQ_DESC_F_WRITE, 1);
		offer_head(1);
		assert_int_equal(sl_virtq_burst_take(rig.vq, true, bufs, 4, pieces, ROOM), -EPROTO);
		assert_broken("may not be accessed so");
		open_queue(packed);
		put_desc(0, RIG_IOVA, 8, 0, 0);
		offer_head(0);
		assert_int_equal(sl_virtq_burst_take(rig.vq, true, bufs, 4, pieces, ROOM), -EPROTO);
		assert_broken("has a piece to read");
	}
}

/* What was right the last time is looked up anew: the space may have changed. */
static void test_unmapped_since(void **state)
{
	struct sl_iova_range all = {{0}, {UINT64_MAX}};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		open_queue(i & 1);
		put_entry(i & 1, 0, 8, 0, 0);
		for (uint16_t n = 0; n < 2; n++) {
			put_desc(n, RIG_IOVA, 16, i & 2 ? VIRTQ_DESC_F_INDIRECT : 0, n);
			offer_head(n);
		}
		assert_int_equal(take(1), 1);
		assert_int_equal(sl_space_unmap(rig.space, all), 1);
		assert_broken("not mapped");
	}
}

/* A buffer that has no room this time has it the next; unless it never has. */
static void test_room(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		open_queue(packed);
		put_chain(0, 1, 8);
		put_chain(1, 3, 8);
		put_chain(4, 4, 8);
		assert_int_equal(sl_virtq_burst_take(rig.vq, false, bufs, 4, pieces, 3), 1);
		assert_int_equal(sl_virtq_burst_take(rig.vq, false, bufs, 4, pieces, 3), 1);
		assert_int_equal(bufs[0].n, 3);
		assert_int_equal(bufs[0].len, 24);
		assert_int_equal(sl_virtq_device_in_flight(rig.vq), 2);
		assert_int_equal(sl_virtq_burst_take(rig.vq, false, bufs, 4, pieces, 3), -EPROTO);
		assert_broken("too many pieces");
	}
}

static void test_too_many_bytes(void **state)
{
	const size_t len = (size_t)3 << 30;
	void *huge = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)state;
	assert_true(huge != MAP_FAILED);
	for (int packed = 0; packed < 2; packed++) {
		open_queue(packed);
		rig_map(&rig, 0, huge, len, SL_REGION_READ);
		put_desc(0, 0, 0x80000000u, VIRTQ_DESC_F_NEXT, 1);
		put_desc(1, 0, 0x7fffffffu, 0, 1);
		put_desc(2, 0, 0x80000000u, VIRTQ_DESC_F_NEXT, 3);
		put_desc(3, 0, 0x80000000u, 0, 3);
		offer_head(0);
		offer_head(2);
		assert_int_equal(take(1), 1);
		assert_int_equal(bufs[0].len, UINT32_MAX);
		assert_int_equal(bufs[0].n, 2);
		assert_broken("2^32 bytes");
	}
	munmap(huge, len);
}

/* A buffer twice, or one that the device has: whatever comes of it, it is the driver's own. */
static void test_twice(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		open_queue(packed);
		for (uint16_t n = 0; n < 3; n++) {
			put_desc(packed ? n : 5, RIG_IOVA, 8, 0, 5);
			offer_head(5);
		}
		assert_int_equal(take(2), 2);
		assert_int_equal(take(2), 1);
		assert_int_equal(sl_virtq_device_in_flight(rig.vq), 3);
		assert_int_equal(sl_virtq_burst_use(rig.vq, bufs, NULL, 1), 0);
		assert_true(sl_virtq_device_publish(rig.vq) >= 0);
		assert_int_equal(sl_virtq_device_in_flight(rig.vq), 2);
		rig_close(&rig);
	}
}

/* How far it may be is counted from what was used, and shown. */
static void test_avail_idx_used(void **state)
{
	struct virtq_avail *avail;

	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		open_queue(false);
		avail = rig.driver;
		put_desc(0, RIG_IOVA, 8, 0, 0);
		avail->idx = SIZE;
		assert_int_equal(take(3), 3);
		if (n) /* used, and not shown */
			assert_int_equal(sl_virtq_burst_use(rig.vq, bufs, NULL, 1), 0);
		if (n > 1)
			assert_true(sl_virtq_device_publish(rig.vq) >= 0);
		avail->idx = SIZE + 1;
		if (n > 1)
			assert_int_equal(take(8), 6);
		avail->idx += n > 1;
		assert_int_equal(sl_virtq_device_arm(rig.vq), -EPROTO); /* nobody sleeps over it */
		assert_broken("avail idx is ahead");
	}
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
		put_desc(n, RIG_IOVA, 8, VIRTQ_DESC_F_NEXT, 1);
	assert_int_equal(take(1), 1);
	assert_broken("longer than what is free");
	/* All of the ring is the device's: nothing can be available, whatever the flags say. */
	open_queue(true);
	ring = rig.desc;
	for (uint16_t n = 0; n < SIZE; n++)
		put_desc(n, RIG_IOVA, 8, 0, n);
	assert_int_equal(take(ROOM), SIZE);
	ring[0].flags = sl_virtq_packed_flags(false, false);
	assert_int_equal(take(ROOM), 0);
	assert_int_equal(sl_virtq_device_arm(rig.vq), 0);
	sl_virtq_burst_untake(rig.vq, bufs, SIZE);
	ring[0].flags = sl_virtq_packed_flags(false, true);
	assert_int_equal(take(ROOM), SIZE);
	rig_close(&rig);
}

/* Rules that are no reason to refuse. */
static void test_allowed(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		open_queue(packed);
		put_entry(packed, 0, 8, VIRTQ_DESC_F_NEXT, 1);
		put_entry(packed, 1, 4, 0, 0);
		/* 2.7.5.3.2: others before a table, whose write flag is ignored */
		put_desc(0, RIG_IOVA, 16, VIRTQ_DESC_F_NEXT, 1);
		put_desc(1, RIG_IOVA, 32, VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_WRITE, 1);
		/* no bytes at an address that is none */
		put_desc(2, 0, 0, VIRTQ_DESC_F_NEXT, 3);
		put_desc(3, RIG_IOVA, 8, 0, 3);
		put_desc(4, 0, 0, 0, 4);
		put_desc(5, RIG_IOVA + 8, 1, 0, 5);
		offer_head(0);
		offer_head(2);
		offer_head(4);
		offer_head(5);
		assert_int_equal(take(ROOM), 4);
		assert_int_equal(bufs[0].n, 3);
		assert_int_equal(bufs[0].len, 16 + 8 + 4);
		assert_int_equal(bufs[0].descs, packed ? 2 : 1);
		assert_int_equal(bufs[1].n, 1);
		assert_int_equal(bufs[1].first, 3);
		assert_int_equal(bufs[1].len, 8);
		assert_int_equal(bufs[2].n, 0);
		assert_int_equal(bufs[2].len, 0);
		assert_int_equal(bufs[3].n, 1);
		assert_int_equal(bufs[3].first, 4);
		assert_ptr_equal(pieces[4].iov_base, rig.data + 8);
		rig_close(&rig);
	}
}

/* A buffer in two mappings that touch, by a table that is in two others, at an odd address. */
static void test_two_mappings(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		struct virtq_desc entry = {0x11000 - 8, 24, 0, 0};
		uint8_t *end;

		open_queue(packed);
		rig_map(&rig, 0x10000, rig.data, RIG_PAGE, SL_REGION_READ);
		rig_map(&rig, 0x11000, rig.memory, RIG_PAGE, SL_REGION_READ);
		rig_map(&rig, 0x20000, rig.data, 35, SL_REGION_READ);
		rig_map(&rig, 0x20023, rig.data + 64, 64, SL_REGION_READ);
		end = rig.data + 35;
		memcpy(end - 16, &entry, sizeof(entry));
		memcpy(rig.data + 64, &entry, sizeof(entry));
		if (!packed) {
			entry.flags = VIRTQ_DESC_F_NEXT;
			entry.next = 1;
			memcpy(end - 16, &entry, sizeof(entry));
		}
		put_desc(0, 0x20023 - 16, 32, VIRTQ_DESC_F_INDIRECT, 0);
		put_desc(1, 0x11000 - 8, 24, 0, 1);
		offer_head(0);
		offer_head(1);
		assert_int_equal(take(ROOM), 2);
		assert_int_equal(bufs[0].n, 4);
		assert_int_equal(bufs[0].len, 48);
		assert_int_equal(bufs[1].n, 2);
		assert_int_equal(bufs[1].len, 24);
		for (unsigned i = 0; i < 6; i += 2) {
			assert_ptr_equal(pieces[i].iov_base, rig.data + RIG_PAGE - 8);
			assert_int_equal(pieces[i].iov_len, 8);
			assert_ptr_equal(pieces[i + 1].iov_base, rig.memory);
			assert_int_equal(pieces[i + 1].iov_len, 16);
		}
		rig_close(&rig);
	}
}

/*
 * Memory that is not mapped yet.
 */

static int miss_answer;
static unsigned missed;

static int on_miss(void *ctx, sl_iova iova, uint64_t len)
{
	(void)ctx;
	(void)len;
	missed++;
	if (!miss_answer)
		rig_map(&rig, iova.value & ~(RIG_PAGE - 1), rig.data, RIG_PAGE, SL_REGION_READ);
	return miss_answer;
}

/* Two good ones, one of which the second half, or the table, is at 0x5000; one good one. */
static void open_missing(bool packed, bool table)
{
	const struct rig_options options = {
		.size = SIZE, .packed = packed, .indirect = true, .pieces = 2};
	struct virtq_setup setup;

	rig_make(&rig, &options);
	setup = rig_setup(&rig);
	setup.miss = on_miss;
	missed = 0;
	assert_int_equal(sl_virtq_device_open(&setup, &rig.vq), 0);
	put_entry(packed, 0, 8, 0, 0);
	put_chain(0, 1, 8);
	put_chain(1, 1, 8);
	put_desc(2, RIG_IOVA, 8, VIRTQ_DESC_F_NEXT, packed ? 2 : 3);
	put_desc(3, 0x5000, 16, table ? VIRTQ_DESC_F_INDIRECT : 0, 2);
	offer_head(2);
	put_chain(4, 1, 8);
}

static void test_miss(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		miss_answer = 0;
		open_missing(i & 1, i & 2);
		assert_int_equal(take(ROOM), 4);
		assert_int_equal(missed, 1);
		assert_int_equal(bufs[2].n, 2);
		rig_close(&rig);
		miss_answer = -EAGAIN;
		open_missing(i & 1, i & 2);
		assert_int_equal(take(ROOM), 2);
		for (unsigned again = 0; again < 3; again++)
			assert_int_equal(take(ROOM), 0);
		assert_int_equal(missed, 4);
		assert_int_equal(sl_virtq_device_in_flight(rig.vq), 2);
		assert_int_equal(sl_virtq_device_arm(rig.vq), 1);
		miss_answer = 0;
		assert_int_equal(take(ROOM), 2);
		assert_int_equal(bufs[0].id, 2);
		assert_int_equal(bufs[0].n, 2);
		rig_close(&rig);
		miss_answer = -EFAULT;
		open_missing(i & 1, i & 2);
		assert_broken("not mapped");
	}
}

/* Not the driver's fault: more than was taken is given back. */
static void test_use_too_many(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		open_queue(packed);
		put_chain(0, 1, 8);
		assert_int_equal(take(ROOM), 1);
		assert_int_equal(sl_virtq_burst_use(rig.vq, bufs, NULL, 2), -EPROTO);
		assert_broken("given back that was not taken");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_mapped),    cmocka_unit_test(test_write),
		cmocka_unit_test(test_access),	      cmocka_unit_test(test_unmapped_since),
		cmocka_unit_test(test_room),	      cmocka_unit_test(test_too_many_bytes),
		cmocka_unit_test(test_split_chains),  cmocka_unit_test(test_twice),
		cmocka_unit_test(test_avail_idx),     cmocka_unit_test(test_avail_idx_used),
		cmocka_unit_test(test_packed_chains), cmocka_unit_test(test_packed_held),
		cmocka_unit_test(test_table_len),     cmocka_unit_test(test_table_chains),
		cmocka_unit_test(test_allowed),	      cmocka_unit_test(test_two_mappings),
		cmocka_unit_test(test_miss),	      cmocka_unit_test(test_use_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
