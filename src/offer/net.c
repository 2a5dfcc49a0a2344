/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A NIC (virtio 1.2, 5.1): what a driver is told of it, and its control. The offer and its
 * transport run on a worker that nobody sleeps on: control() steps it, behind the locks of all
 * queues, so neither of them ever sees a packet move.
 */
#include <net/ethernet.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>

#include <linux/virtio_ids.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/count.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/reason.h"
#include "offer/net_private.h"
#include "virtio/net.h"

#define MTU_DEFAULT 1500
#define BUSY_NS	    (200 * SL_NS_PER_US)
#define STEPS_MOST  64 /* a call of control() */
#define ANNOUNCE    3  /* as often as QEMU's own NICs do, at least */

#define FEATURES                                                                                   \
	(VIRTIO_BIT(VIRTIO_NET_F_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) |                     \
	 VIRTIO_BIT(VIRTIO_NET_F_MTU) | VIRTIO_BIT(VIRTIO_NET_F_MAC) |                             \
	 VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6) |               \
	 VIRTIO_BIT(VIRTIO_NET_F_GUEST_ECN) | VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) |                 \
	 VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6) | VIRTIO_BIT(VIRTIO_NET_F_HOST_ECN) |                  \
	 VIRTIO_BIT(VIRTIO_NET_F_GUEST_USO4) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_USO6) |               \
	 VIRTIO_BIT(VIRTIO_NET_F_HOST_USO) | VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) |                  \
	 VIRTIO_BIT(VIRTIO_NET_F_STATUS))

static struct sl_net *net_of_model(const struct sl_model *m)
{
	return sl_container_of((uintptr_t)m, struct sl_net, model);
}

/*
 * The model.
 */

static void model_info(const struct sl_model *m, struct sl_model_info *info)
{
	const struct sl_net *net = net_of_model(m);

	*info = (struct sl_model_info){
		.device_id = VIRTIO_ID_NET,
		.features = FEATURES | (net->pairs > 1 ? VIRTIO_BIT(VIRTIO_NET_F_MQ) : 0),
		.queues = (uint16_t)(2 * net->pairs),
		.queue_size = NET_QUEUE_SIZE,
		.pieces = SL_PACKET_FRAGS_MAX,
		.config_len = offsetof(struct virtio_net_config, mtu) + sizeof(net->config.mtu),
	};
}

static void model_config(const struct sl_model *m, void *config)
{
	memcpy(config, &net_of_model(m)->config,
	       offsetof(struct virtio_net_config, mtu) + sizeof(net_of_model(m)->config.mtu));
}

static int model_start(struct sl_model *m, uint64_t features)
{
	struct sl_net *net = net_of_model(m);
	const struct virtio as_driver = {.features = features};

	/* Without it a packet's header has another length (5.1.6.1). */
	if (!(features & VIRTIO_BIT(VIRTIO_F_VERSION_1)))
		return sl_fail(EOPNOTSUPP, "a driver of before virtio 1.0");
	net->features = features;
	/* What a driver's packets may need is what it takes the device to do, and vice versa. */
	sl_store_relaxed(&net->emits, sl_virtio_net_accepts(&as_driver));
	sl_store_relaxed(&net->accepts, sl_virtio_net_emits(&as_driver));
	return 0;
}

static void model_close(struct sl_model *m)
{
	(void)m; /* the port is closed as a whole */
}

static const struct sl_model_ops model_ops = {
	.size = sizeof(model_ops),
	.kind = "net",
	.info = model_info,
	.get_config = model_config,
	.start = model_start,
	.close = model_close,
};

/*
 * What transports ask for beside queues.
 */

void sl_offer_announce(struct sl_offer *o, const uint8_t mac[6])
{
	struct sl_net *net = o->net;
	uint8_t *f;

	if (!net)
		return;
	/* RFC 903: a reverse request for its own address; 60 bytes. */
	static const uint8_t rarp[] = {0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3};

	f = net->announcement;
	memset(f, 0, sizeof(net->announcement));
	memset(f, 0xff, ETHER_ADDR_LEN);
	memcpy(f + 6, mac, ETHER_ADDR_LEN);
	memcpy(f + 12, rarp, sizeof(rarp));
	memcpy(f + 22, mac, ETHER_ADDR_LEN);
	memcpy(f + 32, mac, ETHER_ADDR_LEN);
	sl_store_relaxed(&net->announce, ANNOUNCE);
	sl_net_poke(net, 0);
}

int sl_offer_set_mtu(struct sl_offer *o, uint16_t mtu)
{
	struct sl_net *net = o->net;

	if (!net)
		return sl_fail(EOPNOTSUPP, "an MTU for what is no NIC");
	if (mtu < VIRTIO_NET_MTU_MIN || (net->mtu_given && mtu != net->config.mtu))
		return sl_fail(EINVAL, "the driver's side has an MTU of %u, this port one of %u",
			       mtu, net->config.mtu);
	net->config.mtu = mtu;
	return 0;
}

