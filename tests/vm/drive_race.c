/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One thread raises interrupts while the other rewires their vectors. Each vector has two events of
 * its own: what is raised comes at one of them, be it after the next rewiring; it is never lost.
 */
#include "drive.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	VECTORS_MAX = 65,
	LOST = 10000, /* ms */
	NEVER = 30,
	RAISED = 500
};

struct race {
	struct sl_device *dev;
	struct firing f;
	unsigned n;
	int events[VECTORS_MAX][2];
	atomic_uint raised;
	atomic_uint at; /* the vector that is raised just now */
	atomic_bool over;
};

/* What came at either of the two. */
static uint64_t comes_at(const int *events, int ms)
{
	struct pollfd p[2] = {{events[0], POLLIN, 0}, {events[1], POLLIN, 0}};
	uint64_t came = 0;

	poll(p, 2, ms);
	for (unsigned i = 0; i < 2; i++)
		if (p[i].revents)
			came += drive_comes(events[i], 0);
	return came;
}

static void *raise_often(void *arg)
{
	struct race *r = arg;
	unsigned seed = 1;

	while (!atomic_load(&r->over)) {
		unsigned v = (unsigned)rand_r(&seed) % r->n;

		atomic_store(&r->at, v);
		r->f.fire(&r->f, v);
		if (!comes_at(r->events[v], LOST))
			drive_fail("vector %u: lost, the %uth that was raised", v,
				   atomic_load(&r->raised));
		atomic_fetch_add(&r->raised, 1);
	}
	return NULL;
}

/* Every other time the vector that is raised just now; to one event, the other, or for a while to
 * none. */
static void rewire_often(struct race *r, int times)
{
	for (int i = 0; i < times || atomic_load(&r->raised) < RAISED; i++) {
		unsigned v = random() % 2 ? atomic_load(&r->at) : (unsigned)random() % r->n;
		unsigned to = (unsigned)random() % 3;
		/* With all removed MSI-X would be off, and what pends forgotten. */
		int event = to == 2 && v ? -1 : r->events[v][to & 1];

		MUST(sl_device_irq_set(r->dev, SL_IRQ_MSIX, v, 1, &event));
	}
	for (unsigned v = 0; v < r->n; v++)
		MUST(sl_device_irq_set(r->dev, SL_IRQ_MSIX, v, 1, r->events[v]));
}

/* race ADDRESS e1000e|nvme REWIRINGS VIA: at least so many; registers are mapped, which two threads
 * may use */
void drive_race(int argc, char **argv)
{
	struct race r = {0};
	pthread_t thread;

	CHECK(argc == 4);
	r.dev = drive_open(argv[0], argv[3], NULL);
	r.n = sl_device_irq_count(r.dev, SL_IRQ_MSIX);
	CHECK(r.n && r.n <= VECTORS_MAX);
	for (unsigned v = 0; v < r.n; v++) {
		r.events[v][0] = drive_event();
		r.events[v][1] = drive_event();
		MUST(sl_device_irq_set(r.dev, SL_IRQ_MSIX, v, 1, r.events[v]));
	}
	start_firing(&r.f, r.dev, argv[1]);
	while (comes_at(r.events[0], NEVER)) /* of the queues' making */
		;
	CHECK(!pthread_create(&thread, NULL, raise_often, &r));
	srandom(1);
	rewire_often(&r, atoi(argv[2]));
	atomic_store(&r.over, true);
	CHECK(!pthread_join(thread, NULL));
	for (unsigned v = 0; v < r.n; v++)
		CHECK(!comes_at(r.events[v], 0));
	stop_firing(&r.f);
	sl_device_close(r.dev);
	printf("ok - %s: %u interrupts of vectors that are just rewired, none lost\n", argv[1],
	       atomic_load(&r.raised));
}
