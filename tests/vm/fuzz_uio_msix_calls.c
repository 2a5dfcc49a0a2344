/* SPDX-License-Identifier: BSD-2-Clause */
/* The ioctls: made to be right, then spoilt now and then. */
#include "fuzz_uio_msix.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Most of the time @good, or one next to it; now and then anything. */
static uint64_t nearly(struct thread *t, uint64_t good)
{
	switch (fuzz_pick(t, 64)) {
	case 0:
		return good + 1;
	case 1:
		return good - 1;
	case 2:
		return fuzz_wild(t);
	default:
		return good;
	}
}

static size_t none(struct thread *t, struct device *d)
{
	(void)d;
	memset(t->args, 0, 8);
	return 8;
}

static size_t info(struct thread *t, struct device *d)
{
	struct uio_msix_info *a = (void *)t->args;

	(void)d;
	*a = (struct uio_msix_info){.argsz = sizeof(*a), .reserved = (uint32_t)nearly(t, 0)};
	return sizeof(*a);
}

static size_t region(struct thread *t, struct device *d)
{
	struct uio_msix_region *a = (void *)t->args;

	(void)d;
	*a = (struct uio_msix_region){.argsz = sizeof(*a)};
	a->index = (uint32_t)nearly(t, fuzz_pick(t, UIO_MSIX_REGIONS));
	return sizeof(*a);
}

static void region_done(struct thread *t, struct device *d)
{
	const struct uio_msix_region *a = (void *)t->args;

	if (a->index >= UIO_MSIX_REGIONS)
		fuzz_fail("region %u", a->index);
	d->regions[a->index].size = a->size;
	d->regions[a->index].offset = a->flags & UIO_MSIX_REGION_MMAP ? a->offset : 0;
	d->regions[a->index].wc_offset = a->flags & UIO_MSIX_REGION_MMAP ? a->wc_offset : 0;
	d->regions[a->index].hole = a->hole_size ? a->hole : UINT64_MAX;
}

static size_t read_register(struct thread *t, struct device *d)
{
	struct uio_msix_access *a = (void *)t->args;
	uint32_t index = fuzz_pick(t, UIO_MSIX_REGIONS), width = 1u << fuzz_pick(t, 4);
	uint64_t size = d->regions[index].size, at = 0;

	if (size >= width)
		at = fuzz_one_in(t, 8) ? size - width
				       : fuzz_pick(t, (uint32_t)(size / width)) * width;
	*a = (struct uio_msix_access){.argsz = sizeof(*a), .width = (uint32_t)nearly(t, width)};
	a->index = (uint32_t)nearly(t, index);
	a->offset = nearly(t, at);
	return sizeof(*a);
}

static void read_done(struct thread *t, struct device *d)
{
	const struct uio_msix_access *a = (void *)t->args;

	(void)d;
	if (a->width < 8 && a->value >> 8 * a->width)
		fuzz_fail("%u bytes read: %#jx", a->width, (uintmax_t)a->value);
}

/* What is not a harmless register must be wrong in a way that is always refused. */
static size_t write_register(struct thread *t, struct device *d)
{
	const struct poke *poke = &d->kind->pokes[fuzz_pick(t, 2)];
	struct uio_msix_access *a = (void *)t->args;
	uint32_t index;

	*a = (struct uio_msix_access){.argsz = sizeof(*a), .width = 4, .offset = poke->offset};
	a->value = poke->set | (fuzz_pick(t, UINT32_MAX) & poke->mask);
	switch (fuzz_pick(t, 16)) {
	case 0 ... 5: /* the kernel says what may be written there */
		a->index = UIO_MSIX_CONFIG;
		a->width = 1u << fuzz_pick(t, 3);
		a->offset = fuzz_pick(t, fuzz_one_in(t, 2) ? 256 : 4096) & -a->width;
		a->value = fuzz_wild(t) & (UINT64_MAX >> (64 - 8 * a->width));
		break;
	case 6:
		a->index = fuzz_pick(t, UIO_MSIX_REGIONS);
		a->offset = d->regions[a->index].size + (fuzz_wild(t) & ~3ull);
		if (a->index == UIO_MSIX_CONFIG || !d->regions[a->index].size ||
		    a->offset < d->regions[a->index].size)
			a->width = 3;
		break;
	case 7: /* the MSI-X table */
		index = fuzz_pick(t, UIO_MSIX_CONFIG);
		if (d->regions[index].hole != UINT64_MAX) {
			a->index = index;
			a->offset = d->regions[index].hole + 4 * fuzz_pick(t, 16);
		}
		break;
	case 8:
		a->value |= 1ull << (32 + fuzz_pick(t, 32));
		break;
	case 9:
		a->offset++;
		break;
	case 10:
		a->index = UIO_MSIX_REGIONS + (uint32_t)fuzz_wild(t) % 1000;
		break;
	case 11:
		a->width = (uint32_t)fuzz_wild(t) | 16;
	}
	return sizeof(*a);
}

