/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The port virtio-user over uduse. While the port attaches, a thread answers what the daemon is
 * asked; then the test itself is the daemon, and with the oracle the device.
 */
#include <limits.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <linux/virtio_ids.h>

#include "base/bytes.h"
#include "virtio_user_rig.h"
#include "wire/uduse.h"

#define MAPS_MAX 16
#define FEATURES (VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM))
#define ANSWERS	 UINT_MAX

struct mapping {
	uint64_t start, last;
	uint8_t *base;
	bool write;
};

static struct mapping maps[MAPS_MAX];
static unsigned n_maps;
/* The daemon: so many requests are answered. */
static int sock, stop;
static unsigned answers;
static pthread_t thread;

static void unmap_all(void)
{
	while (n_maps--)
		munmap(maps[n_maps].base, maps[n_maps].last - maps[n_maps].start + 1);
	n_maps = 0;
}

static int fresh(void **state)
{
	(void)state;
	rig_open();
	n_maps = 0;
	answers = ANSWERS;
	sock = -1;
	return 0;
}

static int done(void **state)
{
	(void)state;
	unmap_all();
	sl_fd_close(&sock);
	rig_close();
	return 0;
}

/*
 * The daemon.
 */

static void send_msg(struct uduse_msg *msg)
{
	if (sl_uduse_send(sock, msg, 1000))
		abort();
}

static void respond(const struct uduse_msg *request)
{
	struct uduse_msg msg = {
		.header = {.type = UDUSE_RESPONSE, .len = sizeof(msg.payload.response)},
		.payload.response = {.request_id = request->payload.request.request_id},
		.fd = -1,
	};

	if (!answers)
		return;
	answers--;
	send_msg(&msg);
}

static void *serve(void *arg)
{
	struct pollfd fds[2] = {{sock, POLLIN, 0}, {stop, POLLIN, 0}};
	static struct uduse_msg msg;

	(void)arg;
	while (poll(fds, 2, -1) > 0 && !fds[1].revents) {
		int ret = sl_uduse_recv(sock, false, &msg);

		if (ret && ret != -EAGAIN)
			break;
		if (!ret && msg.header.type == UDUSE_REQUEST)
			respond(&msg);
	}
	return NULL;
}

/* What the port's control() does between the two is its answer. */
static int call(struct uduse_msg *msg, uint32_t command, size_t len)
{
	uint64_t until = sl_now_ns() + 5 * SL_NS_PER_S;

	msg->header = (struct uduse_header){UDUSE_CALL, command, 0, (uint32_t)len};
	msg->fd = -1;
	send_msg(msg);
	for (;;) {
		port->ops->control(port, sl_now_ns());
		if (!sl_uduse_recv(sock, false, msg)) {
			if (msg->header.type == UDUSE_RETURN)
				return msg->header.result;
			respond(msg);
		}
		assert_true(sl_now_ns() < until);
	}
}

static void attach(void)
{
	uint64_t until = sl_now_ns() + 10 * SL_NS_PER_S;

	stop = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
	while (!attached() && answers && sl_now_ns() < until) {
		port->ops->control(port, sl_now_ns());
		usleep(100);
	}
	sl_event_signal(stop);
	pthread_join(thread, NULL);
	sl_fd_close(&stop);
}

/* Nothing is answered while the device is made, so that it is not driven before it is whole. */
static void create(uint64_t features)
{
	static struct uduse_msg msg;
	struct virtio_net_config config = {.mac = {2, 0, 0, 0, 0, 7},
					   .status = VIRTIO_NET_S_LINK_UP};
	struct vduse_dev_config *dev = &msg.payload.create;

	assert_int_equal(sl_unix_connect(path, SOCK_SEQPACKET, &sock), 0);
	memset(&msg, 0, sizeof(msg));
	*dev = (struct vduse_dev_config){
		.name = "net",
		.device_id = VIRTIO_ID_NET,
		.features = FEATURES | features,
		.vq_num = 2,
		.vq_align = 4096,
		.config_size = sizeof(config),
	};
	memcpy(msg.payload.bytes + sizeof(*dev), &config, sizeof(config));
	assert_int_equal(call(&msg, VDUSE_CREATE_DEV, sizeof(*dev) + sizeof(config)), 0);
	for (uint32_t q = 0; q < 2; q++) {
		memset(&msg.payload, 0, sizeof(msg.payload));
		msg.payload.vq_config = (struct vduse_vq_config){.index = q, .max_size = QUEUE};
		/* With the last one there is a device, and control() drives it. */
		if (q == 0) {
			assert_int_equal(call(&msg, VDUSE_VQ_SETUP, sizeof(msg.payload.vq_config)),
					 0);
			continue;
		}
		msg.header = (struct uduse_header){UDUSE_CALL, VDUSE_VQ_SETUP, 0,
						   sizeof(msg.payload.vq_config)};
		msg.fd = -1;
		send_msg(&msg);
	}
}

