/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An offer over vhost-user, with a model that gives requests back when it is told to, and a front
 * end that says whatever it likes, over a real socket with real memory.
 */
#ifndef SL_TESTS_VHOST_USER_RIG_H
#define SL_TESTS_VHOST_USER_RIG_H

#include <fcntl.h>
#include <sys/stat.h>

#include <sluice/offer.h>

#include "offer/queue.h"
#include "vhost_user_front.h"
#include "virtq/packed.h"
#include "virtq/split.h"

#define RIG_QUEUES  3
#define RIG_SIZE    64	/* entries that a queue may have */
#define RIG_CONFIG  16	/* bytes */
#define RIG_FEATURE 5	/* of the model's own */
#define RIG_HELD    256 /* requests that the model may hold */

#define GUEST_LEN   (1u << 20)
#define OWN	    BIT(VHOST_USER_F_PROTOCOL_FEATURES)
#define PROTOCOL_ALL                                                                               \
	(PROTOCOL(MQ) | PROTOCOL(REPLY_ACK) | PROTOCOL(BACKEND_REQ) | PROTOCOL(CONFIG) |           \
	 PROTOCOL(INFLIGHT_SHMFD) | PROTOCOL(RESET_DEVICE) | PROTOCOL(CONFIGURE_MEM_SLOTS) |       \
	 PROTOCOL(STATUS))

/** struct rig_model - a model; @hold: give nothing back before rig_give_back() */
struct rig_model {
	struct sl_model model;
	bool hold;
	struct sl_request *held[RIG_HELD];
	unsigned n_held, taken, started, regions;
	uint64_t features;
	uint8_t config[RIG_CONFIG];
};

/**
 * struct rig - the back end
 * @kick, @call, @err: of each ring
 * @avail: buffers that were made available, of each ring
 */
struct rig {
	struct sl_worker *worker;
	struct sl_offer *offer;
	struct rig_model model;
	int kick[RIG_QUEUES], call[RIG_QUEUES], err[RIG_QUEUES];
	uint16_t avail[RIG_QUEUES];
	bool ended;
};

static struct rig rig;

/*
 * The model.
 */

static inline void rig_info(const struct sl_model *m, struct sl_model_info *info)
{
	(void)m;
	*info = (struct sl_model_info){.device_id = 4,
				       .features = BIT(RIG_FEATURE),
				       .queues = RIG_QUEUES,
				       .queue_size = RIG_SIZE,
				       .pieces = 4,
				       .config_len = RIG_CONFIG};
}

static inline void rig_get_config(const struct sl_model *m, void *config)
{
	(void)m;
	memcpy(config, rig.model.config, RIG_CONFIG);
}

/* Only the last 4 bytes can be written. */
static inline int rig_set_config(struct sl_model *m, uint32_t offset, const void *from,
				 uint32_t len)
{
	(void)m;
	if (offset < RIG_CONFIG - 4)
		return -EINVAL;
	memcpy(rig.model.config + offset, from, len);
	return 0;
}

static inline int rig_model_start(struct sl_model *m, uint64_t features)
{
	(void)m;
	rig.model.started++;
	rig.model.features = features;
	return 0;
}

static inline void rig_region_add(struct sl_model *m, const struct sl_region *region)
{
	(void)m;
	(void)region;
	rig.model.regions++;
}

static inline void rig_region_del(struct sl_model *m, const struct sl_region *region)
{
	(void)m;
	(void)region;
	rig.model.regions--;
}

static inline void rig_finish(struct sl_request *req)
{
	uint8_t byte = 0x5a;

	for (uint32_t i = 0; i < req->write_len; i++)
		if (sl_request_write(req, i, &byte, 1))
			break;
	sl_request_done(req, req->write_len);
}

static inline void rig_request(struct sl_model *m, struct sl_request *req)
{
	(void)m;
	rig.model.taken++;
	if (!rig.model.hold)
		rig_finish(req);
	else if (rig.model.n_held < RIG_HELD)
		rig.model.held[rig.model.n_held++] = req;
}

