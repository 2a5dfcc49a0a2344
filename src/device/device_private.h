/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SL_DEVICE_PRIVATE_H
#define SL_DEVICE_PRIVATE_H

#include <sys/types.h>

#include "device/backend.h"

/*
 * device_region.c: of @width bytes @done were read or written, -1 with errno for none. A transfer
 * that is cut short, or fails otherwise than by being refused, is how an absent device looks.
 */
int sl_device_transferred(const struct sl_device *dev, unsigned index, ssize_t done, size_t width);

/* device_irq.c: nothing is wired any more. */
void sl_device_irq_remove_all(struct sl_device *dev);

#endif
