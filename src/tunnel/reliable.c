/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reliability layer. Both windows are rings indexed by id: packet n lies in slot n modulo
 * the window. Ids never wrap: UINT32_MAX is neither sent nor taken.
 */
#include <errno.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "tunnel/reliable.h"

#define WAIT_FIRST (2 * SL_NS_PER_S)
#define WAIT_MOST  (60 * SL_NS_PER_S)
#define LATER_ACKS 3 /* N_ACK_RETRANSMIT of OpenVPN */

static void fill(struct reliable_packet *p, uint32_t id, uint8_t opcode, const void *payload,
		 size_t len)
{
	p->used = true;
	p->opcode = opcode;
	p->id = id;
	p->due = 0;
	p->wait = WAIT_FIRST;
	p->later_acks = 0;
	p->len = len;
	if (len)
		memcpy(p->payload, payload, len);
}

/*
 * Sending.
 */

/* Only the id RELIABLE_SEND back can close the window: an older one would have closed it before. */
bool sl_reliable_may_send(const struct reliable *r)
{
	return r->next_id != UINT32_MAX && !r->out[r->next_id % RELIABLE_SEND].used;
}

int sl_reliable_send(struct reliable *r, uint8_t opcode, const void *payload, size_t len,
		     uint64_t now_ns)
{
	struct reliable_packet *p = &r->out[r->next_id % RELIABLE_SEND];

	if (len > RELIABLE_PAYLOAD_MAX)
		return -EMSGSIZE;
	if (!sl_reliable_may_send(r))
		return -EAGAIN;
	fill(p, r->next_id++, opcode, payload, len);
	p->due = now_ns;
	return 0;
}

/* What was sent before @id and is overtaken by its ack may be lost. */
static void count_later_ack(struct reliable *r, uint32_t id, uint64_t now_ns)
{
	for (unsigned n = 0; n < RELIABLE_SEND; n++) {
		struct reliable_packet *p = &r->out[n];

		if (p->used && p->id < id && ++p->later_acks == LATER_ACKS)
			p->due = sl_min(p->due, now_ns);
	}
}

void sl_reliable_acked(struct reliable *r, const uint32_t *ids, unsigned n, uint64_t now_ns)
{
	for (unsigned i = 0; i < n; i++) {
		struct reliable_packet *p = &r->out[ids[i] % RELIABLE_SEND];

		/* Peers say each ack several times: only the first one counts. */
		if (!p->used || p->id != ids[i])
			continue;
		p->used = false;
		count_later_ack(r, p->id, now_ns);
	}
}

const struct reliable_packet *sl_reliable_due(struct reliable *r, uint64_t now_ns)
{
	struct reliable_packet *first = NULL;

	for (unsigned n = 0; n < RELIABLE_SEND; n++) {
		struct reliable_packet *p = &r->out[n];

		if (p->used && p->due <= now_ns && (!first || p->id < first->id))
			first = p;
	}
	if (!first)
		return NULL;
	first->due = now_ns + first->wait;
	first->wait = sl_min(2 * first->wait, WAIT_MOST);
	first->later_acks = 0;
	return first;
}

void sl_reliable_hurry(struct reliable *r, uint64_t now_ns)
{
	for (unsigned n = 0; n < RELIABLE_SEND; n++) {
		struct reliable_packet *p = &r->out[n];

		/* How long it was away says nothing about the path now: waits start again. */
		p->due = now_ns;
		p->wait = WAIT_FIRST;
	}
}

uint64_t sl_reliable_deadline(const struct reliable *r)
{
	uint64_t deadline = UINT64_MAX;

	for (unsigned n = 0; n < RELIABLE_SEND; n++)
		if (r->out[n].used)
			deadline = sl_min(deadline, r->out[n].due);
	return deadline;
}

bool sl_reliable_idle(const struct reliable *r)
{
	return sl_reliable_deadline(r) == UINT64_MAX;
}

/*
 * Receiving.
 */

/* False when there is no room to note it down. */
static bool owe_ack(struct reliable *r, uint32_t id)
{
	for (unsigned n = 0; n < r->n_acks; n++)
		if (r->acks[n] == id)
			return true;
	if (r->n_acks == CONTROL_ACKS_MAX)
		return false;
	r->acks[r->n_acks++] = id;
	return true;
}

int sl_reliable_receive(struct reliable *r, uint32_t id, uint8_t opcode, const void *payload,
			size_t len)
{
	struct reliable_packet *p = &r->in[id % RELIABLE_RECEIVE];

	if (len > CONTROL_PAYLOAD_MAX)
		return -EMSGSIZE;
	if (id == UINT32_MAX || (id >= r->expected && id - r->expected >= RELIABLE_RECEIVE))
		return -ERANGE;
	/* A duplicate means that our ack was lost: it is owed again. */
	if (id < r->expected || p->used) {
		owe_ack(r, id);
		return -EALREADY;
	}
	if (!owe_ack(r, id))
		return -ERANGE;
	fill(p, id, opcode, payload, len);
	return 0;
}

const struct reliable_packet *sl_reliable_next(const struct reliable *r)
{
	const struct reliable_packet *p = &r->in[r->expected % RELIABLE_RECEIVE];

	return p->used ? p : NULL;
}

void sl_reliable_consume(struct reliable *r)
{
	struct reliable_packet *p = &r->in[r->expected % RELIABLE_RECEIVE];

	if (!p->used)
		return;
	p->used = false;
	r->expected++;
}

unsigned sl_reliable_take_acks(struct reliable *r, uint32_t *acks, unsigned max)
{
	unsigned n = sl_min(r->n_acks, max);

	if (n)
		memcpy(acks, r->acks, n * sizeof(*acks));
	r->n_acks -= n;
	memmove(r->acks, r->acks + n, r->n_acks * sizeof(*acks));
	return n;
}
