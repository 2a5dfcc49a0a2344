/* SPDX-License-Identifier: BSD-2-Clause */
/* A driver of the Intel 82574, which QEMU calls e1000e. */
#ifndef SL_PORT_NIC_E1000E_H
#define SL_PORT_NIC_E1000E_H

#include <sluice/counters.h>
#include <sluice/mmio.h>

#include "port/nic/e1000e_regs.h"
#include "port/nic/nic.h"

#define E1000E_QUEUES 2
#define E1000E_RING   256u /* descriptors; one stays empty: head = tail says none */
#define E1000E_FRAME  1518 /* Ethernet, a VLAN tag, 1500 bytes */
#define E1000E_BURST  64u  /* packets a call; a doorbell each */

/* Frames without payload are padded by the device, but not below 17 bytes (TCTL.PSP). */
#define E1000E_LEAST 17u
#define E1000E_ETHER 14u

/**
 * struct e1000e_rx - a receive queue; indices are free-running
 * @next:     the descriptor that is written back next
 * @filled:   those before it have a buffer
 * @slots:    which
 * @skipping: in a packet of several descriptors, which is dropped
 * @armed:    its interrupt is on, as far as we know
 */
struct e1000e_rx {
	volatile struct e1000e_desc *ring;
	uint32_t next, filled;
	bool skipping, armed;
	uint16_t slots[E1000E_RING];
	struct sl_count count;
};

/**
 * struct e1000e_burst - what went out with one doorbell
 * @ring:    whose packets from @at on are in flight; several rings may end at one queue
 * @packets: how many; 0 when all were copied
 * @end:     behind its last descriptor, which says when it is done
 */
struct e1000e_burst {
	struct sl_ring *ring;
	uint32_t at, packets, end;
};

/**
 * struct e1000e_tx - a transmit queue; indices are free-running
 * @next:    the descriptor to fill next
 * @done:    those before it are free
 * @bursts:  from @first to @last in flight; each has a descriptor, so they never run out
 * @copies:  NIC_STRIDE bytes for each descriptor
 * @context: the low half of the last context descriptor
 */
struct e1000e_tx {
	volatile struct e1000e_desc *ring;
	uint32_t next, done;
	uint32_t first, last;
	bool armed;
	uint64_t context;
	uint8_t *copies;
	sl_iova copies_iova;
	struct e1000e_burst bursts[E1000E_RING];
	struct sl_count count;
};

struct e1000e {
	struct nic nic;
	struct sl_mmio mmio;
	uint8_t mac[6];
	bool promisc;
	uint32_t carrier; /* STATUS.LU, as last seen */
	uint32_t stuck;	  /* it has packets and no carrier: to be reset */
	bool back;	  /* it was reset; not told yet */
	uint64_t missed;  /* MPC so far */
	struct sl_dma *dma[E1000E_QUEUES];
	struct {
		struct e1000e_rx rx __attribute__((aligned(SL_LINE)));
		struct e1000e_tx tx __attribute__((aligned(SL_LINE)));
	} queues[E1000E_QUEUES];
};

static inline struct e1000e *sl_e1000e_of(const struct sl_port *port)
{
	return (struct e1000e *)(uintptr_t)port;
}

/* The causes that wake whoever receives from queue @q, or sends to it. */
static inline uint32_t sl_e1000e_rx_causes(const struct e1000e *e, unsigned q)
{
	return e->nic.intx ? CAUSE_RXT0 | CAUSE_RXDMT0 : (uint32_t)CAUSE_RXQ0 << q;
}

static inline uint32_t sl_e1000e_tx_causes(const struct e1000e *e, unsigned q)
{
	return e->nic.intx ? (uint32_t)CAUSE_TXDW : (uint32_t)CAUSE_TXQ0 << q;
}

/* e1000e_rx.c, e1000e_tx.c */
int sl_e1000e_rx(struct sl_port *port, unsigned q, struct sl_ring *ring);
int sl_e1000e_tx(struct sl_port *port, unsigned q, struct sl_ring *ring);
/* Give the device the first buffers; it is ready to receive. */
void sl_e1000e_rx_fill(struct e1000e *e, unsigned q);
/* The device was reset: it has no buffers and no packets. */
void sl_e1000e_rx_forget(struct e1000e *e, unsigned q);
void sl_e1000e_tx_forget(struct e1000e_tx *tx);
/* Is there something to receive, something that was sent? */
bool sl_e1000e_rx_ready(const struct e1000e_rx *rx);
bool sl_e1000e_tx_ready(const struct e1000e_tx *tx);

#endif
