/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a packet costs the driver of the 82574 itself: on the device of the unit tests, which does
 * its part between the calls that are measured.
 *
 *   e1000e PATH N      PATH: rx, tx, tx-copy; N packets of 64 bytes in bursts of 64; see e1000e.sh
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/arena.h>

#include "../tests/unit/fake_e1000e.h"
#include "base/clock.h"
#include "base/reason.h"

#define BURST E1000E_BURST
#define BYTES 64

static struct fake_e1000e device;
static struct sl_port *port;
static struct sl_ring *ring;
static uint64_t spent;

static void die(const char *what)
{
	fprintf(stderr, "e1000e: %s: %s\n", what, sl_reason());
	exit(1);
}

static int timed(int (*call)(struct sl_port *p, unsigned q, struct sl_ring *r))
{
	uint64_t start = sl_now_ns();
	int n = call(port, 0, ring);

	spent += sl_now_ns() - start;
	return n;
}

/* A burst arrives, is received, and comes back from the other port. */
static void rx_burst(void)
{
	static const uint8_t frame[BYTES];
	uint32_t at, n = 0;

	while (n < BURST && fake_receive(&device, 0, frame, BYTES, 0))
		n++;
	timed(port->ops->rx);
	sl_ring_consume(ring, sl_ring_ready(ring, &at));
}

/* A burst is handed over, goes out, and is finished by the next call. */
static void tx_burst(const struct sl_region *region, bool copied)
{
	uint32_t at, n = sl_ring_returned(ring, &at);

	sl_ring_reclaim(ring, n);
	sl_ring_room(ring, &at);
	for (n = 0; n < BURST; n++)
		*sl_ring_packet(ring, at + n) = (struct sl_packet){
			.frag = {(uint8_t *)region->base + (at + n) % 256 * 2048, BYTES,
				 copied ? 1 : 0, 0},
		};
	sl_ring_post(ring, BURST);
	timed(port->ops->tx);
	fake_send(&device, 0, BURST);
}

int main(int argc, char **argv)
{
	const struct sl_ring_config config = {256, 64, -1, -1};
	const struct nic_options options = {0};
	const char *path = argc == 3 ? argv[1] : "";
	unsigned long count = argc == 3 ? strtoul(argv[2], NULL, 0) : 0, n = 0;
	struct sl_arena *arena;

	if ((strcmp(path, "rx") && strcmp(path, "tx") && strcmp(path, "tx-copy")) || !count) {
		fprintf(stderr, "usage: e1000e rx|tx|tx-copy PACKETS\n");
		return 2;
	}
	fake_e1000e_init(&device);
	if (sl_nic_e1000e.open(&device.dev, &options, NULL, &port))
		die("open");
	if (sl_ring_create(&config, &ring) || sl_arena_create(256 * 2048, 0, &arena))
		die("memory");
	port->ops->region_add(port, sl_arena_region(arena));
	for (; n < count; n += BURST) {
		if (!strcmp(path, "rx"))
			rx_burst();
		else
			tx_burst(sl_arena_region(arena), !strcmp(path, "tx-copy"));
	}
	printf("%lu\n", n);
	fprintf(stderr, "%.1f ns a packet\n", (double)spent / (double)n);
	port->ops->region_del(port, sl_arena_region(arena));
	port->ops->stop(port);
	sl_ring_release(ring);
	port->ops->close(port);
	sl_arena_release(arena);
	return 0;
}
