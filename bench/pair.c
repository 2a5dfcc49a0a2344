/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <sluice/identity.h>
#include <sluice/reason.h>

#include "packet/frags.h"
#include "pair.h"
#include "tunnel/data.h"
#include "tunnel/tunnel_private.h"

#define SUPERS_MAX 8u
#define ID_STEP	   64u
#define IP_LEN	   20u
#define OPTIONS	   12u /* of TCP */

static struct sl_port *sender, *receiver;
static struct sl_ring *out, *in;
static struct sl_address address;
static uint8_t supers[SUPERS_MAX][FRAME_MAX];
static int counter;
static double tick;	 /* ns, of looking at the clock */
static struct used away; /* in recvmmsg() */
static struct mmsghdr *trains;
static unsigned n_trains;

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "segments: this does not hold: %s\n", what);
	exit(1);
}

#define MUST(x) must((x), #x)

/*
 * Measuring.
 */

static int counter_open(void)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_HARDWARE,
				       .size = sizeof(attr),
				       .config = PERF_COUNT_HW_INSTRUCTIONS,
				       .exclude_kernel = 1};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* Begin with @way -1, end with 1: adds what was used between. */
static void stamp(struct used *s, int way)
{
	uint64_t value = 0;
	struct timespec now;

	if (counter >= 0 && read(counter, &value, sizeof(value)) != sizeof(value))
		value = 0;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	s->ns += way * ((double)now.tv_sec * 1e9 + (double)now.tv_nsec);
	s->instructions += way < 0 ? -value : value;
}

static double clock_cost(void)
{
	double least = 1e9;

	for (int n = 0; n < 1000; n++) {
		struct used s = {0};

		stamp(&s, -1);
		stamp(&s, 1);
		least = sl_min(least, s.ns);
	}
	return least;
}

/*
 * Instead of the kernel.
 */

/* What is sent stays where it is until the sender's next call. */
int sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	(void)fd, (void)flags;
	trains = msgs;
	n_trains = n;
	return (int)n;
}

static void deliver(const struct msghdr *from, struct mmsghdr *to)
{
	uint8_t *bytes = to->msg_hdr.msg_iov->iov_base;
	struct cmsghdr *c = CMSG_FIRSTHDR(from), *gro = CMSG_FIRSTHDR(&to->msg_hdr);
	uint16_t size = 0;
	int told;

	to->msg_len = 0;
	for (size_t i = 0; i < from->msg_iovlen; i++) {
		memcpy(bytes + to->msg_len, from->msg_iov[i].iov_base, from->msg_iov[i].iov_len);
		to->msg_len += (unsigned)from->msg_iov[i].iov_len;
	}
	memcpy(to->msg_hdr.msg_name, &address.in6, sizeof(address.in6));
	to->msg_hdr.msg_namelen = address.len;
	if (c)
		memcpy(&size, CMSG_DATA(c), sizeof(size));
	told = size;
	*gro = (struct cmsghdr){CMSG_LEN(sizeof(told)), IPPROTO_UDP, UDP_GRO};
	memcpy(CMSG_DATA(gro), &told, sizeof(told));
	to->msg_hdr.msg_controllen = c ? CMSG_SPACE(sizeof(told)) : 0;
}

int recvmmsg(int fd, struct mmsghdr *msgs, unsigned room, int flags, struct timespec *timeout)
{
	unsigned n = n_trains;

	(void)fd, (void)flags, (void)timeout;
	stamp(&away, -1);
	MUST(n <= room);
	for (unsigned i = 0; i < n; i++)
		deliver(&trains[i].msg_hdr, &msgs[i]);
	n_trains = 0;
	stamp(&away, 1);
	away.ns += tick; /* half of it before, half after */
	errno = EAGAIN;
	return n ? (int)n : -1;
}

/*
 * Packets.
 */

static void make_supers(const struct shape *s)
{
	static const uint8_t addresses[8] = {10, 0, 0, 1, 10, 0, 0, 2};
	bool tcp = s->proto == IPPROTO_TCP;
	uint32_t payload = s->size * s->segments;

	for (unsigned n = 0; n < s->supers; n++) {
		uint8_t *ip = supers[n], *l4 = ip + IP_LEN;

		for (uint32_t i = 0; i < payload; i++)
			ip[s->headers + i] = (uint8_t)(i * 2654435761u >> 24);
		memset(ip, 0, s->headers);
		ip[0] = 0x45;
		sl_put_be16(ip + 2, (uint16_t)(s->headers + payload));
		sl_put_be16(ip + 4, (uint16_t)(n * ID_STEP));
		ip[6] = 0x40; /* DF */
		ip[8] = 64;
		ip[9] = s->proto;
		memcpy(ip + 12, addresses, sizeof(addresses));
		sl_put_be16(l4, 5001);
		sl_put_be16(l4 + 2, 5002);
		if (!tcp) {
			sl_put_be16(l4 + 4, (uint16_t)(8 + payload));
			continue;
		}
		sl_put_be32(l4 + 4, n * payload);
		l4[12] = 0x80;
		l4[13] = 0x10;				      /* ACK */
		memcpy(l4 + 20, (uint8_t[]){1, 1, 8, 10}, 4); /* timestamps */
	}
}

