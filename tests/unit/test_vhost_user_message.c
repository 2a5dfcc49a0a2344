/* SPDX-License-Identifier: BSD-2-Clause */
/* A vhost-user back end: every message, with what it should say and with what it should not. */
#include "vhost_user_driver.h"

#define FEATURES (OWN | BIT(VIRTIO_F_VERSION_1))
#define OF_RINGS                                                                                   \
	(BIT(VIRTIO_F_VERSION_1) | BIT(28) | BIT(29) | BIT(VIRTIO_F_RING_PACKED) |                 \
	 BIT(VIRTIO_F_IN_ORDER))

static void again(void)
{
	sl_fd_close(&front.sock);
	steps();
	front.sock = rig_connect();
	steps();
}

static void test_features(void **state)
{
	uint64_t offered = get_u64(VHOST_USER_GET_FEATURES);

	(void)state;
	assert_int_equal(offered, OWN | OF_RINGS | BIT(RIG_FEATURE));
	negotiate(FEATURES);
	assert_int_equal(rig.model.started, 1);
	for (unsigned bit = 0; bit < 64; bit++)
		if (!(offered & BIT(bit)))
			assert_false(ask_u64(VHOST_USER_SET_FEATURES, FEATURES | BIT(bit)));
	assert_false(ask_u64(VHOST_USER_SET_FEATURES, UINT64_MAX));
	assert_int_equal(rig.model.features, BIT(VIRTIO_F_VERSION_1));
	/* Others, as long as nothing runs. */
	assert_true(ask_u64(VHOST_USER_SET_FEATURES, offered));
	assert_int_equal(rig.model.features, offered & ~OWN);
	assert_true(ask_u64(VHOST_USER_SET_FEATURES, FEATURES));
	assert_true(ask_mem_table(GUEST_USER));
	start_ring(0);
	assert_false(ask_u64(VHOST_USER_SET_FEATURES, offered));
	assert_true(ask_u64(VHOST_USER_SET_FEATURES, FEATURES)); /* the same */
	assert_int_equal(rig.model.started, 3);
	make_available(0, 1);
	assert_int_equal(used(0), 1);
}

static void test_packed_off(void **state)
{
	char via[128];

	(void)state;
	snprintf(via, sizeof(via), "vhost-user:path=%s,packed=off", front.path);
	assert_int_equal(rig_offer(via), 0);
	front.sock = rig_connect();
	steps();
	assert_int_equal(get_u64(VHOST_USER_GET_FEATURES),
			 (OWN | OF_RINGS | BIT(RIG_FEATURE)) & ~BIT(VIRTIO_F_RING_PACKED));
	negotiate(FEATURES);
	assert_false(ask_u64(VHOST_USER_SET_FEATURES, FEATURES | BIT(VIRTIO_F_RING_PACKED)));
}

static void test_protocol_features(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_PROTOCOL_FEATURES, 8);

	(void)state;
	assert_int_equal(get_u64(VHOST_USER_GET_PROTOCOL_FEATURES), PROTOCOL_ALL);
	negotiate(FEATURES);
	for (unsigned bit = 0; bit < 64; bit++)
		if (!(PROTOCOL_ALL & BIT(bit)))
			assert_false(ask_u64(VHOST_USER_SET_PROTOCOL_FEATURES, BIT(bit)));
	/* Nobody is answered who did not negotiate that. */
	msg.payload.u64 = PROTOCOL_ALL & ~PROTOCOL(REPLY_ACK);
	msg.flags |= VHOST_USER_NEED_REPLY_MASK;
	say(&msg);
	assert_true(silent());
	msg = message(VHOST_USER_SET_OWNER, 0);
	msg.flags |= VHOST_USER_NEED_REPLY_MASK;
	say(&msg);
	assert_true(silent());
}

