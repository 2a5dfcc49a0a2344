/* SPDX-License-Identifier: BSD-2-Clause */
/* The disk that sluice io drives: reaching it, its queues and memory, reaching it again. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include <linux/virtio_ids.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/reason.h"
#include "cli/io.h"

#define REACH_NS  (10 * SL_NS_PER_S)
#define ANSWER_NS (20 * SL_NS_PER_S) /* who stops a ring finishes its requests first */
#define RETRY_MS  10
#define PAGE	  4096
#define BOUNCE	  (64u << 20) /* bytes of a pool: more if a request has more */

static uint64_t ring_features(const struct io_options *o)
{
	return (o->packed ? VIRTIO_BIT(VIRTIO_F_RING_PACKED) : 0) |
	       (o->indirect ? VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) : 0) |
	       (o->in_order ? VIRTIO_BIT(VIRTIO_F_IN_ORDER) : 0);
}

static size_t whole_pages(size_t len)
{
	return (len + PAGE - 1) & ~(size_t)(PAGE - 1);
}

/* A queue and its data begin on pages of their own. */
static size_t queue_memory(const struct io_options *o)
{
	return whole_pages(sl_virtio_blk_memory(ring_features(o), o->queue_size, o->depth));
}

/* All of it in the front end's memory. */
static int place_vhost_user(struct io_disk *disk, uint16_t n, struct virtio_blk_setup *setup)
{
	size_t at = n * disk->stride, data = at + queue_memory(disk->o);
	uint8_t *base = sl_vhost_front_memory(disk->front)->base;

	setup->memory = base + at;
	setup->iova = sl_vhost_front_iova(disk->front, at);
	disk->queues[n].data = base + data;
	disk->queues[n].data_iova = sl_vhost_front_iova(disk->front, data);
	return 0;
}

/* Data are bounced. Of a split queue the device writes little, of a packed one all. */
static int place_uduse(struct io_disk *disk, uint16_t n, struct virtio_blk_setup *setup)
{
	const struct io_options *o = disk->o;
	int ret = sl_uduse_alloc(disk->uduse, queue_memory(o), o->packed, &setup->memory,
				 &setup->iova);

	if (!ret && !o->packed)
		ret = sl_uduse_alloc(disk->uduse, sl_virtio_blk_writable(o->queue_size, o->depth),
				     true, &setup->writable, &setup->writable_iova);
	disk->queues[n].data = calloc(o->depth, o->block);
	if (!ret && !disk->queues[n].data)
		ret = sl_fail(ENOMEM, "no memory for data");
	return ret;
}

static int open_queue(struct io_disk *disk, uint16_t n)
{
	const struct io_options *o = disk->o;
	struct io_queue *q = &disk->queues[n];
	struct virtio_blk_setup setup = {
		.v = disk->v,
		.queue = n,
		.size = o->queue_size,
		.depth = o->depth,
	};
	int ret = disk->uduse ? place_uduse(disk, n, &setup) : place_vhost_user(disk, n, &setup);

	if (ret)
		return ret;
	q->requests = calloc(o->depth, sizeof(*q->requests));
	q->free = calloc(o->depth, sizeof(*q->free));
	if (!q->requests || !q->free)
		return sl_fail(ENOMEM, "no memory for a queue");
	for (q->n_free = 0; q->n_free < o->depth; q->n_free++)
		q->free[q->n_free] = (uint16_t)(o->depth - 1 - q->n_free);
	return sl_virtio_blk_open(&q->blk, &setup);
}

static int want_ring(const struct io_disk *disk)
{
	uint64_t wanted = ring_features(disk->o), missing = wanted & ~disk->v->features;

	if (missing & VIRTIO_BIT(VIRTIO_F_RING_PACKED))
		return sl_fail(EOPNOTSUPP, "the device does not offer VIRTIO_F_RING_PACKED");
	if (missing & VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC))
		return sl_fail(EOPNOTSUPP, "the device does not offer VIRTIO_F_INDIRECT_DESC");
	if (missing)
		return sl_fail(EOPNOTSUPP, "the device does not offer VIRTIO_F_IN_ORDER");
	return 0;
}

/* The first time: what is it like? */
static int get_to_know(struct io_disk *disk)
{
	int ret = sl_virtio_blk_start(disk->v, ring_features(disk->o));

	if (!ret)
		ret = want_ring(disk);
	if (!ret)
		ret = sl_virtio_blk_state(disk->v, &disk->state);
	if (!ret && disk->state.queues < disk->o->queues)
		ret = sl_fail(EOPNOTSUPP, "the device has %u queues: %u are wanted",
			      disk->state.queues, disk->o->queues);
	for (uint16_t q = 0; q < disk->o->queues && !ret; q++)
		ret = open_queue(disk, q);
	disk->features = disk->v->features;
	disk->known = !ret;
	return ret;
}

