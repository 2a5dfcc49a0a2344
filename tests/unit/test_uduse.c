/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's side of uduse, with daemons that keep to VDUSE's rules, or learn them. */
#include <poll.h>
#include <pthread.h>

#include "fake_daemon.h"

/*
 * The control device.
 */

static void test_version(void **state)
{
	uint64_t version = 1;

	(void)state;
	rig_connect();
	assert_int_equal(rig_call(VDUSE_SET_API_VERSION, &version, sizeof(version)), -EINVAL);
	version = 0;
	assert_int_equal(rig_call(VDUSE_SET_API_VERSION, &version, sizeof(version)), 0);
	rig.msg.payload.u64 = 5;
	assert_int_equal(rig_call(VDUSE_GET_API_VERSION, NULL, 0), 0);
	assert_int_equal(rig.msg.payload.u64, 0);
}

static void test_rules_of_create(void **state)
{
	struct vduse_dev_config ok = rig_device(), bad[16];
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < sl_array_len(bad); i++)
		bad[i] = ok;
	bad[n++].name[0] = 0;
	bad[n++].reserved[12] = 1;
	bad[n++].vq_align = 2;
	bad[n++].vq_align = 8192;
	bad[n++].vq_align = 24;
	bad[n++].vq_align = 0;
	bad[n++].vq_num = 0;
	bad[n++].vq_num = UDUSE_QUEUES_MAX + 1;
	bad[n++].device_id = VIRTIO_ID_CONSOLE;
	bad[n++].features &= ~VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM);
	bad[n++].features |= VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE);
	bad[n].device_id = VIRTIO_ID_NET;
	bad[n++].features |= VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ);
	bad[n].device_id = VIRTIO_ID_NET;
	bad[n++].features &= ~VIRTIO_BIT(VIRTIO_F_VERSION_1);
	rig_connect();
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(rig_create(&bad[i]), -EINVAL);
	assert_int_equal(rig_create(&ok), 0);
	assert_int_equal(rig_create(&ok), -EEXIST);
	assert_int_equal(rig_create(&bad[0]), -EINVAL);
}

static void test_open_and_destroy(void **state)
{
	struct vduse_dev_config config = rig_device();
	uint32_t vq = 0;

	(void)state;
	rig_connect();
	assert_int_equal(rig_name(UDUSE_OPEN, "rig"), -ENOENT);
	assert_int_equal(rig_name(VDUSE_DESTROY_DEV, "rig"), -EINVAL);
	assert_int_equal(rig_vq_setup(0, RIG_SIZE), -EBADF);
	assert_int_equal(rig_create(&config), 0);
	rig_die();
	rig_connect();
	assert_int_equal(rig_vq_setup(0, RIG_SIZE), -EBADF);
	assert_int_equal(rig_create(&config), -EEXIST);
	assert_int_equal(rig_name(UDUSE_OPEN, "other"), -ENOENT);
	assert_int_equal(rig_name(UDUSE_OPEN, "rig"), 0);
	assert_int_equal(rig_vq_setup(0, RIG_SIZE), 0);
	assert_int_equal(rig_name(VDUSE_DESTROY_DEV, "other"), -EINVAL);
	assert_int_equal(rig_name(VDUSE_DESTROY_DEV, "rig"), 0);
	assert_int_equal(rig_vq_setup(0, RIG_SIZE), -EBADF);
	/* What comes then is another. */
	config.features &= ~VIRTIO_BIT(VIRTIO_F_RING_PACKED);
	assert_int_equal(rig_create(&config), 0);
	assert_int_equal(rig.v->ops->get_features(rig.v), config.features);
	assert_int_equal(rig.v->ops->queue_size(rig.v, 0), 0);
	assert_int_equal(rig_call(_IOW(VDUSE_BASE, 0x18, uint32_t), &vq, sizeof(vq)), -ENOTTY);
}

