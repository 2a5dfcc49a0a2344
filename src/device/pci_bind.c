/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * By driver_override and drivers_probe: no ids are added to a driver, so no other device can
 * follow. Each write to sysfs returns when the kernel is done; what came of it is read again.
 */
#include "device/pci_bind.h"

#include <stdio.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "device/pci_memory.h"
#include "device/pci_sysfs.h"
#include "device/pci_use.h"

/* A device that is to change hands. */
struct change {
	const char *root;
	const struct sl_pci_addr *addr;
	char name[SL_PCI_ADDR_SIZE];
	struct sl_pci_info info; /* as it was */
	bool remembered;	 /* what it was like before sluice bound it first: @before */
	struct sl_pci_memory before;
};

static int write_device(const struct change *c, const char *file, const char *text)
{
	char path[PATH_MAX];
	int ret = sl_pci_path(path, c->root, c->addr, file);

	return ret ? ret : sl_text_write(path, text);
}

/* An empty line takes the override away. */
static int set_override(const struct change *c, const char *driver)
{
	return write_device(c, "driver_override", *driver ? driver : "\n");
}

static void driver_now(const struct change *c, char driver[64])
{
	char path[PATH_MAX];

	*driver = '\0';
	if (!sl_pci_path(path, c->root, c->addr, "driver"))
		sl_link_name(AT_FDCWD, path, driver, 64);
}

static int take_away(const struct change *c)
{
	char driver[64];
	int ret;

	driver_now(c, driver);
	if (!*driver)
		return 0;
	ret = write_device(c, "driver/unbind", c->name);
	driver_now(c, driver);
	if (*driver)
		return ret ? ret : sl_fail(EIO, "%s: %s does not let go of it", c->name, driver);
	return 0;
}

static int is_loaded(const struct change *c, const char *driver)
{
	char path[PATH_MAX];
	int ret = sl_path(path, c->root, "sys/bus/pci/drivers/%s", driver);

	if (ret)
		return ret;
	if (access(path, F_OK))
		return sl_fail(ENOENT, "the kernel has no PCI driver %s loaded: modprobe %s",
			       driver, driver);
	return 0;
}

/* @driver, which must be loaded, and nobody else. */
static int give(const struct change *c, const char *driver)
{
	char path[PATH_MAX], now[64], why[256] = "";
	int ret = set_override(c, driver);

	if (!ret)
		ret = sl_path(path, c->root, "sys/bus/pci/drivers_probe");
	if (ret)
		return ret;
	ret = sl_text_write(path, c->name);
	if (ret)
		snprintf(why, sizeof(why), ": %s", sl_reason());
	driver_now(c, now);
	if (!strcmp(now, driver))
		return 0;
	if (*now)
		return sl_fail(EIO, "%s: %s took it, not %s", c->name, now, driver);
	return sl_fail(ret ? -ret : EIO,
		       "%s: %s did not take it%s; the last lines of dmesg may say why", c->name,
		       driver, why);
}

/* As it was: with its driver and its override. */
static int give_back(const struct change *c, const char *driver, const char *override)
{
	int ret = take_away(c);

	if (!ret && *driver)
		ret = is_loaded(c, driver);
	if (!ret && *driver)
		ret = give(c, driver);
	if (!ret)
		ret = set_override(c, override);
	return ret;
}

/* As if nothing had been tried. */
static void remember_as_before(const struct change *c)
{
	if (c->remembered)
		sl_pci_remember(c->root, c->addr, &c->before);
	else
		sl_pci_forget(c->root, c->addr);
}

/* The sentence of what failed, and what became of the device. */
static int undo(const struct change *c, int ret)
{
	char why[512];
	const char *driver = c->info.driver;

	snprintf(why, sizeof(why), "%s", sl_reason());
	if (give_back(c, driver, c->info.driver_override))
		return sl_fail(-ret, "%s; and it could not be given back to %s: %.256s", why,
			       *driver ? driver : "no driver", sl_reason());
	remember_as_before(c);
	return sl_fail(-ret, "%s; it is back with %s", why, *driver ? driver : "no driver");
}

/*
 * What was remembered counts as long as the device is where sluice has put it: with the driver it
 * was given, or with none. Otherwise somebody else has bound it since, or it is another device.
 */
