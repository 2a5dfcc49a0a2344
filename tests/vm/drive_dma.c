/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory: what a device reaches, and what it does not. The devices are edus. */
#include "drive.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	PAGE = 4096,
	SETTLED = 300000
}; /* µs: edu's DMA is over by then */

static const sl_iova first_place = {0x1000000}, second_place = {0x2000000};

static struct sl_region page(void)
{
	void *base = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	CHECK(base != MAP_FAILED);
	return (struct sl_region){base, PAGE, -1, 0, SL_REGION_READ | SL_REGION_WRITE, 1};
}

static void fill(void *to, unsigned seed)
{
	uint8_t *bytes = to;

	for (unsigned i = 0; i < PAGE; i++)
		bytes[i] = (uint8_t)(i * 31 + (i >> 8) + seed * 7 + 1);
}

static bool holds(const void *memory, unsigned seed, unsigned len)
{
	uint8_t wanted[PAGE];

	fill(wanted, seed);
	return !memcmp(memory, wanted, len);
}

/* From memory into the device and back. */
static void both_ways(const struct sl_mmio *edu, void *memory, sl_iova iova, unsigned seed)
{
	fill(memory, seed);
	edu_dma(edu, iova, EDU_MAX, EDU_TO_DEVICE);
	memset(memory, 0, PAGE);
	edu_dma(edu, iova, EDU_MAX, EDU_TO_MEMORY);
	CHECK(holds(memory, seed, EDU_MAX) && !((uint8_t *)memory)[EDU_MAX]);
}

static struct sl_space *new_space(void)
{
	struct sl_space *space;

	MUST(sl_space_create(NULL, &space));
	return space;
}

static struct sl_iova_range range_of(sl_iova first)
{
	return (struct sl_iova_range){first, {first.value + PAGE - 1}};
}

/* proc(5), pagemap: bits 0 to 54 are the page's number. Where an IOVA that is no IOVA would hit. */
static sl_iova physical(const void *memory)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	CHECK(pread(fd, &entry, 8, (off_t)((uintptr_t)memory / PAGE * 8)) == 8);
	close(fd);
	CHECK(entry >> 63 && (entry & ((1ull << 55) - 1)));
	return (sl_iova){(entry & ((1ull << 55) - 1)) * PAGE};
}

static bool zeroes(const void *memory)
{
	const uint8_t *bytes = memory;

	return !*bytes && !memcmp(bytes, bytes + 1, PAGE - 1);
}

/* @victim lies at that very address of the machine. */
static void outside_the_map(const struct sl_mmio *edu, void *inside, void *victim)
{
	sl_iova outside = physical(victim);

	fill(victim, 2);
	edu_dma(edu, outside, EDU_MAX, EDU_TO_MEMORY);
	CHECK(holds(victim, 2, PAGE));
	edu_dma(edu, outside, EDU_MAX, EDU_TO_DEVICE);
	edu_dma(edu, first_place, EDU_MAX, EDU_TO_MEMORY);
	CHECK(!holds(inside, 2, 64));
	printf("outside %#llx\n", (unsigned long long)outside.value);
}

static void unmapped_again(const struct sl_mmio *edu, struct sl_space *space,
			   const struct sl_region *region)
{
	fill(region->base, 3);
	edu_dma(edu, first_place, EDU_MAX, EDU_TO_DEVICE);
	CHECK(MUST(sl_space_unmap(space, range_of(first_place))) == 1);
	memset(region->base, 0, PAGE);
	edu_dma(edu, first_place, EDU_MAX, EDU_TO_MEMORY);
	CHECK(zeroes(region->base));
	printf("unmapped %#llx\n", (unsigned long long)first_place.value);
	MUST(sl_space_map_at(space, first_place, region));
	both_ways(edu, region->base, first_place, 3);
}

static void read_only(const struct sl_mmio *edu, struct sl_space *space, struct sl_region *region)
{
	region->access = SL_REGION_READ;
	CHECK(MUST(sl_space_unmap(space, range_of(first_place))) == 1);
	MUST(sl_space_map_at(space, first_place, region));
	fill(region->base, 4);
	edu_dma(edu, first_place, EDU_MAX, EDU_TO_DEVICE);
	fill(region->base, 5);
	edu_dma(edu, first_place, EDU_MAX, EDU_TO_MEMORY);
	CHECK(holds(region->base, 5, PAGE));
	printf("ok - memory that is mapped for reading is not written\n");
}

