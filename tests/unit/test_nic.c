/* SPDX-License-Identifier: BSD-2-Clause */
/* What NICs share, with the driver of the 82574: events, going away. */
#include "nic_rig.h"

/*
 * Interrupts.
 */

static int arm(struct rig *r, unsigned want)
{
	return r->port->ops->arm(r->port, 0, want);
}

static void test_events(void **state)
{
	struct rig *r = rig();
	int fd = r->port->ops->fd(r->port, 0, SL_PORT_RX);
	int tx_fd = r->port->ops->fd(r->port, 0, SL_PORT_TX);
	unsigned writes;

	(void)state;
	receive(r, 60, 0, 0);
	assert_false(readable(fd)); /* nobody has asked */
	assert_int_equal(arm(r, SL_PORT_RX), SL_PORT_READY);
	assert_int_equal(rx(r), 1);
	assert_int_equal(arm(r, SL_PORT_RX), POLLIN); /* the one from before has come by now */
	assert_false(readable(fd));
	writes = r->f.n_writes;
	assert_int_equal(arm(r, SL_PORT_RX), POLLIN);
	assert_int_equal(r->f.n_writes, writes); /* it is on still */
	receive(r, 60, 0, 0);
	assert_true(readable(fd));
	receive(r, 60, 0, 0);
	assert_int_equal(rx(r), 2);
	assert_false(readable(tx_fd));
	give(r, r->memory, FRAME);
	tx(r);
	assert_int_equal(arm(r, SL_PORT_TX), POLLIN);
	fake_send(&r->f, 0, 1);
	assert_true(readable(tx_fd));
	assert_int_equal(arm(r, SL_PORT_TX), SL_PORT_READY);
	assert_true(readable(fd)); /* another thread's */
	rig_free(r);
}

/* One thread for both directions sleeps on one descriptor, which no event keeps readable. */
static void test_joined(void **state)
{
	struct rig *r = rig();
	int fd = r->port->ops->fd(r->port, 0, SL_PORT_RX | SL_PORT_TX);

	(void)state;
	give(r, r->memory, FRAME);
	tx(r);
	assert_int_equal(arm(r, SL_PORT_RX | SL_PORT_TX), POLLIN);
	assert_false(readable(fd));
	fake_send(&r->f, 0, 1);
	assert_true(readable(fd));
	tx(r);
	assert_int_equal(arm(r, SL_PORT_RX), POLLIN);
	assert_false(readable(fd));
	receive(r, 60, 0, 0);
	assert_true(readable(fd));
	rig_free(r);
}

/* Whoever waits for room in the queue finds that another ring's turn has made it. */
static void test_room_again(void **state)
{
	struct rig *r = rig();

	(void)state;
	entry(r, r->memory, FRAME)->frag.region = 8; /* a copy */
	sl_ring_post(r->tx, 1);
	assert_int_equal(tx(r), 1);
	assert_int_equal(arm(r, SL_PORT_TX), POLLIN);
	fake_send(&r->f, 0, 1);
	tx(r);
	assert_int_equal(arm(r, SL_PORT_TX), SL_PORT_READY);
	rig_free(r);
}

/* What the queues have to say is not lost when the link changes. */
static void test_other_vector(void **state)
{
	struct rig *r = rig();

	(void)state;
	receive(r, 60, 0, 0);
	fake_cause(&r->f, CAUSE_OTHER | CAUSE_LSC, 0);
	assert_int_equal(r->port->ops->control(r->port, 1), 0);
	assert_int_equal(*fake_reg(&r->f, ICR), CAUSE_RXQ0);
	rig_free(r);
}

/* All of one event: INTx, or MSI where there is no INTx. */
static void one_event(bool msi)
{
	struct rig *r = rig_new();
	int fd, tx_fd;

	r->f.vectors = 2; /* 3 are needed */
	r->f.no_intx = msi;
	rig_open(r, 1);
	assert_int_equal(r->f.dev.irq, msi ? SL_IRQ_MSI : SL_IRQ_INTX);
	fd = r->port->ops->fd(r->port, 0, SL_PORT_RX);
	tx_fd = r->port->ops->fd(r->port, 0, SL_PORT_TX);
	for (unsigned n = 0; n < 3; n++) {
		assert_int_equal(arm(r, SL_PORT_RX), POLLIN);
		assert_false(readable(fd));
		receive(r, 60, 0, 0);
		assert_true(readable(r->port->ops->control_fd(r->port)));
		assert_int_equal(r->port->ops->control(r->port, 5), 0);
		assert_false(readable(r->port->ops->control_fd(r->port)));
		assert_true(readable(fd));
		assert_false(readable(tx_fd));
		assert_true(r->f.unmasked);
		receive(r, 60, 0, 0); /* no more of them until it is armed */
		assert_false(readable(r->port->ops->control_fd(r->port)));
		assert_int_equal(rx(r), 2);
		*fake_reg(&r->f, ICR) = 0;
	}
	give(r, r->memory, FRAME);
	tx(r);
	assert_int_equal(arm(r, SL_PORT_TX), POLLIN);
	fake_send(&r->f, 0, 1);
	assert_int_equal(r->port->ops->control(r->port, 5), 0);
	assert_true(readable(tx_fd));
	assert_int_equal(arm(r, SL_PORT_RX), POLLIN);
	r->f.unmasked = false; /* the line is lost on its way: it is found a second later */
	receive(r, 60, 0, 0);
	assert_false(readable(fd));
	assert_int_equal(r->port->ops->control(r->port, r->port->ops->deadline(r->port)), 0);
	assert_true(readable(fd));
	rig_free(r);
}

