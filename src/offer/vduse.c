/* SPDX-License-Identifier: BSD-2-Clause */
/* The transport vduse: a device for the kernel we run on, or through vhost-vdpa for a program. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/reason.h"
#include "offer/vduse.h"

#define BIT(feature)	 (UINT64_C(1) << (feature))
#define IRQ_AGAIN_NS	 SL_NS_PER_MS
#define VDUSE_QUEUES_MAX 64 /* the log has a word of bits for them */
#define MESSAGES_MOST	 16 /* a step */

static const struct sl_param params[] = {
	{"name", SL_PARAM_STRING, SL_PARAM_REQUIRED | SL_PARAM_IDENTITY, 1, VDUSE_NAME_MOST, "NAME",
	 "the device: /dev/vduse/NAME, and what vdpa(8) calls it"},
	{"attach", SL_PARAM_BOOL, 0, 0, 0, "on|off",
	 "attach it to the kernel's vDPA bus; off: vdpa dev add does it (off)"},
	{"umem", SL_PARAM_BOOL, 0, 0, 0, "on|off",
	 "memory of our own for the driver's buffers; takes locked memory (off)"},
	{"packed", SL_PARAM_BOOL, 0, 0, 0, "on|off", "offer packed virtqueues (off)"},
	{"state", SL_PARAM_FILE, 0, 1, 4095, "DIR",
	 "folder of the in-flight log, which a killed process leaves behind (" VDUSE_STATE_DIR ")"},
	{NULL},
};

static struct vduse *vduse_of(struct transport *t)
{
	return sl_container_of(t, struct vduse, transport);
}

static void vduse_close(struct transport *t)
{
	struct vduse *v = vduse_of(t);
	struct sl_worker *worker = sl_offer_worker(t->offer);
	bool gone;

	sl_worker_watch(worker, &v->watch, 0);
	sl_worker_watch(worker, &v->call_watch, 0);
	sl_vdpa_forget(&v->call);
	sl_vduse_memory_free(v);
	sl_fd_close(&v->fd);
	/* Where a driver still has it, it stays, and its log. */
	gone = v->ours && !sl_vduse_destroy(v->control, v->name);
	sl_vduse_log_close(v, gone);
	sl_fd_close(&v->control);
	for (unsigned i = 0; i < v->info.queues; i++)
		sl_fd_close(&v->queues[i].kick);
	free(v->queues);
	free(v);
}

/* What the kernel does not take: a configuration space that the driver writes to. */
static uint64_t features_of(const struct vduse *v, bool packed)
{
	uint64_t features = sl_offer_features(v->transport.offer) | BIT(VIRTIO_F_ACCESS_PLATFORM);

	if (v->info.device_id == VIRTIO_ID_BLOCK)
		features &= ~BIT(VIRTIO_BLK_F_CONFIG_WCE);
	return packed ? features : features & ~BIT(VIRTIO_F_RING_PACKED);
}

static struct vduse *make(struct sl_offer *o, const struct sl_args *args)
{
	struct vduse *v = calloc(1, sizeof(*v));
	struct sl_model *m = sl_offer_model(o);

	if (!v)
		return NULL;
	v->transport = (struct transport){&sl_transport_vduse, o};
	v->control = v->fd = v->log.dir = v->call.pidfd = v->watch.fd = v->call_watch.fd = -1;
	m->ops->info(m, &v->info);
	v->queues = calloc(v->info.queues, sizeof(*v->queues));
	if (!v->queues) {
		free(v);
		return NULL;
	}
	for (unsigned i = 0; i < v->info.queues; i++)
		v->queues[i].kick = -1;
	snprintf(v->name, sizeof(v->name), "%s", sl_args_text(args, "name", 0));
	v->want_attach = sl_args_bool(args, "attach", false);
	v->want_umem = sl_args_bool(args, "umem", false);
	v->features = features_of(v, sl_args_bool(args, "packed", false));
	return v;
}

static int vduse_open(struct sl_offer *o, const struct sl_args *args, struct transport **out)
{
	const char *dir = sl_args_text(args, "state", 0);
	struct vduse *v;
	struct sl_model_info info = {0};
	int ret = sl_vduse_name(sl_args_text(args, "name", 0));

	if (ret)
		return ret;
	sl_offer_model(o)->ops->info(sl_offer_model(o), &info);
	if (info.queues > VDUSE_QUEUES_MAX)
		return sl_fail(EINVAL, "a VDUSE device of %u queues: %d at most", info.queues,
			       VDUSE_QUEUES_MAX);
	v = make(o, args);
	if (!v)
		return sl_fail(ENOMEM, "no memory for a VDUSE device");
	ret = sl_vduse_create(v);
	if (!ret)
		ret = sl_vduse_log_open(v, dir ? dir : VDUSE_STATE_DIR, v->created);
	if (ret) {
		v->ours = v->created;
		vduse_close(&v->transport);
		return ret;
	}
	v->ours = true;
	v->watch = (struct sl_watch){.fd = v->fd, .ready = EPOLLIN};
	*out = &v->transport;
	return 0;
}

/*
 * Taking over from a process that was killed.
 */

/*
 * There is no way to ask for the status. The log says whether the process before served its queues:
 * it had answered DRIVER_OK, or was about to, and no reset since. What it had not answered comes
 * again.
 */
