/* SPDX-License-Identifier: BSD-2-Clause */
/* Model blk: every request, in every layout, on every store; and what a hostile driver asks. */
#include "blk_rig.h"
#include "offer/blk.h"

#define OK     VIRTIO_BLK_S_OK
#define IOERR  VIRTIO_BLK_S_IOERR
#define UNSUPP VIRTIO_BLK_S_UNSUPP

/* The stores; "uring" may also be one that has to do without it. */
static bool no_uring;

int __real_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
				      struct io_uring_params *p);

int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
				      struct io_uring_params *p);

int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
				      struct io_uring_params *p)
{
	return no_uring ? -EPERM : __real_io_uring_queue_init_params(entries, ring, p);
}

static void each_store(void (*check)(struct disk *d, const char *store))
{
	static const struct {
		const char *name, *more;
		bool file, calls;
	} stores[] = {
		{"memory", "", false, false},
		{"uring", "", true, false},
		{"uring, sqpoll", ",sqpoll=on", true, false},
		{"writethrough", ",cache=writethrough", true, false},
		{"direct", ",cache=direct", true, false},
		{"calls", "", true, true},
		{"calls, direct", ",cache=direct", true, true},
		{"calls, writethrough", ",cache=writethrough", true, true},
	};

	for (unsigned i = 0; i < sl_array_len(stores); i++) {
		struct disk d;
		int fd = stores[i].file ? file_make() : -1;

		no_uring = stores[i].calls;
		if (stores[i].file)
			disk_open_file(&d, fd, stores[i].more);
		else
			assert_int_equal(disk_open(&d, "mem=1M"), 0);
		assert_int_equal(d.lines, stores[i].calls);
		assert_int_equal(d.m->ops->fence(d.m, 0), 0);
		assert_int_equal(disk_capacity(&d), DISK);
		check(&d, stores[i].name);
		disk_close(&d);
		if (fd >= 0)
			close(fd);
	}
	no_uring = false;
}

static uint8_t wrote[64 << 10], got[64 << 10];

static bool is_direct(const struct disk *d)
{
	return fcntl(((const struct blk *)(const void *)d->m)->file.fd, F_GETFL) & O_DIRECT;
}

static void check_data(struct disk *d, const char *store)
{
	static const size_t sizes[] = {4096, 8192, 64 << 10};
	uint64_t bytes = 0;
	unsigned n = 0;

	for (unsigned s = 0; s < sl_array_len(sizes); s++) {
		for (enum layout l = 0; l < LAYOUTS; l++, n++) {
			uint64_t sector = (s * LAYOUTS + l) * 128;

			fill(wrote, sizes[s], n + 1);
			memset(got, 0, sizeof(got));
			if (disk_write(d, sector, wrote, sizes[s], l) != OK ||
			    disk_read(d, sector, got, sizes[s], (l + 1) % LAYOUTS) != OK)
				fail_msg("%s: %zu bytes, layout %u: IOERR", store, sizes[s], l);
			assert_memory_equal(got, wrote, sizes[s]);
			bytes += sizes[s];
		}
	}
	assert_int_equal(is_direct(d), !!strstr(store, "direct"));
	assert_int_equal(disk_count(d, "reads"), n);
	assert_int_equal(disk_count(d, "writes"), n);
	assert_int_equal(disk_count(d, "read-bytes"), bytes);
	assert_int_equal(disk_count(d, "write-bytes"), bytes);
	if (strstr(store, "direct"))
		assert_true(disk_count(d, "bounced") >= n);
	else
		assert_int_equal(disk_count(d, "bounced"), 0);
	/* The last sectors there are. */
	assert_int_equal(disk_write(d, DISK / 512 - 8, wrote, 4096, NATURAL), OK);
	assert_int_equal(disk_read(d, DISK / 512 - 8, got, 4096, NATURAL), OK);
	assert_memory_equal(got, wrote, 4096);
	assert_int_equal(disk_read(d, 0, NULL, 0, NATURAL), OK);
	assert_int_equal(disk_ask(d, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, NULL, 0, NATURAL), OK);
	assert_int_equal(disk_count(d, "flushes"), 1);
}

static void data_in_every_layout(void **state)
{
	(void)state;
	each_store(check_data);
}

