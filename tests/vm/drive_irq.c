/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts: each vector reaches the event that it is wired to, and none else. */
#include "drive.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	VECTORS_MAX = 65,
	SOON = 5000,
	NEVER = 30,
	BRIEFLY = 2
}; /* ms */

/* 82574 datasheet, 10.2.4: interrupt registers */
enum {
	CTRL_EXT = 0x18,
	ICR = 0xc0,
	ICS = 0xc8,
	IMS = 0xd0,
	IMC = 0xd8,
	EIAC = 0xdc,
	IVAR = 0xe4,
	LSC = 1 << 2,
	CAUSES = 0x1f << 20, /* RxQ0, RxQ1, TxQ0, TxQ1, Other */
};

/*
 * An interrupt that was sent has masked its cause (7.4.5: EIAC). QEMU sends two messages for what
 * is raised within the 128 µs after the last (EITR).
 */
static void e1000e_fire(struct firing *f, unsigned vector)
{
	usleep(500);
	sl_mmio_write32(&f->mmio, IMS, 1u << (20 + vector));
	sl_mmio_write32(&f->mmio, ICS, 1u << (20 + vector));
}

static void e1000e_start(struct firing *f)
{
	f->fire = e1000e_fire;
	sl_mmio_write32(&f->mmio, IMC, UINT32_MAX);
	sl_mmio_write32(&f->mmio, CTRL_EXT,
			sl_mmio_read32(&f->mmio, CTRL_EXT) | 1u << 31 | 1 << 24);
	sl_mmio_write32(&f->mmio, IVAR, 1u << 31 | 0xcba98); /* each cause has its own, valid */
	sl_mmio_write32(&f->mmio, EIAC, CAUSES);
	sl_mmio_write32(&f->mmio, ICR, UINT32_MAX);
}

/* ivshmem-spec.txt: the doorbell takes a peer's id, ours too, and a vector. Its BAR is less than a
 * page. */
static void ivshmem_fire(struct firing *f, unsigned vector)
{
	MUST(sl_device_write(f->dev, 0, 0x0c, 4, f->id << 16 | vector));
}

static const struct {
	const char *name;
	unsigned vectors;
} kinds[] = {{"e1000e", 5}, {"ivshmem", 4}, {"nvme", 65}};

void start_firing(struct firing *f, struct sl_device *dev, const char *kind)
{
	uint64_t id;

	*f = (struct firing){.dev = dev};
	MUST(sl_device_bus_master(dev, true));
	if (strcmp(kind, "ivshmem"))
		f->mmio = drive_map(dev, 0);
	if (!strcmp(kind, "e1000e")) {
		e1000e_start(f);
	} else if (!strcmp(kind, "nvme")) {
		f->nvme = nvme_start(dev, &f->mmio, VECTORS_MAX);
		f->fire = nvme_fire;
	} else {
		MUST(sl_device_read(dev, 0, 0x08, 4, &id));
		f->id = (uint32_t)id;
		f->fire = ivshmem_fire;
	}
}

/*
 * Before MSI-X is turned off: QEMU aborts when an nvme's queue has a vector from 32 on, or an
 * e1000e is within the time between two interrupts, 128 µs by a timer that may be late.
 */
void stop_firing(struct firing *f)
{
	if (f->nvme)
		nvme_stop(f->nvme);
	if (f->fire == e1000e_fire)
		usleep(300000);
}

/* @wanted has come, and none of the others. -1: none at all. */
static void only(const int *events, unsigned n, int wanted, const char *when)
{
	struct pollfd all[VECTORS_MAX];

	if (wanted < 0) /* what comes later, the next call finds */
		usleep(BRIEFLY * 1000);
	else if (!drive_comes(events[wanted], SOON))
		drive_fail("%s: event %d does not come", when, wanted);
	for (unsigned i = 0; i < n; i++)
		all[i] = (struct pollfd){events[i], POLLIN, 0};
	if (poll(all, n, 0))
		for (unsigned i = 0; i < n; i++)
			if (all[i].revents)
				drive_fail("%s: event %u came, %d was wanted", when, i, wanted);
}

