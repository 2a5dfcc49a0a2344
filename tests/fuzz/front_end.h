/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A front end of vhost-user that does anything, for a device of the fuzz target's: messages with
 * descriptors, well-formed or not, in any order; rings in memory that changes and is cut off;
 * connections that come and go. Operations are a byte each, and what they take.
 */
#ifndef SL_TESTS_FUZZ_FRONT_END_H
#define SL_TESTS_FUZZ_FRONT_END_H

#include <linux/virtio_config.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <sluice/offer.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "fuzz.h"
#include "process.h"
#include "wire/vhost_user.h"

#define QUEUES	     2u
#define ENTRIES	     16u /* of a ring as it should be */
#define GUEST_LEN    0x8000u
#define GUEST_AT     0x40000000ull
#define GUEST_USER   0x7f1200000000ull
#define LOG_LEN	     0x9000u /* a bit for each page up to the end of the guest */
#define OPS_MAX	     150u
#define STEPS_MAX    40u

#define BIT(feature) (UINT64_C(1) << (feature))

/** struct front - @protocol: the protocol features that it wants */
struct front {
	const uint8_t *data;
	size_t len;
	struct sl_offer *offer;
	struct sockaddr_un address;
	socklen_t address_len;
	uint64_t protocol;
	int sock, memory, log, event, file;
	uint8_t *guest;
	uint16_t avail[QUEUES];
};

/* The device goes on. */
static void steps(struct front *f);
/* ... and does something of its own. */
static void operate_device(uint8_t how);

/*
 * The front end.
 */

static uint8_t next(struct front *f)
{
	uint8_t byte = f->len ? *f->data : 0;

	f->data += !!f->len;
	f->len -= !!f->len;
	return byte;
}

static void take(struct front *f, void *to, size_t len)
{
	size_t n = sl_min(len, f->len);

	memset(to, 0, len);
	memcpy(to, f->data, n);
	f->data += n;
	f->len -= n;
}

/* Read and forget what is answered, with its descriptors. */
static void listen_to(struct front *f)
{
	struct vhost_user_reader reader = {0};
	struct vhost_user_msg msg;

	while (f->sock >= 0 && !sl_vhost_user_recv(f->sock, &reader, VHOST_USER_KIND_REPLY, &msg))
		sl_vhost_user_drop(&msg);
	sl_vhost_user_reader_reset(&reader);
}

static void reconnect(struct front *f)
{
	sl_fd_close(&f->sock);
	f->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	must(f->sock >= 0);
	if (connect(f->sock, (struct sockaddr *)&f->address, f->address_len))
		sl_fd_close(&f->sock);
}

static int some_fd(struct front *f, unsigned which)
{
	const int fds[] = {f->event, f->memory, f->log, f->file, f->sock, f->event, f->memory, 0};

	return fds[which % sl_array_len(fds)];
}

static void send_bytes(struct front *f, const void *bytes, size_t len, unsigned which, unsigned n)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(10 * sizeof(int))];
	} control = {{0}};
	struct iovec from = {(void *)(uintptr_t)bytes, len};
	struct msghdr m = {.msg_iov = &from, .msg_iovlen = 1};

	n = sl_min(n, 10u);
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(n * sizeof(int));
	for (unsigned i = 0; i < n; i++) {
		int fd = some_fd(f, which + i);

		memcpy(CMSG_DATA(&control.head) + i * sizeof(int), &fd, sizeof(int));
	}
	m.msg_control = n ? &control : NULL;
	m.msg_controllen = n ? CMSG_SPACE(n * sizeof(int)) : 0;
	if (f->sock >= 0)
		(void)!sendmsg(f->sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void send_message(struct front *f, struct vhost_user_msg *msg, unsigned which, unsigned n)
{
	uint8_t bytes[VHOST_USER_HEADER_LEN + VHOST_USER_PAYLOAD_MAX];

	memcpy(bytes, msg, VHOST_USER_HEADER_LEN);
	memcpy(bytes + VHOST_USER_HEADER_LEN, msg->payload.bytes, VHOST_USER_PAYLOAD_MAX);
	send_bytes(f, bytes,
		   VHOST_USER_HEADER_LEN + sl_min(msg->size, (uint32_t)VHOST_USER_PAYLOAD_MAX),
		   which, n);
}

static void send_any_message(struct front *f)
{
	uint8_t request = next(f), flags = next(f), size = next(f), fds = next(f);
	struct vhost_user_msg msg = {
		.request = request, .flags = VHOST_USER_VERSION | (flags & 12u), .size = size};

	take(f, msg.payload.bytes, sl_min(size, (uint8_t)48));
	send_message(f, &msg, fds >> 4, fds & 15);
}

static struct vhost_user_msg message(uint32_t request, uint32_t size)
{
	return (struct vhost_user_msg){.request = request,
				       .flags = VHOST_USER_VERSION | VHOST_USER_NEED_REPLY_MASK,
				       .size = size};
}

static void send_u64(struct front *f, uint32_t request, uint64_t value, unsigned which, unsigned n)
{
	struct vhost_user_msg msg = message(request, 8);

	msg.payload.u64 = value;
	send_message(f, &msg, which, n);
}

static void send_state(struct front *f, uint32_t request, uint32_t index, uint32_t num)
{
	struct vhost_user_msg msg = message(request, 8);

	msg.payload.state = (struct vhost_user_vring_state){index, num};
	send_message(f, &msg, 0, 0);
}

static void send_memory(struct front *f, bool two)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_MEM_TABLE, two ? 8 + 64 : 8 + 32);
	struct vhost_user_memory_region *r = msg.payload.memory.regions;

	msg.payload.memory.nregions = two ? 2 : 1;
	r[0] = (struct vhost_user_memory_region){GUEST_AT, GUEST_LEN >> two, GUEST_USER, 0};
	r[1] = (struct vhost_user_memory_region){r[0].guest_phys_addr + r[0].memory_size,
						 r[0].memory_size, GUEST_USER + r[0].memory_size,
						 r[0].memory_size};
	send_message(f, &msg, 6, two ? 2 : 1);
}

