/* SPDX-License-Identifier: BSD-2-Clause */
/* Spaces, rule by rule: docs/space.md. What test_space_model.c cannot say: words, order, edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <sluice/reason.h>
#include <sluice/space_user.h>

#include "base/latch.h"
#include "base/reason.h"

#define RW   (SL_REGION_READ | SL_REGION_WRITE)
#define PAGE 4096u
#define MIB  (UINT64_C(1) << 20)
#define TOP  UINT64_MAX

/* What VFIO reports for an intel IOMMU: all but the MSI window. */
static const struct sl_iova_range intel_ranges[] = {{{0}, {0xfedfffff}},
						    {{0xfef00000}, {0x7fffffffff}}};
static const struct sl_iova_limits intel = {intel_ranges, 2, PAGE};

/* Never touched. */
static uint8_t *const memory = (uint8_t *)(UINT64_C(16) * MIB);

static sl_iova at(uint64_t value)
{
	return (sl_iova){value};
}

static struct sl_iova_range range(uint64_t first, uint64_t last)
{
	return (struct sl_iova_range){{first}, {last}};
}

static struct sl_region region(void *base, size_t len, uint32_t access)
{
	return (struct sl_region){.base = base, .len = len, .fd = -1, .access = access};
}

static struct sl_space *create(const struct sl_iova_limits *limits)
{
	struct sl_space *s;

	assert_int_equal(sl_space_create(limits, &s), 0);
	return s;
}

static int map_at(struct sl_space *s, uint64_t iova, size_t len)
{
	struct sl_region r = region(memory, len, RW);

	return sl_space_map_at(s, at(iova), &r);
}

/* The IOVA that it is given, or a negative errno. */
static int64_t map(struct sl_space *s, size_t len, uint64_t align)
{
	struct sl_region r = region(memory, len, RW);
	sl_iova out;
	int err = sl_space_map(s, &r, align, &out);

	return err ? err : (int64_t)out.value;
}

static int lookup(const struct sl_space *s, uint64_t iova, uint64_t len)
{
	struct iovec pieces[4];

	return sl_space_lookup(s, at(iova), len, SL_REGION_READ, pieces, 4);
}

static size_t count(const struct sl_space *s)
{
	size_t n;

	sl_space_mappings(s, &n);
	return n;
}

static void says(const char *words)
{
	if (!strstr(sl_reason(), words))
		fail_msg("\"%s\" is not in \"%s\"", words, sl_reason());
}

static void test_iova(void **state)
{
	struct sl_iova_range r = range(1, 2);
	sl_iova a = at(5);

	(void)state;
	assert_true(sl_iova_cmp(at(0), at(TOP)) < 0 && sl_iova_cmp(at(TOP), at(0)) > 0);
	assert_int_equal(sl_iova_cmp(at(7), at(7)), 0);
	assert_true(sl_iova_advance(at(5), TOP - 5, &a) && a.value == TOP);
	assert_false(sl_iova_advance(at(5), TOP - 4, &a));
	assert_int_equal(a.value, TOP);
	assert_int_equal(sl_iova_span(at(0), 0, &r), -EINVAL);
	assert_int_equal(sl_iova_span(at(TOP), 2, &r), -ERANGE);
	assert_int_equal(sl_iova_span(at(1), TOP, &r), 0);
	assert_true(r.first.value == 1 && r.last.value == TOP);
	assert_true(sl_iova_within(range(3, 5), range(3, 5)));
	assert_false(sl_iova_within(range(2, 5), range(3, 5)));
	assert_false(sl_iova_within(range(3, 6), range(3, 5)));
}

static void test_limits_are_checked(void **state)
{
	static const struct sl_iova_range backwards[] = {{{5}, {4}}};
	static const struct sl_iova_range touching[] = {{{0}, {15}}, {{16}, {31}}};
	static const struct sl_iova_range descending[] = {{{64}, {95}}, {{0}, {31}}};
	static const struct sl_iova_limits bad[] = {
		{backwards, 1, 1}, {touching, 2, 1}, {descending, 2, 1}, {intel_ranges, 2, 3}};
	struct sl_space *s;

	(void)state;
	for (unsigned n = 0; n < 4; n++)
		assert_int_equal(sl_space_create(&bad[n], &s), -EINVAL);
	sl_space_release(NULL);
}

