/* SPDX-License-Identifier: BSD-2-Clause */
/* A NIC's control: what a driver is told of it, what the link is told of a driver, and who waits
 * for whom. */
#include "net_traffic.h"

#define MAC	   "02:11:22:33:44:55"
#define CONFIG_LEN (offsetof(struct virtio_net_config, mtu) + 2)

static struct virtio_net_config config(void)
{
	struct vhost_user_msg msg = message(VHOST_USER_GET_CONFIG, 12 + CONFIG_LEN);
	struct virtio_net_config c = {0};

	msg.payload.config.size = CONFIG_LEN;
	say(&msg);
	assert_int_equal(hear(&msg), 0);
	memcpy(&c, msg.payload.config.region, CONFIG_LEN);
	return c;
}

static void test_features(void **state)
{
	struct sl_port_info before = info(), now;

	(void)state;
	assert_int_equal(before.attached, 0);
	assert_int_equal(before.layer, 2);
	assert_int_equal(before.queues, 2);
	assert_int_equal(before.dirs, SL_PORT_RX | SL_PORT_TX);
	assert_int_equal(control(), 0);
	start_driver(HOST_ALL, 2);
	now = info();
	assert_int_equal(now.attached, 1);
	assert_int_equal(now.emits, CAN_ALL);
	assert_int_equal(now.accepts, 0);
	assert_int_not_equal(now.generation, before.generation);
	before = now;
	assert_int_equal(control(), 0);
	assert_int_equal(info().generation, before.generation);
	disconnect();
	assert_int_equal(info().attached, 0);
	connect_front();
	start_driver(GUEST_ALL | BIT(VIRTIO_NET_F_CSUM), 2);
	now = info();
	assert_int_equal(now.emits, SL_CAN_CSUM);
	assert_int_equal(now.accepts, CAN_ALL);
	assert_int_not_equal(now.generation, before.generation);
}

/* The link is told once, by what control() returns. */
static void test_change_told(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_FEATURES, 8);

	(void)state;
	msg.payload.u64 = ALWAYS | HOST_ALL;
	assert_int_equal(sl_vhost_user_send(front.sock, &msg), 0);
	assert_int_equal(rig.port->ops->control(rig.port, sl_now_ns()), 1);
	assert_int_equal(rig.port->ops->control(rig.port, sl_now_ns()), 0);
}

/* Its packets' header would be a shorter one. */
static void test_legacy_driver(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_PROTOCOL_FEATURES, 8);

	(void)state;
	msg.payload.u64 = PROTOCOL_ALL;
	say(&msg);
	assert_false(ask_u64(VHOST_USER_SET_FEATURES, BIT(VHOST_USER_F_PROTOCOL_FEATURES)));
	assert_non_null(strstr(front.log, "virtio 1.0"));
	assert_true(ask_u64(VHOST_USER_SET_FEATURES, ALWAYS));
}

static void test_config(void **state)
{
	struct virtio_net_config c;
	const uint8_t mac[] = {2, 0x11, 0x22, 0x33, 0x44, 0x55};

	(void)state;
	negotiate(0);
	c = config();
	assert_memory_equal(c.mac, mac, 6);
	assert_memory_equal(info().mac, mac, 6);
	assert_int_equal(c.status, VIRTIO_NET_S_LINK_UP);
	assert_int_equal(c.max_virtqueue_pairs, 2);
	assert_int_equal(c.mtu, 9000);
	assert_int_equal(info().mtu, 9000);
}

/* Each NIC has another, of the local kind, of one station. */
static void test_random_mac(void **state)
{
	struct sl_port *other = NULL;
	struct sl_port_info i;
	char spec[128];

	(void)state;
	negotiate(0);
	assert_memory_equal(config().mac, info().mac, 6);
	assert_int_equal(info().mac[0] & 3, 2);
	snprintf(spec, sizeof(spec), "vhost-user:path=%s/other", front.folder);
	assert_int_equal(sl_port_open(spec, NULL, &other), 0);
	other->ops->info(other, &i);
	assert_memory_not_equal(i.mac, info().mac, 6);
	other->ops->close(other);
}

