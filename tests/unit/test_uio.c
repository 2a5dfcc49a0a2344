/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device of uio_pci_generic on a made-up machine: its files are files, /dev/uio3 is a FIFO or a
 * socket, and where memory lies is what we say.
 */
#include "pci_tree.h"

#include <linux/kernel-page-flags.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <sluice/dma.h>
#include <sluice/space.h>

#include "descriptors.h"
#include "device/uio_memory.h"
#include "device_rig.h"

#define BDF  "0000:00:03.0"
#define PAGE ((size_t)4096)
#define HUGE ((size_t)2 << 20)

static const struct sl_device_options made_up = {.root = top};

static unsigned command(void)
{
	uint8_t bytes[2] = {0};
	int fd = open(at(DEV(BDF, "config")), O_RDONLY);

	assert_int_equal(pread(fd, bytes, 2, PCI_COMMAND), 2);
	close(fd);
	return bytes[0] | (unsigned)bytes[1] << 8;
}

static void command_set(unsigned value)
{
	uint8_t bytes[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
	int fd = open(at(DEV(BDF, "config")), O_WRONLY);

	assert_int_equal(pwrite(fd, bytes, 2, PCI_COMMAND), 2);
	close(fd);
}

/* What the kernel does: uio_pci_generic's irqhandler(), then uio_event_notify(). */
static void interrupt(int uio)
{
	const uint32_t count = 1;

	command_set(command() | PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(write(uio, &count, sizeof(count)), sizeof(count));
}

static void refused(const struct sl_device_options *options, int ret, const char *why)
{
	unsigned before = descriptors();

	does_not_open(BDF, options, ret, why);
	assert_int_equal(descriptors(), before);
}

/*
 * Made-up physical memory: a page of this process is in a frame of our choice.
 */

static void put_word(const char *path, uint64_t index, uint64_t value)
{
	int fd = open(at(path), O_WRONLY);

	assert_int_equal(pwrite(fd, &value, sizeof(value), (off_t)(index * 8)), 8);
	close(fd);
}

static void put_page(const void *page, uint64_t entry)
{
	put_word("proc/self/pagemap", (uintptr_t)page / PAGE, entry);
}

#define PRESENT (UINT64_C(1) << 63)

static void put_frame(const void *page, uint64_t frame, unsigned kind)
{
	put_page(page, PRESENT | frame);
	put_word("proc/kpageflags", frame, UINT64_C(1) << kind);
}

/* Reserved huge pages: how many there are, the frame of the next, which of them is not huge. */
static unsigned huge_free, huge_bad;
static uint64_t huge_frame;

void *__real_mmap64(void *base, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *base, size_t len, int prot, int flags, int fd, off_t offset);

static void *huge_pages(size_t len, int prot, int flags)
{
	uint8_t *base;

	if (len / HUGE > huge_free) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	base = __real_mmap64(NULL, len + HUGE, prot, flags & ~(int)(MAP_HUGETLB | 63u << 26), -1,
			     0);
	assert_true(base != MAP_FAILED);
	munmap(base, -(uintptr_t)base & (HUGE - 1));
	base += -(uintptr_t)base & (HUGE - 1);
	for (size_t at_ = 0; at_ < len; at_ += PAGE) {
		if (at_ % HUGE == 0)
			huge_frame -= HUGE / PAGE; /* each before the last: never in one piece */
		put_frame(base + at_, huge_frame + at_ % HUGE / PAGE,
			  huge_bad && at_ / HUGE + 1 == huge_bad ? KPF_LRU : KPF_HUGE);
	}
	return base;
}

void *__wrap_mmap64(void *base, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (flags & MAP_HUGETLB)
		return huge_pages(len, prot, flags);
	return __real_mmap64(base, len, prot, flags, fd, offset);
}

/*
 * Opening.
 */

static void by_path(void **state)
{
	const struct sl_device_info *info;
	struct sl_device *dev, *other;
	unsigned before = descriptors();

	(void)state;
	dev = take(BDF, &made_up);
	info = sl_device_get_info(dev);
	assert_int_equal(info->via, SL_PCI_UIO);
	assert_string_equal(info->backend, "uio_pci_generic");
	assert_int_equal(info->config.device, 0x10d3);
	assert_int_equal(command(), 0x0503);
	assert_int_equal(sl_device_bus_master(dev, true), 0);
	assert_int_equal(command(), 0x0507);
	assert_int_equal(sl_device_event(dev), -1);
	assert_int_equal(sl_device_check(dev), 0);
	refused(&made_up, -EBUSY, "another program drives it");
	sl_device_close(dev);
	assert_int_equal(command(), 0x0503);
	assert_int_equal(descriptors(), before);
	/* Kernels before 2.6.26 had it so. */
	assert_int_equal(rmdir(at(DEV(BDF, "uio/uio3"))), 0);
	assert_int_equal(rmdir(at(DEV(BDF, "uio"))), 0);
	put_folder(DEV(BDF, "uio:uio3"));
	dev = take(BDF, &made_up);
	assert_int_equal(sl_device_open(BDF, &made_up, &other), -EBUSY);
	sl_device_close(dev);
}

static void missing(void **state)
{
	struct sl_device_fds fds = no_fds;
	const struct sl_device_options given = {.root = top, .fds = &fds};
	char root[PATH_MAX + 8];
	int uio = open(at("dev/uio3"), O_RDWR);
	struct sl_device *dev;

	(void)state;
	fds.uio = uio; /* the rest is asked for by name */
	unlink(at("dev/uio3"));
	refused(&made_up, -ENODEV, "uio3 is not there");
	unlink(at("proc/kpageflags"));
	refused(&given, -ENOENT, "proc/kpageflags: No such file or directory: UIO needs");
	unlink(at("proc/self/pagemap"));
	refused(&given, -ENOENT, "proc/self/pagemap");
	fds.uio = 700;
	put("proc/self/pagemap", "");
	put("proc/kpageflags", "");
	refused(&given, -EBADF, "descriptor 700");
	fds.uio = uio;
	fds.resources[5] = 700;
	refused(&given, -EBADF, "descriptor 700");
	fds.resources[5] = -1;
	put_bytes(DEV(BDF, "config"), e1000e_config, 32);
	refused(&given, -EINVAL, "configuration space of 32 bytes");
	unlink(at(DEV(BDF, "config")));
	refused(&given, -ENOENT, "config: No such file or directory");
	memset(root, 'r', sizeof(root));
	root[0] = '/';
	root[sizeof(root) - 1] = '\0';
	assert_int_equal(
		sl_device_open(BDF, &(struct sl_device_options){.root = root, .fds = &fds}, &dev),
		-ENAMETOOLONG);
	assert_int_equal(close(uio), 0);
}

static void callers(void **state)
{
	struct sl_device_fds fds = no_fds;
	const struct sl_device_options options = {.root = top, .fds = &fds};
	int saved = dup(0), config = open(at(DEV(BDF, "config")), O_RDWR);
	unsigned before;
	struct sl_device *dev, *other;

	(void)state;
	close(0);
	assert_int_equal(open(at("dev/uio3"), O_RDWR), 0);
	fds.uio = 0;
	fds.config = config;
	fds.resources[2] = open(at(DEV(BDF, "resource2")), O_RDWR);
	assert_int_equal(rename(at(DEV(BDF, "resource2")), at(DEV(BDF, "moved"))), 0);
	before = descriptors();
	dev = take(BDF, &options);
	assert_int_equal(sl_device_write(dev, 2, 0, 4, 0x12345678), 0);
	assert_int_equal(get(dev, 2, 0, 4), 0x12345678);
	assert_int_equal(sl_device_open(BDF, &made_up, &other), -EBUSY);
	says("another program drives it");
	sl_device_close(dev);
	assert_int_equal(descriptors(), before);
	assert_true(fcntl(0, F_GETFD) >= 0 && fcntl(config, F_GETFD) >= 0);
	assert_true(fcntl(fds.resources[2], F_GETFD) >= 0);
	/* The first that the library opens is 0, and is closed again. */
	close(0);
	sl_device_close(take(BDF, &made_up));
	assert_int_equal(fcntl(0, F_GETFD), -1);
	assert_int_equal(dup2(saved, 0), 0);
	close(saved);
	close(config);
	close(fds.resources[2]);
}

/*
 * Registers.
 */

static void regions(void **state)
{
	const uint32_t rw = SL_DEVICE_READ | SL_DEVICE_WRITE;
	struct sl_device *dev = take(BDF, &made_up);
	struct sl_device_region r;
	struct sl_mmio mmio;

	(void)state;
	assert_int_equal(sl_device_get_region(dev, 0, &r), 0);
	assert_int_equal(r.len, 0x20000);
	assert_int_equal(r.flags, rw | SL_DEVICE_MAP);
	assert_int_equal(r.n_parts, 1);
	assert_int_equal(r.parts[0].offset, 0);
	assert_int_equal(r.parts[0].len, 0x20000);
	assert_int_equal(sl_device_get_region(dev, 2, &r), 0);
	assert_int_equal(r.len, 0x20);
	assert_int_equal(r.flags, rw | SL_DEVICE_IO);
	for (unsigned index = 4; index <= SL_DEVICE_ROM; index++) {
		assert_int_equal(sl_device_get_region(dev, index, &r), 0);
		assert_int_equal(r.len | r.flags | r.n_parts, 0);
	}
	assert_int_equal(sl_device_get_region(dev, SL_DEVICE_CONFIG, &r), 0);
	assert_int_equal(r.len, 256);
	assert_int_equal(r.flags, rw);
	assert_int_equal(sl_device_map(dev, 2, &mmio), -EINVAL);
	says("I/O ports");
	assert_int_equal(sl_device_map(dev, 4, &mmio), -EINVAL);
	assert_int_equal(sl_device_map(dev, SL_DEVICE_CONFIG, &mmio), -EINVAL);
	sl_device_close(dev);
}

static void registers(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	struct sl_mmio mmio, again;
	uint64_t value;

	(void)state;
	guard_faults();
	refuses(dev, 0, 0x20000);
	refuses(dev, 2, 0x20);
	refuses(dev, SL_DEVICE_CONFIG, 256);
	refuses(dev, 4, 0);
	assert_int_equal(sl_device_write(dev, 0, 0x1fff8, 8, 0x1122334455667788), 0);
	assert_int_equal(sl_device_map(dev, 0, &mmio), 0);
	assert_int_equal(sl_device_map(dev, 0, &again), 0);
	assert_ptr_equal(mmio.base, again.base);
	assert_int_equal(sl_mmio_read32(&mmio, 0x1fff8), 0x55667788);
	sl_mmio_write8(&mmio, 0x1ffff, 0x99);
	assert_int_equal(get(dev, 0, 0x1fffe, 2), 0x9922);
	assert_int_equal(get(dev, SL_DEVICE_CONFIG, 0, 4), 0x10d38086);
	/* The file ends before the region: the device is gone, as far as anybody can see. */
	assert_int_equal(truncate(at(DEV(BDF, "resource0")), 0), 0);
	assert_int_equal(sl_mmio_read32(&mmio, 0), UINT32_MAX);
	assert_int_equal(sl_mmio_read16(&mmio, 2), UINT16_MAX);
	assert_int_equal(sl_mmio_read8(&mmio, 0x1ffff), UINT8_MAX);
	sl_mmio_write32(&mmio, 0, 1);
	assert_int_equal(sl_device_read(dev, 0, 0, 4, &value), -ENODEV);
	assert_int_equal(sl_device_write(dev, 0, 0, 4, 1), -ENODEV);
	assert_int_equal(truncate(at(DEV(BDF, "resource2")), 2), 0);
	assert_int_equal(sl_device_read(dev, 2, 0, 4, &value), -ENODEV);
	assert_int_equal(truncate(at(DEV(BDF, "config")), 0), 0);
	assert_true(sl_device_check(dev) < 0);
	sl_device_close(dev);
}

static void no_resource(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	struct sl_mmio mmio;
	uint64_t value;

	(void)state;
	unlink(at(DEV(BDF, "resource0")));
	assert_int_equal(sl_device_map(dev, 0, &mmio), -ENOENT);
	assert_int_equal(sl_device_read(dev, 0, 0, 4, &value), -ENOENT);
	says("resource0");
	unlink(at(DEV(BDF, "resource2")));
	assert_int_equal(sl_device_read(dev, 2, 0, 4, &value), -ENOENT);
	put(DEV(BDF, "resource0"), "");
	assert_int_equal(truncate(at(DEV(BDF, "resource0")), 0x20000), 0);
	assert_int_equal(sl_device_map(dev, 0, &mmio), 0);
	sl_device_close(dev);
}

/* The kernel would map the page that such a BAR lies in: the registers of another device. */
static void within_a_page(void **state)
{
	static const char text[] = "0x00000000fea40000 0x00000000fea400ff 0x0000000000040200\n"
				   "0x00000000fea40100 0x00000000fea401ff 0x0000000000040200\n";
	struct sl_device_region r;
	struct sl_device *dev;
	struct sl_mmio mmio;
	uint64_t value;
	char all[1024];

	(void)state;
	snprintf(all, sizeof(all), "%s%s", text,
		 strstr(strchr(e1000e_resource, '\n') + 1, "0x000000000000c040"));
	put_device_file(BDF, "resource", all);
	dev = take(BDF, &made_up);
	assert_int_equal(sl_device_map(dev, 0, &mmio), 0);
	assert_int_equal(mmio.len, 0x100);
	assert_int_equal(sl_device_get_region(dev, 1, &r), 0);
	assert_int_equal(r.len, 0x100);
	assert_int_equal(r.flags & SL_DEVICE_MAP, 0);
	assert_int_equal(sl_device_map(dev, 1, &mmio), -EINVAL);
	assert_int_equal(sl_device_read(dev, 1, 0, 4, &value), -EOPNOTSUPP);
	assert_int_equal(sl_device_write(dev, 1, 0, 4, 0), -EOPNOTSUPP);
	sl_device_close(dev);
}

static void reset(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	const char *how = NULL;

	(void)state;
	assert_int_equal(sl_device_reset(dev, &how), -EOPNOTSUPP);
	assert_null(how);
	put_device_file(BDF, "reset", "");
	assert_int_equal(sl_device_bus_master(dev, true), 0);
	assert_int_equal(sl_device_reset(dev, &how), 0);
	assert_string_equal(line_of(DEV(BDF, "reset")), "1");
	assert_string_equal(how, "flr");
	assert_int_equal(command(), 0x0503);
	sl_device_close(dev);
}

/*
 * Interrupts.
 */

static bool signalled(int event, int ms)
{
	struct pollfd p = {.fd = event, .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

static void comes(int uio, int event)
{
	interrupt(uio);
	assert_true(signalled(event, 5000));
	assert_int_equal(event_value(event), 1);
}

/* A FIFO has two wait queues, for which asynchronous I/O does not wait: a socket is its stand-in.
 */
static struct sl_device *take_socket(int *kernel)
{
	struct sl_device_fds fds = no_fds;
	const struct sl_device_options options = {.root = top, .fds = &fds};
	struct sl_device *dev;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	fds.uio = pair[0];
	dev = take(BDF, &options);
	close(pair[0]);
	*kernel = pair[1];
	return dev;
}

static void intx(void **state)
{
	int e = event_new(), uio;
	struct sl_device *dev = take_socket(&uio);

	(void)state;
	assert_int_equal(sl_device_irq_count(dev, SL_IRQ_INTX), 1);
	assert_int_equal(sl_device_irq_count(dev, SL_IRQ_MSI), 0);
	assert_int_equal(sl_device_irq_count(dev, SL_IRQ_MSIX), 0);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 1, &e), -EINVAL);
	assert_int_equal(sl_device_irq_mask(dev), -EINVAL);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_INTX, 0, 1, &e), 0);
	assert_int_equal(command(), 0x0103);
	assert_int_equal(event_value(e), 0);
	for (int i = 0; i < 3; i++) {
		comes(uio, e);
		assert_int_equal(command(), 0x0503);
		assert_int_equal(sl_device_irq_unmask(dev), 0);
		assert_int_equal(command(), 0x0103);
		assert_int_equal(sl_device_irq_unmask(dev), 0); /* twice is once */
	}
	assert_int_equal(sl_device_irq_mask(dev), 0);
	assert_int_equal(command(), 0x0503);
	assert_int_equal(sl_device_irq_unmask(dev), 0);
	comes(uio, e);
	sl_device_close(dev);
	assert_int_equal(command(), 0x0503);
	assert_int_equal(event_value(e), 0);
	close(uio);
	close(e);
}