static void map_all(void)
{
	static struct uduse_msg msg;
	uint64_t start = 0;

	unmap_all();
	for (;;) {
		struct mapping *m = &maps[n_maps];
		int prot = PROT_READ;

		memset(&msg.payload, 0, sizeof(msg.payload));
		msg.payload.entry = (struct vduse_iotlb_entry){.start = start, .last = UINT64_MAX};
		if (call(&msg, VDUSE_IOTLB_GET_FD, sizeof(msg.payload.entry)))
			return;
		assert_true(n_maps < MAPS_MAX);
		*m = (struct mapping){msg.payload.entry.start, msg.payload.entry.last, NULL,
				      msg.payload.entry.perm == VDUSE_ACCESS_RW};
		prot |= m->write ? PROT_WRITE : 0;
		m->base = mmap(NULL, m->last - m->start + 1, prot, MAP_SHARED, msg.fd, 0);
		assert_ptr_not_equal(m->base, MAP_FAILED);
		sl_fd_close(&msg.fd);
		n_maps++;
		start = m->last + 1;
	}
}

static uint8_t *at_iova(uint64_t iova, uint64_t len, bool write)
{
	for (unsigned i = 0; i < n_maps; i++)
		if (iova >= maps[i].start && iova + len - 1 <= maps[i].last) {
			assert_true(maps[i].write || !write);
			return maps[i].base + (iova - maps[i].start);
		}
	fail_msg("nothing at 0x%llx", (unsigned long long)iova);
	return NULL;
}

static struct oracle device_of(uint32_t queue, bool packed)
{
	static struct uduse_msg msg;
	const struct vduse_vq_info *info = &msg.payload.vq_info;
	struct oracle o = {.size = QUEUE, .packed = packed};
	void *desc, *driver, *device;

	memset(&msg.payload, 0, sizeof(msg.payload));
	msg.payload.vq_info.index = queue;
	assert_int_equal(call(&msg, VDUSE_VQ_GET_INFO, sizeof(*info)), 0);
	assert_int_equal(info->num, QUEUE);
	assert_true(info->ready);
	desc = at_iova(info->desc_addr, 16 * QUEUE, packed);
	driver = at_iova(info->driver_addr, 4, false);
	device = at_iova(info->device_addr, 4, !packed);
	o.desc = desc;
	o.ring = desc;
	o.avail_ring = driver;
	o.used_ring = device;
	o.driver_event = driver;
	o.device_event = device;
	return o;
}

static void bring_up(uint64_t features)
{
	bool packed = features & VIRTIO_BIT(VIRTIO_F_RING_PACKED);

	if (!port)
		open_port(packed ? ",via=uduse,packed=on" : ",via=uduse");
	create(features);
	attach();
	if (!attached())
		fail_msg("%s", sl_reason());
	map_all();
	rx = device_of(0, packed);
	tx = device_of(1, packed);
}

/* It lies in no memory of the daemon's. */
static void assert_hidden(void)
{
	const uint8_t *addr;
	uint32_t at;

	assert_int_equal(sl_ring_ready(rx_ring, &at), 1);
	addr = sl_ring_packet(rx_ring, at)->frag.addr;
	for (unsigned i = 0; i < n_maps; i++)
		assert_false(addr >= maps[i].base &&
			     addr <= maps[i].base + (maps[i].last - maps[i].start));
}

static void carry(void)
{
	give(100, 1);
	assert_int_equal(receive(0), 1);
	assert_hidden();
	assert_received(100, 1, true);
	carry_so(true);
}

