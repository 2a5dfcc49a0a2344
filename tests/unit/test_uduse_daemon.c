/* SPDX-License-Identifier: BSD-2-Clause */
/* The transport uduse, and with it all of VDUSE but the kernel's: messages of a driver's side. */
#include <sluice/offer.h>
#include <sluice/reason.h>

#include "base/clock.h"
#include "uduse_test.h"

static void answered(struct rig *r, uint32_t result)
{
	assert_int_equal(r->response.request_id, r->last_id);
	assert_int_equal(r->response.result, result);
}

static void runs(struct rig *r)
{
	assert_int_equal(sl_offer_get_state(r->offer), SL_OFFER_RUNNING);
}

/* A request goes through queue @queue, and its driver is told. */
static void serves(struct rig *r, unsigned queue)
{
	uint16_t before = used(r, queue)->idx;
	unsigned irqs = r->irqs[queue];

	make_available(r, queue);
	settle(r);
	assert_int_equal(r->n_held, 1);
	give_back(r);
	settle(r);
	assert_int_equal(used(r, queue)->idx, (uint16_t)(before + 1));
	assert_true(r->irqs[queue] > irqs);
}

static unsigned calls(const struct rig *r, unsigned long command)
{
	return r->calls[_IOC_NR(command)];
}

/*
 * As it should be.
 */

static void comes_up(void **state)
{
	struct rig *r = *state;

	settle(r);
	assert_true(r->exists);
	assert_string_equal(r->created.name, "d0");
	assert_int_equal(r->created.device_id, 2);
	assert_int_equal(r->created.vq_num, QUEUES);
	assert_true(r->created.features >> VIRTIO_F_RING_PACKED & 1);
	assert_memory_equal(r->configured, "configuration", 13);
	assert_int_equal(calls(r, VDUSE_VQ_SETUP), QUEUES);
	assert_int_equal(calls(r, UDUSE_OPEN), 0);
	assert_int_equal(sl_offer_get_state(r->offer), SL_OFFER_WAITING);
	drive(r);
	answered(r, VDUSE_REQ_RESULT_OK);
	assert_int_equal(r->n_responses, 5);
	runs(r);
	assert_int_equal(r->regions, 1);
	assert_int_equal(r->starts, 1);
	serves(r, 0);
	serves(r, 1);
	r->driven = false;
	set_status(r, 0);
	settle(r);
	answered(r, VDUSE_REQ_RESULT_OK);
	assert_int_equal(r->regions, 0);
	assert_int_equal(sl_offer_get_state(r->offer), SL_OFFER_WAITING);
	drive(r);
	runs(r);
	serves(r, 1);
}

static void waits_for_its_driver(void **state)
{
	struct rig *r = *state;

	sl_fd_close(&r->listener);
	unlink(r->path);
	settle(r);
	wait_a_bit(250);
	settle(r);
	assert_int_equal(r->n_messages, 0);
	assert_int_equal(sl_offer_get_state(r->offer), SL_OFFER_WAITING);
	assert_int_equal(sl_unix_listen(r->path, SOCK_SEQPACKET, &r->listener), 0);
	until_connected(r);
	drive(r);
	runs(r);
}

static void features_are_checked(void **state)
{
	struct rig *r = *state;

	settle(r);
	drive(r);
	set_status(r, 0);
	settle(r);
	r->features = FEATURES | UINT64_C(1) << 63;
	set_status(r, 11);
	settle(r);
	assert_int_equal(r->n_responses, 7);
	answered(r, VDUSE_REQ_RESULT_FAILED);
	r->features = UINT64_C(1) << VIRTIO_F_VERSION_1;
	set_status(r, 11);
	settle(r);
	answered(r, VDUSE_REQ_RESULT_FAILED);
	drive(r);
	runs(r);
}

static void says_where_a_queue_stands(void **state)
{
	struct rig *r = *state;
	const struct vduse_dev_request where = {.type = VDUSE_GET_VQ_STATE, .vq_state.index = 1};

	settle(r);
	set_up_queue(r, 1);
	r->vq[1].split.avail_index = 5;
	ask(r, where);
	settle(r);
	answered(r, VDUSE_REQ_RESULT_OK);
	assert_int_equal(r->response.vq_state.split.avail_index, 5);
	drive(r);
	serves(r, 1);
	serves(r, 1);
	make_available(r, 1);
	settle(r);
	ask(r, where);
	settle(r);
	assert_int_equal(r->response.request_id, r->last_id - 1); /* one is in flight */
	give_back(r);
	settle(r);
	answered(r, VDUSE_REQ_RESULT_OK);
	assert_int_equal(r->response.vq_state.split.avail_index, 3);
	serves(r, 1);
}

