/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets in pieces against the same packet in one. */
#include "packets.h"

#include <errno.h>

#include <sluice/consumer.h>
#include <sluice/producer.h>

#include "packet/csum.h"
#include "packet/frags.h"

#define FLAT_MAX 8192u

/* A packet on a ring, and its bytes once more without seams. */
struct bench {
	struct sl_ring *ring;
	struct sl_packet *packet;
	uint8_t flat[FLAT_MAX];
	uint32_t len;
};

static void bench_open(struct bench *b)
{
	const struct sl_ring_config config = {4, SL_PACKET_FRAGS_MAX, -1, -1};

	assert_int_equal(sl_ring_create(&config, &b->ring), 0);
}

/* Post a packet of random pieces, empty ones too, each in memory of just its size. */
static void bench_put(struct bench *b, uint64_t *r)
{
	struct sl_frag frags[SL_PACKET_FRAGS_MAX];
	uint32_t count = random_in(r, 1, SL_PACKET_FRAGS_MAX), most = random_in(r, 0, 128), at;

	b->len = 0;
	for (uint32_t n = 0; n < count; n++) {
		uint32_t len = random_in(r, 0, most);

		random_fill(r, b->flat + b->len, len);
		frags[n] = (struct sl_frag){.addr = exact(b->flat + b->len, len),
					    .len = len,
					    .region = (uint16_t)n,
					    .tailroom = (uint16_t)random_next(r)};
		b->len += len;
	}
	want(sl_ring_room(b->ring, &at) > 0);
	want(sl_ring_chain(b->ring, at, frags, count) == 0);
	sl_ring_post(b->ring, 1);
	want(sl_ring_ready(b->ring, &at) == 1);
	b->packet = sl_ring_packet(b->ring, at);
}

static void bench_take(struct bench *b)
{
	uint32_t at;

	for (uint32_t n = 0; n <= b->packet->more; n++) {
		const struct sl_frag *f = sl_ring_frag(b->ring, b->packet, n);

		exact_free(f->addr, f->len);
	}
	sl_ring_consume(b->ring, 1);
	want(sl_ring_returned(b->ring, &at) == 1);
	sl_ring_reclaim(b->ring, 1);
}

static void check_copy(struct bench *b, uint32_t at, uint32_t len)
{
	uint32_t have = at >= b->len ? 0 : b->len - at < len ? b->len - at : len;
	uint8_t to[FLAT_MAX + 64] = {0};

	want(sl_frags_copy(b->ring, b->packet, at, to, len) == have);
	want(!memcmp(to, b->flat + at, have));
	want(!to[have]);
}

static void check_csum(struct bench *b, uint32_t at, uint32_t len, uint64_t sum)
{
	want(sl_csum_fold(sl_frags_csum(b->ring, b->packet, at, len, sum)) % 65535 ==
	     sl_csum_fold(sl_csum_add(sum, b->flat + at, len)) % 65535);
}

static void check_copy_csum(struct bench *b, uint32_t at, uint32_t len, uint64_t sum)
{
	uint8_t to[FLAT_MAX + 64] = {0};
	uint64_t got = sl_frags_copy_csum(b->ring, b->packet, at, to, len, sum);

	want(sl_csum_fold(got) % 65535 ==
	     sl_csum_fold(sl_csum_add(sum, b->flat + at, len)) % 65535);
	want(!memcmp(to, b->flat + at, len));
	want(!to[len]);
}

static void check_slice(struct bench *b, uint32_t at, uint32_t len)
{
	struct sl_frag out[SL_PACKET_FRAGS_MAX + 1];
	uint32_t done = 0;
	int count = sl_frags_slice(b->ring, b->packet, at, len, out, SL_PACKET_FRAGS_MAX);

	want(count >= 0 && count <= SL_PACKET_FRAGS_MAX);
	for (int n = 0; n < count; n++) {
		const struct sl_frag *from = sl_ring_frag(b->ring, b->packet, out[n].region);

		want(out[n].len && out[n].len <= len - done && !out[n].tailroom);
		want(out[n].addr >= from->addr &&
		     out[n].addr + out[n].len <= from->addr + from->len);
		want(!memcmp(out[n].addr, b->flat + at + done, out[n].len));
		done += out[n].len;
	}
	want(done == len);
	if (count)
		want(sl_frags_slice(b->ring, b->packet, at, len, out, (unsigned)count - 1) ==
		     -EMSGSIZE);
	want(sl_frags_slice(b->ring, b->packet, at, len, out, (unsigned)count) == count);
}

/* The ring's fragment array wraps many times on the way. */
static void test_against_flat(void **state)
{
	static struct bench b;

	(void)state;
	bench_open(&b);
	for (seed = 1; seed <= 3000; seed++) {
		uint64_t r = seed;

		bench_put(&b, &r);
		for (int n = 0; n < 10; n++) {
			uint32_t at = random_in(&r, 0, b.len), len = random_in(&r, 0, b.len - at);

			check_copy(&b, at, len);
			check_copy(&b, at, len + random_in(&r, 0, 32));
			check_csum(&b, at, len, random_next(&r));
			check_copy_csum(&b, at, len, random_next(&r));
			check_slice(&b, at, len);
		}
		bench_take(&b);
	}
	sl_ring_release(b.ring);
}

static void test_outside(void **state)
{
	static struct bench b;
	struct sl_frag out[SL_PACKET_FRAGS_MAX];
	uint8_t to[FLAT_MAX];

	(void)state;
	bench_open(&b);
	for (seed = 1; seed <= 500; seed++) {
		uint64_t r = seed;
		size_t past = random_in(&r, 1, 100);

		bench_put(&b, &r);
		for (uint32_t at = 0; at <= b.len; at += 7)
			want(sl_frags_slice(b.ring, b.packet, at, b.len - at + past, out,
					    SL_PACKET_FRAGS_MAX) == -EINVAL);
		want(sl_frags_slice(b.ring, b.packet, b.len + past, 1, out, SL_PACKET_FRAGS_MAX) ==
		     -EINVAL);
		want(sl_frags_slice(b.ring, b.packet, SIZE_MAX, SIZE_MAX, out,
				    SL_PACKET_FRAGS_MAX) == -EINVAL);
		want(sl_frags_slice(b.ring, b.packet, b.len + past, 0, out, SL_PACKET_FRAGS_MAX) ==
		     -EINVAL);
		want(sl_frags_copy(b.ring, b.packet, b.len, to, past) == 0);
		want(sl_frags_copy(b.ring, b.packet, SIZE_MAX, to, past) == 0);
		want(sl_frags_csum(b.ring, b.packet, SIZE_MAX, SIZE_MAX, 7) == 7);
		bench_take(&b);
	}
	sl_ring_release(b.ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_flat),
		cmocka_unit_test(test_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
