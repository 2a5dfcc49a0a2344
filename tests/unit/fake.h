/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port that a test scripts: a source that counts its buffers, and a sink that may be
 * synchronous, hold packets in flight, finish them out of order, refuse, or go away. It
 * watches the link's side of the contract and remembers the first breach.
 */
#ifndef SL_TESTS_FAKE_H
#define SL_TESTS_FAKE_H

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sluice/consumer.h>
#include <sluice/port.h>
#include <sluice/producer.h>

#include "base/bytes.h"
#include "base/count.h"
#include "base/fd.h"
#include "base/reason.h"

#define FAKE_QUEUES  16
#define FAKE_BUFFERS 512
#define FAKE_STRIDE  256 /* a buffer, headroom and tailroom included */
#define FAKE_ROOM    64
#define FAKE_HELD    64
#define FAKE_BURST   32
#define FAKE_MANY    (UINT64_C(1) << 60)

#define get(p)	     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define set(p, v)    __atomic_store_n((p), (v), __ATOMIC_RELEASE)

enum sink_mode {
	SINK_SYNC,
	SINK_ASYNC, /* finishes out of order, a part of what it holds each time */
};

struct fake_queue {
	/* The source; the rx side's thread. */
	struct sl_ring *rx_ring;
	uint8_t *memory;
	uint16_t free[FAKE_BUFFERS];
	unsigned n_free;
	bool lent[FAKE_BUFFERS];
	uint64_t given;
	uint64_t rx_calls;
	bool recalling;
	uint64_t random_rx;
	/* The sink; the tx side's thread. */
	uint64_t random_tx;
	struct {
		struct sl_ring *ring; /* several rings may end at one queue */
		uint32_t at;
	} held[FAKE_HELD];
	unsigned n_held;
	uint64_t got;	/* packets it has taken; any thread may read */
	uint64_t taken; /* packets it has finished; the same */
	uint64_t tx_calls;
	uint64_t seen[FAKE_QUEUES]; /* the next sequence number from a source's queue, at least */
	/* One end is the port's: readable when the test gives, writable when it takes. */
	int fd[2];
	uint32_t asked; /* a bit for each combination of directions that fd() was asked for */
	struct sl_counters count;
};

struct fake {
	struct sl_port port;
	struct sl_port_ops ops;
	struct sl_port_info info;
	struct sl_region region;
	/* The script; any thread may change it. */
	uint64_t budget;  /* packets a queue gives in all */
	uint32_t ends;	  /* -ENODATA behind the budget */
	uint32_t mode;	  /* enum sink_mode */
	uint32_t blocked; /* takes nothing */
	uint32_t holding; /* finishes nothing */
	uint32_t gone_rx, gone_tx, gone_control;
	uint32_t back;	      /* control() attaches again */
	uint32_t away;	      /* control() reports attached 0 */
	uint32_t want_recall; /* queue 0 raises it */
	uint32_t recalls;     /* and that many were answered */
	uint32_t new_emits, new_accepts, change;
	/* What happened. */
	const char *breach; /* the first */
	uint32_t stops, closes, joins, controls;
	uint64_t surplus; /* finished out of order when it was stopped: counted as lost as well */
	uint32_t stopped; /* stop() was called, or it waits for its peer */
	uint32_t added, deleted;
	int declines; /* what region_add() returns */
	uint32_t *closed_out;
	int control_event;
	/* Of the packets: how the source makes them and the sink looks at them. */
	void (*make)(struct fake *f, unsigned q, uint64_t seq, uint8_t *at, struct sl_ring *ring,
		     uint32_t entry);
	bool (*look)(struct fake *f, unsigned q, struct sl_ring *ring, uint32_t entry, bool first);
	struct fake_queue queues[FAKE_QUEUES];
};

static inline struct fake *fake_of(const struct sl_port *port)
{
	return (struct fake *)(uintptr_t)port;
}

