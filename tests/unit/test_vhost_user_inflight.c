/* SPDX-License-Identifier: BSD-2-Clause */
/* A vhost-user back end: the in-flight log, and packed rings. */
#include "vhost_user_driver.h"

#define FEATURES (OWN | BIT(VIRTIO_F_VERSION_1))
#define PACKED	 (FEATURES | BIT(VIRTIO_F_RING_PACKED))

/*
 * The in-flight log.
 */

static struct vhost_user_msg inflight(uint32_t request, uint32_t size, unsigned queues,
				      unsigned entries)
{
	struct vhost_user_msg msg = message(request, size);

	msg.payload.inflight.num_queues = (uint16_t)queues;
	msg.payload.inflight.queue_size = (uint16_t)entries;
	return msg;
}

/* What a front end keeps of it. */
static struct vhost_user_msg get_inflight(uint32_t size)
{
	struct vhost_user_msg msg = inflight(VHOST_USER_GET_INFLIGHT_FD, size, RIG_QUEUES, RING);

	say(&msg);
	assert_int_equal(hear(&msg), 0);
	assert_int_equal(msg.request, VHOST_USER_GET_INFLIGHT_FD);
	assert_int_equal(msg.size, size);
	assert_int_equal(msg.n_fds, 1);
	assert_true(msg.payload.inflight.mmap_size >= RIG_QUEUES * RING * 16);
	assert_int_equal(msg.payload.inflight.mmap_offset, 0);
	assert_int_equal(msg.payload.inflight.num_queues, RIG_QUEUES);
	assert_int_equal(msg.payload.inflight.queue_size, RING);
	return msg;
}

static bool set_inflight(struct vhost_user_msg *log)
{
	struct vhost_user_msg msg = *log;

	msg.request = VHOST_USER_SET_INFLIGHT_FD;
	msg.flags = VHOST_USER_VERSION;
	return ask(&msg);
}

/* A back end is killed with requests in flight; the next one finds them in the log, and once more
 * the one after that. They are done again in the order in which they were taken, each once. */
static void test_inflight(void **state)
{
	struct vhost_user_msg log;

	(void)state;
	negotiate(FEATURES);
	assert_true(ask_mem_table(GUEST_USER));
	log = get_inflight(24);
	assert_true(fcntl(log.fds[0], F_GET_SEALS) & F_SEAL_SHRINK);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(set_inflight(&log));
		start_ring(0);
		rig.model.hold = true;
		if (!i)
			make_available(0, 5);
		assert_int_equal(rig.model.n_held, 5);
		assert_int_equal(used(0), 0);
		for (unsigned n = 0; n < 5; n++)
			assert_ptr_equal((uint8_t *)rig.model.held[n]->write->iov_base -
						 (uint8_t *)rig.model.held[0]->write->iov_base,
					 16 * n);
		/* As a kill: what it held never comes back. */
		rig.model.n_held = 0;
		rig_kill();
		negotiate(FEATURES);
		assert_true(ask_mem_table(GUEST_USER));
		rig.avail[0] = used(0); /* all that the front end knows */
	}
	assert_true(set_inflight(&log));
	rig.model.hold = false;
	start_ring(0);
	assert_int_equal(used(0), 5);
	rig.avail[0] = 5;
	make_available(0, 2);
	assert_int_equal(used(0), 7);
	/* With nothing in flight the same log goes on as well. */
	assert_int_equal(get_base(0), 7);
	assert_true(set_inflight(&log));
	assert_true(ask_fd(VHOST_USER_SET_VRING_KICK, 0, rig.kick[0]));
	make_available(0, 2);
	assert_int_equal(used(0), 9);
	sl_vhost_user_drop(&log);
}

/* As long as the specification has it, or as QEMU has it; and not as long as anybody wants. */
static void test_inflight_sizes(void **state)
{
	static const struct {
		unsigned queues, entries;
	} bad[] = {{0, RING}, {RIG_QUEUES + 1, RING}, {65535, RING}, {1, 0}, {1, 32769},
		   {1, 65535}};
	struct vhost_user_msg msg;

	(void)state;
	negotiate(FEATURES);
	msg = get_inflight(20);
	sl_vhost_user_drop(&msg);
	for (unsigned i = 0; i < sl_array_len(bad); i++) {
		msg = inflight(VHOST_USER_GET_INFLIGHT_FD, 24, bad[i].queues, bad[i].entries);
		say(&msg);
		assert_true(closed());
		sl_fd_close(&front.sock);
		steps();
		front.sock = rig_connect();
		steps();
		negotiate(FEATURES);
		msg = inflight(VHOST_USER_SET_INFLIGHT_FD, 24, bad[i].queues, bad[i].entries);
		msg.payload.inflight.mmap_size = GUEST_LEN;
		msg.n_fds = 1;
		msg.fds[0] = front.memory;
		assert_false(ask(&msg));
	}
}

