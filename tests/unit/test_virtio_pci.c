/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio over PCI: capabilities that lie, registers, and the port of a network device over them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <sluice/reason.h>

#include "fake_virtio_pci.h"
#include "port/nic/nic.h"
#include "virtio/net.h"

static uint8_t config[256];
static uint8_t end;
static struct virtio_pci_places places;

static void assert_reason(const char *part)
{
	if (!strstr(sl_reason(), part))
		fail_msg("not \"%s\" but \"%s\"", part, sl_reason());
}

static int fresh(void **state)
{
	(void)state;
	fake_config(config);
	end = 0;
	return 0;
}

static int parse(void)
{
	uint8_t *copy = malloc(sizeof(config)); /* for ASan */
	int ret;

	assert_non_null(copy);
	memcpy(copy, config, sizeof(config));
	ret = sl_virtio_pci_parse(copy, sizeof(config), &places);
	free(copy);
	return ret;
}

static void test_parse(void **state)
{
	(void)state;
	fake_caps(config, &end);
	assert_int_equal(parse(), 0);
	assert_int_equal(places.common.bar, FAKE_BAR);
	assert_int_equal(places.common.offset, FAKE_COMMON);
	assert_int_equal(places.common.length, FAKE_PART);
	assert_int_equal(places.isr.offset, FAKE_ISR);
	assert_int_equal(places.device.offset, FAKE_DEVICE);
	assert_int_equal(places.notify.offset, FAKE_NOTIFY);
	assert_int_equal(places.notify_off_multiplier, 4);
}

static void test_parse_nothing(void **state)
{
	(void)state;
	assert_int_equal(parse(), -EOPNOTSUPP);
	assert_reason("no modern virtio interface");
	assert_int_equal(sl_virtio_pci_parse(config, 32, &places), -EINVAL);
}

static void test_parse_one_missing(void **state)
{
	static const uint8_t types[] = {VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_PCI_CAP_NOTIFY_CFG,
					VIRTIO_PCI_CAP_ISR_CFG, VIRTIO_PCI_CAP_DEVICE_CFG};

	for (unsigned missing = 0; missing < sl_array_len(types); missing++) {
		fresh(state);
		for (unsigned i = 0; i < sl_array_len(types); i++)
			if (i != missing)
				fake_cap(config, &end, types[i], FAKE_BAR, 0x1000 * i, 0x1000);
		assert_int_equal(parse(), missing == 3 ? 0 : -EOPNOTSUPP);
	}
}

/* The first of a type that can be used, and none that cannot. */
static void test_parse_chooses(void **state)
{
	(void)state;
	config[PCI_BASE_ADDRESS_0] = 0x81; /* I/O ports */
	fake_cap(config, &end, VIRTIO_PCI_CAP_COMMON_CFG, 6, 0, 0x1000);
	fake_cap(config, &end, VIRTIO_PCI_CAP_COMMON_CFG, 0, 0, 0x1000);
	fake_cap(config, &end, VIRTIO_PCI_CAP_COMMON_CFG, FAKE_BAR, 0, 55);
	fake_cap(config, &end, VIRTIO_PCI_CAP_COMMON_CFG, FAKE_BAR, 2, 0x1000);
	fake_cap(config, &end, VIRTIO_PCI_CAP_COMMON_CFG, FAKE_BAR + 1, 0, 0x1000);
	fake_cap(config, &end, VIRTIO_PCI_CAP_COMMON_CFG, FAKE_BAR, 0x800, 56);
	fake_cap(config, &end, VIRTIO_PCI_CAP_COMMON_CFG, FAKE_BAR, 0x900, 56);
	fake_cap(config, &end, 77, FAKE_BAR, 0, 0x1000);
	fake_cap(config, &end, VIRTIO_PCI_CAP_NOTIFY_CFG, FAKE_BAR, 0x1000, 2);
	fake_cap(config, &end, VIRTIO_PCI_CAP_ISR_CFG, FAKE_BAR, 0x2001, 1);
	assert_int_equal(parse(), 0);
	assert_int_equal(places.common.offset, 0x800);
	assert_int_equal(places.isr.offset, 0x2001);
	assert_int_equal(places.device.length, 0);
}

