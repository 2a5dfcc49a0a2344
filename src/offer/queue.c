/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <sys/epoll.h>

#include "base/barrier.h"
#include "base/bytes.h"
#include "base/count.h"
#include "base/log.h"
#include "base/reason.h"
#include "offer/queue.h"

#define BURST	   64
#define DATA_ALIGN 16
/* Told once for each kick, which is never read: whether reading blocks is up to the driver. */
#define KICK (EPOLLIN | EPOLLET)
/* A descriptor of a driver's may lie in several mappings. */
#define PIECES_MORE	8

#define HAS(o, feature) (!!((o)->features >> (feature)&1))

static unsigned pieces_of(const struct sl_offer *o)
{
	return o->info.pieces + PIECES_MORE;
}

static size_t round_up(size_t len)
{
	return (len + DATA_ALIGN - 1) & ~(size_t)(DATA_ALIGN - 1);
}

/* One block for all: slot, its pieces, the model's data, the next slot ... */
static int make_slots(struct offer_queue *q, uint16_t size)
{
	const struct sl_offer *o = q->offer;
	size_t slot = round_up(sizeof(struct offer_slot)),
	       pieces = round_up(sizeof(struct iovec) * pieces_of(o)),
	       stride = slot + pieces + round_up(o->info.request_data);
	uint8_t *at;

	/* calloc() of much is fresh pages: what is never used is never touched. */
	q->memory = at = calloc(size, stride);
	if (!at)
		return sl_fail(ENOMEM, "no memory for %u requests", size);
	q->free = NULL;
	for (at += stride * size; at != q->memory;) {
		struct offer_slot *s = (void *)(at -= stride);

		s->q = q;
		s->req.read = (void *)(at + slot);
		s->req.queue = q->index;
		s->req.data = at + slot + pieces;
		s->next_free = q->free;
		q->free = s;
	}
	return 0;
}

int sl_offer_queue_start(struct sl_offer *o, uint16_t queue, const struct virtq_setup *setup,
			 int kick)
{
	struct virtq_setup full = *setup;
	struct offer_queue *q;
	int ret;

	if (queue >= o->n_queues)
		return sl_fail(EINVAL, "queue %u of a device with %u", queue, o->n_queues);
	q = &o->queues[queue];
	if (q->vq)
		return sl_fail(EBUSY, "queue %u runs already", queue);
	if (setup->size > o->info.queue_size)
		return sl_fail(EINVAL, "queue %u with %u entries: at most %u", queue, setup->size,
			       o->info.queue_size);
	full.space = o->space;
	full.packed = HAS(o, VIRTIO_F_RING_PACKED);
	full.event_idx = HAS(o, VIRTIO_RING_F_EVENT_IDX);
	full.indirect = HAS(o, VIRTIO_RING_F_INDIRECT_DESC);
	full.in_order = HAS(o, VIRTIO_F_IN_ORDER);
	ret = make_slots(q, setup->size);
	if (!ret)
		ret = sl_virtq_device_open(&full, &q->vq);
	if (ret) {
		free(q->memory);
		q->memory = NULL;
		return ret;
	}
	q->stopping = false;
	/* The interrupt for what was put last may have died with the process before. */
	q->dirty = q->announce = setup->resume;
	sl_count_add(&q->counted.resumed, sl_virtq_device_in_flight(q->vq));
	sl_store_relaxed(&q->counted.size, setup->size);
	sl_store_relaxed(&q->counted.broken, (const char *)NULL);
	sl_store_relaxed(&q->counted.running, true);
	sl_offer_queue_kick(o, queue, kick);
	return 0;
}

void sl_offer_queue_kick(struct sl_offer *o, uint16_t queue, int kick)
{
	struct offer_queue *q = &o->queues[queue];

	sl_worker_watch(o->config.worker, &q->kick, 0);
	q->kick = (struct sl_watch){.fd = kick};
	sl_worker_watch(o->config.worker, &q->kick, KICK); /* arm() says when it cannot be */
	q->again = true;
	q->polled = kick < 0;
}

void sl_offer_queue_enable(struct sl_offer *o, uint16_t queue, bool on)
{
	struct offer_queue *q = &o->queues[queue];

	q->again = true;
	q->enabled = on;
}

bool sl_offer_queue_running(const struct sl_offer *o, uint16_t queue)
{
	return queue < o->n_queues && o->queues[queue].vq;
}

static void broke(struct offer_queue *q)
{
	const char *what = sl_virtq_device_broken(q->vq);
	struct transport *t = q->offer->transport;

	if (q->counted.broken)
		return;
	sl_store_relaxed(&q->counted.broken, what);
	sl_log(q->offer->config.log, SL_LOG_WARN, "queue %u is broken: %s", q->index, what);
	t->ops->broken(t, q->index);
}

/* Buffers that a process before had taken come first, and cannot be left behind. */
static bool resumes(const struct offer_queue *q)
{
	return sl_virtq_device_in_flight(q->vq) > q->in_flight;
}

static bool takes(const struct offer_queue *q)
{
	if (!q->vq || q->counted.broken)
		return false;
	if (q->stopping || q->offer->quiesced)
		return resumes(q);
	return q->enabled;
}

