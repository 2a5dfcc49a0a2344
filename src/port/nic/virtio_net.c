/* SPDX-License-Identifier: BSD-2-Clause */
/* A network device over PCI (virtio 1.2, 5.1): its queues, and the port that they are. */
#include <poll.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/reason.h"
#include "device/virtio_pci.h"
#include "port/nic/virtio_queue.h"

#define QUEUE_ALIGN 4096
#define CONTROL                                                                                    \
	(VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX) |                     \
	 VIRTIO_BIT(VIRTIO_NET_F_MQ))

/**
 * struct virtio_net - a port
 * @dma:     virtqueues, the memory of commands, slots of the transmitqs
 * @mapped:  bytes of it that are given out
 * @started: the device may use memory
 */
struct virtio_net {
	struct nic nic;
	struct virtio_pci pci;
	struct sl_dma *dma;
	size_t mapped;
	bool started;
	uint32_t link_up;
	struct virtio_net_state state;
	struct virtio_net_ctrl ctrl;
	struct virtio_rx rx[NIC_QUEUES];
	struct virtio_tx tx[NIC_QUEUES];
};

static struct virtio_net *net_of(struct nic *nic)
{
	return sl_container_of(nic, struct virtio_net, nic);
}

static struct virtio_net *net_of_port(const struct sl_port *port)
{
	return net_of(sl_container_of((uintptr_t)port, struct nic, port));
}

/*
 * Opening.
 */

static size_t take_memory(struct virtio_net *net, size_t len)
{
	size_t at = net->mapped;

	net->mapped += (len + QUEUE_ALIGN - 1) & ~(size_t)(QUEUE_ALIGN - 1);
	return at;
}

static uint8_t *memory_at(const struct virtio_net *net, size_t at)
{
	return (uint8_t *)sl_dma_region(net->dma)->base + at;
}

/* Virtqueues come first, all of them in the first 2 MiB: each is in one piece for the device. */
static int make_memory(struct virtio_net *net)
{
	size_t queue = (sl_virtq_layout(VIRTIO_NET_QUEUE_MAX, false).len + QUEUE_ALIGN - 1) &
		       ~(size_t)(QUEUE_ALIGN - 1);
	size_t slots = (size_t)VIRTIO_NET_QUEUE_MAX * NIC_STRIDE;
	size_t len = (2 * net->nic.queues + 1) * queue + QUEUE_ALIGN + net->nic.queues * slots;

	return sl_dma_create(net->nic.dev, len, 0, &net->dma);
}

static int make_queue(struct virtio_net *net, uint16_t queue, uint16_t vector,
		      struct virtq_driver *vq)
{
	struct virtio *v = &net->pci.virtio;
	uint16_t size = sl_min(v->ops->queue_size(v, queue), VIRTIO_NET_QUEUE_MAX);
	struct virtq_layout layout = sl_virtq_layout(size, false);
	size_t at;
	int ret;

	if (!size)
		return sl_fail(EOPNOTSUPP, "the device has no queue %u", queue);
	at = take_memory(net, layout.len);
	ret = sl_virtq_open(
		vq,
		&(struct virtq_options){.size = size,
					.event_idx = sl_virtio_has(v, VIRTIO_F_EVENT_IDX)},
		memory_at(net, at));
	if (ret)
		return ret;
	return v->ops->queue_enable(v, queue,
				    &(struct virtio_queue){
					    .size = size,
					    .desc = sl_dma_iova(net->dma, at + layout.desc),
					    .avail = sl_dma_iova(net->dma, at + layout.avail),
					    .used = sl_dma_iova(net->dma, at + layout.used),
					    .vector = vector,
				    });
}

static int make_rx(struct virtio_net *net, unsigned q)
{
	struct virtio_rx *rx = &net->rx[q];
	int ret;

	rx->v = &net->pci.virtio;
	rx->queue = VIRTIO_NET_RX(q);
	rx->pool = &net->nic.pools[q];
	ret = make_queue(net, rx->queue, (uint16_t)q, &rx->vq);
	if (!ret)
		ret = sl_nic_pool_open(&net->nic, q, rx->vq.size);
	return ret ? ret : sl_virtio_rx_open(rx, rx->vq.size, rx->pool->n_free);
}

static int make_tx(struct virtio_net *net, unsigned q)
{
	struct virtio_tx *tx = &net->tx[q];

	tx->v = &net->pci.virtio;
	tx->nic = &net->nic;
	tx->queue = VIRTIO_NET_TX(q);
	return make_queue(net, tx->queue, (uint16_t)(net->nic.queues + q), &tx->vq);
}

static int make_slots(struct virtio_net *net, unsigned q)
{
	struct virtio_tx *tx = &net->tx[q];
	size_t at = take_memory(net, (size_t)tx->vq.size * NIC_STRIDE);
	int ret = sl_virtio_tx_open(tx, tx->vq.size);

	tx->slots = memory_at(net, at);
	for (unsigned i = 0; i < tx->vq.size && !ret; i++)
		tx->slot_iova[i] = sl_dma_iova(net->dma, at + (size_t)i * NIC_STRIDE);
	return ret;
}

