/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's side of uduse, with daemons that do not keep to the rules. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "fake_daemon.h"
#include "virtio/blk.h"

static int set_up_impatient(void **state)
{
	(void)state;
	rig_open(30 * SL_NS_PER_MS);
	return 0;
}

/*
 * Answers.
 */

/* For good: nobody can connect any more. */
static void test_never_answers(void **state)
{
	uint64_t before;

	(void)state;
	rig_serve();
	rig_drive(&ring);
	before = sl_now_ns();
	rig.v->ops->set_status(rig.v, 0);
	assert_true(sl_now_ns() - before >= 30 * SL_NS_PER_MS);
	assert_int_equal(rig.v->ops->get_status(rig.v), -ENODEV);
	assert_non_null(strstr(sl_reason(), "has not answered"));
	assert_int_equal(sl_uduse_step(rig.u), -EIO);
	assert_int_equal(sl_uduse_free(rig.u, (sl_iova){0}), -EINVAL);
	sl_fd_close(&rig.sock);
	assert_int_equal(sl_unix_connect(rig.path, SOCK_SEQPACKET, &rig.sock), -ENOENT);
	before = sl_now_ns();
	rig.v->ops->set_status(rig.v, 1); /* is not waited for */
	assert_true(sl_now_ns() - before < 30 * SL_NS_PER_MS);
}

/* Calls all the time, and no answer: the time is over all the same. */
static void *flood(void *arg)
{
	struct uduse_msg msg = {
		.header = {.type = UDUSE_CALL, .command = VDUSE_VQ_INJECT_IRQ, .len = 4}, .fd = -1};
	atomic_bool *stop = arg;

	while (!atomic_load(stop))
		if (sl_uduse_send(rig.sock, &msg, 1) == -EPIPE)
			break;
	return NULL;
}

static void test_flood_and_no_answer(void **state)
{
	atomic_bool stop = false;
	uint64_t before;
	pthread_t thread;

	(void)state;
	rig_serve();
	rig_status(0);
	assert_int_equal(pthread_create(&thread, NULL, flood, &stop), 0);
	before = sl_now_ns();
	rig.v->ops->set_status(rig.v, 1);
	assert_true(sl_now_ns() - before < SL_NS_PER_S);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(sl_uduse_step(rig.u), -EIO);
}

/* A step comes to an end, however much there is to read. */
static void test_step_is_bounded(void **state)
{
	unsigned n = 0;

	(void)state;
	rig_serve();
	for (unsigned i = 0; i < 100; i++)
		rig_send(VDUSE_GET_API_VERSION, 0, -1);
	assert_int_equal(sl_uduse_step(rig.u), 0);
	while (!sl_uduse_recv(rig.sock, false, &rig.msg))
		n++;
	assert_int_equal(n, 64);
	assert_int_equal(sl_uduse_step(rig.u), 0);
	while (!sl_uduse_recv(rig.sock, false, &rig.msg))
		n++;
	assert_int_equal(n, 100);
}

/* Calls, and reads nothing of what is returned: no more is read of it either. */
static void test_reads_nothing(void **state)
{
	unsigned n = 0;

	(void)state;
	rig_serve();
	for (unsigned i = 0; i < 100000 && n < 3; i++) {
		rig.msg.header = (struct uduse_header){UDUSE_CALL, VDUSE_GET_API_VERSION, 0, 0};
		rig.msg.fd = -1;
		n = sl_uduse_send(rig.sock, &rig.msg, 0) ? n + 1 : 0;
		assert_int_equal(sl_uduse_step(rig.u), 0);
	}
	assert_int_equal(n, 3);
	/* It goes on when there is room again, and nothing was lost. */
	for (n = 0; n < 1000; n++) {
		while (!sl_uduse_recv(rig.sock, false, &rig.msg))
			assert_int_equal(rig.msg.header.command, VDUSE_GET_API_VERSION);
		assert_int_equal(sl_uduse_step(rig.u), 0);
	}
	assert_int_equal(rig_call(VDUSE_DEV_GET_FEATURES, NULL, 0), 0);
}