static void test_split(void **state)
{
	struct sl_port_info info;

	(void)state;
	bring_up(VIRTIO_BIT(VIRTIO_NET_F_MAC));
	port->ops->info(port, &info);
	assert_int_equal(info.mac[5], 7);
	carry();
	/* The descriptors, the avail ring and packets to it are nothing that it could change. */
	for (unsigned i = 0; i < n_maps; i++)
		if (!maps[i].write)
			assert_int_equal(mprotect(maps[i].base, 4096, PROT_READ | PROT_WRITE), -1);
}

static void test_packed(void **state)
{
	(void)state;
	bring_up(VIRTIO_BIT(VIRTIO_F_RING_PACKED) | VIRTIO_BIT(VIRTIO_F_IN_ORDER));
	carry();
}

/* The device goes on, the link has no carrier meanwhile. */
static void test_daemon_dies(void **state)
{
	static struct uduse_msg msg;
	struct sl_counters c = {0};

	(void)state;
	bring_up(0);
	carry();
	sl_fd_close(&sock);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(port->ops->control(port, sl_now_ns()), 0);
	assert_true(attached());
	post(60, 1, 0);
	assert_true(transmit(0) >= 1); /* with one that was sent before */
	port->ops->stats(port, 0, &c);
	assert_int_equal(c.tx.drops[SL_DROP_DOWN], 1);
	assert_int_equal(sl_unix_connect(path, SOCK_SEQPACKET, &sock), 0);
	memset(&msg, 0, sizeof(msg));
	strcpy(msg.payload.name, "net");
	assert_int_equal(call(&msg, UDUSE_OPEN, VDUSE_NAME_MAX), 0);
	port->ops->control(port, sl_now_ns());
	carry();
}

/* A broken queue costs the daemon its place: the device is reset, and driven anew. */
static void broken(const char *why, int ret)
{
	uint32_t at;

	assert_int_equal(ret, -ENODEV);
	assert_reason(why);
	sl_ring_consume(rx_ring, sl_ring_ready(rx_ring, &at));
	port->ops->stop(port);
	assert_false(attached());
	attach();
	assert_true(attached());
	map_all();
	rx = device_of(0, false);
	tx = device_of(1, false);
}

static void test_hostile(void **state)
{
	struct oracle_chain c;

	(void)state;
	bring_up(0);
	oracle_put(&rx, 9999, 1, 60);
	broken("names no descriptor", receive(0));
	assert_true(oracle_take(&rx, &c));
	oracle_put(&rx, c.id, c.descs, 5000);
	broken("longer than its buffer", receive(0));
	give(60, 1);
	assert_int_equal(receive(0), 1);
	assert_received(60, 1, true);
	oracle_put(&rx, 0, 1, 60);
	oracle_put(&rx, 0, 1, 60);
	receive(0);
	broken("", receive(0));
	post(60, 1, 0);
	assert_int_equal(transmit(0), 1);
	oracle_put(&tx, 200, 1, 0);
	broken("does not have", transmit(0));
	carry();
}

/* It answers some requests, then nothing: the device is broken, and another takes its place. */
static void test_mute(void **state)
{
	(void)state;
	open_port(",via=uduse");
	for (answers = 1; answers < 4; answers += 2) {
		unsigned n = answers;

		create(0);
		attach();
		for (unsigned i = 0; i < 40 && !attached(); i++) {
			port->ops->control(port, sl_now_ns());
			usleep(50000);
		}
		assert_false(attached());
		sl_fd_close(&sock);
		answers = n;
	}
	answers = ANSWERS;
	bring_up(0);
	carry();
}

static void test_params(void **state)
{
	char spec[128];

	(void)state;
	snprintf(spec, sizeof(spec), "virtio-user:path=%s,via=uduse,mode=connect", path);
	assert_int_equal(sl_port_open(spec, NULL, &port), -EINVAL);
	assert_non_null(strstr(sl_reason(), "does not go with"));
	port = NULL;
}

#define test_fresh(test) cmocka_unit_test_setup_teardown(test, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_fresh(test_split),	  test_fresh(test_packed), test_fresh(test_daemon_dies),
		test_fresh(test_hostile), test_fresh(test_mute),   test_fresh(test_params),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
