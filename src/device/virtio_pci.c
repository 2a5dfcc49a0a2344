/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio over PCI: virtio 1.2, 4.1. */
#include <stddef.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "device/virtio_pci.h"

#define COMMON(field)	 offsetof(struct virtio_pci_common_cfg, field)
#define CONFIG_LEN	 256
#define ISR_QUEUE_CONFIG 3

static struct virtio_pci *pci_of(struct virtio *v)
{
	return sl_container_of(v, struct virtio_pci, virtio);
}

/*
 * Registers.
 */

static uint8_t read8(struct virtio_pci *p, size_t field)
{
	return sl_mmio_read8(&p->common, field);
}

static uint16_t read16(struct virtio_pci *p, size_t field)
{
	return sl_mmio_read16(&p->common, field);
}

static void write16(struct virtio_pci *p, size_t field, uint16_t value)
{
	sl_mmio_write16(&p->common, field, value);
}

static void write32(struct virtio_pci *p, size_t field, uint32_t value)
{
	sl_mmio_write32(&p->common, field, value);
}

/* 4.1.3.1: "the driver MUST use 32-bit wide and aligned accesses" for 64-bit fields. */
static void write64(struct virtio_pci *p, size_t field, uint64_t value)
{
	write32(p, field, (uint32_t)value);
	write32(p, field + 4, (uint32_t)(value >> 32));
}

static int get_status(struct virtio *v)
{
	uint8_t status = read8(pci_of(v), COMMON(device_status));

	if (status == UINT8_MAX)
		return sl_fail(ENODEV, "the device answers with ones: it is gone");
	return status;
}

static void set_status(struct virtio *v, uint8_t status)
{
	sl_mmio_write8(&pci_of(v)->common, COMMON(device_status), status);
}

static uint64_t get_features(struct virtio *v)
{
	struct virtio_pci *p = pci_of(v);
	uint64_t features = 0;

	for (uint32_t half = 0; half < 2; half++) {
		write32(p, COMMON(device_feature_select), half);
		features |= (uint64_t)sl_mmio_read32(&p->common, COMMON(device_feature))
			    << (32 * half);
	}
	return features;
}

static void set_features(struct virtio *v, uint64_t features)
{
	struct virtio_pci *p = pci_of(v);

	for (uint32_t half = 0; half < 2; half++) {
		write32(p, COMMON(guest_feature_select), half);
		write32(p, COMMON(guest_feature), (uint32_t)(features >> (32 * half)));
	}
}

static uint32_t generation(struct virtio *v)
{
	return read8(pci_of(v), COMMON(config_generation));
}

/* 4.1.3.1: 16-bit fields with 16-bit accesses; a MAC address is six 8-bit ones. */
static int get_config(struct virtio *v, size_t offset, void *to, size_t len)
{
	const struct sl_mmio *device = &pci_of(v)->device;
	uint8_t *bytes = to;
	uint16_t value;

	if (!sl_mmio_has(device, offset, len))
		return sl_fail(
			EINVAL,
			"the device's configuration has %llu bytes: %zu at %zu are asked for",
			(unsigned long long)device->len, len, offset);
	if (len == sizeof(value)) {
		value = sl_mmio_read16(device, offset);
		memcpy(to, &value, sizeof(value));
		return 0;
	}
	for (size_t i = 0; i < len; i++)
		bytes[i] = sl_mmio_read8(device, offset + i);
	return 0;
}

/*
 * Queues.
 */

static uint16_t queue_size(struct virtio *v, uint16_t queue)
{
	struct virtio_pci *p = pci_of(v);

	if (queue >= VIRTIO_PCI_QUEUES || queue >= read16(p, COMMON(num_queues)))
		return 0;
	write16(p, COMMON(queue_select), queue);
	return read16(p, COMMON(queue_size));
}

/* 4.1.4.4: cap.offset + queue_notify_off * notify_off_multiplier, inside the structure. */
static int find_notify(struct virtio_pci *p, uint16_t queue)
{
	uint64_t offset = (uint64_t)read16(p, COMMON(queue_notify_off)) * p->notify_off_multiplier;

	if (offset % 2 || !sl_mmio_has(&p->notify_area, offset, 2))
		return sl_fail(
			EOPNOTSUPP, "queue %u is notified at 0x%llx of a structure of 0x%llx bytes",
			queue, (unsigned long long)offset, (unsigned long long)p->notify_area.len);
	p->notify[queue] = (struct sl_mmio){p->notify_area.base + offset, 2};
	return 0;
}

