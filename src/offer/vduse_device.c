/* SPDX-License-Identifier: BSD-2-Clause */
/* The device: made, or found; what it says of itself. */
#include <stdio.h>
#include <stdlib.h>

#include <linux/virtio_ids.h>

#include "base/bytes.h"
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

static int make(struct vduse *v)
{
	struct vduse_dev_config *c = calloc(1, sizeof(*c) + v->info.config_len);
	struct sl_model *m = sl_offer_model(v->transport.offer);
	int ret;

	if (!c)
		return sl_fail(ENOMEM, "no memory for a VDUSE device");
	snprintf(c->name, sizeof(c->name), "%s", v->name);
	c->device_id = v->info.device_id;
	c->features = v->features;
	c->vq_num = v->info.queues;
	c->vq_align = VQ_ALIGN;
	c->config_size = v->info.config_len;
	m->ops->get_config(m, c->config);
	ret = v->kernel->call(v, VDUSE_CREATE_DEV, c);
	free(c);
	if (ret == -EPERM && v->info.device_id == VIRTIO_ID_NET)
		return sl_fail(EPERM, "a network device for this kernel, %s, needs CAP_NET_ADMIN",
			       v->name);
	if (ret == -EINVAL)
		return sl_fail(EINVAL,
			       "no VDUSE device %s can be made: the driver's side takes none "
			       "of kind %u",
			       v->name, v->info.device_id);
	return !ret || ret == -EEXIST
		       ? ret
		       : sl_fail(-ret, "no VDUSE device %s of kind %u can be made: %s", v->name,
				 v->info.device_id, strerror(-ret));
}

static int find(struct vduse *v)
{
	char name[VDUSE_NAME_MAX] = {0};
	int ret;

	memcpy(name, v->name, sizeof(v->name));
	ret = v->kernel->call(v, UDUSE_OPEN, name);
	if (ret == -EBUSY)
		return sl_fail(EBUSY, "another process serves %s", v->name);
	return ret ? sl_fail(-ret, "cannot open VDUSE device %s: %s", v->name, strerror(-ret)) : 0;
}

static int set_up_queues(struct vduse *v)
{
	for (unsigned i = 0; i < v->info.queues; i++) {
		struct vduse_vq_config config = {.index = i, .max_size = v->info.queue_size};
		int ret = v->kernel->call(v, VDUSE_VQ_SETUP, &config);

		if (ret == -EINVAL)
			return sl_fail(EINVAL, "%s was made with %u queues, not %u: %s", v->name, i,
				       v->info.queues, v->anew);
		if (ret)
			return sl_fail(-ret, "queue %u of %s cannot be set up: %s", i, v->name,
				       strerror(-ret));
	}
	return 0;
}

int sl_vduse_create(struct vduse *v)
{
	int ret = make(v);

	v->created = !ret;
	if (ret == -EEXIST)
		ret = find(v);
	return ret ? ret : set_up_queues(v);
}

int sl_vduse_set_config(struct vduse *v)
{
	struct sl_model *m = sl_offer_model(v->transport.offer);
	struct vduse_config_data *c = calloc(1, sizeof(*c) + v->info.config_len);
	int ret;

	if (!c)
		return sl_fail(ENOMEM, "no memory for a configuration space");
	c->length = v->info.config_len;
	m->ops->get_config(m, c->buffer);
	ret = v->kernel->call(v, VDUSE_DEV_SET_CONFIG, c);
	free(c);
	if (ret == -EPERM)
		return sl_fail(EIO,
			       "the kernel has given %s up, since it was not answered in time: %s",
			       v->name, v->anew);
	return ret ? sl_fail(-ret, "configuration space of %s: %s", v->name, strerror(-ret)) : 0;
}
