/* SPDX-License-Identifier: BSD-2-Clause */
/* A device of uio_msix: what is asked of the kernel, in which order, and what its answers become.
 */
#include <poll.h>

#include <sluice/dma.h>
#include <sluice/space.h>

#include "fake_uio_msix.h"

#include "device_rig.h"

static const struct sl_device_options made_up = {.root = top};

static unsigned all_descriptors(void)
{
	unsigned device;

	return descriptors(&device);
}

static void refused(const struct sl_device_options *options, int ret, const char *why)
{
	unsigned before = all_descriptors();

	does_not_open(BDF, options, ret, why);
	assert_int_equal(all_descriptors(), before);
}

/*
 * Opening.
 */

static void by_path(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	const struct sl_device_info *info = sl_device_get_info(dev);

	(void)state;
	said("open uio_msix/0000:00:03.0; GONE 0+; MASTER 0; ");
	assert_int_equal(info->via, SL_PCI_UIO_MSIX);
	assert_string_equal(info->backend, "uio_msix");
	assert_int_equal(info->config.device, 0x10d3);
	assert_int_equal(info->config.msix.vectors, 5);
	assert_int_equal(kernel.bits, 0);
	assert_int_equal(sl_device_check(dev), 0);
	refused(&made_up, -EBUSY, "another program has it, or its /dev/uioN");
	sl_device_close(dev);
	assert_int_equal(command(), 0x0503);
}

static void missing(void **state)
{
	const struct sl_device_options uio_msix = {.root = top, .via = SL_PCI_UIO_MSIX};

	(void)state;
	kernel.open_err = EPERM;
	refused(&made_up, -EPERM, "it takes CAP_SYS_RAWIO");
	kernel.open_err = ENODEV;
	refused(&made_up, -ENODEV, "dev/uio_msix/0000:00:03.0: No such device");
	kernel.open_err = 0;
	kernel.version = 0;
	refused(&made_up, -EINVAL, "this is no device of uio_msix: version 0");
	kernel.version = 1;
	kernel.regions[3].hole_size = 0x4000;
	refused(&made_up, -EINVAL, "region 3 has a hole at 0x1000");
	kernel.regions[3].hole_size = UINT64_MAX - 0xfff;
	refused(&made_up, -EINVAL, "region 3 has a hole at 0x1000");
	kernel.regions[3].hole_size = 0x1800;
	refused(&made_up, -EINVAL, "region 3 has a hole at 0x1000");
	unlink(at("dev/uio_msix/" BDF));
	refused(&uio_msix, -ENOENT, "dev/uio_msix/0000:00:03.0 is not there");
}

/* The caller's descriptor is used and stays; what is there is not asked for. */
static void callers(void **state)
{
	struct sl_device_fds fds = no_fds;
	struct sl_device_options options = {.root = top, .fds = &fds};

	(void)state;
	unlink(at("dev/uio_msix/" BDF));
	fds.uio_msix = open(at("proc/self/status"), O_RDONLY);
	refused(&options, -ENOTTY, "this is no device of uio_msix: Inappropriate ioctl");
	close(fds.uio_msix);
	fds.uio_msix = __real_fcntl64(kernel.file, F_DUPFD_CLOEXEC, 3);
	options.via = SL_PCI_VFIO;
	refused(&options, -ENODEV, "no IOMMU");
	options.via = SL_PCI_UIO;
	refused(&options, -ENOENT, "uio_pci_generic is not loaded");
	options.via = SL_PCI_AUTO;
	sl_device_close(take(BDF, &options));
	options.via = SL_PCI_UIO_MSIX;
	sl_device_close(take(BDF, &options));
	said("GONE 0+; MASTER 0; MASTER 0; GONE 0+; MASTER 0; MASTER 0; ");
	assert_int_equal(held(), 1);
	close(fds.uio_msix);
}

/*
 * Registers.
 */

