/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INTx of a UIO device as an event. /dev/uioN says with poll(2) that an interrupt came; the
 * kernel's asynchronous I/O waits for that (IOCB_CMD_POLL) and signals an eventfd
 * (IOCB_FLAG_RESFD), so that nobody has to wait for another kind of descriptor. One wait is for one
 * interrupt, and after one the kernel masks INTx: both are begun anew together.
 */
#ifndef SL_DEVICE_UIO_IRQ_H
#define SL_DEVICE_UIO_IRQ_H

#include <linux/aio_abi.h>
#include <stdbool.h>
#include <stdint.h>

struct uio_irq {
	aio_context_t ctx; /* 0: not started */
	struct iocb wait;
	bool waiting;
};

/* @uio does not block and stays open until the stop. 0 or a negative errno with a sentence. */
int sl_uio_irq_start(struct uio_irq *irq, int uio, int event);

/* The interrupts so far are dealt with: wait for the next. 0; -ENODEV when the device is gone. */
int sl_uio_irq_arm(struct uio_irq *irq);

/* Nothing happens when it was not started. */
void sl_uio_irq_stop(struct uio_irq *irq);

/* Is the driver still behind it? */
bool sl_uio_irq_there(int uio);

#endif
