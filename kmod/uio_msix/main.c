// SPDX-License-Identifier: GPL-2.0-only
/*
 * uio_msix: a PCI device in the hands of one program, on machines without an IOMMU: binding, who
 * has it, and what happens when that one goes. uio_msix.h is the interface, docs/uio_msix.md
 * tells what is safe about it.
 */
#include <linux/capability.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/eventfd.h>
#include <linux/module.h>
#include <linux/security.h>
#include <linux/slab.h>

#include "compat.h"
#include "um.h"

static char *intr_mode = "auto";
module_param(intr_mode, charp, 0444);
MODULE_PARM_DESC(intr_mode, "interrupts that programs may have: auto (all), msix, msi, intx");

static bool allow_vf;
module_param(allow_vf, bool, 0444);
MODULE_PARM_DESC(allow_vf, "take virtual functions too (off)");

bool um_uio_wanted;
module_param_named(uio, um_uio_wanted, bool, 0444);
MODULE_PARM_DESC(uio, "make each device a /dev/uioN too (off)");

static const char *const kinds[] = {"intx", "msi", "msix"};

/* Devices that were not reset since a program had them, while no driver has them. */
static DEFINE_XARRAY(unclean);

static unsigned long um_key(struct pci_dev *pdev)
{
	return (unsigned long)pci_domain_nr(pdev->bus) << 16 | pci_dev_id(pdev);
}

bool um_kind_allowed(int kind)
{
	return !strcmp(intr_mode, "auto") || !strcmp(intr_mode, kinds[kind]);
}

void um_get(struct um_device *um)
{
	kref_get(&um->ref);
}

static void um_release(struct kref *ref)
{
	struct um_device *um = container_of(ref, struct um_device, ref);

	xa_destroy(&um->dma);
	__free_page(um->scratch);
	mutex_destroy(&um->lock);
	kfree(um);
}

void um_put(struct um_device *um)
{
	kref_put(&um->ref, um_release);
}

/* For who wants to do something with the device. When it fails, no lock was taken. */
int um_lock(struct um_device *um)
{
	int ret = 0;

	mutex_lock(&um->lock);
	if (!um->pdev || um->over)
		ret = -ENODEV;
	else if (um->blocked)
		ret = -EAGAIN;
	if (ret)
		mutex_unlock(&um->lock);
	return ret;
}

/* The bridge above is locked too: its bus may be what is reset. @locked: the device is. */
static int um_try_reset(struct pci_dev *pdev, bool locked)
{
	struct pci_dev *bridge = pci_upstream_bridge(pdev);
	int ret = -EAGAIN;

	if (bridge && !pci_dev_trylock(bridge))
		return -EAGAIN;
	if (!locked) {
		ret = pci_try_reset_function(pdev);
	} else if (pci_cfg_access_trylock(pdev)) {
		ret = pci_reset_function_locked(pdev);
		pci_cfg_access_unlock(pdev);
	}
	if (bridge)
		pci_dev_unlock(bridge);
	return ret;
}

/*
 * Never the blocking reset: who has the lock of the device may be waiting for ours. To reset what
 * is not there would take a minute.
 */
static int um_reset_as(struct um_device *um, bool locked)
{
	int ret = -ENODEV;

	um_bars_zap(um);
	pci_clear_master(um->pdev);
	WRITE_ONCE(um->resetter, current);
	for (int tries = 0; tries < 10 && pci_device_is_present(um->pdev); tries++) {
		ret = um_try_reset(um->pdev, locked);
		if (ret != -EAGAIN)
			break;
		msleep(20);
	}
	WRITE_ONCE(um->resetter, NULL);
	pci_clear_master(um->pdev);
	um_intx_restore(um);
	if (!ret)
		um->unclean = false;
	return ret;
}

int um_reset(struct um_device *um)
{
	return um_reset_as(um, false);
}

enum um_how {
	UM_RESET,
	UM_RESET_LOCKED,	/* by who has the device's lock */
	UM_NO_RESET,
};

/* The device is taken from whoever has it: when this returns it does nothing any more. */
static void um_end(struct um_device *um, enum um_how how)
{
	if (um->over || atomic_read(&um->owner) == UM_NOBODY)
		return;
	um->over = true;
	um->unclean = true;
	um_bars_zap(um);
	pci_clear_master(um->pdev);
	if (pci_device_is_present(um->pdev))
		pci_wait_for_pending_transaction(um->pdev);
	um_irq_disable(um);
	if (how != UM_NO_RESET && pci_device_is_present(um->pdev) &&
	    um_reset_as(um, how == UM_RESET_LOCKED))
		pci_info(um->pdev, "could not be reset after its user: it may still know addresses of memory\n");
	um_dma_stop(um);
	um_bars_unused(um);
	if (um->gone)
		um_eventfd_signal(um->gone);
}

