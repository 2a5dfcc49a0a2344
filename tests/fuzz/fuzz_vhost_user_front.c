/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes are all that a back end of vhost-user ever says, before the end of its stream. Whatever
 * they are, the front end comes to an end, and what it believes of a disk can be.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"

#include "virtio/blk.h"
#include "virtio/vhost_user.h"

#define ENTRIES 8
#define MEMORY	8192
#define SAID	16384 /* a socket's buffer has room for it */

static void check(const struct virtio_blk_state *s)
{
	must(s->capacity <= UINT64_MAX / VIRTIO_BLK_SECTOR);
	must(s->block_size >= VIRTIO_BLK_SECTOR && !(s->block_size & (s->block_size - 1)));
	must(s->physical >= s->block_size && s->queues);
	must(s->piece_max && s->pieces_max && s->pieces_max <= VIRTIO_BLK_PIECES_MAX);
}

static void drive(struct vhost_front *front)
{
	struct virtio_blk_setup setup = {
		.v = sl_vhost_front_virtio(front), .size = ENTRIES, .depth = 1};
	struct virtio_blk_state state;
	struct virtio_blk_queue q;

	if (sl_vhost_front_connect(front) || sl_virtio_blk_start(setup.v, 0) ||
	    sl_virtio_blk_state(setup.v, &state))
		return;
	check(&state);
	setup.memory = sl_vhost_front_memory(front)->base;
	setup.iova = sl_vhost_front_iova(front, 0);
	must(sl_virtio_blk_memory(setup.v->features, ENTRIES, 1) <= MEMORY);
	must(!sl_virtio_blk_open(&q, &setup));
	if (!sl_virtio_blk_enable(&q) && !sl_virtio_driver_ok(setup.v))
		while (!sl_vhost_front_step(front))
			;
	sl_virtio_reset(setup.v);
	sl_virtio_blk_close(&q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vhost_front_config config = {
		.memory = MEMORY, .queues = 1, .size = ENTRIES, .wait_ns = 1000000000};
	struct vhost_front *front;
	int pair[2];

	if (size > SAID)
		return 0;
	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
	must(send(pair[1], data, size, 0) == (ssize_t)size);
	shutdown(pair[1], SHUT_WR);
	config.fd = pair[0];
	must(!sl_vhost_front_open(&config, &front));
	drive(front);
	sl_vhost_front_close(front);
	close(pair[1]);
	return 0;
}
