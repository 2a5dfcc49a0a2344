/* SPDX-License-Identifier: BSD-2-Clause */
/* Every kind of port. The table is in port.c. */
#ifndef SL_PORT_KINDS_H
#define SL_PORT_KINDS_H

#include <sluice/port.h>

extern const struct sl_port_ops sl_port_gen;
extern const struct sl_port_ops sl_port_null;
extern const struct sl_port_ops sl_port_pcap;
extern const struct sl_port_ops sl_port_pci;
extern const struct sl_port_ops sl_port_tap;
extern const struct sl_port_ops sl_port_tun;
extern const struct sl_port_ops sl_port_tunnel;
extern const struct sl_port_ops sl_port_uduse;
extern const struct sl_port_ops sl_port_vduse;
extern const struct sl_port_ops sl_port_vhost_user;
extern const struct sl_port_ops sl_port_virtio_user;

#endif
