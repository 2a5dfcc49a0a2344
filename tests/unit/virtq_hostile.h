/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests in which the driver breaks rules: it writes descriptors as the test has them. The queue
 * is broken for good and says why. What is the same by all calls is tested here. */
#ifndef SL_TESTS_VIRTQ_HOSTILE_H
#define SL_TESTS_VIRTQ_HOSTILE_H

#include <setjmp.h>
#include <stdio.h>

#include "base/bytes.h"
#include "virtq/burst.h"
#include "virtq_rig.h"

#define SIZE 8

static struct rig rig;

/* With @n descriptors in the ring, from 0 on, as the test writes them. */
static inline void open_queue(bool packed)
{
	const struct rig_options options = {
		.size = SIZE, .packed = packed, .indirect = true, .pieces = 2};

	rig_open(&rig, &options);
}

static inline struct virtq_desc *table(void)
{
	return rig.desc;
}

static inline void put_desc(unsigned at, uint64_t addr, uint32_t len, unsigned flags, uint16_t next)
{
	struct virtq_packed_desc *ring = rig.desc;

	if (!rig.options.packed) {
		table()[at] = (struct virtq_desc){addr, len, (uint16_t)flags, next};
		return;
	}
	ring[at] = (struct virtq_packed_desc){addr, len, next, (uint16_t)flags};
	ring[at].flags |= sl_virtq_packed_flags(false, true);
}

/* Of a split queue: this head is available. */
static inline void offer_head(uint16_t head)
{
	struct virtq_avail *avail = rig.driver;

	if (!rig.options.packed)
		avail->ring[avail->idx++ % SIZE] = head;
}

/* Of an indirect table, at RIG_IOVA. */
static inline void put_entry(bool packed, unsigned at, uint32_t len, unsigned flags, uint16_t next)
{
	struct virtq_desc *split = (void *)rig.data;
	struct virtq_packed_desc *entry = (void *)rig.data;

	if (packed)
		entry[at] = (struct virtq_packed_desc){RIG_IOVA, len, 0, (uint16_t)flags};
	else
		split[at] = (struct virtq_desc){RIG_IOVA, len, (uint16_t)flags, next};
}

/* Behind @good buffers that are all right. */
static int take_bad(unsigned good);

static inline void assert_broken_behind(unsigned good, const char *why)
{
	assert_int_equal(take_bad(good), -EPROTO);
	assert_non_null(sl_virtq_device_broken(rig.vq));
	if (!strstr(sl_virtq_device_broken(rig.vq), why))
		fail_msg("\"%s\" and not \"%s\"", sl_virtq_device_broken(rig.vq), why);
	/* What the driver does now does not help it. */
	memset(rig.memory, 0, RIG_PAGE);
	assert_int_equal(take_bad(0), -EPROTO);
	assert_int_equal(sl_virtq_burst_use(rig.vq, NULL, NULL, 0), -EPROTO);
	assert_int_equal(sl_virtq_device_publish(rig.vq), -EPROTO);
	assert_int_equal(sl_virtq_device_arm(rig.vq), -EPROTO);
	sl_virtq_device_disarm(rig.vq);
	rig_close(&rig);
}

static inline void assert_broken(const char *why)
{
	assert_broken_behind(0, why);
}

/* As the first; and behind one that is good, so that the mapping is the right one already. */
static inline void one_breaks(uint64_t addr, uint32_t len, unsigned flags, const char *why)
{
	for (unsigned i = 0; i < 4; i++) {
		open_queue(i & 1);
		if (i & 2) {
			put_desc(0, RIG_IOVA, 8, 0, 0);
			offer_head(0);
		}
		put_desc(i >> 1, addr, len, flags, (uint16_t)(i >> 1));
		offer_head((uint16_t)(i >> 1));
		assert_broken_behind(i >> 1, why);
	}
}

static inline void put_chain(uint16_t at, uint16_t n, uint32_t len)
{
	for (uint16_t i = 0; i < n; i++)
		put_desc(at + i, RIG_IOVA, len, i + 1 < n ? VIRTQ_DESC_F_NEXT : 0,
			 (uint16_t)(rig.options.packed ? at : at + i + 1));
	offer_head(at);
}

static inline void table_breaks(const char *why)
{
	put_desc(0, RIG_IOVA, 32, VIRTQ_DESC_F_INDIRECT, 0);
	offer_head(0);
	assert_broken(why);
}

/*
 * Tests of whichever calls.
 */

