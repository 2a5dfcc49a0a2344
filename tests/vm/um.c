/* SPDX-License-Identifier: BSD-2-Clause */
/* usage: um COMMAND ADDRESS [ARGUMENT...], see um.h */
#include "um.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

void um_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("FAIL: ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	exit(1);
}

int um_open(const char *addr)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/uio_msix/%s", addr);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int um_call(int fd, unsigned long request, void *argument)
{
	int ret = ioctl(fd, request, argument);

	return ret < 0 ? -errno : ret;
}

uint32_t um_info(int fd)
{
	struct uio_msix_info info = {.argsz = sizeof(info)};

	MUST(um_call(fd, UIO_MSIX_GET_INFO, &info));
	return info.flags;
}

struct uio_msix_region um_region(int fd, unsigned index)
{
	struct uio_msix_region region = {.argsz = sizeof(region), .index = index};

	MUST(um_call(fd, UIO_MSIX_GET_REGION, &region));
	return region;
}

int um_read(int fd, unsigned index, uint64_t offset, unsigned width, uint64_t *value)
{
	struct uio_msix_access access = {
		.argsz = sizeof(access), .index = index, .width = width, .offset = offset};
	int ret = um_call(fd, UIO_MSIX_READ, &access);

	*value = access.value;
	return ret;
}

int um_write(int fd, unsigned index, uint64_t offset, unsigned width, uint64_t value)
{
	struct uio_msix_access access = {.argsz = sizeof(access),
					 .index = index,
					 .width = width,
					 .offset = offset,
					 .value = value};

	return um_call(fd, UIO_MSIX_WRITE, &access);
}

uint64_t um_get(int fd, unsigned index, uint64_t offset, unsigned width)
{
	uint64_t value;

	MUST(um_read(fd, index, offset, width, &value));
	return value;
}

struct uio_msix_irq um_irq(int fd, unsigned kind)
{
	struct uio_msix_irq irq = {.argsz = sizeof(irq), .index = kind};

	MUST(um_call(fd, UIO_MSIX_GET_IRQ, &irq));
	return irq;
}

int um_wire(int fd, unsigned kind, unsigned start, unsigned count, const int *fds)
{
	size_t size = sizeof(struct uio_msix_set_irqs) + count * sizeof(*fds);
	struct uio_msix_set_irqs *set = calloc(1, size);
	int ret;

	CHECK(set);
	set->argsz = (uint32_t)size;
	set->index = kind;
	set->start = start;
	set->count = count;
	if (count)
		memcpy(set->fds, fds, count * sizeof(*fds));
	ret = um_call(fd, UIO_MSIX_SET_IRQS, set);
	free(set);
	return ret;
}

int um_wire_one(int fd, unsigned kind, int event)
{
	return um_wire(fd, kind, 0, 1, &event);
}

int um_master(int fd, uint32_t flags)
{
	struct uio_msix_bus_master master = {.argsz = sizeof(master), .flags = flags};

	return um_call(fd, UIO_MSIX_BUS_MASTER, &master);
}

int um_reset(int fd)
{
	struct uio_msix_reset reset = {.argsz = sizeof(reset)};
	int ret;

	do
		ret = um_call(fd, UIO_MSIX_RESET, &reset);
	while (ret == -EAGAIN);
	return ret;
}

int um_dma_bits(int fd, unsigned bits)
{
	struct uio_msix_dma_bits set = {.argsz = sizeof(set), .bits = bits};

	return um_call(fd, UIO_MSIX_SET_DMA_BITS, &set);
}

/* PCI 3.0, 6.2.2: bit 2 of the command register, at 4 */
bool um_is_master(const char *addr)
{
	char path[64];
	uint8_t command;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", addr);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && pread(fd, &command, 1, 4) == 1);
	close(fd);
	return command & 4;
}

static void map_part(int fd, char *base, const struct uio_msix_region *r, uint64_t start,
		     uint64_t end)
{
	if (end > start)
		CHECK(mmap(base + start, end - start, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED, fd, (off_t)(r->offset + start)) != MAP_FAILED);
}

