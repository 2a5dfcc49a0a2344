/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The front end's memory, and the in-flight log that it keeps for us. What is mapped here may be
 * cut off at any time: it is touched by nobody but guarded copies.
 */
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/reason.h"
#include "offer/vhost_user.h"
#include "virtq/inflight.h"
#include "virtq/split.h"

#define HUGE_MAX	 (UINT64_C(1) << 30)
#define FUSE_SUPER_MAGIC 0x65735546 /* <linux/magic.h> of Linux 6.1 has it not yet */

/* What offsets of mmap(2) are multiples of: st_blksize is hugetlbfs' page. */
static uint64_t page_of(int fd)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct stat st;

	if (fstat(fd, &st) || (uint64_t)st.st_blksize <= page)
		return page;
	return st.st_blksize & (st.st_blksize - 1) ? page
						   : sl_min((uint64_t)st.st_blksize, HUGE_MAX);
}

int sl_vhost_user_map(int fd, uint64_t offset, uint64_t len, struct sl_vhost_user_map *out)
{
	uint64_t page = page_of(fd), before = offset & (page - 1), end;
	struct statfs fs;

	/* Who touches it would wait for whoever serves it. */
	if (fstatfs(fd, &fs) || fs.f_type == FUSE_SUPER_MAGIC)
		return sl_fail(EINVAL, "memory in a file system that is a process (FUSE)");
	if (!len || __builtin_add_overflow(offset, len, &end) || end > INT64_MAX - page)
		return sl_fail(EINVAL, "%llu bytes at %llu of a descriptor: no such range",
			       (unsigned long long)len, (unsigned long long)offset);
	out->map_len = (size_t)((len + before + page - 1) & ~(page - 1));
	out->map = mmap(NULL, out->map_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
			(off_t)(offset - before));
	if (out->map == MAP_FAILED) {
		out->map = NULL;
		return sl_fail(ENOMEM, "cannot map %llu bytes of memory of the front end's: %m",
			       (unsigned long long)len);
	}
	out->base = (uint8_t *)out->map + before;
	return 0;
}

void sl_vhost_user_unmap(struct sl_vhost_user_map *map)
{
	if (map->map)
		munmap(map->map, map->map_len);
	*map = (struct sl_vhost_user_map){0};
}

int sl_vhost_user_memory_add(struct vhost_user *t, const struct vhost_user_memory_region *r, int fd)
{
	struct vhost_user_slot *slot = &t->slots[t->n_slots];
	struct sl_region region = {.fd = -1, .access = SL_REGION_READ | SL_REGION_WRITE};
	int ret;

	if (t->n_slots == VHOST_USER_MEM_SLOTS)
		return sl_fail(ENOSPC, "more than %d memory regions", VHOST_USER_MEM_SLOTS);
	if (r->userspace_addr + r->memory_size < r->userspace_addr)
		return sl_fail(EINVAL, "a memory region of %llu bytes at user address 0x%llx",
			       (unsigned long long)r->memory_size,
			       (unsigned long long)r->userspace_addr);
	ret = sl_vhost_user_map(fd, r->mmap_offset, r->memory_size, &slot->map);
	if (ret)
		return ret;
	region.base = slot->map.base;
	region.len = (size_t)r->memory_size;
	ret = sl_offer_map(t->transport.offer, (sl_iova){r->guest_phys_addr}, &region);
	if (ret) {
		sl_vhost_user_unmap(&slot->map);
		return ret;
	}
	slot->guest = r->guest_phys_addr;
	slot->user = r->userspace_addr;
	slot->len = r->memory_size;
	t->n_slots++;
	return 0;
}

static void remove_slot(struct vhost_user *t, unsigned n)
{
	struct vhost_user_slot *slot = &t->slots[n];
	struct sl_iova_range range = {{slot->guest}, {slot->guest + slot->len - 1}};

	sl_offer_unmap(t->transport.offer, range);
	sl_vhost_user_unmap(&slot->map);
	*slot = t->slots[--t->n_slots];
}

