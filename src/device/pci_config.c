/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration space: PCI Express Base Specification 5.0, sections 7.5 to 7.7. */
#include <linux/pci_regs.h>

#include <sluice/pci.h>

#include "base/bytes.h"
#include "base/reason.h"

enum {
	HEADER_LEN = 0x40,
	PCI_LEN = 0x100, /* what PCI had before PCI Express; the extended list begins here */
	LIST_MAX = SL_PCI_CAPS_MAX / 2,
};

/* The bytes, and what has been made of them so far. */
struct decoding {
	const uint8_t *bytes;
	size_t len;
	struct sl_pci_config *config;
};

static uint16_t get16(const struct decoding *d, size_t at)
{
	uint16_t v;

	memcpy(&v, d->bytes + at, sizeof(v));
	return v;
}

static uint32_t get32(const struct decoding *d, size_t at)
{
	uint32_t v;

	memcpy(&v, d->bytes + at, sizeof(v));
	return v;
}

/* The first flaw is the one that is told. */
static void flaw(struct decoding *d, const char *what)
{
	if (!d->config->flaw)
		d->config->flaw = what;
}

static void decode_header(struct decoding *d)
{
	struct sl_pci_config *c = d->config;

	c->vendor = get16(d, PCI_VENDOR_ID);
	c->device = get16(d, PCI_DEVICE_ID);
	c->command = get16(d, PCI_COMMAND);
	c->status = get16(d, PCI_STATUS);
	c->revision = d->bytes[PCI_REVISION_ID];
	c->class_code = get32(d, PCI_CLASS_REVISION) >> 8;
	c->header_type = d->bytes[PCI_HEADER_TYPE] & 0x7f;
	c->multifunction = d->bytes[PCI_HEADER_TYPE] & 0x80;
	c->intx = d->bytes[PCI_INTERRUPT_PIN];
	if (c->intx > 4) {
		c->intx = 0;
		flaw(d, "the interrupt pin is a reserved value");
	}
	if (c->header_type == PCI_HEADER_TYPE_NORMAL) {
		c->subsystem_vendor = get16(d, PCI_SUBSYSTEM_VENDOR_ID);
		c->subsystem_device = get16(d, PCI_SUBSYSTEM_ID);
	}
	if (c->header_type > PCI_HEADER_TYPE_CARDBUS)
		flaw(d, "the header type is a reserved value");
}

/* Section 7.5.1.2.1. Returns how many registers it took. */
static unsigned decode_bar(struct decoding *d, unsigned i, unsigned n)
{
	struct sl_pci_bar *bar = &d->config->bars[i];
	uint32_t low = get32(d, PCI_BASE_ADDRESS_0 + 4 * i);

	if (!low)
		return 1;
	if (low & PCI_BASE_ADDRESS_SPACE_IO) {
		*bar = (struct sl_pci_bar){low & ~3u, SL_PCI_BAR_IO, false};
		return 1;
	}
	*bar = (struct sl_pci_bar){low & ~0xfu, SL_PCI_BAR_MEM32,
				   low & PCI_BASE_ADDRESS_MEM_PREFETCH};
	switch (low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) {
	case PCI_BASE_ADDRESS_MEM_TYPE_32:
	case PCI_BASE_ADDRESS_MEM_TYPE_1M: /* PCI 2.1: below 1 MiB */
		return 1;
	case PCI_BASE_ADDRESS_MEM_TYPE_64:
		if (i + 1 == n)
			break;
		bar->type = SL_PCI_BAR_MEM64;
		bar->address |= (uint64_t)get32(d, PCI_BASE_ADDRESS_0 + 4 * (i + 1)) << 32;
		bar[1].type = SL_PCI_BAR_UPPER;
		return 2;
	}
	bar->type = SL_PCI_BAR_BAD;
	flaw(d, "a base address register has a reserved type, or no room for its upper half");
	return 1;
}

static void decode_bars(struct decoding *d)
{
	static const unsigned count[] = {6, 2, 1}; /* by header type */
	unsigned type = d->config->header_type;
	unsigned n = type < sl_array_len(count) ? count[type] : 0;

	for (unsigned i = 0; i < n;)
		i += decode_bar(d, i, n);
}

/* Append to the list that began with entry @first; false ends the walk. */
static bool add(struct decoding *d, unsigned first, struct sl_pci_cap cap)
{
	struct sl_pci_config *c = d->config;

	for (unsigned i = first; i < c->n_caps; i++)
		if (c->caps[i].offset == cap.offset) {
			flaw(d, "a capability list loops");
			return false;
		}
	if (c->n_caps - first == LIST_MAX) {
		flaw(d, "a capability list is longer than any device has it");
		return false;
	}
	c->caps[c->n_caps++] = cap;
	return true;
}