static size_t irq(struct thread *t, struct device *d)
{
	struct uio_msix_irq *a = (void *)t->args;

	(void)d;
	*a = (struct uio_msix_irq){.argsz = sizeof(*a), .reserved = (uint32_t)nearly(t, 0)};
	a->index = (uint32_t)nearly(t, fuzz_pick(t, UIO_MSIX_IRQS));
	return sizeof(*a);
}

static void irq_done(struct thread *t, struct device *d)
{
	const struct uio_msix_irq *a = (void *)t->args;

	if (a->index >= UIO_MSIX_IRQS || a->enabled > a->count || a->count > UIO_MSIX_IRQS_MAX)
		fuzz_fail("kind %u: %u of %u vectors", a->index, a->enabled, a->count);
	d->vectors[a->index] = a->count;
}

static int32_t event(struct thread *t, struct device *d)
{
	switch (fuzz_pick(t, 256)) {
	case 0:
		return fuzz_fd(t, d);
	case 1:
		return (int32_t)fuzz_wild(t);
	case 2:
		return 1; /* no eventfd */
	default:
		return fuzz_one_in(t, 4) ? -1 : t->f->events[fuzz_pick(t, EVENTS)];
	}
}

static size_t set_irqs(struct thread *t, struct device *d)
{
	struct uio_msix_set_irqs *a = (void *)t->args;
	uint32_t kind = fuzz_pick(t, UIO_MSIX_IRQS), all = d->vectors[kind] ?: 1, n;

	*a = (struct uio_msix_set_irqs){.index = (uint32_t)nearly(t, kind)};
	if (fuzz_one_in(t, 3)) {
		a->count = all;
	} else if (!fuzz_one_in(t, 3)) {
		a->start = fuzz_pick(t, all);
		a->count = 1 + fuzz_pick(t, all - a->start);
	}
	a->start = (uint32_t)nearly(t, a->start);
	a->count = (uint32_t)nearly(t, a->count);
	if (fuzz_one_in(t, 200))
		a->count = UIO_MSIX_IRQS_MAX + fuzz_pick(t, 2);
	n = a->count <= UIO_MSIX_IRQS_MAX + 1 ? a->count : 4;
	for (uint32_t i = 0; i < n; i++)
		a->fds[i] = event(t, d);
	a->argsz = (uint32_t)(sizeof(*a) + n * sizeof(a->fds[0]));
	return a->argsz;
}

static void set_irqs_done(struct thread *t, struct device *d);

static size_t mask(struct thread *t, struct device *d)
{
	struct uio_msix_mask *a = (void *)t->args;

	(void)d;
	*a = (struct uio_msix_mask){sizeof(*a), fuzz_pick(t, 2)};
	return sizeof(*a);
}

static size_t dma_bits(struct thread *t, struct device *d)
{
	static const uint32_t bits[] = {16, 24, 28, 32, 33, 48, 64, 64, 64, 64};
	struct uio_msix_dma_bits *a = (void *)t->args;

	(void)d;
	*a = (struct uio_msix_dma_bits){.argsz = sizeof(*a), .reserved = (uint32_t)nearly(t, 0)};
	a->bits = (uint32_t)nearly(t, bits[fuzz_pick(t, 10)]);
	return sizeof(*a);
}