static void test_serves_when_all_is_there(void **state)
{
	struct vduse_dev_config config = rig_device();

	(void)state;
	assert_int_equal(sl_uduse_step(rig.u), -EAGAIN);
	assert_non_null(strstr(sl_reason(), "no daemon has connected yet"));
	rig_connect();
	assert_int_equal(sl_uduse_step(rig.u), -EAGAIN);
	assert_int_equal(rig_create(&config), 0);
	assert_int_equal(rig_vq_setup(1, RIG_SIZE), 0);
	assert_int_equal(sl_uduse_step(rig.u), -EAGAIN);
	assert_string_equal(sl_reason(), "the daemon has not set up queue 0");
	assert_int_equal(rig_vq_setup(0, RIG_SIZE), 0);
	assert_int_equal(sl_uduse_step(rig.u), 0);
	assert_int_equal(rig_vq_setup(RIG_QUEUES, RIG_SIZE), -EINVAL);
}

static void test_wrong_device(void **state)
{
	struct vduse_dev_config config = rig_device();

	(void)state;
	rig_connect();
	config.vq_num = 1;
	assert_int_equal(rig_create(&config), 0);
	assert_int_equal(sl_uduse_step(rig.u), -EOPNOTSUPP);
	assert_string_equal(sl_reason(), "the device has 1 queues: 2 are wanted");
	assert_int_equal(rig_name(VDUSE_DESTROY_DEV, "rig"), 0);
	config.device_id = VIRTIO_ID_NET;
	assert_int_equal(rig_create(&config), -EINVAL);
	assert_int_equal(sl_uduse_step(rig.u), -EOPNOTSUPP);
	assert_string_equal(sl_reason(), "the daemon's device is of kind 1, not 2");
	sl_fd_close(&rig.sock);
	assert_int_equal(sl_uduse_step(rig.u), -EOPNOTSUPP); /* though it is gone */
}

/* A daemon of another kind is told so, and leaves the device, or the lack of one, to the next. */
static void test_daemon_of_another_kind(void **state)
{
	struct vduse_dev_config config = rig_device(), other = config;

	(void)state;
	other.device_id = VIRTIO_ID_NET;
	rig_connect();
	assert_int_equal(rig_create(&other), -EINVAL);
	assert_int_equal(rig_name(UDUSE_OPEN, "rig"), -ENOENT);
	sl_fd_close(&rig.sock);
	assert_int_equal(sl_uduse_step(rig.u), -EOPNOTSUPP);
	rig_serve();
	rig_die();
	rig_connect();
	assert_int_equal(rig_create(&other), -EINVAL);
	assert_int_equal(sl_uduse_step(rig.u), -EAGAIN);
	assert_int_equal(rig_create(&config), -EEXIST);
	assert_int_equal(rig_name(UDUSE_OPEN, "rig"), 0);
	assert_int_equal(sl_uduse_step(rig.u), 0);
}

/*
 * The device.
 */

static void test_config(void **state)
{
	uint8_t bytes[sizeof(struct vduse_config_data) + 8] = {0};
	struct vduse_config_data *c = (void *)bytes;
	uint32_t generation;
	char got[2];

	(void)state;
	rig_serve();
	generation = rig.v->ops->generation(rig.v);
	assert_int_equal(rig.v->ops->get_config(rig.v, 0, got, 2), 0);
	assert_memory_equal(got, "ab", 2);
	assert_int_equal(rig.v->ops->get_config(rig.v, RIG_CONFIG - 1, got, 2), -EINVAL);
	assert_int_equal(rig.v->ops->get_config(rig.v, SIZE_MAX, got, 2), -EINVAL);
	c->length = 0;
	assert_int_equal(rig_call(VDUSE_DEV_SET_CONFIG, c, sizeof(*c)), -EINVAL);
	c->length = 8;
	c->offset = RIG_CONFIG - 7;
	assert_int_equal(rig_call(VDUSE_DEV_SET_CONFIG, c, sizeof(bytes)), -EINVAL);
	c->offset = UINT32_MAX;
	assert_int_equal(rig_call(VDUSE_DEV_SET_CONFIG, c, sizeof(bytes)), -EINVAL);
	assert_int_equal(rig.v->ops->generation(rig.v), generation);
	c->offset = RIG_CONFIG - 8;
	memcpy(c->buffer, "......cd", 8);
	assert_int_equal(rig_call(VDUSE_DEV_SET_CONFIG, c, sizeof(bytes)), 0);
	assert_int_equal(rig.v->ops->get_config(rig.v, RIG_CONFIG - 2, got, 2), 0);
	assert_memory_equal(got, "cd", 2);
	assert_int_not_equal(rig.v->ops->generation(rig.v), generation);
}

