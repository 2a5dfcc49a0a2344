/* SPDX-License-Identifier: BSD-2-Clause */
/* VFIO's groups and containers, and what a device of VFIO does however it was opened. */
#include <sys/resource.h>

#include <sluice/space.h>

#include "fake_vfio.h"

#include "device_rig.h"

#define PAGE ((size_t)4096)

/* All defaults, on the made-up machine. */
static const struct sl_device_options made_up = {.root = top};

static uint8_t memory[4 * PAGE] __attribute__((aligned(4096)));

static struct sl_region region(size_t page, size_t pages, uint32_t access)
{
	return (struct sl_region){memory + page * PAGE, pages * PAGE, -1, 0, access, 0};
}

static struct sl_space *space_new(void)
{
	struct sl_space *space;

	assert_int_equal(sl_space_create(NULL, &space), 0);
	return space;
}

static void map_at(struct sl_space *space, uint64_t iova, size_t page, size_t pages)
{
	struct sl_region r = region(page, pages, SL_REGION_READ | SL_REGION_WRITE);

	if (sl_space_map_at(space, (sl_iova){iova}, &r))
		fail_msg("%s", sl_reason());
}

static unsigned count_of(enum fake_kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < kernel.n_objects; i++)
		n += kernel.objects[i].kind == kind;
	return n;
}

static void refused(const struct sl_device_options *options, int ret, const char *why)
{
	unsigned before = descriptors();

	does_not_open(BDF, options, ret, why);
	assert_int_equal(descriptors(), before);
	kernel.said[0] = '\0';
}

/*
 * Opening.
 */

static void order(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	const struct sl_device_info *info = sl_device_get_info(dev);
	struct fake_object *device = newest(FAKE_DEVICE);

	(void)state;
	said("open vfio/7; STATUS 7; open vfio/vfio; API_VERSION; EXTENSION 3; SET_CONTAINER 7; "
	     "SET_IOMMU 3; DEVICE_FD 0000:00:03.0; ERR 0+; REQ 0+; ");
	assert_int_equal(info->via, SL_PCI_VFIO);
	assert_string_equal(info->backend, "vfio (type1v2)");
	assert_int_equal(info->config.vendor, 0x8086);
	assert_int_equal(info->config.msix.vectors, 5);
	assert_int_equal(info->pci.iommu_group, 7);
	assert_int_equal(command(device), 0x0503); /* as it was, without bus mastering */
	assert_int_equal(sl_device_bus_master(dev, true), 0);
	assert_int_equal(command(device), 0x0507);
	sl_device_close(dev);
	said("UNSET_CONTAINER 7; ");
	assert_int_equal(command(device), 0x0503);
	sl_device_close(NULL);
}

/* A wired, mapped device that does DMA: what it reaches is unmapped when it cannot reach it. */
static void close_order(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	int fds[] = {event_new()};
	struct sl_mmio mmio;

	(void)state;
	map_at(sl_device_space(dev), 0x1000, 0, 1);
	assert_int_equal(sl_device_map(dev, 0, &mmio), 0);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSI, 0, 1, fds), 0);
	assert_int_equal(sl_device_bus_master(dev, true), 0);
	kernel.said[0] = '\0';
	sl_device_close(dev);
	said("MSI off; munmap; unmap 0x1000; UNSET_CONTAINER 7; ");
	assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	close(fds[0]);
}

static void two_groups(void **state)
{
	struct sl_space *space = space_new();
	const struct sl_device_options options = {.root = top, .space = space};
	struct sl_device *one, *two;

	(void)state;
	map_at(space, 0x10000, 0, 2);
	one = take(BDF, &options);
	said("open vfio/7; STATUS 7; open vfio/vfio; API_VERSION; EXTENSION 3; SET_CONTAINER 7; "
	     "SET_IOMMU 3; map 0x10000; DEVICE_FD 0000:00:03.0; ERR 0+; REQ 0+; ");
	two = take(OTHER, &options);
	said("open vfio/8; STATUS 8; SET_CONTAINER 8; DEVICE_FD 0000:00:04.0; ERR 0+; REQ 0+; ");
	assert_ptr_equal(sl_device_space(two), space);
	map_at(space, 0x20000, 2, 1);
	said("map 0x20000; ");
	sl_device_close(one);
	said("UNSET_CONTAINER 7; ");
	assert_int_equal(newest(FAKE_CONTAINER)->n_maps, 2);
	one = take(BDF, &options);
	said("open vfio/7; STATUS 7; SET_CONTAINER 7; DEVICE_FD 0000:00:03.0; ERR 0+; REQ 0+; ");
	sl_device_close(two);
	kernel.said[0] = '\0';
	sl_device_close(one);
	said("unmap 0x20000; unmap 0x10000; UNSET_CONTAINER 7; ");
	sl_space_release(space);
}