static int queue_enable(struct virtio *v, uint16_t queue, const struct virtio_queue *setup)
{
	struct virtio_pci *p = pci_of(v);
	int ret;

	if (queue >= VIRTIO_PCI_QUEUES)
		return sl_fail(EINVAL, "queue %u: no more than %d are used", queue,
			       VIRTIO_PCI_QUEUES);
	write16(p, COMMON(queue_select), queue);
	ret = find_notify(p, queue);
	if (ret)
		return ret;
	write16(p, COMMON(queue_size), setup->size);
	write64(p, COMMON(queue_desc_lo), setup->desc.value);
	write64(p, COMMON(queue_avail_lo), setup->avail.value);
	write64(p, COMMON(queue_used_lo), setup->used.value);
	if (p->msix) {
		write16(p, COMMON(queue_msix_vector), setup->vector);
		/* 4.1.5.1.2.2: "the driver MUST verify success by reading the Vector field value".
		 */
		if (read16(p, COMMON(queue_msix_vector)) != setup->vector)
			return sl_fail(ENOSPC, "the device has no room for vector %u of queue %u",
				       setup->vector, queue);
	}
	write16(p, COMMON(queue_enable), 1);
	return 0;
}

/* 4.1.5.2: without VIRTIO_F_NOTIFICATION_DATA the index of the queue is written. */
static void notify(struct virtio *v, uint16_t queue)
{
	sl_mmio_before_doorbell();
	sl_mmio_write16(&pci_of(v)->notify[queue], 0, queue);
}

static const struct virtio_ops pci_ops = {
	.get_status = get_status,
	.set_status = set_status,
	.get_features = get_features,
	.set_features = set_features,
	.generation = generation,
	.get_config = get_config,
	.queue_size = queue_size,
	.queue_enable = queue_enable,
	.notify = notify,
};

/*
 * Opening.
 */

static int map(struct sl_device *dev, const char *what, const struct virtio_pci_place *place,
	       struct sl_mmio *out)
{
	struct sl_mmio bar;
	int ret;

	*out = (struct sl_mmio){0};
	if (!place->length)
		return 0;
	ret = sl_device_map(dev, place->bar, &bar);
	if (ret)
		return ret;
	if (!sl_mmio_has(&bar, place->offset, place->length))
		return sl_fail(
			EOPNOTSUPP,
			"its %s structure has 0x%x bytes at 0x%x of BAR %u, which has 0x%llx", what,
			place->length, place->offset, place->bar, (unsigned long long)bar.len);
	*out = (struct sl_mmio){bar.base + place->offset, place->length};
	return 0;
}

static int read_config(struct sl_device *dev, uint8_t bytes[CONFIG_LEN])
{
	uint64_t value;
	int ret = 0;

	for (unsigned at = 0; !ret && at < CONFIG_LEN; at += 4) {
		ret = sl_device_read(dev, SL_DEVICE_CONFIG, at, 4, &value);
		if (!ret)
			memcpy(bytes + at, &(uint32_t){(uint32_t)value}, 4);
	}
	return ret;
}

int sl_virtio_pci_open(struct sl_device *dev, struct virtio_pci *p)
{
	struct virtio_pci_places places;
	uint8_t bytes[CONFIG_LEN];
	int ret = read_config(dev, bytes);

	*p = (struct virtio_pci){.virtio.ops = &pci_ops};
	if (!ret)
		ret = sl_virtio_pci_parse(bytes, sizeof(bytes), &places);
	if (!ret)
		ret = map(dev, "common configuration", &places.common, &p->common);
	if (!ret)
		ret = map(dev, "notification", &places.notify, &p->notify_area);
	if (!ret)
		ret = map(dev, "ISR", &places.isr, &p->isr);
	if (!ret)
		ret = map(dev, "device configuration", &places.device, &p->device);
	p->notify_off_multiplier = places.notify_off_multiplier;
	return ret;
}

int sl_virtio_pci_use_msix(struct virtio_pci *p, uint16_t config)
{
	write16(p, COMMON(msix_config), config);
	if (read16(p, COMMON(msix_config)) != config)
		return sl_fail(ENOSPC, "the device has no room for vector %u", config);
	p->msix = true;
	return 0;
}

int sl_virtio_pci_isr(struct virtio_pci *p)
{
	uint8_t isr = sl_mmio_read8(&p->isr, 0);

	if (isr == UINT8_MAX)
		return sl_fail(ENODEV, "the device answers with ones: it is gone");
	return isr & ISR_QUEUE_CONFIG;
}
