/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes are a script of what a daemon of uduse does to the driver's side, and of what the
 * driver does meanwhile. Whatever it is, all that is sent to the daemon is a message, what it is
 * given is sealed, no byte of the driver's outside of the buffers that it reads into changes, and
 * nothing is left behind.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_ids.h>

#include "fuzz.h"

#include "base/fd.h"
#include "virtio/blk.h"
#include "virtio/uduse.h"
#include "wire/uduse.h"
#include "wire/unix_socket.h"

#define BUFFERS 8
#define BUFFER	600
#define BOUNCE	4096
#define STEPS	200
#define CANARY	0x5a

enum op {
	MESSAGE, /* as it is, with up to 2 descriptors */
	CREATE,
	SET_UP,
	NAME,
	RESPOND,
	DIE,
	READ,
	STATUS, /* and so on: the driver */
	ENABLE,
	NOTIFY,
	MAP,
	UNMAP,
	ALLOC,
	FREE,
	VQ_STATE,
	OPS,
};

struct script {
	const uint8_t *at, *end;
};

static struct fuzz {
	struct uduse *u;
	struct virtio *v;
	char path[64];
	int sock;
	uint32_t ids;
	uint8_t buffers[BUFFERS][BUFFER + 8];
	sl_iova mapped[BUFFERS], memory;
	uint16_t len[BUFFERS];
	struct uduse_msg msg;
} f;

static uint8_t next(struct script *s)
{
	return s->at < s->end ? *s->at++ : 0;
}

static void send_raw(size_t len, unsigned n)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control = {{0}};
	struct iovec from = {&f.msg, len};
	struct msghdr m = {.msg_iov = &from, .msg_iovlen = 1};
	int fds[2] = {f.sock, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};

	if (n) {
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(&control.head), &fds[n == 1], n * sizeof(int));
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	(void)!sendmsg(f.sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	sl_fd_close(&fds[1]);
}

static void send_call(uint32_t command, uint32_t len)
{
	f.msg.header = (struct uduse_header){UDUSE_CALL, command, 0, len};
	send_raw(sizeof(f.msg.header) + len, 0);
}

static void send_message(struct script *s)
{
	size_t len = next(s), n = next(s) % 3;

	memset(&f.msg, 0, sizeof(f.msg));
	for (size_t i = 0; i < len; i++)
		((uint8_t *)&f.msg)[i] = next(s);
	send_raw(len, (unsigned)n);
}

static void create(struct script *s)
{
	f.msg.payload.create = (struct vduse_dev_config){
		.name = "f",
		.device_id = VIRTIO_ID_BLOCK,
		.vq_num = next(s),
		.vq_align = 4096,
		.features = VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM) | VIRTIO_BIT(VIRTIO_F_VERSION_1),
		.config_size = next(s),
	};
	send_call(VDUSE_CREATE_DEV,
		  (uint32_t)sizeof(f.msg.payload.create) + f.msg.payload.create.config_size);
}

static void set_up(struct script *s)
{
	f.msg.payload.vq_config = (struct vduse_vq_config){.index = next(s), .max_size = next(s)};
	send_call(VDUSE_VQ_SETUP, sizeof(f.msg.payload.vq_config));
}

/* Open it, or destroy it. */
static void name(struct script *s)
{
	memset(f.msg.payload.name, 0, VDUSE_NAME_MAX);
	f.msg.payload.name[0] = 'f';
	send_call(next(s) % 2 ? VDUSE_DESTROY_DEV : UDUSE_OPEN, VDUSE_NAME_MAX);
}

static void respond(struct script *s)
{
	memset(&f.msg.payload.response, next(s), sizeof(f.msg.payload.response));
	f.msg.header = (struct uduse_header){UDUSE_RESPONSE, 0, 0, VDUSE_REQUEST_LEN};
	f.msg.payload.response.request_id = f.ids + next(s) % 3;
	f.msg.payload.response.result = next(s) % 2;
	send_raw(sizeof(f.msg.header) + VDUSE_REQUEST_LEN, 0);
}

static void check_entry(const struct uduse_msg *m)
{
	int seals = fcntl(m->fd, F_GET_SEALS);

	must(!sl_vduse_entry(&m->payload.entry, 0));
	must(seals & F_SEAL_SHRINK && seals & F_SEAL_GROW && seals & F_SEAL_SEAL);
	must(m->payload.entry.perm == VDUSE_ACCESS_RW || seals & F_SEAL_FUTURE_WRITE);
}

