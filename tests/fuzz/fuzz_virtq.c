/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes are a driver's calls on a virtqueue, of the layout and features that the first one
 * says, and what a device writes to its memory between them, wherever it likes. What comes back was
 * in flight, once, in order if need be, and not longer than it is.
 */
#include <string.h>

#include "fuzz.h"

#include "base/bytes.h"
#include "virtq/driver.h"

#define SIZE_MAX_LOG2 5
#define SIZES	      (1u << SIZE_MAX_LOG2)
#define ELEMS_MAX     8u

struct input {
	const uint8_t *data;
	size_t len;
};

static struct virtq_driver vq;
static struct virtq_layout layout;
static uint8_t *memory;
static struct virtq_desc *tables;
static uint32_t n_in_flight, descs_in_flight;
static struct {
	uint32_t descs, writable, number;
} in_flight[SIZES];
static uint32_t n_added, n_back;

static uint8_t take_byte(struct input *in)
{
	if (!in->len)
		return 0;
	in->len--;
	return *in->data++;
}

static void do_add(struct input *in)
{
	struct virtq_elem elems[ELEMS_MAX] = {0};
	unsigned n = take_byte(in) % (ELEMS_MAX + 1), n_read = take_byte(in) % (ELEMS_MAX + 1);
	uint32_t writable = 0, descs = n > 1 && n <= vq.table_len ? 1 : n;
	int id;

	for (unsigned i = 0; i < n; i++) {
		elems[i] = (struct virtq_elem){{i}, take_byte(in)};
		writable += i >= n_read ? elems[i].len : 0;
	}
	id = sl_virtq_add(&vq, elems, n_read, n);
	must((id < 0) == (!n || descs > vq.size - descs_in_flight));
	if (id < 0)
		return;
	must(id < vq.size && !in_flight[id].descs);
	in_flight[id].descs = descs;
	in_flight[id].writable = writable;
	in_flight[id].number = n_added++;
	descs_in_flight += descs;
	n_in_flight++;
}

static void do_publish(struct input *in)
{
	(void)in;
	sl_virtq_publish(&vq);
	must(vq.published == vq.added);
}

static void do_get(struct input *in)
{
	bool was_broken = vq.broken;
	uint32_t len = 0;
	int id = sl_virtq_get(&vq, &len);

	(void)in;
	must((id == -EPROTO) == !!vq.broken);
	if (id < 0)
		return;
	must(!was_broken && id < vq.size && in_flight[id].descs);
	must(!vq.in_order || in_flight[id].number == n_back);
	must(len <= in_flight[id].writable);
	descs_in_flight -= in_flight[id].descs;
	in_flight[id].descs = 0;
	n_in_flight--;
	n_back++;
}

static void do_arm(struct input *in)
{
	sl_virtq_arm(&vq, take_byte(in));
	sl_virtq_disarm(&vq);
}

/* The device, anywhere. */
static void do_scribble(struct input *in)
{
	size_t at = (size_t)take_byte(in) * 256 + take_byte(in);
	uint8_t n = take_byte(in) % 16;

	for (; n; n--, at++)
		memory[at % layout.len] = take_byte(in);
}

/* The device, so that it may be right. */
static void do_use(struct input *in)
{
	struct virtq_used *used = (void *)(memory + layout.used);
	uint8_t id = take_byte(in), len = take_byte(in);

	if (vq.packed) {
		vq.ring[vq.used_at] = (struct virtq_packed_desc){
			.len = len,
			.id = id,
			.flags = sl_virtq_packed_flags(true, vq.used_wrap) | VIRTQ_DESC_F_WRITE,
		};
		return;
	}
	used->ring[used->idx & (vq.size - 1)] = (struct virtq_used_elem){id, len};
	used->idx++;
}

static void open_queue(struct input *in)
{
	uint8_t features = take_byte(in), size = take_byte(in);
	uint16_t start = (uint16_t)(0u - take_byte(in));
	struct virtq_options o = {
		.packed = features & 1,
		.event_idx = features & 2,
		.in_order = features & 4,
	};

	o.size = (uint16_t)(o.packed ? 1 + size % SIZES : 1u << size % (SIZE_MAX_LOG2 + 1));
	if (features & 8)
		o.table_len = (uint16_t)sl_min(o.size, ELEMS_MAX / 2);
	tables = calloc((size_t)o.size * o.table_len + 1, sizeof(*tables));
	o.tables = tables;
	layout = sl_virtq_layout(o.size, o.packed);
	memory = calloc(1, layout.len);
	if (!memory || !tables || sl_virtq_open(&vq, &o, memory))
		abort();
	if (!o.packed)
		vq.added = vq.published = vq.seen = vq.taken = vq.avail->idx = vq.used->idx = start;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const calls[])(struct input *) = {do_add, do_publish,  do_get,
							do_arm, do_scribble, do_use};
	struct input in = {data, size};

	memset(in_flight, 0, sizeof(in_flight));
	n_in_flight = descs_in_flight = n_added = n_back = 0;
	open_queue(&in);
	while (in.len) {
		calls[take_byte(&in) % sl_array_len(calls)](&in);
		must(vq.n_free == vq.size - descs_in_flight);
		must(sl_virtq_in_flight(&vq) == n_in_flight);
	}
	sl_virtq_close(&vq);
	free(memory);
	free(tables);
	return 0;
}
