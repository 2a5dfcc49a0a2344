/* SPDX-License-Identifier: BSD-2-Clause */
/* Bringing up a virtio device, and what a network device is asked and says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sluice/reason.h>

#include "fake_virtio_net.h"

#define BIT	   VIRTIO_BIT
#define CONTROL	   (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_MQ))
#define GUEST_USO  (BIT(VIRTIO_NET_F_GUEST_USO4) | BIT(VIRTIO_NET_F_GUEST_USO6))
#define EVERYTHING (SL_CAN_CSUM | SL_CAN_TSO4 | SL_CAN_TSO6 | SL_CAN_USO | SL_CAN_ECN)
#define RING	   (BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_IN_ORDER))

static struct fake_virtio_net fake;
static struct virtio *v = &fake.virtio;

static int fresh(void **state)
{
	(void)state;
	fake = fake_net();
	return 0;
}

static void assert_sequence(const uint8_t *wanted, unsigned n)
{
	assert_int_equal(fake.n_sequence, n);
	assert_memory_equal(fake.sequence, wanted, n);
}

static void assert_reason(const char *part)
{
	if (!strstr(sl_reason(), part))
		fail_msg("not \"%s\" but \"%s\"", part, sl_reason());
}

/* 3.1.1, step by step. */
static void test_sequence(void **state)
{
	static const uint8_t wanted[] = {0, 1, 3, 11, 15};

	(void)state;
	assert_int_equal(sl_virtio_net_start(v, 0), 0);
	assert_int_equal(sl_virtio_driver_ok(v), 0);
	assert_sequence(wanted, sizeof(wanted));
	assert_int_equal(sl_virtio_check(v), 0);
}

static void test_reset_takes_time(void **state)
{
	(void)state;
	fake.stuck = 20;
	assert_int_equal(sl_virtio_reset(v), 0);
	assert_int_equal(fake.status, 0);
}

static void test_reset_never_ends(void **state)
{
	(void)state;
	fake.stuck = UINT32_MAX;
	assert_int_equal(sl_virtio_start(v, 0, NULL), -ETIMEDOUT);
	assert_reason("its status is 0x04");
}

static void test_gone(void **state)
{
	(void)state;
	fake.gone = true;
	assert_int_equal(sl_virtio_reset(v), -ENODEV);
	assert_int_equal(sl_virtio_start(v, 0, NULL), -ENODEV);
	assert_int_equal(sl_virtio_driver_ok(v), -ENODEV);
	assert_int_equal(sl_virtio_check(v), -ENODEV);
}

static void test_legacy_is_refused(void **state)
{
	(void)state;
	fake.offers = ~BIT(VIRTIO_F_VERSION_1);
	assert_int_equal(sl_virtio_start(v, 0, NULL), -EOPNOTSUPP);
	assert_reason("VIRTIO_F_VERSION_1");
	assert_true(fake.status & VIRTIO_CONFIG_S_FAILED);
}

/* 3.1.1, step 6: the device takes FEATURES_OK back. */
static void test_features_refused(void **state)
{
	(void)state;
	fake.refuses = BIT(VIRTIO_NET_F_CSUM);
	assert_int_equal(sl_virtio_net_start(v, 0), -EOPNOTSUPP);
	assert_true(fake.status & VIRTIO_CONFIG_S_FAILED);
	assert_false(fake.status & VIRTIO_CONFIG_S_DRIVER_OK);
}

static void test_needs_reset(void **state)
{
	(void)state;
	assert_int_equal(sl_virtio_net_start(v, 0), 0);
	assert_int_equal(sl_virtio_check(v), -ENODEV); /* no DRIVER_OK: somebody reset it */
	assert_int_equal(sl_virtio_driver_ok(v), 0);
	fake.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	assert_int_equal(sl_virtio_check(v), -ENODEV);
	assert_reason("needs a reset");
}

