/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why the last call failed, in one sentence for people.
 *
 * Every function of sluice that can fail returns a negative errno and leaves
 * the sentence in a buffer of the calling thread.
 */
#ifndef SLUICE_REASON_H
#define SLUICE_REASON_H

#ifdef __cplusplus
extern "C" {
#endif

/**
 * sl_reason() - the sentence that the last failure of this thread left
 *
 * Return: a string that stays valid until the next failing call of the same
 * thread; empty when nothing has failed yet. Never NULL.
 */
const char *sl_reason(void);

#ifdef __cplusplus
}
#endif
#endif
