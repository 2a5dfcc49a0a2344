/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames from and to a NIC of the kernel's by AF_PACKET: what bench/nic.py compares with.
 *
 *     af_packet rx|tx INTERFACE SIZE SECONDS [WAY]
 *
 * Receives by TPACKET_V3, sends by the ring of TPACKET_V2 past the qdisc. Ways: "spin" instead of
 * poll(2); "sendmmsg" instead of a ring; "wait" in send(2) for what was sent; "qdisc".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "peer.h"

#define BLOCK	    (1u << 18)
#define BLOCKS	    32
#define RETIRE_MS   1
#define FRAMES	    1024
#define FRAME_ALIGN 2048
#define BATCH	    64
#define POLL_MS	    100
/* packet_mmap.rst: where the data of a frame to send begins */
#define TX_OFFSET (TPACKET_ALIGN(sizeof(struct tpacket2_hdr)))

static void set(int fd, int option, const void *value, unsigned len)
{
	if (setsockopt(fd, SOL_PACKET, option, value, len))
		peer_fail("setsockopt");
}

static void set_int(int fd, int option, int value)
{
	set(fd, option, &value, sizeof(value));
}

static uint8_t *map(int fd, size_t len)
{
	uint8_t *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);

	if (at == MAP_FAILED)
		peer_fail("mmap");
	return at;
}

static void bind_to(int fd, const struct peer *peer, uint16_t protocol)
{
	const struct sockaddr_ll at = {.sll_family = AF_PACKET,
				       .sll_protocol = htons(protocol),
				       .sll_ifindex = (int)peer->ifindex};

	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)))
		peer_fail("bind");
}

/* Looks at each packet's header, as sluice's null: does. */
static unsigned count_block(const struct tpacket_block_desc *block, unsigned size)
{
	const uint8_t *at = (const uint8_t *)block + block->hdr.bh1.offset_to_first_pkt;
	unsigned found = 0;

	for (unsigned i = 0; i < block->hdr.bh1.num_pkts; i++) {
		const struct tpacket3_hdr *packet = (const struct tpacket3_hdr *)at;

		found += packet->tp_len == size;
		at += packet->tp_next_offset;
	}
	return found;
}

static void receive(const struct peer *peer, int fd)
{
	const struct tpacket_req3 req = {.tp_block_size = BLOCK,
					 .tp_block_nr = BLOCKS,
					 .tp_frame_size = FRAME_ALIGN,
					 .tp_frame_nr = BLOCK / FRAME_ALIGN * BLOCKS,
					 .tp_retire_blk_tov = RETIRE_MS};
	const struct packet_mreq all = {.mr_ifindex = (int)peer->ifindex,
					.mr_type = PACKET_MR_PROMISC};
	struct tpacket_stats_v3 stats = {0};
	socklen_t len = sizeof(stats);
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	struct peer_count count = {.begin = peer_now()};
	const bool spin = *peer->way;
	unsigned next = 0, found;
	uint8_t *ring;

	set_int(fd, PACKET_VERSION, TPACKET_V3);
	set(fd, PACKET_RX_RING, &req, sizeof(req));
	ring = map(fd, (size_t)BLOCK * BLOCKS);
	set(fd, PACKET_ADD_MEMBERSHIP, &all, sizeof(all));
	set_int(fd, PACKET_IGNORE_OUTGOING, 1);
	bind_to(fd, peer, ETH_P_ALL);
	do {
		struct tpacket_block_desc *block = (void *)(ring + (size_t)next * BLOCK);
		uint32_t *status = &block->hdr.bh1.block_status;

		found = 0;
		if (__atomic_load_n(status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) {
			found = count_block(block, peer->size);
			__atomic_store_n(status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
			next = (next + 1) % BLOCKS;
		} else if (!spin) {
			poll(&wait, 1, POLL_MS);
		}
	} while (peer_count(&count, peer, found));
	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len))
		peer_fail("PACKET_STATISTICS");
	peer_report(peer, count.packets, count.last - count.first, stats.tp_drops);
}

static void transmit_mmsg(const struct peer *peer, int fd)
{
	uint8_t frame[FRAME_MAX];
	struct iovec iov = {frame, peer->size};
	struct mmsghdr msgs[BATCH];
	uint64_t before, given = 0, sent;
	double start, now;

	memset(msgs, 0, sizeof(msgs));
	peer_frame(peer, frame);
	for (unsigned i = 0; i < BATCH; i++) {
		msgs[i].msg_hdr.msg_iov = &iov;
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	bind_to(fd, peer, 0);
	before = peer_sent(peer);
	start = peer_now();
	do {
		int n = sendmmsg(fd, msgs, BATCH, MSG_DONTWAIT);

		given += n > 0 ? (unsigned)n : 0;
		now = peer_now();
	} while (now - start < peer->seconds);
	sent = peer_sent(peer) - before;
	peer_report(peer, sent, now - start, given > sent ? given - sent : 0);
}

static void transmit(const struct peer *peer, int fd)
{
	const struct tpacket_req req = {FRAMES * FRAME_ALIGN, 1, FRAME_ALIGN, FRAMES};
	struct pollfd wait = {.fd = fd, .events = POLLOUT};
	uint64_t before, given = 0, sent;
	unsigned next = 0;
	double start, now;
	uint8_t *ring;

	set_int(fd, PACKET_VERSION, TPACKET_V2);
	set(fd, PACKET_TX_RING, &req, sizeof(req));
	ring = map(fd, (size_t)FRAMES * FRAME_ALIGN);
	for (unsigned i = 0; i < FRAMES; i++)
		peer_frame(peer, ring + (size_t)i * FRAME_ALIGN + TX_OFFSET);
	bind_to(fd, peer, 0);
	before = peer_sent(peer);
	start = peer_now();
	do {
		unsigned n = 0;

		for (; n < BATCH; n++) {
			struct tpacket2_hdr *frame = (void *)(ring + (size_t)next * FRAME_ALIGN);

			if (__atomic_load_n(&frame->tp_status, __ATOMIC_ACQUIRE) !=
			    TP_STATUS_AVAILABLE)
				break;
			frame->tp_len = peer->size;
			__atomic_store_n(&frame->tp_status, TP_STATUS_SEND_REQUEST,
					 __ATOMIC_RELEASE);
			next = (next + 1) % FRAMES;
		}
		given += n;
		if (!n)
			poll(&wait, 1, POLL_MS);
		send(fd, NULL, 0, !strcmp(peer->way, "wait") ? 0 : MSG_DONTWAIT);
		now = peer_now();
	} while (now - start < peer->seconds);
	sent = peer_sent(peer) - before;
	peer_report(peer, sent, now - start, given > sent ? given - sent : 0);
}

int main(int argc, char **argv)
{
	static const char *const ways[] = {"spin", "sendmmsg", "wait", "qdisc", NULL};
	const struct peer peer = peer_args(argc, argv, ways);
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0)
		peer_fail("AF_PACKET");
	if (strcmp(peer.way, "qdisc") != 0)
		set_int(fd, PACKET_QDISC_BYPASS, 1);
	if (!peer.tx)
		receive(&peer, fd);
	else if (!strcmp(peer.way, "sendmmsg"))
		transmit_mmsg(&peer, fd);
	else
		transmit(&peer, fd);
	return 0;
}
