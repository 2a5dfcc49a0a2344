/* SPDX-License-Identifier: BSD-2-Clause */
/* The worker: tasks, watches, timers, stopping, sleeping and looking. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <sluice/reason.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "work/worker.h"

#define get(p)	  __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define set(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define NEVER	  UINT64_MAX

/*
 * The kernel as the worker sees it, watched: these stand in front of libc's.
 */

static uint32_t ctl_calls;
static uint32_t settime_calls;
static struct itimerspec settime_last;
static struct sl_worker *stop_in_clock;

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	__atomic_add_fetch(&ctl_calls, 1, __ATOMIC_RELAXED);
	return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
	__atomic_add_fetch(&settime_calls, 1, __ATOMIC_RELAXED);
	settime_last = *value;
	return (int)syscall(SYS_timerfd_settime, fd, flags, value, old);
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	struct sl_worker *w = clock == CLOCK_MONOTONIC ? get(&stop_in_clock) : NULL;

	if (w) {
		set(&stop_in_clock, NULL);
		sl_worker_stop(w);
	}
	return (int)syscall(SYS_clock_gettime, clock, t);
}

/*
 * A task that writes down what is done with it.
 */

struct probe {
	struct sl_task task;
	struct sl_worker *worker;
	char name;
	int work;	 /* rounds that it still has something to do */
	bool armed_work; /* what arm() says */
	uint64_t deadline;
	struct sl_watch watch;
	uint32_t want;	/* events */
	uint32_t steps; /* any thread may read */
	uint32_t kicks; /* any thread may write; step() takes them */
	uint32_t taken;
	bool wakes_itself;
	uint64_t stepped_at;
	uint32_t polls;
	uint32_t saw; /* watch.ready */
	struct sl_task *removes;
};

static char diary[256];

static void note(char what, char name)
{
	size_t len = strlen(diary);

	if (len + 3 < sizeof(diary))
		snprintf(diary + len, sizeof(diary) - len, "%c%c", what, name);
}

static int probe_step(struct sl_task *task, uint64_t now_ns, bool poll)
{
	struct probe *p = sl_container_of(task, struct probe, task);
	uint32_t kicks = __atomic_exchange_n(&p->kicks, 0, __ATOMIC_ACQ_REL);

	if (p->name)
		note('s', p->name);
	p->stepped_at = now_ns;
	p->polls += poll;
	set(&p->saw, p->watch.ready);
	set(&p->steps, p->steps + 1);
	set(&p->taken, p->taken + kicks);
	if (p->removes)
		sl_worker_remove(p->worker, p->removes);
	p->removes = NULL;
	if (p->work)
		p->work--;
	return (int)kicks + (p->work > 0);
}

static bool probe_arm(struct sl_task *task, uint64_t *deadline)
{
	struct probe *p = sl_container_of(task, struct probe, task);

	if (p->name)
		note('a', p->name);
	if (p->deadline < *deadline)
		*deadline = p->deadline;
	assert_int_equal(sl_worker_watch(p->worker, &p->watch, p->want), 0);
	if (get(&p->wakes_itself))
		sl_worker_wake(p->worker);
	return p->armed_work;
}

static struct probe probe_make(struct sl_worker *w, char name)
{
	return (struct probe){
		.task = {.step = probe_step, .arm = probe_arm},
		.worker = w,
		.name = name,
		.deadline = NEVER,
		.watch.fd = -1,
	};
}

static struct sl_worker *worker(enum sl_poll poll)
{
	struct sl_worker *w;

	assert_int_equal(sl_worker_create(poll, &w), 0);
	diary[0] = '\0';
	return w;
}

static bool readable(const struct sl_worker *w, int timeout_ms)
{
	struct pollfd p = {sl_worker_fd(w), POLLIN, 0};

	return poll(&p, 1, timeout_ms) == 1;
}

/* Step until it would sleep. */
static void settle(struct sl_worker *w)
{
	for (unsigned n = 0; n < 1000; n++)
		if (!sl_worker_step(w) && !readable(w, 0))
			return;
	fail_msg("it never comes to rest: %s", diary);
}

