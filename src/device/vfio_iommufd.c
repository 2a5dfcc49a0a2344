/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFIO's second interface (Linux 6.6): each device is a file of its own, and an IO address space of
 * iommufd is what is mapped for it. An address space is a user of a space; devices of that space
 * share it. Documentation/userspace-api/iommufd.rst of the kernel.
 */
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/reason.h"
#include "device/iommufd_abi.h"
#include "device/pci_sysfs.h"
#include "device/vfio.h"
#include "space/users.h"

/* An address space of iommufd. */
struct ioas {
	struct sl_space_user user;
	struct sl_space *space;
	struct sl_vfio_limits limits;
	int iommufd;
	uint32_t id;
	unsigned devices;
	bool attached;
};

static struct ioas *ioas_of(struct sl_space_user *user)
{
	return sl_container_of(user, struct ioas, user);
}

/*
 * As a space's user.
 */

static int ioas_map(struct sl_space_user *user, const struct sl_mapping *mapping)
{
	struct ioas *ioas = ioas_of(user);
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA,
		.ioas_id = ioas->id,
		.user_va = (uintptr_t)mapping->region.base,
		.length = mapping->region.len,
		.iova = mapping->at.first.value,
	};

	if (mapping->region.access & SL_REGION_READ)
		map.flags |= IOMMU_IOAS_MAP_READABLE;
	if (mapping->region.access & SL_REGION_WRITE)
		map.flags |= IOMMU_IOAS_MAP_WRITEABLE;
	return ioctl(ioas->iommufd, IOMMU_IOAS_MAP, &map) ? sl_vfio_map_failed(ioas->space, errno)
							  : 0;
}

static void ioas_unmap(struct sl_space_user *user, const struct sl_mapping *mapping)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = ioas_of(user)->id,
		.iova = mapping->at.first.value,
		.length = mapping->region.len,
	};

	(void)ioctl(ioas_of(user)->iommufd, IOMMU_IOAS_UNMAP, &unmap);
}

static const struct sl_space_user_ops ioas_ops = {ioas_map, ioas_unmap};

/*
 * The address space.
 */

static void ioas_release(struct ioas *ioas)
{
	struct iommu_destroy destroy = {.size = sizeof(destroy), .id = ioas->id};

	if (ioas->attached)
		sl_space_detach(ioas->space, &ioas->user);
	/* Closing is not enough: the caller may have the iommufd open as well. Number 0 is none. */
	(void)ioctl(ioas->iommufd, IOMMU_DESTROY, &destroy);
	sl_fd_close(&ioas->iommufd);
	free(ioas);
}

static int ioas_open(const struct sl_device *head, const struct sl_device_options *options,
		     struct ioas **out)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct ioas *ioas = calloc(1, sizeof(*ioas));
	char path[PATH_MAX];
	int ret;

	if (!ioas)
		return sl_fail(ENOMEM, "no memory for an address space");
	ioas->space = head->space;
	ioas->user = (struct sl_space_user){&ioas_ops, "VFIO", &ioas->limits.limits};
	ret = sl_path(path, options->root, "dev/iommu");
	ioas->iommufd = ret ? ret
			    : sl_vfio_open(options->fds ? options->fds->iommufd : -1, path,
					   "device or resource busy");
	ret = ioas->iommufd < 0 ? ioas->iommufd : 0;
	if (!ret && ioctl(ioas->iommufd, IOMMU_IOAS_ALLOC, &alloc))
		ret = sl_fail(errno, "iommufd makes no address space: %s", strerror(errno));
	if (ret) {
		ioas_release(ioas);
		return ret;
	}
	ioas->id = alloc.out_ioas_id;
	*out = ioas;
	return 0;
}

/* After a device was attached, which narrows them. */
static int read_limits(struct ioas *ioas)
{
	struct iommu_iova_range ranges[SL_VFIO_RANGES_MAX];
	struct iommu_ioas_iova_ranges in = {
		.size = sizeof(in),
		.ioas_id = ioas->id,
		.num_iovas = SL_VFIO_RANGES_MAX,
		.allowed_iovas = (uintptr_t)ranges,
	};

	/* EMSGSIZE: there are more; what fits has been written. */
	if (ioctl(ioas->iommufd, IOMMU_IOAS_IOVA_RANGES, &in) && errno != EMSGSIZE)
		return sl_fail(errno, "iommufd says no ranges of IOVAs: %s", strerror(errno));
	return sl_vfio_limits_set(&ioas->limits, ranges, in.num_iovas, in.out_iova_alignment);
}

