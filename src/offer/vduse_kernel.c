/* SPDX-License-Identifier: BSD-2-Clause */
/* The device, in this kernel: ioctls and messages of /dev/vduse. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "base/fd.h"
#include "base/reason.h"
#include "offer/vduse.h"

int sl_vduse_control(void)
{
	uint64_t version = VDUSE_API_VERSION;
	int ret, fd = open(VDUSE_CONTROL, O_RDWR | O_CLOEXEC);

	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		return sl_fail(errno, "this kernel has no VDUSE: modprobe vduse");
	if (fd < 0)
		return sl_fail(errno, "cannot open " VDUSE_CONTROL ": %m");
	if (!ioctl(fd, VDUSE_SET_API_VERSION, &version))
		return fd;
	ret = sl_fail(errno, "this kernel's VDUSE is not of version %d: %m", VDUSE_API_VERSION);
	sl_fd_close(&fd);
	return ret;
}

int sl_vduse_destroy(int control, const char *name)
{
	char text[VDUSE_NAME_MAX] = {0};
	char path[VDUSE_NAME_MOST + 16];

	snprintf(text, sizeof(text), "%s", name);
	if (!ioctl(control, VDUSE_DESTROY_DEV, text))
		return 0;
	snprintf(path, sizeof(path), "/dev/vduse/%s", name);
	if (errno == EINVAL && access(path, F_OK))
		return sl_fail(ENOENT, "there is no VDUSE device %s", name);
	if (errno == EBUSY)
		return sl_fail(EBUSY, "%s is busy: %s", name,
			       sl_vdpa_attached(name) ? "it is attached"
						      : "a process has it open, its daemon");
	return sl_fail(errno, "%s cannot be destroyed: %m", name);
}

static int open_device(struct vduse *v)
{
	char path[VDUSE_NAME_MOST + 16];

	snprintf(path, sizeof(path), "/dev/vduse/%s", v->name);
	v->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return v->fd < 0 ? -errno : 0;
}

static int call(struct vduse *v, uint32_t command, void *argument)
{
	int ret;

	if (command == UDUSE_OPEN)
		return open_device(v);
	ret = ioctl(command == VDUSE_CREATE_DEV ? v->control : v->fd, command, argument);
	if (ret < 0)
		return -errno;
	if (command != VDUSE_CREATE_DEV)
		return ret;
	ret = open_device(v);
	if (ret)
		sl_vduse_destroy(v->control, v->name);
	return ret;
}

static int read_request(struct vduse *v, void *bytes)
{
	ssize_t len = read(v->fd, bytes, VDUSE_REQUEST_LEN);

	return len < 0 ? -errno : (int)len;
}

static int respond(struct vduse *v, const struct vduse_dev_response *response)
{
	ssize_t len = write(v->fd, response, sizeof(*response));

	/* One that nobody waits for any more (ENOENT) is none of ours either. */
	return len < 0 && errno != ENOENT ? -errno : 0;
}

const struct vduse_kernel sl_vduse_kernel = {
	.call = call,
	.read = read_request,
	.respond = respond,
	.lazy = true,
};