static void test_parse_cut_short(void **state)
{
	struct virtio_pci_cap *cap;

	fake_cap(config, &end, VIRTIO_PCI_CAP_COMMON_CFG, FAKE_BAR, 0, 0x1000);
	fake_cap(config, &end, VIRTIO_PCI_CAP_ISR_CFG, FAKE_BAR, 0x1000, 1);
	cap = fake_cap(config, &end, VIRTIO_PCI_CAP_NOTIFY_CFG, FAKE_BAR, 0x2000, 2);
	cap->cap_len = 19; /* the multiplier is not in it */
	assert_int_equal(parse(), -EOPNOTSUPP);
	cap->cap_len = 200; /* 4.1.4.1: it may be longer */
	assert_int_equal(parse(), 0);
	fresh(state);
	fake_caps(config, &end);
	for (uint8_t at = 0x40; at; at = config[at + 1]) {
		uint8_t was = config[at + 2];

		if (config[at + 3] == VIRTIO_PCI_CAP_DEVICE_CFG)
			continue;
		config[at + 2] = 15;
		assert_int_equal(parse(), -EOPNOTSUPP);
		config[at + 2] = was;
	}
	/* The last bytes of the space. */
	fresh(state);
	fake_cap(config, &end, VIRTIO_PCI_CAP_COMMON_CFG, FAKE_BAR, 0, 0x1000);
	fake_cap(config, &end, VIRTIO_PCI_CAP_ISR_CFG, FAKE_BAR, 0x1000, 1);
	end = 256 - 20;
	cap = fake_cap(config, &end, VIRTIO_PCI_CAP_NOTIFY_CFG, FAKE_BAR, 0x2000, 2);
	assert_int_equal(parse(), 0);
	memmove(config + 240, cap, 16);
	config[config[0x40 + 1] + 1] = 240;
	assert_int_equal(parse(), -EOPNOTSUPP);
}

/*
 * Registers.
 */

static struct fake_virtio_pci *fake;
static struct virtio_pci pci;
static bool closed;

static int open_device(void **state)
{
	(void)state;
	fake = fake_virtio_pci(&closed);
	return fake ? 0 : -1;
}

static int close_device(void **state)
{
	(void)state;
	sl_device_close(&fake->dev);
	return 0;
}

static void test_open(void **state)
{
	struct virtio *v = &pci.virtio;
	struct virtio_pci_common_cfg *common = fake_common(fake);
	struct virtio_queue setup = {
		128, {0x123456789abcd000}, {0x1111222233334444}, {0x5555666677778888}, 2};
	uint16_t word;

	(void)state;
	assert_int_equal(sl_virtio_pci_open(&fake->dev, &pci), 0);
	assert_int_equal(v->ops->get_status(v), 0);
	v->ops->set_status(v, 15);
	assert_int_equal(common->device_status, 15);
	common->device_feature = 0x12345678;
	assert_true(v->ops->get_features(v) == 0x1234567812345678);
	v->ops->set_features(v, 0xaaaaaaaabbbbbbbb);
	assert_int_equal(common->guest_feature_select, 1);
	assert_int_equal(common->guest_feature, 0xaaaaaaaa);
	assert_int_equal(v->ops->queue_size(v, 4), 256);
	assert_int_equal(common->queue_select, 4);
	assert_int_equal(v->ops->queue_size(v, 5), 0);
	assert_int_equal(sl_virtio_pci_use_msix(&pci, 7), 0);
	assert_int_equal(common->msix_config, 7);
	common->queue_notify_off = 3;
	assert_int_equal(v->ops->queue_enable(v, 1, &setup), 0);
	assert_int_equal(common->queue_select, 1);
	assert_int_equal(common->queue_size, 128);
	assert_int_equal(common->queue_desc_lo, 0x9abcd000);
	assert_int_equal(common->queue_desc_hi, 0x12345678);
	assert_int_equal(common->queue_avail_lo, 0x33334444);
	assert_int_equal(common->queue_used_hi, 0x55556666);
	assert_int_equal(common->queue_msix_vector, 2);
	assert_int_equal(common->queue_enable, 1);
	v->ops->notify(v, 1);
	memcpy(&word, fake->bar + FAKE_NOTIFY + 3 * 4, 2);
	assert_int_equal(word, 1);
	fake->bar[FAKE_ISR] = 0xff & ~4;
	assert_int_equal(sl_virtio_pci_isr(&pci), 3);
}