static void test_simple(void **state)
{
	(void)state;
	negotiate(FEATURES);
	assert_true(ask_bare(VHOST_USER_SET_OWNER));
	assert_int_equal(get_u64(VHOST_USER_GET_QUEUE_NUM), RIG_QUEUES);
	assert_int_equal(get_u64(VHOST_USER_GET_MAX_MEM_SLOTS), VHOST_USER_MEM_SLOTS);
	assert_int_equal(get_u64(VHOST_USER_GET_STATUS), 0);
	assert_true(ask_u64(VHOST_USER_SET_STATUS, 0xf));
	assert_int_equal(get_u64(VHOST_USER_GET_STATUS), 0xf);
	assert_false(ask_u64(VHOST_USER_SET_STATUS, 0x10f));
	assert_int_equal(get_u64(VHOST_USER_GET_STATUS), 0xf);
}

/* What is refused without a wish for an answer ends the connection: the front end would never know.
 * The next one finds everything as it should be. */
static void test_refused_without_answer(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_FEATURES, 8);

	(void)state;
	msg.payload.u64 = UINT64_MAX;
	say(&msg);
	assert_true(closed());
	assert_true(logged("were not offered"));
	again();
	start_device(FEATURES);
	make_available(0, 1);
	assert_int_equal(used(0), 1);
	msg = message(VHOST_USER_GET_VRING_BASE, 8); /* has an answer, which it cannot be */
	msg.payload.state.index = RIG_QUEUES;
	msg.flags |= VHOST_USER_NEED_REPLY_MASK;
	say(&msg);
	assert_true(closed());
	assert_int_equal(rig.model.regions, 0);
}

static void test_unknown(void **state)
{
	static const uint32_t requests[] = {0, 22, 23, 26, 28, 33, 35, 41, 99, UINT32_MAX};

	(void)state;
	for (unsigned i = 0; i < sl_array_len(requests); i++) {
		struct vhost_user_msg msg = message(requests[i], 8);

		negotiate(FEATURES);
		msg.n_fds = 1;
		msg.fds[0] = front.memory;
		assert_false(ask(&msg));
		msg.flags &= ~VHOST_USER_NEED_REPLY_MASK;
		say(&msg);
		assert_true(closed());
		again();
	}
}

/* A message of a protocol feature that was not negotiated. */
static void test_not_negotiated(void **state)
{
	static const struct {
		uint32_t request, size;
		uint64_t feature;
		bool fd;
	} cases[] = {
		{VHOST_USER_SET_BACKEND_REQ_FD, 0, PROTOCOL(BACKEND_REQ), true},
		{VHOST_USER_GET_CONFIG, 16, PROTOCOL(CONFIG), false},
		{VHOST_USER_SET_CONFIG, 16, PROTOCOL(CONFIG), false},
		{VHOST_USER_GET_INFLIGHT_FD, 24, PROTOCOL(INFLIGHT_SHMFD), false},
		{VHOST_USER_SET_INFLIGHT_FD, 24, PROTOCOL(INFLIGHT_SHMFD), true},
		{VHOST_USER_RESET_DEVICE, 0, PROTOCOL(RESET_DEVICE), false},
		{VHOST_USER_GET_MAX_MEM_SLOTS, 0, PROTOCOL(CONFIGURE_MEM_SLOTS), false},
		{VHOST_USER_ADD_MEM_REG, 40, PROTOCOL(CONFIGURE_MEM_SLOTS), true},
		{VHOST_USER_REM_MEM_REG, 40, PROTOCOL(CONFIGURE_MEM_SLOTS), false},
		{VHOST_USER_SET_STATUS, 8, PROTOCOL(STATUS), false},
		{VHOST_USER_GET_STATUS, 0, PROTOCOL(STATUS), false},
	};

	(void)state;
	for (unsigned i = 0; i < sl_array_len(cases); i++) {
		struct vhost_user_msg msg = message(VHOST_USER_SET_PROTOCOL_FEATURES, 8);

		msg.payload.u64 = PROTOCOL_ALL & ~cases[i].feature;
		say(&msg);
		msg = message(cases[i].request, cases[i].size);
		if (cases[i].size == 16)
			msg.payload.config.size = 4;
		msg.n_fds = cases[i].fd;
		msg.fds[0] = front.memory;
		say(&msg);
		assert_true(closed());
		assert_true(logged("was not negotiated"));
		front.log[0] = '\0';
		again();
	}
}