/* @mapping: of the file that is opened, NULL when it is not known yet */
int um_take(struct um_device *um, enum um_owner who, struct address_space *mapping)
{
	int ret;

	if (!capable(CAP_SYS_RAWIO))
		return -EPERM;
	ret = security_locked_down(LOCKDOWN_PCI_ACCESS);
	if (ret)
		return ret;
	/* Not by the lock: it may be held by who gives the device back, and resets it. */
	if (atomic_cmpxchg(&um->owner, UM_NOBODY, who) != UM_NOBODY)
		return -EBUSY;
	mutex_lock(&um->lock);
	if (um->pdev && !um->blocked) {
		um->over = false;
		um->mapping = mapping;
		clear_page(page_address(um->scratch));
		pci_clear_master(um->pdev);
		um_dma_bits_reset(um);
	} else {
		ret = um->pdev ? -EBUSY : -ENODEV;
		atomic_set(&um->owner, UM_NOBODY);
	}
	mutex_unlock(&um->lock);
	return ret;
}

/* The last reference to what was opened is gone. */
void um_give_back(struct um_device *um)
{
	struct eventfd_ctx *gone;

	mutex_lock(&um->lock);
	/* What somebody else resets is not to be touched: the kernel is saving and restoring it. */
	while (um->pdev && um->blocked) {
		mutex_unlock(&um->lock);
		msleep(20);
		mutex_lock(&um->lock);
	}
	gone = um->gone;
	um->gone = NULL;
	if (um->pdev)
		um_end(um, UM_RESET);
	um->mapping = NULL;
	mutex_unlock(&um->lock);
	um_dma_forget(um);
	if (gone)
		eventfd_ctx_put(gone);
	atomic_set_release(&um->owner, UM_NOBODY);
}

/*
 * The driver.
 */

static int um_refuses(struct pci_dev *pdev)
{
	int ret = security_locked_down(LOCKDOWN_PCI_ACCESS);

	if (ret) {
		pci_err(pdev, "the kernel is locked down\n");
		return ret;
	}
	if (pdev->hdr_type != PCI_HEADER_TYPE_NORMAL) {
		pci_err(pdev, "is a bridge\n");
		return -EINVAL;
	}
	if (pdev->is_virtfn && !allow_vf) {
		pci_err(pdev, "is a virtual function: nothing isolates it; see allow_vf\n");
		return -EPERM;
	}
	return 0;
}

static struct um_device *um_create(struct pci_dev *pdev)
{
	struct um_device *um = kzalloc(sizeof(*um), GFP_KERNEL);

	if (!um)
		return NULL;
	um->scratch = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!um->scratch) {
		kfree(um);
		return NULL;
	}
	kref_init(&um->ref);
	mutex_init(&um->lock);
	spin_lock_init(&um->intx_lock);
	xa_init_flags(&um->dma, XA_FLAGS_ALLOC1);
	um->pdev = pdev;
	um->kind = -1;
	snprintf(um->name, sizeof(um->name), "uio_msix-%s", pci_name(pdev));
	snprintf(um->node, sizeof(um->node), "uio_msix/%s", pci_name(pdev));
	um->misc.minor = MISC_DYNAMIC_MINOR;
	um->misc.name = um->name;
	um->misc.nodename = um->node;
	um->misc.mode = 0600;
	um->misc.parent = &pdev->dev;
	um->misc.fops = &um_fops;
	return um;
}

/*
 * Under the lock: the driver leaves the device, as it found it. The next driver may be one that
 * does not ask for a mask, and one that lets the device do DMA before it has reset it.
 */
static void um_stop(struct um_device *um)
{
	struct device *dev = &um->pdev->dev;

	um_end(um, UM_RESET_LOCKED);
	if (!um->unclean)
		xa_erase(&unclean, um_key(um->pdev));
	dma_set_mask(dev, um->old_mask);
	dma_set_coherent_mask(dev, um->old_coherent_mask);
	dma_set_max_seg_size(dev, um->old_seg_size);
	dma_set_seg_boundary(dev, um->old_seg_boundary);
	um->pdev = NULL;
}

static int um_start(struct um_device *um)
{
	struct pci_dev *pdev = um->pdev;
	int ret;

	um->old_mask = dma_get_mask(&pdev->dev);
	um->old_coherent_mask = pdev->dev.coherent_dma_mask;
	um->old_seg_size = dma_get_max_seg_size(&pdev->dev);
	um->old_seg_boundary = dma_get_seg_boundary(&pdev->dev);
	ret = um_dma_bits_reset(um);
	if (ret) {
		pci_err(pdev, "this machine has no memory that it could reach\n");
		return ret;
	}
	/* Pieces of pinned memory may be as large as they are. */
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	dma_set_seg_boundary(&pdev->dev, ULONG_MAX);
	pci_clear_master(pdev);
	pci_intx(pdev, 0);
	um_bars_init(um);
	pci_set_drvdata(pdev, um);
	ret = misc_register(&um->misc);
	if (ret)
		goto no_node;
	ret = um_uio_register(um);
	if (!ret)
		return 0;
	misc_deregister(&um->misc);
no_node:
	/* Somebody may have opened it already. */
	mutex_lock(&um->lock);
	um_stop(um);
	mutex_unlock(&um->lock);
	return ret;
}

