/* SPDX-License-Identifier: BSD-2-Clause */
/* A device: which back end it gets, and what is alike in all of them. docs/drive.md. */
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "device/backend.h"
#include "device/device_private.h"

/* Of a space that is the device's own. */
struct sl_own_limits {
	struct sl_iova_range range;
	struct sl_iova_limits limits;
};

static bool any_vfio(const struct sl_device_fds *fds)
{
	return fds->container >= 0 || fds->group >= 0 || fds->iommufd >= 0 || fds->device >= 0;
}

static bool given(const struct sl_device_fds *fds, enum sl_pci_way way)
{
	if (way == SL_PCI_VFIO)
		return any_vfio(fds);
	return way == SL_PCI_UIO_MSIX ? fds->uio_msix >= 0 : fds->uio >= 0;
}

/* Which way? With descriptors of the caller's there is nothing to ask: opening it will tell. */
static int decide(const struct sl_pci_addr *addr, const struct sl_device_options *options,
		  enum sl_pci_way *via)
{
	bool any = options->via == SL_PCI_AUTO;
	enum sl_pci_way way;

	for (way = SL_PCI_VFIO; way <= SL_PCI_UIO && options->fds; way++) {
		if ((any || way == options->via) && given(options->fds, way)) {
			*via = way;
			return 0;
		}
	}
	for (way = SL_PCI_VFIO; way <= SL_PCI_UIO && any; way++) {
		if (!sl_pci_usable(options->root, addr, way)) {
			*via = way;
			return 0;
		}
	}
	*via = any ? SL_PCI_VFIO : options->via;
	return sl_pci_usable(options->root, addr, options->via); /* of AUTO: what all say */
}

static int read_config(struct sl_device *dev)
{
	uint8_t bytes[SL_PCI_CONFIG_MAX];
	struct sl_device_region region;
	int ret = dev->backend->get_region(dev, SL_DEVICE_CONFIG, &region);

	if (!ret && region.len > sizeof(bytes))
		region.len = sizeof(bytes);
	if (!ret)
		ret = dev->backend->read(dev, SL_DEVICE_CONFIG, 0, (unsigned)region.len, bytes);
	return ret ? ret : sl_pci_config_decode(bytes, region.len, &dev->info.config);
}

static int open_with(struct sl_device *head, const struct sl_device_options *options,
		     struct sl_device **out)
{
	static const struct sl_backend *const backends[] = {
		[SL_PCI_VFIO] = &sl_backend_vfio,
		[SL_PCI_UIO_MSIX] = &sl_backend_uio_msix,
		[SL_PCI_UIO] = &sl_backend_uio,
	};
	struct sl_device *dev;
	int ret;

	head->backend = backends[head->info.via];
	ret = head->backend->open(head, options, &dev);
	if (ret)
		return ret;
	ret = read_config(dev);
	if (!ret)
		ret = sl_device_bus_master(dev, false);
	if (ret) {
		dev->own_space = NULL; /* the caller's to release */
		dev->own_limits = NULL;
		sl_device_close(dev);
		return ret;
	}
	*out = dev;
	return 0;
}

/* Address 0 stays free: too many take it for "none". */
static int own_space(struct sl_device *head, unsigned bits)
{
	struct sl_own_limits *own = calloc(1, sizeof(*own));

	head->own_limits = own;
	if (!own)
		return sl_fail(ENOMEM, "no memory for a space");
	own->range = (struct sl_iova_range){{0x1000}, {UINT64_MAX >> (bits ? 64 - bits : 0)}};
	own->limits = (struct sl_iova_limits){.ranges = &own->range, .n_ranges = 1};
	return sl_space_create(&own->limits, &head->own_space);
}

static int choose_space(struct sl_device *head, const struct sl_device_options *options)
{
	unsigned bits = options->dma_bits;
	int ret = 0;

	if (bits && (bits < 16 || bits > 64))
		return sl_fail(EINVAL, "an address of %u bits: 16 to 64 are possible", bits);
	if (bits && options->space)
		return sl_fail(EINVAL, "how many bits an address has is for a space of its own; "
				       "this one has limits");
	if (!options->space)
		ret = own_space(head, bits);
	head->space = options->space ? options->space : head->own_space;
	return ret;
}

