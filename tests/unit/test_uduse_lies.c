/* SPDX-License-Identifier: BSD-2-Clause */
/* A driver's side of uduse that lies, is late, or dies: it loses its connection, and the next is
 * served as if nothing had been. */
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <sluice/guard.h>
#include <sluice/offer.h>

#include "base/clock.h"
#include "descriptors.h"
#include "uduse_test.h"

static void on_fault(int sig, siginfo_t *info, void *ctx)
{
	if (!sl_guard_handler(sig, info, ctx))
		abort();
}

static unsigned in_use(const struct rig *r)
{
	unsigned mine = 0;

	for (unsigned i = 0; i < QUEUES; i++)
		mine += r->kicks[i] >= 0;
	return descriptors() - mine - (r->sock >= 0);
}

/* An honest driver comes after it, and is served. */
static void serves_the_next(struct rig *r)
{
	r->lie = NULL;
	r->die_at = 0;
	end_driver(r);
	give_back(r);
	settle(r);
	until_connected(r);
	drive(r);
	assert_int_equal(sl_offer_get_state(r->offer), SL_OFFER_RUNNING);
	make_available(r, 1);
	settle(r);
	assert_int_equal(r->n_held, 1);
	give_back(r);
	settle(r);
	assert_int_equal(used(r, 1)->idx, 1);
	assert_int_equal(r->regions, 1);
	assert_false(r->ended);
}

static bool is_return(const struct uduse_msg *msg, unsigned long command)
{
	return msg->header.type == UDUSE_RETURN && msg->header.command == command;
}

/*
 * Dying, at each message.
 */

static void dies_at_each_message(void **state)
{
	struct rig *r = *state;
	unsigned n, had;

	settle(r);
	serves_the_next(r);
	had = in_use(r);
	for (n = 1; n < 40; n++) {
		end_driver(r);
		r->die_at = r->n_messages + n;
		until_connected(r);
		drive(r);
		make_available(r, 0);
		settle(r);
		if (r->die_at > r->n_messages)
			break;
		serves_the_next(r);
		assert_int_equal(in_use(r), had);
	}
	assert_true(n > 15 && n < 40);
}

/*
 * Lies about messages.
 */

static bool twice(struct rig *r, struct uduse_msg *msg)
{
	return is_return(msg, VDUSE_DEV_GET_FEATURES) ? !sl_uduse_send(r->sock, msg, 0) : true;
}

static bool of_another(struct rig *r, struct uduse_msg *msg)
{
	if (r->lies++ == 4)
		msg->header.command = VDUSE_VQ_SETUP_KICKFD;
	if (r->lies == 5)
		msg->header.len = 0;
	return true;
}

static bool too_short(struct rig *r, struct uduse_msg *msg)
{
	(void)r;
	if (is_return(msg, VDUSE_VQ_GET_INFO))
		msg->header.len--;
	return true;
}

static bool too_long(struct rig *r, struct uduse_msg *msg)
{
	(void)r;
	if (is_return(msg, VDUSE_VQ_SETUP))
		msg->header.len = 8;
	return true;
}

static bool positive(struct rig *r, struct uduse_msg *msg)
{
	(void)r;
	if (is_return(msg, VDUSE_VQ_SETUP))
		msg->header.result = 1;
	return true;
}

static bool no_descriptor(struct rig *r, struct uduse_msg *msg)
{
	(void)r;
	if (is_return(msg, VDUSE_IOTLB_GET_FD))
		msg->fd = -1;
	return true;
}

static bool a_descriptor(struct rig *r, struct uduse_msg *msg)
{
	if (is_return(msg, VDUSE_VQ_GET_INFO))
		msg->fd = r->memory;
	return true;
}

static bool nonsense(struct rig *r, struct uduse_msg *msg)
{
	if (r->lies++ == 9)
		memset(&msg->header, 0xa5, sizeof(msg->header));
	if (r->lies == 10)
		msg->header.len = 32;
	return true;
}

static bool request_in_a_request(struct rig *r, struct uduse_msg *msg)
{
	if (is_return(msg, VDUSE_DEV_GET_FEATURES) && !r->lies++)
		set_status(r, 0);
	return true;
}

static bool refuses(struct rig *r, struct uduse_msg *msg)
{
	if (msg->header.type == UDUSE_RETURN && r->lies++ % 3 == 2) {
		msg->header.result = -ENOSPC;
		msg->header.len = 0;
		msg->fd = -1;
	}
	return true;
}

/* There is one that is missing, so that the others go the whole way. */
static bool (*const lies[])(struct rig *, struct uduse_msg *) = {
	twice,	  of_another,		too_short, too_long, positive, no_descriptor, a_descriptor,
	nonsense, request_in_a_request, refuses,
};

static void lies_about_messages(void **state)
{
	struct rig *r = *state;
	unsigned had;

	settle(r);
	serves_the_next(r);
	had = in_use(r);
	for (unsigned i = 0; i < sl_array_len(lies); i++) {
		end_driver(r);
		r->lies = 0;
		r->lie = lies[i];
		settle(r);
		for (unsigned n = 0; n < 3; n++) {
			wait_a_bit(1100);
			settle(r);
			drive(r);
			make_available(r, 0);
			settle(r);
			if (r->n_held)
				give_back(r);
		}
		serves_the_next(r);
		assert_int_equal(in_use(r), had);
	}
}

