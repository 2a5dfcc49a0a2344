/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port that is a NIC, over vhost-user; behind it a front end, with the driver's side of each
 * virtqueue, in memory that both have. The test calls the port as a link does, on real rings.
 */
#ifndef SL_TESTS_NET_RIG_H
#define SL_TESTS_NET_RIG_H

#include <sluice/port.h>

#include "base/clock.h"
#include "vhost_user_front.h"
#include "virtio/net.h"
#include "virtq/driver.h"

#define PAIRS	 2u
#define QUEUES	 (2 * PAIRS)
#define RX_OF(k) (2 * (k))     /* receiveq: the port's tx() */
#define TX_OF(k) (2 * (k) + 1) /* transmitq: the port's rx() */
#define SIZE	 128u	       /* entries of a virtqueue */
#define SLOT	 0x12000u      /* bytes for a buffer */
#define HDR	 ((uint32_t)sizeof(struct virtio_net_hdr_v1))
#define QUEUE_AT(q)                                                                                \
	(0x80000u * (q)) /* rings, then indirect tables; buffers lie behind all of that            \
			  */
#define SLOT_AT(q, n) (QUEUE_AT(QUEUES) + (size_t)SLOT * (SIZE * (q) + (n) % SIZE))
#define GUEST_LEN     SLOT_AT(QUEUES, 0)
#define HALF_LEN      (QUEUE_AT(QUEUES)) /* of a memory table in two regions: rings, buffers */

#define PROTOCOL_ALL                                                                               \
	(PROTOCOL(MQ) | PROTOCOL(LOG_SHMFD) | PROTOCOL(RARP) | PROTOCOL(REPLY_ACK) |               \
	 PROTOCOL(NET_MTU) | PROTOCOL(BACKEND_REQ) | PROTOCOL(CONFIG) | PROTOCOL(RESET_DEVICE) |   \
	 PROTOCOL(STATUS))
#define ALWAYS	 (BIT(VIRTIO_F_VERSION_1) | BIT(VHOST_USER_F_PROTOCOL_FEATURES))
#define INDIRECT BIT(VIRTIO_F_INDIRECT_DESC)
#define PACKED	 BIT(VIRTIO_F_RING_PACKED)
#define IN_ORDER BIT(VIRTIO_F_IN_ORDER)
#define EVENTS	 BIT(VIRTIO_F_EVENT_IDX)
#define MERGE	 BIT(VIRTIO_NET_F_MRG_RXBUF)
#define HOST_ALL                                                                                   \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |      \
	 BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_HOST_USO))
#define GUEST_ALL                                                                                  \
	(BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) |                             \
	 BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN) |                              \
	 BIT(VIRTIO_NET_F_GUEST_USO4) | BIT(VIRTIO_NET_F_GUEST_USO6))
#define CAN_ALL (SL_CAN_CSUM | SL_CAN_TSO4 | SL_CAN_TSO6 | SL_CAN_USO | SL_CAN_ECN)

/** struct driver - of a virtqueue; @ids of buffers that were given and have not come back, in order
 */
struct driver {
	struct virtq_driver vq;
	int kick, call, err;
	uint16_t ids[SIZE];
	unsigned given, back;
};

/** struct variant - how queues look; @spec: more of the port's */
struct variant {
	const char *name;
	uint64_t features;
	const char *spec;
	uint32_t ring, frags; /* of the link's rings; 0: enough */
};

static struct {
	const struct variant *variant;
	struct sl_port *port;
	struct sl_ring *rx[PAIRS], *tx[PAIRS];
	uint64_t features, protocol;
	struct driver queues[QUEUES];
} rig;

static const struct variant split = {"split", 0, "", 0, 0}, packed = {"packed", PACKED, "", 0, 0},
			    split_tables = {"split, indirect, events, in order",
					    INDIRECT | EVENTS | IN_ORDER, "", 0, 0},
			    packed_tables = {"packed, indirect, events, in order",
					     PACKED | INDIRECT | EVENTS | IN_ORDER, "", 0, 0};

/* A test for each. */
#define WITH(f, v)                                                                                 \
	{                                                                                          \
#f ", " #v, f, rig_up, rig_down, (void *)(uintptr_t) & (v)                         \
	}
#define WITH_ALL(f) WITH(f, split), WITH(f, packed), WITH(f, split_tables), WITH(f, packed_tables)

/*
 * The process around it.
 */

static inline uint32_t rig_random(uint32_t below)
{
	static uint64_t seed = 88172645463325252ull;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed >> 16) % below);
}

