/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio over PCI, the modern interface (virtio 1.2, 4.1): a transport. */
#ifndef SL_DEVICE_VIRTIO_PCI_H
#define SL_DEVICE_VIRTIO_PCI_H

#include <linux/virtio_pci.h>

#include <sluice/device_region.h>

#include "virtio/virtio.h"

#define VIRTIO_PCI_QUEUES 64 /* more are not used */

/** struct virtio_pci_place - a structure in a BAR; @length 0: the device has none */
struct virtio_pci_place {
	uint8_t bar;
	uint32_t offset, length;
};

/** struct virtio_pci_places - where the structures are (4.1.4) */
struct virtio_pci_places {
	struct virtio_pci_place common, notify, isr, device;
	uint32_t notify_off_multiplier;
};

/**
 * struct virtio_pci - a device
 * @msix:   queues and configuration changes have vectors; else INTx, and isr says what it was
 * @notify: of each queue that is enabled
 */
struct virtio_pci {
	struct virtio virtio;
	bool msix;
	struct sl_mmio common, isr, device, notify_area;
	uint32_t notify_off_multiplier;
	struct sl_mmio notify[VIRTIO_PCI_QUEUES];
};

/**
 * sl_virtio_pci_parse() - find the structures in configuration space; nothing of it is believed
 * @bytes:  its first 256 bytes
 * @len:    fewer when there are fewer
 * @places: filled in: lengths have to be checked against the BARs
 *
 * Return: 0; -EOPNOTSUPP when one that is required is not there; or as sl_pci_config_decode().
 */
int sl_virtio_pci_parse(const uint8_t *bytes, size_t len, struct virtio_pci_places *places);

/**
 * sl_virtio_pci_open() - reach a device
 * @dev: stays the caller's; is open as long as @p is used
 * @p:   filled in
 *
 * Return: 0; -EOPNOTSUPP when it has no modern interface, or one that cannot be;
 * or as sl_device_map().
 */
int sl_virtio_pci_open(struct sl_device *dev, struct virtio_pci *p);

/**
 * sl_virtio_pci_use_msix() - vectors instead of INTx: MSI-X is wired
 * @config: the vector of configuration changes
 *
 * Return: 0; -ENOSPC when the device has no room for it.
 */
int sl_virtio_pci_use_msix(struct virtio_pci *p, uint16_t config);

/** sl_virtio_pci_isr() - what INTx was for (4.1.4.5): bit 0 a queue, bit 1 the configuration; it
 * goes silent. 0: it was somebody else's; -ENODEV */
int sl_virtio_pci_isr(struct virtio_pci *p);

#endif
