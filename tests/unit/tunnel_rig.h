/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two tunnels in one process with a session between them, over real sockets on the loopback
 * interface, and a ring at each of their four mouths. One thread steps everything. Link with
 * --wrap=sendmmsg and --wrap=sendmsg: a kernel that is in the way as told stands before the real
 * one.
 */
#ifndef SL_TESTS_TUNNEL_RIG_H
#define SL_TESTS_TUNNEL_RIG_H

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tunnel_traffic.h"

#include <sluice/identity.h>
#include <sluice/reason.h>

#include "base/clock.h"
#include "tunnel/data.h"
#include "tunnel/tunnel_private.h"

#define RIG_ENTRIES 256
#define RIG_BUDGET  150000 /* bytes a round: no more than a small receive buffer holds */

/*
 * The kernel in the way.
 */

static struct {
	uint64_t random;
	long budget;		       /* bytes until it is busy */
	long left;		       /* calls that it lets through, then it is busy; -1: any */
	unsigned busy, refuse, broken; /* per cent: EAGAIN, EMSGSIZE for trains, an error */
	bool no_trains;
	unsigned sent;
} wire = {.budget = RIG_BUDGET, .left = -1};

static int wire_says(const struct msghdr *hdr)
{
	static const int errors[] = {ENOBUFS, EIO, ENETUNREACH, EPERM};
	bool train = hdr->msg_controllen;
	long bytes = 1500;

	for (size_t i = 0; i < hdr->msg_iovlen; i++)
		bytes += (long)hdr->msg_iov[i].iov_len;
	if (wire.budget <= 0 || !wire.left || random_in(&wire.random, 0, 99) < wire.busy)
		return EAGAIN;
	if (train && wire.no_trains)
		return EIO;
	if (train && random_in(&wire.random, 0, 99) < wire.refuse)
		return EMSGSIZE;
	if (random_in(&wire.random, 0, 99) < wire.broken)
		return errors[random_in(&wire.random, 0, 3)];
	wire.budget -= bytes;
	wire.left -= wire.left > 0;
	wire.sent++;
	return 0;
}

ssize_t __real_sendmsg(int fd, const struct msghdr *hdr, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *hdr, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *hdr, int flags)
{
	errno = wire_says(hdr);
	return errno ? -1 : __real_sendmsg(fd, hdr, flags);
}

int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	for (unsigned i = 0; i < n; i++)
		if (__wrap_sendmsg(fd, &msgs[i].msg_hdr, flags) < 0)
			return i ? (int)i : -1;
	return (int)n;
}

/*
 * The rig.
 */

/* Memory lent to a tunnel. */
struct piece {
	uint8_t *base, *addr;
	size_t size; /* of the mapping, 0: it is none */
	uint32_t len, room;
};

struct loan {
	bool writable;
	unsigned n;
	struct piece pieces[SL_PACKET_FRAGS_MAX];
	uint8_t *was;
};

/**
 * struct end - one tunnel
 * @in:      the test's to produce, the tunnel sends it; @out: what it received
 * @at:      the oldest entry of @in that is lent
 * @flying:  entries of @out that the test has not given back, and a sum of their bytes
 * @sent:    packets given to this tunnel, as on a wire; @got: what it received, likewise
 * @arrived: how many of them, ever
 */
struct end {
	struct sl_port *port;
	struct tunnel *t;
	struct sl_ring *in, *out;
	struct loan loans[RIG_ENTRIES];
	uint32_t at, posted;
	unsigned n_flying;
	struct {
		uint32_t at;
		uint64_t sum;
	} flying[RIG_ENTRIES];
	struct list sent, got;
	uint64_t arrived, supers;
};

/**
 * struct rig - both
 * @guarded: lent memory has forbidden pages around it, and is read-only when it is not writable
 * @plain:   it is one piece, read-only
 * @lazy:    what is received is given back late and in any order
 */
struct rig {
	uint64_t random;
	unsigned layer;
	bool guarded, plain, lazy;
	long budget;
	struct end ends[2];
};

