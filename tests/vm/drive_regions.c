/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers: mapped or by checked reads and writes, they are the same; reset; letting go. */
#include "drive.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const unsigned widths[] = {1, 2, 4, 8};

static uint64_t get(struct sl_device *dev, unsigned index, uint64_t offset, unsigned width)
{
	uint64_t value = 0;

	MUST(sl_device_read(dev, index, offset, width, &value));
	return value;
}

static uint64_t pattern(unsigned width)
{
	return 0x8877665544332211 >> (64 - 8 * width);
}

/* A BAR that is memory takes any width: ivshmem's. */
static void memory_bar(struct sl_device *dev, unsigned bar)
{
	struct sl_mmio mmio = drive_map(dev, bar), again = drive_map(dev, bar);

	CHECK(mmio.base == again.base && mmio.len == 1 << 20 && sl_mmio_has(&mmio, 0, 1 << 20));
	for (unsigned i = 0; i < 4; i++) {
		unsigned width = widths[i];
		uint64_t at = 0x800 + 8 * i, value = 0;

		memset(mmio.base + at, 0, 8);
		MUST(sl_device_write(dev, bar, at, width, pattern(width)));
		memcpy(&value, mmio.base + at, 8);
		CHECK(le64toh(value) == pattern(width));
		CHECK(get(dev, bar, at, width) == pattern(width));
		CHECK(get(dev, bar, mmio.len - width, width) == 0);
	}
	sl_mmio_write32(&mmio, 0xffffc, 0x12345678);
	CHECK(get(dev, bar, 0xffffc, 4) == 0x12345678 && get(dev, bar, 0xffffc, 1) == 0x78);
	CHECK(sl_mmio_read16(&mmio, 0xffffe) == 0x1234 && sl_mmio_read8(&mmio, 0xffffd) == 0x56);
}

/* What is wrong with a place or a value is refused before the device sees it. */
static void refused(struct sl_device *dev, unsigned index, uint64_t len)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < 4; i++) {
		unsigned width = widths[i];

		CHECK(sl_device_read(dev, index, len, width, &value) == -EINVAL);
		CHECK(sl_device_write(dev, index, len, width, 0) == -EINVAL);
		CHECK(sl_device_read(dev, index, -(uint64_t)width, width, &value) == -EINVAL);
		if (width > 1)
			CHECK(sl_device_read(dev, index, 1, width, &value) == -EINVAL);
		if (width < 8)
			CHECK(sl_device_write(dev, index, 0, width, 1ull << 8 * width) == -EINVAL);
	}
	CHECK(sl_device_read(dev, index, 0, 0, &value) == -EINVAL);
	CHECK(sl_device_read(dev, index, 0, 3, &value) == -EINVAL);
	CHECK(sl_device_read(dev, index, 0, 16, &value) == -EINVAL);
	CHECK(sl_device_read(dev, SL_DEVICE_REGIONS, 0, 4, &value) == -EINVAL);
}

/* PCI 3.0, 6.1: any width; "interrupt line" at 0x3c is for software to keep. */
static void config_space(struct sl_device *dev)
{
	const struct sl_device_info *info = sl_device_get_info(dev);
	uint64_t ids = info->config.vendor | (uint64_t)info->config.device << 16;
	uint64_t line = get(dev, SL_DEVICE_CONFIG, 0x3c, 1);
	struct sl_device_region region;

	MUST(sl_device_get_region(dev, SL_DEVICE_CONFIG, &region));
	CHECK(region.len >= 256 && !region.n_parts && !(region.flags & SL_DEVICE_MAP));
	CHECK(get(dev, SL_DEVICE_CONFIG, 0, 4) == ids);
	CHECK(get(dev, SL_DEVICE_CONFIG, 0, 2) == info->config.vendor);
	CHECK(get(dev, SL_DEVICE_CONFIG, 1, 1) == info->config.vendor >> 8);
	CHECK((uint32_t)get(dev, SL_DEVICE_CONFIG, 0, 8) == ids);
	MUST(sl_device_write(dev, SL_DEVICE_CONFIG, 0x3c, 1, 0x5a));
	CHECK(get(dev, SL_DEVICE_CONFIG, 0x3c, 1) == 0x5a);
	MUST(sl_device_write(dev, SL_DEVICE_CONFIG, 0x3c, 1, line));
	MUST(sl_device_bus_master(dev, true));
	CHECK((get(dev, SL_DEVICE_CONFIG, 4, 2) & 6) == 6);
	MUST(sl_device_bus_master(dev, false));
	CHECK((get(dev, SL_DEVICE_CONFIG, 4, 2) & 4) == 0);
	refused(dev, SL_DEVICE_CONFIG, region.len);
}