static int um_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct um_device *um;
	int ret = um_refuses(pdev);

	if (ret)
		return ret;
	um = um_create(pdev);
	if (!um)
		return -ENOMEM;
	/* It has a place there as long as it is bound: to be unclean needs no memory later. */
	um->unclean = xa_load(&unclean, um_key(pdev));
	ret = xa_err(xa_store(&unclean, um_key(pdev), xa_mk_value(1), GFP_KERNEL));
	if (ret)
		goto no_device;
	ret = pci_enable_device(pdev);
	if (ret)
		goto no_device;
	ret = pci_request_regions(pdev, "uio_msix");
	if (ret)
		goto no_regions;
	ret = um_start(um);
	if (!ret)
		return 0;
	pci_release_regions(pdev);
no_regions:
	pci_disable_device(pdev);
no_device:
	if (!um->unclean)
		xa_erase(&unclean, um_key(pdev));
	um_put(um);
	return ret;
}

/* Whoever has it is not asked. */
static void um_remove(struct pci_dev *pdev)
{
	struct um_device *um = pci_get_drvdata(pdev);

	mutex_lock(&um->lock);
	um_stop(um);
	mutex_unlock(&um->lock);
	um_uio_unregister(um);
	misc_deregister(&um->misc);
	pci_release_regions(pdev);
	pci_disable_device(pdev);
	um_put(um);
}

/* A reset that somebody else asks for, by sysfs say. The lock of the device is held. */
static void um_reset_prepare(struct pci_dev *pdev)
{
	struct um_device *um = pci_get_drvdata(pdev);

	if (READ_ONCE(um->resetter) == current)
		return;
	mutex_lock(&um->lock);
	um->blocked = true;
	um_bars_zap(um);
	pci_clear_master(pdev);
	mutex_unlock(&um->lock);
}

static void um_reset_done(struct pci_dev *pdev)
{
	struct um_device *um = pci_get_drvdata(pdev);

	if (READ_ONCE(um->resetter) == current)
		return;
	mutex_lock(&um->lock);
	um_intx_restore(um);
	um->blocked = false;
	mutex_unlock(&um->lock);
}

static const struct pci_error_handlers um_error_handlers = {
	.reset_prepare = um_reset_prepare,
	.reset_done = um_reset_done,
};

/* What a device without power has forgotten its driver cannot know: its user begins anew. */
static int um_suspend(struct device *dev)
{
	struct um_device *um = pci_get_drvdata(to_pci_dev(dev));

	mutex_lock(&um->lock);
	um_end(um, UM_NO_RESET);
	mutex_unlock(&um->lock);
	return 0;
}

static int um_resume(struct device *dev)
{
	pci_clear_master(to_pci_dev(dev));
	return 0;
}

static DEFINE_SIMPLE_DEV_PM_OPS(um_pm_ops, um_suspend, um_resume);

static struct pci_driver um_driver = {
	.name = "uio_msix",
	.probe = um_probe,
	.remove = um_remove,
	.err_handler = &um_error_handlers,
	.driver.pm = pm_sleep_ptr(&um_pm_ops),
};

/* What is plugged in at the same place later is another device. */
static int um_bus_event(struct notifier_block *nb, unsigned long action, void *data)
{
	if (action == BUS_NOTIFY_REMOVED_DEVICE)
		xa_erase(&unclean, um_key(to_pci_dev(data)));
	return NOTIFY_DONE;
}

static struct notifier_block um_bus_notifier = {.notifier_call = um_bus_event};

static int __init um_init(void)
{
	int ret;

	if (strcmp(intr_mode, "auto") && match_string(kinds, ARRAY_SIZE(kinds), intr_mode) < 0) {
		pr_err("uio_msix: intr_mode=%s is none of auto, msix, msi, intx\n", intr_mode);
		return -EINVAL;
	}
	ret = bus_register_notifier(&pci_bus_type, &um_bus_notifier);
	if (ret)
		return ret;
	ret = pci_register_driver(&um_driver);
	if (ret)
		bus_unregister_notifier(&pci_bus_type, &um_bus_notifier);
	return ret;
}

static void __exit um_exit(void)
{
	pci_unregister_driver(&um_driver);
	bus_unregister_notifier(&pci_bus_type, &um_bus_notifier);
	xa_destroy(&unclean);
}

module_init(um_init);
module_exit(um_exit);
MODULE_DESCRIPTION("A PCI device for one program: MSI-X and DMA memory without an IOMMU");
MODULE_AUTHOR("The authors of sluice");
MODULE_LICENSE("GPL");
MODULE_VERSION("1");