/* What is returned with a descriptor waits for room with one of its own. */
static void test_reads_no_descriptors(void **state)
{
	struct vduse_iotlb_entry entry;
	sl_iova iova;
	unsigned n = 0;
	void *at;

	(void)state;
	rig_serve();
	assert_int_equal(sl_uduse_alloc(rig.u, 1, true, &at, &iova), 0);
	entry = (struct vduse_iotlb_entry){.start = iova.value, .last = iova.value};
	for (unsigned i = 0; i < 100000 && n < 3; i++) {
		rig.msg.header =
			(struct uduse_header){UDUSE_CALL, VDUSE_IOTLB_GET_FD, 0, sizeof(entry)};
		rig.msg.payload.entry = entry;
		rig.msg.fd = -1;
		n = sl_uduse_send(rig.sock, &rig.msg, 0) ? n + 1 : 0;
		sl_uduse_step(rig.u);
	}
	assert_int_equal(n, 3);
	assert_int_equal(sl_uduse_free(rig.u, iova), 0);
	for (n = 0; n < 1000; n++) {
		while (!sl_uduse_recv(rig.sock, false, &rig.msg))
			sl_fd_close(&rig.msg.fd);
		assert_int_equal(sl_uduse_step(rig.u), 0);
	}
}

static void test_answers_at_all_times(void **state)
{
	(void)state;
	rig_serve();
	rig_respond(1, VDUSE_REQ_RESULT_FAILED); /* nobody has asked */
	rig_respond(0, VDUSE_REQ_RESULT_FAILED);
	assert_int_equal(sl_uduse_step(rig.u), 0);
	rig_status(0);
	rig_respond(rig.ids, VDUSE_REQ_RESULT_FAILED); /* twice */
	rig_status(1);
	rig_respond(rig.ids - 1, VDUSE_REQ_RESULT_FAILED); /* late */
	rig_respond(rig.ids + 7, VDUSE_REQ_RESULT_FAILED);
	rig_respond(UINT32_MAX, VDUSE_REQ_RESULT_FAILED);
	rig_status(3);
	/* The first answer counts. */
	rig_respond(rig.ids + 1, VDUSE_REQ_RESULT_FAILED);
	rig_will_respond(VDUSE_REQ_RESULT_OK);
	rig.v->ops->set_status(rig.v, 11);
	rig_request();
	assert_int_equal(rig.v->ops->get_status(rig.v), 3);
}

/*
 * Calls.
 */

/* Whatever is no message costs the connection, and nothing else. */
static void test_nonsense(void **state)
{
	static const uint32_t words[][4] = {
		{0, 0, 0, 0},
		{UDUSE_CALL, 0, 0, 0},
		{UDUSE_RETURN, VDUSE_VQ_SETUP, 0, 0},
		{UDUSE_REQUEST, 0, 0, 152},
		{UDUSE_RESPONSE, 0, 0, 0},
		{UDUSE_CALL, VDUSE_CREATE_DEV, 0, UINT32_MAX},
		{UDUSE_CALL, VDUSE_VQ_SETUP, 0, 4},
		{UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX},
	};

	(void)state;
	rig_serve();
	rig_drive(&ring);
	for (unsigned i = 0; i < sl_array_len(words); i++) {
		assert_int_equal(send(rig.sock, words[i], sizeof(words[i]), 0), sizeof(words[i]));
		assert_int_equal(sl_uduse_step(rig.u), -EAGAIN);
		assert_int_equal(sl_uduse_recv(rig.sock, false, &rig.msg), -ECONNRESET);
		sl_fd_close(&rig.sock);
		rig_connect();
		assert_int_equal(rig_name(UDUSE_OPEN, "rig"), 0);
		assert_int_equal(sl_uduse_step(rig.u), 0);
		assert_int_equal(rig.v->ops->get_status(rig.v), 15);
	}
}

static void test_every_index(void **state)
{
	static const uint32_t bad[] = {RIG_QUEUES, UDUSE_QUEUES_MAX, 65535, UINT32_MAX};
	int kick = eventfd(0, EFD_CLOEXEC);

	(void)state;
	rig_serve();
	for (unsigned i = 0; i < sl_array_len(bad); i++) {
		struct vduse_vq_info info = {.index = bad[i]};

		assert_int_equal(rig_vq_setup(bad[i], 1), -EINVAL);
		assert_int_equal(rig_call(VDUSE_VQ_GET_INFO, &info, sizeof(info)), -EINVAL);
		assert_int_equal(rig_kickfd(bad[i], kick), -EINVAL);
		assert_int_equal(rig_kickfd(bad[i], -1), -EINVAL);
		rig.msg.payload.u32 = bad[i];
		rig_send(VDUSE_VQ_INJECT_IRQ, 4, -1);
		assert_int_equal(sl_uduse_step(rig.u), 0);
	}
	close(kick);
}

