/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes are what a driver, and a front end, write to rings, tables and in-flight log, and the
 * device's calls between: also in the midst of them, right after the device has read something.
 * Whatever comes out of the queue lies in the memory that it may touch, and every call comes to an
 * end.
 */
#include "fuzz.h"

#include <sluice/guard.h>

#include "base/bytes.h"
#include "virtq/device.h"
#include "virtq/inflight.h"
#include "virtq/packed.h"

#define SIZES  16u
#define PIECES 12u
#define DATA   1024u
#define IOVA   UINT64_C(0x1000)

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
static struct virtq_device *vq;
static struct iovec pieces[PIECES];
static bool held[SIZES];
static unsigned n_held, n_copies, countdown;

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

/* In place of src/space/guard.c: memory changes right behind what was read of it. */
int sl_guard_copy(void *to, const void *from, size_t len)
{
	n_copies++;
	memcpy(to, from, len);
	if (countdown && !--countdown) {
		scribble();
		countdown = take_byte();
	}
	return 0;
}

static void begin(void)
{
	n_copies = 0;
}

/* A call looks at each descriptor, table entry and log entry a few times at most. */
static void end(void)
{
	must(n_copies <= 16 * SIZES + 16 * SIZES * SIZES);
}

static void reopen(bool resume)
{
	int err;

	sl_virtq_device_close(vq);
	vq = NULL;
	memset(held, 0, sizeof(held));
	n_held = 0;
	setup.resume = resume;
	setup.state = (struct virtq_ring_state){
		.avail = take_byte(), .avail_wrap = true, .used_wrap = true};
	if (setup.packed)
		setup.state.avail %= setup.size;
	setup.state.used = setup.state.avail;
	begin();
	err = sl_virtq_device_open(&setup, &vq);
	end();
	must(!err || (err == -EINVAL && resume));
	if (!err && !(setup.log && resume))
		must(!sl_virtq_device_in_flight(vq));
}

static void check_pieces(const struct virtq_chain *chain)
{
	uint64_t len[2] = {0, 0};

	must(chain->n_read + chain->n_write <= (int)chain->max);
	for (unsigned i = 0; i < (unsigned)chain->n_read + chain->n_write; i++) {
		uint8_t *at = pieces[i].iov_base;

		must(pieces[i].iov_len && pieces[i].iov_len <= DATA);
		must(at >= areas[AREA_DATA].at);
		must(at + pieces[i].iov_len <= areas[AREA_DATA].at + DATA);
		len[i >= chain->n_read] += pieces[i].iov_len;
	}
	must(len[0] == chain->read_len && len[1] == chain->write_len);
}

static void do_get(void)
{
	struct virtq_chain chain = {.pieces = pieces, .max = take_byte() % (PIECES + 1)};
	bool was_broken = sl_virtq_device_broken(vq);
	unsigned before = sl_virtq_device_in_flight(vq);
	int err;

	begin();
	err = sl_virtq_device_get(vq, &chain);
	end();
	must(err <= 0 && (err == -EPROTO) == !!sl_virtq_device_broken(vq));
	if (err)
		return;
	must(!was_broken && chain.id < setup.size && !held[chain.id]);
	must(sl_virtq_device_in_flight(vq) - before <= 1);
	check_pieces(&chain);
	held[chain.id] = true;
	n_held++;
}

static void do_put(void)
{
	uint16_t id = take_byte() % SIZES;
	int err;

	for (unsigned n = 0; n < SIZES && !held[id]; n++)
		id = (id + 1) % SIZES;
	if (!held[id])
		return;
	held[id] = false;
	n_held--;
	begin();
	err = sl_virtq_device_put(vq, id, take_byte());
	end();
	must(!err || sl_virtq_device_broken(vq));
}

static void do_publish(void)
{
	begin();
	must(sl_virtq_device_publish(vq) >= 0 || sl_virtq_device_broken(vq));
	end();
}

static void do_arm(void)
{
	begin();
	must(sl_virtq_device_arm(vq) >= 0 || sl_virtq_device_broken(vq));
	sl_virtq_device_disarm(vq);
	end();
}

static void do_resume(void)
{
	reopen(true);
	if (!vq)
		reopen(false);
}

/* The driver, so that it may be right. */
static void do_offer(void)
{
	uint8_t byte = take_byte(), at = take_byte() % setup.size;
	uint64_t addr = IOVA + 16u * (take_byte() % 64);
	uint16_t flags = byte & 7;
	struct virtq_ring_state state = sl_virtq_device_state(vq);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const calls[])(void) = {do_get,	do_put,	   do_publish, do_arm,
					      scribble, do_resume, do_offer,   do_offer};
	struct sl_region region = {
		.len = DATA, .fd = -1, .access = SL_REGION_READ | SL_REGION_WRITE};
	struct sl_space *space;
	uint8_t flags, log2;

	in = (struct input){data, size};
	flags = take_byte();
	log2 = take_byte() % 5;
	countdown = 0;
	setup = (struct virtq_setup){.size = (uint16_t)(1u << log2),
				     .packed = flags & 1,
				     .event_idx = flags & 2,
				     .indirect = flags & 4,
				     .in_order = flags & 8};
	if (setup.packed && flags & 32)
		setup.size = (uint16_t)(1 + take_byte() % SIZES);
	make_areas();
	setup.log = flags & 16 ? areas[AREA_LOG].at : NULL;
	must(!sl_space_create(NULL, &space));
	region.base = areas[AREA_DATA].at;
	must(!sl_space_map_at(space, (sl_iova){IOVA}, &region));
	setup.space = space;
	reopen(false);
	countdown = flags & 64 ? take_byte() : 0;
	while (in.len) {
		calls[take_byte() % sl_array_len(calls)]();
		if (!setup.log) /* else some are of a process before */
			must(sl_virtq_device_in_flight(vq) == n_held);
		must(sl_virtq_device_in_flight(vq) >= n_held);
	}
	sl_virtq_device_close(vq);
	vq = NULL;
	sl_space_release(space);
	for (unsigned i = 0; i < AREAS; i++)
		free(areas[i].at);
	return 0;
}