/* Another event, none, a wrong one, which leaves the old; nobody hears what is not for him. */
static void rewired(void **state)
{
	int a = event_new(), b = event_new(), uio, file = open("/dev/null", O_RDONLY);
	struct sl_device *dev = take_socket(&uio);
	unsigned before = descriptors();

	(void)state;
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_INTX, 0, 1, &a), 0);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_INTX, 0, 1, &b), 0);
	assert_false(signalled(a, 20));
	comes(uio, b);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_INTX, 0, 1, &file), -EINVAL);
	says("no eventfd");
	assert_int_equal(command(), 0x0103);
	comes(uio, b);
	assert_int_equal(sl_device_irq_unmask(dev), 0);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_INTX, 0, 1, (int[]){-1}), 0);
	assert_int_equal(command(), 0x0503);
	interrupt(uio);
	assert_false(signalled(a, 20) || signalled(b, 20));
	assert_int_equal(sl_device_irq_unmask(dev), -EINVAL);
	assert_int_equal(descriptors(), before);
	sl_device_close(dev);
	close(file);
	close(uio);
	close(a);
	close(b);
}

/* The wait for the new event has begun when the device refuses: it ends, the old one goes on. */
static void rewired_half(void **state)
{
	int a = event_new(), b = event_new(), uio;
	const uint32_t count = 1;
	struct sl_device *dev = take_socket(&uio);

	(void)state;
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_INTX, 0, 1, &a), 0);
	assert_int_equal(truncate(at(DEV(BDF, "config")), 0), 0);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_INTX, 0, 1, &b), -ENODEV);
	assert_int_equal(write(uio, &count, sizeof(count)), sizeof(count));
	assert_true(signalled(a, 5000));
	assert_false(signalled(b, 20));
	sl_device_close(dev);
	close(uio);
	close(a);
	close(b);
}

