/* SPDX-License-Identifier: BSD-2-Clause */
/* See Documentation/networking/tuntap.rst and <linux/if_tun.h>. */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <sluice/packet.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/reason.h"
#include "port/tun.h"

#ifndef TUN_F_USO4 /* Linux 6.2; Debian 12's headers are 6.1 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

static const char *kind_of(const struct tun *tun)
{
	return tun->layer == 2 ? "TAP" : "TUN";
}

/* Ask for as much as the kernel has, and say when that is not all. A persistent interface
 * keeps what its last user asked for, so "nothing" has to be asked for too. */
static void set_offloads(struct tun *tun, bool offload, const struct sl_log *log)
{
	static const struct {
		unsigned tun_f;
		uint32_t can;
		const char *what;
	} steps[] = {
		{TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6,
		 SL_CAN_CSUM | SL_CAN_TSO4 | SL_CAN_TSO6 | SL_CAN_ECN | SL_CAN_USO,
		 "checksum, TSO and USO"},
		{TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
		 SL_CAN_CSUM | SL_CAN_TSO4 | SL_CAN_TSO6 | SL_CAN_ECN, "checksum and TSO"},
		{TUN_F_CSUM, SL_CAN_CSUM, "checksum"},
		{0, 0, "none"},
	};
	size_t i = offload ? 0 : sl_array_len(steps) - 1;
	int err = 0;

	while (ioctl(tun->fds[0], TUNSETOFFLOAD, (unsigned long)steps[i].tun_f)) {
		err = errno;
		if (i + 1 == sl_array_len(steps))
			break;
		i++;
	}
	tun->can = steps[i].can;
	if (err)
		sl_log(log, SL_LOG_INFO, "%s: offloads: %s; the kernel refuses more: %s", tun->name,
		       steps[i].what, strerror(err));
	else
		sl_log(log, SL_LOG_DEBUG, "%s: offloads: %s", tun->name, steps[i].what);
}

static int fail_attach(const struct tun *tun, int err)
{
	bool there = if_nametoindex(tun->name);

	if (err == EPERM || err == EACCES)
		return sl_fail(
			err,
			"no permission to use interface %s: run as root, with CAP_NET_ADMIN, "
			"or inside unshare -Urn",
			tun->name);
	if (err == EBUSY)
		return sl_fail(err, "interface %s is taken: another program has it open",
			       tun->name);
	if (err == EINVAL && there)
		return sl_fail(
			EEXIST,
			"interface %s exists and is not a %s interface%s: choose another name",
			tun->name, kind_of(tun),
			tun->queues > 1 ? " of several queues" : " of one queue");
	if (err == EINVAL)
		return sl_fail(err, "\"%s\" is no name for an interface", tun->name);
	return sl_fail(err, "cannot make %s interface %s: %s", kind_of(tun), tun->name,
		       strerror(err));
}

static int open_clone(int *fd)
{
	*fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (*fd >= 0)
		return 0;
	if (errno == ENOENT || errno == ENODEV)
		return sl_fail(errno,
			       "no /dev/net/tun: modprobe tun, or give the container the device");
	return sl_fail(errno, "cannot open /dev/net/tun: %m");
}

static int attach_queue(struct tun *tun, unsigned q)
{
	struct ifreq ifr = {.ifr_flags = IFF_NO_PI};
	int ret = open_clone(&tun->fds[q]);

	if (ret)
		return ret;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", tun->name);
	ifr.ifr_flags |= tun->layer == 2 ? IFF_TAP : IFF_TUN;
	if (tun->vnet)
		ifr.ifr_flags |= IFF_VNET_HDR;
	if (tun->queues > 1)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	return ioctl(tun->fds[q], TUNSETIFF, &ifr) ? fail_attach(tun, errno) : 0;
}

static int set_vnet_len(const struct tun *tun)
{
	int len = TUN_VNET_LEN;

	for (unsigned q = 0; tun->vnet && q < tun->queues; q++)
		if (ioctl(tun->fds[q], TUNSETVNETHDRSZ, &len))
			return sl_fail(errno, "%s: no virtio-net header of %d bytes: %m", tun->name,
				       len);
	return 0;
}

