/* SPDX-License-Identifier: BSD-2-Clause */
/* The core of offers: a split queue in this process's memory, a transport and a model of the
 * test's. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/reason.h"
#include "offer/kinds.h"
#include "virtq/driver.h"

#define SIZE	 8
#define QUEUES	 2
#define MEMORY	 65536
#define BUFFERS	 0x8000
#define HELD_MAX 64

/*
 * The model: holds requests until the test lets go of them.
 */

struct fake_model {
	struct sl_model m;
	int fence;
	unsigned fences, starts, submits, closed;
	unsigned n_held;
	struct sl_request *held[HELD_MAX];
	unsigned regions;
	bool inline_done;
};

static void fake_info(const struct sl_model *m, struct sl_model_info *info)
{
	(void)m;
	*info = (struct sl_model_info){.device_id = 42,
				       .features = 3,
				       .queues = QUEUES,
				       .queue_size = SIZE,
				       .pieces = 4,
				       .request_data = 24};
}

static int fake_fence(struct sl_model *m, uint64_t now)
{
	struct fake_model *f = (void *)m;

	(void)now;
	f->fences++;
	return f->fence;
}

static int fake_start(struct sl_model *m, uint64_t features)
{
	(void)features;
	((struct fake_model *)m)->starts++;
	return 0;
}

static void fake_region_add(struct sl_model *m, const struct sl_region *region)
{
	(void)region;
	((struct fake_model *)m)->regions++;
}

static void fake_region_del(struct sl_model *m, const struct sl_region *region)
{
	(void)region;
	((struct fake_model *)m)->regions--;
}

static void fake_request(struct sl_model *m, struct sl_request *req)
{
	struct fake_model *f = (void *)m;

	memset(req->data, 0xa5, 24);
	if (f->inline_done)
		sl_request_done(req, req->write_len);
	else
		f->held[f->n_held++] = req;
}

static void fake_submit(struct sl_model *m)
{
	((struct fake_model *)m)->submits++;
}

static void fake_close(struct sl_model *m)
{
	((struct fake_model *)m)->closed++;
}

static const struct sl_model_ops fake_model_ops = {
	.size = sizeof(fake_model_ops),
	.kind = "fake",
	.info = fake_info,
	.fence = fake_fence,
	.start = fake_start,
	.region_add = fake_region_add,
	.region_del = fake_region_del,
	.request = fake_request,
	.submit = fake_submit,
	.close = fake_close,
};

/*
 * The transport. It takes the place of vhost-user in the offer's table.
 */

static struct fake_transport {
	struct transport t;
	unsigned steps, interrupts[QUEUES], broken[QUEUES], changes, stops, closed;
	int step_returns, stop_returns;
} transport;

static int fake_open(struct sl_offer *o, const struct sl_args *args, struct transport **out)
{
	(void)args;
	transport = (struct fake_transport){.t = {&sl_transport_vhost_user, o}};
	*out = &transport.t;
	return 0;
}

static int fake_step(struct transport *t, uint64_t now)
{
	(void)t;
	(void)now;
	transport.steps++;
	if (transport.step_returns < 0)
		return sl_fail(-transport.step_returns, "the fake transport ends");
	return 0;
}

static bool fake_arm(struct transport *t, uint64_t *deadline)
{
	(void)t;
	(void)deadline;
	return false;
}

static bool fake_interrupt(struct transport *t, uint16_t queue)
{
	(void)t;
	transport.interrupts[queue]++;
	return true;
}

static void fake_broken(struct transport *t, uint16_t queue)
{
	(void)t;
	transport.broken[queue]++;
}

static void fake_changed(struct transport *t)
{
	(void)t;
	transport.changes++;
}

static int fake_stop(struct transport *t)
{
	(void)t;
	transport.stops++;
	return transport.stop_returns;
}

static void fake_transport_close(struct transport *t)
{
	(void)t;
	transport.closed++;
}

static const struct sl_param no_params[] = {{NULL}};

const struct transport_ops sl_transport_vhost_user = {
	.kind = {"fake", "of this test", no_params},
	.open = fake_open,
	.step = fake_step,
	.arm = fake_arm,
	.interrupt = fake_interrupt,
	.broken = fake_broken,
	.changed = fake_changed,
	.stop = fake_stop,
	.close = fake_transport_close,
};

const struct transport_ops sl_transport_vduse = {.kind = {"other", "never opened", no_params}};

