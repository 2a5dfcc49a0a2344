/* SPDX-License-Identifier: BSD-2-Clause */
/* Showing what a link does: one line that updates, JSON objects, totals. */
#ifndef SL_CLI_SHOW_H
#define SL_CLI_SHOW_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/link.h>

/**
 * struct show - what was shown last, so that rates can be told
 * @names: the two port specs
 * @json:  one object a call on stdout instead of a line
 * @terminal: stdout is one: the line is written over
 */
struct show {
	const char *names[2];
	bool json;
	bool terminal;
	uint64_t start_ns;
	uint64_t last_ns;
	struct sl_link_stats last[2];
};

void show_start(struct show *show, const char *const names[2], bool json);

/** show_interval() - what happened since the last call */
void show_interval(struct show *show, const struct sl_link *link);

/** show_final() - totals since the start */
void show_final(struct show *show, const struct sl_link *link);

#endif