/* Removing a vector is no interrupt, whatever its event counts at that time. */
static void removed(void **state)
{
	int e = event_new(), semaphore = eventfd(2, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE),
	    uio;
	struct sl_device *dev = take_socket(&uio);

	(void)state;
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_INTX, 0, 1, &e), 0);
	assert_int_equal(eventfd_write(e, 3), 0);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_INTX, 0, 1, (int[]){-1}), 0);
	assert_int_equal(event_value(e), 3);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_INTX, 0, 1, &e), 0);
	interrupt(uio); /* has come, and nobody has looked: it stays */
	assert_true(signalled(e, 5000));
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_INTX, 0, 1, &semaphore), 0);
	assert_int_equal(event_value(e), 1);
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_INTX, 0, 1, (int[]){-1}), 0);
	assert_int_equal(event_value(semaphore) + event_value(semaphore), 2);
	assert_int_equal(event_value(semaphore), 0);
	sl_device_close(dev);
	close(uio);
	close(e);
	close(semaphore);
}

/* Its driver goes; asking whether it has takes no interrupt away from who waits for it. */
static void taken_away(void **state)
{
	struct sl_device_fds fds = no_fds;
	const struct sl_device_options options = {.root = top, .fds = &fds};
	int e = event_new(), pair[2], got;
	struct sl_device *dev;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fds.uio = pair[0];
	dev = take(BDF, &options);
	interrupt(pair[1]);
	assert_int_equal(sl_device_check(dev), 0);
	assert_int_equal(recv(pair[0], &got, sizeof(got), MSG_DONTWAIT), sizeof(got));
	assert_int_equal(sl_device_irq_set(dev, SL_IRQ_INTX, 0, 1, &e), 0);
	assert_int_equal(sl_device_irq_unmask(dev), 0);
	close(pair[1]);
	assert_true(signalled(e, 5000));
	errno = EAGAIN; /* of another call: this end of file is no interrupt to come */
	assert_int_equal(sl_device_irq_unmask(dev), -ENODEV);
	assert_int_equal(sl_device_check(dev), -ENODEV);
	says("was taken from uio_pci_generic");
	sl_device_close(dev);
	assert_true(fcntl(pair[0], F_GETFD) >= 0);
	close(pair[0]);
	close(e);
}

