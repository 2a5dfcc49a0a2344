/* SPDX-License-Identifier: BSD-2-Clause */
/* The front end of vhost-user against back ends that keep to the protocol, that do not, and that go
 * away and are followed by others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <sluice/reason.h>

#include "base/clock.h"
#include "fake_back.h"
#include "virtio/vhost_user.h"

#define SIZE	 16
#define DEPTH	 4
#define LEN	 4096
#define WAIT_NS	 (5 * SL_NS_PER_S)
#define SHORT_NS (30 * SL_NS_PER_MS)

static struct back back, second;
static struct vhost_front *front;
static struct virtio *v;
static struct virtio_blk_queue q;
static uint8_t *data;
static char path[64];

static void assert_reason(const char *part)
{
	if (!strstr(sl_reason(), part))
		fail_msg("not \"%s\" but \"%s\"", part, sl_reason());
}

static int fresh(void **state)
{
	(void)state;
	back = back_new();
	second = back_new();
	front = NULL;
	memset(&q, 0, sizeof(q));
	snprintf(path, sizeof(path), "/tmp/sl-front-%d.sock", getpid());
	return 0;
}

static int done(void **state)
{
	(void)state;
	if (front)
		sl_virtio_blk_close(&q);
	sl_vhost_front_close(front);
	front = NULL;
	unlink(path);
	return 0;
}

static int open_front(const struct vhost_front_config *config)
{
	struct vhost_front_config c = *config;
	int ret;

	c.memory = 1 << 20;
	c.queues = c.queues ? c.queues : 1;
	c.size = SIZE;
	c.wait_ns = c.wait_ns ? c.wait_ns : WAIT_NS;
	ret = sl_vhost_front_open(&c, &front);
	if (!ret)
		v = sl_vhost_front_virtio(front);
	return ret;
}

/* With a back end at the other end of a pair of sockets. */
static void start(uint64_t wait_ns)
{
	struct vhost_front_config config = {.wait_ns = wait_ns};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
			 0);
	config.fd = pair[0];
	back.sock = pair[1];
	assert_int_equal(open_front(&config), 0);
	back_start(&back);
}

/* Everything up to DRIVER_OK, as sluice io does it. */
static int bring_up(void)
{
	struct virtio_blk_setup setup = {.v = v, .size = SIZE, .depth = DEPTH};
	struct virtio_blk_state state;
	int ret = sl_vhost_front_connect(front);

	if (!ret)
		ret = sl_virtio_blk_start(v, 0);
	if (!ret)
		ret = sl_virtio_blk_state(v, &state);
	if (ret)
		return ret;
	assert_true(sl_virtio_blk_memory(v->features, SIZE, DEPTH) <= LEN);
	setup.memory = sl_vhost_front_memory(front)->base;
	setup.iova = sl_vhost_front_iova(front, 0);
	data = (uint8_t *)setup.memory + LEN;
	assert_int_equal(sl_virtio_blk_open(&q, &setup), 0);
	ret = sl_virtio_blk_enable(&q);
	return ret ? ret : sl_virtio_driver_ok(v);
}

static int take_over(void)
{
	uint64_t features = v->features;
	int ret = sl_vhost_front_connect(front);

	if (!ret)
		ret = sl_virtio_start(v, features, NULL);
	if (!ret)
		ret = sl_virtio_blk_enable(&q);
	return ret ? ret : sl_virtio_driver_ok(v);
}

static void ask_read(uint16_t slot)
{
	struct virtq_elem piece = {sl_vhost_front_iova(front, LEN + slot * 512u), 512};
	struct virtio_blk_request req = {
		.type = VIRTIO_BLK_T_IN, .sector = slot, .data = &piece, .n = 1};

	memset(data + slot * 512u, 0, 512);
	assert_int_equal(sl_virtio_blk_add(&q, slot, &req), 0);
	sl_virtio_blk_publish(&q);
}

static int await_request(uint8_t *status)
{
	uint64_t until = sl_now_ns() + WAIT_NS;
	int ret;

	while ((ret = sl_virtio_blk_get(&q, status)) == -EAGAIN && sl_now_ns() < until)
		usleep(100);
	return ret;
}

