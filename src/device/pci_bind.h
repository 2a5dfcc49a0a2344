/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which driver has a device. The one it had before the first change is remembered in
 * run/sluice/bind/ADDRESS below the root: it outlives the process, and ends with the boot like
 * the kernel's own memory of it.
 */
#ifndef SL_DEVICE_PCI_BIND_H
#define SL_DEVICE_PCI_BIND_H

#include <stdbool.h>

#include <sluice/pci.h>

/*
 * Give a device to @driver and see that it took it; else the device is given back. 0 as well when
 * that has it already. -EBUSY when the system lives on the device, unless @force; -ENOENT when
 * there is no such driver.
 */
int sl_pci_bind(const char *root, const struct sl_pci_addr *addr, const char *driver, bool force);

/* Take it from its driver, and leave it with none. */
int sl_pci_unbind(const char *root, const struct sl_pci_addr *addr, bool force);

/* Give it back to the driver that was remembered, or to none. -ENOENT when none was. */
int sl_pci_restore(const char *root, const struct sl_pci_addr *addr, bool force);

#endif
