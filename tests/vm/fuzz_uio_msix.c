/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * usage: fuzz_uio_msix calls SEED SECONDS THREADS ADDRESS...
 *        fuzz_uio_msix chaos SEED SECONDS MODULE ADDRESS...
 *
 * "calls" is the program that uio_msix has to survive; with one THREAD the calls are the same for
 * the same SEED. It ends with 1 when one kind of call never succeeded or never failed, and when
 * memory is locked still after everything was closed. "chaos" is the administrator beside it, who
 * unbinds, resets, unplugs, and reloads the MODULE.
 */
#include "fuzz_uio_msix.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const char *const names[CALLS] = {
	"GET_VERSION", "GET_INFO", "GET_REGION", "READ",	 "WRITE",
	"GET_IRQ",     "SET_IRQS", "MASK_INTX",	 "SET_DMA_BITS", "DMA_ALLOC",
	"DMA_PIN",     "DMA_FREE", "BUS_MASTER", "RESET",	 "open",
	"mmap",	       "touch",	   "uio",	 "wild",	 "sleep",
};

/* QEMU 7.2 aborts when an edu is told of DMA out of its buffer (0x80 to 0x98), and when an e1000e
 * that has sent an interrupt is turned from MSI-X or to it within 128 µs: it must send none. */
static const struct kind kinds[] = {
	{0x1234, 0x11e8, "\"driver\": \"edu\"", {{0x60, 0, 0xff}, {0x64, 0, UINT32_MAX}}},
	{0x8086,
	 0x10d3,
	 "\"driver\": \"e1000e\", \"romfile\": \"\"", /* FCAL, FCT */
	 {{0x28, 0, UINT32_MAX}, {0x30, 0, 0xffff}}},
	{0x1af4, 0x1110, NULL, {{0x0c, 3 << 16, 3}, {0x0, 0, UINT32_MAX}}}, /* doorbell of peer 3 */
	{0x1b36,
	 0x0010,
	 "\"driver\": \"nvme\", \"serial\": \"1\"", /* INTMS, INTMC */
	 {{0x0c, 0, UINT32_MAX}, {0x10, 0, UINT32_MAX}}},
};

#define SLEEP_EACH 12 /* seconds */

void fuzz_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("FAIL: ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	exit(1);
}

/* xorshift64* */
uint32_t fuzz_pick(struct thread *t, uint32_t n)
{
	t->random ^= t->random >> 12;
	t->random ^= t->random << 25;
	t->random ^= t->random >> 27;
	return (uint32_t)((t->random * 0x2545f4914f6cdd1d) >> 32) % n;
}

bool fuzz_one_in(struct thread *t, uint32_t n)
{
	return !fuzz_pick(t, n);
}

uint64_t fuzz_wild(struct thread *t)
{
	static const uint64_t numbers[] = {
		0,	    1,		PAGE - 1,  PAGE,       0x7fffffff, 0x80000000,
		UINT32_MAX, 1ull << 32, INT64_MAX, 1ull << 63, UINT64_MAX, UINT64_MAX - PAGE + 1,
	};

	if (fuzz_one_in(t, 4))
		return (uint64_t)fuzz_pick(t, UINT32_MAX) << fuzz_pick(t, 33);
	return numbers[fuzz_pick(t, sizeof(numbers) / sizeof(*numbers))];
}

struct device *fuzz_device(struct thread *t)
{
	return &t->f->devices[fuzz_pick(t, t->f->n_devices)];
}

int fuzz_fd(struct thread *t, struct device *d)
{
	unsigned first = fuzz_pick(t, FDS);

	for (unsigned i = 0; i < FDS; i++) {
		int fd = d->fds[(first + i) % FDS];

		if (fd >= 0)
			return fd;
	}
	return -1;
}

void fuzz_count(struct thread *t, unsigned call, long ret)
{
	t->f->counts[call][ret < 0 && errno < 256 ? errno : 0]++;
}

/* Closing and unmapping everything at once is what makes a last close. */
static void act(struct thread *t)
{
	static const struct {
		unsigned weight;
		void (*act)(struct thread *t);
	} acts[] = {
		{600, fuzz_call}, {40, fuzz_map}, {30, fuzz_unmap}, {100, fuzz_touch_slot},
		{10, fuzz_churn}, {10, fuzz_dup}, {8, fuzz_close},  {6, fuzz_event},
		{6, fuzz_other},  {3, fuzz_fork}, {2, fuzz_uio},    {10, fuzz_open},
	};
	unsigned n = fuzz_pick(t, 825), i = 0;

	if (fuzz_one_in(t, 1500))
		fuzz_drop(t, fuzz_device(t));
	while (n >= acts[i].weight)
		n -= acts[i++].weight;
	acts[i].act(t);
}

static void *run(void *arg)
{
	struct thread *t = arg;

	fuzz_guard();
	fuzz_starve_init(t);
	while (!t->f->stop) {
		act(t);
		fuzz_reap(t->f, false);
	}
	return NULL;
}

static const struct kind *kind_of(const char *addr)
{
	char path[80];
	unsigned vendor = 0, device = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/uevent", addr);
	file = fopen(path, "r");
	for (char line[80]; file && fgets(line, sizeof(line), file);)
		sscanf(line, "PCI_ID=%x:%x", &vendor, &device);
	if (file)
		fclose(file);
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (kinds[i].vendor == vendor && kinds[i].device == device)
			return &kinds[i];
	fuzz_fail("%s: no device that is known here: %04x:%04x", addr, vendor, device);
}