static bool told(int sock)
{
	struct vhost_user_reader reader = {0};
	struct vhost_user_msg msg;
	int ret = sl_vhost_user_recv(sock, &reader, VHOST_USER_KIND_BACKEND_REQUEST, &msg);

	if (ret == -EAGAIN)
		return false;
	assert_int_equal(ret, 0);
	assert_int_equal(msg.request, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG);
	return true;
}

static void test_carrier(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_BACKEND_REQ_FD, 0);
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	start_driver(BIT(VIRTIO_NET_F_STATUS), 2);
	msg.fds[msg.n_fds++] = pair[1];
	assert_true(ask(&msg));
	sl_fd_close(&pair[1]);
	rig.port->ops->carrier(rig.port, true); /* it is */
	assert_false(told(pair[0]));
	rig.port->ops->carrier(rig.port, false);
	assert_true(told(pair[0]));
	assert_int_equal(config().status, 0);
	rig.port->ops->carrier(rig.port, false);
	assert_false(told(pair[0]));
	rig.port->ops->carrier(rig.port, true);
	assert_true(told(pair[0]));
	assert_false(told(pair[0]));
	assert_int_equal(config().status, VIRTIO_NET_S_LINK_UP);
	sl_fd_close(&pair[0]);
}

static void test_mtu(void **state)
{
	const struct sl_port_info other = {.mtu = 1420}, best = {.mtu_best = 1380},
				  large = {.mtu = 70000};

	(void)state;
	negotiate(0);
	assert_int_equal(config().mtu, 1500);
	assert_int_equal(info().mtu, 0);
	assert_true(ask_u64(VHOST_USER_NET_SET_MTU, 1400));
	assert_int_equal(config().mtu, 1400);
	assert_true(ask_u64(VHOST_USER_NET_SET_MTU, 68));
	assert_false(ask_u64(VHOST_USER_NET_SET_MTU, 67));
	assert_false(ask_u64(VHOST_USER_NET_SET_MTU, 65536 + 1500));
	assert_int_equal(config().mtu, 68);
	assert_int_equal(rig.port->ops->join(rig.port, &other), 0);
	assert_int_equal(config().mtu, 1420);
	assert_int_equal(rig.port->ops->join(rig.port, &best), 0);
	assert_int_equal(config().mtu, 1380);
	assert_int_equal(rig.port->ops->join(rig.port, &large), 0);
	assert_int_equal(config().mtu, 1380);
}

/* What the user has said is so. */
static void test_mtu_given(void **state)
{
	const struct sl_port_info other = {.mtu = 1420};

	(void)state;
	negotiate(0);
	assert_true(ask_u64(VHOST_USER_NET_SET_MTU, 9000));
	assert_false(ask_u64(VHOST_USER_NET_SET_MTU, 1500));
	assert_int_equal(rig.port->ops->join(rig.port, &other), 0);
	assert_int_equal(config().mtu, 9000);
}

