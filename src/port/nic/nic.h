/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What drivers of NICs share: receive buffers, what the device reaches of lent memory, events,
 * going away. A driver's own struct embeds a struct nic; its sl_port_ops name the sl_nic_*()
 * below where it has nothing to add. The table of drivers is in pci.c.
 *
 * Vectors of MSI-X: receive queue q has q, transmit queue q has queues + q, what concerns no
 * queue (link, configuration) has 2 * queues.
 */
#ifndef SL_PORT_NIC_NIC_H
#define SL_PORT_NIC_NIC_H

#include <pthread.h>
#include <stdbool.h>

#include <sluice/consumer.h>
#include <sluice/device.h>
#include <sluice/dma.h>
#include <sluice/port.h>
#include <sluice/producer.h>

#include "base/barrier.h"

#define NIC_QUEUES   8
#define NIC_REGIONS  64	 /* of lenders, and of the fittings between */
#define NIC_HEADROOM 128 /* for those who push headers: a tunnel's, a virtio-net header */
#define NIC_TAILROOM 64	 /* for those who append: a tag */
#define NIC_STRIDE   2048
#define NIC_ROOM     (NIC_STRIDE - NIC_HEADROOM - NIC_TAILROOM)

struct nic;

/** struct nic_options - what the spec says; @queues 0: it says nothing */
struct nic_options {
	unsigned queues;
	bool promisc;
};

/**
 * struct nic_driver - a row of the table
 * @name: for people
 * @ids:  PCI devices that it drives; a vendor of 0 ends them
 * @open: the device is the driver's from then on, also when it fails
 */
struct nic_driver {
	const char *name;
	const struct nic_id {
		uint16_t vendor, device;
	} * ids;
	int (*open)(struct sl_device *dev, const struct nic_options *options,
		    const struct sl_log *log, struct sl_port **out);
};

extern const struct nic_driver sl_nic_e1000e, sl_nic_virtio_net;

/** struct nic_buffer - where a packet is received: NIC_ROOM bytes, headroom before them */
struct nic_buffer {
	uint8_t *data;
	sl_iova iova;
};

/**
 * struct nic_pool - buffers of one receive queue; of the thread that calls rx()
 * @free: those that neither the device nor the ring has, the last given back on top: it is
 *        still in the cache
 */
struct nic_pool {
	struct sl_dma *dma;
	uint16_t region;
	uint32_t n_free;
	uint16_t *free;
	struct nic_buffer *buffers;
};

/** sl_nic_pool_reclaim() - take back what the ring gives back: cookies are buffers */
static inline void sl_nic_pool_reclaim(struct nic_pool *pool, struct sl_ring *ring)
{
	uint32_t at, n = sl_ring_returned(ring, &at);
	uint16_t *free = pool->free + pool->n_free;

	sl_ring_for_each (packet, ring, at, n)
		*free++ = (uint16_t)packet->cookie;
	pool->n_free += n;
	sl_ring_reclaim(ring, n);
}

/**
 * struct nic_reached - a region that the device reaches
 * @id:  of the region; the slot is its own for good
 * @len: 0: not reached, or no more
 */
struct nic_reached {
	uint32_t id;
	uintptr_t base;
	size_t len;
	sl_iova iova;
};

/**
 * struct nic - the head of every driver's own
 * @dev:      NULL once it was given back
 * @attached: 0 when it is gone for good
 * @look_at:  when to look after it at the latest
 * @reached:  filled in one by one; @n_reached only grows
 * @rx_event: of each receive queue; an eventfd like the next two
 * @tx_event: of each transmit queue
 * @intx:     @event is wired alone, for everything: to INTx, or where there is none, to an @msi
 * @event:    concerns no queue
 * @both:     an epoll descriptor over the two events of a queue
 * @joined:   one thread waits for both
 * @control:  the same over @event and the device's own
 * @rings:    what rx() of each queue fills; set by the driver
 * @lock:     of @dev, and of adding regions
 */
struct nic {
	struct sl_port port;
	const struct nic_ops *ops;
	const struct sl_log *log;
	struct sl_device *dev;
	char name[SL_PCI_ADDR_SIZE];
	unsigned queues;
	uint32_t attached;
	uint64_t look_at; /* CLOCK_MONOTONIC ns */
	bool intx, msi, joined[NIC_QUEUES];
	int rx_event[NIC_QUEUES], tx_event[NIC_QUEUES], both[NIC_QUEUES];
	int event, control;
	struct nic_pool pools[NIC_QUEUES];
	struct sl_region regions[NIC_QUEUES];
	struct sl_ring *rings[NIC_QUEUES];
	uint32_t n_reached;
	struct nic_reached reached[NIC_REGIONS];
	pthread_mutex_t lock;
};

/**
 * struct nic_ops - what a driver does for the shared part; by the thread that calls control()
 * @look: nic->event was signalled (@event), a second has passed (@late), or both: deal with it.
 *        With INTx: read the cause, signal the events of the queues. > 0 when info() has changed,
 *        -ENODEV
 * @halt: no more DMA; the registers may be gone. Nothing of lent memory is held then
 * @free: everything of its own; called once, before the device is closed
 */
struct nic_ops {
	int (*look)(struct nic *nic, bool event, bool late);
	void (*halt)(struct nic *nic);
	void (*free)(struct nic *nic);
};

/** sl_nic_open() - fill in the head of zeroed memory that free() releases; sl_nic_close() even
 * when it fails */
int sl_nic_open(struct nic *nic, const struct sl_port_ops *port, const struct nic_ops *ops,
		struct sl_device *dev, unsigned queues, const struct sl_log *log);

/** sl_nic_wire() - connect the events to vectors, or to INTx when MSI-X has not enough */
int sl_nic_wire(struct nic *nic);

/**
 * sl_nic_came() - which events of a queue have come: SL_PORT_RX, SL_PORT_TX; they are cleared
 * @want: as for arm(): the other direction's event is left to its own thread, if it has one
 */
unsigned sl_nic_came(struct nic *nic, unsigned q, unsigned want);

/**
 * sl_nic_pool_open() - make the buffers of receive queue @q: more than a hardware ring of @hardware
 * entries and a link's ring hold, so that the device never starves for what is lent
 */
int sl_nic_pool_open(struct nic *nic, unsigned q, unsigned hardware);

/*
 * Operations of a port.
 */
int sl_nic_region_add(struct sl_port *port, const struct sl_region *region);
void sl_nic_region_del(struct sl_port *port, const struct sl_region *region);
int sl_nic_fd(struct sl_port *port, unsigned q, unsigned dirs);
int sl_nic_control_fd(struct sl_port *port);
int sl_nic_control(struct sl_port *port, uint64_t now_ns);
uint64_t sl_nic_deadline(const struct sl_port *port);
void sl_nic_stop(struct sl_port *port);
void sl_nic_close(struct sl_port *port);

/**
 * sl_nic_reach() - where the device sees a fragment
 *
 * Return: false when it does not, or not all of it: the driver copies it.
 */
static inline bool sl_nic_reach(const struct nic *nic, const struct sl_frag *frag, sl_iova *iova)
{
	uint32_t n = sl_load_acquire(&nic->n_reached);

	for (uint32_t i = 0; i < n; i++) {
		const struct nic_reached *r = &nic->reached[i];
		uintptr_t at;

		if (r->id != frag->region)
			continue;
		at = (uintptr_t)frag->addr - r->base;
		iova->value = r->iova.value + at;
		return at < r->len && frag->len <= r->len - at;
	}
	return false;
}

#endif
