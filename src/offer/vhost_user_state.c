/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a NIC's packed rings stand, for the process that comes after one that was killed: a front
 * end cannot know it, and VHOST_USER_GET_INFLIGHT_FD is for disks. It lies in a file beside the
 * socket, PATH.rings, which goes when the back end ends and no driver stays: of each ring whose it
 * is, then of each what src/offer/net_log.c keeps.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/reason.h"
#include "offer/vhost_user.h"

/** struct state_owner - whose a ring is: a front end that is started again has other memory */
struct state_owner {
	uint64_t dev, ino, desc;
};

static void path_of(const struct vhost_user *t, char *path, size_t len)
{
	snprintf(path, len, "%s.rings", t->path);
}

/* Where anybody may write, somebody may have been there before. One of another length is of another
 * device. */
static int check(int fd, off_t len)
{
	struct stat st;

	if (fstat(fd, &st))
		return sl_fail(errno, "%m");
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_uid != geteuid())
		return sl_fail(EPERM, "it is not a file of ours");
	if (flock(fd, LOCK_EX | LOCK_NB))
		return sl_fail(EBUSY, "another process has it");
	if (st.st_size != len && (ftruncate(fd, 0) || ftruncate(fd, len)))
		return sl_fail(errno, "%m");
	return 0;
}

static int open_file(struct vhost_user *t, const char *path)
{
	size_t len = (size_t)t->n_rings * (SL_NET_LOG_LEN + sizeof(struct state_owner));
	int ret;

	t->state_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (t->state_fd < 0)
		return sl_fail(errno, "%m");
	ret = check(t->state_fd, (off_t)len);
	if (!ret)
		ret = sl_file_map(t->state_fd, 0, len, FILE_MAP_WRITE | FILE_MAP_KEEP, &t->state);
	if (ret)
		sl_fd_close(&t->state_fd);
	return ret;
}

void sl_vhost_user_state_open(struct vhost_user *t)
{
	char path[sizeof(t->path) + 8];

	if (!sl_offer_is_net(t->transport.offer) || !t->packed || !*t->path)
		return;
	path_of(t, path, sizeof(path));
	if (open_file(t, path))
		sl_log(sl_offer_log(t->transport.offer), SL_LOG_WARN,
		       "vhost-user: %s: %s: packed rings will not go on after a crash", path,
		       sl_reason());
}

static struct state_owner *owner_of(const struct vhost_user *t, unsigned n)
{
	return (struct state_owner *)t->state.base + n;
}

static uint8_t *log_of(const struct vhost_user *t, unsigned n)
{
	return (uint8_t *)owner_of(t, t->n_rings) + (size_t)n * SL_NET_LOG_LEN;
}

void *sl_vhost_user_state_of(const struct vhost_user *t, unsigned n)
{
	struct state_owner now = {.desc = t->rings[n].addr.desc_user_addr};

	if (!t->state.map)
		return NULL;
	for (unsigned i = 0; i < t->n_slots; i++)
		if (now.desc - t->slots[i].user < t->slots[i].len) {
			now.dev = t->slots[i].dev;
			now.ino = t->slots[i].ino;
		}
	if (memcmp(owner_of(t, n), &now, sizeof(now))) {
		memset(log_of(t, n), 0, SL_NET_LOG_LEN);
		*owner_of(t, n) = now;
	}
	return log_of(t, n);
}

/* A queue that its driver's side has stopped leaves nothing in it. */
static bool nothing_in(const struct vhost_user *t)
{
	uint64_t word;

	for (unsigned n = 0; n < t->n_rings; n++) {
		memcpy(&word, log_of(t, n), sizeof(word));
		if (word)
			return false;
	}
	return true;
}

void sl_vhost_user_state_close(struct vhost_user *t)
{
	char path[sizeof(t->path) + 8];

	if (!t->state.map)
		return;
	path_of(t, path, sizeof(path));
	if (nothing_in(t))
		unlink(path);
	sl_file_unmap(&t->state);
	sl_fd_close(&t->state_fd);
}
