/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The port virtio-user against back ends: a thread answers messages, the test itself is the device
 * of the rings, with the oracle, which does both kinds of virtqueues.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <linux/virtio_net.h>

#include <sluice/port.h>
#include <sluice/reason.h>

#include "base/clock.h"
#include "fake_back.h"
#include "virtq_oracle.h"

#define QUEUE 256u
#define ALL   (UINT64_MAX & ~BACK_BIT(VIRTIO_F_RING_PACKED))
#define HDR   12u

static struct back back;
static struct sl_port *port;
static struct sl_ring *rx_ring, *tx_ring;
static struct oracle rx, tx; /* the device's side of the first pair */
static char path[64];
static uint8_t lent[70000];

static const struct virtio_net_config config = {{2, 0, 0, 0, 0, 9}, VIRTIO_NET_S_LINK_UP, 1, 1500};

static void assert_reason(const char *part)
{
	if (!strstr(sl_reason(), part))
		fail_msg("not \"%s\" but \"%s\"", part, sl_reason());
}

static void new_back(uint64_t features)
{
	int listener = back.listener;

	back = back_new();
	back.listener = listener;
	back.many = true;
	back.features = features;
	memcpy(&back.config, &config, sizeof(config));
}

static int fresh(void **state)
{
	struct sl_ring_config ring = {256, 4096, -1, -1};

	(void)state;
	back.listener = -1;
	new_back(ALL);
	port = NULL;
	snprintf(path, sizeof(path), "/tmp/sl-virtio-user-%d.sock", getpid());
	return sl_ring_create(&ring, &rx_ring) || sl_ring_create(&ring, &tx_ring);
}

static int done(void **state)
{
	(void)state;
	if (port)
		port->ops->close(port);
	sl_fd_close(&back.listener);
	sl_ring_release(rx_ring);
	sl_ring_release(tx_ring);
	unlink(path);
	return 0;
}

static void open_port(const char *more)
{
	char spec[128];

	snprintf(spec, sizeof(spec), "virtio-user:path=%s%s", path, more);
	if (sl_port_open(spec, NULL, &port))
		fail_msg("%s", sl_reason());
}

static bool attached(void)
{
	struct sl_port_info info;

	port->ops->info(port, &info);
	return info.attached;
}

/* Until it is attached, or that has failed once. */
static bool control(void)
{
	uint64_t wait = port->ops->deadline(port), now = sl_now_ns();

	assert_true(wait != SL_NEVER);
	if (wait > now)
		usleep((useconds_t)((wait - now) / SL_NS_PER_US) + 1);
	do {
		if (port->ops->control(port, sl_now_ns()) > 0)
			return attached();
		assert_false(attached());
	} while (poll(&(struct pollfd){port->ops->control_fd(port), POLLIN, 0}, 1, 5) == 1);
	return false;
}

static uint8_t *at_iova(uint64_t iova, uint32_t len)
{
	assert_true(iova >= back.region.guest_phys_addr);
	assert_true(iova + len <= back.region.guest_phys_addr + back.region.memory_size);
	return back.memory + (iova - back.region.guest_phys_addr);
}

static struct oracle device_of(unsigned queue)
{
	const struct vhost_user_vring_addr *addr = &back.rings[queue].addr;
	uint64_t base = back.region.userspace_addr;
	uint8_t *desc = back.memory + (addr->desc_user_addr - base);
	struct virtq_options o = {
		.size = QUEUE,
		.packed = back.got_features & BACK_BIT(VIRTIO_F_RING_PACKED),
		.event_idx = back.got_features & BACK_BIT(VIRTIO_F_EVENT_IDX),
	};
	struct virtq_layout layout = sl_virtq_layout(QUEUE, o.packed);
	struct oracle device = oracle_at(&o, desc, 0);

