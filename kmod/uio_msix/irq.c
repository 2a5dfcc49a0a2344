// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts. All vectors of a kind are requested together and stay so: only what they signal is
 * swapped, under RCU. To free and request one anew would lose what comes in between.
 */
#include <linux/interrupt.h>
#include <linux/pci.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "compat.h"
#include "um.h"

#define UM_PENDING 0

unsigned int um_irq_count(struct um_device *um, int kind)
{
	int count = 0;

	if (!um_kind_allowed(kind))
		return 0;
	if (kind == UIO_MSIX_INTX)
		return um->pdev->irq && um->pdev->pin;
	if (kind == UIO_MSIX_MSI)
		count = pci_msi_vec_count(um->pdev);
	else
		count = pci_msix_vec_count(um->pdev);
	return count > 0 ? count : 0;
}

static void um_signal(struct um_vector *vector)
{
	struct um_device *um = vector->um;
	struct eventfd_ctx *event;

	if (atomic_read(&um->owner) == UM_UIO) {
		uio_event_notify(&um->uio);
		return;
	}
	rcu_read_lock();
	event = rcu_dereference(vector->event);
	if (event)
		um_eventfd_signal(event);
	else
		set_bit(UM_PENDING, &vector->pending);
	rcu_read_unlock();
}

static irqreturn_t um_msi(int irq, void *data)
{
	um_signal(data);
	return IRQ_HANDLED;
}

/* A level: it would come again at once. PCI 2.3 and later can be asked, and told to be quiet. */
static irqreturn_t um_intx(int irq, void *data)
{
	struct um_vector *vector = data;
	struct um_device *um = vector->um;
	bool ours = false;

	spin_lock(&um->intx_lock);
	if (!um->intx_masked) {
		if (!um->intx_shared)
			disable_irq_nosync(irq);
		ours = !um->intx_shared || pci_check_and_mask_intx(um->pdev);
		um->intx_masked = ours;
	}
	spin_unlock(&um->intx_lock);
	if (!ours)
		return IRQ_NONE;
	um_signal(vector);
	return IRQ_HANDLED;
}

int um_intx_mask(struct um_device *um, bool masked)
{
	unsigned long flags;
	bool again = false;

	if (um->kind != UIO_MSIX_INTX)
		return -EINVAL;
	spin_lock_irqsave(&um->intx_lock, flags);
	if (masked == um->intx_masked) {
		spin_unlock_irqrestore(&um->intx_lock, flags);
		return 0;
	}
	if (masked && um->intx_shared)
		pci_intx(um->pdev, 0);
	else if (masked)
		disable_irq_nosync(um->pdev->irq);
	else if (um->intx_shared)
		again = !pci_check_and_unmask_intx(um->pdev);
	else
		enable_irq(um->pdev->irq);
	um->intx_masked = masked || again;
	spin_unlock_irqrestore(&um->intx_lock, flags);
	if (again)
		um_signal(um->vectors);
	return 0;
}

/*
 * A device that was reset has INTx as it was when the kernel saved it; what came in between may
 * have been masked here alone. Unmasked there, nobody would ever quiet it.
 */
void um_intx_restore(struct um_device *um)
{
	unsigned long flags;

	if (um->kind != UIO_MSIX_INTX)
		return;
	spin_lock_irqsave(&um->intx_lock, flags);
	pci_intx(um->pdev, !(um->intx_shared && um->intx_masked));
	spin_unlock_irqrestore(&um->intx_lock, flags);
}

static int um_intx_request(struct um_device *um)
{
	int ret;

	um->intx_masked = false;
	um->intx_shared = pci_intx_mask_supported(um->pdev);
	um->vectors[0].irq = um->pdev->irq;
	ret = request_irq(um->pdev->irq, um_intx, um->intx_shared ? IRQF_SHARED : 0, um->name,
			  um->vectors);
	if (ret)
		return ret;
	/* Another's interrupt may have come since, and ours been found waiting, and masked. */
	um->kind = UIO_MSIX_INTX;
	um_intx_restore(um);
	return 0;
}