static void check_ranges(struct disk *d, const char *store)
{
	static const uint8_t zero[8192];

	fill(wrote, sizeof(wrote), 77);
	for (unsigned unmap = 0; unmap < 2; unmap++) {
		assert_int_equal(disk_write(d, 128, wrote, sizeof(wrote), NATURAL), OK);
		if (disk_range(d, VIRTIO_BLK_T_WRITE_ZEROES, 136, 16, unmap) != OK)
			fail_msg("%s: write zeroes, unmap %u", store, unmap);
		assert_int_equal(disk_read(d, 128, got, sizeof(got), NATURAL), OK);
		assert_memory_equal(got, wrote, 4096);
		assert_memory_equal(got + 4096, zero, sizeof(zero));
		assert_memory_equal(got + 12288, wrote + 12288, sizeof(got) - 12288);
	}
	assert_int_equal(disk_range(d, VIRTIO_BLK_T_DISCARD, 144, 8, 0), OK);
	assert_int_equal(disk_range(d, VIRTIO_BLK_T_DISCARD, 144, 0, 0), OK);
	assert_int_equal(disk_count(d, "discards"), 2);
	assert_int_equal(disk_count(d, "zeroes"), 2);
	/* 5.2.6.2: unmap is no flag of discard; others do not exist. */
	assert_int_equal(disk_range(d, VIRTIO_BLK_T_DISCARD, 144, 8, 1), UNSUPP);
	assert_int_equal(disk_range(d, VIRTIO_BLK_T_WRITE_ZEROES, 144, 8, 2), UNSUPP);
	assert_int_equal(disk_range(d, VIRTIO_BLK_T_DISCARD, DISK / 512, 8, 0), IOERR);
	assert_int_equal(disk_range(d, VIRTIO_BLK_T_DISCARD, UINT64_MAX - 7, 16, 0), IOERR);
	assert_int_equal(disk_range(d, VIRTIO_BLK_T_WRITE_ZEROES, 0, UINT32_MAX, 0), IOERR);
	assert_int_equal(disk_count(d, "unsupported"), 2);
	assert_int_equal(disk_count(d, "out-of-range"), 3);
	/* Two segments, half of one, none. */
	assert_int_equal(disk_ask(d, VIRTIO_BLK_T_DISCARD, 0, zero, 32, NULL, 0, NATURAL), IOERR);
	assert_int_equal(disk_ask(d, VIRTIO_BLK_T_DISCARD, 0, zero, 8, NULL, 0, NATURAL), IOERR);
	assert_int_equal(disk_ask(d, VIRTIO_BLK_T_DISCARD, 0, NULL, 0, NULL, 0, NATURAL), IOERR);
	assert_int_equal(disk_count(d, "malformed"), 3);
}

static void zeroes_and_discards(void **state)
{
	(void)state;
	each_store(check_ranges);
}

static void check_bounds(struct disk *d, const char *store)
{
	uint64_t end = DISK / 512;

	(void)store;
	for (uint32_t type = VIRTIO_BLK_T_IN; type <= VIRTIO_BLK_T_OUT; type++) {
		static const uint64_t bad[] = {DISK / 512,	     DISK / 512 - 7,
					       UINT64_MAX,	     UINT64_MAX / 2,
					       UINT64_MAX / 512 + 1, UINT64_MAX - 7};

		for (unsigned i = 0; i < sl_array_len(bad); i++)
			assert_int_equal(disk_ask(d, type, bad[i], wrote, type ? 4096 : 0, got,
						  type ? 0 : 4096, SCATTER),
					 IOERR);
		assert_int_equal(
			disk_ask(d, type, 0, wrote, type ? 511 : 0, got, type ? 0 : 511, NATURAL),
			IOERR);
		assert_int_equal(
			disk_ask(d, type, 0, wrote, type ? 513 : 0, got, type ? 0 : 513, NATURAL),
			IOERR);
	}
	assert_int_equal(disk_count(d, "out-of-range"), 12);
	assert_int_equal(disk_count(d, "malformed"), 4);
	assert_int_equal(disk_read(d, end - 8, got, 4096, NATURAL), OK);
	assert_int_equal(disk_count(d, "writes"), 0);
}

static void nothing_beyond_the_end(void **state)
{
	(void)state;
	each_store(check_bounds);
}