int sl_device_open(const char *addr, const struct sl_device_options *options,
		   struct sl_device **out)
{
	static const struct sl_device_options defaults;
	struct sl_device head = {.name = ""};
	struct sl_pci_addr at;
	int ret = sl_pci_addr_parse(addr, &at);

	if (!options)
		options = &defaults;
	if (ret)
		return sl_fail(EINVAL,
			       "\"%.32s\" is no address of a PCI device, as 0000:00:03.0 is", addr);
	sl_pci_addr_format(&at, head.name);
	ret = sl_pci_get_info(options->root, &at, &head.info.pci);
	if (!ret)
		ret = decide(&at, options, &head.info.via);
	if (!ret)
		ret = choose_space(&head, options);
	if (!ret)
		ret = open_with(&head, options, out);
	if (!ret)
		return 0;
	sl_space_release(head.own_space);
	free(head.own_limits);
	if (!strncmp(sl_reason(), head.name, strlen(head.name)))
		return ret;
	return sl_fail(-ret, "%s: %s", head.name, sl_reason());
}

void sl_device_close(struct sl_device *dev)
{
	struct sl_own_limits *limits;
	struct sl_space *own;

	if (!dev)
		return;
	own = dev->own_space;
	limits = dev->own_limits;
	sl_device_bus_master(dev, false);
	sl_device_irq_remove_all(dev);
	for (unsigned bar = 0; bar < SL_PCI_BARS; bar++)
		if (dev->mmio[bar].base)
			munmap(dev->mmio[bar].base, dev->mmio[bar].len);
	dev->backend->close(dev);
	sl_space_release(own);
	free(limits);
}

const struct sl_device_info *sl_device_get_info(const struct sl_device *dev)
{
	return &dev->info;
}

struct sl_space *sl_device_space(const struct sl_device *dev)
{
	return dev->space;
}

/*
 * An absent device answers with ones. VFIO does not show that of all bits: ids and "INTx disable"
 * are from a copy of its own (vfio_pci_config.c: init_pci_cap_basic_perm()). No device has ones in
 * what is left of the command register: bits 11 to 15 are reserved (PCI 3.0, 6.2.2).
 */
static int read_command(struct sl_device *dev, uint64_t *command)
{
	int ret = sl_device_read(dev, SL_DEVICE_CONFIG, PCI_COMMAND, 2, command);

	if (!ret && (*command | PCI_COMMAND_INTX_DISABLE) == UINT16_MAX)
		ret = sl_fail(ENODEV, "%s does not answer any more", dev->name);
	return ret;
}

int sl_device_bus_master(struct sl_device *dev, bool on)
{
	uint64_t command;
	int ret = read_command(dev, &command);

	if (ret)
		return ret;
	if (dev->backend->bus_master)
		return dev->backend->bus_master(dev, on);
	if (on)
		command |= PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY;
	else
		command &= ~(uint64_t)PCI_COMMAND_MASTER;
	return sl_device_write(dev, SL_DEVICE_CONFIG, PCI_COMMAND, 2, command);
}

/* The kernel tries them in this order; "device_specific acpi flr af_flr pm bus" at most. */
static const char *reset_method(struct sl_device *dev)
{
	const char *methods = dev->info.pci.reset_methods;

	snprintf(dev->reset_method, sizeof(dev->reset_method), "%.*s", (int)strcspn(methods, " "),
		 methods);
	return *dev->reset_method ? dev->reset_method : "unknown";
}

int sl_device_reset(struct sl_device *dev, const char **how)
{
	int ret = dev->backend->reset(dev);

	if (!ret)
		ret = sl_device_bus_master(dev, false);
	if (!ret && how)
		*how = reset_method(dev);
	return ret;
}

int sl_device_event(const struct sl_device *dev)
{
	return dev->backend->event ? dev->backend->event(dev) : -1;
}

int sl_device_check(struct sl_device *dev)
{
	uint64_t command;
	int ret = dev->backend->check ? dev->backend->check(dev) : 0;

	return ret ? ret : read_command(dev, &command);
}
