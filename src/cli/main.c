/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice(1): the command table. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <sluice/sluice.h>

#include "cli/cli.h"

static const char *const no_options[] = {NULL};

static const struct sl_cmd cmds[] = {
	{"link", sl_cmd_link, "[options] PORT PORT", "join two ports and move packets",
	 sl_link_options},
	{"serve", sl_cmd_serve, "MODEL --via TRANSPORT", "be a disk, for a guest or the kernel",
	 sl_serve_options},
	{"io", sl_cmd_io, "SOCKET [options]", "drive a disk over vhost-user: measure it, verify it",
	 sl_io_options},
	{"vduse", sl_cmd_vduse, "list|destroy NAME",
	 "VDUSE devices, and an end to those left behind", sl_vduse_options},
	{"probe", sl_cmd_probe, "[--json]", "what this machine offers, and what it lacks",
	 sl_probe_options},
	{"devices", sl_cmd_devices, "[--json]", "the PCI devices, and how to drive each",
	 sl_devices_options},
	{"show", sl_cmd_show, "ADDRESS [--json]", "all that is known of one", sl_show_options},
	{"bind", sl_cmd_bind, "ADDRESS DRIVER", "give a device to another driver", sl_bind_options},
	{"unbind", sl_cmd_unbind, "ADDRESS [--restore]", "take it away, or give it back",
	 sl_unbind_options},
	{"keygen", sl_cmd_keygen, "--out|--show DIR",
	 "make who this end of a tunnel is, or show it", sl_keygen_options},
	{"help", sl_cmd_help, "[COMMAND]", "this, or a command's own help", no_options},
	/* For the shell's completion; not shown. */
	{"complete", sl_cmd_complete, NULL, NULL, no_options},
	{NULL},
};

const struct sl_cmd *sl_cmds(void)
{
	return cmds;
}

int sl_usage_error(const char *name, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "sluice%s%s: ", name ? " " : "", name ? name : "");
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\nTry: sluice %s%s\n", name ? name : "help", name ? " --help" : "");
	return EXIT_USAGE;
}

int sl_bad_option(const char *name, const char *given, const char *const *options)
{
	const char *nearest = sl_param_nearest(given, options);

	if (nearest && !strcmp(nearest, given))
		return sl_usage_error(name, "%s needs a value", given);
	if (nearest)
		return sl_usage_error(name, "no option \"%s\"; did you mean \"%s\"?", given,
				      nearest);
	return sl_usage_error(name, "no option \"%s\"", given);
}

static const struct sl_cmd *find(const char *name)
{
	for (const struct sl_cmd *cmd = cmds; cmd->name; cmd++)
		if (!strcmp(cmd->name, name))
			return cmd;
	return NULL;
}

static int unknown(const char *name)
{
	const char *names[sizeof(cmds) / sizeof(cmds[0])] = {NULL};
	const char *nearest;
	size_t n = 0;

	for (const struct sl_cmd *cmd = cmds; cmd->name; cmd++)
		if (cmd->help)
			names[n++] = cmd->name;
	nearest = sl_param_nearest(name, names);
	if (nearest)
		return sl_usage_error(NULL, "no command \"%s\"; did you mean \"%s\"?", name,
				      nearest);
	return sl_usage_error(NULL, "no command \"%s\"", name);
}

static void print_help(FILE *to)
{
	fprintf(to, "sluice: drive a device, be a device, join devices and carry their packets\n\n"
		    "Usage:\n");
	for (const struct sl_cmd *cmd = cmds; cmd->name; cmd++)
		if (cmd->help)
			fprintf(to, "  sluice %-7s %-21s %s\n", cmd->name, cmd->usage, cmd->help);
	fprintf(to, "  sluice --version\n\n"
		    "Examples:\n"
		    "  sluice link tap:name=a tap:name=b\n"
		    "  sluice link tap:name=t0,addr=10.0.0.1/24 pcap:write=t0.pcap --duration 10\n"
		    "  sluice serve blk,file=disk.img --via vhost-user:path=disk.sock\n"
		    "  sluice io disk.sock --op randread --bs 4k --qd 32 --time 5\n"
		    "  sluice probe\n"
		    "  sluice devices\n"
		    "  sluice keygen --out /etc/sluice/me\n\n"
		    "Manual: man sluice\n");
}

int sl_cmd_help(int argc, char **argv)
{
	const struct sl_cmd *cmd;

	if (argc < 2) {
		print_help(stdout);
		return EXIT_OK;
	}
	if (argc > 2)
		return sl_usage_error(NULL, "help takes one command");
	cmd = find(argv[1]);
	if (!cmd)
		return unknown(argv[1]);
	if (cmd->run == sl_cmd_help) {
		print_help(stdout);
		return EXIT_OK;
	}
	return cmd->run(2, (char *[]){argv[1], (char[]){"--help"}, NULL});
}

/* A device that is unplugged takes its registers along; what else faults ends as it always does. */
static void on_fault(int sig, siginfo_t *info, void *ctx)
{
	if (sl_guard_handler(sig, info, ctx))
		return;
	signal(sig, SIG_DFL);
	raise(sig);
}

static void catch_faults(void)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

int main(int argc, char **argv)
{
	const struct sl_cmd *cmd;
	int status;

	catch_faults();
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("sluice %s\n", sl_version());
		return EXIT_OK;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		print_help(stdout);
		return EXIT_OK;
	}
	cmd = find(argv[1]);
	if (!cmd)
		return unknown(argv[1]);
	status = cmd->run(argc - 1, argv + 1);
	if ((fflush(stdout) || ferror(stdout)) && errno != EPIPE && status == EXIT_OK) {
		fprintf(stderr, "sluice: cannot write the output: %s\n", strerror(errno));
		status = EXIT_FAILED;
	}
	return status;
}