static void test_bad_regions(void **state)
{
	struct sl_space *s = create(NULL);
	struct sl_region bad[] = {region(memory, 0, RW), region(NULL, 16, RW),
				  region((void *)(UINTPTR_MAX - 14), 16, RW), region(memory, 16, 0),
				  region(memory, 16, 4)};
	sl_iova out;

	(void)state;
	for (unsigned n = 0; n < 5; n++) {
		assert_int_equal(sl_space_map_at(s, at(64), &bad[n]), -EINVAL);
		assert_int_equal(sl_space_map(s, &bad[n], 0, &out), -EINVAL);
	}
	assert_int_equal(map(s, 16, 3), -EINVAL);
	assert_int_equal(count(s), 0);
	sl_space_release(s);
}

/* The first and the last of all addresses are like any other. */
static void test_edges(void **state)
{
	struct sl_space *s = create(NULL);

	(void)state;
	assert_int_equal(map_at(s, 0, 16), 0);
	assert_int_equal(map_at(s, TOP - 15, 17), -ERANGE);
	assert_int_equal(map_at(s, TOP - 15, 16), 0);
	assert_int_equal(lookup(s, 0, 16), 1);
	assert_int_equal(lookup(s, TOP - 15, 16), 1);
	assert_int_equal(lookup(s, TOP, 1), 1);
	assert_int_equal(lookup(s, TOP, 2), -ERANGE);
	assert_int_equal(lookup(s, TOP, TOP), -ERANGE);
	assert_int_equal(lookup(s, 0, TOP), -EFAULT);
	assert_int_equal(lookup(s, 0, 0), -EINVAL);
	assert_int_equal(map_at(s, TOP, 1), -EEXIST);
	assert_int_equal(sl_space_unmap(s, range(0, TOP)), 2);
	assert_int_equal(lookup(s, TOP, 1), -EFAULT);
	sl_space_release(s);
}

/* The fault that others had: the start is in a mapping and the end is not. */
static void test_end_past_mapping(void **state)
{
	struct sl_space *s = create(NULL);

	(void)state;
	assert_int_equal(map_at(s, PAGE, PAGE), 0);
	assert_int_equal(lookup(s, PAGE, PAGE), 1);
	assert_int_equal(lookup(s, PAGE, PAGE + 1), -EFAULT);
	says("IOVA 0x1000, 0x1001 bytes: 0x2000 is not mapped");
	assert_int_equal(lookup(s, 2 * PAGE - 1, 2), -EFAULT);
	assert_int_equal(lookup(s, PAGE - 1, 2), -EFAULT);
	assert_int_equal(lookup(s, PAGE, TOP - PAGE), -EFAULT);
	sl_space_release(s);
}

static void test_pieces(void **state)
{
	struct sl_space *s = create(NULL);
	struct sl_region a = region(memory, 100, RW), b = region(memory + MIB, 50, RW);
	struct sl_region c = region(memory + 7, 10, SL_REGION_READ);
	struct iovec pieces[3];

	(void)state;
	assert_int_equal(sl_space_map_at(s, at(100), &b), 0);
	assert_int_equal(sl_space_map_at(s, at(0), &a), 0);
	assert_int_equal(sl_space_map_at(s, at(150), &c), 0);
	assert_int_equal(sl_space_lookup(s, at(90), 65, SL_REGION_READ, pieces, 3), 3);
	assert_ptr_equal(pieces[0].iov_base, memory + 90);
	assert_int_equal(pieces[0].iov_len, 10);
	assert_ptr_equal(pieces[1].iov_base, memory + MIB);
	assert_int_equal(pieces[1].iov_len, 50);
	assert_ptr_equal(pieces[2].iov_base, memory + 7);
	assert_int_equal(pieces[2].iov_len, 5);
	assert_int_equal(sl_space_lookup(s, at(90), 65, SL_REGION_READ, pieces, 2), -EMSGSIZE);
	assert_int_equal(sl_space_lookup(s, at(90), 5, SL_REGION_READ, pieces, 0), -EMSGSIZE);
	assert_int_equal(sl_space_lookup(s, at(90), 65, RW, pieces, 3), -EACCES);
	says("0x96 may not be accessed so");
	assert_int_equal(sl_space_lookup(s, at(90), 60, RW, pieces, 3), 2);
	assert_int_equal(sl_space_lookup(s, at(90), 71, SL_REGION_READ, pieces, 3), -EFAULT);
	sl_space_release(s);
}