/* An index out of range, in every message that has one. */
static void test_index_out_of_range(void **state)
{
	static const uint32_t indices[] = {RIG_QUEUES, 255, 256, 0x10000, 0x80000000, UINT32_MAX};
	static const uint32_t states[] = {VHOST_USER_SET_VRING_NUM, VHOST_USER_SET_VRING_BASE,
					  VHOST_USER_SET_VRING_ENABLE};
	static const uint32_t events[] = {VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_CALL,
					  VHOST_USER_SET_VRING_ERR};

	(void)state;
	start_device(FEATURES);
	for (unsigned i = 0; i < sl_array_len(indices); i++) {
		struct vhost_user_msg addr = message(VHOST_USER_SET_VRING_ADDR, 40);

		for (unsigned m = 0; m < sl_array_len(states); m++)
			assert_false(ask_state(states[m], indices[i], 1));
		addr.payload.addr.index = indices[i];
		assert_false(ask(&addr));
	}
	for (unsigned m = 0; m < sl_array_len(events); m++)
		for (unsigned index = RIG_QUEUES; index < 256; index += 63)
			assert_false(ask_fd(events[m], index, rig.kick[0]));
	for (unsigned q = 0; q < RIG_QUEUES; q++) {
		make_available(q, 1);
		assert_int_equal(used(q), 1);
	}
}

static void test_bad_rings(void **state)
{
	static const uint32_t sizes[] = {0, 32769, 0x10000, 0x10010, UINT32_MAX};
	struct vhost_user_msg addr = message(VHOST_USER_SET_VRING_ADDR, 40);

	(void)state;
	negotiate(FEATURES);
	assert_true(ask_mem_table(GUEST_USER));
	describe_ring(0);
	for (unsigned i = 0; i < sl_array_len(sizes); i++)
		assert_false(ask_state(VHOST_USER_SET_VRING_NUM, 0, sizes[i]));
	/* What can only be known when it starts. */
	assert_true(ask_state(VHOST_USER_SET_VRING_NUM, 0, 24));
	assert_false(ask_fd(VHOST_USER_SET_VRING_KICK, 0, rig.kick[0]));
	assert_true(get_base(0) >= 0);
	assert_true(ask_state(VHOST_USER_SET_VRING_NUM, 0, 2 * RIG_SIZE));
	assert_false(ask_fd(VHOST_USER_SET_VRING_KICK, 0, rig.kick[0]));
	assert_true(logged("at most 64"));
	assert_true(get_base(0) >= 0);
	assert_true(ask_state(VHOST_USER_SET_VRING_NUM, 0, RING));
	addr.payload.addr.flags = 1; /* log what is written, which was not offered */
	assert_false(ask(&addr));
	/* No region has all of it. */
	for (unsigned i = 0; i < 3; i++) {
		const uint64_t user = GUEST_USER, end = GUEST_USER + GUEST_LEN;
		const uint64_t at[] = {user - 16, end - 16, end, 0, UINT64_MAX - 15};

		for (unsigned n = 0; n < sl_array_len(at); n++) {
			assert_true(ask_addr(0, i == 0 ? at[n] : user + DESC_AT(0),
					     i == 1 ? at[n] : user + AVAIL_AT(0),
					     i == 2 ? at[n] : user + USED_AT(0)));
			assert_false(ask_fd(VHOST_USER_SET_VRING_KICK, 0, rig.kick[0]));
			assert_false(runs(0));
			assert_true(get_base(0) >= 0);
		}
	}
	/* Up to the last byte of it. */
	assert_true(ask_addr(0, GUEST_USER + GUEST_LEN - 16 * RING, GUEST_USER + AVAIL_AT(0),
			     GUEST_USER + USED_AT(0)));
	assert_true(ask_fd(VHOST_USER_SET_VRING_KICK, 0, rig.kick[0]));
	assert_true(runs(0));
	assert_true(get_base(0) >= 0);
	/* Not aligned. */
	assert_true(ask_addr(0, GUEST_USER + 8, GUEST_USER + AVAIL_AT(0), GUEST_USER + USED_AT(0)));
	assert_false(ask_fd(VHOST_USER_SET_VRING_KICK, 0, rig.kick[0]));
	assert_true(silent());
}

