/* SPDX-License-Identifier: BSD-2-Clause */
/* One ring of a link: from rx() of one port to tx() of the other. */
#include <sluice/consumer.h>
#include <sluice/producer.h>

#include "base/barrier.h"
#include "base/clock.h"
#include "base/count.h"
#include "base/log.h"
#include "base/reason.h"
#include "link/link_private.h"
#include "ring/freeze.h"

/* A consumer that keeps recalled memory longer than this is stopped. */
#define RECALL_NS (100 * SL_NS_PER_MS)

/* What fragments call the memory of a flow's fitting; ports count theirs from 0. */
#define FIT_REGION_FIRST 0xff00

/* Whoever notices may be the other side's thread. A fitting breaks no ring: what is wrong with the
 * ring on its other side, the target has done. */
static bool blame(struct flow *flow, const struct sl_ring *ring)
{
	enum sl_ring_side who = sl_ring_broken(ring);
	bool source = who == SL_RING_PRODUCER && ring == flow->ring;

	if (who)
		sl_side_broke_ring(source ? flow->source : flow->target, flow->link);
	return who;
}

/*
 * Receiving.
 */

int sl_flow_rx(struct flow *flow)
{
	struct endpoint *rx = flow->rx;
	uint32_t at;
	int n;

	if (rx->dead || flow->ended || blame(flow, flow->ring))
		return 0;
	if ((flow->rx_blocked || flow->rx_lent) && sl_ring_returned(flow->ring, &at)) {
		flow->rx_blocked = flow->rx_starved = flow->rx_lent = false;
		rx->tries_rx = true;
	}
	if (!rx->tries_rx)
		return 0;
	n = rx->side->port->ops->rx(rx->side->port, rx->queue, flow->ring);
	if (blame(flow, flow->ring))
		return 0;
	if (n > 0) {
		if (flow->shared)
			sl_ring_wake_consumer(flow->ring);
		return n;
	}
	rx->tries_rx = false;
	/* Perhaps it would have had more: a busy worker may not come to arm() for long. */
	flow->rx_starved = n == -ENOBUFS;
	flow->rx_lent = n == -EINPROGRESS;
	flow->rx_blocked = flow->rx_starved || !sl_ring_room(flow->ring, &at);
	if (flow->rx_starved || flow->rx_lent)
		return 0;
	if (n == -ENODATA) {
		sl_store_release(&flow->ended, 1);
		sl_link_wake(flow->link);
	} else if (n < 0) {
		sl_side_gone(rx->side, flow->link, sl_reason());
	}
	return 0;
}

/*
 * Fitting.
 */

static struct sl_fit_config fit_config(const struct flow *flow)
{
	struct side *source = flow->source, *target = flow->target;
	struct sl_fit_config config = {
		.copy = flow->copy,
		.region = (uint16_t)(FIT_REGION_FIRST + (flow - flow->link->flows)),
	};

	pthread_mutex_lock(&source->lock);
	config.emits = source->info.emits;
	config.layer = source->info.layer;
	pthread_mutex_unlock(&source->lock);
	pthread_mutex_lock(&target->lock);
	config.accepts = target->info.accepts;
	if (!config.layer)
		config.layer = target->info.layer ? target->info.layer : 2;
	pthread_mutex_unlock(&target->lock);
	/* What was emitted before may still be in the ring. */
	config.emits |= flow->emitted;
	return config;
}

static uint32_t generation_of(const struct flow *flow)
{
	return sl_load_acquire(&flow->source->generation) +
	       sl_load_acquire(&flow->target->generation);
}

void sl_flow_unfit(struct flow *flow)
{
	struct sl_port *port = flow->target->port;

	if (flow->fit && port->ops->region_del)
		port->ops->region_del(port, sl_fit_region(flow->fit));
	sl_fit_release(flow->fit);
	flow->fit = NULL;
	flow->out = flow->ring;
}

int sl_flow_fit(struct flow *flow)
{
	struct sl_port *port = flow->target->port;
	uint32_t generation = generation_of(flow);
	struct sl_fit_config config = fit_config(flow);
	struct sl_fit *fit = NULL;
	int ret;

	sl_flow_unfit(flow); /* the new memory has the id of the old */
	ret = sl_fit_needed(&config) ? sl_fit_create(&config, flow->ring, &fit) : 0;
	if (!ret && fit && port->ops->region_add)
		ret = port->ops->region_add(port, sl_fit_region(fit));
	if (ret) {
		sl_fit_release(fit);
		return ret;
	}
	flow->fit = fit;
	flow->out = fit ? sl_fit_ring(fit) : flow->ring;
	sl_ring_ready(flow->out, &flow->captured); /* indices of another ring */
	flow->generation = generation;
	flow->emitted = config.emits;
	return 0;
}

/* What a port emits or accepts has changed: nothing new is taken until the flow holds
 * nothing, then it is fitted anew. Returns true while it waits. */
static bool refit(struct flow *flow)
{
	if (flow->generation == generation_of(flow))
		return false;
	if (flow->fit)
		sl_fit_flush(flow->fit, &flow->between);
	if (sl_ring_in_flight(flow->ring))
		return true;
	if (sl_flow_fit(flow))
		sl_side_gone(flow->target, flow->link, sl_reason());
	return false;
}

