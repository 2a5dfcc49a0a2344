/* SPDX-License-Identifier: BSD-2-Clause */
#include <poll.h>
#include <stdlib.h>

#include <sluice/consumer.h>
#include <sluice/producer.h>

#include "base/barrier.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/reason.h"
#include "link/link_private.h"

#define RING_FRAGS 4096

/*
 * Do the two ports fit?
 */

static const char *layer_name(unsigned layer)
{
	return layer == 2 ? "Ethernet (layer 2)" : "IP (layer 3)";
}

/* Transmit queues that are used in the direction from @from; 0 when there is no such direction. */
static unsigned units_of(const struct sl_link *link, unsigned from)
{
	const struct sl_port_info *source = &link->sides[from].info;

	if (!(source->dirs & SL_PORT_RX) || !(link->sides[!from].info.dirs & SL_PORT_TX))
		return 0;
	return sl_min(source->queues, link->sides[!from].info.queues);
}

static int check_ports(const struct sl_link *link)
{
	const struct sl_port_info *a = &link->sides[0].info, *b = &link->sides[1].info;
	const char *kind_a = link->sides[0].port->ops->kind;
	const char *kind_b = link->sides[1].port->ops->kind;

	if (a->layer && b->layer && a->layer != b->layer)
		return sl_fail(EINVAL, "%s: carries %s and %s: carries %s: they cannot be joined",
			       kind_a, layer_name(a->layer), kind_b, layer_name(b->layer));
	if (a->mtu && b->mtu && a->mtu != b->mtu)
		return sl_fail(EINVAL,
			       "%s: has an MTU of %u and %s: one of %u: give both the same mtu=",
			       kind_a, a->mtu, kind_b, b->mtu);
	if (!((a->dirs | b->dirs) & SL_PORT_RX))
		return sl_fail(EINVAL, "neither %s: nor %s: ever has a packet to give", kind_a,
			       kind_b);
	if (!units_of(link, 0) && !units_of(link, 1))
		return sl_fail(EINVAL, "neither %s: nor %s: takes what the other has to give",
			       kind_a, kind_b);
	return 0;
}

static int open_side(struct sl_link *link, unsigned i)
{
	struct side *side = &link->sides[i];

	side->port = link->config.ports[i];
	side->control.fd = -1;
	pthread_mutex_init(&side->lock, NULL);
	if (side->port->ops->size < sizeof(struct sl_port_ops))
		return sl_fail(EINVAL, "%s: was built for an older libsluice",
			       side->port->ops->kind);
	side->port->ops->info(side->port, &side->info);
	if (!side->info.queues || side->info.queues > QUEUES_MAX)
		return sl_fail(EINVAL, "%s: has %u queues: 1 to %d are allowed",
			       side->port->ops->kind, side->info.queues, QUEUES_MAX);
	side->queues = side->info.queues;
	side->carrier = true; /* until it is told */
	side->known = side->info.attached;
	side->generation = side->info.generation;
	side->state = side->info.attached ? SIDE_UP : SIDE_STOPPED;
	return 0;
}

static int join(struct sl_link *link, unsigned i)
{
	struct sl_port *port = link->sides[i].port;
	int ret = port->ops->join ? port->ops->join(port, &link->sides[!i].info) : 0;

	if (!ret) /* joining may have decided what was open: a layer */
		port->ops->info(port, &link->sides[i].info);
	return ret;
}

/*
 * Who does what. A unit is a direction and a transmit queue: with enough workers each
 * has a lane of its own; with more than that, receiving for it has another.
 */

static struct endpoint *endpoint_of(struct lane *lane, struct side *side, unsigned queue,
				    unsigned dir)
{
	struct endpoint *e;

	for (unsigned i = 0; i < lane->n_endpoints; i++) {
		e = lane->endpoints[i];
		if (e->side == side && e->queue == queue) {
			e->dirs |= dir;
			return e;
		}
	}
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	*e = (struct endpoint){
		.side = side,
		.queue = queue,
		.dirs = dir,
		.dead = side->state != SIDE_UP,
		.epoch = UINT32_MAX,
		.watch.fd = -1,
		.tries_rx = true,
		.tries_tx = true,
	};
	side->endpoints++;
	lane->endpoints[lane->n_endpoints++] = e;
	return e;
}

static int make_ring(struct flow *flow, uint32_t size)
{
	struct sl_ring_config config = {
		.size = size ? size : SL_LINK_RING_MAX,
		.frags = RING_FRAGS,
		.consumer_event = flow->shared ? sl_worker_event(flow->tx_lane->worker) : -1,
		.producer_event = flow->shared ? sl_worker_event(flow->rx_lane->worker) : -1,
	};

	return sl_ring_create(&config, &flow->ring);
}