static void answers_ones(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	uint8_t ones[64];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	put_bytes(DEV(BDF, "config"), ones, sizeof(ones));
	assert_int_equal(sl_device_check(dev), -ENODEV);
	assert_int_equal(sl_device_bus_master(dev, true), -ENODEV);
	sl_device_close(dev);
	assert_int_equal(command(), 0xffff);
}

/*
 * Memory.
 */

static uint8_t pages[6 * PAGE] __attribute__((aligned(4096)));

static int map_at(struct sl_device *dev, uint64_t iova, size_t offset, size_t len)
{
	struct sl_region r = {pages + offset, len, -1, 0, SL_REGION_READ, 0};

	return sl_space_map_at(sl_device_space(dev), (sl_iova){iova}, &r);
}

static void physical(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);

	(void)state;
	put_page(pages, 0);
	assert_int_equal(map_at(dev, 0x1000, 0, PAGE), -EOPNOTSUPP);
	says("not there yet");
	put_page(pages, PRESENT); /* as it is shown without CAP_SYS_ADMIN */
	assert_int_equal(map_at(dev, 0x1000, 0, PAGE), -EPERM);
	says("CAP_SYS_ADMIN");
	put_frame(pages, 0x100, KPF_THP); /* moves */
	assert_int_equal(map_at(dev, 0x100000, 0, PAGE), -EOPNOTSUPP);
	says("huge pages only");
	put_page(pages, PRESENT | 0x7fffffff); /* behind the end of kpageflags */
	assert_int_equal(map_at(dev, 0x1000, 0, PAGE), -EIO);
	for (unsigned i = 0; i < 6; i++)
		put_frame(pages + i * PAGE, i < 4 ? 0x100 + i : 0x200 + i, KPF_HUGE);
	assert_int_equal(map_at(dev, 0x1000, 0, PAGE), -EOPNOTSUPP);
	says("physical address, 0x100000 for this memory");
	assert_int_equal(map_at(dev, 0x100000, 0, 4 * PAGE), 0);
	assert_int_equal(map_at(dev, 0x104000, 4 * PAGE, PAGE), -EOPNOTSUPP);
	assert_int_equal(map_at(dev, 0x204000, 4 * PAGE, 2 * PAGE), 0);
	assert_int_equal(map_at(dev, 0x103000, 3 * PAGE, 2 * PAGE), -EEXIST);
	sl_device_close(dev);
}

