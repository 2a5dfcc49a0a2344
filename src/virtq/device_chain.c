/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors, each already copied, into checked pieces of memory. */
#include "base/bytes.h"
#include "base/reason.h"
#include "virtq/device_private.h"
#include "virtq/packed.h"
#include "virtq/shared.h"

static const char *why_not(int err)
{
	switch (err) {
	case -EACCES:
		return "a descriptor's memory may not be accessed so";
	case -EMSGSIZE:
		return "a buffer has too many pieces";
	case -ERANGE:
		return "a descriptor reaches past the end of all addresses";
	default:
		return "a descriptor's memory is not mapped";
	}
}

/* Which mapping an address that is mapped lies in. */
static size_t find(const struct sl_mapping *m, size_t count, sl_iova iova)
{
	size_t low = 0;

	while (count > 1) {
		size_t half = count / 2;

		if (sl_iova_cmp(m[low + half].at.first, iova) <= 0)
			low += half;
		count -= half;
	}
	return low;
}

int sl_virtq_device_refuse(struct virtq_device *vq, int err)
{
	return sl_virtq_device_break(vq, why_not(err));
}

int sl_virtq_device_look_up(struct virtq_device *vq, unsigned what, sl_iova iova, uint32_t len,
			    uint32_t access, struct iovec *pieces, unsigned max)
{
	const struct virtq_setup *setup = &vq->setup;
	const struct sl_mapping *m;
	size_t count;
	int n = sl_space_lookup(setup->space, iova, len, access, pieces, max), err;

	if (n == -EFAULT && setup->miss) {
		err = setup->miss(setup->miss_ctx, iova, len);
		if (!err)
			n = sl_space_lookup(setup->space, iova, len, access, pieces, max);
		else if (err == -EAGAIN)
			n = err;
	}
	if (n < 0)
		return n;
	m = sl_space_mappings(setup->space, &count);
	vq->hint[what] = find(m, count, iova);
	return n;
}

/* Nearly always it lies in the mapping that it was in the last time. NULL: look it up */
static inline void *nearby(const struct virtq_device *vq, unsigned what, uint64_t addr,
			   uint32_t len, uint32_t access)
{
	size_t count;
	const struct sl_mapping *m = sl_space_mappings(vq->setup.space, &count);
	uint64_t offset;

	if (vq->hint[what] >= count)
		return NULL;
	m += vq->hint[what];
	/* A mapping ends by 2^64, so that of an address before it this is not below its length. */
	offset = addr - m->at.first.value;
	if (offset >= m->region.len || len > m->region.len - offset || access & ~m->region.access)
		return NULL;
	return (uint8_t *)m->region.base + offset;
}

static inline int resolve(struct virtq_device *vq, unsigned what, sl_iova iova, uint32_t len,
			  uint32_t access, struct iovec *pieces, unsigned max)
{
	void *at = max ? nearby(vq, what, iova.value, len, access) : NULL;
	int n;

	if (at) {
		*pieces = (struct iovec){at, len};
		return 1;
	}
	n = sl_virtq_device_look_up(vq, what, iova, len, access, pieces, max);
	return n < 0 ? sl_virtq_device_refuse(vq, n) : n;
}

static int add_pieces(struct virtq_device *vq, struct virtq_chain *chain, uint64_t addr,
		      uint32_t len, bool write)
{
	unsigned n = (unsigned)chain->n_read + chain->n_write;
	unsigned max = sl_min(chain->max, (unsigned)UINT16_MAX);
	int count;

	/* 2.7.4.2: "any device-readable descriptors" come "before any device-writable" ones. */
	if (!write && chain->n_write)
		return sl_virtq_device_break(vq, "a descriptor to read is behind one to write");
	if (!len)
		return 0;
	if (len > UINT32_MAX - chain->read_len - (uint64_t)chain->write_len)
		return sl_virtq_device_break(vq, "a buffer of 2^32 bytes and more");
	count = resolve(vq, FOR_BUFFERS, (sl_iova){addr}, len,
			write ? SL_REGION_WRITE : SL_REGION_READ, chain->pieces + n, max - n);
	if (count < 0)
		return count;
	if (write) {
		chain->n_write = (uint16_t)(chain->n_write + count);
		chain->write_len += len;
	} else {
		chain->n_read = (uint16_t)(chain->n_read + count);
		chain->read_len += len;
	}
	return 0;
}

