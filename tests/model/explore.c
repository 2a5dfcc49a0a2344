/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The explorer: all executions of two recorded programs that C17's memory model
 * (5.1.2.4, 7.17.3) allows, and a few more:
 *
 *  - every load may read from any store to its place, of either thread, earlier or
 *    later, or the initial value. Nothing orders two accesses of a thread to two
 *    places but happens-before; control and data dependencies order nothing;
 *  - happens-before is program order plus release/acquire pairs, fences included;
 *    release sequences are left out (fewer pairs: weaker);
 *  - each place has one modification order that agrees with happens-before
 *    (coherence: 5.1.2.4 p15-18);
 *  - the seq_cst fences have one total order that agrees with what is read
 *    around them (7.17.3 p9-11);
 *  - an eventfd is a counter behind a lock: the wait that takes a signal comes
 *    after the signal.
 *
 * Plain accesses (entries, buffers) must be ordered against every write to the
 * same place by happens-before; what a read sees is then the latest write. An
 * unordered pair is reported with the other value that might be seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

#define EDGES_MAX 128

struct step {
	int16_t reads;	    /* the store's operation, -1: initial value */
	int16_t reads_from; /* its thread */
	int16_t order;	    /* place in modification order, of a load that of its store */
	int16_t clock;	    /* how many of the other thread's operations happened before */
	int16_t floor;	    /* the same, for what indices and recall alone order */
};

struct edge {
	int16_t from, to;
};

struct edges {
	int count;
	struct edge edge[EDGES_MAX];
};

struct execution {
	const struct path *path[THREADS];
	struct step step[THREADS][OPS_MAX];
	int16_t load[THREADS * OPS_MAX][2];  /* thread, operation */
	int loads, index_loads;		     /* those of the flags come last */
	int16_t taken_by[THREADS][LIST_MAX]; /* waiter, signal of the other: wait, -1: none */
	bool stop, over;
	struct result *result;
};

static const struct op *op_of(const struct execution *x, int thread, int at)
{
	return &x->path[thread]->ops[at];
}

/* Does operation @a of @thread happen before @b of the other? */
static bool before(const struct execution *x, int thread, int a, int b)
{
	return x->step[!thread][b].clock > a;
}

/*
 * Happens-before.
 */

static void edge_add(struct edges *edges, int from, int to)
{
	if (edges->count == EDGES_MAX) {
		fprintf(stderr, "model: EDGES_MAX is too small\n");
		abort();
	}
	edges->edge[edges->count++] = (struct edge){(int16_t)from, (int16_t)to};
}

/* Edges into @thread: a release side of the other thread, an acquire side of this one. */
static void synchronizations(const struct execution *x, int thread, bool all, struct edges *edges)
{
	const struct path *mine = x->path[thread], *theirs = x->path[!thread];

	edges->count = 0;
	for (int n = 0; n < x->loads; n++) {
		int at = x->load[n][1], from = x->step[thread][at].reads, to = at;

		if (x->load[n][0] != thread || from < 0 || x->step[thread][at].reads_from == thread)
			continue;
		if (!theirs->ops[from].ordered && !all)
			from = theirs->fence_before[from];
		if (!mine->ops[at].ordered && !all)
			to = mine->fence_after[at];
		if (from >= 0 && to >= 0)
			edge_add(edges, from, to);
	}
	for (int n = 0; n < theirs->signals.count; n++) {
		int wait = x->taken_by[thread][n];

		if (wait >= 0)
			edge_add(edges, theirs->signals.at[n], wait);
	}
}

/* Set the clocks; false when something would happen before itself. */
static bool happens_before(struct execution *x, bool all)
{
	struct edges edges[THREADS];

	for (int t = 0; t < THREADS; t++) {
		int16_t clock = 0;

		synchronizations(x, t, all, &edges[t]);
		for (int i = 0; i < x->path[t]->count; i++)
			x->step[t][i].clock = 0;
		for (int n = 0; n < edges[t].count; n++) {
			struct edge e = edges[t].edge[n];

			if (x->step[t][e.to].clock <= e.from)
				x->step[t][e.to].clock = (int16_t)(e.from + 1);
		}
		for (int i = 0; i < x->path[t]->count; i++) {
			if (x->step[t][i].clock < clock)
				x->step[t][i].clock = clock;
			clock = x->step[t][i].clock;
		}
	}
	for (int t = 0; t < THREADS; t++)
		for (int n = 0; n < edges[t].count; n++)
			if (x->step[!t][edges[t].edge[n].from].clock > edges[t].edge[n].to)
				return false;
	return true;
}

/*
 * The axioms.
 */

