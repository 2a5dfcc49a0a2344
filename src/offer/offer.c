/* SPDX-License-Identifier: BSD-2-Clause */
/* An offer: a model, a transport, and the worker's task that serves them. */
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "base/barrier.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/reason.h"
#include "offer/kinds.h"
#include "offer/queue.h"

#define KIND_MAX      32
#define FENCE_STEP_NS (20 * SL_NS_PER_MS)
#define STOP_NS	      (10 * SL_NS_PER_S)
#define STOP_STEP_MS  10
/* What wakes the worker of an offer, a kick, is dear in a guest: it looks longer than one of a
 * link, and for sleeps that were longer. */
#define LOOK_NS	     (400 * SL_NS_PER_US)
#define LOOK_PAYS_NS (2 * SL_NS_PER_MS)

/* What queues here can do, whatever the model (virtio 1.2, 6). */
#define RING_FEATURES                                                                              \
	(VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC) |                \
	 VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX) | VIRTIO_BIT(VIRTIO_F_RING_PACKED) |                  \
	 VIRTIO_BIT(VIRTIO_F_IN_ORDER))

/* A new transport is a file in this folder and a row here. */
static const struct sl_transport_kind *const kinds[] = {
	&sl_transport_vhost_user.kind, &sl_transport_vduse.kind, &sl_transport_uduse.kind, NULL};

const struct sl_transport_kind *const *sl_offer_kinds(void)
{
	return kinds;
}

struct sl_model *sl_offer_model(const struct sl_offer *o)
{
	return o->model;
}

uint64_t sl_offer_features(const struct sl_offer *o)
{
	return o->info.features | RING_FEATURES;
}

const struct sl_log *sl_offer_log(const struct sl_offer *o)
{
	return o->config.log;
}

struct sl_worker *sl_offer_worker(const struct sl_offer *o)
{
	return o->config.worker;
}

struct sl_space *sl_offer_space(const struct sl_offer *o)
{
	return o->space;
}

enum sl_offer_state sl_offer_get_state(const struct sl_offer *o)
{
	return sl_load_relaxed(&o->state);
}

void sl_offer_set_state(struct sl_offer *o, enum sl_offer_state state)
{
	bool ends = state == SL_OFFER_ENDED && o->state != SL_OFFER_ENDED;

	sl_store_relaxed(&o->state, state);
	if (ends && o->config.ended)
		o->config.ended(o->config.ctx);
}

bool sl_offer_is_net(const struct sl_offer *o)
{
	return o->net;
}

void sl_offer_log_dirty(struct sl_offer *o, bool on)
{
	o->log_dirty = on;
}

void sl_offer_changed(struct sl_offer *o)
{
	if (o->transport)
		o->transport->ops->changed(o->transport);
}

int sl_offer_start(struct sl_offer *o, uint64_t features)
{
	/* Who may reach which memory, and who follows what is written, is the transport's to say.
	 */
	uint64_t offered = sl_offer_features(o) | VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM) |
			   VIRTIO_BIT(VHOST_F_LOG_ALL);

	if (features & ~offered)
		return sl_fail(EINVAL, "features 0x%llx were not offered",
			       (unsigned long long)(features & ~offered));
	for (unsigned i = 0; i < o->n_queues; i++)
		if (o->queues[i].vq)
			return sl_fail(EBUSY, "features cannot change while queue %u runs", i);
	o->features = features;
	return o->model->ops->start ? o->model->ops->start(o->model, features) : 0;
}

int sl_offer_map(struct sl_offer *o, sl_iova iova, const struct sl_region *region)
{
	int ret = sl_space_map_at(o->space, iova, region);

	if (!ret && o->model && o->model->ops->region_add)
		o->model->ops->region_add(o->model, region);
	return ret;
}

int sl_offer_unmap(struct sl_offer *o, struct sl_iova_range range)
{
	size_t n;
	const struct sl_mapping *m = sl_space_mappings(o->space, &n);

	for (size_t i = 0; i < n && o->model && o->model->ops->region_del; i++)
		if (sl_iova_within(m[i].at, range))
			o->model->ops->region_del(o->model, &m[i].region);
	return sl_space_unmap(o->space, range);
}

