/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers: configuration space, what may be written of it; BARs, mapped and by calls. */
#include "um.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const unsigned widths[] = {1, 2, 4, 8};

/*
 * Configuration space.
 */

enum policy {
	KEPT, /* by the kernel */
	WRITABLE,
	UNSAID
};

/* Capabilities, PCI 3.0, 6.7: a list from 0x34. @each: where, and its id */
static unsigned capability(int fd, unsigned id, unsigned after)
{
	unsigned at = (unsigned)um_get(fd, UIO_MSIX_CONFIG, after ? after + 1 : 0x34, 1);

	for (unsigned i = 0; at && i < 48; i++) {
		if (um_get(fd, UIO_MSIX_CONFIG, at, 1) == id)
			return at;
		at = (unsigned)um_get(fd, UIO_MSIX_CONFIG, at + 1, 1);
	}
	return 0;
}

/* PCI Express 3.0, 7.9.3: id, version, where the next is */
static unsigned extended_capability(int fd, unsigned id)
{
	unsigned at = 0x100;

	if (um_region(fd, UIO_MSIX_CONFIG).size < PAGE)
		return 0;
	for (unsigned i = 0; at && i < 480; i++) {
		uint32_t head = (uint32_t)um_get(fd, UIO_MSIX_CONFIG, at, 4);

		if ((head & 0xffff) == id)
			return at;
		at = head >> 20;
	}
	return 0;
}

static void allow(uint8_t *policy, unsigned at, unsigned len)
{
	memset(policy + at, WRITABLE, len);
}

static void find_policy(int fd, uint8_t *policy)
{
	unsigned at = 0;

	memset(policy, KEPT, PAGE);
	allow(policy, 0x06, 2); /* status */
	allow(policy, 0x0c, 2); /* cache line size, latency timer */
	allow(policy, 0x3c, 1); /* interrupt line */
	while ((at = capability(fd, 0x09, at))) {
		unsigned len = (unsigned)um_get(fd, UIO_MSIX_CONFIG, at + 2, 1);

		memset(policy + at, UNSAID, 3);
		allow(policy, at + 3, len - 3);
	}
	at = capability(fd, 0x10, 0);
	if (at)
		allow(policy, at + 0x0a, 2); /* device status */
	at = extended_capability(fd, 1);
	if (at) {
		allow(policy, at + 0x04, 4); /* uncorrectable error status */
		allow(policy, at + 0x10, 4); /* correctable error status */
	}
}

/* One write, of what is there or, where it is to be refused, of the inverse. */
static void write_one(int fd, const uint8_t *policy, unsigned at, unsigned width)
{
	uint64_t mask = (1ull << 8 * width) - 1, before = um_get(fd, UIO_MSIX_CONFIG, at, width),
		 after;
	bool kept = false;
	int ret;

	for (unsigned i = at; i < at + width; i++) {
		if (policy[i] == UNSAID)
			return;
		kept |= policy[i] == KEPT;
	}
	ret = um_write(fd, UIO_MSIX_CONFIG, at, width, kept ? ~before & mask : before);
	after = um_get(fd, UIO_MSIX_CONFIG, at, width);
	if (ret != (kept ? -EPERM : 0) || (kept && before != after))
		um_fail("config %#x, %u bytes, %s: %d; %#jx became %#jx", at, width,
			kept ? "the kernel's" : "ours", ret, (uintmax_t)before, (uintmax_t)after);
}

/* All of the command register is the kernel's, bus mastering above all. */
static void command_bits(int fd)
{
	uint64_t before = um_get(fd, UIO_MSIX_CONFIG, 4, 2);

	for (unsigned bit = 0; bit < 16; bit++)
		REFUSED(EPERM, um_write(fd, UIO_MSIX_CONFIG, 4, 2, before ^ 1u << bit));
	CHECK(um_get(fd, UIO_MSIX_CONFIG, 4, 2) == before);
}

