/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts: which vector has which event, so that a back end can put it back. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "device/device_private.h"

static const char *kind_name(enum sl_irq kind)
{
	static const char *const names[] = {"INTx", "MSI", "MSI-X"};

	return names[kind];
}

unsigned sl_device_irq_count(const struct sl_device *dev, enum sl_irq kind)
{
	return (unsigned)kind < SL_IRQ_KINDS ? dev->backend->irq_count(dev, kind) : 0;
}

static int check(const struct sl_device *dev, enum sl_irq kind, unsigned first, unsigned count,
		 const int *fds)
{
	unsigned have = sl_device_irq_count(dev, kind);

	if ((unsigned)kind >= SL_IRQ_KINDS)
		return sl_fail(EINVAL, "%s: there is no kind %u of interrupts", dev->name, kind);
	if (!have)
		return sl_fail(EINVAL, "%s has no %s over %s", dev->name, kind_name(kind),
			       dev->info.backend);
	if (!count || first >= have || count > have - first)
		return sl_fail(EINVAL, "%s: %u vectors from %u: it has %u of %s", dev->name, count,
			       first, have, kind_name(kind));
	for (unsigned i = 0; i < count; i++)
		if (fds[i] < -1)
			return sl_fail(EINVAL, "%s: vector %u: %d is no eventfd", dev->name,
				       first + i, fds[i]);
	if (dev->wired && dev->irq != kind)
		return sl_fail(EBUSY, "%s: its %s is wired: remove that first", dev->name,
			       kind_name(dev->irq));
	return 0;
}

static bool all_removed(const struct sl_device *dev)
{
	for (unsigned i = 0; i < dev->n_wired; i++)
		if (dev->wired[i] >= 0)
			return false;
	return true;
}

static void forget(struct sl_device *dev)
{
	free(dev->wired);
	dev->wired = NULL;
	dev->n_wired = 0;
}

int sl_device_irq_set(struct sl_device *dev, enum sl_irq kind, unsigned first, unsigned count,
		      const int *fds)
{
	int ret = check(dev, kind, first, count, fds);

	if (ret)
		return ret;
	if (!dev->wired) {
		dev->n_wired = sl_device_irq_count(dev, kind);
		dev->wired = malloc(dev->n_wired * sizeof(*dev->wired));
		if (!dev->wired)
			return sl_fail(ENOMEM, "no memory for %u vectors", dev->n_wired);
		memset(dev->wired, 0xff, dev->n_wired * sizeof(*dev->wired));
		dev->irq = kind;
	}
	ret = dev->backend->irq_set(dev, first, count, fds);
	if (!ret)
		memcpy(dev->wired + first, fds, count * sizeof(*fds));
	if (all_removed(dev)) {
		dev->backend->irq_off(dev);
		forget(dev);
	}
	return ret;
}

void sl_device_irq_remove_all(struct sl_device *dev)
{
	if (!dev->wired)
		return;
	dev->backend->irq_off(dev);
	forget(dev);
}

static int mask(struct sl_device *dev, bool masked)
{
	if (!dev->wired || dev->irq != SL_IRQ_INTX)
		return sl_fail(EINVAL, "%s: INTx is not wired: only that is masked", dev->name);
	return dev->backend->irq_mask(dev, masked);
}

int sl_device_irq_mask(struct sl_device *dev)
{
	return mask(dev, true);
}

int sl_device_irq_unmask(struct sl_device *dev)
{
	return mask(dev, false);
}