static void init_devices(struct fuzz *f, char **addresses, unsigned n)
{
	if (n > DEVICES_MAX)
		fuzz_fail("more than %d devices", DEVICES_MAX);
	for (f->n_devices = 0; f->n_devices < n; f->n_devices++) {
		struct device *d = &f->devices[f->n_devices];

		d->addr = addresses[f->n_devices];
		d->kind = kind_of(d->addr);
		snprintf(d->node, sizeof(d->node), "/dev/uio_msix/%s", d->addr);
		for (unsigned i = 0; i < FDS; i++)
			d->fds[i] = -1;
		for (unsigned i = 0; i < UIO_MSIX_REGIONS; i++)
			d->regions[i].hole = UINT64_MAX;
	}
}

/* What this program has locked, by its own account: all is given back, or it was not counted. */
static void nothing_locked(void)
{
	FILE *status = fopen("/proc/self/status", "r");

	for (char line[80]; status && fgets(line, sizeof(line), status);) {
		unsigned long kb = 0;

		if ((sscanf(line, "VmLck: %lu", &kb) || sscanf(line, "VmPin: %lu", &kb)) && kb)
			fuzz_fail("everything is closed, but %s", line);
	}
	fclose(status);
}

/* Was each kind of call made, with success and without? */
static bool report(struct fuzz *f)
{
	bool all = true;

	for (unsigned call = 0; call < CALLS; call++) {
		uint64_t failed = 0;

		printf("%-12s %8u ok", names[call], f->counts[call][0]);
		for (int e = 1; e < 256; e++) {
			failed += f->counts[call][e];
			if (f->counts[call][e])
				printf(", %u %s", f->counts[call][e],
				       strerrorname_np(e) ?: "errno unknown");
		}
		printf("\n");
		/* The version is always told; a number of no call is never right. */
		if (call == CALL_SLEEP) /* not every kernel can */
			continue;
		all &= (f->counts[call][0] || call == CALL_WILD) &&
		       (failed || call == _IOC_NR(UIO_MSIX_GET_VERSION));
	}
	return all;
}

static int calls(struct fuzz *f, unsigned seconds)
{
	pthread_t threads[THREADS_MAX], late;
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&f->awake, &attr);
	for (unsigned i = 0; i < f->n_devices; i++) {
		f->devices[i].slots = mmap(NULL, SLOTS * SLOT_BYTES, PROT_NONE,
					   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (f->devices[i].slots == MAP_FAILED)
			fuzz_fail("no memory");
	}
	for (unsigned i = 0; i < f->n_threads; i++)
		fuzz_memory_thread(&f->threads[i]);
	for (unsigned i = 0; i < 4 * EVENTS; i++)
		fuzz_event(&f->threads[0]);
	if (pthread_create(&late, NULL, fuzz_memory_late, f))
		fuzz_fail("no thread");
	for (unsigned i = 0; i < f->n_threads; i++)
		if (pthread_create(&threads[i], NULL, run, &f->threads[i]))
			fuzz_fail("no thread");
	/* Not often: to freeze processes the kernel patches itself, which QEMU may not survive. */
	for (; seconds > SLEEP_EACH; seconds -= SLEEP_EACH) {
		sleep(SLEEP_EACH);
		fuzz_sleep(&f->threads[0]);
	}
	sleep(seconds);
	f->stop = true;
	for (unsigned i = 0; i < f->n_threads; i++)
		pthread_join(threads[i], NULL);
	f->done = true;
	pthread_join(late, NULL);
	fuzz_reap(f, true);
	for (unsigned i = 0; i < f->n_devices; i++)
		fuzz_drop(&f->threads[0], &f->devices[i]);
	nothing_locked();
	if (!report(f) && f->n_threads > 1)
		fuzz_fail("one of them never succeeded or never failed: that was no test");
	return 0;
}

int main(int argc, char **argv)
{
	static struct fuzz fuzz = {.n_threads = 1};
	static struct thread threads[THREADS_MAX];
	unsigned long seed = argc > 3 ? strtoul(argv[2], NULL, 0) : 0;
	unsigned seconds = argc > 3 ? (unsigned)atoi(argv[3]) : 0;

	if (argc == 3 && !strcmp(argv[1], "keep")) { /* a child that has the files only */
		usleep((useconds_t)atoi(argv[2]));
		return 0;
	}
	if (argc < 6)
		fuzz_fail(
			"usage: fuzz_uio_msix calls|chaos SEED SECONDS THREADS|MODULE ADDRESS...");
	setvbuf(stdout, NULL, _IOLBF, 0);
	init_devices(&fuzz, argv + 5, (unsigned)argc - 5);
	fuzz.threads = threads;
	for (unsigned i = 0; i < THREADS_MAX; i++) {
		threads[i].f = &fuzz;
		threads[i].starve = -1;
		threads[i].random = (seed * THREADS_MAX + i + 1) * 0x9e3779b97f4a7c15 | 1;
		fuzz_pick(&threads[i], 2);
	}
	if (!strcmp(argv[1], "chaos"))
		return fuzz_chaos(threads, seconds, argv[4]);
	fuzz.n_threads = (unsigned)atoi(argv[4]);
	if (!fuzz.n_threads || fuzz.n_threads > THREADS_MAX)
		fuzz_fail("1 to %d threads", THREADS_MAX);
	fuzz_memory_init(&fuzz);
	return calls(&fuzz, seconds);
}