/* RFC 903 */
static void test_announce(void **state)
{
	const uint8_t frame[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 1, 2, 3, 4, 5, 0x80,
				   0x35, 0,    1,    8,	   0,	 6,    4, 0, 3, 2, 1, 2, 3,
				   4,	 5,    0,    0,	   0,	 0,    2, 1, 2, 3, 4, 5};
	struct vhost_user_msg msg = message(VHOST_USER_SEND_RARP, 8);
	uint8_t bytes[PACKET_MAX];
	unsigned frames = 0, others = 0;
	uint32_t at;

	(void)state;
	memcpy(msg.payload.bytes, (const uint8_t[]){2, 1, 2, 3, 4, 5, 0, 0}, 8);
	start_driver(0, 4);
	give(0, 60, 0);
	give(0, 13, 9);
	give(0, 60, 1);
	assert_int_equal(rx(0), 3);
	assert_true(ask(&msg));
	give(0, 60, 2);
	while (rx(0) > 0)
		;
	assert_int_equal(rx(1), 0);
	assert_int_equal(come_back(TX_OF(0)), 0);
	while (sl_ring_ready(rig.rx[0], &at)) {
		struct sl_packet *packet = sl_ring_packet(rig.rx[0], at);

		assert_false(packet->flags & SL_PACKET_WRITABLE);
		if (gather(rig.rx[0], packet, bytes) == 60 && !memcmp(bytes, frame, 60)) {
			frames++;
			sl_ring_consume(rig.rx[0], 1);
		} else {
			consume(0, 60, others++);
		}
		rx(0);
		come_back(TX_OF(0));
		/* the dropped one as well */
		assert_int_equal(rig.queues[TX_OF(0)].back, others + (others > 0));
	}
	assert_int_equal(frames, 3);
	assert_int_equal(others, 3);
	assert_int_equal(rx(0), 0);
	assert_int_equal(counters(0).rx.packets, 3); /* those are not the driver's */
}

/* They are recalled as everything is, and no buffer is used for them. */
static void test_announce_recalled(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SEND_RARP, 8);

	(void)state;
	start_driver(0, 2);
	assert_true(ask(&msg));
	assert_int_equal(rx(0), 1);
	assert_int_equal(rx(0), 1);
	say_get_base(TX_OF(0));
	rx(0);
	sl_ring_abandon(rig.rx[0]);
	if (sl_ring_recalled(rig.rx[0]))
		sl_ring_yield(rig.rx[0]);
	control();
	rx(0);
	control();
	assert_int_equal(hear_base(), first_base());
	assert_int_equal(rig.queues[TX_OF(0)].back, 0);
}

static int arm(unsigned pair, unsigned want)
{
	return rig.port->ops->arm(rig.port, pair, want);
}

static bool signalled(unsigned pair, unsigned dirs)
{
	struct pollfd fd = {.fd = rig.port->ops->fd(rig.port, pair, dirs), .events = POLLIN};

	return poll(&fd, 1, 0);
}

/* A kick comes only to who is armed, and nothing that was there before is missed. */
static void test_arm(void **state)
{
	const uint32_t room[] = {100};
	struct virtq_driver *vq;

	(void)state;
	start_driver(0, 4);
	while (arm(0, SL_PORT_RX) == SL_PORT_READY)
		rx(0);
	assert_int_equal(arm(0, SL_PORT_RX), POLLIN);
	assert_false(signalled(0, SL_PORT_RX));
	give(1, 60, 0);
	assert_false(signalled(0, SL_PORT_RX));
	assert_true(signalled(1, SL_PORT_RX));
	give(0, 60, 0);
	assert_true(signalled(0, SL_PORT_RX));
	assert_int_equal(arm(0, SL_PORT_RX), SL_PORT_READY);
	assert_int_equal(rx(0), 1);
	/* awake: nobody has to kick */
	vq = &rig.queues[TX_OF(0)].vq;
	assert_true(add(TX_OF(0), room, 1) >= 0);
	assert_false(sl_virtq_publish(vq));
	assert_int_equal(rx(0), 1);
	assert_int_equal(arm(0, SL_PORT_RX), POLLIN);
	assert_true(add(TX_OF(0), room, 1) >= 0);
	assert_true(sl_virtq_publish(vq));
}

static void test_arm_tx(void **state)
{
	static uint8_t bytes[60];
	const uint32_t room[] = {100};

	(void)state;
	start_driver(0, 4);
	post(0, bytes, 60, 0, NULL, 1);
	assert_int_equal(tx(0), 0);
	assert_int_equal(arm(0, SL_PORT_RX), POLLIN);
	assert_int_equal(arm(0, SL_PORT_TX), POLLIN);
	assert_false(signalled(0, SL_PORT_TX));
	make_room(0, 1, room, 1);
	assert_true(signalled(0, SL_PORT_TX));
	assert_false(signalled(0, SL_PORT_RX));
	assert_int_equal(arm(0, SL_PORT_TX), SL_PORT_READY);
	assert_int_equal(tx(0), 1);
}

