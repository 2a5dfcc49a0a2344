/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>

#include <sluice/arena.h>
#include <sluice/consumer.h>
#include <sluice/producer.h>

#include "base/bytes.h"
#include "base/count.h"
#include "base/reason.h"
#include "packet/csum.h"
#include "packet/cut.h"
#include "packet/fit.h"
#include "packet/frags.h"

#define OUT_SIZE  128
#define OUT_FRAGS 2048
#define HEADROOM  128
#define TAILROOM  64
#define FRAME_MAX 65600 /* the largest packet that can be copied in one piece */
#define STRIDE	  ((size_t)66048)

struct sl_fit {
	struct sl_fit_config config;
	struct sl_ring *in;
	struct sl_ring *out;
	struct sl_arena *arena; /* a buffer an outgoing entry: headers, or whole packets */
	bool cutting;		/* a super-packet is cut in part */
	uint32_t cut_at;	/* which */
	struct sl_cut cut;
};

/* Outgoing entries carry the incoming index; the last of a super-packet finishes it. */
static uint64_t cookie_of(uint32_t in_at, bool last)
{
	return (uint64_t)in_at << 1 | last;
}

bool sl_fit_needed(const struct sl_fit_config *config)
{
	return config->copy || (config->emits & ~config->accepts);
}

int sl_fit_create(const struct sl_fit_config *config, struct sl_ring *in, struct sl_fit **out)
{
	const struct sl_ring_config ring = {OUT_SIZE, OUT_FRAGS, -1, -1};
	struct sl_fit *fit = calloc(1, sizeof(*fit));
	int ret;

	if (!fit)
		return sl_fail(ENOMEM, "no memory to fit two ports together");
	fit->config = *config;
	fit->in = in;
	ret = sl_ring_create(&ring, &fit->out);
	if (!ret)
		ret = sl_arena_create(OUT_SIZE * STRIDE, fit->config.region, &fit->arena);
	if (ret)
		sl_fit_release(fit);
	else
		*out = fit;
	return ret;
}

void sl_fit_release(struct sl_fit *fit)
{
	if (!fit)
		return;
	sl_arena_release(fit->arena);
	sl_ring_release(fit->out);
	free(fit);
}

struct sl_ring *sl_fit_ring(const struct sl_fit *fit)
{
	return fit->out;
}

const struct sl_region *sl_fit_region(const struct sl_fit *fit)
{
	return sl_arena_region(fit->arena);
}

static uint8_t *buffer_of(const struct sl_fit *fit, uint32_t out_at)
{
	uint8_t *base = sl_arena_region(fit->arena)->base;

	return base + (out_at & fit->out->mask) * STRIDE + HEADROOM;
}

static uint32_t can_of(uint8_t gso_type)
{
	uint32_t ecn = gso_type & SL_GSO_ECN ? SL_CAN_ECN : 0;

	switch (gso_type & ~SL_GSO_ECN) {
	case SL_GSO_NONE:
		return 0;
	case SL_GSO_TCPV4:
		return SL_CAN_TSO4 | ecn;
	case SL_GSO_TCPV6:
		return SL_CAN_TSO6 | ecn;
	case SL_GSO_UDP_L4:
		return SL_CAN_USO;
	default:
		return UINT32_MAX; /* nobody can */
	}
}

/*
 * One outgoing entry. Each of these fills the entry at @to; the caller posts it.
 */

/* Name @len bytes of the incoming packet behind the headers that lie in our buffer; copy
 * them there when they cannot be named. */
static int chain(struct sl_fit *fit, uint32_t to, uint32_t in_at, uint32_t headers, uint32_t at,
		 uint32_t len, struct sl_count *count)
{
	struct sl_packet *packet = sl_ring_packet(fit->in, in_at);
	uint8_t *buffer = buffer_of(fit, to);
	struct sl_frag frags[SL_PACKET_FRAGS_MAX] = {{buffer, headers, fit->config.region, 0}};
	unsigned own = headers ? 1 : 0;
	int n = -EMSGSIZE;

	if (!fit->config.copy)
		n = len ? sl_frags_slice(fit->in, packet, at, len, frags + own,
					 SL_PACKET_FRAGS_MAX - own)
			: 0;
	if (n == -EMSGSIZE) {
		if (headers + len > FRAME_MAX)
			return -EMSGSIZE;
		if (sl_frags_copy(fit->in, packet, at, buffer + headers, len) != len)
			return -EINVAL;
		sl_count_add(&count->copied, 1);
		frags[0] = (struct sl_frag){buffer, headers + len, fit->config.region, TAILROOM};
		own = 1;
		n = 0;
	}
	if (n < 0)
		return n;
	return sl_ring_chain(fit->out, to, frags, own + (unsigned)n);
}