	assert_int_equal(back.rings[queue].size, QUEUE);
	assert_true(back.rings[queue].enabled);
	assert_int_equal(back.rings[queue].base, o.packed ? 0x80008000u : 0);
	assert_int_equal(addr->avail_user_addr - addr->desc_user_addr, layout.avail);
	assert_int_equal(addr->used_user_addr - addr->desc_user_addr, layout.used);
	return device;
}

static void connect_back(void)
{
	if (back.listener < 0)
		assert_int_equal(sl_unix_listen(path, SOCK_STREAM, &back.listener), 0);
	back_start(&back);
}

static void bring_up(const char *more)
{
	connect_back();
	if (!port)
		open_port(more);
	for (unsigned i = 0; !control(); i++)
		if (i == 50)
			fail_msg("%s", sl_reason());
	rx = device_of(0);
	tx = device_of(1);
}

/*
 * Packets.
 */

static void give_to(struct oracle *device, uint32_t len, uint8_t seed, struct virtio_net_hdr_v1 hdr)
{
	struct oracle_chain c;
	uint8_t *to;

	assert_true(oracle_take(device, &c));
	assert_int_equal(c.n, 1);
	assert_true(c.elems[0].write && len + HDR <= c.elems[0].len);
	to = at_iova(c.elems[0].addr, c.elems[0].len);
	memcpy(to, &hdr, HDR);
	memset(to + HDR, seed, len);
	oracle_put(device, c.id, c.descs, HDR + len);
}

static void give(uint32_t len, uint8_t seed)
{
	give_to(&rx, len, seed, (struct virtio_net_hdr_v1){.num_buffers = 1});
}

static int receive(unsigned q)
{
	return port->ops->rx(port, q, rx_ring);
}

static void assert_received(uint32_t len, uint8_t seed)
{
	uint32_t at;

	assert_true(sl_ring_ready(rx_ring, &at) > 0);
	assert_int_equal(sl_ring_packet(rx_ring, at)->frag.len, len);
	assert_int_equal(sl_ring_packet(rx_ring, at)->frag.addr[0], seed);
	assert_int_equal(sl_ring_packet(rx_ring, at)->frag.addr[len - 1], seed);
	/* The back end may write to it still: nobody may take it for his own. */
	assert_false(sl_ring_packet(rx_ring, at)->flags & SL_PACKET_WRITABLE);
	sl_ring_consume(rx_ring, 1);
}

static void post(uint32_t len, uint8_t seed, uint8_t flags)
{
	uint32_t at, back_n = sl_ring_returned(tx_ring, &at);

	sl_ring_reclaim(tx_ring, back_n);
	assert_true(sl_ring_room(tx_ring, &at) > 0);
	memset(lent, seed, len);
	*sl_ring_packet(tx_ring, at) =
		(struct sl_packet){.frag = {lent, len, 0, 0}, .flags = flags, .headroom = 64};
	if (flags & SL_PACKET_OFFLOAD)
		*sl_ring_offload(tx_ring, at) = (struct sl_offload){.flags = SL_OFFLOAD_NEEDS_CSUM,
								    .gso_type = SL_GSO_UDP_L4,
								    .gso_size = 1400,
								    .csum_start = 34,
								    .csum_offset = 6};
	sl_ring_post(tx_ring, 1);
}

static int transmit(unsigned q)
{
	return port->ops->tx(port, q, tx_ring);
}

/* The device's next packet; given back if it is to be. */
static struct virtio_net_hdr_v1 assert_sent(uint32_t len, uint8_t seed, bool give_back)
{
	struct virtio_net_hdr_v1 hdr;
	struct oracle_chain c;
	uint32_t total = 0;

	assert_true(oracle_take(&tx, &c));
	assert_true(c.n <= ORACLE_ELEMS);
	for (unsigned i = 0; i < c.n; i++) {
		const uint8_t *from = at_iova(c.elems[i].addr, c.elems[i].len);

		assert_false(c.elems[i].write);
		for (uint32_t b = i ? 0 : HDR; b < c.elems[i].len; b++)
			assert_int_equal(from[b], seed);
		total += c.elems[i].len;
	}
	memcpy(&hdr, at_iova(c.elems[0].addr, HDR), HDR);
	assert_int_equal(total, HDR + len);
	if (give_back)
		oracle_put(&tx, c.id, c.descs, 0);
	return hdr;
}

