/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes are a driver's calls on a virtqueue and what a device writes to its memory between
 * them, wherever it likes. What comes back was in flight, once, and not longer than it is.
 */
#include "fuzz.h"

#include "base/bytes.h"
#include "virtq/driver.h"

#define SIZE_MAX_LOG2 5

struct input {
	const uint8_t *data;
	size_t len;
};

static struct virtq_driver vq;
static struct virtq_layout layout;
static uint8_t *memory;
static uint32_t n_in_flight, descs_in_flight;
static struct {
	uint32_t descs, writable;
} in_flight[1u << SIZE_MAX_LOG2];

static uint8_t take_byte(struct input *in)
{
	if (!in->len)
		return 0;
	in->len--;
	return *in->data++;
}

static void do_add(struct input *in)
{
	struct virtq_elem elems[8] = {0};
	unsigned n = take_byte(in) % 9, n_read = take_byte(in) % 9;
	uint32_t writable = 0;
	int head;

	for (unsigned i = 0; i < n; i++) {
		elems[i] = (struct virtq_elem){{i}, take_byte(in)};
		writable += i >= n_read ? elems[i].len : 0;
	}
	head = sl_virtq_add(&vq, elems, n_read, n);
	must((head < 0) == (!n || n > vq.size - descs_in_flight));
	if (head < 0)
		return;
	must(head < vq.size && !in_flight[head].descs);
	in_flight[head].descs = n;
	in_flight[head].writable = writable;
	descs_in_flight += n;
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
	int head = sl_virtq_get(&vq, &len);

	(void)in;
	must((head == -EPROTO) == !!vq.broken);
	if (head < 0)
		return;
	must(!was_broken && head < vq.size && in_flight[head].descs);
	must(len <= in_flight[head].writable);
	descs_in_flight -= in_flight[head].descs;
	in_flight[head].descs = 0;
	n_in_flight--;
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

	used->ring[used->idx & (vq.size - 1)] =
		(struct virtq_used_elem){take_byte(in), take_byte(in)};
	used->idx++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const calls[])(struct input *) = {do_add, do_publish,  do_get,
							do_arm, do_scribble, do_use};
	struct input in = {data, size};
	uint16_t queue_size = (uint16_t)(1u << take_byte(&in) % (SIZE_MAX_LOG2 + 1));
	uint16_t start = (uint16_t)(0u - take_byte(&in));

	memset(in_flight, 0, sizeof(in_flight));
	n_in_flight = descs_in_flight = 0;
	layout = sl_virtq_layout(queue_size);
	memory = calloc(1, layout.len);
	if (!memory || sl_virtq_open(&vq, queue_size, memory, take_byte(&in) & 1))
		abort();
	vq.added = vq.published = vq.seen = vq.taken = vq.avail->idx = vq.used->idx = start;
	while (in.len) {
		calls[take_byte(&in) % sl_array_len(calls)](&in);
		must(vq.n_free == vq.size - descs_in_flight);
		must(sl_virtq_in_flight(&vq) == n_in_flight);
	}
	sl_virtq_close(&vq);
	free(memory);
	return 0;
}