static void test_overlap(void **state)
{
	struct sl_space *s = create(NULL);

	(void)state;
	assert_int_equal(map_at(s, 0x2000, 0x2000), 0);
	assert_int_equal(map_at(s, 0x1000, 0x1001), -EEXIST);
	says("IOVA 0x1000-0x2000 overlaps the mapping at IOVA 0x2000-0x3fff");
	assert_int_equal(map_at(s, 0x3fff, 1), -EEXIST);
	assert_int_equal(map_at(s, 0x2800, 0x10), -EEXIST);
	assert_int_equal(map_at(s, 0, 0x10000), -EEXIST);
	assert_int_equal(map_at(s, 0x1000, 0x1000), 0);
	assert_int_equal(map_at(s, 0x4000, 0x1000), 0);
	assert_int_equal(count(s), 3);
	sl_space_release(s);
}

static void test_ranges_of_hardware(void **state)
{
	struct sl_space *s = create(&intel);

	(void)state;
	assert_int_equal(map_at(s, 0xfee00000, PAGE), -ERANGE);
	says("IOVA 0xfee00000-0xfee00fff is outside IOVA 0xfef00000-0x7fffffffff, which the space "
	     "allows");
	assert_int_equal(map_at(s, 0xfedff000, 2 * PAGE), -ERANGE);
	says("outside IOVA 0x0-0xfedfffff");
	assert_int_equal(map_at(s, 0xfeeff000, 2 * PAGE), -ERANGE);
	assert_int_equal(map_at(s, 0xfedff000, 0x200000), -ERANGE);
	assert_int_equal(map_at(s, 0x7ffffff000, 2 * PAGE), -ERANGE);
	assert_int_equal(map_at(s, 0x8000000000, PAGE), -ERANGE);
	assert_int_equal(map_at(s, 0xfedff000, PAGE), 0);
	assert_int_equal(map_at(s, 0xfef00000, PAGE), 0);
	assert_int_equal(map_at(s, 0x7ffffff000, PAGE), 0);
	assert_int_equal(map_at(s, 0x1001, PAGE), -EINVAL);
	assert_int_equal(map_at(s, 0x1000, PAGE + 1), -EINVAL);
	says("multiples of 0x1000");
	sl_space_release(s);
}

static void test_pointer_is_aligned(void **state)
{
	struct sl_space *s = create(&intel);
	struct sl_region r = region(memory + 1, PAGE, RW);

	(void)state;
	assert_int_equal(sl_space_map_at(s, at(0), &r), -EINVAL);
	sl_space_release(s);
}

static void test_lowest_fit(void **state)
{
	struct sl_space *s = create(&intel);

	(void)state;
	assert_int_equal(map(s, PAGE, 0), 0);
	assert_int_equal(map(s, PAGE, 2 * MIB), 2 * MIB);
	assert_int_equal(map(s, 2 * MIB - PAGE, 0), PAGE); /* just the gap */
	assert_int_equal(map(s, PAGE, 0), 2 * MIB + PAGE);
	assert_int_equal(sl_space_unmap(s, range(PAGE, 2 * MIB - 1)), 1);
	assert_int_equal(map(s, 2 * MIB, 0), 2 * MIB + 2 * PAGE);
	assert_int_equal(map(s, PAGE, 0), PAGE);
	assert_int_equal(map(s, 0xfed00000, 0), 0xfef00000); /* past the MSI window */
	assert_int_equal(map(s, 0x8000000000, 0), -ENOSPC);
	assert_int_equal(map(s, 0x7f00000001, 0), -ENOSPC);
	assert_int_equal(map(s, PAGE, UINT64_C(1) << 63), -ENOSPC);
	sl_space_release(s);
}

/* Who does not want 0 says so with a range. */
static void test_without_zero(void **state)
{
	static const struct sl_iova_range above[] = {{{1}, {TOP}}};
	static const struct sl_iova_limits limits = {above, 1, PAGE};
	struct sl_space *s = create(&limits);

	(void)state;
	assert_int_equal(map(s, PAGE, 0), PAGE);
	assert_int_equal(map_at(s, 0, PAGE), -ERANGE);
	sl_space_release(s);
}