static void one_group(void **state)
{
	struct sl_space *space = space_new();
	const struct sl_device_options options = {.root = top, .space = space};
	struct sl_device *one, *two, *three;

	(void)state;
	put_group(OTHER, "7");
	one = take(BDF, &options);
	kernel.said[0] = '\0';
	two = take(OTHER, &options);
	said("DEVICE_FD 0000:00:04.0; ERR 0+; REQ 0+; ");
	sl_device_close(one);
	said("");
	assert_int_equal(sl_device_check(two), 0);
	/* The group has one space; another cannot have it. */
	assert_int_equal(sl_device_open(BDF, &(struct sl_device_options){.root = top}, &three),
			 -EBUSY);
	says("open elsewhere: by another program, or for another space");
	kernel.said[0] = '\0';
	sl_device_close(two);
	said("UNSET_CONTAINER 7; ");
	sl_space_release(space);
}

/* What the second device's IOMMU can map makes no sense: the first goes on with what it had. */
static void limits_stay(void **state)
{
	struct sl_space *space = space_new();
	const struct sl_device_options options = {.root = top, .space = space};
	struct sl_region r = region(1, 1, SL_REGION_READ);
	struct sl_device *one = take(BDF, &options), *two;

	(void)state;
	kernel.bad_ranges = true;
	assert_int_equal(sl_device_open(OTHER, &options, &two), -EINVAL);
	says(OTHER ": IOVA 0x2000-0x1000: ends before it begins");
	assert_null(newest(FAKE_GROUP)->container);
	map_at(space, 0x10000, 0, 1);
	assert_int_equal(sl_space_map_at(space, (sl_iova){0xfee00000}, &r), -ERANGE);
	sl_device_close(one);
	sl_space_release(space);
}

/* The kernel says that one container cannot hold both. */
static void two_iommus(void **state)
{
	struct sl_space *space = space_new();
	const struct sl_device_options options = {.root = top, .space = space};
	struct sl_device *one, *two;
	struct fake_object *first;

	(void)state;
	kernel.iommu_of_8 = 1;
	map_at(space, 0x10000, 0, 1);
	one = take(BDF, &options);
	first = newest(FAKE_CONTAINER);
	kernel.said[0] = '\0';
	two = take(OTHER, &options);
	said("open vfio/8; STATUS 8; SET_CONTAINER 8; open vfio/vfio; API_VERSION; EXTENSION 3; "
	     "SET_CONTAINER 8; SET_IOMMU 3; map 0x10000; DEVICE_FD 0000:00:04.0; ERR 0+; REQ 0+; ");
	map_at(space, 0x20000, 1, 1);
	assert_int_equal(first->n_maps, 2);
	assert_int_equal(newest(FAKE_CONTAINER)->n_maps, 2);
	sl_device_close(one);
	assert_int_equal(held(first), 0);
	assert_int_equal(newest(FAKE_CONTAINER)->n_maps, 2);
	sl_device_close(two);
	assert_int_equal(newest(FAKE_CONTAINER)->n_maps, 0);
	sl_space_release(space);
}

/* Another process has set the container up with a device of its own, group 9. */
static int shared_container(void)
{
	int fd = object_new(FAKE_CONTAINER, 0), group = object_new(FAKE_GROUP, 9);

	object_of(group)->container = object_of(fd);
	object_of(fd)->iommu = true;
	close(group);
	return fd;
}

static void callers_container(void **state)
{
	struct sl_device_fds fds = no_fds;
	struct sl_space *space = space_new();
	const struct sl_device_options options = {.root = top, .space = space, .fds = &fds};
	struct sl_device *one, *two;

	(void)state;
	fds.container = shared_container();
	map_at(space, 0x10000, 0, 1);
	one = take(BDF, &options);
	said("open vfio/7; STATUS 7; API_VERSION; EXTENSION 3; SET_CONTAINER 7; SET_IOMMU 3; "
	     "map 0x10000; DEVICE_FD 0000:00:03.0; ERR 0+; REQ 0+; ");
	/* The same descriptor for each device of the space: what is mapped is mapped once. */
	two = take(OTHER, &options);
	map_at(space, 0x20000, 1, 1);
	assert_int_equal(newest(FAKE_CONTAINER)->n_mapped, 2);
	sl_device_close(one);
	sl_device_close(two);
	assert_int_equal(newest(FAKE_CONTAINER)->n_maps, 0);
	assert_int_equal(held(newest(FAKE_CONTAINER)), 1);
	assert_int_equal(close(fds.container), 0);
	sl_space_release(space);
}

