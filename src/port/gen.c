/* SPDX-License-Identifier: BSD-2-Clause */
/* Port gen: makes UDP packets of one size at a given rate; forgets what it is given. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include <sluice/arena.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/count.h"
#include "base/memory.h"
#include "base/reason.h"
#include "packet/csum.h"
#include "port/kinds.h"
#include "port/sink.h"

#define BURST	   64
#define FLOWS_MAX  1024
#define L2_LEN	   14
#define L3_LEN	   20
#define UDP_LEN	   8
#define PORT_FIRST 1024			/* source port of flow 0 */
#define PORT_TO	   9			/* discard, RFC 863 */
#define TICK_NS	   (100 * SL_NS_PER_US) /* a timer more often than this is busy waiting */
#define BEHIND_NS  (10 * SL_NS_PER_MS)	/* what was not sent in time is made up for so long */

struct gen {
	struct sl_port port;
	unsigned size;
	unsigned flows;
	uint64_t rate;	/* packets a second, 0 for as many as can be */
	uint64_t count; /* packets in all, 0 for no end */
	uint64_t start_ns;
	uint64_t sent; /* since start_ns */
	uint64_t total;
	unsigned flow; /* of the next packet */
	uint64_t next_ns;
	size_t stride;
	struct sl_arena *arena; /* one packet a flow, read-only for whoever gets it */
	struct sl_count rx;
	struct sl_count tx __attribute__((aligned(SL_LINE)));
};

static struct gen *gen_of(const struct sl_port *port)
{
	return sl_container_of((uintptr_t)port, struct gen, port);
}

static void gen_close(struct sl_port *port)
{
	struct gen *gen = gen_of(port);

	sl_arena_release(gen->arena);
	free(gen);
}

static int gen_open(const struct sl_args *args, const struct sl_log *log, struct sl_port **out)
{
	struct gen *gen = sl_alloc_lines(sizeof(*gen));
	int ret;

	(void)log;
	if (!gen)
		return sl_fail(ENOMEM, "no memory for a port");
	*gen = (struct gen){
		.port.ops = &sl_port_gen,
		.size = (unsigned)sl_args_uint(args, "size", 64),
		.rate = sl_args_uint(args, "rate", 0),
		.count = sl_args_uint(args, "count", 0),
		.flows = (unsigned)sl_args_uint(args, "flows", 1),
	};
	gen->stride = (gen->size + 127u) & ~(size_t)127;
	ret = sl_arena_create(gen->stride * gen->flows, 0, &gen->arena);
	if (ret)
		gen_close(&gen->port);
	else
		*out = &gen->port;
	return ret;
}

static void gen_info(const struct sl_port *port, struct sl_port_info *info)
{
	const struct gen *gen = gen_of(port);

	*info = (struct sl_port_info){
		.queues = 1,
		.dirs = SL_PORT_RX | SL_PORT_TX,
		.attached = 1,
		.accepts = SINK_ACCEPTS,
		.regions = sl_arena_region(gen->arena),
		.n_regions = 1,
	};
}

static void fill_ethernet(uint8_t *p, const uint8_t *to)
{
	static const uint8_t from[6] = {0x02, 0, 0, 0, 0, 0x01}, none[6];
	static const uint8_t anybody[6] = {0x02, 0, 0, 0, 0, 0x02};

	memcpy(p, memcmp(to, none, 6) ? to : anybody, 6);
	memcpy(p + 6, from, 6);
	sl_put_be16(p + 12, 0x0800);
}

/* IPv4 from and to the benchmarking range (RFC 2544, C.2.2), UDP, payload of zeros. */
static void fill_udp(uint8_t *ip, unsigned len, unsigned flow)
{
	struct sl_headers h = {.ip = 4, .proto = IPPROTO_UDP, .l4 = L3_LEN};
	uint8_t *udp = ip + L3_LEN;
	uint16_t sum;

	ip[0] = 0x45;
	sl_put_be16(ip + 2, (uint16_t)len);
	sl_put_be16(ip + 6, 0x4000); /* DF */
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	sl_put_be32(ip + 12, 0xc6120001); /* 198.18.0.1 */
	sl_put_be32(ip + 16, 0xc6130001); /* 198.19.0.1 */
	sl_csum_ipv4(ip);
	sl_put_be16(udp, (uint16_t)(PORT_FIRST + flow));
	sl_put_be16(udp + 2, PORT_TO);
	sl_put_be16(udp + 4, (uint16_t)(len - L3_LEN));
	sum = (uint16_t)~sl_csum_fold(
		sl_csum_add(sl_csum_pseudo(ip, &h, len - L3_LEN), udp, len - L3_LEN));
	sum = sum ? sum : 0xffff;
	memcpy(udp + 6, &sum, sizeof(sum));
}