/* A kick goes into an eventfd, and never waits. */
static void test_kicks(void **state)
{
	int full = eventfd(0, EFD_CLOEXEC), pipes[2], file;
	uint64_t most = UINT64_MAX - 1;
	char name[] = "/tmp/sluice-uduse-XXXXXX";

	(void)state;
	rig_serve();
	rig_drive(&ring);
	assert_int_equal(pipe(pipes), 0);
	file = mkstemp(name);
	unlink(name);
	assert_int_equal(rig_kickfd(0, pipes[1]), -EINVAL);
	assert_int_equal(rig_kickfd(0, file), -EINVAL);
	assert_int_equal(rig_kickfd(0, rig.sock), -EINVAL);
	assert_int_equal(rig_kickfd(0, full), 0);
	for (unsigned i = 0; i < 1000; i++)
		rig.v->ops->notify(rig.v, 0);
	assert_int_equal(read(full, &most, 8), 8);
	assert_int_equal(most, 1001); /* and one when it was set up */
	most = UINT64_MAX - 1;
	assert_int_equal(write(full, &most, 8), 8);
	alarm(5); /* ends a test that waits */
	for (unsigned i = 0; i < 1000; i++)
		rig.v->ops->notify(rig.v, 0);
	alarm(0);
	assert_int_equal(lseek(file, 0, SEEK_END), 0);
	close(full);
	close(file);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_other_device_after_death(void **state)
{
	struct vduse_dev_config config = rig_device();

	(void)state;
	rig_serve();
	rig_drive(&ring);
	rig_die();
	rig_connect();
	config.features = UINT64_MAX & ~VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE);
	config.vq_num = 1;
	assert_int_equal(rig_create(&config), -EEXIST);
	assert_int_equal(rig_name(UDUSE_OPEN, "rig"), 0);
	assert_int_equal(rig_vq_setup(0, 1), 0); /* smaller than it was enabled with */
	assert_int_equal(rig.v->ops->get_features(rig.v), RIG_FEATURES);
	assert_int_equal(rig_name(VDUSE_DESTROY_DEV, "rig"), -EBUSY);
	assert_int_equal(rig_vq_info(0).num, 64);
	assert_int_equal(sl_uduse_step(rig.u), 0);
}

static void test_second_daemon_waits(void **state)
{
	int second;

	(void)state;
	rig_serve();
	assert_int_equal(sl_unix_connect(rig.path, SOCK_SEQPACKET, &second), 0);
	assert_int_equal(sl_uduse_step(rig.u), 0);
	assert_int_equal(rig_vq_info(0).ready, 0);
	sl_fd_close(&rig.sock);
	assert_int_equal(sl_uduse_step(rig.u), -EAGAIN);
	rig.sock = second;
	assert_int_equal(rig_name(UDUSE_OPEN, "rig"), 0);
	assert_int_equal(sl_uduse_step(rig.u), 0);
}

/*
 * A disk whose daemon lies in its rings.
 */

#define DEPTH 4
#define BLOCK 4096

struct disk {
	struct virtio_blk_queue q;
	struct virtq_used *used;
	uint8_t data[DEPTH][BLOCK];
	uint8_t behind[64];
};

static struct disk disk;

static void disk_open(void)
{
	struct virtio_blk_setup setup = {.v = rig.v, .size = 64, .depth = DEPTH};

	rig_serve();
	rig_status(0);
	rig.v->features = RIG_FEATURES & ~VIRTIO_BIT(VIRTIO_F_RING_PACKED);
	assert_int_equal(sl_uduse_alloc(rig.u, sl_virtio_blk_memory(0, 64, DEPTH), false,
					&setup.memory, &setup.iova),
			 0);
	assert_int_equal(sl_uduse_alloc(rig.u, sl_virtio_blk_writable(64, DEPTH), true,
					&setup.writable, &setup.writable_iova),
			 0);
	memset(&disk, 0x55, sizeof(disk));
	assert_int_equal(sl_virtio_blk_open(&disk.q, &setup), 0);
	assert_int_equal(sl_virtio_blk_enable(&disk.q), 0);
	disk.used = setup.writable;
}

static void disk_add(uint16_t slot, uint32_t type)
{
	struct virtq_elem pieces[2] = {{{0}, 1024}, {{0}, BLOCK - 1024}};
	struct virtio_blk_request req = {
		.type = type, .data = pieces, .n = 2, .buffer = disk.data[slot]};

	assert_int_equal(sl_virtio_blk_add(&disk.q, slot, &req), 0);
	sl_virtio_blk_publish(&disk.q);
}

static void disk_used(uint32_t id, uint32_t len, uint8_t status)
{
	disk.used->ring[disk.used->idx % 64] = (struct virtq_used_elem){id, len};
	memset(disk.q.status, status, DEPTH);
	disk.used->idx++;
}

static unsigned bytes_of(const uint8_t *data, uint8_t byte)
{
	unsigned n = 0;

	for (unsigned i = 0; i < BLOCK; i++)
		n += data[i] == byte;
	return n;
}

