/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "base/barrier.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/count.h"
#include "base/fd.h"
#include "base/reason.h"
#include "work/worker.h"

#define NEVER UINT64_MAX

/* A sleep shorter than this would have been found by looking a little longer. */
#define SPIN_MAX_NS (50 * SL_NS_PER_US)
#define SPIN_MIN_NS (5 * SL_NS_PER_US)
/* So often in a row it may look as long as it does and sleep a little longer all the same; then it
 * does not look for so many sleeps. */
#define MISSES_MOST 8
#define REST_SLEEPS 256
/* While it spins, a worker still asks epoll once in so many rounds. */
#define SPIN_ROUNDS 16
/* One that is always busy never arms what has fallen quiet: it looks there once in so many. */
#define LOOK_ROUNDS 64

struct sl_worker {
	int epoll;
	int event;
	int timer;
	uint32_t stopping;
	enum sl_poll poll;
	struct sl_task *tasks;
	struct sl_watch event_watch;
	struct sl_watch timer_watch;
	uint64_t timer_at;  /* what the timer is set to, NEVER for off */
	uint64_t worked_at; /* when something was last moved */
	uint64_t spin_ns;   /* how long to look before sleeping; adapts, up to spin_max_ns */
	uint64_t spin_max_ns;
	uint64_t short_ns; /* a sleep shorter than this says that looking may pay */
	unsigned misses, rest;
	struct sl_worker_stats stats;
};

int sl_worker_create(enum sl_poll poll, struct sl_worker **out)
{
	struct sl_worker *w = calloc(1, sizeof(*w));
	int ret = 0;

	if (!w)
		return sl_fail(ENOMEM, "no memory for a worker");
	w->poll = poll;
	w->timer_at = NEVER;
	w->spin_max_ns = w->short_ns = SPIN_MAX_NS;
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	w->event_watch.fd = w->event;
	w->timer_watch.fd = w->timer;
	if (w->epoll < 0 || w->event < 0 || w->timer < 0)
		ret = sl_fail(errno, "a worker needs epoll, an eventfd and a timerfd: %m");
	if (!ret)
		ret = sl_worker_watch(w, &w->event_watch, EPOLLIN);
	if (!ret)
		ret = sl_worker_watch(w, &w->timer_watch, EPOLLIN);
	if (ret)
		sl_worker_release(w);
	else
		*out = w;
	return ret;
}

void sl_worker_release(struct sl_worker *w)
{
	if (!w)
		return;
	sl_fd_close(&w->timer);
	sl_fd_close(&w->event);
	sl_fd_close(&w->epoll);
	free(w);
}

int sl_worker_fd(const struct sl_worker *w)
{
	return w->epoll;
}

int sl_worker_event(const struct sl_worker *w)
{
	return w->event;
}

void sl_worker_wake(struct sl_worker *w)
{
	sl_event_signal(w->event);
}

void sl_worker_stop(struct sl_worker *w)
{
	sl_store_release(&w->stopping, 1);
	sl_event_signal(w->event);
}

void sl_worker_add(struct sl_worker *w, struct sl_task *task)
{
	struct sl_task **last = &w->tasks;

	while (*last)
		last = &(*last)->next;
	task->next = NULL;
	*last = task;
}

void sl_worker_remove(struct sl_worker *w, struct sl_task *task)
{
	struct sl_task **at = &w->tasks;

	while (*at && *at != task)
		at = &(*at)->next;
	if (*at)
		*at = task->next;
}

int sl_worker_watch(struct sl_worker *w, struct sl_watch *watch, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = watch};
	int op = !events ? EPOLL_CTL_DEL : !watch->events ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	if (watch->events == events || watch->fd < 0)
		return 0;
	/* A descriptor that is closed has left the set by itself. */
	if (epoll_ctl(w->epoll, op, watch->fd, &e) && events)
		return sl_fail(errno, "cannot wait for descriptor %d: %m", watch->fd);
	watch->events = events;
	if (!events)
		watch->ready = 0;
	return 0;
}

void sl_worker_get_stats(const struct sl_worker *w, struct sl_worker_stats *stats)
{
	stats->rounds = sl_count_read(&w->stats.rounds);
	stats->busy = sl_count_read(&w->stats.busy);
	stats->sleeps = sl_count_read(&w->stats.sleeps);
	stats->spins = sl_count_read(&w->stats.spins);
}

