/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory: allocated and pinned, what a device reaches of it and what it does not. The devices are
 * edus. */
#include "um.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	EDU_STATUS = 0x24,
	EDU_RAISE = 0x60,
	EDU_ACKNOWLEDGE = 0x64,
	EDU_SOURCE = 0x80,
	EDU_TARGET = 0x88,
	EDU_COUNT = 0x90,
	EDU_COMMAND = 0x98
};
#define EDU_BUFFER 0x40000

void edu_start(void *edu, uint64_t iova, unsigned len, bool to_memory)
{
	CHECK(iova <= UINT32_MAX && len <= EDU_MAX);
	um_put32(edu, EDU_SOURCE, to_memory ? EDU_BUFFER : (uint32_t)iova);
	um_put32(edu, EDU_TARGET, to_memory ? (uint32_t)iova : EDU_BUFFER);
	um_put32(edu, EDU_COUNT, len);
	um_put32(edu, EDU_COMMAND, to_memory ? 3 : 1);
}

void edu_dma(void *edu, uint64_t iova, unsigned len, bool to_memory)
{
	edu_start(edu, iova, len, to_memory);
	for (int i = 0; i < 1000 && um_get32(edu, EDU_COMMAND) & 1; i++)
		usleep(5000);
	CHECK(!(um_get32(edu, EDU_COMMAND) & 1));
}

void edu_raise(void *edu)
{
	um_put32(edu, EDU_RAISE, 1);
}

void edu_silence(void *edu)
{
	um_put32(edu, EDU_ACKNOWLEDGE, um_get32(edu, EDU_STATUS));
}

void um_fill(void *page, unsigned seed)
{
	uint8_t *bytes = page;

	for (unsigned i = 0; i < PAGE; i++)
		bytes[i] = (uint8_t)(i * 31 + (i >> 8) + seed * 7 + 1);
}

bool um_holds(const void *page, unsigned seed, unsigned len)
{
	uint8_t wanted[PAGE];

	um_fill(wanted, seed);
	return !memcmp(page, wanted, len);
}

void edu_both_ways(void *edu, void *memory, uint64_t iova, unsigned seed)
{
	um_fill(memory, seed);
	edu_dma(edu, iova, EDU_MAX, false);
	memset(memory, 0, PAGE);
	edu_dma(edu, iova, EDU_MAX, true);
	CHECK(um_holds(memory, seed, EDU_MAX) && !((uint8_t *)memory)[EDU_MAX]);
}

static bool zeroes(const void *memory, uint64_t len)
{
	const uint8_t *bytes = memory;

	return !*bytes && !memcmp(bytes, bytes + 1, len - 1);
}

static bool has_memory(int fd, unsigned bits)
{
	int ret = um_dma_bits(fd, bits);

	CHECK(!ret || ret == -EBUSY);
	return ret;
}

/* proc(5), status: kB that are locked */
static unsigned long locked(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	unsigned long kb = 0;
	char line[128];

	CHECK(file);
	while (fgets(line, sizeof(line), file) && sscanf(line, "VmLck: %lu", &kb) != 1)
		;
	fclose(file);
	return kb;
}

