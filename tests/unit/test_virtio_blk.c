/* SPDX-License-Identifier: BSD-2-Clause */
/* A block device, driver's side: its features and configuration, true and false, and its requests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sluice/reason.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "fake_virtq.h"
#include "virtio/blk.h"

#define BIT VIRTIO_BIT

/* A device in plain memory, whose IOVAs are pointers. */
static struct fake_blk {
	struct virtio virtio;
	uint64_t offers;
	uint8_t status;
	uint32_t generation;
	struct virtio_blk_config config;
	size_t config_len, config_asked;
	struct virtio_queue setup;
	struct fake_virtq vq;
	unsigned notified;
} fake;

static struct virtio *const v = &fake.virtio;

static int get_status(struct virtio *virtio)
{
	(void)virtio;
	return fake.status;
}

static void set_status(struct virtio *virtio, uint8_t status)
{
	(void)virtio;
	fake.status = status;
}

static uint64_t get_features(struct virtio *virtio)
{
	(void)virtio;
	return fake.offers;
}

static void set_features(struct virtio *virtio, uint64_t features)
{
	(void)virtio;
	(void)features;
}

static uint32_t generation(struct virtio *virtio)
{
	(void)virtio;
	return fake.generation;
}

static int get_config(struct virtio *virtio, size_t offset, void *to, size_t len)
{
	(void)virtio;
	fake.config_asked = offset + len;
	if (offset + len > fake.config_len)
		return sl_fail(EINVAL, "the fake's configuration is shorter");
	memcpy(to, (uint8_t *)&fake.config + offset, len);
	return 0;
}

static uint16_t queue_size(struct virtio *virtio, uint16_t queue)
{
	(void)virtio;
	return queue ? 0 : 64;
}

static int queue_enable(struct virtio *virtio, uint16_t queue, const struct virtio_queue *setup)
{
	(void)virtio;
	(void)queue;
	fake.setup = *setup;
	if (sl_virtio_has(v, VIRTIO_F_RING_PACKED))
		return 0;
	fake.vq = fake_virtq_at((void *)(uintptr_t)setup->desc.value, setup->size,
				sl_virtio_has(v, VIRTIO_F_EVENT_IDX));
	fake.vq.avail_idx = fake.vq.used_idx = setup->state.avail;
	fake_virtq_listen(&fake.vq, true);
	return 0;
}

static void notify(struct virtio *virtio, uint16_t queue)
{
	(void)virtio;
	assert_int_equal(queue, 0);
	fake.notified++;
}

static const struct virtio_ops fake_ops = {
	.get_status = get_status,
	.set_status = set_status,
	.get_features = get_features,
	.set_features = set_features,
	.generation = generation,
	.get_config = get_config,
	.queue_size = queue_size,
	.queue_enable = queue_enable,
	.notify = notify,
};

static const struct virtio_blk_config good = {
	.capacity = 2048,
	.size_max = 65536,
	.seg_max = 20,
	.blk_size = 4096,
	.physical_block_exp = 1,
	.num_queues = 3,
	.max_discard_sectors = 1000,
	.max_discard_seg = 1,
	.discard_sector_alignment = 8,
	.max_write_zeroes_sectors = 2000,
	.max_write_zeroes_seg = 1,
};

static int fresh(void **state)
{
	(void)state;
	fake = (struct fake_blk){
		.virtio.ops = &fake_ops,
		.offers = ~UINT64_C(0),
		.config = good,
		.config_len = sizeof(fake.config),
	};
	return 0;
}

static void assert_reason(const char *part)
{
	if (!strstr(sl_reason(), part))
		fail_msg("not \"%s\" but \"%s\"", part, sl_reason());
}

/*
 * Features and configuration.
 */

