/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts of a device: each is an event, an eventfd of the caller's.
 */
#ifndef SLUICE_DEVICE_IRQ_H
#define SLUICE_DEVICE_IRQ_H

#include <sluice/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/** enum sl_irq - kinds of interrupts, numbered as VFIO does */
enum sl_irq {
	SL_IRQ_INTX,
	SL_IRQ_MSI,
	SL_IRQ_MSIX,
	SL_IRQ_KINDS,
};

/**
 * sl_device_irq_count() - how many vectors of a kind can be wired
 * @dev:  the device
 * @kind: ...
 *
 * Return: 0 when the device, or this way to drive it, has none.
 */
unsigned sl_device_irq_count(const struct sl_device *dev, enum sl_irq kind);

/**
 * sl_device_irq_set() - wire vectors to events, live
 * @dev:   the device
 * @kind:  one kind at a time: to change it, remove those of the other first
 * @first: vector
 * @count: how many, at least 1
 * @fds:   an eventfd for each, -1 to remove; they stay the caller's, and must stay open until
 *         they are removed or the device is closed. A driver reads or polls them
 *
 * All or nothing; the other vectors keep what they have. The first call for a kind enables all
 * vectors that the device has, or, where the machine has not so many, those up to the last that
 * is named. What is raised for a vector without an event comes when it gets one, but for MSI of a
 * device that cannot mask; with the last event removed the kind is off, and what is raised is lost.
 *
 * Return: 0; -EINVAL for a range or a kind that the device has not, or an fd that is no eventfd;
 * -EBUSY when another kind is wired; -ENOSPC when so many are not enabled; -ENODEV when it is
 * gone; or what the kernel says.
 */
int sl_device_irq_set(struct sl_device *dev, enum sl_irq kind, unsigned first, unsigned count,
		      const int *fds);

/**
 * sl_device_irq_mask() - INTx: no more interrupts until it is unmasked
 * @dev: the device
 *
 * Return: 0; -EINVAL when INTx is not wired; -ENODEV when the device is gone.
 */
int sl_device_irq_mask(struct sl_device *dev);

/**
 * sl_device_irq_unmask() - INTx: let the next interrupt come
 * @dev: the device
 *
 * INTx is a level: it is masked when it has come, or it would come again at once. The driver
 * silences the device, then unmasks. MSI and MSI-X need none of this.
 *
 * Return: 0; -EINVAL when INTx is not wired; -ENODEV when the device is gone.
 */
int sl_device_irq_unmask(struct sl_device *dev);

#ifdef __cplusplus
}
#endif
#endif
