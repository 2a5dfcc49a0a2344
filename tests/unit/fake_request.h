/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An offer's part towards a model: requests, each byte of which lies in memory of its own that a
 * sanitizer watches, and who is told when they are done.
 */
#ifndef SL_TESTS_FAKE_REQUEST_H
#define SL_TESTS_FAKE_REQUEST_H

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/model.h>
#include <sluice/offer.h>

#include "base/bytes.h"
#include "base/clock.h"

#define FAKE_PIECES 256

/** struct fake_request - @done: how often it was given back; @written: with what */
struct fake_request {
	struct sl_request req;
	struct iovec pieces[FAKE_PIECES];
	uint32_t written;
	unsigned done;
};

struct fake_offer {
	unsigned done, changed;
};

static struct fake_offer fake_offer;

void sl_request_done(struct sl_request *req, uint32_t written)
{
	struct fake_request *r = sl_container_of((uintptr_t)req, struct fake_request, req);

	r->written = written;
	r->done++;
	fake_offer.done++;
}

void sl_offer_changed(struct sl_offer *offer)
{
	(void)offer;
	fake_offer.changed++;
}

static void fake_request_init(struct fake_request *r, const struct sl_model *m)
{
	struct sl_model_info info;

	m->ops->info(m, &info);
	memset(r, 0, sizeof(*r));
	r->req.data = aligned_alloc(16, (info.request_data + 15) & ~(size_t)15);
	memset(r->req.data, 0xa5, info.request_data);
	r->req.read = r->req.write = r->pieces;
}

/* Pieces that the device reads come first. */
static void fake_request_add(struct fake_request *r, bool write, void *base, size_t len)
{
	unsigned n = r->req.n_read + r->req.n_write;

	r->pieces[n] = (struct iovec){base, len};
	if (write) {
		r->req.n_write++;
		r->req.write_len += (uint32_t)len;
	} else {
		r->req.n_read++;
		r->req.read_len += (uint32_t)len;
		r->req.write = r->pieces + n + 1;
	}
}

static inline void fake_request_free(struct fake_request *r)
{
	free(r->req.data);
}

/* As a worker would, until so many requests were given back. False when 20 seconds did not do. */
static inline bool fake_offer_run(struct sl_model *m, unsigned until)
{
	struct pollfd wait = {.fd = m->ops->fd(m), .events = POLLIN};

	for (uint64_t end = sl_now_ns() + 20 * SL_NS_PER_S; sl_now_ns() < end;) {
		m->ops->submit(m);
		m->ops->reap(m);
		if (fake_offer.done >= until)
			return true;
		if (!m->ops->arm(m))
			poll(&wait, 1, 1);
	}
	return false;
}

#endif