static void await_read(uint16_t slot)
{
	uint8_t status, wanted[512];

	memset(wanted, BACK_BYTE, sizeof(wanted));
	assert_int_equal(await_request(&status), slot);
	assert_int_equal(status, VIRTIO_BLK_S_OK);
	assert_memory_equal(data + slot * 512u, wanted, sizeof(wanted));
}

/* Until step() finds that it is gone. */
static int await_end(void)
{
	struct pollfd fd = {sl_vhost_front_fd(front), POLLIN, 0};
	uint64_t until = sl_now_ns() + WAIT_NS;
	int ret;

	while (!(ret = sl_vhost_front_step(front)) && sl_now_ns() < until)
		poll(&fd, 1, 1000);
	return ret;
}

/*
 * Back ends that keep to the protocol.
 */

static void assert_before(uint32_t first, uint32_t then)
{
	unsigned a = 0, b = 0;

	while (a < back.n_seen && back.seen[a] != first)
		a++;
	while (b < back.n_seen && back.seen[b] != then)
		b++;
	if (a >= b || b == back.n_seen)
		fail_msg("%s is not before %s", sl_vhost_user_name(first),
			 sl_vhost_user_name(then));
}

static void test_order(void **state)
{
	(void)state;
	start(0);
	assert_int_equal(bring_up(), 0);
	back_join(&back);
	assert_before(VHOST_USER_SET_OWNER, VHOST_USER_GET_FEATURES);
	assert_before(VHOST_USER_GET_FEATURES, VHOST_USER_GET_PROTOCOL_FEATURES);
	assert_before(VHOST_USER_SET_PROTOCOL_FEATURES, VHOST_USER_GET_QUEUE_NUM);
	assert_before(VHOST_USER_SET_PROTOCOL_FEATURES, VHOST_USER_SET_FEATURES);
	assert_before(VHOST_USER_SET_FEATURES, VHOST_USER_GET_INFLIGHT_FD);
	assert_before(VHOST_USER_ADD_MEM_REG, VHOST_USER_SET_VRING_ADDR);
	assert_before(VHOST_USER_GET_INFLIGHT_FD, VHOST_USER_SET_INFLIGHT_FD);
	assert_before(VHOST_USER_SET_INFLIGHT_FD, VHOST_USER_SET_VRING_NUM);
	assert_before(VHOST_USER_SET_VRING_NUM, VHOST_USER_SET_VRING_KICK);
	assert_before(VHOST_USER_SET_VRING_ADDR, VHOST_USER_SET_VRING_KICK);
	assert_before(VHOST_USER_SET_VRING_BASE, VHOST_USER_SET_VRING_KICK);
	assert_before(VHOST_USER_SET_VRING_CALL, VHOST_USER_SET_VRING_KICK);
	assert_before(VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_ENABLE);
	assert_int_equal(back.status, 0xf);
	assert_int_equal(back.got_features, v->features | BACK_BIT(VHOST_USER_F_PROTOCOL_FEATURES));
	assert_int_equal(back.got_protocol, back.protocol);
	assert_int_equal(back.log_mark, BACK_LOG_MARK);
	assert_int_equal(back.rings[0].size, SIZE);
	assert_false(back.truncated); /* it has our memory, and cannot take it away */
	assert_int_equal(back.rings[0].addr.avail_user_addr - back.rings[0].addr.desc_user_addr,
			 q.layout.avail);
	assert_int_equal(back.rings[0].addr.used_user_addr - back.rings[0].addr.desc_user_addr,
			 q.layout.used);
	assert_int_not_equal(back.region.guest_phys_addr, back.region.userspace_addr);
}

static void test_requests(void **state)
{
	struct pollfd call;

	(void)state;
	start(0);
	assert_int_equal(bring_up(), 0);
	for (unsigned i = 0; i < 1000; i++) {
		ask_read(i % DEPTH);
		await_read(i % DEPTH);
		assert_int_equal(sl_vhost_front_step(front), 0);
	}
	call = (struct pollfd){sl_vhost_front_call(front, 0), POLLIN, 0};
	sl_event_clear(call.fd);
	assert_false(sl_virtq_arm(&q.vq, 0));
	ask_read(1);
	assert_int_equal(poll(&call, 1, 5000), 1);
	await_read(1);
	assert_int_equal(sl_vhost_front_call(front, 1), -1);
	back_join(&back);
}

