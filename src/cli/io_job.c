/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop of sluice io: take what is done, ask for more, show both to the device at once. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <sluice/reason.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "cli/cli.h"
#include "cli/io.h"

#define CHECK_NS  (5 * SL_NS_PER_MS) /* how often the rest of the world is looked at */
#define STALL_NS  (60 * SL_NS_PER_S) /* with requests in flight, and none coming back */
#define SPINS	  64		     /* looks at the queues for one at the clock */
#define SAYS	  5		     /* of many errors */
#define READ_BACK 4		     /* one of so many requests of a verified write reads */
#define SLEEP_MS  100
#define EVENTS	  16

enum phase {
	RUN,
	DRAIN,	/* nothing new is asked for */
	CHECK,	/* what was written is read back */
	FINISH, /* DRAIN, then END */
	END,
};

/**
 * struct job - one command
 * @next:     block in a sequence; @left: requests to begin
 * @held:     was chosen, and there was no memory to begin it, when @holds
 * @check_ns: when to look at the rest of the world; @stats_ns: when to show something
 * @done_ns:  when a request last came back
 */
struct job {
	struct io_disk *disk;
	const struct io_options *o;
	struct io_verify *verify;
	struct io_show show;
	struct io_stats stats;
	enum phase phase;
	bool interrupted, failed, holds;
	struct io_request held;
	struct io_plan plan;
	uint64_t next, left, random;
	uint64_t start_ns, end_ns, check_ns, stats_ns, done_ns;
	int signals, epoll;
};

static uint64_t random_block(struct job *job)
{
	job->random ^= job->random << 13;
	job->random ^= job->random >> 7;
	job->random ^= job->random << 17;
	return (uint64_t)(((unsigned __int128)job->random * job->plan.blocks) >> 64);
}

static unsigned in_flight(const struct job *job)
{
	unsigned n = 0;

	for (unsigned q = 0; q < job->o->queues; q++)
		n += job->o->depth - job->disk->queues[q].n_free;
	return n;
}

static void fail(struct job *job, const char *what)
{
	io_say(&job->show, "%s", what);
	job->failed = true;
	job->phase = END;
}

/*
 * What comes next.
 */

static bool is_random(const struct job *job)
{
	return job->o->op == IO_RANDREAD || job->o->op == IO_RANDWRITE;
}

/* A request of the last pass: all that is known to be there. */
static bool choose_check(struct job *job, struct io_request *r)
{
	r->type = VIRTIO_BLK_T_IN;
	r->block = io_verify_take(job->verify, job->next, job->plan.blocks - job->next, true);
	job->next = r->block + 1;
	if (r->block == UINT64_MAX)
		job->phase = FINISH;
	return r->block != UINT64_MAX;
}

static bool choose_verified(struct job *job, struct io_request *r)
{
	uint64_t nearby = sl_min(job->plan.blocks, 2ull * job->o->depth * job->o->queues);

	if (r->type != VIRTIO_BLK_T_IN && random_block(job) % READ_BACK == 0) {
		uint64_t block = io_verify_take(job->verify, random_block(job), nearby, true);

		if (block != UINT64_MAX) {
			*r = (struct io_request){.type = VIRTIO_BLK_T_IN, .block = block};
			return true;
		}
	}
	r->block = io_verify_take(job->verify, r->block, nearby, false);
	return r->block != UINT64_MAX;
}

static bool choose(struct job *job, struct io_request *r)
{
	if (job->phase == CHECK)
		return choose_check(job, r);
	if (job->phase == RUN && !job->left)
		job->phase = DRAIN;
	if (job->phase != RUN)
		return false;
	r->type = job->plan.type;
	r->block = is_random(job) ? random_block(job) : job->next;
	if (job->verify && !choose_verified(job, r))
		return false;
	if (r->type == job->plan.type) {
		job->left--;
		job->next = job->next + 1 < job->plan.blocks ? job->next + 1 : 0;
	}
	return true;
}

/*
 * Requests.
 */

