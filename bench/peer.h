/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What af_packet.c and af_xdp.c share: their command line, the frame that they send, and the one
 * line that they print. See bench/nic.py.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stdint.h>

#define FRAME_MAX 2048

struct peer {
	bool tx;
	const char *name; /* of the interface */
	unsigned ifindex;
	unsigned size; /* of a frame, without its FCS */
	double seconds;
	const char *way; /* instead of the one that was found to be the best, or "" */
};

/**
 * peer_args() - PROGRAM rx|tx INTERFACE SIZE SECONDS [WAY]; ends the program if that is not so
 * @ways: other ways that it knows, with NULL at the end
 */
struct peer peer_args(int argc, char **argv, const char *const *ways);

/** peer_frame() - UDP over IPv4 to nobody, as bench/nic.py makes it */
void peer_frame(const struct peer *peer, uint8_t *frame);

/** peer_now() - seconds */
double peer_now(void);

/** peer_sent() - frames that the interface has sent; of e1000e it is a register of the device */
uint64_t peer_sent(const struct peer *peer);

/** peer_report() - one line of JSON; @drops: what this program was offered or sent in vain */
void peer_report(const struct peer *peer, uint64_t packets, double seconds, uint64_t drops);

/* What has come so far, and when. */
struct peer_count {
	uint64_t packets;
	double begin, first, last;
};

/**
 * peer_count() - add @packets. Return: false when time is over, or no more come for a while: who
 * stops sooner makes the kernel patch itself under load, and QEMU without KVM does not survive it
 */
bool peer_count(struct peer_count *count, const struct peer *peer, unsigned packets);

/** peer_fail() - says what, and errno's reason; does not return */
void peer_fail(const char *what) __attribute__((noreturn));

#endif
