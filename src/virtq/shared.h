/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Access to memory that somebody else shares, changes under our feet, and may take away: a driver's
 * rings, a front end's in-flight log. All through the guard, which the compiler does not look into:
 * what is read is read once, and writes happen in the order in which they stand here.
 *
 * 1, 2, 4 and 8 bytes, aligned, are read and written whole. 0, or -EFAULT when they are gone.
 */
#ifndef SL_VIRTQ_SHARED_H
#define SL_VIRTQ_SHARED_H

#include <stdint.h>
#include <string.h>

#include <sluice/guard.h>

#include "base/barrier.h"

#if defined(__SANITIZE_THREAD__)
#define SL_SHARED_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SL_SHARED_TSAN 1
#endif
#endif

#ifdef SL_SHARED_TSAN
/* The guard is assembler, which ThreadSanitizer does not see: this it does. Indices and flags are
 * atomic; what they publish is not, so that a wrong order is found. */
static inline int sl_shared_copy(void *to, const void *from, size_t len)
{
	if (len == 2)
		sl_store_relaxed((uint16_t *)to, sl_load_relaxed((const uint16_t *)from));
	else if (len == 4)
		sl_store_relaxed((uint32_t *)to, sl_load_relaxed((const uint32_t *)from));
	else
		memcpy(to, from, len);
	return 0;
}

static inline int sl_shared_acquire(uint16_t *to, const uint16_t *from)
{
	*to = sl_load_acquire(from);
	return 0;
}

static inline int sl_shared_release(void *to, const void *from, size_t len)
{
	uint16_t last;

	memcpy(to, from, len - 2);
	memcpy(&last, (const uint8_t *)from + len - 2, 2);
	sl_store_release((uint16_t *)(void *)((uint8_t *)to + len - 2), last);
	return 0;
}

#else

static inline int sl_shared_copy(void *to, const void *from, size_t len)
{
	return sl_guard_copy(to, from, len);
}

/** sl_shared_acquire() - read an index or flags: what they publish is read after them */
static inline int sl_shared_acquire(uint16_t *to, const uint16_t *from)
{
	int err = sl_guard_copy(to, from, sizeof(*to));

	sl_fence_acquire();
	return err;
}

/** sl_shared_release() - write @len bytes, 2 or 8; the last 2 publish what was written before */
static inline int sl_shared_release(void *to, const void *from, size_t len)
{
	sl_fence_release();
	return sl_guard_copy(to, from, len);
}

#endif

#endif