/* Each feature of the protocol may be missing. */
static void test_features(void **state)
{
	static const unsigned features[] = {
		VHOST_USER_PROTOCOL_F_MQ,	    VHOST_USER_PROTOCOL_F_REPLY_ACK,
		VHOST_USER_PROTOCOL_F_BACKEND_REQ,  VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
		VHOST_USER_PROTOCOL_F_RESET_DEVICE, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS,
		VHOST_USER_PROTOCOL_F_STATUS,
	};

	for (unsigned i = 0; i <= sl_array_len(features); i++) {
		bool all = i == sl_array_len(features); /* but what a disk needs */

		fresh(state);
		for (unsigned n = 0; n < sl_array_len(features); n++)
			if (all || n == i)
				back.protocol &= ~BACK_BIT(features[n]);
		start(0);
		assert_int_equal(bring_up(), 0);
		assert_int_equal(back.got_protocol, back.protocol);
		ask_read(0);
		await_read(0);
		assert_int_equal(sl_virtio_reset(v), 0);
		assert_int_equal(sl_vhost_front_step(front), 0);
		back_join(&back);
		done(state);
	}
}

static void test_reset(void **state)
{
	(void)state;
	back.protocol &= ~BACK_BIT(VHOST_USER_PROTOCOL_F_STATUS);
	start(0);
	assert_int_equal(bring_up(), 0);
	assert_int_equal(sl_virtio_reset(v), 0);
	sl_virtio_blk_close(&q);
	assert_int_equal(back_saw(&back, VHOST_USER_GET_VRING_BASE), 1);
	assert_int_equal(back_saw(&back, VHOST_USER_RESET_DEVICE), 2);
	/* And up again: a new log, the same memory. */
	assert_int_equal(sl_virtio_blk_start(v, 0), 0);
	assert_int_equal(sl_virtio_blk_open(&q, &q.setup), 0);
	memset(sl_vhost_front_memory(front)->base, 0, LEN);
	assert_int_equal(sl_virtio_blk_enable(&q), 0);
	assert_int_equal(sl_virtio_driver_ok(v), 0);
	assert_int_equal(back_saw(&back, VHOST_USER_GET_INFLIGHT_FD), 2);
	assert_int_equal(back_saw(&back, VHOST_USER_ADD_MEM_REG), 1);
	ask_read(0);
	await_read(0);
	back_join(&back);
}

/* It may ask at any time, also while we wait for an answer. */
static void test_config_change(void **state)
{
	uint64_t until = sl_now_ns() + WAIT_NS;
	uint32_t before;

	(void)state;
	back.ask = VHOST_USER_BACKEND_CONFIG_CHANGE_MSG;
	start(0);
	before = v->ops->generation(v);
	assert_int_equal(bring_up(), 0);
	while (v->ops->generation(v) == before && sl_now_ns() < until)
		assert_int_equal(sl_vhost_front_step(front), 0);
	assert_int_equal(v->ops->generation(v), before + 1);
	usleep(10000);
	back_join(&back);
	assert_int_equal(back.answered, 0);
}

static void test_unknown_ask(void **state)
{
	uint32_t before;

	(void)state;
	back.ask = 77;
	start(0);
	assert_int_equal(bring_up(), 0);
	before = v->ops->generation(v);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(sl_vhost_front_step(front), 0);
		usleep(1000);
	}
	assert_int_equal(v->ops->generation(v), before);
	back_join(&back);
	assert_int_equal(back.answered, 1);
}

/*
 * Back ends that cannot be used.
 */

static void cannot(int ret, const char *why)
{
	start(0);
	assert_int_equal(bring_up(), ret);
	assert_reason(why);
	back_join(&back);
}

static void test_no_protocol(void **state)
{
	(void)state;
	back.features &= ~BACK_BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	cannot(-EOPNOTSUPP, "VHOST_USER_F_PROTOCOL_FEATURES");
}

