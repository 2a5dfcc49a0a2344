/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device by VFIO's descriptor, however that was got: regions, interrupts, reset.
 * Documentation/driver-api/vfio.rst of the kernel and <linux/vfio.h>.
 */
#include "device/vfio.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/reason.h"
#include "device/device_private.h"

static struct vfio_device *vfio_of(const struct sl_device *dev)
{
	return sl_container_of((uintptr_t)dev, struct vfio_device, dev);
}

int sl_vfio_open(int fd, const char *path, const char *busy)
{
	int ret = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : open(path, O_RDWR | O_CLOEXEC);

	if (ret >= 0)
		return ret;
	if (fd >= 0)
		return sl_fail(errno, "descriptor %d, given for %s: %s", fd, path, strerror(errno));
	return sl_fail(errno, "cannot open %s: %s", path, errno == EBUSY ? busy : strerror(errno));
}

/* This space alone is not too much. A container counts what its process has locked, iommufd what
 * all processes of the user have. */
static int no_memory(void)
{
	struct rlimit limit = {.rlim_cur = 0};

	getrlimit(RLIMIT_MEMLOCK, &limit);
	return sl_fail(ENOMEM,
		       "no memory, or RLIMIT_MEMLOCK, %llu bytes, has been used up by other "
		       "spaces, or by other programs of this user: raise it with ulimit -l or "
		       "LimitMEMLOCK=",
		       (unsigned long long)limit.rlim_cur);
}

int sl_vfio_map_failed(const struct sl_space *space, int err)
{
	if (err == ENOMEM)
		return sl_space_memlock(space) ? -ENOMEM : no_memory();
	if (err == ENOSPC)
		return sl_fail(ENOSPC, "the kernel allows no more mappings: "
				       "vfio_iommu_type1.dma_entry_limit");
	if (err == EFAULT)
		return sl_fail(EFAULT, "this memory cannot be pinned: it is not there, or not for "
				       "writing");
	return sl_fail(err, "VFIO refuses it: %s", strerror(err));
}

/*
 * Regions.
 */

static bool is_io(const struct vfio_device *v, unsigned index)
{
	const struct sl_pci_resource *r = v->dev.info.pci.resources;

	return index < SL_PCI_BARS && r[index].len && !(r[index].flags & SL_PCI_RESOURCE_MEM);
}

static int ask(struct vfio_device *v, unsigned index)
{
	const struct sl_pci_msix *msix = &v->dev.info.config.msix;
	struct vfio_region_info in = {.argsz = sizeof(in), .index = index};
	struct vfio_region *region = &v->regions[index];
	struct sl_device_part table = {0};
	void *info;
	size_t len;
	int ret = sl_vfio_info(v->fd, VFIO_DEVICE_GET_REGION_INFO, sizeof(in), &in, &info, &len);

	if (ret)
		return sl_fail(-ret, "%s: no region %u: %s", v->dev.name, index, strerror(-ret));
	if (msix->vectors && msix->table_bar == index)
		table = (struct sl_device_part){msix->table_offset, (uint64_t)16 * msix->vectors};
	ret = sl_vfio_region_parse(info, len, &table, &region->is);
	region->offset = ((const struct vfio_region_info *)info)->offset;
	free(info);
	if (!ret && is_io(v, index))
		region->is.flags |= SL_DEVICE_IO;
	return ret;
}

/* They do not change; the table of MSI-X is known once configuration space is. */
static int vfio_get_region(struct sl_device *dev, unsigned index, struct sl_device_region *region)
{
	struct vfio_device *v = vfio_of(dev);
	int ret = v->known >> index & 1 ? 0 : ask(v, index);

	if (ret)
		return ret;
	v->known |= 1u << index;
	*region = v->regions[index].is;
	return 0;
}

static int vfio_map(struct sl_device *dev, unsigned bar, const struct sl_device_part *part,
		    void *at)
{
	struct vfio_device *v = vfio_of(dev);
	bool writes = v->regions[bar].is.flags & SL_DEVICE_WRITE;
	uint64_t offset = v->regions[bar].offset + part->offset;

	if (mmap(at, part->len, PROT_READ | (writes ? PROT_WRITE : 0), MAP_SHARED | MAP_FIXED,
		 v->fd, (off_t)offset) == MAP_FAILED)
		return sl_fail(errno, "%s: cannot map BAR %u at 0x%llx: %s", dev->name, bar,
			       (unsigned long long)part->offset, strerror(errno));
	return 0;
}

