/* SPDX-License-Identifier: BSD-2-Clause */
/* A fake PCI device with virtio's structures in a BAR that is plain memory: its registers keep what
 * is written to them, and do nothing. */
#ifndef SL_TESTS_FAKE_VIRTIO_PCI_H
#define SL_TESTS_FAKE_VIRTIO_PCI_H

#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "device/backend.h"
#include "device/virtio_pci.h"

#define FAKE_BAR     4
#define FAKE_BAR_LEN 0x4000u

/* Where QEMU has them. */
enum {
	FAKE_COMMON = 0x0000,
	FAKE_ISR = 0x1000,
	FAKE_DEVICE = 0x2000,
	FAKE_NOTIFY = 0x3000,
	FAKE_PART = 0x1000,
};

/**
 * struct fake_virtio_pci - a device
 * @at:      how far its capabilities reach
 * @bar:     its BAR, as the device sees it
 * @vectors: of MSI-X
 * @event:   that it is to be given back
 * @closed:  sl_device_close() was called
 */
struct fake_virtio_pci {
	struct sl_device dev;
	uint8_t config[256];
	uint8_t at;
	int memory;
	uint8_t *bar;
	unsigned vectors;
	int event;
	bool *closed;
};

static inline struct fake_virtio_pci *fake_pci_of(const struct sl_device *dev)
{
	return sl_container_of((uintptr_t)dev, struct fake_virtio_pci, dev);
}

static inline void fake_pci_close(struct sl_device *dev)
{
	struct fake_virtio_pci *f = fake_pci_of(dev);

	munmap(f->bar, FAKE_BAR_LEN);
	close(f->memory);
	close(f->event);
	*f->closed = true;
	free(f);
}

static inline int fake_pci_get_region(struct sl_device *dev, unsigned index,
				      struct sl_device_region *region)
{
	(void)dev;
	if (index == FAKE_BAR)
		*region =
			(struct sl_device_region){FAKE_BAR_LEN,
						  SL_DEVICE_READ | SL_DEVICE_WRITE | SL_DEVICE_MAP,
						  1,
						  {{0, FAKE_BAR_LEN}}};
	if (index == SL_DEVICE_CONFIG)
		*region = (struct sl_device_region){256, SL_DEVICE_READ | SL_DEVICE_WRITE};
	return 0;
}

static inline int fake_pci_map(struct sl_device *dev, unsigned bar,
			       const struct sl_device_part *part, void *at)
{
	(void)bar;
	return mmap(at, part->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		    fake_pci_of(dev)->memory, (off_t)part->offset) == MAP_FAILED
		       ? -errno
		       : 0;
}

static inline int fake_pci_read(struct sl_device *dev, unsigned index, uint64_t offset,
				unsigned width, void *bytes)
{
	(void)index;
	memcpy(bytes, fake_pci_of(dev)->config + offset, width);
	return 0;
}

static inline int fake_pci_write(struct sl_device *dev, unsigned index, uint64_t offset,
				 unsigned width, const void *bytes)
{
	(void)index;
	memcpy(fake_pci_of(dev)->config + offset, bytes, width);
	return 0;
}

static inline unsigned fake_pci_irq_count(const struct sl_device *dev, enum sl_irq kind)
{
	return kind == SL_IRQ_MSIX ? fake_pci_of(dev)->vectors : kind == SL_IRQ_INTX;
}

static inline int fake_pci_irq_set(struct sl_device *dev, unsigned first, unsigned count,
				   const int *fds)
{
	(void)dev, (void)first, (void)count, (void)fds;
	return 0;
}

static inline void fake_pci_irq_off(struct sl_device *dev)
{
	(void)dev;
}

static inline int fake_pci_irq_mask(struct sl_device *dev, bool masked)
{
	(void)dev, (void)masked;
	return 0;
}

static inline int fake_pci_event(const struct sl_device *dev)
{
	return fake_pci_of(dev)->event;
}

