/* SPDX-License-Identifier: BSD-2-Clause */
/* What fuzz targets of vhost-user need of this process: memory to share, a socket, faults that the
 * guard takes, descriptors to count. */
#ifndef SL_TESTS_FUZZ_PROCESS_H
#define SL_TESTS_FUZZ_PROCESS_H

#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <sluice/guard.h>

#include "../unit/descriptors.h"
#include "fuzz.h"

static struct sigaction before;

static void fault(int sig, siginfo_t *siginfo, void *ctx)
{
	if (!sl_guard_handler(sig, siginfo, ctx))
		sigaction(sig, &before, NULL); /* and once more, then */
}

static inline void guard_faults(void)
{
	const struct sigaction guard = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO};

	if (!before.sa_flags)
		sigaction(SIGBUS, &guard, &before);
}

static inline int memory_of(size_t len)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	must(fd >= 0 && !ftruncate(fd, (off_t)len));
	return fd;
}

/* A listening socket at an address that the kernel chooses. */
static inline int listen_anywhere(struct sockaddr_un *address, socklen_t *len)
{
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address->sun_family = AF_UNIX;
	*len = sizeof(*address);
	must(!bind(listener, (struct sockaddr *)address, sizeof(sa_family_t)));
	must(!getsockname(listener, (struct sockaddr *)address, len));
	must(!listen(listener, 4));
	return listener;
}

#endif
