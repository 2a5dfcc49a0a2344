/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a killed process has in flight may land after its successor's first writes, and destroy
 * them. The fence of the model blk holds the successor back until then; without it the same test
 * shows what is lost.
 */
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <linux/virtio_blk.h>
#include <sluice/reason.h>

#include "../unit/fake_request.h"
#include "offer/file_map.h"
#include "offer/kinds.h"
#include "slow_store.h"

#define BLOCK	4096
#define OLD	1 /* writes that are in flight when it is killed: io_uring does one at a time here */
#define NEVER_S 20

static struct {
	int arrived, landed;
	unsigned minor;
} * shared;

static unsigned n_tests, n_failed;

static void check(bool ok, const char *what)
{
	printf("%sok %u - %s\n", ok ? "" : "not ", ++n_tests, what);
	fflush(stdout);
	n_failed += !ok;
}

static int skip(const char *why)
{
	printf("SKIP: %s\n", why);
	return 77;
}

static bool comes_to(const int *counter, int value)
{
	for (unsigned ms = 0; ms < NEVER_S * 1000; ms++) {
		if (__atomic_load_n(counter, __ATOMIC_SEQ_CST) >= value)
			return true;
		usleep(1000);
	}
	return false;
}

static struct sl_model *disk_open(const char *path)
{
	struct sl_model *m = NULL;
	struct sl_args *args;
	char spec[300];

	snprintf(spec, sizeof(spec), "file=%s,cache=direct", path);
	if (!sl_args_parse("blk", spec, sl_model_blk.params, &args)) {
		if (sl_model_blk.open(args, NULL, &m))
			printf("# %s\n", sl_reason());
		sl_args_release(args);
	}
	return m;
}

static void request_make(struct fake_request *r, struct sl_model *m, uint32_t type, unsigned block,
			 uint8_t *data)
{
	struct virtio_blk_outhdr *head = calloc(1, sizeof(*head));
	uint8_t *status = malloc(1);

	*head = (struct virtio_blk_outhdr){.type = type, .sector = block * (BLOCK / 512)};
	*status = 0xee;
	fake_request_init(r, m);
	fake_request_add(r, false, head, sizeof(*head));
	fake_request_add(r, type == VIRTIO_BLK_T_IN, data, BLOCK);
	fake_request_add(r, true, status, 1);
}

static bool one(struct sl_model *m, uint32_t type, unsigned block, uint8_t *data)
{
	struct fake_request r;
	unsigned done = fake_offer.done;
	bool ok;

	request_make(&r, m, type, block, data);
	m->ops->request(m, &r.req);
	ok = fake_offer_run(m, done + 1) && !*(uint8_t *)r.pieces[2].iov_base;
	free(r.pieces[0].iov_base);
	free(r.pieces[2].iov_base);
	fake_request_free(&r);
	return ok;
}

static void fill(uint8_t *data, char first, unsigned seed)
{
	memset(data, (int)(seed + 1), BLOCK);
	data[0] = (uint8_t)first;
}

/* The first daemon: writes that take their time, and no end. */
static void be_killed(const char *path)
{
	struct sl_model *m = disk_open(path);
	struct fake_request r[OLD];
	uint8_t *data = aligned_alloc(BLOCK, OLD * BLOCK);

	while (m && m->ops->fence(m, sl_now_ns()) == -EAGAIN)
		usleep(1000);
	for (unsigned i = 0; m && i < OLD; i++) {
		fill(data + i * BLOCK, 'S', i);
		request_make(&r[i], m, VIRTIO_BLK_T_OUT, i, data + i * BLOCK);
		m->ops->request(m, &r[i].req);
	}
	if (m)
		m->ops->submit(m);
	pause();
}

/* Returns how many blocks have what the second daemon wrote; < 0: it could not. */
static int succeed(const char *path, bool fenced, int landed, int *landed_before)
{
	struct sl_model *m = disk_open(path);
	uint8_t *data = aligned_alloc(BLOCK, 2 * BLOCK), *got = data + BLOCK;
	int kept = 0, ret = 0;

	if (!m)
		return -1;
	while (fenced && (ret = m->ops->fence(m, sl_now_ns())) == -EAGAIN)
		usleep(1000);
	*landed_before = __atomic_load_n(&shared->landed, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < OLD && !ret; i++) {
		fill(data, 'N', 100 + i);
		ret = !one(m, VIRTIO_BLK_T_OUT, i, data);
	}
	if (!comes_to(&shared->landed, landed))
		ret = -1;
	for (unsigned i = 0; i < OLD && !ret; i++) {
		fill(data, 'N', 100 + i);
		ret = !one(m, VIRTIO_BLK_T_IN, i, got);
		kept += !memcmp(data, got, BLOCK);
	}
	m->ops->close(m);
	free(data);
	return ret ? -1 : kept;
}

static int killed_and_followed(const char *path, bool fenced, int *landed_before)
{
	int arrived = shared->arrived + OLD, landed = shared->landed + OLD, kept;
	pid_t old = fork();

	if (!old)
		be_killed(path);
	if (!comes_to(&shared->arrived, arrived))
		return -1;
	kill(old, SIGKILL);
	kept = succeed(path, fenced, landed, landed_before);
	waitpid(old, NULL, 0);
	return kept;
}

static int mount_store(const char *at, int *fd)
{
	char how[100];

	*fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (*fd < 0)
		return -1;
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -1;
	snprintf(how, sizeof(how), "fd=%d,rootmode=40000,user_id=0,group_id=0", *fd);
	return mount("slow", at, "fuse.slow", MS_NOSUID | MS_NODEV, how);
}

/* Who touched it would wait for the process that serves it. */
static bool refused_as_memory(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct file_map map;
	int ret = fd < 0 ? 0 : sl_file_map(fd, 0, BLOCK, FILE_MAP_WRITE, &map);

	close(fd);
	return ret == -EINVAL;
}

static void run(const char *path)
{
	int landed_before = -1, all = 0, kept;
	struct stat st;

	if (stat(path, &st) || shared->minor < PARALLEL_MINOR) {
		check(false, "a store whose writes overtake each other");
		return;
	}
	kept = killed_and_followed(path, true, &landed_before);
	all = shared->landed;
	check(landed_before == OLD && all == OLD,
	      "the fence opens when what was in flight has landed");
	check(kept == OLD, "what the next process wrote is what is there");
	kept = killed_and_followed(path, false, &landed_before);
	check(landed_before < 2 * OLD, "without the fence nobody waits");
	check(kept == 0, "and what the next process wrote is lost");
	check(refused_as_memory(path), "as memory of a driver's it is refused");
	printf("1..%u\n", n_tests);
}

int main(void)
{
	static struct slow_store store;
	char at[] = "/tmp/sluice-store-XXXXXX", path[64];
	pid_t server;

	if (geteuid())
		return skip("mounting needs root");
	if (!mkdtemp(at) || mount_store(at, &store.fd)) {
		rmdir(at);
		return skip("no /dev/fuse, or no mount there");
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	store.arrived = &shared->arrived;
	store.landed = &shared->landed;
	store.minor = &shared->minor;
	server = fork();
	if (!server) {
		store_serve(&store);
		_exit(0);
	}
	close(store.fd);
	snprintf(path, sizeof(path), "%s/disk", at);
	run(path);
	umount2(at, MNT_DETACH);
	rmdir(at);
	waitpid(server, NULL, 0);
	return n_failed ? 1 : 0;
}
