/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files net*.c have between them. */
#ifndef SL_OFFER_NET_PRIVATE_H
#define SL_OFFER_NET_PRIVATE_H

#include <pthread.h>

#include <linux/virtio_net.h>

#include "base/barrier.h"
#include "offer/net.h"
#include "offer/net_log.h"
#include "offer/queue.h"
#include "virtq/burst.h"

#define NET_BURST 64 /* packets a call, so that the other direction gets its turn */
#define NET_QUEUE_SIZE                                                                             \
	SL_NET_LOG_ENTRIES /* entries of a virtqueue, at most: as many as QEMU allows */
/* What fragments call memory: nobody is told of it, so nobody's hardware reaches it. */
#define NET_REGION 0
#define NET_OWN_COOKIE                                                                             \
	1 /* of a packet that is ours: no buffer of the driver's goes back for it                  \
	   */

/**
 * struct net_queue - a virtqueue of packets, on lines of its own
 * @lock:   of everything of the queue: taken once for each burst, and by control() for all of them
 * @q:      as the offer has it
 * @bufs:   of a transmitq: a circle of @room buffers that the driver has given and not got back, in
 *          their order; of a receiveq: buffers that wait for packets, from @first to @last
 * @lent:   of a transmitq: whether each is on the ring; those that were dropped are not
 * @first, @last: free-running
 * @room:   a power of two
 * @n_pieces: room in @pieces
 * @ring:   a transmitq's, as rx() was last called
 * @recall: what is lent is wanted back: rx() asks for it, who alone touches the ring
 * @recalling: and has done so
 * @out:    ring entries that were posted and have not come back
 * @lens:   a receiveq's: bytes in each buffer from @first on
 * @filled: how many of those have their packets, and are to be used
 * @log:    of a packed one: where it stands
 * @losses: sl_guard_losses() when nothing had been lost
 * @count:  of the port's queue of that number
 */
struct net_queue {
	_Alignas(SL_LINE) pthread_mutex_t lock;
	struct offer_queue *q;
	struct virtq_buffer *bufs;
	struct iovec *pieces;
	union {
		uint8_t *lent;
		uint32_t *lens;
	};
	uint32_t first, last, room, n_pieces;
	struct sl_ring *ring;
	bool recall, recalling;
	uint32_t out, filled;
	struct net_log log;
	unsigned losses;
	struct sl_count count;
};

/** struct net_wait - what a lane waits on for a pair: an epoll descriptor, as kicks come and go */
struct net_wait {
	int epoll[4]; /* by SL_PORT_RX | SL_PORT_TX; [0] is unused */
	int poke;     /* an event that has rx() called */
	bool both;    /* one lane does both */
};

/**
 * struct sl_net - a NIC
 * @model:     as the offer sees it
 * @worker:    of the offer; stepped by control()
 * @config:    what the driver reads (5.1.4)
 * @mtu_given: it is the user's, not a default
 * @closing:   it is us who ends; the driver may stay
 * @features:  that a driver has accepted
 * @attached, @emits, @accepts, @generation: of sl_port_info, as control() left them
 * @again_ns:  when control() shall be called, since something waits for a recall; UINT64_MAX: need
 *             not
 * @pairs:     how many there are
 * @use:       which pair's receiveq packets for a queue of the port go to: a driver need not use
 *             all
 * @announce:  frames that are to tell the network where a MAC is now
 * @queues:    2 * pairs
 */
struct sl_net {
	struct sl_port port;
	struct sl_model model;
	struct sl_offer *offer;
	struct sl_worker *worker;
	const struct sl_log *log;
	struct virtio_net_config config;
	bool mtu_given;
	bool closing;
	uint64_t features;
	uint32_t attached, emits, accepts, generation;
	uint64_t again_ns;
	unsigned pairs;
	uint32_t use[SL_NET_PAIRS_MAX];
	uint32_t announce;
	uint8_t announcement[60];
	struct net_wait waits[SL_NET_PAIRS_MAX];
	struct net_queue *queues;
};

/* virtio 1.2, 5.1.2 */
static inline struct net_queue *net_receiveq(struct sl_net *net, unsigned pair)
{
	return &net->queues[2 * pair];
}

static inline struct net_queue *net_transmitq(struct sl_net *net, unsigned pair)
{
	return &net->queues[2 * pair + 1];
}

static inline struct sl_net *net_of(const struct sl_port *port)
{
	return sl_container_of((uintptr_t)port, struct sl_net, port);
}

/** sl_net_lost() - memory was taken away since the last look: is it this driver's? Its queue is
 * broken then */
bool sl_net_lost(struct net_queue *nq);

/** sl_net_dirty() - the driver's memory was written */
static inline void sl_net_dirty(const struct sl_offer *o, const void *at, size_t len)
{
	if (__builtin_expect(o->log_dirty, 0) && o->transport->ops->dirty)
		o->transport->ops->dirty(o->transport, at, len);
}

/** sl_net_poke() - have rx() called for a pair, by its own thread */
void sl_net_poke(struct sl_net *net, unsigned pair);

/** sl_net_use() - give the first @n of @bufs back to the driver, with those @lens. 0 or -EPROTO */
int sl_net_use(struct net_queue *nq, const struct virtq_buffer *bufs, const uint32_t *lens,
	       unsigned n);

/** sl_net_publish() - show the driver what was used, and interrupt it if it wants that */
void sl_net_publish(struct net_queue *nq);

/** sl_net_reclaim() - give back to the driver what has come back from the ring */
void sl_net_reclaim(struct net_queue *nq);

/** sl_net_unhold() - a receiveq's buffers that wait for packets were never taken */
void sl_net_unhold(struct net_queue *nq);

#endif
