/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An offer over vhost-user, with a model that gives requests back when it is told to, and a front
 * end that says whatever it likes, over a real socket with real memory.
 */
#ifndef SL_TESTS_VHOST_USER_RIG_H
#define SL_TESTS_VHOST_USER_RIG_H

#include <fcntl.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <sluice/guard.h>
#include <sluice/offer.h>
#include <sluice/reason.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "descriptors.h"
#include "offer/queue.h"
#include "virtq/packed.h"
#include "virtq/split.h"
#include "wire/vhost_user.h"

#define RIG_QUEUES   3
#define RIG_SIZE     64	 /* entries that a queue may have */
#define RIG_CONFIG   16	 /* bytes */
#define RIG_FEATURE  5	 /* of the model's own */
#define RIG_HELD     256 /* requests that the model may hold */

#define GUEST_LEN    (1u << 20)
#define GUEST_AT     0x40000000ull     /* where the driver sees it */
#define GUEST_USER   0x7f1200000000ull /* where the front end has it */

#define BIT(feature) (UINT64_C(1) << (feature))
#define OWN	     BIT(VHOST_USER_F_PROTOCOL_FEATURES)
#define PROTOCOL(f)  BIT(VHOST_USER_PROTOCOL_F_##f)
#define PROTOCOL_ALL                                                                               \
	(PROTOCOL(MQ) | PROTOCOL(REPLY_ACK) | PROTOCOL(BACKEND_REQ) | PROTOCOL(CONFIG) |           \
	 PROTOCOL(INFLIGHT_SHMFD) | PROTOCOL(RESET_DEVICE) | PROTOCOL(CONFIGURE_MEM_SLOTS) |       \
	 PROTOCOL(STATUS))

/** struct rig_model - a model; @hold: give nothing back before rig_give_back() */
struct rig_model {
	struct sl_model model;
	bool hold;
	struct sl_request *held[RIG_HELD];
	unsigned n_held, taken, started, regions;
	uint64_t features;
	uint8_t config[RIG_CONFIG];
};

/**
 * struct rig - both ends
 * @sock:   the front end's end of the connection
 * @guest:  its memory, @memory the descriptor; rings lie at its beginning
 * @kick, @call: of each ring
 * @avail:  buffers that were made available, of each ring
 */
struct rig {
	char folder[32], path[64];
	struct sl_worker *worker;
	struct sl_offer *offer;
	struct rig_model model;
	char log[4096];
	struct sl_log to_log;
	int sock;
	struct vhost_user_reader reader;
	int memory;
	uint8_t *guest;
	int kick[RIG_QUEUES], call[RIG_QUEUES], err[RIG_QUEUES];
	uint16_t avail[RIG_QUEUES];
	unsigned descriptors;
	bool ended;
};

static struct rig rig;

/*
 * The model.
 */

static inline void rig_info(const struct sl_model *m, struct sl_model_info *info)
{
	(void)m;
	*info = (struct sl_model_info){.device_id = 4,
				       .features = BIT(RIG_FEATURE),
				       .queues = RIG_QUEUES,
				       .queue_size = RIG_SIZE,
				       .pieces = 4,
				       .config_len = RIG_CONFIG};
}

static inline void rig_get_config(const struct sl_model *m, void *config)
{
	(void)m;
	memcpy(config, rig.model.config, RIG_CONFIG);
}

/* Only the last 4 bytes can be written. */
static inline int rig_set_config(struct sl_model *m, uint32_t offset, const void *from,
				 uint32_t len)
{
	(void)m;
	if (offset < RIG_CONFIG - 4)
		return -EINVAL;
	memcpy(rig.model.config + offset, from, len);
	return 0;
}

static inline int rig_model_start(struct sl_model *m, uint64_t features)
{
	(void)m;
	rig.model.started++;
	rig.model.features = features;
	return 0;
}

static inline void rig_region_add(struct sl_model *m, const struct sl_region *region)
{
	(void)m;
	(void)region;
	rig.model.regions++;
}

static inline void rig_region_del(struct sl_model *m, const struct sl_region *region)
{
	(void)m;
	(void)region;
	rig.model.regions--;
}

static inline void rig_finish(struct sl_request *req)
{
	uint8_t byte = 0x5a;

	for (uint32_t i = 0; i < req->write_len; i++)
		if (sl_request_write(req, i, &byte, 1))
			break;
	sl_request_done(req, req->write_len);
}

