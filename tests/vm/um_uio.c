/* SPDX-License-Identifier: BSD-2-Clause */
/* The same device as a /dev/uioN: what a program that knows only UIO has. */
#include "um.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where it is in sysfs, with its number. */
static void place_of(const char *addr, char *path, size_t size)
{
	struct dirent *entry;
	DIR *dir;

	snprintf(path, size, "/sys/bus/pci/devices/%s/uio", addr);
	dir = opendir(path);
	CHECK(dir);
	do {
		entry = readdir(dir);
		CHECK(entry);
	} while (strncmp(entry->d_name, "uio", 3));
	snprintf(path + strlen(path), size - strlen(path), "/%s", entry->d_name);
	closedir(dir);
}

static int open_uio(const char *addr)
{
	char place[320], path[320];
	int fd;

	place_of(addr, place, sizeof(place));
	snprintf(path, sizeof(path), "/dev/%s", strrchr(place, '/') + 1);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static uint64_t number(const char *addr, const char *file_name)
{
	char place[320], path[400];
	unsigned long value = 0;
	FILE *file;

	place_of(addr, place, sizeof(place));
	snprintf(path, sizeof(path), "%s/%s", place, file_name);
	file = fopen(path, "r");
	CHECK(file && fscanf(file, "%lx", &value) == 1);
	fclose(file);
	return value;
}

static bool has(const char *addr, const char *file_name)
{
	char place[320], path[400];

	place_of(addr, place, sizeof(place));
	snprintf(path, sizeof(path), "%s/%s", place, file_name);
	return !access(path, F_OK);
}

/* A map's number is a page of the file. */
static void *map_number(int fd, const char *addr, unsigned map)
{
	char name[32];
	void *base;

	snprintf(name, sizeof(name), "maps/map%u/size", map);
	base = mmap(NULL, number(addr, name), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    (off_t)map * PAGE);
	CHECK(base != MAP_FAILED);
	return base;
}

/* UIO's: how many there were since it was bound; here: how many more */
static uint32_t counted(int fd, uint32_t *last, int ms)
{
	struct pollfd p = {fd, POLLIN, 0};
	uint32_t now = *last, came;

	if (poll(&p, 1, ms) > 0)
		CHECK(read(fd, &now, sizeof(now)) == sizeof(now));
	came = now - *last;
	*last = now;
	return came;
}

static void tell(int fd, int32_t value, int wanted)
{
	int ret = write(fd, &value, sizeof(value)) < 0 ? -errno : 0;

	if (ret != wanted)
		um_fail("write of %d: %d, not %d", value, ret, wanted);
}

/* No interface of UIO's: by the device's configuration in sysfs. */
static void let_it(const char *addr)
{
	uint16_t command;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", addr);
	fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0 && pread(fd, &command, 2, 4) == 2);
	command |= 4;
	CHECK(pwrite(fd, &command, 2, 4) == 2);
	close(fd);
}

static void one_owner(const char *addr)
{
	int uio, control = MUST(um_open(addr));

	CHECK(um_info(control) & UIO_MSIX_INFO_UIO);
	REFUSED(EBUSY, open_uio(addr));
	close(control);
	uio = MUST(open_uio(addr));
	REFUSED(EBUSY, um_open(addr));
	REFUSED(EBUSY, open_uio(addr));
	CHECK(!um_is_master(addr));
	let_it(addr);
	close(uio);
	CHECK(!um_is_master(addr));
	close(MUST(um_open(addr)));
}

/* e1000e's registers, ports, table: BARs 0, 1, 3 are memory, 2 is 32 bytes of ports */
static void places(const char *addr)
{
	int fd = MUST(open_uio(addr));
	void *bar0 = map_number(fd, addr, 0), *bar3 = map_number(fd, addr, 2);

	CHECK(number(addr, "maps/map0/size") == 128 << 10 &&
	      number(addr, "maps/map2/size") == 16 << 10);
	CHECK(number(addr, "portio/port0/size") == 32 && !has(addr, "maps/map3"));
	CHECK(um_get32(bar0, 8) && um_get32(bar0, 8) != UINT32_MAX); /* STATUS */
	CHECK(!um_touch(bar3) &&
	      um_touch((char *)bar3 + 0x2000)); /* the MSI-X table, and behind it */
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 3 * PAGE) == MAP_FAILED);
	munmap(bar3, 16 << 10);
	close(fd);
	REFUSED(EBUSY, open_uio(addr)); /* it is mapped yet */
	munmap(bar0, 128 << 10);
	close(MUST(open_uio(addr)));
	printf("ok - uio: maps, ports; the MSI-X table is not mapped; one owner for both files\n");
}