static void test_no_queues(void **state)
{
	(void)state;
	back.queues = 0;
	cannot(-EOPNOTSUPP, "has 0 queues: 1 are wanted");
}

static void test_no_slots(void **state)
{
	(void)state;
	back.slots = 0;
	cannot(-EOPNOTSUPP, "no room for memory");
}

static void test_no_config(void **state)
{
	(void)state;
	back.protocol &= ~BACK_BIT(VHOST_USER_PROTOCOL_F_CONFIG);
	cannot(-EOPNOTSUPP, "VHOST_USER_PROTOCOL_F_CONFIG");
}

static void test_legacy(void **state)
{
	(void)state;
	back.features &= ~BACK_BIT(VIRTIO_F_VERSION_1);
	cannot(-EOPNOTSUPP, "VIRTIO_F_VERSION_1");
}

static void test_bad_arguments(void **state)
{
	struct vhost_front_config config = {.memory = 4096, .fd = -1};
	uint8_t byte;

	(void)state;
	assert_int_equal(sl_vhost_front_open(&config, &front), -EINVAL);
	config.queues = VHOST_FRONT_QUEUES_MAX + 1;
	assert_int_equal(sl_vhost_front_open(&config, &front), -EINVAL);
	config.queues = 1;
	config.memory = 0;
	assert_int_equal(sl_vhost_front_open(&config, &front), -EINVAL);
	start(0);
	assert_int_equal(sl_vhost_front_step(front), -ENODEV);
	assert_reason("no back end yet");
	assert_int_equal(bring_up(), 0);
	assert_int_equal(v->ops->get_config(v, 256, &byte, 1), -EINVAL);
	assert_int_equal(v->ops->get_config(v, SIZE_MAX, &byte, 2), -EINVAL);
	assert_int_equal(v->ops->get_config(v, 255, &byte, 1), 0);
	assert_int_equal(v->ops->queue_size(v, 0), SIZE);
	assert_int_equal(v->ops->queue_size(v, 1), 0);
	assert_int_equal(v->ops->queue_enable(v, 1, &(struct virtio_queue){0}), -EINVAL);
	back_join(&back);
}

/*
 * Back ends that do not keep to the protocol.
 */

static int count_answers(void **state)
{
	int n;

	fresh(state);
	start(0);
	assert_int_equal(bring_up(), 0);
	back_join(&back);
	n = back.answers;
	done(state);
	return n;
}

/* Does what is wrong with an answer have to be found? The rest must only do no harm. */
static bool must_fail(enum back_evil evil)
{
	switch (evil) {
	case EVIL_NONE:
	case EVIL_NO_FD: /* of most answers there is none */
	case EVIL_ONES:
	case EVIL_ZEROES: /* of an acknowledgement: right */
	case EVIL_TWICE:  /* the last one is found later */
		return false;
	default:
		return true;
	}
}

static void test_every_answer_wrong(void **state)
{
	int answers = count_answers(state);

	assert_in_range(answers, 20, 60);
	for (enum back_evil evil = EVIL_DIES; evil < EVIL_COUNT; evil++) {
		for (int at = 0; at < answers; at++) {
			uint64_t began = sl_now_ns();
			int ret;

			fresh(state);
			back.evil = evil;
			back.evil_at = at;
			start(SHORT_NS);
			ret = bring_up();
			if (must_fail(evil) && !ret)
				fail_msg("evil %d at answer %d is not found", (int)evil, at);
			if (ret)
				assert_true(*sl_reason());
			if (evil == EVIL_TWICE && !ret)
				assert_int_equal(await_end(), -ENODEV);
			assert_true(sl_now_ns() - began < WAIT_NS);
			back_join(&back);
			done(state);
		}
	}
}

static void test_mute(void **state)
{
	(void)state;
	back.evil = EVIL_MUTE;
	back.evil_at = 0;
	start(SHORT_NS);
	assert_int_equal(bring_up(), -ETIMEDOUT);
	assert_reason("has not answered VHOST_USER_GET_FEATURES");
	/* It is not spoken to again: what comes late belongs to nothing. */
	assert_int_equal(sl_vhost_front_step(front), -ENODEV);
	assert_reason("has not answered");
	back_join(&back);
}