/* Return: 0; -ENOSPC when the transport has no memory for it now; another errno: never */
static int begin(struct job *job, struct io_queue *q, const struct io_request *chosen)
{
	uint16_t slot = q->free[q->n_free - 1];
	struct io_request *r = &q->requests[slot];
	size_t at = (size_t)slot * job->o->block;
	struct virtq_elem data[VIRTIO_BLK_PIECES_MAX];
	struct virtio_blk_request req = {
		.type = chosen->type,
		.count = job->o->block / VIRTIO_BLK_SECTOR,
		.sector = (job->o->offset + chosen->block * job->o->block) / VIRTIO_BLK_SECTOR,
		.data = data,
		.buffer = q->data + at,
	};
	int ret;

	*r = *chosen;
	if (r->type == VIRTIO_BLK_T_OUT && job->verify)
		r->generation = io_verify_begin(job->verify, r->block, q->data + at);
	if (r->type == VIRTIO_BLK_T_WRITE_ZEROES)
		r->generation = IO_ZEROES;
	if (r->type == VIRTIO_BLK_T_IN || r->type == VIRTIO_BLK_T_OUT) {
		uint32_t max = job->disk->state.piece_max, left = job->o->block;

		for (; left; left -= data[req.n++].len)
			data[req.n] = (struct virtq_elem){
				{q->data_iova.value + at + (job->o->block - left)},
				sl_min(left, max)};
	}
	ret = sl_virtio_blk_add(&q->blk, slot, &req); /* the queue has room: see fill() */
	q->n_free -= !ret;
	return ret;
}

static bool choose_or_held(struct job *job, struct io_request *r)
{
	if (!job->holds)
		return choose(job, r);
	*r = job->held;
	job->holds = false;
	return true;
}

/* It comes next, when another has come to an end. */
static void hold(struct job *job, const struct io_request *r, int err)
{
	job->held = *r;
	job->holds = true;
	if (err != -ENOSPC)
		fail(job, sl_reason());
	else if (!in_flight(job))
		fail(job, "a request does not fit in what the device sees");
}

static void fill(struct job *job, struct io_queue *q, uint64_t now)
{
	struct io_request r;

	while (q->n_free && q->blk.vq.n_free >= job->plan.entries) {
		int ret;

		r = (struct io_request){.started = now};
		if (!choose_or_held(job, &r))
			break;
		r.started = now;
		ret = begin(job, q, &r);
		if (ret) {
			hold(job, &r, ret);
			break;
		}
	}
	job->stats.kicks += sl_virtio_blk_publish(&q->blk);
}

static void verify(struct job *job, const struct io_request *r, const uint8_t *data, bool ok)
{
	int ret = 0;

	if (r->type != VIRTIO_BLK_T_IN) {
		io_verify_written(job->verify, r->block, ok ? r->generation : 0);
	} else if (ok) {
		ret = io_verify_check(job->verify, r->block, data);
		job->stats.checked += !ret;
		job->stats.foreign += ret > 0;
	}
	io_verify_done(job->verify, r->block);
	if (ret < 0 && job->stats.mismatches++ < SAYS)
		io_say(&job->show, "%s", sl_reason());
}

static void refuse(struct job *job, const struct io_request *r, uint8_t status)
{
	static const char *const names[] = {"", "VIRTIO_BLK_S_IOERR", "VIRTIO_BLK_S_UNSUPP"};

	if (job->stats.errors++ < SAYS)
		io_say(&job->show, "the request of type %u at %llu ends with %s (%u)", r->type,
		       (unsigned long long)(job->o->offset + r->block * job->o->block),
		       status < sl_array_len(names) ? names[status] : "no status of virtio",
		       status);
}

