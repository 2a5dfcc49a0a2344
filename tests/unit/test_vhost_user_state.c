/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a NIC's queues over vhost-user stand, which outlives the process: what the next one finds.
 * The offer is the rig's, which says that it is a NIC. */
#include <sys/file.h>

#include "offer/vhost_user.h"
#include "vhost_user_rig.h"

bool __wrap_sl_offer_is_net(const struct sl_offer *o);

bool __wrap_sl_offer_is_net(const struct sl_offer *o)
{
	(void)o;
	return true;
}

static char rings[140], other[140];

static int bare_up(void **state)
{
	rig_bare(state);
	snprintf(rings, sizeof(rings), "%s.rings", front.path);
	snprintf(other, sizeof(other), "%s/other", front.folder);
	return 0;
}

/* What was made here goes; what the back end has made has gone. */
static int bare_down(void **state)
{
	unlink(other);
	return rig_down(state);
}

/* For so many rings: whose each is (device, inode, address), then what is kept of each. */
#define STATE_OWNER	 24u
#define STATE_LEN(rings) ((rings) * (STATE_OWNER + SL_NET_LOG_LEN))

static void make_file(const char *path, unsigned n, char owner)
{
	static char bytes[STATE_LEN(RIG_QUEUES + 1)];
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	memset(bytes, 'r', sizeof(bytes));
	memset(bytes, owner, n * STATE_OWNER);
	assert_int_equal(write(fd, bytes, STATE_LEN(n)), STATE_LEN(n));
	sl_fd_close(&fd);
}

/* Of @ring, as the back end has it; -1: it has none. */
static int state_byte(unsigned ring)
{
	const struct vhost_user *t = (const void *)rig.offer->transport;
	const uint8_t *state = sl_vhost_user_state_of(t, ring);

	return state ? state[SL_NET_LOG_LEN - 1] : -1;
}

static void test_state(void **state)
{
	struct stat st;

	(void)state;
	make_file(rings, RIG_QUEUES, 0); /* rings that nothing was said of are of nobody */
	rig_listen();
	assert_int_equal(state_byte(0), 'r');
	assert_int_equal(state_byte(RIG_QUEUES - 1), 'r');
	assert_int_equal(stat(rings, &st), 0);
	assert_false(logged("crash"));
	assert_int_equal(unlink(rings), 0); /* for there is something in it */
}

static void test_state_is_new(void **state)
{
	struct stat st;

	(void)state;
	rig_listen();
	assert_int_equal(state_byte(1), 0);
	assert_int_equal(stat(rings, &st), 0);
	assert_int_equal(st.st_size, STATE_LEN(RIG_QUEUES));
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_blocks, 0);
}

/* Of a device that had other queues. */
static void test_state_of_another(void **state)
{
	(void)state;
	make_file(rings, RIG_QUEUES + 1, 0);
	rig_listen();
	assert_int_equal(state_byte(0), 0);
	assert_int_equal(state_byte(RIG_QUEUES - 1), 0);
}

/* Of a front end that was started anew: its memory is another. */
static void test_state_of_another_driver(void **state)
{
	(void)state;
	make_file(rings, RIG_QUEUES, 1);
	rig_listen();
	assert_int_equal(state_byte(0), 0);
	assert_int_equal(state_byte(RIG_QUEUES - 1), 0);
	assert_int_equal(unlink(rings), 0);
}

static void check_no_state(const char *why, const char *via)
{
	struct stat st;

	assert_int_equal(rig_offer(via), 0);
	assert_int_equal(state_byte(0), -1);
	assert_true(!why || logged(why));
	sl_offer_release(rig.offer);
	rig.offer = NULL;
	front.log[0] = '\0';
	assert_int_equal(lstat(rings, &st), why ? 0 : -1); /* it is not ours to remove */
	unlink(rings);
}

static void test_no_state(void **state)
{
	char via[128], packed[140];
	struct stat st;
	int fd;

	(void)state;
	snprintf(via, sizeof(via), "vhost-user:path=%s", front.path);
	snprintf(packed, sizeof(packed), "%s,packed=off", via);
	check_no_state(NULL, packed);
	make_file(other, RIG_QUEUES, 0);
	assert_int_equal(symlink(other, rings), 0);
	check_no_state("crash", via);
	assert_int_equal(link(other, rings), 0);
	check_no_state("not a file of ours", via);
	assert_int_equal(stat(other, &st), 0);
	assert_int_equal(st.st_size, STATE_LEN(RIG_QUEUES));
	assert_int_equal(mkfifo(rings, 0600), 0);
	check_no_state("not a file of ours", via);
	assert_int_equal(mkdir(rings, 0700), 0);
	check_no_state("crash", via);
	assert_int_equal(rmdir(rings), 0);
	make_file(rings, RIG_QUEUES, 0);
	fd = open(rings, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	check_no_state("another process has it", via);
	sl_fd_close(&fd);
}

#define BARE(f) cmocka_unit_test_setup_teardown(f, bare_up, bare_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE(test_state),
		BARE(test_state_is_new),
		BARE(test_state_of_another),
		BARE(test_state_of_another_driver),
		BARE(test_no_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