/*
 * Tasks.
 */

static void test_order(void **state)
{
	struct sl_worker *w = worker(SL_POLL_OFF);
	struct probe a = probe_make(w, '1'), b = probe_make(w, '2'), c = probe_make(w, '3');

	(void)state;
	assert_int_equal(sl_worker_step(w), 0);
	sl_worker_add(w, &a.task);
	sl_worker_add(w, &b.task);
	sl_worker_add(w, &c.task);
	b.work = 2;
	assert_int_equal(sl_worker_step(w), 1);
	assert_string_equal(diary, "s1s2s3"); /* who has worked is not armed */
	assert_int_equal(sl_worker_step(w), 0);
	assert_string_equal(diary, "s1s2s3s1s2s3a1a2a3");
	diary[0] = '\0';
	b.armed_work = true;
	assert_int_equal(sl_worker_step(w), 1);
	assert_string_equal(diary, "s1s2s3a1a2a3"); /* all are armed, also behind it */
	sl_worker_release(w);
}

static void test_remove(void **state)
{
	struct sl_worker *w = worker(SL_POLL_OFF);
	struct probe a = probe_make(w, '1'), b = probe_make(w, '2'), c = probe_make(w, '3');

	(void)state;
	sl_worker_add(w, &a.task);
	sl_worker_add(w, &b.task);
	sl_worker_add(w, &c.task);
	sl_worker_remove(w, &b.task);
	sl_worker_remove(w, &b.task); /* not there: nothing happens */
	sl_worker_step(w);
	assert_string_equal(diary, "s1s3a1a3");
	diary[0] = '\0';
	a.removes = &a.task; /* itself, from inside */
	sl_worker_step(w);
	assert_string_equal(diary, "s1s3a3");
	sl_worker_remove(w, &c.task);
	sl_worker_add(w, &b.task);
	diary[0] = '\0';
	sl_worker_step(w);
	assert_string_equal(diary, "s2a2");
	sl_worker_release(w);
	sl_worker_release(NULL);
}

/*
 * Watches.
 */

static void test_watch(void **state)
{
	struct sl_worker *w = worker(SL_POLL_OFF);
	struct probe p = probe_make(w, 0);
	uint32_t calls;

	(void)state;
	sl_worker_add(w, &p.task);
	p.watch.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	p.want = POLLIN;
	settle(w);
	calls = ctl_calls;
	for (unsigned n = 0; n < 10; n++)
		sl_worker_step(w);
	assert_int_equal(ctl_calls, calls); /* cheap when unchanged */
	assert_int_equal(p.watch.ready, 0);
	sl_event_signal(p.watch.fd);
	assert_true(readable(w, 5000));
	sl_worker_step(w);
	assert_int_equal(p.watch.ready, POLLIN);
	sl_event_clear(p.watch.fd);
	p.watch.ready = 0;
	settle(w);
	assert_int_equal(p.watch.ready, 0);
	p.want = POLLIN | POLLOUT;
	sl_worker_step(w); /* arms it */
	assert_true(readable(w, 5000));
	sl_worker_step(w);
	assert_int_equal(p.watch.ready, POLLOUT);
	p.want = 0;
	sl_worker_step(w);
	assert_int_equal(p.watch.ready, 0); /* what is not waited for has not come */
	sl_event_signal(p.watch.fd);
	settle(w);
	assert_int_equal(p.watch.ready, 0);
	sl_fd_close(&p.watch.fd);
	sl_worker_release(w);
}

static void test_watch_odd(void **state)
{
	struct sl_worker *w = worker(SL_POLL_OFF);
	struct sl_watch none = {.fd = -1}, gone = {.fd = eventfd(0, EFD_CLOEXEC)},
			file = {.fd = -1};
	char number[16];

	(void)state;
	assert_int_equal(sl_worker_watch(w, &none, POLLIN), 0);
	assert_int_equal(sl_worker_watch(w, &gone, POLLIN), 0);
	close(gone.fd); /* it has left the set by itself */
	assert_int_equal(sl_worker_watch(w, &gone, 0), 0);
	assert_int_equal(gone.events, 0);
	assert_int_equal(sl_worker_watch(w, &gone, POLLIN), -EBADF);
	snprintf(number, sizeof(number), "%d", gone.fd);
	assert_non_null(strstr(sl_reason(), number));
	file.fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_int_equal(sl_worker_watch(w, &file, POLLIN), -EPERM);
	close(file.fd);
	sl_worker_release(w);
}

