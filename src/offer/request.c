/* SPDX-License-Identifier: BSD-2-Clause */
/* A request's bytes: in the driver's memory, so every touch is guarded. */
#include <sluice/guard.h>
#include <sluice/model.h>

#include "base/bytes.h"
#include "base/reason.h"

enum direction {
	FROM_DRIVER,
	TO_DRIVER
};

static int copy(const struct iovec *pieces, unsigned n, uint32_t offset, void *mine, uint32_t len,
		enum direction direction)
{
	uint8_t *at = mine;
	int ret = 0;

	for (unsigned i = 0; i < n && len && !ret; i++) {
		uint8_t *base = pieces[i].iov_base;
		uint32_t here;

		if (offset >= pieces[i].iov_len) {
			offset -= (uint32_t)pieces[i].iov_len;
			continue;
		}
		here = (uint32_t)sl_min((size_t)len, pieces[i].iov_len - offset);
		ret = direction == FROM_DRIVER ? sl_guard_copy(at, base + offset, here)
					       : sl_guard_copy(base + offset, at, here);
		at += here;
		len -= here;
		offset = 0;
	}
	return ret;
}

static int check(uint32_t offset, uint32_t len, uint32_t there)
{
	if (offset > there || len > there - offset)
		return sl_fail(EINVAL, "%u bytes at %u of a request that has %u", len, offset,
			       there);
	return 0;
}

int sl_request_read(const struct sl_request *req, uint32_t offset, void *to, uint32_t len)
{
	int ret = check(offset, len, req->read_len);

	return ret ? ret : copy(req->read, req->n_read, offset, to, len, FROM_DRIVER);
}

int sl_request_write(const struct sl_request *req, uint32_t offset, const void *from, uint32_t len)
{
	int ret = check(offset, len, req->write_len);

	return ret ? ret
		   : copy(req->write, req->n_write, offset, (void *)(uintptr_t)from, len,
			  TO_DRIVER);
}