static int take_over(struct vduse *v)
{
	int ret = sl_vduse_set_config(v);
	bool driven;

	if (ret)
		return ret;
	/* It may have changed, and who has not said DRIVER_OK is not told: EINVAL. */
	driven = !ioctl(v->fd, VDUSE_DEV_INJECT_CONFIG_IRQ);
	if (driven && !v->log.found)
		return sl_fail(ENOENT,
			       "%s has a driver, but what was in flight is not known: %s is gone: "
			       "sluice vduse destroy %s --detach",
			       v->name, v->log.file, v->name);
	if (!sl_vduse_queues_ran(v))
		return 0;
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

static int begin(struct vduse *v)
{
	int ret = v->created ? 0 : take_over(v);

	v->begun = true;
	if (!ret && v->want_attach && !sl_vdpa_attached(v->name)) {
		ret = sl_vdpa_start(&v->call, v->name, true);
		v->call_watch = (struct sl_watch){.fd = v->call.pidfd};
	}
	return ret;
}

/* Return: 1 when a command has ended; 0: there is none, or not yet; else it has failed. */
static int look_at_call(struct vduse *v)
{
	int ret;

	if (v->call.pidfd < 0 || !v->call_watch.ready)
		return 0;
	sl_worker_watch(sl_offer_worker(v->transport.offer), &v->call_watch, 0);
	ret = sl_vdpa_done(&v->call, v->name);
	if (ret == -EAGAIN)
		return 0;
	v->call_watch.fd = -1;
	if (!ret)
		sl_log(sl_offer_log(v->transport.offer), SL_LOG_INFO, "%s: %s", v->name,
		       v->call.attach ? "attached" : "detached");
	return ret ? ret : 1;
}

/*
 * What the offer calls.
 */

/* Also of a worker that never sleeps. While a message is worked on, the next must not keep us
 * awake. */
static int watch(struct vduse *v)
{
	struct sl_worker *worker = sl_offer_worker(v->transport.offer);
	int ret = sl_worker_watch(worker, &v->watch, v->asked ? 0 : EPOLLIN);

	return ret ? ret : sl_worker_watch(worker, &v->call_watch, EPOLLIN);
}

static int vduse_step(struct transport *t, uint64_t now_ns)
{
	struct vduse *v = vduse_of(t);
	int did = 0, ret = v->begun ? 0 : begin(v);

	(void)now_ns;
	if (!ret)
		ret = look_at_call(v);
	if (ret < 0)
		return ret;
	if (v->watch.ready & EPOLLERR)
		return sl_fail(EIO,
			       "the kernel has given %s up, since it was not answered in time: "
			       "sluice vduse destroy %s --detach",
			       v->name, v->name);
	while (did < MESSAGES_MOST && (v->asked || v->watch.ready)) {
		ret = sl_vduse_message(v);
		if (ret <= 0)
			break;
		did++;
	}
	sl_vduse_queues_irq(v);
	if (ret >= 0)
		ret = watch(v);
	return ret < 0 ? ret : did;
}

static bool vduse_arm(struct transport *t, uint64_t *deadline_ns)
{
	struct vduse *v = vduse_of(t);

	if (sl_vduse_queues_irq(v))
		*deadline_ns = sl_min(*deadline_ns, sl_now_ns() + IRQ_AGAIN_NS);
	return false;
}

static bool vduse_interrupt(struct transport *t, uint16_t queue)
{
	return sl_vduse_queue_interrupt(vduse_of(t), queue);
}

/* VDUSE has no way to say DEVICE_NEEDS_RESET. */
static void vduse_broken(struct transport *t, uint16_t queue)
{
	(void)t, (void)queue;
}

static void vduse_changed(struct transport *t)
{
	struct vduse *v = vduse_of(t);

	if (sl_vduse_set_config(v))
		sl_log(sl_offer_log(t->offer), SL_LOG_WARN, "%s", sl_reason());
	ioctl(v->fd, VDUSE_DEV_INJECT_CONFIG_IRQ); /* EINVAL: there is nobody to tell */
}

/* Detaching resets the device by message, and a disk is written to before. */
static int vduse_stop(struct transport *t)
{
	struct vduse *v = vduse_of(t);
	int ret;

	if (v->call.pidfd >= 0)
		return -EAGAIN; /* step() looks after it */
	if (v->left || !sl_vdpa_attached(v->name))
		return 0;
	v->left = true;
	ret = sl_vdpa_start(&v->call, v->name, false);
	if (ret) {
		sl_log(sl_offer_log(t->offer), SL_LOG_WARN, "%s", sl_reason());
		return ret;
	}
	v->call_watch = (struct sl_watch){.fd = v->call.pidfd};
	return -EAGAIN;
}

const struct transport_ops sl_transport_vduse = {
	.kind = {"vduse", "for the kernel of this machine (/dev/vdX), or a program by vhost-vdpa",
		 params},
	.open = vduse_open,
	.step = vduse_step,
	.arm = vduse_arm,
	.interrupt = vduse_interrupt,
	.broken = vduse_broken,
	.changed = vduse_changed,
	.stop = vduse_stop,
	.close = vduse_close,
};
