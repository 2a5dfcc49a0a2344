/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver behind the front end of vhost_user_rig.h: rings of 16 entries at 16 KiB each, buffers of
 * 16 bytes that the device writes, in descriptors that have the entry's number.
 */
#ifndef SL_TESTS_VHOST_USER_DRIVER_H
#define SL_TESTS_VHOST_USER_DRIVER_H

#include "vhost_user_rig.h"

static inline bool ask_region(uint32_t request, uint64_t guest, uint64_t len, uint64_t user,
			      uint64_t offset)
{
	struct vhost_user_msg msg = message(request, 40);

	msg.payload.mem_reg.region = (struct vhost_user_memory_region){guest, len, user, offset};
	msg.n_fds = request == VHOST_USER_ADD_MEM_REG;
	msg.fds[0] = front.memory;
	return ask(&msg);
}

/* All of its memory at @user. */
static inline bool ask_mem_table(uint64_t user)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_MEM_TABLE, 8 + 32);

	msg.payload.memory.nregions = msg.n_fds = 1;
	msg.payload.memory.regions[0] =
		(struct vhost_user_memory_region){GUEST_AT, GUEST_LEN, user, 0};
	msg.fds[0] = front.memory;
	return ask(&msg);
}

static inline bool ask_addr(unsigned q, uint64_t desc, uint64_t avail, uint64_t used)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_VRING_ADDR, 40);

	msg.payload.addr = (struct vhost_user_vring_addr){.index = q,
							  .desc_user_addr = desc,
							  .avail_user_addr = avail,
							  .used_user_addr = used};
	return ask(&msg);
}

#define RING	     16u
#define DESC_AT(q)   (0x4000u * (q))
#define AVAIL_AT(q)  (DESC_AT(q) + 0x1000)
#define USED_AT(q)   (DESC_AT(q) + 0x2000)
#define BUFFER_AT(n) (0x10000u + 16 * (n))

static inline struct virtq_desc *desc_of(unsigned q)
{
	return (void *)(front.guest + DESC_AT(q));
}

static inline struct virtq_avail *avail_of(unsigned q)
{
	return (void *)(front.guest + AVAIL_AT(q));
}

static inline struct virtq_used *used_of(unsigned q)
{
	return (void *)(front.guest + USED_AT(q));
}

static inline void make_available(unsigned q, unsigned n)
{
	while (n--) {
		uint16_t at = rig.avail[q]++ & (RING - 1);

		desc_of(q)[at] = (struct virtq_desc){
			.addr = GUEST_AT + BUFFER_AT(at), .len = 16, .flags = VIRTQ_DESC_F_WRITE};
		avail_of(q)->ring[at] = at;
		avail_of(q)->idx = rig.avail[q];
	}
	sl_event_signal(rig.kick[q]);
	steps();
}

static inline uint16_t used(unsigned q)
{
	return used_of(q)->idx;
}

/* How often it was signalled since the last time. */
static inline uint64_t signals(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static inline void describe_ring(unsigned q)
{
	assert_true(ask_state(VHOST_USER_SET_VRING_NUM, q, RING));
	assert_true(ask_state(VHOST_USER_SET_VRING_BASE, q, rig.avail[q]));
	assert_true(ask_addr(q, GUEST_USER + DESC_AT(q), GUEST_USER + AVAIL_AT(q),
			     GUEST_USER + USED_AT(q)));
	assert_true(ask_fd(VHOST_USER_SET_VRING_CALL, q, rig.call[q]));
	assert_true(ask_fd(VHOST_USER_SET_VRING_ERR, q, rig.err[q]));
}

static inline bool runs(unsigned q)
{
	struct sl_offer_queue_stats stats;

	assert_int_equal(sl_offer_get_stats(rig.offer, (uint16_t)q, &stats), 0);
	return stats.running;
}

static inline void start_ring(unsigned q)
{
	describe_ring(q);
	assert_true(ask_fd(VHOST_USER_SET_VRING_KICK, q, rig.kick[q]));
	assert_true(runs(q));
	assert_true(ask_state(VHOST_USER_SET_VRING_ENABLE, q, 1));
	signals(rig.call[q]);
}

/* As QEMU does it. */
static inline void start_device(uint64_t features)
{
	negotiate(features);
	assert_true(ask_mem_table(GUEST_USER));
	for (unsigned q = 0; q < RIG_QUEUES; q++)
		start_ring(q);
}

#endif