static const struct sl_backend fake_pci_backend = {
	.close = fake_pci_close,
	.get_region = fake_pci_get_region,
	.map = fake_pci_map,
	.read = fake_pci_read,
	.write = fake_pci_write,
	.irq_count = fake_pci_irq_count,
	.irq_set = fake_pci_irq_set,
	.irq_off = fake_pci_irq_off,
	.irq_mask = fake_pci_irq_mask,
	.event = fake_pci_event,
};

/* Configuration space of a device with one memory BAR and no capabilities yet. */
static inline void fake_config(uint8_t config[256])
{
	memset(config, 0, 256);
	memcpy(config + PCI_VENDOR_ID, &(uint32_t){0x10411af4}, 4);
	memcpy(config + PCI_STATUS, &(uint16_t){PCI_STATUS_CAP_LIST}, 2);
	memcpy(config + PCI_BASE_ADDRESS_0 + 4 * FAKE_BAR,
	       &(uint32_t){0xfe000000u | PCI_BASE_ADDRESS_MEM_TYPE_64}, 4);
}

/* Put a capability of virtio's behind the others. */
static inline struct virtio_pci_cap *fake_cap(uint8_t config[256], uint8_t *end, uint8_t cfg_type,
					      uint8_t bar, uint32_t offset, uint32_t length)
{
	uint8_t at = *end ? *end : 0x40, *last = &config[PCI_CAPABILITY_LIST];
	struct virtio_pci_cap *cap = (void *)(config + at);

	while (*last)
		last = &config[*last + 1];
	*last = at;
	*cap = (struct virtio_pci_cap){PCI_CAP_ID_VNDR, 0,   sizeof(*cap),
				       cfg_type,	bar, .offset = offset,
				       .length = length};
	*end = (uint8_t)(at + sizeof(*cap));
	if (cfg_type == VIRTIO_PCI_CAP_NOTIFY_CFG) {
		cap->cap_len += 4;
		memcpy(config + *end, &(uint32_t){4}, 4);
		*end = (uint8_t)(*end + 4);
	}
	return cap;
}

/* All that QEMU's has. */
static inline void fake_caps(uint8_t config[256], uint8_t *end)
{
	fake_cap(config, end, VIRTIO_PCI_CAP_COMMON_CFG, FAKE_BAR, FAKE_COMMON, FAKE_PART);
	fake_cap(config, end, VIRTIO_PCI_CAP_ISR_CFG, FAKE_BAR, FAKE_ISR, FAKE_PART);
	fake_cap(config, end, VIRTIO_PCI_CAP_DEVICE_CFG, FAKE_BAR, FAKE_DEVICE, FAKE_PART);
	fake_cap(config, end, VIRTIO_PCI_CAP_NOTIFY_CFG, FAKE_BAR, FAKE_NOTIFY, FAKE_PART);
}

static inline struct virtio_pci_common_cfg *fake_common(struct fake_virtio_pci *f)
{
	return (void *)(f->bar + FAKE_COMMON);
}

/* A network device that offers everything. NULL: no memory. */
static inline struct fake_virtio_pci *fake_virtio_pci(bool *closed)
{
	struct fake_virtio_pci *f = calloc(1, sizeof(*f));

	if (!f || sl_space_create(NULL, &f->dev.own_space))
		return NULL;
	f->dev.backend = &fake_pci_backend;
	f->dev.space = f->dev.own_space;
	strcpy(f->dev.name, "0000:00:04.0");
	f->dev.info.via = SL_PCI_VFIO;
	f->dev.info.backend = "fake";
	f->vectors = 3;
	f->closed = closed;
	*closed = false;
	f->event = eventfd(0, EFD_NONBLOCK);
	f->memory = memfd_create("bar", 0);
	if (f->event < 0 || f->memory < 0 || ftruncate(f->memory, FAKE_BAR_LEN))
		return NULL;
	f->bar = mmap(NULL, FAKE_BAR_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, f->memory, 0);
	if (f->bar == MAP_FAILED)
		return NULL;
	fake_config(f->config);
	fake_caps(f->config, &f->at);
	fake_common(f)->device_feature = UINT32_MAX;
	fake_common(f)->num_queues = 5;
	fake_common(f)->queue_size = 256;
	return f;
}

#endif
