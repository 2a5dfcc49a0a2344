/* SPDX-License-Identifier: BSD-2-Clause */
/* Port virtio-user: a NIC that another process is, driven from here. */
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/memory.h"
#include "base/reason.h"
#include "port/kinds.h"
#include "port/virtio_user.h"

enum {
	VIA_VHOST_USER,
	VIA_UDUSE,
};

static struct virtio_user *user_of(const struct sl_port *port)
{
	return sl_container_of((uintptr_t)port, struct virtio_user, port);
}

/*
 * Opening: memory is laid out once, whoever sees it.
 */

static void place(struct virtio_user *user, size_t at, uint8_t **data, sl_iova *iova)
{
	*data = (uint8_t *)user->via.memory.base + at;
	if (user->via.ops->iova)
		*iova = user->via.ops->iova(&user->via, at);
}

static int make_pool(struct virtio_user *user, struct nic_pool *pool, size_t at)
{
	pool->region = user->via.memory.id;
	pool->free = calloc(USER_BUFFERS, sizeof(*pool->free));
	pool->buffers = calloc(USER_BUFFERS, sizeof(*pool->buffers));
	if (!pool->free || !pool->buffers)
		return sl_fail(ENOMEM, "no memory for a queue");
	for (unsigned i = 0; i < USER_BUFFERS; i++, at += NIC_STRIDE) {
		place(user, at + NIC_HEADROOM, &pool->buffers[i].data, &pool->buffers[i].iova);
		pool->free[pool->n_free++] = (uint16_t)(USER_BUFFERS - 1 - i);
	}
	return 0;
}

static int make_pair(struct virtio_user *user, unsigned q)
{
	struct user_pair *pair = &user->pair[q];
	size_t at = (size_t)q * (USER_BUFFERS + USER_SIZE) * NIC_STRIDE;
	size_t slots = at + (size_t)USER_BUFFERS * NIC_STRIDE;
	uint8_t *slot;
	int ret;

	pair->rx.queue = VIRTIO_NET_RX(q);
	pair->tx.queue = VIRTIO_NET_TX(q);
	pair->rx.pool = &pair->pool;
	pair->rx.shared = !user->via.ops->bounces;
	ret = make_pool(user, &pair->pool, at);
	if (!ret)
		ret = sl_virtio_rx_open(&pair->rx, USER_SIZE, USER_BUFFERS);
	if (!ret)
		ret = sl_virtio_tx_open(&pair->tx, USER_SIZE);
	pair->tx.slots = (uint8_t *)user->via.memory.base + slots;
	for (unsigned i = 0; i < USER_SIZE && !ret; i++, slots += NIC_STRIDE)
		place(user, slots, &slot, &pair->tx.slot_iova[i]);
	return ret;
}

static int make(struct virtio_user *user, const struct sl_args *args)
{
	struct via_config config = {
		.path = sl_args_text(args, "path", 0),
		.listen = sl_args_uint(args, "mode", 0) == 1,
		.queues = 2 * user->pairs,
		.memory = (size_t)user->pairs * (USER_BUFFERS + USER_SIZE) * NIC_STRIDE,
	};
	bool uduse = sl_args_uint(args, "via", VIA_VHOST_USER) == VIA_UDUSE;
	int ret;

	if (uduse && sl_args_count(args, "mode"))
		return sl_fail(EINVAL, "mode= does not go with via=uduse: daemons connect to us");
	user->waited = uduse || config.listen;
	user->via.ops = uduse ? &sl_via_uduse : &sl_via_vhost_user;
	ret = user->via.ops->open(&user->via, &config);
	for (unsigned q = 0; q < user->pairs && !ret; q++)
		ret = make_pair(user, q);
	return ret;
}

static void user_close(struct sl_port *port)
{
	struct virtio_user *user = user_of(port);

	for (unsigned q = 0; q < user->pairs; q++) {
		struct user_pair *pair = &user->pair[q];

		sl_virtio_rx_close(&pair->rx);
		sl_virtio_tx_close(&pair->tx);
		free(pair->pool.free);
		free(pair->pool.buffers);
		for (unsigned dirs = 1; dirs < sl_array_len(pair->waits); dirs++)
			sl_fd_close(&pair->waits[dirs]);
	}
	if (user->via.ops)
		user->via.ops->close(&user->via);
	pthread_mutex_destroy(&user->lock);
	free(user);
}

static int user_open(const struct sl_args *args, const struct sl_log *log, struct sl_port **out)
{
	struct virtio_user *user = sl_alloc_lines(sizeof(*user));
	int ret;

	if (!user)
		return sl_fail(ENOMEM, "no memory for a port");
	user->port.ops = &sl_port_virtio_user;
	user->log = log;
	pthread_mutex_init(&user->lock, NULL);
	user->pairs = (unsigned)sl_args_uint(args, "queues", 1);
	/* Over vhost-user queues are enabled by messages: several need no control queue. */
	user->wanted = VIRTIO_BIT(VIRTIO_F_IN_ORDER) | VIRTIO_BIT(VIRTIO_NET_F_MQ);
	if (sl_args_bool(args, "packed", false))
		user->wanted |= VIRTIO_BIT(VIRTIO_F_RING_PACKED);
	for (unsigned q = 0; q < NIC_QUEUES; q++)
		memset(user->pair[q].waits, -1, sizeof(user->pair[q].waits));
	ret = make(user, args);
	if (ret) {
		user_close(&user->port);
		return ret;
	}
	sl_virtio_user_forget(user, 0);
	*out = &user->port;
	return 0;
}