/* VFIO takes away what is mapped while memory is off (command, bit 1): SIGBUS, which reads as ones.
 */
static void memory_off(struct sl_device *dev)
{
	uint64_t command = get(dev, SL_DEVICE_CONFIG, 4, 2);
	struct sl_mmio mmio = drive_map(dev, 0);
	uint32_t before;

	MUST(sl_device_write(dev, SL_DEVICE_CONFIG, 4, 2, command | 2));
	before = sl_mmio_read32(&mmio, 8);
	CHECK(before != UINT32_MAX);
	MUST(sl_device_write(dev, SL_DEVICE_CONFIG, 4, 2, command & ~2ull));
	CHECK(sl_mmio_read32(&mmio, 8) == UINT32_MAX && sl_mmio_read8(&mmio, 8) == UINT8_MAX);
	sl_mmio_write32(&mmio, 0, 0); /* goes nowhere */
	MUST(sl_device_write(dev, SL_DEVICE_CONFIG, 4, 2, command | 2));
	CHECK(sl_mmio_read32(&mmio, 8) == before);
}

/* 82574 datasheet, 10.2.1.2: BAR 2 is a window on BAR 0: an address, then what is there. STATUS
 * is at 8. */
static void port_bar(struct sl_device *dev)
{
	struct sl_mmio mmio = drive_map(dev, 0);
	struct sl_device_region region;

	MUST(sl_device_get_region(dev, 2, &region));
	CHECK(region.len == 32 && region.flags & SL_DEVICE_IO && !region.n_parts);
	CHECK(sl_device_map(dev, 2, &mmio) == -EINVAL);
	MUST(sl_device_write(dev, 2, 0, 4, 8));
	CHECK(get(dev, 2, 0, 4) == 8);
	CHECK(get(dev, 2, 4, 4) == get(dev, 0, 8, 4) && get(dev, 0, 8, 4));
	refused(dev, 2, 32);
}

/*
 * Registers and the MSI-X table in one BAR, an nvme's: what is written there by a checked write,
 * the kernel drops, and the vector goes on.
 */
static void table_bar(struct sl_device *dev)
{
	const struct sl_pci_msix *msix = &sl_device_get_info(dev)->config.msix;
	struct sl_mmio mmio = drive_map(dev, msix->table_bar);
	struct sl_device_region region;
	int event = drive_event();
	uint64_t value = 0, end = 0;

	MUST(sl_device_get_region(dev, msix->table_bar, &region));
	CHECK(region.n_parts >= 1 && region.flags & SL_DEVICE_MAP && mmio.len == region.len);
	for (unsigned i = 0; i < region.n_parts; i++) {
		CHECK(region.parts[i].offset % 4096 == 0 && region.parts[i].offset >= end);
		end = region.parts[i].offset + region.parts[i].len;
		CHECK(region.parts[i].len && end <= region.len);
	}
	CHECK(sl_mmio_read32(&mmio, 8) == get(dev, msix->table_bar, 8, 4)); /* VS */
	CHECK(get(dev, msix->table_bar, 8, 4) >> 16 == 1);

	MUST(sl_device_irq_set(dev, SL_IRQ_MSIX, 0, 1, &event));
	for (unsigned i = 0; i < 16; i += 4) {
		int ret = sl_device_write(dev, msix->table_bar, msix->table_offset + i, 4, 0xdead);

		CHECK(!ret || ret == -EPERM);
		if (!sl_device_read(dev, msix->table_bar, msix->table_offset + i, 4, &value))
			CHECK(value != 0xdead);
	}
	MUST(sl_device_bus_master(dev, true));
	nvme_stop(nvme_start(dev, &mmio, 1)); /* its commands complete by vector 0 */
	CHECK(drive_comes(event, 5000));
}

