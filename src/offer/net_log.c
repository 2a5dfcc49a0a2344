/* SPDX-License-Identifier: BSD-2-Clause */
#include "offer/net_log.h"
#include "base/barrier.h"
#include "base/bytes.h"
#include "offer/offer.h"
#include "virtq/packed.h"

#define WRAP 0x8000u /* in a place: the wrap counter of its lap */

/** struct net_log_entry - a buffer that is used, or about to be */
struct net_log_entry {
	uint16_t id, descs;
	uint32_t len;
};

struct net_log_map {
	uint64_t word;
	struct net_log_entry entries[SL_NET_LOG_ENTRIES];
};

_Static_assert(sizeof(struct net_log_map) <= SL_NET_LOG_LEN, "the log has its room");

static void put_word(struct net_log *log, struct net_log_word word)
{
	uint64_t value;

	log->word = word;
	memcpy(&value, &word, sizeof(value));
	sl_store_release(&log->map->word, value);
}

static struct net_log_word get_word(const struct net_log_map *map)
{
	uint64_t value = sl_load_acquire(&map->word);
	struct net_log_word word;

	memcpy(&word, &value, sizeof(word));
	return word;
}

static void go_on(uint16_t *place, uint16_t by, uint16_t size)
{
	uint16_t at = *place & (WRAP - 1);
	bool wrap = *place & WRAP;

	sl_virtq_packed_advance(&at, &wrap, by, size);
	*place = (uint16_t)(at | (wrap ? WRAP : 0));
}

/* A ring that a driver has made anew is all zeroes, also where a device asks for notifications,
 * which it has done before it used anything. (2.8.14) */
static bool is_new(const struct virtq_setup *setup)
{
	return !sl_load_relaxed((const uint32_t *)setup->device);
}

static struct virtq_packed_desc *desc_at(const struct virtq_setup *setup, uint16_t place)
{
	return (struct virtq_packed_desc *)setup->desc + (place & (WRAP - 1));
}

/* As the device has taken it: used, or made available in the next lap, it is something else. */
static bool is_available(const struct virtq_setup *setup, uint16_t place)
{
	return sl_virtq_packed_is(sl_load_acquire(&desc_at(setup, place)->flags), false,
				  place & WRAP);
}

static bool is_used(const struct virtq_setup *setup, uint16_t place)
{
	return sl_virtq_packed_is(sl_load_acquire(&desc_at(setup, place)->flags), true,
				  place & WRAP);
}

static bool fits(const struct net_log_map *map, struct net_log_word word, uint16_t size)
{
	unsigned descs = 0;

	if (word.begun != 1 || (word.at & (WRAP - 1)) >= size || word.n > SL_NET_LOG_ENTRIES)
		return false;
	for (unsigned i = 0; i < word.n; i++) {
		descs += map->entries[i].descs;
		if (map->entries[i].id >= size || !map->entries[i].descs)
			return false;
	}
	return descs <= size;
}

/* The first of them, or the others. */
static void show(const struct net_log_map *map, struct net_log_word word,
		 const struct virtq_setup *setup, bool first)
{
	uint16_t place = word.at;

	for (unsigned i = 0; i < word.n; i++) {
		const struct net_log_entry *e = &map->entries[i];
		struct virtq_packed_desc *desc = desc_at(setup, place);
		uint16_t flags = (uint16_t)(sl_virtq_packed_flags(true, place & WRAP) |
					    (e->len ? VIRTQ_DESC_F_WRITE : 0));

		if (first == !i) {
			desc->len = e->len;
			desc->id = e->id;
			sl_store_release(&desc->flags, flags);
		}
		go_on(&place, e->descs, setup->size);
	}
}

static uint16_t place_in(struct virtq_ring_state state)
{
	return (uint16_t)(state.used | (state.used_wrap ? WRAP : 0));
}