static void allocated(int fd, void *edu)
{
	static const uint64_t bad[] = {0, PAGE + 1, PAGE - 1, UINT64_MAX, 1};
	static const uint64_t too_much[] = {1ull << 40, 1ull << 60, -(uint64_t)PAGE};
	struct uio_msix_info info = {.argsz = sizeof(info)};
	struct um_memory small, large;
	char *more;

	MUST(um_call(fd, UIO_MSIX_GET_INFO, &info));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		REFUSED(EINVAL, um_alloc(fd, bad[i], &small));
	for (unsigned i = 0; i < sizeof(too_much) / sizeof(*too_much); i++)
		REFUSED(ENOMEM, um_alloc(fd, too_much[i], &small));
	REFUSED(ENOMEM, um_alloc(fd, info.dma_max + PAGE, &small));
	CHECK(!has_memory(fd, 32) && !locked());
	MUST(um_alloc(fd, PAGE, &small));
	MUST(um_alloc(fd, HUGE_PAGE, &large));
	CHECK(locked() == (HUGE_PAGE + PAGE) / 1024 && has_memory(fd, 32) && small.id != large.id);
	CHECK(zeroes(small.base, small.size) && zeroes(large.base, large.size));
	edu_both_ways(edu, small.base, small.iova, 1);
	edu_both_ways(edu, large.base, large.iova, 2);
	edu_both_ways(edu, (char *)large.base + HUGE_PAGE - PAGE, large.iova + HUGE_PAGE - PAGE, 3);
	more = mremap(large.base, HUGE_PAGE, HUGE_PAGE + PAGE, MREMAP_MAYMOVE);
	CHECK(more == MAP_FAILED);
	MUST(um_free(fd, large.id));
	REFUSED(ENOENT, um_free(fd, large.id));
	REFUSED(ENOENT, um_free(fd, 0));
	REFUSED(ENOENT, um_free(fd, UINT32_MAX));
	CHECK(!um_touch(large.base) && !um_touch((char *)large.base + HUGE_PAGE - PAGE));
	CHECK(um_touch(small.base) && locked() == PAGE / 1024);
	munmap(small.base, PAGE);
	edu_dma(edu, small.iova, EDU_MAX, true); /* it stays the device's */
	MUST(um_free(fd, small.id));
	CHECK(!has_memory(fd, 32) && !locked());
	printf("ok - allocated memory: zeroed, DMA both ways, accounted, gone when it is freed\n");
}

/* Pages of which none follows the one before it, as the machine has them. */
static char *backwards(unsigned n)
{
	int file = memfd_create("pages", MFD_CLOEXEC);
	char *base = um_pages((uint64_t)n * PAGE, 0);

	CHECK(file >= 0 && !ftruncate(file, (off_t)n * PAGE) &&
	      posix_fallocate(file, 0, (off_t)n * PAGE) == 0);
	for (unsigned i = 0; i < n; i++)
		CHECK(mmap(base + (size_t)i * PAGE, PAGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED | MAP_POPULATE, file,
			   (off_t)(n - 1 - i) * PAGE) != MAP_FAILED);
	close(file);
	return base;
}

static void wrong_pins(int fd, void *edu)
{
	char *pages = um_pages(4 * PAGE, 0);
	struct um_memory m, coherent;
	uint64_t iova[4];

	MUST(um_alloc(fd, PAGE, &coherent));
	REFUSED(EFAULT, um_pin(fd, coherent.base, PAGE, &m));
	MUST(um_free(fd, coherent.id));
	REFUSED(EFAULT, um_pin(fd, edu, PAGE, &m));
	REFUSED(EINVAL, um_pin_pages(fd, pages + 1, 1, iova, &m.id));
	REFUSED(EINVAL, um_pin_pages(fd, pages, 0, iova, &m.id));
	REFUSED(EFAULT, um_pin(fd, (void *)0xffff888000000000, PAGE, &m));
	CHECK(um_pin(fd, (void *)-(intptr_t)PAGE, (uint64_t)2 * PAGE, &m) < 0);
	CHECK(!mprotect(pages + 2 * PAGE, PAGE, PROT_READ));
	REFUSED(EFAULT, um_pin(fd, pages, 4 * PAGE, &m));
	CHECK(!munmap(pages + 2 * PAGE, PAGE));
	REFUSED(EFAULT, um_pin(fd, pages, 4 * PAGE, &m));
	CHECK(!has_memory(fd, 32) && !locked());
}

