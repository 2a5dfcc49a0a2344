/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes through the header parser.
 * Input: layer (bit 0: 3), bytes at the packet's end that were not copied, the packet.
 */
#include <errno.h>

#include "../unit/slow.h"
#include "fuzz.h"

static int parse(const uint8_t *bytes, size_t copied, size_t len, unsigned layer,
		 struct sl_headers *h)
{
	uint8_t *copy = exact(bytes, copied);
	int err = sl_headers_parse(copy, copied, len, layer, h);

	exact_free(copy, copied);
	must(err == 0 || err == -EINVAL);
	return err;
}

static void check(const struct sl_headers *h, size_t copied, size_t len)
{
	must(h->end <= len);
	must(h->ip == 0 || h->ip == 4 || h->ip == 6);
	must(!h->ip || h->l3 + (h->ip == 4 ? 20u : 40u) <= h->end);
	must(!h->fragment || (h->ip && !h->proto));
	if (!h->proto)
		return;
	must(h->ip && (h->proto == 6 || h->proto == 17));
	must(h->l4 >= h->l3 + (h->ip == 4 ? 20 : 40) && (h->l4 - h->l3) % 4 == 0);
	must(h->payload >= h->l4 + (h->proto == 6 ? 20 : 8) && h->payload <= h->l4 + 60);
	must(h->payload <= h->end && h->payload <= copied && h->payload <= SL_HEADERS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_headers part, whole, padded;
	unsigned layer;
	size_t copied;
	int err;

	if (size < 2)
		return 0;
	layer = 2 + (data[0] & 1u);
	copied = size - 2 > data[1] ? size - 2 - data[1] : 0;
	data += 2;
	size -= 2;
	err = parse(data, size, size, layer, &whole);
	if (!err)
		check(&whole, size, size);
	/* Copying less may hide what is there, never show something else. */
	if (parse(data, copied, size, layer, &part) == 0) {
		check(&part, copied, size);
		must(err || (part.ip == whole.ip && part.end == whole.end));
		must(!part.proto || (!err && !memcmp(&part, &whole, sizeof(part))));
	}
	/* What lies behind the IP length changes nothing. */
	if (!err && whole.ip) {
		must(parse(data, size, size + 9, layer, &padded) == 0);
		must(!memcmp(&padded, &whole, sizeof(padded)));
	}
	return 0;
}
