/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory in which arguments lie and that is pinned: good, bad, and late (userfaultfd(2)). */
#include "fuzz_uio_msix.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of a thread, in pages; behind each part one that nobody may touch. */
enum {
	PLAIN = 0,	/* 4 */
	WRITTEN = 5,	/* 4, to be read from READ_ONLY */
	READ_ONLY = 10, /* 4 */
	BEFORE_LATE = 15,
	LATE = 16,
	UIO = 18,
	PAGES = 20,
};

/* The pool, in pages of 4096. */
enum {
	POOL_PLAIN = 0,	  /* two huge pages, if the kernel likes; thrown away and got anew */
	POOL_FILE = 1024, /* shared memory of a file */
	POOL_READ = 1280, /* read only */
	POOL_NONE = 1296, /* nobody's */
	POOL_LATE = 1312, /* userfaultfd */
	POOL_PAGES = 1328,
};

static _Thread_local sigjmp_buf *volatile guarded;

static void on_fault(int sig)
{
	if (guarded)
		siglongjmp(*guarded, 1);
	signal(sig, SIG_DFL);
}

void fuzz_guard(void)
{
	struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

bool fuzz_touch(volatile uint8_t *at, const struct poke *poke, uint32_t value)
{
	sigjmp_buf here;
	bool fine = false;

	if (!sigsetjmp(here, 0)) {
		guarded = &here;
		if (poke)
			*(volatile uint32_t *)at = poke->set | (value & poke->mask);
		else
			(void)*(volatile uint32_t *)at;
		fine = true;
	}
	guarded = NULL;
	errno = EFAULT;
	return fine;
}

static uint8_t *map(void *at, size_t pages, int prot, int flags, int fd)
{
	uint8_t *mapped = mmap(at, pages * PAGE, prot, flags | (at ? MAP_FIXED : 0), fd, 0);

	if (mapped == MAP_FAILED)
		fuzz_fail("mmap: %d", errno);
	return mapped;
}

static int file(size_t pages)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)(pages * PAGE)))
		fuzz_fail("memfd_create: %d", errno);
	return fd;
}

static void late(struct fuzz *f, void *at, size_t pages)
{
	struct uffdio_register range = {.range = {(uintptr_t)at, pages * PAGE},
					.mode = UFFDIO_REGISTER_MODE_MISSING};

	if (ioctl(f->uffd, UFFDIO_REGISTER, &range))
		fuzz_fail("UFFDIO_REGISTER: %d", errno);
}

#define ANONYMOUS  (MAP_PRIVATE | MAP_ANONYMOUS)
#define READ_WRITE (PROT_READ | PROT_WRITE)

void fuzz_memory_init(struct fuzz *f)
{
	struct uffdio_api api = {.api = UFFD_API};
	int fd = file(POOL_READ - POOL_FILE);
	uint8_t *pool = map(NULL, POOL_PAGES + 512, PROT_NONE, ANONYMOUS | MAP_NORESERVE, -1);

	f->pool = pool = (uint8_t *)(((uintptr_t)pool + (2 << 20) - 1) & -(uintptr_t)(2 << 20));
	f->uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (f->uffd < 0 || ioctl(f->uffd, UFFDIO_API, &api))
		fuzz_fail("userfaultfd: %d", errno);
	map(pool, POOL_FILE, READ_WRITE, ANONYMOUS, -1);
	madvise(pool, (size_t)POOL_FILE * PAGE, MADV_HUGEPAGE);
	map(pool + POOL_FILE * PAGE, POOL_READ - POOL_FILE, READ_WRITE, MAP_SHARED, fd);
	map(pool + POOL_READ * PAGE, POOL_NONE - POOL_READ, PROT_READ, ANONYMOUS, -1);
	map(pool + POOL_LATE * PAGE, POOL_PAGES - POOL_LATE, READ_WRITE, ANONYMOUS, -1);
	late(f, pool + POOL_LATE * PAGE, POOL_PAGES - POOL_LATE);
	close(fd);
}

void fuzz_memory_thread(struct thread *t)
{
	int fd = file(4);
	uint8_t *memory = map(NULL, PAGES, PROT_NONE, ANONYMOUS, -1);

	t->memory = memory;
	t->late = map(NULL, 1, READ_WRITE, ANONYMOUS, -1);
	map(memory + PLAIN * PAGE, 4, READ_WRITE, ANONYMOUS, -1);
	map(memory + WRITTEN * PAGE, 4, READ_WRITE, MAP_SHARED, fd);
	map(memory + READ_ONLY * PAGE, 4, PROT_READ, MAP_SHARED, fd);
	map(memory + BEFORE_LATE * PAGE, 2, READ_WRITE, ANONYMOUS, -1);
	late(t->f, memory + LATE * PAGE, 1);
	close(fd);
}

/* The page that a thread waits for. */
static const uint8_t *what_is_late(const struct fuzz *f, uintptr_t at)
{
	for (unsigned i = 0; i < f->n_threads; i++)
		if (at == (uintptr_t)f->threads[i].memory + LATE * PAGE)
			return f->threads[i].late;
	return f->threads[0].late;
}

/* fault-injection.rst; only in kernels that look for faults in themselves. By the thread itself. */
void fuzz_starve_init(struct thread *t)
{
	t->starve = open("/proc/thread-self/fail-nth", O_WRONLY | O_CLOEXEC);
}

