/* SPDX-License-Identifier: BSD-2-Clause */
/* Files, mappings and processes, in each other's way. */
#include "fuzz_uio_msix.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void keep(struct thread *t, struct device *d, int fd)
{
	for (unsigned i = 0; i < FDS; i++)
		if (atomic_compare_exchange_strong(&d->fds[i], &(int){-1}, fd))
			return;
	fd = atomic_exchange(&d->fds[fuzz_pick(t, FDS)], fd);
	if (fd >= 0)
		close(fd);
}

void fuzz_open(struct thread *t)
{
	struct device *d = fuzz_device(t);
	int how = fuzz_one_in(t, 16) ? (int)fuzz_pick(t, 4) : O_RDWR;
	int fd;

	how |= fuzz_one_in(t, 2) ? O_CLOEXEC : 0;
	fuzz_starve(t, true);
	fd = open(d->node, how);
	fuzz_starve(t, false);
	fuzz_count(t, CALL_OPEN, fd);
	if (fd >= 0) {
		keep(t, d, fd);
		fuzz_call_new(t, d);
	} else if (errno == ENOENT) {
		usleep(1000); /* the others shall have the processor */
	}
}

void fuzz_close(struct thread *t)
{
	int fd = atomic_exchange(&fuzz_device(t)->fds[fuzz_pick(t, FDS)], -1);

	if (fd >= 0)
		close(fd);
}

void fuzz_dup(struct thread *t)
{
	struct device *d = fuzz_device(t);
	int fd = fuzz_fd(t, d);

	if (fd >= 0)
		fd = fcntl(fd, fuzz_one_in(t, 2) ? F_DUPFD : F_DUPFD_CLOEXEC, 0);
	if (fd >= 0)
		keep(t, d, fd);
}

static uint8_t *slot(struct thread *t, struct device *d)
{
	return d->slots + (size_t)fuzz_pick(t, SLOTS) * SLOT_BYTES;
}

/* All references of this process: unless a child has one, the device is closed. */
void fuzz_drop(struct thread *t, struct device *d)
{
	bool files_first = fuzz_one_in(t, 2);

	if (!files_first)
		munmap(d->slots, SLOTS * SLOT_BYTES);
	for (unsigned i = 0; i < FDS; i++) {
		int fd = atomic_exchange(&d->fds[i], -1);

		if (fd >= 0)
			close(fd);
	}
	if (files_first)
		munmap(d->slots, SLOTS * SLOT_BYTES);
}

static uint64_t map_offset(struct thread *t, struct device *d, uint64_t *size)
{
	unsigned region = fuzz_pick(t, UIO_MSIX_REGIONS), id = fuzz_pick(t, IDS);

	*size = (uint64_t)PAGE * (1 + fuzz_pick(t, 16));
	switch (fuzz_pick(t, 16)) {
	case 0:
		return fuzz_wild(t);
	case 1 ... 8:
		return d->dma[id];
	default:
		*size = d->regions[region].size;
		return fuzz_one_in(t, 4) ? d->regions[region].wc_offset : d->regions[region].offset;
	}
}

void fuzz_map(struct thread *t)
{
	static const int prots[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_EXEC, PROT_WRITE};
	struct device *d = fuzz_device(t);
	int fd = fuzz_fd(t, d), flags = fuzz_one_in(t, 16) ? MAP_PRIVATE : MAP_SHARED;
	int prot = fuzz_one_in(t, 8) ? prots[fuzz_pick(t, 4)] : PROT_READ | PROT_WRITE;
	uint64_t size, offset = map_offset(t, d, &size);
	void *at;

	if (fd < 0)
		return;
	if (fuzz_one_in(t, 4))
		offset += (uint64_t)PAGE * fuzz_pick(t, 32);
	if (fuzz_one_in(t, 2))
		size = (uint64_t)PAGE * (1 + fuzz_pick(t, 8));
	if (!size || size > SLOT_BYTES)
		size = SLOT_BYTES;
	at = mmap(slot(t, d), size, prot, flags | MAP_FIXED, fd, (off_t)offset);
	fuzz_count(t, CALL_MMAP, at == MAP_FAILED ? -1 : 0);
}

