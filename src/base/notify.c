/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/fd.h"
#include "base/notify.h"

#define EVENTS 64

/* Two threads may come here at once. */
static int make(struct sl_notify *n)
{
	aio_context_t aio = 0, none = 0;

	if (syscall(SYS_io_setup, 1, &aio))
		return -errno;
	if (!__atomic_compare_exchange_n(&n->aio, &none, aio, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		syscall(SYS_io_destroy, aio);
	return 0;
}

/* Where there is no more AIO (fs.aio-max-nr), or none is allowed: nearly as good. */
static int without_aio(int eventfd)
{
	struct pollfd room = {.fd = eventfd, .events = POLLOUT};

	if (poll(&room, 1, 0) > 0 && room.revents & POLLOUT)
		sl_event_signal(eventfd);
	return room.revents & POLLNVAL ? -EBADF : 0;
}

int sl_notify(struct sl_notify *n, int eventfd)
{
	int ret = sl_load_acquire(&n->aio) ? 0 : make(n);
	/* To read nothing of an eventfd fails at once, and that is a completion too. */
	struct iocb nothing = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)eventfd,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)eventfd,
	};
	struct iocb *list[] = {&nothing};
	struct io_event events[EVENTS];
	aio_context_t aio = sl_load_acquire(&n->aio);

	if (ret)
		return without_aio(eventfd);
	if (syscall(SYS_io_submit, aio, 1, list) == 1)
		return 0;
	if (errno != EAGAIN)
		return -errno;
	/* Room for completions is made when it has run out. */
	while (syscall(SYS_io_getevents, aio, 0, EVENTS, events, NULL) == EVENTS)
		;
	return syscall(SYS_io_submit, aio, 1, list) == 1 ? 0 : -errno;
}

void sl_notify_close(struct sl_notify *n)
{
	if (n->aio)
		syscall(SYS_io_destroy, n->aio);
	n->aio = 0;
}
