/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Binding, with a kernel of its own behind the files of the made-up machine: what is written to
 * drivers_probe and to unbind has the effect that it has in Linux.
 */
#include "pci_tree.h"

#include <stdbool.h>

#include "device/pci_bind.h"
#include "device/pci_memory.h"
#include "device/pci_sysfs.h"

#define BDF   "0000:00:03.0"
#define LINK  DEV(BDF, "driver")
#define SAVED "run/sluice/bind/" BDF

/* What the kernel will not do. */
static const char *refuses;   /* a driver that takes nothing */
static const char *takes_all; /* a driver that is always quicker */
static bool keeps;	      /* unbind does nothing */
static int probe_error;

int __real_sl_text_write(const char *path, const char *text);
int __wrap_sl_text_write(const char *path, const char *text);

static bool ends_in(const char *path, const char *end)
{
	size_t a = strlen(path), b = strlen(end);

	return a >= b && !strcmp(path + a - b, end);
}

static void probe(void)
{
	char wanted[64];

	snprintf(wanted, sizeof(wanted), "%s",
		 takes_all ? takes_all : line_of(DEV(BDF, "driver_override")));
	if (!access(at(LINK), F_OK) || !*wanted || !strcmp(wanted, "(null)") ||
	    (refuses && !strcmp(refuses, wanted)))
		return;
	put_bound(BDF, wanted);
}

int __wrap_sl_text_write(const char *path, const char *text)
{
	int ret = __real_sl_text_write(path, text);

	if (ret)
		return ret;
	if (ends_in(path, "/drivers_probe")) {
		assert_string_equal(text, BDF);
		probe();
		return probe_error;
	}
	if (ends_in(path, "/driver/unbind") && !keeps) {
		assert_string_equal(text, BDF);
		unlink(at(LINK));
	}
	return 0;
}

static int machine(void **state)
{
	refuses = takes_all = NULL;
	keeps = false;
	probe_error = 0;
	tree_make(state);
	put_driver("vfio-pci");
	put_driver("uio_pci_generic");
	put_group(BDF, "7");
	return 0;
}

static void driver_is(const char *driver)
{
	char name[64];

	sl_link_name(AT_FDCWD, at(LINK), name, sizeof(name));
	assert_string_equal(name, driver);
}

static void there_and_back(void **state)
{
	(void)state;
	assert_int_equal(sl_pci_restore(top, &card, false), -ENOENT);
	says("no driver is remembered");
	assert_int_equal(sl_pci_bind(top, &card, "vfio-pci", false), 0);
	driver_is("vfio-pci");
	assert_string_equal(line_of(DEV(BDF, "driver_override")), "vfio-pci");
	assert_int_equal(sl_pci_bind(top, &card, "vfio-pci", false), 0);
	assert_int_equal(sl_pci_bind(top, &card, "uio_pci_generic", false), 0);
	driver_is("uio_pci_generic");
	assert_int_equal(sl_pci_restore(top, &card, false), 0);
	driver_is("e1000e");
	assert_string_equal(line_of(DEV(BDF, "driver_override")), "");
	assert_int_equal(access(at(SAVED), F_OK), -1);
	assert_int_equal(access(at(SAVED ".new"), F_OK), -1);
}

static void unbound(void **state)
{
	(void)state;
	assert_int_equal(sl_pci_unbind(top, &card, false), 0);
	driver_is("");
	assert_int_equal(sl_pci_unbind(top, &card, false), 0);
	assert_int_equal(sl_pci_bind(top, &card, "vfio-pci", false), 0);
	assert_int_equal(sl_pci_unbind(top, &card, false), 0);
	assert_int_equal(sl_pci_restore(top, &card, false), 0);
	driver_is("e1000e");
	/* One that had none goes back to none. */
	unlink(at(LINK));
	assert_int_equal(sl_pci_bind(top, &card, "vfio-pci", false), 0);
	assert_int_equal(sl_pci_restore(top, &card, false), 0);
	driver_is("");
}

