/* SPDX-License-Identifier: BSD-2-Clause */
#include "peer.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FRAME_LEAST 60
#define FRAME_MOST  1514
#define WAIT_S	    5	/* for the first frame */
#define QUIET_S	    0.5 /* after so long without one it was the last */

static void usage(const char *program, const char *const *ways)
{
	fprintf(stderr,
		"usage: %s rx|tx INTERFACE SIZE SECONDS [WAY]\nSIZE: %d to %d; WAY:", program,
		FRAME_LEAST, FRAME_MOST);
	while (*ways)
		fprintf(stderr, " %s", *ways++);
	fputc('\n', stderr);
	exit(2);
}

struct peer peer_args(int argc, char **argv, const char *const *ways)
{
	struct peer peer = {.way = argc > 5 ? argv[5] : ""};
	const char *const *way = ways;
	char *end_size, *end_seconds;

	if (argc < 5 || argc > 6)
		usage(argv[0], ways);
	peer.tx = !strcmp(argv[1], "tx");
	peer.name = argv[2];
	peer.size = (unsigned)strtoul(argv[3], &end_size, 10);
	peer.seconds = strtod(argv[4], &end_seconds);
	while (*peer.way && *way && strcmp(*way, peer.way))
		way++;
	if (*end_size || *end_seconds || (!peer.tx && strcmp(argv[1], "rx")) ||
	    peer.size < FRAME_LEAST || peer.size > FRAME_MOST || !(peer.seconds > 0) ||
	    (*peer.way && !*way))
		usage(argv[0], ways);
	peer.ifindex = if_nametoindex(peer.name);
	if (!peer.ifindex)
		peer_fail(peer.name);
	return peer;
}

void peer_frame(const struct peer *peer, uint8_t *frame)
{
	static const uint8_t head[] = {
		0x02, 0,  0, 0, 0,   0x02, 0x02, 0, 0,	0,  0, 0x01, 0x08, 0, /* Ethernet */
		0x45, 0,  0, 0, 0,   0,	   0x40, 0, 64, 17, 0, 0,	      /* IPv4 */
		198,  18, 0, 1, 198, 19,   0,	 1, 4,	0,  0, 9,	      /* RFC 2544, C.2.2 */
	};

	memset(frame, 0, peer->size);
	memcpy(frame, head, sizeof(head));
	frame[16] = (uint8_t)((peer->size - 14) >> 8);
	frame[17] = (uint8_t)(peer->size - 14);
	frame[38] = (uint8_t)((peer->size - 34) >> 8);
	frame[39] = (uint8_t)(peer->size - 34);
}

double peer_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

uint64_t peer_sent(const struct peer *peer)
{
	char path[128];
	unsigned long long sent;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/net/%s/statistics/tx_packets", peer->name);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%llu", &sent) != 1)
		peer_fail(path);
	fclose(file);
	return sent;
}

void peer_report(const struct peer *peer, uint64_t packets, double seconds, uint64_t drops)
{
	printf("{\"what\": \"%s\", \"size\": %u, \"packets\": %llu, \"seconds\": %.6f, "
	       "\"pps\": %.0f, \"drops\": %llu}\n",
	       peer->tx ? "tx" : "rx", peer->size, (unsigned long long)packets, seconds,
	       seconds > 0 ? (double)packets / seconds : 0, (unsigned long long)drops);
}

bool peer_count(struct peer_count *count, const struct peer *peer, unsigned packets)
{
	double now = peer_now();

	if (packets && !count->packets)
		count->first = now;
	if (packets)
		count->last = now;
	count->packets += packets;
	return now - (count->packets ? count->last : count->begin + WAIT_S) < QUIET_S &&
	       now - count->begin < WAIT_S + peer->seconds;
}

void peer_fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}
