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

/* As the device has taken it: used, or made available in the next lap, it is something else. */
static bool is_available(const struct virtq_setup *setup, uint16_t place)
{
	const struct virtq_packed_desc *ring = setup->desc;
	uint16_t flags = sl_load_acquire(&ring[place & (WRAP - 1)].flags);

	return sl_virtq_packed_is(flags, false, place & WRAP);
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
	struct virtq_packed_desc *ring = setup->desc;
	uint16_t place = word.at;

	for (unsigned i = 0; i < word.n; i++) {
		const struct net_log_entry *e = &map->entries[i];
		uint16_t flags = (uint16_t)(sl_virtq_packed_flags(true, place & WRAP) |
					    (e->len ? VIRTQ_DESC_F_WRITE : 0));

		if (first == !i) {
			ring[place & (WRAP - 1)].len = e->len;
			ring[place & (WRAP - 1)].id = e->id;
			sl_store_release(&ring[place & (WRAP - 1)].flags, flags);
		}
		go_on(&place, e->descs, setup->size);
	}
}

bool sl_net_log_open(struct net_log *log, void *memory, struct virtq_setup *setup)
{
	struct net_log_map *map = memory;
	struct net_log_word word;

	*log = (struct net_log){map, {0}};
	if (!map)
		return false;
	word = get_word(map);
	put_word(log, log->word);
	if (!fits(map, word, setup->size) || is_new(setup))
		return false;
	if (word.n && is_available(setup, word.at)) {
		show(map, word, setup, false);
		show(map, word, setup, true);
	}
	for (unsigned i = 0; i < word.n; i++)
		go_on(&word.at, map->entries[i].descs, setup->size);
	word.n = 0;
	put_word(log, word);
	setup->state = (struct virtq_ring_state){
		.avail = word.at & (WRAP - 1),
		.avail_wrap = word.at & WRAP,
		.used = word.at & (WRAP - 1),
		.used_wrap = word.at & WRAP,
	};
	return true;
}

static uint16_t place_of(const struct virtq_device *vq)
{
	struct virtq_ring_state state = sl_virtq_device_state(vq);

	return (uint16_t)(state.used | (state.used_wrap ? WRAP : 0));
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
