/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VDUSE: a device for the kernel we run on; or for a process that speaks as it does over a socket
 * (uduse). What the files vduse*.c and uduse*.c have between them.
 */
#ifndef SL_OFFER_VDUSE_H
#define SL_OFFER_VDUSE_H

#include <sys/ioctl.h>

#include "base/bytes.h"
#include "offer/file_map.h"
#include "offer/kinds.h"
#include "offer/vdpa.h"
#include "wire/uduse.h"

#define VDUSE_CONTROL "/dev/vduse/control"

/**
 * struct vduse_mapping - an entry of the IOTLB, as this process has it mapped
 * @entry:    what the kernel said
 * @dev, @ino: of which file
 * @umem:     it is not the file, but memory of ours that we gave to the kernel
 */
struct vduse_mapping {
	struct vduse_iotlb_entry entry;
	uint64_t dev, ino;
	struct file_map map;
	bool umem;
	struct sl_region region;
};

/**
 * struct vduse_queue - what the transport knows of a queue
 * @kick:   the eventfd, -1 until it was needed
 * @parked: its rings are not there, or may move; @state says where it stood
 * @irq:    its driver is to be told, and could not be yet
 */
struct vduse_queue {
	int kick;
	bool parked, irq;
	struct virtq_ring_state state;
};

/* The in-flight log: a file that the next process finds. */
struct vduse_log {
	int dir;
	char file[VDUSE_NAME_MOST + 8];
	uint8_t *map;
	size_t len, stride;
	bool found;
};

struct vduse;

/**
 * struct vduse_kernel - who has the device: this kernel, or a process
 * @call:    an ioctl, or UDUSE_OPEN. Returns what it returns, a negative errno, no reason
 * @read:    VDUSE_REQUEST_LEN bytes of a request. Returns how many; a negative errno, no reason
 * @respond: to it. Return: 0; a negative errno, no reason
 * @lazy:    memory comes into the IOTLB when its driver first uses it, and nobody says so
 */
struct vduse_kernel {
	int (*call)(struct vduse *v, uint32_t command, void *argument);
	int (*read)(struct vduse *v, void *bytes);
	int (*respond)(struct vduse *v, const struct vduse_dev_response *response);
	bool lazy;
};

/**
 * struct vduse - a device
 * @anew:     what its user can do to begin anew with it
 * @features: all that is offered, as the driver sees it
 * @packed:   the driver has accepted that
 * @mappings: by address
 * @missed:   memory was used that is not mapped; @looked: and nothing had come into the IOTLB
 * @asked:    @request is not answered yet
 */
struct vduse {
	struct transport transport;
	const struct vduse_kernel *kernel;
	char name[VDUSE_NAME_MOST + 1], anew[VDUSE_NAME_MOST + 64];
	int control, fd;
	struct sl_model_info info;
	uint64_t features;
	bool created, ours, begun, want_attach, want_umem, left;
	uint8_t status;
	bool packed;
	struct vduse_mapping *mappings;
	size_t n_mappings;
	bool missed, looked;
	struct vduse_log log;
	struct vdpa_call call;
	struct sl_watch watch, call_watch;
	bool asked;
	struct vduse_dev_request request;
	struct vduse_queue *queues;
};

static inline struct vduse *sl_vduse_of(struct transport *t)
{
	return sl_container_of(t, struct vduse, transport);
}

/*
 * vduse_kernel.c: the device, in this kernel.
 */

extern const struct vduse_kernel sl_vduse_kernel;

/** sl_vduse_control() - VDUSE_CONTROL, for API version 0. Return: a descriptor of the caller's */
int sl_vduse_control(void);

/** sl_vduse_destroy() - nobody has it open. Return: 0; -EBUSY, -ENOENT with a reason */
int sl_vduse_destroy(int control, const char *name);

/*
 * vduse_device.c: the device, whoever has it.
 */

/** sl_vduse_name() - can a device be called that? Return: 0; -EINVAL with a reason */
int sl_vduse_name(const char *name);

/** sl_vduse_create() - make it, or find it; it is open then, and its queues are set up */
int sl_vduse_create(struct vduse *v);

/** sl_vduse_set_config() - all of the configuration space. Return: 0; what the ioctl says */
int sl_vduse_set_config(struct vduse *v);

/*
 * vduse_serve.c
 */