static void regions(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	struct sl_device_region r;
	struct sl_mmio mmio;

	(void)state;
	guard_faults();
	assert_int_equal(sl_device_get_region(dev, 0, &r), 0);
	assert_int_equal(r.len, 0x20000);
	assert_int_equal(r.flags, SL_DEVICE_READ | SL_DEVICE_WRITE | SL_DEVICE_MAP);
	assert_int_equal(r.n_parts, 1);
	assert_int_equal(sl_device_get_region(dev, 1, &r), 0);
	assert_int_equal(r.flags, SL_DEVICE_READ | SL_DEVICE_WRITE);
	assert_int_equal(sl_device_map(dev, 1, &mmio), -EINVAL);
	assert_int_equal(sl_device_get_region(dev, 2, &r), 0);
	assert_int_equal(r.flags, SL_DEVICE_READ | SL_DEVICE_WRITE | SL_DEVICE_IO);
	assert_int_equal(sl_device_get_region(dev, 4, &r), 0);
	assert_int_equal(r.len + r.flags, 0);
	assert_int_equal(sl_device_get_region(dev, SL_DEVICE_ROM, &r), 0);
	assert_int_equal(r.len + r.flags, 0);
	assert_int_equal(sl_device_get_region(dev, SL_DEVICE_CONFIG, &r), 0);
	assert_int_equal(r.len, 256);
	assert_int_equal(sl_device_get_region(dev, 3, &r), 0);
	assert_int_equal(r.n_parts, 2);
	assert_int_equal(r.parts[0].offset, 0);
	assert_int_equal(r.parts[0].len, 0x1000);
	assert_int_equal(r.parts[1].offset, 0x3000);
	assert_int_equal(r.parts[1].len, 0x1000);
	kernel.said[0] = '\0';
	assert_int_equal(sl_device_map(dev, 3, &mmio), 0);
	said("mmap 3+0x0 0x1000; mmap 3+0x3000 0x1000; ");
	sl_mmio_write32(&mmio, 0x3ffc, 0x12345678);
	assert_int_equal(get(dev, 3, 0x3ffc, 4), 0x12345678);
	assert_int_equal(sl_mmio_read32(&mmio, 0x1000), UINT32_MAX);
	assert_int_equal(sl_mmio_read32(&mmio, 0x2ffc), UINT32_MAX);
	assert_int_equal(sl_device_bus_master(dev, true), 0);
	kernel.said[0] = '\0';
	sl_device_close(dev);
	said("MASTER 0; munmap; ");
}

/* The table at the start of a BAR, at its end, and a BAR that is nothing else. */
static void holes(void **state)
{
	struct sl_device_region r;
	struct sl_device *dev;

	(void)state;
	kernel.regions[3].hole = 0;
	kernel.regions[0].hole = 0x1f000;
	kernel.regions[0].hole_size = 0x1000;
	kernel.regions[4] = kernel.regions[3];
	kernel.regions[4].hole_size = 0x4000;
	dev = take(BDF, &made_up);
	assert_int_equal(sl_device_get_region(dev, 3, &r), 0);
	assert_int_equal(r.n_parts, 1);
	assert_int_equal(r.parts[0].offset, 0x2000);
	assert_int_equal(r.parts[0].len, 0x2000);
	assert_int_equal(sl_device_get_region(dev, 0, &r), 0);
	assert_int_equal(r.n_parts, 1);
	assert_int_equal(r.parts[0].len, 0x1f000);
	assert_int_equal(sl_device_get_region(dev, 4, &r), 0);
	assert_int_equal(r.flags & SL_DEVICE_MAP, 0);
	sl_device_close(dev);
}