static void test_life(void **state)
{
	struct vduse_vq_info info;
	int kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint32_t queue = 0;

	(void)state;
	rig_serve();
	assert_int_equal(rig_call(VDUSE_DEV_INJECT_CONFIG_IRQ, NULL, 0), -EINVAL);
	assert_int_equal(rig_vq_info(0).ready, 0);
	rig_drive(&ring);
	assert_int_equal(rig_call(VDUSE_DEV_GET_FEATURES, NULL, 0), 0);
	assert_int_equal(rig.msg.payload.u64, RIG_FEATURES);
	assert_int_equal(rig_call(VDUSE_DEV_INJECT_CONFIG_IRQ, NULL, 0), 0);
	info = rig_vq_info(0);
	assert_int_equal(info.index, 0);
	assert_int_equal(info.ready, 1);
	assert_int_equal(info.num, 64);
	assert_int_equal(info.desc_addr, 0x1000);
	assert_int_equal(info.driver_addr, 0x2000);
	assert_int_equal(info.device_addr, 0x3000);
	assert_int_equal(info.packed.last_avail_idx, 7);
	assert_int_equal(info.packed.last_avail_counter, 1);
	assert_int_equal(info.packed.last_used_idx, 6);
	assert_int_equal(info.packed.last_used_counter, 0);
	info = rig_vq_info(1);
	assert_int_equal(info.num + info.ready, 0);
	assert_int_equal(rig_kickfd(0, kick), 0);
	assert_true(rig_signalled(kick));
	rig.v->ops->notify(rig.v, 0);
	assert_true(rig_signalled(kick));
	rig.v->ops->notify(rig.v, 1); /* is not enabled */
	assert_false(rig_signalled(kick));
	assert_false(rig_signalled(sl_uduse_call(rig.u, 0)));
	memcpy(&rig.msg.payload, &queue, sizeof(queue));
	rig_send(VDUSE_VQ_INJECT_IRQ, sizeof(queue), -1);
	assert_int_equal(sl_uduse_step(rig.u), 0);
	assert_int_equal(sl_uduse_recv(rig.sock, false, &rig.msg), -EAGAIN);
	assert_true(rig_signalled(sl_uduse_call(rig.u, 0)));
	assert_int_equal(rig_name(VDUSE_DESTROY_DEV, "rig"), -EBUSY);
	rig_status(0);
	assert_int_equal(rig_vq_info(0).ready, 0);
	rig.v->ops->notify(rig.v, 0);
	assert_false(rig_signalled(kick));
	close(kick);
}

static void test_queue_too_large(void **state)
{
	struct virtio_queue large = {.size = RIG_SIZE + 1};

	(void)state;
	rig_serve();
	assert_int_equal(rig.v->ops->queue_enable(rig.v, 0, &large), -EINVAL);
	large.size = 0;
	assert_int_equal(rig.v->ops->queue_enable(rig.v, RIG_QUEUES, &large), -EINVAL);
	assert_int_equal(rig.v->ops->queue_enable(rig.v, UDUSE_QUEUES_MAX, &large), -EINVAL);
	large.size = 1;
	assert_int_equal(rig.v->ops->queue_enable(rig.v, RIG_QUEUES, &large), -EINVAL);
	assert_int_equal(rig.v->ops->queue_enable(rig.v, RIG_QUEUES - 1, &large), 0);
}

