/* SPDX-License-Identifier: BSD-2-Clause */
/* File descriptors and events. "None" is -1: 0 is a descriptor like any other. */
#ifndef SL_BASE_FD_H
#define SL_BASE_FD_H

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

/* Close and forget; keeps errno, so that error paths may call it first. */
static inline void sl_fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

/* Signal an event (an eventfd) of our own: it never blocks, that would take 2^64 - 2 signals. Of
 * another process's, who may have filled it, it may. */
static inline void sl_event_signal(int fd)
{
	const uint64_t one = 1;
	ssize_t done = write(fd, &one, sizeof(one));

	(void)done;
}

/* Empty an event or a timerfd that is non-blocking. */
static inline void sl_event_clear(int fd)
{
	uint64_t value;
	ssize_t done = read(fd, &value, sizeof(value));

	(void)done;
}

#endif
