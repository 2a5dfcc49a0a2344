/* SPDX-License-Identifier: BSD-2-Clause */
/* Queues: where their rings are, kicks, interrupts; a ring whose memory goes waits until it is
 * back. */
#include <string.h>
#include <sys/eventfd.h>

#include "base/barrier.h"
#include "base/bytes.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/reason.h"
#include "offer/vduse.h"

static int miss(void *ctx, sl_iova iova, uint64_t len)
{
	struct vduse *v = ctx;
	size_t before = v->n_mappings;
	int ret = sl_vduse_memory_add(v);

	(void)iova, (void)len;
	return ret ? ret : v->n_mappings > before ? 0 : -EFAULT;
}

/* Of a NIC, whose queues have threads of their own: nothing is mapped while they run. */
static int miss_later(void *ctx, sl_iova iova, uint64_t len)
{
	struct vduse *v = ctx;

	(void)iova, (void)len;
	if (sl_load_relaxed(&v->looked))
		return -EFAULT;
	sl_store_relaxed(&v->missed, true);
	sl_worker_wake(sl_offer_worker(v->transport.offer));
	return -EAGAIN;
}

int sl_vduse_queues_missed(struct vduse *v)
{
	size_t before = v->n_mappings;
	int ret;

	if (!v->missed)
		return 0;
	v->missed = false;
	ret = sl_vduse_memory_add(v);
	v->looked = v->n_mappings == before;
	for (uint16_t i = 0; i < v->info.queues; i++)
		if (sl_offer_queue_running(v->transport.offer, i))
			sl_offer_queue_kick(v->transport.offer, i, v->queues[i].kick);
	return ret;
}

static int get_info(struct vduse *v, uint16_t queue, struct vduse_vq_info *info)
{
	int ret;

	*info = (struct vduse_vq_info){.index = queue};
	ret = v->kernel->call(v, VDUSE_VQ_GET_INFO, info);
	return ret ? sl_fail(-ret, "queue %u of %s: %s", queue, v->name, strerror(-ret)) : 0;
}

/* Where a driver says that it begins: with nothing in flight. */
static struct virtq_ring_state first_state(const struct vduse *v, const struct vduse_vq_info *info)
{
	const struct vduse_vq_state_packed *p = &info->packed;

	if (!v->packed)
		return (struct virtq_ring_state){.avail = info->split.avail_index,
						 .used = info->split.avail_index};
	return (struct virtq_ring_state){p->last_avail_idx, p->last_used_idx, p->last_avail_counter,
					 p->last_used_counter};
}

/* The three areas, each in one piece. Return: 0; -EFAULT when they are not all there. */
static int find_rings(const struct vduse *v, const struct vduse_vq_info *info, void *areas[3])
{
	const uint64_t at[] = {info->desc_addr, info->driver_addr, info->device_addr};
	const uint32_t access[] = {SL_REGION_READ | (v->packed ? SL_REGION_WRITE : 0),
				   SL_REGION_READ, SL_REGION_WRITE};

	for (unsigned i = 0; i < sl_array_len(at); i++) {
		size_t len = sl_virtq_area_len((enum virtq_area)i, (uint16_t)info->num, v->packed);
		struct iovec piece;

		if (sl_space_lookup(sl_offer_space(v->transport.offer), (sl_iova){at[i]}, len,
				    access[i], &piece, 1) < 0)
			return sl_fail(EFAULT,
				       "queue %u of %s: %zu bytes of ring at 0x%llx are not mapped "
				       "in one piece",
				       info->index, v->name, len, (unsigned long long)at[i]);
		areas[i] = piece.iov_base;
	}
	return 0;
}

/* The kernel forgets it with every reset. */
static int set_kick(struct vduse *v, uint16_t queue)
{
	struct vduse_queue *q = &v->queues[queue];
	struct vduse_vq_eventfd e = {.index = queue};
	int ret;

	if (q->kick < 0)
		q->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e.fd = q->kick;
	ret = q->kick < 0 ? -errno : v->kernel->call(v, VDUSE_VQ_SETUP_KICKFD, &e);
	return ret ? sl_fail(-ret, "no kick event for queue %u of %s: %s", queue, v->name,
			     strerror(-ret))
		   : 0;
}

/* @state: NULL for where the driver says that it begins */
static int start(struct vduse *v, uint16_t queue, const struct vduse_vq_info *info,
		 const struct virtq_ring_state *state, bool resume)
{
	struct vduse_queue *q = &v->queues[queue];
	void *areas[3];
	bool net = sl_offer_is_net(v->transport.offer);
	struct virtq_setup setup = {
		.size = (uint16_t)info->num,
		.log = net ? NULL : sl_vduse_log_queue(v, queue),
		.resume = resume,
		.miss = !v->kernel->lazy ? NULL
			: net		 ? miss_later
					 : miss,
		.miss_ctx = v,
		.state = state ? *state : first_state(v, info),
	};
	int ret = find_rings(v, info, areas);

	if (!ret)
		ret = set_kick(v, queue);
	if (ret)
		return ret;
	setup.desc = areas[0];
	setup.driver = areas[1];
	setup.device = areas[2];
	ret = sl_offer_queue_start(v->transport.offer, queue, &setup, q->kick);
	if (ret)
		return ret;
	sl_offer_queue_enable(v->transport.offer, queue, true);
	q->parked = false;
	return 0;
}