static void send_region(struct front *f, uint32_t request, uint8_t which)
{
	struct vhost_user_msg msg = message(request, 40);

	msg.payload.mem_reg.region = (struct vhost_user_memory_region){
		GUEST_AT + which * 0x1000u, 0x1000, GUEST_USER + which * 0x1000u,
		(which & 7) * 0x1000u};
	send_message(f, &msg, 1, request == VHOST_USER_ADD_MEM_REG);
}

static void send_addr(struct front *f, unsigned q)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_VRING_ADDR, 40);
	uint64_t at = GUEST_USER + q * 0x1000u;

	msg.payload.addr = (struct vhost_user_vring_addr){.index = q,
							  .desc_user_addr = at,
							  .avail_user_addr = at + 0x400,
							  .used_user_addr = at + 0x800};
	send_message(f, &msg, 0, 0);
}

static void send_log(struct front *f, bool ask)
{
	struct vhost_user_msg msg =
		message(ask ? VHOST_USER_GET_INFLIGHT_FD : VHOST_USER_SET_INFLIGHT_FD, 24);

	msg.payload.inflight = (struct vhost_user_inflight){
		.mmap_size = 0x4000, .num_queues = QUEUES, .queue_size = ENTRIES};
	send_message(f, &msg, 2, !ask);
}

static void send_backend(struct front *f)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_BACKEND_REQ_FD, 0),
			      status = message(VHOST_USER_GET_STATUS, 0);

	send_message(f, &status, 0, 0);
	send_message(f, &msg, 4, 1);
	steps(f);
	sl_offer_changed(f->offer);
}

/* What only a NIC is asked. */
static void send_net_message(struct front *f, uint8_t which, uint8_t arg)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_LOG_BASE, 16);

	switch (which % 4) {
	case 0:
		msg.payload.log = (struct vhost_user_log){LOG_LEN - (arg & 7) * 0x800u, arg >> 4};
		return send_message(f, &msg, 2, 1);
	case 1:
		return send_u64(f, VHOST_USER_SET_FEATURES,
				BIT(VIRTIO_F_VERSION_1) | (uint64_t)(arg & 3) << 26 |
					(uint64_t)(arg >> 2 & 1) << 34 |
					(uint64_t)(arg >> 3 & 1) << 15,
				0, 0);
	case 2:
		return send_u64(f, arg & 1 ? VHOST_USER_SEND_RARP : VHOST_USER_NET_SET_MTU,
				arg * 64u, 0, 0);
	default:
		msg = message(VHOST_USER_SET_LOG_FD, 0);
		return send_message(f, &msg, 0, 1);
	}
}

