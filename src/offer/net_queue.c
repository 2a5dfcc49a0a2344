/* SPDX-License-Identifier: BSD-2-Clause */
/* Queues of packets: what they are made of, kicks, recall. Everything but waiting is done behind
 * the queue's lock. */
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include <sluice/guard.h>
#include <sluice/producer.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/reason.h"
#include "offer/net_private.h"
#include "virtq/shared.h"
#include "virtq/split.h"

#define PIECES_MORE 64 /* of a buffer, beside one for each entry */

static struct net_queue *of(const struct offer_queue *q)
{
	return &q->offer->net->queues[q->index];
}

static bool is_transmitq(const struct offer_queue *q)
{
	return q->index & 1; /* virtio 1.2, 5.1.2 */
}

static void begin_packed(struct net_queue *nq, struct virtq_setup *setup, void *log)
{
	struct virtq_ring_state told = setup->state;
	unsigned n = 0;

	if (sl_net_log_open(&nq->log, log, setup) && is_transmitq(nq->q))
		n = sl_net_log_mend(&nq->log, setup, told);
	if (n)
		sl_log(nq->q->offer->config.log, SL_LOG_INFO,
		       "queue %u: its front end dropped %u descriptors while nobody was there",
		       nq->q->index, n);
}

/* Packets are used in order: what a process before has not used is done again. */
static void begin(struct net_queue *nq, struct virtq_setup *setup)
{
	const struct virtq_used *used = setup->device;
	void *log = setup->log;
	uint16_t idx;

	setup->log = NULL;
	nq->log.map = NULL;
	if (setup->packed)
		begin_packed(nq, setup, log);
	else if (setup->resume && !sl_shared_acquire(&idx, &used->idx))
		setup->state.avail = idx;
}

static int start(struct offer_queue *q, struct virtq_setup *setup)
{
	struct net_queue *nq = of(q);
	uint16_t size = setup->size;

	for (nq->room = 1; nq->room < size;)
		nq->room *= 2;
	nq->q = q;
	nq->n_pieces = size + PIECES_MORE;
	nq->first = nq->last = nq->filled = 0;
	nq->losses = sl_guard_losses();
	nq->recall = nq->recalling = false;
	nq->bufs = calloc(nq->room, sizeof(*nq->bufs));
	nq->pieces = calloc(nq->n_pieces, sizeof(*nq->pieces));
	nq->lent = calloc(nq->room, is_transmitq(q) ? sizeof(*nq->lent) : sizeof(*nq->lens));
	if (!nq->bufs || !nq->pieces || !nq->lent)
		return sl_fail(ENOMEM, "no memory for a queue of %u entries", size);
	begin(nq, setup);
	return 0;
}

static void end(struct offer_queue *q)
{
	struct net_queue *nq = of(q);

	if (!is_transmitq(q))
		sl_net_unhold(nq);
	/* When we go, and its driver stays, nobody but the log tells the next process. */
	if (!q->offer->net->closing)
		sl_net_log_close(&nq->log);
	free(nq->bufs);
	free(nq->pieces);
	free(nq->lent);
	nq->bufs = NULL;
	nq->pieces = NULL;
	nq->lent = NULL;
	nq->first = nq->last = nq->room = 0;
}

/* A ring is its lanes' alone: rx() calls back what is lent. */
static bool idle(struct offer_queue *q)
{
	struct net_queue *nq = of(q);

	if (!is_transmitq(q))
		sl_net_unhold(nq);
	else if (nq->first != nq->last || nq->recalling)
		nq->recall = true;
	if (nq->recall)
		sl_net_poke(q->offer->net, q->index / 2u);
	return !nq->recall;
}

/*
 * Kicks. Packets may go to any receiveq, so whoever sends waits for all of them; a driver only
 * kicks where it was asked to.
 */

static void watch(struct sl_net *net, const struct offer_queue *q, int fd, int op)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};
	unsigned dir = is_transmitq(q) ? SL_PORT_RX : SL_PORT_TX;

	for (unsigned pair = 0; pair < net->pairs; pair++) {
		if (dir == SL_PORT_RX && pair != q->index / 2u)
			continue;
		epoll_ctl(net->waits[pair].epoll[dir], op, fd, &e);
		epoll_ctl(net->waits[pair].epoll[SL_PORT_RX | SL_PORT_TX], op, fd, &e);
	}
}

