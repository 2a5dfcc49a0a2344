/* SPDX-License-Identifier: BSD-2-Clause */
/* usage: drive COMMAND ADDRESS [ARGUMENT...], see drive.h */
#include "drive.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <sluice/guard.h>

void drive_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("FAIL: ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	exit(1);
}

/* A way, then what it is to be like: "uio_msix,force,bits=28,fd=3". */
static void take_word(struct sl_device_options *options, struct sl_device_fds *fds,
		      const char *word)
{
	static const char *const ways[] = {"auto", "vfio", "uio_msix", "uio"};

	for (unsigned way = 0; way < sizeof(ways) / sizeof(*ways); way++) {
		if (strcmp(word, ways[way]))
			continue;
		options->via = (enum sl_pci_way)way;
		return;
	}
	if (!strcmp(word, "force"))
		options->force = true;
	else if (!strncmp(word, "bits=", 5))
		options->dma_bits = (unsigned)atoi(word + 5);
	else if (!strncmp(word, "fd=", 3))
		fds->uio_msix = atoi(word + 3);
	else
		drive_fail("%s: no way to drive a device", word);
}

struct sl_device *drive_open(const char *addr, const char *via, struct sl_space *space)
{
	struct sl_device_fds fds = SL_DEVICE_FDS_NONE;
	struct sl_device_options options = {.space = space, .fds = &fds};
	char words[64], *rest = words, *word;
	struct sl_device *dev;

	snprintf(words, sizeof(words), "%s", via ? via : "auto");
	while ((word = strsep(&rest, ",")))
		take_word(&options, &fds, word);
	MUST(sl_device_open(addr, &options, &dev));
	return dev;
}

struct sl_mmio drive_map(struct sl_device *dev, unsigned bar)
{
	struct sl_mmio mmio;

	MUST(sl_device_map(dev, bar, &mmio));
	return mmio;
}

int drive_event(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	CHECK(fd >= 0);
	return fd;
}

uint64_t drive_comes(int event, int ms)
{
	struct pollfd p = {event, POLLIN, 0};
	uint64_t count;

	if (poll(&p, 1, ms) <= 0)
		return 0;
	CHECK(read(event, &count, sizeof(count)) == sizeof(count));
	return count;
}

enum {
	EDU_SOURCE = 0x80,
	EDU_TARGET = 0x88,
	EDU_COUNT = 0x90,
	EDU_COMMAND = 0x98
};
#define EDU_BUFFER 0x40000

void edu_start(const struct sl_mmio *edu, sl_iova iova, unsigned len, int direction)
{
	bool out = direction == EDU_TO_MEMORY;

	CHECK(iova.value <= UINT32_MAX && len <= EDU_MAX);
	sl_mmio_write32(edu, EDU_SOURCE, out ? EDU_BUFFER : (uint32_t)iova.value);
	sl_mmio_write32(edu, EDU_TARGET, out ? (uint32_t)iova.value : EDU_BUFFER);
	sl_mmio_write32(edu, EDU_COUNT, len);
	sl_mmio_before_doorbell();
	sl_mmio_write32(edu, EDU_COMMAND, out ? 3 : 1);
}

/* It takes edu 100 ms. */
void edu_dma(const struct sl_mmio *edu, sl_iova iova, unsigned len, int direction)
{
	edu_start(edu, iova, len, direction);
	for (int i = 0; i < 1000; i++) {
		if (!(sl_mmio_read32(edu, EDU_COMMAND) & 1)) {
			sl_mmio_after_flag();
			return;
		}
		usleep(5000);
	}
	drive_fail("edu's DMA does not end");
}

static void on_fault(int sig, siginfo_t *info, void *ctx)
{
	if (sl_guard_handler(sig, info, ctx))
		return;
	signal(sig, SIG_DFL);
}

static const struct {
	const char *name;
	void (*run)(int argc, char **argv);
} commands[] = {
	{"vectors", drive_vectors}, {"intx", drive_intx},	{"msi", drive_msi},
	{"halt", drive_halt},	    {"spaces", drive_spaces},	{"isolation", drive_isolation},
	{"memory", drive_memory},   {"reset", drive_reset},	{"container", drive_container},
	{"hold", drive_hold},	    {"regions", drive_regions}, {"descriptors", drive_descriptors},
	{"apart", drive_apart},	    {"lock", drive_lock},	{"race", drive_race},
};

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	for (unsigned i = 0; argc > 2 && i < sizeof(commands) / sizeof(*commands); i++) {
		if (!strcmp(argv[1], commands[i].name)) {
			commands[i].run(argc - 2, argv + 2);
			return 0;
		}
	}
	drive_fail("usage: drive COMMAND ADDRESS [ARGUMENT...]");
}