static void registers(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	uint64_t value;

	(void)state;
	for (unsigned index = 0; index < 3; index++)
		refuses(dev, index, kernel.regions[index].size);
	refuses(dev, SL_DEVICE_CONFIG, 256);
	kernel.said[0] = '\0';
	/* No region has to have a register of 8. */
	assert_int_equal(sl_device_write(dev, 2, 8, 8, 0x1122334455667788), 0);
	said("WRITE 2+0x8 4; WRITE 2+0xc 4; ");
	assert_int_equal(get(dev, 2, 8, 8), 0x1122334455667788);
	assert_int_equal(get(dev, 2, 0xe, 2), 0x1122);
	assert_int_equal(get(dev, 2, 0xb, 1), 0x55);
	said("READ 2+0x8 4; READ 2+0xc 4; READ 2+0xe 2; READ 2+0xb 1; ");
	assert_int_equal(sl_device_write(dev, 1, 0xff, 1, 0x99), 0);
	assert_int_equal(get(dev, 1, 0xfc, 4), 0x99000000);
	assert_int_equal(get(dev, SL_DEVICE_CONFIG, 0, 4), 0x10d38086);
	assert_int_equal(sl_device_write(dev, SL_DEVICE_CONFIG, 0x3c, 1, 0x5a), 0);
	assert_int_equal(get(dev, SL_DEVICE_CONFIG, 0x3c, 1), 0x5a);
	assert_int_equal(sl_device_write(dev, SL_DEVICE_CONFIG, PCI_COMMAND, 2, 7), -EPERM);
	says("region 7 refuses that: Operation not permitted");
	kernel.busy = 3; /* somebody else resets it */
	assert_int_equal(get(dev, 1, 0xff, 1), 0x99);
	kernel.access_err = ENODEV;
	assert_int_equal(sl_device_read(dev, 0, 0, 4, &value), -ENODEV);
	assert_int_equal(sl_device_write(dev, 0, 0, 4, 0), -ENODEV);
	sl_device_close(dev);
}

/*
 * Interrupts.
 */

static void interrupts(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	int e[5], none = -1, file = open("/dev/null", O_RDONLY);

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		e[i] = event_new();
	assert_int_equal(sl_device_irq_count(dev, SL_IRQ_INTX), 1);
	assert_int_equal(sl_device_irq_count(dev, SL_IRQ_MSI), 1);
	assert_int_equal(sl_device_irq_count(dev, SL_IRQ_MSIX), 5);
	kernel.said[0] = '\0';
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 5, e), 0);
	said("MSIX 0+ 1+ 2+ 3+ 4+; ");
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 3, 1, &none), 0);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 3, 1, &e[0]), 0);
	said("MSIX 3-; MSIX 3+; ");
	assert_int_equal(kernel.events[3], e[0]);
	assert_int_equal(kernel.events[4], e[4]);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 1, 1, &file), -EINVAL);
	says(BDF ": cannot wire vectors 1 to 1: one of the descriptors is no eventfd");
	assert_int_equal(kernel.events[1], e[1]);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSI, 0, 1, e), -EBUSY);
	assert_int_equal(sl_device_irq_mask(dev), -EINVAL);
	kernel.said[0] = '\0';
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, i, 1, &none), 0);
	said("MSIX 0-; MSIX 1-; MSIX 2-; MSIX 3-; MSIX 4-; MSIX off; ");
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_INTX, 0, 1, e), 0);
	assert_int_equal(sl_device_irq_mask(dev), 0);
	assert_true(kernel.masked);
	assert_int_equal(sl_device_irq_unmask(dev), 0);
	assert_false(kernel.masked);
	kernel.said[0] = '\0';
	sl_device_close(dev);
	said("MASTER 0; INTX off; ");
	for (unsigned i = 0; i < 5; i++)
		close(e[i]);
	close(file);
}

/* The kernel says how many there are; what was wired stays. */
static void too_few(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	int e[5];

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		e[i] = event_new();
	kernel.machine_vectors = 3;
	kernel.said[0] = '\0';
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 5, e), -ENOSPC);
	says(BDF ": the machine has 3 vectors for it: 5, up to the last that is named, are too "
		 "many");
	said("MSIX 0+ 1+ 2+ 3+ 4+; MSIX off; ");
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 3, e), 0);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 2, 2, e), -ENOSPC);
	assert_int_equal(kernel.events[2], e[2]);
	kernel.counts[2] = 5000; /* more than the specification has */
	sl_device_close(dev);
	dev = take(BDF, &made_up);
	assert_int_equal(sl_device_irq_count(dev, SL_IRQ_MSIX), 2048);
	sl_device_close(dev);
	for (unsigned i = 0; i < 5; i++)
		close(e[i]);
}