static void callers_group(void **state)
{
	struct sl_device_fds fds = no_fds;
	const struct sl_device_options options = {.root = top, .fds = &fds};

	(void)state;
	unlink(at("dev/vfio/vfio")); /* nor may it be asked for */
	unlink(at("dev/vfio/7"));
	fds.container = object_new(FAKE_CONTAINER, 0);
	fds.group = object_new(FAKE_GROUP, 7);
	for (int i = 0; i < 2; i++) {
		sl_device_close(take(BDF, &options));
		said("STATUS 7; API_VERSION; EXTENSION 3; SET_CONTAINER 7; SET_IOMMU 3; "
		     "DEVICE_FD 0000:00:03.0; ERR 0+; REQ 0+; UNSET_CONTAINER 7; ");
	}
	assert_int_equal(close(fds.container), 0);
	assert_int_equal(close(fds.group), 0);
	fds.group = 700; /* nothing is open there */
	refused(&options, -EBADF, "descriptor 700, given for");
}

/* 0 is a descriptor like any other, and "none" is -1. */
static void descriptor_0(void **state)
{
	struct sl_device_fds fds = no_fds;
	const struct sl_device_options options = {.root = top, .fds = &fds};
	int saved = dup(0), group = object_new(FAKE_GROUP, 7), e = event_new();
	struct sl_device *dev;

	(void)state;
	assert_int_equal(dup2(group, 0), 0);
	close(group);
	fds.group = 0;
	sl_device_close(take(BDF, &options));
	assert_int_equal(held(newest(FAKE_GROUP)), 1);
	assert_ptr_equal(object_of(0), newest(FAKE_GROUP));
	/* The first that the library opens is 0. */
	close(0);
	dev = take(BDF, &made_up);
	assert_ptr_equal(object_of(0), newest(FAKE_GROUP));
	sl_device_close(dev);
	assert_int_equal(fcntl(0, F_GETFD), -1);
	/* An event is 0. */
	assert_int_equal(dup2(e, 0), 0);
	dev = take(BDF, &made_up);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSI, 0, 1, (int[]){0}), 0);
	assert_int_equal(newest(FAKE_DEVICE)->irqs[SL_IRQ_MSI][0], 0);
	assert_int_equal(newest(FAKE_DEVICE)->enabled[SL_IRQ_MSI], 1);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 1, &e), -EBUSY);
	sl_device_close(dev);
	assert_int_equal(event_err(0), 0);
	assert_int_equal(dup2(saved, 0), 0);
	close(saved);
	close(e);
}

static void sentences(void **state)
{
	const struct sl_device_options options = {.root = top, .via = SL_PCI_VFIO};

	(void)state;
	kernel.not_viable = true;
	refused(&options, -EBUSY, "IOMMU group 7 is not viable");
	kernel.not_viable = false;
	kernel.in_use = true;
	refused(&options, -EBUSY, "IOMMU group 7 is in use already");
	kernel.in_use = false;
	kernel.open_err = EBUSY;
	refused(&options, -EBUSY, "it is open elsewhere: by another program");
	kernel.open_err = EACCES;
	refused(&options, -EACCES, "dev/vfio/7: Permission denied");
	kernel.open_err = 0;
	kernel.set_iommu_err = EPERM;
	refused(&options, -EPERM, "allow_unsafe_interrupts=1");
	kernel.set_iommu_err = ENODEV;
	refused(&options, -ENODEV, "VFIO does not set up the IOMMU");
	kernel.set_iommu_err = 0;
	kernel.api = 1;
	refused(&options, -EOPNOTSUPP, "modprobe vfio_iommu_type1");
	kernel.api = 0;
	kernel.extension = 0;
	refused(&options, -EOPNOTSUPP, "modprobe vfio_iommu_type1");
	kernel.extension = 1;
	kernel.device_flags = VFIO_DEVICE_FLAGS_RESET;
	refused(&options, -EINVAL, "VFIO does not take this for a PCI device");
	kernel.device_flags = VFIO_DEVICE_FLAGS_PCI;
	kernel.regions[7].size = 32;
	refused(&options, -EINVAL, "configuration space of 32 bytes");
	kernel.regions[7].size = 256;
	unlink(at(DEV(BDF, "driver")));
	put_bound(BDF, "e1000e");
	refused(&options, -EBUSY, "bound to e1000e: sluice bind 0000:00:03.0 vfio-pci");
}

/* The group was viable, and then is not. */
static void set_container_eperm(void **state)
{
	(void)state;
	for (unsigned n = 1; n < 40; n++) {
		struct sl_device *dev;
		int ret;

		fake_fresh();
		kernel.fail_at = n;
		kernel.fail_with = EPERM;
		ret = sl_device_open(BDF, &(struct sl_device_options){.root = top}, &dev);
		kernel.fail_at = 0;
		if (!ret)
			sl_device_close(dev);
		if (strtoul(kernel.failed + strcspn(kernel.failed, "0"), NULL, 16) !=
		    VFIO_GROUP_SET_CONTAINER)
			continue;
		assert_int_equal(ret, -EPERM);
		says("IOMMU group 7 cannot be put in a container: it is not viable");
		return;
	}
	fail_msg("SET_CONTAINER was not called");
}

