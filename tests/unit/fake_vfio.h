/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A made-up kernel: VFIO and iommufd behind open(), ioctl() and mmap(), which are the linker's
 * --wrap. What it has opened are memfds: who still holds one is seen in /proc/self/fd; a device's
 * holds its regions, so that reads, writes and mappings are real. Written from <linux/vfio.h>, its
 * rules from drivers/vfio of Linux 6.1 and 6.12.
 */
#ifndef SL_TESTS_FAKE_VFIO_H
#define SL_TESTS_FAKE_VFIO_H

#include <linux/pci_regs.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <sluice/device_region.h>

#include "device/iommufd_abi.h"
#include "pci_tree.h"

#define FAKE_OWN     800 /* descriptors of the fake's own are this and up */
#define FAKE_SHIFT   40	 /* where a region begins in its device's descriptor, as in vfio-pci */
#define FAKE_CONFIG  ((off_t)SL_DEVICE_CONFIG << FAKE_SHIFT)
#define FAKE_OBJECTS 64
#define FAKE_VECTORS 8
#define FAKE_AREAS   4

enum fake_kind {
	FAKE_CONTAINER,
	FAKE_GROUP,
	FAKE_DEVICE,
	FAKE_IOMMUFD,
	FAKE_CDEV
};

struct fake_map {
	uint64_t iova, size, vaddr;
	uint32_t flags, ioas;
};

/* An open file of the kernel's. */
struct fake_object {
	enum fake_kind kind;
	dev_t dev;
	ino_t ino;
	int number;		       /* a group's, its device's */
	struct fake_object *container; /* a group's or a device's; of a cdev: its iommufd */
	bool iommu;
	int back; /* a device's memory */
	uint32_t ioas;
	unsigned n_ioas, n_destroyed, n_maps, n_mapped, n_unmapped;
	struct fake_map maps[16];
	int irqs[VFIO_PCI_NUM_IRQS][FAKE_VECTORS];
	unsigned enabled[VFIO_PCI_NUM_IRQS];
	bool masked;
};

struct fake_region {
	uint64_t size;
	uint32_t flags;
	bool mappable;
	unsigned n_areas;
	struct vfio_region_sparse_mmap_area areas[FAKE_AREAS];
};

static struct {
	struct fake_object objects[FAKE_OBJECTS];
	unsigned n_objects;
	char said[16384]; /* what was called, in order */
	/* Each call that can fail is counted; number @fail_at does, with @fail_with. */
	unsigned calls, fail_at;
	int fail_with;
	char failed[64];
	/* What this machine is like. */
	int api, extension, set_iommu_err, map_err, reset_err, open_err, bind_err, attach_err;
	bool not_viable, in_use, many_ranges, no_ranges, bad_ranges;
	int iommu_of_8; /* which IOMMU is before group 8 */
	uint32_t device_flags;
	unsigned counts[VFIO_PCI_NUM_IRQS], machine_vectors;
	struct fake_region regions[SL_DEVICE_REGIONS];
	int live_maps;
} kernel;

#include "fake_calls.h"

static inline int no(int err)
{
	errno = err;
	return -1;
}

/*
 * Descriptors.
 */

static inline struct fake_object *object_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return NULL;
	for (unsigned i = 0; i < kernel.n_objects; i++)
		if (kernel.objects[i].ino == st.st_ino && kernel.objects[i].dev == st.st_dev)
			return &kernel.objects[i];
	return NULL;
}

/* How many descriptors of an object are open; of any for NULL. */
static inline unsigned held(const struct fake_object *object)
{
	DIR *folder = opendir("/proc/self/fd");
	const struct dirent *entry;
	unsigned n = 0;

	assert_non_null(folder);
	while ((entry = readdir(folder))) {
		int fd = entry->d_name[0] == '.' ? FAKE_OWN : atoi(entry->d_name);
		const struct fake_object *o = fd < FAKE_OWN ? object_of(fd) : NULL;

		n += o && (!object || o == object);
	}
	closedir(folder);
	return n;
}

static inline unsigned descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(folder);
	for (const struct dirent *e; (e = readdir(folder));)
		n += e->d_name[0] != '.' && atoi(e->d_name) < FAKE_OWN;
	closedir(folder);
	return n;
}

