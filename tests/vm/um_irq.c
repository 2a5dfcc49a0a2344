/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts: what may be wired, what pends, what is lost; more vectors than the machine has. */
#include "um.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VECTORS 4 /* of the ivshmem */
#define RAISED	500

/* ivshmem-spec.txt: the doorbell takes a peer's id, ours too, and a vector. */
static void ring(int fd, unsigned vector)
{
	MUST(um_write(fd, 0, 0x0c, 4, um_get(fd, 0, 0x08, 4) << 16 | vector));
}

static void wrong_wirings(int fd, int event)
{
	struct uio_msix_set_irqs empty = {
		.argsz = sizeof(empty), .index = UIO_MSIX_MSIX, .count = 1};
	int two[2] = {event, STDOUT_FILENO}, closed[2] = {event, 1000}, many[UIO_MSIX_IRQS_MAX + 1];
	struct uio_msix_irq irq = {.argsz = sizeof(irq), .index = UIO_MSIX_IRQS};

	REFUSED(EINVAL, um_call(fd, UIO_MSIX_GET_IRQ, &irq));
	memset(many, -1, sizeof(many));
	REFUSED(EINVAL, um_wire(fd, UIO_MSIX_MSIX, VECTORS, 1, &event));
	REFUSED(EINVAL, um_wire(fd, UIO_MSIX_MSIX, VECTORS - 1, 2, many));
	REFUSED(EINVAL, um_wire(fd, UIO_MSIX_MSIX, UINT32_MAX, 2, many));
	REFUSED(EINVAL, um_wire(fd, UIO_MSIX_MSIX, 1, UINT32_MAX >> 22, many));
	REFUSED(EINVAL, um_wire(fd, UIO_MSIX_MSIX, 0, UIO_MSIX_IRQS_MAX + 1, many));
	REFUSED(EINVAL, um_wire(fd, UIO_MSIX_MSIX, 1, 0, NULL));
	REFUSED(EINVAL, um_wire(fd, UIO_MSIX_IRQS, 0, 1, &event));
	REFUSED(EINVAL, um_wire(fd, UINT32_MAX, 0, 1, &event));
	REFUSED(EINVAL, um_wire(fd, UIO_MSIX_INTX, 0, 1, &event));
	REFUSED(EINVAL, um_wire(fd, UIO_MSIX_MSI, 0, 1, &event));
	REFUSED(EINVAL, um_wire(fd, UIO_MSIX_GONE, 0, 2, many));
	REFUSED(EINVAL, um_call(fd, UIO_MSIX_SET_IRQS, &empty));
	empty.count = UINT32_MAX / 4 + 1; /* times 4 it is nothing */
	REFUSED(EINVAL, um_call(fd, UIO_MSIX_SET_IRQS, &empty));
	many[0] = -2;
	CHECK(um_wire(fd, UIO_MSIX_MSIX, 0, 1, many) < 0);
	CHECK(um_wire(fd, UIO_MSIX_MSIX, 0, 2, two) < 0);
	CHECK(um_wire(fd, UIO_MSIX_MSIX, 0, 2, closed) < 0);
}

static void all_or_nothing(int fd)
{
	int events[VECTORS], bad[VECTORS];

	for (unsigned v = 0; v < VECTORS; v++)
		bad[v] = events[v] = um_event();
	CHECK(um_irq(fd, UIO_MSIX_MSIX).count == VECTORS && !um_irq(fd, UIO_MSIX_MSIX).enabled);
	wrong_wirings(fd, events[0]);
	CHECK(!um_irq(fd, UIO_MSIX_MSIX).enabled);
	MUST(um_wire(fd, UIO_MSIX_MSIX, 0, VECTORS, events));
	CHECK(um_irq(fd, UIO_MSIX_MSIX).enabled == VECTORS);
	wrong_wirings(fd, um_event());
	bad[0] = events[1];
	bad[1] = events[0];
	bad[VECTORS - 1] = STDOUT_FILENO;
	CHECK(um_wire(fd, UIO_MSIX_MSIX, 0, VECTORS, bad) < 0);
	for (unsigned v = 0; v < VECTORS; v++) {
		ring(fd, v);
		for (unsigned i = 0; i < VECTORS; i++)
			CHECK(um_comes(events[i], i == v ? SOON : 0) == (i == v));
	}
	MUST(um_wire(fd, UIO_MSIX_MSIX, 0, 0, NULL));
	CHECK(!um_irq(fd, UIO_MSIX_MSIX).enabled);
	MUST(um_wire(fd, UIO_MSIX_MSIX, 0, 0, NULL)); /* it is off already */
	for (unsigned v = 0; v < VECTORS; v++)
		close(events[v]);
}

