/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device by /dev/uio_msix/ADDRESS, of our own kernel module: no IOMMU, but every interrupt, DMA
 * memory, and nothing left running when its user has ended. kmod/uio_msix/uio_msix.h.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/reason.h"
#include "device/pci_sysfs.h"
#include "device/uio_msix.h"

/* EAGAIN: somebody else resets it. */
#define BUSY_TRIES 50
#define BUSY_MS	   20

int sl_um_call(int fd, unsigned long request, void *arg)
{
	int ret = -1;

	for (unsigned tries = 0; tries < BUSY_TRIES; tries++) {
		ret = ioctl(fd, request, arg);
		if (ret >= 0 || errno != EAGAIN)
			break;
		poll(NULL, 0, BUSY_MS);
	}
	return ret < 0 ? -errno : ret;
}

/*
 * Interrupts: their kinds are numbered as ours.
 */

/* Negative errno without a sentence; *@available is what the machine has, with -ENOSPC. */
static int set_irqs(const struct uio_msix_device *u, unsigned index, unsigned start, unsigned count,
		    const int *fds, unsigned *available)
{
	size_t argsz = sizeof(struct uio_msix_set_irqs) + count * sizeof(*fds);
	struct uio_msix_set_irqs *in = calloc(1, argsz);
	int ret;

	if (!in)
		return -ENOMEM;
	in->argsz = (uint32_t)argsz;
	in->index = index;
	in->start = start;
	in->count = count;
	if (count)
		memcpy(in->fds, fds, count * sizeof(*fds));
	ret = sl_um_call(u->fd, UIO_MSIX_SET_IRQS, in);
	*available = in->available;
	free(in);
	return ret;
}

static unsigned um_irq_count(const struct sl_device *dev, enum sl_irq kind)
{
	return sl_um_of(dev)->n_irqs[kind];
}

static int um_irq_set(struct sl_device *dev, unsigned first, unsigned count, const int *fds)
{
	unsigned available;
	int ret = set_irqs(sl_um_of(dev), dev->irq, first, count, fds, &available);

	if (ret == -ENOSPC)
		return sl_fail(ENOSPC,
			       "%s: the machine has %u vectors for it: %u, up to the last that is "
			       "named, are too many",
			       dev->name, available, first + count);
	if (ret)
		return sl_fail(-ret, "%s: cannot wire vectors %u to %u: %s", dev->name, first,
			       first + count - 1,
			       ret == -EINVAL ? "one of the descriptors is no eventfd"
					      : strerror(-ret));
	return 0;
}

static void um_irq_off(struct sl_device *dev)
{
	unsigned available;

	set_irqs(sl_um_of(dev), dev->irq, 0, 0, NULL, &available);
}

static int um_irq_mask(struct sl_device *dev, bool masked)
{
	struct uio_msix_mask in = {.argsz = sizeof(in), .flags = masked ? UIO_MSIX_MASK : 0};
	int ret = sl_um_call(sl_um_of(dev)->fd, UIO_MSIX_MASK_INTX, &in);

	if (ret)
		return sl_fail(-ret, "%s: cannot %smask INTx: %s", dev->name, masked ? "" : "un",
			       strerror(-ret));
	return 0;
}

/*
 * What happens to it.
 */

static int um_bus_master(struct sl_device *dev, bool on)
{
	const struct uio_msix_device *u = sl_um_of(dev);
	struct uio_msix_bus_master in = {.argsz = sizeof(in)};
	int ret;

	if (on)
		in.flags = UIO_MSIX_ON | (u->force ? UIO_MSIX_FORCE : 0);
	ret = sl_um_call(u->fd, UIO_MSIX_BUS_MASTER, &in);
	if (ret == -EUCLEAN)
		return sl_fail(EUCLEAN,
			       "%s was not reset since its last user, into whose memory it may "
			       "still write: put it behind a port that can reset it, or, when you "
			       "know that it is quiet, use force=on",
			       dev->name);
	if (ret)
		return sl_fail(-ret, "%s: cannot turn its DMA %s: %s", dev->name, on ? "on" : "off",
			       strerror(-ret));
	return 0;
}

static int um_reset(struct sl_device *dev)
{
	struct uio_msix_reset in = {.argsz = sizeof(in)};
	int ret = sl_um_call(sl_um_of(dev)->fd, UIO_MSIX_RESET, &in);

	if (ret == -ENOTTY)
		return sl_fail(EOPNOTSUPP, "%s has no reset that works here", dev->name);
	return ret ? sl_fail(-ret, "cannot reset %s: %s", dev->name, strerror(-ret)) : 0;
}

static int um_event(const struct sl_device *dev)
{
	return sl_um_of(dev)->event;
}

static int um_check(struct sl_device *dev)
{
	struct pollfd event = {.fd = sl_um_of(dev)->event, .events = POLLIN};

	if (poll(&event, 1, 0) == 1)
		return sl_fail(ENODEV, "%s was taken away", dev->name);
	return 0;
}

static int um_dma_alloc(struct sl_device *dev, void *at, size_t len, sl_iova *out)
{
	return sl_uio_msix_dma_alloc(&sl_um_of(dev)->dma, at, len, out);
}

static int um_dma_pin(struct sl_device *dev, const void *page, sl_iova *out)
{
	return sl_uio_msix_dma_pin(&sl_um_of(dev)->dma, page, out);
}

static void um_dma_free(struct sl_device *dev, sl_iova iova)
{
	sl_uio_msix_dma_free(&sl_um_of(dev)->dma, iova);
}