/*
 * Control.
 */

static void lock_all(struct sl_net *net)
{
	for (unsigned i = 0; i < 2 * net->pairs; i++)
		pthread_mutex_lock(&net->queues[i].lock);
}

static void unlock_all(struct sl_net *net)
{
	for (unsigned i = 2 * net->pairs; i--;)
		pthread_mutex_unlock(&net->queues[i].lock);
}

static bool runs(const struct sl_net *net, unsigned queue)
{
	const struct offer_queue *q = &net->offer->queues[queue];

	return q->vq && q->enabled && !q->stopping && !q->counted.broken;
}

/* Which receiveq packets go to: the pair's own, or where the driver does not use that, another's.
 */
static void steer(struct sl_net *net)
{
	uint32_t used[SL_NET_PAIRS_MAX], n = 0;

	for (unsigned pair = 0; pair < net->pairs; pair++)
		if (runs(net, 2 * pair))
			used[n++] = pair;
	for (unsigned pair = 0; pair < net->pairs; pair++)
		sl_store_relaxed(&net->use[pair],
				 runs(net, 2 * pair) || !n ? pair : used[pair % n]);
}

/* Also while it stops, or is disabled, as long as something is lent: rx() gets that back. */
static bool is_attached(const struct sl_net *net)
{
	for (unsigned i = 0; i < 2 * net->pairs; i++) {
		const struct offer_queue *q = &net->offer->queues[i];
		const struct net_queue *nq = &net->queues[i];

		if (q->vq && (q->enabled || nq->out || nq->recall))
			return true;
	}
	return false;
}

static bool is_busy(const struct sl_net *net)
{
	bool busy = net->offer->quiesced;

	for (unsigned i = 0; i < 2 * net->pairs; i++)
		busy |= net->offer->queues[i].vq && net->offer->queues[i].stopping;
	return busy;
}

static int step(struct sl_net *net)
{
	int ret = 1;

	for (unsigned n = 0; n < STEPS_MOST && ret > 0; n++)
		ret = sl_worker_step(net->worker);
	return ret;
}

/* Return: > 0 when what sl_net_info() says has changed. */
static int look(struct sl_net *net)
{
	uint32_t attached = net->attached, emits = net->emits, accepts = net->accepts;
	int ret;

	lock_all(net);
	ret = step(net);
	steer(net);
	sl_store_relaxed(&net->attached, is_attached(net));
	net->again_ns = ret > 0 || is_busy(net) ? sl_now_ns() + BUSY_NS : UINT64_MAX;
	unlock_all(net);
	/* Whoever waits for a queue that was not there, or took nothing. */
	for (unsigned pair = 0; pair < net->pairs && net->again_ns == UINT64_MAX; pair++)
		sl_net_poke(net, pair);
	if (ret < 0)
		return ret;
	if (sl_offer_get_state(net->offer) == SL_OFFER_ENDED)
		return sl_fail(ENODEV, "the device was taken away");
	if (attached == net->attached && emits == net->emits && accepts == net->accepts)
		return 0;
	net->generation++;
	return 1;
}

int sl_net_control(struct sl_port *port, uint64_t now_ns)
{
	(void)now_ns;
	return look(net_of(port));
}

int sl_net_control_fd(struct sl_port *port)
{
	return sl_worker_fd(net_of(port)->worker);
}

uint64_t sl_net_deadline(const struct sl_port *port)
{
	return net_of(port)->again_ns;
}

void sl_net_carrier(struct sl_port *port, bool up)
{
	struct sl_net *net = net_of(port);
	uint16_t status = up ? VIRTIO_NET_S_LINK_UP : 0;

	if (net->config.status == status)
		return;
	lock_all(net);
	net->config.status = status;
	sl_offer_changed(net->offer);
	unlock_all(net);
}

void sl_net_info(const struct sl_port *port, struct sl_port_info *info)
{
	const struct sl_net *net = net_of(port);

	*info = (struct sl_port_info){
		.layer = 2,
		.queues = net->pairs,
		.mtu = net->mtu_given ? net->config.mtu : 0, /* see sl_net_join() */
		.dirs = SL_PORT_RX | SL_PORT_TX,
		.attached = (uint8_t)sl_load_relaxed(&net->attached),
		.emits = sl_load_relaxed(&net->emits),
		.accepts = sl_load_relaxed(&net->accepts),
		.generation = net->generation,
	};
	memcpy(info->mac, net->config.mac, sizeof(info->mac));
}

/* What suits the other port, where the user has not said. */
int sl_net_join(struct sl_port *port, const struct sl_port_info *other)
{
	struct sl_net *net = net_of(port);
	unsigned mtu = other->mtu ? other->mtu : sl_min(other->mtu_best, net->config.mtu);

	if (net->mtu_given || mtu < VIRTIO_NET_MTU_MIN || mtu > UINT16_MAX ||
	    mtu == net->config.mtu)
		return 0;
	net->config.mtu = (uint16_t)mtu;
	sl_offer_changed(net->offer);
	return 0;
}

