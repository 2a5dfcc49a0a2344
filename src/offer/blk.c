/* SPDX-License-Identifier: BSD-2-Clause */
/* Model blk: a disk (virtio 1.2, 5.2). Parameters, configuration, fence, changes of size. */
#include <linux/virtio_blk.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/timerfd.h>

#include <sluice/offer.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/count.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/reason.h"
#include "offer/blk.h"
#include "offer/kinds.h"
#include "space/limits.h"

#define SECTOR	     512u
#define SEGMENTS     126 /* with header and status 128 descriptors */
#define NULL_SIZE    (UINT64_C(1) << 30)
#define QUEUE_SIZE   256
#define BLOCK_MAX    4096
#define FENCE_S	     30
#define FENCE_SAY_NS (2 * SL_NS_PER_S)
#define LOOK_S	     1 /* between two looks at a file's size */
/* Up to write_zeroes_may_unmap and what fills its word (5.2.4). */
#define CONFIG_LEN offsetof(struct virtio_blk_config, max_secure_erase_sectors)

static struct blk *blk_of(const struct sl_model *model)
{
	return sl_container_of((uintptr_t)model, struct blk, model);
}

/*
 * Making one.
 */

static void blk_close(struct sl_model *model)
{
	struct blk *b = blk_of(model);

	if (b->store && b->store->close)
		b->store->close(b);
	sl_blk_file_close(&b->file);
	sl_fd_close(&b->clock);
	sl_fd_close(&b->wait);
	if (b->zeroes)
		munmap((void *)(uintptr_t)b->zeroes, BLK_ZEROES);
	free(b);
}

static int open_file(struct blk *b, const struct sl_args *args)
{
	enum blk_cache cache = (enum blk_cache)sl_args_uint(args, "cache", BLK_CACHE_AUTO);
	int64_t size;
	int ret = sl_blk_file_open(&b->file, sl_args_text(args, "file", 0),
				   (int)sl_args_uint(args, "fd", 0), cache, b->ro);

	if (ret)
		return ret;
	size = sl_blk_file_size(&b->file);
	if (size < 0)
		return (int)size;
	b->writethrough = cache == BLK_WRITETHROUGH;
	if (sl_blk_file_in_memory(&b->file)) {
		b->store = &sl_blk_store_memory;
	} else {
		b->store = &sl_blk_store_uring;
		b->cache.wanted = !b->file.direct && !b->writethrough;
		sl_blk_uring_open(b, sl_args_bool(args, "pin", false),
				  sl_args_bool(args, "sqpoll", false));
	}
	return b->store->resize(b, (uint64_t)size);
}

static int open_memory(struct blk *b, uint64_t size)
{
	b->store = &sl_blk_store_memory;
	b->file.fd = memfd_create("sluice-blk", MFD_CLOEXEC);
	if (b->file.fd < 0 || ftruncate(b->file.fd, (off_t)size))
		return sl_fail(errno, "blk: no %llu bytes of memory: %m", (unsigned long long)size);
	return b->store->resize(b, size & ~(uint64_t)(SECTOR - 1));
}

static int open_store(struct blk *b, const struct sl_args *args)
{
	bool null = sl_args_bool(args, "null", false);
	unsigned file = sl_args_count(args, "file") + sl_args_count(args, "fd"),
		 mem = sl_args_count(args, "mem");

	if (file + mem + null != 1)
		return sl_fail(EINVAL, "blk: one of file=PATH, fd=N, mem=SIZE and null is needed");
	if (file)
		return open_file(b, args);
	if (sl_args_count(args, "cache"))
		return sl_fail(EINVAL, "blk: cache= is for files");
	if (mem)
		return open_memory(b, sl_args_uint(args, "mem", 0));
	b->store = &sl_blk_store_null;
	b->size = NULL_SIZE;
	return 0;
}

static int check_sizes(struct blk *b, const struct sl_args *args)
{
	uint64_t block = sl_args_uint(args, "block-size", b->file.block);

	if (!sl_power_of_two(block))
		return sl_fail(EINVAL, "blk: block-size=%llu is no power of two",
			       (unsigned long long)block);
	if (block < b->file.block)
		return sl_fail(EINVAL, "%s has blocks of %u bytes: block-size=%llu is too small",
			       b->file.name, b->file.block, (unsigned long long)block);
	if (!sl_power_of_two(b->queue_size))
		return sl_fail(EINVAL, "blk: queue-size=%u is no power of two", b->queue_size);
	b->block = (uint32_t)block;
	return 0;
}

