/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice show: all that is known of one PCI device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/reason.h>

#include "base/bytes.h"
#include "cli/cli.h"
#include "cli/device.h"
#include "cli/show_device.h"
#include "device/pci_memory.h"
#include "device/pci_use.h"

const char *const sl_show_options[] = {"--json", "--help", NULL};

static const char help[] =
	"Usage: sluice show ADDRESS [--json]\n"
	"\n"
	"Shows a PCI device: BARs, capabilities, interrupt vectors and where the MSI-X table\n"
	"lies, who shares its IOMMU group, power state, reset methods, what the system uses\n"
	"it for, and how a program could drive it. Changes nothing.\n"
	"\n"
	"Options:\n"
	"  --json       one JSON object instead\n"
	"  -h, --help   this\n"
	"\n"
	"Examples:\n"
	"  sluice show 0000:00:03.0\n"
	"  sluice show 00:03.0 --json\n"
	"\n"
	"All but root see the first 64 bytes of configuration space, where no capabilities are.\n";

static void look_closer(struct shown *s)
{
	s->n_members = sl_pci_group(NULL, &s->d.info.addr, &s->members);
	if (sl_pci_in_use(NULL, &s->d.info.addr, false))
		snprintf(s->in_use, sizeof(s->in_use), "%s", sl_reason());
	if (!sl_pci_remembered(NULL, &s->d.info.addr, &s->memory))
		s->remembered = true;
	if (s->d.has_config && s->d.config.msix.vectors &&
	    sl_pci_msix_check(&s->d.info, &s->d.config))
		snprintf(s->msix_problem, sizeof(s->msix_problem), "%s", sl_reason());
}

const char *sl_shown_driver(const struct sl_pci_addr *addr, struct sl_pci_info *info)
{
	return sl_pci_get_info(NULL, addr, info) || !*info->driver ? "" : info->driver;
}

/*
 * For people.
 */

static const char *bar_kind(const struct sl_pci_info *info, unsigned i)
{
	const uint64_t flags = info->resources[i].flags;

	if (i == SL_PCI_BARS)
		return "expansion ROM";
	if (!(flags & SL_PCI_RESOURCE_MEM))
		return "I/O ports";
	return flags & SL_RESOURCE_MEM64      ? flags & SL_RESOURCE_PREFETCH
							? "64 bit memory, prefetchable"
							: "64 bit memory"
	       : flags & SL_RESOURCE_PREFETCH ? "32 bit memory, prefetchable"
					      : "32 bit memory";
}

static void print_bars(const struct shown *s)
{
	for (unsigned i = 0; i < SL_PCI_RESOURCES; i++) {
		const struct sl_pci_resource *r = &s->d.info.resources[i];
		char name[8];

		if (!r->len)
			continue;
		snprintf(name, sizeof(name), "BAR %u", i);
		printf("  %-15s %s, 0x%llx bytes at 0x%llx\n", i == SL_PCI_BARS ? "ROM" : name,
		       bar_kind(&s->d.info, i), (unsigned long long)r->len,
		       (unsigned long long)r->start);
	}
}

static void print_vectors(const struct shown *s)
{
	const struct sl_pci_config *c = &s->d.config;

	printf("  %-15s %s\n", "INTx", c->intx ? (char[]){(char)('@' + c->intx), '\0'} : "no");
	if (c->msi.vectors)
		printf("  %-15s %u vector%s, %s bit address%s%s\n", "MSI", c->msi.vectors,
		       c->msi.vectors == 1 ? "" : "s", c->msi.address64 ? "64" : "32",
		       c->msi.maskable ? ", maskable" : "", c->msi.enabled ? ", enabled" : "");
	if (c->msix.vectors)
		printf("  %-15s %u vectors, table in BAR %u at 0x%x, PBA in BAR %u at 0x%x%s%s%s\n",
		       "MSI-X", c->msix.vectors, c->msix.table_bar, c->msix.table_offset,
		       c->msix.pba_bar, c->msix.pba_offset, c->msix.enabled ? ", enabled" : "",
		       *s->msix_problem ? "; " : "", s->msix_problem);
}

