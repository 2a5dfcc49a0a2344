/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any packets through the coalescer, one super-packet open at a time; what comes out is cut again.
 * Input: bit 0: layer 3; then packets: flags, length (big endian), bytes.
 * Flags: 1: complete the checksums; 2: the bytes are the payload of the packet that follows the
 * last one; 4: with PSH then.
 */
#include <sluice/packet.h>

#include "../unit/slow.h"
#include "fuzz.h"
#include "packet/coalesce.h"
#include "packet/csum.h"
#include "packet/cut.h"

#define PACKET_MAX 66000u
#define TAKES	   (SL_CAN_CSUM | SL_CAN_TSO4 | SL_CAN_TSO6 | SL_CAN_USO)

enum {
	COMPLETE = 1,
	NEXT = 2,
	PUSH = 4,
};

/**
 * struct packet - one of the input
 * @bytes: as the coalescer gets it, in memory of exactly its size
 * @was:   the same, left alone
 */
struct packet {
	uint8_t *bytes;
	uint8_t *was;
	uint32_t len;
};

static struct packet packet_make(const uint8_t *bytes, uint32_t len)
{
	return (struct packet){exact(bytes, len), exact(bytes, len), len};
}

static void packet_free(struct packet *p)
{
	exact_free(p->bytes, p->len);
	exact_free(p->was, p->len);
}

/* Headers as of @last, with lengths, id and sequence number of the packet behind it. */
static uint32_t follow(const struct packet *last, const struct sl_headers *h, uint8_t flags,
		       const uint8_t *payload, uint32_t len, uint8_t *out)
{
	uint32_t seq;

	memcpy(out, last->was, h->payload);
	memcpy(out + h->payload, payload, len);
	len += h->payload;
	if (h->ip == 4) {
		put16(out + h->l3 + 2, len - h->l3);
		put16(out + h->l3 + 4, get16(out + h->l3 + 4) + 1);
	} else {
		put16(out + h->l3 + 4, len - h->l3 - 40);
	}
	if (h->proto == 17) {
		put16(out + h->l4 + 4, len - h->l4);
		return len;
	}
	seq = (get16(out + h->l4 + 4) << 16 | get16(out + h->l4 + 6)) + h->end - h->payload;
	put16(out + h->l4 + 4, seq >> 16);
	put16(out + h->l4 + 6, seq);
	if (flags & PUSH)
		out[h->l4 + 13] |= 8;
	return len;
}

/* Returns how much of the input it was; 0 when there is no more. */
static size_t packet_read(const uint8_t *data, size_t size, unsigned layer,
			  const struct packet *last, struct packet *out)
{
	static uint8_t p[PACKET_MAX + SL_HEADERS_MAX];
	struct sl_headers h;
	uint32_t take, len;

	if (size < 3)
		return 0;
	take = get16(data + 1);
	len = take = take < size - 3 ? take : (uint32_t)(size - 3);
	if (data[0] & NEXT && last &&
	    !sl_headers_parse(last->was, last->len, last->len, layer, &h) && h.proto)
		len = follow(last, &h, data[0], data + 3, take, p);
	else
		memcpy(p, data + 3, take);
	if (data[0] & COMPLETE && !sl_headers_parse(p, len, len, layer, &h) && h.proto)
		slow_complete(p, &h);
	*out = packet_make(p, len);
	return 3 + (size_t)take;
}

/* Linux takes any id in a packet with DF (RFC 6864), and so do we. */
static void check_same(const struct packet *p, uint8_t *is, uint32_t len,
		       const struct sl_headers *h)
{
	struct sl_headers again = *h;

	must(len == p->len);
	again.end = len;
	must(slow_valid(is, &again));
	if (h->ip == 4 && is[h->l3 + 6] & 0x40) {
		memcpy(is + h->l3 + 4, p->was + h->l3 + 4, 2);
		memcpy(is + h->l3 + 10, p->was + h->l3 + 10, 2);
	}
	must(!memcmp(is, p->was, len));
}

/* @p: the packets that went in, in their order */
static void check_super(struct sl_coalesce *c, const struct packet *p, unsigned layer)
{
	static uint8_t whole[PACKET_MAX], out[PACKET_MAX];
	struct sl_segment segment;
	struct sl_offload offload;
	uint32_t len = 0, n = 0;
	struct sl_cut cut;

	if (!sl_coalesce_finish(c, &offload)) {
		must(c->n == 1 && c->len == p->len && !memcmp(p->bytes, p->was, p->len));
		return;
	}
	must(c->n > 1 && c->n <= SL_PACKET_FRAGS_MAX && c->len - c->h.l3 <= 65535);
	for (unsigned i = 0; i < c->n; len += c->frags[i++].len)
		memcpy(whole + len, c->frags[i].addr, c->frags[i].len);
	must(len == c->len && offload.hdr_len <= c->frags[0].len && offload.gso_size);
	must(!sl_cut_start(&cut, whole, len < SL_HEADERS_MAX ? len : SL_HEADERS_MAX, len, layer,
			   &offload));
	must(cut.h.end == len);
	for (; sl_cut_next(&cut, out, &segment); n++) {
		must(n < c->n);
		sl_cut_csum(&cut, out, sl_csum_add(0, whole + segment.at, segment.len));
		memcpy(out + cut.headers_len, whole + segment.at, segment.len);
		check_same(&p[n], out, cut.headers_len + segment.len, &cut.h);
	}
	must(n == c->n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct packet p[256];
	unsigned layer, n = 0, first = 0;
	struct sl_coalesce c;
	bool open = false;
	size_t used;

	if (!size || size > 60000)
		return 0;
	layer = 2 + (data[0] & 1u);
	for (data++, size--; n < 256; data += used, size -= used, n++) {
		used = packet_read(data, size, layer, n ? &p[n - 1] : NULL, &p[n]);
		if (!used)
			break;
		if (open && sl_coalesce_add(&c, p[n].bytes, p[n].len)) {
			must(c.n == n - first + 1);
			continue;
		}
		if (open)
			check_super(&c, p + first, layer);
		first = n;
		open = sl_coalesce_start(&c, p[n].bytes, p[n].len, layer, TAKES);
	}
	if (open)
		check_super(&c, p + first, layer);
	while (n)
		packet_free(&p[--n]);
	return 0;
}