static void packed_says_where_it_stands(void **state)
{
	struct rig *r = *state;

	settle(r);
	drive(r);
	set_status(r, 0);
	settle(r);
	r->features |= UINT64_C(1) << VIRTIO_F_RING_PACKED;
	r->vq[0].packed = (struct vduse_vq_state_packed){1, 3, 1, 3};
	set_status(r, 11);
	settle(r);
	set_status(r, 15);
	settle(r);
	answered(r, VDUSE_REQ_RESULT_OK);
	ask(r, (struct vduse_dev_request){.type = VDUSE_GET_VQ_STATE});
	settle(r);
	answered(r, VDUSE_REQ_RESULT_OK);
	assert_int_equal(r->response.vq_state.packed.last_avail_idx, 3);
	assert_int_equal(r->response.vq_state.packed.last_avail_counter, 1);
	assert_int_equal(r->response.vq_state.packed.last_used_idx, 3);
}

static void config_is_told(void **state)
{
	struct rig *r = *state;

	settle(r);
	drive(r);
	memcpy(r->config, "another", 8);
	sl_offer_changed(r->offer);
	assert_memory_equal(r->configured, "another", 8);
	assert_int_equal(calls(r, VDUSE_DEV_INJECT_CONFIG_IRQ), 1);
}

/* Sent where an answer is awaited. */
static bool asks_first(struct rig *r, struct uduse_msg *msg)
{
	if (msg->header.command == VDUSE_DEV_SET_CONFIG && !r->lies++)
		set_status(r, 15);
	return true;
}

static void requests_that_come_first_are_kept(void **state)
{
	struct rig *r = *state;

	settle(r);
	drive(r);
	r->lie = asks_first;
	sl_offer_changed(r->offer);
	assert_int_not_equal(r->response.request_id, r->last_id);
	settle(r);
	assert_int_equal(r->lies, 1);
	answered(r, VDUSE_REQ_RESULT_OK);
	serves(r, 0);
}

/*
 * Memory that changes.
 */

static void update(struct rig *r)
{
	ask(r, (struct vduse_dev_request){.type = VDUSE_UPDATE_IOTLB, .iova = {0, UINT64_MAX}});
	settle(r);
}

/* The same bytes in another file. */
static int move_memory(struct rig *r)
{
	int fd = memfd_create("other", MFD_CLOEXEC), old = r->memory;

	assert_int_equal(ftruncate(fd, MEMORY), 0);
	assert_int_equal(pwrite(fd, r->base, MEMORY, 0), MEMORY);
	munmap(r->base, MEMORY);
	r->base = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	r->memory = r->fds[0] = fd;
	return old;
}

static void rings_follow_their_memory(void **state)
{
	struct rig *r = *state;
	int old;

	settle(r);
	drive(r);
	serves(r, 0);
	make_available(r, 1);
	settle(r);
	update(r); /* nothing has changed; one is in flight */
	assert_int_not_equal(r->response.request_id, r->last_id);
	give_back(r);
	settle(r);
	answered(r, VDUSE_REQ_RESULT_OK);
	old = move_memory(r);
	update(r);
	answered(r, VDUSE_REQ_RESULT_OK);
	sl_fd_close(&old);
	assert_int_equal(r->regions, 1);
	serves(r, 0);
	serves(r, 1);
}

static void rings_wait_for_their_memory(void **state)
{
	struct rig *r = *state;
	struct sl_offer_queue_stats stats;

	settle(r);
	drive(r);
	serves(r, 0);
	r->n_entries = 0;
	update(r);
	answered(r, VDUSE_REQ_RESULT_OK);
	assert_int_equal(r->regions, 0);
	assert_int_equal(sl_offer_get_stats(r->offer, 0, &stats), 0);
	assert_false(stats.running);
	ask(r, (struct vduse_dev_request){.type = VDUSE_GET_VQ_STATE});
	settle(r);
	assert_int_equal(r->response.vq_state.split.avail_index, 1);
	make_available(r, 0);
	driver_memory(r, r->memory);
	update(r);
	answered(r, VDUSE_REQ_RESULT_OK);
	settle(r);
	assert_int_equal(r->n_held, 1);
	give_back(r);
	settle(r);
	assert_int_equal(used(r, 0)->idx, 2);
	serves(r, 1);
}

/*
 * Coming and going.
 */

static void a_new_driver_begins_anew(void **state)
{
	struct rig *r = *state;

	settle(r);
	drive(r);
	make_available(r, 0);
	make_available(r, 0);
	settle(r);
	assert_int_equal(r->n_held, 2);
	end_driver(r);
	settle(r);
	assert_int_equal(r->regions, 1); /* two are in flight */
	give_back(r);
	settle(r);
	assert_int_equal(r->regions, 0);
	assert_int_equal(sl_offer_get_state(r->offer), SL_OFFER_WAITING);
	until_connected(r);
	assert_int_equal(calls(r, VDUSE_CREATE_DEV), 2);
	drive(r);
	assert_int_equal(r->n_held, 0);
	runs(r);
	serves(r, 0);
}

