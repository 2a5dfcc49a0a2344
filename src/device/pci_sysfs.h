/* SPDX-License-Identifier: BSD-2-Clause */
/* Files below a root: small, read whole and at once, whatever they turn out to be. */
#ifndef SL_DEVICE_PCI_SYSFS_H
#define SL_DEVICE_PCI_SYSFS_H

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include <sluice/pci.h>

/* @root (NULL for "/") and what @fmt makes: a path. 0 or -ENAMETOOLONG, with a sentence. */
__attribute__((format(printf, 3, 4))) int sl_path(char to[PATH_MAX], const char *root,
						  const char *fmt, ...);

/* A file in a device's folder of sysfs. */
int sl_pci_path(char to[PATH_MAX], const char *root, const struct sl_pci_addr *addr,
		const char *file);

/* Of whatever kind, the host bridge too: no device for a program. */
static inline bool sl_pci_is_bridge(const struct sl_pci_config *config)
{
	return config->header_type || config->class_code >> 16 == 0x06;
}

/*
 * The text of a file (@path from the folder @at, or AT_FDCWD) without blanks at its end, and a NUL.
 * Its length, or a negative errno without a sentence: -EFBIG when it does not fit.
 */
int sl_text_read(int at, const char *path, char *to, size_t room);

/* The last part of what a symbolic link points to. 0 or a negative errno without a sentence. */
int sl_link_name(int at, const char *path, char *to, size_t room);

/* Write to a file that is there, in one go; a sentence when that fails. */
int sl_text_write(const char *path, const char *text);

/*
 * Call @entry with the name of each entry of a folder but those with a dot in front, until it
 * returns something else than 0, which is returned. -errno without a sentence when there is no
 * such folder; -E2BIG when it never ends.
 */
int sl_folder_each(const char *path, int (*entry)(void *ctx, const char *name), void *ctx);

/* How many entries sl_folder_each() would call for; 0 where there is no folder. */
unsigned sl_folder_count(const char *path);

/* The first entry that begins with @prefix. 0; -ENOENT when there is none. */
int sl_folder_first(const char *path, const char *prefix, char *name, size_t room);

/* What the UIO device of a PCI device is called, in new and old layouts of sysfs: uio3. 0 or a
 * negative errno with a sentence. */
int sl_uio_node(const char *root, const struct sl_pci_addr *addr, char *name, size_t room);

/* /dev/vfio/devices/vfioN of a PCI device. 0 or a negative errno with a sentence. */
int sl_vfio_node(const char *root, const struct sl_pci_addr *addr, char to[PATH_MAX]);

/* May this process read and write what the path leads to? 0 or a negative errno. */
int sl_path_access(const char *path);

#endif