/*
 * isolation ADDRESS: then the kernel's log has to name the two addresses that are said here, each
 * with a fault when written to and one when read from.
 */
void drive_isolation(int argc, char **argv)
{
	struct sl_region inside = page(), victim = page();
	struct sl_space *space = new_space();
	struct sl_device *dev = drive_open(argv[0], "vfio", space);
	struct sl_mmio edu = drive_map(dev, 0);

	CHECK(argc == 1);
	MUST(sl_space_map_at(space, first_place, &inside));
	MUST(sl_device_bus_master(dev, true));
	both_ways(&edu, inside.base, first_place, 1);
	printf("ok - DMA inside of the map arrives, both ways\n");
	outside_the_map(&edu, inside.base, victim.base);
	unmapped_again(&edu, space, &inside);
	printf("ok - DMA outside of the map, or where it was unmapped, changes nothing\n");
	read_only(&edu, space, &inside);
	sl_device_close(dev);
	sl_space_release(space);
}

/* spaces ADDRESS ADDRESS: two groups; what one space maps both reach, whenever they came. */
void drive_spaces(int argc, char **argv)
{
	struct sl_space *space = new_space();
	struct sl_region before = page(), between = page();
	struct sl_device *one, *two;
	struct sl_mmio first, second;
	struct sl_dma *dma;

	CHECK(argc == 2);
	MUST(sl_space_map_at(space, first_place, &before));
	one = drive_open(argv[0], "vfio", space);
	CHECK(sl_device_space(one) == space);
	MUST(sl_space_map_at(space, second_place, &between));
	two = drive_open(argv[1], "vfio", space);
	first = drive_map(one, 0), second = drive_map(two, 0);
	MUST(sl_device_bus_master(one, true));
	MUST(sl_device_bus_master(two, true));
	both_ways(&first, before.base, first_place, 1);
	both_ways(&second, before.base, first_place, 2);
	both_ways(&second, between.base, second_place, 3);
	printf("ok - two devices in a space; the later one reaches what was mapped before\n");

	MUST(sl_dma_create(two, PAGE + 1, 7, &dma));
	CHECK(sl_dma_region(dma)->id == 7 && sl_dma_region(dma)->len == (size_t)2 * PAGE);
	both_ways(&first, sl_dma_region(dma)->base, sl_dma_iova(dma, 0), 4);
	both_ways(&second, (char *)sl_dma_region(dma)->base + PAGE, sl_dma_iova(dma, PAGE), 5);
	sl_device_close(one);
	both_ways(&second, before.base, first_place, 6);
	sl_dma_release(dma);
	sl_device_close(two);
	one = drive_open(argv[0], "vfio", space);
	first = drive_map(one, 0);
	MUST(sl_device_bus_master(one, true));
	both_ways(&first, between.base, second_place, 7);
	sl_device_close(one);
	sl_space_release(space);
	printf("ok - devices come and go, the space stays\n");
}

/*
 * The container in two processes.
 */

