/* SPDX-License-Identifier: BSD-2-Clause */
/* iommufd: descriptors that somebody else has opened, groups, memory that is locked; with edus. */
#include "drive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "device/iommufd_abi.h"

enum {
	IOMMUFD = 3,
	FIRST_DEVICE = 4
}; /* who calls descriptors has opened them */

static struct sl_space *new_space(void)
{
	struct sl_space *space;

	MUST(sl_space_create(NULL, &space));
	return space;
}

static int try_open(const char *addr, struct sl_space *space, int iommufd, int fd,
		    struct sl_device **out)
{
	struct sl_device_fds fds = SL_DEVICE_FDS_NONE;
	struct sl_device_options options = {.space = space, .fds = &fds};

	fds.iommufd = iommufd;
	fds.device = fd;
	return sl_device_open(addr, &options, out);
}

static void refused(int ret, int err, const char *why)
{
	if (ret != -err || !strstr(sl_reason(), why))
		drive_fail("not %d, \"%s\" but %d, \"%s\"", -err, why, ret, sl_reason());
}

/* From the begin of the memory into the device, and back to behind it. */
static void reaches(struct sl_device *dev, const struct sl_dma *dma, int seed)
{
	struct sl_mmio edu = drive_map(dev, 0);
	uint8_t *memory = sl_dma_region(dma)->base;

	CHECK(!strcmp(sl_device_get_info(dev)->backend, "vfio (iommufd)"));
	MUST(sl_device_bus_master(dev, true));
	memset(memory, seed, 64);
	memset(memory + 64, 0, 64);
	edu_dma(&edu, sl_dma_iova(dma, 0), 64, EDU_TO_DEVICE);
	edu_dma(&edu, sl_dma_iova(dma, 64), 64, EDU_TO_MEMORY);
	CHECK(memory[64] == seed && !memcmp(memory, memory + 64, 64));
}

/* The lowest number of an object of iommufd that is free. */
static uint32_t free_number(int iommufd)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct iommu_destroy destroy = {.size = sizeof(destroy)};

	CHECK(!ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc));
	destroy.id = alloc.out_ioas_id;
	CHECK(!ioctl(iommufd, IOMMU_DESTROY, &destroy));
	return destroy.id;
}

/*
 * descriptors ADDRESS ADDRESS: iommufd and both devices have been opened; they stay open, so that
 * what is not taken back stays.
 */
void drive_descriptors(int argc, char **argv)
{
	uint32_t number = free_number(IOMMUFD);
	struct sl_space *space = new_space();
	struct sl_device *devs[2], *none;
	struct sl_dma *dma;

	CHECK(argc == 2);
	MUST(try_open(argv[0], space, IOMMUFD, FIRST_DEVICE, &devs[0]));
	MUST(sl_dma_create(devs[0], 4096, 1, &dma));
	MUST(try_open(argv[1], space, IOMMUFD, FIRST_DEVICE + 1, &devs[1]));
	for (int n = 0; n < 2; n++)
		reaches(devs[n], dma, n + 1);
	CHECK(free_number(IOMMUFD) > number);
	sl_dma_release(dma);
	sl_device_close(devs[0]);
	sl_device_close(devs[1]);
	CHECK(free_number(IOMMUFD) == number);
	refused(try_open(argv[0], space, IOMMUFD, FIRST_DEVICE, &none), EBUSY, "used before");
	CHECK(free_number(IOMMUFD) == number);
	CHECK(fcntl(FIRST_DEVICE, F_GETFD) >= 0 && fcntl(FIRST_DEVICE + 1, F_GETFD) >= 0);
	sl_space_release(space);
	printf("ok - two devices by opened descriptors, as user %u; nothing is left in iommufd\n",
	       (unsigned)geteuid());
}

/* apart ADDRESS ADDRESS: of one IOMMU group, so they cannot be in two spaces. */
void drive_apart(int argc, char **argv)
{
	struct sl_space *space = new_space(), *other = new_space();
	int iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	struct sl_device *one, *two;
	struct sl_dma *dma;

	CHECK(argc == 2 && iommufd >= 0);
	MUST(try_open(argv[0], space, iommufd, -1, &one));
	MUST(sl_dma_create(one, 4096, 1, &dma));
	refused(try_open(argv[1], other, iommufd, -1, &two), EBUSY,
		"its IOMMU group uses another space");
	refused(try_open(argv[1], other, -1, -1, &two), EPERM,
		"another device of its IOMMU group is open");
	refused(try_open(argv[0], other, -1, -1, &two), EBUSY, "it is open elsewhere");
	MUST(try_open(argv[1], space, -1, -1, &two));
	reaches(one, dma, 1);
	reaches(two, dma, 2);
	sl_device_close(one);
	reaches(two, dma, 3);
	sl_dma_release(dma);
	sl_device_close(two);
	close(iommufd);
	sl_space_release(space);
	sl_space_release(other);
	printf("ok - devices of one group are in one space, or it is said why not\n");
}

/* lock ADDRESS BYTES: keeps so much mapped until it is killed. */
void drive_lock(int argc, char **argv)
{
	struct sl_device *dev;
	struct sl_dma *dma;

	CHECK(argc == 2);
	dev = drive_open(argv[0], "vfio", NULL);
	MUST(sl_dma_create(dev, strtoul(argv[1], NULL, 0), 1, &dma));
	printf("held\n");
	pause();
}
