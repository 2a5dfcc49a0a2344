/* SPDX-License-Identifier: BSD-2-Clause */
/* The 82574 itself: reset, set up, link, interrupts, counters. */
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <sluice/device_region.h>

#include "base/bytes.h"
#include "base/count.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/reason.h"
#include "port/nic/e1000e.h"

#define WAIT_MS	   100 /* for what takes the device 10 at most */
#define EITR_50_US 195 /* in 256 ns (10.2.4): 20,000 interrupts a second for each vector */
#define RING_BYTES (E1000E_RING * sizeof(struct e1000e_desc))
#define OWN_BYTES  (2 * RING_BYTES + E1000E_RING * (size_t)NIC_STRIDE)
#define MTU	   1500

static uint32_t get(const struct e1000e *e, uint64_t reg)
{
	return sl_mmio_read32(&e->mmio, reg);
}

static void set(const struct e1000e *e, uint64_t reg, uint32_t value)
{
	sl_mmio_write32(&e->mmio, reg, value);
}

static int gone(const struct e1000e *e)
{
	return sl_fail(ENODEV, "%s does not answer any more", e->nic.name);
}

/*
 * Resetting and setting up (datasheet, chapter 4).
 */

/* Wait until the bits of @mask in a register are @value. */
static bool comes_to(const struct e1000e *e, uint64_t reg, uint32_t mask, uint32_t value)
{
	for (unsigned ms = 0; ms < WAIT_MS; ms++) {
		if ((get(e, reg) & mask) == value)
			return true;
		usleep(1000);
	}
	return false;
}

/* Master disable: no more requests on the bus before the reset, or it may hang. */
static void quiesce(const struct e1000e *e)
{
	set(e, IMC, UINT32_MAX);
	set(e, RCTL, 0);
	set(e, TCTL, TCTL_PSP);
	set(e, CTRL, get(e, CTRL) | CTRL_GIO_MASTER_DISABLE);
	comes_to(e, STATUS, STATUS_GIO_MASTER_ENABLE, 0);
}

static int reset(const struct e1000e *e)
{
	if (get(e, STATUS) == UINT32_MAX)
		return gone(e);
	quiesce(e);
	set(e, CTRL, get(e, CTRL) | CTRL_RST);
	usleep(1000); /* nothing is to be read for 1 us */
	if (!comes_to(e, CTRL, CTRL_RST, 0) || !comes_to(e, EECD, EECD_AUTO_RD, EECD_AUTO_RD))
		return sl_fail(EIO, "%s does not come out of its reset", e->nic.name);
	set(e, IMC, UINT32_MAX);
	get(e, ICR);
	return 0;
}

/* RAL0, RAH0: the NVM has filled them in. */
static int read_mac(struct e1000e *e)
{
	uint32_t low = get(e, RAL0), high = get(e, RAH0);

	for (unsigned i = 0; i < 4; i++)
		e->mac[i] = (uint8_t)(low >> 8 * i);
	e->mac[4] = (uint8_t)high;
	e->mac[5] = (uint8_t)(high >> 8);
	if (!(high & RAH_AV) || e->mac[0] & 1)
		return sl_fail(EIO, "%s has no MAC address in its NVM", e->nic.name);
	return 0;
}

/* The ring at @offset of a queue's memory; an empty one for a queue that is not used. A reset does
 * not clear it everywhere (QEMU), and whoever drove the device before had it somewhere else. */
static void set_base(const struct e1000e *e, uint64_t bal, unsigned q, size_t offset)
{
	uint64_t iova = q < e->nic.queues ? sl_dma_iova(e->dma[q], offset).value : 0;
	uint64_t at = bal + q * QUEUE_REGS;

	set(e, at, (uint32_t)iova);
	set(e, at + (RDBAH - RDBAL), (uint32_t)(iova >> 32));
	set(e, at + (RDLEN - RDBAL), q < e->nic.queues ? (uint32_t)RING_BYTES : 0);
	set(e, at + (RDH - RDBAL), 0);
	set(e, at + (RDT - RDBAL), 0);
}

/* 7.1: two receive queues, by a hash of addresses and TCP ports. */
static void set_rss(const struct e1000e *e)
{
	/* Microsoft's, of "Verifying the RSS Hash Calculation". */
	static const uint32_t key[] = {0xda565a6d, 0xc20e5b25, 0x3d256741, 0xb08fa343, 0xcb2bcad0,
				       0xb4307bae, 0xa32dcb77, 0x0cf23080, 0x3bb7426a, 0xfa01acbe};

	for (unsigned i = 0; i < sl_array_len(key); i++)
		set(e, RSSRK + 4 * i, key[i]);
	for (unsigned i = 0; i < 32; i++)
		set(e, RETA + 4 * i, 0x80008000); /* bit 7 of each byte: the queue */
	set(e, MRQC, MRQC_RSS);
}

