/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes are configuration space of a virtio device. What is found is in a memory BAR, has a
 * length that is enough, and is aligned.
 */
#include <string.h>

#include <sluice/pci_config.h>

#include "fuzz.h"

#include "device/virtio_pci.h"

static struct sl_pci_config config;

static void check(const struct virtio_pci_place *place, uint32_t length, uint32_t align)
{
	must(place->length >= length && !(place->offset % align) && place->bar < SL_PCI_BARS);
	must(config.bars[place->bar].type == SL_PCI_BAR_MEM32 ||
	     config.bars[place->bar].type == SL_PCI_BAR_MEM64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_pci_places places;

	if (sl_virtio_pci_parse(data, size, &places))
		return 0;
	must(!sl_pci_config_decode(data, size, &config));
	check(&places.common, sizeof(struct virtio_pci_common_cfg), 4);
	check(&places.notify, 2, 2);
	check(&places.isr, 1, 1);
	if (places.device.length)
		check(&places.device, 1, 4);
	return 0;
}