/* Each call on the way fails in turn: nothing stays open, mapped or in a container. */
static void every_call_fails(void **state)
{
	struct sl_device_fds fds = no_fds;
	struct sl_space *space = space_new();
	unsigned failures = 0, before;
	unsigned n = 0, at_call = 1;

	(void)state;
	map_at(space, 0x10000, 0, 1);
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
		fds.container = object_new(FAKE_CONTAINER, 0);
		before = descriptors();
		kernel.fail_at = at_call++;
		ret = sl_device_open(BDF, &options, &dev);
		if (kernel.calls < kernel.fail_at) {
			n++;
			at_call = 1;
		}
		kernel.fail_at = 0;
		failures += ret != 0;
		if (ret && (ret != -EIO || *sl_reason() == '\0') && ret != -ENOMEM &&
		    ret != -EOPNOTSUPP)
			fail_msg("%s: %d: %s", kernel.failed, ret, sl_reason());
		if (!ret)
			sl_device_close(dev);
		if (descriptors() != before || mapped() || newest(FAKE_CONTAINER)->n_maps)
			fail_msg("%s: something is left", kernel.failed);
		if (count_of(FAKE_GROUP) && newest(FAKE_GROUP)->container)
			fail_msg("%s: the group stays in its container", kernel.failed);
		close(fds.container);
	}
	assert_true(failures >= 4 * 12);
	sl_space_release(space);
}

/*
 * DMA.
 */

static void map_flags(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	const struct fake_map *maps = newest(FAKE_CONTAINER)->maps;
	struct sl_space *space = sl_device_space(dev);
	struct sl_region r = region(0, 1, SL_REGION_READ);
	sl_iova iova;

	(void)state;
	assert_int_equal(sl_space_map(space, &r, 0, &iova), 0);
	assert_int_equal(iova.value, 0x1000); /* 0 is taken for "none" by too many */
	assert_int_equal(maps[0].flags, VFIO_DMA_MAP_FLAG_READ);
	assert_int_equal(maps[0].iova, 0x1000);
	assert_int_equal(maps[0].size, PAGE);
	assert_int_equal(maps[0].vaddr, (uintptr_t)memory);
	r = region(1, 1, SL_REGION_WRITE);
	assert_int_equal(sl_space_map(space, &r, 0, &iova), 0);
	assert_int_equal(maps[1].flags, VFIO_DMA_MAP_FLAG_WRITE);
	r = region(2, 2, SL_REGION_READ | SL_REGION_WRITE);
	assert_int_equal(sl_space_map(space, &r, 0, &iova), 0);
	assert_int_equal(maps[2].flags, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	assert_int_equal(sl_space_unmap(space, (struct sl_iova_range){{0}, {UINT64_MAX}}), 3);
	assert_int_equal(newest(FAKE_CONTAINER)->n_maps, 0);
	/* The IOMMU's ranges and page are the space's. */
	assert_int_equal(sl_space_map_at(space, (sl_iova){0xfee00000}, &r), -ERANGE);
	assert_int_equal(sl_space_map_at(space, (sl_iova){0x8000000000}, &r), -ERANGE);
	assert_int_equal(sl_space_map_at(space, (sl_iova){0x1800}, &r), -EINVAL);
	assert_int_equal(newest(FAKE_CONTAINER)->n_mapped, 3);
	sl_device_close(dev);
}

static void map_refused(void **state)
{
	struct rlimit limit, low = {.rlim_cur = PAGE};
	struct sl_region r = region(0, 4, SL_REGION_READ);
	struct sl_device *dev = take(BDF, &made_up);
	struct sl_space *space = sl_device_space(dev);

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	low.rlim_max = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &low), 0);
	kernel.map_err = ENOMEM;
	assert_int_equal(sl_space_map_at(space, (sl_iova){0x1000}, &r), -ENOMEM);
	says("16384 bytes are to be locked in memory and RLIMIT_MEMLOCK is 4096");
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	assert_int_equal(sl_space_map_at(space, (sl_iova){0x1000}, &r), -ENOMEM);
	says("used up by other spaces");
	kernel.map_err = ENOSPC;
	assert_int_equal(sl_space_map_at(space, (sl_iova){0x1000}, &r), -ENOSPC);
	says("vfio_iommu_type1.dma_entry_limit");
	kernel.map_err = EFAULT;
	assert_int_equal(sl_space_map_at(space, (sl_iova){0x1000}, &r), -EFAULT);
	says("cannot be pinned");
	kernel.map_err = 0;
	assert_int_equal(sl_space_map_at(space, (sl_iova){0x1000}, &r), 0);
	sl_device_close(dev);
}

