/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device's side of a virtqueue, split (virtio 1.2, 2.7) or packed (2.8). One thread at a time.
 *
 * Rings, tables and addresses are the driver's, who is hostile and writes them under our feet: all
 * of it is read once, inside a guard, into a copy that is checked. A driver that breaks the rules
 * breaks its queue, for good; nothing else.
 */
#ifndef SL_VIRTQ_DEVICE_H
#define SL_VIRTQ_DEVICE_H

#include <sys/uio.h>

#include <sluice/space.h>

#include "virtq/ring_state.h"

/**
 * struct virtq_setup - what a queue is made of
 * @size:      entries: 1 to 32768; of a split queue a power of two
 * @packed:    VIRTIO_F_RING_PACKED was negotiated; and so on
 * @space:     where the addresses of buffers are looked up; the caller's. It changes only while the
 *             queue holds nothing, or when what the queue holds stays where it is
 * @miss:      @len bytes at @iova are not in @space. 0: they may be now, look again, once (it only
 *             adds mappings); -EAGAIN: they may be later (for bursts only). NULL: they never are
 * @desc:      the descriptor area, where this process has it mapped; sl_virtq_area_len() bytes
 * @driver:    the driver area: avail ring, or driver event suppression
 * @device:    the device area: used ring, or device event suppression
 * @log:       the in-flight log, sl_virtq_inflight_len() bytes that outlive the process; the
 *             caller's. NULL: there is none (a packed queue then cannot be resumed after a kill)
 * @resume:    @log is of a process before; what it says is not believed without a check. Else, or
 *             when it was never begun, it is made anew
 * @state:     where to begin; of @resume, what the log says goes before it. Where a split queue's
 *             used ring stands is read from the ring
 */
struct virtq_setup {
	uint16_t size;
	bool packed, event_idx, indirect, in_order;
	const struct sl_space *space;
	int (*miss)(void *ctx, sl_iova iova, uint64_t len);
	void *miss_ctx;
	void *desc, *driver, *device;
	void *log;
	bool resume;
	struct virtq_ring_state state;
};

/**
 * struct virtq_chain - a buffer that the driver has made available, and the device has taken
 * @id:       what sl_virtq_device_put() is given
 * @descs:    ring entries that it takes (packed)
 * @n_read:   pieces that the device reads: @pieces[0] to [n_read - 1]
 * @n_write:  pieces that it writes, behind them
 * @read_len: their bytes together, each
 * @pieces:   the caller's, with room for @max; never of length 0
 */
struct virtq_chain {
	uint16_t id, descs;
	uint16_t n_read, n_write;
	uint32_t read_len, write_len;
	struct iovec *pieces;
	unsigned max;
};

struct virtq_device;

enum virtq_area {
	VIRTQ_AREA_DESC,
	VIRTQ_AREA_DRIVER,
	VIRTQ_AREA_DEVICE
};

/** sl_virtq_area_len() - bytes of an area (2.7, 2.8) */
size_t sl_virtq_area_len(enum virtq_area area, uint16_t size, bool packed);

/**
 * sl_virtq_device_open() - take over a queue
 * @setup: copied
 * @out:   the queue, owned by the caller
 *
 * With @resume, buffers that the process before had taken and not put are the first that
 * sl_virtq_device_get() gives, in the order in which they were taken.
 *
 * Return: 0; -EINVAL for a size that cannot be, areas that are not aligned, a state out of range or
 * a log that does not fit; -EFAULT when the memory is not there; -ENOMEM.
 */
int sl_virtq_device_open(const struct virtq_setup *setup, struct virtq_device **out);

/** sl_virtq_device_close() - forget it; NULL is allowed. Neither ring nor log is touched. */
void sl_virtq_device_close(struct virtq_device *vq);

/**
 * sl_virtq_device_get() - take the next buffer that is available
 * @vq:    the queue
 * @chain: @pieces and @max are the caller's; the rest is filled in when 0 is returned
 *
 * The in-flight log has it before this returns.
 *
 * Return: 0; -EAGAIN when there is none; -EPROTO when the queue is broken: see
 * sl_virtq_device_broken(). No reason.
 */
int sl_virtq_device_get(struct virtq_device *vq, struct virtq_chain *chain);

/**
 * sl_virtq_device_put() - give a buffer back as used; the driver sees it after a publish
 * @vq:    the queue
 * @id:    of a chain that was taken
 * @len:   bytes written into it
 *
 * In any order; with VIRTIO_F_IN_ORDER one that is early waits here for those before it.
 *
 * Return: 0; -EPROTO when the queue is broken.
 */
int sl_virtq_device_put(struct virtq_device *vq, uint16_t id, uint32_t len);

/**
 * sl_virtq_device_publish() - show the driver what was put
 *
 * Return: 1 when it wants to be interrupted; 0; -EPROTO when the queue is broken.
 */
int sl_virtq_device_publish(struct virtq_device *vq);

/**
 * sl_virtq_device_arm() - ask to be notified of new buffers
 *
 * Return: 1 when there are some already; 0; -EPROTO.
 */
int sl_virtq_device_arm(struct virtq_device *vq);

/** sl_virtq_device_disarm() - no notifications, please; some may come all the same. Cheap when done
 */
void sl_virtq_device_disarm(struct virtq_device *vq);

/** sl_virtq_device_state() - where it stands; buffers in flight count as taken */
struct virtq_ring_state sl_virtq_device_state(const struct virtq_device *vq);

/** sl_virtq_device_in_flight() - buffers taken and not put; also of the process before */
unsigned sl_virtq_device_in_flight(const struct virtq_device *vq);

/** sl_virtq_device_broken() - what the driver did, a static string; NULL while it keeps to the
 * rules */
const char *sl_virtq_device_broken(const struct virtq_device *vq);

/** sl_virtq_device_break() - for what a user of the queue has found. Return: -EPROTO */
int sl_virtq_device_break(struct virtq_device *vq, const char *what);

#endif
