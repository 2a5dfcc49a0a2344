/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory for a device: an arena, mapped into the device's space as a whole or page by page. */
#include <stdlib.h>
#include <sys/mman.h>

#include <sluice/arena.h>
#include <sluice/dma.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "device/backend.h"

/**
 * struct sl_dma - memory for a device
 * @page:  bytes that are side by side for the device, at multiples of that
 * @iovas: of each page
 */
struct sl_dma {
	struct sl_device *dev;
	struct sl_arena *arena;
	const struct sl_region *region;
	size_t page, n_mapped;
	sl_iova *iovas;
};

static int map_page(struct sl_dma *dma, size_t n)
{
	struct sl_space *space = sl_device_space(dma->dev);
	struct sl_region page = *dma->region;
	int ret;

	if (!dma->dev->backend->dma_iova)
		return sl_space_map(space, &page, 0, &dma->iovas[n]);
	page.base = (uint8_t *)page.base + n * dma->page;
	page.len = dma->page;
	ret = dma->dev->backend->dma_iova(dma->dev, page.base, &dma->iovas[n]);
	return ret ? ret : sl_space_map_at(space, dma->iovas[n], &page);
}

static int allocate(struct sl_dma *dma, size_t len, uint16_t id)
{
	size_t page = dma->dev->backend->dma_page;
	int ret = sl_arena_create(len ? sl_max(len, page) : 0, id, &dma->arena);

	if (ret)
		return ret;
	dma->region = sl_arena_region(dma->arena);
	if (page && sl_arena_pages(dma->arena) != SL_PAGES_HUGE)
		return sl_fail(ENOMEM,
			       "%zu huge pages of 2 MiB are not free, which alone stay where "
			       "they are: raise /proc/sys/vm/nr_hugepages",
			       (len + page - 1) / page);
	/* A child's copy-on-write would leave the device with the child's page. */
	madvise(dma->region->base, dma->region->len, MADV_DONTFORK);
	dma->page = page ? page : dma->region->len;
	dma->iovas = calloc(dma->region->len / dma->page, sizeof(*dma->iovas));
	return dma->iovas ? 0 : sl_fail(ENOMEM, "no memory for a list of pages");
}

int sl_dma_create(struct sl_device *dev, size_t len, uint16_t id, struct sl_dma **out)
{
	struct sl_dma *dma = calloc(1, sizeof(*dma));
	int ret;

	if (!dma)
		return sl_fail(ENOMEM, "no memory for memory");
	dma->dev = dev;
	ret = allocate(dma, len, id);
	for (size_t n = 0; !ret && n < dma->region->len / dma->page; n++) {
		ret = map_page(dma, n);
		dma->n_mapped += !ret;
	}
	if (ret) {
		sl_dma_release(dma);
		return sl_fail(-ret, "%s: %s", dev->name, sl_reason());
	}
	*out = dma;
	return 0;
}

void sl_dma_release(struct sl_dma *dma)
{
	struct sl_iova_range range;

	if (!dma)
		return;
	while (dma->n_mapped--)
		if (!sl_iova_span(dma->iovas[dma->n_mapped], dma->page, &range))
			sl_space_unmap(sl_device_space(dma->dev), range);
	sl_arena_release(dma->arena);
	free(dma->iovas);
	free(dma);
}

const struct sl_region *sl_dma_region(const struct sl_dma *dma)
{
	return dma->region;
}

sl_iova sl_dma_iova(const struct sl_dma *dma, size_t offset)
{
	return (sl_iova){dma->iovas[offset / dma->page].value + offset % dma->page};
}