/* 82574 datasheet, 10.2.4: each of five causes has a vector of its own, and is raised by software.
 */
static void raise_all(void *nic, unsigned times)
{
	um_put32(nic, 0xd8 /* IMC */, UINT32_MAX);
	um_put32(nic, 0x18 /* CTRL_EXT */, um_get32(nic, 0x18) | 1u << 31 | 1 << 24);
	um_put32(nic, 0xe4 /* IVAR */, 1u << 31 | 0xcba98);
	um_put32(nic, 0xdc /* EIAC */, 0x1f << 20);
	for (unsigned i = 0; i < times; i++) {
		usleep(2000); /* QEMU sends two messages for what comes within 128 µs */
		um_put32(nic, 0xd0 /* IMS */, 1u << (20 + i % 5));
		um_put32(nic, 0xc8 /* ICS */, 1u << (20 + i % 5));
	}
}

/* read() counts all vectors together. */
static void sum(const char *addr)
{
	int fd = MUST(open_uio(addr));
	void *nic = map_number(fd, addr, 0);
	uint32_t last = 0, came = 0, value;

	let_it(addr);
	counted(fd, &last, 0);
	CHECK(read(fd, &value, sizeof(value)) < 0 && errno == EAGAIN);
	raise_all(nic, 40);
	for (unsigned i = 0; i < 50 && came < 40; i++)
		came += counted(fd, &last, 100);
	CHECK(came == 40 && !counted(fd, &last, NEVER));
	tell(fd, 1, 0);
	tell(fd, 2, -EINVAL);
	tell(fd, -1, -EINVAL);
	usleep(300000); /* QEMU aborts when MSI-X is turned off soon after an interrupt */
	munmap(nic, 128 << 10);
	close(fd);
	printf("ok - uio: read() counts the interrupts of all vectors\n");
}

/* edu, with intr_mode=intx: 1 unmasks, 0 masks, it masks itself when it comes */
static void line(const char *addr)
{
	int fd = MUST(open_uio(addr));
	void *edu = map_number(fd, addr, 0);
	uint32_t last = 0;

	counted(fd, &last, 0);
	for (unsigned i = 0; i < 10; i++) {
		edu_raise(edu);
		CHECK(counted(fd, &last, SOON) == 1 && !counted(fd, &last, 0));
		edu_silence(edu);
		tell(fd, 1, 0);
	}
	tell(fd, 0, 0);
	edu_raise(edu);
	CHECK(!counted(fd, &last, NEVER));
	tell(fd, 1, 0);
	CHECK(counted(fd, &last, SOON) == 1);
	edu_silence(edu);
	munmap(edu, 1 << 20);
	close(fd);
	printf("ok - uio: INTx comes, is masked, unmasked\n");
}

/* uio ADDRESS e1000e|edu */
void um_do_uio(int argc, char **argv)
{
	CHECK(argc == 2);
	one_owner(argv[0]);
	if (!strcmp(argv[1], "e1000e")) {
		places(argv[0]);
		sum(argv[0]);
	} else {
		line(argv[0]);
	}
}

/* uio-hold ADDRESS: mapped, until it is taken away */
void um_do_uio_hold(int argc, char **argv)
{
	int fd = MUST(open_uio(argv[0]));
	void *bar = map_number(fd, argv[0], 0);
	uint32_t value;
	ssize_t ret = 0;

	CHECK(argc == 1 && um_touch(bar));
	printf("held\n");
	for (unsigned i = 0; i < 20000 && um_touch(bar); i++)
		usleep(1000);
	CHECK(!um_touch(bar));
	/* What was mapped goes first; a moment later UIO lets go as well. */
	for (unsigned i = 0; i < 5000; i++) {
		ret = read(fd, &value, sizeof(value));
		if (ret < 0 && errno == EIO)
			break;
		usleep(1000);
	}
	CHECK(ret < 0 && errno == EIO);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
	value = 1;
	CHECK(write(fd, &value, sizeof(value)) < 0 &&
	      (errno == EIO || errno == EINVAL)); /* UIO's own */
	printf("gone\n");
	sleep(1);
	close(fd);
	printf("closed\n");
}

/* uio-open ADDRESS ERRNO: it cannot be opened, and that is why */
void um_do_uio_open(int argc, char **argv)
{
	CHECK(argc == 2);
	if (open_uio(argv[0]) != -atoi(argv[1]))
		um_fail("open of UIO's file: %d", -errno);
}
