/* SPDX-License-Identifier: BSD-2-Clause */
/* The MSS clamp (RFC 9293 3.2 and 3.7.1). */
#include <netinet/in.h>

#include "base/bytes.h"
#include "packet/csum.h"
#include "packet/mss.h"

#define TCP_LEN 20u
#define SYN	0x02

enum {
	OPT_END = 0,
	OPT_NOP = 1,
	OPT_MSS = 2,
	OPT_MSS_LEN = 4,
};

/* Bytes of the option at @at; 0 at the end of the list; -1 for one that does not hold. */
static int option_len(const uint8_t *tcp, unsigned at, unsigned end)
{
	if (at >= end || tcp[at] == OPT_END)
		return 0;
	if (tcp[at] == OPT_NOP)
		return 1;
	if (end - at < 2 || tcp[at + 1] < 2 || tcp[at + 1] > end - at)
		return -1;
	if (tcp[at] == OPT_MSS && tcp[at + 1] != OPT_MSS_LEN)
		return -1;
	return tcp[at + 1];
}

static bool options_hold(const uint8_t *tcp, unsigned end)
{
	unsigned at = TCP_LEN;
	int len;

	while ((len = option_len(tcp, at, end)) > 0)
		at += (unsigned)len;
	return len == 0;
}

static bool lower(uint8_t *tcp, unsigned at, uint16_t mss, bool partial)
{
	uint16_t was, is;

	if (sl_get_be16(tcp + at) <= mss)
		return false;
	memcpy(&was, tcp + at, 2);
	sl_put_be16(tcp + at, mss);
	memcpy(&is, tcp + at, 2);
	if (partial)
		return true;
	/* At an odd offset the value's two bytes lie in two words, each at the other end. */
	if (at & 1)
		sl_csum_update(tcp + 16, __builtin_bswap16(was), __builtin_bswap16(is));
	else
		sl_csum_update(tcp + 16, was, is);
	return true;
}

bool sl_mss_clamp(uint8_t *bytes, size_t have, size_t len, unsigned layer, uint16_t mss,
		  bool partial)
{
	struct sl_headers h;
	bool changed = false;
	uint8_t *tcp;
	unsigned end;
	int step;

	if (sl_headers_parse(bytes, have, len, layer, &h) || h.proto != IPPROTO_TCP)
		return false;
	tcp = bytes + h.l4;
	end = h.payload - h.l4;
	if (!(tcp[13] & SYN) || !options_hold(tcp, end))
		return false;
	for (unsigned at = TCP_LEN; (step = option_len(tcp, at, end)) > 0; at += (unsigned)step)
		if (tcp[at] == OPT_MSS)
			changed |= lower(tcp, at + 2, mss, partial);
	return changed;
}
