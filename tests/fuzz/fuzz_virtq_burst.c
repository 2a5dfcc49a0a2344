/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * As fuzz_virtq_device, of bursts: the bytes are what a driver writes to rings and tables, and the
 * calls between: also in the midst of them, right after the device has read something.
 */
#include "virtq_areas.h"

/* In place of base/barrier.h, for what is included below. */
#define read_of(p)                                                                                 \
	__extension__({                                                                            \
		__typeof__(*(p)) value_ = *(const volatile __typeof__(*(p)) *)(p);                 \
		was_read();                                                                        \
		value_;                                                                            \
	})
#undef sl_load_relaxed
#undef sl_load_acquire
#define sl_load_relaxed(p) read_of(p)
#define sl_load_acquire(p) read_of(p)

#include "virtq/burst.c"
#define take_any    split_take_any
#define take_single split_take_single
#include "virtq/burst_split.c"
#undef take_any
#undef take_single
#include "virtq/burst_packed.c"

#include <sluice/guard.h>

#define ROOM  64u
#define PARTS 3u

static struct virtq_buffer held[SIZES];
static struct iovec pieces[ROOM];
static unsigned n_held, descs_held;
static bool write_only;

/* In place of src/space/guard.c. */
int sl_guard_copy(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	was_read();
	return 0;
}

static int miss(void *ctx, sl_iova iova, uint64_t len)
{
	(void)ctx;
	(void)iova;
	(void)len;
	return take_byte() & 1 ? -EAGAIN : -EFAULT;
}

static void reopen(void)
{
	sl_virtq_device_close(queue);
	n_held = descs_held = 0;
	setup.state = (struct virtq_ring_state){
		.avail = take_byte(), .avail_wrap = true, .used_wrap = true};
	if (setup.packed)
		setup.state.avail %= setup.size;
	setup.state.used = setup.state.avail;
	must(!sl_virtq_device_open(&setup, &queue));
}

/* In the memory that it may access so: the last part is only to read. */
static unsigned check_buffer(const struct virtq_buffer *buf, unsigned first)
{
	const uint8_t *from = areas[AREA_DATA].at, *to = from + DATA;
	uint64_t len = 0;

	if (write_only)
		to -= DATA / 4;
	must(buf->id < setup.size && buf->first == first && first + buf->n <= ROOM);
	for (unsigned i = 0; i < buf->n; i++) {
		const struct iovec *piece = &pieces[first + i];

		must(piece->iov_len && piece->iov_len <= DATA);
		must((uint8_t *)piece->iov_base >= from);
		must((uint8_t *)piece->iov_base + piece->iov_len <= to);
		len += piece->iov_len;
	}
	must(len == buf->len);
	must(buf->descs && (setup.packed || buf->descs == 1));
	return first + buf->n;
}

static void check_state(void)
{
	struct virtq_ring_state state = sl_virtq_device_state(queue);

	must(sl_virtq_device_in_flight(queue) == n_held);
	must(!setup.packed || (state.avail < setup.size && state.used < setup.size));
}

static void do_take(void)
{
	unsigned max = take_byte() % (SIZES + 1 - n_held), first = 0;
	bool was_broken = sl_virtq_device_broken(queue);
	int n;

	n_reads = 0;
	n = sl_virtq_burst_take(queue, write_only, held + n_held, max, pieces, ROOM);
	/* A few for each descriptor, of which each buffer has as many as the queue at most. */
	must(n_reads <= (max + 1) * 8 * (SIZES + 1));
	must(n <= (int)max && (n < 0) == !!sl_virtq_device_broken(queue) && (n < 0 || !was_broken));
	for (int i = 0; i < n; i++) {
		first = check_buffer(&held[n_held], first);
		descs_held += held[n_held++].descs;
	}
	must(!setup.packed || descs_held <= setup.size);
}

static void do_untake(void)
{
	unsigned n = take_byte() % (n_held + 1);

	sl_virtq_burst_untake(queue, held + n_held - n, n);
	while (n--)
		descs_held -= held[--n_held].descs;
}

static void do_use(void)
{
	unsigned n = take_byte() % (n_held + 1);
	uint32_t lens[SIZES];
	bool none = take_byte() & 1;
	int err;

	for (unsigned i = 0; i < n; i++) {
		lens[i] = take_byte();
		descs_held -= held[i].descs;
	}
	err = sl_virtq_burst_use(queue, held, none ? NULL : lens, n);
	must(!err == !sl_virtq_device_broken(queue));
	memmove(held, held + n, (n_held - n) * sizeof(held[0]));
	n_held -= n;
}

static void do_publish(void)
{
	int ret = sl_virtq_device_publish(queue);

	must((ret < 0) == !!sl_virtq_device_broken(queue));
}

static void do_arm(void)
{
	int ret = sl_virtq_device_arm(queue);

	must((ret < 0) == !!sl_virtq_device_broken(queue));
	sl_virtq_device_disarm(queue);
}

static void do_reopen(void)
{
	if (sl_virtq_device_broken(queue))
		reopen();
}

static void map(struct sl_space *space)
{
	static const unsigned lens[PARTS] = {DATA / 2, DATA / 4, DATA / 4};
	struct sl_region region = {.fd = -1, .access = SL_REGION_READ | SL_REGION_WRITE};

	for (unsigned i = 0, at = 0; i < PARTS; at += lens[i++]) {
		region.base = areas[AREA_DATA].at + at;
		region.len = lens[i];
		if (i + 1 == PARTS)
			region.access = SL_REGION_READ;
		must(!sl_space_map_at(space, (sl_iova){IOVA + at}, &region));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const calls[])(void) = {do_take, do_take,	 do_untake, do_use,   do_publish,
					      do_arm,  scribble, do_reopen, do_offer, do_offer};
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
				     .in_order = flags & 8,
				     .miss = flags & 128 ? miss : NULL};
	write_only = flags & 16;
	if (setup.packed && flags & 32)
		setup.size = (uint16_t)(1 + take_byte() % SIZES);
	make_areas();
	must(!sl_space_create(NULL, &space));
	map(space);
	setup.space = space;
	reopen();
	countdown = flags & 64 ? take_byte() : 0;
	while (in.len) {
		calls[take_byte() % sl_array_len(calls)]();
		check_state();
	}
	sl_virtq_device_close(queue);
	queue = NULL;
	sl_space_release(space);
	for (unsigned i = 0; i < AREAS; i++)
		free(areas[i].at);
	return 0;
}