/* A piece that begins within a page and ends in the next one lies in two. */
static void across(void **state)
{
	struct uio_memory memory;
	sl_iova iova;

	(void)state;
	assert_int_equal(sl_uio_memory_open(&memory, top), 0);
	for (unsigned i = 0; i < 6; i++)
		put_frame(pages + i * PAGE, i < 4 ? 0x100 + i : 0x200 + i, KPF_HUGE);
	assert_int_equal(sl_uio_memory_iova(&memory, pages + 0x800, PAGE, &iova), 0);
	assert_int_equal(iova.value, 0x100800);
	assert_int_equal(sl_uio_memory_iova(&memory, pages + 3 * PAGE + 0x800, 0x800, &iova), 0);
	assert_int_equal(iova.value, 0x103800);
	assert_int_equal(sl_uio_memory_iova(&memory, pages + 3 * PAGE + 0x800, 0x801, &iova),
			 -EINVAL);
	assert_int_equal(sl_uio_memory_iova(&memory, pages + 3 * PAGE + 1, PAGE, &iova), -EINVAL);
	assert_int_equal(sl_uio_memory_iova(&memory, pages + 3 * PAGE, 2 * PAGE, &iova), -EINVAL);
	put_frame(pages + PAGE, 0x101, KPF_LRU);
	assert_int_equal(sl_uio_memory_iova(&memory, pages + 0xfff, 2, &iova), -EOPNOTSUPP);
	sl_uio_memory_close(&memory);
}