static void test_features(void **state)
{
	uint64_t known =
		BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(VIRTIO_F_EVENT_IDX) |
		BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_RO) |
		BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_TOPOLOGY) |
		BIT(VIRTIO_BLK_F_MQ) | BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES);

	(void)state;
	assert_int_equal(sl_virtio_blk_start(v, 0), 0);
	assert_int_equal(v->features, known);
	assert_int_equal(sl_virtio_blk_start(v, BIT(VIRTIO_F_RING_PACKED)), 0);
	assert_int_equal(v->features, known | BIT(VIRTIO_F_RING_PACKED));
	fake.offers = BIT(VIRTIO_F_VERSION_1);
	assert_int_equal(sl_virtio_blk_start(v, BIT(VIRTIO_F_RING_PACKED)), 0);
	assert_int_equal(v->features, BIT(VIRTIO_F_VERSION_1));
}

static void test_state(void **state)
{
	struct virtio_blk_state s;

	(void)state;
	sl_virtio_blk_start(v, 0);
	assert_int_equal(sl_virtio_blk_state(v, &s), 0);
	assert_int_equal(s.capacity, 2048);
	assert_int_equal(s.piece_max, 65536);
	assert_int_equal(s.pieces_max, 20);
	assert_int_equal(s.block_size, 4096);
	assert_int_equal(s.physical, 8192);
	assert_int_equal(s.queues, 3);
	assert_int_equal(s.discard, 1000);
	assert_int_equal(s.discard_align, 8);
	assert_int_equal(s.write_zeroes, 2000);
	assert_true(s.read_only && s.flush);
}

/* A field whose feature was not negotiated is not read, whatever lies in its place. */
static void test_state_of_little(void **state)
{
	static const struct {
		unsigned feature;
		size_t len;
	} cases[] = {
		{VIRTIO_BLK_F_RO, 8},	     {VIRTIO_BLK_F_SIZE_MAX, 12},
		{VIRTIO_BLK_F_SEG_MAX, 16},  {VIRTIO_BLK_F_BLK_SIZE, 24},
		{VIRTIO_BLK_F_TOPOLOGY, 32}, {VIRTIO_BLK_F_MQ, 36},
		{VIRTIO_BLK_F_DISCARD, 48},  {VIRTIO_BLK_F_WRITE_ZEROES, 57},
	};
	struct virtio_blk_state s;

	(void)state;
	for (unsigned i = 0; i < sl_array_len(cases); i++) {
		fake.offers = BIT(VIRTIO_F_VERSION_1) | BIT(cases[i].feature);
		sl_virtio_blk_start(v, 0);
		assert_int_equal(sl_virtio_blk_state(v, &s), 0);
		assert_int_equal(fake.config_asked, cases[i].len);
		assert_int_equal(s.read_only, cases[i].feature == VIRTIO_BLK_F_RO);
		assert_int_equal(s.pieces_max, cases[i].feature == VIRTIO_BLK_F_SEG_MAX ? 20 : 1);
		assert_int_equal(s.block_size,
				 cases[i].feature == VIRTIO_BLK_F_BLK_SIZE ? 4096 : 512);
		assert_int_equal(s.queues, cases[i].feature == VIRTIO_BLK_F_MQ ? 3 : 1);
		assert_int_equal(s.discard, cases[i].feature == VIRTIO_BLK_F_DISCARD ? 1000 : 0);
		assert_false(s.flush);
		fake.config_len = cases[i].len - 1;
		assert_int_equal(sl_virtio_blk_state(v, &s), -EINVAL);
		fake.config_len = sizeof(fake.config);
	}
}

static void test_state_that_cannot_be(void **state)
{
	static const uint32_t blocks[] = {0, 1, 511, 513, 4097, 2u << 20, UINT32_MAX};
	struct virtio_blk_state s;

	(void)state;
	sl_virtio_blk_start(v, 0);
	for (unsigned i = 0; i < sl_array_len(blocks); i++) {
		fake.config.blk_size = blocks[i];
		assert_int_equal(sl_virtio_blk_state(v, &s), -EINVAL);
		assert_reason("its blocks have");
	}
	fake.config = good;
	fake.config.capacity = UINT64_MAX / 512 + 1;
	assert_int_equal(sl_virtio_blk_state(v, &s), -EINVAL);
	fake.config = good;
	fake.config.seg_max = 0;
	assert_int_equal(sl_virtio_blk_state(v, &s), -EINVAL);
	fake.config = good;
	fake.config.num_queues = 0;
	assert_int_equal(sl_virtio_blk_state(v, &s), -EINVAL);
}

