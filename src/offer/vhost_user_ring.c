/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings ("Ring states"): stopped until there is a VHOST_USER_SET_VRING_KICK, and again after
 * VHOST_USER_GET_VRING_BASE. What comes while one runs and cannot be changed under it stops it for
 * a moment: its requests come to an end, and it goes on where it stood.
 */
#include <fcntl.h>
#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/reason.h"
#include "offer/vhost_user.h"
#include "virtq/split.h"

/* VHOST_USER_SET_VRING_BASE of a packed ring: places and wrap counters of avail in the lower half,
 * of used in the upper one. DPDK's virtio-user leaves the upper half at 0, for "the same": with an
 * avail wrap counter of 1 it cannot mean anything else, since avail would be a whole ring ahead. */
static struct virtq_ring_state state_of(uint32_t base, bool packed)
{
	uint32_t used = base >> 16;

	if (!packed)
		return (struct virtq_ring_state){.avail = (uint16_t)base, .used = (uint16_t)base};
	if (!used && base & 0x8000)
		used = base;
	return (struct virtq_ring_state){.avail = base & 0x7fff,
					 .avail_wrap = base >> 15 & 1,
					 .used = used & 0x7fff,
					 .used_wrap = used >> 15 & 1};
}

static uint32_t base_of(struct virtq_ring_state state, bool packed)
{
	uint32_t avail = state.avail | (uint32_t)state.avail_wrap << 15,
		 used = state.used | (uint32_t)state.used_wrap << 15;

	return packed ? avail | used << 16 : state.avail;
}

static int find_areas(const struct vhost_user *t, const struct vhost_user_ring *ring, bool packed,
		      struct virtq_setup *setup)
{
	const struct vhost_user_vring_addr *addr = &ring->addr;

	setup->desc = sl_vhost_user_memory_find(
		t, addr->desc_user_addr, sl_virtq_area_len(VIRTQ_AREA_DESC, ring->size, packed));
	setup->driver = sl_vhost_user_memory_find(
		t, addr->avail_user_addr, sl_virtq_area_len(VIRTQ_AREA_DRIVER, ring->size, packed));
	setup->device = sl_vhost_user_memory_find(
		t, addr->used_user_addr, sl_virtq_area_len(VIRTQ_AREA_DEVICE, ring->size, packed));
	if (!setup->desc || !setup->driver || !setup->device)
		return sl_fail(EFAULT, "ring %u lies in no memory region: 0x%llx, 0x%llx, 0x%llx",
			       addr->index, (unsigned long long)addr->desc_user_addr,
			       (unsigned long long)addr->avail_user_addr,
			       (unsigned long long)addr->used_user_addr);
	return 0;
}

int sl_vhost_user_ring_start(struct vhost_user *t, unsigned n)
{
	struct sl_offer *o = t->transport.offer;
	struct vhost_user_ring *ring = &t->rings[n];
	bool packed = vhost_user_has(t, VIRTIO_F_RING_PACKED);
	struct virtq_setup setup = {.size = ring->size, .state = state_of(ring->base, packed)};
	int ret;

	if (!t->started || !t->n_slots || !ring->size || !ring->has_addr || !ring->kicked ||
	    sl_offer_queue_running(o, (uint16_t)n))
		return 0;
	if (!packed && ring->base > UINT16_MAX)
		return sl_fail(EINVAL, "ring %u begins at 0x%x: a split one has 16 bits", n,
			       ring->base);
	ret = find_areas(t, ring, packed, &setup);
	setup.log =
		sl_offer_is_net(o) ? sl_vhost_user_state_of(t, n) : sl_vhost_user_inflight_of(t, n);
	setup.resume = setup.log;
	if (!ret)
		ret = sl_offer_queue_start(o, (uint16_t)n, &setup, ring->kick);
	if (ret)
		return ret;
	sl_offer_queue_enable(o, (uint16_t)n, ring->enabled);
	sl_offer_set_state(o, SL_OFFER_RUNNING);
	/* A process before may have used buffers, and not come to say so. */
	sl_vhost_user_signal(t, ring->call);
	return 0;
}

bool sl_vhost_user_signal(struct vhost_user *t, int event)
{
	return event >= 0 && !sl_notify(&t->notify, event);
}

void sl_vhost_user_rings_start(struct vhost_user *t)
{
	for (unsigned n = 0; n < t->n_rings; n++)
		if (sl_vhost_user_ring_start(t, n))
			sl_log(sl_offer_log(t->transport.offer), SL_LOG_WARN,
			       "vhost-user: ring %u does not run: %s", n, sl_reason());
}

