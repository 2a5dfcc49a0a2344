/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/reason.h"

static _Thread_local char reason[512];

const char *sl_reason(void)
{
	return reason;
}

int sl_fail(int err, const char *fmt, ...)
{
	char text[sizeof(reason)]; /* an argument may be the last reason itself */
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	memcpy(reason, text, sizeof(text));
	return -err;
}