struct rig_config {
	unsigned layer;
	bool ipv6, merges;
	const char *cipher;
	uint32_t out; /* entries of the receiving rings, of few fragments; 0: RIG_ENTRIES, many */
};

static char rig_dirs[2][48], rig_prints[2][SL_FINGERPRINT_SIZE];

static inline int rig_setup(void **state)
{
	static char top[] = "/tmp/tunnel_rig-XXXXXX";

	(void)state;
	if (!*rig_dirs[0] && !mkdtemp(top))
		return -1;
	for (unsigned n = 0; n < 2; n++) {
		snprintf(rig_dirs[n], sizeof(rig_dirs[n]), "%s/%u", top, n);
		if (sl_identity_generate(rig_dirs[n], rig_prints[n]))
			return -1;
	}
	return 0;
}

static inline int rig_teardown(void **state)
{
	char path[128];

	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		snprintf(path, sizeof(path), "%s/key.pem", rig_dirs[n]);
		unlink(path);
		snprintf(path, sizeof(path), "%s/cert.pem", rig_dirs[n]);
		unlink(path);
		rmdir(rig_dirs[n]);
	}
	*strrchr(rig_dirs[0], '/') = 0;
	return rmdir(rig_dirs[0]);
}

static inline uint64_t rig_seed(uint64_t otherwise)
{
	const char *text = getenv("SEED");

	seed = text ? strtoull(text, NULL, 0) : otherwise;
	return seed;
}

/* A port that was free just now; 0: this machine has no such address. */
static inline unsigned free_port(bool ipv6)
{
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	void *address = ipv6 ? (void *)&a6 : &a4;
	socklen_t len = ipv6 ? sizeof(a6) : sizeof(a4);
	int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
	bool good = fd >= 0 && !bind(fd, address, len) && !getsockname(fd, address, &len);

	if (fd >= 0)
		close(fd);
	return good ? ntohs(ipv6 ? a6.sin6_port : a4.sin_port) : 0;
}

static inline void open_end(struct rig *r, unsigned n, unsigned port, const struct rig_config *c)
{
	const char *host = c->ipv6 ? "[::1]" : "127.0.0.1";
	const struct sl_port_info sink = {
		.accepts = c->merges ? SL_CAN_CSUM | SL_CAN_TSO4 | SL_CAN_TSO6 | SL_CAN_USO : 0};
	const struct sl_ring_config in = {RIG_ENTRIES, 4096, -1, -1};
	const struct sl_ring_config out = {c->out ? c->out : RIG_ENTRIES, c->out ? 64 : 4096, -1,
					   -1};
	struct end *e = &r->ends[n];
	char spec[768], remote[64];

	snprintf(remote, sizeof(remote), ",remote=%s:%u", host, port);
	snprintf(spec, sizeof(spec),
		 "tunnel:local=%s:%u%s,identity=%s,peer=%s,role=%s,cipher=%s,layer=%u,mss=0,ping=0,"
		 "ping-restart=0,reneg=0",
		 host, n ? 0 : port, n ? remote : "", rig_dirs[n], rig_prints[!n],
		 n ? "client" : "server", c->cipher ? c->cipher : "aes-256-gcm", c->layer);
	if (sl_port_open(spec, NULL, &e->port))
		fail_msg("%s: %s", spec, sl_reason());
	e->t = tunnel_of(e->port);
	e->port->ops->join(e->port, &sink);
	assert_int_equal(sl_ring_create(&in, &e->in), 0);
	assert_int_equal(sl_ring_create(&out, &e->out), 0);
}

static inline void rig_wait(struct rig *r)
{
	struct pollfd fds[2];

	for (unsigned n = 0; n < 2; n++)
		fds[n] = (struct pollfd){
			.fd = r->ends[n].port->ops->fd(r->ends[n].port, 0, SL_PORT_RX),
			.events = POLLIN};
	poll(fds, 2, 20);
}