static void finish(struct job *job, struct io_queue *q, uint16_t slot, uint8_t status, uint64_t now)
{
	const struct io_request *r = &q->requests[slot];
	bool ok = status == VIRTIO_BLK_S_OK;

	if (job->phase <= DRAIN) {
		job->stats.requests++;
		job->stats.bytes += r->type == VIRTIO_BLK_T_FLUSH ? 0 : job->o->block;
		io_latency_add(&job->stats.latency, now - r->started);
	}
	if (!ok)
		refuse(job, r, status);
	if (job->verify)
		verify(job, r, q->data + (size_t)slot * job->o->block, ok);
	q->free[q->n_free++] = slot;
}

static unsigned reap(struct job *job, struct io_queue *q, uint64_t now)
{
	unsigned n = 0;
	uint8_t status;
	int slot = 0;

	while (n < job->o->depth && (slot = sl_virtio_blk_get(&q->blk, &status)) >= 0) {
		finish(job, q, (uint16_t)slot, status, now);
		n++;
	}
	if (slot == -EPROTO)
		fail(job, q->blk.vq.broken);
	if (n)
		job->done_ns = now;
	return n;
}

/*
 * The rest of the world.
 */

static void recover(struct job *job)
{
	uint64_t gone = sl_now_ns(), until = gone + (uint64_t)(job->o->reconnect * SL_NS_PER_S);
	unsigned lost = in_flight(job);

	if (job->o->reconnect <= 0) {
		fail(job, sl_reason());
		return;
	}
	io_say(&job->show, "%s", sl_reason());
	if (io_disk_attach(job->disk, until, job->signals)) {
		fail(job, sl_reason());
		return;
	}
	job->stats.reconnects++;
	job->stats.resumed += lost;
	job->done_ns = sl_now_ns();
	io_say(&job->show, "connected again after %.3f s, with %u requests in flight",
	       (double)(job->done_ns - gone) / SL_NS_PER_S, lost);
}

/* The first lets what is in flight come to an end, the second does not. */
static void take_signal(struct job *job)
{
	struct pollfd fd = {.fd = job->signals, .events = POLLIN};
	struct signalfd_siginfo info;

	if (poll(&fd, 1, 0) <= 0 || read(job->signals, &info, sizeof(info)) != sizeof(info))
		return;
	job->phase = job->interrupted ? END : DRAIN;
	job->interrupted = true;
}

static void check(struct job *job, uint64_t now)
{
	job->check_ns = now + CHECK_NS;
	take_signal(job);
	if (io_disk_step(job->disk))
		recover(job);
	if (job->phase == RUN && now >= job->end_ns)
		job->phase = DRAIN;
	if (job->phase <= DRAIN)
		job->stats.ns = now - job->start_ns;
	if (job->phase != END && in_flight(job) && now - sl_min(now, job->done_ns) > STALL_NS)
		fail(job, "the device has not finished a request for a minute");
	if (job->phase <= DRAIN && now >= job->stats_ns) {
		io_show_interval(&job->show, &job->stats);
		job->stats_ns += (uint64_t)(job->o->stats * SL_NS_PER_S);
		if (ferror(stdout))
			job->phase = END; /* nobody reads on */
	}
}

/* Let the other thread of the core have it for a moment. */
static void relax(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#endif
}

static void spin(struct job *job)
{
	for (unsigned i = 0; i < SPINS; i++) {
		for (unsigned q = 0; q < job->o->queues; q++)
			if (sl_virtq_look(&job->disk->queues[q].blk.vq) != -EAGAIN)
				return;
		relax();
	}
}

static void sleep_until_event(struct job *job)
{
	struct epoll_event events[EVENTS];
	int n;

	for (unsigned q = 0; q < job->o->queues; q++)
		if (sl_virtq_arm(&job->disk->queues[q].blk.vq, 0))
			return;
	n = epoll_wait(job->epoll, events, EVENTS, SLEEP_MS);
	job->stats.sleeps++;
	for (int i = 0; i < n; i++)
		if (events[i].data.u32)
			job->check_ns = 0;
	for (unsigned q = 0; q < job->o->queues; q++)
		sl_virtq_disarm(&job->disk->queues[q].blk.vq);
}

