/* SPDX-License-Identifier: BSD-2-Clause */
/* A vhost-user back end: rings that start, stop and change in every order. */
#include "vhost_user_driver.h"

#define FEATURES (OWN | BIT(VIRTIO_F_VERSION_1))

static void test_requests(void **state)
{
	(void)state;
	start_device(FEATURES);
	for (unsigned q = 0; q < RIG_QUEUES; q++) {
		make_available(q, 5);
		assert_int_equal(used(q), 5);
		assert_int_equal(signals(rig.call[q]), 1);
		assert_int_equal(front.guest[BUFFER_AT(4) + 15], 0x5a);
	}
	assert_int_equal(sl_offer_get_state(rig.offer), SL_OFFER_RUNNING);
	assert_int_equal(rig.model.taken, 15);
	assert_int_equal(rig.model.features, BIT(VIRTIO_F_VERSION_1));
}

/* It does not reset the device, nor stop another ring; and the ring goes on from there. */
static void test_get_vring_base(void **state)
{
	(void)state;
	start_device(FEATURES);
	make_available(0, 3);
	assert_int_equal(get_base(0), 3);
	assert_false(runs(0));
	assert_true(runs(1));
	make_available(0, 2);
	assert_int_equal(used(0), 3);
	make_available(1, 4);
	assert_int_equal(used(1), 4);
	assert_int_equal(rig.model.started, 1);
	/* Nothing but a kick is needed to go on: all else is as it was. */
	assert_true(ask_fd(VHOST_USER_SET_VRING_KICK, 0, rig.kick[0]));
	assert_int_equal(used(0), 5);
	assert_int_equal(get_base(0), 5);
	assert_int_equal(get_base(0), 5); /* of one that is stopped */
	assert_int_equal(get_base(2), 0);
	assert_int_equal(get_base(1), 4);
	assert_int_equal(sl_offer_get_state(rig.offer), SL_OFFER_SET_UP);
}

/* The answer waits for what is in flight, and so do messages behind it. */
static void test_get_vring_base_waits(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_GET_QUEUE_NUM, 0);

	(void)state;
	start_device(FEATURES);
	rig.model.hold = true;
	make_available(0, 3);
	assert_int_equal(get_base(0), -1);
	make_available(0, 2); /* nothing new is taken */
	assert_int_equal(rig.model.n_held, 3);
	say(&msg);
	assert_true(silent());
	assert_true(sleeps()); /* although there is something to read */
	rig_give_back();
	steps();
	assert_int_equal(used(0), 3);
	assert_int_equal(signals(rig.call[0]), 1);
	assert_int_equal(hear(&msg), 0);
	assert_int_equal(msg.request, VHOST_USER_GET_VRING_BASE);
	assert_int_equal(msg.payload.state.num, 3);
	assert_int_equal(hear(&msg), 0);
	assert_int_equal(msg.request, VHOST_USER_GET_QUEUE_NUM);
}

static void test_base(void **state)
{
	(void)state;
	negotiate(FEATURES);
	assert_true(ask_mem_table(GUEST_USER));
	rig.avail[0] = 0xfffe; /* and the index passes its end */
	avail_of(0)->idx = used_of(0)->idx = 0xfffe;
	start_ring(0);
	make_available(0, 4);
	assert_int_equal(used(0), 2);
	assert_false(ask_state(VHOST_USER_SET_VRING_BASE, 0, 7)); /* while it runs */
	assert_int_equal(get_base(0), 2);
	assert_true(ask_state(VHOST_USER_SET_VRING_BASE, 0, 0x10000));
	assert_false(ask_fd(VHOST_USER_SET_VRING_KICK, 0, rig.kick[0]));
	assert_false(runs(0));
}

/* With protocol features a ring starts disabled, and a kick does not enable it, nor disable it. */
static void test_enable(void **state)
{
	(void)state;
	negotiate(FEATURES);
	assert_true(ask_mem_table(GUEST_USER));
	describe_ring(0);
	assert_true(ask_fd(VHOST_USER_SET_VRING_KICK, 0, rig.kick[0]));
	assert_true(runs(0));
	make_available(0, 1);
	assert_int_equal(used(0), 0);
	assert_true(ask_state(VHOST_USER_SET_VRING_ENABLE, 0, 1));
	assert_int_equal(used(0), 1);
	assert_true(ask_fd(VHOST_USER_SET_VRING_KICK, 0, rig.kick[0]));
	make_available(0, 1);
	assert_int_equal(used(0), 2);
	/* The same features again: it stays enabled. */
	assert_true(ask_u64(VHOST_USER_SET_FEATURES, FEATURES));
	make_available(0, 1);
	assert_int_equal(used(0), 3);
	assert_true(ask_state(VHOST_USER_SET_VRING_ENABLE, 0, 0));
	make_available(0, 1);
	assert_int_equal(used(0), 3);
	/* It is remembered while the ring is stopped, and said of one that never ran. */
	assert_int_equal(get_base(0), 3);
	assert_true(ask_state(VHOST_USER_SET_VRING_ENABLE, 0, 1));
	assert_true(ask_fd(VHOST_USER_SET_VRING_KICK, 0, rig.kick[0]));
	assert_int_equal(used(0), 4);
	assert_false(ask_state(VHOST_USER_SET_VRING_ENABLE, 0, 2));
}

