/* SPDX-License-Identifier: BSD-2-Clause */
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/reason.h"
#include "wire/unix_socket.h"

#define BACKLOG 4

union control {
	struct cmsghdr head;
	char room[CMSG_SPACE(SL_UNIX_FDS_MAX * sizeof(int))];
};

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

/* All that came are the caller's, or closed. */
static int take_fds(struct msghdr *m, const char *what, int *fds, unsigned *n, unsigned most)
{
	bool more = m->msg_flags & MSG_CTRUNC;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t len = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(int) <= len; at += sizeof(int)) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + at, sizeof(int));
			if (*n < most) {
				fds[(*n)++] = fd;
				continue;
			}
			sl_fd_close(&fd);
			more = true;
		}
	}
	return more ? sl_fail(EPROTO,
			      "a %s message has more than %u descriptors, or this process may "
			      "not open as many (ulimit -n)",
			      what, most)
		    : 0;
}

ssize_t sl_unix_recv(int sock, const char *what, void *to, size_t len, int *fds, unsigned *n,
		     unsigned most)
{
	union control control;
	struct iovec iov = {to, len};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	ssize_t got = recvmsg(sock, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int ret;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (got < 0)
		return sl_fail(errno, "reading a %s message: %m", what);
	ret = take_fds(&m, what, fds, n, most);
	if (!got)
		return sl_fail(ECONNRESET, "the other end of the %s socket is gone", what);
	if (!ret && m.msg_flags & MSG_TRUNC)
		ret = sl_fail(EPROTO, "a %s message of more than %zu bytes", what, len);
	return ret ? ret : got;
}

static int wait_for_room(int sock, const char *what, uint64_t until)
{
	struct pollfd p = {.fd = sock, .events = POLLOUT};
	uint64_t now = sl_now_ns();

	if (now >= until)
		return sl_fail(EAGAIN, "the other end of the %s socket does not read", what);
	poll(&p, 1, (int)((until - now) / SL_NS_PER_MS) + 1);
	return 0;
}

int sl_unix_send(int sock, const char *what, const struct iovec *from, size_t pieces,
		 const int *fds, unsigned n, int wait_ms)
{
	union control control = {.head = {.cmsg_level = SOL_SOCKET,
					  .cmsg_type = SCM_RIGHTS,
					  .cmsg_len = CMSG_LEN(n * sizeof(int))}};
	struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)from, .msg_iovlen = pieces};
	uint64_t until = sl_now_ns() + (uint64_t)wait_ms * SL_NS_PER_MS;
	int ret = 0;

	if (n) {
		memcpy(CMSG_DATA(&control.head), fds, n * sizeof(int));
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	while (!ret && sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno == EAGAIN)
			ret = wait_for_room(sock, what, until);
		else if (errno != EINTR)
			return sl_fail(errno, "sending a %s message: %m", what);
	}
	return ret;
}
