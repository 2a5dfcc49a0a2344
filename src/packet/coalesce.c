/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The coalescer. Only the first packet is parsed: one that is byte for byte the same, but for the
 * fields that are looked at here, has its headers in the same places.
 */
#include <netinet/in.h>
#include <netinet/ip.h>

#include "base/bytes.h"
#include "packet/coalesce.h"
#include "packet/csum.h"

#define IPV4_LEN 20u
#define IPV6_LEN 40u
#define IP_MOST	 65535u

enum {
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
};

/*
 * A one's complement sum has two zeros. Whoever computes a checksum of bytes that are not all 0
 * stores 0 and not 0xffff, but for UDP, where 0 means none and 0xffff is sent (RFC 768). The
 * other one verifies too, but the cutter would not write it again.
 */
static bool csums_right(const uint8_t *packet, const struct sl_headers *h, uint32_t len)
{
	const uint8_t *ip = packet + h->l3, *l4 = packet + h->l4;
	bool tcp = h->proto == IPPROTO_TCP;

	if (sl_get_be16(l4 + (tcp ? 16 : 6)) == (tcp ? 0xffff : 0))
		return false;
	if (h->ip == 4 && (sl_get_be16(ip + 10) == 0xffff ||
			   sl_csum_fold(sl_csum_add(0, ip, IPV4_LEN)) != 0xffff))
		return false;
	return sl_csum_fold(sl_csum_add(sl_csum_pseudo(packet, h, len - h->l4), l4, len - h->l4)) ==
	       0xffff;
}

/* Also none of the reserved bits: RFC 9768 counts ECN marks with one of them. */
static bool tcp_plain(const uint8_t *tcp)
{
	return (sl_get_be16(tcp + 12) & 0xfff & ~TCP_PSH) == TCP_ACK && !sl_get_be16(tcp + 18);
}

static bool taken(const struct sl_headers *h, uint32_t takes)
{
	uint32_t need = SL_CAN_CSUM;

	if (h->proto == IPPROTO_UDP)
		need |= SL_CAN_USO;
	else
		need |= h->ip == 4 ? SL_CAN_TSO4 : SL_CAN_TSO6;
	return (takes & need) == need;
}

bool sl_coalesce_start(struct sl_coalesce *c, uint8_t *packet, uint32_t len, unsigned layer,
		       uint32_t takes)
{
	struct sl_headers *h = &c->h;
	const uint8_t *l4;
	bool tcp;

	if (sl_headers_parse(packet, len, len, layer, h) || !h->proto || !taken(h, takes))
		return false;
	if (h->end != len || h->payload == len)
		return false;
	if (h->l4 != h->l3 + (h->ip == 4 ? IPV4_LEN : IPV6_LEN))
		return false;
	l4 = packet + h->l4;
	tcp = h->proto == IPPROTO_TCP;
	if (tcp ? !tcp_plain(l4) : sl_get_be16(l4 + 4) != len - h->l4)
		return false;
	if (!csums_right(packet, h, len))
		return false;
	c->frags[0] = (struct sl_frag){.addr = packet, .len = len};
	c->n = 1;
	c->push = tcp && l4[13] & TCP_PSH;
	c->closed = c->push;
	c->size = (uint16_t)(len - h->payload);
	c->len = len;
	return true;
}

static inline bool same(const uint8_t *a, const uint8_t *b, unsigned from, unsigned to)
{
	return !memcmp(a + from, b + from, to - from);
}

/* With neither options nor extension headers the ports follow the addresses at once. */
static bool same_flow(const struct sl_coalesce *c, const uint8_t *packet)
{
	const struct sl_headers *h = &c->h;
	const uint8_t *first = c->frags[0].addr;
	const uint8_t *ip = packet + h->l3, *first_ip = first + h->l3;

	if (h->ip == 4) {
		if (!same(ip, first_ip, 12, IPV4_LEN + 4) || ip[9] != first_ip[9])
			return false;
	} else {
		if (!same(ip, first_ip, 8, IPV6_LEN + 4) || ip[6] != first_ip[6])
			return false;
	}
	return ip[0] >> 4 == h->ip && (!h->l3 || same(packet, first, 0, h->l3));
}

