/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtqueue in memory that processes can share: a driver that is naive, and honest unless the
 * test writes to the memory itself, and what the device's side is opened with.
 *
 * Each buffer is a cookie for the device to read and room for an answer, in so many pieces.
 */
#ifndef SL_TESTS_VIRTQ_RIG_H
#define SL_TESTS_VIRTQ_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <sluice/guard.h>
#include <sluice/space.h>

#include "virtq/device.h"
#include "virtq/inflight.h"
#include "virtq/packed.h"
#include "virtq/split.h"

#define RIG_IOVA   UINT64_C(0x7000000000)
#define RIG_PIECES 8u /* of a buffer; its length in bytes is 8 a piece */
#define RIG_BUFFER (RIG_PIECES * (8u + sizeof(struct virtq_desc)))
#define RIG_PAGE   ((size_t)4096)

/** struct rig_options - @pieces: of each buffer, the first half to read; @indirect: through a table
 */
struct rig_options {
	uint16_t size;
	bool packed, event_idx, indirect, in_order, log;
	uint16_t start;
	unsigned pieces;
};

/** struct rig_buffer - that the driver has made available: @descs it takes */
struct rig_buffer {
	uint64_t cookie;
	uint16_t descs;
	bool given;
};

/** struct rig - @buffers, @owned: in memory that is shared, as the rings are; by id, by descriptor
 */
struct rig {
	struct rig_options options;
	uint8_t *memory;
	size_t len;
	void *desc, *driver, *device, *log;
	uint8_t *data;
	struct sl_space *space;
	struct virtq_device *vq;
	uint16_t avail, used;
	bool avail_wrap, used_wrap;
	struct rig_buffer *buffers;
	uint16_t *owner; /* split: of a descriptor: 1 + the buffer's id */
	unsigned n_descs;
};

static inline size_t rig_round(size_t len)
{
	return (len + RIG_PAGE - 1) & ~(RIG_PAGE - 1);
}

static inline struct virtq_setup rig_setup(const struct rig *rig)
{
	const struct rig_options *o = &rig->options;

	return (struct virtq_setup){
		.size = o->size,
		.packed = o->packed,
		.event_idx = o->event_idx,
		.indirect = o->indirect,
		.in_order = o->in_order,
		.space = rig->space,
		.desc = rig->desc,
		.driver = rig->driver,
		.device = rig->device,
		.log = o->log ? rig->log : NULL,
		.state = {.avail = o->start,
			  .used = o->start,
			  .avail_wrap = true,
			  .used_wrap = true},
	};
}

static inline void rig_map(struct rig *rig, uint64_t iova, void *base, size_t len, uint32_t access)
{
	struct sl_region region = {.base = base, .len = len, .fd = -1, .access = access};

	assert_int_equal(sl_space_map_at(rig->space, (sl_iova){iova}, &region), 0);
}

