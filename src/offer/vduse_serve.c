/* SPDX-License-Identifier: BSD-2-Clause */
/* Serving a device, whoever has it: taken over from a process that was killed, messages, the end.
 */
#include <stdio.h>
#include <stdlib.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <sys/epoll.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/reason.h"
#include "offer/vduse.h"

#define IRQ_AGAIN_NS	 SL_NS_PER_MS
#define VDUSE_QUEUES_MAX 64 /* the log has a word of bits for them */
#define MESSAGES_MOST	 16 /* a step */

/*
 * What VDUSE's kernel side does not take: a disk's configuration space that the driver writes to; a
 * control queue, and with it more than one pair of queues.
 */
static uint64_t features_of(const struct vduse *v, bool packed)
{
	uint64_t features =
		sl_offer_features(v->transport.offer) | VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM);

	if (v->info.device_id == VIRTIO_ID_BLOCK)
		features &= ~VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE);
	if (v->info.device_id == VIRTIO_ID_NET)
		features &= ~(VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) | VIRTIO_BIT(VIRTIO_NET_F_MQ));
	return packed ? features : features & ~VIRTIO_BIT(VIRTIO_F_RING_PACKED);
}

int sl_vduse_init(struct vduse *v, struct sl_offer *o, const char *name, bool packed)
{
	struct sl_model *m = sl_offer_model(o);
	int ret = sl_vduse_name(name);

	v->transport.offer = o;
	v->control = v->fd = v->log.dir = v->call.pidfd = v->watch.fd = v->call_watch.fd = -1;
	m->ops->info(m, &v->info);
	if (!ret && (v->info.queues > VDUSE_QUEUES_MAX || v->info.config_len > UDUSE_CONFIG_MAX))
		ret = sl_fail(EINVAL,
			      "a VDUSE device of %u queues and %u bytes of configuration: %d and "
			      "%u at most",
			      v->info.queues, v->info.config_len, VDUSE_QUEUES_MAX,
			      UDUSE_CONFIG_MAX);
	/* Where a packed one stands, a NIC that was killed does not know. */
	if (!ret && packed && sl_offer_is_net(o))
		ret = sl_fail(EINVAL, "packed=on: a NIC has split virtqueues here");
	if (ret)
		return ret;
	snprintf(v->name, sizeof(v->name), "%s", name);
	v->features = features_of(v, packed);
	v->queues = calloc(v->info.queues, sizeof(*v->queues));
	if (!v->queues)
		return sl_fail(ENOMEM, "no memory for a VDUSE device");
	for (unsigned i = 0; i < v->info.queues; i++)
		v->queues[i].kick = -1;
	return 0;
}

void sl_vduse_let_go(struct vduse *v)
{
	sl_worker_watch(sl_offer_worker(v->transport.offer), &v->watch, 0);
	sl_vduse_memory_free(v);
	sl_fd_close(&v->fd);
}

void sl_vduse_free(struct vduse *v)
{
	for (unsigned i = 0; v->queues && i < v->info.queues; i++)
		sl_fd_close(&v->queues[i].kick);
	sl_fd_close(&v->log.dir);
	free(v->queues);
	free(v);
}

/*
 * There is no way to ask for the status. The log says whether the process before served its queues:
 * it had answered DRIVER_OK, or was about to, and no reset since. What it had not answered comes
 * again.
 */
int sl_vduse_take_over(struct vduse *v)
{
	int ret = sl_vduse_set_config(v);
	bool driven;

	if (ret)
		return ret;
	/* It may have changed, and who has not said DRIVER_OK is not told: EINVAL. */
	driven = !v->kernel->call(v, VDUSE_DEV_INJECT_CONFIG_IRQ, NULL);
	if (driven && !v->log.found) {
		sl_vduse_log_close(v, true); /* or the next look would find it */
		return sl_fail(ENOENT,
			       "%s has a driver, but what was in flight is not known: %s is gone: "
			       "%s",
			       v->name, v->log.file, v->anew);
	}
	ret = sl_vduse_queues_ran(v);
	if (!ret)
		sl_vduse_log_set_runs(v, 0); /* of another life of the device's */
	if (ret <= 0)
		return ret;
	v->status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
		    VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;
	ret = sl_vduse_features(v);
	if (!ret)
		ret = sl_vduse_memory_sync(v);
	if (!ret)
		ret = sl_vduse_queues_start(v, true);
	if (ret)
		return ret;
	sl_offer_set_state(v->transport.offer, SL_OFFER_RUNNING);
	sl_log(sl_offer_log(v->transport.offer), SL_LOG_INFO, "%s: taken over, with its driver",
	       v->name);
	return 0;
}

/* The watch is also for a worker that never sleeps. While a message is worked on, the next must not
 * keep us awake. */
int sl_vduse_serve(struct vduse *v)
{
	int did = 0, ret = 0;

	while (did < MESSAGES_MOST && (v->asked || v->watch.ready)) {
		ret = sl_vduse_message(v);
		if (ret <= 0)
			break;
		did++;
	}
	if (ret >= 0)
		ret = sl_vduse_queues_missed(v);
	sl_vduse_queues_irq(v);
	if (ret >= 0)
		ret = sl_worker_watch(sl_offer_worker(v->transport.offer), &v->watch,
				      v->asked ? 0 : EPOLLIN);
	return ret < 0 ? ret : did;
}

void sl_vduse_arm(struct vduse *v, uint64_t *deadline_ns)
{
	if (sl_vduse_queues_irq(v))
		*deadline_ns = sl_min(*deadline_ns, sl_now_ns() + IRQ_AGAIN_NS);
}

/* VDUSE has no way to say DEVICE_NEEDS_RESET. */
void sl_vduse_broken(struct transport *t, uint16_t queue)
{
	(void)t, (void)queue;
}

void sl_vduse_changed(struct transport *t)
{
	struct vduse *v = sl_vduse_of(t);

	if (sl_vduse_set_config(v))
		sl_log(sl_offer_log(t->offer), SL_LOG_WARN, "%s", sl_reason());
	v->kernel->call(v, VDUSE_DEV_INJECT_CONFIG_IRQ, NULL); /* EINVAL: nobody is there */
}