static bool ipv4_follows(const struct sl_coalesce *c, const uint8_t *ip, uint32_t ip_len)
{
	const uint8_t *first = c->frags[0].addr + c->h.l3;
	uint16_t next = (uint16_t)(sl_get_be16(first + 4) + c->n);

	/* Version, header length, TOS; flags, offset, TTL, protocol */
	if (!same(ip, first, 0, 2) || !same(ip, first, 6, 10) || sl_get_be16(ip + 2) != ip_len)
		return false;
	return sl_get_be16(ip + 4) == next || sl_get_be16(ip + 6) & IP_DF;
}

static bool ipv6_follows(const struct sl_coalesce *c, const uint8_t *ip, uint32_t ip_len)
{
	const uint8_t *first = c->frags[0].addr + c->h.l3;

	/* Version, traffic class, flow label; next header, hop limit */
	return same(ip, first, 0, 4) && same(ip, first, 6, 8) &&
	       sl_get_be16(ip + 4) == ip_len - IPV6_LEN;
}

static bool tcp_follows(const struct sl_coalesce *c, const uint8_t *tcp)
{
	const uint8_t *first = c->frags[0].addr + c->h.l4;
	uint32_t next = sl_get_be32(first + 4) + (c->len - c->h.payload);

	/* Acknowledgement, header length; window; urgent pointer, options */
	return sl_get_be32(tcp + 4) == next && same(tcp, first, 8, 13) &&
	       (tcp[13] & ~TCP_PSH) == TCP_ACK && same(tcp, first, 14, 16) &&
	       same(tcp, first, 18, c->h.payload - c->h.l4);
}

/* The checksum comes last: it costs more than everything before it. */
static bool follows(const struct sl_coalesce *c, const uint8_t *packet, uint32_t len)
{
	const struct sl_headers *h = &c->h;
	const uint8_t *ip = packet + h->l3, *l4 = packet + h->l4;

	if (len <= h->payload || len - h->payload > c->size ||
	    len - h->payload > IP_MOST - (c->len - h->l3))
		return false;
	if (h->ip == 4 ? !ipv4_follows(c, ip, len - h->l3) : !ipv6_follows(c, ip, len - h->l3))
		return false;
	if (h->proto == IPPROTO_TCP ? !tcp_follows(c, l4) : sl_get_be16(l4 + 4) != len - h->l4)
		return false;
	return csums_right(packet, h, len);
}

bool sl_coalesce_add(struct sl_coalesce *c, uint8_t *packet, uint32_t len)
{
	const struct sl_headers *h = &c->h;
	uint32_t payload;

	if (c->closed || len < h->l4 + 4u || !same_flow(c, packet))
		return false;
	c->closed = true;
	if (!follows(c, packet, len))
		return false;
	payload = len - h->payload;
	c->frags[c->n++] = (struct sl_frag){.addr = packet + h->payload, .len = payload};
	c->len += payload;
	c->push = h->proto == IPPROTO_TCP && packet[h->l4 + 13] & TCP_PSH;
	c->closed = c->push || payload < c->size || c->n == SL_PACKET_FRAGS_MAX;
	return true;
}

static uint8_t gso_type(const struct sl_headers *h)
{
	if (h->proto == IPPROTO_UDP)
		return SL_GSO_UDP_L4;
	return h->ip == 4 ? SL_GSO_TCPV4 : SL_GSO_TCPV6;
}

bool sl_coalesce_finish(struct sl_coalesce *c, struct sl_offload *offload)
{
	const struct sl_headers *h = &c->h;
	uint8_t *first = c->frags[0].addr;
	uint8_t *ip = first + h->l3, *l4 = first + h->l4;
	bool tcp = h->proto == IPPROTO_TCP;
	uint32_t l4_len = c->len - h->l4;
	uint16_t partial = sl_csum_fold(sl_csum_pseudo(first, h, l4_len));

	if (c->n == 1)
		return false;
	*offload = (struct sl_offload){
		.flags = SL_OFFLOAD_NEEDS_CSUM,
		.gso_type = gso_type(h),
		.hdr_len = h->payload,
		.gso_size = c->size,
		.csum_start = h->l4,
		.csum_offset = tcp ? 16 : 6,
	};
	if (h->ip == 4) {
		sl_put_be16(ip + 2, (uint16_t)(c->len - h->l3));
		sl_csum_ipv4(ip);
	} else {
		sl_put_be16(ip + 4, (uint16_t)l4_len);
	}
	if (!tcp)
		sl_put_be16(l4 + 4, (uint16_t)l4_len);
	else if (c->push)
		l4[13] |= TCP_PSH;
	memcpy(l4 + offload->csum_offset, &partial, 2);
	return true;
}