/* Rings at once when the time that @look_ns says has come, not before. */
static int set_clock(struct blk *b)
{
	const struct itimerspec once = {.it_value.tv_sec = LOOK_S};

	b->look_ns = sl_now_ns() + LOOK_S * SL_NS_PER_S;
	return timerfd_settime(b->clock, 0, &once, NULL);
}

/* Only a disk that is made of a file waits for anything: a file may change its size. */
static int open_wait(struct blk *b)
{
	struct epoll_event in = {.events = EPOLLIN};

	if (!b->file.name)
		return 0;
	b->clock = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	b->wait = epoll_create1(EPOLL_CLOEXEC);
	if (b->clock < 0 || b->wait < 0 || set_clock(b) ||
	    epoll_ctl(b->wait, EPOLL_CTL_ADD, b->clock, &in) ||
	    (b->uring.usable && epoll_ctl(b->wait, EPOLL_CTL_ADD, b->uring.ring.ring_fd, &in)))
		return sl_fail(errno, "blk: nothing to wait with: %m");
	return 0;
}

static int open_parts(struct blk *b, const struct sl_args *args)
{
	const char *serial = sl_args_text(args, "serial", 0);
	void *zeroes;
	int ret;

	strncpy(b->serial, serial ? serial : "", sizeof(b->serial));
	zeroes = mmap(NULL, BLK_ZEROES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (zeroes == MAP_FAILED)
		return sl_fail(ENOMEM, "no memory for a disk");
	b->zeroes = zeroes;
	ret = open_store(b, args);
	if (!ret)
		ret = check_sizes(b, args);
	return ret ? ret : open_wait(b);
}

static int blk_open(const struct sl_args *args, const struct sl_log *log, struct sl_model **out)
{
	struct blk *b = calloc(1, sizeof(*b));
	int ret;

	if (!b)
		return sl_fail(ENOMEM, "no memory for a disk");
	*b = (struct blk){
		.model.ops = &sl_model_blk,
		.log = log,
		.ro = sl_args_bool(args, "ro", false),
		.queues = (uint16_t)sl_args_uint(args, "queues", 1),
		.queue_size = (uint16_t)sl_args_uint(args, "queue-size", QUEUE_SIZE),
		.file = {.fd = -1,
			 .block = SECTOR,
			 .align = SECTOR,
			 .align_memory = 1,
			 .physical = 4096},
		.fence_ns = sl_args_uint(args, "fence", FENCE_S) * SL_NS_PER_S,
		.wait = -1,
		.clock = -1,
	};
	ret = open_parts(b, args);
	if (ret)
		blk_close(&b->model);
	else
		*out = &b->model;
	return ret;
}

/*
 * What it is like.
 */

static uint64_t features_of(const struct blk *b)
{
	uint64_t features = VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) | VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) |
			    VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY);

	if (b->queues > 1)
		features |= VIRTIO_BIT(VIRTIO_BLK_F_MQ);
	if (b->ro)
		features |= VIRTIO_BIT(VIRTIO_BLK_F_RO);
	else if (b->store != &sl_blk_store_null)
		features |=
			VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) | VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES);
	/* Without it a disk is one whose writes are durable when they are done (5.2.5.2). */
	if (b->store == &sl_blk_store_uring && !b->writethrough)
		features |= VIRTIO_BIT(VIRTIO_BLK_F_FLUSH);
	return features;
}

static void blk_info(const struct sl_model *model, struct sl_model_info *info)
{
	const struct blk *b = blk_of(model);

	*info = (struct sl_model_info){
		.device_id = 2,
		.features = features_of(b),
		.queues = b->queues,
		.queue_size = b->queue_size,
		.pieces = SEGMENTS + 2,
		.config_len = CONFIG_LEN,
		.request_data = sizeof(struct blk_io),
	};
}

