/* SPDX-License-Identifier: BSD-2-Clause */
/* A queue in memory that a driver writes to, in the midst of calls too: right behind what was read
 * of it. The bytes of the input say what. */
#ifndef SL_TESTS_VIRTQ_AREAS_H
#define SL_TESTS_VIRTQ_AREAS_H

#include "fuzz.h"

#include "base/bytes.h"
#include "virtq/device.h"
#include "virtq/inflight.h"
#include "virtq/packed.h"

#define SIZES 16u
#define DATA  1024u
#define IOVA  UINT64_C(0x1000)

struct input {
	const uint8_t *data;
	size_t len;
};

enum {
	AREA_DESC,
	AREA_DRIVER,
	AREA_DEVICE,
	AREA_LOG,
	AREA_DATA,
	AREAS
};

static struct input in;
static struct {
	uint8_t *at;
	size_t len;
} areas[AREAS];
static struct virtq_setup setup;
static struct virtq_device *queue;
static unsigned n_reads, countdown;

static uint8_t take_byte(void)
{
	if (!in.len)
		return 0;
	in.len--;
	return *in.data++;
}

/* The driver, anywhere. */
static void scribble(void)
{
	unsigned area = take_byte() % AREAS;
	size_t at = take_byte() + (area > AREA_DEVICE ? 256u * take_byte() : 0);
	uint8_t n = take_byte() % 16;

	for (; n; n--, at++)
		areas[area].at[at % areas[area].len] = take_byte();
}

/* After each read. */
static void was_read(void)
{
	n_reads++;
	if (countdown && !--countdown) {
		scribble();
		countdown = take_byte();
	}
}

/* The driver, so that it may be right. */
static void do_offer(void)
{
	uint8_t byte = take_byte(), at = take_byte() % setup.size;
	uint64_t addr = IOVA + 16u * (take_byte() % 64);
	uint16_t flags = byte & 7;
	struct virtq_ring_state state = sl_virtq_device_state(queue);
	struct virtq_desc *table = setup.desc;
	struct virtq_packed_desc *ring = setup.desc;
	struct virtq_avail *avail = setup.driver;

	if (setup.packed) {
		bool wrap = state.avail_wrap;
		uint16_t skip = (byte >> 3) % 4;

		skip = skip < setup.size ? skip : 0;
		sl_virtq_packed_advance(&state.avail, &wrap, skip, setup.size);
		flags |= sl_virtq_packed_flags(false, wrap);
		ring[state.avail] = (struct virtq_packed_desc){addr, 16u * (byte >> 5), at, flags};
	} else {
		table[at] = (struct virtq_desc){addr, 16u * (byte >> 5), flags,
						(uint16_t)((at + 1) % setup.size)};
		if (!(byte & 8))
			avail->ring[avail->idx++ & (setup.size - 1)] = at;
	}
}

static void make_areas(void)
{
	for (unsigned i = 0; i < AREAS; i++) {
		void *at;

		areas[i].len = i == AREA_DATA  ? DATA
			       : i == AREA_LOG ? sl_virtq_inflight_len(setup.size, setup.packed)
					       : sl_virtq_area_len((enum virtq_area)i, setup.size,
								   setup.packed);
		must(!posix_memalign(&at, 16, areas[i].len));
		memset(at, 0, areas[i].len);
		areas[i].at = at;
	}
	setup.desc = areas[AREA_DESC].at;
	setup.driver = areas[AREA_DRIVER].at;
	setup.device = areas[AREA_DEVICE].at;
}

#endif
