/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device by uio_pci_generic and sysfs: BARs and configuration space are files of sysfs, INTx
 * comes by /dev/uioN, an IOVA is a physical address. Documentation/driver-api/uio-howto.rst of the
 * kernel; for who is trusted with all memory.
 */
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/reason.h"
#include "device/device_private.h"
#include "device/pci_sysfs.h"
#include "device/uio_irq.h"
#include "device/uio_memory.h"
#include "space/limits.h"

#define PAGE	 ((uint64_t)4096)
#define DMA_PAGE ((uint64_t)2 << 20) /* sl_arena_create()'s huge pages */

/**
 * struct uio_device - a device of UIO
 * @root:      as in the options, for what is opened later
 * @resources: files of BARs, opened when first used; -1
 */
struct uio_device {
	struct sl_device dev;
	struct uio_irq irq;
	struct uio_memory memory;
	char root[PATH_MAX];
	int uio, config, resources[SL_PCI_BARS];
	bool attached;
};

static struct uio_device *uio_of(const struct sl_device *dev)
{
	return sl_container_of((uintptr_t)dev, struct uio_device, dev);
}

static int open_file(struct uio_device *u, const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	return sl_fail(errno, "%s: cannot open %s: %s", u->dev.name, path, strerror(errno));
}

/* "resource0" and so on. */
static int resource_of(struct uio_device *u, unsigned bar)
{
	char path[PATH_MAX], name[16];
	int ret;

	if (u->resources[bar] >= 0)
		return u->resources[bar];
	snprintf(name, sizeof(name), "resource%u", bar);
	ret = sl_pci_path(path, u->root, &u->dev.info.pci.addr, name);
	if (ret)
		return ret;
	ret = open_file(u, path, O_RDWR | O_SYNC);
	if (ret >= 0)
		u->resources[bar] = ret;
	return ret;
}

/*
 * Regions.
 */

static int uio_get_region(struct sl_device *dev, unsigned index, struct sl_device_region *region)
{
	const struct sl_pci_resource *r = dev->info.pci.resources;
	off_t len;

	*region = (struct sl_device_region){.flags = SL_DEVICE_READ | SL_DEVICE_WRITE};
	if (index == SL_DEVICE_CONFIG) {
		len = lseek(uio_of(dev)->config, 0, SEEK_END);
		region->len = len > 0 ? (uint64_t)len : SL_PCI_CONFIG_MIN;
		return 0;
	}
	if (index == SL_DEVICE_ROM || !r[index].len) {
		region->flags = 0;
		return 0;
	}
	region->len = r[index].len;
	if (r[index].flags & SL_PCI_RESOURCE_MEM && r[index].start % PAGE) {
		region->flags = 0; /* sysfs maps the page, others' registers first */
		return 0;
	}
	if (!(r[index].flags & SL_PCI_RESOURCE_MEM)) {
		region->flags |= SL_DEVICE_IO;
		return 0;
	}
	region->flags |= SL_DEVICE_MAP;
	region->n_parts = 1;
	region->parts[0].len = region->len;
	return 0;
}

static int uio_map(struct sl_device *dev, unsigned bar, const struct sl_device_part *part, void *at)
{
	int fd = resource_of(uio_of(dev), bar);

	if (fd < 0)
		return fd;
	if (mmap(at, part->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		 (off_t)part->offset) == MAP_FAILED)
		return sl_fail(errno, "%s: cannot map BAR %u: %s", dev->name, bar,
			       errno == EPERM ? "kernel lockdown refuses it" : strerror(errno));
	return 0;
}

/* Configuration space and I/O ports are read and written; memory is not: it is mapped. */
static int file_of(struct sl_device *dev, unsigned index)
{
	return index == SL_DEVICE_CONFIG ? uio_of(dev)->config : resource_of(uio_of(dev), index);
}

static bool is_memory(const struct sl_device *dev, unsigned index)
{
	return index < SL_PCI_BARS && dev->info.pci.resources[index].flags & SL_PCI_RESOURCE_MEM;
}

