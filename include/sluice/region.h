/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A region: a piece of memory that both sides of something see.
 */
#ifndef SLUICE_REGION_H
#define SLUICE_REGION_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	SL_REGION_READ = 1u << 0,
	SL_REGION_WRITE = 1u << 1,
};

/**
 * struct sl_region - memory, where it comes from and where it is mapped
 * @base:   where this process has it mapped
 * @len:    its length in bytes
 * @fd:     what it is a mapping of, or -1 for anonymous memory; owned by who
 *          made the region
 * @offset: where in @fd it begins, in bytes
 * @access: SL_REGION_READ, SL_REGION_WRITE
 * @id:     what fragments call it; unique within the port that lends it
 */
struct sl_region {
	void *base;
	size_t len;
	int fd;
	uint64_t offset;
	uint32_t access;
	uint16_t id;
};

#ifdef __cplusplus
}
#endif
#endif
