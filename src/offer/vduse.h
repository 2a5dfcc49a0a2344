/* SPDX-License-Identifier: BSD-2-Clause */
/* VDUSE: a device for the kernel we run on. What the files vduse*.c have between them. */
#ifndef SL_OFFER_VDUSE_H
#define SL_OFFER_VDUSE_H

#include "offer/kinds.h"
#include "offer/vdpa.h"
#include "wire/vduse.h"

#define VDUSE_CONTROL	"/dev/vduse/control"
#define VDUSE_STATE_DIR "/run/sluice"
#define VDUSE_NAME_MOST 64 /* of a name; the kernel allows 255 */

/**
 * struct vduse_mapping - an entry of the IOTLB, as this process has it mapped
 * @entry:    what the kernel said
 * @dev, @ino: of which file
 * @map, @map_len: in whole pages
 * @umem:     it is not the file, but memory of ours that we gave to the kernel
 */
struct vduse_mapping {
	struct vduse_iotlb_entry entry;
	uint64_t dev, ino;
	uint8_t *map;
	size_t map_len;
	bool umem;
	struct sl_region region;
};

/**
 * struct vduse_queue - what the transport knows of a queue
 * @kick:   the eventfd, -1 until it was needed
 * @parked: its rings are not there; @state says where it stood
 * @irq:    its driver is to be told, and could not be yet
 * @areas:  the three, where its rings were when it was started
 */
struct vduse_queue {
	int kick;
	bool parked, irq;
	struct virtq_ring_state state;
	void *areas[3];
};

/* The in-flight log: a file that the next process finds. */
struct vduse_log {
	int dir;
	char file[VDUSE_NAME_MOST + 8];
	uint8_t *map;
	size_t len, stride;
	bool found;
};

struct vduse {
	struct transport transport;
	char name[VDUSE_NAME_MOST + 1];
	int control, fd;
	struct sl_model_info info;
	uint64_t features; /* all that is offered, as the driver sees it */
	bool created, ours, begun, want_attach, want_umem, left;
	uint8_t status;
	bool packed;			/* the driver has accepted that */
	struct vduse_mapping *mappings; /* by address */
	size_t n_mappings;
	uint16_t next_region;
	struct vduse_log log;
	struct vdpa_call call;
	struct sl_watch watch, call_watch;
	bool asked; /* @request is not answered yet */
	struct vduse_dev_request request;
	struct vduse_queue *queues;
};

/*
 * vduse_device.c: the device, in the kernel.
 */

/** sl_vduse_name() - can a device be called that? Return: 0; -EINVAL with a reason */
int sl_vduse_name(const char *name);

/** sl_vduse_control() - VDUSE_CONTROL, for API version 0. Return: a descriptor of the caller's */
int sl_vduse_control(void);

/** sl_vduse_create() - make it, or find it; it is open then, and its queues are set up */
int sl_vduse_create(struct vduse *v);

/** sl_vduse_destroy() - nobody has it open. Return: 0; -EBUSY, -ENOENT with a reason */
int sl_vduse_destroy(int control, const char *name);

/** sl_vduse_set_config() - all of the configuration space. Return: 0; what the ioctl says */
int sl_vduse_set_config(struct vduse *v);

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

/** sl_vduse_log_open() - of an earlier process unless @fresh. @found: it was one of such a device
 */
int sl_vduse_log_open(struct vduse *v, const char *dir, bool fresh);

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

/** sl_vduse_queues_ran() - did a process before serve any, of those that are ready? */
bool sl_vduse_queues_ran(struct vduse *v);

/** sl_vduse_queues_start() - those that are ready. @resume: of a process before */
int sl_vduse_queues_start(struct vduse *v, bool resume);

/** sl_vduse_queues_stop() - Return: 0; -EAGAIN: ask again; they are forgotten then */
int sl_vduse_queues_stop(struct vduse *v);

/** sl_vduse_queues_moved() - the memory has changed, and nothing is in flight: follow the rings */
int sl_vduse_queues_moved(struct vduse *v);

/** sl_vduse_queue_state() - where it stands: into a response. Return: 0; -EAGAIN: ask again */
int sl_vduse_queue_state(struct vduse *v, uint16_t queue, struct vduse_dev_response *to);

/** sl_vduse_queue_interrupt() - now, or when sl_vduse_queues_irq() is next called. Return: as told
 */
bool sl_vduse_queue_interrupt(struct vduse *v, uint16_t queue);

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
