/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The in-flight log of a packed virtqueue: QueueRegionPacked and DescStatePacked of vhost-user's
 * "Inflight I/O tracking". Entries are in a free list or in the chain of a buffer in flight;
 * free_head and used_idx are ahead of old_free_head and old_used_idx while a batch is being
 * published.
 *
 * Two things that must not be seen apart by who comes after a kill are one word of 8 bytes each.
 */
#include <stdlib.h>

#include "base/reason.h"
#include "virtq/device.h"
#include "virtq/inflight.h"
#include "virtq/packed.h"
#include "virtq/shared.h"

#define LOG_VERSION 1

struct region_packed {
	uint64_t features;
	/* a word */
	uint16_t version, desc_num, free_head, old_free_head;
	/* a word */
	uint16_t used_idx, old_used_idx;
	uint8_t used_wrap_counter, old_used_wrap_counter;
	uint8_t padding[7];
};

struct state_packed {
	/* a word */
	uint8_t inflight, padding;
	uint16_t next, last, num;
	uint64_t counter;
	uint16_t id, flags;
	uint32_t len;
	uint64_t addr;
};

#define AT(member) offsetof(struct region_packed, member)
#define AT_DESC(entry, member)                                                                     \
	(sizeof(struct region_packed) + (size_t)(entry) * sizeof(struct state_packed) +            \
	 offsetof(struct state_packed, member))

static int not_there(void)
{
	return sl_fail(EFAULT, "the in-flight log is not there");
}

/* Version, size, free lists */
static void put_heads(struct virtq_inflight *log, uint16_t version)
{
	const struct region_packed region = {.version = version,
					     .desc_num = log->size,
					     .free_head = log->head,
					     .old_free_head = log->old};

	sl_virtq_inflight_put(log, AT(version), &region.version, sizeof(uint64_t));
}

static void put_used(struct virtq_inflight *log, const struct virtq_ring_state *at)
{
	const struct region_packed region = {.used_idx = at->used,
					     .old_used_idx = log->stood.used,
					     .used_wrap_counter = at->used_wrap,
					     .old_used_wrap_counter = log->stood.used_wrap};

	sl_virtq_inflight_put(log, AT(used_idx), &region.used_idx, sizeof(uint64_t));
}

static int make(struct virtq_inflight *log, const struct virtq_ring_state *state)
{
	const uint64_t features = 0;

	put_heads(log, 0); /* "an uninitialized buffer", until all is there */
	sl_virtq_inflight_put(log, AT(features), &features, sizeof(features));
	for (uint16_t i = 0; i < log->size; i++) {
		const struct state_packed entry = {.next = (uint16_t)(i + 1)};

		log->own[i].next = entry.next;
		sl_virtq_inflight_put(log, AT_DESC(i, inflight), &entry, sizeof(entry));
	}
	log->stood = *state;
	put_used(log, state);
	put_heads(log, LOG_VERSION);
	return log->gone ? not_there() : 0;
}

/* "If used_idx does not match old_used_idx": was the last batch shown to the driver, or not? */
static int settle(struct virtq_inflight *log, const struct virtq_packed_desc *ring,
		  const struct region_packed *region)
{
	bool pending = region->used_idx != region->old_used_idx ||
		       region->used_wrap_counter != region->old_used_wrap_counter;
	uint16_t flags = 0;

	log->head = region->old_free_head;
	log->stood.used = region->old_used_idx;
	log->stood.used_wrap = region->old_used_wrap_counter;
	if (pending && sl_shared_copy(&flags, &ring[log->stood.used].flags, sizeof(flags)))
		return not_there();
	if (pending && !sl_virtq_packed_is(flags, false, log->stood.used_wrap)) {
		log->head = region->free_head;
		log->stood.used = region->used_idx;
		log->stood.used_wrap = region->used_wrap_counter;
	}
	log->old = log->head;
	put_heads(log, LOG_VERSION);
	put_used(log, &log->stood);
	return log->gone ? not_there() : 0;
}

/* What an entry's @last is while it is in no list that was walked. */
#define NOWHERE UINT16_MAX

static int read_entry(struct virtq_inflight *log, uint16_t i, struct state_packed *entry)
{
	return sl_shared_copy(entry, log->at + AT_DESC(i, inflight), sizeof(*entry)) ? not_there()
										     : 0;
}

static int bad_list(void)
{
	return sl_fail(EINVAL, "an in-flight log's lists are not in order");
}

/* "Set the inflight field of each DescStatePacked entry in free list to 0" */
static int walk_free(struct virtq_inflight *log, unsigned *seen)
{
	struct state_packed entry;
	const uint8_t zero = 0;

	for (uint16_t i = log->head; i < log->size; i = entry.next) {
		if (log->own[i].last != NOWHERE)
			return bad_list();
		if (read_entry(log, i, &entry))
			return -EFAULT;
		log->own[i] = (struct virtq_inflight_own){.next = entry.next};
		++*seen;
		if (entry.inflight)
			sl_virtq_inflight_put(log, AT_DESC(i, inflight), &zero, sizeof(zero));
	}
	return 0;
}

static int walk_chain(struct virtq_inflight *log, uint16_t first, const struct state_packed *head,
		      unsigned *seen)
{
	struct state_packed entry = {.next = first};
	uint16_t at = first;

	if (!head->num || head->num > log->size)
		return bad_list();
	for (uint16_t n = 0; n < head->num; n++) {
		at = entry.next;
		if (at >= log->size || log->own[at].last != NOWHERE)
			return bad_list();
		if (read_entry(log, at, &entry))
			return -EFAULT;
		log->own[at] = (struct virtq_inflight_own){.next = entry.next};
		++*seen;
	}
	if (entry.id >= log->size)
		return sl_fail(EINVAL, "an in-flight log has a buffer %u", entry.id);
	log->own[first].last = at;
	log->own[first].num = head->num;
	log->own[first].id = entry.id;
	return 0;
}

