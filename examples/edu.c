/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drives QEMU's device "edu" (docs/specs/edu.txt there): sends four words to it by DMA, has them
 * sent back to another place, and waits for the interrupt each time.
 *
 *	sluice bind 0000:00:03.0 vfio-pci
 *	edu 0000:00:03.0
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <sluice/sluice.h>

enum { /* registers of BAR 0 */
	IRQ_STATUS = 0x24,
	IRQ_ACK = 0x64,
	DMA_SRC = 0x80,
	DMA_DST = 0x88,
	DMA_COUNT = 0x90,
	DMA_COMMAND = 0x98,
	DMA_START = 1,
	DMA_TO_MEMORY = 2,
	DMA_IRQ = 4,
	EDU_MEMORY = 0x40000, /* where its own memory is, as its DMA sees it */
};

static int wait_for_interrupt(struct sl_device *dev, int event)
{
	struct pollfd wait = {.fd = event, .events = POLLIN};
	uint64_t value;
	int ret;

	if (poll(&wait, 1, 1000) != 1 || read(event, &value, sizeof(value)) < 0) {
		fprintf(stderr, "edu: no interrupt came\n");
		return 1;
	}
	ret = sl_device_read(dev, 0, IRQ_STATUS, 4, &value);
	if (!ret)
		ret = sl_device_write(dev, 0, IRQ_ACK, 4, value); /* the device is silent */
	return ret ? ret : sl_device_irq_unmask(dev);		  /* the next may come */
}

static int transfer(struct sl_device *dev, int event, uint64_t from, uint64_t to, uint32_t command)
{
	int ret = sl_device_write(dev, 0, DMA_SRC, 8, from);

	if (!ret)
		ret = sl_device_write(dev, 0, DMA_DST, 8, to);
	if (!ret)
		ret = sl_device_write(dev, 0, DMA_COUNT, 8, 16);
	if (!ret)
		ret = sl_device_write(dev, 0, DMA_COMMAND, 8, DMA_START | DMA_IRQ | command);
	return ret ? ret : wait_for_interrupt(dev, event);
}

static int there_and_back(struct sl_device *dev, const struct sl_dma *dma, int event)
{
	uint8_t *memory = sl_dma_region(dma)->base;
	const uint32_t words[4] = {1, 2, 3, 4};
	int ret;

	memcpy(memory, words, sizeof(words));
	ret = transfer(dev, event, sl_dma_iova(dma, 0).value, EDU_MEMORY, 0);
	if (!ret)
		ret = transfer(dev, event, EDU_MEMORY, sl_dma_iova(dma, 64).value, DMA_TO_MEMORY);
	if (!ret)
		printf("over %s: what came back is %s\n", sl_device_get_info(dev)->backend,
		       memcmp(memory + 64, words, sizeof(words)) ? "wrong" : "right");
	return ret;
}

int main(int argc, char **argv)
{
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct sl_device *dev = NULL;
	struct sl_dma *dma = NULL;
	int ret = sl_device_open(argc > 1 ? argv[1] : "", NULL, &dev);

	if (!ret)
		ret = sl_dma_create(dev, 4096, 0, &dma);
	if (!ret)
		ret = sl_device_irq_set(dev, SL_IRQ_INTX, 0, 1, &event);
	if (!ret)
		ret = sl_device_bus_master(dev, true);
	if (!ret)
		ret = there_and_back(dev, dma, event);
	if (ret < 0)
		fprintf(stderr, "edu: %s\n", sl_reason());
	if (dev)
		sl_device_bus_master(dev, false); /* before its memory goes */
	sl_dma_release(dma);
	sl_device_close(dev);
	return ret ? 1 : 0;
}
