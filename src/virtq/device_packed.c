/* SPDX-License-Identifier: BSD-2-Clause */
/* The device's side of a packed virtqueue: virtio 1.2, 2.8. */
#include "base/reason.h"
#include "virtq/device_private.h"
#include "virtq/packed.h"
#include "virtq/shared.h"

/* Ring entries between where a device uses and where it takes. */
static int distance(const struct virtq_ring_state *at, uint16_t size)
{
	int n = at->avail - at->used + (at->avail_wrap != at->used_wrap ? size : 0);

	return at->avail >= size || at->used >= size || n < 0 || n > size ? -1 : n;
}

static int check_state(const struct virtq_setup *setup)
{
	int n = distance(&setup->state, setup->size);

	if (n < 0)
		return sl_fail(EINVAL, "a packed virtqueue of %u cannot stand at %u, %u",
			       setup->size, setup->state.avail, setup->state.used);
	if (n)
		return sl_fail(EINVAL,
			       "%d entries of a packed virtqueue are in flight and no log "
			       "says what they were",
			       n);
	return 0;
}

/*
 * A process before may have been killed in the midst of a batch: used descriptors behind the first,
 * which would have shown them, are there already. Who overtakes them must not find them.
 */
static int hide_used(struct virtq_device *vq)
{
	struct virtq_packed_desc *ring = vq->setup.desc;
	uint16_t at = vq->at.used, flags;
	bool wrap = vq->at.used_wrap;

	for (unsigned n = 0; n < vq->held; n++) {
		if (sl_shared_copy(&flags, &ring[at].flags, sizeof(flags)))
			return -EFAULT;
		if (sl_virtq_packed_is(flags, true, wrap)) {
			flags = sl_virtq_packed_flags(false, wrap);
			if (sl_shared_copy(&ring[at].flags, &flags, sizeof(flags)))
				return -EFAULT;
		}
		sl_virtq_packed_advance(&at, &wrap, 1, vq->setup.size);
	}
	return 0;
}

static int take_again(struct virtq_device *vq)
{
	for (uint16_t n = 0; n < vq->n_again; n++) {
		const struct virtq_inflight_own *own = &vq->log.own[vq->again[n]];

		if (vq->slots[own->id].state != SLOT_FREE)
			return sl_fail(EINVAL, "an in-flight log has buffer %u twice", own->id);
		sl_virtq_device_take(vq, own->id, own->num, vq->again[n]);
		vq->held = (uint16_t)(vq->held + own->num);
	}
	vq->at.avail = vq->at.used;
	vq->at.avail_wrap = vq->at.used_wrap;
	sl_virtq_packed_advance(&vq->at.avail, &vq->at.avail_wrap, vq->held, vq->setup.size);
	return hide_used(vq) ? sl_fail(EFAULT, "a virtqueue's memory is not there") : 0;
}

int sl_virtq_packed_begin(struct virtq_device *vq)
{
	const struct virtq_setup *setup = &vq->setup;
	const struct virtq_packed_desc *ring = setup->desc;
	struct virtq_packed_event event;
	struct virtq_packed_desc last;
	int n;

	if (sl_shared_copy(&last, &ring[setup->size - 1], sizeof(last)) ||
	    sl_shared_copy(&event, setup->driver, sizeof(event)) ||
	    sl_shared_copy(&event, setup->device, sizeof(event)))
		return sl_fail(EFAULT, "a virtqueue's memory is not there");
	vq->at = setup->state;
	if (setup->log) {
		n = sl_virtq_inflight_packed_open(&vq->log, setup, &vq->at, vq->again);
		if (n < 0)
			return n;
		vq->n_again = (uint16_t)n;
	}
	return vq->log.resumed ? take_again(vq) : check_state(setup);
}

/* Is there a descriptor to take? -EAGAIN when not */
static int look(struct virtq_device *vq)
{
	const struct virtq_packed_desc *ring = vq->setup.desc;
	uint16_t flags;

	if (vq->held == vq->setup.size)
		return -EAGAIN;
	/* 2.8.21.1: the driver writes the flags of a chain's first descriptor after a barrier, and
	 * after all else; here they are read before one, and before all else. */
	if (sl_shared_acquire(&flags, &ring[vq->at.avail].flags))
		return sl_virtq_device_gone(vq);
	return sl_virtq_packed_is(flags, false, vq->at.avail_wrap) ? 0 : -EAGAIN;
}

/* Descriptors from @at on; the id is that of the last (2.8.6). */
static int walk(struct virtq_device *vq, struct virtq_chain *chain, struct virtq_ring_state *at)
{
	const struct virtq_packed_desc *ring = vq->setup.desc;
	struct virtq_packed_desc desc;
	int more = 1;

	for (chain->descs = 0; more > 0; chain->descs++) {
		if (vq->held + chain->descs == vq->setup.size)
			return sl_virtq_device_break(vq, "a chain is longer than what is free");
		if (sl_shared_copy(&desc, &ring[at->avail], sizeof(desc)))
			return sl_virtq_device_gone(vq);
		if (vq->log.at)
			sl_virtq_inflight_packed_add(&vq->log, chain->descs, &desc);
		more = sl_virtq_device_add(vq, chain, desc.addr, desc.len, desc.flags);
		sl_virtq_packed_advance(&at->avail, &at->avail_wrap, 1, vq->setup.size);
	}
	chain->id = desc.id;
	return more;
}

