/* SPDX-License-Identifier: BSD-2-Clause */
/* The device's side of a virtqueue: what split and packed have in common. */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "virtq/device_private.h"
#include "virtq/packed.h"

size_t sl_virtq_area_len(enum virtq_area area, uint16_t size, bool packed)
{
	if (area == VIRTQ_AREA_DESC)
		return sizeof(struct virtq_desc) * size;
	if (packed)
		return sizeof(struct virtq_packed_event);
	if (area == VIRTQ_AREA_DRIVER)
		return sizeof(struct virtq_avail) + sizeof(uint16_t) * (size + 1u);
	return sizeof(struct virtq_used) + sizeof(struct virtq_used_elem) * size + sizeof(uint16_t);
}

static bool aligned(const void *at, size_t to)
{
	return at && !((uintptr_t)at & (to - 1));
}

static int check_setup(const struct virtq_setup *setup)
{
	if (!setup->size || setup->size > VIRTQ_SIZE_MAX)
		return sl_fail(EINVAL, "a virtqueue of %u: 1 to %d can be", setup->size,
			       VIRTQ_SIZE_MAX);
	if (!setup->packed && setup->size & (setup->size - 1))
		return sl_fail(EINVAL, "a split virtqueue of %u: it has to be a power of two",
			       setup->size);
	/* 2.7.2, 2.8.10.1 */
	if (!aligned(setup->desc, 16) || !aligned(setup->driver, setup->packed ? 4 : 2) ||
	    !aligned(setup->device, 4))
		return sl_fail(EINVAL, "a virtqueue at %p, %p, %p: that is not aligned",
			       setup->desc, setup->driver, setup->device);
	if (setup->log && !aligned(setup->log, 8))
		return sl_fail(EINVAL, "an in-flight log at %p: that is not aligned", setup->log);
	return 0;
}

int sl_virtq_device_open(const struct virtq_setup *setup, struct virtq_device **out)
{
	struct virtq_device *vq;
	int err = check_setup(setup);

	if (err)
		return err;
	vq = calloc(1, sizeof(*vq) + setup->size * sizeof(*vq->slots));
	if (!vq)
		return sl_fail(ENOMEM, "no memory for a virtqueue");
	vq->setup = *setup;
	vq->again = calloc(setup->size, sizeof(*vq->again));
	err = !vq->again ? sl_fail(ENOMEM, "no memory for a virtqueue")
			 : (setup->packed ? sl_virtq_packed_begin : sl_virtq_split_begin)(vq);
	if (err)
		sl_virtq_device_close(vq);
	else
		*out = vq;
	return err;
}

void sl_virtq_device_close(struct virtq_device *vq)
{
	if (!vq)
		return;
	sl_virtq_inflight_close(&vq->log);
	free(vq->again);
	free(vq);
}

int sl_virtq_device_break(struct virtq_device *vq, const char *what)
{
	if (!vq->broken)
		vq->broken = what;
	return -EPROTO;
}

int sl_virtq_device_gone(struct virtq_device *vq)
{
	return sl_virtq_device_break(vq, "memory of the queue was taken away");
}

void sl_virtq_device_take(struct virtq_device *vq, uint16_t id, uint16_t descs, uint16_t entry)
{
	struct device_slot *slot = &vq->slots[id];

	slot->state = SLOT_TAKEN;
	slot->descs = descs;
	slot->entry = entry;
	vq->in_flight++;
	if (!vq->setup.in_order)
		return;
	if (vq->n_order++)
		vq->slots[vq->order_last].order = id;
	else
		vq->order_first = id;
	vq->order_last = id;
}

int sl_virtq_device_get(struct virtq_device *vq, struct virtq_chain *chain)
{
	uint16_t again;

	chain->n_read = chain->n_write = 0;
	chain->read_len = chain->write_len = 0;
	if (vq->broken)
		return -EPROTO;
	if (vq->next_again == vq->n_again)
		return vq->setup.packed ? sl_virtq_packed_get(vq, chain)
					: sl_virtq_split_get(vq, chain);
	again = vq->again[vq->next_again++];
	return vq->setup.packed ? sl_virtq_packed_again(vq, chain, again)
				: sl_virtq_split_again(vq, chain, again);
}

static int use(struct virtq_device *vq, uint16_t id)
{
	uint32_t len = vq->slots[id].len;

	if (vq->n_batch++)
		vq->slots[vq->batch_last].batch = id;
	else
		vq->batch_first = id;
	vq->batch_last = id;
	return vq->setup.packed ? sl_virtq_packed_use(vq, id, len)
				: sl_virtq_split_use(vq, id, len);
}

/* 2.7.9, 2.8.18: "the device uses buffers in the same order in which they have been available" */
static int use_in_order(struct virtq_device *vq)
{
	int err = 0;

	while (!err && vq->n_order && vq->slots[vq->order_first].state == SLOT_PUT) {
		uint16_t id = vq->order_first;

		vq->order_first = vq->slots[id].order;
		vq->n_order--;
		err = use(vq, id);
	}
	return err;
}

int sl_virtq_device_put(struct virtq_device *vq, uint16_t id, uint32_t len)
{
	if (id >= vq->setup.size || vq->slots[id].state != SLOT_TAKEN)
		return sl_virtq_device_break(vq, "a buffer is given back that was not taken");
	vq->slots[id].state = SLOT_PUT;
	vq->slots[id].len = len;
	vq->in_flight--;
	if (vq->broken)
		return -EPROTO;
	return vq->setup.in_order ? use_in_order(vq) : use(vq, id);
}

static void free_batch(struct virtq_device *vq)
{
	uint16_t id = vq->batch_first;

	for (uint16_t n = vq->in_burst ? 0 : vq->n_batch; n; n--) {
		vq->slots[id].state = SLOT_FREE;
		id = vq->slots[id].batch;
	}
	vq->n_batch = vq->batch_descs = 0;
}

int sl_virtq_device_publish(struct virtq_device *vq)
{
	int ret;

	if (vq->broken)
		return -EPROTO;
	if (!vq->n_batch)
		return 0;
	ret = vq->setup.packed ? sl_virtq_packed_publish(vq) : sl_virtq_split_publish(vq);
	free_batch(vq);
	return ret;
}

int sl_virtq_device_arm(struct virtq_device *vq)
{
	int ret;

	if (vq->broken)
		return -EPROTO;
	ret = vq->setup.packed ? sl_virtq_packed_arm(vq) : sl_virtq_split_arm(vq);
	vq->quiet = false;
	return ret < 0 ? ret : ret || vq->next_again < vq->n_again;
}

void sl_virtq_device_disarm(struct virtq_device *vq)
{
	if (vq->broken || vq->quiet)
		return;
	vq->quiet = true;
	if (vq->setup.packed)
		sl_virtq_packed_disarm(vq);
	else
		sl_virtq_split_disarm(vq);
}

struct virtq_ring_state sl_virtq_device_state(const struct virtq_device *vq)
{
	return vq->at;
}

unsigned sl_virtq_device_in_flight(const struct virtq_device *vq)
{
	return vq->in_flight;
}

const char *sl_virtq_device_broken(const struct virtq_device *vq)
{
	return vq->broken;
}
