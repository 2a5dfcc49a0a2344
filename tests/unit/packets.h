/* SPDX-License-Identifier: BSD-2-Clause */
/* Random traffic for tests. Nothing here uses src/packet/ but for its structs. */
#ifndef SL_TESTS_PACKETS_H
#define SL_TESTS_PACKETS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sluice/packet.h>

#include "slow.h"

static uint64_t seed; /* of the case that runs */

#define want(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail_msg("seed %llu, line %d: %s", (unsigned long long)seed, __LINE__,     \
				 #condition);                                                      \
	} while (0)

/* splitmix64 */
static inline uint64_t random_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* low <= result <= high */
static inline uint32_t random_in(uint64_t *state, uint32_t low, uint32_t high)
{
	return low + (uint32_t)(random_next(state) % (high - low + 1u));
}

static inline void random_fill(uint64_t *state, uint8_t *to, size_t len)
{
	for (size_t n = 0; n < len; n++)
		to[n] = (uint8_t)random_next(state);
}

/**
 * struct sample - a packet and the truth about it
 * @len: of @bytes, with the padding behind the IP length
 * @h:   what a parser must find
 */
struct sample {
	uint8_t *bytes;
	uint32_t len;
	unsigned layer;
	struct sl_headers h;
};

static inline uint32_t build_ethernet(uint64_t *r, uint8_t *p, uint8_t ip)
{
	uint32_t at = 12;

	random_fill(r, p, 12);
	for (uint32_t tags = random_in(r, 0, 2); tags; tags--, at += 4) {
		put16(p + at, random_next(r) & 1 ? 0x8100 : 0x88a8);
		put16(p + at + 2, random_in(r, 0, 0xffff));
	}
	put16(p + at, ip == 4 ? 0x0800 : 0x86dd);
	return at + 2;
}

/* The length field is left for later. Options: no-operations, then a record route. */
static inline uint32_t build_ipv4(uint64_t *r, uint8_t *p, uint8_t proto)
{
	uint32_t len = random_next(r) & 1 ? 20 : 4 * random_in(r, 5, 15);
	uint32_t nops = len > 20 ? random_in(r, 0, len - 20) : 0;

	random_fill(r, p, len);
	p[0] = (uint8_t)(0x40 | len / 4);
	put16(p + 6, random_next(r) & 1 ? 0x4000 : 0);
	p[9] = proto;
	memset(p + 20, 1, len - 20);
	if (len - 20 - nops >= 3) {
		p[20 + nops] = 7;
		p[21 + nops] = (uint8_t)(len - 20 - nops);
		p[22 + nops] = 4;
	}
	return len;
}

static inline uint32_t build_ipv6(uint64_t *r, uint8_t *p, uint8_t proto)
{
	uint8_t *next = p + 6;
	uint32_t len = 40;

	random_fill(r, p, 40);
	p[0] = (uint8_t)(0x60 | (p[0] & 15));
	for (uint32_t n = random_next(r) & 1 ? 0 : random_in(r, 0, 3); n; n--) {
		uint32_t kind = random_in(r, len == 40 ? 0 : 1, 2), words = random_in(r, 0, 2);

		*next = (uint8_t[]){0, 43, 60}[kind];
		random_fill(r, p + len, 8 + 8 * words);
		next = p + len;
		p[len + 1] = (uint8_t)words;
		if (kind == 1)
			p[len + 3] = 0;
		len += 8 + 8 * words;
	}
	*next = proto;
	return len;
}

static inline uint32_t build_l4(uint64_t *r, uint8_t *p, uint8_t proto, uint32_t payload)
{
	uint32_t len = 8;

	if (proto == 6)
		len = random_next(r) & 1 ? 20 : 4 * random_in(r, 5, 15);
	random_fill(r, p, len + payload);
	if (proto == 6)
		p[12] = (uint8_t)(len / 4 << 4 | (p[12] & 15));
	else
		put16(p + 4, len + payload);
	return len;
}

/* A packet with @payload bytes (less when that does not fit into an IP length), its
 * checksums complete. */
static inline struct sample sample_make(uint64_t *r, uint32_t payload)
{
	static uint8_t p[70000];
	struct sample s = {.layer = random_in(r, 2, 3)};
	struct sl_headers *h = &s.h;

	h->ip = random_next(r) & 1 ? 4 : 6;
	h->proto = random_next(r) & 1 ? 6 : 17;
	h->l3 = (uint16_t)(s.layer == 2 ? build_ethernet(r, p, h->ip) : 0);
	h->l4 = (uint16_t)(h->l3 + (h->ip == 4 ? build_ipv4(r, p + h->l3, h->proto)
					       : build_ipv6(r, p + h->l3, h->proto)));
	payload = payload > 65535u - 60 - (h->l4 - h->l3) ? 65535u - 60 - (h->l4 - h->l3) : payload;
	h->payload = (uint16_t)(h->l4 + build_l4(r, p + h->l4, h->proto, payload));
	h->end = h->payload + payload;
	if (h->ip == 4)
		put16(p + h->l3 + 2, h->end - h->l3);
	else
		put16(p + h->l3 + 4, h->end - h->l3 - 40);
	slow_complete(p, h);
	s.len = h->end + (random_in(r, 0, 3) ? 0 : random_in(r, 1, 20));
	random_fill(r, p + h->end, s.len - h->end);
	s.bytes = exact(p, s.len);
	return s;
}

static inline void sample_free(struct sample *s)
{
	exact_free(s->bytes, s->len);
}

#endif
