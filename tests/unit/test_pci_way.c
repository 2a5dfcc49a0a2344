/* SPDX-License-Identifier: BSD-2-Clause */
/* For each way to drive a device: everything that can be in its way, one thing after the other. */
#include "pci_tree.h"

#define BDF "0000:00:03.0"

static void no(enum sl_pci_way way, int ret, const char *why)
{
	assert_int_equal(sl_pci_usable(top, &card, way), ret);
	says(why);
}

static void yes(enum sl_pci_way way)
{
	if (sl_pci_usable(top, &card, way))
		fail_msg("not usable: %s", sl_reason());
}

static void vfio(void **state)
{
	(void)state;
	no(SL_PCI_VFIO, -ENODEV, "no IOMMU: turn on VT-d");
	put_e1000e("0000:00:04.0");
	put_group("0000:00:04.0", "7");
	no(SL_PCI_VFIO, -ENODEV, "no IOMMU stands before this device");
	put_group(BDF, "7");
	no(SL_PCI_VFIO, -ENOENT, "vfio-pci is not loaded: modprobe vfio-pci");
	put_driver("vfio-pci");
	no(SL_PCI_VFIO, -EBUSY, "bound to e1000e: sluice bind 0000:00:03.0 vfio-pci");
	unlink(at(DEV(BDF, "driver")));
	no(SL_PCI_VFIO, -EBUSY, "bound to no driver: sluice bind 0000:00:03.0 vfio-pci");
	put_bound(BDF, "vfio-pci");
	no(SL_PCI_VFIO, -EBUSY,
	   "IOMMU group 7 is not viable: 0000:00:04.0 is still bound to e1000e");
	put_bound("0000:00:04.0", "pcieport");
	unlink(at(DEV("0000:00:04.0", "driver")));
	put_bound("0000:00:04.0", "pcieport");
	no(SL_PCI_VFIO, -ENOENT, "dev/vfio/vfio is not there");
	put("dev/vfio/vfio", "");
	no(SL_PCI_VFIO, -ENOENT, "dev/vfio/7 is not there");
	put("dev/vfio/7", "");
	yes(SL_PCI_VFIO);
}

/* Linux 6.6 and later: a file of the device's own, and no need for its group's. */
static void iommufd(void **state)
{
	(void)state;
	put_group(BDF, "7");
	put_bound(BDF, "vfio-pci");
	no(SL_PCI_VFIO, -ENOENT, "dev/vfio/vfio is not there");
	put("dev/iommu", "");
	no(SL_PCI_VFIO, -ENOENT, "dev/vfio/vfio is not there");
	unlink(at("dev/iommu"));
	put_folder(DEV(BDF, "vfio-dev/vfio3"));
	no(SL_PCI_VFIO, -ENOENT, "dev/iommu is not there: give it to this container");
	put("dev/iommu", "");
	no(SL_PCI_VFIO, -ENOENT, "dev/vfio/devices/vfio3 is not there");
	put("dev/vfio/devices/vfio0", "");
	no(SL_PCI_VFIO, -ENOENT, "dev/vfio/devices/vfio3 is not there");
	put("dev/vfio/devices/vfio3", "");
	yes(SL_PCI_VFIO);
	unlink(at("dev/iommu"));
	put("dev/vfio/vfio", "");
	no(SL_PCI_VFIO, -ENOENT, "dev/vfio/7 is not there");
	put("dev/vfio/7", "");
	yes(SL_PCI_VFIO);
}

