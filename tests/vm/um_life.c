/* SPDX-License-Identifier: BSD-2-Clause */
/* Who has a device, and until when: fork, mappings, sockets, namespaces. The devices are edus. */
#include "um.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* open ADDRESS [ERRNO]: it can be opened, or that is why not */
void um_do_open(int argc, char **argv)
{
	int wanted = argc > 1 ? atoi(argv[1]) : 0, ret = um_open(argv[0]);

	if (wanted ? ret != -wanted : ret < 0)
		um_fail("open %s: %d, not %d", argv[0], ret, -wanted);
	if (ret >= 0)
		close(ret);
}

static void is_busy(const char *addr)
{
	REFUSED(EBUSY, um_open(addr));
}

/* Nobody has it, and it is quiet; the next one may. */
static void is_free(const char *addr)
{
	CHECK(!um_is_master(addr));
	close(MUST(um_open(addr)));
}

static void ended(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(!status || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
}

/*
 * The one who opened it dies, the child stays with the file, and with memory that the other had
 * pinned.
 */
static void parent_first(const char *addr)
{
	struct {
		pid_t child;
		uint32_t id;
	} * shared;
	pid_t parent, child;
	int up[2];
	char byte;

	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED && !pipe(up));
	parent = fork();
	if (!parent) {
		int fd = MUST(um_open(addr));
		struct um_memory m;

		MUST(um_master(fd, UIO_MSIX_ON));
		MUST(um_pin(fd, um_pages(PAGE, 0), PAGE, &m));
		shared->id = m.id;
		child = fork();
		if (child) {
			shared->child = child;
			_exit(0);
		}
		CHECK(read(up[0], &byte, 1) == 1);
		um_info(fd);
		MUST(um_free(fd, shared->id)); /* whoever it was counted for */
		MUST(um_pin(fd, um_pages(PAGE, 0), PAGE, &m));
		pause();
	}
	ended(parent);
	is_busy(addr);
	CHECK(um_is_master(addr));
	CHECK(write(up[1], "", 1) == 1);
	usleep(100000);
	is_busy(addr);
	CHECK(!kill(shared->child, SIGKILL));
	ended(shared->child);
	is_free(addr);
	close(up[0]);
	close(up[1]);
}

/* The child dies, and it had no mapping. */
static void child_first(const char *addr)
{
	int fd = MUST(um_open(addr));
	void *edu = um_map(fd, 0);
	struct um_memory m;
	pid_t child;

	MUST(um_alloc(fd, PAGE, &m));
	MUST(um_master(fd, UIO_MSIX_ON));
	child = fork();
	if (!child) {
		CHECK(!um_touch(edu) && !um_touch(m.base));
		um_info(fd);
		_exit(0);
	}
	ended(child);
	is_busy(addr);
	CHECK(um_is_master(addr) && um_touch(edu) && um_touch(m.base));
	edu_both_ways(edu, m.base, m.iova, 1);
	munmap(edu, um_region(fd, 0).size);
	munmap(m.base, PAGE);
	is_busy(addr);
	close(fd);
	is_free(addr);
}

static void mapping_alone(const char *addr)
{
	int fd = MUST(um_open(addr));
	void *edu = um_map(fd, 0);
	size_t size = um_region(fd, 0).size;
	struct um_memory m;

	MUST(um_master(fd, UIO_MSIX_ON));
	MUST(um_alloc(fd, PAGE, &m));
	close(fd);
	is_busy(addr);
	CHECK(um_is_master(addr));
	edu_both_ways(edu, m.base, m.iova, 2);
	munmap(edu, size);
	is_busy(addr);
	CHECK(um_is_master(addr) && um_touch(m.base));
	munmap(m.base, PAGE);
	is_free(addr);
}

/* unix(7): a file that is on its way through a socket is open. */
static void on_its_way(const char *addr)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec data = {&byte, 1};
	struct msghdr msg = {.msg_iov = &data,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int fd = MUST(um_open(addr)), pair[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	CHECK(sendmsg(pair[0], &msg, 0) == 1);
	close(fd);
	is_busy(addr);
	CHECK(recvmsg(pair[1], &msg, MSG_CMSG_CLOEXEC) == 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	um_info(fd);
	CHECK(sendmsg(pair[0], &msg, 0) == 1);
	close(fd);
	is_busy(addr);
	close(pair[0]);
	close(pair[1]);
	is_free(addr);
}

/* forks ADDRESS */
void um_do_forks(int argc, char **argv)
{
	CHECK(argc == 1 && !prctl(PR_SET_CHILD_SUBREAPER, 1));
	parent_first(argv[0]);
	child_first(argv[0]);
	mapping_alone(argv[0]);
	on_its_way(argv[0]);
	printf("ok - the last file or mapping, whosever it is, keeps the device\n");
}

static void in_user_namespace(const char *addr)
{
	int fd = MUST(um_open(addr));

	CHECK(!unshare(CLONE_NEWUSER));
	um_echo("/proc/self/uid_map", "0 0 1");
	CHECK(!geteuid());
	MUST(um_master(fd, UIO_MSIX_ON)); /* opened by who was allowed to */
	close(fd);
	REFUSED(EPERM, um_open(addr));
	_exit(0);
}

static void in_other_namespaces(const char *addr)
{
	static const int kinds[] = {CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET};
	pid_t child;

	for (unsigned i = 0; i < 3; i++) /* a small kernel has not all of them */
		CHECK(!unshare(kinds[i]) || errno == EINVAL);
	child = fork();
	if (child)
		ended(child);
	else
		close(MUST(um_open(addr)));
	_exit(0);
}

/* namespaces ADDRESS */
void um_do_namespaces(int argc, char **argv)
{
	pid_t child;

	CHECK(argc == 1);
	child = fork();
	if (!child)
		in_user_namespace(argv[0]);
	ended(child);
	child = fork();
	if (!child)
		in_other_namespaces(argv[0]);
	ended(child);
	is_free(argv[0]);
	printf("ok - root of a user namespace may not; other namespaces do not matter\n");
}
