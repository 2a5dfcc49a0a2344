/* SPDX-License-Identifier: BSD-2-Clause */
/* A queue of an offer, and who serves it: requests of a model (request.c), packets (net_queue.c).
 */
#ifndef SL_OFFER_QUEUE_H
#define SL_OFFER_QUEUE_H

#include "offer/offer.h"

struct sl_net;

/** struct offer_slot - a request's place; pieces and the model's data lie behind it */
struct offer_slot {
	struct sl_request req;
	struct offer_queue *q;
	struct offer_slot *next_free;
	uint16_t id;
};

/**
 * struct offer_queue - one queue
 * @vq:       NULL: it does not run
 * @setup:    what it was opened with
 * @kick:     the driver's notifications; fd -1: it gives none
 * @enabled:  it may take requests
 * @stopping: it takes no more
 * @polled:   it runs and there is no kick
 * @again:    look for requests at the next step, kicked or not
 * @dirty:    something was put since the last publish
 * @announce: interrupt the driver at the next publish, wanted or not
 * @memory:   of all slots
 * @counted:  any thread reads it
 */
struct offer_queue {
	struct sl_offer *offer;
	struct virtq_device *vq;
	struct virtq_setup setup;
	struct sl_watch kick;
	uint16_t index;
	bool enabled, stopping, polled, again, dirty, announce;
	uint32_t in_flight;
	struct offer_slot *free;
	void *memory;
	struct sl_offer_queue_stats counted;
};

/**
 * struct offer_service - who serves the queues of an offer
 * @start: make what a queue needs; it is opened as @setup says, which may be changed, then. 0 or
 *         -ENOMEM
 * @kick:  the driver tells of new buffers by another eventfd: @q->kick.fd, or no more: -1
 * @idle:  is nothing of it in flight? It takes no more when it is asked: see there to be asked
 * again
 * @end:   free what start() has made; the virtqueue is still there, if it was opened
 */
struct offer_service {
	int (*start)(struct offer_queue *q, struct virtq_setup *setup);
	void (*kick)(struct offer_queue *q, int fd);
	bool (*idle)(struct offer_queue *q);
	void (*end)(struct offer_queue *q);
};

extern const struct offer_service sl_offer_requests, sl_offer_packets;

/** struct sl_offer - an offer; @net: it is a NIC, served by sl_offer_packets; @quiesced: no queue
 * takes requests; @left: what the transport's stop() has said, -EAGAIN as long as it has not */
struct sl_offer {
	struct sl_task task;
	struct sl_offer_config config;
	struct sl_model *model;
	struct sl_model_info info;
	struct sl_net *net;
	const struct offer_service *service;
	struct transport *transport;
	struct sl_space *space;
	struct sl_watch reap;
	uint64_t features;
	uint64_t fence_at_ns;
	enum sl_offer_state state;
	bool quiesced, stopped, log_dirty;
	int left;
	unsigned n_queues;
	struct offer_queue queues[];
};

/**
 * sl_offer_open() - sl_offer_create() for a transport that was chosen and parsed
 * @net: the model is a NIC; NULL: it takes requests
 */
int sl_offer_open(const struct sl_offer_config *config, const struct transport_ops *via,
		  const struct sl_args *args, struct sl_net *net, struct sl_offer **out);

/** sl_offer_queue_takes() - may it take buffers now? */
bool sl_offer_queue_takes(const struct offer_queue *q);

/** sl_offer_queue_broke() - its virtqueue says that its driver breaks the rules: tell, once */
void sl_offer_queue_broke(struct offer_queue *q);

/** sl_offer_queue_step() - take requests. @look: even where no kick was seen. Returns how many */
int sl_offer_queue_step(struct offer_queue *q, bool look);

/** sl_offer_queue_publish() - what was put; interrupt the driver if it wants that */
void sl_offer_queue_publish(struct offer_queue *q);

/** sl_offer_queue_arm() - before sleeping. True when there is work already */
bool sl_offer_queue_arm(struct offer_queue *q);

/** sl_offer_queue_close() - let go of the rings, whatever is in flight */
void sl_offer_queue_close(struct offer_queue *q);

#endif
