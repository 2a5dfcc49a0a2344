/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver's side of uduse and a daemon of it, both in the test's thread: the daemon is a socket
 * and what the test sends by it. A request that the driver's side will wait for is answered before:
 * their ids count from 1.
 */
#ifndef SL_TESTS_FAKE_DAEMON_H
#define SL_TESTS_FAKE_DAEMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>

#include <sluice/reason.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "descriptors.h"
#include "virtio/uduse.h"
#include "wire/uduse.h"
#include "wire/unix_socket.h"

#define RIG_BOUNCE 65536
#define RIG_QUEUES 2
#define RIG_SIZE   128
#define RIG_FEATURES                                                                               \
	(VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM) |                   \
	 VIRTIO_BIT(VIRTIO_F_RING_PACKED))
#define RIG_CONFIG 64

/** struct rig - @sock: the daemon's; @ids: requests so far */
struct rig {
	char path[64];
	struct uduse *u;
	struct virtio *v;
	int sock;
	uint32_t ids;
	unsigned open_before;
	struct uduse_msg msg;
};

static struct rig rig;

/* A test of it. */
#define RIG_TEST(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

/* A queue, somewhere. */
static const struct virtio_queue ring = {
	.size = 64,
	.desc = {0x1000},
	.avail = {0x2000},
	.used = {0x3000},
	.state = {7, 6, true, false},
};

static inline void rig_open(uint64_t wait_ns)
{
	struct uduse_config config = {
		.path = rig.path,
		.device_id = VIRTIO_ID_BLOCK,
		.queues = RIG_QUEUES,
		.bounce = RIG_BOUNCE,
		.wait_ns = wait_ns,
	};

	rig = (struct rig){.sock = -1, .open_before = descriptors()};
	snprintf(rig.path, sizeof(rig.path), "/tmp/sluice-uduse-%d.sock", (int)getpid());
	assert_int_equal(sl_uduse_open(&config, &rig.u), 0);
	rig.v = sl_uduse_virtio(rig.u);
}

static inline int rig_set_up(void **state)
{
	(void)state;
	rig_open(SL_NS_PER_S);
	return 0;
}

static inline int rig_tear_down(void **state)
{
	(void)state;
	sl_uduse_close(rig.u);
	sl_fd_close(&rig.sock);
	assert_int_equal(descriptors(), rig.open_before);
	assert_int_not_equal(access(rig.path, F_OK), 0);
	return 0;
}

static inline void rig_connect(void)
{
	assert_int_equal(sl_unix_connect(rig.path, SOCK_SEQPACKET, &rig.sock), 0);
}

static inline void rig_die(void)
{
	sl_fd_close(&rig.sock);
	assert_int_equal(sl_uduse_step(rig.u), -EAGAIN);
}

/* A call as it is in rig.msg. */
static inline void rig_send(uint32_t command, size_t len, int fd)
{
	rig.msg.header =
		(struct uduse_header){.type = UDUSE_CALL, .command = command, .len = (uint32_t)len};
	rig.msg.fd = fd;
	assert_int_equal(sl_uduse_send(rig.sock, &rig.msg, 0), 0);
}

/* What is returned is in rig.msg then. */
static inline int rig_return(uint32_t command)
{
	sl_uduse_step(rig.u);
	assert_int_equal(sl_uduse_recv(rig.sock, false, &rig.msg), 0);
	assert_int_equal(rig.msg.header.type, UDUSE_RETURN);
	assert_int_equal(rig.msg.header.command, command);
	return rig.msg.header.result;
}

static inline int rig_call_fd(uint32_t command, const void *payload, size_t len, int fd)
{
	if (len)
		memcpy(&rig.msg.payload, payload, len);
	rig_send(command, len, fd);
	return rig_return(command);
}

static inline int rig_call(uint32_t command, const void *payload, size_t len)
{
	return rig_call_fd(command, payload, len, -1);
}

/* A device that is right in all. */
static inline struct vduse_dev_config rig_device(void)
{
	return (struct vduse_dev_config){
		.name = "rig",
		.device_id = VIRTIO_ID_BLOCK,
		.features = RIG_FEATURES,
		.vq_num = RIG_QUEUES,
		.vq_align = 4096,
		.config_size = RIG_CONFIG,
	};
}