static void print_caps(const struct sl_pci_config *c)
{
	for (unsigned i = 0; i < c->n_caps; i++) {
		const struct sl_pci_cap *cap = &c->caps[i];
		uint32_t id = cap->id & 0xffff;

		printf("  %-15s at 0x%03x: ", i ? "" : "capabilities", cap->offset);
		if (cap->id & SL_PCI_EXTENDED)
			printf("extended %04x, %s, version %u\n", id, sl_pci_cap_name(cap->id),
			       cap->version);
		else
			printf("%02x, %s\n", id, sl_pci_cap_name(cap->id));
	}
	if (c->partial)
		printf("  %-15s more that cannot be read: run as root\n",
		       c->n_caps ? "" : "capabilities");
	if (c->flaw)
		printf("  %-15s %s\n", "flaw", c->flaw);
}

static void print_config(const struct shown *s)
{
	const struct sl_pci_config *c = &s->d.config;

	if (!s->d.has_config) {
		printf("  %-15s %s\n", "configuration", s->d.why_no_config);
		return;
	}
	printf("  %-15s header type %u, command %04x%s%s%s, status %04x, revision %02x\n",
	       "configuration", c->header_type, c->command, c->command & 1 ? " I/O" : "",
	       c->command & 2 ? " memory" : "", c->command & 4 ? " bus master" : "", c->status,
	       c->revision);
	print_vectors(s);
	print_caps(c);
}

static void print_group(const struct shown *s)
{
	struct sl_pci_info member;
	const char *driver;
	char name[SL_PCI_ADDR_SIZE];

	if (s->n_members < 0)
		printf("  %-15s none\n", "IOMMU group");
	for (int i = 0; i < s->n_members; i++) {
		driver = sl_shown_driver(&s->members[i], &member);
		sl_pci_addr_format(&s->members[i], name);
		if (!i)
			printf("  %-15s %d: ", "IOMMU group", s->d.info.iommu_group);
		printf("%s%s (%s)", i ? ", " : "", name, *driver ? driver : "no driver");
		if (i == s->n_members - 1)
			putchar('\n');
	}
}

static void print_text(const struct shown *s)
{
	const struct sl_pci_info *info = &s->d.info;

	printf("%s %s: %s %s [%04x:%04x]\n", s->d.address, s->d.class_name, s->d.vendor_name,
	       s->d.device_name, info->vendor, info->device);
	printf("  %-15s %s%s%s\n", "driver", *info->driver ? info->driver : "none",
	       *info->driver_override ? ", and none but " : "", info->driver_override);
	if (s->remembered)
		printf("  %-15s %s\n", "restores to",
		       *s->memory.driver ? s->memory.driver : "no driver");
	print_group(s);
	if (info->numa_node >= 0)
		printf("  %-15s %d\n", "NUMA node", info->numa_node);
	print_bars(s);
	print_config(s);
	printf("  %-15s %s%s\n", "power", *info->power_state ? info->power_state : "unknown",
	       info->enabled > 0    ? ", enabled"
	       : info->enabled == 0 ? ", not enabled"
				    : "");
	printf("  %-15s %s%s\n", "reset", *info->reset_methods ? info->reset_methods : "no method",
	       s->d.config.flr ? " (it has FLR)" : "");
	if (*s->in_use)
		printf("  %-15s %s\n", "in use", s->in_use);
	sl_device_print_ways(&s->d, 2);
}

int sl_cmd_show(int argc, char **argv)
{
	struct device_args args = {"show", help, sl_show_options, .max_words = 1};
	struct shown s = {.n_members = -1};
	struct sl_pci_addr addr;
	struct pci_access *names;
	int n, ret, status = EXIT_OK;

	n = sl_device_args(argc, argv, &args, &status);
	if (n < 0)
		return status;
	if (!n)
		return sl_usage_error("show", "whose address? sluice devices lists them");
	if (sl_pci_addr_parse(args.words[0], &addr))
		return sl_usage_error("show", "%s", sl_reason());
	names = sl_names_open();
	ret = sl_device_look(&addr, names, &s.d);
	sl_names_close(names);
	if (ret) {
		fprintf(stderr, "sluice show: %s\n", sl_reason());
		return EXIT_FAILED;
	}
	look_closer(&s);
	if (args.seen & 1)
		sl_shown_json(&s);
	else
		print_text(&s);
	free(s.members);
	return EXIT_OK;
}