/* Many laps, in both directions. */
static void carry(void)
{
	for (unsigned i = 0; i < 3 * QUEUE; i++) {
		uint32_t len = 60 + i % 1400;

		give(len, (uint8_t)i);
		assert_int_equal(receive(0), 1);
		assert_received(len, (uint8_t)i);
		post(len, (uint8_t)i, i & SL_PACKET_WRITABLE);
		assert_true(transmit(0) >= 1);
		assert_sent(len, (uint8_t)i, true);
	}
	post(9000, 7, 0);
	assert_true(transmit(0) >= 1);
	assert_sent(9000, 7, true);
}

static void assert_counters(uint64_t packets_rx, uint64_t packets_tx)
{
	struct sl_counters c = {0};

	port->ops->stats(port, 0, &c);
	assert_int_equal(c.rx.packets, packets_rx);
	assert_int_equal(c.tx.packets, packets_tx);
	assert_int_equal(c.tx.copied, packets_tx);
	assert_int_equal(sl_count_drops(&c.rx) + sl_count_drops(&c.tx), 0);
}

static void test_split(void **state)
{
	struct sl_port_info info;

	(void)state;
	bring_up("");
	assert_true(back.got_features & BACK_BIT(VIRTIO_F_IN_ORDER));
	port->ops->info(port, &info);
	assert_int_equal(info.mtu, 1500);
	assert_memory_equal(info.mac, config.mac, 6);
	assert_int_equal(info.layer, 2);
	assert_true(info.emits & SL_CAN_USO && info.accepts & SL_CAN_USO);
	carry();
	assert_counters(3 * QUEUE, 3 * QUEUE + 1);
	assert_int_equal(back_saw(&back, VHOST_USER_GET_INFLIGHT_FD), 0);
	back_join(&back);
}

static void test_split_any_order(void **state)
{
	(void)state;
	new_back(ALL & ~(BACK_BIT(VIRTIO_F_IN_ORDER) | BACK_BIT(VIRTIO_F_EVENT_IDX)));
	bring_up("");
	carry();
	back_join(&back);
}

static void test_packed(void **state)
{
	(void)state;
	new_back(UINT64_MAX);
	bring_up(",packed=on");
	assert_true(back.got_features & BACK_BIT(VIRTIO_F_RING_PACKED));
	carry();
	back_join(&back);
}

static void test_packed_any_order(void **state)
{
	(void)state;
	new_back(UINT64_MAX & ~BACK_BIT(VIRTIO_F_IN_ORDER));
	bring_up(",packed=on");
	carry();
	back_join(&back);
}

static void test_packed_only_when_wanted(void **state)
{
	(void)state;
	new_back(UINT64_MAX);
	bring_up("");
	assert_false(back.got_features & BACK_BIT(VIRTIO_F_RING_PACKED));
	back_join(&back);
}

/* Packets are used in another order than they were sent: no slot is given out twice. */
static void test_tx_out_of_order(void **state)
{
	static const uint32_t lens[] = {60, 5000, 1500, 9000, 100, 2037};
	struct oracle_chain chains[6];

	(void)state;
	new_back(UINT64_MAX & ~BACK_BIT(VIRTIO_F_IN_ORDER));
	bring_up(",packed=on");
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < 6; i++) {
			post(lens[i], (uint8_t)(round + i), 0);
			assert_true(transmit(0) >= 1);
			assert_true(oracle_take(&tx, &chains[i]));
		}
		for (unsigned n = 0; n < 6; n++) {
			const struct oracle_chain *c = &chains[(n * 5 + round) % 6];
			unsigned who = (n * 5 + round) % 6;

			for (unsigned e = 0; e < c->n; e++) {
				const uint8_t *from = at_iova(c->elems[e].addr, c->elems[e].len);

				assert_int_equal(from[e ? 0 : HDR], (uint8_t)(round + who));
				assert_int_equal(from[c->elems[e].len - 1], (uint8_t)(round + who));
			}
			oracle_put(&tx, c->id, c->descs, 0);
			if (n == 2)
				transmit(0); /* some slots are free again, others are not */
		}
		transmit(0);
	}
	back_join(&back);
}