static inline void rig_give_back(void)
{
	for (unsigned i = 0; i < rig.model.n_held; i++)
		rig_finish(rig.model.held[i]);
	rig.model.n_held = 0;
}

static inline void rig_model_close(struct sl_model *m)
{
	(void)m;
}

static const struct sl_model_ops rig_model_ops = {
	.size = sizeof(struct sl_model_ops),
	.kind = "rig",
	.info = rig_info,
	.get_config = rig_get_config,
	.set_config = rig_set_config,
	.start = rig_model_start,
	.region_add = rig_region_add,
	.region_del = rig_region_del,
	.request = rig_request,
	.close = rig_model_close,
};

/*
 * The process around it.
 */

static inline void rig_ended(void *ctx)
{
	(void)ctx;
	rig.ended = true;
}

/* Until there is nothing left to do. */
static inline void steps(void)
{
	int n = 0;

	while (sl_worker_step(rig.worker) && n++ < 10000)
		;
	assert_true(n < 10000);
}

/* Would the worker sleep now? */
static inline bool sleeps(void)
{
	struct pollfd p = {.fd = sl_worker_fd(rig.worker), .events = POLLIN};

	return !poll(&p, 1, 0);
}

static inline int rig_offer(const char *via)
{
	const struct sl_offer_config config = {.model = &rig.model.model,
					       .via = via,
					       .worker = rig.worker,
					       .log = &front.to_log,
					       .ended = rig_ended};

	rig.model.model.ops = &rig_model_ops;
	return sl_offer_create(&config, &rig.offer);
}

static inline void rig_listen(void)
{
	char via[128];

	snprintf(via, sizeof(via), "vhost-user:path=%s", front.path);
	assert_int_equal(rig_offer(via), 0);
	front.sock = rig_connect();
	assert_true(front.sock >= 0);
	steps();
}

/* What is in flight stays in flight, and what was put is not published; then there is another back
 * end, with another connection. */
static inline void rig_kill(void)
{
	rig.offer->stopped = true;
	sl_offer_release(rig.offer);
	rig.model.regions = 0; /* the model hears of nothing any more */
	sl_fd_close(&front.sock);
	rig_listen();
}

/* No offer yet. */
static inline int rig_bare(void **state)
{
	(void)state;
	memset(&rig, 0, sizeof(rig));
	front_open(GUEST_LEN);
	assert_int_equal(sl_worker_create(SL_POLL_OFF, &rig.worker), 0);
	for (unsigned q = 0; q < RIG_QUEUES; q++) {
		rig.kick[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		rig.call[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		rig.err[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	return 0;
}

/* An offer that listens, and a front end that has connected. */
static inline int rig_up(void **state)
{
	rig_bare(state);
	rig_listen();
	return 0;
}

static inline int rig_down(void **state)
{
	(void)state;
	rig.model.hold = false;
	rig_give_back();
	sl_offer_release(rig.offer);
	assert_int_equal(rig.model.regions, 0);
	sl_worker_release(rig.worker);
	for (unsigned q = 0; q < RIG_QUEUES; q++) {
		sl_fd_close(&rig.kick[q]);
		sl_fd_close(&rig.call[q]);
		sl_fd_close(&rig.err[q]);
	}
	front_close();
	return 0;
}

/*
 * The front end.
 */

/* VHOST_USER_GET_VRING_BASE: -1 when there is no answer yet. */
static inline int64_t get_base(unsigned q)
{
	struct vhost_user_msg msg = message(VHOST_USER_GET_VRING_BASE, 8);

	msg.payload.state.index = q;
	say(&msg);
	if (hear(&msg))
		return -1;
	assert_int_equal(msg.request, VHOST_USER_GET_VRING_BASE);
	assert_int_equal(msg.payload.state.index, q);
	return msg.payload.state.num;
}

/* Both kinds of features. */
static inline void negotiate(uint64_t features)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_PROTOCOL_FEATURES, 8);

	msg.payload.u64 = PROTOCOL_ALL;
	say(&msg);
	assert_true(silent());
	assert_true(ask_u64(VHOST_USER_SET_FEATURES, features));
}

#endif
