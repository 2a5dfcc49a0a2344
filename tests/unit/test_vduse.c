/* SPDX-License-Identifier: BSD-2-Clause */
/* VDUSE without a kernel that has it: what it says is checked; the log that a killed process leaves
 * behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sluice/reason.h>

#include "base/fd.h"
#include "offer/vduse.h"

static void requests(void **state)
{
	struct vduse_dev_request r = {.type = VDUSE_GET_VQ_STATE, .request_id = 7}, out;
	struct vduse_dev_response answer;

	(void)state;
	r.vq_state.index = 1;
	assert_int_equal(sl_vduse_request(&r, sizeof(r), 2, &out), 0);
	assert_memory_equal(&r, &out, sizeof(r));
	sl_vduse_response(&out, VDUSE_REQ_RESULT_OK, &answer);
	assert_int_equal(answer.request_id, 7);
	assert_int_equal(answer.result, VDUSE_REQ_RESULT_OK);
	assert_int_equal(answer.vq_state.index, 1);
	assert_int_equal(sl_vduse_request(&r, sizeof(r), 1, &out), -EPROTO);
	assert_int_equal(out.request_id, 7);
	assert_int_equal(sl_vduse_request(&r, sizeof(r) - 1, 2, &out), -EPROTO);
	r.type = VDUSE_UPDATE_IOTLB;
	r.iova.start = 1;
	r.iova.last = 0;
	assert_int_equal(sl_vduse_request(&r, sizeof(r), 2, &out), -EPROTO);
	r.iova.start = 0;
	assert_int_equal(sl_vduse_request(&r, sizeof(r), 2, &out), 0);
	r.type = 3;
	assert_int_equal(sl_vduse_request(&r, sizeof(r), 2, &out), -EPROTO);
	assert_string_equal(sl_reason(), "an unknown request, 3");
}

static void entries(void **state)
{
	struct vduse_iotlb_entry good = {4096, 8192, 12287, VDUSE_ACCESS_RW}, e;

	(void)state;
	assert_int_equal(sl_vduse_entry(&good, 8192), 0);
	assert_int_equal(sl_vduse_entry(&good, 8193), -EPROTO);
	e = good;
	e.last = 8191;
	assert_int_equal(sl_vduse_entry(&e, 0), -EPROTO);
	e = good;
	e.perm = 0;
	assert_int_equal(sl_vduse_entry(&e, 0), -EPROTO);
	e.perm = 4;
	assert_int_equal(sl_vduse_entry(&e, 0), -EPROTO);
	e = good;
	e.offset = INT64_MAX - 4096;
	assert_int_equal(sl_vduse_entry(&e, 0), 0);
	e.offset++;
	assert_int_equal(sl_vduse_entry(&e, 0), -EPROTO);
	e = (struct vduse_iotlb_entry){0, 0, UINT64_MAX, VDUSE_ACCESS_RW};
	assert_int_equal(sl_vduse_entry(&e, 0), -EPROTO);
}

static void queues(void **state)
{
	struct vduse_vq_info split = {.num = 256}, packed = {.num = 100};

	(void)state;
	assert_int_equal(sl_vduse_vq_info(&split, false, 256), 0);
	assert_int_equal(sl_vduse_vq_info(&split, false, 128), -EPROTO);
	split.num = 255;
	assert_int_equal(sl_vduse_vq_info(&split, false, 256), -EPROTO);
	split.num = 0;
	assert_int_equal(sl_vduse_vq_info(&split, false, 256), -EPROTO);
	packed.packed = (struct vduse_vq_state_packed){1, 99, 0, 99};
	assert_int_equal(sl_vduse_vq_info(&packed, true, 256), 0);
	packed.packed.last_used_idx = 100;
	assert_int_equal(sl_vduse_vq_info(&packed, true, 256), -EPROTO);
	packed.packed = (struct vduse_vq_state_packed){2, 99, 0, 99};
	assert_int_equal(sl_vduse_vq_info(&packed, true, 256), -EPROTO);
}

static void names(void **state)
{
	char longest[VDUSE_NAME_MOST + 2];

	(void)state;
	memset(longest, 'a', sizeof(longest));
	longest[VDUSE_NAME_MOST + 1] = '\0';
	assert_int_equal(sl_vduse_name("disk-0_a.b"), 0);
	assert_int_equal(sl_vduse_name(""), -EINVAL);
	assert_int_equal(sl_vduse_name("../x"), -EINVAL);
	assert_int_equal(sl_vduse_name("a/b"), -EINVAL);
	assert_int_equal(sl_vduse_name(".hidden"), -EINVAL);
	assert_int_equal(sl_vduse_name("control"), -EINVAL);
	assert_int_equal(sl_vduse_name(longest), -EINVAL);
	longest[VDUSE_NAME_MOST] = '\0';
	assert_int_equal(sl_vduse_name(longest), 0);
}

/*
 * The log.
 */

