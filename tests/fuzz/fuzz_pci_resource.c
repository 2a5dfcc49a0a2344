/* SPDX-License-Identifier: BSD-2-Clause */
/* Any text as the file `resource` of a device, and as a device's address. */
#include <errno.h>
#include <string.h>

#include <sluice/reason.h>

#include "device/pci_resource.h"
#include "fuzz.h"

static void address(const char *text)
{
	struct sl_pci_addr addr, again;
	char back[SL_PCI_ADDR_SIZE];

	if (sl_pci_addr_parse(text, &addr)) {
		must(*sl_reason());
		return;
	}
	must(addr.device < 32 && addr.function < 8);
	sl_pci_addr_format(&addr, back);
	must(sl_pci_addr_parse(back, &again) == 0);
	must(again.domain == addr.domain && again.bus == addr.bus);
	must(again.device == addr.device && again.function == addr.function);
}

static void resources(const char *text)
{
	struct sl_pci_resource r[SL_PCI_RESOURCES];
	int ret = sl_pci_resource_parse(text, r);

	must(ret == 0 || (ret == -EINVAL && *sl_reason()));
	for (unsigned i = 0; i < SL_PCI_RESOURCES; i++) {
		must(!ret || (!r[i].start && !r[i].len && !r[i].flags));
		must(!r[i].len || (r[i].flags && r[i].start + (r[i].len - 1) >= r[i].start));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = size ? strnlen((const char *)data, size) : 0;
	char *text = malloc(len + 1);

	if (!text)
		abort();
	memcpy(text, data, len);
	text[len] = '\0';
	address(text);
	resources(text);
	free(text);
	return 0;
}
