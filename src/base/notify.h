/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signalling eventfds of somebody else, who is not trusted. Writing to one may block: it is full,
 * and O_NONBLOCK is of the open file, so whoever else has it may take that away at any moment.
 * Kernel AIO signals an eventfd as the kernel itself does, which never waits, and takes nothing
 * that is no eventfd: here for having read no bytes from a file of ours.
 */
#ifndef SL_BASE_NOTIFY_H
#define SL_BASE_NOTIFY_H

#include <linux/aio_abi.h>

/** struct sl_notify - zeroed; made when it is first needed, for to be destroyed takes the kernel
 * 30 ms */
struct sl_notify {
	aio_context_t aio;
};

/** sl_notify() - signal @eventfd. Any thread; never waits, but where the kernel has no AIO for us:
 * then it looks for room first. Return: 0; -EINVAL for what is none; what io_submit(2) says. No
 * reason */
int sl_notify(struct sl_notify *n, int eventfd);

void sl_notify_close(struct sl_notify *n);

#endif