static void takes(int fd, unsigned at, unsigned width, uint64_t value)
{
	uint64_t before = um_get(fd, UIO_MSIX_CONFIG, at, width);

	MUST(um_write(fd, UIO_MSIX_CONFIG, at, width, value));
	CHECK(um_get(fd, UIO_MSIX_CONFIG, at, width) == value);
	MUST(um_write(fd, UIO_MSIX_CONFIG, at, width, before));
}

static void read_all(const char *addr, uint8_t *config)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", addr);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	memset(config, 0, PAGE);
	CHECK(fd >= 0 && pread(fd, config, PAGE, 0) >= 256);
	close(fd);
}

/* A virtio device's window on its BARs has registers that keep what they are told (1.2, 4.1.4.9).
 */
static void vendor_specific(int fd)
{
	unsigned at = 0;

	while ((at = capability(fd, 0x09, at)))
		if (um_get(fd, UIO_MSIX_CONFIG, at + 3, 1) == 5)
			takes(fd, at + 8, 4, 0x10);
}

/* config ADDRESS */
void um_do_config(int argc, char **argv)
{
	int fd = MUST(um_open(argv[0]));
	struct uio_msix_region region = um_region(fd, UIO_MSIX_CONFIG);
	uint8_t policy[PAGE], before[PAGE], after[PAGE];
	uint64_t value;

	CHECK(argc == 1 && (region.size == 256 || region.size == PAGE));
	CHECK(region.flags == (UIO_MSIX_REGION_READ | UIO_MSIX_REGION_WRITE) && !region.wc_offset);
	read_all(argv[0], before);
	find_policy(fd, policy);
	for (unsigned i = 0; i < 3; i++)
		for (unsigned at = 0; at < region.size; at += widths[i])
			write_one(fd, policy, at, widths[i]);
	command_bits(fd);
	takes(fd, 0x3c, 1, 0x5a);
	takes(fd, 0x0c, 1, 0x10);
	vendor_specific(fd);
	REFUSED(EINVAL, um_read(fd, UIO_MSIX_CONFIG, 0, 8, &value));
	REFUSED(EINVAL, um_write(fd, UIO_MSIX_CONFIG, 0x38, 8, 0));
	REFUSED(EINVAL, um_read(fd, UIO_MSIX_CONFIG, region.size, 1, &value));
	REFUSED(EINVAL, um_read(fd, UIO_MSIX_CONFIG, -4ull, 4, &value));
	REFUSED(EINVAL, um_read(fd, UIO_MSIX_CONFIG, 1ull << 32, 4, &value));
	REFUSED(EINVAL, um_read(fd, UIO_MSIX_CONFIG, 2, 4, &value));
	REFUSED(EINVAL, um_write(fd, UIO_MSIX_CONFIG, 0x3c, 1, 0x100));
	CHECK(!region.offset ||
	      mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, (off_t)region.offset) == MAP_FAILED);
	read_all(argv[0], after);
	CHECK(!memcmp(before, after, PAGE));
	close(fd);
	printf("ok - %s: configuration space: what the kernel keeps is refused and unchanged\n",
	       argv[0]);
}

/*
 * BARs.
 */

static void wrong_accesses(int fd, unsigned bar, const struct uio_msix_region *region)
{
	uint64_t value;

	for (unsigned i = 0; i < 4; i++) {
		unsigned width = widths[i];

		REFUSED(EINVAL, um_read(fd, bar, region->size, width, &value));
		REFUSED(EINVAL, um_write(fd, bar, region->size, width, 0));
		REFUSED(EINVAL, um_read(fd, bar, -(uint64_t)width, width, &value));
		if (width > 1)
			REFUSED(EINVAL, um_read(fd, bar, 1, width, &value));
		if (width < 8)
			REFUSED(EINVAL, um_write(fd, bar, 0, width, 1ull << 8 * width));
	}
	REFUSED(EINVAL, um_read(fd, bar, 0, 0, &value));
	REFUSED(EINVAL, um_read(fd, bar, 0, 3, &value));
	REFUSED(EINVAL, um_read(fd, bar, 0, 16, &value));
	if (region->flags & UIO_MSIX_REGION_IO)
		REFUSED(EINVAL, um_read(fd, bar, 0, 8, &value));
}

