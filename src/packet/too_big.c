/* SPDX-License-Identifier: BSD-2-Clause */
#include <netinet/in.h>
#include <netinet/ip.h>
#include <stdbool.h>

#include "base/bytes.h"
#include "packet/csum.h"
#include "packet/too_big.h"

#define TAGGED_LEN   18u /* Ethernet with one VLAN tag; an answer to two would need both */
#define IPV4_LEN     20u
#define IPV6_LEN     40u
#define ICMP_LEN     8u
#define QUOTE_MIN    8u	   /* bytes behind the IP header (RFC 792): ports and the like */
#define ANSWER4_MAX  576u  /* RFC 1812 4.3.2.3 */
#define ANSWER6_MAX  1280u /* RFC 4443 3.2: the least IPv6 MTU */
#define IPV6_EXT_MAX 10
#define HOPS	     64

enum {
	TOS_CONTROL = 0xc0, /* RFC 1812 4.3.2.5: precedence 6 */
	ICMP4_UNREACHABLE = 3,
	ICMP4_NEEDS_FRAG = 4,
	ICMP6_TOO_BIG = 2,
	ICMP6_QUERIES = 128, /* RFC 4443 2.1: types below are errors */
	ICMP6_REDIRECT = 137,
	IPV6_OFFMASK = 0xfff8,
};

/* RFC 1812 4.3.2.7: an address that is one host's; 0/8, 127/8 and from 224/4 on none is. */
static bool host4(const uint8_t *address)
{
	return address[0] != 0 && address[0] != 127 && address[0] < 224;
}

static bool host6(const uint8_t *address)
{
	static const uint8_t zero[15];

	return address[0] != 0xff && (memcmp(address, zero, 15) != 0 || address[15] > 1);
}

/* RFC 1122 3.2.2: unreachable, source quench, redirect, time exceeded, parameter problem. */
static bool is_error4(uint8_t type)
{
	return (type >= 3 && type <= 5) || type == 11 || type == 12;
}

static bool answerable4(const uint8_t *bytes, size_t have, const struct sl_headers *h)
{
	const uint8_t *ip = bytes + h->l3;
	uint16_t fragment = sl_get_be16(ip + 6);

	if (!(fragment & IP_DF) || fragment & IP_OFFMASK || !host4(ip + 12) || !host4(ip + 16))
		return false;
	if (sl_csum_fold(sl_csum_add(0, ip, h->l4 - h->l3)) != 0xffff)
		return false;
	if (have < h->l4 + QUOTE_MIN)
		return false;
	return ip[9] != IPPROTO_ICMP || !is_error4(bytes[h->l4]);
}

/* Bytes of an extension header, 0 for a header of another kind. */
static size_t extension_len(uint8_t kind, const uint8_t *ext)
{
	switch (kind) {
	case IPPROTO_FRAGMENT:
		return 8;
	case IPPROTO_AH:
		return (ext[1] + 2u) * 4; /* RFC 4302 2.2 */
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		return (ext[1] + 1u) * 8;
	default:
		return 0;
	}
}

static bool answerable6(const uint8_t *bytes, size_t have, const struct sl_headers *h)
{
	const uint8_t *ip = bytes + h->l3;
	size_t at = h->l3 + IPV6_LEN, len;
	uint8_t kind = ip[6];

	if (!host6(ip + 8) || !host6(ip + 24))
		return false;
	/* What the packet is must be at hand: RFC 4443 2.4 (e.1), no errors about errors. */
	for (int n = 0; n <= IPV6_EXT_MAX && have >= at + QUOTE_MIN; n++, at += len) {
		if (kind == IPPROTO_ICMPV6)
			return bytes[at] >= ICMP6_QUERIES && bytes[at] != ICMP6_REDIRECT;
		len = extension_len(kind, bytes + at);
		if (!len)
			return true;
		if (kind == IPPROTO_FRAGMENT && sl_get_be16(bytes + at + 2) & IPV6_OFFMASK)
			return false;
		kind = bytes[at];
	}
	return false;
}

static bool group_mac(const uint8_t *mac)
{
	return mac[0] & 1;
}

