/* SPDX-License-Identifier: BSD-2-Clause */
/* What a device was like before sluice bound it: a file of four lines. */
#ifndef SL_DEVICE_PCI_MEMORY_H
#define SL_DEVICE_PCI_MEMORY_H

#include <sluice/pci.h>

/*
 * @driver, @override: what it had; empty for none
 * @taken:             the driver that sluice gave it last; empty for none
 */
struct sl_pci_memory {
	uint16_t vendor, device;
	char driver[64], override[64], taken[64];
};

/* 0; -ENOENT when nothing is remembered of it, -EINVAL when the file makes no sense. */
int sl_pci_remembered(const char *root, const struct sl_pci_addr *addr,
		      struct sl_pci_memory *memory);

int sl_pci_remember(const char *root, const struct sl_pci_addr *addr,
		    const struct sl_pci_memory *memory);

void sl_pci_forget(const char *root, const struct sl_pci_addr *addr);

/* May this stand in a file name and in a line? Drivers' names are letters, digits, '-', '_', '.'.
 */
bool sl_pci_driver_name(const char *name);

#endif
