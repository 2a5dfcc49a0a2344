/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that is kept: where it is, for the handler of faults. That gets no argument of ours and
 * may come between any two instructions, so this table is static, and made of nothing but atomics.
 * It is the one thing in the library that is the process's and no object's, as the handler is.
 */
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <sluice/guard.h>

#include "base/barrier.h"
#include "base/reason.h"
#include "space/guard_kept.h"

#define FREE	0u
#define CLAIMED 1u /* no address of a page */

/* Pages that are replaced one by one; then all of the memory is, at once. Each is a mapping of its
 * own and cuts one in two, and a process may have 65530: this leaves it half of them. */
#define HOLES_MAX (32765 / 2 / SL_GUARD_KEPT_MAX)

/* @at: FREE, CLAIMED, or the memory's address, stored last; the rest changes while CLAIMED only. */
struct kept {
	uintptr_t at;
	size_t len, page;
	uint32_t lost; /* pages */
};

static struct kept table[SL_GUARD_KEPT_MAX];
static unsigned ever_used; /* entries behind were never used */
static unsigned losses;

/* A copy of an entry that is in use. Whoever sees a later length sees, by its release, that the
 * entry was claimed in between. */
static bool read_entry(const struct kept *k, struct kept *copy)
{
	copy->at = sl_load_acquire(&k->at);
	copy->len = sl_load_acquire(&k->len);
	copy->page = sl_load_acquire(&k->page);
	return copy->at > CLAIMED && sl_load_relaxed(&k->at) == copy->at;
}

/* Those of others may come and go meanwhile: who asks for an address has its entry stay. */
static struct kept *find(uintptr_t at, struct kept *copy)
{
	unsigned n = sl_load_acquire(&ever_used);

	for (unsigned i = 0; i < n; i++)
		if (read_entry(&table[i], copy) && at - copy->at < copy->len)
			return &table[i];
	return NULL;
}

static void raise_ever_used(unsigned n)
{
	unsigned old = sl_load_relaxed(&ever_used);

	while (old < n && !sl_cas_acq_rel(&ever_used, &old, n))
		;
}

int sl_guard_keep(void *at, size_t len, size_t page)
{
	if (page < (size_t)sysconf(_SC_PAGESIZE) || page & (page - 1) || !at || !len ||
	    ((uintptr_t)at | len) & (page - 1) || len > UINTPTR_MAX - (uintptr_t)at)
		return sl_fail(EINVAL, "%zu bytes at %p in pages of %zu cannot be kept", len, at,
			       page);
	for (unsigned i = 0; i < SL_GUARD_KEPT_MAX; i++) {
		struct kept *k = &table[i];
		uintptr_t old = FREE;

		if (sl_load_relaxed(&k->at) != FREE || !sl_cas_acq_rel(&k->at, &old, CLAIMED))
			continue;
		sl_store_release(&k->len, len);
		sl_store_release(&k->page, page);
		sl_store_relaxed(&k->lost, 0);
		raise_ever_used(i + 1);
		sl_store_release(&k->at, (uintptr_t)at);
		return 0;
	}
	return sl_fail(ENOSPC, "more than %d pieces of memory that others may take away",
		       SL_GUARD_KEPT_MAX);
}

void sl_guard_forget(void *at)
{
	struct kept copy, *k = at ? find((uintptr_t)at, &copy) : NULL;

	if (k && copy.at == (uintptr_t)at)
		sl_store_release(&k->at, (uintptr_t)FREE);
}

bool sl_guard_lost(const void *at)
{
	struct kept copy, *k = find((uintptr_t)at, &copy);

	return k && sl_load_acquire(&k->lost);
}

unsigned sl_guard_losses(void)
{
	return sl_load_acquire(&losses);
}

/* The bare system call: no library's idea of mmap(2) comes in between, in a handler of signals. */
static bool put_zeroes(uintptr_t at, size_t len)
{
	return syscall(SYS_mmap, at, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == (long)at;
}

/* Only SIGBUS means that a page is gone. Whoever reads zeroes can already see that something was
 * lost. */
bool sl_guard_replace(int sig, const siginfo_t *info)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	struct kept copy, *k;
	int err = errno;
	bool done;

	if (sig != SIGBUS || info->si_code <= 0)
		return false;
	k = find(at, &copy);
	if (!k)
		return false;
	sl_add_acq_rel(&losses, 1);
	done = sl_add_acq_rel(&k->lost, 1) <= HOLES_MAX
		       ? put_zeroes(at & ~(copy.page - 1), copy.page)
		       : put_zeroes(copy.at, copy.len);
	errno = err;
	return done;
}