/*
 * Sending.
 */

void sl_flow_drop(struct flow *flow, enum sl_drop reason)
{
	struct sl_ring *ring = flow->ring;
	uint32_t at, lost = 0;

	if (flow->fit) {
		lost = sl_fit_recall(flow->fit);
	} else {
		lost = sl_ring_in_flight(ring);
		sl_ring_abandon(ring);
	}
	if (sl_ring_recalled(ring)) {
		sl_count_add(&flow->between.drops[SL_DROP_RECALLED], sl_ring_yield(ring));
	} else {
		uint32_t ready = sl_ring_ready(ring, &at);

		sl_ring_consume(ring, ready);
		lost += ready;
	}
	sl_count_add(&flow->between.drops[reason], lost);
	flow->recall_at = 0;
	flow->tx_blocked = false;
	if (flow->shared)
		sl_ring_wake_producer(ring);
}

/* What the port is about to get: after the fitting. */
static void capture(struct flow *flow)
{
	const struct sl_link_config *config = &flow->link->config;
	uint32_t at, ready;

	if (!config->capture)
		return;
	ready = sl_ring_ready(flow->out, &at);
	if ((int32_t)(flow->captured - at) < 0)
		flow->captured = at;
	for (; (int32_t)(at + ready - flow->captured) > 0; flow->captured++)
		config->capture(config->ctx, flow->from, flow->out, flow->captured);
}

static int send(struct flow *flow)
{
	struct side *target = flow->target;
	int n;

	capture(flow);
	sl_ring_freeze(flow->out, flow->link->config.capture); /* it sends what was captured */
	n = target->port->ops->tx(target->port, flow->tx->queue, flow->out);
	sl_ring_freeze(flow->out, false);
	if (!blame(flow, flow->out) && n < 0)
		sl_side_gone(target, flow->link, sl_reason());
	return n > 0 ? n : 0;
}

/* The producer wants its memory: let the port finish, then give everything back. */
static int answer_recall(struct flow *flow, uint64_t now_ns)
{
	if (flow->fit)
		sl_ring_recall(flow->out);
	send(flow); /* takes nothing new */
	if (sl_ring_in_flight(flow->out)) {
		if (!flow->recall_at)
			flow->recall_at = now_ns + RECALL_NS;
		if (now_ns < flow->recall_at)
			return 0;
		sl_side_gone(flow->target, flow->link,
			     "it did not give recalled memory back in 100 ms");
		return 0; /* sl_flow_drop() once it has stopped */
	}
	sl_flow_drop(flow, SL_DROP_RECALLED);
	return 0;
}

/* Has the source ended, and has all it gave been delivered? */
static void check_delivered(struct flow *flow)
{
	struct sl_link *link = flow->link;
	struct side *source = flow->source;
	uint32_t at, flows = 0, no = 0;

	if (flow->delivered || !sl_load_acquire(&flow->ended) || sl_ring_ready(flow->ring, &at) ||
	    sl_ring_in_flight(flow->ring))
		return;
	flow->delivered = true;
	for (unsigned i = 0; i < link->n_flows; i++)
		flows += link->flows[i].source == source;
	if (sl_add_acq_rel(&source->delivered, 1) != flows || !link->config.ended)
		return;
	if (sl_cas_acq_rel(&link->ended, &no, 1))
		link->config.ended(link->config.ctx);
}

static bool has_packets(const struct flow *flow)
{
	uint32_t at;

	return sl_ring_ready(flow->ring, &at) || sl_ring_in_flight(flow->ring);
}

int sl_flow_tx(struct flow *flow, uint64_t now_ns)
{
	struct endpoint *tx = flow->tx;
	uint32_t at;
	int did = 0;

	/* It may have been stopped and be back before this lane came here. */
	if (tx->dead ? sl_load_acquire(&flow->target->state) == SIDE_STOPPED
		     : flow->epoch != sl_load_acquire(&flow->target->epoch)) {
		flow->epoch = sl_load_acquire(&flow->target->epoch);
		sl_flow_drop(flow, SL_DROP_PEER_GONE);
	}
	if (tx->dead) {
		check_delivered(flow);
		return 0;
	}
	if (sl_ring_recalled(flow->ring))
		return answer_recall(flow, now_ns);
	if (flow->tx_blocked && !tx->tries_tx)
		return 0;
	if (!has_packets(flow)) {
		check_delivered(flow);
		return 0;
	}
	if (!refit(flow) && flow->fit)
		did = sl_fit_step(flow->fit, &flow->between);
	did += send(flow);
	if (flow->fit)
		sl_fit_flush(flow->fit, &flow->between);
	/* Also what the fitting or a refit leaves in the ring waits for the port. */
	flow->tx_blocked =
		!did && (sl_ring_ready(flow->out, &at) || sl_ring_ready(flow->ring, &at));
	if (flow->shared && did)
		sl_ring_wake_producer(flow->ring);
	return did;
}