static int ioas_for(const struct sl_device *head, const struct sl_device_options *options,
		    struct ioas **out)
{
	struct sl_space_user *user = sl_space_next_user(head->space, &ioas_ops, NULL);

	if (!user)
		return ioas_open(head, options, out);
	*out = ioas_of(user);
	return 0;
}

/*
 * The device.
 */

bool sl_vfio_has_cdev(const struct sl_device *head, const struct sl_device_options *options)
{
	char path[PATH_MAX];

	if (options->fds && (options->fds->iommufd >= 0 || options->fds->device >= 0))
		return true;
	if (options->fds && (options->fds->container >= 0 || options->fds->group >= 0))
		return false;
	return !sl_path(path, options->root, "dev/iommu") && !sl_path_access(path) &&
	       !sl_vfio_node(options->root, &head->info.pci.addr, path) && !sl_path_access(path);
}

static int not_bound(int err)
{
	/* Who opens its file is let in, and only here told that another has it. */
	if (err == EINVAL)
		return sl_fail(EBUSY, "it is open elsewhere: by another program, or for another "
				      "space; or this descriptor was used before");
	if (err == EBUSY)
		return sl_fail(EBUSY, "its IOMMU group is open elsewhere, or another device in it "
				      "is bound to a driver of the kernel");
	if (err == EPERM)
		return sl_fail(EPERM, "another device of its IOMMU group is open elsewhere; or the "
				      "IOMMU does not remap interrupts, so that a device could "
				      "forge them: turn that on, or load iommufd with "
				      "allow_unsafe_interrupts=1");
	return sl_fail(err, "iommufd does not take it: %s", strerror(err));
}

static int bind_to(const struct vfio_device *v, const struct ioas *ioas)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = ioas->iommufd};

	return ioctl(v->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind) ? not_bound(errno) : 0;
}

static int not_attached(int err)
{
	if (err == EINVAL)
		return sl_fail(EBUSY, "another device of its IOMMU group uses another space");
	if (err == EADDRINUSE)
		return sl_fail(ERANGE, "memory of this space is mapped where its IOMMU reaches "
				       "none: open it before that is mapped");
	return sl_fail(err, "it cannot use this space: %s", strerror(err));
}

static int attach(const struct vfio_device *v, struct ioas *ioas)
{
	struct vfio_device_attach_iommufd_pt pt = {.argsz = sizeof(pt), .pt_id = ioas->id};
	int ret;

	if (ioctl(v->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt))
		return not_attached(errno);
	ret = read_limits(ioas);
	if (ret || ioas->attached)
		return ret;
	ret = sl_space_attach(ioas->space, &ioas->user);
	ioas->attached = !ret;
	return ret;
}

/* Closing is not enough: the caller may have its descriptor as well. */
static void detach(const struct vfio_device *v)
{
	struct vfio_device_detach_iommufd_pt pt = {.argsz = sizeof(pt)};

	(void)ioctl(v->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &pt);
}

static int use(struct vfio_device *v, const struct sl_device_options *options)
{
	struct ioas *ioas = NULL;
	int ret = ioas_for(&v->dev, options, &ioas);

	if (ret)
		return ret;
	ret = bind_to(v, ioas);
	if (!ret) {
		ret = attach(v, ioas);
		if (ret)
			detach(v);
	}
	if (!ret) {
		ioas->devices++;
		v->holder = ioas;
	} else if (!ioas->devices) {
		ioas_release(ioas);
	}
	return ret;
}

static int cdev_open(struct vfio_device *v, const struct sl_device_options *options)
{
	const struct sl_device_fds *fds = options->fds;
	char path[PATH_MAX] = "the device";
	int ret = 0;

	if (!fds || fds->device < 0)
		ret = sl_vfio_node(options->root, &v->dev.info.pci.addr, path);
	if (ret)
		return ret;
	v->fd = sl_vfio_open(fds ? fds->device : -1, path, strerror(EBUSY));
	if (v->fd < 0)
		return v->fd;
	ret = use(v, options);
	if (ret)
		sl_fd_close(&v->fd);
	return ret;
}

static void cdev_close(struct vfio_device *v)
{
	struct ioas *ioas = v->holder;

	detach(v);
	sl_fd_close(&v->fd);
	if (!--ioas->devices)
		ioas_release(ioas);
}

const struct vfio_way sl_vfio_cdev = {
	.name = "vfio (iommufd)",
	.open = cdev_open,
	.close = cdev_close,
};
