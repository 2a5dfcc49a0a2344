/* SPDX-License-Identifier: BSD-2-Clause */
/* The reliability layer: windows, times and acks one by one; then two of them and a bad channel. */
#include "packets.h"

#include <errno.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "tunnel/reliable.h"

#define S SL_NS_PER_S

static struct reliable *make(void)
{
	struct reliable *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	return r;
}

/* Send @n packets at @now and have them on their way. */
static void launch(struct reliable *r, unsigned n, uint64_t now)
{
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(sl_reliable_send(r, P_CONTROL_V1, "x", 1, now), 0);
		assert_non_null(sl_reliable_due(r, now));
	}
	assert_null(sl_reliable_due(r, now));
}

static void ack(struct reliable *r, uint32_t id, uint64_t now)
{
	sl_reliable_acked(r, &id, 1, now);
}

static int receive(struct reliable *r, uint32_t id)
{
	return sl_reliable_receive(r, id, P_CONTROL_V1, &id, sizeof(id));
}

/* The id that is due, or -1. */
static int64_t due(struct reliable *r, uint64_t now)
{
	const struct reliable_packet *p = sl_reliable_due(r, now);

	return p ? (int64_t)p->id : -1;
}

static void test_send_window(void **state)
{
	struct reliable *r = make();

	(void)state;
	assert_true(sl_reliable_idle(r));
	assert_true(sl_reliable_deadline(r) == UINT64_MAX);
	for (unsigned n = 0; n < RELIABLE_SEND; n++) {
		assert_true(sl_reliable_may_send(r));
		launch(r, 1, S);
		assert_false(sl_reliable_idle(r));
	}
	assert_false(sl_reliable_may_send(r));
	assert_int_equal(sl_reliable_send(r, P_CONTROL_V1, "x", 1, S), -EAGAIN);
	for (uint32_t id = 1; id < RELIABLE_SEND; id++)
		ack(r, id, S);
	assert_false(sl_reliable_may_send(r)); /* 0 is still on its way */
	ack(r, 0, S);
	assert_true(sl_reliable_idle(r));
	launch(r, RELIABLE_SEND, S);
	ack(r, 6, S);
	ack(r, 8, S);
	launch(r, 1, S); /* the lowest is 7, so 12 may go and 13 may not */
	assert_int_equal(sl_reliable_send(r, P_CONTROL_V1, "x", 1, S), -EAGAIN);
	free(r);
}

static void test_send_takes(void **state)
{
	static uint8_t big[RELIABLE_PAYLOAD_MAX + 1];
	struct reliable *r = make();
	const struct reliable_packet *p;

	(void)state;
	memset(big, 7, sizeof(big));
	assert_int_equal(sl_reliable_send(r, P_CONTROL_V1, big, sizeof(big), 5), -EMSGSIZE);
	assert_int_equal(sl_reliable_send(r, P_CONTROL_HARD_RESET_CLIENT_V2, NULL, 0, 5), 0);
	assert_int_equal(sl_reliable_send(r, P_CONTROL_V1, big, sizeof(big) - 1, 4), 0);
	assert_true(sl_reliable_deadline(r) == 4);
	assert_int_equal(due(r, 3), -1);
	p = sl_reliable_due(r, 5);
	assert_int_equal(p->id, 0); /* the lowest, not the one that is due for longest */
	assert_int_equal(p->opcode, P_CONTROL_HARD_RESET_CLIENT_V2);
	assert_int_equal(p->len, 0);
	p = sl_reliable_due(r, 5);
	assert_int_equal(p->id, 1);
	assert_int_equal(p->opcode, P_CONTROL_V1);
	assert_int_equal(p->len, sizeof(big) - 1);
	assert_memory_equal(p->payload, big, p->len);
	free(r);
}

/* Ids do not come again: behind the last there is none. */
static void test_ids_end(void **state)
{
	struct reliable *r = make();

	(void)state;
	r->next_id = UINT32_MAX - 2;
	r->expected = UINT32_MAX - 2;
	launch(r, 2, S);
	assert_false(sl_reliable_may_send(r));
	assert_int_equal(sl_reliable_send(r, P_CONTROL_V1, "x", 1, S), -EAGAIN);
	ack(r, UINT32_MAX, S);
	ack(r, UINT32_MAX - 1, S);
	ack(r, UINT32_MAX - 2, S);
	assert_true(sl_reliable_idle(r));
	assert_int_equal(sl_reliable_send(r, P_CONTROL_V1, "x", 1, S), -EAGAIN);

	assert_int_equal(receive(r, UINT32_MAX), -ERANGE);
	assert_int_equal(receive(r, 0), -EALREADY);
	assert_int_equal(receive(r, UINT32_MAX - 1), 0);
	assert_int_equal(receive(r, UINT32_MAX - 2), 0);
	sl_reliable_consume(r);
	sl_reliable_consume(r);
	sl_reliable_consume(r);
	assert_int_equal(r->expected, UINT32_MAX);
	assert_int_equal(receive(r, UINT32_MAX), -ERANGE);
	free(r);
}

