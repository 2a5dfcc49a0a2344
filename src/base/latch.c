/* SPDX-License-Identifier: BSD-2-Clause */
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/latch.h"

#define YIELDS 64

static bool barrier_of_all(int command)
{
	return !syscall(SYS_membarrier, command, 0, 0);
}

void sl_latch_init(struct sl_latch *latch)
{
	*latch = (struct sl_latch){
		.fenced = !barrier_of_all(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)};
	pthread_mutex_init(&latch->lock, NULL);
}

void sl_latch_destroy(struct sl_latch *latch)
{
	pthread_mutex_destroy(&latch->lock);
}

void sl_latch_wait(struct sl_latch *latch)
{
	sl_store_release(&latch->inside, 0);
	pthread_mutex_lock(&latch->lock);
	/* Before the lock is given back: whoever shuts it next sees that somebody is in. */
	sl_store_relaxed(&latch->inside, 1);
	pthread_mutex_unlock(&latch->lock);
}

/* A signal does not shorten it. */
static void nap(void)
{
	struct timespec left = {.tv_nsec = SL_NS_PER_MS};

	while (nanosleep(&left, &left))
		;
}

void sl_latch_shut(struct sl_latch *latch)
{
	pthread_mutex_lock(&latch->lock);
	sl_store_relaxed(&latch->shut, 1);
	sl_fence_seq_cst();
	/* It was there when the latch was made; a filter of system calls that came later may
	 * forbid it. No processor keeps a store to itself for as long as a nap takes. */
	if (!latch->fenced && !barrier_of_all(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
		nap();
	/* To yield for ever would starve one of lower priority. */
	for (unsigned n = 0; sl_load_acquire(&latch->inside); n++)
		if (n < YIELDS)
			sched_yield();
		else
			nap();
}

void sl_latch_open(struct sl_latch *latch)
{
	sl_store_release(&latch->shut, 0);
	pthread_mutex_unlock(&latch->lock);
}