/* 4.1.4.4: the place of a queue's notification is inside the structure, or the queue is refused. */
static void test_notify_places(void **state)
{
	static const struct {
		uint32_t multiplier;
		uint16_t off;
		int ret;
	} cases[] = {
		{0, 65535, 0},
		{4, 0x3ff, 0},
		{4, 0x400, -EOPNOTSUPP},
		{2, 0x7ff, 0},
		{2, 0x800, -EOPNOTSUPP},
		{1, 1, -EOPNOTSUPP},
		{0x1000, 1, -EOPNOTSUPP},
		{0x80000000, 2, -EOPNOTSUPP},
		{0xffffffff, 0xffff, -EOPNOTSUPP},
	};
	struct virtio *v = &pci.virtio;

	(void)state;
	for (unsigned i = 0; i < sl_array_len(cases); i++) {
		assert_int_equal(sl_virtio_pci_open(&fake->dev, &pci), 0);
		pci.notify_off_multiplier = cases[i].multiplier;
		fake_common(fake)->queue_notify_off = cases[i].off;
		assert_int_equal(v->ops->queue_enable(v, 0, &(struct virtio_queue){.size = 1}),
				 cases[i].ret);
		if (!cases[i].ret)
			v->ops->notify(v, 0);
	}
	assert_int_equal(v->ops->queue_enable(v, VIRTIO_PCI_QUEUES, &(struct virtio_queue){0}),
			 -EINVAL);
}

/* A structure must be in its BAR, whatever sums overflow. */
static void test_structures_outside(void **state)
{
	static const struct {
		uint32_t offset, length;
		int ret;
	} cases[] = {
		{0, FAKE_BAR_LEN, 0},
		{0, FAKE_BAR_LEN + 1, -EOPNOTSUPP},
		{FAKE_BAR_LEN - 56, 56, 0},
		{FAKE_BAR_LEN - 52, 56, -EOPNOTSUPP},
		{FAKE_BAR_LEN, 56, -EOPNOTSUPP},
		{0xfffffffc, 0xffffffff, -EOPNOTSUPP},
		{0x80000000, 0x80000000, -EOPNOTSUPP},
	};

	(void)state;
	for (unsigned i = 0; i < sl_array_len(cases); i++) {
		uint8_t at = 0;

		fake_config(fake->config);
		fake_cap(fake->config, &at, VIRTIO_PCI_CAP_COMMON_CFG, FAKE_BAR, cases[i].offset,
			 cases[i].length);
		fake_cap(fake->config, &at, VIRTIO_PCI_CAP_ISR_CFG, FAKE_BAR, 0, 1);
		fake_cap(fake->config, &at, VIRTIO_PCI_CAP_NOTIFY_CFG, FAKE_BAR, 0, 2);
		assert_int_equal(sl_virtio_pci_open(&fake->dev, &pci), cases[i].ret);
	}
	assert_reason("common configuration structure");
}

static void test_config_outside(void **state)
{
	struct virtio *v = &pci.virtio;
	uint8_t at = 0, bytes[8];

	(void)state;
	fake_config(fake->config);
	fake_cap(fake->config, &at, VIRTIO_PCI_CAP_COMMON_CFG, FAKE_BAR, 0, 56);
	fake_cap(fake->config, &at, VIRTIO_PCI_CAP_ISR_CFG, FAKE_BAR, 0x100, 1);
	fake_cap(fake->config, &at, VIRTIO_PCI_CAP_NOTIFY_CFG, FAKE_BAR, 0x200, 2);
	fake_cap(fake->config, &at, VIRTIO_PCI_CAP_DEVICE_CFG, FAKE_BAR, FAKE_DEVICE, 8);
	memcpy(fake->bar + FAKE_DEVICE, "abcdefgh", 8);
	assert_int_equal(sl_virtio_pci_open(&fake->dev, &pci), 0);
	assert_int_equal(sl_virtio_get_config(v, 0, bytes, 6), 0);
	assert_memory_equal(bytes, "abcdef", 6);
	assert_int_equal(sl_virtio_get_config(v, 6, bytes, 2), 0);
	assert_memory_equal(bytes, "gh", 2);
	assert_int_equal(sl_virtio_get_config(v, 8, bytes, 2), -EINVAL);
	assert_int_equal(sl_virtio_get_config(v, 7, bytes, 2), -EINVAL);
	assert_int_equal(sl_virtio_get_config(v, SIZE_MAX, bytes, 2), -EINVAL);
}

/* What was unplugged reads as ones. */
static void test_gone(void **state)
{
	(void)state;
	assert_int_equal(sl_virtio_pci_open(&fake->dev, &pci), 0);
	memset(fake->bar, 0xff, FAKE_BAR_LEN);
	assert_int_equal(pci.virtio.ops->get_status(&pci.virtio), -ENODEV);
	assert_int_equal(sl_virtio_check(&pci.virtio), -ENODEV);
	assert_int_equal(sl_virtio_pci_isr(&pci), -ENODEV);
}

