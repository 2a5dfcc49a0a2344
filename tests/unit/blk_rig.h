/* SPDX-License-Identifier: BSD-2-Clause */
/* A disk, asked as a driver would: what the tests of the model blk share. */
#ifndef SL_TESTS_BLK_RIG_H
#define SL_TESTS_BLK_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/virtio_blk.h>
#include <sluice/guard.h>
#include <sluice/reason.h>

#include <liburing.h>

#include "fake_request.h"
#include "offer/kinds.h"

#define DISK (1u << 20)

enum layout {
	NATURAL,  /* header | data | status */
	TOGETHER, /* one piece that is read, one that is written */
	SCATTER,  /* pieces of 1, 2, 3, 5, 8 ... bytes */
	LAYOUTS
};

struct disk {
	struct sl_model *m;
	struct sl_log log;
	char line[300]; /* of the log, the last */
	unsigned lines;
};

/* The library touches what may be gone; so this program needs the handler. */
static void on_fault(int sig, siginfo_t *info, void *ctx)
{
	if (sl_guard_handler(sig, info, ctx))
		return;
	signal(sig, SIG_DFL);
}

/* cmocka has handlers of its own, for each test. */
static inline void catch_faults(void)
{
	struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

	sigaction(SIGBUS, &act, NULL);
	sigaction(SIGSEGV, &act, NULL);
	signal(SIGXFSZ, SIG_IGN);
}

static void remember(void *ctx, enum sl_log_level level, const char *line)
{
	struct disk *d = ctx;

	(void)level;
	snprintf(d->line, sizeof(d->line), "%s", line);
	d->lines++;
}

static inline int disk_open(struct disk *d, const char *spec)
{
	struct sl_args *args;
	int ret;

	catch_faults();
	memset(d, 0, sizeof(*d));
	memset(&fake_offer, 0, sizeof(fake_offer));
	d->log = (struct sl_log){remember, d, SL_LOG_DEBUG};
	ret = sl_args_parse("blk", spec, sl_model_blk.params, &args);
	if (ret)
		return ret;
	ret = sl_model_blk.open(args, &d->log, &d->m);
	sl_args_release(args);
	return ret;
}

static inline void disk_close(struct disk *d)
{
	d->m->ops->close(d->m);
}

static inline uint64_t disk_capacity(const struct disk *d)
{
	struct virtio_blk_config c;

	d->m->ops->get_config(d->m, &c);
	return c.capacity * 512;
}

struct wanted {
	const char *name;
	uint64_t value;
};

static void is_wanted(void *ctx, const char *name, uint64_t value)
{
	struct wanted *w = ctx;

	if (!strcmp(w->name, name))
		w->value = value;
}

static inline uint64_t disk_count(const struct disk *d, const char *name)
{
	struct wanted w = {name, UINT64_MAX};

	d->m->ops->stats(d->m, is_wanted, &w);
	assert_int_not_equal(w.value, UINT64_MAX);
	return w.value;
}

/* A file that is no tmpfs's, DISK bytes long, without a name. */
static inline int file_make(void)
{
	char name[] = "blk-XXXXXX";
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	unlink(name);
	assert_int_equal(ftruncate(fd, DISK), 0);
	return fd;
}

static inline void disk_open_file(struct disk *d, int fd, const char *more)
{
	char spec[128];

	snprintf(spec, sizeof(spec), "file=/proc/self/fd/%d%s", fd, more);
	if (disk_open(d, spec))
		fail_msg("%s", sl_reason());
	assert_int_equal(d->m->ops->start(d->m, UINT64_MAX), 0);
}

/*
 * One request: what is read and written is copied to and from pieces.
 */

struct ask {
	struct fake_request r;
	uint8_t *read, *write;
	size_t read_len, write_len;
};

static inline void add_pieces(struct fake_request *r, bool write, uint8_t *at, size_t len,
			      size_t own, enum layout layout)
{
	static const size_t sizes[] = {1, 2, 3, 5, 8, 13, 21, 34};
	size_t natural[] = {write ? len - own : own, write ? own : len - own};

	for (unsigned i = 0; len; i++) {
		size_t here = layout == NATURAL	   ? (i < 2 ? natural[i] : len)
			      : layout == TOGETHER ? len
						   : (i < sl_array_len(sizes) ? sizes[i] : len);

		here = sl_min(here, len);
		if (here)
			fake_request_add(r, write, at, here);
		at += here;
		len -= here;
	}
}

/* @out: behind the header, @out_len bytes; room for @in_len bytes and a status byte */
static inline void ask_init(struct ask *a, struct disk *d, uint32_t type, uint64_t sector,
			    const void *out, size_t out_len, size_t in_len, enum layout layout)
{
	struct virtio_blk_outhdr head = {.type = type, .sector = sector};

	a->read_len = sizeof(head) + out_len;
	a->write_len = in_len + 1;
	a->read = malloc(a->read_len);
	a->write = malloc(a->write_len);
	memcpy(a->read, &head, sizeof(head));
	if (out_len)
		memcpy(a->read + sizeof(head), out, out_len);
	memset(a->write, 0xee, a->write_len);
	fake_request_init(&a->r, d->m);
	add_pieces(&a->r, false, a->read, a->read_len, sizeof(head), layout);
	add_pieces(&a->r, true, a->write, a->write_len, 1, layout);
}

static inline uint8_t ask_status(const struct ask *a)
{
	return a->write[a->write_len - 1];
}

static inline void ask_free(struct ask *a)
{
	free(a->read);
	free(a->write);
	fake_request_free(&a->r);
}

static inline void ask_run(struct ask *a, struct disk *d)
{
	unsigned done = fake_offer.done;

	d->m->ops->request(d->m, &a->r.req);
	assert_true(fake_offer_run(d->m, done + 1));
	assert_int_equal(a->r.done, 1);
}

static inline uint8_t disk_ask(struct disk *d, uint32_t type, uint64_t sector, const void *out,
			       size_t out_len, void *in, size_t in_len, enum layout layout)
{
	struct ask a;
	uint8_t status;

	ask_init(&a, d, type, sector, out, out_len, in_len, layout);
	ask_run(&a, d);
	status = ask_status(&a);
	if (in_len)
		memcpy(in, a.write, in_len);
	if (!status)
		assert_int_equal(a.r.written, in_len + 1);
	ask_free(&a);
	return status;
}

static inline uint8_t disk_write(struct disk *d, uint64_t sector, const void *data, size_t len,
				 enum layout layout)
{
	return disk_ask(d, VIRTIO_BLK_T_OUT, sector, data, len, NULL, 0, layout);
}

static inline uint8_t disk_read(struct disk *d, uint64_t sector, void *data, size_t len,
				enum layout layout)
{
	return disk_ask(d, VIRTIO_BLK_T_IN, sector, NULL, 0, data, len, layout);
}

static inline uint8_t disk_range(struct disk *d, uint32_t type, uint64_t sector, uint32_t sectors,
				 uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes seg = {sector, sectors, flags};

	return disk_ask(d, type, 0, &seg, sizeof(seg), NULL, 0, SCATTER);
}

static inline void fill(uint8_t *to, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)(seed + i + i / 251);
}

#endif
