/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a daemon sees: the IOTLB, each entry a file of its own. Sealed: nobody makes it shorter or
 * longer, and what a device only reads nobody maps for writing any more once we have.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/reason.h"
#include "virtio/uduse_private.h"

#define IOVA_FIRST (UINT64_C(1) << 32) /* an address of the device's is not one of ours */

enum {
	READ, /* by the device */
	WRITE,
};

/*
 * Entries.
 */

static size_t whole_pages(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (len + page - 1) & ~(page - 1);
}

static int make(struct uduse_entry *e)
{
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

	e->base = MAP_FAILED;
	e->fd = memfd_create("sluice", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (e->fd < 0 || ftruncate(e->fd, (off_t)e->len))
		return sl_fail(errno, "no memory to share: %s", strerror(errno));
	e->base = mmap(NULL, e->len, PROT_READ | PROT_WRITE, MAP_SHARED, e->fd, 0);
	if (e->base == MAP_FAILED)
		return sl_fail(errno, "cannot map %zu bytes: %s", e->len, strerror(errno));
	if (fcntl(e->fd, F_ADD_SEALS, e->write ? seals : seals | F_SEAL_FUTURE_WRITE))
		return sl_fail(errno, "memory to share cannot be sealed: %s", strerror(errno));
	return 0;
}

static void destroy(struct uduse_entry *e)
{
	if (e->base != MAP_FAILED)
		munmap(e->base, e->len);
	sl_fd_close(&e->fd);
}

int sl_uduse_entry_add(struct uduse *u, size_t len, bool write)
{
	struct uduse_entry e = {.iova = u->next, .len = whole_pages(len), .write = write};
	int ret;

	if (!len || len > UDUSE_BOUNCE_MAX || u->n_entries == UDUSE_ENTRIES_MAX)
		return sl_fail(ENOSPC, "a device sees %d pieces of memory, of 1 to %u bytes",
			       UDUSE_ENTRIES_MAX, UDUSE_BOUNCE_MAX);
	ret = make(&e);
	if (ret) {
		destroy(&e);
		return ret;
	}
	u->next += e.len + whole_pages(1); /* what runs past an end finds nothing */
	u->entries[u->n_entries] = e;
	return (int)u->n_entries++;
}

const struct uduse_entry *sl_uduse_entry_find(const struct uduse *u, uint64_t start, uint64_t last)
{
	for (unsigned i = 0; i < u->n_entries; i++) {
		const struct uduse_entry *e = &u->entries[i];

		if (e->iova <= last && e->iova + (e->len - 1) >= start)
			return e;
	}
	return NULL;
}

/* A daemon looks at the IOTLB when its device is driven; then when it is told to. */
static int tell(struct uduse *u, const struct uduse_entry *e)
{
	struct vduse_dev_request request = {.type = VDUSE_UPDATE_IOTLB};

	if (!(u->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return 0;
	request.iova.start = e->iova;
	request.iova.last = e->iova + (e->len - 1);
	return sl_uduse_ask(u, &request);
}

int sl_uduse_alloc(struct uduse *u, size_t len, bool write, void **at, sl_iova *iova)
{
	int n = sl_uduse_entry_add(u, len, write);

	if (n < 0)
		return n;
	*at = u->entries[n].base;
	iova->value = u->entries[n].iova;
	return tell(u, &u->entries[n]);
}

int sl_uduse_free(struct uduse *u, sl_iova iova)
{
	struct uduse_entry e;
	unsigned i = 2; /* the pools stay */

	while (i < u->n_entries && u->entries[i].iova != iova.value)
		i++;
	if (i >= u->n_entries)
		return sl_fail(EINVAL, "no memory that the device sees begins at 0x%llx",
			       (unsigned long long)iova.value);
	e = u->entries[i];
	destroy(&u->entries[i]);
	u->n_entries--;
	memmove(&u->entries[i], &u->entries[i + 1], (u->n_entries - i) * sizeof(u->entries[0]));
	return tell(u, &e);
}

/*
 * Bounce pools. Memory that the device reads and memory that it writes are never the same, so a
 * piece never has to be cleared for another direction.
 */

int sl_uduse_memory_open(struct uduse *u)
{
	size_t len = sl_bounce_len(u->config.bounce);
	int ret = 0;

	u->next = IOVA_FIRST;
	for (int i = READ; i <= WRITE && ret >= 0; i++) {
		ret = sl_uduse_entry_add(u, len, i == WRITE);
		if (ret >= 0)
			ret = sl_bounce_open(&u->pools[i], u->entries[i].base, len);
	}
	return ret;
}

void sl_uduse_memory_close(struct uduse *u)
{
	for (int i = READ; i <= WRITE; i++)
		sl_bounce_close(&u->pools[i]);
	while (u->n_entries)
		destroy(&u->entries[--u->n_entries]);
}

static struct uduse *uduse_of(struct virtio *v)
{
	return sl_container_of(v, struct uduse, virtio);
}

int sl_uduse_map(struct virtio *v, void *at, uint32_t len, bool write, sl_iova *iova)
{
	struct uduse *u = uduse_of(v);
	struct bounce *pool = &u->pools[write ? WRITE : READ];
	size_t piece;
	int ret = sl_bounce_take(pool, at, len, &piece);

	if (ret)
		return ret == -ENOSPC ? ret
				      : sl_fail(EMSGSIZE, "%u bytes in a bounce pool of %zu", len,
						u->entries[WRITE].len);
	if (!write)
		memcpy(pool->base + piece, at, len);
	iova->value = u->entries[write ? WRITE : READ].iova + piece;
	return 0;
}

/* What the device says that it has written is believed as far as there was room; the rest of the
 * buffer stays as it was. */
void sl_uduse_unmap(struct virtio *v, sl_iova iova, uint32_t written)
{
	struct uduse *u = uduse_of(v);
	bool write = iova.value >= u->entries[WRITE].iova;
	struct bounce *pool = &u->pools[write ? WRITE : READ];
	size_t piece = iova.value - u->entries[write ? WRITE : READ].iova;
	uint32_t len;
	void *at;

	if (sl_bounce_give(pool, piece, &at, &len) || !write)
		return;
	memcpy(at, pool->base + piece, sl_min(len, written));
}
