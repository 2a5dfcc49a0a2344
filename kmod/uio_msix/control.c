// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/uio_msix/BDF: its calls. Each copies what it was given, checks it, takes the lock, does
 * it, drops the lock, copies the answer: no memory of a program is touched under the lock.
 */
#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/panic.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "um.h"

/* Every structure begins so. */
struct um_head {
	__u32 argsz;
	__u32 flags;
};

/* A newer program's larger structure is welcome if what we do not know of it is zero. */
static int um_copy_in(void *to, size_t size, const void __user *from)
{
	u32 argsz;

	if (get_user(argsz, (const u32 __user *)from))
		return -EFAULT;
	if (argsz < size)
		return -EINVAL;
	if (argsz > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(to, size, from, argsz);
}

static int um_copy_out(void __user *to, const void *from, size_t size)
{
	return copy_to_user(to, from, size) ? -EFAULT : 0;
}

static int um_get_info(struct um_device *um, void __user *arg)
{
	struct uio_msix_info info;
	int ret = um_copy_in(&info, sizeof(info), arg);

	if (ret)
		return ret;
	if (info.flags || info.reserved)
		return -EINVAL;
	ret = um_lock(um);
	if (ret)
		return ret;
	if (um->pdev->reset_methods[0])
		info.flags |= UIO_MSIX_INFO_RESET;
	if (um->unclean)
		info.flags |= UIO_MSIX_INFO_UNCLEAN;
	if (um->uio_on)
		info.flags |= UIO_MSIX_INFO_UIO;
	info.n_regions = UIO_MSIX_REGIONS;
	info.n_irqs = UIO_MSIX_IRQS;
	info.dma_bits = um->dma_bits;
	info.dma_max = um_dma_max();
	mutex_unlock(&um->lock);
	return um_copy_out(arg, &info, sizeof(info));
}

static int um_get_region(struct um_device *um, void __user *arg)
{
	struct uio_msix_region region;
	int ret = um_copy_in(&region, sizeof(region), arg);

	if (ret)
		return ret;
	if (region.flags || region.reserved || region.index >= UIO_MSIX_REGIONS)
		return -EINVAL;
	ret = um_lock(um);
	if (ret)
		return ret;
	um_region(um, &region);
	mutex_unlock(&um->lock);
	return um_copy_out(arg, &region, sizeof(region));
}

static int um_access(struct um_device *um, void __user *arg, bool write)
{
	struct uio_msix_access access;
	int ret = um_copy_in(&access, sizeof(access), arg);

	if (ret)
		return ret;
	if (access.flags || access.index >= UIO_MSIX_REGIONS)
		return -EINVAL;
	if (access.width != 1 && access.width != 2 && access.width != 4 && access.width != 8)
		return -EINVAL;
	if (write && access.width < 8 && access.value >> access.width * 8)
		return -EINVAL;
	ret = um_lock(um);
	if (ret)
		return ret;
	ret = write ? um_write(um, &access) : um_read(um, &access);
	mutex_unlock(&um->lock);
	return ret || write ? ret : um_copy_out(arg, &access, sizeof(access));
}

static int um_get_irq(struct um_device *um, void __user *arg)
{
	struct uio_msix_irq irq;
	int ret = um_copy_in(&irq, sizeof(irq), arg);

	if (ret)
		return ret;
	if (irq.flags || irq.reserved || irq.index >= UIO_MSIX_IRQS)
		return -EINVAL;
	ret = um_lock(um);
	if (ret)
		return ret;
	if (irq.index == UIO_MSIX_GONE) {
		irq.count = 1;
		irq.enabled = !!um->gone;
	} else {
		irq.count = um_irq_count(um, irq.index);
		irq.enabled = um->kind == (int)irq.index ? um->n_vectors : 0;
	}
	mutex_unlock(&um->lock);
	return um_copy_out(arg, &irq, sizeof(irq));
}

static void um_events_put(struct eventfd_ctx **events, unsigned int count)
{
	while (count--)
		if (events[count])
			eventfd_ctx_put(events[count]);
	kvfree(events);
}

/* -1 is NULL here. */
static struct eventfd_ctx **um_events_get(const s32 __user *fds, unsigned int count)
{
	struct eventfd_ctx **events = kvcalloc(count, sizeof(*events), GFP_KERNEL);
	struct eventfd_ctx *event;
	s32 fd;

	if (!events)
		return ERR_PTR(-ENOMEM);
	for (unsigned int i = 0; i < count; i++) {
		if (get_user(fd, fds + i))
			event = ERR_PTR(-EFAULT);
		else if (fd == -1)
			continue;
		else
			event = eventfd_ctx_fdget(fd);
		if (IS_ERR(event)) {
			um_events_put(events, i);
			return ERR_CAST(event);
		}
		events[i] = event;
	}
	return events;
}

/* Under the lock; @events comes back as what is to be put. */
static int um_wire(struct um_device *um, struct uio_msix_set_irqs *set, struct eventfd_ctx **events)
{
	unsigned int total = set->index == UIO_MSIX_GONE ? 1 : um_irq_count(um, set->index);
	int ret;

	if (set->start > total || set->count > total - set->start)
		return -EINVAL;
	if (set->index == UIO_MSIX_GONE) {
		if (set->count) {
			swap(um->gone, events[0]);
		} else if (um->gone) {
			eventfd_ctx_put(um->gone);
			um->gone = NULL;
		}
		return 0;
	}
	if (!set->count) {
		if (um->kind == (int)set->index)
			um_irq_disable(um);
		return 0;
	}
	if (um->kind >= 0 && um->kind != (int)set->index)
		return -EBUSY;
	set->available = um->n_vectors;
	ret = um->kind < 0 ?
	      um_irq_enable(um, set->index, set->start + set->count, &set->available) : 0;
	if (ret)
		return ret;
	return um_irq_swap(um, set->start, set->count, events);
}

static int um_set_irqs(struct um_device *um, void __user *arg)
{
	struct uio_msix_set_irqs set;
	struct eventfd_ctx **events;
	int ret;

	if (copy_from_user(&set, arg, sizeof(set)))
		return -EFAULT;
	if (set.flags || set.index >= UIO_MSIX_IRQS || set.count > UIO_MSIX_IRQS_MAX ||
	    (!set.count && set.start) || set.argsz < struct_size(&set, fds, set.count))
		return -EINVAL;
	events = um_events_get(arg + sizeof(set), set.count);
	if (IS_ERR(events))
		return PTR_ERR(events);
	ret = um_lock(um);
	if (!ret) {
		ret = um_wire(um, &set, events);
		mutex_unlock(&um->lock);
	}
	um_events_put(events, set.count);
	if (ret == -ENOSPC && um_copy_out(arg, &set, sizeof(set)))
		return -EFAULT;
	return ret;
}

static int um_mask_intx(struct um_device *um, void __user *arg)
{
	struct uio_msix_mask mask;
	int ret = um_copy_in(&mask, sizeof(mask), arg);

	if (ret)
		return ret;
	if (mask.flags & ~UIO_MSIX_MASK)
		return -EINVAL;
	ret = um_lock(um);
	if (ret)
		return ret;
	ret = um_intx_mask(um, mask.flags & UIO_MSIX_MASK);
	mutex_unlock(&um->lock);
	return ret;
}

static int um_set_dma_bits(struct um_device *um, void __user *arg)
{
	struct uio_msix_dma_bits bits;
	int ret = um_copy_in(&bits, sizeof(bits), arg);

	if (ret)
		return ret;
	if (bits.flags || bits.reserved || bits.bits < 16 || bits.bits > 64)
		return -EINVAL;
	ret = um_lock(um);
	if (ret)
		return ret;
	ret = xa_empty(&um->dma) ? um_dma_bits(um, bits.bits) : -EBUSY;
	mutex_unlock(&um->lock);
	return ret;
}

static int um_dma_alloc_call(struct um_device *um, void __user *arg)
{
	struct uio_msix_dma_alloc alloc;
	int ret = um_copy_in(&alloc, sizeof(alloc), arg);

	if (ret)
		return ret;
	if (alloc.flags || alloc.reserved)
		return -EINVAL;
	ret = um_dma_alloc(um, &alloc);
	if (ret)
		return ret;
	ret = um_copy_out(arg, &alloc, sizeof(alloc));
	if (ret)
		um_dma_free(um, alloc.id);
	return ret;
}

static int um_dma_pin_call(struct um_device *um, void __user *arg)
{
	struct uio_msix_segment *segments = NULL;
	struct uio_msix_dma_pin pin;
	u32 room;
	int ret;

	if (copy_from_user(&pin, arg, sizeof(pin)))
		return -EFAULT;
	room = pin.n_segments;
	if (pin.flags || pin.argsz < sizeof(pin) ||
	    room > (pin.argsz - sizeof(pin)) / sizeof(*segments))
		return -EINVAL;
	ret = um_dma_pin(um, &pin, &segments);
	if (ret == -ENOSPC && um_copy_out(arg, &pin, sizeof(pin)))
		ret = -EFAULT;
	if (!ret) {
		ret = um_copy_out(arg + sizeof(pin), segments, pin.n_segments * sizeof(*segments));
		ret = ret ?: um_copy_out(arg, &pin, sizeof(pin));
		if (ret)
			um_dma_free(um, pin.id);
	}
	kvfree(segments);
	return ret;
}

static int um_dma_free_call(struct um_device *um, void __user *arg)
{
	struct uio_msix_dma_free release;
	int ret = um_copy_in(&release, sizeof(release), arg);

	if (ret)
		return ret;
	if (release.flags || release.reserved)
		return -EINVAL;
	return um_dma_free(um, release.id);
}

static int um_bus_master(struct um_device *um, void __user *arg)
{
	struct uio_msix_bus_master master;
	int ret = um_copy_in(&master, sizeof(master), arg);

	if (ret)
		return ret;
	if (master.flags & ~(UIO_MSIX_ON | UIO_MSIX_FORCE) || master.flags == UIO_MSIX_FORCE)
		return -EINVAL;
	ret = um_lock(um);
	if (ret)
		return ret;
	if (!(master.flags & UIO_MSIX_ON)) {
		pci_clear_master(um->pdev);
	} else if (um->unclean && !(master.flags & UIO_MSIX_FORCE)) {
		ret = -EUCLEAN;
	} else {
		/* From here on a program may write to any memory, by the device. */
		add_taint(TAINT_USER, LOCKDEP_STILL_OK);
		pci_set_master(um->pdev);
	}
	mutex_unlock(&um->lock);
	return ret;
}

static int um_reset_call(struct um_device *um, void __user *arg)
{
	struct uio_msix_reset reset;
	int ret = um_copy_in(&reset, sizeof(reset), arg);

	if (ret)
		return ret;
	if (reset.flags)
		return -EINVAL;
	ret = um_lock(um);
	if (ret)
		return ret;
	ret = um_reset(um);
	mutex_unlock(&um->lock);
	return ret;
}

static long um_ioctl(struct file *file, unsigned int cmd, unsigned long value)
{
	struct um_device *um = file->private_data;
	void __user *arg = (void __user *)value;

	switch (cmd) {
	case UIO_MSIX_GET_VERSION:
		return UIO_MSIX_VERSION;
	case UIO_MSIX_GET_INFO:
		return um_get_info(um, arg);
	case UIO_MSIX_GET_REGION:
		return um_get_region(um, arg);
	case UIO_MSIX_READ:
		return um_access(um, arg, false);
	case UIO_MSIX_WRITE:
		return um_access(um, arg, true);
	case UIO_MSIX_GET_IRQ:
		return um_get_irq(um, arg);
	case UIO_MSIX_SET_IRQS:
		return um_set_irqs(um, arg);
	case UIO_MSIX_MASK_INTX:
		return um_mask_intx(um, arg);
	case UIO_MSIX_SET_DMA_BITS:
		return um_set_dma_bits(um, arg);
	case UIO_MSIX_DMA_ALLOC:
		return um_dma_alloc_call(um, arg);
	case UIO_MSIX_DMA_PIN:
		return um_dma_pin_call(um, arg);
	case UIO_MSIX_DMA_FREE:
		return um_dma_free_call(um, arg);
	case UIO_MSIX_BUS_MASTER:
		return um_bus_master(um, arg);
	case UIO_MSIX_RESET:
		return um_reset_call(um, arg);
	default:
		return -ENOTTY;
	}
}

static int um_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct um_device *um = file->private_data;
	int ret;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	ret = um_lock(um);
	if (ret)
		return ret;
	if (vma->vm_pgoff >> (UM_INDEX_SHIFT - PAGE_SHIFT) < UM_DMA_FIRST)
		ret = um_region_mmap(um, vma);
	else
		ret = um_dma_mmap(um, vma);
	mutex_unlock(&um->lock);
	return ret;
}

static int um_open(struct inode *inode, struct file *file)
{
	struct um_device *um = container_of(file->private_data, struct um_device, misc);
	int ret = um_take(um, UM_CONTROL, file->f_mapping);

	if (ret)
		return ret;
	um_get(um);
	file->private_data = um;
	return nonseekable_open(inode, file);
}

static int um_close(struct inode *inode, struct file *file)
{
	struct um_device *um = file->private_data;

	um_give_back(um);
	um_put(um);
	return 0;
}

const struct file_operations um_fops = {
	.owner = THIS_MODULE,
	.open = um_open,
	.release = um_close,
	.unlocked_ioctl = um_ioctl,
	.mmap = um_mmap,
};