int sl_virtq_packed_get(struct virtq_device *vq, struct virtq_chain *chain)
{
	struct virtq_ring_state at = vq->at;
	uint16_t entry = 0;
	int err = look(vq);

	if (!err)
		err = walk(vq, chain, &at);
	if (err)
		return err;
	if (chain->id >= vq->setup.size)
		return sl_virtq_device_break(vq,
					     "a buffer's id is not below the size of the queue");
	if (vq->slots[chain->id].state != SLOT_FREE)
		return sl_virtq_device_break(vq, "a buffer's id is that of another");
	if (vq->log.at && sl_virtq_inflight_packed_take(&vq->log, chain, &entry))
		return sl_virtq_device_gone(vq);
	vq->at = at;
	vq->held = (uint16_t)(vq->held + chain->descs);
	sl_virtq_device_take(vq, chain->id, chain->descs, entry);
	return 0;
}

/* From the log: the ring's descriptors may have been written over. */
int sl_virtq_packed_again(struct virtq_device *vq, struct virtq_chain *chain, uint16_t entry)
{
	const struct virtq_inflight_own *own = vq->log.own;
	struct virtq_packed_desc desc;
	uint16_t num = own[entry].num;
	int more = 1;

	chain->id = own[entry].id;
	chain->descs = num;
	for (uint16_t n = 0; n < num && more > 0; n++, entry = own[entry].next) {
		if (sl_virtq_inflight_packed_desc(&vq->log, entry, &desc))
			return sl_virtq_device_gone(vq);
		more = sl_virtq_device_add(vq, chain, desc.addr, desc.len, desc.flags);
	}
	return more > 0 ? sl_virtq_device_break(vq, "a chain in the in-flight log has no end")
			: more;
}

int sl_virtq_packed_use(struct virtq_device *vq, uint16_t id, uint32_t len)
{
	struct virtq_packed_desc *ring = vq->setup.desc;
	uint16_t at = vq->at.used, descs = vq->slots[id].descs;
	const struct device_used used = {
		.len = len,
		.id = id,
		/* 2.8.1: both bits are as the device's wrap counter; 2.8.4: whether anything was
		 * written */
		.flags = (uint16_t)(sl_virtq_packed_flags(true, vq->at.used_wrap) |
				    (len ? VIRTQ_DESC_F_WRITE : 0)),
	};

	sl_virtq_packed_advance(&vq->at.used, &vq->at.used_wrap, descs, vq->setup.size);
	vq->batch_descs = (uint16_t)(vq->batch_descs + descs);
	if (vq->n_batch == 1) {
		vq->first = used;
		vq->first_at = at;
		return 0;
	}
	return sl_shared_copy(&ring[at].len, &used, sizeof(used)) ? sl_virtq_device_gone(vq) : 0;
}

static void log_batch(struct virtq_device *vq, void (*step)(struct virtq_inflight *, uint16_t))
{
	uint16_t id = vq->batch_first;

	for (uint16_t n = 0; n < vq->n_batch; n++, id = vq->slots[id].batch)
		step(&vq->log, vq->slots[id].entry);
}

static int wants_interrupt(struct virtq_device *vq)
{
	struct virtq_packed_event event;

	/* 2.8.10, 2.8.22: used descriptors first, then what the driver wants, as it does the
	 * opposite. */
	sl_fence_seq_cst();
	if (sl_shared_copy(&event, vq->setup.driver, sizeof(event)))
		return sl_virtq_device_gone(vq);
	return sl_virtq_packed_need_event(event, vq->at.used, vq->at.used_wrap, vq->batch_descs,
					  vq->setup.size);
}

int sl_virtq_packed_publish(struct virtq_device *vq)
{
	struct virtq_packed_desc *ring = vq->setup.desc;

	if (vq->log.at) {
		log_batch(vq, sl_virtq_inflight_packed_link);
		sl_virtq_inflight_packed_ready(&vq->log, &vq->at);
	}
	/* All of the others are there: the driver stops at the first that is not used. */
	if (vq->log.gone ||
	    sl_shared_release(&ring[vq->first_at].len, &vq->first, sizeof(vq->first)))
		return sl_virtq_device_gone(vq);
	if (vq->log.at) {
		log_batch(vq, sl_virtq_inflight_packed_clear);
		sl_virtq_inflight_packed_done(&vq->log);
	}
	if (vq->log.gone)
		return sl_virtq_device_gone(vq);
	vq->held = (uint16_t)(vq->held - vq->batch_descs);
	return wants_interrupt(vq);
}

/* Never all zeroes, as a ring is that no device has seen: offer/net_log.c. (2.8.14: without
 * VIRTQ_EVENT_F_DESC there is no offset.) */
static int ask(struct virtq_device *vq, uint16_t flags)
{
	bool wrap = vq->at.avail_wrap || flags != VIRTQ_EVENT_F_DESC;
	const struct virtq_packed_event event = {
		.off_wrap = (uint16_t)(vq->at.avail | (wrap ? VIRTQ_EVENT_WRAP : 0)),
		.flags = flags,
	};

	return sl_shared_copy(vq->setup.device, &event, sizeof(event)) ? sl_virtq_device_gone(vq)
								       : 0;
}

int sl_virtq_packed_arm(struct virtq_device *vq)
{
	int ret = ask(vq, vq->setup.event_idx ? VIRTQ_EVENT_F_DESC : VIRTQ_EVENT_F_ENABLE);

	if (ret)
		return ret;
	/* The driver makes descriptors available, then reads what was stored here (2.8.21.3.1). */
	sl_fence_seq_cst();
	ret = look(vq);
	return ret == -EAGAIN ? 0 : ret < 0 ? ret : 1;
}

void sl_virtq_packed_disarm(struct virtq_device *vq)
{
	ask(vq, VIRTQ_EVENT_F_DISABLE);
}
