/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between an offer and its transport. The offer has the queues, the requests and the worker's task;
 * the transport has the driver's messages, and says which queue runs on which memory.
 */
#ifndef SL_OFFER_OFFER_H
#define SL_OFFER_OFFER_H

#include <sluice/offer.h>
#include <sluice/space.h>

#include "virtio/virtio.h"
#include "virtq/device.h"
#include "work/worker.h"

struct transport;

/**
 * struct transport_ops - a transport; the table of them is in offer.c
 * @open:      parse is done; bind, listen, create. Touches no ring and no memory of the driver's:
 * the fence comes after it
 * @step:      what there is to do of messages, connections and timers, without blocking. Only
 * called once the model's fence is 0. Returns how much it did; a negative errno ends the offer
 * @arm:       the worker will sleep: set watches, lower *@deadline_ns. True when there is work
 * already
 * @interrupt: the driver of a queue wants to know: call eventfd, VDUSE_VQ_INJECT_IRQ. False when it
 *             could not be told
 * @broken:    a queue broke: error eventfd, DEVICE_NEEDS_RESET, whatever there is
 * @changed:   the configuration space has changed
 * @dirty:     bytes of the driver's memory were written, while sl_offer_log_dirty() is on: they are
 *             marked for who migrates it; any thread that serves a queue. NULL: it never is
 * @stop:      leave in order. -EAGAIN to be called again, while the offer goes on serving:
 * detaching may need answers and requests; the offer gives up after ten seconds. Queues that run
 * when it has returned 0 are drained and stopped by the offer. NULL: nothing to do
 * @close:     free everything, whatever state it is in
 */
struct transport_ops {
	struct sl_transport_kind kind;
	int (*open)(struct sl_offer *o, const struct sl_args *args, struct transport **out);
	int (*step)(struct transport *t, uint64_t now_ns);
	bool (*arm)(struct transport *t, uint64_t *deadline_ns);
	bool (*interrupt)(struct transport *t, uint16_t queue);
	void (*broken)(struct transport *t, uint16_t queue);
	void (*changed)(struct transport *t);
	void (*dirty)(struct transport *t, const void *at, size_t len);
	int (*stop)(struct transport *t);
	void (*close)(struct transport *t);
};

/** struct transport - the head of every transport's own */
struct transport {
	const struct transport_ops *ops;
	struct sl_offer *offer;
};

/*
 * What a transport asks of the offer. All of it by the worker's thread.
 */

/** sl_offer_model() - ops, info(), get_config() and set_config() may be used through it */
struct sl_model *sl_offer_model(const struct sl_offer *o);

/** sl_offer_features() - all that may be offered: the model's, and the ring's (2.2, bits 24 to 41)
 * that queues here can do: INDIRECT_DESC, EVENT_IDX, VERSION_1, RING_PACKED, IN_ORDER */
uint64_t sl_offer_features(const struct sl_offer *o);

const struct sl_log *sl_offer_log(const struct sl_offer *o);
struct sl_worker *sl_offer_worker(const struct sl_offer *o);

/** sl_offer_set_state() - SL_OFFER_WAITING, _SET_UP, _RUNNING, _ENDED */
void sl_offer_set_state(struct sl_offer *o, enum sl_offer_state state);

/**
 * sl_offer_start() - a driver has accepted @features; a model that was started for others before,
 * with no queue running, is started anew. Return: 0; -EINVAL for features that were not offered; or
 * what the model's start() says.
 */
int sl_offer_start(struct sl_offer *o, uint64_t features);

/**
 * sl_offer_map() - memory of the driver's has come; told to the model as well
 *
 * The region's memory and descriptor are the transport's, and stay until it is unmapped.
 * Return: as sl_space_map_at().
 */
int sl_offer_map(struct sl_offer *o, sl_iova iova, const struct sl_region *region);

/**
 * sl_offer_unmap() - and goes. Requests that lie in it must have been given back: see
 * sl_offer_quiesce(). Return: as sl_space_unmap().
 */
int sl_offer_unmap(struct sl_offer *o, struct sl_iova_range range);

/** sl_offer_log_dirty() - from now on each write to the driver's memory is told to dirty(), or no
 * more. No packet moves while a transport's step() runs, so nothing is missed */
void sl_offer_log_dirty(struct sl_offer *o, bool on);

/** sl_offer_announce() - the driver has moved to another host (VHOST_USER_SEND_RARP): tell the
 * network where @mac is now. Of a model that is a NIC; else nothing happens */
void sl_offer_announce(struct sl_offer *o, const uint8_t mac[6]);

/** sl_offer_set_mtu() - what the driver's side was configured to (VHOST_USER_NET_SET_MTU). Return:
 * 0; -EINVAL when it cannot be; of a model that is a NIC, else -EOPNOTSUPP */
int sl_offer_set_mtu(struct sl_offer *o, uint16_t mtu);

/* Of a NIC's virtqueue: what it keeps in a log, where there is one: where it stands. */
#define SL_NET_LOG_ENTRIES 1024u
#define SL_NET_LOG_LEN	   (64u + 8 * SL_NET_LOG_ENTRIES)

/** sl_offer_is_net() - packets, not requests: a log has SL_NET_LOG_LEN bytes for each queue */
bool sl_offer_is_net(const struct sl_offer *o);

/** sl_offer_space() - all of that */
struct sl_space *sl_offer_space(const struct sl_offer *o);

/**
 * sl_offer_quiesce() - take no new requests from any queue, and see whether all were given back
 * @on: false: go on
 *
 * Queues stay as they are. For changing memory under running queues.
 *
 * Return: true when nothing is in flight (or @on is false): else ask again at the next step.
 */
bool sl_offer_quiesce(struct sl_offer *o, bool on);

/**
 * sl_offer_queue_start() - run a queue
 * @setup: space is filled in by the offer; event_idx, indirect, in_order and packed as well, from
 * the features that were accepted
 * @kick:  eventfd that says that there are new buffers; the transport's, which closes it only after
 * the queue was stopped or another one was given. -1: there is none, look all the time
 *
 * Its rings are looked at at once: a kick may have been lost.
 *
 * Return: as sl_virtq_device_open(); -EBUSY when it runs.
 */
int sl_offer_queue_start(struct sl_offer *o, uint16_t queue, const struct virtq_setup *setup,
			 int kick);

/** sl_offer_queue_kick() - wait for another eventfd from now on, and look at once */
void sl_offer_queue_kick(struct sl_offer *o, uint16_t queue, int kick);

/** sl_offer_queue_enable() - of one that runs or will run: false: take no new requests */
void sl_offer_queue_enable(struct sl_offer *o, uint16_t queue, bool on);

/**
 * sl_offer_queue_stop() - take no new requests, and let go once all were given back
 * @state: where it stands, filled in when 0 is returned, NULL is allowed
 *
 * Return: 0; -EAGAIN while requests are in flight: ask again at the next step; -EINVAL when it does
 * not run (nothing to do).
 */
int sl_offer_queue_stop(struct sl_offer *o, uint16_t queue, struct virtq_ring_state *state);

/** sl_offer_queue_running() - was it started and not stopped? */
bool sl_offer_queue_running(const struct sl_offer *o, uint16_t queue);

/** sl_offer_queue_peek() - where a queue stands that goes on running (VDUSE_GET_VQ_STATE after a
 * suspend). Only after sl_offer_quiesce() was true. */
struct virtq_ring_state sl_offer_queue_peek(const struct sl_offer *o, uint16_t queue);

#endif