/* As a link's worker does. Returns what the last one returned. */
static inline int control(void)
{
	int ret = 0, changed = 0;

	for (unsigned n = 0; n < 4 && ret >= 0; n++) {
		ret = rig.port->ops->control(rig.port, sl_now_ns());
		changed |= ret > 0;
	}
	return ret < 0 ? ret : changed;
}

static inline void steps(void)
{
	control();
}

static inline struct sl_port_info info(void)
{
	struct sl_port_info i;

	rig.port->ops->info(rig.port, &i);
	return i;
}

static inline struct sl_counters counters(unsigned pair)
{
	struct sl_counters c = {0};

	rig.port->ops->stats(rig.port, pair, &c);
	return c;
}

static inline int rx(unsigned pair)
{
	return rig.port->ops->rx(rig.port, pair, rig.rx[pair]);
}

static inline int tx(unsigned pair)
{
	return rig.port->ops->tx(rig.port, pair, rig.tx[pair]);
}

/*
 * The front end.
 */

/* To be answered some time. */
static inline void say_ask(struct vhost_user_msg *msg)
{
	msg->flags |= VHOST_USER_NEED_REPLY_MASK;
	say(msg);
}

/* 1: it was obeyed; 0: it was not; -1: no answer yet. */
static inline int answered(void)
{
	struct vhost_user_msg answer;
	int ret = hear(&answer);

	if (ret == -EAGAIN)
		return -1;
	assert_int_equal(ret, 0);
	assert_int_equal(answer.flags, VHOST_USER_VERSION | VHOST_USER_REPLY_MASK);
	return !answer.payload.u64;
}

/* Its memory, in one region, or in two: so that buffers and rings are apart. */
static inline struct vhost_user_msg mem_table(unsigned regions)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_MEM_TABLE, 8 + 32 * regions);
	struct vhost_user_memory_region *r = msg.payload.memory.regions;

	msg.payload.memory.nregions = msg.n_fds = regions;
	msg.fds[0] = msg.fds[1] = front.memory;
	r[0] = (struct vhost_user_memory_region){GUEST_AT, regions == 1 ? GUEST_LEN : HALF_LEN,
						 GUEST_USER, 0};
	r[1] = (struct vhost_user_memory_region){GUEST_AT + HALF_LEN, GUEST_LEN - HALF_LEN,
						 GUEST_USER + HALF_LEN, HALF_LEN};
	return msg;
}

static inline void say_get_base(unsigned q)
{
	struct vhost_user_msg msg = message(VHOST_USER_GET_VRING_BASE, 8);

	msg.payload.state.index = q;
	say(&msg);
}

/* -1: not yet. */
static inline int64_t hear_base(void)
{
	struct vhost_user_msg msg;
	int ret = hear(&msg);

	if (ret == -EAGAIN)
		return -1;
	assert_int_equal(ret, 0);
	assert_int_equal(msg.request, VHOST_USER_GET_VRING_BASE);
	return msg.payload.state.num;
}

static inline void describe_queue(unsigned q, uint32_t base)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_VRING_ADDR, 40);
	struct virtq_layout at = sl_virtq_layout(SIZE, rig.features & PACKED);
	uint64_t user = GUEST_USER + QUEUE_AT(q);

	assert_true(ask_state(VHOST_USER_SET_VRING_NUM, q, SIZE));
	assert_true(ask_state(VHOST_USER_SET_VRING_BASE, q, base));
	msg.payload.addr = (struct vhost_user_vring_addr){.index = q,
							  .desc_user_addr = user + at.desc,
							  .avail_user_addr = user + at.avail,
							  .used_user_addr = user + at.used};
	assert_true(ask(&msg));
	assert_true(ask_fd(VHOST_USER_SET_VRING_CALL, q, rig.queues[q].call));
	assert_true(ask_fd(VHOST_USER_SET_VRING_ERR, q, rig.queues[q].err));
}

static inline void kick_queue(unsigned q)
{
	assert_true(ask_fd(VHOST_USER_SET_VRING_KICK, q, rig.queues[q].kick));
	assert_true(ask_state(VHOST_USER_SET_VRING_ENABLE, q, 1));
}

