/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a capture file that a pcap: port reads to its end. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sluice/consumer.h>
#include <sluice/producer.h>
#include <sluice/reason.h>

#include "fuzz.h"
#include "port/kinds.h"

#define SIZE_MAX_IN 65536 /* a record takes 16 bytes at least */
#define LEN_MAX	    65600u

static volatile uint8_t sink;

static void read_packets(struct sl_ring *ring, uint64_t *packets, uint64_t *bytes)
{
	uint32_t at, n = sl_ring_ready(ring, &at);

	for (uint32_t i = 0; i < n; i++, at++) {
		struct sl_packet *packet = sl_ring_packet(ring, at);
		const uint8_t *p = packet->frag.addr;

		must(packet->frag.len >= 1 && packet->frag.len <= LEN_MAX && !packet->more);
		must(!(packet->flags & SL_PACKET_OFFLOAD));
		for (uint32_t b = 0; b < packet->frag.len; b++)
			sink ^= p[b];
		*bytes += packet->frag.len;
	}
	*packets += n;
	sl_ring_consume(ring, n);
}

static void drain(struct sl_port *port)
{
	const struct sl_ring_config config = {64, SL_PACKET_FRAGS_MAX, -1, -1};
	struct sl_counters c = {0};
	struct sl_ring *ring;
	uint64_t packets = 0, bytes = 0;
	int ret = 0;

	if (sl_ring_create(&config, &ring))
		return;
	for (unsigned calls = 0; ret >= 0; calls++) {
		must(calls <= SIZE_MAX_IN / 16);
		ret = port->ops->rx(port, 0, ring);
		read_packets(ring, &packets, &bytes);
	}
	must(ret == -ENODATA && !sl_ring_broken(ring));
	port->ops->stats(port, 0, &c);
	must(c.rx.packets == packets && c.rx.bytes == bytes);
	must(packets + sl_count_drops(&c.rx) <= SIZE_MAX_IN / 16);
	sl_ring_release(ring);
}

static int open_port(int fd, struct sl_port **port)
{
	struct sl_args *args;
	char text[64];
	int ret;

	snprintf(text, sizeof(text), "read=/proc/self/fd/%d", fd);
	must(sl_args_parse("pcap", text, sl_port_pcap.params, &args) == 0);
	ret = sl_port_pcap.open(args, NULL, port);
	sl_args_release(args);
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_port *port;
	int fd, ret;

	if (size > SIZE_MAX_IN)
		return 0;
	fd = memfd_create("fuzz_pcap", MFD_CLOEXEC);
	must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	ret = open_port(fd, &port);
	must(!ret || (ret == -EINVAL && *sl_reason()));
	if (!ret) {
		drain(port);
		port->ops->close(port);
	}
	close(fd);
	return 0;
}
