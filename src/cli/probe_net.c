/* SPDX-License-Identifier: BSD-2-Clause */
/* The questions of sluice probe about networking. Each runs in a child of its own. */
#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/probe.h"

/* Linux 6.2; the headers of Debian 12 are older. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

/*
 * TUN/TAP.
 */

static const struct sl_probe_node tun_node = {
	"/dev/net/tun", "tun", "tun", "modprobe tun",
	"boot a kernel with it: apt install linux-image-amd64"};

/* A throwaway interface of a name the kernel picks; it goes with its descriptor. */
static int sl_tun_create(int fd, unsigned flags, struct ifreq *ifr)
{
	memset(ifr, 0, sizeof(*ifr));
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", "slprobe%d");
	ifr->ifr_flags = (short)(flags | IFF_NO_PI);
	return ioctl(fd, TUNSETIFF, ifr) < 0 ? -errno : 0;
}

static void tun_refused(int err, const char *what, struct sl_probe_answer *answer)
{
	if (err == EPERM)
		sl_probe_no(answer, sl_probe_rights_fix(),
			    "making a %s: EPERM, it takes CAP_NET_ADMIN", what);
	else
		sl_probe_no(answer, "see what dmesg says", "making a %s: %s", what,
			    sl_probe_errno(err));
}

static void check_tun(struct sl_probe_answer *answer)
{
	int fd = sl_probe_open(&tun_node, answer), err;
	struct ifreq ifr;

	if (fd < 0)
		return;
	err = sl_tun_create(fd, answer->check->bits, &ifr);
	if (err)
		tun_refused(-err, answer->check->word, answer);
	else
		answer->ok = true;
}

/*
 * An interface to try an offload on. Who may not make one here may in a network
 * namespace of its own: what the kernel can do is the same there, and the answer
 * says where it was asked. -1 with the answer given.
 */
static int tun_to_try(unsigned flags, struct ifreq *ifr, struct sl_probe_answer *answer)
{
	int fd = sl_probe_open(&tun_node, answer), err;

	if (fd < 0)
		return -1;
	err = sl_tun_create(fd, flags, ifr);
	if (err == -EPERM && unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0) {
		close(fd);
		fd = sl_probe_open(&tun_node, answer);
		err = fd < 0 ? -EPERM : sl_tun_create(fd, flags, ifr);
		snprintf(answer->reason, sizeof(answer->reason), "%s", "inside `unshare -Urn`");
	}
	if (!err)
		return fd;
	tun_refused(-err, "tap to try it on", answer);
	return -1;
}

static void check_tun_flag(struct sl_probe_answer *answer)
{
	struct ifreq ifr;
	int fd = tun_to_try(IFF_TAP | answer->check->bits, &ifr, answer);

	if (fd < 0)
		return;
	/* TUNSETIFF is silent about flags that it does not know. */
	answer->ok = ioctl(fd, TUNGETIFF, &ifr) == 0 && (ifr.ifr_flags & (int)answer->check->bits);
	if (!answer->ok)
		sl_probe_no(answer, "boot a newer kernel", "the kernel ignored %s",
			    answer->check->word);
}

static void check_tun_offload(struct sl_probe_answer *answer)
{
	struct ifreq ifr;
	int fd = tun_to_try(IFF_TAP | IFF_VNET_HDR, &ifr, answer);

	if (fd < 0)
		return;
	answer->ok = ioctl(fd, TUNSETOFFLOAD, (unsigned long)answer->check->bits) == 0;
	if (!answer->ok)
		sl_probe_no(answer,
			    answer->check->bits & TUN_F_USO4 ? "needs Linux 6.2 or newer"
							     : "boot a newer kernel",
			    "the kernel refused %s (%s)", answer->check->word,
			    sl_probe_errno(errno));
}

static void check_tun_queues(struct sl_probe_answer *answer)
{
	struct ifreq ifr;
	int fd = tun_to_try(IFF_TAP | IFF_MULTI_QUEUE, &ifr, answer), second;

	if (fd < 0)
		return;
	second = sl_probe_open(&tun_node, answer);
	ifr.ifr_flags = IFF_TAP | IFF_MULTI_QUEUE | IFF_NO_PI;
	answer->ok = second >= 0 && ioctl(second, TUNSETIFF, &ifr) == 0;
	if (second >= 0 && !answer->ok)
		sl_probe_no(answer, "boot a newer kernel", "attaching a second queue: %s",
			    sl_probe_errno(errno));
}

/*
 * Namespaces.
 */

static void check_netns(struct sl_probe_answer *answer)
{
	if (unshare(CLONE_NEWNET) == 0)
		answer->ok = true;
	else if (errno == EPERM)
		sl_probe_no(answer, sl_probe_rights_fix(),
			    "unshare(CLONE_NEWNET): EPERM, it takes CAP_SYS_ADMIN");
	else
		sl_probe_no(answer, "boot a kernel with CONFIG_NET_NS", "unshare(CLONE_NEWNET): %s",
			    sl_probe_errno(errno));
}

