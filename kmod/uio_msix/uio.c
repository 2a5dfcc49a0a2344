// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device as a /dev/uioN, for programs that know only UIO: maps, ports, and read(), which
 * counts the interrupts of all vectors. Mappings are ours, so that they can be taken away.
 */
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/uio_driver.h>

#include "um.h"

static struct um_device *um_of(struct uio_info *info)
{
	return container_of(info, struct um_device, uio);
}

/* The best kind that can be had. A device that has none is still good for its registers. */
static int um_uio_open(struct uio_info *info, struct inode *inode)
{
	struct um_device *um = um_of(info);
	int ret = um_take(um, UM_UIO, NULL);

	if (ret)
		return ret;
	ret = um_lock(um);
	if (ret) {
		um_give_back(um);
		return ret;
	}
	for (int kind = UIO_MSIX_MSIX; kind >= UIO_MSIX_INTX && um->kind < 0; kind--) {
		unsigned int available;

		if (um_irq_count(um, kind))
			ret = um_irq_enable(um, kind, 1, &available);
	}
	mutex_unlock(&um->lock);
	if (ret)
		um_give_back(um);
	return ret;
}

static int um_uio_release(struct uio_info *info, struct inode *inode)
{
	um_give_back(um_of(info));
	return 0;
}

/* Who writes 1 unmasks INTx, which masks itself; 0 masks it. MSI and MSI-X need none of it. */
static int um_uio_irqcontrol(struct uio_info *info, s32 on)
{
	struct um_device *um = um_of(info);
	int ret;

	if (on != 0 && on != 1)
		return -EINVAL;
	ret = um_lock(um);
	if (ret)
		return ret;
	if (um->kind == UIO_MSIX_INTX)
		ret = um_intx_mask(um, !on);
	else
		ret = on ? 0 : -EOPNOTSUPP;
	mutex_unlock(&um->lock);
	return ret;
}

/* UIO has checked the length. Its offset says which map. */
static int um_uio_mmap(struct uio_info *info, struct vm_area_struct *vma)
{
	struct um_device *um = um_of(info);
	int ret;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	ret = um_lock(um);
	if (ret)
		return ret;
	um->mapping = vma->vm_file->f_mapping;
	ret = um_bar_mmap(&um->uio_maps[vma->vm_pgoff], vma, false);
	mutex_unlock(&um->lock);
	return ret;
}

static const char *const um_bar_names[UM_BARS] = {"BAR0", "BAR1", "BAR2", "BAR3", "BAR4", "BAR5"};

/* UIO has room for five maps and five ranges of ports; a sixth BAR is left out. */
static void um_uio_describe(struct um_device *um)
{
	struct pci_dev *pdev = um->pdev;
	unsigned int maps = 0, ports = 0;

	for (unsigned int bar = 0; bar < UM_BARS; bar++) {
		if (um_is_mappable(um, bar) && maps < MAX_UIO_MAPS) {
			um->uio_maps[maps] = (struct um_window){um, bar, maps};
			um->uio.mem[maps].name = um_bar_names[bar];
			um->uio.mem[maps].addr = pci_resource_start(pdev, bar);
			um->uio.mem[maps].size = pci_resource_len(pdev, bar);
			um->uio.mem[maps].memtype = UIO_MEM_PHYS;
			maps++;
		} else if (pci_resource_flags(pdev, bar) & IORESOURCE_IO &&
			   ports < MAX_UIO_PORT_REGIONS) {
			um->uio.port[ports].name = um_bar_names[bar];
			um->uio.port[ports].start = pci_resource_start(pdev, bar);
			um->uio.port[ports].size = pci_resource_len(pdev, bar);
			um->uio.port[ports].porttype = UIO_PORT_X86;
			ports++;
		}
	}
}

int um_uio_register(struct um_device *um)
{
	int ret;

	if (!um_uio_wanted)
		return 0;
	um->uio.name = "uio_msix";
	um->uio.version = "1";
	um->uio.irq = UIO_IRQ_CUSTOM;
	um->uio.open = um_uio_open;
	um->uio.release = um_uio_release;
	um->uio.mmap = um_uio_mmap;
	um->uio.irqcontrol = um_uio_irqcontrol;
	um_uio_describe(um);
	ret = uio_register_device(&um->pdev->dev, &um->uio);
	um->uio_on = !ret;
	return ret;
}

void um_uio_unregister(struct um_device *um)
{
	if (um->uio_on)
		uio_unregister_device(&um->uio);
}
