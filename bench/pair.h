/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two ends of a real tunnel between two rings; only the kernel is missing. sendmmsg() and
 * recvmmsg() are this program's own and hand over what one call of the sender made, as UDP_GRO
 * would. The copy that a kernel would make is not in the time; what it leaves in the caches is.
 * There is no session: both ends are given keys and each other's address.
 */
#ifndef SL_BENCH_PAIR_H
#define SL_BENCH_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "tunnel/aead.h"

/**
 * struct shape - a super-packet: IPv4, and TCP with timestamps or UDP
 * @size:   payload bytes of each of its @segments
 * @supers: how many of them a call: what fills the sender's scratch, or its yard
 */
struct shape {
	uint8_t proto;
	uint32_t headers, size, segments, supers;
};

/* JOIN and OPEN are two ways to receive: super-packets, or each packet by itself. */
enum path {
	CUT,
	JOIN,
	OPEN,
	PATHS
};

/** struct used - the thread's own time, and instructions where the processor counts them */
struct used {
	double ns;
	uint64_t instructions;
};

/** pair_nothing - a back end that neither encrypts nor authenticates: what is left is the rest */
extern const struct sl_aead_ops pair_nothing;

/** pair_open() - for the life of the process, which ends with a reason if anything fails */
void pair_open(void);

/** pair_close() - free it all */
void pair_close(void);

/**
 * pair_run() - send at least @count segments, with a new key
 * @merges: receive as JOIN, not as OPEN
 * @used:   filled in, all segments together; without the first calls, of which it is checked that
 *          what was sent arrives
 *
 * Return: how many segments they were.
 */
uint32_t pair_run(const struct sl_aead_ops *ops, enum sl_cipher cipher, const struct shape *s,
		  bool merges, uint32_t count, struct used used[PATHS]);

#endif
