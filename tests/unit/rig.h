/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two fakes joined by a link, and workers that are either stepped by the test, which then
 * sees a missed wakeup as a stall, or run by threads.
 */
#ifndef SL_TESTS_RIG_H
#define SL_TESTS_RIG_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sluice/link.h>

#include "fake.h"

#define RIG_WORKERS 24

struct rig {
	struct fake *f[2];
	struct sl_link *link;
	struct sl_link_config config;
	struct sl_worker *workers[RIG_WORKERS];
	pthread_t threads[RIG_WORKERS];
	bool threaded;
	bool idle; /* nobody wanted another step */
	uint32_t closed;
	uint32_t ended;
	uint64_t captured[2][FAKE_QUEUES]; /* the next sequence number */
	uint32_t miscaptured;
};

/* How a test runs: one worker (the rings are not shared), or more than there is to do, so
 * that receiving and sending are split (they are). */
struct mode {
	unsigned workers;
	bool threaded;
};

static const struct mode modes[] = {{1, false}, {2, false}, {4, false}, {1, true}, {4, true}};

#define MODES_END (modes + sizeof(modes) / sizeof(*modes))

static inline void *rig_thread(void *worker)
{
	return (void *)(intptr_t)sl_worker_run(worker);
}

static inline void rig_make(struct rig *r, const struct mode *m, unsigned qa, unsigned qb)
{
	memset(r, 0, sizeof(*r));
	r->threaded = m->threaded;
	r->f[0] = fake_new("left", qa);
	r->f[1] = fake_new("right", qb);
	r->f[0]->closed_out = r->f[1]->closed_out = &r->closed;
	for (unsigned i = 0; i < m->workers; i++)
		assert_int_equal(sl_worker_create(SL_POLL_OFF, &r->workers[i]), 0);
	r->config = (struct sl_link_config){
		.ports = {&r->f[0]->port, &r->f[1]->port},
		.workers = r->workers,
		.n_workers = m->workers,
		.ring_size = 32,
		.ctx = r,
	};
}

static inline void rig_join(struct rig *r)
{
	if (sl_link_create(&r->config, &r->link))
		fail_msg("no link: %s", sl_reason());
	for (unsigned i = 0; r->threaded && i < r->config.n_workers; i++)
		pthread_create(&r->threads[i], NULL, rig_thread, r->workers[i]);
}

static inline void rig_open(struct rig *r, const struct mode *m)
{
	rig_make(r, m, 1, 1);
	rig_join(r);
}

static inline void rig_halt(struct rig *r)
{
	for (unsigned i = 0; r->threaded && i < r->config.n_workers; i++) {
		void *ret;

		sl_worker_stop(r->workers[i]);
		pthread_join(r->threads[i], &ret);
		assert_null(ret);
	}
	r->threaded = false;
}

/* The threads end first: what they work on is the failing test's. */
static inline void rig_fail(struct rig *r, const char *what, const char *goal, int line)
{
	const char *how = r->threaded ? " in threads" : "";

	rig_halt(r);
	fail_msg("%u workers%s, line %d: %s%s", r->config.n_workers, how, line, what, goal);
}

static inline void rig_check(struct rig *r, int line)
{
	for (unsigned i = 0; i < 2; i++)
		if (get(&r->f[i]->breach))
			rig_fail(r, i ? "right: " : "left: ", get(&r->f[i]->breach), line);
}

/* Step every worker once. Returns how many want to go on at once. */
static inline unsigned rig_step(struct rig *r)
{
	unsigned busy = 0;

	for (unsigned i = 0; i < r->config.n_workers; i++) {
		int ret = sl_worker_step(r->workers[i]);

		if (ret < 0)
			fail_msg("sl_worker_step: %d", ret);
		busy += ret > 0;
	}
	return busy;
}

/* Wait as an external loop would. Returns how many workers are readable. */
static inline int rig_poll(struct rig *r, int timeout_ms)
{
	struct pollfd fds[RIG_WORKERS];

	for (unsigned i = 0; i < r->config.n_workers; i++)
		fds[i] = (struct pollfd){sl_worker_fd(r->workers[i]), POLLIN, 0};
	return poll(fds, r->config.n_workers, timeout_ms);
}