static void test_refusals(void **state)
{
	struct virtq_ring_state at;

	(void)state;
	rig_serve();
	rig_status(0);
	rig_will_respond(VDUSE_REQ_RESULT_FAILED);
	rig.v->ops->set_status(rig.v, 1);
	assert_int_equal(rig_request().s.status, 1);
	assert_int_equal(rig.v->ops->get_status(rig.v), 0);
	assert_int_equal(sl_uduse_vq_state(rig.u, 0, &at), -EINVAL);
	/* A reset happens all the same. */
	rig_status(1);
	rig_will_respond(VDUSE_REQ_RESULT_FAILED);
	rig.v->ops->set_status(rig.v, 0);
	rig_request();
	assert_int_equal(rig.v->ops->get_status(rig.v), 0);
}

static void respond_state(struct vduse_vq_state is)
{
	struct uduse_msg msg = {
		.header = {.type = UDUSE_RESPONSE, .len = sizeof(msg.payload.response)},
		.payload.response = {.request_id = ++rig.ids, .vq_state = is},
		.fd = -1,
	};

	assert_int_equal(sl_uduse_send(rig.sock, &msg, 0), 0);
}

static void test_vq_state(void **state)
{
	struct virtq_ring_state at;

	(void)state;
	rig_serve();
	rig_drive(&ring);
	respond_state((struct vduse_vq_state){.index = 0, .packed = {1, 63, 0, 9}});
	assert_int_equal(sl_uduse_vq_state(rig.u, 0, &at), 0);
	assert_int_equal(rig_request().type, VDUSE_GET_VQ_STATE);
	assert_int_equal(at.avail, 63);
	assert_int_equal(at.used, 9);
	assert_true(at.avail_wrap && !at.used_wrap);
	respond_state((struct vduse_vq_state){.index = 1, .packed = {1, 63, 0, 9}});
	assert_int_equal(sl_uduse_vq_state(rig.u, 0, &at), -EPROTO);
	respond_state((struct vduse_vq_state){.index = 0, .packed = {1, 64, 0, 9}});
	assert_int_equal(sl_uduse_vq_state(rig.u, 0, &at), -EPROTO);
	respond_state((struct vduse_vq_state){.index = 0, .packed = {2, 63, 0, 9}});
	assert_int_equal(sl_uduse_vq_state(rig.u, 0, &at), -EPROTO);
	rig_will_respond(VDUSE_REQ_RESULT_FAILED);
	assert_int_equal(sl_uduse_vq_state(rig.u, 0, &at), -EIO);
}

/*
 * Daemons die.
 */

static void test_next_daemon_goes_on(void **state)
{
	struct vduse_dev_config config = rig_device();
	int kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	(void)state;
	rig_serve();
	rig_drive(&ring);
	assert_int_equal(rig_kickfd(0, kick), 0);
	rig_die();
	assert_string_equal(sl_reason(), "the daemon is gone");
	assert_int_equal(rig.v->ops->get_status(rig.v), 15);
	assert_true(rig_signalled(kick));
	rig.v->ops->notify(rig.v, 0); /* is for the next one */
	assert_false(rig_signalled(kick));
	rig_connect();
	assert_int_equal(rig_create(&config), -EEXIST);
	assert_int_equal(rig_name(UDUSE_OPEN, "rig"), 0);
	assert_int_equal(sl_uduse_step(rig.u), 0);
	assert_int_equal(rig_vq_info(0).ready, 1);
	assert_int_equal(rig_call(VDUSE_DEV_GET_FEATURES, NULL, 0), 0);
	assert_int_equal(rig.msg.payload.u64, RIG_FEATURES);
	assert_int_equal(rig_kickfd(0, kick), 0);
	assert_true(rig_signalled(kick));
	close(kick);
}

