/* SPDX-License-Identifier: BSD-2-Clause */
/* How it ends: unplugged, unbound, asleep while a program has everything; reset, and what has none.
 */
#include "um.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

/*
 * A program that has everything, and goes on for a while after it has lost it.
 */

static unsigned long meminfo(const char *file_name, const char *key)
{
	FILE *file = fopen(file_name, "r");
	unsigned long value = 0;
	char line[128];

	CHECK(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			sscanf(line + strlen(key), " %lu", &value);
	fclose(file);
	return value;
}

/* Of neither small pieces nor 2 MiB: a processor keeps those for itself when they are free. */
enum {
	CHUNKS = 16,
	CHUNK = 1 << 20,
	PINNED = 64
};

struct held {
	int fd;
	void *bar;
	size_t size;
	struct um_memory chunks[CHUNKS];
	um_traffic *traffic;
	void *pages;
	atomic_bool running;
};

static struct held held; /* for running(), which takes no argument */

static void running(void)
{
	atomic_store(&held.running, true);
}

static void *traffic_thread(void *arg)
{
	struct held *h = arg;

	/* Until its registers are taken away. */
	um_try(h->traffic, h->fd, h->pages, PINNED, running);
	return NULL;
}

/* Each call that there is; none touches what it is given. */
static void all_gone(struct held *h)
{
	static const unsigned long requests[] = {UIO_MSIX_GET_INFO,   UIO_MSIX_GET_REGION,
						 UIO_MSIX_GET_IRQ,    UIO_MSIX_MASK_INTX,
						 UIO_MSIX_BUS_MASTER, UIO_MSIX_RESET};
	struct um_memory m;
	uint64_t value;
	int none = -1;

	for (unsigned i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		uint32_t words[16] = {_IOC_NR(requests[i]) >= 12 || _IOC_NR(requests[i]) == 7 ? 8
											      : 64};

		REFUSED(ENODEV, um_call(h->fd, requests[i], words));
	}
	REFUSED(ENODEV, um_read(h->fd, 0, 0, 4, &value));
	REFUSED(ENODEV, um_read(h->fd, UIO_MSIX_CONFIG, 0, 4, &value));
	REFUSED(ENODEV, um_write(h->fd, 0, 0, 4, 0));
	REFUSED(ENODEV, um_wire(h->fd, UIO_MSIX_MSI, 0, 1, &none));
	REFUSED(ENODEV, um_dma_bits(h->fd, 32));
	REFUSED(ENODEV, um_alloc(h->fd, PAGE, &m));
	REFUSED(ENODEV, um_pin(h->fd, um_pages(PAGE, 0), PAGE, &m));
	REFUSED(ENODEV, um_free(h->fd, h->chunks[0].id));
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, h->fd, 0) == MAP_FAILED && errno == ENODEV);
	CHECK(!um_touch(h->bar));
	CHECK(!um_touch((char *)h->bar + h->size - 4));
}

/* The counters are of the whole machine; each processor has a part of them to itself until then. */
void um_nothing_pinned(void)
{
	unsigned long pinned, unpinned;

	um_echo("/proc/sys/vm/stat_refresh", "1");
	pinned = meminfo("/proc/vmstat", "nr_foll_pin_acquired");
	unpinned = meminfo("/proc/vmstat", "nr_foll_pin_released");
	if (!pinned || pinned != unpinned)
		um_fail("%lu pages were pinned, %lu unpinned", pinned, unpinned);
}

static void take_everything(struct held *h, const char *addr, const char *traffic)
{
	pthread_t thread;

	h->fd = MUST(um_open(addr));
	h->bar = um_map(h->fd, 0);
	h->size = um_region(h->fd, 0).size;
	for (unsigned i = 0; i < CHUNKS; i++) {
		MUST(um_alloc(h->fd, CHUNK, &h->chunks[i]));
		memset(h->chunks[i].base, 1, CHUNK);
	}
	h->pages = um_pages((uint64_t)PINNED * PAGE, 0);
	h->traffic = !strcmp(traffic, "nic") ? nic_traffic : nvme_traffic;
	CHECK(!pthread_create(&thread, NULL, traffic_thread, h));
	for (unsigned i = 0; i < SOON && !atomic_load(&h->running); i++)
		usleep(1000);
	CHECK(h->running);
}

/* hold ADDRESS nic|nvme: until it is taken away; then until SIGTERM comes */
void um_do_hold(int argc, char **argv)
{
	int gone = um_event(), end;
	unsigned long before, after;
	sigset_t set;
	char info[128];

	CHECK(argc == 2);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	end = signalfd(-1, &set, SFD_CLOEXEC);
	take_everything(&held, argv[0], argv[1]);
	MUST(um_wire_one(held.fd, UIO_MSIX_GONE, gone));
	before = meminfo("/proc/meminfo", "MemFree:");
	printf("held\n");
	CHECK(um_comes(gone, 60000) == 1);
	after = meminfo("/proc/meminfo", "MemFree:");
	all_gone(&held);
	um_nothing_pinned();
	if (after < before + CHUNKS * CHUNK / 1024 / 2)
		um_fail("its memory is not given back: %lu kB were free, %lu are", before, after);
	for (unsigned i = 0; i < CHUNKS; i++)
		CHECK(um_touch(held.chunks[i].base)); /* it is no fault, and not the old memory */
	printf("gone\n");
	CHECK(read(end, info, sizeof(info)) > 0);
	all_gone(&held);
	close(held.fd);
	printf("closed\n");
}

