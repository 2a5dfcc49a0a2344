/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver's side of uduse whose every message a test may turn into a lie, and a model that holds
 * requests. All in one thread: where the transport waits for an answer it calls poll(2), which is
 * this rig's (--wrap), and there the driver's side looks for calls. The clock is the rig's too.
 */
#ifndef SL_TESTS_UDUSE_RIG_H
#define SL_TESTS_UDUSE_RIG_H

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "offer/uduse.h"
#include "virtq/driver.h"
#include "wire/unix_socket.h"

#define SIZE	 8u
#define QUEUES	 2u
#define MEMORY	 0x10000u
#define BUFFERS	 0x8000u
#define AT	 0x100000u /* where the device sees memory */
#define HELD_MAX 64u
#define FEATURES (UINT64_C(1) << VIRTIO_F_VERSION_1 | UINT64_C(1) << VIRTIO_F_ACCESS_PLATFORM)

struct rig {
	struct sl_model model;
	struct sl_request *held[HELD_MAX];
	unsigned n_held, regions, closed, starts;
	uint8_t config[16];

	struct sl_worker *worker;
	struct sl_offer *offer;
	bool ended;
	char dir[32], path[48];

	/* The driver's side: the device, as VDUSE's kernel has it. */
	int listener, sock;
	bool exists, driven;
	uint64_t features;
	struct vduse_vq_info vq[QUEUES];
	struct vduse_iotlb_entry entries[4];
	int fds[4];
	unsigned n_entries;
	struct vduse_dev_config created;
	uint8_t configured[64];
	int kicks[QUEUES];
	unsigned calls[128], irqs[QUEUES], n_messages, version;
	unsigned n_responses;
	struct vduse_dev_response response;
	uint32_t last_id;
	/* What is to be sent, before it is. false: it is not sent. */
	bool (*lie)(struct rig *r, struct uduse_msg *msg);
	unsigned lies, die_at;

	int memory;
	uint8_t *base;
	uint16_t avail[QUEUES];
};

static struct rig *the_rig; /* of poll(2) */
static uint64_t waited_ms;

/* It takes no time. */
static inline void wait_a_bit(unsigned ms)
{
	waited_ms += ms;
}

/*
 * The model.
 */

static inline void rig_info(const struct sl_model *m, struct sl_model_info *info)
{
	(void)m;
	*info = (struct sl_model_info){.device_id = 2,
				       .queues = QUEUES,
				       .queue_size = SIZE,
				       .pieces = 4,
				       .config_len = 16};
}

static inline void rig_get_config(const struct sl_model *m, void *config)
{
	memcpy(config, sl_container_of((uintptr_t)m, struct rig, model)->config, 16);
}

static inline int rig_start(struct sl_model *m, uint64_t features)
{
	(void)features;
	sl_container_of(m, struct rig, model)->starts++;
	return 0;
}

static inline void rig_region_add(struct sl_model *m, const struct sl_region *region)
{
	(void)region;
	sl_container_of(m, struct rig, model)->regions++;
}

static inline void rig_region_del(struct sl_model *m, const struct sl_region *region)
{
	(void)region;
	sl_container_of(m, struct rig, model)->regions--;
}

static inline void rig_request(struct sl_model *m, struct sl_request *req)
{
	struct rig *r = sl_container_of(m, struct rig, model);

	r->held[r->n_held++] = req;
}

static inline void rig_close(struct sl_model *m)
{
	sl_container_of(m, struct rig, model)->closed++;
}

static const struct sl_model_ops rig_model = {
	.size = sizeof(rig_model),
	.kind = "rig",
	.info = rig_info,
	.get_config = rig_get_config,
	.start = rig_start,
	.region_add = rig_region_add,
	.region_del = rig_region_del,
	.request = rig_request,
	.close = rig_close,
};

static inline void give_back(struct rig *r)
{
	while (r->n_held) {
		struct sl_request *req = r->held[--r->n_held];

		sl_request_write(req, 0, "done", 4);
		sl_request_done(req, 4);
	}
}

/*
 * The driver's side.
 */

static inline void hang_up(struct rig *r)
{
	sl_fd_close(&r->sock);
	for (unsigned i = 0; i < QUEUES; i++)
		sl_fd_close(&r->kicks[i]);
}

static inline void say(struct rig *r, struct uduse_msg *msg)
{
	if (++r->n_messages == r->die_at)
		hang_up(r);
	else if (!r->lie || r->lie(r, msg))
		sl_uduse_send(r->sock, msg, 0);
}

