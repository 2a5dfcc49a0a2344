/* SPDX-License-Identifier: BSD-2-Clause */
/* A back end's socket: made, taken over, removed. */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/reason.h"
#include "offer/vhost_user.h"
#include "wire/unix_socket.h"

int sl_vhost_user_listen(struct vhost_user *t)
{
	int ret = sl_unix_listen(t->path, SOCK_STREAM, &t->listener.fd);
	struct stat st;

	if (!ret && !lstat(t->path, &st))
		t->bound = st.st_ino;
	return ret;
}

static int socket_option(int fd, int option)
{
	socklen_t len = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) ? -1 : value;
}

int sl_vhost_user_adopt(struct vhost_user *t, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return sl_fail(errno, "descriptor %d is not open", fd);
	if (socket_option(fd, SO_DOMAIN) != AF_UNIX || socket_option(fd, SO_TYPE) != SOCK_STREAM)
		return sl_fail(EINVAL, "descriptor %d is no UNIX stream socket", fd);
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
		return sl_fail(errno, "descriptor %d: %m", fd);
	t->adopted = !socket_option(fd, SO_ACCEPTCONN);
	*(t->adopted ? &t->next : &t->listener.fd) = fd;
	return 0;
}

void sl_vhost_user_unlink(const struct vhost_user *t)
{
	struct stat st;

	if (t->bound && !lstat(t->path, &st) && st.st_ino == t->bound)
		unlink(t->path);
}