/* a happens before b, on one place: does the modification order agree? */
static bool coherent_pair(const struct execution *x, int thread, int a, int b)
{
	int one = x->step[thread][a].order, two = x->step[!thread][b].order;

	if (op_of(x, !thread, b)->kind == LOAD) /* CoWR and CoRR */
		return one <= two;
	return one < two; /* CoWW and CoRW */
}

static bool coherent(const struct execution *x, int places)
{
	for (int place = 0; place < places; place++)
		for (int t = 0; t < THREADS; t++) {
			const struct list *a = &x->path[t]->on[place];
			const struct list *b = &x->path[!t]->on[place];

			for (int i = 0; i < a->count; i++)
				for (int k = 0; k < b->count; k++)
					if (before(x, t, a->at[i], b->at[k]) &&
					    !coherent_pair(x, t, a->at[i], b->at[k]))
						return false;
		}
	return true;
}

/* Must b (of !thread) come before a (of thread) for what they read and wrote? */
static bool extended_before(const struct execution *x, int thread, int a, int b)
{
	const struct op *first = op_of(x, !thread, b), *second = op_of(x, thread, a);

	if (second->kind == STORE) /* from-read, or modification order */
		return x->step[!thread][b].order < x->step[thread][a].order;
	return first->kind == STORE && x->step[thread][a].reads_from == !thread &&
	       x->step[thread][a].reads == b;
}

/* Edges from fences of the other thread to fences of @thread in the total order. */
static void fence_edges(const struct execution *x, int thread, struct edges *edges)
{
	const struct path *mine = x->path[thread], *theirs = x->path[!thread];

	edges->count = 0;
	for (int place = 0; place < ATOMICS; place++)
		for (int i = 0; i < mine->on[place].count; i++)
			for (int k = 0; k < theirs->on[place].count; k++) {
				int a = mine->on[place].at[i], b = theirs->on[place].at[k];
				int to = mine->fence_after[a], from = theirs->fence_before[b];

				if (to >= 0 && from >= 0 && extended_before(x, thread, a, b))
					edge_add(edges, from, to);
			}
	for (int i = 0; i < mine->count; i++) /* and happens-before */
		if (mine->ops[i].kind == FENCE && x->step[thread][i].clock > 0) {
			int from = x->step[thread][i].clock - 1;

			if (theirs->ops[from].kind != FENCE)
				from = theirs->fence_before[from];
			if (from >= 0)
				edge_add(edges, from, i);
		}
}

static bool fences_have_an_order(const struct execution *x)
{
	struct edges in[THREADS];

	for (int t = 0; t < THREADS; t++)
		fence_edges(x, t, &in[t]);
	for (int i = 0; i < in[0].count; i++)
		for (int k = 0; k < in[1].count; k++)
			if (in[0].edge[i].to <= in[1].edge[k].from &&
			    in[1].edge[k].to <= in[0].edge[i].from)
				return false;
	return true;
}

/*
 * The properties.
 */

#define SAY_MAX 256

/* An access of the producer and one of the consumer, not ordered, one of them a write. */
static void say_unordered(const struct execution *x, int place, int p, int c, char *say)
{
	const struct op *a = op_of(x, PRODUCER, p), *b = op_of(x, CONSUMER, c);
	const struct op *read = a->kind == READ ? a : b, *write = a->kind == READ ? b : a;
	int len = snprintf(say, SAY_MAX, "%s: nothing orders P%d and C%d: ", model_place(place), p,
			   c);

	if (read->kind != READ)
		snprintf(say + len, SAY_MAX - (size_t)len, "either write may be the last");
	else if (read->value == write->value)
		snprintf(say + len, SAY_MAX - (size_t)len, "what was there before %d may be read",
			 write->value);
	else
		snprintf(say + len, SAY_MAX - (size_t)len, "%d may be read, not %d", write->value,
			 read->value);
}

static bool plain_pairs_ordered(const struct execution *x, int place, char *say)
{
	const struct list *a = &x->path[0]->on[place], *b = &x->path[1]->on[place];

	for (int i = 0; i < a->count; i++)
		for (int k = 0; k < b->count; k++) {
			int p = a->at[i], c = b->at[k];

			if (op_of(x, 0, p)->kind == READ && op_of(x, 1, c)->kind == READ)
				continue;
			if (before(x, PRODUCER, p, c) || before(x, CONSUMER, c, p))
				continue;
			say_unordered(x, place, p, c, say);
			return false;
		}
	return true;
}