/* What is mapped already does not suit the IOMMU of a device that is opened later. */
static void outside_its_ranges(void **state)
{
	struct sl_space *space = space_new();
	const struct sl_device_options options = {.root = top, .space = space};

	(void)state;
	map_at(space, 0xfee00000, 0, 1);
	refused(&options, -ERANGE, "VFIO allows");
	sl_space_release(space);
	space = space_new();
	map_at(space, 0x10000, 0, 1);
	kernel.map_err = ENOMEM;
	refused(&(struct sl_device_options){.root = top, .space = space}, -ENOMEM, "VFIO");
	sl_space_release(space);
}

/*
 * Interrupts.
 */

static void wired(const int *want, unsigned count)
{
	const struct fake_object *device = newest(FAKE_DEVICE);

	assert_memory_equal(device->irqs[SL_IRQ_MSIX], want, count * sizeof(*want));
}

static void vectors(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	int e[] = {event_new(), event_new(), event_new()};
	const int none[] = {-1, -1, -1, -1, -1};

	(void)state;
	kernel.said[0] = '\0';
	assert_int_equal(sl_device_irq_count(dev, SL_IRQ_INTX), 1);
	assert_int_equal(sl_device_irq_count(dev, SL_IRQ_MSI), 1);
	assert_int_equal(sl_device_irq_count(dev, SL_IRQ_MSIX), 5);
	assert_int_equal(sl_device_irq_count(dev, SL_IRQ_KINDS), 0);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 1, 2, e), 0);
	said("MSIX 0- 1+ 2+ 3- 4-; "); /* VFIO_IRQ_INFO_NORESIZE: all of them now, or never */
	wired((int[]){-1, e[0], e[1], -1, -1}, 5);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 4, 1, e + 2), 0);
	said("MSIX 4+; ");
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 1, 2, (int[]){e[1], -1}), 0);
	said("MSIX 1+ 2-; ");
	wired((int[]){-1, e[1], -1, -1, e[2]}, 5);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 2, none), 0);
	said("MSIX 0- 1-; ");
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 4, 1, none), 0);
	said("MSIX 4-; MSIX off; ");
	/* Anew, and another kind. */
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSI, 0, 1, e), 0);
	said("MSI 0+; ");
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSI, 0, 1, none), 0);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 5, none), 0);
	assert_int_equal(newest(FAKE_DEVICE)->enabled[SL_IRQ_MSIX], 0);
	sl_device_close(dev);
	for (int i = 0; i < 3; i++)
		assert_int_equal(close(e[i]), 0);
}

static void vectors_refused(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	int e = event_new(), two[] = {e, -2}, all[] = {e, e, e, e, e, e};

	(void)state;
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 1, &e), 0);
	kernel.said[0] = '\0';
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSI, 0, 1, &e), -EBUSY);
	says("its MSI-X is wired: remove that first");
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_INTX, 0, 1, (int[]){-1}), -EBUSY);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 0, all), -EINVAL);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 6, all), -EINVAL);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 5, 1, all), -EINVAL);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 4, 2, all), -EINVAL);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, UINT_MAX, 2, all), -EINVAL);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 2, UINT_MAX, all), -EINVAL);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_KINDS, 0, 1, all), -EINVAL);
	assert_int_equal(sl_device_irq_set(dev, (enum sl_irq) - 1, 0, 1, all), -EINVAL);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 2, two), -EINVAL);
	assert_int_equal(sl_device_irq_mask(dev), -EINVAL);
	assert_int_equal(sl_device_irq_unmask(dev), -EINVAL);
	said("");
	sl_device_close(dev);
	kernel.counts[SL_IRQ_MSI] = 0;
	dev = take(BDF, &made_up);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSI, 0, 1, &e), -EINVAL);
	says(BDF " has no MSI over vfio (type1v2)");
	sl_device_close(dev);
	close(e);
}

/* The kernel takes away what it had wired when one of a batch is wrong. */
static void vectors_half(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	int e[] = {event_new(), event_new(), event_new()}, file = open("/dev/null", O_RDONLY);
	int bad[] = {e[2], e[1], file, e[0]};

	(void)state;
	/* The very first call fails: nothing is wired, and another kind can be. */
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 4, bad), -EINVAL);
	says("one of the descriptors is no eventfd");
	assert_int_equal(newest(FAKE_DEVICE)->enabled[SL_IRQ_MSIX], 0);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSI, 0, 1, e), 0);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSI, 0, 1, (int[]){-1}), 0);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 3, e), 0);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 4, bad), -EINVAL);
	wired((int[]){e[0], e[1], e[2], -1, -1}, 5);
	/* One that is wired alone, and closed too soon. */
	close(file);
	assert_true(sl_device_irq_set(dev, SL_IRQ_MSIX, 1, 1, &file) < 0);
	wired((int[]){e[0], e[1], e[2], -1, -1}, 5);
	sl_device_close(dev);
	for (int i = 0; i < 3; i++)
		close(e[i]);
}