/*
 * The rig: a worker, an offer, the driver's memory.
 */

struct rig {
	struct sl_worker *worker;
	struct fake_model model;
	struct sl_offer *offer;
	unsigned ended;
	_Alignas(4096) uint8_t memory[MEMORY];
	struct virtq_layout layout;
	int kick;
	uint16_t avail;
};

static void on_ended(void *ctx)
{
	((struct rig *)ctx)->ended++;
}

static struct virtq_desc *desc(struct rig *r)
{
	return (void *)(r->memory + r->layout.desc);
}

static struct virtq_avail *avail(struct rig *r)
{
	return (void *)(r->memory + r->layout.avail);
}

static struct virtq_used *used(struct rig *r)
{
	return (void *)(r->memory + r->layout.used);
}

static struct virtq_setup setup_of(struct rig *r)
{
	return (struct virtq_setup){
		.size = SIZE,
		.desc = desc(r),
		.driver = avail(r),
		.device = used(r),
	};
}

static int set_up(void **state)
{
	struct rig *r = aligned_alloc(4096, (sizeof(*r) + 4095) & ~4095ul);
	struct sl_offer_config config = {.via = "fake:", .ended = on_ended, .ctx = r};

	memset(r, 0, sizeof(*r));
	r->model.m.ops = &fake_model_ops;
	r->layout = (struct virtq_layout){.desc = 0, .avail = 0x1000, .used = 0x2000};
	r->kick = eventfd(0, EFD_CLOEXEC); /* one that blocks: it must not be read */
	assert_int_equal(sl_worker_create(SL_POLL_OFF, &r->worker), 0);
	config.worker = r->worker;
	config.model = &r->model.m;
	assert_int_equal(sl_offer_create(&config, &r->offer), 0);
	*state = r;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *r = *state;

	sl_offer_release(r->offer);
	assert_int_equal(r->model.closed, 1);
	assert_int_equal(transport.closed, 1);
	sl_worker_release(r->worker);
	close(r->kick);
	free(r);
	return 0;
}

/* Until the worker would sleep. */
static void settle(struct rig *r)
{
	for (unsigned i = 0; i < 1000; i++)
		if (!sl_worker_step(r->worker))
			return;
	fail_msg("the worker does not come to rest");
}

static bool would_wake(struct rig *r)
{
	struct pollfd fd = {.fd = sl_worker_fd(r->worker), .events = POLLIN};

	return poll(&fd, 1, 0) > 0;
}

/* A buffer of one descriptor that the device writes, and one it reads before it. */
static void make_available(struct rig *r, uint16_t head)
{
	desc(r)[head] = (struct virtq_desc){BUFFERS + 256u * head, 16, VIRTQ_DESC_F_NEXT,
					    (uint16_t)(head + 1)};
	desc(r)[head + 1] =
		(struct virtq_desc){BUFFERS + 256u * head + 64, 100, VIRTQ_DESC_F_WRITE, 0};
	avail(r)->ring[r->avail++ % SIZE] = head;
	__atomic_store_n(&avail(r)->idx, r->avail, __ATOMIC_RELEASE);
}

static void run_queue(struct rig *r, uint16_t queue, int kick)
{
	struct virtq_setup setup = setup_of(r);

	assert_int_equal(sl_offer_queue_start(r->offer, queue, &setup, kick), 0);
	sl_offer_queue_enable(r->offer, queue, true);
}

static void run(struct rig *r)
{
	struct sl_region all = {.base = r->memory,
				.len = MEMORY,
				.fd = -1,
				.access = SL_REGION_READ | SL_REGION_WRITE};

	settle(r);
	assert_int_equal(sl_offer_start(r->offer, UINT64_C(1) << 32), 0);
	assert_int_equal(sl_offer_map(r->offer, (sl_iova){0}, &all), 0);
	run_queue(r, 0, r->kick);
	settle(r);
}

static void finish(struct rig *r, unsigned n, uint32_t written)
{
	struct sl_request *req = r->model.held[n];

	r->model.held[n] = r->model.held[--r->model.n_held];
	sl_request_done(req, written);
}

static struct sl_offer_queue_stats stats_of(struct rig *r)
{
	struct sl_offer_queue_stats stats;

	assert_int_equal(sl_offer_get_stats(r->offer, 0, &stats), 0);
	return stats;
}

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