static bool never(struct rig *r, struct uduse_msg *msg)
{
	(void)r;
	return !is_return(msg, VDUSE_DEV_GET_FEATURES);
}

static void never_answers(void **state)
{
	struct rig *r = *state;
	uint64_t from;

	settle(r);
	r->lie = never;
	from = sl_now_ns();
	drive(r);
	assert_in_range(sl_now_ns() - from, SL_NS_PER_S, 10 * SL_NS_PER_S);
	assert_true(sl_offer_get_state(r->offer) != SL_OFFER_RUNNING);
	serves_the_next(r);
}

/* More requests than there are answers taken: 152 bytes each, as long as the socket has room. */
static void floods(void **state)
{
	struct rig *r = *state;
	struct uduse_msg msg = {
		.header = {.type = UDUSE_REQUEST, .len = sizeof(struct vduse_dev_request)},
		.fd = -1};
	unsigned n = 0;

	settle(r);
	drive(r);
	msg.payload.request.type = VDUSE_UPDATE_IOTLB + 1;
	while (!sl_uduse_send(r->sock, &msg, 0))
		n++;
	assert_true(n > 20);
	for (unsigned i = 0; i < n; i++)
		sl_worker_step(r->worker);
	settle(r);
	assert_int_equal(r->response.result, VDUSE_REQ_RESULT_FAILED);
	serves_the_next(r);
}

static void asks_what_cannot_be(void **state)
{
	struct rig *r = *state;
	static const struct vduse_dev_request requests[] = {
		{.type = 77},
		{.type = VDUSE_GET_VQ_STATE, .vq_state.index = QUEUES},
		{.type = VDUSE_GET_VQ_STATE, .vq_state.index = UINT32_MAX},
		{.type = VDUSE_UPDATE_IOTLB, .iova = {1, 0}},
	};

	settle(r);
	drive(r);
	for (unsigned i = 0; i < sl_array_len(requests); i++) {
		ask(r, requests[i]);
		settle(r);
		assert_int_equal(r->response.request_id, r->last_id);
		assert_int_equal(r->response.result, VDUSE_REQ_RESULT_FAILED);
	}
	make_available(r, 0);
	settle(r);
	assert_int_equal(r->n_held, 1);
}

/*
 * Lies about queues and memory.
 */

static void fails_to_run(struct rig *r)
{
	static const uint8_t steps[] = {0, 11, 15};

	for (unsigned i = 0; i < sizeof(steps); i++) {
		set_status(r, steps[i]);
		settle(r);
	}
	assert_int_equal(r->response.request_id, r->last_id);
	assert_int_equal(r->response.result, VDUSE_REQ_RESULT_FAILED);
}

static void lies_about_queues(void **state)
{
	struct rig *r = *state;
	static const uint32_t sizes[] = {0, 3, 2 * SIZE, 65536 + SIZE, UINT32_MAX};
	static const uint64_t addresses[] = {0, AT - 1, AT + MEMORY - 16, UINT64_MAX - 8};

	settle(r);
	drive(r);
	for (unsigned i = 0; i < sl_array_len(sizes); i++) {
		set_up_queue(r, 1);
		r->vq[1].num = sizes[i];
		fails_to_run(r);
	}
	for (unsigned i = 0; i < sl_array_len(addresses); i++) {
		set_up_queue(r, 1);
		*(i % 2 ? &r->vq[1].desc_addr : &r->vq[1].device_addr) = addresses[i];
		fails_to_run(r);
	}
	r->features |= UINT64_C(1) << VIRTIO_F_RING_PACKED;
	set_up_queue(r, 1);
	r->vq[1].packed.last_avail_idx = SIZE;
	fails_to_run(r);
	r->vq[1].packed = (struct vduse_vq_state_packed){.last_avail_counter = 2};
	fails_to_run(r);
	serves_the_next(r);
}

static void lies_about_entries(void **state)
{
	struct rig *r = *state;
	static const struct vduse_iotlb_entry entries[] = {
		{0, AT, AT - 1, VDUSE_ACCESS_RW},
		{0, 0, UINT64_MAX, VDUSE_ACCESS_RW},
		{0, 0, INT64_MAX, VDUSE_ACCESS_RW},
		{UINT64_MAX - 4096, AT, AT + MEMORY - 1, VDUSE_ACCESS_RW},
		{INT64_MAX - 4096, AT, AT + MEMORY - 1, VDUSE_ACCESS_RW},
		{0, AT, AT + MEMORY - 1, 0},
		{0, AT, AT + MEMORY - 1, 7},
		{0, AT, AT + MEMORY - 1, VDUSE_ACCESS_RO}, /* where used rings lie */
	};

	settle(r);
	drive(r);
	for (unsigned i = 0; i < sl_array_len(entries); i++) {
		r->entries[0] = entries[i];
		fails_to_run(r);
		assert_in_range(r->regions, 0, 1);
	}
	serves_the_next(r);
}