/* The latest write before a read, over both threads; all of them are ordered. */
static int visible(const struct execution *x, int thread, int at, int place)
{
	const struct list *mine = &x->path[thread]->on[place];
	const struct list *theirs = &x->path[!thread]->on[place];
	int own = -1, other = -1;

	for (int i = 0; i < mine->count && mine->at[i] < at; i++)
		if (op_of(x, thread, mine->at[i])->kind == WRITE)
			own = mine->at[i];
	for (int i = 0; i < theirs->count; i++)
		if (op_of(x, !thread, theirs->at[i])->kind == WRITE &&
		    before(x, !thread, theirs->at[i], at))
			other = theirs->at[i];
	if (own >= 0 && (other < 0 || before(x, !thread, other, own)))
		return op_of(x, thread, own)->value;
	return other >= 0 ? op_of(x, !thread, other)->value : 0;
}

static bool plain_reads_right(const struct execution *x, int thread, int place, char *say)
{
	const struct list *list = &x->path[thread]->on[place];

	for (int i = 0; i < list->count; i++) {
		const struct op *op = op_of(x, thread, list->at[i]);

		if (op->kind != READ || op->value == ANY_VALUE ||
		    visible(x, thread, list->at[i], place) == op->value)
			continue;
		snprintf(say, SAY_MAX, "%s: step %d of the %s reads %d, not %d", model_place(place),
			 list->at[i], thread ? "consumer" : "producer",
			 visible(x, thread, list->at[i], place), op->value);
		return false;
	}
	return true;
}

/* True when all properties hold; otherwise @say says what is wrong. */
static bool properties_hold(const struct execution *x, char *say)
{
	static const char *const name[] = {"producer", "consumer"};

	for (int place = ATOMICS; place < PLACES; place++)
		if (!plain_pairs_ordered(x, place, say) ||
		    !plain_reads_right(x, PRODUCER, place, say) ||
		    !plain_reads_right(x, CONSUMER, place, say))
			return false;
	for (int t = 0; t < THREADS; t++) {
		static const char *const what[] = {
			"", "sleeps for ever, the other has finished, sleeps or polls in vain",
			"sees an index that cannot be: the ring counts as broken",
			"takes fresh packets for recalled ones"};

		if (x->path[t]->ending == DONE || x->path[t]->ending == POLLS)
			continue;
		snprintf(say, SAY_MAX, "the %s %s", name[t], what[x->path[t]->ending]);
		return false;
	}
	return true;
}

/*
 * An example for people.
 */

static void print_op(FILE *out, const struct execution *x, int t, int at)
{
	static const char *const kinds[] = {"load",
					    "store",
					    "fence seq_cst",
					    "signal eventfd",
					    "woken by eventfd",
					    "ASLEEP on eventfd",
					    "read",
					    "write"};
	const struct op *op = op_of(x, t, at);
	const struct step *step = &x->step[t][at];

	fprintf(out, "    %c%-3d %-17s", t ? 'C' : 'P', at, kinds[op->kind]);
	if (op->kind == LOAD || op->kind == STORE || op->kind >= READ)
		fprintf(out, " %-14s = %d", model_place(op->place), op->value);
	if (op->kind == LOAD || op->kind == STORE)
		fprintf(out, "  %s",
			!op->ordered	   ? "relaxed"
			: op->kind == LOAD ? "acquire"
					   : "release");
	if (op->kind == LOAD && step->reads >= 0)
		fprintf(out, "  from %c%d", step->reads_from ? 'C' : 'P', step->reads);
	else if (op->kind == LOAD)
		fprintf(out, "  the initial value");
	fprintf(out, "%s%s\n", op->function ? "  in " : "", op->function ? op->function : "");
}

static void keep_example(struct execution *x, const char *say)
{
	size_t len;
	FILE *out;

	free(x->result->example);
	out = open_memstream(&x->result->example, &len);
	if (!out)
		abort();
	fprintf(out, "    %s%s\n", say,
		x->result->in_order ? "" : " (a load here reads from a later store)");
	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < x->path[t]->count; i++)
			print_op(out, x, t, i);
	fclose(out);
}

static void found(struct execution *x, const char *say)
{
	struct execution copy = *x;
	bool in_order = happens_before(&copy, true); /* program order and reads-from: no cycle */

	x->result->bad++;
	if (!x->result->example || (in_order && !x->result->in_order)) {
		x->result->in_order = in_order;
		keep_example(x, say);
	}
	if (x->stop && in_order)
		x->over = true;
}

static void judge(struct execution *x)
{
	char say[SAY_MAX];

	x->result->candidates++;
	if (!happens_before(x, false) || !coherent(x, ATOMICS) || !fences_have_an_order(x))
		return;
	x->result->executions++;
	if (!properties_hold(x, say))
		found(x, say);
}

