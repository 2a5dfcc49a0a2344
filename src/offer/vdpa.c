/* SPDX-License-Identifier: BSD-2-Clause */
#include <linux/sched.h>
#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/reason.h"
#include "offer/vdpa.h"

#define MGMTDEV "vduse"

bool sl_vdpa_attached(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/vdpa/devices/%s", name);
	return !access(path, F_OK);
}

static struct nl_msg *make(struct nl_sock *sock, const char *name, bool attach)
{
	int family = genl_ctrl_resolve(sock, VDPA_GENL_NAME);
	struct nl_msg *msg = family < 0 ? NULL : nlmsg_alloc();

	if (!msg)
		return NULL;
	if (!genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, NLM_F_REQUEST | NLM_F_ACK,
			 attach ? VDPA_CMD_DEV_NEW : VDPA_CMD_DEV_DEL, VDPA_GENL_VERSION) ||
	    (attach && nla_put_string(msg, VDPA_ATTR_MGMTDEV_DEV_NAME, MGMTDEV)) ||
	    nla_put_string(msg, VDPA_ATTR_DEV_NAME, name)) {
		nlmsg_free(msg);
		return NULL;
	}
	nl_complete_msg(sock, msg);
	return msg;
}

/* In the child, where nothing but system calls is safe. Returns an errno. */
static int call_kernel(int fd, const struct nlmsghdr *request)
{
	union {
		struct nlmsghdr header;
		uint8_t bytes[4096];
	} answer;
	const struct nlmsgerr *error = NLMSG_DATA(&answer.header);
	ssize_t len;

	if (send(fd, request, request->nlmsg_len, 0) < 0)
		return errno;
	do {
		len = recv(fd, &answer, sizeof(answer), 0);
		if (len < (ssize_t)NLMSG_LENGTH(sizeof(*error)))
			return len < 0 ? errno : EPROTO;
	} while (answer.header.nlmsg_type != NLMSG_ERROR);
	return -error->error;
}

/* What this process shares with others. Return: how many, for free(); negative: they cannot be
 * told. */
static int find_shared(struct iovec **out)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long first, end;
	char line[512], kind;
	int n = 0;

	*out = NULL;
	if (!maps)
		return sl_fail(errno, "/proc/self/maps: %m");
	while (n >= 0 && fgets(line, sizeof(line), maps)) {
		struct iovec *grown;

		if (sscanf(line, "%lx-%lx %*3c%c", &first, &end, &kind) != 3 || kind != 's')
			continue;
		grown = reallocarray(*out, (size_t)n + 1, sizeof(*grown));
		if (!grown) {
			n = sl_fail(ENOMEM, "no memory for a process's mappings");
			break;
		}
		*out = grown;
		grown[n++] = (struct iovec){(void *)first, end - first};
	}
	fclose(maps);
	return n;
}

/*
 * The child may live longer than a parent that is killed, and then waits for the one that comes
 * after it. Whatever it held open, that one could not have: the device, the lock of a disk's file.
 */
static void let_go(int fd, const struct iovec *shared, int n)
{
	if (fd > 0)
		syscall(SYS_close_range, 0, fd - 1, 0);
	syscall(SYS_close_range, fd + 1, ~0u, 0);
	for (int i = 0; i < n; i++)
		munmap(shared[i].iov_base, shared[i].iov_len);
}

static int run(struct vdpa_call *call, struct nl_sock *sock, const struct nlmsghdr *request)
{
	/* No signal when it ends: it is nobody's child but ours. */
	struct clone_args args = {.flags = CLONE_PIDFD, .pidfd = (uintptr_t)&call->pidfd};
	int ret = 0, fd = nl_socket_get_fd(sock);
	struct iovec *shared;
	int n = find_shared(&shared);
	long pid = n < 0 ? -1 : syscall(SYS_clone3, &args, sizeof(args));

	if (!pid) {
		let_go(fd, shared, n);
		_exit(call_kernel(fd, request));
	}
	if (pid < 0) {
		call->pidfd = -1;
		ret = n < 0 ? n : sl_fail(errno, "no process to attach or detach: %m");
	}
	free(shared);
	return ret;
}

int sl_vdpa_start(struct vdpa_call *call, const char *name, bool attach)
{
	struct nl_sock *sock = nl_socket_alloc();
	struct nl_msg *msg;
	int ret;

	call->attach = attach;
	if (!sock || genl_connect(sock)) {
		nl_socket_free(sock);
		return sl_fail(EIO, "no generic netlink socket");
	}
	msg = make(sock, name, attach);
	if (msg)
		ret = run(call, sock, nlmsg_hdr(msg));
	else
		ret = sl_fail(ENODEV, "this kernel has no vDPA: modprobe vduse virtio_vdpa");
	nlmsg_free(msg);
	nl_socket_free(sock);
	return ret;
}

static int failed(const char *name, bool attach, int err)
{
	errno = err;
	if (err == EPERM)
		return sl_fail(err, "%s cannot be %s: it takes CAP_NET_ADMIN", name,
			       attach ? "attached" : "detached");
	if (attach && err == ENODEV)
		return sl_fail(err,
			       "%s cannot be attached: vDPA does not know VDUSE: modprobe vduse",
			       name);
	return sl_fail(err, "%s cannot be %s: %m", name, attach ? "attached" : "detached");
}

int sl_vdpa_done(struct vdpa_call *call, const char *name)
{
	siginfo_t info = {.si_pid = 0};
	int err;

	if (waitid((idtype_t)P_PIDFD, (id_t)call->pidfd, &info, WEXITED | WNOHANG | __WALL))
		err = errno;
	else if (!info.si_pid)
		return -EAGAIN;
	else
		err = info.si_code == CLD_EXITED ? info.si_status : EINTR;
	sl_fd_close(&call->pidfd);
	/* Somebody was faster: that is what was wanted. */
	return !err || (call->attach && err == EEXIST) ? 0 : failed(name, call->attach, err);
}

void sl_vdpa_forget(struct vdpa_call *call)
{
	sl_fd_close(&call->pidfd);
}