static void unknown_requests(void **state)
{
	static const uint32_t types[] = {2, 3, 5, 9, 10, 12, 14, 15, 0x80000000, UINT32_MAX};
	struct disk d;

	(void)state;
	assert_int_equal(disk_open(&d, "mem=64K"), 0);
	for (unsigned i = 0; i < sl_array_len(types); i++)
		assert_int_equal(disk_ask(&d, types[i], 0, wrote, 512, got, 512, SCATTER), UNSUPP);
	assert_int_equal(disk_count(&d, "unsupported"), sl_array_len(types));
	disk_close(&d);
}

static void hostile_shapes(void **state)
{
	uint8_t head[16] = {0}, status = 0xee, *many = calloc(1, 2048);
	struct fake_request r;
	struct disk d;

	(void)state;
	assert_int_equal(disk_open(&d, "mem=64K"), 0);
	/* Nothing to write the status to. */
	fake_request_init(&r, d.m);
	fake_request_add(&r, false, head, sizeof(head));
	d.m->ops->request(d.m, &r.req);
	assert_int_equal(r.done, 1);
	assert_int_equal(r.written, 0);
	assert_int_equal(disk_count(&d, "no-status"), 1);
	fake_request_free(&r);
	/* No header, or a part of it. */
	for (size_t len = 0; len < sizeof(head); len += 15) {
		fake_request_init(&r, d.m);
		if (len)
			fake_request_add(&r, false, head, len);
		fake_request_add(&r, true, &status, 1);
		status = 0xee;
		d.m->ops->request(d.m, &r.req);
		assert_int_equal(r.done, 1);
		assert_int_equal(r.written, 1);
		assert_int_equal(status, IOERR);
		fake_request_free(&r);
	}
	/* More pieces than there is room for: 512 bytes in two hundred. */
	fake_request_init(&r, d.m);
	fake_request_add(&r, false, head, sizeof(head));
	for (unsigned i = 0; i < 200; i++)
		fake_request_add(&r, true, many + 4 * i, i == 199 ? 512 - 199 + 1 : 1);
	d.m->ops->request(d.m, &r.req);
	assert_int_equal(r.done, 1);
	assert_int_equal(disk_count(&d, "malformed"), 3);
	assert_int_equal(many[4 * 199 + 512 - 199], IOERR);
	fake_request_free(&r);
	free(many);
	disk_close(&d);
}

static void its_id(void **state)
{
	char id[24] = {0};
	struct disk d;

	(void)state;
	assert_int_equal(disk_open(&d, "mem=64K,serial=12345678901234567890"), 0);
	assert_int_equal(disk_ask(&d, VIRTIO_BLK_T_GET_ID, 0, NULL, 0, id, 20, SCATTER), OK);
	assert_string_equal(id, "12345678901234567890");
	memset(id, 0, sizeof(id));
	assert_int_equal(disk_ask(&d, VIRTIO_BLK_T_GET_ID, 0, NULL, 0, id, 5, NATURAL), OK);
	assert_string_equal(id, "12345");
	assert_int_equal(disk_count(&d, "ids"), 2);
	disk_close(&d);
}

static void read_only(void **state)
{
	int fd = file_make();
	struct sl_model_info info;
	struct disk d;

	(void)state;
	fill(wrote, 4096, 5);
	assert_int_equal(pwrite(fd, wrote, 4096, 0), 4096);
	disk_open_file(&d, fd, ",ro=on");
	d.m->ops->info(d.m, &info);
	assert_true(info.features & (UINT64_C(1) << VIRTIO_BLK_F_RO));
	assert_false(info.features & (UINT64_C(1) << VIRTIO_BLK_F_DISCARD));
	assert_int_equal(disk_read(&d, 0, got, 4096, SCATTER), OK);
	assert_memory_equal(got, wrote, 4096);
	assert_int_equal(disk_write(&d, 0, wrote + 1, 4096, NATURAL), IOERR);
	assert_int_equal(disk_range(&d, VIRTIO_BLK_T_DISCARD, 0, 8, 0), IOERR);
	assert_int_equal(disk_range(&d, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), IOERR);
	assert_int_equal(disk_count(&d, "read-only"), 3);
	assert_int_equal(pread(fd, got, 4096, 0), 4096);
	assert_memory_equal(got, wrote, 4096);
	disk_close(&d);
	close(fd);
}

