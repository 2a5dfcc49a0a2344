/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The back end of a NIC: as a port, with a ring each way and nobody but us behind them. It neither
 * falls, nor waits, nor keeps a descriptor or a buffer, whatever its front end does. Input: see
 * front_end.h.
 */
#include <sluice/consumer.h>
#include <sluice/producer.h>

#include "front_end.h"
#include "offer/net_private.h"

#define ENTRIES_RING 32u

static struct sl_port *port;
static struct sl_ring *out, *in; /* of the driver; to it */
static uint8_t frame[0x800];
static bool hold;

/* What is lent may be gone: it reads as zeroes then. */
static void consume(struct sl_ring *ring)
{
	uint32_t at, n = sl_ring_ready(ring, &at);

	sl_ring_yield(ring);
	for (uint32_t i = 0; i < n; i++) {
		const struct sl_packet *p = sl_ring_packet(ring, at + i);

		for (uint32_t b = 0; b < p->frag.len; b += 64)
			(void)*(const volatile uint8_t *)&p->frag.addr[b];
	}
	sl_ring_consume(ring, n);
}

static void steps(struct front *f)
{
	struct sl_port_info info;
	uint32_t at, n;
	int ret;

	(void)f;
	for (unsigned i = 0; i < 4; i++) {
		must(sl_net_control(port, 0) >= 0);
		sl_net_info(port, &info);
		if (info.attached) {
			ret = sl_net_rx(port, 0, out);
			must(ret >= 0 || ret == -ENOBUFS || ret == -EINPROGRESS);
			must(sl_net_tx(port, 0, in) >= 0);
		}
		if (!hold)
			consume(out);
		n = sl_ring_returned(in, &at);
		sl_ring_reclaim(in, n);
	}
}

/* A packet for the driver, or whether those of its own come back. */
static void operate_device(uint8_t how)
{
	uint32_t at;

	hold = how & 16;
	if (how & 32 || !sl_ring_room(in, &at))
		return;
	*sl_ring_packet(in, at) =
		(struct sl_packet){.frag = {frame, how & 64 ? sizeof(frame) : 60u + how, 0, 0}};
	sl_ring_post(in, 1);
}

static void close_all(struct front *f)
{
	sl_fd_close(&f->sock);
	hold = false;
	for (unsigned i = 0; i < 8; i++)
		steps(f);
	consume(in); /* as the link does for who is gone */
	port->ops->close(port);
	sl_ring_release(out);
	sl_ring_release(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sl_ring_config config = {
		.size = ENTRIES_RING, .frags = 4096, .consumer_event = -1, .producer_event = -1};
	struct front f = {.data = data, .len = size, .protocol = 0x1a23f};
	unsigned had = descriptors();
	char spec[32];

	hold = false;
	open_front(&f, spec);
	must(!sl_port_open(spec, NULL, &port));
	must(!sl_ring_create(&config, &out) && !sl_ring_create(&config, &in));
	f.offer = net_of(port)->offer;
	run_front(&f);
	close_all(&f);
	close_front(&f);
	must(descriptors() == had);
	return 0;
}
