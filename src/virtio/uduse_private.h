/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's side of uduse from inside: uduse.c is about daemons and what they are asked,
 * uduse_call.c about what they ask, uduse_memory.c about what they see, uduse_ops.c about the
 * device. */
#ifndef SL_VIRTIO_UDUSE_PRIVATE_H
#define SL_VIRTIO_UDUSE_PRIVATE_H

#include "base/notify.h"
#include "space/bounce.h"
#include "virtio/uduse.h"
#include "wire/uduse.h"

#define UDUSE_ENTRIES_MAX 256

/** struct uduse_entry - of the IOTLB, a whole file; @base: our mapping of it */
struct uduse_entry {
	uint64_t iova;
	size_t len;
	uint8_t *base;
	int fd;
	bool write;
};

/**
 * struct uduse_queue
 * @most:  descriptors that the daemon allows, 0 until it has set the queue up
 * @setup: as the driver enabled it, when it is @ready
 * @kick:  the daemon's; @call: of our own
 */
struct uduse_queue {
	uint16_t most;
	bool ready;
	struct virtio_queue setup;
	int kick, call;
};

/**
 * struct uduse - the driver's side
 * @sock:     to the daemon, -1 for none; @why: there is none, or it does not serve the device
 * @opened:   it has the device open
 * @waits:    @unsent waits for room in @sock
 * @created:  there is a device: @name, @features, @n_queues, @config, @config_len
 * @device_id: of the device, or of one that was refused last; 0 at first
 * @accepted: features that the driver has accepted
 * @broken:   a request was not answered in time
 * @asked:    @request is under way: @sent to this daemon, @answered with @response
 * @entries:  of the IOTLB, by address; the first two are the bounce pools
 * @next:     address of the entry that comes next; none is used twice
 * @pools:    what the device reads, what it writes
 */
struct uduse {
	struct virtio virtio;
	struct uduse_config config;
	int listener, sock, epoll;
	bool opened, waits, created, broken;
	char why[256];
	char name[VDUSE_NAME_MAX];
	uint32_t device_id, n_queues, config_len, generation;
	uint64_t features, accepted;
	uint8_t space[UDUSE_CONFIG_MAX];
	uint8_t status;
	bool asked, sent, answered;
	struct vduse_dev_request request;
	struct vduse_dev_response response;
	struct uduse_queue queues[UDUSE_QUEUES_MAX];
	struct uduse_entry entries[UDUSE_ENTRIES_MAX];
	unsigned n_entries;
	uint64_t next;
	struct bounce pools[2];
	struct sl_notify notify;
	struct uduse_msg in, unsent;
};

extern const struct virtio_ops sl_uduse_ops;

/** sl_uduse_ask() - a request to the daemon, or to the next one; wait for its response. Return: 0;
 * -EIO when it refuses, or the device is broken */
int sl_uduse_ask(struct uduse *u, const struct vduse_dev_request *request);

/** sl_uduse_reset() - as nobody had driven it */
void sl_uduse_reset(struct uduse *u);

/** sl_uduse_answer() - do what u->in calls for, and make it what is returned; its descriptor is
 * not the caller's */
void sl_uduse_answer(struct uduse *u);

/** sl_uduse_entry_add() - Return: the new entry's number; -ENOSPC, -ENOMEM and the like */
int sl_uduse_entry_add(struct uduse *u, size_t len, bool write);

/** sl_uduse_entry_find() - the first that has an address from @start to @last. NULL: none */
const struct uduse_entry *sl_uduse_entry_find(const struct uduse *u, uint64_t start, uint64_t last);

/** sl_uduse_memory_open() - the pools. sl_uduse_memory_close() - all memory */
int sl_uduse_memory_open(struct uduse *u);
void sl_uduse_memory_close(struct uduse *u);

/* map() and unmap() of the device */
int sl_uduse_map(struct virtio *v, void *at, uint32_t len, bool write, sl_iova *iova);
void sl_uduse_unmap(struct virtio *v, sl_iova iova, uint32_t written);

#endif
