/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a packed queue of packets stands, in memory that outlives the process: nobody else knows
 * it. (A split queue's used idx is in its ring.) Buffers that are about to be shown as used are
 * written down before; the first of them is shown last (virtio 1.2, 2.8), so it says whether all
 * were.
 */
#ifndef SL_OFFER_NET_LOG_H
#define SL_OFFER_NET_LOG_H

#include "virtq/burst.h"

/**
 * struct net_log_word - written at once; a place has the wrap counter of its lap in its highest bit
 * @at:    where the device is with used buffers
 * @n:     buffers that are about to be used, from @at on
 * @begun: something was used
 */
struct net_log_word {
	uint16_t at, n, begun, unused;
};

/** struct net_log - of a queue; @map NULL: there is none; @word: as it is there */
struct net_log {
	struct net_log_map *map;
	struct net_log_word word;
};

/**
 * sl_net_log_open() - begin where a process before stood, if it was the same life of the ring
 * @log:    filled in
 * @memory: SL_NET_LOG_LEN bytes, or NULL; what is in it is not believed without a check
 * @setup:  of a packed queue; its state is changed when the log knows better. What was about to be
 *          shown is shown
 *
 * Return: whether the log was followed.
 */
bool sl_net_log_open(struct net_log *log, void *memory, struct virtq_setup *setup);

/**
 * sl_net_log_mend() - put right what the front end did to a transmitq while nobody was there
 * @log:   that sl_net_log_open() has followed
 * @setup: its state is changed where the driver has seen what was done
 * @told:  where the front end says that the queue stands
 *
 * QEMU drops what a guest sends when there is no back end (virtio_net_drop_tx_queue_data(), 7.2 and
 * later): a split queue where it stands, a packed one where QEMU last knew it to stand, which may
 * be ahead of what is really next. What was used there before its turn shall be used in its turn:
 * it becomes available again, as a packet that is too short.
 *
 * Return: how many descriptors there were.
 */
unsigned sl_net_log_mend(struct net_log *log, struct virtq_setup *setup,
			 struct virtq_ring_state told);

/** sl_net_log_use() - these are about to be used, with those @lens (NULL: none was written) */
void sl_net_log_use(struct net_log *log, const struct virtq_device *vq,
		    const struct virtq_buffer *bufs, const uint32_t *lens, unsigned n);

/** sl_net_log_done() - they were shown */
void sl_net_log_done(struct net_log *log, const struct virtq_device *vq);

/** sl_net_log_close() - the queue was stopped in order: there is nothing to go on with */
void sl_net_log_close(struct net_log *log);

#endif