/*
 * The choices: modification orders of the flags, signals to waits, stores to loads.
 */

/* Every completed wait takes at least one signal; one that blocks for ever leaves none. */
static void choose_wakeups(struct execution *x, int waiter, int signal, int wait)
{
	const struct list *signals = &x->path[!waiter]->signals;
	const struct list *waits = &x->path[waiter]->waits;
	int16_t *taken_by = x->taken_by[waiter];

	if (x->over)
		return;
	if (signal == signals->count) {
		if (wait < waits->count - 1)
			return; /* a wait without a signal: it would not have returned */
		if (waiter == PRODUCER)
			choose_wakeups(x, CONSUMER, 0, -1);
		else
			judge(x);
		return;
	}
	/* The same wait takes this one too, or the next one does, ... */
	if (wait >= 0) {
		taken_by[signal] = waits->at[wait];
		choose_wakeups(x, waiter, signal + 1, wait);
	}
	if (wait + 1 < waits->count) {
		taken_by[signal] = waits->at[wait + 1];
		choose_wakeups(x, waiter, signal + 1, wait + 1);
	}
	/* ... or this and all later ones are never taken. */
	if (wait + 1 == waits->count && x->path[waiter]->ending != ASLEEP) {
		for (int n = signal; n < signals->count; n++)
			taken_by[n] = -1;
		choose_wakeups(x, waiter, signals->count, wait);
	}
}

/* Program order on one place (5.1.2.4 p15-18 within a thread). */
static bool fits_own_accesses(const struct execution *x, int t, int at, int order)
{
	const struct list *list = &x->path[t]->on[op_of(x, t, at)->place];

	for (int i = 0; i < list->count; i++) {
		int other = list->at[i];

		if (other < at && x->step[t][other].order > order)
			return false;
		if (other > at && op_of(x, t, other)->kind == STORE &&
		    x->step[t][other].order <= order)
			return false;
	}
	return true;
}

static void choose_order(struct execution *x, int place, int done, const int from[THREADS]);
static void choose_reads(struct execution *x, int n, bool flags);

static const int start[THREADS];

/*
 * Indices and recall come before the flags. What the flags add makes happens-before
 * only larger, so a choice that breaks an axiom already is given up here.
 */
static bool indices_allowed(struct execution *x)
{
	for (int n = x->index_loads; n < x->loads; n++)
		x->step[x->load[n][0]][x->load[n][1]].reads = -1;
	memset(x->taken_by, -1, sizeof(x->taken_by));
	if (!happens_before(x, false) || !coherent(x, PRODUCER_SLEEP))
		return false;
	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < x->path[t]->count; i++)
			x->step[t][i].floor = x->step[t][i].clock;
	return true;
}

/* By what the indices order alone: does operation @a of @thread happen before @b of the other? */
static bool surely_before(const struct execution *x, int thread, int a, int b)
{
	return x->step[!thread][b].floor > a;
}

/* May this load read at @order of the flag's modification order? */
static bool fits_indices(const struct execution *x, int t, int at, int order)
{
	const struct list *list = &x->path[!t]->on[op_of(x, t, at)->place];

	for (int i = 0; i < list->count; i++) {
		int other = list->at[i];

		if (op_of(x, !t, other)->kind != STORE)
			continue;
		if (surely_before(x, !t, other, at) && x->step[!t][other].order > order)
			return false;
		if (surely_before(x, t, at, other) && x->step[!t][other].order <= order)
			return false;
	}
	return true;
}

static void set_reads(struct step *step, int reads, int from, int order)
{
	step->reads = (int16_t)reads;
	step->reads_from = (int16_t)from;
	step->order = (int16_t)order;
}

static void after_reads(struct execution *x, int n, bool flags)
{
	if (n < (flags ? x->loads : x->index_loads))
		choose_reads(x, n, flags);
	else if (flags)
		choose_wakeups(x, PRODUCER, 0, -1);
	else if (indices_allowed(x))
		choose_order(x, PRODUCER_SLEEP, 0, start);
}

static void after_order(struct execution *x, int place)
{
	if (place == PRODUCER_SLEEP)
		after_reads(x, 0, false);
	else if (place == ATOMICS)
		after_reads(x, x->index_loads, true);
	else
		choose_order(x, place, 0, start);
}

