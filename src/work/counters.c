/* SPDX-License-Identifier: BSD-2-Clause */
#include <stddef.h>

#include <sluice/counters.h>

#include "base/count.h"

static const char *const drop_names[SL_DROP_COUNT] = {
	[SL_DROP_SOURCE] = "source",	       [SL_DROP_TRUNCATED] = "truncated",
	[SL_DROP_MALFORMED] = "malformed",     [SL_DROP_UNSUPPORTED] = "unsupported",
	[SL_DROP_TOO_LARGE] = "too-large",     [SL_DROP_NO_BUFFER] = "no-buffer",
	[SL_DROP_REFUSED] = "refused",	       [SL_DROP_DOWN] = "down",
	[SL_DROP_RECALLED] = "recalled",       [SL_DROP_PEER_GONE] = "peer-gone",
	[SL_DROP_AUTH_FAILED] = "auth-failed", [SL_DROP_REPLAYED] = "replayed",
	[SL_DROP_TOO_SHORT] = "too-short",     [SL_DROP_UNKNOWN_KEY] = "unknown-key",
	[SL_DROP_NO_SESSION] = "no-session",   [SL_DROP_SEND_FAILED] = "send-failed",
	[SL_DROP_NOT_IP] = "not-ip",
};

const char *sl_drop_name(enum sl_drop reason)
{
	return (unsigned)reason < SL_DROP_COUNT ? drop_names[reason] : NULL;
}

void sl_count_sum(struct sl_count *sum, const struct sl_count *more)
{
	sum->packets += sl_count_read(&more->packets);
	sum->bytes += sl_count_read(&more->bytes);
	sum->copied += sl_count_read(&more->copied);
	sum->cut += sl_count_read(&more->cut);
	for (unsigned i = 0; i < SL_DROP_COUNT; i++)
		sum->drops[i] += sl_count_read(&more->drops[i]);
}

uint64_t sl_count_drops(const struct sl_count *count)
{
	uint64_t drops = 0;

	for (unsigned i = 0; i < SL_DROP_COUNT; i++)
		drops += sl_count_read(&count->drops[i]);
	return drops;
}
