/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames from and to a NIC of the kernel's by AF_XDP in copy mode, with generic XDP, which every
 * driver has: what bench/nic.py compares with.
 *
 *     af_xdp rx|tx INTERFACE SIZE SECONDS [spin]
 *
 * Waits in poll(2), or spins.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "peer.h"

#define CHUNKS	2048
#define CHUNK	FRAME_MAX
#define BATCH	64
#define POLL_MS 100

/* One of a socket's four rings; the size of each is CHUNKS, so that none is ever full. */
struct xring {
	uint32_t *producer, *consumer, *flags;
	union {
		struct xdp_desc *packets;
		uint64_t *chunks;
	};
};

struct xsk {
	int fd;
	uint8_t *umem;
	struct xring fill, completion, rx, tx;
};

static void set(int fd, int option, const void *value, unsigned len)
{
	if (setsockopt(fd, SOL_XDP, option, value, len))
		peer_fail("setsockopt");
}

static struct xring ring_of(int fd, int option, uint64_t at, const struct xdp_ring_offset *off,
			    size_t entry)
{
	const int chunks = CHUNKS;
	uint8_t *map;

	set(fd, option, &chunks, sizeof(chunks));
	map = mmap(NULL, off->desc + CHUNKS * entry, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_POPULATE, fd, (off_t)at);
	if (map == MAP_FAILED)
		peer_fail("mmap");
	return (struct xring){(void *)(map + off->producer),
			      (void *)(map + off->consumer),
			      (void *)(map + off->flags),
			      {(void *)(map + off->desc)}};
}

static void open_socket(struct xsk *xsk, const struct peer *peer)
{
	struct xdp_umem_reg reg = {.len = CHUNKS * CHUNK, .chunk_size = CHUNK};
	const struct sockaddr_xdp at = {.sxdp_family = AF_XDP,
					.sxdp_flags = XDP_COPY | XDP_USE_NEED_WAKEUP,
					.sxdp_ifindex = peer->ifindex};
	struct xdp_mmap_offsets off;
	socklen_t len = sizeof(off);
	int fd = xsk->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0)
		peer_fail("AF_XDP");
	xsk->umem = mmap(NULL, CHUNKS * CHUNK, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	reg.addr = (uintptr_t)xsk->umem;
	set(fd, XDP_UMEM_REG, &reg, sizeof(reg));
	if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &len))
		peer_fail("XDP_MMAP_OFFSETS");
	xsk->fill = ring_of(fd, XDP_UMEM_FILL_RING, XDP_UMEM_PGOFF_FILL_RING, &off.fr,
			    sizeof(uint64_t));
	xsk->completion = ring_of(fd, XDP_UMEM_COMPLETION_RING, XDP_UMEM_PGOFF_COMPLETION_RING,
				  &off.cr, sizeof(uint64_t));
	if (peer->tx)
		xsk->tx = ring_of(fd, XDP_TX_RING, XDP_PGOFF_TX_RING, &off.tx,
				  sizeof(struct xdp_desc));
	else
		xsk->rx = ring_of(fd, XDP_RX_RING, XDP_PGOFF_RX_RING, &off.rx,
				  sizeof(struct xdp_desc));
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)))
		peer_fail("bind");
}

static int bpf(int command, union bpf_attr *attr, const char *what)
{
	int fd = (int)syscall(SYS_bpf, command, attr, sizeof(*attr));

	if (fd < 0)
		peer_fail(what);
	return fd;
}

