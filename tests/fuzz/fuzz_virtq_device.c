/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes are what a driver, and a front end, write to rings, tables and in-flight log, and the
 * device's calls between: also in the midst of them, right after the device has read something.
 * Whatever comes out of the queue lies in the memory that it may touch, and every call comes to an
 * end.
 */
#include "virtq_areas.h"

#include <sluice/guard.h>

#define PIECES 12u

static struct iovec pieces[PIECES];
static bool held[SIZES];
static unsigned n_held;

/* In place of src/space/guard.c. */
int sl_guard_copy(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	was_read();
	return 0;
}

static void begin(void)
{
	n_reads = 0;
}

/* A call looks at each descriptor, table entry and log entry a few times at most. */
static void end(void)
{
	must(n_reads <= 16 * SIZES + 16 * SIZES * SIZES);
}

static void reopen(bool resume)
{
	int err;

	sl_virtq_device_close(queue);
	queue = NULL;
	memset(held, 0, sizeof(held));
	n_held = 0;
	setup.resume = resume;
	setup.state = (struct virtq_ring_state){
		.avail = take_byte(), .avail_wrap = true, .used_wrap = true};
	if (setup.packed)
		setup.state.avail %= setup.size;
	setup.state.used = setup.state.avail;
	begin();
	err = sl_virtq_device_open(&setup, &queue);
	end();
	must(!err || (err == -EINVAL && resume));
	if (!err && !(setup.log && resume))
		must(!sl_virtq_device_in_flight(queue));
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
	bool was_broken = sl_virtq_device_broken(queue);
	unsigned before = sl_virtq_device_in_flight(queue);
	int err;

	begin();
	err = sl_virtq_device_get(queue, &chain);
	end();
	must(err <= 0 && (err == -EPROTO) == !!sl_virtq_device_broken(queue));
	if (err)
		return;
	must(!was_broken && chain.id < setup.size && !held[chain.id]);
	must(sl_virtq_device_in_flight(queue) - before <= 1);
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
	err = sl_virtq_device_put(queue, id, take_byte());
	end();
	must(!err || sl_virtq_device_broken(queue));
}

static void do_publish(void)
{
	begin();
	must(sl_virtq_device_publish(queue) >= 0 || sl_virtq_device_broken(queue));
	end();
}

static void do_arm(void)
{
	begin();
	must(sl_virtq_device_arm(queue) >= 0 || sl_virtq_device_broken(queue));
	sl_virtq_device_disarm(queue);
	end();
}

static void do_resume(void)
{
	reopen(true);
	if (!queue)
		reopen(false);
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
			must(sl_virtq_device_in_flight(queue) == n_held);
		must(sl_virtq_device_in_flight(queue) >= n_held);
	}
	sl_virtq_device_close(queue);
	queue = NULL;
	sl_space_release(space);
	for (unsigned i = 0; i < AREAS; i++)
		free(areas[i].at);
	return 0;
}