static void test_intx(void **state)
{
	(void)state;
	one_event(false);
}

static void test_msi(void **state)
{
	(void)state;
	one_event(true);
}

/* Interrupts that never cease keep nobody from looking once a second. */
static void test_intx_busy(void **state)
{
	struct rig *r = rig_new();

	(void)state;
	r->f.vectors = 2;
	rig_open(r, 1);
	assert_int_equal(r->port->ops->control(r->port, 1), 0);
	r->f.missed = 5;
	for (uint64_t now = 600000000; now < 3000000000; now += 600000000) {
		assert_int_equal(arm(r, SL_PORT_RX), POLLIN);
		receive(r, 60, 0, 0);
		assert_int_equal(r->port->ops->control(r->port, now), 0);
		assert_int_equal(stats(r).rx.drops[SL_DROP_SOURCE], now < 1000000000 ? 0 : 5);
		assert_int_equal(rx(r), 1);
	}
	rig_free(r);
}

/*
 * Going away.
 */

/* What was lent stays until it has come back; then the device goes. */
static void test_asked_back(void **state)
{
	struct rig *r = rig();
	uint32_t at;

	(void)state;
	receive(r, 60, 0, 0);
	assert_int_equal(rx(r), 1);
	give(r, r->memory, FRAME);
	assert_int_equal(tx(r), 1);
	assert_int_equal(sl_ring_ready(r->rx, &at), 1);
	sl_event_signal(r->f.event);
	assert_true(readable(r->port->ops->control_fd(r->port)));
	assert_int_equal(r->port->ops->control(r->port, 1), -ENODEV);
	r->port->ops->stop(r->port);
	assert_int_equal(r->f.config[4] & 4, 0);
	assert_false(readable(r->port->ops->control_fd(r->port)));
	assert_int_equal(sl_ring_in_flight(r->tx), 1); /* the link's to give up */
	sl_ring_abandon(r->tx);
	assert_true(sl_ring_recalled(r->rx));
	for (uint64_t now = 1000; now < 5000000000; now += 500000000) {
		assert_true(r->port->ops->deadline(r->port) <= now + 2000000);
		assert_int_equal(r->port->ops->control(r->port, now), 0);
		assert_int_equal(r->f.closed, 0);
	}
	assert_int_equal(sl_ring_yield(r->rx), 1);
	assert_int_equal(r->port->ops->control(r->port, 6000000000), 0);
	assert_int_equal(r->f.closed, 1);
	assert_true(r->port->ops->deadline(r->port) == SL_NEVER);
	assert_int_equal(r->port->ops->control(r->port, 7000000000), 0);
	assert_int_equal(stats(r).tx.packets, 1);
	rig_free(r);
}

static void test_unplugged(void **state)
{
	struct rig *r = rig();

	(void)state;
	assert_int_equal(r->port->ops->control(r->port, 1), 0);
	assert_true(r->port->ops->deadline(r->port) <= 2000000000);
	give(r, r->memory, FRAME);
	tx(r);
	r->f.gone = true;
	assert_int_equal(rx(r), 0);
	assert_int_equal(r->port->ops->control(r->port, 2000000000), -ENODEV);
	assert_non_null(strstr(sl_reason(), "answer"));
	r->port->ops->stop(r->port);
	assert_int_equal(r->port->ops->control(r->port, 2000000001), 0);
	assert_int_equal(r->f.closed, 1);
	rig_free(r);
}

static void test_stop(void **state)
{
	struct rig *r = rig();
	unsigned resets = r->f.resets;

	(void)state;
	give(r, r->memory, FRAME);
	tx(r);
	r->port->ops->stop(r->port);
	assert_int_equal(r->f.resets, resets + 1);
	assert_int_equal(*fake_reg(&r->f, RCTL) & RCTL_EN, 0);
	assert_int_equal(*fake_reg(&r->f, IMS), 0);
	assert_int_equal(r->f.config[4] & 4, 0);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),	   cmocka_unit_test(test_joined),
		cmocka_unit_test(test_room_again), cmocka_unit_test(test_other_vector),
		cmocka_unit_test(test_intx),	   cmocka_unit_test(test_msi),
		cmocka_unit_test(test_intx_busy),  cmocka_unit_test(test_asked_back),
		cmocka_unit_test(test_unplugged),  cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