/* The same entry again and again, or below what was asked for. */
static bool out_of_order(struct rig *r, struct uduse_msg *msg)
{
	if (is_return(msg, VDUSE_IOTLB_GET_FD) && r->lies++) {
		msg->header.result = 0;
		msg->header.len = sizeof(msg->payload.entry);
		msg->payload.entry = r->entries[0];
		msg->fd = r->memory;
	}
	return true;
}

/* No end of them, until the step's time is over. */
static bool endless(struct rig *r, struct uduse_msg *msg)
{
	if (is_return(msg, VDUSE_IOTLB_GET_FD)) {
		uint64_t at = AT + (r->lies++ + 1) * 2ull * MEMORY;

		msg->header.result = 0;
		msg->header.len = sizeof(msg->payload.entry);
		msg->payload.entry =
			(struct vduse_iotlb_entry){0, at, at + MEMORY - 1, VDUSE_ACCESS_RW};
		msg->fd = r->memory;
	}
	return true;
}

static void entries_without_end(void **state)
{
	struct rig *r = *state;
	unsigned had;

	settle(r);
	serves_the_next(r);
	had = in_use(r);
	r->lie = out_of_order;
	fails_to_run(r);
	r->lie = endless;
	r->lies = 0;
	set_status(r, 0);
	settle(r);
	set_status(r, 15);
	settle(r);
	assert_true(r->lies > 100);
	assert_true(sl_offer_get_state(r->offer) != SL_OFFER_RUNNING);
	serves_the_next(r);
	assert_int_equal(in_use(r), had);
}

static void descriptors_that_are_no_memory(void **state)
{
	struct rig *r = *state;
	int ends[2], pipes[2], bad[5];

	settle(r);
	drive(r);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(pipe(pipes), 0);
	bad[0] = ends[0];
	bad[1] = pipes[1];
	bad[2] = eventfd(0, EFD_CLOEXEC);
	bad[3] = open("/dev/null", O_RDWR | O_CLOEXEC);
	bad[4] = open("/", O_RDONLY | O_CLOEXEC);
	for (unsigned i = 0; i < sl_array_len(bad); i++) {
		driver_memory(r, bad[i]);
		fails_to_run(r);
		assert_int_equal(r->regions, 0);
	}
	for (unsigned i = 0; i < sl_array_len(bad); i++)
		sl_fd_close(&bad[i]);
	sl_fd_close(&ends[1]);
	sl_fd_close(&pipes[0]);
	serves_the_next(r);
}

static const char *broken(struct rig *r, unsigned queue)
{
	struct sl_offer_queue_stats stats;

	assert_int_equal(sl_offer_get_stats(r->offer, (uint16_t)queue, &stats), 0);
	return stats.broken;
}

/* Shorter than it is said to be from the beginning; and later, rings and all. */
static void memory_that_is_cut_off(void **state)
{
	struct sigaction guard = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	struct rig *r = *state;

	sigaction(SIGBUS, &guard, NULL);
	settle(r);
	drive(r);
	make_available_at(r, 0, AT + MEMORY - 8, 64); /* past its end */
	settle(r);
	assert_non_null(broken(r, 0));
	make_available(r, 1);
	settle(r);
	assert_int_equal(r->n_held, 1);
	assert_int_equal(ftruncate(r->memory, 0), 0);
	give_back(r);
	settle(r);
	set_status(r, 0);
	settle(r);
	assert_int_equal(r->response.result, VDUSE_REQ_RESULT_OK);
	fails_to_run(r);
	assert_int_equal(ftruncate(r->memory, MEMORY), 0);
	serves_the_next(r);
}

/* Of a queue that is broken, what memory does is of no matter until it is reset. */
static void broken_stays_broken(void **state)
{
	struct rig *r = *state;

	settle(r);
	drive(r);
	make_available_at(r, 0, 0, 64);
	settle(r);
	assert_non_null(broken(r, 0));
	ask(r, (struct vduse_dev_request){.type = VDUSE_UPDATE_IOTLB, .iova = {0, UINT64_MAX}});
	settle(r);
	assert_int_equal(r->response.result, VDUSE_REQ_RESULT_OK);
	make_available(r, 0);
	make_available(r, 1);
	settle(r);
	assert_int_equal(r->n_held, 1);
	give_back(r);
	drive(r);
	make_available(r, 0);
	settle(r);
	assert_int_equal(r->n_held, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(dies_at_each_message),
		RIG_TEST(lies_about_messages),
		RIG_TEST(never_answers),
		RIG_TEST(floods),
		RIG_TEST(asks_what_cannot_be),
		RIG_TEST(lies_about_queues),
		RIG_TEST(lies_about_entries),
		RIG_TEST(entries_without_end),
		RIG_TEST(descriptors_that_are_no_memory),
		RIG_TEST(memory_that_is_cut_off),
		RIG_TEST(broken_stays_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
