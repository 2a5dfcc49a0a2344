/* SPDX-License-Identifier: BSD-2-Clause */
/* The command's subcommands, one file each; the table is in main.c. */
#ifndef SL_CLI_CLI_H
#define SL_CLI_CLI_H

#include <stdbool.h>

/* Exit statuses, as sluice(1) has them. */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1, /* it failed while it ran */
	EXIT_USAGE = 2,	 /* it was asked for something that cannot be */
};

/**
 * struct sl_cmd - a subcommand
 * @run:     argv[0] is its name; returns an exit status
 * @usage:   what stands behind its name
 * @help:    one line
 * @options: its long options, for completion and suggestions; ends with NULL
 */
struct sl_cmd {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage;
	const char *help;
	const char *const *options;
};

/** sl_cmds() - all subcommands, ends with a NULL name */
const struct sl_cmd *sl_cmds(void);

int sl_cmd_bind(int argc, char **argv);
int sl_cmd_complete(int argc, char **argv);
int sl_cmd_devices(int argc, char **argv);
int sl_cmd_help(int argc, char **argv);
int sl_cmd_io(int argc, char **argv);
int sl_cmd_keygen(int argc, char **argv);
int sl_cmd_link(int argc, char **argv);
int sl_cmd_probe(int argc, char **argv);
int sl_cmd_serve(int argc, char **argv);
int sl_cmd_show(int argc, char **argv);
int sl_cmd_unbind(int argc, char **argv);
int sl_cmd_vduse(int argc, char **argv);

extern const char *const sl_bind_options[];
extern const char *const sl_devices_options[];
extern const char *const sl_io_options[];
extern const char *const sl_keygen_options[];
extern const char *const sl_link_options[];
extern const char *const sl_probe_options[];
extern const char *const sl_serve_options[];
extern const char *const sl_show_options[];
extern const char *const sl_unbind_options[];
extern const char *const sl_vduse_options[];

/** sl_usage_error() - "sluice NAME: ..." on stderr, and where help is; returns EXIT_USAGE */
__attribute__((format(printf, 2, 3))) int sl_usage_error(const char *name, const char *fmt, ...);

/** sl_bad_option() - complain of argv[optind - 1], suggesting the nearest option */
int sl_bad_option(const char *name, const char *given, const char *const *options);

#endif
