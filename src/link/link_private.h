/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of a link.
 *
 * A *side* is one of the two ports. A *flow* is one ring: a receive queue of one
 * port on its way to a transmit queue of the other. A *lane* is what one worker
 * does of a link: it receives for some flows and sends for some. An *endpoint* is
 * a queue of a port as one lane sees it.
 */
#ifndef SL_LINK_PRIVATE_H
#define SL_LINK_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>

#include <sluice/link.h>

#include "packet/fit.h"
#include "work/worker.h"

#define QUEUES_MAX 16
#define LANES_MAX  (4 * QUEUES_MAX)

enum side_state {
	SIDE_UP,
	SIDE_GONE,    /* endpoints still have to notice */
	SIDE_STOPPED, /* stop() was called; nobody calls rx() or tx() */
};

struct side {
	struct sl_port *port;
	struct lane *lane;	 /* calls control(), stop() and deadline() */
	struct sl_watch control; /* on control_fd() */
	unsigned n_reached;
	struct sl_region *reached; /* of its regions, those that the other port maps */
	uint32_t state;		   /* enum side_state */
	uint32_t epoch;		   /* counts how often it went away */
	uint32_t noticed;	   /* endpoints that know of this epoch */
	uint32_t endpoints;
	bool carrier;	 /* it was told that the other is up */
	bool known;	 /* it was up once */
	uint32_t broken; /* it broke a ring: it does not come back */
	unsigned queues;
	uint32_t delivered;   /* flows of this side that ended and are delivered */
	pthread_mutex_t lock; /* info */
	struct sl_port_info info;
	uint32_t generation; /* info.generation, without the lock */
};

struct endpoint {
	struct side *side;
	unsigned queue;
	unsigned dirs; /* SL_PORT_RX, SL_PORT_TX: what the lane does there */
	bool tries_rx; /* something may be there: ask the port */
	bool tries_tx;
	bool dead;	/* the side is away */
	uint32_t epoch; /* the side's, as last noticed */
	unsigned want;	/* SL_PORT_RX, SL_PORT_TX: being put together before a sleep */
	struct sl_watch watch;
};

struct flow {
	struct sl_link *link;
	struct side *source, *target;
	unsigned from; /* 0 or 1: which side the source is */
	struct sl_ring *ring;
	struct sl_fit *fit;  /* NULL when the target takes all that the source emits */
	struct sl_ring *out; /* what the target consumes: ring, or the fitting's */
	uint32_t generation; /* the sum of both sides' for which fit was made */
	uint32_t emitted;    /* SL_CAN_*: what the source ever emitted */
	bool copy;	     /* the target cannot reach the source's regions */
	bool shared;	     /* receiving and sending are on different lanes */
	uint32_t ended;	     /* the source has no more, ever */

	struct lane *rx_lane; /* these four: the receiving lane's */
	struct endpoint *rx;
	bool rx_blocked; /* no room was left, or no buffers: */
	bool rx_starved; /* all of the source's are lent */
	bool rx_lent;	 /* the source wants to know of what comes back */

	struct lane *tx_lane; /* the sending lane's */
	struct endpoint *tx;
	bool tx_blocked; /* the port did not take what is there */
	uint32_t epoch;	 /* the target's when it was last given something */
	bool delivered;
	uint32_t captured; /* entries of out before it went to config.capture */
	uint64_t recall_at;
	struct sl_count between;
};

struct lane {
	struct sl_task task;
	struct sl_link *link;
	struct sl_worker *worker;
	unsigned n_endpoints;
	struct endpoint *endpoints[4 * QUEUES_MAX];
};

struct sl_link {
	struct sl_link_config config;
	struct sl_log log; /* a copy */
	struct side sides[2];
	unsigned n_lanes;
	struct lane lanes[LANES_MAX];
	unsigned units[2]; /* of each direction: see units_of() */
	unsigned n_flows;
	struct flow *flows;
	uint32_t ended; /* config.ended was called */
	bool stopped;
};

/* lane.c */
int sl_lane_step(struct sl_task *task, uint64_t now_ns, bool poll);
bool sl_lane_arm(struct sl_task *task, uint64_t *deadline);

/* flow.c */
int sl_flow_rx(struct flow *flow);
int sl_flow_tx(struct flow *flow, uint64_t now_ns);
/* Put the fitting that the two sides need now between them; the flow holds nothing. */
int sl_flow_fit(struct flow *flow);
void sl_flow_unfit(struct flow *flow);
/* The target holds nothing any more: drop all that is on its way, counted as @reason. */
void sl_flow_drop(struct flow *flow, enum sl_drop reason);

/* side.c */
/* Any lane: the port is gone. */
void sl_side_gone(struct side *side, struct sl_link *link, const char *why);
/* The same for a port that broke its ring; nothing it says is believed any more. */
void sl_side_broke_ring(struct side *side, struct sl_link *link);
/* The side's lane: control(), going away and coming back. Returns 1 if it did something. */
int sl_side_step(struct side *side, struct sl_link *link, uint64_t now_ns);
uint64_t sl_side_deadline(const struct side *side);
/* Any lane: bring an endpoint up to what its side is. */
void sl_endpoint_notice(struct endpoint *endpoint, struct sl_link *link, struct sl_worker *worker);

void sl_link_wake(struct sl_link *link);

#endif
