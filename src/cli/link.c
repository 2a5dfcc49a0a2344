/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice link: join two ports. */
#include <errno.h>
#include <getopt.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <sluice/sluice.h>

#include "base/fd.h"
#include "cli/capture.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "cli/run.h"
#include "cli/show.h"

#define WORKERS_MAX 64

struct options {
	unsigned workers;
	enum sl_poll poll;
	double duration; /* seconds, 0 for no end */
	double stats;	 /* seconds between two lines, 0 for none */
	bool json;
	const char *pcap;
	int verbose;
	const char *ports[2];
};

struct run {
	const struct options *options;
	struct sl_log log;
	struct sl_link *link;
	struct capture *capture;
	atomic_bool capture_failed;
	atomic_bool failed; /* a port has reported an error */
	int signals;
	int ended; /* eventfd: the source has ended, or a worker has failed */
	struct run_thread workers[WORKERS_MAX];
	struct show show;
};

const char *const sl_link_options[] = {
	"--workers", "--poll",	  "--duration", "--stats", "--json",
	"--pcap",    "--verbose", "--help",	NULL,
};

static void print_help(void)
{
	printf("Usage: sluice link [options] PORT PORT\n\n"
	       "Joins two ports and moves packets between them until a signal, the end of\n"
	       "--duration, or the end of a port that has one.\n\n"
	       "Options:\n"
	       "  --workers N        threads that move packets (1)\n"
	       "  --poll MODE        off, adaptive or on: look before sleeping (adaptive)\n"
	       "  --duration S       stop after S seconds; 0 for no end\n"
	       "  --stats S          a line every S seconds; 0 for none (1)\n"
	       "  --json             one JSON object an interval and a final one\n"
	       "  --pcap FILE        capture all that crosses the link\n"
	       "  -v, --verbose      say what was found and chosen; twice for more\n"
	       "  -h, --help         this\n\n"
	       "Ports, as KIND:KEY=VALUE,...:\n");
	for (const struct sl_port_ops *const *kind = sl_port_kinds(); *kind; kind++)
		print_params((*kind)->kind, ':', (*kind)->help, (*kind)->params);
	printf("\nExamples:\n"
	       "  sluice link tap:name=a tap:name=b\n"
	       "  sluice link tun:name=t0,netns=left,addr=10.0.0.1/24 tun:name=t0,netns=right,addr=10.0.0.2/24\n"
	       "  sluice link tun:name=t0,addr=10.8.0.1/24 \\\n"
	       "      tunnel:local=192.0.2.1:1194,identity=/etc/sluice/id,peer=FINGERPRINT,role=server\n"
	       "  sluice link tap:name=t0 pcap:write=t0.pcap --duration 10\n"
	       "  sluice link gen:size=1400,rate=10k,flows=4 null: --duration 5 --json\n");
}

/*
 * Options.
 */

static int parse_workers(const char *text, unsigned *out)
{
	char *rest;
	long n = strtol(text, &rest, 10);

	if (rest == text || *rest || n < 1 || n > WORKERS_MAX)
		return sl_usage_error("link", "--workers %s is not a number from 1 to %d", text,
				      WORKERS_MAX);
	*out = (unsigned)n;
	return 0;
}

static int parse_option(int c, char **argv, struct options *o)
{
	switch (c) {
	case 'w':
		return parse_workers(optarg, &o->workers);
	case 'P':
		return run_parse_poll("link", optarg, &o->poll);
	case 'd':
		return run_parse_seconds("link", "--duration", optarg, &o->duration);
	case 's':
		return run_parse_seconds("link", "--stats", optarg, &o->stats);
	case 'j':
		o->json = true;
		return 0;
	case 'p':
		o->pcap = optarg;
		return 0;
	case 'v':
		o->verbose++;
		return 0;
	case 'h':
		print_help();
		return -1;
	default:
		return run_bad_option("link", c, argv, sl_link_options);
	}
}

/* Returns 0, an exit status, or -1 when help was given and there is no more to do. */
static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"workers", required_argument, NULL, 'w'},
		{"poll", required_argument, NULL, 'P'},
		{"duration", required_argument, NULL, 'd'},
		{"stats", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"pcap", required_argument, NULL, 'p'},
		{"verbose", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{NULL},
	};
	int c, ret = 0;

	*o = (struct options){.workers = 1, .poll = SL_POLL_ADAPTIVE, .stats = 1};
	opterr = 0;
	while (!ret && (c = getopt_long(argc, argv, "vh", longs, NULL)) != -1)
		ret = parse_option(c, argv, o);
	if (ret)
		return ret;
	if (argc - optind != 2)
		return sl_usage_error("link", "two ports are needed, %d given", argc - optind);
	o->ports[0] = argv[optind];
	o->ports[1] = argv[optind + 1];
	return 0;
}

/*
 * Running.
 */

static void log_line(void *ctx, enum sl_log_level level, const char *line)
{
	struct run *run = ctx;

	if (level == SL_LOG_ERROR)
		run->failed = true;
	run_log_line("link", run->show.terminal, level, line);
}

static void on_ended(void *ctx)
{
	sl_event_signal(((struct run *)ctx)->ended);
}