/* "Identified by its guest address, user address and size. The mmap offset is ignored." */
int sl_vhost_user_memory_remove(struct vhost_user *t, const struct vhost_user_memory_region *r)
{
	for (unsigned i = 0; i < t->n_slots; i++) {
		const struct vhost_user_slot *slot = &t->slots[i];

		if (slot->guest != r->guest_phys_addr || slot->user != r->userspace_addr ||
		    slot->len != r->memory_size)
			continue;
		remove_slot(t, i);
		return 0;
	}
	return sl_fail(ENOENT, "there is no memory region of %llu bytes at 0x%llx",
		       (unsigned long long)r->memory_size, (unsigned long long)r->guest_phys_addr);
}

void sl_vhost_user_memory_clear(struct vhost_user *t)
{
	while (t->n_slots)
		remove_slot(t, t->n_slots - 1);
}

void *sl_vhost_user_memory_find(const struct vhost_user *t, uint64_t user, size_t len)
{
	for (unsigned i = 0; i < t->n_slots; i++) {
		const struct vhost_user_slot *slot = &t->slots[i];
		uint64_t at = user - slot->user;

		if (at < slot->len && len <= slot->len - at)
			return (uint8_t *)slot->map.base + at;
	}
	return NULL;
}

/*
 * The in-flight log ("Inflight I/O tracking").
 */

/* Before the features are known, the longer of the two. */
static bool packed_log(const struct vhost_user *t)
{
	return !t->started || vhost_user_has(t, VIRTIO_F_RING_PACKED);
}

static int check_inflight(const struct vhost_user *t, const struct vhost_user_inflight *is)
{
	if (!is->num_queues || is->num_queues > t->n_rings || !is->queue_size ||
	    is->queue_size > VIRTQ_SIZE_MAX)
		return sl_fail(EINVAL, "an in-flight log of %u queues with %u entries",
			       is->num_queues, is->queue_size);
	return 0;
}

int sl_vhost_user_inflight_make(const struct vhost_user *t, struct vhost_user_inflight *is)
{
	int fd, ret = check_inflight(t, is);

	if (ret)
		return ret;
	is->mmap_offset = 0;
	is->mmap_size = is->num_queues * sl_virtq_inflight_len(is->queue_size, packed_log(t));
	fd = memfd_create("sluice-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return sl_fail(errno, "no memory for an in-flight log: %m");
	if (ftruncate(fd, (off_t)is->mmap_size) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)) {
		ret = sl_fail(errno, "no memory for an in-flight log: %m");
		sl_fd_close(&fd);
		return ret;
	}
	return fd;
}

int sl_vhost_user_inflight_set(struct vhost_user *t, const struct vhost_user_inflight *is, int fd)
{
	struct sl_vhost_user_map map = {0};
	struct stat st;
	uint64_t end;
	int ret = check_inflight(t, is);

	if (ret)
		return ret;
	if (__builtin_add_overflow(is->mmap_offset, is->mmap_size, &end) || fstat(fd, &st) ||
	    end > (uint64_t)st.st_size || is->mmap_offset & 7 ||
	    is->mmap_size < is->num_queues * sl_virtq_inflight_len(is->queue_size, packed_log(t)))
		return sl_fail(EINVAL,
			       "an in-flight log of %u queues with %u entries does not fit into "
			       "%llu bytes at %llu",
			       is->num_queues, is->queue_size, (unsigned long long)is->mmap_size,
			       (unsigned long long)is->mmap_offset);
	ret = sl_vhost_user_map(fd, is->mmap_offset, is->mmap_size, &map);
	if (ret)
		return ret;
	sl_vhost_user_unmap(&t->inflight);
	t->inflight = map;
	t->inflight_is = *is;
	return 0;
}

void *sl_vhost_user_inflight_of(const struct vhost_user *t, unsigned n)
{
	size_t len = sl_virtq_inflight_len(t->inflight_is.queue_size, packed_log(t));

	if (!t->inflight.map || n >= t->inflight_is.num_queues ||
	    t->rings[n].size > t->inflight_is.queue_size ||
	    (n + 1) * len > t->inflight_is.mmap_size)
		return NULL;
	return (uint8_t *)t->inflight.base + n * len;
}
