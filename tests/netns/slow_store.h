/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file system with one file in it, "disk", that takes its time: what is written with an 'S' in
 * front arrives SLOW_MS later. Others overtake it, as on a disk with a queue. The kernel's FUSE, by
 * hand: no library lets writes to one file be in flight side by side.
 */
#ifndef SL_TESTS_SLOW_STORE_H
#define SL_TESTS_SLOW_STORE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"

#define STORE_LEN	(1u << 20)
#define SLOW_MS		1500
#define FILE_ID		2
#define SLOW_MOST	64
#define PARALLEL_WRITES (1u << 6) /* FOPEN_PARALLEL_DIRECT_WRITES, of 7.38: Linux 6.2 */
#define PARALLEL_MINOR	38

struct slow_store {
	int fd;
	uint8_t bytes[STORE_LEN];
	struct {
		uint64_t unique, at_ns;
		struct fuse_write_in in;
		uint8_t *data;
	} slow[SLOW_MOST];
	unsigned n_slow;
	int *arrived, *landed; /* counters that the test sees */
	unsigned *minor;
};

static inline void store_reply(struct slow_store *s, uint64_t unique, int err, const void *body,
			       size_t len)
{
	struct fuse_out_header head = {(uint32_t)(sizeof(head) + len), err, unique};
	struct iovec v[] = {{&head, sizeof(head)}, {(void *)(uintptr_t)body, len}};

	/* Whoever asked may have been killed: then nobody wants it. */
	(void)!writev(s->fd, v, 2);
}

static inline struct fuse_attr store_attr(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node,
		.size = node == FILE_ID ? STORE_LEN : 0,
		.mode = node == FILE_ID ? S_IFREG | 0600 : S_IFDIR | 0700,
		.nlink = 1,
		.blksize = 4096,
	};
}

static inline void store_init(struct slow_store *s, uint64_t unique, const struct fuse_init_in *in)
{
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_write = 128 << 10,
		.max_background = 64,
	};

	*s->minor = in->minor;
	store_reply(s, unique, 0, &out, sizeof(out));
}

static inline void store_apply(struct slow_store *s, uint64_t unique,
			       const struct fuse_write_in *in, const uint8_t *data)
{
	struct fuse_write_out out = {.size = in->size};

	memcpy(s->bytes + in->offset, data, in->size);
	store_reply(s, unique, 0, &out, sizeof(out));
}

static inline void store_write(struct slow_store *s, uint64_t unique,
			       const struct fuse_write_in *in, const uint8_t *data)
{
	if (in->offset > STORE_LEN || in->size > STORE_LEN - in->offset) {
		store_reply(s, unique, -EINVAL, NULL, 0);
	} else if (*data != 'S' || s->n_slow == SLOW_MOST) {
		store_apply(s, unique, in, data);
	} else {
		s->slow[s->n_slow].unique = unique;
		s->slow[s->n_slow].at_ns = sl_now_ns() + SLOW_MS * SL_NS_PER_MS;
		s->slow[s->n_slow].in = *in;
		s->slow[s->n_slow].data = malloc(in->size);
		memcpy(s->slow[s->n_slow++].data, data, in->size);
		__atomic_add_fetch(s->arrived, 1, __ATOMIC_SEQ_CST);
	}
}

static inline void store_read(struct slow_store *s, uint64_t unique, const struct fuse_read_in *in)
{
	size_t len = in->offset < STORE_LEN ? sl_min(in->size, STORE_LEN - in->offset) : 0;

	store_reply(s, unique, 0, s->bytes + (len ? in->offset : 0), len);
}

static inline void store_request(struct slow_store *s, const struct fuse_in_header *head)
{
	const void *body = head + 1;
	struct fuse_entry_out entry = {.nodeid = FILE_ID, .attr = store_attr(FILE_ID)};
	struct fuse_attr_out attr = {.attr = store_attr(head->nodeid)};
	struct fuse_open_out open = {.open_flags = FOPEN_DIRECT_IO | PARALLEL_WRITES};

	switch (head->opcode) {
	case FUSE_INIT:
		store_init(s, head->unique, body);
		break;
	case FUSE_LOOKUP:
		if (strcmp(body, "disk"))
			store_reply(s, head->unique, -ENOENT, NULL, 0);
		else
			store_reply(s, head->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		store_reply(s, head->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		store_reply(s, head->unique, 0, &open, sizeof(open));
		break;
	case FUSE_READ:
		store_read(s, head->unique, body);
		break;
	case FUSE_WRITE:
		store_write(s, head->unique, body,
			    (const uint8_t *)body + sizeof(struct fuse_write_in));
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_FSYNC:
		store_reply(s, head->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		store_reply(s, head->unique, -ENOSYS, NULL, 0);
	}
}

/* Returns how long to wait for the next, in ms. */
static inline int store_land(struct slow_store *s)
{
	for (unsigned i = 0; i < s->n_slow;) {
		if (s->slow[i].at_ns > sl_now_ns()) {
			i++;
			continue;
		}
		store_apply(s, s->slow[i].unique, &s->slow[i].in, s->slow[i].data);
		free(s->slow[i].data);
		s->slow[i] = s->slow[--s->n_slow];
		__atomic_add_fetch(s->landed, 1, __ATOMIC_SEQ_CST);
	}
	return s->n_slow ? 10 : 1000;
}

/* Until it is unmounted. */
static inline void store_serve(struct slow_store *s)
{
	static _Alignas(8) uint8_t request[(128 << 10) + 4096];

	for (;;) {
		struct pollfd wait = {.fd = s->fd, .events = POLLIN};
		ssize_t n;

		if (poll(&wait, 1, store_land(s)) != 1)
			continue;
		n = read(s->fd, request, sizeof(request));
		if (n < 0 && errno == ENODEV)
			return;
		if (n >= (ssize_t)sizeof(struct fuse_in_header))
			store_request(s, (const void *)request);
	}
}

#endif
