/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration space: what a card says, and what a hostile one may say. */
#include "pci_tree.h"

static uint8_t space[SL_PCI_CONFIG_MAX];
static struct sl_pci_config config;

static int fresh(void **state)
{
	(void)state;
	memset(space, 0, sizeof(space));
	memcpy(space, e1000e_config, sizeof(e1000e_config));
	return 0;
}

static void put32(size_t at_byte, uint32_t v)
{
	memcpy(space + at_byte, &v, sizeof(v));
}

/* In memory of just that size, for ASan to see what is read behind it. */
static void decode(size_t len)
{
	uint8_t *copy = malloc(len);

	assert_non_null(copy);
	memcpy(copy, space, len);
	assert_int_equal(sl_pci_config_decode(copy, len, &config), 0);
	free(copy);
}

static void flawed(size_t len, const char *flaw)
{
	decode(len);
	if (!config.flaw || !strstr(config.flaw, flaw))
		fail_msg("not \"%s\" but \"%s\"", flaw, config.flaw ? config.flaw : "no flaw");
}

static void a_card(void **state)
{
	(void)state;
	decode(256);
	assert_int_equal(config.vendor, 0x8086);
	assert_int_equal(config.device, 0x10d3);
	assert_int_equal(config.class_code, 0x020000);
	assert_int_equal(config.command, 0x0507);
	assert_int_equal(config.subsystem_vendor, 0x8086);
	assert_int_equal(config.header_type, 0);
	assert_int_equal(config.intx, 1);
	assert_int_equal(config.power_state, 0);
	assert_int_equal(config.express, 0);
	assert_true(config.flr);
	assert_int_equal(config.n_caps, 4);
	assert_null(config.flaw);
	assert_false(config.partial);
	assert_int_equal(config.msi.vectors, 1);
	assert_true(config.msi.address64 && !config.msi.enabled && !config.msi.maskable);
	assert_int_equal(config.msix.vectors, 5);
	assert_true(config.msix.enabled && !config.msix.masked);
	assert_int_equal(config.msix.table_bar, 3);
	assert_int_equal(config.msix.table_offset, 0);
	assert_int_equal(config.msix.pba_bar, 3);
	assert_int_equal(config.msix.pba_offset, 0x2000);
	assert_int_equal(sl_pci_cap_find(&config, SL_PCI_CAP_MSIX)->offset, 0xa0);
	assert_null(sl_pci_cap_find(&config, SL_PCI_CAP_AF));
}

static void base_addresses(void **state)
{
	(void)state;
	decode(64);
	assert_int_equal(config.bars[0].type, SL_PCI_BAR_MEM32);
	assert_int_equal(config.bars[0].address, 0xfea40000);
	assert_int_equal(config.bars[2].type, SL_PCI_BAR_IO);
	assert_int_equal(config.bars[2].address, 0xc040);
	assert_int_equal(config.bars[4].type, SL_PCI_BAR_NONE);
	put32(0x10, 0xe000000c);
	put32(0x14, 0x00000012);
	decode(64);
	assert_int_equal(config.bars[0].type, SL_PCI_BAR_MEM64);
	assert_true(config.bars[0].prefetchable);
	assert_true(config.bars[0].address == 0x12e0000000);
	assert_int_equal(config.bars[1].type, SL_PCI_BAR_UPPER);
	put32(0x24, 0xe0000004); /* the last: no room for its upper half */
	flawed(64, "base address register");
	assert_int_equal(config.bars[5].type, SL_PCI_BAR_BAD);
	put32(0x24, 0xe0000006); /* reserved type */
	flawed(64, "base address register");
	space[0x0e] = 0x81; /* a bridge has two */
	decode(64);
	assert_true(config.multifunction);
	assert_int_equal(config.bars[2].type, SL_PCI_BAR_NONE);
	space[0x0e] = 3;
	flawed(64, "header type");
	assert_int_equal(config.bars[0].type, SL_PCI_BAR_NONE);
}

static void lengths(void **state)
{
	(void)state;
	assert_int_equal(sl_pci_config_decode(space, 0, &config), -EINVAL);
	assert_int_equal(sl_pci_config_decode(space, 63, &config), -EINVAL);
	assert_int_equal(sl_pci_config_decode(space, 4097, &config), -EINVAL);
	says("4097 bytes");
	for (size_t len = 64; len <= 256; len++) {
		decode(len);
		assert_int_equal(config.partial, len < 0xe8);
		assert_null(config.flaw);
	}
	memset(space, 0xff, sizeof(space));
	assert_int_equal(sl_pci_config_decode(space, 256, &config), -ENODEV);
	says("D3cold");
}

static void hostile_lists(void **state)
{
	(void)state;
	space[0xa1] = 0xc8;
	flawed(256, "loops");
	assert_int_equal(config.n_caps, 4);
	space[0xa1] = 0xa0; /* to itself */
	flawed(256, "loops");
	space[0xa1] = 0x10;
	flawed(256, "into the header");
	space[0xa1] = 0x43; /* reserved bits, to be masked */
	space[0x40] = 0xff;
	flawed(256, "ones");
	space[0x40] = 0x09;
	decode(256);
	assert_null(config.flaw);
	assert_int_equal(config.caps[4].offset, 0x40);
	space[0x34] = 0;
	decode(256);
	assert_int_equal(config.n_caps, 0);
	space[0x34] = 0xc8;
	space[0x06] = 0; /* the status says there is no list */
	decode(256);
	assert_int_equal(config.n_caps, 0);
	assert_false(config.partial);
}