/* Let one of the next call's allocations fail, now and then; and no more. */
void fuzz_starve(struct thread *t, bool on)
{
	int error = errno;

	if (t->starve < 0 || (on && !fuzz_one_in(t, 8)))
		return;
	if (dprintf(t->starve, "%u", on ? 1 + fuzz_pick(t, 20) : 0) < 0)
		fuzz_fail("fail-nth: %d", errno);
	errno = error;
}

/* A thread of its own: whoever waits for memory gets it, a little later. */
void *fuzz_memory_late(void *fuzz)
{
	struct fuzz *f = fuzz;
	struct pollfd p = {f->uffd, POLLIN, 0};
	struct uffd_msg msg;

	while (!f->done) {
		struct uffdio_copy copy = {.len = PAGE};

		if (poll(&p, 1, 100) <= 0 || read(f->uffd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		copy.dst = msg.arg.pagefault.address & -(uint64_t)PAGE;
		copy.src = (uintptr_t)what_is_late(f, copy.dst);
		usleep(copy.dst / PAGE % 4 * 500);
		if (ioctl(f->uffd, UFFDIO_COPY, &copy))
			ioctl(f->uffd, UFFDIO_WAKE,
			      &(struct uffdio_range){copy.dst, PAGE}); /* it is there by now */
	}
	return NULL;
}

static void *nowhere(struct thread *t)
{
	static const uint64_t places[] = {
		0,
		1,
		PAGE,
		0x7ffffffff000,
		0x7fffffffeff8,
		1ull << 63,
		0xffff888000000000,
		UINT64_MAX,
		UINT64_MAX - 7,
	};

	return (void *)places[fuzz_pick(t, sizeof(places) / sizeof(*places))];
}

/* t->args to where the kernel shall read them, good or bad; *@back if they may be read there. */
void *fuzz_place(struct thread *t, size_t len, bool *back)
{
	uint8_t *plain = t->memory + PLAIN * PAGE, *at, *end = plain + 4 * PAGE;
	size_t cut = 1 + fuzz_pick(t, (uint32_t)len);

	*back = true;
	switch (fuzz_pick(t, 40)) {
	case 0 ... 5:
		at = end - len; /* to the last byte */
		break;
	case 6:
		at = end - cut; /* and beyond */
		*back = false;
		memcpy(at, t->args, cut);
		return at;
	case 7:
		memcpy(t->memory + WRITTEN * PAGE, t->args, len);
		*back = false;
		return t->memory + READ_ONLY * PAGE;
	case 8:
		if (len > PAGE)
			return nowhere(t);
		madvise(t->memory + LATE * PAGE, PAGE, MADV_DONTNEED);
		at = t->memory + LATE * PAGE - (cut - 1);
		memcpy(at, t->args, cut - 1);
		memcpy(t->late, t->args + cut - 1, len - (cut - 1));
		*back = false;
		return at;
	case 9:
		*back = false;
		return nowhere(t);
	case 10:
		at = plain + 1;
		len = len < ARGS_BYTES ? len : ARGS_BYTES - 1;
		break;
	default:
		at = plain;
	}
	memcpy(at, t->args, len);
	return at;
}

/* Where a /dev/uioN may be mapped. */
uint8_t *fuzz_uio_page(struct thread *t)
{
	return t->memory + UIO * PAGE;
}

/* A piece of the pool, or of what is mapped of a device. */
uint64_t fuzz_pool(struct thread *t, uint64_t *size)
{
	struct device *d = fuzz_device(t);
	uint32_t page = fuzz_pick(t, POOL_FILE);

	*size = (uint64_t)PAGE << fuzz_pick(t, fuzz_one_in(t, 16) ? 9 : 4);
	switch (fuzz_pick(t, 16)) {
	case 0 ... 1:
		page = POOL_FILE + fuzz_pick(t, POOL_READ - POOL_FILE);
		break;
	case 2:
		page = POOL_READ - 1 + fuzz_pick(t, 17);
		break;
	case 3:
		page = POOL_LATE + fuzz_pick(t, 8);
		*size = PAGE;
		break;
	case 4:
		return (uintptr_t)d->slots + (uint64_t)fuzz_pick(t, SLOTS) * SLOT_BYTES;
	case 5:
		return (uintptr_t)t->f->pool + page * PAGE + fuzz_pick(t, PAGE);
	}
	return (uintptr_t)t->f->pool + (uint64_t)page * PAGE;
}

/* Other pages where some may be pinned. */
void fuzz_churn(struct thread *t)
{
	uint32_t page = fuzz_pick(t, POOL_FILE - 64), n = 1 + fuzz_pick(t, 64);
	uint8_t *at = t->f->pool + (size_t)page * PAGE;

	switch (fuzz_pick(t, 6)) {
	case 0 ... 1:
		madvise(at, (size_t)n * PAGE, MADV_DONTNEED);
		break;
	case 2:
		madvise(at, (size_t)n * PAGE, fuzz_one_in(t, 2) ? MADV_DONTFORK : MADV_DOFORK);
		break;
	case 3:
		madvise(t->f->pool + POOL_LATE * PAGE, (POOL_PAGES - POOL_LATE) * PAGE,
			MADV_DONTNEED);
		break;
	case 4: /* moved: the device goes on seeing it, see UIO_MSIX_DMA_PIN */
		mremap(at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       t->f->pool + (size_t)fuzz_pick(t, POOL_FILE) * PAGE);
		break;
	default:
		mmap(at, (size_t)n * PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0);
	}
}
