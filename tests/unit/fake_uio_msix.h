/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A made-up kernel with uio_msix and one device of it, behind open(), ioctl() and mmap(), which are
 * the linker's --wrap. The device is a memfd: who still holds it is seen in /proc/self/fd, its
 * regions and its DMA memory lie in it, so that mappings are real. From kmod/uio_msix/uio_msix.h.
 */
#ifndef SL_TESTS_FAKE_UIO_MSIX_H
#define SL_TESTS_FAKE_UIO_MSIX_H

#include <linux/pci_regs.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <uio_msix/uio_msix.h>

#include "pci_tree.h"

#define BDF	 "0000:00:03.0"
#define FAKE_OWN 800 /* descriptors of the fake's own are this and up */
#define FAKE_SHIFT                                                                                 \
	40 /* where a region begins in the device's file; DMA memory, by id, from 16 on */
#define FAKE_VECTORS 8
#define FAKE_DMA     32
#define PAGE	     ((size_t)4096)
#define HUGE	     ((size_t)2 << 20)

static struct {
	int file;
	struct stat st;
	char said[16384]; /* what was called, in order */
	/* Each call that can fail is counted; number @fail_at does, with @fail_with. */
	unsigned calls, fail_at;
	int fail_with;
	char failed[64];
	/* What this machine is like. */
	int open_err, version, access_err, bits_err, alloc_err, pin_err, reset_err;
	unsigned busy, alloc_good, pin_pieces, huge_free, machine_vectors, counts[3];
	bool unclean, gone;
	struct uio_msix_region regions[UIO_MSIX_REGIONS];
	/* What it has been asked for. */
	unsigned bits, n_enabled;
	int kind, events[FAKE_VECTORS], gone_event;
	bool masked;
	uint32_t id;
	struct {
		uint32_t id;
		uint64_t size, vaddr, iova;
	} dma[FAKE_DMA];
	unsigned n_dma;
	size_t mapped; /* bytes */
} kernel;

#include "fake_calls.h"

static inline int no(int err)
{
	errno = err;
	return -1;
}

/*
 * The device's file.
 */

static inline bool is_device(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_ino == kernel.st.st_ino && st.st_dev == kernel.st.st_dev;
}

/* How many descriptors there are that are not the fake's own; of them, the device's. */
static inline unsigned descriptors(unsigned *device)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(folder);
	*device = 0;
	for (const struct dirent *e; (e = readdir(folder));) {
		int fd = e->d_name[0] == '.' ? FAKE_OWN : atoi(e->d_name);

		n += fd < FAKE_OWN;
		*device += fd < FAKE_OWN && is_device(fd);
	}
	closedir(folder);
	return n;
}

static inline unsigned held(void)
{
	unsigned device;

	descriptors(&device);
	return device;
}

static inline off_t place(unsigned index, uint64_t offset)
{
	return (off_t)(((uint64_t)index << FAKE_SHIFT) + offset);
}

static inline unsigned command(void)
{
	uint8_t bytes[2];

	assert_int_equal(pread(kernel.file, bytes, 2, place(UIO_MSIX_CONFIG, PCI_COMMAND)), 2);
	return bytes[0] | (unsigned)bytes[1] << 8;
}

static inline void set_master(bool on)
{
	uint8_t byte = (uint8_t)((command() & ~(unsigned)PCI_COMMAND_MASTER) |
				 (on ? PCI_COMMAND_MASTER : 0));

	assert_int_equal(pwrite(kernel.file, &byte, 1, place(UIO_MSIX_CONFIG, PCI_COMMAND)), 1);
}