/*
 * What happens to it.
 */

static void unclean(void **state)
{
	struct sl_device_options options = made_up;
	struct sl_device *dev;

	(void)state;
	kernel.unclean = true;
	dev = take(BDF, &made_up);
	assert_int_equal(sl_device_bus_master(dev, true), 0);
	sl_device_close(dev);
	kernel.unclean = true;
	kernel.reset_err = ENOTTY;
	dev = take(BDF, &made_up);
	assert_int_equal(sl_device_bus_master(dev, true), -EUCLEAN);
	says(BDF " was not reset since its last user");
	says("put it behind a port that can reset it, or, when you know that it is quiet, use "
	     "force=on");
	assert_int_equal(command() & PCI_COMMAND_MASTER, 0);
	kernel.reset_err = 0;
	assert_int_equal(sl_device_reset(dev, NULL), 0);
	assert_int_equal(sl_device_bus_master(dev, true), 0);
	assert_int_equal(command() & PCI_COMMAND_MASTER, PCI_COMMAND_MASTER);
	sl_device_close(dev);
	kernel.unclean = true;
	kernel.reset_err = ENOTTY;
	options.force = true;
	dev = take(BDF, &options);
	kernel.said[0] = '\0';
	assert_int_equal(sl_device_bus_master(dev, true), 0);
	assert_int_equal(sl_device_bus_master(dev, false), 0);
	said("MASTER 3; MASTER 0; ");
	sl_device_close(dev);
}

static void resets(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	const char *how = NULL;

	(void)state;
	kernel.busy = 2;
	kernel.said[0] = '\0';
	assert_int_equal(sl_device_reset(dev, &how), 0);
	said("RESET; MASTER 0; ");
	assert_string_equal(how, "flr");
	kernel.reset_err = ENOTTY;
	assert_int_equal(sl_device_reset(dev, &how), -EOPNOTSUPP);
	says(BDF " has no reset that works here");
	kernel.reset_err = EAGAIN; /* for ever: not for ever here */
	assert_int_equal(sl_device_reset(dev, &how), -EAGAIN);
	kernel.reset_err = ENODEV;
	assert_int_equal(sl_device_reset(dev, &how), -ENODEV);
	sl_device_close(dev);
}

static void gone(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	struct pollfd event = {.fd = sl_device_event(dev), .events = POLLIN};
	struct sl_dma *dma, *more;
	int e = event_new();

	(void)state;
	assert_int_equal(sl_dma_create(dev, PAGE, 0, &dma), 0);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 1, &e), 0);
	assert_int_equal(poll(&event, 1, 0), 0);
	assert_int_equal(sl_device_check(dev), 0);
	go_away();
	assert_int_equal(poll(&event, 1, 0), 1);
	assert_int_equal(sl_device_check(dev), -ENODEV);
	says(BDF " was taken away");
	assert_int_equal(sl_device_bus_master(dev, true), -ENODEV);
	assert_int_equal(sl_device_reset(dev, NULL), -ENODEV);
	assert_int_equal(sl_dma_create(dev, PAGE, 0, &more), -ENODEV);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 1, &e), -ENODEV);
	memset(sl_dma_region(dma)->base, 1, PAGE);
	sl_dma_release(dma);
	sl_device_close(dev);
	close(e);
}

/*
 * Memory.
 */

static size_t mappings(struct sl_device *dev)
{
	size_t count;

	sl_space_mappings(sl_device_space(dev), &count);
	return count;
}

