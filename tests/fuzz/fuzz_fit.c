/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any packets with any offload facts through the fitting, for any port behind it.
 * Input: what the port accepts (bits 0 to 4 SL_CAN_*, 5: it gets copies, 6: layer 3), how its
 * consumer behaves; then packets: rights (bit 0: writable, bit 1: facts follow), pieces,
 * length (2 bytes, little endian), facts (a struct virtio_net_hdr of 10 bytes), bytes.
 */
#include <string.h>

#include <sluice/consumer.h>
#include <sluice/producer.h>
#include <sluice/region.h>

#include "fuzz.h"
#include "packet/fit.h"
#include "packet/headers.h"

#define IN_SIZE	   8u
#define OWN_REGION 0xff00
#define FLAT_MAX   70000u
#define HELD_MAX   100u

struct chain {
	uint8_t *memory[SL_PACKET_FRAGS_MAX];
	uint32_t count;
	uint32_t len;
	bool offload;
	struct sl_offload facts;
};

struct run {
	struct sl_ring *in, *out;
	struct sl_fit *fit;
	struct sl_fit_config config;
	struct sl_count count;
	struct chain chains[IN_SIZE];
	uint32_t held[HELD_MAX], n_held;
	uint64_t random;
	uint64_t given, back, finished;
};

static uint32_t dice(struct run *r, uint32_t sides)
{
	r->random = r->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(r->random >> 33) % sides;
}

static uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

/*
 * In: pieces in memory of exactly their size.
 */

static void put(struct run *r, const uint8_t *bytes, uint32_t have, uint32_t len, uint32_t pieces,
		bool writable, const struct sl_offload *facts)
{
	struct sl_frag frags[SL_PACKET_FRAGS_MAX];
	struct chain *chain;
	uint32_t at, done = 0;

	must(sl_ring_room(r->in, &at) > 0);
	chain = &r->chains[at % IN_SIZE];
	*chain = (struct chain){.count = pieces, .len = len, .offload = facts};
	for (uint32_t n = 0; n < pieces; n++) {
		uint32_t piece = n == pieces - 1 ? len - done : dice(r, (len - done) / 2 + 1);

		chain->memory[n] = malloc(piece ? piece : 1);
		must(chain->memory[n]);
		for (uint32_t i = 0; i < piece; i++)
			chain->memory[n][i] = have ? bytes[(done + i) % have] : 0;
		frags[n] = (struct sl_frag){chain->memory[n], piece, 0, 0};
		done += piece;
	}
	must(!sl_ring_chain(r->in, at, frags, pieces));
	sl_ring_packet(r->in, at)->cookie = at;
	sl_ring_packet(r->in, at)->headroom = 0;
	sl_ring_packet(r->in, at)->flags =
		(writable ? SL_PACKET_WRITABLE : 0) | (facts ? SL_PACKET_OFFLOAD : 0);
	if (facts)
		chain->facts = *sl_ring_offload(r->in, at) = *facts;
	sl_ring_post(r->in, 1);
	r->given++;
}

static void back(struct run *r)
{
	uint32_t at, n = sl_ring_returned(r->in, &at);

	for (uint32_t i = 0; i < n; i++, at++) {
		struct chain *chain = &r->chains[at % IN_SIZE];

		must(sl_ring_packet(r->in, at)->cookie == at);
		for (uint32_t p = 0; p < chain->count; p++)
			free(chain->memory[p]);
		chain->count = 0;
	}
	sl_ring_reclaim(r->in, n);
	r->back += n;
}

/*
 * Out: nothing that the port does not accept, nothing larger than it was meant to be.
 */

static void check_facts(const struct run *r, const struct sl_offload *facts)
{
	uint8_t type = facts->gso_type & (uint8_t)~SL_GSO_ECN;
	uint32_t can = r->config.accepts;

	must(!facts->flags || can & SL_CAN_CSUM);
	must(type != SL_GSO_TCPV4 || can & SL_CAN_TSO4);
	must(type != SL_GSO_TCPV6 || can & SL_CAN_TSO6);
	must(type != SL_GSO_UDP_L4 || can & SL_CAN_USO);
	must(!type || type == SL_GSO_TCPV4 || type == SL_GSO_TCPV6 || type == SL_GSO_UDP_L4);
	must(!(type && type != SL_GSO_UDP_L4 && facts->gso_type & SL_GSO_ECN) || can & SL_CAN_ECN);
}

