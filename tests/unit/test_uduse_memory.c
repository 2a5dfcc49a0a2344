/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory that the driver's side of uduse lends to daemons: its entries, and what is bounced. */
#include <fcntl.h>

#include "fake_daemon.h"

static int entry_at(uint64_t start, uint64_t last)
{
	struct vduse_iotlb_entry entry = {.offset = 1, .start = start, .last = last};

	return rig_call(VDUSE_IOTLB_GET_FD, &entry, sizeof(entry));
}

/* Can the daemon make of the file of rig.msg what it likes? It is closed. */
static bool is_sealed(bool for_reading)
{
	int fd = rig.msg.fd;
	size_t len = rig.msg.payload.entry.last - rig.msg.payload.entry.start + 1;
	void *writable = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	void *readable = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	bool ok = readable != MAP_FAILED && (writable == MAP_FAILED) == for_reading;

	ok &= ftruncate(fd, 0) && ftruncate(fd, (off_t)len * 2) && ftruncate(fd, (off_t)len) == 0;
	ok &= fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0;
	if (for_reading) {
		ok &= mprotect(readable, len, PROT_READ | PROT_WRITE) < 0;
		ok &= write(fd, "x", 1) < 0 && errno == EPERM;
		ok &= fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) < 0;
		ok &= madvise(readable, len, MADV_REMOVE) < 0;
	}
	if (writable != MAP_FAILED)
		munmap(writable, len);
	munmap(readable, len);
	sl_fd_close(&rig.msg.fd);
	return ok;
}

/* One entry behind the other; what is read cannot be written. */
static void test_iotlb(void **state)
{
	const struct vduse_iotlb_entry *e = &rig.msg.payload.entry;
	uint64_t from = 0;
	unsigned n = 0;
	sl_iova iova[2];
	void *at[2];

	(void)state;
	rig_serve();
	assert_int_equal(sl_uduse_alloc(rig.u, 5000, false, &at[0], &iova[0]), 0);
	assert_int_equal(sl_uduse_alloc(rig.u, 1, true, &at[1], &iova[1]), 0);
	for (; !entry_at(from, UINT64_MAX); n++) {
		assert_true(e->start >= from && e->last >= e->start);
		assert_int_equal(e->offset, 0);
		assert_int_equal(e->perm, n % 2 ? VDUSE_ACCESS_RW : VDUSE_ACCESS_RO);
		from = e->last + 1;
		assert_true(is_sealed(n % 2 == 0));
	}
	assert_int_equal(n, 4);
	assert_int_equal(entry_at(1, 0), -EINVAL);
	assert_int_equal(entry_at(0, 4095), -EINVAL);
	assert_int_equal(entry_at(iova[0].value + 8192, iova[0].value + 8192), -EINVAL);
	assert_int_equal(entry_at(iova[0].value + 8191, iova[0].value + 8191), 0);
	assert_int_equal(e->start, iova[0].value);
	sl_fd_close(&rig.msg.fd);
	/* It is the same memory. */
	assert_int_equal(entry_at(iova[1].value, iova[1].value), 0);
	memcpy(at[1], "driver", 6);
	assert_int_equal(pwrite(rig.msg.fd, "daemon", 6, 100), 6);
	assert_memory_equal((char *)at[1] + 100, "daemon", 6);
	sl_fd_close(&rig.msg.fd);
}

static void test_iotlb_info(void **state)
{
	struct vduse_iova_info info = {.start = 0, .last = UINT64_MAX, .capability = 7};

	(void)state;
	rig_serve();
	assert_int_equal(rig_call(VDUSE_IOTLB_GET_INFO, &info, sizeof(info)), 0);
	assert_int_equal(rig.msg.payload.iova.last - rig.msg.payload.iova.start, RIG_BOUNCE - 1);
	assert_int_equal(rig.msg.payload.iova.capability, 0);
	info.reserved[2] = 1;
	assert_int_equal(rig_call(VDUSE_IOTLB_GET_INFO, &info, sizeof(info)), -EINVAL);
	info = (struct vduse_iova_info){.start = 1};
	assert_int_equal(rig_call(VDUSE_IOTLB_GET_INFO, &info, sizeof(info)), -EINVAL);
}

static void test_update_iotlb(void **state)
{
	struct vduse_dev_request r;
	sl_iova iova, first;
	void *at;

	(void)state;
	rig_serve();
	assert_int_equal(sl_uduse_alloc(rig.u, 1, true, &at, &first), 0);
	rig_drive(&ring);
	rig_will_respond(VDUSE_REQ_RESULT_OK);
	assert_int_equal(sl_uduse_alloc(rig.u, 1, true, &at, &iova), 0);
	r = rig_request();
	assert_int_equal(r.type, VDUSE_UPDATE_IOTLB);
	assert_int_equal(r.iova.start, iova.value);
	assert_int_equal(r.iova.last, iova.value + 4095);
	rig_will_respond(VDUSE_REQ_RESULT_OK);
	assert_int_equal(sl_uduse_free(rig.u, iova), 0);
	r = rig_request();
	assert_int_equal(r.iova.start, iova.value);
	assert_int_equal(entry_at(iova.value, iova.value), -EINVAL);
	assert_int_equal(sl_uduse_free(rig.u, iova), -EINVAL);
	rig_will_respond(VDUSE_REQ_RESULT_FAILED);
	assert_int_equal(sl_uduse_free(rig.u, first), -EIO);
	rig_request();
	assert_int_equal(entry_at(first.value, first.value), -EINVAL);
}

