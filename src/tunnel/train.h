/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sealed packets on their way to the socket. Those of one size that follow each other are a
 * train: the kernel takes it in one call (UDP_SEGMENT, Linux 4.18) and sends each as a datagram
 * of its own.
 */
#ifndef SL_TUNNEL_TRAIN_H
#define SL_TUNNEL_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <sluice/counters.h>

#include "tunnel/address.h"

#define SEGMENTS_MAX	 512   /* sealed packets that wait */
#define TRAINS_MAX	 128   /* trains that wait */
#define TRAIN_MAX	 64    /* segments of a train (UDP_MAX_SEGMENTS) */
#define TRAIN_BYTES	 65000 /* below what an IPv4 packet may have */
#define SEGMENT_IOVS_MAX 8     /* pieces of a sealed packet */

/**
 * struct train - segments that travel together
 * @size:   of each but the last, bytes with the seal
 * @first:  its first segment, @n of them; both move on when they are sent singly
 * @mark:   handed back when it is sent: what is over then
 * @singly: the kernel refused to take it whole
 */
struct train {
	unsigned first, n;
	uint32_t size, bytes;
	uint32_t mark;
	bool closed, singly;
};

/**
 * struct yard - what waits
 * @whole:    UDP_SEGMENT works as far as is known
 * @largest:  segment that fits the path: larger ones would have to be fragmented, which the
 *            kernel does not do to trains
 * @next:     the first train that is not sent
 * @mark:     what is over already, whatever comes of the trains that follow
 */
struct yard {
	int fd;
	bool whole;
	uint32_t largest;
	struct sl_address to;
	uint32_t mark;
	unsigned n_segments, n_trains, next, n_iovs;
	struct {
		uint16_t iov, n;
		uint32_t len;
	} segments[SEGMENTS_MAX];
	struct train trains[TRAINS_MAX];
	struct iovec iovs[SEGMENTS_MAX * SEGMENT_IOVS_MAX];
	struct mmsghdr msgs[TRAINS_MAX];
	uint8_t control[TRAINS_MAX][CMSG_SPACE(sizeof(uint16_t))];
};

/** sl_yard_open() - @fd: not owned */
void sl_yard_open(struct yard *yard, int fd);

/** sl_yard_path() - the largest segment that fits; on another path trains are tried again */
static inline void sl_yard_path(struct yard *yard, uint32_t largest)
{
	yard->whole |= largest != yard->largest;
	yard->largest = largest;
}

/** sl_yard_room() - may another segment be added? */
static inline bool sl_yard_room(const struct yard *yard)
{
	return yard->n_segments < SEGMENTS_MAX && yard->n_trains < TRAINS_MAX;
}

/** sl_yard_iov() - where the pieces of the next segment go: SEGMENT_IOVS_MAX of them */
static inline struct iovec *sl_yard_iov(struct yard *yard)
{
	return &yard->iovs[yard->n_iovs];
}

/** sl_yard_add() - the next segment has @n pieces and @len bytes; there is room */
void sl_yard_add(struct yard *yard, unsigned n, uint32_t len);

/** sl_yard_mark() - what is over once the last train so far is sent; at once when there is none */
static inline void sl_yard_mark(struct yard *yard, uint32_t mark)
{
	yard->mark = mark;
	if (yard->n_trains)
		yard->trains[yard->n_trains - 1].mark = mark;
}

/**
 * sl_yard_send() - send what waits
 * @count: packets, bytes without the seal, and drops are counted there
 * @mark:  set to that of the last train that went or was dropped; else left alone
 *
 * Return: true when nothing waits any more: the yard is empty; false when the socket is full.
 */
bool sl_yard_send(struct yard *yard, struct sl_count *count, uint32_t *mark);

/** sl_yard_clear() - forget what waits; returns how many segments that were */
unsigned sl_yard_clear(struct yard *yard);

#endif