void *um_map(int fd, unsigned bar)
{
	struct uio_msix_region r = um_region(fd, bar);
	char *base = mmap(NULL, r.size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(r.flags & UIO_MSIX_REGION_MMAP && base != MAP_FAILED);
	map_part(fd, base, &r, 0, r.hole_size ? r.hole : r.size);
	if (r.hole_size)
		map_part(fd, base, &r, r.hole + r.hole_size, r.size);
	return base;
}

static _Thread_local sigjmp_buf touching;
static _Thread_local volatile sig_atomic_t may_fault;

static void on_fault(int sig)
{
	if (may_fault)
		siglongjmp(touching, 1);
	signal(sig, SIG_DFL);
}

bool um_touch(const volatile void *at)
{
	bool there = false;

	if (!sigsetjmp(touching, 1)) {
		may_fault = 1;
		(void)*(const volatile uint32_t *)at;
		there = true;
	}
	may_fault = 0;
	return there;
}

void um_try(um_traffic *traffic, int fd, void *memory, unsigned pages, void (*running)(void))
{
	if (!sigsetjmp(touching, 1)) {
		may_fault = 1;
		traffic(fd, memory, pages, running);
	}
	may_fault = 0;
}

int um_alloc(int fd, uint64_t size, struct um_memory *memory)
{
	struct uio_msix_dma_alloc alloc = {.argsz = sizeof(alloc), .size = size};
	int ret = um_call(fd, UIO_MSIX_DMA_ALLOC, &alloc);

	if (ret)
		return ret;
	CHECK(alloc.id);
	memory->base =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)alloc.offset);
	CHECK(memory->base != MAP_FAILED);
	memory->size = size;
	memory->iova = alloc.iova;
	memory->id = alloc.id;
	return 0;
}

int um_pin_pages(int fd, void *base, unsigned n, uint64_t *pages, uint32_t *id)
{
	struct uio_msix_dma_pin *pin = calloc(1, sizeof(*pin) + n * sizeof(*pin->segments));
	unsigned page = 0;
	int ret;

	CHECK(pin);
	pin->argsz = (uint32_t)(sizeof(*pin) + n * sizeof(*pin->segments));
	pin->n_segments = n;
	pin->vaddr = (uintptr_t)base;
	pin->size = (uint64_t)n * PAGE;
	ret = um_call(fd, UIO_MSIX_DMA_PIN, pin);
	if (!ret) {
		CHECK(pin->id && pin->n_segments && pin->n_segments <= n);
		for (unsigned i = 0; i < pin->n_segments; i++) {
			CHECK(pin->segments[i].size && !(pin->segments[i].size % PAGE));
			for (uint64_t at = 0; at < pin->segments[i].size; at += PAGE) {
				CHECK(page < n);
				pages[page++] = pin->segments[i].iova + at;
			}
		}
		CHECK(page == n);
		*id = pin->id;
	}
	free(pin);
	return ret;
}

int um_pin(int fd, void *base, uint64_t size, struct um_memory *memory)
{
	uint64_t *pages = calloc(size / PAGE, sizeof(*pages));
	int ret;

	CHECK(pages);
	ret = um_pin_pages(fd, base, (unsigned)(size / PAGE), pages, &memory->id);
	memory->base = base;
	memory->size = size;
	memory->iova = pages[0];
	free(pages);
	return ret;
}

int um_free(int fd, uint32_t id)
{
	struct uio_msix_dma_free give = {.argsz = sizeof(give), .id = id};

	return um_call(fd, UIO_MSIX_DMA_FREE, &give);
}

void *um_pages(uint64_t size, int flags)
{
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | flags, -1, 0);

	CHECK(base != MAP_FAILED);
	return base;
}

void um_echo(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

int um_event(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	CHECK(fd >= 0);
	return fd;
}

uint64_t um_comes(int event, int ms)
{
	struct pollfd p = {event, POLLIN, 0};
	uint64_t count;

	if (poll(&p, 1, ms) <= 0)
		return 0;
	CHECK(read(event, &count, sizeof(count)) == sizeof(count));
	return count;
}

static const struct {
	const char *name;
	um_command *run;
} commands[] = {
	{"calls", um_do_calls},
	{"config", um_do_config},
	{"bars", um_do_bars},
	{"combining", um_do_combining},
	{"wiring", um_do_wiring},
	{"crowded", um_do_crowded},
	{"dma", um_do_dma},
	{"mask", um_do_mask},
	{"bounced", um_do_bounced},
	{"locked", um_do_locked},
	{"remapped", um_do_remapped},
	{"forks", um_do_forks},
	{"namespaces", um_do_namespaces},
	{"open", um_do_open},
	{"hold", um_do_hold},
	{"unclean", um_do_unclean},
	{"reset", um_do_reset},
	{"kills", um_do_kills},
	{"send", um_do_send},
	{"uio", um_do_uio},
	{"uio-hold", um_do_uio_hold},
	{"uio-open", um_do_uio_open},
	{"kinds", um_do_kinds},
	{"race", um_do_race},
	{"stale", um_do_stale},
	{"cleaned", um_do_cleaned},
};

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_fault};

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	for (unsigned i = 0; argc > 2 && i < sizeof(commands) / sizeof(*commands); i++) {
		if (!strcmp(argv[1], commands[i].name)) {
			commands[i].run(argc - 2, argv + 2);
			return 0;
		}
	}
	um_fail("usage: um COMMAND ADDRESS [ARGUMENT...]");
}