static inline void breach(struct fake *f, const char *what)
{
	const char *none = NULL;

	__atomic_compare_exchange_n(&f->breach, &none, what, false, __ATOMIC_ACQ_REL,
				    __ATOMIC_RELAXED);
}

static inline uint64_t fake_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	return z ^ (z >> 31);
}

/*
 * Packets: a queue, a sequence number, and bytes that follow from them.
 */

struct fake_head {
	uint32_t magic;
	uint32_t queue;
	uint64_t seq;
};

#define FAKE_MAGIC 0x5ca1ab1eu

static inline uint32_t fake_len(uint64_t seq)
{
	return (uint32_t)(sizeof(struct fake_head) + seq % 80);
}

static inline uint8_t fake_byte(uint32_t queue, uint64_t seq, uint32_t n)
{
	return (uint8_t)(seq * 31 + queue * 7 + n);
}

/* One to three fragments. */
static inline void fake_make(struct fake *f, unsigned q, uint64_t seq, uint8_t *at,
			     struct sl_ring *ring, uint32_t entry)
{
	struct fake_head head = {FAKE_MAGIC, q, seq};
	uint32_t len = fake_len(seq), cut = seq % 3 ? len / 3 : len, rest = len - cut;
	struct sl_frag frags[3] = {{at + FAKE_ROOM, cut, 0, 0},
				   {at + FAKE_ROOM + cut, rest / 2, 0, 0},
				   {at + FAKE_ROOM + cut + rest / 2, rest - rest / 2, 0, 0}};

	memcpy(at + FAKE_ROOM, &head, sizeof(head));
	for (uint32_t n = sizeof(head); n < len; n++)
		at[FAKE_ROOM + n] = fake_byte(q, seq, n);
	if (sl_ring_chain(ring, entry, frags, rest ? 3 : 1))
		breach(f, "sl_ring_chain() failed");
}

static inline uint32_t fake_flatten(const struct sl_ring *ring, uint32_t entry, uint8_t *to,
				    uint32_t max)
{
	struct sl_packet *packet = sl_ring_packet(ring, entry);
	uint32_t len = 0;

	for (uint32_t n = 0; n <= packet->more; n++) {
		const struct sl_frag *frag = sl_ring_frag(ring, packet, n);

		if (frag->len > max - len)
			return UINT32_MAX;
		memcpy(to + len, frag->addr, frag->len);
		len += frag->len;
	}
	return len;
}

/* Looked at when taken, and once more before it is finished: it is lent until then. */
static inline bool fake_look(struct fake *f, unsigned q, struct sl_ring *ring, uint32_t entry,
			     bool first)
{
	uint8_t bytes[FAKE_STRIDE];
	uint32_t len = fake_flatten(ring, entry, bytes, sizeof(bytes));
	struct fake_head head;

	memcpy(&head, bytes, sizeof(head));
	if (len > sizeof(bytes) || head.magic != FAKE_MAGIC || head.queue >= FAKE_QUEUES ||
	    len != fake_len(head.seq))
		return false;
	for (uint32_t n = sizeof(head); n < len; n++)
		if (bytes[n] != fake_byte(head.queue, head.seq, n))
			return false;
	if (first && head.seq < f->queues[q].seen[head.queue])
		return false;
	if (first)
		f->queues[q].seen[head.queue] = head.seq + 1;
	return true;
}

/*
 * The source.
 */

static inline void fake_reclaim(struct fake *f, struct fake_queue *queue, struct sl_ring *ring)
{
	uint32_t at, n = sl_ring_returned(ring, &at);

	for (uint32_t i = 0; i < n; i++) {
		uint64_t cookie = sl_ring_packet(ring, at + i)->cookie;

		if (cookie >= FAKE_BUFFERS || !queue->lent[cookie]) {
			breach(f, "a buffer came back that was not lent");
			continue;
		}
		queue->lent[cookie] = false;
		memset(queue->memory + cookie * FAKE_STRIDE, 0xdd, FAKE_STRIDE);
		queue->free[queue->n_free++] = (uint16_t)cookie;
	}
	sl_ring_reclaim(ring, n);
}