/* 5.1.2: behind all pairs that the device has, not those in use. */
static int make_ctrl(struct virtio_net *net)
{
	struct virtio_net_ctrl *ctrl = &net->ctrl;
	size_t at;

	ctrl->v = &net->pci.virtio;
	if (!sl_virtio_has(ctrl->v, VIRTIO_NET_F_CTRL_VQ))
		return 0;
	if (net->state.max_virtqueue_pairs > UINT16_MAX / 2)
		return sl_fail(EOPNOTSUPP, "with %u pairs of queues there is no control queue",
			       net->state.max_virtqueue_pairs);
	ctrl->queue = (uint16_t)(2 * net->state.max_virtqueue_pairs);
	at = take_memory(net, VIRTIO_NET_CTRL_LEN);
	ctrl->memory = memory_at(net, at);
	ctrl->iova = sl_dma_iova(net->dma, at);
	return make_queue(net, ctrl->queue, VIRTIO_NO_VECTOR, &ctrl->vq);
}

static int make_queues(struct virtio_net *net)
{
	int ret = make_memory(net);

	for (unsigned q = 0; q < net->nic.queues && !ret; q++) {
		ret = make_rx(net, q);
		if (!ret)
			ret = make_tx(net, q);
	}
	if (!ret)
		ret = make_ctrl(net);
	for (unsigned q = 0; q < net->nic.queues && !ret; q++)
		ret = make_slots(net, q);
	return ret;
}

static int ask(struct virtio_net *net, const struct nic_options *options)
{
	struct virtio *v = &net->pci.virtio;
	uint16_t pairs = (uint16_t)net->nic.queues;
	uint8_t on = 1;
	int ret = 0;

	if (pairs > 1)
		ret = sl_virtio_net_ctrl(&net->ctrl, VIRTIO_NET_CTRL_MQ,
					 VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &pairs, sizeof(pairs));
	if (ret || !options->promisc)
		return ret;
	if (!sl_virtio_has(v, VIRTIO_NET_F_CTRL_RX))
		return sl_fail(EOPNOTSUPP,
			       "promisc=on: the device does not offer VIRTIO_NET_F_CTRL_RX");
	return sl_virtio_net_ctrl(&net->ctrl, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &on,
				  sizeof(on));
}

/* Over UIO there is none that translates; over uio_msix there may be one. */
static bool has_iommu(const struct sl_device_info *info)
{
	return info->via == SL_PCI_VFIO ||
	       (info->via == SL_PCI_UIO_MSIX && info->pci.iommu_group >= 0);
}

static int check_offer(struct virtio_net *net)
{
	struct virtio *v = &net->pci.virtio;
	int ret;

	/* 6.1: a device without it reaches memory past the IOMMU, at physical addresses. */
	if (has_iommu(sl_device_get_info(net->nic.dev)) &&
	    !sl_virtio_has(v, VIRTIO_F_ACCESS_PLATFORM))
		return sl_fail(EOPNOTSUPP, "the device goes past the IOMMU: it does not offer "
					   "VIRTIO_F_ACCESS_PLATFORM (iommu_platform=on in QEMU)");
	ret = sl_virtio_net_state(v, &net->state);
	if (!ret && net->nic.queues > net->state.max_virtqueue_pairs)
		return sl_fail(EINVAL, "queues=%u: the device has %u", net->nic.queues,
			       net->state.max_virtqueue_pairs);
	net->link_up = net->state.link_up;
	return ret;
}

static int start(struct virtio_net *net, const struct nic_options *options)
{
	struct nic *nic = &net->nic;
	struct virtio *v = &net->pci.virtio;
	uint64_t control = nic->queues > 1 || options->promisc ? CONTROL : 0;
	int ret = sl_virtio_pci_open(nic->dev, &net->pci);

	if (!ret)
		ret = sl_virtio_net_start(v, control);
	if (!ret)
		ret = check_offer(net);
	if (!ret)
		ret = sl_nic_wire(nic);
	if (!ret && !nic->intx)
		ret = sl_virtio_pci_use_msix(&net->pci, (uint16_t)(2 * nic->queues));
	if (!ret)
		ret = make_queues(net);
	if (!ret)
		ret = sl_device_bus_master(nic->dev, true);
	net->started = !ret;
	if (!ret)
		ret = sl_virtio_driver_ok(v);
	if (!ret)
		ret = ask(net, options);
	for (unsigned q = 0; q < nic->queues && !ret; q++)
		sl_virtio_rx_start(&net->rx[q]);
	return ret;
}

/*
 * What the shared part asks for.
 */