static int walk_all(struct virtq_inflight *log, struct virtq_inflight_turn *turns)
{
	struct state_packed entry;
	unsigned seen = 0;
	int n = 0, err;

	for (unsigned i = 0; i < log->size; i++)
		log->own[i].last = NOWHERE;
	err = walk_free(log, &seen);
	for (uint16_t i = 0; i < log->size && !err; i++) {
		err = read_entry(log, i, &entry);
		if (err || log->own[i].last != NOWHERE || !entry.inflight)
			continue;
		turns[n++] = (struct virtq_inflight_turn){entry.counter, i};
		err = walk_chain(log, i, &entry, &seen);
	}
	if (err)
		return err;
	return seen == log->size ? n : bad_list();
}

static int collect(struct virtq_inflight *log, uint16_t *again)
{
	struct virtq_inflight_turn *turns = calloc(log->size, sizeof(*turns));
	int n;

	if (!turns)
		return sl_fail(ENOMEM, "no memory for an in-flight log");
	n = walk_all(log, turns);
	if (n >= 0)
		sl_virtq_inflight_sort(log, turns, n, again);
	free(turns);
	return n;
}

int sl_virtq_inflight_packed_open(struct virtq_inflight *log, const struct virtq_setup *setup,
				  struct virtq_ring_state *state, uint16_t *again)
{
	struct region_packed region = {0};
	int err;

	*log = (struct virtq_inflight){.at = setup->log, .size = setup->size};
	log->own = calloc(setup->size, sizeof(*log->own));
	if (!log->own)
		return sl_fail(ENOMEM, "no memory for an in-flight log");
	if (setup->resume && sl_shared_copy(&region, log->at, sizeof(region)))
		return not_there();
	if (!region.version)
		return make(log, state);
	if (region.version != LOG_VERSION || region.desc_num != log->size)
		return sl_fail(EINVAL,
			       "an in-flight log of version %u, %u descriptors: not of "
			       "this queue of %u",
			       region.version, region.desc_num, log->size);
	if (region.used_idx >= log->size || region.old_used_idx >= log->size ||
	    region.used_wrap_counter > 1 || region.old_used_wrap_counter > 1)
		return sl_fail(EINVAL, "an in-flight log stands outside its queue");
	log->resumed = true;
	err = settle(log, setup->desc, &region);
	if (err)
		return err;
	*state = log->stood;
	return collect(log, again);
}

/* Entries of the free list are filled in, which nobody sees before free_head goes on. */
void sl_virtq_inflight_packed_add(struct virtq_inflight *log, uint16_t n,
				  const struct virtq_packed_desc *desc)
{
	uint16_t entry = n ? log->own[log->fill].next : log->head;
	const struct state_packed state = {
		.id = desc->id, .flags = desc->flags, .len = desc->len, .addr = desc->addr};

	log->fill = entry;
	sl_virtq_inflight_put(log, AT_DESC(entry, id), &state.id, 16);
}

int sl_virtq_inflight_packed_take(struct virtq_inflight *log, const struct virtq_chain *chain,
				  uint16_t *entry)
{
	struct virtq_inflight_own *own = &log->own[log->head];
	const struct state_packed state = {
		.inflight = 1, .next = own->next, .last = log->fill, .num = chain->descs};

	own->last = log->fill;
	own->num = chain->descs;
	*entry = log->head;
	sl_virtq_inflight_put(log, AT_DESC(*entry, counter), &log->counter, sizeof(log->counter));
	log->counter++;
	sl_virtq_inflight_put(log, AT_DESC(*entry, inflight), &state, sizeof(uint64_t));
	log->head = log->old = log->own[log->fill].next;
	put_heads(log, LOG_VERSION);
	return log->gone ? -EFAULT : 0;
}

int sl_virtq_inflight_packed_desc(struct virtq_inflight *log, uint16_t entry,
				  struct virtq_packed_desc *desc)
{
	struct state_packed state;

	if (read_entry(log, entry, &state))
		return -EFAULT;
	*desc = (struct virtq_packed_desc){
		.addr = state.addr, .len = state.len, .id = state.id, .flags = state.flags};
	return 0;
}

void sl_virtq_inflight_packed_link(struct virtq_inflight *log, uint16_t entry)
{
	uint16_t last = log->own[entry].last;

	log->own[last].next = log->head;
	sl_virtq_inflight_put(log, AT_DESC(last, next), &log->head, sizeof(log->head));
	log->head = entry;
}

void sl_virtq_inflight_packed_ready(struct virtq_inflight *log, const struct virtq_ring_state *at)
{
	put_heads(log, LOG_VERSION);
	put_used(log, at);
	log->stood = *at;
}

void sl_virtq_inflight_packed_clear(struct virtq_inflight *log, uint16_t entry)
{
	const uint8_t zero = 0;

	sl_virtq_inflight_put(log, AT_DESC(entry, inflight), &zero, sizeof(zero));
}

void sl_virtq_inflight_packed_done(struct virtq_inflight *log)
{
	log->old = log->head;
	put_heads(log, LOG_VERSION);
	put_used(log, &log->stood);
}