/* What is odd and does no harm. */
static void test_state_that_is_odd(void **state)
{
	struct virtio_blk_state s;

	(void)state;
	sl_virtio_blk_start(v, 0);
	fake.config.size_max = 0; /* as qemu-storage-daemon says */
	fake.config.seg_max = UINT32_MAX;
	fake.config.physical_block_exp = 255;
	fake.config.max_discard_seg = 0;
	fake.config.discard_sector_alignment = 0;
	fake.config.max_write_zeroes_seg = 0;
	assert_int_equal(sl_virtio_blk_state(v, &s), 0);
	assert_int_equal(s.piece_max, UINT32_MAX);
	assert_int_equal(s.pieces_max, VIRTIO_BLK_PIECES_MAX);
	assert_int_equal(s.physical, 4096);
	assert_int_equal(s.discard, 0);
	assert_int_equal(s.write_zeroes, 0);
}

/*
 * Requests.
 */

#define SIZE  16
#define DEPTH 4

static struct virtio_blk_queue q;
static uint8_t *memory;

/* Memory of just the length that is asked for, for ASan to see what is touched behind it. */
static void open_queue(uint64_t more)
{
	struct virtio_blk_setup setup = {.v = v, .size = SIZE, .depth = DEPTH};
	size_t len;

	assert_int_equal(sl_virtio_blk_start(v, more), 0);
	len = sl_virtio_blk_memory(v->features, SIZE, DEPTH);
	memory = aligned_alloc(64, (len + 63) & ~(size_t)63);
	assert_non_null(memory);
	memset(memory, 0, len);
	setup.memory = memory;
	setup.iova.value = (uintptr_t)memory;
	assert_int_equal(sl_virtio_blk_open(&q, &setup), 0);
	assert_int_equal(sl_virtio_blk_enable(&q), 0);
}

static void close_queue(void)
{
	sl_virtio_blk_close(&q);
	free(memory);
}

static struct fake_chain add_and_pop(uint16_t slot, const struct virtio_blk_request *req)
{
	struct fake_chain chain;

	assert_int_equal(sl_virtio_blk_add(&q, slot, req), 0);
	assert_true(sl_virtio_blk_publish(&q));
	fake_virtq_listen(&fake.vq, true);
	assert_true(fake_virtq_pop(&fake.vq, &chain));
	return chain;
}

static void give_back(const struct fake_chain *chain, uint8_t status, uint16_t slot)
{
	uint8_t got = 77;

	*chain->elems[chain->n - 1].at = status;
	fake_virtq_push(&fake.vq, chain->head, 1);
	assert_int_equal(sl_virtio_blk_get(&q, &got), slot);
	assert_int_equal(got, status);
	assert_int_equal(sl_virtio_blk_get(&q, &got), -EAGAIN);
}

static void assert_header(const struct fake_chain *chain, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr header;

	assert_int_equal(chain->elems[0].len, sizeof(header));
	memcpy(&header, chain->elems[0].at, sizeof(header));
	assert_int_equal(header.type, type);
	assert_int_equal(header.ioprio, 0);
	assert_int_equal(header.sector, sector);
	assert_int_equal(chain->elems[chain->n - 1].len, 1);
	assert_int_equal(*chain->elems[chain->n - 1].at, UINT8_MAX); /* not said yet */
}

