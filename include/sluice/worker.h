/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker: epoll, timers, sleep and adaptive polling, for everything that
 * waits. The caller owns the loop: either it runs sl_worker_run() in a thread of
 * its own, or it polls sl_worker_fd() and calls sl_worker_step().
 */
#ifndef SLUICE_WORKER_H
#define SLUICE_WORKER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sl_poll {
	SL_POLL_OFF,	  /* sleep whenever there is nothing to do */
	SL_POLL_ADAPTIVE, /* look a little longer before sleeping, while that pays */
	SL_POLL_ON,	  /* never sleep: burns its core */
};

struct sl_worker;

/**
 * struct sl_worker_stats - how a worker spent its rounds
 * @rounds: turns of the loop
 * @busy:   rounds that moved something
 * @sleeps: rounds that ended asleep
 * @spins:  rounds that looked again instead of sleeping
 */
struct sl_worker_stats {
	uint64_t rounds;
	uint64_t busy;
	uint64_t sleeps;
	uint64_t spins;
};

/**
 * sl_worker_create() - make a worker with nothing to do
 * @poll: whether it looks before it sleeps
 * @out:  the worker, owned by the caller
 *
 * Return: 0; -ENOMEM; what epoll_create1(2), eventfd(2) or timerfd_create(2) return.
 */
int sl_worker_create(enum sl_poll poll, struct sl_worker **out);

/**
 * sl_worker_release() - free a worker
 * @worker: NULL is allowed; nobody runs it, and its links are released
 */
void sl_worker_release(struct sl_worker *worker);

/**
 * sl_worker_fd() - what to poll(2) between two steps
 * @worker: whose
 *
 * Return: a descriptor, the worker's own, readable when sl_worker_step() has
 * something to do. Only meaningful after a step that returned 0.
 */
int sl_worker_fd(const struct sl_worker *worker);

/**
 * sl_worker_step() - one round; does not block
 * @worker: one thread at a time steps or runs it
 *
 * Return: 1 when it should be called again at once; 0 when sl_worker_fd() tells;
 * what epoll_wait(2) returns, negative, which only a bug or a lack of memory causes.
 */
int sl_worker_step(struct sl_worker *worker);

/**
 * sl_worker_run() - rounds and sleep until sl_worker_stop()
 * @worker: one thread at a time steps or runs it
 *
 * A stop that comes before the run ends it at once.
 *
 * Return: 0; a negative errno as sl_worker_step().
 */
int sl_worker_run(struct sl_worker *worker);

/**
 * sl_worker_stop() - end sl_worker_run()
 * @worker: whose; may be called by any thread, and in a signal handler
 */
void sl_worker_stop(struct sl_worker *worker);

/**
 * sl_worker_get_stats() - what a worker has done so far
 * @worker: whose; may be called by any thread
 * @stats:  filled in
 */
void sl_worker_get_stats(const struct sl_worker *worker, struct sl_worker_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
