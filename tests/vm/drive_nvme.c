/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * As little of NVM Express 1.4 as it takes to have each vector of a controller fire: queue 0 is the
 * admin queue, queues 1 to 64 are for I/O, each completion queue has the vector of its number.
 */
#include "drive.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	QUEUES = 65,
	DEPTH = 4,
	PAGE = 4096,
	/* 3.1, registers */
	CAP_HIGH = 0x04,
	CC = 0x14,
	CSTS = 0x1c,
	AQA = 0x24,
	ASQ = 0x28,
	ACQ = 0x30,
	DOORBELLS = 0x1000,
	/* 5, 6: opcodes */
	FLUSH = 0x00,
	CREATE_SQ = 0x01,
	CREATE_CQ = 0x05,
	SET_FEATURES = 0x09,
	GET_FEATURES = 0x0a,
	NUMBER_OF_QUEUES = 0x07,
};

struct queue {
	unsigned tail, head;
	uint16_t phase;
};

struct nvme {
	struct sl_mmio mmio;
	struct sl_dma *dma;
	unsigned stride;
	struct queue queues[QUEUES];
};

/* A page for each ring: the submission queues, then the completion queues. */
static size_t place(bool completions, unsigned queue)
{
	return (size_t)(completions * QUEUES + queue) * PAGE;
}

static uint64_t iova_of(const struct nvme *nvme, bool completions, unsigned queue)
{
	return sl_dma_iova(nvme->dma, place(completions, queue)).value;
}

static void *memory_of(const struct nvme *nvme, bool completions, unsigned queue)
{
	return (char *)sl_dma_region(nvme->dma)->base + place(completions, queue);
}

/* 4.2, figure 105: opcode, PRP entry 1, command dwords 10 and 11 */
static void submit(struct nvme *nvme, unsigned queue, uint32_t opcode, uint64_t prp, uint32_t dw10,
		   uint32_t dw11)
{
	struct queue *q = &nvme->queues[queue];
	uint32_t *entry = (uint32_t *)memory_of(nvme, false, queue) + (size_t)16 * q->tail;

	memset(entry, 0, 64);
	entry[0] = htole32(opcode | q->tail << 16);
	entry[1] = htole32(queue ? 1 : 0); /* the name space of a flush */
	entry[6] = htole32((uint32_t)prp);
	entry[7] = htole32((uint32_t)(prp >> 32));
	entry[10] = htole32(dw10);
	entry[11] = htole32(dw11);
	q->tail = (q->tail + 1) % DEPTH;
	sl_mmio_before_doorbell();
	sl_mmio_write32(&nvme->mmio, DOORBELLS + (uint64_t)2 * queue * nvme->stride, q->tail);
}

/* 4.6: the phase tag, dword 3 bit 16, says that an entry is new; the status is above it. */
static unsigned complete(struct nvme *nvme, unsigned queue)
{
	struct queue *q = &nvme->queues[queue];
	volatile uint32_t *entry =
		(uint32_t *)memory_of(nvme, true, queue) + (size_t)4 * q->head + 3;
	uint32_t word = 0;

	for (int i = 0; i < 50000; i++) {
		word = le32toh(*entry);
		if ((word >> 16 & 1) == q->phase)
			break;
		usleep(100);
	}
	CHECK((word >> 16 & 1) == q->phase);
	q->head = (q->head + 1) % DEPTH;
	q->phase ^= !q->head;
	sl_mmio_write32(&nvme->mmio, DOORBELLS + (2ull * queue + 1) * nvme->stride, q->head);
	return word >> 17;
}

static void admin(struct nvme *nvme, uint32_t opcode, uint64_t prp, uint32_t dw10, uint32_t dw11)
{
	unsigned status;

	submit(nvme, 0, opcode, prp, dw10, dw11);
	status = complete(nvme, 0);
	if (status)
		drive_fail("nvme: command %#x, %#x: status %#x", opcode, dw10, status);
}

static void wait_ready(const struct nvme *nvme, uint32_t ready)
{
	for (int i = 0; i < 5000 && (sl_mmio_read32(&nvme->mmio, CSTS) & 1) != ready; i++)
		usleep(1000);
	CHECK((sl_mmio_read32(&nvme->mmio, CSTS) & 1) == ready);
}

static void write64(const struct nvme *nvme, uint64_t offset, uint64_t value)
{
	sl_mmio_write32(&nvme->mmio, offset, (uint32_t)value);
	sl_mmio_write32(&nvme->mmio, offset + 4, (uint32_t)(value >> 32));
}

struct nvme *nvme_start(struct sl_device *dev, const struct sl_mmio *mmio, unsigned queues)
{
	struct nvme *nvme = calloc(1, sizeof(*nvme));

	CHECK(nvme);
	nvme->mmio = *mmio;
	nvme->stride = 4u << (sl_mmio_read32(mmio, CAP_HIGH) & 15);
	for (unsigned i = 0; i < QUEUES; i++)
		nvme->queues[i].phase = 1;
	MUST(sl_dma_create(dev, (size_t)2 * QUEUES * PAGE, 1, &nvme->dma));
	sl_mmio_write32(mmio, CC, 0);
	wait_ready(nvme, 0);
	sl_mmio_write32(mmio, AQA, (DEPTH - 1) << 16 | (DEPTH - 1));
	write64(nvme, ASQ, iova_of(nvme, false, 0));
	write64(nvme, ACQ, iova_of(nvme, true, 0));
	sl_mmio_write32(mmio, CC, 4 << 20 | 6 << 16 | 1); /* entries of 16 and 64 bytes, enable */
	wait_ready(nvme, 1);
	admin(nvme, SET_FEATURES, 0, NUMBER_OF_QUEUES, (QUEUES - 2) << 16 | (QUEUES - 2));
	for (unsigned i = 1; i < queues; i++) { /* interrupts on, contiguous */
		admin(nvme, CREATE_CQ, iova_of(nvme, true, i), (DEPTH - 1) << 16 | i, i << 16 | 3);
		admin(nvme, CREATE_SQ, iova_of(nvme, false, i), (DEPTH - 1) << 16 | i, i << 16 | 1);
	}
	return nvme;
}

/* There is no name space, so a flush fails: that completes it all the same. */
void nvme_fire(struct firing *f, unsigned vector)
{
	submit(f->nvme, vector, vector ? FLUSH : GET_FEATURES, 0, NUMBER_OF_QUEUES, 0);
	complete(f->nvme, vector);
}

void nvme_stop(struct nvme *nvme)
{
	sl_mmio_write32(&nvme->mmio, CC, 0);
	wait_ready(nvme, 0);
	sl_dma_release(nvme->dma);
	free(nvme);
}