static void test_too_much_memory(void **state)
{
	sl_iova iova;
	void *at;
	unsigned n = 0;

	(void)state;
	while (!sl_uduse_alloc(rig.u, 1, true, &at, &iova))
		n++;
	assert_true(n > 2 * UDUSE_QUEUES_MAX && n < 1000);
	assert_int_equal(sl_uduse_free(rig.u, iova), 0);
	assert_int_equal(sl_uduse_alloc(rig.u, SIZE_MAX, true, &at, &iova), -ENOSPC);
	assert_int_equal(sl_uduse_alloc(rig.u, 0, true, &at, &iova), -ENOSPC);
}

/* The daemon's view of an address. */
static void *daemon_map(sl_iova iova, size_t len, size_t *off, size_t *map_len)
{
	void *at;

	assert_int_equal(entry_at(iova.value, iova.value), 0);
	assert_true(rig.msg.payload.entry.last >= iova.value + len - 1);
	*off = iova.value - rig.msg.payload.entry.start;
	*map_len = rig.msg.payload.entry.last - rig.msg.payload.entry.start + 1;
	at = mmap(NULL, *map_len,
		  PROT_READ | (rig.msg.payload.entry.perm & VDUSE_ACCESS_WO ? PROT_WRITE : 0),
		  MAP_SHARED, rig.msg.fd, 0);
	assert_ptr_not_equal(at, MAP_FAILED);
	sl_fd_close(&rig.msg.fd);
	return at;
}

static void test_bounce(void **state)
{
	char sent[] = "what is sent", got[16] = "................";
	size_t off, len;
	sl_iova iova, other;
	char *seen;

	(void)state;
	rig_serve();
	assert_int_equal(rig.v->ops->map(rig.v, sent, sizeof(sent), false, &iova), 0);
	seen = daemon_map(iova, sizeof(sent), &off, &len);
	assert_memory_equal(seen + off, sent, sizeof(sent));
	memset(sent, 0, sizeof(sent));
	assert_memory_equal(seen + off, "what is sent", sizeof(sent));
	munmap(seen, len);
	rig.v->ops->unmap(rig.v, iova, UINT32_MAX); /* nothing comes back */
	assert_int_equal(sent[0], 0);

	assert_int_equal(rig.v->ops->map(rig.v, got, 8, true, &iova), 0);
	seen = daemon_map(iova, 8, &off, &len);
	memcpy(seen + off, "0123456789", 10);
	rig.v->ops->unmap(rig.v, iova, 3);
	assert_memory_equal(got, "012.............", 16);
	/* Not twice, not in the middle, not what never was. */
	assert_int_equal(rig.v->ops->map(rig.v, got + 8, 8, true, &other), 0);
	assert_int_equal(other.value, iova.value);
	rig.v->ops->unmap(rig.v, other, UINT32_MAX);
	rig.v->ops->unmap(rig.v, other, UINT32_MAX);
	rig.v->ops->unmap(rig.v, (sl_iova){other.value + 1}, 8);
	rig.v->ops->unmap(rig.v, (sl_iova){0}, 8);
	rig.v->ops->unmap(rig.v, (sl_iova){UINT64_MAX}, 8);
	assert_int_equal(memcmp(got, "012.....", 8), 0);
	munmap(seen, len);
}

static void test_bounce_full(void **state)
{
	static uint8_t buffer[RIG_BOUNCE + 1];
	sl_iova iova[RIG_BOUNCE / 4096], more;
	unsigned n = 0;

	(void)state;
	rig_serve();
	rig_drive(&ring);
	while (n < sl_array_len(iova) && !rig.v->ops->map(rig.v, buffer, 4000, false, &iova[n]))
		n++;
	assert_int_equal(n, sl_array_len(iova));
	assert_int_equal(rig.v->ops->map(rig.v, buffer, 1, false, &more), -ENOSPC);
	assert_int_equal(rig.v->ops->map(rig.v, buffer, RIG_BOUNCE, true, &more), 0);
	assert_int_equal(rig.v->ops->map(rig.v, buffer, RIG_BOUNCE + 1, true, &more), -EMSGSIZE);
	rig.v->ops->unmap(rig.v, iova[3], 0);
	assert_int_equal(rig.v->ops->map(rig.v, buffer, 1, false, &more), 0);
	/* A reset takes all back. */
	rig_status(0);
	assert_int_equal(rig.v->ops->map(rig.v, buffer, RIG_BOUNCE, false, &more), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(test_iotlb),	     RIG_TEST(test_iotlb_info),
		RIG_TEST(test_update_iotlb), RIG_TEST(test_too_much_memory),
		RIG_TEST(test_bounce),	     RIG_TEST(test_bounce_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
