/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may go wrong behind the model blk: memory that was taken away, a full or shrinking file, a
 * kernel that does a part or nothing. It is that one request's IOERR.
 */
#include <sys/resource.h>

#include "blk_rig.h"

#define OK	VIRTIO_BLK_S_OK
#define IOERR	VIRTIO_BLK_S_IOERR
#define MANY	1000
#define S	UINT64_C(1000000000)
#define PENDING 0xee

/* The next results that the kernel gives are these instead; and so often it takes nothing. */
static struct {
	int results[128];
	unsigned n, at, busy, dsync, fsync;
	bool no_fallocate;
} kernel;

unsigned __real_io_uring_peek_batch_cqe(struct io_uring *ring, struct io_uring_cqe **cqes,
					unsigned count);
unsigned __wrap_io_uring_peek_batch_cqe(struct io_uring *ring, struct io_uring_cqe **cqes,
					unsigned count);
int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);

void *__real_mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int __real_getrusage(int who, struct rusage *usage);
int __wrap_getrusage(int who, struct rusage *usage);

/* Files cannot be mapped while this is set; so often a page was not where it had been. */
static bool no_mmap;
static long faults;

void *__wrap_mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (!no_mmap || fd < 0)
		return __real_mmap64(at, len, prot, flags, fd, offset);
	errno = ENODEV;
	return MAP_FAILED;
}

int __wrap_getrusage(int who, struct rusage *usage)
{
	int ret = __real_getrusage(who, usage);

	usage->ru_majflt = faults;
	return ret;
}

unsigned __wrap_io_uring_peek_batch_cqe(struct io_uring *ring, struct io_uring_cqe **cqes,
					unsigned count)
{
	unsigned n = __real_io_uring_peek_batch_cqe(ring, cqes, count);

	for (unsigned i = 0; i < n && kernel.at < kernel.n; i++)
		cqes[i]->res = kernel.results[kernel.at++];
	return n;
}

int __wrap_io_uring_submit(struct io_uring *ring)
{
	if (kernel.busy) {
		kernel.busy--;
		return -EBUSY;
	}
	for (unsigned i = ring->sq.sqe_head; i != ring->sq.sqe_tail; i++) {
		struct io_uring_sqe *sqe = &ring->sq.sqes[i & *ring->sq.kring_mask];

		if (kernel.no_fallocate && sqe->opcode == IORING_OP_FALLOCATE)
			sqe->opcode = IORING_OP_NOP;
		kernel.fsync += sqe->opcode == IORING_OP_FSYNC;
		kernel.dsync += sqe->opcode != IORING_OP_FSYNC && (sqe->rw_flags & RWF_DSYNC);
	}
	return __real_io_uring_submit(ring);
}

static void kernel_says(const int *results, unsigned n)
{
	memset(&kernel, 0, sizeof(kernel));
	memcpy(kernel.results, results, n * sizeof(*results));
	kernel.n = n;
}

static int clean(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	return 0;
}

static uint8_t wrote[2 << 20], got[2 << 20];

/* All of it by io_uring. */
static void disk_open_plain(struct disk *d, int fd, const char *more)
{
	no_mmap = true;
	disk_open_file(d, fd, more);
	no_mmap = false;
}

static void short_results_go_on(void **state)
{
	static const int parts[] = {1, 511, 5000, -EAGAIN, -EINTR, 100};
	int fd = file_make();
	struct disk d;

	(void)state;
	disk_open_plain(&d, fd, "");
	fill(wrote, 64 << 10, 3);
	kernel_says(parts, sl_array_len(parts));
	assert_int_equal(disk_write(&d, 16, wrote, 64 << 10, SCATTER), OK);
	assert_int_equal(kernel.at, kernel.n);
	kernel_says(parts, sl_array_len(parts));
	assert_int_equal(disk_read(&d, 16, got, 64 << 10, SCATTER), OK);
	assert_memory_equal(got, wrote, 64 << 10);
	assert_int_equal(disk_count(&d, "short"), 8);
	assert_int_equal(disk_count(&d, "retried"), 4);
	disk_close(&d);
	close(fd);
}