static inline void rig_request(struct sl_model *m, struct sl_request *req)
{
	(void)m;
	rig.model.taken++;
	if (!rig.model.hold)
		rig_finish(req);
	else if (rig.model.n_held < RIG_HELD)
		rig.model.held[rig.model.n_held++] = req;
}

static inline void rig_give_back(void)
{
	for (unsigned i = 0; i < rig.model.n_held; i++)
		rig_finish(rig.model.held[i]);
	rig.model.n_held = 0;
}

static inline void rig_model_close(struct sl_model *m)
{
	(void)m;
}

static const struct sl_model_ops rig_model_ops = {
	.size = sizeof(struct sl_model_ops),
	.kind = "rig",
	.info = rig_info,
	.get_config = rig_get_config,
	.set_config = rig_set_config,
	.start = rig_model_start,
	.region_add = rig_region_add,
	.region_del = rig_region_del,
	.request = rig_request,
	.close = rig_model_close,
};

/*
 * The process around it.
 */

static inline void rig_fault(int sig, siginfo_t *info, void *ctx)
{
	if (sl_guard_handler(sig, info, ctx))
		return;
	signal(sig, SIG_DFL);
}

/* In the test itself: cmocka installs its own for each function. */
static inline void rig_guard(void)
{
	struct sigaction fault = {.sa_sigaction = rig_fault, .sa_flags = SA_SIGINFO};

	sigaction(SIGBUS, &fault, NULL);
}

static inline void rig_write_log(void *ctx, enum sl_log_level level, const char *line)
{
	size_t used = strlen(rig.log);

	(void)ctx;
	(void)level;
	snprintf(rig.log + used, sizeof(rig.log) - used, "%s\n", line);
}

static inline bool logged(const char *what)
{
	return strstr(rig.log, what);
}

static inline void rig_ended(void *ctx)
{
	(void)ctx;
	rig.ended = true;
}

/* Until there is nothing left to do. */
static inline void steps(void)
{
	int n = 0;

	while (sl_worker_step(rig.worker) && n++ < 10000)
		;
	assert_true(n < 10000);
}

/* Would the worker sleep now? */
static inline bool sleeps(void)
{
	struct pollfd p = {.fd = sl_worker_fd(rig.worker), .events = POLLIN};

	return !poll(&p, 1, 0);
}

static inline int rig_offer(const char *via)
{
	const struct sl_offer_config config = {.model = &rig.model.model,
					       .via = via,
					       .worker = rig.worker,
					       .log = &rig.to_log,
					       .ended = rig_ended};

	rig.model.model.ops = &rig_model_ops;
	return sl_offer_create(&config, &rig.offer);
}

static inline void rig_guest(void)
{
	rig.memory = memfd_create("guest", MFD_CLOEXEC);
	assert_true(rig.memory >= 0);
	assert_int_equal(ftruncate(rig.memory, GUEST_LEN), 0);
	rig.guest = mmap(NULL, GUEST_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, rig.memory, 0);
	assert_ptr_not_equal(rig.guest, MAP_FAILED);
}

static inline int rig_connect(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", rig.path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		sl_fd_close(&fd);
	return fd;
}

static inline void rig_listen(void)
{
	char via[128];

	snprintf(via, sizeof(via), "vhost-user:path=%s", rig.path);
	assert_int_equal(rig_offer(via), 0);
	rig.sock = rig_connect();
	assert_true(rig.sock >= 0);
	steps();
}

/* What is in flight stays in flight, and what was put is not published; then there is another back
 * end, with another connection. */
static inline void rig_kill(void)
{
	rig.offer->stopped = true;
	sl_offer_release(rig.offer);
	rig.model.regions = 0; /* the model hears of nothing any more */
	sl_fd_close(&rig.sock);
	rig_listen();
}