static void each_its_own(struct firing *f, const int *events, unsigned n)
{
	char when[64];

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned v = 0; v < n; v++) {
			snprintf(when, sizeof(when), "round %u, vector %u", round, v);
			f->fire(f, v);
			only(events, n, (int)v, when);
		}
	}
}

struct wiring {
	struct sl_device *dev;
	struct firing f;
	unsigned n;
	int events[VECTORS_MAX];
	int wired[VECTORS_MAX];	   /* of each vector: which event, -1 for none */
	bool pending[VECTORS_MAX]; /* it fired while it had none */
};

/*
 * PCI 3.0, 6.8.3.4: an interrupt of a masked vector pends; unmasked, it comes. Two may have the
 * same event now, which counts both.
 */
static void settle(struct wiring *w, unsigned first, unsigned count, const char *when)
{
	for (unsigned v = first; v < first + count; v++) {
		uint64_t due = 0;

		for (unsigned i = first; i < first + count; i++) {
			if (w->pending[i] && w->wired[i] >= 0 && w->wired[i] == w->wired[v]) {
				w->pending[i] = false;
				due++;
			}
		}
		while (due) {
			uint64_t came = drive_comes(w->events[w->wired[v]], SOON);

			if (!came || came > due)
				drive_fail("%s: %ju came, %ju were pending", when, came, due);
			due -= came;
		}
	}
}

/* Removing all turns MSI-X off, and what pends is forgotten: that is another test. */
static bool none_wired(const struct wiring *w)
{
	for (unsigned v = 0; v < w->n; v++)
		if (w->wired[v] >= 0)
			return false;
	return true;
}

/* One to three vectors at once, each to any of the events; one in four to none. */
static void rewire(struct wiring *w, unsigned first, unsigned count, const char *when)
{
	int fds[3];

	for (unsigned i = 0; i < count; i++) {
		int to = random() % 4 ? (int)(random() % w->n) : -1;

		w->wired[first + i] = to;
		if (none_wired(w))
			w->wired[first + i] = to = 0;
		fds[i] = to < 0 ? -1 : w->events[to];
	}
	MUST(sl_device_irq_set(w->dev, SL_IRQ_MSIX, first, count, fds));
	settle(w, first, count, when);
	for (unsigned v = first; v < first + count; v++) {
		w->f.fire(&w->f, v);
		w->pending[v] = w->wired[v] < 0;
		only(w->events, w->n, w->wired[v], when);
	}
}

static void rewire_often(struct wiring *w, int times)
{
	char when[64];

	srandom(1);
	for (int i = 0; i < times; i++) {
		unsigned first = (unsigned)random() % w->n, count = 1 + (unsigned)random() % 3;

		if (count > w->n - first)
			count = w->n - first;
		snprintf(when, sizeof(when), "rewiring %d of vectors %u to %u", i, first,
			 first + count - 1);
		rewire(w, first, count, when);
	}
}

static void wire_all(struct wiring *w)
{
	for (unsigned v = 0; v < w->n; v++)
		w->wired[v] = (int)v;
	MUST(sl_device_irq_set(w->dev, SL_IRQ_MSIX, 0, w->n, w->events));
}

/* That turns MSI-X off. */
static void remove_all(struct wiring *w)
{
	int none[VECTORS_MAX];

	memset(none, -1, sizeof(none));
	MUST(sl_device_irq_set(w->dev, SL_IRQ_MSIX, 0, w->n, none));
}

