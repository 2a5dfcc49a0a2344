/* SPDX-License-Identifier: BSD-2-Clause */
/* domain:bus:device.function, all in hex; the domain has more than 4 digits only if it must. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include <sluice/pci.h>

#include "base/reason.h"

/* @digits hex digits and then @after; false when it is something else. */
static bool part(const char **p, size_t digits, char after, uint32_t *out)
{
	char text[9] = "";

	for (size_t i = 0; i < digits; i++) {
		if (!isxdigit((unsigned char)(*p)[i]))
			return false;
		text[i] = (*p)[i];
	}
	if ((*p)[digits] != after)
		return false;
	*p += digits + 1;
	*out = (uint32_t)strtoul(text, NULL, 16);
	return true;
}

static bool parse_domain(const char **p, uint32_t *domain)
{
	size_t digits = 0;

	while (digits <= 8 && isxdigit((unsigned char)(*p)[digits]))
		digits++;
	*domain = 0;
	if (digits == 2)
		return true; /* left out: this is the bus */
	if (digits < 4 || digits > 8 || (digits > 4 && **p == '0'))
		return false;
	return part(p, digits, ':', domain);
}

int sl_pci_addr_parse(const char *text, struct sl_pci_addr *addr)
{
	uint32_t domain, bus, device, function;
	const char *p = text;

	if (!parse_domain(&p, &domain) || !part(&p, 2, ':', &bus) || !part(&p, 2, '.', &device) ||
	    !part(&p, 1, '\0', &function) || device > 31 || function > 7)
		return sl_fail(EINVAL,
			       "\"%.32s\" is no PCI address such as 0000:00:03.0 or 00:03.0", text);
	*addr = (struct sl_pci_addr){domain, (uint8_t)bus, (uint8_t)device, (uint8_t)function};
	return 0;
}

void sl_pci_addr_format(const struct sl_pci_addr *addr, char text[SL_PCI_ADDR_SIZE])
{
	snprintf(text, SL_PCI_ADDR_SIZE, "%04x:%02x:%02x.%x", addr->domain, addr->bus,
		 addr->device & 31u, addr->function & 7u);
}