void fuzz_unmap(struct thread *t)
{
	struct device *d = fuzz_device(t);
	uint8_t *whole = slot(t, d), *to = slot(t, d), *at = whole;
	size_t size = (size_t)PAGE * (1 + fuzz_pick(t, 8));

	if (fuzz_one_in(t, 2))
		at += (size_t)PAGE * fuzz_pick(t, 8);
	switch (fuzz_pick(t, 8)) {
	case 0:
		mprotect(at, size, (int)fuzz_pick(t, 8));
		break;
	case 1: /* it must not grow */
		mremap(at, PAGE, size, MREMAP_MAYMOVE | MREMAP_FIXED, to);
		break;
	case 2:
		mremap(at, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to);
		break;
	case 3:
		madvise(at, size, fuzz_one_in(t, 2) ? MADV_DOFORK : MADV_DONTNEED);
		break;
	case 4:
		mremap(at, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, to); /* a second one */
		break;
	case 5:
		munmap(at, size);
		break;
	default:
		munmap(whole, SLOT_BYTES);
	}
}

/* Always at a harmless register's place, whatever is mapped there by now. */
void fuzz_touch_slot(struct thread *t)
{
	struct device *d = fuzz_device(t);
	const struct poke *poke = &d->kind->pokes[fuzz_pick(t, 2)];
	uint8_t *at = slot(t, d) + (size_t)PAGE * fuzz_pick(t, fuzz_one_in(t, 4) ? 256 : 4);
	bool reads = fuzz_one_in(t, 2);

	if (fuzz_fd(t, d) >= 0)
		fuzz_count(
			t, CALL_TOUCH,
			fuzz_touch(at + poke->offset, reads ? NULL : poke, fuzz_pick(t, UINT32_MAX))
				? 0
				: -1);
}

void fuzz_event(struct thread *t)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC | (fuzz_one_in(t, 8) ? EFD_SEMAPHORE : 0));
	uint64_t value;

	if (fd < 0)
		return;
	if (read(fd, &value, sizeof(value)) > 0)
		fuzz_fail("a new eventfd has something");
	if (fuzz_one_in(t, 8)) /* full: what is signalled then is lost, nothing more */
		(void)!write(fd, &(uint64_t){UINT64_MAX - 1}, 8);
	fd = atomic_exchange(&t->f->events[fuzz_pick(t, EVENTS)], fd);
	if (fd > 2)
		close(fd);
}

/* The calls that it does not have, as far as we know. */
void fuzz_other(struct thread *t)
{
	int fd = fuzz_fd(t, fuzz_device(t));
	struct pollfd p = {fd, POLLIN | POLLOUT, 0};
	char some[16] = {0};

	if (fd < 0)
		return;
	switch (fuzz_pick(t, 7)) {
	case 0:
		(void)!pread(fd, some, sizeof(some), (off_t)fuzz_wild(t));
		break;
	case 1:
		(void)!pwrite(fd, some, sizeof(some), 0);
		break;
	case 2:
		lseek(fd, (off_t)fuzz_wild(t), SEEK_SET);
		break;
	case 3:
		poll(&p, 1, 1);
		break;
	case 4:
		fcntl(fd, F_SETFL, fuzz_one_in(t, 2) ? O_NONBLOCK : O_ASYNC);
		break;
	case 5:
		(void)!ftruncate(fd, (off_t)fuzz_wild(t));
		break;
	case 6:
		fsync(fd);
	}
}

