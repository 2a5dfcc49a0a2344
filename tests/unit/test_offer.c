/* SPDX-License-Identifier: BSD-2-Clause */
/* The core of offers: a split queue in this process's memory, a transport and a model of the
 * test's. */
#include "offer_rig.h"

/* finish() is called from outside a step here; the next one publishes. */
static void test_serves(void **state)
{
	struct rig *r = *state;

	run(r);
	make_available(r, 0);
	assert_false(would_wake(r));
	sl_event_signal(r->kick);
	assert_true(would_wake(r));
	settle(r);
	assert_int_equal(r->model.n_held, 1);
	assert_int_equal(r->model.submits, 1);
	assert_int_equal(r->model.held[0]->read_len, 16);
	assert_int_equal(r->model.held[0]->write_len, 100);
	assert_ptr_equal(r->model.held[0]->write[0].iov_base, r->memory + BUFFERS + 64);
	assert_int_equal(stats_of(r).in_flight, 1);
	finish(r, 0, 7);
	settle(r);
	assert_int_equal(used(r)->idx, 1);
	assert_int_equal(used(r)->ring[0].len, 7);
	assert_int_equal(transport.interrupts[0], 1);
	assert_int_equal(stats_of(r).requests, 1);
	assert_int_equal(stats_of(r).interrupts, 1);
	assert_int_equal(stats_of(r).kicks, 1);
	assert_false(would_wake(r));
	sl_event_signal(r->kick); /* one that was never read wakes again */
	assert_true(would_wake(r));
	settle(r);
}

static void test_copies(void **state)
{
	struct rig *r = *state;
	char text[16] = "";

	run(r);
	memcpy(r->memory + BUFFERS, "0123456789abcdef", 16);
	make_available(r, 0);
	sl_event_signal(r->kick);
	settle(r);
	assert_int_equal(sl_request_read(r->model.held[0], 4, text, 4), 0);
	assert_string_equal(text, "4567");
	assert_int_equal(sl_request_read(r->model.held[0], 13, text, 4), -EINVAL);
	assert_int_equal(sl_request_read(r->model.held[0], UINT32_MAX, text, 2), -EINVAL);
	assert_int_equal(sl_request_write(r->model.held[0], 98, "xy", 2), 0);
	assert_memory_equal(r->memory + BUFFERS + 64 + 98, "xy", 2);
	assert_int_equal(sl_request_write(r->model.held[0], 99, "xy", 2), -EINVAL);
	finish(r, 0, 0);
	settle(r);
}

static void test_suppressed(void **state)
{
	struct rig *r = *state;

	run(r);
	avail(r)->flags = VIRTQ_AVAIL_F_NO_INTERRUPT;
	make_available(r, 0);
	sl_event_signal(r->kick);
	settle(r);
	finish(r, 0, 0);
	settle(r);
	assert_int_equal(used(r)->idx, 1);
	assert_int_equal(transport.interrupts[0], 0);
	assert_int_equal(stats_of(r).suppressed, 1);
}

/* Nothing of a driver's is looked at, and no message taken, before the fence is passed. */
static void test_fence(void **state)
{
	struct rig *r = *state;

	r->model.fence = -EAGAIN;
	settle(r);
	assert_int_equal(sl_offer_get_state(r->offer), SL_OFFER_FENCED);
	assert_int_equal(transport.steps, 0);
	assert_int_equal(r->model.fences, 1);
	r->model.fence = 0;
	for (unsigned i = 0; i < 500 && sl_offer_get_state(r->offer) == SL_OFFER_FENCED; i++) {
		settle(r);
		poll(NULL, 0, 5);
	}
	assert_int_equal(sl_offer_get_state(r->offer), SL_OFFER_WAITING);
	settle(r);
	assert_true(transport.steps > 0);
}

static void test_fence_fails(void **state)
{
	struct rig *r = *state;

	r->model.fence = -EBUSY;
	settle(r);
	assert_int_equal(sl_offer_get_state(r->offer), SL_OFFER_ENDED);
	assert_int_equal(r->ended, 1);
	assert_int_equal(transport.steps, 0);
}