static bool is_remembered(struct change *c)
{
	const struct sl_pci_memory *m = &c->before;

	return !sl_pci_remembered(c->root, c->addr, &c->before) && m->vendor == c->info.vendor &&
	       m->device == c->info.device &&
	       (!*c->info.driver || !strcmp(c->info.driver, m->taken));
}

static int start(struct change *c, const char *root, const struct sl_pci_addr *addr)
{
	uint8_t bytes[SL_PCI_CONFIG_MAX];
	struct sl_pci_config config;
	int ret;

	*c = (struct change){.root = root, .addr = addr};
	sl_pci_addr_format(addr, c->name);
	ret = sl_pci_get_info(root, addr, &c->info);
	if (ret)
		return ret;
	c->remembered = is_remembered(c);
	ret = sl_pci_config_read(root, addr, bytes);
	if (ret >= 0)
		ret = sl_pci_config_decode(bytes, (size_t)ret, &config);
	if (!ret && sl_pci_is_bridge(&config))
		ret = sl_fail(EINVAL, "%s is a bridge: whatever is behind it would vanish",
			      c->name);
	return ret;
}

static int refuse_if_used(const struct change *c, bool force)
{
	int ret = force ? 0 : sl_pci_in_use(c->root, c->addr, true);
	char why[512];

	if (!ret)
		return 0;
	snprintf(why, sizeof(why), "%s", sl_reason());
	return sl_fail(-ret, "%s; it is left alone unless forced", why);
}

static int remember(const struct change *c, const char *taken)
{
	struct sl_pci_memory m = {c->info.vendor, c->info.device};

	if (c->remembered) {
		m = c->before;
	} else {
		strcpy(m.driver, c->info.driver);
		strcpy(m.override, c->info.driver_override);
	}
	strcpy(m.taken, taken);
	return sl_pci_remember(c->root, c->addr, &m);
}

int sl_pci_bind(const char *root, const struct sl_pci_addr *addr, const char *driver, bool force)
{
	struct change c;
	int ret;

	if (!sl_pci_driver_name(driver))
		return sl_fail(EINVAL, "\"%.32s\" cannot be the name of a driver", driver);
	ret = start(&c, root, addr);
	if (ret || !strcmp(c.info.driver, driver))
		return ret;
	ret = is_loaded(&c, driver);
	if (!ret && !strcmp(driver, "vfio-pci") && c.info.iommu_group < 0)
		ret = sl_fail(ENODEV,
			      "%s is in no IOMMU group, without which vfio-pci takes nothing",
			      c.name);
	if (!ret)
		ret = refuse_if_used(&c, force);
	if (!ret)
		ret = remember(&c, driver);
	if (ret)
		return ret;
	ret = take_away(&c);
	if (!ret)
		ret = give(&c, driver);
	return ret ? undo(&c, ret) : 0;
}

int sl_pci_unbind(const char *root, const struct sl_pci_addr *addr, bool force)
{
	struct change c;
	int ret = start(&c, root, addr);

	if (ret || !*c.info.driver)
		return ret;
	ret = refuse_if_used(&c, force);
	if (!ret)
		ret = remember(&c, "");
	if (!ret)
		ret = take_away(&c);
	return ret;
}

int sl_pci_restore(const char *root, const struct sl_pci_addr *addr, bool force)
{
	struct sl_pci_memory m;
	struct change c;
	int ret = start(&c, root, addr);

	if (ret)
		return ret;
	ret = sl_pci_remembered(root, addr, &m);
	if (!ret && (m.vendor != c.info.vendor || m.device != c.info.device))
		ret = -ENOENT; /* it was exchanged for another */
	if (ret == -ENOENT)
		return sl_fail(ENOENT,
			       "%s: no driver is remembered, for sluice has not bound it: "
			       "sluice bind %s DRIVER",
			       c.name, c.name);
	if (!ret && *m.driver)
		ret = is_loaded(&c, m.driver);
	if (!ret && strcmp(c.info.driver, m.driver))
		ret = refuse_if_used(&c, force);
	if (ret)
		return ret;
	if (strcmp(c.info.driver, m.driver))
		ret = give_back(&c, m.driver, m.override);
	else
		ret = set_override(&c, m.override);
	if (!ret)
		sl_pci_forget(root, addr);
	return ret;
}
