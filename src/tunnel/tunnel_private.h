/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of a tunnel. Two threads may work in it: one receives, and does the control
 * channel and the timers; one sends. What they share is behind a lock or an atomic.
 */
#ifndef SL_TUNNEL_TUNNEL_PRIVATE_H
#define SL_TUNNEL_TUNNEL_PRIVATE_H

#include <pthread.h>
#include <sys/socket.h>

#include <sluice/arena.h>

#include "base/barrier.h"
#include "base/bytes.h"
#include "packet/coalesce.h"
#include "packet/cut.h"
#include "packet/too_big.h"
#include "tunnel/control.h"
#include "tunnel/train.h"
#include "tunnel/tunnel.h"
#include "tunnel/udp.h"
#include "tunnel/wire.h"

#define BURST	  32  /* datagrams a call */
#define BUFFERS	  288 /* a burst more than a link ring has entries; merged ones hold several */
#define FRAME_MAX 65536
#define STRIDE                                                                                     \
	(FRAME_MAX + 320) /* of buffers; a power of two would put their starts into few sets */
#define SCRATCH_BYTES (512u << 10) /* half of a cache of the second level */
#define ANSWERS_MAX   16
#define ETH_LEN	      14
#define MERGES_MAX    4 /* flows that are put together at a time */
#define VLAN_LEN      4
#define MEASURE_NS    (10 * SL_NS_PER_S)

/**
 * struct receiver - what is being received
 * @spent:   list of buffers that wait for an entry to come back with, see free_list()
 * @entries: of the ring, that may still be filled in this burst; @frags: fragments likewise
 * @at:      the first entry of this burst, @posted of them are filled
 * @msg:     the message that is looked at, @offset bytes of it are done; @size: of its datagrams
 * @lent:    something of its buffer is posted, or will be
 */
struct receiver {
	struct sl_arena *arena;
	uint8_t *base;
	uint32_t n_free;
	uint16_t free[BUFFERS]; /* the last given back on top: it is still in the cache */
	uint32_t following[BUFFERS];
	uint32_t spent;
	uint32_t overflows;		       /* SO_RXQ_OVFL as last seen */
	uint32_t missed;		       /* of these, since the last packet that was opened */
	uint32_t last_ids[P_KEY_ID(0xff) + 1]; /* the newest packet's of each key id */
	bool starved;			       /* the ring had no room when last looked at */
	uint64_t heard_at;
	struct sl_address peer; /* none: no session */

	uint32_t entries, frags;
	uint32_t at, posted;
	unsigned n_merges;
	struct sl_coalesce merges[MERGES_MAX];

	unsigned n_msgs, msg;
	uint32_t offset, size;
	bool lent;
	uint16_t buffers[BURST];
	struct mmsghdr msgs[BURST];
	struct iovec iov[BURST];
	struct sl_address from[BURST];
	uint8_t control[BURST][CMSG_SPACE(sizeof(uint32_t)) + CMSG_SPACE(sizeof(int))]
		__attribute__((aligned(8)));
	struct sl_count count;
};

/**
 * struct sender - what is being sent
 * @at:        the first entry of the ring that is in flight
 * @sealed_at: the first that is not sealed, or not whole when @cutting
 */
struct sender {
	uint32_t at, sealed_at;
	bool cutting;
	struct sl_cut cut;
	uint8_t *scratch; /* SCRATCH_BYTES, of which @used hold sealed packets */
	size_t used;
	uint32_t peer_changes; /* tunnel.peer_changes as last seen */
	bool said;	       /* that the kernel takes no trains */
	uint64_t answers_second;
	unsigned answers;
	uint8_t heads[SEGMENTS_MAX][SL_DATA_OVERHEAD];
	struct sl_count count;
	struct yard yard;
};

struct tunnel {
	struct sl_port port;
	const struct sl_log *log;
	struct udp udp;
	int event; /* wakes the receiving thread */
	unsigned layer;
	bool floats;
	bool ipv6; /* outside */
	bool mss_given;
	uint32_t merges; /* SL_CAN_*: super-packets that the other side takes */
	uint16_t mss;	 /* 0: no clamp */
	uint64_t ping_ns, ping_restart_ns;
	uint64_t measure_at; /* the path's MTU may have changed */
	struct sl_address remote;
	struct identity identity;
	struct sl_data *data;
	struct control *control;

	uint32_t mtu;		/* atomic, as are these: */
	uint64_t sent_at;	/* a sealed packet went out */
	uint32_t unsent;	/* the sender has sealed what it has not sent */
	uint32_t peer_changes;	/* counts changes of peer */
	uint32_t n_answers;	/* ICMP packets for the receiving side to post */
	pthread_mutex_t lock;	/* peer, answers */
	struct sl_address peer; /* none: no session */
	struct {
		uint16_t len;
		uint8_t bytes[TOO_BIG_MAX];
	} answers[ANSWERS_MAX];

	struct receiver rx __attribute__((aligned(SL_LINE)));
	struct sender tx __attribute__((aligned(SL_LINE)));
};

static inline struct tunnel *tunnel_of(const struct sl_port *port)
{
	return sl_container_of((uintptr_t)port, struct tunnel, port);
}

/** sl_tunnel_set_peer() - where the session's peer is, none for no session; receiving thread */
void sl_tunnel_set_peer(struct tunnel *t, const struct sl_address *peer);

/** sl_tunnel_send_own() - seal and send what is no packet of anybody's: a ping; receiving thread */
void sl_tunnel_send_own(struct tunnel *t, const uint8_t *bytes, size_t len, uint64_t now_ns);

/** sl_tunnel_forget() - at the end: the link gives back what is in flight, and counts an entry as
 * one; the packets of it beyond that are counted here */
void sl_tunnel_forget(struct tunnel *t);

/** sl_tunnel_l3() - where the IP header of a frame is; two VLAN tags at most, which are at hand */
static inline unsigned sl_tunnel_l3(const uint8_t *frame)
{
	unsigned at = ETH_LEN;

	for (int tags = 0; tags < 2; tags++) {
		uint16_t type = sl_get_be16(frame + at - 2);

		at += type == 0x8100 || type == 0x88a8 ? VLAN_LEN : 0;
	}
	return at;
}

/** sl_tunnel_is_syn() - a TCP SYN, cheaply? The clamp looks closer. */
bool sl_tunnel_is_syn(const struct tunnel *t, const uint8_t *bytes, size_t len);

/** sl_tunnel_clamp() - lower the MSS of a SYN */
void sl_tunnel_clamp(const struct tunnel *t, uint8_t *bytes, size_t have, size_t len);

/* What travels sealed and is no packet: OpenVPN's ping.c and occ.c. */
#define CONTROL_STRING_LEN 16
extern const uint8_t sl_tunnel_ping[CONTROL_STRING_LEN];
extern const uint8_t sl_tunnel_occ[CONTROL_STRING_LEN];
#define OCC_EXIT 6

#endif
