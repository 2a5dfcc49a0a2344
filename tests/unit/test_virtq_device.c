/* SPDX-License-Identifier: BSD-2-Clause */
/* The device's side of a virtqueue, split and packed, against a driver that keeps to the rules. */
#include "base/bytes.h"
#include "virtq_rig.h"

/* Random enough, the same each time. */
static uint32_t draw(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % below;
}

static void check_answer(const struct rig *rig, int id, uint32_t len)
{
	uint64_t answer;

	assert_int_equal(len, 8 * (rig->options.pieces - rig->options.pieces / 2));
	memcpy(&answer, rig_bytes(rig, (uint16_t)id) + 8 * (rig->options.pieces - 1),
	       sizeof(answer));
	assert_true(answer == ~rig->buffers[id].cookie);
}

/* Buffers come and go in any order, in batches, for many laps. */
static void play(const struct rig_options *options, unsigned rounds)
{
	static struct rig_taken held[64];
	uint32_t seed = 1, len;
	unsigned n_held = 0;
	uint64_t cookie = 0, done = 0;
	struct rig rig;
	int id;

	rig_open(&rig, options);
	for (unsigned round = 0; round < rounds || cookie > done; round++) {
		while (round < rounds && draw(&seed, 8) && rig_add(&rig, cookie) >= 0)
			cookie++;
		while (n_held < 64 && draw(&seed, 8) && !rig_get(&rig, &held[n_held]))
			rig_answer(&rig, &held[n_held++]);
		while (n_held && draw(&seed, 4)) {
			unsigned pick = draw(&seed, n_held);

			assert_int_equal(sl_virtq_device_put(rig.vq, held[pick].chain.id,
							     held[pick].chain.write_len),
					 0);
			held[pick] = held[--n_held];
		}
		assert_int_equal(sl_virtq_device_in_flight(rig.vq), n_held);
		assert_true(sl_virtq_device_publish(rig.vq) >= 0);
		while ((id = rig_collect(&rig, &len)) >= 0) {
			check_answer(&rig, id, len);
			if (options->in_order)
				assert_int_equal(rig.buffers[id].cookie, done);
			done++;
		}
	}
	assert_null(sl_virtq_device_broken(rig.vq));
	rig_close(&rig);
}

static void test_round_trips(void **state)
{
	static const uint16_t sizes[] = {1, 2, 4, 8, 64, 3, 7, 100};

	(void)state;
	for (unsigned n = 0; n < sl_array_len(sizes); n++)
		for (unsigned bits = 0; bits < 32; bits++) {
			struct rig_options options = {
				.size = sizes[n],
				.packed = bits & 1,
				.event_idx = bits & 2,
				.indirect = bits & 4,
				.in_order = bits & 8,
				.log = bits & 16,
			};

			options.pieces = sl_min(1 + n % 4, options.size);
			if (!options.packed && options.size & (options.size - 1))
				continue;
			options.start = options.packed ? (uint16_t)(options.size - 1) : 65530;
			play(&options, 400);
		}
}

static void test_area_len(void **state)
{
	(void)state;
	assert_int_equal(sl_virtq_area_len(VIRTQ_AREA_DESC, 8, false), 128);
	assert_int_equal(sl_virtq_area_len(VIRTQ_AREA_DRIVER, 8, false), 6 + 16);
	assert_int_equal(sl_virtq_area_len(VIRTQ_AREA_DEVICE, 8, false), 6 + 64);
	assert_int_equal(sl_virtq_area_len(VIRTQ_AREA_DESC, 32768, true), 16 * 32768);
	assert_int_equal(sl_virtq_area_len(VIRTQ_AREA_DRIVER, 8, true), 4);
	assert_int_equal(sl_virtq_area_len(VIRTQ_AREA_DEVICE, 8, true), 4);
}

/*
 * What it cannot be opened with.
 */

static void refused(const struct virtq_setup *setup)
{
	struct virtq_device *vq = NULL;

	assert_int_equal(sl_virtq_device_open(setup, &vq), -EINVAL);
	assert_null(vq);
}

