/* SPDX-License-Identifier: BSD-2-Clause */
/* A vhost-user back end: memory that is not what it is said to be. */
#include "vhost_user_driver.h"

#define FEATURES (OWN | BIT(VIRTIO_F_VERSION_1))

static bool ask_table(const struct vhost_user_memory_region *regions, unsigned n, int fd)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_MEM_TABLE, 8 + 32 * n);

	msg.payload.memory.nregions = msg.n_fds = n;
	for (unsigned i = 0; i < n; i++) {
		msg.payload.memory.regions[i] = regions[i];
		msg.fds[i] = fd;
	}
	return ask(&msg);
}

/* Refused, also when others before them were fine; then there is no memory, and the next is. */
static void test_bad_regions(void **state)
{
	static const struct vhost_user_memory_region
		good = {0, 0x1000, 0x5000, 0},
		bad[] = {
			{0x10000, 0, 0x10000, 0},
			{UINT64_MAX - 0xfff, 0x1001, 0x10000, 0},
			{0x10000, 0x1000, UINT64_MAX - 0xffe, 0},
			{0x10000, 0x1000, 0x10000, UINT64_MAX - 0xfff},
			{0x10000, 0x1000, 0x10000, INT64_MAX - 0xfff},
			{0x10000, UINT64_MAX, 0, 0},
			{0x10000, UINT64_C(1) << 62, 0, 0},
			{0x10000, UINT64_C(1) << 50, 0, 0},
			{0xfff, 0x1000, 0x10000, 0},  /* overlaps */
			{0, 0x1000, 0x10000, 0x1000}, /* is the same */
		};

	(void)state;
	start_device(FEATURES);
	for (unsigned i = 0; i < sl_array_len(bad); i++) {
		struct vhost_user_memory_region both[] = {good, bad[i]};

		assert_false(ask_table(both, 2, front.memory));
		assert_int_equal(rig.model.regions, 0);
		assert_false(runs(0));
		assert_true(ask_table(&good, 1, front.memory));
		assert_false(ask_region(VHOST_USER_ADD_MEM_REG, bad[i].guest_phys_addr,
					bad[i].memory_size, bad[i].userspace_addr,
					bad[i].mmap_offset));
		assert_int_equal(rig.model.regions, 1);
	}
	/* The rings go on as soon as their memory is back. */
	assert_true(ask_mem_table(GUEST_USER));
	make_available(0, 1);
	assert_int_equal(used(0), 1);
	assert_true(ask_table(NULL, 0, -1));
	assert_int_equal(rig.model.regions, 0);
}

/* What cannot be mapped at all, or not for writing. */
static void test_unmappable(void **state)
{
	static const struct vhost_user_memory_region good = {0, 0x1000, 0x5000, 0};
	int event = eventfd(0, EFD_CLOEXEC), file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
	    folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	negotiate(FEATURES);
	assert_false(ask_table(&good, 1, event));
	assert_false(ask_table(&good, 1, file));
	assert_false(ask_table(&good, 1, folder));
	assert_false(ask_table(&good, 1, front.sock));
	assert_true(ask_table(&good, 1, front.memory));
	sl_fd_close(&event);
	sl_fd_close(&file);
	sl_fd_close(&folder);
}

static void test_slots(void **state)
{
	(void)state;
	negotiate(FEATURES);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < VHOST_USER_MEM_SLOTS; i++)
			assert_true(ask_region(VHOST_USER_ADD_MEM_REG, i * 0x2000, 0x1000,
					       0x100000 + i * 0x1000, i * 0x1000));
		assert_false(ask_region(VHOST_USER_ADD_MEM_REG, 0x1000000, 0x1000, 0, 0));
		/* All three of address, address and size say which one it is. */
		assert_false(ask_region(VHOST_USER_REM_MEM_REG, 0, 0x2000, 0x100000, 0));
		assert_false(ask_region(VHOST_USER_REM_MEM_REG, 0, 0x1000, 0x100001, 0));
		assert_false(ask_region(VHOST_USER_REM_MEM_REG, 1, 0x1000, 0x100000, 0));
		for (unsigned i = 0; i < VHOST_USER_MEM_SLOTS; i++)
			assert_true(ask_region(VHOST_USER_REM_MEM_REG, i * 0x2000, 0x1000,
					       0x100000 + i * 0x1000, 0));
		assert_int_equal(rig.model.regions, 0);
	}
}

