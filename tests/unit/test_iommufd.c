/* SPDX-License-Identifier: BSD-2-Clause */
/* VFIO's devices as files of their own, and the address spaces of iommufd. */
#include <sluice/space.h>

#include "fake_vfio.h"

#include "device_rig.h"

#define PAGE ((size_t)4096)

static const struct sl_device_options made_up = {.root = top};

static uint8_t memory[4 * PAGE] __attribute__((aligned(4096)));

static int map_at(struct sl_space *space, uint64_t iova, size_t page, uint32_t access)
{
	struct sl_region r = {memory + page * PAGE, PAGE, -1, 0, access, 0};

	return sl_space_map_at(space, (sl_iova){iova}, &r);
}

static void order(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	struct fake_object *device = newest(FAKE_CDEV);
	struct sl_mmio mmio;

	(void)state;
	said("open vfio/devices/vfio0; open iommu; ALLOC; BIND; ATTACH 1; RANGES; ERR 0+; REQ 0+; ");
	assert_string_equal(sl_device_get_info(dev)->backend, "vfio (iommufd)");
	assert_int_equal(sl_device_get_info(dev)->via, SL_PCI_VFIO);
	assert_int_equal(command(device), 0x0503);
	assert_int_equal(map_at(sl_device_space(dev), 0x1000, 0, SL_REGION_READ), 0);
	assert_int_equal(sl_device_map(dev, 0, &mmio), 0);
	assert_int_equal(sl_device_bus_master(dev, true), 0);
	kernel.said[0] = '\0';
	sl_device_close(dev);
	said("munmap; DETACH; unmap 0x1000; DESTROY 1; ");
	assert_int_equal(command(device), 0x0503);
}

static void one_space(void **state)
{
	struct sl_device_options options = made_up;
	struct sl_device *one, *two;
	struct fake_object *iommufd;
	struct sl_space *space;

	(void)state;
	assert_int_equal(sl_space_create(NULL, &space), 0);
	options.space = space;
	assert_int_equal(map_at(space, 0x10000, 0, SL_REGION_READ), 0);
	one = take(BDF, &options);
	iommufd = newest(FAKE_IOMMUFD);
	kernel.said[0] = '\0';
	two = take(OTHER, &options);
	said("open vfio/devices/vfio1; BIND; ATTACH 1; RANGES; ERR 0+; REQ 0+; ");
	assert_int_equal(map_at(space, 0x20000, 1, SL_REGION_WRITE), 0);
	assert_int_equal(map_at(space, 0x30000, 2, SL_REGION_READ | SL_REGION_WRITE), 0);
	assert_int_equal(iommufd->n_mapped, 3);
	assert_int_equal(iommufd->maps[0].flags,
			 IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE);
	assert_int_equal(iommufd->maps[1].flags,
			 IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE);
	assert_int_equal(iommufd->maps[2].flags, IOMMU_IOAS_MAP_FIXED_IOVA |
							 IOMMU_IOAS_MAP_READABLE |
							 IOMMU_IOAS_MAP_WRITEABLE);
	assert_int_equal(iommufd->maps[2].vaddr, (uintptr_t)memory + 2 * PAGE);
	assert_int_equal(iommufd->maps[2].ioas, 1);
	assert_int_equal(sl_space_unmap(space, (struct sl_iova_range){{0x20000}, {0x20fff}}), 1);
	assert_int_equal(iommufd->n_maps, 2);
	sl_device_close(one);
	assert_int_equal(iommufd->n_maps, 2);
	sl_device_close(two);
	assert_int_equal(iommufd->n_maps, 0);
	assert_int_equal(held(iommufd), 0);
	sl_space_release(space);
}

