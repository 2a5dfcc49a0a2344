/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers and descriptors of the Intel 82574, by the names of the "Intel 82574 GbE Controller
 * Family Datasheet"; numbers of sections are its.
 */
#ifndef SL_PORT_NIC_E1000E_REGS_H
#define SL_PORT_NIC_E1000E_REGS_H

#include <stdint.h>

/* 10.2: offsets in BAR 0. */
enum {
	CTRL = 0x0000,
	STATUS = 0x0008,
	EECD = 0x0010,
	CTRL_EXT = 0x0018,
	ICR = 0x00c0,
	IMS = 0x00d0,
	IMC = 0x00d8,
	EIAC = 0x00dc,
	IAM = 0x00e0,
	IVAR = 0x00e4,
	EITR = 0x00e8, /* of each vector, 4 bytes apart */
	RCTL = 0x0100,
	TCTL = 0x0400,
	RDBAL = 0x2800, /* these of each queue, QUEUE_REGS apart */
	RDBAH = 0x2804,
	RDLEN = 0x2808,
	RDH = 0x2810,
	RDT = 0x2818,
	RDTR = 0x2820,
	RADV = 0x282c,
	TDBAL = 0x3800,
	TDBAH = 0x3804,
	TDLEN = 0x3808,
	TDH = 0x3810,
	TDT = 0x3818,
	TXDCTL = 0x3828,
	TARC = 0x3840,
	MPC = 0x4010,
	RXCSUM = 0x5000,
	RFCTL = 0x5008,
	MTA = 0x5200, /* 128 of them */
	RAL0 = 0x5400,
	RAH0 = 0x5404,
	MRQC = 0x5818,
	RETA = 0x5c00,	/* 32 */
	RSSRK = 0x5c80, /* 10 */
	QUEUE_REGS = 0x100,
	BAR_LEN = 0x20000, /* 9.2.7: 128 KB */
};

enum {
	CTRL_GIO_MASTER_DISABLE = 1u << 2,
	CTRL_ASDE = 1u << 5,
	CTRL_SLU = 1u << 6,
	CTRL_FRCSPD = 1u << 11,
	CTRL_FRCDPLX = 1u << 12,
	CTRL_RST = 1u << 26,
	STATUS_LU = 1u << 1,
	STATUS_GIO_MASTER_ENABLE = 1u << 19,
	EECD_AUTO_RD = 1u << 9,
	CTRL_EXT_EIAME = 1u << 24,
	CTRL_EXT_DRV_LOAD = 1u << 28,
	RCTL_EN = 1u << 1,
	RCTL_UPE = 1u << 3,
	RCTL_MPE = 1u << 4,
	RCTL_BAM = 1u << 15,
	RCTL_SECRC = 1u << 26, /* BSIZE and BSEX 0: buffers of 2048 bytes */
	TCTL_EN = 1u << 1,
	TCTL_PSP = 1u << 3,
	TCTL_CT = 0x0fu << 4,
	TCTL_COLD = 0x3fu << 12,
	TCTL_MULR = 1u << 28,
	TXDCTL_GRAN_WTHRESH1 = 1u << 24 | 1u << 22 | 1u << 16, /* bit 22: must be 1 */
	TARC_ENABLE = 1u << 10,
	RXCSUM_IPOFLD = 1u << 8,
	RXCSUM_TUOFLD = 1u << 9,
	RXCSUM_PCSD = 1u << 13,
	RFCTL_ACK_DIS = 1u << 12, /* no cause of its own for each ACK */
	RFCTL_EXSTEN = 1u << 15,
	MRQC_RSS = 1u << 0 | 1u << 16 | 1u << 17 | 1u << 18 | 1u << 20 | 1u << 21,
};

/* RAH0, bit 31: the address is valid; no int holds it. */
#define RAH_AV (1u << 31)

/* 10.2.4: causes of interrupts. The queues' own exist with MSI-X only. */
enum {
	CAUSE_TXDW = 1u << 0,
	CAUSE_LSC = 1u << 2,
	CAUSE_RXDMT0 = 1u << 4,
	CAUSE_RXO = 1u << 6,
	CAUSE_RXT0 = 1u << 7,
	CAUSE_RXQ0 = 1u << 20,
	CAUSE_TXQ0 = 1u << 22,
	CAUSE_OTHER = 1u << 24,
};

/** struct e1000e_desc - 16 bytes, little-endian, as the device reads and writes them */
struct e1000e_desc {
	uint64_t low, high;
};

/* 7.1: the high half of an extended receive descriptor as written back: status, error (20 and
 * 12 bits), length (16), VLAN tag. */
enum {
	RXD_DD = 1u << 0,
	RXD_EOP = 1u << 1,
	RXD_IXSM = 1u << 2,
	RXD_UDPCS = 1u << 4,
	RXD_TCPCS = 1u << 5,
	RXD_CE = 1u << 24,
	RXD_SE = 1u << 25,
	RXD_SEQ = 1u << 26,
	RXD_CXE = 1u << 28,
	RXD_TCPE = 1u << 29,
	RXD_IPE = 1u << 30,
};
#define RXD_RXE	      (1u << 31)
#define RXD_ERRORS    (RXD_CE | RXD_SE | RXD_SEQ | RXD_CXE | RXD_RXE)
#define RXD_LEN(high) ((uint32_t)((high) >> 32) & 0xffffu)

/* 7.2: the high half of a transmit descriptor: length, DTYP, DCMD; then STA, POPTS. */
#define TXD_DATA (1ull << 20 | 1ull << 29) /* DTYP 1, DEXT: an extended data descriptor */
#define TXD_EOP	 (1ull << 24)
#define TXD_IFCS (1ull << 25)
#define TXD_RS	 (1ull << 27)
#define TXD_DD	 (1ull << 32)
#define TXD_TXSM (2ull << 40)
/* Of a context descriptor: TUCMD. */
#define TXC_CONTEXT (1ull << 29) /* DTYP 0, DEXT */
#define TXC_TCP	    (1ull << 24)
/* Its low half: TUCSS, TUCSO; TUCSE 0 is the end of the packet. */
#define TXC_START(n) ((uint64_t)(n) << 32)
#define TXC_FIELD(n) ((uint64_t)(n) << 40)

#endif
