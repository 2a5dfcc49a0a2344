/* SPDX-License-Identifier: BSD-2-Clause */
#include "device/uio_msix_dma.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "device/uio_msix.h"

struct uio_msix_piece {
	sl_iova iova;
	const void *base;
	size_t len;
	uint32_t id;
};

/*
 * As a space's user.
 */

static int dma_map(struct sl_space_user *user, const struct sl_mapping *mapping)
{
	const struct uio_msix_dma *dma = sl_container_of(user, struct uio_msix_dma, user);

	for (size_t n = 0; n < dma->n_pieces; n++) {
		const struct uio_msix_piece *piece = &dma->pieces[n];

		if (piece->base == mapping->region.base && piece->len == mapping->region.len &&
		    !sl_iova_cmp(piece->iova, mapping->at.first))
			return 0;
	}
	return sl_fail(EOPNOTSUPP, "over uio_msix a device reaches what sl_dma_create() has made "
				   "for it, where the kernel has put that");
}

static void dma_unmap(struct sl_space_user *user, const struct sl_mapping *mapping)
{
	(void)user;
	(void)mapping;
}

static const struct sl_space_user_ops dma_ops = {dma_map, dma_unmap};

/*
 * Pieces.
 */

static void give_back(const struct uio_msix_dma *dma, uint32_t id)
{
	struct uio_msix_dma_free in = {.argsz = sizeof(in), .id = id};

	(void)sl_um_call(dma->fd, UIO_MSIX_DMA_FREE, &in);
}

static int add(struct uio_msix_dma *dma, const struct uio_msix_piece *piece)
{
	struct uio_msix_piece *more =
		realloc(dma->pieces, (dma->n_pieces + 1) * sizeof(*dma->pieces));

	if (!more) {
		give_back(dma, piece->id);
		return sl_fail(ENOMEM, "no memory for a list of memory");
	}
	dma->pieces = more;
	dma->pieces[dma->n_pieces++] = *piece;
	return 0;
}

/* The kernel counts it as locked memory, of this process and of this device. */
static int refused(int err, size_t len)
{
	if (err == ENOMEM)
		return sl_fail(ENOMEM,
			       "uio_msix has no %zu bytes in one piece, or more would be locked "
			       "than RLIMIT_MEMLOCK or its own limit allows: raise that with "
			       "ulimit -l",
			       len);
	if (err == EREMOTE)
		return sl_fail(ENOMEM, "the device does not reach huge pages itself: its addresses "
				       "are too short, or memory is encrypted, or swiotlb=force");
	if (err == ENOSPC)
		return sl_fail(ENOMEM, "for the device a huge page is in several pieces");
	return sl_fail(err, "uio_msix gives no memory: %s", strerror(err));
}

int sl_uio_msix_dma_alloc(struct uio_msix_dma *dma, void *at, size_t len, sl_iova *out)
{
	struct uio_msix_dma_alloc in = {.argsz = sizeof(in), .size = len};
	int ret = sl_um_call(dma->fd, UIO_MSIX_DMA_ALLOC, &in);

	if (ret)
		return refused(-ret, len);
	if (mmap(at, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, dma->fd,
		 (off_t)in.offset) == MAP_FAILED) {
		ret = sl_fail(errno, "cannot map memory of uio_msix: %s", strerror(errno));
		give_back(dma, in.id);
		return ret;
	}
	out->value = in.iova;
	return add(dma, &(struct uio_msix_piece){*out, at, len, in.id});
}

int sl_uio_msix_dma_pin(struct uio_msix_dma *dma, const void *page, sl_iova *out)
{
	struct uio_msix_segment segment;
	size_t argsz = sizeof(struct uio_msix_dma_pin) + sizeof(segment);
	struct uio_msix_dma_pin *in = calloc(1, argsz);
	uint32_t id;
	int ret;

	if (!in)
		return sl_fail(ENOMEM, "no memory for a call");
	in->argsz = (uint32_t)argsz;
	in->n_segments = 1;
	in->vaddr = (uintptr_t)page;
	in->size = SL_UIO_MSIX_PAGE;
	ret = sl_um_call(dma->fd, UIO_MSIX_DMA_PIN, in);
	id = in->id;
	memcpy(&segment, in->segments, sizeof(segment));
	free(in);
	if (ret)
		return refused(-ret, SL_UIO_MSIX_PAGE);
	out->value = segment.iova;
	return add(dma, &(struct uio_msix_piece){*out, page, SL_UIO_MSIX_PAGE, id});
}

void sl_uio_msix_dma_free(struct uio_msix_dma *dma, sl_iova iova)
{
	for (size_t n = 0; n < dma->n_pieces; n++) {
		if (sl_iova_cmp(dma->pieces[n].iova, iova))
			continue;
		give_back(dma, dma->pieces[n].id);
		dma->pieces[n] = dma->pieces[--dma->n_pieces];
		return;
	}
}

void sl_uio_msix_dma_open(struct uio_msix_dma *dma, int fd)
{
	*dma = (struct uio_msix_dma){.user = {&dma_ops, "uio_msix", NULL}, .fd = fd};
}

void sl_uio_msix_dma_close(struct uio_msix_dma *dma)
{
	free(dma->pieces);
	dma->pieces = NULL;
}
