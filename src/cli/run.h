/* SPDX-License-Identifier: BSD-2-Clause */
/* What the commands share that run until they are told to end. */
#ifndef SL_CLI_RUN_H
#define SL_CLI_RUN_H

#include <pthread.h>
#include <stdbool.h>

#include <sluice/log.h>
#include <sluice/worker.h>

/** run_parse_seconds() - the value of @option of command @name. Return: 0, or EXIT_USAGE, said why
 */
int run_parse_seconds(const char *name, const char *option, const char *text, double *out);

/** run_parse_poll() - the value of --poll. Return: as run_parse_seconds() */
int run_parse_poll(const char *name, const char *text, enum sl_poll *out);

/** run_bad_option() - what getopt_long(3) has returned '?' or ':' for. Return: EXIT_USAGE */
int run_bad_option(const char *name, int c, char **argv, const char *const *options);

/** run_log_line() - "sluice NAME: ..." on stderr; @over: a status line stands on the terminal */
void run_log_line(const char *name, bool over, enum sl_log_level level, const char *line);

/** run_signals() - SIGINT, SIGTERM and SIGHUP come by this descriptor from now on, in all threads
 * that are started later, and SIGPIPE is no more: a closed stdout is an error to see. Return: it,
 * or -1 */
int run_signals(void);

/**
 * struct run_watch - what the main thread does while others work
 * @signals, @ended: descriptors; it is over when one is readable
 * @duration:        or after so many seconds, 0 for no end
 * @stats:           seconds between two calls of @interval, 0 for none
 */
struct run_watch {
	int signals, ended;
	double duration, stats;
	void (*interval)(void *ctx);
	void *ctx;
};

/** run_watch() - return when it is over, or nobody reads stdout any more */
void run_watch(const struct run_watch *w);

/**
 * struct run_thread - a thread that runs a worker
 * @worker: whose; not owned
 * @ended:  eventfd, signalled when the worker has failed
 * @ret:    after run_thread_join(): what it returned; @reason: why, if that is not 0
 */
struct run_thread {
	struct sl_worker *worker;
	int ended;
	pthread_t thread;
	bool runs;
	int ret;
	char reason[256];
};

/** run_thread_start() - @worker and @ended are set. Return: 0, or a negative errno */
int run_thread_start(struct run_thread *t);

/** run_thread_join() - after sl_worker_stop(); of one that does not run: nothing to do */
void run_thread_join(struct run_thread *t);

#endif
