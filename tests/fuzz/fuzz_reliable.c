/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any order of calls of the reliability layer, with any ids from the peer, against a model that
 * looks each thing up in a list.
 * Input: bit 0: ids begin near their end; then operations of 3 bytes: which, and two arguments.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"
#include "tunnel/reliable.h"

#define OPS_MAX 2000u
#define S	1000000000ull

/* A packet of ours, by id from the first on. */
struct sent {
	bool acked;
	uint8_t len;
	uint64_t last; /* when it was sent last, 0 for never */
};

struct run {
	struct reliable r;
	uint64_t now;
	uint32_t first; /* the first id, both ways */
	uint32_t n_sent;
	struct sent sent[OPS_MAX];
	uint32_t consumed;
	bool seen[OPS_MAX + 256];
};

static uint32_t lowest(const struct run *f)
{
	uint32_t n = 0;

	while (n < f->n_sent && f->sent[n].acked)
		n++;
	return n;
}

static bool listed(const struct reliable *r, uint32_t id)
{
	for (unsigned n = 0; n < r->n_acks; n++)
		if (r->acks[n] == id)
			return true;
	return false;
}

static void check_sending(const struct run *f)
{
	uint32_t low = lowest(f), waiting = 0;

	must(f->r.next_id == f->first + f->n_sent && f->n_sent - low <= RELIABLE_SEND);
	must(sl_reliable_may_send(&f->r) ==
	     (f->n_sent - low < RELIABLE_SEND && f->r.next_id < UINT32_MAX));
	must(sl_reliable_idle(&f->r) == (low == f->n_sent));
	must((sl_reliable_deadline(&f->r) == UINT64_MAX) == (low == f->n_sent));
	for (unsigned n = 0; n < RELIABLE_SEND; n++) {
		const struct reliable_packet *p = &f->r.out[n];

		if (!p->used)
			continue;
		waiting++;
		must(p->id - f->first >= low && p->id - f->first < f->n_sent);
		must(!f->sent[p->id - f->first].acked);
		must(p->due >= sl_reliable_deadline(&f->r));
		must(p->due <= f->now + 60 * S && p->wait >= 2 * S && p->wait <= 60 * S);
	}
	for (uint32_t n = low; n < f->n_sent; n++)
		waiting -= !f->sent[n].acked;
	must(!waiting);
}

static void check_receiving(const struct run *f)
{
	const struct reliable_packet *next = sl_reliable_next(&f->r);

	must(f->r.expected == f->first + f->consumed);
	must(f->r.n_acks <= CONTROL_ACKS_MAX);
	for (unsigned n = 0; n < f->r.n_acks; n++) {
		must(f->r.acks[n] < f->r.expected ||
		     f->r.acks[n] - f->r.expected < RELIABLE_RECEIVE);
		for (unsigned i = 0; i < n; i++)
			must(f->r.acks[i] != f->r.acks[n]);
	}
	must(!!next == f->seen[f->consumed]);
	must(!next || next->id == f->r.expected);
}

/*
 * The operations.
 */

static void send(struct run *f, unsigned a, unsigned b)
{
	static const uint8_t big[RELIABLE_PAYLOAD_MAX + 1];
	bool may = sl_reliable_may_send(&f->r);
	size_t len = a & 1 ? b : RELIABLE_PAYLOAD_MAX + (a >> 1 & 1);
	int err = sl_reliable_send(&f->r, P_CONTROL_V1, big, len, f->now);

	must(err == (len > RELIABLE_PAYLOAD_MAX ? -EMSGSIZE : may ? 0 : -EAGAIN));
	if (!err)
		f->sent[f->n_sent++] = (struct sent){.len = (uint8_t)len};
}

static void acked(struct run *f, unsigned a, unsigned b)
{
	const uint32_t ids[] = {f->r.next_id - a % 16, f->first + b, a << 24 | b, ~b};
	unsigned n = a >> 4 & 3;

	sl_reliable_acked(&f->r, ids, n, f->now);
	for (unsigned i = 0; i < n; i++)
		if (ids[i] - f->first < f->n_sent)
			f->sent[ids[i] - f->first].acked = true;
}