/* What arrives at queue 0 goes to the socket. The program is gone when this process is. */
static void steer(const struct xsk *xsk, const struct peer *peer)
{
	uint32_t queue = 0;
	union bpf_attr map = {.map_type = BPF_MAP_TYPE_XSKMAP,
			      .key_size = sizeof(uint32_t),
			      .value_size = sizeof(uint32_t),
			      .max_entries = 1};
	int map_fd = bpf(BPF_MAP_CREATE, &map, "BPF_MAP_CREATE");
	const struct bpf_insn code[] = {
		/* r2 = ctx->rx_queue_index */
		{.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1, .off = 16},
		{.code = BPF_LD | BPF_DW | BPF_IMM,
		 .dst_reg = 1,
		 .src_reg = BPF_PSEUDO_MAP_FD,
		 .imm = map_fd},
		{0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr entry = {
		.map_fd = (uint32_t)map_fd, .key = (uintptr_t)&queue, .value = (uintptr_t)&xsk->fd};
	union bpf_attr load = {.prog_type = BPF_PROG_TYPE_XDP,
			       .insns = (uintptr_t)code,
			       .insn_cnt = sizeof(code) / sizeof(*code),
			       .license = (uintptr_t) "BSD"};
	union bpf_attr link = {0};

	bpf(BPF_MAP_UPDATE_ELEM, &entry, "BPF_MAP_UPDATE_ELEM");
	link.link_create.prog_fd = (uint32_t)bpf(BPF_PROG_LOAD, &load, "BPF_PROG_LOAD");
	link.link_create.target_ifindex = peer->ifindex;
	link.link_create.attach_type = BPF_XDP;
	link.link_create.flags = XDP_FLAGS_SKB_MODE;
	bpf(BPF_LINK_CREATE, &link, "BPF_LINK_CREATE");
}

/* How many entries its producer has added behind @seen. */
static uint32_t filled(const struct xring *ring, uint32_t seen)
{
	return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE) - seen;
}

static void receive(const struct peer *peer, struct xsk *xsk)
{
	struct pollfd wait = {.fd = xsk->fd, .events = POLLIN};
	struct xdp_statistics stats = {0};
	socklen_t len = sizeof(stats);
	struct peer_count count = {.begin = peer_now()};
	uint32_t seen = 0, given = 0, found, n;

	for (; given < CHUNKS; given++)
		xsk->fill.chunks[given] = (uint64_t)given * CHUNK;
	__atomic_store_n(xsk->fill.producer, given, __ATOMIC_RELEASE);
	steer(xsk, peer);
	do {
		n = filled(&xsk->rx, seen);
		found = 0;
		if (!n && !*peer->way)
			poll(&wait, 1, POLL_MS);
		n = n < BATCH ? n : BATCH;
		for (uint32_t i = 0; i < n; i++) {
			const struct xdp_desc *packet = &xsk->rx.packets[seen++ % CHUNKS];

			found += packet->len == peer->size;
			xsk->fill.chunks[given++ % CHUNKS] = packet->addr;
		}
		__atomic_store_n(xsk->rx.consumer, seen, __ATOMIC_RELEASE);
		__atomic_store_n(xsk->fill.producer, given, __ATOMIC_RELEASE);
	} while (peer_count(&count, peer, found));
	if (getsockopt(xsk->fd, SOL_XDP, XDP_STATISTICS, &stats, &len))
		peer_fail("XDP_STATISTICS");
	peer_report(peer, count.packets, count.last - count.first,
		    stats.rx_dropped + stats.rx_ring_full);
}

static void transmit(const struct peer *peer, struct xsk *xsk)
{
	uint32_t given = 0, done = 0;
	uint64_t before, sent;
	double start, now;

	for (unsigned i = 0; i < CHUNKS; i++)
		peer_frame(peer, xsk->umem + (size_t)i * CHUNK);
	before = peer_sent(peer);
	start = peer_now();
	do {
		uint32_t n;

		/* They come back in any order; all have the same content. */
		done += filled(&xsk->completion, done);
		__atomic_store_n(xsk->completion.consumer, done, __ATOMIC_RELEASE);
		for (n = 0; n < BATCH && given - done < CHUNKS; n++, given++)
			xsk->tx.packets[given % CHUNKS] = (struct xdp_desc){
				(uint64_t)(given % CHUNKS) * CHUNK, peer->size, 0};
		__atomic_store_n(xsk->tx.producer, given, __ATOMIC_RELEASE);
		if (*xsk->tx.flags & XDP_RING_NEED_WAKEUP)
			sendto(xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
		now = peer_now();
	} while (now - start < peer->seconds);
	sent = peer_sent(peer) - before;
	peer_report(peer, sent, now - start, given > sent ? given - sent : 0);
}

int main(int argc, char **argv)
{
	static const char *const ways[] = {"spin", NULL};
	const struct peer peer = peer_args(argc, argv, ways);
	struct xsk xsk;

	open_socket(&xsk, &peer);
	if (peer.tx)
		transmit(&peer, &xsk);
	else
		receive(&peer, &xsk);
	return 0;
}