static int look(struct nic *nic, bool event, bool late)
{
	struct virtio_net *net = net_of(nic);
	struct virtio *v = &net->pci.virtio;
	struct virtio_net_state state;
	int isr = event && nic->intx ? sl_virtio_pci_isr(&net->pci) : 0, ret;

	if (isr < 0)
		return isr;
	for (unsigned q = 0; q < nic->queues && isr & 1; q++) {
		sl_event_signal(nic->rx_event[q]);
		sl_event_signal(nic->tx_event[q]);
	}
	if (nic->intx && !late && !(isr & VIRTIO_PCI_ISR_CONFIG))
		return 0;
	ret = sl_virtio_check(v);
	if (!ret)
		ret = sl_virtio_net_state(v, &state);
	if (ret || state.link_up == net->link_up)
		return ret;
	sl_log(nic->log, SL_LOG_INFO, "%s: the link is %s", nic->name,
	       state.link_up ? "up" : "down: what is sent is dropped");
	sl_store_relaxed(&net->link_up, state.link_up);
	return 0;
}

static void halt(struct nic *nic)
{
	struct virtio_net *net = net_of(nic);

	if (net->started)
		sl_virtio_reset(&net->pci.virtio);
	net->started = false;
}

static void free_queues(struct nic *nic)
{
	struct virtio_net *net = net_of(nic);

	halt(nic);
	for (unsigned q = 0; q < nic->queues; q++) {
		sl_virtio_rx_close(&net->rx[q]);
		sl_virtio_tx_close(&net->tx[q]);
	}
	sl_virtq_close(&net->ctrl.vq);
	sl_dma_release(net->dma);
	net->dma = NULL;
}

static const struct nic_ops nic_ops = {.look = look, .halt = halt, .free = free_queues};

/*
 * The port.
 */

static void net_info(const struct sl_port *port, struct sl_port_info *info)
{
	const struct virtio_net *net = net_of_port(port);

	*info = (struct sl_port_info){
		.layer = 2,
		.queues = net->nic.queues,
		.mtu = net->state.mtu,
		.dirs = SL_PORT_RX | SL_PORT_TX,
		.attached = (uint8_t)sl_load_relaxed(&net->nic.attached),
		.emits = sl_virtio_net_emits(&net->pci.virtio),
		.accepts = sl_virtio_net_accepts(&net->pci.virtio),
		.regions = net->nic.regions,
		.n_regions = net->nic.queues,
	};
	memcpy(info->mac, net->state.mac, sizeof(info->mac));
}

static int net_rx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct virtio_net *net = net_of_port(port);

	net->nic.rings[q] = ring;
	return sl_virtio_rx(&net->rx[q], ring);
}

static int net_tx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct virtio_net *net = net_of_port(port);

	return sl_virtio_tx(&net->tx[q], ring, sl_load_relaxed(&net->link_up));
}

/* The events are cleared first: what comes after that signals them again. */
static int net_arm(struct sl_port *port, unsigned q, unsigned want)
{
	struct virtio_net *net = net_of_port(port);
	struct virtq_driver *tx = &net->tx[q].vq;
	bool ready = false;

	sl_nic_came(&net->nic, q, want);
	if (want & SL_PORT_RX)
		ready = sl_virtq_arm(&net->rx[q].vq, 0);
	/* With nothing in flight no interrupt would come: the queue has room again. */
	if (want & SL_PORT_TX)
		ready |= !sl_virtq_in_flight(tx) || sl_virtq_arm(tx, sl_virtq_in_flight(tx) / 2);
	return ready ? SL_PORT_READY : POLLIN;
}

static void net_stats(const struct sl_port *port, unsigned q, struct sl_counters *c)
{
	const struct virtio_net *net = net_of_port(port);

	sl_count_sum(&c->rx, &net->rx[q].count);
	sl_count_sum(&c->tx, &net->tx[q].count);
}

static const struct sl_port_ops net_ops = {
	.size = sizeof(struct sl_port_ops),
	.kind = "pci",
	.info = net_info,
	.region_add = sl_nic_region_add,
	.region_del = sl_nic_region_del,
	.rx = net_rx,
	.tx = net_tx,
	.fd = sl_nic_fd,
	.arm = net_arm,
	.control_fd = sl_nic_control_fd,
	.control = sl_nic_control,
	.deadline = sl_nic_deadline,
	.stop = sl_nic_stop,
	.stats = net_stats,
	.close = sl_nic_close,
};

static int net_open(struct sl_device *dev, const struct nic_options *options,
		    const struct sl_log *log, struct sl_port **out)
{
	struct virtio_net *net = sl_alloc_lines(sizeof(*net));
	int ret;

	if (!net) {
		sl_device_close(dev);
		return sl_fail(ENOMEM, "no memory for a port");
	}
	ret = sl_nic_open(&net->nic, &net_ops, &nic_ops, dev, sl_max(options->queues, 1), log);
	if (!ret)
		ret = start(net, options);
	if (ret) {
		sl_nic_close(&net->nic.port);
		return ret;
	}
	*out = &net->nic.port;
	return 0;
}

static const struct nic_id ids[] = {
	{0x1af4, 0x1041}, /* 4.1.2.1 */
	{0x1af4, 0x1000}, /* transitional: it has the modern interface as well */
	{0},
};

const struct nic_driver sl_nic_virtio_net = {"virtio network device", ids, net_open};
