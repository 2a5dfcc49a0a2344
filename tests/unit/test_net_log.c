/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a packed queue of packets stands outlives a kill at any moment: the driver gets each buffer
 * back once, in order, whatever the next process is told. And what is in the log is not believed
 * without a check.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "offer/net_log.h"
#include "offer/offer.h"
#include "virtq/driver.h"

#define SIZE   16u
#define ELEMS  3u
#define BURST  SIZE
#define AT     0x10000u
#define MEMORY 0x4000u

static struct {
	_Alignas(64) uint8_t ring[1024];
	uint8_t buffers[MEMORY];
	_Alignas(8) uint8_t log[SL_NET_LOG_LEN];
	struct virtq_driver driver;
	struct virtq_device *device;
	struct sl_space *space;
	struct net_log net_log;
	struct virtq_buffer bufs[SIZE];
	struct iovec pieces[SIZE + 64];
	uint32_t lens[SIZE];
	unsigned given, back;
	uint16_t ids[SIZE];
	bool write, in_order;
	struct virtq_ring_state told;
	unsigned mended;
} q;

static uint32_t below(uint32_t n)
{
	static uint64_t seed = 88172645463325252ull;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed >> 16) % n);
}

static struct virtq_setup setup_of(uint16_t place, bool wrap)
{
	struct virtq_layout at = sl_virtq_layout(SIZE, true);

	return (struct virtq_setup){
		.size = SIZE,
		.packed = true,
		.in_order = q.in_order,
		.space = q.space,
		.desc = q.ring + at.desc,
		.driver = q.ring + at.avail,
		.device = q.ring + at.used,
		.state = {.avail = place, .avail_wrap = wrap, .used = place, .used_wrap = wrap}};
}

/* As QEMU does it, where it believes that the queue stands. */
static void drop_all(void)
{
	struct virtq_packed_desc *ring = (struct virtq_packed_desc *)q.ring;

	while (sl_virtq_packed_is(ring[q.told.used].flags, false, q.told.used_wrap)) {
		struct virtq_packed_desc *first = &ring[q.told.used];
		uint16_t flags, used = sl_virtq_packed_flags(true, q.told.used_wrap);

		do {
			flags = ring[q.told.used].flags;
			sl_virtq_packed_advance(&q.told.used, &q.told.used_wrap, 1, SIZE);
		} while (flags & VIRTQ_DESC_F_NEXT);
		first->len = 0;
		first->flags = used;
	}
	q.told.avail = q.told.used;
	q.told.avail_wrap = q.told.used_wrap;
}

/* A process comes; it is told that the queue stands at its beginning, or where its front end has
 * dropped to. */
static bool come(void)
{
	struct virtq_setup setup = setup_of(q.told.avail, q.told.avail_wrap);
	bool followed = sl_net_log_open(&q.net_log, q.log, &setup);

	if (followed && !q.write)
		q.mended += sl_net_log_mend(&q.net_log, &setup, q.told);
	assert_int_equal(sl_virtq_device_open(&setup, &q.device), 0);
	return followed;
}

static void go(void)
{
	sl_virtq_device_close(q.device);
	q.device = NULL;
}

static void make_driver(void)
{
	const struct virtq_options o = {.size = SIZE, .packed = true, .in_order = q.in_order};

	memset(q.ring, 0, sizeof(q.ring));
	assert_int_equal(sl_virtq_open(&q.driver, &o, q.ring), 0);
	q.given = q.back = 0;
	q.told = (struct virtq_ring_state){.avail_wrap = true, .used_wrap = true};
}

static void give(void)
{
	struct virtq_elem elems[ELEMS];
	unsigned n = 1 + below(ELEMS);
	int id;

	for (unsigned i = 0; i < n; i++)
		elems[i] = (struct virtq_elem){{AT + below(MEMORY - 100)}, 1 + below(100)};
	id = sl_virtq_add(&q.driver, elems, q.write ? 0 : n, n);
	if (id < 0)
		return;
	q.ids[q.given++ % SIZE] = (uint16_t)id;
	sl_virtq_publish(&q.driver);
}

static void take_back(void)
{
	uint32_t len;
	int id;

	while ((id = sl_virtq_get(&q.driver, &len)) >= 0) {
		assert_true(q.back != q.given);
		assert_int_equal(id, q.ids[q.back++ % SIZE]);
		assert_int_equal(len, q.write);
	}
	assert_int_equal(id, -EAGAIN);
}

enum {
	BEFORE_LOG,
	BEFORE_USE,
	BEFORE_PUBLISH,
	BEFORE_DONE,
	NEVER
};

/* Take some, use them, and be killed meanwhile. Returns false when it was. */
static bool serve(unsigned killed)
{
	int n = sl_virtq_burst_take(q.device, q.write, q.bufs, 1 + below(BURST), q.pieces,
				    sl_array_len(q.pieces));

	assert_true(n >= 0);
	if (n)
		sl_virtq_device_disarm(q.device);
	for (int i = 0; i < n; i++)
		q.lens[i] = 1;
	for (int i = 0, some; i < n; i += some) { /* in portions, shown at once */
		const uint32_t *lens = q.write ? q.lens : NULL;

		some = 1 + (int)below((unsigned)(n - i));
		if (killed == BEFORE_LOG)
			return false;
		sl_net_log_use(&q.net_log, q.device, q.bufs + i, lens, (unsigned)some);
		if (killed == BEFORE_USE)
			return false;
		assert_int_equal(sl_virtq_burst_use(q.device, q.bufs + i, lens, (unsigned)some), 0);
	}
	if (n && killed == BEFORE_PUBLISH)
		return false;
	sl_virtq_device_publish(q.device);
	if (n && killed == BEFORE_DONE)
		return false;
	if (n)
		sl_net_log_done(&q.net_log, q.device);
	return true;
}

