/* SPDX-License-Identifier: BSD-2-Clause */
/* Saying something to the log an object was given. See <sluice/log.h>. */
#ifndef SL_BASE_LOG_H
#define SL_BASE_LOG_H

#include <sluice/log.h>

/* Nothing happens when @log is NULL or less talkative than @level. */
__attribute__((format(printf, 3, 4), cold)) void sl_log(const struct sl_log *log,
							enum sl_log_level level, const char *fmt,
							...);

#endif
