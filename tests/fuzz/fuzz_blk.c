/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes are requests to a disk in memory: what they say and how they lie in pieces. Each is
 * given back once, with a status that there is, and nothing outside its pieces and the disk is
 * touched.
 */
#include "fuzz.h"

#include <string.h>

#include <linux/virtio_blk.h>
#include <sluice/offer.h>

#include "base/bytes.h"
#include "offer/kinds.h"

#define MEMORY	   (16u << 10) /* of the driver's */
#define PIECES_MAX 160
#define REQUESTS   64

struct input {
	const uint8_t *data;
	size_t len;
};

static unsigned n_done;
static uint32_t n_written;

void sl_request_done(struct sl_request *req, uint32_t written)
{
	must(written <= req->write_len);
	n_written = written;
	n_done++;
}

void sl_offer_changed(struct sl_offer *offer)
{
	(void)offer;
}

static uint32_t take(struct input *in, unsigned bytes)
{
	uint32_t v = 0;

	bytes = (unsigned)sl_min(bytes, in->len);
	memcpy(&v, in->data, bytes);
	in->data += bytes;
	in->len -= bytes;
	return v;
}

static struct sl_model *open_disk(const char *spec)
{
	struct sl_model *m = NULL;
	struct sl_args *args;

	must(!sl_args_parse("blk", spec, sl_model_blk.params, &args));
	must(!sl_model_blk.open(args, NULL, &m));
	sl_args_release(args);
	return m;
}

/* A header that means something, mostly; sectors near the end. */
static void make_header(struct input *in, uint8_t *memory)
{
	struct virtio_blk_outhdr head = {
		.type = take(in, 1) % 16,
		.sector = take(in, 1),
	};
	struct virtio_blk_discard_write_zeroes seg = {
		.sector = take(in, 1),
		.num_sectors = take(in, 1),
		.flags = take(in, 1) & 3,
	};
	unsigned wild = take(in, 1);

	if (wild & 1)
		head.sector |= (uint64_t)take(in, 4) << 32;
	if (wild & 2)
		head.type |= take(in, 4);
	if (wild & 4)
		seg.sector |= (uint64_t)take(in, 4) << 32;
	if (wild & 8)
		seg.num_sectors |= take(in, 4);
	memcpy(memory, &head, sizeof(head));
	memcpy(memory + sizeof(head), &seg, sizeof(seg));
}

/* Pieces one behind the other in memory that ends where the last of them does. */
static void make_pieces(struct input *in, struct sl_request *req, struct iovec *pieces,
			uint8_t *memory)
{
	unsigned n = take(in, 1) % PIECES_MAX, n_read = take(in, 1) % PIECES_MAX;
	size_t left = MEMORY;
	uint8_t *at = memory;

	for (unsigned i = 0; i < n && left; i++) {
		uint32_t len = take(in, 1) & 1 ? 512 * (1 + take(in, 1) % 16) : 1 + take(in, 1);

		len = (uint32_t)sl_min(len, left);
		pieces[i] = (struct iovec){at, len};
		at += len;
		left -= len;
		if (i < n_read) {
			req->n_read++;
			req->read_len += len;
		} else {
			req->n_write++;
			req->write_len += len;
		}
	}
	req->read = pieces;
	req->write = pieces + req->n_read;
}

static void one(struct input *in, struct sl_model *m, void *data)
{
	uint8_t *memory = calloc(1, MEMORY), *status = NULL;
	struct iovec pieces[PIECES_MAX];
	struct sl_request req = {.data = data};

	make_header(in, memory);
	make_pieces(in, &req, pieces, memory);
	n_done = 0;
	if (req.n_write) {
		status = (uint8_t *)req.write[req.n_write - 1].iov_base +
			 req.write[req.n_write - 1].iov_len - 1;
		*status = 0xee;
	}
	m->ops->request(m, &req);
	m->ops->submit(m);
	m->ops->reap(m);
	must(n_done == 1);
	must(!req.n_write || *status <= VIRTIO_BLK_S_UNSUPP);
	must(n_written <= req.write_len && (req.write_len != 1 || n_written == 1));
	free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sl_model *disks[3];
	struct input in = {data, size};
	struct sl_model_info info;
	struct sl_model *m;
	void *own;

	if (!disks[0]) {
		disks[0] = open_disk("mem=64K,serial=fuzz");
		disks[1] = open_disk("mem=64K,ro=on,block-size=4096");
		disks[2] = open_disk("null");
	}
	m = disks[take(&in, 1) % 3];
	m->ops->info(m, &info);
	must(!m->ops->start(m, info.features));
	own = malloc(info.request_data);
	for (unsigned i = 0; i < REQUESTS && in.len; i++)
		one(&in, m, own);
	free(own);
	return 0;
}