static void receive(struct run *f, unsigned a, unsigned b)
{
	static const uint8_t big[CONTROL_PAYLOAD_MAX + 1];
	uint32_t id = a < 250 ? f->r.expected + a % 32 - 8 : a << 24 | b;
	bool full = f->r.n_acks == CONTROL_ACKS_MAX && !listed(&f->r, id);
	uint32_t before = f->r.n_acks, at = id - f->first;
	bool old = id < f->r.expected || (at < sizeof(f->seen) && f->seen[at]);
	size_t len = b == 255 ? sizeof(big) : b;
	int err = sl_reliable_receive(&f->r, id, P_CONTROL_V1, big, len);

	if (len > CONTROL_PAYLOAD_MAX)
		must(err == -EMSGSIZE);
	else if (old)
		must(err == -EALREADY);
	else if (id - f->r.expected >= RELIABLE_RECEIVE || id == UINT32_MAX || full)
		must(err == -ERANGE);
	else
		must(err == 0);
	must((err == 0 || (err == -EALREADY && !full)) ? listed(&f->r, id) : f->r.n_acks == before);
	if (!err)
		f->seen[at] = true;
}

static void consume(struct run *f)
{
	f->consumed += sl_reliable_next(&f->r) ? 1 : 0;
	sl_reliable_consume(&f->r);
}

/* All that is due, each once and from the lowest id on; nothing is due before its time. */
static void due(struct run *f, unsigned a, unsigned b)
{
	const struct reliable_packet *p;
	uint32_t before = 0;
	bool late;

	f->now += (uint64_t)a * b * S / 100;
	late = sl_reliable_deadline(&f->r) <= f->now;
	p = sl_reliable_due(&f->r, f->now);
	must(late == !!p);
	for (; p; p = sl_reliable_due(&f->r, f->now)) {
		uint32_t n = p->id - f->first;

		must(n >= before && n < f->n_sent && !f->sent[n].acked);
		must((uint8_t)p->len == f->sent[n].len && p->opcode == P_CONTROL_V1);
		must(p->due >= f->now + 2 * S && p->due <= f->now + 60 * S);
		f->sent[n].last = f->now;
		before = n + 1;
	}
	must(sl_reliable_deadline(&f->r) > f->now);
	for (uint32_t n = lowest(f); n < f->n_sent; n++)
		must(f->sent[n].acked || f->sent[n].last);
}

static void take_acks(struct run *f, unsigned max)
{
	uint32_t before[CONTROL_ACKS_MAX], acks[CONTROL_ACKS_MAX];
	unsigned had = f->r.n_acks, n;

	max %= CONTROL_ACKS_MAX + 1;
	memcpy(before, f->r.acks, sizeof(before));
	n = sl_reliable_take_acks(&f->r, acks, max);
	must(n == (had < max ? had : max) && f->r.n_acks == had - n);
	must(!memcmp(acks, before, n * 4));
	must(!memcmp(f->r.acks, before + n, (had - n) * 4));
}

static void hurry(struct run *f)
{
	sl_reliable_hurry(&f->r, f->now);
	must(sl_reliable_idle(&f->r) || sl_reliable_deadline(&f->r) == f->now);
}

static void operate(struct run *f, unsigned which, unsigned a, unsigned b)
{
	switch (which % 7) {
	case 0:
		send(f, a, b);
		break;
	case 1:
		acked(f, a, b);
		break;
	case 2:
		receive(f, a, b);
		break;
	case 3:
		consume(f);
		break;
	case 4:
		due(f, a, b);
		break;
	case 5:
		take_acks(f, a);
		break;
	case 6:
		hurry(f);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run *f;

	if (!size)
		return 0;
	f = calloc(1, sizeof(*f));
	must(f);
	f->now = S;
	f->first = data[0] & 1 ? UINT32_MAX - 20 : 0;
	f->r.next_id = f->r.expected = f->first;
	for (size_t n = 0; n < OPS_MAX && 3 * n + 4 <= size; n++) {
		const uint8_t *op = data + 1 + 3 * n;

		operate(f, op[0], op[1], op[2]);
		check_sending(f);
		check_receiving(f);
	}
	free(f);
	return 0;
}