/* Nothing that is not known is taken; and what was offered is. */
static void test_features(void **state)
{
	uint64_t known = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) |
			 BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_NET_F_MAC) |
			 BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_CSUM) |
			 BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_MRG_RXBUF) |
			 BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) |
			 BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_HOST_TSO4) |
			 BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN) |
			 BIT(VIRTIO_NET_F_HOST_USO) | GUEST_USO;

	(void)state;
	sl_virtio_net_start(v, 0);
	assert_int_equal(fake.accepted, known);
	sl_virtio_net_start(v, CONTROL);
	assert_int_equal(fake.accepted, known | CONTROL);
	assert_int_equal(v->features, fake.accepted);
	assert_int_equal(sl_virtio_net_emits(v),
			 SL_CAN_CSUM | SL_CAN_TSO4 | SL_CAN_TSO6 | SL_CAN_ECN | SL_CAN_USO);
	assert_int_equal(sl_virtio_net_accepts(v),
			 SL_CAN_CSUM | SL_CAN_TSO4 | SL_CAN_TSO6 | SL_CAN_ECN | SL_CAN_USO);
	sl_virtio_net_start(v, RING | BIT(VIRTIO_NET_F_MQ));
	assert_int_equal(fake.accepted, known | RING | BIT(VIRTIO_NET_F_MQ));
	fake.offers = BIT(VIRTIO_F_VERSION_1);
	sl_virtio_net_start(v, CONTROL);
	assert_int_equal(fake.accepted, BIT(VIRTIO_F_VERSION_1));
	assert_int_equal(sl_virtio_net_emits(v), 0);
	assert_int_equal(sl_virtio_net_accepts(v), 0);
}

/* 5.1.3.1: what needs what. */
static void test_features_that_need_others(void **state)
{
	static const struct {
		unsigned missing;
		uint64_t go;
	} cases[] = {
		{VIRTIO_NET_F_CSUM, BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |
					    BIT(VIRTIO_NET_F_HOST_ECN) |
					    BIT(VIRTIO_NET_F_HOST_USO)},
		{VIRTIO_NET_F_GUEST_CSUM, BIT(VIRTIO_NET_F_GUEST_TSO4) |
						  BIT(VIRTIO_NET_F_GUEST_TSO6) |
						  BIT(VIRTIO_NET_F_GUEST_ECN) | GUEST_USO},
		{VIRTIO_NET_F_MRG_RXBUF,
		 BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) |
			 BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_MTU) | GUEST_USO},
		{VIRTIO_NET_F_GUEST_USO4, GUEST_USO}, /* one family alone is of no use */
		{VIRTIO_NET_F_GUEST_USO6, GUEST_USO},
		{VIRTIO_NET_F_CTRL_VQ, BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_MQ)},
		{VIRTIO_NET_F_HOST_TSO4, 0}, /* HOST_ECN still has TSO6 */
	};
	uint64_t all;

	(void)state;
	sl_virtio_net_start(v, CONTROL);
	all = fake.accepted;
	for (unsigned i = 0; i < sl_array_len(cases); i++) {
		fake.offers = ~BIT(cases[i].missing);
		sl_virtio_net_start(v, CONTROL);
		assert_int_equal(fake.accepted, all & ~cases[i].go & ~BIT(cases[i].missing));
	}
	fake.offers = ~(BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6));
	sl_virtio_net_start(v, CONTROL);
	assert_false(fake.accepted & BIT(VIRTIO_NET_F_HOST_ECN));
	fake.offers = ~(BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6));
	sl_virtio_net_start(v, CONTROL);
	assert_false(fake.accepted & BIT(VIRTIO_NET_F_GUEST_ECN));
	assert_true(fake.accepted & BIT(VIRTIO_NET_F_GUEST_USO4));
}

/*
 * Configuration.
 */