/* What is left when no request is in flight. */
static void next_phase(struct job *job)
{
	bool wrote =
		job->plan.type == VIRTIO_BLK_T_OUT || job->plan.type == VIRTIO_BLK_T_WRITE_ZEROES;

	if (job->phase == DRAIN && job->verify && wrote && !job->interrupted) {
		job->phase = CHECK;
		job->next = 0;
	} else if (job->phase == DRAIN || job->phase == FINISH) {
		job->phase = END;
	}
}

static void run(struct job *job)
{
	while (job->phase != END) {
		uint64_t now = sl_now_ns();
		unsigned did = 0;

		for (unsigned q = 0; q < job->o->queues && job->phase != END; q++) {
			did += reap(job, &job->disk->queues[q], now);
			fill(job, &job->disk->queues[q], now);
		}
		if (now >= job->check_ns)
			check(job, now);
		if (!in_flight(job))
			next_phase(job);
		else if (!did && job->o->poll)
			spin(job);
		else if (!did)
			sleep_until_event(job);
	}
}

/*
 * Setting up.
 */

static int watch(const struct job *job, int fd, uint32_t events, uint32_t urgent)
{
	struct epoll_event event = {.events = events, .data.u32 = urgent};

	return epoll_ctl(job->epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Events of queues are not read: each signal is an edge. Over uduse it is a message first. */
static bool watch_all(struct job *job)
{
	bool ok;

	job->epoll = epoll_create1(EPOLL_CLOEXEC);
	ok = job->epoll >= 0 && !watch(job, io_disk_fd(job->disk), EPOLLIN, 1) &&
	     !watch(job, job->signals, EPOLLIN, 1);
	for (uint16_t q = 0; q < job->o->queues && ok && !job->disk->uduse; q++)
		ok = !watch(job, sl_vhost_front_call(job->disk->front, q), EPOLLIN | EPOLLET, 0);
	return ok;
}

static int set_up(struct job *job)
{
	if (io_plan_make(&job->plan, job->disk)) {
		io_say(&job->show, "%s", sl_reason());
		return EXIT_USAGE;
	}
	job->left = job->o->time > 0 ? UINT64_MAX : job->plan.blocks;
	for (unsigned q = 0; q < job->o->queues; q++)
		memset(job->disk->queues[q].data, 0xa5, (size_t)job->o->depth * job->o->block);
	if (job->o->verify &&
	    io_verify_create(job->o->offset, job->o->block, job->plan.blocks, &job->verify)) {
		io_say(&job->show, "%s", sl_reason());
		return EXIT_FAILED;
	}
	if (watch_all(job))
		return EXIT_OK;
	io_say(&job->show, "cannot wait for events: %s", strerror(errno));
	return EXIT_FAILED;
}

static void start_clock(struct job *job)
{
	const struct io_options *o = job->o;

	job->start_ns = job->done_ns = sl_now_ns();
	job->random = job->start_ns | 1;
	job->end_ns = o->time > 0 ? job->start_ns + (uint64_t)(o->time * SL_NS_PER_S) : UINT64_MAX;
	job->stats_ns =
		o->stats > 0 ? job->start_ns + (uint64_t)(o->stats * SL_NS_PER_S) : UINT64_MAX;
}

static int verdict(struct job *job)
{
	const struct io_stats *s = &job->stats;

	if (job->verify && !job->failed && !s->checked && !s->mismatches) {
		io_say(&job->show, "nothing that was read could be verified");
		return EXIT_FAILED;
	}
	return job->failed || s->errors || s->mismatches ? EXIT_FAILED : EXIT_OK;
}

int io_job(struct io_disk *disk, const struct io_options *o, int signals)
{
	struct job job = {.disk = disk, .o = o, .signals = signals, .epoll = -1};
	int status;

	io_show_start(&job.show, o, disk);
	status = set_up(&job);
	if (!status) {
		start_clock(&job);
		run(&job);
		io_show_final(&job.show, &job.stats);
		status = verdict(&job);
	}
	io_verify_release(job.verify);
	sl_fd_close(&job.epoll);
	return status;
}