/* No offer yet. */
static inline int rig_bare(void **state)
{
	(void)state;
	memset(&rig, 0, sizeof(rig));
	rig.descriptors = descriptors();
	rig.to_log = (struct sl_log){rig_write_log, NULL, SL_LOG_DEBUG};
	strcpy(rig.folder, "/tmp/sluice-rig-XXXXXX");
	assert_non_null(mkdtemp(rig.folder));
	snprintf(rig.path, sizeof(rig.path), "%s/sock", rig.folder);
	assert_int_equal(sl_worker_create(SL_POLL_OFF, &rig.worker), 0);
	rig.sock = -1;
	for (unsigned q = 0; q < RIG_QUEUES; q++) {
		rig.kick[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		rig.call[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		rig.err[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	rig_guest();
	return 0;
}

/* An offer that listens, and a front end that has connected. */
static inline int rig_up(void **state)
{
	rig_bare(state);
	rig_listen();
	return 0;
}

static inline int rig_down(void **state)
{
	(void)state;
	rig.model.hold = false;
	rig_give_back();
	sl_offer_release(rig.offer);
	assert_int_equal(rig.model.regions, 0);
	sl_worker_release(rig.worker);
	sl_vhost_user_reader_reset(&rig.reader);
	sl_fd_close(&rig.sock);
	sl_fd_close(&rig.memory);
	munmap(rig.guest, GUEST_LEN);
	for (unsigned q = 0; q < RIG_QUEUES; q++) {
		sl_fd_close(&rig.kick[q]);
		sl_fd_close(&rig.call[q]);
		sl_fd_close(&rig.err[q]);
	}
	assert_int_equal(descriptors(), rig.descriptors);
	assert_int_equal(access(rig.path, F_OK), -1);
	assert_int_equal(rmdir(rig.folder), 0);
	return 0;
}

/*
 * The front end.
 */

static inline struct vhost_user_msg message(uint32_t request, uint32_t size)
{
	return (struct vhost_user_msg){
		.request = request, .flags = VHOST_USER_VERSION, .size = size};
}

static inline void say(const struct vhost_user_msg *msg)
{
	assert_int_equal(sl_vhost_user_send(rig.sock, msg), 0);
	steps();
}

/* What comes back is in @msg. Returns as sl_vhost_user_recv(). */
static inline int hear(struct vhost_user_msg *msg)
{
	return sl_vhost_user_recv(rig.sock, &rig.reader, VHOST_USER_KIND_REPLY, msg);
}

/* Is the connection there, and nothing to be read from it? */
static inline bool silent(void)
{
	struct vhost_user_msg msg;

	return hear(&msg) == -EAGAIN;
}

static inline bool closed(void)
{
	struct vhost_user_msg msg;

	return hear(&msg) == -ECONNRESET;
}

/* For VHOST_USER_PROTOCOL_F_REPLY_ACK. Returns true for success. */
static inline bool ask(struct vhost_user_msg *msg)
{
	struct vhost_user_msg answer;

	msg->flags |= VHOST_USER_NEED_REPLY_MASK;
	say(msg);
	assert_int_equal(hear(&answer), 0);
	assert_int_equal(answer.request, msg->request);
	assert_int_equal(answer.flags, VHOST_USER_VERSION | VHOST_USER_REPLY_MASK);
	assert_int_equal(answer.size, 8);
	return !answer.payload.u64;
}

static inline bool ask_u64(uint32_t request, uint64_t value)
{
	struct vhost_user_msg msg = message(request, 8);

	msg.payload.u64 = value;
	return ask(&msg);
}

static inline bool ask_state(uint32_t request, uint32_t index, uint32_t num)
{
	struct vhost_user_msg msg = message(request, 8);

	msg.payload.state = (struct vhost_user_vring_state){index, num};
	return ask(&msg);
}

static inline bool ask_fd(uint32_t request, uint64_t value, int fd)
{
	struct vhost_user_msg msg = message(request, 8);

	msg.payload.u64 = value;
	msg.n_fds = fd >= 0;
	msg.fds[0] = fd;
	return ask(&msg);
}

static inline bool ask_bare(uint32_t request)
{
	struct vhost_user_msg msg = message(request, 0);

	return ask(&msg);
}

static inline uint64_t get_u64(uint32_t request)
{
	struct vhost_user_msg msg = message(request, 0);

	say(&msg);
	assert_int_equal(hear(&msg), 0);
	assert_int_equal(msg.request, request);
	assert_int_equal(msg.size, 8);
	return msg.payload.u64;
}

/* VHOST_USER_GET_VRING_BASE: -1 when there is no answer yet. */
static inline int64_t get_base(unsigned q)
{
	struct vhost_user_msg msg = message(VHOST_USER_GET_VRING_BASE, 8);

	msg.payload.state.index = q;
	say(&msg);
	if (hear(&msg))
		return -1;
	assert_int_equal(msg.request, VHOST_USER_GET_VRING_BASE);
	assert_int_equal(msg.payload.state.index, q);
	return msg.payload.state.num;
}

/* Both kinds of features. */
static inline void negotiate(uint64_t features)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_PROTOCOL_FEATURES, 8);

	msg.payload.u64 = PROTOCOL_ALL;
	say(&msg);
	assert_true(silent());
	assert_true(ask_u64(VHOST_USER_SET_FEATURES, features));
}

#endif