/* Later: is it like the one before? */
static int know_again(struct io_disk *disk)
{
	int ret = sl_virtio_start(disk->v, disk->features, NULL);

	if (!ret && disk->v->features != disk->features)
		return sl_fail(
			EOPNOTSUPP,
			"the back end that should take over offers features 0x%llx of 0x%llx",
			(unsigned long long)disk->v->features, (unsigned long long)disk->features);
	return ret;
}

static bool is_driven(const struct io_disk *disk)
{
	return disk->v->ops->get_status(disk->v) & VIRTIO_CONFIG_S_DRIVER_OK;
}

static int attach(struct io_disk *disk)
{
	int ret = disk->uduse ? sl_uduse_step(disk->uduse) : sl_vhost_front_connect(disk->front);

	/* The daemon that takes over finds the device as it was. */
	if (ret || (disk->uduse && disk->known && is_driven(disk)))
		return ret;
	ret = disk->known ? know_again(disk) : get_to_know(disk);
	for (uint16_t q = 0; q < disk->o->queues && !ret; q++)
		ret = sl_virtio_blk_enable(&disk->queues[q].blk);
	return ret ? ret : sl_virtio_driver_ok(disk->v);
}

/* Worth another try: nobody there yet, or not for long. */
static bool may_come(int err)
{
	return err == -EAGAIN || err == -ECONNRESET || err == -ENODEV || err == -EPIPE ||
	       err == -ETIMEDOUT;
}

int io_disk_attach(struct io_disk *disk, uint64_t until_ns, int stop)
{
	struct pollfd fd = {.fd = stop, .events = POLLIN};
	int ret;

	while (may_come(ret = attach(disk)) && sl_now_ns() < until_ns)
		if (poll(&fd, 1, RETRY_MS) > 0)
			return sl_fail(EINTR, "stopped before there was a back end");
	if (ret == -EAGAIN && !disk->uduse)
		sl_fail(EAGAIN, "%s: nobody %s", disk->o->path,
			disk->o->listen ? "has connected" : "listens there");
	return ret;
}

int io_disk_step(struct io_disk *disk)
{
	return disk->uduse ? sl_uduse_step(disk->uduse) : sl_vhost_front_step(disk->front);
}

int io_disk_fd(const struct io_disk *disk)
{
	return disk->uduse ? sl_uduse_fd(disk->uduse) : sl_vhost_front_fd(disk->front);
}

static int open_vhost_user(struct io_disk *disk)
{
	const struct io_options *o = disk->o;
	struct vhost_front_config config = {
		.path = o->fd < 0 ? o->path : NULL,
		.fd = o->fd,
		.listen = o->listen,
		.memory = disk->stride * o->queues,
		.queues = o->queues,
		.size = o->queue_size,
		.wait_ns = ANSWER_NS,
	};
	int ret = sl_vhost_front_open(&config, &disk->front);

	if (!ret)
		disk->v = sl_vhost_front_virtio(disk->front);
	return ret;
}

/* Twice what is in flight: then pieces of all lengths find room. With less, some wait. */
static int open_uduse(struct io_disk *disk)
{
	const struct io_options *o = disk->o;
	size_t least = 4 * (size_t)o->block, all = 2 * (size_t)o->block * o->depth * o->queues;
	struct uduse_config config = {
		.path = o->path,
		.device_id = VIRTIO_ID_BLOCK,
		.queues = o->queues,
		.bounce = sl_min(all, sl_max(BOUNCE, least)),
		.wait_ns = ANSWER_NS,
	};
	int ret;

	config.bounce = sl_max(config.bounce, least);
	ret = sl_uduse_open(&config, &disk->uduse);
	if (!ret)
		disk->v = sl_uduse_virtio(disk->uduse);
	return ret;
}

int io_disk_open(struct io_disk *disk, const struct io_options *o, int stop)
{
	uint64_t wait = o->listen || o->uduse ? REACH_NS : (uint64_t)(o->reconnect * SL_NS_PER_S);
	int ret;

	*disk = (struct io_disk){.o = o};
	disk->stride = queue_memory(o) + whole_pages((size_t)o->depth * o->block);
	disk->queues = calloc(o->queues, sizeof(*disk->queues));
	if (!disk->queues)
		return sl_fail(ENOMEM, "no memory for queues");
	ret = o->uduse ? open_uduse(disk) : open_vhost_user(disk);
	if (ret)
		return ret;
	return io_disk_attach(disk, sl_now_ns() + wait, stop);
}

