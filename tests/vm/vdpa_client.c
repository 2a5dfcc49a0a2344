/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver of /dev/vhost-vdpa-N by its ioctls alone, with the library's driver's side of a
 * virtqueue: what no other program asks of a disk. Memory is mapped and unmapped while requests are
 * in flight, the state of the queue is asked for, and the queue goes on from it.
 *
 * usage: vdpa_client DEVICE split|packed all|load|huge UNTIL
 * load: until there is a file UNTIL; huge: the same, its memory is a huge page
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/virtio_blk.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/bytes.h"
#include "base/fd.h"
#include "virtio/virtio.h"
#include "virtq/driver.h"

#define QUEUE	   64
#define SLOTS	   16 /* requests at a time, three entries each */
#define BLOCKS	   64 /* that each has to itself */
#define BLOCK	   4096
#define RING_LEN   (64u << 10)
#define SLOT_LEN   (3u * BLOCK) /* the data does not begin a page: the head is before it */
#define MEMORY_LEN (RING_LEN + SLOTS * SLOT_LEN)
#define RING_IOVA  0x10000000u
#define DATA_IOVA  0x2000000000u
#define FEATURES   (VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM))

struct slot {
	struct virtio_blk_outhdr head;
	uint8_t data[BLOCK];
	uint8_t status;
};

