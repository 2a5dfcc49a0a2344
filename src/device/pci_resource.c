/* SPDX-License-Identifier: BSD-2-Clause */
#include "device/pci_resource.h"

#include "base/bytes.h"
#include "base/reason.h"

/* 6 BARs, the ROM, 6 BARs of virtual functions, 4 windows of a bridge: DEVICE_COUNT_RESOURCE. */
#define LINES_MAX 17

/* "0x" and 1 to 16 hex digits; the end of them, or NULL. */
static const char *parse_hex(const char *p, uint64_t *out)
{
	static const char digits[] = "0123456789abcdef";
	unsigned n = 0;

	if (*p++ != '0' || *p++ != 'x')
		return NULL;
	for (*out = 0; *p; p++, n++) {
		const char *digit = strchr(digits, *p);

		if (!digit)
			break;
		*out = *out << 4 | (uint64_t)(digit - digits);
	}
	return n >= 1 && n <= 16 ? p : NULL;
}

/* Behind the newline, or the end of the text; NULL when the line is malformed. */
static const char *parse_line(const char *p, uint64_t number[3])
{
	for (unsigned i = 0; i < 3; i++) {
		p = parse_hex(p, &number[i]);
		if (!p || (i < 2 && *p++ != ' '))
			return NULL;
	}
	if (!*p)
		return p;
	return *p == '\n' ? p + 1 : NULL;
}

/* An unused resource is all zero, or has an end before its start: the kernel's length 0. */
static int take(const uint64_t number[3], struct sl_pci_resource *to)
{
	uint64_t start = number[0], end = number[1], flags = number[2];

	*to = (struct sl_pci_resource){.start = start, .flags = flags};
	if (!flags || end < start)
		return 0;
	if (end - start == UINT64_MAX)
		return -EINVAL;
	to->len = end - start + 1;
	return 0;
}

int sl_pci_resource_parse(const char *text, struct sl_pci_resource resources[SL_PCI_RESOURCES])
{
	struct sl_pci_resource r;
	uint64_t number[3];
	unsigned line = 0;

	memset(resources, 0, sizeof(r) * SL_PCI_RESOURCES);
	for (const char *p = text; *p; line++) {
		p = parse_line(p, number);
		if (!p || line == LINES_MAX || take(number, &r)) {
			memset(resources, 0, sizeof(r) * SL_PCI_RESOURCES);
			return sl_fail(EINVAL, "line %u of the list of resources is malformed",
				       line + 1);
		}
		if (line < SL_PCI_RESOURCES)
			resources[line] = r;
	}
	return line ? 0 : sl_fail(EINVAL, "the list of resources is empty");
}