static int vfio_read(struct sl_device *dev, unsigned index, uint64_t offset, unsigned width,
		     void *bytes)
{
	struct vfio_device *v = vfio_of(dev);
	off_t at = (off_t)(v->regions[index].offset + offset);

	return sl_device_transferred(dev, index, pread(v->fd, bytes, width, at), width);
}

static int vfio_write(struct sl_device *dev, unsigned index, uint64_t offset, unsigned width,
		      const void *bytes)
{
	struct vfio_device *v = vfio_of(dev);
	off_t at = (off_t)(v->regions[index].offset + offset);

	return sl_device_transferred(dev, index, pwrite(v->fd, bytes, width, at), width);
}

/*
 * Interrupts.
 */

static int set_irqs(const struct vfio_device *v, uint32_t index, uint32_t flags, unsigned start,
		    unsigned count, const int *fds)
{
	size_t bytes = fds ? count * sizeof(*fds) : 0;
	struct vfio_irq_set *set = calloc(1, sizeof(*set) + bytes);
	int ret;

	if (!set)
		return -ENOMEM;
	set->argsz = (uint32_t)(sizeof(*set) + bytes);
	set->flags = flags | (fds ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE);
	set->index = index;
	set->start = start;
	set->count = count;
	if (fds)
		memcpy(set->data, fds, bytes);
	ret = ioctl(v->fd, VFIO_DEVICE_SET_IRQS, set);
	if (ret < 0)
		ret = -errno;
	free(set);
	return ret;
}

static unsigned vfio_irq_count(const struct sl_device *dev, enum sl_irq kind)
{
	return vfio_of(dev)->n_irqs[kind];
}

static void vfio_irq_off(struct sl_device *dev)
{
	struct vfio_device *v = vfio_of(dev);

	set_irqs(v, dev->irq, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, NULL);
	v->enabled = 0;
}

/*
 * How many are enabled is fixed by the first call (VFIO_IRQ_INFO_NORESIZE), so all are; where the
 * machine has not so many, the call says how many it has.
 */
static int enable(struct vfio_device *v, unsigned first, unsigned count, const int *fds)
{
	unsigned all = v->n_irqs[v->dev.irq];
	int *every = malloc(all * sizeof(*every));
	int ret;

	if (!every)
		return -ENOMEM;
	memset(every, 0xff, all * sizeof(*every));
	memcpy(every + first, fds, count * sizeof(*fds));
	v->enabled = all;
	ret = set_irqs(v, v->dev.irq, VFIO_IRQ_SET_ACTION_TRIGGER, 0, all, every);
	if (ret > 0 || ret == -ENOSPC) {
		v->enabled = first + count;
		ret = set_irqs(v, v->dev.irq, VFIO_IRQ_SET_ACTION_TRIGGER, 0, v->enabled, every);
	}
	free(every);
	if (ret)
		v->enabled = 0;
	return ret > 0 ? -ENOSPC : ret;
}

static int vfio_irq_set(struct sl_device *dev, unsigned first, unsigned count, const int *fds)
{
	struct vfio_device *v = vfio_of(dev);
	const uint32_t trigger = VFIO_IRQ_SET_ACTION_TRIGGER;
	int ret;

	if (!v->enabled) {
		ret = enable(v, first, count, fds);
	} else if (first + count > v->enabled) {
		return sl_fail(ENOSPC,
			       "%s: the machine gave it %u vectors: remove all to begin anew",
			       dev->name, v->enabled);
	} else {
		ret = set_irqs(v, dev->irq, trigger, first, count, fds);
		/* On an error the kernel removes what it had wired so far. */
		if (ret)
			set_irqs(v, dev->irq, trigger, first, count, dev->wired + first);
	}
	if (ret)
		return sl_fail(-ret, "%s: cannot wire vectors %u to %u: %s", dev->name, first,
			       first + count - 1,
			       ret == -EINVAL ? "one of the descriptors is no eventfd"
					      : strerror(-ret));
	return 0;
}

static int vfio_irq_mask(struct sl_device *dev, bool masked)
{
	uint32_t action = masked ? VFIO_IRQ_SET_ACTION_MASK : VFIO_IRQ_SET_ACTION_UNMASK;
	int ret = set_irqs(vfio_of(dev), SL_IRQ_INTX, action, 0, 1, NULL);

	if (ret)
		return sl_fail(-ret, "%s: cannot %smask INTx: %s", dev->name, masked ? "" : "un",
			       strerror(-ret));
	return 0;
}