/* Refused as a whole: nothing is rewired. */
static void bad_wiring(struct wiring *w)
{
	int fds[2] = {w->events[0], STDOUT_FILENO}, one = w->events[0];

	CHECK(sl_device_irq_set(w->dev, SL_IRQ_MSIX, w->n, 1, &one) == -EINVAL);
	CHECK(sl_device_irq_set(w->dev, SL_IRQ_MSIX, w->n - 1, 2, fds) == -EINVAL);
	CHECK(sl_device_irq_set(w->dev, SL_IRQ_MSIX, 0, 0, &one) == -EINVAL);
	CHECK(sl_device_irq_set(w->dev, SL_IRQ_MSIX, UINT32_MAX, 2, fds) == -EINVAL);
	CHECK(sl_device_irq_set(w->dev, SL_IRQ_MSIX, 1, 2, fds) == -EINVAL);
	CHECK(sl_device_irq_set(w->dev, SL_IRQ_KINDS, 0, 1, &one) == -EINVAL);
	w->f.fire(&w->f, 1);
	only(w->events, w->n, 1, "after bad wirings");
}

/* vectors ADDRESS e1000e|ivshmem|nvme REWIRINGS [VIA] */
void drive_vectors(int argc, char **argv)
{
	struct wiring w = {0};

	CHECK(argc == 3 || argc == 4);
	w.dev = drive_open(argv[0], argc == 4 ? argv[3] : "vfio", NULL);
	w.n = sl_device_irq_count(w.dev, SL_IRQ_MSIX);
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		CHECK(strcmp(argv[1], kinds[i].name) || w.n == kinds[i].vectors);
	for (unsigned v = 0; v < w.n; v++)
		w.events[v] = drive_event();
	wire_all(&w); /* an nvme's queues take no vector before */
	start_firing(&w.f, w.dev, argv[1]);
	drive_comes(w.events[0], NEVER); /* of the queues' making */
	each_its_own(&w.f, w.events, w.n);
	printf("ok - %s: %u vectors, each reaches its own event\n", argv[1], w.n);
	bad_wiring(&w);
	rewire_often(&w, atoi(argv[2]));
	printf("ok - %s: %s random rewirings, each interrupt where it was wired to\n", argv[1],
	       argv[2]);
	stop_firing(&w.f);
	remove_all(&w);
	for (unsigned v = 0; v < w.n && !w.f.nvme; v++)
		w.f.fire(&w.f, v);
	usleep(NEVER * 1000);
	only(w.events, w.n, -1, "without a wire");
	sl_device_close(w.dev);
}

/*
 * INTx: a level.
 */

struct line {
	struct sl_device *dev;
	struct sl_mmio mmio;
	bool edu;
	int event;
};

static void line_raise(struct line *l)
{
	sl_mmio_write32(&l->mmio, l->edu ? 0x60 : ICS, l->edu ? 1 : LSC);
}

static void line_silence(struct line *l)
{
	if (l->edu)
		sl_mmio_write32(&l->mmio, 0x64, sl_mmio_read32(&l->mmio, 0x24));
	else
		sl_mmio_write32(&l->mmio, ICR, UINT32_MAX);
}

static void line_start(struct line *l, char **argv, const char *via)
{
	l->dev = drive_open(argv[0], via, NULL);
	l->edu = !strcmp(argv[1], "edu");
	l->mmio = drive_map(l->dev, 0);
	l->event = drive_event();
	CHECK(sl_device_irq_count(l->dev, SL_IRQ_INTX) == 1);
	if (!l->edu)
		sl_mmio_write32(&l->mmio, IMC, UINT32_MAX);
	line_silence(l);
	CHECK(sl_device_irq_mask(l->dev) == -EINVAL);
	CHECK(sl_device_irq_unmask(l->dev) == -EINVAL);
	MUST(sl_device_irq_set(l->dev, SL_IRQ_INTX, 0, 1, &l->event));
	if (!l->edu)
		sl_mmio_write32(&l->mmio, IMS, LSC);
}