/* One lane for both directions. */
static void test_arm_both(void **state)
{
	const unsigned both = SL_PORT_RX | SL_PORT_TX;
	const uint32_t room[] = {100};

	(void)state;
	start_driver(0, 4);
	signalled(0, both);
	assert_int_equal(arm(0, SL_PORT_RX), POLLIN);
	assert_int_equal(arm(0, both), POLLIN);
	assert_false(signalled(0, both));
	make_room(0, 1, room, 1);
	assert_true(signalled(0, both));
	assert_int_equal(arm(0, both), SL_PORT_READY);
	assert_int_equal(arm(0, SL_PORT_RX), POLLIN);
	assert_false(signalled(0, both));
	give(0, 60, 0);
	assert_true(signalled(0, both));
}

/* A driver without kicks is looked at all the time; one with other kicks by those. */
static void test_kicks_change(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_VRING_KICK, 8);
	int old;

	(void)state;
	start_driver(0, 4);
	msg.payload.u64 = TX_OF(0) | VHOST_USER_VRING_NOFD_MASK;
	assert_true(ask(&msg));
	assert_int_equal(arm(0, SL_PORT_RX), SL_PORT_READY);
	assert_int_equal(arm(0, SL_PORT_RX), SL_PORT_READY);
	old = rig.queues[TX_OF(0)].kick;
	rig.queues[TX_OF(0)].kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(ask_fd(VHOST_USER_SET_VRING_KICK, TX_OF(0), rig.queues[TX_OF(0)].kick));
	assert_int_equal(arm(0, SL_PORT_RX), POLLIN);
	assert_false(signalled(0, SL_PORT_RX));
	sl_event_signal(old);
	assert_false(signalled(0, SL_PORT_RX));
	sl_fd_close(&old);
	give(0, 60, 0);
	assert_true(signalled(0, SL_PORT_RX));
}

/* Who waits for a driver is told that it is there. */
static void test_driver_comes(void **state)
{
	const uint32_t room[] = {100};

	(void)state;
	assert_int_equal(arm(0, SL_PORT_RX), POLLIN);
	assert_int_equal(arm(1, SL_PORT_TX), POLLIN);
	assert_false(signalled(0, SL_PORT_RX));
	start_driver(0, 0);
	for (unsigned q = 0; q < 4; q++)
		make_queue(q);
	make_room(1, 1, room, 1);
	assert_true(give(0, 60, 0) >= 0);
	for (unsigned q = 0; q < 4; q++) {
		sl_event_clear(rig.queues[q].kick);
		describe_queue(q, first_base());
		kick_queue(q);
	}
	assert_true(signalled(0, SL_PORT_RX));
	assert_true(signalled(1, SL_PORT_TX));
	assert_int_equal(arm(0, SL_PORT_RX), SL_PORT_READY);
}

