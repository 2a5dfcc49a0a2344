/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vhost-user back end for tests, in a thread of its own: a disk of one queue that answers every
 * read with the same bytes; or a device of several, whose rings the test itself uses. It does what
 * the protocol says, but for what the test makes it do wrong.
 */
#ifndef SL_TESTS_FAKE_BACK_H
#define SL_TESTS_FAKE_BACK_H

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "fake_virtq.h"
#include "virtio/blk.h"
#include "wire/unix_socket.h"
#include "wire/vhost_user.h"

#define BACK_SEEN_MAX 128
#define BACK_BYTE     0x42
#define BACK_NEVER    (-1)
#define BACK_LOG_LEN  4096
#define BACK_LOG_MARK UINT64_C(0x6c6f67206f66206d)
#define BACK_BIT(n)   (UINT64_C(1) << (n))
#define BACK_RINGS    8

/* What it does with one of its answers. */
enum back_evil {
	EVIL_NONE,
	EVIL_DIES,    /* closes the socket */
	EVIL_MUTE,    /* does not answer */
	EVIL_HALF,    /* sends a part of it, and no more */
	EVIL_OTHER,   /* answers another request */
	EVIL_NO_FLAG, /* does not say that it is an answer */
	EVIL_SHORT,
	EVIL_LONG,
	EVIL_NO_FD, /* without a descriptor, where one belongs */
	EVIL_FDS,   /* with descriptors, where none belong */
	EVIL_VERSION,
	EVIL_ONES, /* all of the answer's bits are ones */
	EVIL_ZEROES,
	EVIL_TWICE, /* one more that nobody asked */
	EVIL_COUNT,
};

/** struct back_ring - a ring as it was set up */
struct back_ring {
	struct vhost_user_vring_addr addr;
	uint32_t size, base;
	bool enabled;
	int kick, call;
};

/**
 * struct back - what the test sets before back_start(), and what it finds after back_join()
 * @evil_at:  which of its answers, from 0; BACK_NEVER
 * @hold:     takes so many requests and does not give them back
 * @dies_at:  closes the socket as soon as it holds so many, 0: does not
 * @many:     only remembers @rings; else it serves the first
 * @bad_used: gives back what it does not have
 * @ask:      VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, or what else to send at the first kick
 * @answers:  how many it has sent
 * @seen:     requests, in their order
 * @answered: what we said to @ask, -1 for nothing
 */
struct back {
	uint64_t features, protocol, queues, slots;
	struct virtio_blk_config config;
	enum back_evil evil;
	int evil_at;
	unsigned hold, dies_at;
	bool bad_used, err_now, many;
	uint32_t ask;
	int sock, listener;
	pthread_t thread;
	/* what it found */
	int answers;
	uint32_t seen[BACK_SEEN_MAX];
	unsigned n_seen;
	uint64_t got_features, got_protocol, status;
	uint64_t log_mark;
	bool truncated;
	int64_t answered;
	unsigned held;
	/* its inside */
	struct vhost_user_reader reader;
	uint8_t *memory;
	struct vhost_user_memory_region region;
	struct fake_virtq vq;
	bool runs;
	int err, channel, stop;
	struct back_ring rings[BACK_RINGS];
};

static inline struct back back_new(void)
{
	return (struct back){
		.features = BACK_BIT(VIRTIO_F_VERSION_1) | BACK_BIT(VIRTIO_F_EVENT_IDX) |
			    BACK_BIT(VIRTIO_BLK_F_FLUSH) | BACK_BIT(VIRTIO_BLK_F_SEG_MAX) |
			    BACK_BIT(VHOST_USER_F_PROTOCOL_FEATURES),
		.protocol = BACK_BIT(VHOST_USER_PROTOCOL_F_MQ) |
			    BACK_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
			    BACK_BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) |
			    BACK_BIT(VHOST_USER_PROTOCOL_F_CONFIG) |
			    BACK_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) |
			    BACK_BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE) |
			    BACK_BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) |
			    BACK_BIT(VHOST_USER_PROTOCOL_F_STATUS),
		.queues = 4,
		.slots = 8,
		.config = {.capacity = 2048, .seg_max = 8},
		.evil_at = BACK_NEVER,
		.sock = -1,
		.listener = -1,
		.answered = -1,
		.memory = MAP_FAILED,
		.err = -1,
		.channel = -1,
		.stop = -1,
		.rings = {[0 ... BACK_RINGS - 1] = {.kick = -1, .call = -1}},
	};
}

