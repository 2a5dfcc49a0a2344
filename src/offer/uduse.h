/* SPDX-License-Identifier: BSD-2-Clause */
/* uduse: a device for a process that speaks VDUSE over a socket. Between uduse.c and uduse_call.c.
 */
#ifndef SL_OFFER_UDUSE_H
#define SL_OFFER_UDUSE_H

#include "offer/vduse.h"

#define UDUSE_CALLS_NS (2 * SL_NS_PER_S) /* that all calls of a step may take together */

/**
 * struct uduse
 * @path:     where the driver's side listens
 * @wait_ns:  between two attempts to connect; @next_ns: when the next is due
 * @until_ns: calls wait until then
 * @alone:    nobody listened there when it was tried last
 * @leaving:  the connection is gone, and requests of it are in flight still
 * @broken:   a call has failed so that the connection cannot go on
 * @kept:     @request came while a call waited
 * @said:     why it could not be connected, when that was logged last
 */
struct uduse {
	struct vduse v;
	char path[SOCK_PATH_MAX + 1];
	uint64_t wait_ns, next_ns, until_ns;
	bool alone, leaving, broken, kept;
	struct vduse_dev_request request;
	char said[128];
};

/** uduse_call.c: ioctl(2), read(2) and write(2), as messages */
extern const struct vduse_kernel sl_uduse_kernel;

#endif