/* Is a BAR of the device mapped? */
static inline bool mapped(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	bool found = false;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		found |= strstr(line, "memfd:fake-device") != NULL;
	fclose(f);
	return found;
}

static inline int object_new(enum fake_kind kind, int number)
{
	static const char *const names[] = {"fake-container", "fake-group", "fake-device",
					    "fake-iommufd", "fake-device"};
	struct fake_object *o = &kernel.objects[kernel.n_objects];
	int fd = memfd_create(names[kind], MFD_CLOEXEC);
	struct stat st;

	assert_true(fd >= 0 && kernel.n_objects < FAKE_OBJECTS);
	assert_int_equal(fstat(fd, &st), 0);
	*o = (struct fake_object){
		.kind = kind, .dev = st.st_dev, .ino = st.st_ino, .number = number, .back = -1};
	memset(o->irqs, 0xff, sizeof(o->irqs));
	kernel.n_objects++;
	if (kind == FAKE_DEVICE || kind == FAKE_CDEV) {
		o->back = __real_fcntl64(fd, F_DUPFD_CLOEXEC, FAKE_OWN);
		assert_int_equal(ftruncate(fd, FAKE_CONFIG + 4096), 0);
		assert_int_equal(pwrite(fd, e1000e_config, 256, FAKE_CONFIG), 256);
	}
	return fd;
}

/* The newest of a kind. */
static inline struct fake_object *newest(enum fake_kind kind)
{
	for (unsigned i = kernel.n_objects; i--;)
		if (kernel.objects[i].kind == kind)
			return &kernel.objects[i];
	fail_msg("none of kind %d was opened", kind);
	return NULL;
}

/* Its command register. */
static inline unsigned command(const struct fake_object *device)
{
	uint8_t bytes[2];

	assert_int_equal(pread(device->back, bytes, 2, FAKE_CONFIG + PCI_COMMAND), 2);
	return bytes[0] | (unsigned)bytes[1] << 8;
}

/* Of all devices, does one do DMA? */
static inline bool any_master(void)
{
	for (unsigned i = 0; i < kernel.n_objects; i++)
		if (kernel.objects[i].back >= 0 && held(&kernel.objects[i]) &&
		    command(&kernel.objects[i]) & PCI_COMMAND_MASTER)
			return true;
	return false;
}

/* Is a device of a group open? */
static inline bool device_held(int number)
{
	for (unsigned i = 0; i < kernel.n_objects; i++)
		if (kernel.objects[i].kind == FAKE_DEVICE && kernel.objects[i].number == number &&
		    held(&kernel.objects[i]))
			return true;
	return false;
}

static inline int open_group(int number)
{
	for (unsigned i = 0; i < kernel.n_objects; i++)
		if (kernel.objects[i].kind == FAKE_GROUP && kernel.objects[i].number == number &&
		    held(&kernel.objects[i]))
			return no(EBUSY); /* vfio_group_fops_open() */
	return object_new(FAKE_GROUP, number);
}

int __wrap_open64(const char *path, int flags, ...)
{
	const char *dev = strstr(path, "/dev/");

	if (!dev || strncmp(path, top, strlen(top)) || strstr(dev, "uio"))
		return __real_open64(path, flags, 0600);
	assert_int_equal(flags, O_RDWR | O_CLOEXEC);
	say("open %s; ", dev + 5);
	if (to_fail("open"))
		return -1;
	if (kernel.open_err)
		return no(kernel.open_err);
	if (!strcmp(dev, "/dev/vfio/vfio"))
		return object_new(FAKE_CONTAINER, 0);
	if (!strcmp(dev, "/dev/iommu"))
		return object_new(FAKE_IOMMUFD, 0);
	if (!strncmp(dev, "/dev/vfio/devices/", 18))
		return object_new(FAKE_CDEV, 0);
	return open_group(atoi(dev + 10));
}

int __wrap_fcntl64(int fd, int what, ...)
{
	va_list args;
	long value;

	va_start(args, what);
	value = va_arg(args, long);
	va_end(args);
	return to_fail("fcntl") ? -1 : __real_fcntl64(fd, what, value);
}

int __wrap_eventfd(unsigned value, int flags)
{
	return to_fail("eventfd") ? -1 : __real_eventfd(value, flags);
}