/*
 * Answers.
 */

static inline void back_spoil(struct back *b, struct vhost_user_msg *m)
{
	switch (b->evil) {
	case EVIL_OTHER:
		m->request = m->request == VHOST_USER_GET_FEATURES ? VHOST_USER_GET_QUEUE_NUM
								   : VHOST_USER_GET_FEATURES;
		break;
	case EVIL_NO_FLAG:
		m->flags &= ~VHOST_USER_REPLY_MASK;
		break;
	case EVIL_SHORT:
		m->size -= 8; /* a log's place may be 4 bytes shorter */
		break;
	case EVIL_LONG:
		m->size += 4;
		break;
	case EVIL_NO_FD:
		sl_vhost_user_drop(m);
		break;
	case EVIL_FDS:
		while (m->n_fds < 3)
			m->fds[m->n_fds++] = eventfd(0, EFD_CLOEXEC);
		break;
	case EVIL_VERSION:
		m->flags = (m->flags & ~VHOST_USER_VERSION_MASK) | 2;
		break;
	case EVIL_ONES:
		memset(m->payload.bytes, 0xff, m->size);
		break;
	case EVIL_ZEROES:
		memset(m->payload.bytes, 0, m->size);
		break;
	default:
		break;
	}
}

static inline void back_answer(struct back *b, struct vhost_user_msg *m)
{
	bool evil = b->answers++ == b->evil_at;

	m->flags = VHOST_USER_VERSION | VHOST_USER_REPLY_MASK;
	if (evil && b->evil == EVIL_DIES)
		sl_fd_close(&b->sock);
	if (evil)
		back_spoil(b, m);
	if (evil && b->evil == EVIL_HALF && send(b->sock, m, 7, MSG_NOSIGNAL) < 0)
		sl_fd_close(&b->sock);
	if (b->sock >= 0 && !(evil && (b->evil == EVIL_MUTE || b->evil == EVIL_HALF)))
		sl_vhost_user_send(b->sock, m);
	if (evil && b->evil == EVIL_TWICE)
		sl_vhost_user_send(b->sock, m);
	sl_vhost_user_drop(m);
}

static inline void back_number(struct back *b, const struct vhost_user_msg *m, uint64_t n)
{
	struct vhost_user_msg reply = {.request = m->request, .size = 8, .payload.u64 = n};

	back_answer(b, &reply);
}

static inline void back_config(struct back *b, const struct vhost_user_msg *m)
{
	struct vhost_user_msg reply = *m;
	uint32_t n = sl_min(m->payload.config.size, (uint32_t)sizeof(b->config));

	memcpy(reply.payload.config.region, &b->config, n);
	back_answer(b, &reply);
}

static inline void back_base(struct back *b, const struct vhost_user_msg *m)
{
	struct vhost_user_msg reply = {.request = m->request, .size = 8};

	b->runs = false;
	reply.payload.state.index = m->payload.state.index;
	reply.payload.state.num = b->vq.avail_idx;
	back_answer(b, &reply);
}

/* A log that says only who made it. */
static inline void back_log(struct back *b, const struct vhost_user_msg *m)
{
	struct vhost_user_msg reply = *m;
	uint64_t mark = BACK_LOG_MARK;

	reply.n_fds = 1;
	reply.fds[0] = memfd_create("log", MFD_CLOEXEC);
	if (ftruncate(reply.fds[0], BACK_LOG_LEN) ||
	    pwrite(reply.fds[0], &mark, sizeof(mark), 0) != sizeof(mark))
		abort();
	reply.payload.inflight.mmap_size = BACK_LOG_LEN;
	back_answer(b, &reply);
}

/*
 * What it is told.
 */

static inline void back_map(struct back *b, struct vhost_user_msg *m,
			    const struct vhost_user_memory_region *region)
{
	int fd = sl_vhost_user_take_fd(m, 0);

	b->region = *region;
	b->truncated = !ftruncate(fd, 0);
	b->memory = mmap(NULL, region->memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			 (off_t)region->mmap_offset);
	sl_fd_close(&fd);
}