static void test_backoff(void **state)
{
	static const unsigned waits[] = {2, 4, 8, 16, 32, 60, 60, 60};
	struct reliable *r = make();
	uint64_t now = 100 * S;

	(void)state;
	launch(r, 1, now);
	for (size_t n = 0; n < sl_array_len(waits); n++) {
		now += waits[n] * S;
		assert_true(sl_reliable_deadline(r) == now);
		assert_int_equal(due(r, now - 1), -1);
		assert_int_equal(due(r, now), 0);
		assert_int_equal(due(r, now), -1);
	}
	ack(r, 0, now);
	assert_int_equal(due(r, now + 1000 * S), -1);
	assert_true(sl_reliable_deadline(r) == UINT64_MAX);
	free(r);
}

/* From the time it was sent at, not from the time it should have been. */
static void test_late_caller(void **state)
{
	struct reliable *r = make();

	(void)state;
	launch(r, 1, S);
	assert_int_equal(due(r, 50 * S), 0);
	assert_true(sl_reliable_deadline(r) == 54 * S);
	free(r);
}

static void test_later_acks(void **state)
{
	struct reliable *r = make();

	(void)state;
	launch(r, 6, S);
	ack(r, 5, S + 1);
	ack(r, 5, S + 1); /* said again: not counted again */
	ack(r, 5, S + 1);
	ack(r, 4, S + 2);
	assert_int_equal(due(r, S + 2), -1);
	ack(r, 3, S + 3);
	assert_true(sl_reliable_deadline(r) == S + 3);
	for (int64_t id = 0; id < 3; id++)
		assert_int_equal(due(r, S + 3), id);
	assert_int_equal(due(r, S + 3), -1);
	assert_true(sl_reliable_deadline(r) == 5 * S + 3); /* its second wait */
	ack(r, 2, S + 4);
	ack(r, 1, S + 4);
	assert_int_equal(due(r, S + 4), -1); /* they count from 0 again */
	free(r);
}

/* Sent again by the clock, it is not overtaken by what was counted before. */
static void test_later_acks_start_again(void **state)
{
	struct reliable *r = make();

	(void)state;
	launch(r, 6, S);
	ack(r, 1, 2 * S);
	ack(r, 2, 2 * S);
	assert_int_equal(due(r, 3 * S), 0);
	assert_int_equal(due(r, 3 * S), 3);
	assert_int_equal(due(r, 3 * S), 4);
	assert_int_equal(due(r, 3 * S), 5);
	ack(r, 3, 3 * S);
	ack(r, 4, 3 * S);
	assert_int_equal(due(r, 3 * S), -1);
	ack(r, 5, 3 * S);
	assert_int_equal(due(r, 3 * S), 0);
	free(r);
}

static void test_hurry(void **state)
{
	struct reliable *r = make();

	(void)state;
	sl_reliable_hurry(r, S);
	assert_true(sl_reliable_idle(r) && sl_reliable_deadline(r) == UINT64_MAX);
	launch(r, 2, S);
	for (unsigned at = 3; at < 300; at++) /* up to the longest wait */
		while (sl_reliable_due(r, at * S))
			;
	launch(r, 1, 300 * S);
	sl_reliable_hurry(r, 301 * S);
	for (int64_t id = 0; id < 3; id++)
		assert_int_equal(due(r, 301 * S), id);
	assert_int_equal(due(r, 301 * S), -1);
	assert_true(sl_reliable_deadline(r) == 303 * S); /* the first wait again */
	free(r);
}

/* Whatever a peer may acknowledge: only what was sent goes. */
static void test_hostile_acks(void **state)
{
	const uint32_t ids[] = {9, 5, UINT32_MAX, 0x80000000, 6 + 3, 3u - 6, 15, 4, 2, 1, 0};
	struct reliable *r = make();

	(void)state;
	sl_reliable_acked(r, ids, sl_array_len(ids), S);
	sl_reliable_acked(r, NULL, 0, S);
	assert_true(sl_reliable_idle(r));
	launch(r, 4, S);
	sl_reliable_acked(r, ids, 8, S); /* none of 0 to 3 */
	assert_int_equal(due(r, S), -1);
	for (int64_t id = 0; id < 4; id++)
		assert_int_equal(due(r, 3 * S), id);
	assert_int_equal(due(r, 3 * S), -1);
	free(r);
}