static inline int fake_give(struct fake *f, unsigned q, struct sl_ring *ring)
{
	struct fake_queue *queue = &f->queues[q];
	uint64_t left = get(&f->budget) > queue->given ? get(&f->budget) - queue->given : 0;
	uint32_t at, n = sl_ring_room(ring, &at), posted = 0;

	n = n < queue->n_free ? n : queue->n_free;
	n = n < FAKE_BURST ? n : FAKE_BURST;
	for (; posted < n && posted < left && sl_ring_frag_room(ring) >= 3; posted++) {
		uint16_t buffer = queue->free[--queue->n_free];
		struct sl_packet *packet = sl_ring_packet(ring, at + posted);

		*packet = (struct sl_packet){
			.cookie = buffer,
			.headroom = FAKE_ROOM,
			.flags = SL_PACKET_WRITABLE,
		};
		f->make(f, q, queue->given + posted, queue->memory + buffer * FAKE_STRIDE, ring,
			at + posted);
		queue->lent[buffer] = true;
		sl_count_add(&queue->count.rx.bytes, sl_ring_packet_len(ring, packet));
	}
	sl_ring_post(ring, posted);
	set(&queue->given, queue->given + posted);
	sl_count_add(&queue->count.rx.packets, posted);
	return (int)posted;
}

/* Returns true while a recall is on. */
static inline bool fake_recall(struct fake *f, struct fake_queue *queue, struct sl_ring *ring)
{
	if (queue == f->queues && get(&f->want_recall) && !queue->recalling) {
		set(&f->want_recall, 0);
		sl_ring_recall(ring);
		sl_ring_wake_consumer(ring);
		queue->recalling = true;
	}
	if (!queue->recalling || !sl_ring_recall_done(ring))
		return queue->recalling;
	fake_reclaim(f, queue, ring);
	if (queue->n_free != FAKE_BUFFERS)
		breach(f, "a recall is done with buffers still lent");
	queue->recalling = false;
	__atomic_add_fetch(&f->recalls, 1, __ATOMIC_ACQ_REL);
	return false;
}

static inline int fake_rx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct fake *f = fake_of(port);
	struct fake_queue *queue = &f->queues[q];
	char byte[64];
	int n;

	set(&queue->rx_calls, queue->rx_calls + 1);
	queue->rx_ring = ring;
	if (get(&f->stopped))
		breach(f, "rx() of a port that is away");
	if (get(&f->gone_rx))
		return sl_fail(ENODEV, "the fake was unplugged (rx)");
	fake_reclaim(f, queue, ring);
	if (fake_recall(f, queue, ring))
		return 0;
	n = fake_give(f, q, ring);
	if (n)
		return n;
	if (queue->given >= get(&f->budget) && get(&f->ends))
		return -ENODATA;
	while (recv(queue->fd[0], byte, sizeof(byte), MSG_DONTWAIT) > 0)
		;
	/* A budget that was raised in between: its byte may be the one just read. */
	return fake_give(f, q, ring);
}

/*
 * The sink.
 */

static inline void fake_finish(struct fake *f, unsigned q, struct sl_ring *ring, uint32_t at)
{
	struct fake_queue *queue = &f->queues[q];

	if (!f->look(f, q, ring, at, false))
		breach(f, "a lent packet changed in flight");
	sl_count_add(&queue->count.tx.packets, 1);
	sl_count_add(&queue->count.tx.bytes, sl_ring_packet_len(ring, sl_ring_packet(ring, at)));
	sl_ring_done(ring, at);
	set(&queue->taken, queue->taken + 1);
}

