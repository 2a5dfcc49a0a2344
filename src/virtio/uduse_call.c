/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a daemon calls for, as the kernel does it (drivers/vdpa/vdpa_user/vduse_dev.c): the same
 * rules, the same errnos. Here there is one device, and who has made it has it open.
 */
#include <string.h>
#include <sys/ioctl.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "virtio/uduse_private.h"

#define ALIGN_MIN 4
#define ALIGN_MAX 4096

/*
 * The control device.
 */

static int api_version(struct uduse *u)
{
	if (u->in.header.command == VDUSE_SET_API_VERSION)
		return u->in.payload.u64 > VDUSE_API_VERSION ? -EINVAL : 0;
	u->in.payload.u64 = VDUSE_API_VERSION;
	return 0;
}

static bool is_zero(const void *bytes, size_t len)
{
	const uint8_t *b = bytes;

	return !b[0] && !memcmp(b, b + 1, len - 1);
}

static bool features_valid(uint32_t device_id, uint64_t features)
{
	if (!(features & VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM)))
		return false;
	if (device_id == VIRTIO_ID_BLOCK)
		return !(features & VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE));
	return device_id == VIRTIO_ID_NET && !(features & VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ)) &&
	       features & VIRTIO_BIT(VIRTIO_F_VERSION_1);
}

static int create(struct uduse *u)
{
	struct vduse_dev_config *c = &u->in.payload.create;

	if (!is_zero(c->reserved, sizeof(c->reserved)) || !c->name[0] || c->vq_align < ALIGN_MIN ||
	    c->vq_align > ALIGN_MAX || c->vq_align & (c->vq_align - 1) ||
	    c->config_size > UDUSE_CONFIG_MAX || !c->vq_num || c->vq_num > UDUSE_QUEUES_MAX ||
	    !features_valid(c->device_id, c->features))
		return -EINVAL;
	if (u->created)
		return c->device_id == u->config.device_id ? -EEXIST : -EINVAL;
	/* One that is of no use would be in the way of the next daemon's. */
	u->device_id = c->device_id;
	if (u->device_id != u->config.device_id)
		return -EINVAL;
	c->name[VDUSE_NAME_MAX - 1] = 0;
	memcpy(u->name, c->name, sizeof(u->name));
	u->features = c->features;
	u->n_queues = c->vq_num;
	u->config_len = c->config_size;
	memcpy(u->space, c->config, c->config_size);
	for (unsigned i = 0; i < UDUSE_QUEUES_MAX; i++)
		u->queues[i].most = 0;
	u->generation++;
	u->created = u->opened = true;
	return 0;
}

static bool names_it(struct uduse *u)
{
	u->in.payload.name[VDUSE_NAME_MAX - 1] = 0;
	return u->created && !strcmp(u->in.payload.name, u->name);
}

static int open_device(struct uduse *u)
{
	if (!names_it(u))
		return -ENOENT;
	u->opened = true;
	return 0;
}

static int destroy(struct uduse *u)
{
	if (!names_it(u))
		return -EINVAL;
	if (u->status)
		return -EBUSY;
	sl_uduse_reset(u);
	u->created = u->opened = false;
	return 0;
}

/*
 * The device.
 */

static int iotlb_get_fd(struct uduse *u)
{
	struct vduse_iotlb_entry *entry = &u->in.payload.entry;
	const struct uduse_entry *e = entry->start > entry->last
					      ? NULL
					      : sl_uduse_entry_find(u, entry->start, entry->last);

	if (!e)
		return -EINVAL;
	memset(entry, 0, sizeof(*entry));
	entry->start = e->iova;
	entry->last = e->iova + (e->len - 1);
	entry->perm = e->write ? VDUSE_ACCESS_RW : VDUSE_ACCESS_RO;
	u->in.fd = e->fd;
	return 0;
}

static int iotlb_get_info(struct uduse *u)
{
	struct vduse_iova_info *info = &u->in.payload.iova;
	const struct uduse_entry *e =
		info->start > info->last ? NULL : sl_uduse_entry_find(u, info->start, info->last);

	if (!e || !is_zero(info->reserved, sizeof(info->reserved)))
		return -EINVAL;
	info->start = e->iova;
	info->last = e->iova + (e->len - 1);
	info->capability = 0;
	return 0;
}

static int get_features(struct uduse *u)
{
	u->in.payload.u64 = u->accepted;
	return 0;
}

static int set_config(struct uduse *u)
{
	const struct vduse_config_data *c = &u->in.payload.config;

	if (!c->length || c->offset > u->config_len || c->length > u->config_len - c->offset)
		return -EINVAL;
	memcpy(u->space + c->offset, c->buffer, c->length);
	u->generation++;
	return 0;
}