/* Without them it starts enabled, whether it was described before or after. */
static void test_without_protocol_features(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_FEATURES, 8);

	(void)state;
	negotiate(FEATURES); /* for the answers */
	assert_true(ask_mem_table(GUEST_USER));
	describe_ring(0);
	msg.payload.u64 = BIT(VIRTIO_F_VERSION_1);
	assert_true(ask(&msg));
	assert_true(ask_fd(VHOST_USER_SET_VRING_KICK, 0, rig.kick[0]));
	make_available(0, 1);
	assert_int_equal(used(0), 1);
	describe_ring(1);
	assert_true(ask_fd(VHOST_USER_SET_VRING_KICK, 1, rig.kick[1]));
	make_available(1, 1);
	assert_int_equal(used(1), 1);
}

/* One step is missing, another each time; with it the ring starts at once. */
static void test_every_order(void **state)
{
	static const char *const orders[] = {"mnakfe", "kanmfe", "famkne", "efknam", "amfken"};

	(void)state;
	for (unsigned i = 0; i < sl_array_len(orders); i++) {
		struct vhost_user_msg msg = message(VHOST_USER_SET_PROTOCOL_FEATURES, 8);

		msg.payload.u64 = PROTOCOL_ALL;
		say(&msg);
		make_available(0, 1);
		for (const char *at = orders[i]; *at; at++) {
			assert_int_equal(used(0), i);
			if (*at == 'm')
				assert_true(ask_mem_table(GUEST_USER));
			else if (*at == 'n')
				assert_true(ask_state(VHOST_USER_SET_VRING_NUM, 0, RING));
			else if (*at == 'a')
				assert_true(ask_addr(0, GUEST_USER + DESC_AT(0),
						     GUEST_USER + AVAIL_AT(0),
						     GUEST_USER + USED_AT(0)));
			else if (*at == 'k')
				assert_true(ask_fd(VHOST_USER_SET_VRING_KICK, 0, rig.kick[0]));
			else if (*at == 'f')
				assert_true(ask_u64(VHOST_USER_SET_FEATURES, FEATURES));
			else
				assert_true(ask_state(VHOST_USER_SET_VRING_ENABLE, 0, 1));
		}
		assert_int_equal(used(0), i + 1);
		sl_fd_close(&front.sock);
		steps();
		front.sock = rig_connect();
		steps();
		msg = message(VHOST_USER_SET_PROTOCOL_FEATURES, 8);
		msg.payload.u64 = PROTOCOL_ALL;
		say(&msg);
		assert_true(ask_state(VHOST_USER_SET_VRING_BASE, 0, i + 1));
	}
}

/* Its memory moves while it runs, with requests in flight. */
static void test_mem_table_while_running(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_MEM_TABLE, 8 + 2 * 32);

	(void)state;
	start_device(FEATURES);
	make_available(0, 3);
	rig.model.hold = true;
	make_available(0, 4);
	/* The same memory in two pieces, rings and buffers apart. */
	msg.flags |= VHOST_USER_NEED_REPLY_MASK;
	msg.payload.memory.nregions = msg.n_fds = 2;
	msg.payload.memory.regions[0] =
		(struct vhost_user_memory_region){GUEST_AT, 0x10000, GUEST_USER, 0};
	msg.payload.memory.regions[1] = (struct vhost_user_memory_region){
		GUEST_AT + 0x10000, 0x10000, GUEST_USER + 0x10000, 0x10000};
	msg.fds[0] = msg.fds[1] = front.memory;
	say(&msg);
	assert_true(silent());
	assert_int_equal(rig.model.regions, 1);
	rig.model.hold = false;
	rig_give_back();
	steps();
	assert_int_equal(hear(&msg), 0);
	assert_int_equal(msg.payload.u64, 0);
	assert_int_equal(rig.model.regions, 2);
	assert_int_equal(used(0), 7);
	for (unsigned q = 0; q < RIG_QUEUES; q++) {
		uint16_t before = used(q);

		make_available(q, 2);
		assert_int_equal(used(q), before + 2);
	}
	assert_int_equal(rig.model.started, 1);
}

