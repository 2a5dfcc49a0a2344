/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice probe: what this machine offers, and how to get what it does not. */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "cli/cli.h"
#include "cli/probe.h"

const char *const sl_probe_options[] = {"--json", "--help", NULL};

static const char help[] =
	"Usage: sluice probe [--json] [--help]\n"
	"\n"
	"Says what this machine offers to sluice; for what it does not, what was tried,\n"
	"what the kernel answered, and the way to get it. Changes nothing.\n"
	"\n"
	"  --json   one JSON object instead of the list\n"
	"  --help   this text\n"
	"\n"
	"sluice-probe(1) explains every line.\n";

static const struct sl_probe_check *const tables[] = {sl_probe_net, sl_probe_machine};

enum {
	ANSWER_COLUMN = 22,
	TEXT_COLUMN = 27
};

static void ask_here(const struct sl_probe_check *check, int fd)
{
	struct sl_probe_answer answer = {.check = check};
	ssize_t done;

	signal(SIGALRM, SIG_DFL);
	alarm(1); /* a kernel that does not answer costs one line, not the command */
	check->run(&answer);
	done = write(fd, &answer, sizeof(answer));
	_exit(done == (ssize_t)sizeof(answer) ? 0 : 1);
}

static void no_answer(struct sl_probe_answer *answer, int status)
{
	const char *fix = "look for a seccomp filter or a security module around this process";

	memset(answer, 0, sizeof(*answer));
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		snprintf(answer->reason, sizeof(answer->reason), "%s",
			 "the kernel gave no answer within a second");
	else if (WIFSIGNALED(status))
		snprintf(answer->reason, sizeof(answer->reason), "asking was answered with SIG%s",
			 sigabbrev_np(WTERMSIG(status)));
	else
		snprintf(answer->reason, sizeof(answer->reason), "%s",
			 "the process that asked gave no answer");
	snprintf(answer->fix, sizeof(answer->fix), "%s", fix);
}

/*
 * In a child: what a check opens or unshares ends with it, and a seccomp filter
 * that kills costs one answer.
 */
static void ask(const struct sl_probe_check *check, struct sl_probe_answer *answer)
{
	int ends[2], status = 0;
	ssize_t got = -1;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0) {
		no_answer(answer, 0);
		return;
	}
	child = fork();
	if (child == 0)
		ask_here(check, ends[1]);
	sl_fd_close(&ends[1]);
	if (child > 0) {
		do /* up to PIPE_BUF bytes come whole (pipe(7)) */
			got = read(ends[0], answer, sizeof(*answer));
		while (got < 0 && errno == EINTR);
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
	}
	sl_fd_close(&ends[0]);
	if (got != (ssize_t)sizeof(*answer))
		no_answer(answer, status);
}

static int cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return CPU_COUNT(&set);
	return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

static struct json_object *check_json(const struct sl_probe_check *check)
{
	struct json_object *row = json_object_new_object();
	struct sl_probe_answer answer;

	ask(check, &answer);
	json_object_object_add(row, "name", json_object_new_string(check->name));
	json_object_object_add(row, "group", json_object_new_string(check->group));
	json_object_object_add(row, "ok", json_object_new_boolean(answer.ok));
	json_object_object_add(row, "reason", json_object_new_string(answer.reason));
	json_object_object_add(row, "fix", json_object_new_string(answer.fix));
	return row;
}

static void print_json(const struct utsname *uts)
{
	struct json_object *all = json_object_new_object(), *rows = json_object_new_array();

	for (size_t i = 0; i < sl_array_len(tables); i++)
		for (const struct sl_probe_check *c = tables[i]; c->name; c++)
			json_object_array_add(rows, check_json(c));
	json_object_object_add(all, "kernel", json_object_new_string(uts->release));
	json_object_object_add(all, "cpus", json_object_new_int(cpus()));
	json_object_object_add(all, "checks", rows);
	puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY |
							 JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(all);
}

/* Columns to fold at; no folding where another program reads. */
static unsigned screen_width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return 0;
	return size.ws_col > TEXT_COLUMN + 20 ? size.ws_col : 0;
}

/* Words up to the last column, then on below where the text began. */
static void print_text(const char *text, unsigned width)
{
	unsigned column = TEXT_COLUMN;

	while (*text) {
		int word = (int)strcspn(text, " ");

		if (width && column > TEXT_COLUMN && column + 1 + (unsigned)word > width) {
			printf("\n%*s", TEXT_COLUMN, "");
			column = TEXT_COLUMN;
		}
		if (column > TEXT_COLUMN)
			column += (unsigned)printf(" ");
		column += (unsigned)printf("%.*s", word, text);
		text += word;
		text += strspn(text, " ");
	}
}

static void print_check(const struct sl_probe_check *check, unsigned width)
{
	struct sl_probe_answer answer;
	char text[sizeof(answer.reason) + sizeof(answer.fix) + 2];

	ask(check, &answer);
	snprintf(text, sizeof(text), "%s%s%s", answer.reason,
		 answer.reason[0] && answer.fix[0] ? "; " : "", answer.fix);
	printf("  %-*s%-*s", ANSWER_COLUMN - 2, check->name,
	       text[0] ? TEXT_COLUMN - ANSWER_COLUMN : 0, answer.ok ? "yes" : "no");
	print_text(text, width);
	putchar('\n');
	fflush(stdout);
}

static void print_table(const struct sl_probe_check *table, unsigned width)
{
	const char *group = "";

	for (const struct sl_probe_check *c = table; c->name; c++) {
		if (strcmp(group, c->group))
			printf("%s\n", c->group);
		group = c->group;
		print_check(c, width);
	}
}

static void print_list(const struct utsname *uts)
{
	unsigned width = screen_width();
	int n = cpus();

	printf("Linux %s, %d CPU%s\n", uts->release, n, n == 1 ? "" : "s");
	for (size_t i = 0; i < sl_array_len(tables); i++)
		print_table(tables[i], width);
}

int sl_cmd_probe(int argc, char **argv)
{
	struct utsname uts;
	bool json = false;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return fputs(help, stdout) < 0 || fflush(stdout) ? 1 : 0;
		if (strcmp(argv[i], "--json"))
			return sl_bad_option("probe", argv[i], sl_probe_options);
		json = true;
	}
	uname(&uts);
	if (json)
		print_json(&uts);
	else
		print_list(&uts);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "sluice probe: writing the answer: %s\n", strerror(errno));
		return 1;
	}
	return 0;
}