/* regions ADDRESS edu|ivshmem|e1000e|nvme VIA */
void drive_regions(int argc, char **argv)
{
	struct sl_device_region region;
	struct sl_device *dev;
	struct sl_mmio mmio;

	CHECK(argc == 3);
	dev = drive_open(argv[0], argv[2], NULL);
	config_space(dev);
	if (!strcmp(argv[2], "vfio"))
		memory_off(dev);
	CHECK(sl_device_get_region(dev, SL_DEVICE_REGIONS, &region) == -EINVAL);
	CHECK(sl_device_map(dev, SL_DEVICE_CONFIG, &mmio) == -EINVAL);
	MUST(sl_device_get_region(dev, 5, &region));
	CHECK(!region.len && sl_device_map(dev, 5, &mmio) == -EINVAL);
	if (!strcmp(argv[1], "ivshmem")) {
		memory_bar(dev, 2);
		refused(dev, 2, 1 << 20);
	} else if (!strcmp(argv[1], "e1000e")) {
		port_bar(dev);
	} else if (!strcmp(argv[1], "nvme")) {
		table_bar(dev);
	} else { /* edu's identity; its second register answers with the inverse */
		mmio = drive_map(dev, 0);
		CHECK(sl_mmio_read32(&mmio, 0) == 0x010000ed && get(dev, 0, 0, 4) == 0x010000ed);
		MUST(sl_device_write(dev, 0, 4, 4, 0x12345678));
		CHECK(sl_mmio_read32(&mmio, 4) == (uint32_t)~0x12345678);
		sl_mmio_write32(&mmio, 4, 0x87654321);
		CHECK(get(dev, 0, 4, 4) == (uint32_t)~0x87654321);
	}
	sl_device_close(dev);
	printf("ok - %s over %s: BARs and configuration space, mapped and by checked access\n",
	       argv[1], argv[2]);
}

/* reset ADDRESS KIND [VIA]: the kernel's first word for it; "none" when it cannot be reset */
void drive_reset(int argc, char **argv)
{
	struct sl_device *dev;
	const char *how = NULL;

	CHECK(argc == 2 || argc == 3);
	dev = drive_open(argv[0], argc == 3 ? argv[2] : "vfio", NULL);
	if (!strcmp(argv[1], "none")) {
		CHECK(sl_device_reset(dev, &how) == -EOPNOTSUPP);
		printf("cannot be reset: %s\n", sl_reason());
	} else {
		MUST(sl_device_bus_master(dev, true));
		MUST(sl_device_reset(dev, &how));
		if (!how || strcmp(how, argv[1]))
			drive_fail("reset by \"%s\", not \"%s\"", how ? how : "", argv[1]);
		CHECK((get(dev, SL_DEVICE_CONFIG, 4, 2) & 4) == 0);
		MUST(sl_device_reset(dev, NULL));
	}
	MUST(sl_device_check(dev));
	sl_device_close(dev);
	printf("ok - %s: reset: %s\n", argv[0], argv[1]);
}

static int termination(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/*
 * hold ADDRESS VIA: until the kernel wants it back, it is gone, or SIGTERM comes. Registers
 * are touched all the time, and for a while after.
 */
void drive_hold(int argc, char **argv)
{
	struct sl_device *dev;
	struct sl_mmio mmio;
	struct pollfd p[2];
	int ret = 0;

	CHECK(argc == 2);
	p[1] = (struct pollfd){termination(), POLLIN, 0};
	dev = drive_open(argv[0], argv[1], NULL);
	mmio = drive_map(dev, 0);
	MUST(sl_device_bus_master(dev, true));
	p[0] = (struct pollfd){sl_device_event(dev), POLLIN, 0};
	CHECK((p[0].fd < 0) == (sl_device_get_info(dev)->via == SL_PCI_UIO));
	printf("held\n");
	do {
		sl_mmio_read32(&mmio, 0);
		sl_mmio_write32(&mmio, 4, 1);
		ret = sl_device_check(dev);
	} while (!ret && poll(p, 2, 1) == 0);
	/* The event may come between the two questions: the check says so then. */
	poll(p, 2, 0);
	if (ret == -ENODEV && !p[0].revents)
		printf("gone: %s\n", sl_reason());
	else
		printf(p[0].revents ? "wanted back\n" : "told to end\n");
	for (int i = 0; i < 500; i++) { /* while it goes: whatever they read as, that is no fault */
		sl_mmio_read32(&mmio, 0);
		usleep(1000);
	}
	sl_device_close(dev);
	printf("closed\n");
}
