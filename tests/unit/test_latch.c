/* SPDX-License-Identifier: BSD-2-Clause */
/* The latch: exclusion with and without membarrier(2), and nobody waits for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/latch.h"

#define PASSES	 2000000u
#define SHUTS	 4000u
#define SHUTTERS 2u

struct room {
	struct sl_latch latch;
	uint64_t count, twin; /* plain: only the latch keeps threads apart */
	uint64_t torn;
};

static void work(struct room *r)
{
	r->count++;
	r->torn += r->count != r->twin + 1;
	r->twin++;
}

static uint8_t far[64 << 20];

/* Stores that miss the caches: what is stored next reaches other processors late, which is what
 * the barrier is there for. */
static void delay_stores(unsigned n)
{
	for (unsigned i = 0; i < 24; i++)
		far[(n * 24 + i) * 2654435761u % sizeof(far)] = 1;
}

static void *pass(void *arg)
{
	struct room *r = arg;

	for (unsigned n = 0; n < PASSES; n++) {
		delay_stores(n);
		sl_latch_enter(&r->latch);
		work(r);
		sl_latch_leave(&r->latch);
	}
	return NULL;
}

static void *shut(void *arg)
{
	struct room *r = arg;

	for (unsigned n = 0; n < SHUTS; n++) {
		sl_latch_shut(&r->latch);
		work(r);
		sl_latch_open(&r->latch);
		for (unsigned spin = n * 7919 % 262144; spin; spin--)
			__atomic_signal_fence(__ATOMIC_SEQ_CST); /* the one gets inside meanwhile */
	}
	return NULL;
}

/* Does the latch keep one in the way and several who shut it apart? */
static bool keeps_apart(bool fenced)
{
	pthread_t threads[SHUTTERS + 1];
	struct room r = {.count = 0};

	sl_latch_init(&r.latch);
	r.latch.fenced |= fenced;
	for (unsigned i = 0; i <= SHUTTERS; i++)
		if (pthread_create(&threads[i], NULL, i ? shut : pass, &r))
			abort();
	for (unsigned i = 0; i <= SHUTTERS; i++)
		pthread_join(threads[i], NULL);
	sl_latch_destroy(&r.latch);
	return !r.torn && r.count == PASSES + SHUTTERS * SHUTS && r.twin == r.count;
}

static void test_keeps_apart(void **state)
{
	(void)state;
	assert_true(keeps_apart(false));
	assert_true(keeps_apart(true));
}

/* In a process that may not call membarrier(2). */
static int forbidden(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {sizeof(code) / sizeof(code[0]), code};
	struct room before, after;

	sl_latch_init(&before.latch);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		return 2;
	sl_latch_init(&after.latch);
	sl_latch_shut(&before.latch); /* ends all the same */
	sl_latch_open(&before.latch);
	return after.latch.fenced && keeps_apart(false) ? 0 : 1;
}

static void test_without_membarrier(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (!child)
		_exit(forbidden());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

struct meeting {
	struct sl_latch latch;
	uint32_t wants, left;
	bool was_in;
};

static void *interrupt(void *arg)
{
	struct meeting *m = arg;

	sl_store_release(&m->wants, 1);
	sl_latch_shut(&m->latch);
	m->was_in = !sl_load_relaxed(&m->left);
	sl_latch_open(&m->latch);
	return NULL;
}

static void test_shut_waits(void **state)
{
	struct meeting m = {.wants = 0};
	pthread_t thread;

	(void)state;
	sl_latch_init(&m.latch);
	sl_latch_enter(&m.latch);
	assert_int_equal(pthread_create(&thread, NULL, interrupt, &m), 0);
	while (!sl_load_acquire(&m.wants) || !sl_load_acquire(&m.latch.shut))
		sched_yield();
	usleep(20000); /* it is past its yields and naps */
	sl_store_relaxed(&m.left, 1);
	sl_latch_leave(&m.latch);
	sl_latch_enter(&m.latch); /* after it or before: both end */
	sl_latch_leave(&m.latch);
	pthread_join(thread, NULL);
	assert_false(m.was_in);
	sl_latch_destroy(&m.latch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keeps_apart),
		cmocka_unit_test(test_without_membarrier),
		cmocka_unit_test(test_shut_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
