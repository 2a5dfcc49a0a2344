/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From an interrupt that is raised to the program that has read it from its eventfd; called by
 * bench/uio_msix.py.
 *
 *   irq ADDRESS edu|e1000e vfio|uio_msix|uio N           latencies of N, as a line of JSON
 *   irq ADDRESS edu|e1000e vfio|uio_msix|uio N SECONDS   N after so many seconds, nobody waits
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <sluice/device.h>
#include <sluice/device_irq.h>
#include <sluice/device_region.h>
#include <sluice/mmio.h>

#include "base/clock.h"
#include "base/reason.h"

/* QEMU's docs/specs/edu.txt; 82574 datasheet, 10.2.4 */
enum {
	EDU_STATUS = 0x24,
	EDU_RAISE = 0x60,
	EDU_ACK = 0x64,
	CTRL_EXT = 0x18,
	ICR = 0xc0,
	ICS = 0xc8,
	IMS = 0xd0,
	IMC = 0xd8,
	EIAC = 0xdc,
	IVAR = 0xe4,
	LSC = 1 << 2,
	RXQ0 = 1 << 20,
};

struct irq {
	struct sl_device *dev;
	struct sl_mmio mmio;
	enum sl_irq kind;
	bool edu;
	int event;
};

static void must(int ret, const char *what)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, sl_reason());
	exit(1);
}

/* The best kind that there is; what the device raises is wired to the event. */
static void start(struct irq *irq)
{
	irq->kind = SL_IRQ_MSIX;
	while (irq->kind > SL_IRQ_INTX && !sl_device_irq_count(irq->dev, irq->kind))
		irq->kind--;
	irq->event = eventfd(0, EFD_CLOEXEC);
	must(irq->event, "eventfd");
	must(sl_device_map(irq->dev, 0, &irq->mmio), "registers");
	if (!irq->edu)
		sl_mmio_write32(&irq->mmio, IMC, UINT32_MAX);
	must(sl_device_irq_set(irq->dev, irq->kind, 0, 1, &irq->event), "interrupt");
	must(sl_device_bus_master(irq->dev, true), "bus mastering");
	if (irq->edu)
		return;
	if (irq->kind == SL_IRQ_MSIX) { /* vector 0 is RxQ0's; what is sent masks its cause */
		sl_mmio_write32(&irq->mmio, CTRL_EXT,
				sl_mmio_read32(&irq->mmio, CTRL_EXT) | 1u << 31 | 1 << 24);
		sl_mmio_write32(&irq->mmio, IVAR, 0x8);
		sl_mmio_write32(&irq->mmio, EIAC, RXQ0);
	}
	sl_mmio_write32(&irq->mmio, ICR, UINT32_MAX);
}

static void raise_irq(struct irq *irq)
{
	uint32_t cause = irq->kind == SL_IRQ_MSIX ? RXQ0 : LSC;

	if (irq->edu) {
		sl_mmio_write32(&irq->mmio, EDU_RAISE, 1);
	} else {
		sl_mmio_write32(&irq->mmio, IMS, cause);
		sl_mmio_write32(&irq->mmio, ICS, cause);
	}
}

/* 128 µs at least are between two of an e1000e (EITR). */
static void silence(struct irq *irq)
{
	if (irq->edu)
		sl_mmio_write32(&irq->mmio, EDU_ACK, sl_mmio_read32(&irq->mmio, EDU_STATUS));
	else
		sl_mmio_write32(&irq->mmio, ICR, UINT32_MAX);
	if (irq->kind == SL_IRQ_INTX)
		must(sl_device_irq_unmask(irq->dev), "unmask");
	usleep(500);
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void latencies(struct irq *irq, unsigned n)
{
	static const char *const kinds[] = {"INTx", "MSI", "MSI-X"};
	uint64_t *ns = calloc(n, sizeof(*ns)), count;

	for (unsigned i = 0; ns && i < n; i++) {
		uint64_t begin = sl_now_ns();

		raise_irq(irq);
		if (read(irq->event, &count, sizeof(count)) != sizeof(count))
			must(-errno, "read");
		ns[i] = sl_now_ns() - begin;
		silence(irq);
	}
	if (!ns)
		exit(1);
	qsort(ns, n, sizeof(*ns), by_value);
	printf("{\"kind\": \"%s\", \"p10\": %.1f, \"median\": %.1f, \"p90\": %.1f, \"p99\": %.1f}\n",
	       kinds[irq->kind], (double)ns[n / 10] / 1e3, (double)ns[n / 2] / 1e3,
	       (double)ns[n * 9ull / 10] / 1e3, (double)ns[n * 99ull / 100] / 1e3);
	free(ns);
}

int main(int argc, char **argv)
{
	/* No DMA is asked of a device here, and edu on the root bus has no reset. */
	struct sl_device_options options = {.via = SL_PCI_AUTO, .force = true};
	unsigned n = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 0) : 0;
	struct irq irq = {0};

	if (!n || argc > 6) {
		fprintf(stderr, "usage: irq ADDRESS edu|e1000e vfio|uio_msix|uio N [SECONDS]\n");
		return 2;
	}
	if (!strcmp(argv[3], "vfio"))
		options.via = SL_PCI_VFIO;
	else if (!strcmp(argv[3], "uio_msix"))
		options.via = SL_PCI_UIO_MSIX;
	else
		options.via = SL_PCI_UIO;
	must(sl_device_open(argv[1], &options, &irq.dev), argv[1]);
	irq.edu = !strcmp(argv[2], "edu");
	start(&irq);
	if (argc == 5) {
		latencies(&irq, n);
	} else {
		for (unsigned i = 0; i < n; i++) {
			sleep((unsigned)atoi(argv[5]));
			raise_irq(&irq);
			usleep(1000);
			silence(&irq);
		}
	}
	usleep(300000); /* QEMU 7.2 aborts when an e1000e loses MSI-X within those 128 µs */
	sl_device_close(irq.dev);
	close(irq.event);
	return 0;
}