static void killed_anywhere(bool write, bool in_order, bool drops)
{
	unsigned kills = 0, followed = 0, idle = 0, had;

	q.write = write;
	q.in_order = in_order;
	q.mended = 0;
	make_driver();
	come();
	while (kills < 3000 || q.back != q.given) {
		had = q.back;
		for (unsigned n = below(8); n-- && kills < 3000;)
			give();
		if (!serve(kills < 3000 ? below(NEVER + 4) : NEVER)) {
			go();
			kills++;
			if (drops)
				drop_all();
			take_back();
			followed += come();
		}
		take_back();
		idle = q.back == had ? idle + 1 : 0;
		assert_true(idle < 1000); /* it would go on for ever */
	}
	assert_true(q.given > 3000);
	assert_true(followed > 1500);
	assert_true(drops ? q.mended > 100 : !q.mended);
	go();
	sl_virtq_close(&q.driver);
}

static void test_kills(void **state)
{
	(void)state;
	killed_anywhere(false, false, false);
	killed_anywhere(true, false, false);
	killed_anywhere(false, true, false);
	killed_anywhere(true, true, false);
}

/* Somebody else used what a driver had made available, ahead of the place that is next. */
static void test_dropped_meanwhile(void **state)
{
	(void)state;
	killed_anywhere(false, false, true);
	killed_anywhere(false, true, true);
}

static bool at_beginning(void)
{
	struct virtq_ring_state at = sl_virtq_device_state(q.device);

	return !at.avail && !at.used && at.avail_wrap && at.used_wrap;
}

/* Serve a while; then the driver begins anew, as DPDK's does when its back end was killed: it is
 * served from the beginning. */
static void begun_anew(bool chains)
{
	unsigned wrong = 0;

	for (unsigned round = 0; round < 500; round++) {
		make_driver();
		memset(q.log, 0, sizeof(q.log));
		assert_false(come());
		for (unsigned n = below(100); n--;) {
			const struct virtq_elem one = {{AT}, 10};

			for (unsigned i = below(SIZE); i--;) {
				int id = chains ? -1 : sl_virtq_add(&q.driver, &one, 1, 1);

				if (chains)
					give();
				else if (id >= 0)
					q.ids[q.given++ % SIZE] = (uint16_t)id;
			}
			sl_virtq_publish(&q.driver);
			serve(NEVER);
			take_back();
		}
		go();
		sl_virtq_close(&q.driver);
		make_driver();
		come();
		wrong += !at_beginning();
		go();
		sl_virtq_close(&q.driver);
	}
	assert_int_equal(wrong, 0);
}

static void test_begun_anew(void **state)
{
	(void)state;
	q.write = q.in_order = false;
	begun_anew(false);
}

static void test_begun_anew_chains(void **state)
{
	(void)state;
	q.write = q.in_order = false;
	begun_anew(true);
}

/* Whatever is in it: the queue begins at a place that it has. */
static void test_garbage(void **state)
{
	struct net_log_word *word = (void *)q.log;

	(void)state;
	q.write = q.in_order = false;
	for (unsigned n = 0; n < 20000; n++) {
		struct virtq_setup setup = setup_of(0, true);

		for (unsigned i = 0; i < sizeof(q.ring); i++)
			q.ring[i] = (uint8_t)below(256);
		for (unsigned i = 0; i < 600; i++)
			q.log[i] = (uint8_t)(below(3) ? below(3) : below(256));
		if (n & 1)
			*word = (struct net_log_word){
				.at = (uint16_t)(below(2 * SIZE) | below(2) << 15),
				.n = (uint16_t)below(4),
				.begun = 1};
		sl_net_log_open(&q.net_log, q.log, &setup);
		assert_true(setup.state.avail < SIZE && setup.state.used < SIZE);
		assert_int_equal(sl_virtq_device_open(&setup, &q.device), 0);
		go();
	}
}

/* Stopped in order: there is nothing to go on with. */
static void test_closed(void **state)
{
	(void)state;
	q.write = q.in_order = false;
	make_driver();
	come();
	for (unsigned n = 0; n < 5; n++)
		give();
	serve(NEVER);
	take_back();
	sl_net_log_close(&q.net_log);
	go();
	assert_false(come());
	go();
	sl_virtq_close(&q.driver);
}

static void test_none(void **state)
{
	struct virtq_setup setup = setup_of(3, false);

	(void)state;
	assert_false(sl_net_log_open(&q.net_log, NULL, &setup));
	assert_null(q.net_log.map);
	assert_int_equal(setup.state.avail, 3);
	sl_net_log_close(&q.net_log);
}

static int up(void **state)
{
	const struct sl_region region = {.fd = -1,
					 .base = q.buffers,
					 .len = MEMORY,
					 .access = SL_REGION_READ | SL_REGION_WRITE};

	(void)state;
	memset(&q, 0, sizeof(q));
	assert_int_equal(sl_space_create(NULL, &q.space), 0);
	assert_int_equal(sl_space_map_at(q.space, (sl_iova){AT}, &region), 0);
	return 0;
}

static int down(void **state)
{
	(void)state;
	sl_space_release(q.space);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kills, up, down),
		cmocka_unit_test_setup_teardown(test_dropped_meanwhile, up, down),
		cmocka_unit_test_setup_teardown(test_begun_anew, up, down),
		cmocka_unit_test_setup_teardown(test_begun_anew_chains, up, down),
		cmocka_unit_test_setup_teardown(test_garbage, up, down),
		cmocka_unit_test_setup_teardown(test_closed, up, down),
		cmocka_unit_test_setup_teardown(test_none, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
