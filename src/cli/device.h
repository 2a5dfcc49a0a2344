/* SPDX-License-Identifier: BSD-2-Clause */
/* What the commands that speak of PCI devices share: a device with all that is known of it. */
#ifndef SL_CLI_DEVICE_H
#define SL_CLI_DEVICE_H

#include <json-c/json.h>
#include <stdbool.h>

#include <sluice/pci.h>

struct pci_access;

enum {
	DEVICE_WAYS = 3,
};

extern const char *const sl_device_ways[DEVICE_WAYS]; /* names, from SL_PCI_VFIO on */

/*
 * @config:     valid if @has_config; else @why_no_config
 * @why_not:    by way, the same order: empty for yes
 */
struct device {
	char address[SL_PCI_ADDR_SIZE];
	struct sl_pci_info info;
	bool has_config;
	char why_no_config[256];
	struct sl_pci_config config;
	char why_not[DEVICE_WAYS][512];
	char class_name[128], vendor_name[128], device_name[128];
};

/* The list of names (pci.ids); for sl_names_close(). */
struct pci_access *sl_names_open(void);
void sl_names_close(struct pci_access *names);

/* 0; a negative errno with sl_reason() when there is no such device. */
int sl_device_look(const struct sl_pci_addr *addr, struct pci_access *names, struct device *device);

/* Vectors; -1 when the capability lies behind what this user may read. */
int sl_device_msi(const struct device *device);
int sl_device_msix(const struct device *device);

/* What a list has of a device: the start of what `sluice show` has. */
struct json_object *sl_device_json(const struct device *device);

/* A string, or null for an empty one; a number, or null below 0. */
struct json_object *sl_json_text(const char *text);
struct json_object *sl_json_count(int n);

/* "vfio: ...": a line a way. */
void sl_device_print_ways(const struct device *device, int indent);

/*
 * The arguments of a command: options without a value, and words between them.
 * @options:   ends with NULL; --help is the last
 * @words:     what was found, @max_words at most
 * @seen:      bit i for the option i
 */
struct device_args {
	const char *name, *help;
	const char *const *options;
	const char *words[2];
	unsigned max_words, seen;
};

/* How many words there are, or -1 when there is no more to do: *status is the exit status. */
int sl_device_args(int argc, char **argv, struct device_args *args, int *status);

#endif