static void test_offload(void **state)
{
	struct virtio_net_hdr_v1 hdr = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					.gso_type = SL_GSO_UDP_L4,
					.gso_size = 1000,
					.csum_start = 34,
					.csum_offset = 6,
					.num_buffers = 3};
	uint32_t at;

	(void)state;
	bring_up("");
	give_to(&rx, 1800, 5, hdr);
	give_to(&rx, 1800, 5, hdr);
	give_to(&rx, 100, 5, hdr);
	assert_int_equal(receive(0), 1);
	assert_int_equal(sl_ring_ready(rx_ring, &at), 1);
	assert_int_equal(sl_ring_packet(rx_ring, at)->more, 2);
	assert_int_equal(sl_ring_offload(rx_ring, at)->gso_type, SL_GSO_UDP_L4);
	post(9000, 6, SL_PACKET_OFFLOAD);
	assert_true(transmit(0) >= 1);
	hdr = assert_sent(9000, 6, true);
	assert_int_equal(hdr.gso_type, SL_GSO_UDP_L4);
	assert_int_equal(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(hdr.gso_size, 1400);
	back_join(&back);
}

static void test_pairs(void **state)
{
	struct oracle other;
	uint32_t at;

	(void)state;
	back.queues = 2; /* pairs */
	bring_up(",queues=2");
	assert_true(back.got_features & BACK_BIT(VIRTIO_NET_F_MQ));
	assert_false(back.got_features & BACK_BIT(VIRTIO_NET_F_CTRL_VQ));
	other = device_of(2);
	give_to(&other, 300, 3, (struct virtio_net_hdr_v1){.num_buffers = 1});
	assert_int_equal(receive(0), 0);
	assert_int_equal(receive(1), 1);
	assert_received(300, 3);
	post(200, 8, 0);
	assert_true(transmit(1) >= 1);
	tx = device_of(3);
	assert_sent(200, 8, true);
	assert_int_equal(sl_ring_ready(tx_ring, &at), 0);
	back_join(&back);
}

/*
 * Interrupts.
 */

static bool readable(int fd)
{
	return poll(&(struct pollfd){fd, POLLIN, 0}, 1, 0) == 1;
}

static void test_arm(void **state)
{
	int both, rx_fd, tx_fd;

	(void)state;
	bring_up("");
	both = port->ops->fd(port, 0, SL_PORT_RX | SL_PORT_TX);
	assert_int_equal(port->ops->arm(port, 0, SL_PORT_RX), POLLIN);
	assert_false(readable(both));
	give(60, 1);
	sl_event_signal(back.rings[0].call);
	assert_true(readable(both));
	assert_int_equal(port->ops->arm(port, 0, SL_PORT_RX), SL_PORT_READY);
	assert_false(readable(both));
	rx_fd = port->ops->fd(port, 0, SL_PORT_RX);
	tx_fd = port->ops->fd(port, 0, SL_PORT_TX);
	port->ops->arm(port, 0, SL_PORT_RX); /* it forgets what came before it was asked for */
	sl_event_signal(back.rings[1].call);
	assert_true(readable(tx_fd) && !readable(rx_fd));
	port->ops->arm(port, 0, SL_PORT_RX); /* it clears its own alone */
	assert_true(readable(tx_fd));
	/* Nothing is in flight: no interrupt would come, the queue has room. */
	assert_int_equal(port->ops->arm(port, 0, SL_PORT_TX), SL_PORT_READY);
	post(60, 1, 0);
	assert_true(transmit(0) >= 1);
	assert_int_equal(port->ops->arm(port, 0, SL_PORT_TX), POLLIN);
	assert_true(readable(back.rings[1].kick));
	back_join(&back);
}

