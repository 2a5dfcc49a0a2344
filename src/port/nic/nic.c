/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <sluice/device_irq.h>
#include <sluice/link.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/reason.h"
#include "port/nic/nic.h"

#define SPARE	 32	      /* buffers beside those of the two rings: a burst */
#define LOOK_NS	 SL_NS_PER_S  /* how often what makes no interrupt is looked for */
#define LEAVE_NS SL_NS_PER_MS /* and whether lent buffers are back once it is gone */

static struct nic *nic_of(const struct sl_port *port)
{
	return sl_container_of((uintptr_t)port, struct nic, port);
}

/*
 * Opening.
 */

static int new_event(int *out)
{
	*out = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return *out < 0 ? sl_fail(errno, "no eventfd: %m") : 0;
}

/* Readable when one of two descriptors is. */
static int new_set(int a, int b, int *out)
{
	struct epoll_event event = {.events = EPOLLIN};

	*out = epoll_create1(EPOLL_CLOEXEC);
	if (*out < 0 || epoll_ctl(*out, EPOLL_CTL_ADD, a, &event) ||
	    (b >= 0 && epoll_ctl(*out, EPOLL_CTL_ADD, b, &event)))
		return sl_fail(errno, "no epoll descriptor: %m");
	return 0;
}

int sl_nic_open(struct nic *nic, const struct sl_port_ops *port, const struct nic_ops *ops,
		struct sl_device *dev, unsigned queues, const struct sl_log *log)
{
	int ret;

	nic->port.ops = port;
	nic->ops = ops;
	nic->log = log;
	nic->dev = dev;
	sl_pci_addr_format(&sl_device_get_info(dev)->pci.addr, nic->name);
	nic->attached = 1;
	pthread_mutex_init(&nic->lock, NULL);
	nic->control = -1;
	ret = new_event(&nic->event);
	for (unsigned q = 0; q < queues && !ret; q++) {
		nic->rx_event[q] = nic->tx_event[q] = nic->both[q] = -1;
		nic->queues++;
		ret = new_event(&nic->rx_event[q]);
		if (!ret)
			ret = new_event(&nic->tx_event[q]);
		if (!ret)
			ret = new_set(nic->rx_event[q], nic->tx_event[q], &nic->both[q]);
	}
	return ret ? ret : new_set(nic->event, sl_device_event(dev), &nic->control);
}

int sl_nic_wire(struct nic *nic)
{
	int fds[2 * NIC_QUEUES + 1];
	unsigned n = 2 * nic->queues + 1;

	memcpy(fds, nic->rx_event, nic->queues * sizeof(*fds));
	memcpy(fds + nic->queues, nic->tx_event, nic->queues * sizeof(*fds));
	fds[n - 1] = nic->event;
	nic->intx = sl_device_irq_count(nic->dev, SL_IRQ_MSIX) < n;
	if (!nic->intx)
		return sl_device_irq_set(nic->dev, SL_IRQ_MSIX, 0, n, fds);
	nic->msi = !sl_device_irq_count(nic->dev, SL_IRQ_INTX);
	return sl_device_irq_set(nic->dev, nic->msi ? SL_IRQ_MSI : SL_IRQ_INTX, 0, 1, &nic->event);
}

int sl_nic_pool_open(struct nic *nic, unsigned q, unsigned hardware)
{
	struct nic_pool *pool = &nic->pools[q];
	unsigned count = hardware + SL_LINK_RING_MAX + SPARE;
	const struct sl_region *region;
	int ret = sl_dma_create(nic->dev, (size_t)count * NIC_STRIDE, (uint16_t)q, &pool->dma);

	if (ret)
		return ret;
	pool->region = (uint16_t)q;
	pool->free = calloc(count, sizeof(*pool->free));
	pool->buffers = calloc(count, sizeof(*pool->buffers));
	if (!pool->free || !pool->buffers)
		return sl_fail(ENOMEM, "no memory for a queue");
	region = sl_dma_region(pool->dma);
	nic->regions[q] = *region;
	for (unsigned i = 0; i < count; i++) {
		size_t at = (size_t)i * NIC_STRIDE + NIC_HEADROOM;

		pool->buffers[i].data = (uint8_t *)region->base + at;
		pool->buffers[i].iova = sl_dma_iova(pool->dma, at);
		pool->free[pool->n_free++] = (uint16_t)(count - 1 - i);
	}
	return 0;
}

/*
 * Reach.
 */

static struct nic_reached *slot_of(struct nic *nic, uint16_t id)
{
	for (uint32_t i = 0; i < nic->n_reached; i++)
		if (nic->reached[i].id == id)
			return &nic->reached[i];
	return NULL;
}

static int map(struct nic *nic, const struct sl_region *region)
{
	struct nic_reached *slot = slot_of(nic, region->id);
	struct sl_region read_only = *region;
	bool fresh = !slot;
	sl_iova iova;
	int ret;

	if (!nic->dev || sl_device_get_info(nic->dev)->via != SL_PCI_VFIO)
		return sl_fail(EOPNOTSUPP, "there is no IOMMU to map it in");
	if ((fresh && nic->n_reached == NIC_REGIONS) || (slot && slot->len))
		return sl_fail(ENOSPC, "there are too many regions");
	read_only.access = SL_REGION_READ;
	ret = sl_space_map(sl_device_space(nic->dev), &read_only, 0, &iova);
	if (ret)
		return ret;
	if (fresh)
		slot = &nic->reached[nic->n_reached];
	/* Other threads look for regions of their own meanwhile: of this slot they read the id. */
	if (fresh)
		slot->id = region->id;
	slot->base = (uintptr_t)region->base;
	slot->len = region->len;
	slot->iova = iova;
	sl_store_release(&nic->n_reached, nic->n_reached + fresh);
	return 0;
}

