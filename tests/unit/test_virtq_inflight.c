/* SPDX-License-Identifier: BSD-2-Clause */
/* The in-flight log: where vhost-user wants what, and logs that cannot be. Kills are
 * test_virtq_kill's. */
#include "base/bytes.h"
#include "virtq_rig.h"

#define SIZE 8

static struct rig rig;
static struct rig_taken taken;

static void open_queue(bool packed)
{
	const struct rig_options options = {
		.size = SIZE, .packed = packed, .log = true, .pieces = 2};

	rig_open(&rig, &options);
}

/* @len bytes, little-endian, of the log. */
static uint64_t at(size_t offset, size_t len)
{
	uint64_t value = 0;

	memcpy(&value, (uint8_t *)rig.log + offset, len);
	return value;
}

static void set(size_t offset, size_t len, uint64_t value)
{
	memcpy((uint8_t *)rig.log + offset, &value, len);
}

static void take(void)
{
	assert_int_equal(rig_get(&rig, &taken), 0);
	rig_answer(&rig, &taken);
}

static void use(uint16_t id)
{
	assert_int_equal(sl_virtq_device_put(rig.vq, id, 8), 0);
}

/* The process ends, another one begins. */
static int again(void)
{
	struct virtq_setup setup = rig_setup(&rig);

	sl_virtq_device_close(rig.vq);
	rig.vq = NULL;
	setup.resume = true;
	setup.state = (struct virtq_ring_state){.avail = 5, .used = 6}; /* the log knows better */
	return sl_virtq_device_open(&setup, &rig.vq);
}

static void test_len(void **state)
{
	(void)state;
	assert_int_equal(sl_virtq_inflight_len(1, false), 64);
	assert_int_equal(sl_virtq_inflight_len(3, false), 64);
	assert_int_equal(sl_virtq_inflight_len(4, false), 128);
	assert_int_equal(sl_virtq_inflight_len(32768, false), 64 + 16 * 32768);
	assert_int_equal(sl_virtq_inflight_len(1, true), 64);
	assert_int_equal(sl_virtq_inflight_len(2, true), 128);
	assert_int_equal(sl_virtq_inflight_len(32768, true), 64 + 32 * 32768);
}

/* QueueRegionSplit: version at 8, desc_num 10, last_batch_head 12, used_idx 14, desc[] 16; of each
 * inflight 0, next 6, counter 8 */
static void test_split_layout(void **state)
{
	uint16_t a, b, c;

	(void)state;
	open_queue(false);
	assert_int_equal(at(0, 8), 0);
	assert_int_equal(at(8, 2), 1);
	assert_int_equal(at(10, 2), SIZE);
	a = (uint16_t)rig_add(&rig, 1);
	b = (uint16_t)rig_add(&rig, 2);
	c = (uint16_t)rig_add(&rig, 3);
	for (unsigned n = 0; n < 3; n++)
		take();
	for (unsigned n = 0; n < SIZE; n++)
		assert_int_equal(at(16 + 16 * n, 1), n == a || n == b || n == c);
	assert_int_equal(at(16 + 16 * a + 8, 8), 0);
	assert_int_equal(at(16 + 16 * b + 8, 8), 1);
	assert_int_equal(at(16 + 16 * c + 8, 8), 2);
	use(b);
	use(a);
	assert_int_equal(at(16 + 16 * b, 1), 1); /* until the driver sees it */
	assert_true(sl_virtq_device_publish(rig.vq) >= 0);
	assert_int_equal(at(12, 2), a);
	assert_int_equal(at(16 + 16 * a + 6, 2), b);
	assert_int_equal(at(14, 2), 2);
	assert_int_equal(at(16 + 16 * a, 1), 0);
	assert_int_equal(at(16 + 16 * b, 1), 0);
	assert_int_equal(at(16 + 16 * c, 1), 1);
	rig_close(&rig);
}

/* QueueRegionPacked: version at 8, desc_num 10, free_head 12, old_free_head 14, used_idx 16,
 * old_used_idx 18, used_wrap_counter 20, old_used_wrap_counter 21, desc[] 32; of each inflight 0,
 * next 2, last 4, num 6, counter 8, id 16, flags 18, len 20, addr 24 */
