/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory whose parts are written by different threads: it starts on a line of its own. */
#ifndef SL_BASE_MEMORY_H
#define SL_BASE_MEMORY_H

#include <stdlib.h>
#include <string.h>

#include "base/barrier.h"

/* Zeroed, in whole lines; free() releases it. NULL when there is none. */
static inline void *sl_alloc_lines(size_t len)
{
	size_t whole = (len + SL_LINE - 1) & ~(size_t)(SL_LINE - 1);
	void *memory = aligned_alloc(SL_LINE, whole);

	return memory ? memset(memory, 0, whole) : NULL;
}

#endif
