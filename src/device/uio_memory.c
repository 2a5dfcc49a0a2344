/* SPDX-License-Identifier: BSD-2-Clause */
/* Documentation/admin-guide/mm/pagemap.rst of the kernel. */
#include "device/uio_memory.h"

#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/reason.h"
#include "device/pci_sysfs.h"

#define PAGE	((uint64_t)4096)
#define PRESENT (UINT64_C(1) << 63)
#define FRAME	((UINT64_C(1) << 55) - 1)
#define NO_PRIVILEGE                                                                               \
	"/proc/self/pagemap hides where memory lies: UIO needs CAP_SYS_ADMIN; run as root"

static struct uio_memory *memory_of(struct sl_space_user *user)
{
	return sl_container_of(user, struct uio_memory, user);
}

static int entry(int fd, uint64_t index, uint64_t *value)
{
	if (pread(fd, value, sizeof(*value), (off_t)(index * sizeof(*value))) ==
	    (ssize_t)sizeof(*value))
		return 0;
	return sl_fail(EIO, "/proc does not say where memory lies");
}

static int frame_of(const struct uio_memory *memory, uint64_t number, uint64_t *frame)
{
	uint64_t page, flags;
	int ret = entry(memory->pagemap, number, &page);

	if (ret)
		return ret;
	*frame = page & FRAME;
	if (!(page & PRESENT))
		return sl_fail(EOPNOTSUPP, "this memory is not there yet");
	if (!*frame)
		return sl_fail(EPERM, NO_PRIVILEGE);
	ret = entry(memory->kpageflags, *frame, &flags);
	if (!ret && !(flags >> KPF_HUGE & 1))
		ret = sl_fail(EOPNOTSUPP,
			      "over UIO a device reaches huge pages only, which the kernel "
			      "does not move: sl_dma_create() makes such memory");
	return ret;
}

int sl_uio_memory_iova(const struct uio_memory *memory, const void *at, uint64_t len, sl_iova *out)
{
	uint64_t first = (uintptr_t)at / PAGE, last = ((uintptr_t)at + len - 1) / PAGE;
	uint64_t frame = 0, first_frame = 0;
	int ret = 0;

	for (uint64_t page = first; page <= last && !ret; page++) {
		ret = frame_of(memory, page, &frame);
		if (page == first)
			first_frame = frame;
		else if (!ret && frame != first_frame + (page - first))
			ret = sl_fail(EINVAL, "this memory is not in one piece for a device");
	}
	if (!ret)
		out->value = first_frame * PAGE + (uintptr_t)at % PAGE;
	return ret;
}

static int memory_map(struct sl_space_user *user, const struct sl_mapping *mapping)
{
	sl_iova real;
	int ret = sl_uio_memory_iova(memory_of(user), mapping->region.base, mapping->region.len,
				     &real);

	if (!ret && sl_iova_cmp(real, mapping->at.first))
		ret = sl_fail(EOPNOTSUPP,
			      "over UIO an IOVA is a physical address, 0x%llx for this "
			      "memory: sl_dma_create() knows",
			      (unsigned long long)real.value);
	return ret;
}

static void memory_unmap(struct sl_space_user *user, const struct sl_mapping *mapping)
{
	(void)user;
	(void)mapping;
}

static const struct sl_space_user_ops memory_ops = {memory_map, memory_unmap};

static int open_proc(const char *root, const char *file, int *fd)
{
	char path[PATH_MAX];
	int ret = sl_path(path, root, "proc/%s", file);

	if (ret)
		return ret;
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	return *fd < 0 ? sl_fail(errno, "cannot open %s: %s: UIO needs CAP_SYS_ADMIN; run as root",
				 path, strerror(errno))
		       : 0;
}

int sl_uio_memory_open(struct uio_memory *memory, const char *root)
{
	int ret;

	*memory = (struct uio_memory){.user = {&memory_ops, "UIO", NULL}, -1, -1};
	ret = open_proc(root, "self/pagemap", &memory->pagemap);
	return ret ? ret : open_proc(root, "kpageflags", &memory->kpageflags);
}

void sl_uio_memory_close(struct uio_memory *memory)
{
	sl_fd_close(&memory->pagemap);
	sl_fd_close(&memory->kpageflags);
}