/* An address space has the ranges of its devices once they are attached. */
static void ranges(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	struct sl_device_options options = made_up;
	struct sl_space *space = sl_device_space(dev);

	(void)state;
	assert_int_equal(map_at(space, 0xfee00000, 0, SL_REGION_READ), -ERANGE);
	assert_int_equal(map_at(space, 0x8000000000, 0, SL_REGION_READ), -ERANGE);
	assert_int_equal(map_at(space, 0x1800, 0, SL_REGION_READ), -EINVAL);
	assert_int_equal(map_at(space, 0xfef00000, 0, SL_REGION_READ), 0);
	sl_device_close(dev);
	/* There are more than there is room for: the first ones count. */
	kernel.many_ranges = true;
	dev = take(BDF, &made_up);
	space = sl_device_space(dev);
	assert_int_equal(map_at(space, 31 << 20, 0, SL_REGION_READ), 0);
	assert_int_equal(map_at(space, 32 << 20, 1, SL_REGION_READ), -ERANGE);
	sl_device_close(dev);
	kernel.many_ranges = false;
	kernel.no_ranges = true; /* nothing can be mapped: that is not "anywhere" */
	dev = take(BDF, &made_up);
	assert_int_equal(map_at(sl_device_space(dev), 0x1000, 0, SL_REGION_READ), -ERANGE);
	says("VFIO allows none at all");
	sl_device_close(dev);
	kernel.no_ranges = false;
	assert_int_equal(sl_space_create(NULL, &space), 0);
	options.space = space;
	assert_int_equal(map_at(space, 0xfee00000, 0, SL_REGION_READ), 0);
	assert_int_equal(sl_device_open(BDF, &options, &dev), -ERANGE);
	assert_int_equal(newest(FAKE_IOMMUFD)->n_mapped, 0);
	sl_space_release(space);
}

/* What the second device's IOMMU can map makes no sense: the first goes on with what it had. */
static void limits_stay(void **state)
{
	struct sl_device_options options = made_up;
	struct sl_device *one, *two;
	struct sl_space *space;

	(void)state;
	assert_int_equal(sl_space_create(NULL, &space), 0);
	options.space = space;
	one = take(BDF, &options);
	kernel.bad_ranges = true;
	assert_int_equal(sl_device_open(OTHER, &options, &two), -EINVAL);
	says(OTHER ": IOVA 0x2000-0x1000: ends before it begins");
	assert_int_equal(map_at(space, 0x10000, 0, SL_REGION_READ), 0);
	assert_int_equal(map_at(space, 0xfee00000, 1, SL_REGION_READ), -ERANGE);
	sl_device_close(one);
	sl_space_release(space);
}

static void sentences(void **state)
{
	struct sl_device *dev;

	(void)state;
	kernel.bind_err = EPERM;
	assert_int_equal(sl_device_open(BDF, &made_up, &dev), -EPERM);
	says("the IOMMU does not remap interrupts");
	says("allow_unsafe_interrupts=1");
	kernel.bind_err = EBUSY;
	assert_int_equal(sl_device_open(BDF, &made_up, &dev), -EBUSY);
	says("another device in it is bound to a driver of the kernel");
	kernel.bind_err = EINVAL; /* the file of a device lets everybody in */
	assert_int_equal(sl_device_open(BDF, &made_up, &dev), -EBUSY);
	says(BDF ": it is open elsewhere");
	kernel.bind_err = 0;
	kernel.attach_err = EINVAL;
	assert_int_equal(sl_device_open(BDF, &made_up, &dev), -EBUSY);
	says("another device of its IOMMU group uses another space");
	kernel.attach_err = EADDRINUSE; /* iopt_reserve_iova() */
	assert_int_equal(sl_device_open(BDF, &made_up, &dev), -ERANGE);
	says("open it before that is mapped");
	kernel.attach_err = 0;
	kernel.open_err = EACCES;
	assert_int_equal(sl_device_open(BDF, &made_up, &dev), -EACCES);
	says("dev/vfio/devices/vfio0: Permission denied");
}

/* The caller's descriptors are used, one of them 0, and stay; no file is asked for. */
static void callers(void **state)
{
	struct sl_device_fds fds = no_fds;
	const struct sl_device_options options = {.root = top, .fds = &fds};
	int saved = dup(0), device = object_new(FAKE_CDEV, 0),
	    iommufd = object_new(FAKE_IOMMUFD, 0);

	(void)state;
	unlink(at("dev/iommu"));
	unlink(at("dev/vfio/devices/vfio0"));
	assert_int_equal(dup2(iommufd, 0), 0);
	close(iommufd);
	fds.iommufd = 0;
	fds.device = device;
	sl_device_close(take(BDF, &options));
	said("ALLOC; BIND; ATTACH 1; RANGES; ERR 0+; REQ 0+; DETACH; DESTROY 1; ");
	assert_int_equal(held(newest(FAKE_IOMMUFD)), 1);
	assert_ptr_equal(object_of(0), newest(FAKE_IOMMUFD));
	assert_ptr_equal(object_of(device), newest(FAKE_CDEV));
	assert_int_equal(dup2(saved, 0), 0);
	close(saved);
	close(device);
}

