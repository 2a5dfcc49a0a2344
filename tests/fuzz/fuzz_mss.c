/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any packet through the MSS clamp.
 * Input: bit 0: layer 3, bit 1: partial checksum; bytes at the end that are not at hand;
 * the MSS, big endian; the packet.
 */
#include "../unit/slow.h"
#include "fuzz.h"
#include "packet/mss.h"

/* The TCP header may differ in MSS options, which are lowered, and in its checksum. */
static void check_changed(const uint8_t *was, const uint8_t *is, size_t have, uint16_t mss,
			  const struct sl_headers *h, bool partial)
{
	unsigned len = h->payload - h->l4;
	uint8_t *restored = exact(is, have);

	must(h->proto == 6 && was[h->l4 + 13] & 2 && len > 20);
	if (partial)
		must(!memcmp(was + h->l4 + 16, is + h->l4 + 16, 2));
	else
		must(slow_sum(0, was + h->l4, len) % 65535 == slow_sum(0, is + h->l4, len) % 65535);
	memcpy(restored + h->l4 + 16, was + h->l4 + 16, 2);
	for (unsigned at = h->l4 + 20u; at + 4 <= h->payload; at++) {
		if (was[at] != 2 || was[at + 1] != 4 || !memcmp(was + at + 2, is + at + 2, 2))
			continue;
		must(get16(is + at + 2) == mss && get16(was + at + 2) > mss);
		memcpy(restored + at + 2, was + at + 2, 2);
		at += 3;
	}
	must(!memcmp(restored, was, have));
	exact_free(restored, have);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_headers h;
	size_t len, have;
	unsigned layer;
	bool partial;
	uint16_t mss;
	uint8_t *b;

	if (size < 4)
		return 0;
	layer = 2 + (data[0] & 1u);
	partial = data[0] & 2;
	mss = (uint16_t)get16(data + 2);
	len = size - 4;
	have = len > data[1] ? len - data[1] : 0;
	data += 4;
	b = exact(data, have);
	if (sl_mss_clamp(b, have, len, layer, mss, partial)) {
		must(sl_headers_parse(data, have, len, layer, &h) == 0);
		check_changed(data, b, have, mss, &h, partial);
		must(!sl_mss_clamp(b, have, len, layer, mss, partial));
	} else {
		must(!memcmp(b, data, have));
	}
	exact_free(b, have);
	return 0;
}