/*
 * Opening.
 */

static int open_node(struct uio_msix_device *u, const struct sl_device_options *options)
{
	char path[PATH_MAX];
	int ret;

	if (options->fds && options->fds->uio_msix >= 0) {
		u->fd = fcntl(options->fds->uio_msix, F_DUPFD_CLOEXEC, 0);
		return u->fd < 0 ? sl_fail(errno, "descriptor %d: %s", options->fds->uio_msix,
					   strerror(errno))
				 : 0;
	}
	ret = sl_path(path, options->root, "dev/uio_msix/%s", u->dev.name);
	if (ret)
		return ret;
	u->fd = open(path, O_RDWR | O_CLOEXEC);
	if (u->fd >= 0)
		return 0;
	return sl_fail(errno, "cannot open %s: %s", path,
		       errno == EBUSY	? "another program has it, or its /dev/uioN"
		       : errno == EPERM ? "it takes CAP_SYS_RAWIO: run as root"
					: strerror(errno));
}

static int read_irqs(struct uio_msix_device *u)
{
	for (uint32_t i = 0; i < SL_IRQ_KINDS; i++) {
		struct uio_msix_irq in = {.argsz = sizeof(in), .index = i};
		int ret = sl_um_call(u->fd, UIO_MSIX_GET_IRQ, &in);

		if (ret)
			return sl_fail(-ret, "uio_msix says nothing of interrupts: %s",
				       strerror(-ret));
		u->n_irqs[i] = sl_min(in.count, UIO_MSIX_IRQS_MAX);
	}
	return 0;
}

static int set_dma_bits(const struct uio_msix_device *u, unsigned bits)
{
	struct uio_msix_dma_bits in = {.argsz = sizeof(in), .bits = bits};
	int ret = bits ? sl_um_call(u->fd, UIO_MSIX_SET_DMA_BITS, &in) : 0;

	return ret ? sl_fail(-ret, "no memory that an address of %u bits reaches: %s", bits,
			     strerror(-ret))
		   : 0;
}

static int watch(struct uio_msix_device *u)
{
	unsigned available;
	int ret;

	u->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (u->event < 0)
		return sl_fail(errno, "no eventfd: %s", strerror(errno));
	ret = set_irqs(u, UIO_MSIX_GONE, 0, 1, &u->event, &available);
	return ret ? sl_fail(-ret, "uio_msix does not say when it is gone: %s", strerror(-ret)) : 0;
}

/* It could not be when its last user ended: it may have been asleep, or in another's hands. */
static int reset_unclean(struct uio_msix_device *u)
{
	struct uio_msix_info in = {.argsz = sizeof(in)};
	int ret = sl_um_call(u->fd, UIO_MSIX_GET_INFO, &in);

	if (ret)
		return sl_fail(-ret, "uio_msix says nothing of its device: %s", strerror(-ret));
	if (in.flags & UIO_MSIX_INFO_UNCLEAN)
		um_reset(&u->dev); /* if it fails, bus mastering will say so */
	return 0;
}

static int set_up(struct uio_msix_device *u, const struct sl_device_options *options)
{
	int ret = open_node(u, options);

	if (ret)
		return ret;
	ret = sl_um_call(u->fd, UIO_MSIX_GET_VERSION, NULL);
	if (ret < 1)
		return sl_fail(ret ? -ret : EINVAL, "this is no device of uio_msix: %s",
			       ret ? strerror(-ret) : "version 0");
	sl_uio_msix_dma_open(&u->dma, u->fd);
	ret = reset_unclean(u);
	if (!ret)
		ret = sl_um_read_regions(u);
	if (!ret)
		ret = read_irqs(u);
	if (!ret)
		ret = set_dma_bits(u, options->dma_bits);
	if (!ret)
		ret = watch(u);
	if (!ret)
		ret = sl_space_attach(u->dev.space, &u->dma.user);
	u->attached = !ret;
	return ret;
}

static void um_close(struct sl_device *dev)
{
	struct uio_msix_device *u = sl_um_of(dev);

	if (u->attached)
		sl_space_detach(dev->space, &u->dma.user);
	sl_uio_msix_dma_close(&u->dma);
	sl_fd_close(&u->fd); /* the kernel stops what may still run, and resets the device */
	sl_fd_close(&u->event);
	free(u);
}

static int um_open(const struct sl_device *head, const struct sl_device_options *options,
		   struct sl_device **out)
{
	struct uio_msix_device *u = calloc(1, sizeof(*u));
	int ret;

	if (!u)
		return sl_fail(ENOMEM, "no memory for a device");
	u->dev = *head;
	u->dev.info.backend = "uio_msix";
	u->fd = u->event = -1;
	u->force = options->force;
	ret = set_up(u, options);
	if (ret) {
		um_close(&u->dev);
		return ret;
	}
	*out = &u->dev;
	return 0;
}

const struct sl_backend sl_backend_uio_msix = {
	.open = um_open,
	.close = um_close,
	.get_region = sl_um_get_region,
	.map = sl_um_map,
	.read = sl_um_read,
	.write = sl_um_write,
	.irq_count = um_irq_count,
	.irq_set = um_irq_set,
	.irq_off = um_irq_off,
	.irq_mask = um_irq_mask,
	.reset = um_reset,
	.bus_master = um_bus_master,
	.dma_page = SL_UIO_MSIX_PAGE,
	.dma_alloc = um_dma_alloc,
	.dma_pin = um_dma_pin,
	.dma_free = um_dma_free,
	.event = um_event,
	.check = um_check,
};
