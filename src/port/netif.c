/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <sched.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/reason.h"
#include "port/netif.h"

int sl_netns_enter(const char *netns, int *back)
{
	char path[256];
	int fd;

	*back = -1;
	if (!netns)
		return 0;
	snprintf(path, sizeof(path), "%s%s", strchr(netns, '/') ? "" : "/run/netns/", netns);
	if (strlen(path) < strlen(netns) + !strchr(netns, '/'))
		return sl_fail(ENAMETOOLONG, "network namespace %.32s...: too long a name", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return sl_fail(errno,
			       errno == ENOENT
				       ? "no network namespace %s: ip netns add %s makes one"
				       : "cannot open network namespace %s: %m",
			       netns, netns);
	*back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (*back < 0 || setns(fd, CLONE_NEWNET)) {
		int ret = sl_fail(errno, "cannot enter network namespace %s: %m%s", netns,
				  errno == EPERM ? ": run as root, with CAP_SYS_ADMIN" : "");

		sl_fd_close(back);
		sl_fd_close(&fd);
		return ret;
	}
	sl_fd_close(&fd);
	return 0;
}

int sl_netns_leave(int back)
{
	int ret = 0;

	if (back >= 0 && setns(back, CLONE_NEWNET))
		ret = sl_fail(errno, "cannot go back to the first network namespace: %m");
	sl_fd_close(&back);
	return ret;
}

int sl_netif_open(struct netif *nif, const char *name)
{
	int ret;

	snprintf(nif->name, sizeof(nif->name), "%s", name);
	nif->sock = nl_socket_alloc();
	if (!nif->sock)
		return sl_fail(ENOMEM, "no memory for a netlink socket");
	ret = nl_connect(nif->sock, NETLINK_ROUTE);
	if (ret) {
		sl_netif_close(nif);
		return sl_fail(EIO, "no rtnetlink socket: %s", nl_geterror(ret));
	}
	ret = sl_netif_find(nif);
	if (ret) {
		sl_netif_close(nif);
		return sl_fail(-ret, "interface %s is not there", name);
	}
	return 0;
}

void sl_netif_close(struct netif *nif)
{
	if (nif->sock)
		nl_socket_free(nif->sock);
	nif->sock = NULL;
}

/* libnl's errors as errnos, those that a user can cause. */
static int errno_of(int nl_error)
{
	switch (-nl_error) {
	case NLE_PERM:
		return EPERM;
	case NLE_OBJ_NOTFOUND:
	case NLE_NODEV:
		return ENODEV;
	case NLE_RANGE:
		return ERANGE;
	case NLE_EXIST:
		return EEXIST;
	case NLE_NOMEM:
		return ENOMEM;
	default:
		return EINVAL;
	}
}

static int get_link(const struct netif *nif, struct rtnl_link **link)
{
	int ret = rtnl_link_get_kernel(nif->sock, nif->index, nif->index ? NULL : nif->name, link);

	return ret ? -errno_of(ret) : 0;
}

int sl_netif_find(struct netif *nif)
{
	struct rtnl_link *link;
	int ret;

	nif->index = 0;
	ret = get_link(nif, &link);
	if (ret)
		return ret;
	nif->index = rtnl_link_get_ifindex(link);
	rtnl_link_put(link);
	return 0;
}

int sl_netif_get(const struct netif *nif, struct netif_state *state)
{
	struct rtnl_link *link;
	struct nl_addr *mac;
	int ret = get_link(nif, &link);

	if (ret)
		return ret;
	mac = rtnl_link_get_addr(link);
	memset(state, 0, sizeof(*state));
	state->mtu = rtnl_link_get_mtu(link);
	state->up = rtnl_link_get_flags(link) & IFF_UP;
	state->tx_dropped = rtnl_link_get_stat(link, RTNL_LINK_TX_DROPPED);
	if (mac && nl_addr_get_len(mac) == sizeof(state->mac))
		memcpy(state->mac, nl_addr_get_binary_addr(mac), sizeof(state->mac));
	rtnl_link_put(link);
	return 0;
}

/* An unprivileged child may use an interface that was set up for it, but not touch it. */
static bool is_so(struct rtnl_link *link, unsigned mtu, const uint8_t *mac)
{
	const struct nl_addr *now = rtnl_link_get_addr(link);

	return rtnl_link_get_flags(link) & IFF_UP && (!mtu || rtnl_link_get_mtu(link) == mtu) &&
	       (!mac || (now && nl_addr_get_len(now) == 6 &&
			 !memcmp(nl_addr_get_binary_addr(now), mac, 6)));
}

static int change(const struct netif *nif, struct rtnl_link *link, unsigned mtu, const uint8_t *mac)
{
	struct rtnl_link *wanted = rtnl_link_alloc();
	struct nl_addr *address = mac ? nl_addr_build(AF_LLC, mac, 6) : NULL;
	int ret = -NLE_NOMEM;

	if (wanted && (address || !mac)) {
		if (mtu)
			rtnl_link_set_mtu(wanted, mtu);
		if (address)
			rtnl_link_set_addr(wanted, address);
		rtnl_link_set_flags(wanted, IFF_UP);
		ret = rtnl_link_change(nif->sock, link, wanted, 0);
	}
	nl_addr_put(address);
	rtnl_link_put(wanted);
	return ret;
}

int sl_netif_set(const struct netif *nif, unsigned mtu, const uint8_t *mac)
{
	struct rtnl_link *link;
	int ret = get_link(nif, &link);

	if (ret)
		return sl_fail(-ret, "interface %s is not there", nif->name);
	ret = is_so(link, mtu, mac) ? 0 : change(nif, link, mtu, mac);
	rtnl_link_put(link);
	if (ret)
		return sl_fail(errno_of(ret), "cannot set up interface %s: %s%s", nif->name,
			       nl_geterror(ret),
			       ret == -NLE_PERM ? ": let root do it (ip link set), or run as root"
						: "");
	return 0;
}

int sl_netif_add_addr(const struct netif *nif, const char *cidr)
{
	struct rtnl_addr *addr = rtnl_addr_alloc();
	struct nl_addr *local = NULL;
	struct rtnl_link *link;
	int ret = get_link(nif, &link);
	int index = ret ? 0 : rtnl_link_get_ifindex(link);

	if (!ret)
		rtnl_link_put(link);
	ret = ret ? -NLE_NODEV : addr ? nl_addr_parse(cidr, AF_UNSPEC, &local) : -NLE_NOMEM;
	if (!ret) {
		rtnl_addr_set_ifindex(addr, index);
		rtnl_addr_set_local(addr, local);
		/* Nobody else can own it on a link we are one end of: no need to wait for DAD. */
		if (nl_addr_get_family(local) == AF_INET6)
			rtnl_addr_set_flags(addr, IFA_F_NODAD);
		ret = rtnl_addr_add(nif->sock, addr, NLM_F_REPLACE);
	}
	nl_addr_put(local);
	rtnl_addr_put(addr);
	if (ret && ret != -NLE_EXIST)
		return sl_fail(errno_of(ret), "cannot give %s the address %s: %s%s", nif->name,
			       cidr, nl_geterror(ret),
			       strchr(cidr, ':') && errno_of(ret) == EINVAL
				       ? ": IPv6 needs an MTU of 1280 at least"
				       : "");
	return 0;
}
