/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the driver has mapped: the kernel's IOTLB, entry by entry, in the offer's space. A driver of
 * this kernel's gets a bounce buffer at address 0 with its first request, which nobody tells us;
 * memory of ours can take its place (UMEM).
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/reason.h"
#include "offer/vduse.h"

/* Where an entry is or would be. */
static size_t place(const struct vduse *v, uint64_t start)
{
	size_t low = 0, high = v->n_mappings;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (v->mappings[middle].entry.start < start)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool same(const struct vduse_mapping *m, const struct vduse_mapping *other)
{
	return m->entry.start == other->entry.start && m->entry.last == other->entry.last &&
	       m->entry.offset == other->entry.offset && m->entry.perm == other->entry.perm &&
	       m->dev == other->dev && m->ino == other->ino;
}

/*
 * One entry.
 */

static int map_file(const struct vduse *v, struct vduse_mapping *m, int fd)
{
	unsigned how = (m->entry.perm & VDUSE_ACCESS_WO ? FILE_MAP_WRITE : 0) |
		       (sl_offer_is_net(v->transport.offer) ? FILE_MAP_KEEP : 0);

	return sl_file_map(fd, m->entry.offset, m->region.len, how, &m->map);
}

/* Is it the bounce buffer, which memory of ours may replace? */
static bool can_umem(struct vduse *v, const struct vduse_iotlb_entry *e)
{
	struct vduse_iova_info info = {.start = e->start, .last = e->last};

	return v->want_umem && !e->start && !v->kernel->call(v, VDUSE_IOTLB_GET_INFO, &info) &&
	       info.start == e->start && info.last == e->last &&
	       info.capability & VDUSE_IOVA_CAP_UMEM;
}

/* Before its first page is touched: what lies in pages of the kernel's is copied over. */
static int map_umem(struct vduse *v, struct vduse_mapping *m)
{
	struct vduse_iova_umem umem = {.iova = m->entry.start, .size = m->region.len};

	/* Shared, so that a process of ours that is forked gets no copy. */
	void *map = mmap(NULL, m->region.len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			 -1, 0);

	if (map == MAP_FAILED)
		return -errno;
	umem.uaddr = (uintptr_t)map;
	errno = -v->kernel->call(v, VDUSE_IOTLB_REG_UMEM, &umem);
	if (errno) {
		int err = errno;

		munmap(map, m->region.len);
		errno = err;
		return -errno;
	}
	m->map = (struct file_map){map, map, m->region.len};
	m->umem = true;
	return 0;
}

static int map_either(struct vduse *v, struct vduse_mapping *m, int fd)
{
	if (can_umem(v, &m->entry)) {
		if (!map_umem(v, m))
			return 0;
		sl_log(sl_offer_log(v->transport.offer), SL_LOG_WARN,
		       "%s: no memory of our own for the driver's buffers: %m%s", v->name,
		       errno == ENOMEM ? ": it takes their size of locked memory: ulimit -l "
					 "unlimited, or LimitMEMLOCK=infinity"
				       : "");
	}
	return map_file(v, m, fd);
}

static void unmap(struct vduse *v, struct vduse_mapping *m)
{
	struct vduse_iova_umem umem = {.iova = m->entry.start, .size = m->region.len};

	if (m->umem)
		v->kernel->call(v, VDUSE_IOTLB_DEREG_UMEM, &umem);
	sl_file_unmap(&m->map);
}

static int add(struct vduse *v, size_t at, struct vduse_mapping *m, int fd)
{
	struct vduse_mapping *grown;
	int ret;

	grown = reallocarray(v->mappings, v->n_mappings + 1, sizeof(*grown));
	if (!grown)
		return sl_fail(ENOMEM, "no memory for a driver's mappings");
	v->mappings = grown;
	m->region = (struct sl_region){
		.len = m->entry.last - m->entry.start + 1,
		.fd = -1,
		.access = (m->entry.perm & VDUSE_ACCESS_RO ? SL_REGION_READ : 0) |
			  (m->entry.perm & VDUSE_ACCESS_WO ? SL_REGION_WRITE : 0),
	};
	ret = map_either(v, m, fd);
	if (ret)
		return ret;
	m->region.base = m->map.base;
	ret = sl_offer_map(v->transport.offer, (sl_iova){m->entry.start}, &m->region);
	if (ret) {
		unmap(v, m);
		return ret;
	}
	memmove(grown + at + 1, grown + at, (v->n_mappings - at) * sizeof(*grown));
	grown[at] = *m;
	v->n_mappings++;
	return 0;
}

static void drop(struct vduse *v, size_t at)
{
	struct vduse_mapping *m = &v->mappings[at];
	struct sl_iova_range range = {{m->entry.start}, {m->entry.last}};

	sl_offer_unmap(v->transport.offer, range);
	unmap(v, m);
	v->n_mappings--;
	memmove(m, m + 1, (v->n_mappings - at) * sizeof(*m));
}

/*
 * All of them.
 */

/* The first entry at @from or behind it, and the file that it is of. Return: its descriptor;
 * -ENOENT */
static int next_entry(struct vduse *v, uint64_t from, struct vduse_mapping *m)
{
	struct stat st;
	int fd;

	*m = (struct vduse_mapping){.entry = {.start = from, .last = UINT64_MAX}};
	fd = v->kernel->call(v, VDUSE_IOTLB_GET_FD, &m->entry);
	if (fd < 0)
		return fd == -EINVAL ? -ENOENT
				     : sl_fail(-fd, "IOTLB of %s: %s", v->name, strerror(-fd));
	if (sl_vduse_entry(&m->entry, from) || fstat(fd, &st)) {
		sl_fd_close(&fd);
		return -EPROTO;
	}
	m->dev = st.st_dev;
	m->ino = st.st_ino;
	return fd;
}

/* With @keep, mark what is there still; without it, map what is new. */
static int walk(struct vduse *v, bool *keep)
{
	uint64_t from = 0;

	for (unsigned n = 0; n < SL_SPACE_MAPPINGS_MAX; n++) {
		struct vduse_mapping m;
		int fd = next_entry(v, from, &m), ret = 0;
		size_t at;

		if (fd < 0)
			return fd == -ENOENT ? 0 : fd;
		at = place(v, m.entry.start);
		if (at < v->n_mappings && same(&v->mappings[at], &m)) {
			if (keep)
				keep[at] = true;
		} else if (!keep) {
			ret = add(v, at, &m, fd);
		}
		sl_fd_close(&fd);
		if (ret || m.entry.last == UINT64_MAX)
			return ret;
		from = m.entry.last + 1;
	}
	return 0;
}

int sl_vduse_memory_add(struct vduse *v)
{
	return walk(v, NULL);
}

int sl_vduse_memory_sync(struct vduse *v)
{
	bool *keep = calloc(v->n_mappings + 1, sizeof(*keep));
	int ret;

	if (!keep)
		return sl_fail(ENOMEM, "no memory for a driver's mappings");
	ret = walk(v, keep);
	for (size_t i = v->n_mappings; !ret && i--;)
		if (!keep[i])
			drop(v, i);
	free(keep);
	return ret ? ret : sl_vduse_memory_add(v);
}

void sl_vduse_memory_clear(struct vduse *v)
{
	while (v->n_mappings)
		drop(v, v->n_mappings - 1);
}

void sl_vduse_memory_free(struct vduse *v)
{
	while (v->n_mappings)
		unmap(v, &v->mappings[--v->n_mappings]);
	free(v->mappings);
	v->mappings = NULL;
}
