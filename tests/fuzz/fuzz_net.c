/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A NIC's driver that does anything: buffers of any shape, rings that change, memory that comes and
 * goes, queues that start and stop, while packets move both ways through the real transport. The
 * port neither falls, nor hands on what cannot be, nor keeps anything once the driver is gone.
 * Input: operations of a byte each, and what they take.
 */
#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <sluice/port.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "fuzz.h"
#include "process.h"
#include "virtio/net.h"
#include "wire/vhost_user.h"

#define PAIRS	     2u
#define QUEUES	     (2 * PAIRS)
#define ENTRIES	     16u
#define RING	     8u	 /* entries of the link's rings */
#define FRAGS	     64u /* further fragments of those */
#define GUEST_LEN    0x20000u
#define GUEST_AT     0x40000000ull
#define GUEST_USER   0x7f1200000000ull
#define TABLES_AT    0x4000u /* indirect tables; buffers lie behind */
#define BUFFERS_AT   0x5000u
#define FRAME_MAX    (65535u + 14 + 4)
#define OPS_MAX	     150u
#define ENDS_MAX     20u

#define BIT(feature) (UINT64_C(1) << (feature))

struct front {
	const uint8_t *data;
	size_t len;
	struct sl_port *port;
	struct sl_ring *rx[PAIRS], *tx[PAIRS];
	struct sockaddr_un address;
	socklen_t address_len;
	int sock, memory, event;
	uint8_t *guest, bytes[4096];
	bool packed;
	uint16_t avail[QUEUES];
};

static uint8_t next(struct front *f)
{
	uint8_t byte = f->len ? *f->data : 0;

	f->data += !!f->len;
	f->len -= !!f->len;
	return byte;
}

static uint16_t next16(struct front *f)
{
	uint16_t low = next(f);

	return (uint16_t)(low | next(f) << 8);
}

static struct sl_port_info info(const struct front *f)
{
	struct sl_port_info i;

	f->port->ops->info(f->port, &i);
	return i;
}

/* What is answered is read and forgotten. */
static void control(struct front *f)
{
	struct vhost_user_reader reader = {0};
	struct vhost_user_msg msg;

	must(f->port->ops->control(f->port, sl_now_ns()) >= 0);
	while (f->sock >= 0 && !sl_vhost_user_recv(f->sock, &reader, VHOST_USER_KIND_REPLY, &msg))
		sl_vhost_user_drop(&msg);
	sl_vhost_user_reader_reset(&reader);
}

/*
 * The front end.
 */

static void reconnect(struct front *f)
{
	sl_fd_close(&f->sock);
	control(f);
	f->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	must(f->sock >= 0);
	if (connect(f->sock, (struct sockaddr *)&f->address, f->address_len))
		sl_fd_close(&f->sock);
}

static struct vhost_user_msg message(uint32_t request, uint32_t size)
{
	return (struct vhost_user_msg){.request = request,
				       .flags = VHOST_USER_VERSION | VHOST_USER_NEED_REPLY_MASK,
				       .size = size};
}

/* While the port waits for a recall it does not read: what it has no room for is not said. */
static void say(struct front *f, struct vhost_user_msg *msg)
{
	struct pollfd room = {.fd = f->sock, .events = POLLOUT};

	poll(&room, 1, 0);
	if (room.revents & POLLOUT && sl_vhost_user_send(f->sock, msg))
		sl_fd_close(&f->sock);
	control(f);
}

static void say_u64(struct front *f, uint32_t request, uint64_t value, int fd)
{
	struct vhost_user_msg msg = message(request, 8);

	msg.payload.u64 = value;
	msg.n_fds = fd >= 0;
	msg.fds[0] = fd;
	say(f, &msg);
}

static void say_state(struct front *f, uint32_t request, uint32_t index, uint32_t num)
{
	struct vhost_user_msg msg = message(request, 8);

	msg.payload.state = (struct vhost_user_vring_state){index, num};
	say(f, &msg);
}

static void say_memory(struct front *f, bool two)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_MEM_TABLE, two ? 8 + 64 : 8 + 32);
	struct vhost_user_memory_region *r = msg.payload.memory.regions;
	uint64_t len = GUEST_LEN >> two;

	msg.payload.memory.nregions = msg.n_fds = two ? 2 : 1;
	msg.fds[0] = msg.fds[1] = f->memory;
	r[0] = (struct vhost_user_memory_region){GUEST_AT, len, GUEST_USER, 0};
	r[1] = (struct vhost_user_memory_region){GUEST_AT + len, len, GUEST_USER + len, len};
	say(f, &msg);
}