static void send_fd(int socket, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec data = {&byte, 1};
	struct msghdr msg = {.msg_iov = &data,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	CHECK(sendmsg(socket, &msg, 0) == 1);
}

static int receive_fd(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec data = {&byte, 1};
	struct msghdr msg = {.msg_iov = &data,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	int fd;

	CHECK(recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

static struct sl_device *open_in(int container, const char *addr, struct sl_space *space)
{
	struct sl_device_fds fds = SL_DEVICE_FDS_NONE;
	struct sl_device_options options = {.via = SL_PCI_VFIO, .space = space, .fds = &fds};
	struct sl_device *dev;

	fds.container = container;
	MUST(sl_device_open(addr, &options, &dev));
	return dev;
}

/* The other process: a device of its own, in the container that it was given. */
static void guest_of(int socket, const char *addr, void *theirs)
{
	struct sl_space *space = new_space();
	struct sl_region own = page();
	int container = receive_fd(socket);
	struct sl_device *dev = open_in(container, addr, space);
	struct sl_mmio edu = drive_map(dev, 0);

	close(container);
	MUST(sl_space_map_at(space, second_place, &own));
	MUST(sl_device_bus_master(dev, true));
	both_ways(&edu, own.base, second_place, 1);
	both_ways(&edu, theirs, first_place, 2);
	CHECK(sl_space_map_at(space, first_place, &own) < 0); /* the other process has it there */
	sl_device_close(dev);
	sl_space_release(space);
}

/* container ADDRESS ADDRESS */
void drive_container(int argc, char **argv)
{
	int status, pair[2], container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	struct sl_region shared = page();
	struct sl_space *space;
	struct sl_device *dev;
	struct sl_mmio edu;
	pid_t child;

	CHECK(argc == 2 && container >= 0);
	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	child = fork();
	if (!child) {
		close(container);
		close(pair[0]);
		guest_of(pair[1], argv[1], shared.base);
		exit(0);
	}
	space = new_space();
	MUST(sl_space_map_at(space, first_place, &shared));
	dev = open_in(container, argv[0], space);
	send_fd(pair[0], container);
	CHECK(close(container) == 0); /* it stayed ours */
	CHECK(waitpid(child, &status, 0) == child && !status);
	edu = drive_map(dev, 0);
	MUST(sl_device_bus_master(dev, true));
	both_ways(&edu, shared.base, first_place, 3);
	sl_device_close(dev);
	sl_space_release(space);
	printf("ok - two processes share a container, each with a device and a space of its own\n");
}

/*
 * Stopping.
 */

/* halt ADDRESS [ADDRESS]: DMA that was started is over when bus mastering is off, or the device is
 * closed, though its memory is still mapped for the other. */
void drive_halt(int argc, char **argv)
{
	struct sl_space *space = new_space();
	struct sl_region memory = page();
	struct sl_device *dev, *other = NULL;
	struct sl_mmio edu;

	CHECK(argc == 2);
	MUST(sl_space_map_at(space, first_place, &memory));
	dev = drive_open(argv[0], "vfio", space);
	other = drive_open(argv[1], "vfio", space);
	edu = drive_map(dev, 0);
	fill(memory.base, 1);
	edu_start(&edu, first_place, EDU_MAX, EDU_TO_DEVICE); /* bus mastering begins as off */
	usleep(SETTLED);
	MUST(sl_device_bus_master(dev, true));
	memset(memory.base, 0, PAGE);
	edu_dma(&edu, first_place, EDU_MAX, EDU_TO_MEMORY);
	CHECK(!holds(memory.base, 1, 64));
	fill(memory.base, 2);
	edu_dma(&edu, first_place, EDU_MAX, EDU_TO_DEVICE);

	fill(memory.base, 3);
	edu_start(&edu, first_place, EDU_MAX, EDU_TO_MEMORY);
	MUST(sl_device_bus_master(dev, false));
	usleep(SETTLED);
	CHECK(holds(memory.base, 3, PAGE));
	MUST(sl_device_bus_master(dev, true));
	edu_start(&edu, first_place, EDU_MAX, EDU_TO_MEMORY);
	sl_device_close(dev);
	usleep(SETTLED);
	CHECK(holds(memory.base, 3, PAGE));
	sl_device_close(other);
	sl_space_release(space);
	printf("ok - no DMA without bus mastering, none after the device is closed\n");
}

/* memory ADDRESS VIA BYTES: so much of it, and DMA at both its ends */
void drive_memory(int argc, char **argv)
{
	struct sl_device *dev;
	struct sl_mmio edu;
	struct sl_dma *dma;
	size_t len;

	CHECK(argc == 3);
	len = strtoul(argv[2], NULL, 0);
	dev = drive_open(argv[0], argv[1], NULL);
	edu = drive_map(dev, 0);
	MUST(sl_device_bus_master(dev, true));
	MUST(sl_dma_create(dev, len, 1, &dma));
	CHECK(sl_dma_region(dma)->len >= len && !*(uint8_t *)sl_dma_region(dma)->base);
	both_ways(&edu, sl_dma_region(dma)->base, sl_dma_iova(dma, 0), 1);
	both_ways(&edu, (char *)sl_dma_region(dma)->base + len - PAGE, sl_dma_iova(dma, len - PAGE),
		  2);
	sl_dma_release(dma);
	printf("ok - %s: DMA with %zu bytes, as user %u\n", sl_device_get_info(dev)->backend, len,
	       (unsigned)geteuid());
	sl_device_close(dev);
}