/* The machine has fewer vectors than the device. */
static void vectors_short(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	int e = event_new(), three[] = {e, e, e}, none[] = {-1, -1};

	(void)state;
	kernel.machine_vectors = 2;
	kernel.said[0] = '\0';
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 3, three), -ENOSPC);
	assert_int_equal(newest(FAKE_DEVICE)->enabled[SL_IRQ_MSIX], 0);
	kernel.said[0] = '\0';
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 1, 1, &e), 0);
	said("MSIX 0- 1+ 2- 3- 4-; MSIX 0- 1+; ");
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 1, &e), 0);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 2, 1, &e), -ENOSPC);
	says("the machine gave it 2 vectors");
	wired((int[]){e, e}, 2);
	kernel.said[0] = '\0';
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 2, none), 0);
	said("MSIX 0- 1-; MSIX off; ");
	kernel.machine_vectors = 0;
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 2, 3, three), 0);
	assert_int_equal(newest(FAKE_DEVICE)->enabled[SL_IRQ_MSIX], 5);
	sl_device_close(dev);
	close(e);
}

static void intx(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	int e = event_new();

	(void)state;
	assert_int_equal(sl_device_irq_mask(dev), -EINVAL);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_INTX, 0, 1, &e), 0);
	kernel.said[0] = '\0';
	assert_int_equal(sl_device_irq_mask(dev), 0);
	assert_true(newest(FAKE_DEVICE)->masked);
	assert_int_equal(sl_device_irq_unmask(dev), 0);
	assert_false(newest(FAKE_DEVICE)->masked);
	said("INTX mask; INTX unmask; ");
	sl_device_close(dev);
	said("INTX off; UNSET_CONTAINER 7; ");
	close(e);
}

/* ERR, or REQ, or a device that answers no more. */
static void taken_away(void **state)
{
	uint8_t ones[64];

	(void)state;
	for (unsigned kind = VFIO_PCI_ERR_IRQ_INDEX; kind <= VFIO_PCI_REQ_IRQ_INDEX; kind++) {
		struct sl_device *dev = take(BDF, &made_up);

		assert_int_equal(sl_device_check(dev), 0);
		assert_int_equal(eventfd_write(newest(FAKE_DEVICE)->irqs[kind][0], 1), 0);
		assert_int_equal(sl_device_check(dev), -ENODEV);
		says("is being taken away");
		assert_int_equal(event_value(sl_device_event(dev)), 1);
		sl_device_close(dev);
	}
	kernel.counts[VFIO_PCI_ERR_IRQ_INDEX] = kernel.counts[VFIO_PCI_REQ_IRQ_INDEX] = 0;
	{
		struct sl_device *dev = take(BDF, &made_up);

		/* As VFIO shows ones: ids and bit 10 of the command are its own. */
		memset(ones, 0xff, sizeof(ones));
		memcpy(ones, e1000e_config, 4);
		ones[PCI_COMMAND + 1] &= 0xfb;
		assert_int_equal(pwrite(newest(FAKE_DEVICE)->back, ones, 64, FAKE_CONFIG), 64);
		assert_int_equal(sl_device_check(dev), -ENODEV);
		says("does not answer any more");
		assert_int_equal(sl_device_bus_master(dev, true), -ENODEV);
		assert_int_equal(ftruncate(newest(FAKE_DEVICE)->back, 0), 0);
		assert_int_equal(sl_device_check(dev), -ENODEV);
		sl_device_close(dev);
	}
}

/*
 * Regions.
 */

/* Asked of a device that is opened for it: they do not change. */
static void parts(unsigned index, unsigned n, const struct sl_device_part *want)
{
	struct sl_device *dev = take(BDF, &made_up);
	struct sl_device_region r;

	assert_int_equal(sl_device_get_region(dev, index, &r), 0);
	assert_int_equal(r.n_parts, n);
	assert_int_equal(!(r.flags & SL_DEVICE_MAP), !n);
	if (n)
		assert_memory_equal(r.parts, want, n * sizeof(*want));
	sl_device_close(dev);
}

static void mappable_parts(void **state)
{
	static const struct vfio_region_sparse_mmap_area bad[] = {
		{0x3000, 0x1001}, {0x3000, -(uint64_t)0x2000},
		{0x5000, 0},	  {0x5000, 0x1000},
		{0x3800, 0x400},  {0x1000, 0x1000},
	};
	struct fake_region *r = &kernel.regions[3];
	struct sl_device_region got;
	struct sl_device *dev;
	struct sl_mmio mmio;

	(void)state;
	parts(0, 1, &(struct sl_device_part){0, 0x20000});
	parts(1, 1, &(struct sl_device_part){0, 0x80});
	parts(2, 0, NULL);
	parts(3, 1, &(struct sl_device_part){0x1000, 0x3000}); /* the table is at 0 */
	parts(4, 0, NULL);
	r->mappable = true;
	parts(3, 1, &(struct sl_device_part){0, 0x4000});
	r->n_areas = 2; /* the kernel knows best */
	r->areas[0] = (struct vfio_region_sparse_mmap_area){0x1000, 0x1000};
	r->areas[1] = (struct vfio_region_sparse_mmap_area){0x3000, 0x1000};
	parts(3, 2, (struct sl_device_part[]){{0x1000, 0x1000}, {0x3000, 0x1000}});
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		r->areas[1] = bad[i];
		dev = take(BDF, &made_up);
		assert_int_equal(sl_device_get_region(dev, 3, &got), -EINVAL);
		assert_int_equal(sl_device_map(dev, 3, &mmio), -EINVAL); /* asked twice */
		sl_device_close(dev);
	}
}

