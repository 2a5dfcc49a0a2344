/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice vduse: the VDUSE devices of this machine; what vdpa(8) cannot: destroy one. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sluice/reason.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/reason.h"
#include "cli/cli.h"
#include "cli/device.h"
#include "offer/vduse.h"

#define DETACH_NS (40 * SL_NS_PER_S) /* the kernel gives an answer 30 */

const char *const sl_vduse_options[] = {"--json", "--detach", "--help", NULL};

static const char help[] =
	"Usage: sluice vduse list [--json]\n"
	"       sluice vduse destroy NAME [--detach]\n"
	"\n"
	"Lists the VDUSE devices of this machine: whether they are attached to the vDPA bus, to\n"
	"which driver, and what that made of them. Destroys one that nobody serves, such as a\n"
	"daemon that was killed has left behind.\n"
	"\n"
	"Options:\n"
	"  --detach     take it from its driver before\n"
	"  --json       one JSON object instead\n"
	"  -h, --help   this\n"
	"\n"
	"Examples:\n"
	"  sluice vduse list\n"
	"  sluice vduse destroy disk0 --detach\n"
	"\n"
	"What has it open is asked to let go first: umount, and stop its sluice serve.\n";

static int failed(void)
{
	fprintf(stderr, "sluice vduse: %s\n", sl_reason());
	return EXIT_FAILED;
}

/*
 * The list.
 */

/* Where a name ends, of a path or of what a link says. */
static void base_name(const char *path, char *to, size_t size)
{
	const char *slash = strrchr(path, '/');

	snprintf(to, size, "%s", slash ? slash + 1 : path);
}

static void driver_of(const char *name, char *to, size_t size)
{
	char path[PATH_MAX], link[128];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/bus/vdpa/devices/%s/driver", name);
	len = readlink(path, link, sizeof(link) - 1);
	link[len > 0 ? len : 0] = '\0';
	base_name(link, to, size);
}

/* vda, eth1, vhost-vdpa-0: what a driver made of it. */
static void made_of(const char *name, char *to, size_t size)
{
	static const char *const where[] = {"virtio*/block", "virtio*/net", "vhost-vdpa-"};
	char pattern[PATH_MAX];
	glob_t found;

	*to = '\0';
	for (unsigned i = 0; i < 3 && !*to; i++) {
		snprintf(pattern, sizeof(pattern), "/sys/bus/vdpa/devices/%s/%s%s", name, where[i],
			 i < 2 ? "/*" : "*");
		if (!glob(pattern, 0, NULL, &found))
			base_name(found.gl_pathv[0], to, size);
		globfree(&found);
	}
}

static void show(const char *name, struct json_object *json)
{
	char driver[128], made[128];
	struct json_object *o;
	bool attached = sl_vdpa_attached(name);

	driver_of(name, driver, sizeof(driver));
	made_of(name, made, sizeof(made));
	if (!json) {
		printf("%-16s  %-8s  %-12s  %s\n", name, attached ? "attached" : "-",
		       *driver ? driver : "-", *made ? made : "-");
		return;
	}
	o = json_object_new_object();
	json_object_object_add(o, "name", json_object_new_string(name));
	json_object_object_add(o, "attached", json_object_new_boolean(attached));
	json_object_object_add(o, "driver", sl_json_text(driver));
	json_object_object_add(o, "is", sl_json_text(made));
	json_object_array_add(json, o);
}

static int list(bool as_json)
{
	struct json_object *json = as_json ? json_object_new_array() : NULL, *all;
	size_t n = 0;
	glob_t found;

	if (access("/sys/class/vduse", F_OK)) {
		sl_fail(ENODEV, "this kernel has no VDUSE: modprobe vduse");
		return failed();
	}
	if (glob("/sys/class/vduse/*", 0, NULL, &found))
		found.gl_pathc = 0;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char name[256];

		base_name(found.gl_pathv[i], name, sizeof(name));
		if (!strcmp(name, "control"))
			continue;
		if (!as_json && !n++)
			printf("%-16s  %-8s  %-12s  %s\n", "NAME", "vDPA BUS", "DRIVER", "IS");
		show(name, json);
	}
	globfree(&found);
	if (!as_json) {
		if (!n)
			printf("No VDUSE devices.\n");
		return EXIT_OK;
	}
	all = json_object_new_object();
	json_object_object_add(all, "devices", json);
	puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY |
							 JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(all);
	return EXIT_OK;
}

/*
 * Destroying.
 */

/* Yes to all that the kernel asks: in the place of a daemon that is not there. */
static void answer(int fd)
{
	uint8_t bytes[VDUSE_REQUEST_LEN];
	struct vduse_dev_request request;
	struct vduse_dev_response response;
	ssize_t len = read(fd, bytes, sizeof(bytes));

	if (len < 0 || sl_vduse_request(bytes, (size_t)len, UINT32_MAX, &request))
		return;
	sl_vduse_response(&request, VDUSE_REQ_RESULT_OK, &response);
	if (write(fd, &response, sizeof(response)) < 0)
		fprintf(stderr, "sluice vduse: cannot answer the kernel: %s\n", strerror(errno));
}

static int detach(const char *name)
{
	uint64_t until = sl_now_ns() + DETACH_NS;
	struct vdpa_call call = {.pidfd = -1};
	struct pollfd fds[2] = {{.events = POLLIN}, {.events = POLLIN}};
	char path[PATH_MAX];
	int ret = sl_vdpa_start(&call, name, false);

	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/dev/vduse/%s", name);
	fds[0].fd = call.pidfd;
	fds[1].fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	while ((ret = sl_vdpa_done(&call, name)) == -EAGAIN && sl_now_ns() < until) {
		poll(fds, 2, 100);
		if (fds[1].fd >= 0 && fds[1].revents & POLLIN)
			answer(fds[1].fd);
	}
	sl_fd_close(&fds[1].fd);
	sl_vdpa_forget(&call);
	if (ret == -EAGAIN)
		return sl_fail(
			ETIMEDOUT,
			"%s does not let go: requests are in flight that nobody serves, or it is "
			"in use; start its sluice serve again",
			name);
	return ret;
}

static int destroy(const char *name, bool detached)
{
	char log[PATH_MAX];
	int control, ret;

	if (sl_vduse_name(name))
		return sl_usage_error("vduse", "%s", sl_reason());
	control = sl_vduse_control();
	if (control < 0)
		return failed();
	ret = detached && sl_vdpa_attached(name) ? detach(name) : 0;
	if (!ret)
		ret = sl_vduse_destroy(control, name);
	sl_fd_close(&control);
	if (ret)
		return failed();
	snprintf(log, sizeof(log), VDUSE_STATE_DIR "/%s.log", name);
	unlink(log); /* of use to nobody now; there may be none */
	return EXIT_OK;
}

int sl_cmd_vduse(int argc, char **argv)
{
	struct device_args args = {"vduse", help, sl_vduse_options, .max_words = 2};
	int status = EXIT_OK, n = sl_device_args(argc, argv, &args, &status);
	bool json = args.seen & 1, detached = args.seen & 2;

	if (n < 0)
		return status;
	if (n && !strcmp(args.words[0], "list"))
		return n > 1 || detached ? sl_usage_error("vduse", "list takes --json alone")
					 : list(json);
	if (n && !strcmp(args.words[0], "destroy"))
		return n < 2 || json ? sl_usage_error("vduse", "destroy takes a NAME, and --detach")
				     : destroy(args.words[1], detached);
	return sl_usage_error("vduse", "list, or destroy NAME?");
}
