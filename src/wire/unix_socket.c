/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/reason.h"
#include "wire/unix_socket.h"

#define BACKLOG 4

static int open_socket(const char *path, int type, struct sockaddr_un *addr, int *out)
{
	size_t len = strlen(path);

	*addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (!len || len >= sizeof(addr->sun_path))
		return sl_fail(EINVAL, "%s: the path of a socket has 1 to %zu bytes", path,
			       sizeof(addr->sun_path) - 1);
	memcpy(addr->sun_path, path, len);
	*out = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*out < 0)
		return sl_fail(errno, "no socket: %s", strerror(errno));
	return 0;
}

int sl_unix_connect(const char *path, int type, int *out)
{
	struct sockaddr_un addr;
	int ret = open_socket(path, type, &addr, out);

	if (ret)
		return ret;
	if (!connect(*out, (struct sockaddr *)&addr, sizeof(addr)))
		return 0;
	sl_fd_close(out);
	return sl_fail(errno, "%s: cannot connect: %s", path, strerror(errno));
}

/* A socket that a killed process has left behind refuses; so does a file that is no socket. */
static int remove_stale(const char *path, int type)
{
	struct stat st;
	int fd, ret;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : sl_fail(errno, "%s: %m", path);
	if (!S_ISSOCK(st.st_mode))
		return sl_fail(EADDRINUSE, "%s is there already, and is no socket", path);
	ret = sl_unix_connect(path, type, &fd);
	if (!ret)
		sl_fd_close(&fd);
	if (!ret || ret == -EAGAIN || ret == -EPROTOTYPE)
		return sl_fail(EADDRINUSE, "another process listens at %s", path);
	if (ret != -ECONNREFUSED && ret != -ENOENT)
		return ret;
	if (unlink(path) && errno != ENOENT)
		return sl_fail(errno, "%s cannot be removed, where nobody listens any more: %m",
			       path);
	return 0;
}

int sl_unix_listen(const char *path, int type, int *out)
{
	struct sockaddr_un addr;
	int ret = open_socket(path, type, &addr, out);

	if (ret)
		return ret;
	ret = remove_stale(path, type);
	/* bind(2) makes a socket with the mode that this one has, less the umask: it is never open
	 * to others, not even for a moment. */
	if (!ret && (fchmod(*out, 0600) || bind(*out, (struct sockaddr *)&addr, sizeof(addr)) ||
		     listen(*out, BACKLOG)))
		ret = sl_fail(errno, "%s: cannot listen: %m", path);
	if (ret)
		sl_fd_close(out);
	return ret;
}

int sl_unix_accept(int listener, int *out)
{
	*out = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (*out >= 0)
		return 0;
	return errno == EAGAIN ? -EAGAIN : sl_fail(errno, "accept(): %s", strerror(errno));
}
