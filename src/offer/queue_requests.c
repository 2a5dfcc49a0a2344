/* SPDX-License-Identifier: BSD-2-Clause */
/* Buffers of a virtqueue become requests of the model, and go back. */
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/barrier.h"
#include "base/bytes.h"
#include "base/count.h"
#include "base/reason.h"
#include "offer/queue.h"

#define BURST	   64
#define DATA_ALIGN 16
/* Told once for each kick, which is never read: whether reading blocks is up to the driver. */
#define KICK (EPOLLIN | EPOLLET)
/* A descriptor of a driver's may lie in several mappings. */
#define PIECES_MORE 8

static unsigned pieces_of(const struct sl_offer *o)
{
	return o->info.pieces + PIECES_MORE;
}

static size_t round_up(size_t len)
{
	return (len + DATA_ALIGN - 1) & ~(size_t)(DATA_ALIGN - 1);
}

/* One block for all: slot, its pieces, the model's data, the next slot ... */
static int start(struct offer_queue *q, struct virtq_setup *setup)
{
	const struct sl_offer *o = q->offer;
	size_t slot = round_up(sizeof(struct offer_slot)),
	       pieces = round_up(sizeof(struct iovec) * pieces_of(o)),
	       stride = slot + pieces + round_up(o->info.request_data);
	uint16_t size = setup->size;
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

static void end(struct offer_queue *q)
{
	free(q->memory);
	q->memory = NULL;
	q->free = NULL;
}

static void kick(struct offer_queue *q, int fd)
{
	sl_worker_watch(q->offer->config.worker, &q->kick, 0);
	q->kick = (struct sl_watch){.fd = fd};
	/* arm() says when it cannot be */
	sl_worker_watch(q->offer->config.worker, &q->kick, KICK);
}

/* Buffers that a process before had taken come first, and cannot be left behind. */
static bool resumes(const struct offer_queue *q)
{
	return sl_virtq_device_in_flight(q->vq) > q->in_flight;
}

static bool idle(struct offer_queue *q)
{
	return !q->in_flight && (q->counted.broken || !resumes(q));
}

const struct offer_service sl_offer_requests = {start, kick, idle, end};

static bool takes(const struct offer_queue *q)
{
	return sl_offer_queue_takes(q) || (q->vq && !q->counted.broken && resumes(q));
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
		sl_offer_queue_broke(q);
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

bool sl_offer_queue_arm(struct offer_queue *q)
{
	int ret;

	if (!takes(q))
		return false;
	if (q->polled || q->again || sl_worker_watch(q->offer->config.worker, &q->kick, KICK))
		return true;
	ret = sl_virtq_device_arm(q->vq);
	if (ret < 0)
		sl_offer_queue_broke(q);
	q->again = ret > 0;
	return ret > 0;
}
