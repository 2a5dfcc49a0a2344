/* SPDX-License-Identifier: BSD-2-Clause */
/* The device, in the kernel: made, found, destroyed. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/reason.h"
#include "offer/vduse.h"

#define VQ_ALIGN 4096

int sl_vduse_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_-.";

	if (!*name || *name == '.' || name[strspn(name, allowed)] || !strcmp(name, "control"))
		return sl_fail(EINVAL,
			       "\"%s\" cannot be the name of a device: letters, digits, _, - and .",
			       name);
	if (strlen(name) > VDUSE_NAME_MOST)
		return sl_fail(EINVAL, "\"%s\" is too long a name: %d letters at most", name,
			       VDUSE_NAME_MOST);
	return 0;
}

int sl_vduse_control(void)
{
	uint64_t version = VDUSE_API_VERSION;
	int ret, fd = open(VDUSE_CONTROL, O_RDWR | O_CLOEXEC);

	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		return sl_fail(errno, "this kernel has no VDUSE: modprobe vduse");
	if (fd < 0)
		return sl_fail(errno, "cannot open " VDUSE_CONTROL ": %m");
	if (!ioctl(fd, VDUSE_SET_API_VERSION, &version))
		return fd;
	ret = sl_fail(errno, "this kernel's VDUSE is not of version %d: %m", VDUSE_API_VERSION);
	sl_fd_close(&fd);
	return ret;
}

int sl_vduse_destroy(int control, const char *name)
{
	char text[VDUSE_NAME_MAX] = {0};
	char path[VDUSE_NAME_MOST + 16];

	snprintf(text, sizeof(text), "%s", name);
	if (!ioctl(control, VDUSE_DESTROY_DEV, text))
		return 0;
	snprintf(path, sizeof(path), "/dev/vduse/%s", name);
	if (errno == EINVAL && access(path, F_OK))
		return sl_fail(ENOENT, "there is no VDUSE device %s", name);
	if (errno == EBUSY)
		return sl_fail(EBUSY, "%s is busy: %s", name,
			       sl_vdpa_attached(name) ? "it is attached"
						      : "a process has it open, its daemon");
	return sl_fail(errno, "%s cannot be destroyed: %m", name);
}

static int make(struct vduse *v)
{
	size_t len = sizeof(struct vduse_dev_config) + v->info.config_len;
	struct vduse_dev_config *c = calloc(1, len);
	struct sl_model *m = sl_offer_model(v->transport.offer);
	int ret = 0;

	if (!c)
		return sl_fail(ENOMEM, "no memory for a VDUSE device");
	snprintf(c->name, sizeof(c->name), "%s", v->name);
	c->device_id = v->info.device_id;
	c->features = v->features;
	c->vq_num = v->info.queues;
	c->vq_align = VQ_ALIGN;
	c->config_size = v->info.config_len;
	m->ops->get_config(m, c->config);
	if (ioctl(v->control, VDUSE_CREATE_DEV, c))
		ret = errno == EEXIST ? -EEXIST
				      : sl_fail(errno,
						"the kernel makes no VDUSE device %s of kind "
						"%u: %m",
						v->name, v->info.device_id);
	free(c);
	return ret;
}

static int set_up_queues(struct vduse *v)
{
	for (unsigned i = 0; i < v->info.queues; i++) {
		struct vduse_vq_config config = {.index = i, .max_size = v->info.queue_size};

		if (ioctl(v->fd, VDUSE_VQ_SETUP, &config))
			return sl_fail(errno,
				       "queue %u of %s cannot be set up: %m: is it a device with "
				       "fewer? sluice vduse destroy %s",
				       i, v->name, v->name);
	}
	return 0;
}

int sl_vduse_create(struct vduse *v)
{
	char path[VDUSE_NAME_MOST + 16];
	int ret;

	v->control = sl_vduse_control();
	if (v->control < 0)
		return v->control;
	ret = make(v);
	if (ret && ret != -EEXIST)
		return ret;
	v->created = !ret;
	snprintf(path, sizeof(path), "/dev/vduse/%s", v->name);
	v->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (v->fd < 0)
		return sl_fail(errno,
			       errno == EBUSY ? "another process serves %s"
					      : "cannot open VDUSE device %s: %m",
			       v->name);
	return set_up_queues(v);
}

int sl_vduse_set_config(struct vduse *v)
{
	struct sl_model *m = sl_offer_model(v->transport.offer);
	struct vduse_config_data *c = calloc(1, sizeof(*c) + v->info.config_len);
	int ret = 0;

	if (!c)
		return sl_fail(ENOMEM, "no memory for a configuration space");
	c->length = v->info.config_len;
	m->ops->get_config(m, c->buffer);
	if (ioctl(v->fd, VDUSE_DEV_SET_CONFIG, c))
		ret = errno == EPERM
			      ? sl_fail(EIO,
					"the kernel has given %s up, since it was not answered in "
					"time: sluice vduse destroy %s --detach",
					v->name, v->name)
			      : sl_fail(errno, "configuration space of %s: %m", v->name);
	free(c);
	return ret;
}
