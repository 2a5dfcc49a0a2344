/* SPDX-License-Identifier: BSD-2-Clause */
/* What tests of the driver's side of a virtqueue share: the queue @vq, in @memory. */
#ifndef SL_TESTS_VIRTQ_DRIVER_H
#define SL_TESTS_VIRTQ_DRIVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "virtq/driver.h"

#define DRIVER_ELEMS 16

static struct virtq_driver vq;
static uint8_t *memory;

/* Memory of just the length that the layout says, for ASan to see what is touched behind it. */
static inline void open_driver(const struct virtq_options *o)
{
	struct virtq_layout layout = sl_virtq_layout(o->size, o->packed);

	memory = aligned_alloc(16, (layout.len + 15) & ~(size_t)15);
	assert_non_null(memory);
	memset(memory, 0, layout.len);
	assert_int_equal(sl_virtq_open(&vq, o, memory), 0);
}

static inline void close_driver(void)
{
	sl_virtq_close(&vq);
	free(memory);
}

/* Elements of 100, 101 ... bytes. */
static inline int add(uint64_t addr, unsigned n_read, unsigned n)
{
	struct virtq_elem elems[DRIVER_ELEMS];

	for (unsigned i = 0; i < n; i++)
		elems[i] = (struct virtq_elem){{addr + i}, 100 + i};
	return sl_virtq_add(&vq, elems, n_read, n);
}

static inline int get(uint32_t *len)
{
	*len = 12345;
	return sl_virtq_get(&vq, len);
}

static inline void assert_none(void)
{
	uint32_t len;

	assert_int_equal(get(&len), -EAGAIN);
}

static inline void assert_broken(const char *why)
{
	uint32_t len;

	assert_int_equal(get(&len), -EPROTO);
	assert_non_null(strstr(vq.broken, why));
	if (!vq.packed)
		vq.used->idx = vq.taken; /* what it says now does not help it */
	assert_int_equal(get(&len), -EPROTO);
	assert_int_equal(sl_virtq_look(&vq), -EPROTO);
	close_driver();
}

#endif
