/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cutter. What all segments share is worked out once, at the start; a segment is a
 * copy of the headers with its lengths, IPv4 id, sequence number and flags stored over.
 */
#include <errno.h>
#include <netinet/in.h>

#include "base/bytes.h"
#include "packet/csum.h"
#include "packet/cut.h"

#define IPV6_LEN 40u

enum {
	TCP_FIN = 0x01,
	TCP_PSH = 0x08,
	TCP_CWR = 0x80,
};

/* Does the type of segmentation fit the headers? ECN goes with TCP only (virtio 1.2, 5.1.6). */
static int check_type(const struct sl_headers *h, uint8_t gso_type)
{
	bool tcp = h->proto == IPPROTO_TCP, fits;

	switch (gso_type & ~SL_GSO_ECN) {
	case SL_GSO_TCPV4:
		fits = tcp && h->ip == 4;
		break;
	case SL_GSO_TCPV6:
		fits = tcp && h->ip == 6;
		break;
	case SL_GSO_UDP_L4:
		fits = h->proto == IPPROTO_UDP && !(gso_type & SL_GSO_ECN);
		break;
	case SL_GSO_NONE:
		fits = false;
		break;
	default:
		return -EOPNOTSUPP;
	}
	return fits ? 0 : -EINVAL;
}

static int check_facts(const uint8_t *copy, const struct sl_headers *h,
		       const struct sl_offload *offload)
{
	bool tcp = h->proto == IPPROTO_TCP;

	/* virtio 1.2, 5.1.6.2: a gso_type needs NEEDS_CSUM. */
	if (!(offload->flags & SL_OFFLOAD_NEEDS_CSUM) || offload->csum_start != h->l4 ||
	    offload->csum_offset != (tcp ? 16 : 6))
		return -EINVAL;
	if (!tcp && sl_get_be16(copy + h->l4 + 4) != h->end - h->l4)
		return -EINVAL;
	/* No more than 65535 segments: that many bytes are the most an IP length can say. */
	if (!offload->gso_size || offload->gso_size > h->end - h->payload)
		return -EINVAL;
	return 0;
}

/* The sum of an IPv4 header but for length, id and checksum, which lie at 2, 4 and 10. */
static uint64_t constant_sum(const uint8_t *ip)
{
	uint64_t sum = sl_csum_add(0, ip, 2);

	sum = sl_csum_add(sum, ip + 6, 4);
	return sl_csum_add(sum, ip + 12, (ip[0] & 0xfu) * 4 - 12);
}

int sl_cut_start(struct sl_cut *cut, const uint8_t *copy, size_t copied, uint32_t len,
		 unsigned layer, const struct sl_offload *offload)
{
	struct sl_headers *h = &cut->h;
	int err = sl_headers_parse(copy, copied, len, layer, h);

	if (err)
		return err;
	err = check_type(h, offload->gso_type);
	if (!err)
		err = check_facts(copy, h, offload);
	if (err)
		return err;
	cut->headers_len = h->payload;
	cut->csum_start = h->l4;
	cut->csum_offset = offload->csum_offset;
	cut->gso_size = offload->gso_size;
	cut->index = 0;
	cut->at = h->payload;
	cut->end = h->end;
	memcpy(cut->headers, copy, h->payload);
	cut->pseudo_sum = sl_csum_pseudo(copy, h, 0);
	cut->ipv4_sum = h->ip == 4 ? constant_sum(copy + h->l3) : 0;
	return 0;
}

static inline void set_ipv4(const struct sl_cut *cut, uint8_t *ip, uint32_t l4_len)
{
	uint16_t total = __builtin_bswap16((uint16_t)(cut->h.l4 - cut->h.l3 + l4_len));
	uint16_t id = __builtin_bswap16((uint16_t)(sl_get_be16(ip + 4) + cut->index));
	uint16_t sum = (uint16_t)~sl_csum_fold(cut->ipv4_sum + total + id);

	memcpy(ip + 2, &total, 2);
	memcpy(ip + 4, &id, 2);
	memcpy(ip + 10, &sum, 2);
}

static inline void set_tcp(const struct sl_cut *cut, uint8_t *tcp, bool last)
{
	uint8_t first_only = cut->index ? TCP_CWR : 0;
	uint8_t last_only = last ? 0 : TCP_FIN | TCP_PSH;

	sl_put_be32(tcp + 4, sl_get_be32(tcp + 4) + (cut->at - cut->h.payload));
	tcp[13] &= (uint8_t) ~(first_only | last_only);
}

bool sl_cut_next(struct sl_cut *cut, uint8_t *headers, struct sl_segment *segment)
{
	const struct sl_headers *h = &cut->h;
	uint32_t left = cut->end - cut->at;
	uint32_t len = sl_min(left, (uint32_t)cut->gso_size);
	uint32_t l4_len = h->payload - h->l4 + len;
	uint16_t partial = sl_csum_fold(cut->pseudo_sum + __builtin_bswap32(l4_len));

	if (!left)
		return false;
	memcpy(headers, cut->headers, cut->headers_len);
	if (h->ip == 4)
		set_ipv4(cut, headers + h->l3, l4_len);
	else
		sl_put_be16(headers + h->l3 + 4, (uint16_t)(h->l4 - h->l3 - IPV6_LEN + l4_len));
	if (h->proto == IPPROTO_TCP)
		set_tcp(cut, headers + h->l4, len == left);
	else
		sl_put_be16(headers + h->l4 + 4, (uint16_t)l4_len);
	memcpy(headers + cut->csum_start + cut->csum_offset, &partial, 2);
	*segment = (struct sl_segment){.at = cut->at, .len = len};
	cut->at += len;
	cut->index++;
	return true;
}

void sl_cut_csum(const struct sl_cut *cut, uint8_t *headers, uint64_t payload_sum)
{
	uint8_t *l4 = headers + cut->csum_start;
	/* The L4 header's length is even, so the payload is too. */
	uint64_t sum = sl_csum_add(payload_sum, l4, cut->headers_len - cut->csum_start);
	uint16_t csum = (uint16_t)~sl_csum_fold(sum);

	if (!csum && cut->h.proto == IPPROTO_UDP)
		csum = 0xffff;
	memcpy(l4 + cut->csum_offset, &csum, 2);
}