/* Whoever binds it by other means after us is who counts. */
static void others_bind_too(void **state)
{
	(void)state;
	assert_int_equal(sl_pci_bind(top, &card, "vfio-pci", false), 0);
	put_bound(BDF, "igb");
	put(DEV(BDF, "driver_override"), "igb\n");
	assert_int_equal(sl_pci_bind(top, &card, "vfio-pci", false), 0);
	assert_int_equal(sl_pci_restore(top, &card, false), 0);
	driver_is("igb");
	assert_string_equal(line_of(DEV(BDF, "driver_override")), "igb");
	/* Another card in the slot: what is remembered is not of it. */
	assert_int_equal(sl_pci_bind(top, &card, "vfio-pci", false), 0);
	put(DEV(BDF, "device"), "0x1234\n");
	assert_int_equal(sl_pci_restore(top, &card, false), -ENOENT);
}

static void refused_at_once(void **state)
{
	static const char *const bad[] = {"", ".", "..", "a/b", "../x", "a b", "a\n", "-\x80"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(sl_pci_bind(top, &card, bad[i], true), -EINVAL);
	assert_int_equal(sl_pci_bind(top, &card, "igb_uio", false), -ENOENT);
	says("no PCI driver igb_uio loaded: modprobe igb_uio");
	unlink(at(DEV(BDF, "iommu_group")));
	assert_int_equal(sl_pci_bind(top, &card, "vfio-pci", false), -ENODEV);
	says("in no IOMMU group");
	assert_int_equal(sl_pci_bind(top, &(struct sl_pci_addr){0, 0, 9, 0}, "vfio-pci", false),
			 -ENODEV);
	driver_is("e1000e");
	assert_int_equal(access(at("run/sluice"), F_OK), -1);
}

static void bridges(void **state)
{
	uint8_t bytes[256];

	(void)state;
	memcpy(bytes, e1000e_config, sizeof(bytes));
	bytes[0x0e] = 1;
	put_bytes(DEV(BDF, "config"), bytes, sizeof(bytes));
	assert_int_equal(sl_pci_bind(top, &card, "vfio-pci", true), -EINVAL);
	says("is a bridge");
	bytes[0x0e] = 0;
	bytes[0x0b] = 6; /* the host bridge has the header of an endpoint */
	put_bytes(DEV(BDF, "config"), bytes, sizeof(bytes));
	assert_int_equal(sl_pci_unbind(top, &card, true), -EINVAL);
	driver_is("e1000e");
}

static void given_back(void **state)
{
	(void)state;
	refuses = "vfio-pci";
	assert_int_equal(sl_pci_bind(top, &card, "vfio-pci", false), -EIO);
	says("vfio-pci did not take it; the last lines of dmesg may say why; it is back with e1000e");
	driver_is("e1000e");
	assert_string_equal(line_of(DEV(BDF, "driver_override")), "");
	probe_error = -EINVAL;
	assert_int_equal(sl_pci_bind(top, &card, "vfio-pci", false), -EINVAL);
	says("vfio-pci did not take it");
	refuses = NULL;
	probe_error = 0;
	takes_all = "snatcher";
	assert_int_equal(sl_pci_bind(top, &card, "vfio-pci", false), -EIO);
	says("snatcher took it, not vfio-pci; and it could not be given back to e1000e");
	takes_all = NULL;
	assert_int_equal(sl_pci_restore(top, &card, false), 0);
	driver_is("e1000e");
}

/* A try that failed changes nothing of what is remembered. */
static void tried_in_vain(void **state)
{
	(void)state;
	refuses = "vfio-pci";
	assert_int_equal(sl_pci_bind(top, &card, "vfio-pci", false), -EIO);
	assert_int_equal(access(at(SAVED), F_OK), -1);
	assert_int_equal(sl_pci_bind(top, &card, "uio_pci_generic", false), 0);
	assert_int_equal(sl_pci_bind(top, &card, "vfio-pci", false), -EIO);
	says("it is back with uio_pci_generic");
	driver_is("uio_pci_generic");
	refuses = NULL;
	assert_int_equal(sl_pci_bind(top, &card, "vfio-pci", false), 0);
	assert_int_equal(sl_pci_restore(top, &card, false), 0);
	driver_is("e1000e");
}

static void not_let_go(void **state)
{
	(void)state;
	keeps = true;
	assert_int_equal(sl_pci_unbind(top, &card, false), -EIO);
	says("e1000e does not let go of it");
	assert_int_equal(sl_pci_bind(top, &card, "vfio-pci", false), -EIO);
	says("does not let go of it");
	driver_is("e1000e");
}

static void no_permission(void **state)
{
	(void)state;
	assert_int_equal(unlink(at("sys/bus/pci/drivers_probe")), 0);
	assert_int_equal(sl_pci_bind(top, &card, "vfio-pci", false), -ENOENT);
	says("drivers_probe: No such file");
	says("and it could not be given back");
	assert_int_equal(mkdir(at("sys/bus/pci/drivers_probe"), 0700), 0);
	assert_int_equal(rmdir(at("run")), -1); /* it holds what is remembered */
	assert_string_equal(line_of(SAVED), "id=8086-10d3");
}

static void memory_is_hostile(void **state)
{
	static const char too_long[] = "id=8086-10d3\ndriver="
				       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
				       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\noverride=\ntaken=\n";
	const char *const bad[] = {
		"",
		"id=8086-10d3\n",
		"id=8086-10d3\ndriver=../x\noverride=\ntaken=vfio-pci\n",
		"id=8086-10d3\ndriver=e1000e\noverride=\ntaken=vfio-pci\nmore=1\n",
		"id=x\ndriver=e1000e\noverride=\ntaken=vfio-pci\n",
		"id=8086-10d3 \ndriver=e1000e\noverride=\ntaken=vfio-pci\n",
		too_long,
	};
	struct sl_pci_memory m;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put(SAVED, bad[i]);
		assert_int_equal(sl_pci_remembered(top, &card, &m), -EINVAL);
		assert_int_equal(sl_pci_restore(top, &card, false), -EINVAL);
		says("makes no sense: remove it");
	}
	put(SAVED, "id=8086-10d3\ndriver=gone\noverride=\ntaken=e1000e\n");
	assert_int_equal(sl_pci_restore(top, &card, false), -ENOENT);
	says("no PCI driver gone loaded");
	driver_is("e1000e");
}

/* The system lives on it: refused unless forced. What that is, is in test_pci_use. */
static void in_use(void **state)
{
	(void)state;
	put(DEV(BDF, "net/eth0/mtu"), "1500\n");
	put_link(DEV(BDF, "net/eth0/subsystem"), "../../../../../../class/net");
	put("proc/net/route", "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
	assert_int_equal(sl_pci_bind(top, &card, "vfio-pci", false), -EBUSY);
	says("0000:00:03.0 carries the default route, by interface eth0; it is left alone unless "
	     "forced");
	assert_int_equal(sl_pci_unbind(top, &card, false), -EBUSY);
	driver_is("e1000e");
	assert_int_equal(sl_pci_bind(top, &card, "vfio-pci", true), 0);
	driver_is("vfio-pci");
}

#define bind_test(name) cmocka_unit_test_setup_teardown(name, machine, tree_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		bind_test(there_and_back),  bind_test(unbound),	      bind_test(others_bind_too),
		bind_test(refused_at_once), bind_test(bridges),	      bind_test(given_back),
		bind_test(not_let_go),	    bind_test(no_permission), bind_test(memory_is_hostile),
		bind_test(in_use),	    bind_test(tried_in_vain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