/*
 * The worker's task.
 */

static int end(struct sl_offer *o)
{
	sl_log(o->config.log, SL_LOG_ERROR, "%s", sl_reason());
	o->quiesced = true;
	sl_offer_set_state(o, SL_OFFER_ENDED);
	return 0;
}

/* Nothing is looked at before what a killed process has left behind has landed. */
static int pass_fence(struct sl_offer *o, uint64_t now)
{
	int ret = 0;

	if (now < o->fence_at_ns)
		return 0;
	if (o->model->ops->fence)
		ret = o->model->ops->fence(o->model, now);
	o->fence_at_ns = now + FENCE_STEP_NS;
	if (ret == -EAGAIN)
		return 0;
	if (ret)
		return end(o);
	sl_offer_set_state(o, SL_OFFER_WAITING);
	return 1;
}

static int step(struct sl_task *task, uint64_t now, bool look)
{
	struct sl_offer *o = sl_container_of(task, struct sl_offer, task);
	int did = 0;

	if (o->state == SL_OFFER_FENCED)
		return pass_fence(o, now);
	if (o->state != SL_OFFER_ENDED)
		did = o->transport->ops->step(o->transport, now);
	if (did < 0)
		return end(o);
	if (o->net)
		return did;
	for (unsigned i = 0; i < o->n_queues; i++)
		did += sl_offer_queue_step(&o->queues[i], look);
	if (did && o->model->ops->submit)
		o->model->ops->submit(o->model);
	if (o->model->ops->reap)
		did += o->model->ops->reap(o->model);
	o->reap.ready = 0;
	for (unsigned i = 0; i < o->n_queues; i++)
		sl_offer_queue_publish(&o->queues[i]);
	return did;
}

static bool arm(struct sl_task *task, uint64_t *deadline)
{
	struct sl_offer *o = sl_container_of(task, struct sl_offer, task);
	bool work = false;

	if (o->state == SL_OFFER_FENCED) {
		*deadline = sl_min(*deadline, o->fence_at_ns);
		return false;
	}
	if (o->state != SL_OFFER_ENDED)
		work = o->transport->ops->arm(o->transport, deadline);
	for (unsigned i = 0; i < o->n_queues && !o->net; i++)
		work |= sl_offer_queue_arm(&o->queues[i]);
	if (o->reap.fd >= 0) {
		work |= sl_worker_watch(o->config.worker, &o->reap, EPOLLIN) < 0;
		work |= o->model->ops->arm && o->model->ops->arm(o->model);
	}
	return work;
}

/*
 * Beginning and end.
 */

static int check_model(const struct sl_model_info *info)
{
	if (!info->queues || !info->queue_size || info->queue_size & (info->queue_size - 1) ||
	    !info->pieces)
		return sl_fail(EINVAL, "a model with %u queues of %u entries, %u pieces a request",
			       info->queues, info->queue_size, info->pieces);
	return 0;
}

static struct sl_offer *make(const struct sl_offer_config *config, const struct sl_model_info *info,
			     struct sl_net *net)
{
	struct sl_offer *o = calloc(1, sizeof(*o) + sizeof(*o->queues) * info->queues);

	if (!o)
		return NULL;
	o->task = (struct sl_task){.step = step, .arm = arm};
	o->config = *config;
	o->model = config->model;
	o->info = *info;
	o->net = net;
	o->service = net ? &sl_offer_packets : &sl_offer_requests;
	o->n_queues = info->queues;
	o->left = -EAGAIN;
	o->reap.fd = o->model->ops->fd ? o->model->ops->fd(o->model) : -1;
	for (unsigned i = 0; i < o->n_queues; i++) {
		o->queues[i].offer = o;
		o->queues[i].index = (uint16_t)i;
		o->queues[i].kick.fd = -1;
	}
	return o;
}

