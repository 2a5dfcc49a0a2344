/* SPDX-License-Identifier: BSD-2-Clause */
/* Failing with a sentence. See <sluice/reason.h>. */
#ifndef SL_BASE_REASON_H
#define SL_BASE_REASON_H

#include <errno.h>

#include <sluice/reason.h>

/* Leave a sentence as this thread's reason and return -err: return sl_fail(EINVAL, "..."); */
__attribute__((format(printf, 2, 3), cold)) int sl_fail(int err, const char *fmt, ...);

#endif