/* As a driver does that comes up. */
static inline void make_queue(unsigned q)
{
	bool is_packed = rig.features & PACKED;
	const struct virtq_options o = {
		.size = SIZE,
		.packed = is_packed,
		.event_idx = rig.features & EVENTS,
		.in_order = rig.features & IN_ORDER,
		.table_len = rig.features & INDIRECT ? SIZE : 0,
		.tables = front.guest + QUEUE_AT(q) + 0x10000,
		.iova = {GUEST_AT + QUEUE_AT(q) + 0x10000},
	};

	memset(front.guest + QUEUE_AT(q), 0, 0x10000);
	rig.queues[q].given = rig.queues[q].back = 0;
	sl_virtq_close(&rig.queues[q].vq); /* of a driver before, if there was one */
	assert_int_equal(sl_virtq_open(&rig.queues[q].vq, &o, front.guest + QUEUE_AT(q)), 0);
}

static inline uint32_t first_base(void)
{
	return rig.features & PACKED ? 0x80008000u : 0;
}

static inline void start_queue(unsigned q)
{
	make_queue(q);
	describe_queue(q, first_base());
	kick_queue(q);
}

static inline void negotiate(uint64_t features)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_PROTOCOL_FEATURES, 8);

	rig.features = features | ALWAYS | rig.variant->features;
	msg.payload.u64 = rig.protocol;
	say(&msg);
	assert_true(ask_u64(VHOST_USER_SET_FEATURES, rig.features));
}

/* All of it, with @queues from the first on. */
static inline void start_driver(uint64_t features, unsigned queues)
{
	struct vhost_user_msg msg = mem_table(1);

	negotiate(features);
	assert_true(ask(&msg));
	for (unsigned q = 0; q < queues; q++)
		start_queue(q);
}

static inline void connect_front(void)
{
	front.sock = rig_connect();
	assert_true(front.sock >= 0);
	control();
}

/* It is killed, say. */
static inline void disconnect(void)
{
	sl_vhost_user_reader_reset(&front.reader);
	sl_fd_close(&front.sock);
	for (unsigned q = 0; q < QUEUES; q++) {
		sl_virtq_close(&rig.queues[q].vq);
		rig.queues[q].vq = (struct virtq_driver){0};
	}
	control();
}

/*
 * Beginning and end.
 */

static inline void open_port(void)
{
	char spec[160];

	snprintf(spec, sizeof(spec), "vhost-user:path=%s%s", front.path, rig.variant->spec);
	assert_int_equal(sl_port_open(spec, &front.to_log, &rig.port), 0);
}

static inline int rig_up(void **state)
{
	const struct variant *variant = *state;
	struct sl_ring_config config = {.size = variant->ring ? variant->ring : 256,
					.frags = variant->frags ? variant->frags : 16384,
					.consumer_event = -1,
					.producer_event = -1};

	memset(&rig, 0, sizeof(rig));
	front_open(GUEST_LEN);
	rig.variant = variant;
	rig.protocol = PROTOCOL_ALL;
	for (unsigned q = 0; q < QUEUES; q++) {
		rig.queues[q].kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		rig.queues[q].call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		rig.queues[q].err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	for (unsigned k = 0; k < PAIRS; k++) {
		assert_int_equal(sl_ring_create(&config, &rig.rx[k]), 0);
		assert_int_equal(sl_ring_create(&config, &rig.tx[k]), 0);
	}
	open_port();
	connect_front();
	return 0;
}

/* As a link does: rings are empty when the port is closed. */
static inline void close_port(void)
{
	uint32_t at;

	for (unsigned k = 0; k < PAIRS; k++) {
		sl_ring_abandon(rig.rx[k]);
		for (uint32_t n; (n = sl_ring_ready(rig.rx[k], &at));)
			sl_ring_consume(rig.rx[k], n);
		if (sl_ring_recalled(rig.rx[k]))
			sl_ring_yield(rig.rx[k]);
	}
	rig.port->ops->close(rig.port);
}

static inline int rig_down(void **state)
{
	char rings[80];

	(void)state;
	close_port();
	for (unsigned k = 0; k < PAIRS; k++) {
		sl_ring_release(rig.rx[k]);
		sl_ring_release(rig.tx[k]);
	}
	for (unsigned q = 0; q < QUEUES; q++) {
		sl_virtq_close(&rig.queues[q].vq);
		sl_fd_close(&rig.queues[q].kick);
		sl_fd_close(&rig.queues[q].call);
		sl_fd_close(&rig.queues[q].err);
	}
	snprintf(rings, sizeof(rings), "%s.rings", front.path);
	unlink(rings); /* it stays where a driver was still there */
	front_close();
	return 0;
}

#endif