/* The connection is lost, and found again: the same device, which was being driven. */
/* @notice: by a call that fails, before the request has come to an end */
static void goes_on_after(struct rig *r, struct vduse_dev_request request, bool notice)
{
	settle(r);
	drive(r);
	serves(r, 0);
	make_available(r, 0);
	settle(r);
	ask(r, request); /* which waits for that one */
	settle(r);
	assert_int_not_equal(r->response.request_id, r->last_id);
	hang_up(r);
	if (notice)
		sl_offer_changed(r->offer);
	settle(r);
	give_back(r);
	make_available(r, 1);
	until_connected(r);
	assert_int_equal(calls(r, UDUSE_OPEN), 1);
	runs(r);
	assert_int_equal(used(r, 0)->idx, 2);
	assert_int_equal(r->n_held, 1);
	give_back(r);
	settle(r);
	assert_int_equal(used(r, 1)->idx, 1);
	update(r);
	answered(r, VDUSE_REQ_RESULT_OK);
	serves(r, 0);
}

static void goes_on_with_its_driver(void **state)
{
	goes_on_after(
		*state,
		(struct vduse_dev_request){.type = VDUSE_UPDATE_IOTLB, .iova = {0, UINT64_MAX}},
		false);
}

static void goes_on_taking(void **state)
{
	goes_on_after(*state, (struct vduse_dev_request){.type = VDUSE_GET_VQ_STATE}, true);
}

/* Ended in order while it was driven, and started again. */
static void another_process_goes_on(void **state)
{
	struct rig *r = *state;
	char log[64];

	settle(r);
	drive(r);
	serves(r, 0);
	sl_offer_release(r->offer);
	hang_up(r);
	snprintf(log, sizeof(log), "%s.log", r->path);
	assert_int_equal(access(log, F_OK), 0);
	assert_int_equal(start_offer(r), 0);
	r->closed = 0;
	make_available(r, 0);
	until_connected(r);
	runs(r);
	assert_int_equal(r->n_held, 1);
	give_back(r);
	settle(r);
	assert_int_equal(used(r, 0)->idx, 2);
	/* Without a driver the device goes, and the log. */
	r->driven = false;
	set_status(r, 0);
	settle(r);
	sl_offer_release(r->offer);
	assert_int_equal(access(log, F_OK), -1);
	hang_up(r);
	r->exists = false;
	r->closed = 0;
	assert_int_equal(start_offer(r), 0);
}

static void log_of_another_life_is_not_believed(void **state)
{
	struct rig *r = *state;

	settle(r);
	drive(r);
	make_available(r, 0);
	settle(r);
	give_back(r);
	/* Its driver's process is replaced, and the device of the next was made already. */
	end_driver(r);
	r->exists = true;
	settle(r);
	until_connected(r);
	assert_int_equal(sl_offer_get_state(r->offer), SL_OFFER_WAITING);
	hang_up(r);
	set_up_queue(r, 0); /* ready, as before DRIVER_OK is answered */
	until_connected(r);
	assert_int_equal(sl_offer_get_state(r->offer), SL_OFFER_WAITING);
	drive(r);
	runs(r);
	serves(r, 0);
}

static void log_that_is_gone_is_missed(void **state)
{
	struct rig *r = *state;
	char log[64];

	settle(r);
	drive(r);
	hang_up(r);
	settle(r);
	snprintf(log, sizeof(log), "%s.log", r->path);
	assert_int_equal(unlink(log), 0);
	for (unsigned i = 0; i < 30; i++) {
		settle(r);
		wait_a_bit(10);
	}
	assert_int_equal(sl_offer_get_state(r->offer), SL_OFFER_WAITING);
	end_driver(r);
	until_connected(r);
	drive(r);
	runs(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(comes_up),
		RIG_TEST(waits_for_its_driver),
		RIG_TEST(features_are_checked),
		RIG_TEST(says_where_a_queue_stands),
		RIG_TEST(packed_says_where_it_stands),
		RIG_TEST(config_is_told),
		RIG_TEST(requests_that_come_first_are_kept),
		RIG_TEST(rings_follow_their_memory),
		RIG_TEST(rings_wait_for_their_memory),
		RIG_TEST(a_new_driver_begins_anew),
		RIG_TEST(goes_on_with_its_driver),
		RIG_TEST(goes_on_taking),
		RIG_TEST(another_process_goes_on),
		RIG_TEST(log_of_another_life_is_not_believed),
		RIG_TEST(log_that_is_gone_is_missed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
