/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The in-flight log: DIR/NAME.log, which outlives this process as long as the kernel's device does.
 * A head, then each queue's log (virtq/inflight.h).
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/barrier.h"
#include "base/bytes.h"
#include "base/fd.h"
#include "base/reason.h"
#include "offer/vduse.h"
#include "virtq/inflight.h"

#define LOG_MAGIC 0x31474f4c45535544ull /* "DUSELOG1" */
#define LOG_HEAD  64
#define LOG_RUNS  56 /* in the head: a bit for each queue that runs */

struct log_head {
	uint64_t magic, features;
	uint32_t device_id, queues, queue_size, config_len;
};

static struct log_head head_of(const struct vduse *v)
{
	return (struct log_head){LOG_MAGIC,	 v->features,	     v->info.device_id,
				 v->info.queues, v->info.queue_size, v->info.config_len};
}

int sl_vduse_log_dir(struct vduse *v, const char *path)
{
	if (mkdir(path, 0700) && errno != EEXIST)
		return sl_fail(errno, "no folder %s for the in-flight log: %m", path);
	v->log.dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return v->log.dir < 0 ? sl_fail(errno, "cannot open the folder %s: %m", path) : 0;
}

/* Somebody else's file could be a trap: it says where our process writes. */
static int open_file(struct vduse *v, struct stat *st)
{
	int fd = openat(v->log.dir, v->log.file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int ret = 0;

	if (fd < 0)
		return sl_fail(errno, "cannot open the in-flight log %s: %m", v->log.file);
	if (fstat(fd, st))
		ret = sl_fail(errno, "the in-flight log %s: %m", v->log.file);
	else if (!S_ISREG(st->st_mode) || st->st_uid != geteuid() || st->st_mode & 077)
		ret = sl_fail(EPERM, "the in-flight log %s is not a file of ours alone",
			      v->log.file);
	if (ret)
		sl_fd_close(&fd);
	return ret ? ret : fd;
}

static int map(struct vduse *v, int fd, bool fresh)
{
	struct vduse_log *log = &v->log;
	struct log_head head = head_of(v);
	int err;

	if (fresh && ftruncate(fd, 0))
		return sl_fail(errno, "the in-flight log %s: %m", log->file);
	/* Whole, now: a write that finds no room later would be the end of the process. */
	err = posix_fallocate(fd, 0, (off_t)log->len);
	if (err)
		return sl_fail(err, "no room for %zu bytes of in-flight log", log->len);
	log->map = mmap(NULL, log->len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (log->map == MAP_FAILED) {
		log->map = NULL;
		return sl_fail(errno, "the in-flight log %s cannot be mapped: %m", log->file);
	}
	/* Without a head a process was killed before it had a device. */
	if (fresh || !((const struct log_head *)(const void *)log->map)->magic)
		memcpy(log->map, &head, sizeof(head));
	else if (memcmp(log->map, &head, sizeof(head)))
		return sl_fail(EEXIST,
			       "there is a device %s already, with other queues or features: %s",
			       v->name, v->anew);
	return 0;
}

int sl_vduse_log_open(struct vduse *v, bool fresh)
{
	size_t split = sl_virtq_inflight_len(v->info.queue_size, false),
	       packed = sl_virtq_inflight_len(v->info.queue_size, true);
	struct vduse_log *log = &v->log;
	struct stat st;
	int fd, ret;

	snprintf(log->file, sizeof(log->file), "%s.log", v->name);
	log->stride = sl_max(split, packed);
	log->len = LOG_HEAD + log->stride * v->info.queues;
	fd = open_file(v, &st);
	if (fd < 0)
		return fd;
	log->found = !fresh && st.st_size == (off_t)log->len;
	ret = map(v, fd, !log->found);
	sl_fd_close(&fd);
	return ret;
}

void *sl_vduse_log_queue(struct vduse *v, uint16_t queue)
{
	return v->log.map + LOG_HEAD + v->log.stride * queue;
}

uint64_t sl_vduse_log_runs(struct vduse *v)
{
	return *(uint64_t *)(void *)(v->log.map + LOG_RUNS);
}

void sl_vduse_log_set_runs(struct vduse *v, uint64_t queues)
{
	/* After the queues' own logs are what they should be. */
	sl_store_release((uint64_t *)(void *)(v->log.map + LOG_RUNS), queues);
}

void sl_vduse_log_close(struct vduse *v, bool remove)
{
	if (v->log.map)
		munmap(v->log.map, v->log.len);
	v->log.map = NULL;
	if (remove && v->log.dir >= 0)
		unlinkat(v->log.dir, v->log.file, 0);
}
