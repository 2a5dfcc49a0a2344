/* SPDX-License-Identifier: BSD-2-Clause */
/* Queues: they run on what the transport says, and stop when nothing is in flight. */
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "base/barrier.h"
#include "base/bytes.h"
#include "base/count.h"
#include "base/log.h"
#include "base/reason.h"
#include "offer/queue.h"

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
	full.packed = o->features & VIRTIO_BIT(VIRTIO_F_RING_PACKED);
	full.event_idx = o->features & VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX);
	full.indirect = o->features & VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC);
	full.in_order = o->features & VIRTIO_BIT(VIRTIO_F_IN_ORDER);
	ret = o->service->start(q, &full);
	if (!ret)
		ret = sl_virtq_device_open(&full, &q->vq);
	if (ret) {
		o->service->end(q);
		return ret;
	}
	q->setup = full;
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

	o->service->kick(q, kick);
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

void sl_offer_queue_broke(struct offer_queue *q)
{
	const char *what = sl_virtq_device_broken(q->vq);
	struct transport *t = q->offer->transport;

	if (q->counted.broken)
		return;
	sl_store_relaxed(&q->counted.broken, what);
	sl_log(q->offer->config.log, SL_LOG_WARN, "queue %u is broken: %s", q->index, what);
	t->ops->broken(t, q->index);
}

bool sl_offer_queue_takes(const struct offer_queue *q)
{
	return q->vq && q->enabled && !q->stopping && !q->offer->quiesced && !q->counted.broken;
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
		sl_offer_queue_broke(q);
	else if (!ret && !q->announce)
		sl_count_add(&q->counted.suppressed, 1);
	else if (t->ops->interrupt(t, q->index))
		sl_count_add(&q->counted.interrupts, 1);
	q->announce = false;
}

void sl_offer_queue_close(struct offer_queue *q)
{
	q->offer->service->kick(q, -1);
	q->offer->service->end(q);
	sl_virtq_device_close(q->vq);
	q->vq = NULL;
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
	if (!o->service->idle(q)) {
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
			idle &= o->service->idle(q);
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