void *__wrap_mmap64(void *base, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (to_fail("mmap"))
		return MAP_FAILED;
	if (fd >= 0)
		say("mmap %d+0x%llx 0x%zx%s; ", (int)(offset >> FAKE_SHIFT),
		    (unsigned long long)offset & ((1ull << FAKE_SHIFT) - 1), len,
		    prot & PROT_WRITE ? "" : " ro");
	kernel.live_maps += !(flags & MAP_FIXED);
	return __real_mmap64(base, len, prot, flags, fd, offset);
}

int __wrap_munmap(void *base, size_t len)
{
	say("munmap%s; ", any_master() ? " while it does DMA" : "");
	kernel.live_maps--;
	return __real_munmap(base, len);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return to_fail("calloc") ? NULL : __real_calloc(n, size);
}

void *__wrap_malloc(size_t size)
{
	return to_fail("malloc") ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return to_fail("realloc") ? NULL : __real_realloc(memory, size);
}

/*
 * Mappings: alike in containers and address spaces.
 */

static inline int fake_map(struct fake_object *o, const struct fake_map *m)
{
	say("map 0x%llx; ", (unsigned long long)m->iova);
	if (kernel.map_err)
		return no(kernel.map_err);
	for (unsigned i = 0; i < o->n_maps; i++)
		if (o->maps[i].ioas == m->ioas && m->iova < o->maps[i].iova + o->maps[i].size &&
		    o->maps[i].iova < m->iova + m->size)
			return no(EEXIST);
	assert_true(o->n_maps < 16);
	o->maps[o->n_maps++] = *m;
	o->n_mapped++;
	return 0;
}

static inline int fake_unmap(struct fake_object *o, uint64_t iova, uint64_t size, uint32_t ioas)
{
	say("unmap 0x%llx%s%s; ", (unsigned long long)iova,
	    any_master() ? " while a device does DMA" : "", mapped() ? " under a BAR" : "");
	for (unsigned i = 0; i < o->n_maps; i++) {
		if (o->maps[i].ioas != ioas || o->maps[i].iova != iova || o->maps[i].size != size)
			continue;
		o->maps[i] = o->maps[--o->n_maps];
		o->n_unmapped++;
		return 0;
	}
	fail_msg("unmapped what is not mapped: 0x%llx", (unsigned long long)iova);
	return -1;
}

/* The first and the last address of what Intel's IOMMU has. */
static const struct vfio_iova_range fake_ranges[] = {{0, 0xfedfffff}, {0xfef00000, 0x7fffffffff}};

/*
 * Containers and groups.
 */

/* As VFIO answers: what does not fit is named by argsz, and left out. */
static inline int answer(void *arg, const void *bytes, uint32_t len, uint32_t least)
{
	uint32_t argsz;

	memcpy(&argsz, arg, sizeof(argsz));
	if (argsz < least)
		return no(EINVAL);
	memcpy(arg, bytes, argsz < len ? least : len);
	memcpy(arg, &len, sizeof(len));
	return 0;
}

static inline int iommu_info(void *arg)
{
	struct {
		struct vfio_iommu_type1_info head;
		struct vfio_iommu_type1_info_cap_iova_range cap;
		struct vfio_iova_range ranges[2];
	} all = {
		.head = {.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS,
			 .iova_pgsizes = 0x40201000,
			 .cap_offset = sizeof(all.head)},
		.cap = {.header = {VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1, 0}, .nr_iovas = 2},
		.ranges = {fake_ranges[0], fake_ranges[1]},
	};
	uint32_t argsz;

	if (kernel.bad_ranges)
		all.ranges[0] = (struct vfio_iova_range){0x2000, 0x1000};
	memcpy(&argsz, arg, sizeof(argsz));
	if (argsz < sizeof(all))
		all.head.cap_offset = 0;
	return answer(arg, &all, sizeof(all), sizeof(all.head));
}

static inline int set_iommu(struct fake_object *c)
{
	bool group = false;

	for (unsigned i = 0; i < kernel.n_objects; i++)
		group |= kernel.objects[i].kind == FAKE_GROUP && kernel.objects[i].container == c;
	if (!group || c->iommu)
		return no(EINVAL); /* vfio_ioctl_set_iommu() */
	if (kernel.set_iommu_err)
		return no(kernel.set_iommu_err);
	c->iommu = true;
	return 0;
}

