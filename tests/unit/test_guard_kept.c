/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that is kept: it is truncated under plain loads and stores, by several threads, and reads
 * as zeroes. Linked twice, as test_guard.c is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sluice/guard.h>
#include <sluice/reason.h>

#include "base/barrier.h"

#define PAGE	((size_t)4096)
#define THREADS 4u

static void on_fault(int sig, siginfo_t *info, void *ctx)
{
	if (!sl_guard_handler(sig, info, ctx))
		signal(sig, SIG_DFL); /* the same instruction again, with its usual end */
}

/* In each test: cmocka has handlers of its own for each. */
static void install(void)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

	sigemptyset(&action.sa_mask);
	assert_int_equal(sigaction(SIGBUS, &action, NULL), 0);
	assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0);
}

struct piece {
	int fd;
	size_t len;
	uint8_t *at;
};

/* Not what the compiler remembers. */
static uint8_t byte(const uint8_t *at)
{
	return *(const volatile uint8_t *)at;
}

static void put(uint8_t *at, uint8_t value)
{
	*(volatile uint8_t *)at = value;
}

/* Of a file, filled. */
static struct piece map_file(size_t pages)
{
	struct piece p = {.fd = memfd_create("kept", MFD_CLOEXEC), .len = pages * PAGE};

	assert_true(p.fd >= 0);
	assert_int_equal(ftruncate(p.fd, (off_t)p.len), 0);
	p.at = mmap(NULL, p.len, PROT_READ | PROT_WRITE, MAP_SHARED, p.fd, 0);
	assert_true(p.at != MAP_FAILED);
	memset(p.at, 0x5a, p.len);
	return p;
}

static void keep(struct piece *p)
{
	assert_int_equal(sl_guard_keep(p->at, p->len, PAGE), 0);
}

static void cut(struct piece *p, size_t pages)
{
	assert_int_equal(ftruncate(p->fd, (off_t)(pages * PAGE)), 0);
}

static void drop(struct piece *p)
{
	sl_guard_forget(p->at);
	munmap(p->at, p->len);
	close(p->fd);
}

static void test_truncated(void **state)
{
	struct piece p = map_file(4), other = map_file(1);
	unsigned before = sl_guard_losses();

	(void)state;
	install();
	keep(&p);
	keep(&other);
	cut(&p, 2);
	assert_int_equal(byte(p.at + 2 * PAGE - 1), 0x5a);
	assert_false(sl_guard_lost(p.at));
	errno = 77;
	assert_int_equal(byte(p.at + 3 * PAGE + 5), 0);
	assert_int_equal(errno, 77);
	assert_int_equal(sl_guard_losses(), before + 1);
	put(p.at + 2 * PAGE, 1);
	assert_int_equal(byte(p.at + 2 * PAGE) + byte(p.at + 2 * PAGE + 1), 1);
	put(p.at + 4 * PAGE - 1, 2); /* replaced already */
	assert_int_equal(sl_guard_losses(), before + 2);
	assert_true(sl_guard_lost(p.at));
	assert_true(sl_guard_lost((p.at + 4 * PAGE - 1)));
	assert_false(sl_guard_lost((void *)other.at));
	assert_false(sl_guard_lost(&before));
	/* It is private: what is in the file now is somebody else's. */
	cut(&p, 4);
	assert_int_equal(byte(p.at + 3 * PAGE - 1), 0);
	assert_int_equal(byte(p.at + PAGE), 0x5a);
	drop(&p);
	drop(&other);
}

/* A guarded copy fails where memory is gone, kept or not. */
static void test_copies_still_fail(void **state)
{
	struct piece p = map_file(2);
	unsigned before = sl_guard_losses();
	uint8_t own[16];

	(void)state;
	install();
	keep(&p);
	cut(&p, 1);
	assert_int_equal(sl_guard_copy(own, (p.at + PAGE), 8), -EFAULT);
	assert_int_equal(sl_guard_copy((p.at + PAGE), own, 16), -EFAULT);
	assert_int_equal(sl_guard_losses(), before);
	assert_int_equal(byte(p.at + PAGE), 0);
	assert_int_equal(sl_guard_copy(own, (p.at + PAGE), 8), 0);
	drop(&p);
}

static void test_larger_pages(void **state)
{
	struct piece p = map_file(64);
	uintptr_t page = 16 * PAGE, start = ((uintptr_t)p.at + page - 1) & ~(page - 1);
	uint8_t *at = (void *)start;
	unsigned before = sl_guard_losses();

	(void)state;
	install();
	assert_int_equal(sl_guard_keep(at, 2 * page, page), 0);
	cut(&p, 0);
	assert_int_equal(byte(at + page + 3 * PAGE), 0);
	assert_int_equal(byte(at + page) + byte(at + 2 * page - 1), 0);
	assert_int_equal(sl_guard_losses(), before + 1);
	assert_int_equal(byte(at + page - 1), 0);
	assert_int_equal(sl_guard_losses(), before + 2);
	sl_guard_forget(at);
	drop(&p);
}

static void test_refused(void **state)
{
	struct piece p = map_file(2);

	(void)state;
	assert_int_equal(sl_guard_keep((p.at + 1), PAGE, PAGE), -EINVAL);
	assert_int_equal(sl_guard_keep(p.at, PAGE + 1, PAGE), -EINVAL);
	assert_int_equal(sl_guard_keep(p.at, 0, PAGE), -EINVAL);
	assert_int_equal(sl_guard_keep(p.at, PAGE, 0), -EINVAL);
	assert_int_equal(sl_guard_keep(p.at, PAGE, 64), -EINVAL);
	assert_int_equal(sl_guard_keep(p.at, PAGE, 3 * PAGE), -EINVAL);
	assert_int_equal(sl_guard_keep(NULL, PAGE, PAGE), -EINVAL);
	assert_int_equal(sl_guard_keep(p.at, SIZE_MAX & ~(PAGE - 1), PAGE), -EINVAL);
	sl_guard_forget(NULL);
	sl_guard_forget(p.at);
	drop(&p);
}