/* The two lowest bits of a pointer are reserved, and "software must mask them" (7.5.1.1.11). */
static void walk_list(struct decoding *d)
{
	size_t at, end = sl_min(d->len, (size_t)PCI_LEN);
	bool cardbus = d->config->header_type == PCI_HEADER_TYPE_CARDBUS;
	bool more = d->config->status & PCI_STATUS_CAP_LIST;

	at = d->bytes[cardbus ? PCI_CB_CAPABILITY_LIST : PCI_CAPABILITY_LIST] & ~3u;
	for (; more && at; at = d->bytes[at + 1] & ~3u) {
		if (at < HEADER_LEN) {
			flaw(d, "a capability pointer leads into the header");
			return;
		}
		if (at + 2 > end) {
			d->config->partial = true;
			return;
		}
		if (d->bytes[at] == 0xff) {
			flaw(d, "a capability reads as ones");
			return;
		}
		if (!add(d, 0, (struct sl_pci_cap){.id = d->bytes[at], .offset = (uint16_t)at}))
			return;
	}
}

/* Section 7.6.3. A device without the extended space may show zeros or ones there. */
static void walk_extended(struct decoding *d)
{
	unsigned first = d->config->n_caps;
	uint32_t header;
	size_t at = PCI_LEN;

	if (d->len <= PCI_LEN)
		return;
	for (; at; at = PCI_EXT_CAP_NEXT(header)) {
		if (at < PCI_LEN) {
			flaw(d, "an extended capability pointer leads out of its space");
			return;
		}
		if (at + 4 > d->len) {
			d->config->partial = true;
			return;
		}
		header = get32(d, at);
		if (at == PCI_LEN && (!header || header == UINT32_MAX))
			return;
		if (header == UINT32_MAX) {
			flaw(d, "an extended capability reads as ones");
			return;
		}
		if (!add(d, first,
			 (struct sl_pci_cap){PCI_EXT_CAP_ID(header) | SL_PCI_EXTENDED, (uint16_t)at,
					     PCI_EXT_CAP_VER(header)}))
			return;
	}
}

/* Where a capability's @need bytes begin; 0 when it is not there or not whole. */
static size_t find_whole(struct decoding *d, uint32_t id, size_t need)
{
	const struct sl_pci_cap *cap = sl_pci_cap_find(d->config, id);

	if (!cap)
		return 0;
	if (cap->offset + need <= sl_min(d->len, (size_t)PCI_LEN))
		return cap->offset;
	if (d->len < PCI_LEN)
		d->config->partial = true;
	else
		flaw(d, "a capability runs beyond the end");
	return 0;
}

/* Section 7.7.1. */
static void decode_msi(struct decoding *d)
{
	size_t at = find_whole(d, SL_PCI_CAP_MSI, 10);
	unsigned control = at ? get16(d, at + PCI_MSI_FLAGS) : 0;
	unsigned log2 = (control & PCI_MSI_FLAGS_QMASK) >> 1;
	size_t need = 10;

	need += control & PCI_MSI_FLAGS_64BIT ? 4 : 0;
	need += control & PCI_MSI_FLAGS_MASKBIT ? 10 : 0;
	if (!at || !find_whole(d, SL_PCI_CAP_MSI, need))
		return;
	if (log2 > 5) {
		flaw(d, "MSI asks for a reserved number of vectors");
		return;
	}
	d->config->msi = (struct sl_pci_msi){
		.vectors = 1u << log2,
		.enabled = control & PCI_MSI_FLAGS_ENABLE,
		.address64 = control & PCI_MSI_FLAGS_64BIT,
		.maskable = control & PCI_MSI_FLAGS_MASKBIT,
	};
}

/* Section 7.7.2. */
static void decode_msix(struct decoding *d)
{
	size_t at = find_whole(d, SL_PCI_CAP_MSIX, PCI_CAP_MSIX_SIZEOF);
	unsigned control;
	uint32_t table, pba;

	if (!at)
		return;
	control = get16(d, at + PCI_MSIX_FLAGS);
	table = get32(d, at + PCI_MSIX_TABLE);
	pba = get32(d, at + PCI_MSIX_PBA);
	d->config->msix = (struct sl_pci_msix){
		.vectors = (control & PCI_MSIX_FLAGS_QSIZE) + 1,
		.enabled = control & PCI_MSIX_FLAGS_ENABLE,
		.masked = control & PCI_MSIX_FLAGS_MASKALL,
		.table_bar = table & PCI_MSIX_TABLE_BIR,
		.table_offset = table & PCI_MSIX_TABLE_OFFSET,
		.pba_bar = pba & PCI_MSIX_PBA_BIR,
		.pba_offset = pba & PCI_MSIX_PBA_OFFSET,
	};
	if (d->config->msix.table_bar >= SL_PCI_BARS || d->config->msix.pba_bar >= SL_PCI_BARS)
		flaw(d, "MSI-X names a base address register that cannot be");
}