static void test_full(void **state)
{
	static const struct sl_iova_limits nowhere = {NULL, 0, 0};
	struct sl_space *s = create(NULL);

	(void)state;
	assert_int_equal(map_at(s, 0, (size_t)1 << 63), -0);
	assert_int_equal(map_at(s, (uint64_t)1 << 63, (size_t)1 << 63), 0);
	assert_int_equal(map(s, 1, 0), -ENOSPC);
	assert_int_equal(lookup(s, (uint64_t)1 << 63, 1), 1);
	assert_int_equal(lookup(s, 0, TOP), 2);
	sl_space_release(s);
	s = create(&nowhere);
	assert_int_equal(map(s, 1, 0), -ENOSPC);
	assert_int_equal(map_at(s, 0, 1), -ERANGE);
	sl_space_release(s);
}

static void test_most_mappings(void **state)
{
	struct sl_space *s = create(NULL);

	(void)state;
	for (uint64_t n = 0; n < SL_SPACE_MAPPINGS_MAX; n++)
		assert_int_equal(map_at(s, n * 32, 16), 0);
	assert_int_equal(map_at(s, TOP, 1), -ENOSPC);
	assert_int_equal(map_at(s, 32, 1), -EEXIST);
	for (uint64_t n = 0; n < SL_SPACE_MAPPINGS_MAX; n++)
		assert_true(lookup(s, n * 32, 16) == 1 && lookup(s, n * 32 + 16, 1) == -EFAULT);
	assert_int_equal(sl_space_unmap(s, range(32, 32 + 15)), 1);
	assert_int_equal(map_at(s, TOP, 1), 0);
	assert_int_equal(sl_space_unmap(s, range(0, TOP)), SL_SPACE_MAPPINGS_MAX);
	assert_int_equal(count(s), 0);
	sl_space_release(s);
}

static void test_unmap(void **state)
{
	struct sl_space *s = create(NULL);

	(void)state;
	for (unsigned n = 0; n < 4; n++)
		assert_int_equal(map_at(s, n * 0x10000, 0x1000), 0);
	assert_int_equal(sl_space_unmap(s, range(0x10001, 0x10fff)), -EINVAL);
	says("IOVA 0x10001-0x10fff cuts the mapping at IOVA 0x10000-0x10fff");
	assert_int_equal(sl_space_unmap(s, range(0x10000, 0x10ffe)), -EINVAL);
	assert_int_equal(sl_space_unmap(s, range(0x10100, 0x10200)), -EINVAL);
	assert_int_equal(sl_space_unmap(s, range(0, 0x20000)), -EINVAL); /* the last is cut */
	assert_int_equal(sl_space_unmap(s, range(0xfff, TOP)), -EINVAL); /* the first is */
	assert_int_equal(count(s), 4);
	assert_int_equal(sl_space_unmap(s, range(0x1000, 0xffff)), 0);
	assert_int_equal(sl_space_unmap(s, range(0x8000, 0x28000)), 2);
	assert_int_equal(sl_space_unmap(s, range(0, TOP)), 2);
	assert_int_equal(sl_space_unmap(s, range(0, TOP)), 0);
	sl_space_release(s);
}

/*
 * Users. Each writes what it is told into one log: "a+1 b+1" is a mapping at 0x1000 told to both.
 */

static char told[4096];

struct device {
	struct sl_space_user user;
	uint64_t refuses; /* this page number */
	struct sl_space *pins;
};

static void tell(struct device *d, char what, const struct sl_mapping *m)
{
	size_t used = strlen(told);

	snprintf(told + used, sizeof(told) - used, " %s%c%u", d->user.name, what,
		 (unsigned)(m->at.first.value / PAGE));
}

static int on_map(struct sl_space_user *user, const struct sl_mapping *m)
{
	struct device *d = (struct device *)user;

	if (d->refuses && m->at.first.value / PAGE == d->refuses)
		return sl_fail(ENOMEM, "no");
	if (d->pins && sl_space_memlock(d->pins))
		return -ENOMEM;
	tell(d, '+', m);
	return 0;
}

static void on_unmap(struct sl_space_user *user, const struct sl_mapping *m)
{
	tell((struct device *)user, '-', m);
	sl_fail(EIO, "of no interest");
}

static const struct sl_space_user_ops ops = {on_map, on_unmap};

static struct device device(const char *name, const struct sl_iova_limits *limits)
{
	told[0] = '\0';
	return (struct device){.user = {&ops, name, limits}};
}

static void told_is(const char *want)
{
	assert_string_equal(told, want);
	told[0] = '\0';
}

static void map_pages(struct sl_space *s, uint64_t from, uint64_t to)
{
	for (uint64_t n = from; n <= to; n++)
		assert_int_equal(map_at(s, n * PAGE, PAGE), 0);
}