/* More descriptors ready at once than one look collects. */
static void test_many_watches(void **state)
{
	struct sl_worker *w = worker(SL_POLL_OFF);
	struct sl_watch watches[100];
	unsigned ready = 0;

	(void)state;
	for (unsigned n = 0; n < 100; n++) {
		watches[n] = (struct sl_watch){.fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC)};
		assert_int_equal(sl_worker_watch(w, &watches[n], POLLIN), 0);
	}
	for (unsigned turn = 0; turn < 100 && ready < 100; turn++) {
		assert_true(readable(w, 5000));
		sl_worker_step(w);
		for (unsigned n = 0; n < 100; n++) {
			if (!watches[n].ready)
				continue;
			watches[n].ready = 0;
			sl_event_clear(watches[n].fd);
			ready++;
		}
	}
	assert_int_equal(ready, 100);
	for (unsigned n = 0; n < 100; n++)
		close(watches[n].fd);
	sl_worker_release(w);
}

/*
 * Timers.
 */

static uint64_t now(void)
{
	return sl_now_ns();
}

static void test_deadline(void **state)
{
	struct sl_worker *w = worker(SL_POLL_OFF);
	struct probe a = probe_make(w, 0), b = probe_make(w, 0);

	(void)state;
	sl_worker_add(w, &a.task);
	sl_worker_add(w, &b.task);
	for (unsigned n = 0; n < 10; n++) {
		uint64_t first = now() + (n + 1) * SL_NS_PER_MS;

		a.deadline = n & 1 ? first : first + SL_NS_PER_S;
		b.deadline = n & 1 ? NEVER : first; /* the earlier of the two */
		assert_int_equal(sl_worker_step(w), 0);
		assert_true(readable(w, 5000));
		a.deadline = b.deadline = NEVER;
		assert_int_equal(sl_worker_step(w), 0);
		assert_true(a.stepped_at >= first); /* not early */
		assert_false(readable(w, 0));
	}
	sl_worker_release(w);
}

static void test_deadline_passed(void **state)
{
	const uint64_t passed[] = {0, 1, SL_NS_PER_S, now() - 1};
	struct sl_worker *w = worker(SL_POLL_OFF);
	struct probe p = probe_make(w, 0);

	(void)state;
	sl_worker_add(w, &p.task);
	for (unsigned n = 0; n < 8; n++) {
		p.deadline = passed[n / 2]; /* twice: it has to be set again */
		assert_int_equal(sl_worker_step(w), 0);
		assert_true(readable(w, 5000));
	}
	sl_worker_release(w);
}

static void test_deadline_unchanged_and_removed(void **state)
{
	struct sl_worker *w = worker(SL_POLL_OFF);
	struct probe p = probe_make(w, 0);
	uint32_t calls;

	(void)state;
	sl_worker_add(w, &p.task);
	p.deadline = now() + 1000 * SL_NS_PER_S;
	settle(w);
	assert_int_equal(settime_last.it_value.tv_sec, p.deadline / SL_NS_PER_S);
	assert_int_equal(settime_last.it_value.tv_nsec, p.deadline % SL_NS_PER_S);
	calls = settime_calls;
	for (unsigned n = 0; n < 10; n++)
		sl_worker_step(w);
	assert_int_equal(settime_calls, calls);
	p.deadline = NEVER;
	settle(w);
	assert_int_equal(settime_calls, calls + 1);
	assert_int_equal(settime_last.it_value.tv_sec | settime_last.it_value.tv_nsec, 0);
	settle(w);
	assert_int_equal(settime_calls, calls + 1);
	sl_worker_release(w);
}

