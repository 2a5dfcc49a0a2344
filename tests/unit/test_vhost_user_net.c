/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vhost-user back end of a NIC: what only a NIC is asked, and the log of what was written. The
 * offer is the rig's, which says that it is a NIC; what it is told is written down.
 */
#include <linux/vhost_types.h>
#include <pthread.h>

#include "under_tsan.h"
#include "vhost_user_driver.h"

#define FEATURES (OWN | BIT(VIRTIO_F_VERSION_1))
#define LOG_ALL	 BIT(VHOST_F_LOG_ALL)
#define PROTOCOL_NET                                                                               \
	((PROTOCOL_ALL & ~PROTOCOL(INFLIGHT_SHMFD)) | PROTOCOL(LOG_SHMFD) | PROTOCOL(RARP) |       \
	 PROTOCOL(NET_MTU))
#define LOG_LEN 0x10000u /* more than all pages up to GUEST_AT + GUEST_LEN need: 32800 */
#define PAGE	4096u
#define PAGE_AT (GUEST_AT / PAGE)
#define THREADS 8u

static struct {
	bool logs;
	unsigned log_changes, announced;
	uint8_t mac[6];
	uint16_t mtu;
	int mtu_returns;
	uint8_t *log;
	int fd;
} net;

bool __wrap_sl_offer_is_net(const struct sl_offer *o);
void __wrap_sl_offer_log_dirty(struct sl_offer *o, bool on);
void __wrap_sl_offer_announce(struct sl_offer *o, const uint8_t mac[6]);
int __wrap_sl_offer_set_mtu(struct sl_offer *o, uint16_t mtu);

bool __wrap_sl_offer_is_net(const struct sl_offer *o)
{
	(void)o;
	return true;
}

void __wrap_sl_offer_log_dirty(struct sl_offer *o, bool on)
{
	(void)o;
	net.log_changes += net.logs != on;
	net.logs = on;
}

void __wrap_sl_offer_announce(struct sl_offer *o, const uint8_t mac[6])
{
	(void)o;
	net.announced++;
	memcpy(net.mac, mac, 6);
}

int __wrap_sl_offer_set_mtu(struct sl_offer *o, uint16_t mtu)
{
	(void)o;
	net.mtu = mtu;
	return net.mtu_returns;
}

static int net_up(void **state)
{
	rig_up(state);
	memset(&net, 0, sizeof(net));
	net.fd = memfd_create("log", MFD_CLOEXEC);
	assert_int_equal(ftruncate(net.fd, 2 * LOG_LEN), 0);
	net.log = mmap(NULL, 2 * LOG_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, net.fd, 0);
	assert_ptr_not_equal(net.log, MAP_FAILED);
	return 0;
}

static int net_down(void **state)
{
	munmap(net.log, 2 * LOG_LEN);
	sl_fd_close(&net.fd);
	return rig_down(state);
}

static void negotiate_net(uint64_t features)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_PROTOCOL_FEATURES, 8);

	msg.payload.u64 = PROTOCOL_NET;
	say(&msg);
	assert_true(silent());
	assert_true(ask_u64(VHOST_USER_SET_FEATURES, features));
}

static void start_net(uint64_t features)
{
	negotiate_net(features);
	assert_true(ask_mem_table(GUEST_USER));
	for (unsigned q = 0; q < RIG_QUEUES; q++)
		start_ring(q);
}

/* Answered without a payload. */
static void set_log(int fd, uint64_t size, uint64_t offset)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_LOG_BASE, 16);

	msg.payload.log = (struct vhost_user_log){size, offset};
	msg.fds[msg.n_fds++] = fd;
	msg.flags |= VHOST_USER_NEED_REPLY_MASK;
	say(&msg);
	assert_int_equal(hear(&msg), 0);
	assert_int_equal(msg.request, VHOST_USER_SET_LOG_BASE);
	assert_int_equal(msg.flags, VHOST_USER_VERSION | VHOST_USER_REPLY_MASK);
	assert_int_equal(msg.size, 0);
	assert_true(silent());
}

static void dirty(uint64_t offset, size_t len)
{
	const struct transport_ops *ops = rig.offer->transport->ops;
	struct iovec piece;

	assert_int_equal(sl_space_lookup(sl_offer_space(rig.offer), (sl_iova){GUEST_AT + offset}, 1,
					 SL_REGION_WRITE, &piece, 1),
			 1);
	ops->dirty(rig.offer->transport, piece.iov_base, len);
}

/* Of the guest's memory, from @offset in the log's file. */
static bool marked(unsigned offset, uint64_t page)
{
	return net.log[offset + (PAGE_AT + page) / 8] >> (PAGE_AT + page) % 8 & 1;
}

