/* SPDX-License-Identifier: BSD-2-Clause */
/* The few places for sessions that are not proven: who has to make room for whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include <cmocka.h>

#include "tunnel/pending.h"

static struct sl_address address(uint32_t host, uint16_t port)
{
	struct sl_address a = {.len = sizeof(a.in)};

	a.in.sin_family = AF_INET;
	a.in.sin_addr.s_addr = htonl(host);
	a.in.sin_port = htons(port);
	return a;
}

/* A key without a TLS connection is released like another. */
static struct session *add(struct pending *p, uint32_t host, uint16_t port, uint64_t made_at)
{
	struct session *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->key = calloc(1, sizeof(*s->key));
	assert_non_null(s->key);
	s->address = address(host, port);
	s->made_at = made_at;
	sl_pending_add(p, s);
	return s;
}

static bool holds(const struct pending *p, uint32_t host, uint64_t made_at)
{
	for (unsigned n = 0; n < PENDING_MAX; n++)
		if (p->of[n] && p->of[n]->made_at == made_at &&
		    ntohl(p->of[n]->address.in.sin_addr.s_addr) == host)
			return true;
	return false;
}

static unsigned count(const struct pending *p, uint32_t host)
{
	unsigned n_of = 0;

	for (unsigned n = 0; n < PENDING_MAX; n++)
		n_of += p->of[n] && (!host || ntohl(p->of[n]->address.in.sin_addr.s_addr) == host);
	return n_of;
}

/* A host that wants more than its share pushes out its own, whatever its ports are. */
static void test_share(void **state)
{
	struct pending p = {0};

	(void)state;
	add(&p, 1, 1, 5);
	for (uint16_t n = 0; n < 100; n++) {
		add(&p, 2, n, 10 + n);
		assert_int_equal(count(&p, 2), n < PENDING_PER_SITE ? n + 1 : PENDING_PER_SITE);
		assert_true(holds(&p, 2, 10u + n));
	}
	for (uint64_t n = 96; n < 100; n++)
		assert_true(holds(&p, 2, 10 + n));
	assert_true(holds(&p, 1, 5));
	sl_pending_clear(&p);
	assert_int_equal(count(&p, 0), 0);
}

/* When all places are taken the oldest goes. */
static void test_full(void **state)
{
	struct pending p = {0};

	(void)state;
	for (uint32_t n = 0; n < PENDING_MAX; n++)
		add(&p, 100 + n, 1, 1000 - n); /* the last is the oldest */
	assert_int_equal(count(&p, 0), PENDING_MAX);
	for (uint32_t n = 0; n < PENDING_MAX; n++) {
		add(&p, 200 + n, 1, 2000 + n);
		assert_int_equal(count(&p, 0), PENDING_MAX);
		assert_true(holds(&p, 200 + n, 2000 + n));
		for (uint32_t k = 0; k < PENDING_MAX; k++)
			assert_int_equal(holds(&p, 100 + k, 1000 - k), k < PENDING_MAX - 1 - n);
	}
	sl_pending_clear(&p);
}

/* Full of others, and its share taken as well: its own goes, although another is older. */
static void test_full_with_share(void **state)
{
	struct pending p = {0};

	(void)state;
	for (uint32_t n = 0; n < PENDING_MAX - PENDING_PER_SITE; n++)
		add(&p, 100 + n, 1, 1 + n);
	for (uint32_t n = 0; n < PENDING_PER_SITE; n++)
		add(&p, 7, 1, 500 + n);
	add(&p, 7, 2, 600);
	assert_true(holds(&p, 100, 1));
	assert_false(holds(&p, 7, 500));
	assert_int_equal(count(&p, 7), PENDING_PER_SITE);
	add(&p, 8, 2, 601);
	assert_false(holds(&p, 100, 1));
	assert_int_equal(count(&p, 7), PENDING_PER_SITE);
	sl_pending_clear(&p);
}

/* Whoever has only brought a cookie back makes room before one whose TLS is under way. */
static void test_begun(void **state)
{
	struct pending p = {0};

	(void)state;
	for (uint32_t n = 0; n < PENDING_MAX / 2; n++)
		add(&p, 100 + n, 1, 1 + n)->key->reliable.expected = 2;
	for (uint32_t n = 0; n < 100; n++)
		add(&p, 200 + n, 1, 100 + n)->key->reliable.expected = 1;
	for (uint32_t n = 0; n < PENDING_MAX / 2; n++)
		assert_true(holds(&p, 100 + n, 1 + n));
	for (uint32_t n = 0; n < PENDING_MAX; n++)
		add(&p, 400 + n, 1, 300 + n)->key->reliable.expected = 2;
	assert_false(holds(&p, 100, 1)); /* all have begun: the oldest goes */
	sl_pending_clear(&p);
}

static void test_remove(void **state)
{
	struct pending p = {0};
	struct session *a, *b, other = {0};

	(void)state;
	assert_null(sl_pending_any(&p));
	sl_pending_remove(&p, &other);
	a = add(&p, 1, 1, 1);
	assert_ptr_equal(sl_pending_any(&p), a);
	b = add(&p, 2, 1, 2);
	sl_pending_remove(&p, &other);
	assert_int_equal(count(&p, 0), 2);
	sl_pending_remove(&p, a);
	assert_ptr_equal(sl_pending_any(&p), b);
	sl_session_release(a); /* it is ours again */
	sl_pending_remove(&p, b);
	assert_null(sl_pending_any(&p));
	sl_session_release(b);
	sl_pending_clear(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_share),		cmocka_unit_test(test_full),
		cmocka_unit_test(test_full_with_share), cmocka_unit_test(test_begun),
		cmocka_unit_test(test_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