/* What an honest front end says, in an order that is not its own. */
static void send_good_message(struct front *f)
{
	uint8_t which = next(f), arg = next(f);
	unsigned q = arg % QUEUES;

	if (which >= 240)
		return send_net_message(f, which, arg);
	switch (which % 20) {
	case 0:
		return send_u64(f, VHOST_USER_SET_PROTOCOL_FEATURES, f->protocol, 0, 0);
	case 1:
		return send_u64(f, VHOST_USER_SET_FEATURES,
				BIT(VIRTIO_F_VERSION_1) | (uint64_t)(arg & 7) << 28 |
					(uint64_t)(arg >> 3 & 3) << 34,
				0, 0);
	case 2:
		return send_memory(f, arg & 1);
	case 3:
		return send_state(f, VHOST_USER_SET_VRING_NUM, q, ENTRIES);
	case 4:
		return send_addr(f, q);
	case 5:
		return send_state(f, VHOST_USER_SET_VRING_BASE, q, arg & 2 ? 0x80008000 : 0);
	case 6:
	case 7:
	case 8:
		return send_u64(f, VHOST_USER_SET_VRING_KICK + which % 20 - 6,
				q | (arg & 64 ? VHOST_USER_VRING_NOFD_MASK : 0), 0, !(arg & 64));
	case 9:
		return send_state(f, VHOST_USER_SET_VRING_ENABLE, q, !(arg & 4));
	case 10:
		return send_state(f, VHOST_USER_GET_VRING_BASE, q, 0);
	case 11:
		return send_log(f, true);
	case 12:
		return send_log(f, false);
	case 13:
		return send_u64(f, VHOST_USER_SET_STATUS, arg & 15, 0, 0);
	case 14:
		return send_region(f, VHOST_USER_ADD_MEM_REG, arg);
	case 15:
		return send_region(f, VHOST_USER_REM_MEM_REG, arg);
	case 16:
		return send_u64(f, VHOST_USER_SET_FEATURES, BIT(VIRTIO_F_VERSION_1), 0, 0);
	case 17:
		return send_backend(f);
	default: /* a ring, all of it */
		send_state(f, VHOST_USER_SET_VRING_NUM, q, ENTRIES);
		send_addr(f, q);
		send_u64(f, VHOST_USER_SET_VRING_CALL, q, 0, 1);
		send_u64(f, VHOST_USER_SET_VRING_KICK, q, 0, 1);
		send_state(f, VHOST_USER_SET_VRING_ENABLE, q, 1);
	}
}

/* The memory can be short, and then so are we: by the same calls as everybody. */
static void poke(struct front *f, void *at, uint64_t value, size_t len)
{
	(void)f;
	sl_guard_copy(at, &value, len);
}

/* A buffer of a split ring. */
static void make_available(struct front *f)
{
	uint8_t arg = next(f), chain = next(f);
	unsigned q = arg % QUEUES, at = f->avail[q]++ % ENTRIES;
	uint8_t *ring = f->guest + q * 0x1000u;

	poke(f, ring + 16 * at, GUEST_AT + 0x4000 + (uint64_t)chain * 8, 8);
	poke(f, ring + 16 * at + 8,
	     (uint64_t)chain | (uint64_t)(arg >> 4 & 7) << 32 | (at + 1ull) << 48, 8);
	poke(f, ring + 0x404 + 2 * at, at, 2);
	poke(f, ring + 0x402, f->avail[q], 2);
	sl_event_signal(f->event);
}

/* A descriptor of a packed ring, whose flags are right, or not. */
static void make_packed(struct front *f)
{
	uint8_t arg = next(f), chain = next(f);
	unsigned q = arg % QUEUES, n = f->avail[q]++, at = n % ENTRIES;
	uint16_t wrap = n / ENTRIES & 1 ? 1 << 15 : 1 << 7;
	uint8_t *desc = f->guest + q * 0x1000u + 16 * at;

	poke(f, desc, GUEST_AT + 0x4000 + (uint64_t)chain * 8, 8);
	poke(f, desc + 8, chain | (uint64_t)at << 32 | (uint64_t)(wrap ^ (arg >> 4 & 7)) << 48, 8);
	sl_event_signal(f->event);
}

static void operate(struct front *f)
{
	uint8_t op = next(f), bytes[32];
	uint16_t at;

	switch (op % 12) {
	case 0:
		return send_any_message(f);
	case 1:
	case 2:
	case 3:
		return send_good_message(f);
	case 4:
		at = next(f) % sizeof(bytes);
		take(f, bytes, at);
		return send_bytes(f, bytes, at, op, op >> 5);
	case 5:
		take(f, &at, sizeof(at));
		return poke(f, f->guest + at % (GUEST_LEN - 7), next(f) | (uint64_t)next(f) << 8,
			    2);
	case 6:
	case 7:
		return make_available(f);
	case 8:
		return operate_device(op);
	case 9:
		must(!ftruncate(op & 16 ? f->memory : f->log, (next(f) & 15) * 0x1000));
		break;
	case 10:
		return reconnect(f);
	case 11:
		return make_packed(f);
	}
}

/*
 * Beginning and end.
 */

/* Where it connects to: "vhost-user:fd=N". */
static void open_front(struct front *f, char args[32])
{
	int listener = listen_anywhere(&f->address, &f->address_len);

	snprintf(args, 32, "vhost-user:fd=%d", listener);
	f->memory = memory_of(GUEST_LEN);
	f->log = memory_of(LOG_LEN);
	f->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->file = dup(0);
	f->guest = mmap(NULL, GUEST_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, f->memory, 0);
	must(f->guest != MAP_FAILED);
	f->sock = -1;
}

static void run_front(struct front *f)
{
	guard_faults();
	reconnect(f);
	for (unsigned n = 0; n < OPS_MAX && f->len; n++) {
		operate(f);
		steps(f);
		listen_to(f);
	}
}

static void close_front(struct front *f)
{
	munmap(f->guest, GUEST_LEN);
	sl_fd_close(&f->memory);
	sl_fd_close(&f->log);
	sl_fd_close(&f->event);
	sl_fd_close(&f->file);
}

#endif