/*
 * Stopping.
 */

static void *run(void *w)
{
	int ret = sl_worker_run(w);

	return (void *)(intptr_t)ret;
}

/* Wait for a thread with a bound: a stop that is lost must not hang the tests. */
static void join(pthread_t thread, struct sl_worker *w)
{
	struct timespec until;
	void *ret;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	if (pthread_timedjoin_np(thread, &ret, &until)) {
		sl_worker_stop(w);
		pthread_join(thread, &ret);
		fail_msg("the first sl_worker_stop() was lost");
	}
	assert_null(ret);
}

static void wait_for(const uint32_t *value, uint32_t at_least)
{
	for (unsigned n = 0; n < 200000 && get(value) < at_least; n++)
		usleep(100);
	assert_true(get(value) >= at_least);
}

static void test_stop_from_thread(void **state)
{
	struct sl_worker *w = worker(SL_POLL_OFF);
	pthread_t thread;

	(void)state;
	for (unsigned n = 0; n < 2000; n++) {
		assert_int_equal(pthread_create(&thread, NULL, run, w), 0);
		sl_worker_stop(w); /* before, while or after it falls asleep */
		join(thread, w);
	}
	sl_worker_release(w);
}

/* The stop comes after sl_worker_run() has looked for one, and the round takes its signal. */
static void test_stop_in_a_round(void **state)
{
	struct sl_worker *w = worker(SL_POLL_OFF);
	pthread_t thread;

	(void)state;
	set(&stop_in_clock, w);
	assert_int_equal(pthread_create(&thread, NULL, run, w), 0);
	join(thread, w);
	sl_worker_release(w);
}

static struct sl_worker *handler_stops;

static void on_signal(int number)
{
	(void)number;
	sl_worker_stop(handler_stops);
}

static void test_stop_from_handler(void **state)
{
	struct sigaction action = {.sa_handler = on_signal}, was;
	struct sl_worker *w = worker(SL_POLL_OFF);
	struct probe p = probe_make(w, 0);
	pthread_t thread;

	(void)state;
	handler_stops = w;
	sl_worker_add(w, &p.task);
	sigaction(SIGUSR1, &action, &was);
	for (unsigned n = 0; n < 50; n++) {
		uint32_t steps = get(&p.steps);

		assert_int_equal(pthread_create(&thread, NULL, run, w), 0);
		wait_for(&p.steps, steps + 1);
		pthread_kill(thread, SIGUSR1);
		join(thread, w);
	}
	sigaction(SIGUSR1, &was, NULL);
	sl_worker_release(w);
}

static void on_nothing(int number)
{
	(void)number;
}

/* A signal that means nothing to it does not end it. */
static void test_interrupted(void **state)
{
	struct sigaction action = {.sa_handler = on_nothing}, was;
	struct sl_worker *w = worker(SL_POLL_OFF);
	struct probe p = probe_make(w, 0);
	pthread_t thread;

	(void)state;
	sl_worker_add(w, &p.task);
	sigaction(SIGUSR1, &action, &was);
	assert_int_equal(pthread_create(&thread, NULL, run, w), 0);
	wait_for(&p.steps, 1);
	/* One that comes before the worker sleeps wakes nobody: send more until one does. */
	for (unsigned n = 0; n < 200000 && get(&p.steps) < 20; n++) {
		pthread_kill(thread, SIGUSR1);
		usleep(100);
	}
	assert_true(get(&p.steps) >= 20);
	sl_worker_stop(w);
	join(thread, w);
	sigaction(SIGUSR1, &was, NULL);
	sl_worker_release(w);
}

/*
 * Waking, from inside an external loop and from inside sl_worker_run().
 */

static void *kick(void *arg)
{
	struct probe *p = arg;

	for (unsigned n = 0; n < 20000; n++) {
		__atomic_add_fetch(&p->kicks, 1, __ATOMIC_ACQ_REL);
		sl_worker_wake(p->worker);
	}
	return NULL;
}

