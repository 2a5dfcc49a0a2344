/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls at random into uio_msix, by threads that race each other; see fuzz_uio_msix.c. What a
 * device would do by itself with memory is left out: no register is written that starts DMA, which
 * would go anywhere.
 */
#ifndef FUZZ_UIO_MSIX_H
#define FUZZ_UIO_MSIX_H

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uio_msix/uio_msix.h>

enum {
	DEVICES_MAX = 8,
	THREADS_MAX = 8,
	FDS = 8,
	IDS = 16,
	EVENTS = 16,
	SLOTS = 8,
	SLOT_BYTES = 1 << 20,
	PAGE = 4096,
	ARGS_BYTES = 4 * PAGE,
};

/* What is counted: the calls by their number, and these. */
enum {
	CALL_OPEN = 14,
	CALL_MMAP,
	CALL_TOUCH, /* of mapped memory: SIGBUS and SIGSEGV are counted as EFAULT */
	CALL_UIO,   /* opening /dev/uioN */
	CALL_WILD,  /* numbers of no call */
	CALL_SLEEP,
	CALLS
};

/* A register that may be written: to @set, and whatever of @mask. */
struct poke {
	uint32_t offset, set, mask;
};

struct kind {
	uint16_t vendor, device;
	const char *plug; /* QEMU's words for a new one; NULL where there can be no second */
	struct poke pokes[2];
};

struct device {
	const char *addr;
	char node[40];
	const struct kind *kind;
	_Atomic int fds[FDS]; /* -1 for none */
	_Atomic uint32_t ids[IDS];
	_Atomic uint64_t dma[IDS]; /* where they can be mapped, 0 for pinned memory */
	struct {
		_Atomic uint64_t size, offset, wc_offset, hole; /* UINT64_MAX: none */
	} regions[UIO_MSIX_REGIONS];
	_Atomic uint32_t vectors[UIO_MSIX_IRQS];
	uint8_t *slots; /* where it is mapped */
};

struct fuzz {
	struct device devices[DEVICES_MAX];
	unsigned n_devices, n_threads;
	struct thread *threads;
	_Atomic int events[EVENTS];
	_Atomic int children;
	pthread_rwlock_t awake; /* who has it keeps the machine from sleeping */
	_Atomic bool stop, done;
	int uffd;
	uint8_t *pool; /* memory to be pinned, see fuzz_uio_msix_memory.c */
	_Atomic uint32_t counts[CALLS][256];
};

struct thread {
	struct fuzz *f;
	uint64_t random;
	uint8_t *memory; /* where arguments lie, see fuzz_uio_msix_memory.c */
	int starve;	 /* its /proc/thread-self/fail-nth; -1 for none */
	uint8_t *late;	 /* what a page of it holds that comes when it is touched */
	_Alignas(8) uint8_t args[ARGS_BYTES]; /* of the call being made */
};

uint32_t fuzz_pick(struct thread *t, uint32_t n); /* 0 .. n - 1 */
uint64_t fuzz_wild(struct thread *t);		  /* numbers that break things */
bool fuzz_one_in(struct thread *t, uint32_t n);
struct device *fuzz_device(struct thread *t);
int fuzz_fd(struct thread *t, struct device *d); /* -1: none is open */
/* @ret is the call's: below 0, errno says why. */
void fuzz_count(struct thread *t, unsigned call, long ret);
_Noreturn void fuzz_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* fuzz_uio_msix_memory.c */
void fuzz_memory_init(struct fuzz *f);
void fuzz_memory_thread(struct thread *t);
void *fuzz_memory_late(void *fuzz);
void *fuzz_place(struct thread *t, size_t len, bool *back);
uint8_t *fuzz_uio_page(struct thread *t);
void fuzz_churn(struct thread *t);
uint64_t fuzz_pool(struct thread *t, uint64_t *size);
void fuzz_starve_init(struct thread *t);
void fuzz_starve(struct thread *t, bool on);
bool fuzz_touch(volatile uint8_t *at, const struct poke *poke, uint32_t value);
void fuzz_guard(void);

/* fuzz_uio_msix_calls.c */
void fuzz_call(struct thread *t);
void fuzz_call_new(struct thread *t, struct device *d);

/* fuzz_uio_msix_files.c */
void fuzz_open(struct thread *t);
void fuzz_close(struct thread *t);
void fuzz_dup(struct thread *t);
void fuzz_drop(struct thread *t, struct device *d);
void fuzz_map(struct thread *t);
void fuzz_unmap(struct thread *t);
void fuzz_touch_slot(struct thread *t);
void fuzz_fork(struct thread *t);
void fuzz_reap(struct fuzz *f, bool all);
void fuzz_event(struct thread *t);
void fuzz_other(struct thread *t);
void fuzz_uio(struct thread *t);
void fuzz_sleep(struct thread *t);

/* fuzz_uio_msix_chaos.c */
int fuzz_write_file(const char *path, const char *text);
int fuzz_chaos(struct thread *t, unsigned seconds, const char *module);

#endif