/* All of multicast: nobody tells a port which groups the one behind it has joined. */
static void start_rx(struct e1000e *e)
{
	for (unsigned i = 0; i < 128; i++)
		set(e, MTA + 4 * i, 0);
	for (unsigned i = 1; i < 16; i++) /* no address but its own */
		set(e, RAH0 + 8 * i, 0);
	set(e, RFCTL, RFCTL_EXSTEN | RFCTL_ACK_DIS);
	set(e, RXCSUM, RXCSUM_IPOFLD | RXCSUM_TUOFLD | RXCSUM_PCSD);
	set(e, RDTR, 0);
	set(e, RADV, 0);
	set(e, MRQC, 0);
	if (e->nic.queues > 1)
		set_rss(e);
	for (unsigned q = 0; q < E1000E_QUEUES; q++)
		set_base(e, RDBAL, q, 0);
	set(e, RCTL, RCTL_EN | RCTL_BAM | RCTL_MPE | RCTL_SECRC | (e->promisc ? RCTL_UPE : 0));
	for (unsigned q = 0; q < e->nic.queues; q++)
		sl_e1000e_rx_fill(e, q);
}

static void start_tx(const struct e1000e *e)
{
	for (unsigned q = 0; q < E1000E_QUEUES; q++)
		set_base(e, TDBAL, q, RING_BYTES);
	for (unsigned q = 0; q < e->nic.queues; q++) {
		set(e, TXDCTL + q * QUEUE_REGS, TXDCTL_GRAN_WTHRESH1);
		set(e, TARC + q * QUEUE_REGS, get(e, TARC + q * QUEUE_REGS) | TARC_ENABLE);
	}
	set(e, TCTL, TCTL_EN | TCTL_PSP | TCTL_CT | TCTL_COLD | TCTL_MULR);
}

/* 7.4: a vector for each queue, which its interrupt also masks (EIAC), as nic.h numbers them. */
static void set_interrupts(const struct e1000e *e)
{
	unsigned queues = e->nic.queues;
	uint32_t ivar = 0, causes = 0;

	for (unsigned q = 0; q < queues && !e->nic.intx; q++) {
		ivar |= (8 | q) << 4 * q; /* bit 3: valid */
		ivar |= (8 | (queues + q)) << (8 + 4 * q);
		causes |= sl_e1000e_rx_causes(e, q) | sl_e1000e_tx_causes(e, q);
	}
	set(e, IVAR, ivar | (8 | 2 * queues) << 16);
	set(e, EIAC, causes);
	set(e, IAM, causes); /* with EIAME: those that a message masks; QEMU asks EIAC alone */
	set(e, CTRL_EXT, get(e, CTRL_EXT) | CTRL_EXT_EIAME);
	for (unsigned v = 0; v < 2 * queues; v++)
		set(e, EITR + 4 * v, EITR_50_US);
	set(e, IMS, CAUSE_LSC | (e->nic.intx ? 0 : CAUSE_OTHER));
}

static void look_at_link(struct e1000e *e, uint32_t status)
{
	uint32_t up = !!(status & STATUS_LU);

	if (up == e->carrier)
		return;
	sl_store_relaxed(&e->carrier, up);
	for (unsigned q = 0; q < e->nic.queues && !up; q++) /* whoever waits for what was sent */
		sl_event_signal(e->nic.tx_event[q]);
	sl_log(e->nic.log, SL_LOG_INFO, "%s: its link is %s", e->nic.name, up ? "up" : "down");
}

/* Everything, behind a reset. */
static void set_up(struct e1000e *e)
{
	uint32_t ctrl = get(e, CTRL);

	ctrl &= ~(uint32_t)(CTRL_FRCSPD | CTRL_FRCDPLX | CTRL_GIO_MASTER_DISABLE);
	set(e, CTRL, ctrl | CTRL_SLU | CTRL_ASDE);
	set(e, CTRL_EXT, get(e, CTRL_EXT) | CTRL_EXT_DRV_LOAD);
	start_tx(e);
	start_rx(e);
	set_interrupts(e);
	look_at_link(e, get(e, STATUS));
}

