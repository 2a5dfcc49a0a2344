/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vhost-user back end: a front end (QEMU, DPDK's virtio-user) drives an offer over a UNIX
 * socket. vhost_user.c has the connection, vhost_user_message.c what each message does,
 * vhost_user_ring.c the rings, vhost_user_memory.c the front end's memory and the in-flight log,
 * vhost_user_log.c the log of what was written, for live migration; vhost_user_state.c where a
 * NIC's rings stand.
 */
#ifndef SL_OFFER_VHOST_USER_H
#define SL_OFFER_VHOST_USER_H

#include <sys/types.h>

#include "base/bytes.h"
#include "base/notify.h"
#include "offer/file_map.h"
#include "offer/offer.h"
#include "wire/vhost_user.h"

/* An index is 8 bits in VHOST_USER_SET_VRING_KICK and its like. */
#define VHOST_USER_RINGS_MAX 256u

/** struct vhost_user_slot - memory of the front end's: where the driver and where it itself sees
 * it, and of which file it is */
struct vhost_user_slot {
	uint64_t guest, user, len;
	uint64_t dev, ino;
	struct file_map map;
};

/**
 * struct vhost_user_ring - a ring as the front end has described it
 * @size:    entries; 0: not told yet
 * @base:    where to begin, as VHOST_USER_SET_VRING_BASE and _GET_VRING_BASE put it
 * @kicked:  there was a VHOST_USER_SET_VRING_KICK: it runs as soon as all is there
 * @has_addr: there was a VHOST_USER_SET_VRING_ADDR
 * @kick, @call, @err: eventfds, -1 for none
 */
struct vhost_user_ring {
	uint16_t size;
	uint32_t base;
	struct vhost_user_vring_addr addr;
	bool has_addr, kicked, enabled;
	int kick, call, err;
};

/**
 * struct vhost_user - the transport
 * @path:      where to listen or connect; unused for fd=N
 * @bound:     the socket's inode, which is removed at the end; 0 when it is not ours
 * @listener:  fd -1: there is none, we connect
 * @adopted:   the connection came as fd=N: there is no other after it
 * @retry_ns:  when to connect or accept again, 0 for at once; @wait_ns: and the time after that
 * @waited:    it was logged that there is nobody to connect to
 * @turned_away: front ends that came while another one was there; @refused: messages of this one
 * @socket:    the connection, fd -1: none; @next: one that came before it was known to be gone
 * @busy:      @msg waits for requests in flight; nothing more is read
 * @leaving:   the connection ends; @ending: and the offer
 * @started:   there was a VHOST_USER_SET_FEATURES
 * @backend:   the socket of VHOST_USER_SET_BACKEND_REQ_FD, or -1
 * @inflight:  the in-flight log's mapping, and what it is said to be for; map NULL: none
 * @log:       where pages are marked that were written, map NULL: there is no such log; @log_len
 * bytes
 * @log_call:  and whom to tell of it
 * @notify:    how to tell
 * @state:     PATH.rings, map NULL: there is none; @state_fd locks it
 * @config:    room for all of the model's configuration space, and for what is read behind it
 */
struct vhost_user {
	struct transport transport;
	bool packed;
	char path[108];
	ino_t bound;
	struct sl_watch listener;
	bool adopted;
	uint64_t retry_ns, wait_ns;
	bool waited;
	unsigned turned_away, refused;
	struct sl_watch socket;
	int next;
	struct vhost_user_reader reader;
	struct vhost_user_msg msg;
	bool busy, leaving, ending;
	bool started;
	uint64_t features, protocol_features;
	uint8_t status;
	int backend;
	struct vhost_user_slot slots[VHOST_USER_MEM_SLOTS];
	unsigned n_slots;
	struct file_map inflight;
	struct vhost_user_inflight inflight_is;
	struct file_map log;
	uint64_t log_len;
	int log_call;
	struct sl_notify notify;
	struct file_map state;
	int state_fd;
	uint8_t *config;
	size_t config_room;
	unsigned n_rings;
	struct vhost_user_ring rings[];
};

/* Of what somebody hostile can have us say as often as it likes, so much is said of each
 * connection. */
#define VHOST_USER_COMPLAINTS 10u

static inline bool vhost_user_has(const struct vhost_user *t, unsigned feature)
{
	return t->features >> feature & 1;
}

/* vhost_user_socket.c */

/** sl_vhost_user_listen() - at @t->path. Return: as sl_unix_listen() */
int sl_vhost_user_listen(struct vhost_user *t);

/** sl_vhost_user_adopt() - take over an open descriptor, which stays the caller's on failure */
int sl_vhost_user_adopt(struct vhost_user *t, int fd);

/** sl_vhost_user_unlink() - remove the socket from the file system, if it is still ours */
void sl_vhost_user_unlink(const struct vhost_user *t);

/* vhost_user_message.c */

/**
 * sl_vhost_user_handle() - do what @t->msg says, and answer
 *
 * Return: 0; -EAGAIN when requests in flight are in the way: call it again at the next step; else
 * the connection has to be closed, for that reason.
 */
int sl_vhost_user_handle(struct vhost_user *t);

/** sl_vhost_user_reply() - answer with what is in @msg. Never waits */
int sl_vhost_user_reply(struct vhost_user *t, struct vhost_user_msg *msg);

/* vhost_user_ring.c: -EAGAIN as above */

/** sl_vhost_user_ring_start() - if all that it needs is there; nothing to do is 0. Return: -EFAULT
 * when it does not lie in the memory that there is; or what sl_offer_queue_start() says */
int sl_vhost_user_ring_start(struct vhost_user *t, unsigned n);

/** sl_vhost_user_signal() - tell the front end. Never waits. Return: false when there is no way to
 */
bool sl_vhost_user_signal(struct vhost_user *t, int event);

/** sl_vhost_user_take_event() - the message's eventfd, or none, in place of what there was */
int sl_vhost_user_take_event(struct vhost_user_msg *msg, int *event);

/** sl_vhost_user_ring_stop() - if it runs; it can go on where it stood */
int sl_vhost_user_ring_stop(struct vhost_user *t, unsigned n);

int sl_vhost_user_rings_stop(struct vhost_user *t);

/** sl_vhost_user_rings_start() - all that can run; why others do not is logged */
void sl_vhost_user_rings_start(struct vhost_user *t);

/** sl_vhost_user_ring_enable() - now, and while it does not run */
void sl_vhost_user_ring_enable(struct vhost_user *t, unsigned n, bool on);

/** sl_vhost_user_ring_reset() - of one that does not run: as if nothing had been said of it, but
 * whom to tell of what */
void sl_vhost_user_ring_reset(struct vhost_user *t, unsigned n);

/* The messages of rings. */
int sl_vhost_user_set_vring_num(struct vhost_user *t, struct vhost_user_msg *msg);
int sl_vhost_user_set_vring_addr(struct vhost_user *t, struct vhost_user_msg *msg);
int sl_vhost_user_set_vring_base(struct vhost_user *t, struct vhost_user_msg *msg);
int sl_vhost_user_set_vring_kick(struct vhost_user *t, struct vhost_user_msg *msg);
int sl_vhost_user_set_vring_call(struct vhost_user *t, struct vhost_user_msg *msg);
int sl_vhost_user_set_vring_err(struct vhost_user *t, struct vhost_user_msg *msg);
int sl_vhost_user_set_vring_enable(struct vhost_user *t, struct vhost_user_msg *msg);
int sl_vhost_user_get_vring_base(struct vhost_user *t, struct vhost_user_msg *msg);

/* vhost_user_log.c */

/** sl_vhost_user_dirty() - bytes of the front end's memory were written. Any thread, while none of
 * the following runs */
void sl_vhost_user_dirty(struct transport *transport, const void *at, size_t len);

/** sl_vhost_user_log_update() - after features have changed: is there somebody to mark pages for?
 */
void sl_vhost_user_log_update(struct vhost_user *t);

/** sl_vhost_user_log_clear() - as if it had not been heard of */
void sl_vhost_user_log_clear(struct vhost_user *t);

int sl_vhost_user_set_log_base(struct vhost_user *t, struct vhost_user_msg *msg);
int sl_vhost_user_set_log_fd(struct vhost_user *t, struct vhost_user_msg *msg);

/* vhost_user_state.c */

/** sl_vhost_user_state_open() - as a process before has left it; why there is none is logged */
void sl_vhost_user_state_open(struct vhost_user *t);

/** sl_vhost_user_state_of() - a ring's SL_NET_LOG_LEN bytes; NULL when there are none */
void *sl_vhost_user_state_of(const struct vhost_user *t, unsigned n);

/** sl_vhost_user_state_close() - nobody will ask for it */
void sl_vhost_user_state_close(struct vhost_user *t);

/* vhost_user_memory.c */

/** sl_vhost_user_memory_add() - one slot more, of a descriptor that stays the caller's. No ring has
 * to stop for it */
int sl_vhost_user_memory_add(struct vhost_user *t, const struct vhost_user_memory_region *r,
			     int fd);

/** sl_vhost_user_memory_remove() - one slot less. No ring runs. Return: -ENOENT */
int sl_vhost_user_memory_remove(struct vhost_user *t, const struct vhost_user_memory_region *r);

/** sl_vhost_user_memory_clear() - none left. No ring runs */
void sl_vhost_user_memory_clear(struct vhost_user *t);

/** sl_vhost_user_memory_find() - where @len bytes at an address of the front end's are; NULL */
void *sl_vhost_user_memory_find(const struct vhost_user *t, uint64_t user, size_t len);

/** sl_vhost_user_inflight_make() - a new log. Return: a descriptor, the caller's; @is is filled in
 */
int sl_vhost_user_inflight_make(const struct vhost_user *t, struct vhost_user_inflight *is);

/** sl_vhost_user_inflight_set() - what follows is logged there; the descriptor stays the caller's
 */
int sl_vhost_user_inflight_set(struct vhost_user *t, const struct vhost_user_inflight *is, int fd);

/** sl_vhost_user_inflight_of() - a ring's part of it; NULL when it has none */
void *sl_vhost_user_inflight_of(const struct vhost_user *t, unsigned n);

#endif