static void read_all(void)
{
	int ret;

	while (!(ret = sl_uduse_recv(f.sock, false, &f.msg))) {
		if (f.msg.header.type == UDUSE_REQUEST)
			f.ids = f.msg.payload.request.request_id;
		if (f.msg.fd >= 0)
			check_entry(&f.msg);
		sl_fd_close(&f.msg.fd);
	}
	must(ret != -EPROTO);
}

static void map(struct script *s)
{
	unsigned i = next(s) % BUFFERS;
	uint16_t len = (uint16_t)(next(s) * 256 + next(s)) % BUFFER + 1;

	if (f.mapped[i].value)
		return;
	if (!f.v->ops->map(f.v, f.buffers[i], len, i % 2, &f.mapped[i]))
		f.len[i] = len;
}

static void check_buffers(void)
{
	for (unsigned i = 0; i < BUFFERS; i++)
		for (size_t at = i % 2 ? BUFFER : 0; at < sizeof(f.buffers[i]); at++)
			must(f.buffers[i][at] == CANARY);
}

static void unmap(struct script *s)
{
	unsigned i = next(s) % BUFFERS;
	uint32_t written = (uint32_t)next(s) << next(s) % 25;
	uint8_t before = f.buffers[i][f.len[i]];

	f.v->ops->unmap(f.v, f.mapped[i], written);
	must(f.buffers[i][f.len[i]] == before);
	f.mapped[i].value = 0;
	check_buffers();
}

static void set_status(uint8_t status)
{
	f.v->ops->set_status(f.v, status);
	if (!status)
		memset(f.mapped, 0, sizeof(f.mapped));
}

static void drive(struct script *s, enum op op)
{
	struct virtio_queue ring = {.size = next(s)};
	struct virtq_ring_state at;
	uint8_t bytes[16];
	void *memory;

	switch (op) {
	case STATUS:
		f.v->ops->set_features(f.v, f.v->ops->get_features(f.v));
		set_status((uint8_t)ring.size);
		break;
	case ENABLE:
		f.v->ops->queue_enable(f.v, next(s), &ring);
		f.v->ops->get_config(f.v, next(s), bytes, sizeof(bytes));
		break;
	case NOTIFY:
		f.v->ops->notify(f.v, (uint16_t)(ring.size % UDUSE_QUEUES_MAX));
		break;
	case ALLOC:
		if (!f.memory.value)
			sl_uduse_alloc(f.u, 1, ring.size % 2, &memory, &f.memory);
		break;
	case FREE:
		sl_uduse_free(f.u, f.memory);
		f.memory.value = 0;
		break;
	default:
		sl_uduse_vq_state(f.u, ring.size, &at);
	}
}

static void one(struct script *s)
{
	enum op op = next(s) % OPS;

	switch (op) {
	case MESSAGE:
		send_message(s);
		break;
	case CREATE:
		create(s);
		break;
	case SET_UP:
		set_up(s);
		break;
	case NAME:
		name(s);
		break;
	case RESPOND:
		respond(s);
		break;
	case DIE:
		sl_fd_close(&f.sock);
		sl_uduse_step(f.u);
		(void)!sl_unix_connect(f.path, SOCK_SEQPACKET, &f.sock);
		break;
	case READ:
		read_all();
		break;
	case MAP:
		map(s);
		break;
	case UNMAP:
		unmap(s);
		break;
	default:
		drive(s, op);
	}
	if (op != RESPOND) /* which is there when its request is made */
		sl_uduse_step(f.u);
}

/* The first descriptor that is free: less of them are if one was left behind. */
static int first_free(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = {data, data + size};
	struct uduse_config config = {.path = f.path,
				      .device_id = VIRTIO_ID_BLOCK,
				      .queues = 1,
				      .bounce = BOUNCE,
				      .wait_ns = 1};
	int before = first_free();

	memset(&f, 0, sizeof(f));
	memset(f.buffers, CANARY, sizeof(f.buffers));
	snprintf(f.path, sizeof(f.path), "/tmp/sluice-fuzz-%d.sock", (int)getpid());
	must(!sl_uduse_open(&config, &f.u));
	f.v = sl_uduse_virtio(f.u);
	f.v->features = data && size ? (uint64_t)data[0] << 32 : 0; /* a packed queue, or not */
	must(!sl_unix_connect(f.path, SOCK_SEQPACKET, &f.sock));
	for (unsigned i = 0; i < STEPS && s.at < s.end; i++)
		one(&s);
	if (f.sock >= 0)
		read_all();
	check_buffers();
	sl_uduse_close(f.u);
	sl_fd_close(&f.sock);
	must(first_free() == before);
	return 0;
}