/* Refused, or a fault to touch at @at. */
static void not_there(int fd, uint64_t offset, size_t size, size_t at)
{
	char *base = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, (off_t)offset);

	if (base == MAP_FAILED)
		return;
	CHECK(!um_touch(base + at));
	munmap(base, size);
}

/* What can be mapped can be touched, but for the hole; nothing beyond it can be. */
static void mapped(int fd, unsigned bar, const struct uio_msix_region *r)
{
	size_t size = r->size;
	char *base = um_map(fd, bar);

	for (uint64_t at = 0; at < size; at += PAGE) {
		bool in_hole = at >= r->hole && at - r->hole < r->hole_size;

		if (um_touch(base + at) == in_hole)
			um_fail("BAR %u, page at %#jx: %s", bar, (uintmax_t)at,
				in_hole ? "the MSI-X table is mapped" : "SIGBUS");
	}
	if (!r->hole_size || r->hole)
		CHECK(um_get32(base, 0) == um_get(fd, bar, 0, 4));
	CHECK(mremap((base + size - PAGE), PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
	CHECK(mprotect((base + size - PAGE), PAGE, PROT_READ | PROT_EXEC));
	munmap(base, size);
	if (r->hole_size) {
		not_there(fd, r->offset, size, r->hole);
		not_there(fd, r->offset + r->hole, r->hole_size, 0);
		not_there(fd, r->offset + r->hole + r->hole_size - PAGE, PAGE, 0);
	}
	not_there(fd, r->offset, size + PAGE, size);
	not_there(fd, r->offset + size, PAGE, 0);
	not_there(fd, r->offset + size - PAGE, 2 * PAGE, PAGE);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, (off_t)r->offset) == MAP_FAILED);
}

/* @what: m is mapped, h has a hole, x is nothing but hole, w can be write-combining, i is I/O */
static void bar_is(int fd, unsigned bar, const char *what)
{
	struct uio_msix_region r = um_region(fd, bar);
	bool all_hole = strchr(what, 'x');

	CHECK(r.size && !(r.size & (r.size - 1)));
	CHECK(!(r.flags & UIO_MSIX_REGION_IO) == !strchr(what, 'i'));
	CHECK(!r.wc_offset == !strchr(what, 'w'));
	CHECK(!r.hole_size == !(all_hole || strchr(what, 'h')));
	CHECK(r.hole % PAGE == 0 && r.hole_size % PAGE == 0 && r.hole + r.hole_size <= r.size);
	CHECK(!all_hole || r.hole_size == r.size);
	wrong_accesses(fd, bar, &r);
	if (strchr(what, 'm')) {
		mapped(fd, bar, &r);
		return;
	}
	CHECK(all_hole || !(r.flags & UIO_MSIX_REGION_MMAP));
	if (r.offset || !bar)
		not_there(fd, r.offset, PAGE, 0);
}

/* PCI 3.0, 6.8.2: table size, 11 bits, less one; BAR in 3 bits and offset; 16 bytes a vector */
static void table_is_kept(int fd)
{
	unsigned at = capability(fd, 0x11, 0), bar, end;
	uint64_t place, before;

	if (!at)
		return;
	place = um_get(fd, UIO_MSIX_CONFIG, at + 4, 4);
	bar = place & 7;
	place &= ~7ull;
	end = 16 * (1 + (um_get(fd, UIO_MSIX_CONFIG, at + 2, 2) & 0x7ff));
	for (unsigned i = 0; i < end; i += 4) {
		before = um_get(fd, bar, place + i, 4);
		REFUSED(EPERM, um_write(fd, bar, place + i, 4, 0xdead));
		CHECK(um_get(fd, bar, place + i, 4) == before);
	}
	REFUSED(EPERM, um_write(fd, bar, place + end - 8, 8, 0xdead));
	REFUSED(EPERM, um_write(fd, bar, place + end - 1, 1, 1));
	REFUSED(EPERM, um_write(fd, bar, place, 2, 1));
}