/*
 * The port.
 */

static struct sl_port *port;

static int open_port(const struct nic_options *options)
{
	struct virtio_net_config net = {{2, 0, 0, 0, 0, 9}, VIRTIO_NET_S_LINK_UP, 2, 1400};

	memcpy(fake->bar + FAKE_DEVICE, &net, sizeof(net));
	return sl_nic_virtio_net.open(&fake->dev, options, NULL, &port);
}

static void test_port(void **state)
{
	struct virtio_pci_common_cfg *common = fake_common(fake);
	static const struct nic_options options = {0};
	struct sl_port_info info;

	(void)state;
	assert_int_equal(open_port(&options), 0);
	port->ops->info(port, &info);
	assert_int_equal(info.layer, 2);
	assert_int_equal(info.queues, 1);
	assert_int_equal(info.mtu, 1400);
	assert_int_equal(info.mac[5], 9);
	assert_int_equal(info.attached, 1);
	assert_int_equal(info.n_regions, 1);
	assert_true(info.emits & info.accepts & SL_CAN_TSO6);
	assert_int_equal(common->device_status, 15);
	assert_int_equal(common->queue_select, 1);
	assert_int_equal(common->queue_msix_vector, 1);
	assert_int_equal(common->msix_config, 2);
	assert_int_equal(fake->config[PCI_COMMAND] & PCI_COMMAND_MASTER, PCI_COMMAND_MASTER);
	assert_int_equal(port->ops->arm(port, 0, SL_PORT_RX), POLLIN);
	/* The queue is empty: no interrupt would tell of room. */
	assert_int_equal(port->ops->arm(port, 0, SL_PORT_TX), SL_PORT_READY);
	assert_int_equal(port->ops->control(port, 0), 0);
	port->ops->stop(port);
	assert_int_equal(common->device_status, 0);
	assert_int_equal(fake->config[PCI_COMMAND] & PCI_COMMAND_MASTER, 0);
	port->ops->close(port);
	assert_true(closed);
}

/* Its memory is nobody's before the device was told to leave it alone. */
static void test_port_closed_unstopped(void **state)
{
	static const struct nic_options options = {0};
	uint8_t *bar;

	(void)state;
	assert_int_equal(open_port(&options), 0);
	bar = mmap(NULL, FAKE_BAR_LEN, PROT_READ, MAP_SHARED, fake->memory, 0);
	assert_true(bar != MAP_FAILED);
	port->ops->close(port);
	assert_true(closed);
	assert_int_equal(((struct virtio_pci_common_cfg *)(void *)bar)->device_status, 0);
	munmap(bar, FAKE_BAR_LEN);
}

static void test_port_gone(void **state)
{
	static const struct nic_options options = {0};

	(void)state;
	assert_int_equal(open_port(&options), 0);
	memset(fake->bar, 0xff, FAKE_BAR_LEN);
	assert_int_equal(port->ops->control(port, UINT64_MAX / 2), -ENODEV);
	port->ops->stop(port);
	port->ops->close(port);
	assert_true(closed);
}

static void refused(const struct nic_options *options, int ret, const char *why)
{
	assert_int_equal(open_port(options), ret);
	assert_reason(why);
	assert_true(closed);
}

static void test_port_past_iommu(void **state)
{
	(void)state;
	fake_common(fake)->device_feature &= ~2u; /* bit 33, and 1 */
	refused(&(struct nic_options){0}, -EOPNOTSUPP, "VIRTIO_F_ACCESS_PLATFORM");
}

static void test_port_legacy(void **state)
{
	(void)state;
	fake_common(fake)->device_feature &= ~1u; /* bit 32, and 0 */
	refused(&(struct nic_options){0}, -EOPNOTSUPP, "VIRTIO_F_VERSION_1");
}

static void test_port_too_many_queues(void **state)
{
	(void)state;
	refused(&(struct nic_options){.queues = 3}, -EINVAL, "queues=3: the device has 2");
}

/* Nobody answers on the control queue of this fake. */
static void test_port_mute_control(void **state)
{
	(void)state;
	refused(&(struct nic_options){.promisc = true}, -ETIMEDOUT, "control queue");
}

/* 5.1.2: its number would be 65536. */
static void test_port_no_control(void **state)
{
	struct virtio_net_config net = {{0}, VIRTIO_NET_S_LINK_UP, 0x8000, 1400};

	(void)state;
	memcpy(fake->bar + FAKE_DEVICE, &net, sizeof(net));
	assert_int_equal(sl_nic_virtio_net.open(&fake->dev, &(struct nic_options){.promisc = true},
						NULL, &port),
			 -EOPNOTSUPP);
	assert_reason("no control queue");
}

