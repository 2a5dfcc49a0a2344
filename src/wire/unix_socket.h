/* SPDX-License-Identifier: BSD-2-Clause */
/* UNIX sockets by their path, and messages with descriptors, for either end of vhost-user and
 * uduse. All are non-blocking. */
#ifndef SL_WIRE_UNIX_SOCKET_H
#define SL_WIRE_UNIX_SOCKET_H

#include <sys/socket.h>
#include <sys/uio.h>

/**
 * sl_unix_connect() - to who listens at @path
 * @type: SOCK_STREAM or SOCK_SEQPACKET
 * @out:  the socket, the caller's
 *
 * Return: 0; -ENOENT or -ECONNREFUSED when nobody does, -EAGAIN when it has no room for one more,
 * -EPROTOTYPE when its socket is of another type; or what connect(2) says.
 */
int sl_unix_connect(const char *path, int type, int *out);

/**
 * sl_unix_listen() - be who listens at @path
 * @type: ...
 * @out:  the socket, the caller's, who unlinks @path in the end
 *
 * What a killed process has left at @path is replaced. Only this user may connect (mode 0600).
 *
 * Return: 0; -EADDRINUSE when somebody listens there, or something else than a socket is there; or
 * what bind(2) says.
 */
int sl_unix_listen(const char *path, int type, int *out);

/** sl_unix_accept() - the next who has connected. Return: 0; -EAGAIN; what accept(2) says */
int sl_unix_accept(int listener, int *out);

#define SL_UNIX_FDS_MAX 8 /* with a message */

/**
 * sl_unix_recv() - bytes, and the descriptors that came with them
 * @what: for reasons: "vhost-user"
 * @fds:  room for @most; there are @n of them, and more then (O_CLOEXEC), also when it fails
 *
 * Return: how many bytes; -EAGAIN; -ECONNRESET at the end of the stream; -EPROTO for a message (of
 * SOCK_SEQPACKET) that is longer, or has more descriptors; or what recvmsg(2) says.
 */
ssize_t sl_unix_recv(int sock, const char *what, void *to, size_t len, int *fds, unsigned *n,
		     unsigned most);

/**
 * sl_unix_send() - bytes with descriptors, which stay the caller's: all or nothing
 * @what: for reasons: "vhost-user"
 *
 * Waits up to @wait_ms for room.
 *
 * Return: 0; -EAGAIN when there was no room; what sendmsg(2) says (no SIGPIPE).
 */
int sl_unix_send(int sock, const char *what, const struct iovec *from, size_t pieces,
		 const int *fds, unsigned n, int wait_ms);

#endif