static struct vhost_user_msg config_message(uint32_t request, uint32_t offset, uint32_t size,
					    uint32_t flags)
{
	struct vhost_user_msg msg = message(request, VHOST_USER_CONFIG_LEN + size);

	msg.payload.config.offset = offset;
	msg.payload.config.size = size;
	msg.payload.config.flags = flags;
	memset(msg.payload.config.region, 0x77, size);
	return msg;
}

static void test_get_config(void **state)
{
	static const struct {
		uint32_t offset, size;
		bool fails;
	} cases[] = {{0, RIG_CONFIG, false},   {4, 8, false},
		     {0, 256, false},	       {12, 8, false},
		     {255, 1, false},	       {256, 0, false},
		     {1, 256, true},	       {257, 0, true},
		     {UINT32_MAX, 1, true},    {UINT32_MAX, 0, true},
		     {UINT32_MAX - 3, 4, true}};

	(void)state;
	negotiate(FEATURES);
	for (unsigned i = 0; i < RIG_CONFIG; i++)
		rig.model.config[i] = (uint8_t)(i + 1);
	for (unsigned i = 0; i < sl_array_len(cases); i++) {
		uint32_t offset = cases[i].offset, size = cases[i].size;
		struct vhost_user_msg msg = config_message(VHOST_USER_GET_CONFIG, offset, size, 0);

		say(&msg);
		assert_int_equal(hear(&msg), 0);
		assert_int_equal(msg.size, cases[i].fails ? 0 : VHOST_USER_CONFIG_LEN + size);
		for (uint32_t at = 0; at < size && !cases[i].fails; at++)
			assert_int_equal(msg.payload.config.region[at],
					 offset + at < RIG_CONFIG ? offset + at + 1 : 0);
	}
}

static void test_set_config(void **state)
{
	static const struct {
		uint32_t offset, size, flags;
		bool works;
	} cases[] = {{12, 4, 0, true},		{15, 1, 0, true},  {16, 0, 0, true},
		     {0, 4, 0, false},		{12, 5, 0, false}, {17, 0, 0, false},
		     {UINT32_MAX, 4, 0, false}, {12, 4, 1, false}, {12, 4, 2, false}};

	(void)state;
	negotiate(FEATURES);
	for (unsigned i = 0; i < sl_array_len(cases); i++) {
		struct vhost_user_msg msg = config_message(VHOST_USER_SET_CONFIG, cases[i].offset,
							   cases[i].size, cases[i].flags);

		assert_int_equal(ask(&msg), cases[i].works);
	}
	for (unsigned i = 0; i < RIG_CONFIG; i++)
		assert_int_equal(rig.model.config[i], i < 12 ? 0 : 0x77);
}

/* The front end hears of another configuration, however little it listens. */
static void test_config_changes(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_BACKEND_REQ_FD, 0);
	struct vhost_user_reader reader = {0};
	int ends[2];

	(void)state;
	negotiate(FEATURES);
	sl_offer_changed(rig.offer); /* to nobody */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	msg.n_fds = 1;
	msg.fds[0] = front.memory;
	assert_false(ask(&msg));
	msg.fds[0] = ends[1];
	assert_true(ask(&msg));
	sl_fd_close(&ends[1]);
	sl_offer_changed(rig.offer);
	assert_int_equal(
		sl_vhost_user_recv(ends[0], &reader, VHOST_USER_KIND_BACKEND_REQUEST, &msg), 0);
	assert_int_equal(msg.request, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG);
	assert_int_equal(msg.flags, VHOST_USER_VERSION);
	for (unsigned i = 0; i < 5000; i++)
		sl_offer_changed(rig.offer);
	assert_true(silent());
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(
			sl_vhost_user_recv(ends[0], &reader, VHOST_USER_KIND_BACKEND_REQUEST, &msg),
			0);
	sl_fd_close(&ends[0]);
	sl_offer_changed(rig.offer);
	assert_true(silent());
}