/* Rings whose memory goes wait for it to come again. */
static void test_memory_comes_and_goes(void **state)
{
	(void)state;
	start_device(FEATURES);
	rig.model.hold = true;
	make_available(0, 2);
	/* Elsewhere: nobody waits for the ring. */
	assert_true(ask_region(VHOST_USER_ADD_MEM_REG, 0, 4096, 0x1000, 0));
	assert_int_equal(rig.model.n_held, 2);
	rig.model.hold = false;
	rig_give_back();
	steps();
	assert_int_equal(used(0), 2);
	assert_true(ask_region(VHOST_USER_REM_MEM_REG, 0, 4096, 0x1000, 0x12345));
	make_available(0, 1);
	assert_int_equal(used(0), 3);
	assert_true(ask_region(VHOST_USER_REM_MEM_REG, GUEST_AT, GUEST_LEN, GUEST_USER, 0));
	assert_int_equal(rig.model.regions, 0);
	assert_false(runs(0));
	make_available(0, 2);
	assert_int_equal(used(0), 3);
	assert_true(ask_region(VHOST_USER_ADD_MEM_REG, GUEST_AT, GUEST_LEN, GUEST_USER, 0));
	assert_int_equal(used(0), 5);
	assert_true(runs(2));
}

/* REM_MEM_REG waits for requests in flight. */
static void test_remove_waits(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_REM_MEM_REG, 40);

	(void)state;
	start_device(FEATURES);
	rig.model.hold = true;
	make_available(1, 2);
	msg.flags |= VHOST_USER_NEED_REPLY_MASK;
	msg.payload.mem_reg.region =
		(struct vhost_user_memory_region){GUEST_AT, GUEST_LEN, GUEST_USER, 0};
	say(&msg);
	assert_true(silent());
	assert_int_equal(rig.model.regions, 1);
	rig_give_back();
	steps();
	assert_int_equal(used(1), 2);
	assert_int_equal(rig.model.regions, 0);
	assert_int_equal(hear(&msg), 0);
	assert_int_equal(msg.payload.u64, 0);
}

/* A new call never costs an interrupt: it is signalled once. */
static void test_call_changes(void **state)
{
	int other = eventfd(0, EFD_CLOEXEC);

	(void)state;
	start_device(FEATURES);
	make_available(0, 1);
	assert_int_equal(signals(rig.call[0]), 1);
	assert_true(ask_fd(VHOST_USER_SET_VRING_CALL, 0, other));
	assert_int_equal(signals(other), 1);
	make_available(0, 1);
	assert_int_equal(signals(other), 1);
	assert_int_equal(signals(rig.call[0]), 0);
	/* None: the front end polls. */
	assert_true(ask_fd(VHOST_USER_SET_VRING_CALL, 0 | VHOST_USER_VRING_NOFD_MASK, -1));
	make_available(0, 1);
	assert_int_equal(used(0), 3);
	sl_fd_close(&other);
}