static void regions(void **state)
{
	const uint32_t rw = SL_DEVICE_READ | SL_DEVICE_WRITE;
	struct sl_device *dev = take(BDF, &made_up);
	struct sl_device_region r;

	(void)state;
	assert_int_equal(sl_device_get_region(dev, 2, &r), 0);
	assert_int_equal(r.len, 0x20);
	assert_int_equal(r.flags, rw | SL_DEVICE_IO);
	assert_int_equal(sl_device_get_region(dev, 5, &r), 0);
	assert_int_equal(r.len | r.flags | r.n_parts, 0);
	assert_int_equal(sl_device_get_region(dev, SL_DEVICE_ROM, &r), 0);
	assert_int_equal(r.flags, SL_DEVICE_READ);
	assert_int_equal(sl_device_get_region(dev, SL_DEVICE_CONFIG, &r), 0);
	assert_int_equal(r.len, 256);
	assert_int_equal(sl_device_get_region(dev, 8, &r), -EINVAL);
	assert_int_equal(sl_device_get_region(dev, UINT_MAX, &r), -EINVAL);
	sl_device_close(dev);
}

static void mapping(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	struct sl_mmio mmio, again;

	(void)state;
	guard_faults();
	kernel.said[0] = '\0';
	assert_int_equal(sl_device_map(dev, 0, &mmio), 0);
	assert_int_equal(sl_device_map(dev, 0, &again), 0);
	assert_memory_equal(&mmio, &again, sizeof(mmio));
	said("mmap 0+0x0 0x20000; ");
	assert_int_equal(mmio.len, 0x20000);
	sl_mmio_write32(&mmio, 0x1fffc, 0x11223344);
	assert_int_equal(get(dev, 0, 0x1fffc, 4), 0x11223344);
	assert_int_equal(get(dev, 0, 0x1fffc, 1), 0x44);
	assert_int_equal(sl_device_write(dev, 0, 0x1fffe, 2, 0xaabb), 0);
	assert_int_equal(sl_mmio_read32(&mmio, 0x1fffc), 0xaabb3344);
	/* The pages of the MSI-X table are not there, the others are where they belong. */
	kernel.said[0] = '\0';
	assert_int_equal(sl_device_map(dev, 3, &mmio), 0);
	said("mmap 3+0x1000 0x3000; ");
	assert_int_equal(mmio.len, 0x4000);
	assert_int_equal(sl_mmio_read32(&mmio, 0xffc), UINT32_MAX);
	sl_mmio_write32(&mmio, 0xffc, 7);
	sl_mmio_write16(&mmio, 0x1000, 0xbeef);
	assert_int_equal(get(dev, 3, 0x1000, 2), 0xbeef);
	assert_int_equal(sl_device_map(dev, 1, &mmio), 0);
	assert_int_equal(mmio.len, 0x80);
	kernel.regions[0].flags &= ~(uint32_t)VFIO_REGION_INFO_FLAG_WRITE;
	sl_device_close(dev);
	dev = take(BDF, &made_up);
	kernel.said[0] = '\0';
	assert_int_equal(sl_device_map(dev, 0, &mmio), 0);
	said("mmap 0+0x0 0x20000 ro; ");
	sl_device_close(dev);
	assert_int_equal(kernel.live_maps, 0);
}

static void not_mapped(void **state)
{
	struct sl_device_region r;
	struct sl_device *dev;
	struct sl_mmio mmio;

	(void)state;
	kernel.regions[0].n_areas = 3;
	for (unsigned i = 0; i < 3; i++)
		kernel.regions[0].areas[i] =
			(struct vfio_region_sparse_mmap_area){i * 0x2000, 0x1000};
	dev = take(BDF, &made_up);
	assert_int_equal(sl_device_map(dev, 2, &mmio), -EINVAL);
	says("region 2 cannot be mapped: it is I/O ports");
	assert_int_equal(sl_device_map(dev, 4, &mmio), -EINVAL);
	assert_int_equal(sl_device_map(dev, 5, &mmio), -EINVAL);
	says("there is none");
	assert_int_equal(sl_device_map(dev, SL_DEVICE_CONFIG, &mmio), -EINVAL);
	assert_int_equal(sl_device_map(dev, 8, &mmio), -EINVAL);
	assert_int_equal(sl_device_get_region(dev, 0, &r), 0);
	for (kernel.fail_at = 1; kernel.fail_at < 20; kernel.fail_at++) {
		kernel.calls = 0;
		if (!sl_device_map(dev, 0, &mmio))
			break;
		assert_false(mapped());
		assert_int_equal(kernel.live_maps, 0);
	}
	assert_int_equal(kernel.fail_at, 5); /* mmap() of the whole, and of each part */
	kernel.fail_at = 0;
	sl_device_close(dev);
	assert_int_equal(kernel.live_maps, 0);
}

