/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include <sluice/port.h>
#include <sluice/reason.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "cli/cli.h"
#include "cli/run.h"

int run_parse_seconds(const char *name, const char *option, const char *text, double *out)
{
	char *rest;

	*out = strtod(text, &rest);
	if (rest == text || *rest || !(*out >= 0) || *out > 1e9)
		return sl_usage_error(name, "%s %s is not a number of seconds", option, text);
	if (*out > 0 && *out < 0.01)
		return sl_usage_error(name, "%s %s: 0.01 seconds at least", option, text);
	return 0;
}

int run_parse_poll(const char *name, const char *text, enum sl_poll *out)
{
	static const char *const names[] = {"off", "adaptive", "on", NULL};

	for (int i = 0; names[i]; i++) {
		*out = (enum sl_poll)i;
		if (!strcmp(names[i], text))
			return 0;
	}
	return sl_usage_error(name, "--poll %s is neither off, adaptive nor on", text);
}

int run_bad_option(const char *name, int c, char **argv, const char *const *options)
{
	if (optopt && c == '?' && strncmp(argv[optind - 1], "--", 2))
		return sl_usage_error(name, "no option \"-%c\"", optopt);
	return sl_bad_option(name, argv[optind - 1], options);
}

void run_log_line(const char *name, bool over, enum sl_log_level level, const char *line)
{
	static const char *const levels[] = {"error: ", "warning: ", "", ""};

	fprintf(stderr, "%ssluice %s: %s%s\n", over ? "\r\033[K" : "", name, levels[level], line);
}

int run_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	sigdelset(&set, SIGPIPE);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static uint64_t after(uint64_t now_ns, double seconds)
{
	return seconds > 0 ? now_ns + (uint64_t)(seconds * SL_NS_PER_S) : SL_NEVER;
}

/* For poll(2): an int of milliseconds does not hold much more than an hour... */
static int timeout_ms(uint64_t now_ns, uint64_t until_ns)
{
	if (until_ns == SL_NEVER)
		return -1;
	if (until_ns <= now_ns)
		return 0;
	return (int)((sl_min(until_ns - now_ns, 3600 * SL_NS_PER_S) + SL_NS_PER_MS - 1) /
		     SL_NS_PER_MS);
}

void run_watch(const struct run_watch *w)
{
	struct pollfd fds[2] = {{.fd = w->signals, .events = POLLIN},
				{.fd = w->ended, .events = POLLIN}};
	uint64_t now = sl_now_ns(), end = after(now, w->duration), next = after(now, w->stats);

	while (now < end && poll(fds, 2, timeout_ms(now, sl_min(end, next))) <= 0) {
		now = sl_now_ns();
		if (now >= end || now < next)
			continue;
		w->interval(w->ctx);
		next = after(sl_max(next, now - (uint64_t)(w->stats * SL_NS_PER_S / 2)), w->stats);
		if (ferror(stdout))
			return; /* nobody reads on */
	}
}

static void *work(void *arg)
{
	struct run_thread *t = arg;

	t->ret = sl_worker_run(t->worker);
	if (t->ret) {
		snprintf(t->reason, sizeof(t->reason), "%s", sl_reason());
		sl_event_signal(t->ended);
	}
	return NULL;
}

int run_thread_start(struct run_thread *t)
{
	int err = pthread_create(&t->thread, NULL, work, t);

	t->runs = !err;
	return -err;
}

void run_thread_join(struct run_thread *t)
{
	if (t->runs)
		pthread_join(t->thread, NULL);
	t->runs = false;
}