/* A driver need not use all pairs: what is for the others goes to those that it does use. */
static void test_steering(void **state)
{
	static uint8_t bytes[3][60], packet[PACKET_MAX];
	const uint32_t room[] = {100};
	struct virtio_net_hdr_v1 hdr;

	(void)state;
	start_driver(0, 4);
	assert_true(ask_state(VHOST_USER_SET_VRING_ENABLE, RX_OF(1), 0));
	make_room(0, 2, room, 1);
	make_room(1, 2, room, 1);
	post(1, bytes[0], 60, 0, NULL, 1);
	assert_int_equal(tx(1), 1);
	assert_int_equal(arrived(1, room, 1, &hdr, packet), -1);
	assert_int_equal(arrived(0, room, 1, &hdr, packet), 60);
	assert_true(is_pattern(packet, 60, 0));
	/* ... who waits for it waits for that one */
	assert_int_equal(arm(1, SL_PORT_TX), SL_PORT_READY);
	post(1, bytes[1], 60, 1, NULL, 1);
	post(1, bytes[2], 60, 2, NULL, 1);
	assert_int_equal(tx(1), 1);
	assert_int_equal(arm(1, SL_PORT_TX), POLLIN);
	assert_false(signalled(1, SL_PORT_TX));
	make_room(0, 1, room, 1);
	assert_true(signalled(1, SL_PORT_TX));
	assert_int_equal(tx(1), 1);
	assert_int_equal(arrived(0, room, 1, &hdr, packet), 60);
	assert_int_equal(arrived(0, room, 1, &hdr, packet), 60);
	assert_int_equal(counters(0).tx.packets, 3);
	assert_true(ask_state(VHOST_USER_SET_VRING_ENABLE, RX_OF(1), 1));
	post(1, bytes[0], 60, 3, NULL, 1);
	assert_int_equal(tx(1), 1);
	assert_int_equal(arrived(1, room, 1, &hdr, packet), 60);
	assert_true(is_pattern(packet, 60, 3));
	assert_true(ask_state(VHOST_USER_SET_VRING_ENABLE, RX_OF(0), 0));
	post(0, bytes[0], 60, 4, NULL, 1);
	assert_int_equal(tx(0), 1);
	assert_int_equal(arrived(1, room, 1, &hdr, packet), 60);
	assert_true(is_pattern(packet, 60, 4));
}

/* An open descriptor in place of a path: when its front end goes there is no other. */
static void test_adopted(void **state)
{
	struct sl_port *port = NULL;
	char spec[64];
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	snprintf(spec, sizeof(spec), "vhost-user:fd=%d", pair[1]);
	assert_int_equal(sl_port_open(spec, NULL, &port), 0);
	assert_int_equal(port->ops->control(port, sl_now_ns()), 0);
	sl_fd_close(&pair[0]);
	assert_int_equal(port->ops->control(port, sl_now_ns()), -ENODEV);
	port->ops->close(port);
}

static void test_bad_specs(void **state)
{
	const char *const specs[] = {"vhost-user:path=/tmp/x,queues=17",
				     "vhost-user:path=/tmp/x,queues=0",
				     "vhost-user:path=/tmp/x,mtu=67",
				     "vhost-user:path=/tmp/x,mac=1",
				     "vhost-user:mtu=1500",
				     "vhost-user:path=/nowhere/at/all",
				     "vduse:mtu=1500",
				     "uduse:mtu=1500"};
	struct sl_port *port = NULL;

	(void)state;
	for (unsigned n = 0; n < sl_array_len(specs); n++)
		assert_true(sl_port_open(specs[n], NULL, &port) < 0);
	assert_null(port);
}

static const struct variant two_split = {"", 0, ",queues=2", 0, 0},
			    two_packed = {"", PACKED, ",queues=2", 0, 0},
			    two_events = {"", EVENTS, ",queues=2", 0, 0},
			    all_given = {"", 0, ",queues=2,mtu=9000,mac=" MAC, 0, 0};

#define WITH_TWO(f) WITH(f, two_split), WITH(f, two_packed), WITH(f, two_events)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TWO(test_features),
		WITH(test_change_told, split),
		WITH(test_legacy_driver, split),
		WITH(test_config, all_given),
		WITH(test_random_mac, split),
		WITH(test_carrier, split),
		WITH(test_mtu, split),
		WITH(test_mtu_given, all_given),
		WITH_TWO(test_announce),
		WITH_TWO(test_announce_recalled),
		WITH_TWO(test_arm),
		WITH_TWO(test_arm_tx),
		WITH_TWO(test_arm_both),
		WITH_TWO(test_kicks_change),
		WITH_TWO(test_driver_comes),
		WITH_TWO(test_steering),
		WITH(test_adopted, split),
		WITH(test_bad_specs, split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
