/* SPDX-License-Identifier: BSD-2-Clause */
/* What one worker does of a link: its rounds, and getting ready to sleep. */
#include <sluice/consumer.h>
#include <sluice/producer.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "link/link_private.h"
#include "ring/freeze.h"

static struct lane *lane_of(struct sl_task *task)
{
	return sl_container_of(task, struct lane, task);
}

/* What has happened to the ports since the last round? */
static void look(struct lane *lane, struct endpoint *endpoint, uint64_t now_ns, bool poll)
{
	struct side *side = endpoint->side;

	sl_endpoint_notice(endpoint, lane->link, lane->worker);
	if (endpoint->watch.ready || poll)
		endpoint->tries_rx = endpoint->tries_tx = true;
	else if (side->lane == lane && sl_side_deadline(side) <= now_ns)
		endpoint->tries_rx = true;
	endpoint->watch.ready = 0;
}

int sl_lane_step(struct sl_task *task, uint64_t now_ns, bool poll)
{
	struct lane *lane = lane_of(task);
	struct sl_link *link = lane->link;
	int did = 0;

	for (unsigned i = 0; i < 2; i++)
		if (link->sides[i].lane == lane)
			did += sl_side_step(&link->sides[i], link, now_ns);
	for (unsigned i = 0; i < lane->n_endpoints; i++)
		look(lane, lane->endpoints[i], now_ns, poll);
	for (unsigned i = 0; i < link->n_flows; i++)
		if (link->flows[i].rx_lane == lane)
			did += sl_flow_rx(&link->flows[i]);
	for (unsigned i = 0; i < link->n_flows; i++)
		if (link->flows[i].tx_lane == lane)
			did += sl_flow_tx(&link->flows[i], now_ns);
	for (unsigned i = 0; i < lane->n_endpoints; i++)
		lane->endpoints[i]->tries_tx = false;
	return did;
}

/*
 * Getting ready to sleep. Each of these returns true when there is work already.
 */

static bool arm_rx(struct flow *flow)
{
	uint32_t at;

	if (flow->rx->dead || flow->ended || sl_ring_broken(flow->ring))
		return false;
	if (flow->rx_lent || (!flow->rx_starved && sl_ring_room(flow->ring, &at))) {
		flow->rx->want |= SL_PORT_RX;
		if (!flow->rx_lent)
			return false;
	} else {
		flow->rx_blocked = true;
	}
	return sl_ring_returned(flow->ring, &at) ||
	       (flow->shared && sl_ring_producer_sleep(flow->ring));
}

static bool arm_tx(struct flow *flow, uint64_t *deadline)
{
	if (flow->recall_at)
		*deadline = sl_min(*deadline, flow->recall_at);
	if (!flow->tx->dead && (flow->tx_blocked || sl_ring_in_flight(flow->out)))
		flow->tx->want |= SL_PORT_TX;
	if (!flow->shared)
		return false;
	/* What the port did not take, or did not finish, waits for the port, not for the ring. */
	if (flow->tx_blocked || flow->recall_at)
		return sl_ring_blocked_sleep(flow->ring) && !flow->recall_at;
	return sl_ring_consumer_sleep(flow->ring);
}

static bool arm_endpoint(struct lane *lane, struct endpoint *endpoint)
{
	struct sl_port *port = endpoint->side->port;
	int events = 0;

	if (endpoint->want && !endpoint->dead)
		events = port->ops->arm(port, endpoint->queue, endpoint->want);
	if (events & SL_PORT_READY) {
		endpoint->tries_rx = endpoint->tries_tx = true;
		return true;
	}
	if (sl_worker_watch(lane->worker, &endpoint->watch, (uint32_t)events))
		sl_side_gone(endpoint->side, lane->link, sl_reason());
	return false;
}

bool sl_lane_arm(struct sl_task *task, uint64_t *deadline)
{
	struct lane *lane = lane_of(task);
	struct sl_link *link = lane->link;
	bool work = false;

	for (unsigned i = 0; i < 2; i++)
		if (link->sides[i].lane == lane)
			*deadline = sl_min(*deadline, sl_side_deadline(&link->sides[i]));
	for (unsigned i = 0; i < lane->n_endpoints; i++)
		lane->endpoints[i]->want = 0;
	for (unsigned i = 0; i < link->n_flows; i++) {
		struct flow *flow = &link->flows[i];

		if (flow->rx_lane == lane)
			work |= arm_rx(flow);
		if (flow->tx_lane == lane)
			work |= arm_tx(flow, deadline);
	}
	for (unsigned i = 0; i < lane->n_endpoints; i++)
		work |= arm_endpoint(lane, lane->endpoints[i]);
	return work;
}