/* Where nobody is a reset is for nobody. */
static void test_reset_without_daemon(void **state)
{
	uint64_t before = sl_now_ns();

	(void)state;
	rig_serve();
	rig_drive(&ring);
	rig_die();
	rig.v->ops->set_status(rig.v, 0);
	assert_int_equal(rig.v->ops->get_status(rig.v), 0);
	assert_true(sl_now_ns() - before < SL_NS_PER_S / 2);
}

static void *second_daemon(void *arg)
{
	int *first = arg, sock = -1;
	struct uduse_msg msg = {
		.header = {.type = UDUSE_CALL, .command = UDUSE_OPEN, .len = VDUSE_NAME_MAX},
		.payload.name = "rig",
		.fd = -1,
	};

	usleep(20000);
	sl_fd_close(first);
	sl_unix_connect(rig.path, SOCK_SEQPACKET, &sock);
	sl_uduse_send(sock, &msg, 0);
	while (msg.header.type != UDUSE_REQUEST) {
		struct pollfd p = {.fd = sock, .events = POLLIN};

		if (poll(&p, 1, 2000) != 1 || sl_uduse_recv(sock, false, &msg))
			break;
	}
	if (msg.header.type == UDUSE_REQUEST) {
		struct vduse_dev_response r;

		sl_vduse_response(&msg.payload.request, VDUSE_REQ_RESULT_OK, &r);
		msg.header.type = UDUSE_RESPONSE;
		msg.payload.response = r;
		sl_uduse_send(sock, &msg, 0);
	}
	*first = sock;
	return NULL;
}

/* A request that one daemon has not answered is the next one's. */
static void test_request_is_asked_again(void **state)
{
	pthread_t thread;

	(void)state;
	rig_serve();
	rig_status(0);
	assert_int_equal(pthread_create(&thread, NULL, second_daemon, &rig.sock), 0);
	rig.v->ops->set_status(rig.v, 1);
	pthread_join(thread, NULL);
	assert_int_equal(rig.v->ops->get_status(rig.v), 1);
}

static void test_config_of_open(void **state)
{
	struct uduse_config config = {.path = rig.path, .queues = 1, .bounce = 1};
	struct uduse *u;

	(void)state;
	assert_int_equal(sl_uduse_open(&config, &u), -EADDRINUSE);
	config.path = "/nowhere/at/all";
	assert_int_equal(sl_uduse_open(&config, &u), -ENOENT);
	config.queues = 0;
	assert_int_equal(sl_uduse_open(&config, &u), -EINVAL);
	config.queues = UDUSE_QUEUES_MAX + 1;
	assert_int_equal(sl_uduse_open(&config, &u), -EINVAL);
	config.queues = 1;
	config.bounce = 0;
	assert_int_equal(sl_uduse_open(&config, &u), -EINVAL);
	config.bounce = (size_t)UDUSE_BOUNCE_MAX + 1;
	assert_int_equal(sl_uduse_open(&config, &u), -EINVAL);
	sl_uduse_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(test_version),
		RIG_TEST(test_rules_of_create),
		RIG_TEST(test_open_and_destroy),
		RIG_TEST(test_serves_when_all_is_there),
		RIG_TEST(test_wrong_device),
		RIG_TEST(test_daemon_of_another_kind),
		RIG_TEST(test_config),
		RIG_TEST(test_life),
		RIG_TEST(test_queue_too_large),
		RIG_TEST(test_refusals),
		RIG_TEST(test_vq_state),
		RIG_TEST(test_next_daemon_goes_on),
		RIG_TEST(test_reset_without_daemon),
		RIG_TEST(test_request_is_asked_again),
		RIG_TEST(test_config_of_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
