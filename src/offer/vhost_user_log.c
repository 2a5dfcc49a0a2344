/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of what was written ("Migration"): a bit for each page of 4096 bytes of guest physical
 * memory, in memory of the front end's. It says where the log is with VHOST_USER_SET_LOG_BASE, and
 * turns it on and off by the feature VHOST_F_LOG_ALL.
 */
#include <linux/vhost_types.h>

#include "base/fd.h"
#include "offer/vhost_user.h"

#define LOG_PAGE 4096u

void sl_vhost_user_log_update(struct vhost_user *t)
{
	sl_offer_log_dirty(t->transport.offer, t->log.map && vhost_user_has(t, VHOST_F_LOG_ALL));
}

int sl_vhost_user_set_log_base(struct vhost_user *t, struct vhost_user_msg *msg)
{
	const struct vhost_user_log *is = &msg->payload.log;
	struct file_map map;
	int ret = sl_file_map(msg->fds[0], is->mmap_offset, is->mmap_size,
			      FILE_MAP_WRITE | FILE_MAP_KEEP, &map);

	if (ret)
		return ret;
	sl_file_unmap(&t->log);
	t->log = map;
	t->log_len = is->mmap_size;
	sl_vhost_user_log_update(t);
	sl_vhost_user_drop(msg);
	msg->size = 0; /* what the text does not say, and QEMU expects */
	return sl_vhost_user_reply(t, msg);
}

int sl_vhost_user_set_log_fd(struct vhost_user *t, struct vhost_user_msg *msg)
{
	return sl_vhost_user_take_event(msg, &t->log_call);
}

void sl_vhost_user_log_clear(struct vhost_user *t)
{
	sl_offer_log_dirty(t->transport.offer, false);
	sl_file_unmap(&t->log);
	t->log_len = 0;
	sl_fd_close(&t->log_call);
}

/* Other threads mark at the same time, and the front end takes bits away: a page that is marked is
 * read by it later than what was written before. */
static void mark(const struct vhost_user *t, uint64_t from, uint64_t to)
{
	uint8_t *log = t->log.base;

	for (uint64_t page = from / LOG_PAGE; page <= to / LOG_PAGE && page / 8 < t->log_len;
	     page++)
		__atomic_fetch_or(&log[page / 8], (uint8_t)(1u << page % 8), __ATOMIC_SEQ_CST);
}

void sl_vhost_user_dirty(struct transport *transport, const void *at, size_t len)
{
	struct vhost_user *t = sl_container_of(transport, struct vhost_user, transport);

	for (unsigned i = 0; i < t->n_slots && len; i++) {
		const struct vhost_user_slot *slot = &t->slots[i];
		uint64_t offset = (uintptr_t)at - (uintptr_t)slot->map.base;

		if (offset >= slot->len)
			continue;
		mark(t, slot->guest + offset,
		     slot->guest + offset + sl_min((uint64_t)len, slot->len - offset) - 1);
		sl_vhost_user_signal(t, t->log_call);
		return;
	}
}