/* May the target's hardware reach the source's memory? If not, it gets copies. */
static int reach(struct side *source, struct side *target, bool *copy)
{
	const struct sl_port_ops *ops = target->port->ops;

	*copy = false;
	if (!ops->region_add || !source->info.n_regions)
		return 0;
	source->reached = calloc(source->info.n_regions, sizeof(*source->reached));
	if (!source->reached)
		return sl_fail(ENOMEM, "no memory for a link");
	for (unsigned i = 0; i < source->info.n_regions; i++) {
		int ret = ops->region_add(target->port, &source->info.regions[i]);

		if (!ret)
			source->reached[source->n_reached++] = source->info.regions[i];
		else if (ret == -EOPNOTSUPP)
			*copy = true;
		else
			return ret;
	}
	return 0;
}

static int make_flow(struct sl_link *link, unsigned from, unsigned rxq, unsigned first_unit,
		     unsigned all_units, bool copy)
{
	struct flow *flow = &link->flows[link->n_flows];
	unsigned units = link->units[from], unit = first_unit + rxq % units;
	int ret;

	*flow = (struct flow){
		.link = link,
		.from = from,
		.source = &link->sides[from],
		.target = &link->sides[!from],
		.copy = copy,
		.tx_lane = &link->lanes[unit % link->n_lanes],
	};
	flow->rx_lane =
		all_units + unit < link->n_lanes ? &link->lanes[all_units + unit] : flow->tx_lane;
	flow->shared = flow->rx_lane != flow->tx_lane;
	flow->rx = endpoint_of(flow->rx_lane, flow->source, rxq, SL_PORT_RX);
	flow->tx = endpoint_of(flow->tx_lane, flow->target, rxq % units, SL_PORT_TX);
	if (!flow->rx || !flow->tx)
		return sl_fail(ENOMEM, "no memory for a link");
	link->n_flows++;
	ret = make_ring(flow, link->config.ring_size);
	return ret ? ret : sl_flow_fit(flow);
}

static int make_flows(struct sl_link *link)
{
	const unsigned *units = link->units;
	int ret = 0;

	link->units[0] = units_of(link, 0);
	link->units[1] = units_of(link, 1);
	link->flows = calloc(2 * QUEUES_MAX, sizeof(*link->flows));
	if (!link->flows)
		return sl_fail(ENOMEM, "no memory for a link");
	for (unsigned from = 0; from < 2 && !ret; from++) {
		bool copy = false;

		if (units[from])
			ret = reach(&link->sides[from], &link->sides[!from], &copy);
		for (unsigned q = 0; units[from] && q < link->sides[from].info.queues && !ret; q++)
			ret = make_flow(link, from, q, from ? units[0] : 0, units[0] + units[1],
					copy);
	}
	return ret;
}

/* Once it is known what each lane does. */
static void ask_fds(struct sl_link *link)
{
	for (unsigned l = 0; l < link->n_lanes; l++) {
		for (unsigned i = 0; i < link->lanes[l].n_endpoints; i++) {
			struct endpoint *e = link->lanes[l].endpoints[i];
			struct sl_port *port = e->side->port;

			if (!e->dead)
				e->watch.fd = port->ops->fd(port, e->queue, e->dirs);
		}
	}
}

/* control(), deadline() and stop() belong to the lane that receives from queue 0, so that
 * a timer that paces rx() and rx() itself are one thread's. */
static void choose_lane(struct sl_link *link, struct side *side)
{
	for (unsigned i = link->n_flows; i-- > 0;) {
		if (link->flows[i].target == side && !side->lane)
			side->lane = link->flows[i].tx_lane;
		if (link->flows[i].source == side)
			side->lane = link->flows[i].rx_lane;
	}
}

static int start_side(struct sl_link *link, struct side *side)
{
	const struct sl_port_ops *ops = side->port->ops;

	choose_lane(link, side);
	if (ops->control_fd)
		side->control.fd = ops->control_fd(side->port);
	return side->lane ? sl_worker_watch(side->lane->worker, &side->control, POLLIN) : 0;
}

static int build(struct sl_link *link)
{
	int ret = open_side(link, 0);

	if (!ret)
		ret = open_side(link, 1);
	if (!ret)
		ret = check_ports(link);
	for (unsigned i = 0; i < 2 && !ret; i++)
		ret = join(link, i);
	if (!ret)
		ret = make_flows(link);
	if (!ret)
		ask_fds(link);
	for (unsigned i = 0; i < 2 && !ret; i++)
		ret = start_side(link, &link->sides[i]);
	return ret;
}

static void let_go(struct side *source, struct side *target)
{
	for (unsigned i = 0; target->port && i < source->n_reached; i++)
		if (target->port->ops->region_del)
			target->port->ops->region_del(target->port, &source->reached[i]);
	free(source->reached);
}

