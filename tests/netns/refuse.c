/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For LD_PRELOAD: makes the kernel an older, a poorer or a busier one for a program. REFUSE holds
 * words with commas between; WORD=N refuses every Nth time only. What was refused is said on
 * standard error when the program ends.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO	    104
#endif

#define FDS 1024

enum what {
	GRO,	      /* setsockopt(UDP_GRO): before Linux 5.0 */
	TRAIN_EINVAL, /* messages with UDP_SEGMENT */
	TRAIN_EIO,    /* UDP_SEGMENT where no device does checksums: before 6.11 */
	USO,	      /* TUNSETOFFLOAD: before 6.2 */
	TSO,	      /* ... and TSO as well */
	CSUM,	      /* ... and everything else */
	GSO_WRITE,    /* super-packets written to a TUN interface: 6.6.44, some of them */
	NO_BUFFER,    /* sending: ENOBUFS */
	FULL,	      /* sending: EAGAIN */
	PARTIAL,      /* sending: only the first message */
	WHATS
};

static struct {
	const char *word;
	unsigned every; /* 0: never */
	atomic_uint asked, calls, packets;
} refusals[WHATS] = {
	[GRO] = {"udp_gro"},
	[TRAIN_EINVAL] = {"udp_segment_einval"},
	[TRAIN_EIO] = {"udp_segment_eio"},
	[USO] = {"uso"},
	[TSO] = {"tso"},
	[CSUM] = {"csum"},
	[GSO_WRITE] = {"write_einval"},
	[NO_BUFFER] = {"enobufs"},
	[FULL] = {"eagain"},
	[PARTIAL] = {"partial"},
};

static bool is_tun[FDS];

__attribute__((constructor)) static void parse(void)
{
	const char *words = getenv("REFUSE");
	char *copy = strdup(words ? words : ""), *rest = copy, *word;

	while (copy && (word = strtok_r(NULL, ",", &rest))) {
		char *every = strchr(word, '=');
		unsigned i = 0;

		if (every)
			*every++ = '\0';
		while (i < WHATS && strcmp(refusals[i].word, word) != 0)
			i++;
		if (i == WHATS)
			abort();
		refusals[i].every = every ? (unsigned)atoi(every) : 1;
	}
	free(copy);
}

__attribute__((destructor)) static void report(void)
{
	for (unsigned i = 0; i < WHATS; i++)
		if (refusals[i].every)
			fprintf(stderr, "refused %s: calls=%u packets=%u\n", refusals[i].word,
				refusals[i].calls, refusals[i].packets);
}

static bool refuses(enum what what, unsigned packets)
{
	if (!refusals[what].every || ++refusals[what].asked % refusals[what].every)
		return false;
	refusals[what].calls++;
	refusals[what].packets += packets;
	return true;
}

static int fail(int err)
{
	errno = err;
	return -1;
}

/*
 * The socket.
 */

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	typedef int fn(int, int, int, const void *, socklen_t);
	fn *real = (fn *)dlsym(RTLD_NEXT, "setsockopt");

	if (level == IPPROTO_UDP && name == UDP_GRO && refuses(GRO, 0))
		return fail(ENOPROTOOPT);
	return real(fd, level, name, value, len);
}

/* How many packets the message is. */
static unsigned packets_of(const struct msghdr *hdr)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(hdr);
	size_t len = 0;
	uint16_t size;

	if (!c || c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_SEGMENT)
		return 1;
	memcpy(&size, CMSG_DATA(c), sizeof(size));
	for (size_t i = 0; i < hdr->msg_iovlen; i++)
		len += hdr->msg_iov[i].iov_len;
	return (unsigned)((len + size - 1) / size);
}

static int refuse_train(const struct msghdr *hdr)
{
	unsigned packets = packets_of(hdr);

	if (packets > 1 && refuses(TRAIN_EINVAL, packets))
		return EINVAL;
	return packets > 1 && refuses(TRAIN_EIO, packets) ? EIO : 0;
}

static bool is_netlink(const struct msghdr *hdr)
{
	const struct sockaddr *to = hdr->msg_name;

	return to && to->sa_family == AF_NETLINK;
}

static int refuse_message(const struct msghdr *hdr)
{
	int err = refuse_train(hdr);

	if (is_netlink(hdr))
		return 0;
	if (!err && refuses(NO_BUFFER, packets_of(hdr)))
		err = ENOBUFS;
	return !err && refuses(FULL, packets_of(hdr)) ? EAGAIN : err;
}

ssize_t sendmsg(int fd, const struct msghdr *hdr, int flags)
{
	typedef ssize_t fn(int, const struct msghdr *, int);
	fn *real = (fn *)dlsym(RTLD_NEXT, "sendmsg");
	int err = refuse_message(hdr);

	return err ? fail(err) : real(fd, hdr, flags);
}

/* An error is only told when nothing was sent before it. */
int sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	typedef int fn(int, struct mmsghdr *, unsigned, int);
	fn *real = (fn *)dlsym(RTLD_NEXT, "sendmmsg");
	int err = n ? refuse_message(&msgs->msg_hdr) : 0;
	unsigned i = 1;

	if (err)
		return fail(err);
	while (i < n && !refuse_train(&msgs[i].msg_hdr))
		i++;
	if (i > 1 && refuses(PARTIAL, i - 1))
		i = 1;
	return real(fd, msgs, n ? i : 0, flags);
}

/*
 * The interface.
 */

static bool refuse_offloads(unsigned long tun_f)
{
	const unsigned uso = TUN_F_USO4 | TUN_F_USO6, tso = TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

	return (tun_f & uso && refuses(USO, 0)) || (tun_f & (uso | tso) && refuses(TSO, 0)) ||
	       (tun_f && refuses(CSUM, 0));
}

int ioctl(int fd, unsigned long request, ...)
{
	typedef int fn(int, unsigned long, ...);
	fn *real = (fn *)dlsym(RTLD_NEXT, "ioctl");
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (request == TUNSETIFF && fd >= 0 && fd < FDS)
		is_tun[fd] = true;
	if (request == TUNSETOFFLOAD && refuse_offloads((unsigned long)arg))
		return fail(EINVAL);
	return real(fd, request, arg);
}

static bool refuse_write(int fd, const struct virtio_net_hdr *hdr)
{
	return fd >= 0 && fd < FDS && is_tun[fd] && hdr->gso_type && refuses(GSO_WRITE, 1);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
	typedef ssize_t fn(int, const void *, size_t);
	fn *real = (fn *)dlsym(RTLD_NEXT, "write");

	return len && refuse_write(fd, bytes) ? fail(EINVAL) : real(fd, bytes, len);
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
	typedef ssize_t fn(int, const struct iovec *, int);
	fn *real = (fn *)dlsym(RTLD_NEXT, "writev");

	return n && refuse_write(fd, iov->iov_base) ? fail(EINVAL) : real(fd, iov, n);
}