/* Where the device sees the data of a request: what its daemon has written there. */
static void disk_fill(uint16_t slot, uint8_t byte)
{
	for (unsigned i = 0; i < disk.q.mapped[slot].n; i++) {
		const struct virtq_elem *e = &disk.q.mapped[slot].data[i];
		struct vduse_iotlb_entry entry = {.start = e->addr.value, .last = e->addr.value};
		uint8_t bytes[BLOCK];

		memset(bytes, byte, sizeof(bytes));
		assert_int_equal(rig_call(VDUSE_IOTLB_GET_FD, &entry, sizeof(entry)), 0);
		assert_int_equal(pwrite(rig.msg.fd, bytes, e->len,
					(off_t)(e->addr.value - rig.msg.payload.entry.start)),
				 e->len);
		sl_fd_close(&rig.msg.fd);
	}
}

static void test_lengths_of_used(void **state)
{
	static const struct {
		uint32_t len;
		unsigned come;
	} cases[] = {{BLOCK + 1, BLOCK}, {BLOCK, BLOCK}, {1025, 1025},
		     {1023, 1023},	 {1, 1},	 {0, 0}};
	uint8_t status;

	(void)state;
	disk_open();
	for (unsigned i = 0; i < sl_array_len(cases); i++) {
		disk_add(1, VIRTIO_BLK_T_IN);
		disk_fill(1, (uint8_t)i);
		memset(disk.data[1], 0x55, BLOCK);
		disk_used(disk.q.vq.avail->ring[i], cases[i].len, 0);
		assert_int_equal(sl_virtio_blk_get(&disk.q, &status), 1);
		assert_int_equal(bytes_of(disk.data[1], (uint8_t)i), cases[i].come);
		assert_int_equal(bytes_of(disk.data[1], 0x55), BLOCK - cases[i].come);
	}
	assert_int_equal(disk.data[2][0], 0x55);
	assert_int_equal(disk.behind[0], 0x55);
	sl_virtio_blk_close(&disk.q);
}

static void test_used_longer_than_buffer(void **state)
{
	uint8_t status;

	(void)state;
	disk_open();
	disk_add(0, VIRTIO_BLK_T_IN);
	disk_used(disk.q.vq.avail->ring[0], BLOCK + 2, 0);
	assert_int_equal(sl_virtio_blk_get(&disk.q, &status), -EPROTO);
	assert_int_equal(bytes_of(disk.data[0], 0x55), BLOCK);
	sl_virtio_blk_close(&disk.q);
}

/* A write's data stay as they are, whatever is said. */
static void test_write_is_not_written(void **state)
{
	uint8_t status;

	(void)state;
	disk_open();
	disk_add(0, VIRTIO_BLK_T_OUT);
	disk_used(disk.q.vq.avail->ring[0], UINT32_MAX, 0);
	assert_int_equal(sl_virtio_blk_get(&disk.q, &status), -EPROTO);
	sl_virtio_blk_close(&disk.q);
	rig_status(1);
	disk_used(0, 0, 0);
	assert_int_equal(bytes_of(disk.data[0], 0x55), BLOCK);
}

static void test_used_twice(void **state)
{
	uint8_t status;
	uint16_t id;

	(void)state;
	disk_open();
	disk_add(0, VIRTIO_BLK_T_IN);
	disk_add(1, VIRTIO_BLK_T_IN);
	id = disk.q.vq.avail->ring[0];
	disk_used(id, 1, 0);
	disk_used(id, 1, 0);
	assert_int_equal(sl_virtio_blk_get(&disk.q, &status), 0);
	assert_int_equal(sl_virtio_blk_get(&disk.q, &status), -EPROTO);
	sl_virtio_blk_close(&disk.q);
}

#define IMPATIENT(f) cmocka_unit_test_setup_teardown(f, set_up_impatient, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IMPATIENT(test_never_answers),
		IMPATIENT(test_flood_and_no_answer),
		RIG_TEST(test_step_is_bounded),
		RIG_TEST(test_reads_nothing),
		RIG_TEST(test_reads_no_descriptors),
		RIG_TEST(test_answers_at_all_times),
		RIG_TEST(test_nonsense),
		RIG_TEST(test_every_index),
		RIG_TEST(test_kicks),
		RIG_TEST(test_other_device_after_death),
		RIG_TEST(test_second_daemon_waits),
		RIG_TEST(test_lengths_of_used),
		RIG_TEST(test_used_longer_than_buffer),
		RIG_TEST(test_write_is_not_written),
		RIG_TEST(test_used_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