static void finish(struct sl_fit *fit, uint32_t to, uint32_t in_at, bool last,
		   const struct sl_offload *offload)
{
	struct sl_packet *packet = sl_ring_packet(fit->out, to);
	const struct sl_packet *from = sl_ring_packet(fit->in, in_at);
	bool ours = packet->frag.addr == buffer_of(fit, to);
	bool first = packet->frag.addr == from->frag.addr; /* not so when that is empty */

	packet->cookie = cookie_of(in_at, last);
	packet->flags = from->flags & SL_PACKET_WRITABLE;
	if (ours && !packet->more)
		packet->flags |= SL_PACKET_WRITABLE;
	packet->headroom = ours ? HEADROOM : first ? from->headroom : 0;
	if (offload && (offload->flags || offload->gso_type)) {
		packet->flags |= SL_PACKET_OFFLOAD;
		*sl_ring_offload(fit->out, to) = *offload;
	}
	sl_ring_post(fit->out, 1);
}

/* As it is. */
static int pass(struct sl_fit *fit, uint32_t in_at, const struct sl_offload *offload,
		struct sl_count *count)
{
	struct sl_packet *packet = sl_ring_packet(fit->in, in_at);
	uint32_t to;
	int ret;

	sl_ring_room(fit->out, &to);
	ret = chain(fit, to, in_at, 0, 0, sl_ring_packet_len(fit->in, packet), count);
	if (!ret)
		finish(fit, to, in_at, true, offload);
	return ret;
}

/* With the checksum done (virtio 1.2, 5.1.6.2: the field holds the sum of the pseudo
 * header). The headers go through our buffer: the packet may not be ours to write. */
static int pass_csum(struct sl_fit *fit, uint32_t in_at, struct sl_offload *offload,
		     struct sl_count *count)
{
	struct sl_packet *packet = sl_ring_packet(fit->in, in_at);
	uint32_t len = sl_ring_packet_len(fit->in, packet), to;
	uint32_t start = offload->csum_start, field = start + offload->csum_offset;
	uint32_t own;
	uint8_t *buffer;
	uint64_t all;
	uint16_t sum;
	int ret;

	if (field + 2 > len || field + 2 >= SL_HEADERS_MAX)
		return -EINVAL;
	sl_ring_room(fit->out, &to);
	buffer = buffer_of(fit, to);
	own = sl_min(len, SL_HEADERS_MAX);
	own -= own < len && (own - start) & 1; /* the rest is summed as data that starts even */
	sl_frags_copy(fit->in, packet, 0, buffer, own);
	all = sl_csum_add(0, buffer + start, own - start);
	all = sl_frags_csum(fit->in, packet, own, len - own, all);
	sum = (uint16_t)~sl_csum_fold(all);
	sum = sum ? sum : 0xffff; /* 0 would say "no checksum" (RFC 768); the same number */
	memcpy(buffer + field, &sum, sizeof(sum));
	ret = chain(fit, to, in_at, own, own, len - own, count);
	if (!ret)
		finish(fit, to, in_at, true, NULL);
	return ret;
}

/*
 * Cutting goes on over several steps when the outgoing ring is full in between.
 */

static int cut_start(struct sl_fit *fit, uint32_t in_at, struct sl_count *count)
{
	struct sl_packet *packet = sl_ring_packet(fit->in, in_at);
	uint8_t copy[SL_HEADERS_MAX];
	size_t copied = sl_frags_copy(fit->in, packet, 0, copy, sizeof(copy));
	int ret = sl_cut_start(&fit->cut, copy, copied, sl_ring_packet_len(fit->in, packet),
			       fit->config.layer, sl_ring_offload(fit->in, in_at));

	if (ret)
		return ret;
	fit->cutting = true;
	fit->cut_at = in_at;
	sl_count_add(&count->cut, 1);
	return 0;
}

static bool out_has_room(const struct sl_fit *fit)
{
	uint32_t at;

	return sl_ring_room(fit->out, &at) && sl_ring_frag_room(fit->out) >= SL_PACKET_FRAGS_MAX;
}

