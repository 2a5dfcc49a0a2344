/* SPDX-License-Identifier: BSD-2-Clause */
/* Bringing a device up and down: virtio 1.2, chapters 2 and 3. */
#include <time.h>

#include "base/clock.h"
#include "base/reason.h"
#include "virtio/virtio.h"

#define RESET_NS     SL_NS_PER_S
#define RESET_STEP   (100 * SL_NS_PER_US)
#define CONFIG_TRIES 16

int sl_virtio_reset(struct virtio *v)
{
	const struct timespec step = {0, RESET_STEP};
	uint64_t until = sl_now_ns() + RESET_NS;
	int status;

	v->ops->set_status(v, 0);
	/* 2.4.2: "The driver SHOULD consider a driver-initiated reset complete when it reads device
	 * status as 0." */
	while ((status = v->ops->get_status(v)) > 0) {
		if (sl_now_ns() > until)
			return sl_fail(ETIMEDOUT, "the device does not reset: its status is 0x%02x",
				       (unsigned)status);
		nanosleep(&step, NULL);
	}
	return status;
}

/* 2.1.1: "The driver MUST NOT clear a device status bit." */
static int add_status(struct virtio *v, uint8_t bit)
{
	int status = v->ops->get_status(v);

	if (status < 0)
		return status;
	v->ops->set_status(v, (uint8_t)(status | bit));
	return 0;
}

static int negotiate(struct virtio *v, uint64_t wanted, uint64_t (*narrow)(uint64_t features))
{
	uint64_t offered = v->ops->get_features(v);
	int ret, status = v->ops->get_status(v);

	if (status < 0)
		return status;
	if (!(offered & VIRTIO_BIT(VIRTIO_F_VERSION_1)))
		return sl_fail(EOPNOTSUPP, "the device is older than virtio 1.0: it does not offer "
					   "VIRTIO_F_VERSION_1");
	wanted |= VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM);
	v->features = offered & wanted;
	if (narrow)
		v->features = narrow(v->features);
	v->ops->set_features(v, v->features);
	ret = add_status(v, VIRTIO_CONFIG_S_FEATURES_OK);
	if (ret)
		return ret;
	/* 3.1.1, step 6: "Re-read device status to ensure the FEATURES_OK bit is still set:
	 * otherwise, the device does not support our subset of features." */
	status = v->ops->get_status(v);
	if (status < 0)
		return status;
	if (!(status & VIRTIO_CONFIG_S_FEATURES_OK))
		return sl_fail(EOPNOTSUPP,
			       "the device offers features 0x%llx, and does not work with 0x%llx",
			       (unsigned long long)offered, (unsigned long long)v->features);
	return 0;
}

int sl_virtio_start(struct virtio *v, uint64_t wanted, uint64_t (*narrow)(uint64_t features))
{
	int ret = sl_virtio_reset(v);

	if (!ret)
		ret = add_status(v, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	if (!ret)
		ret = add_status(v, VIRTIO_CONFIG_S_DRIVER);
	if (ret)
		return ret;
	ret = negotiate(v, wanted, narrow);
	if (ret && ret != -ENODEV)
		add_status(v, VIRTIO_CONFIG_S_FAILED);
	return ret;
}

int sl_virtio_driver_ok(struct virtio *v)
{
	int ret = add_status(v, VIRTIO_CONFIG_S_DRIVER_OK);

	return ret ? ret : sl_virtio_check(v);
}

int sl_virtio_check(struct virtio *v)
{
	int status = v->ops->get_status(v);

	if (status < 0)
		return status;
	if (status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return sl_fail(ENODEV, "the device has met an error and needs a reset");
	if (!(status & VIRTIO_CONFIG_S_DRIVER_OK))
		return sl_fail(ENODEV, "the device was reset by somebody else");
	return 0;
}

int sl_virtio_get_config(struct virtio *v, size_t offset, void *to, size_t len)
{
	for (unsigned tries = 0; tries < CONFIG_TRIES; tries++) {
		uint32_t before = v->ops->generation(v);
		int ret = v->ops->get_config(v, offset, to, len);

		if (ret || v->ops->generation(v) == before)
			return ret;
	}
	return sl_fail(EAGAIN, "the device changes its configuration all the time");
}
