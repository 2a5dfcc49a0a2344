/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which physical address memory has. Only huge pages that were reserved stay where they are: all
 * others the kernel moves as it likes, locked or not (compaction).
 */
#ifndef SL_DEVICE_UIO_MEMORY_H
#define SL_DEVICE_UIO_MEMORY_H

#include <sluice/space_user.h>

/* As the user of a space it sees to it that each mapping's IOVA is its physical address. */
struct uio_memory {
	struct sl_space_user user;
	int pagemap, kpageflags;
};

/* 0; -EPERM without CAP_SYS_ADMIN, which alone may know. To be closed whatever is returned. */
int sl_uio_memory_open(struct uio_memory *memory, const char *root);

void sl_uio_memory_close(struct uio_memory *memory);

/*
 * Where @len bytes at @at lie. 0; -EOPNOTSUPP when they are no huge pages; -EINVAL when they are
 * not side by side.
 */
int sl_uio_memory_iova(const struct uio_memory *memory, const void *at, uint64_t len, sl_iova *out);

#endif