/* Collect what has come; @timeout_ms as for epoll_wait(2). */
static int collect(struct sl_worker *w, int timeout_ms)
{
	struct epoll_event events[32];
	int n = epoll_wait(w->epoll, events, sl_array_len(events), timeout_ms);

	for (int i = 0; i < n; i++) {
		struct sl_watch *watch = events[i].data.ptr;

		watch->ready |= events[i].events;
	}
	if (w->event_watch.ready)
		sl_event_clear(w->event);
	if (w->timer_watch.ready) {
		sl_event_clear(w->timer);
		w->timer_at = NEVER;
	}
	w->event_watch.ready = w->timer_watch.ready = 0;
	return n < 0 && errno != EINTR ? sl_fail(errno, "epoll_wait: %m") : sl_max(n, 0);
}

static void set_timer(struct sl_worker *w, uint64_t at)
{
	struct itimerspec t = {{0, 0}, {0, 0}};

	if (at == w->timer_at)
		return;
	w->timer_at = at;
	if (at != NEVER) {
		t.it_value.tv_sec = (time_t)(at / SL_NS_PER_S);
		t.it_value.tv_nsec = (long)(at % SL_NS_PER_S) + !at; /* all 0 would disarm it */
	}
	timerfd_settime(w->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static int step_tasks(struct sl_worker *w, uint64_t now, bool poll)
{
	int did = 0;

	for (struct sl_task *t = w->tasks, *next; t; t = next) {
		next = t->next;
		did += t->step(t, now, poll);
	}
	sl_count_add(&w->stats.rounds, 1);
	if (did) {
		sl_count_add(&w->stats.busy, 1);
		w->worked_at = now;
	}
	return did;
}

/* True when some task has work already. */
static bool arm_tasks(struct sl_worker *w)
{
	uint64_t deadline = NEVER;
	bool work = false;

	for (struct sl_task *t = w->tasks; t; t = t->next)
		work |= t->arm(t, &deadline);
	if (!work)
		set_timer(w, deadline);
	return work;
}

/* Look again instead of sleeping? */
static bool spins(const struct sl_worker *w, uint64_t now)
{
	if (w->poll == SL_POLL_ADAPTIVE)
		return now - w->worked_at < w->spin_ns;
	return w->poll == SL_POLL_ON;
}

void sl_worker_look(struct sl_worker *w, uint64_t most_ns, uint64_t short_ns)
{
	w->spin_max_ns = most_ns;
	w->short_ns = short_ns;
}

/* A sleep that was short says that looking longer pays; a long one that it does not. */
static void adapt(struct sl_worker *w, uint64_t slept_ns)
{
	bool longest = w->spin_ns == w->spin_max_ns;

	if (slept_ns >= w->short_ns) {
		w->spin_ns = w->spin_ns > SPIN_MIN_NS ? w->spin_ns / 2 : 0;
		return;
	}
	if (w->rest) {
		w->rest--;
		return;
	}
	w->spin_ns = sl_min(sl_max(w->spin_ns * 2, SPIN_MIN_NS), w->spin_max_ns);
	if (slept_ns < w->spin_max_ns || !longest || ++w->misses < MISSES_MOST)
		return;
	w->misses = 0;
	w->spin_ns = 0;
	w->rest = REST_SLEEPS;
}

/* A round. @told: epoll was asked just now. Returns 1 to go on at once, 0 when all is
 * armed, or a negative errno. */
static int turn(struct sl_worker *w, bool told)
{
	uint64_t now = sl_now_ns();
	bool look = w->stats.rounds % LOOK_ROUNDS == 0;
	bool poll = (spins(w, now) || look) && !told;
	bool ask = !told && (!poll || w->stats.rounds % SPIN_ROUNDS == 0);
	int ret = ask ? collect(w, 0) : 0;

	if (ret < 0)
		return ret;
	if (step_tasks(w, now, poll)) {
		w->misses = poll ? 0 : w->misses; /* looking has paid */
		return 1;
	}
	if (spins(w, now)) {
		sl_count_add(&w->stats.spins, 1);
		return 1;
	}
	return arm_tasks(w);
}

int sl_worker_step(struct sl_worker *w)
{
	return turn(w, false);
}

int sl_worker_run(struct sl_worker *w)
{
	bool told = false;
	int ret = 0;

	while (!sl_load_acquire(&w->stopping) && ret >= 0) {
		uint64_t slept_at;

		ret = turn(w, told);
		told = false;
		/* A stop since the last look had its signal taken by that round. */
		if (ret || sl_load_acquire(&w->stopping))
			continue;
		slept_at = sl_now_ns();
		sl_count_add(&w->stats.sleeps, 1);
		ret = collect(w, -1);
		told = true;
		adapt(w, sl_now_ns() - slept_at);
	}
	sl_store_release(&w->stopping, 0);
	return ret < 0 ? ret : 0;
}