static void room_for_segments(int fd)
{
	char *pages = backwards(8);
	struct uio_msix_dma_pin *pin = calloc(1, sizeof(*pin) + 8 * sizeof(*pin->segments));

	CHECK(pin);
	for (unsigned room = 0; room < 8; room++) {
		*pin = (struct uio_msix_dma_pin){.argsz = sizeof(*pin) +
							  room * sizeof(*pin->segments),
						 .n_segments = room,
						 .vaddr = (uintptr_t)pages,
						 .size = 8 * PAGE};
		if (um_call(fd, UIO_MSIX_DMA_PIN, pin) == -ENOSPC) {
			CHECK(pin->n_segments > room && pin->n_segments <= 8);
			CHECK(!has_memory(fd, 32) && !locked());
			continue;
		}
		CHECK(pin->id && pin->n_segments == room && room > 1);
		MUST(um_free(fd, pin->id));
		break;
	}
	/* argsz has to be as much as n_segments says */
	*pin = (struct uio_msix_dma_pin){.argsz = sizeof(*pin),
					 .n_segments = 8,
					 .vaddr = (uintptr_t)pages,
					 .size = 8 * PAGE};
	REFUSED(EINVAL, um_call(fd, UIO_MSIX_DMA_PIN, pin));
	pin->n_segments = UINT32_MAX / sizeof(*pin->segments) + 1;
	REFUSED(EINVAL, um_call(fd, UIO_MSIX_DMA_PIN, pin));
	CHECK(!has_memory(fd, 32));
	free(pin);
}

static void pinned(int fd, void *edu)
{
	char *huge = um_pages(2 * HUGE_PAGE, MAP_HUGETLB), *pages = backwards(64);
	struct uio_msix_dma_pin *pin = calloc(1, sizeof(*pin) + 2 * sizeof(*pin->segments));
	struct um_memory m;
	uint64_t iova[64];
	uint32_t id;

	CHECK(pin);
	*pin = (struct uio_msix_dma_pin){.argsz = sizeof(*pin) + 2 * sizeof(*pin->segments),
					 .n_segments = 2,
					 .vaddr = (uintptr_t)huge,
					 .size = 2 * HUGE_PAGE};
	MUST(um_call(fd, UIO_MSIX_DMA_PIN, pin)); /* no more than two pieces */
	CHECK(locked() == 2 * HUGE_PAGE / 1024 && has_memory(fd, 32));
	edu_both_ways(edu, huge, pin->segments[0].iova, 4);
	MUST(um_free(fd, pin->id));
	MUST(um_pin(fd, huge + HUGE_PAGE, PAGE, &m)); /* and a piece of one */
	edu_both_ways(edu, huge + HUGE_PAGE, m.iova, 5);
	MUST(um_free(fd, m.id));
	MUST(um_pin_pages(fd, pages, 64, iova, &id));
	for (unsigned i = 0; i < 64; i += 21)
		edu_both_ways(edu, pages + (size_t)i * PAGE, iova[i], i);
	CHECK(um_holds(pages, 0, EDU_MAX) && um_holds(pages + 63 * PAGE, 63, EDU_MAX));
	MUST(um_free(fd, id));
	CHECK(um_holds(pages, 0, EDU_MAX) && !locked() && !has_memory(fd, 32));
	munmap(huge, 2 * HUGE_PAGE);
	free(pin);
	printf("ok - pinned memory: huge pages, scattered pages, DMA both ways, accounted\n");
}

/* dma ADDRESS: with two huge pages */
void um_do_dma(int argc, char **argv)
{
	int fd = MUST(um_open(argv[0]));
	void *edu = um_map(fd, 0);

	CHECK(argc == 1);
	MUST(um_dma_bits(fd, 32));
	MUST(um_master(fd, UIO_MSIX_ON));
	allocated(fd, edu);
	pinned(fd, edu);
	wrong_pins(fd, edu);
	room_for_segments(fd);
	close(fd);
	CHECK(!locked());
	printf("ok - memory that cannot be pinned is refused; segments: as many as there is room for\n");
}

/* proc(5), pagemap: bits 0 to 54 are the page's number */
static uint64_t physical(const void *memory)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	CHECK(pread(fd, &entry, 8, (off_t)((uintptr_t)memory / PAGE * 8)) == 8);
	close(fd);
	return (entry & ((1ull << 55) - 1)) * PAGE;
}

/* A page of the machine's below @limit, and one above. */
static void find_pages(uint64_t limit, char **below, char **above)
{
	*below = *above = NULL;
	for (unsigned i = 0; i < 128 && !(*below && *above); i++) {
		char *some = um_pages(1 << 22, 0);

		for (char *page = some; page < some + (1 << 22); page += 64 * PAGE)
			*(physical(page) < limit ? below : above) = page;
	}
	CHECK(*below && *above);
}