static inline int rig_create(const struct vduse_dev_config *config)
{
	size_t len = sizeof(*config) + config->config_size;

	memset(&rig.msg.payload, 0, sizeof(rig.msg.payload));
	memcpy(&rig.msg.payload.create, config, sizeof(*config));
	if (config->config_size >= 2)
		memcpy(rig.msg.payload.bytes + sizeof(*config), "ab", 2);
	rig_send(VDUSE_CREATE_DEV, len, -1);
	return rig_return(VDUSE_CREATE_DEV);
}

static inline int rig_name(uint32_t command, const char *name)
{
	char text[VDUSE_NAME_MAX] = {0};

	snprintf(text, sizeof(text), "%s", name);
	return rig_call(command, text, sizeof(text));
}

static inline int rig_vq_setup(uint32_t index, uint16_t size)
{
	struct vduse_vq_config config = {.index = index, .max_size = size};

	return rig_call(VDUSE_VQ_SETUP, &config, sizeof(config));
}

static inline struct vduse_vq_info rig_vq_info(uint32_t index)
{
	struct vduse_vq_info info = {.index = index, .num = 99};

	assert_int_equal(rig_call(VDUSE_VQ_GET_INFO, &info, sizeof(info)), 0);
	return rig.msg.payload.vq_info;
}

static inline int rig_kickfd(uint32_t index, int fd)
{
	struct vduse_vq_eventfd e = {.index = index, .fd = fd >= 0 ? 0 : VDUSE_EVENTFD_DEASSIGN};

	return rig_call_fd(VDUSE_VQ_SETUP_KICKFD, &e, sizeof(e), fd);
}

/* A device that can be driven. */
static inline void rig_serve(void)
{
	struct vduse_dev_config config = rig_device();

	rig_connect();
	assert_int_equal(rig_create(&config), 0);
	for (unsigned q = 0; q < RIG_QUEUES; q++)
		assert_int_equal(rig_vq_setup(q, RIG_SIZE), 0);
	assert_int_equal(sl_uduse_step(rig.u), 0);
}

/* To a request with that id. */
static inline void rig_respond(uint32_t id, uint32_t result)
{
	struct uduse_msg msg = {
		.header = {.type = UDUSE_RESPONSE, .len = sizeof(msg.payload.response)},
		.payload.response = {.request_id = id, .result = result},
		.fd = -1,
	};

	assert_int_equal(sl_uduse_send(rig.sock, &msg, 0), 0);
}

/* To the one that comes next. */
static inline void rig_will_respond(uint32_t result)
{
	rig_respond(++rig.ids, result);
}

/* The request that has come. */
static inline struct vduse_dev_request rig_request(void)
{
	assert_int_equal(sl_uduse_recv(rig.sock, false, &rig.msg), 0);
	assert_int_equal(rig.msg.header.type, UDUSE_REQUEST);
	return rig.msg.payload.request;
}

static inline void rig_status(uint8_t status)
{
	struct vduse_dev_request r;

	rig_will_respond(VDUSE_REQ_RESULT_OK);
	rig.v->ops->set_status(rig.v, status);
	r = rig_request();
	assert_int_equal(r.type, VDUSE_SET_STATUS);
	assert_int_equal(r.request_id, rig.ids);
	assert_int_equal(r.s.status, status);
	assert_int_equal(rig.v->ops->get_status(rig.v), status);
}

/* All that a driver does. Queue 0 is enabled where @setup says. */
static inline void rig_drive(const struct virtio_queue *setup)
{
	rig_status(0);
	rig_status(1);
	rig_status(3);
	rig.v->features = RIG_FEATURES;
	rig.v->ops->set_features(rig.v, RIG_FEATURES);
	rig_status(11);
	assert_int_equal(rig.v->ops->queue_enable(rig.v, 0, setup), 0);
	rig_status(15);
}

/* Has an event been signalled? It is cleared. */
static inline bool rig_signalled(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) && n;
}

#endif