/* The kernel turns INTx on with this, and nobody listens to it. */
static void um_vectors_free(struct um_device *um)
{
	pci_free_irq_vectors(um->pdev);
	pci_intx(um->pdev, 0);
}

static void um_msi_free(struct um_device *um, unsigned int requested)
{
	while (requested--)
		free_irq(um->vectors[requested].irq, &um->vectors[requested]);
	um_vectors_free(um);
}

/* How many there are now: @count, or none has been taken but so many can be. */
static int um_msi_request(struct um_device *um, int kind, unsigned int least, unsigned int count)
{
	unsigned int flag = kind == UIO_MSIX_MSI ? PCI_IRQ_MSI : PCI_IRQ_MSIX;
	int ret = pci_alloc_irq_vectors(um->pdev, 1, count, flag);

	if (ret < 0)
		return ret;
	if (ret < count) {
		um_vectors_free(um);
		return ret;
	}
	for (unsigned int i = 0; i < count; i++) {
		um->vectors[i].irq = pci_irq_vector(um->pdev, i);
		ret = request_irq(um->vectors[i].irq, um_msi, 0, um->name, &um->vectors[i]);
		if (ret) {
			um_msi_free(um, i);
			/* An architecture may find out this late that it has no more. */
			return ret == -ENOSPC ? (int)i : ret;
		}
	}
	return count;
}

/* @available: how many there could be, when it is -ENOSPC */
int um_irq_enable(struct um_device *um, int kind, unsigned int least, unsigned int *available)
{
	unsigned int count = um_irq_count(um, kind);
	int ret;

	um->vectors = kvcalloc(count, sizeof(*um->vectors), GFP_KERNEL);
	if (!um->vectors)
		return -ENOMEM;
	for (unsigned int i = 0; i < count; i++)
		um->vectors[i].um = um;
	if (kind == UIO_MSIX_INTX) {
		ret = um_intx_request(um);
		ret = ret ?: 1;
	} else {
		ret = um_msi_request(um, kind, least, count);
		if (ret >= (int)least && ret < count) {
			count = ret;
			ret = um_msi_request(um, kind, least, count);
		}
	}
	if (ret == count) {
		um->kind = kind;
		um->n_vectors = count;
		return 0;
	}
	kvfree(um->vectors);
	um->vectors = NULL;
	if (ret < 0 && ret != -ENOSPC)
		return ret;
	*available = ret < 0 ? 0 : ret;
	return -ENOSPC;
}

void um_irq_disable(struct um_device *um)
{
	if (um->kind < 0)
		return;
	if (um->kind == UIO_MSIX_INTX) {
		pci_intx(um->pdev, 0);
		free_irq(um->pdev->irq, um->vectors);
	} else {
		um_msi_free(um, um->n_vectors);
	}
	/* No handler runs any more. */
	for (unsigned int i = 0; i < um->n_vectors; i++) {
		struct eventfd_ctx *event = rcu_dereference_protected(um->vectors[i].event, true);

		if (event)
			eventfd_ctx_put(event);
	}
	kvfree(um->vectors);
	um->vectors = NULL;
	um->n_vectors = 0;
	um->kind = -1;
}

/* @events: the new ones; they come back as the old ones, which nobody signals any more. */
int um_irq_swap(struct um_device *um, unsigned int start, unsigned int count,
		struct eventfd_ctx **events)
{
	if (start + count > um->n_vectors)
		return -ENOSPC;
	for (unsigned int i = 0; i < count; i++)
		events[i] = rcu_replace_pointer(um->vectors[start + i].event, events[i],
						lockdep_is_held(&um->lock));
	/* Who still saw none has said so when this is over. */
	synchronize_rcu_expedited();
	for (unsigned int i = 0; i < count; i++) {
		struct um_vector *vector = &um->vectors[start + i];

		if (rcu_access_pointer(vector->event) &&
		    test_and_clear_bit(UM_PENDING, &vector->pending))
			um_signal(vector);
	}
	return 0;
}