/* Never declined: the driver copies what the device does not reach. */
int sl_nic_region_add(struct sl_port *port, const struct sl_region *region)
{
	struct nic *nic = nic_of(port);
	int ret;

	pthread_mutex_lock(&nic->lock);
	ret = map(nic, region);
	pthread_mutex_unlock(&nic->lock);
	if (ret)
		sl_log(nic->log, SL_LOG_INFO, "%s: packets to it are copied: %s", nic->name,
		       sl_reason());
	return 0;
}

void sl_nic_region_del(struct sl_port *port, const struct sl_region *region)
{
	struct nic *nic = nic_of(port);
	struct nic_reached *slot;
	struct sl_iova_range range;

	pthread_mutex_lock(&nic->lock);
	slot = slot_of(nic, region->id);
	if (slot && !sl_iova_span(slot->iova, slot->len, &range)) {
		if (nic->dev)
			sl_space_unmap(sl_device_space(nic->dev), range);
		slot->len = 0;
	}
	pthread_mutex_unlock(&nic->lock);
}

/*
 * Events.
 */

static bool came(int event)
{
	uint64_t count;

	return read(event, &count, sizeof(count)) > 0;
}

unsigned sl_nic_came(struct nic *nic, unsigned q, unsigned want)
{
	unsigned dirs = 0;

	if ((want & SL_PORT_RX || nic->joined[q]) && came(nic->rx_event[q]))
		dirs |= SL_PORT_RX;
	if ((want & SL_PORT_TX || nic->joined[q]) && came(nic->tx_event[q]))
		dirs |= SL_PORT_TX;
	return dirs;
}

int sl_nic_fd(struct sl_port *port, unsigned q, unsigned dirs)
{
	struct nic *nic = nic_of(port);
	bool joined = dirs == (SL_PORT_RX | SL_PORT_TX);

	if (nic->joined[q] != joined) /* asked again by two threads, when it is back: the same */
		nic->joined[q] = joined;
	if (joined)
		return nic->both[q];
	return dirs == SL_PORT_RX ? nic->rx_event[q] : nic->tx_event[q];
}

int sl_nic_control_fd(struct sl_port *port)
{
	return nic_of(port)->control;
}

/*
 * Going away. Somebody unplugs the device or unbinds its driver, which blocks until we have closed
 * it; and packets that are lent may lie in memory that it still has mapped: they are recalled
 * first.
 */

static void give_back(struct nic *nic)
{
	pthread_mutex_lock(&nic->lock);
	sl_device_bus_master(nic->dev, false);
	nic->ops->free(nic);
	for (unsigned q = 0; q < nic->queues; q++) {
		struct nic_pool *pool = &nic->pools[q];

		sl_dma_release(pool->dma);
		free(pool->free);
		free(pool->buffers);
		*pool = (struct nic_pool){0};
	}
	sl_device_close(nic->dev);
	nic->dev = NULL;
	pthread_mutex_unlock(&nic->lock);
}

static void leave(struct nic *nic)
{
	bool back = true;

	for (unsigned q = 0; q < nic->queues; q++)
		if (nic->rings[q])
			back &= sl_ring_recall_done(nic->rings[q]);
	if (back)
		give_back(nic);
}

void sl_nic_stop(struct sl_port *port)
{
	struct nic *nic = nic_of(port);

	nic->ops->halt(nic);
	sl_device_bus_master(nic->dev, false);
	sl_store_relaxed(&nic->attached, 0);
	epoll_ctl(nic->control, EPOLL_CTL_DEL, sl_device_event(nic->dev), NULL);
	for (unsigned q = 0; q < nic->queues; q++) {
		if (!nic->rings[q])
			continue;
		sl_ring_recall(nic->rings[q]);
		sl_ring_wake_consumer(nic->rings[q]);
	}
	nic->look_at = 0;
}

void sl_nic_close(struct sl_port *port)
{
	struct nic *nic = nic_of(port);

	if (nic->dev)
		give_back(nic);
	for (unsigned q = 0; q < nic->queues; q++) {
		sl_fd_close(&nic->both[q]);
		sl_fd_close(&nic->rx_event[q]);
		sl_fd_close(&nic->tx_event[q]);
	}
	sl_fd_close(&nic->control);
	sl_fd_close(&nic->event);
	pthread_mutex_destroy(&nic->lock);
	free(nic);
}

int sl_nic_control(struct sl_port *port, uint64_t now_ns)
{
	struct nic *nic = nic_of(port);
	bool event = came(nic->event);
	bool late = now_ns >= nic->look_at;
	int ret = 0;

	if (!nic->dev)
		return 0;
	if (!sl_load_relaxed(&nic->attached)) {
		nic->look_at = now_ns + LEAVE_NS;
		leave(nic);
		return 0;
	}
	if (late) /* counted from then: interrupts do not put it off */
		nic->look_at = now_ns + LOOK_NS;
	if (!event || late) /* it was the device's own event, if not time alone */
		ret = sl_device_check(nic->dev);
	if (!ret)
		ret = nic->ops->look(nic, event, late);
	if (event && nic->intx && !nic->msi && ret >= 0 && sl_device_irq_unmask(nic->dev))
		return -ENODEV;
	return ret;
}

uint64_t sl_nic_deadline(const struct sl_port *port)
{
	const struct nic *nic = nic_of(port);

	return nic->dev ? nic->look_at : SL_NEVER;
}
