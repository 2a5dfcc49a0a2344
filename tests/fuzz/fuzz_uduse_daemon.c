/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver's side of uduse that does anything: what it returns is changed, left out, sent twice;
 * requests of any kind at any time; rings and an IOTLB that lie; memory that is cut off; processes
 * that come and go. The daemon, over the real offer, neither falls, nor waits, nor keeps a
 * descriptor, and serves the honest driver that comes last. Input: operations of a byte each, and
 * what they take.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#include <sluice/guard.h>
#include <sluice/offer.h>

#include "../unit/uduse_rig.h"
#include "fuzz.h"
#include "offer/kinds.h"

#define OPS_MAX 100u

/* The other transports, which are not the one that is meant. */
const struct transport_ops sl_transport_vduse = {.kind = {.kind = "vduse"}};
const struct transport_ops sl_transport_vhost_user = {.kind = {.kind = "vhost-user"}};

static const uint8_t *data;
static size_t len;

static uint8_t u8(void)
{
	if (!len)
		return 0;
	len--;
	return *data++;
}

static uint64_t u64(void)
{
	static const uint64_t odd[] = {0,
				       1,
				       SIZE,
				       AT,
				       AT + MEMORY - 8,
				       UINT32_MAX,
				       INT64_MAX,
				       UINT64_MAX,
				       UINT64_MAX - 4095,
				       AT + BUFFERS};
	uint8_t which = u8();

	return which < sl_array_len(odd) ? odd[which] : (uint64_t)which << 8 * (u8() % 8) | u8();
}

static unsigned descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(folder))
		n++;
	closedir(folder);
	return n;
}

static void on_fault(int sig, siginfo_t *info, void *ctx)
{
	if (!sl_guard_handler(sig, info, ctx))
		abort();
}

/*
 * Lies. Most of what is said is true, or nothing would come of it.
 */

static void change(struct uduse_msg *msg)
{
	size_t at = u8() | (size_t)(u8() & 1) << 8;
	uint8_t *bytes = (void *)msg;

	bytes[at % (sizeof(msg->header) + sl_max(msg->header.len, 1u))] = u8();
	msg->header.len = sl_min(msg->header.len, (uint32_t)UDUSE_PAYLOAD_MAX);
}

static bool lie(struct rig *r, struct uduse_msg *msg)
{
	switch (len ? u8() : 0) {
	case 250:
		return false;
	case 251:
		sl_uduse_send(r->sock, msg, 0);
		return true;
	case 252:
		msg->header.result = -(int32_t)u8();
		msg->header.len = 0;
		msg->fd = -1;
		return true;
	case 253:
		msg->fd = msg->fd >= 0 ? -1 : r->memory;
		return true;
	case 254:
		change(msg);
		return true;
	case 255:
		change(msg);
		change(msg);
		return true;
	default:
		return true;
	}
}

/*
 * Operations.
 */

static void request(struct rig *r)
{
	struct vduse_dev_request q = {.type = u8() % 4};

	switch (q.type) {
	case VDUSE_GET_VQ_STATE:
		q.vq_state.index = u8() % 4;
		break;
	case VDUSE_SET_STATUS:
		q.s.status = u8();
		break;
	default:
		q.iova.start = u64();
		q.iova.last = u64();
	}
	if (r->sock >= 0)
		ask(r, q);
}

static void lie_about_memory(struct rig *r)
{
	unsigned at = u8() % sl_array_len(r->entries);

	r->entries[at] = (struct vduse_iotlb_entry){u64(), u64(), u64(), u8() % 5};
	r->fds[at] = u8() & 1 ? r->memory : r->kicks[0] >= 0 ? r->kicks[0] : STDIN_FILENO;
	r->n_entries = sl_max(r->n_entries, at + 1);
}

static void lie_about_a_queue(struct rig *r)
{
	struct vduse_vq_info *q = &r->vq[u8() % QUEUES];

	((uint8_t *)q)[u8() % sizeof(*q)] = u8();
}

static void scribble(struct rig *r)
{
	size_t at = (size_t)u8() << 8 | u8();

	if (lseek(r->memory, 0, SEEK_END) == MEMORY)
		r->base[at] = u8();
}

static void bring_up(struct rig *r)
{
	if (!connects(r) || ftruncate(r->memory, MEMORY))
		return;
	r->driven = false;
	drive(r);
}

static void operate(struct rig *r)
{
	bool there = lseek(r->memory, 0, SEEK_END) == MEMORY;

	switch (u8() % 16) {
	case 0:
	case 1:
		bring_up(r);
		break;
	case 2:
		request(r);
		break;
	case 3:
		lie_about_memory(r);
		break;
	case 4:
		lie_about_a_queue(r);
		break;
	case 5:
		scribble(r);
		break;
	case 6:
		r->features = FEATURES ^ u64();
		break;
	case 7:
	case 8:
		if (there)
			make_available(r, u8() % QUEUES);
		break;
	case 9:
		if (there)
			make_available_at(r, u8() % QUEUES, u64(), (uint32_t)u64());
		break;
	case 10:
		give_back(r);
		break;
	case 11:
		hang_up(r);
		break;
	case 12:
		end_driver(r);
		break;
	case 13:
		sl_offer_changed(r->offer);
		break;
	case 14:
		must(!ftruncate(r->memory, u8() % 2 ? MEMORY : 0x3000));
		break;
	default:
		r->driven = u8() & 1;
		r->exists = u8() & 1;
	}
	if (u8() & 1)
		settle(r);
	if (r->n_held > HELD_MAX - 2 * SIZE)
		give_back(r);
}

/* Whatever was, the next is served. */
static void serve_an_honest_one(struct rig *r)
{
	r->lie = NULL;
	end_driver(r);
	give_back(r);
	settle(r);
	must(!ftruncate(r->memory, MEMORY));
	must(connects(r));
	drive(r);
	must(sl_offer_get_state(r->offer) == SL_OFFER_RUNNING);
	make_available(r, 1);
	settle(r);
	must(r->n_held == 1);
	give_back(r);
	settle(r);
	must(used(r, 1)->idx == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct sigaction guard = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	static struct rig r;
	unsigned had = descriptors();

	sigaction(SIGBUS, &guard, NULL);
	data = bytes;
	len = size;
	must(!rig_open(&r));
	r.lie = lie;
	settle(&r);
	for (unsigned n = 0; n < OPS_MAX && len; n++)
		operate(&r);
	serve_an_honest_one(&r);
	must(!r.ended);
	rig_close_all(&r);
	must(r.closed == 1);
	must(descriptors() == had);
	return 0;
}