static bool answerable(const uint8_t *bytes, size_t have, const struct sl_headers *h)
{
	if (h->l3 && (h->l3 > TAGGED_LEN || group_mac(bytes) || group_mac(bytes + 6)))
		return false;
	return h->ip == 4 ? answerable4(bytes, have, h) : answerable6(bytes, have, h);
}

static void swap_ethernet(uint8_t *out, const uint8_t *bytes, size_t len)
{
	memcpy(out, bytes + 6, 6);
	memcpy(out + 6, bytes, 6);
	memcpy(out + 12, bytes + 12, len - 12);
}

static void store_csum(uint8_t *field, uint64_t sum)
{
	uint16_t csum = (uint16_t)~sl_csum_fold(sum);

	memcpy(field, &csum, sizeof(csum));
}

static size_t answer4(uint8_t *out, const uint8_t *ip, size_t quote, unsigned mtu)
{
	uint8_t *icmp = out + IPV4_LEN;

	quote = sl_min(quote, ANSWER4_MAX - IPV4_LEN - ICMP_LEN);
	memset(out, 0, IPV4_LEN + ICMP_LEN);
	out[0] = 0x45;
	out[1] = TOS_CONTROL;
	sl_put_be16(out + 2, (uint16_t)(IPV4_LEN + ICMP_LEN + quote));
	memcpy(out + 4, ip + 4, 2); /* an id as good as its sender's: nothing is counted here */
	out[8] = HOPS;
	out[9] = IPPROTO_ICMP;
	memcpy(out + 12, ip + 16, 4);
	memcpy(out + 16, ip + 12, 4);
	sl_csum_ipv4(out);
	icmp[0] = ICMP4_UNREACHABLE;
	icmp[1] = ICMP4_NEEDS_FRAG;
	sl_put_be16(icmp + 6, (uint16_t)mtu); /* RFC 1191 4 */
	memcpy(icmp + ICMP_LEN, ip, quote);
	store_csum(icmp + 2, sl_csum_add(0, icmp, ICMP_LEN + quote));
	return IPV4_LEN + ICMP_LEN + quote;
}

static size_t answer6(uint8_t *out, const uint8_t *ip, size_t quote, unsigned mtu)
{
	static const struct sl_headers h = {.ip = 6, .l4 = IPV6_LEN, .proto = IPPROTO_ICMPV6};
	uint8_t *icmp = out + IPV6_LEN;
	uint64_t pseudo;

	quote = sl_min(quote, ANSWER6_MAX - IPV6_LEN - ICMP_LEN);
	memset(out, 0, IPV6_LEN + ICMP_LEN);
	out[0] = 0x60;
	sl_put_be16(out + 4, (uint16_t)(ICMP_LEN + quote));
	out[6] = IPPROTO_ICMPV6;
	out[7] = HOPS;
	memcpy(out + 8, ip + 24, 16);
	memcpy(out + 24, ip + 8, 16);
	icmp[0] = ICMP6_TOO_BIG;
	sl_put_be32(icmp + 4, mtu);
	memcpy(icmp + ICMP_LEN, ip, quote);
	pseudo = sl_csum_pseudo(out, &h, (uint32_t)(ICMP_LEN + quote));
	store_csum(icmp + 2, sl_csum_add(pseudo, icmp, ICMP_LEN + quote));
	return IPV6_LEN + ICMP_LEN + quote;
}

size_t sl_too_big(const uint8_t *bytes, size_t have, size_t len, unsigned layer, unsigned mtu,
		  uint8_t *out)
{
	struct sl_headers h;
	size_t quote;

	if (sl_headers_parse(bytes, have, len, layer, &h) || !h.ip || h.end - h.l3 <= mtu)
		return 0;
	have = sl_min(have, (size_t)h.end);
	if (!answerable(bytes, have, &h))
		return 0;
	quote = have - h.l3;
	if (layer == 2)
		swap_ethernet(out, bytes, h.l3);
	out += h.l3;
	bytes += h.l3;
	return h.l3 +
	       (h.ip == 4 ? answer4(out, bytes, quote, mtu) : answer6(out, bytes, quote, mtu));
}