/* A device that still has requests would be waited for: it finds the socket closed. */
static bool is_idle(const struct io_disk *disk)
{
	for (unsigned q = 0; q < disk->o->queues; q++)
		if (disk->queues[q].n_free < disk->o->depth)
			return false;
	return true;
}

void io_disk_close(struct io_disk *disk)
{
	if (disk->v && disk->known && is_idle(disk))
		disk->v->ops->set_status(disk->v, 0);
	for (uint16_t q = 0; disk->queues && q < disk->o->queues; q++) {
		sl_virtio_blk_close(&disk->queues[q].blk);
		free(disk->queues[q].requests);
		free(disk->queues[q].free);
		if (disk->uduse)
			free(disk->queues[q].data);
	}
	free(disk->queues);
	sl_vhost_front_close(disk->front);
	sl_uduse_close(disk->uduse);
}

/*
 * What is wanted of it.
 */

static const uint32_t types[] = {
	[IO_READ] = VIRTIO_BLK_T_IN,
	[IO_WRITE] = VIRTIO_BLK_T_OUT,
	[IO_RANDREAD] = VIRTIO_BLK_T_IN,
	[IO_RANDWRITE] = VIRTIO_BLK_T_OUT,
	[IO_FLUSH] = VIRTIO_BLK_T_FLUSH,
	[IO_DISCARD] = VIRTIO_BLK_T_DISCARD,
	[IO_WRITE_ZEROES] = VIRTIO_BLK_T_WRITE_ZEROES,
};

static int check_type(const struct virtio_blk_state *s, uint32_t type, uint32_t sectors)
{
	if (s->read_only && type != VIRTIO_BLK_T_IN)
		return sl_fail(EINVAL, "the device is read only");
	if (type == VIRTIO_BLK_T_FLUSH && !s->flush)
		return sl_fail(EINVAL, "the device does not offer VIRTIO_BLK_F_FLUSH");
	if (type == VIRTIO_BLK_T_DISCARD && s->discard < sectors)
		return sl_fail(EINVAL, "the device discards %u sectors at once: --bs has %u",
			       s->discard, sectors);
	if (type == VIRTIO_BLK_T_WRITE_ZEROES && s->write_zeroes < sectors)
		return sl_fail(EINVAL,
			       "the device writes %u sectors of zeroes at once: --bs has %u",
			       s->write_zeroes, sectors);
	return 0;
}

static int check_range(const struct io_options *o, const struct virtio_blk_state *s,
		       uint64_t *blocks)
{
	uint64_t len = s->capacity * VIRTIO_BLK_SECTOR;

	if (o->block % s->block_size || o->offset % s->block_size)
		return sl_fail(EINVAL, "--bs and --offset have to be multiples of %u bytes",
			       s->block_size);
	if (o->offset > len || o->size > len - o->offset)
		return sl_fail(EINVAL, "the device ends at %llu, before --offset and --size",
			       (unsigned long long)len);
	*blocks = (o->size ? o->size : len - o->offset) / o->block;
	return *blocks ? 0
		       : sl_fail(EINVAL, "there is no block of --bs between --offset and --size");
}

int io_plan_make(struct io_plan *plan, const struct io_disk *disk)
{
	const struct virtio_blk_state *s = &disk->state;
	const struct io_options *o = disk->o;
	uint32_t piece = sl_min(s->piece_max, o->block);
	bool data;
	uint64_t pieces;
	int ret;

	plan->type = types[o->op];
	data = plan->type == VIRTIO_BLK_T_IN || plan->type == VIRTIO_BLK_T_OUT;
	pieces = data ? ((uint64_t)o->block + piece - 1) / piece : 1; /* or the range of zeroes */
	plan->entries = (unsigned)pieces + 2;
	if (o->indirect && plan->entries <= o->queue_size)
		plan->entries = 1;
	ret = check_type(s, plan->type, o->block / VIRTIO_BLK_SECTOR);
	if (!ret)
		ret = check_range(o, s, &plan->blocks);
	if (ret)
		return ret;
	if (pieces > s->pieces_max)
		return sl_fail(EINVAL,
			       "the device takes %u pieces of %u bytes at once: not --bs %u",
			       s->pieces_max, piece, o->block);
	if (plan->entries > o->queue_size)
		return sl_fail(EINVAL, "a request of %u entries does not fit in a queue of %u",
			       plan->entries, o->queue_size);
	return 0;
}