static uint32_t flatten(const struct run *r, struct sl_packet *packet, uint8_t *to)
{
	const struct sl_region *own = sl_fit_region(r->fit);
	const uint8_t *base = own->base;
	uint32_t len = 0;

	for (uint32_t n = 0; n <= packet->more; n++) {
		const struct sl_frag *frag = sl_ring_frag(r->out, packet, n);
		bool ours = frag->addr >= base && frag->addr + frag->len <= base + own->len;

		must(ours || !r->config.copy);
		must(ours || !frag->tailroom);
		must(n || ours || !packet->headroom);
		must(frag->len <= FLAT_MAX - len);
		memcpy(to + len, frag->addr, frag->len);
		len += frag->len;
	}
	return len;
}

static void check_out(const struct run *r, uint32_t at)
{
	static uint8_t flat[FLAT_MAX];
	struct sl_packet *packet = sl_ring_packet(r->out, at);
	const struct chain *chain = &r->chains[(packet->cookie >> 1) % IN_SIZE];
	bool left = packet->flags & SL_PACKET_OFFLOAD;
	uint32_t len = flatten(r, packet, flat);
	struct sl_headers h;

	must(chain->count && len <= chain->len);
	must(!left || chain->offload);
	if (left)
		check_facts(r, sl_ring_offload(r->out, at));
	if (!chain->offload || !(chain->facts.gso_type & ~SL_GSO_ECN)) {
		must(len == chain->len);
		return;
	}
	if (left && sl_ring_offload(r->out, at)->gso_type)
		return;
	must(!sl_headers_parse(flat, len, len, r->config.layer, &h));
	must(h.proto && h.end == len && len - h.payload <= chain->facts.gso_size);
}

static void consume(struct run *r, uint32_t most)
{
	uint32_t at;

	for (; most && r->n_held < HELD_MAX && sl_ring_ready(r->out, &at); most--) {
		check_out(r, at);
		sl_ring_take(r->out, 1);
		r->held[r->n_held++] = at;
	}
}

static void finish(struct run *r, uint32_t most)
{
	for (; most && r->n_held; most--) {
		uint32_t pick = dice(r, r->n_held);

		check_out(r, r->held[pick]); /* still there: it is lent */
		sl_ring_done(r->out, r->held[pick]);
		r->held[pick] = r->held[--r->n_held];
		r->finished++;
	}
}

static void work(struct run *r)
{
	sl_fit_step(r->fit, &r->count);
	consume(r, dice(r, 64));
	finish(r, dice(r, 64));
	if (!dice(r, 40)) {
		sl_ring_recall(r->out);
		finish(r, HELD_MAX);
		sl_fit_recall(r->fit);
	}
	back(r);
}

/* The next packet of the input. Returns the bytes it used, 0 at the end. */
static size_t put_next(struct run *r, const uint8_t *data, size_t size)
{
	struct sl_offload facts = {0};
	size_t at = 4, have;
	uint32_t len;

	if (size < 14)
		return 0;
	len = le16(data + 2);
	if (data[0] & 2) {
		facts = (struct sl_offload){data[4],	    data[5],	     le16(data + 6),
					    le16(data + 8), le16(data + 10), le16(data + 12),
					    .reserved = {0}};
		at = 14;
	}
	have = size - at < len ? size - at : len;
	put(r, data + at, (uint32_t)have, len, 1 + data[1] % SL_PACKET_FRAGS_MAX, data[0] & 1,
	    data[0] & 2 ? &facts : NULL);
	return at + have;
}

static void run_to_the_end(struct run *r, const uint8_t *data, size_t size)
{
	size_t used;
	uint32_t at;

	do {
		for (unsigned n = 0; n < 100000 && !sl_ring_room(r->in, &at); n++)
			work(r);
		must(sl_ring_room(r->in, &at));
		used = put_next(r, data, size);
		data += used;
		size -= used;
	} while (used);
	for (unsigned n = 0; n < 100000 && r->back < r->given; n++)
		work(r);
	must(r->back == r->given && !r->n_held && !sl_ring_in_flight(r->in));
	must(!sl_ring_broken(r->in) && !sl_ring_broken(r->out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sl_ring_config ring = {IN_SIZE, 1024, -1, -1};
	struct run r = {0};

	if (size < 2 || size > 200000)
		return 0;
	r.config = (struct sl_fit_config){
		.emits = UINT32_MAX,
		.accepts = data[0] & 31u,
		.copy = data[0] & 32,
		.layer = data[0] & 64 ? 3 : 2,
		.region = OWN_REGION,
	};
	r.random = data[1];
	if (sl_ring_create(&ring, &r.in) || sl_fit_create(&r.config, r.in, &r.fit))
		abort();
	r.out = sl_fit_ring(r.fit);
	run_to_the_end(&r, data + 2, size - 2);
	sl_fit_release(r.fit);
	sl_ring_release(r.in);
	return 0;
}