static void say_log(struct front *f)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_LOG_BASE, 16);

	msg.payload.log = (struct vhost_user_log){.mmap_size = GUEST_LEN};
	msg.fds[msg.n_fds++] = f->memory; /* it is marked in its own memory */
	say(f, &msg);
}

static void start_queue(struct front *f, unsigned q)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_VRING_ADDR, 40);
	uint64_t at = GUEST_USER + q * 0x1000u;

	msg.payload.addr = (struct vhost_user_vring_addr){.index = q,
							  .desc_user_addr = at,
							  .avail_user_addr = at + 0x400,
							  .used_user_addr = at + 0x800};
	say_state(f, VHOST_USER_SET_VRING_NUM, q, ENTRIES);
	say(f, &msg);
	say_u64(f, VHOST_USER_SET_VRING_CALL, q, f->event);
	say_u64(f, VHOST_USER_SET_VRING_KICK, q, f->event);
	say_state(f, VHOST_USER_SET_VRING_ENABLE, q, 1);
}

/* As a driver that comes up: rings are empty. */
static void start_driver(struct front *f)
{
	uint8_t ring = next(f), device = next(f);
	uint64_t features = BIT(VIRTIO_F_VERSION_1) | BIT(VHOST_USER_F_PROTOCOL_FEATURES);

	f->packed = ring & 1;
	features |= (uint64_t)(ring & 1) << VIRTIO_F_RING_PACKED;
	features |= (uint64_t)(ring >> 1 & 3) << VIRTIO_F_INDIRECT_DESC;
	features |= (uint64_t)(ring >> 3 & 1) << VIRTIO_F_IN_ORDER;
	features |= (uint64_t)(ring >> 4 & 1) << VHOST_F_LOG_ALL;
	features |= (uint64_t)(device & 1) << VIRTIO_NET_F_MRG_RXBUF;
	features |= (uint64_t)(device >> 1 & 3) << VIRTIO_NET_F_CSUM;
	features |= (uint64_t)(device >> 3 & 15) << VIRTIO_NET_F_HOST_TSO4;
	for (unsigned q = 0; q < QUEUES; q++)
		say_state(f, VHOST_USER_GET_VRING_BASE, q, 0);
	memset(f->avail, 0, sizeof(f->avail));
	for (unsigned n = 0; n < 0x4000; n += sizeof(uint64_t))
		sl_guard_copy(f->guest + n, &(const uint64_t){0}, sizeof(uint64_t));
	say_u64(f, VHOST_USER_SET_PROTOCOL_FEATURES, 0x1022f, -1);
	say_u64(f, VHOST_USER_SET_FEATURES, features, -1);
	say_memory(f, ring & 32);
	for (unsigned q = 0; q < QUEUES; q++) {
		say_state(f, VHOST_USER_SET_VRING_BASE, q, f->packed ? 0x80008000 : 0);
		start_queue(f, q);
	}
}

static void other_message(struct front *f)
{
	uint8_t which = next(f), arg = next(f);
	unsigned q = arg % QUEUES;

	switch (which % 10) {
	case 0:
		return say_memory(f, arg & 1);
	case 1:
		return say_state(f, VHOST_USER_GET_VRING_BASE, q, 0);
	case 2:
		return start_queue(f, q);
	case 3:
		return say_state(f, VHOST_USER_SET_VRING_ENABLE, q, arg >> 7);
	case 4:
		return say_u64(f, VHOST_USER_SEND_RARP, arg, -1);
	case 5:
		return say_u64(f, VHOST_USER_NET_SET_MTU, (uint64_t)arg << 6, -1);
	case 6:
		return say_log(f);
	case 7:
		return say_u64(f, VHOST_USER_SET_STATUS, arg & 1, -1);
	case 8:
		must(!ftruncate(f->memory, (arg & 31) * 0x1000));
		break;
	case 9:
		f->port->ops->carrier(f->port, arg & 1);
	}
}

/* The memory can be short, and then so are we: by the same calls as everybody. */
static void poke(struct front *f, unsigned at, uint64_t value, size_t len)
{
	sl_guard_copy(f->guest + at, &value, len);
}