static inline bool has_session(const struct end *e)
{
	return e->t->rx.peer.len && e->t->data->keys[SL_KEY_PRIMARY];
}

/* NULL: there is no such address here. */
static inline struct rig *rig_open(const struct rig_config *c)
{
	struct rig *r = calloc(1, sizeof(*r));
	unsigned port = free_port(c->ipv6);

	assert_non_null(r);
	*r = (struct rig){.random = seed, .layer = c->layer, .budget = RIG_BUDGET};
	memset(&wire, 0, sizeof(wire));
	wire.random = seed;
	wire.budget = RIG_BUDGET;
	wire.left = -1;
	if (!port) {
		free(r);
		return NULL;
	}
	for (unsigned n = 0; n < 2; n++)
		open_end(r, n, port, c);
	for (unsigned tries = 0; !has_session(&r->ends[0]) || !has_session(&r->ends[1]); tries++) {
		want(tries < 1000);
		for (unsigned n = 0; n < 2; n++) {
			struct end *e = &r->ends[n];

			e->port->ops->control(e->port, sl_now_ns());
			e->port->ops->rx(e->port, 0, e->out);
		}
		rig_wait(r);
	}
	return r;
}

static inline struct sl_counters stats_of(const struct end *e)
{
	struct sl_counters c = {0};

	e->port->ops->stats(e->port, 0, &c);
	return c;
}

/* A flow of this kind, whose packets may be merged. */
static inline struct flow flow_of(struct rig *r, uint8_t ip, uint8_t proto)
{
	struct flow f;

	do
		f = flow_make(&r->random, r->layer, true);
	while (f.h.ip != ip || f.h.proto != proto);
	return f;
}

/*
 * Lending.
 */