/* 48 capabilities fill all there is; each MSI-X at the very end has no room for its registers. */
static void full_list(void **state)
{
	(void)state;
	space[0x34] = 0x40;
	for (unsigned i = 0x40; i < 0x100; i += 4) {
		space[i] = 0x09;
		space[i + 1] = (uint8_t)(i + 4);
	}
	decode(256);
	assert_int_equal(config.n_caps, 48);
	assert_null(config.flaw);
	space[0xfc] = SL_PCI_CAP_MSIX;
	flawed(256, "beyond the end");
	assert_int_equal(config.msix.vectors, 0);
	space[0xfc] = SL_PCI_CAP_MSI;
	flawed(256, "beyond the end");
}

static void reserved_values(void **state)
{
	(void)state;
	space[0xd2] = 0x8c; /* 64 vectors of MSI */
	flawed(256, "reserved number");
	assert_int_equal(config.msi.vectors, 0);
	space[0xd2] = 0x8a;
	space[0xd3] = 0x01;
	space[0x3d] = 5;
	flawed(256, "interrupt pin");
	assert_int_equal(config.intx, 0);
	assert_int_equal(config.msi.vectors, 32);
	assert_true(config.msi.maskable);
	space[0x3d] = 0;
	space[0xa4] = 0x07;
	flawed(256, "MSI-X names");
}

static void extended(void **state)
{
	(void)state;
	decode(4096);
	assert_int_equal(config.n_caps, 4);
	put32(0x100, 0x14020001); /* Advanced Error Reporting 2, next at 0x140 */
	put32(0x140, 0x00010003); /* Device Serial Number */
	decode(4096);
	assert_int_equal(config.n_caps, 6);
	assert_null(config.flaw);
	assert_int_equal(sl_pci_cap_find(&config, SL_PCI_EXTENDED | 3)->offset, 0x140);
	assert_int_equal(config.caps[4].version, 2);
	decode(0x140);
	assert_int_equal(config.n_caps, 5);
	assert_true(config.partial);
	put32(0x140, 0x10010003);
	flawed(4096, "loops");
	put32(0x140, 0x0f010003);
	flawed(4096, "out of its space");
	put32(0x140, 0xffc10003);
	put32(0xffc, 0xffffffff);
	flawed(4096, "ones");
	put32(0x100, 0xffffffff);
	decode(4096);
	assert_int_equal(config.n_caps, 4);
	assert_null(config.flaw);
	for (unsigned i = 0x100; i < 0x1000; i += 4)
		put32(i, ((i + 4) & 0xffc) << 20 | 0x1000b);
	flawed(4096, "longer");
	assert_true(config.n_caps <= SL_PCI_CAPS_MAX);
}

static void msix_places(void **state)
{
	struct sl_pci_info info = {.resources[3] = {0xfea80000, 0x4000, SL_PCI_RESOURCE_MEM}};

	(void)state;
	decode(256);
	assert_int_equal(sl_pci_msix_check(&info, &config), 0);
	config.msix.vectors = 2048;
	assert_int_equal(sl_pci_msix_check(&info, &config), -EINVAL);
	says("ends at 0x8000 of BAR 3, which has 0x4000 bytes");
	config.msix.vectors = 5;
	config.msix.table_offset = 0xfffffff8;
	assert_int_equal(sl_pci_msix_check(&info, &config), -EINVAL);
	config.msix.table_offset = 0x1ff0;
	assert_int_equal(sl_pci_msix_check(&info, &config), -EINVAL);
	says("overlap");
	config.msix.table_offset = 0x2008; /* right behind the PBA */
	assert_int_equal(sl_pci_msix_check(&info, &config), 0);
	config.msix.pba_offset = 0x4000;
	assert_int_equal(sl_pci_msix_check(&info, &config), -EINVAL);
	says("PBA ends at 0x4008");
	config.msix.table_bar = 7;
	assert_int_equal(sl_pci_msix_check(&info, &config), -EINVAL);
	says("no memory");
	config.msix.table_bar = 2;
	assert_int_equal(sl_pci_msix_check(&info, &config), -EINVAL);
	config.msix.vectors = 0;
	assert_int_equal(sl_pci_msix_check(&info, &config), -ENOENT);
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(sl_pci_cap_name(SL_PCI_CAP_MSIX), "MSI-X");
	assert_string_equal(sl_pci_cap_name(SL_PCI_EXTENDED | 0x10),
			    "Single Root I/O Virtualization");
	assert_string_equal(sl_pci_cap_name(SL_PCI_EXTENDED | 0x14), "unknown");
	assert_string_equal(sl_pci_cap_name(0x16), "unknown");
	assert_string_equal(sl_pci_cap_name(UINT32_MAX), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_card, fresh),
		cmocka_unit_test_setup(base_addresses, fresh),
		cmocka_unit_test_setup(lengths, fresh),
		cmocka_unit_test_setup(hostile_lists, fresh),
		cmocka_unit_test_setup(full_list, fresh),
		cmocka_unit_test_setup(reserved_values, fresh),
		cmocka_unit_test_setup(extended, fresh),
		cmocka_unit_test_setup(msix_places, fresh),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
