/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice devices: the PCI devices of this machine, and how a program could drive each. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/reason.h>

#include "cli/cli.h"
#include "cli/device.h"

const char *const sl_devices_options[] = {"--json", "--help", NULL};

static const char help[] =
	"Usage: sluice devices [--json]\n"
	"\n"
	"Lists the PCI devices of this machine: driver, IOMMU group, NUMA node, how many\n"
	"interrupt vectors of each kind, and for each way to drive it from a program \"yes\"\n"
	"or the first thing that is in the way. Changes nothing.\n"
	"\n"
	"Options:\n"
	"  --json       one JSON object instead\n"
	"  -h, --help   this\n"
	"\n"
	"Examples:\n"
	"  sluice devices\n"
	"  sluice devices --json | jq '.devices[] | select(.ways.vfio.ok) | .address'\n"
	"\n"
	"A \"?\" is what only root may read.\n";

enum {
	INDENT = 14, /* as wide as an address and two blanks */
};

static const char *count(int n, char to[16])
{
	if (n < 0)
		return "?";
	snprintf(to, 16, "%d", n);
	return to;
}

static const char *number(int n, char to[16])
{
	return n < 0 ? "-" : count(n, to);
}

static void print_device(const struct device *d)
{
	char group[16], node[16], msi[16], msix[16];

	printf("%-12s  %-16s %-5s %-4s  %-4s %-3s %-5s  %s: %s %s\n", d->address,
	       *d->info.driver ? d->info.driver : "-", number(d->info.iommu_group, group),
	       number(d->info.numa_node, node),
	       !d->has_config	? "?"
	       : d->config.intx ? "1"
				: "0",
	       count(sl_device_msi(d), msi), count(sl_device_msix(d), msix), d->class_name,
	       d->vendor_name, d->device_name);
	sl_device_print_ways(d, INDENT);
}

/* One that went away since it was listed is left out; one that cannot be read has a line. */
static void look_at(const struct sl_pci_addr *addr, struct pci_access *names,
		    struct json_object *json)
{
	char address[SL_PCI_ADDR_SIZE];
	struct device d;
	int ret = sl_device_look(addr, names, &d);

	sl_pci_addr_format(addr, address);
	if (ret)
		fprintf(stderr, "sluice devices: %s: %s\n", address, sl_reason());
	else if (json)
		json_object_array_add(json, sl_device_json(&d));
	else
		print_device(&d);
}

/* @n is negative when there is no PCI at all. */
static void list(const struct sl_pci_addr *addrs, int n, bool as_json)
{
	struct json_object *json = as_json ? json_object_new_array() : NULL, *all;
	struct pci_access *names = sl_names_open();

	if (!as_json && n <= 0)
		printf("No PCI devices: %s.\n", n < 0 ? sl_reason() : "the bus is empty");
	else if (!as_json)
		printf("%-12s  %-16s %-5s %-4s  %-4s %-3s %-5s  %s\n", "ADDRESS", "DRIVER", "GROUP",
		       "NODE", "INTx", "MSI", "MSI-X", "DEVICE");
	for (int i = 0; i < n; i++)
		look_at(&addrs[i], names, json);
	sl_names_close(names);
	if (!as_json)
		return;
	all = json_object_new_object();
	json_object_object_add(all, "devices", json);
	puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY |
							 JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(all);
}

int sl_cmd_devices(int argc, char **argv)
{
	struct device_args args = {"devices", help, sl_devices_options, .max_words = 0};
	struct sl_pci_addr *addrs = NULL;
	int n, status = EXIT_OK;

	if (sl_device_args(argc, argv, &args, &status) < 0)
		return status;
	n = sl_pci_list(NULL, &addrs);
	if (n < 0 && n != -ENOENT) {
		fprintf(stderr, "sluice devices: %s\n", sl_reason());
		return EXIT_FAILED;
	}
	list(addrs, n, args.seen & 1);
	free(addrs);
	return EXIT_OK;
}