/*
 * The port.
 */

static void user_info(const struct sl_port *port, struct sl_port_info *info)
{
	const struct virtio_user *user = user_of(port);

	*info = (struct sl_port_info){
		.layer = 2,
		.queues = user->pairs,
		.dirs = SL_PORT_RX | SL_PORT_TX,
		.regions = &user->via.memory,
		.n_regions = 1,
		.generation = user->generation,
	};
	if (!user->attached)
		return;
	info->attached = 1;
	info->mtu = user->state.mtu;
	info->emits = sl_virtio_net_emits(user->via.v);
	info->accepts = sl_virtio_net_accepts(user->via.v);
	memcpy(info->mac, user->state.mac, sizeof(info->mac));
}

static void lock(struct virtio_user *user)
{
	if (user->via.ops->bounces)
		pthread_mutex_lock(&user->lock);
}

static void unlock(struct virtio_user *user)
{
	if (user->via.ops->bounces)
		pthread_mutex_unlock(&user->lock);
}

static int user_rx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct virtio_user *user = user_of(port);
	int ret;

	lock(user);
	ret = sl_virtio_rx(&user->pair[q].rx, ring);
	unlock(user);
	return ret;
}

static int user_tx(struct sl_port *port, unsigned q, struct sl_ring *ring)
{
	struct virtio_user *user = user_of(port);
	int ret;

	lock(user);
	ret = sl_virtio_tx(&user->pair[q].tx, ring, sl_load_relaxed(&user->link_up));
	unlock(user);
	return ret;
}

static int user_fd(struct sl_port *port, unsigned q, unsigned dirs)
{
	struct virtio_user *user = user_of(port);
	struct user_pair *pair = &user->pair[q];
	bool joined = dirs == (SL_PORT_RX | SL_PORT_TX);

	if (pair->joined != joined) /* asked again by two threads, when it is back: the same */
		pair->joined = joined;
	return pair->waits[dirs];
}

/* What has come is forgotten first: what comes after that is told again. */
static int user_arm(struct sl_port *port, unsigned q, unsigned want)
{
	struct virtio_user *user = user_of(port);
	struct user_pair *pair = &user->pair[q];
	struct virtq_driver *tx = &pair->tx.vq;
	struct epoll_event events[2];
	bool ready = false;

	epoll_wait(pair->waits[pair->joined ? SL_PORT_RX | SL_PORT_TX : want], events, 2, 0);
	if (want & SL_PORT_RX)
		ready = sl_virtq_arm(&pair->rx.vq, 0);
	/* With nothing in flight no interrupt would come: the queue has room again. */
	if (want & SL_PORT_TX)
		ready |= !sl_virtq_in_flight(tx) || sl_virtq_arm(tx, sl_virtq_in_flight(tx) / 2);
	return ready ? SL_PORT_READY : POLLIN;
}

static int user_control_fd(struct sl_port *port)
{
	struct virtio_user *user = user_of(port);

	return user->via.ops->fd(&user->via);
}

static int user_control(struct sl_port *port, uint64_t now_ns)
{
	struct virtio_user *user = user_of(port);
	int ret;

	lock(user);
	ret = sl_virtio_user_step(user, now_ns);
	unlock(user);
	return ret;
}

static uint64_t user_deadline(const struct sl_port *port)
{
	const struct virtio_user *user = user_of(port);

	return user->attached ? SL_NEVER : user->retry_at;
}

static void user_stop(struct sl_port *port)
{
	sl_virtio_user_forget(user_of(port), sl_now_ns());
}

static void user_stats(const struct sl_port *port, unsigned q, struct sl_counters *c)
{
	const struct user_pair *pair = &user_of(port)->pair[q];

	sl_count_sum(&c->rx, &pair->rx.count);
	sl_count_sum(&c->tx, &pair->tx.count);
}

static const struct sl_param user_params[] = {
	{"path", SL_PARAM_FILE, SL_PARAM_REQUIRED | SL_PARAM_IDENTITY, 1, 107, "SOCK",
	 "the UNIX socket between it and its back end"},
	{"via", SL_PARAM_WORD, 0, 0, 0, "vhost-user|uduse", "the protocol there (vhost-user)"},
	{"mode", SL_PARAM_WORD, 0, 0, 0, "connect|listen",
	 "who is there first, of vhost-user (connect)"},
	{"queues", SL_PARAM_UINT, 0, 1, NIC_QUEUES, "N", "pairs of queues (1)"},
	{"packed", SL_PARAM_BOOL, 0, 0, 1, "on|off",
	 "packed virtqueues, if the back end has them (off)"},
	{NULL},
};

const struct sl_port_ops sl_port_virtio_user = {
	.size = sizeof(struct sl_port_ops),
	.kind = "virtio-user",
	.help = "a NIC that another process is, over vhost-user or uduse, driven from here",
	.params = user_params,
	.open = user_open,
	.info = user_info,
	.rx = user_rx,
	.tx = user_tx,
	.fd = user_fd,
	.arm = user_arm,
	.control_fd = user_control_fd,
	.control = user_control,
	.deadline = user_deadline,
	.stop = user_stop,
	.stats = user_stats,
	.close = user_close,
};