/* Finish about a half of what is held of this ring, in any order; all when it is recalled. */
static inline int fake_complete(struct fake *f, unsigned q, struct sl_ring *ring)
{
	struct fake_queue *queue = &f->queues[q];
	bool all = sl_ring_recalled(ring);
	int did = 0;

	if (get(&f->holding))
		return 0;
	for (unsigned i = 0; i < queue->n_held;) {
		uint32_t at = queue->held[i].at;

		if (queue->held[i].ring != ring ||
		    (did && !all && fake_random(&queue->random_tx) & 1)) {
			i++;
			continue;
		}
		queue->held[i] = queue->held[--queue->n_held];
		fake_finish(f, q, ring, at);
		did++;
	}
	return did;
}

static inline int fake_take(struct fake *f, unsigned q, struct sl_ring *ring)
{
	struct fake_queue *queue = &f->queues[q];
	uint32_t at, n = sl_ring_ready(ring, &at);
	uint32_t room = get(&f->mode) == SINK_SYNC ? FAKE_BURST : FAKE_HELD - queue->n_held;

	n = get(&f->blocked) ? 0 : n < room ? n : room;
	for (uint32_t i = 0; i < n; i++) {
		sl_ring_take(ring, 1);
		set(&queue->got, queue->got + 1);
		if (!f->look(f, q, ring, at + i, true))
			breach(f, "a packet has the wrong content or order");
		if (get(&f->mode) == SINK_SYNC)
			fake_finish(f, q, ring, at + i);
		else
			queue->held[queue->n_held++] = (typeof(*queue->held)){ring, at + i};
	}
	return (int)n;
}

static inline int fake_tx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct fake *f = fake_of(port);
	struct fake_queue *queue = &f->queues[q];
	int did;

	set(&queue->tx_calls, queue->tx_calls + 1);
	if (get(&f->stopped))
		breach(f, "tx() of a port that is away");
	if (get(&f->gone_tx))
		return sl_fail(ENODEV, "the fake was unplugged (tx)");
	did = fake_complete(f, q, ring);
	return did + fake_take(f, q, ring);
}

/*
 * The rest of the ops.
 */

static inline int fake_fd(struct sl_port *port, unsigned q, unsigned dirs)
{
	__atomic_or_fetch(&fake_of(port)->queues[q].asked, 1u << dirs, __ATOMIC_ACQ_REL);
	return fake_of(port)->queues[q].fd[0];
}

static inline int fake_arm(struct sl_port *port, unsigned q, unsigned want)
{
	struct fake *f = fake_of(port);
	int events = 0;

	if (!(get(&f->queues[q].asked) & (1u << want | 1u << (SL_PORT_RX | SL_PORT_TX))))
		breach(f, "arm() of a direction that fd() was not asked for");
	if (want & SL_PORT_RX && (get(&f->budget) > get(&f->queues[q].given) || get(&f->gone_rx)))
		return SL_PORT_READY;
	events |= want & SL_PORT_RX ? POLLIN : 0;
	return events | (want & SL_PORT_TX ? POLLOUT : 0);
}

static inline void fake_info(const struct sl_port *port, struct sl_port_info *info)
{
	*info = fake_of(port)->info;
}

static inline int fake_join(struct sl_port *port, const struct sl_port_info *other)
{
	(void)other;
	fake_of(port)->joins++;
	return 0;
}

static inline int fake_region_add(struct sl_port *port, const struct sl_region *r)
{
	struct fake *f = fake_of(port);

	/* What it declines are others' regions; a fitting's own, 0xff00 and up, it takes. */
	if (f->declines && r->id < 0xff00)
		return f->declines;
	__atomic_add_fetch(&f->added, 1, __ATOMIC_ACQ_REL);
	return 0;
}

static inline void fake_region_del(struct sl_port *port, const struct sl_region *r)
{
	(void)r;
	__atomic_add_fetch(&fake_of(port)->deleted, 1, __ATOMIC_ACQ_REL);
}

static inline int fake_control_fd(struct sl_port *port)
{
	return fake_of(port)->control_event;
}

