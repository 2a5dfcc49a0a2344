/* SPDX-License-Identifier: BSD-2-Clause */
/* Port pcap: packets out of a capture file, or into one (libpcap). */
#include <pcap/pcap.h>
#include <stdlib.h>
#include <sys/time.h>

#include <sluice/arena.h>

#include "base/bytes.h"
#include "base/count.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/reason.h"
#include "packet/frags.h"
#include "port/capture_file.h"
#include "port/kinds.h"
#include "port/sink.h"

#define BUFFERS	  256
#define BURST	  32
#define FRAME_MAX 65600 /* 64 KiB of IP and its Ethernet header */
#define HEADROOM  128
#define STRIDE	  ((size_t)65792)

struct pcap_port {
	struct sl_port port;
	const struct sl_log *log;
	char *path;
	unsigned layer; /* of the file; 0 while it is not known */
	pcap_t *pcap;
	pcap_dumper_t *dump; /* writing */
	bool ended;
	bool failed;
	struct sl_arena *arena; /* reading */
	uint32_t n_free;
	uint16_t free[BUFFERS];
	uint8_t *frame; /* writing: one packet in one piece */
	struct sl_count rx;
	struct sl_count tx __attribute__((aligned(SL_LINE)));
};

static struct pcap_port *pcap_of(const struct sl_port *port)
{
	return sl_container_of((uintptr_t)port, struct pcap_port, port);
}

static void pcap_port_close(struct sl_port *port)
{
	struct pcap_port *p = pcap_of(port);

	if (p->dump)
		pcap_dump_close(p->dump);
	if (p->pcap)
		pcap_close(p->pcap);
	sl_arena_release(p->arena);
	free(p->frame);
	free(p->path);
	free(p);
}

static int layer_of(int dlt)
{
	switch (dlt) {
	case DLT_EN10MB:
		return 2;
	case DLT_RAW:
	case DLT_IPV4:
	case DLT_IPV6:
		return 3;
	default:
		return 0;
	}
}

static int open_read(struct pcap_port *p)
{
	int ret = sl_capture_file_open(p->path, &p->pcap);

	if (ret)
		return ret;
	p->layer = (unsigned)layer_of(pcap_datalink(p->pcap));
	if (!p->layer)
		return sl_fail(EINVAL, "pcap: %s holds %s, neither Ethernet nor raw IP", p->path,
			       pcap_datalink_val_to_description_or_dlt(pcap_datalink(p->pcap)));
	ret = sl_arena_create(BUFFERS * STRIDE, 0, &p->arena);
	for (unsigned i = 0; i < BUFFERS && !ret; i++)
		p->free[p->n_free++] = (uint16_t)(BUFFERS - 1 - i);
	return ret;
}

static int pcap_port_open(const struct sl_args *args, const struct sl_log *log,
			  struct sl_port **out)
{
	const char *read = sl_args_text(args, "read", 0), *write = sl_args_text(args, "write", 0);
	struct pcap_port *p;
	int ret = 0;

	if (!read == !write)
		return sl_fail(EINVAL, "pcap: one of read=FILE and write=FILE is needed");
	p = sl_alloc_lines(sizeof(*p));
	if (!p)
		return sl_fail(ENOMEM, "no memory for a port");
	*p = (struct pcap_port){
		.port.ops = &sl_port_pcap,
		.log = log,
		.path = strdup(read ? read : write),
		.frame = read ? NULL : malloc(CAPTURE_SNAPLEN),
	};
	if (!p->path || (write && !p->frame))
		ret = sl_fail(ENOMEM, "no memory for a port");
	else if (read)
		ret = open_read(p);
	if (ret)
		pcap_port_close(&p->port);
	else
		*out = &p->port;
	return ret;
}

static void pcap_port_info(const struct sl_port *port, struct sl_port_info *info)
{
	const struct pcap_port *p = pcap_of(port);

	*info = (struct sl_port_info){
		.layer = p->layer,
		.queues = 1,
		.dirs = p->arena ? SL_PORT_RX | SL_PORT_TX : SL_PORT_TX,
		.attached = 1,
		/* What is read is discarded; what is written should be what a wire would carry. */
		.accepts = p->arena ? SINK_ACCEPTS : 0,
		.regions = p->arena ? sl_arena_region(p->arena) : NULL,
		.n_regions = p->arena ? 1 : 0,
	};
}

/* Only now is it known which kind of packets the file will hold. */
static int pcap_port_join(struct sl_port *port, const struct sl_port_info *other)
{
	struct pcap_port *p = pcap_of(port);

	if (p->arena)
		return 0;
	p->layer = other->layer == 3 ? 3 : 2;
	return sl_capture_file_create(p->path, p->layer, &p->pcap, &p->dump);
}

/*
 * Reading.
 */