static void registers(void **state)
{
	struct sl_device *dev;
	uint64_t value;

	(void)state;
	kernel.regions[4].size = 0x84;
	dev = take(BDF, &made_up);
	refuses(dev, 0, 0x20000);
	refuses(dev, 2, 0x20);
	refuses(dev, SL_DEVICE_CONFIG, 256);
	refuses(dev, 4, 0x84);
	refuses(dev, 5, 0);
	refuses(dev, 8, 0);
	assert_int_equal(sl_device_read(dev, 4, 0x80, 4, &value), 0);
	assert_int_equal(sl_device_write(dev, 0, 8, 8, UINT64_MAX - 1), 0);
	assert_int_equal(get(dev, 0, 8, 8), UINT64_MAX - 1);
	assert_int_equal(sl_device_write(dev, 2, 0x1c, 4, 0x01020304), 0);
	assert_int_equal(get(dev, 2, 0x1d, 1), 3);
	assert_int_equal(get(dev, SL_DEVICE_CONFIG, PCI_VENDOR_ID, 4), 0x10d38086);
	assert_int_equal(sl_device_read(dev, SL_DEVICE_ROM, 0, 4, &value), 0);
	assert_int_equal(sl_device_write(dev, SL_DEVICE_ROM, 0, 4, 0), -EOPNOTSUPP);
	sl_device_close(dev);
	kernel.regions[4].flags = 0;
	dev = take(BDF, &made_up);
	assert_int_equal(sl_device_read(dev, 4, 0, 4, &value), -EOPNOTSUPP);
	sl_device_close(dev);
	kernel.regions[4] = (struct fake_region){1ull << 63, VFIO_REGION_INFO_FLAG_READ};
	dev = take(BDF, &made_up);
	assert_int_equal(sl_device_read(dev, 4, 0, 4, &value), -EINVAL);
	sl_device_close(dev);
}

static void reset(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	const char *how = NULL;

	(void)state;
	assert_int_equal(sl_device_bus_master(dev, true), 0);
	kernel.said[0] = '\0';
	assert_int_equal(sl_device_reset(dev, &how), 0);
	said("RESET; ");
	assert_string_equal(how, "flr");
	assert_int_equal(command(newest(FAKE_DEVICE)), 0x0503);
	assert_int_equal(sl_device_reset(dev, NULL), 0);
	assert_int_equal(sl_device_reset(dev, &how), 0);
	assert_string_equal(how, "flr");
	/* What the device is like does not change while it is open. */
	assert_string_equal(sl_device_get_info(dev)->pci.reset_methods, "flr pm");
	kernel.reset_err = EINVAL;
	assert_int_equal(sl_device_reset(dev, &how), -EOPNOTSUPP);
	kernel.reset_err = ENOTTY;
	assert_int_equal(sl_device_reset(dev, &how), -EOPNOTSUPP);
	kernel.reset_err = EIO;
	assert_int_equal(sl_device_reset(dev, &how), -EIO);
	sl_device_close(dev);
	put_device_file(BDF, "reset_method", "\n"); /* kernels before 5.15 have no such file */
	dev = take(BDF, &made_up);
	kernel.reset_err = 0;
	assert_int_equal(sl_device_reset(dev, &how), 0);
	assert_string_equal(how, "unknown");
	sl_device_close(dev);
	kernel.device_flags = VFIO_DEVICE_FLAGS_PCI;
	dev = take(BDF, &made_up);
	kernel.said[0] = '\0';
	assert_int_equal(sl_device_reset(dev, &how), -EOPNOTSUPP);
	said("");
	sl_device_close(dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fake_test(order),
		fake_test(close_order),
		fake_test(two_groups),
		fake_test(one_group),
		fake_test(limits_stay),
		fake_test(two_iommus),
		fake_test(callers_container),
		fake_test(callers_group),
		fake_test(descriptor_0),
		fake_test(sentences),
		fake_test(set_container_eperm),
		fake_test(every_call_fails),
		fake_test(map_flags),
		fake_test(map_refused),
		fake_test(outside_its_ranges),
		fake_test(vectors),
		fake_test(vectors_refused),
		fake_test(vectors_half),
		fake_test(vectors_short),
		fake_test(intx),
		fake_test(taken_away),
		fake_test(mappable_parts),
		fake_test(regions),
		fake_test(mapping),
		fake_test(not_mapped),
		fake_test(registers),
		fake_test(reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