/* The next segment. Returns false when the super-packet is done. */
static bool cut_next(struct sl_fit *fit, struct sl_count *count)
{
	struct sl_packet *packet = sl_ring_packet(fit->in, fit->cut_at);
	struct sl_offload offload = {
		.flags = SL_OFFLOAD_NEEDS_CSUM,
		.csum_start = fit->cut.csum_start,
		.csum_offset = fit->cut.csum_offset,
	};
	bool partial = fit->config.accepts & SL_CAN_CSUM;
	struct sl_segment segment;
	uint8_t *headers;
	uint32_t to;

	sl_ring_room(fit->out, &to);
	headers = buffer_of(fit, to);
	if (!sl_cut_next(&fit->cut, headers, &segment))
		return false;
	if (!partial)
		sl_cut_csum(&fit->cut, headers,
			    sl_frags_csum(fit->in, packet, segment.at, segment.len, 0));
	/* It cannot fail: sl_cut_start() checked the range. If it did, the entry would stay in
	 * flight until it is recalled: no memory is given back too early. */
	if (chain(fit, to, fit->cut_at, fit->cut.headers_len, segment.at, segment.len, count))
		return false;
	finish(fit, to, fit->cut_at, fit->cut.at >= fit->cut.end, partial ? &offload : NULL);
	return fit->cut.at < fit->cut.end;
}

static void cut_on(struct sl_fit *fit, struct sl_count *count)
{
	while (fit->cutting && out_has_room(fit))
		fit->cutting = cut_next(fit, count);
}

/*
 * The flow.
 */

/* Deal with the incoming entry at @in_at, which has been taken. */
static int handle(struct sl_fit *fit, uint32_t in_at, struct sl_count *count)
{
	const struct sl_packet *packet = sl_ring_packet(fit->in, in_at);
	struct sl_offload offload;
	uint32_t can;

	if (!(packet->flags & SL_PACKET_OFFLOAD))
		return pass(fit, in_at, NULL, count);
	offload = *sl_ring_offload(fit->in, in_at);
	can = can_of(offload.gso_type);
	/* A port that cuts without doing checksums is given neither to do. */
	if (can & ~fit->config.accepts || (can && !(fit->config.accepts & SL_CAN_CSUM)))
		return cut_start(fit, in_at, count);
	if (offload.flags & SL_OFFLOAD_NEEDS_CSUM && !(fit->config.accepts & SL_CAN_CSUM))
		return pass_csum(fit, in_at, &offload, count);
	if (!(fit->config.accepts & SL_CAN_CSUM))
		offload.flags = 0; /* DATA_VALID is for those who know checksums */
	return pass(fit, in_at, &offload, count);
}

static void reclaim(struct sl_fit *fit)
{
	uint32_t at, n = sl_ring_returned(fit->out, &at);

	for (uint32_t i = 0; i < n; i++) {
		uint64_t cookie = sl_ring_packet(fit->out, at + i)->cookie;

		if (cookie & 1)
			sl_ring_done(fit->in, (uint32_t)(cookie >> 1));
	}
	sl_ring_reclaim(fit->out, n);
}

static enum sl_drop reason_of(int err)
{
	return err == -EOPNOTSUPP ? SL_DROP_UNSUPPORTED
	       : err == -EMSGSIZE ? SL_DROP_TOO_LARGE
				  : SL_DROP_MALFORMED;
}

void sl_fit_flush(struct sl_fit *fit, struct sl_count *count)
{
	reclaim(fit);
	cut_on(fit, count);
}

int sl_fit_step(struct sl_fit *fit, struct sl_count *count)
{
	uint32_t at, ready;
	int did = 0;

	sl_fit_flush(fit, count);
	for (ready = sl_ring_ready(fit->in, &at); ready && !fit->cutting && out_has_room(fit);
	     ready--, at++, did++) {
		int ret;

		sl_ring_take(fit->in, 1);
		ret = handle(fit, at, count);
		if (ret) {
			sl_count_add(&count->drops[reason_of(ret)], 1);
			sl_ring_done(fit->in, at);
		}
		cut_on(fit, count);
	}
	return did;
}

uint32_t sl_fit_recall(struct sl_fit *fit)
{
	uint32_t lost;

	reclaim(fit); /* what came back was not lost */
	lost = sl_ring_in_flight(fit->in);
	sl_ring_recall(fit->out);
	sl_ring_yield(fit->out);
	sl_ring_recall_done(fit->out);
	reclaim(fit);
	fit->cutting = false;
	sl_ring_abandon(fit->in);
	return lost;
}
