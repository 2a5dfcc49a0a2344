/* SPDX-License-Identifier: BSD-2-Clause */
/* The device that a daemon is. */
#include <string.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/reason.h"
#include "virtio/uduse_private.h"

static struct uduse *uduse_of(struct virtio *v)
{
	return sl_container_of(v, struct uduse, virtio);
}

static int get_status(struct virtio *v)
{
	struct uduse *u = uduse_of(v);

	return u->broken ? sl_fail(ENODEV, "%s", u->why) : u->status;
}

/* What a daemon does not accept is not set. A reset happens whatever it says, and where there is no
 * daemon there is nobody to wait for. */
static void set_status(struct virtio *v, uint8_t status)
{
	struct uduse *u = uduse_of(v);
	int ret = 0;

	if (status || u->opened)
		ret = sl_uduse_ask(u, &(struct vduse_dev_request){.type = VDUSE_SET_STATUS,
								  .s.status = status});
	if (!status)
		sl_uduse_reset(u);
	else if (!ret)
		u->status = status;
}

static uint64_t get_features(struct virtio *v)
{
	return uduse_of(v)->features;
}

static void set_features(struct virtio *v, uint64_t features)
{
	uduse_of(v)->accepted = features;
}

static uint32_t generation(struct virtio *v)
{
	return uduse_of(v)->generation;
}

static int get_config(struct virtio *v, size_t offset, void *to, size_t len)
{
	struct uduse *u = uduse_of(v);

	if (offset > u->config_len || len > u->config_len - offset)
		return sl_fail(EINVAL, "%zu bytes at %zu of a configuration that has %u", len,
			       offset, u->config_len);
	memcpy(to, u->space + offset, len);
	return 0;
}

static uint16_t queue_size(struct virtio *v, uint16_t queue)
{
	struct uduse *u = uduse_of(v);

	return queue < u->n_queues ? u->queues[queue].most : 0;
}

static int queue_enable(struct virtio *v, uint16_t queue, const struct virtio_queue *setup)
{
	struct uduse *u = uduse_of(v);
	uint16_t most = queue_size(v, queue);

	if (!setup->size || setup->size > most)
		return sl_fail(EINVAL, "queue %u of the device has up to %u entries: %u are wanted",
			       queue, most, setup->size);
	u->queues[queue].setup = *setup;
	u->queues[queue].ready = true;
	return 0;
}

static void notify(struct virtio *v, uint16_t queue)
{
	struct uduse *u = uduse_of(v);
	struct uduse_queue *q = &u->queues[queue];

	/* Where there is none, the next that is set up is signalled. */
	if (q->ready && q->kick >= 0)
		sl_notify(&u->notify, q->kick);
}

const struct virtio_ops sl_uduse_ops = {
	.get_status = get_status,
	.set_status = set_status,
	.get_features = get_features,
	.set_features = set_features,
	.generation = generation,
	.get_config = get_config,
	.queue_size = queue_size,
	.queue_enable = queue_enable,
	.notify = notify,
	.map = sl_uduse_map,
	.unmap = sl_uduse_unmap,
};

void sl_uduse_reset(struct uduse *u)
{
	u->status = 0;
	u->accepted = 0;
	for (unsigned i = 0; i < UDUSE_QUEUES_MAX; i++) {
		u->queues[i].ready = false;
		sl_fd_close(&u->queues[i].kick);
	}
	for (unsigned i = 0; i < sl_array_len(u->pools); i++)
		sl_bounce_clear(&u->pools[i]);
}

int sl_uduse_vq_state(struct uduse *u, uint16_t queue, struct virtq_ring_state *state)
{
	struct vduse_dev_request request = {.type = VDUSE_GET_VQ_STATE, .vq_state.index = queue};
	const struct vduse_vq_state *is = &u->response.vq_state;
	const struct vduse_vq_state_packed *p = &is->packed;
	bool packed = sl_virtio_has(&u->virtio, VIRTIO_F_RING_PACKED);
	struct vduse_vq_info info;
	int ret;

	if (queue >= UDUSE_QUEUES_MAX || !u->queues[queue].ready)
		return sl_fail(EINVAL, "queue %u is not enabled", queue);
	ret = sl_uduse_ask(u, &request);
	if (ret)
		return ret;
	info = (struct vduse_vq_info){
		.index = is->index, .num = u->queues[queue].setup.size, .packed = *p};
	if (is->index != queue)
		return sl_fail(EPROTO, "the daemon tells the state of queue %u, not of queue %u",
			       is->index, queue);
	ret = sl_vduse_vq_info(&info, packed, info.num);
	if (ret)
		return ret;
	*state = (struct virtq_ring_state){.avail = is->split.avail_index};
	if (packed)
		*state = (struct virtq_ring_state){p->last_avail_idx, p->last_used_idx,
						   p->last_avail_counter, p->last_used_counter};
	return 0;
}