/* A full eventfd that blocks: nobody waits for it. */
static void test_call_is_full(void **state)
{
	int full = eventfd(0, EFD_CLOEXEC);
	uint64_t most = UINT64_MAX - 1;

	(void)state;
	start_device(FEATURES);
	assert_int_equal(write(full, &most, sizeof(most)), sizeof(most));
	assert_true(ask_fd(VHOST_USER_SET_VRING_CALL, 0, full));
	make_available(0, 1);
	assert_int_equal(used(0), 1);
	/* Its flags are the front end's, which may want to wait. */
	assert_int_equal(fcntl(full, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(read(full, &most, sizeof(most)), sizeof(most));
	make_available(0, 1);
	assert_int_equal(read(full, &most, sizeof(most)), sizeof(most));
	assert_int_equal(most, 1);
	sl_fd_close(&full);
}

/* A pipe without a reader would be SIGPIPE; a file, and memory, are no events either. */
static void test_no_events(void **state)
{
	static const uint32_t requests[] = {VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_CALL,
					    VHOST_USER_SET_VRING_ERR};
	int ends[2], file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	start_device(FEATURES);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	sl_fd_close(&ends[0]);
	for (unsigned i = 0; i < sl_array_len(requests); i++) {
		const int fds[] = {ends[1], file, front.memory, front.sock};

		for (unsigned f = 0; f < sl_array_len(fds); f++)
			assert_false(ask_fd(requests[i], 0, fds[f]));
	}
	make_available(0, 1);
	assert_int_equal(used(0), 1);
	assert_int_equal(signals(rig.call[0]), 1);
	sl_fd_close(&ends[1]);
	sl_fd_close(&file);
}

/* Another kick while it runs; one that is somebody else's too. */
static void test_kick_changes(void **state)
{
	int other = eventfd(0, EFD_CLOEXEC);

	(void)state;
	start_device(FEATURES);
	assert_true(ask_fd(VHOST_USER_SET_VRING_KICK, 0, other));
	make_available(0, 1); /* by the old one, which nobody waits for */
	sl_event_signal(other);
	steps();
	assert_int_equal(used(0), 1);
	assert_true(ask_fd(VHOST_USER_SET_VRING_KICK, 1, other));
	make_available(0, 1);
	make_available(1, 1);
	sl_event_signal(other);
	steps();
	assert_int_equal(used(0), 2);
	assert_int_equal(used(1), 1);
	sl_fd_close(&other);
}

/* Without a kick the ring is looked at all the time. */
static void test_no_kick(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_VRING_KICK, 8), answer;

	(void)state;
	start_device(FEATURES);
	msg.payload.u64 = VHOST_USER_VRING_NOFD_MASK;
	msg.flags |= VHOST_USER_NEED_REPLY_MASK;
	assert_int_equal(sl_vhost_user_send(front.sock, &msg), 0);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(sl_worker_step(rig.worker), 1);
	assert_int_equal(hear(&answer), 0);
	avail_of(0)->idx = 1;
	desc_of(0)[0] = (struct virtq_desc){
		.addr = GUEST_AT + BUFFER_AT(0), .len = 16, .flags = VIRTQ_DESC_F_WRITE};
	for (unsigned i = 0; i < 100; i++)
		sl_worker_step(rig.worker);
	assert_int_equal(used(0), 1);
	msg = message(VHOST_USER_GET_VRING_BASE, 8);
	assert_int_equal(sl_vhost_user_send(front.sock, &msg), 0);
	for (unsigned i = 0; i < 100; i++)
		sl_worker_step(rig.worker);
	assert_int_equal(hear(&answer), 0);
	assert_int_equal(answer.payload.state.num, 1);
}

/* A ring that breaks is told by its err; the device, and the connection, stay. */
static void test_broken(void **state)
{
	(void)state;
	start_device(FEATURES);
	avail_of(0)->idx = 1000;
	sl_event_signal(rig.kick[0]);
	steps();
	assert_int_equal(signals(rig.err[0]), 1);
	assert_int_equal(signals(rig.err[1]), 0);
	make_available(1, 1);
	assert_int_equal(used(1), 1);
	assert_true(get_base(0) >= 0);
	assert_true(silent());
}

/* Size and addresses change under a ring that runs. */
static void test_changes_on_the_fly(void **state)
{
	(void)state;
	start_device(FEATURES);
	make_available(0, 3);
	/* The rings of ring 2, as they stand. */
	memcpy(front.guest + DESC_AT(2), front.guest + DESC_AT(0), 0x4000);
	assert_int_equal(get_base(2), 0);
	assert_true(ask_addr(0, GUEST_USER + DESC_AT(2), GUEST_USER + AVAIL_AT(2),
			     GUEST_USER + USED_AT(2)));
	rig.avail[2] = 3;
	make_available(2, 0);
	avail_of(2)->ring[3] = 3;
	desc_of(2)[3] = desc_of(2)[2];
	avail_of(2)->idx = 4;
	sl_event_signal(rig.kick[0]);
	steps();
	assert_int_equal(used(2), 4);
	assert_int_equal(used(0), 3);
	assert_false(ask_state(VHOST_USER_SET_VRING_NUM, 0, 24)); /* no power of two */
	assert_false(runs(0));
	assert_true(ask_state(VHOST_USER_SET_VRING_NUM, 0, 16));
	assert_true(runs(0));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_up, rig_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_requests),
		TEST(test_get_vring_base),
		TEST(test_get_vring_base_waits),
		TEST(test_base),
		TEST(test_enable),
		TEST(test_without_protocol_features),
		TEST(test_every_order),
		TEST(test_mem_table_while_running),
		TEST(test_memory_comes_and_goes),
		TEST(test_remove_waits),
		TEST(test_call_changes),
		TEST(test_call_is_full),
		TEST(test_no_events),
		TEST(test_kick_changes),
		TEST(test_no_kick),
		TEST(test_broken),
		TEST(test_changes_on_the_fly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