static inline int map_dma(struct fake_object *c, const struct vfio_iommu_type1_dma_map *map)
{
	if (map->argsz != sizeof(*map) ||
	    map->flags & ~(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE) || !map->flags)
		return no(EINVAL);
	return fake_map(c, &(struct fake_map){map->iova, map->size, map->vaddr, map->flags, 0});
}

static inline int unmap_dma(struct fake_object *c, const struct vfio_iommu_type1_dma_unmap *unmap)
{
	if (unmap->argsz != sizeof(*unmap) || unmap->flags)
		fail_msg("flags 0x%x in UNMAP_DMA", unmap->flags);
	return fake_unmap(c, unmap->iova, unmap->size, 0);
}

static inline int on_container(struct fake_object *c, unsigned long request, void *arg)
{
	switch (request) {
	case VFIO_GET_API_VERSION:
		say("API_VERSION; ");
		return kernel.api;
	case VFIO_CHECK_EXTENSION:
		say("EXTENSION %lu; ", (unsigned long)(uintptr_t)arg);
		return kernel.extension;
	case VFIO_SET_IOMMU:
		say("SET_IOMMU %lu; ", (unsigned long)(uintptr_t)arg);
		return set_iommu(c);
	case VFIO_IOMMU_GET_INFO:
		return c->iommu ? iommu_info(arg) : no(EINVAL);
	case VFIO_IOMMU_MAP_DMA:
		return c->iommu ? map_dma(c, arg) : no(EINVAL);
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap_dma(c, arg);
	default:
		return no(ENOTTY);
	}
}

/* Which IOMMU is before it. */
static inline int iommu_of(const struct fake_object *group)
{
	return group->number == 8 ? kernel.iommu_of_8 : 0;
}

static inline int set_container(struct fake_object *g, int fd)
{
	struct fake_object *c = object_of(fd);

	say("SET_CONTAINER %d; ", g->number);
	if (!c || c->kind != FAKE_CONTAINER)
		return no(EBADF);
	if (g->container)
		return no(EINVAL);
	if (kernel.not_viable)
		return no(EPERM);
	for (unsigned i = 0; i < kernel.n_objects && c->iommu; i++) {
		const struct fake_object *o = &kernel.objects[i];

		if (o->kind == FAKE_GROUP && o->container == c && iommu_of(o) != iommu_of(g))
			return no(EINVAL);
	}
	g->container = c;
	return 0;
}

static inline int unset_container(struct fake_object *g)
{
	bool others = false;

	say("UNSET_CONTAINER %d%s; ", g->number, device_held(g->number) ? " with a device" : "");
	if (!g->container)
		return no(EINVAL);
	for (unsigned i = 0; i < kernel.n_objects; i++)
		others |= &kernel.objects[i] != g && kernel.objects[i].kind == FAKE_GROUP &&
			  kernel.objects[i].container == g->container;
	if (!others)
		g->container->iommu = false; /* and with it all that is mapped */
	if (!others)
		g->container->n_maps = 0;
	g->container = NULL;
	return 0;
}

static inline int on_group(struct fake_object *g, unsigned long request, void *arg)
{
	struct vfio_group_status *status = arg;
	int fd;

	switch (request) {
	case VFIO_GROUP_GET_STATUS:
		say("STATUS %d; ", g->number);
		status->flags = kernel.not_viable ? 0 : VFIO_GROUP_FLAGS_VIABLE;
		if (g->container || kernel.in_use)
			status->flags |= VFIO_GROUP_FLAGS_CONTAINER_SET;
		return 0;
	case VFIO_GROUP_SET_CONTAINER:
		memcpy(&fd, arg, sizeof(fd));
		return set_container(g, fd);
	case VFIO_GROUP_UNSET_CONTAINER:
		return unset_container(g);
	case VFIO_GROUP_GET_DEVICE_FD:
		say("DEVICE_FD %s; ", (const char *)arg);
		if (!g->container || !g->container->iommu)
			return no(EINVAL);
		fd = object_new(FAKE_DEVICE, g->number);
		object_of(fd)->container = g->container;
		return fd;
	default:
		return no(ENOTTY);
	}
}

/*
 * Devices.
 */