/** sl_vduse_init() - of a struct that is all zero but for its transport's ops and its kernel. It is
 * freed by sl_vduse_free(), also when it failed */
int sl_vduse_init(struct vduse *v, struct sl_offer *o, const char *name, bool packed);

/** sl_vduse_let_go() - of the device, when the offer has no space any more */
void sl_vduse_let_go(struct vduse *v);
void sl_vduse_free(struct vduse *v);

/** sl_vduse_take_over() - from a process before, if there was one that served it */
int sl_vduse_take_over(struct vduse *v);

/** sl_vduse_serve() - messages and interrupts, one step. Return: how many; a negative errno */
int sl_vduse_serve(struct vduse *v);

void sl_vduse_arm(struct vduse *v, uint64_t *deadline_ns);
void sl_vduse_broken(struct transport *t, uint16_t queue);
void sl_vduse_changed(struct transport *t);

/*
 * vduse_memory.c: what the driver has mapped.
 */

/** sl_vduse_memory_add() - map what is new */
int sl_vduse_memory_add(struct vduse *v);

/** sl_vduse_memory_sync() - also unmap what is not there any more; nothing is in flight */
int sl_vduse_memory_sync(struct vduse *v);

/** sl_vduse_memory_clear() - unmap all; nothing is in flight */
void sl_vduse_memory_clear(struct vduse *v);

/** sl_vduse_memory_free() - all, when the offer has no space any more */
void sl_vduse_memory_free(struct vduse *v);

/*
 * vduse_log.c
 */

/** sl_vduse_log_dir() - where it will be */
int sl_vduse_log_dir(struct vduse *v, const char *path);

/** sl_vduse_log_open() - of an earlier process unless @fresh. @found: it was one of such a device
 */
int sl_vduse_log_open(struct vduse *v, bool fresh);

/** sl_vduse_log_queue() - its part of the log */
void *sl_vduse_log_queue(struct vduse *v, uint16_t queue);

/** sl_vduse_log_runs() - which queues run, a bit each: all that a driver has set up, or none. It is
 * written at once: a process that is killed leaves no half of a beginning or an end behind */
uint64_t sl_vduse_log_runs(struct vduse *v);
void sl_vduse_log_set_runs(struct vduse *v, uint64_t queues);

/** sl_vduse_log_close() - @remove: the device is gone, nobody will want it */
void sl_vduse_log_close(struct vduse *v, bool remove);

/*
 * vduse_queue.c
 */

/** sl_vduse_queues_ran() - did a process before serve any, of those that are ready? Return: 0, 1; a
 * negative errno */
int sl_vduse_queues_ran(struct vduse *v);

/** sl_vduse_queues_start() - those that are ready. @resume: of a process before */
int sl_vduse_queues_start(struct vduse *v, bool resume);

/** sl_vduse_queues_stop() - Return: 0; -EAGAIN: ask again. The log says that they run, still */
int sl_vduse_queues_stop(struct vduse *v);

/** sl_vduse_queues_park() - the memory will change. Return: 0: none runs; -EAGAIN: ask again */
int sl_vduse_queues_park(struct vduse *v);

/** sl_vduse_queues_unpark() - it has changed: those whose rings are there go on */
int sl_vduse_queues_unpark(struct vduse *v);

/** sl_vduse_queue_state() - where it stands: into a response. Return: 0; -EAGAIN: ask again */
int sl_vduse_queue_state(struct vduse *v, uint16_t queue, struct vduse_dev_response *to);

/** sl_vduse_queues_missed() - what was used and not mapped: look for it. Return: 0; an errno */
int sl_vduse_queues_missed(struct vduse *v);

/** sl_vduse_queue_interrupt() - now, or when sl_vduse_queues_irq() is next called. Any thread that
 * serves the queue. Return: as told */
bool sl_vduse_queue_interrupt(struct transport *t, uint16_t queue);

/** sl_vduse_queues_irq() - what could not be told. Return: true when there is still something */
bool sl_vduse_queues_irq(struct vduse *v);

/*
 * vduse_message.c
 */

/** sl_vduse_message() - read one, or go on with one. Return: 1 when it was answered; 0; an errno */
int sl_vduse_message(struct vduse *v);

/** sl_vduse_features() - take what the driver has accepted. Return: 0; -EPROTO with a reason */
int sl_vduse_features(struct vduse *v);

#endif
