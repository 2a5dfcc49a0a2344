/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets are carried without a call for memory: neither by the tunnel nor by the libraries that
 * it seals with. malloc() and its like are replaced for the whole process, libraries included.
 */
#include "tunnel_rig.h"

#include <features.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define COUNTED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTED 0
#endif
#endif
#ifndef COUNTED
#define COUNTED 1
#endif

#define PACKETS 10000

static uint64_t calls;

#if COUNTED
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *old);

void *malloc(size_t size)
{
	__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
	return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
	return __libc_realloc(old, size);
}

void *aligned_alloc(size_t align, size_t size)
{
	__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
	return __libc_memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
	__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
	*out = __libc_memalign(align, size);
	return *out ? 0 : ENOMEM;
}

void free(void *old)
{
	__atomic_add_fetch(&calls, old != NULL, __ATOMIC_RELAXED);
	__libc_free(old);
}
#endif

/* One packet a buffer of the test's own, given and taken without rig and judge: they allocate. */
static uint32_t post(struct end *e, const struct item *it, uint8_t *memory, uint32_t n)
{
	uint32_t at, room, back = sl_ring_returned(e->in, &at);

	sl_ring_reclaim(e->in, back);
	room = sl_ring_room(e->in, &at);
	n = n < room ? n : room;
	for (uint32_t i = 0; i < n; i++, at++) {
		struct sl_packet *packet = sl_ring_packet(e->in, at);

		*packet = (struct sl_packet){.headroom = 32};
		packet->frag.addr = memory + (at % RIG_ENTRIES) * 4096ul + 32;
		packet->frag.len = it->len;
		packet->flags = (uint8_t)((at & 1 ? SL_PACKET_WRITABLE : 0) |
					  (it->facts ? SL_PACKET_OFFLOAD : 0));
		memcpy(packet->frag.addr, it->bytes, it->len);
		*sl_ring_offload(e->in, at) = it->offload;
	}
	sl_ring_post(e->in, n);
	return n;
}

/* @total packets through the tunnel. Returns how many calls for memory they took. */
static uint64_t carry(struct rig *r, const struct item *it, uint8_t *memory, uint64_t total)
{
	struct end *a = &r->ends[0], *b = &r->ends[1];
	uint64_t sent = a->t->tx.count.packets + total;
	uint64_t before = __atomic_load_n(&calls, __ATOMIC_RELAXED);
	uint32_t at;

	while (a->t->tx.count.packets < sent || sl_ring_in_flight(a->in)) {
		if (a->t->tx.count.packets < sent)
			post(a, it, memory, 8);
		wire.budget = RIG_BUDGET;
		a->port->ops->tx(a->port, 0, a->in);
		for (unsigned n = 0; n < 4; n++) {
			b->port->ops->rx(b->port, 0, b->out);
			sl_ring_consume(b->out, sl_ring_ready(b->out, &at));
		}
		want(!sl_count_drops(&a->t->tx.count));
	}
	want(b->t->rx.count.packets);
	return __atomic_load_n(&calls, __ATOMIC_RELAXED) - before;
}

static void check(const char *cipher, bool super)
{
	struct rig_config config = {.layer = 3, .merges = true, .cipher = cipher};
	uint8_t *memory = malloc(RIG_ENTRIES * 4096ul);
	static struct item it;
	struct flow f;
	struct rig *r;

	rig_seed(1200);
	r = rig_open(&config);
	assert_non_null(memory);
	do
		f = flow_make(&r->random, 3, true);
	while (f.h.proto != 6);
	if (super)
		item_super(&r->random, &f, 3800, 500, &it);
	else
		item_next(&r->random, &f, 1200, 0x10, &it);
	carry(r, &it, memory, 100);
	assert_int_equal(carry(r, &it, memory, PACKETS), 0);
	rig_close(r);
	free(memory);
}

static void test_no_allocation(void **state)
{
	(void)state;
	want(calls);
	check("aes-256-gcm", false);
	check("aes-256-gcm", true);
	check("chacha20-poly1305", false);
	check("chacha20-poly1305", true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_allocation)};

	if (!COUNTED) {
		puts("1..0 # SKIP a sanitizer or a libc other than glibc has malloc() to itself");
		return 0;
	}
	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