static void test_packed_layout(void **state)
{
	(void)state;
	open_queue(true);
	assert_int_equal(at(0, 8), 0);
	assert_int_equal(at(8, 8), 1 | SIZE << 16);
	assert_int_equal(at(16, 6), UINT64_C(0x010100000000));
	for (unsigned n = 0; n < SIZE; n++)
		assert_int_equal(at(32 + 32 * n + 2, 2), n + 1);
	rig_add(&rig, 1);
	rig_add(&rig, 2);
	take();
	take();
	assert_int_equal(at(12, 4), 4 | 4 << 16);
	assert_int_equal(at(32 + 64, 1), 1);
	assert_int_equal(at(32 + 64 + 4, 2), 3);
	assert_int_equal(at(32 + 64 + 6, 2), 2);
	assert_int_equal(at(32 + 64 + 8, 8), 1);
	assert_int_equal(at(32 + 96 + 16, 2), 1);
	assert_int_equal(at(32 + 96 + 18, 2), VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_AVAIL);
	assert_int_equal(at(32 + 96 + 20, 4), 8);
	assert_int_equal(at(32 + 96 + 24, 8), RIG_IOVA + RIG_BUFFER + 8);
	use(1);
	assert_true(sl_virtq_device_publish(rig.vq) >= 0);
	assert_int_equal(at(12, 4), 2 | 2 << 16);
	assert_int_equal(at(32 + 96 + 2, 2), 4);
	assert_int_equal(at(16, 6), UINT64_C(0x010100020002));
	assert_int_equal(at(32 + 64, 1), 0);
	assert_int_equal(at(32, 1), 1);
	rig_close(&rig);
}

/* In the order in which they were taken, before all that is new; then all goes on as ever. */
static void test_resume(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		uint16_t ids[4], order[3];
		uint32_t len;

		open_queue(packed);
		for (unsigned n = 0; n < 4; n++)
			ids[n] = (uint16_t)rig_add(&rig, n);
		for (unsigned n = 0; n < 3; n++) {
			take();
			order[n] = taken.chain.id;
		}
		use(order[1]);
		assert_true(sl_virtq_device_publish(rig.vq) >= 0);
		assert_int_equal(rig_collect(&rig, &len), order[1]);
		rig_add(&rig, 9);
		assert_int_equal(again(), 0);
		assert_int_equal(sl_virtq_device_in_flight(rig.vq), 2);
		assert_int_equal(sl_virtq_device_state(rig.vq).used, packed ? 2 : 1);
		assert_int_equal(sl_virtq_device_state(rig.vq).avail, packed ? 6 : 3);
		assert_int_equal(sl_virtq_device_arm(rig.vq), 1);
		take();
		assert_int_equal(taken.chain.id, order[0]);
		take();
		assert_int_equal(taken.chain.id, order[2]);
		take();
		assert_int_equal(taken.chain.id, ids[3]);
		take();
		assert_int_equal(rig.buffers[taken.chain.id].cookie, 9);
		assert_int_equal(rig_get(&rig, &taken), -EAGAIN);
		assert_int_equal(sl_virtq_device_in_flight(rig.vq), 4);
		rig_close(&rig);
	}
}

/* "Zero value indicates an uninitialized buffer": there is nothing to resume. */
static void test_not_begun(void **state)
{
	struct virtq_setup setup;

	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		const struct rig_options options = {
			.size = SIZE, .packed = packed, .log = true, .start = 3, .pieces = 2};

		rig_make(&rig, &options);
		setup = rig_setup(&rig);
		setup.resume = true;
		set(32, 8, UINT64_MAX); /* left over, and not believed */
		assert_int_equal(sl_virtq_device_open(&setup, &rig.vq), 0);
		assert_int_equal(sl_virtq_device_in_flight(rig.vq), 0);
		rig_add(&rig, 1);
		take();
		assert_int_equal(again(), 0);
		assert_int_equal(sl_virtq_device_in_flight(rig.vq), 1);
		rig_close(&rig);
	}
}

/* A log of a process before, and then anew: nothing of it is left. */
static void test_made_anew(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		struct virtq_setup setup;

		open_queue(packed);
		rig_add(&rig, 1);
		take();
		sl_virtq_device_close(rig.vq);
		setup = rig_setup(&rig);
		setup.state.avail = setup.state.used = 2;
		assert_int_equal(sl_virtq_device_open(&setup, &rig.vq), 0);
		assert_int_equal(sl_virtq_device_in_flight(rig.vq), 0);
		assert_int_equal(again(), 0);
		assert_int_equal(sl_virtq_device_in_flight(rig.vq), 0);
		rig_close(&rig);
	}
}