static inline void test_not_mapped(void **state)
{
	size_t data = rig_round((size_t)SIZE * RIG_BUFFER);

	(void)state;
	one_breaks(0, 8, 0, "not mapped");
	one_breaks(RIG_IOVA - 1, 8, 0, "not mapped");
	one_breaks(RIG_IOVA - 1, UINT32_MAX, 0, "not mapped");
	one_breaks(RIG_IOVA + data - 8, 9, 0, "not mapped");
	one_breaks(RIG_IOVA + data, 1, 0, "not mapped");
	one_breaks(RIG_IOVA, UINT32_MAX, 0, "not mapped");
	one_breaks(UINT64_MAX - 3, 8, 0, "past the end of all addresses");
	one_breaks(UINT64_MAX, 8, VIRTQ_DESC_F_INDIRECT, "whole descriptors");
	one_breaks(UINT64_MAX - 3, 16, VIRTQ_DESC_F_INDIRECT, "past the end of all addresses");
	one_breaks(0, 16, VIRTQ_DESC_F_INDIRECT, "not mapped");
	one_breaks(RIG_IOVA + data - 8, 16, VIRTQ_DESC_F_INDIRECT, "not mapped");
}

static inline void test_split_chains(void **state)
{
	(void)state;
	open_queue(false);
	put_desc(0, RIG_IOVA, 8, VIRTQ_DESC_F_NEXT, SIZE);
	put_desc(SIZE, RIG_IOVA, 8, 0, 0);
	offer_head(0);
	assert_broken("leaves the descriptor table");
	for (uint32_t len = 0; len < 2; len++) {
		open_queue(false);
		put_desc(0, RIG_IOVA, len, VIRTQ_DESC_F_NEXT, 1);
		put_desc(1, RIG_IOVA, len, VIRTQ_DESC_F_NEXT, 0);
		offer_head(0);
		assert_broken("longer than the queue");
	}
	open_queue(false);
	put_desc(SIZE, RIG_IOVA, 8, 0, 0); /* behind the table: it would do */
	offer_head(SIZE);
	assert_broken("names no descriptor");
	open_queue(false);
	offer_head(65535);
	assert_broken("names no descriptor");
}

static inline void test_avail_idx(void **state)
{
	static const uint16_t by[] = {SIZE + 1, 32768, 65535};

	(void)state;
	for (unsigned n = 0; n < 2 * sl_array_len(by); n++) {
		open_queue(false);
		((struct virtq_avail *)rig.driver)->idx = by[n / 2];
		if (n % 2) /* nobody sleeps over it */
			assert_int_equal(sl_virtq_device_arm(rig.vq), -EPROTO);
		assert_broken("avail idx is ahead");
	}
}

static inline void test_packed_chains(void **state)
{
	(void)state;
	for (uint32_t len = 0; len < 2; len++) {
		open_queue(true);
		for (unsigned n = 0; n < SIZE; n++)
			put_desc(n, RIG_IOVA, len, VIRTQ_DESC_F_NEXT, 0);
		assert_broken("longer than what is free");
	}
	for (unsigned n = 1; n < 3; n++) {
		open_queue(true);
		put_chain(0, (uint16_t)n, 8);
		((struct virtq_packed_desc *)rig.desc)[n - 1].id = SIZE;
		assert_broken("not below the size");
	}
}

static inline void test_table_len(void **state)
{
	(void)state;
	one_breaks(RIG_IOVA, 0, VIRTQ_DESC_F_INDIRECT, "not of whole descriptors");
	one_breaks(RIG_IOVA, 24, VIRTQ_DESC_F_INDIRECT, "not of whole descriptors");
	one_breaks(RIG_IOVA, 16 * (SIZE + 1), VIRTQ_DESC_F_INDIRECT, "longer than the queue");
	one_breaks(RIG_IOVA, UINT32_MAX - 15, VIRTQ_DESC_F_INDIRECT, "longer than the queue");
	one_breaks(RIG_IOVA, 16, VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_NEXT,
		   "not the last of its chain");
	for (int packed = 0; packed < 2; packed++) {
		const struct rig_options options = {.size = SIZE, .packed = packed, .pieces = 1};

		rig_open(&rig, &options);
		put_entry(packed, 0, 8, 0, 0);
		put_desc(0, RIG_IOVA, 16, VIRTQ_DESC_F_INDIRECT, 0);
		offer_head(0);
		assert_broken("was not negotiated");
	}
}

static inline void test_table_chains(void **state)
{
	(void)state;
	open_queue(false);
	put_entry(false, 0, 32, VIRTQ_DESC_F_INDIRECT, 0);
	table_breaks("in an indirect table");
	open_queue(false);
	put_entry(false, 0, 8, VIRTQ_DESC_F_NEXT, 2);
	table_breaks("leaves its indirect table");
	for (uint32_t len = 0; len < 2; len++) {
		open_queue(false);
		put_entry(false, 0, len, VIRTQ_DESC_F_NEXT, 1);
		put_entry(false, 1, len, VIRTQ_DESC_F_NEXT, 0);
		table_breaks("has no end");
	}
}

#endif
