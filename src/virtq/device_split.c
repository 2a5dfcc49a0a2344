/* SPDX-License-Identifier: BSD-2-Clause */
/* The device's side of a split virtqueue: virtio 1.2, 2.7. */
#include "base/reason.h"
#include "virtq/device_private.h"
#include "virtq/shared.h"
#include "virtq/split.h"

int sl_virtq_split_begin(struct virtq_device *vq)
{
	const struct virtq_setup *setup = &vq->setup;
	const struct virtq_avail *avail = setup->driver;
	const struct virtq_used *used = setup->device;
	struct virtq_desc last;
	int n;

	if (sl_shared_copy(&last, (const struct virtq_desc *)setup->desc + setup->size - 1,
			   sizeof(last)) ||
	    sl_shared_acquire(&vq->seen, &avail->idx) ||
	    sl_shared_acquire(&vq->at.used, &used->idx))
		return sl_fail(EFAULT, "a virtqueue's memory is not there");
	vq->at.avail = setup->state.avail;
	vq->at.avail_wrap = vq->at.used_wrap = true;
	if (setup->log) {
		n = sl_virtq_inflight_split_open(&vq->log, setup, vq->at.used, vq->again);
		if (n < 0)
			return n;
		vq->n_again = (uint16_t)n;
	}
	for (n = 0; n < vq->n_again; n++)
		sl_virtq_device_take(vq, vq->again[n], 0, 0);
	/* What was taken and not used is what lies between the two indices. */
	if (vq->log.resumed)
		vq->at.avail = (uint16_t)(vq->at.used + vq->n_again);
	vq->seen = vq->at.avail;
	return 0;
}

int sl_virtq_split_again(struct virtq_device *vq, struct virtq_chain *chain, uint16_t head)
{
	const struct virtq_desc *table = vq->setup.desc;
	struct virtq_desc desc;
	uint16_t at = head;

	chain->id = head;
	chain->descs = 0;
	while (chain->descs++ < vq->setup.size) {
		int more;

		if (sl_shared_copy(&desc, &table[at], sizeof(desc)))
			return sl_virtq_device_gone(vq);
		more = sl_virtq_device_add(vq, chain, desc.addr, desc.len, desc.flags);
		if (more <= 0)
			return more;
		at = desc.next;
		if (at >= vq->setup.size)
			return sl_virtq_device_break(vq, "a chain leaves the descriptor table");
	}
	return sl_virtq_device_break(vq, "a chain is longer than the queue");
}

int sl_virtq_split_look(struct virtq_device *vq)
{
	const struct virtq_avail *avail = vq->setup.driver;
	uint16_t idx;

	/* 2.7.13.3.1: the driver updates idx after a barrier; here it is read before one. */
	if (sl_shared_acquire(&idx, &avail->idx))
		return sl_virtq_device_gone(vq);
	if ((uint16_t)(idx - vq->at.avail) + vq->in_flight + vq->n_batch > vq->setup.size)
		return sl_virtq_device_break(vq, "avail idx is ahead by more than the queue");
	vq->seen = idx;
	return idx == vq->at.avail ? -EAGAIN : 0;
}

int sl_virtq_split_get(struct virtq_device *vq, struct virtq_chain *chain)
{
	const struct virtq_avail *avail = vq->setup.driver;
	int err = vq->seen != vq->at.avail ? 0 : sl_virtq_split_look(vq);
	uint16_t head;

	if (err)
		return err;
	if (sl_shared_copy(&head, &avail->ring[vq->at.avail & (vq->setup.size - 1)], sizeof(head)))
		return sl_virtq_device_gone(vq);
	if (head >= vq->setup.size)
		return sl_virtq_device_break(vq, "the avail ring names no descriptor");
	if (vq->slots[head].state != SLOT_FREE)
		return sl_virtq_device_break(vq, "the avail ring names a buffer twice");
	err = sl_virtq_split_again(vq, chain, head);
	if (err)
		return err;
	if (vq->log.at && sl_virtq_inflight_split_take(&vq->log, head))
		return sl_virtq_device_gone(vq);
	vq->at.avail++;
	sl_virtq_device_take(vq, head, chain->descs, 0);
	return 0;
}