/* Returns 1 for a request, 0 when there is none. */
static int take(struct offer_queue *q)
{
	const struct sl_offer *o = q->offer;
	struct offer_slot *s = q->free;
	struct virtq_chain chain;
	int ret;

	if (!s) /* everything is in flight: a driver that keeps to the rules has no more */
		return 0;
	chain.pieces = (struct iovec *)(uintptr_t)s->req.read;
	chain.max = pieces_of(o);
	ret = sl_virtq_device_get(q->vq, &chain);
	if (ret == -EPROTO)
		broke(q);
	if (ret)
		return 0;
	q->free = s->next_free;
	s->id = chain.id;
	s->req.n_read = chain.n_read;
	s->req.n_write = chain.n_write;
	s->req.write = s->req.read + chain.n_read;
	s->req.read_len = chain.read_len;
	s->req.write_len = chain.write_len;
	sl_store_relaxed(&q->in_flight, q->in_flight + 1);
	o->model->ops->request(o->model, &s->req);
	return 1;
}

int sl_offer_queue_step(struct offer_queue *q, bool look)
{
	int did = 0;

	sl_count_add(&q->counted.kicks, !!q->kick.ready);
	look |= q->kick.ready || q->again || q->polled;
	q->kick.ready = 0;
	if (!look || !takes(q))
		return 0;
	sl_virtq_device_disarm(q->vq);
	while (did < BURST && takes(q) && take(q))
		did++;
	q->again = did == BURST;
	sl_count_add(&q->counted.requests, (uint64_t)did);
	return did;
}

void sl_request_done(struct sl_request *req, uint32_t written)
{
	struct offer_slot *s = sl_container_of(req, struct offer_slot, req);
	struct offer_queue *q = s->q;

	sl_virtq_device_put(q->vq, s->id, written);
	q->dirty = true;
	s->next_free = q->free;
	q->free = s;
	sl_store_relaxed(&q->in_flight, q->in_flight - 1);
}

void sl_offer_queue_publish(struct offer_queue *q)
{
	struct transport *t = q->offer->transport;
	int ret;

	if (!q->dirty)
		return;
	q->dirty = false;
	ret = sl_virtq_device_publish(q->vq);
	if (ret < 0)
		broke(q);
	else if (!ret && !q->announce)
		sl_count_add(&q->counted.suppressed, 1);
	else if (t->ops->interrupt(t, q->index))
		sl_count_add(&q->counted.interrupts, 1);
	q->announce = false;
}

bool sl_offer_queue_arm(struct offer_queue *q)
{
	int ret;

	if (!takes(q))
		return false;
	if (q->polled || q->again || sl_worker_watch(q->offer->config.worker, &q->kick, KICK))
		return true;
	ret = sl_virtq_device_arm(q->vq);
	if (ret < 0)
		broke(q);
	q->again = ret > 0;
	return ret > 0;
}

void sl_offer_queue_close(struct offer_queue *q)
{
	sl_worker_watch(q->offer->config.worker, &q->kick, 0);
	q->kick = (struct sl_watch){.fd = -1};
	sl_virtq_device_close(q->vq);
	q->vq = NULL;
	free(q->memory);
	q->memory = NULL;
	q->free = NULL;
	sl_store_relaxed(&q->in_flight, 0);
	sl_store_relaxed(&q->counted.running, false);
}

int sl_offer_queue_stop(struct sl_offer *o, uint16_t queue, struct virtq_ring_state *state)
{
	struct offer_queue *q;

	if (!sl_offer_queue_running(o, queue))
		return -EINVAL;
	q = &o->queues[queue];
	q->stopping = true;
	if (q->in_flight || (!q->counted.broken && resumes(q))) {
		q->again = true;
		return -EAGAIN;
	}
	sl_offer_queue_publish(q);
	if (state)
		*state = sl_virtq_device_state(q->vq);
	sl_offer_queue_close(q);
	return 0;
}

struct virtq_ring_state sl_offer_queue_peek(const struct sl_offer *o, uint16_t queue)
{
	return sl_virtq_device_state(o->queues[queue].vq);
}

bool sl_offer_quiesce(struct sl_offer *o, bool on)
{
	bool idle = true;

	o->quiesced = on;
	for (unsigned i = 0; i < o->n_queues; i++) {
		struct offer_queue *q = &o->queues[i];

		q->again = true;
		if (on && q->vq)
			idle &= !q->in_flight && (q->counted.broken || !resumes(q));
	}
	return idle;
}

int sl_offer_get_stats(const struct sl_offer *o, uint16_t queue, struct sl_offer_queue_stats *stats)
{
	const struct offer_queue *q;

	if (queue >= o->n_queues)
		return sl_fail(EINVAL, "queue %u of a device with %u", queue, o->n_queues);
	q = &o->queues[queue];
	*stats = (struct sl_offer_queue_stats){
		.running = sl_load_relaxed(&q->counted.running),
		.size = sl_load_relaxed(&q->counted.size),
		.requests = sl_count_read(&q->counted.requests),
		.kicks = sl_count_read(&q->counted.kicks),
		.interrupts = sl_count_read(&q->counted.interrupts),
		.suppressed = sl_count_read(&q->counted.suppressed),
		.resumed = sl_count_read(&q->counted.resumed),
		.in_flight = sl_load_relaxed(&q->in_flight),
		.broken = sl_load_relaxed(&q->counted.broken),
	};
	return 0;
}