static void test_users_are_told(void **state)
{
	struct device a = device("a", NULL), b = device("b", NULL);
	struct sl_space *s = create(NULL);

	(void)state;
	map_pages(s, 1, 2);
	assert_int_equal(sl_space_attach(s, &a.user), 0);
	told_is(" a+1 a+2");
	assert_int_equal(sl_space_attach(s, &b.user), 0);
	assert_int_equal(sl_space_attach(s, &b.user), -EEXIST);
	told_is(" b+1 b+2");
	map_pages(s, 3, 3);
	told_is(" a+3 b+3");
	assert_int_equal(sl_space_unmap(s, range(2 * PAGE, TOP)), 2);
	told_is(" b-3 a-3 b-2 a-2");
	map_pages(s, 5, 5);
	told_is(" a+5 b+5");
	sl_space_detach(s, &a.user);
	told_is(" a-5 a-1");
	sl_space_detach(s, &a.user);
	told_is("");
	assert_int_equal(sl_space_attach(s, &a.user), 0);
	told_is(" a+1 a+5");
	sl_space_release(s);
	told_is(" a-5 a-1 b-5 b-1");
}

static void test_attach_fails_midway(void **state)
{
	struct device a = device("a", NULL), b = device("b", NULL);
	struct sl_space *s = create(NULL);

	(void)state;
	map_pages(s, 1, 5);
	assert_int_equal(sl_space_attach(s, &b.user), 0);
	told[0] = '\0';
	a.refuses = 4;
	assert_int_equal(sl_space_attach(s, &a.user), -ENOMEM);
	told_is(" a+1 a+2 a+3 a-3 a-2 a-1");
	assert_string_equal(sl_reason(), "a does not map IOVA 0x4000-0x4fff: no");
	map_pages(s, 6, 6);
	told_is(" b+6"); /* it is not attached */
	a.refuses = 0;
	assert_int_equal(sl_space_attach(s, &a.user), 0);
	sl_space_release(s);
}

static void test_map_is_refused(void **state)
{
	struct device a = device("a", NULL), b = device("b", NULL), c = device("c", NULL);
	struct sl_space *s = create(NULL);

	(void)state;
	assert_int_equal(sl_space_attach(s, &a.user), 0);
	assert_int_equal(sl_space_attach(s, &b.user), 0);
	assert_int_equal(sl_space_attach(s, &c.user), 0);
	c.refuses = 2;
	map_pages(s, 1, 1);
	told_is(" a+1 b+1 c+1");
	assert_int_equal(map_at(s, 2 * PAGE, PAGE), -ENOMEM);
	told_is(" a+2 b+2 b-2 a-2");
	assert_string_equal(sl_reason(), "c does not map IOVA 0x2000-0x2fff: no");
	assert_int_equal(lookup(s, 2 * PAGE, 1), -EFAULT);
	assert_int_equal(lookup(s, PAGE, PAGE), 1);
	c.refuses = 0;
	map_pages(s, 2, 2);
	sl_space_release(s);
}

static void test_users_have_limits(void **state)
{
	static const struct sl_iova_range low[] = {{{PAGE}, {0xfffffff}}}; /* 28 bits, no 0 */
	static const struct sl_iova_limits edu = {low, 1, 0}, odd = {low, 1, 3};
	static const struct sl_iova_limits big = {intel_ranges, 2, 65536};
	struct device a = device("a", &edu), b = device("b", &big), c = device("c", &odd);
	struct sl_space *s = create(&intel);

	(void)state;
	assert_int_equal(map_at(s, 0x10000000, PAGE), 0);
	assert_int_equal(sl_space_attach(s, &a.user), -ERANGE);
	says("IOVA 0x10000000-0x10000fff is outside IOVA 0x1000-0xfffffff, which a allows");
	assert_int_equal(sl_space_attach(s, &b.user), -EINVAL);
	says("0x10000 for b");
	assert_int_equal(sl_space_attach(s, &c.user), -EINVAL);
	assert_int_equal(sl_space_unmap(s, range(0, TOP)), 1);
	told_is("");

	assert_int_equal(sl_space_attach(s, &a.user), 0);
	assert_int_equal(map_at(s, 0x10000000, PAGE), -ERANGE);
	assert_int_equal(map(s, PAGE, 0), PAGE);
	assert_int_equal(map(s, 0xffff000, 0), -ENOSPC);
	assert_int_equal(sl_space_unmap(s, range(0, TOP)), 1);
	assert_int_equal(sl_space_attach(s, &b.user), 0);
	assert_int_equal(map(s, 65536, 0), 65536); /* the range of one, the page of the other */
	sl_space_detach(s, &a.user);
	assert_int_equal(map(s, 65536, 0), 0); /* its limits went with it */
	assert_int_equal(map_at(s, 0x10000000, 65536), 0);
	sl_space_release(s);
}

