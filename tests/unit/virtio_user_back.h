/* SPDX-License-Identifier: BSD-2-Clause */
/* The port virtio-user with a back end over vhost-user: a thread answers messages. */
#ifndef SL_TESTS_VIRTIO_USER_BACK_H
#define SL_TESTS_VIRTIO_USER_BACK_H

#include "fake_back.h"
#include "virtio_user_rig.h"

#define ALL (UINT64_MAX & ~BACK_BIT(VIRTIO_F_RING_PACKED))

static struct back back;

static const struct virtio_net_config config = {{2, 0, 0, 0, 0, 9}, VIRTIO_NET_S_LINK_UP, 1, 1500};

static inline void new_back(uint64_t features)
{
	int listener = back.listener;

	back = back_new();
	back.listener = listener;
	back.many = true;
	back.features = features;
	memcpy(&back.config, &config, sizeof(config));
}

static inline int fresh(void **state)
{
	(void)state;
	rig_open();
	back.listener = -1;
	new_back(ALL);
	return 0;
}

static inline int done(void **state)
{
	(void)state;
	sl_fd_close(&back.listener);
	rig_close();
	return 0;
}

/* Until it is attached, or that has failed once. */
static inline bool control(void)
{
	uint64_t wait = port->ops->deadline(port), now = sl_now_ns();

	assert_true(wait != SL_NEVER);
	if (wait > now)
		usleep((useconds_t)((wait - now) / SL_NS_PER_US) + 1);
	do {
		if (port->ops->control(port, sl_now_ns()) > 0)
			return attached();
		assert_false(attached());
	} while (poll(&(struct pollfd){port->ops->control_fd(port), POLLIN, 0}, 1, 5) == 1);
	return false;
}

static inline uint8_t *at_iova(uint64_t iova, uint64_t len, bool write)
{
	(void)write;
	assert_true(iova >= back.region.guest_phys_addr);
	assert_true(iova + len <= back.region.guest_phys_addr + back.region.memory_size);
	return back.memory + (iova - back.region.guest_phys_addr);
}

static inline struct oracle device_of(unsigned queue)
{
	const struct vhost_user_vring_addr *addr = &back.rings[queue].addr;
	uint64_t base = back.region.userspace_addr;
	uint8_t *desc = back.memory + (addr->desc_user_addr - base);
	struct virtq_options o = {
		.size = QUEUE,
		.packed = back.got_features & BACK_BIT(VIRTIO_F_RING_PACKED),
		.event_idx = back.got_features & BACK_BIT(VIRTIO_F_EVENT_IDX),
	};
	struct virtq_layout layout = sl_virtq_layout(QUEUE, o.packed);
	struct oracle device = oracle_at(&o, desc, 0);

	assert_int_equal(back.rings[queue].size, QUEUE);
	assert_true(back.rings[queue].enabled);
	assert_int_equal(back.rings[queue].base, o.packed ? 0x80008000u : 0);
	assert_int_equal(addr->avail_user_addr - addr->desc_user_addr, layout.avail);
	assert_int_equal(addr->used_user_addr - addr->desc_user_addr, layout.used);
	return device;
}

static inline void connect_back(void)
{
	if (back.listener < 0)
		assert_int_equal(sl_unix_listen(path, SOCK_STREAM, &back.listener), 0);
	back_start(&back);
}

static inline void bring_up(const char *more)
{
	connect_back();
	if (!port)
		open_port(more);
	for (unsigned i = 0; !control(); i++)
		if (i == 50)
			fail_msg("%s", sl_reason());
	rx = device_of(0);
	tx = device_of(1);
}

static inline void carry(void)
{
	carry_so(false);
}

#define test_fresh(test) cmocka_unit_test_setup_teardown(test, fresh, done)

#endif
