/* SPDX-License-Identifier: BSD-2-Clause */
/* A network interface of the kernel, configured over rtnetlink (libnl-route). */
#ifndef SL_PORT_NETIF_H
#define SL_PORT_NETIF_H

#include <stdbool.h>
#include <stdint.h>

struct nl_sock;

/**
 * struct netif - one interface, by name, in one network namespace
 * @sock: rtnetlink socket; stays in the namespace it was made in
 */
struct netif {
	struct nl_sock *sock;
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
 * netns_enter() - move this thread into a network namespace
 * @netns: name below /run/netns, a path, or NULL to stay
 * @back:  what netns_leave() needs
 *
 * Return: 0 or a negative errno with a reason.
 */
int netns_enter(const char *netns, int *back);

/** netns_leave() - move this thread back */
void netns_leave(int back);

/** netif_open() - a socket in the namespace this thread is in now; @name is copied */
int netif_open(struct netif *nif, const char *name);
void netif_close(struct netif *nif);

/** netif_get() - -ENODEV when there is no such interface; leaves no reason then */
int netif_get(const struct netif *nif, struct netif_state *state);

/** netif_set() - change what is given: @mtu 0 and @mac NULL leave it; sets it up */
int netif_set(const struct netif *nif, unsigned mtu, const uint8_t *mac);

/** netif_add_addr() - add "address/prefix"; one that is there already is fine */
int netif_add_addr(const struct netif *nif, const char *cidr);

#endif
