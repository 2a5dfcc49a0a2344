/* SPDX-License-Identifier: BSD-2-Clause */
/* The port virtio-user, and the device's side of its first pair of queues, which the test itself is
 * with the oracle, that does both kinds of virtqueues. */
#ifndef SL_TESTS_VIRTIO_USER_RIG_H
#define SL_TESTS_VIRTIO_USER_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <sluice/port.h>
#include <sluice/reason.h>

#include "base/clock.h"
#include "base/fd.h"
#include "descriptors.h"
#include "virtio/net.h"
#include "virtq_oracle.h"
#include "wire/unix_socket.h"

#define QUEUE 256u
#define HDR   VIRTIO_NET_HDR_LEN

static struct sl_port *port;
static struct sl_ring *rx_ring, *tx_ring;
static struct oracle rx, tx;
static char path[64];
static uint8_t lent[70000];
static unsigned open_before;

/* The device's view of memory, where it may do that. */
static uint8_t *at_iova(uint64_t iova, uint64_t len, bool write);

static inline void rig_open(void)
{
	struct sl_ring_config ring = {256, 4096, -1, -1};

	port = NULL;
	open_before = descriptors();
	snprintf(path, sizeof(path), "/tmp/sl-virtio-user-%d.sock", getpid());
	assert_int_equal(sl_ring_create(&ring, &rx_ring), 0);
	assert_int_equal(sl_ring_create(&ring, &tx_ring), 0);
}

static inline void rig_close(void)
{
	if (port)
		port->ops->close(port);
	sl_ring_release(rx_ring);
	sl_ring_release(tx_ring);
	unlink(path);
	assert_int_equal(descriptors(), open_before);
}

static inline void assert_reason(const char *part)
{
	if (!strstr(sl_reason(), part))
		fail_msg("not \"%s\" but \"%s\"", part, sl_reason());
}

static inline void open_port(const char *more)
{
	char spec[128];

	snprintf(spec, sizeof(spec), "virtio-user:path=%s%s", path, more);
	if (sl_port_open(spec, NULL, &port))
		fail_msg("%s", sl_reason());
}

static inline bool attached(void)
{
	struct sl_port_info info;

	port->ops->info(port, &info);
	return info.attached;
}

/*
 * Packets.
 */

static inline void give_to(struct oracle *device, uint32_t len, uint8_t seed,
			   struct virtio_net_hdr_v1 hdr)
{
	struct oracle_chain c;
	uint8_t *to;

	assert_true(oracle_take(device, &c));
	assert_int_equal(c.n, 1);
	assert_true(c.elems[0].write && len + HDR <= c.elems[0].len);
	to = at_iova(c.elems[0].addr, c.elems[0].len, true);
	memcpy(to, &hdr, HDR);
	memset(to + HDR, seed, c.elems[0].len - HDR);
	oracle_put(device, c.id, c.descs, HDR + len);
}

static inline void give(uint32_t len, uint8_t seed)
{
	give_to(&rx, len, seed, (struct virtio_net_hdr_v1){.num_buffers = 1});
}

static inline int receive(unsigned q)
{
	return port->ops->rx(port, q, rx_ring);
}

/* Nobody may take a packet for his own that the device may write to still: else it is a copy. */
static inline void assert_received(uint32_t len, uint8_t seed, bool copied)
{
	const struct sl_packet *packet;
	uint32_t at;

	assert_true(sl_ring_ready(rx_ring, &at) > 0);
	packet = sl_ring_packet(rx_ring, at);
	assert_int_equal(packet->frag.len, len);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(packet->frag.addr[i], seed);
	assert_int_equal(!!(packet->flags & SL_PACKET_WRITABLE), copied);
	sl_ring_consume(rx_ring, 1);
}

static inline void post(uint32_t len, uint8_t seed, uint8_t flags)
{
	uint32_t at, back_n = sl_ring_returned(tx_ring, &at);

	sl_ring_reclaim(tx_ring, back_n);
	assert_true(sl_ring_room(tx_ring, &at) > 0);
	memset(lent, seed, len);
	*sl_ring_packet(tx_ring, at) =
		(struct sl_packet){.frag = {lent, len, 0, 0}, .flags = flags, .headroom = 64};
	if (flags & SL_PACKET_OFFLOAD)
		*sl_ring_offload(tx_ring, at) = (struct sl_offload){.flags = SL_OFFLOAD_NEEDS_CSUM,
								    .gso_type = SL_GSO_UDP_L4,
								    .gso_size = 1400,
								    .csum_start = 34,
								    .csum_offset = 6};
	sl_ring_post(tx_ring, 1);
}

static inline int transmit(unsigned q)
{
	return port->ops->tx(port, q, tx_ring);
}

/* The device's next packet; given back if it is to be. */
static inline struct virtio_net_hdr_v1 assert_sent(uint32_t len, uint8_t seed, bool give_back)
{
	struct virtio_net_hdr_v1 hdr;
	struct oracle_chain c;
	uint32_t total = 0;

	assert_true(oracle_take(&tx, &c));
	assert_true(c.n <= ORACLE_ELEMS);
	for (unsigned i = 0; i < c.n; i++) {
		const uint8_t *from = at_iova(c.elems[i].addr, c.elems[i].len, false);

		assert_false(c.elems[i].write);
		for (uint32_t b = i ? 0 : HDR; b < c.elems[i].len; b++)
			assert_int_equal(from[b], seed);
		total += c.elems[i].len;
	}
	memcpy(&hdr, at_iova(c.elems[0].addr, HDR, false), HDR);
	assert_int_equal(total, HDR + len);
	if (give_back)
		oracle_put(&tx, c.id, c.descs, 0);
	return hdr;
}

/* Many laps, in both directions. */
static inline void carry_so(bool copied)
{
	for (unsigned i = 0; i < 3 * QUEUE; i++) {
		uint32_t len = 60 + i % 1400;

		give(len, (uint8_t)i);
		assert_int_equal(receive(0), 1);
		assert_received(len, (uint8_t)i, copied);
		len += 2500 * (i % 2);
		post(len, (uint8_t)i, i & SL_PACKET_WRITABLE);
		assert_true(transmit(0) >= 1);
		assert_sent(len, (uint8_t)i, true);
	}
	post(9000, 7, 0);
	assert_true(transmit(0) >= 1);
	assert_sent(9000, 7, true);
}

#endif