static void test_external_loop(void **state)
{
	for (enum sl_poll poll = SL_POLL_OFF; poll <= SL_POLL_ADAPTIVE; poll++) {
		struct sl_worker *w = worker(poll);
		struct probe p = probe_make(w, 0);
		pthread_t thread;

		sl_worker_add(w, &p.task);
		assert_int_equal(pthread_create(&thread, NULL, kick, &p), 0);
		while (p.taken < 20000)
			if (!sl_worker_step(w) && p.taken < 20000)
				assert_true(readable(w, 20000));
		pthread_join(thread, NULL);
		sl_worker_release(w);
	}
	(void)state;
}

static void test_wake(void **state)
{
	struct sl_worker *w = worker(SL_POLL_OFF);
	struct probe p = probe_make(w, 0);
	pthread_t thread;

	(void)state;
	sl_worker_add(w, &p.task);
	assert_int_equal(pthread_create(&thread, NULL, run, w), 0);
	for (uint32_t n = 1; n <= 5000; n++) {
		__atomic_add_fetch(&p.kicks, 1, __ATOMIC_ACQ_REL);
		sl_worker_wake(w);
		while (n % 64 == 0 && get(&p.taken) < n)
			wait_for(&p.taken, n); /* let it fall asleep now and then */
	}
	wait_for(&p.taken, 5000);
	sl_worker_stop(w);
	join(thread, w);
	sl_worker_release(w);
}

/*
 * Sleeping, and looking a little longer before.
 */

static struct sl_worker_stats stats_of(const struct sl_worker *w)
{
	struct sl_worker_stats s;

	sl_worker_get_stats(w, &s);
	return s;
}

#define wait_until(condition)                                                                      \
	do {                                                                                       \
		for (unsigned n_ = 0; n_ < 200000 && !(condition); n_++)                           \
			usleep(100);                                                               \
		assert_true(condition);                                                            \
	} while (0)

static void test_poll_off(void **state)
{
	struct sl_worker *w = worker(SL_POLL_OFF);
	struct probe p = probe_make(w, 0);
	struct sl_worker_stats s;
	pthread_t thread;

	(void)state;
	sl_worker_add(w, &p.task);
	assert_int_equal(pthread_create(&thread, NULL, run, w), 0);
	for (uint32_t n = 1; n <= 20; n++) {
		wait_until(stats_of(w).sleeps >= n);
		set(&p.kicks, 1);
		sl_worker_wake(w);
		wait_for(&p.taken, n);
	}
	sl_worker_stop(w);
	join(thread, w);
	s = stats_of(w);
	assert_int_equal(s.spins, 0);
	assert_true(p.polls <= s.rounds / 64 + 1);
	assert_int_equal(s.busy, 20);
	assert_true(s.rounds >= s.busy + s.sleeps && s.sleeps >= 20);
	sl_worker_release(w);
}

static void test_poll_on(void **state)
{
	struct sl_worker *w = worker(SL_POLL_ON);
	struct probe p = probe_make(w, 0);
	pthread_t thread;

	(void)state;
	sl_worker_add(w, &p.task);
	p.watch.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_int_equal(sl_worker_watch(w, &p.watch, POLLIN), 0);
	assert_int_equal(pthread_create(&thread, NULL, run, w), 0);
	wait_until(stats_of(w).spins > 1000);
	sl_event_signal(p.watch.fd); /* descriptors are still looked at */
	wait_for(&p.saw, 1);
	assert_int_equal(stats_of(w).sleeps, 0);
	sl_worker_stop(w);
	join(thread, w);
	assert_true(p.polls);
	close(p.watch.fd);
	sl_worker_release(w);
}