static inline int fake_control(struct sl_port *port, uint64_t now_ns)
{
	struct fake *f = fake_of(port);

	(void)now_ns;
	sl_event_clear(f->control_event);
	__atomic_add_fetch(&f->controls, 1, __ATOMIC_ACQ_REL);
	if (get(&f->gone_control) && !get(&f->stopped))
		return sl_fail(ENODEV, "the fake was unplugged (control)");
	if (get(&f->away)) {
		set(&f->away, 0);
		f->info.attached = 0;
		f->info.generation++;
		return 1;
	}
	if (get(&f->stopped) && get(&f->back)) {
		set(&f->back, 0);
		set(&f->gone_rx, 0);
		set(&f->gone_tx, 0);
		set(&f->gone_control, 0);
		set(&f->stopped, 0);
		f->info.attached = 1;
		f->info.generation++;
		return 1;
	}
	if (get(&f->change)) {
		f->info.emits = get(&f->new_emits);
		f->info.accepts = get(&f->new_accepts);
		f->info.generation++;
		set(&f->change, 0);
		return 1;
	}
	return 0;
}

static inline uint64_t fake_deadline(const struct sl_port *port)
{
	/* A recall is wanted now, whether there is anything to receive or not. */
	return get(&fake_of(port)->want_recall) && !get(&fake_of(port)->stopped) ? 0 : SL_NEVER;
}

/* What it holds is nobody's. The link, which sees entries in order only, will count as lost
 * what was finished behind the first of them. */
static inline void fake_let_go(struct fake *f, struct fake_queue *queue)
{
	uint64_t surplus = 0;

	for (unsigned i = 0; i < queue->n_held; i++) {
		bool seen = false;

		for (unsigned before = 0; before < i; before++)
			seen |= queue->held[before].ring == queue->held[i].ring;
		surplus += seen ? 0 : sl_ring_in_flight(queue->held[i].ring);
	}
	set(&f->surplus, f->surplus + surplus - queue->n_held);
	queue->n_held = 0;
}

static inline void fake_stop(struct sl_port *port)
{
	struct fake *f = fake_of(port);

	if (get(&f->stopped))
		breach(f, "stop() of a port that is away");
	f->info.attached = 0;
	for (unsigned q = 0; q < f->info.queues; q++)
		fake_let_go(f, &f->queues[q]);
	__atomic_add_fetch(&f->stops, 1, __ATOMIC_ACQ_REL);
	set(&f->stopped, 1); /* the last: tests wait for it, and then count the others */
}

static inline void fake_stats(const struct sl_port *port, unsigned q, struct sl_counters *c)
{
	const struct fake *f = fake_of(port);

	sl_count_sum(&c->rx, &f->queues[q].count.rx);
	sl_count_sum(&c->tx, &f->queues[q].count.tx);
}

static inline void fake_free(struct fake *f)
{
	for (unsigned q = 0; q < FAKE_QUEUES; q++) {
		sl_fd_close(&f->queues[q].fd[0]);
		sl_fd_close(&f->queues[q].fd[1]);
	}
	sl_fd_close(&f->control_event);
	free(f->region.base);
	free(f);
}

static inline void fake_close(struct sl_port *port)
{
	struct fake *f = fake_of(port);

	if (!get(&f->stopped))
		breach(f, "close() before stop()");
	if (f->breach)
		fprintf(stderr, "fake: %s\n", f->breach);
	if (f->closed_out)
		*f->closed_out += f->breach ? 1000 : 1;
	fake_free(f);
}

static inline void fake_open_queue(struct fake *f, unsigned q)
{
	struct fake_queue *queue = &f->queues[q];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, queue->fd))
		abort();
	queue->memory = (uint8_t *)f->region.base + (size_t)q * FAKE_BUFFERS * FAKE_STRIDE;
	queue->random_tx = queue->random_rx = q + 1;
	for (unsigned n = 0; n < FAKE_BUFFERS; n++)
		queue->free[queue->n_free++] = (uint16_t)n;
}