static inline int get_fd(struct rig *r, struct uduse_msg *msg)
{
	struct vduse_iotlb_entry *e = &msg->payload.entry;

	for (unsigned i = 0; i < r->n_entries; i++) {
		if (r->entries[i].last < e->start || r->entries[i].start > e->last)
			continue;
		*e = r->entries[i];
		msg->fd = r->fds[i];
		return 0;
	}
	return -EINVAL;
}

static inline int act(struct rig *r, struct uduse_msg *msg)
{
	uint32_t queue = sl_min(msg->payload.u32, QUEUES - 1);

	switch (msg->header.command) {
	case VDUSE_CREATE_DEV:
		if (r->exists)
			return -EEXIST;
		r->exists = true;
		r->created = msg->payload.create;
		memcpy(r->configured, msg->payload.create.config,
		       sl_min(sizeof(r->configured), (size_t)msg->payload.create.config_size));
		return 0;
	case UDUSE_OPEN:
		return r->exists ? 0 : -ENOENT;
	case VDUSE_DESTROY_DEV:
		return r->driven ? -EBUSY : 0;
	case VDUSE_DEV_GET_FEATURES:
		msg->payload.u64 = r->features;
		return 0;
	case VDUSE_DEV_SET_CONFIG:
		memcpy(r->configured, msg->payload.config.buffer,
		       sl_min(sizeof(r->configured), (size_t)msg->payload.config.length));
		return 0;
	case VDUSE_DEV_INJECT_CONFIG_IRQ:
		return r->driven ? 0 : -EINVAL;
	case VDUSE_VQ_GET_INFO:
		msg->payload.vq_info = r->vq[queue];
		return 0;
	case VDUSE_VQ_SETUP_KICKFD:
		sl_fd_close(&r->kicks[queue]);
		r->kicks[queue] = msg->fd;
		msg->fd = -1;
		return 0;
	case VDUSE_IOTLB_GET_FD:
		return get_fd(r, msg);
	default:
		return 0;
	}
}

/* Calls, and a response, as many as there are. */
static inline void driver_side(struct rig *r)
{
	struct uduse_msg msg;
	int ret;

	if (r->sock < 0 && r->listener >= 0)
		sl_unix_accept(r->listener, &r->sock);
	while (r->sock >= 0) {
		ret = sl_uduse_recv(r->sock, true, &msg);
		if (ret && ret != -EAGAIN)
			hang_up(r);
		if (ret)
			return;
		if (msg.header.type == UDUSE_RESPONSE) {
			r->n_responses++;
			r->response = msg.payload.response;
			continue;
		}
		r->calls[_IOC_NR(msg.header.command)]++;
		if (msg.header.command == VDUSE_VQ_INJECT_IRQ) {
			r->irqs[sl_min(msg.payload.u32, QUEUES - 1)]++;
			continue;
		}
		msg.header.result = act(r, &msg);
		msg.header.type = UDUSE_RETURN;
		msg.header.len = !msg.header.result && _IOC_DIR(msg.header.command) & _IOC_READ
					 ? _IOC_SIZE(msg.header.command)
					 : 0;
		say(r, &msg);
	}
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __real_clock_gettime(clockid_t clock, struct timespec *t);

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	int ready;

	if (!the_rig)
		return __real_poll(fds, n, timeout_ms);
	driver_side(the_rig);
	ready = __real_poll(fds, n, 0);
	if (!ready && timeout_ms > 0)
		wait_a_bit((unsigned)timeout_ms);
	return ready;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	int ret = __real_clock_gettime(clock, t);

	t->tv_sec += (time_t)(waited_ms / 1000);
	t->tv_nsec += (long)(waited_ms % 1000) * 1000000;
	if (t->tv_nsec >= 1000000000) {
		t->tv_nsec -= 1000000000;
		t->tv_sec++;
	}
	return ret;
}

static inline void ask(struct rig *r, struct vduse_dev_request request)
{
	struct uduse_msg msg = {.header = {.type = UDUSE_REQUEST, .len = sizeof(request)},
				.fd = -1};

	request.request_id = ++r->last_id;
	msg.payload.request = request;
	say(r, &msg);
}

/* Until nothing is left to do. */
static inline void settle(struct rig *r)
{
	for (unsigned i = 0, idle = 0; i < 1000 && idle < 3; i++) {
		driver_side(r);
		idle = sl_worker_step(r->worker) ? 0 : idle + 1;
	}
	driver_side(r);
}

static inline uint8_t *area(struct rig *r, unsigned queue, size_t at)
{
	return r->base + queue * 0x4000 + at;
}