/* Whole blocks alone can be gone on from without a buffer cache. */
static void short_results_of_direct(void **state)
{
	static const int parts[] = {4096, 8192, 4096};
	int fd = file_make();
	struct disk d;

	(void)state;
	disk_open_plain(&d, fd, ",cache=direct");
	fill(wrote, 1 << 19, 4);
	for (enum layout l = 0; l < LAYOUTS; l++) {
		kernel_says(parts, sl_array_len(parts));
		assert_int_equal(disk_write(&d, 0, wrote, 1 << 19, l), OK);
		kernel_says(parts, sl_array_len(parts));
		assert_int_equal(disk_read(&d, 0, got, 1 << 19, l), OK);
		assert_memory_equal(got, wrote, 1 << 19);
		memset(wrote, (int)l, 4096);
	}
	assert_true(disk_count(&d, "bounced") >= LAYOUTS);
	disk_close(&d);
	close(fd);
}

static void errors_are_counted(void **state)
{
	static const struct {
		int err;
		const char *counter;
	} all[] = {{-EIO, "io-errors"},	  {-ENOSPC, "no-space"},  {-EFBIG, "no-space"},
		   {-EDQUOT, "no-space"}, {-EINVAL, "io-errors"}, {-EFAULT, "memory-gone"},
		   {0, "io-errors"},	  {1 << 20, "io-errors"}};
	int fd = file_make();
	struct disk d;

	(void)state;
	disk_open_plain(&d, fd, "");
	for (unsigned i = 0; i < sl_array_len(all); i++) {
		uint64_t before = disk_count(&d, all[i].counter);

		kernel_says(&all[i].err, 1);
		assert_int_equal(disk_write(&d, 0, wrote, 4096, NATURAL), IOERR);
		assert_int_equal(disk_count(&d, all[i].counter), before + 1);
		assert_int_equal(disk_write(&d, 0, wrote, 4096, NATURAL), OK);
	}
	disk_close(&d);
	close(fd);
}

static void retries_end(void **state)
{
	int again[110], fd = file_make();
	struct disk d;

	(void)state;
	for (unsigned i = 0; i < sl_array_len(again); i++)
		again[i] = -EAGAIN;
	disk_open_plain(&d, fd, "");
	kernel_says(again, sl_array_len(again));
	assert_int_equal(disk_write(&d, 0, wrote, 4096, NATURAL), IOERR);
	assert_int_equal(disk_count(&d, "retried"), 100);
	disk_close(&d);
	close(fd);
}

static void zeroes_by_hand(void **state)
{
	static const int no = -EOPNOTSUPP;
	static const uint8_t zero[1 << 20];
	int fd = file_make();
	struct disk d;

	(void)state;
	disk_open_plain(&d, fd, "");
	fill(wrote, DISK, 9);
	assert_int_equal(disk_write(&d, 0, wrote, DISK, NATURAL), OK);
	kernel_says(&no, 1);
	kernel.no_fallocate = true;
	assert_int_equal(disk_range(&d, VIRTIO_BLK_T_DISCARD, 0, 8, 0), OK);
	kernel_says(&no, 1);
	kernel.no_fallocate = true;
	assert_int_equal(disk_range(&d, VIRTIO_BLK_T_WRITE_ZEROES, 1, DISK / 512 - 2, 0), OK);
	assert_int_equal(disk_read(&d, 0, got, DISK, NATURAL), OK);
	assert_memory_equal(got, wrote, 512);
	assert_memory_equal(got + 512, zero, DISK - 1024);
	assert_memory_equal(got + DISK - 512, wrote + DISK - 512, 512);
	assert_int_equal(disk_count(&d, "zeroes"), 1);
	disk_close(&d);
	close(fd);
}