static size_t mappings(struct sl_device *dev)
{
	size_t count;

	sl_space_mappings(sl_device_space(dev), &count);
	return count;
}

static void dma(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	struct sl_dma *dma, *other = NULL;

	(void)state;
	assert_int_equal(sl_dma_create(dev, 0, 0, &other), -EINVAL);
	assert_int_equal(sl_dma_create(dev, SIZE_MAX - 100, 0, &other), -EINVAL);
	assert_int_equal(sl_dma_create(dev, 3 * HUGE, 0, &other), -ENOMEM);
	says("vm/nr_hugepages");
	assert_null(other);
	huge_free = 3;
	huge_frame = 0x10000;
	assert_int_equal(sl_dma_create(dev, 2 * HUGE + 1, 7, &dma), 0);
	assert_int_equal(sl_dma_region(dma)->len, 3 * HUGE);
	assert_int_equal(sl_dma_region(dma)->id, 7);
	assert_int_equal(mappings(dev), 3);
	for (size_t n = 0; n < 3; n++) {
		uint64_t first = (0x10000 - (n + 1) * 512) * PAGE;

		assert_int_equal(sl_dma_iova(dma, n * HUGE).value, first);
		assert_int_equal(sl_dma_iova(dma, (n + 1) * HUGE - 1).value, first + HUGE - 1);
	}
	huge_frame = 0x20000;
	huge_bad = 3; /* two of its three pages are mapped, and then not */
	assert_int_equal(sl_dma_create(dev, 3 * HUGE, 0, &other), -EOPNOTSUPP);
	says(BDF ": over UIO a device reaches huge pages only");
	assert_null(other);
	assert_int_equal(mappings(dev), 3);
	huge_frame = 0x10000; /* as the first: both cannot be there */
	huge_bad = 0;
	assert_int_equal(sl_dma_create(dev, HUGE, 0, &other), -EEXIST);
	sl_dma_release(dma);
	assert_int_equal(mappings(dev), 0);
	huge_frame = 0x10000;
	assert_int_equal(sl_dma_create(dev, 1, 0, &dma), 0);
	assert_int_equal(sl_dma_region(dma)->len, HUGE);
	sl_dma_release(dma);
	sl_dma_release(NULL);
	sl_device_close(dev);
}