static inline void rig_turn(struct rig *r, uint64_t turn, const char *goal, int line)
{
	rig_check(r, line);
	if (r->threaded) {
		usleep(100);
		if (turn > 100000)
			rig_fail(r, "it never came to ", goal, line);
		return;
	}
	if (turn > 1000000)
		rig_fail(r, "busy without end, and not ", goal, line);
	if (turn && r->idle && !rig_poll(r, 5000))
		rig_fail(r, "asleep, and not ", goal, line);
	r->idle = !rig_step(r);
}

#define until(r, condition)                                                                        \
	do {                                                                                       \
		for (uint64_t turn_ = 0; !(condition); turn_++)                                    \
			rig_turn((r), turn_, #condition, __LINE__);                                \
		rig_check((r), __LINE__);                                                          \
	} while (0)

static inline uint64_t rig_rounds(struct rig *r)
{
	struct sl_worker_stats s;
	uint64_t rounds = 0;

	for (unsigned i = 0; i < r->config.n_workers; i++) {
		sl_worker_get_stats(r->workers[i], &s);
		rounds += s.rounds;
	}
	return rounds;
}

/* Nothing is to be done any more: everybody sleeps, and stays asleep. */
static inline void rig_rest(struct rig *r, int line)
{
	uint64_t before = 0, rounds;
	unsigned still = 0;

	for (unsigned turn = 0; turn < 20000; turn++) {
		if (!r->threaded) {
			if (!rig_step(r) && !rig_poll(r, 0))
				return;
			continue;
		}
		rounds = rig_rounds(r);
		still = rounds == before ? still + 1 : 0;
		if (still == 4)
			return;
		before = rounds;
		usleep(2000);
	}
	rig_fail(r, "they never sleep", "", line);
}

#define rest(r) rig_rest((r), __LINE__)

/* Less what the port had finished, which it is counted in as well: see fake_let_go(). */
static inline uint64_t rig_lost(struct rig *r, unsigned from)
{
	struct sl_link_stats s;

	sl_link_get_stats(r->link, from, &s);
	return sl_count_drops(&s.between) - get(&r->f[!from]->surplus);
}

static inline uint64_t rig_drops(struct rig *r, unsigned from, enum sl_drop reason)
{
	struct sl_link_stats s;

	sl_link_get_stats(r->link, from, &s);
	return s.between.drops[reason];
}

static inline bool rig_gone(struct rig *r, unsigned from)
{
	struct sl_link_stats s;

	sl_link_get_stats(r->link, from, &s);
	return s.gone;
}

/* Everything a port gave was delivered or dropped and counted. */
static inline void rig_balance(struct rig *r)
{
	for (unsigned i = 0; i < 2; i++) {
		struct sl_link_stats s;

		sl_link_get_stats(r->link, i, &s);
		assert_true(s.exists);
		assert_int_equal(s.in.packets, fake_given(r->f[i]));
		if (!s.between.cut)
			assert_int_equal(s.in.packets, s.out.packets + rig_lost(r, i));
	}
}

static inline void rig_close(struct rig *r)
{
	rig_halt(r);
	sl_link_stop(r->link);
	rig_check(r, __LINE__);
	assert_true(get(&r->f[0]->stopped) && get(&r->f[1]->stopped));
	assert_true(fake_all_back(r->f[0]) && fake_all_back(r->f[1]));
	rig_balance(r);
	sl_link_release(r->link);
	assert_int_equal(r->closed, 2);
	for (unsigned i = 0; i < r->config.n_workers; i++)
		sl_worker_release(r->workers[i]);
}

static inline void rig_close_lossless(struct rig *r)
{
	struct sl_link_stats s;

	for (unsigned i = 0; i < 2; i++) {
		sl_link_get_stats(r->link, i, &s);
		assert_int_equal(sl_count_drops(&s.between), 0);
	}
	rig_close(r);
}

/* Without a link: a test of what is refused. */
static inline void rig_discard(struct rig *r)
{
	for (unsigned i = 0; i < 2; i++)
		fake_free(r->f[i]);
	for (unsigned i = 0; i < RIG_WORKERS; i++)
		sl_worker_release(r->workers[i]);
}

#endif
