/* SPDX-License-Identifier: BSD-2-Clause */
/* Port pci: a NIC, driven from here. Which driver it gets; the rest is the driver's. */
#include <stdio.h>

#include <sluice/device.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/reason.h"
#include "port/kinds.h"
#include "port/nic/nic.h"

/* A new driver is a file in nic/ and a row here. */
static const struct nic_driver *const drivers[] = {
	&sl_nic_e1000e,
	&sl_nic_virtio_net,
};

static int fail_unknown(const char *addr, const struct sl_pci_info *pci)
{
	char list[256] = "";

	for (size_t i = 0; i < sl_array_len(drivers); i++) {
		size_t used = strlen(list);

		snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", drivers[i]->name);
	}
	return sl_fail(EOPNOTSUPP,
		       "%s: there is no driver for a device %04x:%04x; there is one for: %s", addr,
		       pci->vendor, pci->device, list);
}

static const struct nic_driver *find_driver(const struct sl_pci_info *pci)
{
	for (size_t i = 0; i < sl_array_len(drivers); i++)
		for (const struct nic_id *id = drivers[i]->ids; id->vendor; id++)
			if (id->vendor == pci->vendor && id->device == pci->device)
				return drivers[i];
	return NULL;
}

/* Before the device is taken: it need not be reset to hear that nobody can drive it. */
static int choose(const char *addr, const struct nic_driver **driver)
{
	struct sl_pci_addr at;
	struct sl_pci_info pci;
	int ret = sl_pci_addr_parse(addr, &at);

	if (!ret)
		ret = sl_pci_get_info(NULL, &at, &pci);
	if (ret)
		return ret;
	*driver = find_driver(&pci);
	return *driver ? 0 : fail_unknown(addr, &pci);
}

static int pci_open(const struct sl_args *args, const struct sl_log *log, struct sl_port **out)
{
	const char *addr = sl_args_text(args, "device", 0);
	struct sl_device_options options = {
		.via = (enum sl_pci_way)sl_args_uint(args, "via", SL_PCI_AUTO),
		.force = sl_args_bool(args, "force", false),
	};
	struct nic_options nic = {
		.queues = (unsigned)sl_args_uint(args, "queues", 0),
		.promisc = sl_args_bool(args, "promisc", false),
	};
	const struct nic_driver *driver;
	struct sl_device *dev;
	int ret = choose(addr, &driver);

	if (!ret)
		ret = sl_device_open(addr, &options, &dev);
	if (ret)
		return ret;
	sl_log(log, SL_LOG_INFO, "%s: %s, %s", addr, driver->name,
	       sl_device_get_info(dev)->backend);
	return driver->open(dev, &nic, log, out);
}

static const struct sl_param pci_params[] = {
	{"device", SL_PARAM_DEVICE, SL_PARAM_REQUIRED | SL_PARAM_IDENTITY | SL_PARAM_FIRST, 1, 17,
	 "DEVICE", "its PCI address, such as 0000:00:03.0"},
	{"via", SL_PARAM_WORD, 0, 0, 0, "auto|vfio|uio_msix|uio",
	 "how it is driven (the first of these that works)"},
	{"queues", SL_PARAM_UINT, 0, 1, NIC_QUEUES, "N", "queues, as many as it has at most (1)"},
	{"promisc", SL_PARAM_BOOL, 0, 0, 1, "on|off", "receive what is for others as well (off)"},
	{"force", SL_PARAM_BOOL, 0, 0, 1, "on|off",
	 "over uio_msix: though it was not reset since its last user (off)"},
	{NULL},
};

const struct sl_port_ops sl_port_pci = {
	.size = sizeof(struct sl_port_ops),
	.kind = "pci",
	.help = "a NIC on the PCI bus, driven from here",
	.params = pci_params,
	.open = pci_open,
};