/* A child: ends at once, uses what it has inherited, or is another program that has it. */
static _Noreturn void child(struct thread *t)
{
	struct device *d = fuzz_device(t);
	uint32_t us = fuzz_pick(t, 50000);
	char text[12];
	int fd = fuzz_fd(t, d);

	pthread_rwlock_init(&t->f->awake, NULL);
	t->starve = -1; /* that is the parent's */
	switch (fuzz_pick(t, 4)) {
	case 0:
		_exit(0);
	case 1:
		for (int i = 0; i < 20 && fd >= 0; i++) {
			fuzz_call(t);
			fuzz_touch_slot(t);
		}
		usleep(us);
		_exit(0);
	case 2:
		snprintf(text, sizeof(text), "%u", us);
		execl("/proc/self/exe", "fuzz_uio_msix", "keep", text, NULL);
		_exit(1);
	default: /* the last to close is a process that never opened it */
		usleep(us);
		fuzz_drop(t, d);
		_exit(0);
	}
}

void fuzz_fork(struct thread *t)
{
	pid_t pid;

	if (t->f->children >= 6)
		return;
	t->f->children++;
	pid = fork();
	if (!pid)
		child(t);
	if (pid < 0)
		t->f->children--;
}

void fuzz_reap(struct fuzz *f, bool all)
{
	int status;

	while (f->children && waitpid(-1, &status, all ? 0 : WNOHANG) > 0) {
		f->children--;
		if (status)
			fuzz_fail("a child ended with %#x", status);
	}
}

/* Of /dev/uioN, -1 when there is none. */
static int uio_of(const struct device *d, char *path, size_t size)
{
	for (unsigned n = 0; n < 2 * DEVICES_MAX; n++) {
		snprintf(path, size, "/sys/bus/pci/devices/%s/uio/uio%u", d->addr, n);
		if (!access(path, F_OK))
			return snprintf(path, size, "/dev/uio%u", n);
	}
	return -1;
}

/* As a program would that knows only UIO. What it maps outlives the device: it only reads. */
void fuzz_uio(struct thread *t)
{
	bool closes_first = fuzz_one_in(t, 2);
	struct device *d = fuzz_device(t);
	uint32_t value = 1;
	char path[80];
	uint8_t *map;
	int fd = -1;

	if (uio_of(d, path, sizeof(path)) < 0)
		return;
	for (unsigned i = 0; i < 30; i++) { /* the others want it too */
		fuzz_drop(t, d);
		fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		fuzz_count(t, CALL_UIO, fd);
		if (fd >= 0 || errno != EBUSY)
			break;
		usleep(1000 * fuzz_pick(t, 30));
	}
	if (fd < 0)
		return;
	map = mmap(fuzz_uio_page(t), PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd,
		   (off_t)fuzz_pick(t, 6) * PAGE);
	for (unsigned i = 0; i < 20; i++) {
		(void)!write(fd, &value, sizeof(value));
		(void)!read(fd, &value, sizeof(value));
		value = i & 1;
		if (map != MAP_FAILED)
			fuzz_touch(map + 4 * i, NULL, 0);
		if (fuzz_one_in(t, 8))
			usleep(1000);
	}
	if (map != MAP_FAILED && !closes_first)
		mmap(map, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	close(fd);
	if (map != MAP_FAILED && closes_first)
		mmap(map, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

/*
 * As when the machine sleeps, without its sleep: Documentation/power/basic-pm-debugging.rst. Who
 * waits for memory of userfaultfd's could not be frozen.
 */
void fuzz_sleep(struct thread *t)
{
	int ret;

	pthread_rwlock_wrlock(&t->f->awake);
	fuzz_write_file("/sys/module/suspend/parameters/pm_test_delay", "0");
	ret = fuzz_write_file("/sys/power/pm_test", "devices");
	if (!ret)
		ret = fuzz_write_file("/sys/power/state", "freeze");
	fuzz_count(t, CALL_SLEEP, ret);
	pthread_rwlock_unlock(&t->f->awake);
}
