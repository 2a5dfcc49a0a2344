/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Internet checksum. Words of 32 bits are added up in 64: no carry is lost before
 * 16 GiB, and one's complement sums of any word size fold to the same 16 bits
 * (RFC 1071, 2 (B) and (C)).
 */
#include "packet/csum.h"
#include "base/bytes.h"

#define BLOCK 64u

/* One's complement addition: the carry comes back in at the bottom. */
static inline uint64_t add(uint64_t a, uint64_t b)
{
	uint64_t sum = a + b;

	return sum + (sum < a);
}

/* Whole blocks only. Two sums with nothing between them: compilers vectorise this loop. */
static inline __attribute__((always_inline)) uint64_t add_blocks(const uint8_t *p, size_t blocks)
{
	uint64_t low = 0, high = 0;

	for (size_t n = 0; n < blocks * (BLOCK / 8); n++) {
		uint64_t word;

		memcpy(&word, p + n * 8, 8);
		low += word & 0xffffffff;
		high += word >> 32;
	}
	return low + high;
}

/* The same, and the bytes are copied on the way. */
static inline __attribute__((always_inline)) uint64_t copy_blocks(uint8_t *restrict to,
								  const uint8_t *restrict p,
								  size_t blocks)
{
	uint64_t low = 0, high = 0;

	for (size_t n = 0; n < blocks * (BLOCK / 8); n++) {
		uint64_t word;

		memcpy(&word, p + n * 8, 8);
		memcpy(to + n * 8, &word, 8);
		low += word & 0xffffffff;
		high += word >> 32;
	}
	return low + high;
}

#ifdef __x86_64__
__attribute__((target("avx2"), noinline)) static uint64_t add_blocks_avx2(const uint8_t *p,
									  size_t blocks)
{
	return add_blocks(p, blocks);
}

__attribute__((target("avx2"), noinline)) static uint64_t copy_blocks_avx2(
	uint8_t *restrict to, const uint8_t *restrict p, size_t blocks)
{
	return copy_blocks(to, p, blocks);
}

/* Not target_clones: its ifunc resolver runs before the sanitizers are up, and musl has none. */
static inline uint64_t add_bulk(const uint8_t *p, size_t blocks)
{
	return __builtin_cpu_supports("avx2") ? add_blocks_avx2(p, blocks) : add_blocks(p, blocks);
}

static inline uint64_t copy_bulk(uint8_t *to, const uint8_t *p, size_t blocks)
{
	return __builtin_cpu_supports("avx2") ? copy_blocks_avx2(to, p, blocks)
					      : copy_blocks(to, p, blocks);
}
#else
static inline uint64_t copy_bulk(uint8_t *to, const uint8_t *p, size_t blocks)
{
	return copy_blocks(to, p, blocks);
}

static inline uint64_t add_bulk(const uint8_t *p, size_t blocks)
{
	return add_blocks(p, blocks);
}
#endif

/* The last len % BLOCK bytes; a lone last byte is padded with a zero behind it. */
static inline uint64_t add_tail(const uint8_t *p, size_t len)
{
	uint64_t sum = 0, word;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&word, p, 8);
		sum += (word & 0xffffffff) + (word >> 32);
	}
	if (len & 4) {
		uint32_t v;

		memcpy(&v, p, 4);
		sum += v;
		p += 4;
	}
	if (len & 2) {
		uint16_t v;

		memcpy(&v, p, 2);
		sum += v;
		p += 2;
	}
	return len & 1 ? sum + *p : sum;
}

uint64_t sl_csum_add(uint64_t sum, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	size_t blocks = len / BLOCK;

	if (blocks)
		sum = add(sum, add_bulk(p, blocks));
	return add(sum, add_tail(p + blocks * BLOCK, len % BLOCK));
}

uint64_t sl_csum_copy(void *to, const void *bytes, size_t len, uint64_t sum)
{
	const uint8_t *p = bytes;
	uint8_t *out = to;
	size_t blocks = len / BLOCK, done = blocks * BLOCK;

	if (blocks)
		sum = add(sum, copy_bulk(out, p, blocks));
	if (done == len)
		return sum;
	memcpy(out + done, p + done, len - done);
	return add(sum, add_tail(out + done, len - done));
}

uint64_t sl_csum_add_odd(uint64_t sum, const void *bytes, size_t len)
{
	/* RFC 1071, 2 (B): swapping the bytes of all words swaps the bytes of the sum. */
	return add(sum, __builtin_bswap16(sl_csum_fold(sl_csum_add(0, bytes, len))));
}

uint16_t sl_csum_fold(uint64_t sum)
{
	uint32_t half;

	sum = (sum & 0xffffffff) + (sum >> 32); /* at most 0x1fffffffe, so half 0x1fffe */
	half = (uint32_t)(sum & 0xffff) + (uint32_t)(sum >> 16 & 0xffff) + (uint32_t)(sum >> 32);
	return (uint16_t)((half & 0xffff) + (half >> 16));
}

uint64_t sl_csum_pseudo(const uint8_t *copy, const struct sl_headers *h, uint32_t l4_len)
{
	uint64_t sum = (uint64_t)__builtin_bswap32(l4_len) + __builtin_bswap16(h->proto);

	if (h->ip == 4)
		return sl_csum_add(sum, copy + h->l3 + 12, 8);
	return sl_csum_add(sum, copy + h->l3 + 8, 32);
}

void sl_csum_ipv4(uint8_t *ip)
{
	uint16_t sum = 0;

	memcpy(ip + 10, &sum, 2);
	sum = (uint16_t)~sl_csum_fold(sl_csum_add(0, ip, (ip[0] & 0xfu) * 4));
	memcpy(ip + 10, &sum, 2);
}

void sl_csum_update(uint8_t *field, uint16_t was, uint16_t is)
{
	uint16_t sum;

	/* RFC 1624, 3: HC' = ~(~HC + ~m + m') */
	memcpy(&sum, field, 2);
	sum = (uint16_t)~sl_csum_fold((uint64_t)(uint16_t)~sum + (uint16_t)~was + is);
	memcpy(field, &sum, 2);
}
