/* SPDX-License-Identifier: BSD-2-Clause */
/* What the questions of sluice probe share: answers, files, device nodes. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/probe.h"

void sl_probe_yes(struct sl_probe_answer *answer, const char *fmt, ...)
{
	va_list args;

	answer->ok = true;
	va_start(args, fmt);
	vsnprintf(answer->reason, sizeof(answer->reason), fmt, args);
	va_end(args);
}

void sl_probe_no(struct sl_probe_answer *answer, const char *fix, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(answer->reason, sizeof(answer->reason), fmt, args);
	va_end(args);
	snprintf(answer->fix, sizeof(answer->fix), "%s", fix);
}

const char *sl_probe_errno(int err)
{
	const char *name = strerrorname_np(err);

	return name ? name : "an unknown error";
}

const char *sl_probe_rights_fix(void)
{
	return geteuid() ? "run as root, or inside `unshare -Urn`"
			 : "this root lacks it: docker run --cap-add, or `unshare -Urn`";
}

bool sl_probe_first_line(const char *path, char *line, int len)
{
	FILE *f = fopen(path, "re");
	bool got = f && fgets(line, len, f);

	if (f)
		fclose(f);
	if (got)
		line[strcspn(line, "\n")] = '\0';
	return got;
}

long sl_probe_sysctl(const char *path)
{
	char line[32];

	return sl_probe_first_line(path, line, sizeof(line)) ? strtol(line, NULL, 10) : -1;
}

bool sl_probe_line_with(const char *path, const char *word, char *line, int len)
{
	FILE *f = fopen(path, "re");
	bool found = false;

	while (f && !found && fgets(line, len, f))
		found = strstr(line, word);
	if (f)
		fclose(f);
	return found;
}

bool sl_probe_module(const char *module)
{
	char path[512], word[64], line[4096];
	struct utsname uts;

	uname(&uts);
	snprintf(word, sizeof(word), "/%s.ko", module);
	snprintf(path, sizeof(path), "/lib/modules/%s/modules.dep", uts.release);
	return sl_probe_line_with(path, word, line, sizeof(line));
}

static bool driver_there(const struct sl_probe_node *node)
{
	char word[64], line[128];

	snprintf(word, sizeof(word), " %s\n", node->driver);
	return sl_probe_line_with("/proc/misc", word, line, sizeof(line)) ||
	       sl_probe_line_with("/proc/devices", word, line, sizeof(line));
}

static void node_missing(const struct sl_probe_node *node, int err, struct sl_probe_answer *answer)
{
	char fix[sizeof(answer->fix)];
	struct utsname uts;

	uname(&uts);
	if (driver_there(node)) {
		snprintf(fix, sizeof(fix), "the kernel has it: give this container %s", node->path);
		sl_probe_no(answer, fix, "opening %s: %s", node->path, sl_probe_errno(err));
	} else if (sl_probe_module(node->module)) {
		sl_probe_no(answer, node->load, "opening %s: %s, the module %s is not loaded",
			    node->path, sl_probe_errno(err), node->module);
	} else {
		sl_probe_no(answer, node->kernel, "opening %s: %s, no module %s in /lib/modules/%s",
			    node->path, sl_probe_errno(err), node->module, uts.release);
	}
}

static void node_refused(const struct sl_probe_node *node, int err, struct sl_probe_answer *answer)
{
	char fix[sizeof(answer->fix)] = "run as root";
	struct stat st;
	struct group *group;

	if (err == EPERM)
		strcpy(fix, "allow the device in this container or service (DeviceAllow=)");
	else if (err == EACCES && stat(node->path, &st) == 0 && st.st_gid &&
		 (st.st_mode & S_IWGRP) && (group = getgrgid(st.st_gid)))
		snprintf(fix, sizeof(fix), "run as root, or: adduser $USER %s", group->gr_name);
	else if (err == EACCES)
		snprintf(fix, sizeof(fix), "run as root, or as root: chown $USER %s", node->path);
	sl_probe_no(answer, fix, "opening %s: %s", node->path, sl_probe_errno(err));
}

int sl_probe_open(const struct sl_probe_node *node, struct sl_probe_answer *answer)
{
	int fd = open(node->path, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		node_missing(node, errno, answer);
	else
		node_refused(node, errno, answer);
	return -1;
}
