/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port: a place where packets enter and leave. Programs may bring their own.
 */
#ifndef SLUICE_PORT_H
#define SLUICE_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sluice/consumer.h>
#include <sluice/counters.h>
#include <sluice/log.h>
#include <sluice/param.h>
#include <sluice/producer.h>
#include <sluice/region.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	SL_PORT_RX = 1u << 0,
	SL_PORT_TX = 1u << 1,
	/* arm() returns this when there is work already: do not sleep. */
	SL_PORT_READY = 1u << 30,
};

/** No timer is running: what deadline() returns then. */
#define SL_NEVER UINT64_MAX

/**
 * struct sl_port_info - what a port is like now
 * @layer:      2 Ethernet, 3 IP, 0 either
 * @queues:     receive and transmit queues, at least 1
 * @mtu:        largest layer 3 packet in bytes, 0 if it does not care
 * @mtu_best:   what passes it unbroken; an interface without an mtu= of its own is set to
 *              it when that is less; 0 if it does not care
 * @mac:        its own address, all zero for none
 * @dirs:       SL_PORT_RX when it emits packets, SL_PORT_TX when it takes them
 * @attached:   0 while it waits for its peer: rx() and tx() are not called
 * @emits:      SL_CAN_*: what its packets may need done
 * @accepts:    SL_CAN_*: what it does for packets it is given
 * @regions:    where the packets it emits lie; the port's, valid until a recall
 * @n_regions:  how many
 * @generation: changes when any of this has changed
 */
struct sl_port_info {
	unsigned layer;
	unsigned queues;
	unsigned mtu;
	unsigned mtu_best;
	uint8_t mac[6];
	uint8_t dirs;
	uint8_t attached;
	uint32_t emits;
	uint32_t accepts;
	const struct sl_region *regions;
	unsigned n_regions;
	uint32_t generation;
};

/** struct sl_port - the head of every port; its kind's own struct embeds it */
struct sl_port {
	const struct sl_port_ops *ops;
};

/**
 * struct sl_port_ops - a kind of port
 *
 * For one queue, two threads may call: one rx() and arm(RX), one tx() and arm(TX).
 * control(), deadline() and stop() are called by one. Negative errnos leave a reason.
 *
 * @size:       of this struct, so that it can grow
 * @kind:       "tap" in tap:name=t0
 * @help:       one line
 * @params:     what it takes
 * @open:       make one; may come back waiting for its peer (info.attached 0)
 * @info:       fill in what it is like now
 * @join:       told once, before the first packet, what the other port is like; optional
 * @region_add: may this port's hardware reach the region? -EOPNOTSUPP: give it copies;
 *              NULL: it reads lent memory with the CPU
 * @region_del: the region goes; only after a recall; optional with region_add
 * @rx:         packets from the port: > 0 posted or others dealt with, 0 none, -ENODEV gone,
 * -ENODATA ended for good, -ENOBUFS its buffers are all lent: called again when one comes back,
 * -EINPROGRESS some are lent: called again when one comes back too, not only when arm() tells
 * @tx:         packets to the port, never blocks: > 0 taken or finished, 0 none, -ENODEV gone
 * @fd:         pollable, or -1; @dirs: SL_PORT_RX, SL_PORT_TX or both, whatever its thread arms
 * @arm:        about to sleep, wanting SL_PORT_RX and/or SL_PORT_TX: the poll(2) events to
 *              wait for on fd(), or SL_PORT_READY. A TAP says "writable" with POLLOUT, an
 *              eventfd with POLLIN: only the port knows.
 * @control_fd: pollable for control(), or -1; optional
 * @control:    one step that does not block; > 0 when info() has changed; -ENODEV gone; optional
 * @deadline:   when to call rx() or control() at the latest, CLOCK_MONOTONIC ns; optional
 * @carrier:    the other port went away, or is back: @up; optional
 * @stop:       no lent packet held, no DMA under way when it returns; optional
 * @stats:      add queue @q's counters to @c; any thread
 * @close:      free it; both of its rings are empty
 */
struct sl_port_ops {
	uint32_t size;
	const char *kind;
	const char *help;
	const struct sl_param *params;
	int (*open)(const struct sl_args *args, const struct sl_log *log, struct sl_port **out);
	void (*info)(const struct sl_port *p, struct sl_port_info *i);
	int (*join)(struct sl_port *p, const struct sl_port_info *other);
	int (*region_add)(struct sl_port *p, const struct sl_region *r);
	void (*region_del)(struct sl_port *p, const struct sl_region *r);
	int (*rx)(struct sl_port *p, unsigned q, struct sl_ring *ring);
	int (*tx)(struct sl_port *p, unsigned q, struct sl_ring *ring);
	int (*fd)(struct sl_port *p, unsigned q, unsigned dirs);
	int (*arm)(struct sl_port *p, unsigned q, unsigned want);
	int (*control_fd)(struct sl_port *p);
	int (*control)(struct sl_port *p, uint64_t now_ns);
	uint64_t (*deadline)(const struct sl_port *p);
	void (*carrier)(struct sl_port *p, bool up);
	void (*stop)(struct sl_port *p);
	void (*stats)(const struct sl_port *p, unsigned q, struct sl_counters *c);
	void (*close)(struct sl_port *p);
};

/** sl_port_kinds() - every kind this library has: a static list, NULL at the end */
const struct sl_port_ops *const *sl_port_kinds(void);

/**
 * sl_port_open() - open a port by its spec
 * @spec: "kind:key=value,..."
 * @log:  where it may speak, NULL for silence
 * @out:  the port; close it with its ops->close() or give it to sl_link_create()
 *
 * Return: 0; -EINVAL for a spec that is wrong, the nearest name suggested; or
 * what opening that kind returns.
 */
int sl_port_open(const char *spec, const struct sl_log *log, struct sl_port **out);

/**
 * sl_port_same() - do two specs name the same port?
 * @a: "kind:key=value,..."
 * @b: another
 *
 * Return: 1 or 0; -EINVAL when either is wrong.
 */
int sl_port_same(const char *a, const char *b);

#ifdef __cplusplus
}
#endif
#endif