/* @at of a ring or a table: right for the queue, or not. */
static void write_desc(struct front *f, unsigned at, uint16_t flags, uint16_t other)
{
	uint64_t addr = GUEST_AT + BUFFERS_AT + next16(f);
	uint16_t len = next16(f);

	poke(f, at, addr, 8);
	poke(f, at + 8, len & 0xfff, 4);
	if (f->packed) {
		poke(f, at + 12, other, 2);
		poke(f, at + 14, flags, 2);
	} else {
		poke(f, at + 12, flags, 2);
		poke(f, at + 14, other, 2);
	}
}

/* A buffer: how many entries it has; bits that are turned over; whether it is a table. */
static void make_available(struct front *f)
{
	uint8_t arg = next(f), wrong = next(f);
	unsigned q = arg % QUEUES, n = 1 + (arg >> 2 & 7), table = TABLES_AT + q * 0x400;
	uint16_t way = q & 1 ? 0 : 2, head = f->avail[q] % ENTRIES;
	bool indirect = arg & 32;

	for (unsigned i = 0; i < n; i++) {
		unsigned count = f->avail[q] + i, at = (indirect ? i : count) % ENTRIES;
		uint16_t flags = (uint16_t)(way | (i + 1 < n) | (i ? 0 : wrong & 7));

		if (f->packed && !indirect)
			flags |= count / ENTRIES & 1 ? 1 << 15 : 1 << 7;
		write_desc(f, indirect ? table + 16 * at : q * 0x1000 + 16 * at, flags,
			   (uint16_t)(f->packed ? head : (at + 1) % ENTRIES) ^ (wrong >> 7));
	}
	if (indirect) {
		unsigned at = q * 0x1000 + 16 * head;
		uint16_t flags = 4;

		if (f->packed)
			flags |= f->avail[q] / ENTRIES & 1 ? 1 << 15 : 1 << 7;
		poke(f, at, GUEST_AT + table, 8);
		poke(f, at + 8, 16 * n + (wrong >> 3 & 1), 4);
		poke(f, at + 12, f->packed ? head : flags, 2);
		poke(f, at + 14, f->packed ? flags : 0, 2);
		n = 1;
	}
	if (!f->packed) {
		poke(f, q * 0x1000 + 0x404 + 2 * (f->avail[q] % ENTRIES), head, 2);
		n = 1;
	}
	f->avail[q] = (uint16_t)(f->avail[q] + n);
	if (!f->packed)
		poke(f, q * 0x1000 + 0x402, (uint16_t)(f->avail[q] + (wrong >> 4 & 1)), 2);
	sl_event_signal(f->event);
}

/*
 * The link.
 */

static void check_packet(const struct sl_ring *ring, uint32_t at)
{
	struct sl_packet *packet = sl_ring_packet(ring, at);
	uint32_t len = sl_ring_packet_len(ring, packet);
	const struct sl_offload *facts = sl_ring_offload(ring, at);
	unsigned sum = 0;

	must(packet->more < SL_PACKET_FRAGS_MAX && !(packet->flags & SL_PACKET_WRITABLE));
	must(len >= 14 && len <= FRAME_MAX);
	for (uint32_t i = 0; i <= packet->more; i++) {
		const struct sl_frag *frag = sl_ring_frag(ring, packet, i);

		must(frag->len);
		for (uint32_t b = 0; b < frag->len; b++)
			sum += ((volatile uint8_t *)frag->addr)[b];
	}
	must(sum <= len * 255);
	if (packet->flags & SL_PACKET_OFFLOAD && facts->flags & SL_OFFLOAD_NEEDS_CSUM)
		must(facts->csum_start + facts->csum_offset + 2u <= len);
}

/* As a link: only while it is attached. */
static void receive(struct front *f, unsigned pair)
{
	struct sl_ring *ring = f->rx[pair];
	uint32_t at, ready;
	int ret = info(f).attached ? f->port->ops->rx(f->port, pair, ring) : 0;

	must(ret >= 0 || ret == -EINPROGRESS);
	ready = sl_ring_ready(ring, &at);
	for (uint32_t i = 0; i < ready; i++)
		check_packet(ring, at + i);
	must(sl_ring_broken(ring) == SL_RING_NEITHER);
}

