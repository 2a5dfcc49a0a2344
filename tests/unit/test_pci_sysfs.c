/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses, resources, and what sysfs says of devices, also where it says nonsense. */
#include "pci_tree.h"

#include "device/pci_resource.h"

static void addresses(void **state)
{
	static const char *const bad[] = {
		"",
		"0",
		"00:03",
		"0000:00:03",
		"00:03.",
		"00:03.8",
		"00:20.0",
		"000:00:03.0",
		"0000:00:03.00",
		"0000:0:03.0",
		" 00:03.0",
		"00:03.0 ",
		"0000:00:03.0\n",
		"00000:00:03.0",
		"-000:00:03.0",
		"0x00:00:03.0",
		"0000:00:3.0",
		"123456789:00:03.0",
		"0000;00:03.0",
		"00:03,0",
		"0000:00:+3.0",
		"g000:00:03.0",
		"../../00:03.0",
	};
	static const char *const good[][2] = {
		{"0000:00:03.0", "0000:00:03.0"},	  {"00:03.0", "0000:00:03.0"},
		{"fFfF:fE:1F.7", "ffff:fe:1f.7"},	  {"10000:00:02.0", "10000:00:02.0"},
		{"ffffffff:ff:1f.7", "ffffffff:ff:1f.7"},
	};
	struct sl_pci_addr addr;
	char text[SL_PCI_ADDR_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(sl_pci_addr_parse(good[i][0], &addr), 0);
		sl_pci_addr_format(&addr, text);
		assert_string_equal(text, good[i][1]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (sl_pci_addr_parse(bad[i], &addr) != -EINVAL)
			fail_msg("\"%s\" is taken", bad[i]);
		says("is no PCI address such as 0000:00:03.0 or 00:03.0");
	}
}

static void resources(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		"x",
		"0x0 0x0",
		"0x0 0x0 0x0 0x0",
		"0x0  0x0 0x0",
		"0x 0x0 0x0",
		"0x0 0x0 0x0\n\n",
		"0x00000000000000000 0x0 0x0",
		"0x0 0xffffffffffffffff 0x200",
		"0 0 0",
		"0x0 0x0 0xG",
		"0x0 0x0 0x0 ",
		"0x0\t0x0\t0x0",
		"0x0 0x0 0x",
	};
	struct sl_pci_resource r[SL_PCI_RESOURCES];
	char many[18 * 12 + 1] = "";

	(void)state;
	assert_int_equal(sl_pci_resource_parse(e1000e_resource, r), 0);
	assert_true(r[0].start == 0xfea40000 && r[0].len == 0x20000);
	assert_true(r[2].len == 32 && !(r[2].flags & SL_PCI_RESOURCE_MEM));
	assert_true(r[3].len == 0x4000 && !r[4].len && r[6].len == 0x40000);
	assert_int_equal(sl_pci_resource_parse("0x1 0x0 0x200", r), 0);
	assert_true(!r[0].len);
	assert_int_equal(sl_pci_resource_parse("0x1 0xffffffffffffffff 0x200\n", r), 0);
	assert_true(r[0].len == UINT64_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		r[0].len = 1;
		if (sl_pci_resource_parse(bad[i], r) != -EINVAL)
			fail_msg("\"%s\" is taken", bad[i]);
		assert_true(!r[0].len);
	}
	for (int i = 0; i < 17; i++)
		strcat(many, "0x0 0x0 0x0\n");
	assert_int_equal(sl_pci_resource_parse(many, r), 0);
	strcat(many, "0x0 0x0 0x0");
	assert_int_equal(sl_pci_resource_parse(many, r), -EINVAL);
	says("line 18");
}

static void a_list(void **state)
{
	struct sl_pci_addr *addrs;

	(void)state;
	put_e1000e("0000:00:1f.7");
	put_e1000e("0000:00:01.0");
	put_e1000e("10000:00:00.0");
	put_folder("sys/bus/pci/devices/not-an-address");
	assert_int_equal(sl_pci_list(top, &addrs), 4);
	assert_int_equal(addrs[0].device, 1);
	assert_int_equal(addrs[1].device, 3);
	assert_int_equal(addrs[2].function, 7);
	assert_int_equal(addrs[3].domain, 0x10000);
	free(addrs);
	assert_int_equal(sl_pci_list("/nowhere", &addrs), -ENOENT);
	says("there is no PCI on this machine");
}

static void a_device(void **state)
{
	uint8_t bytes[SL_PCI_CONFIG_MAX];
	struct sl_pci_addr *members;
	struct sl_pci_info info;

	(void)state;
	assert_int_equal(sl_pci_get_info(top, &card, &info), 0);
	assert_int_equal(info.vendor, 0x8086);
	assert_int_equal(info.class_code, 0x020000);
	assert_string_equal(info.driver, "e1000e");
	assert_string_equal(info.driver_override, "");
	assert_string_equal(info.reset_methods, "flr pm");
	assert_string_equal(info.power_state, "D0");
	assert_int_equal(info.iommu_group, -1);
	assert_int_equal(info.numa_node, -1);
	assert_int_equal(info.enabled, 1);
	assert_int_equal(info.msi_irqs, 2);
	assert_true(info.resources[3].len == 0x4000);
	assert_int_equal(sl_pci_config_read(top, &card, bytes), 256);
	assert_int_equal(sl_pci_group(top, &card, &members), -ENOENT);
	says("0000:00:03.0 is in no IOMMU group");

	put_e1000e("0000:00:04.0");
	put_group("0000:00:03.0", "7");
	put_group("0000:00:04.0", "7");
	put_device_file("0000:00:03.0", "numa_node", "1\n");
	assert_int_equal(sl_pci_get_info(top, &card, &info), 0);
	assert_int_equal(info.iommu_group, 7);
	assert_int_equal(info.numa_node, 1);
	assert_int_equal(sl_pci_group(top, &card, &members), 2);
	assert_int_equal(members[1].device, 4);
	free(members);
}