/* mask ADDRESS: an edu that sees 28 bits of an address; the machine has more memory */
void um_do_mask(int argc, char **argv)
{
	int fd = MUST(um_open(argv[0]));
	void *edu = um_map(fd, 0);
	struct uio_msix_info info = {.argsz = sizeof(info)};
	char *below, *above, *both = um_pages(2 * PAGE, 0);
	struct um_memory m;

	CHECK(argc == 1);
	REFUSED(EINVAL, um_dma_bits(fd, 15));
	REFUSED(EINVAL, um_dma_bits(fd, 65));
	REFUSED(EINVAL, um_dma_bits(fd, UINT32_MAX));
	REFUSED(EIO, um_dma_bits(fd, 16));
	MUST(um_dma_bits(fd, 28));
	MUST(um_call(fd, UIO_MSIX_GET_INFO, &info));
	CHECK(info.dma_bits == 28);
	MUST(um_master(fd, UIO_MSIX_ON | UIO_MSIX_FORCE));
	find_pages(1 << 28, &below, &above);
	REFUSED(EREMOTE, um_pin(fd, above, PAGE, &m));
	CHECK(mremap(below, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, both) == both);
	CHECK(mremap(above, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, both + PAGE) == both + PAGE);
	REFUSED(EREMOTE, um_pin(fd, both, 2 * PAGE, &m));
	CHECK(!has_memory(fd, 28) && !locked());
	MUST(um_pin(fd, both, PAGE, &m));
	CHECK(m.iova < 1 << 28);
	edu_both_ways(edu, both, m.iova, 1);
	MUST(um_free(fd, m.id));
	MUST(um_alloc(fd, HUGE_PAGE, &m));
	CHECK(m.iova + HUGE_PAGE <= 1 << 28);
	edu_both_ways(edu, (char *)m.base + HUGE_PAGE - PAGE, m.iova + HUGE_PAGE - PAGE, 2);
	close(fd);
	printf("ok - 28 bits of address: what lies beyond is not pinned, and what is allocated lies below\n");
}

/* bounced ADDRESS: in a kernel that copies all DMA back and forth */
void um_do_bounced(int argc, char **argv)
{
	int fd = MUST(um_open(argv[0]));
	void *edu = um_map(fd, 0);
	struct um_memory m;

	CHECK(argc == 1);
	MUST(um_master(fd, UIO_MSIX_ON));
	MUST(um_dma_bits(fd, 32));
	REFUSED(EREMOTE, um_pin(fd, um_pages(16 * PAGE, 0), 16 * PAGE, &m));
	REFUSED(EREMOTE, um_pin(fd, um_pages(HUGE_PAGE, MAP_HUGETLB), HUGE_PAGE, &m));
	CHECK(!has_memory(fd, 32) && !locked());
	MUST(um_alloc(fd, 16 * PAGE, &m));
	edu_both_ways(edu, m.base, m.iova, 1);
	edu_both_ways(edu, (char *)m.base + 15 * PAGE, m.iova + 15 * PAGE, 2);
	close(fd);
	printf("ok - where the kernel copies: pinned memory is refused, allocated memory works\n");
}

/* locked ADDRESS: by a user who may lock 64 KiB */
void um_do_locked(int argc, char **argv)
{
	char *pages = um_pages(32 * PAGE, 0);

	CHECK(argc == 1);
	for (unsigned round = 0; round < 2; round++) { /* the last close gives back what is left */
		int fd = MUST(um_open(argv[0]));
		struct um_memory m, other;

		MUST(um_alloc(fd, 16 * PAGE, &m));
		REFUSED(ENOMEM, um_alloc(fd, PAGE, &other));
		REFUSED(ENOMEM, um_pin(fd, pages, PAGE, &other));
		MUST(um_free(fd, m.id));
		munmap(m.base, m.size);
		REFUSED(ENOMEM, um_pin(fd, pages, 17 * PAGE, &m));
		MUST(um_pin(fd, pages, 16 * PAGE, &m));
		REFUSED(ENOMEM, um_pin(fd, pages + 16 * PAGE, PAGE, &other));
		REFUSED(ENOMEM, um_alloc(fd, PAGE, &other));
		CHECK(locked() == 64);
		close(fd);
		CHECK(!locked());
	}
	printf("ok - RLIMIT_MEMLOCK holds for who has no CAP_IPC_LOCK\n");
}