int sl_vduse_queues_ran(struct vduse *v)
{
	int ret = 0;

	for (uint16_t i = 0; i < v->info.queues && !ret; i++) {
		struct vduse_vq_info info = {.ready = 0};

		if (sl_vduse_log_runs(v) >> i & 1)
			ret = get_info(v, i, &info);
		if (!ret && info.ready)
			ret = 1;
	}
	return ret;
}

int sl_vduse_queues_start(struct vduse *v, bool resume)
{
	uint64_t runs = 0;

	for (uint16_t i = 0; i < v->info.queues; i++) {
		struct vduse_vq_info info;
		int ret = get_info(v, i, &info);

		if (!ret && !info.ready)
			continue;
		if (!ret)
			ret = sl_vduse_vq_info(&info, v->packed, v->info.queue_size);
		if (!ret)
			ret = start(v, i, &info, NULL, resume);
		/* It may come back: its memory was changing when the process before was killed. */
		if (ret == -EFAULT && resume) {
			v->queues[i].parked = true;
			v->queues[i].state = first_state(v, &info);
			ret = 0;
		}
		if (ret)
			return ret;
		runs |= UINT64_C(1) << i;
	}
	/* No request was taken yet: until here they can be started anew. */
	sl_vduse_log_set_runs(v, runs);
	return 0;
}

int sl_vduse_queues_stop(struct vduse *v)
{
	int ret = 0;

	for (uint16_t i = 0; i < v->info.queues; i++)
		if (sl_offer_queue_stop(v->transport.offer, i, NULL) == -EAGAIN)
			ret = -EAGAIN;
	if (ret)
		return ret;
	for (uint16_t i = 0; i < v->info.queues; i++)
		v->queues[i].parked = v->queues[i].irq = false;
	return 0;
}

int sl_vduse_queues_park(struct vduse *v)
{
	int ret = 0;

	for (uint16_t i = 0; i < v->info.queues; i++) {
		struct vduse_queue *q = &v->queues[i];
		struct sl_offer_queue_stats stats;

		if (!sl_offer_queue_running(v->transport.offer, i))
			continue;
		sl_offer_get_stats(v->transport.offer, i, &stats);
		if (sl_offer_queue_stop(v->transport.offer, i, &q->state))
			ret = -EAGAIN;
		else
			q->parked = !stats.broken; /* which it stays until a reset */
	}
	return ret;
}

int sl_vduse_queues_unpark(struct vduse *v)
{
	for (uint16_t i = 0; i < v->info.queues; i++) {
		struct vduse_queue *q = &v->queues[i];
		struct vduse_vq_info info;
		int ret;

		if (!q->parked)
			continue;
		ret = get_info(v, i, &info);
		if (!ret)
			ret = sl_vduse_vq_info(&info, v->packed, v->info.queue_size);
		if (!ret)
			ret = start(v, i, &info, &q->state, true);
		if (ret && ret != -EFAULT)
			return ret;
	}
	return 0;
}

int sl_vduse_queue_state(struct vduse *v, uint16_t queue, struct vduse_dev_response *to)
{
	struct sl_offer *o = v->transport.offer;
	struct virtq_ring_state state = v->queues[queue].state;
	struct vduse_vq_info info;
	int ret;

	if (sl_offer_queue_running(o, queue)) {
		if (!sl_offer_quiesce(o, true))
			return -EAGAIN;
		state = sl_offer_queue_peek(o, queue);
		sl_offer_quiesce(o, false);
	} else if (!v->queues[queue].parked) {
		ret = get_info(v, queue, &info);
		if (ret)
			return ret;
		state = first_state(v, &info);
	}
	if (v->packed)
		to->vq_state.packed = (struct vduse_vq_state_packed){state.avail_wrap, state.avail,
								     state.used_wrap, state.used};
	else
		to->vq_state.split.avail_index = state.avail;
	return 0;
}

/* The kernel takes none before it has our answer to DRIVER_OK, which it may be reading just now.
 * Return: true when it has to be tried again */
static bool inject(struct vduse *v, uint16_t queue)
{
	uint32_t index = queue;
	int ret = v->kernel->call(v, VDUSE_VQ_INJECT_IRQ, &index);

	v->queues[queue].irq = ret == -EINVAL || ret == -EAGAIN;
	return v->queues[queue].irq;
}

bool sl_vduse_queue_interrupt(struct transport *t, uint16_t queue)
{
	struct vduse *v = sl_vduse_of(t);

	/* A NIC's queues are not the worker's, who tries again. */
	if (inject(v, queue) && sl_offer_is_net(t->offer))
		sl_worker_wake(sl_offer_worker(t->offer));
	return true;
}

bool sl_vduse_queues_irq(struct vduse *v)
{
	bool left = false;

	for (uint16_t i = 0; i < v->info.queues; i++) {
		left |= v->queues[i].irq && inject(v, i);
	}
	return left;
}
