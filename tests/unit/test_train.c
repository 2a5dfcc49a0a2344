/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Trains: whatever the kernel takes and refuses, each sealed packet leaves once and in order, or
 * is counted. sendmmsg() and sendmsg() are replaced by a kernel of our own that refuses as told
 * and cuts trains as UDP_SEGMENT does.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#include "packets.h"

#include <sluice/data_channel.h>

#include "base/bytes.h"
#include "tunnel/train.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define MANY 4000

static struct {
	uint64_t random;
	unsigned busy, refuse,
		broken; /* per cent of calls: EAGAIN, EMSGSIZE for trains, ENETUNREACH */
	bool no_trains; /* EIO for each */
	bool one, full; /* busy after one message; it is */
	unsigned calls;
	unsigned n;
	uint32_t got[MANY]; /* the number that each datagram carries */
	uint32_t len[MANY];
} kernel;

static bool chance(unsigned percent)
{
	return random_in(&kernel.random, 0, 99) < percent;
}

static unsigned segment_size(const struct msghdr *hdr)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(hdr);
	uint16_t size = 0;

	if (c) {
		assert_int_equal(c->cmsg_level, IPPROTO_UDP);
		assert_int_equal(c->cmsg_type, UDP_SEGMENT);
		memcpy(&size, CMSG_DATA(c), sizeof(size));
	}
	return size;
}

static int take(const struct msghdr *hdr)
{
	unsigned size = segment_size(hdr), len = 0;
	static uint8_t bytes[1 << 17];

	for (size_t i = 0; i < hdr->msg_iovlen; i++) {
		assert_true(len + hdr->msg_iov[i].iov_len <= sizeof(bytes));
		memcpy(bytes + len, hdr->msg_iov[i].iov_base, hdr->msg_iov[i].iov_len);
		len += (unsigned)hdr->msg_iov[i].iov_len;
	}
	if (size && kernel.no_trains)
		return EIO;
	if (size && chance(kernel.refuse))
		return EMSGSIZE;
	if (chance(kernel.busy) || kernel.full)
		return EAGAIN;
	if (chance(kernel.broken))
		return ENETUNREACH;
	if (!size)
		size = len;
	assert_true(len <= 65507 && (len + size - 1) / size <= 64);
	for (unsigned at = 0; at < len; at += size) {
		assert_true(kernel.n < MANY);
		memcpy(&kernel.got[kernel.n], bytes + at, 4);
		kernel.len[kernel.n++] = sl_min(size, len - at);
	}
	kernel.full = kernel.one;
	return 0;
}

int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	(void)fd;
	assert_true(flags & MSG_DONTWAIT);
	kernel.calls++;
	for (unsigned i = 0; i < n; i++) {
		int err = take(&msgs[i].msg_hdr);

		if (!err)
			continue;
		errno = err;
		return i ? (int)i : -1;
	}
	return (int)n;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *hdr, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *hdr, int flags)
{
	(void)fd;
	assert_true(flags & MSG_DONTWAIT);
	kernel.calls++;
	errno = take(hdr);
	return errno ? -1 : 1;
}

static struct yard *new_yard(uint32_t largest)
{
	struct yard *yard = calloc(1, sizeof(*yard));

	assert_non_null(yard);
	sl_yard_open(yard, 0);
	yard->largest = largest;
	return yard;
}

static uint8_t memory[SEGMENTS_MAX][2048];

/* Segment @number of @len bytes, in one piece or several. */
static void add(struct yard *yard, uint64_t *r, uint32_t number, uint32_t len)
{
	unsigned pieces = random_in(r, 0, 3) ? 1 : random_in(r, 1, 4);
	uint8_t *bytes = memory[yard->n_segments];
	struct iovec *iov = sl_yard_iov(yard);
	uint32_t at = 0;

	assert_true(sl_yard_room(yard));
	memcpy(bytes, &number, 4);
	for (unsigned i = 0; i < pieces; i++) {
		uint32_t n = i + 1 == pieces ? len - at : random_in(r, 0, len - at);

		iov[i] = (struct iovec){bytes + at, n};
		at += n;
	}
	sl_yard_add(yard, pieces, len);
}

/* Fill and send, over and over, until all of @total have left or were dropped. */
static void pump(uint64_t *r, unsigned total)
{
	struct yard *yard = new_yard(1500);
	struct sl_count count = {0};
	uint32_t len = 1472, mark = 0, last_mark = 0, bytes = 0;
	unsigned sent = 0;

	while (sent < total) {
		bool all;

		while (sent < total && sl_yard_room(yard) && random_in(r, 0, 60)) {
			if (!random_in(r, 0, 9))
				len = random_in(r, SL_DATA_OVERHEAD, 1600);
			add(yard, r, sent++, len);
			bytes += len - SL_DATA_OVERHEAD;
			sl_yard_mark(yard, sent);
		}
		do {
			all = sl_yard_send(yard, &count, &mark);
			assert_true(mark >= last_mark && mark <= sent);
			last_mark = mark;
		} while (!all);
		assert_int_equal(mark, sent);
	}
	assert_int_equal(count.packets, kernel.n);
	assert_int_equal(count.packets + sl_count_drops(&count), total);
	if (kernel.n == total)
		assert_int_equal(count.bytes, bytes);
	for (unsigned i = 1; i < kernel.n; i++)
		assert_true(kernel.got[i - 1] < kernel.got[i]);
	free(yard);
}