/*
 * Logs that cannot be.
 */

static void two_in_flight(bool packed)
{
	open_queue(packed);
	rig_add(&rig, 1);
	rig_add(&rig, 2);
	take();
	take();
}

/* One field, as the test has it. */
static void refused(bool packed, size_t offset, size_t len, uint64_t value)
{
	int err;

	two_in_flight(packed);
	set(offset, len, value);
	err = again();
	if (err != -EINVAL)
		fail_msg("%d for 0x%llx at %zu", err, (unsigned long long)value, offset);
	rig_close(&rig);
}

static void test_split_refused(void **state)
{
	(void)state;
	refused(false, 8, 2, 2);
	refused(false, 10, 2, SIZE - 1);
	refused(false, 10, 2, SIZE + 1);
	refused(false, 14, 2, 1);			 /* behind used idx by 65535 */
	refused(false, 14, 2, (uint16_t)(0 - SIZE - 1)); /* by one too many */
	refused(false, 12, 4, 0xffff0000 | SIZE);	 /* the batch begins nowhere */
	two_in_flight(false);
	set(12, 4, UINT32_C(0xfffe0000));
	set(16 + 6, 2, 0xffff); /* and goes on nowhere */
	assert_int_equal(again(), -EINVAL);
	rig_close(&rig);
}

static void test_packed_refused(void **state)
{
	(void)state;
	refused(true, 8, 2, 2);
	refused(true, 10, 2, SIZE - 1);
	refused(true, 16, 2, SIZE);
	refused(true, 18, 2, SIZE);
	refused(true, 20, 1, 2);
	refused(true, 21, 1, 2);
	refused(true, 14, 2, 1);	      /* half a chain is free */
	refused(true, 14, 2, 5);	      /* one entry is nowhere */
	refused(true, 14, 2, SIZE);	      /* all are */
	refused(true, 32 + 32 * 7 + 2, 2, 4); /* free for ever */
	refused(true, 32 + 6, 2, 0);
	refused(true, 32 + 6, 2, 1);
	refused(true, 32 + 6, 2, 3); /* into the next one */
	refused(true, 32 + 6, 2, UINT16_MAX);
	refused(true, 32 + 2, 2, 0); /* round and round */
	refused(true, 32 + 2, 2, SIZE);
	refused(true, 32 + 32 + 16, 2, SIZE);
	refused(true, 32 + 32 + 16, 2, 1); /* as the other one's */
}

/* What a log says of buffers is not believed more than a driver: here, where they are. */
static void test_resumed_and_wrong(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		two_in_flight(packed);
		set(32 + 24, 8, 0); /* packed: an address */
		((struct virtq_desc *)rig.desc)->addr = 0;
		assert_int_equal(again(), 0);
		assert_int_equal(rig_get(&rig, &taken), -EPROTO);
		assert_non_null(strstr(sl_virtq_device_broken(rig.vq), "not mapped"));
		rig_close(&rig);
	}
	two_in_flight(true);
	set(32 + 32 + 18, 2, VIRTQ_DESC_F_NEXT);
	assert_int_equal(again(), 0);
	assert_int_equal(rig_get(&rig, &taken), -EPROTO);
	assert_non_null(strstr(sl_virtq_device_broken(rig.vq), "has no end"));
	rig_close(&rig);
}

/* The driver says of a split queue's buffer, which is in flight, that it is available. */
static void test_resumed_and_twice(void **state)
{
	(void)state;
	two_in_flight(false);
	((struct virtq_avail *)rig.driver)->ring[2] = taken.chain.id;
	((struct virtq_avail *)rig.driver)->idx = 3;
	assert_int_equal(again(), 0);
	take();
	take();
	assert_int_equal(rig_get(&rig, &taken), -EPROTO);
	assert_non_null(strstr(sl_virtq_device_broken(rig.vq), "twice"));
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_len),
		cmocka_unit_test(test_split_layout),
		cmocka_unit_test(test_packed_layout),
		cmocka_unit_test(test_resume),
		cmocka_unit_test(test_not_begun),
		cmocka_unit_test(test_made_anew),
		cmocka_unit_test(test_split_refused),
		cmocka_unit_test(test_packed_refused),
		cmocka_unit_test(test_resumed_and_wrong),
		cmocka_unit_test(test_resumed_and_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