int __wrap_open64(const char *path, int flags, ...)
{
	const char *dev = strstr(path, "/dev/");

	if (!dev || strncmp(path, top, strlen(top)))
		return __real_open64(path, flags, 0600);
	assert_int_equal(flags, O_RDWR | O_CLOEXEC);
	say("open %s; ", dev + 5);
	if (to_fail("open"))
		return -1;
	if (kernel.open_err || held())
		return no(kernel.open_err ? kernel.open_err : EBUSY);
	set_master(false);
	return __real_fcntl64(kernel.file, F_DUPFD_CLOEXEC, 3);
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

/* Reserved huge pages: there are so many. */
static inline void *huge_pages(size_t len, int prot, int flags)
{
	uint8_t *base;

	if (len / HUGE > kernel.huge_free) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	base = __real_mmap64(NULL, len + HUGE, prot, flags & ~(int)(MAP_HUGETLB | 63u << 26), -1,
			     0);
	assert_true(base != MAP_FAILED);
	__real_munmap(base, -(uintptr_t)base & (HUGE - 1));
	return base + (-(uintptr_t)base & (HUGE - 1));
}

void *__wrap_mmap64(void *base, size_t len, int prot, int flags, int fd, off_t offset)
{
	void *at;

	if (to_fail("mmap"))
		return MAP_FAILED;
	if (fd >= 0)
		say("mmap %d+0x%llx 0x%zx; ", (int)(offset >> FAKE_SHIFT),
		    (unsigned long long)offset & ((1ull << FAKE_SHIFT) - 1), len);
	if (fd >= 0)
		assert_true(flags & MAP_SHARED && flags & MAP_FIXED);
	at = flags & MAP_HUGETLB ? huge_pages(len, prot, flags)
				 : __real_mmap64(base, len, prot, flags, fd, offset);
	kernel.mapped += at != MAP_FAILED && !(flags & MAP_FIXED) ? len : 0;
	return at;
}

int __wrap_munmap(void *base, size_t len)
{
	say("munmap%s; ", held() && command() & PCI_COMMAND_MASTER ? " while it does DMA" : "");
	kernel.mapped -= len;
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
 * Calls.
 */

static inline int get_region(struct uio_msix_region *r)
{
	uint32_t index = r->index;

	if (r->argsz != sizeof(*r) || r->flags || r->reserved || index >= UIO_MSIX_REGIONS)
		return no(EINVAL);
	*r = kernel.regions[index];
	r->argsz = sizeof(*r);
	r->index = index;
	r->offset = r->offset ? r->offset : (uint64_t)index << FAKE_SHIFT;
	return 0;
}

static inline int access_register(struct uio_msix_access *a, bool write)
{
	const struct uio_msix_region *r = &kernel.regions[a->index];
	bool config = a->index == UIO_MSIX_CONFIG;

	if (a->argsz != sizeof(*a) || a->flags || a->index >= UIO_MSIX_REGIONS)
		return no(EINVAL);
	if (kernel.access_err)
		return no(kernel.access_err);
	if (!config || write)
		say("%s %u+0x%llx %u; ", write ? "WRITE" : "READ", a->index,
		    (unsigned long long)a->offset, a->width);
	if ((a->width != 1 && a->width != 2 && a->width != 4 &&
	     (a->width != 8 || config || r->flags & UIO_MSIX_REGION_IO)) ||
	    a->offset % a->width || a->offset >= r->size || a->width > r->size - a->offset)
		return no(EINVAL);
	if (write && config && a->offset < PCI_CACHE_LINE_SIZE)
		return no(EPERM);
	if (write && a->width < 8 && a->value >> 8 * a->width)
		return no(EINVAL);
	if (!write)
		a->value = 0;
	return (write ? pwrite(kernel.file, &a->value, a->width, place(a->index, a->offset))
		      : pread(kernel.file, &a->value, a->width, place(a->index, a->offset))) ==
			       a->width
		       ? 0
		       : no(EIO);
}

static inline int get_irq(struct uio_msix_irq *irq)
{
	if (irq->argsz != sizeof(*irq) || irq->flags || irq->reserved || irq->index > UIO_MSIX_MSIX)
		return no(EINVAL);
	irq->count = kernel.counts[irq->index];
	return 0;
}

/* eventfd_ctx_fdget() */
static inline bool is_event(int fd)
{
	char path[64], what[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, what, sizeof(what) - 1) > 0 && !strcmp(what, "anon_inode:[eventfd]");
}

/* All or nothing. */
static inline int wire(struct uio_msix_set_irqs *s)
{
	unsigned all = kernel.counts[s->index], end = s->start + s->count;

	if (!s->count) {
		kernel.n_enabled = 0;
		kernel.kind = -1;
		memset(kernel.events, 0xff, sizeof(kernel.events));
		return 0;
	}
	if (kernel.kind >= 0 && kernel.kind != (int)s->index)
		return no(EBUSY);
	if (end > all)
		return no(EINVAL);
	if (kernel.machine_vectors && kernel.machine_vectors < all)
		all = kernel.machine_vectors;
	if (end > all) {
		s->available = all;
		return no(ENOSPC);
	}
	kernel.kind = (int)s->index;
	kernel.n_enabled = all;
	memcpy(kernel.events + s->start, s->fds, s->count * sizeof(int));
	return 0;
}

static inline int set_irqs(struct uio_msix_set_irqs *s)
{
	static const char *const names[] = {"INTX", "MSI", "MSIX", "GONE"};

	if (s->argsz != sizeof(*s) + s->count * sizeof(int) || s->flags || s->available ||
	    s->index >= UIO_MSIX_IRQS || (!s->count && s->start))
		return no(EINVAL);
	say("%s", names[s->index]);
	for (unsigned i = 0; i < s->count; i++)
		say(" %u%c", s->start + i, s->fds[i] < 0 ? '-' : '+');
	say("%s; ", s->count ? "" : " off");
	for (unsigned i = 0; i < s->count; i++)
		if (s->fds[i] != -1 && !is_event(s->fds[i]))
			return no(EINVAL);
	if (s->index != UIO_MSIX_GONE)
		return wire(s);
	kernel.gone_event = s->fds[0];
	return 0;
}

static inline int enter(uint64_t size, uint64_t vaddr, uint64_t iova)
{
	assert_true(kernel.n_dma < FAKE_DMA);
	kernel.dma[kernel.n_dma].id = ++kernel.id;
	kernel.dma[kernel.n_dma].size = size;
	kernel.dma[kernel.n_dma].vaddr = vaddr;
	kernel.dma[kernel.n_dma++].iova = iova;
	return 0;
}

/* Each before the last: never side by side. */
static inline int alloc(struct uio_msix_dma_alloc *a)
{
	if (a->argsz != sizeof(*a) || a->flags || a->reserved || a->id || !a->size ||
	    a->size % PAGE)
		return no(EINVAL);
	say("ALLOC 0x%llx; ", (unsigned long long)a->size);
	if (kernel.alloc_err && !kernel.alloc_good)
		return no(kernel.alloc_err);
	kernel.alloc_good -= !!kernel.alloc_good;
	a->id = kernel.id + 1;
	a->iova = 0x8000000 - (uint64_t)(a->id % 16) * 2 * HUGE;
	a->offset = (uint64_t)place(16 + a->id, 0);
	return enter(a->size, 0, a->iova);
}

static inline int pin(struct uio_msix_dma_pin *p)
{
	struct uio_msix_segment segment;

	if (p->argsz != sizeof(*p) + p->n_segments * sizeof(segment) || p->flags || p->id)
		return no(EINVAL);
	assert_int_equal(p->vaddr % HUGE, 0);
	assert_int_equal(p->size, HUGE);
	say("PIN; ");
	if (kernel.pin_err)
		return no(kernel.pin_err);
	if (kernel.pin_pieces > p->n_segments) {
		p->n_segments = kernel.pin_pieces;
		return no(ENOSPC);
	}
	p->id = kernel.id + 1;
	segment = (struct uio_msix_segment){0x10000000 - p->id % 16 * 2 * HUGE, HUGE};
	memcpy(p->segments, &segment, sizeof(segment));
	return enter(HUGE, p->vaddr, segment.iova);
}

static inline int give_back(const struct uio_msix_dma_free *f)
{
	if (f->argsz != sizeof(*f) || f->flags || f->reserved)
		return no(EINVAL);
	say("FREE %u; ", f->id);
	for (unsigned i = 0; i < kernel.n_dma; i++) {
		if (kernel.dma[i].id != f->id)
			continue;
		kernel.dma[i] = kernel.dma[--kernel.n_dma];
		return 0;
	}
	return no(ENOENT);
}

static inline int bus_master(const struct uio_msix_bus_master *m)
{
	if (m->argsz != sizeof(*m) || m->flags & ~(UIO_MSIX_ON | UIO_MSIX_FORCE) ||
	    m->flags == UIO_MSIX_FORCE)
		return no(EINVAL);
	say("MASTER %u; ", m->flags);
	if (m->flags == UIO_MSIX_ON && kernel.unclean)
		return no(EUCLEAN);
	set_master(m->flags & UIO_MSIX_ON);
	return 0;
}

static inline int reset(const struct uio_msix_reset *r)
{
	if (r->argsz != sizeof(*r) || r->flags)
		return no(EINVAL);
	say("RESET; ");
	if (kernel.reset_err)
		return no(kernel.reset_err);
	kernel.unclean = false;
	set_master(false);
	return 0;
}

static inline int get_info(struct uio_msix_info *i)
{
	if (i->argsz != sizeof(*i) || i->flags || i->reserved)
		return no(EINVAL);
	i->flags = kernel.unclean ? UIO_MSIX_INFO_UNCLEAN : 0;
	return 0;
}

static inline int set_bits(const struct uio_msix_dma_bits *b)
{
	if (b->argsz != sizeof(*b) || b->flags || b->reserved || b->bits < 16 || b->bits > 64)
		return no(EINVAL);
	if (kernel.n_dma || kernel.bits_err)
		return no(kernel.n_dma ? EBUSY : kernel.bits_err);
	kernel.bits = b->bits;
	return 0;
}

static inline int mask(const struct uio_msix_mask *m)
{
	if (m->argsz != sizeof(*m) || m->flags & ~UIO_MSIX_MASK || kernel.kind != UIO_MSIX_INTX)
		return no(EINVAL);
	kernel.masked = m->flags & UIO_MSIX_MASK;
	return 0;
}

static inline int call(unsigned long request, void *arg)
{
	switch (request) {
	case UIO_MSIX_GET_VERSION:
		return kernel.version;
	case UIO_MSIX_GET_INFO:
		return get_info(arg);
	case UIO_MSIX_GET_REGION:
		return get_region(arg);
	case UIO_MSIX_READ:
		return access_register(arg, false);
	case UIO_MSIX_WRITE:
		return access_register(arg, true);
	case UIO_MSIX_GET_IRQ:
		return get_irq(arg);
	case UIO_MSIX_SET_IRQS:
		return set_irqs(arg);
	case UIO_MSIX_MASK_INTX:
		return mask(arg);
	case UIO_MSIX_SET_DMA_BITS:
		return set_bits(arg);
	case UIO_MSIX_DMA_ALLOC:
		return alloc(arg);
	case UIO_MSIX_DMA_PIN:
		return pin(arg);
	case UIO_MSIX_DMA_FREE:
		return give_back(arg);
	case UIO_MSIX_BUS_MASTER:
		return bus_master(arg);
	case UIO_MSIX_RESET:
		return reset(arg);
	default:
		return no(ENOTTY);
	}
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	char name[32];
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (!is_device(fd))
		return no(ENOTTY);
	snprintf(name, sizeof(name), "ioctl %lu", _IOC_NR(request));
	if (to_fail(name))
		return -1;
	if (kernel.busy && kernel.busy--)
		return no(EAGAIN);
	return kernel.gone ? no(ENODEV) : call(request, arg);
}

/*
 * The machine.
 */

/* Unplugged, unbound: all calls fail from now on, and whoever asked is told. */
static inline void go_away(void)
{
	kernel.gone = true;
	assert_int_equal(eventfd_write(kernel.gone_event, 1), 0);
}

static inline void fake_fresh(void)
{
	const uint32_t rw = UIO_MSIX_REGION_READ | UIO_MSIX_REGION_WRITE;
	int file = memfd_create("fake-uio-msix", MFD_CLOEXEC);

	if (kernel.file)
		close(kernel.file);
	memset(&kernel, 0, sizeof(kernel));
	kernel.file = __real_fcntl64(file, F_DUPFD_CLOEXEC, FAKE_OWN);
	close(file);
	assert_int_equal(ftruncate(kernel.file, place(128, 0)), 0);
	assert_int_equal(fstat(kernel.file, &kernel.st), 0);
	assert_int_equal(pwrite(kernel.file, e1000e_config, 256, place(UIO_MSIX_CONFIG, 0)), 256);
	memset(kernel.events, 0xff, sizeof(kernel.events));
	kernel.kind = -1;
	kernel.version = UIO_MSIX_VERSION;
	kernel.fail_with = EIO;
	memcpy(kernel.counts, (unsigned[]){1, 1, 5}, sizeof(kernel.counts));
	kernel.regions[0] =
		(struct uio_msix_region){.flags = rw | UIO_MSIX_REGION_MMAP, .size = 0x20000};
	kernel.regions[1] = (struct uio_msix_region){.flags = rw, .size = 0x100};
	kernel.regions[2] =
		(struct uio_msix_region){.flags = rw | UIO_MSIX_REGION_IO, .size = 0x20};
	kernel.regions[3] = (struct uio_msix_region){.flags = rw | UIO_MSIX_REGION_MMAP,
						     .size = 0x4000,
						     .hole = 0x1000,
						     .hole_size = 0x2000};
	kernel.regions[UIO_MSIX_CONFIG] = (struct uio_msix_region){.flags = rw, .size = 256};
}

static inline int fake_make(void **state)
{
	fake_fresh();
	tree_make(state);
	put_bound(BDF, "uio_msix");
	put("dev/uio_msix/" BDF, "");
	return 0;
}

/* Nothing is left behind. */
static inline int fake_remove(void **state)
{
	assert_int_equal(held(), 0);
	kernel.fail_at = 0;
	return tree_remove(state);
}

#define fake_test(name) cmocka_unit_test_setup_teardown(name, fake_make, fake_remove)

#endif
