/* SPDX-License-Identifier: BSD-2-Clause */
/* Model blk on a block device with blocks of 4 KiB: a loop device over a file of ours. */
#include <linux/loop.h>
#include <sys/ioctl.h>

#include "../unit/blk_rig.h"

#define OK    VIRTIO_BLK_S_OK
#define IOERR VIRTIO_BLK_S_IOERR
#define BLOCK 4096

static struct {
	int file, loop;
	char path[32];
} dev;

static const char *dev_make(void)
{
	/* Gone with the last who has it open, whatever happens to this test. */
	struct loop_config config = {.block_size = BLOCK, .info.lo_flags = LO_FLAGS_AUTOCLEAR};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), n;

	dev.file = file_make();
	config.fd = (uint32_t)dev.file;
	if (control < 0)
		return "no /dev/loop-control";
	for (unsigned tries = 0; tries < 20; tries++) {
		n = ioctl(control, LOOP_CTL_GET_FREE);
		snprintf(dev.path, sizeof(dev.path), "/dev/loop%d", n);
		dev.loop = open(dev.path, O_RDWR | O_CLOEXEC);
		if (dev.loop < 0)
			break;
		if (!ioctl(dev.loop, LOOP_CONFIGURE, &config)) {
			close(control);
			return NULL;
		}
		close(dev.loop); /* somebody else was faster */
	}
	close(control);
	return "no loop device is to be had";
}

static void dev_open(struct disk *d, const char *more)
{
	char spec[64];

	snprintf(spec, sizeof(spec), "file=%s%s", dev.path, more);
	if (disk_open(d, spec))
		fail_msg("%s", sl_reason());
	assert_int_equal(d->m->ops->start(d->m, UINT64_MAX), 0);
}

static uint8_t wrote[64 << 10], got[64 << 10];

static void direct_by_default(void **state)
{
	struct virtio_blk_config c;
	struct disk d;

	(void)state;
	dev_open(&d, "");
	assert_int_equal(d.m->ops->fence(d.m, 0), 0);
	d.m->ops->get_config(d.m, &c);
	assert_int_equal(c.capacity, DISK / 512);
	assert_int_equal(c.blk_size, BLOCK);
	assert_int_equal(c.discard_sector_alignment, BLOCK / 512);
	fill(wrote, sizeof(wrote), 8);
	for (enum layout l = 0; l < LAYOUTS; l++) {
		assert_int_equal(disk_write(&d, 128 * l, wrote, sizeof(wrote), l), OK);
		assert_int_equal(disk_read(&d, 128 * l, got, sizeof(got), (l + 1) % LAYOUTS), OK);
		assert_memory_equal(got, wrote, sizeof(got));
		wrote[0]++;
	}
	assert_true(disk_count(&d, "bounced") > 0);
	assert_int_equal(disk_count(&d, "mapped"), 0);
	assert_int_equal(disk_ask(&d, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, NULL, 0, NATURAL), OK);
	/* Half a block, and a block in the wrong place. */
	assert_int_equal(disk_read(&d, 0, got, 512, NATURAL), IOERR);
	assert_int_equal(disk_read(&d, 1, got, BLOCK, NATURAL), IOERR);
	assert_int_equal(disk_range(&d, VIRTIO_BLK_T_WRITE_ZEROES, 1, 8, 0), IOERR);
	disk_close(&d);
}

static void zeroes_and_discards(void **state)
{
	static const uint8_t zero[2 * BLOCK];
	static const char *const more[] = {"", ",cache=writeback"};

	(void)state;
	for (unsigned m = 0; m < sl_array_len(more); m++) {
		struct disk d;

		dev_open(&d, more[m]);
		for (unsigned unmap = 0; unmap < 2; unmap++) {
			fill(wrote, sizeof(wrote), 20 + m);
			assert_int_equal(disk_write(&d, 0, wrote, sizeof(wrote), NATURAL), OK);
			assert_int_equal(disk_range(&d, VIRTIO_BLK_T_WRITE_ZEROES, 8, 16, unmap),
					 OK);
			assert_int_equal(disk_read(&d, 0, got, sizeof(got), NATURAL), OK);
			assert_memory_equal(got, wrote, BLOCK);
			assert_memory_equal(got + BLOCK, zero, 2 * BLOCK);
			assert_memory_equal(got + 3 * BLOCK, wrote + 3 * BLOCK,
					    sizeof(got) - 3 * BLOCK);
		}
		assert_int_equal(disk_range(&d, VIRTIO_BLK_T_DISCARD, 32, 8, 0), OK);
		assert_int_equal(disk_ask(&d, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, NULL, 0, NATURAL),
				 OK);
		disk_close(&d);
	}
}

static void too_small_a_block(void **state)
{
	char spec[64];
	struct disk d;

	(void)state;
	snprintf(spec, sizeof(spec), "file=%s,block-size=512", dev.path);
	assert_int_equal(disk_open(&d, spec), -EINVAL);
	assert_non_null(strstr(sl_reason(), "has blocks of 4096 bytes"));
}

static void it_grows(void **state)
{
	struct pollfd wait;
	struct disk d;

	(void)state;
	dev_open(&d, "");
	wait = (struct pollfd){.fd = d.m->ops->fd(d.m), .events = POLLIN};
	assert_int_equal(ftruncate(dev.file, 2 * DISK), 0);
	assert_int_equal(ioctl(dev.loop, LOOP_SET_CAPACITY), 0);
	for (unsigned i = 0; i < 10 && disk_capacity(&d) == DISK; i++) {
		poll(&wait, 1, 2000);
		d.m->ops->reap(d.m);
	}
	assert_int_equal(disk_capacity(&d), 2 * DISK);
	assert_int_equal(disk_write(&d, DISK / 512, wrote, BLOCK, NATURAL), OK);
	disk_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(direct_by_default),
		cmocka_unit_test(zeroes_and_discards),
		cmocka_unit_test(too_small_a_block),
		cmocka_unit_test(it_grows),
	};
	const char *missing = geteuid() ? "a loop device needs root" : dev_make();
	int failed;

	if (missing) {
		printf("SKIP: %s\n", missing);
		return 77;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	return failed != 0;
}