static void decode_others(struct decoding *d)
{
	struct sl_pci_config *c = d->config;
	size_t at = find_whole(d, SL_PCI_CAP_EXPRESS, 8);

	if (at) {
		c->express = (int8_t)((get16(d, at + PCI_EXP_FLAGS) & PCI_EXP_FLAGS_TYPE) >> 4);
		c->flr = get32(d, at + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_FLR;
	}
	at = find_whole(d, SL_PCI_CAP_AF, PCI_CAP_AF_SIZEOF);
	if (at && d->bytes[at + PCI_AF_CAP] & PCI_AF_CAP_FLR)
		c->flr = true;
	at = find_whole(d, SL_PCI_CAP_PM, PCI_PM_SIZEOF);
	if (at)
		c->power_state = (int8_t)(get16(d, at + PCI_PM_CTRL) & PCI_PM_CTRL_STATE_MASK);
}

int sl_pci_config_decode(const uint8_t *bytes, size_t len, struct sl_pci_config *config)
{
	struct decoding d = {bytes, len, config};

	*config = (struct sl_pci_config){.express = -1, .power_state = -1};
	if (len < SL_PCI_CONFIG_MIN || len > SL_PCI_CONFIG_MAX)
		return sl_fail(EINVAL, "configuration space of %zu bytes: it has %d to %d", len,
			       SL_PCI_CONFIG_MIN, SL_PCI_CONFIG_MAX);
	if (get16(&d, PCI_VENDOR_ID) == UINT16_MAX)
		return sl_fail(ENODEV, "configuration space reads as ones: the device is gone, "
				       "or asleep in D3cold");
	decode_header(&d);
	decode_bars(&d);
	walk_list(&d);
	walk_extended(&d);
	decode_msi(&d);
	decode_msix(&d);
	decode_others(&d);
	return 0;
}

const struct sl_pci_cap *sl_pci_cap_find(const struct sl_pci_config *config, uint32_t id)
{
	for (unsigned i = 0; i < config->n_caps; i++)
		if (config->caps[i].id == id)
			return &config->caps[i];
	return NULL;
}

/* Is it in a memory BAR? @bar is below 8, @offset below 4 GiB: no sum overflows. */
static int check_place(const struct sl_pci_info *info, const struct sl_pci_config *config,
		       const char *what, unsigned bar, uint64_t end)
{
	const struct sl_pci_resource *r = &info->resources[bar];

	if (bar >= SL_PCI_BARS || config->bars[bar].type == SL_PCI_BAR_UPPER ||
	    !(r->flags & SL_PCI_RESOURCE_MEM) || !r->len)
		return sl_fail(EINVAL, "the MSI-X %s is in BAR %u, which is no memory", what, bar);
	if (end > r->len)
		return sl_fail(EINVAL,
			       "the MSI-X %s ends at 0x%llx of BAR %u, which has 0x%llx bytes",
			       what, (unsigned long long)end, bar, (unsigned long long)r->len);
	return 0;
}

int sl_pci_msix_check(const struct sl_pci_info *info, const struct sl_pci_config *config)
{
	const struct sl_pci_msix *m = &config->msix;
	/* Table: 16 bytes a vector (7.7.2.5). PBA: a bit a vector, in 8 byte units (7.7.2.6). */
	uint64_t table_end = m->table_offset + 16ull * m->vectors;
	uint64_t pba_end = m->pba_offset + 8ull * ((m->vectors + 63) / 64);
	int ret;

	if (!m->vectors)
		return sl_fail(ENOENT, "the device has no MSI-X");
	ret = check_place(info, config, "table", m->table_bar, table_end);
	if (!ret)
		ret = check_place(info, config, "PBA", m->pba_bar, pba_end);
	if (!ret && m->table_bar == m->pba_bar && m->table_offset < pba_end &&
	    m->pba_offset < table_end)
		ret = sl_fail(EINVAL, "the MSI-X table and the PBA overlap in BAR %u",
			      m->table_bar);
	return ret;
}