/* Rings stop and are forgotten; the connection, the memory and the model stay. */
static void reset_by(uint32_t request, uint64_t value, uint32_t size, unsigned base)
{
	struct vhost_user_msg msg = message(request, size), answer;

	start_device(FEATURES);
	assert_true(ask_u64(VHOST_USER_SET_STATUS, 0xf));
	make_available(0, 1);
	rig.model.hold = true;
	make_available(0, 2);
	msg.payload.u64 = value;
	msg.flags |= VHOST_USER_NEED_REPLY_MASK;
	say(&msg);
	assert_true(silent()); /* until its requests have come to an end */
	rig.model.hold = false;
	rig_give_back();
	steps();
	assert_int_equal(hear(&answer), 0);
	assert_int_equal(answer.payload.u64, 0);
	assert_int_equal(get_u64(VHOST_USER_GET_STATUS), 0);
	assert_int_equal(rig.model.regions, 1);
	for (unsigned q = 0; q < RIG_QUEUES; q++) {
		assert_false(runs(q));
		assert_int_equal(get_base(q), q ? 0 : base);
	}
	/* All has to be said again, but for the memory. */
	assert_true(ask_u64(VHOST_USER_SET_FEATURES, FEATURES));
	assert_int_equal(rig.model.started, 2);
	rig.avail[0] = avail_of(0)->idx = used_of(0)->idx = 0;
	assert_true(ask_fd(VHOST_USER_SET_VRING_KICK, 0, rig.kick[0]));
	assert_false(runs(0));
	start_ring(0);
	make_available(0, 2);
	assert_int_equal(used(0), 2);
}

static void test_reset_device(void **state)
{
	(void)state;
	reset_by(VHOST_USER_RESET_DEVICE, 0, 0, 0);
}

/* QEMU 7.2 wants to know afterwards where rings stood, and goes on there. */
static void test_status_0(void **state)
{
	(void)state;
	reset_by(VHOST_USER_SET_STATUS, 0, 8, 3);
}

/* "It is recommended that back-ends [...] ignore this message." */
static void test_reset_owner(void **state)
{
	(void)state;
	start_device(FEATURES);
	assert_true(ask_bare(VHOST_USER_RESET_OWNER));
	make_available(0, 1);
	assert_int_equal(used(0), 1);
}

/* Many questions and no ears: nobody waits for it, and the next one is served. */
static void test_deaf(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_GET_FEATURES, 0);
	unsigned sent = 0;

	(void)state;
	while (sent++ < 10000 && !sl_vhost_user_send(front.sock, &msg))
		steps();
	assert_true(sent < 10000);
	assert_true(logged("does not read its answers"));
	again();
	assert_int_equal(get_u64(VHOST_USER_GET_QUEUE_NUM), RIG_QUEUES);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_up, rig_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_features),
		cmocka_unit_test_setup_teardown(test_packed_off, rig_bare, rig_down),
		TEST(test_protocol_features),
		TEST(test_simple),
		TEST(test_refused_without_answer),
		TEST(test_unknown),
		TEST(test_not_negotiated),
		TEST(test_index_out_of_range),
		TEST(test_bad_rings),
		TEST(test_get_config),
		TEST(test_set_config),
		TEST(test_config_changes),
		TEST(test_reset_device),
		TEST(test_status_0),
		TEST(test_reset_owner),
		TEST(test_deaf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