static void uio(void **state)
{
	uint8_t bytes[256];

	(void)state;
	no(SL_PCI_UIO, -ENOENT, "uio_pci_generic is not loaded: modprobe uio_pci_generic");
	put_driver("uio_pci_generic");
	no(SL_PCI_UIO, -EBUSY, "bound to e1000e: sluice bind 0000:00:03.0 uio_pci_generic");
	put_group(BDF, "7");
	no(SL_PCI_UIO, -EPERM, "an IOMMU translates its addresses (DMA-FQ): use vfio-pci");
	put("sys/kernel/iommu_groups/7/type", "identity\n");
	put("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	no(SL_PCI_UIO, -EPERM, "kernel lockdown (none [integrity] confidentiality)");
	put("sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
	put_bound(BDF, "uio_pci_generic");
	no(SL_PCI_UIO, -ENOENT, "holds no UIO device");
	put_folder(DEV(BDF, "uio/uio3"));
	no(SL_PCI_UIO, -ENOENT, "dev/uio3 is not there");
	put("dev/uio3", "");
	yes(SL_PCI_UIO);
	put("proc/self/status", "CapEff:\t0000\nCapBnd:\t000001ffffffffff\n");
	no(SL_PCI_UIO, -EPERM, "needs CAP_SYS_ADMIN");
	put("proc/self/status", "Name:\tx\nCapEff:\t0000000000200000\n");
	yes(SL_PCI_UIO);
	memcpy(bytes, e1000e_config, sizeof(bytes));
	bytes[0x3d] = 0;
	put_bytes(DEV(BDF, "config"), bytes, sizeof(bytes));
	no(SL_PCI_UIO, -ENODEV, "no INTx, which is all that uio_pci_generic has");
}

static void uio_msix(void **state)
{
	(void)state;
	no(SL_PCI_UIO_MSIX, -ENOENT,
	   "uio_msix, a module that comes with sluice, is not loaded: modprobe uio_msix");
	put_driver("uio_msix");
	no(SL_PCI_UIO_MSIX, -EBUSY, "bound to e1000e: sluice bind 0000:00:03.0 uio_msix");
	put("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	no(SL_PCI_UIO_MSIX, -EPERM, "kernel lockdown (none [integrity] confidentiality)");
	put("sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
	put_bound(BDF, "uio_msix");
	no(SL_PCI_UIO_MSIX, -ENOENT, "dev/uio_msix/0000:00:03.0 is not there");
	put("dev/uio_msix/" BDF, "");
	yes(SL_PCI_UIO_MSIX);
	put("proc/self/status", "Name:\tx\nCapEff:\t000001fffffdffff\n");
	no(SL_PCI_UIO_MSIX, -EPERM,
	   "needs CAP_SYS_RAWIO, for the device reaches all memory: run as root");
	put("proc/self/status", "Name:\tx\nCapEff:\t0000000000020000\n");
	yes(SL_PCI_UIO_MSIX);
	put_group(BDF, "7"); /* an IOMMU is no obstacle: the kernel knows what it translates */
	yes(SL_PCI_UIO_MSIX);
	put_device_link(BDF, "physfn", "../0000:00:04.0");
	put("sys/devices/pci0000:00/0000:00:04.0/vendor", "");
	no(SL_PCI_UIO_MSIX, -EPERM, "a virtual function");
	says("or load uio_msix with allow_vf=1");
	put("sys/module/uio_msix/parameters/allow_vf", "N\n");
	no(SL_PCI_UIO_MSIX, -EPERM, "a virtual function");
	put("sys/module/uio_msix/parameters/allow_vf", "Y\n");
	yes(SL_PCI_UIO_MSIX);
}

/* A device without INTx, and what all ways say. */
static void any_way(void **state)
{
	uint8_t bytes[256];

	(void)state;
	no(SL_PCI_AUTO, -ENODEV, "vfio: no IOMMU: turn on VT-d");
	says("; uio_msix: uio_msix, a module that comes with sluice, is not loaded: modprobe "
	     "uio_msix; uio: uio_pci_generic is not loaded: modprobe uio_pci_generic");
	memcpy(bytes, e1000e_config, sizeof(bytes));
	bytes[0x3d] = 0;
	put_bytes(DEV(BDF, "config"), bytes, sizeof(bytes));
	put_bound(BDF, "uio_msix");
	put("dev/uio_msix/" BDF, "");
	yes(SL_PCI_UIO_MSIX);
	yes(SL_PCI_AUTO);
	unlink(at("dev/uio_msix/" BDF));
	no(SL_PCI_AUTO, -ENODEV, "dev/uio_msix/0000:00:03.0 is not there");
	says("; uio: no INTx");
}

static void neither(void **state)
{
	uint8_t bytes[256];

	(void)state;
	assert_int_equal(sl_pci_usable(top, &card, (enum sl_pci_way)9), -EINVAL);
	memcpy(bytes, e1000e_config, sizeof(bytes));
	bytes[0x0e] = 1;
	put_bytes(DEV(BDF, "config"), bytes, sizeof(bytes));
	for (int way = 0; way <= SL_PCI_UIO; way++)
		no((enum sl_pci_way)way, -EINVAL, "a bridge, which no program drives");
	memset(bytes, 0xff, sizeof(bytes));
	put_bytes(DEV(BDF, "config"), bytes, sizeof(bytes));
	for (int way = 0; way <= SL_PCI_UIO; way++)
		no((enum sl_pci_way)way, -ENODEV, "the device is gone");
	put_bytes(DEV(BDF, "config"), bytes, 10);
	no(SL_PCI_VFIO, -EINVAL, "10 bytes");
}

/* What somebody who is not root is told. */
static int as_nobody(void)
{
	int ret;

	assert_int_equal(seteuid(65534), 0);
	ret = sl_pci_usable(top, &card, SL_PCI_VFIO);
	assert_int_equal(seteuid(0), 0);
	return ret;
}

/* Files that are somebody else's: only seen by who is not root. */
static void not_mine(void **state)
{
	(void)state;
	put_group(BDF, "7");
	put_bound(BDF, "vfio-pci");
	put_folder(DEV(BDF, "vfio-dev/vfio3"));
	put("dev/vfio/vfio", "");
	put("dev/vfio/7", "");
	put("dev/iommu", "");
	put("dev/vfio/devices/vfio3", "");
	yes(SL_PCI_VFIO);
	if (geteuid())
		return;
	chmod(top, 0755);
	assert_int_equal(chmod(at("dev/vfio/vfio"), 0666), 0);
	assert_int_equal(chmod(at("dev/vfio/7"), 0600), 0);
	assert_int_equal(chmod(at("dev/iommu"), 0666), 0);
	assert_int_equal(chmod(at("dev/vfio/devices/vfio3"), 0600), 0);
	assert_int_equal(as_nobody(), -EACCES);
	says("dev/vfio/7 is not yours to read and write: as root, chown $USER");
	unlink(at("dev/vfio/vfio"));
	assert_int_equal(as_nobody(), -EACCES);
	says("dev/vfio/devices/vfio3 is not yours to read and write: as root, chown $USER");
	assert_int_equal(chmod(at("dev/vfio/devices/vfio3"), 0666), 0);
	assert_int_equal(as_nobody(), 0);
	assert_int_equal(chmod(at("dev/iommu"), 0600), 0);
	assert_int_equal(as_nobody(), -EACCES);
	says("dev/iommu is not yours to read and write");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(vfio),    tree_test(iommufd), tree_test(uio),	     tree_test(uio_msix),
		tree_test(any_way), tree_test(neither), tree_test(not_mine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