/* As many as there is room for; what is forgotten makes room, and has lost nothing when it is kept
 * again. */
static void test_full(void **state)
{
	struct piece p = map_file(SL_GUARD_KEPT_MAX + 1);
	uint8_t *last = p.at + SL_GUARD_KEPT_MAX * PAGE;

	(void)state;
	install();
	for (size_t n = 0; n < SL_GUARD_KEPT_MAX; n++)
		assert_int_equal(sl_guard_keep((p.at + n * PAGE), PAGE, PAGE), 0);
	assert_int_equal(sl_guard_keep(last, PAGE, PAGE), -ENOSPC);
	assert_non_null(strstr(sl_reason(), "1024"));
	cut(&p, 0);
	assert_int_equal(byte(p.at + 7 * PAGE) + byte(last - 1), 0);
	assert_true(sl_guard_lost((p.at + 7 * PAGE)));
	assert_false(sl_guard_lost((p.at + 8 * PAGE)));
	sl_guard_forget((p.at + 7 * PAGE + 1)); /* not as it was kept */
	assert_int_equal(sl_guard_keep(last, PAGE, PAGE), -ENOSPC);
	sl_guard_forget((p.at + 7 * PAGE));
	assert_int_equal(sl_guard_keep(last, PAGE, PAGE), 0);
	assert_false(sl_guard_lost(last));
	assert_int_equal(byte(last), 0);
	assert_true(sl_guard_lost(last));
	for (size_t n = 0; n <= SL_GUARD_KEPT_MAX; n++)
		sl_guard_forget((p.at + n * PAGE));
	drop(&p);
}

static void check_dies(uint8_t *at, int sig)
{
	pid_t child = fork();
	int status;

	if (!child) {
		put(at, 1);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == sig);
}

/* What is not kept, or was forgotten, or is not gone but must not be written, ends as ever. */
static void test_faults_elsewhere(void **state)
{
	struct piece p = map_file(3);

	(void)state;
	install();
	assert_int_equal(sl_guard_keep((p.at + PAGE), PAGE, PAGE), 0);
	cut(&p, 0);
	check_dies(p.at + PAGE - 1, SIGBUS);
	check_dies(p.at + 2 * PAGE, SIGBUS);
	assert_int_equal(mprotect((p.at + PAGE), PAGE, PROT_READ), 0);
	check_dies(p.at + PAGE, SIGSEGV);
	assert_int_equal(byte(p.at + PAGE), 0);
	sl_guard_forget((p.at + PAGE));
	check_dies(p.at, SIGBUS);
	drop(&p);
}

/* Every second page of more than a process may have mappings for. */
static void test_many_pages(void **state)
{
	size_t pages = 140000;
	struct piece p = {.fd = memfd_create("kept", MFD_CLOEXEC), .len = pages * PAGE};
	uint64_t sum = 0;

	(void)state;
	install();
	p.at = mmap(NULL, p.len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, p.fd, 0);
	assert_true(p.at != MAP_FAILED);
	keep(&p);
	for (size_t n = 0; n < pages; n += 2)
		sum += byte(p.at + n * PAGE);
	assert_int_equal(sum, 0);
	assert_true(sl_guard_lost(p.at));
	drop(&p);
}

/*
 * Threads: all of them read one file that is cut short, while each keeps and forgets its own.
 */

static struct piece shared;
static uint32_t ended;

static void *read_on(void *arg)
{
	uint64_t *wrong = arg;
	struct piece own = map_file(2);

	for (unsigned n = 0; !sl_load_acquire(&ended); n++) {
		keep(&own);
		*wrong += byte(own.at) && byte(own.at) != 0x5a;
		for (size_t i = 0; i < shared.len; i += PAGE) {
			uint8_t value = sl_load_relaxed(&shared.at[i + n % PAGE]);

			/* Zeroes are no secret. */
			*wrong += value ? value != 0x5a : !sl_guard_lost(shared.at);
		}
		if (n % 64 == 0) {
			cut(&own, 0);
			*wrong += byte(own.at + PAGE);
			*wrong += !sl_guard_lost(own.at);
		}
		drop(&own);
		own = map_file(2);
	}
	close(own.fd);
	munmap(own.at, own.len);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];
	uint64_t wrong[THREADS] = {0};

	(void)state;
	install();
	for (unsigned round = 0; round < 20; round++) {
		shared = map_file(16);
		keep(&shared);
		sl_store_release(&ended, 0);
		for (unsigned n = 0; n < THREADS; n++)
			assert_int_equal(pthread_create(&threads[n], NULL, read_on, &wrong[n]), 0);
		usleep(2000);
		cut(&shared, round % 16);
		usleep(2000);
		sl_store_release(&ended, 1);
		for (unsigned n = 0; n < THREADS; n++) {
			pthread_join(threads[n], NULL);
			assert_int_equal(wrong[n], 0);
		}
		drop(&shared);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_truncated),    cmocka_unit_test(test_copies_still_fail),
		cmocka_unit_test(test_larger_pages), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_full),	     cmocka_unit_test(test_faults_elsewhere),
		cmocka_unit_test(test_many_pages),   cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