static inline struct piece piece_new(struct rig *r, const uint8_t *bytes, uint32_t len,
				     uint32_t room, bool writable)
{
	struct piece piece = {.len = len, .room = room};
	size_t page = 4096, pages;

	if (!r->guarded) {
		piece.base = calloc(1, room + len + 1); /* none of 0 bytes */
		assert_non_null(piece.base);
		piece.base += 1;
		piece.addr = piece.base + room;
		memcpy(piece.addr, bytes, len);
		return piece;
	}
	pages = (room + len + page - 1) / page + 2;
	piece.size = pages * page;
	piece.base = mmap(NULL, piece.size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	want(piece.base != MAP_FAILED);
	piece.addr = random_next(&r->random) & 1 ? piece.base + piece.size - page - len
						 : piece.base + page + room;
	if (pages > 2)
		want(!mprotect(piece.base + page, piece.size - 2 * page, PROT_READ | PROT_WRITE));
	memcpy(piece.addr, bytes, len);
	if (pages > 2 && !writable)
		want(!mprotect(piece.base + page, piece.size - 2 * page, PROT_READ));
	return piece;
}

static inline void piece_free(struct piece *piece)
{
	if (piece->size)
		munmap(piece->base, piece->size);
	else
		free(piece->base - 1);
}

/* An entry is back: what was not writable is as it was. */
static inline void loan_end(struct loan *loan)
{
	const uint8_t *was = loan->was;

	for (unsigned i = 0; i < loan->n; i++) {
		struct piece *piece = &loan->pieces[i];

		want(loan->writable || !memcmp(piece->addr, was, piece->len));
		was += piece->len;
		piece_free(piece);
	}
	free(loan->was);
	loan->was = NULL;
}

static inline void take_back(struct end *e)
{
	uint32_t at, n = sl_ring_returned(e->in, &at);

	want(!n || at == e->at);
	for (uint32_t i = 0; i < n; i++)
		loan_end(&e->loans[(at + i) % RIG_ENTRIES]);
	sl_ring_reclaim(e->in, n);
	e->at += n;
}

/* In how many fragments, and how long each is: some may be empty. */
static inline unsigned split(struct rig *r, uint32_t len, uint32_t *lens)
{
	unsigned n = 1, kind = random_in(&r->random, 0, 9);

	if (kind > 5 && !r->plain)
		n = random_in(&r->random, 2, kind == 9 ? SL_PACKET_FRAGS_MAX : 9);
	for (unsigned i = 0; i < n; i++) {
		lens[i] = i + 1 == n ? len : random_in(&r->random, 0, len * 2 / n);
		lens[i] = lens[i] < len ? lens[i] : len;
		len -= lens[i];
	}
	return n;
}

/* Give a packet to a tunnel. False: its ring has no room. What it is on a wire is not noted. */
static inline bool lend(struct rig *r, struct end *e, const struct item *it)
{
	uint32_t lens[SL_PACKET_FRAGS_MAX], at, done = 0;
	struct sl_frag frags[SL_PACKET_FRAGS_MAX];
	unsigned n = split(r, it->len, lens);
	struct sl_packet *packet;
	struct loan *loan;
	uint32_t room = random_next(&r->random) & 1 ? 0 : random_in(&r->random, 0, 40);
	bool writable = !r->plain && random_next(&r->random) & 1;

	take_back(e);
	if (!sl_ring_room(e->in, &at) || sl_ring_frag_room(e->in) < n)
		return false;
	loan = &e->loans[at % RIG_ENTRIES];
	loan->writable = writable;
	loan->n = n;
	loan->was = exact(it->bytes, it->len + 1u);
	for (unsigned i = 0; i < n; done += lens[i++]) {
		loan->pieces[i] =
			piece_new(r, it->bytes + done, lens[i], i ? 0 : room, loan->writable);
		frags[i] = (struct sl_frag){.addr = loan->pieces[i].addr, .len = lens[i]};
	}
	want(!sl_ring_chain(e->in, at, frags, n));
	packet = sl_ring_packet(e->in, at);
	packet->flags = (uint8_t)((loan->writable ? SL_PACKET_WRITABLE : 0) |
				  (it->facts ? SL_PACKET_OFFLOAD : 0));
	packet->headroom = (uint16_t)room;
	*sl_ring_offload(e->in, at) = it->offload;
	sl_ring_post(e->in, 1);
	e->posted++;
	return true;
}

/* The same, and note what it is on a wire. */
static inline bool give(struct rig *r, struct end *e, const struct item *it)
{
	if (!lend(r, e, it))
		return false;
	slow_cut(it->bytes, it->len, r->layer, it->facts ? &it->offload : NULL, &e->sent);
	return true;
}

/*
 * Receiving.
 */

static inline uint64_t sum_of(const struct end *e, uint32_t at)
{
	struct sl_packet *packet = sl_ring_packet(e->out, at);
	uint64_t sum = 0;

	for (unsigned n = 0; n <= packet->more; n++) {
		const struct sl_frag *frag = sl_ring_frag(e->out, packet, n);

		for (uint32_t i = 0; i < frag->len; i++)
			sum = sum * 31 + frag->addr[i];
	}
	return sum;
}

static inline void look(struct rig *r, struct end *e, uint32_t at)
{
	static uint8_t whole[ITEM_MAX];
	struct sl_packet *packet = sl_ring_packet(e->out, at);
	const struct sl_offload *o = sl_ring_offload(e->out, at);
	uint32_t len = 0;

	want(packet->flags & SL_PACKET_WRITABLE);
	for (unsigned n = 0; n <= packet->more; n++) {
		const struct sl_frag *frag = sl_ring_frag(e->out, packet, n);

		want(len + frag->len <= sizeof(whole));
		memcpy(whole + len, frag->addr, frag->len);
		len += frag->len;
	}
	if (!(packet->flags & SL_PACKET_OFFLOAD))
		o = NULL;
	want(o || !packet->more);
	want(!o || (o->gso_type && o->flags == SL_OFFLOAD_NEEDS_CSUM));
	e->supers += o != NULL;
	e->arrived += slow_cut(whole, len, r->layer, o, &e->got);
}

/* Everything that was lent may be overwritten, and the headroom too. */
static inline void scribble(struct end *e, uint32_t at)
{
	struct sl_packet *packet = sl_ring_packet(e->out, at);

	memset(packet->frag.addr - packet->headroom, 0xee, packet->headroom);
	for (unsigned n = 0; n <= packet->more; n++) {
		const struct sl_frag *frag = sl_ring_frag(e->out, packet, n);

		memset(frag->addr, 0xee, frag->len + frag->tailroom);
	}
	sl_ring_done(e->out, at);
}

static inline void drain(struct rig *r, struct end *e)
{
	uint32_t at, n = sl_ring_ready(e->out, &at), left = 0;

	if (r->lazy && n) {
		n = random_in(&r->random, 0, n);
		left = random_in(&r->random, 0, e->n_flying);
	}
	for (uint32_t i = 0; i < n; i++) {
		look(r, e, at + i);
		e->flying[e->n_flying].sum = sum_of(e, at + i);
		e->flying[e->n_flying++].at = at + i;
	}
	sl_ring_take(e->out, n);
	while (e->n_flying > left) {
		unsigned i = r->lazy ? random_in(&r->random, 0, e->n_flying - 1) : 0;

		want(sum_of(e, e->flying[i].at) == e->flying[i].sum);
		scribble(e, e->flying[i].at);
		e->n_flying--;
		memmove(e->flying + i, e->flying + i + 1, (e->n_flying - i) * sizeof(*e->flying));
	}
}

/* One step of everything. Returns whether anything has moved. */
static inline bool rig_round(struct rig *r)
{
	bool moved = false;

	wire.budget = r->budget;
	for (unsigned n = 0; n < 2; n++) {
		struct end *e = &r->ends[n];
		uint64_t arrived = e->arrived;
		unsigned sent = wire.sent;

		moved |= e->port->ops->tx(e->port, 0, e->in) > 0 || wire.sent != sent;
		moved |= e->port->ops->rx(e->port, 0, e->out) > 0;
		drain(r, e);
		take_back(e);
		moved |= e->arrived != arrived;
		want(!sl_ring_broken(e->in) && !sl_ring_broken(e->out));
	}
	return moved;
}

static inline bool all_taken(const struct rig *r)
{
	return r->ends[0].at == r->ends[0].posted && r->ends[1].at == r->ends[1].posted;
}

static inline bool rig_done(const struct rig *r)
{
	for (unsigned n = 0; n < 2; n++) {
		const struct end *from = &r->ends[n], *to = &r->ends[!n];
		struct sl_counters a = stats_of(from), b = stats_of(to);

		if (!all_taken(r) || to->n_flying ||
		    a.tx.packets != to->arrived + sl_count_drops(&b.rx))
			return false;
	}
	return true;
}

/* Until all has arrived or was counted. */
static inline void rig_settle(struct rig *r)
{
	for (unsigned idle = 0; !rig_done(r);) {
		if (rig_round(r) || r->lazy) {
			idle = 0;
			continue;
		}
		want(++idle < 5000);
		if (all_taken(r) && !rig_done(r))
			rig_wait(r); /* for what is on its way */
	}
}

/* All buffers of a receiver are its own again. */
static inline unsigned buffers_of(const struct end *e)
{
	unsigned n = e->t->rx.n_free;

	for (uint32_t b = e->t->rx.spent; b; b = e->t->rx.following[b - 1])
		n++;
	return n;
}

static inline void rig_close(struct rig *r)
{
	for (unsigned n = 0; n < 2; n++) {
		struct end *e = &r->ends[n];

		e->port->ops->rx(e->port, 0, e->out);
		drain(r, e);
		e->port->ops->rx(e->port, 0, e->out);
		want(e->at == e->posted);
		want(buffers_of(e) == BUFFERS);
		e->port->ops->close(e->port);
		sl_ring_release(e->in);
		sl_ring_release(e->out);
		list_clear(&e->sent);
		list_clear(&e->got);
	}
	free(r);
}

#endif
