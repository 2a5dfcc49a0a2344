/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A back end comes and goes. What it had been given is lost then; its buffers are free again, and
 * the queues begin anew with the next. None of this runs beside rx() or tx() but look().
 */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/reason.h"
#include "port/virtio_user.h"

#define RETRY_MIN (100 * SL_NS_PER_MS)
#define RETRY_MAX SL_NS_PER_S

static int enable(struct virtio_user *user, uint16_t queue, struct virtq_driver *vq)
{
	struct virtio *v = user->via.v;
	bool packed = sl_virtio_has(v, VIRTIO_F_RING_PACKED);
	struct virtq_layout layout = sl_virtq_layout(USER_SIZE, packed);
	struct via_ring ring;
	struct virtio_queue setup = {
		.size = USER_SIZE,
		.vector = queue,
		.state = {.avail_wrap = packed, .used_wrap = packed},
	};
	int ret;

	if (v->ops->queue_size(v, queue) < USER_SIZE)
		return sl_fail(EOPNOTSUPP, "queue %u of the device has up to %u entries, not %u",
			       queue, v->ops->queue_size(v, queue), USER_SIZE);
	user->via.ops->ring(&user->via, queue, packed, &ring);
	setup.desc.value = ring.iova.value + layout.desc;
	setup.avail.value = ring.iova.value + layout.avail;
	setup.used.value = ring.iova.value + layout.used;
	if (ring.device_area)
		setup.used = ring.device_iova;
	ret = sl_virtq_open(
		vq,
		&(struct virtq_options){.size = USER_SIZE,
					.packed = packed,
					.event_idx = sl_virtio_has(v, VIRTIO_F_EVENT_IDX),
					.in_order = sl_virtio_has(v, VIRTIO_F_IN_ORDER),
					.device_area = ring.device_area},
		ring.memory);
	return ret ? ret : v->ops->queue_enable(v, queue, &setup);
}

/* Events may be others than those of the back end before. */
static int make_wait(struct virtio_user *user, unsigned q, unsigned dirs)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	struct via *via = &user->via;
	int *wait = &user->pair[q].waits[dirs];
	int rx = via->ops->event(via, VIRTIO_NET_RX(q)),
	    tx = via->ops->event(via, VIRTIO_NET_TX(q));

	sl_fd_close(wait);
	*wait = epoll_create1(EPOLL_CLOEXEC);
	if (*wait < 0 || (dirs & SL_PORT_RX && epoll_ctl(*wait, EPOLL_CTL_ADD, rx, &event)) ||
	    (dirs & SL_PORT_TX && epoll_ctl(*wait, EPOLL_CTL_ADD, tx, &event)))
		return sl_fail(errno, "no epoll descriptor: %m");
	return 0;
}

static int start_pair(struct virtio_user *user, unsigned q)
{
	struct user_pair *pair = &user->pair[q];
	int ret = 0;

	for (unsigned dirs = 1; dirs < sl_array_len(pair->waits) && !ret; dirs++)
		ret = make_wait(user, q, dirs);
	pair->rx.v = pair->tx.v = user->via.v;
	if (!ret)
		ret = enable(user, VIRTIO_NET_RX(q), &pair->rx.vq);
	return ret ? ret : enable(user, VIRTIO_NET_TX(q), &pair->tx.vq);
}

static int start(struct virtio_user *user)
{
	struct virtio *v = user->via.v;
	int ret = sl_virtio_net_start(v, user->wanted);

	if (!ret)
		ret = sl_virtio_net_state(v, &user->state);
	for (unsigned q = 0; q < user->pairs && !ret; q++)
		ret = start_pair(user, q);
	if (!ret)
		ret = sl_virtio_driver_ok(v);
	for (unsigned q = 0; q < user->pairs && !ret; q++)
		sl_virtio_rx_start(&user->pair[q].rx);
	return ret;
}

static void give_up(struct virtio_user *user)
{
	user->via.ops->leave(&user->via);
	for (unsigned q = 0; q < user->pairs; q++) {
		sl_virtio_rx_forget(&user->pair[q].rx);
		sl_virtio_tx_forget(&user->pair[q].tx);
	}
}