static void free_link(struct sl_link *link)
{
	let_go(&link->sides[0], &link->sides[1]);
	let_go(&link->sides[1], &link->sides[0]);
	for (unsigned i = 0; link->flows && i < link->n_flows; i++) {
		sl_flow_unfit(&link->flows[i]);
		sl_ring_release(link->flows[i].ring);
	}
	for (unsigned l = 0; l < link->n_lanes; l++) {
		struct lane *lane = &link->lanes[l];

		for (unsigned i = 0; i < lane->n_endpoints; i++) {
			sl_worker_watch(lane->worker, &lane->endpoints[i]->watch, 0);
			free(lane->endpoints[i]);
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		struct side *side = &link->sides[i];

		if (side->lane)
			sl_worker_watch(side->lane->worker, &side->control, 0);
		if (side->port)
			pthread_mutex_destroy(&side->lock);
	}
	free(link->flows);
	free(link);
}

int sl_link_create(const struct sl_link_config *config, struct sl_link **out)
{
	struct sl_link *link;
	int ret;

	if (config->ring_size > SL_LINK_RING_MAX)
		return sl_fail(EINVAL, "rings of %u entries: ports have buffers for %d",
			       config->ring_size, SL_LINK_RING_MAX);
	if (!config->n_workers || config->n_workers > LANES_MAX)
		return sl_fail(EINVAL, "a link takes 1 to %d workers, not %u", LANES_MAX,
			       config->n_workers);
	link = sl_alloc_lines(sizeof(*link));
	if (!link)
		return sl_fail(ENOMEM, "no memory for a link");
	link->config = *config;
	if (config->log)
		link->log = *config->log;
	link->n_lanes = config->n_workers;
	for (unsigned i = 0; i < link->n_lanes; i++)
		link->lanes[i] = (struct lane){
			.task = {.step = sl_lane_step, .arm = sl_lane_arm},
			.link = link,
			.worker = config->workers[i],
		};
	ret = build(link);
	if (ret) {
		free_link(link);
		return ret;
	}
	for (unsigned i = 0; i < link->n_lanes; i++)
		sl_worker_add(link->lanes[i].worker, &link->lanes[i].task);
	*out = link;
	return 0;
}

/*
 * The end.
 */

/* One thread is left: let the ports take what is on its way, as long as they do. */
static void deliver(struct sl_link *link)
{
	int did = 1;

	for (unsigned round = 0; did && round < 64 * 1024; round++) {
		did = 0;
		for (unsigned i = 0; i < link->n_flows; i++) {
			struct flow *flow = &link->flows[i];

			flow->tx->dead = flow->target->state != SIDE_UP;
			flow->tx->tries_tx = true;
			did += sl_flow_tx(flow, sl_now_ns());
		}
	}
}

void sl_link_stop(struct sl_link *link)
{
	if (link->stopped)
		return;
	link->stopped = true;
	for (unsigned i = 0; i < link->n_lanes; i++)
		sl_worker_remove(link->lanes[i].worker, &link->lanes[i].task);
	link->config.ended = NULL; /* only workers call it */
	deliver(link);
	for (unsigned i = 0; i < 2; i++) {
		struct side *side = &link->sides[i];

		if (side->state != SIDE_STOPPED && side->port->ops->stop)
			side->port->ops->stop(side->port);
	}
	for (unsigned i = 0; i < link->n_flows; i++) {
		struct flow *flow = &link->flows[i];

		if (flow->target->state != SIDE_UP)
			sl_flow_drop(flow, SL_DROP_PEER_GONE);
		sl_ring_recall(flow->ring);
		sl_flow_drop(flow, SL_DROP_RECALLED);
		sl_ring_recall_done(flow->ring);
	}
}

void sl_link_release(struct sl_link *link)
{
	struct sl_port *ports[2];

	if (!link)
		return;
	sl_link_stop(link);
	memcpy(ports, link->config.ports, sizeof(ports));
	free_link(link);
	for (unsigned i = 0; i < 2; i++)
		ports[i]->ops->close(ports[i]);
}

void sl_link_get_stats(const struct sl_link *link, unsigned from, struct sl_link_stats *stats)
{
	const struct side *source = &link->sides[from], *target = &link->sides[!from];
	struct sl_counters in = {0}, out = {0};

	memset(stats, 0, sizeof(*stats));
	for (unsigned q = 0; q < source->queues; q++)
		source->port->ops->stats(source->port, q, &in);
	for (unsigned q = 0; q < target->queues; q++)
		target->port->ops->stats(target->port, q, &out);
	stats->in = in.rx;
	stats->out = out.tx;
	for (unsigned i = 0; i < link->n_flows; i++)
		if (link->flows[i].from == from)
			sl_count_sum(&stats->between, &link->flows[i].between);
	stats->exists = link->units[from];
	stats->gone = sl_load_acquire(&target->state) != SIDE_UP;
}
