/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"

void sl_log(const struct sl_log *log, enum sl_log_level level, const char *fmt, ...)
{
	char line[512];
	va_list args;

	if (!log || !log->write || level > log->level)
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	log->write(log->ctx, level, line);
}
