/* SPDX-License-Identifier: BSD-2-Clause */
/* Where virtio's structures are: the vendor's capabilities of configuration space (virtio 1.2,
 * 4.1.4). */
#include <linux/pci_regs.h>

#include <sluice/pci_config.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "device/virtio_pci.h"

/* Where a structure of this type goes, the bytes it has at least and what aligns it
 * (4.1.4.3.1, 4.1.4.4.1, 4.1.4.6.1). */
struct wanted {
	struct virtio_pci_place *place;
	uint32_t length, align;
};

static struct wanted wanted_of(uint8_t cfg_type, struct virtio_pci_places *places)
{
	switch (cfg_type) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		return (struct wanted){&places->common, sizeof(struct virtio_pci_common_cfg), 4};
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		return (struct wanted){&places->notify, 2, 2};
	case VIRTIO_PCI_CAP_ISR_CFG:
		return (struct wanted){&places->isr, 1, 1};
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		return (struct wanted){&places->device, 1, 4};
	default:
		return (struct wanted){0};
	}
}

/* 4.1.4.1: "The driver SHOULD use the first instance of each virtio structure type they can
 * support", and must pass over reserved types and BARs. */
static void take_cap(const uint8_t *bytes, size_t len, const struct sl_pci_config *config,
		     size_t at, struct virtio_pci_places *places)
{
	struct virtio_pci_notify_cap notify = {0};
	struct virtio_pci_cap *cap = &notify.cap;
	size_t need = sizeof(*cap);
	struct wanted wanted;

	if (len - at < need)
		return;
	memcpy(cap, bytes + at, need);
	if (cap->cfg_type == VIRTIO_PCI_CAP_NOTIFY_CFG)
		need = sizeof(notify);
	if (cap->cap_len < need || len - at < need)
		return;
	memcpy(&notify, bytes + at, need);
	wanted = wanted_of(cap->cfg_type, places);
	if (!wanted.place || wanted.place->length || cap->bar >= SL_PCI_BARS)
		return;
	if (config->bars[cap->bar].type != SL_PCI_BAR_MEM32 &&
	    config->bars[cap->bar].type != SL_PCI_BAR_MEM64)
		return; /* I/O ports: the memory that is the same comes later */
	if (cap->length < wanted.length || cap->offset % wanted.align)
		return;
	*wanted.place = (struct virtio_pci_place){cap->bar, cap->offset, cap->length};
	if (cap->cfg_type == VIRTIO_PCI_CAP_NOTIFY_CFG)
		places->notify_off_multiplier = notify.notify_off_multiplier;
}

int sl_virtio_pci_parse(const uint8_t *bytes, size_t len, struct virtio_pci_places *places)
{
	struct sl_pci_config config;
	int ret = sl_pci_config_decode(bytes, len, &config);

	*places = (struct virtio_pci_places){0};
	if (ret)
		return ret;
	for (unsigned i = 0; i < config.n_caps; i++)
		if (config.caps[i].id == PCI_CAP_ID_VNDR)
			take_cap(bytes, len, &config, config.caps[i].offset, places);
	if (!places->common.length || !places->notify.length || !places->isr.length)
		return sl_fail(EOPNOTSUPP, "the device has no modern virtio interface");
	return 0;
}