static void with_state(struct virtq_setup setup, uint16_t avail, uint16_t used, unsigned wraps)
{
	setup.state = (struct virtq_ring_state){avail, used, wraps & 1, wraps & 2};
	refused(&setup);
}

static void test_refused(void **state)
{
	static const uint16_t sizes[] = {0, 3, 6, 32769, 65535};

	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		const struct rig_options options = {.size = 8, .packed = packed, .pieces = 1};
		struct virtq_setup setup, other;
		struct rig rig;

		rig_make(&rig, &options);
		setup = rig_setup(&rig);
		for (unsigned n = 0; n < sl_array_len(sizes); n++) {
			other = setup;
			other.size = sizes[n];
			if (!packed || !sizes[n] || sizes[n] > 32768)
				refused(&other);
		}
		for (unsigned n = 0; n < 3; n++) {
			void **areas[] = {&other.desc, &other.driver, &other.device};

			other = setup;
			*areas[n] = NULL;
			refused(&other);
			other = setup;
			*areas[n] = (uint8_t *)*areas[n] + (n ? n : 8);
			if (n != 1 || packed)
				refused(&other);
			other = setup;
			*areas[n] = (uint8_t *)*areas[n] + 1;
			refused(&other);
		}
		other = setup;
		other.log = (uint8_t *)rig.log + 4;
		refused(&other);
		if (packed) {
			with_state(setup, 8, 8, 3);
			with_state(setup, 3, 8, 2);
			with_state(setup, 3, 5, 3); /* used ahead of avail */
			with_state(setup, 5, 3, 1); /* by more than the size */
			with_state(setup, 5, 3, 3); /* two in flight: which? */
		}
		rig_close(&rig);
	}
}

static void test_no_memory(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++)
		for (unsigned area = 0; area < 4; area++) {
			const struct rig_options options = {
				.size = 8, .packed = packed, .log = true, .pieces = 1};
			struct virtq_device *vq = NULL;
			struct virtq_setup setup;
			struct rig rig;

			rig_make(&rig, &options);
			rig_guard();
			setup = rig_setup(&rig);
			assert_int_equal(mprotect((void *[]){rig.desc, rig.driver, rig.device,
							     rig.log}[area],
						  RIG_PAGE, PROT_NONE),
					 0);
			setup.resume = true;
			assert_int_equal(sl_virtq_device_open(&setup, &vq), -EFAULT);
			setup.resume = false;
			assert_int_equal(sl_virtq_device_open(&setup, &vq), -EFAULT);
			rig_close(&rig);
		}
}

/*
 * Who is told, and when.
 */

static int done(struct rig *rig, unsigned n)
{
	struct rig_taken taken;

	while (n--) {
		assert_int_equal(rig_get(rig, &taken), 0);
		assert_int_equal(sl_virtq_device_put(rig->vq, taken.chain.id, 0), 0);
	}
	return sl_virtq_device_publish(rig->vq);
}

static void open_full(struct rig *rig, bool packed, bool event_idx)
{
	const struct rig_options options = {.size = 16,
					    .packed = packed,
					    .event_idx = event_idx,
					    .start = packed ? 14 : 65534,
					    .pieces = 1};

	rig_open(rig, &options);
	while (rig_add(rig, 0) >= 0)
		;
}

/* What the driver asks for: an interrupt when the buffer number @after, from 0, is used. */
static void ask(struct rig *rig, unsigned after)
{
	struct virtq_packed_event *event = rig->driver;
	unsigned at = rig->options.start + after;

	if (rig->options.packed) {
		event->off_wrap = (uint16_t)(at % 16 + (at < 16 ? VIRTQ_EVENT_WRAP : 0));
		event->flags = VIRTQ_EVENT_F_DESC;
	} else {
		*sl_virtq_used_event(rig->driver, 16) = (uint16_t)at;
	}
}

