/* SPDX-License-Identifier: BSD-2-Clause */
/* A network interface of the kernel, configured over rtnetlink (libnl-route). */
#ifndef SL_PORT_NETIF_H
#define SL_PORT_NETIF_H

#include <stdbool.h>
#include <stdint.h>

struct nl_sock;

/**
 * struct netif - one interface in one network namespace
 * @sock:  rtnetlink socket; stays in the namespace it was made in
 * @index: the interface, once sl_netif_find() has found it by its name
 */
struct netif {
	struct nl_sock *sock;
	int index;
	char name[16];
};

/** struct netif_state - what the kernel says of it */
struct netif_state {
	unsigned mtu;
	uint8_t mac[6];
	bool up;
	uint64_t tx_dropped;
};

/**
 * sl_netns_enter() - move this thread into a network namespace
 * @netns: name below /run/netns, a path, or NULL to stay
 * @back:  what sl_netns_leave() needs
 *
 * Return: 0 or a negative errno with a reason.
 */
int sl_netns_enter(const char *netns, int *back);

/** sl_netns_leave() - move this thread back; a negative errno with a reason when it has to stay */
int sl_netns_leave(int back);

/** sl_netif_open() - find an interface in the namespace this thread is in now; @name is copied */
int sl_netif_open(struct netif *nif, const char *name);
void sl_netif_close(struct netif *nif);

/** sl_netif_find() - look it up by name, and stay with it when it is renamed; -ENODEV, no reason */
int sl_netif_find(struct netif *nif);

/** sl_netif_get() - -ENODEV when there is no such interface; leaves no reason then */
int sl_netif_get(const struct netif *nif, struct netif_state *state);

/** sl_netif_set() - change what is given: @mtu 0 and @mac NULL leave it; sets it up */
int sl_netif_set(const struct netif *nif, unsigned mtu, const uint8_t *mac);

/** sl_netif_add_addr() - add "address/prefix"; one that is there already is fine */
int sl_netif_add_addr(const struct netif *nif, const char *cidr);

#endif