static inline void back_take(int *to, struct vhost_user_msg *m)
{
	sl_fd_close(to);
	*to = sl_vhost_user_take_fd(m, 0);
}

static inline void back_kicked(struct back *b);

static inline void back_run(struct back *b)
{
	const struct back_ring *ring = &b->rings[0];

	if (b->memory == MAP_FAILED || ring->kick < 0)
		return;
	b->vq = fake_virtq_at(b->memory + (ring->addr.desc_user_addr - b->region.userspace_addr),
			      (uint16_t)ring->size, b->got_features & BACK_BIT(VIRTIO_F_EVENT_IDX));
	b->vq.avail_idx = (uint16_t)ring->base;
	b->vq.used_idx = b->vq.used->idx;
	fake_virtq_listen(&b->vq, true);
	b->runs = true;
	back_kicked(b); /* which may have come already */
}

static inline void back_told(struct back *b, struct vhost_user_msg *m)
{
	struct back_ring *ring = &b->rings[m->payload.state.index % BACK_RINGS];

	switch (m->request) {
	case VHOST_USER_SET_FEATURES:
		b->got_features = m->payload.u64;
		break;
	case VHOST_USER_SET_PROTOCOL_FEATURES:
		b->got_protocol = m->payload.u64;
		break;
	case VHOST_USER_SET_STATUS:
		b->status = m->payload.u64;
		break;
	case VHOST_USER_SET_MEM_TABLE:
		back_map(b, m, &m->payload.memory.regions[0]);
		break;
	case VHOST_USER_ADD_MEM_REG:
		back_map(b, m, &m->payload.mem_reg.region);
		break;
	case VHOST_USER_SET_INFLIGHT_FD:
		if (pread(m->fds[0], &b->log_mark, sizeof(b->log_mark), 0) < 0)
			b->log_mark = 0;
		break;
	case VHOST_USER_SET_VRING_NUM:
		ring->size = m->payload.state.num;
		break;
	case VHOST_USER_SET_VRING_BASE:
		ring->base = m->payload.state.num;
		break;
	case VHOST_USER_SET_VRING_ADDR:
		ring->addr = m->payload.addr;
		break;
	case VHOST_USER_SET_VRING_KICK:
		back_take(&ring->kick, m);
		break;
	case VHOST_USER_SET_VRING_CALL:
		back_take(&ring->call, m);
		break;
	case VHOST_USER_SET_VRING_ERR:
		back_take(&b->err, m);
		break;
	case VHOST_USER_SET_BACKEND_REQ_FD:
		back_take(&b->channel, m);
		break;
	case VHOST_USER_SET_VRING_ENABLE:
		ring->enabled = m->payload.state.num;
		if (!b->many)
			back_run(b);
		break;
	}
}

static inline void back_handle(struct back *b, struct vhost_user_msg *m)
{
	bool ack = m->flags & VHOST_USER_NEED_REPLY_MASK;

	if (b->n_seen < BACK_SEEN_MAX)
		b->seen[b->n_seen++] = m->request;
	switch (m->request) {
	case VHOST_USER_GET_FEATURES:
		return back_number(b, m, b->features);
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		return back_number(b, m, b->protocol);
	case VHOST_USER_GET_QUEUE_NUM:
		return back_number(b, m, b->queues);
	case VHOST_USER_GET_MAX_MEM_SLOTS:
		return back_number(b, m, b->slots);
	case VHOST_USER_GET_STATUS:
		return back_number(b, m, b->status);
	case VHOST_USER_GET_CONFIG:
		return back_config(b, m);
	case VHOST_USER_GET_VRING_BASE:
		return back_base(b, m);
	case VHOST_USER_GET_INFLIGHT_FD:
		return back_log(b, m);
	default:
		back_told(b, m);
		if (ack)
			back_number(b, m, 0);
	}
}

/*
 * Requests.
 */

static inline uint8_t *back_at(const struct back *b, const uint8_t *iova)
{
	return b->memory + ((uintptr_t)iova - b->region.guest_phys_addr);
}

