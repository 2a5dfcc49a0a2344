/* SPDX-License-Identifier: BSD-2-Clause */
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/gate.h"

#define YIELDS 64

static bool barrier_of_all(int command)
{
	return !syscall(SYS_membarrier, command, 0, 0);
}

void sl_gate_init(struct sl_gate *gate)
{
	*gate = (struct sl_gate){
		.fenced = !barrier_of_all(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)};
	pthread_mutex_init(&gate->lock, NULL);
}

void sl_gate_destroy(struct sl_gate *gate)
{
	pthread_mutex_destroy(&gate->lock);
}

void sl_gate_wait(struct sl_gate *gate)
{
	sl_store_release(&gate->inside, 0);
	pthread_mutex_lock(&gate->lock);
	/* Before the lock is given back: whoever shuts it next sees that somebody is in. */
	sl_store_relaxed(&gate->inside, 1);
	pthread_mutex_unlock(&gate->lock);
}

void sl_gate_shut(struct sl_gate *gate)
{
	const struct timespec nap = {.tv_nsec = SL_NS_PER_MS};

	pthread_mutex_lock(&gate->lock);
	sl_store_relaxed(&gate->shut, 1);
	sl_fence_seq_cst();
	/* It was there when the gate was made; a filter of system calls that came later may
	 * forbid it. No processor keeps a store to itself for as long as a nap takes. */
	if (!gate->fenced && !barrier_of_all(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
		nanosleep(&nap, NULL);
	/* To yield for ever would starve one of lower priority. */
	for (unsigned n = 0; sl_load_acquire(&gate->inside); n++)
		if (n < YIELDS)
			sched_yield();
		else
			nanosleep(&nap, NULL);
}

void sl_gate_open(struct sl_gate *gate)
{
	sl_store_release(&gate->shut, 0);
	pthread_mutex_unlock(&gate->lock);
}