/* 2.8.8: in a packed queue's table entries follow each other, and "The VIRTQ_DESC_F_WRITE flags bit
 * is the only valid flag"; in a split queue's they are a chain (2.7.5.3). */
static int add_entry(struct virtq_device *vq, struct virtq_chain *chain, sl_iova table,
		     uint32_t count, uint32_t *at)
{
	struct virtq_desc desc; /* a packed one has address and length at the same places */
	struct virtq_packed_desc packed;
	struct iovec from;
	int err = resolve(vq, FOR_TABLES, (sl_iova){table.value + *at * sizeof(desc)}, sizeof(desc),
			  SL_REGION_READ, &from, 1);

	if (err < 0)
		return err;
	if (sl_shared_copy(&desc, from.iov_base, sizeof(desc)))
		return sl_virtq_device_gone(vq);
	if (vq->setup.packed) {
		memcpy(&packed, &desc, sizeof(packed));
		err = add_pieces(vq, chain, packed.addr, packed.len,
				 packed.flags & VIRTQ_DESC_F_WRITE);
		return err ? err : ++*at < count;
	}
	if (desc.flags & VIRTQ_DESC_F_INDIRECT)
		return sl_virtq_device_break(vq, "an indirect table is in an indirect table");
	err = add_pieces(vq, chain, desc.addr, desc.len, desc.flags & VIRTQ_DESC_F_WRITE);
	if (err || !(desc.flags & VIRTQ_DESC_F_NEXT))
		return err;
	*at = desc.next;
	return *at < count ? 1 : sl_virtq_device_break(vq, "a chain leaves its indirect table");
}

int sl_virtq_device_table(struct virtq_device *vq, sl_iova table, uint32_t len, uint16_t flags)
{
	uint32_t count = len / sizeof(struct virtq_desc);
	struct sl_iova_range range;

	/* 2.7.5.3.1; by 2.7.5.3.2 VIRTQ_DESC_F_WRITE is ignored, and others may come before it. */
	if (!vq->setup.indirect)
		return sl_virtq_device_break(vq, "an indirect table was not negotiated");
	if (flags & VIRTQ_DESC_F_NEXT)
		return sl_virtq_device_break(vq, "an indirect table is not the last of its chain");
	if (!len || len % sizeof(struct virtq_desc))
		return sl_virtq_device_break(vq, "an indirect table is not of whole descriptors");
	/* 2.7.5.3.1: "A driver MUST NOT create a descriptor chain longer than the Queue Size" */
	if (count > vq->setup.size)
		return sl_virtq_device_break(vq, "an indirect table is longer than the queue");
	if (sl_iova_span(table, len, &range))
		return sl_virtq_device_refuse(vq, -ERANGE);
	return (int)count;
}

static int add_table(struct virtq_device *vq, struct virtq_chain *chain, sl_iova table,
		     uint32_t len, uint16_t flags)
{
	int count = sl_virtq_device_table(vq, table, len, flags), more = 1;
	uint32_t at = 0;

	if (count < 0)
		return count;
	for (int n = 0; n < count && more > 0; n++)
		more = add_entry(vq, chain, table, (uint32_t)count, &at);
	return more > 0 ? sl_virtq_device_break(vq, "a chain in an indirect table has no end")
			: more;
}

int sl_virtq_device_add(struct virtq_device *vq, struct virtq_chain *chain, uint64_t addr,
			uint32_t len, uint16_t flags)
{
	int err;

	if (flags & VIRTQ_DESC_F_INDIRECT)
		return add_table(vq, chain, (sl_iova){addr}, len, flags);
	err = add_pieces(vq, chain, addr, len, flags & VIRTQ_DESC_F_WRITE);
	return err ? err : !!(flags & VIRTQ_DESC_F_NEXT);
}