static void null_does_nothing(void **state)
{
	struct disk d;

	(void)state;
	assert_int_equal(disk_open(&d, "null"), 0);
	assert_int_equal(disk_capacity(&d), 1u << 30);
	memset(got, 0x11, 4096);
	assert_int_equal(disk_read(&d, 8, got, 4096, NATURAL), OK);
	assert_int_equal(got[0], 0xee); /* what was there before */
	assert_int_equal(disk_write(&d, 8, wrote, 4096, NATURAL), OK);
	assert_int_equal(disk_write(&d, 1u << 21, wrote, 4096, NATURAL), IOERR);
	assert_int_equal(d.m->ops->fd(d.m), -1);
	disk_close(&d);
}

static void configuration(void **state)
{
	struct virtio_blk_config c = {0};
	struct sl_model_info info;
	struct disk d;

	(void)state;
	assert_int_equal(disk_open(&d, "mem=1M,queues=3,queue-size=64,block-size=4096"), 0);
	d.m->ops->info(d.m, &info);
	assert_int_equal(info.device_id, 2);
	assert_int_equal(info.queues, 3);
	assert_int_equal(info.queue_size, 64);
	assert_int_equal(info.config_len, 60);
	assert_true(info.features & (UINT64_C(1) << VIRTIO_BLK_F_MQ));
	assert_false(info.features & (UINT64_C(1) << VIRTIO_BLK_F_FLUSH));
	d.m->ops->get_config(d.m, &c);
	assert_int_equal(c.capacity, 2048);
	assert_int_equal(c.seg_max, 62);
	assert_int_equal(c.blk_size, 4096);
	assert_int_equal(c.num_queues, 3);
	assert_int_equal(c.max_discard_seg, 1);
	assert_int_equal(c.discard_sector_alignment, 8);
	disk_close(&d);
}

static void refused_parameters(void **state)
{
	static const struct {
		const char *spec, *says;
	} bad[] = {
		{"", "one of file=PATH"},
		{"mem=1M,null", "one of file=PATH"},
		{"file=a,mem=1M", "one of file=PATH"},
		{"mem=1M,queue-size=100", "no power of two"},
		{"mem=1M,queue-size=2", "queue-size"},
		{"mem=1M,queues=65", "queues"},
		{"mem=1M,block-size=1000", "no power of two"},
		{"mem=1M,block-size=8192", "block-size"},
		{"mem=1M,cache=direct", "cache= is for files"},
		{"mem=100", "mem"},
		{"mem=1M,serial=123456789012345678901", "serial"},
		{"file=/nowhere/at/all", "/nowhere/at/all"},
		{"file=/dev/null", "neither a file nor a block device"},
		{"file=/", "/"},
	};
	struct disk d;

	(void)state;
	for (unsigned i = 0; i < sl_array_len(bad); i++) {
		assert_true(disk_open(&d, bad[i].spec) < 0);
		if (!strstr(sl_reason(), bad[i].says))
			fail_msg("%s: %s", bad[i].spec, sl_reason());
	}
}

static void by_descriptor(void **state)
{
	int fd = file_make(), ro = open("/proc/self/exe", O_RDONLY);
	char spec[32];
	struct disk d;

	(void)state;
	snprintf(spec, sizeof(spec), "fd=%d", fd);
	assert_int_equal(disk_open(&d, spec), 0);
	assert_int_equal(disk_write(&d, 0, wrote, 4096, NATURAL), OK);
	disk_close(&d); /* and the descriptor with it */
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	snprintf(spec, sizeof(spec), "fd=%d", ro);
	assert_int_equal(disk_open(&d, spec), -EBADF);
	assert_non_null(strstr(sl_reason(), "ro=on"));
	assert_int_equal(disk_open(&d, "fd=900"), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_in_every_layout),
		cmocka_unit_test(zeroes_and_discards),
		cmocka_unit_test(nothing_beyond_the_end),
		cmocka_unit_test(unknown_requests),
		cmocka_unit_test(hostile_shapes),
		cmocka_unit_test(its_id),
		cmocka_unit_test(read_only),
		cmocka_unit_test(null_does_nothing),
		cmocka_unit_test(configuration),
		cmocka_unit_test(refused_parameters),
		cmocka_unit_test(by_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