/* A container was given these files and no group's. */
static void no_groups(void **state)
{
	(void)state;
	unlink(at("dev/vfio/vfio"));
	unlink(at("dev/vfio/7"));
	sl_device_close(take(BDF, &made_up));
	assert_int_equal(sl_pci_usable(top, &card, SL_PCI_VFIO), 0);
	unlink(at("dev/iommu"));
	assert_int_equal(sl_pci_usable(top, &card, SL_PCI_VFIO), -ENOENT);
}

/* Where iommufd cannot be had, groups do. */
static void no_iommufd(void **state)
{
	struct sl_device *dev;

	(void)state;
	unlink(at("dev/iommu"));
	dev = take(BDF, &made_up);
	assert_string_equal(sl_device_get_info(dev)->backend, "vfio (type1v2)");
	sl_device_close(dev);
}

/* How the fake calls what it lets fail. */
#define DETACH	"ioctl 0x3b78"
#define DESTROY "ioctl 0x3b80"

static void every_call_fails(void **state)
{
	struct sl_device_fds fds = no_fds;
	unsigned failures = 0, before;
	struct sl_space *space;
	unsigned n = 0, at_call = 1;

	(void)state;
	assert_int_equal(sl_space_create(NULL, &space), 0);
	assert_int_equal(map_at(space, 0x10000, 0, SL_REGION_READ), 0);
	/* With a space of its own or the caller's, with his descriptors or without. */
	while (n < 4) {
		const struct sl_device_options options = {
			.root = top,
			.space = n % 2 ? space : NULL,
			.fds = n / 2 % 2 ? &fds : NULL,
		};
		struct sl_device *dev = NULL;
		int ret;

		fake_fresh();
		fds.device = object_new(FAKE_CDEV, 0);
		fds.iommufd = object_new(FAKE_IOMMUFD, 0);
		before = descriptors();
		kernel.fail_at = at_call++;
		ret = sl_device_open(BDF, &options, &dev);
		if (kernel.calls < kernel.fail_at) {
			n++;
			at_call = 1;
		}
		kernel.fail_at = 0;
		failures += ret != 0;
		if (ret && ((ret != -EIO && ret != -ENOMEM) || !*sl_reason()))
			fail_msg("%s: %d: %s", kernel.failed, ret, sl_reason());
		if (!ret)
			sl_device_close(dev);
		if (newest(FAKE_CDEV)->ioas && held(newest(FAKE_CDEV)) &&
		    !strstr(kernel.failed, DETACH))
			fail_msg("%s: the caller's device stays attached", kernel.failed);
		if (newest(FAKE_IOMMUFD)->n_ioas > newest(FAKE_IOMMUFD)->n_destroyed &&
		    !strstr(kernel.failed, DESTROY))
			fail_msg("%s: an address space is left", kernel.failed);
		if (descriptors() != before || mapped() || newest(FAKE_IOMMUFD)->n_maps)
			fail_msg("%s: something is left", kernel.failed);
		close(fds.device);
		close(fds.iommufd);
	}
	assert_true(failures >= 4 * 8);
	sl_space_release(space);
}

static int cdevs_make(void **state)
{
	fake_make(state);
	put("dev/iommu", "");
	put("dev/vfio/devices/vfio0", "");
	put("dev/vfio/devices/vfio1", "");
	put_folder(DEV(BDF, "vfio-dev/vfio0"));
	put_folder(DEV(OTHER, "vfio-dev/vfio1"));
	return 0;
}

#define cdev_test(name) cmocka_unit_test_setup_teardown(name, cdevs_make, fake_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cdev_test(order),	cdev_test(one_space),  cdev_test(ranges),
		cdev_test(limits_stay), cdev_test(sentences),  cdev_test(callers),
		cdev_test(no_groups),	cdev_test(no_iommufd), cdev_test(every_call_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