static void post_supers(const struct shape *s)
{
	bool tcp = s->proto == IPPROTO_TCP;
	uint32_t at;

	sl_ring_reclaim(out, sl_ring_returned(out, &at));
	MUST(sl_ring_room(out, &at) >= s->supers);
	for (unsigned n = 0; n < s->supers; n++) {
		*sl_ring_packet(out, at + n) = (struct sl_packet){
			.frag = {.addr = supers[n], .len = s->headers + s->size * s->segments},
			.flags = SL_PACKET_OFFLOAD,
		};
		*sl_ring_offload(out, at + n) = (struct sl_offload){
			.flags = SL_OFFLOAD_NEEDS_CSUM,
			.gso_type = tcp ? SL_GSO_TCPV4 : SL_GSO_UDP_L4,
			.gso_size = (uint16_t)s->size,
			.csum_start = IP_LEN,
			.csum_offset = tcp ? 16 : 6,
		};
	}
	sl_ring_post(out, s->supers);
}

/* What arrived has to be what was sent. Returns how many segments that were. */
static uint32_t take(const struct shape *s, bool merges, bool compares)
{
	static uint8_t bytes[FRAME_MAX];
	uint32_t at, n = sl_ring_ready(in, &at), len = s->headers + s->size * s->segments;

	MUST(!merges || n == s->supers);
	for (uint32_t i = 0; merges && i < n; i++)
		MUST(sl_ring_packet(in, at + i)->more + 1u == s->segments);
	for (uint32_t i = 0; merges && compares && i < n; i++) {
		struct sl_packet *packet = sl_ring_packet(in, at + i);
		uint32_t from = s->headers - (s->proto == IPPROTO_TCP ? OPTIONS : 0);

		MUST(sl_frags_copy(in, packet, 0, bytes, len) == len);
		MUST(sl_ring_offload(in, at + i)->gso_size == s->size);
		MUST(!memcmp(bytes, supers[i], 10) && !memcmp(bytes + 12, supers[i] + 12, 14));
		MUST(!memcmp(bytes + from, supers[i] + from, len - from));
	}
	sl_ring_consume(in, n);
	return merges ? n * s->segments : n;
}

/* One call of the sender and what came of it; @used by path is added to. */
static void call(const struct shape *s, bool merges, bool compares, struct used used[PATHS])
{
	struct used *opening = &used[merges ? JOIN : OPEN];
	uint32_t left = s->supers * s->segments, at;

	post_supers(s);
	stamp(&used[CUT], -1);
	sl_tunnel_tx(sender, 0, out);
	stamp(&used[CUT], 1);
	used[CUT].ns -= tick;
	MUST(sl_ring_returned(out, &at) == s->supers);
	for (away = (struct used){0}; left; left -= take(s, merges, compares)) {
		stamp(opening, -1);
		sl_tunnel_rx(receiver, 0, in);
		stamp(opening, 1);
		opening->ns -= tick;
	}
	opening->ns -= away.ns;
	opening->instructions -= away.instructions;
}

static void set_key(const struct sl_aead_ops *ops, enum sl_cipher cipher)
{
	struct sl_data_key key = {.cipher = cipher, .material = {1}};
	struct sl_data *a = tunnel_of(sender)->data, *b = tunnel_of(receiver)->data;

	sl_data_set_aead(a, ops);
	sl_data_set_aead(b, ops);
	MUST(!sl_data_key_install(a, SL_KEY_PRIMARY, &key));
	key.direction = 1;
	MUST(!sl_data_key_install(b, SL_KEY_PRIMARY, &key));
}

uint32_t pair_run(const struct sl_aead_ops *ops, enum sl_cipher cipher, const struct shape *s,
		  bool merges, uint32_t count, struct used used[PATHS])
{
	uint32_t each = s->supers * s->segments, calls = (count + each - 1) / each;

	tunnel_of(receiver)->merges = merges ? SL_CAN_CSUM | SL_CAN_TSO4 | SL_CAN_USO : 0;
	make_supers(s);
	set_key(ops, cipher);
	call(s, merges, true, used);
	call(s, merges, true, used);
	memset(used, 0, PATHS * sizeof(*used));
	for (uint32_t n = 0; n < calls; n++)
		call(s, merges, false, used);
	return calls * each;
}

/*
 * The two ends.
 */

static struct sl_port *open_end(const char *dir)
{
	char spec[512];
	struct sl_port *port;

	/* Nobody is ever asked for this fingerprint, as no session is begun. */
	snprintf(spec, sizeof(spec),
		 "tunnel:local=127.0.0.1:0,remote=127.0.0.1:9,role=client,identity=%s,peer=%064d",
		 dir, 1);
	must(!sl_port_open(spec, NULL, &port), sl_reason());
	tunnel_of(port)->mtu = 1448;
	sl_tunnel_set_peer(tunnel_of(port), &address);
	return port;
}

void pair_open(void)
{
	const struct sl_ring_config config = {256, 4096, -1, -1}; /* as a link's */
	char fingerprint[SL_FINGERPRINT_SIZE];
	char dir[] = "/tmp/segments-XXXXXX", path[sizeof(dir) + 16];

	counter = counter_open();
	tick = clock_cost();
	MUST(!sl_address_parse("remote", "127.0.0.1:9", &address));
	MUST(mkdtemp(dir) != NULL);
	must(!sl_identity_generate(dir, fingerprint), sl_reason());
	sender = open_end(dir);
	receiver = open_end(dir);
	for (unsigned n = 0; n < 2; n++) {
		snprintf(path, sizeof(path), "%s/%s.pem", dir, n ? "cert" : "key");
		unlink(path);
	}
	rmdir(dir);
	MUST(!sl_ring_create(&config, &out) && !sl_ring_create(&config, &in));
}

void pair_close(void)
{
	sl_tunnel_close(sender);
	sl_tunnel_close(receiver);
	sl_ring_release(out);
	sl_ring_release(in);
}