static void test_transport_ends(void **state)
{
	struct rig *r = *state;

	run(r);
	make_available(r, 0);
	sl_event_signal(r->kick);
	settle(r);
	transport.step_returns = -ENODEV;
	sl_event_signal(r->kick);
	make_available(r, 2);
	settle(r);
	assert_int_equal(sl_offer_get_state(r->offer), SL_OFFER_ENDED);
	assert_int_equal(r->ended, 1);
	assert_int_equal(r->model.n_held, 1); /* nothing new is taken */
	finish(r, 0, 0);
	settle(r);
	assert_int_equal(used(r)->idx, 1); /* what was taken is given back */
}

/* A queue that stops takes nothing new, and is done when all came back. */
static void test_queue_stop(void **state)
{
	struct rig *r = *state;
	struct virtq_ring_state where;

	run(r);
	make_available(r, 0);
	sl_event_signal(r->kick);
	settle(r);
	assert_int_equal(sl_offer_queue_stop(r->offer, 0, &where), -EAGAIN);
	make_available(r, 2);
	sl_event_signal(r->kick);
	settle(r);
	assert_int_equal(r->model.n_held, 1);
	finish(r, 0, 0);
	assert_int_equal(sl_offer_queue_stop(r->offer, 0, &where), 0);
	assert_int_equal(where.avail, 1);
	assert_int_equal(used(r)->idx, 1);
	assert_int_equal(transport.interrupts[0], 1);
	assert_false(sl_offer_queue_running(r->offer, 0));
	assert_int_equal(sl_offer_queue_stop(r->offer, 0, &where), -EINVAL);
	assert_int_equal(sl_offer_queue_stop(r->offer, QUEUES, &where), -EINVAL);
}

static void test_quiesce(void **state)
{
	struct rig *r = *state;

	run(r);
	make_available(r, 0);
	sl_event_signal(r->kick);
	settle(r);
	assert_false(sl_offer_quiesce(r->offer, true));
	make_available(r, 2);
	sl_event_signal(r->kick);
	settle(r);
	assert_int_equal(r->model.n_held, 1);
	finish(r, 0, 0);
	settle(r);
	assert_true(sl_offer_quiesce(r->offer, true));
	assert_int_equal(sl_offer_queue_peek(r->offer, 0).avail, 1);
	sl_offer_quiesce(r->offer, false);
	settle(r);
	assert_int_equal(r->model.n_held, 1); /* the kick that came meanwhile is not lost */
	finish(r, 0, 0);
	settle(r);
}

static void test_enable(void **state)
{
	struct rig *r = *state;

	run(r);
	sl_offer_queue_enable(r->offer, 0, false);
	make_available(r, 0);
	sl_event_signal(r->kick);
	settle(r);
	assert_int_equal(r->model.n_held, 0);
	sl_offer_queue_enable(r->offer, 0, true);
	settle(r);
	assert_int_equal(r->model.n_held, 1);
	finish(r, 0, 0);
	settle(r);
}

/* A broken queue is told once, the other one works on, and what was taken can come back. */
static void test_broken(void **state)
{
	struct rig *r = *state;

	run(r);
	make_available(r, 0);
	sl_event_signal(r->kick);
	settle(r);
	avail(r)->ring[r->avail++ % SIZE] = SIZE; /* no such descriptor */
	avail(r)->idx = r->avail;
	sl_event_signal(r->kick);
	settle(r);
	sl_event_signal(r->kick);
	settle(r);
	assert_int_equal(transport.broken[0], 1);
	assert_non_null(stats_of(r).broken);
	finish(r, 0, 0);
	settle(r);
	assert_int_equal(transport.broken[1], 0);
	assert_int_equal(sl_offer_get_state(r->offer), SL_OFFER_WAITING);
	assert_int_equal(sl_offer_queue_stop(r->offer, 0, NULL), 0);
}

/* Without a kick the rings are looked at all the time. */
static void test_polled(void **state)
{
	struct rig *r = *state;

	run(r);
	assert_int_equal(sl_offer_queue_stop(r->offer, 0, NULL), 0);
	memset(r->memory, 0, BUFFERS);
	r->avail = 0;
	run_queue(r, 0, -1);
	assert_int_equal(sl_worker_step(r->worker), 1);
	make_available(r, 0);
	for (unsigned i = 0; i < 100 && !r->model.n_held; i++)
		sl_worker_step(r->worker);
	assert_int_equal(r->model.n_held, 1);
	finish(r, 0, 0);
	sl_worker_step(r->worker);
	assert_int_equal(used(r)->idx, 1);
}