static int start(struct e1000e *e)
{
	int ret = reset(e);

	if (!ret)
		ret = read_mac(e);
	if (!ret)
		ret = sl_nic_wire(&e->nic);
	if (!ret)
		ret = sl_device_bus_master(e->nic.dev, true);
	if (!ret)
		set_up(e);
	return ret;
}

/*
 * Afterwards.
 */

/* MPC: packets for which there was no descriptor, and no room to wait; reading clears it. */
static void count_missed(struct e1000e *e)
{
	uint32_t missed = get(e, MPC);

	if (missed != UINT32_MAX)
		sl_count_add(&e->missed, missed);
}

/* INTx says nothing but what ICR does; the queues' causes stay masked until they are armed. */
static void tell_queues(struct e1000e *e, uint32_t causes)
{
	uint32_t rx = causes & sl_e1000e_rx_causes(e, 0), tx = causes & sl_e1000e_tx_causes(e, 0);

	set(e, IMC, rx | tx);
	for (unsigned q = 0; q < e->nic.queues; q++) {
		if (rx)
			sl_event_signal(e->nic.rx_event[q]);
		if (tx)
			sl_event_signal(e->nic.tx_event[q]);
	}
}

static int look(struct nic *nic, bool event, bool late)
{
	struct e1000e *e = sl_e1000e_of(&nic->port);
	uint32_t causes, status;

	if (nic->intx) { /* also when only time has passed: a line may have been lost */
		causes = get(e, ICR);
		tell_queues(e, causes);
		if (!late && !(causes & CAUSE_LSC))
			return 0;
	} else if (event) {
		/* MSI-X does not clear what is not in EIAC. Reading might: the queues' as well,
		 * while EITR holds their message back. */
		set(e, ICR, CAUSE_OTHER | CAUSE_LSC | CAUSE_RXO);
	}
	status = get(e, STATUS);
	if (status == UINT32_MAX)
		return gone(e);
	look_at_link(e, status);
	count_missed(e);
	return e->back;
}

static void halt(struct nic *nic)
{
	reset(sl_e1000e_of(&nic->port));
}

/* Packets that wait for a carrier are given up by a reset: then it is back at once, empty. */
static void e1000e_stop(struct sl_port *port)
{
	struct e1000e *e = sl_e1000e_of(port);

	count_missed(e);
	if (!sl_load_relaxed(&e->stuck) || reset(e)) {
		sl_nic_stop(port);
		return;
	}
	for (unsigned q = 0; q < e->nic.queues; q++) {
		sl_e1000e_rx_forget(e, q);
		sl_e1000e_tx_forget(&e->queues[q].tx);
	}
	set_up(e);
	sl_store_relaxed(&e->stuck, 0);
	e->back = true;
	e->nic.look_at = 0;
}

/* Until the link knows that it is back, it does not stop what is gone. */
static int e1000e_control(struct sl_port *port, uint64_t now_ns)
{
	struct e1000e *e = sl_e1000e_of(port);
	int ret = sl_nic_control(port, now_ns);

	if (ret < 0 && e->back)
		sl_nic_stop(port);
	e->back = false;
	return ret;
}

static void release(struct nic *nic)
{
	struct e1000e *e = sl_e1000e_of(&nic->port);

	for (unsigned q = 0; q < E1000E_QUEUES; q++)
		sl_dma_release(e->dma[q]);
}

static int e1000e_arm(struct sl_port *port, unsigned q, unsigned want)
{
	struct e1000e *e = sl_e1000e_of(port);
	struct e1000e_rx *rx = &e->queues[q].rx;
	struct e1000e_tx *tx = &e->queues[q].tx;
	unsigned came = sl_nic_came(&e->nic, q, want);
	uint32_t causes = 0;

	/* An interrupt masks itself: it is on until its event has come. */
	if (want & SL_PORT_RX && (came & SL_PORT_RX || !rx->armed))
		causes |= sl_e1000e_rx_causes(e, q);
	if (want & SL_PORT_TX && (came & SL_PORT_TX || !tx->armed))
		causes |= sl_e1000e_tx_causes(e, q);
	if (want & SL_PORT_RX || came & SL_PORT_RX)
		rx->armed = want & SL_PORT_RX;
	if (want & SL_PORT_TX || came & SL_PORT_TX)
		tx->armed = want & SL_PORT_TX;
	if (causes)
		set(e, IMS, causes);
	/* What came while it was masked is a cause still, and interrupts now. With nothing in
	 * flight there is none, but room again. */
	if ((want & SL_PORT_RX && sl_e1000e_rx_ready(rx)) ||
	    (want & SL_PORT_TX && (tx->first == tx->last || sl_e1000e_tx_ready(tx))))
		return SL_PORT_READY;
	return POLLIN;
}

