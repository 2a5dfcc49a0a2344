/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for a device, mapped into its space as a whole or page by page: an arena, or pages that
 * its back end has from the kernel.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <sluice/arena.h>
#include <sluice/dma.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "device/backend.h"

#define PAGE ((size_t)4096)

/**
 * struct sl_dma - memory for a device
 * @arena:    whose @region is; NULL for the kernel's
 * @page:     bytes that are side by side for the device, at multiples of that
 * @n_placed: of how many pages the device's back end has said where they are, ...
 * @n_mapped: ... and how many are in the space
 * @iovas:    of each page
 */
struct sl_dma {
	struct sl_device *dev;
	struct sl_arena *arena;
	struct sl_region region;
	size_t page, n_placed, n_mapped;
	sl_iova *iovas;
};

static size_t page_len(const struct sl_dma *dma, size_t n)
{
	return sl_min(dma->page, dma->region.len - n * dma->page);
}

static int map_page(struct sl_dma *dma, size_t n)
{
	const struct sl_backend *backend = dma->dev->backend;
	struct sl_space *space = sl_device_space(dma->dev);
	struct sl_region page = dma->region;
	int ret;

	if (!backend->dma_pin)
		return sl_space_map(space, &page, 0, &dma->iovas[n]);
	page.base = (uint8_t *)page.base + n * dma->page;
	page.len = page_len(dma, n);
	ret = dma->arena ? backend->dma_pin(dma->dev, page.base, &dma->iovas[n])
			 : backend->dma_alloc(dma->dev, page.base, page.len, &dma->iovas[n]);
	if (ret)
		return ret;
	dma->n_placed++;
	return sl_space_map_at(space, dma->iovas[n], &page);
}

static int map_all(struct sl_dma *dma)
{
	int ret = 0;

	dma->iovas = calloc((dma->region.len + dma->page - 1) / dma->page, sizeof(*dma->iovas));
	if (!dma->iovas)
		return sl_fail(ENOMEM, "no memory for a list of pages");
	for (size_t n = 0; !ret && n * dma->page < dma->region.len; n++) {
		ret = map_page(dma, n);
		dma->n_mapped += !ret;
	}
	return ret;
}

/* It can be filled anew. In this order: the kernel frees what nobody has mapped. */
static void give_back(struct sl_dma *dma)
{
	const struct sl_backend *backend = dma->dev->backend;
	struct sl_iova_range range;

	while (dma->n_mapped--)
		if (!sl_iova_span(dma->iovas[dma->n_mapped], page_len(dma, dma->n_mapped), &range))
			sl_space_unmap(sl_device_space(dma->dev), range);
	if (dma->arena)
		sl_arena_release(dma->arena);
	else if (dma->region.base)
		munmap(dma->region.base, dma->region.len);
	while (dma->n_placed--)
		if (backend->dma_free)
			backend->dma_free(dma->dev, dma->iovas[dma->n_placed]);
	free(dma->iovas);
	*dma = (struct sl_dma){.dev = dma->dev};
}

static int fill_arena(struct sl_dma *dma, size_t len, uint16_t id)
{
	size_t page = dma->dev->backend->dma_page;
	int ret = sl_arena_create(len ? sl_max(len, page) : 0, id, &dma->arena);

	if (ret)
		return ret;
	dma->region = *sl_arena_region(dma->arena);
	if (page && sl_arena_pages(dma->arena) != SL_PAGES_HUGE)
		return sl_fail(ENOMEM,
			       "%zu huge pages of 2 MiB are not free, which alone stay where "
			       "they are: raise /proc/sys/vm/nr_hugepages",
			       (len + page - 1) / page);
	/* A child's copy-on-write would leave the device with the child's page. */
	madvise(dma->region.base, dma->region.len, MADV_DONTFORK);
	dma->page = page ? page : dma->region.len;
	return map_all(dma);
}

/* A place for the kernel's pages, whose mappings no child gets. */
static int fill_kernel(struct sl_dma *dma, size_t len, uint16_t id)
{
	void *base;

	if (!len || len > SIZE_MAX / 2)
		return sl_fail(EINVAL, "memory of %zu bytes cannot be", len);
	len = (len + PAGE - 1) & ~(PAGE - 1);
	base = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		return sl_fail(ENOMEM, "no room for %zu bytes of memory", len);
	dma->region = (struct sl_region){base, len, -1, 0, SL_REGION_READ | SL_REGION_WRITE, id};
	dma->page = sl_min(len, dma->dev->backend->dma_page);
	return map_all(dma);
}

static int fill(struct sl_dma *dma, size_t len, uint16_t id)
{
	char why[256];
	int ret;

	if (!dma->dev->backend->dma_alloc)
		return fill_arena(dma, len, id);
	ret = fill_kernel(dma, len, id);
	if (ret != -ENOMEM)
		return ret;
	snprintf(why, sizeof(why), "%s", sl_reason());
	give_back(dma);
	ret = fill_arena(dma, len, id);
	return ret ? sl_fail(-ret, "%s; and %s", why, sl_reason()) : 0;
}

int sl_dma_create(struct sl_device *dev, size_t len, uint16_t id, struct sl_dma **out)
{
	struct sl_dma *dma = calloc(1, sizeof(*dma));
	int ret;

	if (!dma)
		return sl_fail(ENOMEM, "no memory for memory");
	dma->dev = dev;
	ret = fill(dma, len, id);
	if (ret) {
		sl_dma_release(dma);
		return sl_fail(-ret, "%s: %s", dev->name, sl_reason());
	}
	*out = dma;
	return 0;
}

void sl_dma_release(struct sl_dma *dma)
{
	if (!dma)
		return;
	give_back(dma);
	free(dma);
}

const struct sl_region *sl_dma_region(const struct sl_dma *dma)
{
	return &dma->region;
}

sl_iova sl_dma_iova(const struct sl_dma *dma, size_t offset)
{
	return (sl_iova){dma->iovas[offset / dma->page].value + offset % dma->page};
}