static void consume(struct front *f, unsigned pair, uint8_t how)
{
	struct sl_ring *ring = f->rx[pair];
	uint32_t at, ready = sl_ring_ready(ring, &at);

	if (how & 1)
		sl_ring_take(ring, ready);
	else if (how & 2)
		sl_ring_consume(ring, ready);
	if (how & 4)
		sl_ring_abandon(ring);
	if (how & 8 && !sl_ring_in_flight(ring))
		sl_ring_yield(ring);
}

static void transmit(struct front *f, unsigned pair, uint8_t shape)
{
	struct sl_frag frags[SL_PACKET_FRAGS_MAX];
	struct sl_ring *ring = f->tx[pair];
	uint32_t at, n = 1 + shape % SL_PACKET_FRAGS_MAX, each = 14 + next(f) % 50;
	int ret;

	sl_ring_reclaim(ring, sl_ring_returned(ring, &at));
	for (uint32_t i = 0; i < n; i++)
		frags[i] = (struct sl_frag){.addr = f->bytes + i * each, .len = each};
	if (sl_ring_room(ring, &at)) {
		*sl_ring_packet(ring, at) =
			(struct sl_packet){.flags = shape & 64 ? SL_PACKET_OFFLOAD : 0};
		*sl_ring_offload(ring, at) = (struct sl_offload){.flags = shape >> 6};
		if (!sl_ring_chain(ring, at, frags, n))
			sl_ring_post(ring, 1);
	}
	ret = info(f).attached ? f->port->ops->tx(f->port, pair, ring) : 0;
	must(ret >= 0 && !sl_ring_in_flight(ring));
	must(sl_ring_broken(ring) == SL_RING_NEITHER);
}

static void operate(struct front *f)
{
	uint8_t op = next(f);
	unsigned pair = op >> 4 & 1;

	switch (op % 10) {
	case 0:
		return start_driver(f);
	case 1:
	case 2:
	case 3:
		return make_available(f);
	case 4:
		return receive(f, pair);
	case 5:
		return consume(f, pair, next(f));
	case 6:
		return transmit(f, pair, next(f));
	case 7:
		return other_message(f);
	case 8:
		f->port->ops->arm(f->port, pair, 1 + (op >> 5) % 3);
		return poke(f, next16(f) % (GUEST_LEN - 7), next(f), 1 + (op >> 5 & 1));
	case 9:
		return reconnect(f);
	}
}

/*
 * Beginning and end.
 */

static void open_all(struct front *f)
{
	const struct sl_ring_config config = {
		.size = RING, .frags = FRAGS, .consumer_event = -1, .producer_event = -1};
	int listener = listen_anywhere(&f->address, &f->address_len);
	char spec[48];

	snprintf(spec, sizeof(spec), "vhost-user:fd=%d,queues=%u", listener, PAIRS);
	must(!sl_port_open(spec, NULL, &f->port));
	for (unsigned k = 0; k < PAIRS; k++)
		must(!sl_ring_create(&config, &f->rx[k]) && !sl_ring_create(&config, &f->tx[k]));
	f->memory = memory_of(GUEST_LEN);
	f->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->guest = mmap(NULL, GUEST_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, f->memory, 0);
	must(f->guest != MAP_FAILED);
	f->sock = -1;
	reconnect(f);
}

/* Whatever was: the driver goes, the link gives back what it has, and nothing is left. */
static void end(struct front *f)
{
	sl_fd_close(&f->sock);
	for (unsigned n = 0; n < ENDS_MAX; n++) {
		control(f);
		for (unsigned k = 0; k < PAIRS; k++) {
			receive(f, k);
			consume(f, k, 2 | 4 | 8);
		}
	}
	must(!info(f).attached);
	f->port->ops->close(f->port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct front f = {.data = data, .len = size};
	unsigned had = descriptors();

	guard_faults();
	open_all(&f);
	for (unsigned n = 0; n < OPS_MAX && f.len; n++) {
		operate(&f);
		control(&f);
	}
	end(&f);
	for (unsigned k = 0; k < PAIRS; k++) {
		sl_ring_release(f.rx[k]);
		sl_ring_release(f.tx[k]);
	}
	munmap(f.guest, GUEST_LEN);
	sl_fd_close(&f.memory);
	sl_fd_close(&f.event);
	must(descriptors() == had);
	return 0;
}
