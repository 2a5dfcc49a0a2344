/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice probe: one row a question to the machine, each asked in a child process. */
#ifndef SL_CLI_PROBE_H
#define SL_CLI_PROBE_H

#include <stdbool.h>

struct sl_probe_check;

/*
 * @check:  the question
 * @reason: why not, or a remark beside a yes; may be empty
 * @fix:    how to get it; empty with a yes
 */
struct sl_probe_answer {
	const struct sl_probe_check *check;
	bool ok;
	char reason[256];
	char fix[256];
};

/* @bits and @word are the check function's own. */
struct sl_probe_check {
	const char *group;
	const char *name;
	void (*run)(struct sl_probe_answer *answer);
	unsigned bits;
	const char *word;
};

/* Tables of checks, rows of one group together; the last row has no name. */
extern const struct sl_probe_check sl_probe_net[];
extern const struct sl_probe_check sl_probe_machine[];

/* Answers. @fmt is the remark or the reason. */
__attribute__((format(printf, 2, 3))) void sl_probe_yes(struct sl_probe_answer *answer,
							const char *fmt, ...);
__attribute__((format(printf, 3, 4))) void sl_probe_no(struct sl_probe_answer *answer,
						       const char *fix, const char *fmt, ...);

/* "EPERM" and so on. */
const char *sl_probe_errno(int err);

/* The way past an EPERM for want of a capability. */
const char *sl_probe_rights_fix(void);

/* The first line of @path without its newline; false when it cannot be read. */
bool sl_probe_first_line(const char *path, char *line, int len);

/* The first line of @path with @word in it; false when there is none. */
bool sl_probe_line_with(const char *path, const char *word, char *line, int len);

/* The number in a file of /proc/sys; -1 when it cannot be read. */
long sl_probe_sysctl(const char *path);

/* Is there a module of this file name for the kernel that runs? */
bool sl_probe_module(const char *module);

/*
 * A device node.
 * @driver: as /proc/misc or /proc/devices calls it
 * @module: the file name of its module
 * @load:   the command that loads what it takes
 * @kernel: how to get a kernel that has it
 */
struct sl_probe_node {
	const char *path;
	const char *driver;
	const char *module;
	const char *load;
	const char *kernel;
};

/* An open descriptor, or -1 with the answer given. */
int sl_probe_open(const struct sl_probe_node *node, struct sl_probe_answer *answer);

#endif