static void line_level(struct line *l)
{
	for (int i = 0; i < 100; i++) {
		line_raise(l);
		CHECK(drive_comes(l->event, SOON));
		line_silence(l);
		MUST(sl_device_irq_unmask(l->dev));
	}
	CHECK(!drive_comes(l->event, NEVER));
	line_raise(l);
	CHECK(drive_comes(l->event, SOON));
	CHECK(!drive_comes(l->event, NEVER)); /* masked since it has come */
	MUST(sl_device_irq_unmask(l->dev));
	CHECK(drive_comes(l->event, SOON)); /* it was not silenced */
	line_silence(l);
	MUST(sl_device_irq_unmask(l->dev));
	CHECK(!drive_comes(l->event, NEVER));
}

static void line_masked(struct line *l)
{
	MUST(sl_device_irq_mask(l->dev));
	line_raise(l);
	CHECK(!drive_comes(l->event, NEVER));
	MUST(sl_device_irq_unmask(l->dev));
	CHECK(drive_comes(l->event, SOON));
	line_silence(l);
	MUST(sl_device_irq_unmask(l->dev));
}

/* Another event, then none. */
static void line_rewired(struct line *l)
{
	int other = drive_event(), none = -1;

	MUST(sl_device_irq_set(l->dev, SL_IRQ_INTX, 0, 1, &other));
	line_raise(l);
	CHECK(drive_comes(other, SOON));
	CHECK(!drive_comes(l->event, 0));
	line_silence(l);
	MUST(sl_device_irq_unmask(l->dev));
	MUST(sl_device_irq_set(l->dev, SL_IRQ_INTX, 0, 1, &none));
	line_raise(l);
	CHECK(!drive_comes(other, NEVER));
	CHECK(!drive_comes(l->event, 0));
	line_silence(l);
	close(other);
}

/* intx ADDRESS e1000e|edu VIA */
void drive_intx(int argc, char **argv)
{
	struct line l;

	CHECK(argc == 3);
	line_start(&l, argv, argv[2]);
	line_level(&l);
	line_masked(&l);
	line_rewired(&l);
	sl_device_close(l.dev);
	printf("ok - %s over %s: INTx comes, is masked, unmasked, wired anew\n", argv[1], argv[2]);
}

/* msi ADDRESS [VIA], an edu; and one kind of interrupt at a time */
void drive_msi(int argc, char **argv)
{
	int event = drive_event(), none = -1;
	struct line l = {.edu = true, .event = event};

	CHECK(argc == 1 || argc == 2);
	l.dev = drive_open(argv[0], argc == 2 ? argv[1] : "vfio", NULL);
	l.mmio = drive_map(l.dev, 0);
	CHECK(sl_device_irq_count(l.dev, SL_IRQ_MSI) == 1);
	CHECK(sl_device_irq_count(l.dev, SL_IRQ_MSIX) == 0);
	MUST(sl_device_bus_master(l.dev, true));
	line_silence(&l);
	MUST(sl_device_irq_set(l.dev, SL_IRQ_MSI, 0, 1, &event));
	for (int i = 0; i < 100; i++) {
		line_raise(&l);
		CHECK(drive_comes(event, SOON) && !drive_comes(event, 0));
	}
	CHECK(sl_device_irq_set(l.dev, SL_IRQ_INTX, 0, 1, &event) == -EBUSY);
	line_silence(&l);
	MUST(sl_device_irq_set(l.dev, SL_IRQ_MSI, 0, 1, &none));
	MUST(sl_device_irq_set(l.dev, SL_IRQ_INTX, 0, 1, &event));
	CHECK(sl_device_irq_set(l.dev, SL_IRQ_MSI, 0, 1, &event) == -EBUSY);
	line_raise(&l);
	CHECK(drive_comes(event, SOON));
	line_silence(&l);
	MUST(sl_device_irq_set(l.dev, SL_IRQ_INTX, 0, 1, &none));
	sl_device_close(l.dev);
	printf("ok - edu: MSI comes each time, then INTx in its place\n");
}