static void blk_get_config(const struct sl_model *model, void *config)
{
	const struct blk *b = blk_of(model);
	uint32_t physical = sl_max(b->file.physical / b->block, 1u);
	struct virtio_blk_config c = {
		.capacity = b->size / SECTOR,
		/* Without indirect descriptors header and status need their place too. */
		.seg_max = sl_min(SEGMENTS, b->queue_size - 2u),
		.blk_size = b->block,
		.physical_block_exp = (uint8_t)__builtin_ctz(physical),
		.min_io_size = (uint16_t)physical,
		.num_queues = b->queues,
		.max_discard_sectors = BLK_RANGE_MAX,
		.max_discard_seg = 1,
		.discard_sector_alignment = b->block / SECTOR,
		.max_write_zeroes_sectors = BLK_RANGE_MAX,
		.max_write_zeroes_seg = 1,
		.write_zeroes_may_unmap = 1,
	};

	memcpy(config, &c, CONFIG_LEN);
}

/* A driver that does not know of flushes expects none to be needed (5.2.6.2). */
static int blk_start(struct sl_model *model, uint64_t features)
{
	struct blk *b = blk_of(model);

	b->dsync = !(features & VIRTIO_BIT(VIRTIO_BLK_F_FLUSH));
	return 0;
}

/*
 * What was left behind.
 */

static const char *holder_of(const struct blk *b, char *text, size_t size)
{
	long pid = sl_blk_file_holder(&b->file);

	if (pid > 0)
		snprintf(text, size, "process %ld", pid);
	else
		snprintf(text, size, "a process");
	return text;
}

static int blk_fence(struct sl_model *model, uint64_t now_ns)
{
	struct blk *b = blk_of(model);
	int ret = b->file.name ? sl_blk_file_lock(&b->file) : 0;
	char holder[32];

	if (ret != -EAGAIN) {
		b->fence_end_ns = 0;
		return ret;
	}
	if (!b->fence_end_ns) {
		b->fence_end_ns = now_ns + b->fence_ns;
		b->fence_say_ns = now_ns + FENCE_SAY_NS;
	}
	if (now_ns >= b->fence_end_ns)
		return sl_fail(EBUSY,
			       "%s is in use by %s: it serves it, or was killed and its last "
			       "writes have not landed",
			       b->file.name, holder_of(b, holder, sizeof(holder)));
	if (now_ns >= b->fence_say_ns) {
		sl_log(b->log, SL_LOG_WARN, "%s: waiting for %s to let go of it, %llu s more",
		       b->file.name, holder_of(b, holder, sizeof(holder)),
		       (unsigned long long)((b->fence_end_ns - now_ns) / SL_NS_PER_S));
		b->fence_say_ns = now_ns + FENCE_SAY_NS;
	}
	return -EAGAIN;
}

/*
 * Changes of size.
 */

static void look_again(struct blk *b)
{
	int64_t size = sl_blk_file_size(&b->file);
	uint64_t was = b->size;

	if (size < 0 || (uint64_t)size == was)
		return;
	if (b->store->resize(b, (uint64_t)size)) {
		sl_log(b->log, SL_LOG_ERROR, "%s", sl_reason());
		return;
	}
	sl_log(b->log, SL_LOG_INFO, "%s: %llu bytes, were %llu", b->file.name,
	       (unsigned long long)size, (unsigned long long)was);
	sl_count_add(&b->stats.resized, 1);
	if (b->model.offer)
		sl_offer_changed(b->model.offer);
}

static int blk_reap(struct sl_model *model)
{
	struct blk *b = blk_of(model);
	int n = b->store->reap ? b->store->reap(b) : 0;

	if (!n && b->clock >= 0 && sl_now_ns() >= b->look_ns) {
		set_clock(b);
		look_again(b);
	}
	return n;
}

/*
 * The rest of the operations.
 */

static void blk_submit(struct sl_model *model)
{
	struct blk *b = blk_of(model);

	if (b->store->submit)
		b->store->submit(b);
}

static int blk_fd(const struct sl_model *model)
{
	return blk_of(model)->wait;
}

static bool blk_arm(struct sl_model *model)
{
	struct blk *b = blk_of(model);

	return b->store->arm && b->store->arm(b);
}