static void test_state(void **state)
{
	struct virtio_net_state s;

	(void)state;
	sl_virtio_net_start(v, CONTROL);
	assert_int_equal(sl_virtio_net_state(v, &s), 0);
	assert_memory_equal(s.mac, fake.config.mac, 6);
	assert_true(s.link_up);
	assert_int_equal(s.max_virtqueue_pairs, 3);
	assert_int_equal(s.mtu, 1400);
	fake.config.status = 0;
	assert_int_equal(sl_virtio_net_state(v, &s), 0);
	assert_false(s.link_up);
}

/* A field whose feature was not negotiated is not there, whatever lies in its place. */
static void test_state_of_little(void **state)
{
	struct virtio_net_state s;
	uint8_t none[6] = {0};

	(void)state;
	fake.offers = BIT(VIRTIO_F_VERSION_1);
	fake.config_len = 0;
	sl_virtio_net_start(v, CONTROL);
	assert_int_equal(sl_virtio_net_state(v, &s), 0);
	assert_memory_equal(s.mac, none, 6);
	assert_true(s.link_up);
	assert_int_equal(s.max_virtqueue_pairs, 1);
	assert_int_equal(s.mtu, 1500);
	/* A back end of vhost-user may offer what it has no place to say anything about in. */
	fake.offers = UINT64_MAX;
	fake.no_config = true;
	sl_virtio_net_start(v, CONTROL);
	assert_int_equal(sl_virtio_net_state(v, &s), 0);
	assert_memory_equal(s.mac, none, 6);
	assert_true(s.link_up);
	assert_int_equal(s.mtu, 1500);
}

static void test_state_that_cannot_be(void **state)
{
	struct virtio_net_state s;

	(void)state;
	sl_virtio_net_start(v, CONTROL);
	fake.config.mtu = 67;
	assert_int_equal(sl_virtio_net_state(v, &s), -EINVAL);
	assert_reason("MTU is 67");
	fake.config.mtu = 68;
	assert_int_equal(sl_virtio_net_state(v, &s), 0);
	fake.config.max_virtqueue_pairs = 0;
	assert_int_equal(sl_virtio_net_state(v, &s), -EINVAL);
	fake.config.max_virtqueue_pairs = 0x8001;
	assert_int_equal(sl_virtio_net_state(v, &s), -EINVAL);
	fake.config.max_virtqueue_pairs = 1;
	fake.config_len = 11; /* half an MTU */
	assert_int_equal(sl_virtio_net_state(v, &s), -EINVAL);
	fake.config_len = 12;
	fake.restless = true;
	assert_int_equal(sl_virtio_net_state(v, &s), -EAGAIN);
}

/*
 * Headers.
 */

