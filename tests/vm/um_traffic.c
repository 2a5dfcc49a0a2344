/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices that write to pinned memory as fast as they can, with interrupts, until the program is
 * killed. */
#include "um.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t *pin_all(int fd, void *memory, unsigned pages)
{
	uint64_t *iova = calloc(pages, sizeof(*iova));
	uint32_t id;

	CHECK(iova);
	MUST(um_pin_pages(fd, memory, pages, iova, &id));
	return iova;
}

/*
 * A NIC that receives. 82574 datasheet, 10.2 and 7.1.5, legacy descriptors.
 */

enum {
	CTRL = 0x00,
	ICR = 0xc0,
	IMS = 0xd0,
	RCTL = 0x100,
	RDBAL = 0x2800,
	RDBAH = 0x2804,
	RDLEN = 0x2808,
	RDH = 0x2810,
	RDT = 0x2818,
	SET_LINK_UP = 1 << 6,
	RXT0 = 1 << 7,
	RECEIVE = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 15, /* EN, UPE, MPE, BAM; buffers of 2048 bytes */
};

struct descriptor {
	uint64_t address;
	uint16_t length, checksum;
	uint8_t status, errors;
	uint16_t special;
};

void nic_traffic(int fd, void *memory, unsigned pages, void (*running)(void))
{
	uint64_t *iova = pin_all(fd, memory, pages);
	void *nic = um_map(fd, 0);
	volatile struct descriptor *ring;
	struct um_memory m;
	unsigned received = 0;
	int event = um_event();

	CHECK(pages % 8 == 0 && pages * sizeof(*ring) <= PAGE);
	/* Not MSI-X: QEMU aborts when that is turned off soon after an interrupt. */
	MUST(um_wire_one(fd, UIO_MSIX_MSI, event));
	MUST(um_alloc(fd, PAGE, &m));
	ring = m.base;
	for (unsigned i = 0; i < pages; i++)
		ring[i].address = htole64(iova[i]);
	um_put32(nic, RCTL, 0); /* QEMU's does not stop by a reset by D3, nor by CTRL.RST */
	um_put32(nic, RDH, 0);
	MUST(um_master(fd, UIO_MSIX_ON));
	um_put32(nic, CTRL, um_get32(nic, CTRL) | SET_LINK_UP);
	um_put32(nic, RDBAL, (uint32_t)m.iova);
	um_put32(nic, RDBAH, (uint32_t)(m.iova >> 32));
	um_put32(nic, RDLEN, pages * (uint32_t)sizeof(*ring));
	um_put32(nic, IMS, RXT0);
	um_put32(nic, RCTL, RECEIVE);
	um_put32(nic, RDT, pages - 1);
	for (unsigned next = 0;; next = (next + 1) % pages) {
		while (!(ring[next].status & 1)) {
			um_comes(event, 1);
			um_get32(nic, ICR);
		}
		ring[next].status = 0;
		um_put32(nic, RDT, next);
		if (++received == 16)
			running();
	}
}

/*
 * A disk that is read. NVM Express 1.4: queue 0 is the admin queue, queues 1 to 8 are for I/O, each
 * completion queue has the vector of its number.
 */

enum {
	QUEUES = 9,
	DEPTH = 16,
	/* 3.1, registers */
	CAP_HIGH = 0x04,
	CC = 0x14,
	CSTS = 0x1c,
	AQA = 0x24,
	ASQ = 0x28,
	ACQ = 0x30,
	DOORBELLS = 0x1000,
	/* 5, 6: opcodes */
	CREATE_SQ = 0x01,
	READ = 0x02,
	CREATE_CQ = 0x05,
	SET_FEATURES = 0x09,
	NUMBER_OF_QUEUES = 0x07,
};

struct disk {
	void *registers;
	char *rings; /* a page each: the submission queues, then the completion queues */
	uint64_t iova;
	unsigned stride, tail[QUEUES], head[QUEUES], phase[QUEUES];
};

/* 4.2, figure 105: opcode, PRP entry 1, command dwords 10, 11, 12 */
static void submit(struct disk *d, unsigned queue, uint32_t opcode, uint64_t prp, uint32_t dw10,
		   uint32_t dw11, uint32_t dw12)
{
	volatile uint32_t *entry =
		(uint32_t *)(d->rings + queue * PAGE) + (size_t)16 * d->tail[queue];

	for (unsigned i = 0; i < 16; i++)
		entry[i] = 0;
	entry[0] = opcode;
	entry[1] = queue ? 1 : 0; /* the name space */
	entry[6] = (uint32_t)prp;
	entry[7] = (uint32_t)(prp >> 32);
	entry[10] = dw10;
	entry[11] = dw11;
	entry[12] = dw12;
	d->tail[queue] = (d->tail[queue] + 1) % DEPTH;
	um_put32(d->registers, DOORBELLS + 2 * queue * d->stride, d->tail[queue]);
}

