/* SPDX-License-Identifier: BSD-2-Clause */
/* All of libsluice. */
#ifndef SLUICE_SLUICE_H
#define SLUICE_SLUICE_H

#include <sluice/arena.h>
#include <sluice/consumer.h>
#include <sluice/counters.h>
#include <sluice/data_channel.h>
#include <sluice/device.h>
#include <sluice/device_irq.h>
#include <sluice/device_region.h>
#include <sluice/dma.h>
#include <sluice/guard.h>
#include <sluice/identity.h>
#include <sluice/iova.h>
#include <sluice/link.h>
#include <sluice/log.h>
#include <sluice/mmio.h>
#include <sluice/model.h>
#include <sluice/offer.h>
#include <sluice/packet.h>
#include <sluice/param.h>
#include <sluice/pci.h>
#include <sluice/pci_config.h>
#include <sluice/port.h>
#include <sluice/producer.h>
#include <sluice/reason.h>
#include <sluice/region.h>
#include <sluice/ring.h>
#include <sluice/space.h>
#include <sluice/space_user.h>
#include <sluice/version.h>
#include <sluice/worker.h>

#endif
