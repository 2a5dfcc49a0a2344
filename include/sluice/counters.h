/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was moved, and what was lost and why. Nothing is lost silently.
 */
#ifndef SLUICE_COUNTERS_H
#define SLUICE_COUNTERS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sl_drop {
	SL_DROP_SOURCE,	     /* the source lost it before the port could read it */
	SL_DROP_TRUNCATED,   /* larger than the receive buffer */
	SL_DROP_MALFORMED,   /* headers or offload facts that do not hold */
	SL_DROP_UNSUPPORTED, /* an offload nobody on this link can do */
	SL_DROP_TOO_LARGE,   /* the port refused its size (EMSGSIZE) */
	SL_DROP_NO_BUFFER,   /* the port had no memory for it (ENOBUFS) */
	SL_DROP_REFUSED,     /* the port refused it (EINVAL and the like) */
	SL_DROP_DOWN,	     /* the interface is down or has no carrier */
	SL_DROP_RECALLED,    /* the producer took its memory back */
	SL_DROP_PEER_GONE,   /* the port behind the ring is gone */
	SL_DROP_AUTH_FAILED, /* a tunnel's packet that nobody with the key has sealed */
	SL_DROP_REPLAYED,    /* authentic, but seen before or too old to tell */
	SL_DROP_TOO_SHORT,   /* shorter than what seals it */
	SL_DROP_UNKNOWN_KEY, /* sealed with a key id that is not in use */
	SL_DROP_NO_SESSION,  /* a tunnel without a peer, or from somebody else */
	SL_DROP_SEND_FAILED, /* the network did not take it */
	SL_DROP_NOT_IP,	     /* authentic, and no packet of the tunnel's layer */
	SL_DROP_COUNT
};

/**
 * struct sl_count - one direction at one place
 * @packets: packets moved, as they pass the port: a super-packet of a TAP is one, each datagram of
 *           a tunnel is one
 * @bytes:   their bytes
 * @copied:  packets whose payload was copied on the way
 * @cut:     super-packets that were cut into segments
 * @drops:   packets lost, by reason
 */
struct sl_count {
	uint64_t packets;
	uint64_t bytes;
	uint64_t copied;
	uint64_t cut;
	uint64_t drops[SL_DROP_COUNT];
};

/**
 * struct sl_counters - both directions of a port's queue
 * @rx: from the port into its ring
 * @tx: from a ring to the port
 */
struct sl_counters {
	struct sl_count rx;
	struct sl_count tx;
};

/**
 * sl_drop_name() - the name of a reason, as command and JSON print it
 * @reason: SL_DROP_*
 *
 * Return: a static string such as "peer-gone"; NULL for no such reason.
 */
const char *sl_drop_name(enum sl_drop reason);

/**
 * sl_count_sum() - add up counters, field by field
 * @sum:  the caller's own; grows
 * @more: may be counted on by another thread meanwhile
 */
void sl_count_sum(struct sl_count *sum, const struct sl_count *more);

/**
 * sl_count_drops() - all drops together
 * @count: may be counted on by another thread meanwhile
 *
 * Return: packets lost, whatever the reason.
 */
uint64_t sl_count_drops(const struct sl_count *count);

#ifdef __cplusplus
}
#endif
#endif
