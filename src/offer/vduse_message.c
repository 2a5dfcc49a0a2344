/* SPDX-License-Identifier: BSD-2-Clause */
/* Control requests: one at a time, each answered when what it asks for is done. */
#include <string.h>

#include <linux/virtio_config.h>

#include "base/log.h"
#include "base/reason.h"
#include "offer/vduse.h"

/* Addresses in rings are the IOTLB's, and everything is little-endian. */
#define FEATURES_NEEDED (VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM) | VIRTIO_BIT(VIRTIO_F_VERSION_1))

int sl_vduse_features(struct vduse *v)
{
	uint64_t features;
	int ret = v->kernel->call(v, VDUSE_DEV_GET_FEATURES, &features);

	if (ret)
		return sl_fail(-ret, "the driver's features of %s: %s", v->name, strerror(-ret));
	if (features & ~v->features || ~features & FEATURES_NEEDED)
		return sl_fail(EPROTO, "the driver of %s wants features 0x%llx, of 0x%llx", v->name,
			       (unsigned long long)features, (unsigned long long)v->features);
	v->packed = features & VIRTIO_BIT(VIRTIO_F_RING_PACKED);
	return sl_offer_start(v->transport.offer, features);
}

/* Nothing of the driver's is touched after this is answered. */
static int reset(struct vduse *v)
{
	int ret = sl_vduse_queues_stop(v);

	if (ret)
		return ret;
	sl_vduse_log_set_runs(v, 0);
	sl_vduse_memory_clear(v);
	v->looked = false;
	v->status = 0;
	sl_offer_set_state(v->transport.offer, SL_OFFER_WAITING);
	return 0;
}

static int run(struct vduse *v)
{
	int ret = sl_vduse_memory_sync(v);

	if (!ret)
		ret = sl_vduse_queues_start(v, false);
	if (ret)
		sl_vduse_queues_stop(v);
	else
		sl_offer_set_state(v->transport.offer, SL_OFFER_RUNNING);
	return ret;
}

/* virtio 1.2, 2.1 */
static int set_status(struct vduse *v, uint8_t status)
{
	uint8_t news = status & (uint8_t)~v->status;
	int ret = 0;

	if (!status)
		return reset(v);
	sl_offer_set_state(v->transport.offer, v->status & VIRTIO_CONFIG_S_DRIVER_OK
						       ? SL_OFFER_RUNNING
						       : SL_OFFER_SET_UP);
	/* A process before may have answered FEATURES_OK. */
	if (news & VIRTIO_CONFIG_S_FEATURES_OK)
		ret = sl_vduse_features(v);
	if (!ret && news & VIRTIO_CONFIG_S_DRIVER_OK)
		ret = run(v);
	if (!ret)
		v->status = status;
	return ret;
}

static int update(struct vduse *v)
{
	int ret;

	if (!(v->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return 0;
	ret = sl_vduse_queues_park(v);
	if (!ret)
		ret = sl_vduse_memory_sync(v);
	if (!ret)
		ret = sl_vduse_queues_unpark(v);
	return ret;
}

/* Return: 0 when it is done; -EAGAIN: go on at the next step; else it was refused. */
static int act(struct vduse *v, struct vduse_dev_response *response)
{
	const struct vduse_dev_request *r = &v->request;

	switch (r->type) {
	case VDUSE_GET_VQ_STATE:
		return sl_vduse_queue_state(v, (uint16_t)r->vq_state.index, response);
	case VDUSE_SET_STATUS:
		return set_status(v, r->s.status);
	default:
		return update(v);
	}
}

static int respond(struct vduse *v, const struct vduse_dev_response *response)
{
	int ret = v->kernel->respond(v, response);

	return ret ? sl_fail(-ret, "%s cannot be answered: %s", v->name, strerror(-ret)) : 1;
}

static int answer(struct vduse *v)
{
	struct vduse_dev_response response;
	int ret;

	sl_vduse_response(&v->request, VDUSE_REQ_RESULT_OK, &response);
	ret = act(v, &response);
	if (ret == -EAGAIN)
		return 0;
	if (ret) {
		sl_log(sl_offer_log(v->transport.offer), SL_LOG_WARN, "refused: %s", sl_reason());
		response.result = VDUSE_REQ_RESULT_FAILED;
	}
	v->asked = false;
	return respond(v, &response);
}

int sl_vduse_message(struct vduse *v)
{
	uint8_t bytes[VDUSE_REQUEST_LEN];
	int len;

	if (v->asked)
		return answer(v);
	len = v->kernel->read(v, bytes);
	if (len == -EAGAIN)
		v->watch.ready = 0;
	if (len < 0)
		return len == -EAGAIN || len == -EINTR
			       ? 0
			       : sl_fail(-len, "no more requests from %s: %s", v->name,
					 strerror(-len));
	if (sl_vduse_request(bytes, (size_t)len, v->info.queues, &v->request)) {
		struct vduse_dev_response refused;

		sl_log(sl_offer_log(v->transport.offer), SL_LOG_WARN, "refused: %s", sl_reason());
		sl_vduse_response(&v->request, VDUSE_REQ_RESULT_FAILED, &refused);
		return respond(v, &refused);
	}
	v->asked = true;
	return answer(v);
}