/* One request's memory is gone; those beside it are done. */
static void memory_taken_away(void **state)
{
	static const char *const stores[] = {"", ",cache=direct", ",cache=writethrough"};
	long page = sysconf(_SC_PAGESIZE);

	(void)state;
	for (unsigned s = 0; s < sl_array_len(stores) + 1; s++) {
		bool mapped = s == sl_array_len(stores);
		int fd = mapped ? memfd_create("disk", 0) : file_make();
		int mem = memfd_create("guest", 0);
		struct ask a[6];
		struct disk d;
		uint8_t *guest;

		if (mapped)
			assert_int_equal(ftruncate(fd, DISK), 0);
		no_mmap = !mapped;
		disk_open_file(&d, fd, mapped ? "" : stores[s]);
		no_mmap = false;
		assert_int_equal(ftruncate(mem, 2 * page), 0);
		guest = mmap(NULL, 2 * (size_t)page, PROT_READ | PROT_WRITE, MAP_SHARED, mem, 0);
		for (unsigned i = 0; i < 6; i++) {
			bool write = i & 1;

			ask_init(&a[i], &d, write, 8 * i, wrote, write ? 4096 : 0, write ? 0 : 4096,
				 NATURAL);
			if (i == 2 || i == 3)
				a[i].r.pieces[1].iov_base = guest + (i - 2) * page;
		}
		assert_int_equal(ftruncate(mem, 0), 0);
		for (unsigned i = 0; i < 6; i++)
			d.m->ops->request(d.m, &a[i].r.req);
		assert_true(fake_offer_run(d.m, 6));
		for (unsigned i = 0; i < 6; i++) {
			bool gone = i == 2 || i == 3;

			assert_int_equal(a[i].r.done, 1);
			assert_int_equal(ask_status(&a[i]), gone ? IOERR : OK);
			ask_free(&a[i]);
		}
		assert_int_equal(disk_count(&d, "memory-gone"), 2);
		/* Header and status. */
		for (unsigned i = 0; i < 2; i++) {
			ask_init(&a[0], &d, VIRTIO_BLK_T_OUT, 0, wrote, 4096, 0, NATURAL);
			a[0].r.pieces[i ? 2 : 0].iov_base = guest;
			ask_run(&a[0], &d);
			assert_int_equal(a[0].r.written, i ? 0 : 1);
			assert_int_equal(ask_status(&a[0]), i ? PENDING : IOERR);
			ask_free(&a[0]);
		}
		munmap(guest, 2 * (size_t)page);
		disk_close(&d);
		close(mem);
		close(fd);
	}
}

static void disk_full(void **state)
{
	const struct rlimit half = {DISK / 2, RLIM_INFINITY}, all = {RLIM_INFINITY, RLIM_INFINITY};
	struct ask a[8];
	int fd = file_make();
	struct disk d;

	(void)state;
	disk_open_plain(&d, fd, "");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &half), 0);
	for (unsigned i = 0; i < 8; i++) {
		ask_init(&a[i], &d, VIRTIO_BLK_T_OUT, (i & 1 ? DISK / 512 / 2 : 0) + i * 8, wrote,
			 4096, 0, NATURAL);
		d.m->ops->request(d.m, &a[i].r.req);
	}
	assert_true(fake_offer_run(d.m, 8));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(ask_status(&a[i]), i & 1 ? IOERR : OK);
		ask_free(&a[i]);
	}
	assert_int_equal(disk_count(&d, "no-space"), 4);
	disk_close(&d);
	close(fd);
}

/* More than the ring holds, while the kernel takes nothing for a while. */
static void full_ring(void **state)
{
	static struct ask a[MANY];
	int fd = file_make();
	struct disk d;

	(void)state;
	disk_open_plain(&d, fd, ",queue-size=1024");
	fill(wrote, 512 * MANY, 21);
	for (unsigned busy = 0; busy < 2; busy++) {
		uint64_t calls = disk_count(&d, "syscalls");
		unsigned done = fake_offer.done;

		clean(NULL);
		kernel.busy = busy * 5;
		for (unsigned i = 0; i < MANY; i++) {
			ask_init(&a[i], &d, VIRTIO_BLK_T_OUT, i, wrote + 512 * i, 512, 0, NATURAL);
			d.m->ops->request(d.m, &a[i].r.req);
		}
		assert_true(fake_offer_run(d.m, done + MANY));
		for (unsigned i = 0; i < MANY; i++) {
			assert_int_equal(a[i].r.done, 1);
			assert_int_equal(ask_status(&a[i]), OK);
			ask_free(&a[i]);
		}
		assert_int_equal(pread(fd, got, 512 * MANY, 0), 512 * MANY);
		assert_memory_equal(got, wrote, 512 * MANY);
		assert_int_equal(kernel.busy, 0);
		if (!busy) /* batches: not a call for each */
			assert_true(disk_count(&d, "syscalls") - calls <= MANY / 100);
		assert_int_equal(ftruncate(fd, 0) | ftruncate(fd, DISK), 0);
	}
	disk_close(&d);
	close(fd);
}

