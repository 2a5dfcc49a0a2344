/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any packet with any offload facts through the cutter.
 * Input: layer (bit 0: 3), a struct virtio_net_hdr (10 bytes, little endian), the packet.
 */
#include <errno.h>

#include <sluice/packet.h>

#include "../unit/slow.h"
#include "fuzz.h"
#include "packet/csum.h"
#include "packet/cut.h"

static unsigned le16(const uint8_t *p)
{
	return (unsigned)(p[0] | p[1] << 8);
}

static uint32_t sequence(const uint8_t *packet, const struct sl_headers *h)
{
	return get16(packet + h->l4 + 4) << 16 | get16(packet + h->l4 + 6);
}

/* One segment as it would be sent. Returns its length. */
static size_t assemble(const struct sl_cut *cut, uint8_t *headers, const uint8_t *packet,
		       const struct sl_segment *segment, uint8_t *out)
{
	const uint8_t *payload = packet + segment->at;

	sl_cut_csum(cut, headers, sl_csum_add(0, payload, segment->len));
	memcpy(out, headers, cut->headers_len);
	memcpy(out + cut->headers_len, payload, segment->len);
	return cut->headers_len + segment->len;
}

static void check_segment(const uint8_t *packet, const uint8_t *out, size_t len, unsigned layer,
			  const struct sl_cut *cut, const struct sl_segment *segment)
{
	const struct sl_headers *h = &cut->h;
	bool first = segment->at == h->payload, last = segment->at + segment->len == h->end;
	struct sl_headers again;

	must(sl_headers_parse(out, len, len, layer, &again) == 0);
	must(again.end == len && again.l4 == h->l4 && again.payload == h->payload);
	must(again.proto == h->proto && again.ip == h->ip && slow_valid(out, &again));
	if (h->ip == 4)
		must((uint16_t)(get16(packet + h->l3 + 4) + cut->index - 1) ==
		     get16(out + h->l3 + 4));
	if (h->proto == 17) {
		must(get16(out + h->l4 + 4) == len - h->l4 && get16(out + h->l4 + 6));
		return;
	}
	must(sequence(out, h) == sequence(packet, h) + segment->at - h->payload);
	must(out[h->l4 + 13] ==
	     (packet[h->l4 + 13] & (first ? 0xff : 0x7f) & (last ? 0xff : 0xf6)));
}

static void check_cut(struct sl_cut *cut, const uint8_t *packet, size_t len, unsigned layer,
		      unsigned gso_size)
{
	uint8_t *headers = malloc(cut->headers_len), *out = malloc(len);
	uint32_t at = cut->headers_len, count = 0;
	struct sl_segment segment;

	must(headers && out);
	for (; sl_cut_next(cut, headers, &segment); count++) {
		must(segment.at == at && segment.len && segment.len <= cut->h.end - at);
		must(segment.len == gso_size || at + segment.len == cut->h.end);
		check_segment(packet, out, assemble(cut, headers, packet, &segment, out), layer,
			      cut, &segment);
		at += segment.len;
	}
	must(at == cut->h.end && count && at <= len);
	must(!sl_cut_next(cut, headers, &segment));
	free(headers);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_offload offload;
	size_t len, copied;
	struct sl_cut cut;
	unsigned layer;
	uint8_t *copy;
	int err;

	if (size < 11 || size > 65535 + 11)
		return 0;
	layer = 2 + (data[0] & 1u);
	offload = (struct sl_offload){.flags = data[1],
				      .gso_type = data[2],
				      .hdr_len = (uint16_t)le16(data + 3),
				      .gso_size = (uint16_t)le16(data + 5),
				      .csum_start = (uint16_t)le16(data + 7),
				      .csum_offset = (uint16_t)le16(data + 9)};
	len = size - 11;
	copied = len < SL_HEADERS_MAX ? len : SL_HEADERS_MAX;
	copy = exact(data + 11, copied);
	err = sl_cut_start(&cut, copy, copied, (uint32_t)len, layer, &offload);
	exact_free(copy, copied);
	must(err == 0 || err == -EINVAL || err == -EOPNOTSUPP);
	if (!err)
		check_cut(&cut, data + 11, len, layer, offload.gso_size);
	return 0;
}