/*
 * Back ends come and go.
 */

static void lose(void)
{
	back_join(&back);
	for (unsigned i = 0; i < 1000 && port->ops->control(port, sl_now_ns()) != -ENODEV; i++)
		usleep(1000);
	assert_reason("back end");
	port->ops->stop(port);
	assert_false(attached());
}

static void test_waits(void **state)
{
	uint64_t before = sl_now_ns();

	(void)state;
	open_port("");
	assert_false(attached());
	for (unsigned i = 0; i < 3; i++)
		assert_false(control());
	assert_true(sl_now_ns() - before > 150 * SL_NS_PER_MS); /* not all the time */
	bring_up("");
	carry();
	assert_int_equal(port->ops->deadline(port), SL_NEVER);
	back_join(&back);
}

static void test_listens(void **state)
{
	(void)state;
	open_port(",mode=listen");
	assert_false(control());
	assert_int_equal(sl_unix_connect(path, SOCK_STREAM, &back.sock), 0);
	back_start(&back);
	assert_true(control());
	rx = device_of(0);
	tx = device_of(1);
	carry();
	back_join(&back);
}

/* All buffers come back, also those that were lent while one back end went and another came. */
static void test_again_and_again(void **state)
{
	static const struct virtio_net_hdr_v1 one = {.num_buffers = 1}, large = {.num_buffers = 2};
	struct sl_port_info info;
	uint32_t at, generation = 0;

	(void)state;
	for (unsigned round = 0; round < 8; round++) {
		struct oracle_chain c;
		unsigned n = 0;

		new_back(round & 1 ? UINT64_MAX : ALL & ~BACK_BIT(VIRTIO_NET_F_GUEST_TSO4));
		bring_up(",packed=on");
		port->ops->info(port, &info);
		assert_true(info.generation != generation); /* it is like another one */
		generation = info.generation;
		assert_int_equal(!(info.emits & SL_CAN_TSO4), !(round & 1));
		for (unsigned i = 0; i < 40; i++)
			give(100, (uint8_t)i);
		assert_int_equal(receive(0), 40);
		give_to(&rx, 1800, 1, large);
		give_to(&rx, 700, 1, large);
		assert_int_equal(receive(0), 1);
		for (unsigned i = 0; i < 40; i++) {
			post(3000, (uint8_t)i, 0);
			assert_true(transmit(0) >= 1);
		}
		lose();
		/* What was received stays the ring's until it is given back. */
		for (unsigned i = 0; i < 40; i++)
			assert_received(100, (uint8_t)i);
		assert_int_equal(sl_ring_ready(rx_ring, &at), 1);
		assert_int_equal(sl_ring_packet(rx_ring, at)->more, 1);
		sl_ring_consume(rx_ring, 1);
		new_back(ALL);
		bring_up("");
		generation = (port->ops->info(port, &info), info.generation);
		receive(0);
		/* A whole queue of buffers, again and again: none was lost, none is there twice. */
		for (unsigned i = 0; i < QUEUE; i++) {
			assert_true(oracle_take(&rx, &c));
			memcpy(at_iova(c.elems[0].addr, HDR), &one, HDR);
			n++;
			oracle_put(&rx, c.id, 1, HDR + 1);
		}
		assert_int_equal(n, QUEUE);
		for (unsigned i = 0; i < QUEUE / 64; i++)
			assert_int_equal(receive(0), 64);
		for (unsigned i = 0; i < QUEUE; i++)
			assert_true(oracle_take(&rx, &c)); /* and as many more */
		sl_ring_consume(rx_ring, sl_ring_ready(rx_ring, &at));
		receive(0);
		lose();
	}
}