/* Huge pages are mapped whole, wherever a region begins; there need not be any for that. */
static void test_huge_pages(void **state)
{
	const struct vhost_user_memory_region part = {GUEST_AT, 0x3000, GUEST_USER, 0x201000};
	int huge = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);

	(void)state;
	if (huge < 0)
		skip();
	assert_int_equal(ftruncate(huge, 4 << 20), 0);
	negotiate(FEATURES);
	assert_true(ask_table(&part, 1, huge));
	assert_true(ask_table(NULL, 0, -1));
	sl_fd_close(&huge);
}

/* Offsets and lengths that are no multiples of a page. */
static void test_odd_regions(void **state)
{
	const struct vhost_user_memory_region odd = {GUEST_AT, 0x20001, GUEST_USER, 0x12340};

	(void)state;
	negotiate(FEATURES);
	assert_true(ask_table(&odd, 1, front.memory));
	assert_true(ask_state(VHOST_USER_SET_VRING_NUM, 0, RING));
	assert_true(ask_addr(0, GUEST_USER, GUEST_USER + 0x1000, GUEST_USER + 0x2000));
	assert_true(ask_fd(VHOST_USER_SET_VRING_KICK, 0, rig.kick[0]));
	assert_true(ask_state(VHOST_USER_SET_VRING_ENABLE, 0, 1));
	*(struct virtq_desc *)(front.guest + 0x12340) = (struct virtq_desc){
		.addr = GUEST_AT + 0x20000, .len = 1, .flags = VIRTQ_DESC_F_WRITE};
	((struct virtq_avail *)(front.guest + 0x13340))->idx = 1;
	sl_event_signal(rig.kick[0]);
	steps();
	assert_int_equal(((struct virtq_used *)(front.guest + 0x14340))->idx, 1);
	assert_int_equal(front.guest[0x12340 + 0x20000], 0x5a); /* its last byte */
}

/* The front end takes memory away under a ring: that ring breaks, and nothing else. */
static void test_truncated(void **state)
{
	const struct vhost_user_memory_region regions[] = {
		{GUEST_AT, GUEST_LEN, GUEST_USER, 0},
		{GUEST_AT + GUEST_LEN, 0x100000, GUEST_USER + GUEST_LEN, 0}};
	struct vhost_user_msg msg = message(VHOST_USER_SET_MEM_TABLE, 8 + 64);
	int other = memfd_create("short", MFD_CLOEXEC);

	(void)state;
	rig_guard();
	assert_int_equal(ftruncate(other, 0x10000), 0);
	negotiate(FEATURES);
	msg.payload.memory.nregions = msg.n_fds = 2;
	memcpy(msg.payload.memory.regions, regions, sizeof(regions));
	msg.fds[0] = front.memory;
	msg.fds[1] = other; /* shorter than it says */
	assert_true(ask(&msg));
	start_ring(1);
	describe_ring(0);
	assert_true(ask_addr(0, GUEST_USER + GUEST_LEN + 0x80000, GUEST_USER + GUEST_LEN + 0x81000,
			     GUEST_USER + GUEST_LEN + 0x82000));
	assert_false(ask_fd(VHOST_USER_SET_VRING_KICK, 0, rig.kick[0]));
	assert_true(ask_addr(0, GUEST_USER + GUEST_LEN, GUEST_USER + GUEST_LEN + 0x1000,
			     GUEST_USER + GUEST_LEN + 0x2000));
	assert_true(ask_state(VHOST_USER_SET_VRING_ENABLE, 0, 1));
	assert_true(runs(0));
	assert_int_equal(ftruncate(other, 0), 0);
	sl_event_signal(rig.kick[0]);
	steps();
	assert_int_equal(signals(rig.err[0]), 1);
	make_available(1, 3);
	assert_int_equal(used(1), 3);
	assert_true(silent());
	assert_true(get_base(0) >= 0);
	sl_fd_close(&other);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_up, rig_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bad_regions), TEST(test_unmappable),	TEST(test_slots),
		TEST(test_huge_pages),	TEST(test_odd_regions), TEST(test_truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