/* In pieces of 2 MiB, the last as long as is left; what was promised of them holds. */
static void dma_pieces(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	const struct sl_region *region;
	struct sl_dma *dma;
	uint8_t byte;

	(void)state;
	assert_int_equal(sl_dma_create(dev, 0, 0, &dma), -EINVAL);
	assert_int_equal(sl_dma_create(dev, SIZE_MAX - 100, 0, &dma), -EINVAL);
	kernel.said[0] = '\0';
	assert_int_equal(sl_dma_create(dev, 2 * HUGE + PAGE + 1, 7, &dma), 0);
	said("ALLOC 0x200000; mmap 17+0x0 0x200000; ALLOC 0x200000; mmap 18+0x0 0x200000; "
	     "ALLOC 0x2000; mmap 19+0x0 0x2000; ");
	region = sl_dma_region(dma);
	assert_int_equal(region->len, 2 * HUGE + 2 * PAGE);
	assert_int_equal(region->id, 7);
	assert_int_equal(region->access, SL_REGION_READ | SL_REGION_WRITE);
	assert_int_equal(mappings(dev), 3);
	for (size_t n = 0; n < 3; n++) {
		size_t last = n < 2 ? HUGE - 1 : 2 * PAGE - 1;

		assert_int_equal(sl_dma_iova(dma, n * HUGE).value, kernel.dma[n].iova);
		assert_int_equal(sl_dma_iova(dma, n * HUGE + last).value,
				 kernel.dma[n].iova + last);
		assert_int_equal(kernel.dma[n].size, last + 1);
	}
	((uint8_t *)region->base)[2 * HUGE + 5] = 0x5a;
	assert_int_equal(pread(kernel.file, &byte, 1, place(19, 5)), 1);
	assert_int_equal(byte, 0x5a);
	kernel.said[0] = '\0';
	sl_dma_release(dma);
	said("munmap; FREE 3; FREE 2; FREE 1; ");
	assert_int_equal(mappings(dev), 0);
	assert_int_equal(sl_dma_create(dev, 1, 0, &dma), 0);
	said("ALLOC 0x1000; mmap 20+0x0 0x1000; ");
	assert_int_equal(sl_dma_region(dma)->len, PAGE);
	sl_dma_release(dma);
	sl_device_close(dev);
}

/* Where the kernel has no more in one piece: huge pages that were reserved, or a sentence. */
static void dma_pinned(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	struct sl_dma *dma, *other = NULL;

	(void)state;
	kernel.alloc_err = ENOMEM;
	kernel.alloc_good = 1; /* what it gave before it had no more goes back first */
	kernel.huge_free = 2;
	kernel.said[0] = '\0';
	assert_int_equal(sl_dma_create(dev, HUGE + 1, 7, &dma), 0);
	said("ALLOC 0x200000; mmap 17+0x0 0x200000; ALLOC 0x1000; munmap; FREE 1; PIN; PIN; ");
	assert_int_equal(sl_dma_region(dma)->len, 2 * HUGE);
	assert_int_equal(sl_dma_region(dma)->id, 7);
	assert_int_equal(kernel.dma[1].vaddr, (uintptr_t)sl_dma_region(dma)->base + HUGE);
	assert_int_equal(sl_dma_iova(dma, HUGE + 5).value, kernel.dma[1].iova + 5);
	assert_int_equal(mappings(dev), 2);
	sl_dma_release(dma);
	said("munmap; FREE 3; FREE 2; ");
	kernel.huge_free = 0;
	assert_int_equal(sl_dma_create(dev, PAGE, 0, &other), -ENOMEM);
	says(BDF ": uio_msix has no 4096 bytes in one piece, or more would be locked than "
		 "RLIMIT_MEMLOCK or its own limit allows: raise that with ulimit -l; and 1 huge "
		 "pages of 2 MiB are not free");
	says("nr_hugepages");
	kernel.huge_free = 1;
	kernel.pin_err = EREMOTE;
	assert_int_equal(sl_dma_create(dev, PAGE, 0, &other), -ENOMEM);
	says("the device does not reach huge pages itself");
	kernel.pin_err = 0;
	kernel.pin_pieces = 2;
	assert_int_equal(sl_dma_create(dev, PAGE, 0, &other), -ENOMEM);
	says("for the device a huge page is in several pieces");
	kernel.alloc_err = EIO; /* no reason to look elsewhere */
	kernel.said[0] = '\0';
	assert_int_equal(sl_dma_create(dev, PAGE, 0, &other), -EIO);
	said("ALLOC 0x1000; munmap; ");
	assert_null(other);
	assert_int_equal(kernel.n_dma + mappings(dev), 0);
	sl_device_close(dev);
}