static int gen_join(struct sl_port *port, const struct sl_port_info *other)
{
	struct gen *gen = gen_of(port);
	unsigned l2 = other->layer == 3 ? 0 : L2_LEN;

	if (gen->size < l2 + L3_LEN + UDP_LEN)
		return sl_fail(EINVAL, "gen: size=%u is too small for headers: at least %u",
			       gen->size, l2 + L3_LEN + UDP_LEN);
	if (gen->size - l2 > (other->mtu ? other->mtu : 65535))
		return sl_fail(EINVAL,
			       "gen: size=%u does not fit the other port's MTU of %u: at most %u",
			       gen->size, other->mtu ? other->mtu : 65535,
			       (other->mtu ? other->mtu : 65535) + l2);
	for (unsigned f = 0; f < gen->flows; f++) {
		uint8_t *p = (uint8_t *)sl_arena_region(gen->arena)->base + f * gen->stride;

		if (l2)
			fill_ethernet(p, other->mac);
		fill_udp(p + l2, gen->size - l2, f);
	}
	gen->start_ns = sl_now_ns();
	return 0;
}

/* Packets that are due now. */
static uint64_t due(struct gen *gen)
{
	uint64_t limit = gen->count ? gen->count - gen->total : UINT64_MAX;
	uint64_t now, wanted;

	if (!gen->rate)
		return limit;
	now = sl_now_ns();
	wanted = (uint64_t)((unsigned __int128)(now - gen->start_ns) * gen->rate / SL_NS_PER_S);
	if (now - gen->start_ns > SL_NS_PER_S || wanted - gen->sent > gen->rate) {
		/* Count from here on, owing no more than BEHIND_NS. */
		uint64_t owed = sl_min(wanted - gen->sent, 1 + gen->rate * BEHIND_NS / SL_NS_PER_S);

		gen->start_ns = now;
		gen->sent = 0;
		wanted = owed;
		gen->start_ns -= owed * SL_NS_PER_S / gen->rate;
	}
	gen->next_ns = now + sl_max(SL_NS_PER_S / gen->rate, TICK_NS);
	return sl_min(wanted - gen->sent, limit);
}

static int gen_rx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct gen *gen = gen_of(port);
	uint8_t *base = sl_arena_region(gen->arena)->base;
	const struct sl_ring arrays = *ring;
	uint32_t at, n = sl_ring_returned(ring, &at);
	unsigned flow;
	uint64_t want;

	(void)q;
	sl_ring_reclaim(ring, n);
	n = sl_ring_room(ring, &at);
	want = due(gen);
	if (!n)
		gen->next_ns = SL_NEVER; /* the link asks again when entries have come back */
	if (gen->count && gen->total == gen->count)
		return -ENODATA;
	n = (uint32_t)sl_min(sl_min(n, BURST), want);
	flow = gen->flow;
	sl_ring_for_each (packet, &arrays, at, n) {
		*packet = (struct sl_packet){
			.frag = {base + flow * gen->stride, gen->size, 0, 0},
		};
		flow = flow + 1 < gen->flows ? flow + 1 : 0;
	}
	gen->flow = flow;
	sl_ring_post(ring, n);
	gen->sent += n;
	gen->total += n;
	sl_count_add(&gen->rx.packets, n);
	sl_count_add(&gen->rx.bytes, (uint64_t)n * gen->size);
	return (int)n;
}

static int gen_tx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	(void)q;
	return sink_tx(ring, &gen_of(port)->tx);
}

static int gen_arm(struct sl_port *port, unsigned q, unsigned want)
{
	(void)q;
	return want & SL_PORT_TX || (want & SL_PORT_RX && !gen_of(port)->rate) ? SL_PORT_READY : 0;
}

static uint64_t gen_deadline(const struct sl_port *port)
{
	const struct gen *gen = gen_of(port);

	return gen->rate && !(gen->count && gen->total == gen->count) ? gen->next_ns : SL_NEVER;
}

static void gen_stats(const struct sl_port *port, unsigned q, struct sl_counters *c)
{
	(void)q;
	sl_count_sum(&c->rx, &gen_of(port)->rx);
	sl_count_sum(&c->tx, &gen_of(port)->tx);
}

static const struct sl_param gen_params[] = {
	{"size", SL_PARAM_UINT, 0, 28, 65549, "N", "bytes of a packet, all headers included (64)"},
	{"rate", SL_PARAM_RATE, 0, 1, 1000000000, "PPS|max",
	 "packets a second, k and M allowed (max)"},
	{"flows", SL_PARAM_UINT, 0, 1, FLOWS_MAX, "N", "different UDP source ports (1)"},
	{"count", SL_PARAM_UINT, 0, 1, UINT64_MAX, "N",
	 "packets in all; the link ends then (no end)"},
	{NULL},
};

const struct sl_port_ops sl_port_gen = {
	.size = sizeof(struct sl_port_ops),
	.kind = "gen",
	.help = "makes UDP packets, forgets what it is given",
	.params = gen_params,
	.open = gen_open,
	.info = gen_info,
	.join = gen_join,
	.rx = gen_rx,
	.tx = gen_tx,
	.fd = sink_fd,
	.arm = gen_arm,
	.deadline = gen_deadline,
	.stats = gen_stats,
	.close = gen_close,
};
