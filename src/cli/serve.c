/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice serve: be a device, for a virtual machine or for the kernel. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <sluice/offer.h>
#include <sluice/reason.h>

#include "base/fd.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "cli/run.h"
#include "cli/serve_show.h"

#define FENCE_LOOK_MS 10

struct options {
	const char *model, *via;
	enum sl_poll poll;
	double stats; /* seconds between two lines, 0 for none */
	bool json;
	int verbose;
};

struct serve {
	const struct options *options;
	struct sl_log log;
	struct sl_worker *worker;
	struct sl_offer *offer;
	struct run_thread thread;
	struct serve_show show;
	atomic_bool failed; /* an error was logged */
	int signals;
	int ended; /* eventfd: the offer has ended, or the worker has failed */
};

const char *const sl_serve_options[] = {
	"--via", "--poll", "--stats", "--json", "--verbose", "--help", NULL,
};

static void print_help(void)
{
	printf("Usage: sluice serve [options] MODEL[,KEY=VALUE...] --via TRANSPORT:KEY=VALUE,...\n\n"
	       "Is a virtio device, for a virtual machine or for this machine's own kernel, until a\n"
	       "signal. Killed and started again it goes on where it was: no request is lost.\n\n"
	       "Options:\n"
	       "  --via TRANSPORT    how its driver reaches it\n"
	       "  --poll MODE        off, adaptive or on: look before sleeping (adaptive)\n"
	       "  --stats S          a line every S seconds; 0 for none (1)\n"
	       "  --json             one JSON object an interval and a final one\n"
	       "  -v, --verbose      say what was found and chosen; twice for more\n"
	       "  -h, --help         this\n\n"
	       "Models, as MODEL,KEY=VALUE,...:\n");
	for (const struct sl_model_ops *const *m = sl_model_kinds(); *m; m++)
		print_params((*m)->kind, ',', (*m)->help, (*m)->params);
	printf("\nTransports, as TRANSPORT:KEY=VALUE,...:\n");
	for (const struct sl_transport_kind *const *t = sl_offer_kinds(); *t; t++)
		print_params((*t)->kind, ':', (*t)->help, (*t)->params);
	printf("\nExamples:\n"
	       "  sluice serve blk,file=disk.img --via vhost-user:path=/run/disk.sock\n"
	       "  sluice serve blk,mem=1G,queues=2 --via vhost-user:path=disk.sock,mode=connect\n"
	       "  sluice serve blk,file=/dev/vg0/data --via vduse:name=disk0,attach=on\n");
}

/*
 * Options.
 */

static int parse_option(int c, char **argv, struct options *o)
{
	switch (c) {
	case 'V':
		o->via = optarg;
		return 0;
	case 'P':
		return run_parse_poll("serve", optarg, &o->poll);
	case 's':
		return run_parse_seconds("serve", "--stats", optarg, &o->stats);
	case 'j':
		o->json = true;
		return 0;
	case 'v':
		o->verbose++;
		return 0;
	case 'h':
		print_help();
		return -1;
	default:
		return run_bad_option("serve", c, argv, sl_serve_options);
	}
}

/* Returns 0, an exit status, or -1 when help was given and there is no more to do. */
static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"via", required_argument, NULL, 'V'},
		{"poll", required_argument, NULL, 'P'},
		{"stats", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"verbose", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{NULL},
	};
	int c, ret = 0;

	*o = (struct options){.poll = SL_POLL_ADAPTIVE, .stats = 1};
	opterr = 0;
	while (!ret && (c = getopt_long(argc, argv, "vh", longs, NULL)) != -1)
		ret = parse_option(c, argv, o);
	if (ret)
		return ret;
	if (argc - optind != 1)
		return sl_usage_error("serve", "one model is needed, %d given", argc - optind);
	if (!o->via)
		return sl_usage_error("serve", "--via says how the device is reached: "
					       "--via vhost-user:path=SOCKET");
	o->model = argv[optind];
	return 0;
}

/*
 * Running.
 */

static void log_line(void *ctx, enum sl_log_level level, const char *line)
{
	struct serve *s = ctx;

	if (level == SL_LOG_ERROR)
		s->failed = true;
	run_log_line("serve", s->show.terminal, level, line);
}

static void on_ended(void *ctx)
{
	sl_event_signal(((struct serve *)ctx)->ended);
}

static void on_interval(void *ctx)
{
	struct serve *s = ctx;

	serve_show_interval(&s->show, s->offer);
}

/* Its driver may come at once, and is answered once the fence is passed. */
static bool wait_until_ready(struct serve *s)
{
	struct pollfd fds[2] = {{.fd = s->signals, .events = POLLIN},
				{.fd = s->ended, .events = POLLIN}};

	while (sl_offer_get_state(s->offer) == SL_OFFER_FENCED)
		if (poll(fds, 2, FENCE_LOOK_MS) > 0)
			return false;
	fprintf(stderr, "sluice serve: ready: %s by %s\n", s->options->model, s->options->via);
	return true;
}

static int run_offer(struct serve *s)
{
	const struct options *o = s->options;
	int ret = run_thread_start(&s->thread);

	if (ret) {
		fprintf(stderr, "sluice serve: cannot start a thread: %s\n", strerror(-ret));
		return EXIT_FAILED;
	}
	if (wait_until_ready(s))
		run_watch(&(struct run_watch){.signals = s->signals,
					      .ended = s->ended,
					      .stats = o->stats,
					      .interval = on_interval,
					      .ctx = s});
	sl_worker_stop(s->worker);
	run_thread_join(&s->thread);
	if (s->thread.ret)
		fprintf(stderr, "sluice serve: %s\n", s->thread.reason);
	ret = sl_offer_stop(s->offer);
	if (ret)
		fprintf(stderr, "sluice serve: %s\n", sl_reason());
	serve_show_final(&s->show, s->offer);
	return ret || s->thread.ret || s->failed ? EXIT_FAILED : EXIT_OK;
}

/*
 * Setting up. What the user asked for and cannot be is EXIT_USAGE.
 */

static int fail(void)
{
	fprintf(stderr, "sluice serve: %s\n", sl_reason());
	return EXIT_USAGE;
}

static int make_offer(struct serve *s)
{
	struct sl_offer_config config = {
		.via = s->options->via,
		.worker = s->worker,
		.ended = on_ended,
		.ctx = s,
		.log = &s->log,
	};
	int status;

	if (sl_model_open(s->options->model, &s->log, &config.model))
		return fail();
	serve_show_start(&s->show, config.model, s->options->json);
	if (!sl_offer_create(&config, &s->offer))
		return EXIT_OK;
	status = fail();
	config.model->ops->close(config.model);
	return status;
}

static int set_up(struct serve *s)
{
	s->signals = run_signals();
	s->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->signals < 0 || s->ended < 0) {
		fprintf(stderr, "sluice serve: no descriptors: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	if (sl_worker_create(s->options->poll, &s->worker))
		return fail();
	s->thread.worker = s->worker;
	s->thread.ended = s->ended;
	return make_offer(s);
}

int sl_cmd_serve(int argc, char **argv)
{
	struct options options;
	struct serve s = {.options = &options, .signals = -1, .ended = -1};
	int status = parse(argc, argv, &options);

	if (status)
		return status < 0 ? EXIT_OK : status;
	s.log = (struct sl_log){log_line, &s, SL_LOG_WARN + (enum sl_log_level)options.verbose};
	status = set_up(&s);
	if (!status)
		status = run_offer(&s);
	sl_offer_release(s.offer);
	sl_worker_release(s.worker);
	sl_fd_close(&s.signals);
	sl_fd_close(&s.ended);
	return status;
}
