/* SPDX-License-Identifier: BSD-2-Clause */
/* The port virtio-user with back ends over vhost-user, which come and go. */
#include "virtio_user_back.h"

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
				const uint8_t *from =
					at_iova(c->elems[e].addr, c->elems[e].len, false);

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
	assert_received(300, 3, false);
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
			assert_received(100, (uint8_t)i, false);
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
			memcpy(at_iova(c.elems[0].addr, HDR, true), &one, HDR);
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
		test_fresh(test_no_config),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
