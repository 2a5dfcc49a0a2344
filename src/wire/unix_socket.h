/* SPDX-License-Identifier: BSD-2-Clause */
/* UNIX sockets by their path, for either end of vhost-user and uduse. All are non-blocking. */
#ifndef SL_WIRE_UNIX_SOCKET_H
#define SL_WIRE_UNIX_SOCKET_H

#include <sys/socket.h>

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

#endif
