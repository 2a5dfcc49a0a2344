/* SPDX-License-Identifier: BSD-2-Clause */
/* Showing what an offer does: one line that updates, JSON objects, totals. */
#ifndef SL_CLI_SERVE_SHOW_H
#define SL_CLI_SERVE_SHOW_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/offer.h>

/** struct serve_seen - counters of all queues, and @bytes of the model's */
struct serve_seen {
	uint64_t requests, interrupts, bytes, at_ns;
};

/**
 * struct serve_show - what was shown last, so that rates can be told
 * @model:    shown as well; whoever shows has it still
 * @terminal: stdout is one: the line is written over
 */
struct serve_show {
	const struct sl_model *model;
	bool json, terminal;
	struct serve_seen start, last;
};

void serve_show_start(struct serve_show *show, const struct sl_model *model, bool json);

/** serve_show_interval() - what happened since the last call */
void serve_show_interval(struct serve_show *show, const struct sl_offer *offer);

/** serve_show_final() - totals since the start */
void serve_show_final(struct serve_show *show, const struct sl_offer *offer);

#endif
