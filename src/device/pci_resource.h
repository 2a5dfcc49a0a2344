/* SPDX-License-Identifier: BSD-2-Clause */
/* The file `resource` of a PCI device in sysfs. */
#ifndef SL_DEVICE_PCI_RESOURCE_H
#define SL_DEVICE_PCI_RESOURCE_H

#include <sluice/pci.h>

/*
 * One line a resource: start, end (inclusive) and flags in hex. The BARs, the ROM, then those of
 * SR-IOV and of bridges, which are checked and forgotten. 0, or -EINVAL and resources of length 0.
 */
int sl_pci_resource_parse(const char *text, struct sl_pci_resource resources[SL_PCI_RESOURCES]);

#endif