/* Returns 1 when an entry was filled, 0 for a packet that was dropped, -1 at the end. */
static int read_one(struct pcap_port *p, struct sl_packet *packet)
{
	uint16_t buffer = p->free[p->n_free - 1];
	uint8_t *start = (uint8_t *)sl_arena_region(p->arena)->base + buffer * STRIDE + HEADROOM;
	struct pcap_pkthdr *hdr;
	const u_char *bytes;
	int ret = pcap_next_ex(p->pcap, &hdr, &bytes);

	if (ret != 1) {
		if (ret == PCAP_ERROR)
			sl_log(p->log, SL_LOG_ERROR, "pcap: %s: %s", p->path, pcap_geterr(p->pcap));
		p->ended = true;
		return -1;
	}
	if (hdr->caplen < hdr->len || hdr->caplen > FRAME_MAX || !hdr->caplen) {
		sl_count_add(&p->rx.drops[hdr->caplen ? SL_DROP_TRUNCATED : SL_DROP_MALFORMED], 1);
		return 0;
	}
	memcpy(start, bytes, hdr->caplen); /* libpcap's buffer is good until the next packet only */
	p->n_free--;
	*packet = (struct sl_packet){
		.frag = {start, hdr->caplen, 0,
			 (uint16_t)sl_min(STRIDE - HEADROOM - hdr->caplen, 64u)},
		.cookie = buffer,
		.flags = SL_PACKET_WRITABLE,
		.headroom = HEADROOM,
	};
	sl_count_add(&p->rx.packets, 1);
	sl_count_add(&p->rx.bytes, hdr->caplen);
	sl_count_add(&p->rx.copied, 1);
	return 1;
}

static int pcap_port_rx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct pcap_port *p = pcap_of(port);
	uint32_t at, n = sl_ring_returned(ring, &at), posted = 0;

	(void)q;
	for (uint32_t i = 0; i < n; i++)
		p->free[p->n_free++] = (uint16_t)sl_ring_packet(ring, at + i)->cookie;
	sl_ring_reclaim(ring, n);
	n = sl_min(sl_ring_room(ring, &at), sl_min(p->n_free, BURST));
	for (; n && !p->ended; n--) {
		int ret = read_one(p, sl_ring_packet(ring, at + posted));

		posted += ret > 0;
	}
	sl_ring_post(ring, posted);
	return posted || !p->ended ? (int)posted : -ENODATA;
}

/*
 * Writing.
 */

static void write_failed(struct pcap_port *p)
{
	if (!p->failed)
		sl_log(p->log, SL_LOG_ERROR, "pcap: cannot write %s: %s", p->path, strerror(errno));
	p->failed = true;
}

/* Who reads the file meanwhile finds whole packets; failure is told while it can be. */
static void flush(struct pcap_port *p)
{
	if (p->dump && pcap_dump_flush(p->dump))
		write_failed(p);
}

static void write_one(struct pcap_port *p, struct sl_ring *ring, uint32_t at, struct timeval now)
{
	struct sl_packet *packet = sl_ring_packet(ring, at);
	uint32_t len = sl_ring_packet_len(ring, packet);
	struct pcap_pkthdr hdr = {.ts = now, .caplen = sl_min(len, CAPTURE_SNAPLEN), .len = len};
	const uint8_t *bytes = packet->frag.addr;

	if (packet->more) {
		sl_frags_copy(ring, packet, 0, p->frame, hdr.caplen);
		sl_count_add(&p->tx.copied, 1);
		bytes = p->frame;
	}
	pcap_dump((u_char *)p->dump, &hdr, bytes);
	if (!ferror(pcap_dump_file(p->dump))) {
		sl_count_add(&p->tx.packets, 1);
		sl_count_add(&p->tx.bytes, len);
		return;
	}
	write_failed(p);
	sl_count_add(&p->tx.drops[SL_DROP_REFUSED], 1);
}

static int pcap_port_tx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct pcap_port *p = pcap_of(port);
	uint32_t at, n = sl_ring_ready(ring, &at);
	struct timeval now;

	(void)q;
	if (!p->dump)
		return sink_tx(ring, &p->tx);
	gettimeofday(&now, NULL);
	n = sl_min(n, BURST);
	for (uint32_t i = 0; i < n; i++)
		write_one(p, ring, at + i, now);
	sl_ring_consume(ring, n);
	if (n && !sl_ring_ready(ring, &at))
		flush(p);
	return (int)n;
}

static int pcap_port_arm(struct sl_port *port, unsigned q, unsigned want)
{
	struct pcap_port *p = pcap_of(port);

	(void)q;
	return want & SL_PORT_TX || (want & SL_PORT_RX && !p->ended) ? SL_PORT_READY : 0;
}

static void pcap_port_stop(struct sl_port *port)
{
	flush(pcap_of(port));
}

static void pcap_port_stats(const struct sl_port *port, unsigned q, struct sl_counters *c)
{
	(void)q;
	sl_count_sum(&c->rx, &pcap_of(port)->rx);
	sl_count_sum(&c->tx, &pcap_of(port)->tx);
}

static const struct sl_param pcap_params[] = {
	{"read", SL_PARAM_FILE, SL_PARAM_IDENTITY, 1, 4095, "FILE",
	 "give the packets of a capture, then end"},
	{"write", SL_PARAM_FILE, SL_PARAM_IDENTITY, 1, 4095, "FILE", "write a capture"},
	{NULL},
};

const struct sl_port_ops sl_port_pcap = {
	.size = sizeof(struct sl_port_ops),
	.kind = "pcap",
	.help = "packets out of a capture file, or into one",
	.params = pcap_params,
	.open = pcap_port_open,
	.info = pcap_port_info,
	.join = pcap_port_join,
	.rx = pcap_port_rx,
	.tx = pcap_port_tx,
	.fd = sink_fd,
	.arm = pcap_port_arm,
	.stop = pcap_port_stop,
	.stats = pcap_port_stats,
	.close = pcap_port_close,
};
