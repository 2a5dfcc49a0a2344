/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port goes away and comes back. Any lane may be the first to see that it is
 * gone; only when every endpoint has noticed does the side's own lane stop the port,
 * and only then may control() attach it again: nobody is inside rx() or tx().
 */
#include "base/barrier.h"
#include "base/log.h"
#include "base/reason.h"
#include "link/link_private.h"

static const char *kind_of(const struct side *side)
{
	return side->port->ops->kind;
}

void sl_link_wake(struct sl_link *link)
{
	for (unsigned i = 0; i < link->n_lanes; i++)
		sl_worker_wake(link->lanes[i].worker);
}

void sl_side_gone(struct side *side, struct sl_link *link, const char *why)
{
	uint32_t up = SIDE_UP;

	if (!sl_cas_acq_rel(&side->state, &up, SIDE_GONE))
		return;
	sl_log(&link->log, SL_LOG_WARN, "port %s is gone: %s; its packets are dropped and counted",
	       kind_of(side), why);
	sl_link_wake(link);
}

void sl_side_broke_ring(struct side *side, struct sl_link *link)
{
	sl_store_relaxed(&side->broken, 1);
	sl_side_gone(side, link, "it broke its ring");
}

void sl_endpoint_notice(struct endpoint *endpoint, struct sl_link *link, struct sl_worker *worker)
{
	struct side *side = endpoint->side;
	/* The epoch first, as stop() stores it last: with a new epoch the old "gone" is never
	 * read, so no endpoint is counted ahead for the next time. */
	uint32_t epoch = sl_load_acquire(&side->epoch);
	uint32_t state = sl_load_acquire(&side->state);

	if (state == SIDE_UP) {
		if (!endpoint->dead)
			return;
		endpoint->dead = false;
		endpoint->watch.fd =
			side->port->ops->fd(side->port, endpoint->queue, endpoint->dirs);
		endpoint->tries_rx = endpoint->tries_tx = true;
		return;
	}
	if (!endpoint->dead || endpoint->watch.events)
		sl_worker_watch(worker, &endpoint->watch, 0);
	endpoint->dead = true;
	if (state != SIDE_GONE || endpoint->epoch == epoch)
		return;
	endpoint->epoch = epoch;
	if (sl_add_acq_rel(&side->noticed, 1) == side->endpoints)
		sl_link_wake(link);
}

static void stop(struct side *side, struct sl_link *link)
{
	if (side->port->ops->stop)
		side->port->ops->stop(side->port);
	sl_store_relaxed(&side->noticed, 0);
	/* The state first: whoever sees the new epoch sees that this going away is over. */
	sl_store_release(&side->state, SIDE_STOPPED);
	sl_store_release(&side->epoch, side->epoch + 1);
	sl_link_wake(link);
}

/* control() said that something has changed. */
static void look(struct side *side, struct sl_link *link)
{
	struct sl_port_info info;

	side->port->ops->info(side->port, &info);
	pthread_mutex_lock(&side->lock);
	side->info = info;
	pthread_mutex_unlock(&side->lock);
	sl_store_release(&side->generation, info.generation);
	if (!info.attached)
		sl_side_gone(side, link, "its peer left");
	if (sl_load_relaxed(&side->state) != SIDE_STOPPED || !info.attached)
		return;
	if (side->known)
		sl_log(&link->log, SL_LOG_WARN, "port %s is back", kind_of(side));
	else
		sl_log(&link->log, SL_LOG_INFO, "port %s has its peer", kind_of(side));
	side->known = true;
	sl_store_release(&side->state, SIDE_UP);
	sl_link_wake(link);
}

/* Is there somebody behind the other port? */
static void tell_carrier(struct side *side, struct sl_link *link)
{
	const struct side *other = &link->sides[side == link->sides];
	bool up = sl_load_acquire(&other->state) == SIDE_UP;

	if (up == side->carrier)
		return;
	side->carrier = up;
	if (side->port->ops->carrier)
		side->port->ops->carrier(side->port, up);
}

int sl_side_step(struct side *side, struct sl_link *link, uint64_t now_ns)
{
	const struct sl_port_ops *ops = side->port->ops;
	int ret;

	if (!sl_load_relaxed(&side->broken))
		tell_carrier(side, link);
	if (sl_load_acquire(&side->state) == SIDE_GONE) {
		if (sl_load_acquire(&side->noticed) < side->endpoints)
			return 0;
		stop(side, link);
		return 1;
	}
	if (!ops->control || sl_load_relaxed(&side->broken) ||
	    (!side->control.ready && sl_side_deadline(side) > now_ns))
		return 0;
	side->control.ready = 0;
	ret = ops->control(side->port, now_ns);
	if (ret < 0)
		sl_side_gone(side, link, sl_reason());
	if (ret > 0)
		look(side, link);
	return ret > 0;
}

uint64_t sl_side_deadline(const struct side *side)
{
	const struct sl_port_ops *ops = side->port->ops;

	if (!ops->deadline || sl_load_relaxed(&side->broken))
		return SL_NEVER;
	return ops->deadline(side->port);
}
