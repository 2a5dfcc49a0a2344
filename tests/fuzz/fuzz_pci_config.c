/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as configuration space, with BARs whose lengths are taken from its last bytes. */
#include <errno.h>
#include <string.h>

#include <sluice/pci.h>
#include <sluice/reason.h>

#include "fuzz.h"

static void check_caps(const struct sl_pci_config *c, size_t len)
{
	must(c->n_caps <= SL_PCI_CAPS_MAX);
	for (unsigned i = 0; i < c->n_caps; i++) {
		const struct sl_pci_cap *cap = &c->caps[i];
		size_t least = cap->id & SL_PCI_EXTENDED ? 0x100 : 0x40;

		must(cap->offset >= least && cap->offset % 4 == 0);
		must(cap->offset + (least == 0x100 ? 4u : 2u) <= len);
		must(least == 0x100 || cap->offset < 0x100);
		must(sl_pci_cap_find(c, cap->id) && *sl_pci_cap_name(cap->id));
		for (unsigned j = 0; j < i; j++)
			must(c->caps[j].offset != cap->offset);
	}
}

static void check(const struct sl_pci_config *c, size_t len)
{
	check_caps(c, len);
	must(c->intx <= 4 && c->power_state >= -1 && c->power_state <= 3);
	must(c->class_code <= 0xffffff && c->express >= -1 && c->express <= 15);
	must(c->msi.vectors <= 32 && !(c->msi.vectors & (c->msi.vectors - 1)));
	must(c->msix.vectors <= 2048 && c->msix.table_bar < 8 && c->msix.pba_bar < 8);
	must(c->bars[0].type != SL_PCI_BAR_UPPER);
	for (unsigned i = 0; i < SL_PCI_BARS; i++) {
		must(c->bars[i].type != SL_PCI_BAR_MEM64 ||
		     (i + 1 < SL_PCI_BARS && c->bars[i + 1].type == SL_PCI_BAR_UPPER));
		must(c->bars[i].type == SL_PCI_BAR_MEM64 || c->bars[i].address <= UINT32_MAX);
	}
}

static void check_msix(const struct sl_pci_config *c, const uint8_t *end)
{
	struct sl_pci_info info = {.vendor = 1};
	const struct sl_pci_msix *m = &c->msix;
	int ret;

	for (unsigned i = 0; i < SL_PCI_RESOURCES; i++) {
		info.resources[i].len = 1ull << (end[-1 - (int)i] & 63);
		info.resources[i].flags = end[-1 - (int)i] & 64 ? SL_PCI_RESOURCE_MEM : 0;
	}
	ret = sl_pci_msix_check(&info, c);
	must(ret == 0 || (ret == -EINVAL && *sl_reason()) || (ret == -ENOENT && !m->vectors));
	if (ret)
		return;
	must(m->table_bar < SL_PCI_BARS && m->pba_bar < SL_PCI_BARS);
	must(m->table_offset + 16ull * m->vectors <= info.resources[m->table_bar].len);
	must(m->pba_offset + (m->vectors + 7ull) / 8 <= info.resources[m->pba_bar].len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_pci_config config, part;
	uint8_t *copy = malloc(size ? size : 1);
	int ret;

	if (!copy)
		abort();
	memcpy(copy, data, size);
	ret = sl_pci_config_decode(copy, size, &config);
	if (size < SL_PCI_CONFIG_MIN || size > SL_PCI_CONFIG_MAX)
		must(ret == -EINVAL);
	else
		must(ret == 0 || (ret == -ENODEV && copy[0] == 0xff && copy[1] == 0xff));
	if (!ret) {
		check(&config, size);
		check_msix(&config, copy + size);
		/* Who may read the header only sees the same header. */
		must(sl_pci_config_decode(copy, SL_PCI_CONFIG_MIN, &part) == 0);
		check(&part, SL_PCI_CONFIG_MIN);
		must(part.n_caps == 0 && !memcmp(part.bars, config.bars, sizeof(part.bars)));
	}
	free(copy);
	return 0;
}