/* The last vector alone is wired: all of them are on, and what comes for another pends. */
static void pends(int fd)
{
	int first = um_event(), last = um_event(), none[VECTORS] = {-1, -1, -1, -1};

	MUST(um_wire(fd, UIO_MSIX_MSIX, VECTORS - 1, 1, &last));
	CHECK(um_irq(fd, UIO_MSIX_MSIX).enabled == VECTORS);
	ring(fd, 0);
	ring(fd, VECTORS - 1);
	CHECK(um_comes(last, SOON) == 1);
	usleep(NEVER * 1000);
	MUST(um_wire(fd, UIO_MSIX_MSIX, 0, 1, &first));
	CHECK(um_comes(first, SOON) == 1 && !um_comes(first, NEVER));

	/* Without any event they are on nevertheless; turned off, what pends is lost. */
	MUST(um_wire(fd, UIO_MSIX_MSIX, 0, VECTORS, none));
	CHECK(um_irq(fd, UIO_MSIX_MSIX).enabled == VECTORS);
	ring(fd, 1);
	usleep(NEVER * 1000);
	MUST(um_wire(fd, UIO_MSIX_MSIX, 1, 1, &first));
	CHECK(um_comes(first, SOON) == 1);
	MUST(um_wire(fd, UIO_MSIX_MSIX, 1, 1, none));
	ring(fd, 1);
	usleep(NEVER * 1000);
	MUST(um_wire(fd, UIO_MSIX_MSIX, 0, 0, NULL));
	ring(fd, 2);
	usleep(NEVER * 1000);
	none[1] = first;
	none[2] = last;
	MUST(um_wire(fd, UIO_MSIX_MSIX, 0, VECTORS, none));
	CHECK(!um_comes(first, NEVER) && !um_comes(last, NEVER));
	close(first);
	close(last);
}

/* The kernel's own reference; one event for all. */
static void closed_events(int fd)
{
	int shared = um_event(), copy = dup(shared), all[VECTORS];
	uint64_t came = 0;

	for (unsigned v = 0; v < VECTORS; v++)
		all[v] = copy;
	MUST(um_wire(fd, UIO_MSIX_MSIX, 0, VECTORS, all));
	close(copy);
	for (unsigned v = 0; v < VECTORS; v++)
		ring(fd, v);
	while (came < VECTORS) {
		uint64_t now = um_comes(shared, SOON);

		CHECK(now);
		came += now;
	}
	CHECK(came == VECTORS);
	close(shared); /* and nobody can read it any more */
	for (unsigned v = 0; v < VECTORS; v++)
		ring(fd, v);
	usleep(NEVER * 1000);
}

/* wiring ADDRESS: an ivshmem's */
void um_do_wiring(int argc, char **argv)
{
	struct uio_msix_mask mask = {.argsz = sizeof(mask), .flags = UIO_MSIX_MASK};
	int fd = MUST(um_open(argv[0])), gone = um_event();

	CHECK(argc == 1 && !um_irq(fd, UIO_MSIX_INTX).count && !um_irq(fd, UIO_MSIX_MSI).count);
	CHECK(um_irq(fd, UIO_MSIX_GONE).count == 1 && !um_irq(fd, UIO_MSIX_GONE).enabled);
	MUST(um_wire_one(fd, UIO_MSIX_GONE, gone));
	CHECK(um_irq(fd, UIO_MSIX_GONE).enabled == 1);
	MUST(um_master(fd, UIO_MSIX_ON));
	REFUSED(EINVAL, um_call(fd, UIO_MSIX_MASK_INTX, &mask));
	all_or_nothing(fd);
	pends(fd);
	closed_events(fd);
	CHECK(!um_comes(gone, 0));
	close(fd);
	printf("ok - wired as a whole or not at all; what comes without an event pends\n");
}

/*
 * One thread raises interrupts while the other rewires their vectors. Each vector has two events of
 * its own: what is raised comes once, at one of them, be it after the next rewiring.
 */
struct race {
	int fd, events[VECTORS][2];
	atomic_uint raised;
	atomic_uint at; /* the vector that is raised just now */
	atomic_bool over;
};

static void *raise_often(void *arg)
{
	struct race *r = arg;
	unsigned seed = 1;

	while (!atomic_load(&r->over)) {
		unsigned v = (unsigned)rand_r(&seed) % VECTORS;
		struct pollfd p[2] = {{r->events[v][0], POLLIN, 0}, {r->events[v][1], POLLIN, 0}};

		atomic_store(&r->at, v);
		ring(r->fd, v);
		if (poll(p, 2, 2 * SOON) != 1)
			um_fail("vector %u: lost, or twice", v);
		CHECK(um_comes(p[0].revents ? p[0].fd : p[1].fd, 0) == 1);
		atomic_fetch_add(&r->raised, 1);
	}
	return NULL;
}