static int uio_read(struct sl_device *dev, unsigned index, uint64_t offset, unsigned width,
		    void *bytes)
{
	struct sl_mmio mmio;
	int ret;

	if (is_memory(dev, index)) {
		ret = sl_device_map(dev, index, &mmio);
		if (!ret && sl_guard_copy(bytes, mmio.base + offset, width))
			ret = sl_fail(ENODEV, "%s is gone", dev->name);
		return ret;
	}
	ret = file_of(dev, index);
	if (ret < 0)
		return ret;
	return sl_device_transferred(dev, index, pread(ret, bytes, width, (off_t)offset), width);
}

static int uio_write(struct sl_device *dev, unsigned index, uint64_t offset, unsigned width,
		     const void *bytes)
{
	struct sl_mmio mmio;
	int ret;

	if (is_memory(dev, index)) {
		ret = sl_device_map(dev, index, &mmio);
		if (!ret && sl_guard_copy(mmio.base + offset, bytes, width))
			ret = sl_fail(ENODEV, "%s is gone", dev->name);
		return ret;
	}
	ret = file_of(dev, index);
	if (ret < 0)
		return ret;
	return sl_device_transferred(dev, index, pwrite(ret, bytes, width, (off_t)offset), width);
}

/*
 * Interrupts.
 */

static unsigned uio_irq_count(const struct sl_device *dev, enum sl_irq kind)
{
	(void)dev;
	return kind == SL_IRQ_INTX; /* uio_pci_generic takes no device without */
}

/* PCI 3.0, 6.2.2: command, bit 10. The kernel sets it at each interrupt. */
static int intx_disable(struct sl_device *dev, bool disable)
{
	uint64_t command;
	int ret = sl_device_read(dev, SL_DEVICE_CONFIG, PCI_COMMAND, 2, &command);

	if (ret)
		return ret;
	if (disable)
		command |= PCI_COMMAND_INTX_DISABLE;
	else
		command &= ~(uint64_t)PCI_COMMAND_INTX_DISABLE;
	return sl_device_write(dev, SL_DEVICE_CONFIG, PCI_COMMAND, 2, command);
}

static int uio_irq_mask(struct sl_device *dev, bool masked)
{
	int ret = masked ? 0 : sl_uio_irq_arm(&uio_of(dev)->irq);

	return ret ? sl_fail(-ret, "%s: %s", dev->name, sl_reason()) : intx_disable(dev, masked);
}

static void uio_irq_off(struct sl_device *dev)
{
	intx_disable(dev, true);
	sl_uio_irq_stop(&uio_of(dev)->irq);
}

static int uio_irq_set(struct sl_device *dev, unsigned first, unsigned count, const int *fds)
{
	struct uio_device *u = uio_of(dev);
	int ret;

	(void)first;
	(void)count;
	uio_irq_off(dev);
	if (fds[0] < 0)
		return 0;
	ret = sl_uio_irq_start(&u->irq, u->uio, fds[0]);
	if (!ret)
		ret = intx_disable(dev, false);
	if (!ret)
		return 0;
	sl_uio_irq_stop(&u->irq);
	if (dev->wired[0] >= 0 && !sl_uio_irq_start(&u->irq, u->uio, dev->wired[0]))
		intx_disable(dev, false);
	return ret;
}

/*
 * What happens to it.
 */

static int uio_reset(struct sl_device *dev)
{
	char path[PATH_MAX];
	int ret = sl_pci_path(path, uio_of(dev)->root, &dev->info.pci.addr, "reset");

	if (ret)
		return ret;
	if (access(path, F_OK))
		return sl_fail(EOPNOTSUPP, "%s has no reset of its own", dev->name);
	ret = sl_text_write(path, "1");
	if (ret == -EINVAL || ret == -ENOTTY)
		return sl_fail(EOPNOTSUPP, "%s has no reset that works here", dev->name);
	return ret;
}

static int uio_check(struct sl_device *dev)
{
	return sl_uio_irq_there(uio_of(dev)->uio)
		       ? 0
		       : sl_fail(ENODEV, "%s was taken from uio_pci_generic", dev->name);
}

static int uio_dma_pin(struct sl_device *dev, const void *page, sl_iova *out)
{
	return sl_uio_memory_iova(&uio_of(dev)->memory, page, DMA_PAGE, out);
}

/*
 * Opening.
 */