/* bars ADDRESS BAR=WHAT...: those that it has */
void um_do_bars(int argc, char **argv)
{
	int fd = MUST(um_open(argv[0]));
	struct uio_msix_region region = {.argsz = sizeof(region)};
	bool named[6] = {false};
	uint64_t value;

	for (int i = 1; i < argc; i++) {
		bar_is(fd, (unsigned)(argv[i][0] - '0'), argv[i] + 2);
		named[argv[i][0] - '0'] = true;
	}
	for (unsigned bar = 0; bar < 6; bar++) {
		if (named[bar])
			continue;
		region = um_region(fd, bar);
		CHECK(!region.size && !region.flags && !region.wc_offset && !region.hole_size);
		REFUSED(EINVAL, um_read(fd, bar, 0, 4, &value));
		REFUSED(EINVAL, um_write(fd, bar, 0, 4, 0));
	}
	for (uint32_t bar = UIO_MSIX_REGIONS; bar > UIO_MSIX_CONFIG; bar *= 2) {
		region = (struct uio_msix_region){.argsz = sizeof(region), .index = bar};
		REFUSED(EINVAL, um_call(fd, UIO_MSIX_GET_REGION, &region));
		REFUSED(EINVAL, um_read(fd, bar, 0, 4, &value));
	}
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, (off_t)1 << 60) == MAP_FAILED);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, INT64_MAX - (PAGE - 1)) == MAP_FAILED);
	table_is_kept(fd);
	close(fd);
	printf("ok - %s: BARs, mapped and by calls; the MSI-X table by neither\n", argv[0]);
}

/*
 * Write-combining.
 */

static bool is_combining(const char *addr, unsigned bar)
{
	uint64_t start = 0, end = 0, from, to;
	bool found = false;
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", addr);
	file = fopen(path, "r");
	CHECK(file);
	for (unsigned i = 0; i <= bar; i++)
		CHECK(fgets(line, sizeof(line), file) &&
		      sscanf(line, "%lx %lx", &start, &end) == 2);
	fclose(file);
	file = fopen("/sys/kernel/debug/x86/pat_memtype_list", "r");
	CHECK(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "PAT: [mem %lx-%lx]", &from, &to) == 2 && from <= start &&
		    to > end)
			found |= strstr(line, "write-combining") != NULL;
	fclose(file);
	return found;
}

static void *map_at(int fd, uint64_t offset, size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
}

/* combining ADDRESS BAR */
void um_do_combining(int argc, char **argv)
{
	unsigned bar = argc == 2 ? (unsigned)atoi(argv[1]) : 6;
	int fd = MUST(um_open(argv[0]));
	struct uio_msix_region r = um_region(fd, bar);
	char *base = map_at(fd, r.wc_offset, r.size);

	CHECK(base != MAP_FAILED && r.wc_offset);
	um_put32(base, 0x800, 0x12345678);
	CHECK(is_combining(argv[0], bar));
	CHECK(map_at(fd, r.offset, r.size) == MAP_FAILED && errno == EBUSY);
	munmap(base, r.size);
	CHECK(map_at(fd, r.offset, r.size) == MAP_FAILED && errno == EBUSY);
	base = map_at(fd, r.wc_offset, r.size);
	CHECK(base != MAP_FAILED && um_touch(base));
	munmap(base, r.size);
	close(fd);
	CHECK(!is_combining(argv[0], bar));

	fd = MUST(um_open(argv[0]));
	base = map_at(fd, r.offset, r.size);
	CHECK(base != MAP_FAILED && !is_combining(argv[0], bar));
	CHECK(um_get32(base, 0x800) == 0x12345678 && um_get(fd, bar, 0x800, 4) == 0x12345678);
	CHECK(map_at(fd, r.wc_offset, r.size) == MAP_FAILED && errno == EBUSY);
	munmap(base, r.size);
	close(fd);
	printf("ok - %s: a BAR is mapped write-combining when asked, and one way at a time\n",
	       argv[0]);
}