static void test_inflight_hostile(void **state)
{
	static const struct {
		uint64_t size, offset;
	} bad[] = {{0, 0},
		   {64, 0},
		   {GUEST_LEN + 1, 0},
		   {GUEST_LEN, 1 << 12},
		   {GUEST_LEN, UINT64_MAX - GUEST_LEN + 1},
		   {UINT64_MAX, 0},
		   {GUEST_LEN - 64, 4},
		   {4096, GUEST_LEN},
		   {1ull << 63, 1ull << 63}};
	struct vhost_user_msg msg = inflight(VHOST_USER_SET_INFLIGHT_FD, 24, RIG_QUEUES, RING);

	(void)state;
	start_device(FEATURES);
	msg.n_fds = 1;
	msg.fds[0] = front.memory;
	for (unsigned i = 0; i < sl_array_len(bad); i++) {
		msg.payload.inflight.mmap_size = bad[i].size;
		msg.payload.inflight.mmap_offset = bad[i].offset;
		assert_false(ask(&msg));
	}
	msg.fds[0] = rig.kick[0];
	msg.payload.inflight.mmap_size = 4096;
	msg.payload.inflight.mmap_offset = 0;
	assert_false(ask(&msg));
	for (unsigned q = 0; q < RIG_QUEUES; q++) {
		make_available(q, 1);
		assert_int_equal(used(q), 1);
	}
	/* Bytes of any kind: a ring either runs or does not. */
	memset(front.guest + 0x80000, 0xff, 0x10000);
	msg.fds[0] = front.memory;
	msg.payload.inflight.mmap_size = 0x10000;
	msg.payload.inflight.mmap_offset = 0x80008; /* no multiple of a page */
	assert_true(ask(&msg));
	for (unsigned q = 0; q < RIG_QUEUES; q++)
		make_available(q, 1);
	assert_true(silent());
}

/* A log that is taken away breaks the rings that need it. */
static void test_inflight_truncated(void **state)
{
	struct vhost_user_msg msg = inflight(VHOST_USER_SET_INFLIGHT_FD, 24, RIG_QUEUES, RING);
	int log = memfd_create("log", MFD_CLOEXEC);

	(void)state;
	rig_guard();
	assert_int_equal(ftruncate(log, 0x10000), 0);
	start_device(FEATURES);
	msg.n_fds = 1;
	msg.fds[0] = log;
	msg.payload.inflight.mmap_size = 0x10000;
	assert_true(ask(&msg));
	make_available(0, 1);
	assert_int_equal(used(0), 1);
	assert_int_equal(ftruncate(log, 0), 0);
	make_available(0, 1);
	assert_int_equal(used(0), 1);
	assert_int_equal(signals(rig.err[0]), 1);
	assert_true(silent());
	sl_fd_close(&log);
}

/* It is set while rings run: they stop for it. */
static void test_inflight_while_running(void **state)
{
	struct vhost_user_msg log, answer;

	(void)state;
	start_device(FEATURES);
	log = get_inflight(24);
	rig.model.hold = true;
	make_available(0, 1);
	log.request = VHOST_USER_SET_INFLIGHT_FD;
	log.flags = VHOST_USER_VERSION | VHOST_USER_NEED_REPLY_MASK;
	say(&log);
	assert_true(silent());
	rig_give_back();
	steps();
	assert_int_equal(hear(&answer), 0);
	assert_int_equal(answer.payload.u64, 0);
	rig.model.hold = false;
	make_available(0, 1);
	assert_int_equal(used(0), 2);
	/* After a reset there is none: the rings begin anew, and so would it. */
	assert_true(ask_bare(VHOST_USER_RESET_DEVICE));
	rig.avail[0] = avail_of(0)->idx = used_of(0)->idx = 0;
	start_ring(0);
	make_available(0, 1);
	assert_int_equal(used(0), 1);
	sl_vhost_user_drop(&log);
}

/*
 * Packed rings.
 */

/* The next @n descriptors of ring 0, from @at on with wrap counter @wrap. */
static void make_packed(unsigned *at, bool *wrap, unsigned n)
{
	struct virtq_packed_desc *ring = (void *)(front.guest + DESC_AT(0));

	while (n--) {
		ring[*at] = (struct virtq_packed_desc){
			.addr = GUEST_AT + BUFFER_AT(*at),
			.len = 16,
			.id = (uint16_t)*at,
			.flags = (uint16_t)(VIRTQ_DESC_F_WRITE | *wrap << 7 | !*wrap << 15)};
		*wrap ^= ++*at == RING;
		*at %= RING;
	}
	sl_event_signal(rig.kick[0]);
	steps();
}