static void test_link_state(void **state)
{
	struct sl_counters c = {0};
	uint32_t at;

	(void)state;
	bring_up("");
	((struct virtio_net_config *)&back.config)->status = 0;
	back.ask = VHOST_USER_BACKEND_CONFIG_CHANGE_MSG;
	{
		struct vhost_user_msg ask = {.request = VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
					     .flags = VHOST_USER_VERSION};

		assert_int_equal(sl_vhost_user_send(back.channel, &ask), 0);
	}
	assert_int_equal(port->ops->control(port, sl_now_ns()), 0);
	post(60, 1, 0);
	assert_int_equal(transmit(0), 1);
	port->ops->stats(port, 0, &c);
	assert_int_equal(c.tx.drops[SL_DROP_DOWN], 1);
	assert_int_equal(sl_ring_ready(tx_ring, &at), 0);
	assert_true(attached());
	back_join(&back);
}

/*
 * Back ends that cannot be used, or do what they must not.
 */

static void refused(const char *more, const char *why)
{
	connect_back();
	open_port(more);
	for (unsigned i = 0; i < 50 && !strstr(sl_reason(), why); i++)
		assert_false(control());
	assert_reason(why);
	back_join(&back);
}

static void test_too_few_pairs(void **state)
{
	(void)state;
	back.queues = 2;
	refused(",queues=3", "has 2 pairs of queues: 3 are wanted");
}

static void test_one_pair_without_mq(void **state)
{
	(void)state;
	back.protocol &= ~BACK_BIT(VHOST_USER_PROTOCOL_F_MQ);
	refused(",queues=2", "has 1 pairs of queues: 2 are wanted");
}

static void test_no_config(void **state)
{
	struct sl_port_info info;
	uint8_t none[6] = {0};

	(void)state;
	back.protocol &= ~(BACK_BIT(VHOST_USER_PROTOCOL_F_CONFIG) |
			   BACK_BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) |
			   BACK_BIT(VHOST_USER_PROTOCOL_F_STATUS));
	bring_up("");
	port->ops->info(port, &info);
	assert_memory_equal(info.mac, none, 6);
	assert_int_equal(info.mtu, 1500);
	carry();
	back_join(&back);
}

static void test_bad_config(void **state)
{
	(void)state;
	((struct virtio_net_config *)&back.config)->mtu = 12;
	refused("", "MTU is 12");
}

/* Whatever answer is wrong, and how: there is an end to it, and the next back end is served. */
static void test_lies(void **state)
{
	static const enum back_evil evils[] = {EVIL_DIES,  EVIL_HALF,	EVIL_OTHER, EVIL_NO_FLAG,
					       EVIL_SHORT, EVIL_LONG,	EVIL_FDS,   EVIL_VERSION,
					       EVIL_ONES,  EVIL_ZEROES, EVIL_TWICE};
	int answers = 1;

	(void)state;
	for (int at = 0; at < answers; at++) {
		for (unsigned e = 0; e < sl_array_len(evils); e++) {
			if (evils[e] == EVIL_HALF && at % 8) /* each of these takes its time */
				continue;
			new_back(ALL);
			back.evil = evils[e];
			back.evil_at = at;
			connect_back();
			open_port("");
			if (control())
				port->ops->stop(port);
			assert_false(attached());
			port->ops->close(port);
			port = NULL;
			back_join(&back);
		}
		new_back(ALL);
		bring_up("");
		answers = back.answers;
		port->ops->close(port);
		port = NULL;
		back_join(&back);
	}
	assert_true(answers > 15);
}

static void test_mute(void **state)
{
	uint64_t before;

	(void)state;
	back.evil = EVIL_MUTE;
	back.evil_at = 5;
	connect_back();
	open_port("");
	before = sl_now_ns();
	assert_false(control());
	assert_reason("has not answered");
	assert_true(sl_now_ns() - before < 2 * SL_NS_PER_S);
	assert_true(port->ops->deadline(port) > sl_now_ns());
	back_join(&back);
	/* Whoever listens and does not answer at all is not waited for. */
	new_back(ALL);
	back.evil = EVIL_MUTE;
	back.evil_at = 0;
	connect_back();
	before = sl_now_ns();
	assert_false(control());
	assert_true(sl_now_ns() - before < 500 * SL_NS_PER_MS);
	while (!strstr(sl_reason(), "VHOST_USER_GET_FEATURES")) {
		uint64_t call = sl_now_ns();

		assert_true(call - before < 5 * SL_NS_PER_S);
		port->ops->control(port, call);
		assert_true(sl_now_ns() - call < 500 * SL_NS_PER_MS);
		usleep(1000);
	}
	assert_false(attached());
	back_join(&back);
	new_back(ALL);
	bring_up("");
	carry();
	back_join(&back);
}