int sl_tun_create(struct tun *tun, bool offload, const struct sl_log *log)
{
	int ret = 0;

	/* The kernel fills in "%d" and the like: the name would not be the one asked for. */
	if (strpbrk(tun->name, "%/: \t"))
		return sl_fail(EINVAL, "\"%s\" is no name for an interface", tun->name);
	tun->vnet = offload;
	tun->can = 0;
	for (unsigned q = 0; q < tun->queues; q++)
		tun->fds[q] = -1;
	for (unsigned q = 0; q < tun->queues && !ret; q++)
		ret = attach_queue(tun, q);
	if (!ret)
		ret = set_vnet_len(tun);
	if (ret)
		sl_tun_detach(tun);
	else
		set_offloads(tun, offload, log);
	return ret;
}

/* It is set up by its name, which may be another interface's in our namespace. Who may not ask
 * may not set anything up either. */
static bool is_elsewhere(int fd)
{
	struct stat theirs, ours;
	int ns = ioctl(fd, TUNGETDEVNETNS);
	bool known = ns >= 0 && !fstat(ns, &theirs) && !stat("/proc/thread-self/ns/net", &ours);

	sl_fd_close(&ns);
	return known && theirs.st_ino != ours.st_ino;
}

/* TUNGETIFF cannot tell: its bit for IFF_NO_PI is set as well when there is no filter
 * (IFF_NOFILTER has the same value). sysfs can, where it shows our namespace. */
static bool has_packet_info(const char *name)
{
	char path[64], text[16] = "";
	unsigned long flags;
	int fd;

	snprintf(path, sizeof(path), "/sys/class/net/%s/tun_flags", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		flags = IFF_NO_PI;
	else
		flags = strtoul(text, NULL, 16);
	sl_fd_close(&fd);
	return !(flags & IFF_NO_PI);
}

static int check_adopted(struct tun *tun, int fd)
{
	struct ifreq ifr = {0};
	short wanted = tun->layer == 2 ? IFF_TAP : IFF_TUN;

	if (ioctl(fd, TUNGETIFF, &ifr))
		return sl_fail(EINVAL, "descriptor %d is not an attached TUN/TAP descriptor: %m",
			       fd);
	if (!(ifr.ifr_flags & wanted))
		return sl_fail(EINVAL, "descriptor %d (%s) is not a %s interface", fd, ifr.ifr_name,
			       kind_of(tun));
	if (is_elsewhere(fd))
		return sl_fail(EINVAL,
			       "descriptor %d (%s) is of another network namespace: "
			       "run sluice there (ip netns exec)",
			       fd, ifr.ifr_name);
	if (has_packet_info(ifr.ifr_name))
		return sl_fail(EINVAL, "descriptor %d (%s) was attached without IFF_NO_PI", fd,
			       ifr.ifr_name);
	snprintf(tun->name, sizeof(tun->name), "%s", ifr.ifr_name);
	tun->vnet = ifr.ifr_flags & IFF_VNET_HDR;
	return 0;
}

int sl_tun_adopt(struct tun *tun, int fd, bool offload, const struct sl_log *log)
{
	int flags = fcntl(fd, F_GETFL);
	int ret;

	if (flags < 0)
		return sl_fail(errno, "descriptor %d is not open", fd);
	ret = check_adopted(tun, fd);
	if (ret)
		return ret;
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
		return sl_fail(errno, "descriptor %d: %m", fd);
	tun->queues = 1;
	tun->fds[0] = fd;
	tun->can = 0;
	ret = set_vnet_len(tun);
	if (ret)
		tun->queues = 0; /* still the caller's */
	else
		set_offloads(tun, offload && tun->vnet, log);
	return ret;
}

void sl_tun_detach(struct tun *tun)
{
	for (unsigned q = 0; q < tun->queues; q++)
		sl_fd_close(&tun->fds[q]);
}