static void test_read_and_write(void **state)
{
	struct virtq_elem data[3] = {{{0x1000}, 512}, {{0x3000}, 1024}, {{0x5000}, 512}};
	struct virtio_blk_request req = {.sector = 99, .data = data, .n = 3};
	struct fake_chain chain;

	(void)state;
	open_queue(0);
	req.type = VIRTIO_BLK_T_IN;
	chain = add_and_pop(2, &req);
	assert_int_equal(chain.n, 5);
	assert_int_equal(chain.n_read, 1);
	assert_header(&chain, VIRTIO_BLK_T_IN, 99);
	for (unsigned i = 0; i < 3; i++) {
		assert_ptr_equal(chain.elems[1 + i].at, data[i].addr.value);
		assert_int_equal(chain.elems[1 + i].len, data[i].len);
	}
	give_back(&chain, VIRTIO_BLK_S_OK, 2);
	req.type = VIRTIO_BLK_T_OUT;
	chain = add_and_pop(3, &req);
	assert_int_equal(chain.n, 5);
	assert_int_equal(chain.n_read, 4);
	assert_header(&chain, VIRTIO_BLK_T_OUT, 99);
	give_back(&chain, VIRTIO_BLK_S_IOERR, 3);
	close_queue();
}

static void test_flush(void **state)
{
	struct virtio_blk_request req = {.type = VIRTIO_BLK_T_FLUSH, .sector = 7};
	struct fake_chain chain;

	(void)state;
	open_queue(0);
	chain = add_and_pop(0, &req);
	assert_int_equal(chain.n, 2);
	assert_int_equal(chain.n_read, 1);
	assert_header(&chain, VIRTIO_BLK_T_FLUSH, 0); /* 5.2.6.1: "MUST set sector to 0" */
	give_back(&chain, VIRTIO_BLK_S_UNSUPP, 0);
	close_queue();
}

static void test_ranges(void **state)
{
	static const uint32_t types[] = {VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES};
	struct virtio_blk_discard_write_zeroes range;

	(void)state;
	open_queue(0);
	for (unsigned i = 0; i < sl_array_len(types); i++) {
		struct virtio_blk_request req = {.type = types[i], .sector = 800, .count = 16};
		struct fake_chain chain = add_and_pop(1, &req);

		assert_int_equal(chain.n, 3);
		assert_int_equal(chain.n_read, 2);
		assert_header(&chain, types[i], 0);
		assert_int_equal(chain.elems[1].len, sizeof(range));
		memcpy(&range, chain.elems[1].at, sizeof(range));
		assert_int_equal(range.sector, 800);
		assert_int_equal(range.num_sectors, 16);
		assert_int_equal(range.flags, 0);
		give_back(&chain, VIRTIO_BLK_S_OK, 1);
	}
	close_queue();
}

/* As many as there are entries for, out of order, over and over. */
static void test_many(void **state)
{
	struct virtq_elem data = {{0x1000}, 512};
	struct virtio_blk_request req = {.type = VIRTIO_BLK_T_IN, .data = &data, .n = 1};
	struct fake_chain chains[DEPTH];
	uint8_t status;

	(void)state;
	open_queue(0);
	for (unsigned round = 0; round < 10000; round++) {
		for (uint16_t i = 0; i < DEPTH; i++) {
			req.sector = round * DEPTH + i;
			assert_int_equal(sl_virtio_blk_add(&q, i, &req), 0);
		}
		sl_virtio_blk_publish(&q);
		for (unsigned i = 0; i < DEPTH; i++)
			assert_true(fake_virtq_pop(&fake.vq, &chains[i]));
		for (unsigned i = DEPTH; i-- > 0;) {
			assert_header(&chains[i], VIRTIO_BLK_T_IN, round * DEPTH + i);
			*chains[i].elems[2].at = VIRTIO_BLK_S_OK;
			fake_virtq_push(&fake.vq, chains[i].head, 513);
		}
		for (unsigned i = DEPTH; i-- > 0;)
			assert_int_equal(sl_virtio_blk_get(&q, &status), i);
		assert_int_equal(sl_virtio_blk_get(&q, &status), -EAGAIN);
	}
	for (uint16_t i = 0; i < SIZE / 3; i++)
		assert_int_equal(sl_virtio_blk_add(&q, i % DEPTH, &req), 0);
	assert_int_equal(sl_virtio_blk_add(&q, 0, &req), -ENOSPC);
	close_queue();
}