static inline void back_serve(struct back *b, const struct fake_chain *chain)
{
	for (unsigned i = chain->n_read; i + 1 < chain->n; i++)
		memset(back_at(b, chain->elems[i].at), BACK_BYTE, chain->elems[i].len);
	*back_at(b, chain->elems[chain->n - 1].at) = VIRTIO_BLK_S_OK;
	if (fake_virtq_push(&b->vq, b->bad_used ? 9999 : chain->head, 1))
		sl_event_signal(b->rings[0].call);
}

static inline void back_kicked(struct back *b)
{
	struct vhost_user_msg ask = {.request = b->ask,
				     .flags = VHOST_USER_VERSION | VHOST_USER_NEED_REPLY_MASK};
	struct fake_chain chain;

	sl_event_clear(b->rings[0].kick);
	if (b->ask && b->channel >= 0)
		sl_vhost_user_send(b->channel, &ask);
	b->ask = 0;
	if (b->err_now)
		sl_event_signal(b->err);
	do {
		while (b->runs && fake_virtq_pop(&b->vq, &chain)) {
			if (b->held < b->hold)
				b->held++;
			else
				back_serve(b, &chain);
			if (b->dies_at && b->held >= b->dies_at) {
				b->runs = false; /* the dead do not look at rings */
				sl_fd_close(&b->sock);
			}
		}
		if (!b->runs)
			return;
		fake_virtq_listen(&b->vq, true);
		sl_fence_seq_cst();
	} while (fake_virtq_has_avail(&b->vq)); /* who came before that kicked nobody */
}

static inline void back_heard(struct back *b)
{
	struct vhost_user_reader reader = {0};
	struct vhost_user_msg m;

	if (sl_vhost_user_recv(b->channel, &reader, VHOST_USER_KIND_BACKEND_REPLY, &m))
		sl_fd_close(&b->channel);
	else
		b->answered = (int64_t)m.payload.u64;
}

static inline void *back_thread(void *arg)
{
	struct back *b = arg;
	struct vhost_user_msg m;

	if (b->listener >= 0) {
		poll(&(struct pollfd){b->listener, POLLIN, 0}, 1, 5000);
		sl_unix_accept(b->listener, &b->sock);
	}
	while (b->sock >= 0) {
		struct pollfd fds[] = {{b->sock, POLLIN, 0},
				       {b->many ? -1 : b->rings[0].kick, POLLIN, 0},
				       {b->channel, POLLIN, 0},
				       {b->stop, POLLIN, 0}};
		int ret;

		if (poll(fds, 4, 10000) <= 0 || fds[3].revents)
			break;
		if (fds[1].revents)
			back_kicked(b);
		if (fds[2].revents)
			back_heard(b);
		if (!fds[0].revents || b->sock < 0)
			continue;
		ret = sl_vhost_user_recv(b->sock, &b->reader, VHOST_USER_KIND_REQUEST, &m);
		if (ret && ret != -EAGAIN)
			break;
		if (ret)
			continue;
		back_handle(b, &m);
		sl_vhost_user_drop(&m);
	}
	sl_fd_close(&b->sock);
	return NULL;
}

/* On a socket that is connected already, or the first that connects to @listener. */
static inline void back_start(struct back *b)
{
	b->stop = eventfd(0, EFD_CLOEXEC);
	if (b->stop < 0 || pthread_create(&b->thread, NULL, back_thread, b))
		abort();
}

static inline void back_join(struct back *b)
{
	sl_event_signal(b->stop);
	pthread_join(b->thread, NULL);
	sl_vhost_user_reader_reset(&b->reader);
	if (b->memory != MAP_FAILED)
		munmap(b->memory, b->region.memory_size);
	b->memory = MAP_FAILED;
	for (unsigned i = 0; i < BACK_RINGS; i++) {
		sl_fd_close(&b->rings[i].kick);
		sl_fd_close(&b->rings[i].call);
	}
	sl_fd_close(&b->err);
	sl_fd_close(&b->channel);
	sl_fd_close(&b->stop);
}

/* How often it was asked that. */
static inline unsigned back_saw(const struct back *b, uint32_t request)
{
	unsigned n = 0;

	for (unsigned i = 0; i < b->n_seen; i++)
		n += b->seen[i] == request;
	return n;
}

#endif