static inline void set_up_queue(struct rig *r, unsigned queue)
{
	uint64_t at = AT + queue * 0x4000;

	r->vq[queue] = (struct vduse_vq_info){.index = queue,
					      .num = SIZE,
					      .desc_addr = at,
					      .driver_addr = at + 0x1000,
					      .device_addr = at + 0x2000,
					      .ready = 1};
	memset(area(r, queue, 0), 0, 0x3000);
	r->avail[queue] = 0;
}

static inline struct virtq_used *used(struct rig *r, unsigned queue)
{
	return (void *)area(r, queue, 0x2000);
}

/* One descriptor that the device writes to; @at: where it says that it is. */
static inline void make_available_at(struct rig *r, unsigned queue, uint64_t at, uint32_t len)
{
	uint16_t head = r->avail[queue] % SIZE;
	struct virtq_desc *desc = (void *)area(r, queue, 0);
	struct virtq_avail *avail = (void *)area(r, queue, 0x1000);

	desc[head] = (struct virtq_desc){at, len, VIRTQ_DESC_F_WRITE, 0};
	avail->ring[r->avail[queue]++ % SIZE] = head;
	__atomic_store_n(&avail->idx, r->avail[queue], __ATOMIC_RELEASE);
	if (r->kicks[queue] >= 0)
		sl_event_signal(r->kicks[queue]);
}

static inline void make_available(struct rig *r, unsigned queue)
{
	make_available_at(r, queue, AT + BUFFERS + 64u * r->avail[queue] % 0x4000, 64);
}

static inline void set_status(struct rig *r, uint8_t status)
{
	ask(r, (struct vduse_dev_request){.type = VDUSE_SET_STATUS, .s.status = status});
}

static inline void driver_memory(struct rig *r, int fd)
{
	r->entries[0] = (struct vduse_iotlb_entry){0, AT, AT + MEMORY - 1, VDUSE_ACCESS_RW};
	r->fds[0] = fd;
	r->n_entries = 1;
}

/* What a driver does: 3.1.1 of virtio. */
static inline void drive(struct rig *r)
{
	static const uint8_t steps[] = {0, 1, 3, 11, 15};

	r->features = FEATURES;
	driver_memory(r, r->memory);
	for (unsigned i = 0; i < QUEUES; i++)
		set_up_queue(r, i);
	for (unsigned i = 0; i < sizeof(steps); i++) {
		set_status(r, steps[i]);
		settle(r);
	}
	r->driven = true;
}

/* A driver's process ends, with its device. */
static inline void end_driver(struct rig *r)
{
	hang_up(r);
	r->exists = r->driven = false;
	r->n_entries = 0;
	memset(r->vq, 0, sizeof(r->vq));
}

/* However long the transport waits between two attempts. */
static inline bool connects(struct rig *r)
{
	for (unsigned i = 0; i < 400 && r->sock < 0; i++) {
		settle(r);
		wait_a_bit(10);
	}
	settle(r);
	return r->sock >= 0;
}

static inline void rig_ended(void *ctx)
{
	((struct rig *)ctx)->ended = true;
}

static inline int start_offer(struct rig *r)
{
	char via[96];
	struct sl_offer_config config = {
		.model = &r->model, .via = via, .worker = r->worker, .ended = rig_ended, .ctx = r};

	snprintf(via, sizeof(via), "uduse:path=%s", r->path);
	return sl_offer_create(&config, &r->offer);
}

static inline int rig_open(struct rig *r)
{
	*r = (struct rig){.model.ops = &rig_model,
			  .listener = -1,
			  .sock = -1,
			  .kicks = {-1, -1},
			  .dir = "/tmp/slt-XXXXXX",
			  .config = "configuration"};
	the_rig = r;
	if (!mkdtemp(r->dir))
		return -errno;
	snprintf(r->path, sizeof(r->path), "%s/d0", r->dir);
	r->memory = memfd_create("driver", MFD_CLOEXEC);
	if (ftruncate(r->memory, MEMORY))
		return -errno;
	r->base = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, r->memory, 0);
	if (sl_unix_listen(r->path, SOCK_SEQPACKET, &r->listener) ||
	    sl_worker_create(SL_POLL_OFF, &r->worker))
		return -EIO;
	return start_offer(r);
}

static inline void rig_close_all(struct rig *r)
{
	char log[64];

	r->lie = NULL;
	give_back(r);
	sl_offer_release(r->offer);
	sl_worker_release(r->worker);
	hang_up(r);
	sl_fd_close(&r->listener);
	munmap(r->base, MEMORY);
	sl_fd_close(&r->memory);
	snprintf(log, sizeof(log), "%s.log", r->path);
	unlink(log);
	unlink(r->path);
	rmdir(r->dir);
	the_rig = NULL;
}

#endif