/* Those that cannot be remembered go with the last close. */
static void remember(struct thread *t, struct device *d, uint32_t id, uint64_t offset)
{
	unsigned i = fuzz_pick(t, IDS);

	if (!id)
		fuzz_fail("an id of 0");
	d->dma[i] = offset;
	id = atomic_exchange(&d->ids[i], id);
	if (id)
		ioctl(fuzz_fd(t, d), UIO_MSIX_DMA_FREE,
		      &(struct uio_msix_dma_free){sizeof(struct uio_msix_dma_free), 0, id, 0});
}

static size_t dma_alloc(struct thread *t, struct device *d)
{
	struct uio_msix_dma_alloc *a = (void *)t->args;

	(void)d;
	*a = (struct uio_msix_dma_alloc){.argsz = sizeof(*a), .reserved = (uint32_t)nearly(t, 0)};
	a->size = nearly(t, (uint64_t)PAGE * (1 + fuzz_pick(t, fuzz_one_in(t, 16) ? 256 : 16)));
	return sizeof(*a);
}

static void alloc_done(struct thread *t, struct device *d)
{
	const struct uio_msix_dma_alloc *a = (void *)t->args;

	remember(t, d, a->id, a->offset);
}

static size_t dma_pin(struct thread *t, struct device *d)
{
	struct uio_msix_dma_pin *a = (void *)t->args;
	uint32_t n;

	(void)d;
	*a = (struct uio_msix_dma_pin){0};
	a->vaddr = fuzz_pool(t, (uint64_t *)&a->size);
	n = (uint32_t)(a->size / PAGE);
	if (fuzz_one_in(t, 8))
		n = fuzz_pick(t, n + 2);
	a->n_segments = fuzz_one_in(t, 64) ? (uint32_t)fuzz_wild(t) : n;
	a->vaddr = nearly(t, a->vaddr);
	a->size = nearly(t, a->size);
	memset(a->segments, 0, n * sizeof(a->segments[0]));
	a->argsz = (uint32_t)(sizeof(*a) + n * sizeof(a->segments[0]));
	return a->argsz;
}

/* Together they are what was asked for. */
static void pin_done(struct thread *t, struct device *d)
{
	const struct uio_msix_dma_pin *a = (void *)t->args;
	uint64_t size = 0;

	if (!a->n_segments || a->n_segments > a->size / PAGE)
		fuzz_fail("%u segments for %ju bytes", a->n_segments, (uintmax_t)a->size);
	for (uint32_t i = 0; i < a->n_segments; i++)
		size += a->segments[i].size;
	if (size != a->size)
		fuzz_fail("%ju bytes of %ju pinned", (uintmax_t)size, (uintmax_t)a->size);
	remember(t, d, a->id, 0);
}

static size_t dma_free(struct thread *t, struct device *d)
{
	struct uio_msix_dma_free *a = (void *)t->args;

	*a = (struct uio_msix_dma_free){.argsz = sizeof(*a), .reserved = (uint32_t)nearly(t, 0)};
	a->id = (uint32_t)nearly(t, d->ids[fuzz_pick(t, IDS)]);
	return sizeof(*a);
}

static void free_done(struct thread *t, struct device *d)
{
	const struct uio_msix_dma_free *a = (void *)t->args;

	for (unsigned i = 0; i < IDS; i++)
		atomic_compare_exchange_strong(&d->ids[i], &(uint32_t){a->id}, 0);
}

static size_t bus_master(struct thread *t, struct device *d)
{
	struct uio_msix_bus_master *a = (void *)t->args;

	(void)d;
	*a = (struct uio_msix_bus_master){sizeof(*a), fuzz_pick(t, 4)};
	return sizeof(*a);
}

static size_t reset(struct thread *t, struct device *d)
{
	struct uio_msix_reset *a = (void *)t->args;

	(void)d;
	*a = (struct uio_msix_reset){.argsz = sizeof(*a)};
	return sizeof(*a);
}

