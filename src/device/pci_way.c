/* SPDX-License-Identifier: BSD-2-Clause */
/* For each way to drive a device: does it work now, and if not, the first thing in its way. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "device/pci_sysfs.h"

struct asking {
	const char *root;
	const struct sl_pci_addr *addr;
	char name[SL_PCI_ADDR_SIZE];
	struct sl_pci_info info;
	struct sl_pci_config config;
};

static bool there(const struct asking *a, const char *file)
{
	char path[PATH_MAX];

	return !sl_path(path, a->root, "%s", file) && !access(path, F_OK);
}

/* Is the device with @driver? */
static int check_bound(const struct asking *a, const char *driver)
{
	char path[64];

	if (!strcmp(a->info.driver, driver))
		return 0;
	snprintf(path, sizeof(path), "sys/bus/pci/drivers/%s", driver);
	if (!there(a, path))
		return sl_fail(ENOENT, "%s is not loaded: modprobe %s", driver, driver);
	return sl_fail(EBUSY, "bound to %s: sluice bind %s %s",
		       *a->info.driver ? a->info.driver : "no driver", a->name, driver);
}

static int check_node(const char *path)
{
	int ret = sl_path_access(path);

	if (ret == -ENOENT)
		return sl_fail(ENOENT, "%s is not there: give it to this container", path);
	if (ret)
		return sl_fail(-ret, "%s is not yours to read and write: as root, chown $USER %s",
			       path, path);
	return 0;
}

/*
 * VFIO.
 */

/*
 * May a driver of the kernel be beside us in a group? Those that leave DMA alone or hand it to
 * user space (driver_managed_dma): vfio-pci and its variants, pci-stub, pcieport.
 */
static bool leaves_dma(const char *driver)
{
	return !*driver || strstr(driver, "vfio") || !strcmp(driver, "pci-stub") ||
	       !strcmp(driver, "pcieport");
}

static int check_members(const struct asking *a, const struct sl_pci_addr *members, int n)
{
	char driver[64], name[SL_PCI_ADDR_SIZE], path[PATH_MAX];

	for (int i = 0; i < n; i++) {
		if (sl_pci_path(path, a->root, &members[i], "driver"))
			continue;
		sl_link_name(AT_FDCWD, path, driver, sizeof(driver));
		sl_pci_addr_format(&members[i], name);
		if (strcmp(name, a->name) && !leaves_dma(driver))
			return sl_fail(EBUSY,
				       "IOMMU group %d is not viable: %s is still bound to %s",
				       a->info.iommu_group, name, driver);
	}
	return 0;
}

static int check_group(const struct asking *a)
{
	struct sl_pci_addr *members = NULL;
	int ret = sl_pci_group(a->root, a->addr, &members);

	if (ret >= 0)
		ret = check_members(a, members, ret);
	free(members);
	return ret;
}

static int no_group(const struct asking *a)
{
	char path[PATH_MAX];

	if (!sl_path(path, a->root, "sys/kernel/iommu_groups") && sl_folder_count(path))
		return sl_fail(ENODEV, "no IOMMU stands before this device");
	return sl_fail(ENODEV, "no IOMMU: turn on VT-d or AMD-Vi in the firmware, boot with "
			       "intel_iommu=on");
}

/* /dev/vfio/vfio and /dev/vfio/GROUP: what all kernels had before 6.6 */
static int check_group_nodes(const struct asking *a)
{
	char path[PATH_MAX];
	int ret = sl_path(path, a->root, "dev/vfio/vfio");

	if (!ret)
		ret = check_node(path);
	if (!ret)
		ret = sl_path(path, a->root, "dev/vfio/%d", a->info.iommu_group);
	return ret ? ret : check_node(path);
}

/* /dev/iommu and /dev/vfio/devices/vfioN */
static int check_iommufd_nodes(const struct asking *a)
{
	char path[PATH_MAX];
	int ret = sl_path(path, a->root, "dev/iommu");

	if (!ret)
		ret = check_node(path);
	if (!ret)
		ret = sl_vfio_node(a->root, a->addr, path);
	return ret ? ret : check_node(path);
}

/* The first of both that works; else what is in the way of groups, where the kernel has them. */
static int check_nodes(const struct asking *a)
{
	char path[PATH_MAX];

	if (!check_iommufd_nodes(a))
		return 0;
	if (there(a, "dev/vfio/vfio") || sl_vfio_node(a->root, a->addr, path))
		return check_group_nodes(a);
	return check_iommufd_nodes(a);
}

static int check_vfio(const struct asking *a)
{
	int ret;

	if (a->info.iommu_group < 0)
		return no_group(a);
	ret = check_bound(a, "vfio-pci");
	if (!ret)
		ret = check_group(a);
	return ret ? ret : check_nodes(a);
}

/*
 * Without an IOMMU.
 */

/* [none] integrity confidentiality: with one of the latter BARs in sysfs cannot be mapped. */
static int check_lockdown(const struct asking *a)
{
	char path[PATH_MAX], line[64];
	int ret = sl_path(path, a->root, "sys/kernel/security/lockdown");

	if (!ret && sl_text_read(AT_FDCWD, path, line, sizeof(line)) > 0 && !strstr(line, "[none]"))
		ret = sl_fail(EPERM,
			      "kernel lockdown (%s) refuses BARs to all programs: turn off "
			      "Secure Boot, or use vfio-pci",
			      line);
	return ret;
}

