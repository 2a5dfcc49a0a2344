/* SPDX-License-Identifier: BSD-2-Clause */
/* A port of the driver of the 82574, on the device of fake_e1000e.h, and its two rings. */
#ifndef SL_TESTS_NIC_RIG_H
#define SL_TESTS_NIC_RIG_H

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sluice/arena.h>
#include <sluice/link.h>
#include <sluice/reason.h>

#include "fake_e1000e.h"

#define RING  256u
#define FRAME 64u

struct rig {
	struct fake_e1000e f;
	struct sl_port *port;
	struct sl_ring *rx, *tx;
	struct sl_arena *arena; /* what is sent lies there; region 7 */
	uint8_t *memory;
};

static inline struct rig *rig_new(void)
{
	const struct sl_ring_config config = {RING, 1024, -1, -1};
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	fake_e1000e_init(&r->f);
	assert_int_equal(sl_ring_create(&config, &r->rx), 0);
	assert_int_equal(sl_ring_create(&config, &r->tx), 0);
	assert_int_equal(sl_arena_create(1 << 20, 7, &r->arena), 0);
	r->memory = sl_arena_region(r->arena)->base;
	return r;
}

static inline int rig_try(struct rig *r, unsigned queues)
{
	const struct nic_options options = {.queues = queues};

	return sl_nic_e1000e.open(&r->f.dev, &options, NULL, &r->port);
}

static inline void rig_open(struct rig *r, unsigned queues)
{
	if (rig_try(r, queues))
		fail_msg("it does not open: %s", sl_reason());
	assert_int_equal(r->port->ops->region_add(r->port, sl_arena_region(r->arena)), 0);
}

static inline struct rig *rig(void)
{
	struct rig *r = rig_new();

	rig_open(r, 1);
	return r;
}

static inline void rig_free(struct rig *r)
{
	sl_ring_release(r->rx);
	sl_ring_release(r->tx);
	if (r->port) {
		r->port->ops->region_del(r->port, sl_arena_region(r->arena));
		r->port->ops->close(r->port);
	}
	assert_int_equal(r->f.closed, 1);
	sl_arena_release(r->arena);
	free(r);
}

static inline struct sl_counters stats(const struct rig *r)
{
	struct sl_counters c = {0};

	r->port->ops->stats(r->port, 0, &c);
	return c;
}

static inline int rx(struct rig *r)
{
	return r->port->ops->rx(r->port, 0, r->rx);
}

static inline int tx(struct rig *r)
{
	return r->port->ops->tx(r->port, 0, r->tx);
}

/* Consume all that was received, as a port would that copies. Returns how many there were. */
static inline uint32_t consume(struct rig *r)
{
	uint32_t at, n = sl_ring_ready(r->rx, &at);

	sl_ring_consume(r->rx, n);
	return n;
}

static inline void make_frame(uint8_t *frame, uint32_t len, uint32_t n)
{
	for (uint32_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(n + i * 7);
}

static inline void receive(struct rig *r, uint32_t len, uint32_t n, uint32_t status)
{
	uint8_t frame[FAKE_FRAME];

	make_frame(frame, len, n);
	assert_true(fake_receive(&r->f, 0, frame, len, status));
}

static inline struct sl_packet *entry(struct rig *r, uint8_t *addr, uint32_t len)
{
	uint32_t at, n = sl_ring_returned(r->tx, &at);
	struct sl_packet *packet;

	sl_ring_reclaim(r->tx, n);
	assert_true(sl_ring_room(r->tx, &at));
	packet = sl_ring_packet(r->tx, at);
	*packet = (struct sl_packet){.frag = {addr, len, 7, 0}};
	return packet;
}

static inline void give(struct rig *r, uint8_t *addr, uint32_t len)
{
	entry(r, addr, len);
	sl_ring_post(r->tx, 1);
}

static inline bool readable(int fd)
{
	return poll(&(struct pollfd){fd, POLLIN, 0}, 1, 0) == 1;
}

#endif