int sl_offer_open(const struct sl_offer_config *config, const struct transport_ops *via,
		  const struct sl_args *args, struct sl_net *net, struct sl_offer **out)
{
	struct sl_model_info info = {0};
	struct sl_offer *o;
	int ret;

	config->model->ops->info(config->model, &info);
	ret = check_model(&info);
	if (ret)
		return ret;
	o = make(config, &info, net);
	if (!o)
		return sl_fail(ENOMEM, "no memory for an offer");
	ret = sl_space_create(NULL, &o->space);
	if (!ret)
		ret = via->open(o, args, &o->transport);
	if (ret) {
		sl_space_release(o->space);
		free(o);
		return ret;
	}
	o->model->offer = o;
	sl_worker_look(config->worker, LOOK_NS, LOOK_PAYS_NS);
	sl_worker_add(config->worker, &o->task);
	*out = o;
	return 0;
}

static const struct transport_ops *find_transport(const char *via, size_t len)
{
	for (const struct sl_transport_kind *const *k = kinds; *k; k++)
		if (strlen((*k)->kind) == len && !strncmp((*k)->kind, via, len))
			return (const void *)*k; /* it comes first */
	return NULL;
}

int sl_offer_create(const struct sl_offer_config *config, struct sl_offer **out)
{
	size_t len = strcspn(config->via, ":");
	const struct transport_ops *via = find_transport(config->via, len);
	struct sl_args *args;
	int ret;

	if (!via)
		return sl_fail(EINVAL,
			       "no way \"%.*s\" to offer a device; there are vhost-user:, vduse: "
			       "and uduse:",
			       (int)sl_min(len, (size_t)KIND_MAX), config->via);
	ret = sl_args_parse(via->kind.kind, config->via[len] ? config->via + len + 1 : "",
			    via->kind.params, &args);
	if (ret)
		return ret;
	ret = sl_offer_open(config, via, args, NULL, out);
	sl_args_release(args);
	return ret;
}

static bool queues_stopped(struct sl_offer *o)
{
	bool all = true;

	for (unsigned i = 0; i < o->n_queues; i++)
		all &= sl_offer_queue_stop(o, (uint16_t)i, NULL) != -EAGAIN;
	return all;
}

/* -EAGAIN: not yet; else whether the driver has let go. */
static int leave(struct sl_offer *o)
{
	bool serves = o->state != SL_OFFER_FENCED && o->state != SL_OFFER_ENDED;

	if (o->left == -EAGAIN)
		o->left = serves && o->transport->ops->stop ? o->transport->ops->stop(o->transport)
							    : 0;
	if (o->left == -EAGAIN)
		return -EAGAIN;
	return queues_stopped(o) ? o->left : -EAGAIN;
}

int sl_offer_stop(struct sl_offer *o)
{
	uint64_t until = sl_now_ns() + STOP_NS;
	struct pollfd fd = {.fd = sl_worker_fd(o->config.worker), .events = POLLIN};

	int ret;

	if (o->stopped)
		return 0;
	o->stopped = true;
	while ((ret = leave(o)) == -EAGAIN) {
		if (sl_now_ns() > until)
			return sl_fail(ETIMEDOUT, "the device could not be taken away in order: "
						  "requests are in flight, or its driver holds it");
		if (!sl_worker_step(o->config.worker))
			poll(&fd, 1, STOP_STEP_MS);
	}
	return ret;
}

void sl_offer_release(struct sl_offer *o)
{
	if (!o)
		return;
	if (sl_offer_stop(o))
		sl_log(o->config.log, SL_LOG_WARN, "%s", sl_reason());
	sl_worker_remove(o->config.worker, &o->task);
	sl_worker_watch(o->config.worker, &o->reap, 0);
	/* The model first: what it still has in flight would be written into memory that goes. */
	o->model->offer = NULL;
	o->model->ops->close(o->model);
	o->model = NULL; /* the transport unmaps what it still has */
	for (unsigned i = 0; i < o->n_queues; i++)
		sl_offer_queue_close(&o->queues[i]);
	o->transport->ops->close(o->transport);
	sl_space_release(o->space);
	free(o);
}
