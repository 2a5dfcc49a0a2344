/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link: two ports joined, one ring a direction and queue.
 */
#ifndef SLUICE_LINK_H
#define SLUICE_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/counters.h>
#include <sluice/log.h>
#include <sluice/port.h>
#include <sluice/ring.h>
#include <sluice/worker.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sl_link;

/** Entries of a link's rings; a port that receives owns as many buffers a queue, or more. */
#define SL_LINK_RING_MAX 256

/**
 * struct sl_link_config - what a link joins and who does the work
 * @ports:     two open ports; the link's once sl_link_create() returned 0
 * @workers:   who moves the packets; not owned, must outlive the link
 * @n_workers: how many. With as many as there are directions times queues each
 *             has a direction of a queue; with more, receiving and sending are
 *             split as well.
 * @ring_size: entries a ring, a power of two up to SL_LINK_RING_MAX, 0 for that
 * @capture:   called for every packet before it is sent, by the worker that
 *             sends it; several may call at once; optional
 * @ended:     called once, by a worker, when a port that has an end has reached
 *             it and all it gave is delivered; optional
 * @ctx:       handed to both
 * @log:       NULL for silence; must outlive the link
 */
struct sl_link_config {
	struct sl_port *ports[2];
	struct sl_worker *const *workers;
	unsigned n_workers;
	uint32_t ring_size;
	void (*capture)(void *ctx, unsigned from, const struct sl_ring *ring, uint32_t at);
	void (*ended)(void *ctx);
	void *ctx;
	const struct sl_log *log;
};

/**
 * struct sl_link_stats - one direction of a link
 * @in:     what the receiving port gave, and the source's own losses
 * @between: what the link itself did: cut, copied, dropped
 * @out:    what the sending port took, and refused
 * @gone:   the sending port is away; its packets are counted and dropped
 * @exists: the one port emits packets and the other takes them
 */
struct sl_link_stats {
	struct sl_count in;
	struct sl_count between;
	struct sl_count out;
	bool gone;
	bool exists;
};

/**
 * sl_link_create() - join two ports
 * @config: copied; see there for what must outlive the link
 * @out:    the link, owned by the caller
 *
 * The workers must not be running yet, or must be run by the calling thread.
 *
 * Return: 0; -EINVAL when layers or MTUs do not fit, or neither port emits, with
 * a reason; -ENOMEM. On failure the ports are still the caller's.
 */
int sl_link_create(const struct sl_link_config *config, struct sl_link **out);

/**
 * sl_link_get_stats() - the counters of one direction
 * @link:  whose; may be called by any thread, also after sl_link_stop()
 * @from:  the port the direction comes from, 0 or 1
 * @stats: filled in
 */
void sl_link_get_stats(const struct sl_link *link, unsigned from, struct sl_link_stats *stats);

/**
 * sl_link_stop() - deliver what is on its way, stop both ports, empty the rings
 * @link: nobody runs its workers any more
 *
 * What a port does not take at once is dropped and counted. The counters are
 * final then.
 */
void sl_link_stop(struct sl_link *link);

/**
 * sl_link_release() - sl_link_stop() if that was not done, and close the ports
 * @link: may be NULL
 *
 * Nobody runs the workers any more.
 */
void sl_link_release(struct sl_link *link);

#ifdef __cplusplus
}
#endif
#endif
