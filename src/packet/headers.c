/* SPDX-License-Identifier: BSD-2-Clause */
/* Parsing headers: every length is held against the one around it before it is used. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>

#include "base/bytes.h"
#include "packet/headers.h"

#define ETH_LEN	     14u
#define VLAN_LEN     4u
#define VLAN_MAX     2
#define IPV4_LEN     20u
#define IPV6_LEN     40u
#define TCP_LEN	     20u
#define UDP_LEN	     8u
#define IPV6_EXT_MAX 8

enum {
	TYPE_IPV4 = 0x0800,
	TYPE_IPV6 = 0x86dd,
	TYPE_VLAN = 0x8100,
	TYPE_QINQ = 0x88a8,
};

/* Returns where the Ethernet payload starts and sets @ip when its type and version agree. */
static int parse_ethernet(const uint8_t *copy, size_t have, struct sl_headers *h)
{
	size_t at = ETH_LEN;
	uint16_t type;

	if (have < ETH_LEN)
		return -EINVAL;
	type = sl_get_be16(copy + ETH_LEN - 2);
	for (int tags = 0; tags < VLAN_MAX && (type == TYPE_VLAN || type == TYPE_QINQ); tags++) {
		at += VLAN_LEN;
		if (have < at)
			return -EINVAL;
		type = sl_get_be16(copy + at - 2);
	}
	h->l3 = (uint16_t)at;
	h->ip = type == TYPE_IPV4 ? 4 : type == TYPE_IPV6 ? 6 : 0;
	if (!h->ip)
		return 0;
	if (have == at)
		return -EINVAL;
	if (copy[at] >> 4 != h->ip)
		h->ip = 0;
	return 0;
}

static int parse_raw(const uint8_t *copy, size_t have, struct sl_headers *h)
{
	if (!have)
		return -EINVAL;
	h->ip = copy[0] >> 4 == 4 ? 4 : copy[0] >> 4 == 6 ? 6 : 0;
	return 0;
}

/*
 * RFC 791 3.1: with a source route that is not used up, the IP header names the next
 * hop and not the destination that TCP and UDP checksums are about.
 */
static bool source_routed(const uint8_t *option, const uint8_t *end)
{
	enum {
		END = 0,
		NOP = 1,
		LOOSE = 131,
		STRICT = 137,
	};

	while (option < end && *option != END) {
		size_t left = (size_t)(end - option);

		if (*option == NOP) {
			option++;
			continue;
		}
		if (left < 3 || option[1] < 2 || option[1] > left)
			return false;
		if ((*option == LOOSE || *option == STRICT) && option[2] <= option[1])
			return true;
		option += option[1];
	}
	return false;
}

/* Returns the IP protocol number and sets @l4; 0 when it is not to be looked at. */
static int parse_ipv4(const uint8_t *copy, size_t have, struct sl_headers *h)
{
	const uint8_t *ip = copy + h->l3;
	size_t header, total;

	if (have - h->l3 < IPV4_LEN)
		return -EINVAL;
	header = (ip[0] & 0xfu) * 4;
	total = sl_get_be16(ip + 2);
	if (header < IPV4_LEN || header > have - h->l3 || total < header || total > h->end - h->l3)
		return -EINVAL;
	h->end = (uint32_t)(h->l3 + total);
	h->l4 = (uint16_t)(h->l3 + header);
	h->fragment = sl_get_be16(ip + 6) & (IP_MF | IP_OFFMASK);
	if (h->fragment || (header > IPV4_LEN && source_routed(ip + IPV4_LEN, ip + header)))
		return 0;
	return ip[9];
}

/* A header we can step over; a routing header that is not done has RFC 8200 8.1 take the
 * pseudo header's destination from elsewhere. */
static bool extension_known(const uint8_t *ext, uint8_t kind)
{
	if (kind == IPPROTO_ROUTING)
		return ext[3] == 0;
	return kind == IPPROTO_HOPOPTS || kind == IPPROTO_DSTOPTS;
}

/* As parse_ipv4(). A jumbogram (payload length 0, RFC 2675) ends where its IPv6 header
 * does, and so fails at what follows. */
static int parse_ipv6(const uint8_t *copy, size_t have, struct sl_headers *h)
{
	uint8_t kind;
	size_t at = h->l3 + IPV6_LEN;

	if (have < at || sl_get_be16(copy + h->l3 + 4) > h->end - at)
		return -EINVAL;
	h->end = (uint32_t)at + sl_get_be16(copy + h->l3 + 4);
	kind = copy[h->l3 + 6];
	for (int n = 0; n <= IPV6_EXT_MAX; n++) {
		if (kind == IPPROTO_TCP || kind == IPPROTO_UDP) {
			h->l4 = (uint16_t)at;
			return kind;
		}
		h->fragment = kind == IPPROTO_FRAGMENT;
		if (h->fragment ||
		    (kind != IPPROTO_HOPOPTS && kind != IPPROTO_DSTOPTS && kind != IPPROTO_ROUTING))
			return 0;
		if (at + 8 > h->end)
			return -EINVAL;
		if (at + 8 > have || !extension_known(copy + at, kind))
			return 0;
		kind = copy[at];
		at += (copy[at + 1] + 1u) * 8;
		if (at > h->end)
			return -EINVAL;
	}
	return 0;
}

static int parse_l4(const uint8_t *copy, size_t have, int proto, struct sl_headers *h)
{
	size_t least = proto == IPPROTO_TCP ? TCP_LEN : UDP_LEN;
	size_t room = h->end - h->l4, header = UDP_LEN;

	if (room < least)
		return -EINVAL;
	if (h->l4 + least > have)
		return 0;
	if (proto == IPPROTO_TCP) {
		header = (copy[h->l4 + 12] >> 4) * 4u;
		if (header < TCP_LEN || header > room)
			return -EINVAL;
		if (h->l4 + header > have)
			return 0;
	} else if (sl_get_be16(copy + h->l4 + 4) < UDP_LEN ||
		   sl_get_be16(copy + h->l4 + 4) > room) {
		return -EINVAL;
	}
	h->proto = (uint8_t)proto;
	h->payload = (uint16_t)(h->l4 + header);
	return 0;
}

int sl_headers_parse(const uint8_t *copy, size_t copied, size_t len, unsigned layer,
		     struct sl_headers *out)
{
	size_t have = sl_min(sl_min(copied, len), (size_t)SL_HEADERS_MAX);
	int err, proto;

	memset(out, 0, sizeof(*out));
	if (len > UINT32_MAX)
		return -EINVAL;
	out->end = (uint32_t)len;
	err = layer == 2 ? parse_ethernet(copy, have, out) : parse_raw(copy, have, out);
	if (err || !out->ip)
		return err;
	proto = out->ip == 4 ? parse_ipv4(copy, have, out) : parse_ipv6(copy, have, out);
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return proto < 0 ? proto : 0;
	return parse_l4(copy, have, proto, out);
}