/* Nothing but what identifies a device must be there. */
static void little(void **state)
{
	static const char *const optional[] = {"driver",    "driver_override", "enable",
					       "numa_node", "power_state",     "reset_method"};
	struct sl_pci_info info;
	char path[128];

	(void)state;
	for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++) {
		snprintf(path, sizeof(path), DEV("0000:00:03.0", "%s"), optional[i]);
		assert_int_equal(unlink(at(path)), 0);
	}
	assert_int_equal(sl_pci_get_info(top, &card, &info), 0);
	assert_string_equal(info.driver, "");
	assert_string_equal(info.power_state, "");
	assert_int_equal(info.enabled, -1);
	assert_int_equal(unlink(at(DEV("0000:00:03.0", "vendor"))), 0);
	assert_int_equal(sl_pci_get_info(top, &card, &info), -ENODEV);
	says("vendor: No such file");
	assert_int_equal(sl_pci_get_info(top, &(struct sl_pci_addr){0, 0, 9, 0}, &info), -ENODEV);
	says("there is no PCI device 0000:00:09.0");
}

/* Each line: a file, and what is in it that should not be. */
static void nonsense(void **state)
{
	static const char *const files[][2] = {
		{"vendor", "8086"},    {"vendor", ""},	       {"vendor", "0x10000"},
		{"device", "0x12 34"}, {"class", "0x1000000"}, {"revision", "0x"},
		{"resource", "x"},     {"vendor", "0xzz"},
	};
	struct sl_pci_info info;
	char big[5000];

	(void)state;
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		put_device_file("0000:00:03.0", files[i][0], files[i][1]);
		if (sl_pci_get_info(top, &card, &info) != -EINVAL)
			fail_msg("%s may be \"%s\"", files[i][0], files[i][1]);
		put_device_file("0000:00:03.0", files[i][0], big);
		assert_int_equal(sl_pci_get_info(top, &card, &info), -EFBIG);
		put_e1000e("0000:00:03.0");
	}
	/* Where nothing depends on it, nonsense is nothing. */
	put_device_file("0000:00:03.0", "numa_node", big);
	put_device_file("0000:00:03.0", "driver_override", big);
	put_device_file("0000:00:03.0", "enable", "99999999999999999999\n");
	put_device_link("0000:00:03.0", "iommu_group", "a/b/-7");
	put_device_link("0000:00:03.0", "driver", big + sizeof(big) - 200);
	assert_int_equal(sl_pci_get_info(top, &card, &info), 0);
	assert_int_equal(info.numa_node, -1);
	assert_int_equal(info.enabled, -1);
	assert_int_equal(info.iommu_group, -1);
	assert_string_equal(info.driver_override, "");
	assert_string_equal(info.driver, "");
}

/* Loops of links, a FIFO, a folder, no access to a file: none of it may hang or crash. */
static void strange_files(void **state)
{
	uint8_t bytes[SL_PCI_CONFIG_MAX];
	struct sl_pci_info info;

	(void)state;
	put_link(DEV("0000:00:03.0", "vendor"), "vendor");
	assert_int_equal(sl_pci_get_info(top, &card, &info), -ENODEV);
	says("Too many levels of symbolic links");
	unlink(at(DEV("0000:00:03.0", "vendor")));
	assert_int_equal(mkfifo(at(DEV("0000:00:03.0", "vendor")), 0600), 0);
	assert_int_equal(sl_pci_get_info(top, &card, &info), -EINVAL);
	unlink(at(DEV("0000:00:03.0", "vendor")));
	put_folder(DEV("0000:00:03.0", "vendor"));
	assert_int_equal(sl_pci_get_info(top, &card, &info), -EISDIR);
	put_link("sys/bus/pci/devices/0000:00:03.0", "0000:00:03.0");
	assert_int_equal(sl_pci_get_info(top, &card, &info), -ENODEV);
	assert_int_equal(sl_pci_config_read(top, &card, bytes), -ELOOP);
	put_link("sys/bus/pci/devices/0000:00:04.0", "/dev/null");
	assert_int_equal(sl_pci_get_info(top, &(struct sl_pci_addr){0, 0, 4, 0}, &info), -ENODEV);
}

/* A file that is longer than it may be is read to there and no further. */
static void endless_config(void **state)
{
	uint8_t bytes[SL_PCI_CONFIG_MAX + 8];

	(void)state;
	memset(bytes, 0xa5, sizeof(bytes));
	unlink(at(DEV("0000:00:03.0", "config")));
	put_link(DEV("0000:00:03.0", "config"), "/dev/zero");
	assert_int_equal(sl_pci_config_read(top, &card, bytes), SL_PCI_CONFIG_MAX);
	assert_int_equal(bytes[SL_PCI_CONFIG_MAX], 0xa5);
	put_bytes(DEV("0000:00:04.0", "config"), e1000e_config, 64);
	put_link("sys/bus/pci/devices/0000:00:04.0", "../../../devices/pci0000:00/0000:00:04.0");
	assert_int_equal(sl_pci_config_read(top, &(struct sl_pci_addr){0, 0, 4, 0}, bytes), 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses), cmocka_unit_test(resources), tree_test(a_list),
		tree_test(a_device),	     tree_test(little),		  tree_test(nonsense),
		tree_test(strange_files),    tree_test(endless_config),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