/* 4.6: the phase tag, dword 3 bit 16, says that an entry is new; the status is above it. */
static bool completed(struct disk *d, unsigned queue)
{
	volatile uint32_t *entry =
		(uint32_t *)(d->rings + (QUEUES + queue) * PAGE) + (size_t)4 * d->head[queue] + 3;
	uint32_t word = *entry;

	if ((word >> 16 & 1) != d->phase[queue])
		return false;
	if (word >> 17)
		um_fail("nvme: queue %u: status %#x", queue, word >> 17);
	d->head[queue] = (d->head[queue] + 1) % DEPTH;
	d->phase[queue] ^= !d->head[queue];
	um_put32(d->registers, DOORBELLS + (2 * queue + 1) * d->stride, d->head[queue]);
	return true;
}

static void administer(struct disk *d, uint32_t opcode, uint64_t prp, uint32_t dw10, uint32_t dw11)
{
	submit(d, 0, opcode, prp, dw10, dw11, 0);
	for (unsigned i = 0; !completed(d, 0); i++) {
		CHECK(i < 50000);
		usleep(100);
	}
}

static void wait_ready(struct disk *d, uint32_t ready)
{
	for (unsigned i = 0; (um_get32(d->registers, CSTS) & 1) != ready; i++) {
		CHECK(i < 5000);
		usleep(1000);
	}
}

static void disk_start(struct disk *d)
{
	um_put32(d->registers, CC, 0); /* firmware had it */
	wait_ready(d, 0);
	um_put32(d->registers, AQA, (DEPTH - 1) << 16 | (DEPTH - 1));
	um_put32(d->registers, ASQ, (uint32_t)d->iova);
	um_put32(d->registers, ASQ + 4, (uint32_t)(d->iova >> 32));
	um_put32(d->registers, ACQ, (uint32_t)(d->iova + QUEUES * PAGE));
	um_put32(d->registers, ACQ + 4, (uint32_t)((d->iova + QUEUES * PAGE) >> 32));
	um_put32(d->registers, CC, 4 << 20 | 6 << 16 | 1); /* entries of 16 and 64 bytes, enable */
	wait_ready(d, 1);
	administer(d, SET_FEATURES, 0, NUMBER_OF_QUEUES, (QUEUES - 2) << 16 | (QUEUES - 2));
	for (unsigned q = 1; q < QUEUES; q++) { /* interrupts on, contiguous */
		administer(d, CREATE_CQ, d->iova + (QUEUES + q) * PAGE, (DEPTH - 1) << 16 | q,
			   q << 16 | 3);
		administer(d, CREATE_SQ, d->iova + q * PAGE, (DEPTH - 1) << 16 | q, q << 16 | 1);
	}
}

/* Eight blocks of 512 bytes to each page, over and over. */
void nvme_traffic(int fd, void *memory, unsigned pages, void (*running)(void))
{
	uint64_t *iova = pin_all(fd, memory, pages);
	struct disk d = {.registers = um_map(fd, 0)};
	int events[QUEUES];
	struct um_memory m;
	unsigned next = 0, done = 0;

	for (unsigned q = 0; q < QUEUES; q++) {
		events[q] = um_event();
		d.phase[q] = 1;
	}
	MUST(um_wire(fd, UIO_MSIX_MSIX, 0, QUEUES, events));
	MUST(um_alloc(fd, 2 * QUEUES * PAGE, &m));
	d.rings = m.base;
	d.iova = m.iova;
	d.stride = 4u << (um_get32(d.registers, CAP_HIGH) & 15);
	MUST(um_master(fd, UIO_MSIX_ON));
	disk_start(&d);
	for (unsigned i = 0;; i++) {
		unsigned q = 1 + i % (QUEUES - 1);

		if (i >= (QUEUES - 1) * (DEPTH / 2)) {
			while (!completed(&d, q))
				um_comes(events[q], 1);
			if (++done == 100)
				running();
		}
		submit(&d, q, READ, iova[next++ % pages], 0, 0, 7);
	}
}
