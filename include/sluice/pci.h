/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI devices of this machine: which there are, and whether and how a program may drive them.
 *
 * Every function takes @root, the folder in which sys/, proc/, dev/ and run/ are; NULL for "/".
 */
#ifndef SLUICE_PCI_H
#define SLUICE_PCI_H

#include <stdint.h>

#include <sluice/pci_config.h>

#ifdef __cplusplus
extern "C" {
#endif

/** struct sl_pci_addr - where a device is: 0000:00:03.0 */
struct sl_pci_addr {
	uint32_t domain;
	uint8_t bus, device, function;
};

/* Room for an address as text, with its NUL. */
#define SL_PCI_ADDR_SIZE    17

#define SL_PCI_RESOURCES    (SL_PCI_BARS + 1) /* the last is the expansion ROM */
#define SL_PCI_RESOURCE_MEM 0x200	      /* a flag: memory, not I/O ports */

/**
 * struct sl_pci_resource - what a BAR names, as the kernel assigned it
 * @start: physical address, or I/O port
 * @len:   in bytes; 0 when there is none
 * @flags: SL_PCI_RESOURCE_MEM, and more that are the kernel's own
 */
struct sl_pci_resource {
	uint64_t start, len, flags;
};

/**
 * struct sl_pci_info - a device as the kernel knows it
 * @iommu_group:     its number, -1 for none
 * @numa_node:       -1 for none
 * @enabled:         how often it was enabled, -1 when the kernel does not say
 * @msi_irqs:        MSI and MSI-X vectors in use now
 * @driver:          which one has it; empty for none
 * @driver_override: the only driver that may have it; empty for any
 * @reset_methods:   words with blanks between, the first is tried first; empty for none
 * @power_state:     "D0", "D3cold" or the like; empty when the kernel does not say
 */
struct sl_pci_info {
	struct sl_pci_addr addr;
	uint16_t vendor, device, subsystem_vendor, subsystem_device;
	uint32_t class_code;
	uint8_t revision;
	int iommu_group, numa_node, enabled;
	unsigned msi_irqs;
	char driver[64], driver_override[64];
	char reset_methods[64];
	char power_state[16];
	struct sl_pci_resource resources[SL_PCI_RESOURCES];
};

/** enum sl_pci_way - how a program drives a device */
enum sl_pci_way {
	SL_PCI_AUTO,	 /* the first of these that works */
	SL_PCI_VFIO,	 /* vfio-pci: an IOMMU keeps the device within the program's memory */
	SL_PCI_UIO_MSIX, /* uio_msix: all interrupts, for who is trusted with all memory */
	SL_PCI_UIO,	 /* uio_pci_generic: one INTx interrupt, for the same */
};

/**
 * sl_pci_addr_parse() - read an address
 * @text: "0000:00:03.0", or "00:03.0" for one in domain 0
 * @addr: filled in
 *
 * Return: 0; -EINVAL when it is none.
 */
int sl_pci_addr_parse(const char *text, struct sl_pci_addr *addr);

/**
 * sl_pci_addr_format() - write an address as the kernel does
 * @addr: it
 * @text: filled in
 */
void sl_pci_addr_format(const struct sl_pci_addr *addr, char text[SL_PCI_ADDR_SIZE]);

/**
 * sl_pci_list() - all devices
 * @root:  see above
 * @addrs: their addresses in order, for free()
 *
 * Return: how many; -ENOENT when the kernel knows no PCI at all.
 */
int sl_pci_list(const char *root, struct sl_pci_addr **addrs);

/**
 * sl_pci_get_info() - what the kernel knows of a device
 * @root: see above
 * @addr: which
 * @info: filled in
 *
 * Return: 0; -ENODEV when there is no such device; -EINVAL when what the kernel says makes no
 * sense.
 */
int sl_pci_get_info(const char *root, const struct sl_pci_addr *addr, struct sl_pci_info *info);

/**
 * sl_pci_config_read() - a device's configuration space, for sl_pci_config_decode()
 * @root:  see above
 * @addr:  which
 * @bytes: filled in as far as there is something
 *
 * Return: how many bytes: 64 without CAP_SYS_ADMIN, else all there are; a negative errno.
 */
int sl_pci_config_read(const char *root, const struct sl_pci_addr *addr,
		       uint8_t bytes[SL_PCI_CONFIG_MAX]);

/**
 * sl_pci_group() - who shares the IOMMU group of a device
 * @root:    see above
 * @addr:    which
 * @members: their addresses in order, its own too; for free()
 *
 * Return: how many; -ENOENT when it is in no group.
 */
int sl_pci_group(const char *root, const struct sl_pci_addr *addr, struct sl_pci_addr **members);

/**
 * sl_pci_msix_check() - are the MSI-X table and the PBA within memory BARs, and apart?
 * @info:   of the device
 * @config: of the same
 *
 * Return: 0; -EINVAL when not; -ENOENT when it has no MSI-X.
 */
int sl_pci_msix_check(const struct sl_pci_info *info, const struct sl_pci_config *config);

/**
 * sl_pci_usable() - may this process drive a device this way, now?
 * @root, @addr: as above
 * @way: how; SL_PCI_AUTO for any
 *
 * Return: 0; a negative errno when not, and sl_reason() says why and what would help.
 */
int sl_pci_usable(const char *root, const struct sl_pci_addr *addr, enum sl_pci_way way);

#ifdef __cplusplus
}
#endif
#endif