/*
 * Reset.
 */

/* unclean ADDRESS new|used: a device that cannot be reset, and whether it had a user already */
void um_do_unclean(int argc, char **argv)
{
	int fd = MUST(um_open(argv[0]));
	void *edu = um_map(fd, 0);
	struct um_memory m;

	CHECK(argc == 2 && !(um_info(fd) & UIO_MSIX_INFO_RESET));
	REFUSED(ENOTTY, um_reset(fd));
	if (!strcmp(argv[1], "new")) {
		CHECK(!(um_info(fd) & UIO_MSIX_INFO_UNCLEAN));
		MUST(um_master(fd, UIO_MSIX_ON));
	} else {
		CHECK(um_info(fd) & UIO_MSIX_INFO_UNCLEAN);
		REFUSED(EUCLEAN, um_master(fd, UIO_MSIX_ON));
		CHECK(!um_is_master(argv[0]));
		MUST(um_master(fd, 0));
		REFUSED(EINVAL, um_master(fd, UIO_MSIX_FORCE));
		MUST(um_master(fd, UIO_MSIX_ON | UIO_MSIX_FORCE));
	}
	CHECK(um_is_master(argv[0]));
	MUST(um_alloc(fd, PAGE, &m));
	edu_both_ways(edu, m.base, m.iova, 1);
	MUST(um_master(fd, 0));
	CHECK(!um_is_master(argv[0]));
	um_fill(m.base, 2);
	edu_dma(edu, m.iova, EDU_MAX, true);
	CHECK(um_holds(m.base, 2, PAGE));
	printf("ok - %s: without a reset, %s\n", argv[0],
	       argv[1][0] == 'n' ? "its first user has it clean"
				 : "bus mastering has to be forced");
}

/* cleaned ADDRESS: not reset since it had a user, but it can be */
void um_do_cleaned(int argc, char **argv)
{
	int fd = MUST(um_open(argv[0]));

	CHECK(argc == 1 && um_info(fd) & UIO_MSIX_INFO_UNCLEAN);
	REFUSED(EUCLEAN, um_master(fd, UIO_MSIX_ON));
	MUST(um_reset(fd));
	CHECK(!(um_info(fd) & UIO_MSIX_INFO_UNCLEAN));
	MUST(um_master(fd, UIO_MSIX_ON));
	close(fd);
}

static void fires(void *edu, int event)
{
	edu_raise(edu);
	CHECK(um_comes(event, SOON) == 1);
	edu_silence(edu);
}

struct touched {
	const void *at;
	atomic_bool stop;
};

static void *touching_thread(void *arg)
{
	struct touched *t = arg;

	while (!atomic_load(&t->stop))
		um_touch(t->at);
	return NULL;
}

/* Registers that are touched all the time while the device is reset. */
static void under_touch(int fd, void *edu)
{
	struct touched t = {.at = edu};
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, touching_thread, &t));
	for (unsigned i = 0; i < 5; i++)
		MUST(um_reset(fd));
	atomic_store(&t.stop, true);
	CHECK(!pthread_join(thread, NULL));
	CHECK(um_touch(edu) && um_get32(edu, 0) == 0x010000ed);
}

static void by_sysfs(const char *addr)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset", addr);
	um_echo(path, "1");
}

/* reset ADDRESS: an edu's that can be reset */
void um_do_reset(int argc, char **argv)
{
	int fd = MUST(um_open(argv[0])), event = um_event(), gone = um_event();
	void *edu = um_map(fd, 0);
	struct um_memory m, pinned;

	CHECK(argc == 1 &&
	      (um_info(fd) & (UIO_MSIX_INFO_RESET | UIO_MSIX_INFO_UNCLEAN)) == UIO_MSIX_INFO_RESET);
	MUST(um_dma_bits(fd, 32));
	MUST(um_wire_one(fd, UIO_MSIX_MSI, event));
	MUST(um_wire_one(fd, UIO_MSIX_GONE, gone));
	MUST(um_alloc(fd, PAGE, &m));
	MUST(um_pin(fd, um_pages(PAGE, 0), PAGE, &pinned));
	for (unsigned i = 0; i < 4; i++) {
		MUST(um_master(fd, UIO_MSIX_ON));
		fires(edu, event);
		edu_both_ways(edu, m.base, m.iova, i);
		edu_both_ways(edu, pinned.base, pinned.iova, i);
		if (i < 2)
			MUST(um_reset(fd));
		else
			by_sysfs(argv[0]);
		CHECK(!um_is_master(argv[0]) && um_irq(fd, UIO_MSIX_MSI).enabled == 1);
		CHECK(um_touch(edu) && um_get32(edu, 0) == 0x010000ed);
	}
	under_touch(fd, edu);
	CHECK(!um_comes(gone, 0) && !(um_info(fd) & UIO_MSIX_INFO_UNCLEAN));
	printf("ok - reset: registers come back, vectors and memory stay, bus mastering is off\n");
}