static void blk_region_add(struct sl_model *model, const struct sl_region *region)
{
	sl_blk_uring_add(blk_of(model), region);
}

static void blk_region_del(struct sl_model *model, const struct sl_region *region)
{
	sl_blk_uring_del(blk_of(model), region);
}

static void blk_stats(const struct sl_model *model,
		      void (*emit)(void *ctx, const char *name, uint64_t value), void *ctx)
{
	const struct blk_stats *s = &blk_of(model)->stats;
	const struct {
		const char *name;
		const uint64_t *value;
	} all[] = {
		{"reads", &s->done[BLK_READ]},
		{"read-bytes", &s->read_bytes},
		{"writes", &s->done[BLK_WRITE]},
		{"write-bytes", &s->write_bytes},
		{"flushes", &s->done[BLK_FLUSH]},
		{"discards", &s->done[BLK_DISCARD]},
		{"zeroes", &s->done[BLK_ZERO]},
		{"ids", &s->ids},
		{"io-errors", &s->io_error},
		{"no-space", &s->no_space},
		{"memory-gone", &s->no_memory},
		{"read-only", &s->read_only},
		{"out-of-range", &s->out_of_range},
		{"malformed", &s->malformed},
		{"no-status", &s->no_status},
		{"unsupported", &s->unsupported},
		{"short", &s->shorted},
		{"retried", &s->retried},
		{"bounced", &s->bounced},
		{"pinned", &s->fixed},
		{"mapped", &s->mapped},
		{"syscalls", &s->syscalls},
		{"resized", &s->resized},
	};

	for (size_t i = 0; i < sl_array_len(all); i++)
		emit(ctx, all[i].name, sl_count_read(all[i].value));
}

static const struct sl_param blk_params[] = {
	{"file", SL_PARAM_FILE, 0, 1, 4095, "PATH", "a raw image or a block device"},
	{"fd", SL_PARAM_UINT, 0, 0, INT32_MAX, "N",
	 "the same, open already; each process needs a description of its own"},
	{"mem", SL_PARAM_SIZE, 0, SECTOR, UINT64_C(1) << 46, "SIZE", "memory, gone when it ends"},
	{"null", SL_PARAM_FLAG, 0, 0, 0, "", "nothing: 1 GiB that is neither read nor written"},
	{"ro", SL_PARAM_BOOL, 0, 0, 0, "on|off", "read-only; default off"},
	{"queues", SL_PARAM_UINT, 0, 1, 64, "N", "virtqueues; default 1"},
	{"queue-size", SL_PARAM_UINT, 0, 4, 1024, "N", "entries of each; default 256"},
	{"serial", SL_PARAM_STRING, 0, 1, 20, "TEXT", "what it says when asked for its id"},
	{"block-size", SL_PARAM_UINT, 0, SECTOR, BLOCK_MAX, "N",
	 "bytes of a logical block; default the file's, 512"},
	{"cache", SL_PARAM_WORD, 0, 0, 0, "writeback|writethrough|direct",
	 "default writeback for files, direct for block devices"},
	{"fence", SL_PARAM_UINT, 0, 0, 3600, "SECONDS",
	 "wait so long for what a killed process left in flight; default 30"},
	{"pin", SL_PARAM_BOOL, 0, 0, 0, "on|off",
	 "keep the driver's memory in RAM, registered with the kernel; default off"},
	{"sqpoll", SL_PARAM_BOOL, 0, 0, 0, "on|off",
	 "a thread of the kernel's looks for requests, on a core of its own; default off"},
	{NULL},
};

const struct sl_model_ops sl_model_blk = {
	.size = sizeof(struct sl_model_ops),
	.kind = "blk",
	.help = "a disk: a file, a block device or memory",
	.params = blk_params,
	.open = blk_open,
	.info = blk_info,
	.get_config = blk_get_config,
	.fence = blk_fence,
	.start = blk_start,
	.region_add = blk_region_add,
	.region_del = blk_region_del,
	.request = sl_blk_request,
	.submit = blk_submit,
	.fd = blk_fd,
	.reap = blk_reap,
	.arm = blk_arm,
	.stats = blk_stats,
	.close = blk_close,
};