static unsigned marks(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 2 * LOG_LEN; i++)
		n += (unsigned)__builtin_popcount(net.log[i]);
	return n;
}

/* In the table of the specification; and what a NIC has no use for is not there. */
static void test_offered(void **state)
{
	(void)state;
	assert_int_equal(get_u64(VHOST_USER_GET_PROTOCOL_FEATURES), PROTOCOL_NET);
	assert_int_equal(PROTOCOL_NET & 0x1f, 0x1f);
	assert_true(get_u64(VHOST_USER_GET_FEATURES) & 1 << 26);
	negotiate_net(FEATURES);
	assert_int_equal(get_u64(VHOST_USER_GET_QUEUE_NUM), RIG_QUEUES / 2); /* pairs */
}

static void test_not_offered(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_PROTOCOL_FEATURES, 8);

	(void)state;
	msg.payload.u64 = PROTOCOL(INFLIGHT_SHMFD);
	say(&msg);
	assert_true(closed());
	assert_true(logged("0x1000 were not offered"));
}

static void test_mtu(void **state)
{
	(void)state;
	negotiate_net(FEATURES);
	assert_true(ask_u64(VHOST_USER_NET_SET_MTU, 1400));
	assert_int_equal(net.mtu, 1400);
	assert_false(ask_u64(VHOST_USER_NET_SET_MTU, 65536 + 1400));
	net.mtu_returns = -EINVAL;
	assert_false(ask_u64(VHOST_USER_NET_SET_MTU, 9000));
	assert_int_equal(net.mtu, 9000);
}

static void test_rarp(void **state)
{
	const uint8_t mac[8] = {0x52, 0x54, 0, 1, 2, 3, 0xee, 0xee};
	struct vhost_user_msg msg = message(VHOST_USER_SEND_RARP, 8);

	(void)state;
	negotiate_net(FEATURES);
	memcpy(msg.payload.bytes, mac, sizeof(mac));
	assert_true(ask(&msg));
	assert_int_equal(net.announced, 1);
	assert_memory_equal(net.mac, mac, 6);
}

/* Each only with its protocol feature. */
static void test_needs(void **state)
{
	static const struct {
		uint32_t request, size;
		uint64_t feature;
		bool fd;
	} cases[] = {
		{VHOST_USER_NET_SET_MTU, 8, PROTOCOL(NET_MTU), false},
		{VHOST_USER_SEND_RARP, 8, PROTOCOL(RARP), false},
		{VHOST_USER_SET_LOG_BASE, 16, PROTOCOL(LOG_SHMFD), true},
		{VHOST_USER_SET_LOG_FD, 0, PROTOCOL(LOG_SHMFD), true},
	};

	(void)state;
	for (unsigned i = 0; i < sl_array_len(cases); i++) {
		struct vhost_user_msg msg = message(VHOST_USER_SET_PROTOCOL_FEATURES, 8);

		msg.payload.u64 = PROTOCOL_NET & ~cases[i].feature;
		say(&msg);
		msg = message(cases[i].request, cases[i].size);
		msg.payload.log.mmap_size = PAGE;
		msg.n_fds = cases[i].fd;
		msg.fds[0] = net.fd;
		say(&msg);
		assert_true(closed());
		assert_true(logged("was not negotiated"));
		assert_int_equal(net.announced + net.mtu + net.logs, 0);
		front.log[0] = '\0';
		sl_fd_close(&front.sock);
		sl_vhost_user_reader_reset(&front.reader);
		front.sock = rig_connect();
		steps();
	}
}

/* Turned on and off while rings run, and they do not notice: also with requests in flight. */
static void test_log_all(void **state)
{
	unsigned started;

	(void)state;
	start_net(FEATURES);
	started = rig.model.started;
	rig.model.hold = true;
	make_available(0, 2);
	assert_true(ask_u64(VHOST_USER_SET_FEATURES, FEATURES | LOG_ALL));
	assert_false(net.logs); /* where to? */
	set_log(net.fd, LOG_LEN, 0);
	assert_true(net.logs);
	assert_true(ask_u64(VHOST_USER_SET_FEATURES, FEATURES));
	assert_false(net.logs);
	assert_true(ask_u64(VHOST_USER_SET_FEATURES, FEATURES | LOG_ALL));
	assert_true(net.logs);
	set_log(net.fd, LOG_LEN, LOG_LEN);
	assert_true(net.logs);
	assert_int_equal(net.log_changes, 3);
	assert_int_equal(rig.model.n_held, 2);
	for (unsigned q = 0; q < RIG_QUEUES; q++) {
		assert_true(runs(q));
		assert_int_equal(signals(rig.call[q]), 0);
	}
	assert_int_equal(rig.model.started, started);
	assert_false(rig.model.features & LOG_ALL); /* the driver has not heard of it */
	/* Anything else than that is refused as ever. */
	assert_false(ask_u64(VHOST_USER_SET_FEATURES, FEATURES | LOG_ALL | BIT(RIG_FEATURE)));
	rig_give_back();
}

