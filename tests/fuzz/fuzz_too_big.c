/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any packet that is too big.
 * Input: bit 0: layer 3; bytes at the end that are not at hand, in eights; the MTU, big
 * endian; the packet.
 */
#include "../unit/slow.h"
#include "fuzz.h"
#include "packet/too_big.h"

static void check_answer4(const uint8_t *ip, size_t n, const uint8_t *asked, unsigned mtu)
{
	const uint8_t *icmp = ip + 20;

	must(n <= 576 && get16(ip + 2) == n && n >= 20 + 8 + 28);
	must(slow_sum(0, ip, 20) == 0xffff && slow_sum(0, icmp, n - 20) == 0xffff);
	must(ip[9] == 1 && icmp[0] == 3 && icmp[1] == 4 && get16(icmp + 6) == mtu);
	must(!memcmp(ip + 12, asked + 16, 4) && !memcmp(ip + 16, asked + 12, 4));
	must(ip[12] < 224 && ip[16] < 224 && asked[6] & 0x40);
	must(!memcmp(icmp + 8, asked, n - 28));
}

static void check_answer6(const uint8_t *ip, size_t n, const uint8_t *asked, unsigned mtu)
{
	const struct sl_headers h = {.ip = 6, .proto = 58};
	const uint8_t *icmp = ip + 40;

	must(n <= 1280 && get16(ip + 4) + 40 == n && n >= 40 + 8 + 48);
	must(slow_sum(slow_pseudo(ip, &h, n - 40), icmp, n - 40) == 0xffff);
	must(ip[6] == 58 && icmp[0] == 2 && icmp[1] == 0 && get16(icmp + 6) == mtu);
	must(!memcmp(ip + 8, asked + 24, 16) && !memcmp(ip + 24, asked + 8, 16));
	must(ip[8] != 0xff && ip[24] != 0xff);
	must(!memcmp(icmp + 8, asked, n - 48));
}

static void check_answer(const uint8_t *answer, size_t n, const uint8_t *asked, size_t have,
			 size_t len, unsigned layer, unsigned mtu)
{
	uint8_t again[TOO_BIG_MAX];
	struct sl_headers h;

	must(sl_headers_parse(asked, have, len, layer, &h) == 0 && h.ip);
	must(h.end - h.l3 > mtu && n <= TOO_BIG_MAX);
	if (layer == 2) {
		must(!memcmp(answer, asked + 6, 6) && !memcmp(answer + 6, asked, 6));
		must(!memcmp(answer + 12, asked + 12, h.l3 - 12u) && !(answer[0] & 1));
	}
	if (h.ip == 4)
		check_answer4(answer + h.l3, n - h.l3, asked + h.l3, mtu);
	else
		check_answer6(answer + h.l3, n - h.l3, asked + h.l3, mtu);
	must(sl_headers_parse(answer, n, n, layer, &h) == 0 && h.end == n);
	must(!sl_too_big(answer, n, n, layer, 0, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *asked, *answer, nothing[TOO_BIG_MAX] = {0};
	size_t len, have, n;
	unsigned layer, mtu;

	if (size < 4)
		return 0;
	layer = 2 + (data[0] & 1u);
	mtu = get16(data + 2);
	len = size - 4;
	have = len > data[1] * 8u ? len - data[1] * 8u : 0;
	asked = exact(data + 4, have);
	answer = exact(nothing, TOO_BIG_MAX);
	n = sl_too_big(asked, have, len, layer, mtu, answer);
	must(!memcmp(asked, data + 4, have));
	if (n)
		check_answer(answer, n, asked, have, len, layer, mtu);
	exact_free(asked, have);
	exact_free(answer, TOO_BIG_MAX);
	return 0;
}
