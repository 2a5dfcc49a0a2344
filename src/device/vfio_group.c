/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFIO's first interface: groups, which the IOMMU tells apart, in containers, which have one set
 * of mappings. A container is a user of a space; devices of that space share it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/reason.h"
#include "device/pci_sysfs.h"
#include "device/vfio.h"
#include "space/users.h"

struct group {
	struct group *next;
	struct container *container;
	int fd, number;
	unsigned devices;
};

struct container {
	struct sl_space_user user;
	struct sl_space *space;
	struct sl_vfio_limits limits;
	struct group *groups;
	int fd;
	bool attached;
};

static struct container *container_of(struct sl_space_user *user)
{
	return sl_container_of(user, struct container, user);
}

/*
 * A container as a space's user.
 */

static int container_map(struct sl_space_user *user, const struct sl_mapping *mapping)
{
	struct container *c = container_of(user);
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.vaddr = (uintptr_t)mapping->region.base,
		.iova = mapping->at.first.value,
		.size = mapping->region.len,
	};

	if (mapping->region.access & SL_REGION_READ)
		map.flags |= VFIO_DMA_MAP_FLAG_READ;
	if (mapping->region.access & SL_REGION_WRITE)
		map.flags |= VFIO_DMA_MAP_FLAG_WRITE;
	return ioctl(c->fd, VFIO_IOMMU_MAP_DMA, &map) ? sl_vfio_map_failed(c->space, errno) : 0;
}

static void container_unmap(struct sl_space_user *user, const struct sl_mapping *mapping)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = mapping->at.first.value,
		.size = mapping->region.len,
	};

	/* Of what it has mapped, whole: there is no error that this could get. */
	(void)ioctl(container_of(user)->fd, VFIO_IOMMU_UNMAP_DMA, &unmap);
}

static const struct sl_space_user_ops container_ops = {container_map, container_unmap};

/*
 * Groups.
 */

static void group_close(struct group *group)
{
	sl_fd_close(&group->fd);
	free(group);
}

static int check_viable(const struct group *group)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};

	if (ioctl(group->fd, VFIO_GROUP_GET_STATUS, &status))
		return sl_fail(errno, "IOMMU group %d says nothing: %s", group->number,
			       strerror(errno));
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return sl_fail(EBUSY,
			       "IOMMU group %d is not viable: another device in it is bound to "
			       "a driver of the kernel",
			       group->number);
	if (status.flags & VFIO_GROUP_FLAGS_CONTAINER_SET)
		return sl_fail(EBUSY, "IOMMU group %d is in use already", group->number);
	return 0;
}

static int group_open(const struct sl_device *head, const struct sl_device_options *options,
		      struct group **out)
{
	struct group *group = calloc(1, sizeof(*group));
	char path[PATH_MAX];
	int ret;

	if (!group)
		return sl_fail(ENOMEM, "no memory for a group");
	group->number = head->info.pci.iommu_group;
	ret = sl_path(path, options->root, "dev/vfio/%d", group->number);
	group->fd = ret ? ret
			: sl_vfio_open(options->fds ? options->fds->group : -1, path,
				       "it is open elsewhere: by another program, or for another "
				       "space");
	ret = group->fd < 0 ? group->fd : check_viable(group);
	if (ret) {
		group_close(group);
		return ret;
	}
	*out = group;
	return 0;
}

static int enter(struct group *group, struct container *c)
{
	if (ioctl(group->fd, VFIO_GROUP_SET_CONTAINER, &c->fd))
		return sl_fail(errno, "IOMMU group %d cannot be put in a container: %s",
			       group->number,
			       errno == EPERM ? "it is not viable" : strerror(errno));
	group->container = c;
	group->next = c->groups;
	c->groups = group;
	return 0;
}

/*
 * Containers.
 */

static void container_close(struct container *c)
{
	if (c->attached)
		sl_space_detach(c->space, &c->user);
	sl_fd_close(&c->fd);
	free(c);
}

static int container_open(const struct sl_device *head, const struct sl_device_options *options,
			  struct container **out)
{
	struct container *c = calloc(1, sizeof(*c));
	char path[PATH_MAX];
	int ret;