/* The addresses stay, and only the log is heard of: nothing waits for what is in flight. */
static void test_vring_log(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_VRING_ADDR, 40);

	(void)state;
	start_net(FEATURES);
	rig.model.hold = true;
	make_available(0, 2);
	msg.payload.addr = (struct vhost_user_vring_addr){
		.index = 0,
		.flags = 1u << VHOST_VRING_F_LOG,
		.desc_user_addr = GUEST_USER + DESC_AT(0),
		.avail_user_addr = GUEST_USER + AVAIL_AT(0),
		.used_user_addr = GUEST_USER + USED_AT(0),
		.log_guest_addr = GUEST_AT + USED_AT(0),
	};
	assert_true(ask(&msg));
	assert_int_equal(signals(rig.call[0]), 0);
	assert_int_equal(rig.model.n_held, 2);
	msg.payload.addr.flags = 2;
	assert_false(ask(&msg));
	msg.payload.addr.flags = 0;
	assert_true(ask(&msg));
	memcpy((uint8_t *)avail_of(0) + 0x800, avail_of(0), 0x800);
	msg.payload.addr.avail_user_addr += 0x800;
	msg.flags |= VHOST_USER_NEED_REPLY_MASK;
	say(&msg);
	assert_true(silent());
	rig_give_back();
	steps();
	assert_int_equal(hear(&msg), 0);
	assert_int_equal(msg.payload.u64, 0);
	assert_true(signals(rig.call[0]) >= 2); /* what was given back, and that it began anew */
}

static void test_marks(void **state)
{
	uint8_t other;

	(void)state;
	start_net(FEATURES | LOG_ALL);
	set_log(net.fd, LOG_LEN, 0x10); /* offsets are multiples of nothing */
	dirty(0, 1);
	assert_true(marked(0x10, 0));
	assert_int_equal(marks(), 1);
	dirty(0, PAGE);
	assert_int_equal(marks(), 1);
	dirty(7 * PAGE - 1, 2); /* across a byte of the log */
	dirty(8 * PAGE - 1, 1);
	dirty(9 * PAGE, PAGE + 1);
	for (unsigned page = 0; page < 11; page++)
		assert_int_equal(marked(0x10, page),
				 !page || page == 6 || page == 7 || page == 9 || page == 10);
	assert_int_equal(marks(), 5);
	dirty(32 * PAGE, 0);
	assert_int_equal(marks(), 5);
	/* Up to the end of the memory, and not behind it; what is no memory of the driver's is not
	 * marked. */
	dirty(GUEST_LEN - PAGE, SIZE_MAX);
	assert_true(marked(0x10, GUEST_LEN / PAGE - 1));
	assert_int_equal(marks(), 6);
	rig.offer->transport->ops->dirty(rig.offer->transport, &other, 1);
	assert_int_equal(marks(), 6);
}

/* The second of two regions, which lies elsewhere in everything. */
static void test_marks_slots(void **state)
{
	(void)state;
	negotiate_net(FEATURES | LOG_ALL);
	assert_true(ask_region(VHOST_USER_ADD_MEM_REG, GUEST_AT, 4 * PAGE, GUEST_USER, 0));
	assert_true(ask_region(VHOST_USER_ADD_MEM_REG, GUEST_AT + 64 * PAGE, 4 * PAGE, 0x1000,
			       16 * PAGE));
	set_log(net.fd, LOG_LEN, 0);
	dirty(65 * PAGE, 2 * PAGE);
	assert_true(marked(0, 65) && marked(0, 66));
	dirty(3 * PAGE, 4 * PAGE); /* cut off at its region's end */
	assert_true(marked(0, 3));
	assert_int_equal(marks(), 3);
}