/* remapped ADDRESS: the pin stays where it was, whatever the program does to its addresses */
void um_do_remapped(int argc, char **argv)
{
	int fd = MUST(um_open(argv[0])), file = memfd_create("page", MFD_CLOEXEC);
	void *edu = um_map(fd, 0);
	struct um_memory m;
	char *one, *other;

	CHECK(argc == 1 && !ftruncate(file, PAGE));
	MUST(um_dma_bits(fd, 32));
	MUST(um_master(fd, UIO_MSIX_ON));
	one = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	other = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	MUST(um_pin(fd, one, PAGE, &m));
	edu_both_ways(edu, one, m.iova, 1);
	munmap(one, PAGE);
	edu_both_ways(edu, other, m.iova, 2);
	munmap(other, PAGE);
	CHECK(!ftruncate(file, 0)); /* the page is nobody's but the device's now */
	edu_dma(edu, m.iova, EDU_MAX, true);
	MUST(um_free(fd, m.id));

	one = um_pages(PAGE, 0);
	MUST(um_pin(fd, one, PAGE, &m));
	other = mremap(one, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, um_pages(PAGE, 0));
	CHECK(other != MAP_FAILED && other != one);
	edu_both_ways(edu, other, m.iova, 3);
	CHECK(mmap(other, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		   0) == other);
	um_fill(other, 4);
	edu_dma(edu, m.iova, EDU_MAX, true);
	CHECK(um_holds(other, 4, PAGE));
	close(fd);
	munmap(edu, 1 << 20);
	printf("ok - munmap, mremap, mmap: the device goes on with the page that was pinned\n");
}

/*
 * One thread maps memory while the other frees it. Whoever comes first, it is not mapped
 * afterwards.
 */
struct freeing {
	int fd;
	atomic_uint turn, id;
};

static void *freeing_thread(void *arg)
{
	struct freeing *f = arg;

	for (unsigned turn = 1;; turn++) {
		uint32_t id;

		while (atomic_load(&f->turn) != 2 * turn - 1)
			;
		id = atomic_load(&f->id);
		if (!id)
			return NULL;
		MUST(um_free(f->fd, id));
		atomic_store(&f->turn, 2 * turn);
	}
}

/* stale ADDRESS TIMES */
void um_do_stale(int argc, char **argv)
{
	struct freeing f = {.fd = MUST(um_open(argv[0]))};
	unsigned times = argc == 2 ? (unsigned)atoi(argv[1]) : 0, mapped = 0;
	pthread_t thread;

	CHECK(times && !pthread_create(&thread, NULL, freeing_thread, &f));
	for (unsigned turn = 1; turn <= times; turn++) {
		struct uio_msix_dma_alloc alloc = {.argsz = sizeof(alloc), .size = PAGE};
		void *base;

		MUST(um_call(f.fd, UIO_MSIX_DMA_ALLOC, &alloc));
		atomic_store(&f.id, alloc.id);
		atomic_store(&f.turn, 2 * turn - 1);
		for (volatile unsigned i = (unsigned)random() % 2000; i; i--)
			;
		base = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, f.fd, (off_t)alloc.offset);
		while (atomic_load(&f.turn) != 2 * turn)
			;
		if (base == MAP_FAILED)
			continue;
		mapped++;
		if (um_touch(base))
			um_fail("what was freed is still mapped, the %uth time", turn);
		munmap(base, PAGE);
	}
	atomic_store(&f.id, 0);
	atomic_store(&f.turn, 2 * times + 1);
	CHECK(!pthread_join(thread, NULL));
	close(f.fd);
	printf("%u of %u times it was mapped first\n", mapped, times);
	printf("ok - memory that is mapped while it is freed is not mapped afterwards\n");
}
