/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice bind and sluice unbind: which driver has a PCI device. */
#include <stdio.h>
#include <string.h>

#include <sluice/reason.h>

#include "cli/cli.h"
#include "cli/device.h"
#include "device/pci_bind.h"
#include "device/pci_memory.h"

const char *const sl_bind_options[] = {"--force", "--help", NULL};
const char *const sl_unbind_options[] = {"--restore", "--force", "--help", NULL};

static const char bind_help[] =
	"Usage: sluice bind ADDRESS DRIVER [--force]\n"
	"\n"
	"Takes a PCI device from the driver that has it and gives it to another, which must be\n"
	"loaded. The first driver is remembered: sluice unbind --restore. Where the new one\n"
	"does not take the device, it is given back.\n"
	"\n"
	"Refused are devices that the system lives on: one that carries the default route, a\n"
	"disk that is mounted or swapped to; and bridges.\n"
	"\n"
	"Options:\n"
	"  --force      take it although the system lives on it\n"
	"  -h, --help   this\n"
	"\n"
	"Examples:\n"
	"  sluice bind 0000:00:03.0 vfio-pci\n"
	"  sluice bind 00:03.0 uio_msix\n";

static const char unbind_help[] =
	"Usage: sluice unbind ADDRESS [--restore] [--force]\n"
	"\n"
	"Takes a PCI device from its driver.\n"
	"\n"
	"Options:\n"
	"  --restore    give it to the driver that it had before sluice bind\n"
	"  --force      take it although the system lives on it\n"
	"  -h, --help   this\n"
	"\n"
	"Examples:\n"
	"  sluice unbind 0000:00:03.0 --restore\n"
	"  sluice unbind 0000:00:03.0\n"
	"\n"
	"A program that drives the device by VFIO is asked to let go of it; until it does, this\n"
	"waits.\n";

static int failed(const char *name)
{
	fprintf(stderr, "sluice %s: %s\n", name, sl_reason());
	return EXIT_FAILED;
}

static int report(const char *name, const struct sl_pci_addr *addr)
{
	char text[SL_PCI_ADDR_SIZE];
	struct sl_pci_info info;

	if (sl_pci_get_info(NULL, addr, &info))
		return failed(name);
	sl_pci_addr_format(addr, text);
	printf("%s: %s\n", text, *info.driver ? info.driver : "no driver");
	if ((!strcmp(info.driver, "vfio-pci") && sl_pci_usable(NULL, addr, SL_PCI_VFIO)) ||
	    (!strcmp(info.driver, "uio_msix") && sl_pci_usable(NULL, addr, SL_PCI_UIO_MSIX)))
		fprintf(stderr, "sluice %s: not usable yet: %s\n", name, sl_reason());
	return EXIT_OK;
}

/* How many words there are, the first an address; or negative, and *status is what to end with. */
static int take_words(int argc, char **argv, struct device_args *args, struct sl_pci_addr *addr,
		      int *status)
{
	int n = sl_device_args(argc, argv, args, status);

	if (n < 0)
		return n;
	if (!n)
		*status = sl_usage_error(args->name, "whose address? sluice devices lists them");
	else if (sl_pci_addr_parse(args->words[0], addr))
		*status = sl_usage_error(args->name, "%s", sl_reason());
	else
		return n;
	return -1;
}

int sl_cmd_bind(int argc, char **argv)
{
	struct device_args args = {"bind", bind_help, sl_bind_options, .max_words = 2};
	struct sl_pci_addr addr;
	int ret, status = EXIT_OK, n = take_words(argc, argv, &args, &addr, &status);

	if (n < 0)
		return status;
	if (n < 2)
		return sl_usage_error("bind",
				      "which driver? vfio-pci, uio_msix or uio_pci_generic, "
				      "for a program");
	if (!sl_pci_driver_name(args.words[1]))
		return sl_usage_error("bind", "\"%s\" cannot be the name of a driver",
				      args.words[1]);
	ret = sl_pci_bind(NULL, &addr, args.words[1], args.seen & 1);
	return ret ? failed("bind") : report("bind", &addr);
}

int sl_cmd_unbind(int argc, char **argv)
{
	struct device_args args = {"unbind", unbind_help, sl_unbind_options, .max_words = 1};
	struct sl_pci_addr addr;
	int ret, status = EXIT_OK;

	if (take_words(argc, argv, &args, &addr, &status) < 0)
		return status;
	ret = (args.seen & 1 ? sl_pci_restore : sl_pci_unbind)(NULL, &addr, args.seen & 2);
	return ret ? failed("unbind") : report("unbind", &addr);
}