/* Where memory lies nobody can choose: what the device cannot address is refused. */
static void address_bits(void **state)
{
	const struct sl_device_options options = {.root = top, .dma_bits = 28};
	struct sl_device *dev = take(BDF, &options);
	struct sl_dma *dma;

	(void)state;
	huge_free = 1;
	huge_frame = 0x10000 + HUGE / PAGE;
	assert_int_equal(sl_dma_create(dev, 1, 0, &dma), -ERANGE);
	says("IOVA 0x10000000-0x101fffff is outside IOVA 0x1000-0xfffffff, which the space allows");
	huge_frame = 0x10000;
	assert_int_equal(sl_dma_create(dev, 1, 0, &dma), 0);
	sl_dma_release(dma);
	sl_device_close(dev);
}

static int machine(void **state)
{
	static const struct {
		const char *file;
		off_t len;
	} files[] = {{DEV(BDF, "resource0"), 0x20000},
		     {DEV(BDF, "resource1"), 0x20000},
		     {DEV(BDF, "resource2"), 0x20},
		     {DEV(BDF, "resource3"), 0x4000}};

	tree_make(state);
	put_bound(BDF, "uio_pci_generic");
	put_folder(DEV(BDF, "uio/uio3"));
	assert_int_equal(mkfifo(at("dev/uio3"), 0600), 0);
	put("proc/self/pagemap", "");
	put("proc/kpageflags", "");
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		put(files[i].file, "");
		assert_int_equal(truncate(at(files[i].file), files[i].len), 0);
	}
	huge_free = huge_bad = 0;
	return 0;
}

#define uio_test(name) cmocka_unit_test_setup_teardown(name, machine, tree_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		uio_test(by_path),	 uio_test(missing),	 uio_test(callers),
		uio_test(regions),	 uio_test(registers),	 uio_test(no_resource),
		uio_test(within_a_page), uio_test(reset),	 uio_test(intx),
		uio_test(rewired),	 uio_test(rewired_half), uio_test(removed),
		uio_test(taken_away),	 uio_test(answers_ones), uio_test(physical),
		uio_test(across),	 uio_test(dma),		 uio_test(address_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