/* Used: both bits as the wrap counter of the device. */
static bool packed_used(unsigned at, bool wrap)
{
	const struct virtq_packed_desc *ring = (void *)(front.guest + DESC_AT(0));

	return (ring[at].flags >> 7 & 1) == wrap && (ring[at].flags >> 15 & 1) == wrap;
}

static void start_packed(uint32_t base)
{
	assert_true(ask_state(VHOST_USER_SET_VRING_NUM, 0, RING));
	assert_true(ask_state(VHOST_USER_SET_VRING_BASE, 0, base));
	assert_true(ask_addr(0, GUEST_USER + DESC_AT(0), GUEST_USER + AVAIL_AT(0),
			     GUEST_USER + USED_AT(0)));
	assert_true(ask_fd(VHOST_USER_SET_VRING_KICK, 0, rig.kick[0]));
	assert_true(ask_state(VHOST_USER_SET_VRING_ENABLE, 0, 1));
}

/* Places and wrap counters of avail in the lower half of the base, of used in the upper one. */
static void test_packed(void **state)
{
	unsigned at = 0;
	bool wrap = true;

	(void)state;
	negotiate(PACKED);
	assert_true(ask_mem_table(GUEST_USER));
	start_packed(0x80008000);
	make_packed(&at, &wrap, 10);
	assert_true(packed_used(9, true));
	assert_int_equal(get_base(0), 0x800a800a);
	start_packed(0x800a800a);
	make_packed(&at, &wrap, 10); /* around the end */
	assert_true(packed_used(3, false));
	assert_int_equal(get_base(0), 0x00040004);
	start_packed(0x00040004);
	make_packed(&at, &wrap, 12);
	assert_true(packed_used(15, false));
	assert_int_equal(get_base(0), 0x80008000);
}

/* DPDK's virtio-user says nothing of used. */
static void test_packed_half_a_base(void **state)
{
	unsigned at = 0;
	bool wrap = true;

	(void)state;
	negotiate(PACKED);
	assert_true(ask_mem_table(GUEST_USER));
	start_packed(0x8000);
	make_packed(&at, &wrap, 3);
	assert_true(packed_used(2, true));
	assert_int_equal(get_base(0), 0x80038003);
}

static void test_packed_bad(void **state)
{
	static const uint32_t bases[] = {0x80008010, 0x80108000, 0xffffffff, 0x00100010};

	(void)state;
	negotiate(PACKED);
	assert_true(ask_mem_table(GUEST_USER));
	for (unsigned i = 0; i < sl_array_len(bases); i++) {
		assert_true(ask_state(VHOST_USER_SET_VRING_NUM, 0, RING));
		assert_true(ask_state(VHOST_USER_SET_VRING_BASE, 0, bases[i]));
		assert_true(ask_addr(0, GUEST_USER + DESC_AT(0), GUEST_USER + AVAIL_AT(0),
				     GUEST_USER + USED_AT(0)));
		assert_false(ask_fd(VHOST_USER_SET_VRING_KICK, 0, rig.kick[0]));
		assert_true(get_base(0) >= 0);
	}
	/* A size that is no power of two is fine. */
	assert_true(ask_state(VHOST_USER_SET_VRING_NUM, 0, 11));
	assert_true(ask_state(VHOST_USER_SET_VRING_BASE, 0, 0x80008000));
	assert_true(ask_fd(VHOST_USER_SET_VRING_KICK, 0, rig.kick[0]));
	assert_true(runs(0));
}

static void test_packed_inflight(void **state)
{
	struct vhost_user_msg log;
	unsigned at = 0;
	bool wrap = true;

	(void)state;
	negotiate(PACKED);
	assert_true(ask_mem_table(GUEST_USER));
	log = get_inflight(24);
	assert_true(log.payload.inflight.mmap_size >= RIG_QUEUES * RING * 32);
	assert_true(set_inflight(&log));
	start_packed(0x80008000);
	make_packed(&at, &wrap, 6);
	rig.model.hold = true;
	make_packed(&at, &wrap, 4);
	assert_int_equal(rig.model.n_held, 4);
	rig.model.n_held = 0;
	rig_kill();
	rig.model.hold = false;
	negotiate(PACKED);
	assert_true(ask_mem_table(GUEST_USER));
	assert_true(set_inflight(&log));
	start_packed(0x80008000); /* the log knows better */
	steps();
	assert_true(packed_used(9, true));
	make_packed(&at, &wrap, 1);
	assert_true(packed_used(10, true));
	assert_int_equal(get_base(0), 0x800b800b);
	sl_vhost_user_drop(&log);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_up, rig_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_inflight),
		TEST(test_inflight_sizes),
		TEST(test_inflight_hostile),
		TEST(test_inflight_truncated),
		TEST(test_inflight_while_running),
		TEST(test_packed),
		TEST(test_packed_half_a_base),
		TEST(test_packed_bad),
		TEST(test_packed_inflight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