static void want_next(struct reliable *r, uint32_t id)
{
	const struct reliable_packet *p = sl_reliable_next(r);

	want(p && p->id == id && p->len == sizeof(id) && !memcmp(p->payload, &id, sizeof(id)));
	sl_reliable_consume(r);
}

static void test_receive_window(void **state)
{
	struct reliable *r = make();
	uint32_t acks[CONTROL_ACKS_MAX];

	(void)state;
	assert_null(sl_reliable_next(r));
	sl_reliable_consume(r);
	assert_int_equal(receive(r, 12), -ERANGE);
	assert_int_equal(receive(r, UINT32_MAX), -ERANGE);
	assert_int_equal(receive(r, 0x80000000), -ERANGE);
	assert_int_equal(r->n_acks, 0);
	assert_int_equal(receive(r, 11), 0);
	assert_int_equal(receive(r, 1), 0);
	assert_null(sl_reliable_next(r));
	assert_int_equal(receive(r, 0), 0);
	assert_int_equal(receive(r, 0), -EALREADY); /* waiting */
	want_next(r, 0);
	want_next(r, 1);
	assert_null(sl_reliable_next(r));
	assert_int_equal(receive(r, 1), -EALREADY); /* gone */
	assert_int_equal(sl_reliable_take_acks(r, acks, 8), 3);
	assert_int_equal(receive(r, 13), 0);
	assert_int_equal(receive(r, 14), -ERANGE);
	for (uint32_t id = 2; id < 9; id++)
		assert_int_equal(receive(r, id), 0);
	assert_int_equal(sl_reliable_take_acks(r, acks, 8), 8);
	for (uint32_t id = 9; id < 13; id++)
		assert_int_equal(receive(r, id), id == 11 ? -EALREADY : 0);
	for (uint32_t id = 2; id < 14; id++)
		want_next(r, id);
	assert_null(sl_reliable_next(r));
	free(r);
}

static void test_receive_takes(void **state)
{
	static uint8_t big[CONTROL_PAYLOAD_MAX + 1];
	struct reliable *r = make();
	const struct reliable_packet *p;

	(void)state;
	memset(big, 9, sizeof(big));
	assert_int_equal(sl_reliable_receive(r, 0, P_CONTROL_V1, big, sizeof(big)), -EMSGSIZE);
	assert_int_equal(r->n_acks, 0);
	assert_int_equal(sl_reliable_receive(r, 0, P_CONTROL_HARD_RESET_SERVER_V2, NULL, 0), 0);
	assert_int_equal(sl_reliable_receive(r, 1, P_CONTROL_V1, big, sizeof(big) - 1), 0);
	p = sl_reliable_next(r);
	assert_int_equal(p->opcode, P_CONTROL_HARD_RESET_SERVER_V2);
	assert_int_equal(p->len, 0);
	sl_reliable_consume(r);
	p = sl_reliable_next(r);
	assert_int_equal(p->len, sizeof(big) - 1);
	assert_memory_equal(p->payload, big, p->len);
	free(r);
}

static void test_acks_full(void **state)
{
	struct reliable *r = make();
	uint32_t acks[CONTROL_ACKS_MAX] = {0};

	(void)state;
	for (uint32_t id = 0; id < CONTROL_ACKS_MAX; id++) {
		assert_int_equal(receive(r, id), 0);
		want_next(r, id);
	}
	assert_int_equal(receive(r, 8), -ERANGE); /* not taken ... */
	assert_null(sl_reliable_next(r));
	assert_int_equal(receive(r, 3), -EALREADY); /* owed already */
	assert_int_equal(r->n_acks, CONTROL_ACKS_MAX);
	assert_int_equal(sl_reliable_take_acks(r, acks, 0), 0);
	assert_int_equal(sl_reliable_take_acks(r, acks, 3), 3);
	assert_memory_equal(acks, ((uint32_t[]){0, 1, 2}), 12);
	assert_int_equal(receive(r, 8), 0); /* ... but now */
	assert_int_equal(receive(r, 1), -EALREADY);
	assert_int_equal(receive(r, 0), -EALREADY);
	assert_int_equal(receive(r, 2), -EALREADY); /* the list is full: next time */
	assert_int_equal(sl_reliable_take_acks(r, acks, 100), CONTROL_ACKS_MAX);
	assert_memory_equal(acks, ((uint32_t[]){3, 4, 5, 6, 7, 8, 1, 0}), 32);
	assert_int_equal(sl_reliable_take_acks(r, acks, 8), 0);
	free(r);
}

