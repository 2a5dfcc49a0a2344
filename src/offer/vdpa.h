/* SPDX-License-Identifier: BSD-2-Clause */
/* Attaching VDUSE devices to the kernel's vDPA bus, and detaching them: netlink's family "vdpa". */
#ifndef SL_OFFER_VDPA_H
#define SL_OFFER_VDPA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/vdpa.h>

/**
 * struct vdpa_call - a command on its way
 * @pidfd: readable when it is over; -1: there is none
 */
struct vdpa_call {
	int pidfd;
	bool attach;
};

/** sl_vdpa_attached() - is a device of that name on the vDPA bus? */
bool sl_vdpa_attached(const char *name);

/**
 * sl_vdpa_start() - attach a VDUSE device, or detach it
 * @call:   @pidfd is -1
 * @name:   the device's
 * @attach: or detach
 *
 * The kernel does it in the caller's context and waits for the driver, who waits for answers of the
 * device's: so that a process of its own does the call. It keeps nothing of the caller's open.
 *
 * Return: 0, it is on its way; -ENODEV when the kernel has no vDPA; what fork(2) says.
 */
int sl_vdpa_start(struct vdpa_call *call, const char *name, bool attach);

/** sl_vdpa_done() - has it ended? Return: -EAGAIN: no; 0; a negative errno with a reason */
int sl_vdpa_done(struct vdpa_call *call, const char *name);

/** sl_vdpa_forget() - of one that has not ended: it ends by itself, when the device is served again
 */
void sl_vdpa_forget(struct vdpa_call *call);

#endif
