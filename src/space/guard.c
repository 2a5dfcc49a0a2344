/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guarded copy on x86-64 is one routine in assembler. A fault in it goes on at its end: the
 * handler returns in the ordinary way, and the kernel restores the signal mask. Nothing is
 * saved before a copy, nothing is kept anywhere, and no compiler or sanitizer can put anything
 * in between. Other machines have guard_portable.c.
 */
#include <inttypes.h>
#include <signal.h>
#include <ucontext.h>

#include <sluice/guard.h>

#include "base/reason.h"
#include "space/guard_kept.h"

/* guard_x86_64.S: where sl_guard_copy() is, whatever it is called by, and where it goes on after a
 * fault */
extern const char sl_guard_begin[], sl_guard_fault[];
int sl_guard_failed(void *to, const void *from, size_t len);

int sl_guard_failed(void *to, const void *from, size_t len)
{
	return sl_fail(EFAULT, "%zu bytes from %p to %p: memory was taken away", len, from, to);
}

/* A si_code above 0 is the kernel's own: not a signal that somebody has sent. */
static bool is_fault(int sig, const siginfo_t *info)
{
	return (sig == SIGBUS || sig == SIGSEGV) && info->si_code > 0;
}

bool sl_guard_handler(int sig, const void *info, void *ctx)
{
	greg_t *ip = &((ucontext_t *)ctx)->uc_mcontext.gregs[REG_RIP];
	uintptr_t at = (uintptr_t)*ip;

	if (!is_fault(sig, info))
		return false;
	if (at < (uintptr_t)sl_guard_begin || at >= (uintptr_t)sl_guard_fault)
		return sl_guard_replace(sig, info);
	*ip = (greg_t)(uintptr_t)sl_guard_fault;
	return true;
}
