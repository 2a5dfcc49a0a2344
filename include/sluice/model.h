/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A model: what a virtio device does, whatever driver it is offered to and however. An offer
 * (<sluice/offer.h>) takes buffers from virtqueues and gives them to the model as requests; the
 * model gives each back once, in any order. docs/offer.md builds one in a hundred lines.
 *
 * All of it is called by the thread that runs the offer's worker.
 */
#ifndef SLUICE_MODEL_H
#define SLUICE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <sluice/log.h>
#include <sluice/param.h>
#include <sluice/region.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sl_offer;
struct sl_model;

/**
 * struct sl_request - a buffer that a driver has made available
 * @read:      pieces that the device reads; the driver's memory, which may change and go away:
 * touch it with sl_request_read() and sl_request_write(), or let the kernel copy
 * @write:     pieces that the device writes
 * @n_read, @n_write: how many
 * @read_len, @write_len: their bytes together
 * @queue:     of which virtqueue
 * @data:      sl_model_info.request_data bytes of the model's own, aligned to 16; not cleared
 */
struct sl_request {
	const struct iovec *read, *write;
	uint16_t n_read, n_write;
	uint32_t read_len, write_len;
	uint16_t queue;
	void *data;
};

/** sl_request_read() - copy from what the driver wrote. Return: 0; -EINVAL when it does not have
 * them; -EFAULT when the memory was taken away */
int sl_request_read(const struct sl_request *req, uint32_t offset, void *to, uint32_t len);

/** sl_request_write() - copy to what the driver will read. Return: as sl_request_read() */
int sl_request_write(const struct sl_request *req, uint32_t offset, const void *from, uint32_t len);

/**
 * sl_request_done() - give it back; it is the offer's from now on
 * @req:     of the model's request()
 * @written: bytes of its write pieces that were written, from their beginning on
 * (virtio 1.2, 2.7.8.2)
 */
void sl_request_done(struct sl_request *req, uint32_t written);

/**
 * struct sl_model_info - what it is like; constant but for a change that sl_offer_changed() tells
 * @device_id:    virtio 1.2, chapter 5
 * @features:     the device's own, bits 0 to 23 and 50 up (2.2)
 * @queues:       how many virtqueues
 * @queue_size:   the most entries that each may have, a power of two
 * @pieces:       a request of the driver's may have so many descriptors
 * @config_len:   bytes of its configuration space
 * @request_data: bytes of its own with each request
 */
struct sl_model_info {
	uint32_t device_id;
	uint64_t features;
	uint16_t queues, queue_size;
	uint16_t pieces;
	uint32_t config_len;
	size_t request_data;
};

/**
 * struct sl_model_ops - a kind of model
 * @size:       of this struct, for growth
 * @kind:       "blk" in blk,file=disk.img; @help: one line; @params: its parameters
 * @open:       make one; it touches nothing that a process before may still be writing
 * @info:       ...
 * @get_config: write all of its configuration space
 * @set_config: the driver writes to it; NULL: nothing is writable. Hostile. 0, or -EINVAL
 * @fence:      0 when nothing that a killed process has left behind can still land; -EAGAIN to be
 *              asked again; else it has failed. Called before any queue is looked at; NULL: always
 * 0
 * @start:      a driver has negotiated @features; no request is there
 * @region_add, @region_del: memory that requests lie in comes and goes (never while one is there
 *              that lies in it); may be NULL
 * @request:    a request; the model's until sl_request_done()
 * @submit:     a burst of request() has ended; may be NULL
 * @fd:         readable when reap() has something; -1 or NULL: there never is
 * @reap:       finish what has come to an end. Returns how many
 * @arm:        the worker will sleep on @fd: true when there is something to reap already
 * @stats:      names and values for people and JSON: calls @emit for each; any thread
 * @close:      nothing may write into a request's memory any more when it returns. Requests that
 * were not given back, which only a stop that gave up leaves, are not given back then either
 */
struct sl_model_ops {
	uint32_t size;
	const char *kind, *help;
	const struct sl_param *params;
	int (*open)(const struct sl_args *args, const struct sl_log *log, struct sl_model **out);
	void (*info)(const struct sl_model *m, struct sl_model_info *info);
	void (*get_config)(const struct sl_model *m, void *config);
	int (*set_config)(struct sl_model *m, uint32_t offset, const void *from, uint32_t len);
	int (*fence)(struct sl_model *m, uint64_t now_ns);
	int (*start)(struct sl_model *m, uint64_t features);
	void (*region_add)(struct sl_model *m, const struct sl_region *region);
	void (*region_del)(struct sl_model *m, const struct sl_region *region);
	void (*request)(struct sl_model *m, struct sl_request *req);
	void (*submit)(struct sl_model *m);
	int (*fd)(const struct sl_model *m);
	int (*reap)(struct sl_model *m);
	bool (*arm)(struct sl_model *m);
	void (*stats)(const struct sl_model *m,
		      void (*emit)(void *ctx, const char *name, uint64_t value), void *ctx);
	void (*close)(struct sl_model *m);
};

/** struct sl_model - the head of every model's own; @offer: set while it is offered */
struct sl_model {
	const struct sl_model_ops *ops;
	struct sl_offer *offer;
};

#ifdef __cplusplus
}
#endif
#endif