static bool any_runs(const struct vhost_user *t)
{
	for (unsigned n = 0; n < t->n_rings; n++)
		if (sl_offer_queue_running(t->transport.offer, (uint16_t)n))
			return true;
	return false;
}

int sl_vhost_user_ring_stop(struct vhost_user *t, unsigned n)
{
	struct sl_offer *o = t->transport.offer;
	struct virtq_ring_state state;

	if (!sl_offer_queue_running(o, (uint16_t)n))
		return 0;
	if (sl_offer_queue_stop(o, (uint16_t)n, &state))
		return -EAGAIN;
	t->rings[n].base = base_of(state, vhost_user_has(t, VIRTIO_F_RING_PACKED));
	if (!any_runs(t))
		sl_offer_set_state(o, SL_OFFER_SET_UP);
	return 0;
}

int sl_vhost_user_rings_stop(struct vhost_user *t)
{
	int ret = 0;

	for (unsigned n = 0; n < t->n_rings; n++)
		if (sl_vhost_user_ring_stop(t, n))
			ret = -EAGAIN;
	return ret;
}

void sl_vhost_user_ring_enable(struct vhost_user *t, unsigned n, bool on)
{
	t->rings[n].enabled = on;
	sl_offer_queue_enable(t->transport.offer, (uint16_t)n, on);
}

void sl_vhost_user_ring_reset(struct vhost_user *t, unsigned n)
{
	struct vhost_user_ring *ring = &t->rings[n];

	sl_fd_close(&ring->kick);
	*ring = (struct vhost_user_ring){.kick = -1, .call = ring->call, .err = ring->err};
	sl_vhost_user_ring_enable(t, n, false);
}

/*
 * Messages.
 */

/* NULL with a reason when there is none such. */
static struct vhost_user_ring *ring_of(struct vhost_user *t, const struct vhost_user_msg *msg,
				       uint32_t index)
{
	if (index < t->n_rings)
		return &t->rings[index];
	sl_fail(EINVAL, "%s of ring %u of a device with %u", sl_vhost_user_name(msg->request),
		index, t->n_rings);
	return NULL;
}

int sl_vhost_user_set_vring_num(struct vhost_user *t, struct vhost_user_msg *msg)
{
	const struct vhost_user_vring_state *state = &msg->payload.state;
	struct vhost_user_ring *ring = ring_of(t, msg, state->index);
	int ret;

	if (!ring)
		return -EINVAL;
	if (!state->num || state->num > VIRTQ_SIZE_MAX)
		return sl_fail(EINVAL, "ring %u with %u entries", state->index, state->num);
	ret = sl_vhost_user_ring_stop(t, state->index);
	if (ret)
		return ret;
	ring->size = (uint16_t)state->num;
	return sl_vhost_user_ring_start(t, state->index);
}

/* A used ring is marked in the log of what was written where the memory table has it, which is what
 * log_guest_addr says too. So it has one as soon as there is a log. */
static bool only_log_differs(const struct vhost_user_vring_addr *a,
			     const struct vhost_user_vring_addr *b)
{
	return a->desc_user_addr == b->desc_user_addr && a->used_user_addr == b->used_user_addr &&
	       a->avail_user_addr == b->avail_user_addr;
}

/* "The back-end must support changing some configuration aspects on the fly." */
int sl_vhost_user_set_vring_addr(struct vhost_user *t, struct vhost_user_msg *msg)
{
	const struct vhost_user_vring_addr *addr = &msg->payload.addr;
	struct vhost_user_ring *ring = ring_of(t, msg, addr->index);
	int ret;

	if (!ring)
		return -EINVAL;
	if (addr->flags & ~(sl_offer_is_net(t->transport.offer) ? 1u << VHOST_VRING_F_LOG : 0))
		return sl_fail(EINVAL, "ring %u with flags 0x%x", addr->index, addr->flags);
	if (sl_offer_queue_running(t->transport.offer, (uint16_t)addr->index) &&
	    only_log_differs(addr, &ring->addr))
		return 0;
	ret = sl_vhost_user_ring_stop(t, addr->index);
	if (ret)
		return ret;
	ring->addr = *addr;
	ring->has_addr = true;
	return sl_vhost_user_ring_start(t, addr->index);
}

