/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#include <sluice/data_channel.h>

#include "base/count.h"
#include "tunnel/train.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

void sl_yard_open(struct yard *yard, int fd)
{
	yard->fd = fd;
	yard->whole = true;
}

static void start_train(struct yard *yard, uint32_t len)
{
	struct train *train = &yard->trains[yard->n_trains++];

	*train = (struct train){
		.first = yard->n_segments,
		.size = len,
		.closed = !yard->whole || len > yard->largest,
		.mark = yard->mark, /* it may end nothing */
	};
}

void sl_yard_add(struct yard *yard, unsigned n, uint32_t len)
{
	struct train *train = yard->n_trains ? &yard->trains[yard->n_trains - 1] : NULL;

	if (!train || train->closed || len > train->size || train->n == TRAIN_MAX ||
	    train->bytes + len > TRAIN_BYTES) {
		start_train(yard, len);
		train = &yard->trains[yard->n_trains - 1];
	}
	train->closed |= len < train->size;
	train->n++;
	train->bytes += len;
	yard->segments[yard->n_segments].iov = (uint16_t)yard->n_iovs;
	yard->segments[yard->n_segments].n = (uint16_t)n;
	yard->segments[yard->n_segments].len = len;
	yard->n_segments++;
	yard->n_iovs += n;
}

/*
 * Sending.
 */

static unsigned iovs_of(const struct yard *yard, unsigned first, unsigned n)
{
	unsigned last = first + n - 1;

	return yard->segments[last].iov + yard->segments[last].n - yard->segments[first].iov;
}

static void set_message(struct yard *yard, struct msghdr *hdr, unsigned first, unsigned n)
{
	memset(hdr, 0, sizeof(*hdr));
	hdr->msg_name = &yard->to.sa;
	hdr->msg_namelen = yard->to.len;
	hdr->msg_iov = &yard->iovs[yard->segments[first].iov];
	hdr->msg_iovlen = iovs_of(yard, first, n);
}

static void set_train(struct yard *yard, unsigned i)
{
	const struct train *train = &yard->trains[i];
	struct msghdr *hdr = &yard->msgs[i].msg_hdr;
	uint16_t size = (uint16_t)train->size;
	struct cmsghdr *c;

	set_message(yard, hdr, train->first, train->n);
	if (train->n == 1)
		return;
	hdr->msg_control = yard->control[i];
	hdr->msg_controllen = sizeof(yard->control[i]);
	c = CMSG_FIRSTHDR(hdr);
	c->cmsg_level = IPPROTO_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(c), &size, sizeof(size));
}

static void count_sent(struct sl_count *count, unsigned segments, uint32_t bytes)
{
	sl_count_add(&count->packets, segments);
	sl_count_add(&count->bytes, bytes - segments * SL_DATA_OVERHEAD);
}

static enum sl_drop reason_of(int err)
{
	switch (err) {
	case EMSGSIZE:
		return SL_DROP_TOO_LARGE;
	case ENOBUFS:
	case ENOMEM:
		return SL_DROP_NO_BUFFER;
	default:
		return SL_DROP_SEND_FAILED;
	}
}

/* Each segment by itself. False when the socket is full. */
static bool send_singly(struct yard *yard, struct train *train, struct sl_count *count)
{
	struct msghdr hdr;

	while (train->n) {
		uint32_t len = yard->segments[train->first].len;

		set_message(yard, &hdr, train->first, 1);
		if (sendmsg(yard->fd, &hdr, MSG_DONTWAIT) >= 0)
			count_sent(count, 1, len);
		else if (errno == EAGAIN)
			return false;
		else if (errno == EINTR)
			continue;
		else
			sl_count_add(&count->drops[reason_of(errno)], 1);
		train->first++;
		train->n--;
	}
	return true;
}

/* The kernel did not take the next train. False when it may later. */
static bool refused(struct yard *yard, int err, struct sl_count *count)
{
	struct train *train = &yard->trains[yard->next];

	if (err == EAGAIN)
		return false;
	if (err == EINTR)
		return true;
	if (train->n > 1 && (err == EMSGSIZE || err == EINVAL || err == EIO)) {
		/* EIO: no device on the way can do the checksums. EINVAL: no such option, or an
		 * older kernel's EMSGSIZE; sl_yard_path() starts anew. */
		yard->whole &= err == EMSGSIZE;
		train->singly = true;
		return true;
	}
	sl_count_add(&count->drops[reason_of(err)], train->n);
	yard->next++;
	return true;
}

static bool send_some(struct yard *yard, struct sl_count *count)
{
	struct train *train = &yard->trains[yard->next];
	unsigned n = 0;
	int sent;

	if (train->singly) {
		if (!send_singly(yard, train, count))
			return false;
		yard->next++;
		return true;
	}
	while (yard->next + n < yard->n_trains && !train[n].singly)
		set_train(yard, yard->next + n++);
	sent = sendmmsg(yard->fd, &yard->msgs[yard->next], n, MSG_DONTWAIT);
	if (sent <= 0)
		return refused(yard, errno, count);
	for (int i = 0; i < sent; i++)
		count_sent(count, train[i].n, train[i].bytes);
	yard->next += (unsigned)sent;
	return true;
}

bool sl_yard_send(struct yard *yard, struct sl_count *count, uint32_t *mark)
{
	while (yard->next < yard->n_trains && send_some(yard, count))
		;
	if (yard->next)
		*mark = yard->trains[yard->next - 1].mark;
	if (yard->next < yard->n_trains)
		return false;
	sl_yard_clear(yard);
	return true;
}

unsigned sl_yard_clear(struct yard *yard)
{
	unsigned left = 0;

	for (; yard->next < yard->n_trains; yard->next++)
		left += yard->trains[yard->next].n;
	yard->n_segments = yard->n_trains = yard->next = yard->n_iovs = 0;
	return left;
}