struct client {
	int fd, memory_fd, kick, call;
	bool packed;
	uint8_t *memory;
	uint64_t data_iova;
	struct virtq_driver vq;
	uint32_t seeds[SLOTS][BLOCKS]; /* of what lies in a block, 0: unknown */
	uint32_t seed[SLOTS], turn[SLOTS];
	int slot_of[QUEUE];
	uint64_t done;
	uint32_t moving; /* the other thread goes on */
	uint64_t moves;
};

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *fmt, ...)
{
	va_list args;

	printf("FAIL: ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf(" (%m)\n");
	exit(1);
}

#define must(what)                                                                                 \
	do {                                                                                       \
		if (!(what))                                                                       \
			fail("%d: %s", __LINE__, #what);                                           \
	} while (0)

static void ok(const char *what)
{
	printf("ok - %s\n", what);
	fflush(stdout);
}

/*
 * The IOTLB.
 */

static void tell(struct client *c, uint8_t type, uint64_t iova, uint64_t len, void *at)
{
	struct vhost_msg_v2 m = {.type = VHOST_IOTLB_MSG_V2};

	m.iotlb = (struct vhost_iotlb_msg){.iova = iova,
					   .size = len,
					   .uaddr = (uintptr_t)at,
					   .perm = VHOST_ACCESS_RW,
					   .type = type};
	must(write(c->fd, &m, sizeof(m)) == sizeof(m));
}

static void map_ring(struct client *c)
{
	tell(c, VHOST_IOTLB_UPDATE, RING_IOVA, RING_LEN, c->memory);
}

static void map_data(struct client *c)
{
	tell(c, VHOST_IOTLB_UPDATE, c->data_iova, MEMORY_LEN - RING_LEN, c->memory + RING_LEN);
}

static void unmap(struct client *c, uint64_t iova, uint64_t len)
{
	tell(c, VHOST_IOTLB_INVALIDATE, iova, len, NULL);
}

/*
 * The device.
 */

static uint8_t get_status(struct client *c)
{
	uint8_t status;

	must(!ioctl(c->fd, VHOST_VDPA_GET_STATUS, &status));
	return status;
}

static void set_status(struct client *c, uint8_t status)
{
	must(!ioctl(c->fd, VHOST_VDPA_SET_STATUS, &status));
}

static bool negotiate(struct client *c, uint64_t features)
{
	uint64_t backend =
		(1ull << VHOST_BACKEND_F_IOTLB_MSG_V2) | (1ull << VHOST_BACKEND_F_IOTLB_BATCH);

	must(!ioctl(c->fd, VHOST_SET_BACKEND_FEATURES, &backend));
	set_status(c, 0);
	set_status(c, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	must(!ioctl(c->fd, VHOST_SET_FEATURES, &features));
	set_status(c, get_status(c) | VIRTIO_CONFIG_S_FEATURES_OK);
	return get_status(c) & VIRTIO_CONFIG_S_FEATURES_OK;
}

/* @base: as VHOST_GET_VRING_BASE has it */
static void set_ring(struct client *c, uint32_t base)
{
	struct virtq_layout at = sl_virtq_layout(QUEUE, c->packed);
	struct vhost_vring_state num = {0, QUEUE}, first = {0, base}, enable = {0, 1};
	struct vhost_vring_file kick = {0, c->kick}, call = {0, c->call};
	struct vhost_vring_addr addr = {.desc_user_addr = RING_IOVA + at.desc,
					.avail_user_addr = RING_IOVA + at.avail,
					.used_user_addr = RING_IOVA + at.used};

	must(!ioctl(c->fd, VHOST_SET_VRING_NUM, &num));
	must(!ioctl(c->fd, VHOST_SET_VRING_ADDR, &addr));
	must(!ioctl(c->fd, VHOST_SET_VRING_BASE, &first));
	must(!ioctl(c->fd, VHOST_SET_VRING_KICK, &kick));
	must(!ioctl(c->fd, VHOST_SET_VRING_CALL, &call));
	must(!ioctl(c->fd, VHOST_VDPA_SET_VRING_ENABLE, &enable));
}

static bool go(struct client *c)
{
	set_status(c, get_status(c) | VIRTIO_CONFIG_S_DRIVER_OK);
	return get_status(c) & VIRTIO_CONFIG_S_DRIVER_OK;
}

static uint32_t get_base(struct client *c)
{
	struct vhost_vring_state s = {0};

	must(!ioctl(c->fd, VHOST_GET_VRING_BASE, &s));
	return s.num;
}

static uint64_t wanted(const struct client *c)
{
	return FEATURES | (c->packed ? VIRTIO_BIT(VIRTIO_F_RING_PACKED) : 0);
}

static uint32_t first_base(const struct client *c)
{
	return c->packed ? 0x80008000 : 0;
}

/* From nothing to a queue that runs. */
static void begin(struct client *c)
{
	struct virtq_options options = {.size = QUEUE, .packed = c->packed};

	memset(c->memory, 0, RING_LEN);
	must(!sl_virtq_open(&c->vq, &options, c->memory));
	must(negotiate(c, wanted(c)));
	map_ring(c);
	map_data(c);
	set_ring(c, first_base(c));
	must(go(c));
}

static void end(struct client *c)
{
	set_status(c, 0);
	unmap(c, 0, UINT64_MAX);
	sl_virtq_close(&c->vq);
}

/*
 * Requests: each block is written and read back by one slot, so that what must lie there is known.
 */

static struct slot *slot_at(struct client *c, unsigned n)
{
	return (void *)(c->memory + RING_LEN + (size_t)n * SLOT_LEN + 64);
}

static void fill(uint8_t *data, uint32_t seed)
{
	for (uint32_t i = 0; i < BLOCK / 4; i++, data += 4)
		memcpy(data, &(uint32_t){seed + i * 2654435761u}, 4);
}

static void check(struct client *c, unsigned n)
{
	uint32_t turn = c->turn[n];
	struct slot *s = slot_at(c, n);
	uint8_t expected[BLOCK];

	if (s->status != VIRTIO_BLK_S_OK)
		fail("slot %u: status %u", n, s->status);
	if (turn % 2) {
		fill(expected, c->seeds[n][turn / 2 % BLOCKS]);
		must(!memcmp(expected, s->data, BLOCK));
	}
	c->turn[n]++;
	c->done++;
}

static void submit(struct client *c, unsigned n)
{
	uint64_t at = c->data_iova + (uint64_t)n * SLOT_LEN + 64;
	struct slot *s = slot_at(c, n);
	uint32_t block = c->turn[n] / 2 % BLOCKS;
	bool reads = c->turn[n] % 2;
	struct virtq_elem e[3] = {{{at}, sizeof(s->head)},
				  {{at + offsetof(struct slot, data)}, BLOCK},
				  {{at + offsetof(struct slot, status)}, 1}};
	int id;

	s->head = (struct virtio_blk_outhdr){.type = reads ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT,
					     .sector = (uint64_t)(block * SLOTS + n) * BLOCK / 512};
	if (reads)
		memset(s->data, 0xa5, BLOCK);
	else
		fill(s->data, c->seeds[n][block] = (uint32_t)random());
	s->status = 0xff;
	id = sl_virtq_add(&c->vq, e, reads ? 1 : 2, 3);
	must(id >= 0);
	c->slot_of[id] = (int)n;
}

/* Returns how many came back; waits for one. */
static unsigned reap(struct client *c, bool busy[SLOTS])
{
	struct pollfd fd = {.fd = c->call, .events = POLLIN};
	unsigned n = 0;
	uint64_t value;
	uint32_t len;
	int id;

	while ((id = sl_virtq_get(&c->vq, &len)) >= 0) {
		check(c, (unsigned)c->slot_of[id]);
		busy[c->slot_of[id]] = false;
		n++;
	}
	must(id == -EAGAIN);
	if (!n && !sl_virtq_arm(&c->vq, 0)) {
		if (poll(&fd, 1, 40000) != 1)
			fail("no interrupt in 40 s: %u in flight, base %x",
			     sl_virtq_in_flight(&c->vq), get_base(c));
		must(read(c->call, &value, sizeof(value)) == sizeof(value));
	}
	return n;
}

static void run(struct client *c, uint64_t count)
{
	uint64_t until = c->done + count;
	bool busy[SLOTS] = {false};

	while (c->done < until || sl_virtq_in_flight(&c->vq)) {
		for (unsigned n = 0; n < SLOTS && c->done < until; n++) {
			if (busy[n])
				continue;
			submit(c, n);
			busy[n] = true;
		}
		if (sl_virtq_publish(&c->vq))
			sl_event_signal(c->kick);
		reap(c, busy);
	}
}

/*
 * What is to be shown.
 */

static void refusals(struct client *c)
{
	must(!negotiate(c, wanted(c) & ~VIRTIO_BIT(VIRTIO_F_VERSION_1)));
	must(!negotiate(c, wanted(c) & ~VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM)));
	ok("features that it cannot be driven with are refused");
	must(negotiate(c, wanted(c)));
	set_ring(c, first_base(c));
	must(!go(c));
	set_status(c, 0);
	ok("rings that are not mapped are refused");
}

/* A thread of its own, since each waits for the daemon: something else comes and goes, then the
 * rings. */
static void *move(void *ctx)
{
	struct client *c = ctx;
	void *other = mmap(NULL, RING_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, c->memory_fd, 0);

	must(other != MAP_FAILED);
	while (sl_load_acquire(&c->moving)) {
		tell(c, VHOST_IOTLB_UPDATE, 0, RING_LEN, other);
		unmap(c, 0, RING_LEN);
		/* The same memory, seen from elsewhere; in between there is none. */
		unmap(c, RING_IOVA, RING_LEN);
		tell(c, VHOST_IOTLB_UPDATE, RING_IOVA, RING_LEN, other);
		c->moves++;
	}
	return NULL;
}

static void moves(struct client *c)
{
	pthread_t thread;

	c->moving = 1;
	must(!pthread_create(&thread, NULL, move, c));
	run(c, 3000);
	while (sl_load_relaxed(&c->moves) < 10)
		run(c, 500);
	sl_store_release(&c->moving, 0);
	must(!pthread_join(thread, NULL));
	run(c, 200);
	ok("memory is mapped and unmapped while requests are in flight, the rings' as well");

	tell(c, VHOST_IOTLB_BATCH_BEGIN, 0, 0, NULL);
	unmap(c, c->data_iova, MEMORY_LEN - RING_LEN);
	c->data_iova += 0x100000000;
	map_data(c);
	tell(c, VHOST_IOTLB_BATCH_END, 0, 0, NULL);
	run(c, 200);
	ok("buffers lie elsewhere from now on");
}

static uint32_t expected_base(const struct client *c)
{
	const struct virtq_driver *vq = &c->vq;

	if (!c->packed)
		return vq->added;
	return vq->avail_at | (uint32_t)vq->avail_wrap << 15 | (uint32_t)vq->used_at << 16 |
	       (uint32_t)vq->used_wrap << 31;
}

static void states(struct client *c)
{
	uint32_t base;

	must(get_base(c) == expected_base(c));
	run(c, 101);
	base = get_base(c);
	must(base == expected_base(c));
	ok("the state of the queue is what its driver knows");
	must(ioctl(c->fd, VHOST_VDPA_SUSPEND) < 0 && errno == EOPNOTSUPP);
	ok("suspend # SKIP this kernel's VDUSE cannot");
	set_status(c, 0);
	must(negotiate(c, wanted(c)));
	set_ring(c, base);
	must(get_base(c) == base);
	must(go(c));
	must(get_base(c) == base);
	run(c, 300);
	ok("after a reset it goes on from that state");
}

static void lies(struct client *c)
{
	struct virtq_elem e = {{0xdead0000000}, 512};
	uint32_t len;

	must(sl_virtq_add(&c->vq, &e, 1, 1) >= 0);
	sl_virtq_publish(&c->vq);
	sl_event_signal(c->kick);
	usleep(300000);
	must(sl_virtq_get(&c->vq, &len) == -EAGAIN);
	end(c);
	begin(c);
	run(c, 200);
	ok("an address that is not mapped breaks the queue, until it is reset");
}

static void truncated(struct client *c)
{
	must(!ftruncate(c->memory_fd, RING_LEN));
	must(!ftruncate(c->memory_fd, MEMORY_LEN));
	run(c, 50);
	must(!ftruncate(c->memory_fd, 0));
	sl_event_signal(c->kick);
	usleep(100000);
	must(!ftruncate(c->memory_fd, MEMORY_LEN));
	end(c);
	begin(c);
	run(c, 200);
	ok("memory that is taken away breaks the queue, until it is reset");
}

static void all(struct client *c)
{
	refusals(c);
	begin(c);
	run(c, 1000);
	ok("what is written is read back");
	moves(c);
	states(c);
	lies(c);
	truncated(c);
	end(c);
}

static void load(struct client *c, const char *until)
{
	begin(c);
	run(c, 100);
	puts("running");
	fflush(stdout);
	while (access(until, F_OK))
		run(c, 500);
	end(c);
}

static void take_memory(struct client *c, bool huge)
{
	c->memory_fd = memfd_create("vdpa_client", MFD_CLOEXEC | (huge ? MFD_HUGETLB : 0));
	must(c->memory_fd >= 0);
	must(!ftruncate(c->memory_fd, huge ? 2 << 20 : MEMORY_LEN));
	c->memory = mmap(NULL, MEMORY_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, c->memory_fd, 0);
	must(c->memory != MAP_FAILED);
}

int main(int argc, char **argv)
{
	static struct client c = {.data_iova = DATA_IOVA};

	must(argc >= 4);
	c.packed = !strcmp(argv[2], "packed");
	c.fd = open(argv[1], O_RDWR | O_CLOEXEC);
	must(c.fd >= 0);
	must(!ioctl(c.fd, VHOST_SET_OWNER));
	c.kick = eventfd(0, EFD_CLOEXEC);
	c.call = eventfd(0, EFD_CLOEXEC);
	must(c.kick >= 0 && c.call >= 0);
	take_memory(&c, !strcmp(argv[3], "huge"));
	if (argc > 4)
		load(&c, argv[4]);
	else
		all(&c);
	return 0;
}
