/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Touching memory that may go away under one's feet: a peer truncates the file behind a
 * mapping, a kernel takes a page back. SIGBUS or SIGSEGV becomes an error.
 *
 * The library installs no signal handler. A program that maps what others may take away
 * installs one for both signals, with SA_SIGINFO, that starts like this:
 *
 *	if (sl_guard_handler(sig, info, ctx))
 *		return;
 */
#ifndef SLUICE_GUARD_H
#define SLUICE_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * sl_guard_copy() - memcpy() between memory that may go away and memory of one's own
 * @to:   where to
 * @from: where from; the two do not overlap
 * @len:  bytes
 *
 * 2, 4 or 8 bytes, aligned on both sides, are read once and written once, whole: an index that
 * somebody else writes is not torn. No order against other accesses is promised.
 *
 * Any thread, any number at once. Also in a signal handler, if the handler of faults has that
 * signal in its sa_mask: a fault while faults are blocked is the end of the process.
 *
 * Return: 0; -EFAULT when memory was not there, or not to be touched so: some of @len bytes
 * may have been copied.
 */
int sl_guard_copy(void *to, const void *from, size_t len);

/** How many pieces of memory may be kept at a time, in a process. */
#define SL_GUARD_KEPT_MAX 1024

/**
 * sl_guard_keep() - memory that may go away, and will be touched as if it could not
 * @at:   a mapping of the caller's, aligned to @page
 * @len:  its length in bytes, a multiple of @page
 * @page: of its pages: a power of two; mappings of huge pages have larger ones
 *
 * For memory that is lent on, to code that knows nothing of it. When a page of it is gone, the
 * handler puts a private one of zeroes in its place (and after a dozen, in the place of all):
 * nobody crashes, what is read means nothing, and sl_guard_lost() says so. Any thread.
 *
 * Return: 0; -EINVAL for what is not aligned; -ENOSPC when SL_GUARD_KEPT_MAX are kept.
 */
int sl_guard_keep(void *at, size_t len, size_t page);

/** sl_guard_forget() - about to be unmapped; @at: as it was given to sl_guard_keep(), else nothing
 * happens. Any thread */
void sl_guard_forget(void *at);

/** sl_guard_lost() - was a page of the kept memory that @at lies in replaced? Any thread */
bool sl_guard_lost(const void *at);

/** sl_guard_losses() - how many pages were replaced so far, in all; any thread: when it has not
 * changed nothing was lost */
unsigned sl_guard_losses(void);

/**
 * sl_guard_handler() - what the program's handler of SIGBUS and SIGSEGV calls first
 * @sig:  as the handler got it
 * @info: its siginfo_t
 * @ctx:  its ucontext_t
 *
 * Async-signal-safe. It may not return to the handler when the fault was guarded.
 *
 * Return: true when the fault was in sl_guard_copy(), which will fail, or in memory that is kept:
 * return from the handler at once. false when not: the handler does what it would have done without
 * sluice.
 */
bool sl_guard_handler(int sig, const void *info, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