static void test_any_kernel(void **state)
{
	(void)state;
	for (seed = 1; seed <= 400; seed++) {
		uint64_t r = seed;

		memset(&kernel, 0, sizeof(kernel));
		kernel.random = seed * 77;
		kernel.busy = random_in(&r, 0, 1) ? random_in(&r, 0, 60) : 0;
		kernel.refuse = random_in(&r, 0, 1) ? random_in(&r, 0, 60) : 0;
		kernel.broken = random_in(&r, 0, 3) ? 0 : random_in(&r, 0, 30);
		kernel.no_trains = !random_in(&r, 0, 3);
		pump(&r, 3000);
		if (!kernel.broken)
			assert_int_equal(kernel.n, 3000);
	}
}

/* 64 of one size are one call, and so are two trains. */
static void test_one_call(void **state)
{
	struct yard *yard = new_yard(1500);
	struct sl_count count = {0};
	uint32_t mark = 0;
	uint64_t r = 1;

	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	for (unsigned i = 0; i < 100; i++)
		add(yard, &r, i, i == 99 ? 700 : 1000);
	assert_int_equal(yard->n_trains, 2);
	assert_true(sl_yard_send(yard, &count, &mark));
	assert_int_equal(kernel.calls, 1);
	assert_int_equal(kernel.n, 100);
	assert_int_equal(kernel.len[99], 700);
	free(yard);
}

/* What would have to be fragmented, and what comes behind a shorter one, begins anew. */
static void test_where_trains_end(void **state)
{
	static const struct {
		uint32_t len[5];
		unsigned trains;
	} cases[] = {
		{{1000, 1000, 1000, 1000, 1000}, 1}, {{1000, 1000, 999, 999, 1000}, 3},
		{{1000, 1001, 1001, 1001, 1001}, 2}, {{1501, 1501, 1501, 1501, 1501}, 5},
		{{100, 90, 100, 90, 100}, 3},
	};

	(void)state;
	for (size_t n = 0; n < sizeof(cases) / sizeof(*cases); n++) {
		struct yard *yard = new_yard(1500);
		uint64_t r = n;

		for (unsigned i = 0; i < 5; i++)
			add(yard, &r, i, cases[n].len[i]);
		assert_int_equal(yard->n_trains, cases[n].trains);
		assert_int_equal(sl_yard_clear(yard), 5);
		assert_int_equal(yard->n_trains, 0);
		free(yard);
	}
}

/* A kernel that does not know trains is asked once; one that refuses a size, each time. */
static void test_falls_back(void **state)
{
	struct yard *yard = new_yard(1500);
	struct sl_count count = {0};
	uint32_t mark = 0;
	uint64_t r = 1;

	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.no_trains = true;
	for (unsigned i = 0; i < 10; i++)
		add(yard, &r, i, 1000);
	assert_true(sl_yard_send(yard, &count, &mark));
	assert_false(yard->whole);
	assert_int_equal(kernel.n, 10);
	add(yard, &r, 10, 1000);
	add(yard, &r, 11, 1000);
	assert_int_equal(yard->n_trains, 2);
	assert_true(sl_yard_send(yard, &count, &mark));
	assert_int_equal(kernel.n, 12);
	assert_int_equal(count.packets, 12);
	sl_yard_path(yard, 1500);
	assert_false(yard->whole);
	sl_yard_path(yard, 1400); /* another path: perhaps that was why */
	assert_true(yard->whole);
	free(yard);
}

/* A train that ends nothing leaves over what was over before it, and that alone. */
static void test_marks(void **state)
{
	struct yard *yard = new_yard(1500);
	struct sl_count count = {0};
	uint32_t mark = 0;
	uint64_t r = 1;

	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	sl_yard_mark(yard, 7);
	for (unsigned i = 0; i < 3; i++)
		add(yard, &r, i, 1000 + i);
	sl_yard_mark(yard, 8);
	kernel.one = true;
	assert_false(sl_yard_send(yard, &count, &mark));
	assert_int_equal(kernel.n, 1);
	assert_int_equal(mark, 7);
	kernel.one = kernel.full = false;
	assert_true(sl_yard_send(yard, &count, &mark));
	assert_int_equal(mark, 8);
	add(yard, &r, 3, 1000); /* of the next, which is not over */
	add(yard, &r, 4, 1001);
	kernel.one = true;
	assert_false(sl_yard_send(yard, &count, &mark));
	assert_int_equal(mark, 8);
	free(yard);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_kernel),
		cmocka_unit_test(test_one_call),
		cmocka_unit_test(test_where_trains_end),
		cmocka_unit_test(test_falls_back),
		cmocka_unit_test(test_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