static struct virtq_ring_state state_at(uint16_t place)
{
	return (struct virtq_ring_state){
		.avail = place & (WRAP - 1),
		.avail_wrap = place & WRAP,
		.used = place & (WRAP - 1),
		.used_wrap = place & WRAP,
	};
}

bool sl_net_log_open(struct net_log *log, void *memory, struct virtq_setup *setup)
{
	struct net_log_map *map = memory;
	struct net_log_word word;

	*log = (struct net_log){map, {0}};
	if (!map)
		return false;
	word = get_word(map);
	if (!fits(map, word, setup->size) || is_new(setup)) {
		put_word(log, log->word);
		return false;
	}
	if (word.n && is_available(setup, word.at)) {
		show(map, word, setup, false);
		show(map, word, setup, true);
	}
	for (unsigned i = 0; i < word.n; i++)
		go_on(&word.at, map->entries[i].descs, setup->size);
	word.n = 0;
	put_word(log, word);
	setup->state = state_at(word.at);
	return true;
}

/* How many descriptors somebody has used from @at on: up to where he says he is, or as it looks. */
static unsigned count_used(const struct virtq_setup *setup, uint16_t at, uint16_t told,
			   unsigned most)
{
	int n = (told & (WRAP - 1)) - (at & (WRAP - 1));

	if ((told ^ at) & WRAP)
		n += setup->size;
	if (n > 0 && (unsigned)n <= most && (told & (WRAP - 1)) < setup->size)
		return (unsigned)n;
	for (n = 0; (unsigned)n < most && is_used(setup, at); n++)
		go_on(&at, 1, setup->size);
	return (unsigned)n;
}

/* Available again, without a byte. Of a chain only the first was written over. */
static void give_again(const struct virtq_setup *setup, uint16_t at, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct virtq_packed_desc *desc = desc_at(setup, at);
		uint16_t flags = sl_virtq_packed_flags(false, at & WRAP);
		bool used = is_used(setup, at);

		desc->len = 0;
		go_on(&at, 1, setup->size);
		if (!used)
			continue;
		if (i + 1 < n && is_available(setup, at))
			flags |= VIRTQ_DESC_F_NEXT;
		sl_store_release(&desc->flags, flags);
	}
}

unsigned sl_net_log_mend(struct net_log *log, struct virtq_setup *setup,
			 struct virtq_ring_state told)
{
	uint16_t at = log->word.at;
	unsigned ahead = 0, n;

	for (; ahead < setup->size && is_available(setup, at); ahead++)
		go_on(&at, 1, setup->size);
	if (ahead == setup->size || !is_used(setup, at))
		return 0;
	n = count_used(setup, at, place_in(told), setup->size - ahead);
	if (ahead) {
		give_again(setup, at, n);
		return n;
	}
	/* The driver finds them where it looks: they are behind us. */
	go_on(&log->word.at, (uint16_t)n, setup->size);
	put_word(log, log->word);
	setup->state = state_at(log->word.at);
	return n;
}

static uint16_t place_of(const struct virtq_device *vq)
{
	return place_in(sl_virtq_device_state(vq));
}

void sl_net_log_use(struct net_log *log, const struct virtq_device *vq,
		    const struct virtq_buffer *bufs, const uint32_t *lens, unsigned n)
{
	struct net_log_word word = log->word;
	struct net_log_entry *to = log->map->entries + word.n;

	for (unsigned i = 0; i < n; i++)
		to[i] = (struct net_log_entry){bufs[i].id, bufs[i].descs, lens ? lens[i] : 0};
	if (!word.n)
		word.at = place_of(vq);
	word.n = (uint16_t)(word.n + n);
	word.begun = 1;
	put_word(log, word);
}

void sl_net_log_done(struct net_log *log, const struct virtq_device *vq)
{
	struct net_log_word word = log->word;

	word.at = place_of(vq);
	word.n = 0;
	put_word(log, word);
}

void sl_net_log_close(struct net_log *log)
{
	if (log->map)
		put_word(log, (struct net_log_word){0});
	log->map = NULL;
}