	if (!c)
		return sl_fail(ENOMEM, "no memory for a container");
	c->space = head->space;
	c->user = (struct sl_space_user){&container_ops, "VFIO", &c->limits.limits};
	ret = sl_path(path, options->root, "dev/vfio/vfio");
	c->fd = ret ? ret
		    : sl_vfio_open(options->fds ? options->fds->container : -1, path,
				   "device or resource busy");
	if (c->fd < 0) {
		ret = c->fd;
		free(c);
		return ret;
	}
	if (ioctl(c->fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION ||
	    ioctl(c->fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) <= 0) {
		container_close(c);
		return sl_fail(EOPNOTSUPP, "%s has no type1v2: modprobe vfio_iommu_type1", path);
	}
	*out = c;
	return 0;
}

static int no_iommu(int err)
{
	if (err == EPERM)
		return sl_fail(EPERM, "the IOMMU does not remap interrupts, so that a device could "
				      "forge them: turn that on, or load vfio_iommu_type1 with "
				      "allow_unsafe_interrupts=1");
	return sl_fail(err, "VFIO does not set up the IOMMU: %s", strerror(err));
}

static int read_limits(struct container *c)
{
	struct vfio_iommu_type1_info in = {.argsz = sizeof(in)};
	void *info;
	size_t len;
	int ret = sl_vfio_info(c->fd, VFIO_IOMMU_GET_INFO, sizeof(in), &in, &info, &len);

	if (ret)
		return sl_fail(-ret, "VFIO says nothing of the IOMMU: %s", strerror(-ret));
	ret = sl_vfio_limits_parse(info, len, &c->limits);
	free(info);
	return ret;
}

/* With its first group in it: only now does it know which IOMMU that is. Another process may have
 * done this already with a shared container: then it has information. */
static int set_iommu(struct container *c)
{
	int err = 0, ret;

	if (ioctl(c->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		err = errno;
	ret = read_limits(c);
	if (ret && err)
		return no_iommu(err);
	if (!ret)
		ret = sl_space_attach(c->space, &c->user);
	c->attached = !ret;
	return ret;
}

static void leave(struct group *group)
{
	struct container *c = group->container;
	struct group **at = &c->groups;

	while (*at != group)
		at = &(*at)->next;
	*at = group->next;
	if (!c->groups && c->attached) {
		sl_space_detach(c->space, &c->user);
		c->attached = false;
	}
	ioctl(group->fd, VFIO_GROUP_UNSET_CONTAINER);
	group_close(group);
	if (!c->groups)
		container_close(c);
}

static int enter_new(struct group *group, const struct sl_device *head,
		     const struct sl_device_options *options)
{
	struct container *c;
	int ret = container_open(head, options, &c);

	if (ret)
		return ret;
	ret = enter(group, c);
	if (ret) {
		container_close(c);
		return ret;
	}
	return set_iommu(c);
}

/* One of the space's containers, if the kernel agrees that its IOMMU is alike; else a new one. */
static int join(struct group *group, const struct sl_device *head,
		const struct sl_device_options *options)
{
	struct sl_space_user *user = NULL;

	while ((user = sl_space_next_user(head->space, &container_ops, user)))
		if (!enter(group, container_of(user)))
			return read_limits(container_of(user)); /* narrower, perhaps */
	return enter_new(group, head, options);
}

static struct group *find(const struct sl_device *head)
{
	struct sl_space_user *user = NULL;

	while ((user = sl_space_next_user(head->space, &container_ops, user)))
		for (struct group *g = container_of(user)->groups; g; g = g->next)
			if (g->number == head->info.pci.iommu_group)
				return g;
	return NULL;
}

/*
 * The way.
 */

static int get_group(const struct sl_device *head, const struct sl_device_options *options,
		     struct group **out)
{
	int ret;

	*out = find(head);
	if (*out)
		return 0;
	ret = group_open(head, options, out);
	if (ret)
		return ret;
	ret = join(*out, head, options);
	if (ret && (*out)->container)
		leave(*out);
	else if (ret)
		group_close(*out);
	return ret;
}

static int group_way_open(struct vfio_device *v, const struct sl_device_options *options)
{
	struct group *group;
	int ret = get_group(&v->dev, options, &group);

	if (ret)
		return ret;
	v->fd = ioctl(group->fd, VFIO_GROUP_GET_DEVICE_FD, v->dev.name);
	if (v->fd < 0) {
		ret = sl_fail(errno, "VFIO does not open it: %s",
			      errno == ENODEV ? "it is not bound to vfio-pci" : strerror(errno));
		if (!group->devices)
			leave(group);
		return ret;
	}
	group->devices++;
	v->holder = group;
	return 0;
}

static void group_way_close(struct vfio_device *v)
{
	struct group *group = v->holder;

	sl_fd_close(&v->fd);
	if (!--group->devices)
		leave(group);
}

const struct vfio_way sl_vfio_group = {
	.name = "vfio (type1v2)",
	.open = group_way_open,
	.close = group_way_close,
};