static void test_port_bad_queue_size(void **state)
{
	(void)state;
	fake_common(fake)->queue_size = 100;
	refused(&(struct nic_options){0}, -EINVAL, "power of two");
}

static void test_port_no_queue(void **state)
{
	(void)state;
	fake_common(fake)->num_queues = 1;
	refused(&(struct nic_options){0}, -EOPNOTSUPP, "no queue 1");
}

/* INTx: the cause goes to the queues, a change of the link is seen. */
static void test_port_intx(void **state)
{
	static const struct nic_options options = {0};
	struct pollfd both = {.events = POLLIN}, control = {.events = POLLIN};
	uint64_t one = 1;
	struct nic *nic;

	(void)state;
	fake->vectors = 2;
	assert_int_equal(open_port(&options), 0);
	nic = sl_container_of(port, struct nic, port);
	assert_true(nic->intx);
	both.fd = port->ops->fd(port, 0, SL_PORT_RX | SL_PORT_TX);
	control.fd = port->ops->control_fd(port);
	assert_int_equal(port->ops->control(port, 0), 0);
	assert_int_equal(poll(&both, 1, 0), 0);
	assert_int_equal(poll(&control, 1, 0), 0);
	fake->bar[FAKE_ISR] = 1;
	assert_int_equal(write(nic->event, &one, sizeof(one)), sizeof(one));
	assert_int_equal(poll(&control, 1, 0), 1);
	assert_int_equal(port->ops->control(port, 0), 0);
	assert_int_equal(poll(&control, 1, 0), 0);
	assert_int_equal(poll(&both, 1, 0), 1);
	assert_int_equal(port->ops->arm(port, 0, SL_PORT_RX), POLLIN);
	assert_int_equal(poll(&both, 1, 0), 0); /* also what was not armed for */
	port->ops->close(port);
}

/* The device says that its link is down: what is sent is dropped, and counted. */
static void test_port_link_down(void **state)
{
	static const struct nic_options options = {0};
	struct sl_counters count = {0};
	struct sl_ring *ring;
	uint8_t bytes[64];
	uint32_t at;

	(void)state;
	assert_int_equal(open_port(&options), 0);
	assert_int_equal(sl_ring_create(&(struct sl_ring_config){8, 64, -1, -1}, &ring), 0);
	fake->bar[FAKE_DEVICE + offsetof(struct virtio_net_config, status)] = 0;
	assert_int_equal(port->ops->control(port, 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(sl_ring_room(ring, &at) > 0);
		*sl_ring_packet(ring, at) = (struct sl_packet){.frag = {bytes, sizeof(bytes)}};
		sl_ring_post(ring, 1);
		assert_int_equal(port->ops->tx(port, 0, ring), 1);
		fake->bar[FAKE_DEVICE + offsetof(struct virtio_net_config, status)] = 1;
		assert_int_equal(port->ops->control(port, 0), 0);
	}
	port->ops->stats(port, 0, &count);
	assert_int_equal(count.tx.drops[SL_DROP_DOWN], 1);
	assert_int_equal(count.tx.packets, 1);
	assert_int_equal(count.tx.copied, 1); /* nobody told it of a region */
	port->ops->stop(port);
	port->ops->close(port);
	sl_ring_release(ring);
}

#define with_config(f) cmocka_unit_test_setup(f, fresh)
#define with_device(f) cmocka_unit_test_setup_teardown(f, open_device, close_device)
#define with_port(f)   cmocka_unit_test_setup(f, open_device)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_config(test_parse),
		with_config(test_parse_nothing),
		with_config(test_parse_one_missing),
		with_config(test_parse_chooses),
		with_config(test_parse_cut_short),
		with_device(test_open),
		with_device(test_notify_places),
		with_device(test_structures_outside),
		with_device(test_config_outside),
		with_device(test_gone),
		with_port(test_port),
		with_port(test_port_closed_unstopped),
		with_port(test_port_gone),
		with_port(test_port_past_iommu),
		with_port(test_port_legacy),
		with_port(test_port_too_many_queues),
		with_port(test_port_mute_control),
		with_port(test_port_no_control),
		with_port(test_port_bad_queue_size),
		with_port(test_port_no_queue),
		with_port(test_port_intx),
		with_port(test_port_link_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
