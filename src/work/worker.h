/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker works on: tasks and watches. Links and disks both are tasks.
 * Only the thread that runs the worker, or whoever sets it up before, calls these.
 */
#ifndef SL_WORK_WORKER_H
#define SL_WORK_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/worker.h>

/**
 * struct sl_task - something a worker does, embedded in its owner's object
 * @step:     move what there is to move. @poll: look even where no event was seen.
 *            Returns how much it did.
 * @arm:      the worker is about to sleep: set watches. Returns true when there is
 *            work already. Sets *@deadline, CLOCK_MONOTONIC ns, if it is earlier.
 */
struct sl_task {
	struct sl_task *next;
	int (*step)(struct sl_task *task, uint64_t now_ns, bool poll);
	bool (*arm)(struct sl_task *task, uint64_t *deadline);
};

/**
 * struct sl_watch - a descriptor that a task waits for
 * @fd:     the descriptor, -1 for none; not owned
 * @events: what the worker waits for now, poll(2) events
 * @ready:  what has come; the task clears it when it has found nothing to do
 */
struct sl_watch {
	int fd;
	uint32_t events;
	uint32_t ready;
};

void sl_worker_add(struct sl_worker *worker, struct sl_task *task);
void sl_worker_remove(struct sl_worker *worker, struct sl_task *task);

/** sl_worker_watch() - wait for @events on the watch's fd; 0 for none. Cheap when unchanged. */
int sl_worker_watch(struct sl_worker *worker, struct sl_watch *watch, uint32_t events);

/**
 * sl_worker_look() - how long a worker with SL_POLL_ADAPTIVE may look before it sleeps
 * @most_ns:  50 us, unless this is called
 * @short_ns: a sleep shorter than this says that looking may pay, 50 us; more where what wakes it
 *            costs much, for that is part of the sleep
 */
void sl_worker_look(struct sl_worker *worker, uint64_t most_ns, uint64_t short_ns);

/** sl_worker_event() - the eventfd that wakes the worker; the worker's */
int sl_worker_event(const struct sl_worker *worker);

/** sl_worker_wake() - let the worker do a round; any thread */
void sl_worker_wake(struct sl_worker *worker);

#endif