static void on_packet(void *ctx, unsigned from, const struct sl_ring *ring, uint32_t at)
{
	struct run *run = ctx;

	(void)from;
	if (!capture_packet(run->capture, ring, at))
		run->capture_failed = true;
}

static void on_interval(void *ctx)
{
	struct run *run = ctx;

	show_interval(&run->show, run->link);
}

/* Returns an exit status. */
static int stop_workers(struct run *run)
{
	int status = EXIT_OK;

	for (unsigned i = 0; i < run->options->workers; i++)
		if (run->workers[i].runs)
			sl_worker_stop(run->workers[i].worker);
	for (unsigned i = 0; i < run->options->workers; i++) {
		struct run_thread *t = &run->workers[i];

		run_thread_join(t);
		if (!t->ret)
			continue;
		fprintf(stderr, "sluice link: %s\n", t->reason);
		status = EXIT_FAILED;
	}
	return status;
}

static int run_link(struct run *run)
{
	const struct options *o = run->options;
	int status, ret = 0;

	for (unsigned i = 0; i < o->workers && !ret; i++) {
		run->workers[i].ended = run->ended;
		ret = run_thread_start(&run->workers[i]);
	}
	if (!ret)
		run_watch(&(struct run_watch){run->signals, run->ended, o->duration, o->stats,
					      on_interval, run});
	status = stop_workers(run);
	sl_link_stop(run->link);
	if (run->failed)
		status = EXIT_FAILED;
	if (run->capture_failed || !capture_flush(run->capture)) {
		fprintf(stderr,
			"sluice link: the capture %s is not complete: it could not be written\n",
			run->options->pcap);
		status = EXIT_FAILED;
	}
	show_final(&run->show, run->link);
	if (ret)
		fprintf(stderr, "sluice link: cannot start a thread: %s\n", strerror(-ret));
	return ret ? EXIT_FAILED : status;
}

/*
 * Setting up. What the user asked for and cannot be is EXIT_USAGE.
 */

static int fail(void)
{
	fprintf(stderr, "sluice link: %s\n", sl_reason());
	return EXIT_USAGE;
}

static int open_ports(const struct run *run, struct sl_port *ports[2])
{
	const struct options *o = run->options;
	int same = sl_port_same(o->ports[0], o->ports[1]);

	if (same < 0)
		return fail();
	if (same)
		return sl_usage_error("link", "both ports are %s: a link needs two different ones",
				      o->ports[0]);
	for (unsigned i = 0; i < 2; i++) {
		if (!sl_port_open(o->ports[i], &run->log, &ports[i]))
			continue;
		if (i)
			ports[0]->ops->close(ports[0]);
		return fail();
	}
	return EXIT_OK;
}

static unsigned layer_of(struct sl_port *const ports[2])
{
	struct sl_port_info a, b;

	ports[0]->ops->info(ports[0], &a);
	ports[1]->ops->info(ports[1], &b);
	return a.layer ? a.layer : b.layer ? b.layer : 2;
}

static int make_link(struct run *run)
{
	struct sl_worker *workers[WORKERS_MAX];
	struct sl_link_config config = {
		.workers = workers,
		.n_workers = run->options->workers,
		.ended = on_ended,
		.ctx = run,
		.log = &run->log,
	};
	int status = open_ports(run, config.ports);

	if (status)
		return status;
	if (run->options->pcap &&
	    !capture_open(run->options->pcap, layer_of(config.ports), &run->capture))
		config.capture = on_packet;
	for (unsigned i = 0; i < config.n_workers; i++)
		workers[i] = run->workers[i].worker;
	if (run->options->pcap && !run->capture)
		status = EXIT_USAGE;
	if (!status && !sl_link_create(&config, &run->link))
		return EXIT_OK;
	status = fail();
	config.ports[0]->ops->close(config.ports[0]);
	config.ports[1]->ops->close(config.ports[1]);
	return status;
}

static int set_up(struct run *run)
{
	const struct options *o = run->options;

	run->signals = run_signals();
	run->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (run->signals < 0 || run->ended < 0) {
		fprintf(stderr, "sluice link: no descriptors: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	for (unsigned i = 0; i < o->workers; i++)
		if (sl_worker_create(o->poll, &run->workers[i].worker))
			return fail();
	return EXIT_OK;
}

static void tear_down(struct run *run)
{
	sl_link_release(run->link);
	for (unsigned i = 0; i < run->options->workers; i++)
		sl_worker_release(run->workers[i].worker);
	capture_close(run->capture);
	sl_fd_close(&run->signals);
	sl_fd_close(&run->ended);
}

int sl_cmd_link(int argc, char **argv)
{
	struct options options;
	struct run *run;
	int status = parse(argc, argv, &options);

	if (status)
		return status < 0 ? EXIT_OK : status;
	run = calloc(1, sizeof(*run));
	if (!run)
		return EXIT_FAILED;
	run->options = &options;
	run->log = (struct sl_log){log_line, run, SL_LOG_WARN + (enum sl_log_level)options.verbose};
	status = set_up(run);
	if (!status)
		status = make_link(run);
	if (!status) {
		show_start(&run->show, options.ports, options.json);
		status = run_link(run);
	}
	tear_down(run);
	free(run);
	return status;
}