/* 5.2.6.2: durable when flush says so, or when a write is done that nobody will flush. */
static void durable(void **state)
{
	static const struct {
		const char *more;
		bool knows_flush, dsync;
	} all[] = {{"", true, false},
		   {"", false, true},
		   {",cache=writethrough", true, true},
		   {",cache=direct", true, false},
		   {",cache=direct", false, true}};
	struct virtio_blk_discard_write_zeroes zeroes = {.num_sectors = 8};
	int fd = file_make();

	(void)state;
	for (unsigned i = 0; i < sl_array_len(all); i++) {
		uint64_t flush = UINT64_C(1) << VIRTIO_BLK_F_FLUSH;
		struct sl_model_info info;
		struct disk d;

		disk_open_plain(&d, fd, all[i].more);
		d.m->ops->info(d.m, &info);
		assert_int_equal(
			d.m->ops->start(d.m, info.features &
						     (all[i].knows_flush ? ~UINT64_C(0) : ~flush)),
			0);
		clean(NULL);
		assert_int_equal(disk_write(&d, 0, wrote, 4096, NATURAL), OK);
		assert_int_equal(disk_write(&d, 0, wrote, 4096, SCATTER), OK);
		assert_int_equal(disk_read(&d, 0, got, 4096, NATURAL), OK);
		assert_int_equal(kernel.dsync, all[i].dsync ? 2 : 0);
		assert_int_equal(kernel.fsync, 0);
		assert_int_equal(disk_ask(&d, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, NULL, 0, NATURAL),
				 OK);
		assert_int_equal(kernel.fsync, 1);
		assert_int_equal(disk_ask(&d, VIRTIO_BLK_T_WRITE_ZEROES, 0, &zeroes, sizeof(zeroes),
					  NULL, 0, NATURAL),
				 OK);
		assert_int_equal(kernel.fsync, all[i].dsync ? 2 : 1);
		disk_close(&d);
	}
	close(fd);
}

