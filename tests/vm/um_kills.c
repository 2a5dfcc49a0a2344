/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program is killed while its device writes to its memory. What was its memory is a canary's now,
 * which nobody else may write to.
 */
#include "um.h"

#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	PAGES = 256, /* that the device writes to */
	SMALL = 16,  /* MB, of the canary */
	LARGE = 64,
	SETTLED = 5000
}; /* µs */

static struct shared {
	atomic_bool running;
	uint64_t frames[PAGES]; /* of the machine's memory; 0 is none */
} * shared;

static void running(void)
{
	atomic_store(&shared->running, true);
}

/* proc(5), pagemap: bits 0 to 54 are the page's number. */
static void find_frames(const void *memory, unsigned n, uint64_t *frames)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t len = (ssize_t)n * 8;

	CHECK(pread(fd, frames, (size_t)len, (off_t)((uintptr_t)memory / PAGE * 8)) == len);
	close(fd);
	for (unsigned i = 0; i < n; i++)
		frames[i] &= (1ull << 55) - 1;
}

/* What it is like when nobody has touched it: 82574, 10.2; NVM Express 1.4, 3.1 */
static void is_quiet(int fd, const char *addr, bool nic)
{
	static const unsigned nic_registers[] = {0xd0 /* IMS */, 0x100 /* RCTL */, 0x2800,
						 0x2804,	 0x2808,	   0x2818};
	static const unsigned nvme_registers[] = {0x14 /* CC */, 0x1c /* CSTS */};

	CHECK(!um_is_master(addr) && !(um_info(fd) & UIO_MSIX_INFO_UNCLEAN));
	for (unsigned i = 0; i < (nic ? 6 : 2); i++)
		CHECK(um_get(fd, 0, nic ? nic_registers[i] : nvme_registers[i], 4) == 0);
	for (unsigned kind = 0; kind < UIO_MSIX_GONE; kind++)
		CHECK(!um_irq(fd, kind).enabled);
}

static void victim(const char *addr, bool nic)
{
	void *memory = um_pages((uint64_t)PAGES * PAGE, 0);
	int fd = MUST(um_open(addr));

	is_quiet(fd, addr, nic);
	find_frames(memory, PAGES, shared->frames);
	(nic ? nic_traffic : nvme_traffic)(fd, memory, PAGES, running);
	_exit(1);
}

/* Killed three times of four when the device is at it, else at any moment. */
static void run_and_kill(const char *addr, bool nic)
{
	bool at_it = random() % 4;
	pid_t pid;
	int status;

	memset(shared, 0, sizeof(*shared));
	pid = fork();
	if (!pid)
		victim(addr, nic);
	for (unsigned i = 0; at_it && i < SOON && !shared->running; i++)
		usleep(1000);
	usleep((unsigned)random() % 20000);
	CHECK(!kill(pid, SIGKILL) && waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK(!um_is_master(addr));
}

static uint64_t pattern(uint64_t i)
{
	return i * 0x9e3779b97f4a7c15 + 1;
}

/* How many of the victim's pages it has. */
static unsigned caught(const void *memory, unsigned n)
{
	uint64_t *frames = calloc(n, sizeof(*frames));
	unsigned found = 0;

	CHECK(frames);
	find_frames(memory, n, frames);
	for (unsigned i = 0; i < PAGES; i++)
		for (unsigned k = 0; shared->frames[i] && k < n; k++)
			found += frames[k] == shared->frames[i];
	free(frames);
	return found;
}

static unsigned canary(unsigned mb, unsigned us)
{
	uint64_t size = (uint64_t)mb << 20, n = size / sizeof(uint64_t);
	uint64_t *words =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned found;

	CHECK(words != MAP_FAILED);
	madvise(words, size, MADV_NOHUGEPAGE); /* single pages, as they were freed */
	for (uint64_t i = 0; i < n; i++)
		words[i] = pattern(i);
	found = caught(words, (unsigned)(size / PAGE));
	usleep(us);
	for (uint64_t i = 0; i < n; i++)
		if (words[i] != pattern(i))
			um_fail("the canary is dead: %#jx at byte %#jx", (uintmax_t)words[i],
				(uintmax_t)i * 8);
	munmap(words, size);
	return found;
}

/* kills ADDRESS nic|nvme TIMES: each tenth time the canary has more memory, and a second */
void um_do_kills(int argc, char **argv)
{
	unsigned times, running_ones = 0, had = 0, pages = 0;
	cpu_set_t cpu;
	bool nic;

	/* What a processor has freed it hands out first. */
	CPU_ZERO(&cpu);
	CPU_SET(1, &cpu);
	CHECK(argc == 3 && !sched_setaffinity(0, sizeof(cpu), &cpu));
	nic = !strcmp(argv[1], "nic");
	times = (unsigned)atoi(argv[2]);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	CHECK(shared != MAP_FAILED);
	srandom(1);
	close(MUST(um_open(argv[0]))); /* firmware may have had it */
	for (unsigned i = 1; i <= times; i++) {
		run_and_kill(argv[0], nic);
		had += i % 10 ? canary(SMALL, SETTLED) : canary(LARGE, 1000000);
		pages += shared->frames[0] ? PAGES : 0;
		running_ones += shared->running;
	}
	close(MUST(um_open(argv[0])));
	um_nothing_pinned();
	printf("%u of %u pages of the killed were the canary's, %u of %u were killed under traffic\n",
	       had, pages, running_ones, times);
	CHECK(had > pages / 2 && running_ones > times / 2);
	printf("ok - %s: killed %u times: the device is quiet, memory that is freed is not written\n",
	       argv[1], times);
}

/* send INTERFACE: frames to everybody, until it is killed */
void um_do_send(int argc, char **argv)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_ifindex = (int)if_nametoindex(argv[0])};
	uint8_t frame[1514];

	CHECK(argc == 1 && fd >= 0 && to.sll_ifindex &&
	      !bind(fd, (struct sockaddr *)&to, sizeof(to)));
	memset(frame, 0x5a, sizeof(frame));
	memset(frame, 0xff, 6);
	for (;;)
		if (send(fd, frame, sizeof(frame), 0) < 0)
			usleep(1000);
}
