/* SPDX-License-Identifier: BSD-2-Clause */
#include "device/uio_irq.h"

#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/reason.h"

static int submit(struct uio_irq *irq)
{
	struct iocb *list[] = {&irq->wait};

	if (syscall(SYS_io_submit, irq->ctx, 1, list) != 1)
		return sl_fail(errno, "cannot wait for an interrupt: %s",
			       errno == EINVAL ? "the descriptor is no eventfd" : strerror(errno));
	irq->waiting = true;
	return 0;
}

int sl_uio_irq_start(struct uio_irq *irq, int uio, int event)
{
	int ret;

	*irq = (struct uio_irq){
		.wait =
			{
				.aio_lio_opcode = IOCB_CMD_POLL,
				.aio_fildes = (uint32_t)uio,
				.aio_buf = POLLIN,
				.aio_flags = IOCB_FLAG_RESFD,
				.aio_resfd = (uint32_t)event,
			},
	};
	if (syscall(SYS_io_setup, 1, &irq->ctx)) {
		irq->ctx = 0;
		return sl_fail(errno, "cannot wait for interrupts: %s",
			       errno == EAGAIN ? "raise /proc/sys/fs/aio-max-nr" : strerror(errno));
	}
	ret = sl_uio_irq_arm(irq);
	if (ret)
		sl_uio_irq_stop(irq);
	return ret;
}

static bool is_ready(int fd, short events)
{
	struct pollfd wait = {.fd = fd, .events = events};

	return poll(&wait, 1, 0) == 1 && wait.revents & (events | POLLERR | POLLHUP | POLLNVAL);
}

/* Not by reading, which would take the count from under the one who waits for it. */
bool sl_uio_irq_there(int uio)
{
	return !is_ready(uio, 0);
}

static bool still_waits(struct uio_irq *irq)
{
	static const struct timespec now;
	struct io_event done;

	if (irq->waiting && syscall(SYS_io_getevents, irq->ctx, 0, 1, &done, &now) == 1)
		irq->waiting = false;
	return irq->waiting;
}

int sl_uio_irq_arm(struct uio_irq *irq)
{
	uint32_t count;

	/* UIO's read gives how many there were, once for each time that number has changed. What
	 * comes between is not lost: it is a level, and unmasking lets it come again. */
	if (!sl_uio_irq_there((int)irq->wait.aio_fildes) ||
	    (read((int)irq->wait.aio_fildes, &count, sizeof(count)) < 0 && errno != EAGAIN &&
	     errno != EINTR))
		return sl_fail(ENODEV, "its driver has gone");
	return still_waits(irq) ? 0 : submit(irq);
}

/* Whatever else it counts stays. */
static void take_one(int event)
{
	uint64_t value;

	if (!is_ready(event, POLLIN) || read(event, &value, sizeof(value)) != sizeof(value))
		return;
	if (--value)
		(void)!write(event, &value, sizeof(value));
}

/* The kernel signals the event of a wait that is cancelled, as if an interrupt had come. */
void sl_uio_irq_stop(struct uio_irq *irq)
{
	bool cancelled;

	if (!irq->ctx)
		return;
	cancelled = still_waits(irq);
	syscall(SYS_io_destroy, irq->ctx);
	if (cancelled)
		take_one((int)irq->wait.aio_resfd);
	irq->ctx = 0;
	irq->waiting = false;
}
