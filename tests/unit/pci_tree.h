/* SPDX-License-Identifier: BSD-2-Clause */
/* A made-up machine in a temporary folder: sys/, proc/, dev/ and run/ with PCI devices. */
#ifndef SL_TESTS_PCI_TREE_H
#define SL_TESTS_PCI_TREE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <sluice/pci.h>
#include <sluice/reason.h>

static char top[32];

static inline const char *at(const char *path)
{
	static char paths[8][PATH_MAX];
	static unsigned next;
	char *to = paths[next++ % 8];

	snprintf(to, PATH_MAX, "%s/%s", top, path);
	return to;
}

/* The folders above a path. */
static inline void folders(const char *path)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *p = copy + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = '\0';
		if (mkdir(copy, 0755) && errno != EEXIST)
			fail_msg("%s: %s", copy, strerror(errno));
	}
}

static inline void put_bytes(const char *path, const void *bytes, size_t len)
{
	FILE *f;

	folders(at(path));
	f = fopen(at(path), "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static inline void put(const char *path, const char *text)
{
	put_bytes(path, text, strlen(text));
}

static inline void put_link(const char *path, const char *target)
{
	folders(at(path));
	unlink(at(path));
	assert_int_equal(symlink(target, at(path)), 0);
}

static inline void put_folder(const char *path)
{
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "%s/", at(path));
	folders(name);
}

/* The first line of a file, for comparing. */
static inline const char *line_of(const char *path)
{
	static char line[256];
	FILE *f = fopen(at(path), "r");

	line[0] = '\0';
	if (f && fgets(line, sizeof(line), f))
		line[strcspn(line, "\n")] = '\0';
	if (f)
		fclose(f);
	return line;
}

#define DEV(address, file) "sys/devices/pci0000:00/" address "/" file

/* A network card with INTx, MSI and MSI-X: like QEMU's e1000e. */
static const uint8_t e1000e_config[256] = {
	0x86, 0x80, 0xd3, 0x10, 0x07, 0x05, 0x10, 0x00, 0x00, 0x00, 0x00, 0x02, [0x10] = 0x00, 0x00,
	0xa4, 0xfe, 0x00, 0x00, 0xa6, 0xfe, 0x41, 0xc0, 0x00, 0x00, 0x00, 0x00, 0xa8,
	0xfe, [0x2c] = 0x86, 0x80, 0x00, 0x00, [0x34] = 0xc8, [0x3c] = 0x0b, 0x01,
	/* MSI-X: 5 vectors, table in BAR 3 at 0, PBA in BAR 3 at 0x2000 */
	[0xa0] = 0x11, 0x00, 0x04, 0x80, 0x03, 0x00, 0x00, 0x00, 0x03, 0x20, 0x00, 0x00,
	/* Power management, D0 */
	[0xc8] = 0x01, 0xd0, 0x22, 0xc8, 0x00, 0x20,
	/* MSI: one vector, 64 bit */
	[0xd0] = 0x05, 0xe0, 0x80, 0x00,
	/* PCI Express 1: an endpoint with FLR */
	[0xe0] = 0x10, 0xa0, 0x01, 0x00, 0xc0, 0x8c, 0x00, 0x10};

static const char e1000e_resource[] = "0x00000000fea40000 0x00000000fea5ffff 0x0000000000040200\n"
				      "0x00000000fea60000 0x00000000fea7ffff 0x0000000000040200\n"
				      "0x000000000000c040 0x000000000000c05f 0x0000000000040101\n"
				      "0x00000000fea80000 0x00000000fea83fff 0x0000000000040200\n"
				      "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
				      "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
				      "0x00000000fea00000 0x00000000fea3ffff 0x0000000000046200\n"
				      "0x0000000000000000 0x0000000000000000 0x0000000000000000\n";

static inline void put_device_file(const char *address, const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "sys/devices/pci0000:00/%s/%s", address, file);
	put(path, text);
}

static inline void put_device_link(const char *address, const char *file, const char *target)
{
	char path[256];

	snprintf(path, sizeof(path), "sys/devices/pci0000:00/%s/%s", address, file);
	put_link(path, target);
}

/* A loaded driver. */
static inline void put_driver(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "sys/bus/pci/drivers/%s/unbind", name);
	put(path, "");
	snprintf(path, sizeof(path), "sys/bus/pci/drivers/%s/bind", name);
	put(path, "");
}

static inline void put_bound(const char *address, const char *driver)
{
	char target[128];

	put_driver(driver);
	snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver);
	put_device_link(address, "driver", target);
}

static inline void put_e1000e(const char *address)
{
	char path[256], target[256];

	put_device_file(address, "vendor", "0x8086\n");
	put_device_file(address, "device", "0x10d3\n");
	put_device_file(address, "subsystem_vendor", "0x8086\n");
	put_device_file(address, "subsystem_device", "0x0000\n");
	put_device_file(address, "class", "0x020000\n");
	put_device_file(address, "revision", "0x00\n");
	put_device_file(address, "resource", e1000e_resource);
	put_device_file(address, "driver_override", "(null)\n");
	put_device_file(address, "enable", "1\n");
	put_device_file(address, "numa_node", "-1\n");
	put_device_file(address, "power_state", "D0\n");
	put_device_file(address, "reset_method", "flr pm\n");
	put_device_file(address, "msi_irqs/24", "msix\n");
	put_device_file(address, "msi_irqs/25", "msix\n");
	snprintf(path, sizeof(path), "sys/devices/pci0000:00/%s/config", address);
	put_bytes(path, e1000e_config, sizeof(e1000e_config));
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", address);
	snprintf(target, sizeof(target), "../../../devices/pci0000:00/%s", address);
	put_link(path, target);
	put_bound(address, "e1000e");
}

static inline void put_group(const char *address, const char *group)
{
	char path[256], target[256];

	snprintf(target, sizeof(target), "../../../kernel/iommu_groups/%s", group);
	put_device_link(address, "iommu_group", target);
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%s/devices/%s", group, address);
	snprintf(target, sizeof(target), "../../../../devices/pci0000:00/%s", address);
	put_link(path, target);
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%s/type", group);
	put(path, "DMA-FQ\n");
}

/* What is below every machine; one device, 0000:00:03.0. */
static inline int tree_make(void **state)
{
	(void)state;
	strcpy(top, "/tmp/slt-pci-XXXXXX");
	assert_non_null(mkdtemp(top));
	put("sys/bus/pci/drivers_probe", "");
	put_folder("sys/class/net");
	put_folder("sys/class/block");
	put("proc/self/mountinfo", "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n");
	put("proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\n");
	put("proc/net/route", "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n");
	put("proc/swaps", "Filename\t\t\tType\t\tSize\tUsed\tPriority\n");
	put_folder("run");
	put_folder("dev");
	put_e1000e("0000:00:03.0");
	return 0;
}

static inline int tree_remove_one(const char *path, const struct stat *st, int kind,
				  struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

static inline int tree_remove(void **state)
{
	(void)state;
	return nftw(top, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const struct sl_pci_addr card __attribute__((unused)) = {0, 0, 3, 0};

#define says(word)                                                                                 \
	do {                                                                                       \
		if (!strstr(sl_reason(), word))                                                    \
			fail_msg("no \"%s\" in \"%s\"", word, sl_reason());                        \
	} while (0)

#define tree_test(name) cmocka_unit_test_setup_teardown(name, tree_make, tree_remove)

#endif
