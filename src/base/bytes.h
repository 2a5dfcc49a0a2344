/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes: fields of packets at any alignment, and the macros everybody needs. */
#ifndef SL_BASE_BYTES_H
#define SL_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define sl_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define sl_array_len(a)			   (sizeof(a) / sizeof((a)[0]))
#define sl_min(a, b)			   ((a) < (b) ? (a) : (b))
#define sl_max(a, b)			   ((a) > (b) ? (a) : (b))

static inline uint16_t sl_get_be16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap16(v);
}

static inline uint32_t sl_get_be32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline void sl_put_be16(void *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void sl_put_be32(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "sluice is for little-endian machines: nothing here was tested on another"
#endif

#endif