static void kick(struct offer_queue *q, int fd)
{
	struct sl_net *net = q->offer->net;

	/* A descriptor that is closed leaves no set while somebody else has it open. */
	if (q->kick.fd >= 0)
		watch(net, q, q->kick.fd, EPOLL_CTL_DEL);
	q->kick.fd = fd;
	if (fd >= 0)
		watch(net, q, fd, EPOLL_CTL_ADD);
}

const struct offer_service sl_offer_packets = {start, kick, idle, end};

int sl_net_fd(struct sl_port *port, unsigned q, unsigned dirs)
{
	struct net_wait *wait = &net_of(port)->waits[q];

	if (dirs == (SL_PORT_RX | SL_PORT_TX))
		sl_store_relaxed(&wait->both, true);
	return wait->epoll[dirs];
}

/* Has control() asked for something since the last rx()? */
static bool is_asked(const struct net_queue *nq)
{
	if (nq->recall)
		return !nq->recalling || !nq->out;
	return nq->q->index == 1 && !nq->out && sl_load_relaxed(&nq->q->offer->net->announce) &&
	       sl_offer_queue_takes(nq->q);
}

static bool arm(struct net_queue *nq)
{
	int ret;

	pthread_mutex_lock(&nq->lock);
	ret = is_transmitq(nq->q) && is_asked(nq);
	if (!ret && sl_offer_queue_takes(nq->q)) {
		ret = nq->q->polled ? 1 : sl_virtq_device_arm(nq->q->vq);
		if (ret < 0)
			sl_offer_queue_broke(nq->q);
	}
	pthread_mutex_unlock(&nq->lock);
	return ret > 0;
}

/* Kicks that have come are forgotten first: what comes after that signals again. */
int sl_net_arm(struct sl_port *port, unsigned q, unsigned want)
{
	struct sl_net *net = net_of(port);
	struct net_wait *wait = &net->waits[q];
	struct epoll_event events[2 * SL_NET_PAIRS_MAX + 1];
	unsigned dirs = sl_load_relaxed(&wait->both) ? SL_PORT_RX | SL_PORT_TX : want;
	bool ready = false;

	epoll_wait(wait->epoll[dirs], events, sl_array_len(events), 0);
	if (want & SL_PORT_RX)
		ready = arm(net_transmitq(net, q));
	if (want & SL_PORT_TX)
		ready |= arm(net_receiveq(net, sl_load_relaxed(&net->use[q])));
	return ready ? SL_PORT_READY : POLLIN;
}

/*
 * What the data path calls.
 */

void sl_net_poke(struct sl_net *net, unsigned pair)
{
	sl_event_signal(net->waits[pair].poke);
}

bool sl_net_lost(struct net_queue *nq)
{
	unsigned losses = sl_guard_losses();
	const struct sl_mapping *m;
	size_t n;

	if (__builtin_expect(losses == nq->losses, 1) || !nq->q || !nq->q->vq)
		return false;
	nq->losses = losses;
	m = sl_space_mappings(nq->q->offer->space, &n);
	for (size_t i = 0; i < n; i++) {
		if (!sl_guard_lost(m[i].region.base))
			continue;
		sl_virtq_device_break(nq->q->vq, "its memory was taken away");
		sl_offer_queue_broke(nq->q);
		return true;
	}
	return false;
}

/* What a device writes to a queue: the device area; the ring itself when it is packed (2.8). */
static void log_ring(const struct net_queue *nq)
{
	const struct sl_offer *o = nq->q->offer;
	const struct virtq_setup *setup = &nq->q->setup;

	sl_net_dirty(o, setup->device,
		     sl_virtq_area_len(VIRTQ_AREA_DEVICE, setup->size, setup->packed));
	if (setup->packed)
		sl_net_dirty(o, setup->desc, sl_virtq_area_len(VIRTQ_AREA_DESC, setup->size, true));
}

int sl_net_use(struct net_queue *nq, const struct virtq_buffer *bufs, const uint32_t *lens,
	       unsigned n)
{
	if (nq->log.map)
		sl_net_log_use(&nq->log, nq->q->vq, bufs, lens, n);
	return sl_virtq_burst_use(nq->q->vq, bufs, lens, n);
}

void sl_net_publish(struct net_queue *nq)
{
	nq->q->dirty = true;
	sl_offer_queue_publish(nq->q);
	if (nq->log.map)
		sl_net_log_done(&nq->log, nq->q->vq);
	if (__builtin_expect(nq->q->offer->log_dirty, 0))
		log_ring(nq);
}
