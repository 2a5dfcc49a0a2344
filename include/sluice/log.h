/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the library has to say beside return values.
 *
 * There is no global log: whoever creates an object hands it one of these, or
 * NULL for silence. The struct must outlive the objects it was given to.
 */
#ifndef SLUICE_LOG_H
#define SLUICE_LOG_H

#ifdef __cplusplus
extern "C" {
#endif

enum sl_log_level {
	SL_LOG_ERROR, /* something the user asked for does not work */
	SL_LOG_WARN,  /* it works, but not as asked */
	SL_LOG_INFO,  /* changes of state: a peer gone, attached again */
	SL_LOG_DEBUG, /* what was found and chosen */
};

/**
 * struct sl_log - where log lines go
 * @write: called with one whole line, no newline; may be called by any thread
 *         that runs one of the objects; must not call back into them
 * @ctx:   handed to @write
 * @level: the most talkative level that is wanted
 */
struct sl_log {
	void (*write)(void *ctx, enum sl_log_level level, const char *line);
	void *ctx;
	enum sl_log_level level;
};

#ifdef __cplusplus
}
#endif
#endif
