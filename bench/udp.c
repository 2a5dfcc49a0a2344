/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UDP at a given rate, for bench/tap.py: what is due is sent every 100 us with
 * sendmmsg(2); the receiver counts.
 *
 *     udp send ADDRESS SIZE RATE SECONDS     prints how many were sent, in how many seconds
 *     udp receive                            prints "ready", then how many came
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORT	   5009
#define BATCH	   64
#define PAYLOAD	   2048
#define SOCKET_BUF (4 << 20)
#define TICK_NS	   100000
#define BEHIND_S   0.002 /* what is due for longer is never sent: no floods after a pause */
#define QUIET_S	   0.3	 /* after so long without a packet it was the last */
#define START_S	   5	 /* how long the receiver waits for the first */

static uint8_t payload[BATCH][PAYLOAD];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fill(struct mmsghdr *msgs, struct iovec *iov, size_t size)
{
	memset(msgs, 0, BATCH * sizeof(*msgs));
	for (unsigned i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){payload[i], size};
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
}

static int send_all(int fd, const char *address, size_t size, double rate, double seconds)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	const struct timespec tick = {0, TICK_NS};
	struct mmsghdr msgs[BATCH];
	struct iovec iov[BATCH];
	double start, t;
	uint64_t sent = 0, given_up = 0;

	if (size > PAYLOAD || inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)))
		return perror("udp send"), 1;
	fill(msgs, iov, size);
	start = now();
	while ((t = now() - start) < seconds) {
		uint64_t due = (uint64_t)(t * rate) - sent - given_up;
		uint64_t most = 1 + (uint64_t)(BEHIND_S * rate);
		int n;

		if (due > most) {
			given_up += due - most;
			due = most;
		}
		n = due ? sendmmsg(fd, msgs, due < BATCH ? (unsigned)due : BATCH, 0) : 0;

		if (n > 0)
			sent += (uint64_t)n;
		if (due <= BATCH)
			nanosleep(&tick, NULL);
	}
	printf("%llu %.6f\n", (unsigned long long)sent, t);
	return 0;
}

/* Looks every tick instead of being woken, perhaps once a packet: between two virtual CPUs
 * that is dear, and it is the path that is to be measured. */
static int receive_all(int fd)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	const struct timespec tick = {0, TICK_NS};
	struct mmsghdr msgs[BATCH];
	struct iovec iov[BATCH];
	double last = now() + START_S;
	uint64_t got = 0;

	if (bind(fd, (struct sockaddr *)&any, sizeof(any)))
		return perror("udp receive"), 1;
	fill(msgs, iov, PAYLOAD);
	puts("ready");
	fflush(stdout);
	while (now() - last < QUIET_S) {
		int n = recvmmsg(fd, msgs, BATCH, MSG_DONTWAIT, NULL);

		if (n > 0) {
			got += (uint64_t)n;
			last = now();
		}
		if (n < BATCH)
			nanosleep(&tick, NULL);
	}
	printf("%llu\n", (unsigned long long)got);
	return 0;
}

int main(int argc, char **argv)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), size = SOCKET_BUF;

	/* FORCE as root, so that it is not the socket's buffer that is measured. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		return perror("udp: socket buffers"), 1;
	if (argc == 6 && !strcmp(argv[1], "send"))
		return send_all(fd, argv[2], strtoul(argv[3], NULL, 10), strtod(argv[4], NULL),
				strtod(argv[5], NULL));
	if (argc == 2 && !strcmp(argv[1], "receive"))
		return receive_all(fd);
	fprintf(stderr, "usage: udp send ADDRESS SIZE RATE SECONDS | udp receive\n");
	return 2;
}