/* A log that is too short, or is cut short, has fewer marks. */
static void test_short_logs(void **state)
{
	unsigned len = (unsigned)(PAGE_AT / 8) + 2;
	int cut = memfd_create("cut", MFD_CLOEXEC);

	(void)state;
	rig_guard();
	start_net(FEATURES | LOG_ALL);
	set_log(net.fd, len, 0);
	dirty(0, GUEST_LEN);
	for (unsigned page = 0; page < 16; page++)
		assert_true(marked(0, page));
	assert_int_equal(marks(), 16);
	set_log(net.fd, 1, 0);
	dirty(0, GUEST_LEN);
	assert_int_equal(marks(), 16);
	assert_int_equal(ftruncate(cut, LOG_LEN), 0);
	set_log(cut, LOG_LEN, 0);
	assert_int_equal(ftruncate(cut, 0), 0);
	dirty(0, GUEST_LEN);
	assert_true(silent());
	make_available(1, 1);
	assert_int_equal(used(1), 1);
	sl_fd_close(&cut);
}

static void check_bad_log(int fd, uint64_t size, uint64_t offset)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_LOG_BASE, 16);

	negotiate_net(FEATURES | LOG_ALL);
	set_log(net.fd, LOG_LEN, 0);
	msg.payload.log = (struct vhost_user_log){size, offset};
	msg.fds[msg.n_fds++] = fd;
	assert_true(net.logs);
	say(&msg);
	assert_true(closed());
	assert_false(net.logs);
	sl_fd_close(&front.sock);
	sl_vhost_user_reader_reset(&front.reader);
	front.sock = rig_connect();
	steps();
}

/* There is no way to say no but to go. The next front end has no log. */
static void test_bad_logs(void **state)
{
	int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	check_bad_log(net.fd, 0, 0);
	check_bad_log(net.fd, UINT64_MAX, PAGE);
	check_bad_log(net.fd, INT64_MAX, 0);
	check_bad_log(folder, LOG_LEN, 0);
	check_bad_log(rig.kick[0], LOG_LEN, 0);
	start_net(FEATURES | LOG_ALL);
	assert_false(net.logs);
	dirty(0, 1);
	assert_int_equal(marks(), 0);
	sl_fd_close(&folder);
}

static void test_log_call(void **state)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_LOG_FD, 0);
	int call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	(void)state;
	start_net(FEATURES | LOG_ALL);
	set_log(net.fd, LOG_LEN, 0);
	msg.fds[msg.n_fds++] = net.fd;
	assert_false(ask(&msg));
	msg.fds[0] = call;
	assert_true(ask(&msg));
	assert_int_equal(signals(call), 0);
	dirty(0, 1);
	assert_int_equal(signals(call), 1);
	sl_fd_close(&call);
}

struct marker {
	pthread_t thread;
	const uint8_t *at;
};

static void *mark_on(void *arg)
{
	struct marker *m = arg;

	for (unsigned n = 0; n < 2000; n++)
		rig.offer->transport->ops->dirty(rig.offer->transport, m->at, 1);
	return NULL;
}

/* Queues are served by several threads, and share bytes of the log with the front end. */
static void test_threads(void **state)
{
	struct marker markers[THREADS];
	uint8_t *byte = &net.log[PAGE_AT / 8];
	struct iovec piece;
	unsigned taken = 0;

	(void)state;
	start_net(FEATURES | LOG_ALL);
	set_log(net.fd, LOG_LEN, 0);
	sl_space_lookup(sl_offer_space(rig.offer), (sl_iova){GUEST_AT}, GUEST_LEN, SL_REGION_WRITE,
			&piece, 1);
	for (unsigned n = 0; n < THREADS; n++) {
		markers[n].at = (uint8_t *)piece.iov_base + n * PAGE;
		assert_int_equal(pthread_create(&markers[n].thread, NULL, mark_on, &markers[n]), 0);
	}
	while (taken != 0xff)
		taken |= __atomic_exchange_n(byte, 0, __ATOMIC_SEQ_CST);
	for (unsigned n = 0; n < THREADS; n++)
		pthread_join(markers[n].thread, NULL);
	dirty(0, 1);
	dirty(7 * PAGE, 1);
	assert_int_equal(*byte & 0x81, 0x81);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, net_up, net_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_offered),    TEST(test_not_offered), TEST(test_mtu),
		TEST(test_rarp),       TEST(test_needs),       TEST(test_log_all),
		TEST(test_vring_log),  TEST(test_marks),       TEST(test_marks_slots),
		TEST(test_short_logs), TEST(test_bad_logs),    TEST(test_log_call),
		TEST(test_threads),
	};

#if UNDER_TSAN
	/* Not skip(): cmocka 1.1 writes "not ok # SKIP", which meson takes for a failure. */
	printf("# skipped: test_short_logs: ThreadSanitizer's atomics hold a lock that its handlers want\n");
	cmocka_set_skip_filter("test_short_logs");
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