static void e1000e_info(const struct sl_port *port, struct sl_port_info *info)
{
	const struct e1000e *e = sl_e1000e_of(port);

	*info = (struct sl_port_info){
		.layer = 2,
		.queues = e->nic.queues,
		.mtu = MTU,
		.dirs = SL_PORT_RX | SL_PORT_TX,
		.attached = (uint8_t)sl_load_relaxed(&e->nic.attached),
		.accepts = SL_CAN_CSUM,
		.regions = e->nic.regions,
		.n_regions = e->nic.queues,
	};
	memcpy(info->mac, e->mac, sizeof(info->mac));
}

static void e1000e_stats(const struct sl_port *port, unsigned q, struct sl_counters *c)
{
	const struct e1000e *e = sl_e1000e_of(port);

	sl_count_sum(&c->rx, &e->queues[q].rx.count);
	sl_count_sum(&c->tx, &e->queues[q].tx.count);
	if (q == 0)
		c->rx.drops[SL_DROP_SOURCE] += sl_count_read(&e->missed);
}

/*
 * Opening.
 */

static int open_queue(struct e1000e *e, unsigned q)
{
	struct e1000e_tx *tx = &e->queues[q].tx;
	uint8_t *base;
	int ret = sl_nic_pool_open(&e->nic, q, E1000E_RING);

	if (!ret)
		ret = sl_dma_create(e->nic.dev, OWN_BYTES, 0, &e->dma[q]);
	if (ret)
		return ret;
	base = sl_dma_region(e->dma[q])->base;
	e->queues[q].rx.ring = (void *)base;
	tx->ring = (void *)(base + RING_BYTES);
	tx->copies = base + 2 * RING_BYTES;
	tx->copies_iova = sl_dma_iova(e->dma[q], 2 * RING_BYTES);
	sl_e1000e_tx_forget(tx);
	return 0;
}

static const struct sl_port_ops e1000e_ops = {
	.size = sizeof(struct sl_port_ops),
	.kind = "pci",
	.info = e1000e_info,
	.region_add = sl_nic_region_add,
	.region_del = sl_nic_region_del,
	.rx = sl_e1000e_rx,
	.tx = sl_e1000e_tx,
	.fd = sl_nic_fd,
	.arm = e1000e_arm,
	.control_fd = sl_nic_control_fd,
	.control = e1000e_control,
	.deadline = sl_nic_deadline,
	.stop = e1000e_stop,
	.stats = e1000e_stats,
	.close = sl_nic_close,
};

static const struct nic_ops nic_ops = {.look = look, .halt = halt, .free = release};

static int e1000e_open(struct sl_device *dev, const struct nic_options *options,
		       const struct sl_log *log, struct sl_port **out)
{
	struct e1000e *e = sl_alloc_lines(sizeof(*e));
	unsigned queues = sl_max(options->queues, 1);
	int ret;

	if (!e) {
		sl_device_close(dev);
		return sl_fail(ENOMEM, "no memory for a port");
	}
	e->promisc = options->promisc;
	ret = sl_nic_open(&e->nic, &e1000e_ops, &nic_ops, dev, sl_min(queues, E1000E_QUEUES), log);
	if (!ret && queues > E1000E_QUEUES)
		ret = sl_fail(EINVAL, "%s: an 82574L has %d queues, not %u", e->nic.name,
			      E1000E_QUEUES, queues);
	if (!ret)
		ret = sl_device_map(dev, 0, &e->mmio);
	if (!ret && !sl_mmio_has(&e->mmio, 0, BAR_LEN))
		ret = sl_fail(EINVAL, "%s: its BAR 0 is too short for an 82574", e->nic.name);
	for (unsigned q = 0; q < queues && !ret; q++)
		ret = open_queue(e, q);
	if (!ret)
		ret = start(e);
	if (ret)
		sl_nic_close(&e->nic.port);
	else
		*out = &e->nic.port;
	return ret;
}

static const struct nic_id ids[] = {
	{0x8086, 0x10d3}, /* 82574L: cards, and QEMU's e1000e */
	{0x8086, 0x10f6}, /* 82574LA */
	{0, 0},
};

const struct nic_driver sl_nic_e1000e = {"Intel 82574", ids, e1000e_open};
