/* SPDX-License-Identifier: BSD-2-Clause */
/* The transport vduse: a device for the kernel we run on, or through vhost-vdpa for a program. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/reason.h"
#include "offer/vduse.h"

static const struct sl_param params[] = {SL_VDUSE_PARAMS, {NULL}};

static void vduse_close(struct transport *t)
{
	struct vduse *v = sl_vduse_of(t);
	bool gone;

	sl_worker_watch(sl_offer_worker(t->offer), &v->call_watch, 0);
	sl_vdpa_forget(&v->call);
	sl_vduse_let_go(v);
	/* Where a driver still has it, it stays, and its log. */
	gone = v->ours && !sl_vduse_destroy(v->control, v->name);
	sl_vduse_log_close(v, gone);
	sl_fd_close(&v->control);
	sl_vduse_free(v);
}

static int create(struct vduse *v)
{
	int ret;

	v->control = sl_vduse_control();
	if (v->control < 0)
		return v->control;
	ret = sl_vduse_create(v);
	v->ours = v->created; /* what was found stays if we fail */
	return ret ? ret : sl_vduse_log_open(v, v->created);
}

static int vduse_open(struct sl_offer *o, const struct sl_args *args, struct transport **out)
{
	const char *dir = sl_args_text(args, "state", 0);
	struct vduse *v = calloc(1, sizeof(*v));
	int ret;

	if (!v)
		return sl_fail(ENOMEM, "no memory for a VDUSE device");
	v->transport.ops = &sl_transport_vduse;
	v->kernel = &sl_vduse_kernel;
	v->want_attach = sl_args_bool(args, "attach", false);
	v->want_umem = sl_args_bool(args, "umem", false);
	ret = sl_vduse_init(v, o, sl_args_text(args, "name", 0),
			    sl_args_bool(args, "packed", false));
	snprintf(v->anew, sizeof(v->anew), "sluice vduse destroy %s --detach", v->name);
	if (!ret)
		ret = sl_vduse_log_dir(v, dir ? dir : VDUSE_STATE_DIR);
	if (!ret)
		ret = create(v);
	if (ret) {
		vduse_close(&v->transport);
		return ret;
	}
	v->ours = true;
	v->watch = (struct sl_watch){.fd = v->fd, .ready = EPOLLIN};
	*out = &v->transport;
	return 0;
}

static int begin(struct vduse *v)
{
	int ret = v->created ? 0 : sl_vduse_take_over(v);

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

static int vduse_step(struct transport *t, uint64_t now_ns)
{
	struct vduse *v = sl_vduse_of(t);
	int did, ret = v->begun ? 0 : begin(v);

	(void)now_ns;
	if (!ret)
		ret = look_at_call(v);
	if (ret < 0)
		return ret;
	if (v->watch.ready & EPOLLERR)
		return sl_fail(EIO,
			       "the kernel has given %s up, since it was not answered in time: %s",
			       v->name, v->anew);
	did = sl_vduse_serve(v);
	ret = sl_worker_watch(sl_offer_worker(t->offer), &v->call_watch, EPOLLIN);
	return ret ? ret : did;
}

static bool vduse_arm(struct transport *t, uint64_t *deadline_ns)
{
	sl_vduse_arm(sl_vduse_of(t), deadline_ns);
	return false;
}

/* Detaching resets the device by message, and a disk is written to before. */
static int vduse_stop(struct transport *t)
{
	struct vduse *v = sl_vduse_of(t);
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
	.interrupt = sl_vduse_queue_interrupt,
	.broken = sl_vduse_broken,
	.changed = sl_vduse_changed,
	.stop = vduse_stop,
	.close = vduse_close,
};