static uint8_t page[4096] __attribute__((aligned(4096)));

/* Of memory that the kernel did not give or pin nobody knows where it is for the device. */
static void foreign(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	struct sl_region r = {page, PAGE, -1, 0, SL_REGION_READ, 0};
	struct sl_space *space = sl_device_space(dev);
	struct sl_dma *dma;
	sl_iova iova;

	(void)state;
	assert_int_equal(sl_dma_create(dev, HUGE, 0, &dma), 0);
	iova = sl_dma_iova(dma, 0);
	assert_int_equal(sl_space_map(space, &r, 0, &iova), -EOPNOTSUPP);
	says("over uio_msix a device reaches what sl_dma_create() has made");
	iova = sl_dma_iova(dma, 0);
	assert_int_equal(
		sl_space_unmap(space, (struct sl_iova_range){iova, {iova.value + HUGE - 1}}), 1);
	assert_int_equal(sl_space_map_at(space, iova, &r), -EOPNOTSUPP);
	r = *sl_dma_region(dma);
	assert_int_equal(sl_space_map_at(space, (sl_iova){iova.value + PAGE}, &r), -EOPNOTSUPP);
	r.len += PAGE;
	assert_int_equal(sl_space_map_at(space, iova, &r), -EOPNOTSUPP);
	r.len -= PAGE;
	assert_int_equal(sl_space_map_at(space, iova, &r), 0);
	sl_dma_release(dma);
	sl_device_close(dev);
}

/* A space of the caller's goes on without the device, which until then takes no other memory. */
static void whose_space(void **state)
{
	struct sl_device_options options = made_up;
	struct sl_region r = {page, PAGE, -1, 0, SL_REGION_READ, 0};
	struct sl_space *space;
	struct sl_device *dev;
	struct sl_dma *dma;

	(void)state;
	assert_int_equal(sl_space_create(NULL, &space), 0);
	options.space = space;
	dev = take(BDF, &options);
	assert_int_equal(sl_dma_create(dev, PAGE, 0, &dma), 0);
	sl_dma_release(dma);
	assert_int_equal(sl_space_map_at(space, (sl_iova){0x1000}, &r), -EOPNOTSUPP);
	sl_device_close(dev);
	assert_int_equal(sl_space_map_at(space, (sl_iova){0x1000}, &r), 0);
	refused(&options, -EOPNOTSUPP, "uio_msix does not map IOVA 0x1000-0x1fff: over uio_msix");
	sl_space_release(space);
}

/* What a device cannot address is neither asked of the kernel nor believed. */
static void address_bits(void **state)
{
	struct sl_device_options options = {.root = top, .dma_bits = 28};
	struct sl_device *dev = take(BDF, &options);
	struct sl_dma *dma = NULL;

	(void)state;
	assert_int_equal(kernel.bits, 28);
	assert_int_equal(sl_dma_create(dev, PAGE, 0, &dma), 0);
	sl_dma_release(dma);
	sl_device_close(dev);
	options.dma_bits = 26; /* it takes 27 for what the fake gives */
	dev = take(BDF, &options);
	assert_int_equal(sl_dma_create(dev, PAGE, 0, &dma), -ERANGE);
	assert_int_equal(kernel.n_dma, 0);
	sl_device_close(dev);
	for (options.dma_bits = 1; options.dma_bits < 100; options.dma_bits++)
		if (options.dma_bits < 16 || options.dma_bits > 64)
			refused(&options, -EINVAL, "bits: 16 to 64 are possible");
	options.dma_bits = 64;
	sl_device_close(take(BDF, &options));
	options.dma_bits = 20;
	kernel.bits_err = EIO;
	refused(&options, -EIO, "no memory that an address of 20 bits reaches");
	assert_int_equal(sl_space_create(NULL, &options.space), 0);
	refused(&options, -EINVAL, "is for a space of its own");
	sl_space_release(options.space);
}