int sl_virtq_split_use(struct virtq_device *vq, uint16_t id, uint32_t len)
{
	struct virtq_used *used = vq->setup.device;
	struct virtq_used_elem *to = &used->ring[vq->at.used++ & (vq->setup.size - 1)];
	/* The used ring is aligned to 4 alone. */
	const struct virtq_used_elem elem = {id, len};

	return sl_shared_copy(to, &elem, sizeof(elem)) ? sl_virtq_device_gone(vq) : 0;
}

static int wants_interrupt(struct virtq_device *vq, uint16_t old)
{
	struct virtq_avail *avail = vq->setup.driver;
	uint16_t value;

	/* 2.7.7.2, 2.7.8.2: used idx first, then what the driver wants: it does the opposite, so
	 * that one of the two sees what the other stored. */
	sl_fence_seq_cst();
	if (sl_shared_copy(&value,
			   vq->setup.event_idx ? sl_virtq_used_event(avail, vq->setup.size)
					       : &avail->flags,
			   sizeof(value)))
		return sl_virtq_device_gone(vq);
	if (vq->setup.event_idx)
		return sl_virtq_need_event(value, vq->at.used, old);
	return !(value & VIRTQ_AVAIL_F_NO_INTERRUPT);
}

static void log_batch(struct virtq_device *vq, void (*step)(struct virtq_inflight *, uint16_t))
{
	uint16_t id = vq->batch_first;

	for (uint16_t n = 0; n < vq->n_batch; n++, id = vq->slots[id].batch)
		step(&vq->log, id);
}

static int log_used(struct virtq_device *vq)
{
	log_batch(vq, sl_virtq_inflight_split_clear);
	return sl_virtq_inflight_split_done(&vq->log, vq->at.used);
}

static int log_ready(struct virtq_device *vq)
{
	log_batch(vq, sl_virtq_inflight_split_link);
	return sl_virtq_inflight_split_ready(&vq->log);
}

int sl_virtq_split_publish(struct virtq_device *vq)
{
	struct virtq_used *used = vq->setup.device;
	uint16_t old = (uint16_t)(vq->at.used - vq->n_batch);

	if (vq->log.at && log_ready(vq))
		return sl_virtq_device_gone(vq);
	/* 2.7.8.2: "The device MUST set len prior to updating the used idx." */
	if (sl_shared_release(&used->idx, &vq->at.used, sizeof(used->idx)))
		return sl_virtq_device_gone(vq);
	if (vq->log.at && log_used(vq))
		return sl_virtq_device_gone(vq);
	return wants_interrupt(vq, old);
}

int sl_virtq_split_arm(struct virtq_device *vq)
{
	struct virtq_used *used = vq->setup.device;
	const uint16_t zero = 0;
	int ret = vq->setup.event_idx ? sl_shared_copy(sl_virtq_avail_event(used, vq->setup.size),
						       &vq->at.avail, sizeof(vq->at.avail))
				      : sl_shared_copy(&used->flags, &zero, sizeof(zero));

	if (ret)
		return sl_virtq_device_gone(vq);
	/* The driver stores avail idx, then reads what was stored here (2.7.13.4.1). */
	sl_fence_seq_cst();
	ret = sl_virtq_split_look(vq);
	return ret == -EAGAIN ? 0 : ret < 0 ? ret : 1;
}

void sl_virtq_split_disarm(struct virtq_device *vq)
{
	struct virtq_used *used = vq->setup.device;
	const uint16_t flags = VIRTQ_USED_F_NO_NOTIFY;

	/* With VIRTIO_F_EVENT_IDX flags are 0 (2.7.10.2): avail_event, passed once, is as good. */
	if (!vq->setup.event_idx && sl_shared_copy(&used->flags, &flags, sizeof(flags)))
		sl_virtq_device_gone(vq);
}
