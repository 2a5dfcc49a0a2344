/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI configuration space, decoded from its bytes. Nothing in them is believed: lists that
 * loop, places beyond the end and reserved values are named, never followed.
 */
#ifndef SLUICE_PCI_CONFIG_H
#define SLUICE_PCI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SL_PCI_CONFIG_MIN 64   /* the header: what everybody may read */
#define SL_PCI_CONFIG_MAX 4096 /* with the extended space of PCI Express */
#define SL_PCI_BARS	  6
#define SL_PCI_CAPS_MAX	  96

/* Capabilities that are decoded; those of the extended list have the bit SL_PCI_EXTENDED. */
enum {
	SL_PCI_CAP_PM = 0x01,
	SL_PCI_CAP_MSI = 0x05,
	SL_PCI_CAP_EXPRESS = 0x10,
	SL_PCI_CAP_MSIX = 0x11,
	SL_PCI_CAP_AF = 0x13,
	SL_PCI_EXTENDED = 1u << 16,
};

enum sl_pci_bar_type {
	SL_PCI_BAR_NONE,  /* no base address register, or one that reads zero */
	SL_PCI_BAR_IO,	  /* I/O space */
	SL_PCI_BAR_MEM32, /* memory, 32 bit */
	SL_PCI_BAR_MEM64, /* memory, 64 bit: this register and the next */
	SL_PCI_BAR_UPPER, /* upper half of the one before */
	SL_PCI_BAR_BAD,	  /* a reserved type, or a 64 bit one without room for its upper half */
};

/** struct sl_pci_bar - a base address register; how long what it names is, sysfs knows */
struct sl_pci_bar {
	uint64_t address;
	enum sl_pci_bar_type type;
	bool prefetchable;
};

/**
 * struct sl_pci_cap - an entry of a capability list
 * @id:      the specification's, with SL_PCI_EXTENDED for one of the extended list
 * @offset:  where in config space it begins
 * @version: of an entry of the extended list
 */
struct sl_pci_cap {
	uint32_t id;
	uint16_t offset;
	uint8_t version;
};

/** struct sl_pci_msi - @vectors 0 when there is no such capability */
struct sl_pci_msi {
	unsigned vectors;
	bool enabled, address64, maskable;
};

/** struct sl_pci_msix - @vectors 0 when there is none; see sl_pci_msix_check() */
struct sl_pci_msix {
	unsigned vectors;
	bool enabled, masked;
	uint8_t table_bar, pba_bar;
	uint32_t table_offset, pba_offset;
};

/**
 * struct sl_pci_config - what configuration space says
 * @header_type: 0 endpoint, 1 PCI bridge, 2 CardBus bridge
 * @intx:        the interrupt pin, 1 to 4 for A to D; 0 for none
 * @express:     device/port type of the PCI Express capability, -1 without it
 * @flr:         function level reset is there, by PCI Express or Advanced Features
 * @power_state: 0 to 3 for D0 to D3hot; -1 without power management
 * @partial:     capabilities lie behind the bytes that were given
 * @flaw:        what is wrong with it, a static string; NULL when nothing is
 */
struct sl_pci_config {
	uint16_t vendor, device, subsystem_vendor, subsystem_device;
	uint32_t class_code; /* 24 bits: class, subclass, programming interface */
	uint16_t command, status;
	uint8_t revision, header_type, intx;
	bool multifunction, flr, partial;
	int8_t express, power_state;
	struct sl_pci_bar bars[SL_PCI_BARS];
	struct sl_pci_msi msi;
	struct sl_pci_msix msix;
	unsigned n_caps;
	struct sl_pci_cap caps[SL_PCI_CAPS_MAX];
	const char *flaw;
};

/**
 * sl_pci_config_decode() - take configuration space apart
 * @bytes:  its beginning
 * @len:    how many bytes of it: 64 without privilege, 256, or 4096 with PCI Express
 * @config: filled in
 *
 * A device whose lists are broken is decoded up to there, and config->flaw says what is wrong.
 *
 * Return: 0; -EINVAL for fewer than 64 bytes or more than 4096; -ENODEV when nobody answers,
 * which reads as ones.
 */
int sl_pci_config_decode(const uint8_t *bytes, size_t len, struct sl_pci_config *config);

/**
 * sl_pci_cap_find() - the first capability of a kind
 * @config: decoded
 * @id:     SL_PCI_CAP_*, or SL_PCI_EXTENDED | the number of one of the extended list
 *
 * Return: it, within @config; NULL when there is none.
 */
const struct sl_pci_cap *sl_pci_cap_find(const struct sl_pci_config *config, uint32_t id);

/**
 * sl_pci_cap_name() - what the PCI specifications call a capability
 * @id: as in struct sl_pci_cap
 *
 * Return: a static string; "unknown" for a number that sluice has no name for.
 */
const char *sl_pci_cap_name(uint32_t id);

#ifdef __cplusplus
}
#endif
#endif
