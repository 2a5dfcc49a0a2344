/* SPDX-License-Identifier: BSD-2-Clause */
/* Regions of uio_msix: its numbers are the BARs', then configuration space's. */
#include <sys/mman.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "device/device_private.h"
#include "device/uio_msix.h"

#define PAGE ((uint64_t)4096)

static void add_part(struct sl_device_region *region, uint64_t offset, uint64_t end)
{
	if (offset < end)
		region->parts[region->n_parts++] = (struct sl_device_part){offset, end - offset};
}

static int take_region(struct uio_msix_device *u, const struct uio_msix_region *r)
{
	struct sl_device_region *is = &u->regions[r->index].is;
	uint64_t hole_end;

	*is = (struct sl_device_region){.len = r->size};
	u->regions[r->index].offset = r->offset;
	if (r->flags & UIO_MSIX_REGION_READ)
		is->flags |= SL_DEVICE_READ;
	if (r->flags & UIO_MSIX_REGION_WRITE)
		is->flags |= SL_DEVICE_WRITE;
	if (r->flags & UIO_MSIX_REGION_IO)
		is->flags |= SL_DEVICE_IO;
	if (__builtin_add_overflow(r->hole, r->hole_size, &hole_end) || hole_end > r->size ||
	    r->hole % PAGE || r->hole_size % PAGE)
		return sl_fail(EINVAL, "uio_msix says that region %u has a hole at 0x%llx",
			       r->index, (unsigned long long)r->hole);
	if (!(r->flags & UIO_MSIX_REGION_MMAP))
		return 0;
	add_part(is, 0, r->hole_size ? r->hole : r->size);
	add_part(is, r->hole_size ? hole_end : r->size, r->size);
	if (is->n_parts)
		is->flags |= SL_DEVICE_MAP;
	return 0;
}

int sl_um_read_regions(struct uio_msix_device *u)
{
	int ret = 0;

	for (uint32_t i = 0; i < UIO_MSIX_REGIONS && !ret; i++) {
		struct uio_msix_region in = {.argsz = sizeof(in), .index = i};

		ret = sl_um_call(u->fd, UIO_MSIX_GET_REGION, &in);
		in.index = i;
		ret = ret ? sl_fail(-ret, "uio_msix says nothing of region %u: %s", i,
				    strerror(-ret))
			  : take_region(u, &in);
	}
	return ret;
}

int sl_um_get_region(struct sl_device *dev, unsigned index, struct sl_device_region *region)
{
	if (index == SL_DEVICE_ROM)
		*region = (struct sl_device_region){.len = 0};
	else
		*region = sl_um_of(dev)
				  ->regions[index == SL_DEVICE_CONFIG ? UIO_MSIX_CONFIG : index]
				  .is;
	return 0;
}

int sl_um_map(struct sl_device *dev, unsigned bar, const struct sl_device_part *part, void *at)
{
	const struct uio_msix_device *u = sl_um_of(dev);

	if (mmap(at, part->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, u->fd,
		 (off_t)(u->regions[bar].offset + part->offset)) == MAP_FAILED)
		return sl_fail(errno, "%s: cannot map BAR %u at 0x%llx: %s", dev->name, bar,
			       (unsigned long long)part->offset, strerror(errno));
	return 0;
}

/* 4 bytes at a time, or what is left: the widths that every region has. */
static int access_all(struct sl_device *dev, unsigned long request, unsigned index, uint64_t offset,
		      unsigned len, uint8_t *bytes)
{
	for (unsigned done = 0, width; done < len; done += width) {
		struct uio_msix_access in = {
			.argsz = sizeof(in),
			.index = index == SL_DEVICE_CONFIG ? (unsigned)UIO_MSIX_CONFIG : index,
			.offset = offset + done,
		};

		for (width = 4; width > len - done;)
			width /= 2;
		in.width = width;
		if (request == UIO_MSIX_WRITE)
			memcpy(&in.value, bytes + done, width);
		errno = -sl_um_call(sl_um_of(dev)->fd, request, &in);
		if (errno)
			return sl_device_transferred(dev, index, -1, len);
		if (request == UIO_MSIX_READ)
			memcpy(bytes + done, &in.value, width);
	}
	return 0;
}

int sl_um_read(struct sl_device *dev, unsigned index, uint64_t offset, unsigned width, void *bytes)
{
	return access_all(dev, UIO_MSIX_READ, index, offset, width, bytes);
}

int sl_um_write(struct sl_device *dev, unsigned index, uint64_t offset, unsigned width,
		const void *bytes)
{
	uint8_t copy[8];

	memcpy(copy, bytes, width);
	return access_all(dev, UIO_MSIX_WRITE, index, offset, width, copy);
}