static void test_refuses(void **state)
{
	struct rig *r = *state;
	struct virtq_setup setup = setup_of(r);

	run(r);
	assert_int_equal(sl_offer_queue_start(r->offer, 0, &setup, r->kick), -EBUSY);
	assert_int_equal(sl_offer_queue_start(r->offer, QUEUES, &setup, r->kick), -EINVAL);
	setup.size = 2 * SIZE;
	assert_int_equal(sl_offer_queue_start(r->offer, 1, &setup, r->kick), -EINVAL);
	assert_int_equal(sl_offer_start(r->offer, 1), -EBUSY);
	assert_int_equal(sl_offer_queue_stop(r->offer, 0, NULL), 0);
	assert_int_equal(sl_offer_start(r->offer, 4), -EINVAL);
	assert_int_equal(sl_offer_start(r->offer, 1), 0);
	sl_offer_changed(r->offer);
	assert_int_equal(transport.changes, 1);
}

static void test_memory(void **state)
{
	struct rig *r = *state;
	struct sl_region more = {
		.base = r->memory, .len = 4096, .fd = -1, .access = SL_REGION_READ};
	struct sl_iova_range second = {{0x100000}, {0x100fff}}, cut = {{0x100000}, {0x100ffe}};

	run(r);
	assert_int_equal(r->model.regions, 1);
	assert_int_equal(sl_offer_map(r->offer, (sl_iova){0x100000}, &more), 0);
	assert_int_equal(r->model.regions, 2);
	assert_int_equal(sl_offer_map(r->offer, (sl_iova){0x100800}, &more), -EEXIST);
	assert_int_equal(sl_offer_unmap(r->offer, cut), -EINVAL);
	assert_int_equal(r->model.regions, 2);
	assert_int_equal(sl_offer_unmap(r->offer, second), 1);
	assert_int_equal(r->model.regions, 1);
}

/* A full ring at once, in one burst, given back in another order. */
static void test_burst(void **state)
{
	struct rig *r = *state;

	run(r);
	for (uint16_t head = 0; head < SIZE; head = (uint16_t)(head + 2))
		make_available(r, head);
	sl_event_signal(r->kick);
	settle(r);
	assert_int_equal(r->model.n_held, SIZE / 2);
	assert_int_equal(r->model.submits, 1);
	while (r->model.n_held)
		finish(r, 0, 1);
	settle(r);
	assert_int_equal(used(r)->idx, SIZE / 2);
	assert_int_equal(transport.interrupts[0], 1);
}

/* At its end an offer finishes what it took. */
static void test_stop(void **state)
{
	struct rig *r = *state;

	run(r);
	r->model.inline_done = true;
	make_available(r, 0);
	sl_event_signal(r->kick);
	assert_int_equal(sl_offer_stop(r->offer), 0);
	assert_int_equal(transport.stops, 1);
	assert_false(sl_offer_queue_running(r->offer, 0));
	assert_int_equal(sl_offer_stop(r->offer), 0);
}

static void test_stop_fails(void **state)
{
	struct rig *r = *state;

	run(r);
	transport.stop_returns = -EPERM;
	assert_int_equal(sl_offer_stop(r->offer), -EPERM);
	assert_int_equal(transport.stops, 1);
	assert_false(sl_offer_queue_running(r->offer, 0));
}

static void test_create_refuses(void **state)
{
	struct rig *r = *state;
	struct sl_offer_config config = {
		.model = &r->model.m, .worker = r->worker, .via = "nothing:"};
	struct sl_offer *o;
	struct sl_model *m;

	assert_int_equal(sl_offer_create(&config, &o), -EINVAL);
	config.via = "fake:x=1";
	assert_int_equal(sl_offer_create(&config, &o), -EINVAL);
	assert_int_equal(sl_model_open("", NULL, &m), -EINVAL);
	assert_int_equal(sl_model_open("blkk,null", NULL, &m), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_serves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_copies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_suppressed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fence, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fence_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_transport_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_queue_stop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_quiesce, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_enable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_broken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_polled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refuses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_burst, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stop_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_create_refuses, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