/*
 * What is received and owed, said again naively: ids have been seen or not, and owed acks
 * are a list of all ids that were owed, in order, with holes.
 */

#define IDS 400

struct model {
	bool seen[IDS + 100];
	uint32_t expected;
	uint32_t owed[100000];
	size_t n_owed;
};

static size_t model_owed(const struct model *m, uint32_t id, bool *listed)
{
	size_t count = 0;

	*listed = false;
	for (size_t n = 0; n < m->n_owed; n++) {
		count += m->owed[n] != UINT32_MAX;
		*listed |= m->owed[n] == id;
	}
	return count;
}

static int model_receive(struct model *m, uint32_t id)
{
	bool listed, full = model_owed(m, id, &listed) == CONTROL_ACKS_MAX;
	bool fresh = !m->seen[id];

	if (id >= m->expected + RELIABLE_RECEIVE || (fresh && full))
		return -ERANGE;
	m->seen[id] = true;
	if (!listed && !full)
		m->owed[m->n_owed++] = id;
	return fresh ? 0 : -EALREADY;
}

static void model_take(struct model *m, const uint32_t *acks, unsigned n, unsigned max)
{
	unsigned taken = 0;

	for (size_t i = 0; i < m->n_owed && taken < max; i++) {
		if (m->owed[i] == UINT32_MAX)
			continue;
		want(taken < n && acks[taken] == m->owed[i]);
		m->owed[i] = UINT32_MAX;
		taken++;
	}
	want(taken == n);
	if (n < max)
		m->n_owed = 0;
}

static void test_model(void **state)
{
	struct model *m = malloc(sizeof(*m));
	uint32_t acks[20], id;

	(void)state;
	assert_non_null(m);
	for (seed = 1; seed <= 60; seed++) {
		struct reliable *r = make();
		uint64_t random = seed;

		memset(m, 0, sizeof(*m));
		for (unsigned step = 0; step < 20000 && m->expected < IDS; step++) {
			unsigned max = random_in(&random, 0, 20);

			switch (random_in(&random, 0, 9)) {
			case 0:
				model_take(m, acks, sl_reliable_take_acks(r, acks, max), max);
				break;
			case 1:
				want(!!sl_reliable_next(r) == m->seen[m->expected]);
				if (m->seen[m->expected])
					want_next(r, m->expected++);
				break;
			default:
				id = m->expected + random_in(&random, 0, 20);
				id -= sl_min(id, 6u);
				want(receive(r, id) == model_receive(m, id));
			}
		}
		want(m->expected > 50);
		free(r);
	}
	free(m);
}

/*
 * Two ends and a channel between them that loses, doubles and delays.
 */

#define FLYING	1000
#define PACKETS 300

struct datagram {
	uint64_t arrives; /* 0: none */
	unsigned to;
	unsigned n_acks;
	uint32_t acks[CONTROL_ACKS_MAX];
	bool has_packet;
	uint32_t id;
	uint8_t opcode;
	size_t len;
	uint8_t payload[100];
};

struct sim {
	struct reliable *end[2];
	uint32_t sent[2], got[2];
	struct datagram flying[FLYING];
	uint64_t now, random;
	unsigned loss; /* percent */
	unsigned datagrams;
};

/* What packet @id of end @from has to say. */
static size_t words(unsigned from, uint32_t id, uint8_t *to)
{
	uint64_t r = seed * 1000003 + from * 1009 + id;
	size_t len = random_in(&r, 0, 100);

	random_fill(&r, to, len);
	return len;
}

static void throw(struct sim * s, struct datagram *d)
{
	s->datagrams++;
	for (unsigned copies = random_in(&s->random, 0, 9) ? 1 : 2; copies; copies--) {
		unsigned n = 0;

		if (random_in(&s->random, 0, 99) < s->loss)
			continue;
		while (n < FLYING && s->flying[n].arrives)
			n++;
		want(n < FLYING);
		d->arrives = s->now + random_in(&s->random, 10, 300) * SL_NS_PER_MS;
		s->flying[n] = *d;
	}
}

