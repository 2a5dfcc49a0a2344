/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the library knows about checksums said a second time, slowly and on its own:
 * nothing here uses src/packet/ but for its structs.
 */
#ifndef SL_TESTS_SLOW_H
#define SL_TESTS_SLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "packet/headers.h"

/* A copy in memory of exactly its size, so that a sanitizer sees one byte too many. */
static inline uint8_t *exact(const void *bytes, size_t len)
{
	uint8_t *copy = calloc(1, len ? len : 1);

	if (!copy)
		abort();
	memcpy(copy, bytes, len);
	return len ? copy : copy + 1;
}

static inline void exact_free(uint8_t *copy, size_t len)
{
	free(len ? copy : copy - 1);
}

static inline unsigned get16(const uint8_t *p)
{
	return (unsigned)(p[0] << 8 | p[1]);
}

static inline void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* RFC 1071 by the book: big-endian words, folded at every step, an odd end padded. */
static inline unsigned slow_sum(unsigned sum, const uint8_t *p, size_t len)
{
	for (size_t n = 0; n < len; n += 2) {
		sum += (unsigned)(p[n] << 8) + (n + 1 < len ? p[n + 1] : 0);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static inline unsigned slow_pseudo(const uint8_t *packet, const struct sl_headers *h, size_t l4_len)
{
	uint8_t tail[8] = {0, 0, 0, 0, 0, 0, 0, h->proto};

	put16(tail, (unsigned)(l4_len >> 16));
	put16(tail + 2, (unsigned)l4_len);
	if (h->ip == 4)
		return slow_sum(slow_sum(0, packet + h->l3 + 12, 8), tail, 8);
	return slow_sum(slow_sum(0, packet + h->l3 + 8, 32), tail, 8);
}

/* Are the checksums of a whole packet right? */
static inline bool slow_valid(const uint8_t *packet, const struct sl_headers *h)
{
	size_t l4_len = h->end - h->l4;

	if (h->ip == 4 && slow_sum(0, packet + h->l3, (packet[h->l3] & 15u) * 4) != 0xffff)
		return false;
	return slow_sum(slow_pseudo(packet, h, l4_len), packet + h->l4, l4_len) == 0xffff;
}

static inline unsigned csum_offset(const struct sl_headers *h)
{
	return h->proto == 6 ? 16 : 6;
}

/* Store the checksums anew, over whatever is in their fields. */
static inline void slow_complete(uint8_t *packet, const struct sl_headers *h)
{
	uint8_t *field = packet + h->l4 + csum_offset(h);
	size_t l4_len = h->end - h->l4;
	unsigned sum;

	if (h->ip == 4) {
		put16(packet + h->l3 + 10, 0);
		sum = ~slow_sum(0, packet + h->l3, (packet[h->l3] & 15u) * 4);
		put16(packet + h->l3 + 10, sum);
	}
	put16(field, 0);
	sum = ~slow_sum(slow_pseudo(packet, h, l4_len), packet + h->l4, l4_len) & 0xffff;
	put16(field, sum || h->proto == 6 ? sum : 0xffff);
}

#endif