/* Who keeps failing is asked less often. */
static void retry_later(struct virtio_user *user, uint64_t now_ns)
{
	user->retry_at = now_ns + user->retry;
	user->retry = sl_min(2 * user->retry, RETRY_MAX);
}

void sl_virtio_user_forget(struct virtio_user *user, uint64_t now_ns)
{
	bool broke = false;

	for (unsigned q = 0; q < user->pairs; q++)
		broke |= user->pair[q].rx.vq.broken || user->pair[q].tx.vq.broken;
	if (!broke || now_ns - user->since > RETRY_MAX)
		user->retry = RETRY_MIN;
	user->attached = user->greeted = false;
	give_up(user);
	retry_later(user, now_ns);
}

static int fail(struct virtio_user *user)
{
	if (strncmp(user->why, sl_reason(), sizeof(user->why) - 1)) {
		snprintf(user->why, sizeof(user->why), "%s", sl_reason());
		sl_log(user->log, SL_LOG_WARN, "virtio-user: %s", user->why);
	}
	give_up(user);
	retry_later(user, sl_now_ns());
	return 0;
}

static void say_alone(struct virtio_user *user)
{
	if (!user->waited)
		sl_log(user->log, SL_LOG_WARN, "virtio-user: %s; trying again", sl_reason());
	user->waited = true;
}

/* One that does not answer its first message is not waited for. After that this takes milliseconds,
 * or, with one that stops answering, a second, and it is asked again after as long. Returns 1 when
 * there is a back end. */
static int attach(struct virtio_user *user, uint64_t now_ns)
{
	struct virtio *v;
	int ret = user->via.ops->connect(&user->via);

	user->greeted = ret == -EINPROGRESS;
	if (ret == -EAGAIN)
		say_alone(user);
	if (ret == -EAGAIN || ret == -EINPROGRESS) {
		user->retry_at = now_ns + RETRY_MIN;
		return 0;
	}
	if (!ret)
		ret = start(user);
	if (ret)
		return fail(user);
	v = user->via.v;
	user->why[0] = '\0';
	user->since = now_ns;
	user->seen = v->ops->generation(v);
	user->link_up = user->state.link_up;
	user->attached = true;
	user->generation++;
	sl_log(user->log, SL_LOG_INFO, "virtio-user: driving a NIC of %u pair%s of queues, %s%s%s",
	       user->pairs, user->pairs > 1 ? "s" : "",
	       sl_virtio_has(v, VIRTIO_F_RING_PACKED) ? "packed" : "split",
	       sl_virtio_has(v, VIRTIO_F_IN_ORDER) ? ", in order" : "",
	       sl_virtio_has(v, VIRTIO_NET_F_MRG_RXBUF) ? ", mergeable buffers" : "");
	return 1;
}

static int look(struct virtio_user *user)
{
	struct virtio *v = user->via.v;
	struct virtio_net_state state = user->state;
	int ret = user->via.ops->step(&user->via);
	uint32_t generation = v->ops->generation(v);

	if (ret && ret != -EAGAIN)
		return ret;
	if (generation != user->seen && sl_virtio_net_state(v, &state))
		return -ENODEV;
	user->seen = generation;
	user->state.link_up = state.link_up;
	state.link_up &= !ret; /* nobody serves it: nothing would be sent */
	if (state.link_up == user->link_up)
		return 0;
	sl_log(user->log, SL_LOG_INFO, "virtio-user: the link is %s",
	       state.link_up ? "up" : "down: what is sent is dropped");
	sl_store_relaxed(&user->link_up, state.link_up);
	return 0;
}

int sl_virtio_user_step(struct virtio_user *user, uint64_t now_ns)
{
	if (user->attached)
		return look(user);
	if (now_ns >= user->retry_at || user->greeted)
		return attach(user, now_ns);
	user->via.ops->step(&user->via); /* what it says meanwhile must not keep us awake */
	return 0;
}