static void choose_reads(struct execution *x, int n, bool flags)
{
	int t = x->load[n][0], at = x->load[n][1];

	for (int from = 0; from < THREADS && !x->over; from++) {
		const struct list *list = &x->path[from]->on[op_of(x, t, at)->place];

		for (int i = 0; i < list->count; i++) {
			const struct op *op = op_of(x, from, list->at[i]);
			int16_t order = x->step[from][list->at[i]].order;

			if (op->kind != STORE || op->value != op_of(x, t, at)->value ||
			    !fits_own_accesses(x, t, at, order) ||
			    (flags && !fits_indices(x, t, at, order)))
				continue;
			set_reads(&x->step[t][at], list->at[i], from, order);
			after_reads(x, n + 1, flags);
		}
	}
	if (op_of(x, t, at)->value == 0 && fits_own_accesses(x, t, at, 0) &&
	    (!flags || fits_indices(x, t, at, 0))) {
		set_reads(&x->step[t][at], -1, 0, 0);
		after_reads(x, n + 1, flags);
	}
}

/* The first store of @list at or behind @n. */
static int next_store(const struct path *path, const struct list *list, int n)
{
	while (n < list->count && path->ops[list->at[n]].kind != STORE)
		n++;
	return n;
}

/* Merge the two threads' stores to a place in every way that the indices allow. */
static void choose_order(struct execution *x, int place, int done, const int from[THREADS])
{
	const struct list *list[THREADS] = {&x->path[0]->on[place], &x->path[1]->on[place]};
	int n[THREADS] = {next_store(x->path[0], list[0], from[0]),
			  next_store(x->path[1], list[1], from[1])};
	bool more[THREADS] = {n[0] < list[0]->count, n[1] < list[1]->count};

	if (x->over)
		return;
	if (!more[0] && !more[1])
		after_order(x, place + 1);
	for (int t = 0; t < THREADS; t++) {
		int next[THREADS] = {n[0], n[1]};

		if (!more[t] || (more[!t] && place >= PRODUCER_SLEEP &&
				 surely_before(x, !t, list[!t]->at[n[!t]], list[t]->at[n[t]])))
			continue;
		x->step[t][list[t]->at[n[t]]].order = (int16_t)(done + 1);
		next[t]++;
		choose_order(x, place, done + 1, next);
	}
}

static uint8_t last_value(const struct path *path, int place, enum kind kind)
{
	uint8_t value = 0;

	for (int i = 0; i < path->on[place].count; i++)
		if (path->ops[path->on[place].at[i]].kind == kind)
			value = path->ops[path->on[place].at[i]].value;
	return value;
}

/*
 * Who polls sees the last value in the end (7.17.3 p16), so it polls in vain only
 * when it did, and when the other side sleeps.
 */
static bool polls_in_vain(const struct path *poller, const struct path *other)
{
	for (int place = END; place <= RECALL; place++)
		if (other->stores[place] &&
		    last_value(poller, place, LOAD) != last_value(other, place, STORE))
			return false;
	return other->ending == ASLEEP;
}

/* Is there a store for every value that was assumed, a signal for every wait? */
static bool fit(const struct path *p, const struct path *c)
{
	for (int place = 0; place < ATOMICS; place++)
		if ((p->loads[place] | c->loads[place]) &
		    ~(p->stores[place] | c->stores[place] | 1))
			return false;
	if ((p->ending == POLLS && !polls_in_vain(p, c)) ||
	    (c->ending == POLLS && !polls_in_vain(c, p)))
		return false;
	return p->waits.count <= c->signals.count && c->waits.count <= p->signals.count;
}

static void add_loads(struct execution *x, bool flags)
{
	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < x->path[t]->count; i++) {
			const struct op *op = op_of(x, t, i);

			if (op->kind != LOAD || (op->place >= PRODUCER_SLEEP) != flags)
				continue;
			x->load[x->loads][0] = (int16_t)t;
			x->load[x->loads++][1] = (int16_t)i;
		}
}

static void explore_pair(const struct path *p, const struct path *c, bool stop,
			 struct result *result)
{
	static struct execution x;

	x = (struct execution){.path = {p, c}, .stop = stop, .result = result};
	add_loads(&x, false);
	x.index_loads = x.loads;
	add_loads(&x, true);
	result->pairs++;
	choose_order(&x, 0, 0, start);
}

void explore(const struct paths paths[THREADS], bool stop, struct result *result)
{
	for (int p = 0; p < paths[PRODUCER].count; p++)
		for (int c = 0; c < paths[CONSUMER].count; c++) {
			if (stop && result->in_order && result->bad)
				return;
			if (fit(&paths[PRODUCER].path[p], &paths[CONSUMER].path[c]))
				explore_pair(&paths[PRODUCER].path[p], &paths[CONSUMER].path[c],
					     stop, result);
		}
}