static inline int region_info(struct vfio_region_info *arg)
{
	const struct fake_region *r = &kernel.regions[arg->index];
	struct {
		struct vfio_region_info head;
		struct vfio_info_cap_header mappable;
		struct vfio_region_info_cap_sparse_mmap sparse;
		struct vfio_region_sparse_mmap_area areas[FAKE_AREAS];
	} all = {
		.head = {0, r->flags, arg->index, 0, r->size, (uint64_t)arg->index << FAKE_SHIFT},
		.mappable = {VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 1, 0},
		.sparse = {{VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, 0}, r->n_areas, 0},
	};
	uint32_t len = sizeof(all.head);

	memcpy(all.areas, r->areas, sizeof(all.areas));
	if (r->mappable || r->n_areas) {
		all.head.flags |= VFIO_REGION_INFO_FLAG_CAPS;
		len = sizeof(all);
		all.mappable.next = r->n_areas ? offsetof(__typeof__(all), sparse) : 0;
	}
	if (arg->argsz >= len && len > sizeof(all.head))
		all.head.cap_offset = (uint32_t)(r->mappable ? offsetof(__typeof__(all), mappable)
							     : offsetof(__typeof__(all), sparse));
	return answer(arg, &all, len, sizeof(all.head));
}

/* eventfd_ctx_fdget() */
static inline int event_err(int fd)
{
	char path[64], what[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (readlink(path, what, sizeof(what) - 1) < 0)
		return EBADF;
	return strcmp(what, "anon_inode:[eventfd]") ? EINVAL : 0;
}

/* vfio_msi_set_block(): what was set so far is removed when one cannot be. */
static inline int set_block(struct fake_object *d, const struct vfio_irq_set *s, const int *fds)
{
	int *irqs = d->irqs[s->index], err;

	for (unsigned i = 0; i < s->count; i++) {
		irqs[s->start + i] = -1;
		err = fds[i] < 0 ? 0 : event_err(fds[i]);
		if (!err) {
			irqs[s->start + i] = fds[i];
			continue;
		}
		while (i--)
			irqs[s->start + i] = -1;
		return no(err);
	}
	return 0;
}

/* vfio_pci_set_msi_trigger(), and INTx alike. */
static inline int trigger(struct fake_object *d, const struct vfio_irq_set *s, const int *fds)
{
	unsigned *enabled = &d->enabled[s->index], end = s->start + s->count;
	int ret;

	if (s->index <= VFIO_PCI_MSIX_IRQ_INDEX)
		for (unsigned i = 0; i <= VFIO_PCI_MSIX_IRQ_INDEX; i++)
			if (i != s->index && d->enabled[i])
				return no(EINVAL);
	if (s->flags & VFIO_IRQ_SET_DATA_NONE) {
		assert_int_equal(s->count, 0);
		*enabled = 0;
		memset(d->irqs[s->index], 0xff, sizeof(d->irqs[s->index]));
		return 0;
	}
	if (*enabled)
		return end > *enabled ? no(EINVAL) : set_block(d, s, fds);
	if (kernel.machine_vectors && end > kernel.machine_vectors)
		return (int)kernel.machine_vectors; /* vfio_msi_enable() */
	*enabled = end;
	ret = set_block(d, s, fds);
	if (ret)
		*enabled = 0;
	return ret;
}

/* vfio_set_irqs_validate_and_prepare() */
static inline int set_irqs(struct fake_object *d, const struct vfio_irq_set *s)
{
	static const char *const names[] = {"INTX", "MSI", "MSIX", "ERR", "REQ"};
	bool none = s->flags & VFIO_IRQ_SET_DATA_NONE;
	uint32_t action = s->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
	int fds[FAKE_VECTORS] = {0};

	if (s->index >= VFIO_PCI_NUM_IRQS || s->start >= kernel.counts[s->index] ||
	    s->count > kernel.counts[s->index] - s->start)
		return no(EINVAL);
	if (!none && s->argsz - sizeof(*s) < s->count * sizeof(int))
		fail_msg("%u vectors in %u bytes", s->count, s->argsz);
	if (!none)
		memcpy(fds, s->data, s->count * sizeof(int));
	say("%s", names[s->index]);
	for (unsigned i = 0; i < s->count && !none; i++)
		say(" %u%c", s->start + i, fds[i] < 0 ? '-' : '+');
	if (action == VFIO_IRQ_SET_ACTION_TRIGGER) {
		say("%s; ", none ? " off" : "");
		return trigger(d, s, fds);
	}
	say(" %smask; ", action == VFIO_IRQ_SET_ACTION_MASK ? "" : "un");
	if (s->index || !none || s->start || s->count != 1 || !d->enabled[0])
		return no(EINVAL);
	d->masked = action == VFIO_IRQ_SET_ACTION_MASK;
	return 0;
}

static inline int on_device(struct fake_object *d, unsigned long request, void *arg)
{
	struct vfio_device_info *info = arg;
	struct vfio_irq_info *irq = arg;

	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		info->flags = kernel.device_flags;
		info->num_regions = VFIO_PCI_NUM_REGIONS;
		info->num_irqs = VFIO_PCI_NUM_IRQS;
		return 0;
	case VFIO_DEVICE_GET_REGION_INFO:
		return region_info(arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		if (!kernel.counts[irq->index])
			return no(EINVAL);
		irq->count = kernel.counts[irq->index];
		irq->flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE;
		return 0;
	case VFIO_DEVICE_SET_IRQS:
		return set_irqs(d, arg);
	case VFIO_DEVICE_RESET:
		say("RESET; ");
		return kernel.reset_err ? no(kernel.reset_err) : 0;
	default:
		return no(ENOTTY);
	}
}

/*
 * iommufd.
 */

static inline int bind_iommufd(struct fake_object *d, const struct vfio_device_bind_iommufd *bind)
{
	say("BIND; ");
	if (kernel.bind_err)
		return no(kernel.bind_err);
	if (bind->argsz != sizeof(*bind) || bind->flags || d->container)
		return no(EINVAL);
	d->container = object_of(bind->iommufd);
	return d->container && d->container->kind == FAKE_IOMMUFD ? 0 : no(EBADF);
}

/* Before it is bound, a device is not to be asked anything. */
static inline int on_cdev(struct fake_object *d, unsigned long request, void *arg)
{
	const struct vfio_device_attach_iommufd_pt *pt = arg;

	if (request == VFIO_DEVICE_BIND_IOMMUFD)
		return bind_iommufd(d, arg);
	if (!d->container)
		return no(EINVAL);
	if (request == VFIO_DEVICE_DETACH_IOMMUFD_PT) {
		say("DETACH; ");
		d->ioas = 0;
		return 0;
	}
	if (request != VFIO_DEVICE_ATTACH_IOMMUFD_PT)
		return on_device(d, request, arg);
	say("ATTACH %u; ", pt->pt_id);
	if (kernel.attach_err)
		return no(kernel.attach_err);
	if (pt->argsz != sizeof(*pt) || pt->flags || !pt->pt_id || pt->pt_id > d->container->n_ioas)
		return no(ENOENT);
	d->ioas = pt->pt_id;
	return 0;
}

/* Does a device that is open use an address space? */
static inline bool attached(const struct fake_object *o)
{
	for (unsigned i = 0; i < kernel.n_objects; i++)
		if (kernel.objects[i].container == o && kernel.objects[i].ioas &&
		    held(&kernel.objects[i]))
			return true;
	return false;
}

/* Once a device is attached they are its IOMMU's. */
static inline int ioas_ranges(const struct fake_object *o, struct iommu_ioas_iova_ranges *arg)
{
	struct iommu_iova_range all[40] = {{0, UINT64_MAX}};
	unsigned room = arg->num_iovas, n = 1;

	say("RANGES; ");
	if (attached(o))
		memcpy(all, fake_ranges, (n = 2) * sizeof(*all));
	for (unsigned i = 0; i < 40 && kernel.many_ranges; n = ++i)
		all[i] = (struct iommu_iova_range){i << 20, (i << 20) + 0xfffff - 4096};
	if (kernel.bad_ranges)
		all[0] = (struct iommu_iova_range){0x2000, 0x1000};
	n = kernel.no_ranges ? 0 : n;
	arg->num_iovas = n;
	arg->out_iova_alignment = 4096;
	memcpy((void *)(uintptr_t)arg->allowed_iovas, all, (n < room ? n : room) * sizeof(*all));
	return room < n ? no(EMSGSIZE) : 0;
}

static inline int ioas_map(struct fake_object *o, const struct iommu_ioas_map *map)
{
	if (map->size != sizeof(*map) || !(map->flags & IOMMU_IOAS_MAP_FIXED_IOVA))
		return no(EINVAL);
	return fake_map(o, &(struct fake_map){map->iova, map->length, map->user_va, map->flags,
					      map->ioas_id});
}

static inline int on_iommufd(struct fake_object *o, unsigned long request, void *arg)
{
	struct iommu_ioas_alloc *alloc = arg;
	const struct iommu_ioas_unmap *unmap = arg;
	const struct iommu_destroy *destroy = arg;

	switch (request) {
	case IOMMU_IOAS_ALLOC:
		say("ALLOC; ");
		alloc->out_ioas_id = ++o->n_ioas;
		return alloc->size == sizeof(*alloc) && !alloc->flags ? 0 : no(EOPNOTSUPP);
	case IOMMU_DESTROY:
		say("DESTROY %u; ", destroy->id);
		if (!destroy->id || destroy->id > o->n_ioas)
			return no(ENOENT);
		o->n_destroyed++;
		return destroy->size == sizeof(*destroy) && !o->n_maps && !attached(o) ? 0
										       : no(EBUSY);
	case IOMMU_IOAS_IOVA_RANGES:
		return ioas_ranges(o, arg);
	case IOMMU_IOAS_MAP:
		return ioas_map(o, arg);
	case IOMMU_IOAS_UNMAP:
		if (unmap->size != sizeof(*unmap))
			return no(EINVAL);
		return fake_unmap(o, unmap->iova, unmap->length, unmap->ioas_id);
	default:
		return no(ENOTTY);
	}
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	static int (*const on[])(struct fake_object *, unsigned long,
				 void *) = {on_container, on_group, on_device, on_iommufd, on_cdev};
	struct fake_object *o = object_of(fd);
	va_list args;
	void *arg;
	char name[32];

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (!o)
		return no(EBADF);
	snprintf(name, sizeof(name), "ioctl 0x%lx", request);
	return to_fail(name) ? -1 : on[o->kind](o, request, arg);
}

/*
 * The machine.
 */

#define BDF   "0000:00:03.0"
#define OTHER "0000:00:04.0"

static inline void fake_fresh(void)
{
	const uint32_t rw = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;

	for (unsigned i = 0; i < kernel.n_objects; i++)
		if (kernel.objects[i].back >= 0)
			close(kernel.objects[i].back);
	memset(&kernel, 0, sizeof(kernel));
	kernel.extension = 1;
	kernel.fail_with = EIO;
	kernel.device_flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
	memcpy(kernel.counts, (unsigned[]){1, 1, 5, 1, 1}, sizeof(kernel.counts));
	kernel.regions[0] = (struct fake_region){0x20000, rw | VFIO_REGION_INFO_FLAG_MMAP};
	kernel.regions[1] = (struct fake_region){0x80, rw | VFIO_REGION_INFO_FLAG_MMAP};
	kernel.regions[2] = (struct fake_region){0x20, rw};
	kernel.regions[3] = (struct fake_region){0x4000, rw | VFIO_REGION_INFO_FLAG_MMAP};
	kernel.regions[4] = (struct fake_region){0x80, rw};
	kernel.regions[6] = (struct fake_region){0x40000, VFIO_REGION_INFO_FLAG_READ};
	kernel.regions[7] = (struct fake_region){256, rw};
}

/* Two cards, each in a group of its own, both bound. */
static inline int fake_make(void **state)
{
	fake_fresh();
	tree_make(state);
	put_e1000e(OTHER);
	put_group(BDF, "7");
	put_group(OTHER, "8");
	put_bound(BDF, "vfio-pci");
	put_bound(OTHER, "vfio-pci");
	put("dev/vfio/vfio", "");
	put("dev/vfio/7", "");
	put("dev/vfio/8", "");
	return 0;
}

/* Nothing is left behind. */
static inline int fake_remove(void **state)
{
	assert_int_equal(held(NULL), 0);
	assert_false(mapped());
	kernel.fail_at = 0;
	return tree_remove(state);
}

#define fake_test(name) cmocka_unit_test_setup_teardown(name, fake_make, fake_remove)

#endif
