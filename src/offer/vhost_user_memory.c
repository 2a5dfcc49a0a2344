/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The front end's memory, and the in-flight log that it keeps for us. What is mapped here may be
 * cut off at any time: it is touched by guarded copies, or kept (a NIC's).
 */
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/reason.h"
#include "offer/vhost_user.h"
#include "virtq/inflight.h"
#include "virtq/split.h"

int sl_vhost_user_memory_add(struct vhost_user *t, const struct vhost_user_memory_region *r, int fd)
{
	struct vhost_user_slot *slot = &t->slots[t->n_slots];
	struct sl_offer *o = t->transport.offer;
	struct sl_region region = {.fd = -1, .access = SL_REGION_READ | SL_REGION_WRITE};
	unsigned how = FILE_MAP_WRITE | (sl_offer_is_net(o) ? FILE_MAP_KEEP : 0);
	struct stat st = {0};
	int ret;

	if (t->n_slots == VHOST_USER_MEM_SLOTS)
		return sl_fail(ENOSPC, "more than %d memory regions", VHOST_USER_MEM_SLOTS);
	if (r->userspace_addr + r->memory_size < r->userspace_addr)
		return sl_fail(EINVAL, "a memory region of %llu bytes at user address 0x%llx",
			       (unsigned long long)r->memory_size,
			       (unsigned long long)r->userspace_addr);
	ret = sl_file_map(fd, r->mmap_offset, r->memory_size, how, &slot->map);
	if (ret)
		return ret;
	region.base = slot->map.base;
	region.len = (size_t)r->memory_size;
	ret = sl_offer_map(o, (sl_iova){r->guest_phys_addr}, &region);
	if (ret) {
		sl_file_unmap(&slot->map);
		return ret;
	}
	slot->guest = r->guest_phys_addr;
	slot->user = r->userspace_addr;
	slot->len = r->memory_size;
	fstat(fd, &st);
	slot->dev = st.st_dev;
	slot->ino = st.st_ino;
	t->n_slots++;
	return 0;
}

static void remove_slot(struct vhost_user *t, unsigned n)
{
	struct vhost_user_slot *slot = &t->slots[n];
	struct sl_iova_range range = {{slot->guest}, {slot->guest + slot->len - 1}};

	sl_offer_unmap(t->transport.offer, range);
	sl_file_unmap(&slot->map);
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
	struct file_map map = {0};
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
	ret = sl_file_map(fd, is->mmap_offset, is->mmap_size, FILE_MAP_WRITE, &map);
	if (ret)
		return ret;
	sl_file_unmap(&t->inflight);
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