struct rig {
	char dir[32], sub[48], path[64];
	struct vduse v;
};

static int open_log(struct rig *rig, bool fresh)
{
	int ret;

	sl_fd_close(&rig->v.log.dir);
	ret = sl_vduse_log_dir(&rig->v, rig->sub);
	return ret ? ret : sl_vduse_log_open(&rig->v, fresh);
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	strcpy(rig->dir, "/tmp/slt-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	snprintf(rig->sub, sizeof(rig->sub), "%s/sub", rig->dir);
	snprintf(rig->path, sizeof(rig->path), "%s/d0.log", rig->sub);
	strcpy(rig->v.name, "d0");
	strcpy(rig->v.anew, "sluice vduse destroy d0 --detach");
	rig->v.info = (struct sl_model_info){.device_id = 2, .queues = 2, .queue_size = 64};
	rig->v.log.dir = -1;
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	sl_vduse_log_close(&rig->v, true);
	sl_fd_close(&rig->v.log.dir);
	unlink(rig->path);
	rmdir(rig->sub);
	rmdir(rig->dir);
	free(rig);
	return 0;
}

static void is_found_again(void **state)
{
	struct rig *rig = *state;
	struct stat st;

	assert_int_equal(open_log(rig, true), 0);
	assert_false(rig->v.log.found);
	assert_int_equal(stat(rig->sub, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat(rig->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(sl_vduse_log_runs(&rig->v), 0);
	sl_vduse_log_set_runs(&rig->v, 2);
	memset(sl_vduse_log_queue(&rig->v, 1), 0x5a, 64);
	memset(sl_vduse_log_queue(&rig->v, 0), 0x5b, 64);
	sl_vduse_log_close(&rig->v, false);

	assert_int_equal(open_log(rig, false), 0);
	assert_true(rig->v.log.found);
	assert_int_equal(sl_vduse_log_runs(&rig->v), 2);
	assert_int_equal(*(uint8_t *)sl_vduse_log_queue(&rig->v, 1), 0x5a);
	sl_vduse_log_close(&rig->v, false);

	assert_int_equal(open_log(rig, true), 0);
	assert_false(rig->v.log.found);
	assert_int_equal(sl_vduse_log_runs(&rig->v), 0);
	sl_vduse_log_close(&rig->v, true);
	assert_int_equal(access(rig->path, F_OK), -1);

	assert_int_equal(open_log(rig, false), 0);
	assert_false(rig->v.log.found);
}

static void is_of_such_a_device(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(open_log(rig, true), 0);
	sl_vduse_log_close(&rig->v, false);
	rig->v.features = 1;
	assert_int_equal(open_log(rig, false), -EEXIST);
	assert_non_null(strstr(sl_reason(), "sluice vduse destroy d0"));
}

static void is_nobody_elses(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(mkdir(rig->sub, 0700), 0);
	assert_int_equal(symlink("/tmp/slt-nowhere", rig->path), 0);
	assert_int_equal(open_log(rig, true), -ELOOP);
	sl_vduse_log_close(&rig->v, true);
	assert_int_equal(open_log(rig, true), 0);
	sl_vduse_log_close(&rig->v, false);
	assert_int_equal(chmod(rig->path, 0644), 0);
	assert_int_equal(open_log(rig, false), -EPERM);
	sl_vduse_log_close(&rig->v, true);
	assert_int_equal(mkdir(rig->path, 0700), 0);
	assert_true(open_log(rig, true) < 0);
	assert_int_equal(rmdir(rig->path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(entries),
		cmocka_unit_test(queues),
		cmocka_unit_test(names),
		cmocka_unit_test_setup_teardown(is_found_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(is_of_such_a_device, set_up, tear_down),
		cmocka_unit_test_setup_teardown(is_nobody_elses, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
