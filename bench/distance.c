/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How far two processors are from each other while others work on them: a line of memory goes there
 * and back, a few times each 20 ms, until SIGTERM comes. Where the processors are virtual, whoever
 * gives them out may move them under one's feet: to a pair that shares a cache, or to one that does
 * not.
 * usage: distance CPU CPU; prints {"ns": the median of one way, "far": the share above 150 ns}
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TRIPS	100u
#define SAMPLES 10000u
#define FAR_NS	150

static _Alignas(128) atomic_uint there;
static _Alignas(128) atomic_uint back;
static _Alignas(128) sem_t turn;
static atomic_bool over;

/* Before all that is in the way: both have to be there at the same time. True: it may not. */
static bool settle(const char *cpu)
{
	const struct sched_param first = {.sched_priority = 1};
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)atoi(cpu), &set);
	return sched_setaffinity(0, sizeof(set), &set) || sched_setscheduler(0, SCHED_FIFO, &first);
}

static void *answer(void *cpu)
{
	unsigned n = 0;

	if (settle(cpu)) {
		perror("distance: its place and priority");
		exit(1);
	}
	for (;;) {
		while (sem_wait(&turn))
			;
		if (over)
			return NULL;
		for (unsigned i = 0; i < TRIPS; i++) {
			n++;
			while (atomic_load_explicit(&there, memory_order_acquire) != n)
				;
			atomic_store_explicit(&back, n, memory_order_release);
		}
	}
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Returns ns of one way. The first trip is not counted: the other one has to wake for it. */
static double ask(void)
{
	static unsigned n;
	uint64_t begin = 0;

	sem_post(&turn);
	for (unsigned i = 0; i < TRIPS; i++) {
		atomic_store_explicit(&there, ++n, memory_order_release);
		while (atomic_load_explicit(&back, memory_order_acquire) != n)
			;
		if (!i)
			begin = now();
	}
	return (double)(now() - begin) / (2 * (TRIPS - 1));
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	const struct timespec pause = {.tv_nsec = 20000000};
	static double ns[SAMPLES];
	unsigned n = 0, far = 0;
	pthread_t other;
	sigset_t end;

	if (argc != 3) {
		fprintf(stderr, "usage: distance CPU CPU\n");
		return 2;
	}
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	sem_init(&turn, 0, 0);
	/* The other one first: it would begin with this one's place and priority. */
	if (pthread_create(&other, NULL, answer, argv[2]) || settle(argv[1])) {
		perror("distance: its place and priority");
		return 1;
	}
	do {
		ns[n] = ask();
		far += ns[n++] > FAR_NS;
	} while (n < SAMPLES && sigtimedwait(&end, NULL, &pause) < 0);
	over = true;
	sem_post(&turn);
	pthread_join(other, NULL);
	qsort(ns, n, sizeof(*ns), by_size);
	printf("{\"ns\": %.0f, \"far\": %.2f}\n", ns[n / 2], (double)far / n);
	return 0;
}
