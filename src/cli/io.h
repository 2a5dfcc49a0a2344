/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice io, from inside: io.c parses and sets up, io_disk.c has the device, io_job.c the loop,
 * io_verify.c what has to be on the disk, io_show.c what is printed. */
#ifndef SL_CLI_IO_H
#define SL_CLI_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio/blk.h"
#include "virtio/uduse.h"
#include "virtio/vhost_user.h"

enum io_op {
	IO_READ,
	IO_WRITE,
	IO_RANDREAD,
	IO_RANDWRITE,
	IO_FLUSH,
	IO_DISCARD,
	IO_WRITE_ZEROES,
};

extern const char *const sl_io_ops[]; /* names, in that order; ends with NULL */

/** struct io_options - what was asked for; lengths in bytes, times in seconds; @uduse: over that,
 * else over vhost-user */
struct io_options {
	const char *path;
	int fd; /* -1 without */
	enum io_op op;
	uint64_t offset, size;
	uint32_t block;
	uint16_t depth, queues, queue_size;
	double time, stats, reconnect;
	bool poll, packed, indirect, in_order, verify, json, listen, uduse;
};

/*
 * What was seen.
 */

#define IO_LATENCY_STEPS   32 /* in which a power of two is cut: 3 % */
#define IO_LATENCY_BUCKETS (64 * IO_LATENCY_STEPS)

/** struct io_latency - nanoseconds, and how often */
struct io_latency {
	uint64_t count, sum, max;
	uint64_t buckets[IO_LATENCY_BUCKETS];
};

void io_latency_add(struct io_latency *l, uint64_t ns);

/** io_latency_at() - what so many of a hundred stay below */
uint64_t io_latency_at(const struct io_latency *l, double percent);

/**
 * struct io_stats - since the start
 * @ns:         of the job, without checks at its end
 * @checked:    blocks that were read and compared; @foreign: that did not carry a pattern, and
 * nobody knew what should be there
 * @resumed:    requests that were in flight when a back end was gone
 */
struct io_stats {
	uint64_t ns, requests, bytes, errors, mismatches, checked, foreign;
	uint64_t reconnects, resumed, kicks, sleeps;
	struct io_latency latency;
};

/*
 * The disk.
 */

/** struct io_request - @started: ns; @block: of the job's range; @generation: of what is written */
struct io_request {
	uint64_t started, block;
	uint32_t type, generation;
};

/** struct io_queue - @free: requests that are not in flight; @data: of all requests; where the
 * device sees them, unless the transport maps */
struct io_queue {
	struct virtio_blk_queue blk;
	struct io_request *requests;
	uint16_t *free, n_free;
	uint8_t *data;
	sl_iova data_iova;
};

/** struct io_disk - @front or @uduse is what it is reached by; @known: it was there once: whoever
 * takes over has to have @features */
struct io_disk {
	const struct io_options *o;
	struct vhost_front *front;
	struct uduse *uduse;
	struct virtio *v;
	struct virtio_blk_state state;
	uint64_t features;
	bool known;
	struct io_queue *queues;
	size_t stride; /* memory of a queue */
};

/** io_disk_open() - reach it, until a deadline; @stop: a descriptor that ends the wait. 0, or a
 * negative errno with a reason; -EINTR when it was stopped */
int io_disk_open(struct io_disk *disk, const struct io_options *o, int stop);
void io_disk_close(struct io_disk *disk);

/** io_disk_attach() - reach it (again), until a deadline: as io_disk_open() */
int io_disk_attach(struct io_disk *disk, uint64_t until_ns, int stop);

/** io_disk_step() - look after it. 0; a negative errno with a reason when it is gone: attach it
 * again
 */
int io_disk_step(struct io_disk *disk);

/** io_disk_fd() - readable when io_disk_step() has something to do */
int io_disk_fd(const struct io_disk *disk);

/**
 * struct io_plan - what the options mean on this disk
 * @type:    of requests: VIRTIO_BLK_T_...
 * @blocks:  of --bs, in the range
 * @entries: of the virtqueue, that a request takes at most
 */
struct io_plan {
	uint32_t type;
	uint64_t blocks;
	unsigned entries;
};

/** io_plan_make() - 0; -EINVAL with a reason when the disk cannot do that */
int io_plan_make(struct io_plan *plan, const struct io_disk *disk);

/*
 * What has to be on it.
 */

struct io_verify;

/** io_verify_create() - of @n blocks of @len bytes, the first at byte @offset */
int io_verify_create(uint64_t offset, uint32_t len, uint64_t n, struct io_verify **out);
void io_verify_release(struct io_verify *v);

/** io_verify_take() - a block that no request is for: @block, or one of the @within behind it, the
 * first of all behind the last; UINT64_MAX when there is none. @known: only one whose content is
 * known */
uint64_t io_verify_take(struct io_verify *v, uint64_t block, uint64_t within, bool known);

/** io_verify_begin() - @block will be written: fill @data. Return: its generation */
uint32_t io_verify_begin(struct io_verify *v, uint64_t block, uint8_t *data);

#define IO_ZEROES UINT32_MAX /* a generation: VIRTIO_BLK_T_WRITE_ZEROES */

/** io_verify_written() - it was; @generation 0: nobody knows what is there now */
void io_verify_written(struct io_verify *v, uint64_t block, uint32_t generation);

/** io_verify_check() - @data was read from @block. Return: 0; 1 when it carries no pattern and
 * nobody knows; -EILSEQ with a reason */
int io_verify_check(struct io_verify *v, uint64_t block, const uint8_t *data);

/** io_verify_done() - the request for @block is over */
void io_verify_done(struct io_verify *v, uint64_t block);

/*
 * The work.
 */

/** io_job() - do what the options say. Return: an exit status; what failed was said */
int io_job(struct io_disk *disk, const struct io_options *o, int signals);

/*
 * What is printed.
 */

struct io_show {
	const struct io_options *o;
	const struct io_disk *disk;
	bool terminal;
	uint64_t last_ns, last_requests, last_bytes, last_sum;
};

void io_show_start(struct io_show *show, const struct io_options *o, const struct io_disk *disk);
void io_show_interval(struct io_show *show, const struct io_stats *stats);
void io_show_final(struct io_show *show, const struct io_stats *stats);

/** io_say() - a line on stderr */
__attribute__((format(printf, 2, 3))) void io_say(const struct io_show *show, const char *fmt, ...);

#endif
