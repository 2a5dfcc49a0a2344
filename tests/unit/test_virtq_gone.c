/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtqueue whose memory comes late, or goes while it is used; and users of it that are wrong. */
#include "base/bytes.h"
#include "virtq_rig.h"

#define SIZE 8

static struct rig rig;
static struct rig_taken taken;

static void assert_broken(const char *why)
{
	assert_int_equal(rig_get(&rig, &taken), -EPROTO);
	assert_non_null(sl_virtq_device_broken(rig.vq));
	assert_non_null(strstr(sl_virtq_device_broken(rig.vq), why));
	rig_close(&rig);
}

static void open_queue(bool packed)
{
	const struct rig_options options = {
		.size = SIZE, .packed = packed, .indirect = true, .pieces = 2};

	rig_open(&rig, &options);
}

/*
 * VDUSE's bounce region is there only after the first buffer.
 */

static unsigned misses;
static bool map_on_miss;

static int on_miss(void *ctx, sl_iova iova, uint64_t len)
{
	misses++;
	assert_ptr_equal(ctx, &rig);
	assert_true(iova.value >= RIG_IOVA);
	assert_int_equal(len, rig.options.indirect ? sizeof(struct virtq_desc) : 8);
	if (map_on_miss)
		rig_map(&rig, RIG_IOVA, rig.data, RIG_PAGE, SL_REGION_READ | SL_REGION_WRITE);
	return map_on_miss || misses == 1 ? 0 : -ENOENT;
}

/* A buffer, or an indirect table, that is there when it is asked for, or not. */
static void miss(bool packed, bool indirect, bool there)
{
	const struct rig_options options = {
		.size = SIZE, .packed = packed, .indirect = indirect, .pieces = 2};
	struct sl_iova_range all = {{0}, {UINT64_MAX}};
	struct virtq_setup setup;

	rig_make(&rig, &options);
	setup = rig_setup(&rig);
	setup.miss = on_miss;
	setup.miss_ctx = &rig;
	assert_int_equal(sl_virtq_device_open(&setup, &rig.vq), 0);
	assert_int_equal(sl_space_unmap(rig.space, all), 1);
	misses = 0;
	map_on_miss = there;
	assert_true(rig_add(&rig, 1) >= 0);
	if (there) {
		assert_int_equal(rig_get(&rig, &taken), 0);
		rig_answer(&rig, &taken);
		rig_close(&rig);
	} else {
		assert_broken("not mapped");
	}
	assert_int_equal(misses, 1);
}

static void test_miss(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 8; bits++)
		miss(bits & 1, bits & 2, bits & 4);
}

/*
 * An area is taken away before a step.
 */

enum going {
	AT_GET,
	AT_PUT,
	AT_PUBLISH,
	AT_ARM,
	AT_DISARM
};

static int step(enum going when)
{
	switch (when) {
	case AT_GET:
		return rig_get(&rig, &taken);
	case AT_PUT:
		return sl_virtq_device_put(rig.vq, taken.chain.id, 0);
	case AT_PUBLISH:
		return sl_virtq_device_publish(rig.vq);
	case AT_ARM:
		return sl_virtq_device_arm(rig.vq);
	default:
		sl_virtq_device_disarm(rig.vq);
		return sl_virtq_device_publish(rig.vq);
	}
}

/* One area is protected before a step: the step fails, or does not need that area. */
static bool take_away(const struct rig_options *options, unsigned area, enum going when)
{
	void *areas[5];
	int ret;

	rig_open(&rig, options);
	memcpy(areas, (void *[]){rig.desc, rig.driver, rig.device, rig.log, rig.data},
	       sizeof(areas));
	assert_true(rig_add(&rig, 1) >= 0);
	assert_true(rig_add(&rig, 2) >= 0);
	for (enum going at = AT_GET; at < when; at++)
		assert_true(step(at) >= 0);
	assert_int_equal(mprotect(areas[area], RIG_PAGE, PROT_NONE), 0);
	ret = step(when);
	if (ret < 0) {
		assert_int_equal(ret, -EPROTO);
		assert_string_equal(sl_virtq_device_broken(rig.vq),
				    "memory of the queue was taken away");
	}
	rig_close(&rig);
	return ret < 0;
}

static void test_gone(void **state)
{
	/* What each step needs: desc, driver, device, log, an indirect table. */
	static const char *const split[] = {"11011", "00100", "01110", "01100", "00100"};
	static const char *const packed[] = {"10011", "00000", "11010", "10100", "00100"};

	(void)state;
	rig_guard();
	for (int bits = 0; bits < 2; bits++)
		for (enum going when = AT_GET; when <= AT_DISARM; when++)
			for (unsigned area = 0; area < 5; area++) {
				const struct rig_options options = {.size = SIZE,
								    .packed = bits,
								    .indirect = true,
								    .log = true,
								    .pieces = 2};
				bool want = (bits ? packed : split)[when][area] == '1';

				if (take_away(&options, area, when) != want)
					fail_msg("packed %d, step %d, area %u", bits, when, area);
			}
}

/*
 * The other way round: what a user of the queue does wrong, or finds.
 */

static void test_put_wrong(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		for (unsigned id = 0; id <= SIZE; id++) {
			open_queue(packed);
			assert_true(rig_add(&rig, 1) >= 0);
			assert_int_equal(rig_get(&rig, &taken), 0);
			if (id == taken.chain.id)
				assert_int_equal(sl_virtq_device_put(rig.vq, (uint16_t)id, 0), 0);
			assert_int_equal(sl_virtq_device_put(rig.vq, (uint16_t)id, 0), -EPROTO);
			assert_broken("that was not taken");
		}
	}
}

static void test_break(void **state)
{
	(void)state;
	open_queue(false);
	assert_true(rig_add(&rig, 1) >= 0);
	assert_int_equal(rig_get(&rig, &taken), 0);
	assert_int_equal(sl_virtq_device_break(rig.vq, "no header"), -EPROTO);
	assert_int_equal(sl_virtq_device_break(rig.vq, "late"), -EPROTO);
	/* What is in flight comes back, so that its user can end. */
	assert_int_equal(sl_virtq_device_in_flight(rig.vq), 1);
	assert_int_equal(sl_virtq_device_put(rig.vq, taken.chain.id, 0), -EPROTO);
	assert_int_equal(sl_virtq_device_in_flight(rig.vq), 0);
	assert_broken("no header");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_miss),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_put_wrong),
		cmocka_unit_test(test_break),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