int sl_vhost_user_set_vring_base(struct vhost_user *t, struct vhost_user_msg *msg)
{
	const struct vhost_user_vring_state *state = &msg->payload.state;
	struct vhost_user_ring *ring = ring_of(t, msg, state->index);

	if (!ring)
		return -EINVAL;
	if (sl_offer_queue_running(t->transport.offer, (uint16_t)state->index))
		return sl_fail(EBUSY, "%s of ring %u, which runs", sl_vhost_user_name(msg->request),
			       state->index);
	ring->base = state->num;
	return 0;
}

/* Stops this ring, and nothing else; until the next VHOST_USER_SET_VRING_KICK. */
int sl_vhost_user_get_vring_base(struct vhost_user *t, struct vhost_user_msg *msg)
{
	struct vhost_user_vring_state *state = &msg->payload.state;
	struct vhost_user_ring *ring = ring_of(t, msg, state->index);
	int ret = ring ? sl_vhost_user_ring_stop(t, state->index) : -EINVAL;

	if (ret)
		return ret;
	sl_fd_close(&ring->kick);
	ring->kicked = false;
	state->num = ring->base;
	return sl_vhost_user_reply(t, msg);
}

/* An eventfd has no type of file; writing to a pipe or a socket could end this process by SIGPIPE.
 */
static int check_event(const struct vhost_user_msg *msg)
{
	struct stat st;

	if (msg->n_fds && (fstat(msg->fds[0], &st) || st.st_mode & S_IFMT))
		return sl_fail(EINVAL, "%s with what is no eventfd",
			       sl_vhost_user_name(msg->request));
	return 0;
}

/* Whether epoll can tell of it. */
static int check_kick(struct vhost_user *t, const struct vhost_user_msg *msg)
{
	int epoll = sl_worker_fd(sl_offer_worker(t->transport.offer)), ret = check_event(msg);
	struct epoll_event e = {.events = 0};

	if (ret || !msg->n_fds)
		return ret;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, msg->fds[0], &e))
		return sl_fail(EINVAL, "a kick that nobody can wait for: %m");
	epoll_ctl(epoll, EPOLL_CTL_DEL, msg->fds[0], NULL);
	return 0;
}

/* It neither enables the ring nor disables it. */
int sl_vhost_user_set_vring_kick(struct vhost_user *t, struct vhost_user_msg *msg)
{
	uint32_t index = msg->payload.u64 & VHOST_USER_VRING_IDX_MASK;
	struct vhost_user_ring *ring = ring_of(t, msg, index);
	int old, ret = ring ? check_kick(t, msg) : -EINVAL;

	if (ret)
		return ret;
	old = ring->kick;
	ring->kick = sl_vhost_user_take_fd(msg, 0);
	ring->kicked = true;
	if (sl_offer_queue_running(t->transport.offer, (uint16_t)index))
		sl_offer_queue_kick(t->transport.offer, (uint16_t)index, ring->kick);
	sl_fd_close(&old);
	return sl_vhost_user_ring_start(t, index);
}

int sl_vhost_user_take_event(struct vhost_user_msg *msg, int *event)
{
	int ret = check_event(msg);

	if (ret)
		return ret;
	sl_fd_close(event);
	*event = sl_vhost_user_take_fd(msg, 0);
	return 0;
}

int sl_vhost_user_set_vring_call(struct vhost_user *t, struct vhost_user_msg *msg)
{
	uint32_t index = msg->payload.u64 & VHOST_USER_VRING_IDX_MASK;
	struct vhost_user_ring *ring = ring_of(t, msg, index);
	int ret = ring ? sl_vhost_user_take_event(msg, &ring->call) : -EINVAL;

	/* What the old one was told may not have reached the driver any more. */
	if (!ret && sl_offer_queue_running(t->transport.offer, (uint16_t)index))
		sl_vhost_user_signal(t, ring->call);
	return ret;
}

int sl_vhost_user_set_vring_err(struct vhost_user *t, struct vhost_user_msg *msg)
{
	uint32_t index = msg->payload.u64 & VHOST_USER_VRING_IDX_MASK;
	struct vhost_user_ring *ring = ring_of(t, msg, index);

	return ring ? sl_vhost_user_take_event(msg, &ring->err) : -EINVAL;
}

int sl_vhost_user_set_vring_enable(struct vhost_user *t, struct vhost_user_msg *msg)
{
	const struct vhost_user_vring_state *state = &msg->payload.state;

	if (!ring_of(t, msg, state->index))
		return -EINVAL;
	if (state->num > 1)
		return sl_fail(EINVAL, "ring %u: enabled is 0 or 1, not %u", state->index,
			       state->num);
	sl_vhost_user_ring_enable(t, state->index, state->num);
	return 0;
}