/* Each breaks the queue, and is forgiven with the next connection. */
static void broken(const char *why, int ret)
{
	assert_int_equal(ret, -ENODEV);
	assert_reason(why);
	port->ops->stop(port);
	assert_false(attached());
	back_join(&back);
	new_back(ALL);
	back.many = true;
}

static void test_hostile_rings(void **state)
{
	struct oracle_chain c;

	(void)state;
	bring_up("");
	oracle_put(&rx, 9999, 1, 60);
	broken("names no descriptor", receive(0));

	new_back(ALL & ~BACK_BIT(VIRTIO_F_IN_ORDER));
	bring_up("");
	give(60, 1);
	assert_int_equal(receive(0), 1);
	assert_received(60, 1);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(oracle_take(&rx, &c));
		oracle_put(&rx, 7, 1, 0); /* twice */
	}
	broken("does not have", receive(0));

	bring_up("");
	assert_true(oracle_take(&rx, &c));
	oracle_put(&rx, c.id, 1, c.elems[0].len + 1);
	broken("longer than its buffer", receive(0));

	bring_up("");
	sl_store_release(&rx.used_ring->idx, 300);
	broken("ahead", receive(0));

	bring_up("");
	give_to(&rx, 60, 1, (struct virtio_net_hdr_v1){.num_buffers = 0});
	broken("cannot be", receive(0));

	bring_up("");
	give_to(&rx, 60, 1, (struct virtio_net_hdr_v1){.num_buffers = 9});
	give(60, 1);
	broken("not all there", receive(0));

	bring_up("");
	oracle_put(&tx, 3, 1, 0);
	broken("ahead", transmit(0));

	bring_up("");
	carry();
	back_join(&back);
}

static void test_bad_headers(void **state)
{
	struct virtio_net_hdr_v1 hdr = {.num_buffers = 1};
	struct sl_counters c = {0};

	(void)state;
	bring_up("");
	for (unsigned type = 2; type < 256; type++) {
		if (type == SL_GSO_TCPV6 || type == SL_GSO_UDP_L4)
			continue;
		hdr.gso_type = (uint8_t)type; /* and no checksum to be done, no size */
		give_to(&rx, 200, 1, hdr);
		assert_int_equal(receive(0), 1);
	}
	port->ops->stats(port, 0, &c);
	assert_int_equal(c.rx.packets, 0);
	assert_int_equal(c.rx.drops[SL_DROP_MALFORMED], 252);
	give(60, 1);
	assert_int_equal(receive(0), 1);
	assert_received(60, 1);
	back_join(&back);
}

#define test_fresh(test) cmocka_unit_test_setup_teardown(test, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_fresh(test_split),
		test_fresh(test_split_any_order),
		test_fresh(test_packed),
		test_fresh(test_packed_any_order),
		test_fresh(test_packed_only_when_wanted),
		test_fresh(test_tx_out_of_order),
		test_fresh(test_offload),
		test_fresh(test_pairs),
		test_fresh(test_arm),
		test_fresh(test_waits),
		test_fresh(test_listens),
		test_fresh(test_again_and_again),
		test_fresh(test_link_state),
		test_fresh(test_too_few_pairs),
		test_fresh(test_one_pair_without_mq),
		test_fresh(test_no_config),
		test_fresh(test_bad_config),
		test_fresh(test_lies),
		test_fresh(test_mute),
		test_fresh(test_hostile_rings),
		test_fresh(test_bad_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
