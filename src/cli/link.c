/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice link: join two ports. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <sluice/sluice.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "cli/capture.h"
#include "cli/cli.h"
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

struct worker {
	struct sl_worker *worker;
	pthread_t thread;
	bool runs;
	int ret;
	char reason[256];
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
	struct worker workers[WORKERS_MAX];
	struct show show;
};

const char *const sl_link_options[] = {
	"--workers", "--poll",	  "--duration", "--stats", "--json",
	"--pcap",    "--verbose", "--help",	NULL,
};

static void print_port(const struct sl_port_ops *ops)
{
	printf("\n  %s:  %s\n", ops->kind, ops->help);
	for (const struct sl_param *p = ops->params; p->name; p++) {
		bool first = p->flags & SL_PARAM_FIRST;
		int len = printf("    %s%s%s", first ? "" : p->name, first ? "" : "=", p->value);

		if (len > 24) /* it reaches into the next column */
			len = printf("\n") - 1;
		printf("%*s%s\n", 25 - len, "", p->help);
	}
}

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
		print_port(*kind);
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

static int parse_seconds(const char *option, const char *text, double *out)
{
	char *rest;

	*out = strtod(text, &rest);
	if (rest == text || *rest || !(*out >= 0) || *out > 1e9)
		return sl_usage_error("link", "%s %s is not a number of seconds", option, text);
	if (*out > 0 && *out < 0.01)
		return sl_usage_error("link", "%s %s: 0.01 seconds at least", option, text);
	return 0;
}

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

static int parse_poll(const char *text, enum sl_poll *out)
{
	static const char *const names[] = {"off", "adaptive", "on", NULL};

	for (int i = 0; names[i]; i++) {
		*out = (enum sl_poll)i;
		if (!strcmp(names[i], text))
			return 0;
	}
	return sl_usage_error("link", "--poll %s is neither off, adaptive nor on", text);
}

static int parse_option(int c, char **argv, struct options *o)
{
	switch (c) {
	case 'w':
		return parse_workers(optarg, &o->workers);
	case 'P':
		return parse_poll(optarg, &o->poll);
	case 'd':
		return parse_seconds("--duration", optarg, &o->duration);
	case 's':
		return parse_seconds("--stats", optarg, &o->stats);
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
		if (optopt && c == '?' && strncmp(argv[optind - 1], "--", 2))
			return sl_usage_error("link", "no option \"-%c\"", optopt);
		return sl_bad_option("link", argv[optind - 1], sl_link_options);
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
	static const char *const names[] = {"error: ", "warning: ", "", ""};
	struct run *run = ctx;

	if (level == SL_LOG_ERROR)
		run->failed = true;
	fprintf(stderr, "%ssluice link: %s%s\n", run->show.terminal ? "\r\033[K" : "", names[level],
		line);
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

struct start {
	struct run *run;
	struct worker *worker;
};

static void *work(void *arg)
{
	struct start *start = arg;
	struct worker *w = start->worker;

	w->ret = sl_worker_run(w->worker);
	if (w->ret) {
		snprintf(w->reason, sizeof(w->reason), "%s", sl_reason());
		sl_event_signal(start->run->ended);
	}
	free(start);
	return NULL;
}

static int start_worker(struct run *run, struct worker *w)
{
	struct start *start = malloc(sizeof(*start));

	if (!start)
		return -ENOMEM;
	*start = (struct start){run, w};
	if (pthread_create(&w->thread, NULL, work, start)) {
		free(start);
		return -EAGAIN;
	}
	w->runs = true;
	return 0;
}

/* SIGINT and SIGTERM end the run; SIGPIPE must not: a closed stdout is an error to see. */
static int take_signals(void)
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

/* Until a signal, the end of the duration, or the end of a source. */
static void watch(struct run *run)
{
	const struct options *o = run->options;
	struct pollfd fds[2] = {{.fd = run->signals, .events = POLLIN},
				{.fd = run->ended, .events = POLLIN}};
	uint64_t start = sl_now_ns(), end = after(start, o->duration),
		 next = after(start, o->stats);

	for (;;) {
		uint64_t now = sl_now_ns(), until = end < next ? end : next;
		int timeout = until == SL_NEVER ? -1
			      : until > now ? (int)((until - now + SL_NS_PER_MS - 1) / SL_NS_PER_MS)
					    : 0;

		if (until != SL_NEVER && until - now > 3600 * SL_NS_PER_S && until > now)
			timeout = 3600 * 1000; /* an int of milliseconds does not hold much more */
		if (poll(fds, 2, timeout) > 0)
			return;
		now = sl_now_ns();
		if (now >= end)
			return;
		if (now < next)
			continue;
		show_interval(&run->show, run->link);
		next = after(sl_max(next, now - (uint64_t)(o->stats * SL_NS_PER_S / 2)), o->stats);
		if (ferror(stdout))
			return; /* nobody reads on */
	}
}

/* Returns an exit status. */
static int stop_workers(struct run *run)
{
	int status = EXIT_OK;

	for (unsigned i = 0; i < run->options->workers; i++)
		if (run->workers[i].runs)
			sl_worker_stop(run->workers[i].worker);
	for (unsigned i = 0; i < run->options->workers; i++) {
		struct worker *w = &run->workers[i];

		if (w->runs)
			pthread_join(w->thread, NULL);
		w->runs = false;
		if (!w->ret)
			continue;
		fprintf(stderr, "sluice link: %s\n", w->reason);
		status = EXIT_FAILED;
	}
	return status;
}

static int run_link(struct run *run)
{
	int status, ret = 0;

	for (unsigned i = 0; i < run->options->workers && !ret; i++)
		ret = start_worker(run, &run->workers[i]);
	if (!ret)
		watch(run);
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

	run->signals = take_signals();
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
