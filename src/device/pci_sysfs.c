/* SPDX-License-Identifier: BSD-2-Clause */
/* What sysfs says of PCI devices: Documentation/ABI/testing/sysfs-bus-pci of the kernel. */
#include "device/pci_sysfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "device/pci_resource.h"

/*
 * Lists of addresses.
 */

struct list {
	struct sl_pci_addr *addrs;
	size_t n, room;
};

/* What is no address is nothing of ours: a group may hold other things than PCI devices. */
static int list_add(void *ctx, const char *name)
{
	struct list *list = ctx;
	struct sl_pci_addr addr, *more;

	if (sl_pci_addr_parse(name, &addr))
		return 0;
	if (list->n == list->room) {
		list->room = list->room ? 2 * list->room : 16;
		more = realloc(list->addrs, list->room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		list->addrs = more;
	}
	list->addrs[list->n++] = addr;
	return 0;
}

static uint64_t order(const struct sl_pci_addr *a)
{
	return (uint64_t)a->domain << 24 | (uint64_t)a->bus << 16 | (uint64_t)a->device << 8 |
	       a->function;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = order(a), y = order(b);

	return x < y ? -1 : x > y;
}

static int list_folder(const char *path, struct sl_pci_addr **addrs)
{
	struct list list = {NULL};
	int ret = sl_folder_each(path, list_add, &list);

	if (ret) {
		free(list.addrs);
		return ret;
	}
	if (list.n)
		qsort(list.addrs, list.n, sizeof(*list.addrs), compare);
	*addrs = list.addrs;
	return (int)list.n;
}

int sl_pci_list(const char *root, struct sl_pci_addr **addrs)
{
	char path[PATH_MAX];
	int ret = sl_path(path, root, "sys/bus/pci/devices");

	if (ret)
		return ret;
	ret = list_folder(path, addrs);
	if (ret == -ENOENT)
		return sl_fail(ENOENT, "there is no PCI on this machine: no %s", path);
	if (ret < 0)
		return sl_fail(-ret, "cannot read %s: %s", path, strerror(-ret));
	return ret;
}

int sl_pci_group(const char *root, const struct sl_pci_addr *addr, struct sl_pci_addr **members)
{
	char path[PATH_MAX], text[SL_PCI_ADDR_SIZE];
	int ret = sl_pci_path(path, root, addr, "iommu_group/devices");

	if (ret)
		return ret;
	ret = list_folder(path, members);
	sl_pci_addr_format(addr, text);
	if (ret == -ENOENT)
		return sl_fail(ENOENT, "%s is in no IOMMU group", text);
	if (ret < 0)
		return sl_fail(-ret, "cannot read %s: %s", path, strerror(-ret));
	return ret;
}

/*
 * One device.
 */

/* Where it is read from; the first thing that makes no sense. */
struct reading {
	const char *root;
	const struct sl_pci_addr *addr;
	int ret;
};

static void text(struct reading *r, const char *file, char *to, size_t room)
{
	char path[PATH_MAX];

	*to = '\0';
	if (!sl_pci_path(path, r->root, r->addr, file))
		sl_text_read(AT_FDCWD, path, to, room);
}

/* "0x8086": one without which a device is none. */
static uint32_t hex(struct reading *r, const char *file, uint32_t max)
{
	char line[16], path[PATH_MAX], *end = line;
	unsigned long n;
	int ret = sl_pci_path(path, r->root, r->addr, file);

	if (r->ret)
		return 0;
	if (!ret)
		ret = sl_text_read(AT_FDCWD, path, line, sizeof(line));
	if (ret < 0) {
		bool gone = ret == -ENOENT || ret == -ENODEV || ret == -ELOOP || ret == -ENOTDIR;

		r->ret = sl_fail(gone ? ENODEV : -ret, "cannot read %s: %s", path, strerror(-ret));
		return 0;
	}
	n = strncmp(line, "0x", 2) ? 0 : strtoul(line, &end, 16);
	if (end == line || *end || n > max)
		r->ret = sl_fail(EINVAL, "%s holds \"%s\", which is no number up to 0x%x", path,
				 line, max);
	return (uint32_t)n;
}

/* One that may be missing: then, and when it makes no sense, it is -1. */
static int decimal(struct reading *r, const char *file)
{
	char line[16], *end;
	long n;

	text(r, file, line, sizeof(line));
	n = strtol(line, &end, 10);
	return end == line || *end || n < 0 || n > INT_MAX ? -1 : (int)n;
}

static void link_of(struct reading *r, const char *file, char *to, size_t room)
{
	char path[PATH_MAX];

	*to = '\0';
	if (!sl_pci_path(path, r->root, r->addr, file))
		sl_link_name(AT_FDCWD, path, to, room);
}

static void read_links(struct reading *r, struct sl_pci_info *info)
{
	char group[16], path[PATH_MAX], *end;
	long n;

	link_of(r, "driver", info->driver, sizeof(info->driver));
	link_of(r, "iommu_group", group, sizeof(group));
	n = strtol(group, &end, 10);
	info->iommu_group = end == group || *end || n < 0 || n > INT_MAX ? -1 : (int)n;
	if (!sl_pci_path(path, r->root, r->addr, "msi_irqs"))
		info->msi_irqs = sl_folder_count(path);
}

static void read_resources(struct reading *r, struct sl_pci_info *info)
{
	char path[PATH_MAX], lines[2048]; /* 17 lines of 57 bytes */
	int ret = sl_pci_path(path, r->root, r->addr, "resource");

	if (r->ret)
		return;
	if (!ret)
		ret = sl_text_read(AT_FDCWD, path, lines, sizeof(lines));
	if (ret < 0)
		r->ret = sl_fail(-ret, "cannot read %s: %s", path, strerror(-ret));
	else
		r->ret = sl_pci_resource_parse(lines, info->resources);
}

int sl_pci_get_info(const char *root, const struct sl_pci_addr *addr, struct sl_pci_info *info)
{
	char path[PATH_MAX], text_of[SL_PCI_ADDR_SIZE];
	struct reading r = {root, addr, sl_pci_path(path, root, addr, "")};

	*info = (struct sl_pci_info){.addr = *addr, .iommu_group = -1};
	if (!r.ret && access(path, F_OK)) {
		sl_pci_addr_format(addr, text_of);
		return sl_fail(ENODEV, "there is no PCI device %s: sluice devices lists all",
			       text_of);
	}
	info->vendor = (uint16_t)hex(&r, "vendor", UINT16_MAX);
	info->device = (uint16_t)hex(&r, "device", UINT16_MAX);
	info->subsystem_vendor = (uint16_t)hex(&r, "subsystem_vendor", UINT16_MAX);
	info->subsystem_device = (uint16_t)hex(&r, "subsystem_device", UINT16_MAX);
	info->class_code = hex(&r, "class", 0xffffff);
	info->revision = (uint8_t)hex(&r, "revision", UINT8_MAX);
	read_resources(&r, info);
	if (r.ret)
		return r.ret;
	info->numa_node = decimal(&r, "numa_node");
	info->enabled = decimal(&r, "enable");
	text(&r, "driver_override", info->driver_override, sizeof(info->driver_override));
	if (!strcmp(info->driver_override, "(null)"))
		info->driver_override[0] = '\0';
	text(&r, "reset_method", info->reset_methods, sizeof(info->reset_methods));
	text(&r, "power_state", info->power_state, sizeof(info->power_state));
	read_links(&r, info);
	return 0;
}