static void registered_memory(void **state)
{
	static const char *const more[] = {",pin=on", ",pin=on,cache=direct"};
	struct sl_region region = {
		.len = 1 << 16, .fd = -1, .access = SL_REGION_READ | SL_REGION_WRITE};
	int fd = file_make();

	(void)state;
	region.base =
		mmap(NULL, region.len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (unsigned m = 0; m < sl_array_len(more); m++) {
		uint8_t *memory = region.base;
		struct disk d;

		disk_open_plain(&d, fd, more[m]);
		d.m->ops->region_add(d.m, &region);
		fill(memory, 4096, 50 + m);
		for (unsigned i = 0; i < 3; i++) {
			struct ask a;

			if (i == 2) /* not any more */
				d.m->ops->region_del(d.m, &region);
			ask_init(&a, &d, VIRTIO_BLK_T_OUT, 8 * i, wrote, 4096, 0, NATURAL);
			a.r.pieces[1].iov_base = memory;
			ask_run(&a, &d);
			assert_int_equal(ask_status(&a), OK);
			ask_free(&a);
			ask_init(&a, &d, VIRTIO_BLK_T_IN, 8 * i, NULL, 0, 4096, NATURAL);
			a.r.pieces[1].iov_base = memory + 8192;
			memset(memory + 8192, 0, 4096);
			ask_run(&a, &d);
			assert_int_equal(ask_status(&a), OK);
			assert_memory_equal(memory, memory + 8192, 4096);
			ask_free(&a);
		}
		assert_int_equal(disk_count(&d, "pinned"), 4);
		disk_close(&d);
	}
	munmap(region.base, region.len);
	close(fd);
}

/* Whoever serves it is asked again and again until its time is up. */
static void fenced(void **state)
{
	int fd = file_make();
	struct disk first, second;
	char pid[40];

	(void)state;
	disk_open_file(&first, fd, "");
	assert_int_equal(first.m->ops->fence(first.m, S), 0);
	disk_open_file(&second, fd, ",fence=10");
	assert_int_equal(second.m->ops->fence(second.m, 1 * S), -EAGAIN);
	assert_int_equal(second.m->ops->fence(second.m, 2 * S), -EAGAIN);
	assert_int_equal(second.lines, 0);
	assert_int_equal(second.m->ops->fence(second.m, 3 * S), -EAGAIN);
	assert_int_equal(second.lines, 1);
	snprintf(pid, sizeof(pid), "process %d to let go of it, 8 s more", getpid());
	if (!strstr(second.line, pid))
		fail_msg("%s", second.line);
	assert_int_equal(second.m->ops->fence(second.m, 4 * S), -EAGAIN);
	assert_int_equal(second.lines, 1);
	assert_int_equal(second.m->ops->fence(second.m, 11 * S), -EBUSY);
	assert_non_null(strstr(sl_reason(), "in use by process"));
	disk_close(&first);
	assert_int_equal(second.m->ops->fence(second.m, 12 * S), 0);
	disk_close(&second);
	/* Readers too: what a killed one reads lands in its driver's memory. */
	disk_open_file(&first, fd, ",ro=on");
	disk_open_file(&second, fd, ",ro=on");
	assert_int_equal(first.m->ops->fence(first.m, 0), 0);
	assert_int_equal(second.m->ops->fence(second.m, 0), -EAGAIN);
	disk_close(&first);
	disk_close(&second);
	close(fd);
}

/* What the kernel was seen to have is copied without asking it, until a guess was wrong. */
static void page_cache(void **state)
{
	int fd = file_make();
	uint64_t mapped;
	struct disk d;

	(void)state;
	disk_open_file(&d, fd, "");
	fill(wrote, 64 << 10, 31);
	assert_int_equal(disk_write(&d, 0, wrote, 64 << 10, NATURAL), OK);
	assert_int_equal(disk_count(&d, "mapped"), 0);
	assert_int_equal(disk_write(&d, 3, wrote, 4096, SCATTER), OK);
	assert_int_equal(disk_read(&d, 1, got, 8192, SCATTER), OK);
	assert_int_equal(disk_count(&d, "mapped"), 2);
	assert_memory_equal(got, wrote + 512, 1024);
	assert_memory_equal(got + 1024, wrote, 4096);
	assert_memory_equal(got + 5120, wrote + 5632, 3072);
	assert_int_equal(pread(fd, got, 4096, 1536), 4096);
	assert_memory_equal(got, wrote, 4096);
	/* A part of it was not seen; then it was. */
	assert_int_equal(disk_read(&d, 120, got, 16384, NATURAL), OK);
	assert_int_equal(disk_count(&d, "mapped"), 2);
	assert_int_equal(disk_read(&d, 120, got, 16384, NATURAL), OK);
	assert_int_equal(disk_count(&d, "mapped"), 3);
	faults++;
	assert_int_equal(disk_read(&d, 0, got, 4096, NATURAL), OK);
	assert_int_equal(disk_count(&d, "mapped"), 4);
	assert_int_equal(disk_read(&d, 0, got, 4096, NATURAL), OK);
	assert_int_equal(disk_count(&d, "mapped"), 4);
	/* For a driver that never flushes the kernel has to write. */
	assert_int_equal(d.m->ops->start(d.m, 0), 0);
	mapped = disk_count(&d, "mapped");
	assert_int_equal(disk_write(&d, 0, wrote + 100, 4096, NATURAL), OK);
	assert_int_equal(disk_count(&d, "mapped"), mapped);
	assert_int_equal(disk_read(&d, 0, got, 4096, NATURAL), OK);
	assert_int_equal(disk_count(&d, "mapped"), mapped + 1);
	assert_memory_equal(got, wrote + 100, 4096);
	/* The file has become shorter, which nobody has noticed. */
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(disk_read(&d, 0, got, 4096, NATURAL), IOERR);
	assert_int_equal(disk_count(&d, "io-errors"), 1);
	disk_close(&d);
	close(fd);
}

/* The kernel knows what it has. */
static void page_cache_from_before(void **state)
{
	int fd = file_make();
	struct disk d;

	(void)state;
	fill(wrote, 512 << 10, 37);
	assert_int_equal(pwrite(fd, wrote, 512 << 10, 0), 512 << 10);
	disk_open_file(&d, fd, "");
	assert_int_equal(disk_read(&d, 500, got, 16384, NATURAL), OK); /* in two stretches */
	assert_memory_equal(got, wrote + 500 * 512, 16384);
	assert_int_equal(disk_write(&d, 8, wrote, 65536, SCATTER), OK);
	assert_int_equal(disk_count(&d, "mapped"), 2);
	assert_int_equal(pread(fd, got, 65536, 4096), 65536);
	assert_memory_equal(got, wrote, 65536);
	faults++; /* it was wrong: now only what it did for us counts */
	assert_int_equal(disk_read(&d, 0, got, 4096, NATURAL), OK);
	assert_int_equal(disk_count(&d, "mapped"), 3);
	assert_int_equal(disk_read(&d, 0, got, 4096, NATURAL), OK);
	assert_int_equal(disk_count(&d, "mapped"), 3);
	assert_int_equal(disk_read(&d, 0, got, 4096, NATURAL), OK);
	assert_int_equal(disk_count(&d, "mapped"), 4);
	disk_close(&d);
	close(fd);
}

static bool comes_to(struct disk *d, uint64_t capacity)
{
	struct pollfd wait = {.fd = d->m->ops->fd(d->m), .events = POLLIN};

	for (unsigned i = 0; i < 20; i++) {
		if (disk_capacity(d) == capacity)
			return true;
		poll(&wait, 1, 1000);
		d->m->ops->reap(d->m);
	}
	return false;
}

static void size_changes(void **state)
{
	(void)state;
	/* By io_uring alone, with the page cache, in memory. */
	for (unsigned kind = 0; kind < 3; kind++) {
		int fd = kind == 2 ? memfd_create("disk", 0) : file_make();
		struct disk d;

		assert_int_equal(ftruncate(fd, DISK), 0);
		no_mmap = !kind;
		disk_open_file(&d, fd, "");
		d.m->offer = (struct sl_offer *)&d; /* told of changes; see fake_request.h */
		assert_int_equal(disk_write(&d, DISK / 512, wrote, 4096, NATURAL), IOERR);
		assert_int_equal(ftruncate(fd, 2 * DISK + 100), 0);
		assert_true(comes_to(&d, 2 * DISK));
		assert_int_equal(fake_offer.changed, 1);
		assert_int_equal(disk_write(&d, DISK / 512, wrote, 4096, NATURAL), OK);
		/* What is gone is gone, noticed or not. */
		assert_int_equal(ftruncate(fd, DISK / 2), 0);
		assert_int_equal(disk_read(&d, DISK / 512, got, 4096, NATURAL), IOERR);
		assert_int_equal(disk_read(&d, 0, got, 4096, NATURAL), OK);
		assert_true(comes_to(&d, DISK / 2));
		assert_int_equal(fake_offer.changed, 2);
		assert_int_equal(disk_read(&d, DISK / 512 / 2, got, 4096, NATURAL), IOERR);
		assert_int_equal(disk_count(&d, "out-of-range"), 2);
		assert_int_equal(disk_count(&d, "resized"), 2);
		no_mmap = false;
		disk_close(&d);
		close(fd);
	}
}

/* Closed with requests in it: they end, but are not given back. */
static void closed_while_busy(void **state)
{
	static struct ask a[MANY];
	int fd = file_make();
	struct disk d;

	(void)state;
	disk_open_plain(&d, fd, ",cache=direct");
	kernel.busy = 4;
	for (unsigned i = 0; i < MANY; i++) {
		ask_init(&a[i], &d, VIRTIO_BLK_T_IN, 0, NULL, 0, 8192, i & 1 ? TOGETHER : SCATTER);
		d.m->ops->request(d.m, &a[i].r.req);
	}
	disk_close(&d);
	assert_int_equal(fake_offer.done, 0);
	for (unsigned i = 0; i < MANY; i++)
		ask_free(&a[i]);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(short_results_go_on, clean),
		cmocka_unit_test_setup(short_results_of_direct, clean),
		cmocka_unit_test_setup(errors_are_counted, clean),
		cmocka_unit_test_setup(retries_end, clean),
		cmocka_unit_test_setup(zeroes_by_hand, clean),
		cmocka_unit_test_setup(memory_taken_away, clean),
		cmocka_unit_test_setup(disk_full, clean),
		cmocka_unit_test_setup(full_ring, clean),
		cmocka_unit_test_setup(durable, clean),
		cmocka_unit_test_setup(registered_memory, clean),
		cmocka_unit_test_setup(fenced, clean),
		cmocka_unit_test_setup(page_cache, clean),
		cmocka_unit_test_setup(page_cache_from_before, clean),
		cmocka_unit_test_setup(size_changes, clean),
		cmocka_unit_test_setup(closed_while_busy, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