/* race ADDRESS REWIRINGS: at least so many; an ivshmem's */
void um_do_race(int argc, char **argv)
{
	struct race r = {.fd = MUST(um_open(argv[0]))};
	pthread_t thread;

	CHECK(argc == 2);
	for (unsigned v = 0; v < VECTORS; v++) {
		r.events[v][0] = um_event();
		r.events[v][1] = um_event();
		MUST(um_wire(r.fd, UIO_MSIX_MSIX, v, 1, r.events[v]));
	}
	MUST(um_master(r.fd, UIO_MSIX_ON));
	CHECK(!pthread_create(&thread, NULL, raise_often, &r));
	srandom(1);
	for (int i = 0; i < atoi(argv[1]) || atomic_load(&r.raised) < RAISED; i++) {
		unsigned v = random() % 2 ? atomic_load(&r.at) : (unsigned)random() % VECTORS;
		unsigned to = (unsigned)random() % 3;
		int event = to == 2 ? -1 : r.events[v][to];

		MUST(um_wire(r.fd, UIO_MSIX_MSIX, v, 1, &event));
	}
	for (unsigned v = 0; v < VECTORS; v++)
		MUST(um_wire(r.fd, UIO_MSIX_MSIX, v, 1, r.events[v]));
	atomic_store(&r.over, true);
	CHECK(!pthread_join(thread, NULL));
	for (unsigned v = 0; v < VECTORS; v++)
		CHECK(!um_comes(r.events[v][0], 0) && !um_comes(r.events[v][1], 0));
	close(r.fd);
	printf("ok - ivshmem: %u interrupts of vectors that are just rewired, none lost\n",
	       atomic_load(&r.raised));
}

static uint32_t available(int fd, unsigned kind, unsigned count)
{
	size_t size = sizeof(struct uio_msix_set_irqs) + count * sizeof(int32_t);
	struct uio_msix_set_irqs *set = calloc(1, size);
	uint32_t there;

	CHECK(set);
	set->argsz = (uint32_t)size;
	set->index = kind;
	set->count = count;
	memset(set->fds, -1, count * sizeof(int32_t));
	REFUSED(ENOSPC, um_call(fd, UIO_MSIX_SET_IRQS, set));
	there = set->available;
	free(set);
	return there;
}

/* crowded ADDRESS ADDRESS: an nvme with 2048 vectors, and another device with MSI */
void um_do_crowded(int argc, char **argv)
{
	int fd = MUST(um_open(argv[0])), other = MUST(um_open(argv[1])), event = um_event();
	uint32_t count = um_irq(fd, UIO_MSIX_MSIX).count, there;

	CHECK(argc == 2 && count == UIO_MSIX_IRQS_MAX);
	there = available(fd, UIO_MSIX_MSIX, count);
	CHECK(there && there < count && !um_irq(fd, UIO_MSIX_MSIX).enabled);
	MUST(um_wire(fd, UIO_MSIX_MSIX, there - 1, 1, &event));
	CHECK(um_irq(fd, UIO_MSIX_MSIX).enabled >= there);
	there = um_irq(fd, UIO_MSIX_MSIX).enabled;
	REFUSED(ENOSPC, um_wire(fd, UIO_MSIX_MSIX, count - 1, 1, &event));
	CHECK(um_irq(fd, UIO_MSIX_MSIX).enabled == there);
	MUST(um_wire(fd, UIO_MSIX_MSIX, 0, 0, NULL));
	MUST(um_wire_one(other, UIO_MSIX_MSI, event));
	close(fd);
	close(other);
	printf("ok - %u vectors where %u were asked for; all are given back\n", there, count);
}

/* kinds ADDRESS intx|msi|msix|all: of a device that has all, those that the module allows */
void um_do_kinds(int argc, char **argv)
{
	static const char *const names[] = {"intx", "msi", "msix"};
	int fd = MUST(um_open(argv[0])), event = um_event();

	CHECK(argc == 2);
	for (unsigned kind = UIO_MSIX_INTX; kind <= UIO_MSIX_MSIX; kind++) {
		bool allowed = !strcmp(argv[1], "all") || !strcmp(argv[1], names[kind]);

		CHECK((um_irq(fd, kind).count > 0) == allowed);
		if (allowed)
			MUST(um_wire_one(fd, kind, event));
		else
			REFUSED(EINVAL, um_wire_one(fd, kind, event));
		MUST(um_wire(fd, kind, 0, 0, NULL));
	}
	close(fd);
}