static const char *userns_fix(int err)
{
	if (err == EINVAL)
		return "boot a kernel with CONFIG_USER_NS";
	if (sl_probe_sysctl("/proc/sys/kernel/unprivileged_userns_clone") == 0)
		return "sysctl kernel.unprivileged_userns_clone=1";
	if (sl_probe_sysctl("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") > 0)
		return "sysctl kernel.apparmor_restrict_unprivileged_userns=0";
	if (sl_probe_sysctl("/proc/sys/user/max_user_namespaces") == 0)
		return "sysctl user.max_user_namespaces=10000";
	return "allow user namespaces in the seccomp or security profile of this process";
}

/* Asked as nobody where that can be: root may do more than this check is about. */
static void check_userns(struct sl_probe_answer *answer)
{
	if (geteuid() == 0 &&
	    (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0))
		snprintf(answer->reason, sizeof(answer->reason), "%s", "asked as root");
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		sl_probe_no(answer, userns_fix(errno), "unshare(CLONE_NEWUSER|CLONE_NEWNET): %s",
			    sl_probe_errno(errno));
	else if (unshare(CLONE_NEWNET) < 0) /* a security module may have left it without rights */
		sl_probe_no(answer, userns_fix(errno),
			    "a user namespace is made, but gives no rights (%s)",
			    sl_probe_errno(errno));
	else
		answer->ok = true;
}

/*
 * Sockets.
 */

static void check_socket(struct sl_probe_answer *answer)
{
	if (socket((int)answer->check->bits, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0)
		answer->ok = true;
	else if (errno == EPERM || errno == EACCES)
		sl_probe_no(answer, sl_probe_rights_fix(), "socket(%s): %s, it takes CAP_NET_RAW",
			    answer->check->word, sl_probe_errno(errno));
	else
		sl_probe_no(answer, "boot a kernel with it: apt install linux-image-amd64",
			    "socket(%s): %s", answer->check->word, sl_probe_errno(errno));
}

static void check_udp_option(struct sl_probe_answer *answer)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), value = 1;

	if (fd < 0)
		sl_probe_no(answer, "look at the rights of this process", "socket(AF_INET): %s",
			    sl_probe_errno(errno));
	else if (setsockopt(fd, IPPROTO_UDP, (int)answer->check->bits, &value, sizeof(value)) < 0)
		sl_probe_no(answer, "needs Linux 5.0 or newer", "setsockopt(%s): %s",
			    answer->check->word, sl_probe_errno(errno));
	else
		answer->ok = true;
}

#define TSO4 (TUN_F_CSUM | TUN_F_TSO4)
#define TSO6 (TUN_F_CSUM | TUN_F_TSO6)
#define USO  (TUN_F_CSUM | TUN_F_USO4 | TUN_F_USO6) /* Linux takes the two only together */

/* clang-format off */
const struct sl_probe_check sl_probe_net[] = {
	{"TUN/TAP", "tun", check_tun, IFF_TUN, "tun"},
	{"TUN/TAP", "tap", check_tun, IFF_TAP, "tap"},
	{"TUN/TAP", "tun-vnet-hdr", check_tun_flag, IFF_VNET_HDR, "IFF_VNET_HDR"},
	{"TUN/TAP", "tun-csum", check_tun_offload, TUN_F_CSUM, "TUN_F_CSUM"},
	{"TUN/TAP", "tun-tso4", check_tun_offload, TSO4, "TUN_F_TSO4"},
	{"TUN/TAP", "tun-tso6", check_tun_offload, TSO6, "TUN_F_TSO6"},
	{"TUN/TAP", "tun-uso", check_tun_offload, USO, "TUN_F_USO4|USO6"},
	{"TUN/TAP", "tun-multi-queue", check_tun_queues, 0, NULL},
	{"TUN/TAP", "tun-napi", check_tun_flag, IFF_NAPI, "IFF_NAPI"},
	{"Namespaces", "netns", check_netns, 0, NULL},
	{"Namespaces", "userns", check_userns, 0, NULL},
	{"Sockets", "af-packet", check_socket, AF_PACKET, "AF_PACKET"},
	{"Sockets", "af-xdp", check_socket, AF_XDP, "AF_XDP"},
	{"Sockets", "udp-segment", check_udp_option, UDP_SEGMENT, "UDP_SEGMENT"},
	{"Sockets", "udp-gro", check_udp_option, UDP_GRO, "UDP_GRO"},
	{NULL, NULL, NULL, 0, NULL},
};
/* clang-format on */