static void test_refuses(void **state)
{
	for (int at = 0; at < 40; at++) {
		int ret;

		fresh(state);
		back.evil = EVIL_ONES;
		back.evil_at = at;
		start(SHORT_NS);
		ret = bring_up();
		back_join(&back);
		if (ret == -EOPNOTSUPP && strstr(sl_reason(), "refuses VHOST_USER_SET_VRING_NUM")) {
			done(state);
			return;
		}
		done(state);
	}
	fail_msg("no refusal was told");
}

static void test_used_is_wrong(void **state)
{
	uint8_t status;

	(void)state;
	back.bad_used = true;
	start(0);
	assert_int_equal(bring_up(), 0);
	ask_read(0);
	assert_int_equal(await_request(&status), -EPROTO);
	assert_non_null(q.vq.broken);
	back_join(&back);
}

static void test_says_broken(void **state)
{
	(void)state;
	back.err_now = true;
	start(0);
	assert_int_equal(bring_up(), 0);
	ask_read(0);
	assert_int_equal(await_end(), -ENODEV);
	assert_reason("says that a queue is broken");
	back_join(&back);
}

/*
 * Back ends that go away.
 */

static void test_gone(void **state)
{
	uint8_t byte;

	(void)state;
	back.hold = back.dies_at = 1;
	start(0);
	assert_int_equal(bring_up(), 0);
	ask_read(0);
	assert_int_equal(await_end(), -ENODEV);
	assert_reason("the back end is gone");
	assert_int_equal(v->ops->get_status(v), -ENODEV);
	assert_int_equal(v->ops->get_config(v, 0, &byte, 1), -ENODEV);
	assert_int_equal(sl_virtio_check(v), -ENODEV);
	assert_int_equal(sl_virtio_blk_enable(&q), -ENODEV);
	v->ops->notify(v, 0);
	v->ops->set_status(v, 0);
	assert_int_equal(sl_vhost_front_step(front), -ENODEV);
	assert_int_equal(sl_vhost_front_connect(front), -EOPNOTSUPP); /* it was a descriptor */
	back_join(&back);
}

static void listen_and_open(void)
{
	assert_int_equal(sl_unix_listen(path, SOCK_STREAM, &back.listener), 0);
	second.listener = back.listener;
	assert_int_equal(open_front(&(struct vhost_front_config){.path = path}), 0);
}

/* What the first held is there for the second, with the log, and from where the first had come. */
static void test_take_over(void **state)
{
	(void)state;
	back.hold = back.dies_at = 3;
	listen_and_open();
	back_start(&back);
	assert_int_equal(bring_up(), 0);
	for (uint16_t i = 0; i < 3; i++)
		ask_read(i);
	assert_int_equal(await_end(), -ENODEV);
	ask_read(3); /* while nobody is there */
	back_join(&back);
	back_start(&second);
	assert_int_equal(take_over(), 0);
	for (uint16_t i = 0; i < 4; i++)
		await_read(i);
	for (uint16_t i = 0; i < 100; i++) {
		ask_read(i % DEPTH);
		await_read(i % DEPTH);
	}
	back_join(&second);
	assert_int_equal(second.log_mark, BACK_LOG_MARK);
	assert_int_equal(back_saw(&second, VHOST_USER_GET_INFLIGHT_FD), 0);
	assert_int_equal(back_saw(&second, VHOST_USER_SET_INFLIGHT_FD), 1);
	assert_int_equal(second.rings[0].base, 0);
	assert_int_equal(second.got_features, back.got_features);
	sl_fd_close(&back.listener);
}

/* The base is used idx: of what the first gave back the second knows nothing. */
static void test_take_over_later(void **state)
{
	(void)state;
	listen_and_open();
	back_start(&back);
	assert_int_equal(bring_up(), 0);
	for (uint16_t i = 0; i < 77; i++) {
		ask_read(i % DEPTH);
		await_read(i % DEPTH);
	}
	back_join(&back);
	assert_int_equal(await_end(), -ENODEV);
	back_start(&second);
	assert_int_equal(take_over(), 0);
	ask_read(0);
	await_read(0);
	back_join(&second);
	assert_int_equal(second.rings[0].base, 77);
	sl_fd_close(&back.listener);
}

