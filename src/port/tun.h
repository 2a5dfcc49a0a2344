/* SPDX-License-Identifier: BSD-2-Clause */
/* The TUN/TAP character device: making, joining and asking interfaces. */
#ifndef SL_PORT_TUN_H
#define SL_PORT_TUN_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>

#include <sluice/log.h>

#define TUN_QUEUES_MAX 16

/* Before each packet lies struct virtio_net_hdr without num_buffers, when it is on. */
#define TUN_VNET_LEN ((unsigned)sizeof(struct virtio_net_hdr))

/**
 * struct tun - an attached interface
 * @name:   its name
 * @layer:  3 for TUN, 2 for TAP
 * @queues: how many of @fds are open
 * @vnet:   packets have a virtio_net_hdr before them
 * @can:    SL_CAN_*: what the kernel's side does with super-packets; 0 without @vnet
 */
struct tun {
	char name[16];
	unsigned layer;
	unsigned queues;
	bool vnet;
	uint32_t can;
	int fds[TUN_QUEUES_MAX];
};

/**
 * sl_tun_create() - make an interface, or attach to one that is there and unused
 * @tun:       name, layer and queues are set; the rest is filled in
 * @offload:   ask for checksum, TSO and USO, as much as the kernel has
 * @log:       told which of them it does not have
 *
 * Works in the network namespace this thread is in. An interface that this makes
 * goes away with its descriptors.
 *
 * Return: 0 or a negative errno with a reason.
 */
int sl_tun_create(struct tun *tun, bool offload, const struct sl_log *log);

/** sl_tun_adopt() - use a descriptor that is attached already; owned by @tun from now on */
int sl_tun_adopt(struct tun *tun, int fd, bool offload, const struct sl_log *log);

/** sl_tun_detach() - close its descriptors */
void sl_tun_detach(struct tun *tun);

#endif
