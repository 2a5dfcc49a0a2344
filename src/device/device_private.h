/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SL_DEVICE_PRIVATE_H
#define SL_DEVICE_PRIVATE_H

#include "device/backend.h"

/* device_irq.c: nothing is wired any more. */
void sl_device_irq_remove_all(struct sl_device *dev);

#endif