void sl_net_stats(const struct sl_port *port, unsigned q, struct sl_counters *c)
{
	struct sl_net *net = net_of(port);

	sl_count_sum(&c->rx, &net_transmitq(net, q)->count);
	sl_count_sum(&c->tx, &net_receiveq(net, q)->count);
}

/*
 * Beginning and end.
 */

/* Both rings are empty: what was lent has come back. */
static void let_go(struct sl_net *net)
{
	for (unsigned pair = 0; pair < net->pairs; pair++) {
		struct net_queue *nq = net_transmitq(net, pair);

		if (!nq->q || !nq->q->vq)
			continue;
		memset(nq->lent, 0, nq->room);
		nq->ring = NULL;
		nq->out = 0;
		nq->recall = nq->recalling = false;
		sl_net_reclaim(nq);
	}
}

void sl_net_close(struct sl_port *port)
{
	struct sl_net *net = net_of(port);

	net->closing = true;
	if (net->queues)
		let_go(net);
	sl_offer_release(net->offer);
	sl_worker_release(net->worker);
	for (unsigned i = 0; net->queues && i < 2 * net->pairs; i++)
		pthread_mutex_destroy(&net->queues[i].lock);
	for (unsigned pair = 0; pair < net->pairs; pair++)
		for (unsigned dirs = 1; dirs < sl_array_len(net->waits[pair].epoll); dirs++)
			sl_fd_close(&net->waits[pair].epoll[dirs]);
	for (unsigned pair = 0; pair < net->pairs; pair++)
		sl_fd_close(&net->waits[pair].poke);
	free(net->queues);
	free(net);
}

static int make_wait(struct net_wait *wait)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};

	wait->poke = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (unsigned dirs = 1; dirs < sl_array_len(wait->epoll); dirs++) {
		wait->epoll[dirs] = epoll_create1(EPOLL_CLOEXEC);
		if (wait->epoll[dirs] < 0 || wait->poke < 0 ||
		    epoll_ctl(wait->epoll[dirs], EPOLL_CTL_ADD, wait->poke, &e))
			return sl_fail(errno, "no descriptor to wait for a driver: %m");
	}
	return 0;
}

static int set_mac(struct sl_net *net, const struct sl_args *args)
{
	if (sl_args_mac(args, "mac", net->config.mac))
		return 0;
	if (getrandom(net->config.mac, ETHER_ADDR_LEN, 0) != ETHER_ADDR_LEN)
		return sl_fail(errno, "no random hardware address: %m");
	net->config.mac[0] = (uint8_t)((net->config.mac[0] & 0xfe) | 2); /* local, one station */
	return 0;
}

static int fill_in(struct sl_net *net, const struct sl_args *args)
{
	net->pairs = (unsigned)sl_args_uint(args, "queues", 1);
	net->mtu_given = sl_args_count(args, "mtu");
	net->config.mtu = (uint16_t)sl_args_uint(args, "mtu", MTU_DEFAULT);
	net->config.status = VIRTIO_NET_S_LINK_UP;
	net->config.max_virtqueue_pairs = (uint16_t)net->pairs;
	for (unsigned pair = 0; pair < net->pairs; pair++)
		net->waits[pair] = (struct net_wait){{-1, -1, -1, -1}, -1, false};
	net->queues = sl_alloc_lines(2 * net->pairs * sizeof(*net->queues));
	if (!net->queues)
		return sl_fail(ENOMEM, "no memory for a NIC");
	for (unsigned i = 0; i < 2 * net->pairs; i++)
		pthread_mutex_init(&net->queues[i].lock, NULL);
	return set_mac(net, args);
}

int sl_net_open(const struct transport_ops *via, const struct sl_args *args,
		const struct sl_port_ops *ops, const struct sl_log *log, struct sl_port **out)
{
	struct sl_net *net = calloc(1, sizeof(*net));
	struct sl_offer_config config = {.log = log};
	int ret;

	if (!net)
		return sl_fail(ENOMEM, "no memory for a NIC");
	net->port.ops = ops;
	net->model.ops = &model_ops;
	net->log = log;
	net->again_ns = UINT64_MAX;
	ret = fill_in(net, args);
	for (unsigned pair = 0; !ret && pair < net->pairs; pair++)
		ret = make_wait(&net->waits[pair]);
	if (!ret)
		ret = sl_worker_create(SL_POLL_OFF, &net->worker);
	config.model = &net->model;
	config.worker = net->worker;
	if (!ret)
		ret = sl_offer_open(&config, via, args, net, &net->offer);
	for (unsigned i = 0; !ret && i < 2 * net->pairs; i++)
		net->queues[i].q = &net->offer->queues[i];
	if (ret) {
		sl_net_close(&net->port);
		return ret;
	}
	look(net);
	*out = &net->port;
	return 0;
}