/* All an end has to say now: what is due, with acks; acks alone when nothing is. */
static void speak(struct sim *s, unsigned from)
{
	struct reliable *r = s->end[from];
	const struct reliable_packet *p;

	while (s->sent[from] < PACKETS && sl_reliable_may_send(r)) {
		uint8_t bytes[100];
		size_t len = words(from, s->sent[from]++, bytes);

		want(!sl_reliable_send(r, P_CONTROL_V1, bytes, len, s->now));
	}
	while ((p = sl_reliable_due(r, s->now)) || r->n_acks) {
		struct datagram d = {.to = !from, .has_packet = p};

		d.n_acks = sl_reliable_take_acks(r, d.acks, p ? 4 : CONTROL_ACKS_MAX);
		if (p) {
			d.id = p->id;
			d.opcode = p->opcode;
			d.len = p->len;
			memcpy(d.payload, p->payload, p->len);
		}
		throw(s, &d);
	}
	want(sl_reliable_deadline(r) > s->now);
}

static void hear(struct sim *s, const struct datagram *d)
{
	struct reliable *r = s->end[d->to];
	const struct reliable_packet *p;

	sl_reliable_acked(r, d->acks, d->n_acks, s->now);
	if (d->has_packet)
		sl_reliable_receive(r, d->id, d->opcode, d->payload, d->len);
	while ((p = sl_reliable_next(r)) && random_in(&s->random, 0, 7)) {
		uint8_t bytes[100];
		size_t len = words(!d->to, s->got[d->to], bytes);

		want(p->id == s->got[d->to] && p->opcode == P_CONTROL_V1);
		want(p->len == len && !memcmp(p->payload, bytes, len));
		s->got[d->to]++;
		sl_reliable_consume(r);
	}
}

/* The next thing that happens: a datagram arrives or a deadline has come. */
static bool step(struct sim *s)
{
	struct datagram *first = NULL;
	uint64_t at = sl_min(sl_reliable_deadline(s->end[0]), sl_reliable_deadline(s->end[1]));

	for (unsigned n = 0; n < FLYING; n++) {
		struct datagram *d = &s->flying[n];

		if (d->arrives && d->arrives <= at) {
			at = d->arrives;
			first = d;
		}
	}
	if (at == UINT64_MAX)
		return false;
	want(at >= s->now);
	s->now = at;
	if (first) {
		first->arrives = 0;
		hear(s, first);
		speak(s, first->to);
	} else {
		speak(s, 0);
		speak(s, 1);
	}
	return true;
}

/* Returns the seconds it took. */
static uint64_t simulate(unsigned loss, unsigned *datagrams)
{
	struct sim *s = calloc(1, sizeof(*s));
	struct datagram end = {0};
	uint64_t took;

	assert_non_null(s);
	s->end[0] = make();
	s->end[1] = make();
	s->loss = loss;
	s->random = seed;
	s->now = 7 * S;
	speak(s, 0);
	speak(s, 1);
	while (step(s))
		want(s->now < 1000000 * S && s->datagrams < 1000000);
	for (end.to = 0; end.to < 2; end.to++) {
		while (s->got[end.to] < PACKETS && sl_reliable_next(s->end[end.to]))
			hear(s, &end); /* what came last and was not read yet */
		want(s->sent[end.to] == PACKETS && s->got[end.to] == PACKETS);
		want(sl_reliable_idle(s->end[end.to]) && !s->end[end.to]->n_acks);
	}
	took = s->now / S - 7;
	*datagrams = s->datagrams;
	free(s->end[0]);
	free(s->end[1]);
	free(s);
	return took;
}

static void test_simulation(void **state)
{
	(void)state;
	for (seed = 1; seed <= 102; seed++) {
		unsigned loss = (unsigned)(seed - 1) % 51, datagrams;
		uint64_t took = simulate(loss, &datagrams);

		/* Half as much again as what was measured at its worst; waits grow fast. */
		want(took < 40 + 10 * loss + loss * loss * loss / 8);
		want(datagrams < 1600 + 50 * loss);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_send_window),
		cmocka_unit_test(test_send_takes),
		cmocka_unit_test(test_ids_end),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_late_caller),
		cmocka_unit_test(test_later_acks),
		cmocka_unit_test(test_later_acks_start_again),
		cmocka_unit_test(test_hurry),
		cmocka_unit_test(test_hostile_acks),
		cmocka_unit_test(test_receive_window),
		cmocka_unit_test(test_receive_takes),
		cmocka_unit_test(test_acks_full),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_simulation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