static void test_interrupt_event_idx(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++)
		for (unsigned after = 0; after < 8; after++) {
			struct rig rig;

			open_full(&rig, packed, true);
			ask(&rig, after);
			assert_int_equal(done(&rig, 0), 0);
			for (unsigned n = 0; n < 10; n++)
				assert_int_equal(done(&rig, 1), n == after);
			ask(&rig, 12);
			assert_int_equal(done(&rig, 2), 0);
			assert_int_equal(done(&rig, 4), 1); /* in one step over it */
			rig_close(&rig);
			open_full(&rig, packed, true);
			ask(&rig, after);
			assert_int_equal(done(&rig, 16), 1); /* all of the ring */
			rig_close(&rig);
		}
}

static void test_interrupt_flags(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		struct virtq_packed_event *event;
		struct virtq_avail *avail;
		struct rig rig;

		open_full(&rig, packed, false);
		event = rig.driver;
		avail = rig.driver;
		assert_int_equal(done(&rig, 1), 1);
		if (packed)
			event->flags = VIRTQ_EVENT_F_DISABLE;
		else
			avail->flags = VIRTQ_AVAIL_F_NO_INTERRUPT;
		assert_int_equal(done(&rig, 1), 0);
		if (packed)
			event->flags = VIRTQ_EVENT_F_ENABLE;
		else
			avail->flags = 0;
		assert_int_equal(done(&rig, 2), 1);
		rig_close(&rig);
	}
}

static void test_arm(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 4; bits++) {
		const struct rig_options options = {.size = 4,
						    .packed = bits & 1,
						    .event_idx = bits & 2,
						    .start = bits & 1 ? 3 : 65535,
						    .pieces = 1};
		struct virtq_packed_event *event;
		struct virtq_used *used;
		struct rig rig;

		rig_open(&rig, &options);
		event = rig.device;
		used = rig.device;
		for (unsigned n = 0; n < 3; n++) {
			assert_int_equal(sl_virtq_device_arm(rig.vq), 0);
			if (options.packed && options.event_idx) {
				assert_int_equal(event->flags, VIRTQ_EVENT_F_DESC);
				assert_int_equal(event->off_wrap, n ? n - 1 : 3 | VIRTQ_EVENT_WRAP);
			} else if (options.packed) {
				assert_int_equal(event->flags, VIRTQ_EVENT_F_ENABLE);
			} else if (options.event_idx) {
				assert_int_equal(*sl_virtq_avail_event(used, 4),
						 (uint16_t)(65535 + n));
			}
			if (!options.packed)
				assert_int_equal(used->flags, 0);
			rig_add(&rig, 0);
			assert_int_equal(sl_virtq_device_arm(rig.vq), 1);
			sl_virtq_device_disarm(rig.vq);
			if (options.packed)
				assert_int_equal(event->flags, VIRTQ_EVENT_F_DISABLE);
			else
				assert_int_equal(used->flags,
						 options.event_idx ? 0 : VIRTQ_USED_F_NO_NOTIFY);
			done(&rig, 1);
		}
		rig_close(&rig);
	}
}

/* Stopped and started again, where it stood. */
static void test_state(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		const struct rig_options options = {
			.size = 8, .packed = packed, .start = packed ? 6 : 65534, .pieces = 1};
		struct virtq_setup setup;
		struct rig rig;

		rig_open(&rig, &options);
		for (unsigned n = 0; n < 100; n++) {
			uint32_t len;
			int id = rig_add(&rig, n);

			setup = rig_setup(&rig);
			setup.state = sl_virtq_device_state(rig.vq);
			assert_int_equal(setup.state.avail, setup.state.used);
			assert_int_equal(setup.state.avail,
					 packed ? (6 + n) % 8 : (uint16_t)(65534 + n));
			assert_true(setup.state.avail_wrap == (!packed || (6 + n) / 8 % 2 == 0));
			assert_true(setup.state.used_wrap == setup.state.avail_wrap);
			sl_virtq_device_close(rig.vq);
			assert_int_equal(sl_virtq_device_open(&setup, &rig.vq), 0);
			assert_true(done(&rig, 1) >= 0);
			assert_int_equal(rig_collect(&rig, &len), id);
			assert_int_equal(len, 0);
		}
		rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_area_len),
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_interrupt_event_idx),
		cmocka_unit_test(test_interrupt_flags),
		cmocka_unit_test(test_arm),
		cmocka_unit_test(test_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
