/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <pci/pci.h>

#include <sluice/reason.h>

#include "cli/cli.h"
#include "cli/device.h"

const char *const sl_device_ways[DEVICE_WAYS] = {"vfio", "uio_msix", "uio"};

/*
 * Names, from libpci. Nothing else of it is used: it would exit where it finds no PCI.
 */

__attribute__((noreturn, format(printf, 1, 2))) static void names_fail(char *fmt, ...)
{
	va_list args;

	fputs("sluice: the list of PCI names: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EXIT_FAILED);
}

__attribute__((format(printf, 1, 2))) static void names_say(char *fmt, ...)
{
	(void)fmt;
}

struct pci_access *sl_names_open(void)
{
	struct pci_access *names = pci_alloc();

	names->error = names_fail;
	names->warning = names_say;
	names->debug = names_say;
	return names;
}

void sl_names_close(struct pci_access *names)
{
	pci_cleanup(names);
}

static void look_up(struct pci_access *names, struct device *d)
{
	const int flags = PCI_LOOKUP_NO_HWDB;
	const struct sl_pci_info *i = &d->info;

	pci_lookup_name(names, d->class_name, sizeof(d->class_name), PCI_LOOKUP_CLASS | flags,
			(int)(i->class_code >> 8));
	pci_lookup_name(names, d->vendor_name, sizeof(d->vendor_name), PCI_LOOKUP_VENDOR | flags,
			i->vendor);
	pci_lookup_name(names, d->device_name, sizeof(d->device_name), PCI_LOOKUP_DEVICE | flags,
			i->vendor, i->device);
}

int sl_device_look(const struct sl_pci_addr *addr, struct pci_access *names, struct device *d)
{
	uint8_t bytes[SL_PCI_CONFIG_MAX];
	int ret;

	memset(d, 0, sizeof(*d));
	sl_pci_addr_format(addr, d->address);
	ret = sl_pci_get_info(NULL, addr, &d->info);
	if (ret)
		return ret;
	ret = sl_pci_config_read(NULL, addr, bytes);
	if (ret >= 0)
		ret = sl_pci_config_decode(bytes, (size_t)ret, &d->config);
	d->has_config = !ret;
	if (ret)
		snprintf(d->why_no_config, sizeof(d->why_no_config), "%s", sl_reason());
	for (int way = 0; way < DEVICE_WAYS; way++)
		if (sl_pci_usable(NULL, addr, (enum sl_pci_way)(SL_PCI_VFIO + way)))
			snprintf(d->why_not[way], sizeof(d->why_not[way]), "%s", sl_reason());
	look_up(names, d);
	return 0;
}

static int vectors(const struct device *d, unsigned n)
{
	return !d->has_config || (!n && d->config.partial) ? -1 : (int)n;
}

int sl_device_msi(const struct device *d)
{
	return vectors(d, d->config.msi.vectors);
}

int sl_device_msix(const struct device *d)
{
	return vectors(d, d->config.msix.vectors);
}

struct json_object *sl_json_text(const char *text)
{
	return *text ? json_object_new_string(text) : NULL;
}

struct json_object *sl_json_count(int n)
{
	return n >= 0 ? json_object_new_int(n) : NULL;
}

static struct json_object *hex(unsigned digits, unsigned n)
{
	char text[16];

	snprintf(text, sizeof(text), "%0*x", (int)digits, n);
	return json_object_new_string(text);
}

static struct json_object *vectors_json(const struct device *d)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "intx", sl_json_count(d->has_config ? !!d->config.intx : -1));
	json_object_object_add(o, "msi", sl_json_count(sl_device_msi(d)));
	json_object_object_add(o, "msix", sl_json_count(sl_device_msix(d)));
	return o;
}

static struct json_object *ways_json(const struct device *d)
{
	struct json_object *ways = json_object_new_object(), *o;

	for (int way = 0; way < DEVICE_WAYS; way++) {
		o = json_object_new_object();
		json_object_object_add(o, "ok", json_object_new_boolean(!*d->why_not[way]));
		json_object_object_add(o, "reason", json_object_new_string(d->why_not[way]));
		json_object_object_add(ways, sl_device_ways[way], o);
	}
	return ways;
}

struct json_object *sl_device_json(const struct device *d)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "address", json_object_new_string(d->address));
	json_object_object_add(o, "vendor", hex(4, d->info.vendor));
	json_object_object_add(o, "device", hex(4, d->info.device));
	json_object_object_add(o, "class", hex(6, d->info.class_code));
	json_object_object_add(o, "class_name", json_object_new_string(d->class_name));
	json_object_object_add(o, "vendor_name", json_object_new_string(d->vendor_name));
	json_object_object_add(o, "device_name", json_object_new_string(d->device_name));
	json_object_object_add(o, "driver", sl_json_text(d->info.driver));
	json_object_object_add(o, "iommu_group", sl_json_count(d->info.iommu_group));
	json_object_object_add(o, "numa_node", sl_json_count(d->info.numa_node));
	json_object_object_add(o, "vectors", vectors_json(d));
	json_object_object_add(o, "ways", ways_json(d));
	return o;
}

void sl_device_print_ways(const struct device *d, int indent)
{
	if (*d->why_not[0] && !strcmp(d->why_not[0], d->why_not[1]) &&
	    !strcmp(d->why_not[0], d->why_not[2])) {
		printf("%*s%s, %s, %s: no, %s\n", indent, "", sl_device_ways[0], sl_device_ways[1],
		       sl_device_ways[2], d->why_not[0]);
		return;
	}
	for (int way = 0; way < DEVICE_WAYS; way++)
		printf("%*s%s: %s%s\n", indent, "", sl_device_ways[way],
		       *d->why_not[way] ? "no, " : "yes", d->why_not[way]);
}

/* 0 and *status, or 1 when the option was understood. */
static int take_option(const char *option, struct device_args *args, int *status)
{
	for (unsigned i = 0; args->options[i]; i++) {
		if (strcmp(args->options[i], option))
			continue;
		args->seen |= 1u << i;
		if (args->options[i + 1])
			return 1;
	}
	if (!strcmp(option, "--help") || !strcmp(option, "-h")) {
		fputs(args->help, stdout);
		*status = EXIT_OK;
	} else if (!strncmp(option, "--", 2) && !strchr(option, '=')) {
		*status = sl_bad_option(args->name, option, args->options);
	} else {
		*status = sl_usage_error(args->name, "no option \"%s\"", option);
	}
	return 0;
}

int sl_device_args(int argc, char **argv, struct device_args *args, int *status)
{
	unsigned n = 0;

	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-' && argv[i][1]) {
			if (!take_option(argv[i], args, status))
				return -1;
		} else if (n == args->max_words) {
			*status = sl_usage_error(args->name, "\"%s\" is too much", argv[i]);
			return -1;
		} else {
			args->words[n++] = argv[i];
		}
	}
	return (int)n;
}