/* There is nobody to wake: the generation tells. */
static int inject_config_irq(struct uduse *u)
{
	return u->status & VIRTIO_CONFIG_S_DRIVER_OK ? 0 : -EINVAL;
}

static struct uduse_queue *queue_at(struct uduse *u, uint32_t index)
{
	return index < u->n_queues ? &u->queues[index] : NULL;
}

static int vq_setup(struct uduse *u)
{
	const struct vduse_vq_config *c = &u->in.payload.vq_config;
	struct uduse_queue *q = queue_at(u, c->index);

	if (!q || !is_zero(c->reserved, sizeof(c->reserved)))
		return -EINVAL;
	q->most = c->max_size;
	return 0;
}

static int vq_get_info(struct uduse *u)
{
	struct vduse_vq_info *info = &u->in.payload.vq_info;
	uint32_t index = info->index;
	const struct uduse_queue *q = queue_at(u, index);

	if (!q)
		return -EINVAL;
	memset(info, 0, sizeof(*info));
	info->index = index;
	if (!q->ready)
		return 0;
	info->num = q->setup.size;
	info->desc_addr = q->setup.desc.value;
	info->driver_addr = q->setup.avail.value;
	info->device_addr = q->setup.used.value;
	info->ready = true;
	if (u->accepted & VIRTIO_BIT(VIRTIO_F_RING_PACKED))
		info->packed = (struct vduse_vq_state_packed){
			q->setup.state.avail_wrap, q->setup.state.avail, q->setup.state.used_wrap,
			q->setup.state.used};
	else
		info->split.avail_index = q->setup.state.avail;
	return 0;
}

/* The first signal shows that it is an event, and tells what no daemon was there to be told. */
static int vq_setup_kickfd(struct uduse *u)
{
	struct uduse_queue *q = queue_at(u, u->in.payload.eventfd.index);
	int ret = q ? 0 : -EINVAL;

	if (!ret && u->in.fd >= 0)
		ret = sl_notify(&u->notify, u->in.fd);
	if (ret) {
		sl_fd_close(&u->in.fd);
		return ret;
	}
	sl_fd_close(&q->kick);
	q->kick = u->in.fd;
	u->in.fd = -1;
	return 0;
}

/* Nobody is told that there is no such queue, or no driver yet. */
static int vq_inject_irq(struct uduse *u)
{
	const struct uduse_queue *q = queue_at(u, u->in.payload.u32);

	if (q && q->call >= 0)
		sl_event_signal(q->call);
	return 0;
}

/*
 * All calls.
 */

static const struct {
	uint32_t command;
	bool device; /* an ioctl of the device, which has to be open */
	int (*act)(struct uduse *u);
} calls[] = {
	{VDUSE_GET_API_VERSION, false, api_version},
	{VDUSE_SET_API_VERSION, false, api_version},
	{VDUSE_CREATE_DEV, false, create},
	{VDUSE_DESTROY_DEV, false, destroy},
	{UDUSE_OPEN, false, open_device},
	{VDUSE_IOTLB_GET_FD, true, iotlb_get_fd},
	{VDUSE_IOTLB_GET_INFO, true, iotlb_get_info},
	{VDUSE_DEV_GET_FEATURES, true, get_features},
	{VDUSE_DEV_SET_CONFIG, true, set_config},
	{VDUSE_DEV_INJECT_CONFIG_IRQ, true, inject_config_irq},
	{VDUSE_VQ_SETUP, true, vq_setup},
	{VDUSE_VQ_GET_INFO, true, vq_get_info},
	{VDUSE_VQ_SETUP_KICKFD, true, vq_setup_kickfd},
	{VDUSE_VQ_INJECT_IRQ, true, vq_inject_irq},
};

/* What an old kernel does not know it answers with ENOTTY: VDUSE_IOTLB_REG_UMEM, and what there may
 * be one day. */
static int act(struct uduse *u)
{
	for (unsigned i = 0; i < sl_array_len(calls); i++) {
		if (calls[i].command != u->in.header.command)
			continue;
		return calls[i].device && !u->opened ? -EBADF : calls[i].act(u);
	}
	return -ENOTTY;
}

void sl_uduse_answer(struct uduse *u)
{
	struct uduse_header *h = &u->in.header;

	h->result = act(u);
	if (h->result && u->in.fd >= 0)
		sl_fd_close(&u->in.fd);
	h->type = UDUSE_RETURN;
	h->len = !h->result && _IOC_DIR(h->command) & _IOC_READ ? _IOC_SIZE(h->command) : 0;
}