/* Short sleeps teach it to look longer, long ones to sleep at once. */
static void test_poll_adaptive(void **state)
{
	struct sl_worker *w = worker(SL_POLL_ADAPTIVE);
	struct probe p = probe_make(w, 0);
	uint64_t spins, sleeps;
	pthread_t thread;

	(void)state;
	sl_worker_add(w, &p.task);
	assert_int_equal(pthread_create(&thread, NULL, run, w), 0);
	wait_until(stats_of(w).sleeps);
	assert_int_equal(stats_of(w).spins, 0); /* it starts by sleeping */
	set(&p.wakes_itself, true);		/* every sleep is over at once */
	sl_worker_wake(w);
	for (unsigned n = 0; n < 200000 && !stats_of(w).spins; n++) {
		set(&p.kicks, 1);
		usleep(20);
	}
	assert_true(stats_of(w).spins);
	set(&p.wakes_itself, false);
	for (unsigned n = 0; n < 30; n++) {
		sleeps = stats_of(w).sleeps;
		set(&p.kicks, 1);
		sl_worker_wake(w);
		wait_until(stats_of(w).sleeps > sleeps);
		usleep(500); /* so long does it sleep now, at least */
		if (n < 20)
			spins = stats_of(w).spins;
	}
	assert_int_equal(stats_of(w).spins, spins);
	sl_worker_stop(w);
	join(thread, w);
	sl_worker_release(w);
}

/* Sleeps are short, and yet longer than it may look: after some time it does not look for a while.
 */
static void test_poll_in_vain(void **state)
{
	struct sl_worker *w = worker(SL_POLL_ADAPTIVE);
	struct probe p = probe_make(w, 0);
	unsigned looked = 0, rested = 0;
	pthread_t thread;

	(void)state;
	sl_worker_look(w, 20 * SL_NS_PER_US, 100 * SL_NS_PER_S);
	sl_worker_add(w, &p.task);
	assert_int_equal(pthread_create(&thread, NULL, run, w), 0);
	for (unsigned n = 0; n < 2000 && rested < 50; n++) {
		uint64_t spins = stats_of(w).spins, sleeps = stats_of(w).sleeps;

		set(&p.kicks, 1);
		sl_worker_wake(w);
		wait_until(stats_of(w).sleeps > sleeps);
		usleep(100);
		looked += stats_of(w).spins > spins;
		rested = stats_of(w).spins > spins ? 0 : rested + 1;
	}
	assert_true(looked);
	assert_int_equal(rested, 50);
	sl_worker_stop(w);
	join(thread, w);
	sl_worker_release(w);
}

/*
 * Descriptors.
 */

static unsigned open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void test_no_leaks(void **state)
{
	unsigned before = open_fds();

	(void)state;
	for (unsigned n = 0; n < 50; n++) {
		struct sl_worker *w = worker(n % 3);

		assert_true(sl_worker_event(w) >= 0);
		sl_worker_release(w);
	}
	assert_int_equal(open_fds(), before);
}

static void test_create_fails(void **state)
{
	struct rlimit was, few;
	unsigned before = open_fds();
	int lowest = eventfd(0, 0);

	(void)state;
	close(lowest);
	getrlimit(RLIMIT_NOFILE, &was);
	for (int n = 0; n < 3; n++) {
		struct sl_worker *w = NULL;
		int ret;

		few = was;
		few.rlim_cur = (rlim_t)(lowest + n);
		setrlimit(RLIMIT_NOFILE, &few);
		ret = sl_worker_create(SL_POLL_OFF, &w);
		setrlimit(RLIMIT_NOFILE, &was);
		assert_int_equal(ret, -EMFILE);
		assert_null(w);
		assert_true(*sl_reason());
		assert_int_equal(open_fds(), before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_watch_odd),
		cmocka_unit_test(test_many_watches),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_deadline_passed),
		cmocka_unit_test(test_deadline_unchanged_and_removed),
		cmocka_unit_test(test_stop_from_thread),
		cmocka_unit_test(test_stop_in_a_round),
		cmocka_unit_test(test_stop_from_handler),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_external_loop),
		cmocka_unit_test(test_wake),
		cmocka_unit_test(test_poll_off),
		cmocka_unit_test(test_poll_on),
		cmocka_unit_test(test_poll_adaptive),
		cmocka_unit_test(test_poll_in_vain),
		cmocka_unit_test(test_no_leaks),
		cmocka_unit_test(test_create_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