/* All but the device's side. */
static inline void rig_make(struct rig *rig, const struct rig_options *options)
{
	size_t desc = rig_round(sl_virtq_area_len(VIRTQ_AREA_DESC, options->size, options->packed));
	size_t ring = rig_round(sl_virtq_area_len(VIRTQ_AREA_DEVICE, options->size, false));
	size_t log = rig_round(sl_virtq_inflight_len(options->size, options->packed));
	size_t data = rig_round((size_t)options->size * RIG_BUFFER);
	size_t own = rig_round(options->size * (sizeof(*rig->buffers) + sizeof(*rig->owner)));

	*rig = (struct rig){.options = *options,
			    .len = desc + 2 * ring + log + data + own,
			    .avail = options->start,
			    .used = options->start,
			    .avail_wrap = true,
			    .used_wrap = true};
	rig->memory =
		mmap(NULL, rig->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(rig->memory != MAP_FAILED);
	rig->desc = rig->memory;
	rig->driver = rig->memory + desc;
	rig->device = rig->memory + desc + ring;
	rig->log = rig->memory + desc + 2 * ring;
	rig->data = rig->memory + desc + 2 * ring + log;
	rig->buffers = (void *)(rig->data + data);
	rig->owner = (void *)(rig->buffers + options->size);
	/* As if the ring had been used up to there. */
	for (uint16_t i = 0; options->packed && i < options->start; i++)
		((struct virtq_packed_desc *)rig->desc)[i].flags =
			sl_virtq_packed_flags(true, true);
	if (!options->packed) {
		((struct virtq_avail *)rig->driver)->idx = options->start;
		((struct virtq_used *)rig->device)->idx = options->start;
	}
	assert_int_equal(sl_space_create(NULL, &rig->space), 0);
	rig_map(rig, RIG_IOVA, rig->data, data, SL_REGION_READ | SL_REGION_WRITE);
}

static inline void rig_open(struct rig *rig, const struct rig_options *options)
{
	struct virtq_setup setup;

	rig_make(rig, options);
	setup = rig_setup(rig);
	assert_int_equal(sl_virtq_device_open(&setup, &rig->vq), 0);
}

static inline void rig_close(struct rig *rig)
{
	sl_virtq_device_close(rig->vq);
	sl_space_release(rig->space);
	munmap(rig->memory, rig->len);
}

/*
 * The driver.
 */

static inline uint8_t *rig_bytes(const struct rig *rig, uint16_t id)
{
	return rig->data + (size_t)id * RIG_BUFFER;
}

/* Half of the pieces, at least one, are to write; without more than one all of it is. */
static inline bool rig_writes(const struct rig_options *o, unsigned piece)
{
	return piece >= o->pieces / 2;
}

static inline struct virtq_desc rig_piece(const struct rig *rig, uint16_t id, unsigned piece)
{
	const struct rig_options *o = &rig->options;

	return (struct virtq_desc){
		.addr = RIG_IOVA + (size_t)id * RIG_BUFFER + 8 * piece,
		.len = 8,
		.flags = (uint16_t)((rig_writes(o, piece) ? VIRTQ_DESC_F_WRITE : 0) |
				    (piece + 1 < o->pieces ? VIRTQ_DESC_F_NEXT : 0)),
		.next = (uint16_t)(piece + 1),
	};
}

static inline struct virtq_desc rig_desc(const struct rig *rig, uint16_t id, unsigned n)
{
	const struct rig_options *o = &rig->options;
	size_t table = 8 * RIG_PIECES;
	struct virtq_desc desc;

	if (!o->indirect)
		return rig_piece(rig, id, n);
	for (unsigned i = 0; i < o->pieces; i++) {
		desc = rig_piece(rig, id, i);
		if (o->packed) { /* id, reserved, is where the flags were; these are where next was
				  */
			desc.next = desc.flags & VIRTQ_DESC_F_WRITE;
			desc.flags = 0xffff;
		}
		memcpy(rig_bytes(rig, id) + table + i * sizeof(desc), &desc, sizeof(desc));
	}
	return (struct virtq_desc){
		.addr = RIG_IOVA + (size_t)id * RIG_BUFFER + table,
		.len = (uint32_t)(o->pieces * sizeof(desc)),
		.flags = VIRTQ_DESC_F_INDIRECT,
	};
}

/* Ring descriptors of a split queue are taken wherever they are free; the first is the id. */
static inline uint16_t rig_add_split(struct rig *rig, uint16_t descs)
{
	struct virtq_avail *avail = rig->driver;
	struct virtq_desc *table = rig->desc;
	uint16_t at[RIG_PIECES] = {0}, n = 0, size = rig->options.size;

	for (uint16_t i = 0; n < descs; i++)
		if (!rig->owner[i])
			at[n++] = i;
	for (n = 0; n < descs; n++) {
		struct virtq_desc desc = rig_desc(rig, at[0], n);

		rig->owner[at[n]] = (uint16_t)(at[0] + 1);
		desc.next = n + 1 < descs ? at[n + 1] : 0;
		table[at[n]] = desc;
	}
	avail->ring[rig->avail++ % size] = at[0];
	sl_store_release(&avail->idx, rig->avail);
	return at[0];
}

static inline uint16_t rig_add_packed(struct rig *rig, uint16_t descs)
{
	struct virtq_packed_desc *ring = rig->desc;
	uint16_t first = rig->avail, first_flags = 0, id = 0;

	while (rig->buffers[id].given)
		id++;
	for (uint16_t n = 0; n < descs; n++) {
		struct virtq_desc desc = rig_desc(rig, id, n);
		uint16_t flags =
			(uint16_t)(desc.flags | sl_virtq_packed_flags(false, rig->avail_wrap));

		ring[rig->avail].addr = desc.addr;
		ring[rig->avail].len = desc.len;
		ring[rig->avail].id = n + 1 < descs ? 0xdead : id;
		if (n)
			ring[rig->avail].flags = flags;
		else
			first_flags = flags;
		sl_virtq_packed_advance(&rig->avail, &rig->avail_wrap, 1, rig->options.size);
	}
	sl_store_release(&ring[first].flags, first_flags);
	return id;
}

/* Make a buffer available; its id, or -ENOSPC. */
static inline int rig_add(struct rig *rig, uint64_t cookie)
{
	const struct rig_options *o = &rig->options;
	uint16_t descs = (uint16_t)(o->indirect ? 1 : o->pieces), id;

	if (rig->n_descs + descs > o->size)
		return -ENOSPC;
	rig->n_descs += descs;
	id = o->packed ? rig_add_packed(rig, descs) : rig_add_split(rig, descs);
	assert_false(rig->buffers[id].given);
	rig->buffers[id] = (struct rig_buffer){cookie, descs, true};
	memcpy(rig_bytes(rig, id), &cookie, sizeof(cookie));
	return id;
}

/* Take a used buffer back: its id, which it had given once, or -EAGAIN. */
static inline int rig_collect(struct rig *rig, uint32_t *len)
{
	const struct virtq_used *used = rig->device;
	const struct virtq_packed_desc *ring = rig->desc;
	uint16_t size = rig->options.size, flags;
	uint32_t id;

	if (rig->options.packed) {
		flags = sl_load_acquire(&ring[rig->used].flags);
		if (!sl_virtq_packed_is(flags, true, rig->used_wrap))
			return -EAGAIN;
		id = ring[rig->used].id;
		*len = flags & VIRTQ_DESC_F_WRITE ? ring[rig->used].len : 0;
	} else {
		if (sl_load_acquire(&used->idx) == rig->used)
			return -EAGAIN;
		id = used->ring[rig->used % size].id;
		*len = used->ring[rig->used++ % size].len;
	}
	assert_true(id < size);
	assert_true(rig->buffers[id].given);
	rig->buffers[id].given = false;
	rig->n_descs -= rig->buffers[id].descs;
	if (rig->options.packed)
		sl_virtq_packed_advance(&rig->used, &rig->used_wrap, rig->buffers[id].descs, size);
	for (uint16_t i = 0; i < size && !rig->options.packed; i++)
		if (rig->owner[i] == id + 1)
			rig->owner[i] = 0;
	return (int)id;
}

/*
 * The device.
 */

/** struct rig_taken - a buffer that the device has, with its pieces */
struct rig_taken {
	struct virtq_chain chain;
	struct iovec pieces[RIG_PIECES];
};

static inline int rig_get(struct rig *rig, struct rig_taken *taken)
{
	taken->chain.pieces = taken->pieces;
	taken->chain.max = RIG_PIECES;
	return sl_virtq_device_get(rig->vq, &taken->chain);
}

/* What the pieces are must be what the driver gave. The answer is the cookie, turned over. */
static inline void rig_answer(const struct rig *rig, const struct rig_taken *taken)
{
	const struct rig_options *o = &rig->options;
	const struct virtq_chain *chain = &taken->chain;
	uint64_t cookie;

	assert_true(rig->buffers[chain->id].given);
	assert_int_equal(chain->n_read, o->pieces / 2);
	assert_int_equal(chain->n_write, o->pieces - o->pieces / 2);
	assert_int_equal(chain->read_len, 8 * chain->n_read);
	assert_int_equal(chain->write_len, 8 * chain->n_write);
	for (unsigned i = 0; i < o->pieces; i++) {
		assert_ptr_equal(chain->pieces[i].iov_base, rig_bytes(rig, chain->id) + 8 * i);
		assert_int_equal(chain->pieces[i].iov_len, 8);
	}
	memcpy(&cookie, rig_bytes(rig, chain->id), sizeof(cookie));
	if (!chain->n_read) /* the answer may lie over it already */
		cookie = rig->buffers[chain->id].cookie;
	cookie = ~cookie;
	memcpy(chain->pieces[o->pieces - 1].iov_base, &cookie, sizeof(cookie));
}

static inline void rig_fault(int sig, siginfo_t *info, void *ctx)
{
	if (!sl_guard_handler(sig, info, ctx))
		signal(sig, SIG_DFL);
}

/* In each test: cmocka has handlers of its own for each. */
static inline void rig_guard(void)
{
	struct sigaction action = {.sa_sigaction = rig_fault, .sa_flags = SA_SIGINFO};

	assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0);
	assert_int_equal(sigaction(SIGBUS, &action, NULL), 0);
}

#endif
