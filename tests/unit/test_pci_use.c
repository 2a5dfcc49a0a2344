/* SPDX-License-Identifier: BSD-2-Clause */
/* What the system lives on: routes, mounts, swap, and what is stacked between. */
#include "pci_tree.h"

#include <stdbool.h>

#include "device/pci_use.h"

#define BDF "0000:00:03.0"

/* A disk that somebody holds, as far as open() tells. */
static const char *held;
static unsigned asked;

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

int __wrap_open64(const char *path, int flags, ...)
{
	size_t len = strlen(path), tail = held ? strlen(held) : 0;

	if (flags & O_EXCL) {
		asked++;
		if (held && len > tail && !strcmp(path + len - tail, held)) {
			errno = EBUSY;
			return -1;
		}
	}
	return __real_open64(path, flags);
}

static int in_use(void)
{
	return sl_pci_in_use(top, &card, true);
}

static void uses(const char *what)
{
	assert_int_equal(in_use(), -EBUSY);
	says(BDF);
	says(what);
}

static void interface(const char *folder, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), DEV(BDF, "%snet/%s/subsystem"), folder, name);
	put_link(path, "../../../../../../class/net");
	snprintf(path, sizeof(path), "sys/class/net/%s/mtu", name);
	put(path, "1500\n");
}

static void disk(const char *path, const char *name, const char *number)
{
	char file[256];

	snprintf(file, sizeof(file), "%s/subsystem", path);
	put_link(file, "../../class/block");
	snprintf(file, sizeof(file), "%s/dev", path);
	put(file, number);
	snprintf(file, sizeof(file), "sys/class/block/%s/size", name);
	put(file, "1\n");
}

static void nothing(void **state)
{
	(void)state;
	assert_int_equal(in_use(), 0);
	interface("", "eth0");
	disk(DEV(BDF, "ata1/host0/target0/block/sdb"), "sdb", "8:16\n");
	disk(DEV(BDF, "ata1/host0/target0/block/sdb/sdb1"), "sdb1", "8:17\n");
	assert_int_equal(in_use(), 0);
	assert_int_equal(asked, 2);
	asked = 0;
	assert_int_equal(sl_pci_in_use(top, &card, false), 0);
	assert_int_equal(asked, 0);
}

