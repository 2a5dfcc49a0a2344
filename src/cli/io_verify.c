/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What has to be on the disk. A block that was written says where it belongs and by which run and
 * generation it was written; all of its other bytes follow from that, so a block is right or wrong
 * as a whole, also for a run that comes later and knows nothing.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "cli/io.h"

#define MAGIC	UINT64_C(0x6f69206563696c73) /* "slice io" */
#define UNKNOWN 0u
#define STEP	UINT64_C(0x9e3779b97f4a7c15) /* odd: all words of a block differ */

/** struct head - the first bytes of a block */
struct head {
	uint64_t magic, run, offset;
	uint32_t generation, len;
};

/**
 * struct io_verify - a range of blocks
 * @run:     random, to tell runs apart
 * @known:   by block: the generation that it has, UNKNOWN, IO_ZEROES
 * @busy:    by block, a bit: a request is on its way
 * @last:    the generation that was written last, of all blocks
 * @wanted:  room for a block
 */
struct io_verify {
	uint64_t run, offset, n;
	uint32_t len, last;
	uint32_t *known;
	uint64_t *busy;
	uint8_t *wanted;
};

int io_verify_create(uint64_t offset, uint32_t len, uint64_t n, struct io_verify **out)
{
	struct io_verify *v = calloc(1, sizeof(*v));

	if (!v)
		return sl_fail(ENOMEM, "no memory to verify");
	*v = (struct io_verify){.offset = offset, .len = len, .n = n};
	v->known = calloc(n, sizeof(*v->known));
	v->busy = calloc(n / 64 + 1, sizeof(*v->busy));
	v->wanted = malloc(len);
	if (!v->known || !v->busy || !v->wanted) {
		io_verify_release(v);
		return sl_fail(ENOMEM, "no memory to verify %llu blocks: take a smaller --size",
			       (unsigned long long)n);
	}
	if (getrandom(&v->run, sizeof(v->run), 0) != sizeof(v->run)) {
		io_verify_release(v);
		return sl_fail(EIO, "no random number");
	}
	*out = v;
	return 0;
}

void io_verify_release(struct io_verify *v)
{
	if (!v)
		return;
	free(v->known);
	free(v->busy);
	free(v->wanted);
	free(v);
}

static bool is_busy(const struct io_verify *v, uint64_t block)
{
	return v->busy[block / 64] >> block % 64 & 1;
}

uint64_t io_verify_take(struct io_verify *v, uint64_t block, uint64_t within, bool known)
{
	for (; within; within--, block++) {
		if (block >= v->n)
			block = 0;
		if (is_busy(v, block) || (known && v->known[block] == UNKNOWN))
			continue;
		v->busy[block / 64] |= UINT64_C(1) << block % 64;
		return block;
	}
	return UINT64_MAX;
}

void io_verify_done(struct io_verify *v, uint64_t block)
{
	v->busy[block / 64] &= ~(UINT64_C(1) << block % 64);
}

void io_verify_written(struct io_verify *v, uint64_t block, uint32_t generation)
{
	v->known[block] = generation;
}

/*
 * The pattern.
 */

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void fill(uint8_t *to, const struct head *head)
{
	uint64_t key = mix(head->run ^ mix(head->offset ^ mix(head->generation)));

	memcpy(to, head, sizeof(*head));
	for (uint32_t at = sizeof(*head); at < head->len; at += sizeof(key)) {
		key += STEP;
		memcpy(to + at, &key, sizeof(key));
	}
}

uint32_t io_verify_begin(struct io_verify *v, uint64_t block, uint8_t *data)
{
	struct head head = {MAGIC, v->run, v->offset + block * v->len, 0, v->len};

	if (++v->last == IO_ZEROES)
		v->last = UNKNOWN + 1;
	head.generation = v->last;
	fill(data, &head);
	return v->last;
}

static uint32_t differs_at(const uint8_t *a, const uint8_t *b, uint32_t len)
{
	uint32_t at = 0;

	while (at < len && a[at] == b[at])
		at++;
	return at;
}

static int wrong(const struct io_verify *v, const struct head *found, const uint8_t *data,
		 uint64_t offset, uint32_t generation)
{
	uint32_t at = differs_at(data, v->wanted, v->len);

	if (found->magic != MAGIC)
		return sl_fail(EILSEQ, "at %llu: byte %u of a block is wrong (generation %u)",
			       (unsigned long long)offset, at, generation);
	if (found->offset != offset)
		return sl_fail(EILSEQ, "at %llu is what belongs to %llu",
			       (unsigned long long)offset, (unsigned long long)found->offset);
	if (found->run != v->run && generation != UNKNOWN)
		return sl_fail(EILSEQ, "at %llu is what another run has written",
			       (unsigned long long)offset);
	if (found->generation != generation && generation != UNKNOWN)
		return sl_fail(EILSEQ, "at %llu is generation %u, not %u",
			       (unsigned long long)offset, found->generation, generation);
	return sl_fail(EILSEQ, "at %llu: byte %u of a block of generation %u is wrong",
		       (unsigned long long)offset, at, found->generation);
}

int io_verify_check(struct io_verify *v, uint64_t block, const uint8_t *data)
{
	uint64_t offset = v->offset + block * v->len;
	uint32_t generation = v->known[block];
	struct head found, head = {MAGIC, v->run, offset, generation, v->len};

	memcpy(&found, data, sizeof(found));
	if (generation == IO_ZEROES) {
		memset(v->wanted, 0, v->len);
	} else if (generation != UNKNOWN) {
		fill(v->wanted, &head);
	} else if (found.magic != MAGIC) {
		return 1;
	} else { /* a run before has written it: it has to be whole */
		head.run = found.run;
		head.generation = found.generation;
		fill(v->wanted, &head);
	}
	if (!memcmp(data, v->wanted, v->len))
		return 0;
	return wrong(v, &found, data, offset, generation);
}