/* With a table a request takes one entry. */
static void test_indirect(void **state)
{
	struct virtq_elem data[2] = {{{0x1000}, 512}, {{0x3000}, 512}};
	struct virtio_blk_request req = {.type = VIRTIO_BLK_T_OUT, .data = data, .n = 2};
	struct fake_chain chain;

	(void)state;
	open_queue(BIT(VIRTIO_F_INDIRECT_DESC));
	chain = add_and_pop(0, &req);
	assert_int_equal(chain.n, 1);
	assert_int_equal(chain.elems[0].len, 4 * sizeof(struct virtq_desc));
	assert_in_range((uintptr_t)chain.elems[0].at, (uintptr_t)memory,
			(uintptr_t)memory + sl_virtio_blk_memory(v->features, SIZE, DEPTH) -
				4 * sizeof(struct virtq_desc));
	for (unsigned i = 1; i < SIZE; i++)
		assert_int_equal(sl_virtio_blk_add(&q, 1, &req), 0);
	assert_int_equal(sl_virtio_blk_add(&q, 1, &req), -ENOSPC);
	close_queue();
}

/* A device that takes over begins behind what the one before has given back. */
static void test_enable_again(void **state)
{
	struct virtq_elem data = {{0x1000}, 512};
	struct virtio_blk_request req = {.type = VIRTIO_BLK_T_IN, .data = &data, .n = 1};
	struct fake_chain chain;

	(void)state;
	open_queue(0);
	for (unsigned i = 0; i < 5; i++) {
		chain = add_and_pop(0, &req);
		give_back(&chain, VIRTIO_BLK_S_OK, 0);
	}
	assert_int_equal(sl_virtio_blk_add(&q, 1, &req), 0);
	sl_virtio_blk_publish(&q);
	assert_int_equal(sl_virtio_blk_enable(&q), 0);
	assert_int_equal(fake.setup.state.avail, 5);
	assert_true(fake_virtq_pop(&fake.vq, &chain));
	give_back(&chain, VIRTIO_BLK_S_OK, 1);
	close_queue();
}

static void test_enable_packed(void **state)
{
	(void)state;
	open_queue(BIT(VIRTIO_F_RING_PACKED));
	assert_int_equal(fake.setup.state.avail, 0);
	assert_int_equal(fake.setup.state.used, 0);
	assert_true(fake.setup.state.avail_wrap && fake.setup.state.used_wrap);
	q.vq.used_at = 7;
	q.vq.used_wrap = 0;
	assert_int_equal(sl_virtio_blk_enable(&q), 0);
	assert_int_equal(fake.setup.state.avail, 7);
	assert_int_equal(fake.setup.state.used, 7);
	assert_false(fake.setup.state.avail_wrap || fake.setup.state.used_wrap);
	close_queue();
}

static void test_broken(void **state)
{
	uint8_t status;

	(void)state;
	open_queue(0);
	fake_virtq_push(&fake.vq, 3, 0);
	assert_int_equal(sl_virtio_blk_get(&q, &status), -EPROTO);
	assert_non_null(q.vq.broken);
	close_queue();
}

static void test_bad_sizes(void **state)
{
	struct virtio_blk_setup setup = {.v = v, .size = 7, .depth = 1, .memory = memory};

	(void)state;
	sl_virtio_blk_start(v, 0);
	assert_int_equal(sl_virtio_blk_open(&q, &setup), -EINVAL);
	setup.size = 8;
	setup.depth = 0;
	assert_int_equal(sl_virtio_blk_open(&q, &setup), -EINVAL);
}

#define test_fresh(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_fresh(test_features),
		test_fresh(test_state),
		test_fresh(test_state_of_little),
		test_fresh(test_state_that_cannot_be),
		test_fresh(test_state_that_is_odd),
		test_fresh(test_read_and_write),
		test_fresh(test_flush),
		test_fresh(test_ranges),
		test_fresh(test_many),
		test_fresh(test_indirect),
		test_fresh(test_enable_again),
		test_fresh(test_enable_packed),
		test_fresh(test_broken),
		test_fresh(test_bad_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