/* A port that emits and takes, of @queues queues, with nothing to give yet. */
static inline struct fake *fake_new(const char *kind, unsigned queues)
{
	struct fake *f = calloc(1, sizeof(*f));
	size_t len = (size_t)queues * FAKE_BUFFERS * FAKE_STRIDE;

	if (!f)
		abort();
	f->ops = (struct sl_port_ops){
		.size = sizeof(f->ops),
		.kind = kind,
		.info = fake_info,
		.join = fake_join,
		.rx = fake_rx,
		.tx = fake_tx,
		.fd = fake_fd,
		.arm = fake_arm,
		.control_fd = fake_control_fd,
		.control = fake_control,
		.deadline = fake_deadline,
		.stop = fake_stop,
		.stats = fake_stats,
		.close = fake_close,
	};
	f->port.ops = &f->ops;
	f->make = fake_make;
	f->look = fake_look;
	f->region = (struct sl_region){malloc(len), len, -1, 0, SL_REGION_READ, 0};
	f->control_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (unsigned q = 0; q < FAKE_QUEUES; q++)
		f->queues[q].fd[0] = f->queues[q].fd[1] = -1;
	for (unsigned q = 0; q < queues; q++)
		fake_open_queue(f, q);
	f->info = (struct sl_port_info){
		.layer = 2,
		.queues = queues,
		.mtu = 1500,
		.dirs = SL_PORT_RX | SL_PORT_TX,
		.attached = 1,
		.regions = &f->region,
		.n_regions = 1,
		.generation = 1,
	};
	return f;
}

/*
 * What a test does to it, from any thread.
 */

static inline void fake_poke(struct fake *f)
{
	sl_event_signal(f->control_event);
}

/* Let every queue give up to @budget packets in all. */
static inline void fake_offer(struct fake *f, uint64_t budget)
{
	set(&f->budget, budget);
	for (unsigned q = 0; q < f->info.queues; q++)
		if (send(f->queues[q].fd[1], "x", 1, MSG_DONTWAIT) < 0 && errno != EAGAIN)
			abort();
}

static inline void fake_writable(struct fake *f, bool writable)
{
	char bytes[4096] = {0};

	for (unsigned q = 0; q < f->info.queues; q++) {
		if (writable)
			while (recv(f->queues[q].fd[1], bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
				;
		else
			while (send(f->queues[q].fd[0], bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
				;
	}
}

/* Let it take nothing, or go on. */
static inline void fake_block(struct fake *f, bool block)
{
	set(&f->blocked, block);
	fake_writable(f, !block && !get(&f->holding));
}

/* Let it finish nothing, or go on. */
static inline void fake_hold(struct fake *f, bool hold)
{
	set(&f->holding, hold);
	fake_writable(f, !hold && !get(&f->blocked));
}

static inline uint64_t fake_given(const struct fake *f)
{
	uint64_t n = 0;

	for (unsigned q = 0; q < f->info.queues; q++)
		n += get(&f->queues[q].given);
	return n;
}

static inline uint64_t fake_got(const struct fake *f)
{
	uint64_t n = 0;

	for (unsigned q = 0; q < f->info.queues; q++)
		n += get(&f->queues[q].got);
	return n;
}

static inline uint64_t fake_taken(const struct fake *f)
{
	uint64_t n = 0;

	for (unsigned q = 0; q < f->info.queues; q++)
		n += get(&f->queues[q].taken);
	return n;
}

/* After sl_link_stop(): does every buffer lie in its ring's returned part, or with us? */
static inline bool fake_all_back(struct fake *f)
{
	for (unsigned q = 0; q < f->info.queues; q++) {
		if (f->queues[q].rx_ring)
			fake_reclaim(f, &f->queues[q], f->queues[q].rx_ring);
		if (f->queues[q].n_free != FAKE_BUFFERS)
			return false;
	}
	return true;
}

#endif
