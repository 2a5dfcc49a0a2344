/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice show: what is shown of a device, as text or as JSON. */
#ifndef SL_CLI_SHOW_DEVICE_H
#define SL_CLI_SHOW_DEVICE_H

#include "cli/device.h"
#include "device/pci_memory.h"

/* Flags of a resource (linux/ioport.h). */
#define SL_RESOURCE_PREFETCH 0x2000
#define SL_RESOURCE_MEM64    0x100000

/*
 * @members:      of its IOMMU group; @n_members negative for none
 * @memory:       what --restore would give it, if @remembered
 * @in_use:       what the system has on it; empty for nothing
 * @msix_problem: what is wrong with the place of the MSI-X table; empty for nothing
 */
struct shown {
	struct device d;
	struct sl_pci_addr *members;
	int n_members;
	bool remembered;
	struct sl_pci_memory memory;
	char in_use[512], msix_problem[256];
};

/* Who has a member of the group; empty for nobody. */
const char *sl_shown_driver(const struct sl_pci_addr *addr, struct sl_pci_info *info);

void sl_shown_json(const struct shown *shown);

#endif