static int own(int fd)
{
	int ret = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return ret < 0 ? sl_fail(errno, "descriptor %d: %s", fd, strerror(errno)) : ret;
}

static int open_node(struct uio_device *u)
{
	char path[PATH_MAX], node[32];
	int ret = sl_uio_node(u->root, &u->dev.info.pci.addr, node, sizeof(node));

	if (!ret)
		ret = sl_path(path, u->root, "dev/%s", node);
	return ret ? ret : open_file(u, path, O_RDWR | O_NONBLOCK);
}

static int open_uio(struct uio_device *u, const struct sl_device_fds *fds)
{
	int ret = fds && fds->uio >= 0 ? own(fds->uio) : open_node(u);

	/* The kernel lets several in. Whoever leaves first would turn off the others' DMA. */
	if (ret >= 0 && flock(ret, LOCK_EX | LOCK_NB)) {
		sl_fd_close(&ret);
		return sl_fail(EBUSY, "another program drives it: its /dev/uioN is locked");
	}
	return ret;
}

static int open_config(struct uio_device *u, const struct sl_device_fds *fds)
{
	char path[PATH_MAX];
	int ret;

	if (fds && fds->config >= 0)
		return own(fds->config);
	ret = sl_pci_path(path, u->root, &u->dev.info.pci.addr, "config");
	return ret ? ret : open_file(u, path, O_RDWR);
}

static int open_files(struct uio_device *u, const struct sl_device_fds *fds)
{
	u->uio = open_uio(u, fds);
	if (u->uio < 0)
		return u->uio;
	/* A parent may have opened it otherwise: reading it must not block. */
	fcntl(u->uio, F_SETFL, fcntl(u->uio, F_GETFL) | O_NONBLOCK);
	u->config = open_config(u, fds);
	if (u->config < 0)
		return u->config;
	for (unsigned bar = 0; bar < SL_PCI_BARS && fds; bar++) {
		u->resources[bar] = fds->resources[bar] < 0 ? -1 : own(fds->resources[bar]);
		if (u->resources[bar] < -1)
			return u->resources[bar];
	}
	return 0;
}

static void uio_close(struct sl_device *dev)
{
	struct uio_device *u = uio_of(dev);

	if (u->attached)
		sl_space_detach(dev->space, &u->memory.user);
	sl_uio_irq_stop(&u->irq);
	sl_uio_memory_close(&u->memory);
	sl_fd_close(&u->uio); /* the kernel turns bus mastering off */
	sl_fd_close(&u->config);
	for (unsigned bar = 0; bar < SL_PCI_BARS; bar++)
		sl_fd_close(&u->resources[bar]);
	free(u);
}

static int uio_open(const struct sl_device *head, const struct sl_device_options *options,
		    struct sl_device **out)
{
	struct uio_device *u = calloc(1, sizeof(*u));
	int ret = 0;

	if (!u)
		return sl_fail(ENOMEM, "no memory for a device");
	u->dev = *head;
	u->dev.info.backend = "uio_pci_generic";
	u->uio = u->config = u->memory.pagemap = u->memory.kpageflags = -1;
	memset(u->resources, 0xff, sizeof(u->resources));
	if (options->root && snprintf(u->root, sizeof(u->root), "%s", options->root) >= PATH_MAX)
		ret = sl_fail(ENAMETOOLONG, "the path of the root is too long");
	if (!ret)
		ret = sl_uio_memory_open(&u->memory, u->root);
	if (!ret)
		ret = open_files(u, options->fds);
	if (!ret)
		ret = sl_space_attach(head->space, &u->memory.user);
	u->attached = !ret;
	if (ret) {
		uio_close(&u->dev);
		return ret;
	}
	*out = &u->dev;
	return 0;
}

const struct sl_backend sl_backend_uio = {
	.open = uio_open,
	.close = uio_close,
	.get_region = uio_get_region,
	.map = uio_map,
	.read = uio_read,
	.write = uio_write,
	.irq_count = uio_irq_count,
	.irq_set = uio_irq_set,
	.irq_off = uio_irq_off,
	.irq_mask = uio_irq_mask,
	.reset = uio_reset,
	.dma_page = DMA_PAGE,
	.dma_pin = uio_dma_pin,
	.check = uio_check,
};