/* CapEff of this process. */
static int check_capability(const struct asking *a, unsigned bit, const char *what)
{
	char path[PATH_MAX], status[8192];
	const char *line;
	int ret = sl_path(path, a->root, "proc/self/status");

	if (ret)
		return ret;
	if (sl_text_read(AT_FDCWD, path, status, sizeof(status)) < 0)
		return sl_fail(EIO, "cannot read %s", path);
	line = strstr(status, "\nCapEff:");
	if (!line || !(strtoull(line + 8, NULL, 16) >> bit & 1))
		return sl_fail(EPERM, "needs %s: run as root", what);
	return 0;
}

/*
 * uio_msix.
 */

/* The module's parameters are files: Y or N. */
static bool is_on(const struct asking *a, const char *parameter)
{
	char path[PATH_MAX], line[8] = "";

	return !sl_path(path, a->root, "sys/module/uio_msix/parameters/%s", parameter) &&
	       sl_text_read(AT_FDCWD, path, line, sizeof(line)) > 0 && *line == 'Y';
}

/* A virtual function has a link to its physical one. */
static int check_virtual(const struct asking *a)
{
	char path[PATH_MAX];
	int ret = sl_pci_path(path, a->root, a->addr, "physfn");

	if (ret || access(path, F_OK) || is_on(a, "allow_vf"))
		return ret;
	return sl_fail(EPERM, "a virtual function, which nothing keeps from memory that is not "
			      "its own: use vfio-pci, or load uio_msix with allow_vf=1");
}

static int check_uio_msix(const struct asking *a)
{
	char path[PATH_MAX];
	int ret = check_lockdown(a);

	if (!ret)
		ret = check_virtual(a);
	if (!ret && strcmp(a->info.driver, "uio_msix") && !there(a, "sys/bus/pci/drivers/uio_msix"))
		ret = sl_fail(ENOENT, "uio_msix, a module that comes with sluice, is not loaded: "
				      "modprobe uio_msix");
	if (!ret)
		ret = check_bound(a, "uio_msix");
	if (!ret)
		ret = check_capability(a, 17, "CAP_SYS_RAWIO, for the device reaches all memory");
	if (!ret)
		ret = sl_path(path, a->root, "dev/uio_msix/%s", a->name);
	return ret ? ret : check_node(path);
}

/*
 * UIO.
 */

/* What the device would need for DMA is a physical address; an IOMMU that translates knows none. */
static int check_identity(const struct asking *a)
{
	char path[PATH_MAX], type[32];
	int ret = sl_pci_path(path, a->root, a->addr, "iommu_group/type");

	if (!ret && sl_text_read(AT_FDCWD, path, type, sizeof(type)) > 0 &&
	    strcmp(type, "identity"))
		ret = sl_fail(EPERM,
			      "an IOMMU translates its addresses (%s): use vfio-pci, or boot "
			      "with iommu=pt",
			      type);
	return ret;
}

/* Physical addresses of memory are shown to CAP_SYS_ADMIN alone (21). */
static int check_privilege(const struct asking *a)
{
	char path[PATH_MAX];
	int ret = check_capability(a, 21, "CAP_SYS_ADMIN, which knows where memory lies");

	if (ret)
		return ret;
	ret = sl_pci_path(path, a->root, a->addr, "config");
	if (!ret && sl_path_access(path))
		ret = sl_fail(EACCES,
			      "%s is not yours to read and write: run as root, outside of "
			      "a container",
			      path);
	return ret;
}

static int check_uio_node(const struct asking *a)
{
	char path[PATH_MAX], node[32];
	int ret = sl_uio_node(a->root, a->addr, node, sizeof(node));

	if (!ret)
		ret = sl_path(path, a->root, "dev/%s", node);
	return ret ? ret : check_node(path);
}

static int check_uio(const struct asking *a)
{
	int ret;

	if (!a->config.intx)
		return sl_fail(ENODEV, "no INTx, which is all that uio_pci_generic has");
	ret = check_lockdown(a);
	if (!ret)
		ret = check_identity(a);
	if (!ret)
		ret = check_bound(a, "uio_pci_generic");
	if (!ret)
		ret = check_privilege(a);
	return ret ? ret : check_uio_node(a);
}

static int check_any(const struct asking *a)
{
	char vfio[192], uio_msix[192];
	int ret = check_vfio(a);

	if (!ret)
		return 0;
	snprintf(vfio, sizeof(vfio), "%s", sl_reason());
	if (!check_uio_msix(a))
		return 0;
	snprintf(uio_msix, sizeof(uio_msix), "%s", sl_reason());
	if (!check_uio(a))
		return 0;
	return sl_fail(-ret, "vfio: %s; uio_msix: %s; uio: %s", vfio, uio_msix, sl_reason());
}

int sl_pci_usable(const char *root, const struct sl_pci_addr *addr, enum sl_pci_way way)
{
	uint8_t bytes[SL_PCI_CONFIG_MAX];
	struct asking a = {.root = root, .addr = addr};
	int ret = sl_pci_get_info(root, addr, &a.info);

	sl_pci_addr_format(addr, a.name);
	if (ret)
		return ret;
	ret = sl_pci_config_read(root, addr, bytes);
	if (ret >= 0)
		ret = sl_pci_config_decode(bytes, (size_t)ret, &a.config);
	if (ret)
		return ret;
	if (sl_pci_is_bridge(&a.config))
		return sl_fail(EINVAL, "a bridge, which no program drives");
	if (way == SL_PCI_AUTO)
		return check_any(&a);
	if (way == SL_PCI_VFIO)
		return check_vfio(&a);
	if (way == SL_PCI_UIO_MSIX)
		return check_uio_msix(&a);
	if (way == SL_PCI_UIO)
		return check_uio(&a);
	return sl_fail(EINVAL, "there is no way %d to drive a device", (int)way);
}