/*
 * Everything that can fail, in turn.
 */

static void nothing_left(unsigned before)
{
	if (all_descriptors() != before || kernel.n_dma || kernel.mapped)
		fail_msg("%s: something is left", kernel.failed);
}

static void each_open_fails(void **state)
{
	struct sl_device_fds fds = no_fds;
	const struct sl_device_options options[] = {
		{.root = top}, {.root = top, .dma_bits = 32}, {.root = top, .fds = &fds}};
	unsigned failures = 0, before;

	(void)state;
	for (unsigned n = 0, at_call = 1; n < 3; at_call++) {
		struct sl_device *dev = NULL;
		int ret;

		if (n == 2)
			fds.uio_msix = __real_fcntl64(kernel.file, F_DUPFD_CLOEXEC, 3);
		before = all_descriptors();
		kernel.calls = 0;
		kernel.fail_at = at_call;
		ret = sl_device_open(BDF, &options[n], &dev);
		if (kernel.calls < at_call)
			n++, at_call = 0;
		kernel.fail_at = 0;
		failures += ret != 0;
		if (ret && ((ret != -EIO && ret != -ENOMEM && ret != -ENODEV) || !*sl_reason()))
			fail_msg("%s: %d: %s", kernel.failed, ret, sl_reason());
		sl_device_close(dev);
		nothing_left(before);
		if (fds.uio_msix >= 0)
			close(fds.uio_msix);
		fds.uio_msix = -1;
	}
	assert_true(failures > 3 * 80); /* configuration space alone is 64 */
}

static void each_dma_fails(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	unsigned before = all_descriptors(), n = 0;
	struct sl_dma *dma = NULL;
	int ret;

	(void)state;
	/* From the kernel; then pinned, after it had one piece to give. */
	for (unsigned at_call = 1; n < 2; at_call++) {
		kernel.huge_free = n ? 2 : 0;
		kernel.alloc_err = n ? ENOMEM : 0;
		kernel.alloc_good = n;
		kernel.calls = 0;
		kernel.fail_at = at_call;
		ret = sl_dma_create(dev, HUGE + PAGE, 0, &dma);
		if (kernel.calls < at_call)
			n++, at_call = 0;
		kernel.fail_at = 0;
		if (ret && ret != -EIO && ret != -ENOMEM)
			fail_msg("%s: %d: %s", kernel.failed, ret, sl_reason());
		if (!ret)
			sl_dma_release(dma);
		assert_int_equal(mappings(dev), 0);
		/* What could not be given back the kernel frees when the device is closed. */
		if (!strcmp(kernel.failed, "ioctl 11"))
			kernel.n_dma = 0;
		nothing_left(before);
	}
	sl_device_close(dev);
}

static void each_wiring_fails(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	int e = event_new(), ret = -1;

	(void)state;
	for (unsigned at_call = 1; ret; at_call++) {
		kernel.calls = 0;
		kernel.fail_at = at_call;
		ret = sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 1, &e);
		kernel.fail_at = 0;
		assert_true(at_call < 10);
		assert_int_equal(ret, at_call > 3 ? 0 : at_call == 3 ? -EIO : -ENOMEM);
	}
	sl_device_close(dev);
	close(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fake_test(by_path),
		fake_test(missing),
		fake_test(callers),
		fake_test(regions),
		fake_test(holes),
		fake_test(registers),
		fake_test(interrupts),
		fake_test(too_few),
		fake_test(unclean),
		fake_test(resets),
		fake_test(gone),
		fake_test(dma_pieces),
		fake_test(dma_pinned),
		fake_test(foreign),
		fake_test(whose_space),
		fake_test(address_bits),
		fake_test(each_open_fails),
		fake_test(each_dma_fails),
		fake_test(each_wiring_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
