/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The in-flight log, and that of a split virtqueue: QueueRegionSplit and DescStateSplit of
 * vhost-user's "Inflight I/O tracking", written in the order that is given there. A front end
 * shares it.
 */
#include <stdlib.h>

#include "base/reason.h"
#include "virtq/device.h"
#include "virtq/inflight.h"
#include "virtq/shared.h"

#define LOG_VERSION 1

/** struct region_split - all behind @features is written as one word */
struct region_split {
	uint64_t features;
	uint16_t version, desc_num, last_batch_head, used_idx;
};

struct state_split {
	uint8_t inflight, padding[5];
	uint16_t next;
	uint64_t counter;
};

#define AT(member) offsetof(struct region_split, member)
#define AT_DESC(head, member)                                                                      \
	(sizeof(struct region_split) + (size_t)(head) * sizeof(struct state_split) +               \
	 offsetof(struct state_split, member))

/* Bytes of QueueRegionPacked and DescStatePacked: inflight_packed.c */
#define PACKED_REGION 32
#define PACKED_STATE  32

size_t sl_virtq_inflight_len(uint16_t size, bool packed)
{
	size_t len = packed ? PACKED_REGION + PACKED_STATE * (size_t)size
			    : sizeof(struct region_split) + sizeof(struct state_split) * size;

	return (len + 63) & ~(size_t)63;
}

void sl_virtq_inflight_put(struct virtq_inflight *log, size_t to, const void *from, size_t len)
{
	if (sl_shared_copy(log->at + to, from, len))
		log->gone = true;
}

void sl_virtq_inflight_close(struct virtq_inflight *log)
{
	free(log->own);
	log->own = NULL;
}

static int by_turn(const void *a, const void *b)
{
	const struct virtq_inflight_turn *x = a, *y = b;

	if (x->counter != y->counter)
		return x->counter < y->counter ? -1 : 1;
	return x->entry - y->entry;
}

void sl_virtq_inflight_sort(struct virtq_inflight *log, struct virtq_inflight_turn *turns, int n,
			    uint16_t *again)
{
	qsort(turns, (size_t)n, sizeof(*turns), by_turn);
	for (int i = 0; i < n; i++)
		again[i] = turns[i].entry;
	log->counter = n ? turns[n - 1].counter + 1 : 0;
}

static int make(struct virtq_inflight *log, uint16_t used)
{
	static const struct state_split none;
	struct region_split region = {0, 0, log->size, 0, used};

	/* Version 0, "an uninitialized buffer", until all is there. */
	sl_virtq_inflight_put(log, AT(version), &region.version, sizeof(region.version));
	sl_virtq_inflight_put(log, AT(features), &region.features, sizeof(region.features));
	for (unsigned i = 0; i < log->size; i++)
		sl_virtq_inflight_put(log, AT_DESC(i, inflight), &none, sizeof(none));
	region.version = LOG_VERSION;
	sl_virtq_inflight_put(log, AT(version), &region.version, sizeof(uint64_t));
	return log->gone ? sl_fail(EFAULT, "the in-flight log is not there") : 0;
}

/* Clear what the process before has used and not cleared: the last batch. */
static int finish_batch(struct virtq_inflight *log, const struct region_split *region,
			uint16_t used)
{
	uint16_t n = (uint16_t)(used - region->used_idx), at = region->last_batch_head;
	const uint8_t zero = 0;

	if (n > log->size)
		return sl_fail(EINVAL, "an in-flight log stands at used idx %u, the queue at %u",
			       region->used_idx, used);
	for (; n; n--) {
		if (at >= log->size)
			return sl_fail(EINVAL, "an in-flight log's last batch leaves the queue");
		sl_virtq_inflight_put(log, AT_DESC(at, inflight), &zero, sizeof(zero));
		if (sl_shared_copy(&at, log->at + AT_DESC(at, next), sizeof(at)))
			log->gone = true;
	}
	sl_virtq_inflight_put(log, AT(used_idx), &used, sizeof(used));
	return log->gone ? sl_fail(EFAULT, "the in-flight log is not there") : 0;
}

static int collect(struct virtq_inflight *log, uint16_t *again)
{
	struct virtq_inflight_turn *turns = calloc(log->size, sizeof(*turns));
	struct state_split state;
	int n = 0;

	if (!turns)
		return sl_fail(ENOMEM, "no memory for an in-flight log");
	for (uint16_t i = 0; i < log->size && !log->gone; i++) {
		if (sl_shared_copy(&state, log->at + AT_DESC(i, inflight), sizeof(state)))
			log->gone = true;
		else if (state.inflight)
			turns[n++] = (struct virtq_inflight_turn){state.counter, i};
	}
	sl_virtq_inflight_sort(log, turns, n, again);
	free(turns);
	return log->gone ? sl_fail(EFAULT, "the in-flight log is not there") : n;
}

int sl_virtq_inflight_split_open(struct virtq_inflight *log, const struct virtq_setup *setup,
				 uint16_t used, uint16_t *again)
{
	struct region_split region = {0};
	int err;

	*log = (struct virtq_inflight){.at = setup->log, .size = setup->size};
	if (setup->resume && sl_shared_copy(&region, log->at, sizeof(region)))
		return sl_fail(EFAULT, "the in-flight log is not there");
	if (!region.version)
		return make(log, used);
	if (region.version != LOG_VERSION || region.desc_num != log->size)
		return sl_fail(EINVAL,
			       "an in-flight log of version %u, %u descriptors: not of "
			       "this queue of %u",
			       region.version, region.desc_num, log->size);
	log->resumed = true;
	log->head = region.last_batch_head;
	err = finish_batch(log, &region, used);
	return err ? err : collect(log, again);
}

int sl_virtq_inflight_split_take(struct virtq_inflight *log, uint16_t head)
{
	const uint8_t one = 1;

	sl_virtq_inflight_put(log, AT_DESC(head, counter), &log->counter, sizeof(log->counter));
	log->counter++;
	sl_virtq_inflight_put(log, AT_DESC(head, inflight), &one, sizeof(one));
	return log->gone ? -EFAULT : 0;
}

void sl_virtq_inflight_split_link(struct virtq_inflight *log, uint16_t head)
{
	sl_virtq_inflight_put(log, AT_DESC(head, next), &log->head, sizeof(log->head));
	log->head = head;
}

int sl_virtq_inflight_split_ready(struct virtq_inflight *log)
{
	sl_virtq_inflight_put(log, AT(last_batch_head), &log->head, sizeof(log->head));
	return log->gone ? -EFAULT : 0;
}

void sl_virtq_inflight_split_clear(struct virtq_inflight *log, uint16_t head)
{
	const uint8_t zero = 0;

	sl_virtq_inflight_put(log, AT_DESC(head, inflight), &zero, sizeof(zero));
}

int sl_virtq_inflight_split_done(struct virtq_inflight *log, uint16_t used)
{
	sl_virtq_inflight_put(log, AT(used_idx), &used, sizeof(used));
	return log->gone ? -EFAULT : 0;
}