static const struct {
	unsigned weight, request;
	size_t (*make)(struct thread *t, struct device *d);
	void (*done)(struct thread *t, struct device *d);
} ioctls[] = {
	{10, UIO_MSIX_GET_VERSION, none, NULL},
	{10, UIO_MSIX_GET_INFO, info, NULL},
	{60, UIO_MSIX_GET_REGION, region, region_done},
	{60, UIO_MSIX_READ, read_register, read_done},
	{60, UIO_MSIX_WRITE, write_register, NULL},
	{40, UIO_MSIX_GET_IRQ, irq, irq_done},
	{120, UIO_MSIX_SET_IRQS, set_irqs, set_irqs_done},
	{30, UIO_MSIX_MASK_INTX, mask, NULL},
	{10, UIO_MSIX_SET_DMA_BITS, dma_bits, NULL},
	{80, UIO_MSIX_DMA_ALLOC, dma_alloc, alloc_done},
	{80, UIO_MSIX_DMA_PIN, dma_pin, pin_done},
	{100, UIO_MSIX_DMA_FREE, dma_free, free_done},
	{40, UIO_MSIX_BUS_MASTER, bus_master, NULL},
	{2, UIO_MSIX_RESET, reset, NULL},
};

/* Every structure begins so. */
static void spoil(struct thread *t, size_t len)
{
	struct uio_msix_reset *a = (void *)t->args;

	a->argsz = (uint32_t)nearly(t, a->argsz);
	if (fuzz_one_in(t, 32))
		a->flags ^= 1u << fuzz_pick(t, 32);
	if (fuzz_one_in(t, 64))
		a->argsz = fuzz_pick(t, (uint32_t)len);
}

static void wild_request(struct thread *t, int fd)
{
	unsigned request = _IOC(fuzz_pick(t, 4), UIO_MSIX_TYPE, fuzz_pick(t, 32),
				fuzz_one_in(t, 2) ? 0 : fuzz_pick(t, 1 << 14));

	/* A number of ours in all its bits is no wild one: what it would do is not looked after. */
	if (!_IOC_DIR(request) && !_IOC_SIZE(request) &&
	    _IOC_NR(request) <= _IOC_NR(UIO_MSIX_RESET))
		request = fuzz_pick(t, UINT32_MAX) | 1u << 31;
	memset(t->args, (int)fuzz_pick(t, 256), 256);
	fuzz_count(t, CALL_WILD, ioctl(fd, request, t->memory));
}

static void call(struct thread *t, struct device *d, unsigned i)
{
	int fd = fuzz_fd(t, d);
	bool back = true;
	size_t len;
	long ret;
	void *at;

	len = ioctls[i].make(t, d);
	if (i)
		spoil(t, len);
	at = fuzz_place(t, len, &back);
	pthread_rwlock_rdlock(&t->f->awake);
	fuzz_starve(t, true);
	ret = ioctl(fd, ioctls[i].request, at);
	fuzz_starve(t, false);
	fuzz_count(t, i, ret);
	pthread_rwlock_unlock(&t->f->awake);
	if (ret < 0 && errno == ENODEV && fuzz_one_in(t, 16))
		fuzz_drop(t, d);
	if (ret >= 0 && back && ioctls[i].done) {
		memcpy(t->args, at, len);
		ioctls[i].done(t, d);
	}
}

void fuzz_call(struct thread *t)
{
	struct device *d = fuzz_device(t);
	unsigned n = fuzz_pick(t, 702), i = 0;
	int fd = fuzz_fd(t, d);

	if (fd < 0) {
		if (fuzz_one_in(t, 8))
			fuzz_open(t);
		return;
	}
	if (fuzz_one_in(t, 64)) {
		wild_request(t, fd);
		return;
	}
	while (n >= ioctls[i].weight)
		n -= ioctls[i++].weight;
	call(t, d, i);
}

/* Some calls are good only at a certain time. */
void fuzz_call_new(struct thread *t, struct device *d)
{
	if (fuzz_one_in(t, 2))
		call(t, d, _IOC_NR(UIO_MSIX_SET_DMA_BITS));
}

static void set_irqs_done(struct thread *t, struct device *d)
{
	const struct uio_msix_set_irqs *a = (void *)t->args;

	if (a->index == UIO_MSIX_INTX && a->count)
		for (unsigned i = 0; i < 4; i++)
			call(t, d, _IOC_NR(UIO_MSIX_MASK_INTX));
}