static void default_routes(void **state)
{
	(void)state;
	interface("virtio0/", "eth0");
	put("proc/net/route", "Iface Destination ...\n"
			      "eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
			      "eth1\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
			      "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n"
			      "eth0\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0\n");
	assert_int_equal(in_use(), 0);
	put("proc/net/route", "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
	uses("carries the default route, by interface eth0");
	put("proc/net/route", "");
	put("proc/net/ipv6_route",
	    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
	    "fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n");
	uses("default route");
	put("proc/net/ipv6_route",
	    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
	    "00000000000000000000000000000000 ffffffff 00000001 00000000 00200200     eth0\n"
	    "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 "
	    "00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n");
	assert_int_equal(in_use(), 0);
}

/* The route is over a VLAN of a bond of the card. */
static void stacked_interfaces(void **state)
{
	(void)state;
	interface("", "eth0");
	put_link("sys/class/net/eth0/upper_bond0", "../bond0");
	put_link("sys/class/net/bond0/upper_bond0.7", "../bond0.7");
	put("proc/net/route", "bond0.7\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
	uses("by interface bond0.7");
	put_link("sys/class/net/bond0/upper_eth0", "../eth0");
	put("proc/net/route", "");
	assert_int_equal(in_use(), -EIO); /* a loop */
	says("cannot tell whether it is in use");
}

static void disks(void **state)
{
	(void)state;
	disk(DEV(BDF, "nvme/nvme0/nvme0n1"), "nvme0n1", "259:0\n");
	disk(DEV(BDF, "nvme/nvme0/nvme0n1/nvme0n1p2"), "nvme0n1p2", "259:2\n");
	assert_int_equal(in_use(), 0);
	put("proc/self/mountinfo", "22 1 259:20 / /a rw - ext4 /dev/x rw\n"
				   "23 1 259:2 / / rw - ext4 /dev/nvme0n1p2 rw\n");
	uses("its disk nvme0n1p2 is mounted");
	put("proc/self/mountinfo", "");
	put("proc/swaps", "Filename Type Size Used Priority\n/dev/nvme0n1p2 partition 1 0 -2\n");
	uses("its disk nvme0n1p2 is swapped to");
	put("proc/swaps", "");
	put_link("sys/fs/btrfs/1234-5678/devices/nvme0n1p2", "../../../x");
	uses("nvme0n1p2 belongs to a btrfs that is mounted");
}

/* LVM upon LUKS upon a partition. */
static void stacked_disks(void **state)
{
	(void)state;
	disk(DEV(BDF, "block/vda"), "vda", "254:0\n");
	disk(DEV(BDF, "block/vda/vda1"), "vda1", "254:1\n");
	disk("sys/class/block/dm-0", "dm-0", "253:0\n");
	disk("sys/class/block/dm-1", "dm-1", "253:1\n");
	put_link("sys/class/block/vda1/holders/dm-0", "../../dm-0");
	put_link("sys/class/block/dm-0/holders/dm-1", "../../dm-1");
	assert_int_equal(in_use(), 0);
	put("proc/self/mountinfo", "23 1 253:1 / / rw - xfs /dev/mapper/root rw\n");
	uses("its disk dm-1 is mounted");
	put("proc/self/mountinfo", "");
	put_link("sys/class/block/dm-1/holders/dm-0", "../../dm-0");
	assert_int_equal(in_use(), -EIO); /* a loop */
}

/* With native multipath the disk is below the subsystem, and the controller has a path without a
 * node. */
static void nvme_multipath(void **state)
{
	(void)state;
	put_link(DEV(BDF, "nvme/nvme0/subsystem"), "../../../../../class/nvme");
	put_link(DEV(BDF, "nvme/nvme0/nvme0c0n1/subsystem"), "../../../../../../class/block");
	put_link("sys/class/nvme-subsystem/nvme-subsys0/nvme0", "../../x");
	disk("sys/class/nvme-subsystem/nvme-subsys0/nvme0n1", "nvme0n1", "259:1\n");
	assert_int_equal(in_use(), 0);
	put("proc/self/mountinfo", "23 1 259:1 / / rw - ext4 /dev/nvme0n1 rw\n");
	uses("its disk nvme0n1 is mounted");
}

/* Mounted in another mount namespace, a ZFS, a program: only the kernel knows. */
static void held_disks(void **state)
{
	(void)state;
	disk(DEV(BDF, "block/cciss!c0d0"), "cciss!c0d0", "104:0\n");
	held = "/dev/cciss/c0d0";
	uses("/dev/cciss/c0d0");
	says("the kernel or a program holds its disk");
	assert_int_equal(sl_pci_in_use(top, &card, false), 0);
	held = NULL;
	assert_int_equal(in_use(), 0);
}

/* What cannot be told is not taken for no. */
static void not_told(void **state)
{
	(void)state;
	interface("", "eth0");
	unlink(at("proc/net/route"));
	assert_int_equal(in_use(), -EIO);
	says("cannot tell whether it is in use");
	put("proc/net/route", "");
	disk(DEV(BDF, "block/vda"), "vda", "254:0\n");
	unlink(at("proc/swaps")); /* a kernel without swap */
	assert_int_equal(in_use(), 0);
	unlink(at("proc/self/mountinfo"));
	assert_int_equal(in_use(), -EIO);
	put("proc/self/mountinfo", "");
	put_folder(DEV(BDF, "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z"));
	assert_int_equal(in_use(), -EIO);
}

static int machine(void **state)
{
	held = NULL;
	asked = 0;
	return tree_make(state);
}

#define use_test(name) cmocka_unit_test_setup_teardown(name, machine, tree_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		use_test(nothing),    use_test(default_routes), use_test(stacked_interfaces),
		use_test(disks),      use_test(stacked_disks),	use_test(nvme_multipath),
		use_test(held_disks), use_test(not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