static void test_hdr_make(void **state)
{
	static const struct sl_offload offload = {.flags = 3,
						  .gso_type = SL_GSO_TCPV6 | SL_GSO_ECN,
						  .hdr_len = 74,
						  .gso_size = 1400,
						  .csum_start = 54,
						  .csum_offset = 16};
	struct virtio_net_hdr_v1 hdr, none = {0};

	(void)state;
	assert_int_equal(VIRTIO_NET_HDR_LEN, 12);
	sl_virtio_net_hdr_make(&hdr, &offload, VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
	assert_int_equal(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM); /* not DATA_VALID */
	assert_int_equal(hdr.gso_type, VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN);
	assert_int_equal(hdr.hdr_len, 74);
	assert_int_equal(hdr.gso_size, 1400);
	assert_int_equal(hdr.csum_start, 54);
	assert_int_equal(hdr.csum_offset, 16);
	assert_int_equal(hdr.num_buffers,
			 0); /* 5.1.6.2.1: "The driver MUST set num_buffers to zero" */
	sl_virtio_net_hdr_make(&hdr, &offload, 0xff, 7);
	assert_int_equal(hdr.flags, 3);
	assert_int_equal(hdr.num_buffers, 7);
	assert_int_equal(hdr.csum_offset, 16);
	sl_virtio_net_hdr_make(&hdr, NULL, 0xff, 0);
	assert_memory_equal(&hdr, &none, sizeof(hdr));
}

static void test_hdr_parse(void **state)
{
	uint32_t all = SL_CAN_CSUM | SL_CAN_TSO4 | SL_CAN_TSO6;
	struct virtio_net_hdr_v1 hdr = {0}, good = {.flags = 1,
						    .gso_type = SL_GSO_TCPV4,
						    .gso_size = 1448,
						    .hdr_len = 66,
						    .csum_start = 34,
						    .csum_offset = 16};
	struct sl_offload out;

	(void)state;
	assert_int_equal(sl_virtio_net_hdr_parse(&hdr, 60, 0, &out), 0);
	assert_int_equal(sl_virtio_net_hdr_parse(&good, 9000, all, &out), 1);
	assert_int_equal(out.flags, SL_OFFLOAD_NEEDS_CSUM);
	assert_int_equal(out.gso_type, SL_GSO_TCPV4);
	assert_int_equal(out.gso_size, 1448);
	assert_int_equal(out.csum_start, 34);
	assert_int_equal(out.csum_offset, 16);
	hdr.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	hdr.csum_start = hdr.csum_offset = 0xffff; /* mean nothing then */
	assert_int_equal(sl_virtio_net_hdr_parse(&hdr, 60, all, &out), 1);
	assert_int_equal(out.flags, SL_OFFLOAD_DATA_VALID);
	assert_int_equal(out.csum_start + out.csum_offset, 0);
}

static void test_hdr_uso(void **state)
{
	struct virtio_net_hdr_v1 hdr = {.flags = 1,
					.gso_type = SL_GSO_UDP_L4,
					.gso_size = 1400,
					.csum_start = 34,
					.csum_offset = 6};
	struct sl_offload out;

	(void)state;
	assert_int_equal(sl_virtio_net_hdr_parse(&hdr, 9000, SL_CAN_CSUM | SL_CAN_USO, &out), 1);
	assert_int_equal(out.gso_type, SL_GSO_UDP_L4);
	assert_int_equal(sl_virtio_net_hdr_parse(&hdr, 9000, SL_CAN_CSUM, &out), -EINVAL);
	assert_int_equal(sl_virtio_net_hdr_parse(&hdr, 9000, SL_CAN_USO, &out), -EINVAL);
	hdr.gso_type |= SL_GSO_ECN; /* of TCP alone */
	assert_int_equal(sl_virtio_net_hdr_parse(&hdr, 9000, EVERYTHING, &out), -EINVAL);
}

static void test_hdr_lies(void **state)
{
	uint32_t all = SL_CAN_CSUM | SL_CAN_TSO4;
	const struct virtio_net_hdr_v1 good = {.flags = 1,
					       .gso_type = SL_GSO_TCPV4,
					       .gso_size = 1448,
					       .csum_start = 34,
					       .csum_offset = 16};
	struct virtio_net_hdr_v1 hdr = good;
	struct sl_offload out;

	(void)state;
	assert_int_equal(sl_virtio_net_hdr_parse(&hdr, 51, all, &out), -EINVAL);
	assert_int_equal(sl_virtio_net_hdr_parse(&hdr, 52, all, &out), 1);
	hdr.csum_start = 0xffff;
	hdr.csum_offset = 0xffff;
	assert_int_equal(sl_virtio_net_hdr_parse(&hdr, 52, all, &out), -EINVAL);
	hdr = good;
	hdr.gso_size = 0;
	assert_int_equal(sl_virtio_net_hdr_parse(&hdr, 60, all, &out), -EINVAL);
	hdr = good;
	hdr.flags = 0;
	assert_int_equal(sl_virtio_net_hdr_parse(&hdr, 60, all, &out), -EINVAL);
	assert_int_equal(sl_virtio_net_hdr_parse(&good, 60, SL_CAN_CSUM, &out), -EINVAL);
	assert_int_equal(sl_virtio_net_hdr_parse(&good, 60, 0, &out), -EINVAL);
	for (unsigned type = 1; type < 256; type++) {
		hdr = good;
		hdr.gso_type = (uint8_t)type;
		assert_int_equal(sl_virtio_net_hdr_parse(&hdr, 60, all, &out),
				 type == SL_GSO_TCPV4 ? 1 : -EINVAL);
	}
}

/*
 * The control queue.
 */

static struct virtio_net_ctrl ctrl;
static void *ctrl_memory;
static uint8_t commands[VIRTIO_NET_CTRL_LEN];

static void open_ctrl(void)
{
	struct virtq_layout layout = sl_virtq_layout(4, false);
	struct virtq_options options = {.size = 4, .event_idx = true};
	struct virtio_queue setup = {.size = 4};

	ctrl_memory = calloc(1, layout.len);
	assert_non_null(ctrl_memory);
	ctrl = (struct virtio_net_ctrl){v, .queue = FAKE_NET_QUEUES - 1, .memory = commands};
	ctrl.iova.value = (uintptr_t)commands;
	setup.desc.value = (uintptr_t)ctrl_memory;
	sl_virtio_net_start(v, CONTROL);
	assert_int_equal(sl_virtq_open(&ctrl.vq, &options, ctrl_memory), 0);
	v->ops->queue_enable(v, ctrl.queue, &setup);
}

static void close_ctrl(void)
{
	sl_virtq_close(&ctrl.vq);
	free(ctrl_memory);
}

static int ask_pairs(uint16_t pairs)
{
	return sl_virtio_net_ctrl(&ctrl, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET,
				  &pairs, sizeof(pairs));
}

static void test_ctrl(void **state)
{
	static const uint8_t wanted[] = {VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 3, 0};

	(void)state;
	open_ctrl();
	for (unsigned i = 0; i < 10; i++) {
		fake_virtq_listen(&fake.queues[ctrl.queue], true);
		assert_int_equal(ask_pairs(3), 0);
		assert_int_equal(fake.asked_len, sizeof(wanted));
		assert_memory_equal(fake.asked, wanted, sizeof(wanted));
	}
	fake_virtq_listen(&fake.queues[ctrl.queue], true);
	fake.ack = VIRTIO_NET_ERR;
	assert_int_equal(ask_pairs(3), -EOPNOTSUPP);
	assert_int_equal(sl_virtio_net_ctrl(&ctrl, 0, 0, commands, 33), -EINVAL);
	close_ctrl();
}

static void test_ctrl_mute(void **state)
{
	(void)state;
	open_ctrl();
	fake.mute = true;
	assert_int_equal(ask_pairs(1), -ETIMEDOUT);
	close_ctrl();
}

static void test_ctrl_broken(void **state)
{
	(void)state;
	open_ctrl();
	fake.mute = true;
	fake.queues[ctrl.queue].used->idx = 77;
	assert_int_equal(ask_pairs(1), -EPROTO);
	assert_reason("control queue is broken: used idx");
	close_ctrl();
}

#define test_fresh(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_fresh(test_sequence),
		test_fresh(test_reset_takes_time),
		test_fresh(test_reset_never_ends),
		test_fresh(test_gone),
		test_fresh(test_legacy_is_refused),
		test_fresh(test_features_refused),
		test_fresh(test_needs_reset),
		test_fresh(test_features),
		test_fresh(test_features_that_need_others),
		test_fresh(test_state),
		test_fresh(test_state_of_little),
		test_fresh(test_state_that_cannot_be),
		test_fresh(test_hdr_make),
		test_fresh(test_hdr_parse),
		test_fresh(test_hdr_uso),
		test_fresh(test_hdr_lies),
		test_fresh(test_ctrl),
		test_fresh(test_ctrl_mute),
		test_fresh(test_ctrl_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
