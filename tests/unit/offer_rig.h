/* SPDX-License-Identifier: BSD-2-Clause */
/* An offer whose model and transport are a test's own: it holds requests until the test lets go of
 * them. */
#ifndef SL_TESTS_OFFER_RIG_H
#define SL_TESTS_OFFER_RIG_H

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

#endif
