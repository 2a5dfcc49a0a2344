/* SPDX-License-Identifier: BSD-2-Clause */
/* Does the system itself live on a device: its default route, a mounted disk, swap? */
#ifndef SL_DEVICE_PCI_USE_H
#define SL_DEVICE_PCI_USE_H

#include <stdbool.h>

#include <sluice/pci.h>

/*
 * 0 when not. -EBUSY when it does, another negative errno when that cannot be told; each with a
 * sentence. @ask_kernel: also open disks exclusively for a moment, which finds whatever another
 * mount namespace, ZFS or a program holds. Routes are those of this network namespace.
 */
int sl_pci_in_use(const char *root, const struct sl_pci_addr *addr, bool ask_kernel);

#endif