static void test_nobody_there(void **state)
{
	(void)state;
	assert_int_equal(open_front(&(struct vhost_front_config){.path = path}), 0);
	assert_int_equal(sl_vhost_front_connect(front), -EAGAIN);
	assert_int_equal(sl_unix_listen(path, SOCK_STREAM, &back.listener), 0);
	sl_fd_close(&back.listener);
	assert_int_equal(sl_vhost_front_connect(front), -EAGAIN); /* its socket is still there */
}

static void test_no_log(void **state)
{
	(void)state;
	second.protocol &= ~BACK_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
	listen_and_open();
	back_start(&back);
	assert_int_equal(bring_up(), 0);
	back_join(&back);
	assert_int_equal(await_end(), -ENODEV);
	back_start(&second);
	assert_int_equal(take_over(), -EOPNOTSUPP);
	assert_reason("VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD");
	back_join(&second);
	sl_fd_close(&back.listener);
}

/* Whatever happens while the second takes over, a third can. */
static void test_second_fails(void **state)
{
	int answers = count_answers(state);

	for (int at = 0; at < answers; at++) {
		struct back third = back_new();

		fresh(state);
		back.hold = back.dies_at = 1;
		second.evil = EVIL_DIES;
		second.evil_at = at;
		listen_and_open();
		third.listener = back.listener;
		back_start(&back);
		assert_int_equal(bring_up(), 0);
		ask_read(0);
		assert_int_equal(await_end(), -ENODEV);
		back_join(&back);
		back_start(&second);
		take_over();
		back_join(&second);
		if (await_end() != -ENODEV)
			fail_msg("answer %d: the second is still there", at);
		back_start(&third);
		assert_int_equal(take_over(), 0);
		await_read(0);
		back_join(&third);
		assert_int_equal(third.log_mark, BACK_LOG_MARK);
		sl_fd_close(&back.listener);
		done(state);
	}
}

static void test_listen(void **state)
{
	struct vhost_front_config config = {.path = path, .listen = true};
	struct vhost_front *other;
	int stale;

	(void)state;
	assert_int_equal(sl_unix_listen(path, SOCK_STREAM, &stale),
			 0); /* of a process that was killed */
	sl_fd_close(&stale);
	assert_int_equal(open_front(&config), 0);
	config.memory = 4096;
	config.queues = 1;
	assert_int_equal(sl_vhost_front_connect(front), -EAGAIN);
	assert_int_equal(sl_vhost_front_open(&config, &other), -EADDRINUSE);
	sl_vhost_front_connect(front); /* who only looked whether we are there */
	assert_int_equal(sl_vhost_front_connect(front), -EAGAIN);
	assert_int_equal(sl_unix_connect(path, SOCK_STREAM, &back.sock), 0);
	back_start(&back);
	assert_int_equal(bring_up(), 0);
	ask_read(0);
	await_read(0);
	back_join(&back);
	assert_int_equal(await_end(), -ENODEV);
	assert_int_equal(sl_unix_connect(path, SOCK_STREAM, &second.sock), 0);
	back_start(&second);
	assert_int_equal(take_over(), 0);
	ask_read(1);
	await_read(1);
	back_join(&second);
	done(state);
	assert_int_equal(access(path, F_OK), -1);
}

#define test_front(f) cmocka_unit_test_setup_teardown(f, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_front(test_order),
		test_front(test_requests),
		test_front(test_features),
		test_front(test_reset),
		test_front(test_config_change),
		test_front(test_unknown_ask),
		test_front(test_no_protocol),
		test_front(test_no_queues),
		test_front(test_no_slots),
		test_front(test_no_config),
		test_front(test_legacy),
		test_front(test_bad_arguments),
		test_front(test_every_answer_wrong),
		test_front(test_mute),
		test_front(test_refuses),
		test_front(test_used_is_wrong),
		test_front(test_says_broken),
		test_front(test_gone),
		test_front(test_take_over),
		test_front(test_take_over_later),
		test_front(test_nobody_there),
		test_front(test_no_log),
		test_front(test_second_fails),
		test_front(test_listen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
