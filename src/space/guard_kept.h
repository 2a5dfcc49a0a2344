/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SL_SPACE_GUARD_KEPT_H
#define SL_SPACE_GUARD_KEPT_H

#include <signal.h>
#include <stdbool.h>

/** sl_guard_replace() - the fault was not in a guarded copy. Async-signal-safe. Return: true when
 * it was in memory that is kept, and there is a page again */
bool sl_guard_replace(int sig, const siginfo_t *info);

#endif