static void test_memlock(void **state)
{
	struct rlimit old, small;
	struct device a = device("a", NULL);
	struct sl_space *s = create(NULL);

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &old), 0);
	small = (struct rlimit){3 * PAGE, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &small), 0);
	a.pins = s;
	assert_int_equal(sl_space_attach(s, &a.user), 0);
	map_pages(s, 1, 3);
	assert_int_equal(map_at(s, 4 * PAGE, PAGE), -ENOMEM); /* what is being mapped counts */
	says("16384 bytes are to be locked");
	says("RLIMIT_MEMLOCK is 12288: 4096 too few");
	assert_int_equal(sl_space_memlock(s), 0); /* it is not mapped */
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &old), 0);
	sl_space_release(s);
}

/*
 * Workers that look up, each behind a latch, and the thread that changes the space.
 */

#define READERS 2u
#define CHANGES 3000u

struct shared {
	struct sl_space *space;
	struct sl_latch latches[READERS];
	uint32_t end;
};

struct reader {
	struct shared *shared;
	struct sl_latch *latch;
	uint64_t found, missed, wrong;
};

static void *look(void *arg)
{
	struct reader *r = arg;
	struct iovec piece;

	while (!sl_load_acquire(&r->shared->end) || !r->found) {
		for (uint64_t n = 0; n < 64; n++) {
			int got;

			sl_latch_enter(r->latch);
			got = sl_space_lookup(r->shared->space, at(n * PAGE + 1), 8, SL_REGION_READ,
					      &piece, 1);
			sl_latch_leave(r->latch);
			r->found += got == 1;
			r->missed += got == -EFAULT;
			r->wrong +=
				got == 1 ? piece.iov_base != memory + n * PAGE + 1 : got != -EFAULT;
		}
	}
	return NULL;
}

static void change(struct shared *shared, unsigned n)
{
	uint64_t page = n * 7919 % 64;
	struct sl_region r = region(memory + page * PAGE, PAGE, RW);

	for (unsigned i = 0; i < READERS; i++)
		sl_latch_shut(&shared->latches[i]);
	if (sl_space_map_at(shared->space, at(page * PAGE), &r))
		assert_int_equal(
			sl_space_unmap(shared->space, range(page * PAGE, page * PAGE + PAGE - 1)),
			1);
	for (unsigned i = READERS; i--;)
		sl_latch_open(&shared->latches[i]);
}

static void test_workers_look_up(void **state)
{
	struct shared shared = {.space = create(NULL)};
	struct reader readers[READERS] = {{0}};
	pthread_t threads[READERS];

	(void)state;
	for (unsigned i = 0; i < READERS; i++) {
		sl_latch_init(&shared.latches[i]);
		readers[i] = (struct reader){&shared, &shared.latches[i], 0, 0, 0};
		assert_int_equal(pthread_create(&threads[i], NULL, look, &readers[i]), 0);
	}
	for (unsigned n = 0; n < CHANGES + 32; n++) /* so that some mappings are left at the end */
		change(&shared, n);
	sl_store_release(&shared.end, 1);
	for (unsigned i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		assert_true(readers[i].found && !readers[i].wrong);
		sl_latch_destroy(&shared.latches[i]);
	}
	sl_space_release(shared.space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_iova),
		cmocka_unit_test(test_limits_are_checked),
		cmocka_unit_test(test_bad_regions),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_end_past_mapping),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_ranges_of_hardware),
		cmocka_unit_test(test_pointer_is_aligned),
		cmocka_unit_test(test_lowest_fit),
		cmocka_unit_test(test_without_zero),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_most_mappings),
		cmocka_unit_test(test_unmap),
		cmocka_unit_test(test_users_are_told),
		cmocka_unit_test(test_attach_fails_midway),
		cmocka_unit_test(test_map_is_refused),
		cmocka_unit_test(test_users_have_limits),
		cmocka_unit_test(test_memlock),
		cmocka_unit_test(test_workers_look_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