/*
 * What happens to it.
 */

static int vfio_reset(struct sl_device *dev)
{
	struct vfio_device *v = vfio_of(dev);

	if (!v->resets)
		return sl_fail(EOPNOTSUPP, "%s has no reset of its own", dev->name);
	if (!ioctl(v->fd, VFIO_DEVICE_RESET))
		return 0;
	if (errno == EINVAL || errno == ENOTTY)
		return sl_fail(EOPNOTSUPP, "%s has no reset that works here", dev->name);
	return sl_fail(errno, "cannot reset %s: %s", dev->name, strerror(errno));
}

static int vfio_event(const struct sl_device *dev)
{
	return vfio_of(dev)->event;
}

static int vfio_check(struct sl_device *dev)
{
	struct pollfd event = {.fd = vfio_of(dev)->event, .events = POLLIN};

	if (poll(&event, 1, 0) == 1)
		return sl_fail(ENODEV, "%s is being taken away", dev->name);
	return 0;
}

/*
 * Opening.
 */

static int read_info(struct vfio_device *v)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};

	if (ioctl(v->fd, VFIO_DEVICE_GET_INFO, &info))
		return sl_fail(errno, "VFIO says nothing of the device: %s", strerror(errno));
	if (!(info.flags & VFIO_DEVICE_FLAGS_PCI) || info.num_regions <= SL_DEVICE_CONFIG)
		return sl_fail(EINVAL, "VFIO does not take this for a PCI device");
	v->resets = info.flags & VFIO_DEVICE_FLAGS_RESET;
	for (uint32_t i = 0; i < VFIO_PCI_NUM_IRQS && i < info.num_irqs; i++) {
		struct vfio_irq_info irq = {.argsz = sizeof(irq), .index = i};

		if (!ioctl(v->fd, VFIO_DEVICE_GET_IRQ_INFO, &irq))
			v->n_irqs[i] = sl_min(irq.count, 2048); /* PCI 3.0, 6.8.2: MSI-X's most */
	}
	return 0;
}

/* Both say that it is over with the device: it is asked back, or has failed. */
static int watch(struct vfio_device *v)
{
	static const uint32_t kinds[] = {VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_REQ_IRQ_INDEX};
	int ret = 0;

	v->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->event < 0)
		return sl_fail(errno, "no eventfd: %s", strerror(errno));
	for (unsigned i = 0; i < sl_array_len(kinds) && !ret; i++)
		if (v->n_irqs[kinds[i]])
			ret = set_irqs(v, kinds[i], VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1, &v->event);
	return ret ? sl_fail(-ret, "VFIO does not say when it wants the device: %s", strerror(-ret))
		   : 0;
}

static void vfio_close(struct sl_device *dev)
{
	struct vfio_device *v = vfio_of(dev);

	v->way->close(v); /* the kernel stops what may still run, and resets the device */
	sl_fd_close(&v->event);
	free(v);
}

static int vfio_open(const struct sl_device *head, const struct sl_device_options *options,
		     struct sl_device **out)
{
	struct vfio_device *v = calloc(1, sizeof(*v));
	int ret;

	if (!v)
		return sl_fail(ENOMEM, "no memory for a device");
	v->dev = *head;
	v->fd = v->event = -1;
	v->way = sl_vfio_has_cdev(head, options) ? &sl_vfio_cdev : &sl_vfio_group;
	v->dev.info.backend = v->way->name;
	ret = v->way->open(v, options);
	if (ret) {
		free(v);
		return ret;
	}
	ret = read_info(v);
	if (!ret)
		ret = watch(v);
	if (ret) {
		vfio_close(&v->dev);
		return ret;
	}
	*out = &v->dev;
	return 0;
}

const struct sl_backend sl_backend_vfio = {
	.open = vfio_open,
	.close = vfio_close,
	.get_region = vfio_get_region,
	.map = vfio_map,
	.read = vfio_read,
	.write = vfio_write,
	.irq_count = vfio_irq_count,
	.irq_set = vfio_irq_set,
	.irq_off = vfio_irq_off,
	.irq_mask = vfio_irq_mask,
	.reset = vfio_reset,
	.event = vfio_event,
	.check = vfio_check,
};
